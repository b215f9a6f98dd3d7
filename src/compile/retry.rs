//! Under which conditions requests are repeated, the same for every target: what may repeat a request that was sent is
//! only for methods that are safe to repeat, or where the document says `idempotent: true`.

/// Envoy's conditions that may repeat a request already sent.
pub const REPEATING: &str = "gateway-error,reset,connect-failure,refused-stream";
/// Envoy's conditions under which the request was never worked on.
pub const HARMLESS: &str = "connect-failure,refused-stream,reset-before-request";
/// Methods without side effects (RFC 9110, section 9.2.1); CONNECT is none of them.
pub const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];
