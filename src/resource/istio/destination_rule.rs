//! DestinationRule, networking.istio.io (istio/api, `networking/v1/destination_rule.proto`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::{Kind, ProtoDuration};

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// Whose traffic it is about.
    pub host: String,
    /// Parts of its endpoints, by labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subsets: Vec<Subset>,
    /// The policy; Istio's own when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
}

impl Kind for DestinationRule {
    const API_VERSION: &'static str = "networking.istio.io/v1";
    const KIND: &'static str = "DestinationRule";
}

/// A part of a host's endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subset {
    /// What its endpoints carry: all of these.
    pub labels: BTreeMap<String, String>,
    /// Its name.
    pub name: String,
}

/// How a host is talked to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// Limits of connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// Which endpoints come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How loss is noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// How connections are secured.
    pub tls: Tls,
}

/// Limits of connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionPool {
    /// Of TCP, which HTTP stands on.
    pub tcp: Tcp,
}

/// Limits of TCP connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tcp {
    /// Time a connection may take; Istio's default is 10s.
    pub connect_timeout: ProtoDuration,
}

/// Which endpoints are chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By labels and place. It replaces the mesh's own setting as a whole.
    pub locality_lb_setting: LocalityLbSetting,
}

/// Which endpoints come first: levels, of which the next serves when one is lost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalityLbSetting {
    /// The mesh's setting may be off.
    pub enabled: bool,
    /// Where a region fails over to, before others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover: Vec<Failover>,
    /// Keys of labels: the more of them, from the first on, an endpoint has like the caller, the sooner it serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover_priority: Vec<String>,
}

/// Region to region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failover {
    /// The callers'.
    pub from: String,
    /// The one that serves next.
    pub to: String,
}

/// Passive detection. Every field is said: Istio's defaults differ from Envoy's, and 10 % ejects nobody.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Time the first ejection lasts.
    pub base_ejection_time: ProtoDuration,
    /// 5xx answers in a row, lost connections included; 0 counts none of them.
    #[serde(rename = "consecutive5xxErrors")]
    pub consecutive_5xx_errors: u32,
    /// 502, 503 and 504 in a row, lost connections included. Means something only below `consecutive5xxErrors`, or with
    /// that at 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<u32>,
    /// Time between sweeps.
    pub interval: ProtoDuration,
    /// Share of hosts that may be ejected, percent.
    pub max_ejection_percent: u32,
    /// Share of healthy hosts, percent, below which health is not looked at; Istio's default is 0, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_health_percent: Option<u32>,
}

/// The client's side of TLS.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// `ISTIO_MUTUAL`: with the identities Istio gives workloads.
    pub mode: &'static str,
    /// The identities of which a server must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
}

impl Tls {
    /// Mutual TLS with Istio's identities; without names Istio takes those it knows for the host.
    pub fn istio_mutual(subject_alt_names: Vec<String>) -> Self {
        Tls { mode: "ISTIO_MUTUAL", subject_alt_names }
    }
}
