//! Getting and listing objects, in the form the client wants.
//! What comes in: a target and a query. What goes out: answers.

use std::sync::Arc;

use http::header;
use serde::Serialize;
use serde_json::{Value, json};

use super::http::{Call, Reply};
use super::kinds::Resource;
use super::negotiate::{Form, form, metadata_only};
use super::selector::Selector;
use super::state::{Api, State};
use super::status::Status;
use super::{convert, pieces};

/// An object in the version the client asked for.
pub fn served(kind: &Resource, stored: &Arc<Value>) -> Arc<Value> {
    if convert::same(kind, stored) {
        return stored.clone();
    }
    let mut object = Value::clone(stored);
    convert::to_served(kind, &mut object);
    Arc::new(object)
}

/// The stored object, or 404.
pub fn find(state: &State, kind: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, Status> {
    state.store.get(&kind.table(), namespace, name).ok_or_else(|| Status::not_found(kind, name))
}

/// Answers with one object in the wanted form.
pub fn show(kind: &Resource, object: &Value, call: &Call, code: u16) -> Result<Reply, Status> {
    Ok(match form(call.header(header::ACCEPT))? {
        Form::Objects => super::http::json(code, object),
        Form::Metadata => super::http::json(code, &metadata_only(object)),
        Form::Table => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            let include = call.query.get("includeObject");
            super::http::json(code, &pieces::table(kind, &[object], include, metadata, call.now))
        }
    })
}

/// Refuses a resourceVersion that has not happened yet, as after a loss of state.
pub fn not_in_the_future(state: &State, version: Option<u64>) -> Result<(), Status> {
    let current = state.store.revision();
    match version.filter(|v| *v > current) {
        None => Ok(()),
        Some(version) => {
            let message = format!("Too large resource version: {version}, current: {current}");
            let mut status = Status::new(504, "Timeout", message.clone());
            let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
            status.0["details"] = json!({"causes": [cause], "retryAfterSeconds": 1});
            Err(status)
        }
    }
}

/// GET of one object.
///
/// # Errors
/// 404.
pub fn get(api: &Api, kind: &Resource, namespace: &str, name: &str, call: &Call) -> Result<Reply, Status> {
    let object = find(&api.lock(), kind, namespace, name)?;
    show(kind, &served(kind, &object), call, 200)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: String,
    metadata: Value,
    items: &'a [Arc<Value>],
}

/// GET of a collection.
///
/// # Errors
/// 400 for selectors that cannot be read, 410 for continue tokens whose list is forgotten.
pub fn list(api: &Api, kind: &Resource, namespace: Option<&str>, call: &Call) -> Result<Reply, Status> {
    let form = form(call.header(header::ACCEPT))?;
    let query = &call.query;
    let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let limit = query.number("limit")?.filter(|l| *l > 0).and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    let token = query.get("continue");
    let page = {
        let mut state = api.lock();
        if token.is_empty() {
            let version = query.number("resourceVersion")?;
            not_in_the_future(&state, version)?;
            if query.get("resourceVersionMatch") == "Exact" && version != Some(state.store.revision()) {
                return Err(Status::expired("The resourceVersion for the provided list is too old."));
            }
            let all = state.store.list(&kind.table(), namespace).filter(|o| selector.matches(o));
            let all = all.cloned().collect();
            let revision = state.store.revision();
            state.pages.first(all, revision, limit)
        } else {
            state.pages.next(token, limit)?
        }
    };
    let items: Vec<Arc<Value>> = page.items.iter().map(|o| served(kind, o)).collect();
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(token) = page.token {
        metadata["continue"] = token.into();
        metadata["remainingItemCount"] = page.remaining.into();
    }
    Ok(match form {
        Form::Objects => {
            let (kind, api_version) = (format!("{}List", kind.kind), kind.api_version());
            super::http::json(200, &List { kind, api_version, metadata, items: &items })
        }
        Form::Metadata => {
            let items: Vec<Value> = items.iter().map(|o| metadata_only(o)).collect();
            let kind = "PartialObjectMetadataList";
            let list = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items});
            super::http::json(200, &list)
        }
        Form::Table => {
            let objects: Vec<&Value> = items.iter().map(|o| &**o).collect();
            let include = query.get("includeObject");
            super::http::json(200, &pieces::table(kind, &objects, include, metadata, call.now))
        }
    })
}
