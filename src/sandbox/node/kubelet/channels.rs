//! Streams in a WebSocket: the first byte of each binary message says which one (`v4.channel.k8s.io`, `v5.…`).
//!
//! In: a WebSocket. Out: one receiver per channel, and a sender for all. May not know: what channels are for.

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::upgrade::{Connection, goodbye};
use crate::sandbox::node::mux::{Outgoing, Sink};

/// How many messages may wait for a channel's reader before the connection is not read any further.
const WAITING: usize = 64;
/// The channel that closes others, since version 5.
const CLOSE: u8 = 255;

/// A WebSocket taken apart. Once every sink is dropped, what is written goes out and the connection ends.
pub struct Channels {
    /// What the peer sends, by channel; each can be taken once.
    receivers: Vec<Option<mpsc::Receiver<Bytes>>>,
    out: mpsc::Sender<Outgoing>,
    /// Is cancelled when the peer is gone.
    pub gone: CancellationToken,
}

impl Channels {
    /// Takes a WebSocket with that many channels apart.
    pub fn start(socket: WebSocketStream<Connection>, count: usize) -> Channels {
        let (write, read) = socket.split();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(WAITING)).unzip();
        let (out, outgoing) = mpsc::channel(WAITING);
        let gone = CancellationToken::new();
        let (guard, ended) = (gone.clone().drop_guard(), CancellationToken::new());
        let written = ended.clone().drop_guard();
        tokio::spawn(async move {
            let _gone = guard;
            tokio::select! {
                () = receive(read, senders.into_iter().map(Some).collect()) => {}
                () = async {
                    ended.cancelled().await;
                    // The peer hangs up when it has seen our close; a peer that does not is not waited for.
                    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
                } => {}
            }
        });
        tokio::spawn(async move {
            let _written = written;
            send(write, outgoing).await;
        });
        Channels { receivers: receivers.into_iter().map(Some).collect(), out, gone }
    }

    /// What the peer sends on a channel.
    pub fn receiver(&mut self, channel: usize) -> Option<mpsc::Receiver<Bytes>> {
        self.receivers.get_mut(channel)?.take()
    }

    /// What goes to the peer on a channel.
    pub fn sink(&self, channel: u8) -> Sink {
        Sink::new(u32::from(channel), self.out.clone())
    }
}

async fn receive(mut from: SplitStream<WebSocketStream<Connection>>, mut to: Vec<Option<mpsc::Sender<Bytes>>>) {
    while let Some(Ok(message)) = from.next().await {
        let mut bytes = match message {
            Message::Binary(bytes) if !bytes.is_empty() => bytes,
            Message::Close(_) => return,
            _ => continue,
        };
        let channel = bytes.split_to(1)[0];
        if channel == CLOSE && bytes.len() == 1 {
            if let Some(closed) = to.get_mut(usize::from(bytes[0])) {
                *closed = None;
            }
            continue;
        }
        let Some(Some(sender)) = to.get(usize::from(channel)) else { continue };
        if !bytes.is_empty() && sender.send(bytes).await.is_err() {
            to[usize::from(channel)] = None;
        }
    }
}

async fn send(mut to: SplitSink<WebSocketStream<Connection>, Message>, mut from: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = from.recv().await {
        // The protocol has no word for the end of a stream that the server writes.
        let Outgoing::Data(channel, bytes) = outgoing else { continue };
        let mut message = BytesMut::with_capacity(1 + bytes.len());
        message.put_u8(u8::try_from(channel).unwrap_or(u8::MAX));
        message.put_slice(&bytes);
        if to.send(Message::Binary(message.freeze())).await.is_err() {
            return;
        }
    }
    // The peer may be gone.
    let _ = to.send(goodbye()).await;
    let _ = to.flush().await;
}
