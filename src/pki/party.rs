//! Who needs a certificate: every cluster that others fail over to is a server, every cluster that fails over to
//! others is a client; every mesh has an authority of its own, and a gateway outside of the mesh that calls services
//! in it has an identity in it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::compile::target::{Family, family};
use crate::model::failover::Failover;
use crate::model::fleet::{Cluster, Fleet};
use crate::model::name::ClusterName;
use crate::model::{identity, mesh};

/// One end of a connection between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The failover gateway of a backup cluster.
    Server,
    /// The gateway of a primary cluster.
    Client,
    /// The authority of a cluster's mesh: Istio's `cacerts`.
    IstioCa,
    /// Gloo's proxy as a caller inside the mesh.
    MeshIdentity,
}

/// The ServiceAccount of Gloo's proxy, as its Helm chart names it.
const PROXY: &str = "gateway-proxy";

impl Role {
    /// The word for files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Client => "client",
            Role::IstioCa => "istio-ca",
            Role::MeshIdentity => "mesh-identity",
        }
    }
}

/// A cluster in a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// The cluster.
    pub cluster: ClusterName,
    /// The role.
    pub role: Role,
}

impl Party {
    /// The DNS subject alternative name of a gateway: what the other side pins.
    pub fn dns(&self, fleet: &str) -> String {
        match self.role {
            Role::Client => identity::client(fleet, &self.cluster),
            _ => identity::server(fleet, &self.cluster),
        }
    }

    /// The subject alternative name by which others know the party: a DNS name between gateways, a trust domain for
    /// an authority, a SPIFFE identity inside a mesh.
    pub fn pinned(&self, fleet: &Fleet) -> String {
        let cluster = fleet.clusters.get(&self.cluster);
        let domain = cluster.map_or(mesh::TRUST_DOMAIN, Cluster::trust_domain);
        match self.role {
            Role::Server | Role::Client => self.dns(&fleet.name),
            Role::IstioCa => identity::trust_domain(domain),
            Role::MeshIdentity => {
                let namespace = cluster.and_then(|c| c.gloo.as_ref()).map_or("gloo-system", |g| g.namespace.as_str());
                mesh::spiffe(domain, namespace, PROXY)
            }
        }
    }

    /// The URI subject alternative name, in SPIFFE's form.
    pub fn uri(&self, fleet: &str) -> String {
        identity::spiffe(fleet, self.role.as_str(), &self.cluster)
    }
}

/// Everyone who needs a certificate, in order. With no failover written yet, every cluster with a gateway gets both
/// ends. Every mesh has an authority, and where Gloo runs beside it, its proxy an identity.
pub fn parties(fleet: &Fleet, failovers: &[Failover]) -> BTreeSet<Party> {
    let party = |cluster: &ClusterName, role| Party { cluster: cluster.clone(), role };
    let mut all = BTreeSet::new();
    if failovers.is_empty() {
        let gateways = fleet.clusters.values().filter(|c| c.gloo.is_some());
        all.extend(gateways.flat_map(|c| [party(&c.name, Role::Server), party(&c.name, Role::Client)]));
    }
    let at_the_edge = |f: &&Failover| !matches!(family(fleet, f), Ok(Family::Mesh));
    for failover in failovers.iter().filter(at_the_edge) {
        let primary = &failover.primary().cluster;
        all.insert(party(primary, Role::Client));
        let others = failover.order.iter().flatten().map(|m| &m.cluster).filter(|c| *c != primary);
        all.extend(others.map(|c| party(c, Role::Server)));
    }
    for cluster in fleet.clusters.values().filter(|c| c.istio.is_some()) {
        all.insert(party(&cluster.name, Role::IstioCa));
        if cluster.gloo.is_some() {
            all.insert(party(&cluster.name, Role::MeshIdentity));
        }
    }
    all
}
