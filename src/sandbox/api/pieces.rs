//! The pure pieces of the API, asked by kind: how a kind is completed, checked, merged, tracked and shown.
//! What comes in: a kind and objects. What goes out: what `defaults`, `schema`, `ssa`, `strategic` and `printing` say.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{Resource, Sub};
use super::schema::{FieldError, Shape, custom};
use super::status::Status;
use super::{defaults, strategic};

pub use strategic::json_merge;

/// Who writes, when, and through which door.
#[expect(dead_code, reason = "read by field management, which is being built")]
pub struct Pen<'a> {
    /// Field manager.
    pub manager: &'a str,
    /// Subresource, if any.
    pub sub: Option<Sub>,
    /// Now.
    pub time: &'a str,
}

/// What fields a kind has.
fn shape(kind: &Resource) -> Shape {
    match &kind.custom {
        Some(custom) => custom.shape.clone(),
        None => Shape::builtin(&kind.group, &kind.version, &kind.kind).unwrap_or_else(|| Shape::custom(None)),
    }
}

/// YAML text as a value.
///
/// # Errors
/// When it cannot be read, or is not one document.
pub fn yaml(text: &str) -> Result<Value, String> {
    let mut documents = crate::yaml::parse(text).map_err(|e| e.to_string())?;
    match documents.len() {
        1 => Ok(documents.remove(0).value),
        n => Err(format!("one document is expected, not {n}")),
    }
}

/// Kubernetes' protobuf as a value; none when the bytes are something else.
pub fn protobuf(bytes: &[u8]) -> Option<Result<Value, String>> {
    bytes.starts_with(b"k8s\0").then(|| Err("not read here yet".into()))
}

/// Defaults and normal form of an object, as its writer is held to own them.
pub fn complete(kind: &Resource, object: &mut Value) {
    match &kind.custom {
        None => defaults::complete(&kind.group, &kind.version, &kind.kind, object),
        Some(custom) => {
            custom.shape.prune(object);
            if let Some(schema) = &custom.schema {
                custom::default(schema, object);
            }
        }
    }
}

/// What the server adds to a new object, owned by nobody.
pub fn settle(kind: &Resource, object: &mut Value) {
    if kind.custom.is_none() {
        defaults::settle(&kind.group, &kind.kind, object);
    }
}

/// Everything that is wrong with an object.
pub fn validate(kind: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = defaults::validate(&kind.group, &kind.version, &kind.kind, object, old);
    if let Some(schema) = kind.custom.as_ref().and_then(|c| c.schema.as_ref()) {
        errors.extend(custom::validate(schema, object));
    }
    errors
}

/// Fields that the kind does not have.
pub fn unknown_fields(kind: &Resource, object: &Value) -> Vec<String> {
    shape(kind).unknown_fields(object)
}

/// Server-side apply.
pub fn apply(_kind: &Resource, live: Option<&Value>, body: &Value, _pen: &Pen, _force: bool) -> Result<Value, Status> {
    let mut merged = live.cloned().unwrap_or_else(|| json!({}));
    json_patch::merge(&mut merged, body);
    Ok(merged)
}

/// Records who owns which field after a write that was no apply.
pub fn track(_kind: &Resource, _live: Option<&Value>, _new: &mut Value, _pen: &Pen) {}

/// A strategic merge patch; none for kinds that do not take it.
pub fn strategic(kind: &Resource, live: &Value, patch: &Value) -> Option<Result<Value, String>> {
    kind.custom.is_none().then(|| strategic::merge(&shape(kind), live, patch))
}

/// `meta.k8s.io/v1 Table`.
pub fn table(_kind: &Resource, objects: &[&Value], include: &str, metadata: Value, _now: jiff::Timestamp) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|o| {
            let object = match include {
                "None" => Value::Null,
                "Object" => Value::clone(o),
                _ => super::negotiate::metadata_only(o),
            };
            json!({"cells": [o["metadata"]["name"], o["metadata"]["creationTimestamp"]], "object": object})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": rows, "columnDefinitions": [
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        {"name": "Age", "type": "string", "format": "", "description": "", "priority": 0}]})
}

/// `/openapi/v3`.
pub fn openapi_index(_kinds: &[Arc<Resource>]) -> Value {
    json!({"paths": {}})
}

/// `/openapi/v3/…`.
pub fn openapi_document(_group: &str, _version: &str, _kinds: &[Arc<Resource>]) -> Option<Value> {
    None
}
