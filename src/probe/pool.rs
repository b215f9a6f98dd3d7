//! Kept-alive connections to one address. What comes in: a request, a way to connect. What goes out: an answer's head with
//! the connection it came over, to be given back once its body is read.
//! May not know: what is asked, how long it may take.

use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The sending end of a connection.
pub type Sender = SendRequest<Empty<Bytes>>;

/// Idle connections, the last used first.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Sender>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost<E> {
    /// No connection could be made.
    Unconnected(E),
    /// The connection ended before a status line came.
    Reset(hyper::Error),
}

impl Pool {
    /// Sends a request over an idle connection, else over the one that `connect` makes.
    pub async fn send<E>(
        &self,
        mut request: Request<Empty<Bytes>>,
        connect: impl Future<Output = Result<Sender, E>>,
    ) -> Result<(Response<Incoming>, Sender), Lost<E>> {
        while let Some(mut sender) = self.take().await {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut e) => match e.take_message() {
                    // The idle connection had been closed and nothing was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(Lost::Reset(e.into_error())),
                },
            }
        }
        let mut sender = connect.await.map_err(Lost::Unconnected)?;
        let response = sender.send_request(request).await.map_err(Lost::Reset)?;
        Ok((response, sender))
    }

    /// Takes back a connection whose answer was read to its end.
    pub fn give(&self, sender: Sender) {
        if !sender.is_closed() {
            self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(sender);
        }
    }

    /// A connection that can take a request; closed ones are thrown away on the way.
    async fn take(&self) -> Option<Sender> {
        loop {
            let mut sender = self.pop()?;
            // The end of a body is seen a moment before its connection is ready again.
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn pop(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
    }
}

/// Speaks HTTP over a connection, until nobody sends over it any more.
pub async fn speak(stream: TcpStream) -> hyper::Result<Sender> {
    // Without it small requests wait for the answer to the one before.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever used the connection hears of its end through the sender.
        let _ = connection.await;
    });
    Ok(sender)
}
