//! A plan as a table or a versioned view. The sign on screen is the action: `+ ~ - / =`.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use super::table::table;
use crate::manifest::ObjectKey;
use crate::plan::{Action, Plan};

/// A plan, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `PlanReport`.
    pub kind: &'static str,
    /// What would happen, in order.
    pub changes: Vec<Row>,
    /// What cannot be said yet.
    pub blocked: Vec<Waiting>,
    /// Counts.
    pub summary: Summary,
}

/// One object and what would happen to it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Which object.
    #[serde(flatten)]
    pub object: Object,
    /// `create`, `update`, `delete`, `release` or `keep`.
    pub action: Action,
    /// The failover it belongs to, or `fleet`.
    pub owner: String,
    /// Position in the order of writes, from 1.
    pub wave: usize,
}

/// An object that cannot be planned.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Which object.
    #[serde(flatten)]
    pub object: Object,
    /// Why.
    pub why: String,
}

/// The key of an object, flat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Cluster of the fleet.
    pub cluster: String,
    /// The object's `apiVersion`.
    pub object_api_version: String,
    /// The object's kind.
    pub object_kind: String,
    /// Namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl From<&ObjectKey> for Object {
    fn from(key: &ObjectKey) -> Self {
        Object {
            cluster: key.cluster.to_string(),
            object_api_version: key.gvk.api_version(),
            object_kind: key.gvk.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

impl Object {
    /// `namespace/name`, or the name alone.
    pub fn place(&self) -> String {
        self.namespace.as_ref().map_or(self.name.clone(), |n| format!("{n}/{}", self.name))
    }
}

/// Counts by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// Created.
    pub create: usize,
    /// Changed.
    pub update: usize,
    /// Deleted.
    pub delete: usize,
    /// Given back.
    pub release: usize,
    /// As they should be.
    pub keep: usize,
    /// Not known.
    pub blocked: usize,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.create, "to create"),
            (self.update, "to change"),
            (self.delete, "to delete"),
            (self.release, "to give back"),
            (self.keep, "as they should be"),
            (self.blocked, "not known"),
        ];
        let said: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(&if said.is_empty() { "nothing to do".to_string() } else { said.join(", ") })
    }
}

/// The counts of a plan.
pub fn summary(plan: &Plan) -> Summary {
    let count = |action| plan.changes().filter(|c| c.action == action).count();
    Summary {
        create: count(Action::Create),
        update: count(Action::Update),
        delete: count(Action::Delete),
        release: count(Action::Release),
        keep: count(Action::Keep),
        blocked: plan.blocked.len(),
    }
}

/// The view for scripts.
pub fn report(plan: &Plan) -> PlanReport {
    let rows = plan.waves.iter().enumerate().flat_map(|(i, wave)| {
        wave.iter().map(move |c| Row { object: (&c.key).into(), action: c.action, owner: c.owner.clone(), wave: i + 1 })
    });
    PlanReport {
        api_version: API_VERSION,
        kind: "PlanReport",
        changes: rows.collect(),
        blocked: plan.blocked.iter().map(|b| Waiting { object: (&b.key).into(), why: b.why.clone() }).collect(),
        summary: summary(plan),
    }
}

/// The table for people: what would be written, then the counts. What stays as it is appears only in the counts.
pub fn text(plan: &Plan) -> String {
    let row = |sign: char, key: &ObjectKey, rest: String| {
        let object = Object::from(key);
        vec![sign.to_string(), object.cluster.clone(), object.object_kind.clone(), object.place(), rest]
    };
    let changes = plan.changes().filter(|c| c.action != Action::Keep);
    let changes = changes.map(|c| row(c.action.sign(), &c.key, c.owner.clone()));
    let blocked = plan.blocked.iter().map(|b| row('?', &b.key, format!("{} ({})", b.owner, b.why)));
    let rows: Vec<_> = changes.chain(blocked).collect();
    let table = if rows.is_empty() { String::new() } else { table(["", "CLUSTER", "KIND", "OBJECT", "FOR"], rows) };
    format!("{table}{}\n", summary(plan))
}
