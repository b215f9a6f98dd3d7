//! How the other clusters of a view are reached. What comes in: a view. What goes out: their gateways, or what is not
//! known of them. May not know: objects.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::Job;
use super::super::intent::Join;
use super::view::View;
use crate::model::failover::Discovery;
use crate::model::fleet::GatewayAddress;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// The oldest Istio whose own source was read for endpoints without an address.
const WITHOUT_ADDRESS: (u32, u32, u32) = (1, 26, 0);

/// How the other clusters are reached.
pub enum Way {
    /// Each gateway has an address.
    Addresses(BTreeMap<ClusterName, GatewayAddress>),
    /// Some gateway has a DNS name: istiod is told all of them as gateways of networks, and looks names up itself.
    Names(BTreeMap<ClusterName, GatewayAddress>),
    /// istiod finds endpoints and gateways in the other clusters' API servers.
    Discovered,
}

impl Way {
    /// The way of a view.
    pub fn of(job: &Job<'_>, join: &Join, view: &View<'_>) -> Result<Way, Vec<Problem>> {
        if join.discovery == Discovery::RemoteSecrets {
            let unread = unread(job, view);
            return if unread.is_empty() { Ok(Way::Discovered) } else { Err(unread) };
        }
        let (mut gateways, mut problems) = (BTreeMap::new(), Vec::new());
        for share in view.others.iter().flatten() {
            let Some((far, _)) = job.cluster(&share.backend.cluster) else { continue };
            match job.places.address(&join.origin, &share.backend, far) {
                Ok(address) => drop(gateways.insert(far.name.clone(), address)),
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(one_network(job, view));
        let named = gateways.values().any(|g| g.host.parse::<IpAddr>().is_err());
        if named {
            problems.extend(too_old(job, view.caller));
        }
        match (problems.is_empty(), named) {
            (false, _) => Err(problems),
            (true, true) => Ok(Way::Names(gateways)),
            (true, false) => Ok(Way::Addresses(gateways)),
        }
    }
}

/// Clusters whose API servers the callers' istiod was not given. Nothing is said where nobody looked.
fn unread(job: &Job<'_>, view: &View<'_>) -> Vec<Problem> {
    let looked = job.site.meshes.contains_key(view.caller) && !job.site.draft;
    let far = view.others.iter().flatten().map(|s| &s.backend.cluster).filter(|_| looked);
    let missing = far.filter(|c| !job.site.facts.reads(view.caller, c));
    let problem = |cluster: &ClusterName| {
        let what =
            format!("the mesh of `{}` has no remote secret for `{cluster}`: it sees none of its Pods", view.caller);
        let hint = "`failctl cluster register` writes it; or leave mesh.discovery out for ServiceEntries";
        Problem::error("FCT0394", what).hint(hint)
    };
    missing.map(problem).collect()
}

/// Networks tell a gateway which endpoints are not its own: two clusters of one network would send requests back and
/// forth, each through the other's gateway.
fn one_network(job: &Job<'_>, view: &View<'_>) -> Option<Problem> {
    let far = view.others.iter().flatten().map(|s| &s.backend.cluster);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let index = std::iter::once(view.caller).chain(far).find_map(|name| {
        let (index, _, cluster) = job.fleet.clusters.get_full(name)?;
        // Whichever comes last in the fleet is the one to change, whoever looks.
        Some(seen.insert(cluster.network(), index)?.max(index))
    })?;
    let (_, again) = job.fleet.clusters.get_index(index)?;
    let what = format!(
        "`{}` has the network {} of another cluster: their gateways would send requests back and forth",
        again.name,
        again.network()
    );
    let hint = "give each cluster that is reached through a gateway its own network; in one flat network write \
                mesh.discovery: remoteSecrets";
    Some(Problem::error("FCT0388", what).hint(hint).about_fleet(format!("/spec/clusters/{index}/network")))
}

fn too_old(job: &Job<'_>, caller: &ClusterName) -> Option<Problem> {
    let (major, minor, patch) = WITHOUT_ADDRESS;
    let version = &job.cluster(caller)?.1.version;
    if version.at_least(major, minor, patch) {
        return None;
    }
    let what = format!("Istio {version} on `{caller}`: gateways with DNS names are for {major}.{minor} or later");
    let index = job.fleet.clusters.get_index_of(caller)?;
    let hint = "upgrade Istio, or write addresses that stay in istio.eastWestGateway.host";
    Some(Problem::error("FCT0382", what).hint(hint).about_fleet(format!("/spec/clusters/{index}/istio/version")))
}
