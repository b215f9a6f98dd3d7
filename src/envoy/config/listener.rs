//! Listeners (LDS): HTTP with a route table of its own, and TCP that forwards by SNI.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Place, extension, set, tls};
use crate::routing::{Bind, HttpChain, Listener, ListenerKind, ServerTls, TcpChain, TcpDestination};

/// The cluster a forwarded connection without SNI would go to. It does not exist: such a connection is closed.
const NO_SNI: &str = "no-sni";

/// One listener. `::` and `0.0.0.0` become the pod's own address.
pub fn listener(from: &Listener, place: &Place) -> Value {
    let chains: Vec<Value> = match &from.kind {
        ListenerKind::Http(chains) => chains.iter().map(|c| http_chain(c, place)).collect(),
        ListenerKind::Tcp(chains) => chains.iter().map(tcp_chain).collect(),
    };
    let mut out = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": from.name,
        "address": { "socket_address": { "address": bind(&from.bind, place.bind), "port_value": from.bind.port } }
    });
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

fn inspects(kind: &ListenerKind) -> bool {
    match kind {
        ListenerKind::Http(chains) => chains.iter().any(|c| c.tls.is_some()),
        ListenerKind::Tcp(chains) => {
            chains.iter().any(|c| c.to == TcpDestination::BySni || c.tls.as_ref().is_some_and(|t| !t.sni.is_empty()))
        }
    }
}

fn chain(name: &str, server: Option<&ServerTls>, filters: &[Value]) -> Value {
    let mut out = json!({ "name": name });
    let names = server.map(|t| &t.sni).filter(|sni| !sni.is_empty());
    set(&mut out, "filter_chain_match", names.map(|sni| json!({ "server_names": sni })));
    set(&mut out, "filters", Some(filters));
    set(&mut out, "transport_socket", server.map(tls::server));
    out
}

fn http_chain(from: &HttpChain, place: &Place) -> Value {
    let router = "envoy.extensions.filters.http.router.v3.Router";
    let manager = json!({
        "stat_prefix": "http",
        "codec_type": "AUTO",
        "use_remote_address": true,
        "normalize_path": true,
        "rds": { "route_config_name": from.name, "config_source": place.source },
        "http_filters": [extension("envoy.filters.http.router", router, json!({}))],
        "access_log": [http_log()]
    });
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    chain(&from.name, from.tls.as_ref(), &[extension("envoy.filters.network.http_connection_manager", kind, manager)])
}

fn tcp_chain(from: &TcpChain) -> Value {
    let mut proxy = json!({ "stat_prefix": format!("tcp_{}", from.name) });
    let mut filters = Vec::new();
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
    chain(&from.name, from.tls.as_ref(), &filters)
}

/// One JSON line for each request on standard output: what a drill and a person ask for first.
fn http_log() -> Value {
    let format = json!({
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "host": "%REQ(:AUTHORITY)%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "upstream": "%UPSTREAM_HOST%",
        "duration_ms": "%DURATION%"
    });
    let kind = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
    extension("envoy.access_loggers.stdout", kind, json!({ "log_format": { "json_format": format } }))
}
