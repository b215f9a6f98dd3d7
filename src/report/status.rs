//! The state of a fleet as a table or a versioned view. What comes in: rows. What goes out: text.
//! May not know: how it was found out.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use crate::judge::service::{Endpoint, Service, Serving, Standing, standing};
use crate::judge::since::Since;
use crate::model::problem::Problem;

/// Clusters, certificates, gateways, failovers and drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "StatusReport")]
pub struct StatusReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `StatusReport`.
    pub kind: &'static str,
    /// When it was asked, RFC 3339.
    pub at: String,
    /// The worst of everything below.
    pub standing: Standing,
    /// One per cluster of the fleet.
    pub clusters: Vec<ClusterRow>,
    /// Certificates of failover gateways and their clients.
    pub certificates: Vec<CertificateRow>,
    /// Where gateways are reached.
    pub gateways: Vec<GatewayRow>,
    /// One per protected service.
    pub failovers: Vec<FailoverRow>,
    /// Changes that `failctl apply` would make, by object; none when it is not known.
    pub drift: Option<Vec<DriftRow>>,
}

/// A finding with its stable code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FindingRow {
    /// Stable code.
    pub code: &'static str,
    /// What it came to.
    pub standing: Standing,
    /// What.
    pub what: String,
    /// What to type next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Problem> for FindingRow {
    fn from(p: &Problem) -> Self {
        FindingRow { code: p.code, standing: standing([p]), what: p.what.clone(), hint: p.hint.clone() }
    }
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRow {
    /// Its name.
    pub name: String,
    /// Its context.
    pub context: String,
    /// Whether its API answers.
    pub reachable: bool,
    /// Kubernetes' version.
    pub version: Option<String>,
    /// Gloo's edition and version, as the fleet document says them.
    pub gloo: Option<String>,
    /// Istio's version, as the fleet document says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio: Option<String>,
    /// Why it does not answer, or what may not be read.
    pub reason: Option<String>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRow {
    /// The cluster.
    pub cluster: String,
    /// `namespace/name` of its Secret.
    pub secret: String,
    /// Whom it names.
    pub subject: String,
    /// Last moment of validity, RFC 3339.
    pub not_after: Option<String>,
    /// Whole days until then.
    pub days_left: Option<i64>,
    /// What is wrong with it.
    pub finding: Option<FindingRow>,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRow {
    /// The cluster.
    pub cluster: String,
    /// `proxy` or the name of the failover gateway's Service.
    pub gateway: String,
    /// Where it is reached.
    pub address: Option<String>,
    /// Why that is not known.
    pub reason: Option<String>,
}

/// One protected service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverRow {
    /// The document's name; the Upstream's when no document names it.
    pub name: String,
    /// Where it is decided who serves.
    pub layer: Layer,
    /// `failover`, `scheme`, `service` or `upstream`: what it was found by.
    pub source: &'static str,
    /// The primary's cluster.
    pub cluster: String,
    /// The cluster whose callers are meant, where those of each cluster have an order of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callers: Option<String>,
    /// The name of the service in Envoy.
    pub upstream: String,
    /// What it comes to.
    pub standing: Standing,
    /// `primary`, `backup`, `split`, `nobody` or `unknown`.
    pub serving: &'static str,
    /// The clusters that serve.
    pub served_by: Vec<String>,
    /// Since when.
    pub since: Option<Since>,
    /// Where who serves is known from.
    pub evidence: String,
    /// Priorities, the primary first.
    pub priorities: Vec<PriorityRow>,
    /// What is worth saying.
    pub findings: Vec<FindingRow>,
}

impl FailoverRow {
    /// What it is called in tables.
    pub fn title(&self) -> String {
        self.callers.as_ref().map_or_else(|| self.name.clone(), |c| format!("{} from {c}", self.name))
    }
}

/// Where it is decided who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// At the gateway through which requests come in.
    Edge,
    /// In the sidecars of the callers.
    Mesh,
}

impl Layer {
    /// Its word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Edge => "edge",
            Layer::Mesh => "mesh",
        }
    }
}

/// One priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriorityRow {
    /// 0 is the primary.
    pub level: usize,
    /// Share of requests.
    pub load_percent: Option<u32>,
    /// Clusters behind it.
    pub clusters: Vec<String>,
    /// Endpoints that are well; none when Envoy was not asked.
    pub healthy: Option<usize>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointRow>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRow {
    /// Address and port.
    pub address: String,
    /// Cluster, namespace and Service behind it.
    pub origin: Option<String>,
    /// Whether Envoy would use it.
    pub healthy: Option<bool>,
    /// Why not.
    pub why: Vec<String>,
}

/// One change that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DriftRow {
    /// The cluster.
    pub cluster: String,
    /// What would happen.
    pub action: String,
    /// The object.
    pub object: String,
    /// The failover it belongs to.
    pub owner: String,
}

/// Who a row is about.
pub struct About {
    /// Name.
    pub name: String,
    /// Where it is decided.
    pub layer: Layer,
    /// What it was found by.
    pub source: &'static str,
    /// The primary's cluster.
    pub cluster: String,
    /// The cluster whose callers are meant, where those of each have an order of their own.
    pub callers: Option<String>,
    /// Name in Envoy.
    pub upstream: String,
    /// Since when.
    pub since: Option<Since>,
    /// Where who serves is known from.
    pub evidence: String,
}

/// A judged service → its row. `extra`: findings about the objects it is made of.
pub fn failover(about: About, service: &Service, extra: &[Problem]) -> FailoverRow {
    let findings: Vec<&Problem> = service.findings.iter().chain(extra).collect();
    let clusters = |levels: &[(usize, u32)]| {
        let mut all: Vec<String> = levels.iter().flat_map(|(l, _)| service.levels[*l].clusters()).collect();
        all.dedup();
        all
    };
    let (serving, served_by) = match &service.serving {
        Serving::Unknown(_) => ("unknown", vec![]),
        Serving::Nobody => ("nobody", vec![]),
        Serving::Levels(l) if l.len() > 1 => ("split", clusters(l)),
        Serving::Levels(l) if l.iter().all(|(level, _)| *level == 0) => ("primary", clusters(l)),
        Serving::Levels(l) => ("backup", clusters(l)),
    };
    let known = !matches!(service.serving, Serving::Unknown(_));
    let endpoint = |e: &Endpoint| EndpointRow {
        address: format!("{}:{}", e.address, e.port),
        origin: e.origin.as_ref().map(|o| format!("{} {}/{}", o.cluster, o.namespace, o.service)),
        healthy: e.healthy,
        why: e.why.clone(),
    };
    let priority = |l: &crate::judge::service::Level| PriorityRow {
        level: l.level,
        load_percent: l.load,
        clusters: l.clusters(),
        healthy: known.then(|| l.well()),
        endpoints: l.endpoints.iter().map(endpoint).collect(),
    };
    FailoverRow {
        name: about.name,
        layer: about.layer,
        source: about.source,
        cluster: about.cluster,
        callers: about.callers,
        upstream: about.upstream,
        standing: standing(findings.iter().copied()),
        serving,
        served_by,
        since: about.since,
        evidence: about.evidence,
        priorities: service.levels.iter().map(priority).collect(),
        findings: findings.into_iter().map(FindingRow::from).collect(),
    }
}

impl StatusReport {
    /// Puts the parts together; the standing is the worst of them.
    pub fn new(
        at: String,
        clusters: Vec<ClusterRow>,
        certificates: Vec<CertificateRow>,
        gateways: Vec<GatewayRow>,
        failovers: Vec<FailoverRow>,
        drift: Option<Vec<DriftRow>>,
    ) -> Self {
        let warn = |is: bool| if is { Standing::Warning } else { Standing::Healthy };
        let worst = failovers
            .iter()
            .map(|f| f.standing)
            .chain(certificates.iter().filter_map(|c| c.finding.as_ref().map(|f| f.standing)))
            .chain(clusters.iter().map(|c| if c.reason.is_some() { Standing::Unknown } else { Standing::Healthy }))
            .chain([warn(drift.as_ref().is_some_and(|d| !d.is_empty()))])
            .max();
        let standing = worst.unwrap_or(Standing::Healthy);
        StatusReport {
            api_version: API_VERSION,
            kind: "StatusReport",
            at,
            standing,
            clusters,
            certificates,
            gateways,
            failovers,
            drift,
        }
    }
}
