//! One request over a pool of kept-alive connections, ended by an answer or by the cause of its failure.
//! May not know: the rate, the clock of the drill.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::classify::{self, BODY_LIMIT};
use super::pool::{self, Lost, Pool, Sender};
use super::target::Target;
use crate::sim::record::{Class, Outcome};

/// Time a connection may take to be made, if the request's own time does not end before.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes one request. `deadline` covers everything, the connection included.
pub async fn make(target: &Target, pool: &Pool, deadline: Instant) -> Outcome {
    let failed = |class| Outcome::Failed { class, status: None };
    match timeout_at(deadline, pool.send(build(target), connect(target, deadline))).await {
        Ok(Ok((response, sender))) => read(target, pool, sender, response, deadline).await,
        Ok(Err(Lost::Unconnected(class))) => failed(class),
        Ok(Err(Lost::Reset(_))) => failed(Class::ResetBeforeHeaders),
        Err(_) => failed(Class::Timeout),
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
    pool::speak(stream).await.map_err(|_| Class::ResetBeforeHeaders)
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
