//! The sandbox's API server as a server: what a restart must not lose, whom it lets in, what it passes on.

use std::time::{Duration, Instant};

use failctl::sandbox::api::{ApiConfig, Server};
use futures::{SinkExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::Error;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::api_promises::{config_map, next, refused, told, typed};

async fn server(config: ApiConfig) -> Server {
    Server::start(config).await.unwrap()
}

fn anywhere(name: &str) -> ApiConfig {
    ApiConfig::new(name, ([127, 0, 0, 1], 0).into())
}

#[tokio::test]
async fn a_watch_from_forgotten_history_is_told_so() {
    let server = server(ApiConfig { history: 3, ..anywhere("short") }).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await.unwrap());
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    for n in 0..5 {
        maps.create(&PostParams::default(), &config_map(&format!("m{n}"), "")).await.unwrap();
    }
    let mut events = maps.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    match next(&mut events).await {
        WatchEvent::Error(status) => assert_eq!((status.code, status.reason.as_str()), (410, "Expired")),
        other => panic!("{other:?}"),
    }
    let now = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    server.compact();
    let forgotten = maps.list(&ListParams::default().continue_token("MTIzOjE")).await;
    assert_eq!(refused(forgotten).0, 410, "a list that is no longer kept");
    let mut events = maps.watch(&WatchParams::default(), &now).await.unwrap().boxed();
    maps.delete("m0", &DeleteParams::default()).await.unwrap();
    assert_eq!(told(&next(&mut events).await), "-m0", "the newest revision is never too old");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn kubes_watcher_follows_lists_streams_and_a_restart() {
    use kube::runtime::watcher::{self, Event, watcher};
    let server = server(anywhere("watched")).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await.unwrap());
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = watcher(maps.clone(), config).boxed();
        assert!(matches!(events.try_next().await.unwrap(), Some(Event::Init)));
        assert!(
            matches!(events.try_next().await.unwrap(), Some(Event::InitApply(m)) if m.metadata.name.as_deref() == Some("a"))
        );
        assert!(matches!(events.try_next().await.unwrap(), Some(Event::InitDone)));
    }
    let mut events = watcher(maps.clone(), watcher::Config::default()).boxed();
    for _ in 0..3 {
        events.try_next().await.unwrap();
    }
    let server = server.kill().await.start().await.unwrap();
    maps.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let seen = async {
        loop {
            // Errors of the broken connection are reported and retried; the event must come all the same.
            if let Some(Ok(Event::Apply(map))) = events.next().await
                && map.metadata.name.as_deref() == Some("b")
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the watch goes on after the restart");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn state_survives_a_polite_stop_a_kill_and_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let first = server(anywhere("kept").kept_in(dir.path())).await;
    let (address, client) = (first.address(), first.client().await.unwrap());
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let made = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let system = |server: &Server| Api::<Namespace>::all(server.local_client());
    let uid = system(&first).get("kube-system").await.unwrap().metadata.uid;
    let second = first.kill().await.start().await.unwrap();
    assert_eq!(second.address(), address);
    assert_eq!(maps.get("a").await.unwrap(), made, "the same client, certificate, token and object");
    assert_eq!(system(&second).get("kube-system").await.unwrap().metadata.uid, uid);
    second.stop().await.unwrap();

    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join("state.jsonl")).unwrap();
    file.write_all(b"{\"put\":[\"configmaps\",{\"metadata\":{\"na").unwrap();
    drop(file);
    let third = server(ApiConfig::new("kept", address).kept_in(dir.path())).await;
    assert_eq!(maps.get("a").await.unwrap(), made);
    let next = maps.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    let number = |m: &ConfigMap| m.metadata.resource_version.as_ref().unwrap().parse::<u64>().unwrap();
    assert!(number(&next) > number(&made), "revisions only grow");
    third.stop().await.unwrap();
}

#[tokio::test]
async fn a_dead_server_refuses_connections_and_breaks_those_it_had() {
    let server = server(anywhere("mortal")).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await.unwrap());
    let mut events = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let dead = server.kill().await;
    assert!(!matches!(events.next().await, Some(Ok(_))), "the watch breaks");
    assert!(!matches!(maps.list(&ListParams::default()).await, Ok(_) | Err(Error::Api(_))), "nobody answers");
    let again = dead.start().await.unwrap();
    maps.list(&ListParams::default()).await.unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_is_up_in_a_moment() {
    let begun = Instant::now();
    let server = server(anywhere("quick")).await;
    let client = server.client().await.unwrap();
    client.apiserver_version().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let discovered = kube::discovery::Discovery::new(client).run_aggregated().await.unwrap();
    assert!(discovered.has_group("apps") && discovered.has_group("apiextensions.k8s.io"));
    server.stop().await.unwrap();
}

/// A kubelet that answers `log` and echoes what is sent to a port, to show what the API server passes on.
async fn kubelet() -> std::net::SocketAddr {
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
    use tokio_tungstenite::tungstenite::protocol::Role;

    async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
        let asked = request.uri().to_string();
        assert!(!request.headers().contains_key("authorization"), "the client's token stays with the API server");
        if asked.starts_with("/containerLogs/") {
            return Ok(Response::new(Full::new(Bytes::from(asked))));
        }
        if !asked.starts_with("/portForward/default/p?port=8080") {
            return Ok(Response::builder().status(400).body(Full::new(Bytes::from("not today"))).unwrap());
        }
        let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let stream = TokioIo::new(upgrade.await.unwrap());
            let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            for channel in [0_u8, 1] {
                let [low, high] = 8080_u16.to_le_bytes();
                socket.send(Message::binary(vec![channel, low, high])).await.unwrap();
            }
            while let Some(Ok(message)) = socket.next().await {
                if message.is_binary() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
        let response = Response::builder().status(101).header("upgrade", "websocket").header("connection", "Upgrade");
        let response =
            response.header("sec-websocket-accept", key).header("sec-websocket-protocol", "v4.channel.k8s.io");
        Ok(response.body(Full::default()).unwrap())
    }

    let made = rcgen::generate_simple_self_signed(["a-name-nobody-checks".to_string()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(tls.accept(stream).await.unwrap());
                let service = hyper::service::service_fn(answer);
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn output_and_ports_of_a_pod_are_passed_on_to_its_node() {
    use k8s_openapi::api::core::v1::Node;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let kubelet = kubelet().await;
    let server = server(anywhere("proxied")).await;
    let client = server.client().await.unwrap();
    let node = json!({"metadata": {"name": "n"}, "status": {
        "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": kubelet.ip()}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port()}}}});
    Api::<Node>::all(client.clone()).create(&PostParams::default(), &typed(node)).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(client);
    let containers = json!([{"name": "one", "image": "i"}, {"name": "two", "image": "i"}]);
    for (name, node) in [("p", Some("n")), ("lost", None)] {
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": containers}});
        pods.create(&PostParams::default(), &typed(pod)).await.unwrap();
    }
    let params = |container: Option<&str>| kube::api::LogParams {
        container: container.map(Into::into),
        tail_lines: Some(5),
        ..Default::default()
    };
    let asked = pods.logs("p", &params(Some("two"))).await.unwrap();
    assert_eq!(asked.split('&').next(), Some("/containerLogs/default/p/two?tailLines=5"));
    let unnamed = refused(pods.logs("p", &params(None)).await);
    assert!(unnamed.0 == 400 && unnamed.2.ends_with("choose one of: [one two]"), "{unnamed:?}");
    let unknown = refused(pods.logs("p", &params(Some("three"))).await);
    assert_eq!((unknown.0, unknown.2.as_str()), (400, "container three is not valid for pod p"));
    let unscheduled = refused(pods.logs("lost", &params(Some("one"))).await);
    assert_eq!((unscheduled.0, unscheduled.2.as_str()), (400, "pod lost does not have a host assigned"));

    let mut forwarder = pods.portforward("p", &[8080]).await.unwrap();
    let mut stream = forwarder.take_stream(8080).unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut echoed)).await.unwrap().unwrap();
    assert_eq!(&echoed, b"hello");
    drop(stream);
    let refusing = pods.exec("p", ["ls"], &kube::api::AttachParams::default().container("one")).await;
    assert!(refusing.is_err(), "the kubelet's no is the answer");
    server.stop().await.unwrap();
}
