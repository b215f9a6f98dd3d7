//! Whom a listener lets in. What comes in: rules read from objects. What goes out: grants, each a list of what must be so.
//! May not know: which vendor's objects they came from, Envoy's configuration.

use serde::Serialize;

/// Whom a listener lets in. The default lets in everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What one of these covers is refused, whatever else is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Grant>,
    /// Only what one of these covers is let in; none lets in everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Grant>>,
}

impl Access {
    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.allow.is_none()
    }

    /// Whether a caller of this name (its identity as a URI; none is a caller without one) may be let in, with the right
    /// request at the right port. For people and rules; proxies decide by themselves.
    pub fn may_admit(&self, caller: Option<&str>) -> bool {
        let covers = |g: &Grant| {
            g.from.is_empty()
                || g.from.iter().any(|needs| needs.iter().all(|n| n.part != Part::Caller || n.holds(caller)))
        };
        let whole = |g: &&Grant| g.to.is_empty();
        !self.deny.iter().filter(whole).any(covers) && self.allow.as_ref().is_none_or(|all| all.iter().any(covers))
    }
}

/// What one rule covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Names it in the proxy's configuration and logs; unique within its list.
    pub name: String,
    /// Who calls: all needs of one of these hold; empty is everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Vec<Need>>,
    /// What is asked for, likewise; empty is everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Vec<Need>>,
}

/// One thing that must be so: a part of the request is one of these texts, or none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// What is looked at.
    pub part: Part,
    /// The texts.
    pub any_of: Vec<Text>,
    /// It must be none of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
}

impl Need {
    fn holds(&self, value: Option<&str>) -> bool {
        value.is_some_and(|v| self.any_of.iter().any(|t| t.matches(v))) != self.negated
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The caller's name, as the URI in its certificate.
    Caller,
    /// The port it called.
    Port,
    /// The request's method.
    Method,
    /// Its path.
    Path,
    /// Its host.
    Host,
}

impl Part {
    /// Whether it can be seen only in an HTTP request.
    pub fn is_http(self) -> bool {
        matches!(self, Part::Method | Part::Path | Part::Host)
    }
}

/// A text to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Text {
    /// Any that is not empty.
    Any,
    /// This one.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It has this inside.
    Contains(String),
}

impl Text {
    /// Whether a value is meant.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Text::Any => !value.is_empty(),
            Text::Exact(text) => value == text,
            Text::Prefix(text) => value.starts_with(text),
            Text::Suffix(text) => value.ends_with(text),
            Text::Contains(text) => value.contains(text),
        }
    }
}
