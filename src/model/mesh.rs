//! How things are called in a mesh of several clusters: hosts, Envoy's clusters, SNI and identities. Whoever writes
//! mesh objects and whoever reads them take the names from here.
//! Istio: `pilot/pkg/model/service.go` (BuildSubsetKey, BuildDNSSrvSubsetKey), `pkg/spiffe`; federated hosts: Service
//! Mesh Hub's federation.

use sha2::{Digest, Sha256};

use super::failover::ServiceRef;
use super::name::ClusterName;

/// Istio's trust domain where nobody gave another.
pub const TRUST_DOMAIN: &str = "cluster.local";
/// Kubernetes' DNS domain where nobody gave another.
pub const CLUSTER_DOMAIN: &str = "cluster.local";
/// The port of east-west gateways that pass mutual TLS through by SNI.
pub const PASSTHROUGH_PORT: u16 = 15443;
/// The label by which Istio's east-west gateway is selected.
pub const EAST_WEST: (&str, &str) = ("istio", "eastwestgateway");

/// The host of a Service in its own cluster.
pub fn local_host(namespace: &str, service: &str, domain: &str) -> String {
    format!("{service}.{namespace}.svc.{domain}")
}

/// The host under which other clusters of the fleet reach a cluster's Service.
pub fn federated_host(cluster: &ClusterName, namespace: &str, service: &str) -> String {
    format!("{service}.{namespace}.svc.{cluster}.global")
}

/// The name of the Gateway object that lets a host through: its labels, joined by dashes. Istio refuses dots in it, and more
/// than a DNS label holds (`ValidateGateway`); a longer one is cut and told apart by its hash.
pub fn gateway_name(host: &str) -> String {
    const LONGEST: usize = 63;
    let name = host.replace('.', "-");
    if name.len() <= LONGEST {
        return name;
    }
    let hash = hex::encode(&Sha256::digest(host.as_bytes())[..4]);
    format!("{}-{hash}", name[..LONGEST - 9].trim_end_matches('-'))
}

/// The host of a failover that names none: `NAME.NAMESPACE.global`.
pub fn failover_host(name: &str, service: &ServiceRef) -> String {
    format!("{name}.{}.global", service.namespace)
}

/// The host of a version that falls back to another: `VERSION.FAILOVER.NAMESPACE.global`.
pub fn version_host(version: &str, failover: &str, namespace: &str) -> String {
    format!("{version}.{failover}.{namespace}.global")
}

/// The name of Envoy's cluster for a subset of a host's port.
pub fn subset(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The name of Envoy's cluster for a host's port, all subsets.
pub fn outbound(port: u16, host: &str) -> String {
    format!("outbound|{port}||{host}")
}

/// The SNI by which an east-west gateway finds a host's port: the cluster's name in the form DNS allows.
pub fn sni(port: u16, host: &str) -> String {
    format!("outbound_.{port}_._.{host}")
}

/// A workload's identity.
pub fn spiffe(trust_domain: &str, namespace: &str, account: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}")
}

/// What is spoken on a port (istio/api, `networking/v1/gateway.proto`, Port.protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/2 in the clear.
    Http,
    /// TLS that is not looked into.
    Https,
    /// gRPC.
    Grpc,
    /// HTTP/2.
    Http2,
    /// MongoDB's.
    Mongo,
    /// Any.
    Tcp,
    /// TLS.
    Tls,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 7] = [
        Protocol::Http,
        Protocol::Https,
        Protocol::Grpc,
        Protocol::Http2,
        Protocol::Mongo,
        Protocol::Tcp,
        Protocol::Tls,
    ];

    /// From what a Service's port says of itself (`appProtocol`, else what its name begins with). Where it says nothing
    /// Istio looks at the bytes, and HTTP is what is routed (`pkg/config/kube/conversion.go`).
    pub fn spoken(word: &str) -> Self {
        match word {
            "grpc" => Protocol::Grpc,
            "http2" | "kubernetes.io/h2c" => Protocol::Http2,
            "https" => Protocol::Https,
            "tls" => Protocol::Tls,
            "mongo" => Protocol::Mongo,
            "tcp" | "mysql" | "redis" => Protocol::Tcp,
            _ => Protocol::Http,
        }
    }

    /// As Istio writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http => "HTTP",
            Protocol::Https => "HTTPS",
            Protocol::Grpc => "GRPC",
            Protocol::Http2 => "HTTP2",
            Protocol::Mongo => "MONGO",
            Protocol::Tcp => "TCP",
            Protocol::Tls => "TLS",
        }
    }

    /// The name of a port that speaks it.
    pub fn port_name(self) -> String {
        self.as_str().to_ascii_lowercase()
    }

    /// Whether routes can tell its requests apart.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Grpc | Protocol::Http2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_istio_and_service_mesh_hub() {
        let kind3 = ClusterName::new("kind3").expect("a name");
        let host = federated_host(&kind3, "default", "reviews");
        assert_eq!(host, "reviews.default.svc.kind3.global");
        assert_eq!(outbound(9080, &host), "outbound|9080||reviews.default.svc.kind3.global");
        assert_eq!(sni(9080, &host), "outbound_.9080_._.reviews.default.svc.kind3.global");
        assert_eq!(local_host("default", "reviews", CLUSTER_DOMAIN), "reviews.default.svc.cluster.local");
        assert_eq!(spiffe("kind3", "default", "bookinfo-reviews"), "spiffe://kind3/ns/default/sa/bookinfo-reviews");
    }

    #[test]
    fn a_gateway_is_called_by_a_dns_label_however_long_the_host_is() {
        assert_eq!(gateway_name("reviews.default.svc.kind3.global"), "reviews-default-svc-kind3-global");
        let long = |end: &str| gateway_name(&format!("{}.default.svc.{end}.global", "a".repeat(60)));
        assert!(long("kind2").len() <= 63 && long("kind2") != long("kind3"), "{}", long("kind2"));
    }
}
