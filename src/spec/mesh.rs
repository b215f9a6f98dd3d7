//! The part `mesh` of failover documents. What comes in: the part as it is written. What goes out: what it asks of
//! meshes, or everything that is wrong with it. May not know: targets.

use super::failover::known;
use super::raw::{DiscoverySpec, ExposureSpec, MeshSpec, VersionSpec};
use super::reading::Reading;
use super::text::meant;
use crate::model::failover::{Discovery, Exposure, MeshIntent, Version};
use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, Namespace, ObjectName};

/// Reads it. Names of clusters are looked up where there is a fleet.
pub fn read(r: &mut Reading<'_>, spec: MeshSpec, fleet: Option<&Fleet>) -> MeshIntent {
    MeshIntent {
        host: r.word("/spec/mesh/host", spec.host, host),
        identity: spec.identity.unwrap_or(false),
        callers: spec.callers.map(|c| callers(r, c, fleet)),
        caller_namespaces: spec.caller_namespaces.map(|n| namespaces(r, n)),
        versions: spec.versions.map(|v| versions(r, v)).unwrap_or_default(),
        exposure: match spec.exposure {
            Some(ExposureSpec::Wildcard) => Exposure::Wildcard,
            Some(ExposureSpec::Named) | None => Exposure::Named,
        },
        discovery: match spec.discovery {
            Some(DiscoverySpec::RemoteSecrets) => Discovery::RemoteSecrets,
            Some(DiscoverySpec::ServiceEntries) | None => Discovery::ServiceEntries,
        },
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

fn namespaces(r: &mut Reading<'_>, names: Vec<String>) -> Vec<Namespace> {
    const AT: &str = "/spec/mesh/callerNamespaces";
    if names.is_empty() {
        let hint = "name those of the callers, or leave it out to refuse nobody";
        r.error("FCT0202", AT, "`callerNamespaces` is empty, so nobody could call", Some(hint.into()));
    }
    let names = names.into_iter().enumerate();
    let mut read: Vec<_> =
        names.filter_map(|(i, n)| r.word(&format!("{AT}/{i}"), Some(n), |t| Namespace::new(t))).collect();
    read.sort();
    read.dedup();
    read
}

fn versions(r: &mut Reading<'_>, specs: Vec<VersionSpec>) -> Vec<Version> {
    const AT: &str = "/spec/mesh/versions";
    if specs.is_empty() {
        r.error("FCT0202", AT, "`versions` is empty", Some("leave it out where all Pods are alike".into()));
    }
    let unweighted = specs.iter().all(|s| s.weight.is_none());
    let mut all: Vec<Version> = Vec::new();
    let mut fallbacks = Vec::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let at = format!("{AT}/{i}");
        let default = if unweighted && i == 0 { 100 } else { 0 };
        let name = r.word(&format!("{at}/name"), spec.name, |t| ObjectName::new(t));
        let fallback = r.word(&format!("{at}/fallback"), spec.fallback, |t| ObjectName::new(t));
        let (Some(name), Some(labels)) = (name, spec.labels) else { continue };
        if labels.is_empty() {
            let hint = "write the labels that its Pods have and no other version's: {version: v2}";
            r.error("FCT0219", &at, format!("the version `{name}` has no labels"), Some(hint.into()));
        } else if let Some(other) = all.iter().find(|v| v.labels == labels) {
            let what = format!("`{name}` and `{}` have the same labels, so they are the same Pods", other.name);
            r.error("FCT0219", &format!("{at}/labels"), what, None);
        }
        if all.iter().any(|v| v.name == name) {
            r.error("FCT0208", &format!("{at}/name"), format!("the version `{name}` is there twice"), None);
            continue;
        }
        fallbacks.extend(fallback.as_ref().map(|f| (format!("{at}/fallback"), name.clone(), f.clone())));
        let (weight, headers) = (spec.weight.unwrap_or(default), spec.headers.unwrap_or_default());
        all.push(Version { name, labels, weight, headers, fallback });
    }
    let sum: u32 = all.iter().map(|v| v.weight).sum();
    if sum != 100 && !all.is_empty() {
        let what = format!("the weights of the versions are {sum} together");
        r.error("FCT0220", AT, what, Some("percents of one whole: they must be 100 together".into()));
    }
    for (at, name, fallback) in fallbacks {
        let others = || all.iter().filter(|v| v.name != name).map(|v| v.name.as_str());
        if !others().any(|n| n == fallback.as_str()) {
            let what = format!("`{name}` cannot fall back to `{fallback}`: no other version has that name");
            let hint = meant(fallback.as_str(), others().collect::<Vec<_>>());
            r.error("FCT0221", &at, what, Some(hint));
        }
    }
    all
}
