//! What will not work in the vendor's own documents, seen beside everything else that was given. What comes in:
//! documents and manifests. What goes out: warnings and notes. May not know: how manifests are made.

use std::collections::BTreeSet;

use serde_json::Value;

use super::gloo;
use crate::manifest::Manifest;
use crate::model::problem::Problem;
use crate::spec::{Documents, Foreign};

/// Everything worth saying about the FailoverSchemes given.
pub fn notes(documents: &Documents, manifests: &[Manifest]) -> Vec<Problem> {
    let schemes = documents.foreign.iter().filter(|f| is_scheme(f)).collect::<Vec<_>>();
    if schemes.is_empty() {
        return Vec::new();
    }
    let detected = detected(manifests);
    let mut problems = Vec::new();
    for scheme in schemes {
        problems.extend(elsewhere(documents, scheme));
        problems.extend(unwatched(scheme, &detected));
    }
    problems
}

fn is_scheme(foreign: &Foreign) -> bool {
    let text = |name: &str| foreign.body.get(name).and_then(Value::as_str).unwrap_or_default();
    text("kind") == "FailoverScheme" && text("apiVersion").starts_with("fed.solo.io/")
}

fn name(scheme: &Foreign) -> &str {
    scheme.body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Federation reads schemes on its own cluster only.
fn elsewhere(documents: &Documents, scheme: &Foreign) -> Option<Problem> {
    let (manager, _) = gloo::manager(&documents.fleet)?;
    if manager.name == scheme.cluster {
        return None;
    }
    let what = format!(
        "the FailoverScheme `{}` is for `{}`, and Federation runs on `{}`: nobody would read it",
        name(scheme),
        scheme.cluster,
        manager.name
    );
    let hint = format!("give it as -f {}={}", manager.name, scheme.at.file);
    Some(Problem::warning("FCT0319", what).at(Some(scheme.at.clone())).hint(hint))
}

/// A primary that nobody watches never fails over, and nothing in Gloo says so.
fn unwatched(scheme: &Foreign, detected: &BTreeSet<[String; 3]>) -> Option<Problem> {
    let text = |field: &str| {
        let value = scheme.body.pointer(&format!("/spec/primary/{field}")).and_then(Value::as_str);
        value.map(str::to_string)
    };
    let key = [text("clusterName").or_else(|| text("cluster_name"))?, text("namespace")?, text("name")?];
    if detected.contains(&key) {
        return None;
    }
    let [cluster, namespace, upstream] = key;
    let what = format!(
        "no document here gives the primary of `{}`, Upstream {namespace}/{upstream} on `{cluster}`, a health check or \
         outlier detection; unless it has one already, nothing fails over",
        name(scheme)
    );
    let hint = format!("give an Upstream with healthChecks too: -f {cluster}=FILE");
    Some(Problem::note("FCT0320", what).at(Some(scheme.at.clone())).hint(hint))
}

/// Cluster, namespace and name of every Upstream whose loss would be noticed.
fn detected(manifests: &[Manifest]) -> BTreeSet<[String; 3]> {
    let upstreams = manifests.iter().filter(|m| m.key.gvk.group == "gloo.solo.io" && m.key.gvk.kind == "Upstream");
    let watched = upstreams.filter(|m| {
        let checks = m.body.pointer("/spec/healthChecks").and_then(Value::as_array);
        checks.is_some_and(|c| !c.is_empty()) || m.body.pointer("/spec/outlierDetection").is_some()
    });
    watched
        .map(|m| [m.key.cluster.to_string(), m.key.namespace.clone().unwrap_or_default(), m.key.name.clone()])
        .collect()
}
