//! TLS towards clients and towards upstreams. What comes in: PEM from secrets, or the fact that a proxy has an identity
//! of its own. What goes out: who proves what to whom.
//! Private keys are here because a proxy needs them; they have no `Debug`, are never serialised and are wiped on drop.

use std::fmt;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// Which Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A certificate chain and its private key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// Leaf first.
    pub chain: String,
    key: Zeroizing<String>,
}

impl Pem {
    /// The private key, PEM. For the proxy's own configuration and nothing else.
    pub fn private_key(&self) -> &str {
        &self.key
    }
}

/// What a proxy shows of itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// What a Secret holds.
    Pem(Pem),
    /// The certificate the mesh issues to this workload; the control plane hands it out and renews it.
    Workload,
}

impl Identity {
    /// From PEM texts.
    pub fn new(chain: impl Into<String>, key: impl Into<String>) -> Self {
        Identity::Pem(Pem { chain: chain.into(), key: Zeroizing::new(key.into()) })
    }

    /// The chain, where an object holds it.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Identity::Pem(pem) => Some(&pem.chain),
            Identity::Workload => None,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Identity::Pem(_) => "Identity { chain: .., key: <redacted> }",
            Identity::Workload => "Identity::Workload",
        })
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Identity::Pem(_) => "<redacted>",
            Identity::Workload => "workload",
        })
    }
}

/// Whose signature a peer's certificate must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A certificate, PEM.
    Pem(String),
    /// The root of the mesh, handed out with the workload's own certificate.
    Mesh,
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Root::Pem(pem) => pem,
            Root::Mesh => "mesh",
        })
    }
}

/// Allowed protocol versions, as Envoy names them (`TLSv1_2`); none is Envoy's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlsVersions {
    /// Lowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

/// How a listener proves itself, and whom it lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// The Secret the certificate is from; none is the workload's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// The certificate.
    pub identity: Identity,
    /// A client must show a certificate under this root; none lets everyone in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_root: Option<Root>,
    /// And that certificate must carry one of these names; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_names: Vec<String>,
    /// Or be a SPIFFE identity of one of these trust domains; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_trust_domains: Vec<String>,
    /// Serves only these SNI names; empty is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sni: Vec<String>,
    /// Application protocols offered.
    pub alpn: Vec<String>,
    /// Protocol versions.
    pub versions: TlsVersions,
}

/// How a proxy proves itself to an upstream, and whom it expects there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// The name it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Where the certificate is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// The certificate it shows, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The server must show a certificate under this root; none accepts every server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_root: Option<Root>,
    /// And that certificate must carry one of these names; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server_names: Vec<String>,
    /// Application protocols offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// Protocol versions.
    pub versions: TlsVersions,
}
