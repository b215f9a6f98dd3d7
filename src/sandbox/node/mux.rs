//! The outgoing half of several streams that share a connection, whatever protocol carries them.
//!
//! In: bytes of a stream. Out: the same with the stream's number, in order. May not know: the protocol, what streams are for.

use bytes::Bytes;
use tokio::sync::mpsc;

/// What a connection's writer must write.
#[derive(Debug)]
pub enum Outgoing {
    /// Bytes of a stream.
    Data(u32, Bytes),
    /// Nothing more follows on a stream.
    End(u32),
}

/// The connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Writes one stream.
#[derive(Debug)]
pub struct Sink {
    id: u32,
    out: mpsc::Sender<Outgoing>,
}

impl Sink {
    /// The stream with that number, on the connection behind `out`.
    pub fn new(id: u32, out: mpsc::Sender<Outgoing>) -> Self {
        Sink { id, out }
    }

    /// Writes bytes; waits while the connection is slower.
    pub async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.out.send(Outgoing::Data(self.id, bytes)).await.map_err(|_| Gone)
    }

    /// Says that nothing more follows.
    pub async fn end(self) {
        // Nobody waits for the end of a stream whose connection has ended.
        let _ = self.out.send(Outgoing::End(self.id)).await;
    }
}
