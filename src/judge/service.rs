//! Who serves a service now, priority by priority: what the objects say joined with what the gateway's Envoy says.
//! What comes in: an upstream as routing read it, and an Envoy's hosts or the reason why there are none.
//! What goes out: levels with their share of the load, and findings. May not know: where either was asked.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::envoy::admin::{Failed, Host};
use crate::envoy::load::{Hosts, Settings, load};
use crate::model::problem::{Problem, Severity};
use crate::routing::{Origin, Upstream};

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The primary serves and a backup is ready.
    Healthy,
    /// Somebody serves, but something is not as it should be.
    Warning,
    /// It cannot be told.
    Unknown,
    /// Nobody serves, or nobody would if the primary died.
    Unhealthy,
}

/// Who serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// These levels, with their share in percent.
    Levels(Vec<(usize, u32)>),
    /// Nobody who is well.
    Nobody,
    /// It is not known, and why.
    Unknown(String),
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// IP address or DNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// What stands behind it.
    pub origin: Option<Origin>,
    /// Whether Envoy would use it; none when Envoy was not asked.
    pub healthy: Option<bool>,
    /// Why not.
    pub why: Vec<String>,
    /// Its Pods and the callers do not accept each other, whatever Envoy says.
    pub stranger: bool,
}

/// One priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// 0 is the primary.
    pub level: usize,
    /// Share of the requests in percent; none when Envoy was not asked.
    pub load: Option<u32>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Level {
    /// Endpoints that are well, and that callers can talk to.
    pub fn well(&self) -> usize {
        self.endpoints.iter().filter(|e| e.healthy == Some(true) && !e.stranger).count()
    }

    /// The clusters behind it, without repetition.
    pub fn clusters(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.endpoints.iter().filter_map(|e| e.origin.as_ref().map(|o| o.cluster.to_string())).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A service as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Priorities, the primary first.
    pub levels: Vec<Level>,
    /// Who serves.
    pub serving: Serving,
    /// What is worth saying.
    pub findings: Vec<Problem>,
}

/// The reason of an Envoy in words.
pub fn reason(failed: Failed) -> &'static str {
    match failed {
        Failed::ActiveCheck => "failed active health check",
        Failed::Outlier => "ejected by outlier detection",
        Failed::Endpoint => "marked unhealthy by the control plane",
        Failed::Timeout => "health check timed out",
        Failed::Removed => "removed from the endpoints",
    }
}

/// Clusters with which callers cannot shake hands, and why.
pub type Strangers = BTreeMap<String, String>;

/// Judges one service. `members` are the upstreams with endpoints that it leads to, in order: itself, or those of an
/// aggregate, whose priorities stand in a row. `hosts` are those of the whole Envoy. No request needs to have failed for
/// a stranger to be known as one: Envoy notices nothing of an idle backup.
pub fn service(
    upstream: &Upstream,
    members: &[&Upstream],
    hosts: Result<&[Host], &str>,
    strangers: &Strangers,
) -> Service {
    judged(upstream, members, levels(upstream, members, hosts, strangers), hosts.err(), strangers)
}

/// The priorities with what is known of their endpoints.
pub(super) fn levels(
    upstream: &Upstream,
    members: &[&Upstream],
    hosts: Result<&[Host], &str>,
    strangers: &Strangers,
) -> Vec<Level> {
    let mut levels: Vec<Level> = match hosts {
        Ok(hosts) => members.iter().flat_map(|m| live(m, hosts)).collect(),
        Err(_) => members.iter().flat_map(|m| stored(m)).collect(),
    };
    levels.iter_mut().enumerate().for_each(|(i, l)| l.level = i);
    levels.iter_mut().flat_map(|l| &mut l.endpoints).for_each(|e| estrange(e, strangers));
    if let Ok(hosts) = hosts {
        share(upstream, members, hosts, &mut levels);
    }
    levels
}

/// Who serves, and what is worth saying; `unasked` is why no Envoy was asked.
pub(super) fn judged(
    upstream: &Upstream,
    members: &[&Upstream],
    levels: Vec<Level>,
    unasked: Option<&str>,
    strangers: &Strangers,
) -> Service {
    let serving = match unasked {
        None => serving(&levels),
        Some(why) => Serving::Unknown(why.to_string()),
    };
    let mut findings = findings(upstream, members, &levels, &serving);
    findings.extend(estranged(&levels, strangers));
    Service { levels, serving, findings }
}

fn estrange(endpoint: &mut Endpoint, strangers: &Strangers) {
    let cluster = endpoint.origin.as_ref().map(|o| o.cluster.as_str());
    if let Some(why) = cluster.and_then(|c| strangers.get(c)) {
        endpoint.stranger = true;
        endpoint.why.push(why.clone());
    }
}

/// A backup that could never serve. That none is left is said elsewhere, and louder.
fn estranged(levels: &[Level], strangers: &Strangers) -> Vec<Problem> {
    let clusters: BTreeSet<String> =
        levels.iter().filter(|l| l.endpoints.iter().any(|e| e.stranger)).flat_map(Level::clusters).collect();
    let problem = |(cluster, why): (&String, &String)| {
        let what = format!("{cluster} and its callers do not accept each other: {why}");
        let hint = "`failctl certs status` shows every pair; `failctl certs install` and `failctl apply` mend it";
        Problem::warning("FCT0643", what).hint(hint)
    };
    strangers.iter().filter(|(c, _)| clusters.contains(*c)).map(problem).collect()
}

fn stored(upstream: &Upstream) -> Vec<Level> {
    let endpoint = |e: &crate::routing::Endpoint| Endpoint {
        address: e.address.clone(),
        port: e.port,
        origin: e.origin.clone(),
        healthy: None,
        why: e.unusable.iter().cloned().chain(e.unready.then(|| "not ready".to_string())).collect(),
        stranger: false,
    };
    let level = |(level, l): (usize, &crate::routing::Level)| Level {
        level,
        load: None,
        endpoints: l.localities.iter().flat_map(|l| &l.endpoints).map(endpoint).collect(),
    };
    upstream.levels.iter().enumerate().map(level).collect()
}

fn live(upstream: &Upstream, hosts: &[Host]) -> Vec<Level> {
    let mine: Vec<&Host> = hosts.iter().filter(|h| h.cluster == upstream.name).collect();
    let highest = priorities(upstream, hosts);
    let origin = |h: &Host| {
        let mut same = upstream.endpoints().filter(|(_, e)| e.address == h.address && e.port == h.port);
        same.next().and_then(|(_, e)| e.origin.clone())
    };
    // A name is resolved by Envoy: its host carries an address that no object holds.
    let named = |level: usize| {
        let mut all = upstream.endpoints().filter(|(l, e)| *l == level && e.origin.is_some());
        all.next().and_then(|(_, e)| e.origin.clone())
    };
    let endpoint = |h: &&Host| Endpoint {
        address: h.address.clone(),
        port: h.port,
        origin: origin(h).or_else(|| named(h.priority as usize).filter(|_| h.priority > 0)),
        healthy: Some(h.usable()),
        why: h.failed.iter().map(|f| reason(*f).to_string()).collect(),
        stranger: false,
    };
    let at = |level: usize| mine.iter().filter(move |h| h.priority as usize == level);
    let level = |level: usize| Level { level, load: None, endpoints: at(level).map(endpoint).collect() };
    (0..highest).map(level).collect()
}

/// The share of each level. An empty level takes none, so that an aggregate, which skips it, comes to the same.
fn share(upstream: &Upstream, members: &[&Upstream], hosts: &[Host], levels: &mut [Level]) {
    let count = |level: &Level, member: &str, priority: usize| {
        let mine = hosts.iter().filter(|h| h.cluster == member && h.priority as usize == priority);
        Hosts {
            total: number(level.endpoints.len()),
            healthy: number(mine.clone().filter(|h| h.usable() && !h.degraded).count()),
            degraded: number(mine.filter(|h| h.usable() && h.degraded).count()),
            excluded: 0,
        }
    };
    let mut counts = Vec::new();
    for member in members {
        let own = levels.len().min(counts.len() + priorities(member, hosts));
        let begin = counts.len();
        counts.extend((begin..own).map(|i| count(&levels[i], &member.name, i - begin)));
    }
    let settings = Settings::default();
    let settings = Settings {
        overprovisioning: upstream.overprovisioning.unwrap_or(settings.overprovisioning),
        panic_threshold: upstream.panic_threshold.unwrap_or(settings.panic_threshold),
    };
    let split = load(&counts, settings).split();
    for (level, share) in levels.iter_mut().zip(split.into_iter().chain(std::iter::repeat(0))) {
        level.load = Some(share);
    }
}

/// How many priorities an upstream has: those it was given, and those its Envoy knows.
fn priorities(upstream: &Upstream, hosts: &[Host]) -> usize {
    let mine = hosts.iter().filter(|h| h.cluster == upstream.name);
    mine.map(|h| h.priority as usize + 1).max().unwrap_or(0).max(upstream.levels.len())
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn serving(levels: &[Level]) -> Serving {
    if levels.iter().all(|l| l.well() == 0) {
        return Serving::Nobody;
    }
    Serving::Levels(levels.iter().filter_map(|l| Some((l.level, l.load.filter(|n| *n > 0)?))).collect())
}

fn findings(upstream: &Upstream, members: &[&Upstream], levels: &[Level], serving: &Serving) -> Vec<Problem> {
    let name = &upstream.name;
    let mut all = Vec::new();
    for blind in members.iter().filter(|m| m.health_checks.is_empty() && m.outlier.is_none()) {
        let name = &blind.name;
        let what = format!("{name} has neither a health check nor outlier detection: loss is never noticed");
        all.push(Problem::error("FCT0634", what).hint("`failctl apply` writes the detection of its failover"));
    }
    match serving {
        Serving::Unknown(why) => all.push(Problem::warning("FCT0633", format!("who serves is not known: {why}"))),
        Serving::Nobody => all.push(Problem::error("FCT0630", format!("nobody who is well serves {name}"))),
        Serving::Levels(shares) if shares.iter().all(|(l, _)| *l > 0) => {
            all.push(Problem::warning("FCT0632", format!("failed over: {}", words(levels, shares))));
        }
        Serving::Levels(shares) if shares.len() > 1 => {
            all.push(Problem::warning("FCT0632", format!("partly failed over: {}", words(levels, shares))));
        }
        Serving::Levels(_) => {}
    }
    all.extend(backup(upstream, levels, serving));
    all
}

/// What stands in when the primary dies.
fn backup(upstream: &Upstream, levels: &[Level], serving: &Serving) -> Option<Problem> {
    let name = &upstream.name;
    if levels.len() < 2 {
        let what = format!("{name} has no backup: nothing but its primary is configured");
        return Some(Problem::error("FCT0631", what).hint("`failctl diff` shows what is missing"));
    }
    let ready = match serving {
        Serving::Unknown(_) => levels[1..].iter().flat_map(|l| &l.endpoints).any(|e| e.why.is_empty()),
        _ => levels[1..].iter().any(|l| l.well() > 0),
    };
    if ready {
        return None;
    }
    let backups = levels[1..].iter().flat_map(|l| &l.endpoints);
    let why: Vec<_> = backups.map(|e| format!("{}:{} {}", e.address, e.port, e.why.join(", "))).collect();
    let why = if why.is_empty() { "it has no endpoint".to_string() } else { why.join("; ") };
    Some(Problem::error("FCT0631", format!("{name} has no backup that is ready: {why}")))
}

fn words(levels: &[Level], shares: &[(usize, u32)]) -> String {
    let one = |(level, share): &(usize, u32)| {
        let clusters = levels[*level].clusters();
        let who = if clusters.is_empty() { format!("priority {level}") } else { clusters.join("+") };
        format!("{who} takes {share} %")
    };
    shares.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What findings come to. A known fault outweighs what is not known.
pub fn standing<'a>(findings: impl IntoIterator<Item = &'a Problem>) -> Standing {
    let one = |p: &Problem| match (p.severity, p.code) {
        (Severity::Error, _) => Standing::Unhealthy,
        (_, "FCT0633" | "FCT0638") => Standing::Unknown,
        (Severity::Warning, _) => Standing::Warning,
        (Severity::Note, _) => Standing::Healthy,
    };
    findings.into_iter().map(one).max().unwrap_or(Standing::Healthy)
}
