//! What stands behind a failover address: the cluster whose gateway listens there, and the Service its SNI names.
//! For people and status; traffic does not depend on it.

use serde_json::Value;

use super::{GLOO_GROUP, Scene};
use crate::routing::Origin;

/// The origin of `address:port` asked for by `sni`, if some cluster's objects tell.
pub fn behind(scene: &Scene, address: &str, port: u16, sni: &str) -> Option<Origin> {
    let cluster = scene.gateways.get(&(address.to_string(), port))?.cluster;
    let (name, namespace) = sni.rsplit_once('_')?;
    let kube = scene.on(cluster, GLOO_GROUP, "Upstream", namespace, name)?.pointer("/spec/kube")?;
    let text = |field: &str| kube.get(field).and_then(Value::as_str).map(str::to_string);
    Some(Origin {
        cluster: cluster.clone(),
        namespace: text("serviceNamespace")?,
        service: text("serviceName")?,
        port: kube.get("servicePort").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok())?,
        pod: None,
    })
}
