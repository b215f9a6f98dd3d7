//! ServiceEntry, networking.istio.io (istio/api, `networking/v1/service_entry.proto`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::Kind;

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntry {
    /// Virtual addresses, so that a listener exists for the host where traffic is captured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Endpoints, where they are written down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Namespaces that see it; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// Host names.
    pub hosts: Vec<String>,
    /// `MESH_INTERNAL`: mutual TLS and Istio's telemetry.
    pub location: &'static str,
    /// Ports.
    pub ports: Vec<Port>,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// Endpoints by the labels of Pods in the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
}

impl Kind for ServiceEntry {
    const API_VERSION: &'static str = "networking.istio.io/v1";
    const KIND: &'static str = "ServiceEntry";
}

/// Inside of the mesh.
pub const MESH_INTERNAL: &str = "MESH_INTERNAL";

/// How endpoints are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Resolution {
    /// As they stand.
    #[serde(rename = "STATIC")]
    Static,
    /// By name.
    #[serde(rename = "DNS")]
    Dns,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name.
    pub name: String,
    /// Number.
    pub number: u16,
    /// Protocol, in capitals.
    pub protocol: &'static str,
    /// The Pods' port, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<u16>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// IP address; without one it is reached through the gateway of its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Labels; `security.istio.io/tlsMode: istio` says that it takes mutual TLS.
    pub labels: BTreeMap<String, String>,
    /// Where it is: `region/zone/subzone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// Its network: proxies that ask for others only do not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Port by port name.
    pub ports: BTreeMap<String, u16>,
    /// Its share of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// Pods by their labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkloadSelector {
    /// All of these.
    pub labels: BTreeMap<String, String>,
}
