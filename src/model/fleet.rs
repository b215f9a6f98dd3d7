//! The fleet: the clusters a user has, and what runs there.

use indexmap::IndexMap;

use super::name::{ClusterName, Namespace};

/// All clusters, in the order the user wrote them. The first cluster with federation manages it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Name of the fleet document; also names the root certificate.
    pub name: String,
    /// The clusters by name.
    pub clusters: IndexMap<ClusterName, Cluster>,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in the fleet.
    pub name: ClusterName,
    /// The kubeconfig context that reaches it.
    pub context: String,
    /// `topology.kubernetes.io/region` of its nodes.
    pub region: Option<String>,
    /// `topology.kubernetes.io/zone` of its nodes.
    pub zone: Option<String>,
    /// Istio network name.
    pub network: Option<String>,
    /// Gloo, if it runs there.
    pub gloo: Option<Gloo>,
    /// Istio, if it runs there.
    pub istio: Option<Istio>,
    /// Where other clusters reach its failover gateway, when discovery must not decide.
    pub gateway: Option<GatewayAddress>,
    /// SPIFFE trust domain.
    pub trust_domain: Option<String>,
    /// Namespaces failctl may look at; empty means all it needs.
    pub namespaces: Vec<Namespace>,
    /// How Services get an outside address.
    pub platform: Platform,
    /// Commands that cut this cluster off and bring it back, for drills.
    pub switch: Option<Switch>,
}

impl Cluster {
    /// The trust domain of the workloads' SPIFFE identities; Istio's own default where the fleet says nothing.
    pub fn trust_domain(&self) -> &str {
        self.trust_domain.as_deref().unwrap_or(super::mesh::TRUST_DOMAIN)
    }

    /// Its network in Istio's words: what the fleet says, else a network of its own, named like it.
    pub fn network(&self) -> &str {
        self.network.as_deref().unwrap_or(self.name.as_str())
    }
}

/// How a Service of type LoadBalancer is reached on this platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// The platform gives every LoadBalancer Service an address.
    #[default]
    LoadBalancer,
    /// Node address plus NodePort (kind).
    NodePort,
}

/// A drill's power switch: argument vectors, run as they are, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Workloads and API die, the edge survives.
    pub workloads_off: Vec<String>,
    /// Everything dies.
    pub all_off: Vec<String>,
    /// What controls the cluster dies, the API included; workloads run on. None: there is no such switch.
    pub control_plane_off: Option<Vec<String>>,
    /// Everything is back.
    pub on: Vec<String>,
}

/// Gloo Edge / Gloo Gateway with Gloo APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gloo {
    /// Enterprise can be the primary of a failover; open source can only be a target.
    pub edition: Edition,
    /// Version, for what a route can express.
    pub version: Version,
    /// Where Gloo is installed and where its Upstreams are.
    pub namespace: Namespace,
    /// The namespace of Federation's resources, if Federation runs here.
    pub federation: Option<Namespace>,
    /// Port of the failover listener. Default 15443.
    pub failover_port: u16,
    /// NodePort of the failover Service, where the platform needs one. Default 32000.
    pub failover_node_port: u16,
}

/// The edition of Gloo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Gloo Enterprise.
    Enterprise,
    /// Gloo open source: rejects `Upstream.failover`.
    OpenSource,
}

/// Istio on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Istio {
    /// Version.
    pub version: Version,
    /// Where istiod and the gateways run; Istio's root namespace. Default istio-system.
    pub namespace: Namespace,
    /// Where other clusters reach its east-west gateway, when discovery must not decide.
    pub east_west: Option<GatewayAddress>,
    /// The DNS domain of the cluster's Services. Default cluster.local.
    pub cluster_domain: String,
}

/// A semantic version without build data; pre-release text is kept and sorts before the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major, minor, patch.
    pub numbers: [u32; 3],
    /// `beta1` in `1.18.0-beta1`.
    pub pre: Option<String>,
}

impl Version {
    /// Reads `1.18.3`, `v1.18.3`, `1.18` or `1.18.0-beta1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a version; write for example 1.18.3");
        let body = text.strip_prefix('v').unwrap_or(text);
        let (numbers, pre) = match body.split_once('-') {
            Some((n, p)) if !p.is_empty() => (n, Some(p.to_string())),
            Some(_) => return Err(wrong()),
            None => (body, None),
        };
        let parts: Vec<u32> = numbers.split('.').map(|p| p.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
        match parts[..] {
            [a, b] => Ok(Version { numbers: [a, b, 0], pre }),
            [a, b, c] => Ok(Version { numbers: [a, b, c], pre }),
            _ => Err(wrong()),
        }
    }

    /// Whether this version is `major.minor.patch` or later. A pre-release of it is not.
    pub fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        let floor = [major, minor, patch];
        self.numbers > floor || (self.numbers == floor && self.pre.is_none())
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c] = self.numbers;
        write!(f, "{a}.{b}.{c}")?;
        self.pre.iter().try_for_each(|p| write!(f, "-{p}"))
    }
}

/// Where a gateway is reached from other clusters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayAddress {
    /// IP address or DNS name.
    pub host: String,
    /// Port.
    pub port: u16,
}
