//! Garbage collection by owner references: background, foreground and orphan.
//! What comes in: everything observed. What goes out: deletions of dependents, released finalizers.
//! May not know: clients.
//!
//! It looks at the kinds in [`READS`] only. An owner of another kind counts as existing, so nothing is lost by mistake;
//! and before a dependent goes, the server is asked whether its owners are really gone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{deleting, finalized_by, finalizers_without, list, namespace, text, uid};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[
    Kind::Pod,
    Kind::ReplicaSet,
    Kind::Deployment,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::ServiceAccount,
    Kind::Secret,
    Kind::ConfigMap,
    Kind::Node,
];

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// One pass over all objects.
pub fn reconcile(seen: &Observed, _now: Timestamp) -> Pass {
    let mut alive: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut dependents: BTreeMap<&str, Vec<(Kind, &Value)>> = BTreeMap::new();
    for kind in READS {
        for object in seen.all(*kind) {
            alive.insert(uid(object), object);
            for owner in list(object, "/metadata/ownerReferences") {
                dependents.entry(text(owner, "/uid")).or_default().push((*kind, object));
            }
        }
    }
    let mut writes = Vec::new();
    for kind in READS {
        for object in seen.all(*kind) {
            let mine = dependents.get(uid(object)).map(Vec::as_slice).unwrap_or_default();
            writes.extend(release(*kind, object, mine));
            if !deleting(object) {
                writes.extend(orphaned(*kind, object, &alive));
            }
        }
    }
    writes.into()
}

/// An object all of whose owners are gone.
fn orphaned(kind: Kind, object: &Value, alive: &BTreeMap<&str, &Value>) -> Option<Write> {
    let owners = list(object, "/metadata/ownerReferences");
    let mut gone = Vec::new();
    for owner in owners {
        let owner_kind = Kind::named(text(owner, "/apiVersion"), text(owner, "/kind"))?;
        if !READS.contains(&owner_kind) || alive.contains_key(text(owner, "/uid")) {
            return None;
        }
        gone.push(Ref {
            kind: owner_kind,
            namespace: if owner_kind.namespaced() { namespace(object).into() } else { String::new() },
            name: text(owner, "/name").into(),
            uid: text(owner, "/uid").into(),
        });
    }
    (!gone.is_empty()).then(|| Write::Collect { dependent: Ref::to(kind, object), owners: gone })
}

/// Deletion in the foreground waits for the dependents; orphaning lets go of them first.
fn release(kind: Kind, object: &Value, dependents: &[(Kind, &Value)]) -> Vec<Write> {
    if !deleting(object) {
        return Vec::new();
    }
    let drop_finalizer = |finalizer: &str| Write::Merge {
        of: Ref::to(kind, object),
        subresource: None,
        patch: json!({"metadata": {"finalizers": finalizers_without(object, finalizer)}}),
    };
    if finalized_by(object, ORPHAN) {
        let letting_go: Vec<Write> = dependents.iter().map(|(k, d)| let_go(*k, d, uid(object))).collect();
        return if letting_go.is_empty() { vec![drop_finalizer(ORPHAN)] } else { letting_go };
    }
    if !finalized_by(object, FOREGROUND) {
        return Vec::new();
    }
    let blocks = |d: &Value| {
        let mut owners = list(d, "/metadata/ownerReferences").iter();
        owners.any(|o| text(o, "/uid") == uid(object) && o["blockOwnerDeletion"] == true)
    };
    let mut writes: Vec<Write> =
        dependents.iter().filter(|(_, d)| !deleting(d)).map(|(k, d)| Write::Delete(Ref::to(*k, d))).collect();
    if !dependents.iter().any(|(_, d)| blocks(d)) {
        writes.push(drop_finalizer(FOREGROUND));
    }
    writes
}

fn let_go(kind: Kind, dependent: &Value, owner: &str) -> Write {
    let owners: Vec<&Value> =
        list(dependent, "/metadata/ownerReferences").iter().filter(|o| text(o, "/uid") != owner).collect();
    let patch = json!({"metadata": {"ownerReferences": owners}});
    Write::Merge { of: Ref::to(kind, dependent), subresource: None, patch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(more: Value) -> Value {
        let mut set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "rs", "namespace": "n", "uid": "rs"}});
        json_patch::merge(&mut set, &more);
        set
    }

    fn pod(owner_kind: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "p",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": owner_kind, "name": "rs", "uid": "rs",
                "blockOwnerDeletion": true}]}})
    }

    fn run(objects: Vec<Value>) -> Vec<Write> {
        reconcile(&Observed::of(objects), "2026-01-01T00:00:00Z".parse().unwrap()).writes
    }

    #[test]
    fn a_dependent_goes_when_its_owner_is_gone_and_not_before() {
        assert_eq!(run(vec![set(json!({})), pod("ReplicaSet")]), []);
        let [Write::Collect { dependent, owners }] = &run(vec![pod("ReplicaSet")])[..] else { panic!() };
        assert_eq!((dependent.name.as_str(), owners[0].uid.as_str()), ("p", "rs"));
    }

    #[test]
    fn an_owner_of_an_unknown_kind_counts_as_existing() {
        assert_eq!(run(vec![pod("StatefulSet")]), []);
    }

    #[test]
    fn foreground_deletion_waits_for_the_dependents() {
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FOREGROUND]}});
        let writes = run(vec![set(leaving.clone()), pod("ReplicaSet")]);
        assert!(matches!(&writes[..], [Write::Delete(of)] if of.name == "p"), "{writes:?}");
        let writes = run(vec![set(leaving)]);
        assert!(
            matches!(&writes[..], [Write::Merge { patch, .. }]
            if patch["metadata"]["finalizers"] == json!([])),
            "{writes:?}"
        );
    }

    #[test]
    fn orphaning_lets_go_of_the_dependents_first() {
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [ORPHAN]}});
        let writes = run(vec![set(leaving), pod("ReplicaSet")]);
        assert!(
            matches!(&writes[..], [Write::Merge { of, patch, .. }]
            if of.name == "p" && patch["metadata"]["ownerReferences"] == json!([])),
            "{writes:?}"
        );
    }
}
