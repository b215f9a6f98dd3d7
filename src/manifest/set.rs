//! To which set of documents an object belongs: whoever applies the same documents again may take away what they no
//! longer want, and nobody else. What comes in: a fleet's name and, where teams share a fleet, the name of a set.
//! What goes out: the value of a label. May not know: documents, clients.

use serde_json::Value;

use crate::model::name::SetName;

/// Label on everything that `failctl apply` writes: the fleet and the set of documents that want it.
pub const SET_LABEL: &str = "failctl.dev/set";

/// Longest value of a Kubernetes label.
const LONGEST: usize = 63;

/// The documents that are applied together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSet {
    fleet: String,
    name: Option<SetName>,
}

impl DocumentSet {
    /// The set of a fleet; unnamed where one set is all there is.
    pub fn new(fleet: &str, name: Option<SetName>) -> Self {
        DocumentSet { fleet: fleet.to_string(), name }
    }

    /// The label's value: `FLEET`, or `FLEET_SET` (names have no `_`). A long one is cut and keeps a digest.
    pub fn label(&self) -> String {
        let whole = match &self.name {
            None => self.fleet.clone(),
            Some(name) => format!("{}_{name}", self.fleet),
        };
        short(&whole)
    }

    /// The value on what all failovers of a fleet share, whichever set they are of.
    pub fn shared_label(&self) -> String {
        short(&self.fleet)
    }

    /// The value for an object that may be in a set already: it stays there unless a set was named, so that looking
    /// at a fleet without naming sets moves nothing from one to another.
    pub fn label_for(&self, there: Option<&Value>) -> String {
        let fleet = short(&self.fleet);
        let kept = there.and_then(set_of).filter(|l| *l == fleet || l.starts_with(&format!("{}_", self.fleet)));
        match (kept, &self.name) {
            (Some(label), None) => label.to_string(),
            _ => self.label(),
        }
    }
}

/// The set an object says it belongs to.
pub fn set_of(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(SET_LABEL)?.as_str()
}

fn short(text: &str) -> String {
    use sha2::{Digest, Sha256};
    if text.len() <= LONGEST {
        return text.to_string();
    }
    let digest = hex::encode(&Sha256::digest(text.as_bytes())[..4]);
    format!("{}.{digest}", text[..LONGEST - 9].trim_end_matches(['-', '.', '_']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(fleet: &str, name: Option<&str>) -> DocumentSet {
        DocumentSet::new(fleet, name.map(|n| SetName::new(n).unwrap()))
    }

    fn object(label: &str) -> Value {
        json!({"metadata": {"labels": {SET_LABEL: label}}})
    }

    #[test]
    fn no_two_sets_share_a_label() {
        let long = "a".repeat(80);
        let labels = [
            set("shop", None),
            set("shop", Some("eu")),
            set("shop.eu", None),
            set("shop-eu", None),
            set(&long, None),
            set(&long, Some("eu")),
        ]
        .map(|s| s.label());
        assert_eq!(&labels[..2], ["shop", "shop_eu"]);
        assert!(labels.iter().all(|l| l.len() <= 63), "{labels:?}");
        assert_eq!(labels.iter().collect::<std::collections::BTreeSet<_>>().len(), labels.len(), "{labels:?}");
    }

    #[test]
    fn an_object_stays_in_its_set_unless_a_set_is_named_or_it_is_another_fleets() {
        assert_eq!(set("shop", None).label_for(None), "shop");
        assert_eq!(set("shop", None).label_for(Some(&object("shop_eu"))), "shop_eu");
        assert_eq!(set("shop", Some("us")).label_for(Some(&object("shop_eu"))), "shop_us");
        assert_eq!(set("shop", None).label_for(Some(&object("shopping"))), "shop");
        assert_eq!(set("shop", None).label_for(Some(&object("other_eu"))), "shop");
    }
}
