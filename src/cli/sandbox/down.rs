//! `failctl sandbox down`: ends everything and removes its files, also after the process was killed.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Ctx, Which};
use crate::error::{Exit, Failure};
use crate::sandbox::daemon::{self, Answer, Request};
use crate::sandbox::record::Record;

/// How long a sandbox may take to end when asked.
const POLITE: Duration = Duration::from_secs(15);
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(5);

/// Arguments of `failctl sandbox down`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let dir = args.which.dir()?;
    if !dir.exists() {
        ctx.ui.say(format!("there is no sandbox {}", args.which.name));
        return Ok(Exit::Ok);
    }
    // Read before asking: the record goes with the directory, and the process a moment later.
    let record = Record::read(&dir).map_err(|e| Failure::new(Exit::Input, e))?;
    let asked = ask(ctx, &dir)?;
    if let Some(Answer::Refused(why)) = &asked {
        ctx.ui.say(why);
    }
    end(&dir, record.as_ref()).map_err(|e| Failure::new(Exit::Internal, e))?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir)
            .map_err(|e| Failure::new(Exit::Internal, anyhow::Error::new(e).context(format!("removing {}", dir.display()))))?;
    }
    ctx.ui.say(format!("sandbox {} is gone", args.which.name));
    Ok(Exit::Ok)
}

/// Asks politely; nothing when nobody answers in time.
fn ask(ctx: &Ctx, dir: &Path) -> Result<Option<Answer>, Failure> {
    let asked = ctx.block_on(async { tokio::time::timeout(POLITE, daemon::ask(dir, &Request::Down)).await })?;
    Ok(asked.ok().and_then(Result::ok).flatten())
}

/// Makes sure that the process is gone: it is waited for, then told to, then killed. Never another one of its number.
/// Without a record there is nothing to go by but the lock, and who holds it is starting or ending.
fn end(dir: &Path, record: Option<&Record>) -> anyhow::Result<()> {
    let alive = || record.is_some_and(Record::alive);
    for (signal, patience) in [(None, KILLED), (Some(Signal::TERM), POLITE), (Some(Signal::KILL), KILLED)] {
        if let (Some(signal), Some(record)) = (signal, record)
            && record.alive()
            && let Some(pid) = i32::try_from(record.pid).ok().and_then(Pid::from_raw)
        {
            kill_process(pid, signal)?;
        }
        let until = Instant::now() + patience;
        while (alive() || daemon::held(dir)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !alive() && !daemon::held(dir) {
            return Ok(());
        }
    }
    anyhow::bail!("the process that runs {} does not end", dir.display())
}
