//! What requests meet, route by route, for people and status. What comes in: a proxy. What goes out: rows.
//! May not know: live health; whoever has it joins it to these rows by address.

use serde::Serialize;

use super::{Endpoint, HealthCheck, ListenerKind, Matcher, Origin, Outlier, Proxy, Retry, Upstream};
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
                        let found = proxy.upstreams.get(&upstream);
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

/// The priorities of an upstream.
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

/// The clusters and Services behind an upstream, priority by priority, without repetition.
/// A level nobody can use, or whose origin no object tells, is empty.
pub fn order(upstream: &Upstream) -> Vec<Vec<Origin>> {
    let mut levels: Vec<Vec<Origin>> = vec![Vec::new(); upstream.levels.len()];
    for (level, endpoint) in upstream.endpoints().filter(|(_, e)| e.unusable.is_none()) {
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
