//! What failctl wrote → changes that take it away and give back what was there. What comes in: a scope and a world
//! with the objects failctl created or has fields in. What goes out: a plan in reverse order: routes first, secrets
//! last, the primary before its backups. May not know: clients.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::between::{find, guarded, is_ours, merge_into, others_live_in_it, owner_of, same_object};
use super::fields::owned_by;
use super::items::{self, ITEMS_ANNOTATION, SETS_ANNOTATION};
use super::{Action, Blocked, CREATED_ANNOTATION, Change, Plan, Reason, Write, applied, text};
use crate::manifest::{FIELD_MANAGER, Hold, Manifest, ObjectKey, Wave, World};
use crate::model::name::ClusterName;

/// What is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The owners whose objects, fields and items go; none means everything failctl wrote.
    pub owners: Option<BTreeSet<String>>,
    /// Clusters that are taken down first within a wave: the primaries.
    pub first: BTreeSet<ClusterName>,
    /// Owners of objects that carry no label of ours: fields in other people's objects.
    pub names: BTreeMap<ObjectKey, String>,
}

impl Scope {
    fn has(&self, owner: &str) -> bool {
        self.owners.as_ref().is_none_or(|o| o.contains(owner))
    }

    fn owner(&self, manifest: &Manifest) -> String {
        self.names.get(&manifest.key).cloned().unwrap_or_else(|| owner_of(&manifest.body))
    }
}

/// The changes that take away what `scope` names. `desired` tells which objects failctl shares with others (fields,
/// items, the user's own documents); what failctl created is found by its labels alone.
pub fn removal(scope: &Scope, desired: &[Manifest], observed: &World) -> Plan {
    let mut waves: BTreeMap<(Reverse<Wave>, bool, bool), Vec<Change>> = BTreeMap::new();
    let mut seen: BTreeSet<ObjectKey> = BTreeSet::new();
    let slot =
        |wave: Wave, key: &ObjectKey| (Reverse(wave), others_live_in_it(key), !scope.first.contains(&key.cluster));
    let mut put = |change: Change| waves.entry(slot(change.wave, &change.key)).or_default().push(change);
    for manifest in desired.iter().filter(|m| seen.insert(m.key.clone()) && !is_unread(observed, &m.key)) {
        let all: Vec<_> = desired.iter().filter(|m| m.key == manifest.key).collect();
        if let Some(there) = find(observed, &manifest.key)
            && let Some(change) = wanted_away(scope, &all, there)
        {
            put(change);
        }
    }
    let read = observed.clusters.values().filter(|o| o.unreachable.is_none());
    for (key, there) in read.flat_map(|o| &o.by_key) {
        if !seen.iter().any(|k| same_object(k, key))
            && let Some(change) = found_away(scope, key, there, false)
        {
            put(change);
        }
    }
    let unreachable: BTreeMap<_, _> =
        observed.clusters.iter().filter_map(|(c, o)| Some((c.clone(), o.unreachable.clone()?))).collect();
    let out_of_reach = |m: &&Manifest| unreachable.contains_key(&m.key.cluster) && scope.has(&scope.owner(m));
    let missing: Vec<_> = desired.iter().filter(out_of_reach).map(|m| (m, slot(m.wave, &m.key))).collect();
    for (_, slot) in &missing {
        waves.entry(*slot).or_default();
    }
    let blocked = missing.into_iter().map(|(m, slot)| Blocked {
        key: m.key.clone(),
        wave: waves.keys().position(|s| *s == slot).unwrap_or(0),
        owner: scope.owner(m),
        why: unreachable.get(&m.key.cluster).cloned().unwrap_or_default(),
        reason: Reason::Unreachable,
    });
    Plan { blocked: blocked.collect(), unreachable, waves: waves.into_values().collect(), leftovers: None }
}

fn is_unread(observed: &World, key: &ObjectKey) -> bool {
    observed.clusters.get(&key.cluster).is_some_and(|o| o.unreachable.is_some())
}

/// The wave of a kind, for objects that are found and not wanted.
pub fn wave_of(key: &ObjectKey) -> Wave {
    match (key.gvk.group.as_str(), key.gvk.kind.as_str()) {
        ("", "Namespace" | "ServiceAccount") => Wave::Foundations,
        ("rbac.authorization.k8s.io", _) => Wave::Foundations,
        ("", "Secret" | "ConfigMap") => Wave::Secrets,
        (_, "Upstream" | "DestinationRule") => Wave::Upstreams,
        (_, "FailoverScheme" | "EnvoyFilter" | "ServiceEntry") => Wave::Failover,
        (_, "VirtualService" | "RouteTable") => Wave::Routes,
        _ => Wave::Gateways,
    }
}

fn change(key: &ObjectKey, wave: Wave, owner: &str, there: &Value, action: Action, write: Write) -> Change {
    let (before, owner) = (Some(there.clone()), owner.to_string());
    Change { key: key.clone(), action, write, before, after: None, wave, owner }
}

fn delete(key: &ObjectKey, wave: Wave, owner: &str, there: &Value) -> Change {
    let uid = there.get("metadata").and_then(|m| m.get("uid")).and_then(Value::as_str).map(str::to_string);
    change(key, wave, owner, there, Action::Delete, Write::Delete { uid })
}

fn wanted_away(scope: &Scope, manifests: &[&Manifest], there: &Value) -> Option<Change> {
    let manifest = manifests[0];
    let owner = scope.owner(manifest);
    match &manifest.hold {
        Hold::Own if is_ours(there) => {
            let owner = owner_of(there);
            scope.has(&owner).then(|| delete(&manifest.key, manifest.wave, &owner, there))
        }
        // One of the user's own documents: what failctl created goes, what was there before only loses our fields.
        Hold::Own if annotation(there, CREATED_ANNOTATION).is_some() => {
            Some(delete(&manifest.key, manifest.wave, &owner, there))
        }
        Hold::Own | Hold::Fields => {
            owned_by(there, FIELD_MANAGER)?;
            Some(release(&manifest.key, manifest.wave, &owner, there))
        }
        Hold::Text { path, annotation, without } => {
            let (write, after) = scope.has(&owner).then(|| text::without(there, without, path, annotation))??;
            let change = change(&manifest.key, manifest.wave, &owner, there, Action::Release, write);
            Some(Change { after: Some(after), ..change })
        }
        Hold::Items { path, key } => without_items(scope, &manifest.key, manifest.wave, there, path, key),
    }
}

/// An object that no document names: it is ours by its labels, by its record of items, or by fields we applied.
/// `marked`: whoever asks knows that the object carries the mark of the scope, so fields without an owner are meant too.
pub(super) fn found_away(scope: &Scope, key: &ObjectKey, there: &Value, marked: bool) -> Option<Change> {
    let wave = wave_of(key);
    if annotation(there, ITEMS_ANNOTATION).is_some() {
        let path: Vec<String> = ["spec", "virtualHost", "routes"].map(String::from).into();
        return without_items(scope, key, wave, there, &path, "name");
    }
    let owner = owner_of(there);
    if is_ours(there) {
        return scope.has(&owner).then(|| delete(key, wave, &owner, there));
    }
    if !marked && scope.owners.is_some() && (owner == "fleet" || !scope.has(&owner)) {
        return None;
    }
    owned_by(there, FIELD_MANAGER)?;
    if annotation(there, CREATED_ANNOTATION).is_some() {
        return Some(delete(key, wave, &owner, there));
    }
    Some(release(key, wave, &owner, there))
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// Applying nothing gives up every field failctl applied; those nobody else owns disappear.
fn release(key: &ObjectKey, wave: Wave, owner: &str, there: &Value) -> Change {
    let mut metadata = Map::from_iter([("name".to_string(), key.name.clone().into())]);
    key.namespace.iter().for_each(|n| drop(metadata.insert("namespace".into(), n.clone().into())));
    let body = json!({"apiVersion": key.gvk.api_version(), "kind": key.gvk.kind, "metadata": metadata});
    let after = applied(there, &body, true).after;
    Change { after: Some(after), ..change(key, wave, owner, there, Action::Release, Write::Apply { body }) }
}

/// Takes the items of the owners in scope out.
fn without_items(
    scope: &Scope,
    key: &ObjectKey,
    wave: Wave,
    there: &Value,
    path: &[String],
    item_key: &str,
) -> Option<Change> {
    let record = items::record(there);
    let (gone, left): (items::Record, items::Record) = record.into_iter().partition(|(owner, _)| scope.has(owner));
    let owner = gone.keys().next().cloned().unwrap_or_else(|| owner_of(there));
    let gone: BTreeSet<String> = gone.into_values().flatten().collect();
    without(key, wave, &owner, there, path, item_key, &gone, &left)
}

/// Takes named items out of a list of routes and keeps the others, whoever's they are.
pub fn without_routes(key: &ObjectKey, owner: &str, there: &Value, gone: &BTreeSet<String>) -> Option<Change> {
    let mut left = items::record(there);
    left.values_mut().for_each(|names| names.retain(|n| !gone.contains(n)));
    let path: Vec<String> = ["spec", "virtualHost", "routes"].map(String::from).into();
    without(key, Wave::Routes, owner, there, &path, "name", gone, &left)
}

/// Takes items out; deletes an object that failctl created once nothing is left in it.
#[expect(clippy::too_many_arguments, reason = "where, whose, what, and what stays: all of it is needed")]
fn without(
    key: &ObjectKey,
    wave: Wave,
    owner: &str,
    there: &Value,
    path: &[String],
    item_key: &str,
    gone: &BTreeSet<String>,
    record: &items::Record,
) -> Option<Change> {
    if gone.is_empty() {
        return None;
    }
    let left = items::placed(items::list(there, path), &[], item_key, gone);
    if left.is_empty() && is_ours(there) {
        return Some(delete(key, wave, owner, there));
    }
    let list = if left.is_empty() { Value::Null } else { Value::Array(left) };
    let mut patch = Map::new();
    merge_into(&mut patch, items::patch_at(path, list));
    merge_into(&mut patch, forget(there, record));
    let (write, after) = guarded(there, patch);
    Some(Change { after: Some(after), ..change(key, wave, owner, there, Action::Release, write) })
}

/// A patch that leaves only this record of items, and no empty annotations.
fn forget(there: &Value, record: &items::Record) -> Value {
    let annotations = there.get("metadata").and_then(|m| m.get("annotations")).and_then(Value::as_object);
    let (text, sets) = (items::record_text(record), items::sets_text(&items::sets(there), record));
    let ours = [ITEMS_ANNOTATION, SETS_ANNOTATION];
    let only_ours = annotations.is_some_and(|a| a.keys().all(|k| ours.contains(&k.as_str())));
    match (text, only_ours) {
        (None, true) => json!({"metadata": {"annotations": null}}),
        (text, _) if annotations.is_some_and(|a| a.contains_key(SETS_ANNOTATION)) => {
            json!({"metadata": {"annotations": {ITEMS_ANNOTATION: text, SETS_ANNOTATION: sets}}})
        }
        (text, _) => json!({"metadata": {"annotations": {ITEMS_ANNOTATION: text}}}),
    }
}

/// Everyone who owns something on these clusters: failovers, `fleet` for what they share, `route` for single routes.
pub fn owners(observed: &World) -> BTreeSet<String> {
    let all = || observed.clusters.values().flat_map(|o| o.by_key.values());
    let created = all().filter(|o| is_ours(o)).map(owner_of);
    created.chain(all().flat_map(|o| items::record(o).into_keys())).collect()
}

/// The failovers outside of `scope` that still have something on these clusters: while there is one, what failovers
/// share must stay. Fields in other people's objects carry no name, so those `desired` does not explain count too.
pub fn others(scope: &BTreeSet<String>, desired: &[Manifest], observed: &World) -> BTreeSet<String> {
    let mut found = owners(observed);
    found.retain(|o| !scope.contains(o) && o != "fleet" && o != ROUTE_OWNER);
    let explained = |key: &ObjectKey| desired.iter().any(|m| same_object(&m.key, key));
    let unexplained = observed.clusters.values().flat_map(|o| &o.by_key).filter(|(key, object)| {
        let shared = !is_ours(object) && annotation(object, ITEMS_ANNOTATION).is_none();
        shared && key.gvk.kind == "Upstream" && owned_by(object, FIELD_MANAGER).is_some() && !explained(key)
    });
    found.extend(unexplained.map(|(key, _)| key.to_string()));
    found
}

/// The owner of routes added one by one.
pub const ROUTE_OWNER: &str = "route";
