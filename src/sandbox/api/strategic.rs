//! Strategic and JSON merge patches: an object and a patch in, an object out. Pure.
//!
//! A strategic merge patch is Kubernetes' own: lists of named things merge by a key, and directives in the patch
//! (`$patch`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`, `$retainKeys`) say what plain JSON cannot.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value};

use super::schema::types::Patch;
use super::schema::{Fit, Shape, TypeId, Types};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Merges a strategic merge patch into an object of a built-in kind.
///
/// # Errors
/// The patch is not one: an unknown directive, or a list element without its merge key.
pub fn merge(shape: &Shape, live: &Value, patch: &Value) -> Result<Value, String> {
    let (Value::Object(live), Value::Object(patch)) = (live, patch) else {
        return Err("a strategic merge patch and what it patches are objects".into());
    };
    merge_object(&At { types: shape.types(), id: Some(shape.root()) }, live.clone(), patch).map(Value::Object)
}

/// Merges a JSON merge patch (RFC 7386).
pub fn json_merge(live: &mut Value, patch: &Value) {
    json_patch::merge(live, patch);
}

/// A place in the shape; no type where the schema says nothing.
struct At<'a> {
    types: &'a Types,
    id: Option<TypeId>,
}

impl<'a> At<'a> {
    /// The place below a key, and how that field merges.
    fn field(&self, key: &str) -> (At<'a>, Patch) {
        let Some(map) = self.id.and_then(|id| self.types.atom(id).map.as_ref()) else {
            return (At { types: self.types, id: None }, Patch::default());
        };
        let patch = map.fields.get(key).map(|f| f.patch.clone()).unwrap_or_default();
        (At { types: self.types, id: map.type_of(key) }, patch)
    }

    /// The place of a list's elements.
    fn element(&self) -> At<'a> {
        let list = self.id.and_then(|id| match self.types.atom(id).fitting(Some(&Value::Array(Vec::new()))) {
            Fit::List(list) => Some(list.element),
            _ => None,
        });
        At { types: self.types, id: list }
    }
}

type Fields = Object<String, Value>;

fn merge_object(at: &At<'_>, mut live: Fields, patch: &Fields) -> Result<Fields, String> {
    match patch.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => {
            let mut replaced = patch.clone();
            replaced.shift_remove(DIRECTIVE);
            return Ok(replaced);
        }
        Some("delete") => return Ok(Fields::new()),
        Some(other) => return Err(format!("unknown patch type: {other}")),
    }
    if let Some(retain) = patch.get(RETAIN).and_then(Value::as_array) {
        live.retain(|key, _| retain.iter().any(|k| k == key) || patch.contains_key(key));
        if let Some(key) = patch.keys().find(|k| !k.starts_with('$') && !retain.iter().any(|r| r == *k)) {
            return Err(format!("{key} is in the patch but not in its $retainKeys list"));
        }
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix(DELETE) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(items)) = live.get_mut(field) {
                items.retain(|item| !gone.contains(item));
            }
        }
    }
    let ordered: BTreeMap<&str, &Value> =
        patch.iter().filter_map(|(key, value)| Some((key.strip_prefix(ORDER)?, value))).collect();
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        if value.is_null() {
            live.shift_remove(key);
            continue;
        }
        let (below, how) = at.field(key);
        let merged = merge_value(&below, &how, live.get(key), value)?;
        let merged = match (ordered.get(key.as_str()), merged) {
            (Some(order), Value::Array(items)) => Value::Array(arrange(items, order, live.get(key), &how)),
            (_, merged) => merged,
        };
        live.insert(key.clone(), merged);
    }
    for (key, order) in ordered.iter().filter(|(key, _)| !patch.contains_key(**key)) {
        if let Some(Value::Array(items)) = live.get(*key) {
            let (_, how) = at.field(key);
            let arranged = arrange(items.clone(), order, live.get(*key), &how);
            live.insert((*key).to_owned(), Value::Array(arranged));
        }
    }
    Ok(live)
}

fn merge_value(at: &At<'_>, how: &Patch, live: Option<&Value>, patch: &Value) -> Result<Value, String> {
    match (live, patch) {
        (Some(Value::Object(live)), Value::Object(patch)) => merge_object(at, live.clone(), patch).map(Value::Object),
        (Some(Value::Array(live)), Value::Array(patch)) if how.merge => {
            merge_list(&at.element(), how, live, patch).map(Value::Array)
        }
        (None, Value::Array(patch)) if how.merge => merge_list(&at.element(), how, &[], patch).map(Value::Array),
        (None, Value::Object(patch)) => merge_object(at, Fields::new(), patch).map(Value::Object),
        (_, patch) => Ok(without_directives(patch)),
    }
}

/// A patch value that meets nothing: its nulls and directives vanish.
fn without_directives(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(key, value)| !key.starts_with('$') && !value.is_null())
                .map(|(key, value)| (key.clone(), without_directives(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items.iter().filter(|i| i.get(DIRECTIVE).is_none_or(|d| d != "delete")).map(without_directives).collect(),
        ),
        other => other.clone(),
    }
}

fn merge_list(at: &At<'_>, how: &Patch, live: &[Value], patch: &[Value]) -> Result<Vec<Value>, String> {
    let Some(key) = &how.key else {
        let mut merged: Vec<Value> = Vec::new();
        for item in live.iter().chain(patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(arrange(merged, &Value::Array(patch.to_vec()), Some(&Value::Array(live.to_vec())), how));
    };
    if patch.iter().any(|item| item.get(DIRECTIVE).is_some_and(|d| d == "replace")) {
        let kept = patch.iter().filter(|item| item.get(DIRECTIVE).is_none());
        return Ok(kept.map(without_directives).collect());
    }
    let mut merged = live.to_vec();
    let mut named = Vec::new();
    for item in patch {
        let fields = item.as_object().ok_or_else(|| format!("{item} is no object with the merge key {key}"))?;
        let name = fields.get(key).ok_or_else(|| format!("map: {item} does not contain declared merge key: {key}"))?;
        match fields.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
            Some("delete") => merged.retain(|other| other.get(key) != Some(name)),
            None | Some("merge") => {
                match merged.iter_mut().find(|other| other.get(key) == Some(name)) {
                    Some(Value::Object(other)) => *other = merge_object(at, std::mem::take(other), fields)?,
                    _ => merged.push(Value::Object(merge_object(at, Fields::new(), fields)?)),
                }
                named.push(item.clone());
            }
            Some(other) => return Err(format!("unknown patch type: {other}")),
        }
    }
    Ok(arrange(merged, &Value::Array(named), Some(&Value::Array(live.to_vec())), how))
}

/// Puts the elements that `order` names in that order, and the others between them as the live list had them.
fn arrange(items: Vec<Value>, order: &Value, live: Option<&Value>, how: &Patch) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match &how.key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    };
    let order = order.as_array().map(Vec::as_slice).unwrap_or_default();
    let live = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let position = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| position(order, item).is_some());
    named.sort_by_key(|item| position(order, item));
    others.sort_by_key(|item| position(live, item));
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(item), Some(other)) = (named.peek(), others.peek()) {
        let before = match (position(live, other), position(live, item)) {
            (Some(other), Some(item)) => other < item,
            _ => false,
        };
        arranged.extend(if before { others.next() } else { named.next() });
    }
    arranged.extend(others);
    arranged.extend(named);
    arranged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Shape {
        Shape::builtin("apps", "v1", "Deployment").expect("known")
    }

    fn with(containers: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn containers_merge_by_name_and_keep_their_order() {
        let live = with(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]));
        let patch = with(json!([{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]));
        let merged = merge(&deployment(), &live, &patch).unwrap();
        let want = json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]);
        assert_eq!(merged, with(want));
    }

    #[test]
    fn a_named_order_and_a_delete_directive_are_obeyed() {
        let live = with(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "b", "$patch": "delete"}]}}}});
        assert_eq!(merge(&deployment(), &live, &patch).unwrap(), with(json!([{"name": "c"}, {"name": "a"}])));
    }

    #[test]
    fn retain_keys_clears_what_another_strategy_needed() {
        let live = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        let merged = merge(&deployment(), &live, &patch).unwrap();
        assert_eq!(merged, json!({"spec": {"strategy": {"type": "Recreate"}}}));
    }

    #[test]
    fn replace_and_null_and_primitive_deletion_work() {
        let live =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]}, "spec": {"replicas": 1}});
        let patch = json!({"metadata": {"labels": {"$patch": "replace", "c": "3"},
            "$deleteFromPrimitiveList/finalizers": ["x"]}, "spec": {"replicas": null}});
        let merged = merge(&deployment(), &live, &patch).unwrap();
        assert_eq!(merged, json!({"metadata": {"labels": {"c": "3"}, "finalizers": ["y"]}, "spec": {}}));
    }

    #[test]
    fn an_element_without_its_key_is_refused() {
        let error = merge(&deployment(), &with(json!([])), &with(json!([{"image": "x"}]))).unwrap_err();
        assert!(error.contains("does not contain declared merge key: name"), "{error}");
    }

    #[test]
    fn a_selector_is_merged_like_any_map_and_a_plain_list_is_replaced() {
        let live = with(json!([{"name": "a", "command": ["x", "y"]}]));
        let patch = with(json!([{"name": "a", "command": ["z"]}]));
        assert_eq!(merge(&deployment(), &live, &patch).unwrap(), with(json!([{"name": "a", "command": ["z"]}])));
    }
}
