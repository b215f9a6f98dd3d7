//! Access logs: one JSON line for each request on standard output, what a drill and a person ask for first.
//! What comes in: whose connections a listener takes, and the proxy's own words. What goes out: an access logger.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{extension, set};
use crate::routing::Side;

/// The log of HTTP requests. In a mesh it names both ends by their certificates, as the proxy itself saw them.
pub fn http(side: Side, tags: &BTreeMap<String, String>) -> Value {
    let mut format = json!({
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "host": "%REQ(:AUTHORITY)%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "upstream": "%UPSTREAM_HOST%",
        "duration_ms": "%DURATION%"
    });
    let ends = match side {
        Side::Edge => None,
        Side::Outbound => Some(("outbound", "%UPSTREAM_LOCAL_URI_SAN%", "%UPSTREAM_PEER_URI_SAN%")),
        Side::Inbound => Some(("inbound", "%DOWNSTREAM_PEER_URI_SAN%", "%DOWNSTREAM_LOCAL_URI_SAN%")),
    };
    if let Some((direction, source, target)) = ends {
        set(&mut format, "direction", Some(direction));
        set(&mut format, "source_principal", Some(source));
        set(&mut format, "target_principal", Some(target));
    }
    if side == Side::Outbound {
        set(&mut format, "target_version", Some(format!("%RESP({})%", super::route::PEER_VERSION)));
    }
    // A percent sign would begin one of Envoy's own words.
    tags.iter().for_each(|(name, value)| set(&mut format, name, Some(value.replace('%', "%%"))));
    let kind = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
    extension("envoy.access_loggers.stdout", kind, json!({ "log_format": { "json_format": format } }))
}
