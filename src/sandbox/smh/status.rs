//! What the hub says of its documents in their status. Pure.
//! What comes in: a document, what came of it. What goes out: its `status`, in the words of the v1alpha2 API: states
//! ACCEPTED, INVALID (the document is wrong) and FAILED (writing failed); maps keyed `NAME.NAMESPACE.CLUSTER`.

use serde_json::{Map, Value, json};

use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{list, text};
use crate::sandbox::controllers::observed::Observed;

/// The key of an object in a status map; objects of the management cluster have an empty cluster.
pub fn key(name: &str, namespace: &str, cluster: &str) -> String {
    format!("{name}.{namespace}.{cluster}")
}

/// A VirtualMesh: each mesh it names, whether it was found, and why trust could not be given, if so.
pub fn virtual_mesh(home: &Observed, mesh: &Value, failed: Option<String>) -> Value {
    let mut meshes = Map::new();
    for reference in list(mesh, "/spec/meshes") {
        let (name, namespace) = (text(reference, "/name"), text(reference, "/namespace"));
        let found = home.get(Kind::Mesh, namespace, name).is_some();
        let state = match found {
            true => json!({"acceptanceOrder": 0, "state": "ACCEPTED"}),
            false => json!({"state": "INVALID", "errors": [format!("mesh {namespace}/{name} was not discovered")]}),
        };
        meshes.insert(key(name, namespace, ""), state);
    }
    let missing = meshes.values().any(|m| m["state"] != "ACCEPTED");
    let state = match (&failed, missing) {
        (Some(_), _) => "FAILED",
        (None, true) => "INVALID",
        (None, false) => "ACCEPTED",
    };
    let mut status = json!({"state": state, "meshes": meshes});
    if let Some(generation) = mesh["metadata"]["generation"].as_i64() {
        status["observedGeneration"] = generation.into();
    }
    if let Some(failed) = failed {
        status["validationErrors"] = json!([failed]);
    }
    status
}

/// The merge patch that makes one value of another: what is not wished for any more is taken away, at every depth.
pub fn change(from: &Value, to: &Value) -> Value {
    let (Some(old), Some(new)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let gone = old.keys().filter(|k| !new.contains_key(*k)).map(|k| (k.clone(), Value::Null));
    let kept = new.iter().map(|(k, v)| (k.clone(), old.get(k).map_or_else(|| v.clone(), |o| change(o, v))));
    Value::Object(gone.chain(kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_away_what_is_no_longer_said() {
        let from = json!({"a": {"errors": ["x"], "state": "INVALID"}, "b": 1});
        let to = json!({"a": {"state": "ACCEPTED"}, "c": [2]});
        let patch = change(&from, &to);
        assert_eq!(patch, json!({"b": null, "a": {"errors": null, "state": "ACCEPTED"}, "c": [2]}));
        let mut made = from;
        json_patch::merge(&mut made, &patch);
        assert_eq!(made, to);
    }

    #[test]
    fn a_virtual_mesh_is_accepted_when_all_its_meshes_are_there_and_their_trust_is_made() {
        let mesh = |name: &str| {
            json!({"apiVersion": "discovery.smh.solo.io/v1alpha2", "kind": "Mesh",
                "metadata": {"name": name, "namespace": "service-mesh-hub"}})
        };
        let virtual_mesh_of = super::super::install::virtual_mesh(["kind2", "kind3"].into_iter());
        let (one, two) = (mesh("istiod-istio-system-kind2"), mesh("istiod-istio-system-kind3"));
        let both = Observed::of([one.clone(), two]);
        let said = virtual_mesh(&both, &virtual_mesh_of, None);
        assert_eq!(said["state"], "ACCEPTED");
        assert_eq!(said["meshes"]["istiod-istio-system-kind2.service-mesh-hub."]["state"], "ACCEPTED");
        let said = virtual_mesh(&Observed::of([one]), &virtual_mesh_of, None);
        assert_eq!(said["state"], "INVALID");
        assert_eq!(said["meshes"]["istiod-istio-system-kind3.service-mesh-hub."]["state"], "INVALID");
        let said = virtual_mesh(&both, &virtual_mesh_of, Some("no key".into()));
        assert_eq!((&said["state"], &said["validationErrors"]), (&json!("FAILED"), &json!(["no key"])));
    }
}
