//! What `failctl render` writes for a mesh is accepted by a real API server with Istio's definitions, and by istiod.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use failctl::sandbox::address::Block;
use kube::Client;
use serde_json::{Value, json};

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::istiod::{Config, Istiod, prepare};
use crate::kit::namespace::inside;
use crate::kit::{net, program};
use crate::support::{self, root};

const GATEWAY_API: &str = "gateway.networking.k8s.io/";

/// Objects of the golden pairs: case, object.
fn written() -> Vec<(String, Value)> {
    let dir = root().join("tests/golden/istio");
    let mut cases: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    let read = |case: &Path| {
        let name = case.file_name().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(case.join("out.yaml")).unwrap();
        let documents = failctl::yaml::parse(&text).unwrap();
        // The Gateway API's definitions are neither Kubernetes' nor Istio's: these servers have none.
        let asked = documents.into_iter().filter(|d| !text_of(&d.value, "apiVersion").starts_with(GATEWAY_API));
        asked.map(move |d| (name.clone(), d.value)).collect::<Vec<_>>()
    };
    cases.iter().flat_map(|case| read(case)).collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Asks the server whether it would take an object: a server-side apply that is not carried out.
async fn try_apply(client: &Client, object: &Value) -> Result<Value, kube::Error> {
    let gvk = failctl::manifest::Gvk::new(text(object, "/apiVersion"), text(object, "/kind"));
    let kind = failctl::cluster::KindOf::known(&gvk).unwrap();
    let place = failctl::cluster::url_of(&gvk, &kind, Some(text(object, "/metadata/namespace")), None);
    let name = text(object, "/metadata/name");
    let query = "fieldManager=failctl&fieldValidation=Strict&force=true&dryRun=All";
    let request = http::Request::patch(format!("{place}/{name}?{query}"));
    let request = request.header("content-type", "application/apply-patch+yaml").body(object.to_string().into_bytes());
    client.request(request.unwrap()).await
}

fn refusals(cluster: &Cluster, objects: &[(String, Value)]) -> Vec<String> {
    net::runtime().block_on(async {
        let client = cluster.client().await.unwrap();
        let mut refused = Vec::new();
        for (case, object) in objects {
            if let Err(error) = try_apply(&client, object).await {
                refused.push(format!("{case}: {} {}: {error}", text(object, "/kind"), text(object, "/metadata/name")));
            }
        }
        refused
    })
}

#[test]
fn what_is_written_for_a_mesh_is_accepted_by_kubernetes_and_by_istiod() {
    for name in ["kube-apiserver", "pilot-discovery", "istio"] {
        program(name).unwrap();
    }
    support::kubectl();
    inside(|dir| {
        let at = Block { second: 77 }.cluster(0).unwrap();
        let cluster = Plan::new("kind2", at, dir).start().unwrap_or_else(|e| panic!("{e:#}"));
        prepare(&cluster).unwrap_or_else(|e| panic!("{e:#}"));
        let istiod =
            Istiod::start(&cluster, 0, &Config::Text("trustDomain: kind2\n"), None).unwrap_or_else(|e| panic!("{e:#}"));
        istiod.validate(&cluster).unwrap_or_else(|e| panic!("{e:#}\n{}", istiod.tail()));
        let objects = written();
        assert!(objects.len() > 200, "{}", objects.len());
        let namespaces: BTreeSet<&str> = objects.iter().map(|(_, o)| text(o, "/metadata/namespace")).collect();
        for name in namespaces.iter().filter(|n| !["", "default", "istio-system"].contains(n)) {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            cluster.kubectl_apply(&format!("{name}.json"), &namespace.to_string()).unwrap();
        }

        // What nobody could mean is refused by each of the two: otherwise acceptance would say nothing.
        let entry = |spec: Value| {
            let metadata = json!({"name": "odd", "namespace": "default"});
            let apiversion = "networking.istio.io/v1";
            vec![(
                String::new(),
                json!({"apiVersion": apiversion, "kind": "ServiceEntry", "metadata": metadata, "spec": spec}),
            )]
        };
        let unknown = refusals(&cluster, &entry(json!({"hosts": ["a.b"], "hoosts": []})));
        assert!(unknown.len() == 1 && unknown[0].contains("field not declared in schema"), "{unknown:?}");
        let odd = json!({"hosts": ["a.b"], "resolution": "STATIC", "ports": [{"number": 80, "name": "a", "protocol": "QUIC?"}]});
        let odd = refusals(&cluster, &entry(odd));
        assert!(odd.len() == 1 && odd[0].contains("validation.istio.io"), "{odd:?}");

        let refused = refusals(&cluster, &objects);
        assert!(refused.is_empty(), "{} of {} refused:\n{}", refused.len(), objects.len(), refused.join("\n"));
    });
}

#[test]
fn istioctl_finds_nothing_to_say_about_what_is_written() {
    let istioctl = program("istioctl").unwrap();
    let dir = root().join("tests/golden/istio");
    for case in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        let text = std::fs::read_to_string(case.join("out.yaml")).unwrap();
        let documents = failctl::yaml::parse(&text).unwrap().into_iter().map(|d| d.value);
        let mut clusters = std::collections::BTreeMap::<String, Vec<String>>::new();
        for document in documents {
            let cluster = document.pointer("/metadata/annotations/failctl.dev~1cluster").and_then(Value::as_str);
            let cluster = cluster.unwrap_or_default().to_string();
            clusters.entry(cluster).or_default().push(document.to_string());
        }
        for (cluster, documents) in clusters {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("out.yaml");
            std::fs::write(&file, documents.join("\n---\n")).unwrap();
            let mut command = Command::new(&istioctl);
            command.args([
                "analyze",
                "--use-kube=false",
                "--all-namespaces",
                "--output=json",
                "--failure-threshold=Info",
            ]);
            let out = command.arg(&file).env("HOME", dir.path()).output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            let found: Value = serde_json::from_str(&said).unwrap_or(Value::Null);
            let found: Vec<&Value> =
                found.as_array().into_iter().flatten().filter(|m| !expected(text_of(m, "code"))).collect();
            assert!(
                found.is_empty(),
                "{} {cluster}: {found:#?}\n{}",
                case.display(),
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}

fn text_of<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_default()
}

/// What it says of every EnvoyFilter that replaces a cluster. An aggregate cluster can be written in no other way, and the
/// patches stand in one filter, where their order is the order of application (docs/testing.md).
fn expected(code: &str) -> bool {
    ["IST0133", "IST0151"].contains(&code)
}
