//! Publishes a snapshot after every change of what routing needs on one cluster.
//! What comes in: a client. What goes out: snapshots, and objects for the status reporter.

use std::sync::Arc;

use kube::Client;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Snapshot, status};
use crate::envoy::config::Names;
use crate::model::name::ClusterName;
use crate::sandbox::xds::names;
use crate::sandbox::xds::watch::{Watch, Watched};

/// What routing reads.
const WATCHED: &[Watched] = &[
    ("gateway.solo.io", "v1", "Gateway", "gateways"),
    ("gateway.solo.io", "v1", "VirtualService", "virtualservices"),
    ("gloo.solo.io", "v1", "Upstream", "upstreams"),
    ("", "v1", "Service", "services"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ("", "v1", "Secret", "secrets"),
    ("apps", "v1", "Deployment", "deployments"),
];

/// Watches and publishes until `shutdown`.
pub async fn run(
    client: Client,
    cluster: ClusterName,
    publish: watch::Sender<Arc<Snapshot>>,
    mut reporter: status::Reporter,
    shutdown: CancellationToken,
) {
    let mut seen = Watch::new(&client, cluster, WATCHED, trim);
    let mut addresses = Names::new();
    let mut look_up = tokio::time::interval(names::EVERY);
    look_up.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = seen.changed() => if !changed { break },
            _ = look_up.tick() => {
                let wanted = names::used(publish.borrow().proxies());
                if wanted.is_empty() {
                    continue;
                }
                let found = names::resolve(&wanted, &addresses).await;
                if found == addresses {
                    continue;
                }
                addresses = found;
            }
        }
        seen.gather().await;
        let Some(world) = seen.world() else { continue };
        let mut snapshot = Snapshot::of(world, seen.cluster(), addresses.clone());
        let wanted = names::used(snapshot.proxies());
        if wanted.iter().any(|name| !addresses.contains_key(name)) {
            addresses = names::resolve(&wanted, &addresses).await;
            snapshot = snapshot.with_names(addresses.clone());
        }
        reporter.report(world, seen.cluster(), snapshot.findings());
        publish.send_replace(Arc::new(snapshot));
    }
}

/// What is no TLS material is not kept in memory.
fn trim(kind: &str, object: &mut Map<String, Value>) {
    if kind == "Secret" && object.get("type").and_then(Value::as_str) != Some("kubernetes.io/tls") {
        object.remove("data");
    }
}
