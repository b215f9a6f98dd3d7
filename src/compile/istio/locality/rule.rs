//! How callers in one cluster talk to a Service and its other clusters: a DestinationRule that notices loss, puts the
//! clusters in order and names all identities its servers may have.

use std::collections::BTreeSet;

use super::super::intent::{Join, Manner};
use super::super::{For, Job, Objects, detection, host};
use super::view::View;
use crate::manifest::Wave;
use crate::model::mesh;
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::destination_rule::{DestinationRule, LoadBalancer, LocalityLbSetting, TrafficPolicy};

/// Writes the rule of a view.
pub fn write(
    job: &Job<'_>,
    join: &Join,
    view: &View<'_>,
    setting: LocalityLbSetting,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let Some((near, istio)) = job.cluster(view.caller) else { return };
    let mut names = BTreeSet::new();
    for share in view.own.iter().chain(view.others.iter().flatten()) {
        match job.places.identities(&join.origin, &share.backend) {
            Ok(found) => names.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
    // Behind another cluster's gateway stand many Pods: an answer of 500 from one of them must not cost the whole cluster.
    let outlier = detection::far(&join.outlier, Manner::Advised);
    let policy = host::policy(outlier, Some(join.connect_timeout), names.into_iter().collect());
    let rule = DestinationRule {
        host: mesh::local_host(namespace, name, &istio.cluster_domain),
        subsets: join.subsets(),
        traffic_policy: Some(TrafficPolicy {
            load_balancer: Some(LoadBalancer { locality_lb_setting: setting }),
            ..policy
        }),
    };
    objects.put(near, Wave::Upstreams, Meta::new(name, namespace), For::One(&join.origin.owner), rule);
}
