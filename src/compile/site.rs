//! What discovery found. What comes in: addresses and objects of clusters. What goes out: answers for compilers.
//! May not know: how it was found.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::Facts;
use crate::manifest::World;
use crate::model::fleet::{Cluster, Fleet, GatewayAddress};
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
    /// Where each cluster's east-west gateway is reached, or why that is not known. A fleet's word goes before it.
    pub east_west: BTreeMap<ClusterName, Result<GatewayAddress, Problem>>,
    /// Services, and whom their Pods run as.
    pub facts: Facts,
    /// Each Istio's mesh configuration.
    pub meshes: BTreeMap<ClusterName, MeshConfig>,
    /// Clusters of which nothing could be read, and why.
    pub unread: BTreeMap<ClusterName, String>,
    /// Whether what is not known is to be made up, to learn which objects there will be.
    pub draft: bool,
}

/// Istio's mesh configuration as it is installed: ConfigMap `istio` in Istio's namespace, key `mesh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshConfig {
    /// The YAML text.
    pub text: String,
    /// Trust domains that failctl added to it, by its own record.
    pub added: Vec<String>,
}

/// Where failctl records which trust domains it added to a mesh configuration, separated by commas.
pub const ALIASES_ANNOTATION: &str = "failctl.dev/trust-domain-aliases";

impl MeshConfig {
    /// The configuration as the text means it; nothing when it cannot be read.
    pub fn value(&self) -> Option<Value> {
        let documents = crate::yaml::parse(&self.text).ok()?;
        documents.into_iter().next().map_or(Some(Value::Null), |d| Some(d.value))
    }

    /// The trust domain it sets.
    pub fn trust_domain(&self) -> Option<String> {
        self.value()?.get("trustDomain")?.as_str().map(str::to_string)
    }

    /// The trust domains that it takes for its own.
    pub fn aliases(&self) -> Vec<String> {
        let value = self.value().unwrap_or_default();
        let list = value.get("trustDomainAliases").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
    }
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
        site.facts = Facts::of(world);
        for (cluster, objects) in &world.clusters {
            site.meshes.extend(mesh_config(world, cluster).map(|m| (cluster.clone(), m)));
            site.unread.extend(objects.unreachable.clone().map(|why| (cluster.clone(), why)));
        }
        site
    }

    /// The same, and what the user's own documents say of Services: that is what there will be.
    pub fn with(&self, given: &World) -> Site {
        Site { facts: self.facts.with(Facts::of(given)), ..self.clone() }
    }

    /// Where other clusters reach a cluster's east-west gateway.
    pub fn east_west(&self, cluster: &Cluster) -> Option<Result<GatewayAddress, Problem>> {
        let own = cluster.istio.as_ref().and_then(|i| i.east_west.clone());
        own.map(Ok).or_else(|| self.east_west.get(&cluster.name).cloned())
    }

    /// A cluster's trust domain: the fleet's word, else the installed one, else Istio's default.
    pub fn trust_domain(&self, cluster: &Cluster) -> String {
        let installed = || self.meshes.get(&cluster.name).and_then(MeshConfig::trust_domain);
        cluster.trust_domain.clone().or_else(installed).unwrap_or_else(|| cluster.trust_domain().to_string())
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

/// The ConfigMap named `istio`, in whatever namespace was read.
fn mesh_config(world: &World, cluster: &ClusterName) -> Option<MeshConfig> {
    let mut maps = world.all(cluster.as_str(), "", "ConfigMap").filter(|(k, _)| k.name == "istio");
    let (_, body) = maps.find(|(_, b)| b.pointer("/data/mesh").is_some())?;
    let record = body.get("metadata").and_then(|m| m.get("annotations")).and_then(|a| a.get(ALIASES_ANNOTATION));
    let record = record.and_then(Value::as_str).unwrap_or_default();
    Some(MeshConfig {
        text: body.pointer("/data/mesh").and_then(Value::as_str)?.to_string(),
        added: record.split(',').filter(|t| !t.is_empty()).map(str::to_string).collect(),
    })
}
