//! istiod on a cluster: Istio's definitions, its discovery, its CA and its validation of what users write.

use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::process::{Process, Program};
use super::{net, program};

/// The name that istiod's certificate carries, and that the hosts file of a test's namespace knows.
pub const NAME: &str = "istiod.istio-system.svc";

/// A running istiod.
pub struct Istiod {
    process: Process,
    /// Its first port; the others follow: HTTP, gRPC, gRPC with TLS, HTTPS (webhooks), monitoring.
    base: u16,
}

/// Where an istiod takes the mesh configuration from.
pub enum Config<'a> {
    /// This text (YAML).
    Text(&'a str),
    /// ConfigMap `istio` of its cluster, which it watches.
    OfCluster,
}

impl Istiod {
    /// Starts it for a cluster that is [prepared](prepare), with a mesh configuration and perhaps the folder of `cacerts`;
    /// without one it signs with a root of its own. `number` keeps several of one namespace apart.
    pub fn start(cluster: &Cluster, number: u16, mesh: &Config, cacerts: Option<&Path>) -> anyhow::Result<Istiod> {
        Istiod::start_with(cluster, number, mesh, cacerts, &[])
    }

    /// The same, with features switched on or off in its environment.
    pub fn start_with(
        cluster: &Cluster,
        number: u16,
        mesh: &Config,
        cacerts: Option<&Path>,
        switches: &[(&str, &str)],
    ) -> anyhow::Result<Istiod> {
        let dir = &cluster.plan.dir;
        // It looks for the ConfigMap where there is no file.
        let config = dir.join("mesh.yaml");
        if let Config::Text(text) = mesh {
            std::fs::write(&config, text)?;
        }
        let base = 20000 + 100 * number;
        let at = |n: u16| format!("127.0.0.1:{}", base + n);
        let args = [
            "discovery".into(),
            format!("--kubeconfig={}", cluster.kubeconfig_path().display()),
            format!("--clusterID={}", cluster.plan.name),
            format!("--meshConfig={}", config.display()),
            format!("--httpAddr={}", at(0)),
            format!("--grpcAddr={}", at(1)),
            format!("--secureGRPCAddr={}", at(2)),
            format!("--httpsAddr={}", at(3)),
            format!("--monitoringAddr={}", at(4)),
            "--ctrlz_port=0".into(),
            "--namespace=istio-system".into(),
            "--domain=cluster.local".into(),
        ];
        let mut istiod = Program::new("istiod", program("pilot-discovery")?, dir, &args);
        let env = [
            ("POD_NAMESPACE", "istio-system"),
            ("POD_NAME", "istiod-1"),
            ("ENABLE_LEADER_ELECTION", "false"),
            ("INJECT_ENABLED", "false"),
            ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
            // Its own registration needs a Service to call; ours gives an address instead.
            ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
            // A plain Envoy does not know the filters that these would configure.
            ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
            ("PILOT_ENABLE_ALPN_FILTER", "false"),
            ("ENABLE_DEBUG_ENDPOINT_AUTH", "false"),
        ];
        let env = env.iter().chain(switches);
        istiod.env.extend(env.map(|(name, value)| (name.to_string(), value.to_string())));
        let folder = cacerts.map(|dir| ("ROOT_CA_DIR".to_string(), dir.display().to_string()));
        istiod.env.extend(folder);
        let mut process = istiod.start()?;
        let ready = format!("http://{}/ready", at(0));
        process.wait_until("ready", || net::get(&ready).is_some_and(|(status, _)| status == 200))?;
        Ok(Istiod { process, base })
    }

    /// Has the API server ask it about everything of Istio's that is written.
    pub fn validate(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let client = net::apart(|| net::runtime().block_on(cluster.client()))?;
        let root = net::apart(|| {
            net::runtime().block_on(async {
                let secrets: kube::Api<Secret> = kube::Api::namespaced(client.clone(), "istio-system");
                let secret = secrets.get("istio-ca-secret").await.context("the root that istiod made for itself")?;
                let data = secret.data.unwrap_or_default();
                anyhow::Ok(data.get("ca-cert.pem").context("istio-ca-secret has no ca-cert.pem")?.0.clone())
            })
        })?;
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "istio-validator"},
            "webhooks": [{
                "name": "validation.istio.io", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail", "timeoutSeconds": 10,
                "clientConfig": {"url": format!("https://{NAME}:{}/validate", self.base + 3), "caBundle": BASE64_STANDARD.encode(root)},
                "rules": [{"operations": ["CREATE", "UPDATE"], "resources": ["*"], "apiVersions": ["*"],
                    "apiGroups": ["networking.istio.io", "security.istio.io", "telemetry.istio.io"]}],
            }],
        });
        cluster.kubectl_apply("webhook.json", &webhook.to_string())
    }

    /// Where it takes the questions of proxies, without TLS.
    pub fn grpc(&self) -> String {
        format!("127.0.0.1:{}", self.base + 1)
    }

    /// What it says of itself at one of its debug pages; nothing when it does not answer.
    pub fn debug(&self, page: &str) -> Value {
        let answer = net::get(&format!("http://127.0.0.1:{}/debug/{page}", self.base));
        answer.and_then(|(_, body)| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        self.process.tail()
    }
}

/// Istio's definitions and namespace.
pub fn prepare(cluster: &Cluster) -> anyhow::Result<()> {
    let definitions = program("istio")?.join("manifests/charts/base/files/crd-all.gen.yaml");
    let text = std::fs::read_to_string(&definitions).with_context(|| format!("reading {}", definitions.display()))?;
    cluster.kubectl_apply("crds.yaml", &text)?;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system",
        "labels": {"topology.istio.io/network": format!("{}-net", cluster.plan.name)}}});
    cluster.kubectl_apply("istio-system.json", &namespace.to_string())
}
