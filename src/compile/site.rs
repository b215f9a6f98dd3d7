//! What discovery found. What comes in: addresses and objects of clusters. What goes out: answers for compilers.
//! May not know: how it was found.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::World;
use crate::model::fleet::{Fleet, GatewayAddress};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::resource::Reference;

/// What discovery found; empty when nobody looked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// Where each cluster's failover gateway (the one of target glooUpstream) is reached, or why that is not known.
    /// A fleet's override goes before it.
    pub gateways: BTreeMap<ClusterName, Result<GatewayAddress, Problem>>,
    /// By cluster and domain, the VirtualServices that serve it already: routes are added to those.
    pub virtual_services: BTreeMap<ClusterName, BTreeMap<String, Vec<Reference>>>,
}

impl Site {
    /// What can be known without asking a cluster: the fleet's own words.
    pub fn offline() -> Self {
        Site::default()
    }

    /// What objects say; gateway addresses are added by whoever can find them.
    pub fn from_world(world: &World) -> Self {
        let mut site = Site::default();
        for cluster in world.clusters.keys() {
            for (key, body) in world.all(cluster.as_str(), "gateway.solo.io", "VirtualService") {
                let domains = body.pointer("/spec/virtualHost/domains").and_then(Value::as_array);
                let all = vec![Value::String("*".into())];
                let reference = Reference::new(key.name.clone(), key.namespace.clone().unwrap_or_default());
                // Without domains a VirtualService serves all of them.
                for domain in domains.filter(|d| !d.is_empty()).unwrap_or(&all).iter().filter_map(Value::as_str) {
                    let by_domain = site.virtual_services.entry(cluster.clone()).or_default();
                    by_domain.entry(domain.to_ascii_lowercase()).or_default().push(reference.clone());
                }
            }
        }
        site
    }

    /// Where other clusters reach a cluster's failover gateway.
    pub fn gateway(&self, fleet: &Fleet, cluster: &ClusterName) -> Option<Result<GatewayAddress, Problem>> {
        let own = fleet.clusters.get(cluster).and_then(|c| c.gateway.clone());
        own.map(Ok).or_else(|| self.gateways.get(cluster).cloned())
    }

    /// The VirtualServices on a cluster that serve any of these domains.
    pub fn serving(&self, cluster: &ClusterName, domains: &[String]) -> Vec<Reference> {
        let Some(by_domain) = self.virtual_services.get(cluster) else { return Vec::new() };
        let mut found: Vec<_> = domains.iter().filter_map(|d| by_domain.get(d)).flatten().cloned().collect();
        found.sort();
        found.dedup();
        found
    }
}
