//! Brings an Envoy configuration of years ago up to today's Envoy, and onto a pod's own address.
//!
//! In: a bootstrap configuration and the pod's address. Out: the same bootstrap as today's Envoy takes it, and what was
//! changed. May not know: processes, pods beyond their address.
//!
//! A pod of the sandbox has an address but no network namespace, so "every address" and "this machine" (`0.0.0.0`,
//! `::`, `127.0.0.1`, `localhost`) both become the pod's address, wherever the configuration says them.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

/// A configuration for today's Envoy, and what had to be changed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Modern {
    /// The bootstrap configuration.
    pub config: Value,
    /// One sentence per kind of change, for the container's log.
    pub changes: Vec<String>,
}

/// Extensions that old configurations name without saying their type: old name, name, type.
const TYPES: [(&str, &str, &str); 11] = [
    ("envoy.router", "envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
    (
        "envoy.health_check",
        "envoy.filters.http.health_check",
        "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    ),
    ("envoy.cors", "envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"),
    ("envoy.grpc_web", "envoy.filters.http.grpc_web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"),
    ("envoy.fault", "envoy.filters.http.fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"),
    ("envoy.buffer", "envoy.filters.http.buffer", "envoy.extensions.filters.http.buffer.v3.Buffer"),
    ("envoy.lua", "envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua"),
    (
        "envoy.http_connection_manager",
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    ("envoy.tcp_proxy", "envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
    (
        "envoy.listener.tls_inspector",
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    ),
    ("envoy.file_access_log", "envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog"),
];

/// Types of the v2 API and what they are called since: old, new.
const RENAMED: [(&str, &str); 6] = [
    (
        "envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ),
    ("envoy.config.filter.network.tcp_proxy.v2.TcpProxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
    ("envoy.config.filter.http.router.v2.Router", "envoy.extensions.filters.http.router.v3.Router"),
    (
        "envoy.config.filter.http.health_check.v2.HealthCheck",
        "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    ),
    ("envoy.api.v2.auth.UpstreamTlsContext", "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
    ("envoy.api.v2.auth.DownstreamTlsContext", "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
];

const TYPE_URL: &str = "type.googleapis.com/";

/// Brings a configuration up to today's Envoy for a pod with that address.
pub fn modernise(config: Value, pod: IpAddr) -> Modern {
    let mut work = Work { pod, changes: Vec::new() };
    let mut config = config;
    work.admin(&mut config);
    work.walk(&mut config, None);
    Modern { config, changes: work.changes }
}

struct Work {
    pod: IpAddr,
    changes: Vec<String>,
}

impl Work {
    fn note(&mut self, change: String) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// `admin.access_log_path` was a field of its own before there were access loggers.
    fn admin(&mut self, config: &mut Value) {
        let Some(admin) = config.get_mut("admin").and_then(Value::as_object_mut) else { return };
        let path = admin.shift_remove("access_log_path").or_else(|| admin.shift_remove("accessLogPath"));
        let Some(path) = path else { return };
        let logger = json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {"@type": format!("{TYPE_URL}envoy.extensions.access_loggers.file.v3.FileAccessLog"), "path": path},
        });
        admin.insert("access_log".into(), json!([logger]));
        self.note("admin.access_log_path became admin.access_log".into());
    }

    fn walk(&mut self, value: &mut Value, key: Option<&str>) {
        match value {
            Value::Object(object) => {
                if matches!(key, Some("socket_address" | "socketAddress")) {
                    self.address(object);
                }
                if matches!(key, Some("http_filters" | "filters" | "listener_filters" | "access_log")) {
                    self.extension(object);
                }
                self.type_url(object);
                let keys: Vec<String> = object.keys().cloned().collect();
                for key in keys {
                    if let Some(inner) = object.get_mut(&key) {
                        self.walk(inner, Some(&key));
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, key)),
            _ => {}
        }
    }

    fn address(&mut self, socket: &mut Map<String, Value>) {
        let Some(Value::String(address)) = socket.get_mut("address") else { return };
        let local = match address.parse::<IpAddr>() {
            Ok(ip) => {
                ip.is_unspecified()
                    || ip == IpAddr::from([127, 0, 0, 1])
                    || ip == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
            }
            Err(_) => address == "localhost",
        };
        if !local {
            return;
        }
        let old = std::mem::replace(address, self.pod.to_string());
        self.note(format!("address {old} became the pod's own, {}", self.pod));
        // Needs a socket of both families, which an IPv4 address is not.
        socket.shift_remove("ipv4_compat");
    }

    /// A filter or logger: its name of today, and its type if it does not say one.
    fn extension(&mut self, extension: &mut Map<String, Value>) {
        let Some(name) = extension.get("name").and_then(Value::as_str).map(str::to_owned) else { return };
        let Some((_, modern, kind)) = TYPES.iter().find(|(old, new, _)| *old == name || *new == name) else { return };
        if *modern != name {
            extension.insert("name".into(), json!(modern));
            self.note(format!("{name} is called {modern} today"));
        }
        if extension.contains_key("typed_config") || extension.contains_key("config_discovery") {
            return;
        }
        let mut typed = Map::from_iter([("@type".to_owned(), json!(format!("{TYPE_URL}{kind}")))]);
        if let Some(Value::Object(config)) = extension.shift_remove("config") {
            typed.extend(config);
        }
        extension.insert("typed_config".into(), Value::Object(typed));
        self.note(format!("{modern} got its typed_config"));
    }

    fn type_url(&mut self, object: &mut Map<String, Value>) {
        let Some(Value::String(url)) = object.get_mut("@type") else { return };
        let Some(name) = url.strip_prefix(TYPE_URL) else { return };
        if let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
            *url = format!("{TYPE_URL}{new}");
            self.note(format!("type {old} is {new} today"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(config: Value) -> Modern {
        modernise(config, IpAddr::from([127, 77, 2, 1]))
    }

    #[test]
    fn wildcard_and_loopback_addresses_become_the_pods_wherever_they_stand() {
        for local in ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"] {
            let address = |a: &str| json!({"address": {"socket_address": {"address": a, "port_value": 1}}});
            let config = json!({
                "admin": address(local),
                "static_resources": {"listeners": [address(local)], "clusters": [{"endpoint": address(local)}]},
            });
            let pod = address("127.77.2.1");
            let expected = json!({
                "admin": pod, "static_resources": {"listeners": [pod], "clusters": [{"endpoint": pod}]},
            });
            assert_eq!(modern(config).config, expected, "{local}");
        }
    }

    #[test]
    fn other_addresses_and_names_stay() {
        let config = json!({"a": {"socket_address": {"address": "127.77.0.3"}}, "b": {"socket_address": {"address": "xds.example"}}});
        let done = modern(config.clone());
        assert_eq!((done.config, done.changes), (config, vec![]));
    }

    #[test]
    fn an_old_untyped_filter_gets_its_name_and_type() {
        let done = modern(json!({"http_filters": [
            {"name": "envoy.health_check", "config": {"pass_through_mode": true}}, {"name": "envoy.filters.http.router"}
        ]}));
        assert_eq!(
            done.config["http_filters"],
            json!([
                {"name": "envoy.filters.http.health_check", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck",
                    "pass_through_mode": true}},
                {"name": "envoy.filters.http.router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
            ])
        );
        assert_eq!(done.changes.len(), 3);
    }

    #[test]
    fn todays_configuration_is_left_alone() {
        let config = json!({"http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": true}}]});
        assert_eq!(modern(config.clone()), Modern { config, changes: vec![] });
    }

    #[test]
    fn a_type_of_the_second_api_gets_its_name_of_today() {
        let done =
            modern(json!({"typed_config": {"@type": "type.googleapis.com/envoy.config.filter.http.router.v2.Router"}}));
        assert_eq!(
            done.config["typed_config"]["@type"],
            "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        );
    }
}
