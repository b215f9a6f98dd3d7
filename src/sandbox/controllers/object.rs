//! Small questions to an object of the Kubernetes API.
//! What comes in: JSON as the API answers it. What goes out: parts of it.
//! May not know: clients, controllers.

use serde_json::Value;

/// The text at a JSON pointer, empty when there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The list at a JSON pointer, empty when there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// `metadata.generation`, 0 when the server keeps none.
pub fn generation(object: &Value) -> i64 {
    number(object, "/metadata/generation").unwrap_or(0)
}

/// A label's value.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// An annotation's value.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// Whether deletion has begun.
pub fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|v| !v.is_null())
}

/// Whether a finalizer holds the object.
pub fn finalized_by(object: &Value, finalizer: &str) -> bool {
    list(object, "/metadata/finalizers").iter().any(|f| f == finalizer)
}

/// The object's finalizers without one of them.
pub fn finalizers_without(object: &Value, finalizer: &str) -> Vec<Value> {
    list(object, "/metadata/finalizers").iter().filter(|f| *f != finalizer).cloned().collect()
}

/// The uid of the owner that controls the object.
pub fn controller(object: &Value) -> Option<&str> {
    let mut owners = list(object, "/metadata/ownerReferences").iter();
    owners.find(|o| o["controller"] == true).map(|o| text(o, "/uid"))
}

/// The owner reference that makes `owner` the controller of an object.
pub fn controlled_by(owner: &Value) -> Value {
    serde_json::json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// A condition of `status.conditions` by type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|c| c["type"] == kind)
}

/// Whether a condition is True.
pub fn is(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

/// Whether every key of a Service's selector has its value among `labels`. An empty selector selects nothing.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(selector) = selector.as_object().filter(|s| !s.is_empty()) else { return false };
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The same value without nulls, so that what a server leaves out equals what a client left out.
pub fn compact(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), compact(v))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(compact).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_selector_selects_nothing() {
        assert!(!selects(&json!({}), &json!({"app": "a"})));
        assert!(!selects(&Value::Null, &json!({"app": "a"})));
        assert!(selects(&json!({"app": "a"}), &json!({"app": "a", "text": "blue"})));
        assert!(!selects(&json!({"app": "a", "text": "green"}), &json!({"app": "a", "text": "blue"})));
    }

    #[test]
    fn only_the_controlling_owner_counts_as_controller() {
        let pod = json!({"metadata": {"ownerReferences": [{"uid": "1"}, {"uid": "2", "controller": true}]}});
        assert_eq!(controller(&pod), Some("2"));
    }
}
