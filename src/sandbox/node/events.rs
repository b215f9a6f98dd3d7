//! What happened to pods, as Events: what `kubectl describe pod` ends with.
//!
//! In: happenings. Out: Event objects, the same happening counted in one. May not know: why it happened.
//! Best effort, as with a real kubelet: an Event that cannot be written is lost.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::Power;

/// Something that happened to a container.
#[derive(Debug)]
struct Happening {
    pod: serde_json::Value,
    namespace: String,
    warning: bool,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// Takes down what happens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(mpsc::UnboundedSender<Happening>);

impl Events {
    /// Starts to write events; stops when the last clone is dropped.
    pub fn start(client: Client, node: String, power: watch::Receiver<Power>) -> Events {
        let (sender, happenings) = mpsc::unbounded_channel();
        tokio::spawn(write(client, node, power, happenings));
        Events(sender)
    }

    /// Something went as it should.
    pub fn normal(&self, pod: &Pod, container: &str, reason: &'static str, message: impl Into<String>) {
        self.tell(pod, container, false, reason, message.into());
    }

    /// Something did not.
    pub fn warning(&self, pod: &Pod, container: &str, reason: &'static str, message: impl Into<String>) {
        self.tell(pod, container, true, reason, message.into());
    }

    fn tell(&self, pod: &Pod, container: &str, warning: bool, reason: &'static str, message: String) {
        let meta = &pod.metadata;
        let object = json!({
            "apiVersion": "v1", "kind": "Pod", "name": meta.name, "namespace": meta.namespace, "uid": meta.uid,
            "fieldPath": format!("spec.containers{{{container}}}"),
        });
        let namespace = meta.namespace.clone().unwrap_or_default();
        let happening = Happening { pod: object, namespace, warning, reason, message, at: Timestamp::now() };
        // A node that stops has nobody left to tell.
        let _ = self.0.send(happening);
    }
}

async fn write(
    client: Client,
    node: String,
    mut power: watch::Receiver<Power>,
    mut happenings: mpsc::UnboundedReceiver<Happening>,
) {
    // The name and count of the Event for each happening; forgotten when they get many.
    let mut known: BTreeMap<String, (String, i32)> = BTreeMap::new();
    while let Some(happening) = happenings.recv().await {
        if *power.borrow() == Power::Off {
            // A machine without power remembers nothing.
            if power.wait_for(|p| *p == Power::On).await.is_err() {
                return;
            }
            while happenings.try_recv().is_ok() {}
            continue;
        }
        if known.len() > 1000 {
            known.clear();
        }
        let key = format!("{} {} {}", happening.pod, happening.reason, happening.message);
        let api = Api::<Event>::namespaced(client.clone(), &happening.namespace);
        let at = happening.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let written = match known.get_mut(&key) {
            Some((name, count)) => {
                *count += 1;
                let again = json!({"count": *count, "lastTimestamp": at});
                api.patch(name, &PatchParams::default(), &Patch::Merge(again)).await.map(drop)
            }
            None => match api.create(&PostParams::default(), &event(&happening, &node, &at)).await {
                Ok(event) => {
                    known.insert(key.clone(), (event.metadata.name.unwrap_or_default(), 1));
                    Ok(())
                }
                Err(e) => Err(e),
            },
        };
        if let Err(e) = written {
            known.remove(&key);
            tracing::debug!("event {} lost: {e}", happening.reason);
        }
    }
}

fn event(happening: &Happening, node: &str, at: &str) -> Event {
    let pod = happening.pod["name"].as_str().unwrap_or_default();
    let value = json!({
        "metadata": {"generateName": format!("{pod}."), "namespace": happening.namespace},
        "involvedObject": happening.pod,
        "type": if happening.warning { "Warning" } else { "Normal" },
        "reason": happening.reason,
        "message": happening.message,
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    });
    serde_json::from_value(value).expect("an event made of plain texts")
}
