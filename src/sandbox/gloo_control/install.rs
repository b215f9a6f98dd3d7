//! What Gloo's install leaves on a cluster, as far as the sandbox needs it: the namespace, the gateway's Deployment,
//! Service and Gateways, and the control plane's Deployment (scaled to zero: the sandbox's own stands in for it).
//! What comes in: edition, version, ports, where the control plane listens. What goes out: objects.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::role;
use crate::envoy::config::bootstrap;
use crate::model::fleet::Edition;
use crate::routing::gloo::DEFAULT_PROXY;

/// What to install.
#[derive(Clone, Debug)]
pub struct Install {
    /// Where.
    pub namespace: String,
    /// Shows in the image of the `gloo` Deployment, which is how edition and version are known.
    pub edition: Edition,
    /// Version of Gloo.
    pub version: String,
    /// Where the control plane serves xDS.
    pub xds: SocketAddr,
    /// Port of the Service for HTTP: 80, or another where that cannot be bound.
    pub http: u16,
    /// Port of the Service for HTTPS.
    pub https: u16,
}

/// All objects, in an order in which they can be created.
pub fn objects(install: &Install) -> Vec<Value> {
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": install.namespace } }),
        control_plane(install),
        gateway_deployment(install),
        gateway_service(install),
        gateway(install, "gateway-proxy", 8080, false),
        gateway(install, "gateway-proxy-ssl", 8443, true),
    ]
}

fn labels(part: &str) -> Value {
    json!({ "app": "gloo", "gloo": part })
}

fn control_plane(install: &Install) -> Value {
    let image = match install.edition {
        Edition::Enterprise => "gloo-ee",
        Edition::OpenSource => "gloo",
    };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "gloo", "namespace": install.namespace, "labels": labels("gloo") },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "gloo": "gloo" } },
            "template": {
                "metadata": { "labels": { "gloo": "gloo" } },
                "spec": { "containers": [
                    { "name": "gloo", "image": format!("quay.io/solo-io/{image}:{}", install.version) }
                ] }
            }
        }
    })
}

/// The gateway's Deployment: Envoy with a bootstrap of its own. The pod's name and address come in as Kubernetes
/// variables. A removed listener lets its connections go after a second, so that a deleted Gateway is gone; a control
/// plane that is away is no line in the log each time it is asked.
pub fn gateway_deployment(install: &Install) -> Value {
    let bootstrap = bootstrap(
        "$(POD_NAME)",
        "$(POD_IP)",
        &role(&install.namespace, DEFAULT_PROXY),
        &install.xds.ip().to_string(),
        install.xds.port(),
    );
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let selector = json!({ "gateway-proxy-id": DEFAULT_PROXY, "gloo": "gateway-proxy" });
    let mut pod_labels = selector.clone();
    pod_labels["gateway-proxy"] = json!("live");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": DEFAULT_PROXY,
            "namespace": install.namespace,
            "labels": { "app": "gloo", "gateway-proxy-id": DEFAULT_PROXY, "gloo": "gateway-proxy" }
        },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": selector },
            "template": {
                "metadata": { "labels": pod_labels },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": DEFAULT_PROXY,
                        "image": "envoyproxy/envoy:v1.40.0",
                        "args": [
                            "--config-yaml", bootstrap.to_string(),
                            "--disable-hot-restart", "--concurrency", "1", "--drain-time-s", "1",
                            "--component-log-level", "config:error"
                        ],
                        "env": [field("POD_NAME", "metadata.name"), field("POD_IP", "status.podIP")],
                        "ports": [
                            { "containerPort": 8080, "name": "http", "protocol": "TCP" },
                            { "containerPort": 8443, "name": "https", "protocol": "TCP" }
                        ]
                    }]
                }
            }
        }
    })
}

fn gateway_service(install: &Install) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": DEFAULT_PROXY,
            "namespace": install.namespace,
            "labels": { "app": "gloo", "gateway-proxy-id": DEFAULT_PROXY, "gloo": "gateway-proxy" }
        },
        "spec": {
            "type": "LoadBalancer",
            "selector": { "gateway-proxy": "live", "gateway-proxy-id": DEFAULT_PROXY },
            "ports": [
                { "name": "http", "port": install.http, "protocol": "TCP", "targetPort": 8080 },
                { "name": "https", "port": install.https, "protocol": "TCP", "targetPort": 8443 }
            ]
        }
    })
}

fn gateway(install: &Install, name: &str, port: u16, ssl: bool) -> Value {
    json!({
        "apiVersion": "gateway.solo.io/v1",
        "kind": "Gateway",
        "metadata": { "name": name, "namespace": install.namespace, "labels": { "app": "gloo" } },
        "spec": {
            "bindAddress": "::",
            "bindPort": port,
            "httpGateway": {},
            "proxyNames": [DEFAULT_PROXY],
            "ssl": ssl,
            "useProxyProto": false
        }
    })
}
