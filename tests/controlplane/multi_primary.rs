//! Multi-primary: `failctl cluster register` gives each istiod the other cluster's API server, and a renewed credential keeps
//! them together.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use failctl::sandbox::address::Block;
use serde_json::{Value, json};

use crate::kit::cluster::{Cluster, Plan, start_all};
use crate::kit::istiod::{Config, Istiod, prepare};
use crate::kit::namespace::inside;
use crate::kit::program;

const NAMES: [&str; 2] = ["east", "west"];
/// How long an istiod may take to hear of what changed on the other cluster.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, istiods: &[Istiod], test: impl Fn() -> bool) {
    let begun = Instant::now();
    while !test() {
        let logs = istiods.iter().map(|i| i.tail()).collect::<Vec<_>>().join("\n---\n");
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}\n{logs}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The clusters an istiod reads, with how far it has come.
fn clusters_of(istiod: &Istiod) -> Vec<(String, String)> {
    let all = istiod.debug("clusterz");
    let text = |c: &Value, field: &str| c[field].as_str().unwrap_or_default().to_string();
    all.as_array().into_iter().flatten().map(|c| (text(c, "id"), text(c, "syncStatus"))).collect()
}

fn together(istiods: &[Istiod]) -> bool {
    let synced = |istiod: &Istiod| {
        let all = clusters_of(istiod);
        NAMES.iter().all(|name| all.iter().any(|(id, status)| id == name && status == "synced"))
    };
    istiods.iter().all(synced)
}

fn failctl(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new(crate::support::failctl());
    let out =
        command.args(args).current_dir(dir).env("KUBECONFIG", dir.join("config")).env("HOME", dir).output().unwrap();
    let text = [out.stdout, out.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).concat();
    assert!(out.status.success(), "failctl {}: {text}", args.join(" "));
    text
}

/// A Service with one pod behind it.
fn serve(cluster: &Cluster, name: &str, address: &str) {
    let metadata = json!({"name": name, "namespace": "default"});
    let labelled = json!({"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}});
    let objects = [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": labelled,
            "ports": [{"name": "http", "port": 80}], "endpoints": [{"addresses": [address]}]}),
    ];
    let text = objects.map(|o| o.to_string()).join("\n---\n");
    cluster.kubectl_apply(&format!("{name}.yaml"), &text).unwrap();
}

/// Whether an istiod sends its proxies to an address.
fn knows(istiod: &Istiod, address: &str) -> bool {
    istiod.debug("endpointShardz").to_string().contains(&format!("\"{address}\""))
}

fn token(cluster: &Cluster, other: &str) -> String {
    let secret = format!("istio-remote-secret-{other}");
    let text = cluster.kubectl(&["get", "secret", "-n", "istio-system", &secret, "-o", "json"]).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["data"].to_string()
}

#[test]
fn registered_clusters_are_read_by_each_others_istiod_and_a_renewed_credential_keeps_them_together() {
    for name in ["kube-apiserver", "pilot-discovery", "istio"] {
        program(name).unwrap();
    }
    crate::support::kubectl();
    inside(|dir| {
        let block = Block { second: 77 };
        let plans = NAMES.iter().enumerate().map(|(i, name)| Plan::new(name, block.cluster(i).unwrap(), dir));
        let clusters = start_all(plans.collect()).unwrap_or_else(|e| panic!("{e:#}"));
        let start = |(i, cluster): (usize, &Cluster)| {
            prepare(cluster).unwrap_or_else(|e| panic!("{e:#}"));
            Istiod::start(cluster, i as u16, &Config::Text("{}"), None).unwrap_or_else(|e| panic!("{e:#}"))
        };
        let istiods: Vec<Istiod> = clusters.iter().enumerate().map(start).collect();
        let mut kubeconfig = clusters[0].kubeconfig(NAMES[0]);
        kubeconfig = kubeconfig.merge(clusters[1].kubeconfig(NAMES[1])).unwrap();
        std::fs::write(dir.join("config"), serde_json::to_string(&kubeconfig).unwrap()).unwrap();
        let members = NAMES.map(|name| json!({"name": name, "context": name, "istio": {"version": "1.31.0"}}));
        let fleet = json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "two"}, "spec": {"clusters": members}});
        std::fs::write(dir.join("failctl.yaml"), fleet.to_string()).unwrap();
        assert!(!together(&istiods), "nobody has registered anybody yet");

        for name in NAMES {
            failctl(dir, &["cluster", "register", name, "--yes"]);
        }
        until("both istiods read both clusters", &istiods, || together(&istiods));
        serve(&clusters[1], "first", "10.244.1.1");
        until("east's istiod sends to a pod of west", &istiods, || knows(&istiods[0], "10.244.1.1"));

        let before = [token(&clusters[0], "west"), token(&clusters[1], "east")];
        failctl(dir, &["cluster", "renew", "east", "west", "--yes"]);
        assert_ne!([token(&clusters[0], "west"), token(&clusters[1], "east")], before);
        // What is written now can only be seen with the new credentials, or by watches of the old ones: both count.
        serve(&clusters[1], "second", "10.244.1.2");
        serve(&clusters[0], "third", "10.244.1.3");
        until("they still hear of each other", &istiods, || {
            together(&istiods) && knows(&istiods[0], "10.244.1.2") && knows(&istiods[1], "10.244.1.3")
        });
        let list = failctl(dir, &["cluster", "list"]);
        assert!(NAMES.iter().all(|name| list.contains(name)), "{list}");
    });
}
