//! Two clusters as failctl sees them through a kubeconfig: API servers (see `ground`) behind plain HTTP, where a test can
//! count requests, break them, or stop the world in the middle of one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failctl::sandbox::crds;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use kube::Client;
use serde_json::{Value, json};

use crate::ground::ApiServer;

/// What happens to requests that write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This many writes are answered with this status before they reach the server.
    Refuse(usize, u16),
    /// This many connections break after the write was done.
    Break(usize),
    /// The n-th write (from 1) is done and never answered; nor is any after it.
    Hang(usize),
}

/// A moment of a command at which the world stands still: its n-th request (from 1, over all clusters) and all that
/// come after it wait, before or after the cluster did what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which request.
    pub nth: usize,
    /// Whether the cluster has done it already.
    pub done: bool,
}

/// Counts the requests to all clusters and makes one wait.
#[derive(Default)]
pub struct Stall {
    seen: AtomicUsize,
    /// Whether each request seen was one that writes.
    kinds: Mutex<Vec<bool>>,
    at: Mutex<Option<Moment>>,
    reached: std::sync::atomic::AtomicBool,
    lost: std::sync::atomic::AtomicBool,
    moves: tokio::sync::Notify,
}

impl Stall {
    /// Begins to count anew; from this moment on nothing moves.
    pub fn at(&self, moment: Moment) {
        self.count_anew();
        self.reached.store(false, Ordering::SeqCst);
        self.lost.store(false, Ordering::SeqCst);
        *self.at.lock().unwrap() = Some(moment);
    }

    /// Begins to count anew.
    pub fn count_anew(&self) {
        self.kinds.lock().unwrap().clear();
        self.seen.store(0, Ordering::SeqCst);
    }

    /// The requests seen since then: whether each was one that writes.
    pub fn kinds(&self) -> Vec<bool> {
        self.kinds.lock().unwrap().clone()
    }

    /// Requests seen since the count began.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// Whether the moment has come.
    pub fn reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }

    /// Lets everything go on.
    pub fn go_on(&self) {
        *self.at.lock().unwrap() = None;
        self.moves.notify_waiters();
    }

    /// Lets the world go on, without the requests that waited: whoever sent them is gone.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.go_on();
    }

    /// The number of a request that begins now.
    fn count(&self, writes: bool) -> usize {
        let mut kinds = self.kinds.lock().unwrap();
        kinds.push(writes);
        self.seen.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Waits if this is the moment.
    async fn here(&self, n: usize, done: bool) -> std::io::Result<()> {
        let moves = self.moves.notified();
        let stands = self.at.lock().unwrap().is_some_and(|m| (n, done) >= (m.nth, m.done));
        if stands {
            self.reached.store(true, Ordering::SeqCst);
            moves.await;
            if self.lost.load(Ordering::SeqCst) {
                return Err(std::io::Error::other("lost"));
            }
        }
        Ok(())
    }
}

/// Does something at each moment, several at a time, and gathers what it answers.
pub fn at_each(moments: Vec<Moment>, what: impl Fn(Moment) -> String + Sync) -> std::collections::BTreeSet<String> {
    let (left, seen) = (Mutex::new(moments), Mutex::new(std::collections::BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(moment) = left.lock().unwrap().pop() else { return };
                    let state = what(moment);
                    seen.lock().unwrap().insert(state);
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

/// One cluster.
pub struct Cluster {
    /// A client to look and prepare with.
    pub client: Client,
    /// Where it listens.
    pub address: SocketAddr,
    /// Writes seen so far.
    pub writes: Arc<AtomicUsize>,
    /// Requests seen so far: `METHOD path`.
    pub log: Arc<Mutex<Vec<String>>>,
    front: Front,
    task: Mutex<tokio::task::JoinHandle<()>>,
    _server: ApiServer,
}

impl Cluster {
    /// Breaks what comes.
    pub fn fault(&self, fault: Fault) {
        *self.front.fault.lock().unwrap() = fault;
    }

    /// Breaks the connections of requests that hang.
    pub fn break_hung(&self) {
        self.front.release.notify_waiters();
    }

    /// Whether a hang was reached.
    pub fn hangs(&self) -> bool {
        matches!(*self.front.fault.lock().unwrap(), Fault::Hang(0))
    }
}

/// The fleet of the guide, in a directory with its documents and a kubeconfig.
pub struct Ground {
    /// Where failctl runs.
    pub dir: tempfile::TempDir,
    /// By name.
    pub clusters: BTreeMap<&'static str, Cluster>,
    /// Makes the world stand still.
    pub stall: Arc<Stall>,
    runtime: tokio::runtime::Runtime,
}

/// What a command printed.
pub struct Ran {
    /// Exit code; none when killed by a signal.
    pub code: Option<i32>,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
}

const FLEET: &str = "apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  clusters:
  - {name: local, context: gloo-fed, region: us-east-1, gloo: {edition: enterprise, version: 1.18.3, federation: {}}}
  - {name: remote, context: gloo-fed-2, region: us-west-1, gloo: {edition: open-source, version: 1.18.3}}
";

/// The guide's failover as a failctl document.
pub const COLOR: &str = "apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {name: color}
spec:
  service: {namespace: default, name: service-blue, port: 10000}
  order:
  - clusters: [{name: local}]
  - clusters: [{name: remote, service: {name: service-green}}]
  detection:
    activeHealthCheck: {path: /health, interval: 1s, timeout: 1s}
  retries: {attempts: 2, perTryTimeout: 500ms, idempotent: true}
  route: {hosts: [\"*\"], prefix: /}
";

impl Ground {
    /// Two clusters with Gloo's definitions, namespaces and discovered Upstreams, and `failctl.yaml` with the failover.
    pub fn new() -> Ground {
        let ground = Ground::bare();
        ground.put("local", upstream("blue"));
        ground.put("remote", upstream("green"));
        ground
    }

    /// The same, before discovery has found a Service.
    pub fn bare() -> Ground {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let stall = Arc::new(Stall::default());
        let servers = runtime.block_on(ApiServer::start_many(2));
        let named = ["local", "remote"].into_iter().zip(servers);
        let clusters = named.map(|(name, server)| (name, runtime.block_on(start(server, stall.clone())))).collect();
        let ground = Ground { dir, clusters, stall, runtime };
        for (name, contexts) in [("local", "gloo-fed"), ("remote", "gloo-fed-2")] {
            let federation = if name == "local" { crds::federation() } else { Vec::new() };
            for crd in crds::gloo().into_iter().chain(federation) {
                ground.put(name, serde_json::to_value(crd).unwrap());
            }
            for namespace in ["gloo-system", "gloo-fed"] {
                ground.put(name, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
            }
            let _ = contexts;
        }
        ground.write("failctl.yaml", &format!("{FLEET}---\n{COLOR}"));
        ground.write("kubeconfig", &ground.kubeconfig());
        ground
    }

    fn kubeconfig(&self) -> String {
        let contexts = [("local", "gloo-fed"), ("remote", "gloo-fed-2")];
        let cluster = |(n, _): &(&str, &str)| json!({"name": n, "cluster": {"server": format!("http://{}", self.clusters[n].address)}});
        let context = |(n, c): &(&str, &str)| json!({"name": c, "context": {"cluster": n, "user": "admin"}});
        json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "somewhere-else",
            "clusters": contexts.iter().map(cluster).collect::<Vec<_>>(),
            "users": [{"name": "admin", "user": {}}],
            "contexts": contexts.iter().map(context).collect::<Vec<_>>(),
        })
        .to_string()
    }

    /// Writes a file into the directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sends a request to a cluster behind the counters' back.
    pub fn ask(&self, cluster: &str, method: &str, path: &str, content: &str, body: Option<Value>) -> Value {
        let client = &self.clusters[cluster].client;
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", content).body(body);
        let answer = self.runtime.block_on(client.request::<Value>(request.unwrap()));
        answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Writes an object as `kubectl apply` of somebody else does.
    pub fn put(&self, cluster: &str, body: Value) -> Value {
        self.put_as(cluster, "kubectl-client-side-apply", body)
    }

    /// Writes an object as somebody else.
    pub fn put_as(&self, cluster: &str, manager: &str, body: Value) -> Value {
        let path = format!("{}?fieldManager={manager}", collection(&body));
        self.until("the kind is served", || self.list(cluster, &collection(&body)).is_ok());
        self.ask(cluster, "POST", &path, "application/json", Some(body))
    }

    /// A list, or why there is none: a server may need a moment to serve a kind that was only just defined.
    fn list(&self, cluster: &str, path: &str) -> Result<Value, kube::Error> {
        let request = http::Request::get(format!("{path}?limit=1")).body(Vec::new()).unwrap();
        self.runtime.block_on(self.clusters[cluster].client.request(request))
    }

    /// Changes an object as somebody else, with a merge patch.
    pub fn patch_as(&self, cluster: &str, manager: &str, kind: &str, name: &str, patch: Value) -> Value {
        let manager = manager.replace('/', "%2F");
        let path = format!("{}/{name}?fieldManager={manager}", place(kind));
        self.ask(cluster, "PATCH", &path, "application/merge-patch+json", Some(patch))
    }

    /// Deletes an object as somebody else.
    pub fn remove(&self, cluster: &str, kind: &str, name: &str) {
        self.ask(cluster, "DELETE", &format!("{}/{name}", place(kind)), "application/json", None);
    }

    /// Reads an object; null when there is none.
    pub fn get(&self, cluster: &str, kind: &str, name: &str) -> Value {
        let request = http::Request::get(format!("{}/{name}", place(kind))).body(Vec::new()).unwrap();
        let client = &self.clusters[cluster].client;
        match self.runtime.block_on(client.request::<Value>(request)) {
            Ok(object) => object,
            Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
            Err(e) => panic!("{kind} {name}: {e}"),
        }
    }

    /// Everything failctl could have touched, without what every write changes.
    pub fn world(&self) -> BTreeMap<String, Value> {
        let mut world = BTreeMap::new();
        for cluster in ["local", "remote"] {
            let federated = if cluster == "local" { &["FailoverScheme"][..] } else { &[] };
            for kind in ["Secret", "Service", "Gateway", "VirtualService", "Upstream"].iter().chain(federated) {
                let list = self.ask(cluster, "GET", place(kind), "application/json", None);
                for item in list["items"].as_array().unwrap() {
                    let mut item = item.clone();
                    let metadata = item["metadata"].as_object_mut().unwrap();
                    ["managedFields", "resourceVersion", "generation"]
                        .iter()
                        .for_each(|f| drop(metadata.shift_remove(*f)));
                    let name = metadata["name"].as_str().unwrap().to_string();
                    given_out(&mut item["spec"]);
                    world.insert(format!("{cluster} {kind} {name}"), item);
                }
            }
        }
        world
    }

    /// The command, ready to run in the directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(super::failctl());
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().env("KUBECONFIG", "kubeconfig").env("HOME", self.dir.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran { code: out.status.code(), out: text(&out.stdout), err: text(&out.stderr) }
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "failctl {}\n{}{}", args.join(" "), ran.out, ran.err);
        ran
    }

    /// Starts a command and leaves it running.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command and compares all it printed and its exit code with a golden file.
    pub fn golden(&self, name: &str, args: &[&str]) -> Ran {
        self.golden_but(name, args, &[])
    }

    /// The same, with words that differ from run to run replaced.
    pub fn golden_but(&self, name: &str, args: &[&str], words: &[(&str, &str)]) -> Ran {
        let ran = self.run(args);
        let code = ran.code.map_or("a signal".into(), |c| c.to_string());
        let text = format!(
            "$ failctl {}\n--- exit code {code}\n--- stdout\n{}--- stderr\n{}",
            args.join(" "),
            ran.out,
            ran.err
        );
        let text = words.iter().fold(text, |text, (word, steady)| text.replace(word, steady));
        super::golden(&format!("tests/golden/cli/{name}.txt"), &self.steady(&text));
        ran
    }

    /// Text without addresses, which differ from run to run.
    fn steady(&self, text: &str) -> String {
        let mut text = text.to_string();
        for (name, cluster) in &self.clusters {
            text = text.replace(&cluster.address.to_string(), &format!("<{name}>"));
        }
        let text = text.replace(&self.dir.path().display().to_string(), "<dir>");
        let text = regex::Regex::new(r"nodePort: \d+").unwrap().replace_all(&text, "nodePort: <given>");
        regex::Regex::new(r#""?10\.96\.\d+\.\d+"?"#).unwrap().replace_all(&text, "<given>").into_owned()
    }

    /// A cluster goes away: nobody listens any more.
    pub fn stop(&self, cluster: &str) {
        let cluster = &self.clusters[cluster];
        cluster.task.lock().unwrap().abort();
        while self.runtime.block_on(tokio::net::TcpStream::connect(cluster.address)).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A cluster that went away is back, with what it knew.
    pub fn start_again(&self, cluster: &str) {
        let cluster = &self.clusters[cluster];
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind(cluster.address)).unwrap();
        *cluster.task.lock().unwrap() = self.runtime.spawn(listen(listener, cluster.front.clone()));
    }

    /// Runs something beside the test.
    pub fn spawn(&self, what: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(what);
    }

    /// A free port of 127.0.0.1, listened on.
    pub fn listener(&self) -> tokio::net::TcpListener {
        self.runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap()
    }

    /// Waits for something, at most a minute.
    pub fn until(&self, what: &str, test: impl Fn() -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while !test() {
            assert!(std::time::Instant::now() < end, "in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Replaces what a server gives out by chance.
fn given_out(spec: &mut Value) {
    for field in ["clusterIP", "clusterIPs"] {
        if let Some(value) = spec.get_mut(field) {
            *value = "given".into();
        }
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(value) = port.get_mut("nodePort") {
            *value = "given".into();
        }
    }
}

/// Where the objects of a kind are, in the namespaces that the tests use.
fn place(kind: &str) -> &'static str {
    match kind {
        "Secret" => "/api/v1/namespaces/gloo-system/secrets",
        "Service" => "/api/v1/namespaces/gloo-system/services",
        "ConfigMap" => "/api/v1/namespaces/default/configmaps",
        "Gateway" => "/apis/gateway.solo.io/v1/namespaces/gloo-system/gateways",
        "VirtualService" => "/apis/gateway.solo.io/v1/namespaces/gloo-system/virtualservices",
        "Deployment" => "/apis/apps/v1/namespaces/default/deployments",
        "Upstream" => "/apis/gloo.solo.io/v1/namespaces/gloo-system/upstreams",
        "FailoverScheme" => "/apis/fed.solo.io/v1/namespaces/gloo-system/failoverschemes",
        other => panic!("where is {other}?"),
    }
}

fn collection(body: &Value) -> String {
    let text = |p: &str| body.pointer(p).and_then(Value::as_str);
    let gvk = failctl::manifest::Gvk::new(text("/apiVersion").unwrap(), text("/kind").unwrap());
    let kind = failctl::cluster::KindOf::known(&gvk).unwrap();
    failctl::cluster::url_of(&gvk, &kind, text("/metadata/namespace"), None)
}

/// The Upstream that Gloo's discovery makes of a Service of the guide.
pub fn upstream(color: &str) -> Value {
    json!({
        "apiVersion": "gloo.solo.io/v1", "kind": "Upstream",
        "metadata": {"name": format!("default-service-{color}-10000"), "namespace": "gloo-system",
            "labels": {"discovered_by": "kubernetesplugin"}},
        "spec": {"kube": {"serviceName": format!("service-{color}"), "serviceNamespace": "default",
            "servicePort": 10000, "selector": {"app": "bluegreen", "text": color}}},
    })
}

/// A VirtualService of the user's own, for all hosts.
pub fn users_routes() -> Value {
    let route = |name: &str, prefix: &str| {
        json!({"name": name, "matchers": [{"prefix": prefix}],
            "routeAction": {"single": {"upstream": {"name": "old", "namespace": "gloo-system"}}}})
    };
    json!({
        "apiVersion": "gateway.solo.io/v1", "kind": "VirtualService",
        "metadata": {"name": "mine", "namespace": "gloo-system"},
        "spec": {"virtualHost": {"domains": ["*"], "routes": [route("api", "/api"), route("all", "/")]}},
    })
}

async fn start(server: ApiServer, stall: Arc<Stall>) -> Cluster {
    let client = server.client().await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let front = Front {
        client: client.clone(),
        writes: Arc::default(),
        log: Arc::default(),
        fault: Arc::default(),
        release: Arc::default(),
        stall,
    };
    let (writes, log) = (front.writes.clone(), front.log.clone());
    let task = Mutex::new(tokio::spawn(listen(listener, front.clone())));
    Cluster { client, address, writes, log, front, task, _server: server }
}

async fn listen(listener: tokio::net::TcpListener, front: Front) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let front = front.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |r| front.clone().serve(r));
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

#[derive(Clone)]
struct Front {
    client: Client,
    writes: Arc<AtomicUsize>,
    log: Arc<Mutex<Vec<String>>>,
    fault: Arc<Mutex<Fault>>,
    release: Arc<tokio::sync::Notify>,
    stall: Arc<Stall>,
}

type Answer = Result<http::Response<Full<bytes::Bytes>>, std::io::Error>;

impl Front {
    async fn serve(self, request: http::Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        self.log.lock().unwrap().push(format!("{} {path}", parts.method));
        let n = self.stall.count(parts.method != http::Method::GET);
        self.stall.here(n, false).await?;
        let writes = parts.method != http::Method::GET;
        let fault = if writes { self.next_fault() } else { *self.fault.lock().unwrap() };
        if let (Fault::Refuse(_, code), true) = (fault, writes) {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": "Broken", "message": "broken on purpose", "metadata": {}});
            let body = Full::new(status.to_string().into());
            let answer = http::Response::builder().status(code).header("content-type", "application/json").body(body);
            return Ok(answer.unwrap());
        }
        let uri = path.parse::<http::Uri>().unwrap();
        let mut forwarded = http::Request::builder().method(parts.method).uri(uri);
        *forwarded.headers_mut().unwrap() = parts.headers;
        let forwarded = forwarded.body(kube::client::Body::from(body)).unwrap();
        let answer = self.client.send(forwarded).await.map_err(std::io::Error::other)?;
        self.stall.here(n, true).await?;
        match (fault, writes) {
            (Fault::Hang(0), _) => {
                self.release.notified().await;
                return Err(std::io::Error::other("let go"));
            }
            (Fault::Break(_), true) => return Err(std::io::Error::other("broken on purpose")),
            _ => {}
        }
        if writes {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        Ok(http::Response::from_parts(parts, Full::new(body)))
    }

    /// The fault that meets this write, and the one that is left for the next.
    fn next_fault(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let now = *fault;
        *fault = match now {
            Fault::Refuse(n, code) if n > 1 => Fault::Refuse(n - 1, code),
            Fault::Break(n) if n > 1 => Fault::Break(n - 1),
            Fault::Refuse(..) | Fault::Break(_) | Fault::None => Fault::None,
            Fault::Hang(n) => Fault::Hang(n.saturating_sub(1)),
        };
        match (now, *fault) {
            (Fault::Hang(_), left) => left,
            (now, _) => now,
        }
    }
}

/// The fleet document alone.
pub fn fleet() -> &'static str {
    FLEET
}

/// Whether a path exists under the directory of a ground.
pub fn exists(ground: &Ground, name: &str) -> bool {
    Path::exists(&ground.dir.path().join(name))
}
