//! How a command ends: the exit-code table and the one error type of the shell.

use crate::model::problem::Problem;

/// The exit codes of every command, in every output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done, and the answer is good.
    Ok = 0,
    /// The command worked and the answer is "no": differences found, unhealthy, verdict failed.
    No = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// A document or a key file is invalid; nothing was done.
    Input = 3,
    /// A cluster, an API server or a gateway could not be reached.
    Unreachable = 4,
    /// A cluster refused: forbidden, conflict, rejected object.
    Refused = 5,
    /// Some of it was done and some was not; the table says which.
    Partial = 6,
    /// Something this machine must have is missing (Envoy, python3, a port range).
    Missing = 7,
    /// The answer could not be determined. Never shown as green.
    Unknown = 8,
    /// A defect of failctl itself.
    Internal = 70,
    /// Ctrl-C; what was begun has been put back.
    Interrupted = 130,
}

impl Exit {
    /// Every exit code with the sentence that documents it.
    pub const ALL: [(Exit, &'static str); 11] = [
        (Exit::Ok, "everything asked for was done, and the answer is good"),
        (Exit::No, "the command worked and the answer is no: differences found, unhealthy, verdict failed"),
        (Exit::Usage, "the command line cannot be understood"),
        (Exit::Input, "a document or a key file is invalid; nothing was done"),
        (Exit::Unreachable, "a cluster, an API server or a gateway could not be reached"),
        (Exit::Refused, "a cluster refused: forbidden, conflict, rejected object"),
        (Exit::Partial, "some of it was done and some was not; the table says which"),
        (Exit::Missing, "something this machine must have is missing (Envoy, python3, an address range)"),
        (Exit::Unknown, "the answer could not be determined"),
        (Exit::Internal, "a defect of failctl itself"),
        (Exit::Interrupted, "interrupted; what was begun has been put back"),
    ];
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked, with what to type next.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed and why, outermost first. Empty when `problems` say it all.
    pub source: Option<anyhow::Error>,
    /// All problems found in the input.
    pub problems: Vec<Problem>,
    /// What to type or do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure with one cause.
    pub fn new(exit: Exit, source: impl Into<anyhow::Error>) -> Self {
        Failure { exit, source: Some(source.into()), problems: Vec::new(), hints: Vec::new() }
    }

    /// A failure told in one sentence.
    pub fn because(exit: Exit, what: impl std::fmt::Display) -> Self {
        Failure::new(exit, anyhow::anyhow!("{what}"))
    }

    /// Invalid input: every problem at once.
    pub fn input(problems: Vec<Problem>) -> Self {
        Failure { exit: Exit::Input, source: None, problems, hints: Vec::new() }
    }

    /// Adds what to type next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Failure::input(problems)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(source: anyhow::Error) -> Self {
        Failure::new(Exit::Internal, source)
    }
}
