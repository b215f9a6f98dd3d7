//! Writes `status.statuses.<namespace>` on Gateways, VirtualServices and Upstreams, as Gloo does.
//! What comes in: the world and the findings about it. What goes out: merge patches, only where something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
/// Between attempts to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// Nothing is waiting.
const FOREVER: Duration = Duration::from_secs(3600);

/// Notices statuses that differ, and hands them to the writer.
pub struct Reporter {
    namespace: String,
    handed: BTreeMap<ObjectKey, (Value, Instant)>,
    due: mpsc::UnboundedSender<BTreeMap<ObjectKey, Value>>,
}

impl Reporter {
    /// A reporter for the Gloo installed in `namespace`, and the writer it reports to.
    pub fn new(client: Client, namespace: String) -> (Reporter, Writer) {
        let (due, reports) = mpsc::unbounded_channel();
        let writer = Writer { client, namespace: namespace.clone(), reports, plain: BTreeSet::new() };
        (Reporter { namespace, handed: BTreeMap::new(), due }, writer)
    }

    /// Reports what differs from what the objects carry.
    pub fn report(&mut self, world: &World, cluster: &ClusterName, findings: &[Finding]) {
        let now = Instant::now();
        let mut due = BTreeMap::new();
        for (group, kind, _) in REPORTED {
            for (key, body) in world.all(cluster.as_str(), group, kind) {
                let status = verdict(key, findings);
                let carried = body.get("status").and_then(|s| s.get("statuses")).and_then(|s| s.get(&self.namespace));
                let recent = self.handed.get(key).is_some_and(|(s, at)| *s == status && now - *at < AGAIN);
                if carried != Some(&status) && !recent {
                    self.handed.insert(key.clone(), (status.clone(), now));
                    due.insert(key.clone(), status);
                }
            }
        }
        self.handed.retain(|key, _| world.clusters.get(cluster).is_some_and(|o| o.by_key.contains_key(key)));
        if !due.is_empty() {
            // The writer is gone only when all of this is.
            let _ = self.due.send(due);
        }
    }
}

/// Writes statuses one after the other, so that an older one never overwrites a newer one.
pub struct Writer {
    client: Client,
    namespace: String,
    reports: mpsc::UnboundedReceiver<BTreeMap<ObjectKey, Value>>,
    /// Kinds that turned out to have no status subresource.
    plain: BTreeSet<Gvk>,
}

impl Writer {
    /// Writes until `shutdown`, or until the reporter is gone. What fails is tried again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pending: BTreeMap<ObjectKey, Value> = BTreeMap::new();
        loop {
            let wait = if pending.is_empty() { FOREVER } else { RETRY };
            tokio::select! {
                () = shutdown.cancelled() => return,
                more = self.reports.recv() => match more {
                    Some(more) => pending.extend(more),
                    None => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
            for (key, status) in std::mem::take(&mut pending) {
                match self.write(&key, &status).await {
                    Ok(()) => {}
                    // The object is gone, and its status with it.
                    Err(kube::Error::Api(answer)) if answer.code == 404 => {}
                    Err(error) => {
                        tracing::debug!(object = %key, %error, "writing a status");
                        pending.insert(key, status);
                    }
                }
            }
        }
    }

    async fn write(&mut self, key: &ObjectKey, status: &Value) -> kube::Result<()> {
        let plural = REPORTED.iter().find(|(g, k, _)| *g == key.gvk.group && *k == key.gvk.kind).map(|(_, _, p)| *p);
        let gvk = GroupVersionKind::gvk(&key.gvk.group, &key.gvk.version, &key.gvk.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural.unwrap_or_default());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), key.namespace.as_deref().unwrap_or_default(), &resource);
        // A merge keeps what it does not name: the reason of an older status must go.
        let mut fields = json!({ "reason": null });
        for (field, value) in status.as_object().into_iter().flatten() {
            fields[field] = value.clone();
        }
        let patch = Patch::Merge(json!({ "status": { "statuses": { &self.namespace: fields } } }));
        let params = PatchParams { field_manager: Some(REPORTER.into()), ..PatchParams::default() };
        // Gloo's kinds have their status as a plain field; newer versions of some have a subresource.
        if !self.plain.contains(&key.gvk) {
            match api.patch_status(&key.name, &params, &patch).await {
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 405) => {}
                other => return other.map(drop),
            }
        }
        api.patch(&key.name, &params, &patch).await?;
        self.plain.insert(key.gvk.clone());
        Ok(())
    }
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
