//! What a certificate says. What comes in: PEM or DER. What goes out: plain facts. May not know: whether it is good.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Error;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Subject, as text.
    pub subject: String,
    /// Issuer, as text.
    pub issuer: String,
    /// Subject alternative names: DNS names, URIs and IP addresses.
    pub names: Vec<String>,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// How many authorities may stand below it before a leaf; none: any number.
    pub path_length: Option<u32>,
    /// Whether it may sign certificates (no key usage means it may).
    pub may_sign: bool,
    /// Whether it may act as a TLS server (no extended key usage means it may).
    pub for_server: bool,
    /// Whether it may act as a TLS client.
    pub for_client: bool,
    /// Key algorithm, for example `ECDSA P-256` or `RSA 2048`.
    pub algorithm: String,
    /// The public key as DER (SubjectPublicKeyInfo).
    pub public_key: Vec<u8>,
    /// The certificate itself.
    pub der: CertificateDer<'static>,
}

impl Facts {
    /// Whole days until it expires; negative when it has.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(86_400)
    }
}

/// All certificates of a PEM text, in order.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|e| Error::Certificate(e.to_string()))?;
    if read.is_empty() { Err(Error::Certificate("there is no certificate in it".into())) } else { Ok(read) }
}

/// Reads one certificate.
pub fn facts(der: &CertificateDer<'_>) -> Result<Facts, Error> {
    let (_, x509) = X509Certificate::from_der(der).map_err(|e| Error::Certificate(e.to_string()))?;
    let second = |t: i64| Timestamp::from_second(t).map_err(|e| Error::Certificate(e.to_string()));
    let usage = x509.extended_key_usage().ok().flatten().map(|u| u.value.clone());
    Ok(Facts {
        subject: x509.subject().to_string(),
        issuer: x509.issuer().to_string(),
        names: names(&x509),
        serial: hex::encode(x509.raw_serial()),
        not_before: second(x509.validity().not_before.timestamp())?,
        not_after: second(x509.validity().not_after.timestamp())?,
        is_ca: x509.is_ca(),
        path_length: x509.basic_constraints().ok().flatten().and_then(|b| b.value.path_len_constraint),
        may_sign: x509.key_usage().ok().flatten().is_none_or(|u| u.value.key_cert_sign()),
        for_server: usage.as_ref().is_none_or(|u| u.any || u.server_auth),
        for_client: usage.as_ref().is_none_or(|u| u.any || u.client_auth),
        algorithm: algorithm(&x509),
        public_key: x509.public_key().raw.to_vec(),
        der: der.clone().into_owned(),
    })
}

/// Whether an authority's key made the signature under a certificate.
pub(super) fn signature_of(certificate: &Facts, authority: &Facts) -> bool {
    let (Ok((_, below)), Ok((_, above))) =
        (X509Certificate::from_der(&certificate.der), X509Certificate::from_der(&authority.der))
    else {
        return false;
    };
    below.verify_signature(Some(above.public_key())).is_ok()
}

fn names(x509: &X509Certificate<'_>) -> Vec<String> {
    let extension = x509.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|e| &e.value.general_names);
    let name = |n: &GeneralName<'_>| match n {
        GeneralName::DNSName(n) | GeneralName::URI(n) => Some(n.to_string()),
        GeneralName::IPAddress(b) => match **b {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*b).ok().map(|o| std::net::Ipv6Addr::from(o).to_string()),
        },
        _ => None,
    };
    names.filter_map(name).collect()
}

fn algorithm(x509: &X509Certificate<'_>) -> String {
    use x509_parser::public_key::PublicKey;
    match x509.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
        _ => x509.public_key().algorithm.algorithm.to_id_string(),
    }
}
