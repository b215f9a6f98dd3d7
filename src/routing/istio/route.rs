//! HTTP routes of a VirtualService for one proxy. What comes in: `http` items, the proxy, where the request arrived.
//! What goes out: routes. Rules: Istio's pilot/pkg/networking/core/route.

use super::client::Client;
use super::scene::{Object, selects, texts};
use super::{host, retry};
use crate::model::duration::Millis;
use crate::routing::read::At;
use crate::routing::{Action, HeaderMatch, Matcher, PathMatch, Route};

/// Where requests arrive.
pub struct Entry<'e> {
    /// Port: of the host a sidecar's application calls, or of a gateway's server.
    pub port: u16,
    /// Gateways of the proxy as VirtualServices name them (`NAMESPACE/NAME`); `mesh` for sidecars.
    pub gateways: &'e [String],
}

/// The name of all sidecars in `gateways`.
pub const MESH: &str = "mesh";

/// Fields that are read; any other would change what happens.
const READ: [&str; 8] = ["name", "match", "route", "redirect", "directResponse", "rewrite", "timeout", "retries"];

/// The routes of a VirtualService for requests that arrive at `entry`.
pub fn read(client: &Client, object: &Object, entry: &Entry) -> Vec<Route> {
    let at = object.at(&client.log);
    let items = at.get("spec").get("http").items();
    items.iter().filter_map(|item| one(client, item, object.namespace(), entry)).collect()
}

/// The gateways an item of `gateways` means, in full.
pub fn gateway(named: &str, namespace: &str) -> String {
    if named == MESH || named.contains('/') { named.into() } else { format!("{namespace}/{named}") }
}

fn one(client: &Client, at: &At, namespace: &str, entry: &Entry) -> Option<Route> {
    for field in at.fields().into_iter().filter(|f| !READ.contains(f)) {
        at.warn("FCT0550", format!("{}.{field} is not read; traffic may differ from what is shown", at.path()));
    }
    let conditions = at.get("match").items();
    let matchers: Vec<Matcher> = match conditions.as_slice() {
        [] => vec![Matcher::prefix("/")],
        all => all.iter().filter(|m| applies(client, m, namespace, entry)).map(matcher).collect(),
    };
    let rewrite = at.get("rewrite");
    let action = action(client, at, namespace, entry)?;
    let routed = matches!(action, Action::Upstream(_) | Action::Weighted(_));
    (!matchers.is_empty()).then(|| Route {
        name: at.get("name").string(),
        matchers,
        retry: routed.then(|| retry::read(&at.get("retries"))).flatten(),
        // Istio switches Envoy's 15 s off.
        timeout: routed.then(|| at.get("timeout").millis().unwrap_or(Millis(0))),
        prefix_rewrite: rewrite.get("uri").string(),
        host_rewrite: rewrite.get("authority").string(),
        action,
    })
}

/// Whether a match is about this proxy at all.
fn applies(client: &Client, at: &At, namespace: &str, entry: &Entry) -> bool {
    let gateways = at.get("gateways").strings();
    let named = gateways.is_empty() || gateways.iter().any(|g| entry.gateways.contains(&gateway(g, namespace)));
    let workload = client.workload;
    let labelled = at.get("sourceLabels").some().is_none_or(|l| selects(&texts(&l), &workload.labels));
    let placed = at.get("sourceNamespace").string().is_none_or(|n| n == workload.namespace);
    let at_port = at.get("port").u32().is_none_or(|p| p == u32::from(entry.port));
    named && labelled && placed && at_port
}

fn matcher(at: &At) -> Matcher {
    if at.get("queryParams").is_some() {
        at.warn("FCT0550", format!("{}.queryParams is not read; the route is shown as if it were absent", at.path()));
    }
    let caseless = at.get("ignoreUriCase").bool().unwrap_or(false);
    let uri = at.get("uri");
    let path = match (uri.get("exact").string(), uri.get("prefix").string(), uri.get("regex").string()) {
        (Some(exact), ..) if caseless => PathMatch::Regex(format!("(?i){}", literal(&exact))),
        (Some(exact), ..) => PathMatch::Exact(exact),
        (_, Some(prefix), _) if caseless => PathMatch::Regex(format!("(?i){}.*", literal(&prefix))),
        (_, Some(prefix), _) => PathMatch::Prefix(prefix),
        (_, _, Some(regex)) => PathMatch::Regex(regex),
        _ => PathMatch::Prefix("/".into()),
    };
    let mut headers = header_matches(&at.get("headers"), false);
    headers.extend(header_matches(&at.get("withoutHeaders"), true));
    headers.extend(string_match(":authority", &at.get("authority"), false));
    headers.extend(string_match(":scheme", &at.get("scheme"), false));
    let method = at.get("method");
    let mut methods: Vec<String> = method.get("exact").string().into_iter().collect();
    match method.get("regex").string() {
        // What is written as alternatives of plain words are plain words.
        Some(regex) if regex.chars().all(|c| c.is_ascii_uppercase() || c == '|') => {
            methods = regex.split('|').map(str::to_string).collect();
        }
        Some(_) => headers.extend(string_match(":method", &method, false)),
        None => {
            headers.extend(method.get("prefix").is_some().then(|| string_match(":method", &method, false)).flatten())
        }
    }
    Matcher { path, methods, headers }
}

fn header_matches(at: &At, invert: bool) -> Vec<HeaderMatch> {
    at.fields().into_iter().filter_map(|name| string_match(name, &at.get(name), invert)).collect()
}

/// A StringMatch; one without any field means that the header is there.
fn string_match(name: &str, at: &At, invert: bool) -> Option<HeaderMatch> {
    at.value()?;
    let (value, regex) = if let Some(exact) = at.get("exact").string() {
        (exact, false)
    } else if let Some(prefix) = at.get("prefix").string() {
        (format!("{}.*", literal(&prefix)), true)
    } else if let Some(regex) = at.get("regex").string() {
        (regex, true)
    } else {
        (String::new(), false)
    };
    Some(HeaderMatch { name: name.into(), value, regex, invert })
}

/// A text as a regular expression (RE2) that matches nothing else.
fn literal(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn action(client: &Client, at: &At, namespace: &str, entry: &Entry) -> Option<Action> {
    if let Some(redirect) = at.get("redirect").some() {
        return Some(Action::Redirect {
            host: redirect.get("authority").string(),
            path: redirect.get("uri").string(),
            https: redirect.get("scheme").text() == Some("https"),
            status: redirect.get("redirectCode").u32().and_then(|c| u16::try_from(c).ok()).unwrap_or(301),
        });
    }
    if let Some(direct) = at.get("directResponse").some() {
        let status = direct.get("status").u32().and_then(|s| u16::try_from(s).ok()).unwrap_or(200);
        return Some(Action::Respond { status, body: direct.at(&["body", "string"]).string().unwrap_or_default() });
    }
    let destinations = at.get("route").items();
    let found: Vec<(String, u32)> = destinations
        .iter()
        .filter_map(|d| {
            let weight = d.get("weight").u32().unwrap_or(if destinations.len() == 1 { 100 } else { 0 });
            if d.get("headers").is_some() {
                d.warn("FCT0550", format!("{}.headers is not read", d.path()));
            }
            Some((destination(client, &d.get("destination"), namespace, entry)?, weight))
        })
        .collect();
    match found.as_slice() {
        [] if destinations.is_empty() => {
            at.reject("FCT0550", format!("{} needs route, redirect or directResponse", at.path()));
            None
        }
        [] => None,
        [(name, _)] => Some(Action::Upstream(name.clone())),
        _ => Some(Action::Weighted(found.into_iter().filter(|(_, w)| *w > 0).collect())),
    }
}

/// The cluster name a destination means (Istio's GetDestinationCluster). An unknown host is noted; the proxy then
/// answers 503.
fn destination(client: &Client, at: &At, namespace: &str, entry: &Entry) -> Option<String> {
    let Some(named) = at.get("host").string() else {
        at.reject("FCT0550", format!("{}.host is missing", at.path()));
        return None;
    };
    let full = host::full(&named, namespace, &client.scene.domain);
    let service = client.services.get(full.as_str());
    if service.is_none() {
        at.warn(
            "FCT0551",
            format!("{}.host: no Service and no ServiceEntry is called {full}; the proxy answers 503", at.path()),
        );
    }
    let only = service.filter(|s| s.ports.len() == 1).map(|s| s.ports[0].number);
    let port = at.at(&["port", "number"]).port().or(only).unwrap_or(entry.port);
    if let Some(service) = service.filter(|s| s.ports.iter().all(|p| p.number != port)) {
        at.warn("FCT0551", format!("{}: {} has no port {port}; the proxy answers 503", at.path(), service.host));
    }
    Some(host::cluster(port, at.get("subset").text().unwrap_or_default(), &full))
}
