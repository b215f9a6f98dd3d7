//! The programs of Istio's Bookinfo sample: the same paths, ports, answers' shapes and calls to each other.
//!
//! In: which program, an address, a container's environment. Out: HTTP answers, an access log. May not know: pods,
//! sidecars (calls go through whatever `http_proxy` names).
//!
//! | program | asks | paths |
//! |---|---|---|
//! | productpage | details, reviews | `/productpage`, `/api/v1/products…`, `/health` |
//! | details | | `/details/N`, `/health` |
//! | reviews v1, v2, v3 | ratings (v2 and v3) | `/reviews/N`, `/health` |
//! | ratings | | `/ratings/N`, `/health` |

mod client;
mod details;
mod productpage;
mod ratings;
mod reviews;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::Value;

use self::client::Peers;
use super::http::{self as server, Answer};
use super::logs::Logs;
use super::signals::Gate;

/// The port every one of them listens on.
pub const PORT: u16 = 9080;

/// One of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The page.
    Productpage,
    /// The book's details.
    Details,
    /// The book's reviews, in version 1 (no stars), 2 (black stars) or 3 (red stars).
    Reviews(u8),
    /// The reviews' stars.
    Ratings,
}

impl Program {
    /// Of an image's name after `examples-bookinfo-`.
    pub fn of(name: &str) -> Option<Program> {
        match name {
            "productpage-v1" => Some(Program::Productpage),
            "details-v1" => Some(Program::Details),
            "ratings-v1" => Some(Program::Ratings),
            "reviews-v1" => Some(Program::Reviews(1)),
            "reviews-v2" => Some(Program::Reviews(2)),
            "reviews-v3" => Some(Program::Reviews(3)),
            _ => None,
        }
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Program::Productpage => "productpage",
            Program::Details => "details",
            Program::Ratings => "ratings",
            Program::Reviews(1) => "reviews-v1",
            Program::Reviews(2) => "reviews-v2",
            Program::Reviews(_) => "reviews-v3",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a running program knows.
struct Running {
    program: Program,
    /// `HOSTNAME`: the pod's name.
    pod: String,
    /// `CLUSTER_NAME`.
    cluster: String,
    peers: Peers,
    ratings: ratings::Ratings,
}

/// A request as the programs see it.
struct Asked {
    method: Method,
    /// The path's parts, without empty ones.
    path: Vec<String>,
    headers: http::HeaderMap,
    body: Bytes,
}

/// Serves until dropped. Returns only if it cannot listen.
pub async fn serve(
    program: Program,
    ip: IpAddr,
    env: &BTreeMap<String, String>,
    gate: Gate,
    logs: Logs,
) -> std::io::Error {
    let get = |name: &str| env.get(name).cloned().unwrap_or_default();
    let running = Arc::new(Running {
        program,
        pod: get("HOSTNAME"),
        cluster: env.get("CLUSTER_NAME").cloned().unwrap_or_else(|| "null".into()),
        peers: Peers::of(env),
        ratings: ratings::Ratings::default(),
    });
    let said = logs.clone();
    let listening = move || said.push(format!("{program}: listening on port {PORT}"));
    let answer = move |request, peer| answer(running.clone(), logs.clone(), request, peer);
    server::serve(SocketAddr::new(ip, PORT), gate, listening, answer).await
}

async fn answer(running: Arc<Running>, logs: Logs, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let start = Instant::now();
    let (parts, body) = request.into_parts();
    // A body that is cut off is as good as none: the client is gone.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = parts.uri.path().split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    let line = format!("\"{} {} {:?}\"", parts.method, parts.uri.path(), parts.version);
    let agent = parts.headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
    let health = parts.uri.path() == "/health";
    let asked = Asked { method: parts.method, path, headers: parts.headers, body };
    let answer = running.answer(&asked).await;
    if !health {
        let now = Timestamp::now();
        let status = answer.status().as_u16();
        logs.push(format!("{now:.3} {peer} {line} {status} \"{agent}\" {:?}", start.elapsed()));
    }
    answer
}

impl Running {
    async fn answer(&self, asked: &Asked) -> Answer {
        match self.program {
            Program::Productpage => productpage::answer(self, asked).await,
            Program::Details => details::answer(asked),
            Program::Ratings => ratings::answer(&self.ratings, asked),
            Program::Reviews(version) => reviews::answer(self, version, asked).await,
        }
    }
}

impl Asked {
    /// The path's parts as texts.
    fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }
}

fn json(status: StatusCode, value: &Value) -> Answer {
    typed(status, "application/json", value.to_string())
}

fn html(body: String) -> Answer {
    typed(StatusCode::OK, "text/html; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn not_found() -> Answer {
    typed(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n")
}

/// The number of a book in a path; as in the sample, nothing but digits is one.
fn number(text: &str) -> Result<i64, Answer> {
    let wrong = || json(StatusCode::BAD_REQUEST, &serde_json::json!({"error": "please give a number for the product"}));
    text.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
