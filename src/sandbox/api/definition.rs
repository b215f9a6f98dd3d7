//! What becomes of a CustomResourceDefinition when it is written: accepted names, conditions, stored versions.
//! What comes in: a definition and the others. What goes out: the same with its status.

use serde_json::{Value, json};

use super::state::{DEFINITIONS, State};

/// Sets the parts of a definition that the server owns: default names and strategy, and its status.
pub fn establish(state: &State, object: &mut Value, time: &str) {
    let kind = object["spec"]["names"]["kind"].as_str().unwrap_or_default().to_string();
    let names = &mut object["spec"]["names"];
    if !names["singular"].is_string() {
        names["singular"] = kind.to_lowercase().into();
    }
    if !names["listKind"].is_string() {
        names["listKind"] = format!("{kind}List").into();
    }
    if object["spec"]["conversion"].is_null() {
        object["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let clash = clash(state, object);
    let mut stored: Vec<Value> = object["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|v| v["storage"] == true) {
        if !stored.contains(&version["name"]) {
            stored.push(version["name"].clone());
        }
    }
    let since = |kind: &str| {
        let conditions = object["status"]["conditions"].as_array();
        let old = conditions.into_iter().flatten().find(|c| c["type"] == kind && c["status"] == "True");
        old.and_then(|c| c["lastTransitionTime"].as_str()).unwrap_or(time).to_string()
    };
    let condition = |kind: &str, yes: bool, reason: &str, message: &str| {
        let status = if yes { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": since(kind), "reason": reason, "message": message})
    };
    let conditions = match &clash {
        None => json!([
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
        Some(clash) => json!([
            condition("NamesAccepted", false, "KindConflict", clash),
            condition("Established", false, "NotAccepted", "not all names are accepted"),
        ]),
    };
    let accepted = if clash.is_none() { object["spec"]["names"].clone() } else { json!({"kind": "", "plural": ""}) };
    object["status"] = json!({"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored});
}

/// Whether another definition of the group already has this kind.
fn clash(state: &State, object: &Value) -> Option<String> {
    let (group, kind) = (&object["spec"]["group"], &object["spec"]["names"]["kind"]);
    let mut others =
        state.store.list(DEFINITIONS, None).filter(|o| o["metadata"]["name"] != object["metadata"]["name"]);
    let taken = others.any(|o| &o["spec"]["group"] == group && &o["spec"]["names"]["kind"] == kind);
    taken.then(|| format!("{kind} is already in use"))
}

/// Whether a stored definition is served.
pub fn is_established(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
}
