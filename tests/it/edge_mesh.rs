//! The edge above a mesh: every cluster's Gloo calls its Pods as a member of their mesh, and routing reads that back.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use failctl::compile::{self, Side, Site};
use failctl::manifest::{Hold, World};
use failctl::model::name::ClusterName;
use failctl::routing::gloo;
use failctl::spec::{self, Source};
use serde_json::{Value, json};

use super::support::root;

fn source(case: &Path, cluster: Option<&str>) -> Source {
    let name = format!("{}.yaml", cluster.unwrap_or("in"));
    let body = std::fs::read_to_string(case.join(&name)).unwrap();
    Source { name, cluster: cluster.map(str::to_string), body }
}

/// What Gloo's discovery has on a cluster whose productpage has one Pod.
fn discovered(pod: &str) -> [Value; 4] {
    [
        json!({ "apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
            "metadata": { "name": "gateway-proxy", "namespace": "gloo-system" },
            "spec": { "bindAddress": "::", "bindPort": 8080, "httpGateway": {} } }),
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "productpage", "namespace": "default" },
            "spec": { "selector": { "app": "productpage" }, "ports": [{ "name": "http", "port": 9080 }] } }),
        json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": { "name": "productpage-1", "namespace": "default", "labels": { "kubernetes.io/service-name": "productpage" } },
            "ports": [{ "name": "http", "port": 9080 }], "endpoints": [{ "addresses": [pod] }] }),
        json!({ "apiVersion": "gloo.solo.io/v1", "kind": "Upstream",
            "metadata": { "name": "default-productpage-9080", "namespace": "gloo-system" },
            "spec": { "kube": { "serviceName": "productpage", "serviceNamespace": "default", "servicePort": 9080 } } }),
    ]
}

#[test]
fn pods_in_a_mesh_are_called_by_mutual_tls_on_every_cluster_of_the_order() {
    let case = root().join("tests/golden/gloo/mesh-identity-both-ways");
    let sources = [None, Some("kind2"), Some("kind3")].map(|c| source(&case, c));
    let documents = spec::read(sources.to_vec()).unwrap_or_else(|p| panic!("{p:#?}"));
    let compiled = compile::documents(&documents, &Site::offline()).unwrap_or_else(|p| panic!("{p:#?}"));
    let mut world = World::default();
    for (cluster, pod) in [("kind2", "10.2.0.9"), ("kind3", "10.3.0.9")] {
        let cluster = ClusterName::new(cluster).unwrap();
        discovered(pod).into_iter().for_each(|o| drop(world.insert(&cluster, o).unwrap()));
    }
    for manifest in &compiled.manifests {
        let objects = &mut world.clusters.get_mut(&manifest.key.cluster).unwrap().by_key;
        match (&manifest.hold, objects.get_mut(&manifest.key)) {
            (Hold::Fields, Some(there)) => json_patch::merge(there, &manifest.body),
            (Hold::Fields, None) => panic!("{} is not there", manifest.key),
            _ => drop(objects.insert(manifest.key.clone(), manifest.body.clone())),
        }
    }
    let pem = |what: &str| STANDARD.encode(format!("-----BEGIN CERTIFICATE----- {what}"));
    for need in &compiled.secrets {
        let data = json!({ "tls.crt": pem("own"), "tls.key": pem("no key"), "ca.crt": pem("root") });
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": need.name, "namespace": need.namespace }, "data": data });
        world.insert(&need.cluster, secret).unwrap();
    }
    for (cluster, domain) in [("kind2", "kind2"), ("kind3", "kind3")] {
        let proxies = gloo::proxies(&world, &ClusterName::new(cluster).unwrap());
        let upstream = &proxies[0].upstreams["default-productpage-9080_gloo-system"];
        let (_, near) = upstream.endpoints().find(|(level, _)| *level == 0).expect("a Pod");
        let tls = near.tls.as_ref().expect("mutual TLS");
        assert_eq!(tls.server_names, [format!("spiffe://{domain}/ns/default/sa/bookinfo-productpage")]);
        assert_eq!(tls.alpn, ["istio"]);
        assert!(tls.identity.is_some() && tls.server_root.is_some() && near.unusable.is_none());
        assert_eq!(upstream.levels.len(), 2, "the other cluster stands behind");
        assert!(compiled.secrets.iter().any(|n| n.side == Side::Mesh
            && n.cluster.as_str() == cluster
            && (n.namespace.as_str(), n.name.as_str()) == ("gloo-system", "failctl-mesh-identity")));
    }
}
