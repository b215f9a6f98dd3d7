//! Virtual hosts and routes. What comes in: parts read from objects. What goes out: what happens to a request.
//! May not know: which vendor's objects it came from, Envoy's configuration.

use serde::Serialize;

use crate::manifest::ObjectKey;
use crate::model::duration::Millis;

/// Host names that share routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualHost {
    /// Name, unique within its listener.
    pub name: String,
    /// The object it was read from.
    pub object: ObjectKey,
    /// Host names; `*` matches all.
    pub domains: Vec<String>,
    /// Routes; the first that matches decides.
    pub routes: Vec<Route>,
}

/// What happens to requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The name the object gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A request matches when one of these does. Never empty.
    pub matchers: Vec<Matcher>,
    /// What happens.
    pub action: Action,
    /// When a request is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Time for the whole request with all retries; none is Envoy's 15 s, zero is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
    /// Replaces the matched prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_rewrite: Option<String>,
    /// Replaces the host header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_rewrite: Option<String>,
}

impl Route {
    /// The upstreams it may send to.
    pub fn upstreams(&self) -> Vec<&str> {
        match &self.action {
            Action::Upstream(name) => vec![name],
            Action::Weighted(all) => all.iter().map(|(name, _)| name.as_str()).collect(),
            Action::Respond { .. } | Action::Redirect { .. } => Vec::new(),
        }
    }
}

/// All conditions of a matcher must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matcher {
    /// On the path.
    pub path: PathMatch,
    /// One of these methods; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// On headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

impl Matcher {
    /// Every path that starts with `prefix`, any method.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Matcher { path: PathMatch::Prefix(prefix.into()), methods: Vec::new(), headers: Vec::new() }
    }
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// Starts with.
    Prefix(String),
    /// Is.
    Exact(String),
    /// Matches the whole of a regular expression (RE2).
    Regex(String),
}

/// A condition on one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderMatch {
    /// Header name.
    pub name: String,
    /// Value; empty means present.
    pub value: String,
    /// The value is a regular expression.
    pub regex: bool,
    /// The condition must not hold.
    pub invert: bool,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Sends to one upstream (a cluster name).
    Upstream(String),
    /// Sends to several by weight.
    Weighted(Vec<(String, u32)>),
    /// Answers itself.
    Respond {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
    /// Redirects.
    Redirect {
        /// Other host, if any.
        host: Option<String>,
        /// Other path, if any.
        path: Option<String>,
        /// To https.
        https: bool,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
}

/// When and how a request is tried again (Envoy's retry policy).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Conditions, as Envoy names them, in the order written.
    pub on: Vec<String>,
    /// Retries after the first attempt.
    pub attempts: u32,
    /// Time for one attempt, connection set-up excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Millis>,
    /// After this many attempts, exclude the priorities tried so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_priorities: Option<u32>,
    /// Choose again when a host was tried before, at most this many times; none is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_hosts: Option<u32>,
    /// Status codes that `retriable-status-codes` means.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_codes: Vec<u16>,
    /// Wait between attempts; none is Envoy's 25 ms doubling up to 250 ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_off: Option<BackOff>,
}

/// Exponential wait with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackOff {
    /// First bound.
    pub base: Millis,
    /// Last bound; none is ten times the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Millis>,
}
