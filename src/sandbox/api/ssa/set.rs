//! Sets of fields, as `managedFields` holds them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map as Object, Value};

use super::path::{Element, Path};
use crate::sandbox::api::schema::{TypeId, Types};

/// A set of paths. A path may be a member without its parents, and a parent without what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// The members at this level.
    pub members: BTreeSet<Element>,
    /// The members below each element of this level; never empty ones.
    pub children: BTreeMap<Element, Set>,
}

impl Set {
    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    /// Adds a path; the empty one is the whole object, which nobody owns.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Adds what is below an element, if there is anything.
    pub fn attach(&mut self, element: &Element, below: Set) {
        if !below.is_empty() {
            self.children.insert(element.clone(), below);
        }
    }

    /// Whether the path is a member.
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|below| below.has(rest)),
        }
    }

    /// What is in either.
    pub fn union(&self, other: &Set) -> Set {
        let mut all = self.clone();
        all.absorb(other);
        all
    }

    fn absorb(&mut self, other: &Set) {
        self.members.extend(other.members.iter().cloned());
        for (element, below) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.absorb(below),
                None => drop(self.children.insert(element.clone(), below.clone())),
            }
        }
    }

    /// What is in both.
    pub fn intersection(&self, other: &Set) -> Set {
        let mut both = Set { members: self.members.intersection(&other.members).cloned().collect(), ..Set::default() };
        for (element, below) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                both.attach(element, below.intersection(theirs));
            }
        }
        both
    }

    /// What is in this one alone. A parent in `other` takes nothing below it away.
    pub fn difference(&self, other: &Set) -> Set {
        let mut rest = Set { members: self.members.difference(&other.members).cloned().collect(), ..Set::default() };
        for (element, below) in &self.children {
            match other.children.get(element) {
                Some(theirs) => rest.attach(element, below.difference(theirs)),
                None => drop(rest.children.insert(element.clone(), below.clone())),
            }
        }
        rest
    }

    /// What is in this one alone; a member of `other` takes everything below it away too.
    pub fn recursive_difference(&self, other: &Set) -> Set {
        let mut rest = Set { members: self.members.difference(&other.members).cloned().collect(), ..Set::default() };
        for (element, below) in self.children.iter().filter(|(element, _)| !other.members.contains(element)) {
            match other.children.get(element) {
                Some(theirs) => rest.attach(element, below.recursive_difference(theirs)),
                None => drop(rest.children.insert(element.clone(), below.clone())),
            }
        }
        rest
    }

    /// Adds the named fields on the way to members: `a.b` makes `a` a member if `a` is a field of the type, not if it is
    /// the key of a map.
    pub fn with_named_fields(&self, types: &Types, id: Option<TypeId>) -> Set {
        let atom = id.map(|id| types.atom(id));
        let map = atom.and_then(|a| a.map.as_ref());
        let list = atom.and_then(|a| a.list.as_ref());
        let mut all = Set { members: self.members.clone(), ..Set::default() };
        for (element, below) in &self.children {
            let mut ty = None;
            match element {
                Element::Field(name) => {
                    if map.is_some_and(|m| m.fields.contains_key(name)) {
                        all.members.insert(element.clone());
                    }
                    ty = map.and_then(|m| m.type_of(name));
                }
                Element::Key(_) => ty = list.map(|l| l.element),
                _ => {}
            }
            all.children.insert(element.clone(), below.with_named_fields(types, ty));
        }
        all
    }

    /// Every member, parents before what is below them.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Path, found: &mut Vec<Path>) {
        for element in &self.members {
            found.push(prefix.iter().chain([element]).cloned().collect());
        }
        for (element, below) in &self.children {
            prefix.push(element.clone());
            below.collect(prefix, found);
            prefix.pop();
        }
    }

    /// Writes the set as `fieldsV1`.
    pub fn encode(&self) -> Value {
        Value::Object(self.encode_level(false))
    }

    fn encode_level(&self, member: bool) -> Object<String, Value> {
        let mut out = Object::new();
        if member && !(self.members.is_empty() && self.children.is_empty()) {
            out.insert(".".into(), Value::Object(Object::new()));
        }
        let levels: BTreeSet<&Element> = self.members.iter().chain(self.children.keys()).collect();
        for element in levels {
            let below = match self.children.get(element) {
                Some(below) => below.encode_level(self.members.contains(element)),
                None => Object::new(),
            };
            out.insert(element.encode(), Value::Object(below));
        }
        out
    }

    /// Reads `fieldsV1`.
    ///
    /// # Errors
    /// A key that is no path element.
    pub fn decode(fields: &Value) -> Result<Set, String> {
        Ok(Set::decode_level(fields)?.0)
    }

    /// The set below, and whether the element itself is a member.
    fn decode_level(fields: &Value) -> Result<(Set, bool), String> {
        let (mut set, mut member, mut empty) = (Set::default(), false, true);
        for (key, below) in fields.as_object().into_iter().flatten() {
            if key == "." {
                member = true;
                continue;
            }
            let Some(element) = Element::parse(key)? else { continue };
            let (below, below_is_member) = Set::decode_level(below)?;
            empty = false;
            if !below.members.is_empty() || !below.children.is_empty() {
                set.children.insert(element.clone(), below);
            }
            if below_is_member {
                set.members.insert(element);
            }
        }
        Ok((set, member || empty))
    }
}
