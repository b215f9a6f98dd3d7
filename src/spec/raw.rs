//! failctl's documents as they are written: the one definition that the JSON Schema, the check of a document's
//! shape and the reader share. Every field is optional to Rust and required to the schema where it says so.
//! May not know: what makes the values valid together.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// The `apiVersion` of failctl's documents.
pub const API_VERSION: &str = "failctl.dev/v1alpha1";

/// How a length of time is written.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(us|µs|ms|s|m|h))+$";

/// A fleet: your clusters, and what runs on them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Fleet")]
pub struct FleetDoc {
    /// failctl.dev/v1alpha1
    #[schemars(required, schema_with = "api_version")]
    pub api_version: Option<String>,
    /// Fleet
    #[schemars(required, schema_with = "kind_fleet")]
    pub kind: Option<String>,
    /// The document's name. It also names the root certificate. Default: fleet.
    pub metadata: Option<Meta>,
    /// The clusters.
    #[schemars(required)]
    pub spec: Option<FleetSpec>,
}

/// A failover: one service, the order in which clusters serve it, and how loss is noticed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Failover")]
pub struct FailoverDoc {
    /// failctl.dev/v1alpha1
    #[schemars(required, schema_with = "api_version")]
    pub api_version: Option<String>,
    /// Failover
    #[schemars(required, schema_with = "kind_failover")]
    pub kind: Option<String>,
    /// The document's name. It becomes part of the names of what failctl creates.
    #[schemars(required)]
    pub metadata: Option<Meta>,
    /// The intent.
    #[schemars(required)]
    pub spec: Option<FailoverSpec>,
}

fn api_version(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "enum": [API_VERSION], "description": "The version of this format."})
}

fn kind_fleet(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "enum": ["Fleet"], "description": "What this document is."})
}

fn kind_failover(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "enum": ["Failover"], "description": "What this document is."})
}

/// Metadata.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Meta {
    /// Lower-case letters, digits, `-` and `.`.
    #[schemars(required)]
    pub name: Option<String>,
}

/// The clusters of a fleet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetSpec {
    /// The clusters, in any order. The first one with federation manages the fleet's federation.
    #[schemars(required)]
    pub clusters: Option<Vec<ClusterSpec>>,
}

/// One cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// Its name in the fleet, and the name it is registered under in Gloo Federation. No dots.
    #[schemars(required)]
    pub name: Option<String>,
    /// The kubeconfig context that reaches it. Default: the name.
    pub context: Option<String>,
    /// topology.kubernetes.io/region of its nodes.
    pub region: Option<String>,
    /// topology.kubernetes.io/zone of its nodes.
    pub zone: Option<String>,
    /// Istio's name for its network.
    pub network: Option<String>,
    /// Gloo, if it runs there.
    pub gloo: Option<GlooSpec>,
    /// Istio, if it runs there.
    pub istio: Option<IstioSpec>,
    /// Where other clusters reach its failover gateway. Default: discovered.
    pub gateway: Option<GatewaySpec>,
    /// SPIFFE trust domain of Istio's workloads. Default: cluster.local, Istio's own.
    pub trust_domain: Option<String>,
    /// Namespaces failctl may look at. Default: all it needs.
    pub namespaces: Option<Vec<String>>,
    /// How Services get an outside address. Default: LoadBalancer.
    pub platform: Option<PlatformSpec>,
    /// Commands that cut this cluster off and bring it back, for drills.
    pub switch: Option<SwitchSpec>,
}

/// How Services get an outside address.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum PlatformSpec {
    /// The platform gives every LoadBalancer Service an address.
    LoadBalancer,
    /// Node address and NodePort, as on kind.
    NodePort,
}

/// Gloo on a cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GlooSpec {
    /// enterprise or open-source. Only enterprise can be the primary of a failover.
    #[schemars(required)]
    pub edition: Option<EditionSpec>,
    /// Version, in quotes, for example "1.18.3".
    #[schemars(required)]
    pub version: Option<String>,
    /// Where Gloo is installed. Default: gloo-system.
    pub namespace: Option<String>,
    /// Gloo Federation, if it runs on this cluster.
    pub federation: Option<FederationSpec>,
    /// Port of the failover gateway. Default: 15443.
    #[schemars(range(min = 1))]
    pub failover_port: Option<u16>,
    /// NodePort of the failover gateway's Service, where the platform needs one. Default: 32000.
    #[schemars(range(min = 1))]
    pub failover_node_port: Option<u16>,
}

/// The edition of Gloo.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum EditionSpec {
    /// Gloo Enterprise.
    #[serde(rename = "enterprise")]
    Enterprise,
    /// Gloo open source: a target only.
    #[serde(rename = "open-source")]
    OpenSource,
}

/// Gloo Federation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederationSpec {
    /// Namespace of Federation's resources. Default: gloo-system, and gloo-fed before Gloo 1.8.
    pub namespace: Option<String>,
}

/// Istio on a cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IstioSpec {
    /// Version, in quotes, for example "1.27.0".
    #[schemars(required)]
    pub version: Option<String>,
    /// Where istiod and the gateways run. Default: istio-system.
    pub namespace: Option<String>,
    /// Where other clusters reach its east-west gateway. Default: discovered.
    pub east_west_gateway: Option<EastWestSpec>,
    /// The DNS domain of the cluster's Services. Default: cluster.local.
    pub cluster_domain: Option<String>,
}

/// Where an east-west gateway is reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EastWestSpec {
    /// IP address, or for target istioLocality a DNS name. (Elsewhere a STATIC ServiceEntry takes addresses only.)
    #[schemars(required)]
    pub host: Option<String>,
    /// Port. Default: 15443.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// A gateway's address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySpec {
    /// IP address or DNS name.
    #[schemars(required)]
    pub host: Option<String>,
    /// Port. Default: the failover port, or the failover NodePort where the platform is NodePort.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// A drill's power switch: argument vectors, run as they are, without a shell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchSpec {
    /// Workloads and API die, the edge survives.
    #[schemars(required)]
    pub workloads_off: Option<Vec<String>>,
    /// Everything dies.
    #[schemars(required)]
    pub all_off: Option<Vec<String>>,
    /// What controls the cluster dies, the API included; workloads run on.
    #[schemars(extend("minItems" = 1))]
    pub control_plane_off: Option<Vec<String>>,
    /// Everything is back.
    #[schemars(required)]
    pub on: Option<Vec<String>>,
}

/// The intent of a failover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailoverSpec {
    /// The service, as it is called unless a member says otherwise.
    #[schemars(required)]
    pub service: Option<ServiceSpec>,
    /// Priority groups, the primary first. Traffic goes to the first group that is healthy.
    #[schemars(required)]
    pub order: Option<Vec<GroupSpec>>,
    /// How loss is noticed: activeHealthCheck, outlierDetection, or both.
    #[schemars(required)]
    pub detection: Option<DetectionSpec>,
    /// Retries of client requests. Default: 2 attempts.
    pub retries: Option<RetriesSpec>,
    /// Guard against coming back too early.
    pub failback: Option<FailbackSpec>,
    /// The route at the edge of the primary cluster. Default: none is made.
    pub route: Option<RouteSpec>,
    /// What it compiles to. Default: auto, from what runs on the primary.
    pub target: Option<TargetSpec>,
    /// What the services' mesh asks for.
    pub mesh: Option<MeshSpec>,
}

/// What the services' mesh asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeshSpec {
    /// istioAggregate: host name of the failover itself; callers need not know it. Default: NAME.NAMESPACE.global.
    pub host: Option<String>,
    /// Gloo's targets: each cluster's Gloo calls the service's Pods by mutual TLS, as a member of their mesh. Default: false.
    pub identity: Option<bool>,
    /// istioLocality: the clusters whose workloads call the service. Default: those of the order. A cluster that lacks
    /// the Service gets one that leads to the others.
    pub callers: Option<Vec<String>>,
    /// istioLocality: versions of the service, told apart by labels of its Pods.
    pub versions: Option<Vec<VersionSpec>>,
    /// istioLocality: what the east-west gateways let through. Default: named.
    pub exposure: Option<ExposureSpec>,
    /// istioLocality: the namespaces whose workloads may call the service, in all clusters; AuthorizationPolicies refuse
    /// the rest. Default: no policies. Required with exposure: wildcard.
    pub caller_namespaces: Option<Vec<String>>,
    /// istioLocality: how each mesh learns of the others' endpoints. Default: serviceEntries.
    pub discovery: Option<DiscoverySpec>,
}

/// A version of a service.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionSpec {
    /// Its name, for example canary.
    #[schemars(required)]
    pub name: Option<String>,
    /// The labels its Pods have, for example {version: v2}.
    #[schemars(required)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Percent of the requests that no header sends elsewhere. Default: 0; where nobody has a weight the first has 100.
    #[schemars(range(max = 100))]
    pub weight: Option<u32>,
    /// Headers, all of them with exactly these values, that send a request to it whatever the weights.
    pub headers: Option<BTreeMap<String, String>>,
    /// The version that answers when this one is lost on all clusters.
    pub fallback: Option<String>,
}

/// What east-west gateways let through.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum ExposureSpec {
    /// The hosts that fail over, each by name.
    #[serde(rename = "named")]
    Named,
    /// Every Service of the cluster (`*.svc.cluster.local`).
    #[serde(rename = "wildcard")]
    Wildcard,
}

/// How a mesh learns of the others' endpoints.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum DiscoverySpec {
    /// failctl writes them down as ServiceEntries.
    #[serde(rename = "serviceEntries")]
    ServiceEntries,
    /// Each istiod reads the others' API servers (multi-primary): `failctl cluster register` gives it remote secrets.
    #[serde(rename = "remoteSecrets")]
    RemoteSecrets,
}

/// A Kubernetes Service and one of its ports.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceSpec {
    /// Namespace.
    #[schemars(required)]
    pub namespace: Option<String>,
    /// Name.
    #[schemars(required)]
    pub name: Option<String>,
    /// Port of the Service.
    #[schemars(required, range(min = 1))]
    pub port: Option<u16>,
}

/// One priority group.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupSpec {
    /// The clusters that share this priority.
    #[schemars(required)]
    pub clusters: Option<Vec<MemberSpec>>,
}

/// One cluster's side of the service.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberSpec {
    /// A cluster of the fleet.
    #[schemars(required)]
    pub name: Option<String>,
    /// What the service is called there, where that differs.
    pub service: Option<ServiceOverride>,
    /// Share of the group's traffic, at least 1. Default: equal shares.
    #[schemars(range(min = 1))]
    pub weight: Option<u32>,
    /// The ServiceAccount its Pods run as; meshes name it in certificates. Default: discovered.
    pub service_account: Option<String>,
}

/// What differs from the failover's service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceOverride {
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Port of the Service.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// How loss is noticed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DetectionSpec {
    /// The proxy asks.
    pub active_health_check: Option<HealthCheckSpec>,
    /// The proxy watches answers.
    pub outlier_detection: Option<OutlierSpec>,
}

/// An active HTTP health check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheckSpec {
    /// Path asked for; every cluster's service must answer it with 200.
    #[schemars(required)]
    pub path: Option<String>,
    /// Time between checks. Default: 1s.
    #[schemars(regex(pattern = DURATION))]
    pub interval: Option<String>,
    /// Time one check may take. Default: 1s.
    #[schemars(regex(pattern = DURATION))]
    pub timeout: Option<String>,
    /// Failures in a row before a host is out. Default: 2. A status other than 200 counts at once.
    #[schemars(range(min = 1))]
    pub unhealthy_threshold: Option<u32>,
    /// Passes in a row before a host is back. Default: 2, or what failback.stableFor needs.
    #[schemars(range(min = 1))]
    pub healthy_threshold: Option<u32>,
    /// Time between checks while no traffic has ever flowed. Default: the interval. Envoy's own default of 60s
    /// would hide the first loss for a minute.
    #[schemars(regex(pattern = DURATION))]
    pub no_traffic_interval: Option<String>,
}

/// Passive detection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutlierSpec {
    /// 5xx answers in a row before a host is ejected. Default: 5.
    #[serde(rename = "consecutive5xx")]
    #[schemars(range(min = 1))]
    pub consecutive_5xx: Option<u32>,
    /// Time between sweeps that let hosts back in. Default: 10s.
    #[schemars(regex(pattern = DURATION))]
    pub interval: Option<String>,
    /// Time the first ejection lasts. Default: 30s.
    #[schemars(regex(pattern = DURATION))]
    pub base_ejection_time: Option<String>,
    /// Share of hosts that may be ejected, percent. Default: 100. Envoy's own default of 10 ejects nothing where
    /// there are fewer than 10 hosts.
    #[schemars(range(max = 100))]
    pub max_ejection_percent: Option<u8>,
}

/// Retries of client requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetriesSpec {
    /// Retries after the first attempt; 0 turns them off. Default: 2.
    #[schemars(range(max = 10))]
    pub attempts: Option<u32>,
    /// Time one attempt may take. Default: the route's timeout shared by all attempts.
    #[schemars(regex(pattern = DURATION))]
    pub per_try_timeout: Option<String>,
    /// Your word that every request may be sent twice. Default: false, and then only GET, HEAD, OPTIONS and TRACE
    /// are ever repeated after they were sent.
    pub idempotent: Option<bool>,
}

/// Guard against coming back too early.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailbackSpec {
    /// How long the primary must answer well before it serves again.
    #[schemars(regex(pattern = DURATION))]
    pub stable_for: Option<String>,
}

/// The route at the edge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteSpec {
    /// Host names. Default: `*`, all.
    pub hosts: Option<Vec<String>>,
    /// Path prefix. Default: /
    pub prefix: Option<String>,
    /// Time a whole request may take, retries included. Default: 15s.
    #[schemars(regex(pattern = DURATION))]
    pub timeout: Option<String>,
}

/// What a failover compiles to.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum TargetSpec {
    /// failctl chooses from what runs on the primary.
    #[serde(rename = "auto")]
    Auto,
    /// Gloo Federation's FailoverScheme.
    #[serde(rename = "glooFederation")]
    GlooFederation,
    /// Upstream.failover: Gloo Enterprise without Federation.
    #[serde(rename = "glooUpstream")]
    GlooUpstream,
    /// Istio with an aggregate cluster: failover between services of a mesh.
    #[serde(rename = "istioAggregate")]
    IstioAggregate,
    /// Istio, transparently: other clusters join the endpoints of the Service's own name, at lower priorities.
    #[serde(rename = "istioLocality")]
    IstioLocality,
}
