//! Desired × observed → changes that make the difference. Compares only what failctl owns, so what a server fills in
//! or somebody else writes is no difference. What comes in: manifests and a world. What goes out: a plan, or every
//! reason why there is none. May not know: clients, targets.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::fields::{applied, covers, owned_by};
use super::items::{self, ITEMS_ANNOTATION, SETS_ANNOTATION};
use super::{Action, Blocked, CREATED_ANNOTATION, Change, Plan, Reason, Write, text};
use crate::manifest::{
    DocumentSet, FIELD_MANAGER, Hold, MANAGED_BY, Manifest, OWNER_LABEL, ObjectKey, SET_LABEL, Wave, World,
};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// What the plan may do beyond the careful default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Take over objects and fields that somebody else holds.
    pub force: bool,
    /// Clusters that are written last within a wave: the primaries, so that a backup is ready before it is named.
    pub last: BTreeSet<ClusterName>,
    /// Owners of objects that carry no label of ours: fields in other people's objects.
    pub owners: BTreeMap<ObjectKey, String>,
    /// Objects whose content is not known yet, and why.
    pub unknown: BTreeMap<ObjectKey, String>,
    /// The set of documents that is applied: everything written is marked with it. None: nothing is marked.
    pub set: Option<DocumentSet>,
    /// Take items of this set that no manifest wants any more out of lists that are still wanted.
    pub prune: bool,
}

impl Options {
    fn owner(&self, manifest: &Manifest) -> String {
        match (label(&manifest.body, OWNER_LABEL), self.owners.get(&manifest.key)) {
            (None, Some(owner)) => owner.clone(),
            _ => owner_of(&manifest.body),
        }
    }
}

/// When something is written: by wave; in it, what others live in goes first; then the backups, then the primaries.
type Slot = (Wave, bool, bool);

/// Namespaces and kinds: without them, what is in them or of them is refused.
pub fn others_live_in_it(key: &ObjectKey) -> bool {
    matches!((key.gvk.group.as_str(), key.gvk.kind.as_str()), ("", "Namespace") | (_, "CustomResourceDefinition"))
}

/// The changes that make `observed` what `desired` says.
pub fn between(desired: &[Manifest], observed: &World, options: &Options) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut waves: BTreeMap<Slot, Vec<Change>> = BTreeMap::new();
    let mut blocked: Vec<(Slot, Blocked)> = Vec::new();
    for (key, manifests) in grouped(desired, &mut problems) {
        let manifest = manifests[0];
        let slot = (manifest.wave, !others_live_in_it(key), options.last.contains(&key.cluster));
        let owner = options.owner(manifest);
        let mut block = |why: String, reason: Reason| {
            waves.entry(slot).or_default();
            blocked.push((slot, Blocked { key: key.clone(), wave: 0, owner: owner.clone(), why, reason }));
        };
        if let Some(why) = observed.clusters.get(&key.cluster).and_then(|o| o.unreachable.clone()) {
            block(why, Reason::Unreachable);
            continue;
        }
        if let Some(why) = options.unknown.get(key) {
            block(why.clone(), Reason::Missing);
            continue;
        }
        let before = find(observed, key);
        if matches!(manifest.hold, Hold::Fields | Hold::Text { .. }) && before.is_none() {
            block("it does not exist yet; failctl adds fields to it and does not create it".into(), Reason::Missing);
            continue;
        }
        match change(&manifests, before, options) {
            Ok(change) => waves.entry(slot).or_default().push(change),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let index = |slot: &Slot| waves.keys().position(|s| s == slot).unwrap_or(0);
    let blocked = blocked.into_iter().map(|(slot, b)| Blocked { wave: index(&slot), ..b }).collect();
    let unreachable = observed.clusters.iter().filter_map(|(c, o)| Some((c.clone(), o.unreachable.clone()?))).collect();
    Ok(Plan { blocked, unreachable, waves: waves.into_values().collect(), leftovers: None })
}

/// The failover an object belongs to.
pub fn owner_of(body: &Value) -> String {
    label(body, OWNER_LABEL).unwrap_or("fleet").to_string()
}

fn label<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// Whether failctl created the object.
pub fn is_ours(body: &Value) -> bool {
    label(body, MANAGED_BY.0) == Some(MANAGED_BY.1)
}

/// The observed object of a key, whatever version it was read in.
pub fn find<'a>(observed: &'a World, key: &ObjectKey) -> Option<&'a Value> {
    let objects = observed.clusters.get(&key.cluster)?;
    let other = |k: &&ObjectKey| same_object(k, key);
    objects.by_key.get(key).or_else(|| objects.by_key.keys().find(other).and_then(|k| objects.by_key.get(k)))
}

/// Whether two keys name one object, in whatever version.
pub fn same_object(a: &ObjectKey, b: &ObjectKey) -> bool {
    a.name == b.name
        && a.namespace == b.namespace
        && a.gvk.kind == b.gvk.kind
        && a.gvk.group == b.gvk.group
        && a.cluster == b.cluster
}

/// The manifests of each object: several failovers may want the same gateway, or routes in one VirtualService.
fn grouped<'a>(desired: &'a [Manifest], problems: &mut Vec<Problem>) -> IndexMap<&'a ObjectKey, Vec<&'a Manifest>> {
    let mut groups: IndexMap<&ObjectKey, Vec<&Manifest>> = IndexMap::new();
    for manifest in desired {
        let group = groups.entry(&manifest.key).or_default();
        let together = group.first().is_none_or(|first| match (&first.hold, &manifest.hold) {
            (Hold::Items { path, .. }, Hold::Items { path: same, .. }) => path == same,
            _ => *first == manifest,
        });
        if !together {
            let what = format!("{} is wanted twice, and differently", manifest.key);
            problems.push(Problem::error("FCP0103", what).hint("let one document write it, or give them other names"));
        }
        if together && (group.is_empty() || matches!(manifest.hold, Hold::Items { .. })) {
            group.push(manifest);
        }
    }
    groups
}

fn change(manifests: &[&Manifest], before: Option<&Value>, options: &Options) -> Result<Change, Problem> {
    let manifest = manifests[0];
    let change = match (&manifest.hold, before) {
        (Hold::Own, _) => own(manifest, before, options),
        (Hold::Fields, Some(there)) => Ok(apply(manifest, there, marked(&manifest.body, before, options))),
        (Hold::Fields, None) => Err(Problem::error("FCP0102", format!("{} does not exist yet", manifest.key))),
        (Hold::Text { path, annotation, .. }, Some(there)) => {
            Ok(patched(manifest, there, text::wanted(there, &manifest.body, path, annotation)))
        }
        (Hold::Text { .. }, None) => Err(Problem::error("FCP0102", format!("{} does not exist yet", manifest.key))),
        (Hold::Items { path, key }, _) => held_items(manifests, before, path, key, options),
    }?;
    Ok(Change { owner: options.owner(manifest), ..change })
}

fn made(manifest: &Manifest, action: Action, write: Write, before: Option<&Value>, after: Option<Value>) -> Change {
    Change {
        key: manifest.key.clone(),
        action,
        write,
        before: before.cloned(),
        after,
        wave: manifest.wave,
        owner: owner_of(&manifest.body),
    }
}

/// Custom resources are stored as they are sent; built-in kinds get defaults and lose empty values.
pub fn is_exact(key: &ObjectKey) -> bool {
    key.gvk.group.contains('.') && !key.gvk.group.ends_with(".k8s.io")
}

/// The configuration as it is applied, with the mark of its set.
fn marked(body: &Value, before: Option<&Value>, options: &Options) -> Value {
    let shared = label(body, OWNER_LABEL) == Some("fleet");
    let mut body = sendable(body);
    if let (Some(set), Value::Object(fields)) = (&options.set, &mut body) {
        let value = if shared { set.shared_label() } else { set.label_for(before) };
        merge_into(fields, json!({"metadata": {"labels": {SET_LABEL: value}}}));
    }
    body
}

fn own(manifest: &Manifest, before: Option<&Value>, options: &Options) -> Result<Change, Problem> {
    let mut body = marked(&manifest.body, before, options);
    let given = !is_ours(&body);
    if given && before.is_none_or(|b| annotation(b, CREATED_ANNOTATION).is_some()) {
        annotate(&mut body, CREATED_ANNOTATION, "by failctl");
    }
    let Some(there) = before else {
        return Ok(made(manifest, Action::Create, Write::Apply { body: body.clone() }, None, Some(body)));
    };
    let known = is_ours(there) || owned_by(there, FIELD_MANAGER).is_some();
    if !given && !known && !options.force {
        return Err(foreign(&manifest.key, there));
    }
    Ok(apply(manifest, there, body))
}

fn apply(manifest: &Manifest, there: &Value, body: Value) -> Change {
    let result = applied(there, &body, is_exact(&manifest.key));
    if result.after == *there && !result.claims {
        return made(manifest, Action::Keep, Write::Nothing, Some(there), Some(result.after));
    }
    made(manifest, Action::Update, Write::Apply { body }, Some(there), Some(result.after))
}

fn foreign(key: &ObjectKey, there: &Value) -> Problem {
    let mut managers: Vec<_> = managers(there);
    managers.dedup();
    let by = if managers.is_empty() { String::new() } else { format!(" (written by {})", managers.join(", ")) };
    Problem::error("FCP0101", format!("{key} exists and failctl did not create it{by}")).hint(
        "`--force` takes it over, and `failctl delete` would then remove it; without, rename or remove one of the two",
    )
}

/// Who wrote an object, by its own record.
pub fn managers(object: &Value) -> Vec<&str> {
    let entries = object.get("metadata").and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|e| e.get("manager")?.as_str()).collect()
}

fn held_items(
    manifests: &[&Manifest],
    before: Option<&Value>,
    path: &[String],
    key: &str,
    options: &Options,
) -> Result<Change, Problem> {
    let manifest = manifests[0];
    let mut ours: Vec<Value> = Vec::new();
    let mut named: items::Record = BTreeMap::new();
    for manifest in manifests {
        let items = items::list(&manifest.body, path);
        let names = items.iter().filter_map(|i| items::name_of(i, key)).map(str::to_string);
        named.entry(owner_of(&manifest.body)).or_default().extend(names);
        ours.extend(items.iter().filter(|i| !ours.contains(i)).cloned().collect::<Vec<_>>());
    }
    let Some(there) = before else {
        let mut body = sendable(&manifest.body);
        let list = Value::Array(items::placed(&[], &ours, key, &BTreeSet::new()));
        json_patch::merge(&mut body, &items::patch_at(path, list));
        items::record_text(&named).into_iter().for_each(|t| annotate(&mut body, ITEMS_ANNOTATION, &t));
        let sets = sets_after(None, &named, options);
        items::sets_text(&sets, &named).into_iter().for_each(|t| annotate(&mut body, SETS_ANNOTATION, &t));
        return Ok(made(manifest, Action::Create, Write::Apply { body: body.clone() }, None, Some(body)));
    };
    let mut record = items::record(there);
    let known: BTreeSet<&String> = record.values().flatten().collect();
    let names: BTreeSet<&String> = named.values().flatten().collect();
    let list = items::list(there, path);
    let stranger = list.iter().find_map(|i| {
        let name = items::name_of(i, key)?.to_string();
        (names.contains(&name) && !known.contains(&name) && !ours.contains(i)).then_some(name)
    });
    if let (Some(name), false) = (stranger, options.force) {
        let what = format!("{} has an item `{name}` that failctl did not write", manifest.key);
        return Err(Problem::error("FCP0104", what).hint("rename it, or take it over with `--force`"));
    }
    let mine = options.set.as_ref().filter(|_| options.prune).map(DocumentSet::label);
    let left = mine.map(|set| items::owners_in(there, &set)).unwrap_or_default();
    let stale = named.keys().chain(&left).filter_map(|owner| record.get(owner)).flatten();
    let gone: BTreeSet<String> = stale.filter(|n| !names.contains(n)).cloned().collect();
    let wanted = items::placed(list, &ours, key, &gone);
    record.retain(|owner, _| !left.contains(owner));
    record.extend(named.clone());
    let mut patch = Map::new();
    if wanted != list {
        merge_into(&mut patch, items::patch_at(path, Value::Array(wanted)));
    }
    if items::record(there) != record {
        let text = items::record_text(&record);
        merge_into(&mut patch, json!({"metadata": {"annotations": {ITEMS_ANNOTATION: text}}}));
    }
    let sets = items::sets_text(&sets_after(Some(there), &named, options), &record);
    if items::sets(there) != sets.as_deref().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default() {
        merge_into(&mut patch, json!({"metadata": {"annotations": {SETS_ANNOTATION: sets}}}));
    }
    // The rest of an object belongs to whoever made it.
    let maker = manifests.iter().find(|m| is_ours(there) && owner_of(&m.body) == owner_of(there));
    if let Some(maker) = maker {
        rest_of_created(&mut patch, there, &maker.body, path);
    }
    Ok(patched(manifest, there, patch))
}

/// The sets of the owners of items, when these owners' items are written as `options` say.
fn sets_after(there: Option<&Value>, named: &items::Record, options: &Options) -> items::Sets {
    let mut sets = there.map(items::sets).unwrap_or_default();
    for owner in named.keys() {
        if let Some(set) = &options.set {
            let before = sets.get(owner).map(|l| json!({"metadata": {"labels": {SET_LABEL: l}}}));
            sets.insert(owner.clone(), set.label_for(before.as_ref()));
        }
    }
    sets
}

/// The object as a merge patch leaves it, and the patch that refuses when the object moved on.
fn patched(manifest: &Manifest, there: &Value, patch: Map<String, Value>) -> Change {
    if patch.is_empty() {
        return made(manifest, Action::Keep, Write::Nothing, Some(there), Some(there.clone()));
    }
    let (write, after) = guarded(there, patch);
    made(manifest, Action::Update, write, Some(there), Some(after))
}

/// A merge patch with the observed resourceVersion in it, and what it makes of the object.
pub fn guarded(there: &Value, patch: Map<String, Value>) -> (Write, Value) {
    let mut after = there.clone();
    json_patch::merge(&mut after, &Value::Object(patch.clone()));
    let mut patch = patch;
    let version = there.get("metadata").and_then(|m| m.get("resourceVersion")).cloned();
    version.into_iter().for_each(|v| merge_into(&mut patch, json!({"metadata": {"resourceVersion": v}})));
    (Write::Merge { patch: Value::Object(patch), subresource: None }, after)
}

/// What else the document says about an object that failctl created as a whole, such as its domains.
fn rest_of_created(patch: &mut Map<String, Value>, there: &Value, body: &Value, path: &[String]) {
    let mut body = body.clone();
    let parent = path.split_last().and_then(|(last, up)| {
        let parent = up.iter().try_fold(&mut body, |o, p| o.get_mut(p))?;
        parent.as_object_mut().map(|m| m.shift_remove(last))
    });
    let spec = body.get("spec").cloned().unwrap_or(Value::Null);
    let there = there.get("spec").unwrap_or(&Value::Null);
    if parent.is_some() && !covers(there, &spec) {
        merge_into(patch, json!({"spec": spec}));
    }
}

/// Deep-merges one patch into another.
pub fn merge_into(patch: &mut Map<String, Value>, more: Value) {
    let Value::Object(more) = more else { return };
    for (name, value) in more {
        match (patch.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(inner)) => merge_into(there, Value::Object(inner)),
            (_, value) => drop(patch.insert(name, value)),
        }
    }
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

fn annotate(body: &mut Value, name: &str, value: &str) {
    if let Value::Object(body) = body {
        merge_into(body, json!({"metadata": {"annotations": {name: value}}}));
    }
}

/// The configuration as it is applied: without status and other fields only a server writes; a Secret's `stringData`
/// as the `data` it becomes.
pub fn sendable(body: &Value) -> Value {
    use base64::Engine;
    let mut body = body.clone();
    let Some(object) = body.as_object_mut() else { return body };
    object.shift_remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in ["resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "selfLink"] {
            metadata.shift_remove(name);
        }
    }
    if object.get("kind").is_some_and(|k| k == "Secret")
        && let Some(Value::Object(texts)) = object.shift_remove("stringData")
    {
        let encode = |v: Value| base64::engine::general_purpose::STANDARD.encode(v.as_str().unwrap_or_default());
        let data: Map<String, Value> = texts.into_iter().map(|(k, v)| (k, encode(v).into())).collect();
        merge_into(object, json!({ "data": data }));
    }
    body
}
