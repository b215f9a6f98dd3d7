//! What the kubelet's endpoint may know of the pods that run here.
//!
//! In: entries, kept by the pods' own tasks. Out: entries, read by requests. May not know: how pods run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, oneshot};

use super::addresses::PodAddress;
use super::logs::Logs;
use super::signals::{self, Asked, Search};

/// The pods of a node, by namespace and name.
#[derive(Debug, Default)]
pub struct Registry {
    pods: RwLock<BTreeMap<(String, String), Arc<PodEntry>>>,
}

/// A pod.
#[derive(Debug)]
pub struct PodEntry {
    /// Its object, as last seen.
    pub pod: Mutex<Pod>,
    /// Its unique id: another pod of the same name is another pod.
    pub uid: String,
    /// Its addresses.
    pub address: PodAddress,
    /// Where its containers have a directory each.
    pub dir: PathBuf,
    /// Its containers by name.
    pub containers: BTreeMap<String, Arc<ContainerEntry>>,
}

impl PodEntry {
    /// Whether its containers see each other's processes; then none of them is a container's first.
    pub fn shares_processes(&self) -> bool {
        let pod = self.pod.lock().unwrap_or_else(PoisonError::into_inner);
        pod.spec.as_ref().and_then(|s| s.share_process_namespace) == Some(true)
    }
}

/// A container.
#[derive(Debug, Default)]
pub struct ContainerEntry {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    logs: Logs,
    previous: Option<Logs>,
    env: BTreeMap<String, String>,
    signals: Option<mpsc::UnboundedSender<Asked>>,
    begun: bool,
    running: bool,
}

impl ContainerEntry {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run begins: its log starts empty, the one before becomes the previous one.
    pub fn begin(&self, env: BTreeMap<String, String>) -> Logs {
        let mut inside = self.inside();
        if inside.begun {
            inside.previous = Some(std::mem::take(&mut inside.logs));
        }
        inside.begun = true;
        inside.env = env;
        inside.running = true;
        inside.logs.clone()
    }

    /// The run has ended: its log is complete.
    pub fn end(&self) {
        let mut inside = self.inside();
        inside.logs.close();
        inside.running = false;
        inside.signals = None;
    }

    /// The current run hears of signals from here on.
    pub fn hear(&self) -> mpsc::UnboundedReceiver<Asked> {
        let (line, heard) = signals::line();
        self.inside().signals = Some(line);
        heard
    }

    /// Looks for processes of the current run; none where nothing runs.
    pub async fn search(&self, search: Search, shielded: bool) -> Vec<u32> {
        let (answer, found) = oneshot::channel();
        let line = self.inside().signals.clone();
        let sent = line.is_some_and(|line| line.send(Asked { search, shielded, answer }).is_ok());
        if sent { found.await.unwrap_or_default() } else { Vec::new() }
    }

    /// The log of the current run (of the last one, when none runs); None before the first.
    pub fn logs(&self) -> Option<Logs> {
        let inside = self.inside();
        inside.begun.then(|| inside.logs.clone())
    }

    /// The log of the run before.
    pub fn previous_logs(&self) -> Option<Logs> {
        self.inside().previous.clone()
    }

    /// The environment of the current run; None when none runs.
    pub fn env(&self) -> Option<BTreeMap<String, String>> {
        let inside = self.inside();
        inside.running.then(|| inside.env.clone())
    }
}

impl Registry {
    /// Adds a pod.
    pub fn insert(&self, key: (String, String), entry: Arc<PodEntry>) {
        self.pods.write().unwrap_or_else(PoisonError::into_inner).insert(key, entry);
    }

    /// Removes a pod, unless another one of the same name has taken its place.
    pub fn remove(&self, key: &(String, String), uid: &str) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        if pods.get(key).is_some_and(|e| e.uid == uid) {
            pods.remove(key);
        }
    }

    /// A pod by namespace and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<PodEntry>> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Every pod's object.
    pub fn pods(&self) -> Vec<Pod> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.values().map(|e| e.pod.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}
