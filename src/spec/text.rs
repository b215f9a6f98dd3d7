//! Texts and places in them. What comes in: a document with its place. What goes out: problems that point into it.
//! May not know: what the document means.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::model::problem::{Problem, Span};
use crate::yaml::{Place, Pos};

/// Longest excerpt shown, in characters.
const EXCERPT: usize = 160;

/// A text under the name the user gave it.
#[derive(Debug)]
pub struct Text {
    /// As the user named it; `-` for standard input.
    pub name: Arc<str>,
    /// The text.
    pub body: String,
    /// Where each line begins; nothing for a text that holds a Secret. Made once: problems may be many.
    lines: OnceLock<Option<Vec<usize>>>,
}

impl Text {
    /// A text.
    pub fn new(name: impl Into<Arc<str>>, body: String) -> Self {
        Text { name: name.into(), body, lines: OnceLock::new() }
    }

    fn begins(&self) -> Option<&Vec<usize>> {
        let secret = || ["kind: Secret", "\"Secret\"", "PRIVATE KEY"].iter().any(|w| self.body.contains(w));
        let ends = || self.body.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        self.lines.get_or_init(|| (!secret()).then(|| std::iter::once(0).chain(ends()).collect())).as_ref()
    }

    /// One line, from 1, unless the text holds a Secret: those are never repeated.
    fn line(&self, number: u32) -> Option<String> {
        let begins = self.begins()?;
        let start = *begins.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let line = self.body[start..].lines().next()?;
        Some(line.chars().take(EXCERPT).collect())
    }

    /// The same problem at a place of this text, with the line that stands there.
    pub fn locate(&self, problem: Problem, pos: Pos) -> Problem {
        let mut problem = problem.at(Some(self.span(pos)));
        problem.excerpt = self.line(pos.line);
        problem
    }

    /// A place in this text.
    pub fn span(&self, pos: Pos) -> Span {
        Span { file: self.name.clone(), line: pos.line as usize, column: pos.column as usize }
    }
}

/// Which end of `key: value` a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// One document of a text.
#[derive(Clone, Debug)]
pub struct Located {
    /// The text it stands in.
    pub text: Arc<Text>,
    /// Places of everything in it.
    pub place: Place,
}

impl Located {
    /// The same problem, pointing at what a JSON pointer leads to.
    pub fn locate(&self, problem: Problem, pointer: &str, end: End) -> Problem {
        let place = self.place.nearest(pointer);
        self.text.locate(problem, if end == End::Key { place.key } else { place.value })
    }

    /// Where the document begins.
    pub fn start(&self) -> Span {
        self.text.span(self.place.value)
    }
}

/// What kind of value this is, in the words a user knows.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The candidate that was probably meant, if one is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |c: &'a str| (strsim::damerau_levenshtein(&word.to_lowercase(), &c.to_lowercase()), c);
    let best = candidates.into_iter().map(near).min()?;
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    (best.0 <= allowed).then_some(best.1)
}

/// `did you mean …?`, or what there is.
pub fn meant<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, candidates.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<_> = candidates.into_iter().collect();
            let shown = all.iter().take(12).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
            let rest = if all.len() > 12 { format!(" and {} more", all.len() - 12) } else { String::new() };
            format!("known here: {shown}{rest}")
        }
    }
}
