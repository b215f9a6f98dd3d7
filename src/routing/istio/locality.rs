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

/// Ranks by place that a rank by labels leaves room for.
const PLACE_RANKS: u32 = 5;
/// The same where only regions are told apart.
const REGION_RANKS: u32 = 3;

/// Shares of traffic by place, for clients in a place. Places are written `REGION/ZONE/SUBZONE`; `*`, or nothing after the
/// region, is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Where the client is.
    pub from: String,
    /// Where traffic goes, in percent (Istio sees to it that they come to 100, and that no two places overlap).
    pub to: BTreeMap<String, u32>,
}

/// `localityLbSetting`, or `zoneAwareLbSetting`, which takes its place where both are said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Switched off.
    pub off: bool,
    /// Region to region.
    pub failover: BTreeMap<String, String>,
    /// Labels that must be alike, the first one counting most; with `=` a value of their own.
    pub priority: Vec<String>,
    /// Shares by place: where any are set, nothing fails over.
    pub distribute: Vec<Shares>,
    /// Priorities exist without outlier detection too.
    pub forced: bool,
    /// Only regions are told apart: which zone of one is asked, Envoy decides by their sizes (`zoneAwareLbSetting`).
    pub by_region: bool,
}

impl Setting {
    /// What a load balancer's settings, or the mesh's, say of places; nothing when they say nothing.
    pub fn of(at: &At) -> Option<Setting> {
        let zones = at.get("zoneAwareLbSetting").some().map(|at| {
            let what = "is read as far as it ranks regions; that Envoy prefers a zone of the first one is not shown";
            at.warn("FCT0550", format!("{} {what}", at.path()));
            Setting { distribute: Vec::new(), forced: true, by_region: true, ..Setting::read(&at) }
        });
        zones.or_else(|| at.get("localityLbSetting").some().map(|at| Setting::read(&at)))
    }

    fn read(at: &At) -> Setting {
        let mut failover = BTreeMap::new();
        for pair in at.get("failover").items() {
            if let (Some(from), Some(to)) = (pair.get("from").string(), pair.get("to").string()) {
                // Of two rules for one region the first counts.
                failover.entry(from).or_insert(to);
            }
        }
        let shares =
            |rule: At| Shares { from: rule.get("from").string().unwrap_or_default(), to: shares_of(&rule.get("to")) };
        Setting {
            off: at.get("enabled").bool() == Some(false),
            failover,
            priority: at.get("failoverPriority").strings(),
            distribute: at.get("distribute").items().into_iter().map(shares).collect(),
            forced: false,
            by_region: false,
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
        !self.off && self.distribute.is_empty() && (detected || self.forced)
    }

    /// Whether places weigh against each other: only where a rule is spelled out and counts.
    pub fn weighs(&self, detected: bool) -> bool {
        let ruled = !self.failover.is_empty() || !self.priority.is_empty();
        !self.off && !self.by_region && (!self.distribute.is_empty() || ruled && self.ranks(detected))
    }

    /// The shares for a client in a place: of several rules for it the first counts.
    fn shares(&self, client: &Place) -> Option<&BTreeMap<String, u32>> {
        let rule = self.distribute.iter().find(|shares| covers(&shares.from, client));
        rule.filter(|_| !self.off).map(|shares| &shares.to)
    }
}

fn shares_of(to: &At) -> BTreeMap<String, u32> {
    to.fields().into_iter().filter_map(|place| Some((place.to_string(), to.get(place).u32()?))).collect()
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
    let shares = setting.shares(client.place);
    let level = |places: BTreeMap<Place, Vec<Endpoint>>| {
        let sum = |all: &Vec<Endpoint>| all.iter().map(|e| e.weight.unwrap_or(1)).sum();
        let sums: BTreeMap<Place, u32> = places.iter().map(|(place, all)| (place.clone(), sum(all))).collect();
        let weights = match shares {
            Some(shares) => shared(&sums, shares),
            None => sums,
        };
        let locality = |(place, endpoints): (Place, Vec<Endpoint>)| {
            let weight = setting.weighs(detected).then_some((*weights.get(&place)?).max(1));
            Some(Locality { region: place.region, zone: place.zone, sub_zone: place.sub_zone, weight, endpoints })
        };
        Level { localities: places.into_iter().filter_map(locality).collect() }
    };
    // Gaps between ranks close: Envoy wants priorities in a row.
    let mut levels: Vec<Level> = by_rank.into_values().map(level).collect();
    if levels.is_empty() {
        levels.push(Level::default());
    }
    levels
}

/// The weight of each place that shares name, of the weights of its endpoints. A share that several places have a claim to is
/// split by those; a place without a share is left out, for it gets no traffic, not even when all others are down.
fn shared(sums: &BTreeMap<Place, u32>, shares: &BTreeMap<String, u32>) -> BTreeMap<Place, u32> {
    let mut weights = BTreeMap::new();
    for (to, share) in shares {
        let claim = |place: &&Place| covers(to, place) && !weights.contains_key(*place);
        let claims: Vec<&Place> = sums.keys().filter(claim).collect();
        let sum: u64 = claims.iter().map(|place| u64::from(sums[*place])).sum();
        for place in claims {
            let part = (u64::from(sums[place]) * u64::from(*share)).div_ceil(sum.max(1));
            // Without a share to divide the weight stays (Istio's rule).
            let weight = if part == 0 { sums[place] } else { u32::try_from(part).unwrap_or(u32::MAX) };
            weights.insert(place.clone(), weight);
        }
    }
    weights
}

/// Whether a place as a rule writes it covers this one; a region that is not written is one that is not known.
fn covers(rule: &str, place: &Place) -> bool {
    let mut parts = rule.split('/');
    let mut next = || parts.next().unwrap_or_default();
    let alike = |rule: &str, part: &Option<String>| rule == "*" || part.as_deref().unwrap_or_default() == rule;
    alike(next(), &place.region)
        && [&place.zone, &place.sub_zone].into_iter().all(|part| {
            let rule = next();
            rule.is_empty() || alike(rule, part)
        })
}

/// The rank of an endpoint: by labels first, if such a rule exists, then by place unless only labels were asked for.
fn rank(one: &Placed, client: &Client, setting: &Setting) -> u32 {
    let by_label = label_rank(&one.labels, client.labels, &setting.priority);
    if setting.by_region {
        return by_label * REGION_RANKS + region_rank(&one.place, client.place, &setting.failover);
    }
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
        return if next_region(place, client, failover) == Some(false) { 4 } else { 3 };
    }
    match (place.zone == client.zone, place.sub_zone == client.sub_zone) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

/// The client's region 0, the one that a rule for it names 1, the rest 2.
fn region_rank(place: &Place, client: &Place, failover: &BTreeMap<String, String>) -> u32 {
    match place.region == client.region {
        true => 0,
        false if next_region(place, client, failover) == Some(true) => 1,
        false => 2,
    }
}

/// Whether a place is in the region that a rule for the client's names; none where no rule is for it.
fn next_region(place: &Place, client: &Place, failover: &BTreeMap<String, String>) -> Option<bool> {
    let to = failover.get(client.region.as_ref()?)?;
    Some(place.region.as_ref() == Some(to))
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

    fn distribute(rules: &[(&str, &[(&str, u32)])]) -> Setting {
        let to = |to: &[(&str, u32)]| to.iter().map(|(place, share)| (place.to_string(), *share)).collect();
        let shares = |(from, all): &(&str, &[(&str, u32)])| Shares { from: from.to_string(), to: to(all) };
        Setting { distribute: rules.iter().map(shares).collect(), ..Setting::default() }
    }

    fn weights(client: &str, setting: &Setting) -> Vec<(String, u32)> {
        let all = ["r1/z1/s1", "r1/z1/s1", "r1/z2/s1", "r2/z1/s1", "r3/z1/s1"].map(at).into();
        let (place, labels) = (Place::parse(client), BTreeMap::new());
        let mut levels = levels(all, &Client { place: &place, labels: &labels }, setting, true);
        assert_eq!(levels.len(), 1, "nothing fails over where traffic is shared out");
        let weight = |l: Locality| (l.endpoints[0].address.clone(), l.weight.unwrap());
        levels.remove(0).localities.into_iter().map(weight).collect()
    }

    fn pairs(all: &[(&str, u32)]) -> Vec<(String, u32)> {
        all.iter().map(|(place, weight)| (place.to_string(), *weight)).collect()
    }

    #[test]
    fn traffic_is_shared_out_by_place_and_a_place_without_a_share_gets_none() {
        let setting = distribute(&[("r1/*", &[("r1/z1", 70), ("r2/*", 30)]), ("*", &[("r3", 100)])]);
        assert_eq!(weights("r1/z9", &setting), pairs(&[("r1/z1/s1", 70), ("r2/z1/s1", 30)]));
        assert_eq!(weights("", &setting), pairs(&[("r3/z1/s1", 100)]));
        // Places that have a claim to one share split it by their endpoints.
        let setting = distribute(&[("r1", &[("r1/*", 80), ("r2", 20)])]);
        assert_eq!(weights("r1/z1/s1", &setting), pairs(&[("r1/z1/s1", 54), ("r1/z2/s1", 27), ("r2/z1/s1", 20)]));
    }

    #[test]
    fn a_client_that_no_share_is_for_spreads_its_traffic_by_the_endpoints() {
        let setting = distribute(&[("r1/z1", &[("r1/z1", 100)])]);
        let all = pairs(&[("r1/z1/s1", 2), ("r1/z2/s1", 1), ("r2/z1/s1", 1), ("r3/z1/s1", 1)]);
        assert_eq!(weights("r1/z2", &setting), all);
    }

    #[test]
    fn where_zones_are_for_envoy_only_regions_rank_also_without_detection() {
        let failover = [("r1".to_string(), "r3".to_string())].into();
        let setting = Setting { failover, forced: true, by_region: true, ..Setting::default() };
        let ranked = order("r1/z1/s1", &setting, false);
        assert_eq!(ranked, [vec!["r1/z1/s1", "r1/z1/s2", "r1/z2/s1"], vec!["r3/z1/s1"], vec!["r2/z1/s1"]]);
        assert!(!setting.weighs(true));
        let off = Setting { off: true, ..setting };
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
