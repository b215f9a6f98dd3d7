//! An object with its type: the fields it has, how two objects differ, merging one into another, taking fields out.
//! Pure. The rules are those of Kubernetes' structured-merge-diff 4.
//! One file: the four walks share their case analysis and are read against each other.

use serde_json::{Map as Object, Value};

use super::path::{Element, same};
use super::set::Set;
use crate::sandbox::api::schema::{Atom, Fit, List, Map, Merge, TypeId, Types};

/// A list or map of which nothing is there is a leaf: that keeps empty and absent apart.
fn list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value.and_then(Value::as_array)
}

fn map(value: Option<&Value>) -> Option<&Object<String, Value>> {
    value.and_then(Value::as_object)
}

/// The path element of a list's item.
pub(super) fn element(types: &Types, list: &List, item: &Value) -> Result<Element, String> {
    match &list.merge {
        Merge::Atomic => Err("invalid indexing of non-associative list".into()),
        Merge::Set => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => Ok(Element::Value(scalar.clone())),
        },
        Merge::Keys(keys) => {
            let fields = match item {
                Value::Object(fields) => fields,
                Value::Null => return Err("associative list with keys may not have a null element".into()),
                _ => return Err("associative list with keys may not have non-map elements".into()),
            };
            let mut key = Vec::with_capacity(keys.len());
            for name in keys {
                let default = || {
                    let map = types.atom(list.element).map.as_ref()?;
                    map.fields.get(name)?.default.as_ref()
                };
                let value = fields.get(name).or_else(default).ok_or_else(|| {
                    format!(
                        "associative list with keys has an element that omits key field {name:?} \
                         (and doesn't have default value)"
                    )
                })?;
                key.push((name.clone(), value.clone()));
            }
            key.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(Element::Key(key))
        }
    }
}

/// The path elements of a list, without those that have none.
fn elements<'v>(types: &Types, list: &List, items: Option<&'v Vec<Value>>) -> Vec<(Element, &'v Value)> {
    let items = items.into_iter().flatten();
    items.filter_map(|item| Some((element(types, list, item).ok()?, item))).collect()
}

/// Which alternatives of an atom two values are handled as: the right one last, and alone if both agree.
fn alternatives<'t>(atom: &'t Atom, lhs: Option<&Value>, rhs: Option<&Value>) -> (Option<Fit<'t>>, Fit<'t>) {
    let (left, right) = (atom.fitting(lhs), atom.fitting(rhs));
    let agree = || match (narrowed(atom, lhs), narrowed(atom, rhs)) {
        (true, true) => left.same(&right),
        (l, r) => l == r,
    };
    match (lhs, rhs) {
        (_, None) => (None, left),
        (None, _) => (None, right),
        _ if agree() => (None, right),
        _ => (Some(left), right),
    }
}

/// Whether a value picks one of an atom's alternatives, or the atom has but one.
fn narrowed(atom: &Atom, value: Option<&Value>) -> bool {
    let count = usize::from(atom.scalar.is_some()) + usize::from(atom.list.is_some()) + usize::from(atom.map.is_some());
    count == 1
        || match value {
            None | Some(Value::Null) => false,
            Some(Value::Array(_)) => atom.list.is_some(),
            Some(Value::Object(_)) => atom.map.is_some(),
            Some(_) => atom.scalar.is_some(),
        }
}

/// The fields that an object has.
pub(super) fn fields(types: &Types, id: TypeId, value: &Value) -> Set {
    below(types, Some(id), value).0
}

/// The fields below a value, and whether the value itself is one.
fn below(types: &Types, id: Option<TypeId>, value: &Value) -> (Set, bool) {
    let Some(id) = id else { return (Set::default(), false) };
    let mut set = Set::default();
    match types.atom(id).fitting(Some(value)) {
        Fit::Scalar(_) => return (set, true),
        Fit::List(List { merge: Merge::Atomic, .. }) | Fit::Map(Map { atomic: true, .. }) => return (set, true),
        Fit::List(list) => {
            let items = elements(types, list, value.as_array());
            for (i, (element, item)) in items.iter().enumerate() {
                set.members.insert(element.clone());
                let twice = items.iter().enumerate().any(|(j, (other, _))| i != j && other == element);
                if !twice {
                    set.attach(element, below(types, Some(list.element), item).0);
                }
            }
        }
        Fit::Map(map) => {
            for (key, inner) in value.as_object().into_iter().flatten() {
                let (fields, member) = below(types, map.type_of(key), inner);
                let bare = inner.is_null() || inner.as_object().is_some_and(Object::is_empty);
                let element = Element::Field(key.clone());
                set.attach(&element, fields);
                if member || bare || !map.fields.contains_key(key) {
                    set.members.insert(element);
                }
            }
        }
    }
    (set, false)
}

/// How two objects differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    /// In the left one alone.
    pub(super) removed: Set,
    /// In both, with other values.
    pub(super) modified: Set,
    /// In the right one alone.
    pub(super) added: Set,
}

/// What a comparison says of one place.
#[derive(Default)]
struct Here {
    below: Comparison,
    removed: bool,
    modified: bool,
    added: bool,
}

impl Here {
    fn into(self, element: &Element, outer: &mut Comparison) {
        let put = |member: bool, below: Set, set: &mut Set| {
            if member {
                set.members.insert(element.clone());
            }
            if !below.is_empty() {
                match set.children.get_mut(element) {
                    Some(there) => *there = there.union(&below),
                    None => drop(set.children.insert(element.clone(), below)),
                }
            }
        };
        put(self.removed, self.below.removed, &mut outer.removed);
        put(self.modified, self.below.modified, &mut outer.modified);
        put(self.added, self.below.added, &mut outer.added);
    }
}

/// How two objects differ.
pub(super) fn difference(types: &Types, id: TypeId, lhs: &Value, rhs: &Value) -> Comparison {
    differ(types, Some(id), Some(lhs), Some(rhs)).below
}

fn differ(types: &Types, id: Option<TypeId>, lhs: Option<&Value>, rhs: Option<&Value>) -> Here {
    let mut here = Here::default();
    let Some(id) = id else { return here };
    let (first, last) = alternatives(types.atom(id), lhs, rhs);
    if let Some(first) = first {
        differ_as(types, first, lhs, rhs, &mut here);
    }
    let leaf = differ_as(types, last, lhs, rhs, &mut here);
    if !leaf {
        here.added |= lhs.is_none();
        here.removed |= lhs.is_some() && rhs.is_none();
    }
    here
}

/// Compares two values as one kind of value; answers whether they are a leaf.
fn differ_as(types: &Types, fit: Fit<'_>, lhs: Option<&Value>, rhs: Option<&Value>, here: &mut Here) -> bool {
    let mut leaf = || {
        match (lhs, rhs) {
            (None, _) => here.added = true,
            (_, None) => here.removed = true,
            (Some(l), Some(r)) => here.modified |= !same(l, r),
        }
        true
    };
    match fit {
        Fit::Scalar(_) => leaf(),
        Fit::List(kind) => {
            let (l, r) = (list(lhs), list(rhs));
            if kind.merge == Merge::Atomic || (l.is_none_or(Vec::is_empty) && r.is_none_or(Vec::is_empty)) {
                return leaf();
            }
            differ_lists(types, kind, l, r, &mut here.below);
            false
        }
        Fit::Map(kind) => {
            let (l, r) = (map(lhs), map(rhs));
            if kind.atomic || (l.is_none_or(Object::is_empty) && r.is_none_or(Object::is_empty)) {
                return leaf();
            }
            let only_right = |key: &&String| l.is_none_or(|l| !l.contains_key(*key));
            let keys =
                l.into_iter().flat_map(Object::keys).chain(r.into_iter().flat_map(Object::keys).filter(only_right));
            for key in keys {
                let (l, r) = (l.and_then(|l| l.get(key)), r.and_then(|r| r.get(key)));
                differ(types, kind.type_of(key), l, r).into(&Element::Field(key.clone()), &mut here.below);
            }
            false
        }
    }
}

fn differ_lists(types: &Types, kind: &List, l: Option<&Vec<Value>>, r: Option<&Vec<Value>>, outer: &mut Comparison) {
    let (l, r) = (elements(types, kind, l), elements(types, kind, r));
    let mut seen: Vec<&Element> = Vec::with_capacity(l.len().max(r.len()));
    for (element, _) in l.iter().chain(&r) {
        if seen.contains(&element) {
            continue;
        }
        seen.push(element);
        let of = |side: &[(Element, &'_ Value)]| -> Vec<usize> {
            side.iter().enumerate().filter(|(_, (e, _))| e == element).map(|(i, _)| i).collect()
        };
        let (left, right) = (of(&l), of(&r));
        let first_left = left.first().map(|i| l[*i].1);
        let first_right = right.first().map(|i| r[*i].1);
        let item = |a: Option<&Value>, b: Option<&Value>, outer: &mut Comparison| {
            differ(types, Some(kind.element), a, b).into(element, outer);
        };
        match (left.len(), right.len()) {
            (0 | 1, 0 | 1) => item(first_left, first_right, outer),
            (2.., 2..) => {
                let equal = left.len() == right.len() && left.iter().zip(&right).all(|(a, b)| same(l[*a].1, r[*b].1));
                if !equal {
                    outer.modified.members.insert(element.clone());
                }
            }
            (2.., _) => {
                if first_right.is_some() {
                    item(None, first_right, outer);
                }
                outer.removed.members.insert(element.clone());
            }
            (_, 2..) => {
                if first_left.is_some() {
                    item(first_left, None, outer);
                }
                outer.added.members.insert(element.clone());
            }
        }
    }
}

/// Merges the right object into the left one: nothing is taken away, the right one wins.
///
/// # Errors
/// A list whose elements cannot be told apart.
pub(super) fn merge(types: &Types, id: TypeId, lhs: &Value, rhs: &Value) -> Result<Value, String> {
    Ok(merged(types, Some(id), Some(lhs), Some(rhs))?.unwrap_or(Value::Null))
}

fn merged(
    types: &Types,
    id: Option<TypeId>,
    lhs: Option<&Value>,
    rhs: Option<&Value>,
) -> Result<Option<Value>, String> {
    let keep = || Ok(rhs.or(lhs).cloned());
    let Some(id) = id else { return Ok(None) };
    if rhs.is_none() || lhs.is_none() {
        // Merging with nothing keeps the value, but for a list or map inside it that is left with nothing.
        return keep();
    }
    match alternatives(types.atom(id), lhs, rhs).1 {
        Fit::Scalar(_) => keep(),
        Fit::List(kind) => {
            let (l, r) = (list(lhs), list(rhs));
            if kind.merge == Merge::Atomic || (l.is_none_or(Vec::is_empty) && r.is_none_or(Vec::is_empty)) {
                return keep();
            }
            let items = merged_list(types, kind, l, r)?;
            Ok((!items.is_empty()).then_some(Value::Array(items)))
        }
        Fit::Map(kind) => {
            let (l, r) = (map(lhs), map(rhs));
            if kind.atomic || (l.is_none_or(Object::is_empty) && r.is_none_or(Object::is_empty)) {
                return keep();
            }
            let mut out = Object::new();
            let only_right = |key: &&String| l.is_none_or(|l| !l.contains_key(*key));
            let keys =
                l.into_iter().flat_map(Object::keys).chain(r.into_iter().flat_map(Object::keys).filter(only_right));
            for key in keys {
                let (l, r) = (l.and_then(|l| l.get(key)), r.and_then(|r| r.get(key)));
                if let Some(value) = merged(types, kind.type_of(key), l, r)? {
                    out.insert(key.clone(), value);
                }
            }
            Ok((!out.is_empty()).then_some(Value::Object(out)))
        }
    }
}

/// Lists of named things: the order of the right one holds for what is in it; what only the left one has stays between.
fn merged_list(
    types: &Types,
    kind: &List,
    l: Option<&Vec<Value>>,
    r: Option<&Vec<Value>>,
) -> Result<Vec<Value>, String> {
    let index = |items: Option<&Vec<Value>>| -> Result<Vec<(Element, Value)>, String> {
        let items = items.into_iter().flatten();
        items.map(|item| Ok((element(types, kind, item)?, item.clone()))).collect()
    };
    let (l, r) = (index(l)?, index(r)?);
    let find =
        |side: &[(Element, Value)], e: &Element| side.iter().find(|(other, _)| other == e).map(|(_, v)| v.clone());
    // Of an element that the left list has twice there is nothing to merge with.
    let left = |e: &Element| match l.iter().filter(|(other, _)| other == e).count() {
        0 => None,
        1 => find(&l, e),
        _ => Some(Value::Null),
    };
    if let Some((e, _)) = r.iter().enumerate().find(|(i, (e, _))| r[..*i].iter().any(|(o, _)| o == e)).map(|(_, x)| x) {
        return Err(format!("duplicate entries for key {e}"));
    }
    let mut shared = r.iter().map(|(e, _)| e).filter(|e| l.iter().any(|(o, _)| o == *e));
    let mut next = shared.next();
    let mut done: Vec<&Element> = Vec::new();
    let mut out = Vec::with_capacity(l.len().max(r.len()));
    let (mut li, mut ri) = (0, 0);
    let mut push = |a: Option<Value>, b: Option<&Value>| -> Result<(), String> {
        out.extend(merged(types, Some(kind.element), a.as_ref(), b)?);
        Ok(())
    };
    while li < l.len() || ri < r.len() {
        if li < l.len() && ri < r.len() {
            let e = &l[li].0;
            if *e == r[ri].0 {
                done.push(e);
                push(left(e), Some(&r[ri].1))?;
                (li, ri, next) = (li + 1, ri + 1, shared.next());
                continue;
            }
            if find(&r, e).is_some() && next.is_some_and(|next| next != e) {
                li += 1;
                continue;
            }
        }
        if li < l.len() {
            let e = &l[li].0;
            if find(&r, e).is_none() {
                push(Some(l[li].1.clone()), None)?;
                li += 1;
                continue;
            } else if done.contains(&e) {
                li += 1;
            }
        }
        if ri < r.len() {
            let e = &r[ri].0;
            done.push(e);
            push(left(e), Some(&r[ri].1))?;
            ri += 1;
            if next == Some(e) {
                next = shared.next();
            }
        }
    }
    Ok(out)
}

/// Takes fields out of an object. What is left with nothing in it becomes null.
pub(super) fn without(types: &Types, id: TypeId, value: &Value, gone: &Set) -> Value {
    without_below(types, Some(id), value, gone)
}

fn without_below(types: &Types, id: Option<TypeId>, value: &Value, gone: &Set) -> Value {
    let Some(id) = id else { return Value::Null };
    match types.atom(id).fitting(Some(value)) {
        Fit::Scalar(_) => value.clone(),
        Fit::List(List { merge: Merge::Atomic, .. }) | Fit::Map(Map { atomic: true, .. }) => Value::Null,
        Fit::List(list) => {
            let mut kept = Vec::new();
            for item in value.as_array().into_iter().flatten() {
                match element(types, list, item) {
                    Ok(e) if gone.members.contains(&e) => {}
                    Ok(e) => kept.push(match gone.children.get(&e).filter(|below| !below.is_empty()) {
                        Some(below) => without_below(types, Some(list.element), item, below),
                        None => item.clone(),
                    }),
                    Err(_) => kept.push(item.clone()),
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        Fit::Map(map) => {
            let mut kept = Object::new();
            for (key, inner) in value.as_object().into_iter().flatten() {
                let e = Element::Field(key.clone());
                if gone.members.contains(&e) {
                    continue;
                }
                let inner = match gone.children.get(&e).filter(|below| !below.is_empty()) {
                    Some(below) => without_below(types, map.type_of(key), inner, below),
                    None => inner.clone(),
                };
                kept.insert(key.clone(), inner);
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
    }
}
