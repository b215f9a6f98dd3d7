//! Who this API server is and whom it trusts: its CA, its serving certificate, the administrator's token, and the key
//! that signs ServiceAccount tokens. Made once, kept in the server's directory (0600), so a restart changes nothing
//! for clients. Key material has no `Debug` and is never printed.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SigningKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Everything secret about one API server.
pub struct Identity {
    kept: Kept,
    signer: KeyPair,
}

#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
struct Kept {
    ca: String,
    certificate: String,
    key: String,
    token: String,
    signer: String,
}

impl Identity {
    /// Reads the identity kept in `dir`, or makes one for a server at `address` and keeps it.
    ///
    /// # Errors
    /// When files cannot be read or written, or the kept identity is damaged.
    pub fn open(dir: Option<&Path>, name: &str, address: IpAddr) -> anyhow::Result<Identity> {
        let path = dir.map(|d| d.join("identity.json"));
        if let Some(path) = path.as_ref().filter(|p| p.exists()) {
            let text = Zeroizing::new(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
            let kept: Kept = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
            return Identity::of(kept);
        }
        let kept = make(name, address)?;
        if let (Some(dir), Some(path)) = (dir, path) {
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            serde_json::to_writer(&mut file, &kept)?;
            file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Identity::of(kept)
    }

    fn of(kept: Kept) -> anyhow::Result<Identity> {
        let signer = KeyPair::from_pem(&kept.signer).context("the signing key cannot be read")?;
        Ok(Identity { kept, signer })
    }

    /// The CA that clients verify the server with, PEM.
    pub fn ca(&self) -> &str {
        &self.kept.ca
    }

    /// The same for a kubeconfig.
    pub fn ca_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.kept.ca)
    }

    /// The administrator's bearer token.
    pub fn token(&self) -> &str {
        &self.kept.token
    }

    /// TLS as the server speaks it: HTTP/2 or HTTP/1.1.
    ///
    /// # Errors
    /// When the kept certificate or key cannot be used.
    pub fn tls(&self) -> anyhow::Result<Arc<rustls::ServerConfig>> {
        let chain = CertificateDer::pem_slice_iter(self.kept.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.kept.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Signs claims as a JSON Web Token (EdDSA).
    ///
    /// # Errors
    /// When the key refuses.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT"})), part(claims));
        let signature = self.signer.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this server signed; none for any other text. Says nothing about expiry.
    pub fn verify(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let given = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Ed25519 signatures are deterministic: the one true signature is the one we would make.
        let ours = self.signer.sign(signed.as_bytes()).ok()?;
        let same = given.len() == ours.len() && given.iter().zip(&ours).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        same.then(|| serde_json::from_slice(&claims).ok()).flatten()
    }
}

fn make(name: &str, address: IpAddr) -> anyhow::Result<Kept> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name = named(&format!("{name} sandbox API CA"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    let mut leaf = CertificateParams::new(names.map(String::from))?;
    leaf.distinguished_name = named("kube-apiserver");
    leaf.subject_alt_names.push(SanType::IpAddress(address));
    leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &rcgen::Issuer::new(ca, &ca_key))?;
    Ok(Kept {
        ca: ca_certificate.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        token: hex::encode(rand::random::<[u8; 24]>()),
        signer: KeyPair::generate_for(&PKCS_ED25519)?.serialize_pem(),
    })
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_kept_private_and_signs_what_only_it_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let open = |dir: Option<&Path>| Identity::open(dir, "east", IpAddr::from([127, 0, 0, 1])).unwrap();
        let (first, again, other) = (open(Some(dir.path())), open(Some(dir.path())), open(None));
        assert_eq!((first.ca(), first.token()), (again.ca(), again.token()));
        let token = first.sign(&json!({"sub": "x"})).unwrap();
        assert_eq!(again.verify(&token), Some(json!({"sub": "x"})));
        assert_eq!(other.verify(&token), None);
        assert_eq!(first.verify(&token.replace('.', "x.")), None);
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("identity.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
