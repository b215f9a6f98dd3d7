//! The part `mesh` of failover documents. What comes in: the part as it is written. What goes out: what it asks of
//! meshes, or everything that is wrong with it. May not know: targets.

use super::failover::known;
use super::raw::MeshSpec;
use super::reading::Reading;
use crate::model::failover::MeshIntent;
use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, ObjectName};

/// Reads it. Names of clusters are looked up where there is a fleet.
pub fn read(r: &mut Reading<'_>, spec: MeshSpec, fleet: Option<&Fleet>) -> MeshIntent {
    MeshIntent {
        host: r.word("/spec/mesh/host", spec.host, host),
        identity: spec.identity.unwrap_or(false),
        callers: spec.callers.map(|c| callers(r, c, fleet)),
        ..MeshIntent::default()
    }
}

/// A DNS name of at least two labels.
fn host(text: &str) -> Result<String, String> {
    if ObjectName::new(text).is_ok() && text.contains('.') {
        return Ok(text.into());
    }
    Err(format!("`{text}` is no host name; write for example shop.default.global"))
}

fn callers(r: &mut Reading<'_>, names: Vec<String>, fleet: Option<&Fleet>) -> Vec<ClusterName> {
    const AT: &str = "/spec/mesh/callers";
    if names.is_empty() {
        r.error(
            "FCT0202",
            AT,
            "`callers` is empty, so nobody would fail over",
            Some("leave it out for all of the order".into()),
        );
    }
    let mut read = Vec::new();
    for (i, text) in names.into_iter().enumerate() {
        let at = format!("{AT}/{i}");
        let Some(cluster) = r.word(&at, Some(text), |t| ClusterName::new(t)) else { continue };
        known(r, &at, &cluster, fleet);
        if read.contains(&cluster) {
            r.error("FCT0208", &at, format!("the cluster `{cluster}` is there twice"), None);
            continue;
        }
        read.push(cluster);
    }
    read
}
