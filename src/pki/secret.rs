//! Certificates as the Secrets that gateways read. What comes in: PEM. What goes out: manifests. Type
//! `kubernetes.io/tls` (Gloo rejects Opaque), with `ca.crt` on both sides, so that each verifies the other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::key::Key;
use crate::manifest::{Gvk, Hold, MANAGED_BY, Manifest, OWNER_LABEL, ObjectKey, Wave};
use crate::model::name::{ClusterName, Namespace};

/// One side's material.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The chain, leaf first.
    pub chain: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The CA to trust.
    pub ca: &'a str,
}

/// The Secret of a side.
pub fn secret(cluster: &ClusterName, namespace: &Namespace, name: &str, pair: Pair<'_>) -> Manifest {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace.as_str(),
            "labels": {MANAGED_BY.0: MANAGED_BY.1, OWNER_LABEL: "fleet"},
        },
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": STANDARD.encode(pair.chain),
            "tls.key": STANDARD.encode(pair.key.pem().as_bytes()),
            "ca.crt": STANDARD.encode(pair.ca),
        },
    });
    let key = ObjectKey {
        cluster: cluster.clone(),
        gvk: Gvk::new("v1", "Secret"),
        namespace: Some(namespace.to_string()),
        name: name.to_string(),
    };
    Manifest { key, body, hold: Hold::Own, wave: Wave::Secrets }
}
