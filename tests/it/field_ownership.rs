//! Server-side apply, ownership tracking and defaulting against recorded answers of Kubernetes' own code.
//!
//! Each line of `tests/golden/ownership.jsonl` is one request on random objects and what the field manager and the
//! defaulting of Kubernetes 1.33 (`k8s.io/apimachinery/pkg/util/managedfields`, `k8s.io/kubernetes/pkg/apis`) answered.
//! `FAILCTL_OWNERSHIP_CASES` names another file of the same form.

use failctl::sandbox::api::schema::Shape;
use failctl::sandbox::api::{defaults, ssa};
use serde_json::{Value, json};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn kind(object: &Value) -> (String, String, String) {
    let version = text(object, "apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    (group.into(), version.into(), text(object, "kind").into())
}

/// What this program answers to a case, as the recording has it.
fn answer(case: &Value) -> Value {
    let object = &case["object"];
    let (group, version, kind) = kind(object);
    let schema = case.get("schema").filter(|s| !s.is_null());
    let shape = schema.map_or_else(|| Shape::builtin(&group, &version, &kind).unwrap(), |s| Shape::custom(Some(s)));
    let complete = |mut object: Value| {
        defaults::complete(&group, &version, &kind, &mut object);
        object
    };
    let live = case.get("live").filter(|l| !l.is_null()).cloned().map(complete);
    let reset = match case["reset"].get(0).and_then(|p| p.get(0)).and_then(Value::as_str) {
        Some("status") => ssa::Reset::Status,
        Some(_) => ssa::Reset::AllButStatus,
        None => ssa::Reset::None,
    };
    let writer = ssa::Writer {
        manager: text(case, "manager"),
        api_version: text(object, "apiVersion"),
        subresource: text(case, "subresource"),
        time: "2026-01-01T00:00:01Z",
        reset,
    };
    match text(case, "verb") {
        "default" => json!({"object": complete(object.clone())}),
        "update" => {
            let mut new = complete(object.clone());
            ssa::track(&shape, live.as_ref(), &mut new, &writer);
            json!({ "object": new })
        }
        _ => match ssa::apply(&shape, live.as_ref(), object, &writer, case["force"] == true) {
            Ok(object) => json!({"object": complete(object)}),
            Err(refused) => json!({"status": refused.status()}),
        },
    }
}

/// The recording's answer in the terms of a server: no null creation time at the top, conflicts in a fixed order, and a
/// write that changed nothing but times keeps them.
fn comparable(mut answer: Value, live: &Value) -> Value {
    if let Some(meta) = answer.pointer_mut("/object/metadata").and_then(Value::as_object_mut) {
        meta.retain(|key, value| !(key == "creationTimestamp" && value.is_null()));
    }
    if let Some(error) = answer.get("error") {
        return json!({ "error": error });
    }
    if let Some(status) = answer.get("status") {
        if status["code"] == 500 {
            return json!({"error": status["message"]});
        }
        let mut causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
        causes.sort_by_key(|c| format!("{} {}", c["message"], c["field"]));
        return json!({"code": status["code"], "causes": causes});
    }
    let timeless = |object: &Value| {
        let mut object = object.clone();
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.retain(|key, value| !(key == "creationTimestamp" && value.is_null()));
        }
        for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        let mut entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        entries
            .sort_by_key(|e| format!("{} {} {} {}", e["manager"], e["operation"], e["apiVersion"], e["subresource"]));
        object["metadata"]["managedFields"] = Value::Array(entries);
        object
    };
    if !live.is_null() && timeless(&answer["object"]) == timeless(live) {
        return json!("unchanged");
    }
    answer
}

#[test]
fn ownership_and_defaults_are_those_that_kubernetes_answered() {
    let file = std::env::var("FAILCTL_OWNERSHIP_CASES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ownership.jsonl").into());
    let cases = std::fs::read_to_string(&file).unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (number, line) in cases.lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        count += 1;
        let live = &case["live"];
        let got = comparable(answer(&case), live);
        let want = comparable(case["expect"].clone(), live);
        if got != want {
            wrong.push((number + 1, case, got, want));
        }
    }
    assert!(count >= 100, "{file} holds {count} cases");
    if let Some((number, case, got, want)) = wrong.iter().min_by_key(|(_, case, _, _)| case.to_string().len()) {
        panic!(
            "{} of {count} cases of {file} differ; the shortest is line {number}:\n{case}\n got: {got}\nwant: {want}",
            wrong.len()
        );
    }
}
