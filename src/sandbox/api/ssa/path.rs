//! One step of a path into an object, as `managedFields` writes it: `f:name`, `k:{"name":"a"}`, `v:"x"`, `i:0`. Pure.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map as Object, Value};

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Element {
    /// A field of an object or a key of a map.
    Field(String),
    /// The element of a list with these key fields, sorted by name.
    Key(Vec<(String, Value)>),
    /// The element of a set with this value.
    Value(Value),
    /// The element of a list at this place.
    Index(i64),
}

/// A path into an object.
pub type Path = Vec<Element>;

impl Element {
    /// Reads a step; `None` if it is of a kind that this program does not know.
    pub fn parse(text: &str) -> Result<Option<Element>, String> {
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(format!("{text:?} is no path element"));
        };
        let json = || serde_json::from_str::<Value>(rest).map_err(|e| format!("{text:?}: {e}"));
        Ok(Some(match kind {
            "f" => Element::Field(rest.to_owned()),
            "v" => Element::Value(json()?),
            "k" => match json()? {
                Value::Object(fields) => {
                    let mut fields: Vec<_> = fields.into_iter().collect();
                    fields.sort_by(|a, b| a.0.cmp(&b.0));
                    Element::Key(fields)
                }
                _ => return Err(format!("{text:?}: a key is an object")),
            },
            "i" => Element::Index(rest.parse().map_err(|e| format!("{text:?}: {e}"))?),
            _ => return Ok(None),
        }))
    }

    /// Writes a step.
    pub fn encode(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Value(value) => format!("v:{}", json(value)),
            Element::Index(index) => format!("i:{index}"),
            Element::Key(fields) => {
                let fields: Object<String, Value> = fields.iter().cloned().collect();
                format!("k:{}", json(&Value::Object(fields)))
            }
        }
    }
}

/// JSON as Go writes it: the characters that HTML minds are escaped.
pub(super) fn json(value: &Value) -> String {
    let mut text = value.to_string();
    for (plain, escaped) in
        [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")]
    {
        if text.contains(plain) {
            text = text.replace(plain, escaped);
        }
    }
    text
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Fields before keys before values before indices.
impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |e: &Element| match e {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        };
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1)));
                pairs.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => compare(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// `.spec.ports[port=80,protocol="TCP"]`: as conflicts name it.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Element::Value(value) => write!(f, "[={}]", shown(value)),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path as conflicts name it.
pub(super) fn display(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => fields.iter().map(|(k, v)| format!("{k}={}", shown(v))).collect(),
        other => other.to_string(),
    }
}

/// A total order over values of any type: numbers, strings, booleans, lists, maps, null.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    };
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.as_f64().unwrap_or_default().total_cmp(&y.as_f64().unwrap_or_default()),
        },
        (Value::String(x), Value::String(y)) => x.cmp(y),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        (Value::Array(x), Value::Array(y)) => {
            let pairs = x.iter().zip(y).map(|(x, y)| compare(x, y));
            pairs.fold(Ordering::Equal, Ordering::then).then(x.len().cmp(&y.len()))
        }
        (Value::Object(x), Value::Object(y)) => {
            let sorted = |o: &Object<String, Value>| {
                let mut fields: Vec<(String, Value)> = o.clone().into_iter().collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                fields
            };
            let (x, y) = (sorted(x), sorted(y));
            let pairs = x.iter().zip(&y).map(|(x, y)| x.0.cmp(&y.0).then_with(|| compare(&x.1, &y.1)));
            pairs.fold(Ordering::Equal, Ordering::then).then(x.len().cmp(&y.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Equality as server-side apply has it: numbers by value, maps in any order.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || (x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64())),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
