//! A proxy → Envoy's configuration (v3 API) as JSON values, resource by resource.
//! What comes in: a [`Proxy`], the address of the pod that runs it, where endpoints and routes are fetched from.
//! What goes out: listeners, route tables, clusters, endpoint assignments. Certificates and keys travel inline.
//! May not know: who serves it and how.
//!
//! Endpoints are resources of their own (EDS), so that a change of endpoints keeps what Envoy knows of the health of
//! the others; a change of a cluster makes Envoy build and check it anew.

mod access_log;
mod bootstrap;
mod cluster;
mod endpoints;
mod listener;
mod rbac;
mod route;
mod tls;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::model::duration::Millis;
use crate::routing::{ListenerKind, Proxy};

pub use bootstrap::{XDS_CLUSTER, bootstrap, bootstrap_of, rest_source};
pub use tls::{MESH_ROOT, WORKLOAD_CERTIFICATE, secrets};

/// Addresses of DNS names among the endpoints; Envoy takes only addresses in EDS.
pub type Names = BTreeMap<String, Vec<IpAddr>>;

/// Where a configuration is for.
pub struct Place<'a> {
    /// The pod's address: what `::` and `0.0.0.0` become.
    pub bind: IpAddr,
    /// Envoy's ConfigSource for route tables and endpoints.
    pub source: &'a Value,
    /// Addresses of DNS names.
    pub names: &'a Names,
}

/// Resources by name, one map for each kind Envoy subscribes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// LDS.
    pub listeners: BTreeMap<String, Value>,
    /// RDS.
    pub routes: BTreeMap<String, Value>,
    /// CDS.
    pub clusters: BTreeMap<String, Value>,
    /// EDS.
    pub endpoints: BTreeMap<String, Value>,
}

/// The whole configuration of one pod of a proxy.
pub fn resources(proxy: &Proxy, place: &Place) -> Resources {
    let mut all = Resources::default();
    for listener in &proxy.listeners {
        all.listeners.insert(listener.name.clone(), listener::listener(listener, proxy, place));
        if let ListenerKind::Http(chains) = &listener.kind {
            all.routes.extend(chains.iter().map(|c| {
                (c.name.clone(), route::table(c, listener.side, proxy.tags.get("version").map(String::as_str)))
            }));
        }
    }
    for (name, upstream) in &proxy.upstreams {
        all.clusters.insert(name.clone(), cluster::cluster(upstream, place));
        if upstream.shape.is_plain() {
            all.endpoints.insert(name.clone(), endpoints::assignment(upstream, place.names));
        }
    }
    all
}

/// A typed extension: `{name, typed_config: {"@type": ...}}`.
fn extension(name: &str, kind: &str, mut config: Value) -> Value {
    if let Some(fields) = config.as_object_mut() {
        fields.shift_insert(0, "@type".into(), json!(format!("type.googleapis.com/{kind}")));
    }
    json!({ "name": name, "typed_config": config })
}

/// A length of time in protobuf's JSON.
fn duration(ms: Millis) -> Value {
    let (seconds, rest) = (ms.0 / 1000, ms.0 % 1000);
    if rest == 0 { json!(format!("{seconds}s")) } else { json!(format!("{seconds}.{rest:03}s")) }
}

/// Sets a field unless there is nothing to set.
fn set(target: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let (Some(value), Some(fields)) = (value, target.as_object_mut()) {
        fields.insert(field.into(), value.into());
    }
}
