//! Which fields a kind has and how its lists and maps merge: a kind's name or a CRD's schema in, a [`Shape`] out. Pure.
//!
//! A shape is a root in a graph of [`types`]. Server-side apply, strategic merge, protobuf decoding, OpenAPI documents,
//! pruning and the report of unknown fields all walk it. Built-in kinds come from `builtin.txt`, a table made from
//! Kubernetes' published definitions by `extract.py`; custom kinds from their CRD.

pub mod builtin;
pub mod custom;
mod quantity;
pub mod types;
mod walk;

use std::sync::Arc;

use serde_json::Value;
pub use types::{Atom, Empty, Field, Fit, Form, List, Map, Merge, Scalar, TypeId, Types, Wire};

/// The type of one kind: cheap to clone.
#[derive(Clone, Debug)]
pub struct Shape {
    types: Arc<Types>,
    root: TypeId,
    builtin: bool,
}

/// Why a field was refused, as a cause of a `Status` with reason Invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `spec.ports[0].port`.
    pub field: String,
    /// Kubernetes' word for the kind of error: `FieldValueInvalid`, `FieldValueRequired` …
    pub reason: &'static str,
    /// What is wrong, as `kubectl` prints it after the field.
    pub message: String,
}

impl Shape {
    /// The shape of a built-in kind or request body; `None` if the kind is not in the table.
    pub fn builtin(group: &str, version: &str, kind: &str) -> Option<Shape> {
        let table = builtin::table();
        let root = table.kind(group, version, kind)?;
        Some(Shape { types: table.types.clone(), root, builtin: true })
    }

    /// The shape of a custom kind from `spec.versions[i].schema.openAPIV3Schema`; `None` preserves everything.
    pub fn custom(schema: Option<&Value>) -> Shape {
        let (types, root) = custom::types(schema);
        Shape { types: Arc::new(types), root, builtin: false }
    }

    /// The graph this shape lives in.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// Where it starts in that graph.
    pub fn root(&self) -> TypeId {
        self.root
    }

    /// Whether Kubernetes defines the kind, so that empty Go fields vanish from its objects.
    pub fn is_builtin(&self) -> bool {
        self.builtin
    }

    /// The fields of `object` that the kind does not have, as `spec.ports[0].bar`.
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        walk::unknown(&self.types, self.root, object, "", &mut found);
        found
    }

    /// Drops what the kind does not have; for built-in kinds also leaves out and fills in empty fields as a Go server
    /// does when it writes its answer.
    pub fn prune(&self, object: &mut Value) {
        if self.builtin {
            walk::as_go(&self.types, self.root, object);
        } else {
            walk::prune(&self.types, self.root, object);
            self.metadata_as_go(object);
        }
    }

    /// The metadata of a custom object is the one part of it that a server reads into a Go type.
    fn metadata_as_go(&self, object: &mut Value) {
        let meta = self.types.atom(self.root).map.as_ref().and_then(|map| map.fields.get("metadata"));
        let Some((field, value)) = meta.zip(object.get_mut("metadata")) else { return };
        // An empty list of owners is a request to forget them, not an empty field.
        let owners = value.get_mut("managedFields").map(Value::take).filter(Value::is_array);
        walk::as_go(&self.types, field.ty, value);
        let Some(fields) = value.as_object_mut() else { return };
        if fields.get("creationTimestamp").is_some_and(Value::is_null) {
            fields.shift_remove("creationTimestamp");
        }
        if let Some(owners) = owners {
            fields.insert("managedFields".into(), owners);
        }
    }
}
