//! EDGE. Terminal, progress, prompt. stdout is data, stderr is talk.
//! May not know: clusters.

mod progress;

pub use progress::Progress;

use std::io::{IsTerminal, Write};

use crate::error::{Exit, Failure};
use crate::model::problem::{Problem, Severity};

/// The terminal: data to stdout, talk to stderr.
pub struct Ui {
    /// Whether a person reads stderr: progress and prompts only then.
    pub interactive: bool,
    /// Whether what would be data goes to stderr: for commands that another command runs and talks about.
    pub data_is_talk: bool,
}

impl Ui {
    /// The process's own terminal.
    pub fn terminal() -> Self {
        Ui { interactive: std::io::stderr().is_terminal() && std::io::stdin().is_terminal(), data_is_talk: false }
    }

    /// Writes data to stdout. A reader who closed the pipe has what he wanted: that is success.
    pub fn data(&self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        if self.data_is_talk {
            let _ = std::io::stderr().lock().write_all(bytes.as_ref());
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes.as_ref()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => {
                other.map_err(|e| Failure::new(Exit::Internal, anyhow::Error::new(e).context("writing to stdout")))
            }
        }
    }

    /// Says a sentence on stderr.
    pub fn say(&self, text: impl std::fmt::Display) {
        let _ = writeln!(std::io::stderr().lock(), "{}", clean(&text.to_string()));
    }

    /// Shows problems on stderr, in the order given.
    pub fn problems(&self, problems: &[Problem]) {
        problems.iter().for_each(|p| self.say(problem_text(p)));
    }

    /// Shows why a command failed: problems, the chain of causes, what to type next.
    pub fn failure(&self, failure: &Failure) {
        self.problems(&failure.problems);
        if let Some(source) = &failure.source {
            self.say(format!("error: {source:#}"));
        }
        failure.hints.iter().for_each(|h| self.say(format!("  hint: {h}")));
    }

    /// Turns logging on; `-v` for decisions, `-vv` for requests. `FAILCTL_LOG` overrides.
    pub fn log(&self, verbose: u8) {
        let default = match verbose {
            0 => "off",
            1 => "failctl=info",
            _ => "failctl=debug,kube=debug",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_env("FAILCTL_LOG").unwrap_or_else(|_| default.into());
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }
}

/// One problem as text: severity and code, place, the offending line, hint.
pub fn problem_text(p: &Problem) -> String {
    let severity = match p.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut text = format!("{severity}[{}]: {}", p.code, p.what);
    if let Some(at) = &p.at {
        text += &format!("\n  --> {at}");
        if let Some(line) = &p.excerpt {
            let number = at.line.to_string();
            let caret = " ".repeat(at.column.saturating_sub(1));
            text += &format!("\n   {number} | {line}\n   {} | {caret}^", " ".repeat(number.len()));
        }
    }
    if let Some(hint) = &p.hint {
        text += &format!("\n  hint: {hint}");
    }
    text
}

/// Control characters of foreign text must not reach a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
