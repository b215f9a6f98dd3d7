//! `failctl sandbox`: what it prints, what it leaves behind, and what survives the death of its process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use failctl::sandbox::stack::Stack;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::envoys::envoy;
use crate::sandboxes::{Lab, answer, until};
use crate::support;

/// A machine's state directory; sandboxes in it end with it.
struct Machine {
    state: tempfile::TempDir,
    envoy: PathBuf,
}

/// What a command did, with the sandbox's own addresses and directory written as S and STATE.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Machine {
    async fn new() -> Machine {
        Machine { state: tempfile::tempdir().unwrap(), envoy: envoy().await }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(support::failctl());
        command.args(args).current_dir(self.state.path()).env("XDG_STATE_HOME", self.state.path());
        command.env("FAILCTL_ENVOY", &self.envoy).env_remove("KUBECONFIG").env_remove("FAILCTL_FILE");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.state.path().display().to_string(), "STATE");
            self.octet().map_or(text.clone(), |octet| text.replace(&format!("127.{octet}."), "127.S."))
        };
        Ran { code: out.status.code().unwrap_or(-1), out: text(&out.stdout), err: text(&out.stderr) }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.state.path().join("failctl/sandboxes").join(name)
    }

    fn record(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.dir("default").join("sandbox.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn octet(&self) -> Option<u64> {
        self.record()?["block"].as_u64()
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.record().unwrap()["pid"].as_i64().unwrap()).unwrap()
    }

    fn kubectl(&self, args: &[&str]) -> String {
        let kubeconfig = self.dir("default").join("kubeconfig");
        let out = Command::new(support::kubectl()).args(args).env("KUBECONFIG", kubeconfig).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.command(&["sandbox", "down"]).output();
    }
}

/// The children of a process, by their status files.
fn children(parent: i32) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path()));
    let of = |path: &PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    processes.filter(|p| of(p) == Some(parent)).collect()
}

fn gone(path: &Path) -> bool {
    let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// Lines in any order: two clusters start side by side.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

const TABLE: &str = "\
CLUSTER  CONTEXT     POWER  API                      GATEWAY            LOCALITY              PODS
local    gloo-fed    on     https://127.S.0.1:6443   http://127.S.1.1   us-east-1/us-east-1a  1/1
remote   gloo-fed-2  on     https://127.S.16.1:6443  http://127.S.17.1  us-west-1/us-west-1a  1/1
";

/// The table with columns as wide as three digits make them, set as narrow as `S` makes them.
fn table(text: &str) -> String {
    let cells = |l: &str| l.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(cells).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_comes_up_is_shown_and_goes_without_a_trace() {
    let machine = Machine::new().await;
    let up = machine.run(&["sandbox", "up"]);
    assert_eq!((up.code, table(&up.out)), (0, table(TABLE)), "{}", up.err);
    let (steps, next) = up.err.split_once("\nnext:\n").expect("what to type next");
    assert_eq!(
        sorted(steps),
        [
            "clusters are registered with Gloo Federation",
            "local: API server, node and controllers run",
            "local: the gateway is ready",
            "remote: API server, node and controllers run",
            "remote: the gateway is ready",
        ]
    );
    assert!(next.contains("export KUBECONFIG=$(failctl sandbox kubeconfig)\n"), "{next}");

    let again = machine.run(&["sandbox", "up", "--clusters", "local=gloo-fed,remote=gloo-fed-2"]);
    assert_eq!((again.code, table(&again.out)), (0, table(TABLE)));
    assert!(again.err.starts_with("sandbox default is already up\n"), "{}", again.err);
    let other = machine.run(&["sandbox", "up", "--clusters", "a,b"]);
    assert_eq!((other.code, other.out.as_str()), (5, ""));
    assert_eq!(
        other.err,
        "error: sandbox default is there with other clusters: local=gloo-fed,remote=gloo-fed-2 (--stack gloo)\n  \
         hint: failctl sandbox down removes it; or choose another --name\n"
    );

    let status: Value = serde_json::from_str(&machine.run(&["sandbox", "status", "-o", "json"]).out).unwrap();
    assert_eq!((&status["kind"], &status["state"]), (&"SandboxStatus".into(), &"up".into()));
    assert_eq!((&status["clusters"][1]["power"], &status["addresses"]), (&"on".into(), &"127.S.0.0/16".into()));

    let kubeconfig = machine.dir("default").join("kubeconfig");
    let printed = machine.run(&["sandbox", "kubeconfig"]);
    assert_eq!(printed.out, "STATE/failctl/sandboxes/default/kubeconfig\n");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kubeconfig), mode(&machine.dir("default"))), (0o600, 0o700));
    assert_eq!(mode(&machine.dir("default").join("control.sock")), 0o600);
    let contexts = machine.kubectl(&["config", "get-contexts", "-o", "name"]);
    assert_eq!(contexts, "gloo-fed\ngloo-fed-2\n");
    let fleet = machine.run(&["sandbox", "fleet"]);
    assert_eq!((fleet.code, fleet.out.as_str()), (0, "STATE/failctl/sandboxes/default/failctl.yaml\n"));

    let (pid, envoys) = (machine.pid(), children(machine.pid()));
    assert_eq!(envoys.len(), 2, "one Envoy per gateway");
    let down = machine.run(&["sandbox", "down"]);
    assert_eq!((down.code, down.out.as_str(), down.err.as_str()), (0, "", "sandbox default is gone\n"));
    assert!(!machine.dir("default").exists());
    assert!(envoys.iter().all(|e| gone(e)) && gone(&PathBuf::from(format!("/proc/{pid}"))));
    let nothing = machine.run(&["sandbox", "down"]);
    assert_eq!((nothing.code, nothing.err.as_str()), (0, "there is no sandbox default\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sandbox_leaves_no_envoy_and_its_objects_come_back() {
    let machine = Machine::new().await;
    let up = machine.run(&["sandbox", "up", "--clusters", "only"]);
    assert_eq!(up.code, 0, "{}", up.err);
    machine.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]);
    machine.kubectl(&["delete", "gateways.gateway.solo.io", "-n", "gloo-system", "gateway-proxy-ssl"]);
    let (pid, envoys, octet) = (machine.pid(), children(machine.pid()), machine.octet());
    assert!(!envoys.is_empty());
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let start = Instant::now();
    while !envoys.iter().all(|e| gone(e)) {
        assert!(start.elapsed() < Duration::from_secs(10), "an Envoy outlives the killed sandbox");
        std::thread::sleep(Duration::from_millis(20));
    }

    let status = machine.run(&["sandbox", "status"]);
    assert_eq!((status.code, status.out.as_str()), (1, ""));
    assert_eq!(
        status.err,
        "sandbox default is down; its objects are on disk\n  \
         hint: failctl sandbox up brings them back, failctl sandbox down removes them\n"
    );
    let up = machine.run(&["sandbox", "up"]);
    assert_eq!(up.code, 0, "{}", up.err);
    assert_eq!(machine.octet(), octet, "objects on disk name the addresses");
    assert_eq!(machine.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]), "b");
    let gateways = machine.kubectl(&["get", "gateways.gateway.solo.io", "-n", "gloo-system", "-o", "name"]);
    assert!(!gateways.contains("ssl"), "what a user deleted stays deleted: {gateways}");

    kill_process(Pid::from_raw(machine.pid()).unwrap(), Signal::KILL).unwrap();
    let down = machine.run(&["sandbox", "down"]);
    assert_eq!((down.code, down.err.as_str()), (0, "sandbox default is gone\n"));
    assert!(!machine.dir("default").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clusters_power_is_cut_in_two_forms_and_given_back() {
    let machine = Machine::new().await;
    assert_eq!(machine.run(&["sandbox", "up", "--clusters", "one"]).code, 0);
    let power = || {
        let status: Value = serde_json::from_str(&machine.run(&["sandbox", "status", "-o", "json"]).out).unwrap();
        status["clusters"][0]["power"].as_str().unwrap().to_string()
    };
    let edge = machine.run(&["sandbox", "stop", "one", "--keep-edge"]);
    assert_eq!((edge.code, edge.err.as_str(), power().as_str()), (0, "one: edge-only\n", "edge-only"));
    assert_eq!(children(machine.pid()).len(), 1, "the gateway's Envoy survives");
    let off = machine.run(&["sandbox", "stop", "one"]);
    assert_eq!((off.code, off.err.as_str(), children(machine.pid()).len()), (0, "one: off\n", 0));
    let half = machine.run(&["sandbox", "stop", "one", "--keep-edge"]);
    assert_eq!(half.code, 5);
    assert!(half.err.contains("the edge of one is dead already"), "{}", half.err);
    let on = machine.run(&["sandbox", "start", "one"]);
    assert_eq!((on.code, on.err.as_str(), power().as_str()), (0, "one: on\n", "on"));
    assert_eq!(machine.kubectl(&["get", "namespace", "gloo-system", "-o", "name"]), "namespace/gloo-system\n");
    let unknown = machine.run(&["sandbox", "stop", "two"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (5, "error: the sandbox default has no cluster `two`; it has one\n")
    );
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let mut machine = Machine::new().await;
    let twice = machine.run(&["sandbox", "up", "--clusters", "a,a,B"]);
    assert_eq!(twice.code, 2);
    assert!(
        twice.err.contains("the cluster `a` is there twice") && twice.err.contains("`B` is not a valid name"),
        "{}",
        twice.err
    );
    let alone = machine.run(&["sandbox", "up", "--stack", "hub", "--clusters", "a"]);
    assert_eq!(alone.code, 2);
    assert!(alone.err.contains("two clusters") && alone.err.contains("kind2=kind-kind2"), "{}", alone.err);
    let name = machine.run(&["sandbox", "up", "--name", "No.Name"]);
    assert_eq!(name.code, 2);
    machine.envoy = machine.state.path().join("no-envoy");
    let missing = machine.run(&["sandbox", "up"]);
    assert_eq!(missing.code, 7, "{}", missing.err);
    assert!(missing.err.contains("no-envoy") && missing.err.contains("--envoy FILE"), "{}", missing.err);
    assert!(!machine.dir("default").exists());
    let status = machine.run(&["sandbox", "status"]);
    assert_eq!(
        (status.code, status.err.as_str()),
        (1, "error: there is no sandbox `default`\n  hint: failctl sandbox up\n")
    );
    assert_eq!(machine.run(&["sandbox", "kubeconfig"]).code, 1);
    assert_eq!(machine.run(&["sandbox", "stop", "a"]).code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gloo_and_istio_run_side_by_side_and_the_fleet_says_so() {
    let lab = Lab::stack(Stack::Both, "one").await;
    let doors = lab.type_("kubectl --context one get svc -A -o jsonpath={.items[*].metadata.name}").await;
    for door in ["gateway-proxy", "istio-ingressgateway", "istio-eastwestgateway"] {
        assert!(doors.contains(door), "{door} is not in {doors}");
    }
    let fleet = std::fs::read_to_string(lab.sandbox.fleet()).unwrap();
    for part in ["gloo:", "istio:", "trustDomain: one", "network: one"] {
        assert!(fleet.contains(part), "{part} is not in {fleet}");
    }
    let said = lab.type_("failctl sandbox sample sleep | kubectl --context one apply --dry-run=server -f -").await;
    assert!(said.contains("deployment.apps/sleep created (server dry run)"), "{said}");
    lab.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sandboxes_run_side_by_side_and_know_nothing_of_each_other() {
    let (one, two) = tokio::join!(Lab::up("same"), Lab::up("same"));
    assert_ne!(one.sandbox.block(), two.sandbox.block());
    one.type_("kubectl create configmap mine").await;
    assert!(!two.try_type("kubectl get configmap mine").await.ok);
    let gateway = one.gateway("same").await;
    one.down().await;
    assert_eq!(answer("GET", &gateway).await, "no answer");
    two.type_("kubectl get nodes").await;
    two.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_reached_as_long_as_an_endpoint_is_ready_and_refused_without() {
    let lab = Lab::up("one").await;
    let fixture = "tests/golden/gloo/guide/local.yaml";
    lab.documents(fixture, &["name: service-blue\n", "name: echo-blue\n"], "blue.yaml");
    lab.type_("kubectl apply -f blue.yaml && kubectl rollout status deploy/echo-blue --timeout=60s").await;
    lab.type_(r#"kubectl patch service service-blue -p '{"spec": {"type": "LoadBalancer"}}'"#).await;
    lab.type_("kubectl wait service/service-blue --for=jsonpath='{.status.loadBalancer.ingress[0].ip}' --timeout=30s")
        .await;
    let ip = lab.type_("kubectl get service service-blue -o jsonpath='{.status.loadBalancer.ingress[0].ip}'").await;
    let url = format!("http://{ip}:10000");
    until(&url, "blue-pod", 30).await;
    lab.type_("kubectl scale deploy/echo-blue --replicas=0").await;
    until(&url, "no answer", 30).await;
    lab.type_("kubectl scale deploy/echo-blue --replicas=2 && kubectl rollout status deploy/echo-blue --timeout=60s")
        .await;
    until(&url, "blue-pod", 30).await;
    let before = lab.type_("kubectl get pods -l text=blue -o name").await;
    lab.type_(&format!("kubectl delete --wait {}", before.lines().next().unwrap())).await;
    lab.type_("kubectl rollout status deploy/echo-blue --timeout=60s").await;
    assert_ne!(lab.type_("kubectl get pods -l text=blue -o name").await, before, "a deleted Pod is replaced");
    lab.type_("kubectl rollout restart deploy/echo-blue && kubectl rollout status deploy/echo-blue --timeout=60s")
        .await;
    let history = lab.type_("kubectl rollout history deploy/echo-blue").await;
    assert!(history.contains("\n2 "), "{history}");
    lab.type_("kubectl delete deployment echo-blue --cascade=foreground").await;
    assert_eq!(lab.type_("kubectl get pods,replicasets -l text=blue -o name").await, "");
    lab.type_("kubectl delete service service-blue").await;
    until(&url, "no answer", 30).await;
    lab.down().await;
}
