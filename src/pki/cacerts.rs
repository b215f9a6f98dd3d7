//! Istio's Secret `cacerts`: an intermediate authority with its chain and the roots to trust. What comes in: PEM, or a
//! Secret as it was read. What goes out: the Secret in the form istiod takes, or its parts. May not know: clusters.
//! Exactly four keys: `ca-cert.pem`, `ca-key.pem`, `root-cert.pem`, `cert-chain.pem` (the intermediate, then its
//! root); istiod ends with "incomplete signing CA bundle" when one is missing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Error;
use super::issue::Issued;
use super::key::Key;
use crate::manifest::{Gvk, Hold, MANAGED_BY, Manifest, OWNER_LABEL, ObjectKey, TRUST_OWNER, Wave};
use crate::model::name::ClusterName;

/// The Secret's name, fixed by Istio.
pub const CACERTS: &str = "cacerts";

/// The parts of a `cacerts`. It has no `Debug`: there is a key inside.
pub struct Cacerts {
    /// The authority that signs workloads, with its key.
    pub authority: Issued,
    /// The roots that workloads trust: one, or two while a root is being replaced.
    pub roots: String,
    /// The authority, then its root.
    pub chain: String,
}

impl Cacerts {
    /// An intermediate under a root, trusting `roots` (that root, and perhaps another).
    pub fn new(authority: Issued, root: &str, roots: &str) -> Cacerts {
        let joined = [authority.certificate.trim(), root.trim()].join("\n") + "\n";
        Cacerts { authority, roots: roots.trim().to_string() + "\n", chain: joined }
    }

    /// The Secret.
    pub fn manifest(&self, cluster: &ClusterName, namespace: &str) -> Manifest {
        let encode = |text: &str| STANDARD.encode(text);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": CACERTS,
                "namespace": namespace,
                "labels": {MANAGED_BY.0: MANAGED_BY.1, OWNER_LABEL: TRUST_OWNER},
            },
            "type": "Opaque",
            "data": {
                "ca-cert.pem": encode(&self.authority.certificate),
                "ca-key.pem": encode(&self.authority.key.pem()),
                "root-cert.pem": encode(&self.roots),
                "cert-chain.pem": encode(&self.chain),
            },
        });
        let gvk = Gvk::new("v1", "Secret");
        let key =
            ObjectKey { cluster: cluster.clone(), gvk, namespace: Some(namespace.to_string()), name: CACERTS.into() };
        Manifest { key, body, hold: Hold::Own, wave: Wave::Secrets }
    }

    /// Reads the Secret, and checks what istiod checks: all four parts, a key that belongs to its certificate, an
    /// authority.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn read(secret: &Value) -> Result<Cacerts, Error> {
        let part = |name: &str| -> Result<Zeroizing<String>, Error> {
            let text = secret.get("data").and_then(|d| d.get(name)).and_then(Value::as_str);
            let text = text.ok_or_else(|| Error::Cacerts(format!("{name} is missing")))?;
            let bytes = STANDARD.decode(text).map_err(|e| Error::Cacerts(format!("{name}: {e}")))?;
            let text = String::from_utf8(bytes).map_err(|_| Error::Cacerts(format!("{name} is no text")));
            text.map(Zeroizing::new)
        };
        let (certificate, key) = (part("ca-cert.pem")?, part("ca-key.pem")?);
        let (roots, chain) = (part("root-cert.pem")?, part("cert-chain.pem")?);
        let authority = Issued { certificate: certificate.to_string(), key: Key::read(&key)? };
        super::issue::signer(&authority)?;
        super::certificates(&roots)?;
        super::certificates(&chain)?;
        Ok(Cacerts { authority, roots: roots.to_string(), chain: chain.to_string() })
    }
}
