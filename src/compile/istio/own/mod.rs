//! failctl's own failovers as an intent, and what both targets of a mesh ask alike. What a mesh cannot express is refused
//! with what to write instead: sidecars ask nobody how he is, and there is no edge.

mod aggregate;
mod locality;
mod versions;

use super::intent::{Backend, Intent, Leg, Manner, Origin, Retries, Rule};
use crate::compile::gloo::names;
use crate::compile::retry::{HARMLESS, REPEATING, SAFE};
use crate::compile::{Site, target};
use crate::model::duration::Millis;
use crate::model::failover::{Failover, Member, OutlierDetection, Retry, Target};
use crate::model::fleet::Fleet;
use crate::model::mesh::Protocol;
use crate::model::problem::Problem;
use crate::resource::istio::virtual_service::{HttpMatch, Text};

/// Longest time a connection may take: Istio's default of 10s would hold every request to a dead gateway that long.
const CONNECT_TIMEOUT: Millis = Millis::secs(1);
/// Attempts that Istio's previous_priorities makes at one priority before it leaves it (`retryRemoteLocalities`).
const AT_ONE_PRIORITY: usize = 2;

/// The intent of a failover; empty when its target cannot express it.
pub fn intent(fleet: &Fleet, failover: &Failover, site: &Site, problems: &mut Vec<Problem>) -> Intent {
    match target::of_mesh(failover) {
        Target::IstioLocality => locality::intent(fleet, failover, site, problems),
        _ => aggregate::intent(fleet, failover, site, problems),
    }
}

fn origin(failover: &Failover) -> Origin {
    Origin { owner: failover.name.to_string(), document: failover.name.to_string() }
}

/// A failover that says how loss is noticed in traffic.
struct Asked<'a> {
    failover: &'a Failover,
    outlier: &'a OutlierDetection,
}

impl<'a> Asked<'a> {
    fn of(failover: &'a Failover) -> Option<Self> {
        Some(Asked { failover, outlier: failover.detection.passive()? })
    }

    /// Time a connection may take: no longer than an attempt.
    fn connect_timeout(&self) -> Millis {
        let retry = &self.failover.retry;
        if retry.attempts > 0 { CONNECT_TIMEOUT.min(retry.per_try_timeout) } else { CONNECT_TIMEOUT }
    }

    /// The members by group.
    fn groups(&self) -> Vec<Vec<Backend>> {
        let backend = |g: usize, (m, member): (usize, &Member)| Backend {
            cluster: member.cluster.clone(),
            service: member.service.clone(),
            account: member.service_account.as_ref().map(|a| a.to_string()),
            outlier: self.outlier.clone(),
            manner: Manner::Advised,
            connect_timeout: Some(self.connect_timeout()),
            pointer: format!("/spec/order/{g}/clusters/{m}"),
        };
        let groups = self.failover.order.iter().enumerate();
        groups.map(|(g, group)| group.iter().enumerate().map(|m| backend(g, m)).collect()).collect()
    }

    /// One rule where all requests are alike, else one for methods that are safe to repeat and one for the rest.
    fn rules(&self, host: &str) -> Vec<Rule> {
        let failover = self.failover;
        let Retry { attempts, per_try_timeout, idempotent } = failover.retry;
        let rule = |safe: bool, retry_on: Option<&'static str>| Rule {
            name: Some(names::route(&failover.name, safe)),
            matches: if safe { methods() } else { Vec::new() },
            to: vec![Leg::to(host, failover.primary().service.port)],
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
}

fn methods() -> Vec<HttpMatch> {
    SAFE.iter().map(|m| HttpMatch { method: Some(Text::Exact(m.to_string())), ..HttpMatch::default() }).collect()
}

/// What stands against any target of a mesh.
fn unfit(fleet: &Fleet, failover: &Failover, origin: &Origin, target: Target) -> Vec<Problem> {
    let target = target.as_str();
    let mut problems = Vec::new();
    let mut say = |code, what: String, hint: String, pointer: String| {
        problems.push(origin.about(Problem::error(code, what).hint(hint), pointer));
    };
    for (g, group) in failover.order.iter().enumerate() {
        for (m, member) in group.iter().enumerate() {
            if fleet.clusters.get(&member.cluster).is_some_and(|c| c.istio.is_none()) {
                let what = format!("the fleet does not say that Istio runs on `{}`", member.cluster);
                let hint = format!(
                    "add istio: {{version: …}} to that cluster; {target} needs it on every cluster of the order"
                );
                say("FCT0342", what, hint, format!("/spec/order/{g}/clusters/{m}/name"));
            }
        }
    }
    if failover.detection.active().is_some() {
        let what = "Istio's sidecars ask nobody how he is: they have no active health checks";
        let hint =
            "write detection: {outlierDetection: {consecutive5xx: 1, interval: 1s, baseEjectionTime: 10s}} alone";
        say("FCT0344", what.into(), hint.into(), "/spec/detection/activeHealthCheck".into());
    }
    if failover.route.is_some() {
        let what = format!("{target} is between services of a mesh and makes no route at the edge");
        let hint = "leave `route` out; the edge's own routes go on to lead to the first service of the mesh";
        say("FCT0345", what, hint.into(), "/spec/route".into());
    }
    if failover.mesh.identity {
        let what = "`mesh.identity` is for Gloo; between services the sidecars have identities of their own";
        let hint = "leave it out, or write a failover of Gloo";
        say("FCT0322", what.into(), hint.into(), "/spec/mesh/identity".into());
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
    let protocol = Protocol::spoken(&port.speaks);
    if !protocol.is_http() {
        let what = format!(
            "port {} speaks {}: its requests cannot be told apart, so none can be retried",
            port.number, port.speaks
        );
        let target = target::of_mesh(failover).as_str();
        let hint = format!("{target} is for HTTP and gRPC between services; sidecars add the TLS themselves");
        problems.push(origin.about(Problem::error("FCT0347", what).hint(hint), "/spec/service/port"));
    }
    (protocol, others)
}

/// What will hurt, and what is worth knowing, where requests meet that many priorities.
fn notes(failover: &Failover, origin: &Origin, priorities: usize) -> Vec<Problem> {
    let mut notes = Vec::new();
    let attempts = failover.retry.attempts;
    if attempts == 0 {
        return notes;
    }
    let needed = AT_ONE_PRIORITY * priorities.saturating_sub(1);
    if (attempts as usize) < needed {
        let what = format!(
            "{attempts} retries do not reach the last of {priorities} priorities while the others are lost and not yet \
             ejected: Istio makes {AT_ONE_PRIORITY} attempts at each"
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
