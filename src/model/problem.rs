//! Something wrong with what a user wrote or with what a cluster holds: a value, never a panic.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Works, and will hurt.
    Warning,
    /// Does not work.
    Error,
}

/// A place in a document. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The file as the user named it; `-` for standard input.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One problem: what, where, why and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable code such as `FCT0101`; documented, never reused.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where, when it is in a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// The offending line of the document, if there is one. Never of a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// What is wrong, and why it matters.
    pub what: String,
    /// What to write or type instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it is about, for rooms that hold values and not texts; whoever read the documents turns it into `at`.
    #[serde(skip)]
    pub about: Option<About>,
}

/// A part of one of failctl's documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Name of the failover document; nothing for the fleet document.
    pub failover: Option<String>,
    /// JSON pointer into the document, for example `/spec/order/0`.
    pub pointer: String,
}

impl Problem {
    /// An error without a place.
    pub fn error(code: &'static str, what: impl Into<String>) -> Self {
        Problem { code, severity: Severity::Error, at: None, excerpt: None, what: what.into(), hint: None, about: None }
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(code, what) }
    }

    /// A note without a place.
    pub fn note(code: &'static str, what: impl Into<String>) -> Self {
        Problem { severity: Severity::Note, ..Problem::error(code, what) }
    }

    /// The same problem at a place.
    pub fn at(mut self, span: Option<Span>) -> Self {
        self.at = span;
        self
    }

    /// The same problem, about a part of a failover document.
    pub fn about_failover(mut self, name: &str, pointer: impl Into<String>) -> Self {
        self.about = Some(About { failover: Some(name.into()), pointer: pointer.into() });
        self
    }

    /// The same problem, about a part of the fleet document.
    pub fn about_fleet(mut self, pointer: impl Into<String>) -> Self {
        self.about = Some(About { failover: None, pointer: pointer.into() });
        self
    }

    /// The same problem with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
