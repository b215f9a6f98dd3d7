//! What is served, as clients discover it: aggregated documents and the plain ones. Pure.
//! What comes in: the kinds. What goes out: JSON documents.

use serde_json::{Value, json};

use super::kinds::{Registry, Resource};

/// Media type of aggregated discovery; the answer must carry the same parameters as the request.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether an Accept header prefers aggregated discovery, version 2.
pub fn wants_aggregated(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or_default();
    let has = |part: &str| first.split(';').any(|p| p.trim() == part);
    has("as=APIGroupDiscoveryList") && has("v=v2") && has("g=apidiscovery.k8s.io")
}

/// `/version`. The minor version is that of the API types this server is built on.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": concat!("v1.33.0+failctl-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2025-04-23T00:00:00Z",
        "goVersion": "none", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn body_kind(kind: &Resource, sub: super::kinds::Sub) -> (String, String, String) {
    match sub.body() {
        Some((group, version, name)) => (group.into(), version.into(), name.into()),
        None => (kind.group.clone(), kind.version.clone(), kind.kind.clone()),
    }
}

fn aggregated_resource(kind: &Resource) -> Value {
    let response = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let subs: Vec<Value> = kind
        .subs
        .iter()
        .map(|sub| {
            let (group, version, body) = body_kind(kind, *sub);
            json!({"subresource": sub.segment(), "responseKind": response(&group, &version, &body), "verbs": sub.verbs()})
        })
        .collect();
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs(),
    });
    let lists =
        [("shortNames", json!(kind.short)), ("categories", json!(kind.categories)), ("subresources", subs.into())];
    for (field, list) in lists {
        if list != json!([]) {
            resource[field] = list;
        }
    }
    resource
}

/// `/api` (core) or `/apis` (all others) in the aggregated form.
pub fn aggregated(registry: &Registry, core: bool) -> Value {
    let groups = registry.groups();
    let items: Vec<Value> = groups
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let version = |version: &&str| {
                let resources: Vec<Value> = registry.of(group, version).map(|k| aggregated_resource(k)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            };
            let metadata = if core {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions.iter().map(version).collect::<Vec<_>>()})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// `/api` in the plain form.
pub fn core_versions(address: &str) -> Value {
    let servers = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers})
}

/// One group in the plain form; none when it is not served.
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let versions = registry.groups().remove(name).filter(|_| !name.is_empty())?;
    let versions: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
    let preferred = versions.first().cloned();
    Some(
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": preferred}),
    )
}

/// `/apis` in the plain form.
pub fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = registry.groups().keys().filter_map(|name| group(registry, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The kinds of one group and version in the plain form; none when it is not served.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for kind in registry.of(group, version) {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": kind.verbs(),
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        list.push(resource);
        for sub in &kind.subs {
            let (body_group, body_version, body) = body_kind(kind, *sub);
            let name = format!("{}/{}", kind.plural, sub.segment());
            let mut entry = json!({"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": body, "verbs": sub.verbs()});
            if body_group != kind.group || body_version != kind.version {
                entry["group"] = body_group.into();
                entry["version"] = body_version.into();
            }
            list.push(entry);
        }
    }
    let group_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
    (!list.is_empty()).then(
        || json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
    )
}
