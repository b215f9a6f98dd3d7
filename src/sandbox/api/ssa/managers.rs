//! `metadata.managedFields`: who owns which fields, read from an object and written back. Pure.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};

use super::set::Set;

/// How many managers that update (rather than apply) an object keeps apart; the oldest are merged beyond it.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// Who: one entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    /// The name: `kubectl`.
    pub(super) name: String,
    /// Whether it applies or updates.
    pub(super) applies: bool,
    /// The version it updates in; empty for one that applies, which has one entry for all versions.
    pub(super) version: String,
    /// The subresource it writes through, or empty.
    pub(super) subresource: String,
}

/// What it owns.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    /// The fields.
    pub(super) set: Set,
    /// The version that the fields are of.
    pub(super) version: String,
    /// When it last changed something: RFC 3339 with seconds.
    pub(super) time: Option<String>,
}

/// Everybody who owns fields of one object.
pub(super) type Managers = BTreeMap<Manager, Owned>;

impl Manager {
    /// As a conflict names it.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if !self.applies {
            text += &format!(" using {}", self.version);
        }
        text
    }
}

/// The entries of an object, as stored or sent.
pub(super) fn raw(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/managedFields").filter(|m| !m.is_null())
}

/// Whether a client asks to forget all owners: no entries, or one empty entry.
pub(super) fn is_reset(raw: &Value) -> bool {
    match raw.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(|o| o.values().all(|v| v.is_null() || v == "")),
        _ => false,
    }
}

/// Reads the entries.
///
/// # Errors
/// An entry that no server would have written.
pub(super) fn decode(raw: Option<&Value>) -> Result<Managers, String> {
    let mut managers = Managers::new();
    for (i, entry) in raw.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let applies = match text("operation").as_str() {
            "Apply" => true,
            "Update" => false,
            _ => return Err("operation must be `Apply` or `Update`".into()),
        };
        let version = text("apiVersion");
        if version.is_empty() {
            return Err("apiVersion must not be empty".into());
        }
        match text("fieldsType").as_str() {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {i}")),
            other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {i}")),
        }
        let manager = Manager {
            name: text("manager"),
            applies,
            version: if applies { String::new() } else { version.clone() },
            subresource: text("subresource"),
        };
        let set = match entry.get("fieldsV1") {
            Some(fields) => Set::decode(fields)?,
            None => Set::default(),
        };
        let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
        managers.insert(manager, Owned { set, version, time });
    }
    Ok(managers)
}

/// Writes the entries into an object, in the order that Kubernetes sorts them.
pub(super) fn encode(object: &mut Value, managers: &Managers) {
    let mut order: Vec<(&Manager, &Owned)> = managers.iter().collect();
    order.sort_by_key(|(m, o)| (!m.applies, o.time.as_deref().unwrap_or(""), &m.name, &o.version, &m.subresource));
    let entries: Vec<Value> = order
        .into_iter()
        .map(|(manager, owned)| {
            let mut entry = Object::new();
            if !manager.name.is_empty() {
                entry.insert("manager".into(), json!(manager.name));
            }
            entry.insert("operation".into(), json!(if manager.applies { "Apply" } else { "Update" }));
            entry.insert("apiVersion".into(), json!(owned.version));
            if let Some(time) = &owned.time {
                entry.insert("time".into(), json!(time));
            }
            entry.insert("fieldsType".into(), json!("FieldsV1"));
            entry.insert("fieldsV1".into(), owned.set.encode());
            if !manager.subresource.is_empty() {
                entry.insert("subresource".into(), json!(manager.subresource));
            }
            Value::Object(entry)
        })
        .collect();
    remove(object);
    if !entries.is_empty()
        && let Some(fields) = object.as_object_mut()
    {
        let meta = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("managedFields".into(), Value::Array(entries));
        }
    }
}

/// Takes the entries out of an object, so that they are not owned themselves.
pub(super) fn remove(object: &mut Value) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("managedFields");
    }
}

/// Merges the oldest of too many updaters into one entry per version.
pub(super) fn cap(managers: &mut Managers) {
    let mut updaters: Vec<Manager> = managers.keys().filter(|m| !m.applies).cloned().collect();
    let mut left = updaters.len();
    if left <= MOST_UPDATERS {
        return;
    }
    updaters.sort_by_key(|m| (managers[m].time.clone().unwrap_or_default(), m.clone()));
    let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
    for manager in updaters {
        if left <= MOST_UPDATERS {
            break;
        }
        let version = managers[&manager].version.clone();
        let Some(first) = first_of.get(&version) else {
            first_of.insert(version, manager);
            continue;
        };
        let bucket =
            Manager { name: ANCIENT.into(), applies: false, version: version.clone(), subresource: String::new() };
        if !managers.contains_key(&bucket)
            && let Some(owned) = managers.remove(first)
        {
            managers.insert(bucket.clone(), owned);
        }
        let Some(merged) = managers.remove(&manager) else { continue };
        if let Some(ancient) = managers.get_mut(&bucket) {
            ancient.set = ancient.set.union(&merged.set);
            ancient.time = merged.time;
        }
        left -= 1;
    }
}
