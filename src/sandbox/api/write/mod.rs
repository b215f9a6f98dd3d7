//! Writing objects: create, update, patch and delete, each decided whole before anything is stored.
//! What comes in: a body, who sends it and how. What goes out: the object as stored (or as it would be: `dryRun`).
//! May not know: HTTP answers.

pub mod admit;
pub mod create;
pub mod delete;
pub mod names;
pub mod patch;
pub mod update;

use serde_json::Value;

use super::convert;
use super::http::Call;
use super::kinds::{Resource, Sub};
use super::pieces::{self, Pen};
use super::state::{Api, State, dying, finalizers};
use super::status::{Cause, Status};
use super::webhooks::Admitted;

/// What to do about fields that the kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// How a write was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decide, answer, store nothing.
    pub dry_run: bool,
    /// Field manager: named, or read from the user agent.
    pub manager: String,
    /// Whether the request named it.
    pub named: bool,
    /// Take fields from other managers (apply only).
    pub force: bool,
    validation: Validation,
    /// Now, as Kubernetes writes it.
    pub time: String,
    /// Now.
    pub now: jiff::Timestamp,
}

impl Options {
    /// From a request's query and headers.
    ///
    /// # Errors
    /// 400/422 for values Kubernetes does not know.
    pub fn of(call: &Call) -> Result<Options, Status> {
        let query = &call.query;
        let mut dry = query.all("dryRun");
        let dry_run = match (dry.next(), dry.next()) {
            (None | Some(""), None) => false,
            (Some("All"), None) => true,
            (other, _) => {
                let other = other.unwrap_or_default();
                return Err(Status::bad_request(format!(
                    "dryRun: Unsupported value: {other:?}: supported values: \"All\""
                )));
            }
        };
        let validation = match query.get("fieldValidation") {
            "" | "Warn" => Validation::Warn,
            "Ignore" => Validation::Ignore,
            "Strict" => Validation::Strict,
            other => {
                let known = "supported values: \"Ignore\", \"Strict\", \"Warn\"";
                return Err(Status::bad_request(format!("fieldValidation: Unsupported value: {other:?}: {known}")));
            }
        };
        let text = |name| Some(super::http::text(&call.headers, name)).filter(|t| !t.is_empty());
        let named = Some(query.get("fieldManager")).filter(|m| !m.is_empty());
        let manager = super::ssa::manager_name(named, text(http::header::USER_AGENT));
        Ok(Options {
            dry_run,
            named: named.is_some(),
            manager,
            force: query.flag("force"),
            validation,
            time: call.time(),
            now: call.now,
        })
    }

    /// The same as a dry run.
    pub fn dry(&self) -> Options {
        Options { dry_run: true, ..self.clone() }
    }

    pub(super) fn pen(&self, sub: Option<Sub>) -> Pen<'_> {
        Pen { manager: &self.manager, sub, time: &self.time }
    }
}

/// One write in progress.
pub struct Work<'a> {
    /// The server.
    pub api: &'a Api,
    /// Its state, locked for this write.
    pub state: &'a mut State,
    /// The kind in the request's version.
    pub kind: &'a Resource,
    /// Namespace; empty for cluster scope.
    pub namespace: &'a str,
    /// How.
    pub options: &'a Options,
    /// What the client should be told besides the answer.
    pub warnings: Vec<String>,
    /// What webhooks want of it, where some were asked.
    pub admitted: Option<&'a Admitted>,
}

/// What came of a write.
#[derive(Debug)]
pub struct Written {
    /// The object in the request's version.
    pub object: Value,
    /// Whether it is new.
    pub created: bool,
}

impl Work<'_> {
    fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Applies what webhooks want, if they saw the object as it is now, and completes it again.
    fn mutate(&self, live: Option<&Value>, object: &mut Value) -> Result<bool, Status> {
        let Some(admitted) = self.admitted else { return Ok(false) };
        if !admitted.saw(live) {
            return Err(Admitted::outdated(self.kind, Self::text(object, "/metadata/name")));
        }
        let before = object.clone();
        admitted.apply(object)?;
        pieces::complete(self.kind, object);
        Ok(before != *object)
    }

    /// Checks what a body says it is: kind, version, namespace, name.
    fn check_identity(&self, body: &mut Value, name: Option<&str>) -> Result<(), Status> {
        if !body.is_object() {
            return Err(Status::bad_request("the body must be an object"));
        }
        if !body["metadata"].is_object() {
            body["metadata"] = Value::Object(serde_json::Map::new());
        }
        let expected = (self.kind.api_version(), self.kind.kind.as_str());
        let said = (Self::text(body, "/apiVersion"), Self::text(body, "/kind"));
        if said == ("", "") && self.kind.custom.is_none() {
            body["apiVersion"] = expected.0.clone().into();
            body["kind"] = expected.1.into();
        } else if said != (expected.0.as_str(), expected.1) {
            let (version, kind) = said;
            let message = format!(
                "the API version or kind in the data ({version}, {kind}) does not match the expected one ({}, {})",
                expected.0, expected.1
            );
            return Err(Status::bad_request(message));
        }
        let namespace = Self::text(body, "/metadata/namespace");
        if self.kind.namespaced && namespace.is_empty() {
            body["metadata"]["namespace"] = self.namespace.into();
        } else if namespace != self.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        match (name, Self::text(body, "/metadata/name")) {
            (Some(name), "") => body["metadata"]["name"] = name.into(),
            (Some(name), said) if said != name => {
                return Err(Status::bad_request(format!(
                    "the name of the object ({said}) does not match the name on the URL ({name})"
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// Warns of, or refuses, fields that the kind does not have.
    fn check_fields(&mut self, body: &Value) -> Result<(), Status> {
        self.strict(body).map_err(Status::bad_request)
    }

    /// The same for an object as a patch leaves it, of which the whole is then called invalid.
    fn check_patched_fields(&mut self, patched: &Value) -> Result<(), Status> {
        self.strict(patched).map_err(|why| Status::unfit_patch(patched, &why))
    }

    fn strict(&mut self, body: &Value) -> Result<(), String> {
        if self.options.validation == Validation::Ignore {
            return Ok(());
        }
        let unknown = pieces::unknown_fields(self.kind, body);
        let told = unknown.iter().map(|f| format!("unknown field {f:?}"));
        if self.options.validation == Validation::Strict && !unknown.is_empty() {
            return Err(format!("strict decoding error: {}", told.collect::<Vec<_>>().join(", ")));
        }
        self.warnings.extend(told);
        Ok(())
    }

    fn check_valid(&self, object: &Value, old: Option<&Value>) -> Result<(), Status> {
        let name = Self::text(object, "/metadata/name");
        let mut causes = names::check(self.kind, object);
        causes.extend(pieces::validate(self.kind, object, old));
        if causes.is_empty() { Ok(()) } else { Err(Status::invalid(self.kind, name, &causes)) }
    }

    /// Stores a decided object, unless nothing changed or this is a dry run; removes one whose last finalizer went.
    fn commit(&mut self, live: Option<&Value>, mut new: Value) -> Result<Written, Status> {
        let created = live.is_none();
        if let Some(live) = live.filter(|l| unchanged(l, &new)) {
            let mut object = live.clone();
            convert::to_served(self.kind, &mut object);
            return Ok(Written { object, created: false });
        }
        let (table, name) = (self.kind.table(), Self::text(&new, "/metadata/name").to_string());
        convert::to_storage(self.kind, &mut new);
        let mut object = if self.options.dry_run {
            new
        } else if dying(&new) && delete::complete(self.kind, &new) {
            self.state.remove(&table, self.namespace, &name, self.options.now)?;
            new
        } else {
            Value::clone(&*self.state.put(&table, new)?)
        };
        convert::to_served(self.kind, &mut object);
        Ok(Written { object, created })
    }
}

/// Whether two states of an object differ in nothing but when their managers last wrote.
fn unchanged(live: &Value, new: &Value) -> bool {
    fn strip(object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(managers) = object["metadata"]["managedFields"].as_array_mut() {
            managers.iter_mut().filter_map(Value::as_object_mut).for_each(|m| {
                m.shift_remove("time");
            });
        }
        object
    }
    live == new || strip(live) == strip(new)
}

/// New finalizers may not be added to an object that is being deleted.
fn no_new_finalizers(kind: &Resource, live: &Value, new: &Value) -> Result<(), Status> {
    if !dying(live) {
        return Ok(());
    }
    let known = finalizers(live);
    let added: Vec<String> = finalizers(new).into_iter().filter(|f| !known.contains(f)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let told = format!("no new finalizers can be added if the object is being deleted, found new finalizers {added:?}");
    Err(Status::invalid(kind, Work::text(live, "/metadata/name"), &[Cause::forbidden("metadata.finalizers", &told)]))
}
