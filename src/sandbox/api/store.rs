//! The objects, their revisions, and what happened to them lately.
//! What comes in: objects that were decided to be written. What goes out: objects, lists, and the events after a revision.
//! One revision counts all writes of the cluster, so `resourceVersion` is unique and grows.
//! May not know: kinds, HTTP, who asks.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::journal::{Change, Journal};

/// What happened to one object.
#[derive(Clone, Debug)]
pub struct Event {
    /// The revision it happened at.
    pub revision: u64,
    /// The object afterwards; for a deletion its last state, at the deletion's revision.
    pub object: Arc<Value>,
    /// The object before; none when it is new.
    pub before: Option<Arc<Value>>,
    /// Whether it is gone.
    pub deleted: bool,
}

/// History before this revision is forgotten: list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted(pub u64);

#[derive(Debug)]
struct Table {
    objects: BTreeMap<(String, String), Arc<Value>>,
    log: VecDeque<Arc<Event>>,
    compacted: u64,
    changed: watch::Sender<u64>,
}

/// Everything one API server knows.
#[derive(Debug)]
pub struct Store {
    revision: u64,
    /// History before this revision is forgotten in every table.
    floor: u64,
    history: usize,
    tables: BTreeMap<String, Table>,
    journal: Option<Journal>,
    closed: bool,
}

/// An object's own resourceVersion as a number; 0 when it has none.
pub fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}

fn name_of(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

impl Store {
    /// A store that keeps `history` events per kind for watches; with a directory, one that survives a restart.
    ///
    /// # Errors
    /// When the journal in `dir` cannot be opened or is damaged.
    pub fn open(dir: Option<&Path>, history: usize) -> anyhow::Result<Store> {
        let mut store = Store { revision: 1, floor: 0, history, tables: BTreeMap::new(), journal: None, closed: false };
        if let Some(dir) = dir {
            store.journal = Some(Journal::open(dir, |change| store.replay(change))?);
        }
        Ok(store)
    }

    fn replay(&mut self, change: Change<'static>) {
        match change {
            Change::Snapshot(revision) => (self.revision, self.floor) = (revision, revision),
            Change::Put(table, object) => {
                let object = object.into_owned();
                let revision = revision_of(&object);
                // Objects of a snapshot are older than it: their history is gone.
                if revision <= self.floor {
                    self.table(&table).objects.insert(name_of(&object), Arc::new(object));
                } else {
                    self.revision = revision;
                    self.keep(&table, object);
                }
            }
            Change::Gone(revision, table, namespace, name) => {
                self.revision = self.revision.max(revision);
                self.drop_object(&table, &namespace, &name, revision);
            }
        }
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let compacted = self.floor;
        self.tables.entry(name.to_string()).or_insert_with(|| Table {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            compacted,
            changed: watch::channel(0).0,
        })
    }

    fn record(&mut self, table: &str, event: Event) {
        let history = self.history;
        let table = self.table(table);
        let revision = event.revision;
        table.log.push_back(Arc::new(event));
        while table.log.len() > history {
            table.compacted = table.log.pop_front().map_or(0, |e| e.revision);
        }
        table.changed.send_replace(revision);
    }

    fn keep(&mut self, table: &str, object: Value) -> Arc<Value> {
        let object = Arc::new(object);
        let before = self.table(table).objects.insert(name_of(&object), object.clone());
        let event = Event { revision: revision_of(&object), object: object.clone(), before, deleted: false };
        self.record(table, event);
        object
    }

    fn drop_object(&mut self, table: &str, namespace: &str, name: &str, revision: u64) -> Option<Arc<Value>> {
        let before = self.table(table).objects.remove(&(namespace.to_string(), name.to_string()))?;
        let mut last = Value::clone(&before);
        last["metadata"]["resourceVersion"] = revision.to_string().into();
        let object = Arc::new(last);
        self.record(table, Event { revision, object: object.clone(), before: Some(before), deleted: true });
        Some(object)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub fn get(&self, table: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let table = self.tables.get(table)?;
        table.objects.get(&(namespace.to_string(), name.to_string())).cloned()
    }

    /// Objects of one table in order of namespace and name; of all namespaces when none is given.
    pub fn list<'a>(
        &'a self,
        table: &str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Value>> + use<'a> {
        let objects = self.tables.get(table).into_iter().flat_map(|t| t.objects.iter());
        objects.filter(move |((ns, _), _)| namespace.is_none_or(|n| n == ns)).map(|(_, object)| object)
    }

    /// The names of the tables that hold anything.
    pub fn tables(&self) -> Vec<String> {
        self.tables.iter().filter(|(_, t)| !t.objects.is_empty()).map(|(name, _)| name.clone()).collect()
    }

    /// Stores an object under a new revision.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing has changed then.
    pub fn put(&mut self, table: &str, mut object: Value) -> anyhow::Result<Arc<Value>> {
        let revision = self.revision + 1;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        self.append(&Change::Put(table.into(), std::borrow::Cow::Borrowed(&object)))?;
        self.revision = revision;
        let object = self.keep(table, object);
        self.fold_when_long();
        Ok(object)
    }

    /// Removes an object; hands back its last state.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing has changed then.
    pub fn remove(&mut self, table: &str, namespace: &str, name: &str) -> anyhow::Result<Option<Arc<Value>>> {
        if self.get(table, namespace, name).is_none() {
            return Ok(None);
        }
        let revision = self.revision + 1;
        self.append(&Change::Gone(revision, table.into(), namespace.into(), name.into()))?;
        self.revision = revision;
        let last = self.drop_object(table, namespace, name, revision);
        self.fold_when_long();
        Ok(last)
    }

    fn append(&mut self, change: &Change) -> anyhow::Result<()> {
        anyhow::ensure!(!self.closed, "the API server has stopped");
        self.journal.as_mut().map_or(Ok(()), |journal| journal.append(change))
    }

    fn fold_when_long(&mut self) {
        let alive = self.tables.values().map(|t| t.objects.len()).sum();
        let Some(journal) = self.journal.as_mut().filter(|j| j.is_long(alive)) else { return };
        let objects = self.tables.iter().flat_map(|(n, t)| t.objects.values().map(move |o| (n.as_str(), &**o)));
        if let Err(error) = journal.fold(self.revision, objects) {
            tracing::warn!("the journal stays long: {error:#}");
        }
    }

    /// Tells when a table changes.
    pub fn subscribe(&mut self, table: &str) -> watch::Receiver<u64> {
        self.table(table).changed.subscribe()
    }

    /// What happened in a table after a revision.
    ///
    /// # Errors
    /// When that history is forgotten.
    pub fn since(&self, table: &str, revision: u64) -> Result<Vec<Arc<Event>>, Compacted> {
        let compacted = self.tables.get(table).map_or(self.floor, |t| t.compacted);
        if revision < compacted {
            return Err(Compacted(compacted));
        }
        let Some(table) = self.tables.get(table) else { return Ok(Vec::new()) };
        let first = table.log.partition_point(|e| e.revision <= revision);
        Ok(table.log.range(first..).cloned().collect())
    }

    /// Forgets the history of every table, as etcd's compaction does.
    pub fn compact(&mut self) {
        self.floor = self.revision;
        for table in self.tables.values_mut() {
            table.log.clear();
            table.compacted = self.floor;
        }
    }

    /// Takes everything out; what is left is closed.
    pub fn take(&mut self) -> Store {
        let closed = Store {
            revision: self.revision,
            floor: self.revision,
            history: 0,
            tables: BTreeMap::new(),
            journal: None,
            closed: true,
        };
        std::mem::replace(self, closed)
    }

    /// Ends writing: whoever still holds the store gets errors, and the files are free for a successor.
    ///
    /// # Errors
    /// When the last lines cannot be forced to disk.
    pub fn close(&mut self, sync: bool) -> anyhow::Result<()> {
        self.closed = true;
        match self.journal.take() {
            Some(journal) if sync => journal.sync(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;

    fn object(name: &str, n: u64) -> Value {
        json!({"metadata": {"namespace": "a", "name": name}, "n": n})
    }

    #[test]
    fn a_restart_brings_back_objects_revisions_and_history() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(dir.path()), 100).unwrap();
        store.put("t", object("x", 1)).unwrap();
        store.put("t", object("y", 1)).unwrap();
        store.remove("t", "a", "x").unwrap();
        let (revision, before) = (store.revision(), store.since("t", 2).unwrap().len());
        drop(store);
        let store = Store::open(Some(dir.path()), 100).unwrap();
        assert_eq!((store.revision(), store.since("t", 2).unwrap().len()), (revision, before));
        assert_eq!(store.list("t", None).map(|o| o["metadata"]["name"].clone()).collect::<Vec<_>>(), ["y"]);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_a_damaged_middle_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(dir.path()), 100).unwrap();
        store.put("t", object("x", 1)).unwrap();
        drop(store);
        let path = dir.path().join("state.jsonl");
        let torn = || std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        torn().write_all(b"{\"put\":[\"t\",{\"meta").unwrap();
        let mut store = Store::open(Some(dir.path()), 100).unwrap();
        assert_eq!(store.list("t", None).count(), 1);
        store.put("t", object("z", 1)).unwrap();
        drop(store);
        assert_eq!(Store::open(Some(dir.path()), 100).unwrap().list("t", None).count(), 2);
        torn().write_all(b"nonsense\n{\"snapshot\":9}\n").unwrap();
        let error = Store::open(Some(dir.path()), 100).unwrap_err();
        assert!(error.to_string().contains("damaged at line 3"), "{error:#}");
    }

    #[test]
    fn a_folded_journal_keeps_the_objects_and_forgets_the_history() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(dir.path()), 100).unwrap();
        for n in 0..20_002 {
            store.put("t", object("x", n)).unwrap();
        }
        let revision = store.revision();
        drop(store);
        assert!(std::fs::read_to_string(dir.path().join("state.jsonl")).unwrap().lines().count() < 10);
        let store = Store::open(Some(dir.path()), 100).unwrap();
        assert_eq!((store.revision(), store.list("t", None).count()), (revision, 1));
        assert!(store.since("t", 5).is_err());
        assert!(store.since("t", revision).is_ok());
    }

    #[test]
    fn two_servers_cannot_share_one_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(Some(dir.path()), 100).unwrap();
        assert!(Store::open(Some(dir.path()), 100).is_err());
    }
}
