//! Gateway objects → the listeners of a gateway proxy. What comes in: what the proxy sees. What goes out: listeners.
//! Rules: Istio's pilot/pkg/networking/core/gateway.go and MergeGateways.
//!
//! HTTP servers route by VirtualServices; AUTO_PASSTHROUGH servers pass TLS connections on by SNI, one chain for each
//! port and subset of each host they name, and nothing else gets through.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::authorization_policy;
use super::client::Client;
use super::host;
use super::scene::{NETWORKING, Object, selects, texts};
use super::service::{Protocol, Service};
use super::virtual_host::{self, Virtual};
use crate::routing::read::At;
use crate::routing::{
    Access, Action, Bind, HttpChain, Identity, Listener, ListenerKind, Matcher, Root, Route, SecretRef, ServerTls,
    Side, TcpChain, TcpDestination, TlsVersions, VirtualHost,
};

/// What clients of the mesh offer: an AUTO_PASSTHROUGH chain takes nothing else.
const MESH_ALPN: [&str; 5] = ["istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/// One server of a Gateway that is this proxy's.
pub struct Server<'c, 'a> {
    object: Object<'a>,
    /// The Gateway as VirtualServices name it.
    gateway: String,
    at: At<'c>,
    /// As the object says.
    number: u16,
    hosts: Vec<String>,
}

/// Every server of every Gateway whose selector is this proxy's, the oldest first.
pub fn servers<'c, 'a: 'c>(client: &'c Client<'_, 'a>) -> Vec<Server<'c, 'a>> {
    let mut all = Vec::new();
    for object in client.scene.all(NETWORKING, "Gateway") {
        let at = object.at(&client.log);
        if !selects(&texts(&at.at(&["spec", "selector"])), &client.labels) {
            continue;
        }
        let gateway = format!("{}/{}", object.namespace(), object.key.name);
        for server in at.get("spec").get("servers").items() {
            let Some(number) = server.at(&["port", "number"]).port() else {
                server.reject("FCT0541", format!("{}.port.number is missing", server.path()));
                continue;
            };
            let hosts = server.get("hosts").strings();
            all.push(Server { object: *object, gateway: gateway.clone(), at: server, number, hosts });
        }
    }
    all
}

impl Server<'_, '_> {
    fn mode(&self) -> Option<&str> {
        self.at.get("tls").get("mode").text()
    }

    fn passes_through(&self) -> bool {
        self.mode() == Some("AUTO_PASSTHROUGH")
    }

    /// Whether a host of the mesh is among its hosts (`NAMESPACE/HOST` also says whose).
    fn names(&self, service: &Service) -> bool {
        self.hosts.iter().any(|h| {
            let (namespace, pattern) = h.split_once('/').unwrap_or(("*", h));
            let whose = match namespace {
                "*" => true,
                "." => service.object.namespace() == self.object.namespace(),
                named => service.object.namespace() == named,
            };
            whose && host::covers(pattern, &service.host)
        })
    }
}

/// Whether some server passes connections for a host on by SNI.
pub fn passes(servers: &[Server], service: &Service) -> bool {
    !service.external && servers.iter().any(|s| s.passes_through() && s.names(service))
}

/// The listeners of the proxy.
pub fn listeners(client: &Client, servers: &[Server], virtuals: &[Virtual]) -> Vec<Listener> {
    let mut by_port: BTreeMap<u16, Vec<&Server>> = BTreeMap::new();
    for server in servers {
        by_port.entry(bound(client, server.number)).or_default().push(server);
    }
    by_port.into_iter().filter_map(|(port, servers)| listener(client, port, &servers, virtuals)).collect()
}

/// Gateway pods need no privilege: a Service's port leads to a higher one of theirs, and that is bound.
fn bound(client: &Client, number: u16) -> u16 {
    let own = client.scene.all("", "Service").iter().filter(|s| s.namespace() == client.workload.namespace);
    let fits = own.filter(|s| {
        let wanted = s.body.pointer("/spec/selector").and_then(Value::as_object);
        wanted.is_some_and(|w| {
            !w.is_empty() && w.iter().all(|(k, v)| client.workload.labels.get(k).map(String::as_str) == v.as_str())
        })
    });
    let target = fits.filter_map(|s| {
        let ports = s.body.pointer("/spec/ports").and_then(Value::as_array)?;
        let port = ports.iter().find(|p| p["port"].as_u64() == Some(u64::from(number)))?;
        port["targetPort"].as_u64().and_then(|t| u16::try_from(t).ok())
    });
    target.into_iter().next().unwrap_or(number)
}

fn listener(client: &Client, port: u16, servers: &[&Server], virtuals: &[Virtual]) -> Option<Listener> {
    let first = servers.first()?;
    let tcp = |s: &&Server| s.passes_through();
    let kind = if tcp(first) {
        ListenerKind::Tcp(passthrough(client, servers))
    } else {
        ListenerKind::Http(http(client, port, servers, virtuals))
    };
    let empty = match &kind {
        ListenerKind::Tcp(chains) => chains.is_empty(),
        ListenerKind::Http(chains) => chains.is_empty(),
    };
    // Istio attaches no policy to connections that it passes through: those are the workload's to refuse.
    let access = match &kind {
        ListenerKind::Tcp(_) => Access::default(),
        ListenerKind::Http(_) => {
            let workload = client.workload;
            authorization_policy::access(client.scene, &workload.namespace, &client.labels, true)
        }
    };
    for other in servers.iter().filter(|s| tcp(s) != tcp(first)) {
        other.at.reject("FCT0540", format!("port {port} already serves Gateway {} in another way", first.gateway));
    }
    (!empty).then(|| Listener {
        name: format!("0.0.0.0_{port}"),
        object: first.object.key.clone(),
        bind: Bind { address: "0.0.0.0".into(), port },
        side: Side::Edge,
        access,
        kind,
    })
}

fn passthrough(client: &Client, servers: &[&Server]) -> Vec<TcpChain> {
    let passing = || servers.iter().filter(|s| s.passes_through());
    let mut chains = BTreeMap::new();
    for service in client.services.values().filter(|s| !s.external && passing().any(|p| p.names(s))) {
        let rule = client.rule(service);
        let mut subsets: BTreeSet<String> =
            rule.map(|r| r.subsets(&client.log).into_keys().collect()).unwrap_or_default();
        subsets.insert(String::new());
        for port in service.ports.iter().filter(|p| p.protocol != Protocol::Udp) {
            for subset in &subsets {
                let name = host::sni(port.number, subset, &service.host);
                chains.insert(
                    name.clone(),
                    TcpChain {
                        name: name.clone(),
                        tls: None,
                        sni: vec![name.clone()],
                        alpn: MESH_ALPN.map(str::to_string).into(),
                        to: TcpDestination::Upstream(name),
                    },
                );
            }
        }
    }
    chains.into_values().collect()
}

fn http(client: &Client, port: u16, servers: &[&Server], virtuals: &[Virtual]) -> Vec<HttpChain> {
    let mut chains: Vec<HttpChain> = Vec::new();
    for (i, server) in servers.iter().filter(|s| !s.passes_through()).enumerate() {
        let protocol = server.at.at(&["port", "protocol"]).text().unwrap_or("HTTP").to_ascii_uppercase();
        let tls = match (server.mode(), protocol.as_str()) {
            (None, "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB") => None,
            (Some("SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL"), "HTTPS") => match server_tls(client, server) {
                Some(tls) => Some(tls),
                None => continue,
            },
            (mode, _) => {
                let mode = mode.map(|m| format!(" with tls.mode {m}")).unwrap_or_default();
                server.at.warn(
                    "FCT0550",
                    format!("{}: protocol {protocol}{mode} is not read; the server is not shown", server.at.path()),
                );
                continue;
            }
        };
        let virtual_hosts = served(client, server, virtuals);
        // Servers without TLS share one table.
        match chains.iter_mut().find(|c| c.tls.is_none() && tls.is_none()) {
            Some(same) => {
                let new =
                    virtual_hosts.into_iter().filter(|h| same.virtual_hosts.iter().all(|o| o.domains != h.domains));
                same.virtual_hosts.extend(new.collect::<Vec<_>>());
            }
            None => {
                let name = if tls.is_none() { format!("http.{port}") } else { format!("https.{port}.{i}") };
                chains.push(HttpChain { name, tls, virtual_hosts });
            }
        }
    }
    chains
}

fn served(client: &Client, server: &Server, virtuals: &[Virtual]) -> Vec<VirtualHost> {
    let mut all = Vec::new();
    if server.at.get("tls").get("httpsRedirect").bool() == Some(true) {
        let action = Action::Redirect { host: None, path: None, https: true, status: 301 };
        let route = Route {
            name: None,
            matchers: vec![Matcher::prefix("/")],
            action,
            retry: None,
            timeout: None,
            prefix_rewrite: None,
            host_rewrite: None,
        };
        let object = server.object.key.clone();
        return vec![VirtualHost {
            name: "https-redirect".into(),
            object,
            domains: vec!["*".into()],
            routes: vec![route],
        }];
    }
    virtual_host::of_gateway(client, virtuals, &server.gateway, &server.hosts, server.number, &mut all);
    all
}

/// The certificate of a `credentialName` (a Secret beside the gateway), or the workload's own.
fn server_tls(client: &Client, server: &Server) -> Option<ServerTls> {
    let at = server.at.get("tls");
    let mutual = matches!(at.get("mode").text(), Some("MUTUAL" | "ISTIO_MUTUAL"));
    // Each certificate answers for its hosts; a wildcard for everything is no name.
    let bare = server.hosts.iter().map(|h| h.split_once('/').map_or(h.as_str(), |(_, host)| host));
    let sni: Vec<String> = if server.hosts.iter().any(|h| h == "*" || h.ends_with("/*")) {
        Vec::new()
    } else {
        bare.map(str::to_string).collect()
    };
    let (secret, identity, root) = if at.get("mode").text() == Some("ISTIO_MUTUAL") {
        (None, Identity::Workload, Some(Root::Mesh))
    } else {
        let Some(name) = at.get("credentialName").string() else {
            at.reject(
                "FCT0510",
                format!("{} has no credentialName; certificates in files of the proxy are not read", at.path()),
            );
            return None;
        };
        let secret = SecretRef { namespace: client.workload.namespace.clone(), name };
        let entry = |key: &str| secret_text(client, &secret, key);
        let (Some(chain), Some(key)) = (entry("tls.crt"), entry("tls.key")) else {
            at.reject("FCT0510", format!("{}: Secret {secret} is missing or lacks tls.crt and tls.key", at.path()));
            return None;
        };
        let root = entry("ca.crt");
        if mutual && root.is_none() {
            at.reject("FCT0510", format!("{}: Secret {secret} has no ca.crt, so no client can be checked", at.path()));
            return None;
        }
        (Some(secret), Identity::new(chain, key), root.map(Root::Pem))
    };
    Some(ServerTls {
        secret,
        identity,
        client_root: root.filter(|_| mutual),
        client_names: at.get("subjectAltNames").strings(),
        client_trust_domains: Vec::new(),
        sni,
        alpn: vec!["h2".into(), "http/1.1".into()],
        versions: TlsVersions::default(),
    })
}

fn secret_text(client: &Client, secret: &SecretRef, key: &str) -> Option<String> {
    let cluster = client.scene.cluster.as_str();
    let body = client.scene.world.get(cluster, "", "Secret", &secret.namespace, &secret.name)?;
    if let Some(text) = body.get("stringData").and_then(|d| d.get(key)).and_then(Value::as_str) {
        return Some(text.to_string());
    }
    let bytes = STANDARD.decode(body.get("data")?.get(key)?.as_str()?).ok()?;
    String::from_utf8(bytes).ok().filter(|t| !t.is_empty())
}
