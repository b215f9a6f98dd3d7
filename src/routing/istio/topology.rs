//! Where a proxy or an endpoint belongs, as labels: Istio adds these to the ones that are written, and rules about labels see
//! both. What comes in: labels, a place, names. What goes out: labels. Rules: Istio's AugmentLabels.

use std::collections::BTreeMap;

use super::place::Place;

/// The network; also on the namespace of Istio for a whole cluster, and on gateways that lead into one.
pub const NETWORK: &str = "topology.istio.io/network";
/// The cluster.
pub const CLUSTER: &str = "topology.istio.io/cluster";
/// The region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// The zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The part of a zone.
pub const SUB_ZONE: &str = "topology.istio.io/subzone";
/// The node.
pub const HOST: &str = "kubernetes.io/hostname";

/// Where something belongs; empty is not known.
#[derive(Clone, Copy)]
pub struct Topology<'a> {
    /// Its cluster.
    pub cluster: &'a str,
    /// Its place.
    pub place: &'a Place,
    /// Its node.
    pub node: &'a str,
    /// Its network.
    pub network: &'a str,
}

impl Topology<'_> {
    /// Adds what is known to labels. A network that they name already stays.
    pub fn added_to(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = labels.clone();
        let place = |part: &Option<String>| part.clone().unwrap_or_default();
        let known = [
            (REGION, place(&self.place.region)),
            (ZONE, place(&self.place.zone)),
            (SUB_ZONE, place(&self.place.sub_zone)),
            (CLUSTER, self.cluster.to_string()),
            (HOST, self.node.to_string()),
        ];
        all.extend(known.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_string(), v)));
        if !self.network.is_empty() && all.get(NETWORK).is_none_or(String::is_empty) {
            all.insert(NETWORK.into(), self.network.into());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_replaces_what_is_written_but_for_the_network() {
        let written = [(REGION, "old"), (NETWORK, "own"), ("app", "web")];
        let written = written.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let topology = Topology { cluster: "east", place: &Place::parse("r1"), node: "", network: "other" };
        let all = topology.added_to(&written);
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(all, [("app", "web"), (CLUSTER, "east"), (NETWORK, "own"), (REGION, "r1")]);
    }
}
