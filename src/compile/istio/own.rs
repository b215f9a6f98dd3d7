//! failctl's own failovers as an intent. What a mesh cannot express is refused with what to write instead: an aggregate
//! cluster has one cluster per priority, sidecars ask nobody how he is, and there is no edge.

use std::collections::BTreeSet;

use super::intent::{Backend, Chain, Counted, Intent, Origin, Retries, Rule, Shift, Watch};
use crate::compile::Site;
use crate::compile::gloo::names;
use crate::compile::retry::{HARMLESS, REPEATING, SAFE};
use crate::model::duration::Millis;
use crate::model::failover::{Failover, Member, OutlierDetection, Retry};
use crate::model::fleet::Fleet;
use crate::model::mesh::{self, Protocol};
use crate::model::problem::{Problem, Severity};
use crate::resource::istio::virtual_service::{HttpMatch, Text};

/// Longest time a connection may take: Istio's default of 10s would hold every request to a dead gateway that long.
const CONNECT_TIMEOUT: Millis = Millis::secs(1);
/// Attempts that Istio's previous_priorities makes at one priority before it leaves it (`retryRemoteLocalities`).
const AT_ONE_PRIORITY: usize = 2;

/// The intent of a failover; empty when a mesh cannot express it.
pub fn intent(fleet: &Fleet, failover: &Failover, site: &Site, problems: &mut Vec<Problem>) -> Intent {
    let origin = Origin { owner: failover.name.to_string(), document: failover.name.to_string() };
    let mut found = unfit(fleet, failover, &origin);
    let Some(outlier) = failover.detection.passive().cloned() else {
        problems.extend(found);
        return Intent::default();
    };
    let (protocol, others) = spoken(failover, site, &origin, &mut found);
    found.extend(notes(failover, &origin));
    let wrong = found.iter().any(|p| p.severity == Severity::Error);
    problems.extend(found);
    if wrong {
        return Intent::default();
    }
    let primary = failover.primary();
    let host = failover.mesh.host.clone();
    let host = host.unwrap_or_else(|| mesh::failover_host(failover.name.as_str(), &primary.service));
    let backends = failover.order.iter().enumerate().flat_map(|(g, group)| {
        group.iter().enumerate().map(move |(m, member)| (format!("/spec/order/{g}/clusters/{m}"), member))
    });
    let backends: Vec<_> = backends.map(|(pointer, m)| backend(failover, m, &outlier, pointer)).collect();
    let watches = backends.iter().filter(|b| b.cluster == primary.cluster).map(|b| Watch {
        origin: origin.clone(),
        cluster: b.cluster.clone(),
        namespace: b.service.namespace.to_string(),
        service: b.service.name.to_string(),
        outlier: outlier.clone(),
        connect_timeout: b.connect_timeout,
    });
    let watches = watches.collect();
    let shift = Shift {
        origin: origin.clone(),
        cluster: primary.cluster.clone(),
        namespace: primary.service.namespace.to_string(),
        service: primary.service.name.to_string(),
        port: Some(primary.service.port),
        others,
        rules: rules(failover, &host),
    };
    let chain = Chain {
        name: format!("failctl-{}", failover.name),
        host,
        port: primary.service.port,
        protocol,
        clients: vec![primary.cluster.clone()],
        gateways: false,
        backends,
        origin,
    };
    Intent { chains: vec![chain], watches, shifts: vec![shift] }
}

fn backend(failover: &Failover, member: &Member, outlier: &OutlierDetection, pointer: String) -> Backend {
    let retry = &failover.retry;
    let connect = if retry.attempts > 0 { CONNECT_TIMEOUT.min(retry.per_try_timeout) } else { CONNECT_TIMEOUT };
    Backend {
        cluster: member.cluster.clone(),
        service: member.service.clone(),
        account: member.service_account.as_ref().map(|a| a.to_string()),
        outlier: outlier.clone(),
        counted: Counted::GatewayErrors,
        connect_timeout: Some(connect),
        pointer,
    }
}

/// What stands against this target.
fn unfit(fleet: &Fleet, failover: &Failover, origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |code, what: String, hint: &str, pointer: String| {
        problems.push(origin.about(Problem::error(code, what).hint(hint), pointer));
    };
    for (g, group) in failover.order.iter().enumerate() {
        for (m, member) in group.iter().enumerate() {
            if fleet.clusters.get(&member.cluster).is_some_and(|c| c.istio.is_none()) {
                let what = format!("the fleet does not say that Istio runs on `{}`", member.cluster);
                let hint =
                    "add istio: {version: …} to that cluster; istioAggregate needs it on every cluster of the order";
                say("FCT0342", what, hint, format!("/spec/order/{g}/clusters/{m}/name"));
            }
        }
        if group.len() > 1 {
            let what = format!("an aggregate cluster has one cluster per priority, this group has {}", group.len());
            say(
                "FCT0343",
                what,
                "give each its own group, in the order they shall serve",
                format!("/spec/order/{g}/clusters/1"),
            );
        }
    }
    if failover.detection.active().is_some() {
        let what = "Istio's sidecars ask nobody how he is: they have no active health checks";
        let hint =
            "write detection: {outlierDetection: {consecutive5xx: 1, interval: 1s, baseEjectionTime: 10s}} alone";
        say("FCT0344", what.into(), hint, "/spec/detection/activeHealthCheck".into());
    }
    if failover.route.is_some() {
        let what = "istioAggregate is between services of a mesh and makes no route at the edge";
        let hint = "leave `route` out; the edge's own routes go on to lead to the first service of the mesh";
        say("FCT0345", what.into(), hint, "/spec/route".into());
    }
    if failover.mesh.identity {
        let what = "`mesh.identity` is for Gloo; between services the sidecars have identities of their own";
        say("FCT0322", what.into(), "leave it out, or write a failover of Gloo", "/spec/mesh/identity".into());
    }
    if let Some(host) = &failover.mesh.host {
        let domains = fleet.clusters.values().filter_map(|c| Some(&c.istio.as_ref()?.cluster_domain));
        if domains.chain([&mesh::CLUSTER_DOMAIN.to_string()]).any(|d| host.ends_with(&format!(".{d}"))) {
            let what = format!("`{host}` is a Service's own name; the failover's host is another one");
            say(
                "FCT0348",
                what,
                "write for example shop.default.global, or leave mesh.host out",
                "/spec/mesh/host".into(),
            );
        }
    }
    problems
}

/// What the primary's port speaks, and the other ports of its Service.
fn spoken(failover: &Failover, site: &Site, origin: &Origin, problems: &mut Vec<Problem>) -> (Protocol, Vec<u16>) {
    let member = failover.primary();
    let service = &member.service;
    let known = site.facts.service(&member.cluster, service.namespace.as_str(), service.name.as_str());
    let Some(known) = known else {
        if !site.draft && !site.unread.contains_key(&member.cluster) {
            let what = format!(
                "the Service {}/{} on `{}` is not known: whether it has other ports decides what its routes are",
                service.namespace, service.name, member.cluster
            );
            let hint = format!(
                "give its manifests too: -f {}=FILE; `failctl diff` and `failctl apply` ask the cluster",
                member.cluster
            );
            problems.push(origin.about(Problem::error("FCT0333", what).hint(hint), "/spec/order/0/clusters/0"));
        }
        return (Protocol::Http, Vec::new());
    };
    let others = known.ports.iter().filter(|p| p.number != service.port && p.tcp).map(|p| p.number).collect();
    let Some(port) = known.ports.iter().find(|p| p.number == service.port) else {
        let has = known.ports.iter().map(|p| p.number.to_string()).collect::<Vec<_>>().join(", ");
        let what = format!(
            "the Service {}/{} on `{}` has no port {}",
            service.namespace, service.name, member.cluster, service.port
        );
        problems
            .push(origin.about(Problem::error("FCT0335", what).hint(format!("it has: {has}")), "/spec/service/port"));
        return (Protocol::Http, others);
    };
    let protocol = match port.speaks.as_str() {
        "grpc" => Protocol::Grpc,
        "http2" | "kubernetes.io/h2c" => Protocol::Http2,
        "https" | "tls" | "tcp" | "mongo" | "mysql" | "redis" => {
            let what = format!(
                "port {} speaks {}: its requests cannot be told apart, so none can be retried",
                port.number, port.speaks
            );
            let hint = "istioAggregate is for HTTP and gRPC between services; sidecars add the TLS themselves";
            problems.push(origin.about(Problem::error("FCT0347", what).hint(hint), "/spec/service/port"));
            Protocol::Tcp
        }
        _ => Protocol::Http,
    };
    (protocol, others)
}

/// One rule where all requests are alike, else one for methods that are safe to repeat and one for the rest.
fn rules(failover: &Failover, host: &str) -> Vec<Rule> {
    let Retry { attempts, per_try_timeout, idempotent } = failover.retry;
    let rule = |safe: bool, retry_on: Option<&'static str>| Rule {
        name: Some(names::route(&failover.name, safe)),
        matches: if safe { methods() } else { Vec::new() },
        to: vec![(host.to_string(), failover.primary().service.port, None)],
        retries: Some(Retries {
            attempts,
            // A request that may not be repeated gains nothing from being cut short.
            per_try_timeout: (retry_on == Some(REPEATING)).then_some(per_try_timeout),
            retry_on,
            leaves: retry_on.is_some(),
        }),
        timeout: None,
    };
    match (attempts, idempotent) {
        (0, _) => vec![rule(false, None)],
        (_, true) => vec![rule(false, Some(REPEATING))],
        (_, false) => vec![rule(true, Some(REPEATING)), rule(false, Some(HARMLESS))],
    }
}

fn methods() -> Vec<HttpMatch> {
    SAFE.iter().map(|m| HttpMatch { method: Some(Text::Exact(m.to_string())), ..HttpMatch::default() }).collect()
}

/// What will hurt, and what is worth knowing.
fn notes(failover: &Failover, origin: &Origin) -> Vec<Problem> {
    let mut notes = Vec::new();
    let attempts = failover.retry.attempts;
    if attempts == 0 {
        return notes;
    }
    let priorities: BTreeSet<_> = failover.order.iter().flatten().map(|m| (&m.cluster, &m.service)).collect();
    let needed = AT_ONE_PRIORITY * (priorities.len() - 1);
    if (attempts as usize) < needed {
        let what = format!(
            "{attempts} retries do not reach the last of {} clusters while the others are lost and not yet ejected: Istio \
             makes {AT_ONE_PRIORITY} attempts at each",
            priorities.len()
        );
        let hint = format!("write retries.attempts: {needed}");
        notes.push(origin.about(Problem::warning("FCT0346", what).hint(hint), "/spec/retries"));
    }
    if !failover.retry.idempotent {
        let what = "requests with methods other than GET, HEAD, OPTIONS and TRACE are never repeated once they were sent: \
                    those under way when the primary dies are lost";
        let hint = "if the service takes the same request twice without harm, write retries.idempotent: true";
        notes.push(origin.about(Problem::note("FCT0316", what).hint(hint), "/spec/retries"));
    }
    notes
}
