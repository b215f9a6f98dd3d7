//! Where a workload or an endpoint is: region, zone, part of a zone. What comes in: labels. What goes out: a place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::topology::{REGION, SUB_ZONE, ZONE};

/// A place; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Part of a zone.
    pub sub_zone: Option<String>,
}

impl Place {
    /// Labels that say a whole place, the first one counting.
    pub const LABELS: [&str; 2] = ["topology.istio.io/locality", "istio-locality"];

    /// From `region/zone/subzone`; in labels, which take no slash, a dot separates (Istio's GetLocalityLabel).
    pub fn parse(text: &str) -> Place {
        let separator = if text.contains('/') { '/' } else { '.' };
        let mut parts = text.split(separator).map(|p| Some(p.to_string()).filter(|p| !p.is_empty()));
        let mut next = || parts.next().flatten();
        Place { region: next(), zone: next(), sub_zone: next() }
    }

    /// Of a pod: its own label, else its node's labels (Istio's order).
    pub fn of_pod(pod: &Value, node: Option<&Value>) -> Place {
        if let Some(text) = Self::LABELS.iter().find_map(|l| label(pod, l)) {
            return Place::parse(text);
        }
        let of_node = |names: &[&str]| node.and_then(|n| names.iter().find_map(|l| label(n, l))).map(str::to_string);
        Place {
            region: of_node(&[REGION, "failure-domain.beta.kubernetes.io/region"]),
            zone: of_node(&[ZONE, "failure-domain.beta.kubernetes.io/zone"]),
            sub_zone: of_node(&[SUB_ZONE]),
        }
    }

    /// From labels that say it part by part.
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Place {
        let part = |name: &str| labels.get(name).cloned().filter(|v| !v.is_empty());
        Place { region: part(REGION), zone: part(ZONE), sub_zone: part(SUB_ZONE) }
    }
}

/// A label that is not empty.
pub fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pods_own_label_comes_before_its_nodes() {
        let node =
            json!({"metadata": {"labels": {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z"}}});
        let plain = json!({"metadata": {}});
        let labelled = json!({"metadata": {"labels": {"topology.istio.io/locality": "r1.z1"}}});
        assert_eq!(Place::of_pod(&plain, Some(&node)), Place::parse("r/z"));
        assert_eq!(Place::of_pod(&labelled, Some(&node)), Place::parse("r1/z1"));
        assert_eq!(Place::of_pod(&plain, None), Place::default());
    }
}
