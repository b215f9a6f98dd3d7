//! A node that runs pods, against the sandbox's API server, with real Envoys, by kubectl and by kube's client.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use failctl::sandbox::address::Claim;
use failctl::sandbox::api::{ApiConfig, Server};
use failctl::sandbox::child::Keeper;
use failctl::sandbox::node::{self, KUBELET_PORT, NodeConfig, NodeHandle, PodRange, envoy_config};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, PodStatus};
use kube::api::{AttachParams, DeleteParams, LogParams, PostParams};
use kube::core::{Expression, Selector};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::envoys::envoy;
use crate::support;

/// One cluster with one node.
struct Lab {
    server: Server,
    client: Client,
    node: Option<NodeHandle>,
    config: NodeConfig,
    dir: tempfile::TempDir,
    _claim: Claim,
}

impl Lab {
    async fn start() -> Lab {
        let claim = Claim::take(None, rand::random()).expect("a free block of addresses");
        let at = claim.block.cluster(0).unwrap();
        let server = Server::start(ApiConfig::new("lab", at.api())).await.unwrap();
        let client = server.client().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = NodeConfig {
            client: client.clone(),
            name: "lab-node".into(),
            address: at.node(),
            kubelet_port: KUBELET_PORT,
            pods: PodRange::new(at.pods().first, at.pods().last).unwrap(),
            inner: PodRange::new(at.inner().first, at.inner().last),
            cluster: "lab".into(),
            envoy: envoy().await,
            agent: None,
            keeper: Keeper::new(&support::failctl()).unwrap(),
            dir: dir.path().join("node"),
            labels: [("topology.kubernetes.io/zone".to_owned(), "zone-1".to_owned())].into(),
        };
        let node = node::start(config.clone()).await.unwrap();
        Lab { server, client, node: Some(node), config, dir, _claim: claim }
    }

    fn node(&self) -> &NodeHandle {
        self.node.as_ref().unwrap()
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    async fn create(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["nodeName"] = "lab-node".into();
        spec["terminationGracePeriodSeconds"] = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(1).into();
        let pod = json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        let pod = serde_json::from_value(pod).unwrap();
        self.pods().create(&PostParams::default(), &pod).await.unwrap();
    }

    /// Waits until the pod's status is as wanted.
    async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&PodStatus) -> bool) -> PodStatus {
        let start = Instant::now();
        loop {
            let status = self.pods().get_opt(name).await.unwrap().and_then(|p| p.status).unwrap_or_default();
            if wanted(&status) {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "pod {name} is not {what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the pod is ready, and returns its address.
    async fn ready(&self, name: &str) -> Ipv4Addr {
        let status = self.wait(name, "ready", is_ready).await;
        status.pod_ip.unwrap().parse().unwrap()
    }

    async fn gone(&self, name: &str) {
        let start = Instant::now();
        while self.pods().get_opt(name).await.unwrap().is_some() {
            assert!(start.elapsed() < Duration::from_secs(20), "pod {name} stays");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kubectl(&self, args: &[&str]) -> tokio::process::Command {
        let kubeconfig = self.dir.path().join("kubeconfig");
        let text = serde_json::to_string(&self.server.kubeconfig("lab")).unwrap();
        std::fs::write(&kubeconfig, text).unwrap();
        let mut command = tokio::process::Command::new(support::kubectl());
        command.args(args).env("KUBECONFIG", kubeconfig).env("HOME", self.dir.path()).kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs kubectl to its end; its exit code, output and error output.
    async fn kubectl_says(&self, args: &[&str]) -> (i32, String, String) {
        let output = tokio::time::timeout(Duration::from_secs(30), self.kubectl(args).output()).await;
        let output = output.unwrap_or_else(|_| panic!("kubectl {args:?} does not end")).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    async fn stop(mut self) {
        self.node.take().unwrap().stop().await;
        self.server.stop().await.unwrap();
    }
}

fn is_ready(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn guide_config() -> String {
    std::fs::read_to_string(support::root().join("tests/golden/node/guide.yaml")).unwrap()
}

/// The two containers of the guide's deployments.
fn guide_pod(text: &str) -> Value {
    json!({"containers": [
        {"name": "echo", "args": [format!("-text=\"{text}\"")],
         "image": "hashicorp/http-echo@sha256:ba27d460cd1f22a1a4331bdf74f4fccbc025552357e8a3249c40ae216275de96"},
        {"name": "envoy", "image": "envoyproxy/envoy:v1.14.2", "args": [
            "--config-yaml", guide_config(), "--disable-hot-restart", "--log-level", "debug",
            "--concurrency", "1", "--file-flush-interval-msec", "10"]},
    ], "terminationGracePeriodSeconds": 0})
}

fn echo_pod(text: &str) -> Value {
    json!({"containers": [{"name": "echo", "image": "hashicorp/http-echo", "args": [format!("-text={text}")]}]})
}

/// One request on a connection of its own: status and body.
async fn ask(method: &str, to: impl Into<SocketAddr>, path: &str) -> anyhow::Result<(u16, String)> {
    ask_on(TcpStream::connect(to.into()).await?, method, path).await
}

async fn ask_on(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    method: &str,
    path: &str,
) -> anyhow::Result<(u16, String)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::builder().method(method).uri(path).header("host", "test");
    let answer = sender.send_request(request.body(String::new())?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, String::from_utf8(body.to_vec())?))
}

/// Asks until the answer is as wanted.
async fn until(method: &str, to: (Ipv4Addr, u16), path: &str, wanted: (u16, &str)) {
    let start = Instant::now();
    loop {
        let answer = ask(method, to, path).await;
        if matches!(&answer, Ok((status, body)) if *status == wanted.0 && body == wanted.1) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{method} {to:?}{path}: {answer:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn listens(to: (Ipv4Addr, u16)) -> bool {
    TcpStream::connect(to).await.is_ok()
}

#[test]
fn the_guides_configuration_becomes_one_of_todays_envoy() {
    let old = failctl::yaml::parse(&guide_config()).unwrap().remove(0).value;
    let modern = envoy_config::modernise(old, Ipv4Addr::new(127, 77, 2, 1).into());
    let mut text = failctl::yaml::emit(&modern.config);
    modern.changes.iter().for_each(|c| text += &format!("# {c}\n"));
    support::golden("tests/golden/node/guide.modern.yaml", &text);
}

#[tokio::test]
async fn the_guides_pod_answers_fails_on_request_and_is_gone_when_deleted() {
    let lab = Lab::start().await;
    lab.create("echo-blue", guide_pod("blue-pod")).await;
    let ip = lab.ready("echo-blue").await;
    until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;
    assert_eq!(ask("GET", (ip, 10000), "/health").await.unwrap().0, 200);
    assert_eq!(ask("POST", (ip, 19000), "/healthcheck/fail").await.unwrap(), (200, "OK\n".into()));
    until("GET", (ip, 10000), "/any", (503, "")).await;
    assert_eq!(ask("POST", (ip, 19000), "/healthcheck/ok").await.unwrap().0, 200);
    until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;

    let (code, out, err) = lab.kubectl_says(&["wait", "--for=condition=Ready", "pod/echo-blue", "--timeout=5s"]).await;
    assert_eq!((code, out.as_str()), (0, "pod/echo-blue condition met\n"), "{err}");
    lab.pods().delete("echo-blue", &DeleteParams::default()).await.unwrap();
    lab.gone("echo-blue").await;
    let start = Instant::now();
    while listens((ip, 10000)).await || listens((ip, 5678)).await || listens((ip, 19000)).await {
        assert!(start.elapsed() < Duration::from_secs(5), "a deleted pod still listens");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lab.stop().await;
}

#[tokio::test]
async fn the_node_is_registered_ready_with_its_addresses_labels_and_lease() {
    let lab = Lab::start().await;
    let node = Api::<Node>::all(lab.client.clone()).get("lab-node").await.unwrap();
    let (meta, status) = (node.metadata, node.status.unwrap());
    assert_eq!(meta.labels.unwrap()["topology.kubernetes.io/zone"], "zone-1");
    assert_eq!(status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap().port, i32::from(KUBELET_PORT));
    let address = status.addresses.unwrap().into_iter().find(|a| a.type_ == "InternalIP").unwrap();
    assert_eq!(address.address, lab.config.address.to_string());
    let (code, out, err) = lab.kubectl_says(&["wait", "--for=condition=Ready", "node/lab-node", "--timeout=5s"]).await;
    assert_eq!((code, out.as_str()), (0, "node/lab-node condition met\n"), "{err}");
    lab.stop().await;
}

#[tokio::test]
async fn a_graceful_deletion_waits_for_the_containers_and_removes_the_object() {
    let lab = Lab::start().await;
    let mut spec = guide_pod("x");
    spec["terminationGracePeriodSeconds"] = json!(30);
    lab.create("polite", spec).await;
    let ip = lab.ready("polite").await;
    until("GET", (ip, 10000), "/", (200, "\"x\"\n")).await;
    let (code, out, err) = lab.kubectl_says(&["delete", "pod", "polite"]).await;
    assert_eq!((code, out.as_str()), (0, "pod \"polite\" deleted\n"), "{err}");
    assert!(!listens((ip, 10000)).await && lab.pods().get_opt("polite").await.unwrap().is_none());
    lab.stop().await;
}

#[tokio::test]
async fn a_sleep_command_runs_and_listens_nowhere() {
    let lab = Lab::start().await;
    let mut spec = guide_pod("blue-pod");
    for container in spec["containers"].as_array_mut().unwrap() {
        container["command"] = json!(["sleep", "20h"]);
        container.as_object_mut().unwrap().remove("args");
    }
    lab.create("asleep", spec).await;
    let ip = lab.ready("asleep").await;
    for port in [10000, 5678, 19000] {
        assert!(!listens((ip, port)).await, "{port}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn an_image_that_cannot_be_run_keeps_its_pod_pending_with_the_reason() {
    let lab = Lab::start().await;
    lab.create("nginx", json!({"containers": [{"name": "web", "image": "nginx:1.25"}]})).await;
    let waiting = |s: &PodStatus| {
        s.container_statuses
            .iter()
            .flatten()
            .find_map(|c| c.state.as_ref()?.waiting.clone())
            .filter(|w| w.message.is_some())
    };
    let status = lab.wait("nginx", "waiting", |s| waiting(s).is_some()).await;
    let why = waiting(&status).unwrap();
    assert_eq!((status.phase.as_deref(), why.reason.as_deref()), (Some("Pending"), Some("ImageUnsupported")));
    let message = why.message.unwrap();
    assert!(message.contains("nginx:1.25") && message.contains("hashicorp/http-echo"), "{message}");
    lab.pods().delete("nginx", &DeleteParams::default()).await.unwrap();
    lab.gone("nginx").await;
    lab.stop().await;
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_and_says_why() {
    let lab = Lab::start().await;
    lab.create("broken", json!({"containers": [{"name": "echo", "image": "hashicorp/http-echo"}]})).await;
    let restarts = |s: &PodStatus| s.container_statuses.as_ref().map_or(0, |c| c[0].restart_count);
    let status = lab.wait("broken", "restarted", |s| restarts(s) >= 2).await;
    let last = status.container_statuses.unwrap()[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.message.as_deref()), (127, Some("Missing -text option!")));
    let (_, out, err) = lab.kubectl_says(&["logs", "broken", "--previous"]).await;
    assert_eq!(out, "Missing -text option!\n", "{err}");
    let (_, out, err) = lab.kubectl_says(&["describe", "pod", "broken"]).await;
    assert!(out.contains("Started container echo") && out.contains("BackOff"), "{out}{err}");
    lab.create(
        "once",
        json!({"restartPolicy": "Never", "containers": [
        {"name": "nap", "image": "hashicorp/http-echo", "command": ["sleep", "0.05"]}]}),
    )
    .await;
    lab.wait("once", "done", |s| s.phase.as_deref() == Some("Succeeded")).await;
    lab.stop().await;
}

#[tokio::test]
async fn a_killed_envoy_is_started_again() {
    let lab = Lab::start().await;
    lab.create("echo-blue", guide_pod("blue-pod")).await;
    let ip = lab.ready("echo-blue").await;
    until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;
    assert_eq!(ask("POST", (ip, 19000), "/quitquitquit").await.unwrap().0, 200);
    let status = lab
        .wait("echo-blue", "restarted", |s| s.container_statuses.iter().flatten().any(|c| c.restart_count == 1))
        .await;
    assert_eq!(status.container_statuses.unwrap().iter().map(|c| c.restart_count).sum::<i32>(), 1);
    until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;
    lab.stop().await;
}

#[tokio::test]
async fn a_container_knows_its_pod_and_reads_config_maps() {
    let lab = Lab::start().await;
    let spec = json!({"containers": [{"name": "echo", "image": "hashicorp/http-echo",
        "args": ["-text=$(COLOUR) in $(POD_NAME) at $(POD_IP) on $(NODE), $$(POD_NAME)", "-listen=:80"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "paint", "key": "colour"}}}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 80}}}]});
    lab.create("knows", spec).await;
    let waits = |s: &PodStatus| {
        s.container_statuses.iter().flatten().any(|c| {
            let waiting = c.state.as_ref().and_then(|s| s.waiting.as_ref());
            waiting.is_some_and(|w| w.reason.as_deref() == Some("CreateContainerConfigError"))
        })
    };
    lab.wait("knows", "waiting for its config map", waits).await;
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "paint"}, "data": {"colour": "blue"}})).unwrap();
    Api::<ConfigMap>::default_namespaced(lab.client.clone()).create(&PostParams::default(), &map).await.unwrap();
    let ip = lab.ready("knows").await;
    let expected = format!("blue in knows at {ip} on lab-node, $(POD_NAME)\n");
    until("GET", (ip, 80), "/", (200, &expected)).await;
    lab.stop().await;
}

#[tokio::test]
async fn logs_are_read_followed_and_cut_by_kubectl_and_by_the_client() {
    let lab = Lab::start().await;
    lab.create("echo", echo_pod("hello")).await;
    let ip = lab.ready("echo").await;
    until("GET", (ip, 5678), "/first", (200, "hello\n")).await;
    let (code, out, err) = lab.kubectl_says(&["logs", "echo"]).await;
    assert!(code == 0 && out.contains("listening on :5678") && out.contains("GET /first"), "{out}{err}");
    let (_, out, _) = lab.kubectl_says(&["logs", "echo", "--tail=1", "--timestamps"]).await;
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(out.split(' ').next().unwrap().parse::<jiff::Timestamp>().is_ok(), "{out}");

    let mut follower = lab.kubectl(&["logs", "-f", "echo"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().contains("/first") {}
    until("GET", (ip, 5678), "/second", (200, "hello\n")).await;
    assert!(lines.next_line().await.unwrap().unwrap().contains("/second"));
    lab.pods().delete("echo", &DeleteParams::default().grace_period(0)).await.unwrap();
    let ended =
        tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.expect("the log ends with its pod");
    assert_eq!(ended.unwrap(), None);

    lab.create("echo2", echo_pod("hello")).await;
    lab.ready("echo2").await;
    let start = Instant::now();
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    while !lab.pods().logs("echo2", &tail).await.unwrap_or_default().contains("listening") {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    lab.stop().await;
}

#[tokio::test]
async fn exec_runs_a_command_with_input_output_and_exit_code_for_kubectl() {
    let lab = Lab::start().await;
    lab.create("echo", echo_pod("hello")).await;
    let ip = lab.ready("echo").await;
    let websocket = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS";
    for (protocol, value) in [("WebSocket", "true"), ("SPDY", "false")] {
        let run = |args: &'static str, input: &'static str| {
            let mut words = vec!["exec", "-i", "echo", "--", "/bin/sh", "-c"];
            words.push(args);
            let mut command = lab.kubectl(&words);
            command.env(websocket, value).stdin(std::process::Stdio::piped());
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            async move {
                let mut child = command.spawn().unwrap();
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(input.as_bytes()).await.unwrap();
                drop(stdin);
                let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
                let output = output.unwrap_or_else(|_| panic!("exec over {protocol} does not end")).unwrap();
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
            }
        };
        let (code, out, err) = run("echo $HOSTNAME $POD_IP; echo oops >&2; exit 7", "").await;
        assert_eq!((code, out), (7, format!("echo {ip}\n")), "{protocol}: {err}");
        assert!(err.contains("oops") && err.contains("exit code 7"), "{protocol}: {err}");
        let (code, out, err) = run("tr a-z A-Z", "one\ntwo\n").await;
        assert_eq!((code, out.as_str()), (0, "ONE\nTWO\n"), "{protocol}: {err}");
        // More than any window or buffer on the way.
        let (code, out, err) = run("head -c 3000000 /dev/zero | tr '\\0' x", "").await;
        assert_eq!((code, out.len()), (0, 3_000_000), "{protocol}: {err}");
    }
    let (code, _, err) = lab.kubectl_says(&["exec", "echo", "--", "no-such-program"]).await;
    assert!(code != 0 && err.contains("executable file not found"), "{err}");
    let (code, _, err) = lab.kubectl_says(&["exec", "echo", "-c", "other", "--", "true"]).await;
    assert!(code != 0 && err.contains("other"), "{err}");
    lab.stop().await;
}

#[tokio::test]
async fn exec_gives_a_terminal_to_whoever_asks_for_one() {
    let lab = Lab::start().await;
    lab.create("echo", echo_pod("hello")).await;
    lab.ready("echo").await;
    let params = AttachParams::interactive_tty();
    let mut process =
        lab.pods().exec("echo", ["/bin/sh", "-c", "tty; read x; echo got $x; exit 3"], &params).await.unwrap();
    let status = process.take_status().unwrap();
    process.stdin().unwrap().write_all(b"word\n").await.unwrap();
    let mut said = String::new();
    process.stdout().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("/dev/pts/") && said.contains("got word"), "{said:?}");
    let status = status.await.unwrap();
    assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("3"));
    lab.stop().await;
}

#[tokio::test]
async fn exec_and_port_forward_work_for_the_client() {
    let lab = Lab::start().await;
    lab.create("echo", echo_pod("hello")).await;
    lab.ready("echo").await;
    let params = AttachParams::default().stdout(true).stderr(false);
    let mut process = lab.pods().exec("echo", ["/bin/echo", "from the client"], &params).await.unwrap();
    let mut said = String::new();
    process.stdout().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "from the client\n");

    let mut forward = lab.pods().portforward("echo", &[5678, 9]).await.unwrap();
    let error = forward.take_error(9).unwrap();
    let stream = forward.take_stream(5678).unwrap();
    assert_eq!(ask_on(stream, "GET", "/").await.unwrap(), (200, "hello\n".into()));
    assert!(error.await.unwrap().contains("failed to connect"));
    lab.stop().await;
}

#[tokio::test]
async fn port_forward_works_for_kubectl_over_both_protocols() {
    let lab = Lab::start().await;
    lab.create("echo-blue", guide_pod("blue-pod")).await;
    let ip = lab.ready("echo-blue").await;
    until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;
    for (protocol, value) in [("SPDY in a WebSocket", "true"), ("SPDY", "false")] {
        let mut command = lab.kubectl(&["port-forward", "pod/echo-blue", ":19000", ":10000", ":9"]);
        command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", value);
        let mut child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ports = std::collections::BTreeMap::new();
        while ports.len() < 3 {
            let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{protocol}: nothing is forwarded")).unwrap().unwrap();
            // Forwarding from 127.0.0.1:41234 -> 19000
            if let Some((from, to)) = line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|l| l.split_once(" -> "))
            {
                ports.insert(to.parse::<u16>().unwrap(), from.parse::<u16>().unwrap());
            }
        }
        let local = |port: u16| (Ipv4Addr::LOCALHOST, ports[&port]);
        for _ in 0..3 {
            assert_eq!(ask("GET", local(10000), "/").await.unwrap(), (200, "\"blue-pod\"\n".into()), "{protocol}");
        }
        assert_eq!(ask("POST", local(19000), "/healthcheck/fail").await.unwrap().0, 200, "{protocol}");
        until("GET", (ip, 10000), "/", (503, "")).await;
        assert_eq!(ask("POST", local(19000), "/healthcheck/ok").await.unwrap().0, 200, "{protocol}");
        until("GET", (ip, 10000), "/", (200, "\"blue-pod\"\n")).await;
        // Many at once, and more than any buffer on the way.
        let asked = (0..20).map(|_| ask("GET", local(19000), "/stats?usedonly"));
        for answer in futures::future::join_all(asked).await {
            let (status, body) = answer.unwrap();
            assert!(status == 200 && body.contains("cluster.some_service"), "{protocol}: {status} {body}");
        }
        let refused = ask("GET", local(9), "/").await;
        assert!(!matches!(refused, Ok((200, _))), "{protocol}: {refused:?}");
        child.kill().await.unwrap();
    }
    lab.stop().await;
}

#[tokio::test]
async fn without_power_only_what_is_kept_runs_and_with_power_all_is_back() {
    let lab = Lab::start().await;
    lab.create("gateway", echo_pod("gateway")).await;
    lab.create("echo-blue", guide_pod("blue-pod")).await;
    let (gateway, blue) = (lab.ready("gateway").await, lab.ready("echo-blue").await);
    until("GET", (blue, 10000), "/", (200, "\"blue-pod\"\n")).await;
    let keep = Selector::from(Expression::Equal("app".into(), "gateway".into()));
    lab.node().power_off(vec![keep]).await;
    assert!(!listens((blue, 10000)).await && !listens((blue, 5678)).await);
    until("GET", (gateway, 5678), "/", (200, "gateway\n")).await;
    let (code, ..) = lab.kubectl_says(&["logs", "gateway"]).await;
    assert_ne!(code, 0, "a kubelet without power answers");
    // Nobody has told the API.
    assert!(is_ready(&lab.pods().get("echo-blue").await.unwrap().status.unwrap()));
    // What is deleted meanwhile is not started again.
    lab.create("late", echo_pod("late")).await;
    lab.pods().delete("gateway", &DeleteParams::default().grace_period(0)).await.unwrap();
    lab.node().power_on().await;
    until("GET", (blue, 10000), "/", (200, "\"blue-pod\"\n")).await;
    let restarted = |s: &PodStatus| s.container_statuses.iter().flatten().all(|c| c.restart_count == 1) && is_ready(s);
    lab.wait("echo-blue", "restarted", restarted).await;
    lab.ready("late").await;
    let start = Instant::now();
    while listens((gateway, 5678)).await {
        assert!(start.elapsed() < Duration::from_secs(10), "a deleted pod came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lab.node().power_off(Vec::new()).await;
    assert!(!listens((blue, 10000)).await);
    lab.stop().await;
}

#[tokio::test]
async fn a_node_that_starts_again_takes_up_its_pods_on_their_addresses() {
    let mut lab = Lab::start().await;
    lab.create("echo", echo_pod("hello")).await;
    let ip = lab.ready("echo").await;
    lab.node.take().unwrap().stop().await;
    assert!(!listens((ip, 5678)).await, "a stopped node leaves something running");
    lab.node = Some(node::start(lab.config.clone()).await.unwrap());
    until("GET", (ip, 5678), "/", (200, "hello\n")).await;
    let again = |s: &PodStatus| s.container_statuses.iter().flatten().all(|c| c.restart_count == 1);
    lab.wait("echo", "taken up", again).await;
    lab.stop().await;
}

#[tokio::test]
async fn pods_of_other_namespaces_run_too() {
    let lab = Lab::start().await;
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "gloo-system"}})).unwrap();
    Api::<Namespace>::all(lab.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(lab.client.clone(), "gloo-system");
    let mut spec = echo_pod("there");
    spec["nodeName"] = "lab-node".into();
    let pod = serde_json::from_value(json!({"metadata": {"generateName": "there-"}, "spec": spec})).unwrap();
    let name = pods.create(&PostParams::default(), &pod).await.unwrap().metadata.name.unwrap();
    let start = Instant::now();
    let ip = loop {
        let status = pods.get(&name).await.unwrap().status.unwrap_or_default();
        if is_ready(&status) {
            break status.pod_ip.unwrap().parse().unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    until("GET", (ip, 5678), "/", (200, "there\n")).await;
    lab.stop().await;
}

#[tokio::test]
async fn a_node_without_its_address_says_so() {
    let lab = Lab::start().await;
    let mut config = lab.config.clone();
    config.name = "second".into();
    config.dir = PathBuf::from(lab.dir.path()).join("second");
    let taken = node::start(config).await.err().expect("two nodes on one address");
    assert!(format!("{taken:#}").contains("kubelet endpoint"), "{taken:#}");
    lab.stop().await;
}

#[tokio::test]
async fn behind_a_sidecar_programs_have_an_address_of_their_own_and_localhost_is_both() {
    let lab = Lab::start().await;
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let spec = json!({"containers": [
        {"name": "details", "image": "docker.io/istio/examples-bookinfo-details-v1:1.16.2", "ports": [{"containerPort": 9080}],
         "readinessProbe": {"httpGet": {"path": "/health", "port": 9080}, "periodSeconds": 1}},
        {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.27.3", "args": ["proxy", "sidecar"], "env": [
            // Nobody listens there: the proxy runs and waits.
            {"name": "PROXY_CONFIG", "value": format!("discoveryAddress: {}:15010", lab.config.address)},
            field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace")]},
    ]});
    lab.create("details", spec).await;
    let ip = lab.ready("details").await;
    let inner = lab.config.inner.unwrap().beside(ip, &lab.config.pods).unwrap();
    let start = Instant::now();
    let noted = loop {
        let pod = lab.pods().get("details").await.unwrap();
        if let Some(noted) = pod.metadata.annotations.and_then(|mut a| a.remove("sandbox.failctl.dev/inner-ip")) {
            break noted;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no annotation");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(noted, inner.to_string());
    let (status, body) = ask("GET", (inner, 9080), "/details/0").await.unwrap();
    assert!(status == 200 && body.contains("Shakespeare"), "{status} {body}");
    assert!(TcpStream::connect((ip, 9080)).await.is_err(), "the program listens on the Pod's own address");
    let start = Instant::now();
    while TcpStream::connect((ip, 15000)).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the proxy's admin interface does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for port in [9080, 15000] {
        let mut forward = lab.pods().portforward("details", &[port]).await.unwrap();
        let stream = forward.take_stream(port).unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request =
            http::Request::get("/ready").header("host", "h").body(http_body_util::Empty::<bytes::Bytes>::new());
        let status = sender.send_request(request.unwrap()).await.unwrap().status();
        assert!(matches!(status.as_u16(), 200 | 404 | 503), "port {port} answers {status}");
    }
    let (code, out, err) =
        lab.kubectl_says(&["exec", "details", "-c", "details", "--", "printenv", "http_proxy"]).await;
    assert_eq!((code, out.trim(), err.as_str()), (0, format!("http://{inner}:15002").as_str(), ""));
    let (code, out, _) =
        lab.kubectl_says(&["exec", "details", "-c", "istio-proxy", "--", "printenv", "http_proxy"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    lab.stop().await;
}
