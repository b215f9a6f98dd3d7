//! Versions of one stored object: what a request's version calls it, and how it is stored. Pure.
//! Definitions convert by name only (`strategy: None`); Events of the two groups are one object with renamed fields.

use serde_json::Value;

use super::kinds::Resource;

/// Field names of `events.k8s.io/v1` and the core form.
const EVENT: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn rename(object: &mut Value, names: impl Iterator<Item = (&'static str, &'static str)>) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.shift_remove(from) {
            fields.insert(to.into(), value);
        }
    }
}

fn is_new_event(kind: &Resource) -> bool {
    kind.is("events.k8s.io", "Event")
}

/// The apiVersion under which objects of a kind are stored.
pub fn storage_version(kind: &Resource) -> String {
    match &kind.custom {
        Some(custom) => format!("{}/{}", kind.group, custom.storage_version),
        None if is_new_event(kind) => "v1".into(),
        None => kind.api_version(),
    }
}

/// From the request's version to the stored one.
pub fn to_storage(kind: &Resource, object: &mut Value) {
    object["apiVersion"] = storage_version(kind).into();
    if is_new_event(kind) {
        rename(object, EVENT.into_iter());
    }
}

/// From the stored version to the request's.
pub fn to_served(kind: &Resource, object: &mut Value) {
    object["apiVersion"] = kind.api_version().into();
    if is_new_event(kind) {
        rename(object, EVENT.into_iter().map(|(new, core)| (core, new)));
    }
}

/// Whether a stored object already is in the request's version, so nothing need be copied. (After a definition changes
/// its storage version, older objects are still stored under the old one.)
pub fn same(kind: &Resource, object: &Value) -> bool {
    !is_new_event(kind) && (kind.custom.is_none() || object["apiVersion"] == kind.api_version())
}
