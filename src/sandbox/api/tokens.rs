//! Tokens of ServiceAccounts: issued on request with an expiry, or kept in a Secret of their own type.
//! What comes in: a TokenRequest or a Secret. What goes out: the same with a token.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::auth::AUDIENCE;
use super::http::seconds;
use super::identity::Identity;
use super::kinds::Resource;
use super::state::{State, uid};
use super::status::{Cause, Status};

/// Type of a Secret that carries a ServiceAccount's token.
const SECRET_TYPE: &str = "kubernetes.io/service-account-token";
/// Names the account, on such a Secret.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

fn reference(object: &Value) -> Value {
    json!({"name": object["metadata"]["name"], "uid": object["metadata"]["uid"]})
}

/// Answers `POST serviceaccounts/NAME/token`.
///
/// # Errors
/// 404 without the account or the bound object, 409 when that is another by now, 422 for an expiry under ten minutes.
pub fn issue(
    state: &State,
    identity: &Identity,
    kind: &Resource,
    namespace: &str,
    name: &str,
    mut request: Value,
    now: jiff::Timestamp,
) -> Result<Value, Status> {
    let account = super::read::find(state, kind, namespace, name)?;
    let wanted = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    if wanted < 600 {
        let value = json!(wanted);
        let cause = Cause::invalid("spec.expirationSeconds", &value, "may not specify a duration less than 10 minutes");
        return Err(Status::invalid(kind, name, &[cause]));
    }
    let audiences = match request["spec"]["audiences"].as_array() {
        Some(list) if !list.is_empty() => json!(list),
        _ => json!([AUDIENCE]),
    };
    let expires = now + jiff::SignedDuration::from_secs(wanted);
    let mut bound = json!({"namespace": namespace, "serviceaccount": reference(&account)});
    let object = &request["spec"]["boundObjectRef"];
    if let (Some(kind_name), Some(name)) = (object["kind"].as_str(), object["name"].as_str()) {
        let (table, field) = match kind_name {
            "Pod" => ("pods", "pod"),
            "Secret" => ("secrets", "secret"),
            other => return Err(Status::bad_request(format!("cannot bind token to object of kind {other}"))),
        };
        let kinds = state.kind_of(table).ok_or_else(Status::no_such_path)?;
        let target = super::read::find(state, &kinds, namespace, name)?;
        if object["uid"].as_str().is_some_and(|u| !u.is_empty() && target["metadata"]["uid"] != u) {
            let why = "the UID in the bound object reference does not match the UID in record";
            return Err(Status::conflict(&kinds, name, why));
        }
        bound[field] = reference(&target);
    }
    let claims = json!({
        "aud": audiences, "exp": expires.as_second(), "iat": now.as_second(), "nbf": now.as_second(),
        "iss": AUDIENCE, "jti": uid(), "kubernetes.io": bound,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
    });
    let token = identity.sign(&claims).map_err(|e| Status::internal(format!("{e:#}")))?;
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["kind"] = "TokenRequest".into();
    request["metadata"] = json!({"name": name, "namespace": namespace, "creationTimestamp": seconds(now)});
    request["spec"]["audiences"] = audiences;
    request["spec"]["expirationSeconds"] = wanted.into();
    request["status"] = json!({"token": token, "expirationTimestamp": seconds(expires)});
    Ok(request)
}

/// Fills a Secret of type `kubernetes.io/service-account-token` whose account exists: token, CA and namespace.
///
/// # Errors
/// 422 when the Secret names no account.
pub fn fill_secret(
    state: &State,
    identity: &Identity,
    issuer: &str,
    secret: &mut Value,
    now: jiff::Timestamp,
) -> Result<(), Status> {
    if secret["type"] != SECRET_TYPE || secret["data"]["token"].is_string() {
        return Ok(());
    }
    let Some(name) = secret["metadata"]["annotations"][ACCOUNT].as_str().map(str::to_string) else {
        let kinds = state.kind_of("secrets").ok_or_else(Status::no_such_path)?;
        let cause = Cause::required(&format!("metadata.annotations[{ACCOUNT}]"), "");
        let own = secret["metadata"]["name"].as_str().unwrap_or_default();
        return Err(Status::invalid(&kinds, own, &[cause]));
    };
    let namespace = secret["metadata"]["namespace"].as_str().unwrap_or_default().to_string();
    let Some(account) = state.store.get("serviceaccounts", &namespace, &name) else { return Ok(()) };
    let claims = json!({
        "iss": "kubernetes/serviceaccount", "aud": [AUDIENCE], "cluster": issuer, "iat": now.as_second(),
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": reference(&account), "secret": reference(secret)},
    });
    let token = identity.sign(&claims).map_err(|e| Status::internal(format!("{e:#}")))?;
    secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = account["metadata"]["uid"].clone();
    for (key, value) in [("ca.crt", identity.ca()), ("namespace", &namespace), ("token", &token)] {
        secret["data"][key] = BASE64_STANDARD.encode(value).into();
    }
    Ok(())
}

/// Fills Secrets that were written before their account.
///
/// # Errors
/// 500 when they cannot be stored.
pub fn fill_waiting(
    state: &mut State,
    identity: &Identity,
    issuer: &str,
    namespace: &str,
    now: jiff::Timestamp,
) -> Result<(), Status> {
    let waiting = |s: &&std::sync::Arc<Value>| s["type"] == SECRET_TYPE && !s["data"]["token"].is_string();
    let secrets: Vec<Value> =
        state.store.list("secrets", Some(namespace)).filter(waiting).map(|s| Value::clone(s)).collect();
    for mut secret in secrets {
        fill_secret(state, identity, issuer, &mut secret, now)?;
        if secret["data"]["token"].is_string() {
            state.put("secrets", secret)?;
        }
    }
    Ok(())
}
