//! PUT: a whole object, or the part of it behind a subresource, in place of the stored one.

use serde_json::Value;

use super::super::kinds::{Resource, Sub};
use super::super::read::find;
use super::super::status::{Cause, Status};
use super::super::{convert, pieces};
use super::{Work, Written, admit, no_new_finalizers};

/// Metadata that only the server sets.
const SERVERS: [&str; 8] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "generateName",
    "resourceVersion",
    "selfLink",
];

impl Work<'_> {
    /// Replaces an object, or its status, by a body.
    ///
    /// # Errors
    /// 400, 404, 409 (somebody else wrote first), 422.
    pub fn replace(&mut self, name: &str, sub: Option<Sub>, mut body: Value) -> Result<Written, Status> {
        let live = self.live(name)?;
        self.check_identity(&mut body, Some(name))?;
        self.check_fields(&body)?;
        self.check_version(&live, &body, name)?;
        let conditional = !Self::text(&body, "/metadata/resourceVersion").is_empty();
        if !conditional && self.kind.custom.is_some() {
            let value = Value::from(0);
            let cause = Cause::invalid("metadata.resourceVersion", &value, "must be specified for an update");
            return Err(Status::invalid(self.kind, name, &[cause]));
        }
        self.store_over(&live, body, sub, |work, live, new| {
            pieces::track(work.kind, Some(live), new, &work.options.pen(sub));
        })
    }

    /// The stored object in the request's version.
    pub(in super::super) fn live(&self, name: &str) -> Result<Value, Status> {
        let stored = find(self.state, self.kind, self.namespace, name)?;
        let mut live = Value::clone(&stored);
        convert::to_served(self.kind, &mut live);
        Ok(live)
    }

    /// The preconditions a body carries in itself: resourceVersion and uid.
    pub(in super::super) fn check_version(&self, live: &Value, body: &Value, name: &str) -> Result<(), Status> {
        let version = Self::text(body, "/metadata/resourceVersion");
        if !version.is_empty() && version != "0" && version != Self::text(live, "/metadata/resourceVersion") {
            return Err(Status::stale(self.kind, name));
        }
        let (uid, lives) = (Self::text(body, "/metadata/uid"), Self::text(live, "/metadata/uid"));
        if !uid.is_empty() && uid != lives {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {lives}");
            return Err(Status::conflict(self.kind, name, &why));
        }
        Ok(())
    }

    /// Completes, checks and stores a new state of an object; `track` records its fields' owners.
    pub(in super::super) fn store_over(
        &mut self,
        live: &Value,
        mut new: Value,
        sub: Option<Sub>,
        track: impl Fn(&Self, &Value, &mut Value),
    ) -> Result<Written, Status> {
        new = match sub {
            Some(Sub::Status) => only(live, &new, "status"),
            _ if self.kind.has(Sub::Status) => with(&new, live, "status"),
            _ => new,
        };
        for field in SERVERS {
            keep(&mut new["metadata"], &live["metadata"], field);
        }
        pieces::complete(self.kind, &mut new);
        track(self, live, &mut new);
        admit::before_update(self, live, &mut new, sub)?;
        if self.mutate(Some(live), &mut new)? {
            track(self, live, &mut new);
        }
        no_new_finalizers(self.kind, live, &new)?;
        self.check_valid(&new, Some(live))?;
        if self.kind.generation && sub != Some(Sub::Status) && wish(self.kind, live, &new) {
            new["metadata"]["generation"] = (live["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        self.commit(Some(live), new)
    }
}

/// Whether what is wished for differs: `spec` of a built-in kind (of Deployments also annotations, by which they used to
/// be told what to do), all but metadata and status of a custom one.
fn wish(kind: &Resource, live: &Value, new: &Value) -> bool {
    let annotations = |o: &Value| o["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    if kind.is("apps", "Deployment") && annotations(live) != annotations(new) {
        return true;
    }
    if kind.custom.is_none() && live.get("spec").is_some() {
        return live["spec"] != new["spec"];
    }
    let rest = |o: &Value| {
        let mut fields = o.as_object().cloned().unwrap_or_default();
        ["metadata", "status", "apiVersion"].iter().for_each(|f| {
            fields.shift_remove(*f);
        });
        fields
    };
    rest(live) != rest(new)
}

/// `live` with one field of `new` (and its record of managers, which the writer may have reset).
fn only(live: &Value, new: &Value, field: &str) -> Value {
    let mut object = with(live, new, field);
    keep(&mut object["metadata"], &new["metadata"], "managedFields");
    object
}

/// `object` with one field of `other`.
fn with(object: &Value, other: &Value, field: &str) -> Value {
    let mut object = object.clone();
    keep(&mut object, other, field);
    object
}

/// Sets one field as the other has it, or takes it away.
fn keep(object: &mut Value, other: &Value, field: &str) {
    let Some(fields) = object.as_object_mut() else { return };
    match other.get(field) {
        Some(value) => drop(fields.insert(field.into(), value.clone())),
        None => drop(fields.shift_remove(field)),
    }
}
