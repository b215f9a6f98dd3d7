//! Whether certificates do their work: rules with stable codes. What comes in: certificates as PEM, a key to compare,
//! the time. What goes out: findings. May not know: where they were found.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;
use webpki::{EndEntityCert, KeyUsage};

use super::facts::{Facts, certificates, facts};
use super::key::Key;
use super::party::Role;
use crate::model::problem::Severity;

/// Certificates that end within this many days deserve a warning.
pub const SOON_DAYS: i64 = 30;

/// One thing worth saying about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what follows from it.
    pub what: String,
}

fn error(code: &'static str, what: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Error, what: what.into() }
}

fn warning(code: &'static str, what: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Warning, what: what.into() }
}

/// Whether nothing among the findings stops a handshake.
pub fn is_good(findings: &[Finding]) -> bool {
    findings.iter().all(|f| f.severity < Severity::Error)
}

/// One side's own material: a chain (leaf first), the CA it trusts, its key and the name the other side expects.
/// An empty `ca` means there is none.
pub fn check_side(
    role: Role,
    chain: &str,
    ca: &str,
    key: Option<&Key>,
    name: Option<&str>,
    now: Timestamp,
) -> Vec<Finding> {
    let (leaf, rest) = match read_chain(chain) {
        Ok(read) => read,
        Err(e) => return vec![error("FCK0101", e.to_string())],
    };
    let mut found = validity(&leaf, now);
    if role == Role::IstioCa {
        found.extend(authority(&leaf, ca, name, now));
    }
    if key.is_some_and(|k| k.public() != leaf.public_key) {
        found.push(error("FCK0105", "tls.key does not belong to tls.crt"));
    }
    if role == Role::IstioCa {
        return found;
    }
    let fit = match role {
        Role::Server => leaf.for_server,
        _ => leaf.for_client,
    };
    if !fit {
        found.push(error(
            "FCK0109",
            format!("its extended key usage does not allow the role of a TLS {}", role.as_str()),
        ));
    }
    if leaf.names.is_empty() {
        let what = "it has no subject alternative name: the other side can only trust the root, not the name";
        found.push(warning("FCK0108", what));
    } else if let Some(name) = name.filter(|n| !leaf.names.iter().any(|have| have == n)) {
        found.push(error("FCK0108", format!("its names do not include {name}, which the other side pins")));
    }
    if ca.trim().is_empty() {
        let other =
            if role != Role::Server { "the server is not verified" } else { "clients are not asked for a certificate" };
        found.push(warning("FCK0106", format!("there is no ca.crt: {other}")));
    } else if let Err(why) = chains_to(&leaf, &rest, ca, role, now) {
        // Only its own idea of the CA; whether the other side accepts it is a matter of the pair.
        found.push(warning("FCK0104", format!("it does not chain to its own ca.crt: {why}")));
    }
    found
}

/// What stands against a mesh's authority: whether it may sign, for whom, and whether its roots verify it.
fn authority(ca: &Facts, roots: &str, trust_domain: Option<&str>, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if !ca.is_ca || !ca.may_sign {
        found.push(error("FCK0117", "it is no certificate authority, so istiod does not start with it"));
    }
    let said = ca.names.iter().find(|n| n.starts_with("spiffe://"));
    if let (Some(said), Some(wanted)) = (said, trust_domain)
        && said != wanted
    {
        found.push(error("FCK0118", format!("it is for the trust domain {said}, the fleet says {wanted}")));
    }
    if let Err(why) = signed_by(ca, roots, now) {
        found.push(error("FCK0104", format!("it does not chain to its own root-cert.pem: {why}")));
    }
    found
}

/// Whether one of the roots signed an authority, or is it.
fn signed_by(ca: &Facts, roots: &str, now: Timestamp) -> Result<(), String> {
    let trusted: Vec<Facts> =
        certificates(roots).map_err(|e| e.to_string())?.iter().filter_map(|c| facts(c).ok()).collect();
    if trusted.iter().any(|t| t.der == ca.der) {
        return Ok(());
    }
    let named: Vec<&Facts> = trusted.iter().filter(|t| t.subject == ca.issuer).collect();
    if named.is_empty() {
        return Err(format!("its issuer ({}) is not in it", ca.issuer));
    }
    let signer = named.into_iter().find(|t| super::facts::signature_of(ca, t));
    let signer = signer.ok_or_else(|| format!("another root of the same name ({}) signed it", ca.issuer))?;
    if now > signer.not_after {
        return Err(format!("the root {} expired on {}", signer.subject, date(signer.not_after)));
    }
    Ok(())
}

/// Whether workloads under one mesh's authority are accepted by whoever trusts `roots`.
///
/// # Errors
/// Why not.
pub fn accepted(chain: &str, roots: &str, now: Timestamp) -> Result<(), String> {
    let (ca, _) = read_chain(chain).map_err(|e| e.to_string())?;
    signed_by(&ca, roots, now)
}

/// Whether two sides accept each other: each leaf must chain to the other's CA. Either CA may be missing.
pub fn check_pair(server: (&str, &str), client: (&str, &str), now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut side = |code, role: Role, chain: &str, ca: &str, sentence: &str| {
        if ca.trim().is_empty() {
            return;
        }
        let why = match read_chain(chain) {
            Ok((leaf, rest)) => chains_to(&leaf, &rest, ca, role, now).err(),
            Err(e) => Some(e.to_string()),
        };
        found.extend(why.map(|why| error(code, format!("{sentence}: {why}"))));
    };
    side("FCK0107", Role::Server, server.0, client.1, "the client's ca.crt does not verify the server's certificate");
    side("FCK0110", Role::Client, client.0, server.1, "the server's ca.crt does not verify the client's certificate");
    found
}

fn read_chain(pem: &str) -> Result<(Facts, Vec<CertificateDer<'static>>), super::Error> {
    let mut all = certificates(pem)?;
    let rest = all.split_off(1);
    Ok((facts(&all[0])?, rest))
}

fn validity(leaf: &Facts, now: Timestamp) -> Vec<Finding> {
    let days = leaf.days_left(now);
    if now > leaf.not_after {
        return vec![error("FCK0102", format!("it expired on {}", date(leaf.not_after)))];
    }
    if now < leaf.not_before {
        return vec![error("FCK0103", format!("it is valid only from {}", date(leaf.not_before)))];
    }
    if days < SOON_DAYS {
        return vec![warning("FCK0111", format!("it expires in {days} days, on {}", date(leaf.not_after)))];
    }
    Vec::new()
}

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Whether a leaf is accepted by somebody who trusts `ca`. Its own dates are judged elsewhere.
fn chains_to(
    leaf: &Facts,
    rest: &[CertificateDer<'static>],
    ca: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), String> {
    let trusted = certificates(ca).map_err(|e| e.to_string())?;
    // A leaf that is itself trusted (the way of self-signed pairs) needs no chain.
    if trusted.contains(&leaf.der) {
        return Ok(());
    }
    let anchors: Vec<TrustAnchor<'_>> =
        trusted.iter().filter_map(|c| webpki::anchor_from_trusted_cert(c).ok()).collect();
    let end = EndEntityCert::try_from(&leaf.der).map_err(|e| e.to_string())?;
    let at = now.clamp(leaf.not_before, leaf.not_after);
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.as_second().max(0).unsigned_abs()));
    let usage = if role == Role::Server { KeyUsage::server_auth() } else { KeyUsage::client_auth() };
    let verified = end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, rest, at, usage, None, None);
    match verified {
        Ok(_) => {}
        // The usage has its own rule.
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => {}
        Err(webpki::Error::UnknownIssuer) => return Err(format!("its issuer ({}) is not in it", leaf.issuer)),
        Err(webpki::Error::InvalidSignatureForPublicKey) => {
            return Err(format!("another root of the same name ({}) signed it", leaf.issuer));
        }
        Err(webpki::Error::CaUsedAsEndEntity) => {
            return Err("it is an authority's own certificate, and not in it".into());
        }
        Err(e) => return Err(e.to_string()),
    }
    let expired = trusted.iter().filter_map(|c| facts(c).ok()).find(|f| f.subject == leaf.issuer && now > f.not_after);
    expired.map_or(Ok(()), |f| Err(format!("the root {} expired on {}", f.subject, date(f.not_after))))
}
