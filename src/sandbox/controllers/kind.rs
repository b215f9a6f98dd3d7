//! The kinds that the controllers read and write, with what an API path needs to know of each.
//! May not know: clients in use, controllers.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $group:literal $version:literal $plural:literal $scope:ident),* $(,)?) => {
        /// A kind that a controller knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            fn facts(self) -> (&'static str, &'static str, &'static str, &'static str, bool) {
                match self { $(Kind::$kind => ($group, $version, stringify!($kind), $plural, kinds!(@ $scope))),* }
            }
        }
    };
    (@ namespaced) => { true };
    (@ cluster) => { false };
}

kinds! {
    /// Namespace.
    Namespace: "" "v1" "namespaces" cluster,
    /// Node.
    Node: "" "v1" "nodes" cluster,
    /// Pod.
    Pod: "" "v1" "pods" namespaced,
    /// Service.
    Service: "" "v1" "services" namespaced,
    /// ServiceAccount.
    ServiceAccount: "" "v1" "serviceaccounts" namespaced,
    /// Secret.
    Secret: "" "v1" "secrets" namespaced,
    /// ConfigMap.
    ConfigMap: "" "v1" "configmaps" namespaced,
    /// Deployment.
    Deployment: "apps" "v1" "deployments" namespaced,
    /// ReplicaSet.
    ReplicaSet: "apps" "v1" "replicasets" namespaced,
    /// EndpointSlice.
    EndpointSlice: "discovery.k8s.io" "v1" "endpointslices" namespaced,
    /// Gloo's Upstream.
    Upstream: "gloo.solo.io" "v1" "upstreams" namespaced,
    /// Gloo Federation's FailoverScheme.
    FailoverScheme: "fed.solo.io" "v1" "failoverschemes" namespaced,
    /// Gloo Federation's GlooInstance.
    GlooInstance: "fed.solo.io" "v1" "glooinstances" namespaced,
    /// A registered cluster.
    KubernetesCluster: "multicluster.solo.io" "v1alpha1" "kubernetesclusters" namespaced,
    /// Service Mesh Hub's TrafficPolicy.
    TrafficPolicy: "networking.smh.solo.io" "v1alpha2" "trafficpolicies" namespaced,
    /// Service Mesh Hub's FailoverService.
    FailoverService: "networking.smh.solo.io" "v1alpha2" "failoverservices" namespaced,
    /// Service Mesh Hub's VirtualMesh.
    VirtualMesh: "networking.smh.solo.io" "v1alpha2" "virtualmeshes" namespaced,
    /// A mesh that Service Mesh Hub has discovered.
    Mesh: "discovery.smh.solo.io" "v1alpha2" "meshes" namespaced,
    /// A workload that Service Mesh Hub has discovered.
    Workload: "discovery.smh.solo.io" "v1alpha2" "workloads" namespaced,
    /// A Service that Service Mesh Hub has discovered.
    TrafficTarget: "discovery.smh.solo.io" "v1alpha2" "traffictargets" namespaced,
}

impl Kind {
    /// The kind of an object, when it is one of these. Any version of the group counts.
    pub fn of(object: &Value) -> Option<Kind> {
        Kind::named(object.get("apiVersion")?.as_str()?, object.get("kind")?.as_str()?)
    }

    /// By `apiVersion` and kind.
    pub fn named(api_version: &str, kind: &str) -> Option<Kind> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Kind::ALL.iter().copied().find(|k| k.facts().0 == group && k.facts().2 == kind)
    }

    /// The kind's name, for example `Pod`.
    pub fn name(self) -> &'static str {
        self.facts().2
    }

    /// `apiVersion`.
    pub fn api_version(self) -> String {
        let (group, version, ..) = self.facts();
        if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
    }

    /// Whether its objects live in namespaces.
    pub fn namespaced(self) -> bool {
        self.facts().4
    }

    /// What kube's client needs to find the collection.
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural, _) = self.facts();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }
}
