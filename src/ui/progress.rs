//! A progress bar on stderr, and a question, for a person at a terminal; for nobody else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;
use crate::error::{Exit, Failure};

/// Progress over a known number of steps; silent where no person reads stderr.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// One step is done.
    pub fn step(&self, what: impl Into<String>) {
        if let Some(bar) = &self.0 {
            bar.set_message(super::clean(&what.into()));
            bar.inc(1);
        }
    }

    /// The bar disappears: what follows says what happened.
    pub fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Ui {
    /// A progress bar of `steps` steps.
    pub fn progress(&self, steps: usize) -> Progress {
        if !self.interactive || steps == 0 {
            return Progress(None);
        }
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Progress(Some(bar))
    }

    /// Asks a yes-or-no question; no is the default.
    pub fn confirm(&self, question: &str) -> Result<bool, Failure> {
        let asked = dialoguer::Confirm::new().with_prompt(question).default(false).interact();
        asked.map_err(|e| Failure::new(Exit::Interrupted, anyhow::anyhow!("not confirmed ({e}); nothing was written")))
    }
}
