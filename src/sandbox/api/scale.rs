//! The scale subresource: how many replicas are wanted and there, whatever the kind.
//! What comes in: an object, or a Scale. What goes out: a Scale, or the object with the wanted number changed.

use serde_json::{Value, json};

use super::kinds::{Resource, Sub};
use super::pieces;
use super::status::{Cause, Status};
use super::write::{Work, Written};

/// Where a kind keeps its replicas: wanted, there, selector; as JSON pointers.
fn paths(kind: &Resource) -> (String, String, Option<String>) {
    let pointer = |path: &str| path.replace('.', "/");
    match kind.custom.as_ref().and_then(|c| c.scale.as_ref()) {
        Some((wanted, there, selector)) => (pointer(wanted), pointer(there), selector.as_deref().map(pointer)),
        None => ("/spec/replicas".into(), "/status/replicas".into(), None),
    }
}

fn selector_text(selector: &Value) -> String {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = equal.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    for e in selector["matchExpressions"].as_array().into_iter().flatten() {
        let values: Vec<&str> = e["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let key = e["key"].as_str().unwrap_or_default();
        parts.push(match e["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_string(),
        });
    }
    parts.sort();
    parts.join(",")
}

/// The Scale of an object.
pub fn of(kind: &Resource, object: &Value) -> Value {
    let (wanted, there, selector) = paths(kind);
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let selector = match selector {
        Some(path) => object.pointer(&path).and_then(Value::as_str).unwrap_or_default().to_string(),
        None => selector_text(&object["spec"]["selector"]),
    };
    let m = &object["metadata"];
    let mut metadata = json!({"name": m["name"], "namespace": m["namespace"], "uid": m["uid"],
        "resourceVersion": m["resourceVersion"], "creationTimestamp": m["creationTimestamp"]});
    if !kind.namespaced
        && let Some(metadata) = metadata.as_object_mut()
    {
        metadata.shift_remove("namespace");
    }
    // As Kubernetes writes its type: a wish for none is left out, as is a selector that is not there.
    let wanted = Some(number(&wanted)).filter(|n| *n != 0).map_or_else(|| json!({}), |n| json!({"replicas": n}));
    let mut status = json!({"replicas": number(&there)});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": wanted, "status": status})
}

/// The object with the number of replicas a Scale wants.
///
/// # Errors
/// 400 when the body is no Scale, 422 for a negative number.
pub fn onto(kind: &Resource, object: &Value, scale: &Value) -> Result<Value, Status> {
    if scale["kind"] != "Scale" {
        return Err(Status::bad_request("the body must be an autoscaling/v1 Scale"));
    }
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let value = json!(replicas);
        let cause = Cause::invalid("spec.replicas", &value, "must be greater than or equal to 0");
        return Err(Status::invalid(kind, scale["metadata"]["name"].as_str().unwrap_or_default(), &[cause]));
    }
    let mut object = object.clone();
    let (wanted, ..) = paths(kind);
    let steps = wanted.split('/').filter(|s| !s.is_empty());
    *steps.fold(&mut object, |value, step| &mut value[step]) = replicas.into();
    // Preconditions in a Scale are those of its object.
    for field in ["resourceVersion", "uid"] {
        if let Some(value) = scale["metadata"].get(field) {
            object["metadata"][field] = value.clone();
        }
    }
    Ok(object)
}

/// Records who owns the number. Kubernetes tracks the Scale: not at all while nobody owns the number; and none is left out
/// of it, so who scales to none owns nothing, and who owned the number before does so no longer.
fn track(work: &Work, live: &Value, new: &mut Value) {
    let (wanted, ..) = paths(work.kind);
    let pen = work.options.pen(Some(Sub::Scale));
    let owned = wanted.replace('/', "/f:");
    let mut entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    if !entries.any(|entry| entry["fieldsV1"].pointer(&owned).is_some()) {
        return;
    }
    let none = |object: &Value| object.pointer(&wanted).and_then(Value::as_i64).unwrap_or(0) == 0;
    if !none(new) || none(live) {
        return pieces::track(work.kind, Some(live), new, &pen);
    }
    let (parent, field) = wanted.rsplit_once('/').unwrap_or(("", &wanted));
    let part = |new: &mut Value| new.pointer_mut(parent).and_then(Value::as_object_mut)?.shift_remove(field);
    let number = part(new);
    pieces::track(work.kind, Some(live), new, &pen);
    if let Some((fields, number)) = new.pointer_mut(parent).and_then(Value::as_object_mut).zip(number) {
        fields.insert(field.into(), number);
    }
}

impl Work<'_> {
    /// PUT of a Scale.
    ///
    /// # Errors
    /// 400, 404, 409, 422.
    pub fn rescale(&mut self, name: &str, scale: &Value) -> Result<Written, Status> {
        let live = self.live(name)?;
        let new = onto(self.kind, &live, scale)?;
        self.check_version(&live, &new, name)?;
        self.store_over(&live, new, Some(Sub::Scale), track)
    }

    /// PATCH of a Scale, in any form; an apply owns the number of replicas.
    ///
    /// # Errors
    /// 400, 404, 409, 415, 422.
    pub fn patch_scale(&mut self, name: &str, content_type: &str, body: &[u8]) -> Result<Written, Status> {
        let live = self.live(name)?;
        let now = of(self.kind, &live);
        if content_type != "application/apply-patch+yaml" {
            let patched = match content_type {
                // A Scale has no lists to merge by key: both merge patches mean the same.
                "application/strategic-merge-patch+json" => self.patched(&now, "application/merge-patch+json", body)?,
                other => self.patched(&now, other, body)?,
            };
            return self.rescale(name, &patched);
        }
        let scale = super::http::decode_as(content_type, body)?;
        let mut wish = json!({"apiVersion": self.kind.api_version(), "kind": self.kind.kind,
            "metadata": {"name": name, "namespace": self.namespace}});
        let wanted = onto(self.kind, &json!({}), &scale)?;
        for (field, value) in wanted.as_object().into_iter().flatten().filter(|(f, _)| *f != "metadata") {
            wish[field] = value.clone();
        }
        self.check_version(&live, &scale, name)?;
        let merged =
            pieces::apply(self.kind, Some(&live), &wish, &self.options.pen(Some(Sub::Scale)), self.options.force)?;
        self.store_over(&live, merged, Some(Sub::Scale), |_, _, _| {})
    }
}
