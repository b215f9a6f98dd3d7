//! TLS contexts: certificates inline where a Secret holds them, by name (SDS) where the mesh issues them. A renewed
//! workload certificate so changes neither listeners nor clusters, and Envoy keeps what it knows of health.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{extension, set};
use crate::routing::{ClientTls, Identity, Pem, Root, ServerTls, TlsVersions};

/// The name under which Envoy asks for the workload's own certificate (Istio's).
pub const WORKLOAD_CERTIFICATE: &str = "default";
/// The name under which Envoy asks for the root of the mesh (Istio's).
pub const MESH_ROOT: &str = "ROOTCA";

/// A listener's transport socket. With a root for clients, a client must show a certificate.
pub fn server(tls: &ServerTls, source: &Value) -> Value {
    let names = tls.client_names.iter().map(|n| name_matcher(n)).chain(tls.client_trust_domains.iter().map(|t| {
        // As Istio writes it: every identity of the trust domain begins so.
        json!({ "san_type": "URI", "matcher": { "prefix": format!("spiffe://{t}/") } })
    }));
    let root = tls.client_root.as_ref().map(|root| (root, names.collect()));
    let mut context =
        json!({ "common_tls_context": common(Some(&tls.identity), root, &tls.alpn, &tls.versions, source) });
    set(&mut context, "require_client_certificate", tls.client_root.is_some().then_some(true));
    let kind = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    extension("envoy.transport_sockets.tls", kind, context)
}

/// An upstream endpoint's transport socket.
pub fn client(tls: &ClientTls, source: &Value) -> Value {
    let names = tls.server_names.iter().map(|n| name_matcher(n)).collect();
    let root = tls.server_root.as_ref().map(|root| (root, names));
    let mut context =
        json!({ "common_tls_context": common(tls.identity.as_ref(), root, &tls.alpn, &tls.versions, source) });
    set(&mut context, "sni", tls.sni.clone());
    let kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    extension("envoy.transport_sockets.tls", kind, context)
}

/// What tells one client context from another, without the material itself: a new certificate in the same Secret
/// keeps the name, so endpoints that refer to it need not change with it.
pub fn client_key(tls: &ClientTls) -> String {
    let secret = tls.secret.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut parts = vec![tls.sni.clone().unwrap_or_default(), secret];
    parts.extend([&tls.server_names, &tls.alpn].into_iter().filter(|l| !l.is_empty()).map(|l| l.join(",")));
    parts.extend([tls.versions.min.clone(), tls.versions.max.clone()].into_iter().flatten());
    if tls.server_root.is_none() {
        parts.push("any-server".into());
    }
    parts.join(" ")
}

fn common(
    identity: Option<&Identity>,
    root: Option<(&Root, Vec<Value>)>,
    alpn: &[String],
    versions: &TlsVersions,
    source: &Value,
) -> Value {
    let mut context = json!({});
    let mut params = json!({});
    set(&mut params, "tls_minimum_protocol_version", versions.min.clone());
    set(&mut params, "tls_maximum_protocol_version", versions.max.clone());
    set(&mut context, "tls_params", (params != json!({})).then_some(params));
    match identity {
        Some(Identity::Pem(pem)) => set(&mut context, "tls_certificates", Some(json!([certificate(pem)]))),
        Some(Identity::Workload) => {
            let named = json!([{ "name": WORKLOAD_CERTIFICATE, "sds_config": source }]);
            set(&mut context, "tls_certificate_sds_secret_configs", Some(named));
        }
        None => {}
    }
    match root {
        Some((Root::Pem(pem), names)) => {
            set(&mut context, "validation_context", Some(validation(Some(pem.as_str()), names)));
        }
        Some((Root::Mesh, names)) => {
            let combined = json!({
                "default_validation_context": validation(None, names),
                "validation_context_sds_secret_config": { "name": MESH_ROOT, "sds_config": source }
            });
            set(&mut context, "combined_validation_context", Some(combined));
        }
        None => {}
    }
    set(&mut context, "alpn_protocols", (!alpn.is_empty()).then(|| json!(alpn)));
    context
}

fn certificate(pem: &Pem) -> Value {
    json!({
        "certificate_chain": { "inline_string": pem.chain },
        "private_key": { "inline_string": pem.private_key() }
    })
}

/// The secrets of a workload (SDS) by name: its certificate, and the root of the mesh.
pub fn secrets(certificate: &Pem, root: &str) -> BTreeMap<String, Value> {
    let secret = |name: &str, field: &str, value: Value| {
        let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
        (name.to_string(), json!({ "@type": kind, "name": name, field: value }))
    };
    [
        secret(WORKLOAD_CERTIFICATE, "tls_certificate", self::certificate(certificate)),
        secret(MESH_ROOT, "validation_context", validation(Some(root), Vec::new())),
    ]
    .into()
}

fn validation(root: Option<&str>, matchers: Vec<Value>) -> Value {
    let mut context = json!({});
    set(&mut context, "trusted_ca", root.map(|root| json!({ "inline_string": root })));
    set(&mut context, "match_typed_subject_alt_names", (!matchers.is_empty()).then_some(matchers));
    context
}

fn name_matcher(name: &str) -> Value {
    json!({ "san_type": san_type(name), "matcher": { "exact": name } })
}

/// The kind of name, by its look: Gloo's field does not say.
fn san_type(name: &str) -> &'static str {
    match name {
        _ if name.contains("://") => "URI",
        _ if name.parse::<std::net::IpAddr>().is_ok() => "IP_ADDRESS",
        _ if name.contains('@') => "EMAIL",
        _ => "DNS",
    }
}
