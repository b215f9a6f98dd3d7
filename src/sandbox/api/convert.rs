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

/// Whether the stored form is the served form, so nothing need be copied.
pub fn same(kind: &Resource) -> bool {
    !is_new_event(kind) && kind.custom.as_ref().is_none_or(|c| c.storage_version == kind.version)
}
