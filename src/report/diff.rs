//! What a plan changes, object by object, as unified diffs of YAML. Values of Secrets never appear: each is replaced
//! by its length and a digest, so that a reader sees whether it changes and nothing else.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use similar::TextDiff;

use super::API_VERSION;
use super::plan::{Object, Summary, Waiting, summary};
use crate::manifest::ObjectKey;
use crate::plan::{Action, Change, Plan};

/// The differences of a plan, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `DiffReport`.
    pub kind: &'static str,
    /// Objects that differ, in the order of writes.
    pub differences: Vec<Difference>,
    /// What cannot be said yet.
    pub blocked: Vec<Waiting>,
    /// Counts.
    pub summary: Summary,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Which object.
    #[serde(flatten)]
    pub object: Object,
    /// What would happen.
    pub action: Action,
    /// A unified diff of YAML, values of Secrets masked.
    pub diff: String,
}

/// The view for scripts.
pub fn report(plan: &Plan) -> DiffReport {
    let changed = plan.changes().filter(|c| c.action != Action::Keep);
    let differences =
        changed.map(|c| Difference { object: (&c.key).into(), action: c.action, diff: unified(c) }).collect();
    DiffReport {
        api_version: API_VERSION,
        kind: "DiffReport",
        differences,
        blocked: plan.blocked.iter().map(|b| Waiting { object: (&b.key).into(), why: b.why.clone() }).collect(),
        summary: summary(plan),
    }
}

/// All diffs, one after the other.
pub fn text(plan: &Plan) -> String {
    plan.changes().filter(|c| c.action != Action::Keep).map(unified).collect()
}

/// The diff of one change, with a header that names the object and what happens to it.
pub fn unified(change: &Change) -> String {
    let yaml = |v: Option<&Value>| v.map(|v| crate::yaml::emit(&shown(&change.key, v))).unwrap_or_default();
    let (before, after) = (yaml(change.before.as_ref()), yaml(change.after.as_ref()));
    let name = path_of(&change.key);
    let old = if change.before.is_some() { format!("live/{name}") } else { "/dev/null".into() };
    let new = if change.after.is_some() { format!("wanted/{name}") } else { "/dev/null".into() };
    let head = format!("diff {} {}\n", change.action.sign(), change.key);
    if before == after {
        return format!("{head}(the values stay; failctl becomes an owner of its fields)\n");
    }
    head + &TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(&old, &new).to_string()
}

fn path_of(key: &ObjectKey) -> String {
    let namespace = key.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
    format!("{}/{}/{namespace}{}", key.cluster, key.gvk.kind, key.name)
}

/// An object as it may be shown: without the server's book-keeping, Secrets without their values.
pub fn shown(key: &ObjectKey, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"] {
            metadata.shift_remove(name);
        }
    }
    if key.gvk.group.is_empty() && key.gvk.kind == "Secret" {
        for name in ["data", "stringData"] {
            let values = object.get_mut(name).and_then(Value::as_object_mut);
            values.into_iter().flat_map(Map::iter_mut).for_each(|(_, v)| *v = masked(v));
        }
        let last = "kubectl.kubernetes.io/last-applied-configuration";
        let annotations = object.get_mut("metadata").and_then(|m| m.get_mut("annotations"));
        annotations.and_then(|a| a.get_mut(last)).into_iter().for_each(|v| *v = masked(v));
    }
    // As kubectl shows differences: what is there and what is wanted come in orders of their own.
    object.sort_all_objects();
    object
}

fn masked(value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("<masked: {} characters, sha256 {}>", text.chars().count(), &digest[..12]).into()
}
