//! Versions of a Service: subsets by labels, alike on callers' clusters and on those that answer, since a gateway knows a
//! subset by SNI as well. A version that falls back to another is a host with an aggregate behind it: its own endpoints
//! on all clusters first, then the other version's. Istio alone fails over between places, never between subsets.

use std::collections::BTreeMap;

use super::super::chain::{self, Host};
use super::super::intent::{Backend, Join, Manner};
use super::super::{For, Job, Objects};
use super::view::View;
use crate::manifest::Wave;
use crate::model::failover::Version;
use crate::model::mesh::{self, Protocol};
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::destination_rule::{DestinationRule, Subset};
use crate::resource::istio::envoy_filter::Context;

/// A version with those that answer after it.
pub struct Fallback<'a> {
    /// Name of its objects.
    name: String,
    /// Its host.
    pub host: String,
    /// The version and the others, in the order they answer.
    versions: Vec<&'a Version>,
}

impl Join {
    /// Every version that falls back to another.
    pub fn fallbacks(&self) -> Vec<Fallback<'_>> {
        let (failover, namespace) = (self.origin.owner.as_str(), self.service.namespace.as_str());
        let of = |first: &Version| Fallback {
            name: format!("failctl-{failover}-{}", first.name),
            host: mesh::version_host(first.name.as_str(), failover, namespace),
            versions: self.after(first),
        };
        self.versions.iter().filter(|v| v.fallback.is_some()).map(of).collect()
    }

    /// How many versions a request may meet, one after the other.
    pub fn depth(&self) -> usize {
        self.fallbacks().iter().map(|f| f.versions.len()).max().unwrap_or(1)
    }

    /// A version and those it falls back to, each once.
    fn after<'a>(&'a self, first: &Version) -> Vec<&'a Version> {
        let mut all: Vec<&Version> = Vec::new();
        let mut next = self.versions.iter().find(|v| v.name == first.name);
        while let Some(version) = next.filter(|n| !all.iter().any(|v| v.name == n.name)) {
            all.push(version);
            next = self.versions.iter().find(|v| Some(&v.name) == version.fallback.as_ref());
        }
        all
    }

    /// The versions as a DestinationRule names them.
    pub fn subsets(&self) -> Vec<Subset> {
        self.versions.iter().map(|v| Subset { labels: v.labels.clone(), name: v.name.to_string() }).collect()
    }
}

/// The labels of the endpoints that stand for a cluster: none of a version's, or for each version that runs there its
/// own.
pub fn labels_of(job: &Job<'_>, join: &Join, backend: &Backend) -> Result<Vec<BTreeMap<String, String>>, Problem> {
    if join.versions.is_empty() {
        return Ok(vec![BTreeMap::new()]);
    }
    let runs = |v: &&Version| job.places.runs(backend, &v.labels);
    let found: Vec<_> = join.versions.iter().filter(runs).map(|v| v.labels.clone()).collect();
    if found.is_empty() {
        let names = join.versions.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", ");
        let what = format!(
            "no Pod or Deployment of {}/{} on `{}` has the labels of a version ({names}): requests never reach it",
            backend.service.namespace, backend.service.name, backend.cluster
        );
        let hint = format!("give the Deployments: -f {}=FILE; or take the cluster out of the order", backend.cluster);
        return Err(join.origin.about(Problem::error("FCT0395", what).hint(hint), &backend.pointer));
    }
    Ok(found)
}

/// Writes the hosts of versions that fall back, where callers are.
pub fn write(job: &Job<'_>, join: &Join, view: &View<'_>, protocol: Protocol, objects: &mut Objects) {
    let Some((near, istio)) = job.cluster(view.caller) else { return };
    let local = mesh::local_host(join.service.namespace.as_str(), join.service.name.as_str(), &istio.cluster_domain);
    for fallback in join.fallbacks() {
        let member = |v: &&Version| mesh::subset(join.service.port, v.name.as_str(), &local);
        let host = Host {
            name: &fallback.name,
            host: &fallback.host,
            port: join.service.port,
            protocol,
            members: fallback.versions.iter().map(member).collect(),
            contexts: &[Context::SidecarOutbound],
            manner: Manner::Advised,
        };
        chain::put(&host, (near, istio), &join.origin, objects);
    }
}

/// The same subsets on a cluster that answers and has no callers: its gateway passes no other SNI through.
pub fn answering(job: &Job<'_>, join: &Join, backend: &Backend, objects: &mut Objects) {
    if join.versions.is_empty() || join.callers.contains(&backend.cluster) {
        return;
    }
    let Some((cluster, istio)) = job.cluster(&backend.cluster) else { return };
    let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
    let host = mesh::local_host(namespace, name, &istio.cluster_domain);
    let rule = DestinationRule { host, subsets: join.subsets(), traffic_policy: None };
    objects.put(cluster, Wave::Gateways, Meta::new(name, namespace), For::One(&join.origin.owner), rule);
}
