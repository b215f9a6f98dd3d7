//! TrafficPolicies as routes: where requests of a Service's callers go, for how long, and when they are tried again.
//! Policies with the same matchers are one route; what two of them want differently is an error, not a matter of order.
//! (Service Mesh Hub since v0.10.10; routes go from the most particular to the most general.)

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Job, origin};
use crate::compile::istio::intent::{Chain, Leg, Origin, Retries, Rule, Shift};
use crate::model::duration::Millis;
use crate::model::mesh;
use crate::model::problem::Problem;
use crate::model::smh::{self, HttpMatcher, Path, ServiceAt, ShiftTo, TrafficPolicy, WorkloadSelector};
use crate::resource::istio::virtual_service::{HttpMatch, Text};

/// Hosts and ports, with percent of the requests; and the port of the called Service that is meant.
type Destinations = (Vec<Leg>, Option<u16>);

/// What policies of the same matchers want together, and who said it.
#[derive(Default)]
struct Together<'a> {
    shift: Option<(&'a TrafficPolicy, Destinations)>,
    retries: Option<(&'a TrafficPolicy, smh::Retries)>,
    timeout: Option<(&'a TrafficPolicy, Millis)>,
}

type Matchers = (Vec<WorkloadSelector>, Vec<HttpMatcher>);

/// Every Service whose callers a policy is about.
pub fn shifts(job: &mut Job<'_>, chains: &[Chain]) -> Vec<Shift> {
    let mut by_service: BTreeMap<ServiceAt, BTreeMap<Matchers, Together<'_>>> = BTreeMap::new();
    let acting = job.policies().filter(|p| !p.shift.is_empty() || p.retries.is_some() || p.timeout.is_some());
    for policy in acting {
        let origin = origin("TrafficPolicy", &policy.reference);
        let targets = job.reports.get(&origin.document).map(|r| r.targets.clone()).unwrap_or_default();
        for target in targets {
            let key = (policy.sources.clone(), policy.matchers.clone());
            let to = destinations(job, policy, &origin, &target, chains);
            let place = by_service.entry(target.clone()).or_default().entry(key).or_default();
            let mut twice = Vec::new();
            if !policy.shift.is_empty() {
                let wanted = place.shift.get_or_insert_with(|| (policy, to.clone()));
                twice.extend((wanted.1.0 != to.0).then_some(("trafficShift", wanted.0)));
            }
            if let Some(retries) = policy.retries {
                let wanted = place.retries.get_or_insert((policy, retries));
                twice.extend((wanted.1 != retries).then_some(("retries", wanted.0)));
            }
            if let Some(timeout) = policy.timeout {
                let wanted = place.timeout.get_or_insert((policy, timeout));
                twice.extend((wanted.1 != timeout).then_some(("requestTimeout", wanted.0)));
            }
            for (field, first) in twice {
                let what =
                    format!("TrafficPolicy {} and this one want different `{field}` for {target}", first.reference);
                let problem = Problem::error("FCT0368", what).hint("give both the same, or other matchers");
                job.say(&origin, &format!("/spec/{field}"), problem);
            }
        }
    }
    by_service.into_iter().map(|(target, rules)| shift(job, &target, rules)).collect()
}

/// Hosts and ports of a policy's shift, seen from a Service's own cluster; and the port of the Service that is meant.
fn destinations(
    job: &mut Job<'_>,
    policy: &TrafficPolicy,
    origin: &Origin,
    target: &ServiceAt,
    chains: &[Chain],
) -> Destinations {
    let mut to = Vec::new();
    let mut meant = None;
    for (i, (shift, weight)) in policy.shift.iter().enumerate() {
        let pointer = format!("/spec/trafficShift/destinations/{i}");
        match shift {
            ShiftTo::Failover(reference) => {
                let named = |c: &&Chain| c.origin.document == format!("FailoverService {reference}");
                let Some(chain) = chains.iter().find(named) else {
                    let what = format!("there is no FailoverService {reference}");
                    let known: Vec<_> = job.failovers().map(|f| f.reference.to_string()).collect();
                    let known: Vec<_> = known.iter().map(String::as_str).collect();
                    let hint = match known.is_empty() {
                        true => "give it too; names are NAMESPACE/NAME of the management cluster".to_string(),
                        false => crate::spec::text::meant(&reference.to_string(), known),
                    };
                    job.say(origin, &pointer, Problem::error("FCT0372", what).hint(hint));
                    continue;
                };
                if !chain.clients.contains(&target.cluster) {
                    let what = format!(
                        "FailoverService {reference} is not seen on `{}`, where the callers of {target} are",
                        target.cluster
                    );
                    let hint = format!("add the mesh of `{}` to its `meshes`", target.cluster);
                    job.say(origin, &pointer, Problem::error("FCT0373", what).hint(hint));
                }
                if !chain.protocol.is_http() {
                    let what = format!(
                        "FailoverService {reference} speaks {}, whose requests cannot be routed",
                        chain.protocol.as_str()
                    );
                    job.say(origin, &pointer, Problem::error("FCT0347", what).hint("let callers use its host"));
                }
                let own = chain.backends.iter().find(|b| same(b, target)).map(|b| b.service.port);
                meant = own.or(Some(chain.port));
                to.push(Leg { weight: *weight, ..Leg::to(chain.host.clone(), chain.port) });
            }
            ShiftTo::Service(service, port) if service.cluster == target.cluster => {
                let ports = ports(job, service);
                let chosen = port.or(match ports[..] {
                    [only] => Some(only),
                    _ => None,
                });
                let Some(chosen) = chosen else {
                    let what = format!("{service} has several ports, or is not known: which one is meant?");
                    job.say(origin, &pointer, Problem::error("FCT0335", what).hint("write kubeService.port"));
                    continue;
                };
                to.push(Leg { weight: *weight, ..Leg::to(local(job, service), chosen) });
            }
            ShiftTo::Service(service, _) => {
                let what = format!("{service} is another cluster than that of {target}");
                let hint = "make a FailoverService of the two; it notices when the way between the clusters is lost";
                job.say(origin, &pointer, Problem::error("FCT0374", what).hint(hint));
            }
        }
    }
    (to, meant)
}

fn same(backend: &crate::compile::istio::intent::Backend, target: &ServiceAt) -> bool {
    backend.cluster == target.cluster
        && backend.service.namespace == target.namespace
        && backend.service.name == target.name
}

fn local(job: &Job<'_>, service: &ServiceAt) -> String {
    let istio = job.fleet.clusters.get(&service.cluster).and_then(|c| c.istio.as_ref());
    let domain = istio.map_or(mesh::CLUSTER_DOMAIN, |i| i.cluster_domain.as_str());
    mesh::local_host(service.namespace.as_str(), service.name.as_str(), domain)
}

fn ports(job: &Job<'_>, service: &ServiceAt) -> Vec<u16> {
    let known = job.site.facts.service(&service.cluster, service.namespace.as_str(), service.name.as_str());
    known.into_iter().flat_map(|s| s.ports.iter().filter(|p| p.tcp).map(|p| p.number)).collect()
}

fn shift(job: &Job<'_>, target: &ServiceAt, together: BTreeMap<Matchers, Together<'_>>) -> Shift {
    let all = ports(job, target);
    let host = local(job, target);
    let meant = together.values().find_map(|t| t.shift.as_ref().and_then(|(_, (_, port))| *port));
    let first = together
        .values()
        .find_map(|t| t.shift.as_ref().map(|s| s.0).or(t.retries.map(|r| r.0)).or(t.timeout.map(|t| t.0)));
    let origin = first.map(|p| origin("TrafficPolicy", &p.reference));
    let mut rules: Vec<(Reverse<[usize; 6]>, Rule)> = Vec::new();
    for ((sources, matchers), t) in &together {
        let retries = t.retries.map(|(_, r)| Retries {
            attempts: r.attempts,
            per_try_timeout: r.per_try_timeout,
            retry_on: None,
            leaves: false,
        });
        let timeout = t.timeout.map(|(_, t)| t);
        let matches = matches(sources, matchers, target);
        if matches.is_empty() && !(sources.is_empty() && matchers.is_empty()) {
            continue;
        }
        let rule = |to, matches| Rule { name: None, matches, to, retries: retries.clone(), timeout };
        let particular = Reverse(particular(sources, matchers));
        match &t.shift {
            Some((_, (to, _))) => {
                rules.push((particular, rule(to.clone(), with_port(&matches, &all, meant))));
                // What calls the Service's other ports stays there.
                for port in all.iter().filter(|p| all.len() > 1 && Some(**p) != meant) {
                    rules.push((
                        particular,
                        rule(vec![Leg::to(host.clone(), *port)], with_port(&matches, &all, Some(*port))),
                    ));
                }
            }
            // Each port's requests stay at their port.
            None => {
                for port in &all {
                    rules.push((
                        particular,
                        rule(vec![Leg::to(host.clone(), *port)], with_port(&matches, &all, Some(*port))),
                    ));
                }
            }
        }
    }
    // Requests that nothing matches go where they went.
    let general = together.keys().any(|(sources, matchers)| sources.is_empty() && matchers.is_empty());
    let left: Vec<u16> = if general { Vec::new() } else { all.clone() };
    rules.sort_by_key(|(particular, _)| *particular);
    let mut rules: Vec<Rule> = rules.into_iter().map(|(_, r)| r).collect();
    for port in left {
        let matches = with_port(&[], &all, Some(port));
        rules.push(Rule { name: None, matches, to: vec![Leg::to(host.clone(), port)], retries: None, timeout: None });
    }
    Shift {
        origin: origin.unwrap_or(Origin { owner: String::new(), document: String::new() }),
        cluster: target.cluster.clone(),
        namespace: target.namespace.to_string(),
        service: target.name.to_string(),
        port: None,
        others: Vec::new(),
        rules,
    }
}

/// The matches of one port; nothing is said of the only one.
fn with_port(matches: &[HttpMatch], all: &[u16], port: Option<u16>) -> Vec<HttpMatch> {
    let mut matches = matches.to_vec();
    if all.len() < 2 {
        return matches;
    }
    if matches.is_empty() {
        matches.push(HttpMatch::default());
    }
    matches.iter_mut().for_each(|m| m.port = port);
    matches
}

/// Every combination of a sender and a request; senders of other clusters are not here.
fn matches(sources: &[WorkloadSelector], matchers: &[HttpMatcher], target: &ServiceAt) -> Vec<HttpMatch> {
    let here = |s: &&WorkloadSelector| s.clusters.is_empty() || s.clusters.contains(&target.cluster);
    let mut senders: Vec<HttpMatch> = Vec::new();
    for source in sources.iter().filter(here) {
        let labels = || source.labels.clone();
        let namespaces: Vec<_> = match source.namespaces.is_empty() {
            true => vec![None],
            false => source.namespaces.iter().map(|n| Some(n.to_string())).collect(),
        };
        senders.extend(namespaces.into_iter().map(|source_namespace| HttpMatch {
            source_labels: labels(),
            source_namespace,
            ..HttpMatch::default()
        }));
    }
    match (sources.is_empty(), matchers.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => matchers.iter().map(|m| request(m, HttpMatch::default())).collect(),
        (false, true) => senders.into_iter().filter(|s| *s != HttpMatch::default()).collect(),
        (false, false) => senders.iter().flat_map(|s| matchers.iter().map(|m| request(m, s.clone()))).collect(),
    }
}

fn request(matcher: &HttpMatcher, sender: HttpMatch) -> HttpMatch {
    let text = |value: &Option<String>, regex: bool| match value {
        None => Text::present(),
        Some(value) if regex => Text::Regex(value.clone()),
        Some(value) => Text::Exact(value.clone()),
    };
    let headers = |inverted: bool| {
        let some = matcher.headers.iter().filter(move |(_, _, _, i)| *i == inverted);
        some.map(|(name, value, regex, _)| (name.clone(), text(value, *regex))).collect()
    };
    HttpMatch {
        uri: matcher.path.as_ref().map(|p| match p {
            Path::Exact(t) => Text::Exact(t.clone()),
            Path::Prefix(t) => Text::Prefix(t.clone()),
            Path::Regex(t) => Text::Regex(t.clone()),
        }),
        method: matcher.method.clone().map(Text::Exact),
        headers: headers(false),
        without_headers: headers(true),
        query_params: matcher.parameters.iter().map(|(n, v, r)| (n.clone(), text(v, *r))).collect(),
        ..sender
    }
}

/// How particular a route is: its most general match counts.
fn particular(sources: &[WorkloadSelector], matchers: &[HttpMatcher]) -> [usize; 6] {
    let of = |m: &HttpMatcher| {
        let (kind, length) = match &m.path {
            Some(Path::Exact(t)) => (3, t.len()),
            Some(Path::Regex(t)) => (2, t.len()),
            Some(Path::Prefix(t)) => (1, t.len()),
            None => (0, 0),
        };
        [kind, length, m.headers.len(), m.parameters.len(), 0, usize::from(m.method.is_some())]
    };
    let mut most = matchers.iter().map(of).min().unwrap_or_default();
    most[4] = sources.iter().map(|s| s.labels.len() + usize::from(!s.namespaces.is_empty())).min().unwrap_or(0);
    most
}
