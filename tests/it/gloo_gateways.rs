//! Two gateways, real Envoys, fed from objects: failover through mutual TLS, and what breaks it.

use std::net::{IpAddr, SocketAddr, TcpListener as Claim};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use failctl::envoy::admin::{self, Failed, Host};
use failctl::envoy::config::{Names, bootstrap};
use failctl::manifest::{Gvk, World};
use failctl::model::name::ClusterName;
use failctl::sandbox::api::{ApiConfig, Server};
use failctl::sandbox::child::{Child, Keeper, Program};
use failctl::sandbox::gloo_control::{ControlConfig, Snapshot, role, run};
use failctl::sandbox::xds::serve;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::envoys::envoy;
use crate::routing::{edit, world};
use crate::support::failctl as failctl_program;

/// Patience for what takes milliseconds on a quiet machine and seconds on a busy one.
const SOON: Duration = Duration::from_secs(20);

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

/// A service that answers its colour.
struct Backend {
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Backend {
    async fn start(address: SocketAddr, colour: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let done = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.unwrap();
                        let service = service_fn(move |_: Request<hyper::body::Incoming>| async move {
                            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(colour.as_bytes()))))
                        });
                        connections.spawn(async move {
                            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        });
                    }
                }
            }
        });
        Backend { stop, done }
    }

    /// The listener and every connection are gone when this returns.
    async fn kill(self) {
        self.stop.cancel();
        self.done.await.unwrap();
    }
}

/// One cluster's gateway: a real Envoy and the control plane that feeds it.
struct Gateway {
    cluster: ClusterName,
    address: IpAddr,
    /// Feeds it worlds; nothing when it reads them from an API server.
    publish: Option<watch::Sender<Arc<Snapshot>>>,
    envoy: Child,
    control: IpAddr,
    stop: tokio_util::sync::DropGuard,
}

impl Gateway {
    async fn start(cluster: &str, address: IpAddr, control: IpAddr, world: &World) -> Self {
        let cluster = ClusterName::new(cluster).unwrap();
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::of(world, &cluster, Names::new())));
        let listener = TcpListener::bind((control, 9977)).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, snapshots, stop.clone()));
        let envoy = start_envoy(address, control).await;
        Gateway { cluster, address, publish: Some(publish), envoy, control, stop: stop.drop_guard() }
    }

    /// A gateway that lives on what an API server holds.
    async fn reading(cluster: &str, address: IpAddr, control: IpAddr, client: kube::Client) -> Self {
        let cluster = ClusterName::new(cluster).unwrap();
        let bind = (control, 9977).into();
        let config = ControlConfig { client, cluster: cluster.clone(), namespace: "gloo-system".into(), bind };
        let stop = CancellationToken::new();
        tokio::spawn(run(config, stop.clone()));
        let envoy = start_envoy(address, control).await;
        Gateway { cluster, address, publish: None, envoy, control, stop: stop.drop_guard() }
    }

    fn show(&self, world: &World) {
        let snapshot = Arc::new(Snapshot::of(world, &self.cluster, Names::new()));
        self.publish.as_ref().expect("a gateway that is fed").send_replace(snapshot);
    }

    /// The control plane dies, and another takes its place after a while.
    async fn lose_control(&mut self, away: Duration, world: &World) {
        let stop = CancellationToken::new();
        drop(std::mem::replace(&mut self.stop, stop.clone().drop_guard()));
        tokio::time::sleep(away).await;
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::of(world, &self.cluster, Names::new())));
        let listener = TcpListener::bind((self.control, 9977)).await.unwrap();
        tokio::spawn(serve(listener, snapshots, stop));
        self.publish = Some(publish);
    }

    async fn hosts(&self) -> Vec<Host> {
        match get(self.address, 19000, "/clusters?format=json").await {
            Some((StatusCode::OK, body)) => admin::hosts(&body).unwrap(),
            _ => Vec::new(),
        }
    }

    /// The backup of the blue upstream, as the primary's Envoy sees it.
    async fn backup(&self) -> Option<Host> {
        let blue = |h: &Host| h.cluster.starts_with("default-service-blue") && h.priority == 1;
        self.hosts().await.into_iter().find(blue)
    }

    async fn stop(mut self) {
        self.envoy.stop(Duration::from_secs(1)).await.unwrap();
    }
}

async fn start_envoy(address: IpAddr, control: IpAddr) -> Child {
    let ip = address.to_string();
    let config = bootstrap("gateway-proxy-1", &ip, &role("gloo-system", "gateway-proxy"), &control.to_string(), 9977);
    let config = config.to_string();
    let more = ["--use-dynamic-base-id", "--concurrency", "1", "--drain-time-s", "1", "--log-level", "warning"];
    let args = ["--config-yaml", &config].into_iter().chain(more).map(Into::into).collect();
    let program = Program { path: envoy().await, args, ..Program::default() };
    let mut child = Keeper::new(&failctl_program()).unwrap().start(program).await.unwrap();
    drain(child.stdout());
    drain(child.stderr());
    child
}

/// Reads a pipe to its end, so that the child never waits for us. `SHOW_ENVOY=1` shows what it says.
fn drain(pipe: Option<impl tokio::io::AsyncRead + Unpin + Send + 'static>) {
    let Some(pipe) = pipe else { return };
    let show = std::env::var_os("SHOW_ENVOY").is_some();
    tokio::spawn(async move {
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(pipe));
        while let Ok(Some(line)) = lines.next_line().await {
            if show {
                std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).ok();
            }
        }
    });
}

async fn get(address: IpAddr, port: u16, path: &str) -> Option<(StatusCode, Bytes)> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{}{path}", SocketAddr::new(address, port));
    let request = client.get(uri.parse().unwrap());
    let response = tokio::time::timeout(Duration::from_secs(5), request).await.ok()?.ok()?;
    Some((response.status(), response.into_body().collect().await.ok()?.to_bytes()))
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

/// A root and leaves under it.
struct Authority {
    root: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a root for this test");
        let key = rcgen::KeyPair::generate().unwrap();
        Authority { root: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    fn pem(&self) -> String {
        self.root.pem()
    }

    fn secret(&self, name: &str, san: &str, root: &Authority) -> serde_json::Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![san.to_string()]).unwrap().signed_by(&key, &self.root).unwrap();
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": name, "namespace": "gloo-system" },
            "stringData": { "tls.crt": leaf.pem(), "tls.key": key.serialize_pem(), "ca.crt": root.pem() }
        })
    }
}

/// One cluster's API server.
struct Api {
    cluster: ClusterName,
    client: kube::Client,
    server: Server,
}

impl Api {
    async fn start(cluster: &str) -> Self {
        let server = Server::start(ApiConfig::new(cluster, ([127, 0, 0, 1], 0).into())).await.unwrap();
        let client = server.client().await.unwrap();
        let api = Api { cluster: ClusterName::new(cluster).unwrap(), client, server };
        for definition in failctl::sandbox::crds::gloo() {
            api.create(serde_json::to_value(definition).unwrap()).await;
        }
        api
    }

    fn of(&self, body: &Value) -> kube::Api<DynamicObject> {
        let gvk = Gvk::new(body["apiVersion"].as_str().unwrap(), body["kind"].as_str().unwrap());
        let plural = match gvk.kind.as_str() {
            "CustomResourceDefinition" => "customresourcedefinitions".to_string(),
            kind => format!("{}s", kind.to_lowercase()),
        };
        let gvk = GroupVersionKind::gvk(&gvk.group, &gvk.version, &gvk.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
        match body["metadata"]["namespace"].as_str() {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn create(&self, body: Value) {
        let object: DynamicObject = serde_json::from_value(body.clone()).unwrap();
        self.of(&body).create(&Default::default(), &object).await.unwrap_or_else(|e| panic!("{e}: {body}"));
    }

    /// Creates all objects of the world that are on this cluster.
    async fn hold(&self, world: &World) {
        self.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "gloo-system" } })).await;
        for body in world.clusters[&self.cluster].by_key.values() {
            self.create(body.clone()).await;
        }
    }

    /// The object in a world, for its address.
    fn find<'a>(&self, world: &'a World, kind: &str, name: &str) -> &'a Value {
        let all = &world.clusters[&self.cluster].by_key;
        all.iter().find(|(k, _)| k.gvk.kind == kind && k.name == name).unwrap_or_else(|| panic!("no {kind} {name}")).1
    }

    async fn patch(&self, body: &Value, patch: Value) {
        let name = body["metadata"]["name"].as_str().unwrap();
        self.of(body).patch(name, &Default::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn delete(&self, body: &Value) {
        self.of(body).delete(body["metadata"]["name"].as_str().unwrap(), &Default::default()).await.unwrap();
    }

    async fn get(&self, body: &Value) -> Value {
        let object = self.of(body).get(body["metadata"]["name"].as_str().unwrap()).await.unwrap();
        serde_json::to_value(object).unwrap()
    }
}

/// The guide's two clusters on this machine.
struct Scene {
    range: Range,
    world: World,
    root: Authority,
    local: Gateway,
    remote: Gateway,
    blue: Option<Backend>,
    _green: Backend,
}

impl Scene {
    /// Both gateways are fed the world directly.
    async fn start() -> Self {
        let (range, root) = (Range::take(), Authority::new());
        let world = Scene::world(&range, &root);
        let gateways = async |near, far| {
            tokio::join!(
                Gateway::start("local", near, range.address(0, 3), &world),
                Gateway::start("remote", far, range.address(16, 3), &world),
            )
        };
        let (local, remote) = gateways(range.address(2, 9), range.address(18, 9)).await;
        Scene::ready(range, world, root, local, remote).await
    }

    /// Both gateways read API servers that hold the world.
    async fn reading(local: &Api, remote: &Api) -> Self {
        let (range, root) = (Range::take(), Authority::new());
        let world = Scene::world(&range, &root);
        local.hold(&world).await;
        remote.hold(&world).await;
        let (local, remote) = tokio::join!(
            Gateway::reading("local", range.address(2, 9), range.address(0, 3), local.client.clone()),
            Gateway::reading("remote", range.address(18, 9), range.address(16, 3), remote.client.clone()),
        );
        Scene::ready(range, world, root, local, remote).await
    }

    async fn ready(range: Range, world: World, root: Authority, local: Gateway, remote: Gateway) -> Self {
        let _green = Backend::start((range.address(18, 1), 10000).into(), "green").await;
        let blue = Some(Backend::start((range.address(2, 1), 10000).into(), "blue").await);
        let scene = Scene { range, world, root, local, remote, blue, _green };
        scene.answers("blue").await;
        scene.backup_is_green().await;
        scene
    }

    /// The guide's objects, with this range's addresses and certificates that work.
    fn world(range: &Range, root: &Authority) -> World {
        let mut world = world("guide");
        let (blue, green) = (range.address(2, 1), range.address(18, 1));
        let local = ClusterName::new("local").unwrap();
        let remote = ClusterName::new("remote").unwrap();
        world.insert(&local, root.secret("failover-upstream", "local.failctl.internal", root)).unwrap();
        world.insert(&remote, root.secret("failover-downstream", "remote.failctl.internal", root)).unwrap();
        edit(&mut world, "local", "EndpointSlice", "service-blue-1", |s| {
            s["endpoints"] = json!([{ "addresses": [blue.to_string()] }]);
        });
        edit(&mut world, "remote", "EndpointSlice", "service-green-1", |s| {
            s["endpoints"] = json!([{ "addresses": [green.to_string()] }]);
        });
        let edge = range.address(18, 9);
        edit(&mut world, "local", "Upstream", "default-service-blue-10000", |u| {
            let endpoint =
                &mut u["spec"]["failover"]["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0];
            endpoint["address"] = json!(edge.to_string());
            // The server is pinned too: what Federation cannot express, the Upstream can.
            endpoint["upstreamSslConfig"]["verifySubjectAltName"] = json!(["remote.failctl.internal"]);
            // Checks only, so that what is tested is what the checks see.
            u["spec"].as_object_mut().unwrap().remove("outlierDetection");
            u["spec"]["healthChecks"][0]["interval"] = json!("0.2s");
            u["spec"]["healthChecks"][0]["noTrafficInterval"] = json!("0.2s");
        });
        world
    }

    async fn answer(&self) -> String {
        match get(self.local.address, 8080, "/").await {
            Some((StatusCode::OK, body)) => String::from_utf8_lossy(&body).into_owned(),
            Some((status, _)) => status.as_u16().to_string(),
            None => "nothing".into(),
        }
    }

    async fn answers(&self, expected: &str) -> Duration {
        let start = Instant::now();
        until(&format!("waiting for {expected}"), async || self.answer().await, |a| a == expected).await;
        start.elapsed()
    }

    async fn backup_is_green(&self) {
        let healthy = |h: &Option<Host>| h.as_ref().is_some_and(Host::healthy);
        until("the backup should be healthy", async || self.local.backup().await, healthy).await;
    }

    async fn backup_is_red(&self, why: &str) {
        let failed = |h: &Option<Host>| h.as_ref().is_some_and(|h| h.failed.contains(&Failed::ActiveCheck));
        until(&format!("the backup should fail: {why}"), async || self.local.backup().await, failed).await;
    }

    fn show(&self, world: &World) {
        self.local.show(world);
        self.remote.show(world);
    }

    async fn kill_blue(&mut self) {
        self.blue.take().unwrap().kill().await;
    }

    async fn revive_blue(&mut self) {
        self.blue = Some(Backend::start((self.range.address(2, 1), 10000).into(), "blue").await);
    }

    async fn stop(self) {
        tokio::join!(self.local.stop(), self.remote.stop());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_backup_answers_through_mutual_tls_and_then_the_primary_again() {
    let mut scene = Scene::start().await;
    scene.kill_blue().await;
    let mut lost = 0;
    for _ in 0..50 {
        match scene.answer().await.as_str() {
            "green" => {}
            other => {
                lost += 1;
                assert_ne!(other, "blue", "a killed backend does not answer");
            }
        }
    }
    assert_eq!(lost, 0, "retries reach the backup before any check has failed");
    let hosts = scene.local.hosts().await;
    let backup = hosts.iter().find(|h| h.priority == 1).unwrap();
    assert!(backup.counters.requests >= 50, "{backup:?}");
    assert_eq!((backup.region.as_str(), backup.zone.as_str()), ("us-east-1", "us-east-1c"));
    scene.revive_blue().await;
    scene.answers("blue").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_root_a_wrong_name_or_a_wrong_sni_turns_the_backup_red_and_the_primary_stays() {
    let scene = Scene::start().await;
    let (local, remote) = (ClusterName::new("local").unwrap(), ClusterName::new("remote").unwrap());
    let stranger = Authority::new();
    let ssl = |world: &mut World, field: &str, value: serde_json::Value| {
        edit(world, "local", "Upstream", "default-service-blue-10000", |u| {
            u["spec"]["failover"]["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0]["upstreamSslConfig"]
                [field] = value;
        });
    };
    type Change<'a> = Box<dyn Fn(&mut World) + 'a>;
    let changes: Vec<(&str, Change)> = vec![
        (
            "the client trusts another root",
            Box::new(|w| {
                w.insert(&local, scene.root.secret("failover-upstream", "local.failctl.internal", &stranger)).unwrap();
            }),
        ),
        (
            "the client's certificate is from another root",
            Box::new(|w| {
                w.insert(&local, stranger.secret("failover-upstream", "local.failctl.internal", &scene.root)).unwrap();
            }),
        ),
        (
            "the client has another name than the server pins",
            Box::new(|w| {
                w.insert(&local, scene.root.secret("failover-upstream", "other.failctl.internal", &scene.root))
                    .unwrap();
            }),
        ),
        (
            "the server has another name than the client pins",
            Box::new(|w| {
                w.insert(&remote, scene.root.secret("failover-downstream", "other.failctl.internal", &scene.root))
                    .unwrap();
            }),
        ),
        (
            "the SNI names no upstream of the remote cluster",
            Box::new(|w| ssl(w, "sni", json!("default-service-red-10000_gloo-system"))),
        ),
        (
            "the remote gateway is gone",
            Box::new(|w| {
                w.clusters.get_mut(&remote).unwrap().by_key.retain(|k, _| k.gvk.kind != "Gateway");
            }),
        ),
    ];
    for (why, change) in changes {
        let mut world = scene.world.clone();
        change(&mut world);
        scene.show(&world);
        scene.backup_is_red(why).await;
        assert_eq!(scene.answer().await, "blue", "{why}");
        scene.show(&scene.world);
        scene.backup_is_green().await;
    }
    drop((stranger, local, remote));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_remote_upstream_the_gateway_forwards_nothing_new() {
    // The connection of the checks was made before and lives on, in Gloo as here; a request needs a new one.
    let mut scene = Scene::start().await;
    let mut gone = scene.world.clone();
    let remote = ClusterName::new("remote").unwrap();
    gone.clusters.get_mut(&remote).unwrap().by_key.retain(|k, _| k.gvk.kind != "Upstream");
    scene.show(&gone);
    let known = async || scene.remote.hosts().await.iter().any(|h| h.cluster.contains("green"));
    until("the remote gateway should forget the upstream", known, |known| !known).await;
    scene.kill_blue().await;
    scene.answers("503").await;
    scene.show(&scene.world);
    scene.answers("green").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_failover_block_the_loss_of_the_primary_is_an_outage() {
    let mut scene = Scene::start().await;
    let mut alone = scene.world.clone();
    edit(&mut alone, "local", "Upstream", "default-service-blue-10000", |u| {
        u["spec"].as_object_mut().unwrap().remove("failover");
    });
    scene.show(&alone);
    until("the backup should leave", async || scene.local.backup().await, Option::is_none).await;
    scene.kill_blue().await;
    scene.answers("503").await;
    scene.show(&scene.world);
    scene.answers("green").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_endpoints_travel_alone_and_what_is_known_of_the_others_stays() {
    let scene = Scene::start().await;
    let other = scene.range.address(2, 5);
    let _second = Backend::start((other, 10000).into(), "blue-2").await;
    let requests = scene.local.backup().await.unwrap();
    let mut moved = scene.world.clone();
    edit(&mut moved, "local", "EndpointSlice", "service-blue-1", |s| {
        s["endpoints"] = json!([{ "addresses": [other.to_string()] }]);
    });
    scene.show(&moved);
    let took = scene.answers("blue-2").await;
    assert!(took < Duration::from_secs(2), "a change of endpoints took {took:?}");
    // A backup that was never checked anew keeps its counters; a rebuilt cluster starts from zero.
    let after = scene.local.backup().await.unwrap();
    assert!(after.healthy() && after.counters.requests >= requests.counters.requests, "{after:?}");
    let stats = get(scene.local.address, 19000, "/stats?format=json&filter=cluster_manager").await.unwrap().1;
    let stats = admin::stats(&stats).unwrap();
    assert_eq!(stats["cluster_manager.cluster_modified"], 0, "no cluster was rebuilt");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_envoy_refuses_changes_nothing_and_the_next_good_state_is_taken() {
    let scene = Scene::start().await;
    let mut bad = scene.world.clone();
    edit(&mut bad, "local", "VirtualService", "default", |v| {
        v["spec"]["virtualHost"]["routes"][0]["matchers"] = json!([{ "regex": "(" }]);
    });
    scene.show(&bad);
    let refused = async || {
        let body = get(scene.local.address, 19000, "/stats?format=json&filter=rds.*update_rejected").await.unwrap().1;
        admin::stats(&body).unwrap().values().sum::<u64>()
    };
    until("Envoy should refuse the routes", refused, |n| *n > 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(refused().await <= 2, "a refused state is not offered in a loop");
    assert_eq!(scene.answer().await, "blue");
    let mut good = scene.world.clone();
    edit(&mut good, "local", "VirtualService", "default", |v| {
        v["spec"]["virtualHost"]["routes"][1]["routeAction"] = json!(null);
        v["spec"]["virtualHost"]["routes"][1]["options"] = json!(null);
        v["spec"]["virtualHost"]["routes"][1]["directResponseAction"] = json!({ "status": 200, "body": "good" });
    });
    scene.show(&good);
    scene.answers("good").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_object_changes_traffic_when_it_changes_in_the_api_server() {
    let (near, far) = tokio::join!(Api::start("local"), Api::start("remote"));
    let mut scene = Scene::reading(&near, &far).await;
    let world = scene.world.clone();
    let (upstream, service) =
        (near.find(&world, "Upstream", "default-service-blue-10000"), near.find(&world, "VirtualService", "default"));

    // A route.
    let routes = service["spec"]["virtualHost"]["routes"].clone();
    let hello =
        json!([{ "matchers": [{ "prefix": "/" }], "directResponseAction": { "status": 200, "body": "hello" } }]);
    near.patch(service, json!({ "spec": { "virtualHost": { "routes": hello } } })).await;
    scene.answers("hello").await;
    near.patch(service, json!({ "spec": { "virtualHost": { "routes": routes } } })).await;
    scene.answers("blue").await;

    // Endpoints.
    let slice = near.find(&world, "EndpointSlice", "service-blue-1");
    near.patch(slice, json!({ "endpoints": [] })).await;
    scene.answers("green").await;
    near.patch(slice, json!({ "endpoints": slice["endpoints"] })).await;
    scene.answers("blue").await;

    // The failover, the secrets, the gateway: each breaks it, and putting it back mends it.
    near.patch(upstream, json!({ "spec": { "failover": null } })).await;
    until("the backup should leave", async || scene.local.backup().await, Option::is_none).await;
    near.patch(upstream, json!({ "spec": { "failover": upstream["spec"]["failover"] } })).await;
    scene.backup_is_green().await;

    let client = near.find(&world, "Secret", "failover-upstream");
    near.delete(client).await;
    until("the backup should leave", async || scene.local.backup().await, Option::is_none).await;
    near.create(client.clone()).await;
    scene.backup_is_green().await;

    for (kind, name) in [("Secret", "failover-downstream"), ("Gateway", "failover-gateway")] {
        let object = far.find(&world, kind, name);
        far.delete(object).await;
        scene.backup_is_red(&format!("{kind} {name} is gone")).await;
        far.create(object.clone()).await;
        scene.backup_is_green().await;
    }
    assert_eq!(scene.answer().await, "blue", "all of that passed the primary by");

    scene.kill_blue().await;
    scene.answers("green").await;
    scene.stop().await;
    tokio::try_join!(near.server.stop(), far.server.stop()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_told_what_became_of_them_once() {
    let api = Api::start("local").await;
    let world = world("guide");
    api.hold(&world).await;
    let range = Range::take();
    let stop = CancellationToken::new();
    let bind = (range.address(0, 3), 9977).into();
    let cluster = ClusterName::new("local").unwrap();
    let config = ControlConfig { client: api.client.clone(), cluster, namespace: "gloo-system".into(), bind };
    let running = tokio::spawn(run(config, stop.clone()));

    let upstream = api.find(&world, "Upstream", "default-service-blue-10000");
    let state = async |object: &Value| {
        let status = &api.get(object).await["status"]["statuses"]["gloo-system"];
        (
            status["state"].as_str().unwrap_or_default().to_string(),
            status["reason"].as_str().unwrap_or_default().to_string(),
        )
    };
    for (kind, name) in
        [("Upstream", "default-service-blue-10000"), ("VirtualService", "default"), ("Gateway", "gateway-proxy")]
    {
        let object = api.find(&world, kind, name);
        until(kind, async || state(object).await, |(state, _)| state == "Accepted").await;
    }
    api.delete(api.find(&world, "Secret", "failover-upstream")).await;
    let rejected = |(state, reason): &(String, String)| {
        state == "Rejected" && reason.contains("there is no Secret gloo-system/failover-upstream")
    };
    until("the Upstream should be rejected", async || state(upstream).await, rejected).await;

    let version = api.get(upstream).await["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(api.get(upstream).await["metadata"]["resourceVersion"], version, "a status is written once");

    api.patch(upstream, json!({ "spec": { "failover": null } })).await;
    until(
        "the Upstream should be accepted",
        async || state(upstream).await,
        |(state, reason)| state == "Accepted" && reason.is_empty(),
    )
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
    api.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_outlives_its_control_plane_and_takes_up_with_the_next() {
    let mut scene = Scene::start().await;
    let world = scene.world.clone();
    let taken = async |scene: &Scene| {
        let body = get(scene.local.address, 19000, "/stats?format=json&filter=cds.update_success").await.unwrap().1;
        admin::stats(&body).unwrap()["cluster_manager.cds.update_success"]
    };
    let before = taken(&scene).await;
    scene.local.lose_control(Duration::from_millis(300), &world).await;
    assert_eq!(scene.answer().await, "blue");
    assert_eq!(taken(&scene).await, before, "what did not change is not taken again");
    scene.kill_blue().await;
    scene.answers("green").await;
    let mut hello = world.clone();
    edit(&mut hello, "local", "VirtualService", "default", |v| {
        v["spec"]["virtualHost"]["routes"] = json!([{ "directResponseAction": { "status": 200, "body": "hello" } }]);
    });
    scene.local.show(&hello);
    scene.answers("hello").await;
    scene.stop().await;
}
