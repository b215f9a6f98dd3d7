//! Certificates, issued. What comes in: keys, names, the time and a serial number. What goes out: PEM. The same
//! arguments give the same certificate, up to the signature (ECDSA signs with fresh randomness).

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;

use super::check::{check_side, is_good};
use super::facts::{Facts, certificates, facts};
use super::key::Key;
use super::party::{Party, Role};
use super::{Error, Finding};
use crate::model::identity;

/// 16 random bytes; the sign bit is cleared when used.
pub type Serial = [u8; 16];

/// Clocks of clusters differ: a certificate is valid a little before it is made.
const BACKDATE: SignedDuration = SignedDuration::from_mins(10);

/// How long certificates are valid, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The root.
    pub root: u32,
    /// Leaves.
    pub leaf: u32,
}

impl Default for Lifetimes {
    /// Ten years for the root, one for leaves.
    fn default() -> Self {
        Lifetimes { root: 3650, leaf: 365 }
    }
}

/// A certificate with its key.
pub struct Issued {
    /// The certificate as PEM.
    pub certificate: String,
    /// Its private key.
    pub key: Key,
}

/// The root of a fleet: signs gateways' leaves directly, and one intermediate authority per mesh (path length 1).
pub fn issue_root(fleet: &str, key: Key, now: Timestamp, days: u32, serial: Serial) -> Result<Issued, Error> {
    let mut params = params(&identity::root(fleet), now, days, serial)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key.pair).map_err(issue)?.pem();
    Ok(Issued { certificate, key })
}

/// A certificate that signed itself and is its own authority, with nothing but a common name: what
/// `openssl req -x509` makes. For comparison only: whoever trusts it trusts exactly one key, for ever.
pub fn issue_self_signed(common: &str, key: Key, now: Timestamp, days: u32, serial: Serial) -> Result<Issued, Error> {
    let mut params = params(common, now, days, serial)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key.pair).map_err(issue)?.pem();
    Ok(Issued { certificate, key })
}

/// A leaf for a party, signed by the fleet's root. Its last day is never after the root's.
pub fn issue_leaf(
    fleet: &str,
    party: &Party,
    key: Key,
    root: &Issued,
    now: Timestamp,
    days: u32,
    serial: Serial,
) -> Result<Issued, Error> {
    let dns = party.dns(fleet);
    // A common name has at most 64 characters (X.520); the alternative names carry the identity.
    let common: String = dns.chars().take(64).collect();
    let mut params = params(&common, now, days, serial)?;
    params.subject_alt_names = vec![
        SanType::DnsName(dns.try_into().map_err(issue)?),
        SanType::URI(party.uri(fleet).try_into().map_err(issue)?),
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match party.role {
        Role::Server => ExtendedKeyUsagePurpose::ServerAuth,
        _ => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    signed(params, key, root)
}

/// Signs with an authority, after the checks that signing itself does not make. The last day is never after the
/// authority's; an authority signs another only where its path length leaves room for it.
pub(super) fn signed(mut params: CertificateParams, key: Key, authority: &Issued) -> Result<Issued, Error> {
    let signer = signer(authority)?;
    if matches!(params.is_ca, IsCa::Ca(_)) && signer.path_length == Some(0) {
        return Err(Error::NoRoomBelow);
    }
    let end = time::OffsetDateTime::from_unix_timestamp(signer.not_after.as_second()).map_err(issue)?;
    params.not_after = params.not_after.min(end);
    let issuer = Issuer::from_ca_cert_der(&signer.der, &authority.key.pair).map_err(issue)?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key.pair, &issuer).map_err(issue)?.pem();
    Ok(Issued { certificate, key })
}

pub(super) fn issue(error: impl std::fmt::Display) -> Error {
    Error::Issue(error.to_string())
}

/// The root's facts, after the checks that signing itself does not make.
pub(super) fn signer(root: &Issued) -> Result<Facts, Error> {
    let der: Vec<CertificateDer<'static>> = certificates(&root.certificate)?;
    let der = der.first().ok_or_else(|| Error::Certificate("the file is empty".into()))?;
    let facts = facts(der)?;
    if !facts.is_ca {
        return Err(Error::NotAnAuthority);
    }
    if facts.public_key != root.key.public() {
        return Err(Error::RootMismatch);
    }
    Ok(facts)
}

fn params(common: &str, now: Timestamp, days: u32, serial: Serial) -> Result<CertificateParams, Error> {
    // The days are those of the whole validity: it begins a little before now, so that it ends a little before the last day does.
    let end = now - BACKDATE + SignedDuration::from_hours(24 * i64::from(days));
    let mut params = params_until(now, end, serial)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    params.distinguished_name = name;
    Ok(params)
}

/// Validity and serial number; everything else is up to the caller.
pub(super) fn params_until(now: Timestamp, end: Timestamp, serial: Serial) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let at = |t: Timestamp| time::OffsetDateTime::from_unix_timestamp(t.as_second()).map_err(issue);
    params.not_before = at(now - BACKDATE)?;
    params.not_after = at(end)?;
    let mut serial = serial;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// Whether existing material still does what a party needs, or the reasons why it does not. `name` is what others know
/// the party by.
///
/// # Errors
/// What stands against it.
pub fn keeps(
    role: Role,
    name: &str,
    certificate: &str,
    key: &Key,
    root: &str,
    now: Timestamp,
) -> Result<(), Vec<Finding>> {
    let findings = check_side(role, certificate, root, Some(key), Some(name), now);
    // To chain to another root than the fleet's is no use to anybody, though others might accept it.
    let strange = findings.iter().any(|f| f.code == "FCK0104");
    if is_good(&findings) && !strange { Ok(()) } else { Err(findings) }
}
