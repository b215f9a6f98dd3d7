//! PeerAuthentication: whether a workload takes mTLS, plain text or both. What comes in: the objects of a cluster, a
//! workload and its port. What goes out: a mode. Rule: the narrowest policy that says anything; among equals the oldest.

use std::collections::BTreeMap;

use super::scene::{SECURITY, Scene, selects, texts};
use crate::routing::read::At;

/// What a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Plain text only.
    Disable,
    /// Both; the first bytes tell. Istio's default.
    Permissive,
    /// mTLS only.
    Strict,
}

/// The mode of a workload's port.
pub fn mode(scene: &Scene, namespace: &str, labels: &BTreeMap<String, String>, port: u16) -> Mode {
    let (mut own, mut wide, mut mesh): (Option<Mode>, Option<Mode>, Option<Mode>) = (None, None, None);
    for object in scene.all(SECURITY, "PeerAuthentication") {
        let at = object.at(&scene.log);
        let spec = at.get("spec");
        let said = word(&spec.at(&["mtls", "mode"]));
        let (here, root) = (object.namespace() == namespace, object.namespace() == scene.config.root_namespace);
        match spec.at(&["selector", "matchLabels"]).some() {
            Some(selector) if here && selects(&texts(&selector), labels) => {
                let at_port = spec.get("portLevelMtls").get(&port.to_string()).get("mode");
                own = own.or_else(|| word(&at_port)).or(said);
            }
            Some(_) => {}
            None => {
                wide = wide.or(said.filter(|_| here));
                mesh = mesh.or(said.filter(|_| root));
            }
        }
    }
    own.or(wide).or(mesh).unwrap_or(Mode::Permissive)
}

fn word(at: &At) -> Option<Mode> {
    match at.text()? {
        "UNSET" => None,
        "DISABLE" => Some(Mode::Disable),
        "PERMISSIVE" => Some(Mode::Permissive),
        "STRICT" => Some(Mode::Strict),
        other => {
            at.reject("FCT0501", format!("{}: `{other}` is none of UNSET, DISABLE, PERMISSIVE, STRICT", at.path()));
            None
        }
    }
}
