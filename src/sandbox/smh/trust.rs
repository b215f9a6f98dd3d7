//! Shared trust: a VirtualMesh's root, and under it an intermediate authority for each of its meshes.
//! What comes in: VirtualMeshes and Meshes, what was seen of the clusters, fresh keys and serial numbers. What goes out:
//! the Secrets to write. Private keys are in them and nowhere else.
//!
//! The root is a Secret `NAME.NAMESPACE` beside the VirtualMesh, made once and kept (ECDSA, where the real one takes
//! RSA), or the Secret that the VirtualMesh names. A cluster's `cacerts` that is not under the root is replaced, as the
//! real one does.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{NAMESPACE, OWNER};
use crate::model::name::ClusterName;
use crate::pki::{Algorithm, CACERTS, Cacerts, Intermediate, Issued, Key, issue_intermediate, issue_root};
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{list, name, namespace, number, text};
use crate::sandbox::controllers::observed::Observed;
use crate::sandbox::controllers::write::base64_of;

/// How long an intermediate is valid, in days: the hub's own, fixed.
const YEAR: u32 = 365;

/// The root of a VirtualMesh, or the Secret that must be written to have one.
pub enum Root {
    /// It is there.
    There(Issued),
    /// It has to be made.
    New(Value),
}

/// The mesh's cluster and trust domain, as discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The cluster.
    pub cluster: String,
    /// The namespace of its control plane.
    pub namespace: String,
    /// The trust domain of its workloads.
    pub trust_domain: String,
}

/// The meshes of a VirtualMesh that were discovered.
pub fn parties(home: &Observed, virtual_mesh: &Value) -> Vec<Party> {
    let meshes = list(virtual_mesh, "/spec/meshes").iter();
    meshes
        .filter_map(|m| home.get(Kind::Mesh, text(m, "/namespace"), text(m, "/name")))
        .map(|mesh| Party {
            cluster: text(mesh, "/spec/istio/installation/cluster").into(),
            namespace: text(mesh, "/spec/istio/installation/namespace").into(),
            trust_domain: text(mesh, "/spec/istio/citadelInfo/trustDomain").into(),
        })
        .filter(|p| !p.cluster.is_empty())
        .collect()
}

/// Whether a VirtualMesh asks for shared trust.
pub fn is_shared(virtual_mesh: &Value) -> bool {
    virtual_mesh.pointer("/spec/mtlsConfig/shared").is_some()
}

/// The root of a VirtualMesh.
///
/// # Errors
/// When the Secret that should hold it does not.
pub fn root(home: &Observed, virtual_mesh: &Value, now: Timestamp) -> anyhow::Result<Root> {
    let authority = virtual_mesh.pointer("/spec/mtlsConfig/shared/rootCertificateAuthority");
    let given = authority.and_then(|a| a.get("secret"));
    let (space, secret) = match given {
        Some(given) => (text(given, "/namespace").to_owned(), text(given, "/name").to_owned()),
        None => (NAMESPACE.to_owned(), format!("{}.{}", name(virtual_mesh), namespace(virtual_mesh))),
    };
    if let Some(found) = home.get(Kind::Secret, &space, &secret) {
        let read = || -> anyhow::Result<Issued> {
            let certificate = part(found, "root-cert.pem")?;
            let key = Key::read(&part(found, "key.pem")?)?;
            Ok(Issued { certificate: certificate.to_string(), key })
        };
        return read().map(Root::There).with_context(|| format!("root certificate in Secret {space}/{secret}"));
    }
    if given.is_some() {
        bail!("the Secret {space}/{secret} that should hold the root certificate does not exist");
    }
    let generated = authority.and_then(|a| a.get("generated")).cloned().unwrap_or_default();
    let days = number(&generated, "/ttlDays").and_then(|d| u32::try_from(d).ok()).filter(|d| *d > 0).unwrap_or(YEAR);
    let organization = match text(&generated, "/orgName") {
        "" => NAMESPACE,
        given => given,
    };
    let made = issue_root(organization, Key::generate(Algorithm::default())?, now, days, rand::random())?;
    Ok(Root::New(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "certificates.smh.solo.io/generated_signing_cert",
        "metadata": {"name": secret, "namespace": space},
        "data": {"root-cert.pem": base64_of(&made.certificate), "key.pem": base64_of(&made.key.pem())},
    })))
}

/// The `cacerts` that a cluster should get; none when it has one under the root already.
///
/// # Errors
/// When the intermediate cannot be issued.
pub fn cacerts(
    seen: &Observed,
    party: &Party,
    fleet: &str,
    root: &Issued,
    now: Timestamp,
) -> anyhow::Result<Option<Value>> {
    let there = seen.get(Kind::Secret, &party.namespace, CACERTS).and_then(|s| Cacerts::read(s).ok());
    if there.is_some_and(|c| c.roots.trim() == root.certificate.trim() && is_under(&c, root, now)) {
        return Ok(None);
    }
    let cluster = ClusterName::new(&party.cluster).map_err(anyhow::Error::msg)?;
    let who = Intermediate { fleet, cluster: &cluster, trust_domain: &party.trust_domain, namespace: &party.namespace };
    let key = Key::generate(Algorithm::default())?;
    let made = issue_intermediate(&who, key, root, now, YEAR, rand::random())?;
    let mut secret = Cacerts::new(made, &root.certificate, &root.certificate).manifest(&cluster, &party.namespace).body;
    secret["metadata"]["labels"] = json!({OWNER: NAMESPACE});
    secret["type"] = "certificates.smh.solo.io/issued_certificate".into();
    Ok(Some(secret))
}

/// Whether an authority was signed by the root and is still good.
fn is_under(cacerts: &Cacerts, root: &Issued, now: Timestamp) -> bool {
    crate::pki::certificates(&cacerts.authority.certificate)
        .ok()
        .and_then(|c| c.first().map(crate::pki::facts))
        .and_then(Result::ok)
        .is_some_and(|facts| facts.days_left(now) > 0)
        && cacerts.chain.contains(root.certificate.trim())
}

fn part(secret: &Value, key: &str) -> anyhow::Result<Zeroizing<String>> {
    let encoded = secret["data"][key].as_str().with_context(|| format!("{key} is missing"))?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).with_context(|| key.to_owned())?;
    Ok(Zeroizing::new(String::from_utf8(bytes).with_context(|| format!("{key} is no text"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn virtual_mesh() -> Value {
        super::super::install::virtual_mesh(["kind2", "kind3"].into_iter())
    }

    fn party(cluster: &str) -> Party {
        Party { cluster: cluster.into(), namespace: "istio-system".into(), trust_domain: cluster.into() }
    }

    fn made_root() -> (Value, Issued) {
        let Ok(Root::New(secret)) = root(&Observed::of([]), &virtual_mesh(), now()) else { panic!("no new root") };
        let Ok(Root::There(issued)) = root(&Observed::of([secret.clone()]), &virtual_mesh(), now()) else {
            panic!("the root that was written is not read")
        };
        (secret, issued)
    }

    #[test]
    fn a_root_is_made_once_and_kept() {
        let (secret, _) = made_root();
        assert_eq!(name(&secret), "virtual-mesh.service-mesh-hub");
        assert_eq!(secret["type"], "certificates.smh.solo.io/generated_signing_cert");
    }

    #[test]
    fn a_cluster_gets_an_intermediate_in_its_own_trust_domain_and_keeps_it() {
        let (_, root) = made_root();
        let made = cacerts(&Observed::of([]), &party("kind2"), "virtual-mesh", &root, now()).unwrap().unwrap();
        let keys: Vec<&String> = made["data"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"]);
        assert_eq!(made["metadata"]["labels"], json!({OWNER: NAMESPACE}));
        let seen = Observed::of([made]);
        assert!(cacerts(&seen, &party("kind2"), "virtual-mesh", &root, now()).unwrap().is_none(), "issued again");
        let (_, other) = made_root();
        assert!(
            cacerts(&seen, &party("kind2"), "virtual-mesh", &other, now()).unwrap().is_some(),
            "kept under another root"
        );
    }

    #[test]
    fn a_root_of_ones_own_must_be_there() {
        let mut mesh = virtual_mesh();
        mesh["spec"]["mtlsConfig"]["shared"]["rootCertificateAuthority"] =
            json!({"secret": {"name": "mine", "namespace": "certs"}});
        let Err(error) = root(&Observed::of([]), &mesh, now()) else { panic!("made up a root") };
        assert!(error.to_string().contains("certs/mine"), "{error}");
    }
}
