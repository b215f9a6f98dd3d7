//! Gateway, gateway.solo.io/v1: the part of it that a failover listener needs
//! (solo-io/gloo, `projects/gateway/api/v1/gateway.proto`).

use serde::Serialize;

use super::{Empty, Kind, Reference};

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Address to listen on.
    pub bind_address: String,
    /// Port to listen on; one per proxy.
    pub bind_port: u16,
    /// A listener of connections.
    pub tcp_gateway: TcpGateway,
}

impl Kind for Gateway {
    const API_VERSION: &'static str = "gateway.solo.io/v1";
    const KIND: &'static str = "Gateway";
}

/// A listener of connections.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpGateway {
    /// Where connections go.
    pub tcp_hosts: Vec<TcpHost>,
}

/// Where connections go.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpHost {
    /// Unique name.
    pub name: String,
    /// How they are secured.
    pub ssl_config: SslConfig,
    /// To whom.
    pub destination: Destination,
}

/// The server's side of TLS.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SslConfig {
    /// Certificate, key and the root of clients.
    pub secret_ref: Reference,
    /// Names of which a client's certificate must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify_subject_alt_name: Vec<String>,
}

/// Forwards to the Envoy cluster that the client named in SNI.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Must be an empty object.
    pub forward_sni_cluster_name: Empty,
}
