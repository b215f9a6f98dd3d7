//! The HTTP server behind every program that runs inside failctl.
//!
//! In: an address, a function from requests to answers. Out: answers, until it is dropped. May not know: programs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::signals::Gate;

/// What a program answers.
pub type Answer = Response<Full<Bytes>>;

/// Serves until dropped; open connections are cut then, as by a kill. Answers nobody while the gate is closed. Returns only
/// if it cannot listen.
pub async fn serve<A, F>(address: SocketAddr, gate: Gate, listening: impl FnOnce(), answer: A) -> std::io::Error
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(e) => return e,
    };
    listening();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => { connections.spawn(connection(stream, peer, gate.clone(), answer.clone())); }
                // Out of file descriptors: those in use must go first.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection<A, F>(stream: TcpStream, peer: SocketAddr, gate: Gate, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (mut gate, answered) = (gate.clone(), answer(request, peer));
        async move {
            gate.open().await;
            let answer = answered.await;
            // Stopped in the middle is stopped too.
            gate.open().await;
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    // A peer that goes away in the middle is no news.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
