//! What a controller has seen of a cluster: objects by kind, kept by watches.
//! What comes in: objects as events bring them and as writes answer them. What goes out: lookups.
//! May not know: clients, controllers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kind::Kind;
use super::object::{name, namespace, text, uid};

/// Namespace and name; the namespace is empty for cluster-scoped kinds.
pub type Key = (String, String);

/// How many uids of deleted objects are remembered, so that a late answer cannot revive one.
const GRAVES: usize = 4096;

/// Objects of one cluster, by kind.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    kinds: BTreeMap<Kind, BTreeMap<Key, Arc<Value>>>,
    complete: BTreeSet<Kind>,
    graves: VecDeque<String>,
}

impl Observed {
    /// For tests and for pure callers: exactly these objects, and nothing else exists.
    pub fn of(objects: impl IntoIterator<Item = Value>) -> Self {
        let mut seen = Observed { complete: Kind::ALL.iter().copied().collect(), ..Observed::default() };
        objects.into_iter().for_each(|o| {
            if let Some(kind) = Kind::of(&o) {
                seen.put(kind, o);
            }
        });
        seen
    }

    /// All objects of a kind, in the order of their names.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.kinds.get(&kind).into_iter().flat_map(BTreeMap::values).map(AsRef::as_ref)
    }

    /// One object.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.kinds.get(&kind)?.get(&(namespace.to_string(), name.to_string())).map(AsRef::as_ref)
    }

    /// Whether a kind has been listed wholly, so that "not there" means "does not exist".
    pub fn knows(&self, kind: Kind) -> bool {
        self.complete.contains(&kind)
    }

    /// Whether all these kinds have been listed wholly.
    pub fn knows_all(&self, kinds: &[Kind]) -> bool {
        kinds.iter().all(|k| self.knows(*k))
    }

    /// Objects of a kind by the uid of the owner that controls them.
    pub fn by_controller(&self, kind: Kind) -> BTreeMap<&str, Vec<&Value>> {
        let mut owned: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for object in self.all(kind) {
            if let Some(owner) = super::object::controller(object) {
                owned.entry(owner).or_default().push(object);
            }
        }
        owned
    }

    /// Puts in what an event brought.
    pub fn put(&mut self, kind: Kind, object: Value) {
        let key = (namespace(&object).to_string(), name(&object).to_string());
        self.kinds.entry(kind).or_default().insert(key, Arc::new(object));
    }

    /// Puts in what a write answered, unless a newer version has been seen or the object is known to be gone.
    pub fn answer(&mut self, kind: Kind, object: Value) {
        let key = (namespace(&object).to_string(), name(&object).to_string());
        let seen = self.kinds.get(&kind).and_then(|k| k.get(&key));
        let newer = seen.is_none_or(|s| version(s) < version(&object));
        if newer && !self.graves.iter().any(|g| g == uid(&object)) {
            self.kinds.entry(kind).or_default().insert(key, Arc::new(object));
        }
    }

    /// Takes out what an event or a write reported gone.
    pub fn remove(&mut self, kind: Kind, object: &Value) {
        if self.graves.len() == GRAVES {
            self.graves.pop_front();
        }
        self.graves.push_back(uid(object).to_string());
        let key = (namespace(object).to_string(), name(object).to_string());
        let Some(objects) = self.kinds.get_mut(&kind) else { return };
        if objects.get(&key).is_some_and(|o| uid(o) == uid(object)) {
            objects.remove(&key);
        }
    }

    /// Replaces a kind by a complete list.
    pub fn replace(&mut self, kind: Kind, objects: Vec<Value>) {
        self.kinds.insert(kind, BTreeMap::new());
        objects.into_iter().for_each(|o| self.put(kind, o));
        self.complete.insert(kind);
    }
}

/// Servers promise no order of resource versions to clients in general; etcd and this sandbox count up.
/// A version that is no number counts as oldest: then the watch's word stands.
fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(uid: &str, version: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": version}})
    }

    #[test]
    fn an_answer_older_than_what_was_watched_is_ignored() {
        let mut seen = Observed::of([pod("1", "10")]);
        seen.answer(Kind::Pod, pod("1", "9"));
        assert_eq!(seen.get(Kind::Pod, "n", "a").unwrap()["metadata"]["resourceVersion"], "10");
        seen.answer(Kind::Pod, pod("1", "11"));
        assert_eq!(seen.get(Kind::Pod, "n", "a").unwrap()["metadata"]["resourceVersion"], "11");
    }

    #[test]
    fn a_late_answer_does_not_revive_a_deleted_object() {
        let mut seen = Observed::of([pod("1", "10")]);
        seen.remove(Kind::Pod, &pod("1", "11"));
        seen.answer(Kind::Pod, pod("1", "10"));
        assert_eq!(seen.all(Kind::Pod).count(), 0);
    }

    #[test]
    fn a_late_deletion_does_not_take_the_successor_of_the_same_name() {
        let mut seen = Observed::of([pod("2", "12")]);
        seen.remove(Kind::Pod, &pod("1", "11"));
        assert_eq!(seen.all(Kind::Pod).count(), 1);
    }
}
