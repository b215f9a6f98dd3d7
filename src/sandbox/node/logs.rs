//! What a container has written: a bounded ring of lines that can be read and followed.
//!
//! In: lines. Out: the same lines with their times, to any number of readers. May not know: who writes or reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// How many bytes of text a container's log keeps; older lines are forgotten.
const KEPT_BYTES: usize = 4 << 20;

/// How long one line may be; longer ones are cut into several, as container runtimes do.
const LINE_BYTES: usize = 16 << 10;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How long to wait for more when little was there.
const BREATH: Duration = Duration::from_millis(2);

/// A line, or several where it is too long.
fn pieces(mut line: Bytes) -> impl Iterator<Item = Bytes> {
    let mut first = true;
    std::iter::from_fn(move || {
        let more = first || !line.is_empty();
        first = false;
        more.then(|| line.split_to(line.len().min(LINE_BYTES)))
    })
}

/// One line, without its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub text: Bytes,
}

/// A container's log. Cheap to clone: all clones are the same log.
#[derive(Clone, Debug)]
pub struct Logs {
    ring: Arc<Mutex<Ring>>,
    /// Told when a line was added or the log was closed.
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of the first line kept, counting from the container's start.
    first: u64,
    closed: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Logs { ring: Arc::default(), changed: Arc::new(watch::Sender::new(())) }
    }
}

impl Logs {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing that holds the lock can leave the ring half changed.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, written now.
    pub fn push(&self, text: impl Into<Bytes>) {
        self.push_all([text.into()]);
    }

    /// Adds lines, written now.
    fn push_all(&self, texts: impl IntoIterator<Item = Bytes>) {
        let at = Timestamp::now();
        let mut ring = self.ring();
        for text in texts {
            ring.bytes += text.len();
            ring.lines.push_back(Line { at, text });
        }
        while ring.bytes > KEPT_BYTES {
            let Some(old) = ring.lines.pop_front() else { break };
            ring.bytes -= old.text.len();
            ring.first += 1;
        }
        drop(ring);
        self.changed.send_replace(());
    }

    /// The number of the next line, and whether there will be none.
    fn end(&self) -> (u64, bool) {
        let ring = self.ring();
        (ring.first + ring.lines.len() as u64, ring.closed)
    }

    /// Says that no line will follow: who follows the log gets to its end.
    pub fn close(&self) {
        self.ring().closed = true;
        self.changed.send_replace(());
    }

    /// Adds every line that is read, until the end of the stream.
    pub async fn read_from(self, mut stream: impl AsyncRead + Unpin) {
        let mut unread = BytesMut::new();
        loop {
            unread.reserve(CHUNK);
            let before = unread.len();
            if !matches!(stream.read_buf(&mut unread).await, Ok(n) if n > 0) {
                break;
            }
            let few = unread.len() - before < CHUNK / 4;
            self.push_lines(&mut unread);
            if few {
                // A program that writes line by line would wake us for each; the pipe keeps them as well.
                tokio::time::sleep(BREATH).await;
            }
        }
        if !unread.is_empty() {
            self.push(unread);
        }
    }

    /// Takes the whole lines out of what has been read.
    fn push_lines(&self, unread: &mut BytesMut) {
        let mut lines = Vec::new();
        if let Some(last) = unread.iter().rposition(|b| *b == b'\n') {
            // All lines share the memory they were read into.
            let whole = unread.split_to(last + 1).freeze();
            let mut start = 0;
            for end in whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i) {
                lines.extend(pieces(whole.slice(start..end)));
                start = end + 1;
            }
        }
        while unread.len() >= LINE_BYTES {
            lines.push(unread.split_to(LINE_BYTES).freeze());
        }
        self.push_all(lines);
    }

    /// Reads the lines there are, from the `tail`th before the end (all of them for None), then those to come.
    pub fn read(&self, tail: Option<usize>) -> Reader {
        let changed = self.changed.subscribe();
        let ring = self.ring();
        let kept = ring.lines.len();
        let next = ring.first + tail.map_or(0, |tail| kept.saturating_sub(tail)) as u64;
        drop(ring);
        Reader { logs: self.clone(), changed, next }
    }
}

/// Reads a log from some line on.
#[derive(Debug)]
pub struct Reader {
    logs: Logs,
    changed: watch::Receiver<()>,
    next: u64,
}

impl Reader {
    /// The lines written since the last call. Lines forgotten meanwhile are missing.
    pub fn ready(&mut self) -> Vec<Line> {
        self.changed.mark_unchanged();
        let ring = self.logs.ring();
        let skip = usize::try_from(self.next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let lines: Vec<Line> = ring.lines.iter().skip(skip).cloned().collect();
        self.next = ring.first + ring.lines.len() as u64;
        lines
    }

    /// Waits until there are more lines. False at the end of a closed log.
    pub async fn more(&mut self) -> bool {
        loop {
            let (end, closed) = self.logs.end();
            if end > self.next {
                return true;
            }
            if closed || self.changed.changed().await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|l| String::from_utf8_lossy(&l.text).into_owned()).collect()
    }

    #[tokio::test]
    async fn a_stream_becomes_lines_and_long_lines_are_cut() {
        let logs = Logs::default();
        let long = "x".repeat(LINE_BYTES + 5);
        logs.clone().read_from(format!("one\ntwo\n\n{long}\nlast").as_bytes()).await;
        let lines = logs.read(None).ready();
        assert_eq!(texts(&lines)[..3], ["one", "two", ""]);
        assert_eq!(lines[3].text.len(), LINE_BYTES);
        assert_eq!(texts(&lines)[4..], ["xxxxx", "last"]);
    }

    #[tokio::test]
    async fn a_reader_starts_at_the_tail_and_follows_to_the_end() {
        let logs = Logs::default();
        ["a", "b", "c"].into_iter().for_each(|l| logs.push(l));
        let mut reader = logs.read(Some(1));
        assert_eq!(texts(&reader.ready()), ["c"]);
        let writer = logs.clone();
        let task = tokio::spawn(async move {
            writer.push("d");
            writer.close();
        });
        let mut seen = Vec::new();
        while reader.more().await {
            seen.extend(texts(&reader.ready()));
        }
        task.await.unwrap();
        assert_eq!(seen, ["d"]);
    }

    #[test]
    fn old_lines_are_forgotten() {
        let logs = Logs::default();
        let mut reader = logs.read(None);
        let line = Bytes::from(vec![b'x'; 1 << 20]);
        (0..9).for_each(|_| logs.push(line.clone()));
        assert_eq!(logs.read(None).ready().len(), 4);
        assert_eq!(reader.ready().len(), 4);
        assert!(reader.ready().is_empty());
    }
}
