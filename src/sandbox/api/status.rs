//! Refusals in the words of Kubernetes: `kind: Status` with reason, code, details and causes.
//! What comes in: what was asked and why it is refused. What goes out: the Status that kubectl knows how to print.
//! May not know: HTTP, the store.

use serde_json::{Value, json};

use super::kinds::Resource;
pub use super::schema::FieldError as Cause;

/// A refusal: a `Status` object of `status: Failure`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status(pub Value);

impl Cause {
    /// A field that must be there and is not.
    pub fn required(field: &str, message: &str) -> Self {
        let message = if message.is_empty() { "Required value".into() } else { format!("Required value: {message}") };
        Cause { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// A field with a value it may not have.
    pub fn invalid(field: &str, value: &Value, message: &str) -> Self {
        Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {message}"),
            field: field.into(),
        }
    }

    /// A field that may not be set or changed now.
    pub fn forbidden(field: &str, message: &str) -> Self {
        Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {message}"), field: field.into() }
    }
}

impl Status {
    /// Any refusal, without details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"});
        status["message"] = message.into();
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        status["code"] = code.into();
        Status(status)
    }

    fn about(mut self, kind: &Resource, name: &str) -> Self {
        let mut details = json!({"kind": kind.plural});
        if !kind.group.is_empty() {
            details["group"] = kind.group.clone().into();
        }
        if !name.is_empty() {
            details["name"] = name.into();
        }
        self.0["details"] = details;
        self
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0["code"].as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or(500)
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// 404 for an object.
    pub fn not_found(kind: &Resource, name: &str) -> Self {
        Status::new(404, "NotFound", format!("{} \"{name}\" not found", kind.qualified())).about(kind, name)
    }

    /// 404 for a path that serves nothing.
    pub fn no_such_path() -> Self {
        Status::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409: the name is taken.
    pub fn already_exists(kind: &Resource, name: &str) -> Self {
        Status::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.qualified())).about(kind, name)
    }

    /// 409: somebody else wrote first, or a precondition does not hold.
    pub fn conflict(kind: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Status::new(409, "Conflict", message).about(kind, name)
    }

    /// 409: the resourceVersion that was sent is not the current one.
    pub fn stale(kind: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(kind, name, why)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Status::new(400, "BadRequest", message)
    }

    /// 401: no known user.
    pub fn unauthorized() -> Self {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 with the reason after `is forbidden:`.
    pub fn forbidden(kind: &Resource, name: &str, why: &str) -> Self {
        let what = if name.is_empty() { kind.qualified() } else { format!("{} \"{name}\"", kind.qualified()) };
        Status::new(403, "Forbidden", format!("{what} is forbidden: {why}")).about(kind, name)
    }

    /// 403 for a path that is no resource.
    pub fn forbidden_path(why: &str) -> Self {
        let mut status = Status::new(403, "Forbidden", format!("forbidden: {why}"));
        status.0["details"] = json!({});
        status
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Status::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 410: history needed for a watch or a continue token is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Status::new(410, "Expired", message)
    }

    /// 415.
    pub fn unsupported(content_type: &str, accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format ({content_type}) - accepted media types include: {accepted}"
        );
        Status::new(415, "UnsupportedMediaType", message)
    }

    /// 406.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml";
        Status::new(406, "NotAcceptable", message)
    }

    /// 422 with every invalid field.
    pub fn invalid(kind: &Resource, name: &str, causes: &[Cause]) -> Self {
        let told: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let told = if told.len() == 1 { told[0].clone() } else { format!("[{}]", told.join(", ")) };
        let what = if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
        let mut status = Status::new(422, "Invalid", format!("{what} \"{name}\" is invalid: {told}")).about(kind, name);
        status.0["details"]["kind"] = kind.kind.clone().into();
        let causes: Vec<Value> =
            causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect();
        status.0["details"]["causes"] = causes.into();
        status
    }

    /// 422: a JSON patch whose steps cannot be taken, or whose test failed.
    pub fn unworkable(why: &str) -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut status = Status::new(422, "Invalid", message);
        status.0["details"] = json!({"causes": [{"reason": "UnexpectedServerResponse", "message": why}]});
        status
    }

    /// 422: a patch whose result cannot be read strictly; the whole of it is what is called invalid.
    pub fn unfit_patch(patched: &Value, why: &str) -> Self {
        let cause = Cause::invalid("patch", &Value::from(patched.to_string()), why);
        let mut status = Status::new(422, "Invalid", format!(" \"\" is invalid: {}: {}", cause.field, cause.message));
        let cause = json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
        status.0["details"] = json!({"causes": [cause]});
        status
    }

    /// 500: a defect or a full disk, told as it is.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Status::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// The good answer to a delete.
    pub fn deleted(kind: &Resource, name: &str, uid: &str) -> Value {
        let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
        if !kind.group.is_empty() {
            details["group"] = kind.group.clone().into();
        }
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
    }
}
