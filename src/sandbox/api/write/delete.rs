//! DELETE: at once, after finalizers, or (Pods on a node) after the node has stopped them.
//! What comes in: DeleteOptions. What goes out: whether the object is gone, and its last state.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::http::{Call, seconds};
use super::super::kinds::Resource;
use super::super::state::{DEFINITIONS, State, dying, finalizers};
use super::super::status::Status;

/// What happens to an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    Background,
    /// The object waits, by finalizer, until the garbage collector has deleted them.
    Foreground,
    /// The object waits, by finalizer, until the garbage collector has released them.
    Orphan,
}

/// How a deletion was asked for.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Seconds a Pod has to stop; 0 removes it at once.
    pub grace: Option<i64>,
    /// What happens to dependents.
    pub propagation: Propagation,
    /// Only this very object.
    pub uid: Option<String>,
    /// Only this very state of it.
    pub version: Option<String>,
    /// Decide, answer, store nothing.
    pub dry_run: bool,
    /// Now.
    pub now: jiff::Timestamp,
}

impl Deletion {
    /// A plain deletion.
    pub fn plain(now: jiff::Timestamp) -> Deletion {
        let propagation = Propagation::Background;
        Deletion { grace: None, propagation, uid: None, version: None, dry_run: false, now }
    }

    /// From a request: DeleteOptions in the body, or the same as query parameters.
    ///
    /// # Errors
    /// 400 for options that cannot be read.
    pub fn of(call: &Call) -> Result<Deletion, Status> {
        let body = if call.body.is_empty() { json!({}) } else { super::super::http::decode(call)? };
        let text = |field: &str| match body[field].as_str() {
            Some(text) => text.to_string(),
            None => call.query.get(field).to_string(),
        };
        let orphan = body["orphanDependents"].as_bool().unwrap_or(call.query.flag("orphanDependents"));
        let propagation = match text("propagationPolicy").as_str() {
            "" if orphan => Propagation::Orphan,
            "" | "Background" => Propagation::Background,
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            other => return Err(Status::bad_request(format!("invalid propagationPolicy: {other:?}"))),
        };
        let grace = match body["gracePeriodSeconds"].as_i64() {
            None => match call.query.get("gracePeriodSeconds") {
                "" => None,
                text => Some(text.parse().map_err(|_| Status::bad_request("invalid gracePeriodSeconds"))?),
            },
            given => given,
        };
        let dry_run = body["dryRun"] == json!(["All"]) || call.query.get("dryRun") == "All";
        let precondition = |field: &str| body["preconditions"][field].as_str().map(Into::into);
        let (uid, version) = (precondition("uid"), precondition("resourceVersion"));
        Ok(Deletion { grace: grace.map(|g: i64| g.max(0)), propagation, uid, version, dry_run, now: call.now })
    }

    fn check(&self, kind: &Resource, live: &Value, name: &str) -> Result<(), Status> {
        let held = |what: &str, wanted: &Option<String>, field: &str| {
            let has = live["metadata"][field].as_str().unwrap_or_default();
            match wanted {
                Some(wanted) if wanted != has => {
                    let why =
                        format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {has}");
                    Err(Status::conflict(kind, name, &why))
                }
                _ => Ok(()),
            }
        };
        held("UID", &self.uid, "uid")?;
        held("ResourceVersion", &self.version, "resourceVersion")
    }
}

/// What came of a deletion.
#[derive(Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// The object waits for finalizers or its node.
    Waiting(Arc<Value>),
}

/// Whether an object that is being deleted has nothing left to wait for.
pub fn complete(kind: &Resource, object: &Value) -> bool {
    let waits = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    let namespace = kind.is("", "Namespace") && object["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
    finalizers(object).is_empty() && !waits && !namespace
}

/// Seconds a Pod gets to stop: none when no node runs it.
fn grace(kind: &Resource, live: &Value, asked: Option<i64>) -> i64 {
    let scheduled = !live["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let over = matches!(live["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !kind.is("", "Pod") || !scheduled || over {
        return 0;
    }
    let own = live["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let wanted = asked.unwrap_or(own);
    match live["metadata"]["deletionGracePeriodSeconds"].as_i64() {
        Some(running) => running.min(wanted),
        None => wanted,
    }
}

/// Deletes one object.
///
/// # Errors
/// 404, 409 when a precondition does not hold.
pub fn delete(
    state: &mut State,
    kind: &Resource,
    namespace: &str,
    name: &str,
    how: &Deletion,
) -> Result<Deleted, Status> {
    let live = super::super::read::find(state, kind, namespace, name)?;
    how.check(kind, &live, name)?;
    if kind.is("", "Namespace") && matches!(name, "default" | "kube-system" | "kube-public") {
        return Err(Status::forbidden(kind, name, "this namespace may not be deleted"));
    }
    let mut marked = Value::clone(&live);
    let grace = grace(kind, &live, how.grace);
    let extra = match how.propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Orphan => Some("orphan"),
    };
    let mut kept = finalizers(&marked);
    if let Some(extra) = extra.filter(|e| !dying(&live) && !kept.iter().any(|f| f == e)) {
        kept.push(extra.into());
        marked["metadata"]["finalizers"] = kept.into();
    }
    let first = !dying(&live);
    if first {
        let end = how.now + jiff::SignedDuration::from_secs(grace);
        marked["metadata"]["deletionTimestamp"] = seconds(end).into();
    }
    if first || live["metadata"]["deletionGracePeriodSeconds"] != grace {
        marked["metadata"]["deletionGracePeriodSeconds"] = grace.into();
    }
    if first && let Some(generation) = marked["metadata"]["generation"].as_i64() {
        marked["metadata"]["generation"] = (generation + 1).into();
    }
    if first && kind.is("", "Namespace") {
        marked["status"]["phase"] = "Terminating".into();
    }
    finish(state, kind, namespace, name, how, marked)
}

fn finish(
    state: &mut State,
    kind: &Resource,
    namespace: &str,
    name: &str,
    how: &Deletion,
    marked: Value,
) -> Result<Deleted, Status> {
    let (table, gone) = (kind.table(), complete(kind, &marked));
    if how.dry_run {
        let marked = Arc::new(marked);
        return Ok(if gone { Deleted::Gone(marked) } else { Deleted::Waiting(marked) });
    }
    if gone {
        let last = state.remove(&table, namespace, name, how.now)?;
        return Ok(Deleted::Gone(last.unwrap_or_else(|| Arc::new(marked))));
    }
    let same = state.store.get(&table, namespace, name).filter(|live| **live == marked);
    let marked = match same {
        Some(live) => live,
        None => state.put(&table, marked)?,
    };
    if kind.is("", "Namespace") {
        empty_namespace(state, name, how.now)?;
    }
    if table == DEFINITIONS {
        empty_table(state, name, None, how.now)?;
        state.settle_definition(name, how.now)?;
    }
    Ok(Deleted::Waiting(marked))
}

/// Deletes everything in a namespace, then the namespace itself when nothing had to wait.
pub fn empty_namespace(state: &mut State, namespace: &str, now: jiff::Timestamp) -> Result<(), Status> {
    for table in state.store.tables() {
        empty_table(state, &table, Some(namespace), now)?;
    }
    state.settle_namespace(namespace, now)
}

fn empty_table(state: &mut State, table: &str, namespace: Option<&str>, now: jiff::Timestamp) -> Result<(), Status> {
    let Some(kind) = state.kind_of(table).filter(|k| k.namespaced || namespace.is_none()) else { return Ok(()) };
    let place = |o: &Arc<Value>| {
        let text = |field: &str| o["metadata"][field].as_str().unwrap_or_default().to_string();
        (text("namespace"), text("name"))
    };
    let objects: Vec<(String, String)> = state.store.list(table, namespace).map(place).collect();
    for (namespace, name) in objects {
        match delete(state, &kind, &namespace, &name, &Deletion::plain(now)) {
            Err(status) if status.code() != 404 => return Err(status),
            _ => {}
        }
    }
    Ok(())
}
