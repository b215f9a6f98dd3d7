//! One API server's whole state, and what follows from a write by itself: definitions change what is served, an emptied
//! namespace goes away, a namespace gets its ServiceAccount.
//! What comes in: decided writes. What goes out: stored objects.
//! May not know: HTTP, who asks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::auth::User;
use super::http::seconds;
use super::identity::Identity;
use super::kinds::{Registry, Resource};
use super::pages::Pages;
use super::status::Status;
use super::store::Store;

/// Table of the definitions.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Finalizer of a definition whose objects are still there.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// One API server, shared by all its connections.
pub struct Api {
    /// Name of the cluster.
    pub name: String,
    /// Its secrets.
    pub identity: Arc<Identity>,
    /// Users by token, besides the administrator.
    pub users: BTreeMap<String, User>,
    /// First address for Services, and how many follow.
    pub service_addresses: (Ipv4Addr, u8),
    /// Ends watches and connections.
    pub closing: CancellationToken,
    state: Mutex<State>,
}

/// What changes.
pub struct State {
    /// Objects.
    pub store: Store,
    /// Kinds that are served now.
    pub registry: Arc<Registry>,
    /// Lists that are being read page by page.
    pub pages: Pages,
}

impl Api {
    /// An API server over a state.
    pub fn new(name: &str, identity: Identity, users: BTreeMap<String, User>, first: Ipv4Addr, state: State) -> Api {
        Api {
            name: name.into(),
            identity: Arc::new(identity),
            users,
            service_addresses: (first, 250),
            closing: CancellationToken::new(),
            state: Mutex::new(state),
        }
    }

    /// The same server after a death: what it held in memory, new connections. The dead one refuses from now on.
    pub fn revived(self: Arc<Api>) -> Api {
        let mut old = self.lock();
        let fresh = State { store: old.store.take(), registry: old.registry.clone(), pages: Pages::default() };
        drop(old);
        Api {
            name: self.name.clone(),
            identity: self.identity.clone(),
            users: self.users.clone(),
            service_addresses: self.service_addresses,
            closing: CancellationToken::new(),
            state: Mutex::new(fresh),
        }
    }

    /// The state, alone: every request is one step under this lock and never waits inside it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets what a new object gets from the server.
pub fn stamp(object: &mut Value, now: jiff::Timestamp, generation: bool) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    for foreign in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        metadata.shift_remove(foreign);
    }
    metadata.insert("uid".into(), uid().into());
    metadata.insert("creationTimestamp".into(), seconds(now).into());
    if generation {
        metadata.insert("generation".into(), 1.into());
    }
}

/// A random UUID (version 4).
pub fn uid() -> String {
    let mut bytes = rand::random::<[u8; 16]>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The finalizers of an object.
pub fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

/// Whether an object is being deleted.
pub fn dying(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

impl State {
    /// A state over a store; the kinds follow from the stored definitions.
    pub fn new(store: Store) -> State {
        let mut state = State { store, registry: Arc::default(), pages: Pages::default() };
        state.refresh();
        state
    }

    fn refresh(&mut self) {
        self.registry = Arc::new(Registry::new(self.store.list(DEFINITIONS, None).map(|d| &**d)));
    }

    /// Stores an object and what follows from it.
    ///
    /// # Errors
    /// 500 when it cannot be written down.
    pub fn put(&mut self, table: &str, object: Value) -> Result<Arc<Value>, Status> {
        let stored = self.store.put(table, object).map_err(|e| Status::internal(format!("{e:#}")))?;
        if table == DEFINITIONS {
            self.refresh();
        }
        Ok(stored)
    }

    /// Removes an object and what follows from that.
    ///
    /// # Errors
    /// 500 when it cannot be written down.
    pub fn remove(
        &mut self,
        table: &str,
        namespace: &str,
        name: &str,
        now: jiff::Timestamp,
    ) -> Result<Option<Arc<Value>>, Status> {
        let gone = self.store.remove(table, namespace, name).map_err(|e| Status::internal(format!("{e:#}")))?;
        if gone.is_some() {
            if table == DEFINITIONS {
                self.refresh();
            }
            if table == "serviceaccounts" {
                self.drop_tokens(namespace, name, now)?;
            }
            self.settle_definition(table, now)?;
            self.settle_namespace(namespace, now)?;
        }
        Ok(gone)
    }

    /// Stores an object of the server's own making.
    ///
    /// # Errors
    /// 500 when it cannot be written down.
    pub fn make(&mut self, table: &str, mut object: Value, now: jiff::Timestamp) -> Result<Arc<Value>, Status> {
        stamp(&mut object, now, false);
        self.put(table, object)
    }

    /// The kind that is stored in a table (any version of it).
    pub fn kind_of(&self, table: &str) -> Option<Arc<Resource>> {
        self.registry.all().find(|k| k.stored && k.table() == table).cloned()
    }

    /// The namespace, when it is there.
    pub fn namespace(&self, name: &str) -> Option<Arc<Value>> {
        self.store.get("namespaces", "", name)
    }

    /// Tokens of a deleted ServiceAccount die with it.
    fn drop_tokens(&mut self, namespace: &str, account: &str, now: jiff::Timestamp) -> Result<(), Status> {
        let mine = |s: &&Arc<Value>| {
            s["type"] == "kubernetes.io/service-account-token"
                && s["metadata"]["annotations"]["kubernetes.io/service-account.name"] == account
        };
        let secrets: Vec<String> = self
            .store
            .list("secrets", Some(namespace))
            .filter(mine)
            .filter_map(|s| s["metadata"]["name"].as_str().map(Into::into))
            .collect();
        secrets.iter().try_for_each(|s| self.remove("secrets", namespace, s, now).map(drop))
    }

    /// A definition that is being deleted goes when its last object has gone.
    pub fn settle_definition(&mut self, table: &str, now: jiff::Timestamp) -> Result<(), Status> {
        let Some(definition) = self.store.get(DEFINITIONS, "", table).filter(|d| dying(d)) else { return Ok(()) };
        if self.store.list(table, None).next().is_some() {
            return Ok(());
        }
        let mut rest = finalizers(&definition);
        rest.retain(|f| f != CLEANUP);
        if rest.is_empty() {
            return self.remove(DEFINITIONS, "", table, now).map(drop);
        }
        let mut definition = Value::clone(&definition);
        definition["metadata"]["finalizers"] = rest.into();
        self.put(DEFINITIONS, definition).map(drop)
    }

    /// A namespace that is being deleted goes when it is empty.
    pub fn settle_namespace(&mut self, name: &str, now: jiff::Timestamp) -> Result<(), Status> {
        let Some(namespace) = self.namespace(name).filter(|n| dying(n)) else { return Ok(()) };
        let tables = self.store.tables();
        if tables.iter().any(|t| self.store.list(t, Some(name)).next().is_some()) {
            return Ok(());
        }
        if finalizers(&namespace).is_empty() {
            return self.remove("namespaces", "", name, now).map(drop);
        }
        let mut namespace = Value::clone(&namespace);
        if namespace["spec"]["finalizers"] != json!([]) {
            namespace["spec"]["finalizers"] = json!([]);
            self.put("namespaces", namespace)?;
        }
        Ok(())
    }
}
