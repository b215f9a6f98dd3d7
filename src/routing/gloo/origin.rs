//! What stands behind a failover address: the cluster whose gateway listens there, and the Service its SNI names.
//! For people and status; traffic does not depend on it.

use serde_json::Value;

use super::{GLOO_GROUP, Scene};
use crate::model::name::ClusterName;
use crate::routing::Origin;

/// The origin of `address:port` asked for by `sni`, if some cluster's objects tell.
pub fn behind(scene: &Scene, address: &str, port: u16, sni: &str) -> Option<Origin> {
    let world = scene.world;
    let cluster = world.clusters.keys().find(|c| listens(scene, c, address, port))?;
    let (name, namespace) = sni.rsplit_once('_')?;
    let kube = world.get(cluster.as_str(), GLOO_GROUP, "Upstream", namespace, name)?.pointer("/spec/kube")?;
    let text = |field: &str| kube.get(field).and_then(Value::as_str).map(str::to_string);
    Some(Origin {
        cluster: cluster.clone(),
        namespace: text("serviceNamespace")?,
        service: text("serviceName")?,
        port: kube.get("servicePort").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok())?,
        pod: None,
    })
}

/// Whether a Service of that cluster is reached at this address: by its load balancer, or by a node and a NodePort.
fn listens(scene: &Scene, cluster: &ClusterName, address: &str, port: u16) -> bool {
    let services = scene.world.all(cluster.as_str(), "", "Service");
    services.into_iter().any(|(_, service)| {
        let has = |field: &str| {
            let ports = service.pointer("/spec/ports").and_then(Value::as_array);
            ports.into_iter().flatten().any(|p| p.get(field).and_then(Value::as_u64) == Some(u64::from(port)))
        };
        let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
        let balanced = ingress
            .into_iter()
            .flatten()
            .any(|i| ["ip", "hostname"].iter().any(|field| i.get(field).and_then(Value::as_str) == Some(address)));
        balanced && has("port") || has("nodePort") && is_node(scene, cluster, address)
    })
}

fn is_node(scene: &Scene, cluster: &ClusterName, address: &str) -> bool {
    scene.world.all(cluster.as_str(), "", "Node").any(|(_, node)| {
        let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
        addresses.into_iter().flatten().any(|a| a.get("address").and_then(Value::as_str) == Some(address))
    })
}
