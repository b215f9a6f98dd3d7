//! Upstream, gloo.solo.io/v1: the fields failctl adds to an Upstream that is there
//! (solo-io/gloo, `projects/gloo/api/v1/{upstream,failover,connection,load_balancer}.proto`).

use serde::Serialize;

use super::{Empty, Kind, ProtoDuration, Reference};

/// `spec`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breakers: Option<CircuitBreakers>,
    /// Connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_config: Option<ConnectionConfig>,
    /// Where traffic goes when the hosts of this Upstream are lost (Enterprise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// Active checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// A host that left the endpoints is not used any more, even while its checks pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_health_on_host_removal: Option<bool>,
    /// Balancing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_config: Option<LoadBalancerConfig>,
    /// Passive checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_config: Option<SslConfig>,
}

impl Kind for Upstream {
    const API_VERSION: &'static str = "gloo.solo.io/v1";
    const KIND: &'static str = "Upstream";
}

/// TLS towards an Upstream's own hosts (solo-io/gloo, `projects/gloo/api/v1/ssl/ssl.proto`, UpstreamSslConfig).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SslConfig {
    /// Application protocols offered.
    pub alpn_protocols: Vec<&'static str>,
    /// Certificate, key and the root of the hosts.
    pub secret_ref: Reference,
    /// Names of which a host's certificate must have one.
    pub verify_subject_alt_name: Vec<String>,
}

/// Limits.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CircuitBreakers {
    /// Retries under way at once.
    pub max_retries: u32,
}

/// Connections.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionConfig {
    /// Time a connection may take to be made.
    pub connect_timeout: ProtoDuration,
}

/// An active check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Passes before a host is back.
    pub healthy_threshold: u32,
    /// Asked over HTTP.
    pub http_health_check: HttpHealthCheck,
    /// Time between checks.
    pub interval: ProtoDuration,
    /// Time between checks while no traffic has ever flowed.
    pub no_traffic_interval: ProtoDuration,
    /// Time one check may take.
    pub timeout: ProtoDuration,
    /// Failures before a host is out.
    pub unhealthy_threshold: u32,
}

/// A check over HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct HttpHealthCheck {
    /// Path.
    pub path: String,
}

/// Passive checks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Time of the first ejection.
    pub base_ejection_time: ProtoDuration,
    /// Answers of 5xx in a row.
    #[serde(rename = "consecutive5xx")]
    pub consecutive_5xx: u32,
    /// Percent of times that a success-rate outlier is ejected.
    pub enforcing_success_rate: u32,
    /// Time between sweeps.
    pub interval: ProtoDuration,
    /// Share of hosts.
    pub max_ejection_percent: u32,
}

/// Balancing.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerConfig {
    /// Percent of healthy hosts below which health is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_panic_threshold: Option<u32>,
    /// Makes weights of localities count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality_weighted_lb_config: Option<Empty>,
    /// Time that changes of health may wait for each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_merge_window: Option<ProtoDuration>,
}

/// Backups.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Backup groups in order; Gloo Enterprise places them after the Upstream's own hosts.
    pub prioritized_localities: Vec<PrioritizedLocality>,
}

/// One backup group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrioritizedLocality {
    /// Its places.
    pub locality_endpoints: Vec<LocalityEndpoints>,
}

/// The endpoints of one place.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalityEndpoints {
    /// Endpoints.
    pub lb_endpoints: Vec<LbEndpoint>,
    /// Share within the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancing_weight: Option<u32>,
    /// Where it is.
    #[serde(skip_serializing_if = "Locality::is_empty")]
    pub locality: Locality,
}

/// Where endpoints are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
}

impl Locality {
    fn is_empty(&self) -> bool {
        *self == Locality::default()
    }
}

/// An endpoint: another cluster's failover gateway.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LbEndpoint {
    /// IP address or DNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// How it is reached.
    pub upstream_ssl_config: UpstreamSslConfig,
}

/// The client's side of TLS.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamSslConfig {
    /// Certificate, key and the root of servers.
    pub secret_ref: Reference,
    /// What the gateway forwards by.
    pub sni: String,
    /// Names of which the server's certificate must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify_subject_alt_name: Vec<String>,
}
