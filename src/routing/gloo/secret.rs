//! TLS material from Secrets (Gloo's sslConfig and upstreamSslConfig). What comes in: a reference in an object.
//! What goes out: what a proxy shows and whom it trusts, or a finding about the object that refers to it.
//! Rules: type `kubernetes.io/tls` only; a certificate needs its key and the reverse; names to verify need a root.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Scene;
use crate::routing::read::At;
use crate::routing::{ClientTls, Identity, Root, SecretRef, ServerTls, TlsVersions};

/// The parts of a TLS Secret.
struct Material {
    identity: Option<Identity>,
    root: Option<String>,
}

/// A listener's TLS from an `sslConfig`; nothing (and a finding) when it cannot work.
pub fn server(scene: &Scene, at: &At) -> Option<ServerTls> {
    let (secret, material) = match resolve(scene, at) {
        Ok(found) => found,
        Err(why) => {
            at.reject_hint("FCT0510", format!("{}: {why}", at.path()), secret_hint(at));
            return None;
        }
    };
    let Some(secret) = secret else {
        at.reject("FCT0510", format!("{}: no secretRef, so there is no certificate to show", at.path()));
        return None;
    };
    let Some(identity) = material.identity else {
        at.reject("FCT0510", format!("{}: Secret {secret} holds no tls.crt and tls.key", at.path()));
        return None;
    };
    let one_way = at.get("oneWayTls").bool().unwrap_or(false);
    let alpn = at.get("alpnProtocols").strings();
    Some(ServerTls {
        secret: Some(secret),
        identity,
        client_root: material.root.filter(|_| !one_way).map(Root::Pem),
        client_names: at.get("verifySubjectAltName").strings(),
        client_trust_domains: Vec::new(),
        sni: at.get("sniDomains").strings(),
        alpn: if alpn.is_empty() { vec!["h2".into(), "http/1.1".into()] } else { alpn },
        versions: versions(at),
    })
}

/// An upstream's TLS from an `upstreamSslConfig`, or why it cannot work.
pub fn client(scene: &Scene, at: &At) -> Result<ClientTls, String> {
    let (secret, material) = resolve(scene, at)?;
    let one_way = at.get("oneWayTls").bool().unwrap_or(false);
    Ok(ClientTls {
        sni: at.get("sni").string(),
        secret,
        identity: material.identity,
        server_root: material.root.filter(|_| !one_way).map(Root::Pem),
        server_names: at.get("verifySubjectAltName").strings(),
        alpn: at.get("alpnProtocols").strings(),
        versions: versions(at),
    })
}

/// What to do about a Secret that is missing or wrong.
pub fn secret_hint(at: &At) -> String {
    match at.get("secretRef").reference() {
        Some(s) => format!(
            "write it as type kubernetes.io/tls with tls.crt, tls.key and ca.crt: failctl certs install, or kubectl -n {} get secret {} to see what is there",
            s.namespace, s.name
        ),
        None => "name a Secret under secretRef".into(),
    }
}

fn resolve(scene: &Scene, at: &At) -> Result<(Option<SecretRef>, Material), String> {
    for unsupported in ["sslFiles", "sds"] {
        if at.get(unsupported).is_some() {
            return Err(format!("{unsupported} cannot be read from outside the proxy; use secretRef"));
        }
    }
    let reference = at.get("secretRef").reference();
    let material = match &reference {
        None => Material { identity: None, root: None },
        Some(secret) => material(scene, secret)?,
    };
    if at.get("verifySubjectAltName").is_some() && material.root.is_none() {
        return Err("verifySubjectAltName needs a root: the Secret has no ca.crt".into());
    }
    Ok((reference, material))
}

fn material(scene: &Scene, secret: &SecretRef) -> Result<Material, String> {
    let found = scene.get("", "Secret", &secret.namespace, &secret.name);
    let body = found.ok_or_else(|| format!("there is no Secret {secret}"))?;
    let kind = body.get("type").and_then(Value::as_str).unwrap_or("Opaque");
    if kind != "kubernetes.io/tls" {
        return Err(format!(
            "Secret {secret} is of type {kind}, not kubernetes.io/tls, and Gloo does not read it as TLS"
        ));
    }
    let entry = |key: &str| pem(body, key).map_err(|why| format!("Secret {secret}: {key} {why}"));
    let (chain, key, root) = (entry("tls.crt")?, entry("tls.key")?, entry("ca.crt")?);
    let identity = match (chain, key) {
        (Some(chain), Some(key)) => Some(Identity::new(chain, key)),
        (None, None) => None,
        _ => return Err(format!("Secret {secret} holds a certificate without its key, or the reverse")),
    };
    Ok(Material { identity, root })
}

/// One entry of a Secret as text; empty counts as absent. `stringData` is what a rendered Secret may still carry.
fn pem(body: &Value, key: &str) -> Result<Option<String>, &'static str> {
    if let Some(text) = body.get("stringData").and_then(|d| d.get(key)).and_then(Value::as_str) {
        return Ok(Some(text.to_string()).filter(|t| !t.is_empty()));
    }
    let Some(encoded) = body.get("data").and_then(|d| d.get(key)).and_then(Value::as_str) else { return Ok(None) };
    let bytes = STANDARD.decode(encoded).map_err(|_| "is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "is not PEM text")?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains("-----BEGIN ") { Ok(Some(text)) } else { Err("is not PEM text") }
}

fn versions(at: &At) -> TlsVersions {
    let parameters = at.get("parameters");
    let version = |field: &str| {
        let value = parameters.get(field).string()?;
        let known = ["TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];
        match value.as_str() {
            "TLS_AUTO" => None,
            v if known.contains(&v) => Some(value),
            _ => {
                parameters.reject(
                    "FCT0501",
                    format!("{}.{field}: `{value}` is not a TLS version; write for example TLSv1_2", parameters.path()),
                );
                None
            }
        }
    };
    TlsVersions { min: version("minimumProtocolVersion"), max: version("maximumProtocolVersion") }
}
