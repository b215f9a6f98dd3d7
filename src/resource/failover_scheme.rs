//! FailoverScheme, fed.solo.io/v1 (solo-apis, `fed/v1/failover.proto`).

use serde::Serialize;

use super::{Kind, Reference};

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailoverScheme {
    /// Backup groups in order.
    pub failover_groups: Vec<FailoverGroup>,
    /// The Upstream that serves while all is well.
    pub primary: Primary,
}

impl Kind for FailoverScheme {
    const API_VERSION: &'static str = "fed.solo.io/v1";
    const KIND: &'static str = "FailoverScheme";
}

/// The primary says `clusterName`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Primary {
    /// The cluster's registered name.
    pub cluster_name: String,
    /// The Upstream.
    #[serde(flatten)]
    pub upstream: Reference,
}

/// Targets that share a priority.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailoverGroup {
    /// The targets.
    pub priority_group: Vec<Target>,
}

/// A target says `cluster`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The cluster's registered name.
    pub cluster: String,
    /// The Upstreams there.
    pub upstreams: Vec<Reference>,
    /// Share within the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality_weight: Option<u32>,
}
