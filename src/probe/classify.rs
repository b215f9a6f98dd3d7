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
        _ => match label(who, headers, body) {
            Some(by) => Outcome::Answered { status, by },
            None => Outcome::Failed { class: Class::WrongAnswer, status: Some(status) },
        },
    }
}

/// The label of who answered: what the pattern finds in a header or the body, else the header or the first line of the
/// body without quotes; then the user's names. None when the pattern finds nothing: this is not the answer asked for.
pub fn label(who: &Who, headers: &HeaderMap, body: &[u8]) -> Option<Arc<str>> {
    let header = who.header.as_ref().map(|name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("")));
    let body = String::from_utf8_lossy(body);
    let text = match &who.pattern {
        Some(pattern) => {
            let found = pattern.captures(header.unwrap_or(&body))?;
            found.get(1).or(found.get(0))?.as_str()
        }
        None => header.unwrap_or_else(|| body.lines().next().unwrap_or("")),
    };
    let text = text.trim().trim_matches('"');
    if let Some(label) = who.labels.get(text) {
        return Some(label.as_str().into());
    }
    let short: String = text.chars().filter(|c| !c.is_control()).take(LABEL).collect();
    Some(if short.is_empty() { "(nameless)".into() } else { short.into() })
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
        label(&Who::default(), &HeaderMap::new(), body.as_bytes()).unwrap().to_string()
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
        let who = Who { labels, ..Who::default() };
        assert_eq!(&*label(&who, &HeaderMap::new(), b"\"blue-pod\"").unwrap(), "local");
        assert_eq!(&*label(&who, &HeaderMap::new(), b"other").unwrap(), "other");
    }

    #[test]
    fn a_pattern_finds_who_answered_anywhere_and_a_page_without_it_is_lost() {
        let pattern = Some(regex::Regex::new(r#""clustername": *"([^"]+)""#).unwrap());
        let who = Who { pattern, ..Who::default() };
        let by = |body: &str| answer(&who, 200, &HeaderMap::new(), body.as_bytes());
        let answered = Outcome::Answered { status: 200, by: "kind3".into() };
        assert_eq!(by("{\"id\": 0,\n \"clustername\": \"kind3\"}"), answered);
        assert_eq!(by("<p>reviews are unavailable"), Outcome::Failed { class: Class::WrongAnswer, status: Some(200) });
    }

    #[test]
    fn a_status_decides_whether_it_is_an_answer() {
        let of = |status| answer(&Who::default(), status, &HeaderMap::new(), b"x");
        assert!(matches!(of(204), Outcome::Answered { .. }));
        assert_eq!(of(404), Outcome::Failed { class: Class::ClientError, status: Some(404) });
        assert_eq!(of(503), Outcome::Failed { class: Class::ServerError, status: Some(503) });
    }
}
