//! Registrations: a kubeconfig in the form its reader expects. What comes in: a member, its server, a credential.
//! What goes out: manifests. May not know: how the credential was made.
//! Gloo Federation knows a cluster by a Secret of type `solo.io/kubeconfig` named like it, and a `KubernetesCluster`
//! (skv2's register); istiod by a Secret labelled `istio/multiCluster=true` whose only key is the cluster's name
//! (istioctl create-remote-secret). Kubeconfigs carry a token and a CA inline: istiod refuses files and plugins.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::account::{Account, MEMBER_LABEL, Purpose};
use crate::manifest::{Gvk, Hold, MANAGED_BY, MEMBERSHIP_OWNER, Manifest, OWNER_LABEL, ObjectKey, Wave};
use crate::model::name::ClusterName;

/// The type of Gloo Federation's registrations.
pub const FEDERATION_TYPE: &str = "solo.io/kubeconfig";
/// The key in them.
pub const FEDERATION_KEY: &str = "kubeconfig";
/// The label of Istio's remote secrets.
pub const REMOTE_LABEL: (&str, &str) = ("istio/multiCluster", "true");
/// The annotation that names their cluster.
pub const REMOTE_CLUSTER: &str = "networking.istio.io/cluster";
/// When the credential inside ends, RFC 3339.
pub const EXPIRES: &str = "failctl.dev/expires";
/// When it was issued, RFC 3339.
pub const ISSUED: &str = "failctl.dev/issued";
/// The UID of the member's kube-system namespace: which cluster it is, whatever it is called.
pub const UID: &str = "failctl.dev/cluster-uid";
/// The account it is for, `namespace/name`.
pub const ACCOUNT: &str = "failctl.dev/account";

/// How a member's API server is reached by others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// URL.
    pub server: String,
    /// Its CA, PEM; none for a server with a publicly trusted certificate, or without TLS.
    pub ca: Option<String>,
    /// The name its certificate is verified for, where it is not the URL's host.
    pub tls_server_name: Option<String>,
    /// The proxy on the way.
    pub proxy_url: Option<String>,
    /// Whether its certificate is not verified. Taken over from the user's kubeconfig, never added.
    pub insecure: bool,
}

impl Endpoint {
    /// Whether the address leads nowhere but to the machine it is used on.
    pub fn is_loopback(&self) -> bool {
        let rest = self.server.split("://").nth(1).unwrap_or(&self.server);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A token with what is known about it. It has no `Debug`: a token is a secret.
#[derive(Clone)]
pub struct Credential {
    /// The bearer token.
    pub token: Zeroizing<String>,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Credential {
    /// How much of its life is left, percent.
    pub fn life_left(&self, now: Timestamp) -> i64 {
        let whole = (self.expires.as_second() - self.issued.as_second()).max(1);
        (self.expires.as_second() - now.as_second()).max(0) * 100 / whole
    }
}

/// Where a registration is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The cluster.
    pub cluster: ClusterName,
    /// The namespace.
    pub namespace: String,
    /// For whom.
    pub purpose: Purpose,
}

impl Place {
    /// The name of a member's Secret here.
    pub fn secret(&self, member: &ClusterName) -> String {
        match self.purpose {
            Purpose::Federation => member.to_string(),
            Purpose::Mesh => format!("istio-remote-secret-{member}"),
        }
    }

    /// The key of the kubeconfig in it.
    pub fn key<'a>(&self, member: &'a ClusterName) -> &'a str {
        match self.purpose {
            Purpose::Federation => FEDERATION_KEY,
            Purpose::Mesh => member.as_str(),
        }
    }
}

/// A kubeconfig of one cluster, one user and one context, all named after the cluster.
pub fn kubeconfig(member: &ClusterName, endpoint: &Endpoint, token: &str) -> Zeroizing<String> {
    let mut cluster = json!({"server": endpoint.server});
    if let Some(ca) = &endpoint.ca {
        cluster["certificate-authority-data"] = STANDARD.encode(ca).into();
    }
    for (field, value) in [("tls-server-name", &endpoint.tls_server_name), ("proxy-url", &endpoint.proxy_url)] {
        value.iter().for_each(|v| cluster[field] = v.as_str().into());
    }
    if endpoint.insecure {
        cluster["insecure-skip-tls-verify"] = true.into();
    }
    let name = member.as_str();
    let value = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    Zeroizing::new(crate::yaml::emit(&value))
}

/// The Secret that carries a credential, in the form its reader expects.
pub fn secret(place: &Place, account: &Account, uid: &str, endpoint: &Endpoint, credential: &Credential) -> Manifest {
    let member = &account.cluster;
    let text = kubeconfig(member, endpoint, &credential.token);
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": place.secret(member),
            "namespace": place.namespace,
            "labels": labels(member),
            "annotations": {
                EXPIRES: credential.expires.to_string(),
                ISSUED: credential.issued.to_string(),
                UID: uid,
                ACCOUNT: format!("{}/{}", account.namespace, account.name()),
            },
        },
        "type": if place.purpose == Purpose::Federation { FEDERATION_TYPE } else { "Opaque" },
        "data": {place.key(member): STANDARD.encode(text.as_bytes())},
    });
    if place.purpose == Purpose::Mesh {
        body["metadata"]["labels"][REMOTE_LABEL.0] = REMOTE_LABEL.1.into();
        body["metadata"]["annotations"][REMOTE_CLUSTER] = member.as_str().into();
    }
    let key = ObjectKey {
        cluster: place.cluster.clone(),
        gvk: Gvk::new("v1", "Secret"),
        namespace: Some(place.namespace.clone()),
        name: place.secret(member),
    };
    Manifest { key, body, hold: Hold::Own, wave: Wave::Secrets }
}

fn labels(member: &ClusterName) -> Value {
    json!({MANAGED_BY.0: MANAGED_BY.1, OWNER_LABEL: MEMBERSHIP_OWNER, MEMBER_LABEL: member.as_str()})
}

/// The group and version of `KubernetesCluster`.
pub const MULTICLUSTER: &str = "multicluster.solo.io/v1alpha1";

/// Gloo Federation's `KubernetesCluster`; its Secret has the same name.
pub fn kubernetes_cluster(place: &Place, member: &ClusterName, domain: &str) -> Manifest {
    let body = json!({
        "apiVersion": MULTICLUSTER,
        "kind": "KubernetesCluster",
        "metadata": {"name": member.as_str(), "namespace": place.namespace, "labels": labels(member)},
        "spec": {"secretName": place.secret(member), "clusterDomain": domain},
    });
    let key = ObjectKey {
        cluster: place.cluster.clone(),
        gvk: Gvk::new(MULTICLUSTER, "KubernetesCluster"),
        namespace: Some(place.namespace.clone()),
        name: member.to_string(),
    };
    Manifest { key, body, hold: Hold::Own, wave: Wave::Gateways }
}

/// What the status of a `KubernetesCluster` says: where the account is, and what it may do.
pub fn status(account: &Account) -> Value {
    json!({"namespace": account.namespace, "policyRules": account.purpose.rules()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_only_its_own_machine_reaches_is_told_from_others() {
        let loopback = |server: &str| Endpoint { server: server.into(), ..Endpoint::default() }.is_loopback();
        for server in
            ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443/path", "http://127.8.9.1"]
        {
            assert!(loopback(server), "{server}");
        }
        for server in [
            "https://10.0.0.1:6443",
            "https://west.example.com",
            "https://localhost.example.com",
            "https://[2001:db8::1]",
        ] {
            assert!(!loopback(server), "{server}");
        }
    }

    #[test]
    fn a_kubeconfig_is_named_after_its_cluster_and_never_stops_verifying_by_itself() {
        let member = ClusterName::new("west").expect("a name");
        let endpoint = Endpoint { server: "https://west:6443".into(), ca: Some("PEM".into()), ..Endpoint::default() };
        let text = kubeconfig(&member, &endpoint, "secret");
        let read = crate::yaml::parse(&text).expect("YAML").remove(0).value;
        assert_eq!(read["current-context"], "west");
        assert_eq!(
            read["clusters"][0]["cluster"],
            json!({"server": "https://west:6443", "certificate-authority-data": "UEVN"})
        );
        assert_eq!(read["users"][0], json!({"name": "west", "user": {"token": "secret"}}));
        assert_eq!(read["contexts"][0]["context"], json!({"cluster": "west", "user": "west"}));
    }
}
