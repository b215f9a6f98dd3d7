//! The Secrets that certificates live in: which there must be, what is in them, and how one is written. What comes in:
//! documents, a world. What goes out: slots and manifests. Shared by the commands of this folder; no command itself.

use base64::Engine;
use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::picture::{Ground, site};
use crate::cluster::Want;
use crate::compile::{self, SecretNeed, Side};
use crate::error::Failure;
use crate::manifest::{FIELD_MANAGER, Manifest, World};
use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, Namespace};
use crate::pki::{self, CACERTS, Cacerts, Issued, Key, Pair, Party, Role};

/// A Secret that must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Whose certificate it holds.
    pub party: Party,
    /// Where.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a Secret holds.
pub struct Installed {
    /// The certificate, with what stands between it and its root.
    pub chain: String,
    /// The roots it trusts.
    pub roots: String,
    /// The key; none when there is none.
    pub key: Option<Result<Key, pki::Error>>,
    /// The Secret's type.
    pub kind: String,
    /// When failctl wrote it last, by the API server's record.
    pub written: Option<Timestamp>,
}

/// Every Secret that the documents' failovers and the fleet's meshes need.
pub fn slots(ground: &Ground) -> Result<Vec<Slot>, Failure> {
    let compiled = compile::documents(&ground.documents, &site(ground, &World::default(), true))?;
    let mut all: Vec<Slot> = compiled.secrets.iter().map(of_need).collect();
    all.extend(meshes(&ground.documents.fleet));
    Ok(all)
}

fn of_need(need: &SecretNeed) -> Slot {
    let role = match need.side {
        Side::Server => Role::Server,
        Side::Client => Role::Client,
        Side::Mesh => Role::MeshIdentity,
    };
    let party = Party { cluster: need.cluster.clone(), role };
    Slot { party, namespace: need.namespace.clone(), name: need.name.clone() }
}

/// The authority of every mesh.
pub fn meshes(fleet: &Fleet) -> impl Iterator<Item = Slot> {
    fleet.clusters.values().filter_map(|c| {
        let namespace = c.istio.as_ref()?.namespace.to_string();
        let party = Party { cluster: c.name.clone(), role: Role::IstioCa };
        Some(Slot { party, namespace, name: CACERTS.into() })
    })
}

impl Slot {
    /// Where it is.
    pub fn cluster(&self) -> &ClusterName {
        &self.party.cluster
    }

    /// What must be read to see it.
    pub fn want(&self) -> Want {
        Want::all("v1", "Secret").within(&self.namespace).named(&self.name).on(self.cluster())
    }

    /// What it holds; none when it is not there.
    pub fn installed(&self, world: &World) -> Option<Installed> {
        let secret = world.get(self.cluster().as_str(), "", "Secret", &self.namespace, &self.name)?;
        let keys = match self.party.role {
            Role::IstioCa => ["ca-cert.pem", "root-cert.pem", "ca-key.pem"],
            _ => ["tls.crt", "ca.crt", "tls.key"],
        };
        let [chain, roots, key] = keys.map(|k| value(secret, k));
        let written = secret["metadata"]["managedFields"].as_array().into_iter().flatten();
        let written = written.filter(|m| m["manager"] == FIELD_MANAGER).filter_map(|m| m["time"].as_str()?.parse().ok());
        Some(Installed {
            chain: chain.unwrap_or_default(),
            roots: roots.unwrap_or_default(),
            key: key.map(Zeroizing::new).map(|k| Key::read(&k)),
            kind: secret["type"].as_str().unwrap_or("none").to_string(),
            written: written.max(),
        })
    }

    /// The Secret with a certificate under a root, trusting `roots`.
    pub fn manifest(&self, issued: Issued, root: &str, roots: &str) -> Option<Manifest> {
        if self.party.role == Role::IstioCa {
            return Some(Cacerts::new(issued, root, roots).manifest(self.cluster(), &self.namespace));
        }
        let namespace = Namespace::new(self.namespace.clone()).ok()?;
        let pair = Pair { chain: &issued.certificate, key: &issued.key, ca: roots };
        Some(pki::secret(self.cluster(), &namespace, &self.name, pair))
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: Secret {}/{}", self.cluster(), self.namespace, self.name)
    }
}

/// A value of a Secret, decoded.
fn value(secret: &Value, key: &str) -> Option<String> {
    let text = secret.get("data")?.get(key)?.as_str()?;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}
