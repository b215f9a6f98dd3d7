//! Frames of SPDY/3.1.
//!
//! In: bytes. Out: frames, and frames as bytes. May not know: what streams are for.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::headers::{Headers, Packer, Unpacker};

const VERSION: u16 = 3;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// How large a frame may be: clients send at most 32 KiB at a time.
const LIMIT: usize = 1 << 20;

/// Why a stream is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The stream breaks the protocol.
    Protocol = 1,
    /// There is no such stream.
    Invalid = 2,
    /// The stream is not wanted.
    Refused = 3,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream (SYN_STREAM).
    Open {
        /// The new stream.
        id: u32,
        /// The opener will send nothing more on it.
        fin: bool,
        /// What it is for.
        headers: Headers,
    },
    /// Accepts a stream (SYN_REPLY).
    Reply {
        /// The stream.
        id: u32,
        /// The accepter will send nothing on it.
        fin: bool,
    },
    /// Ends a stream at once (RST_STREAM).
    Reset {
        /// The stream.
        id: u32,
        /// Why.
        status: u32,
    },
    /// Must be sent back (PING).
    Ping(u32),
    /// No stream will be accepted any more (GOAWAY).
    GoAway {
        /// The last stream accepted.
        last: u32,
    },
    /// The peer may send that many bytes more (WINDOW_UPDATE).
    Window {
        /// The stream; 0 for the connection.
        id: u32,
        /// Bytes.
        delta: u32,
    },
    /// Bytes of a stream.
    Data {
        /// The stream.
        id: u32,
        /// Nothing follows from this side.
        fin: bool,
        /// The bytes.
        bytes: Bytes,
    },
    /// SETTINGS and HEADERS, which mean nothing here. HEADERS can end a stream.
    Other {
        /// The stream that ends, if one does.
        ends: Option<u32>,
    },
}

/// Reads frames.
pub struct Reader<R> {
    from: R,
    headers: Unpacker,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// At the start of a connection.
    pub fn new(from: R) -> Self {
        Reader { from, headers: Unpacker::new() }
    }

    /// The next frame; None at the end of the connection. Not cancel-safe.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 8];
        match self.from.read_exact(&mut head).await {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let (flags, length) = (head[4], u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize);
        if length > LIMIT {
            return Err(wrong(format!("a frame of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).await?;
        if first >> 31 == 0 {
            return Ok(Some(Frame::Data { id: first, fin: flags & FIN != 0, bytes: body.into() }));
        }
        let version = (first >> 16 & 0x7fff) as u16;
        if version != VERSION {
            return Err(wrong(format!("SPDY version {version}")));
        }
        self.control((first & 0xffff) as u16, flags, &body).map(Some)
    }

    fn control(&mut self, kind: u16, flags: u8, body: &[u8]) -> io::Result<Frame> {
        let fin = flags & FIN != 0;
        let word = |at: usize| {
            let bytes = body.get(at..at + 4).and_then(|b| b.first_chunk::<4>());
            bytes.map(|b| u32::from_be_bytes(*b)).ok_or_else(|| wrong("a frame that is too short"))
        };
        let id = |at| word(at).map(|id| id & 0x7fff_ffff);
        Ok(match kind {
            SYN_STREAM => {
                let block = body.get(10..).ok_or_else(|| wrong("a frame that is too short"))?;
                Frame::Open { id: id(0)?, fin, headers: self.headers.unpack(block)? }
            }
            SYN_REPLY => {
                self.headers.unpack(body.get(4..).unwrap_or_default())?;
                Frame::Reply { id: id(0)?, fin }
            }
            HEADERS => {
                self.headers.unpack(body.get(4..).unwrap_or_default())?;
                Frame::Other { ends: fin.then(|| id(0)).transpose()? }
            }
            RST_STREAM => Frame::Reset { id: id(0)?, status: word(4)? },
            SETTINGS => Frame::Other { ends: None },
            PING => Frame::Ping(word(0)?),
            GOAWAY => Frame::GoAway { last: id(0)? },
            WINDOW_UPDATE => Frame::Window { id: id(0)?, delta: id(4)? },
            other => return Err(wrong(format!("a frame of type {other}"))),
        })
    }
}

/// Writes frames.
pub struct Writer {
    headers: Packer,
}

impl Writer {
    /// At the start of a connection.
    pub fn new() -> io::Result<Self> {
        Ok(Writer { headers: Packer::new()? })
    }

    /// A frame as bytes.
    pub fn bytes(&mut self, frame: &Frame) -> io::Result<Bytes> {
        let flags = |fin: &bool| if *fin { FIN } else { 0 };
        Ok(match frame {
            Frame::Data { id, fin, bytes } => {
                let mut out = BytesMut::with_capacity(8 + bytes.len());
                out.put_u32(*id);
                out.put_u32(u32::from(flags(fin)) << 24 | bytes.len() as u32);
                out.put_slice(bytes);
                out.freeze()
            }
            Frame::Open { id, fin, headers } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend_from_slice(&[0; 6]);
                body.extend(self.headers.pack(headers)?);
                control(SYN_STREAM, flags(fin), &body)
            }
            Frame::Reply { id, fin } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend(self.headers.pack(&Headers::new())?);
                control(SYN_REPLY, flags(fin), &body)
            }
            Frame::Reset { id, status } => control(RST_STREAM, 0, &pair(*id, *status)),
            Frame::Ping(id) => control(PING, 0, &id.to_be_bytes()),
            Frame::GoAway { last } => control(GOAWAY, 0, &pair(*last, 0)),
            Frame::Window { id, delta } => control(WINDOW_UPDATE, 0, &pair(*id, *delta)),
            Frame::Other { .. } => control(SETTINGS, 0, &0u32.to_be_bytes()),
        })
    }
}

fn pair(one: u32, two: u32) -> [u8; 8] {
    let mut out = [0; 8];
    out[..4].copy_from_slice(&one.to_be_bytes());
    out[4..].copy_from_slice(&two.to_be_bytes());
    out
}

fn control(kind: u16, flags: u8, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + body.len());
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    out.put_u32(u32::from(flags) << 24 | body.len() as u32);
    out.put_slice(body);
    out.freeze()
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let id = 1u32..0x7fff_ffff;
        let headers = prop::collection::vec(("[a-z]{1,8}", "[a-zA-Z0-9 ]{0,40}"), 0..4);
        prop_oneof![
            (id.clone(), any::<bool>(), headers).prop_map(|(id, fin, headers)| Frame::Open { id, fin, headers }),
            (id.clone(), any::<bool>()).prop_map(|(id, fin)| Frame::Reply { id, fin }),
            (id.clone(), 1u32..9).prop_map(|(id, status)| Frame::Reset { id, status }),
            any::<u32>().prop_map(Frame::Ping),
            id.clone().prop_map(|last| Frame::GoAway { last }),
            (id.clone(), id.clone()).prop_map(|(id, delta)| Frame::Window { id, delta }),
            (id, any::<bool>(), prop::collection::vec(any::<u8>(), 0..2000)).prop_map(|(id, fin, b)| Frame::Data {
                id,
                fin,
                bytes: b.into()
            }),
            Just(Frame::Other { ends: None }),
        ]
    }

    fn read(bytes: &[u8]) -> (Vec<Frame>, Option<io::Error>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = Reader::new(bytes);
            let mut frames = Vec::new();
            loop {
                match reader.next().await {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => return (frames, None),
                    Err(e) => return (frames, Some(e)),
                }
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec(any_frame(), 1..12)) {
            let mut writer = Writer::new().unwrap();
            let bytes: Vec<u8> = frames.iter().flat_map(|f| writer.bytes(f).unwrap()).collect();
            let (seen, error) = read(&bytes);
            prop_assert!(error.is_none(), "{error:?}");
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }
    }

    #[test]
    fn a_frame_as_kubectl_sends_it_is_read() {
        let mut bytes = vec![0x80, 3, 0, 1, 0, 0, 0, 0x2b, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend([
            0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x62, 0x60, 0x60, 0x60, 0x04, 0xa7, 0xb3, 0x92, 0xa2, 0xd4, 0xc4, 0x5c,
            0x68, 0x51, 0xc2, 0x56, 0x5c, 0x92, 0x92, 0x5f, 0x5a, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff,
        ]);
        let headers = vec![("streamtype".to_owned(), "stdout".to_owned())];
        assert_eq!(read(&bytes).0, [Frame::Open { id: 1, fin: false, headers }]);
    }

    #[test]
    fn another_version_and_an_enormous_frame_are_errors() {
        assert!(read(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]).1.is_some());
        assert!(read(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff]).1.is_some());
    }
}
