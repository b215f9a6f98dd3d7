//! Private keys: made, read, written, never shown. A [`Key`] has no `Debug` and its PEM text is wiped after use.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use zeroize::Zeroizing;

use super::Error;

/// Key algorithms failctl issues. Others are refused because of what Envoy does with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256, the default: small, fast, understood by every Envoy.
    #[default]
    EcdsaP256,
    /// RSA with 2048 bits, for roots and tools that know nothing else.
    Rsa2048,
    /// RSA with 4096 bits; making a key takes about half a second.
    Rsa4096,
}

impl Algorithm {
    /// All, with the word on the command line.
    pub const ALL: [(Algorithm, &'static str); 3] =
        [(Algorithm::EcdsaP256, "ecdsa-p256"), (Algorithm::Rsa2048, "rsa-2048"), (Algorithm::Rsa4096, "rsa-4096")];

    /// Reads the word; a refusal says why and what to take instead.
    pub fn parse(word: &str) -> Result<Algorithm, String> {
        let lower = word.to_ascii_lowercase();
        if let Some((algorithm, _)) = Algorithm::ALL.iter().find(|(_, w)| *w == lower) {
            return Ok(*algorithm);
        }
        Err(match lower.replace(['_', ' '], "-").as_str() {
            "ed25519" => "Envoy refuses Ed25519 keys, so every handshake would fail; take ecdsa-p256".into(),
            "ecdsa-p384" | "p384" | "p-384" => {
                "Envoy's default for upstream connections is TLS 1.2, where it does not offer P-384: the handshake \
                 would fail; take ecdsa-p256"
                    .into()
            }
            "rsa" => "say how many bits: rsa-2048 or rsa-4096".into(),
            _ => format!("`{word}` is none of ecdsa-p256, rsa-2048, rsa-4096"),
        })
    }
}

/// A private key. It cannot be printed; [`Key::pem`] is for files and Secrets.
pub struct Key {
    pub(super) pair: KeyPair,
}

impl Key {
    /// A new key, from the cryptographic library's own random source.
    pub fn generate(algorithm: Algorithm) -> Result<Key, Error> {
        let made = match algorithm {
            Algorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Algorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            Algorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
        };
        made.map(|pair| Key { pair }).map_err(|e| Error::Key(e.to_string()))
    }

    /// Reads PEM: PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`).
    pub fn read(pem: &str) -> Result<Key, Error> {
        // The library's errors name no part of the key.
        KeyPair::from_pem(pem).map(|pair| Key { pair }).map_err(|e| Error::Key(e.to_string()))
    }

    /// The key as PKCS#8 PEM, wiped from memory when dropped.
    pub fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pair.serialize_pem())
    }

    /// Whether it is an Ed25519 key, which Envoy does not take.
    pub fn is_ed25519(&self) -> bool {
        self.pair.algorithm() == &rcgen::PKCS_ED25519
    }

    /// The public half as DER (SubjectPublicKeyInfo), to tell whether a certificate is for this key.
    pub fn public(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }
}
