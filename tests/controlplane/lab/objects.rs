//! What runs on a cluster of the lab, as Istio's installation and injection would leave it.

use serde_json::{Value, json};

/// A cluster of the lab.
pub struct Site<'a> {
    /// Its name, its network's and its region's.
    pub name: &'a str,
    /// Where its istiod is, as proxies ask for it.
    pub discovery: &'a str,
    /// The port of its gateway's Pod: gateways listen on every address, and the clusters share one network.
    pub gateway_port: u16,
    /// The loopback address at which its caller's programs find their sidecar.
    pub loopback: &'a str,
}

/// The namespace of the services.
pub const NAMESPACE: &str = "default";
/// The port of the services.
pub const PORT: u16 = 8000;
/// The port of a server's sidecar; the server itself listens on the next.
const SIDECAR_PORT: u16 = 9080;

impl Site<'_> {
    fn network(&self) -> String {
        format!("{}-net", self.name)
    }

    /// Istio's mesh configuration.
    pub fn mesh(&self) -> String {
        String::from(
            "trustDomain: cluster.local\naccessLogFile: /dev/stdout\ndefaultConfig: {holdApplicationUntilProxyStarts: true}\n",
        )
    }

    /// The gateway for other clusters.
    pub fn gateway(&self) -> Vec<Value> {
        let name = "istio-eastwestgateway";
        let labels = json!({"app": name, "istio": "eastwestgateway", "topology.istio.io/network": self.network()});
        vec![
            account("istio-system", "istio-eastwestgateway-service-account"),
            deployment(
                ("istio-system", name),
                &json!({"app": name}),
                &labels,
                json!({"serviceAccountName": "istio-eastwestgateway-service-account", "shareProcessNamespace": true,
                    "terminationGracePeriodSeconds": 2,
                    "containers": [self.proxy("router", name)]}),
            ),
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "istio-system", "labels": labels},
                "spec": {"type": "LoadBalancer", "selector": {"app": name},
                    "ports": [{"name": "tls", "port": 15443, "targetPort": self.gateway_port}]}}),
        ]
    }

    /// Servers that answer with the cluster's name, and the Services in front of them.
    pub fn servers(&self, services: &[&str]) -> Vec<Value> {
        let app = "hello";
        let mut all = vec![
            account(NAMESPACE, app),
            deployment(
                (NAMESPACE, app),
                &json!({"app": app}),
                &self.injected(app),
                json!({"serviceAccountName": app, "shareProcessNamespace": true, "terminationGracePeriodSeconds": 2,
                    "containers": [
                        {"name": app, "image": "hashicorp/http-echo",
                            "args": [format!("-text={}", self.name), format!("-listen=:{}", SIDECAR_PORT + 1)],
                            "readinessProbe": {"httpGet": {"path": "/health", "port": SIDECAR_PORT + 1},
                                "periodSeconds": 5, "failureThreshold": 3}},
                        self.proxy("sidecar", app)]}),
            ),
            // Nothing redirects: the sidecar stands at the port that the Services name.
            json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                "metadata": {"name": app, "namespace": NAMESPACE},
                "spec": {"workloadSelector": {"labels": {"app": app}},
                    "ingress": [{"port": {"number": SIDECAR_PORT, "protocol": "HTTP", "name": "http"},
                        "defaultEndpoint": format!("0.0.0.0:{}", SIDECAR_PORT + 1)}],
                    "egress": [{"hosts": ["~/*"]}]}}),
        ];
        all.extend(services.iter().map(|name| {
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app}},
                "spec": {"selector": {"app": app},
                    "ports": [{"name": "http", "port": PORT, "targetPort": SIDECAR_PORT}]}})
        }));
        all
    }

    /// A program that calls the services through its sidecar.
    pub fn caller(&self) -> Vec<Value> {
        let app = "caller";
        vec![
            account(NAMESPACE, app),
            deployment(
                (NAMESPACE, app),
                &json!({"app": app}),
                &self.injected(app),
                json!({"serviceAccountName": app, "terminationGracePeriodSeconds": 2,
                    "containers": [
                        {"name": app, "image": "curlimages/curl", "command": ["sleep", "infinity"]},
                        self.proxy("sidecar", app)]}),
            ),
            // Its programs call the services at the proxy's own port.
            json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                "metadata": {"name": app, "namespace": NAMESPACE},
                "spec": {"workloadSelector": {"labels": {"app": app}},
                    "egress": [{"port": {"number": PORT, "protocol": "HTTP", "name": "http"}, "bind": self.loopback,
                        "hosts": ["*/*"]}]}}),
        ]
    }

    fn injected(&self, app: &str) -> Value {
        json!({"app": app, "security.istio.io/tlsMode": "istio", "topology.istio.io/network": self.network(),
            "service.istio.io/canonical-name": app, "service.istio.io/canonical-revision": "latest"})
    }

    fn proxy(&self, role: &str, workload: &str) -> Value {
        let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let plain = |name: &str, value: &str| json!({"name": name, "value": value});
        let config = json!({"discoveryAddress": self.discovery}).to_string();
        let network = self.network();
        // A gateway sees its own network's endpoints alone: two of them never pass a call on to each other.
        let view = (role == "router").then(|| plain("ISTIO_META_REQUESTED_NETWORK_VIEW", &network));
        let mut proxy = json!({
            "name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.31.0",
            "args": ["proxy", role, "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--proxyLogLevel=warning",
                "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info"],
            "env": [
                plain("PILOT_CERT_PROVIDER", "istiod"), plain("CA_ADDR", self.discovery),
                plain("ISTIOD_SAN", "istiod.istio-system.svc"), plain("JWT_POLICY", "third-party-jwt"),
                plain("TRUST_DOMAIN", "cluster.local"),
                field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
                field("INSTANCE_IP", "status.podIP"), field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
                field("HOST_IP", "status.hostIP"), field("ISTIO_META_NODE_NAME", "spec.nodeName"),
                plain("PROXY_CONFIG", &config), plain("ISTIO_META_CLUSTER_ID", self.name),
                plain("ISTIO_META_NETWORK", &network), plain("ISTIO_META_WORKLOAD_NAME", workload),
                plain("ISTIO_META_MESH_ID", "cluster.local"),
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 5,
                "timeoutSeconds": 3, "failureThreshold": 4},
            "startupProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1,
                "timeoutSeconds": 3, "failureThreshold": 600},
        });
        proxy["env"].as_array_mut().unwrap().extend(view);
        proxy
    }
}

fn account(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
}

fn deployment((namespace, name): (&str, &str), selector: &Value, labels: &Value, spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": spec}}})
}
