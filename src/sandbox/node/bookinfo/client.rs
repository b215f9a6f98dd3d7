//! How the programs ask each other: HTTP over connections that are kept, through `http_proxy` if there is one.
//!
//! In: a container's environment; a peer, a path, the headers of the request that caused it. Out: status and body.
//! May not know: what the answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use tokio::net::TcpStream;

use crate::probe::pool::{self, Lost, Pool};

/// Headers that travel on with a request: whoever traces it, and whose it is.
const FORWARDED: [&str; 20] = [
    "x-request-id",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "traceparent",
    "tracestate",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "sw8",
    "user-agent",
    "end-user",
    "cookie",
    "authorization",
];

/// Another program of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The book's details.
    Details,
    /// Its reviews.
    Reviews,
    /// Their stars.
    Ratings,
}

/// Where the others are, and the way to them.
#[derive(Debug)]
pub(super) struct Peers {
    proxy: Option<Uri>,
    details: Other,
    reviews: Other,
    ratings: Other,
}

/// One of the others: what it is called, and the connections there.
#[derive(Debug)]
struct Other {
    authority: String,
    pool: Pool,
}

impl Peers {
    /// From `SERVICES_DOMAIN`, `DETAILS_HOSTNAME`, `DETAILS_SERVICE_PORT` and the like, and `http_proxy`.
    pub(super) fn of(env: &BTreeMap<String, String>) -> Peers {
        let get = |name: &str| env.get(name).filter(|v| !v.is_empty());
        let domain = get("SERVICES_DOMAIN").map(|d| format!(".{d}")).unwrap_or_default();
        let other = |name: &str, default: &str| {
            let host = get(&format!("{name}_HOSTNAME")).map_or(default, String::as_str);
            let port = get(&format!("{name}_SERVICE_PORT")).map_or("9080", String::as_str);
            Other { authority: format!("{host}{domain}:{port}"), pool: Pool::default() }
        };
        Peers {
            proxy: get("http_proxy").and_then(|p| p.parse().ok()),
            details: other("DETAILS", "details"),
            reviews: other("REVIEWS", "reviews"),
            ratings: other("RATINGS", "ratings"),
        }
    }

    /// Asks a peer, once.
    pub(super) async fn get(
        &self,
        peer: Peer,
        path: &str,
        from: &HeaderMap,
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let other = match peer {
            Peer::Details => &self.details,
            Peer::Reviews => &self.reviews,
            Peer::Ratings => &self.ratings,
        };
        let asked = tokio::time::timeout(patience, self.ask(other, path, from)).await;
        asked.with_context(|| format!("http://{}{path}: no answer within {patience:?}", other.authority))?
    }

    async fn ask(&self, other: &Other, path: &str, from: &HeaderMap) -> anyhow::Result<(StatusCode, Bytes)> {
        let Other { authority, pool } = other;
        let whole = format!("http://{authority}{path}");
        // A proxy is told the whole address; a server only the path.
        let (to, target) = match &self.proxy {
            Some(proxy) => (proxy.authority().context("http_proxy names no host")?.as_str(), whole.as_str()),
            None => (authority.as_str(), path),
        };
        let connect = async {
            let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
            anyhow::Ok(pool::speak(stream).await?)
        };
        let mut request = Request::get(target).header(HOST, authority);
        for name in FORWARDED {
            for value in from.get_all(name) {
                request = request.header(name, value);
            }
        }
        let answer = pool.send(request.body(Empty::<Bytes>::new())?, connect).await;
        let (answer, sender) = match answer {
            Ok(answered) => answered,
            Err(Lost::Unconnected(e)) => return Err(e),
            Err(Lost::Reset(e)) => return Err(anyhow::Error::new(e).context(format!("asking {whole}"))),
        };
        let status = answer.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            bail!("{whole} answered with another protocol");
        }
        let body = answer.into_body().collect().await.with_context(|| format!("reading the answer of {whole}"))?;
        pool.give(sender);
        Ok((status, body.to_bytes()))
    }
}
