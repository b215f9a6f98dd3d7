//! Two clusters of a mesh, real Envoys, fed from objects in API servers: failover through mTLS and an east-west gateway,
//! and what each object carries.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener as Claim};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use failctl::manifest::{Gvk, World};
use failctl::model::name::ClusterName;
use failctl::pki::{Algorithm, Cacerts, Intermediate, Issued, Key, issue_intermediate, issue_root};
use failctl::sandbox::api::{ApiConfig, Server};
use failctl::sandbox::child::{Child, Keeper, Program};
use failctl::sandbox::istio_control::{Install, IstioConfig, WEBHOOK_PORT, XDS_PORT, objects, run};
use failctl::sandbox::node::sidecar::{ProxyArgs, bootstrap};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::envoys::envoy;
use crate::routing_istio::{article, edit};
use crate::support::failctl as failctl_program;

/// Patience for what takes milliseconds on a quiet machine and seconds on a busy one.
const SOON: Duration = Duration::from_secs(60);
/// The account every pod of an application has here, by the application.
const ACCOUNTS: [&str; 5] = [
    "bookinfo-productpage",
    "bookinfo-reviews",
    "istio-ingressgateway-service-account",
    "istio-eastwestgateway-service-account",
    "default",
];

/// A range of loopback addresses nobody else uses while this lives.
struct Range {
    second: u8,
    _claim: Claim,
}

impl Range {
    fn take() -> Self {
        let free = |second: u8| Claim::bind((IpAddr::from([127, second, 255, 254]), 49999)).ok().map(|c| (second, c));
        let (second, _claim) = (2..30).find_map(free).expect("a free range below 127.30");
        Range { second, _claim }
    }

    fn address(&self, third: u8, fourth: u8) -> IpAddr {
        IpAddr::from([127, self.second, third, fourth])
    }
}

/// Where an application has an error of its own.
const BROKEN: &str = "/broken";

/// An application that answers its version, behind a sidecar.
struct Application {
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Application {
    async fn start(address: IpAddr, version: &'static str) -> Self {
        let listener = TcpListener::bind((address, 9080)).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let done = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.unwrap();
                        let service = service_fn(move |request: Request<hyper::body::Incoming>| async move {
                            let mut answer = Response::new(Full::new(Bytes::from_static(version.as_bytes())));
                            if request.uri().path() == BROKEN {
                                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                            }
                            Ok::<_, std::convert::Infallible>(answer)
                        });
                        connections.spawn(async move {
                            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        });
                    }
                }
            }
        });
        Application { stop, done }
    }

    /// The listener and every connection are gone when this returns.
    async fn kill(self) {
        self.stop.cancel();
        self.done.await.unwrap();
    }
}

/// One pod's Envoy, and the lines it writes.
struct Proxy {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Proxy {
    async fn start(role: &str, pod: &str, namespace: &str, address: IpAddr, control: IpAddr) -> Self {
        let args = ProxyArgs::parse(&["proxy".to_string(), role.to_string()]).unwrap();
        let discovery = json!({"discoveryAddress": SocketAddr::new(control, XDS_PORT).to_string()}).to_string();
        let env: BTreeMap<String, String> =
            [("POD_NAME", pod), ("POD_NAMESPACE", namespace), ("PROXY_CONFIG", &discovery)]
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .into();
        let config = bootstrap(&args, &env, address).unwrap().to_string();
        let mut line = vec!["--config-yaml".into(), config.into(), "--use-dynamic-base-id".into()];
        line.extend(args.envoy().into_iter().map(Into::into));
        line.extend(["--file-flush-interval-msec".into(), "10".into()]);
        let program = Program { path: envoy().await, args: line, ..Program::default() };
        let mut child = Keeper::new(&failctl_program()).unwrap().start(program).await.unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        read(child.stdout(), log.clone());
        read(child.stderr(), log.clone());
        Proxy { child, log }
    }

    /// Both ends of the requests it logged, with their codes, as the certificates say.
    fn principals(&self, direction: &str) -> Vec<(String, String, u64)> {
        let text = |l: &Value, f: &str| l[f].as_str().unwrap_or("-").to_string();
        let log = self.log.lock().unwrap();
        let mut all: Vec<_> = log
            .iter()
            .filter(|l| l["direction"] == direction)
            .map(|l| (text(l, "source_principal"), text(l, "target_principal"), l["code"].as_u64().unwrap_or(0)))
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Reads a pipe to its end, so that the child never waits for us. `SHOW_ENVOY=1` shows what it says.
fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin + Send + 'static>, log: Arc<Mutex<Vec<Value>>>) {
    let Some(pipe) = pipe else { return };
    let show = std::env::var_os("SHOW_ENVOY").is_some();
    tokio::spawn(async move {
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(pipe));
        while let Ok(Some(line)) = lines.next_line().await {
            if show {
                std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).ok();
            }
            log.lock().unwrap().extend(serde_json::from_str::<Value>(&line));
        }
    });
}

/// One cluster: an API server and the control plane that reads it.
struct Cluster {
    name: ClusterName,
    client: kube::Client,
    control: IpAddr,
    _server: Server,
    _stop: DropGuard,
}

impl Cluster {
    async fn start(name: &str, control: IpAddr) -> Self {
        let server = Server::start(ApiConfig::new(name, ([127, 0, 0, 1], 0).into())).await.unwrap();
        let client = server.client().await.unwrap();
        let (stop, name) = (CancellationToken::new(), ClusterName::new(name).unwrap());
        let config = IstioConfig {
            client: client.clone(),
            cluster: name.clone(),
            namespace: "istio-system".into(),
            network: name.to_string(),
            version: "1.28.0".into(),
            xds: (control, XDS_PORT).into(),
            webhook: (control, WEBHOOK_PORT).into(),
        };
        let stopped = stop.clone();
        tokio::spawn(async move { run(config, stopped).await.unwrap() });
        let cluster = Cluster { name, client, control, _server: server, _stop: stop.drop_guard() };
        for definition in failctl::sandbox::crds::istio() {
            cluster.create(&serde_json::to_value(definition).unwrap()).await;
        }
        cluster
    }

    fn of(&self, body: &Value) -> kube::Api<DynamicObject> {
        let gvk = Gvk::new(body["apiVersion"].as_str().unwrap(), body["kind"].as_str().unwrap());
        let lower = gvk.kind.to_lowercase();
        let plural = match lower.strip_suffix('y') {
            Some(stem) if !lower.ends_with("ay") => format!("{stem}ies"),
            _ => format!("{lower}s"),
        };
        let gvk = GroupVersionKind::gvk(&gvk.group, &gvk.version, &gvk.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
        match body["metadata"]["namespace"].as_str() {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn create(&self, body: &Value) -> Value {
        let object: DynamicObject = serde_json::from_value(body.clone()).unwrap();
        let made = self.of(body).create(&Default::default(), &object).await.unwrap_or_else(|e| panic!("{e}: {body}"));
        if body.get("status").is_some() {
            let patch = Patch::Merge(json!({"status": body["status"]}));
            let name = body["metadata"]["name"].as_str().unwrap();
            self.of(body).patch_status(name, &Default::default(), &patch).await.unwrap();
        }
        serde_json::to_value(made).unwrap()
    }

    /// Everything of a world that is on this cluster.
    async fn hold(&self, world: &World) {
        self.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})).await;
        for (namespace, account) in ["default", "istio-system"].iter().flat_map(|n| ACCOUNTS.map(|a| (n, a))) {
            if account != "default" {
                self.create(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}})).await;
            }
        }
        let own = world.clusters[&self.name].by_key.values();
        for body in own.filter(|b| !["Namespace", "Node"].contains(&b["kind"].as_str().unwrap())) {
            self.create(body).await;
        }
    }

    async fn patch(&self, body: &Value, patch: Value) {
        let name = body["metadata"]["name"].as_str().unwrap();
        self.of(body).patch(name, &Default::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn delete(&self, body: &Value) {
        self.of(body).delete(body["metadata"]["name"].as_str().unwrap(), &Default::default()).await.unwrap();
    }

    /// The object in a world, for its address.
    fn find<'a>(&self, world: &'a World, kind: &str, name: &str) -> &'a Value {
        let all = &world.clusters[&self.name].by_key;
        all.iter().find(|(k, _)| k.gvk.kind == kind && k.name == name).unwrap_or_else(|| panic!("no {kind} {name}")).1
    }
}

/// A fleet's root, and what it signs for each cluster.
pub struct Trust(Issued);

impl Trust {
    pub fn new() -> Self {
        let key = Key::generate(Algorithm::EcdsaP256).unwrap();
        Trust(issue_root("article", key, jiff::Timestamp::now(), 30, rand::random()).unwrap())
    }

    pub fn cacerts(&self, cluster: &ClusterName) -> Value {
        let name =
            Intermediate { fleet: "article", cluster, trust_domain: cluster.as_str(), namespace: "istio-system" };
        let key = Key::generate(Algorithm::EcdsaP256).unwrap();
        let authority = issue_intermediate(&name, key, &self.0, jiff::Timestamp::now(), 30, rand::random()).unwrap();
        Cacerts::new(authority, &self.0.certificate, &self.0.certificate).manifest(cluster, "istio-system").body
    }
}

/// The article's clusters on this machine, one version of reviews on each.
struct Scene {
    world: World,
    kind2: Cluster,
    kind3: Cluster,
    trust: Trust,
    productpage: Proxy,
    local: Proxy,
    remote: Proxy,
    gateway: Proxy,
    v1: Option<Application>,
    _v3: Application,
    /// Where the sidecar of productpage is its application's HTTP proxy.
    proxy: SocketAddr,
    range: Range,
}

impl Scene {
    async fn start() -> Self {
        let (range, trust) = (Range::take(), Trust::new());
        let mut world = Scene::world(&range);
        let (kind2, kind3) =
            tokio::join!(Cluster::start("kind2", range.address(0, 3)), Cluster::start("kind3", range.address(16, 3)));
        for cluster in [&kind2, &kind3] {
            world.insert(&cluster.name, trust.cacerts(&cluster.name)).unwrap();
        }
        tokio::join!(kind2.hold(&world), kind3.hold(&world));
        let v1 = Some(Application::start(range.address(9, 2), "v1").await);
        let _v3 = Application::start(range.address(25, 2), "v3").await;
        let sidecar = |pod, address, control| Proxy::start("sidecar", pod, "default", address, control);
        let (productpage, local, remote, gateway) = tokio::join!(
            sidecar("productpage-v1-a", range.address(2, 1), kind2.control),
            sidecar("reviews-v1-a", range.address(2, 2), kind2.control),
            sidecar("reviews-v3-a", range.address(18, 2), kind3.control),
            Proxy::start("router", "istio-eastwestgateway-a", "istio-system", range.address(18, 9), kind3.control),
        );
        let proxy = SocketAddr::new(range.address(9, 1), 15002);
        let scene = Scene { world, kind2, kind3, trust, productpage, local, remote, gateway, v1, _v3, proxy, range };
        scene.answers("v1").await;
        scene
    }

    /// The article's objects with this range's addresses, and times in which a test can wait.
    fn world(range: &Range) -> World {
        let text = |ip: IpAddr| json!(ip.to_string());
        let mut world = article();
        for object in ["reviews-v2-a", "istio-ingressgateway-a"] {
            let objects = world.clusters.get_mut(&ClusterName::new("kind2").unwrap()).unwrap();
            objects.by_key.retain(|k, _| k.name != object);
        }
        let pods = [
            ("kind2", "productpage-v1-a", (2, 1), Some((9, 1))),
            ("kind2", "reviews-v1-a", (2, 2), Some((9, 2))),
            ("kind3", "reviews-v3-a", (18, 2), Some((25, 2))),
            ("kind3", "istio-eastwestgateway-a", (18, 9), None),
        ];
        for (cluster, pod, (third, fourth), inner) in pods {
            edit(&mut world, cluster, "Pod", pod, |p| {
                p["status"]["podIP"] = text(range.address(third, fourth));
                p["spec"].as_object_mut().unwrap().shift_remove("nodeName");
                if let Some((third, fourth)) = inner {
                    p["metadata"]["annotations"]["sandbox.failctl.dev/inner-ip"] = text(range.address(third, fourth));
                }
            });
        }
        let slices = [
            ("kind2", "productpage-1", "productpage-v1-a", (2, 1)),
            ("kind2", "reviews-1", "reviews-v1-a", (2, 2)),
            ("kind3", "reviews-1", "reviews-v3-a", (18, 2)),
        ];
        for (cluster, slice, pod, (third, fourth)) in slices {
            edit(&mut world, cluster, "EndpointSlice", slice, |s| {
                s["endpoints"] = json!([{"addresses": [text(range.address(third, fourth))], "conditions": {"ready": true},
                    "targetRef": {"kind": "Pod", "name": pod, "namespace": "default"}}]);
            });
        }
        for service in ["productpage", "reviews", "istio-ingressgateway"] {
            edit(&mut world, "kind2", "Service", service, |s| {
                drop(s["spec"].as_object_mut().unwrap().shift_remove("clusterIP"))
            });
        }
        for service in ["reviews", "istio-eastwestgateway"] {
            edit(&mut world, "kind3", "Service", service, |s| {
                drop(s["spec"].as_object_mut().unwrap().shift_remove("clusterIP"))
            });
        }
        edit(&mut world, "kind2", "ServiceEntry", "reviews.default.svc.kind3.global", |e| {
            e["spec"]["endpoints"][0]["address"] = text(range.address(18, 9));
        });
        for rule in ["reviews", "reviews.default.svc.kind3.global"] {
            edit(&mut world, "kind2", "DestinationRule", rule, |r| {
                let outlier = &mut r["spec"]["trafficPolicy"]["outlierDetection"];
                outlier["interval"] = json!("500ms");
                outlier["baseEjectionTime"] = json!("1s");
            });
        }
        world
    }

    /// What the application of productpage gets for `http://reviews:9080/` through its sidecar.
    async fn ask(&self) -> String {
        self.ask_for("/reviews/0").await
    }

    async fn ask_for(&self, path: &str) -> String {
        match ask(self.proxy, &format!("http://reviews:9080{path}")).await {
            Some((StatusCode::OK, body)) => body,
            Some((status, _)) => status.as_u16().to_string(),
            None => "nothing".into(),
        }
    }

    async fn answers(&self, expected: &str) {
        until(&format!("waiting for {expected}"), async || self.ask().await, |a| a == expected).await;
    }

    /// Nobody answers for a while: not once in a row of requests.
    async fn fails(&self, why: &str) {
        let mut row = 0;
        let start = Instant::now();
        while row < 20 {
            let answer = self.ask().await;
            row = if answer.starts_with('v') { 0 } else { row + 1 };
            assert!(start.elapsed() < SOON, "{why}: still {answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The sidecar of the other cluster's reviews dies, and another takes its place.
    async fn replace_remote(&mut self) {
        self.remote.child.stop(Duration::from_secs(1)).await.unwrap();
        let address = self.range.address(18, 2);
        self.remote = Proxy::start("sidecar", "reviews-v3-a", "default", address, self.kind3.control).await;
    }

    async fn stop(self) {
        let Scene { productpage, local, remote, gateway, .. } = self;
        for mut proxy in [productpage, local, remote, gateway] {
            proxy.child.stop(Duration::from_secs(1)).await.unwrap();
        }
    }
}

/// A request by way of an HTTP proxy, as an application with `http_proxy` makes it.
async fn ask(proxy: SocketAddr, url: &str) -> Option<(StatusCode, String)> {
    let asked = async {
        let stream = TcpStream::connect(proxy).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let driving = tokio::spawn(connection);
        let uri: http::Uri = url.parse().unwrap();
        let host = uri.authority().unwrap().to_string();
        let request = Request::get(uri).header("host", host).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        driving.abort();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(Duration::from_secs(10), asked).await.ok().flatten()
}

/// Asks until the condition holds; what was seen last is part of the failure.
async fn until<T: std::fmt::Debug>(what: &str, mut ask: impl AsyncFnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let seen = ask().await;
        if holds(&seen) {
            return seen;
        }
        assert!(start.elapsed() < SOON, "{what}: still {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_follow_the_reviews_to_the_other_cluster_without_one_lost_and_come_back() {
    let mut scene = Scene::start().await;
    // Both sides must be up before one is missed: v1 is back only once v3 has answered in its place.
    scene.v1.take().unwrap().kill().await;
    scene.answers("v3").await;
    scene.v1 = Some(Application::start(scene.range.address(9, 2), "v1").await);
    scene.answers("v1").await;
    scene.v1.take().unwrap().kill().await;
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(scene.ask().await);
    }
    let lost = answers.iter().filter(|a| *a != "v3").count();
    assert_eq!(lost, 0, "retries reach the other cluster: {answers:?}");
    let (caller, local, remote) = (
        "spiffe://kind2/ns/default/sa/bookinfo-productpage".to_string(),
        "spiffe://kind2/ns/default/sa/bookinfo-reviews".to_string(),
        "spiffe://kind3/ns/default/sa/bookinfo-reviews".to_string(),
    );
    // Logs are written a little after the answers.
    let seen = async || {
        (
            scene.productpage.principals("outbound"),
            scene.local.principals("inbound"),
            scene.remote.principals("inbound"),
        )
    };
    let all = |(outbound, near, far): &(Vec<_>, Vec<_>, Vec<_>)| {
        let row = |to: &String, code| (caller.clone(), to.clone(), code);
        outbound.contains(&row(&local, 200))
            && outbound.contains(&row(&remote, 200))
            && near.contains(&row(&local, 200))
            && near.contains(&row(&local, 503))
            && *far == [row(&remote, 200)]
    };
    until("access logs name both ends", seen, all).await;
    scene.v1 = Some(Application::start(scene.range.address(9, 2), "v1").await);
    scene.answers("v1").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_object_breaks_exactly_what_it_carries_and_brings_it_back() {
    let mut scene = Scene::start().await;
    scene.v1.take().unwrap().kill().await;
    scene.answers("v3").await;
    let carried = [
        ("kind2", "EnvoyFilter", "reviews-failover"),
        ("kind2", "ServiceEntry", "reviews.default.svc.kind3.global"),
        ("kind2", "VirtualService", "reviews"),
        ("kind3", "Gateway", "failctl-federation"),
        ("kind3", "ServiceEntry", "reviews.default.svc.kind3.global"),
    ];
    for (cluster, kind, name) in carried {
        let cluster = if cluster == "kind2" { &scene.kind2 } else { &scene.kind3 };
        let object = cluster.find(&scene.world, kind, name);
        cluster.delete(object).await;
        scene.fails(&format!("without {kind} {name} nobody should answer")).await;
        cluster.create(object).await;
        scene.answers("v3").await;
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_a_strange_trust_domain_and_another_root_are_refused() {
    let mut scene = Scene::start().await;
    scene.v1.take().unwrap().kill().await;
    scene.answers("v3").await;

    let rule = scene.kind2.find(&scene.world, "DestinationRule", "reviews.default.svc.kind3.global");
    let names = |name: &str| json!({"spec": {"trafficPolicy": {"tls": {"subjectAltNames": [name]}}}});
    scene.kind2.patch(rule, names("spiffe://kind3/ns/default/sa/somebody-else")).await;
    scene.fails("the server has another name").await;
    scene.kind2.patch(rule, names("spiffe://kind3/ns/default/sa/bookinfo-reviews")).await;
    scene.answers("v3").await;

    let mesh = scene.kind3.find(&scene.world, "ConfigMap", "istio");
    scene.kind3.patch(mesh, json!({"data": {"mesh": "trustDomain: kind3\nproxyHttpPort: 15002\n"}})).await;
    scene.fails("the caller is of a trust domain that is not let in").await;
    scene.kind3.patch(mesh, json!({"data": mesh["data"]})).await;
    scene.answers("v3").await;

    let secret = &scene.kind3.find(&scene.world, "Secret", "cacerts").clone();
    let other = Trust::new().cacerts(&scene.kind3.name);
    scene.kind3.patch(secret, json!({"data": other["data"]})).await;
    // Who is connected stays connected, as with real sidecars: a new pod shows what the new root means.
    scene.replace_remote().await;
    scene.fails("the other cluster has another root").await;
    let renewed = scene.trust.cacerts(&scene.kind3.name);
    scene.kind3.patch(secret, json!({"data": renewed["data"]})).await;
    scene.answers("v3").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_one_pod_takes_its_whole_cluster_out_unless_only_gateway_errors_count() {
    let mut scene = Scene::start().await;
    scene.v1.take().unwrap().kill().await;
    scene.answers("v3").await;
    let after_an_error = async || (scene.ask_for(BROKEN).await, scene.ask().await);
    until("the article's rule ejects the gateway", after_an_error, |(_, next)| next == "503").await;

    let rule = scene.kind2.find(&scene.world, "DestinationRule", "reviews.default.svc.kind3.global");
    let gentler = json!({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3});
    scene.kind2.patch(rule, json!({"spec": {"trafficPolicy": {"outlierDetection": gentler}}})).await;
    let many = async || {
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.push(after_an_error().await);
        }
        seen
    };
    let stays = |seen: &Vec<(String, String)>| seen.iter().all(|(error, next)| error == "500" && next == "v3");
    until("the other cluster goes on to serve", many, stays).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_a_labelled_namespace_get_a_sidecar_from_the_webhook_and_others_do_not() {
    let range = Range::take();
    let cluster = Cluster::start("kind2", range.address(0, 3)).await;
    let install = Install {
        namespace: "istio-system".into(),
        version: "1.28.0".into(),
        cluster: "kind2".into(),
        trust_domain: "kind2".into(),
        aliases: vec!["kind3".into()],
        network: "net2".into(),
        xds: (range.address(0, 3), XDS_PORT).into(),
        webhook: (range.address(0, 3), WEBHOOK_PORT).into(),
        http: 80,
        https: 443,
    };
    for object in objects(&install) {
        cluster.create(&object).await;
    }
    for (name, labels) in [("shop", json!({"istio-injection": "enabled"})), ("plain", json!({}))] {
        cluster
            .create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
            .await;
    }
    let pod = |name: &str, namespace: &str, label: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace,
            "labels": {"app": "web", "sidecar.istio.io/inject": label}},
            "spec": {"containers": [{"name": "web", "image": "hashicorp/http-echo"}]}})
    };
    let containers = |pod: &Value| {
        let all = pod["spec"]["containers"].as_array().unwrap();
        all.iter().map(|c| c["name"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    // Until istiod has said by what its webhook is to be trusted, pods are refused: it must not be bypassed.
    let injector = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "istio-sidecar-injector"}});
    let bundle = async || {
        let found = cluster.of(&injector).get("istio-sidecar-injector").await.unwrap();
        serde_json::to_value(found).unwrap()["webhooks"][0]["clientConfig"]["caBundle"].clone()
    };
    until("istiod says by what its webhook is trusted", bundle, |b| b.is_string()).await;
    let injected = cluster.create(&pod("web", "shop", "true")).await;
    assert_eq!(containers(&injected), ["web", "istio-proxy"]);
    assert_eq!(injected["metadata"]["labels"]["security.istio.io/tlsMode"], "istio");
    assert_eq!(containers(&cluster.create(&pod("unwilling", "shop", "false")).await), ["web"]);
    assert_eq!(containers(&cluster.create(&pod("web", "plain", "true")).await), ["web"]);
    // Without cacerts istiod makes an authority of its own, and keeps it.
    let own = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-ca-secret", "namespace": "istio-system"}});
    until(
        "istiod's own authority",
        async || cluster.of(&own).get_opt("istio-ca-secret").await.unwrap().is_some(),
        |b| *b,
    )
    .await;
    let root = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio-ca-root-cert", "namespace": "shop"}});
    let there = async || cluster.of(&root).get_opt("istio-ca-root-cert").await.unwrap().is_some();
    until("the mesh's root in every namespace", there, |b| *b).await;
}
