//! Secret of type kubernetes.io/tls, core/v1. Gloo refuses other types; `ca.crt` in it is the root of the other side.

use serde::Serialize;

use super::Meta;

/// A TLS secret. It has no `Debug`: a key must not be printed.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSecret {
    /// `v1`.
    pub api_version: &'static str,
    /// `Secret`.
    pub kind: &'static str,
    /// Metadata.
    pub metadata: Meta,
    /// `kubernetes.io/tls`.
    #[serde(rename = "type")]
    pub secret_type: &'static str,
    /// The three files.
    pub data: TlsData,
}

/// Base64 of PEM.
#[derive(Clone, Serialize)]
pub struct TlsData {
    /// The root that the other side's certificate must come from.
    #[serde(rename = "ca.crt")]
    pub ca_crt: String,
    /// Certificate chain.
    #[serde(rename = "tls.crt")]
    pub tls_crt: String,
    /// Private key.
    #[serde(rename = "tls.key")]
    pub tls_key: String,
}

impl TlsSecret {
    /// A TLS secret.
    pub fn new(metadata: Meta, data: TlsData) -> Self {
        TlsSecret { api_version: "v1", kind: "Secret", metadata, secret_type: "kubernetes.io/tls", data }
    }
}
