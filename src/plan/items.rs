//! Named items in an atomic list of an object that may belong to somebody else: the routes of a VirtualService.
//! What comes in: the list as it is and our items. What goes out: the list as it will be.
//! May not know: clients. Order decides which route answers, so an item goes before the first foreign item that would
//! catch its requests (a user's `/`), and after everything more specific; foreign items keep their order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Annotation that records which items are ours: a JSON object from owner to item names.
pub const ITEMS_ANNOTATION: &str = "failctl.dev/items";

/// Owner → names of its items, as recorded on an object.
pub type Record = BTreeMap<String, BTreeSet<String>>;

/// The record an object carries; empty when there is none or it is not readable.
pub fn record(object: &Value) -> Record {
    let text = object.get("metadata").and_then(|m| m.get("annotations")).and_then(|a| a.get(ITEMS_ANNOTATION));
    text.and_then(Value::as_str).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// The record as the annotation's value; nothing when it is empty.
pub fn record_text(record: &Record) -> Option<String> {
    let kept: BTreeMap<_, _> = record.iter().filter(|(_, names)| !names.is_empty()).collect();
    if kept.is_empty() { None } else { serde_json::to_string(&kept).ok() }
}

/// Annotation that records to which sets of documents the owners of items belong: a JSON object from owner to set.
pub const SETS_ANNOTATION: &str = "failctl.dev/item-sets";

/// Owner → its set, as recorded on an object.
pub type Sets = BTreeMap<String, String>;

/// The sets an object records; empty when there is no record or it is not readable.
pub fn sets(object: &Value) -> Sets {
    let text = object.get("metadata").and_then(|m| m.get("annotations")).and_then(|a| a.get(SETS_ANNOTATION));
    text.and_then(Value::as_str).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// The sets of those owners that still have items, as the annotation's value; nothing when there are none.
pub fn sets_text(sets: &Sets, record: &Record) -> Option<String> {
    let has_items = |owner: &String| record.get(owner).is_some_and(|names| !names.is_empty());
    let kept: BTreeMap<_, _> = sets.iter().filter(|(owner, _)| has_items(owner)).collect();
    if kept.is_empty() { None } else { serde_json::to_string(&kept).ok() }
}

/// The owners of items that belong to a set.
pub fn owners_in(object: &Value, set: &str) -> BTreeSet<String> {
    let owners = record(object).into_keys();
    let sets = sets(object);
    owners.filter(|o| sets.get(o).is_some_and(|s| s == set)).collect()
}

/// The list at a path.
pub fn list<'a>(object: &'a Value, path: &[String]) -> &'a [Value] {
    let found = path.iter().try_fold(object, |o, p| o.get(p));
    found.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A merge patch that sets the value at a path.
pub fn patch_at(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, name| Value::Object(Map::from_iter([(name.clone(), inner)])))
}

/// The name of an item.
pub fn name_of<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str)
}

/// The list with our items in it: those there are replaced where they stand, new ones come last, and then each goes
/// before the first item that catches its requests; `gone` are taken out. Doing it again changes nothing.
pub fn placed(there: &[Value], ours: &[Value], key: &str, gone: &BTreeSet<String>) -> Vec<Value> {
    let named = |item: &Value, names: &BTreeSet<String>| name_of(item, key).is_some_and(|n| names.contains(n));
    let mine: BTreeSet<String> = ours.iter().filter_map(|i| name_of(i, key)).map(str::to_string).collect();
    let mut list: Vec<Value> = there.iter().filter(|i| !named(i, gone)).cloned().collect();
    for item in ours {
        match list.iter().position(|i| name_of(i, key).is_some() && name_of(i, key) == name_of(item, key)) {
            Some(at) => list[at] = item.clone(),
            None => list.push(item.clone()),
        }
    }
    // Every move brings one of ours before something more general, so this ends; the bound is for safety's sake.
    for _ in 0..=list.len() * ours.len() {
        let early = |at: usize| {
            let before = &list[..at];
            let item = &list[at];
            before.iter().position(|i| catches(i, item) && !(named(i, &mine) && catches(item, i)))
        };
        let misplaced = (0..list.len()).filter(|at| named(&list[*at], &mine)).find_map(|at| Some((at, early(at)?)));
        let Some((from, to)) = misplaced else { break };
        let item = list.remove(from);
        list.insert(to, item);
    }
    list
}

/// Whether every request `item` is meant for would already be answered by `earlier`: a plain prefix matcher (no
/// headers, methods or query) whose prefix all of the item's paths start with. No matcher at all means `/` (Gloo).
fn catches(earlier: &Value, item: &Value) -> bool {
    let paths = |i: &Value| -> Vec<String> {
        let matchers = i.get("matchers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if matchers.is_empty() {
            return vec!["/".into()];
        }
        let path = |m: &Value| ["prefix", "exact"].iter().find_map(|k| m.get(k)?.as_str().map(str::to_string));
        matchers.iter().map(|m| path(m).unwrap_or_default()).collect()
    };
    let matchers = earlier.get("matchers").and_then(Value::as_array).cloned().unwrap_or_default();
    let plain = |m: &Value| m.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("prefix"));
    let wanted = paths(item);
    let mut prefixes = matchers.iter().filter(|m| plain(m)).filter_map(|m| m["prefix"].as_str());
    matchers.is_empty() || prefixes.any(|p| wanted.iter().all(|w| w.starts_with(p)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route(name: &str, prefix: &str) -> Value {
        json!({"name": name, "matchers": [{"prefix": prefix}]})
    }

    fn names(list: &[Value]) -> Vec<&str> {
        list.iter().filter_map(|i| name_of(i, "name")).collect()
    }

    #[test]
    fn our_route_goes_before_the_users_catch_all_and_after_what_is_more_specific() {
        let there = [route("api", "/api"), route("all", "/")];
        let list = placed(&there, &[route("ours", "/")], "name", &BTreeSet::new());
        assert_eq!(names(&list), ["api", "ours", "all"]);
    }

    #[test]
    fn our_route_stays_where_it_stands_while_nothing_before_it_catches_its_requests() {
        let there = [route("ours", "/color"), route("api", "/api"), route("all", "/")];
        let list = placed(&there, &[route("ours", "/color")], "name", &BTreeSet::new());
        assert_eq!(list, there);
        let moved = [route("all", "/"), route("ours", "/color")];
        let list = placed(&moved, &[route("ours", "/color")], "name", &BTreeSet::new());
        assert_eq!(names(&list), ["ours", "all"]);
    }

    #[test]
    fn our_own_routes_keep_the_picky_before_the_general() {
        let safe = json!({"name": "safe", "matchers": [{"prefix": "/", "methods": ["GET"]}]});
        let ours = [route("all", "/"), route("api", "/api"), safe];
        let list = placed(&[route("all", "/")], &ours, "name", &BTreeSet::new());
        assert_eq!(names(&list), ["api", "safe", "all"]);
        assert_eq!(placed(&list, &ours, "name", &BTreeSet::new()), list);
    }

    #[test]
    fn two_of_ours_for_the_same_requests_stay_in_their_order() {
        let ours = [route("first", "/"), route("second", "/")];
        let list = placed(&[], &ours, "name", &BTreeSet::new());
        assert_eq!(names(&list), ["first", "second"]);
        assert_eq!(placed(&list, &ours, "name", &BTreeSet::new()), list);
    }

    #[test]
    fn a_route_that_asks_for_a_header_catches_nothing() {
        let picky = json!({"name": "picky", "matchers": [{"prefix": "/", "headers": [{"name": "x"}]}]});
        let list = placed(&[picky], &[route("ours", "/")], "name", &BTreeSet::new());
        assert_eq!(names(&list), ["picky", "ours"]);
    }
}
