//! What became of a plan, as a table or a versioned view.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use super::plan::Object;
use super::table::table;
use crate::plan::Action;

/// How one object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Result {
    /// Created.
    Created,
    /// Changed.
    Changed,
    /// It was already as it should be.
    Unchanged,
    /// Deleted.
    Deleted,
    /// Our fields or items are given back.
    Released,
    /// Tried in vain.
    Failed,
    /// Not tried.
    Held,
}

impl Result {
    /// The word in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Result::Created => "created",
            Result::Changed => "changed",
            Result::Unchanged => "unchanged",
            Result::Deleted => "deleted",
            Result::Released => "given back",
            Result::Failed => "FAILED",
            Result::Held => "not written",
        }
    }

    /// Whether the object is as the plan wanted it.
    pub fn is_done(self) -> bool {
        !matches!(self, Result::Failed | Result::Held)
    }
}

/// One object and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Which object.
    #[serde(flatten)]
    pub object: Object,
    /// What should have happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What happened.
    pub result: Result,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a plan, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `ApplyReport`.
    pub kind: &'static str,
    /// `client` or `server` when nothing was written, else `none`.
    pub dry_run: &'static str,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
    /// The objects, in the order of the plan.
    pub objects: Vec<Row>,
    /// How many are as they should be, failed, or were not tried.
    pub summary: Summary,
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// As the plan wanted them, including those that already were.
    pub done: usize,
    /// Tried in vain.
    pub failed: usize,
    /// Not tried.
    pub held: usize,
}

impl ApplyReport {
    /// A report of rows.
    pub fn new(dry_run: &'static str, interrupted: bool, objects: Vec<Row>) -> Self {
        let count = |test: fn(&Row) -> bool| objects.iter().filter(|r| test(r)).count();
        let summary = Summary {
            done: count(|r| r.result.is_done()),
            failed: count(|r| r.result == Result::Failed),
            held: count(|r| r.result == Result::Held),
        };
        ApplyReport { api_version: API_VERSION, kind: "ApplyReport", dry_run, interrupted, objects, summary }
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let rows: Vec<_> = self
            .objects
            .iter()
            .map(|r| {
                let why = r.why.clone().unwrap_or_default();
                let Object { cluster, object_kind, .. } = &r.object;
                vec![r.result.as_str().into(), cluster.clone(), object_kind.clone(), r.object.place(), why]
            })
            .collect();
        let table =
            if rows.is_empty() { String::new() } else { table(["RESULT", "CLUSTER", "KIND", "OBJECT", ""], rows) };
        format!("{table}{}\n", self.sentence())
    }

    fn sentence(&self) -> String {
        let Summary { done, failed, held } = self.summary;
        if self.objects.is_empty() {
            return "nothing to do".into();
        }
        let tried = match self.dry_run {
            "none" => "",
            "server" => " (server dry run: nothing was written)",
            _ => " (client dry run: nothing was sent)",
        };
        let mut text = format!("{done} of {} done{tried}", self.objects.len());
        for (n, what) in [(failed, "failed"), (held, "not written")] {
            if n > 0 {
                text += &format!(", {n} {what}");
            }
        }
        if self.interrupted {
            text += "; interrupted: run the same command again to complete it";
        }
        text
    }
}
