//! DestinationRule: which one counts for a client and a host, and what it says about a port and a subset.
//! What comes in: the objects of a cluster. What goes out: a policy and subsets.
//! Rules: Istio's push_context (destinationRule) and MergeTrafficPolicy.

use std::collections::BTreeMap;

use super::host;
use super::scene::{NETWORKING, Object, Scene, selects, texts};
use super::service::{Export, Service};
use crate::routing::read::{At, Log};

/// All DestinationRules of a cluster with what decides where they count, read once.
pub struct Rules<'a>(Vec<Rule<'a>>);

struct Rule<'a> {
    object: Object<'a>,
    host: String,
    export: Export,
    /// Only for clients with these labels, in the rule's namespace.
    clients: Option<BTreeMap<String, String>>,
}

/// The rule of one host for one client: the oldest speaks, later ones add subsets.
pub struct Chosen<'a> {
    /// The objects, the oldest first.
    pub objects: Vec<Object<'a>>,
}

impl<'a> Rules<'a> {
    /// Reads where each counts.
    pub fn read(scene: &Scene<'a>) -> Self {
        let rule = |object: Object<'a>| {
            let at = object.at(&scene.log);
            let spec = at.get("spec");
            let Some(named) = spec.get("host").string() else {
                spec.reject("FCT0550", "spec.host is missing, so the DestinationRule counts for nothing");
                return None;
            };
            Some(Rule {
                object,
                host: host::full(&named, object.namespace(), &scene.domain),
                export: Export::read(&spec.get("exportTo").strings(), object.namespace()),
                clients: spec.at(&["workloadSelector", "matchLabels"]).some().map(|l| texts(&l)),
            })
        };
        Rules(scene.all(NETWORKING, "DestinationRule").iter().copied().filter_map(rule).collect())
    }

    /// The rule for a host: the client's own namespace first, then the host's, then the root namespace.
    pub fn choose(
        &self,
        scene: &Scene,
        client: (&str, &BTreeMap<String, String>),
        service: &Service,
        log: &Log,
    ) -> Option<Chosen<'a>> {
        let (namespace, labels) = client;
        let root = scene.config.root_namespace.as_str();
        let places = [namespace, service.object.namespace(), root];
        let chosen = places.iter().enumerate().find_map(|(i, place)| {
            // In the root namespace a client's own rules are everybody's: only the last step looks at wildcards there.
            let only_exact = i == 0 && *place == root;
            let fits = |r: &&Rule| {
                r.object.namespace() == *place
                    && (if only_exact { r.host == service.host } else { host::covers(&r.host, &service.host) })
                    && r.export.includes(namespace)
                    && r.clients.as_ref().is_none_or(|c| r.object.namespace() == namespace && selects(c, labels))
            };
            let found: Vec<&Rule> = self.0.iter().filter(fits).collect();
            let narrowest =
                found.iter().max_by_key(|r| (!r.host.starts_with('*'), r.host.len(), r.clients.is_some()))?;
            let same = found.iter().filter(|r| r.host == narrowest.host && r.clients == narrowest.clients);
            Some(Chosen { objects: same.map(|r| r.object).collect() })
        })?;
        chosen.warn_of_ties(log);
        Some(chosen)
    }
}

impl<'a> Chosen<'a> {
    /// What it says about a port, and a subset of it.
    pub fn policy<'b>(&self, port: u16, subset: &str, log: &'b Log) -> Policy<'b>
    where
        'a: 'b,
    {
        let specs = || self.objects.iter().map(|o| o.at(log).get("spec"));
        let top = specs().find_map(|s| s.get("trafficPolicy").some());
        let mut policy = top.map(|t| Policy::top(&t, port)).unwrap_or_default();
        let named = |s: &At<'b>| s.get("subsets").items().into_iter().find(|i| i.get("name").text() == Some(subset));
        if let Some(narrow) = specs().filter_map(|s| named(&s)).find_map(|s| s.get("trafficPolicy").some()) {
            policy.overlay(&narrow);
            if let Some(at_port) = at_port(&narrow, port) {
                policy.overlay(&at_port);
            }
        }
        policy
    }

    /// Subsets: names with the labels of their endpoints.
    pub fn subsets(&self, log: &Log) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for item in self.objects.iter().flat_map(|o| o.at(log).get("spec").get("subsets").items()) {
            if let Some(name) = item.get("name").string() {
                all.entry(name).or_insert_with(|| texts(&item.get("labels")));
            }
        }
        all
    }

    fn warn_of_ties(&self, log: &Log) {
        let says = |o: &&Object| o.body.pointer("/spec/trafficPolicy").is_some();
        let speakers: Vec<&Object> = self.objects.iter().filter(says).collect();
        if let [first, rest @ ..] = speakers.as_slice() {
            for late in rest {
                late.at(log).warn(
                    "FCT0553",
                    format!("DestinationRule {} already speaks for this host; Istio leaves spec.trafficPolicy of this one out", first.key.name),
                );
            }
        }
    }
}

/// The parts of a trafficPolicy that count for one port and subset.
#[derive(Default)]
pub struct Policy<'b> {
    /// `connectionPool`.
    pub pool: Option<At<'b>>,
    /// `outlierDetection`.
    pub outlier: Option<At<'b>>,
    /// `loadBalancer`.
    pub balancer: Option<At<'b>>,
    /// `tls`.
    pub tls: Option<At<'b>>,
}

impl<'b> Policy<'b> {
    /// A port's own settings inherit nothing from the whole (Istio's selectTrafficPolicyComponents).
    fn top(at: &At<'b>, port: u16) -> Self {
        let mut policy = Policy::default();
        policy.overlay(&at_port(at, port).unwrap_or_else(|| at.clone()));
        let unread = at.fields().into_iter().filter(|f| ["tunnel", "proxyProtocol", "retryBudget"].contains(f));
        for field in unread {
            at.warn("FCT0550", format!("{}.{field} is not read; traffic may differ from what is shown", at.path()));
        }
        policy
    }

    fn overlay(&mut self, at: &At<'b>) {
        let part = |field: &str, own: &mut Option<At<'b>>| {
            if let Some(said) = at.get(field).some() {
                *own = Some(said);
            }
        };
        part("connectionPool", &mut self.pool);
        part("outlierDetection", &mut self.outlier);
        part("loadBalancer", &mut self.balancer);
        part("tls", &mut self.tls);
    }
}

fn at_port<'b>(at: &At<'b>, port: u16) -> Option<At<'b>> {
    let settings = at.get("portLevelSettings").items();
    settings.into_iter().find(|s| s.at(&["port", "number"]).port() == Some(port))
}
