//! The built-in kinds: `builtin.txt`, read once. Pure.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::types::{Atom, Empty, Field, Form, List, Map, Merge, Patch, Scalar, TypeId, Types, Wire};

/// The table, read.
#[derive(Debug)]
pub struct Table {
    /// The types.
    pub types: Arc<Types>,
    kinds: BTreeMap<(String, String, String), TypeId>,
    names: BTreeMap<String, TypeId>,
}

impl Table {
    /// The type of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        self.kinds.get(&(group.to_owned(), version.to_owned(), kind.to_owned())).copied()
    }

    /// A type by its name: `meta.v1.ObjectMeta`.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied()
    }
}

/// The table of built-in kinds.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| read(include_str!("builtin.txt")))
}

/// Reads the table. It is part of the program, so a malformed line is a defect.
fn read(text: &str) -> Table {
    let mut types = Types::new();
    let mut names = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("type ").and_then(|l| l.split_whitespace().next()) {
            names.insert(name.to_owned(), types.add(Some(name), Atom::default()));
        }
    }
    let mut scalars = Known { names, ..Known::default() };
    let mut kinds = BTreeMap::new();
    let mut open: Option<(TypeId, Map)> = None;
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(field) = line.strip_prefix(' ') {
            let (_, map) = open.as_mut().expect("a field line follows a type line");
            let (name, field) = scalars.field(&mut types, field);
            map.fields.insert(name, field);
        } else {
            close(&mut types, open.take());
            match words.as_slice() {
                ["kind", group, version, kind, name] => {
                    let group = if *group == "-" { "" } else { group };
                    kinds.insert((group.into(), (*version).into(), (*kind).into()), scalars.names[*name]);
                }
                ["type", name, flags @ ..] => {
                    let map = Map { atomic: flags.contains(&"atomic"), closed: true, ..Map::default() };
                    open = Some((scalars.names[*name], map));
                }
                other => panic!("builtin.txt: {other:?}"),
            }
        }
    }
    close(&mut types, open);
    lift_embedded(&mut types, scalars.names.values().copied());
    Table { types: Arc::new(types), kinds, names: scalars.names }
}

/// Ends a type: one without fields is a free-form object.
fn close(types: &mut Types, open: Option<(TypeId, Map)>) {
    if let Some((id, mut map)) = open {
        if map.fields.is_empty() {
            map.element = Some(Types::DEDUCED);
            map.closed = false;
        }
        types.set(id, Atom { map: Some(map), ..Atom::default() });
    }
}

/// Copies the fields of embedded structs to the outer level, where JSON has them; they keep no wire number there.
fn lift_embedded(types: &mut Types, all: impl Iterator<Item = TypeId>) {
    for id in all {
        let Some(map) = &types.atom(id).map else { continue };
        let embedded: Vec<TypeId> =
            map.fields.values().filter(|f| f.wire.is_some_and(|w| w.embedded)).map(|f| f.ty).collect();
        let mut map = map.clone();
        for inner in embedded {
            let inner = types.atom(inner).map.clone().unwrap_or_default();
            for (name, field) in inner.fields {
                map.fields.entry(name).or_insert(Field { wire: None, ..field });
            }
        }
        types.set(id, Atom { map: Some(map), ..Atom::default() });
    }
}

/// How a type whose JSON is not its protobuf message travels.
fn form(ty: &str) -> Form {
    match ty.trim_start_matches("[]").trim_start_matches("map:") {
        "intstr" => Form::IntOrString,
        "json" | "raw" | "fields" => Form::Json,
        "any" => Form::Unknown,
        "list" => Form::Items,
        _ => Form::Plain,
    }
}

/// Types made so far: scalars and named ones.
#[derive(Default)]
struct Known {
    names: BTreeMap<String, TypeId>,
    inline: BTreeMap<String, TypeId>,
}

impl Known {
    /// One field line: `name number type flags…`.
    fn field(&mut self, types: &mut Types, line: &str) -> (String, Field) {
        let (head, default) = match line.split_once(" default=") {
            Some((head, rest)) => {
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter();
                let default = stream.next().and_then(Result::ok).expect("builtin.txt: a default is JSON");
                (format!("{head}{}", &rest[stream.byte_offset()..]), Some(default))
            }
            None => (line.to_owned(), None),
        };
        let mut words = head.split_whitespace();
        let (Some(name), Some(number), Some(ty)) = (words.next(), words.next(), words.next()) else {
            panic!("builtin.txt: {line:?}");
        };
        let flags: Vec<&str> = words.collect();
        let value = |key: &str| flags.iter().find_map(|f| f.strip_prefix(key));
        let strategy = value("patch=").unwrap_or_default();
        let patch = Patch {
            merge: strategy.contains("merge"),
            retain_keys: strategy.contains("retainKeys"),
            key: value("merge=").map(str::to_owned),
        };
        let empty = match () {
            () if flags.contains(&"always") => Empty::Always,
            () if flags.contains(&"null") => Empty::Null,
            () if flags.contains(&"omit") => Empty::Omit,
            () if flags.contains(&"struct") => Empty::Struct,
            () => Empty::Pointer,
        };
        let merge = match value("keys=") {
            Some(keys) => Merge::Keys(keys.split(',').map(str::to_owned).collect()),
            None if flags.contains(&"set") => Merge::Set,
            None if patch.merge && !flags.contains(&"list=atomic") => {
                patch.key.clone().map_or(Merge::Set, |key| Merge::Keys(vec![key]))
            }
            None => Merge::Atomic,
        };
        let wire = Wire {
            number: number.parse().expect("builtin.txt: a field number"),
            embedded: name.starts_with('~'),
            form: form(ty),
        };
        let ty = self.ty(types, ty, &merge, flags.contains(&"atomic"));
        let required = flags.contains(&"required");
        (name.to_owned(), Field { ty, default, required, patch, empty, wire: Some(wire) })
    }

    /// A type expression: a scalar, `list`, a name, `[]T` or `map:T`.
    fn ty(&mut self, types: &mut Types, text: &str, merge: &Merge, atomic: bool) -> TypeId {
        if let Some(element) = text.strip_prefix("[]") {
            let element = self.ty(types, element, &Merge::Atomic, false);
            let key = format!("{text} {merge:?}");
            return *self.inline.entry(key).or_insert_with(|| {
                types.add(None, Atom { list: Some(List { element, merge: merge.clone() }), ..Atom::default() })
            });
        }
        if let Some(element) = text.strip_prefix("map:") {
            let element = self.ty(types, element, &Merge::Atomic, false);
            let key = format!("{text} {atomic}");
            return *self.inline.entry(key).or_insert_with(|| {
                let map = Map { element: Some(element), atomic, ..Map::default() };
                types.add(None, Atom { map: Some(map), ..Atom::default() })
            });
        }
        if let Some(id) = self.names.get(text) {
            return *id;
        }
        match text {
            "json" | "any" | "intstr" => Types::DEDUCED,
            "raw" => Types::UNTYPED,
            "list" => self.ty(types, "[]string", &Merge::Atomic, false),
            _ => self.scalar(types, text),
        }
    }

    /// A scalar, or the free-form object of `managedFields`.
    fn scalar(&mut self, types: &mut Types, text: &str) -> TypeId {
        *self.inline.entry(text.to_owned()).or_insert_with(|| {
            let kind = match text {
                "string" => Scalar::String,
                "bytes" => Scalar::Bytes,
                "int32" | "uint32" => Scalar::Int32,
                "int64" => Scalar::Int64,
                "double" => Scalar::Double,
                "bool" => Scalar::Bool,
                "quantity" => Scalar::Quantity,
                "time" => Scalar::Time,
                "microtime" => Scalar::MicroTime,
                "duration" => Scalar::Duration,
                "fields" => {
                    let map = Map { element: Some(Types::DEDUCED), ..Map::default() };
                    return types.add(Some("meta.v1.FieldsV1"), Atom { map: Some(map), ..Atom::default() });
                }
                other => panic!("builtin.txt: unknown type {other}"),
            };
            types.add(None, Atom::scalar(kind))
        })
    }
}
