//! Field ownership as the API server records it (`metadata.managedFields`, FieldsV1), read to tell what applying a
//! configuration would change. What comes in: a configuration and the object as observed. What goes out: the object
//! as it will be. May not know: clients, kinds. The record itself tells which lists are keyed, sets or atomic, so no
//! schema is needed here.

use serde_json::{Map, Value};

use crate::manifest::FIELD_MANAGER;

/// The fields a manager applied (operation `Apply`, the object itself), or nothing when it applied none.
pub fn owned_by<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    entries(object).find(|e| is_apply_of(e, manager)).and_then(|e| e.get("fieldsV1"))
}

fn entries(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn is_apply_of(entry: &Value, manager: &str) -> bool {
    entry["manager"] == manager
        && entry["operation"] == "Apply"
        && entry["subresource"].as_str().is_none_or(str::is_empty)
}

/// What everybody else owns, for fields that must stay when failctl lets go of them.
fn others(object: &Value) -> Vec<&Value> {
    entries(object).filter(|e| !is_apply_of(e, FIELD_MANAGER)).filter_map(|e| e.get("fieldsV1")).collect()
}

/// What applying does.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object as it will be, as far as can be told without the server.
    pub after: Value,
    /// Whether some field of the configuration is not yet owned by failctl.
    pub claims: bool,
}

/// What the object will be after server-side apply of `body` by failctl, given what it is now.
/// `exact`: whether the server stores lists and empty values as they are sent (true for custom resources; built-in
/// kinds fill in defaults and drop empty values).
pub fn applied(before: &Value, body: &Value, exact: bool) -> Applied {
    let body = without_nulls(body);
    let owned = owned_by(before, FIELD_MANAGER);
    let mut walk = Walk { exact, claims: false };
    let after = walk.node(Some(before), Some(&body), owned, &others(before), true).unwrap_or(Value::Null);
    // An object without any record (cleaned by a proxy or a backup tool) tells nothing about ownership.
    Applied { after, claims: walk.claims && entries(before).next().is_some() }
}

/// The configuration without nulls: under server-side apply a null means owning nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(list) => list.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// How the server treats a list, as its own record shows.
enum List {
    /// Items are told apart by these fields.
    Keyed(Vec<String>),
    /// Items are values.
    Set,
    /// One value.
    Atomic,
}

struct Walk {
    exact: bool,
    claims: bool,
}

/// A child of an ownership tree.
fn child<'a>(fields: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    fields.and_then(|f| f.get(key))
}

fn children<'a>(others: &[&'a Value], key: &str) -> Vec<&'a Value> {
    others.iter().filter_map(|o| o.get(key)).collect()
}

/// Whether an ownership node says "this value as a whole".
fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_none_or(|m| m.keys().all(|k| k == "."))
}

/// Whether a map is one value: it has content, and everybody who owns it owns it as a whole.
fn is_atomic(before: &Map<String, Value>, owned: Option<&Value>, others: &[&Value]) -> bool {
    let mut records = owned.into_iter().chain(others.iter().copied()).peekable();
    !before.is_empty() && records.peek().is_some() && records.all(is_leaf)
}

fn list_kind(owned: Option<&Value>, others: &[&Value]) -> List {
    for fields in owned.into_iter().chain(others.iter().copied()) {
        for key in fields.as_object().into_iter().flat_map(Map::keys) {
            if let Some(keys) = key.strip_prefix("k:").and_then(|k| serde_json::from_str::<Map<_, _>>(k).ok()) {
                return List::Keyed(keys.keys().cloned().collect());
            }
            if key.starts_with("v:") {
                return List::Set;
            }
        }
    }
    List::Atomic
}

impl Walk {
    /// One node: what is there, what is wanted, who owns what below it.
    fn node(
        &mut self,
        before: Option<&Value>,
        body: Option<&Value>,
        owned: Option<&Value>,
        others: &[&Value],
        top: bool,
    ) -> Option<Value> {
        let Some(body) = body else { return self.released(before, owned, others) };
        match (before, body) {
            (Some(Value::Object(b)), Value::Object(w)) if top || !is_atomic(b, owned, others) => {
                self.claims |= w.is_empty() && owned.is_none();
                Some(Value::Object(self.object(b, w, owned, others, top)))
            }
            (Some(Value::Array(b)), Value::Array(w)) => match list_kind(owned, others) {
                List::Keyed(keys) => Some(Value::Array(self.keyed(b, w, &keys, owned, others))),
                List::Set => Some(Value::Array(self.set(b, w, owned, others))),
                List::Atomic => Some(self.value(before, body, owned)),
            },
            _ => Some(self.value(before, body, owned)),
        }
    }

    /// A value taken as a whole.
    fn value(&mut self, before: Option<&Value>, body: &Value, owned: Option<&Value>) -> Value {
        self.claims |= owned.is_none();
        match before {
            Some(b) if !self.exact && covers(b, body) => b.clone(),
            _ => body.clone(),
        }
    }

    fn object(
        &mut self,
        before: &Map<String, Value>,
        body: &Map<String, Value>,
        owned: Option<&Value>,
        others: &[&Value],
        top: bool,
    ) -> Map<String, Value> {
        let mut after = before.clone();
        let gone = owned.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        for name in gone.filter_map(|k| k.strip_prefix("f:")).filter(|k| !body.contains_key(*k)) {
            let field = format!("f:{name}");
            let left = self.released(before.get(name), child(owned, &field), &children(others, &field));
            match left {
                Some(value) => after.insert(name.to_string(), value),
                None => after.shift_remove(name),
            };
        }
        for (name, wanted) in body {
            // The key of the object and what only the server writes are nobody's configuration.
            if top && matches!(name.as_str(), "apiVersion" | "kind" | "status") {
                continue;
            }
            let field = format!("f:{name}");
            let (owned, others) = (child(owned, &field), children(others, &field));
            if top && name == "metadata" {
                let metadata = self.metadata(before.get(name), wanted, owned, &others);
                after.insert(name.clone(), metadata);
                continue;
            }
            let there = before.get(name);
            if !self.exact && there.is_none() && is_empty(wanted) {
                continue;
            }
            if let Some(value) = self.node(there, Some(wanted), owned, &others, false) {
                after.insert(name.clone(), value);
            }
        }
        after
    }

    /// Of metadata, a configuration owns labels, annotations and the like, never the name.
    fn metadata(&mut self, before: Option<&Value>, body: &Value, owned: Option<&Value>, others: &[&Value]) -> Value {
        let mut body = body.as_object().cloned().unwrap_or_default();
        let identity = ["name", "namespace", "creationTimestamp", "resourceVersion", "uid", "generation"];
        body.retain(|k, _| !identity.contains(&k.as_str()));
        let empty = Map::new();
        let before = before.and_then(Value::as_object).unwrap_or(&empty);
        Value::Object(self.object(before, &body, owned, others, false))
    }

    fn keyed(
        &mut self,
        before: &[Value],
        body: &[Value],
        keys: &[String],
        owned: Option<&Value>,
        others: &[&Value],
    ) -> Vec<Value> {
        let mut after = Vec::new();
        let mut used = vec![false; body.len()];
        for item in before {
            let wanted = body.iter().position(|w| keys.iter().all(|k| w.get(k).is_none_or(|v| item.get(k) == Some(v))));
            let label = label_of(item, keys, owned, others);
            let (mine, theirs) =
                (label.as_deref().and_then(|l| child(owned, l)), children_of(others, label.as_deref()));
            let value = wanted.map(|i| &body[i]);
            wanted.into_iter().for_each(|i| used[i] = true);
            after.extend(self.node(Some(item), value, mine, &theirs, false));
        }
        let new: Vec<_> = body.iter().zip(&used).filter(|(_, used)| !**used).map(|(w, _)| w.clone()).collect();
        self.claims |= !new.is_empty();
        after.extend(new);
        after
    }

    fn set(&mut self, before: &[Value], body: &[Value], owned: Option<&Value>, others: &[&Value]) -> Vec<Value> {
        let label = |v: &Value| format!("v:{v}");
        self.claims |= body.iter().any(|v| child(owned, &label(v)).is_none());
        let stays = |v: &&Value| {
            let mine = child(owned, &label(v)).is_some();
            body.contains(v) || !mine || !children(others, &label(v)).is_empty()
        };
        let mut after: Vec<_> = before.iter().filter(stays).cloned().collect();
        after.extend(body.iter().filter(|v| !before.contains(v)).cloned());
        after
    }

    /// What stays of a value once failctl lets go of it.
    fn released(&self, before: Option<&Value>, owned: Option<&Value>, others: &[&Value]) -> Option<Value> {
        let (Some(before), Some(owned)) = (before, owned) else { return before.cloned() };
        // The value itself was applied: it goes with everything in it, unless somebody else wants it.
        if is_leaf(owned) || owned.get(".").is_some() && others.is_empty() {
            return (!others.is_empty()).then(|| before.clone());
        }
        match before {
            Value::Object(map) => {
                let mut left = Map::new();
                for (name, value) in map {
                    let field = format!("f:{name}");
                    let kept = self.released(Some(value), child(Some(owned), &field), &children(others, &field));
                    kept.into_iter().for_each(|v| drop(left.insert(name.clone(), v)));
                }
                (!left.is_empty() || !others.is_empty()).then_some(Value::Object(left))
            }
            Value::Array(list) => {
                let kind = list_kind(Some(owned), others);
                let left: Vec<_> = list.iter().filter_map(|v| self.released_item(v, &kind, owned, others)).collect();
                (!left.is_empty() || !others.is_empty()).then_some(Value::Array(left))
            }
            scalar => (!others.is_empty()).then(|| scalar.clone()),
        }
    }

    fn released_item(&self, item: &Value, kind: &List, owned: &Value, others: &[&Value]) -> Option<Value> {
        let label = match kind {
            List::Keyed(keys) => label_of(item, keys, Some(owned), others),
            _ => Some(format!("v:{item}")),
        };
        let mine = label.as_deref().and_then(|l| owned.get(l));
        self.released(Some(item), mine, &children_of(others, label.as_deref()))
    }
}

fn children_of<'a>(others: &[&'a Value], label: Option<&str>) -> Vec<&'a Value> {
    label.map(|l| children(others, l)).unwrap_or_default()
}

/// The ownership key of a list item, as somebody recorded it.
fn label_of(item: &Value, keys: &[String], owned: Option<&Value>, others: &[&Value]) -> Option<String> {
    let same = |label: &str| {
        let fields = label.strip_prefix("k:").and_then(|k| serde_json::from_str::<Map<_, _>>(k).ok());
        fields.is_some_and(|f| keys.iter().all(|k| f.get(k) == item.get(k)))
    };
    let trees = owned.into_iter().chain(others.iter().copied());
    trees.filter_map(Value::as_object).flat_map(Map::keys).find(|k| same(k)).cloned()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(m) => m.is_empty(),
        Value::Array(l) => l.is_empty(),
        Value::String(s) => s.is_empty(),
        _ => false,
    }
}

/// Whether `there` has everything `wanted` says; more is allowed in objects, for defaults.
pub fn covers(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(t), Value::Object(w)) => w.iter().all(|(k, v)| t.get(k).map_or(is_empty(v), |t| covers(t, v))),
        (Value::Array(t), Value::Array(w)) => t.len() == w.len() && t.iter().zip(w).all(|(t, w)| covers(t, w)),
        _ => there == wanted,
    }
}
