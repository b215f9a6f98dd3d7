//! Header blocks: names and values, compressed with a state that lasts as long as the connection.
//!
//! In: header pairs or a compressed block. Out: the other. May not know: frames.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::dictionary::DICTIONARY;

/// How large a block may get when it is unpacked: headers of Kubernetes streams are tiny.
const LIMIT: usize = 64 << 10;

/// Names and values in the order sent. A name comes once; several values are separated by NUL.
pub type Headers = Vec<(String, String)>;

/// Unpacks the blocks of one direction, in order.
pub struct Unpacker(Decompress);

impl Unpacker {
    /// At the start of a connection.
    pub fn new() -> Self {
        Unpacker(Decompress::new(true))
    }

    /// Unpacks the next block.
    pub fn unpack(&mut self, block: &[u8]) -> io::Result<Headers> {
        let mut rest = block;
        let mut out = Vec::with_capacity(4096);
        while !rest.is_empty() {
            if out.len() == out.capacity() {
                if out.len() >= LIMIT {
                    return Err(wrong("a header block is too large"));
                }
                out.reserve(out.len());
            }
            let before = self.0.total_in();
            let result = self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync);
            // The decompressor stops at the zlib header until it is given the dictionary that the header names.
            let needs_dictionary = matches!(&result, Err(e) if e.needs_dictionary().is_some());
            rest = &rest[usize::try_from(self.0.total_in() - before).map_err(io::Error::other)?..];
            match result {
                _ if needs_dictionary => {
                    self.0.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
                }
                Ok(Status::Ok) => {}
                // No progress for want of room is cured above; for want of input it is the end.
                Ok(Status::BufError) if out.len() == out.capacity() => {}
                Ok(_) => break,
                Err(e) => return Err(io::Error::other(e)),
            }
        }
        parse(&out)
    }
}

/// Packs the blocks of one direction, in order.
pub struct Packer(Compress);

impl Packer {
    /// At the start of a connection.
    pub fn new() -> io::Result<Self> {
        let mut compress = Compress::new(Compression::default(), true);
        compress.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
        Ok(Packer(compress))
    }

    /// Packs the next block.
    pub fn pack(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = length(headers.len()).to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&length(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        let mut out = Vec::with_capacity(plain.len() + 64);
        let start = self.0.total_in();
        loop {
            let used = usize::try_from(self.0.total_in() - start).map_err(io::Error::other)?;
            self.0.compress_vec(&plain[used..], &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
            // Room left over means that everything is out.
            if out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(256);
        }
    }
}

fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

fn parse(plain: &[u8]) -> io::Result<Headers> {
    let mut rest = plain;
    let count = number(&mut rest)?;
    let mut headers = Headers::new();
    for _ in 0..count {
        headers.push((text(&mut rest)?, text(&mut rest)?));
    }
    Ok(headers)
}

fn number(rest: &mut &[u8]) -> io::Result<usize> {
    let (word, tail) = rest.split_first_chunk::<4>().ok_or_else(|| wrong("a header block ends too soon"))?;
    *rest = tail;
    Ok(u32::from_be_bytes(*word) as usize)
}

fn text(rest: &mut &[u8]) -> io::Result<String> {
    let length = number(rest)?;
    let (text, tail) = rest.split_at_checked(length).ok_or_else(|| wrong("a header block ends too soon"))?;
    *rest = tail;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first block that kubectl's library sends for a stream of type `stdout`.
    const STDOUT: [u8; 33] = [
        0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x62, 0x60, 0x60, 0x60, 0x04, 0xa7, 0xb3, 0x92, 0xa2, 0xd4, 0xc4, 0x5c,
        0x68, 0x51, 0xc2, 0x56, 0x5c, 0x92, 0x92, 0x5f, 0x5a, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff,
    ];

    #[test]
    fn a_block_of_kubectls_library_is_read() {
        let headers = Unpacker::new().unpack(&STDOUT).unwrap();
        assert_eq!(headers, [("streamtype".to_owned(), "stdout".to_owned())]);
    }

    #[test]
    fn a_damaged_block_is_an_error_and_never_a_panic() {
        for end in 0..STDOUT.len() - 8 {
            assert!(Unpacker::new().unpack(&STDOUT[..end]).is_err(), "{end}");
        }
        let mut other = STDOUT;
        other[3] ^= 1;
        assert!(Unpacker::new().unpack(&other).is_err());
        assert!(parse(&[0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_headers_are_is_refused() {
        let huge = vec![("a".to_owned(), "x".repeat(LIMIT * 4))];
        let block = Packer::new().unwrap().pack(&huge).unwrap();
        assert!(Unpacker::new().unpack(&block).unwrap_err().to_string().contains("too large"));
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_block_after_block(
            blocks in prop::collection::vec(prop::collection::vec(("[a-z-]{1,12}", ".{0,300}"), 0..6), 1..6)
        ) {
            let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new());
            for block in blocks {
                let packed = packer.pack(&block).unwrap();
                prop_assert_eq!(unpacker.unpack(&packed).unwrap(), block);
            }
        }
    }
}
