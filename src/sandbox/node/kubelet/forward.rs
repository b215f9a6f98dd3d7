//! Port-forward: streams to a pod's ports.
//!
//! In: an agreed upgrade, the pod's addresses. Out: bytes, to and from its ports. May not know: how pods run.
//! A pod behind a sidecar has two addresses; a forwarded port is looked for at each, as on the one `localhost` they stand for.
//!
//! Three protocols carry it: two channels per port of a WebSocket (kube's client), SPDY (kubectl, kube-apiserver), and
//! SPDY inside a WebSocket (kubectl since 1.31). In all of them a port has a stream of data and one for an error.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::channels::Channels;
use super::upgrade::{ByteStream, Carrier, Upgrade, websocket};
use crate::sandbox::node::addresses::PodAddress;
use crate::sandbox::node::mux::Sink;
use crate::sandbox::node::spdy::{Session, Stream};

/// SPDY inside a WebSocket.
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// Two channels per port of a WebSocket.
pub const CHANNELS: &str = "v4.channel.k8s.io";
/// SPDY.
pub const SPDY: &str = "portforward.k8s.io";

/// How much is read from a pod at once.
const CHUNK: usize = 32 << 10;

/// Forwards until the client is gone. `ports` are those of the request, for protocols that name them there.
pub async fn run(upgrade: Upgrade, pod: PodAddress, ports: Vec<u16>) -> anyhow::Result<()> {
    let (carrier, protocol) = (upgrade.carrier, upgrade.protocol);
    let connection = upgrade.connection().await?;
    match (carrier, protocol) {
        (Carrier::Spdy, _) => streams(connection, pod).await,
        (Carrier::WebSocket, TUNNEL) => streams(ByteStream::new(websocket(connection).await), pod).await,
        (Carrier::WebSocket, _) => {
            channels(Channels::start(websocket(connection).await, 2 * ports.len()), pod, ports).await
        }
    }
}

/// One pair of channels per port.
async fn channels(mut channels: Channels, pod: PodAddress, ports: Vec<u16>) -> anyhow::Result<()> {
    let mut running = JoinSet::new();
    for (index, port) in ports.into_iter().enumerate() {
        let (data, error) = (2 * index, 2 * index + 1);
        let Some(receiver) = channels.receiver(data) else { continue };
        let (data, error) = (channels.sink(u8::try_from(data)?), channels.sink(u8::try_from(error)?));
        // Each channel begins with the number of its port.
        for sink in [&data, &error] {
            let _ = sink.send(Bytes::copy_from_slice(&port.to_le_bytes())).await;
        }
        running.spawn(forward(pod, port, receiver, data, error));
    }
    let gone = channels.gone.clone();
    // The sinks of the channels are all in the tasks: when those are done, the connection ends.
    drop(channels);
    let all = async { while running.join_next().await.is_some() {} };
    gone.run_until_cancelled(all).await;
    Ok(())
}

/// A pair of streams that belong together by their request id.
#[derive(Default)]
struct Pair {
    data: Option<(u16, Stream)>,
    error: Option<Stream>,
}

async fn streams<C: AsyncRead + AsyncWrite + Send + 'static>(connection: C, pod: PodAddress) -> anyhow::Result<()> {
    let mut session = Session::start(connection)?;
    let mut waiting: BTreeMap<String, Pair> = BTreeMap::new();
    let mut running = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = session.accept() => stream,
            Some(_) = running.join_next(), if !running.is_empty() => continue,
        };
        let Some(stream) = stream else { break };
        // Clients before request ids used one pair per port.
        let port = stream.header("port").unwrap_or_default().to_owned();
        let id = stream.header("requestid").map_or_else(|| port.clone(), str::to_owned);
        let pair = waiting.entry(id.clone()).or_default();
        match (stream.header("streamtype"), port.parse()) {
            (Some("error"), Ok(_)) => pair.error = Some(stream),
            (Some("data"), Ok(port)) => pair.data = Some((port, stream)),
            (kind, _) => {
                let told = format!("a stream of type {kind:?} for port {port:?} cannot be forwarded");
                let _ = stream.sink.send(told.into()).await;
                stream.sink.end().await;
            }
        }
        match waiting.remove(&id) {
            Some(Pair { data: Some((port, data)), error: Some(error) }) => {
                running.spawn(forward(pod, port, data.reader, data.sink, error.sink));
            }
            Some(half) => drop(waiting.insert(id, half)),
            None => {}
        }
    }
    // The client is gone; what is still running has nobody to talk to.
    Ok(())
}

/// The first of a pod's addresses that accepts a connection. The error is the last one's.
async fn connect(pod: &PodAddress, port: u16) -> Result<TcpStream, String> {
    let mut refused = "to a pod without an address".to_owned();
    for to in pod.local(port) {
        match TcpStream::connect(to).await {
            Ok(stream) => return Ok(stream),
            Err(e) => refused = format!("to {to} inside the pod: {e}"),
        }
    }
    Err(refused)
}

/// Copies between a stream and a port of the pod, until the pod has said everything or the client is gone.
async fn forward(address: PodAddress, port: u16, mut from_client: mpsc::Receiver<Bytes>, data: Sink, error: Sink) {
    let pod = match connect(&address, port).await {
        Ok(pod) => pod,
        Err(e) => {
            let told = format!("error forwarding port {port}: failed to connect {e}");
            let _ = error.send(told.into()).await;
            error.end().await;
            return data.end().await;
        }
    };
    let _ = pod.set_nodelay(true);
    let (mut from_pod, mut to_pod) = pod.into_split();
    let up = async {
        while let Some(bytes) = from_client.recv().await {
            if to_pod.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The client has said everything; the pod may still answer.
        let _ = to_pod.shutdown().await;
        std::future::pending::<()>().await
    };
    let down = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            match from_pod.read_buf(&mut buffer).await {
                Ok(0) => return None,
                Ok(_) => data.send(buffer.split().freeze()).await.ok()?,
                Err(e) => return Some(e),
            }
        }
    };
    let failed = tokio::select! {
        () = up => None,
        failed = down => failed,
    };
    if let Some(e) = failed {
        let _ = error.send(format!("error forwarding port {port}: {e}").into()).await;
    }
    data.end().await;
    error.end().await;
}
