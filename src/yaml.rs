//! The one file that names the YAML crate. What comes in: text. What goes out: JSON values, each with the place of
//! every key and value, and text that kubectl reads back equal. May not know: kinds, files, clusters.
//!
//! The crate is serde-saphyr, because it quotes what other readers would take for a boolean or a number
//! (`"yes"`, `"1_000"`, `"="`), refuses duplicate keys, and reports lines across documents.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Spanned, alias_limits, budget, options, ser_options};

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Where a value and everything inside it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where its key stands; for items of a list and for whole documents, where the value stands.
    pub key: Pos,
    /// Where the value stands.
    pub value: Pos,
    inside: Inside,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    Items(Vec<Place>),
    Fields(Vec<(Box<str>, Place)>),
}

impl Place {
    /// Moves a place that was read from a part of a text: lines down, and columns right on the part's first line.
    fn shift(&mut self, lines: u32, columns: u32) {
        for pos in [&mut self.key, &mut self.value] {
            if pos.line == 1 {
                pos.column = pos.column.saturating_add(columns);
            }
            pos.line = pos.line.saturating_add(lines);
        }
        match &mut self.inside {
            Inside::Nothing => {}
            Inside::Items(items) => items.iter_mut().for_each(|p| p.shift(lines, columns)),
            Inside::Fields(fields) => fields.iter_mut().for_each(|(_, p)| p.shift(lines, columns)),
        }
    }

    /// The place of a field; nothing if there is no such field.
    pub fn field(&self, name: &str) -> Option<&Place> {
        match &self.inside {
            Inside::Fields(fields) => fields.iter().find(|(n, _)| &**n == name).map(|(_, p)| p),
            _ => None,
        }
    }

    /// The place of an item of a list.
    pub fn item(&self, index: usize) -> Option<&Place> {
        match &self.inside {
            Inside::Items(items) => items.get(index),
            _ => None,
        }
    }

    /// The place a JSON pointer leads to, or of the nearest thing that exists on the way there.
    pub fn nearest(&self, pointer: &str) -> &Place {
        let mut here = self;
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let next = here.field(&name).or_else(|| name.parse().ok().and_then(|i| here.item(i)));
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }
}

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where it says it.
    pub place: Place,
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unreadable {
    /// What is wrong, without its place.
    pub what: String,
    /// Where, if it can be told.
    pub at: Option<Pos>,
}

/// All documents of a text; empty ones are left out. Reads what kubectl reads: YAML 1.1 booleans and octals,
/// merge keys, JSON. Duplicate keys are errors. Depth and aliases are bounded, size hardly.
pub fn parse(text: &str) -> Result<Vec<Document>, Unreadable> {
    let ends = json_stream(text);
    if ends.len() < 2 {
        return parse_yaml(text);
    }
    let mut documents = Vec::with_capacity(ends.len());
    let mut start = 0;
    for end in ends {
        let before = &text[..start];
        let lines = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX);
        let columns = before.rsplit('\n').next().map_or(0, |l| l.chars().count());
        let columns = u32::try_from(columns).unwrap_or(u32::MAX);
        for mut document in parse_yaml(&text[start..end])? {
            document.place.shift(lines, columns);
            documents.push(document);
        }
        start = end;
    }
    Ok(documents)
}

/// Where each object of a stream of JSON objects ends (kubectl takes such streams, and `-o json` writes them); nothing
/// when the text is something else.
fn json_stream(text: &str) -> Vec<usize> {
    if !text.trim_start().starts_with('{') {
        return Vec::new();
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<de::IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(next) = stream.next() {
        if next.is_err() {
            return Vec::new();
        }
        ends.push(stream.byte_offset());
    }
    ends
}

fn parse_yaml(text: &str) -> Result<Vec<Document>, Unreadable> {
    let options = options! {
        budget: budget! {
            max_documents: 1_000_000,
            max_nodes: 100_000_000,
            max_events: 300_000_000,
            max_total_scalar_bytes: 2 << 30,
            max_depth: 64,
        },
        alias_limits: alias_limits! { max_total_replayed_events: 200_000 },
        legacy_octal_numbers: true,
        with_snippet: false,
        emit_comments: false,
    };
    let found: Result<Vec<Spanned<Node>>, _> = serde_saphyr::from_multiple_with_options(text, options);
    let found = found.map_err(|e| unreadable(&e))?;
    let whole = found.into_iter().filter(|d| !matches!(d.value, Node::Leaf(Value::Null)));
    Ok(whole.map(|d| located(d, None)).map(|(value, place)| Document { value, place }).collect())
}

/// One value as a block of YAML that ends in a newline. Strings that another reader would take for something else
/// are quoted; strings of several lines are literal blocks, long ones are never folded.
pub fn emit(value: &Value) -> String {
    let mut text = String::with_capacity(512);
    emit_into(&mut text, value);
    text
}

/// Like [`emit`], at the end of a text.
pub fn emit_into(text: &mut String, value: &Value) {
    let options = ser_options! {
        compact_list_indent: true,
        folded_wrap_chars: usize::MAX,
    };
    let done = serde_saphyr::to_fmt_writer_with_options(text, value, options);
    done.expect("a JSON value has text keys, and a String takes every write");
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

fn unreadable(error: &serde_saphyr::Error) -> Unreadable {
    let error = error.without_snippet();
    let at = error.location().filter(|l| l.line() > 0).map(|l| pos(&l));
    let what = match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is written twice in one mapping")
        }
        serde_saphyr::Error::DuplicateMappingKey { key: None, .. } => "a key is written twice in one mapping".into(),
        other => plain(&other.to_string()),
    };
    Unreadable { what, at }
}

/// The crate's sentence without the place it appends.
fn plain(sentence: &str) -> String {
    let first = sentence.lines().next().unwrap_or(sentence);
    let cut = first.find(" at line ").unwrap_or(first.len());
    first[..cut].trim_end_matches([',', ':', ' ']).to_string()
}

fn pos(location: &serde_saphyr::Location) -> Pos {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: small(location.line()), column: small(location.column()) }
}

/// A value as the crate reads it, its children with their places.
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

fn located(node: Spanned<Node>, key: Option<Pos>) -> (Value, Place) {
    let value_at = pos(&node.referenced);
    let key = key.unwrap_or(value_at);
    let (value, inside) = match node.value {
        Node::Leaf(value) => (value, Inside::Nothing),
        Node::List(items) => {
            let (values, places) = items.into_iter().map(|i| located(i, None)).unzip();
            (Value::Array(values), Inside::Items(places))
        }
        Node::Fields(fields) => {
            let mut map = Map::with_capacity(fields.len());
            let mut places = Vec::with_capacity(fields.len());
            for (name, field) in fields {
                let (value, place) = located(field, Some(pos(&name.referenced)));
                places.push((name.value.as_str().into(), place));
                map.insert(name.value, value);
            }
            (Value::Object(map), Inside::Fields(places))
        }
    };
    (value, Place { key, value: value_at, inside })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(v)))
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Node, E> {
        Ok(Node::Leaf(v.into()))
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Node, E> {
        Ok(Node::Leaf(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Node, E> {
        let number = Number::from_f64(v).ok_or_else(|| E::custom("JSON has no number for infinity or NaN"))?;
        Ok(Node::Leaf(Value::Number(number)))
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<Node, E> {
        Ok(Node::Leaf(v.into()))
    }

    fn visit_string<E: de::Error>(self, v: String) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(v)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_knows_its_place_across_documents() {
        let text = "a: 1\nb:\n- x: yes\n---\n---\nc: [0644, {d: &k e}]\n'f/g': |\n  two\n  lines\n";
        let docs = parse(text).unwrap();
        assert_eq!(docs.len(), 2);
        assert_eq!(docs[0].value, json!({"a": 1, "b": [{"x": true}]}));
        assert_eq!(docs[1].value, json!({"c": [420, {"d": "e"}], "f/g": "two\nlines\n"}));
        let x = docs[0].place.nearest("/b/0/x");
        assert_eq!((x.key, x.value), (Pos { line: 3, column: 3 }, Pos { line: 3, column: 6 }));
        assert_eq!(docs[1].place.nearest("/c/1/d").key, Pos { line: 6, column: 12 });
        assert_eq!(docs[1].place.nearest("/f~1g").key.line, 7);
        assert_eq!(docs[1].place.nearest("/c/1/nope").key, docs[1].place.nearest("/c/1").key);
    }

    #[test]
    fn a_stream_of_json_objects_is_read_with_its_places() {
        let docs = parse("{\"a\": 1}\n{\"b\":\n {\"c\": [2]}} {\"d\": 3}\n").unwrap();
        let values: Vec<_> = docs.iter().map(|d| d.value.clone()).collect();
        assert_eq!(values, [json!({"a": 1}), json!({"b": {"c": [2]}}), json!({"d": 3})]);
        assert_eq!(docs[1].place.nearest("/b/c/0").value, Pos { line: 3, column: 9 });
        assert_eq!(docs[2].place.nearest("/d").key, Pos { line: 3, column: 15 });
    }

    #[test]
    fn a_key_written_twice_is_an_error_with_its_place() {
        let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(
            (error.what.as_str(), error.at),
            ("the key `a` is written twice in one mapping", Some(Pos { line: 3, column: 1 }))
        );
    }

    #[test]
    fn merge_keys_are_applied_and_bombs_are_refused() {
        let docs = parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap();
        assert_eq!(docs[0].value["use"], json!({"x": 1, "y": 2}));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for i in 1..10 {
            let prev = format!("*a{}", i - 1);
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![prev; 10].join(", "));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(1000)).is_err());
    }

    #[test]
    fn what_others_would_take_for_something_else_is_quoted() {
        let value = json!({"a": ["yes", "no", "y", "1_000", "=", "0x1f", "null", "~", "", " x ", "1e3", "012", "on", "a: b", "# c"]});
        let text = emit(&value);
        assert_eq!(parse(&text).unwrap()[0].value, value);
        for bare in ["- yes\n", "- no\n", "- 1_000\n", "- =\n", "- on\n", "- y\n"] {
            assert!(!text.contains(bare), "{bare:?} in {text}");
        }
    }
}
