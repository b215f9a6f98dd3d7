//! What two documents want of one thing. What comes in: documents and the manifests made of them. What goes out:
//! problems. May not know: how manifests are made.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{Hold, Manifest, ObjectKey};
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Span};
use crate::spec::Documents;

/// All conflicts.
pub fn find(documents: &Documents, manifests: &[Manifest]) -> Vec<Problem> {
    let given: BTreeMap<ObjectKey, &Span> =
        documents.foreign.iter().filter_map(|f| Some((crate::manifest::key_of(&f.cluster, &f.body)?, &f.at))).collect();
    let mut problems = twice(&given, manifests);
    problems.extend(primaries(&given, manifests));
    problems.extend(listeners(&given, manifests));
    problems.extend(domains(manifests));
    problems.extend(prefixes(manifests));
    problems
}

/// One object wanted by a failover and by a document of the user, or by two failovers.
fn twice(given: &BTreeMap<ObjectKey, &Span>, manifests: &[Manifest]) -> Vec<Problem> {
    let mut seen: BTreeMap<&ObjectKey, &Manifest> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests {
        let Some(first) = seen.insert(&manifest.key, manifest) else { continue };
        if matches!((&first.hold, &manifest.hold), (Hold::Items { .. }, Hold::Items { .. })) {
            continue;
        }
        let what = format!("{} is wanted twice", manifest.key);
        let problem = match given.get(&manifest.key) {
            Some(at) => Problem::error("FCT0301", what)
                .at(Some((*at).clone()))
                .hint("a failover writes this object too: leave one of the two out"),
            None => Problem::error("FCT0301", what)
                .hint("two failovers have the same primary service: a service can fail over in one way only"),
        };
        problems.push(problem);
    }
    problems
}

/// Two FailoverSchemes of one primary write the same field, and the last one wins.
fn primaries(given: &BTreeMap<ObjectKey, &Span>, manifests: &[Manifest]) -> Vec<Problem> {
    let schemes = manifests.iter().filter(|m| m.key.gvk.kind == "FailoverScheme" && m.key.gvk.group == "fed.solo.io");
    let mut seen: BTreeMap<(&str, &str, &str), &ObjectKey> = BTreeMap::new();
    let mut problems = Vec::new();
    for scheme in schemes {
        let text = |name: &str| {
            scheme.body.pointer(&format!("/spec/primary/{name}")).and_then(Value::as_str).unwrap_or_default()
        };
        let Some(first) = seen.insert((text("clusterName"), text("namespace"), text("name")), &scheme.key) else {
            continue;
        };
        let what = format!(
            "{} and {first} have the same primary, `{}` on `{}`: the last one written would win",
            scheme.key,
            text("name"),
            text("clusterName")
        );
        let at = given.get(&scheme.key).or_else(|| given.get(first)).map(|s| (*s).clone());
        problems.push(Problem::error("FCT0302", what).at(at).hint("put all backups into one scheme"));
    }
    problems
}

/// Two Gateways on one port of one proxy: Gloo rejects both.
fn listeners(given: &BTreeMap<ObjectKey, &Span>, manifests: &[Manifest]) -> Vec<Problem> {
    let gateways = manifests.iter().filter(|m| m.key.gvk.kind == "Gateway" && m.key.gvk.group == "gateway.solo.io");
    let mut seen: BTreeMap<(&ClusterName, u64, String), &ObjectKey> = BTreeMap::new();
    let mut problems = Vec::new();
    for gateway in gateways {
        let Some(port) = gateway.body.pointer("/spec/bindPort").and_then(Value::as_u64) else { continue };
        let proxies = gateway.body.pointer("/spec/proxyNames").and_then(Value::as_array);
        let named = proxies.into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect::<Vec<_>>();
        let proxies = if named.is_empty() { vec!["gateway-proxy".to_string()] } else { named };
        for proxy in proxies {
            let key = (&gateway.key.cluster, port, proxy.clone());
            let Some(first) = seen.insert(key, &gateway.key).filter(|f| **f != gateway.key) else { continue };
            let what = format!("{} and {first} both want port {port} of proxy {proxy}", gateway.key);
            let hint = "a proxy's port has one Gateway: leave one out, or give the cluster another gloo.failoverPort";
            let at = given.get(&gateway.key).or_else(|| given.get(first)).map(|s| (*s).clone());
            problems.push(Problem::error("FCT0303", what).at(at).hint(hint));
        }
    }
    problems
}

/// Two failovers on one host and prefix: the second route would never match.
fn prefixes(manifests: &[Manifest]) -> Vec<Problem> {
    let mut seen: BTreeMap<(&ObjectKey, String), &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests.iter().filter(|m| matches!(m.hold, Hold::Items { .. })) {
        let owner = super::routes::owner(manifest);
        let Some(prefix) = super::routes::prefix(manifest) else { continue };
        let Some(first) = seen.insert((&manifest.key, prefix.clone()), owner).filter(|f| *f != owner) else { continue };
        let what =
            format!("`{first}` and `{owner}` both route `{prefix}` of the same hosts: only the first would answer");
        let problem = Problem::error("FCT0318", what).hint("give one of them another route.prefix or other hosts");
        problems.push(problem.about_failover(owner, "/spec/route"));
    }
    problems
}

/// Two VirtualServices that failovers make for overlapping hosts: Gloo rejects both.
fn domains(manifests: &[Manifest]) -> Vec<Problem> {
    let services = manifests.iter().filter(|m| matches!(m.hold, Hold::Items { .. }));
    let mut seen: BTreeMap<(&ClusterName, &str), &ObjectKey> = BTreeMap::new();
    let mut problems = Vec::new();
    for service in services {
        let domains = service.body.pointer("/spec/virtualHost/domains").and_then(Value::as_array);
        for domain in domains.into_iter().flatten().filter_map(Value::as_str) {
            let first = seen.insert((&service.key.cluster, domain), &service.key);
            let Some(first) = first.filter(|f| **f != service.key) else { continue };
            let what = format!("`{domain}` would be served by {} and by {first}; Gloo takes a host once", service.key);
            let hint = "give failovers that share a host the same list of hosts in route.hosts";
            problems.push(Problem::error("FCT0304", what).hint(hint));
        }
    }
    problems.dedup_by(|a, b| a.what == b.what);
    problems
}
