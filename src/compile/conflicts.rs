//! What two documents want of one thing. What comes in: documents and the manifests made of them. What goes out:
//! problems. May not know: how manifests are made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Site, target};
use crate::manifest::{Hold, Manifest, ObjectKey};
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Span};
use crate::spec::Documents;

/// All conflicts.
pub fn find(documents: &Documents, site: &Site, manifests: &[Manifest]) -> Vec<Problem> {
    let given: BTreeMap<ObjectKey, &Span> =
        documents.foreign.iter().filter_map(|f| Some((crate::manifest::key_of(&f.cluster, &f.body)?, &f.at))).collect();
    let mut problems = same_primary(documents);
    problems.extend(twice(&given, manifests));
    problems.extend(primaries(&given, manifests));
    problems.extend(listeners(documents, &given, manifests));
    problems.extend(domains(site, manifests));
    problems.extend(prefixes(manifests));
    problems
}

/// Two failovers of one service on one cluster.
fn same_primary(documents: &Documents) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for failover in &documents.failovers {
        let primary = failover.primary();
        // The edge and the mesh may both fail over one service.
        let layer = target::family(&documents.fleet, failover).ok() == Some(target::Family::Mesh);
        let Some(first) = seen.insert((layer, &primary.cluster, &primary.service), &failover.name) else { continue };
        let what = format!("`{}` and `{first}` have the same primary: the last one written would win", failover.name);
        let problem = Problem::error("FCT0302", what).hint("put all backups into one failover");
        problems.push(problem.about_failover(failover.name.as_str(), "/spec/order/0"));
    }
    problems
}

/// One object wanted by a failover and by a document of the user.
fn twice(given: &BTreeMap<ObjectKey, &Span>, manifests: &[Manifest]) -> Vec<Problem> {
    let mut seen: BTreeMap<&ObjectKey, &Manifest> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests {
        let Some(first) = seen.insert(&manifest.key, manifest) else { continue };
        if matches!((&first.hold, &manifest.hold), (Hold::Items { .. }, Hold::Items { .. })) {
            continue;
        }
        let Some(at) = given.get(&manifest.key) else { continue };
        let problem = Problem::error("FCT0301", format!("{} is wanted twice", manifest.key)).at(Some((*at).clone()));
        problems.push(problem.hint("a failover writes this object too: leave one of the two out"));
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
        if at.is_none() {
            // Two failovers: said once, above.
            continue;
        }
        problems.push(Problem::error("FCT0302", what).at(at).hint("put all backups into one scheme"));
    }
    problems
}

/// Two Gateways on one port of one proxy: Gloo rejects both.
fn listeners(documents: &Documents, given: &BTreeMap<ObjectKey, &Span>, manifests: &[Manifest]) -> Vec<Problem> {
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
            let problem = Problem::error("FCT0303", what).hint(hint);
            let index = documents.fleet.clusters.get_index_of(&gateway.key.cluster).unwrap_or_default();
            problems.push(match at {
                Some(at) => problem.at(Some(at)),
                // Both are failctl's: one failover has target glooFederation, another glooUpstream.
                None => problem
                    .hint(format!("give all failovers towards `{}` the same target", gateway.key.cluster))
                    .about_fleet(format!("/spec/clusters/{index}/gloo")),
            });
        }
    }
    problems
}

/// Two failovers on one host and prefix: the second route would never match.
fn prefixes(manifests: &[Manifest]) -> Vec<Problem> {
    let mut seen: BTreeMap<(&ObjectKey, String), (&str, Option<&Value>)> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests.iter().filter(|m| matches!(m.hold, Hold::Items { .. })) {
        let owner = super::routes::owner(manifest);
        let Some(prefix) = super::routes::prefix(manifest) else { continue };
        let hosts = manifest.body.pointer("/spec/virtualHost/domains");
        let first = seen.insert((&manifest.key, prefix.clone()), (owner, hosts));
        // Different hosts in one VirtualService are told as that.
        let Some((first, _)) = first.filter(|(f, h)| *f != owner && *h == hosts) else { continue };
        let what =
            format!("`{first}` and `{owner}` both route `{prefix}` of the same hosts: only the first would answer");
        let problem = Problem::error("FCT0318", what).hint("give one of them another route.prefix or other hosts");
        problems.push(problem.about_failover(owner, "/spec/route"));
    }
    problems
}

/// Hosts that two failovers share in part: Gloo serves a host from one VirtualService, which has one list of hosts.
/// Those that a VirtualService serves already keep its list.
fn domains(site: &Site, manifests: &[Manifest]) -> Vec<Problem> {
    let services = manifests.iter().filter(|m| matches!(m.hold, Hold::Items { .. }));
    let mut seen: BTreeMap<(&ClusterName, &str), (&str, Vec<String>)> = BTreeMap::new();
    let mut problems: Vec<Problem> = Vec::new();
    for service in services {
        let domains = service.body.pointer("/spec/virtualHost/domains").and_then(Value::as_array);
        let domains: Vec<_> = domains.into_iter().flatten().filter_map(Value::as_str).collect();
        let all: Vec<String> = domains.iter().map(|d| d.to_string()).collect();
        if !site.serving(&service.key.cluster, &all).is_empty() {
            continue;
        }
        let owner = super::routes::owner(service);
        for domain in domains {
            let first = seen.insert((&service.key.cluster, domain), (owner, all.clone()));
            let Some((first, _)) = first.filter(|(_, hosts)| *hosts != all) else { continue };
            let what =
                format!("`{first}` and `{owner}` share the host `{domain}` and not all hosts; Gloo takes a host once");
            let hint = "give failovers that share a host the same list in route.hosts";
            problems.push(Problem::error("FCT0304", what).hint(hint).about_failover(owner, "/spec/route/hosts"));
        }
    }
    problems
}
