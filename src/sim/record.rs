//! One request and what became of it. Times are microseconds from the start of the load.
//! May not know: sockets, clocks.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// Microseconds from the start of the load.
pub type Micros = u64;

/// A time from the start of the load.
pub fn micros(since: Duration) -> Micros {
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Why a request failed, by cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The connection was refused.
    Refused,
    /// The connection was not accepted in time.
    ConnectTimeout,
    /// The connection could not be made for another reason (no route, no name).
    ConnectFailed,
    /// The connection ended before a status line came.
    ResetBeforeHeaders,
    /// Status line and headers came, then the body broke off. Nobody can retry this.
    CutAfterHeaders,
    /// No complete answer within the time one request may take.
    Timeout,
    /// An answer with a status of 500 or more.
    ServerError,
    /// An answer with a status of 400 to 499: the load asks for something the route does not serve.
    ClientError,
    /// An answer below 400 that is not the one asked for: a page that says what it could not fetch.
    WrongAnswer,
}

impl Class {
    /// Every class, in the order of reports.
    pub const ALL: [Class; 9] = [
        Class::Refused,
        Class::ConnectTimeout,
        Class::ConnectFailed,
        Class::ResetBeforeHeaders,
        Class::CutAfterHeaders,
        Class::Timeout,
        Class::ServerError,
        Class::ClientError,
        Class::WrongAnswer,
    ];

    /// The word of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Refused => "refused",
            Class::ConnectTimeout => "connect-timeout",
            Class::ConnectFailed => "connect-failed",
            Class::ResetBeforeHeaders => "reset-before-headers",
            Class::CutAfterHeaders => "cut-after-headers",
            Class::Timeout => "timeout",
            Class::ServerError => "5xx",
            Class::ClientError => "4xx",
            Class::WrongAnswer => "wrong-answer",
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A complete answer below 400, and who gave it.
    Answered {
        /// HTTP status.
        status: u16,
        /// The label of who answered.
        by: Arc<str>,
    },
    /// No usable answer.
    Failed {
        /// Why.
        class: Class,
        /// HTTP status, if a status line came.
        status: Option<u16>,
    },
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was meant to start.
    pub start: Micros,
    /// From the intended start to the end of the answer, or to the failure.
    pub latency: Micros,
    /// What became of it.
    pub outcome: Outcome,
}

impl Record {
    /// When it was over.
    pub fn end(&self) -> Micros {
        self.start + self.latency
    }

    /// Who answered, if somebody did.
    pub fn by(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered { by, .. } => Some(by),
            Outcome::Failed { .. } => None,
        }
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<Class> {
        match self.outcome {
            Outcome::Failed { class, .. } => Some(class),
            Outcome::Answered { .. } => None,
        }
    }

    /// Whether it was lost. An answer cut after its headers is counted apart: no proxy can save it.
    pub fn lost(&self) -> bool {
        self.failure().is_some_and(|c| c != Class::CutAfterHeaders)
    }
}

/// All requests to one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// In the order of intended start.
    pub records: Vec<Record>,
    /// Intended starts that could not be made because too many requests were in flight.
    pub missed: Vec<Micros>,
}

impl Samples {
    /// Records whose intended start lies in `[from, to)`.
    pub fn between(&self, from: Micros, to: Micros) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |r| r.start >= from && r.start < to)
    }

    /// Sorts by intended start; records arrive in the order they end.
    pub fn sort(&mut self) {
        self.records.sort_by_key(|r| (r.start, r.latency));
        self.missed.sort_unstable();
    }
}
