//! The account that others use on a member, with what they need and no more.
//! What comes in: who will use it, and where. What goes out: manifests. May not know: tokens.

use serde::Serialize;
use serde_json::{Value, json};

use crate::manifest::{Gvk, Hold, MANAGED_BY, MEMBERSHIP_OWNER, Manifest, OWNER_LABEL, ObjectKey, Wave};
use crate::model::name::ClusterName;

/// Label on everything that belongs to the membership of a cluster: its name.
pub const MEMBER_LABEL: &str = "failctl.dev/member";
/// API version of roles and bindings.
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Who uses an account on a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Gloo Federation on the management cluster.
    Federation,
    /// istiod on the other clusters of the mesh.
    Mesh,
}

impl Purpose {
    /// All, in order.
    pub const ALL: [Purpose; 2] = [Purpose::Federation, Purpose::Mesh];

    /// The word in tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Federation => "federation",
            Purpose::Mesh => "mesh",
        }
    }
}

/// An account on a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The member.
    pub cluster: ClusterName,
    /// Who uses it.
    pub purpose: Purpose,
    /// Where it is: Gloo's namespace, or Istio's.
    pub namespace: String,
}

impl Account {
    /// Its name: for Federation the cluster's, as `glooctl cluster register` and skv2 have it.
    pub fn name(&self) -> String {
        match self.purpose {
            Purpose::Federation => self.cluster.to_string(),
            Purpose::Mesh => format!("istio-reader-{}", self.cluster),
        }
    }

    /// The name of its roles and bindings. Not glooctl's `gloo-federation-controller`, which all registrations of a
    /// cluster share, so that removing one of them takes the others' powers away.
    pub fn role(&self) -> String {
        match self.purpose {
            Purpose::Federation => format!("gloo-federation-{}", self.cluster),
            Purpose::Mesh => format!("istio-reader-{}", self.cluster),
        }
    }

    /// The account, its roles and its bindings.
    pub fn manifests(&self) -> Vec<Manifest> {
        let role = self.role();
        let subject = json!([{"kind": "ServiceAccount", "name": self.name(), "namespace": self.namespace}]);
        let to = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role});
        let namespace = Some(self.namespace.as_str());
        let mut all = vec![self.made("v1", "ServiceAccount", namespace, &self.name(), json!({}))];
        if let Some(rules) = self.purpose.local_rules() {
            all.push(self.made(RBAC, "Role", namespace, &role, json!({"rules": rules})));
            let binding = json!({"roleRef": to("Role"), "subjects": subject});
            all.push(self.made(RBAC, "RoleBinding", namespace, &role, binding));
        }
        all.push(self.made(RBAC, "ClusterRole", None, &role, json!({"rules": self.purpose.rules()})));
        let binding = json!({"roleRef": to("ClusterRole"), "subjects": subject});
        all.push(self.made(RBAC, "ClusterRoleBinding", None, &role, binding));
        all
    }

    /// Its namespace, for a cluster that lacks it.
    pub fn namespace_manifest(&self) -> Manifest {
        self.made("v1", "Namespace", None, &self.namespace, json!({}))
    }

    fn made(&self, version: &str, kind: &str, namespace: Option<&str>, name: &str, rest: Value) -> Manifest {
        let mut metadata = json!({
            "name": name,
            "labels": {MANAGED_BY.0: MANAGED_BY.1, OWNER_LABEL: MEMBERSHIP_OWNER, MEMBER_LABEL: self.cluster.as_str()},
        });
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        let mut body = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
        rest.as_object().into_iter().flatten().for_each(|(k, v)| body[k] = v.clone());
        let key = ObjectKey {
            cluster: self.cluster.clone(),
            gvk: Gvk::new(version, kind),
            namespace: namespace.map(str::to_string),
            name: name.to_string(),
        };
        Manifest { key, body, hold: Hold::Own, wave: Wave::Foundations }
    }
}

impl Purpose {
    /// What the account may do everywhere on the member.
    pub fn rules(self) -> Value {
        let look = json!(["get", "list", "watch"]);
        match self {
            // What Federation works with (Gloo's groups), and what it reads to find gateways. glooctl gives `*` on
            // the former; deleting collections, binding and escalating are no part of Federation's work.
            // Secrets are not in it: certificates are none of Federation's business.
            Purpose::Federation => json!([
                {"apiGroups": ["gloo.solo.io", "gateway.solo.io", "enterprise.gloo.solo.io", "graphql.gloo.solo.io",
                    "ratelimit.solo.io"], "resources": ["*"],
                    "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
                {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": look},
                {"apiGroups": [""], "resources": ["pods", "nodes", "services"], "verbs": look},
            ]),
            // Istio's own istio-reader-clusterrole without the right to create ServiceExports, which only its
            // multi-cluster-services option uses. istiod reads Secrets for gateways' credentials and does not start
            // a remote cluster's watches without them.
            Purpose::Mesh => json!([
                {"apiGroups": [""], "resources": ["endpoints", "pods", "services", "nodes", "replicationcontrollers",
                    "namespaces", "secrets", "configmaps"], "verbs": look},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look},
                {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": look},
                {"apiGroups": ["config.istio.io", "security.istio.io", "networking.istio.io",
                    "authentication.istio.io", "rbac.istio.io", "telemetry.istio.io", "extensions.istio.io"],
                    "resources": ["*"], "verbs": look},
                {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gateways"], "verbs": look},
                {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": look},
                {"apiGroups": ["multicluster.x-k8s.io"], "resources": ["serviceexports", "serviceimports"],
                    "verbs": look},
                {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
                {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
            ]),
        }
    }

    /// What it may do in its own namespace besides.
    fn local_rules(self) -> Option<Value> {
        match self {
            // As glooctl has it: Federation asks Gloo's own endpoints through the API server.
            Purpose::Federation => {
                Some(json!([{"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}]))
            }
            Purpose::Mesh => None,
        }
    }

    /// What a good credential is allowed: verb, group, resource.
    pub fn allowed(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Purpose::Federation => &[
                ("list", "gloo.solo.io", "upstreams"),
                ("patch", "gloo.solo.io", "upstreams"),
                ("list", "", "services"),
            ],
            Purpose::Mesh => {
                &[("list", "", "services"), ("watch", "discovery.k8s.io", "endpointslices"), ("list", "", "secrets")]
            }
        }
    }

    /// What a credential with no more than it needs is refused.
    pub fn refused(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Purpose::Federation => &[
                ("list", "", "secrets"),
                ("create", "", "pods"),
                ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
            ],
            Purpose::Mesh => &[
                ("update", "", "secrets"),
                ("create", "", "pods"),
                ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
            ],
        }
    }
}
