//! Questions about users: whose token is this, may they do that, what may they do.
//! What comes in: a review. What goes out: the same with its status; nothing is stored.

use serde_json::{Value, json};

use super::auth::{AUDIENCE, Known, User};
use super::kinds::Resource;
use super::rbac::{self, Ask};
use super::status::Status;

/// Answers a review.
///
/// # Errors
/// 400 when the question cannot be understood.
pub fn answer(
    known: &Known,
    user: &User,
    kind: &Resource,
    namespace: &str,
    mut review: Value,
) -> Result<Value, Status> {
    review["apiVersion"] = kind.api_version().into();
    review["kind"] = kind.kind.clone().into();
    let spec = &review["spec"];
    let status = match kind.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => token(known, spec),
        "SelfSubjectAccessReview" => access(known, user, spec)?,
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let within = spec["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
            if kind.namespaced && within != namespace {
                return Err(Status::bad_request(
                    "spec.resourceAttributes.namespace must be the namespace of the request",
                ));
            }
            access(known, &subject(spec), spec)?
        }
        "SelfSubjectRulesReview" => rules(known, user, spec["namespace"].as_str().unwrap_or_default()),
        _ => return Err(Status::method_not_allowed()),
    };
    review["status"] = status;
    Ok(review)
}

fn token(known: &Known, spec: &Value) -> Value {
    let asked: Vec<&str> = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let asked = if asked.is_empty() { vec![AUDIENCE] } else { asked };
    match known.owner(spec["token"].as_str().unwrap_or_default(), &asked) {
        Some((user, audiences)) => json!({"authenticated": true, "user": user.info(), "audiences": audiences}),
        None => json!({"user": {}, "error": "invalid bearer token"}),
    }
}

fn subject(spec: &Value) -> User {
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect();
    User { name: spec["user"].as_str().unwrap_or_default().into(), groups, ..User::default() }
}

fn access(known: &Known, user: &User, spec: &Value) -> Result<Value, Status> {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let text = |object: &'_ Value, field: &str| object[field].as_str().unwrap_or_default().to_string();
    let from = if resource.is_object() { resource } else { path };
    if !from.is_object() {
        return Err(Status::bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    }
    let fields = ["verb", "group", "resource", "subresource", "name", "namespace", "path"].map(|f| text(from, f));
    let [verb, group, resource, sub, name, namespace, path] = fields.each_ref().map(String::as_str);
    let ask = Ask { verb, group, resource, sub, name, namespace, path };
    // Like RBAC in Kubernetes, a no carries no reason: `kubectl auth can-i` then answers with that one word.
    Ok(json!({"allowed": rbac::allows(known.store, user, &ask)}))
}

fn rules(known: &Known, user: &User, namespace: &str) -> Value {
    let all = rbac::rules(known.store, user, namespace);
    let (paths, resources): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|r| r["nonResourceURLs"].is_array());
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}
