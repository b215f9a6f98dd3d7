//! Sidecars that call a service: in a mesh every caller's own Envoy decides who serves it, so they are who is asked.
//! What comes in: a client of a cluster, the names Envoy has for the service. What goes out: what each caller's Envoy
//! says of its hosts. May not know: documents, drills.

use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use serde_json::Value;

use crate::cluster::{self, PodAddress};
use crate::envoy::admin::{self, Host};

/// The admin port of Istio's proxies, sidecars and gateways alike.
pub const ADMIN_PORT: u16 = 15000;
/// The container of a sidecar.
pub const SIDECAR: &str = "istio-proxy";
/// More sidecars than this are not asked.
pub const MOST: usize = 100;
/// How many are asked at a time.
const AT_ONCE: usize = 16;
/// How long one may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One sidecar that has called the service.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its admin port.
    pub pod: PodAddress,
    /// Everything its Envoy says of its hosts.
    pub hosts: Vec<Host>,
    /// Requests it has sent to the service.
    pub requests: u64,
}

/// What asking around came to.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// Those that have called it, the busiest first.
    pub callers: Vec<Caller>,
    /// A sidecar that knows the service though nobody has called it yet; never a gateway.
    pub idle: Option<Caller>,
    /// How many sidecars were asked.
    pub asked: usize,
    /// How many there are beyond those.
    pub left_out: usize,
    /// Why some could not be asked.
    pub failed: Vec<String>,
}

/// Asks the sidecars in these namespaces (none: all) who of them calls Envoy clusters of these names.
pub async fn callers(client: &Client, namespaces: &[String], names: &[String]) -> anyhow::Result<Callers> {
    let mut pods = cluster::pods_with(client, namespaces, SIDECAR).await?;
    let left_out = pods.len().saturating_sub(MOST);
    pods.truncate(MOST);
    let mut found = Callers { asked: pods.len(), left_out, ..Callers::default() };
    let asking = futures::stream::iter(pods).map(async |pod| {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_string();
        let address = PodAddress { namespace: text("namespace"), pod: text("name"), port: ADMIN_PORT };
        let answer = in_time(client, &address).await;
        (address, is_gateway(&pod), answer)
    });
    let mut answers: Vec<_> = asking.buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|(a, ..), (b, ..)| (&a.namespace, &a.pod).cmp(&(&b.namespace, &b.pod)));
    for (pod, gateway, answer) in answers {
        match answer {
            Ok(hosts) => {
                let mine = || hosts.iter().filter(|h| names.contains(&h.cluster));
                let requests = mine().map(|h| h.counters.requests).sum();
                let known = mine().next().is_some();
                let caller = Caller { pod, requests, hosts };
                if requests > 0 {
                    found.callers.push(caller);
                } else if known && !gateway && found.idle.is_none() {
                    found.idle = Some(caller);
                }
            }
            Err(why) => found.failed.push(format!("{}/{}: {why:#}", pod.namespace, pod.pod)),
        }
    }
    found.callers.sort_by_key(|c| std::cmp::Reverse(c.requests));
    Ok(found)
}

/// A gateway's Envoy knows every service, and may be asked to see its own network alone: what it would do with a call that
/// nobody sends it says nothing of the callers.
fn is_gateway(pod: &Value) -> bool {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let proxies = containers.filter(|c| c["name"] == SIDECAR);
    proxies.flat_map(|c| c["args"].as_array().into_iter().flatten()).any(|a| a == "router")
}

async fn in_time(client: &Client, pod: &PodAddress) -> anyhow::Result<Vec<Host>> {
    let asked = tokio::time::timeout(TIMEOUT, hosts(client, pod)).await;
    asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")))
}

/// What the Envoy behind an admin port says of its hosts, gateways' and sidecars' alike.
pub async fn hosts(client: &Client, admin_port: &PodAddress) -> anyhow::Result<Vec<Host>> {
    let stream = cluster::open(client, admin_port).await?;
    let path = "/clusters?format=json";
    let (status, body) = cluster::http(stream, http::Method::GET, path, TIMEOUT).await?;
    anyhow::ensure!(status == 200, "{path}: status {status}");
    Ok(admin::hosts(&body)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_whose_proxy_is_a_router_is_a_gateway_and_a_sidecar_is_none() {
        let pod = |role: &str| {
            json!({"spec": {"containers": [{"name": "app", "args": ["router"]},
            {"name": SIDECAR, "args": ["proxy", role, "--domain", "default.svc.cluster.local"]}]}})
        };
        assert!(is_gateway(&pod("router")));
        assert!(!is_gateway(&pod("sidecar")));
        assert!(!is_gateway(&json!({"spec": {"containers": [{"name": "app"}]}})));
    }
}
