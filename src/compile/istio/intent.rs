//! What is asked of meshes, whoever asks: failctl's own failovers and Service Mesh Hub's documents meet here. Clusters
//! and Services are named, ports are chosen; how objects look is not said yet. May not know: Istio's resources.

use std::collections::BTreeSet;

use crate::model::duration::Millis;
use crate::model::failover::{Discovery, Exposure, OutlierDetection, ServiceRef, Version};
use crate::model::mesh::Protocol;
use crate::model::name::{ClusterName, Namespace};
use crate::model::problem::Problem;
use crate::resource::istio::virtual_service::HttpMatch;

/// Everything that is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// Hosts that stand for several clusters' Services.
    pub chains: Vec<Chain>,
    /// Services whose loss is to be noticed.
    pub watches: Vec<Watch>,
    /// Services whose callers are sent elsewhere.
    pub shifts: Vec<Shift>,
    /// Services that several clusters answer under the one name they have everywhere.
    pub joins: Vec<Join>,
}

impl Intent {
    /// Whether a document has a part in it.
    pub fn asks(&self, document: &str) -> bool {
        let chains = self.chains.iter().map(|c| &c.origin);
        let joins = self.joins.iter().map(|j| &j.origin);
        let all = chains.chain(self.watches.iter().map(|w| &w.origin)).chain(self.shifts.iter().map(|s| &s.origin));
        let all = all.chain(joins);
        all.into_iter().any(|o| o.document == document)
    }

    /// Takes the parts of some documents out, and what leads to a host that is gone with them.
    pub fn forget(&mut self, documents: &BTreeSet<String>) {
        let gone = self.chains.iter().filter(|c| documents.contains(&c.origin.document));
        let gone: BTreeSet<String> = gone.map(|c| c.host.clone()).collect();
        let stays = |origin: &Origin| !documents.contains(&origin.document);
        self.chains.retain(|c| stays(&c.origin));
        self.watches.retain(|w| stays(&w.origin));
        self.joins.retain(|j| stays(&j.origin));
        let leads = |s: &Shift| s.rules.iter().flat_map(|r| &r.to).any(|leg| gone.contains(&leg.host));
        self.shifts.retain(|s| stays(&s.origin) && !leads(s));
    }

    /// Both.
    pub fn extend(&mut self, more: Intent) {
        self.chains.extend(more.chains);
        self.watches.extend(more.watches);
        self.shifts.extend(more.shifts);
        self.joins.extend(more.joins);
    }

    /// Which cluster's workloads call which other cluster's.
    pub fn calls(&self) -> BTreeSet<(&ClusterName, &ClusterName)> {
        let chains =
            self.chains.iter().flat_map(|c| c.clients.iter().flat_map(|a| c.backends.iter().map(move |b| (a, b))));
        let joins = self.joins.iter().flat_map(|j| j.callers.iter().flat_map(|a| j.backends().map(move |b| (a, b))));
        chains
            .chain(joins)
            .map(|(caller, b)| (caller, &b.cluster))
            .filter(|(caller, called)| caller != called)
            .collect()
    }
}

/// The document a part of the intent comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// What objects are labelled with: the failover's name.
    pub owner: String,
    /// How the reader of documents knows the document.
    pub document: String,
}

impl Origin {
    /// A problem about a part of the document.
    pub fn about(&self, problem: Problem, pointer: impl Into<String>) -> Problem {
        problem.about_failover(&self.document, pointer)
    }
}

/// One host name behind which several clusters' Services stand, the first preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Who asks.
    pub origin: Origin,
    /// Name of the objects; unique in a cluster.
    pub name: String,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// The clusters whose workloads see the host.
    pub clients: Vec<ClusterName>,
    /// Whether gateways see it too.
    pub gateways: bool,
    /// How detection is written.
    pub manner: Manner,
    /// The Services, in the order they are preferred.
    pub backends: Vec<Backend>,
}

/// One Service of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where.
    pub cluster: ClusterName,
    /// The Service and its port.
    pub service: ServiceRef,
    /// Whom its Pods run as, when the document says it.
    pub account: Option<String>,
    /// How its loss is noticed.
    pub outlier: OutlierDetection,
    /// How that is written.
    pub manner: Manner,
    /// Time a connection may take, when the document or failctl says it.
    pub connect_timeout: Option<Millis>,
    /// JSON pointer to it in the document.
    pub pointer: String,
}

/// How detection of loss is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As Service Mesh Hub wrote it, word for word.
    Verbatim,
    /// As failctl advises: a cluster's gateway pays for what gateways answer and for lost connections alone, and when all
    /// are ejected, all are tried.
    Advised,
}

/// A Service that several clusters answer under its own name: in each cluster of callers the others join its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Who asks.
    pub origin: Origin,
    /// The Service, alike on all clusters, and the port the document is about.
    pub service: ServiceRef,
    /// The clusters whose Pods answer, by group, the preferred first.
    pub order: Vec<Vec<Share>>,
    /// The clusters of the callers.
    pub callers: Vec<ClusterName>,
    /// Its versions, by labels of Pods; all Pods are alike when there are none.
    pub versions: Vec<Version>,
    /// How loss is noticed.
    pub outlier: OutlierDetection,
    /// Time a connection may take.
    pub connect_timeout: Millis,
    /// The namespaces whose workloads may call; nobody is refused when absent.
    pub caller_namespaces: Option<Vec<Namespace>>,
    /// What east-west gateways let through.
    pub exposure: Exposure,
    /// How a cluster's mesh learns of the others' endpoints.
    pub discovery: Discovery,
}

impl Join {
    /// The clusters whose Pods answer.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.order.iter().flatten().map(|s| &s.backend)
    }
}

/// One cluster's part of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its Service.
    pub backend: Backend,
    /// Its share of the group, when the document says it.
    pub weight: Option<u32>,
}

/// A Service whose loss is to be noticed in its own cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Who asks.
    pub origin: Origin,
    /// Where.
    pub cluster: ClusterName,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// How.
    pub outlier: OutlierDetection,
    /// How that is written.
    pub manner: Manner,
    /// Time a connection may take, when the document or failctl says it.
    pub connect_timeout: Option<Millis>,
}

/// Callers of a Service, sent elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Who asks.
    pub origin: Origin,
    /// Where the callers are.
    pub cluster: ClusterName,
    /// Namespace of the Service they call.
    pub namespace: String,
    /// The Service they call.
    pub service: String,
    /// Its port, when only callers of that one are meant.
    pub port: Option<u16>,
    /// Ports of the Service that are left as they are, beside `port`.
    pub others: Vec<u16>,
    /// The rules; the first that matches answers.
    pub rules: Vec<Rule>,
}

/// Where some requests go, and when they are tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Name of the route.
    pub name: Option<String>,
    /// Which requests; all when empty.
    pub matches: Vec<HttpMatch>,
    /// Where they go.
    pub to: Vec<Leg>,
    /// Retries; Istio's own when nothing is said.
    pub retries: Option<Retries>,
    /// Time for a whole request.
    pub timeout: Option<Millis>,
}

/// One of the places that requests go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The part of its endpoints, where not all are meant.
    pub subset: Option<String>,
    /// Percent of the requests.
    pub weight: Option<u32>,
}

impl Leg {
    /// All requests to a host's port.
    pub fn to(host: impl Into<String>, port: u16) -> Self {
        Leg { host: host.into(), port, subset: None, weight: None }
    }
}

/// When requests are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Retries after the first attempt.
    pub attempts: u32,
    /// Time one attempt may take.
    pub per_try_timeout: Option<Millis>,
    /// Envoy's conditions; Istio's own when nothing is said.
    pub retry_on: Option<&'static str>,
    /// Whether retries leave the clusters that were tried.
    pub leaves: bool,
}
