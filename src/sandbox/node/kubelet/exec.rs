//! Exec and attach: a command, or a container's output, on streams.
//!
//! In: an agreed upgrade, a command, a container's environment. Out: the command's output and exit code.
//! May not know: how containers run.
//!
//! There is no container to enter: the command runs for real, as a process of this machine, as the same user, in the
//! container's scratch directory and with its environment. Nothing is made up.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::channels::Channels;
use super::terminal::Terminal;
use super::upgrade::{Carrier, Upgrade, websocket};
use crate::sandbox::child::{Ended, Keeper, Program, Streams};
use crate::sandbox::node::logs::Reader;
use crate::sandbox::node::mux::Sink;
use crate::sandbox::node::registry::ContainerEntry;
use crate::sandbox::node::signals::Search;
use crate::sandbox::node::spdy::Session;

/// Protocols of a WebSocket: an error channel with a Status; version 5 can close one channel.
pub const WEBSOCKET: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// Protocols of SPDY.
pub const SPDY: [&str; 1] = ["v4.channel.k8s.io"];

/// How long a client may take to open the streams it wants.
const OPENING: Duration = Duration::from_secs(30);
/// How long output may still come after the command has ended (a background process may hold it open).
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How much output is sent at once.
const CHUNK: usize = 32 << 10;

/// Which streams a client wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// It will send input.
    pub stdin: bool,
    /// It wants output.
    pub stdout: bool,
    /// It wants error output (never with a terminal).
    pub stderr: bool,
    /// Input and output are a terminal.
    pub tty: bool,
}

/// The streams of one exec or attach, whatever carries them.
pub struct Lines {
    stdin: Option<mpsc::Receiver<Bytes>>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
    error: Sink,
    resize: Option<mpsc::Receiver<Bytes>>,
    gone: CancellationToken,
    /// Ends the connection politely when all is said.
    session: Option<Session>,
}

impl Lines {
    /// Opens the streams a client wants.
    pub async fn open(upgrade: Upgrade, wish: Wish) -> anyhow::Result<Lines> {
        let carrier = upgrade.carrier;
        let connection = upgrade.connection().await?;
        match carrier {
            Carrier::WebSocket => {
                let mut channels = Channels::start(websocket(connection).await, 5);
                Ok(Lines {
                    stdin: channels.receiver(0).filter(|_| wish.stdin),
                    stdout: wish.stdout.then(|| channels.sink(1)),
                    stderr: (wish.stderr && !wish.tty).then(|| channels.sink(2)),
                    error: channels.sink(3),
                    resize: channels.receiver(4).filter(|_| wish.tty),
                    gone: channels.gone.clone(),
                    session: None,
                })
            }
            Carrier::Spdy => {
                let session = Session::start(connection)?;
                tokio::time::timeout(OPENING, Lines::of_session(session, wish)).await.context("streams did not open")?
            }
        }
    }

    async fn of_session(mut session: Session, wish: Wish) -> anyhow::Result<Lines> {
        let mut wanted: BTreeMap<&str, Option<_>> = BTreeMap::from([("error", None)]);
        let optional = [
            ("stdin", wish.stdin),
            ("stdout", wish.stdout),
            ("stderr", wish.stderr && !wish.tty),
            ("resize", wish.tty),
        ];
        wanted.extend(optional.into_iter().filter(|(_, wish)| *wish).map(|(name, _)| (name, None)));
        while wanted.values().any(Option::is_none) {
            let stream = session.accept().await.context("the client went away before it had opened its streams")?;
            let kind = stream.header("streamtype").unwrap_or_default().to_owned();
            match wanted.get_mut(kind.as_str()) {
                Some(place) => *place = Some(stream),
                None => bail!("a stream of type {kind:?} was not asked for"),
            }
        }
        let gone = session.gone();
        let mut take = |name| wanted.remove(name).flatten();
        Ok(Lines {
            error: take("error").context("there is no error stream")?.sink,
            stdin: take("stdin").map(|s| s.reader),
            stdout: take("stdout").map(|s| s.sink),
            stderr: take("stderr").map(|s| s.sink),
            resize: take("resize").map(|s| s.reader),
            gone,
            session: Some(session),
        })
    }

    /// Says how it ended, and ends the connection.
    async fn finish(error: Sink, session: Option<Session>, status: Value) {
        // A client that is gone does not wait for it.
        let _ = error.send(status.to_string().into()).await;
        error.end().await;
        if let Some(session) = session {
            session.finish().await;
        }
    }
}

/// Runs a command on the streams.
pub async fn run(mut lines: Lines, keeper: &Keeper, command: Command, tty: bool) {
    let error = lines.error;
    let session = lines.session.take();
    let io = Io { stdin: lines.stdin, stdout: lines.stdout, stderr: lines.stderr, resize: lines.resize };
    let work = async {
        match tty {
            true => on_terminal(io, keeper, command).await,
            false => on_pipes(io, keeper, command).await,
        }
    };
    let Some(ended) = lines.gone.run_until_cancelled(work).await else {
        tracing::debug!("the client of an exec went away; its command was killed");
        return;
    };
    let status = match ended {
        Ok(ended) => status_of(ended),
        Err(e) => failure(&format!("error executing command in container: {e:#}")),
    };
    Lines::finish(error, session, status).await;
}

/// Answers `pgrep` and `pkill` for a container: the processes found, one a line; the exit code says whether there were any.
pub async fn search(mut lines: Lines, container: &ContainerEntry, search: Search, shielded: bool) {
    let shows = search.signal.is_none();
    let found = container.search(search, shielded).await;
    if let Some(stdout) = lines.stdout.take() {
        let text: String = found.iter().filter(|_| shows).map(|id| format!("{id}\n")).collect();
        if !text.is_empty() {
            let _ = stdout.send(text.into()).await;
        }
        stdout.end().await;
    }
    if let Some(stderr) = lines.stderr.take() {
        stderr.end().await;
    }
    let code = i32::from(found.is_empty());
    Lines::finish(lines.error, lines.session, status_of(Ended { code, signal: None })).await;
}

/// Shows what a container writes, until it ends.
pub async fn attach(mut lines: Lines, mut log: Reader) {
    let show = async {
        log.ready();
        while log.more().await {
            for line in log.ready() {
                let Some(stdout) = &lines.stdout else { continue };
                let mut text = line.text.to_vec();
                text.push(b'\n');
                if stdout.send(text.into()).await.is_err() {
                    return;
                }
            }
        }
    };
    if lines.gone.run_until_cancelled(show).await.is_some() {
        if let Some(stdout) = lines.stdout.take() {
            stdout.end().await;
        }
        Lines::finish(lines.error, lines.session, status_of(Ended { code: 0, signal: None })).await;
    }
}

/// What to run and where.
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The container's environment.
    pub env: BTreeMap<String, String>,
    /// The container's directory.
    pub dir: PathBuf,
}

impl Command {
    /// Looks the program up as a shell would.
    fn program(self, streams: Streams) -> anyhow::Result<Program> {
        let (name, args) = self.words.split_first().context("no command was given")?;
        std::fs::create_dir_all(&self.dir).with_context(|| format!("making {}", self.dir.display()))?;
        let path = find(name, &self.dir, self.env.get("PATH").map_or("", String::as_str));
        let path = path.with_context(|| format!("exec: \"{name}\": executable file not found in $PATH"))?;
        let args = args.iter().map(Into::into).collect();
        Ok(Program { path, args, env: self.env.clone(), dir: Some(self.dir), streams })
    }
}

fn find(name: &str, dir: &Path, path: &str) -> Option<PathBuf> {
    let runs = |p: &PathBuf| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        return Some(dir.join(name)).filter(runs);
    }
    std::env::split_paths(path).map(|d| d.join(name)).find(runs)
}

struct Io {
    stdin: Option<mpsc::Receiver<Bytes>>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
    resize: Option<mpsc::Receiver<Bytes>>,
}

async fn on_pipes(io: Io, keeper: &Keeper, command: Command) -> anyhow::Result<Ended> {
    let streams = if io.stdin.is_some() { Streams::Pipes } else { Streams::Output };
    let mut child = keeper.start(command.program(streams)?).await?;
    let mut input = JoinSet::new();
    if let (Some(from), Some(to)) = (io.stdin, child.stdin()) {
        input.spawn(feed(from, to));
    }
    let mut output = JoinSet::new();
    for (from, to) in [(child.stdout().map(boxed), io.stdout), (child.stderr().map(boxed), io.stderr)] {
        if let Some(from) = from {
            output.spawn(drain(from, to));
        }
    }
    let ended = child.wait().await?;
    let _ = tokio::time::timeout(LAST_WORDS, async { while output.join_next().await.is_some() {} }).await;
    Ok(ended)
}

fn boxed(stream: impl AsyncRead + Send + Unpin + 'static) -> Box<dyn AsyncRead + Send + Unpin> {
    Box::new(stream)
}

async fn feed(mut from: mpsc::Receiver<Bytes>, mut to: ChildStdin) {
    while let Some(bytes) = from.recv().await {
        // A command need not read its input.
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Reads to the end even when nobody wants it: the command must not block on a full pipe.
async fn drain(mut from: Box<dyn AsyncRead + Send + Unpin>, to: Option<Sink>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let bytes = buffer.split().freeze();
                if let Some(to) = &to
                    && to.send(bytes).await.is_err()
                {
                    return;
                }
            }
        }
    }
    if let Some(to) = to {
        to.end().await;
    }
}

async fn on_terminal(io: Io, keeper: &Keeper, mut command: Command) -> anyhow::Result<Ended> {
    command.env.entry("TERM".into()).or_insert_with(|| "xterm".into());
    let (mut terminal, other_end) = Terminal::open().context("opening a terminal")?;
    let mut child = keeper.start(command.program(Streams::Terminal(other_end))?).await?;
    let (mut stdin, mut resize) = (io.stdin, io.resize);
    let mut ended = None;
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            // The terminal ends when nobody holds its other end any more: after the command and all it has started.
            read = terminal.read(&mut buffer) => match read {
                Ok(n) if n > 0 => if let Some(stdout) = &io.stdout {
                    let _ = stdout.send(Bytes::copy_from_slice(&buffer[..n])).await;
                },
                _ => break,
            },
            done = child.wait(), if ended.is_none() => ended = Some((done?, tokio::time::Instant::now() + LAST_WORDS)),
            () = tokio::time::sleep_until(ended.map_or_else(tokio::time::Instant::now, |(_, until)| until)), if ended.is_some() => break,
            bytes = next(&mut stdin) => match bytes {
                Some(bytes) => terminal.write(&bytes).await?,
                None => stdin = None,
            },
            size = next(&mut resize) => match size {
                Some(size) => if let Ok(size) = serde_json::from_slice::<Size>(&size) {
                    terminal.resize(size.width, size.height)?;
                },
                None => resize = None,
            },
        }
    }
    if let Some(stdout) = io.stdout {
        stdout.end().await;
    }
    match ended {
        Some((ended, _)) => Ok(ended),
        None => Ok(child.wait().await?),
    }
}

/// A terminal's size as clients send it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

async fn next(from: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match from {
        Some(from) => from.recv().await,
        None => std::future::pending().await,
    }
}

/// The Status that the error stream ends with.
fn status_of(ended: Ended) -> Value {
    if ended.code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {}", ended.code),
        "details": {"causes": [{"reason": "ExitCode", "message": ended.code.to_string()}]},
    })
}

/// The Status of a command that could not be run.
fn failure(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"), "details": {"causes": [{"message": message}]},
    })
}
