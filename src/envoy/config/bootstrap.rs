//! The bootstrap of a gateway pod: who it is, where its admin port is, where it fetches the rest.

use serde_json::{Value, json};

/// The static cluster that leads to the control plane.
pub const XDS_CLUSTER: &str = "xds_cluster";

/// Fetching by REST with long polling: the server holds a request until something changed, so a change arrives within
/// milliseconds. The delay between two requests (Envoy doubles it at random) only counts for a change right after
/// another, and while no server answers. The timeout is longer than the server holds.
pub fn rest_source() -> Value {
    json!({
        "resource_api_version": "V3",
        "initial_fetch_timeout": "15s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [XDS_CLUSTER],
            "refresh_delay": "0.030s",
            "request_timeout": "60s"
        }
    })
}

/// A bootstrap. Each argument may be a Kubernetes variable such as `$(POD_IP)`.
/// `role` is `NAMESPACE~PROXY`, as Gloo names the part a node plays.
pub fn bootstrap(node: &str, pod_ip: &str, role: &str, xds_host: &str, xds_port: u16) -> Value {
    let node = json!({ "cluster": "gateway", "id": node, "metadata": { "role": role, "pod_ip": pod_ip } });
    bootstrap_of(node, (pod_ip, 19000), (xds_host, xds_port))
}

/// A bootstrap from who the proxy is, where its admin interface listens and where it fetches the rest.
pub fn bootstrap_of(node: Value, admin: (&str, u16), xds: (&str, u16)) -> Value {
    json!({
        "node": node,
        "admin": { "address": { "socket_address": { "address": admin.0, "port_value": admin.1 } } },
        "watchdogs": { "main_thread_watchdog": watchdog(), "worker_watchdog": watchdog() },
        "dynamic_resources": { "cds_config": rest_source(), "lds_config": rest_source() },
        "static_resources": { "clusters": [xds_cluster(xds.0, xds.1)] }
    })
}

/// Every thread that is watched wakes up twice in the time it may be missed for, 200 ms by default, and each watching
/// thread as often: with dozens of Envoys on one machine that is most of what idle ones cost. It would only be counted.
fn watchdog() -> Value {
    json!({ "miss_timeout": "30s", "megamiss_timeout": "60s" })
}

/// Every subscription holds one request open, one per upstream among them: the limits must not be in the way.
fn xds_cluster(host: &str, port: u16) -> Value {
    let no_limit = u32::MAX;
    json!({
        "name": XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": { "thresholds": [{
            "max_connections": no_limit, "max_pending_requests": no_limit,
            "max_requests": no_limit, "max_retries": no_limit
        }] },
        "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": { "max_concurrent_streams": 100_000 } }
        } },
        "load_assignment": { "cluster_name": XDS_CLUSTER, "endpoints": [{ "lb_endpoints": [{
            "endpoint": { "address": { "socket_address": { "address": host, "port_value": port } } }
        }] }] }
    })
}
