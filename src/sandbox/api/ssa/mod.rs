//! Server-side apply: who owns which field of an object. Objects, a writer and a time in; objects with `managedFields`,
//! or conflicts, out. Pure.
//!
//! The rules are those of Kubernetes: structured-merge-diff ([`set`], [`typed`], `update`) under the field manager's
//! habits (what is never owned, how a first apply meets an untracked object, how `kubectl apply` turns server-side).

mod managers;
mod misfits;
pub mod path;
mod reconcile;
pub mod set;
mod typed;
mod update;

#[cfg(test)]
mod laws;

use managers::{Manager, Managers, Owned};
use serde_json::{Value, json};
use set::Set;
use update::Updater;

use super::schema::Shape;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const BEFORE: &str = "before-first-apply";

/// Who writes, where and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager; see [`manager_name`].
    pub manager: &'a str,
    /// The version of the request's URL: `apps/v1`.
    pub api_version: &'a str,
    /// Empty, `status` or `scale`.
    pub subresource: &'a str,
    /// RFC 3339 with seconds.
    pub time: &'a str,
    /// Which fields the endpoint ignores, so that writing them owns nothing.
    pub reset: Reset,
}

/// Which fields an endpoint ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// None.
    None,
    /// `status`: the main endpoint of a kind that has a `/status`.
    Status,
    /// `spec` and, for some kinds, part of the metadata: the `/status` endpoint.
    AllButStatus,
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Others own fields that would change.
    Conflicts(Vec<Conflict>),
    /// The request contradicts itself.
    Invalid(String),
    /// The object is not of its kind's type.
    Misfit(String),
}

/// One field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who: `"kubectl" using apps/v1`.
    pub manager: String,
    /// What: `.spec.replicas`.
    pub field: String,
}

impl Refused {
    /// The `Status` that a server answers with.
    pub fn status(&self) -> Value {
        let (code, reason, message, causes) = match self {
            Refused::Invalid(message) => (400, "BadRequest", message.clone(), None),
            Refused::Misfit(message) => (500, "", message.clone(), None),
            Refused::Conflicts(conflicts) => {
                let causes: Vec<Value> = conflicts
                    .iter()
                    .map(|c| {
                        let message = format!("conflict with {}", c.manager);
                        json!({"reason": "FieldManagerConflict", "message": message, "field": c.field})
                    })
                    .collect();
                (409, "Conflict", conflict_message(conflicts), Some(causes))
            }
        };
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"});
        status["message"] = json!(message);
        if !reason.is_empty() {
            status["reason"] = json!(reason);
        }
        if let Some(causes) = causes {
            status["details"] = json!({"causes": causes});
        }
        status["code"] = json!(code);
        status
    }
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field);
    }
    let mut lines = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            last = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.field));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// The field manager of a request: its `fieldManager` parameter, else the first part of its user agent.
pub fn manager_name(field_manager: Option<&str>, user_agent: Option<&str>) -> String {
    match field_manager.filter(|m| !m.is_empty()) {
        Some(manager) => manager.to_owned(),
        None => {
            let name = user_agent.unwrap_or_default().split('/').next().unwrap_or_default();
            let mut short = String::new();
            for c in name.chars().filter(|c| !c.is_control()) {
                if short.len() + c.len_utf8() > 128 {
                    break;
                }
                short.push(c);
            }
            short
        }
    }
}

/// Server-side apply: merges what a manager wants into the object and takes out what it no longer wants.
///
/// `live` is the stored object, or none when this creates one. The answer is the whole object with its `managedFields`;
/// a built-in kind's defaults are still to be filled in. An answer equal to `live` is an apply that changed nothing.
///
/// # Errors
/// Conflicts with other managers unless `force`; a body that cannot be applied.
pub fn apply(
    shape: &Shape,
    live: Option<&Value>,
    body: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Refused> {
    let version = body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if version != writer.api_version {
        return Err(Refused::Invalid(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            writer.api_version
        )));
    }
    if managers::raw(body).is_some() {
        return Err(Refused::Invalid("metadata.managedFields must be nil".into()));
    }
    let stored = live.cloned().unwrap_or_else(|| empty(shape, body));
    let mut managed = managers::decode(managers::raw(&stored))
        .map_err(|why| Refused::Misfit(format!("failed to decode managed fields: {why}")))?;
    let mut current = stored.clone();
    managers::remove(&mut current);
    if managed.is_empty() {
        let first = Writer { manager: BEFORE, reset: writer.reset, ..*writer };
        record(shape, &empty(shape, body), &current, &mut managed, &first);
    }
    check_type(shape, body)?;
    let updater = Updater { shape, version: writer.api_version, ignored: ignored(body, writer) };
    let who = applier(writer);
    let attempt = updater.apply(&current, body, managed.clone(), &who, force);
    let attempt = match attempt {
        Err(update::Stop::Conflicts(sets)) if writer.manager == "kubectl" => {
            let allowed = last_applied_fields(shape, &current, writer);
            let rest: Vec<(Manager, Set)> = sets
                .into_iter()
                .map(|(manager, set)| (manager, set.difference(&allowed)))
                .filter(|(_, set)| !set.is_empty())
                .collect();
            match rest.is_empty() {
                true => updater.apply(&current, body, managed, &who, true),
                false => Err(update::Stop::Conflicts(rest)),
            }
        }
        other => other,
    };
    let (merged, mut managed) = attempt.map_err(|stop| refused(stop, body))?;
    strip(&mut managed, &who);
    let changed = merged.is_some();
    let mut object = merged.unwrap_or(current);
    if changed && let Some(owned) = managed.get_mut(&who) {
        owned.time = Some(writer.time.to_owned());
    }
    if writer.manager == "kubectl" {
        refresh_last_applied(&mut object, body);
    }
    managers::encode(&mut object, &managed);
    if let Some(live) = live {
        keep_times(live, &mut object);
    }
    Ok(object)
}

/// Records who changed what: for every write that is not an apply. `new` is the object as it will be stored.
///
/// The owners are those that `new` carries, so that a client can edit them; a client that sends none keeps the stored
/// ones, and `[{}]` forgets all of them until the next apply.
pub fn track(shape: &Shape, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let stored = live.and_then(managers::raw);
    let of_live = || managers::decode(stored).unwrap_or_default();
    let mut managed = match managers::raw(new) {
        _ if !writer.subresource.is_empty() => of_live(),
        Some(raw) if managers::is_reset(raw) => Managers::new(),
        raw => match managers::decode(raw) {
            Ok(managed) if !managed.is_empty() => managed,
            _ => of_live(),
        },
    };
    managers::remove(new);
    let untracked = live.is_some() && managed.is_empty();
    if !untracked {
        let mut before = live.cloned().unwrap_or_else(|| empty(shape, new));
        managers::remove(&mut before);
        record(shape, &before, new, &mut managed, writer);
        managers::cap(&mut managed);
    }
    managers::encode(new, &managed);
    if let Some(live) = live {
        keep_times(live, new);
    }
}

/// Gives the fields that changed to the writer and takes them from everybody else.
fn record(shape: &Shape, before: &Value, after: &Value, managed: &mut Managers, writer: &Writer<'_>) {
    let updater = Updater { shape, version: writer.api_version, ignored: ignored(after, writer) };
    let changed = updater.update(before, after, managed).difference(never_owned());
    if changed.is_empty() {
        return;
    }
    let name = if writer.manager.is_empty() { "unknown" } else { writer.manager };
    let who = Manager {
        name: name.to_owned(),
        applies: false,
        version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
    };
    let set = managed.get(&who).map_or_else(|| changed.clone(), |owned| owned.set.union(&changed));
    let version = writer.api_version.to_owned();
    managed.insert(who, Owned { set, version, time: Some(writer.time.to_owned()) });
}

fn applier(writer: &Writer<'_>) -> Manager {
    let name = if writer.manager.is_empty() { "unknown" } else { writer.manager };
    Manager { name: name.to_owned(), applies: true, version: String::new(), subresource: writer.subresource.to_owned() }
}

/// An object of the kind with nothing in it: what a new object is compared with.
fn empty(shape: &Shape, like: &Value) -> Value {
    let mut object = json!({"apiVersion": like.get("apiVersion"), "kind": like.get("kind")});
    if shape.is_builtin() {
        shape.prune(&mut object);
    }
    object
}

/// The fields that nobody owns.
fn never_owned() -> &'static Set {
    static FIELDS: std::sync::OnceLock<Set> = std::sync::OnceLock::new();
    FIELDS.get_or_init(|| {
        let mut set = Set::default();
        let field = |name: &str| path::Element::Field(name.to_owned());
        for name in ["apiVersion", "kind", "metadata"] {
            set.insert(&[field(name)]);
        }
        let names = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"];
        for name in names.into_iter().chain(["managedFields", "resourceVersion"]) {
            set.insert(&[field("metadata"), field(name)]);
        }
        set
    })
}

fn strip(managed: &mut Managers, who: &Manager) {
    if let Some(owned) = managed.get_mut(who) {
        owned.set = owned.set.difference(never_owned());
        if owned.set.is_empty() {
            managed.remove(who);
        }
    }
}

/// The fields that the endpoint ignores.
fn ignored(object: &Value, writer: &Writer<'_>) -> Set {
    let paths: &[&[&str]] = match writer.reset {
        Reset::None => &[],
        Reset::Status => &[&["status"]],
        Reset::AllButStatus => match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
            "Pod" => &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
            "Deployment" if writer.api_version == "apps/v1" => &[&["spec"], &["metadata", "labels"]],
            "CustomResourceDefinition" => &[&["spec"], &["metadata"]],
            _ => &[&["spec"]],
        },
    };
    let mut set = Set::default();
    for path in paths {
        let path: Vec<path::Element> = path.iter().map(|name| path::Element::Field((*name).to_owned())).collect();
        set.insert(&path);
    }
    set
}

fn check_type(shape: &Shape, body: &Value) -> Result<(), Refused> {
    let misfits = misfits::misfits(shape.types(), shape.root(), body);
    let what = match misfits.as_slice() {
        [] => return Ok(()),
        [only] => only.clone(),
        several => format!("errors:\n{}", several.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n")),
    };
    Err(Refused::Misfit(format!("failed to create typed patch object ({}): {what}", shown(body))))
}

/// `default/web; apps/v1, Kind=Deployment`
fn shown(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let version = text("/apiVersion");
    let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    format!("{namespace}/{name}; {version}, Kind={}", text("/kind"))
}

fn refused(stop: update::Stop, body: &Value) -> Refused {
    match stop {
        update::Stop::Merge(why) => Refused::Misfit(format!("failed to merge config ({}): {why}", shown(body))),
        update::Stop::Conflicts(sets) => Refused::Conflicts(
            sets.iter()
                .flat_map(|(manager, set)| {
                    let manager = manager.shown();
                    let paths = set.paths().into_iter();
                    paths.map(move |p| Conflict { manager: manager.clone(), field: path::display(&p) })
                })
                .collect(),
        ),
    }
}

/// What a client-side apply wrote and nobody changed since: `kubectl apply --server-side` may take that over.
fn last_applied_fields(shape: &Shape, live: &Value, writer: &Writer<'_>) -> Set {
    let annotation = live.pointer("/metadata/annotations").and_then(|a| a.get(LAST_APPLIED)).and_then(Value::as_str);
    let Some(applied) = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return Set::default();
    };
    let (types, root) = (shape.types(), shape.root());
    let fits = |object: &Value| misfits::misfits(types, root, object).is_empty();
    if applied.get("apiVersion").is_none_or(|v| v != writer.api_version) || !fits(&applied) || !fits(live) {
        return Set::default();
    }
    let changed = typed::difference(types, root, &applied, live);
    let fields = typed::fields(types, root, &applied);
    fields.difference(&changed.modified).difference(&changed.added).difference(&changed.removed)
}

/// Keeps the client-side annotation true to what `kubectl` applies server-side.
fn refresh_last_applied(object: &mut Value, body: &Value) {
    let annotation = object.pointer_mut("/metadata/annotations").and_then(|a| a.get_mut(LAST_APPLIED));
    let Some(annotation) = annotation.filter(|a| a.as_str().is_some_and(|text| !text.is_empty())) else { return };
    let mut body = body.clone();
    if let Some(all) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        all.shift_remove(LAST_APPLIED);
    }
    body.sort_all_objects();
    *annotation = Value::String(path::json(&body) + "\n");
}

/// A write that changed nothing but times changed nothing.
fn keep_times(live: &Value, new: &mut Value) {
    let timeless = |object: &Value| {
        let mut entries = managers::raw(object).cloned().unwrap_or_default();
        for entry in entries.as_array_mut().into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.shift_remove("time");
            }
        }
        entries
    };
    let (Some(stored), Some(written)) = (managers::raw(live), managers::raw(new)) else { return };
    if stored == written || timeless(live) != timeless(new) {
        return;
    }
    let mut restored = new.clone();
    if let Some(entries) = restored.pointer_mut("/metadata/managedFields") {
        *entries = stored.clone();
    }
    if restored == *live {
        *new = restored;
    }
}
