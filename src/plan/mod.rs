//! Desired × observed → ordered changes. What comes in: manifests and a world. What goes out: a plan.
//! May not know: clients, terminals, targets.

mod between;
mod fields;
mod items;
mod leftovers;
mod removal;
mod text;

pub use between::{Options, between, find, is_ours, owner_of};
pub use fields::{applied, owned_by};
pub use items::{ITEMS_ANNOTATION, Record, SETS_ANNOTATION, list, record};
pub use leftovers::{Leftovers, leftovers};
pub use removal::{ROUTE_OWNER, Scope, others, owners, removal, without_routes};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::manifest::{ObjectKey, Wave};
use crate::model::name::ClusterName;

/// Annotation on an object of the user's own documents that failctl created; delete removes only those.
pub const CREATED_ANNOTATION: &str = "failctl.dev/created";

/// What happens to an object; on screen `+ ~ - =`, and `/` for fields released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `+` created.
    Create,
    /// `~` changed.
    Update,
    /// `-` deleted.
    Delete,
    /// `/` our fields or items are given up, the object stays.
    Release,
    /// `=` as it should be.
    Keep,
}

/// How a change is written: the whole vocabulary of the one writer.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Server-side apply with failctl's field manager.
    Apply {
        /// The configuration to apply.
        body: Value,
    },
    /// JSON merge patch; a `metadata.resourceVersion` inside makes it refuse when the object moved on.
    Merge {
        /// The patch.
        patch: Value,
        /// `scale` or `status`, if not the object itself.
        subresource: Option<String>,
    },
    /// Delete, only if the object still has this UID.
    Delete {
        /// Precondition.
        uid: Option<String>,
    },
    /// Nothing to write.
    Nothing,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// What happens to it.
    pub action: Action,
    /// How it is written.
    pub write: Write,
    /// The object as observed.
    pub before: Option<Value>,
    /// The object as it will be, as far as can be told without the server.
    pub after: Option<Value>,
    /// When.
    pub wave: Wave,
    /// The failover this belongs to; `fleet` for what failovers share. A change waits for the earlier waves of its
    /// owner, so a backup that could not be prepared is never pointed at.
    pub owner: String,
}

/// Changes in order: waves one after the other, the changes of a wave side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The waves.
    pub waves: Vec<Vec<Change>>,
    /// Clusters that could not be read, with the reason: nothing can be said about their objects.
    pub unreachable: BTreeMap<ClusterName, String>,
    /// From this wave on, changes take away what is no longer wanted. They wait for everything before them: what is
    /// wanted instead must be there first.
    pub leftovers: Option<usize>,
    /// Objects that should be written and cannot be planned yet, with the wave they belong to in `waves`.
    pub blocked: Vec<Blocked>,
}

/// Why an object cannot be planned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its cluster could not be read.
    Unreachable,
    /// Somebody else makes it (Gloo's discovery an Upstream), and has not yet.
    Missing,
}

/// An object that cannot be planned yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which object.
    pub key: ObjectKey,
    /// Index into [`Plan::waves`].
    pub wave: usize,
    /// The failover it belongs to.
    pub owner: String,
    /// Why, as a sentence.
    pub why: String,
    /// Why, for decisions.
    pub reason: Reason,
}

impl Action {
    /// The sign on screen.
    pub fn sign(self) -> char {
        match self {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
            Action::Release => '/',
            Action::Keep => '=',
        }
    }
}

impl Plan {
    /// All changes in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.waves.iter().flatten()
    }

    /// Whether anything would be written or could not be judged.
    pub fn is_quiet(&self) -> bool {
        self.blocked.is_empty() && self.changes().all(|c| c.action == Action::Keep)
    }
}
