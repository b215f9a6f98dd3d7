//! A scenario's names → what they mean on this fleet: who is the primary, where requests go, which Envoy knows.
//! What comes in: documents, clients, a scenario. What goes out: lanes and ground for a drill, or every problem.
//! May not know: terminals.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::act::Ground;
use super::health::{Proxies, Service, Which};
use super::run::Lane;
use super::watching::Watch;
use crate::cluster::{self, Clients, Want, address};
use crate::compile::gloo::names;
use crate::compile::target::{Family, family, of_mesh};
use crate::manifest::World;
use crate::model::failover::{self, Failover, Member, ServiceRef};
use crate::model::fleet::{Cluster, Fleet};
use crate::model::mesh;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::model::smh;
use crate::probe::{self, target::Who};
use crate::routing::gloo::cluster_name;
use crate::sim::scenario::{Entry, Scenario, Target};
use crate::spec::Documents;

/// The labels of Gloo's proxy Pods.
pub const PROXY_PODS: &str = "gateway-proxy=live,gateway-proxy-id=gateway-proxy";

/// A service that some document protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The document's name.
    pub name: String,
    /// Whose configuration it is: failctl's own compiles to `recommended`, a vendor's document is as the vendor writes it.
    pub policy: &'static str,
    /// The primary's cluster.
    pub cluster: ClusterName,
    /// Where it is decided who serves.
    pub seat: Seat,
    /// Clusters and namespaces of the service.
    pub places: Vec<(ClusterName, String)>,
    /// The primary's Service: namespace and name, if the document says it.
    pub service: Option<(String, String)>,
    /// Host names of its route.
    pub hosts: Vec<String>,
    /// Path prefix of its route.
    pub prefix: String,
}

/// Where it is decided who serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seat {
    /// At Gloo's gateway on the primary's cluster: the primary's Upstream.
    Gateway {
        /// Namespace of the Upstream.
        namespace: String,
        /// Its name.
        upstream: String,
    },
    /// In the sidecars of the callers on the primary's cluster.
    Sidecars {
        /// Envoy's name for all of the service: an aggregate.
        aggregate: String,
        /// Envoy's names for its members, the primary first.
        members: Vec<String>,
    },
    /// In the sidecars of the callers on one cluster, where all clusters stand behind the Service's own name.
    Name {
        /// The Service's host, as callers have it.
        host: String,
        /// Its port.
        port: u16,
        /// Its versions, if callers are led to versions: the first is the one that is judged.
        versions: Vec<String>,
        /// Who answers these callers first, and who then.
        order: Vec<Vec<ClusterName>>,
        /// The clusters whose gateways are judged along with these callers: each cluster of the order once in all.
        gateways: Vec<ClusterName>,
    },
}

impl Seat {
    /// Envoy's name for the whole of the service.
    pub fn envoy_name(&self) -> String {
        match self {
            Seat::Gateway { namespace, upstream } => cluster_name(upstream, namespace),
            Seat::Sidecars { aggregate, .. } => aggregate.clone(),
            Seat::Name { .. } => self.members().into_iter().next().unwrap_or_default(),
        }
    }

    /// Envoy's names for what has endpoints of its own, the primary first; none at the edge.
    pub fn members(&self) -> Vec<String> {
        match self {
            Seat::Gateway { .. } => Vec::new(),
            Seat::Sidecars { members, .. } => members.clone(),
            Seat::Name { host, port, versions, .. } if versions.is_empty() => vec![mesh::outbound(*port, host)],
            Seat::Name { host, port, versions, .. } => versions.iter().map(|v| mesh::subset(*port, v, host)).collect(),
        }
    }

    /// The Upstream at the edge: namespace and name.
    pub fn upstream(&self) -> Option<(&str, &str)> {
        match self {
            Seat::Gateway { namespace, upstream } => Some((namespace, upstream)),
            Seat::Sidecars { .. } | Seat::Name { .. } => None,
        }
    }
}

/// Every service the documents protect: our failovers first, then the vendors' documents.
pub fn protected(documents: &Documents) -> Vec<Protected> {
    let ours = documents.failovers.iter().flat_map(|f| ours(documents, f));
    let schemes =
        documents.foreign.iter().filter(|f| f.body["kind"] == "FailoverScheme").filter_map(|f| scheme(&f.body));
    let services = documents.smh.iter().filter_map(|d| match d {
        smh::Document::FailoverService(service) => failover_service(&documents.fleet, service),
        _ => None,
    });
    ours.chain(schemes).chain(services).collect()
}

/// One for each cluster where it is decided who serves.
fn ours(documents: &Documents, failover: &Failover) -> Vec<Protected> {
    let service = &failover.primary().service;
    let one = |(cluster, seat)| Protected {
        name: failover.name.to_string(),
        policy: "recommended",
        cluster,
        seat,
        places: failover.order.iter().flatten().map(|m| (m.cluster.clone(), m.service.namespace.to_string())).collect(),
        service: Some((service.namespace.to_string(), service.name.to_string())),
        hosts: failover.route.as_ref().map(|r| r.hosts.clone()).unwrap_or_default(),
        prefix: failover.route.as_ref().map_or("/".to_string(), |r| r.prefix.clone()),
    };
    seats(&documents.fleet, failover).into_iter().map(one).collect()
}

/// Where it is decided: on the primary's cluster, or where all callers use the Service's name on each of theirs.
fn seats(fleet: &Fleet, failover: &Failover) -> Vec<(ClusterName, Seat)> {
    let of_a_mesh = family(fleet, failover) == Ok(Family::Mesh);
    if of_a_mesh && of_mesh(failover) == failover::Target::IstioLocality {
        let all = callers(failover);
        let seat = |caller: &ClusterName| Some((caller.clone(), name_seat(fleet, failover, caller, &all)?));
        return all.iter().filter_map(seat).collect();
    }
    let primary = failover.primary();
    let seat = || {
        let cluster = fleet.clusters.get(&primary.cluster)?;
        if of_a_mesh {
            return Some(mesh_seat(failover, &cluster.istio.as_ref()?.cluster_domain));
        }
        let upstream = names::upstream(cluster.gloo.as_ref()?, &primary.service);
        Some(Seat::Gateway { namespace: upstream.namespace, upstream: upstream.name })
    };
    seat().map(|seat| (primary.cluster.clone(), seat)).into_iter().collect()
}

/// The clusters whose workloads call the service, the primary's first.
fn callers(failover: &Failover) -> Vec<ClusterName> {
    let of_order = || failover.order.iter().flatten().map(|m| m.cluster.clone()).collect();
    let mut all: Vec<ClusterName> = failover.mesh.callers.clone().unwrap_or_else(of_order);
    all.sort_by_key(|c| *c != failover.primary().cluster);
    all
}

/// Behind the Service's own name: a caller's own cluster first, then the others in the document's order.
fn name_seat(fleet: &Fleet, failover: &Failover, caller: &ClusterName, all: &[ClusterName]) -> Option<Seat> {
    let domain = &fleet.clusters.get(caller)?.istio.as_ref()?.cluster_domain;
    let ServiceRef { namespace, name, port } = &failover.primary().service;
    let is_own = |m: &&Member| m.cluster == *caller;
    let own = failover.order.iter().flatten().find(is_own).map(|m| vec![m.cluster.clone()]);
    let group = |g: &Vec<Member>| g.iter().filter(|m| !is_own(m)).map(|m| m.cluster.clone()).collect::<Vec<_>>();
    let others = failover.order.iter().map(group).filter(|g| !g.is_empty());
    // Those of clusters that have no callers of their own go with the first.
    let left = |c: &ClusterName| all.first() == Some(caller) && !all.contains(c);
    let clusters = failover.order.iter().flatten().map(|m| m.cluster.clone());
    let gateways = clusters.filter(|c| c == caller || left(c)).collect();
    Some(Seat::Name {
        host: mesh::local_host(namespace.as_str(), name.as_str(), domain),
        port: *port,
        versions: failover.mesh.versions.iter().map(|v| v.name.to_string()).collect(),
        order: own.into_iter().chain(others).collect(),
        gateways,
    })
}

/// In the sidecars: an aggregate of the members' clusters.
fn mesh_seat(failover: &Failover, domain: &str) -> Seat {
    let primary = failover.primary();
    let service = &primary.service;
    let local = |s: &ServiceRef| mesh::local_host(s.namespace.as_str(), s.name.as_str(), domain);
    let host = failover.mesh.host.clone();
    let host = host.unwrap_or_else(|| mesh::failover_host(failover.name.as_str(), service));
    let member = |m: &Member| {
        let host = match m.cluster == primary.cluster {
            true => local(&m.service),
            false => mesh::federated_host(&m.cluster, m.service.namespace.as_str(), m.service.name.as_str()),
        };
        mesh::outbound(m.service.port, &host)
    };
    let members = failover.order.iter().flatten().map(member).collect();
    Seat::Sidecars { aggregate: mesh::outbound(service.port, &host), members }
}

fn scheme(body: &Value) -> Option<Protected> {
    let text = |p: &str| body.pointer(p).and_then(Value::as_str).map(str::to_string);
    let cluster = ClusterName::new(text("/spec/primary/clusterName")?).ok()?;
    Some(Protected {
        name: text("/metadata/name")?,
        policy: "article",
        cluster,
        seat: Seat::Gateway { namespace: text("/spec/primary/namespace")?, upstream: text("/spec/primary/name")? },
        places: Vec::new(),
        service: None,
        hosts: Vec::new(),
        prefix: "/".into(),
    })
}

/// Service Mesh Hub's: the first of its backing services is the primary, and its port is theirs.
fn failover_service(fleet: &Fleet, service: &smh::FailoverService) -> Option<Protected> {
    let primary = service.backends.first()?;
    let domain = &fleet.clusters.get(&primary.cluster)?.istio.as_ref()?.cluster_domain;
    let member = |at: &smh::ServiceAt| {
        let (namespace, name) = (at.namespace.as_str(), at.name.as_str());
        let host = match at.cluster == primary.cluster {
            true => mesh::local_host(namespace, name, domain),
            false => mesh::federated_host(&at.cluster, namespace, name),
        };
        mesh::outbound(service.port, &host)
    };
    let members = service.backends.iter().map(member).collect();
    Some(Protected {
        name: service.reference.name.to_string(),
        policy: "article",
        cluster: primary.cluster.clone(),
        seat: Seat::Sidecars { aggregate: mesh::outbound(service.port, &service.host), members },
        places: service.backends.iter().map(|b| (b.cluster.clone(), b.namespace.to_string())).collect(),
        service: Some((primary.namespace.to_string(), primary.name.to_string())),
        hosts: Vec::new(),
        prefix: "/".into(),
    })
}

/// What a scenario means on this fleet.
pub struct Resolved {
    /// One per target of the scenario.
    pub lanes: Vec<Lane>,
    /// Where faults happen.
    pub ground: Ground,
    /// The word for each target's configuration.
    pub policies: Vec<String>,
}

/// Finds out everything a drill needs to know before it begins.
pub async fn resolve(documents: &Documents, clients: &Clients, scenario: &Scenario) -> Result<Resolved, Vec<Problem>> {
    let known = protected(documents);
    let mut problems = Vec::new();
    let chosen: Vec<Option<&Protected>> =
        scenario.targets.iter().map(|t| choose(t.failover.as_ref(), &known, &mut problems)).collect();
    let through: Vec<Option<&Protected>> =
        scenario.targets.iter().map(|t| choose(t.through.as_ref(), &known, &mut problems)).collect();
    for cluster in scenario.faults.iter().flat_map(|f| f.fault.clusters()) {
        if !documents.fleet.clusters.contains_key(cluster) {
            problems.push(no_cluster(documents, cluster));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let world = look_around(documents, clients, chosen.iter().chain(&through).flatten().copied()).await;
    let mut lanes = Vec::new();
    for ((target, protected), through) in scenario.targets.iter().zip(&chosen).zip(through) {
        match lane(documents, &world, target, target.rate(&scenario.load), *protected, through) {
            Ok(lane) => lanes.push(lane),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut namespaces: BTreeMap<ClusterName, BTreeSet<String>> = BTreeMap::new();
    for protected in chosen.iter().flatten() {
        let found = service_of(&world, protected).map(|(ns, _)| (protected.cluster.clone(), ns));
        for (cluster, namespace) in protected.places.iter().cloned().chain(found) {
            namespaces.entry(cluster).or_default().insert(namespace);
        }
    }
    let policy = |(t, p): (&Target, &Option<&Protected>)| {
        t.policy.clone().unwrap_or_else(|| p.map_or("own", |p| p.policy).to_string())
    };
    let policies = scenario.targets.iter().zip(&chosen).map(policy).collect();
    let ground = Ground { clients: clients.clone(), fleet: documents.fleet.clone(), namespaces };
    Ok(Resolved { lanes, ground, policies })
}

/// What is said of a fault on a cluster that the fleet does not have.
pub fn no_cluster(documents: &Documents, cluster: &ClusterName) -> Problem {
    let all: Vec<_> = documents.fleet.clusters.keys().map(ClusterName::as_str).collect();
    let what = format!("the fault names `{cluster}`, which is no cluster of the fleet");
    Problem::error("FCT0606", what).hint(format!("the fleet has: {}", all.join(", ")))
}

fn choose<'a>(name: Option<&String>, known: &'a [Protected], problems: &mut Vec<Problem>) -> Option<&'a Protected> {
    let name = name?;
    let found = known.iter().find(|p| p.name == *name);
    if found.is_none() {
        let all: Vec<_> = known.iter().map(|p| p.name.as_str()).collect();
        let problem = Problem::error("FCT0607", format!("no failover is named `{name}`"));
        problems.push(match all[..] {
            [] => problem.hint("the documents hold no Failover, FailoverScheme or FailoverService; give them with -f"),
            _ => problem.hint(format!("the documents have: {}", all.join(", "))),
        });
    }
    found
}

async fn look_around(documents: &Documents, clients: &Clients, chosen: impl Iterator<Item = &Protected>) -> World {
    let mut wants = Vec::new();
    for protected in chosen {
        let Some(cluster) = documents.fleet.clusters.get(&protected.cluster) else { continue };
        wants.extend(address::wants(&cluster.name, address::gloo_namespace(cluster)));
        wants.extend(address::wants(&cluster.name, address::istio_namespace(cluster)));
        if let Seat::Name { order, .. } = &protected.seat {
            let others = order.iter().flatten().filter_map(|c| documents.fleet.clusters.get(c));
            wants.extend(others.flat_map(|c| address::wants(&c.name, address::istio_namespace(c))));
        }
        let Some((namespace, name)) = protected.seat.upstream() else { continue };
        wants.push(Want::all("gloo.solo.io/v1", "Upstream").on(&cluster.name).within(namespace).named(name));
    }
    wants.sort();
    wants.dedup();
    cluster::observe(clients, &wants).await
}

/// The primary's Service: from the document, else from its Upstream.
fn service_of(world: &World, protected: &Protected) -> Option<(String, String)> {
    protected.service.clone().or_else(|| {
        let (namespace, name) = protected.seat.upstream()?;
        let upstream = world.get(protected.cluster.as_str(), "gloo.solo.io", "Upstream", namespace, name)?;
        let text = |p: &str| upstream.pointer(p).and_then(Value::as_str).map(str::to_string);
        Some((text("/spec/kube/serviceNamespace")?, text("/spec/kube/serviceName")?))
    })
}

fn lane(
    documents: &Documents,
    world: &World,
    target: &Target,
    rate: u32,
    known: Option<&Protected>,
    through: Option<&Protected>,
) -> Result<Lane, Problem> {
    let of = |p: Option<&Protected>| p.and_then(|k| documents.fleet.clusters.get(&k.cluster));
    let cluster = of(known);
    let door = through.or(known);
    let url = match (&target.url, door, of(door)) {
        (Some(url), ..) => url.clone(),
        (None, Some(known), Some(cluster)) => {
            if let Some(why) = world.clusters.get(&cluster.name).and_then(|o| o.unreachable.clone()) {
                let what = format!("where the gateway of {} is reached is not known: {why}", cluster.name);
                return Err(Problem::error("FCT0609", what)
                    .hint("name it with --url, or with the `url` of a scenario's target"));
            }
            format!("{}{}", entry(world, cluster, known)?, known.prefix)
        }
        _ => {
            let what =
                format!("target `{}` has neither a url nor a failover whose gateway could be asked", target.name);
            return Err(Problem::error("FCT0608", what));
        }
    };
    let host = target.host.clone().or_else(|| {
        let named = door.filter(|_| target.url.is_none()).map(|k| k.hosts.clone()).unwrap_or_default();
        named.into_iter().find(|h| !h.contains('*'))
    });
    let header = match &target.answers.header {
        Some(name) => {
            Some(name.parse().map_err(|_| Problem::error("FCT0608", format!("`{name}` is not the name of a header")))?)
        }
        None => None,
    };
    let unreadable = |e: regex::Error| Problem::error("FCT0608", format!("the pattern cannot be read: {e}"));
    let pattern = target.answers.pattern.as_deref().map(regex::Regex::new).transpose().map_err(unreadable)?;
    let who = Who { header, pattern, labels: target.answers.labels.clone() };
    let url = match &target.path {
        Some(path) => with_path(&url, path),
        None => url,
    };
    let probe = probe::Target::new(&url, host.as_deref(), who).map_err(|e| Problem::error("FCT0608", e.to_string()))?;
    let primary = known.map(|k| k.cluster.to_string());
    // A label that is the primary cluster's name is the primary; without one, who answers before the fault is.
    let primary = primary.filter(|p| target.answers.labels.values().any(|l| l == p));
    let primary: BTreeSet<String> = match &target.answers.primary[..] {
        [] => primary.into_iter().collect(),
        named => named.iter().cloned().collect(),
    };
    let watch = match (known, cluster) {
        (Some(known), Some(cluster)) => Ok(watch(documents, world, cluster, known)),
        _ => Err("no failover is named, so it is not known which Envoy to ask".to_string()),
    };
    let entry = known.filter(|_| target.url.is_none()).map(|k| Entry { cluster: k.cluster.clone(), others: others(k) });
    Ok(Lane { name: target.name.clone(), target: probe, rate, primary, watch, entry })
}

/// The clusters a service runs on beside its primary's, in the document's order.
fn others(known: &Protected) -> Vec<ClusterName> {
    let mut others: Vec<ClusterName> = Vec::new();
    for (cluster, _) in &known.places {
        if *cluster != known.cluster && !others.contains(cluster) {
            others.push(cluster.clone());
        }
    }
    others
}

/// Where requests from outside come in on the primary's cluster: Gloo's proxy, or Istio's ingress gateway.
fn entry(world: &World, cluster: &Cluster, known: &Protected) -> Result<String, Problem> {
    match known.seat {
        Seat::Gateway { .. } => address::proxy_url(world, cluster, address::PROXY, "http"),
        Seat::Sidecars { .. } | Seat::Name { .. } => address::ingress_url(world, cluster),
    }
}

/// A URL with another path and query.
fn with_path(url: &str, path: &str) -> String {
    let start = url.find("://").map_or(0, |i| i + 3);
    let end = url[start..].find('/').map_or(url.len(), |i| start + i);
    format!("{}{path}", &url[..end])
}

/// Whose Envoy decides, and its names for the service.
fn watch(documents: &Documents, world: &World, cluster: &Cluster, known: &Protected) -> Watch {
    let callers = || Which::Caller { namespaces: cluster.namespaces.iter().map(ToString::to_string).collect() };
    let (which, service) = match &known.seat {
        Seat::Gateway { .. } => {
            let namespace = address::gloo_namespace(cluster).to_string();
            let service = Service { primary: known.seat.envoy_name(), ..Service::default() };
            (Which::Gateway { namespace, selector: PROXY_PODS.into() }, service)
        }
        Seat::Sidecars { members, .. } => {
            let mut members = members.iter().cloned();
            let primary = members.next().unwrap_or_default();
            (callers(), Service { primary, backups: members.collect(), ..Service::default() })
        }
        Seat::Name { order, .. } => {
            let others = order.iter().skip(1).flatten().filter_map(|c| documents.fleet.clusters.get(c));
            let gateway = |c| address::east_west(world, c).ok().map(|a| format!("{}:{}", a.host, a.port));
            let beside = others.filter_map(gateway).collect();
            (callers(), Service { primary: known.seat.envoy_name(), beside, ..Service::default() })
        }
    };
    Watch { proxies: Proxies { cluster: cluster.name.clone(), which }, service }
}

/// The Deployments behind the primary's Service: what a fault breaks when the user names none.
pub async fn deployments(clients: &Clients, protected: &Protected) -> Result<Vec<(String, String)>, String> {
    let upstream = protected.seat.upstream().map(|(namespace, name)| {
        Want::all("gloo.solo.io/v1", "Upstream").on(&protected.cluster).within(namespace).named(name)
    });
    let wants: Vec<_> = upstream.into_iter().collect();
    let mut world = cluster::observe(clients, &wants).await;
    let service = service_of(&world, protected);
    let (namespace, service) = service.ok_or_else(|| {
        let why = world.clusters.get(&protected.cluster).and_then(|o| o.unreachable.clone());
        why.unwrap_or_else(|| format!("{} of {} names no Service", protected.seat.envoy_name(), protected.name))
    })?;
    let on = |version: &str, kind: &str| Want::all(version, kind).on(&protected.cluster).within(&namespace);
    world = cluster::observe(clients, &[on("v1", "Service").named(&service), on("apps/v1", "Deployment")]).await;
    if let Some(why) = world.clusters.get(&protected.cluster).and_then(|o| o.unreachable.clone()) {
        return Err(why);
    }
    let body = world.get(protected.cluster.as_str(), "", "Service", &namespace, &service);
    let selector = body.and_then(|s| s.pointer("/spec/selector")).and_then(Value::as_object).cloned();
    let selector =
        selector.filter(|s| !s.is_empty()).ok_or_else(|| format!("Service {namespace}/{service} selects no Pods"))?;
    let selected =
        |d: &Value| selector.iter().all(|(k, v)| d["spec"]["template"]["metadata"]["labels"].get(k) == Some(v));
    let all = world.all(protected.cluster.as_str(), "apps", "Deployment").filter(|(_, d)| selected(d));
    let found: Vec<_> = all.map(|(k, _)| (namespace.clone(), k.name.clone())).collect();
    match found.is_empty() {
        true => Err(format!("no Deployment in {namespace} makes the Pods of Service {service}")),
        false => Ok(found),
    }
}
