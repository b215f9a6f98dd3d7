//! What there is on a cluster, as Service Mesh Hub's discovery says it: Mesh, Workloads, TrafficTargets. Pure.
//! What comes in: what was seen of a registered cluster. What goes out: the objects that should stand for it.
//!
//! Names and shapes are those of its v1alpha2 API: a Mesh is `DEPLOYMENT-NAMESPACE-CLUSTER` of a control plane (a
//! Deployment `istiod` whose image is Istio's pilot), a TrafficTarget `SERVICE-NAMESPACE-CLUSTER`, a Workload
//! `CONTROLLER-NAMESPACE-CLUSTER-deployment`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{DISCOVERED, NAMESPACE};
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{list, name, namespace, number, text};
use crate::sandbox::controllers::observed::Observed;
use crate::yaml;

/// What is read of a registered cluster.
pub const READS: &[Kind] = &[
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::Pod,
    Kind::Service,
    Kind::ConfigMap,
    Kind::Secret,
    Kind::Namespace,
    Kind::Node,
];

/// A label that makes a Service discovered even without a workload.
const WANTED: &str = "discovery.smh.solo.io/enabled";
/// The port of a Service through which other clusters reach a mesh.
const GATEWAY_PORT: &str = "tls";

/// The objects that stand for a cluster. `known` are the names of its Workloads that were discovered before.
pub fn discover(cluster: &str, seen: &Observed, known: &BTreeSet<String>) -> Vec<Value> {
    let Some(mesh) = mesh(cluster, seen) else { return Vec::new() };
    let mesh_ref = json!({"name": name(&mesh), "namespace": NAMESPACE});
    let mut found = Vec::new();
    let mut pod_labels: Vec<(String, Map<String, Value>)> = Vec::new();
    for deployment in seen.all(Kind::Deployment) {
        let named = format!("{}-{}-{cluster}-deployment", name(deployment), namespace(deployment));
        if !known.contains(&named) && !has_sidecar(seen, deployment) {
            continue;
        }
        let template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
        let labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        let account = match text(&template, "/spec/serviceAccountName") {
            "" => "default",
            account => account,
        };
        let spec = json!({
            "kubernetes": {
                "controller": reference(deployment, cluster), "podLabels": labels, "serviceAccountName": account,
            },
            "mesh": mesh_ref,
        });
        found.push(object("Workload", &named, cluster, spec));
        pod_labels.push((namespace(deployment).to_owned(), labels));
    }
    for service in seen.all(Kind::Service) {
        found.extend(target(cluster, service, &pod_labels, &mesh_ref));
    }
    found.insert(0, mesh);
    found
}

fn object(kind: &str, name: &str, cluster: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "discovery.smh.solo.io/v1alpha2", "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {DISCOVERED: cluster}},
        "spec": spec,
    })
}

fn reference(object: &Value, cluster: &str) -> Value {
    json!({"name": name(object), "namespace": namespace(object), "clusterName": cluster})
}

/// The control plane's Deployment as a Mesh.
fn mesh(cluster: &str, seen: &Observed) -> Option<Value> {
    let (control, version) = seen.all(Kind::Deployment).find_map(|d| {
        let images = list(d, "/spec/template/spec/containers").iter().map(|c| text(c, "/image"));
        let mut pilots = images.filter(|i| i.contains("istio") && i.contains("pilot"));
        let image = pilots.next().filter(|_| matches!(name(d), "istiod" | "istio-pilot"))?;
        Some((d, image.rsplit_once(':').map_or("", |(_, tag)| tag)))
    })?;
    let space = namespace(control);
    let gateways: Vec<Value> = seen.all(Kind::Service).filter(|s| namespace(s) == space).filter_map(gateway).collect();
    let spec = json!({
        "istio": {
            "installation": {
                "namespace": space, "cluster": cluster, "version": version,
                "podLabels": control.pointer("/spec/selector/matchLabels"),
            },
            "citadelInfo": {"trustDomain": trust_domain(seen, space), "citadelServiceAccount": "istiod-service-account"},
            "ingressGateways": gateways,
        },
        "agentInfo": {"agentNamespace": NAMESPACE},
    });
    Some(object("Mesh", &format!("{}-{space}-{cluster}", name(control)), cluster, spec))
}

/// `trustDomain` of the mesh configuration; Istio's default without one.
fn trust_domain(seen: &Observed, space: &str) -> String {
    let config = seen.get(Kind::ConfigMap, space, "istio").map(|c| text(c, "/data/mesh")).unwrap_or_default();
    let documents = yaml::parse(config).unwrap_or_default();
    let said = documents.first().and_then(|d| d.value["trustDomain"].as_str());
    said.unwrap_or(crate::model::mesh::TRUST_DOMAIN).to_owned()
}

/// A Service with a port named `tls` and an address for other clusters.
fn gateway(service: &Value) -> Option<Value> {
    let port = list(service, "/spec/ports").iter().find(|p| text(p, "/name") == GATEWAY_PORT)?;
    let ingress = list(service, "/status/loadBalancer/ingress").first()?;
    let address = [text(ingress, "/hostname"), text(ingress, "/ip")].into_iter().find(|a| !a.is_empty())?;
    Some(json!({
        "workloadLabels": service.pointer("/spec/selector"), "externalAddress": address,
        "externalTlsPort": number(port, "/port")?, "tlsContainerPort": number(port, "/targetPort")?,
    }))
}

/// Whether a living Pod of a Deployment has a sidecar.
fn has_sidecar(seen: &Observed, deployment: &Value) -> bool {
    let own = |object: &Value, kind: &str, of: &Value| {
        namespace(object) == namespace(of)
            && list(object, "/metadata/ownerReferences")
                .iter()
                .any(|o| text(o, "/kind") == kind && text(o, "/uid") == text(of, "/metadata/uid"))
    };
    let sets = seen.all(Kind::ReplicaSet).filter(|r| own(r, "Deployment", deployment));
    let mut pods = sets.flat_map(|set| seen.all(Kind::Pod).filter(move |p| own(p, "ReplicaSet", set)));
    pods.any(|p| {
        let containers = list(p, "/spec/containers");
        containers.len() > 1 && containers.iter().any(|c| text(c, "/name") == "istio-proxy")
    })
}

/// A Service that selects workloads of the mesh, or says that it wants to be found.
fn target(cluster: &str, service: &Value, pods: &[(String, Map<String, Value>)], mesh: &Value) -> Option<Value> {
    let empty = Map::new();
    let selector = service.pointer("/spec/selector").and_then(Value::as_object).unwrap_or(&empty);
    let selected: Vec<_> = pods
        .iter()
        .filter(|(space, labels)| {
            space == namespace(service)
                && !selector.is_empty()
                && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
        .map(|(_, labels)| labels)
        .collect();
    let wanted = service["metadata"]["annotations"][WANTED] == "true";
    if selected.is_empty() && !wanted {
        return None;
    }
    let mut values: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in selected.iter().flat_map(|labels| labels.iter()) {
        values.entry(key).or_default().insert(value.as_str().unwrap_or_default());
    }
    // Only what tells Pods of one Service apart makes a subset.
    let subsets: BTreeMap<_, _> =
        values.into_iter().filter(|(_, v)| v.len() > 1).map(|(key, v)| (key, json!({"values": v}))).collect();
    let ports: Vec<Value> = list(service, "/spec/ports")
        .iter()
        .map(|p| json!({"port": p["port"], "name": p["name"], "protocol": p["protocol"]}))
        .collect();
    let spec = json!({
        "kubeService": {
            "ref": reference(service, cluster), "workloadSelectorLabels": selector,
            "labels": service["metadata"]["labels"], "ports": ports, "subsets": subsets,
        },
        "mesh": mesh,
    });
    Some(object("TrafficTarget", &format!("{}-{}-{cluster}", name(service), namespace(service)), cluster, spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str, space: &str, image: &str, labels: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space, "uid": name},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"serviceAccountName": "bookinfo-reviews", "containers": [{"name": "c", "image": image}]}}}})
    }

    fn pod(of: &str, containers: &[&str]) -> [Value; 2] {
        let owner = |kind: &str, uid: &str| json!([{"kind": kind, "uid": uid}]);
        let containers: Vec<Value> = containers.iter().map(|c| json!({"name": c})).collect();
        [
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": format!("{of}-rs"),
                "namespace": "default", "uid": format!("{of}-rs"), "ownerReferences": owner("Deployment", of)}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{of}-p"), "namespace": "default",
                "ownerReferences": owner("ReplicaSet", &format!("{of}-rs"))}, "spec": {"containers": containers}}),
        ]
    }

    fn cluster(sidecar: bool) -> Observed {
        let mesh = json!({"mesh": "trustDomain: kind2\n"});
        let mut objects = vec![
            deployment("istiod", "istio-system", "docker.io/istio/pilot:1.27.0", json!({"istio": "pilot"})),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": mesh}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system"},
                "spec": {"selector": {"istio": "eastwestgateway"}, "ports": [{"name": "tls", "port": 15443, "targetPort": 15443}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "127.42.17.2"}]}}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews", "namespace": "default", "labels": {"app": "reviews"}},
                "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "protocol": "TCP"}]}}),
        ];
        let containers = if sidecar { &["reviews", "istio-proxy"][..] } else { &["reviews"] };
        for version in ["v1", "v2"] {
            let of = format!("reviews-{version}");
            objects.push(deployment(&of, "default", "x", json!({"app": "reviews", "version": version})));
            objects.extend(pod(&of, containers));
        }
        Observed::of(objects)
    }

    fn names(found: &[Value]) -> Vec<&str> {
        found.iter().map(name).collect()
    }

    #[test]
    fn a_mesh_its_workloads_and_its_services_have_the_names_of_the_article() {
        let found = discover("kind2", &cluster(true), &BTreeSet::new());
        assert_eq!(
            names(&found),
            [
                "istiod-istio-system-kind2",
                "reviews-v1-default-kind2-deployment",
                "reviews-v2-default-kind2-deployment",
                "reviews-default-kind2"
            ]
        );
        let istio = &found[0]["spec"]["istio"];
        assert_eq!(istio["installation"]["version"], "1.27.0");
        assert_eq!(istio["citadelInfo"]["trustDomain"], "kind2");
        let gateway = &istio["ingressGateways"][0];
        assert_eq!((&gateway["externalAddress"], &gateway["externalTlsPort"]), (&json!("127.42.17.2"), &json!(15443)));
        let service = &found[3]["spec"]["kubeService"];
        assert_eq!(service["ref"], json!({"name": "reviews", "namespace": "default", "clusterName": "kind2"}));
        assert_eq!(service["subsets"], json!({"version": {"values": ["v1", "v2"]}}));
    }

    #[test]
    fn what_has_no_sidecar_is_in_no_mesh_unless_it_was_before() {
        let seen = cluster(false);
        assert_eq!(names(&discover("kind2", &seen, &BTreeSet::new())), ["istiod-istio-system-kind2"]);
        let known = BTreeSet::from(["reviews-v1-default-kind2-deployment".to_owned()]);
        assert!(names(&discover("kind2", &seen, &known)).contains(&"reviews-default-kind2"));
    }

    #[test]
    fn a_cluster_without_a_control_plane_has_nothing_to_discover() {
        assert!(discover("kind1", &Observed::of([]), &BTreeSet::new()).is_empty());
    }
}
