//! AuthorizationPolicy: whom a workload lets in. What comes in: the objects of a cluster, a workload. What goes out: who is
//! refused and who is let in. Rules: Istio's pilot/pkg/security/authz and trustdomain.Bundle.
//!
//! A policy in the root namespace is everybody's. As soon as one ALLOW policy is a workload's, nothing else gets in. A rule
//! with a part that is not read counts for nothing, which is a finding: it lets nobody in.

use std::collections::BTreeMap;

use super::scene::{SECURITY, Scene, selects, texts};
use crate::routing::read::At;
use crate::routing::{Access, Grant, Need, Part, Text};

/// The trust domain that stands for the mesh's own, whatever that is called.
const LOCAL_TRUST_DOMAIN: &str = "cluster.local";
/// How identities begin.
const SPIFFE: &str = "spiffe://";

/// Fields of a source and of an operation with what they look at.
const SOURCE: [(&str, &str, Kind); 2] =
    [("principals", "notPrincipals", Kind::Principal), ("namespaces", "notNamespaces", Kind::Namespace)];
const OPERATION: [(&str, &str, Kind); 4] = [
    ("ports", "notPorts", Kind::Request(Part::Port)),
    ("methods", "notMethods", Kind::Request(Part::Method)),
    ("paths", "notPaths", Kind::Request(Part::Path)),
    ("hosts", "notHosts", Kind::Request(Part::Host)),
];

#[derive(Clone, Copy)]
enum Kind {
    Principal,
    Namespace,
    Request(Part),
}

/// Whom a workload's port lets in. `http` says whether requests are seen there, or only connections.
pub fn access(scene: &Scene, namespace: &str, labels: &BTreeMap<String, String>, http: bool) -> Access {
    let mut access = Access::default();
    for object in scene.all(SECURITY, "AuthorizationPolicy") {
        let at = object.at(&scene.log);
        let spec = at.get("spec");
        let own = object.namespace() == namespace || object.namespace() == scene.config.root_namespace;
        if !own || !selects(&texts(&spec.at(&["selector", "matchLabels"])), labels) {
            continue;
        }
        for field in ["targetRef", "targetRefs"].into_iter().filter(|f| spec.get(f).is_some()) {
            spec.warn("FCT0550", format!("spec.{field} is not read; the policy is not shown"));
        }
        if spec.get("targetRef").is_some() || spec.get("targetRefs").is_some() {
            continue;
        }
        let allows = match spec.get("action").text().unwrap_or("ALLOW") {
            "ALLOW" => true,
            "DENY" => false,
            other => {
                spec.warn("FCT0550", format!("spec.action {other} is not read; the policy is not shown"));
                continue;
            }
        };
        let name = format!("ns[{}]-policy[{}]", object.namespace(), object.key.name);
        let rules = spec.get("rules").items();
        let grants = rules.iter().enumerate().filter_map(|(i, rule)| {
            let (from, to) = read(scene, rule)?;
            let grant = Grant { name: format!("{name}-rule[{i}]"), from, to };
            if http { Some(grant) } else { of_connections(grant, allows) }
        });
        match allows {
            true => access.allow.get_or_insert_default().extend(grants),
            false => access.deny.extend(grants),
        }
    }
    access
}

type Lists = (Vec<Vec<Need>>, Vec<Vec<Need>>);

/// Who and what a rule covers; nothing when a part of it is not read.
fn read(scene: &Scene, rule: &At) -> Option<Lists> {
    if rule.get("when").is_some() {
        rule.warn("FCT0550", format!("{}.when is not read; the rule is shown as if it covered nothing", rule.path()));
        return None;
    }
    let list = |field: &str, inner: &str, known: &[(&str, &str, Kind)]| {
        let items = rule.get(field).items();
        items.iter().map(|item| needs(scene, &item.get(inner), known)).collect::<Option<Vec<_>>>()
    };
    Some((list("from", "source", &SOURCE)?, list("to", "operation", &OPERATION)?))
}

fn needs(scene: &Scene, at: &At, known: &[(&str, &str, Kind)]) -> Option<Vec<Need>> {
    let unread = |f: &&str| !known.iter().any(|(yes, no, _)| f == yes || f == no);
    if let Some(field) = at.fields().into_iter().find(unread) {
        at.warn("FCT0550", format!("{}.{field} is not read; the rule is shown as if it covered nothing", at.path()));
        return None;
    }
    let one = |field: &str, kind: Kind, negated: bool| {
        let words = at.get(field).strings();
        (!words.is_empty()).then(|| need(scene, kind, &words, negated))
    };
    Some(known.iter().flat_map(|(yes, no, kind)| [one(yes, *kind, false), one(no, *kind, true)]).flatten().collect())
}

fn need(scene: &Scene, kind: Kind, words: &[String], negated: bool) -> Need {
    let trusted = scene.config.trusted();
    let (part, any_of) = match kind {
        Kind::Principal => (Part::Caller, words.iter().flat_map(|w| principals(w, &trusted)).collect()),
        Kind::Namespace => (Part::Caller, words.iter().map(|w| of_namespace(w)).collect()),
        Kind::Request(part) => (part, words.iter().map(|w| text(w, "")).collect()),
    };
    Need { part, any_of, negated }
}

/// `*`, `PREFIX*`, `*SUFFIX` or the text itself; `begin` is what every such text begins with.
fn text(word: &str, begin: &str) -> Text {
    if word == "*" {
        Text::Any
    } else if let Some(end) = word.strip_prefix('*') {
        Text::Suffix(end.into())
    } else if let Some(start) = word.strip_suffix('*') {
        Text::Prefix(format!("{begin}{start}"))
    } else {
        Text::Exact(format!("{begin}{word}"))
    }
}

/// The mesh's own trust domain means its aliases too, and so does `cluster.local`.
fn principals(word: &str, trusted: &[String]) -> Vec<Text> {
    let as_written = || vec![text(word, SPIFFE)];
    let Some((domain, rest)) = word.split_once('/').filter(|(d, _)| !d.contains('*')) else { return as_written() };
    if domain != LOCAL_TRUST_DOMAIN && !trusted.iter().any(|t| t == domain) {
        return as_written();
    }
    trusted.iter().map(|t| text(&format!("{t}/{rest}"), SPIFFE)).collect()
}

/// Identities of a namespace, of any trust domain.
fn of_namespace(word: &str) -> Text {
    match word.strip_suffix('*') {
        Some("") => Text::Any,
        Some(start) => Text::Contains(format!("/ns/{start}")),
        None => Text::Contains(format!("/ns/{word}/")),
    }
}

/// What is left of a rule where requests are not seen: to let in, a rule about requests covers nothing; to refuse, it
/// covers every request.
fn of_connections(grant: Grant, allows: bool) -> Option<Grant> {
    let about_requests = |list: &Vec<Need>| list.iter().any(|n| n.part.is_http());
    if allows && grant.to.iter().any(about_requests) {
        let to: Vec<_> = grant.to.into_iter().filter(|l| !about_requests(l)).collect();
        return (!to.is_empty()).then_some(Grant { to, ..grant });
    }
    let connections = |list: Vec<Need>| list.into_iter().filter(|n| !n.part.is_http()).collect();
    Some(Grant { to: grant.to.into_iter().map(connections).collect(), ..grant })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meshs_own_trust_domain_means_its_aliases_and_a_strange_one_means_itself() {
        let trusted = ["kind2".to_string(), "kind3".to_string()];
        let exact = |t: &str| Text::Exact(format!("spiffe://{t}/ns/shop/sa/web"));
        assert_eq!(principals("kind2/ns/shop/sa/web", &trusted), [exact("kind2"), exact("kind3")]);
        assert_eq!(principals("cluster.local/ns/shop/sa/web", &trusted), [exact("kind2"), exact("kind3")]);
        assert_eq!(principals("other/ns/shop/sa/web", &trusted), [exact("other")]);
        assert_eq!(principals("*/ns/shop/sa/web", &trusted), [Text::Suffix("/ns/shop/sa/web".into())]);
        assert_eq!(principals("*", &trusted), [Text::Any]);
    }

    #[test]
    fn where_only_connections_are_seen_rules_about_requests_let_nobody_in_and_refuse_everybody() {
        let need = |part| Need { part, any_of: vec![Text::Any], negated: false };
        let grant = Grant { name: "one".into(), from: Vec::new(), to: vec![vec![need(Part::Path), need(Part::Port)]] };
        assert_eq!(of_connections(grant.clone(), true), None);
        assert_eq!(of_connections(grant.clone(), false).unwrap().to, [[need(Part::Port)]]);
        let other = Grant { to: vec![vec![need(Part::Port)]], ..grant };
        assert_eq!(of_connections(other.clone(), true), Some(other));
    }
}
