//! TrafficPolicies with outlier detection: which Service is watched, and how. Two policies may select one Service if they
//! want the same. (Service Mesh Hub took the first and told the second in its status; here both are told.)

use std::collections::BTreeMap;

use super::{Job, origin, select};
use crate::compile::istio::intent::{Manner, Origin, Watch};
use crate::model::failover::OutlierDetection;
use crate::model::problem::Problem;
use crate::model::smh::ServiceAt;

/// Watched Services.
#[derive(Default)]
pub struct Watched {
    by_service: BTreeMap<ServiceAt, (Origin, OutlierDetection)>,
}

impl Watched {
    /// How a Service is watched.
    pub fn of(&self, service: &ServiceAt) -> Option<&OutlierDetection> {
        self.by_service.get(service).map(|(_, o)| o)
    }

    /// As a part of the intent.
    pub fn watches(&self, job: &Job<'_>) -> Vec<Watch> {
        let known = self.by_service.iter().filter(|(s, _)| job.fleet.clusters.contains_key(&s.cluster));
        let watch = |(service, (origin, outlier)): (&ServiceAt, &(Origin, OutlierDetection))| Watch {
            origin: origin.clone(),
            cluster: service.cluster.clone(),
            namespace: service.namespace.to_string(),
            service: service.name.to_string(),
            outlier: outlier.clone(),
            manner: Manner::Verbatim,
            connect_timeout: None,
        };
        known.map(watch).collect()
    }
}

/// Every Service that a policy watches.
pub fn watched(job: &mut Job<'_>) -> Watched {
    let mut watched = Watched::default();
    for policy in job.policies() {
        let origin = origin("TrafficPolicy", &policy.reference);
        let targets = select::services(job.fleet, job.site, &policy.destinations);
        if targets.is_empty() && !job.site.draft {
            let problem = Problem::warning("FCT0367", "no Service that is known is selected by this policy");
            let problem = problem.hint("give the Services too (-f CLUSTER=FILE), or name them in kubeServiceRefs");
            job.say(&origin, "/spec/destinationSelector", problem);
        }
        missing(job, &origin, &targets);
        if let Some(report) = job.reports.get_mut(&origin.document) {
            report.targets = targets.clone();
            report.meshes = targets.iter().map(|t| t.cluster.clone()).collect();
        }
        let Some(outlier) = &policy.outlier else { continue };
        for target in targets {
            let first = watched.by_service.entry(target.clone()).or_insert_with(|| (origin.clone(), outlier.clone()));
            if first.1 != *outlier {
                let what =
                    format!("{} and this policy want different outlier detection for {target}", first.0.document);
                let problem =
                    Problem::error("FCT0368", what).hint("give both the same values, or let one policy select it");
                job.say(&origin, "/spec/outlierDetection", problem);
            }
        }
    }
    watched
}

/// Services that are named and not there, on clusters whose Services are known.
fn missing(job: &mut Job<'_>, origin: &Origin, targets: &std::collections::BTreeSet<ServiceAt>) {
    let (facts, site) = (&job.site.facts, job.site);
    let unknown: Vec<_> = targets
        .iter()
        .filter(|t| !site.draft && !site.unread.contains_key(&t.cluster))
        .filter(|t| facts.service(&t.cluster, t.namespace.as_str(), t.name.as_str()).is_none())
        .filter(|t| facts.services(&t.cluster).any(|((n, _), _)| n == t.namespace.as_str()))
        .collect();
    for target in unknown {
        let problem = Problem::error("FCT0369", format!("there is no Service {target}"));
        let names = facts.services(&target.cluster).filter(|((n, _), _)| n == target.namespace.as_str());
        let names: Vec<_> = names.map(|((_, name), _)| name.as_str()).collect();
        let problem = problem.hint(crate::spec::text::meant(target.name.as_str(), names));
        job.say(origin, "/spec/destinationSelector", problem);
    }
}
