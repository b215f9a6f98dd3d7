//! Waiting until a fault has taken hold: a write is done at once, what comes of it is not. Until the last Pod of before is
//! gone it is the primary that answers, and the time of the fault has not begun.
//! What comes in: deeds that were carried out. What goes out: that they hold, or a sentence why that is not known.
//! May not know: the load, the director.

use std::time::Duration;

use tokio::time::Instant;

use super::act;
use super::deed::{self, Deed};
use crate::cluster::Clients;
use crate::model::name::ClusterName;

/// How long a fault may take to reach its Pods. A rollout that cannot finish (new Pods that never become ready keep the old
/// ones in place) is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// Returns when a deed holds, or a sentence why it cannot be said that it does.
pub async fn wait(clients: &Clients, cluster: &ClusterName, deed: &Deed) -> Option<String> {
    let (kind, namespace, name) = match deed {
        Deed::Scale { kind, namespace, name, .. } => (kind.as_str(), namespace, name),
        Deed::Command { namespace, name, .. } => ("Deployment", namespace, name),
        _ => return None,
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let left = match act::object(clients, cluster, kind, namespace, name).await {
            Ok(Some(now)) => match deed::holds(deed, &now) {
                Ok(()) => return None,
                Err(left) => left,
            },
            // Without the object there is nobody left who could answer.
            Ok(None) => return None,
            // A drill may take an API down together with the workloads.
            Err(e) => return Some(format!("whether it has reached {kind} {namespace}/{name} is not known: {e:#}")),
        };
        if Instant::now() >= end {
            let seconds = PATIENCE.as_secs();
            return Some(format!("{kind} {namespace}/{name} on {cluster} after {seconds} s: {left}"));
        }
        tokio::time::sleep(EVERY).await;
    }
}
