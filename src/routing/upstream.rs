//! An upstream: its priority levels, how their health is known, and its limits.
//! What comes in: parts read from objects. What goes out: where requests may go, and in which order.
//! May not know: which vendor's objects it came from, Envoy's configuration.

use serde::Serialize;

use super::ClientTls;
use crate::manifest::ObjectKey;
use crate::model::duration::Millis;
use crate::model::name::ClusterName;

/// One upstream of a proxy (an Envoy cluster).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Envoy's cluster name.
    pub name: String,
    /// The object it was read from.
    pub object: ObjectKey,
    /// What it is made of.
    #[serde(skip_serializing_if = "Shape::is_plain")]
    pub shape: Shape,
    /// Priority levels; lower index first. Never empty where it has endpoints of its own, though a level may have no
    /// endpoint; empty for an aggregate.
    pub levels: Vec<Level>,
    /// Active checks.
    pub health_checks: Vec<HealthCheck>,
    /// Passive detection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier: Option<Outlier>,
    /// Limits.
    pub breakers: Breakers,
    /// Time to connect.
    pub connect_timeout: Millis,
    /// Below this share of usable hosts (percent) health is ignored; none is Envoy's 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic_threshold: Option<u32>,
    /// How long changes of health are gathered; none is Envoy's 1 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_window: Option<Millis>,
    /// Percent; none is Envoy's 140.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overprovisioning: Option<u32>,
    /// Locality weights count.
    pub locality_weighted: bool,
    /// Hosts that leave the endpoints leave at once, even while their checks pass.
    pub ignore_health_on_removal: bool,
    /// How a host is picked.
    pub balancer: Balancer,
    /// Speaks HTTP/2 to the upstream.
    pub http2: bool,
}

impl Upstream {
    /// All endpoints with their level.
    pub fn endpoints(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(i, l)| l.localities.iter().flat_map(|l| &l.endpoints).map(move |e| (i, e)))
    }
}

/// What an upstream is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// Endpoints of its own.
    #[default]
    Endpoints,
    /// Other upstreams by name, the preferred first: their priorities in a row are its priorities. A member brings its
    /// own detection, balancing and limits, but the limit on retries is this one's (Envoy's aggregate cluster).
    Aggregate(Vec<String>),
}

impl Shape {
    /// Whether it has endpoints of its own.
    pub fn is_plain(&self) -> bool {
        *self == Shape::Endpoints
    }
}

/// Endpoints of one priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Level {
    /// By place.
    pub localities: Vec<Locality>,
}

/// Endpoints in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Locality {
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Part of a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_zone: Option<String>,
    /// Share within its level; counts only where the upstream weighs localities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One address that can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// IP address or DNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Share within its locality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// TLS towards it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// What stands behind it, as far as the objects tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Its own way of being checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckOverride>,
    /// Known to the proxy, and no request goes to it: it takes its part in its priority's share, as one that is not well.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unready: bool,
    /// Why a proxy cannot use it. It is then left out of its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// What stands behind an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// The cluster.
    pub cluster: ClusterName,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port of the Service.
    pub port: u16,
    /// The pod, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// How one endpoint is checked differently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckOverride {
    /// Other port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Other host header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Time one check may take.
    pub timeout: Millis,
    /// From the end of one check to the next.
    pub interval: Millis,
    /// Network failures in a row before a host is unhealthy.
    pub unhealthy_threshold: u32,
    /// Passes in a row before it is healthy again.
    pub healthy_threshold: u32,
    /// What is asked.
    pub check: Check,
    /// Interval while this upstream never had a connection; none is Envoy's 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_traffic_interval: Option<Millis>,
    /// Interval for unhealthy hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_interval: Option<Millis>,
    /// Interval while a host is turning unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_edge_interval: Option<Millis>,
    /// Interval while a host is turning healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_edge_interval: Option<Millis>,
    /// Random wait before the first check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_jitter: Option<Millis>,
    /// Random addition to the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_jitter: Option<Millis>,
    /// Random addition to the interval, percent of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_jitter_percent: Option<u32>,
    /// Keeps the connection between checks; none is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse_connection: Option<bool>,
}

/// What an active check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// An HTTP request.
    Http {
        /// Path.
        path: String,
        /// Host header; none is the cluster name.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Method; none is GET.
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        /// Statuses that pass, as half-open ranges; empty is 200 alone.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        expected: Vec<(u16, u16)>,
    },
    /// A TCP connection.
    Tcp,
    /// gRPC's health service.
    Grpc {
        /// Service name; empty is the whole server.
        service: String,
    },
}

/// Passive detection: everything absent is Envoy's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlier {
    /// Time between sweeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Millis>,
    /// First ejection time; grows with every ejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Millis>,
    /// Longest ejection time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_time: Option<Millis>,
    /// Whole-number settings by Envoy's own name, for example `consecutive_5xx`.
    pub settings: std::collections::BTreeMap<&'static str, u32>,
    /// Errors made by the proxy itself are counted apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_local_errors: Option<bool>,
    /// A passing active check ends an ejection; none is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_unejects: Option<bool>,
}

/// Limits of an upstream; absent is Envoy's default (1024, retries 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breakers {
    /// Connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests waiting for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Requests in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Retries in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
}

/// How a host is picked within a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Balancer {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The less busy of this many picks.
    LeastRequest {
        /// Picks.
        choices: u32,
    },
    /// At random.
    Random,
    /// By hash on a ring.
    RingHash,
    /// By Maglev hash.
    Maglev,
}
