//! Whether a document has the shape of its schema. What comes in: a JSON Schema as schemars derives it and a value.
//! What goes out: every deviation at once, and the value without the parts that deviate, so that what is left can
//! still be judged for its meaning. May not know: what the fields mean.

use serde_json::{Map, Value};

use super::text::{End, Located, kind_of, meant};
use crate::model::problem::Problem;

/// Field spelling that is accepted beside the schema's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Only the schema's.
    Exact,
    /// Also `snake_case`, as the JSON form of protocol buffers allows.
    Proto,
}

/// Checks values against one schema.
pub struct Shape<'a> {
    schema: &'a Value,
    document: &'a Located,
    spelling: Spelling,
    /// What was found.
    pub problems: Vec<Problem>,
}

impl<'a> Shape<'a> {
    /// A check of one document.
    pub fn new(schema: &'a Value, document: &'a Located, spelling: Spelling) -> Self {
        Shape { schema, document, spelling, problems: Vec::new() }
    }

    /// Checks the whole document; what is returned fits the schema but may lack required fields.
    pub fn check(&mut self, value: Value) -> Value {
        let schema = self.schema;
        self.node(schema, value, &mut String::new()).unwrap_or(Value::Null)
    }

    fn say(&mut self, code: &'static str, pointer: &str, end: End, what: String, hint: Option<String>) {
        let mut problem = Problem::error(code, what);
        problem.hint = hint;
        self.problems.push(self.document.locate(problem, pointer, end));
    }

    /// Follows references, and takes the side of an optional that is not null.
    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        loop {
            if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
                schema = self.schema.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
            } else if let Some(sides) = schema.get("anyOf").and_then(Value::as_array) {
                let not_null = sides.iter().find(|s| s.get("type").and_then(Value::as_str) != Some("null"));
                schema = not_null.unwrap_or(&Value::Null);
            } else {
                return schema;
            }
        }
    }

    fn node(&mut self, schema: &'a Value, value: Value, pointer: &mut String) -> Option<Value> {
        let schema = self.resolve(schema);
        if let Some(words) = words(schema) {
            return self.word(&words, value, pointer);
        }
        let wanted = schema.get("type").map(type_name);
        match (wanted, value) {
            (_, Value::Null) => None,
            (None, value) => Some(value),
            (Some("object"), Value::Object(map)) => Some(Value::Object(self.object(schema, map, pointer))),
            (Some("array"), Value::Array(items)) => Some(Value::Array(self.array(schema, items, pointer))),
            (Some("string"), value @ Value::String(_)) | (Some("boolean"), value @ Value::Bool(_)) => Some(value),
            (Some("integer"), value @ Value::Number(_)) => self.integer(schema, value, pointer),
            (Some(wanted), value) => {
                self.wrong_type(wanted, &value, pointer, schema.get("pattern").is_some());
                None
            }
        }
    }

    fn wrong_type(&mut self, wanted: &str, value: &Value, pointer: &str, timed: bool) {
        let subject = called(pointer);
        let expected = match wanted {
            "object" => "a mapping",
            "array" => "a list",
            "string" => "text",
            "boolean" => "true or false",
            "integer" => "a whole number",
            other => other,
        };
        let hint = match (wanted, value) {
            ("string", Value::Number(_)) if timed => Some("write a unit, for example 500ms, 1s, 1m30s".to_string()),
            ("string", Value::Number(_) | Value::Bool(_)) => Some("put it in quotes".to_string()),
            ("array", _) => Some("begin each item with `- `".to_string()),
            _ => None,
        };
        self.say(
            "FCT0105",
            pointer,
            End::Value,
            format!("{subject} must be {expected}, found {}", kind_of(value)),
            hint,
        );
    }

    fn integer(&mut self, schema: &Value, value: Value, pointer: &str) -> Option<Value> {
        let Some(number) = value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX)) else {
            self.wrong_type("integer", &value, pointer, false);
            return None;
        };
        let bound = |name: &str, by_format: i64| schema.get(name).and_then(Value::as_i64).unwrap_or(by_format);
        let (low, high) = match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => (0, i64::from(u8::MAX)),
            Some("uint16") => (0, i64::from(u16::MAX)),
            Some("uint32") => (0, i64::from(u32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let (low, high) = (bound("minimum", low).max(low), bound("maximum", high).min(high));
        if (low..=high).contains(&number) {
            return Some(value);
        }
        let name = called(pointer);
        self.say("FCT0106", pointer, End::Value, format!("{name} is {value}; it must be from {low} to {high}"), None);
        None
    }

    fn word(&mut self, words: &[&str], value: Value, pointer: &str) -> Option<Value> {
        let Some(word) = value.as_str() else {
            if !value.is_null() {
                self.wrong_type("string", &value, pointer, false);
            }
            return None;
        };
        if words.contains(&word) {
            return Some(value);
        }
        let what = format!("`{word}` is not a value {} can have", called(pointer));
        let hint = meant(word, words.iter().copied());
        self.say("FCT0107", pointer, End::Value, what, Some(hint));
        None
    }

    fn array(&mut self, schema: &'a Value, items: Vec<Value>, pointer: &mut String) -> Vec<Value> {
        let Some(of) = schema.get("items") else { return items };
        // A mapping that deviates stays as an empty one, so that the items after it keep their index.
        let mapping = self.resolve(of).get("type").is_some_and(|t| type_name(t) == "object");
        let mut kept = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let end = pointer.len();
            *pointer += &format!("/{i}");
            if item.is_null() {
                self.say("FCT0105", pointer, End::Value, "this item of the list is empty".into(), None);
            }
            let item = self.node(of, item, pointer);
            kept.extend(item.or_else(|| mapping.then(|| Value::Object(Map::new()))));
            pointer.truncate(end);
        }
        kept
    }

    fn object(&mut self, schema: &'a Value, map: Map<String, Value>, pointer: &mut String) -> Map<String, Value> {
        let Some(known) = schema.get("properties").and_then(Value::as_object) else { return map };
        let open = schema.get("additionalProperties") != Some(&Value::Bool(false));
        let mut kept = Map::with_capacity(map.len());
        for (written, value) in map {
            let end = pointer.len();
            *pointer += "/";
            *pointer += &written.replace('~', "~0").replace('/', "~1");
            let name = if self.spelling == Spelling::Proto { camel(&written) } else { written.clone() };
            match known.get(&name) {
                Some(of) => {
                    if let Some(value) = self.node(of, value, pointer) {
                        kept.insert(name, value);
                    }
                }
                None if open => {
                    kept.insert(written, value);
                }
                None => {
                    let hint = meant(&written, known.keys().map(String::as_str));
                    let what = format!("unknown field `{written}`");
                    self.say("FCT0103", pointer, End::Key, what, Some(hint));
                }
            }
            pointer.truncate(end);
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required {
            if !kept.contains_key(name) && !self.already_reported(pointer, name) {
                let about = schema.pointer(&format!("/properties/{name}/description")).and_then(Value::as_str);
                let hint = about.map(|d| format!("`{name}`: {}", d.lines().next().unwrap_or_default()));
                self.say("FCT0104", pointer, End::Key, format!("`{name}` is missing"), hint);
            }
        }
        kept
    }

    /// Whether the field is there and was reported for what is wrong with it.
    fn already_reported(&self, pointer: &str, name: &str) -> bool {
        let place = self.document.place.nearest(pointer).field(name);
        let at = place.map(|p| self.document.text.span(p.value));
        at.is_some() && self.problems.iter().any(|p| p.at == at)
    }
}

/// What a pointer leads to, in words.
fn called(pointer: &str) -> String {
    let mut parts = pointer.rsplit('/');
    let last = parts.next().unwrap_or_default();
    match (last.parse::<usize>(), parts.next()) {
        _ if last.is_empty() => "this document".into(),
        (Ok(index), Some(list)) => format!("item {} of `{list}`", index + 1),
        _ => format!("`{last}`"),
    }
}

/// The words an enumeration allows, however schemars wrote it.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    let sides = schema.get("oneOf").and_then(Value::as_array)?;
    Some(sides.iter().filter_map(words).flatten().collect())
}

fn type_name(schema_type: &Value) -> &str {
    let first = |list: &'_ Vec<Value>| list.iter().position(|t| t != "null").unwrap_or(0);
    match schema_type {
        Value::Array(list) => list.get(first(list)).and_then(Value::as_str).unwrap_or_default(),
        other => other.as_str().unwrap_or_default(),
    }
}

/// `failover_groups` as `failoverGroups`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        if c == '_' && !out.is_empty() {
            up = true;
        } else if up {
            out.push(c.to_ascii_uppercase());
            up = false;
        } else {
            out.push(c);
        }
    }
    out
}
