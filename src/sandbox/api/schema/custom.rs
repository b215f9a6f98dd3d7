//! Custom kinds: the structural schema of a CRD in, a graph of types, defaults and validation out. Pure.
//!
//! Not read: `x-kubernetes-validations` (CEL) and `format`; objects that break only those are accepted.

use serde_json::{Value, json};

use super::types::{Atom, Empty, Field, List, Map, Merge, Patch, Scalar, TypeId, Types};
use super::{FieldError, builtin};

/// The graph of a custom kind and its root.
pub(super) fn types(schema: Option<&Value>) -> (Types, TypeId) {
    let mut types = Types::new();
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let root = convert(&mut types, schema.unwrap_or(&anything), false);
    let mut atom = types.atom(root).clone();
    let mut map = atom.map.take().unwrap_or_default();
    add_object_fields(&mut types, &mut map);
    types.set(root, Atom { map: Some(map), ..Atom::default() });
    (types, root)
}

/// `apiVersion`, `kind` and `metadata`, which every object and every embedded resource has.
fn add_object_fields(types: &mut Types, map: &mut Map) {
    let table = builtin::table();
    let meta = table.named("meta.v1.ObjectMeta").expect("builtin.txt has meta.v1.ObjectMeta");
    let meta = types.import(&table.types, meta);
    let string = types.add(None, Atom::scalar(Scalar::String));
    for (name, ty) in [("apiVersion", string), ("kind", string), ("metadata", meta)] {
        map.fields.insert(name.into(), plain(ty, None, false));
    }
}

fn plain(ty: TypeId, default: Option<Value>, required: bool) -> Field {
    Field { ty, default, required, patch: Patch::default(), empty: Empty::Pointer, wire: None }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// One schema to one type. Preserving unknown fields is handed down to everything below, as merging has it.
fn convert(types: &mut Types, schema: &Value, preserve: bool) -> TypeId {
    let preserve = preserve || flag(schema, PRESERVE);
    let atom = match text(schema, "type") {
        "" => Atom {
            scalar: Some(Scalar::Any),
            list: Some(list(types, schema, preserve)),
            map: Some(object(types, schema, preserve)),
        },
        "object" => Atom { map: Some(object(types, schema, preserve)), ..Atom::default() },
        "array" => Atom { list: Some(list(types, schema, preserve)), ..Atom::default() },
        "integer" if text(schema, "format") == "int32" => Atom::scalar(Scalar::Int32),
        "integer" => Atom::scalar(Scalar::Int64),
        "number" => Atom::scalar(Scalar::Double),
        "boolean" => Atom::scalar(Scalar::Bool),
        _ if matches!(text(schema, "format"), "" | "byte") => Atom::scalar(Scalar::String),
        _ => Atom::scalar(Scalar::Any),
    };
    types.add(None, atom)
}

fn object(types: &mut Types, schema: &Value, preserve: bool) -> Map {
    let mut map = Map { atomic: text(schema, "x-kubernetes-map-type") == "atomic", ..Map::default() };
    let required = schema.get("required").and_then(Value::as_array);
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let ty = convert(types, inner, preserve);
        let required = required.is_some_and(|r| r.iter().any(|f| f == name));
        map.fields.insert(name.clone(), plain(ty, inner.get("default").cloned(), required));
    }
    map.element = match schema.get("additionalProperties") {
        None if preserve || map.fields.is_empty() => Some(Types::DEDUCED),
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(Types::DEDUCED),
        Some(inner) => Some(convert(types, inner, preserve)),
    };
    let open = schema.get("additionalProperties").is_some_and(|a| a != &Value::Bool(false));
    map.closed = !open && !flag(schema, PRESERVE) && text(schema, "type") == "object";
    if flag(schema, "x-kubernetes-embedded-resource") {
        add_object_fields(types, &mut map);
    }
    map
}

fn list(types: &mut Types, schema: &Value, preserve: bool) -> List {
    let merge = match text(schema, "x-kubernetes-list-type") {
        "set" => Merge::Set,
        "map" => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            Merge::Keys(keys.into_iter().flatten().filter_map(|k| k.as_str().map(str::to_owned)).collect())
        }
        _ => Merge::Atomic,
    };
    let element = schema.get("items").map_or(Types::UNTYPED, |items| convert(types, items, preserve));
    List { element, merge }
}

/// Fills in the schema's defaults; a null stands for absent where the schema has a default and does not allow null.
pub fn default(schema: &Value, object: &mut Value) {
    match object {
        Value::Object(fields) => {
            for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if let Some(default) = inner.get("default") {
                    let absent = fields.get(name).is_none_or(|v| v.is_null() && !flag(inner, "nullable"));
                    if absent {
                        fields.insert(name.clone(), default.clone());
                    }
                }
                if let Some(value) = fields.get_mut(name) {
                    self::default(inner, value);
                }
            }
            if let Some(inner) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                let known = schema.get("properties");
                for (name, value) in fields.iter_mut() {
                    if known.is_none_or(|k| k.get(name).is_none()) {
                        self::default(inner, value);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items.iter_mut().for_each(|item| self::default(inner, item));
            }
        }
        _ => {}
    }
}

/// What a server refuses by the schema.
pub fn validate(schema: &Value, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(schema, object, "", &mut errors);
    errors
}

fn push(errors: &mut Vec<FieldError>, field: &str, reason: &'static str, message: String) {
    let field = if field.is_empty() { "<nil>".to_owned() } else { field.to_owned() };
    errors.push(FieldError { field, reason, message });
}

/// How a value is quoted in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "\"array\"".into(),
        Value::Object(_) => "\"object\"".into(),
        other => other.to_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && (flag(schema, "nullable") || path.is_empty()) {
        return;
    }
    if !type_fits(schema, value) {
        let (want, got) = (text(schema, "type"), type_name(value));
        let want = if want.is_empty() { "integer,string" } else { want };
        let message = format!("Invalid value: {got:?}: {path} in body must be of type {want}: {got:?}");
        return push(errors, path, "FieldValueTypeInvalid", message);
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array).filter(|a| !a.contains(value)) {
        let listed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let message = format!("Unsupported value: {}: supported values: {}", shown(value), listed.join(", "));
        push(errors, path, "FieldValueNotSupported", message);
    }
    match value {
        Value::Object(fields) => check_object(schema, fields, path, errors),
        Value::Array(items) => check_array(schema, items, path, errors),
        Value::String(s) => check_string(schema, s, path, errors),
        Value::Number(n) => check_number(schema, n.as_f64().unwrap_or_default(), path, errors),
        _ => {}
    }
    check_combined(schema, value, path, errors);
}

fn type_fits(schema: &Value, value: &Value) -> bool {
    if flag(schema, "x-kubernetes-int-or-string") {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match text(schema, "type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0),
        _ => true,
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
}

fn check_object(schema: &Value, fields: &serde_json::Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            push(errors, &at(name), "FieldValueRequired", "Required value".into());
        }
    }
    let properties = schema.get("properties");
    let others = schema.get("additionalProperties").filter(|a| a.is_object());
    for (name, value) in fields {
        if let Some(inner) = properties.and_then(|p| p.get(name)).or(others) {
            check(inner, value, &at(name), errors);
        }
    }
    if bound(schema, "maxProperties").is_some_and(|max| fields.len() > max) {
        push(errors, path, "FieldValueTooMany", format!("Too many: {}: must have fewer properties", fields.len()));
    }
    if let Some(min) = bound(schema, "minProperties").filter(|min| fields.len() < *min) {
        let message = format!("Invalid value: \"object\": {path} in body should have at least {min} properties");
        push(errors, path, "FieldValueInvalid", message);
    }
}

fn check_array(schema: &Value, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if let Some(inner) = schema.get("items") {
        for (i, item) in items.iter().enumerate() {
            check(inner, item, &format!("{path}[{i}]"), errors);
        }
    }
    if let Some(max) = bound(schema, "maxItems").filter(|max| items.len() > *max) {
        let message = format!("Too many: {}: must have at most {max} items", items.len());
        push(errors, path, "FieldValueTooMany", message);
    }
    if let Some(min) = bound(schema, "minItems").filter(|min| items.len() < *min) {
        let message = format!("Invalid value: {}: {path} in body should have at least {min} items", items.len());
        push(errors, path, "FieldValueInvalid", message);
    }
    let keys: Vec<&str> = match schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().filter_map(Value::as_str).collect(),
        None if text(schema, "x-kubernetes-list-type") == "set" => Vec::new(),
        None => return,
    };
    let key = |item: &Value| match keys.is_empty() {
        true => item.clone(),
        false => Value::Array(keys.iter().map(|k| item.get(*k).cloned().unwrap_or_default()).collect()),
    };
    for (i, item) in items.iter().enumerate() {
        if items[..i].iter().any(|before| key(before) == key(item)) {
            let message = format!("Duplicate value: {}", shown(item));
            push(errors, &format!("{path}[{i}]"), "FieldValueDuplicate", message);
        }
    }
}

fn check_string(schema: &Value, value: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = value.chars().count();
    if let Some(max) = bound(schema, "maxLength").filter(|max| length > *max) {
        push(errors, path, "FieldValueTooLong", format!("Too long: may not be more than {max} bytes"));
    }
    if let Some(min) = bound(schema, "minLength").filter(|min| length < *min) {
        let message = format!("Invalid value: {value:?}: {path} in body should be at least {min} chars long");
        push(errors, path, "FieldValueInvalid", message);
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && regex::Regex::new(pattern).is_ok_and(|re| !re.is_match(value))
    {
        let message = format!("Invalid value: {value:?}: {path} in body should match '{pattern}'");
        push(errors, path, "FieldValueInvalid", message);
    }
}

fn check_number(schema: &Value, value: f64, path: &str, errors: &mut Vec<FieldError>) {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let mut refuse = |what: String| {
        push(errors, path, "FieldValueInvalid", format!("Invalid value: {value}: {path} in body should be {what}"));
    };
    if let Some(min) = limit("minimum") {
        let exclusive = flag(schema, "exclusiveMinimum");
        if value < min || (exclusive && value <= min) {
            refuse(format!("greater than {}{min}", if exclusive { "" } else { "or equal to " }));
        }
    }
    if let Some(max) = limit("maximum") {
        let exclusive = flag(schema, "exclusiveMaximum");
        if value > max || (exclusive && value >= max) {
            refuse(format!("less than {}{max}", if exclusive { "" } else { "or equal to " }));
        }
    }
    if let Some(step) = limit("multipleOf").filter(|step| *step != 0.0 && (value / step).fract() != 0.0) {
        refuse(format!("a multiple of {step}"));
    }
}

fn check_combined(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let all = |name: &str| schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let fits = |inner: &&Value| {
        let mut found = Vec::new();
        check(inner, value, path, &mut found);
        found.is_empty()
    };
    for inner in all("allOf") {
        check(inner, value, path, errors);
    }
    let mut refuse = |what: &str| {
        push(errors, path, "FieldValueInvalid", format!("Invalid value: {}: {path} in body {what}", shown(value)));
    };
    if !all("anyOf").is_empty() && !all("anyOf").iter().any(|s| fits(&s)) {
        refuse("must validate at least one schema (anyOf)");
    }
    if !all("oneOf").is_empty() && all("oneOf").iter().filter(fits).count() != 1 {
        refuse("must validate one and only one schema (oneOf)");
    }
    if schema.get("not").is_some_and(|s| fits(&s)) {
        refuse("must not validate the schema (not)");
    }
}
