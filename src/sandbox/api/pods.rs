//! What can be asked of a Pod besides itself: to be bound to a node, to be evicted.
//! (Output, commands and ports go to the node: `proxy`.)

use serde_json::{Value, json};

use super::kinds::Sub;
use super::read::find;
use super::status::Status;
use super::write::delete::{Deletion, delete};
use super::write::{Options, Work};

/// The answer to a good binding or eviction.
fn success(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code})
}

/// Assigns a Pod to a node.
///
/// # Errors
/// 404, 409 when it has a node already.
pub fn bind(work: &mut Work, name: &str, binding: &Value) -> Result<Value, Status> {
    let live = find(work.state, work.kind, work.namespace, name)?;
    let node = binding["target"]["name"].as_str().filter(|n| !n.is_empty());
    let node = node.ok_or_else(|| Status::bad_request("target.name is required"))?;
    if let Some(current) = live["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
        let why = format!("pod {name} is already assigned to node \"{current}\"");
        return Err(Status::conflict(work.kind, name, &why));
    }
    let mut pod = Value::clone(&live);
    pod["spec"]["nodeName"] = node.into();
    let mut conditions: Vec<Value> = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|c| c["type"] != "PodScheduled");
    let time = &work.options.time;
    conditions
        .push(json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time}));
    pod["status"]["conditions"] = conditions.into();
    super::pieces::track(
        work.kind,
        Some(&live),
        &mut pod,
        &super::pieces::Pen { manager: &work.options.manager, sub: Some(Sub::Binding), time },
    );
    if !work.options.dry_run {
        work.state.put("pods", pod)?;
    }
    Ok(success(201))
}

/// Deletes a Pod politely (there are no disruption budgets here that could say no).
///
/// # Errors
/// 404, 409.
pub fn evict(work: &mut Work, name: &str, eviction: &Value, options: &Options) -> Result<Value, Status> {
    let wanted = &eviction["deleteOptions"];
    let mut how = Deletion::plain(options.now);
    how.grace = wanted["gracePeriodSeconds"].as_i64();
    how.uid = wanted["preconditions"]["uid"].as_str().map(Into::into);
    how.dry_run = options.dry_run || wanted["dryRun"] == json!(["All"]);
    delete(work.state, work.kind, work.namespace, name, &how)?;
    Ok(success(201))
}
