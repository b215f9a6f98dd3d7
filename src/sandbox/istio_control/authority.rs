//! Who signs the certificates of a cluster's workloads: Secret `cacerts`, else the authority istiod makes for itself.
//! What comes in: a world. What goes out: an authority, or the Secret that must be made first.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::pki::{self, Algorithm, CACERTS, Cacerts, Issued, Key};
use crate::sandbox::controllers::write::base64_of;

/// Istiod's own authority.
pub const OWN: &str = "istio-ca-secret";
/// Its type.
const OWN_TYPE: &str = "istio.io/ca-root";
/// How long istiod's own authority is valid, in days (its CITADEL_SELF_SIGNED_CA_CERT_TTL).
const OWN_DAYS: u32 = 3650;

/// The authority of a cluster; nothing when there is none yet. The error says what is wrong with what there is.
pub fn of(world: &World, cluster: &ClusterName, namespace: &str) -> Result<Option<Cacerts>, String> {
    let secret = |name: &str| world.get(cluster.as_str(), "", "Secret", namespace, name);
    if let Some(given) = secret(CACERTS) {
        return Cacerts::read(given).map(Some).map_err(|e| format!("Secret {namespace}/{CACERTS}: {e}"));
    }
    let Some(own) = secret(OWN) else { return Ok(None) };
    read_own(own).map(Some).map_err(|e| format!("Secret {namespace}/{OWN}: {e}"))
}

fn read_own(secret: &Value) -> Result<Cacerts, pki::Error> {
    // It signed itself: it is its own chain and root.
    let mut whole = secret.clone();
    let certificate = whole["data"]["ca-cert.pem"].clone();
    whole["data"]["root-cert.pem"] = certificate.clone();
    whole["data"]["cert-chain.pem"] = certificate;
    Cacerts::read(&whole)
}

/// A new authority of istiod's own, as the Secret that holds it.
pub fn own(namespace: &str, trust_domain: &str, now: Timestamp) -> Result<Value, pki::Error> {
    let key = Key::generate(Algorithm::EcdsaP256)?;
    let Issued { certificate, key } = pki::issue_mesh_root(trust_domain, key, now, OWN_DAYS, rand::random())?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": OWN_TYPE,
        "metadata": { "name": OWN, "namespace": namespace },
        "data": { "ca-cert.pem": base64_of(&certificate), "ca-key.pem": base64_of(&key.pem()) }
    }))
}
