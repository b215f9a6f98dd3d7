//! VirtualMesh: meshes that trust one root. What failctl can make of it is said; what it cannot is an error, not a wish
//! that comes to nothing. May not know: certificates.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::failover_service::meshes;
use super::smh::RefSpec;
use crate::model::fleet::Fleet;
use crate::model::problem::Problem;
use crate::model::smh::{Reference, Root, VirtualMesh};
use crate::spec::reading::Reading;
use crate::spec::shape::Spelling;
use crate::spec::text::Located;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Doc).to_value());

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Doc {
    /// The meshes, and how they trust each other.
    #[schemars(required)]
    spec: Option<Spec>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// The meshes.
    #[schemars(required)]
    meshes: Option<Vec<RefSpec>>,
    /// Mutual TLS between them.
    mtls_config: Option<MtlsSpec>,
    /// Hosts for each other's Services.
    federation: Option<FederationSpec>,
    /// Whether everybody may call everybody.
    global_access_policy: Option<AccessSpec>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AccessSpec {
    /// As each mesh has it.
    MeshDefault,
    /// Nobody unless a policy says so.
    Enabled,
    /// Everybody.
    Disabled,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MtlsSpec {
    /// One root for all.
    shared: Option<SharedSpec>,
    /// Each its own root.
    limited: Option<Value>,
    /// Restart Pods when their mesh gets another root.
    auto_restart_pods: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SharedSpec {
    /// The root.
    root_certificate_authority: Option<RootSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RootSpec {
    /// It is made.
    generated: Option<GeneratedSpec>,
    /// It is given.
    secret: Option<RefSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GeneratedSpec {
    /// Days it lasts.
    #[schemars(range(min = 1))]
    ttl_days: Option<u32>,
    /// Bits of its key, whatever the field's name says.
    #[schemars(range(min = 2048, max = 8192))]
    rsa_key_size_bytes: Option<u32>,
    /// Organisation.
    org_name: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FederationSpec {
    /// Every Service has a host in every mesh.
    #[expect(dead_code, reason = "its shape is checked; Service Mesh Hub does not read it either")]
    permissive: Option<Value>,
    /// Pods reach each other without gateways.
    flat_network: Option<bool>,
    /// Suffix of federated hosts.
    hostname_suffix: Option<String>,
}

/// Reads a VirtualMesh.
pub fn read(
    document: &Located,
    value: Value,
    reference: Reference,
    fleet: Option<&Fleet>,
) -> (Option<VirtualMesh>, Vec<Problem>) {
    let (mut r, doc) = Reading::begin::<Doc>(document, &SCHEMA, value, Spelling::Proto);
    let Some(spec) = doc.and_then(|d| d.spec) else { return (None, r.problems) };
    let clusters = meshes(&mut r, spec.meshes, fleet);
    let restart = spec.mtls_config.as_ref().and_then(|m| m.auto_restart_pods).unwrap_or(false);
    let root = root(&mut r, spec.mtls_config.unwrap_or_default(), &reference);
    let federation = spec.federation.unwrap_or_default();
    let mut refuse = |at: &str, what: &str, hint: &str| r.error("FCT0361", at, what, Some(hint.into()));
    if federation.flat_network == Some(true) {
        let what = "failctl leads from cluster to cluster through east-west gateways, not from Pod to Pod";
        refuse("/spec/federation/flatNetwork", what, "leave flatNetwork out");
    }
    if federation.hostname_suffix.as_deref().is_some_and(|s| s != "global") {
        refuse("/spec/federation/hostnameSuffix", "federated hosts end in `global` here", "leave hostnameSuffix out");
    }
    if spec.global_access_policy == Some(AccessSpec::Enabled) {
        let what = "failctl writes no access policies, so ENABLED would come to nothing";
        refuse("/spec/globalAccessPolicy", what, "leave it out, and write AuthorizationPolicies of your own");
    }
    let wrong = r.problems.iter().any(|p| p.severity == crate::model::problem::Severity::Error);
    let whole = move || Some(VirtualMesh { reference, clusters: clusters?, root: root?, restart });
    (if wrong { None } else { whole() }, r.problems)
}

fn root(r: &mut Reading<'_>, mtls: MtlsSpec, own: &Reference) -> Option<Root> {
    const AT: &str = "/spec/mtlsConfig";
    if mtls.limited.is_some() {
        let what = "`limited` trust was never implemented: meshes with roots of their own cannot talk";
        r.error(
            "FCT0361",
            &format!("{AT}/limited"),
            what,
            Some("write shared: {rootCertificateAuthority: {generated: {}}}".into()),
        );
        return None;
    }
    // v0.7 crashed without a root; since v0.8 it is generated.
    let spec = mtls.shared.unwrap_or_default().root_certificate_authority.unwrap_or_default();
    let at = format!("{AT}/shared/rootCertificateAuthority");
    match (spec.generated, spec.secret) {
        (Some(_), Some(_)) => {
            let what = "a root is either generated or given as a Secret";
            r.error("FCT0362", &at, what, Some("leave one of the two out".into()));
            None
        }
        (_, Some(secret)) => secret.read(r, &format!("{at}/secret")).map(Root::Secret),
        (generated, None) => {
            let g = generated.unwrap_or_default();
            let organisation = g.org_name.unwrap_or_else(|| own.namespace.to_string());
            Some(Root::Generated(g.ttl_days.unwrap_or(365), g.rsa_key_size_bytes.unwrap_or(4096), organisation))
        }
    }
}
