//! A sidecar's inbound side: what it listens on for its application. What comes in: the workload and the hosts it belongs
//! to. What goes out: listeners at the pod's address, and upstreams to the application.
//! Rules: Istio's inbound listeners, PeerAuthentication, and the check of the caller's trust domain.

use std::collections::BTreeMap;

use serde_json::Value;

use super::authorization_policy;
use super::client::Client;
use super::cluster::plain;
use super::host;
use super::peer_authentication::{self, Mode};
use super::service::Protocol;
use crate::model::duration::Millis;
use crate::routing::{
    Action, Bind, Endpoint, HttpChain, Identity, Level, Listener, ListenerKind, Locality, Matcher, Retry, Root, Route,
    ServerTls, Side, TcpChain, TcpDestination, TlsVersions, Upstream, VirtualHost,
};

/// Listeners and upstreams of a sidecar's inbound side.
pub fn read(client: &Client) -> (Vec<Listener>, BTreeMap<String, Upstream>) {
    let mut upstreams = BTreeMap::new();
    let mut listeners = Vec::new();
    for (port, protocol) in ports(client) {
        let upstream = to_application(client, port, protocol);
        listeners.push(listener(client, port, protocol, &upstream.name));
        upstreams.insert(upstream.name.clone(), upstream);
    }
    (listeners, upstreams)
}

/// Ports of the application: those its Services lead to, and those its containers declare.
fn ports(client: &Client) -> BTreeMap<u16, Protocol> {
    let workload = client.workload;
    let mut all: BTreeMap<u16, Protocol> = BTreeMap::new();
    for service in client.scene.all("", "Service").iter().filter(|s| s.namespace() == workload.namespace) {
        let wanted = service.body.pointer("/spec/selector").and_then(Value::as_object);
        let mine = wanted.is_some_and(|w| {
            !w.is_empty() && w.iter().all(|(k, v)| workload.labels.get(k).map(String::as_str) == v.as_str())
        });
        let ports = service.body.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        for port in ports.filter(|_| mine) {
            let protocol = Protocol::of_port(port);
            if let Some(target) = target(port, &workload.ports).filter(|_| protocol != Protocol::Udp) {
                all.entry(target).or_insert(protocol);
            }
        }
    }
    for (number, name) in &workload.ports {
        all.entry(*number).or_insert_with(|| Protocol::parse(name.split('-').next().unwrap_or_default()));
    }
    all.retain(|_, protocol| *protocol != Protocol::Udp);
    all
}

/// The pod's port behind a Service's: a number, the name of a container's port, or the same number.
fn target(port: &Value, named: &[(u16, String)]) -> Option<u16> {
    let number = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok());
    match port.get("targetPort") {
        None | Some(Value::Null) => number(port.get("port")?),
        Some(Value::String(name)) => named.iter().find(|(_, n)| n == name).map(|(n, _)| *n),
        Some(other) => number(other),
    }
}

fn to_application(client: &Client, port: u16, protocol: Protocol) -> Upstream {
    let endpoint = Endpoint {
        address: client.workload.inner.clone(),
        port,
        weight: None,
        tls: None,
        origin: None,
        check: None,
        unready: false,
        unusable: None,
    };
    let level = Level { localities: vec![Locality { endpoints: vec![endpoint], ..Locality::default() }] };
    let object = client.workload.object.clone();
    Upstream { levels: vec![level], http2: protocol == Protocol::Http2, ..plain(host::inbound(port), object) }
}

fn listener(client: &Client, port: u16, protocol: Protocol, to: &str) -> Listener {
    let workload = client.workload;
    let mode = peer_authentication::mode(client.scene, &workload.namespace, &workload.labels, port);
    let tls = [Some(server_tls(client, protocol)).filter(|_| mode != Mode::Disable)];
    // Without TLS: only where plain text is let in.
    let open = (mode != Mode::Strict).then_some(None);
    let securities: Vec<Option<ServerTls>> = tls.into_iter().filter(Option::is_some).chain(open).collect();
    let name = |tls: &Option<ServerTls>| format!("inbound|{port}|{}", if tls.is_some() { "mtls" } else { "plain" });
    let kind = if protocol.is_http() {
        let chain = |tls: Option<ServerTls>| HttpChain {
            name: name(&tls),
            virtual_hosts: vec![everything(client, port, to)],
            tls,
        };
        ListenerKind::Http(securities.into_iter().map(chain).collect())
    } else {
        let chain = |tls: Option<ServerTls>| TcpChain {
            name: name(&tls),
            tls,
            sni: Vec::new(),
            alpn: Vec::new(),
            to: TcpDestination::Upstream(to.into()),
        };
        ListenerKind::Tcp(securities.into_iter().map(chain).collect())
    };
    Listener {
        name: format!("{}_{port}", workload.address),
        object: workload.object.clone(),
        bind: Bind { address: workload.address.clone(), port },
        side: Side::Inbound,
        access: authorization_policy::access(client.scene, &workload.namespace, &client.labels, protocol.is_http()),
        kind,
    }
}

/// The workload's own certificate; a caller must be of the mesh's root and of a trust domain it knows.
fn server_tls(client: &Client, protocol: Protocol) -> ServerTls {
    let mut alpn: Vec<String> = vec!["istio".into()];
    if protocol.is_http() {
        alpn = vec!["h2".into(), "http/1.1".into()];
    }
    ServerTls {
        secret: None,
        identity: Identity::Workload,
        client_root: Some(Root::Mesh),
        client_names: Vec::new(),
        client_trust_domains: client.scene.config.trusted(),
        sni: Vec::new(),
        alpn,
        versions: TlsVersions::default(),
    }
}

/// One route for all requests. Istio repeats what never reached the application (ENABLE_INBOUND_RETRY_POLICY).
fn everything(client: &Client, port: u16, to: &str) -> VirtualHost {
    let retry = Retry {
        on: vec!["reset-before-request".into()],
        attempts: 2,
        per_try_timeout: None,
        previous_priorities: None,
        previous_hosts: None,
        status_codes: Vec::new(),
        back_off: None,
    };
    let route = Route {
        name: Some("default".into()),
        matchers: vec![Matcher::prefix("/")],
        action: Action::Upstream(to.into()),
        retry: Some(retry),
        timeout: Some(Millis(0)),
        prefix_rewrite: None,
        host_rewrite: None,
    };
    let object = client.workload.object.clone();
    VirtualHost { name: format!("inbound|http|{port}"), object, domains: vec!["*".into()], routes: vec![route] }
}
