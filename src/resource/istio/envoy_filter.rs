//! EnvoyFilter, networking.istio.io/v1alpha3 (istio/api, `networking/v1alpha3/envoy_filter.proto`): an aggregate cluster in
//! the place of a ServiceEntry's (Envoy, `api/envoy/extensions/clusters/aggregate/v3/cluster.proto`).

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::duration::Millis;
use crate::resource::{Kind, ProtoDuration};

/// Envoy's type of aggregate clusters.
pub const AGGREGATE: &str = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig";
/// Waiting for a connection is the members' business; Envoy wants the field all the same (Service Mesh Hub wrote 1s).
const CONNECT_TIMEOUT: Millis = Millis::secs(1);

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyFilter {
    /// Patches, in order.
    pub config_patches: Vec<ConfigPatch>,
}

impl Kind for EnvoyFilter {
    const API_VERSION: &'static str = "networking.istio.io/v1alpha3";
    const KIND: &'static str = "EnvoyFilter";
}

/// One patch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigPatch {
    /// What it changes.
    pub apply_to: &'static str,
    /// Where.
    pub r#match: Match,
    /// How.
    pub patch: Patch,
}

/// Where a patch applies.
#[derive(Clone, Debug, Serialize)]
pub struct Match {
    /// The cluster, if it is about one that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterMatch>,
    /// Which side of which proxies.
    pub context: Context,
}

/// A cluster by name.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterMatch {
    /// Envoy's name of it.
    pub name: String,
}

/// Which side of which proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Context {
    /// What sidecars send.
    #[serde(rename = "SIDECAR_OUTBOUND")]
    SidecarOutbound,
    /// Gateways.
    #[serde(rename = "GATEWAY")]
    Gateway,
}

/// What is done.
#[derive(Clone, Debug, Serialize)]
pub struct Patch {
    /// `REMOVE` or `ADD`.
    pub operation: &'static str,
    /// What is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Takes a cluster away and puts an aggregate of others under its name, the first of them preferred. `panic_below`: the share
/// of healthy hosts, percent, below which an order of its members no longer counts; Envoy's own is 50.
pub fn aggregate(name: &str, members: &[String], contexts: &[Context], panic_below: Option<u32>) -> EnvoyFilter {
    let one = |context: Context| {
        let patch = |cluster, operation, value| ConfigPatch {
            apply_to: "CLUSTER",
            r#match: Match { cluster, context },
            patch: Patch { operation, value },
        };
        let there = Some(ClusterMatch { name: name.to_string() });
        [patch(there, "REMOVE", None), patch(None, "ADD", Some(cluster(name, members, panic_below)))]
    };
    EnvoyFilter { config_patches: contexts.iter().flat_map(|c| one(*c)).collect() }
}

/// The cluster. Its circuit breakers are open wide: the members have their own, and Envoy's default of three retries at
/// a time costs requests whenever a broken host is let back in.
fn cluster(name: &str, members: &[String], panic_below: Option<u32>) -> Value {
    let most = u32::MAX;
    let mut cluster = json!({
        "name": name,
        "circuit_breakers": { "thresholds": [{
            "max_connections": most, "max_pending_requests": most, "max_requests": most, "max_retries": most,
        }] },
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": { "@type": AGGREGATE, "clusters": members },
        },
        "connect_timeout": ProtoDuration(CONNECT_TIMEOUT),
        "lb_policy": "CLUSTER_PROVIDED",
    });
    if let Some(percent) = panic_below {
        cluster["common_lb_config"] = json!({ "healthy_panic_threshold": { "value": percent } });
    }
    cluster
}
