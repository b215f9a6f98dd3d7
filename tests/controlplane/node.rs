//! The sandbox's node under a real API server, with real controllers and scheduler: a whole cluster without containers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failctl::sandbox::address::Block;

use crate::kit::cluster::{CONTROLLERS, Cluster, Plan};
use crate::kit::namespace::inside;
use crate::kit::process::{Process, Program};
use crate::kit::{self, net};
use crate::support;

/// The node's address and its pods': local inside, and no loopback addresses, which EndpointSlices refuse.
const NODE: &str = "10.244.255.1";
const PODS: &str = "10.244.2.0/24";

/// A cluster with a node.
struct Lab {
    cluster: Cluster,
    _scheduler: Process,
    node: Process,
}

impl Lab {
    fn start(dir: &Path, envoy: &Path) -> anyhow::Result<Lab> {
        let at = Block { second: 77 }.cluster(0).expect("a block has a first cluster");
        let cluster = Plan::new("real", at, dir).with_controllers(&CONTROLLERS);
        let cluster = cluster.start()?;
        let kubeconfig = cluster.kubeconfig_path().display().to_string();
        let scheduler = cluster.start_scheduler()?;
        let args =
            ["sandbox", "node", "--kubeconfig", &kubeconfig, "--node-name", "n1", "--address", NODE, "--pods", PODS];
        let mut node = Program::new("node", support::failctl(), &cluster.plan.dir, &args.map(String::from));
        node.env.push(("FAILCTL_ENVOY".into(), envoy.display().to_string()));
        let mut lab = Lab { cluster, _scheduler: scheduler, node: node.start()? };
        let ready = ["get", "node", "n1", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}"];
        let kubectl = |args: &[&str]| kubectl(&lab.cluster, args);
        let is_ready = || String::from_utf8_lossy(&kubectl(&ready).output().unwrap().stdout) == "True";
        lab.node.wait_until("registered", is_ready)?;
        Ok(lab)
    }

    /// What kubectl prints; it must succeed.
    fn says(&self, args: &[&str]) -> String {
        let out = kubectl(&self.cluster, args).output().unwrap();
        let (said, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let node = || self.node.tail();
        assert!(out.status.success(), "kubectl {}\n{said}{error}\nnode:\n{}", args.join(" "), node());
        said.into_owned()
    }

    /// Waits until kubectl prints what is wanted.
    fn until(&self, args: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let said = self.says(args);
            if wanted(&said) {
                return said;
            }
            assert!(begun.elapsed() < Duration::from_secs(90), "kubectl {} says {said:?}", args.join(" "));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = Command::new(support::kubectl());
    command.args(args).env("KUBECONFIG", cluster.kubeconfig_path()).env("HOME", &cluster.plan.dir).stdin(Stdio::null());
    command
}

/// The guide's Deployment and Service.
fn guide(dir: &Path) -> String {
    let text = std::fs::read_to_string(support::root().join("tests/golden/gloo/guide/local.yaml")).unwrap();
    let wanted =
        text.split("\n---\n").filter(|d| d.contains("name: service-blue\n") || d.contains("name: echo-blue\n"));
    let path = dir.join("guide.yaml");
    std::fs::write(&path, wanted.collect::<Vec<_>>().join("\n---\n")).unwrap();
    path.display().to_string()
}

fn asks(url: &str, body: &str) -> bool {
    net::get(url).is_some_and(|(status, text)| status == 200 && String::from_utf8_lossy(&text).contains(body))
}

fn wait_for(what: &str, test: impl Fn() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < Duration::from_secs(90), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_guides_deployment_runs_under_a_real_control_plane() {
    let envoy = kit::provisions(&[]);
    inside(|dir| {
        let lab = Lab::start(dir, &envoy).unwrap_or_else(|e| panic!("{e:#}"));
        lab.says(&["apply", "-f", &guide(dir)]);
        lab.says(&["rollout", "status", "deploy/echo-blue", "--timeout=90s"]);
        let ip = lab.says(&["get", "pod", "-l", "app=bluegreen", "-o", "jsonpath={.items[0].status.podIP}"]);
        assert!(ip.starts_with("10.244.2."), "{ip}");
        wait_for("the pod answers", || asks(&format!("http://{ip}:10000/"), "blue-pod"));
        let slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=service-blue", "-o"];
        let address = [&slices[..], &["jsonpath={.items[*].endpoints[*].addresses[0]}"]].concat();
        lab.until(&address, |said| said == ip);
        let ready = [&slices[..], &["jsonpath={.items[*].endpoints[*].conditions.ready}"]].concat();
        lab.until(&ready, |said| said == "true");

        // Through the API server and the node's kubelet endpoint.
        let logs = lab.says(&["logs", "deploy/echo-blue", "-c", "echo"]);
        assert!(logs.to_lowercase().contains("listening"), "{logs}");
        let admin = format!("http://{ip}:19000/ready");
        let asked = ["exec", "deploy/echo-blue", "-c", "envoy", "--", "curl", "-s", &admin];
        assert_eq!(lab.says(&asked).trim(), "LIVE");
        let mut forward = kubectl(&lab.cluster, &["port-forward", "deploy/echo-blue", "19001:19000"]);
        let mut forward = forward.stdout(Stdio::null()).spawn().unwrap();
        wait_for("port-forward forwards", || asks("http://127.0.0.1:19001/ready", "LIVE"));

        // The guide's way to break it: readiness is lost, and the slice says so.
        let fail = http_post("http://127.0.0.1:19001/healthcheck/fail");
        assert_eq!(fail, 200);
        wait_for("its health check fails", || {
            net::get(&format!("http://{ip}:10000/health")).is_some_and(|(s, _)| s == 503)
        });
        forward.kill().unwrap();
        forward.wait().unwrap();

        lab.says(&["scale", "deploy/echo-blue", "--replicas=2"]);
        lab.until(&address, |said| said.split(' ').count() == 2);
        lab.says(&["delete", "deploy/echo-blue", "--wait=true", "--timeout=60s"]);
        lab.until(&["get", "pods", "-o", "name"], str::is_empty);
        wait_for("nobody answers any more", || net::get(&format!("http://{ip}:10000/")).is_none());
    });
}

#[test]
fn bookinfo_runs_under_a_real_control_plane() {
    let envoy = kit::provisions(&[]);
    inside(|dir| {
        let lab = Lab::start(dir, &envoy).unwrap_or_else(|e| panic!("{e:#}"));
        let sample = Command::new(support::failctl()).args(["sandbox", "sample", "bookinfo"]).output().unwrap();
        let file = dir.join("bookinfo.yaml");
        std::fs::write(&file, sample.stdout).unwrap();
        lab.says(&["apply", "-f", &file.display().to_string()]);
        let deployments = ["details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3", "productpage-v1"];
        let rolled_out = |name: &str| lab.says(&["rollout", "status", &format!("deploy/{name}"), "--timeout=90s"]);
        deployments.iter().for_each(|name| drop(rolled_out(name)));
        let slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=reviews", "-o"];
        let address = [&slices[..], &["jsonpath={.items[*].endpoints[*].addresses[0]}"]].concat();
        lab.until(&address, |said| said.split(' ').count() == 3);

        // Nobody resolves the names of Services here: its programs are told addresses, as their variables allow.
        let ip = |app: &str| lab.says(&["get", "pod", "-l", app, "-o", "jsonpath={.items[0].status.podIP}"]);
        let tell = |deployment: &str, variables: &[String]| {
            let to = format!("deploy/{deployment}");
            let line: Vec<&str> = ["set", "env", &to].into_iter().chain(variables.iter().map(String::as_str)).collect();
            lab.says(&line);
            rolled_out(deployment);
        };
        tell("reviews-v3", &[format!("RATINGS_HOSTNAME={}", ip("app=ratings"))]);
        lab.until(&["get", "pods", "-l", "app=reviews,version=v3", "-o", "name"], |said| said.lines().count() == 1);
        let (details, reviews) = (ip("app=details"), ip("app=reviews,version=v3"));
        tell("productpage-v1", &[format!("DETAILS_HOSTNAME={details}"), format!("REVIEWS_HOSTNAME={reviews}")]);
        lab.until(&["get", "pods", "-l", "app=productpage", "-o", "name"], |said| said.lines().count() == 1);
        let page = format!("http://{}:9080", ip("app=productpage"));
        let shown = format!("{page}/productpage");
        wait_for("the page shows the third version's reviews", || asks(&shown, "color: red"));
        lab.says(&["scale", "deploy/ratings-v1", "--replicas=0"]);
        wait_for("the stars go with the ratings", || !asks(&shown, "color: red"));
        assert!(asks(&shown, "Reviewer1"), "the reviews are there still");
    });
}

fn http_post(url: &str) -> u16 {
    net::post(url, &serde_json::Value::Null).map_or(0, |(status, _)| status)
}
