//! What lets callers of other clusters in, and whom. A server of the east-west gateway passes a host's mutual TLS through
//! without looking into it, so nobody is refused there: the Pods' own sidecars do that, by the caller's identity, which
//! stays the caller's from end to end.

use std::collections::BTreeSet;

use super::super::intent::{Backend, Join};
use super::super::{For, Job, Objects, host};
use crate::manifest::Wave;
use crate::model::failover::{Discovery, Exposure};
use crate::model::mesh;
use crate::model::name::{ClusterName, Namespace};
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::authorization_policy::AuthorizationPolicy;

/// The server that lets every Service of a cluster through.
const WILDCARD: &str = "failctl-all-services";

/// Writes a server on every cluster that others call, and who may call.
pub fn write(job: &Job<'_>, join: &Join, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let called = called(join);
    for backend in join.backends() {
        if let Some(namespaces) = &join.caller_namespaces {
            allow(job, join, backend, namespaces, objects, problems);
        }
        if called.contains(&backend.cluster) {
            server(job, join, backend, objects, problems);
        }
    }
}

/// The clusters whose Pods answer callers of another.
fn called(join: &Join) -> BTreeSet<&ClusterName> {
    let views = join.views();
    views.into_iter().flat_map(|v| v.others.into_iter().flatten().map(|s| &s.backend.cluster)).collect()
}

fn server(job: &Job<'_>, join: &Join, backend: &Backend, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let Some((cluster, istio)) = job.cluster(&backend.cluster) else { return };
    let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
    let host = mesh::local_host(namespace, name, &istio.cluster_domain);
    let (named, hosts) = match join.exposure {
        Exposure::Named => (mesh::gateway_name(&host), format!("{namespace}/{host}")),
        Exposure::Wildcard => {
            let all = format!("*.svc.{}", istio.cluster_domain);
            problems.push(open(join, backend, &all));
            (WILDCARD.to_string(), all)
        }
    };
    let gateway = host::passthrough(vec![hosts]);
    objects.put(
        cluster,
        Wave::Gateways,
        Meta::new(named, istio.namespace.as_str()),
        For::All(&join.origin.owner),
        gateway,
    );
    if join.discovery == Discovery::ServiceEntries {
        problems.extend(super::guard::check(job, join, backend));
    }
}

fn open(join: &Join, backend: &Backend, hosts: &str) -> Problem {
    let what = format!(
        "the gateway of `{}` will let {hosts} through: every Service there, not this one alone, can be called from the other \
         clusters, and only Pods with an AuthorizationPolicy refuse it",
        backend.cluster
    );
    let hint = "leave mesh.exposure out: then a gateway lets through what fails over, and nothing else";
    join.origin.about(Problem::warning("FCT0389", what).hint(hint), "/spec/mesh/exposure")
}

/// Pods refuse all but the callers. Namespaces say who that is in every cluster; trust domains would not, since Istio reads
/// each alias as the domain itself.
fn allow(
    job: &Job<'_>,
    join: &Join,
    backend: &Backend,
    namespaces: &[Namespace],
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let Some((cluster, _)) = job.cluster(&backend.cluster) else { return };
    let pods = match job.places.pods(&join.origin, backend) {
        Ok(pods) => pods,
        Err(problem) => return problems.push(problem),
    };
    let policy = AuthorizationPolicy::only(namespaces.iter().map(Namespace::to_string).collect(), pods.labels);
    let meta = Meta::new(format!("failctl-{}", join.service.name), join.service.namespace.as_str());
    objects.put(cluster, Wave::Gateways, meta, For::One(&join.origin.owner), policy);
}
