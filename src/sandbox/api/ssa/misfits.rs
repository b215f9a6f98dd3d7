//! Whether an object is of its type, and where it is not. Pure. Rules and sentences are those of Kubernetes'
//! structured-merge-diff 4.

use serde_json::Value;

use super::path::Element;
use super::typed::element;
use crate::sandbox::api::schema::{Fit, List, Merge, Scalar, TypeId, Types};

/// What kept an object from being typed: `.spec.replicas: expected numeric …`, one per problem.
pub(super) type Misfits = Vec<String>;

/// Checks that an object is of its type.
pub(super) fn misfits(types: &Types, id: TypeId, value: &Value) -> Misfits {
    let mut found = Vec::new();
    check(types, id, value, "", &mut found);
    found
}

fn check(types: &Types, id: TypeId, value: &Value, path: &str, found: &mut Misfits) {
    let say =
        |found: &mut Misfits, what: String| found.push(if path.is_empty() { what } else { format!("{path}: {what}") });
    match types.atom(id).fitting(Some(value)) {
        Fit::Scalar(kind) => {
            if let Some(what) = scalar_misfit(kind, value) {
                say(found, what);
            }
        }
        Fit::List(list) => match value {
            Value::Null => {}
            Value::Array(items) => check_list(types, list, items, path, found),
            other => say(found, format!("expected list, got {}", go_pointer(other))),
        },
        Fit::Map(map) => match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, inner) in fields {
                    match map.type_of(key) {
                        Some(ty) => check(types, ty, inner, &format!("{path}.{key}"), found),
                        None => found.push(format!("{path}.{key}: field not declared in schema")),
                    }
                }
            }
            other => say(found, format!("expected map, got {}", go_pointer(other))),
        },
    }
}

fn check_list(types: &Types, list: &List, items: &[Value], path: &str, found: &mut Misfits) {
    let mut seen: Vec<Element> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let e = match list.merge {
            Merge::Atomic => Element::Index(i64::try_from(i).unwrap_or(i64::MAX)),
            _ => match element(types, list, item) {
                Ok(e) => e,
                Err(why) => {
                    let what = format!("element {i}: {why}");
                    found.push(if path.is_empty() { what } else { format!("{path}: {what}") });
                    return;
                }
            },
        };
        if list.merge != Merge::Atomic && seen.contains(&e) {
            found.push(format!("{path}: duplicate entries for key {e}"));
        }
        check(types, list.element, item, &format!("{path}{e}"), found);
        seen.push(e);
    }
}

fn scalar_misfit(kind: Scalar, value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    match kind {
        Scalar::Int32 | Scalar::Int64 | Scalar::Double if !value.is_number() => {
            let got = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Array(_) => "[]interface {}",
                _ => "map[string]interface {}",
            };
            Some(format!("expected numeric (int or float), got {got}"))
        }
        Scalar::String | Scalar::Bytes if !value.is_string() => {
            let shown = value.to_string();
            Some(format!("expected string, got &value.valueUnstructured{{Value:{shown}}}"))
        }
        Scalar::Bool if !value.is_boolean() => Some(format!("expected boolean, got {}", go_pointer(value))),
        _ if value.is_array() || value.is_object() => Some(format!("expected any scalar, got {}", go_pointer(value))),
        _ => None,
    }
}

/// A value as Go prints the pointer that holds it.
fn go_pointer(value: &Value) -> String {
    fn go(value: &Value) -> String {
        match value {
            Value::Null => "<nil>".into(),
            Value::String(s) => s.clone(),
            Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
            Value::Object(fields) => {
                let mut fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
                fields.sort();
                format!("map[{}]", fields.join(" "))
            }
            other => other.to_string(),
        }
    }
    format!("&{{{}}}", go(value))
}
