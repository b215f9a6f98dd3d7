//! What is known of a Service that stands in a chain. What comes in: a backend. What goes out: its port's name and
//! number in the Pods, their labels and identities; or the problem that says what must be said.

use std::collections::BTreeMap;

use super::super::Site;
use super::super::facts::{Facts, Port, Service};
use super::intent::{Backend, Origin};
use crate::model::failover::ServiceRef;
use crate::model::fleet::{Cluster, Fleet, GatewayAddress};
use crate::model::mesh::{self, Protocol};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// Stands for what a cluster out of reach would tell; what contains it is not written.
pub const UNKNOWN: &str = "failctl-unknown";

/// Answers about backends.
pub struct Places<'a> {
    fleet: &'a Fleet,
    site: &'a Site,
}

/// A backend's Pods as its own cluster knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    /// Labels that select them.
    pub labels: BTreeMap<String, String>,
    /// Their port, where it is another than the Service's.
    pub target: Option<u16>,
}

impl<'a> Places<'a> {
    /// Answers from what is known.
    pub fn new(fleet: &'a Fleet, site: &'a Site) -> Self {
        Places { fleet, site }
    }

    fn facts(&self) -> &'a Facts {
        &self.site.facts
    }

    /// Whether the cluster would have told, had it been reached (or had anybody asked).
    pub fn made_up(&self, cluster: &ClusterName) -> bool {
        self.site.draft || self.site.unread.contains_key(cluster)
    }

    fn service(&self, backend: &Backend) -> Option<&'a Service> {
        let service = &backend.service;
        self.facts().service(&backend.cluster, service.namespace.as_str(), service.name.as_str())
    }

    /// A backend's Service, which selects Pods, and its port; nothing where the cluster would have told.
    pub fn known(&self, origin: &Origin, backend: &Backend) -> Result<Option<(&'a Service, &'a Port)>, Problem> {
        let at = &backend.pointer;
        let (namespace, name) = (backend.service.namespace.as_str(), backend.service.name.as_str());
        let Some(service) = self.service(backend) else {
            if self.made_up(&backend.cluster) {
                return Ok(None);
            }
            return Err(origin.about(missing(&backend.cluster, &backend.service), at));
        };
        let about = |p: Problem| origin.about(p, at);
        if service.selector.is_empty() {
            let what = format!("the Service {namespace}/{name} on `{}` selects no Pods", backend.cluster);
            let hint = "its Pods must be found by labels to be reached through the east-west gateway";
            return Err(about(Problem::error("FCT0334", what).hint(hint)));
        }
        let Some(port) = service.ports.iter().find(|p| p.number == backend.service.port) else {
            let has = service.ports.iter().map(|p| p.number.to_string()).collect::<Vec<_>>().join(", ");
            let what =
                format!("the Service {namespace}/{name} on `{}` has no port {}", backend.cluster, backend.service.port);
            return Err(about(Problem::error("FCT0335", what).hint(format!("it has: {has}"))));
        };
        Ok(Some((service, port)))
    }

    /// The Pods behind a backend: what a ServiceEntry on its own cluster selects.
    pub fn pods(&self, origin: &Origin, backend: &Backend) -> Result<Pods, Problem> {
        let Some((service, port)) = self.known(origin, backend)? else {
            return Ok(Pods { labels: BTreeMap::from([(UNKNOWN.into(), UNKNOWN.into())]), target: None });
        };
        let (namespace, name) = (backend.service.namespace.as_str(), backend.service.name.as_str());
        let about = |p: Problem| origin.about(p, &backend.pointer);
        let targets = self.facts().target(&backend.cluster, namespace, service, port);
        let mut numbers = targets.into_iter();
        match (numbers.next(), numbers.next()) {
            (Some(number), None) => {
                Ok(Pods { labels: service.selector.clone(), target: (number != port.number).then_some(number) })
            }
            (None, _) => {
                let what = format!(
                    "port {} of {namespace}/{name} on `{}` leads to a container port by name, and no Pod or Deployment \
                     that is known has it",
                    port.number, backend.cluster
                );
                let hint = format!("give the Deployment too: -f {}=FILE", backend.cluster);
                Err(about(Problem::error("FCT0336", what).hint(hint)))
            }
            (Some(a), Some(b)) => {
                let what = format!(
                    "port {} of {namespace}/{name} on `{}` is {a} in some Pods and {b} in others; a ServiceEntry has one",
                    port.number, backend.cluster
                );
                Err(about(Problem::error("FCT0336", what).hint("give the containers' port one number")))
            }
        }
    }

    /// How many Pods of a backend are ready, if that is known.
    pub fn ready(&self, backend: &Backend) -> Option<u32> {
        self.facts().ready(&backend.cluster, backend.service.namespace.as_str(), self.service(backend)?)
    }

    /// Whether a backend has Pods with these labels; taken for granted where its cluster would have told.
    pub fn runs(&self, backend: &Backend, labels: &BTreeMap<String, String>) -> bool {
        let namespace = backend.service.namespace.as_str();
        let known = self.service(backend).is_some_and(|s| self.facts().runs(&backend.cluster, namespace, s, labels));
        known || self.made_up(&backend.cluster)
    }

    /// The identities of a backend's Pods, in their own trust domain.
    pub fn identities(&self, origin: &Origin, backend: &Backend) -> Result<Vec<String>, Problem> {
        let Backend { cluster, service, account, pointer, .. } = backend;
        self.accounts(cluster, service, account.as_deref()).map_err(|p| origin.about(p, pointer))
    }

    /// The same of any Service; the problem says nothing of where it was asked.
    pub fn accounts(
        &self,
        cluster: &ClusterName,
        service: &ServiceRef,
        account: Option<&str>,
    ) -> Result<Vec<String>, Problem> {
        let (namespace, name) = (service.namespace.as_str(), service.name.as_str());
        let domain = self.fleet.clusters.get(cluster);
        let domain = domain.map_or_else(|| mesh::TRUST_DOMAIN.to_string(), |c| self.site.trust_domain(c));
        let spiffe = |account: &str| mesh::spiffe(&domain, namespace, account);
        if let Some(account) = account {
            return Ok(vec![spiffe(account)]);
        }
        let known = self.facts().service(cluster, namespace, name);
        match known.map(|s| self.facts().accounts(cluster, namespace, s)) {
            Some(accounts) if !accounts.is_empty() => Ok(accounts.iter().map(|a| spiffe(a)).collect()),
            _ if self.made_up(cluster) => Ok(vec![spiffe(UNKNOWN)]),
            None => Err(missing(cluster, service)),
            Some(_) => {
                let what = format!(
                    "whom the Pods of {namespace}/{name} on `{cluster}` run as is not known: no Pod or Deployment there has \
                     the Service's labels"
                );
                let hint = format!(
                    "write serviceAccount beside the cluster's name in a failover, or give the Deployment: -f {cluster}=FILE"
                );
                Err(Problem::error("FCT0337", what).hint(hint))
            }
        }
    }

    /// Where a backend's cluster is entered, by address or by DNS name.
    pub fn address(&self, origin: &Origin, backend: &Backend, cluster: &Cluster) -> Result<GatewayAddress, Problem> {
        match self.site.east_west(cluster) {
            Some(Ok(address)) => Ok(address),
            _ if self.site.draft => Ok(GatewayAddress { host: "192.0.2.1".into(), port: mesh::PASSTHROUGH_PORT }),
            Some(Err(problem)) => Err(problem),
            None => {
                let what = format!("where the east-west gateway of `{}` is reached is not known offline", cluster.name);
                let hint =
                    "write istio.eastWestGateway: {host: …} in the fleet; `failctl diff` and `failctl apply` find it";
                Err(origin.about(Problem::error("FCT0332", what).hint(hint), &backend.pointer))
            }
        }
    }

    /// The same where a name is none: an endpoint of a static ServiceEntry is an IP address.
    pub fn gateway(&self, origin: &Origin, backend: &Backend, cluster: &Cluster) -> Result<GatewayAddress, Problem> {
        let address = self.address(origin, backend, cluster)?;
        if address.host.parse::<std::net::IpAddr>().is_err() {
            let what = format!(
                "the east-west gateway of `{}` has the DNS name {}; a static endpoint takes an IP address only",
                cluster.name, address.host
            );
            let hint = "write an address that stays in istio.eastWestGateway.host of the fleet; target istioLocality takes names";
            return Err(origin.about(Problem::error("FCT0338", what).hint(hint), &backend.pointer));
        }
        Ok(address)
    }

    /// The port's name in Istio: the Service's, if that says the protocol, else the protocol's.
    pub fn port_name(&self, backend: &Backend, protocol: Protocol) -> String {
        let port = self.service(backend).and_then(|s| s.ports.iter().find(|p| p.number == backend.service.port));
        let prefix = protocol.port_name();
        let says = |name: &str| name == prefix || name.starts_with(&format!("{prefix}-"));
        port.map(|p| p.name.clone()).filter(|n| says(n)).unwrap_or(prefix)
    }
}

fn missing(cluster: &ClusterName, service: &ServiceRef) -> Problem {
    let ServiceRef { namespace, name, .. } = service;
    let what = format!(
        "the Service {namespace}/{name} on `{cluster}` is not known: its labels and its ServiceAccount are needed"
    );
    let hint = format!("give its manifests too: -f {cluster}=FILE; `failctl diff` and `failctl apply` ask the cluster");
    Problem::error("FCT0333", what).hint(hint)
}
