//! A SPDY connection: streams that the peer opens.
//!
//! In: a connection. Out: streams, each with what the peer sends and a way to answer. May not know: what streams are for.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Frame, Reader, Reset, Writer};
use super::headers::Headers;
use crate::sandbox::node::mux::{Outgoing, Sink};

/// How many frames may wait for a stream's reader before the connection is not read any further.
const WAITING: usize = 64;
/// How many bytes are consumed before the peer is granted as many again.
const GRANT: usize = 32 << 10;
/// How many streams the peer may have open: kubectl opens two per forwarded connection.
const STREAMS: usize = 4096;
/// How long the peer may take to hang up after everything has been written.
const LINGER: Duration = Duration::from_secs(2);

/// A stream that the peer has opened.
#[derive(Debug)]
pub struct Stream {
    /// What it is for.
    pub headers: Headers,
    /// What the peer sends; ends when the peer has said it all.
    pub reader: mpsc::Receiver<Bytes>,
    /// What goes to the peer.
    pub sink: Sink,
}

impl Stream {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// An open connection. Once it and the sinks of all its streams are dropped, what is written goes out and the connection
/// ends.
#[derive(Debug)]
pub struct Session {
    streams: mpsc::Receiver<Stream>,
    /// Keeps the writer alive while there may be more streams.
    _out: mpsc::Sender<Outgoing>,
    writer: JoinHandle<io::Result<()>>,
    gone: CancellationToken,
}

impl Session {
    /// Starts to serve a connection.
    pub fn start<C: AsyncRead + AsyncWrite + Send + 'static>(connection: C) -> io::Result<Session> {
        let (read, write) = tokio::io::split(connection);
        let (out, outgoing) = mpsc::channel(WAITING);
        let (control, controls) = mpsc::unbounded_channel();
        let (opened, streams) = mpsc::channel(WAITING);
        let gone = CancellationToken::new();
        let reading = Reading {
            control,
            opened,
            out: out.downgrade(),
            open: BTreeMap::new(),
            consumed: 0,
            last: 0,
            _gone: gone.clone().drop_guard(),
        };
        let reader = tokio::spawn(reading.run(Reader::new(read))).abort_handle();
        let writing = Writing { to: write, frames: Writer::new()? };
        let writer = tokio::spawn(async move {
            let done = writing.run(outgoing, controls).await;
            // Bytes of the peer that nobody reads would make the kernel cut off what it has not read yet of ours.
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                reader.abort();
            });
            done
        });
        Ok(Session { streams, _out: out, writer, gone })
    }

    /// The next stream that the peer opens; None when it is gone.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }

    /// Is cancelled when the peer is gone.
    pub fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Waits until everything is written and the connection has ended. All sinks must be gone, or go.
    pub async fn finish(self) {
        let Session { streams, _out, writer, .. } = self;
        drop((streams, _out));
        // Nobody can be told that the peer went away first.
        let _ = writer.await;
    }
}

/// The reading half.
struct Reading {
    control: mpsc::UnboundedSender<Frame>,
    opened: mpsc::Sender<Stream>,
    out: mpsc::WeakSender<Outgoing>,
    /// The streams on which the peer may still send; a reader that lost interest is None.
    open: BTreeMap<u32, Option<mpsc::Sender<Bytes>>>,
    consumed: usize,
    last: u32,
    /// Tells everybody when the reading has ended.
    _gone: DropGuard,
}

impl Reading {
    async fn run<C: AsyncRead>(mut self, mut frames: Reader<ReadHalf<C>>) {
        loop {
            match frames.next().await {
                Ok(Some(frame)) => self.take(frame).await,
                Ok(None) => return,
                Err(e) => {
                    tracing::debug!("a SPDY peer broke the protocol: {e}");
                    let _ = self.control.send(Frame::GoAway { last: self.last });
                    return;
                }
            }
        }
    }

    fn say(&self, frame: Frame) {
        // A writer that is gone has nobody to write to.
        let _ = self.control.send(frame);
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open { id, fin, headers } => self.open(id, fin, headers).await,
            Frame::Data { id, fin, bytes } => self.data(id, fin, bytes).await,
            Frame::Reset { id, .. } | Frame::Other { ends: Some(id) } => drop(self.open.remove(&id)),
            // Only the side that asked counts; ours would be even, and we do not ask.
            Frame::Ping(id) if id % 2 == 1 => self.say(Frame::Ping(id)),
            Frame::Ping(_)
            | Frame::GoAway { .. }
            | Frame::Window { .. }
            | Frame::Reply { .. }
            | Frame::Other { ends: None } => {}
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) {
        if id.is_multiple_of(2) || id <= self.last {
            return self.say(Frame::Reset { id, status: Reset::Protocol as u32 });
        }
        self.last = id;
        let Some(out) = self.out.upgrade().filter(|_| self.open.len() < STREAMS) else {
            return self.say(Frame::Reset { id, status: Reset::Refused as u32 });
        };
        let (sender, reader) = mpsc::channel(WAITING);
        if !fin {
            self.open.insert(id, Some(sender));
        }
        self.say(Frame::Reply { id, fin: false });
        let stream = Stream { headers, reader, sink: Sink::new(id, out) };
        if self.opened.send(stream).await.is_err() {
            self.open.remove(&id);
            self.say(Frame::Reset { id, status: Reset::Refused as u32 });
        }
    }

    async fn data(&mut self, id: u32, fin: bool, bytes: Bytes) {
        let length = bytes.len();
        let Some(reader) = self.open.get_mut(&id) else {
            return self.say(Frame::Reset { id, status: Reset::Invalid as u32 });
        };
        if let Some(sender) = reader
            && !bytes.is_empty()
            && sender.send(bytes).await.is_err()
        {
            *reader = None;
        }
        if fin {
            self.open.remove(&id);
        }
        self.consumed += length;
        if self.consumed >= GRANT {
            let delta = u32::try_from(std::mem::take(&mut self.consumed)).unwrap_or(u32::MAX >> 1);
            self.say(Frame::Window { id: 0, delta });
            if !fin {
                self.say(Frame::Window { id, delta });
            }
        }
    }
}

/// The writing half.
struct Writing<C> {
    to: WriteHalf<C>,
    frames: Writer,
}

impl<C: AsyncRead + AsyncWrite> Writing<C> {
    async fn run(
        mut self,
        mut outgoing: mpsc::Receiver<Outgoing>,
        mut controls: mpsc::UnboundedReceiver<Frame>,
    ) -> io::Result<()> {
        loop {
            let frame = tokio::select! {
                // A stream is accepted before its first byte.
                biased;
                Some(frame) = controls.recv() => frame,
                out = outgoing.recv() => match out {
                    Some(Outgoing::Data(id, bytes)) => Frame::Data { id, fin: false, bytes },
                    Some(Outgoing::End(id)) => Frame::Data { id, fin: true, bytes: Bytes::new() },
                    None => break,
                },
            };
            let bytes = self.frames.bytes(&frame)?;
            self.to.write_all(&bytes).await?;
            if outgoing.is_empty() && controls.is_empty() {
                self.to.flush().await?;
            }
        }
        let bye = self.frames.bytes(&Frame::GoAway { last: 0 })?;
        self.to.write_all(&bye).await?;
        self.to.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    /// The peer: what kubectl's library does on its side of a connection.
    struct Peer {
        reader: Reader<ReadHalf<DuplexStream>>,
        to: WriteHalf<DuplexStream>,
        writer: Writer,
    }

    impl Peer {
        fn connected() -> (Peer, Session) {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (read, to) = tokio::io::split(theirs);
            let peer = Peer { reader: Reader::new(read), to, writer: Writer::new().unwrap() };
            (peer, Session::start(ours).unwrap())
        }

        async fn send(&mut self, frame: Frame) {
            let bytes = self.writer.bytes(&frame).unwrap();
            self.to.write_all(&bytes).await.unwrap();
        }

        async fn open(&mut self, id: u32, kind: &str) {
            let headers = vec![("streamtype".to_owned(), kind.to_owned())];
            self.send(Frame::Open { id, fin: false, headers }).await;
        }

        async fn next(&mut self) -> Option<Frame> {
            tokio::time::timeout(Duration::from_secs(5), self.reader.next()).await.unwrap().unwrap()
        }
    }

    fn data(id: u32, fin: bool, text: &'static str) -> Frame {
        Frame::Data { id, fin, bytes: Bytes::from_static(text.as_bytes()) }
    }

    #[tokio::test]
    async fn a_stream_is_accepted_answered_and_ended() {
        let (mut peer, mut session) = Peer::connected();
        peer.open(1, "stdin").await;
        peer.send(data(1, true, "hello")).await;
        let mut stream = session.accept().await.unwrap();
        assert_eq!(stream.header("streamType"), Some("stdin"));
        assert_eq!(stream.reader.recv().await.unwrap(), "hello");
        assert_eq!(stream.reader.recv().await, None);
        stream.sink.send("world".into()).await.unwrap();
        stream.sink.end().await;
        session.finish().await;
        let expected = [Frame::Reply { id: 1, fin: false }, data(1, false, "world"), data(1, true, "")];
        for frame in expected {
            assert_eq!(peer.next().await, Some(frame));
        }
        assert_eq!(peer.next().await, Some(Frame::GoAway { last: 0 }));
        assert_eq!(peer.next().await, None);
    }

    #[tokio::test]
    async fn a_ping_comes_back_and_a_wrong_stream_is_reset() {
        let (mut peer, _session) = Peer::connected();
        peer.send(Frame::Ping(7)).await;
        peer.send(data(9, false, "nobody opened this")).await;
        peer.open(2, "even numbers are the server's").await;
        assert_eq!(peer.next().await, Some(Frame::Ping(7)));
        assert_eq!(peer.next().await, Some(Frame::Reset { id: 9, status: 2 }));
        assert_eq!(peer.next().await, Some(Frame::Reset { id: 2, status: 1 }));
    }

    #[tokio::test]
    async fn what_is_consumed_is_granted_again() {
        let (mut peer, mut session) = Peer::connected();
        peer.open(1, "stdin").await;
        let mut stream = session.accept().await.unwrap();
        assert_eq!(peer.next().await, Some(Frame::Reply { id: 1, fin: false }));
        let chunk = Bytes::from(vec![b'x'; GRANT / 2]);
        for _ in 0..2 {
            peer.send(Frame::Data { id: 1, fin: false, bytes: chunk.clone() }).await;
            assert_eq!(stream.reader.recv().await.unwrap().len(), GRANT / 2);
        }
        assert_eq!(peer.next().await, Some(Frame::Window { id: 0, delta: GRANT as u32 }));
        assert_eq!(peer.next().await, Some(Frame::Window { id: 1, delta: GRANT as u32 }));
    }

    #[tokio::test]
    async fn a_peer_that_goes_away_ends_its_streams_and_the_session() {
        let (mut peer, mut session) = Peer::connected();
        peer.open(1, "data").await;
        let mut stream = session.accept().await.unwrap();
        drop(peer);
        assert_eq!(stream.reader.recv().await, None);
        assert!(session.accept().await.is_none());
    }
}
