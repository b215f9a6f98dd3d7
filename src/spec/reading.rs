//! Turning written values into valid ones. What comes in: a document that has its shape. What goes out: names,
//! durations and the like, and a problem with its place for each that is none. May not know: which kind it reads.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::shape::{Shape, Spelling};
use super::text::{End, Located};
use crate::model::duration::Millis;
use crate::model::problem::Problem;

/// Reads one document and collects what is wrong with it.
pub struct Reading<'a> {
    /// The document.
    pub document: &'a Located,
    /// What was found.
    pub problems: Vec<Problem>,
}

impl<'a> Reading<'a> {
    /// Checks the shape and reads what has it. Every field of `T` must be optional to Rust.
    pub fn begin<T: DeserializeOwned>(
        document: &'a Located,
        schema: &Value,
        value: Value,
        spelling: Spelling,
    ) -> (Self, Option<T>) {
        let mut shape = Shape::new(schema, document, spelling);
        let rest = shape.check(value);
        let mut problems = std::mem::take(&mut shape.problems);
        let read = serde_path_to_error::deserialize(rest);
        let read = read.map_err(|e| {
            // The shape let something through that the reader does not take: said, never swallowed.
            let pointer = format!("/{}", e.path().to_string().replace('.', "/"));
            let problem = Problem::error("FCT0105", format!("{}: {}", e.path(), e.inner()));
            problems.push(document.locate(problem, &pointer, End::Value));
        });
        (Reading { document, problems }, read.ok())
    }

    /// Notes an error about a value.
    pub fn error(&mut self, code: &'static str, pointer: &str, what: impl Into<String>, hint: Option<String>) {
        let mut problem = Problem::error(code, what);
        problem.hint = hint;
        self.problems.push(self.document.locate(problem, pointer, End::Value));
    }

    /// Notes a warning about a value.
    pub fn warning(&mut self, code: &'static str, pointer: &str, what: impl Into<String>, hint: Option<String>) {
        let mut problem = Problem::warning(code, what);
        problem.hint = hint;
        self.problems.push(self.document.locate(problem, pointer, End::Value));
    }

    /// Reads a word with the reader of a valid type; a word that is none becomes a problem.
    pub fn word<T>(
        &mut self,
        pointer: &str,
        text: Option<String>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = text?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.error("FCT0108", pointer, why, None);
                None
            }
        }
    }

    /// Reads a length of time longer than nothing.
    pub fn time(&mut self, pointer: &str, text: Option<String>, default: Millis) -> Millis {
        let Some(time) = self.word(pointer, text, Millis::parse) else { return default };
        if time == Millis(0) {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            self.error("FCT0201", pointer, format!("`{name}` is 0; it must be longer than nothing"), None);
            return default;
        }
        time
    }

    /// Reads an optional length of time longer than nothing.
    pub fn optional_time(&mut self, pointer: &str, text: Option<String>) -> Option<Millis> {
        text.is_some().then(|| self.time(pointer, text, Millis::secs(1)))
    }
}
