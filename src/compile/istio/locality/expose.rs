//! What lets callers of other clusters in: a server of the east-west gateway that passes one host's mutual TLS through.

use std::collections::BTreeSet;

use super::super::intent::Join;
use super::super::{For, Job, Objects, host};
use crate::manifest::Wave;
use crate::model::mesh;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::resource::Meta;

/// Writes a server on every cluster that others call.
pub fn write(job: &Job<'_>, join: &Join, objects: &mut Objects, _problems: &mut Vec<Problem>) {
    for (cluster, istio) in called(join).into_iter().filter_map(|c| job.cluster(c)) {
        let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
        let host = mesh::local_host(namespace, name, &istio.cluster_domain);
        let gateway = host::passthrough(vec![format!("{namespace}/{host}")]);
        let meta = Meta::new(host, istio.namespace.as_str());
        objects.put(cluster, Wave::Gateways, meta, For::All(&join.origin.owner), gateway);
    }
}

/// The clusters whose Pods answer callers of another.
fn called(join: &Join) -> BTreeSet<&ClusterName> {
    let views = join.views();
    views.into_iter().flat_map(|v| v.others.into_iter().flatten().map(|s| &s.backend.cluster)).collect()
}
