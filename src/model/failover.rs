//! The intent: one service, the order in which clusters serve it, and how loss is noticed.

use std::collections::BTreeMap;

use super::duration::Millis;
use super::name::{ClusterName, Namespace, ObjectName};

/// One failover as the user means it, whatever target it compiles to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Name of the document; becomes part of the names of what failctl creates.
    pub name: ObjectName,
    /// Priority groups, the primary first. Never empty, and no group is empty.
    pub order: Vec<Vec<Member>>,
    /// How loss is noticed. A failover without detection cannot be written.
    pub detection: Detection,
    /// What a client request may be retried for.
    pub retry: Retry,
    /// Guard against coming back too early.
    pub failback: Failback,
    /// The route at the edge, if failctl is to make one.
    pub route: Option<RouteIntent>,
    /// What it compiles to.
    pub target: TargetChoice,
    /// What the services' mesh asks for.
    pub mesh: MeshIntent,
}

impl Failover {
    /// The first member of the first group: where the route points.
    pub fn primary(&self) -> &Member {
        &self.order[0][0]
    }
}

/// One cluster's side of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The cluster.
    pub cluster: ClusterName,
    /// What the service is called there.
    pub service: ServiceRef,
    /// Share within its group, at least 1.
    pub weight: Option<u32>,
    /// The ServiceAccount its Pods run as, when discovery must not decide. Meshes name it in certificates.
    pub service_account: Option<ObjectName>,
}

/// A Kubernetes Service and one of its ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRef {
    /// Namespace.
    pub namespace: Namespace,
    /// Name.
    pub name: ObjectName,
    /// Service port.
    pub port: u16,
}

/// How loss is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detection {
    /// The proxy asks.
    Active(HealthCheck),
    /// The proxy watches answers.
    Passive(OutlierDetection),
    /// Both.
    Both(HealthCheck, OutlierDetection),
}

impl Detection {
    /// The active part.
    pub fn active(&self) -> Option<&HealthCheck> {
        match self {
            Detection::Active(h) | Detection::Both(h, _) => Some(h),
            Detection::Passive(_) => None,
        }
    }

    /// The passive part.
    pub fn passive(&self) -> Option<&OutlierDetection> {
        match self {
            Detection::Passive(o) | Detection::Both(_, o) => Some(o),
            Detection::Active(_) => None,
        }
    }
}

/// An active HTTP health check (Envoy's `health_checks`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path asked for.
    pub path: String,
    /// Time between checks.
    pub interval: Millis,
    /// Time one check may take.
    pub timeout: Millis,
    /// Failures in a row before a host is unhealthy.
    pub unhealthy_threshold: u32,
    /// Passes in a row before it is healthy again.
    pub healthy_threshold: u32,
    /// Interval while no traffic has ever flowed. Envoy's default of 60 s blinds a fresh proxy.
    pub no_traffic_interval: Millis,
}

/// Passive detection (Envoy's `outlier_detection`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// 5xx answers in a row before ejection.
    pub consecutive_5xx: u32,
    /// Sweep interval.
    pub interval: Millis,
    /// Base ejection time.
    pub base_ejection_time: Millis,
    /// Share of hosts that may be ejected, percent 0–100.
    pub max_ejection_percent: u8,
}

/// Retry intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Retries after the first attempt; 0 turns them off.
    pub attempts: u32,
    /// Time one attempt may take.
    pub per_try_timeout: Millis,
    /// The user's word that every request may be repeated.
    pub idempotent: bool,
}

/// Failback guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failback {
    /// How long the primary must answer well before it serves again.
    pub stable_for: Option<Millis>,
}

/// A route at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteIntent {
    /// Host names; `*` for all.
    pub hosts: Vec<String>,
    /// Path prefix.
    pub prefix: String,
    /// Whole-request timeout.
    pub timeout: Option<Millis>,
}

/// What the services' mesh asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshIntent {
    /// The host name of the failover itself. Default: `NAME.NAMESPACE.global` ([`super::mesh::failover_host`]).
    pub host: Option<String>,
    /// Whether Gloo calls the service's Pods with an identity in their mesh.
    pub identity: bool,
    /// The clusters whose workloads call the service, when those of the order are not meant. No cluster twice.
    pub callers: Option<Vec<ClusterName>>,
    /// The namespaces whose workloads may call the service, sorted; nobody is refused when absent.
    pub caller_namespaces: Option<Vec<Namespace>>,
    /// Versions of the service, by labels of its Pods; all Pods are alike when there are none.
    pub versions: Vec<Version>,
    /// What east-west gateways let through.
    pub exposure: Exposure,
    /// How a cluster's mesh learns of the others' endpoints.
    pub discovery: Discovery,
}

impl MeshIntent {
    /// The fields that only transparent failover has and that are given, by name.
    pub fn transparent(&self) -> Vec<&'static str> {
        let given = [
            ("callers", self.callers.is_some()),
            ("callerNamespaces", self.caller_namespaces.is_some()),
            ("versions", !self.versions.is_empty()),
            ("exposure", self.exposure != Exposure::default()),
            ("discovery", self.discovery != Discovery::default()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub name: ObjectName,
    /// The labels its Pods have. Not empty, and no other version's.
    pub labels: BTreeMap<String, String>,
    /// Percent of the requests that no header sends elsewhere; all versions' together are 100.
    pub weight: u32,
    /// The headers that send a request to it: all of them, exactly.
    pub headers: BTreeMap<String, String>,
    /// The version that answers when this one is lost on all clusters.
    pub fallback: Option<ObjectName>,
}

/// What east-west gateways let through for transparent failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// The hosts that fail over, each by name.
    #[default]
    Named,
    /// Every Service of the cluster; workloads are closed one by one.
    Wildcard,
}

/// How a cluster's mesh learns of the others' endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discovery {
    /// failctl writes them down; no mesh reads another cluster's API.
    #[default]
    ServiceEntries,
    /// Each istiod reads the others' API servers by remote secrets (multi-primary).
    RemoteSecrets,
}

/// What a failover compiles to, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetChoice {
    /// failctl chooses from what runs on the primary.
    Auto,
    /// This target.
    Is(Target),
}

/// The targets failctl compiles to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Gloo Federation's FailoverScheme.
    GlooFederation,
    /// `Upstream.failover`, Gloo Enterprise without Federation.
    GlooUpstream,
    /// Istio with an aggregate cluster per failover: Service Mesh Hub's design without its management plane.
    IstioAggregate,
    /// Istio, transparently: other clusters join the endpoints of the Service's own name, at lower priorities.
    IstioLocality,
}

impl Target {
    /// All targets, in the order `auto` tries them.
    pub const ALL: [Target; 4] =
        [Target::GlooFederation, Target::GlooUpstream, Target::IstioAggregate, Target::IstioLocality];

    /// The word in a document.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::GlooFederation => "glooFederation",
            Target::GlooUpstream => "glooUpstream",
            Target::IstioAggregate => "istioAggregate",
            Target::IstioLocality => "istioLocality",
        }
    }
}
