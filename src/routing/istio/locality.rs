//! Locality load balancing: which endpoints come first for a client in a place. What comes in: a setting, endpoints with
//! their places and labels. What goes out: priority levels. Rules: Istio's pilot/pkg/networking/core/loadbalancer.
//!
//! Priorities exist only where outlier detection does, or where a Service asks for them by `trafficDistribution`: else
//! everybody shares the first level and traffic is spread.

use std::collections::BTreeMap;

use super::place::Place;
use super::topology;
use crate::routing::read::At;
use crate::routing::{Endpoint, Level, Locality};

/// Places that a rank by labels leaves room for.
const PLACE_RANKS: u32 = 5;

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
    /// Priorities exist without outlier detection too.
    pub forced: bool,
}

impl Setting {
    /// Reads a `localityLbSetting`; absent is on, without any rule.
    pub fn read(at: &At) -> Setting {
        let mut failover = BTreeMap::new();
        for pair in at.get("failover").items() {
            if let (Some(from), Some(to)) = (pair.get("from").string(), pair.get("to").string()) {
                // Of two rules for one region the first counts.
                failover.entry(from).or_insert(to);
            }
        }
        let distribute = at.get("distribute").is_some();
        if distribute {
            at.warn("FCT0550", format!("{}.distribute is not read; all localities are shown in one level", at.path()));
        }
        Setting {
            off: at.get("enabled").bool() == Some(false),
            failover,
            priority: at.get("failoverPriority").strings(),
            distribute,
            forced: false,
        }
    }

    /// What a Service's `trafficDistribution` asks for; any other word asks for nothing.
    pub fn of_distribution(word: &str) -> Option<Setting> {
        let zone = [topology::NETWORK, topology::REGION, topology::ZONE];
        let node = [topology::SUB_ZONE, topology::HOST];
        let labels: Vec<&str> = match word.to_ascii_lowercase().as_str() {
            "preferclose" | "prefersamezone" => zone.into(),
            "prefersamenode" => [&zone[..], &node[..]].concat(),
            _ => return None,
        };
        let priority = labels.into_iter().map(str::to_string).collect();
        Some(Setting { priority, forced: true, ..Setting::default() })
    }

    /// Whether there are priorities. `detected` says whether there is outlier detection.
    fn ranks(&self, detected: bool) -> bool {
        !self.off && !self.distribute && (detected || self.forced)
    }

    /// Whether places weigh against each other: only where a rule is spelled out and counts.
    pub fn weighs(&self, detected: bool) -> bool {
        let ruled = !self.failover.is_empty() || !self.priority.is_empty();
        !self.off && (self.distribute || ruled && self.ranks(detected))
    }
}

/// The client: where it is and what it is called.
pub struct Client<'a> {
    /// Its place.
    pub place: &'a Place,
    /// Its labels, with those of its [`topology`].
    pub labels: &'a BTreeMap<String, String>,
}

/// One endpoint with what decides its level.
pub struct Placed {
    /// Its place.
    pub place: Place,
    /// Its labels, with those of its [`topology`].
    pub labels: BTreeMap<String, String>,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Endpoints by level. `detected` says whether there is outlier detection.
pub fn levels(all: Vec<Placed>, client: &Client, setting: &Setting, detected: bool) -> Vec<Level> {
    let ranked = setting.ranks(detected);
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
            weight: setting.weighs(detected).then_some(sum.max(1)),
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

/// The rank of an endpoint: by labels first, if such a rule exists, then by place unless only labels were asked for.
fn rank(one: &Placed, client: &Client, setting: &Setting) -> u32 {
    let by_label = label_rank(&one.labels, client.labels, &setting.priority);
    if !setting.priority.is_empty() && setting.failover.is_empty() {
        return by_label;
    }
    by_label * PLACE_RANKS + place_rank(&one.place, client.place, &setting.failover)
}

/// The first label that is not alike decides: of N labels, the first one gives N and the last one 1. A label that neither
/// side carries is alike. The network as first label is apart: the others still count in a strange network, after all
/// endpoints of the own one.
fn label_rank(endpoint: &BTreeMap<String, String>, client: &BTreeMap<String, String>, keys: &[String]) -> u32 {
    if client.is_empty() {
        return 0;
    }
    let wanted: BTreeMap<&str, &str> = keys.iter().filter_map(|k| with_value(k)).collect();
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX / (2 * PLACE_RANKS));
    let mut strange = 0;
    for (left, key) in (1..=count).rev().zip(keys) {
        let name = key.split('=').next().unwrap_or_default();
        let own = wanted.get(name).copied().or(client.get(name).map(String::as_str)).unwrap_or_default();
        if own == endpoint.get(name).map_or("", String::as_str) {
            continue;
        }
        if left == count && key == topology::NETWORK {
            strange = count;
        } else {
            return strange + left;
        }
    }
    strange
}

/// A label with the value that is wanted of it, `NAME=VALUE`; with any other number of `=` none is wanted (Istio's rule).
fn with_value(key: &str) -> Option<(&str, &str)> {
    key.split_once('=').filter(|(_, value)| !value.contains('='))
}

/// Same sub-zone 0, zone 1, region 2, else 3; with a `failover` rule for the client's region the one it names is 3 and the
/// rest 4. Not known is a place like any other: a client without one has endpoints without one first.
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
            unready: false,
            unusable: None,
        };
        Placed { place: Place::parse(place), labels: BTreeMap::new(), endpoint }
    }

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().map(|p| p.split_once(':').unwrap());
        pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn keys(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_string).collect()
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
    fn without_detection_traffic_is_spread_unless_the_service_asks() {
        assert_eq!(order("r1/z1/s1", &Setting::default(), false).len(), 1);
        let asked = Setting::of_distribution("PreferClose").unwrap();
        assert!(asked.ranks(false) && asked.weighs(false));
        assert!(!Setting::default().weighs(true));
        let ruled = Setting { priority: keys("a"), ..Setting::default() };
        assert!(ruled.weighs(true) && !ruled.weighs(false));
        let off = Setting { off: true, ..Setting::default() };
        assert_eq!(order("r1/z1/s1", &off, true).len(), 1);
    }

    #[test]
    fn a_failover_rule_puts_its_region_before_the_others() {
        let setting = Setting { failover: [("r1".to_string(), "r3".to_string())].into(), ..Setting::default() };
        let ranked = order("r1/z1/s1", &setting, true);
        assert_eq!(ranked[3..], [vec!["r3/z1/s1"], vec!["r2/z1/s1"]]);
    }
    #[test]
    fn a_client_without_a_place_has_endpoints_without_one_first() {
        let nowhere = (Place::default(), BTreeMap::new());
        let client = Client { place: &nowhere.0, labels: &nowhere.1 };
        let found = levels(vec![at("r1/z1"), at("")], &client, &Setting::default(), true);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].localities[0].endpoints[0].address, "");
        assert_eq!(order("", &Setting::default(), true).len(), 1);
    }

    #[test]
    fn the_first_label_that_is_not_alike_decides_and_an_absent_one_is_alike() {
        let rank = |endpoint, client, names| label_rank(&labels(endpoint), &labels(client), &keys(names));
        let behind = "behind-2 behind-1";
        assert_eq!(rank("app:web", "app:web", behind), 0);
        assert_eq!(rank("behind-1:y", "app:web", behind), 1);
        assert_eq!(rank("behind-2:y", "app:web", behind), 2);
        assert_eq!(rank("behind-2:y behind-1:y", "app:web", behind), 2);
        assert_eq!(rank("a:1 c:3", "a:1 b:2 c:3", "a b c"), 2);
        // Without any label of the client the whole rule is left out.
        assert_eq!(rank("behind-1:y", "", behind), 0);
    }

    #[test]
    fn a_label_may_have_a_value_of_its_own() {
        let rank = |endpoint, names| label_rank(&labels(endpoint), &labels("version:v1"), &keys(names));
        assert_eq!(rank("version:v2", "version=v2"), 0);
        assert_eq!(rank("version:v1", "version=v2"), 1);
        assert_eq!(rank("", "version="), 0);
        assert_eq!(rank("version:v1", "version=v2=x"), 0);
    }

    #[test]
    fn the_network_as_first_label_leaves_the_others_their_say() {
        let names = format!("{} zone", topology::NETWORK);
        let near = format!("{}:near zone:a", topology::NETWORK);
        let rank = |endpoint: &str| label_rank(&labels(endpoint), &labels(&near), &keys(&names));
        let own = |zone: &str| format!("{}:near zone:{zone}", topology::NETWORK);
        assert_eq!([rank(&own("a")), rank(&own("b")), rank("zone:a"), rank("zone:b")], [0, 1, 2, 3]);
        // With a value it is a label like the others.
        let valued = format!("{}=near zone", topology::NETWORK);
        assert_eq!(label_rank(&labels("zone:a"), &labels(&near), &keys(&valued)), 2);
    }

    #[test]
    fn places_rank_within_labels_when_both_are_said() {
        let setting = Setting {
            failover: [("r1".to_string(), "r2".to_string())].into(),
            priority: keys("tier"),
            ..Setting::default()
        };
        let placed = |place: &str, tier: &str| {
            let labels = labels(&format!("tier:{tier}"));
            Placed { labels, ..at(place) }
        };
        let (place, labels) = (Place::parse("r1/z1"), labels("tier:gold"));
        let client = Client { place: &place, labels: &labels };
        let ranks = [("r1/z1", "gold"), ("r3", "gold"), ("r1/z1", "tin"), ("r2", "tin")];
        let ranks = ranks.map(|(place, tier)| rank(&placed(place, tier), &client, &setting));
        assert_eq!(ranks, [0, 4, 5, 8]);
    }
}
