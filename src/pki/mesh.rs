//! A service mesh's certificates: an intermediate authority per cluster under the fleet's root, workloads' leaves under
//! an intermediate. What comes in: authorities, SPIFFE identities, keys, the time. What goes out: PEM. May not know:
//! Secrets, clusters, who asks for a leaf.
//! The forms are Istio's (tools/certs: `pathlen:0`, the name of istiod, the workload's identity as the only name);
//! the trust domain stands in the intermediate too, without a path, as SPIFFE's X509-SVID has it for signing
//! certificates, so that a chain says for itself whom it may speak for.

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};

use super::Error;
use super::issue::{Issued, Serial, issue, params_until, signed};
use super::key::Key;
use crate::model::identity;
use crate::model::name::ClusterName;

/// For whom an intermediate authority is.
#[derive(Clone, Copy, Debug)]
pub struct Intermediate<'a> {
    /// The fleet.
    pub fleet: &'a str,
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// The trust domain of its workloads.
    pub trust_domain: &'a str,
    /// Where Istio's control plane runs.
    pub namespace: &'a str,
}

/// An intermediate authority, signed by the fleet's root: it signs workloads (path length 0), nothing else. Its last
/// day is never after the root's.
///
/// # Errors
/// When the root is no authority, may not sign other authorities, or its key is another's.
pub fn issue_intermediate(
    party: &Intermediate<'_>,
    key: Key,
    root: &Issued,
    now: Timestamp,
    days: u32,
    serial: Serial,
) -> Result<Issued, Error> {
    let end = now + SignedDuration::from_hours(24 * i64::from(days));
    let mut params = params_until(now, end, serial)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, party.fleet);
    name.push(DnType::CommonName, identity::INTERMEDIATE);
    name.push(DnType::LocalityName, party.cluster.as_str());
    params.distinguished_name = name;
    let uri = identity::trust_domain(party.trust_domain);
    params.subject_alt_names = vec![
        SanType::DnsName(identity::istiod(party.namespace).try_into().map_err(issue)?),
        SanType::URI(uri.try_into().map_err(issue)?),
    ];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    signed(params, key, root)
}

/// An authority that signed itself, for a mesh nobody gave one: what istiod makes when there is no `cacerts`. Nobody
/// outside of its cluster trusts it.
pub fn issue_mesh_root(
    trust_domain: &str,
    key: Key,
    now: Timestamp,
    days: u32,
    serial: Serial,
) -> Result<Issued, Error> {
    let end = now + SignedDuration::from_hours(24 * i64::from(days));
    let mut params = params_until(now, end, serial)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, trust_domain);
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key.pair).map_err(issue)?.pem();
    Ok(Issued { certificate, key })
}

/// A workload's certificate under an authority: for servers and clients, with the SPIFFE identity as its only name
/// (critical, since there is no subject). `authority.certificate` may be a chain; the authority itself stands first.
/// Valid for `validity`, but never longer than the authority. What comes back is the leaf alone: see [`chained`].
///
/// # Errors
/// When the authority cannot sign, or the identity is no URI.
pub fn issue_workload(
    authority: &Issued,
    spiffe: &str,
    key: Key,
    now: Timestamp,
    validity: SignedDuration,
    serial: Serial,
) -> Result<Issued, Error> {
    let mut params = params_until(now, now + validity, serial)?;
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(spiffe.try_into().map_err(issue)?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    signed(params, key, authority)
}

/// A leaf followed by what it needs to be verified from a root: the chain without authorities that signed themselves,
/// which whoever verifies has to have already.
///
/// # Errors
/// When the chain cannot be read.
pub fn chained(leaf: &str, chain: &str) -> Result<String, Error> {
    let mut text = leaf.trim_end().to_string() + "\n";
    for (block, der) in blocks(chain).zip(super::certificates(chain)?) {
        let facts = super::facts(&der)?;
        if facts.subject != facts.issuer {
            text += block.trim();
            text.push('\n');
        }
    }
    Ok(text)
}

/// The certificates of a PEM text, as text.
pub(super) fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END).filter_map(|part| part.find("-----BEGIN CERTIFICATE-----").map(|at| &part[at..]))
}
