//! Watches: what happens to the selected objects, from a revision on, one JSON object per line.
//! What comes in: a target and a query. What goes out: a stream that ends with its timeout or with the server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::http::{BodyError, Call, Reply, reply};
use super::kinds::Resource;
use super::negotiate::{Form, form, metadata_only};
use super::pieces;
use super::read::{not_in_the_future, served};
use super::selector::Selector;
use super::state::Api;
use super::status::Status;
use super::store::{Compacted, Event};

/// How often a quiet watch tells how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(30);
/// Longest watch when the client names none (kube-apiserver: between 30 and 60 minutes).
const LONGEST: Duration = Duration::from_secs(1800);

struct Watch {
    api: Arc<Api>,
    kind: Arc<Resource>,
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    include: String,
    bookmarks: bool,
    now: jiff::Timestamp,
}

/// A watch on a collection.
///
/// # Errors
/// 400 for what cannot be read; forgotten history is an ERROR event in the stream, as in Kubernetes.
pub fn watch(api: &Arc<Api>, kind: &Arc<Resource>, namespace: Option<&str>, call: &Call) -> Result<Reply, Status> {
    let query = &call.query;
    let watch = Watch {
        api: api.clone(),
        kind: kind.clone(),
        namespace: namespace.map(Into::into),
        selector: Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?,
        form: form(call.header(header::ACCEPT))?,
        include: query.get("includeObject").to_string(),
        bookmarks: query.flag("allowWatchBookmarks"),
        now: call.now,
    };
    let version = query.number("resourceVersion")?;
    not_in_the_future(&api.lock(), version)?;
    let initial = match query.get("sendInitialEvents") {
        "" => version.unwrap_or(0) == 0,
        _ if query.get("resourceVersionMatch") != "NotOlderThan" => {
            return Err(Status::bad_request(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        text => text == "true",
    };
    let told = query.flag("sendInitialEvents");
    let timeout = query.number("timeoutSeconds")?.filter(|s| *s > 0).map_or(LONGEST, Duration::from_secs);
    let from = version.filter(|v| *v > 0 && !initial);
    let lines = watch.lines(initial, told, from, Instant::now() + timeout);
    let frames = futures::StreamExt::map(lines, |line| Ok::<_, BodyError>(Frame::data(line)));
    Ok(reply(200, "application/json", StreamBody::new(frames).boxed_unsync()))
}

impl Watch {
    fn lines(
        self,
        initial: bool,
        tell_end: bool,
        from: Option<u64>,
        deadline: Instant,
    ) -> impl futures::Stream<Item = Bytes> + Send {
        let table = self.kind.table();
        let (mut changed, mut at, first) = {
            let mut state = self.api.lock();
            let first: Vec<Arc<Value>> = if initial {
                let all = state.store.list(&table, self.namespace.as_deref());
                all.filter(|o| self.selector.matches(o)).cloned().collect()
            } else {
                Vec::new()
            };
            (state.store.subscribe(&table), from.unwrap_or(state.store.revision()), first)
        };
        async_stream::stream! {
            for object in first {
                yield self.line("ADDED", &object);
            }
            if tell_end {
                yield self.bookmark(at, true);
            }
            let mut bookmark = Instant::now() + BOOKMARK_EVERY;
            loop {
                changed.borrow_and_update();
                let events = self.api.lock().store.since(&table, at);
                match events {
                    Ok(events) => {
                        for event in events {
                            at = event.revision;
                            if let Some(line) = self.event(&event) {
                                yield line;
                            }
                        }
                    }
                    Err(Compacted(oldest)) => {
                        let status = Status::expired(format!("too old resource version: {at} ({oldest})"));
                        yield line(&json!({"type": "ERROR", "object": status.0}));
                        return;
                    }
                }
                tokio::select! {
                    result = changed.changed() => if result.is_err() { return },
                    () = self.api.closing.cancelled() => return,
                    () = tokio::time::sleep_until(deadline) => {
                        if self.bookmarks {
                            yield self.bookmark(at, false);
                        }
                        return;
                    }
                    () = tokio::time::sleep_until(bookmark), if self.bookmarks => {
                        // What the table has not seen happened elsewhere: this watch is as new as the store.
                        at = self.caught_up(&table, at);
                        yield self.bookmark(at, false);
                        bookmark = Instant::now() + BOOKMARK_EVERY;
                    }
                }
            }
        }
    }

    /// The newest revision at which this watch has seen everything.
    fn caught_up(&self, table: &str, at: u64) -> u64 {
        let state = self.api.lock();
        let nothing_new = state.store.since(table, at).is_ok_and(|events| events.is_empty());
        if nothing_new { state.store.revision() } else { at }
    }

    /// An event as this watch sees it: an object that starts or stops being selected comes or goes.
    fn event(&self, event: &Event) -> Option<Bytes> {
        let here = |o: &Value| self.namespace.as_deref().is_none_or(|n| o["metadata"]["namespace"] == n);
        if !here(&event.object) {
            return None;
        }
        let before = event.before.as_ref().is_some_and(|b| self.selector.matches(b));
        let now = !event.deleted && self.selector.matches(&event.object);
        match (before, now) {
            (false, false) => None,
            (false, true) => Some(self.line("ADDED", &event.object)),
            (true, true) => Some(self.line("MODIFIED", &event.object)),
            (true, false) if event.deleted => Some(self.line("DELETED", &event.object)),
            (true, false) => {
                // The last state that was selected, at the revision at which it ceased to be.
                let mut last = event.before.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = event.revision.to_string().into();
                Some(self.line("DELETED", &Arc::new(last)))
            }
        }
    }

    fn line(&self, what: &str, object: &Arc<Value>) -> Bytes {
        let object = served(&self.kind, object);
        match self.form {
            Form::Objects => line(&Told { r#type: what, object: &object }),
            Form::Metadata => line(&json!({"type": what, "object": metadata_only(&object)})),
            Form::Table => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let table = pieces::table(
                    &self.kind,
                    &[&object],
                    &self.include,
                    metadata,
                    self.now.max(jiff::Timestamp::now()),
                );
                line(&json!({"type": what, "object": table}))
            }
        }
    }

    fn bookmark(&self, at: u64, end_of_initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": at.to_string(), "creationTimestamp": null});
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form {
            Form::Objects => {
                json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata})
            }
            Form::Metadata => metadata_only(&json!({"metadata": metadata})),
            Form::Table => pieces::table(&self.kind, &[], &self.include, metadata, self.now),
        };
        line(&json!({"type": "BOOKMARK", "object": object}))
    }
}

#[derive(serde::Serialize)]
struct Told<'a> {
    r#type: &'a str,
    object: &'a Value,
}

fn line(value: &impl serde::Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
