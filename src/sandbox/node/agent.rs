//! Istio's own agent in a proxy's container, where a node is told to run it: what a kubelet and a container would give it.
//!
//! In: a container's environment, its pod, the API it asks for a token and the mesh's root. Out: files in the container's
//! directory, and the environment with which the agent starts Envoy. May not know: processes, probes, what istiod will say.
//!
//! Pods share one network here, so nothing can redirect traffic, and what the agent and Istio bind on 127.0.0.1 gets ports of
//! its own for each pod. See docs/sandbox-node.md.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::env::Sources;
use super::sidecar::{ADMIN_PORT, READY_PORT, STATS_PORT};
use crate::yaml;

/// The port of the agent's own status, which Envoy's `/healthz/ready` asks.
const STATUS_PORT: u16 = 15020;
/// Whom a proxy's token is for: istiod's CA. Istio's injection template says it and how long it lives.
const AUDIENCE: &str = "istio-ca";
const TOKEN_SECONDS: i64 = 43_200;
/// Where istiod keeps the mesh's root for proxies, in every namespace.
const ROOT: (&str, &str) = ("istio-ca-root-cert", "root-cert.pem");
/// Ports given to pods: below those the kernel takes for outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..32_500;

/// The agent's program and the template of the configuration it starts Envoy with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `pilot-agent`.
    pub program: PathBuf,
    /// Istio's `envoy_bootstrap.json`, a template of Go's.
    pub bootstrap: String,
}

/// Two ports of 127.0.0.1 that stand for ports of a pod's localhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports(u16);

impl Ports {
    /// Free ones, looked for from a place that follows from the pod's address.
    pub fn free(pod: Ipv4Addr) -> Option<Ports> {
        let slots = u32::from(PORTS.len() as u16 / 2);
        let first = u32::from(pod) % slots;
        let slot = |n: u32| u16::try_from((first + n) % slots).ok().map(|s| Ports(PORTS.start + 2 * s));
        let free = |ports: &Ports| ports.all().iter().all(|to| TcpListener::bind(to).is_ok());
        (0..slots).filter_map(slot).find(free)
    }

    fn all(self) -> [SocketAddr; 2] {
        [0, 1].map(|n| SocketAddr::from((Ipv4Addr::LOCALHOST, self.0 + n)))
    }

    /// Envoy's admin interface.
    fn admin(self) -> SocketAddr {
        self.all()[0]
    }

    /// The agent's status.
    fn status(self) -> SocketAddr {
        self.all()[1]
    }

    /// What stands for a port of the pod's localhost, if it is one of these.
    pub fn of(self, port: u16) -> Option<SocketAddr> {
        match port {
            ADMIN_PORT => Some(self.admin()),
            STATUS_PORT => Some(self.status()),
            _ => None,
        }
    }
}

/// A proxy's container, as far as its agent is concerned.
pub struct Container<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its address.
    pub ip: IpAddr,
    /// Its ports of 127.0.0.1.
    pub ports: Ports,
    /// The container's directory: the agent's files are relative to it.
    pub dir: &'a Path,
    /// The Envoy the agent starts.
    pub envoy: &'a Path,
    /// failctl's own executable, which has Envoy die with the agent.
    pub failctl: &'a Path,
}

impl Container<'_> {
    /// Writes what would be mounted, and completes the environment. The error is the message of `CreateContainerConfigError`.
    pub async fn furnish(
        &self,
        agent: &Agent,
        sources: &Sources,
        env: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        let root = self.root(sources).await?;
        let token = self.token(sources).await?;
        let labels = |map: &Option<BTreeMap<String, String>>| downward(map.as_ref());
        let files = [
            ("var/run/secrets/tokens/istio-token", token),
            ("var/run/secrets/istio/root-cert.pem", root),
            ("etc/istio/pod/labels", labels(&self.pod.metadata.labels)),
            ("etc/istio/pod/annotations", labels(&self.pod.metadata.annotations)),
            ("bootstrap.json", bootstrap(&agent.bootstrap, self.ip)),
            ("envoy", script(self.failctl, self.envoy)),
        ];
        for (name, text) in files {
            write(&self.dir.join(name), &text, name == "envoy")?;
        }
        self.environment(env)
    }

    async fn root(&self, sources: &Sources) -> Result<String, String> {
        let (name, key) = ROOT;
        let found = Api::<ConfigMap>::namespaced(sources.client.clone(), self.namespace()).get_opt(name).await;
        let found = found.map_err(|e| format!("reading configmap {name}: {e}"))?.and_then(|m| m.data);
        found.and_then(|mut data| data.remove(key)).ok_or_else(|| format!("configmap \"{name}\" not found"))
    }

    /// A token for the pod's ServiceAccount that ends with the pod, as a kubelet asks for it.
    async fn token(&self, sources: &Sources) -> Result<String, String> {
        let account = self.pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref()).unwrap_or("default");
        let spec = TokenRequestSpec {
            audiences: vec![AUDIENCE.into()],
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: self.pod.metadata.name.clone(),
                uid: self.pod.metadata.uid.clone(),
            }),
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts = Api::<ServiceAccount>::namespaced(sources.client.clone(), self.namespace());
        let made = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let made = made.map_err(|e| format!("a token for serviceaccount {account}: {e}"))?;
        made.status.map(|s| s.token).ok_or_else(|| format!("no token was given for serviceaccount {account}"))
    }

    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or("default")
    }

    /// What the container's own environment leaves to the image, and where this one differs from a container.
    fn environment(&self, env: &mut BTreeMap<String, String>) -> Result<(), String> {
        let text = env.get("PROXY_CONFIG").map(String::as_str).unwrap_or("{}");
        let documents = yaml::parse(text).map_err(|e| format!("PROXY_CONFIG is no YAML: {e}"))?;
        let mut config = documents.into_iter().next().map_or(json!({}), |d| d.value);
        if !config.is_object() {
            config = json!({});
        }
        let path = |name: &str| json!(self.dir.join(name).display().to_string());
        config["binaryPath"] = path("envoy");
        // Its socket is there, and the path of a socket is short: relative to the directory it runs in.
        config["configPath"] = json!("./etc/istio/proxy");
        config["proxyBootstrapTemplatePath"] = path("bootstrap.json");
        config["proxyAdminPort"] = json!(self.ports.admin().port());
        config["statusPort"] = json!(self.ports.status().port());
        config.as_object_mut().map(|c| c.entry("concurrency").or_insert(json!(1)));
        let set = [
            ("PROXY_CONFIG", config.to_string()),
            // Nothing redirects: what is to pass the proxy is sent to it.
            ("ISTIO_META_INTERCEPTION_MODE", "NONE".into()),
            ("ENVOY_STATUS_PORT", READY_PORT.to_string()),
            ("ENVOY_PROMETHEUS_PORT", STATS_PORT.to_string()),
            ("HOME", self.dir.display().to_string()),
        ];
        env.extend(set.map(|(name, value)| (name.to_owned(), value)));
        Ok(())
    }
}

/// What listens on every address of a container listens on the pod's own.
fn bootstrap(template: &str, ip: IpAddr) -> String {
    template.replace("{{ .wildcard }}", &ip.to_string())
}

/// Labels as the downward API writes them to a file.
fn downward(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(k, v)| format!("{k}={}\n", Value::from(v.as_str()))).collect()
}

/// An executable that is Envoy and dies with the agent that started it.
fn script(failctl: &Path, envoy: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!("#!/bin/sh\nexec {} child --parent \"$PPID\" -- {} \"$@\"\n", quoted(failctl), quoted(envoy))
}

/// Writes a file that only its owner can read: one of them is a credential.
fn write(path: &Path, text: &str, executable: bool) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("writing {}: {e}", path.display());
    let mode = if executable { 0o700 } else { 0o600 };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(fail)?;
    }
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path);
    let mut file = file.map_err(fail)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(config: &str) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([
            ("PROXY_CONFIG".to_owned(), config.to_owned()),
            ("ISTIO_META_INTERCEPTION_MODE".to_owned(), "REDIRECT".to_owned()),
        ]);
        let container = Container {
            pod: &Pod::default(),
            ip: [10, 244, 2, 1].into(),
            ports: Ports(12_000),
            dir: Path::new("/d"),
            envoy: Path::new("/e/envoy"),
            failctl: Path::new("/f/failctl"),
        };
        container.environment(&mut env).unwrap();
        env
    }

    #[test]
    fn the_agent_keeps_what_the_pod_says_and_learns_where_it_is() {
        let env = environment("discoveryAddress: istiod.istio-system.svc:20002\nproxyAdminPort: 15000\nconcurrency: 2");
        let config: Value = serde_json::from_str(&env["PROXY_CONFIG"]).unwrap();
        assert_eq!(config["discoveryAddress"], "istiod.istio-system.svc:20002");
        assert_eq!((&config["proxyAdminPort"], &config["statusPort"]), (&json!(12_000), &json!(12_001)));
        assert_eq!((&config["binaryPath"], &config["concurrency"]), (&json!("/d/envoy"), &json!(2)));
        assert_eq!(env["ISTIO_META_INTERCEPTION_MODE"], "NONE");
        let config: Value = serde_json::from_str(&environment("")["PROXY_CONFIG"]).unwrap();
        assert_eq!(config["concurrency"], 1);
    }

    #[test]
    fn ports_of_a_pods_localhost_are_ports_of_ours_and_no_two_pods_share_any() {
        let ports = Ports::free(Ipv4Addr::new(10, 244, 2, 1)).unwrap();
        let _taken = TcpListener::bind(ports.status()).unwrap();
        let other = Ports::free(Ipv4Addr::new(10, 244, 2, 1)).unwrap();
        assert!(ports.all().iter().all(|p| !other.all().contains(p)));
        assert_eq!(ports.of(15000), Some(ports.admin()));
        assert_eq!(ports.of(8080), None);
    }

    #[test]
    fn labels_are_written_as_the_downward_api_does_and_envoy_starts_through_us() {
        let labels = BTreeMap::from([("app".to_owned(), "a\"b".to_owned()), ("v".to_owned(), "1".to_owned())]);
        assert_eq!(downward(Some(&labels)), "app=\"a\\\"b\"\nv=\"1\"\n");
        let said = script(Path::new("/a b/failctl"), Path::new("/it's/envoy"));
        assert!(said.ends_with("exec '/a b/failctl' child --parent \"$PPID\" -- '/it'\\''s/envoy' \"$@\"\n"), "{said}");
    }
}
