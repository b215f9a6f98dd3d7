//! What a cloud's load balancers and kube-proxy do: connections to a Service's addresses reach its ready endpoints.
//! What comes in: Services, EndpointSlices and Nodes as observed. What goes out: listeners and relayed bytes.
//! May not know: how Services get their addresses.
//!
//! A listener exists for each TCP port on the LoadBalancer address, the clusterIP and (NodePort) the Nodes' addresses,
//! as long as at least one endpoint is ready. Without one the listener is closed and a connection is refused, which is
//! what kube-proxy's rules answer too. Connections that are open stay open when an endpoint leaves; they are reset when
//! the Service itself goes, as they are when a cloud takes its load balancer away. An endpoint that refuses is not
//! replaced by another: the client is reset and may try again, as on any layer-4 balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::endpoints::SERVICE;
use super::kind::Kind;
use super::object::{deleting, label, list, name, namespace, number, text};
use super::observed::Observed;
use crate::sandbox::address::Range;

/// What is read.
pub const READS: &[Kind] = &[Kind::Service, Kind::EndpointSlice, Kind::Node];

/// How long until an address that could not be listened on is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The addresses to listen on, each with the endpoints behind it. Addresses outside `within` are somebody else's.
pub fn plan(seen: &Observed, within: &Range) -> BTreeMap<SocketAddr, Vec<SocketAddr>> {
    let mut slices: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for slice in seen.all(Kind::EndpointSlice) {
        slices.entry((namespace(slice), label(slice, SERVICE).unwrap_or_default())).or_default().push(slice);
    }
    let nodes: BTreeSet<Ipv4Addr> = seen.all(Kind::Node).filter_map(internal_address).collect();
    let mut plan = BTreeMap::new();
    for service in seen.all(Kind::Service).filter(|s| !deleting(s)) {
        let slices = slices.get(&(namespace(service), name(service))).map(Vec::as_slice).unwrap_or_default();
        for port in list(service, "/spec/ports").iter().filter(|p| matches!(text(p, "/protocol"), "" | "TCP")) {
            let endpoints = ready(slices, text(port, "/name"));
            let doors = doors(service, port, &nodes).into_iter().filter(|d| within.contains(d.0));
            plan.extend(doors.map(|(ip, port)| (SocketAddr::from((ip, port)), endpoints.clone())));
        }
    }
    plan
}

fn internal_address(node: &Value) -> Option<Ipv4Addr> {
    let mut addresses = list(node, "/status/addresses").iter();
    addresses.find(|a| a["type"] == "InternalIP").and_then(|a| text(a, "/address").parse().ok())
}

/// Where a Service's port is reached.
fn doors(service: &Value, port: &Value, nodes: &BTreeSet<Ipv4Addr>) -> Vec<(Ipv4Addr, u16)> {
    let as_port = |pointer: &str| number(port, pointer).and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0);
    let outer = list(service, "/status/loadBalancer/ingress").iter().map(|i| text(i, "/ip"));
    let outer = outer.filter(|_| text(service, "/spec/type") == "LoadBalancer");
    let ips = outer.chain([text(service, "/spec/clusterIP")]).filter_map(|ip| ip.parse().ok());
    let mut doors: Vec<_> = ips.filter_map(|ip| Some((ip, as_port("/port")?))).collect();
    if let Some(port) = as_port("/nodePort").filter(|_| text(service, "/spec/type") != "ClusterIP") {
        doors.extend(nodes.iter().map(|n| (*n, port)));
    }
    doors
}

/// The ready endpoints of a named port.
fn ready(slices: &[&Value], port_name: &str) -> Vec<SocketAddr> {
    let mut found = BTreeSet::new();
    for slice in slices {
        let mut ports = list(slice, "/ports").iter();
        let port = ports.find(|p| text(p, "/name") == port_name).and_then(|p| number(p, "/port"));
        let Some(port) = port.and_then(|p| u16::try_from(p).ok()) else { continue };
        let ready = list(slice, "/endpoints").iter().filter(|e| e["conditions"]["ready"] != false);
        let ips = ready.filter_map(|e| text(e, "/addresses/0").parse::<IpAddr>().ok());
        found.extend(ips.map(|ip| SocketAddr::from((ip, port))));
    }
    found.into_iter().collect()
}

/// Listens and relays until `stop`; then every listener and connection is closed.
pub async fn run(cache: Arc<Cache>, within: Range, stop: CancellationToken) {
    let mut doors: BTreeMap<SocketAddr, Door> = BTreeMap::new();
    let work = async {
        cache.complete(READS).await;
        let mut changes = cache.changes();
        loop {
            changes.mark_unchanged();
            let wanted = plan(&cache.seen(), &within);
            let failed = settle(&mut doors, wanted, &stop).await;
            let retry = async { if failed { tokio::time::sleep(RETRY).await } else { std::future::pending().await } };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = retry => {}
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// One address.
struct Door {
    endpoints: Arc<Mutex<Vec<SocketAddr>>>,
    /// Ends the listener.
    listening: Option<tokio_util::sync::DropGuard>,
    /// Resets the open connections.
    _open: tokio_util::sync::DropGuard,
    reset: CancellationToken,
}

impl Door {
    fn new(stop: &CancellationToken) -> Self {
        let reset = stop.child_token();
        Door { endpoints: Arc::default(), listening: None, _open: reset.clone().drop_guard(), reset }
    }
}

/// Opens, updates and closes doors; says whether one could not be opened.
async fn settle(
    doors: &mut BTreeMap<SocketAddr, Door>,
    wanted: BTreeMap<SocketAddr, Vec<SocketAddr>>,
    stop: &CancellationToken,
) -> bool {
    doors.retain(|address, _| wanted.contains_key(address));
    let mut failed = false;
    for (address, endpoints) in wanted {
        let door = doors.entry(address).or_insert_with(|| Door::new(stop));
        let closed = endpoints.is_empty();
        *door.endpoints.lock().unwrap_or_else(PoisonError::into_inner) = endpoints;
        if closed {
            door.listening = None;
        } else if door.listening.is_none() {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let listening = door.reset.child_token();
                    let accepting = accept(listener, door.endpoints.clone(), door.reset.clone());
                    tokio::spawn(listening.clone().run_until_cancelled_owned(accepting));
                    door.listening = Some(listening.drop_guard());
                }
                Err(error) => {
                    tracing::warn!(%address, %error, "cannot listen; something else holds this port");
                    failed = true;
                }
            }
        }
    }
    failed
}

async fn accept(listener: TcpListener, endpoints: Arc<Mutex<Vec<SocketAddr>>>, reset: CancellationToken) {
    let turn = AtomicUsize::new(0);
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let chosen = {
                    let endpoints = endpoints.lock().unwrap_or_else(PoisonError::into_inner);
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    (!endpoints.is_empty()).then(|| endpoints[turn % endpoints.len()])
                };
                tokio::spawn(relay(client, chosen, reset.clone()));
            }
            // Out of file descriptors, for example: let others finish first.
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Carries bytes both ways. The end of one direction is passed on while the other goes on (half-close);
/// anything else than a clean end becomes a reset on both sides, so that a cut answer never looks complete.
async fn relay(mut client: TcpStream, endpoint: Option<SocketAddr>, reset: CancellationToken) {
    let Some(endpoint) = endpoint else { return cut(&client) };
    let Ok(mut server) = TcpStream::connect(endpoint).await else { return cut(&client) };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let copied = reset.run_until_cancelled(tokio::io::copy_bidirectional(&mut client, &mut server)).await;
    if !matches!(copied, Some(Ok(_))) {
        cut(&client);
        cut(&server);
    }
}

/// Makes closing the stream a reset.
fn cut(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::address::Block;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn objects(kind: &str) -> Observed {
        Observed::of([
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gw", "namespace": "g"},
                "spec": {"type": kind, "clusterIP": "127.30.8.1", "ports": [{"name": "http", "port": 80, "nodePort": 31000}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "127.30.1.1"}]}}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": "gw-1", "namespace": "g", "labels": {SERVICE: "gw"}},
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": ["127.30.7.1"], "conditions": {"ready": true}},
                              {"addresses": ["127.30.7.2"], "conditions": {"ready": false}}]}),
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                "status": {"addresses": [{"type": "InternalIP", "address": "127.30.0.2"}]}}),
        ])
    }

    fn text(plan: &BTreeMap<SocketAddr, Vec<SocketAddr>>) -> Vec<String> {
        plan.iter().map(|(a, e)| format!("{a} -> {e:?}")).collect()
    }

    #[test]
    fn a_load_balancer_is_reached_at_its_address_its_cluster_ip_and_its_node_port() {
        let within = Block { second: 30 }.cluster(0).unwrap().all();
        assert_eq!(
            text(&plan(&objects("LoadBalancer"), &within)),
            [
                "127.30.0.2:31000 -> [127.30.7.1:8080]",
                "127.30.1.1:80 -> [127.30.7.1:8080]",
                "127.30.8.1:80 -> [127.30.7.1:8080]",
            ]
        );
        assert_eq!(text(&plan(&objects("ClusterIP"), &within)), ["127.30.8.1:80 -> [127.30.7.1:8080]"]);
        let elsewhere = Block { second: 31 }.cluster(0).unwrap().all();
        assert_eq!(plan(&objects("LoadBalancer"), &elsewhere), BTreeMap::new());
    }

    async fn pair() -> (TcpListener, TcpListener) {
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    #[tokio::test]
    async fn the_end_of_a_request_reaches_the_server_while_the_answer_is_still_to_come() {
        let (door, server) = pair().await;
        let (address, endpoint) = (door.local_addr().unwrap(), server.local_addr().unwrap());
        tokio::spawn(accept(door, Arc::new(Mutex::new(vec![endpoint])), CancellationToken::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut question = String::new();
        served.read_to_string(&mut question).await.unwrap();
        served.write_all(b"answer").await.unwrap();
        drop(served);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    }

    #[tokio::test]
    async fn an_endpoint_that_resets_becomes_a_reset_and_never_a_clean_end() {
        let (door, server) = pair().await;
        let (address, endpoint) = (door.local_addr().unwrap(), server.local_addr().unwrap());
        tokio::spawn(accept(door, Arc::new(Mutex::new(vec![endpoint])), CancellationToken::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"question").await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut question = [0; 8];
        served.read_exact(&mut question).await.unwrap();
        served.set_zero_linger().unwrap();
        drop(served);
        let mut answer = Vec::new();
        let error = client.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn endpoints_take_turns() {
        let (door, first) = pair().await;
        let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoints = vec![first.local_addr().unwrap(), second.local_addr().unwrap()];
        let address = door.local_addr().unwrap();
        tokio::spawn(accept(door, Arc::new(Mutex::new(endpoints)), CancellationToken::new()));
        let _a = TcpStream::connect(address).await.unwrap();
        let _b = TcpStream::connect(address).await.unwrap();
        let both = async { tokio::join!(first.accept(), second.accept()) };
        let (one, two) = tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
        assert!(one.is_ok() && two.is_ok());
    }
}
