//! What requests meet, route by route, for people and status. What comes in: a proxy. What goes out: rows.
//! May not know: live health; whoever has it joins it to these rows by address.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Endpoint, HealthCheck, Level, ListenerKind, Matcher, Origin, Outlier, Proxy, Retry, Shape, Upstream};
use crate::model::duration::Millis;

/// One route of a proxy, followed to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRoute {
    /// Port of the listener.
    pub port: u16,
    /// Whether the listener speaks TLS.
    pub tls: bool,
    /// Host names.
    pub domains: Vec<String>,
    /// Name of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it matches.
    pub matchers: Vec<Matcher>,
    /// Cluster name of the upstream.
    pub upstream: String,
    /// Share of the route's requests, percent of the weights.
    pub share: u32,
    /// Priorities, the primary first. Empty when the upstream does not exist.
    pub priorities: Vec<Priority>,
    /// How loss is noticed.
    pub detection: Detection,
    /// When requests are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Time for the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
}

/// One priority of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Priority {
    /// 0 is the primary.
    pub level: usize,
    /// Its endpoints.
    pub endpoints: Vec<Member>,
}

/// One endpoint, as far as a person needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// IP address or DNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// What stands behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Region, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The SNI asked for, if it is reached by TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The proxy knows it as one that is not ready.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unready: bool,
    /// Why a proxy cannot use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// How loss of an endpoint is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// By asking.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<HealthCheck>,
    /// By watching answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive: Option<Outlier>,
}

impl Detection {
    /// Whether nothing notices loss.
    pub fn is_absent(&self) -> bool {
        self.active.is_empty() && self.passive.is_none()
    }
}

/// Every route of a proxy that sends to an upstream, in the order the proxy tries them.
pub fn routes(proxy: &Proxy) -> Vec<EffectiveRoute> {
    let mut rows = Vec::new();
    for listener in &proxy.listeners {
        let ListenerKind::Http(chains) = &listener.kind else { continue };
        for chain in chains {
            for host in &chain.virtual_hosts {
                for route in &host.routes {
                    for (upstream, share) in shares(route) {
                        let found = proxy.upstreams.get(&upstream).map(|u| seen_through(&proxy.upstreams, u));
                        let found = found.as_deref();
                        rows.push(EffectiveRoute {
                            port: listener.bind.port,
                            tls: chain.tls.is_some(),
                            domains: host.domains.clone(),
                            name: route.name.clone(),
                            matchers: route.matchers.clone(),
                            share,
                            priorities: found.map(priorities).unwrap_or_default(),
                            detection: found.map(detection).unwrap_or_default(),
                            retry: route.retry.clone(),
                            timeout: route.timeout,
                            upstream,
                        });
                    }
                }
            }
        }
    }
    rows
}

/// An upstream as requests meet it: an aggregate has the priorities of its members in a row. As in Envoy, a member
/// without any endpoint, or that does not exist, is left out, and an empty priority of a member takes no place.
/// Detection is that of the first member that has any; limits and the rest stay the aggregate's own.
pub fn seen_through<'a>(all: &BTreeMap<String, Upstream>, upstream: &'a Upstream) -> Cow<'a, Upstream> {
    let mut flat = Vec::new();
    match &upstream.shape {
        Shape::Endpoints => return Cow::Borrowed(upstream),
        Shape::Aggregate(_) => flat.extend(members(all, upstream)),
    }
    let outlier = upstream.outlier.clone().or_else(|| flat.iter().find_map(|m| m.outlier.clone()));
    let checks = flat.iter().map(|m| &m.health_checks).find(|c| !c.is_empty()).cloned().unwrap_or_default();
    let usable = |l: &&Level| l.localities.iter().flat_map(|p| &p.endpoints).any(|e| e.unusable.is_none());
    let mut levels: Vec<Level> = flat.iter().flat_map(|m| m.levels.iter().filter(usable).cloned()).collect();
    if levels.is_empty() {
        levels.push(Level::default());
    }
    Cow::Owned(Upstream { levels, outlier, health_checks: checks, ..upstream.clone() })
}

/// The upstreams with endpoints of their own that an upstream leads to, the preferred first; itself if it has some.
pub fn members<'a>(all: &'a BTreeMap<String, Upstream>, upstream: &'a Upstream) -> Vec<&'a Upstream> {
    let mut flat = Vec::new();
    flatten(all, upstream, &mut BTreeSet::new(), &mut flat);
    flat
}

/// Members that have endpoints of their own, in order; an aggregate that contains itself is followed once.
fn flatten<'a>(
    all: &'a BTreeMap<String, Upstream>,
    upstream: &'a Upstream,
    met: &mut BTreeSet<&'a str>,
    flat: &mut Vec<&'a Upstream>,
) {
    match &upstream.shape {
        Shape::Endpoints => flat.push(upstream),
        Shape::Aggregate(members) => {
            if met.insert(&upstream.name) {
                members.iter().filter_map(|m| all.get(m)).for_each(|m| flatten(all, m, met, flat));
            }
        }
    }
}

/// The priorities of an upstream that has endpoints of its own, or was [seen through](seen_through).
pub fn priorities(upstream: &Upstream) -> Vec<Priority> {
    let level = |(level, l): (usize, &super::Level)| {
        let members = l.localities.iter().flat_map(|place| place.endpoints.iter().map(move |e| member(place, e)));
        Priority { level, endpoints: members.collect() }
    };
    upstream.levels.iter().enumerate().map(level).collect()
}

/// How loss of an upstream's endpoints is noticed.
pub fn detection(upstream: &Upstream) -> Detection {
    Detection { active: upstream.health_checks.clone(), passive: upstream.outlier.clone() }
}

/// The clusters and Services behind an upstream (for an aggregate: [seen through](seen_through)), priority by priority,
/// without repetition.
/// A level nobody can use, or whose origin no object tells, is empty.
pub fn order(upstream: &Upstream) -> Vec<Vec<Origin>> {
    let mut levels: Vec<Vec<Origin>> = vec![Vec::new(); upstream.levels.len()];
    for (level, endpoint) in upstream.endpoints().filter(|(_, e)| e.unusable.is_none() && !e.unready) {
        let origin = endpoint.origin.as_ref().map(|o| Origin { pod: None, ..o.clone() });
        levels[level].extend(origin);
    }
    for level in &mut levels {
        level.sort();
        level.dedup();
    }
    levels
}

fn member(place: &super::Locality, endpoint: &Endpoint) -> Member {
    Member {
        address: endpoint.address.clone(),
        port: endpoint.port,
        origin: endpoint.origin.clone(),
        region: place.region.clone(),
        sni: endpoint.tls.as_ref().and_then(|t| t.sni.clone()),
        unready: endpoint.unready,
        unusable: endpoint.unusable.clone(),
    }
}

/// Upstreams of a route with their share in percent.
fn shares(route: &super::Route) -> Vec<(String, u32)> {
    match &route.action {
        super::Action::Upstream(name) => vec![(name.clone(), 100)],
        super::Action::Weighted(all) => {
            let sum: u64 = all.iter().map(|(_, w)| u64::from(*w)).sum();
            let percent = |w: u32| (u64::from(w) * 100).checked_div(sum).unwrap_or(0) as u32;
            all.iter().map(|(name, weight)| (name.clone(), percent(*weight))).collect()
        }
        super::Action::Respond { .. } | super::Action::Redirect { .. } => Vec::new(),
    }
}
