//! Routes of several failovers in one VirtualService. What comes in: manifests that hold items. What goes out: one
//! manifest per object, for those who can write an object only whole. May not know: targets.

use indexmap::IndexMap;
use serde_json::Value;

use crate::manifest::{Hold, Manifest, OWNER_LABEL, ObjectKey};

/// The failover a manifest belongs to.
pub fn owner(manifest: &Manifest) -> &str {
    let label = manifest.body.get("metadata").and_then(|m| m.get("labels")).and_then(|l| l.get(OWNER_LABEL));
    label.and_then(Value::as_str).unwrap_or_default()
}

/// The path prefix of the routes of one failover.
pub fn prefix(manifest: &Manifest) -> Option<String> {
    let routes = items(manifest)?;
    let prefix = routes.first()?.pointer("/matchers/0/prefix")?;
    prefix.as_str().map(str::to_string)
}

/// How specific a manifest's routes are; 0 for everything that is no list of routes.
pub fn longest_prefix(manifest: &Manifest) -> usize {
    prefix(manifest).map_or(0, |p| p.len())
}

fn items(manifest: &Manifest) -> Option<&Vec<Value>> {
    let Hold::Items { path, .. } = &manifest.hold else { return None };
    path.iter().try_fold(&manifest.body, |o, p| o.get(p))?.as_array()
}

/// One manifest per object: items of the same list are put together in the order they come, and the object belongs to
/// the fleet when several failovers have a part in it.
pub fn merged(manifests: Vec<Manifest>) -> Vec<Manifest> {
    let mut whole: IndexMap<ObjectKey, Manifest> = IndexMap::with_capacity(manifests.len());
    for manifest in manifests {
        let Some(first) = whole.get_mut(&manifest.key) else {
            whole.insert(manifest.key.clone(), manifest);
            continue;
        };
        let more = items(&manifest).cloned().unwrap_or_default();
        let Hold::Items { path, .. } = &first.hold else { continue };
        let list = path.iter().try_fold(&mut first.body, |o, p| o.get_mut(p)).and_then(Value::as_array_mut);
        list.into_iter().for_each(|l| l.extend(more.iter().cloned()));
        let labels = first.body.pointer_mut("/metadata/labels").and_then(Value::as_object_mut);
        if let Some(labels) = labels {
            labels.insert(OWNER_LABEL.into(), super::gloo::names::FLEET.into());
        }
    }
    whole.into_values().collect()
}
