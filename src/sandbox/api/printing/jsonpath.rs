//! The JSON paths of CRD columns: `.spec.a`, `.list[0]`, `.list[*].b`, `['c.d']`, `.list[?(@.type=="Ready")].status`. Pure.

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Elements whose field at the path equals (or not) the value.
    Where(JsonPath, bool, Value),
}

impl JsonPath {
    /// Reads a path; `None` if it is of a form that is not known here.
    pub fn parse(text: &str) -> Option<JsonPath> {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after)?;
                steps.push(bracket(after[..end].trim())?);
                rest = &after[end + 1..];
            } else {
                rest = rest.strip_prefix('.').unwrap_or(rest);
                let (name, after) = field(rest);
                match name.as_str() {
                    "" => {}
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                if after.len() == rest.len() && !after.starts_with('[') {
                    return None;
                }
                rest = after;
            }
        }
        Some(JsonPath(steps))
    }

    /// The values that the path leads to.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.follow(value)).collect();
        }
        found
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::Index(index) => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let index = if *index < 0 { length + index } else { *index };
                usize::try_from(index).ok().and_then(|i| items.get(i)).into_iter().collect()
            }
            Step::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Step::Where(path, equal, want) => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().filter(|item| (path.find(item).first() == Some(&want)) == *equal).collect()
            }
        }
    }
}

/// A field name up to the next unescaped dot or bracket.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket closes that was just opened, not counting those in quotes.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquoted(text) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Ok(index) = text.parse() {
        return Some(Step::Index(index));
    }
    let filter = text.strip_prefix("?(")?.strip_suffix(')')?.trim().strip_prefix('@')?;
    let (path, equal, want) = match filter.split_once("==") {
        Some((path, want)) => (path, true, want),
        None => filter.split_once("!=").map(|(path, want)| (path, false, want))?,
    };
    let want = match unquoted(want.trim()) {
        Some(text) => Value::String(text.to_owned()),
        None => serde_json::from_str(want.trim()).ok()?,
    };
    Some(Step::Where(JsonPath::parse(path.trim())?, equal, want))
}
