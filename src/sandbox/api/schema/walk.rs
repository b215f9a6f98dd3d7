//! Walks an object along its shape: unknown fields, pruning, and the empty fields that Go leaves out or writes. Pure.

use serde_json::{Map as Object, Value, json};

use super::types::{Empty, Field, Fit, Map, Scalar, TypeId, Types};

/// Collects the paths of fields that the type does not have.
pub(super) fn unknown(types: &Types, id: TypeId, value: &Value, path: &str, found: &mut Vec<String>) {
    match (types.atom(id).fitting(Some(value)), value) {
        (Fit::Map(map), Value::Object(object)) => {
            for (key, inner) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (map.fields.get(key), map.element) {
                    (Some(field), _) => unknown(types, field.ty, inner, &path, found),
                    (None, Some(element)) if !map.closed => unknown(types, element, inner, &path, found),
                    _ => found.push(path),
                }
            }
        }
        (Fit::List(list), Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                unknown(types, list.element, item, &format!("{path}[{i}]"), found);
            }
        }
        _ => {}
    }
}

/// Drops the fields that the type does not have.
pub(super) fn prune(types: &Types, id: TypeId, value: &mut Value) {
    match types.atom(id).fitting(Some(value)) {
        Fit::Map(map) => {
            let Value::Object(object) = value else { return };
            if map.closed {
                object.retain(|key, _| map.fields.contains_key(key));
            }
            for (key, inner) in object.iter_mut() {
                if let Some(ty) = map.type_of(key) {
                    prune(types, ty, inner);
                }
            }
        }
        Fit::List(list) => {
            if let Value::Array(items) = value {
                items.iter_mut().for_each(|item| prune(types, list.element, item));
            }
        }
        Fit::Scalar(_) => {}
    }
}

/// Makes an object what a Go server answers after reading it: unknown fields and nulls gone, empty fields left out or
/// written as the Go type says.
pub(super) fn as_go(types: &Types, id: TypeId, value: &mut Value) {
    match types.atom(id).fitting(Some(value)) {
        Fit::Map(map) if map.closed => {
            if let Value::Object(object) = value {
                struct_as_go(types, map, object);
            }
        }
        Fit::Map(Map { element: Some(element), .. }) if *element != Types::DEDUCED && *element != Types::UNTYPED => {
            if let Value::Object(object) = value {
                object.values_mut().for_each(|inner| as_go(types, *element, inner));
            }
        }
        Fit::List(list) => {
            if let Value::Array(items) = value {
                items.iter_mut().for_each(|item| as_go(types, list.element, item));
            }
        }
        Fit::Scalar(Scalar::Quantity) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // What is no amount is left for validation to refuse.
            *value = Value::String(super::quantity::canonical(&text).unwrap_or(text));
        }
        _ => {}
    }
}

fn struct_as_go(types: &Types, map: &Map, object: &mut Object<String, Value>) {
    object.retain(|key, inner| map.fields.contains_key(key) && !inner.is_null());
    for (key, inner) in object.iter_mut() {
        as_go(types, map.fields[key].ty, inner);
    }
    for (key, field) in &map.fields {
        if field.wire.is_some_and(|w| w.embedded) {
            continue;
        }
        match field.empty {
            Empty::Omit if object.get(key).is_some_and(is_empty) => {
                object.shift_remove(key);
            }
            Empty::Null if !object.contains_key(key) => drop(object.insert(key.clone(), Value::Null)),
            Empty::Always | Empty::Struct if !object.contains_key(key) => {
                object.insert(key.clone(), zero(types, field));
            }
            _ => {}
        }
    }
}

/// The empty value that Go writes for a field.
fn zero(types: &Types, field: &Field) -> Value {
    match types.atom(field.ty).fitting(None) {
        Fit::Map(map) if map.closed => {
            let mut object = Object::new();
            struct_as_go(types, map, &mut object);
            Value::Object(object)
        }
        Fit::Map(_) if field.ty == Types::DEDUCED => json!(0),
        Fit::Map(_) | Fit::List(_) => Value::Null,
        Fit::Scalar(Scalar::String) => json!(""),
        Fit::Scalar(Scalar::Int32 | Scalar::Int64) => json!(0),
        Fit::Scalar(Scalar::Double) => json!(0),
        Fit::Scalar(Scalar::Bool) => json!(false),
        Fit::Scalar(Scalar::Quantity) => json!("0"),
        Fit::Scalar(Scalar::Duration) => json!("0s"),
        Fit::Scalar(_) => Value::Null,
    }
}

/// What `omitempty` leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}
