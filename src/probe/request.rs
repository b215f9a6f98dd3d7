//! One request over a pool of kept-alive connections, ended by an answer or by the cause of its failure.
//! May not know: the rate, the clock of the drill.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::classify::{self, BODY_LIMIT};
use super::target::Target;
use crate::sim::record::{Class, Outcome};

type Sender = SendRequest<Empty<Bytes>>;

/// Idle connections to one target, the last used first.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<Sender>>,
}

/// Time a connection may take to be made, if the request's own time does not end before.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes one request. `deadline` covers everything, the connection included.
pub async fn make(target: &Target, pool: &Pool, deadline: Instant) -> Outcome {
    let failed = |class| Outcome::Failed { class, status: None };
    let mut request = build(target);
    loop {
        let (mut sender, reused) = match pool.take(deadline).await {
            Some(sender) => (sender, true),
            None => match connect(target, deadline).await {
                Ok(sender) => (sender, false),
                Err(class) => return failed(class),
            },
        };
        match timeout_at(deadline, sender.try_send_request(request)).await {
            Err(_) => return failed(Class::Timeout),
            Ok(Ok(response)) => return read(target, pool, sender, response, deadline).await,
            Ok(Err(mut e)) => match (e.take_message(), reused) {
                // The idle connection had been closed and nothing was sent: a fresh connection takes the request.
                (Some(unsent), true) => request = unsent,
                _ => return failed(Class::ResetBeforeHeaders),
            },
        }
    }
}

impl Pool {
    /// A connection that can take a request; closed ones are thrown away on the way.
    async fn take(&self, deadline: Instant) -> Option<Sender> {
        loop {
            let mut sender = self.pop()?;
            // The end of a body is seen a moment before its connection is ready again.
            if !sender.is_closed() && matches!(timeout_at(deadline, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    fn pop(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
    }

    fn give(&self, sender: Sender) {
        if !sender.is_closed() {
            self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(sender);
        }
    }
}

fn build(target: &Target) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target.path.clone();
    request.headers_mut().insert(http::header::HOST, target.host.clone());
    let agent = http::HeaderValue::from_static(concat!("failctl/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(http::header::USER_AGENT, agent);
    request
}

async fn connect(target: &Target, deadline: Instant) -> Result<Sender, Class> {
    let (host, port) = &target.address;
    let by = deadline.min(Instant::now() + CONNECT);
    let stream = match timeout_at(by, TcpStream::connect((host.as_str(), *port))).await {
        Err(_) => return Err(Class::ConnectTimeout),
        Ok(Err(e)) => return Err(classify::connect_error(&e)),
        Ok(Ok(stream)) => stream,
    };
    // Without it small requests wait for the answer to the one before.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Class::ResetBeforeHeaders)?;
    tokio::spawn(async move {
        // Whoever used the connection hears of its end through the sender.
        let _ = connection.await;
    });
    Ok(sender)
}

/// Reads the body to its end; only then is it an answer, and only then is the connection used again.
async fn read(
    target: &Target,
    pool: &Pool,
    sender: Sender,
    response: Response<Incoming>,
    deadline: Instant,
) -> Outcome {
    let (parts, mut body) = response.into_parts();
    let status = parts.status.as_u16();
    let mut kept = Vec::new();
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Outcome::Failed { class: Class::Timeout, status: Some(status) },
            Ok(Some(Err(_))) => return Outcome::Failed { class: Class::CutAfterHeaders, status: Some(status) },
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let room = BODY_LIMIT.saturating_sub(kept.len()).min(data.len());
                    kept.extend_from_slice(&data[..room]);
                }
            }
            Ok(None) => break,
        }
    }
    pool.give(sender);
    classify::answer(&target.who, status, &parts.headers, &kept)
}
