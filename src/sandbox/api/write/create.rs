//! POST: a new object.

use serde_json::Value;

use super::super::kinds::Sub;
use super::super::pieces;
use super::super::state::{DEFINITIONS, dying, stamp};
use super::super::status::{Cause, Status};
use super::{Work, Written, admit, names};

impl Work<'_> {
    /// Creates an object from a body.
    ///
    /// # Errors
    /// 400, 403, 404 (no such namespace), 409 (the name is taken), 422.
    pub fn create(&mut self, mut body: Value) -> Result<Written, Status> {
        self.check_identity(&mut body, None)?;
        self.check_fields(&body)?;
        if !Self::text(&body, "/metadata/resourceVersion").is_empty() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let prefix = Self::text(&body, "/metadata/generateName").to_string();
        if Self::text(&body, "/metadata/name").is_empty() && !prefix.is_empty() {
            let prefix: String = prefix.chars().take(58).collect();
            let made = self.admitted.map(|a| a.name().to_owned());
            body["metadata"]["name"] = made.unwrap_or_else(|| format!("{prefix}{}", names::suffix())).into();
        }
        self.make(body, |work, object| {
            pieces::track(work.kind, None, object, &work.options.pen(None));
        })
    }

    /// Completes, checks and stores a new object; `track` records its fields' owner.
    pub(super) fn make(&mut self, mut object: Value, track: impl Fn(&Self, &mut Value)) -> Result<Written, Status> {
        let name = Self::text(&object, "/metadata/name").to_string();
        self.check_place(&name)?;
        let drops_status = self.kind.has(Sub::Status) && !self.kind.is("", "Node");
        if drops_status && let Some(fields) = object.as_object_mut() {
            fields.shift_remove("status");
        }
        stamp(&mut object, self.options.now, self.kind.generation);
        pieces::complete(self.kind, &mut object);
        track(self, &mut object);
        pieces::settle(self.kind, &mut object);
        admit::before_create(self, &mut object)?;
        if self.mutate(None, &mut object)? {
            track(self, &mut object);
        }
        self.check_valid(&object, None)?;
        if self.state.store.get(&self.kind.table(), self.namespace, &name).is_some() {
            return Err(Status::already_exists(self.kind, &name));
        }
        let written = self.commit(None, object)?;
        if !self.options.dry_run {
            admit::after_create(self, &written.object)?;
        }
        Ok(written)
    }

    /// The namespace must be there and not on its way out; likewise the definition of a custom kind.
    fn check_place(&self, name: &str) -> Result<(), Status> {
        if self.kind.custom.is_some()
            && self.state.store.get(DEFINITIONS, "", &self.kind.table()).is_some_and(|d| dying(&d))
        {
            return Err(Status::new(
                405,
                "MethodNotAllowed",
                "create not allowed while custom resource definition is terminating",
            ));
        }
        if !self.kind.namespaced {
            return Ok(());
        }
        let Some(namespace) = self.state.namespace(self.namespace) else {
            let kinds = self.state.kind_of("namespaces").ok_or_else(Status::no_such_path)?;
            return Err(Status::not_found(&kinds, self.namespace));
        };
        if !dying(&namespace) {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {} because it is being terminated", self.namespace);
        let mut status = Status::forbidden(self.kind, name, &why);
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {} is being terminated", self.namespace),
            field: "metadata.namespace".into(),
        };
        status.0["details"]["causes"] =
            serde_json::json!([{"reason": cause.reason, "message": cause.message, "field": cause.field}]);
        Err(status)
    }
}
