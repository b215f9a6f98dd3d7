//! Service, core/v1: what a gateway's Service needs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Kind;

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Ports.
    pub ports: Vec<Port>,
    /// Labels of the pods behind it; none has no endpoints of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// How it is reached.
    #[serde(rename = "type")]
    pub service_type: ServiceType,
}

impl Kind for Service {
    const API_VERSION: &'static str = "v1";
    const KIND: &'static str = "Service";
}

/// One port.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// What is spoken, where the name does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// Name.
    pub name: String,
    /// Port on every node; only where the platform needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
    /// Port.
    pub port: u16,
    /// `TCP`.
    pub protocol: &'static str,
    /// Port of the pods.
    pub target_port: u16,
}

/// How a Service is reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ServiceType {
    /// Not at all: by an address inside its cluster.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// By an address of its own.
    LoadBalancer,
    /// By a port on every node.
    NodePort,
}
