//! Virtual hosts: which names lead to which routes. What comes in: what a proxy sees. What goes out: the virtual hosts of
//! a sidecar's outbound side and of a gateway's server. Rules: Istio's httproute and gateway builders.

use std::collections::BTreeSet;

use super::client::Client;
use super::route::{self, Entry, MESH, gateway};
use super::scene::{NETWORKING, Object, Scene};
use super::service::{Export, Port, Service};
use super::{host, retry};
use crate::manifest::ObjectKey;
use crate::model::duration::Millis;
use crate::routing::{Action, Matcher, Route, VirtualHost};

/// One VirtualService with what decides where it counts.
pub struct Virtual<'a> {
    object: Object<'a>,
    hosts: Vec<String>,
    gateways: Vec<String>,
    export: Export,
}

/// All VirtualServices, the oldest first.
pub fn virtuals<'a>(scene: &Scene<'a>) -> Vec<Virtual<'a>> {
    let read = |object: &Object<'a>| {
        let at = object.at(&scene.log);
        let spec = at.get("spec");
        let namespace = object.namespace();
        for field in ["tls", "tcp"].into_iter().filter(|f| spec.get(f).is_some()) {
            spec.warn("FCT0550", format!("spec.{field} is not read; only HTTP is routed here"));
        }
        let hosts = spec.get("hosts").strings();
        if hosts.is_empty() {
            spec.reject("FCT0550", "spec.hosts is empty, so the VirtualService counts for nothing");
        }
        let mut gateways = spec.get("gateways").strings();
        if gateways.is_empty() {
            gateways.push(MESH.into());
        }
        Virtual {
            object: *object,
            hosts: hosts.iter().map(|h| host::full(h, namespace, &scene.domain)).collect(),
            gateways: gateways.iter().map(|g| gateway(g, namespace)).collect(),
            export: Export::read(&spec.get("exportTo").strings(), namespace),
        }
    };
    scene.all(NETWORKING, "VirtualService").iter().map(read).collect()
}

/// The virtual hosts of a sidecar as an HTTP proxy: every HTTP port of every host it sees, by every name it has, and
/// 502 for everything else (Istio's block_all).
pub fn outbound(client: &Client, virtuals: &[Virtual]) -> Vec<VirtualHost> {
    let here: Vec<&Virtual> = virtuals.iter().filter(|v| counts(v, client, MESH)).collect();
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for service in client.services.values() {
        for port in service.ports.iter().filter(|p| p.protocol.is_http()) {
            let mut domains = domains(client, service, port.number);
            domains.retain(|d| taken.insert(d.clone()));
            if !domains.is_empty() {
                let (object, routes) = routes(client, &here, service, port);
                all.push(VirtualHost { name: format!("{}:{}", service.host, port.number), object, domains, routes });
            }
        }
    }
    all.extend(without_service(client, &here, &mut taken));
    let object = client.workload.object.clone();
    let nobody = Action::Respond { status: 502, body: String::new() };
    all.push(VirtualHost {
        name: "block_all".into(),
        object,
        domains: vec!["*".into()],
        routes: vec![Route { name: Some("block_all".into()), retry: None, timeout: None, ..plain(nobody) }],
    });
    all
}

fn counts(virtual_service: &Virtual, client: &Client, gateway: &str) -> bool {
    virtual_service.export.includes(&client.workload.namespace) && virtual_service.gateways.iter().any(|g| g == gateway)
}

/// What a host's requests meet: the VirtualService that names it most narrowly, else the host itself.
fn routes(client: &Client, here: &[&Virtual], service: &Service, port: &Port) -> (ObjectKey, Vec<Route>) {
    let narrowness = |v: &&&Virtual| {
        v.hosts.iter().filter(|h| host::covers(h, &service.host)).map(|h| (!h.starts_with('*'), h.len())).max()
    };
    let best = here.iter().filter(|v| narrowness(v).is_some());
    // Of equals the oldest, which is the first.
    let best = best.rev().max_by_key(narrowness);
    match best {
        Some(found) => {
            let entry = Entry { port: port.number, gateways: &[MESH.to_string()] };
            (found.object.key.clone(), route::read(client, &found.object, &entry))
        }
        None => {
            let to = host::cluster(port.number, "", &service.host);
            (service.object.key.clone(), vec![plain(Action::Upstream(to))])
        }
    }
}

/// A route with Istio's defaults for everything.
fn plain(action: Action) -> Route {
    Route {
        name: Some("default".into()),
        matchers: vec![Matcher::prefix("/")],
        action,
        retry: Some(retry::by_default()),
        timeout: Some(Millis(0)),
        prefix_rewrite: None,
        host_rewrite: None,
    }
}

/// Hosts of VirtualServices that are no host of the mesh: they count on port 80.
fn without_service(client: &Client, here: &[&Virtual], taken: &mut BTreeSet<String>) -> Vec<VirtualHost> {
    let mut all = Vec::new();
    for found in here {
        for named in found.hosts.iter().filter(|h| !client.services.keys().any(|s| host::covers(h, s))) {
            let mut domains = vec![named.clone(), format!("{named}:80")];
            domains.retain(|d| d != "*" && d != "*:80" && taken.insert(d.clone()));
            let entry = Entry { port: 80, gateways: &[MESH.to_string()] };
            if !domains.is_empty() {
                let routes = route::read(client, &found.object, &entry);
                all.push(VirtualHost {
                    name: format!("{named}:80"),
                    object: found.object.key.clone(),
                    domains,
                    routes,
                });
            }
        }
    }
    all
}

/// Every name a host has for a client, with the port; without it on port 80. Short names only in its own namespace.
fn domains(client: &Client, service: &Service, port: u16) -> Vec<String> {
    let mut names = vec![service.host.clone()];
    // The same name as DNS has it in full.
    if service.host.parse::<std::net::IpAddr>().is_err() {
        names.push(format!("{}.", service.host));
    }
    if service.kube {
        let (name, namespace) = (service.object.key.name.as_str(), service.object.namespace());
        names.extend([format!("{name}.{namespace}.svc"), format!("{name}.{namespace}")]);
        if client.workload.namespace == namespace {
            names.push(name.into());
        }
    }
    names.extend(service.addresses.iter().cloned());
    let bare = |name: &String| (port == 80).then(|| name.clone());
    names.iter().flat_map(|name| [Some(format!("{name}:{port}")), bare(name)]).flatten().collect()
}

/// The virtual hosts of a gateway's server: VirtualServices that name the gateway and share a host with it. Requests
/// for anything else are answered 404.
pub fn of_gateway(
    client: &Client,
    virtuals: &[Virtual],
    gateway: &str,
    hosts: &[String],
    port: u16,
    all: &mut Vec<VirtualHost>,
) {
    for found in virtuals.iter().filter(|v| counts(v, client, gateway)) {
        let entry = Entry { port, gateways: &[gateway.to_string()] };
        for (own, served) in found.hosts.iter().flat_map(|own| hosts.iter().map(move |served| (own, served))) {
            let (namespace, pattern) = served.split_once('/').unwrap_or(("*", served));
            let own_namespace = found.object.namespace();
            let allowed = match namespace {
                "*" => true,
                "." => gateway.split('/').next() == Some(own_namespace),
                named => named == own_namespace,
            };
            let Some(domain) = host::narrower(own, pattern).filter(|_| allowed) else { continue };
            let routes = route::read(client, &found.object, &entry);
            // VirtualServices of one host follow each other, the oldest first.
            match all.iter_mut().find(|h| h.domains.first().is_some_and(|d| d == domain)) {
                Some(same) => {
                    same.routes.extend(routes.into_iter().filter(|r| !same.routes.contains(r)).collect::<Vec<_>>())
                }
                None => all.push(VirtualHost {
                    name: format!("{domain}:{port}"),
                    object: found.object.key.clone(),
                    domains: gateway_domains(domain),
                    routes,
                }),
            }
        }
    }
}

/// A gateway serves a host whatever port the request names.
fn gateway_domains(host: &str) -> Vec<String> {
    // Envoy's wildcards are at one end only.
    if host.starts_with('*') { vec![host.into()] } else { vec![host.into(), format!("{host}:*")] }
}
