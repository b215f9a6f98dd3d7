//! Callers of a Service, sent to the failover: a VirtualService on the local name, so that nobody changes an address.
//! (Service Mesh Hub, `decorators/trafficshift`.) May not know: who asked.

use std::collections::{BTreeMap, BTreeSet};

use super::intent::{Intent, Rule, Shift};
use super::{For, Job, Objects};
use crate::manifest::Wave;
use crate::model::mesh;
use crate::model::name::ClusterName;
use crate::resource::Meta;
use crate::resource::istio::virtual_service::{Destination, HttpMatch, HttpRoute, Retries, VirtualService};

/// Writes one VirtualService per Service: name and namespace are the Service's, as Service Mesh Hub names it.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects) {
    let mut by_service: BTreeMap<(&ClusterName, &str, &str), Vec<&Shift>> = BTreeMap::new();
    for shift in &intent.shifts {
        by_service.entry((&shift.cluster, &shift.namespace, &shift.service)).or_default().push(shift);
    }
    for ((cluster, namespace, service), shifts) in by_service {
        let Some((cluster, istio)) = job.cluster(cluster) else { continue };
        let host = mesh::local_host(namespace, service, &istio.cluster_domain);
        let mut http: Vec<HttpRoute> = shifts.iter().flat_map(|s| s.rules.iter().map(|r| route(s, r))).collect();
        let first = shifts[0];
        // A host's routes are those of all its ports: what is not sent elsewhere must be said to stay.
        let shifted: BTreeSet<_> = shifts.iter().filter_map(|s| s.port).collect();
        let stay: BTreeSet<_> = shifts.iter().flat_map(|s| &s.others).filter(|p| !shifted.contains(p)).collect();
        http.extend(stay.into_iter().map(|port| HttpRoute {
            r#match: vec![HttpMatch { port: Some(*port), ..HttpMatch::default() }],
            route: vec![Destination::to(host.clone(), *port)],
            ..HttpRoute::default()
        }));
        let spec = VirtualService { hosts: vec![host], http };
        objects.put(cluster, Wave::Routes, Meta::new(service, namespace), For::One(&first.origin.owner), spec);
    }
}

fn route(shift: &Shift, rule: &Rule) -> HttpRoute {
    let mut matches = rule.matches.clone();
    if !shift.others.is_empty() {
        if matches.is_empty() {
            matches.push(HttpMatch::default());
        }
        matches.iter_mut().for_each(|m| m.port = shift.port);
    }
    let to = rule.to.iter().map(|leg| {
        let mut destination = Destination::to(leg.host.clone(), leg.port);
        destination.destination.subset.clone_from(&leg.subset);
        Destination { weight: leg.weight, ..destination }
    });
    HttpRoute {
        r#match: matches,
        name: rule.name.clone(),
        retries: rule.retries.as_ref().map(|r| Retries {
            attempts: r.attempts,
            per_try_timeout: r.per_try_timeout.map(Into::into),
            retry_on: r.retry_on.map(str::to_string),
            retry_remote_localities: r.leaves.then_some(true),
        }),
        route: to.collect(),
        timeout: rule.timeout.map(Into::into),
    }
}
