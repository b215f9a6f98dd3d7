//! Processes that write a log file and die with the tests, also with a panic, Ctrl-C or SIGKILL of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long anything may take to come up. Generous: the machine may build something else meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a log that an error shows.
const TAIL: usize = 25;

/// What to run.
pub struct Program {
    /// What it is called in errors; also its log file's name.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment besides PATH and HOME.
    pub env: Vec<(String, String)>,
    /// Its working folder, where its log is kept.
    pub dir: PathBuf,
}

/// A running process. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// A program with arguments, in a folder.
    pub fn new(name: &str, path: PathBuf, dir: &Path, args: &[String]) -> Program {
        Program { name: name.into(), path, args: args.to_vec(), env: Vec::new(), dir: dir.into() }
    }

    /// Starts it through `failctl child`, which dies with us.
    pub fn start(self) -> anyhow::Result<Process> {
        std::fs::create_dir_all(&self.dir)?;
        let log = self.dir.join(format!("{}.log", self.name));
        let file = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(crate::support::failctl());
        command.arg("child").args(["--parent", &std::process::id().to_string(), "--"]).arg(&self.path).args(&self.args);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.dir);
        command.envs(self.env).current_dir(&self.dir).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let child = spawn(command).with_context(|| format!("starting {}", self.name))?;
        Ok(Process { name: self.name, child, log })
    }
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its whole log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Kills it as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) {
        // Already gone is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until `up` says yes. An end before that, or no yes in time, is an error with the last lines of the log.
    pub fn wait_until(&mut self, what: &str, mut up: impl FnMut() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            // Somebody else may answer in its place, so its own life is asked for first and last.
            let ended = self.ended();
            if ended.is_none() && up() && self.ended().is_none() {
                return Ok(());
            }
            let Process { name, log, .. } = &*self;
            if let Some(status) = ended {
                bail!("{name} ended ({status}) before it was {what}; the end of {}:\n{}", log.display(), self.tail());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{name} is not {what} after {PATIENCE:?}; the end of {}:\n{}", log.display(), self.tail());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

type Job = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a process from a thread that lives as long as the tests do: the kernel takes the starting thread for the parent,
/// and tests' own threads end with their test.
fn spawn(command: Command) -> anyhow::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, work) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in work {
                // Nobody waits for the answer any more: then the child is of no use.
                if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                    let _ = child.kill().and_then(|()| child.wait());
                }
            }
        });
        jobs
    });
    let (answer, started) = mpsc::channel();
    starter.send((command, answer)).ok().context("the starting thread is gone")?;
    Ok(started.recv().context("the starting thread is gone")??)
}
