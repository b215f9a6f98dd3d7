//! From HTTP to streams: which protocol the client offers and which one it gets.
//!
//! In: a request. Out: the answer 101 and the connection behind it, or a refusal that lets the client fall back.
//! May not know: what the streams are for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Answer, text};

const STREAM_VERSION: &str = "x-stream-protocol-version";

/// What carries the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A WebSocket.
    WebSocket,
    /// SPDY/3.1.
    Spdy,
}

/// An upgrade that has been agreed on.
pub struct Upgrade {
    /// What carries the streams.
    pub carrier: Carrier,
    /// The protocol on top of it, one of those that were wanted.
    pub protocol: &'static str,
    connection: OnUpgrade,
}

/// A connection after its upgrade.
pub type Connection = TokioIo<Upgraded>;

impl Upgrade {
    /// Agrees on one of the protocols, in our order of preference: `websocket` for WebSockets, `spdy` for SPDY.
    /// The error is the refusal.
    pub fn agree(
        mut request: Request<Incoming>,
        websocket: &[&'static str],
        spdy: &[&'static str],
    ) -> Result<(Self, Answer), Answer> {
        let headers = request.headers();
        let wants = header_value(headers, header::UPGRADE.as_str()).to_ascii_lowercase();
        let mut answer = Response::new(Empty::<Bytes>::new().boxed_unsync());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let out = answer.headers_mut();
        out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        let (carrier, protocol) = match wants.as_str() {
            "websocket" => {
                let key = headers.get(header::SEC_WEBSOCKET_KEY);
                let Some(key) = key else { return Err(refused("Sec-WebSocket-Key is missing")) };
                let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
                let Ok(accept) = accept else { return Err(refused("Sec-WebSocket-Key is no key")) };
                let offered = offers(headers, header::SEC_WEBSOCKET_PROTOCOL.as_str());
                let Some(protocol) = chosen(websocket, &offered) else { return Err(none_of(websocket, &offered)) };
                out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
                out.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
                (Carrier::WebSocket, protocol)
            }
            "spdy/3.1" => {
                let offered = offers(headers, STREAM_VERSION);
                let Some(protocol) = chosen(spdy, &offered) else { return Err(none_of(spdy, &offered)) };
                out.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
                out.insert(STREAM_VERSION, HeaderValue::from_static(protocol));
                (Carrier::Spdy, protocol)
            }
            _ => return Err(refused("you must request an upgrade to SPDY/3.1 or websocket")),
        };
        let connection = hyper::upgrade::on(&mut request);
        Ok((Upgrade { carrier, protocol, connection }, answer))
    }

    /// The connection, once the answer has been sent.
    pub async fn connection(self) -> Result<Connection, hyper::Error> {
        self.connection.await.map(TokioIo::new)
    }
}

/// A WebSocket over a connection that has been upgraded to it.
pub async fn websocket(connection: Connection) -> WebSocketStream<Connection> {
    WebSocketStream::from_raw_socket(connection, Role::Server, None).await
}

/// The end of a WebSocket. Clients of Kubernetes take every code but 1000 for a failure.
pub fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Default::default() }))
}

fn header_value<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().trim()
}

/// Every protocol offered: in several headers, or in one with commas.
fn offers<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(str::trim).filter(|v| !v.is_empty()).collect()
}

fn chosen(ours: &[&'static str], offered: &[&str]) -> Option<&'static str> {
    ours.iter().copied().find(|p| offered.contains(p))
}

fn refused(why: &'static str) -> Answer {
    text(StatusCode::BAD_REQUEST, why)
}

fn none_of(ours: &[&str], offered: &[&str]) -> Answer {
    let told = format!("unable to upgrade: of {offered:?} this kubelet speaks none; it speaks {ours:?}");
    text(StatusCode::FORBIDDEN, told)
}

/// A WebSocket whose binary messages are one stream of bytes: how kubectl tunnels SPDY since 1.31.
pub struct ByteStream {
    socket: WebSocketStream<Connection>,
    /// What is left of the last message.
    rest: Bytes,
    said_goodbye: bool,
}

impl ByteStream {
    /// The stream of bytes in a WebSocket.
    pub fn new(socket: WebSocketStream<Connection>) -> Self {
        ByteStream { socket, rest: Bytes::new(), said_goodbye: false }
    }
}

fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

impl AsyncRead for ByteStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match futures::ready!(futures::Stream::poll_next(Pin::new(&mut self.socket), cx)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(e)) => return Poll::Ready(Err(broken(e))),
            }
        }
        let length = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        use futures::Sink;
        futures::ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let message = Message::Binary(Bytes::copy_from_slice(buf));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures::Sink::poll_flush(Pin::new(&mut self.socket), cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        use futures::Sink;
        if !self.said_goodbye {
            futures::ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            self.said_goodbye = true;
            Pin::new(&mut self.socket).start_send(goodbye()).map_err(broken)?;
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_come_in_several_headers_or_in_one() {
        let mut headers = HeaderMap::new();
        headers.append("x-stream-protocol-version", HeaderValue::from_static("v5.channel.k8s.io"));
        headers.append("x-stream-protocol-version", HeaderValue::from_static("v4.channel.k8s.io, channel.k8s.io"));
        let offered = offers(&headers, STREAM_VERSION);
        assert_eq!(offered, ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"]);
        assert_eq!(chosen(&["v4.channel.k8s.io", "v3.channel.k8s.io"], &offered), Some("v4.channel.k8s.io"));
        assert_eq!(chosen(&["portforward.k8s.io"], &offered), None);
    }
}
