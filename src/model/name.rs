//! Names that are valid by construction.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $dots:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name, or the sentence that says why it is none.
            pub fn new(text: impl Into<String>) -> Result<Self, String> {
                let text = text.into();
                match rule(&text, $max, $dots) {
                    None => Ok($name(text)),
                    Some(why) => Err(why),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                $name::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a cluster in the fleet. No dots: it becomes part of Secret and GlooInstance names.
    ClusterName, 63, false
);
name!(
    /// A Kubernetes namespace (RFC 1123 label).
    Namespace, 63, false
);
name!(
    /// The name of a set of documents that are applied together. It becomes part of a label.
    SetName, 40, false
);
name!(
    /// The name of a Kubernetes object (RFC 1123 subdomain).
    ObjectName, 253, true
);

/// Why `text` breaks RFC 1123, or nothing.
fn rule(text: &str, max: usize, dots: bool) -> Option<String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
    if text.is_empty() {
        return Some("a name must not be empty".into());
    }
    if text.len() > max {
        return Some(format!("`{text}` has {} characters, at most {max} are allowed", text.len()));
    }
    let broken_label = dots && text.split('.').any(|l| !edge(l.chars().next()) || !edge(l.chars().last()));
    if !edge(text.chars().next()) || !edge(text.chars().last()) || !text.chars().all(inner) || broken_label {
        let set = if dots { "lower-case letters, digits, `-` and `.`" } else { "lower-case letters, digits and `-`" };
        return Some(format!("`{text}` is not a valid name: only {set}, starting and ending with a letter or digit"));
    }
    None
}
