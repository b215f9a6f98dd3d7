//! What a container has written, as `kubectl logs` asks for it.
//!
//! In: a pod's entry, a container's name, the query. Out: lines, all at once or as they come.
//! May not know: how lines are kept.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};

use super::route::Query;
use super::{Answer, text};
use crate::sandbox::node::logs::{Line, Reader};
use crate::sandbox::node::registry::PodEntry;

/// Which lines, and how they look.
#[derive(Debug, Default)]
struct Wish {
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: Option<usize>,
}

impl Wish {
    fn of(query: &Query) -> Result<Wish, String> {
        let number = |name: &str| -> Result<Option<u64>, String> {
            let parse = |v: &str| v.parse().map_err(|_| format!("{name}: `{v}` is no number"));
            query.get(name).map(parse).transpose()
        };
        let seconds = number("sinceSeconds")?.map(|s| i64::try_from(s).unwrap_or(i64::MAX));
        let since = seconds.map(|s| Timestamp::now().saturating_sub(SignedDuration::from_secs(s)));
        let since = since.transpose().map_err(|e| e.to_string())?;
        let time = |v: &str| v.parse::<Timestamp>().map_err(|e| format!("sinceTime: {e}"));
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(Wish {
            follow: query.flag("follow"),
            timestamps: query.flag("timestamps"),
            since: since.or(query.get("sinceTime").map(time).transpose()?),
            tail: number("tailLines")?.map(size),
            limit: number("limitBytes")?.map(size),
        })
    }

    /// Lines as text, up to the limit. Sets the limit to what is left.
    fn print(&mut self, lines: &[Line]) -> Bytes {
        let mut out = BytesMut::new();
        for line in lines.iter().filter(|l| self.since.is_none_or(|since| l.at >= since)) {
            if self.timestamps {
                out.put_slice(line.at.strftime("%Y-%m-%dT%H:%M:%S%.9fZ ").to_string().as_bytes());
            }
            out.put_slice(&line.text);
            out.put_u8(b'\n');
        }
        if let Some(limit) = &mut self.limit {
            out.truncate(*limit);
            *limit -= out.len();
        }
        out.freeze()
    }
}

/// Answers a request for a container's log.
pub fn answer(entry: &PodEntry, container: &str, query: &Query) -> Answer {
    let Some(found) = entry.containers.get(container) else {
        return text(StatusCode::NOT_FOUND, format!("container \"{container}\" not found in pod"));
    };
    let wish = match Wish::of(query) {
        Ok(wish) => wish,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let waiting = || format!("container \"{container}\" in pod is waiting to start");
    let (logs, missing) = if query.flag("previous") {
        (found.previous_logs(), format!("previous terminated container \"{container}\" in pod not found"))
    } else {
        (found.logs(), waiting())
    };
    let Some(logs) = logs else { return text(StatusCode::BAD_REQUEST, missing) };
    // A tail of lines since some time is a tail of those lines, so time is looked at first.
    let tail = if wish.since.is_none() { wish.tail } else { None };
    lines(logs.read(tail), wish)
}

fn lines(mut reader: Reader, mut wish: Wish) -> Answer {
    let mut first = reader.ready();
    if let (Some(since), Some(tail)) = (wish.since, wish.tail) {
        first.retain(|l| l.at >= since);
        first.drain(..first.len().saturating_sub(tail));
    }
    let first = wish.print(&first);
    if !wish.follow {
        return text(StatusCode::OK, first);
    }
    let stream = async_stream::stream! {
        if !first.is_empty() {
            yield Ok::<_, Infallible>(Frame::data(first));
        }
        while wish.limit != Some(0) && reader.more().await {
            let news = wish.print(&reader.ready());
            if !news.is_empty() {
                yield Ok(Frame::data(news));
            }
        }
    };
    let mut answer = Response::new(StreamBody::new(stream).boxed_unsync());
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}
