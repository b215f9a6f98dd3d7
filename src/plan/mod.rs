//! Desired × observed → ordered changes. What comes in: manifests and a world. What goes out: a plan.
//! May not know: clients, terminals, targets.

use serde::Serialize;
use serde_json::Value;

use crate::manifest::{ObjectKey, Wave};

/// What happens to an object; on screen `+ ~ - =`, and `/` for fields released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
}

/// Changes in order: waves one after the other, the changes of a wave side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The waves.
    pub waves: Vec<Vec<Change>>,
}
