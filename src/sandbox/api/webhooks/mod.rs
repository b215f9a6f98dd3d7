//! Mutating admission: what an object becomes by the webhooks that somebody has registered.
//! What comes in: a write that has not happened yet. What goes out: the patches to apply when it does; or a refusal.
//! May not know: who serves the webhooks.
//!
//! A write is decided twice: once as a dry run, whose result the webhooks see (outside the lock: they may ask this API
//! themselves), and once for real, with their patches. If the object changed in between, all of it begins anew.

mod call;
mod matching;
mod review;

use std::sync::Arc;

use serde_json::Value;

use self::matching::{Asked, Hook};
use super::http::Call;
use super::kinds::{Resource, Sub};
use super::route::Target;
use super::state::Api;
use super::status::Status;
use super::write::{Options, Work};

/// The group of webhook configurations; webhooks are not asked about them.
pub const GROUP: &str = "admissionregistration.k8s.io";
/// The table of mutating ones.
const TABLE: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
/// How often a write begins anew because others were quicker.
pub const TRIES: usize = 5;

/// What webhooks want of a write.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// The name the object has; a generated name is generated once.
    name: String,
    /// The revision of the object they saw; empty for one that was not there.
    base: String,
    /// Their patches, in order.
    patches: Vec<json_patch::Patch>,
    /// What they want the client to be told.
    pub warnings: Vec<String>,
}

impl Admitted {
    /// The name that the webhooks saw.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether they saw this state of the object, or none where there is none.
    pub fn saw(&self, live: Option<&Value>) -> bool {
        live.map_or("", |l| l["metadata"]["resourceVersion"].as_str().unwrap_or_default()) == self.base
    }

    /// Applies the patches.
    ///
    /// # Errors
    /// 500 when one does not fit.
    pub fn apply(&self, object: &mut Value) -> Result<(), Status> {
        self.patches.iter().try_for_each(|p| {
            json_patch::patch(object, p)
                .map_err(|e| Status::internal(format!("the patch of a webhook does not fit: {e}")))
        })
    }

    /// The refusal that makes a write begin anew.
    pub fn outdated(kind: &Resource, name: &str) -> Status {
        let mut status = Status::stale(kind, name);
        status.0["reason"] = OUTDATED.into();
        status
    }
}

const OUTDATED: &str = "SeenByWebhooksInAnotherState";

/// Whether a refusal says that webhooks saw another state of the object.
pub fn is_outdated(status: &Status) -> bool {
    status.0["reason"] == OUTDATED
}

/// Asks the webhooks about a write. None when there is nobody to ask.
///
/// # Errors
/// What is wrong with the write itself; a webhook's refusal; a webhook that cannot be asked and says `Fail`.
pub async fn admit(api: &Arc<Api>, target: &Target, verb: &str, call: &Call) -> Result<Option<Admitted>, Status> {
    if !matches!(verb, "create" | "update" | "patch") || !matches!(target.sub, None | Some(Sub::Status)) {
        return Ok(None);
    }
    let Some((hooks, asked)) = prepare(api, target, verb, call)? else { return Ok(None) };
    let mut admitted = Admitted {
        name: asked.name().to_owned(),
        base: asked
            .old
            .as_ref()
            .map_or("", |o| o["metadata"]["resourceVersion"].as_str().unwrap_or_default())
            .to_owned(),
        ..Admitted::default()
    };
    let mut object = asked.object.clone();
    for hook in hooks.iter().filter(|h| h.concerns(&asked)) {
        if asked.dry_run && !hook.harmless() {
            let why = format!("admission webhook {:?} does not support dry run", hook.name());
            return Err(Status::bad_request(why));
        }
        match ask(hook, &asked, &object).await {
            Ok(answer) => {
                let answer = answer.into_allowed(hook.name())?;
                if let Some(patch) = answer.patch {
                    let fits = json_patch::patch(&mut object, &patch);
                    fits.map_err(|e| hook.failed(&format!("its patch does not fit: {e}")))?;
                    admitted.patches.push(patch);
                }
                admitted.warnings.extend(answer.warnings);
            }
            Err(error) if hook.may_fail() => {
                tracing::warn!("webhook {} was not asked: {error}", hook.name());
            }
            Err(error) => return Err(hook.failed(&error)),
        }
    }
    Ok(Some(admitted))
}

async fn ask(hook: &Hook, asked: &Asked, object: &Value) -> Result<review::Answer, String> {
    let uid = super::state::uid();
    let request = review::request(&uid, asked, object);
    let answer = call::post(hook, &request).await?;
    review::Answer::read(&uid, &answer)
}

/// Who is to be asked about what; the dry run is the first of the two decisions.
fn prepare(api: &Arc<Api>, target: &Target, verb: &str, call: &Call) -> Result<Option<(Vec<Hook>, Asked)>, Status> {
    let Target { kind, namespace, name, sub } = target;
    let mut state = api.lock();
    if kind.group == GROUP || !kind.stored {
        return Ok(None);
    }
    let space = kind.namespaced.then(|| state.namespace(namespace)).flatten();
    let hooks: Vec<Hook> = state
        .store
        .list(TABLE, None)
        .flat_map(|c| Hook::of(c))
        .filter(|h| h.wants(kind, *sub, space.as_deref()))
        .collect();
    if hooks.is_empty() {
        return Ok(None);
    }
    let asked_for = Options::of(call)?;
    let options = asked_for.dry();
    let old = if name.is_empty() {
        None
    } else {
        super::read::find(&state, kind, namespace, name).ok().map(|o| Value::clone(&super::read::served(kind, &o)))
    };
    let mut work =
        Work { api, state: &mut state, kind, namespace, options: &options, warnings: Vec::new(), admitted: None };
    let written = match verb {
        "create" => work.create(super::http::decode(call)?),
        "update" => work.replace(name, *sub, super::http::decode(call)?),
        _ => work.patch(name, *sub, call.content_type(), &call.body),
    }?;
    let asked = Asked {
        kind: kind.clone(),
        sub: *sub,
        operation: if written.created { "CREATE" } else { "UPDATE" },
        old: old.filter(|_| !written.created),
        object: written.object,
        user: call.user.clone(),
        dry_run: asked_for.dry_run,
    };
    Ok(Some((hooks, asked)))
}
