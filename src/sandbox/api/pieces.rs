//! The pure pieces of the API, asked by kind: how a kind is completed, checked, merged, tracked and shown.
//! What comes in: a kind and objects. What goes out: what `defaults`, `schema`, `ssa`, `strategic` and `printing` say.

use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Resource, Sub};
use super::printing::{Include, Printer};
use super::schema::{FieldError, Shape, custom};
use super::status::Status;
use super::{defaults, openapi, protobuf, ssa, strategic};

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
pub fn table(kind: &Resource, objects: &[&Value], include: &str, metadata: Value, now: jiff::Timestamp) -> Value {
    let printer = match &kind.custom {
        Some(custom) => Printer::custom(&custom.columns),
        None => Printer::builtin(&kind.group, &kind.kind),
    };
    printer.table(objects, Include::parse(Some(include)), metadata, now)
}

fn described(kinds: &[Arc<Resource>]) -> Vec<openapi::Kind<'_>> {
    let kinds = kinds.iter().map(|k| openapi::Kind {
        group: &k.group,
        version: &k.version,
        kind: &k.kind,
        plural: &k.plural,
        namespaced: k.namespaced,
        schema: k.custom.as_ref().and_then(|c| c.schema.as_ref()),
    });
    kinds.collect()
}

/// `/openapi/v3`.
pub fn openapi_index(kinds: &[Arc<Resource>]) -> Value {
    openapi::index(&described(kinds))
}

/// `/openapi/v3/…`.
pub fn openapi_document(group: &str, version: &str, kinds: &[Arc<Resource>]) -> Option<Value> {
    openapi::document(group, version, &described(kinds))
}
