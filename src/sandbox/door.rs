//! The gateways of a cluster: what outlives its workloads, what a start waits for, where requests come in.
//! What comes in: what runs on a cluster, what was seen of it. What goes out: doors, whether they are open, and URLs.
//! May not know: processes, clients.

use std::net::{Ipv4Addr, SocketAddr};

use kube::core::Selector;
use serde_json::Value;

use super::controllers::kind::Kind;
use super::controllers::object::{is, label, list, name, namespace, number, text};
use super::controllers::observed::Observed;
use super::node::sidecar;
use super::setup;
use super::stack::Runs;

/// The admin port of Gloo's gateway.
const GLOO_ADMIN: u16 = 19000;
/// Istio's namespace.
pub const ISTIO: &str = "istio-system";

/// A gateway: a Deployment and a Service of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Their namespace.
    pub namespace: &'static str,
    /// Their name.
    pub name: &'static str,
    /// The label of its Pods.
    pub label: (&'static str, &'static str),
    /// The port of its Envoy's admin interface.
    admin: u16,
    /// The name of the Service's port for plain HTTP; none for a gateway that only other clusters use.
    http: Option<&'static str>,
}

const GLOO: Door = Door {
    namespace: setup::GLOO,
    name: "gateway-proxy",
    label: ("gateway-proxy", "live"),
    admin: GLOO_ADMIN,
    http: Some("http"),
};
const INGRESS: Door = Door {
    namespace: ISTIO,
    name: "istio-ingressgateway",
    label: ("istio", "ingressgateway"),
    admin: sidecar::ADMIN_PORT,
    http: Some("http2"),
};
const EAST_WEST: Door = Door {
    namespace: ISTIO,
    name: "istio-eastwestgateway",
    label: ("istio", "eastwestgateway"),
    admin: sidecar::ADMIN_PORT,
    http: None,
};

/// The doors of a cluster; the first with a port for HTTP is where its requests come in.
pub fn doors(runs: Runs) -> Vec<Door> {
    let gloo = runs.gloo.then_some(GLOO);
    let istio = runs.istio.then_some([INGRESS, EAST_WEST]);
    gloo.into_iter().chain(istio.into_iter().flatten()).collect()
}

/// The URL at which a cluster's requests come in, once the Service has an address.
pub fn url(runs: Runs, seen: &Observed) -> Option<String> {
    doors(runs).into_iter().find(|d| d.http.is_some())?.url(seen)
}

impl Door {
    /// Selects its Pods.
    pub fn selector(&self) -> Selector {
        Selector::from_iter([(self.label.0.to_string(), self.label.1.to_string())])
    }

    fn owns(&self, pod: &Value) -> bool {
        namespace(pod) == self.namespace && label(pod, self.label.0) == Some(self.label.1)
    }

    /// Its address, once the Service has one.
    fn address(&self, seen: &Observed) -> Option<Ipv4Addr> {
        let service = seen.get(Kind::Service, self.namespace, self.name)?;
        text(service, "/status/loadBalancer/ingress/0/ip").parse().ok()
    }

    /// The URL of its port for HTTP.
    fn url(&self, seen: &Observed) -> Option<String> {
        let ip = self.address(seen)?;
        let service = seen.get(Kind::Service, self.namespace, self.name)?;
        let port = list(service, "/spec/ports").iter().find(|p| Some(text(p, "/name")) == self.http)?;
        match number(port, "/port")? {
            80 => Some(format!("http://{ip}")),
            port => Some(format!("http://{ip}:{port}")),
        }
    }

    /// The admin interface of a ready Pod whose Deployment counts it as available, once the Service has an address.
    pub fn open(&self, seen: &Observed) -> Option<SocketAddr> {
        self.address(seen)?;
        let deployment = seen.get(Kind::Deployment, self.namespace, self.name)?;
        number(deployment, "/status/availableReplicas").filter(|n| *n > 0)?;
        let pod = seen.all(Kind::Pod).find(|p| self.owns(p) && is(p, "Ready") && !name(p).is_empty())?;
        let ip: Ipv4Addr = text(pod, "/status/podIP").parse().ok()?;
        Some(SocketAddr::from((ip, self.admin)))
    }

    /// What it lacks, in the API's words.
    pub fn missing(&self, seen: &Observed) -> String {
        let pods = seen.all(Kind::Pod).filter(|p| self.owns(p));
        let said: Vec<String> = pods
            .flat_map(|p| {
                let waiting = list(p, "/status/containerStatuses").iter().map(|c| text(c, "/state/waiting/message"));
                waiting
                    .chain([text(p, "/status/message")])
                    .filter(|m| !m.is_empty())
                    .map(String::from)
                    .collect::<Vec<_>>()
            })
            .collect();
        if said.is_empty() { "no Pod of it is ready, or its Service has no address".into() } else { said.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(door: Door, port: i64) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": door.name, "namespace": door.namespace},
            "spec": {"ports": [{"name": "status-port", "port": 15021}, {"name": door.http, "port": port}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "127.42.1.2"}]}}})
    }

    #[test]
    fn requests_come_in_through_gloo_where_it_runs_and_else_through_istios_ingress_gateway() {
        let seen = Observed::of([service(GLOO, 8080), service(INGRESS, 80)]);
        let runs = |gloo, istio| Runs { gloo, istio, hub: false };
        assert_eq!(url(runs(true, true), &seen).as_deref(), Some("http://127.42.1.2:8080"));
        assert_eq!(url(runs(false, true), &seen).as_deref(), Some("http://127.42.1.2"));
        assert_eq!(url(runs(false, false), &seen), None);
    }

    #[test]
    fn a_door_is_open_when_its_pod_is_ready_and_counted() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": ISTIO, "labels": {"istio": "ingressgateway"}},
            "status": {"podIP": "127.42.2.1", "conditions": [{"type": "Ready", "status": "True"}]}});
        let deployment = |available: i64| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": INGRESS.name, "namespace": ISTIO}, "status": {"availableReplicas": available}})
        };
        let seen = |available| Observed::of([service(INGRESS, 80), pod.clone(), deployment(available)]);
        assert_eq!(INGRESS.open(&seen(1)).map(|a| a.to_string()).as_deref(), Some("127.42.2.1:15000"));
        assert_eq!(INGRESS.open(&seen(0)), None);
    }
}
