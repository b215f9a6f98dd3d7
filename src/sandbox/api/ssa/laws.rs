//! Laws of server-side apply on random objects of a schema with every kind of list and map, and the well-known cases.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema() -> Value {
    let scalar = json!({"type": "string"});
    let named = |merge: Value| {
        let mut list = json!({"type": "array", "items": {"type": "object", "properties": {
            "name": scalar, "port": {"type": "integer", "default": 80}, "note": scalar}}});
        list.as_object_mut().unwrap().extend(merge.as_object().unwrap().clone());
        list
    };
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "integer"},
        "text": scalar,
        "labels": {"type": "object", "additionalProperties": scalar},
        "selector": {"type": "object", "additionalProperties": scalar, "x-kubernetes-map-type": "atomic"},
        "plain": {"type": "array", "items": scalar},
        "set": {"type": "array", "items": scalar, "x-kubernetes-list-type": "set"},
        "named": named(json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"]})),
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
}

fn shape() -> Shape {
    Shape::custom(Some(&schema()))
}

fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, api_version: "test/v1", subresource: "", time: "2026-01-01T00:00:00Z", reset: Reset::Status }
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "test/v1", "kind": "Test", "metadata": {"name": "t"}, "spec": spec})
}

fn apply_as(manager: &str, live: Option<&Value>, spec: &Value, force: bool) -> Result<Value, Refused> {
    apply(&shape(), live, &object(spec.clone()), &writer(manager), force)
}

/// Applies an object with nothing in it: the manager wants nothing any more.
fn release(manager: &str, live: &Value) -> Value {
    let mut body = object(json!({}));
    body.as_object_mut().unwrap().shift_remove("spec");
    apply(&shape(), Some(live), &body, &writer(manager), false).unwrap()
}

/// The fields that a manager owns.
fn owned(object: &Value, manager: &str) -> Set {
    let all = managers::decode(managers::raw(object)).unwrap();
    let mine = all.iter().filter(|(who, _)| who.name == manager);
    mine.fold(Set::default(), |set, (_, owned)| set.union(&owned.set))
}

fn wanted(spec: &Value) -> Set {
    typed::fields(shape().types(), shape().root(), &object(spec.clone())).difference(never_owned())
}

/// A spec over a small vocabulary, so that managers meet.
fn spec() -> impl Strategy<Value = Value> {
    let word = || prop_oneof![Just("a"), Just("b"), Just("c")];
    let words = move || prop::collection::btree_map(word(), word(), 0..3);
    let set = prop::collection::btree_set(word(), 0..3);
    let named = prop::collection::btree_map((word(), prop::option::of(80..82)), prop::option::of(word()), 0..3);
    let free = prop_oneof![
        words().prop_map(|m| json!(m)),
        (word(), words()).prop_map(|(k, m)| json!({"deep": {k: m}, "list": [k]})),
    ];
    let lists = (prop::collection::vec(word(), 0..3), set, named);
    let parts = (0..3i64, word(), words(), words(), lists, free);
    (parts, any::<[bool; 8]>()).prop_map(|((size, text, labels, selector, (plain, set, named), free), keep)| {
        // The key (a, none) means (a, 80): such a pair in one list is a duplicate.
        let mut keys = std::collections::BTreeSet::new();
        let named: Vec<Value> = named
            .into_iter()
            .filter(|((name, port), _)| keys.insert((*name, port.unwrap_or(80))))
            .map(|((name, port), note)| {
                let mut item = json!({"name": name});
                if let Some(port) = port {
                    item["port"] = json!(port);
                }
                if let Some(note) = note {
                    item["note"] = json!(note);
                }
                item
            })
            .collect();
        let all = json!({"size": size, "text": text, "labels": labels, "selector": selector, "plain": plain,
            "set": set, "named": named, "free": free});
        let fields = all.as_object().unwrap().clone().into_iter().zip(keep).filter(|(_, keep)| *keep);
        // Nobody owns an empty set or an empty list of named things, so laws of ownership do not speak of them.
        let empty = |(name, value): &(String, Value)| ["set", "named"].contains(&name.as_str()) && *value == json!([]);
        Value::Object(fields.map(|(field, _)| field).filter(|field| !empty(field)).collect())
    })
}

/// Whether everything in `part` is in `whole` with the same value.
fn holds(whole: &Value, part: &Value) -> bool {
    let (types, root) = (shape().types().clone(), shape().root());
    let difference = typed::difference(&types, root, &object(part.clone()), whole);
    difference.removed.difference(never_owned()).is_empty() && difference.modified.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn applying_twice_changes_nothing(a in spec(), b in spec()) {
        let first = apply_as("one", None, &a, false).unwrap();
        let both = apply_as("two", Some(&first), &b, true).unwrap();
        let again = apply_as("two", Some(&both), &b, false).unwrap();
        prop_assert_eq!(again, both);
    }

    #[test]
    fn a_manager_owns_what_it_applies_and_the_object_holds_it(a in spec(), b in spec()) {
        let first = apply_as("one", None, &a, false).unwrap();
        let both = apply_as("two", Some(&first), &b, true).unwrap();
        prop_assert_eq!(owned(&both, "two"), wanted(&b));
        prop_assert!(holds(&both, &b), "{} does not hold {}", both, b);
    }

    #[test]
    fn force_never_conflicts_and_without_it_only_differences_do(a in spec(), b in spec()) {
        let first = apply_as("one", None, &a, false).unwrap();
        let forced = apply_as("two", Some(&first), &b, true).unwrap();
        match apply_as("two", Some(&first), &b, false) {
            Ok(polite) => prop_assert_eq!(polite, forced),
            Err(Refused::Conflicts(conflicts)) => {
                prop_assert!(!conflicts.is_empty());
                prop_assert!(!holds(&first, &b));
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn what_a_manager_no_longer_applies_is_gone_unless_others_own_it(a in spec(), b in spec()) {
        let first = apply_as("one", None, &a, false).unwrap();
        let both = apply_as("two", Some(&first), &b, true).unwrap();
        let left = release("two", &both);
        prop_assert!(owned(&left, "two").is_empty());
        let present = typed::fields(shape().types(), shape().root(), &left).difference(never_owned());
        let abandoned = wanted(&b).difference(&owned(&both, "one"));
        let still = present.intersection(&abandoned);
        // A parent of something that the other manager owns stays with it.
        let parents = still.paths().into_iter().filter(|path| {
            let below = owned(&both, "one").paths();
            !below.iter().any(|p| p.len() > path.len() && p.starts_with(path))
        });
        prop_assert_eq!(parents.count(), 0);
    }

    #[test]
    fn managers_of_different_fields_commute(a in spec(), b in spec()) {
        let mut b = b;
        for key in a.as_object().unwrap().keys() {
            b.as_object_mut().unwrap().shift_remove(key);
        }
        let one = |live: Option<&Value>| apply_as("one", live, &a, false).unwrap();
        let two = |live: Option<&Value>| apply_as("two", live, &b, false).unwrap();
        // Who wrote nothing has no time, so times depend on the order.
        let timeless = |mut object: Value| {
            let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
            entries.iter_mut().for_each(|e| e["time"] = Value::Null);
            entries.sort_by_key(ToString::to_string);
            object
        };
        prop_assert_eq!(timeless(two(Some(&one(None)))), timeless(one(Some(&two(None)))));
    }

    #[test]
    fn a_plain_write_owns_what_it_changes_and_nothing_is_owned_that_is_not_there(a in spec(), b in spec()) {
        let first = apply_as("one", None, &a, false).unwrap();
        let mut second = object(b.clone());
        track(&shape(), Some(&first), &mut second, &writer("editor"));
        let (types, root) = (shape().types().clone(), shape().root());
        let present = typed::fields(&types, root, &second).with_named_fields(&types, Some(root));
        for path in owned(&second, "one").union(&owned(&second, "editor")).paths() {
            prop_assert!(present.has(&path) || path.len() == 1, "{} is owned and not there", path::display(&path));
        }
        let mut again = second.clone();
        track(&shape(), Some(&second), &mut again, &writer("somebody"));
        prop_assert_eq!(again, second);
    }

    #[test]
    fn field_sets_survive_writing_and_reading(a in spec()) {
        let set = wanted(&a);
        prop_assert_eq!(Set::decode(&set.encode()).unwrap(), set);
    }
}

#[test]
fn a_conflict_reads_as_kubernetes_writes_it() {
    let first = apply_as("one", None, &json!({"size": 1, "named": [{"name": "a", "note": "x"}]}), false).unwrap();
    let refused = apply_as("two", Some(&first), &json!({"size": 2, "named": [{"name": "a", "note": "y"}]}), false);
    let status = refused.unwrap_err().status();
    let message =
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.size\n- .spec.named[name=\"a\",port=80].note";
    assert_eq!(status["message"], message);
    assert_eq!(status["code"], 409);
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".spec.size"});
    assert_eq!(status["details"]["causes"][0], cause);
}

#[test]
fn an_updater_is_named_with_its_version() {
    let mut made = object(json!({"size": 1}));
    track(&shape(), None, &mut made, &writer("kubectl-create"));
    let refused = apply_as("two", Some(&made), &json!({"size": 2}), false).unwrap_err();
    let message = "Apply failed with 1 conflict: conflict with \"kubectl-create\" using test/v1: .spec.size";
    assert_eq!(refused.status()["message"], message);
}

#[test]
fn equal_values_are_shared_and_survive_one_of_their_owners() {
    let first = apply_as("one", None, &json!({"size": 1}), false).unwrap();
    let both = apply_as("two", Some(&first), &json!({"size": 1}), false).unwrap();
    let left = release("one", &both);
    assert_eq!(left["spec"], json!({"size": 1}));
    let gone = release("two", &left);
    assert!(gone.get("spec").is_none(), "{gone}");
}

#[test]
fn owners_can_be_forgotten_and_the_next_apply_meets_whoever_was_before() {
    let first = apply_as("one", None, &json!({"size": 1}), false).unwrap();
    let mut reset = first.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    track(&shape(), Some(&first), &mut reset, &writer("kubectl"));
    assert!(reset["metadata"].get("managedFields").is_none());
    let refused = apply_as("two", Some(&reset), &json!({"size": 2}), false).unwrap_err();
    assert!(refused.status()["message"].as_str().unwrap().contains("\"before-first-apply\" using test/v1: .spec.size"));
}

#[test]
fn kubectl_takes_over_from_client_side_apply_without_a_conflict() {
    let applied = r#"{"apiVersion":"test/v1","kind":"Test","metadata":{"name":"t"},"spec":{"size":1}}"#;
    let mut made = object(json!({"size": 1}));
    made["metadata"]["annotations"] = json!({ LAST_APPLIED: applied });
    track(&shape(), None, &mut made, &writer("kubectl-client-side-apply"));
    let ssa = apply_as("kubectl", Some(&made), &json!({"size": 2}), false).unwrap();
    assert_eq!(ssa["spec"]["size"], 2);
    let noted = ssa["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert!(noted.contains(r#""size":2"#) && noted.ends_with("}\n"), "{noted}");
}

#[test]
fn an_applied_status_owns_nothing_on_the_main_endpoint() {
    let mut body = object(json!({"size": 1}));
    body["status"] = json!({"ready": true});
    let made = apply(&shape(), None, &body, &writer("one"), false).unwrap();
    assert_eq!(owned(&made, "one"), wanted(&json!({"size": 1})));
}

#[test]
fn more_than_ten_updaters_become_ancient_changes() {
    let mut live = object(json!({}));
    track(&shape(), None, &mut live, &writer("0"));
    live["metadata"]["labels"] = json!({"first": "x"});
    track(&shape(), None, &mut live, &writer("0"));
    for i in 1..12 {
        let mut next = live.clone();
        next["metadata"]["labels"][format!("l{i}")] = json!("x");
        let name = i.to_string();
        track(&shape(), Some(&live), &mut next, &writer(&name));
        live = next;
    }
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert!(entries.iter().any(|e| e["manager"] == "ancient-changes"));
}

#[test]
fn a_wrong_type_is_told_with_its_path() {
    let refused = apply_as("one", None, &json!({"size": "big", "unknown": 1}), false).unwrap_err();
    let message = refused.status()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(".spec.size: expected numeric (int or float), got string"), "{message}");
    assert!(message.contains(".spec.unknown: field not declared in schema"), "{message}");
}

#[test]
fn a_long_user_agent_is_cut() {
    assert_eq!(manager_name(None, Some("kubectl/v1.32 (linux)")), "kubectl");
    assert_eq!(manager_name(Some("me"), Some("kubectl/v1.32")), "me");
    assert_eq!(manager_name(None, Some(&"x".repeat(300))).len(), 128);
}
