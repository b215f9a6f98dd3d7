//! TLS contexts, certificates inline.

use serde_json::{Value, json};

use super::{extension, set};
use crate::routing::{ClientTls, Identity, ServerTls, TlsVersions};

/// A listener's transport socket. With a root for clients, a client must show a certificate.
pub fn server(tls: &ServerTls) -> Value {
    let root = tls.client_root.as_deref().map(|root| (root, tls.client_names.as_slice()));
    let mut context = json!({ "common_tls_context": common(Some(&tls.identity), root, &tls.alpn, &tls.versions) });
    set(&mut context, "require_client_certificate", tls.client_root.is_some().then_some(true));
    let kind = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    extension("envoy.transport_sockets.tls", kind, context)
}

/// An upstream endpoint's transport socket.
pub fn client(tls: &ClientTls) -> Value {
    let root = tls.server_root.as_deref().map(|root| (root, tls.server_names.as_slice()));
    let mut context = json!({ "common_tls_context": common(tls.identity.as_ref(), root, &tls.alpn, &tls.versions) });
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
    root: Option<(&str, &[String])>,
    alpn: &[String],
    versions: &TlsVersions,
) -> Value {
    let mut context = json!({});
    let mut params = json!({});
    set(&mut params, "tls_minimum_protocol_version", versions.min.clone());
    set(&mut params, "tls_maximum_protocol_version", versions.max.clone());
    set(&mut context, "tls_params", (params != json!({})).then_some(params));
    set(&mut context, "tls_certificates", identity.map(|i| json!([certificate(i)])));
    set(&mut context, "validation_context", root.map(|(pem, names)| validation(pem, names)));
    set(&mut context, "alpn_protocols", (!alpn.is_empty()).then(|| json!(alpn)));
    context
}

fn certificate(identity: &Identity) -> Value {
    json!({
        "certificate_chain": { "inline_string": identity.chain },
        "private_key": { "inline_string": identity.private_key() }
    })
}

fn validation(root: &str, names: &[String]) -> Value {
    let mut context = json!({ "trusted_ca": { "inline_string": root } });
    let matchers: Vec<Value> =
        names.iter().map(|n| json!({ "san_type": san_type(n), "matcher": { "exact": n } })).collect();
    set(&mut context, "match_typed_subject_alt_names", (!matchers.is_empty()).then_some(matchers));
    context
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
