//! `failctl sandbox status`.

use super::shown::{Report, State};
use super::{Ctx, Which};
use crate::cli::output::{Output, print};
use crate::error::{Exit, Failure};
use crate::sandbox::daemon::{self, Answer, Request};
use crate::sandbox::record::Record;

/// Arguments of `failctl sandbox status`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let dir = args.which.dir()?;
    let answer = ctx.block_on(daemon::ask(&dir, &Request::Status))?.map_err(|e| Failure::new(Exit::Unknown, e))?;
    let (state, view) = match answer {
        Some(Answer::Done(view)) => (State::Up, Some(*view)),
        Some(Answer::Refused(why)) => return Err(Failure::because(Exit::Unknown, why)),
        None if Record::read(&dir).map_err(|e| Failure::new(Exit::Input, e))?.is_some() => (State::Down, None),
        None => (State::Absent, None),
    };
    let report = Report::new(state, view);
    if args.output != Output::Table || state == State::Up {
        print(ctx, args.output, &report, || report.text())?;
    }
    match state {
        State::Up => return Ok(Exit::Ok),
        State::Down => ctx.ui.say(format!(
            "sandbox {0} is down; its objects are on disk\n  hint: failctl sandbox up{1} brings them back, failctl sandbox down{1} removes them",
            args.which.name,
            args.which.flag()
        )),
        State::Absent => ctx.ui.failure(&args.which.absent()),
    }
    Ok(Exit::No)
}
