//! What the server itself adds to objects of some kinds, and refuses: addresses of Services, accounts of Pods, tokens
//! of Secrets, conditions of definitions.
//! What comes in: an object that is about to be stored. What goes out: the same, completed; or a refusal.

use serde_json::{Value, json};

use super::super::kinds::Sub;
use super::super::state::{CLEANUP, State, dying};
use super::super::status::Status;
use super::super::{definition, services, tokens};
use super::Work;

/// Before a new object is checked and stored.
pub fn before_create(work: &mut Work, object: &mut Value) -> Result<(), Status> {
    match (work.kind.group.as_str(), work.kind.kind.as_str()) {
        ("", "Pod") => pod(work, object)?,
        ("", "Service") => services::assign(work.state, work.api.service_addresses, None, object)?,
        ("", "Secret") => {
            tokens::fill_secret(work.state, &work.api.identity, &work.api.name, object, work.options.now)?
        }
        ("", "Event") | ("events.k8s.io", "Event") => forget_old_events(work.state, work.options.now)?,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            definition::establish(work.state, object, &work.options.time);
            hold(object);
        }
        _ => {}
    }
    Ok(())
}

/// After a new object is stored.
pub fn after_create(work: &mut Work, object: &Value) -> Result<(), Status> {
    if work.kind.is("", "Namespace") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        default_account(work.state, name, work.options.now)?;
    }
    if work.kind.is("", "ServiceAccount") {
        tokens::fill_waiting(work.state, &work.api.identity, &work.api.name, work.namespace, work.options.now)?;
    }
    Ok(())
}

/// Before a changed object is checked and stored.
pub fn before_update(work: &mut Work, live: &Value, object: &mut Value, sub: Option<Sub>) -> Result<(), Status> {
    match (work.kind.group.as_str(), work.kind.kind.as_str()) {
        ("", "Namespace") if sub != Some(Sub::Finalize) => object["spec"] = live["spec"].clone(),
        ("", "Service") => services::assign(work.state, work.api.service_addresses, Some(live), object)?,
        ("", "Secret") => {
            tokens::fill_secret(work.state, &work.api.identity, &work.api.name, object, work.options.now)?
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") if sub.is_none() => {
            definition::establish(work.state, object, &work.options.time);
            if !dying(live) {
                hold(object);
            }
        }
        _ => {}
    }
    Ok(())
}

/// A definition stays until its objects are gone.
fn hold(definition: &mut Value) {
    let list = definition["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !list.iter().any(|f| f == CLEANUP) {
        definition["metadata"]["finalizers"] = list.into_iter().chain([json!(CLEANUP)]).collect();
    }
}

/// A Pod runs under an account that exists.
fn pod(work: &Work, object: &mut Value) -> Result<(), Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_string();
    let account =
        object["spec"]["serviceAccountName"].as_str().filter(|a| !a.is_empty()).unwrap_or("default").to_string();
    if work.state.store.get("serviceaccounts", work.namespace, &account).is_none() {
        let why = format!(
            "error looking up service account {}/{account}: serviceaccount \"{account}\" not found",
            work.namespace
        );
        return Err(Status::forbidden(work.kind, &name, &why));
    }
    object["spec"]["serviceAccountName"] = account.clone().into();
    object["spec"]["serviceAccount"] = account.into();
    Ok(())
}

/// The `default` ServiceAccount of a namespace.
pub fn default_account(state: &mut State, namespace: &str, now: jiff::Timestamp) -> Result<(), Status> {
    if state.store.get("serviceaccounts", namespace, "default").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace}});
        state.make("serviceaccounts", account, now)?;
    }
    Ok(())
}

/// Events live for an hour, as in Kubernetes.
fn forget_old_events(state: &mut State, now: jiff::Timestamp) -> Result<(), Status> {
    let oldest = super::super::http::seconds(now - jiff::SignedDuration::from_hours(1));
    let place = |e: &Value| {
        let text = |field: &str| e["metadata"][field].as_str().unwrap_or_default().to_string();
        (text("namespace"), text("name"))
    };
    let old: Vec<(String, String)> = state
        .store
        .list("events", None)
        .filter(|e| {
            let seen = e["lastTimestamp"].as_str().or(e["metadata"]["creationTimestamp"].as_str());
            seen.is_some_and(|seen| *seen < *oldest)
        })
        .map(|e| place(e))
        .collect();
    old.iter().try_for_each(|(namespace, name)| state.remove("events", namespace, name, now).map(drop))
}
