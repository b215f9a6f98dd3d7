//! VirtualService, networking.istio.io (istio/api, `networking/v1/virtual_service.proto`): routes of a mesh.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::resource::{Kind, ProtoDuration};

/// `spec`. Without `gateways` it is about what sidecars send.
#[derive(Clone, Debug, Serialize)]
pub struct VirtualService {
    /// Hosts.
    pub hosts: Vec<String>,
    /// Routes; the first that matches answers.
    pub http: Vec<HttpRoute>,
}

impl Kind for VirtualService {
    const API_VERSION: &'static str = "networking.istio.io/v1";
    const KIND: &'static str = "VirtualService";
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// What it matches: any of these; everything when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub r#match: Vec<HttpMatch>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When requests are tried again; Istio's own rule when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Where it goes.
    pub route: Vec<Destination>,
    /// Time a whole request may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<ProtoDuration>,
}

/// What a route matches: all of what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// Headers by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// Method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Text>,
    /// Port of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Query parameters by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query_params: BTreeMap<String, Text>,
    /// Labels of the sender.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_labels: BTreeMap<String, String>,
    /// Namespace of the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// Path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<Text>,
    /// Headers that must not be so, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub without_headers: BTreeMap<String, Text>,
}

/// How a text is matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Text {
    /// As it stands.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// RE2, the whole text.
    Regex(String),
}

impl Text {
    /// Any text that is there: Istio has no word for it but this.
    pub fn present() -> Self {
        Text::Regex(".*".into())
    }

    /// As JSON, for tests and messages.
    pub fn value(&self) -> Value {
        crate::resource::body(self)
    }
}

/// When requests are tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Retries after the first attempt; 0 turns them off.
    pub attempts: u32,
    /// Time one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<ProtoDuration>,
    /// Envoy's conditions, separated by commas; Istio's own when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<String>,
    /// Leaves priorities that were tried (Envoy's previous_priorities, two attempts each).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_remote_localities: Option<bool>,
}

/// Where a route goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Destination {
    /// The host.
    pub destination: Host,
    /// Share of the requests, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: HostPort,
    /// A DestinationRule's name for a part of its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
}

/// A port by number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HostPort {
    /// Number.
    pub number: u16,
}

impl Destination {
    /// All requests to a host's port.
    pub fn to(host: impl Into<String>, port: u16) -> Self {
        let destination = Host { host: host.into(), port: HostPort { number: port }, subset: None };
        Destination { destination, weight: None }
    }
}
