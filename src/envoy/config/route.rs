//! Route tables (RDS).

use serde_json::{Value, json};

use super::{duration, extension, set};
use crate::routing::{Action, HeaderMatch, HttpChain, Matcher, PathMatch, Retry, Route, Side, VirtualHost};

/// By this header a workload's sidecar tells its caller's which version answered (Istio exchanges the same in
/// `x-envoy-peer-metadata`); gateways take it away.
pub const PEER_VERSION: &str = "x-envoy-peer-version";

/// The route table of an HTTP chain of a proxy that is `version` of its workload, if it has one.
pub fn table(from: &HttpChain, side: Side, version: Option<&str>) -> Value {
    let hosts: Vec<Value> = from.virtual_hosts.iter().map(host).collect();
    let mut table = json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": from.name,
        "virtual_hosts": hosts
    });
    match (side, version) {
        (Side::Inbound, Some(version)) => {
            // A percent sign would begin one of Envoy's own words.
            let header = json!({ "key": PEER_VERSION, "value": version.replace('%', "%%") });
            let added = json!([{ "header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" }]);
            set(&mut table, "response_headers_to_add", Some(added));
        }
        (Side::Edge, Some(_)) => set(&mut table, "response_headers_to_remove", Some(json!([PEER_VERSION]))),
        _ => {}
    }
    table
}

fn host(from: &VirtualHost) -> Value {
    let routes: Vec<Value> = from.routes.iter().flat_map(|r| r.matchers.iter().map(move |m| route(r, m))).collect();
    json!({ "name": from.name, "domains": from.domains, "routes": routes })
}

fn route(from: &Route, matcher: &Matcher) -> Value {
    let mut out = json!({});
    set(&mut out, "name", from.name.clone());
    set(&mut out, "match", Some(condition(matcher)));
    let (field, action) = match &from.action {
        Action::Upstream(name) => ("route", routed(from, json!({ "cluster": name }))),
        Action::Weighted(all) => {
            let clusters: Vec<Value> =
                all.iter().map(|(name, weight)| json!({ "name": name, "weight": weight })).collect();
            ("route", routed(from, json!({ "weighted_clusters": { "clusters": clusters } })))
        }
        Action::Respond { status, body } => {
            let mut response = json!({ "status": status });
            set(&mut response, "body", (!body.is_empty()).then(|| json!({ "inline_string": body })));
            ("direct_response", response)
        }
        Action::Redirect { host, path, https, status } => {
            let mut redirect = json!({ "response_code": redirect_code(*status) });
            set(&mut redirect, "host_redirect", host.clone());
            set(&mut redirect, "path_redirect", path.clone());
            set(&mut redirect, "https_redirect", https.then_some(true));
            ("redirect", redirect)
        }
    };
    set(&mut out, field, Some(action));
    out
}

fn routed(from: &Route, mut action: Value) -> Value {
    set(&mut action, "timeout", from.timeout.map(duration));
    set(&mut action, "prefix_rewrite", from.prefix_rewrite.clone());
    set(&mut action, "host_rewrite_literal", from.host_rewrite.clone());
    set(&mut action, "retry_policy", from.retry.as_ref().map(retry));
    action
}

fn condition(from: &Matcher) -> Value {
    let mut out = match &from.path {
        PathMatch::Prefix(p) => json!({ "prefix": p }),
        PathMatch::Exact(p) => json!({ "path": p }),
        PathMatch::Regex(r) => json!({ "safe_regex": { "regex": r } }),
    };
    let mut headers: Vec<Value> = from.headers.iter().map(header).collect();
    let methods = match from.methods.as_slice() {
        [] => None,
        [one] => Some(json!({ "name": ":method", "string_match": { "exact": one } })),
        all => Some(json!({ "name": ":method", "string_match": { "safe_regex": { "regex": all.join("|") } } })),
    };
    headers.extend(methods);
    set(&mut out, "headers", (!headers.is_empty()).then_some(headers));
    out
}

fn header(from: &HeaderMatch) -> Value {
    let mut out = json!({ "name": from.name });
    match (from.value.as_str(), from.regex) {
        ("", _) => set(&mut out, "present_match", Some(true)),
        (value, true) => set(&mut out, "string_match", Some(json!({ "safe_regex": { "regex": value } }))),
        (value, false) => set(&mut out, "string_match", Some(json!({ "exact": value }))),
    }
    set(&mut out, "invert_match", from.invert.then_some(true));
    out
}

fn retry(from: &Retry) -> Value {
    let mut out = json!({ "retry_on": from.on.join(","), "num_retries": from.attempts });
    set(&mut out, "per_try_timeout", from.per_try_timeout.map(duration));
    set(&mut out, "retriable_status_codes", (!from.status_codes.is_empty()).then(|| json!(from.status_codes)));
    set(
        &mut out,
        "retry_back_off",
        from.back_off.map(|b| {
            let mut back_off = json!({ "base_interval": duration(b.base) });
            set(&mut back_off, "max_interval", b.max.map(duration));
            back_off
        }),
    );
    set(
        &mut out,
        "retry_priority",
        from.previous_priorities.map(|frequency| {
            let kind = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";
            extension("envoy.retry_priorities.previous_priorities", kind, json!({ "update_frequency": frequency }))
        }),
    );
    if let Some(attempts) = from.previous_hosts {
        let kind = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";
        let predicate = extension("envoy.retry_host_predicates.previous_hosts", kind, json!({}));
        set(&mut out, "retry_host_predicate", Some(json!([predicate])));
        set(&mut out, "host_selection_retry_max_attempts", Some(attempts));
    }
    out
}

fn redirect_code(status: u16) -> &'static str {
    match status {
        302 => "FOUND",
        303 => "SEE_OTHER",
        307 => "TEMPORARY_REDIRECT",
        308 => "PERMANENT_REDIRECT",
        _ => "MOVED_PERMANENTLY",
    }
}
