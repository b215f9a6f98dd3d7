//! The pure pieces of the API, asked by kind: how a kind is completed, checked, merged, tracked and shown.
//! What comes in: a kind and objects. What goes out: what `defaults`, `schema`, `ssa`, `strategic` and `printing` say.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{Resource, Sub};
use super::schema::{FieldError, Shape, custom};
use super::status::Status;
use super::{defaults, protobuf, ssa, strategic};

pub use strategic::json_merge;

/// Who writes, when, and through which door.
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
    protobuf::is(bytes).then(|| protobuf::decode(bytes).map_err(|e| e.to_string()))
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

/// What the pen and the door mean to the record of managers.
fn writing<T>(kind: &Resource, pen: &Pen, write: impl FnOnce(&ssa::Writer) -> T) -> T {
    let api_version = kind.api_version();
    let reset = match pen.sub {
        Some(Sub::Status) => ssa::Reset::AllButStatus,
        None if kind.has(Sub::Status) => ssa::Reset::Status,
        _ => ssa::Reset::None,
    };
    let subresource = pen.sub.map_or("", Sub::segment);
    write(&ssa::Writer { manager: pen.manager, api_version: &api_version, subresource, time: pen.time, reset })
}

/// Server-side apply.
///
/// # Errors
/// 409 with every field another manager owns, unless forced; 400/422 for a body that cannot be applied.
pub fn apply(kind: &Resource, live: Option<&Value>, body: &Value, pen: &Pen, force: bool) -> Result<Value, Status> {
    let applied = writing(kind, pen, |writer| ssa::apply(&shape(kind), live, body, writer, force));
    applied.map_err(|refused| Status(refused.status()))
}

/// Records who owns which field after a write that was no apply.
pub fn track(kind: &Resource, live: Option<&Value>, new: &mut Value, pen: &Pen) {
    writing(kind, pen, |writer| ssa::track(&shape(kind), live, new, writer));
}

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
