//! Envoy's admin answers. What comes in: bytes of `/clusters?format=json` and `/stats?format=json`.
//! What goes out: hosts with priority, health and counters; counters by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer is not what Envoy's admin port says.
#[derive(Debug, thiserror::Error)]
#[error("this is not an answer of Envoy's admin port: {0}")]
pub struct NotEnvoy(#[from] serde_json::Error);

/// One host of one cluster, as a running Envoy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Cluster name.
    pub cluster: String,
    /// IP address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// 0 is the primary.
    pub priority: u32,
    /// Share.
    pub weight: u32,
    /// Region, if set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Zone, if set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Why it is not usable; empty is healthy.
    pub failed: Vec<Failed>,
    /// Usable only when nothing better is left.
    pub degraded: bool,
    /// Counters.
    pub counters: Counters,
}

impl Host {
    /// Whether it may be picked without reservation.
    pub fn healthy(&self) -> bool {
        self.failed.is_empty() && !self.degraded
    }

    /// Whether it may be picked at all. A host that left the endpoints is used as long as its checks pass.
    pub fn usable(&self) -> bool {
        self.failed.iter().all(|f| *f == Failed::Removed)
    }
}

/// Why a host is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failed {
    /// An active check failed, or none has passed yet.
    ActiveCheck,
    /// Outlier detection ejected it.
    Outlier,
    /// Whoever hands out endpoints says so.
    Endpoint,
    /// Its last check timed out.
    Timeout,
    /// It left the endpoints and waits for its checks to fail.
    Removed,
}

/// Counters of a host since its cluster was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests.
    pub requests: u64,
    /// Answers that were good.
    pub success: u64,
    /// Answers that were not, and resets.
    pub error: u64,
    /// Requests that took too long.
    pub timeout: u64,
    /// Connections that failed.
    pub connect_fail: u64,
    /// Requests in flight.
    pub active: u64,
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<ClusterStatus>,
}

#[derive(Deserialize)]
struct ClusterStatus {
    name: String,
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

#[derive(Deserialize)]
struct HostStatus {
    address: Address,
    #[serde(default)]
    stats: Vec<Stat>,
    #[serde(default)]
    health_status: Health,
    #[serde(default)]
    priority: u32,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    locality: Place,
}

#[derive(Deserialize)]
struct Address {
    socket_address: Option<SocketAddress>,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

/// Envoy writes 64-bit values in quotes, and leaves zero out.
#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Health {
    eds_health_status: Option<String>,
    failed_active_health_check: bool,
    failed_outlier_check: bool,
    failed_active_degraded_check: bool,
    active_hc_timeout: bool,
    pending_dynamic_removal: bool,
    pending_active_hc: bool,
    excluded_via_immediate_hc_fail: bool,
}

impl Health {
    fn failed(&self) -> Vec<Failed> {
        let endpoint = matches!(self.eds_health_status.as_deref(), Some("UNHEALTHY" | "DRAINING" | "TIMEOUT"));
        let active = self.failed_active_health_check || self.pending_active_hc || self.excluded_via_immediate_hc_fail;
        let all = [
            (active, Failed::ActiveCheck),
            (self.failed_outlier_check, Failed::Outlier),
            (endpoint, Failed::Endpoint),
            (self.active_hc_timeout && active, Failed::Timeout),
            (self.pending_dynamic_removal, Failed::Removed),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, why)| why).collect()
    }

    fn degraded(&self) -> bool {
        self.failed_active_degraded_check || self.eds_health_status.as_deref() == Some("DEGRADED")
    }
}

/// Hosts of `/clusters?format=json`, in Envoy's order. Hosts without an IP address are left out.
pub fn hosts(answer: &[u8]) -> Result<Vec<Host>, NotEnvoy> {
    let clusters: Clusters = serde_json::from_slice(answer)?;
    let of = |c: ClusterStatus| {
        let name = c.name;
        c.host_statuses.into_iter().filter_map(move |h| host(&name, h))
    };
    Ok(clusters.cluster_statuses.into_iter().flat_map(of).collect())
}

fn host(cluster: &str, from: HostStatus) -> Option<Host> {
    let socket = from.address.socket_address?;
    let stat = |name: &str| from.stats.iter().find(|s| s.name == name).and_then(|s| number(&s.value)).unwrap_or(0);
    Some(Host {
        cluster: cluster.into(),
        address: socket.address,
        port: socket.port_value,
        priority: from.priority,
        weight: from.weight,
        failed: from.health_status.failed(),
        degraded: from.health_status.degraded(),
        counters: Counters {
            requests: stat("rq_total"),
            success: stat("rq_success"),
            error: stat("rq_error"),
            timeout: stat("rq_timeout"),
            connect_fail: stat("cx_connect_fail"),
            active: stat("rq_active"),
        },
        region: from.locality.region,
        zone: from.locality.zone,
    })
}

fn number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|s| s.parse().ok()))
}

/// Counters and gauges of `/stats?format=json`; histograms and text are left out.
pub fn stats(answer: &[u8]) -> Result<BTreeMap<String, u64>, NotEnvoy> {
    #[derive(Deserialize)]
    struct Stats {
        stats: Vec<Stat>,
    }
    let all: Stats = serde_json::from_slice(answer)?;
    let known = all.stats.into_iter().filter(|s| !s.name.is_empty());
    Ok(known.filter_map(|s| number(&s.value).map(|n| (s.name, n))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Envoy 1.40 says of one upstream with a backup that has not passed a check.
    const CLUSTERS: &str = r#"{"cluster_statuses":[{"name":"blue_gloo-system","added_via_api":true,
        "host_statuses":[
         {"address":{"socket_address":{"address":"127.9.2.1","port_value":10000}},
          "stats":[{"name":"cx_connect_fail"},{"value":"7","name":"cx_total"},{"value":"12","name":"rq_total"},
                   {"value":"2","name":"rq_active","type":"GAUGE"},{"value":"11","name":"rq_success"}],
          "health_status":{"eds_health_status":"HEALTHY"},"weight":1,"locality":{}},
         {"address":{"socket_address":{"address":"127.9.1.1","port_value":15443}},
          "stats":[{"name":"rq_total"}],
          "health_status":{"eds_health_status":"HEALTHY","failed_active_health_check":true,"active_hc_timeout":true},
          "weight":1,"priority":1,"locality":{"region":"us-east-1","zone":"us-east-1c"}},
         {"address":{"pipe":{"path":"/tmp/x"}}}]},
        {"name":"xds_cluster"}]}"#;

    #[test]
    fn hosts_are_read_with_priority_health_and_counters() {
        let all = hosts(CLUSTERS.as_bytes()).unwrap();
        assert_eq!(all.len(), 2);
        assert!(all[0].healthy());
        let expected = Counters { requests: 12, success: 11, active: 2, ..Counters::default() };
        assert_eq!((all[0].priority, all[0].counters), (0, expected));
        assert_eq!((all[1].priority, all[1].region.as_str(), all[1].port), (1, "us-east-1", 15443));
        assert_eq!(all[1].failed, [Failed::ActiveCheck, Failed::Timeout]);
    }

    #[test]
    fn counters_are_read_and_histograms_left_out() {
        let text = r#"{"stats":[{"name":"a.b","value":3},{"name":"c","value":"text"},
            {"histograms":{"supported_quantiles":[0,25]}},{"name":"d"}]}"#;
        assert_eq!(stats(text.as_bytes()).unwrap(), [("a.b".to_string(), 3)].into());
    }

    #[test]
    fn another_answer_is_refused() {
        assert!(hosts(b"<html>").unwrap_err().to_string().starts_with("this is not an answer"));
        assert!(stats(b"{}").is_err());
    }
}
