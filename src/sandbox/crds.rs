//! The custom resources that Gloo, Gloo Federation and its cluster registration bring to a cluster.
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

/// One kind: group, version, kind, plural, short names, whether status is a subresource.
struct Definition(&'static str, &'static str, &'static str, &'static str, &'static [&'static str], bool);

const GLOO: &str = "gloo.solo.io";
const GATEWAY: &str = "gateway.solo.io";
const FEDERATION: &str = "fed.solo.io";
const FEDERATED_GLOO: &str = "fed.gloo.solo.io";
const FEDERATED_GATEWAY: &str = "fed.gateway.solo.io";
const MULTICLUSTER: &str = "multicluster.solo.io";

const DEFINITIONS: &[Definition] = &[
    Definition(GLOO, "v1", "Upstream", "upstreams", &["us", "gus"], false),
    Definition(GLOO, "v1", "UpstreamGroup", "upstreamgroups", &["ug", "gug"], false),
    Definition(GLOO, "v1", "Settings", "settings", &["st", "gst"], false),
    Definition(GLOO, "v1", "Proxy", "proxies", &["px", "gpx"], false),
    Definition(GATEWAY, "v1", "Gateway", "gateways", &["gw", "ggw"], false),
    Definition(GATEWAY, "v1", "VirtualService", "virtualservices", &["vs", "gvs"], false),
    Definition(GATEWAY, "v1", "RouteTable", "routetables", &["rt", "grt"], false),
    Definition(FEDERATION, "v1", "FailoverScheme", "failoverschemes", &[], true),
    Definition(FEDERATION, "v1", "GlooInstance", "glooinstances", &[], true),
    Definition(FEDERATED_GLOO, "v1", "FederatedUpstream", "federatedupstreams", &[], true),
    Definition(FEDERATED_GLOO, "v1", "FederatedUpstreamGroup", "federatedupstreamgroups", &[], true),
    Definition(FEDERATED_GLOO, "v1", "FederatedSettings", "federatedsettings", &[], true),
    Definition(FEDERATED_GATEWAY, "v1", "FederatedGateway", "federatedgateways", &[], true),
    Definition(FEDERATED_GATEWAY, "v1", "FederatedVirtualService", "federatedvirtualservices", &[], true),
    Definition(FEDERATED_GATEWAY, "v1", "FederatedRouteTable", "federatedroutetables", &[], true),
    Definition(MULTICLUSTER, "v1alpha1", "KubernetesCluster", "kubernetesclusters", &[], true),
];

/// Gloo's own kinds: on every cluster where Gloo runs.
pub fn gloo() -> Vec<CustomResourceDefinition> {
    DEFINITIONS.iter().filter(|d| [GLOO, GATEWAY].contains(&d.0)).map(Definition::body).collect()
}

/// Federation's kinds: on the management cluster.
pub fn federation() -> Vec<CustomResourceDefinition> {
    DEFINITIONS.iter().filter(|d| ![GLOO, GATEWAY].contains(&d.0)).map(Definition::body).collect()
}

impl Definition {
    fn body(&self) -> CustomResourceDefinition {
        let Definition(group, version, kind, plural, short, status) = self;
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
        let version = CustomResourceDefinitionVersion {
            name: (*version).into(),
            served: true,
            storage: true,
            schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }),
            subresources: status.then_some(subresources),
            ..CustomResourceDefinitionVersion::default()
        };
        CustomResourceDefinition {
            metadata: ObjectMeta { name: Some(format!("{plural}.{group}")), ..ObjectMeta::default() },
            spec: CustomResourceDefinitionSpec {
                group: (*group).into(),
                names,
                scope: "Namespaced".into(),
                versions: vec![version],
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
        let all: Vec<_> = gloo().into_iter().chain(federation()).collect();
        let names: std::collections::BTreeSet<_> = all.iter().filter_map(|c| c.metadata.name.clone()).collect();
        assert_eq!(names.len(), all.len());
        for definition in &all {
            let text = serde_json::to_value(definition).unwrap().to_string();
            assert!(text.contains(r#""x-kubernetes-preserve-unknown-fields":true"#), "{text}");
        }
    }
}
