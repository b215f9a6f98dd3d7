//! Istio's proxy container: what its command line and environment mean, and the bootstrap its Envoy starts from.
//!
//! In: the arguments and environment of a container of image `istio/proxyv2`, the pod's address. Out: a bootstrap.
//! May not know: processes, what the control plane will say.
//!
//! The names are those of Istio's own agent: `proxy sidecar` and `proxy router`; `PROXY_CONFIG` (its `discoveryAddress`
//! is where the control plane is), `POD_NAME`, `POD_NAMESPACE`, `ISTIO_META_*`; ports 15000 (admin), 15021
//! (`/healthz/ready`) and 15090 (`/stats/prometheus`). There is no agent beside Envoy: certificates come with the
//! configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use super::image::Image;
use crate::envoy::config::bootstrap_of;
use crate::routing::istio::INNER_ADDRESS;
use crate::yaml;

/// The annotation that says where the programs behind a pod's sidecar listen.
pub const INNER_IP: &str = INNER_ADDRESS;
/// The port of Istio's HTTP proxy for a pod's programs (`proxyHttpPort` of the mesh configuration), on the inner address.
pub const HTTP_PROXY_PORT: u16 = 15002;
/// The port of the admin interface, on the pod's address.
pub const ADMIN_PORT: u16 = 15000;
/// The port of `/healthz/ready`.
pub const READY_PORT: u16 = 15021;
/// The port of `/stats/prometheus`.
pub const STATS_PORT: u16 = 15090;

/// The part a proxy plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Beside a program.
    Sidecar,
    /// A gateway.
    Router,
}

impl Role {
    /// As node ids begin.
    pub fn word(self) -> &'static str {
        match self {
            Role::Sidecar => "sidecar",
            Role::Router => "router",
        }
    }
}

/// The command line of Istio's agent, as far as it concerns Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyArgs {
    /// The part it plays.
    pub role: Role,
    /// Worker threads.
    pub concurrency: Option<String>,
    /// Envoy's log level.
    pub log_level: Option<String>,
    /// Envoy's log levels by component.
    pub component_log_level: Option<String>,
    /// All of it as it was written: what Istio's own agent is started with.
    pub words: Vec<String>,
}

impl ProxyArgs {
    /// Reads `proxy sidecar|router [flags]`. Flags that concern only Istio's agent are taken and change nothing.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let wrong = |what: &str| format!("pilot-agent: {what}; the sandbox runs `proxy sidecar` and `proxy router`");
        let words = args.to_vec();
        let mut args = args.iter();
        match args.next().map(String::as_str) {
            Some("proxy") => {}
            Some(other) => return Err(wrong(&format!("unknown command `{other}`"))),
            None => return Err(wrong("no command")),
        }
        let mut parsed =
            ProxyArgs { role: Role::Sidecar, concurrency: None, log_level: None, component_log_level: None, words };
        let mut roles = 0;
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--") else {
                parsed.role = match arg.as_str() {
                    "sidecar" => Role::Sidecar,
                    "router" => Role::Router,
                    other => return Err(wrong(&format!("unknown role `{other}`"))),
                };
                roles += 1;
                continue;
            };
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if name == "log_as_json" {
                continue;
            }
            let value = inline.or_else(|| args.next().cloned());
            let value = value.ok_or_else(|| wrong(&format!("--{name}: its value is missing")))?;
            match name {
                "concurrency" => parsed.concurrency = Some(value),
                "proxyLogLevel" => parsed.log_level = Some(value),
                "proxyComponentLogLevel" => parsed.component_log_level = Some(value),
                "domain"
                | "serviceCluster"
                | "log_output_level"
                | "log_caller"
                | "log_target"
                | "meshConfig"
                | "stsPort"
                | "templateFile"
                | "tokenManagerPlugin"
                | "trust-domain"
                | "controlPlaneAuthPolicy"
                | "outlierLogPath"
                | "profiling" => {}
                _ => return Err(wrong(&format!("unknown flag --{name}"))),
            }
        }
        if roles > 1 { Err(wrong("more than one role")) } else { Ok(parsed) }
    }

    /// Envoy's own command line beside its configuration. What a proxy no longer listens for, it lets go within
    /// seconds; a control plane that is away is no line in the log each time it is asked.
    pub fn envoy(&self) -> Vec<String> {
        let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let flags = [
            ("--concurrency", or(&self.concurrency, "1")),
            ("--log-level", or(&self.log_level, "warning")),
            ("--component-log-level", or(&self.component_log_level, "config:error")),
            ("--drain-time-s", "5".to_owned()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }
}

/// Whether a pod has a sidecar: a container of Istio's proxy beside others.
pub fn beside_others(pod: &Pod) -> bool {
    let containers = pod.spec.as_ref().map(|s| s.containers.as_slice()).unwrap_or_default();
    containers.len() > 1 && has_proxy(pod)
}

/// Whether one of a pod's containers is Istio's proxy: a sidecar, or a gateway.
pub fn has_proxy(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    containers.into_iter().any(|c| is_proxy(c.image.as_deref().unwrap_or_default()))
}

/// Whether an image is Istio's proxy.
pub fn is_proxy(image: &str) -> bool {
    Image::of(image) == Some(Image::IstioProxy)
}

/// What programs behind a sidecar need to know to send their requests through it. What is sent to "this machine" stays.
pub fn proxy_variables(proxy: SocketAddr) -> [(String, String); 2] {
    [
        ("http_proxy".to_owned(), format!("http://{proxy}")),
        ("no_proxy".to_owned(), "localhost,127.0.0.1,::1".to_owned()),
    ]
}

/// The bootstrap of a proxy at `ip`. The error is the message of `StartError`.
pub fn bootstrap(args: &ProxyArgs, env: &BTreeMap<String, String>, ip: IpAddr) -> Result<Value, String> {
    let discovery = discovery_address(env)?;
    let get = |name: &str| env.get(name).filter(|v| !v.is_empty());
    let needed = |name: &str| get(name).ok_or_else(|| format!("istio-proxy: the environment has no {name}"));
    let (pod, namespace) = (needed("POD_NAME")?, needed("POD_NAMESPACE")?);
    let own = ip.to_string();
    let node = json!({
        "id": format!("{}~{own}~{pod}.{namespace}~{namespace}.svc.cluster.local", args.role.word()),
        "cluster": format!("{}.{namespace}", get("ISTIO_META_WORKLOAD_NAME").unwrap_or(pod)),
        "metadata": metadata(env, namespace),
    });
    let xds = (discovery.ip().to_string(), discovery.port());
    let mut bootstrap = bootstrap_of(node, (&own, ADMIN_PORT), (&xds.0, xds.1));
    let agent = "agent";
    let fixed = &mut bootstrap["static_resources"];
    fixed["listeners"] = json!([
        listener(READY_PORT, &own, "/healthz/ready", "/ready", agent),
        listener(STATS_PORT, &own, "/stats/prometheus", "/stats/prometheus", agent),
    ]);
    if let Some(clusters) = fixed["clusters"].as_array_mut() {
        clusters.push(json!({
            "name": agent, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": agent, "endpoints": [{ "lb_endpoints": [{
                "endpoint": { "address": { "socket_address": { "address": own, "port_value": ADMIN_PORT } } }
            }] }] }
        }));
    }
    Ok(bootstrap)
}

/// `discoveryAddress` of PROXY_CONFIG. Names of the cluster cannot be looked up from here, so it must be an address.
fn discovery_address(env: &BTreeMap<String, String>) -> Result<SocketAddr, String> {
    let text = env.get("PROXY_CONFIG").map(String::as_str).unwrap_or_default();
    let documents = yaml::parse(text).map_err(|e| format!("PROXY_CONFIG is no YAML: {e}"))?;
    let said = documents.first().and_then(|d| d.value["discoveryAddress"].as_str());
    let said = said.ok_or("PROXY_CONFIG names no discoveryAddress: where the control plane is")?;
    said.parse().map_err(|_| format!("discoveryAddress {said}: the sandbox needs an IP address and a port"))
}

/// `ISTIO_META_X` is the metadata X of the node.
fn metadata(env: &BTreeMap<String, String>, namespace: &str) -> Map<String, Value> {
    let named = env.iter().filter_map(|(k, v)| Some((k.strip_prefix("ISTIO_META_")?.to_owned(), json!(v))));
    [("NAMESPACE".to_owned(), json!(namespace))].into_iter().chain(named).collect()
}

/// A listener for one path, answered by the admin interface.
fn listener(port: u16, ip: &str, path: &str, becomes: &str, cluster: &str) -> Value {
    const TYPE: &str = "type.googleapis.com/envoy.extensions.filters";
    json!({
        "name": format!("agent-{port}"),
        "address": { "socket_address": { "address": ip, "port_value": port } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{TYPE}.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "agent",
                "route_config": { "virtual_hosts": [{ "name": "agent", "domains": ["*"], "routes": [{
                    "match": { "path": path },
                    "route": { "cluster": cluster, "prefix_rewrite": becomes }
                }] }] },
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": { "@type": format!("{TYPE}.http.router.v3.Router") }
                }]
            }
        }] }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn env(config: &str) -> BTreeMap<String, String> {
        let pairs = [
            ("POD_NAME", "reviews-v1-abc"),
            ("POD_NAMESPACE", "default"),
            ("PROXY_CONFIG", config),
            ("ISTIO_META_CLUSTER_ID", "kind2"),
        ];
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn the_agents_own_flags_change_nothing_and_envoys_are_passed_on() {
        let line = "proxy sidecar --domain default.svc.cluster.local --proxyLogLevel=info --concurrency 2";
        let parsed = ProxyArgs::parse(&words(line)).unwrap();
        assert_eq!(parsed.role, Role::Sidecar);
        let envoy = parsed.envoy().join(" ");
        assert!(envoy.contains("--concurrency 2") && envoy.contains("--log-level info"), "{envoy}");
        assert_eq!(ProxyArgs::parse(&words("proxy router")).unwrap().role, Role::Router);
        for wrong in ["", "istio-iptables -p 15001", "proxy waypoint", "proxy sidecar --nope x", "proxy --concurrency"]
        {
            assert!(ProxyArgs::parse(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_bootstrap_says_who_the_proxy_is_as_istios_agent_does() {
        let args = ProxyArgs::parse(&words("proxy sidecar")).unwrap();
        let made = bootstrap(&args, &env("discoveryAddress: 127.42.16.4:15010"), [127, 42, 18, 1].into()).unwrap();
        assert_eq!(made["node"]["id"], "sidecar~127.42.18.1~reviews-v1-abc.default~default.svc.cluster.local");
        assert_eq!(made["node"]["metadata"], json!({"NAMESPACE": "default", "CLUSTER_ID": "kind2"}));
        assert_eq!(made["admin"]["address"]["socket_address"], json!({"address": "127.42.18.1", "port_value": 15000}));
        let ports: Vec<_> = made["static_resources"]["listeners"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["address"]["socket_address"]["port_value"].as_u64().unwrap())
            .collect();
        assert_eq!(ports, [15021, 15090]);
    }

    #[test]
    fn a_proxy_that_is_not_told_where_its_control_plane_is_says_so() {
        let args = ProxyArgs::parse(&words("proxy sidecar")).unwrap();
        let said = |config| bootstrap(&args, &env(config), [127, 42, 18, 1].into()).unwrap_err();
        assert!(said("{}").contains("discoveryAddress"));
        assert!(said("discoveryAddress: istiod.istio-system.svc:15012").contains("istiod.istio-system.svc"));
    }

    #[test]
    fn only_a_proxy_beside_others_is_a_sidecar() {
        let pod = |images: &[&str]| -> Pod {
            let containers: Vec<Value> = images.iter().map(|i| json!({"name": "c", "image": i})).collect();
            serde_json::from_value(json!({"metadata": {}, "spec": {"containers": containers}})).unwrap()
        };
        assert!(beside_others(&pod(&[
            "docker.io/istio/examples-bookinfo-details-v1:1.17",
            "docker.io/istio/proxyv2:1.27.0"
        ])));
        assert!(!beside_others(&pod(&["docker.io/istio/proxyv2:1.27.0"])));
        assert!(!beside_others(&pod(&["hashicorp/http-echo", "envoyproxy/envoy"])));
    }
}
