//! One route of a VirtualService: matchers, destination, options.

use std::collections::BTreeMap;

use super::{cluster_name, options};
use crate::routing::read::At;
use crate::routing::{Action, HeaderMatch, Matcher, PathMatch, Retry, Route, Upstream};

/// Reads one route; nothing (and a finding) when it can do nothing.
pub fn read(at: &At, host_retry: Option<&Retry>, upstreams: &BTreeMap<String, Upstream>) -> Option<Route> {
    let options = at.get("options");
    let mut matchers: Vec<Matcher> = at.get("matchers").items().iter().map(matcher).collect();
    if matchers.is_empty() {
        matchers.push(Matcher::prefix("/"));
    }
    let action = action(at, upstreams)?;
    let routed = matches!(action, Action::Upstream(_) | Action::Weighted(_));
    Some(Route {
        name: at.get("name").string(),
        matchers,
        action,
        retry: options::retry(&options.get("retries")).or_else(|| host_retry.cloned()).filter(|_| routed),
        timeout: options.get("timeout").millis(),
        prefix_rewrite: options.get("prefixRewrite").string(),
        host_rewrite: options.get("hostRewrite").string(),
    })
}

fn matcher(at: &At) -> Matcher {
    let path = if let Some(exact) = at.get("exact").string() {
        PathMatch::Exact(exact)
    } else if let Some(regex) = at.get("regex").string() {
        PathMatch::Regex(regex)
    } else {
        PathMatch::Prefix(at.get("prefix").string().unwrap_or_else(|| "/".into()))
    };
    if at.get("queryParameters").is_some() {
        at.warn(
            "FCT0542",
            format!("{}.queryParameters is not read; the route is shown as if it were absent", at.path()),
        );
    }
    let header = |h: &At| {
        Some(HeaderMatch {
            name: h.get("name").string()?,
            value: h.get("value").string().unwrap_or_default(),
            regex: h.get("regex").bool().unwrap_or(false),
            invert: h.get("invertMatch").bool().unwrap_or(false),
        })
    };
    Matcher {
        path,
        methods: at.get("methods").strings(),
        headers: at.get("headers").items().iter().filter_map(header).collect(),
    }
}

fn action(at: &At, upstreams: &BTreeMap<String, Upstream>) -> Option<Action> {
    if let Some(route) = at.get("routeAction").some() {
        if let Some(single) = route.get("single").some() {
            return destination(&single, upstreams).map(Action::Upstream);
        }
        if let Some(multi) = route.get("multi").some() {
            let all = weighted(&multi, upstreams);
            return (!all.is_empty()).then_some(Action::Weighted(all));
        }
        let kinds = route.fields().join(", ");
        route.warn(
            "FCT0542",
            format!("{}: a destination of kind {kinds} is not read; the route is not shown", route.path()),
        );
        return None;
    }
    if let Some(direct) = at.get("directResponseAction").some() {
        let status = direct.get("status").u32().and_then(|s| u16::try_from(s).ok()).unwrap_or(200);
        return Some(Action::Respond { status, body: direct.get("body").string().unwrap_or_default() });
    }
    if let Some(redirect) = at.get("redirectAction").some() {
        return Some(Action::Redirect {
            host: redirect.get("hostRedirect").string(),
            path: redirect.get("pathRedirect").string(),
            https: redirect.get("httpsRedirect").bool().unwrap_or(false),
            status: redirect_status(redirect.get("responseCode").text()),
        });
    }
    if at.get("delegateAction").is_some() {
        at.warn("FCT0542", format!("{}.delegateAction is not read; the delegated routes are not shown", at.path()));
    } else {
        at.reject(
            "FCT0545",
            format!("{} needs one of routeAction, redirectAction, directResponseAction, delegateAction", at.path()),
        );
    }
    None
}

/// Envoy's names of redirect codes.
fn redirect_status(code: Option<&str>) -> u16 {
    match code {
        Some("FOUND") => 302,
        Some("SEE_OTHER") => 303,
        Some("TEMPORARY_REDIRECT") => 307,
        Some("PERMANENT_REDIRECT") => 308,
        _ => 301,
    }
}

/// The cluster name a destination means. An Upstream that is missing is noted; the proxy then answers 503.
pub fn destination(at: &At, upstreams: &BTreeMap<String, Upstream>) -> Option<String> {
    let Some(reference) = at.get("upstream").reference() else {
        let kinds = at.fields().join(", ");
        at.warn("FCT0542", format!("{}: a destination of kind {kinds} is not read; the route is not shown", at.path()));
        return None;
    };
    let name = cluster_name(&reference.name, &reference.namespace);
    if !upstreams.contains_key(&name) {
        at.warn(
            "FCT0547",
            format!("{}: there is no Upstream {reference}; the proxy answers 503 to what matches", at.path()),
        );
    }
    Some(name)
}

/// Destinations with their weights.
pub fn weighted(at: &At, upstreams: &BTreeMap<String, Upstream>) -> Vec<(String, u32)> {
    let item = |d: &At| Some((destination(&d.get("destination"), upstreams)?, d.get("weight").u32().unwrap_or(0)));
    at.get("destinations").items().iter().filter_map(item).collect()
}
