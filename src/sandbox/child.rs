//! Child processes that die with us, even when we are killed with SIGKILL.
//!
//! In: what to run. Out: a running process with its pipes. May not know: pods, Envoy.
//!
//! The kernel ends a process whose parent is gone only if that process asked for it, so a child is not
//! started directly: failctl starts itself with the hidden subcommand `child`, which asks (`PR_SET_PDEATHSIG`) and
//! then becomes the program. The kernel counts the *thread* that started the child as its parent, hence one thread
//! that does nothing but start children and lives as long as they do.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// What to run.
#[derive(Debug, Default)]
pub struct Program {
    /// The executable: a path, or a name to be looked up in the `PATH` of `env`.
    pub path: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub dir: Option<PathBuf>,
    /// Where its input and output go.
    pub streams: Streams,
}

/// Where the input and output of a child go.
#[derive(Debug, Default)]
pub enum Streams {
    /// Output is captured; input is empty.
    #[default]
    Output,
    /// Input and output are pipes.
    Pipes,
    /// All three are this terminal, which becomes the child's controlling one.
    Terminal(std::os::fd::OwnedFd),
}

/// Starts children. Cheap to clone. A child keeps its keeper alive.
#[derive(Clone, Debug)]
pub struct Keeper {
    jobs: mpsc::Sender<Job>,
    failctl: PathBuf,
    coming_up: Arc<Semaphore>,
}

/// Leave for a program to come up. The next one has it once this is dropped, or after the time it was taken for.
#[derive(Debug)]
pub struct ComingUp {
    _held: AbortOnDropHandle<()>,
}

struct Job {
    command: tokio::process::Command,
    runtime: tokio::runtime::Handle,
    answer: oneshot::Sender<io::Result<tokio::process::Child>>,
}

impl Keeper {
    /// A keeper that starts children through the failctl executable at `failctl`.
    pub fn new(failctl: &Path) -> io::Result<Keeper> {
        let (jobs, work) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("child-keeper".into()).spawn(move || {
            while let Ok(mut job) = work.recv() {
                let _runtime = job.runtime.enter();
                // The asker may be gone; then the child is dropped, and thereby killed.
                let _ = job.answer.send(job.command.spawn());
            }
        })?;
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        Ok(Keeper { jobs, failctl: failctl.to_owned(), coming_up: Arc::new(Semaphore::new(processors)) })
    }

    /// Waits for leave to start a program that takes a processor to itself while it comes up, `at_most` for that time: as many
    /// as there are processors have it at a time, since more of them would leave nothing to those that work. Cancel-safe;
    /// first come, first served.
    pub async fn leave_to_come_up(&self, at_most: Duration) -> ComingUp {
        // An error would say that it was closed; nobody closes it.
        let permit = self.coming_up.clone().acquire_owned().await;
        let held = async move {
            tokio::time::sleep(at_most).await;
            drop(permit);
        };
        ComingUp { _held: AbortOnDropHandle::new(tokio::spawn(held)) }
    }

    /// The failctl executable through which children are started.
    pub fn failctl(&self) -> &Path {
        &self.failctl
    }

    async fn spawn(&self, command: tokio::process::Command) -> anyhow::Result<tokio::process::Child> {
        let (answer, started) = oneshot::channel();
        let job = Job { command, runtime: tokio::runtime::Handle::current(), answer };
        self.jobs.send(job).ok().context("the thread that starts child processes is gone")?;
        let child = started.await.context("the thread that starts child processes is gone")?;
        child.with_context(|| format!("starting a child process through {}", self.failctl.display()))
    }

    /// Starts a program in a process group of its own.
    ///
    /// A program that cannot be executed shows as a child that exits with 127 and says why on stderr.
    pub async fn start(&self, program: Program) -> anyhow::Result<Child> {
        let mut command = std::process::Command::new(&self.failctl);
        command.arg("child").args(["--parent", &std::process::id().to_string()]);
        match program.streams {
            Streams::Output => {
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            }
            Streams::Pipes => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            }
            // The child leads a session, and thereby a group, of its own.
            Streams::Terminal(terminal) => {
                command.arg("--terminal");
                command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal);
            }
        }
        command.arg("--").arg(&program.path).args(&program.args);
        command.env_clear().envs(&program.env);
        if let Some(dir) = &program.dir {
            command.current_dir(dir);
        }
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let inner = self.spawn(command).await?;
        let pid = inner.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Child { inner, pid, _keeper: self.clone() })
    }
}

/// A running child. Dropping it kills it and its process group.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    /// None once the process has been waited for: the number may belong to somebody else then.
    pid: Option<Pid>,
    _keeper: Keeper,
}

impl Child {
    /// The process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.inner.id()
    }

    /// Its input, once, if it was started with pipes.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.inner.stdin.take()
    }

    /// Its output, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.inner.stdout.take()
    }

    /// Its error output, once.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.inner.stderr.take()
    }

    /// Waits for its end. Cancel-safe.
    pub async fn wait(&mut self) -> io::Result<Ended> {
        let status = self.inner.wait().await?;
        // Nothing of a container outlives its first process.
        if let Some(pid) = self.pid.take() {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        Ok(Ended::from(status))
    }

    /// Asks it to end, and kills it when it has not within `grace`.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<Ended> {
        if !grace.is_zero() {
            // Only the first process of a container is asked; what it does with the others is its business.
            if let Some(pid) = self.pid {
                let _ = rustix::process::kill_process(pid, Signal::TERM);
            }
            if let Ok(ended) = tokio::time::timeout(grace, self.wait()).await {
                return ended;
            }
        }
        self.kill();
        self.wait().await
    }

    fn kill(&self) {
        if let Some(pid) = self.pid {
            // Already gone is what was wanted. The group takes along what the child started.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; 128 + signal for a killed process, as shells and container runtimes count.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        let signal = status.signal();
        Ended { code: status.code().or(signal.map(|s| 128 + s)).unwrap_or(255), signal }
    }
}

/// The hidden subcommand's work: asks the kernel to die with the parent, then becomes the program.
/// Returns only when that failed.
pub fn become_program(parent: u32, terminal: bool, command: &[OsString]) -> io::Error {
    let [program, args @ ..] = command else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program given");
    };
    if let Err(e) = prepare(parent, terminal) {
        return e;
    }
    std::process::Command::new(program).args(args).exec()
}

fn prepare(parent: u32, terminal: bool) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before we asked; then nobody will tell us.
    let alive = rustix::process::getppid().map(|p| p.as_raw_nonzero().get());
    if alive != i32::try_from(parent).ok() {
        return Err(io::Error::other("the process that started this one is gone"));
    }
    if terminal {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(io::stdin())?;
    }
    Ok(())
}
