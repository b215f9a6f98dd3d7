//! THE function that writes to users' clusters. What comes in: one change and how careful to be. What goes out: what
//! happened, as a value that can be shown. May not know: why the change is made.
//! Server-side apply with failctl's field manager, merge patches and deletes, nothing else. Repeated only after 429,
//! 5xx and lost connections: each of these writes can be sent twice without harm (an apply says the same again, a
//! merge patch carries a resourceVersion or sets what it sets, a delete names a UID).

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use http_body_util::BodyExt;
use kube::Client;
use kube::core::Status;
use serde::Serialize;
use serde_json::{Value, json};

use super::clients::{Trouble, trouble_of};
use super::kinds::{KindOf, url_of};
use crate::manifest::FIELD_MANAGER;
use crate::plan::{Change, Write};

/// Whether the server only tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// It writes.
    #[default]
    No,
    /// It checks and answers as if it wrote (`dryRun=All`).
    Server,
}

/// How to write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Try only.
    pub dry_run: DryRun,
    /// Take fields over from other managers.
    pub force: bool,
    /// Deadline of one request, its answer included.
    pub timeout: Duration,
    /// How often a write is repeated after 429, 5xx or a lost connection.
    pub retries: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { dry_run: DryRun::No, force: false, timeout: Duration::from_secs(30), retries: 4 }
    }
}

/// A field somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldConflict {
    /// Who.
    pub manager: String,
    /// Which field, as the server names it.
    pub field: String,
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// The object is new.
    Created,
    /// The object changed.
    Updated,
    /// The server had nothing to change.
    Unchanged,
    /// The object is gone, or was already.
    Deleted,
    /// Other managers hold these fields; nothing was written.
    Conflict(Vec<FieldConflict>),
    /// The object changed since it was read; nothing was written.
    MovedOn(String),
    /// The server said no: HTTP status and its sentence.
    Refused(u16, String),
    /// No answer; whether it was written is not known.
    Unreachable(String),
}

/// The pauses before another look at an object that somebody else keeps changing ([`WriteResult::MovedOn`]): five,
/// each twice as long as the one before, six seconds in all. Somebody who writes again and again may be done in a moment.
pub fn moved_on_pauses() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(5).build()
}

/// What a write came to, and the object as the server returned it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What happened.
    pub result: WriteResult,
    /// The object after the write, if the server sent it.
    pub object: Option<Value>,
    /// Requests sent.
    pub attempts: usize,
}

impl Outcome {
    /// Whether the cluster now is as the change says.
    pub fn is_done(&self) -> bool {
        use WriteResult::{Created, Deleted, Unchanged, Updated};
        matches!(self.result, Created | Updated | Unchanged | Deleted)
    }

    /// Why not, as one sentence; nothing when it is done.
    pub fn why(&self) -> Option<String> {
        match &self.result {
            WriteResult::Conflict(fields) => {
                let each: Vec<_> = fields.iter().map(|f| format!("{} is held by {}", f.field, f.manager)).collect();
                Some(format!("conflict: {} (--force takes it over)", each.join("; ")))
            }
            WriteResult::MovedOn(why) => Some(format!("the object changed meanwhile: {why}")),
            WriteResult::Refused(code, message) => Some(format!("refused ({code}): {message}")),
            WriteResult::Unreachable(why) => Some(format!("no answer: {why}")),
            _ => None,
        }
    }
}

/// Writes one change.
pub async fn write(client: &Client, change: &Change, options: &WriteOptions) -> Outcome {
    let kind = match KindOf::find(client, &change.key.gvk).await {
        Ok(kind) => kind,
        Err(trouble) => return failed(trouble, 0),
    };
    let url = url_of(&change.key.gvk, &kind, change.key.namespace.as_deref(), Some(&change.key.name));
    let Some(sending) = Sending::of(change, url, options) else {
        return Outcome { result: WriteResult::Unchanged, object: change.before.clone(), attempts: 0 };
    };
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let send = || {
        attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        sending.send(client, options.timeout)
    };
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(3))
        .with_jitter()
        .with_max_times(options.retries);
    let answer = send.retry(backoff).when(Answer::may_be_repeated).await;
    let attempts = attempts.into_inner();
    match answer {
        Ok((code, object)) => Outcome { result: done(change, code, object.as_ref(), options), object, attempts },
        Err(answer) => answer.outcome(change, attempts),
    }
}

fn failed(trouble: Trouble, attempts: usize) -> Outcome {
    let result = match trouble {
        Trouble::Unreachable(why) => WriteResult::Unreachable(why),
        Trouble::Refused { code, message } => WriteResult::Refused(code, message),
    };
    Outcome { result, object: None, attempts }
}

fn done(change: &Change, code: u16, object: Option<&Value>, options: &WriteOptions) -> WriteResult {
    let version = |o: Option<&Value>| o.and_then(|o| o.pointer("/metadata/resourceVersion").cloned());
    match &change.write {
        Write::Delete { .. } => WriteResult::Deleted,
        _ if code == 201 || change.before.is_none() && change.write_makes_objects() => WriteResult::Created,
        // A dry run answers with the version the object has.
        _ if options.dry_run == DryRun::No
            && version(object).is_some()
            && version(object) == version(change.before.as_ref()) =>
        {
            WriteResult::Unchanged
        }
        _ => WriteResult::Updated,
    }
}

impl Change {
    fn write_makes_objects(&self) -> bool {
        matches!(self.write, Write::Apply { .. })
    }
}

/// One request that may be sent several times.
struct Sending {
    method: http::Method,
    url: String,
    content: &'static str,
    body: Vec<u8>,
}

/// An answer that is no success.
enum Answer {
    Status(Box<Status>),
    Nothing(String),
}

impl Sending {
    fn of(change: &Change, url: String, options: &WriteOptions) -> Option<Sending> {
        let dry = if options.dry_run == DryRun::Server { "&dryRun=All" } else { "" };
        let sending =
            |method, url, content, body: &Value| Sending { method, url, content, body: body.to_string().into() };
        Some(match &change.write {
            Write::Nothing => return None,
            Write::Apply { body } => {
                let force = options.force;
                let url = format!("{url}?fieldManager={FIELD_MANAGER}&force={force}&fieldValidation=Strict{dry}");
                sending(http::Method::PATCH, url, "application/apply-patch+yaml", body)
            }
            Write::Merge { patch, subresource } => {
                let sub = subresource.as_ref().map(|s| format!("/{s}")).unwrap_or_default();
                let url = format!("{url}{sub}?fieldManager={FIELD_MANAGER}{dry}");
                sending(http::Method::PATCH, url, "application/merge-patch+json", patch)
            }
            Write::Delete { uid } => {
                let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
                if let Some(uid) = uid {
                    body["preconditions"] = json!({ "uid": uid });
                }
                if options.dry_run == DryRun::Server {
                    body["dryRun"] = json!(["All"]);
                }
                sending(http::Method::DELETE, url, "application/json", &body)
            }
        })
    }

    async fn send(&self, client: &Client, timeout: Duration) -> Result<(u16, Option<Value>), Answer> {
        let request = http::Request::builder()
            .method(self.method.clone())
            .uri(&self.url)
            .header(http::header::CONTENT_TYPE, self.content)
            .header(http::header::ACCEPT, "application/json")
            .body(kube::client::Body::from(self.body.clone()))
            .map_err(|e| Answer::Nothing(e.to_string()))?;
        let exchange = async {
            let response = client.send(request).await.map_err(|e| trouble_of(&e).to_string())?;
            let code = response.status();
            let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok::<_, String>((code, body))
        };
        let timed = tokio::time::timeout(timeout, exchange).await;
        let late = |_| Answer::Nothing(format!("no answer within {} s", timeout.as_secs()));
        let (code, body) = timed.map_err(late)?.map_err(Answer::Nothing)?;
        let value: Option<Value> = serde_json::from_slice(&body).ok();
        if code.is_success() {
            return Ok((code.as_u16(), value.filter(|v| v["kind"] != "Status")));
        }
        let status = value.and_then(|v| serde_json::from_value::<Status>(v).ok());
        let mut status = status.unwrap_or_default();
        status.code = code.as_u16();
        if status.message.is_empty() {
            status.message = String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_string();
        }
        Err(Answer::Status(Box::new(status)))
    }
}

impl Answer {
    fn may_be_repeated(&self) -> bool {
        match self {
            Answer::Nothing(_) => true,
            Answer::Status(status) => status.code == 429 || status.code >= 500,
        }
    }

    fn outcome(self, change: &Change, attempts: usize) -> Outcome {
        let status = match self {
            Answer::Nothing(why) => return failed(Trouble::Unreachable(why), attempts),
            Answer::Status(status) => *status,
        };
        let deleting = matches!(change.write, Write::Delete { .. });
        let conflicts = conflicts(&status);
        let result = match status.code {
            404 if deleting => WriteResult::Deleted,
            409 if !conflicts.is_empty() => WriteResult::Conflict(conflicts),
            409 => WriteResult::MovedOn(status.message),
            // The API server is there and cannot do its work: for the user that is a cluster out of reach.
            500.. | 429 => WriteResult::Unreachable(format!("{} ({})", status.message, status.code)),
            code => WriteResult::Refused(code, status.message),
        };
        Outcome { result, object: None, attempts }
    }
}

/// The managers and fields of a conflict. The server's sentence is `conflict with "manager" using v1` or, for plain
/// writes, `conflict with "manager" using v1 at 2026-01-01T00:00:00Z`.
fn conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.iter().flat_map(|d| &d.causes).filter(|c| c.reason == "FieldManagerConflict");
    let manager = |message: &str| message.split('"').nth(1).unwrap_or(message).to_string();
    causes.map(|c| FieldConflict { manager: manager(&c.message), field: c.field.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_keeps_changing_is_looked_at_six_times_in_six_seconds() {
        let pauses: Vec<_> = moved_on_pauses().collect();
        assert_eq!(pauses.len() + 1, 6);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.iter().sum::<Duration>().as_secs(), 6);
    }
}
