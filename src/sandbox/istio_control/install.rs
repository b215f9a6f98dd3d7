//! What Istio's install leaves on a cluster, as far as the sandbox needs it: the namespace, the mesh's settings, the control
//! plane's Deployment (scaled to zero: the sandbox's own stands in for it), an ingress and an east-west gateway, the
//! webhook that puts proxies into pods. What comes in: version, names, ports. What goes out: objects.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::inject::{self, image};
use super::webhook::PATH;
use crate::routing::istio::{MESH_CONFIG, MESH_KEY, NETWORK, PROXY_CONTAINER};
use crate::sandbox::node::sidecar::HTTP_PROXY_PORT;
use crate::yaml;

/// The webhook's configuration.
pub const INJECTOR: &str = "istio-sidecar-injector";
/// The ingress gateway's Deployment and Service.
pub const INGRESS: &str = "istio-ingressgateway";
/// The east-west gateway's Deployment and Service.
pub const EAST_WEST: &str = "istio-eastwestgateway";
/// The port of the east-west gateway.
pub const EAST_WEST_PORT: u16 = 15443;

/// Names the networks whose endpoints a proxy wants to see.
const NETWORK_VIEW: &str = "ISTIO_META_REQUESTED_NETWORK_VIEW";

/// What to install.
#[derive(Clone, Debug)]
pub struct Install {
    /// Where.
    pub namespace: String,
    /// Version of Istio.
    pub version: String,
    /// The cluster's name.
    pub cluster: String,
    /// What identities begin with.
    pub trust_domain: String,
    /// Other trust domains that are let in.
    pub aliases: Vec<String>,
    /// The network's name.
    pub network: String,
    /// Where the control plane serves proxies.
    pub xds: SocketAddr,
    /// Where it serves the webhook.
    pub webhook: SocketAddr,
    /// Port of the ingress gateway's Service for HTTP: 80, or another where that cannot be bound.
    pub http: u16,
    /// Port of the ingress gateway's Service for HTTPS.
    pub https: u16,
}

/// All objects, in an order in which they can be created.
pub fn objects(install: &Install) -> Vec<Value> {
    let labels = json!({ NETWORK: install.network });
    let mut all = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": install.namespace, "labels": labels } }),
        settings(install),
        control_plane(install),
    ];
    let ingress = [("status-port", 15021, 15021), ("http2", install.http, 8080), ("https", install.https, 8443)];
    let east_west = [("status-port", 15021, 15021), ("tls", EAST_WEST_PORT, EAST_WEST_PORT)];
    all.extend(gateway(install, INGRESS, "ingressgateway", &ingress, None));
    all.extend(gateway(install, EAST_WEST, "eastwestgateway", &east_west, Some(&install.network)));
    all.push(injector(install));
    all
}

fn settings(install: &Install) -> Value {
    let mesh = json!({
        "accessLogFile": "/dev/stdout",
        "defaultConfig": { "discoveryAddress": install.xds.to_string() },
        // The sandbox has no iptables: sidecars are an HTTP proxy for their application.
        "proxyHttpPort": HTTP_PROXY_PORT,
        "rootNamespace": install.namespace,
        "trustDomain": install.trust_domain,
        "trustDomainAliases": install.aliases,
    });
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": MESH_CONFIG, "namespace": install.namespace },
        "data": { MESH_KEY: yaml::emit(&mesh) }
    })
}

fn control_plane(install: &Install) -> Value {
    let labels = json!({ "app": "istiod", "istio": "pilot", "istio.io/rev": "default" });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "istiod", "namespace": install.namespace, "labels": labels },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "istiod", "istio": "pilot" } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "serviceAccountName": "istiod", "containers": [{
                    "name": "discovery",
                    "image": format!("docker.io/istio/pilot:{}", install.version),
                    "args": ["discovery"],
                    "env": [{ "name": "CLUSTER_ID", "value": install.cluster }]
                }] }
            }
        }
    })
}

/// A gateway's account, Deployment and Service. Its Envoy finds its control plane as a sidecar's does. One that leads into
/// a network says so by a label, and sees nothing but that network: two of them would pass a connection on to each other
/// for ever.
fn gateway(install: &Install, name: &str, kind: &str, ports: &[(&str, u16, u16)], network: Option<&str>) -> [Value; 3] {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let plain = |name: &str, value: &str| json!({ "name": name, "value": value });
    let config = json!({ "discoveryAddress": install.xds.to_string() }).to_string();
    let selector = json!({ "app": name, "istio": kind });
    let mut labels = selector.clone();
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("INSTANCE_IP", "status.podIP"),
        field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        plain("PROXY_CONFIG", &config),
        plain("ISTIO_META_CLUSTER_ID", &install.cluster),
        plain("ISTIO_META_WORKLOAD_NAME", name),
        plain(inject::NETWORK, &install.network),
    ];
    let mut carried = json!({ "app": name, "istio": kind, "sidecar.istio.io/inject": "false",
        "service.istio.io/canonical-name": name, "service.istio.io/canonical-revision": "latest" });
    if let Some(network) = network {
        labels[NETWORK] = json!(network);
        carried[NETWORK] = json!(network);
        env.push(plain(NETWORK_VIEW, network));
    }
    let (metadata, account) =
        (json!({ "name": name, "namespace": install.namespace, "labels": labels }), format!("{name}-service-account"));
    let container = container(install, &env, ports);
    let port = |(name, port, target): &(&str, u16, u16)| json!({ "name": name, "port": port, "protocol": "TCP", "targetPort": target });
    [
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": account, "namespace": install.namespace, "labels": selector } }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": selector },
                "template": {
                    "metadata": { "labels": carried },
                    "spec": { "serviceAccountName": account, "terminationGracePeriodSeconds": 0, "containers": [container] }
                }
            }
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "type": "LoadBalancer", "selector": selector, "ports": ports.iter().map(port).collect::<Vec<_>>() }
        }),
    ]
}

/// A gateway's container.
fn container(install: &Install, env: &[Value], ports: &[(&str, u16, u16)]) -> Value {
    json!({
        "name": PROXY_CONTAINER,
        "image": image(&install.version),
        "args": ["proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--proxyLogLevel=warning",
            "--proxyComponentLogLevel=config:error"],
        "env": env,
        "ports": ports.iter().map(|(_, _, target)| json!({ "containerPort": target, "protocol": "TCP" })).collect::<Vec<_>>(),
        "startupProbe": { "httpGet": { "path": "/healthz/ready", "port": 15021 }, "periodSeconds": 1,
            "timeoutSeconds": 3, "failureThreshold": 600 },
        "readinessProbe": { "httpGet": { "path": "/healthz/ready", "port": 15021 }, "periodSeconds": 2,
            "timeoutSeconds": 3, "failureThreshold": 30 }
    })
}

/// Pods of namespaces labelled for injection. The control plane fills the certificate in when it starts.
fn injector(install: &Install) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": INJECTOR, "labels": { "app": "sidecar-injector", "istio.io/rev": "default" } },
        "webhooks": [{
            "name": "namespace.sidecar-injector.istio.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": format!("https://{}{PATH}", install.webhook) },
            "failurePolicy": "Fail",
            "namespaceSelector": { "matchLabels": { "istio-injection": "enabled" } },
            "objectSelector": { "matchExpressions": [
                { "key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"] }
            ] },
            "reinvocationPolicy": "Never",
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*" }],
            "sideEffects": "None",
            "timeoutSeconds": 10
        }]
    })
}
