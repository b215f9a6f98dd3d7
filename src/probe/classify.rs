//! An answer or an error → who answered, or why it failed.
//! May not know: when it happened.

use std::sync::Arc;

use http::HeaderMap;

use super::target::Who;
use crate::sim::record::{Class, Outcome};

/// More of a body than this is not looked at; longer bodies are still read to their end.
pub const BODY_LIMIT: usize = 4096;
/// Longest label made from a body.
const LABEL: usize = 64;

/// A complete answer.
pub fn answer(who: &Who, status: u16, headers: &HeaderMap, body: &[u8]) -> Outcome {
    match status {
        500.. => Outcome::Failed { class: Class::ServerError, status: Some(status) },
        400..500 => Outcome::Failed { class: Class::ClientError, status: Some(status) },
        _ => Outcome::Answered { status, by: label(who, headers, body) },
    }
}

/// The label of who answered: a header or the first line of the body, without quotes, then the user's names.
pub fn label(who: &Who, headers: &HeaderMap, body: &[u8]) -> Arc<str> {
    let text = match &who.header {
        Some(name) => headers.get(name).map_or("", |v| v.to_str().unwrap_or("")).to_string(),
        None => String::from_utf8_lossy(body).lines().next().unwrap_or("").to_string(),
    };
    let text = text.trim().trim_matches('"');
    if let Some(label) = who.labels.get(text) {
        return label.as_str().into();
    }
    let short: String = text.chars().filter(|c| !c.is_control()).take(LABEL).collect();
    if short.is_empty() { "(nameless)".into() } else { short.into() }
}

/// Why a connection could not be made.
pub fn connect_error(e: &std::io::Error) -> Class {
    match e.kind() {
        std::io::ErrorKind::ConnectionRefused => Class::Refused,
        std::io::ErrorKind::TimedOut => Class::ConnectTimeout,
        std::io::ErrorKind::ConnectionReset => Class::ResetBeforeHeaders,
        _ => Class::ConnectFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(body: &str) -> String {
        label(&Who::default(), &HeaderMap::new(), body.as_bytes()).to_string()
    }

    #[test]
    fn the_first_line_of_the_body_without_quotes_names_who_answered() {
        assert_eq!(by("\"blue-pod\"\n"), "blue-pod");
        assert_eq!(by("green\nmore"), "green");
        assert_eq!(by(""), "(nameless)");
        assert_eq!(by(&"x".repeat(500)).len(), 64);
        assert_eq!(by("\u{1b}[31mred"), "[31mred");
    }

    #[test]
    fn the_users_names_replace_what_was_answered() {
        let labels = [("blue-pod".to_string(), "local".to_string())].into_iter().collect();
        let who = Who { header: None, labels };
        assert_eq!(&*label(&who, &HeaderMap::new(), b"\"blue-pod\""), "local");
        assert_eq!(&*label(&who, &HeaderMap::new(), b"other"), "other");
    }

    #[test]
    fn a_status_decides_whether_it_is_an_answer() {
        let of = |status| answer(&Who::default(), status, &HeaderMap::new(), b"x");
        assert!(matches!(of(204), Outcome::Answered { .. }));
        assert_eq!(of(404), Outcome::Failed { class: Class::ClientError, status: Some(404) });
        assert_eq!(of(503), Outcome::Failed { class: Class::ServerError, status: Some(503) });
    }
}
