//! The REST xDS server. What comes in: DiscoveryRequests of Envoys, snapshots. What goes out: DiscoveryResponses.
//! A request is held until what it asks about changes, at most for [`HOLD`].

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Kind, Made};
use super::ledger::{Decision, Ledger, Subscription};

/// How long a request is held; shorter than Envoy's own request timeout.
const HOLD: Duration = Duration::from_secs(50);
/// A DiscoveryRequest is small; extensions make up most of it.
const MAX_REQUEST: usize = 4 << 20;

/// What Envoy asks. Node extensions and the like are left unread.
#[derive(Deserialize)]
struct DiscoveryRequest {
    #[serde(default)]
    version_info: String,
    #[serde(default)]
    node: Node,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// Who asks.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Node {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// What it says of itself.
    #[serde(default)]
    pub metadata: Metadata,
}

/// What a node says of itself, as far as some control plane reads it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metadata {
    /// The part it plays (Gloo's `NAMESPACE~PROXY`).
    #[serde(default)]
    pub role: String,
    /// The address of its pod.
    pub pod_ip: Option<IpAddr>,
}

/// One state of the world, ready to be served.
pub trait Served: Send + Sync + 'static {
    /// Whether a node says enough of itself to be served; the error is answered to it.
    fn knows(node: &Node) -> Result<(), &'static str>;
    /// The configuration of a node; nothing while there is none to be had.
    fn made(&self, node: &Node) -> Option<Arc<Made>>;
    /// When this state was made.
    fn made_at(&self) -> Instant;
}

struct Server<S> {
    snapshots: watch::Receiver<Arc<S>>,
    ledger: Mutex<Ledger>,
}

/// Serves the newest snapshot until `shutdown`.
pub async fn serve<S: Served>(listener: TcpListener, snapshots: watch::Receiver<Arc<S>>, shutdown: CancellationToken) {
    let server = Arc::new(Server { snapshots, ledger: Mutex::default() });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection(stream, server.clone(), shutdown.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back instead of spinning.
                tracing::warn!(%error, "xDS: accepting a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection<S: Served>(stream: TcpStream, server: Arc<Server<S>>, shutdown: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    // One stream for each subscription, one subscription for each upstream.
    builder.http2().max_concurrent_streams(1 << 20);
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.handle(request).await) }
    });
    tokio::select! {
        () = shutdown.cancelled() => {}
        served = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(%error, "xDS: a connection ended");
            }
        }
    }
}

impl<S: Served> Server<S> {
    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Some(kind) = Kind::of_path(request.uri().path()) else {
            return say(StatusCode::NOT_FOUND, "this is an xDS server: POST /v3/discovery:clusters and the like");
        };
        if request.method() != Method::POST {
            return say(StatusCode::METHOD_NOT_ALLOWED, "POST a DiscoveryRequest");
        }
        let body = match Limited::new(request.into_body(), MAX_REQUEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return say(StatusCode::BAD_REQUEST, &format!("reading the request: {error}")),
        };
        let asked: DiscoveryRequest = match serde_json::from_slice(&body) {
            Ok(asked) => asked,
            Err(error) => return say(StatusCode::BAD_REQUEST, &format!("not a DiscoveryRequest: {error}")),
        };
        if let Err(why) = S::knows(&asked.node) {
            return say(StatusCode::BAD_REQUEST, why);
        }
        match self.wait(kind, asked).await {
            Some(answer) => {
                let mut response = Response::new(Full::new(answer.body));
                response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
                response
            }
            None => say(StatusCode::NOT_MODIFIED, ""),
        }
    }

    /// The answer once there is one; nothing when there is nothing new for [`HOLD`].
    async fn wait(&self, kind: Kind, asked: DiscoveryRequest) -> Option<Answer> {
        let deadline = Instant::now() + HOLD;
        let (node, has) = (asked.node, asked.version_info);
        let subscription = Subscription { node: node.id.clone(), kind, names: asked.resource_names };
        self.ledger().heard(&subscription, &has);
        let mut snapshots = self.snapshots.clone();
        // The clusters a node takes are news too: routes and endpoints may wait for them.
        let mut tick = Duration::from_millis(2);
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            let until = match self.decide(&*snapshot, &subscription, &node, &has) {
                Ok(answer) => return Some(answer),
                Err(Some(until)) => until.min(Instant::now() + tick),
                Err(None) => deadline,
            };
            tick = (tick * 2).min(Duration::from_millis(50));
            let wake = tokio::time::Instant::from_std(until.min(deadline));
            tokio::select! {
                changed = snapshots.changed() => changed.ok()?,
                () = tokio::time::sleep_until(wake) => {}
            }
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    /// The answer, or until when to wait (nothing: until something changes).
    fn decide(
        &self,
        snapshot: &S,
        subscription: &Subscription,
        node: &Node,
        has: &str,
    ) -> Result<Answer, Option<Instant>> {
        let made = snapshot.made(node).ok_or(None)?;
        let current = made.answer(subscription.kind, &subscription.names).ok_or(None)?;
        let clusters = made.answer(Kind::Clusters, &[]).map(|a| a.version.as_str()).unwrap_or_default();
        let (since, now) = (snapshot.made_at(), Instant::now());
        let mut ledger = self.ledger();
        match ledger.decide(subscription, has, &current.version, clusters, since, now) {
            Decision::Hold => Err(None),
            Decision::HoldUntil(until) => Err(Some(until)),
            Decision::Answer => {
                let again = ledger.offered(subscription, &current.version, now);
                if again && !has.is_empty() {
                    tracing::warn!(node = subscription.node, kind = ?subscription.kind, "xDS: Envoy did not take what it was offered; its log says why");
                }
                Ok(current.clone())
            }
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // Nothing panics while it is held, and each entry is whole by itself.
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    *response.status_mut() = status;
    response
}
