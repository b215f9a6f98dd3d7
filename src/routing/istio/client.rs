//! One proxy as a client of the mesh: what it sees, and its upstreams. What comes in: the cluster's objects, a workload.
//! What goes out: hosts by name, upstreams.

use std::collections::BTreeMap;

use super::cluster::{self, Subset};
use super::destination_rule::{Chosen, Policy, Rules};
use super::place::Place;
use super::scene::Scene;
use super::service::{Protocol, Service};
use super::workload::Workload;
use crate::routing::Upstream;
use crate::routing::read::Log;

/// One proxy and everything it sees.
pub struct Client<'s, 'a> {
    /// The objects.
    pub scene: &'s Scene<'a>,
    /// The proxy.
    pub workload: &'s Workload,
    /// Hosts it sees, by name.
    pub services: BTreeMap<&'s str, &'s Service<'a>>,
    /// Its labels, with those of its topology: what rules about labels see.
    pub labels: BTreeMap<String, String>,
    /// Its place, as its labels tell it.
    pub place: Place,
    /// DestinationRules.
    pub rules: &'s Rules<'a>,
    /// What is wrong, as far as this proxy is concerned.
    pub log: Log,
}

impl<'s, 'a> Client<'s, 'a> {
    /// A proxy among the hosts of its cluster. Of two with one name it sees the one of its own namespace, then the
    /// Kubernetes Service, then the oldest.
    pub fn new(scene: &'s Scene<'a>, all: &'s [Service<'a>], rules: &'s Rules<'a>, workload: &'s Workload) -> Self {
        let own = workload.namespace.as_str();
        let mut seen: Vec<&Service> = all.iter().filter(|s| s.export.includes(own)).collect();
        seen.sort_by_key(|s| (s.object.namespace() != own, !s.kube, s.object.age()));
        let mut services = BTreeMap::new();
        for service in seen {
            services.entry(service.host.as_str()).or_insert(service);
        }
        let network = scene.network_of(&workload.labels);
        let labels = scene.labelled(&workload.labels, &workload.place, &workload.node, &network);
        let place = Place::of_labels(&labels);
        Client { scene, workload, services, labels, place, rules, log: Log::default() }
    }

    /// Whether it asks to see endpoints of a network; those of none are seen by everybody.
    pub fn sees(&self, network: &str) -> bool {
        network.is_empty() || self.workload.view.is_empty() || self.workload.view.iter().any(|n| n == network)
    }

    /// The DestinationRule that counts for a host.
    pub fn rule(&self, service: &Service) -> Option<Chosen<'a>> {
        self.rules.choose(self.scene, (&self.workload.namespace, &self.labels), service, &self.log)
    }

    /// An upstream for every port and subset of every host it sees; `passed` are the hosts an east-west gateway passes
    /// on, with an upstream for each SNI.
    pub fn upstreams(&self, passed: &dyn Fn(&Service) -> bool) -> BTreeMap<String, Upstream> {
        let mut all = BTreeMap::new();
        for service in self.services.values() {
            let rule = self.rule(service);
            let mut subsets = rule.as_ref().map(|r| r.subsets(&self.log)).unwrap_or_default();
            subsets.insert(String::new(), BTreeMap::new());
            let passes = passed(service);
            for port in service.ports.iter().filter(|p| p.protocol != Protocol::Udp) {
                for (name, labels) in &subsets {
                    let policy = rule.as_ref().map(|r| r.policy(port.number, name, &self.log)).unwrap_or_default();
                    let subset = Subset { name, labels };
                    self.add(&mut all, service, port, &subset, &policy, passes);
                }
            }
        }
        all
    }

    fn add(
        &self,
        all: &mut BTreeMap<String, Upstream>,
        service: &Service,
        port: &super::service::Port,
        subset: &Subset,
        policy: &Policy,
        passes: bool,
    ) {
        let object = service.object.key;
        let upstream = cluster::upstream(self, service, port, subset, policy, object);
        all.insert(upstream.name.clone(), upstream);
        if passes {
            let upstream = cluster::passthrough(self, service, port, subset, policy, object);
            all.insert(upstream.name.clone(), upstream);
        }
    }
}
