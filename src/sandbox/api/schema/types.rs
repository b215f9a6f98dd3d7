//! The graph of types that a [`super::Shape`] is a root of. Pure.
//!
//! An [`Atom`] may be a scalar, a list, a map, or several of them (a field without a declared type). What server-side
//! apply needs of it follows the atoms of structured-merge-diff; the rest (wire numbers, patch strategies, what Go leaves
//! out) stands beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// An index into [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// A graph of types; may be cyclic.
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// Each type and, for a named one, its name (`core.v1.Pod`).
    atoms: Vec<(Option<Arc<str>>, Atom)>,
}

/// What a value of a type may be.
#[derive(Clone, Debug, Default)]
pub struct Atom {
    /// It may be a scalar of this kind.
    pub scalar: Option<Scalar>,
    /// It may be a list.
    pub list: Option<List>,
    /// It may be a map or an object.
    pub map: Option<Map>,
}

/// Kinds of scalars, by their JSON and wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    String,
    /// Bytes: base64 in JSON.
    Bytes,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A number.
    Double,
    /// A boolean.
    Bool,
    /// `100m`, `2Gi`: any scalar.
    Quantity,
    /// An RFC 3339 time.
    Time,
    /// An RFC 3339 time with microseconds.
    MicroTime,
    /// A Go duration as a string.
    Duration,
    /// Any scalar.
    Any,
}

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// The type of its elements.
    pub element: TypeId,
    /// How two lists merge.
    pub merge: Merge,
}

/// How two lists merge under server-side apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// One value as a whole.
    Atomic,
    /// A set of scalars.
    Set,
    /// Objects known by these fields.
    Keys(Vec<String>),
}

/// An object with named fields, or a map.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// The named fields.
    pub fields: BTreeMap<String, Field>,
    /// The type of every other key; `None` if there can be none.
    pub element: Option<TypeId>,
    /// One value as a whole under server-side apply.
    pub atomic: bool,
    /// Keys without a named field are dropped from stored objects although `element` may say how they would merge.
    pub closed: bool,
}

/// A named field of an object.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its type.
    pub ty: TypeId,
    /// The default in the published schema: it stands in for a missing list-map key.
    pub default: Option<Value>,
    /// Whether the schema requires it.
    pub required: bool,
    /// How a strategic merge patch treats it.
    pub patch: Patch,
    /// What Go writes when it is empty.
    pub empty: Empty,
    /// Its place in the protobuf message.
    pub wire: Option<Wire>,
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Lists are merged rather than replaced.
    pub merge: bool,
    /// Fields that the patch does not retain are cleared.
    pub retain_keys: bool,
    /// Elements of a merged list are known by this field; none: scalars.
    pub key: Option<String>,
}

/// What a Go server writes for an empty field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// A pointer: absent or as given.
    #[default]
    Pointer,
    /// Leaves it out.
    Omit,
    /// Writes the empty value of its type.
    Always,
    /// Writes null.
    Null,
    /// A struct or a time: written though empty (`{}`, `null`).
    Struct,
}

/// A field's place in its protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The field number.
    pub number: u32,
    /// The fields of the message stand at the outer level in JSON.
    pub embedded: bool,
    /// How a value whose JSON differs from its message travels.
    pub form: Form,
}

/// How a value travels in protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As its JSON type says: a scalar, a time, a message.
    Plain,
    /// A message that holds an integer or a string.
    IntOrString,
    /// A message that holds JSON text.
    Json,
    /// A message that holds a list of strings.
    Items,
    /// Not decoded: no client sends it.
    Unknown,
}

impl Atom {
    /// A scalar and nothing else.
    pub fn scalar(kind: Scalar) -> Atom {
        Atom { scalar: Some(kind), ..Atom::default() }
    }

    /// The one alternative that fits the value, as structured-merge-diff deduces it; all of them if none does.
    pub fn fitting(&self, value: Option<&Value>) -> Fit<'_> {
        let narrowed = match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => self.scalar.map(Fit::Scalar),
            Some(Value::Array(_)) => self.list.as_ref().map(Fit::List),
            Some(Value::Object(_)) => self.map.as_ref().map(Fit::Map),
            Some(Value::Null) | None => None,
        };
        narrowed.unwrap_or_else(|| self.first())
    }

    /// Map before scalar before list.
    fn first(&self) -> Fit<'_> {
        match self {
            Atom { map: Some(map), .. } => Fit::Map(map),
            Atom { scalar: Some(kind), .. } => Fit::Scalar(*kind),
            Atom { list: Some(list), .. } => Fit::List(list),
            _ => Fit::Scalar(Scalar::Any),
        }
    }
}

/// An [`Atom`] narrowed to one alternative.
#[derive(Clone, Copy, Debug)]
pub enum Fit<'a> {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(&'a List),
    /// A map or an object.
    Map(&'a Map),
}

impl Fit<'_> {
    /// Whether both are the same alternative.
    pub fn same(&self, other: &Fit<'_>) -> bool {
        matches!(
            (self, other),
            (Fit::Scalar(_), Fit::Scalar(_)) | (Fit::List(_), Fit::List(_)) | (Fit::Map(_), Fit::Map(_))
        )
    }
}

impl Types {
    /// The type free of any schema: maps granular, lists atomic. Every graph holds it at index 0.
    pub const DEDUCED: TypeId = TypeId(0);
    /// The type free of any schema whose maps are atomic too. Every graph holds it at index 1.
    pub const UNTYPED: TypeId = TypeId(1);

    /// A graph with the two types that every graph holds.
    pub fn new() -> Types {
        let list = List { element: Self::UNTYPED, merge: Merge::Atomic };
        let any = |element, atomic| Atom {
            scalar: Some(Scalar::Any),
            list: Some(list.clone()),
            map: Some(Map { element: Some(element), atomic, ..Map::default() }),
        };
        Types { atoms: vec![(None, any(Self::DEDUCED, false)), (None, any(Self::UNTYPED, true))] }
    }

    /// The atom of a type.
    pub fn atom(&self, id: TypeId) -> &Atom {
        &self.atoms[id.0 as usize].1
    }

    /// The name of a named type.
    pub fn name(&self, id: TypeId) -> Option<&str> {
        self.atoms[id.0 as usize].0.as_deref()
    }

    /// Adds a type.
    pub fn add(&mut self, name: Option<&str>, atom: Atom) -> TypeId {
        self.atoms.push((name.map(Arc::from), atom));
        TypeId(u32::try_from(self.atoms.len() - 1).expect("a schema has fewer than 2^32 types"))
    }

    /// Fills in a type that was added before its fields were known.
    pub fn set(&mut self, id: TypeId, atom: Atom) {
        self.atoms[id.0 as usize].1 = atom;
    }

    /// Copies a type of another graph, with everything it refers to, into this one.
    pub fn import(&mut self, from: &Types, id: TypeId) -> TypeId {
        self.import_into(
            from,
            id,
            &mut BTreeMap::from([(Self::DEDUCED, Self::DEDUCED), (Self::UNTYPED, Self::UNTYPED)]),
        )
    }

    fn import_into(&mut self, from: &Types, id: TypeId, seen: &mut BTreeMap<TypeId, TypeId>) -> TypeId {
        if let Some(known) = seen.get(&id) {
            return *known;
        }
        let here = self.add(from.name(id), Atom::default());
        seen.insert(id, here);
        let mut atom = from.atom(id).clone();
        if let Some(list) = &mut atom.list {
            list.element = self.import_into(from, list.element, seen);
        }
        if let Some(map) = &mut atom.map {
            map.element = map.element.map(|e| self.import_into(from, e, seen));
            for field in map.fields.values_mut() {
                field.ty = self.import_into(from, field.ty, seen);
            }
        }
        self.set(here, atom);
        here
    }
}

impl Map {
    /// The type of a key, named or not.
    pub fn type_of(&self, key: &str) -> Option<TypeId> {
        self.fields.get(key).map(|f| f.ty).or(self.element)
    }
}
