//! VirtualService `gateway.solo.io/v1` → virtual hosts, and which of them a Gateway serves.

use std::collections::{BTreeMap, BTreeSet};

use super::{GATEWAY_GROUP, Scene, gateway, options, route};
use crate::routing::read::At;
use crate::routing::{Upstream, VirtualHost};

/// The VirtualServices an `httpGateway` selects, the oldest first; `ssl` must fit their `sslConfig`.
pub fn selected<'a>(scene: &'a Scene, http: &At, ssl: bool) -> Vec<At<'a>> {
    let references: BTreeSet<_> = http.get("virtualServices").items().iter().filter_map(At::reference).collect();
    let namespaces = http.get("virtualServiceNamespaces").strings();
    let labels = http.get("virtualServiceSelector");
    if http.get("virtualServiceExpressions").is_some() {
        http.warn("FCT0542", format!("{}.virtualServiceExpressions is not read", http.path()));
    }
    let fits = |at: &At| {
        let (name, namespace) = (&at.object.name, at.object.namespace.as_deref().unwrap_or(""));
        let own = at.at(&["metadata", "labels"]);
        let labelled = labels.fields().iter().all(|l| own.get(l).text() == labels.get(l).text());
        let placed = namespaces.is_empty() || namespaces.iter().any(|n| n == "*" || n == namespace);
        let referred = references.is_empty() || references.iter().any(|r| &r.name == name && r.namespace == namespace);
        let secured = at.at(&["spec", "sslConfig"]).is_some() == ssl;
        referred && secured && (!references.is_empty() || labelled && placed)
    };
    let mut found: Vec<At> = scene.all(GATEWAY_GROUP, "VirtualService").filter(fits).collect();
    found.sort_by_key(|at| (gateway::age(at), at.object.clone()));
    found
}

/// Reads them all; a domain that two claim stays with the older.
pub fn read_all(services: &[At], upstreams: &BTreeMap<String, Upstream>) -> Vec<VirtualHost> {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    services.iter().filter_map(|at| read(at, upstreams, &mut holders)).collect()
}

fn read(
    at: &At,
    upstreams: &BTreeMap<String, Upstream>,
    holders: &mut BTreeMap<String, String>,
) -> Option<VirtualHost> {
    let host = at.at(&["spec", "virtualHost"]);
    if !host.is_some() {
        at.reject("FCT0545", "spec.virtualHost is missing");
        return None;
    }
    let name = format!("{}_{}", at.object.namespace.as_deref().unwrap_or(""), at.object.name);
    let mut domains = host.get("domains").strings();
    if domains.is_empty() {
        domains.push("*".into());
    }
    domains.retain(|domain| match holders.get(domain) {
        None => {
            holders.insert(domain.clone(), at.object.name.clone());
            true
        }
        Some(holder) => {
            at.reject_hint(
                "FCT0546",
                format!("domain `{domain}` already belongs to VirtualService {holder} on the same Gateway"),
                "put the routes into one VirtualService, or give this one other domains",
            );
            false
        }
    });
    if domains.is_empty() {
        return None;
    }
    let retry = options::retry(&host.at(&["options", "retries"]));
    let routes = host.get("routes").items().iter().filter_map(|r| route::read(r, retry.as_ref(), upstreams)).collect();
    Some(VirtualHost { name, object: at.object.clone(), domains, routes })
}
