//! The sandbox as a process of its own: its life, and the socket through which it is asked.
//! What comes in: options; requests, one JSON object per line. What goes out: events for whoever started it; answers.
//! May not know: commands, terminals.
//!
//! The socket is in the sandbox's directory, which only its owner can enter; what can be asked through it is what the
//! owner can do anyway.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, oneshot};
use tokio_util::sync::CancellationToken;

use super::record::{LOCK, Record, SOCKET};
use super::{NoAddresses, Options, Progress, Sandbox, View};

/// What the process that starts a sandbox hears of it, one JSON object per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A step is done.
    Progress(Progress),
    /// It is up.
    Ready(Box<View>),
    /// It could not be started.
    Failed {
        /// Why, outermost cause first.
        why: String,
        /// Whether this machine lacks something (addresses, ports).
        missing: bool,
    },
}

/// What a running sandbox can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// What there is.
    Status,
    /// Cut a cluster's power.
    Stop {
        /// The cluster.
        cluster: String,
        /// Whether its gateway and load balancer survive.
        keep_edge: bool,
    },
    /// Give a cluster its power back.
    Start {
        /// The cluster.
        cluster: String,
    },
    /// End everything and remove all files.
    Down,
}

/// What a running sandbox answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Done; this is what there is now.
    Done(Box<View>),
    /// Not done, and why.
    Refused(String),
}

/// Runs a sandbox until it is told to end, by request or by signal. `tell` says whether somebody listened: when nobody
/// does before the sandbox is ready, whoever wanted it is gone, and it ends.
pub async fn run(options: Options, tell: impl FnMut(Event) -> bool + Send) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    let listening = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    let ended = run_until(options, tell, stop).await;
    listening.abort();
    ended
}

/// Like [`run`], for a process that has other things to do than run a sandbox: signals are its own business.
pub async fn run_until(
    options: Options,
    mut tell: impl FnMut(Event) -> bool + Send,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    super::documents::make_dir(&options.dir)?;
    let _lock = lock(&options.dir)?;
    let before = Record::read(&options.dir)?;
    let wanted = options.clusters.clone();
    let started = start(Options { block: before.as_ref().map(Record::block), ..options.clone() }, &mut tell).await;
    let (sandbox, heard) = match started {
        Ok(started) => started,
        Err(error) => {
            let missing = error.chain().any(|c| c.is::<NoAddresses>() || in_use(c));
            tell(Event::Failed { why: format!("{error:#}"), missing });
            if before.is_none() {
                let _ = std::fs::remove_dir_all(&options.dir);
            }
            return Err(error);
        }
    };
    Record::mine(&options.name, wanted, sandbox.block()).write(&options.dir)?;
    let listener = bind(&options.dir)?;
    if !(heard && tell(Event::Ready(Box::new(sandbox.view())))) {
        match before {
            Some(_) => sandbox.halt().await,
            None => sandbox.down().await?,
        }
        bail!("nobody waits for this sandbox any more");
    }
    drop(tell);
    serve(sandbox, listener, &stop).await
}

/// Whether an error says that an address is in use.
fn in_use(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::AddrInUse)
}

async fn start(options: Options, tell: &mut (impl FnMut(Event) -> bool + Send)) -> anyhow::Result<(Sandbox, bool)> {
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
    let progress = move |step| drop(sender.send(step));
    let up = async move { Sandbox::up(options, &progress).await };
    let mut up = std::pin::pin!(up);
    let mut heard = true;
    let sandbox = loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => heard &= tell(Event::Progress(step)),
            sandbox = &mut up => break sandbox?,
        }
    };
    while let Ok(step) = steps.try_recv() {
        heard &= tell(Event::Progress(step));
    }
    Ok((sandbox, heard))
}

/// One process per sandbox: the kernel releases the lock when the process is gone, however it went.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    if fs4::FileExt::try_lock(&file).is_err() {
        bail!("another process runs the sandbox in {}", dir.display());
    }
    Ok(file)
}

fn bind(dir: &Path) -> anyhow::Result<UnixListener> {
    let real = dir.join(SOCKET);
    if let Err(error) = std::fs::remove_file(&real)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("removing the old {}", real.display()));
    }
    let (path, _open) = short(dir)?;
    let listener = UnixListener::bind(&path).with_context(|| format!("listening on {}", real.display()))?;
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The socket's path through an open directory: the kernel allows 107 bytes for a socket's path, and directories may be deep.
fn short(dir: &Path) -> anyhow::Result<(PathBuf, File)> {
    use std::os::fd::AsRawFd as _;
    let open = File::open(dir).with_context(|| format!("opening {}", dir.display()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(SOCKET);
    Ok((path, open))
}

/// Answers requests until one of them, or a signal, ends the sandbox.
async fn serve(sandbox: Sandbox, listener: UnixListener, stop: &CancellationToken) -> anyhow::Result<()> {
    let shared = Arc::new(Mutex::new(sandbox));
    let (end, mut ended) = tokio::sync::mpsc::channel::<oneshot::Sender<()>>(1);
    let mut conversations = tokio::task::JoinSet::new();
    let asked = loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accepting on the control socket")?;
                conversations.spawn(converse(stream, shared.clone(), end.clone()));
            }
            Some(_) = conversations.join_next() => {}
            asked = ended.recv() => break asked,
            () = stop.cancelled() => break None,
        }
    };
    // The conversation that asked for the end waits for it; the others are cut off.
    let mut waiting = asked;
    if waiting.is_none() {
        conversations.shutdown().await;
    }
    let sandbox = take(shared, &mut conversations).await?;
    match waiting.take() {
        Some(done) => {
            sandbox.down().await?;
            let _ = done.send(());
            while conversations.join_next().await.is_some() {}
        }
        None => sandbox.halt().await,
    }
    Ok(())
}

/// Takes the sandbox back from the conversations.
async fn take(shared: Arc<Mutex<Sandbox>>, conversations: &mut tokio::task::JoinSet<()>) -> anyhow::Result<Sandbox> {
    let mut shared = shared;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(sandbox) => return Ok(sandbox.into_inner()),
            Err(still) => shared = still,
        }
        // A conversation under way (a cluster being started, say) ends first.
        tokio::select! {
            _ = conversations.join_next(), if !conversations.is_empty() => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    }
}

async fn converse(
    stream: UnixStream,
    shared: Arc<Mutex<Sandbox>>,
    end: tokio::sync::mpsc::Sender<oneshot::Sender<()>>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let Ok(Some(line)) = lines.next_line().await else { return };
    let request = match serde_json::from_str::<Request>(&line) {
        Ok(request) => request,
        Err(error) => return say(&mut writer, &Answer::Refused(format!("not understood: {error}"))).await,
    };
    if request == Request::Down {
        let view = shared.lock().await.view();
        drop(shared);
        let (done, wait) = oneshot::channel();
        if end.send(done).await.is_ok() && wait.await.is_ok() {
            say(&mut writer, &Answer::Done(Box::new(view))).await;
        } else {
            say(&mut writer, &Answer::Refused("the sandbox did not end cleanly; its log says why".into())).await;
        }
        return;
    }
    let answer = answer(request, &shared).await;
    drop(shared);
    say(&mut writer, &answer).await;
}

async fn answer(request: Request, shared: &Mutex<Sandbox>) -> Answer {
    let mut sandbox = shared.lock().await;
    let done = match request {
        Request::Status | Request::Down => Ok(()),
        Request::Stop { cluster, keep_edge } => sandbox.stop(&cluster, keep_edge).await.map(drop),
        Request::Start { cluster } => sandbox.start(&cluster).await.map(drop),
    };
    match done {
        Ok(()) => Answer::Done(Box::new(sandbox.view())),
        Err(error) => Answer::Refused(format!("{error:#}")),
    }
}

async fn say(writer: &mut tokio::net::unix::OwnedWriteHalf, answer: &Answer) {
    let Ok(mut text) = serde_json::to_vec(answer) else { return };
    text.push(b'\n');
    // Whoever asked may be gone.
    let _ = writer.write_all(&text).await;
}

/// Asks the sandbox in a directory. Nothing when nobody listens there.
pub async fn ask(dir: &Path, request: &Request) -> anyhow::Result<Option<Answer>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    let (path, _open) = short(dir)?;
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("asking {}", dir.join(SOCKET).display())),
    };
    let (reader, mut writer) = stream.into_split();
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    writer.write_all(&text).await.context("asking the sandbox")?;
    let answer = BufReader::new(reader).lines().next_line().await.context("waiting for the sandbox's answer")?;
    let answer = answer.context("the sandbox ended without an answer")?;
    serde_json::from_str(&answer).context("the sandbox's answer is not understood").map(Some)
}

/// Whether a process runs (or is starting) the sandbox in a directory.
pub fn held(dir: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(dir.join(LOCK)) else { return false };
    // The lock, if it could be had, goes with the file.
    fs4::FileExt::try_lock(&file).is_err()
}
