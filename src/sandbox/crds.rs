//! The custom resources that Gloo, Gloo Federation, its cluster registration, Istio and Service Mesh Hub bring to a
//! cluster.
//! What comes in: nothing. What goes out: CustomResourceDefinitions.
//! May not know: clients, controllers.
//!
//! Names, versions and the absence of schemas are the vendor's: its own definitions of FailoverScheme accept any field,
//! and Gloo's kinds (`gloo.solo.io`, `gateway.solo.io`) keep their status as a plain field, without a subresource.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion, CustomResourceSubresourceStatus, CustomResourceSubresources,
    CustomResourceValidation, JSONSchemaProps,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// One kind: group, versions (the stored one first), kind, plural, short names, whether status is a subresource.
struct Definition(&'static str, &'static [&'static str], &'static str, &'static str, &'static [&'static str], bool);

const GLOO: &str = "gloo.solo.io";
const GATEWAY: &str = "gateway.solo.io";
const FEDERATION: &str = "fed.solo.io";
const FEDERATED_GLOO: &str = "fed.gloo.solo.io";
const FEDERATED_GATEWAY: &str = "fed.gateway.solo.io";
const MULTICLUSTER: &str = "multicluster.solo.io";
const HUB_NETWORKING: &str = "networking.smh.solo.io";
const HUB_DISCOVERY: &str = "discovery.smh.solo.io";
const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
/// The versions in which Istio serves most of its kinds.
const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];

const DEFINITIONS: &[Definition] = &[
    Definition(GLOO, &["v1"], "Upstream", "upstreams", &["us", "gus"], false),
    Definition(GLOO, &["v1"], "UpstreamGroup", "upstreamgroups", &["ug", "gug"], false),
    Definition(GLOO, &["v1"], "Settings", "settings", &["st", "gst"], false),
    Definition(GLOO, &["v1"], "Proxy", "proxies", &["px", "gpx"], false),
    Definition(GATEWAY, &["v1"], "Gateway", "gateways", &["gw", "ggw"], false),
    Definition(GATEWAY, &["v1"], "VirtualService", "virtualservices", &["vs", "gvs"], false),
    Definition(GATEWAY, &["v1"], "RouteTable", "routetables", &["rt", "grt"], false),
    Definition(FEDERATION, &["v1"], "FailoverScheme", "failoverschemes", &[], true),
    Definition(FEDERATION, &["v1"], "GlooInstance", "glooinstances", &[], true),
    Definition(FEDERATED_GLOO, &["v1"], "FederatedUpstream", "federatedupstreams", &[], true),
    Definition(FEDERATED_GLOO, &["v1"], "FederatedUpstreamGroup", "federatedupstreamgroups", &[], true),
    Definition(FEDERATED_GLOO, &["v1"], "FederatedSettings", "federatedsettings", &[], true),
    Definition(FEDERATED_GATEWAY, &["v1"], "FederatedGateway", "federatedgateways", &[], true),
    Definition(FEDERATED_GATEWAY, &["v1"], "FederatedVirtualService", "federatedvirtualservices", &[], true),
    Definition(FEDERATED_GATEWAY, &["v1"], "FederatedRouteTable", "federatedroutetables", &[], true),
    Definition(MULTICLUSTER, &["v1alpha1"], "KubernetesCluster", "kubernetesclusters", &[], true),
    Definition(NETWORKING, ISTIO, "VirtualService", "virtualservices", &["vs"], true),
    Definition(NETWORKING, ISTIO, "DestinationRule", "destinationrules", &["dr"], true),
    Definition(NETWORKING, ISTIO, "ServiceEntry", "serviceentries", &["se"], true),
    Definition(NETWORKING, ISTIO, "WorkloadEntry", "workloadentries", &["we"], true),
    Definition(NETWORKING, ISTIO, "Gateway", "gateways", &["gw"], true),
    Definition(NETWORKING, ISTIO, "Sidecar", "sidecars", &[], true),
    Definition(NETWORKING, &["v1alpha3"], "EnvoyFilter", "envoyfilters", &[], true),
    Definition(SECURITY, &["v1", "v1beta1"], "PeerAuthentication", "peerauthentications", &["pa"], true),
    Definition(SECURITY, &["v1", "v1beta1"], "AuthorizationPolicy", "authorizationpolicies", &["ap"], true),
    Definition(SECURITY, &["v1", "v1beta1"], "RequestAuthentication", "requestauthentications", &["ra"], true),
    Definition(HUB_NETWORKING, &["v1alpha2"], "TrafficPolicy", "trafficpolicies", &[], true),
    Definition(HUB_NETWORKING, &["v1alpha2"], "AccessPolicy", "accesspolicies", &[], true),
    Definition(HUB_NETWORKING, &["v1alpha2"], "VirtualMesh", "virtualmeshes", &[], true),
    Definition(HUB_NETWORKING, &["v1alpha2"], "FailoverService", "failoverservices", &[], true),
    Definition(HUB_DISCOVERY, &["v1alpha2"], "Mesh", "meshes", &[], true),
    Definition(HUB_DISCOVERY, &["v1alpha2"], "Workload", "workloads", &[], true),
    Definition(HUB_DISCOVERY, &["v1alpha2"], "TrafficTarget", "traffictargets", &[], true),
];

/// Istio's kinds: on every cluster of a mesh.
pub fn istio() -> Vec<CustomResourceDefinition> {
    DEFINITIONS.iter().filter(|d| [NETWORKING, SECURITY].contains(&d.0)).map(Definition::body).collect()
}

/// Gloo's own kinds: on every cluster where Gloo runs.
pub fn gloo() -> Vec<CustomResourceDefinition> {
    DEFINITIONS.iter().filter(|d| [GLOO, GATEWAY].contains(&d.0)).map(Definition::body).collect()
}

/// Federation's kinds: on the management cluster.
pub fn federation() -> Vec<CustomResourceDefinition> {
    let groups = [FEDERATION, FEDERATED_GLOO, FEDERATED_GATEWAY, MULTICLUSTER];
    DEFINITIONS.iter().filter(|d| groups.contains(&d.0)).map(Definition::body).collect()
}

/// Service Mesh Hub's kinds: on its management cluster.
pub fn hub() -> Vec<CustomResourceDefinition> {
    let groups = [HUB_NETWORKING, HUB_DISCOVERY, MULTICLUSTER];
    DEFINITIONS.iter().filter(|d| groups.contains(&d.0)).map(Definition::body).collect()
}

impl Definition {
    fn body(&self) -> CustomResourceDefinition {
        let Definition(group, versions, kind, plural, short, status) = self;
        let names = CustomResourceDefinitionNames {
            kind: (*kind).into(),
            list_kind: Some(format!("{kind}List")),
            plural: (*plural).into(),
            singular: Some(kind.to_lowercase()),
            short_names: (!short.is_empty()).then(|| short.iter().map(|s| (*s).to_string()).collect()),
            ..CustomResourceDefinitionNames::default()
        };
        let schema = JSONSchemaProps {
            type_: Some("object".into()),
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        };
        let subresources = CustomResourceSubresources {
            status: Some(CustomResourceSubresourceStatus(serde_json::json!({}))),
            scale: None,
        };
        let version = |(i, name): (usize, &&str)| CustomResourceDefinitionVersion {
            name: (*name).into(),
            served: true,
            storage: i == 0,
            schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema.clone()) }),
            subresources: status.then(|| subresources.clone()),
            ..CustomResourceDefinitionVersion::default()
        };
        CustomResourceDefinition {
            metadata: ObjectMeta { name: Some(format!("{plural}.{group}")), ..ObjectMeta::default() },
            spec: CustomResourceDefinitionSpec {
                group: (*group).into(),
                names,
                scope: "Namespaced".into(),
                versions: versions.iter().enumerate().map(version).collect(),
                ..CustomResourceDefinitionSpec::default()
            },
            status: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(all: &'a [CustomResourceDefinition], name: &str) -> &'a CustomResourceDefinition {
        all.iter().find(|c| c.metadata.name.as_deref() == Some(name)).expect(name)
    }

    #[test]
    fn an_upstream_keeps_its_status_as_a_plain_field_and_a_scheme_has_a_subresource() {
        let (gloo, federation) = (gloo(), federation());
        assert!(named(&gloo, "upstreams.gloo.solo.io").spec.versions[0].subresources.is_none());
        let scheme = &named(&federation, "failoverschemes.fed.solo.io").spec;
        assert!(scheme.versions[0].subresources.as_ref().is_some_and(|s| s.status.is_some()));
        assert_eq!(scheme.names.singular.as_deref(), Some("failoverscheme"));
    }

    #[test]
    fn every_definition_accepts_any_field_and_says_its_name_once() {
        let all: Vec<_> = gloo().into_iter().chain(federation()).chain(istio()).collect();
        let names: std::collections::BTreeSet<_> = all.iter().filter_map(|c| c.metadata.name.clone()).collect();
        assert_eq!(names.len(), all.len());
        for definition in &all {
            let text = serde_json::to_value(definition).unwrap().to_string();
            assert!(text.contains(r#""x-kubernetes-preserve-unknown-fields":true"#), "{text}");
        }
    }
}
