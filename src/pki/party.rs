//! Who needs a certificate: every cluster that others fail over to is a server, every cluster that fails over to
//! others is a client.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::failover::Failover;
use crate::model::fleet::Fleet;
use crate::model::identity;
use crate::model::name::ClusterName;

/// One end of a connection between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The failover gateway of a backup cluster.
    Server,
    /// The gateway of a primary cluster.
    Client,
}

impl Role {
    /// The word for files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Client => "client",
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
    /// The DNS subject alternative name: what the other side pins.
    pub fn dns(&self, fleet: &str) -> String {
        match self.role {
            Role::Server => identity::server(fleet, &self.cluster),
            Role::Client => identity::client(fleet, &self.cluster),
        }
    }

    /// The URI subject alternative name, in SPIFFE's form.
    pub fn uri(&self, fleet: &str) -> String {
        identity::spiffe(fleet, self.role.as_str(), &self.cluster)
    }
}

/// Everyone who needs a certificate, in order. With no failover written yet, every cluster with a gateway gets both.
pub fn parties(fleet: &Fleet, failovers: &[Failover]) -> BTreeSet<Party> {
    let party = |cluster: &ClusterName, role| Party { cluster: cluster.clone(), role };
    if failovers.is_empty() {
        let gateways = fleet.clusters.values().filter(|c| c.gloo.is_some());
        return gateways.flat_map(|c| [party(&c.name, Role::Server), party(&c.name, Role::Client)]).collect();
    }
    let mut all = BTreeSet::new();
    for failover in failovers {
        let primary = &failover.primary().cluster;
        all.insert(party(primary, Role::Client));
        let others = failover.order.iter().flatten().map(|m| &m.cluster).filter(|c| *c != primary);
        all.extend(others.map(|c| party(c, Role::Server)));
    }
    all
}
