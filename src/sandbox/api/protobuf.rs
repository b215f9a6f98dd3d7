//! The protobuf bodies that `kubectl` sends: bytes in, JSON objects out. Pure.
//!
//! A body is `k8s\0` and an envelope that names the kind and holds the object's message. One decoder reads every kind: the
//! field numbers and types stand in the table of [`super::schema`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as Object, Value, json};

use super::schema::types::Wire;
use super::schema::{Atom, Field, Fit, Form, Map, Scalar, Shape, TypeId, Types};

const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the envelope of a Kubernetes object.
    #[error("the body is no Kubernetes protobuf message")]
    NotKubernetes,
    /// The bytes end early or break the encoding.
    #[error("the protobuf message is cut short or malformed")]
    Malformed,
    /// A kind that is not in the table.
    #[error("no kind {kind:?} in version {api_version:?} is known in protobuf; send JSON")]
    UnknownKind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// A field whose message has no JSON form here.
    #[error("field {0} cannot be read from protobuf; send JSON")]
    UnknownForm(String),
}

/// Bytes as JSON has them.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Whether a body is protobuf.
pub fn is(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Reads a body into the object it holds, with its `apiVersion` and `kind`.
///
/// # Errors
/// See [`Error`].
pub fn decode(body: &[u8]) -> Result<Value, Error> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Error::NotKubernetes)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for item in Items(envelope) {
        match item? {
            (1, Item::Bytes(meta)) => {
                for item in Items(meta) {
                    match item? {
                        (1, Item::Bytes(text)) => api_version = string(text),
                        (2, Item::Bytes(text)) => kind = string(text),
                        _ => {}
                    }
                }
            }
            (2, Item::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let shape = match kind.as_str() {
        "DeleteOptions" => Shape::builtin("meta.k8s.io", "v1", "DeleteOptions"),
        _ => Shape::builtin(group, version, &kind),
    };
    let Some(shape) = shape else { return Err(Error::UnknownKind { api_version, kind }) };
    let Some(root) = &shape.types().atom(shape.root()).map else {
        return Err(Error::UnknownKind { api_version, kind });
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind});
    if let Some(fields) = object.as_object_mut() {
        fields.extend(message(shape.types(), root, raw)?);
    }
    shape.prune(&mut object);
    Ok(object)
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One field of a message as it stands on the wire.
enum Item<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Error::Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Malformed)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self, count: usize) -> Result<u64, Error> {
        Ok(self.take(count)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn read(&mut self) -> Result<(u32, Item<'a>), Error> {
        let tag = self.varint()?;
        let item = match tag & 7 {
            0 => Item::Number(self.varint()?),
            1 => Item::Number(self.fixed(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::Malformed)?;
                Item::Bytes(self.take(length)?)
            }
            5 => Item::Number(self.fixed(4)?),
            _ => return Err(Error::Malformed),
        };
        Ok((u32::try_from(tag >> 3).map_err(|_| Error::Malformed)?, item))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u32, Item<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

type Numbers = Vec<(u32, u64)>;
type Texts<'a> = Vec<(u32, &'a [u8])>;

/// The numbers and byte strings of a small message whose fields are known by number alone.
fn plain(bytes: &[u8]) -> Result<(Numbers, Texts<'_>), Error> {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for item in Items(bytes) {
        match item? {
            (at, Item::Number(number)) => numbers.push((at, number)),
            (at, Item::Bytes(text)) => texts.push((at, text)),
        }
    }
    Ok((numbers, texts))
}

fn number(numbers: &[(u32, u64)], at: u32) -> i64 {
    // Negative numbers travel as their two's complement.
    numbers.iter().find(|(n, _)| *n == at).map_or(0, |(_, value)| value.cast_signed())
}

fn message(types: &Types, map: &Map, bytes: &[u8]) -> Result<Object<String, Value>, Error> {
    let mut object = Object::new();
    for item in Items(bytes) {
        let (at, item) = item?;
        let found = map.fields.iter().find_map(|(name, field)| {
            let wire = field.wire.filter(|wire| wire.number == at && at != 0)?;
            Some((name, field, wire))
        });
        let Some((name, field, wire)) = found else { continue };
        if wire.embedded {
            if let (Item::Bytes(bytes), Some(inner)) = (item, &types.atom(field.ty).map) {
                object.extend(message(types, inner, bytes)?);
            }
            continue;
        }
        put(types, &mut object, name, field, wire, item)?;
    }
    Ok(object)
}

/// Puts one wire item into its JSON field: lists and maps grow by one.
fn put(
    types: &Types,
    object: &mut Object<String, Value>,
    name: &str,
    field: &Field,
    wire: Wire,
    item: Item<'_>,
) -> Result<(), Error> {
    let atom = types.atom(field.ty);
    let listed = wire.form != Form::Items && atom.list.is_some() && atom.map.is_none();
    let mapped = atom.map.as_ref().filter(|m| m.fields.is_empty() && wire.form == Form::Plain);
    let entries = mapped.and_then(|m| m.element);
    match (item, &atom.list, entries) {
        (item, Some(list), _) if listed => {
            let one = value(types, list.element, wire.form, name, item)?;
            let items = object.entry(name).or_insert_with(|| json!([]));
            items.as_array_mut().ok_or(Error::Malformed)?.push(one);
        }
        (Item::Bytes(entry), _, Some(element)) if element != Types::DEDUCED => {
            let (mut key, mut inner) = (String::new(), Value::Null);
            for item in Items(entry) {
                match item? {
                    (1, Item::Bytes(text)) => key = string(text),
                    (2, item) => inner = value(types, element, wire.form, name, item)?,
                    _ => {}
                }
            }
            if inner.is_null()
                && matches!(types.atom(element).fitting(None), Fit::Scalar(Scalar::String | Scalar::Bytes))
            {
                inner = json!("");
            }
            let fields = object.entry(name).or_insert_with(|| json!({}));
            fields.as_object_mut().ok_or(Error::Malformed)?.insert(key, inner);
        }
        (item, _, _) => {
            let one = value(types, field.ty, wire.form, name, item)?;
            object.insert(name.to_owned(), one);
        }
    }
    Ok(())
}

fn value(types: &Types, id: TypeId, form: Form, name: &str, item: Item<'_>) -> Result<Value, Error> {
    match (form, item) {
        (Form::Plain, item) => match types.atom(id) {
            Atom { scalar: Some(kind), map: None, .. } => scalar(*kind, item),
            Atom { map: Some(map), .. } => match item {
                Item::Bytes(bytes) => message(types, map, bytes).map(Value::Object),
                Item::Number(_) => Err(Error::Malformed),
            },
            _ => Err(Error::UnknownForm(name.to_owned())),
        },
        (Form::IntOrString, Item::Bytes(bytes)) => {
            let (numbers, texts) = plain(bytes)?;
            let text = texts.iter().find(|(at, _)| *at == 3).map(|(_, text)| string(text)).unwrap_or_default();
            Ok(if number(&numbers, 1) == 0 { json!(number(&numbers, 2)) } else { json!(text) })
        }
        (Form::Json, Item::Bytes(bytes)) => {
            let (_, texts) = plain(bytes)?;
            let raw = texts.iter().find(|(at, _)| *at == 1).map_or(&b"null"[..], |(_, text)| text);
            serde_json::from_slice(raw).map_err(|_| Error::Malformed)
        }
        (Form::Items, Item::Bytes(bytes)) => {
            let (_, texts) = plain(bytes)?;
            Ok(texts.iter().filter(|(at, _)| *at == 1).map(|(_, text)| json!(string(text))).collect())
        }
        _ => Err(Error::UnknownForm(name.to_owned())),
    }
}

fn scalar(kind: Scalar, item: Item<'_>) -> Result<Value, Error> {
    Ok(match (kind, item) {
        (Scalar::String, Item::Bytes(text)) => json!(string(text)),
        (Scalar::Bytes, Item::Bytes(bytes)) => json!(base64(bytes)),
        (Scalar::Bool, Item::Number(number)) => json!(number != 0),
        (Scalar::Int32 | Scalar::Int64, Item::Number(number)) => json!(number.cast_signed()),
        (Scalar::Double, Item::Number(bits)) => json!(f64::from_bits(bits)),
        (Scalar::Quantity, Item::Bytes(bytes)) => {
            let (_, texts) = plain(bytes)?;
            texts.first().map_or(Value::Null, |(_, text)| json!(string(text)))
        }
        (Scalar::Time | Scalar::MicroTime, Item::Bytes(bytes)) => time(kind, bytes)?,
        (Scalar::Duration, Item::Bytes(bytes)) => {
            let (numbers, _) = plain(bytes)?;
            json!(format!("{}ns", number(&numbers, 1)))
        }
        _ => return Err(Error::Malformed),
    })
}

/// Seconds and nanoseconds; an empty message is no time.
fn time(kind: Scalar, bytes: &[u8]) -> Result<Value, Error> {
    let (numbers, _) = plain(bytes)?;
    if numbers.is_empty() {
        return Ok(Value::Null);
    }
    let nanoseconds = i32::try_from(number(&numbers, 2)).map_err(|_| Error::Malformed)?;
    let at = jiff::Timestamp::new(number(&numbers, 1), nanoseconds).map_err(|_| Error::Malformed)?;
    let format = if kind == Scalar::MicroTime { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(json!(at.strftime(format).to_string()))
}
