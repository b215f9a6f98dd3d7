//! Requests and answers as this server's handlers see them: a request read whole, an answer as bytes or a stream.
//! What comes in: HTTP. What goes out: [`Call`]; answers in JSON.
//! May not know: kinds, the store.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use serde_json::Value;

use super::auth::User;
use super::status::Status;

/// Why a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// Body of every answer.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
/// Every answer.
pub type Reply = Response<Body>;

/// Largest body of a request, as in Kubernetes (3 MiB, the limit of etcd's requests).
pub const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// The query of a request, in order.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// From the text after `?`.
    pub fn parse(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter; empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All parameters.
    pub fn pairs(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }

    /// Whether a parameter is `true` (or `1`, as Go reads booleans).
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "True" | "TRUE" | "1" | "t" | "T")
    }

    /// A number.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Status::bad_request(format!("invalid value for {name}: {text:?} is not a number"))),
        }
    }
}

/// A request, read whole, with who sent it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Query.
    pub query: Query,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Who.
    pub user: User,
    /// When it arrived.
    pub now: jiff::Timestamp,
}

impl Call {
    /// A header as text; empty when absent.
    pub fn header(&self, name: header::HeaderName) -> &str {
        text(&self.headers, name)
    }

    /// The media type of the body, without parameters.
    pub fn content_type(&self) -> &str {
        self.header(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
    }

    /// The time as Kubernetes writes it: whole seconds, UTC.
    pub fn time(&self) -> String {
        seconds(self.now)
    }
}

/// A header as text; empty when absent.
pub fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// A time as Kubernetes writes it in metadata.
pub fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a body whole.
///
/// # Errors
/// 413 above [`LARGEST_BODY`], 400 when it breaks off.
pub async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let collected = Limited::new(body, LARGEST_BODY).collect().await;
    collected.map(|b| b.to_bytes()).map_err(|e| {
        if e.is::<http_body_util::LengthLimitError>() {
            let message = format!("Request entity too large: limit is {LARGEST_BODY}");
            Status::new(413, "RequestEntityTooLarge", message)
        } else {
            Status::bad_request(format!("the body of the request broke off: {e}"))
        }
    })
}

/// Bytes as a body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a body of a given type.
pub fn reply(code: u16, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    reply
}

/// An answer in JSON.
pub fn json(code: u16, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            reply(code, "application/json", full(bytes))
        }
        Err(error) => refuse(&Status::internal(error)),
    }
}

/// An answer in plain text.
pub fn plain(code: u16, text: impl Into<Bytes>) -> Reply {
    reply(code, "text/plain; charset=utf-8", full(text))
}

/// A refusal.
pub fn refuse(status: &Status) -> Reply {
    json(status.code(), &status.0)
}

/// Reads JSON, YAML or Kubernetes' protobuf.
///
/// # Errors
/// 400 when the body cannot be read, 415 for another media type.
pub fn decode(call: &Call) -> Result<Value, Status> {
    decode_as(call.content_type(), &call.body)
}

/// Reads a body of the given media type.
///
/// # Errors
/// 400 when the body cannot be read, 415 for another media type.
pub fn decode_as(content_type: &str, body: &[u8]) -> Result<Value, Status> {
    if let Some(decoded) = super::pieces::protobuf(body) {
        return decoded.map_err(|e| Status::bad_request(format!("cannot decode protobuf: {e}")));
    }
    match content_type {
        "" | "application/json" => serde_json::from_slice(body)
            .map_err(|e| Status::bad_request(format!("the object provided is unrecognized: {e}"))),
        "application/yaml" | "application/apply-patch+yaml" => yaml(body),
        other => {
            Err(Status::unsupported(other, "application/json, application/yaml, application/vnd.kubernetes.protobuf"))
        }
    }
}

/// Reads YAML; JSON is YAML, and is tried first because it is quicker and what programs send.
fn yaml(body: &[u8]) -> Result<Value, Status> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|e| Status::bad_request(format!("the body is not UTF-8: {e}")))?;
    super::pieces::yaml(text).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))
}
