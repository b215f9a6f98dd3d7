//! Gateway, networking.istio.io (istio/api, `networking/v1/gateway.proto`): a server that passes mutual TLS through.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::Kind;

/// `spec`.
#[derive(Clone, Debug, Serialize)]
pub struct Gateway {
    /// The gateway's Pods by their labels.
    pub selector: BTreeMap<String, String>,
    /// What they listen to.
    pub servers: Vec<Server>,
}

impl Kind for Gateway {
    const API_VERSION: &'static str = "networking.istio.io/v1";
    const KIND: &'static str = "Gateway";
}

/// One server.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Hosts, by SNI.
    pub hosts: Vec<String>,
    /// Port.
    pub port: Port,
    /// TLS.
    pub tls: Tls,
}

/// A server's port.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Number.
    pub number: u16,
    /// `TLS`.
    pub protocol: &'static str,
}

/// What is done with TLS.
#[derive(Clone, Debug, Serialize)]
pub struct Tls {
    /// `AUTO_PASSTHROUGH`: the cluster is named by SNI, and nothing is decrypted.
    pub mode: &'static str,
}
