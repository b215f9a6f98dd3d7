//! Selectors → Services. What comes in: a selector, what is known of clusters. What goes out: Services of the fleet.
//! May not know: what is done to them.

use std::collections::BTreeSet;

use crate::compile::Site;
use crate::model::fleet::Fleet;
use crate::model::name::{Namespace, ObjectName};
use crate::model::smh::{ServiceAt, ServiceSelector, WorkloadSelector};

/// The Services that any of the selectors picks; all there are when there is no selector.
pub fn services(fleet: &Fleet, site: &Site, selectors: &[ServiceSelector]) -> BTreeSet<ServiceAt> {
    let all = WorkloadSelector::default();
    let mut found = BTreeSet::new();
    if selectors.is_empty() {
        found.extend(matching(fleet, site, &all));
    }
    for selector in selectors {
        found.extend(selector.refs.iter().cloned());
        let empty = selector.matcher.is_none() && selector.refs.is_empty();
        let matcher = if empty { Some(&all) } else { selector.matcher.as_ref() };
        found.extend(matcher.into_iter().flat_map(|m| matching(fleet, site, m)));
    }
    found
}

fn matching(fleet: &Fleet, site: &Site, matcher: &WorkloadSelector) -> Vec<ServiceAt> {
    let wanted = |cluster| matcher.clusters.is_empty() || matcher.clusters.contains(cluster);
    let clusters = fleet.clusters.values().filter(|c| c.istio.is_some() && wanted(&c.name));
    let services = clusters.flat_map(|c| site.facts.services(&c.name).map(move |(name, s)| (&c.name, name, s)));
    let picked = services.filter(|(_, (namespace, _), service)| {
        let here = matcher.namespaces.is_empty() || matcher.namespaces.iter().any(|n| n.as_str() == namespace);
        here && matcher.labels.iter().all(|(k, v)| service.labels.get(k) == Some(v))
    });
    let at = |(cluster, (namespace, name), _): (&crate::model::name::ClusterName, &(String, String), _)| {
        let (namespace, name) = (Namespace::new(namespace.as_str()).ok()?, ObjectName::new(name.as_str()).ok()?);
        Some(ServiceAt { cluster: cluster.clone(), namespace, name })
    };
    picked.filter_map(at).collect()
}
