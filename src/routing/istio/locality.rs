//! Locality load balancing: which endpoints come first for a client in a place. What comes in: a setting, endpoints with
//! their places. What goes out: priority levels. Rules: Istio's pilot/pkg/networking/core/loadbalancer.
//!
//! Priorities exist only where outlier detection does, and for a client whose place is known: else everybody shares
//! the first level and traffic is spread.

use std::collections::BTreeMap;

use super::place::Place;
use crate::routing::read::At;
use crate::routing::{Endpoint, Level, Locality};

/// `localityLbSetting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Switched off.
    pub off: bool,
    /// Region to region.
    pub failover: BTreeMap<String, String>,
    /// Labels that must be alike, the first one counting most; with `=` a value of their own.
    pub priority: Vec<String>,
    /// Shares by place are set: then nothing fails over.
    pub distribute: bool,
}

impl Setting {
    /// Reads a `localityLbSetting`; absent is on, without any rule.
    pub fn read(at: &At) -> Setting {
        let pairs = at.get("failover").items();
        let pair = |f: &At| Some((f.get("from").string()?, f.get("to").string()?));
        let distribute = at.get("distribute").is_some();
        if distribute {
            at.warn("FCT0550", format!("{}.distribute is not read; all localities are shown in one level", at.path()));
        }
        Setting {
            off: at.get("enabled").bool() == Some(false),
            failover: pairs.iter().filter_map(pair).collect(),
            priority: at.get("failoverPriority").strings(),
            distribute,
        }
    }

    /// Whether places weigh against each other: only where a rule is spelled out.
    pub fn weighs(&self) -> bool {
        !self.off && (!self.failover.is_empty() || !self.priority.is_empty() || self.distribute)
    }
}

/// The client: where it is and what it is called.
pub struct Client<'a> {
    /// Its place.
    pub place: &'a Place,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// One endpoint with what decides its level.
pub struct Placed {
    /// Its place.
    pub place: Place,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Endpoints by level. `detected` says whether there is outlier detection.
pub fn levels(all: Vec<Placed>, client: &Client, setting: &Setting, detected: bool) -> Vec<Level> {
    let ranked = detected && !setting.off && !setting.distribute && client.place.region.is_some();
    let mut by_rank: BTreeMap<u32, BTreeMap<Place, Vec<Endpoint>>> = BTreeMap::new();
    for one in all {
        let rank = if ranked { rank(&one, client, setting) } else { 0 };
        by_rank.entry(rank).or_default().entry(one.place).or_default().push(one.endpoint);
    }
    let locality = |(place, endpoints): (Place, Vec<Endpoint>)| {
        let sum: u32 = endpoints.iter().map(|e| e.weight.unwrap_or(1)).sum();
        Locality {
            region: place.region,
            zone: place.zone,
            sub_zone: place.sub_zone,
            weight: setting.weighs().then_some(sum.max(1)),
            endpoints,
        }
    };
    // Gaps between ranks close: Envoy wants priorities in a row.
    let mut levels: Vec<Level> =
        by_rank.into_values().map(|places| Level { localities: places.into_iter().map(locality).collect() }).collect();
    if levels.is_empty() {
        levels.push(Level::default());
    }
    levels
}

/// The rank of an endpoint: by labels first, if such a rule exists, then by place.
fn rank(one: &Placed, client: &Client, setting: &Setting) -> u32 {
    let by_label = if setting.priority.is_empty() { 0 } else { label_rank(one, client, &setting.priority) };
    if !setting.priority.is_empty() && setting.failover.is_empty() {
        return by_label;
    }
    by_label * 5 + place_rank(&one.place, client.place, &setting.failover)
}

/// Each label that is not alike ends the prefix that is: N labels make N + 1 ranks.
fn label_rank(one: &Placed, client: &Client, labels: &[String]) -> u32 {
    let alike = labels.iter().take_while(|label| match label.split_once('=') {
        Some((name, wanted)) => one.labels.get(name).is_some_and(|v| v == wanted),
        None => one.labels.contains_key(*label) && one.labels.get(*label) == client.labels.get(*label),
    });
    let alike = alike.count();
    u32::try_from(labels.len() - alike).unwrap_or(u32::MAX / 8)
}

/// Same sub-zone 0, zone 1, region 2, else 3; with `failover` rules the region they name is 3 and the rest 4.
fn place_rank(place: &Place, client: &Place, failover: &BTreeMap<String, String>) -> u32 {
    if place.region != client.region {
        let to = client.region.as_ref().and_then(|from| failover.get(from));
        return match to {
            Some(to) if place.region.as_ref() != Some(to) => 4,
            _ => 3,
        };
    }
    match (place.zone == client.zone, place.sub_zone == client.sub_zone) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &str) -> Placed {
        let endpoint = Endpoint {
            address: place.into(),
            port: 1,
            weight: None,
            tls: None,
            origin: None,
            check: None,
            unusable: None,
        };
        Placed { place: Place::parse(place), labels: BTreeMap::new(), endpoint }
    }

    fn order(client: &str, setting: &Setting, detected: bool) -> Vec<Vec<String>> {
        let all = ["r1/z1/s1", "r1/z1/s2", "r1/z2/s1", "r2/z1/s1", "r3/z1/s1"].map(at).into();
        let (place, labels) = (Place::parse(client), BTreeMap::new());
        let levels = levels(all, &Client { place: &place, labels: &labels }, setting, detected);
        let names = |l: Level| l.localities.into_iter().flat_map(|l| l.endpoints).map(|e| e.address).collect();
        levels.into_iter().map(names).collect()
    }

    #[test]
    fn the_nearer_comes_first_and_gaps_close() {
        let by_default = order("r1/z1/s1", &Setting::default(), true);
        assert_eq!(by_default, [vec!["r1/z1/s1"], vec!["r1/z1/s2"], vec!["r1/z2/s1"], vec!["r2/z1/s1", "r3/z1/s1"]]);
        assert_eq!(order("r9/z9/s9", &Setting::default(), true).len(), 1);
    }

    #[test]
    fn without_detection_or_a_place_of_the_client_traffic_is_spread() {
        assert_eq!(order("r1/z1/s1", &Setting::default(), false).len(), 1);
        assert_eq!(order("", &Setting::default(), true).len(), 1);
        let off = Setting { off: true, ..Setting::default() };
        assert_eq!(order("r1/z1/s1", &off, true).len(), 1);
    }

    #[test]
    fn a_failover_rule_puts_its_region_before_the_others() {
        let setting = Setting { failover: [("r1".to_string(), "r3".to_string())].into(), ..Setting::default() };
        let ranked = order("r1/z1/s1", &setting, true);
        assert_eq!(ranked[3..], [vec!["r3/z1/s1"], vec!["r2/z1/s1"]]);
    }
}
