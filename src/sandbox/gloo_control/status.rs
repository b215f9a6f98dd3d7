//! Writes `status.statuses.<namespace>` on Gateways, VirtualServices and Upstreams, as Gloo does.
//! What comes in: the world and the findings about it. What goes out: merge patches, only where something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::manifest::{Gvk, ObjectKey, World};
use crate::model::name::ClusterName;
use crate::model::problem::Severity;
use crate::routing::Finding;

/// Who writes: the field manager and `reportedBy`.
const REPORTER: &str = "gloo";
/// What carries a status: group, kind, plural.
const REPORTED: [(&str, &str, &str); 3] = [
    ("gateway.solo.io", "Gateway", "gateways"),
    ("gateway.solo.io", "VirtualService", "virtualservices"),
    ("gloo.solo.io", "Upstream", "upstreams"),
];
/// The same status is not written again within this time, whatever the API made of it.
const AGAIN: Duration = Duration::from_secs(10);

/// Writes statuses. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    client: Client,
    namespace: String,
    written: Arc<Mutex<BTreeMap<ObjectKey, (Value, Instant)>>>,
    /// Kinds that turned out to have no status subresource.
    plain: Arc<Mutex<BTreeSet<Gvk>>>,
}

/// A status to write.
pub struct Report {
    key: ObjectKey,
    status: Value,
}

impl Reporter {
    /// A reporter for the Gloo installed in `namespace`.
    pub fn new(client: Client, namespace: String) -> Self {
        Reporter { client, namespace, written: Arc::default(), plain: Arc::default() }
    }

    /// The statuses that differ from what the objects carry.
    pub fn due(&self, world: &World, cluster: &ClusterName, findings: &[Finding]) -> Vec<Report> {
        let now = Instant::now();
        let mut written = whole(&self.written);
        let mut due = Vec::new();
        for (group, kind, _) in REPORTED {
            for (key, body) in world.all(cluster.as_str(), group, kind) {
                let status = verdict(key, findings);
                let carried = body.get("status").and_then(|s| s.get("statuses")).and_then(|s| s.get(&self.namespace));
                let recent = written.get(key).is_some_and(|(s, at)| *s == status && now - *at < AGAIN);
                if carried != Some(&status) && !recent {
                    written.insert(key.clone(), (status.clone(), now));
                    due.push(Report { key: key.clone(), status });
                }
            }
        }
        written.retain(|key, _| world.clusters.get(cluster).is_some_and(|o| o.by_key.contains_key(key)));
        due
    }

    /// Writes them. What cannot be written is tried again after the next change.
    pub async fn write(&self, reports: Vec<Report>) {
        for report in reports {
            if let Err(error) = self.write_one(&report).await {
                tracing::debug!(object = %report.key, %error, "writing a status");
                whole(&self.written).remove(&report.key);
            }
        }
    }

    async fn write_one(&self, report: &Report) -> kube::Result<()> {
        let key = &report.key;
        let plural = REPORTED.iter().find(|(g, k, _)| *g == key.gvk.group && *k == key.gvk.kind).map(|(_, _, p)| *p);
        let gvk = GroupVersionKind::gvk(&key.gvk.group, &key.gvk.version, &key.gvk.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural.unwrap_or_default());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), key.namespace.as_deref().unwrap_or_default(), &resource);
        // A merge keeps what it does not name: the reason of an older status must go.
        let mut status = json!({ "reason": null });
        for (field, value) in report.status.as_object().into_iter().flatten() {
            status[field] = value.clone();
        }
        let patch = Patch::Merge(json!({ "status": { "statuses": { &self.namespace: status } } }));
        let params = PatchParams { field_manager: Some(REPORTER.into()), ..PatchParams::default() };
        // Gloo's kinds have their status as a plain field; newer versions of some have a subresource.
        if !whole(&self.plain).contains(&key.gvk) {
            match api.patch_status(&key.name, &params, &patch).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    whole(&self.plain).insert(key.gvk.clone());
                }
                other => return other.map(drop),
            }
        }
        api.patch(&key.name, &params, &patch).await.map(drop)
    }
}

/// Nothing panics while these are held, and each entry is whole by itself.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What Gloo says of an object: Rejected with every error, Warning with every warning, else Accepted.
fn verdict(key: &ObjectKey, findings: &[Finding]) -> Value {
    let about = |severity: Severity| -> Vec<&str> {
        let own = findings.iter().filter(|f| &f.object == key && f.problem.severity == severity);
        own.map(|f| f.problem.what.as_str()).collect()
    };
    let (errors, warnings) = (about(Severity::Error), about(Severity::Warning));
    let (state, reasons) = match (errors.is_empty(), warnings.is_empty()) {
        (false, _) => ("Rejected", errors),
        (true, false) => ("Warning", warnings),
        (true, true) => ("Accepted", Vec::new()),
    };
    let mut status = json!({ "state": state, "reportedBy": REPORTER });
    if !reasons.is_empty() {
        status["reason"] = json!(reasons.join("; "));
    }
    status
}
