//! Connections: TCP, TLS, HTTP/1.1 and HTTP/2, each request to the one handler.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::serve::serve;
use super::state::Api;

/// How long a client may take to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts connections until told to stop; then lets those that are busy finish for a moment.
/// Dropped instead, it takes every connection with it at once.
pub async fn listen(api: Arc<Api>, listener: TcpListener, tls: TlsAcceptor, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(api.clone(), stream, tls.clone(), stop.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: nothing gets better by asking again at once.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(1), finish).await.is_err() {
        connections.shutdown().await;
    }
}

async fn converse(api: Arc<Api>, stream: TcpStream, tls: TlsAcceptor, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("a connection without TCP_NODELAY: {error}");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("a TLS handshake failed: {error}"),
        Err(_) => return tracing::debug!("a client did not say hello in time"),
    };
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(serve(api, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).keep_alive(true);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("a connection broke: {error}");
    }
}
