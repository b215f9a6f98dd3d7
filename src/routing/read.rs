//! Walks an object and notes what is wrong with it. What comes in: one object. What goes out: values and findings.
//! A wrong field costs itself alone: it is noted and then treated as absent.
//! May not know: which object means what.

use std::cell::RefCell;

use serde_json::Value;

use crate::manifest::ObjectKey;
use crate::model::duration::Millis;
use crate::model::problem::Problem;
use crate::routing::{Finding, SecretRef};

/// Gathers findings while objects are read.
#[derive(Default)]
pub struct Log(RefCell<Vec<Finding>>);

impl Log {
    /// Notes a problem once.
    pub fn note(&self, object: &ObjectKey, problem: Problem) {
        let finding = Finding { object: object.clone(), problem };
        let mut all = self.0.borrow_mut();
        if !all.contains(&finding) {
            all.push(finding);
        }
    }

    /// Everything noted so far, in the order it was noted.
    pub fn findings(&self) -> Vec<Finding> {
        self.0.borrow().clone()
    }

    /// Everything noted, by object.
    pub fn into_findings(self) -> Vec<Finding> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| a.object.cmp(&b.object));
        all
    }
}

/// A place in an object: present or absent.
#[derive(Clone)]
pub struct At<'a> {
    value: Option<&'a Value>,
    path: String,
    /// The object this is a part of.
    pub object: &'a ObjectKey,
    log: &'a Log,
}

impl<'a> At<'a> {
    /// The whole object.
    pub fn root(object: &'a ObjectKey, body: &'a Value, log: &'a Log) -> Self {
        At { value: Some(body), path: String::new(), object, log }
    }

    /// A field; absent when it is missing or null.
    pub fn get(&self, field: &str) -> At<'a> {
        let path = if self.path.is_empty() { field.to_string() } else { format!("{}.{field}", self.path) };
        let value = self.value.and_then(|v| v.get(field)).filter(|v| !v.is_null());
        At { value, path, ..*self }
    }

    /// A field behind several names.
    pub fn at(&self, fields: &[&str]) -> At<'a> {
        fields.iter().fold(self.clone(), |at, f| at.get(f))
    }

    /// Whether there is something.
    pub fn is_some(&self) -> bool {
        self.value.is_some()
    }

    /// Itself if present.
    pub fn some(self) -> Option<At<'a>> {
        self.value.is_some().then_some(self)
    }

    /// The raw value.
    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// Items of a list; nothing when absent.
    pub fn items(&self) -> Vec<At<'a>> {
        match self.value {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let item = |(i, v)| At { value: Some(v), path: format!("{}[{i}]", self.path), ..*self };
                items.iter().enumerate().map(item).collect()
            }
            Some(_) => self.wrong("a list").unwrap_or_default(),
        }
    }

    /// The names of its fields.
    pub fn fields(&self) -> Vec<&'a str> {
        self.value.and_then(Value::as_object).map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Text.
    pub fn text(&self) -> Option<&'a str> {
        match self.value? {
            Value::String(s) => Some(s),
            _ => self.wrong("text"),
        }
    }

    /// Text, owned and not empty.
    pub fn string(&self) -> Option<String> {
        self.text().filter(|s| !s.is_empty()).map(str::to_string)
    }

    /// Texts of a list.
    pub fn strings(&self) -> Vec<String> {
        self.items().iter().filter_map(At::string).collect()
    }

    /// A yes or no.
    pub fn bool(&self) -> Option<bool> {
        match self.value? {
            Value::Bool(b) => Some(*b),
            _ => self.wrong("true or false"),
        }
    }

    /// A whole number. Protobuf's JSON allows it in quotes.
    pub fn u32(&self) -> Option<u32> {
        let number = match self.value? {
            Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
            Value::String(s) => s.parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong("a whole number"))
    }

    /// A number from 0 to 100; fractions are rounded as Envoy rounds them.
    pub fn percent(&self) -> Option<u32> {
        let number = self.value?.as_f64().filter(|n| (0.0..=100.0).contains(n));
        number.map(|n| n.round() as u32).or_else(|| self.wrong("a number from 0 to 100"))
    }

    /// A port.
    pub fn port(&self) -> Option<u16> {
        let number = self.u32()?;
        u16::try_from(number).ok().filter(|p| *p > 0).or_else(|| self.wrong("a port from 1 to 65535"))
    }

    /// A length of time.
    pub fn millis(&self) -> Option<Millis> {
        let text = self.text()?;
        match Millis::parse(text) {
            Ok(ms) => Some(ms),
            Err(why) => {
                self.reject("FCT0501", format!("{}: {why}", self.path));
                None
            }
        }
    }

    /// A length of time above zero.
    pub fn millis_above_zero(&self) -> Option<Millis> {
        let ms = self.millis()?;
        if ms.0 == 0 { self.wrong("a time above zero") } else { Some(ms) }
    }

    /// A reference `{name, namespace}`.
    pub fn reference(&self) -> Option<SecretRef> {
        self.value?;
        let name = self.get("name").string();
        let namespace = self.get("namespace").string();
        match (name, namespace) {
            (Some(name), Some(namespace)) => Some(SecretRef { namespace, name }),
            _ => self.wrong("a reference with name and namespace"),
        }
    }

    /// Notes an error about the object this is a part of.
    pub fn reject(&self, code: &'static str, what: impl Into<String>) {
        self.log.note(self.object, Problem::error(code, what));
    }

    /// Notes an error with what to do about it.
    pub fn reject_hint(&self, code: &'static str, what: impl Into<String>, hint: impl Into<String>) {
        self.log.note(self.object, Problem::error(code, what).hint(hint));
    }

    /// Notes a warning about the object this is a part of.
    pub fn warn(&self, code: &'static str, what: impl Into<String>) {
        self.log.note(self.object, Problem::warning(code, what));
    }

    /// Where this is, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn wrong<T>(&self, expected: &str) -> Option<T> {
        let found = self.value.map(shorten).unwrap_or_default();
        self.reject("FCT0501", format!("{} must be {expected}, but it is {found}", self.path));
        None
    }
}

/// A value short enough for a message.
fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { format!("{}…", text.chars().take(39).collect::<String>()) }
}
