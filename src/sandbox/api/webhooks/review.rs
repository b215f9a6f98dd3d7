//! `admission.k8s.io/v1 AdmissionReview`: the question and the answer. Pure.

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::kinds::Sub;
use super::super::status::Status;
use super::matching::Asked;

/// The question about a write, with the object as earlier webhooks have left it.
pub fn request(uid: &str, asked: &Asked, object: &Value) -> Value {
    let kind = &asked.kind;
    let of_kind = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let resource = json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
    let options = match asked.operation {
        "CREATE" => "CreateOptions",
        _ => "UpdateOptions",
    };
    let mut request = json!({
        "uid": uid, "kind": of_kind, "resource": resource, "requestKind": of_kind, "requestResource": resource,
        "name": asked.name(), "operation": asked.operation, "userInfo": asked.user.info(), "object": object,
        "oldObject": asked.old, "dryRun": asked.dry_run,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": options},
    });
    if let Some(sub) = asked.sub.map(Sub::segment) {
        request["subResource"] = sub.into();
        request["requestSubResource"] = sub.into();
    }
    if kind.namespaced {
        request["namespace"] = object["metadata"]["namespace"].clone();
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

/// What a webhook says.
#[derive(Debug)]
pub struct Answer {
    allowed: bool,
    status: Value,
    /// What it wants changed.
    pub patch: Option<json_patch::Patch>,
    /// What it wants the client to be told.
    pub warnings: Vec<String>,
}

impl Answer {
    /// Reads an answer; the error says what is wrong with it.
    pub fn read(uid: &str, body: &[u8]) -> Result<Answer, String> {
        let review: Value = serde_json::from_slice(body).map_err(|e| format!("its answer is no JSON: {e}"))?;
        if review["apiVersion"] != "admission.k8s.io/v1" || review["kind"] != "AdmissionReview" {
            return Err("its answer is no admission.k8s.io/v1 AdmissionReview".into());
        }
        let response = &review["response"];
        if response["uid"] != uid {
            return Err(format!("expected response.uid={uid:?}, got {}", response["uid"]));
        }
        let allowed = response["allowed"].as_bool().ok_or("its answer does not say whether the write is allowed")?;
        let patch = match (response["patch"].as_str(), response["patchType"].as_str()) {
            (None, _) => None,
            (Some(patch), Some("JSONPatch")) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(patch);
                let bytes = bytes.map_err(|e| format!("its patch is no base64: {e}"))?;
                Some(serde_json::from_slice(&bytes).map_err(|e| format!("its patch is no JSON patch: {e}"))?)
            }
            (Some(_), other) => return Err(format!("invalid response.patchType {:?}", other.unwrap_or_default())),
        };
        let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let warnings = warnings.map(str::to_owned).collect();
        Ok(Answer { allowed, status: response["status"].clone(), patch, warnings })
    }

    /// The answer, if it is no refusal.
    ///
    /// # Errors
    /// The webhook's refusal, with its own code.
    pub fn into_allowed(self, name: &str) -> Result<Answer, Status> {
        if self.allowed {
            return Ok(self);
        }
        let why = self.status["message"].as_str().or(self.status["reason"].as_str());
        let why = match why {
            Some(why) => format!("admission webhook {name:?} denied the request: {why}"),
            None => format!("admission webhook {name:?} denied the request without explanation"),
        };
        let code = self.status["code"].as_u64().and_then(|c| u16::try_from(c).ok()).filter(|c| (400..600).contains(c));
        Err(Status::new(code.unwrap_or(403), self.status["reason"].as_str().unwrap_or("Forbidden"), why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: Value) -> Result<Answer, String> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        Answer::read("u", review.to_string().as_bytes())
    }

    #[test]
    fn a_refusal_has_the_webhooks_own_words_and_code() {
        let refused = read(json!({"uid": "u", "allowed": false, "status": {"code": 409, "message": "not on Sundays"}}));
        let status = refused.unwrap().into_allowed("h.example.com").unwrap_err();
        assert_eq!(status.code(), 409);
        assert!(status.message().contains("h.example.com") && status.message().ends_with("not on Sundays"));
        let silent = read(json!({"uid": "u", "allowed": false})).unwrap().into_allowed("h").unwrap_err();
        assert_eq!(silent.code(), 403);
    }

    #[test]
    fn an_answer_to_another_question_or_of_another_shape_is_an_error() {
        assert!(read(json!({"uid": "v", "allowed": true})).unwrap_err().contains("uid"));
        assert!(read(json!({"uid": "u"})).unwrap_err().contains("allowed"));
        let patch =
            base64::engine::general_purpose::STANDARD.encode(b"[{\"op\": \"add\", \"path\": \"/a\", \"value\": 1}]");
        assert!(read(json!({"uid": "u", "allowed": true, "patch": patch})).unwrap_err().contains("patchType"));
        let good = read(json!({"uid": "u", "allowed": true, "patch": patch, "patchType": "JSONPatch"})).unwrap();
        assert_eq!(good.patch.unwrap().0.len(), 1);
        assert!(Answer::read("u", b"{}").unwrap_err().contains("AdmissionReview"));
    }
}
