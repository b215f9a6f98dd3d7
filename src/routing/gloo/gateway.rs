//! Gateway `gateway.solo.io/v1` → listeners of the proxies it names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DEFAULT_NAMESPACE, DEFAULT_PROXY, GATEWAY_GROUP, Scene, route, secret, virtual_service};
use crate::routing::read::At;
use crate::routing::{Access, Bind, HttpChain, Listener, ListenerKind, Side, TcpChain, TcpDestination, Upstream};

/// Namespace and name of every proxy a Gateway belongs to.
pub fn proxies_of(at: &At) -> Vec<(String, String)> {
    let namespace = at.object.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.into());
    let mut names = at.at(&["spec", "proxyNames"]).strings();
    if names.is_empty() {
        names.push(DEFAULT_PROXY.into());
    }
    names.into_iter().map(|name| (namespace.clone(), name)).collect()
}

/// The listeners of one proxy. Of two Gateways on one port the older keeps it.
pub fn listeners(scene: &Scene, proxy: &(String, String), upstreams: &BTreeMap<String, Upstream>) -> Vec<Listener> {
    let mut gateways: Vec<At> =
        scene.all(GATEWAY_GROUP, "Gateway").filter(|at| proxies_of(at).contains(proxy)).collect();
    gateways.sort_by_key(|at| (age(at), at.object.clone()));
    let mut holders: BTreeMap<u16, String> = BTreeMap::new();
    let mut found = Vec::new();
    for at in gateways {
        let Some(bind) = bind(&at) else { continue };
        if let Some(holder) = holders.get(&bind.port) {
            at.reject_hint(
                "FCT0540",
                format!("port {} of proxy {} already belongs to Gateway {holder}", bind.port, proxy.1),
                "delete one of the two, or give this one another bindPort",
            );
            continue;
        }
        holders.insert(bind.port, at.object.name.clone());
        let name = format!("listener-{}-{}", bind.address, bind.port);
        let Some(kind) = kind(scene, &at, &name, upstreams) else { continue };
        found.push(Listener {
            name,
            object: at.object.clone(),
            bind,
            side: Side::Edge,
            access: Access::default(),
            kind,
        });
    }
    found.sort_by_key(|l| l.bind.port);
    found
}

/// Creation time as Kubernetes writes it sorts as text; rendered objects have none and come last.
pub fn age<'a>(at: &At<'a>) -> (bool, &'a str) {
    let created = at.at(&["metadata", "creationTimestamp"]).value().and_then(Value::as_str);
    (created.is_none(), created.unwrap_or(""))
}

fn bind(at: &At) -> Option<Bind> {
    let spec = at.get("spec");
    let port = spec.get("bindPort");
    if !port.is_some() {
        spec.reject("FCT0541", "spec.bindPort is missing");
    }
    let address = spec.get("bindAddress").string().unwrap_or_else(|| "::".into());
    if address.parse::<std::net::IpAddr>().is_err() {
        spec.reject("FCT0541", format!("spec.bindAddress: `{address}` is not an IP address"));
        return None;
    }
    Some(Bind { address, port: port.port()? })
}

fn kind(scene: &Scene, at: &At, name: &str, upstreams: &BTreeMap<String, Upstream>) -> Option<ListenerKind> {
    let spec = at.get("spec");
    if let Some(tcp) = spec.get("tcpGateway").some() {
        let chains: Vec<TcpChain> =
            tcp.get("tcpHosts").items().iter().filter_map(|h| tcp_host(scene, h, upstreams)).collect();
        return (!chains.is_empty()).then_some(ListenerKind::Tcp(chains));
    }
    if let Some(http) = spec.get("httpGateway").some() {
        let ssl = spec.get("ssl").bool().unwrap_or(false);
        let chains = http_chains(scene, &http, ssl, name, upstreams);
        // Gloo opens no HTTP listener that has nothing to route.
        return (!chains.is_empty()).then_some(ListenerKind::Http(chains));
    }
    if spec.get("hybridGateway").is_some() {
        spec.warn("FCT0542", "spec.hybridGateway is not read; this listener is not shown");
    } else {
        spec.reject("FCT0541", "spec needs one of httpGateway, tcpGateway");
    }
    None
}

fn http_chains(
    scene: &Scene,
    http: &At,
    ssl: bool,
    listener: &str,
    upstreams: &BTreeMap<String, Upstream>,
) -> Vec<HttpChain> {
    let services = virtual_service::selected(scene, http, ssl);
    if !ssl {
        let virtual_hosts = virtual_service::read_all(&services, upstreams);
        let name = format!("{listener}-routes");
        return if virtual_hosts.is_empty() { Vec::new() } else { vec![HttpChain { name, tls: None, virtual_hosts }] };
    }
    let chain = |service: &At| {
        let tls = secret::server(scene, &service.at(&["spec", "sslConfig"]))?;
        let virtual_hosts = virtual_service::read_all(std::slice::from_ref(service), upstreams);
        let name = format!("{listener}-{}", virtual_hosts.first()?.name);
        Some(HttpChain { name, tls: Some(tls), virtual_hosts })
    };
    services.iter().filter_map(chain).collect()
}

fn tcp_host(scene: &Scene, at: &At, upstreams: &BTreeMap<String, Upstream>) -> Option<TcpChain> {
    let Some(name) = at.get("name").string() else {
        at.reject("FCT0541", format!("{}.name is missing", at.path()));
        return None;
    };
    let ssl = at.get("sslConfig").some();
    let to = tcp_destination(&at.get("destination"), upstreams)?;
    if to == TcpDestination::BySni && ssl.is_none() {
        at.warn(
            "FCT0543",
            format!("{}: without sslConfig the failover gateway lets everyone in unencrypted", at.path()),
        );
    }
    let tls = match ssl {
        None => None,
        Some(ssl) => Some(secret::server(scene, &ssl)?),
    };
    if let Some(tls) = &tls
        && tls.client_root.is_none()
        && to == TcpDestination::BySni
    {
        at.warn("FCT0544", format!("{}: Secret {} has no ca.crt, so no client certificate is asked for and everyone reaches every Upstream", at.path(), tls.secret.iter().map(ToString::to_string).collect::<String>()));
    }
    Some(TcpChain { name, tls, sni: Vec::new(), alpn: Vec::new(), to })
}

fn tcp_destination(at: &At, upstreams: &BTreeMap<String, Upstream>) -> Option<TcpDestination> {
    if at.get("forwardSniClusterName").is_some() {
        return Some(TcpDestination::BySni);
    }
    if let Some(single) = at.get("single").some() {
        return route::destination(&single, upstreams).map(TcpDestination::Upstream);
    }
    if let Some(multi) = at.get("multi").some() {
        return Some(TcpDestination::Weighted(route::weighted(&multi, upstreams)));
    }
    at.reject("FCT0541", format!("{} needs one of forwardSniClusterName, single, multi", at.path()));
    None
}
