//! Listeners (LDS): HTTP with a route table of its own, and TCP that terminates TLS, passes it through, or forwards by SNI.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Place, access_log, extension, rbac, set, tls};
use crate::routing::{
    Access, Bind, HttpChain, Listener, ListenerKind, Proxy, ServerTls, Side, TcpChain, TcpDestination,
};

/// The cluster a forwarded connection without SNI would go to. It does not exist: such a connection is closed.
const NO_SNI: &str = "no-sni";

/// One listener of a proxy. `::` and `0.0.0.0` become the pod's own address.
pub fn listener(from: &Listener, proxy: &Proxy, place: &Place) -> Value {
    let mixed = is_mixed(&from.kind);
    let chains: Vec<Value> = match &from.kind {
        ListenerKind::Http(chains) => chains.iter().map(|c| http_chain(c, mixed, from, proxy, place)).collect(),
        ListenerKind::Tcp(chains) => chains.iter().map(|c| tcp_chain(c, mixed, &from.access, place)).collect(),
    };
    let mut out = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": from.name,
        "address": { "socket_address": { "address": bind(&from.bind, place.bind), "port_value": from.bind.port } }
    });
    let direction = match from.side {
        Side::Edge => None,
        Side::Outbound => Some("OUTBOUND"),
        Side::Inbound => Some("INBOUND"),
    };
    set(&mut out, "traffic_direction", direction);
    // Without the inspector a terminated connection has no SNI, neither to choose a chain nor to forward by.
    let inspector = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
    let filters = json!([extension("envoy.filters.listener.tls_inspector", inspector, json!({}))]);
    set(&mut out, "listener_filters", inspects(&from.kind).then_some(filters));
    set(&mut out, "filter_chains", Some(chains));
    out
}

fn bind(from: &Bind, pod: IpAddr) -> String {
    match from.address.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => address.to_string(),
        _ => pod.to_string(),
    }
}

/// Some chains speak TLS and some do not: the first bytes of a connection choose.
fn is_mixed(kind: &ListenerKind) -> bool {
    let tls: Vec<bool> = match kind {
        ListenerKind::Http(chains) => chains.iter().map(|c| c.tls.is_some()).collect(),
        ListenerKind::Tcp(chains) => chains.iter().map(|c| c.tls.is_some()).collect(),
    };
    tls.contains(&true) && tls.contains(&false)
}

fn inspects(kind: &ListenerKind) -> bool {
    match kind {
        ListenerKind::Http(chains) => chains.iter().any(|c| c.tls.is_some()),
        ListenerKind::Tcp(chains) => {
            is_mixed(kind)
                || chains.iter().any(|c| {
                    let named = c.tls.as_ref().is_some_and(|t| !t.sni.is_empty());
                    c.to == TcpDestination::BySni || named || !c.sni.is_empty() || !c.alpn.is_empty()
                })
        }
    }
}

/// What a connection must show to be a chain's.
#[derive(Default)]
struct Match<'a> {
    transport: Option<&'static str>,
    sni: &'a [String],
    alpn: &'a [String],
}

fn chain(name: &str, wanted: &Match, server: Option<&ServerTls>, filters: &[Value], source: &Value) -> Value {
    let mut condition = json!({});
    set(&mut condition, "transport_protocol", wanted.transport);
    set(&mut condition, "server_names", (!wanted.sni.is_empty()).then(|| json!(wanted.sni)));
    set(&mut condition, "application_protocols", (!wanted.alpn.is_empty()).then(|| json!(wanted.alpn)));
    let mut out = json!({ "name": name });
    set(&mut out, "filter_chain_match", (condition != json!({})).then_some(condition));
    set(&mut out, "filters", Some(filters));
    set(&mut out, "transport_socket", server.map(|t| tls::server(t, source)));
    out
}

fn transport(mixed: bool, tls: bool) -> Option<&'static str> {
    mixed.then_some(if tls { "tls" } else { "raw_buffer" })
}

fn http_chain(from: &HttpChain, mixed: bool, listener: &Listener, proxy: &Proxy, place: &Place) -> Value {
    let side = listener.side;
    let router = "envoy.extensions.filters.http.router.v3.Router";
    let mut filters = rbac::http(&listener.access);
    filters.push(extension("envoy.filters.http.router", router, json!({})));
    let mut manager = json!({
        "stat_prefix": "http",
        "codec_type": "AUTO",
        "use_remote_address": side == Side::Edge,
        "normalize_path": true,
        "rds": { "route_config_name": from.name, "config_source": place.source },
        "http_filters": filters,
        "access_log": [access_log::http(side, &proxy.tags)]
    });
    if side == Side::Inbound && from.tls.is_some() {
        // As Istio does: the application may see who called.
        set(&mut manager, "forward_client_cert_details", Some("APPEND_FORWARD"));
        let details = json!({ "subject": true, "dns": true, "uri": true });
        set(&mut manager, "set_current_client_cert_details", Some(details));
    }
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let filters = [extension("envoy.filters.network.http_connection_manager", kind, manager)];
    let sni = from.tls.as_ref().map(|t| t.sni.as_slice()).unwrap_or_default();
    let wanted = Match { transport: transport(mixed, from.tls.is_some()), sni, alpn: &[] };
    chain(&from.name, &wanted, from.tls.as_ref(), &filters, place.source)
}

fn tcp_chain(from: &TcpChain, mixed: bool, access: &Access, place: &Place) -> Value {
    let mut proxy = json!({ "stat_prefix": format!("tcp_{}", from.name) });
    let mut filters = rbac::tcp(access);
    match &from.to {
        TcpDestination::BySni => {
            let kind = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster";
            filters.push(extension("envoy.filters.network.sni_cluster", kind, json!({})));
            set(&mut proxy, "cluster", Some(NO_SNI));
        }
        TcpDestination::Upstream(name) => set(&mut proxy, "cluster", Some(name.as_str())),
        TcpDestination::Weighted(all) => {
            let clusters: Vec<Value> =
                all.iter().map(|(name, weight)| json!({ "name": name, "weight": weight })).collect();
            set(&mut proxy, "weighted_clusters", Some(json!({ "clusters": clusters })));
        }
    }
    let kind = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    filters.push(extension("envoy.filters.network.tcp_proxy", kind, proxy));
    let terminated = from.tls.as_ref().map(|t| t.sni.as_slice());
    let wanted = Match {
        transport: transport(mixed, from.tls.is_some()),
        sni: terminated.unwrap_or(&from.sni),
        alpn: &from.alpn,
    };
    chain(&from.name, &wanted, from.tls.as_ref(), &filters, place.source)
}
