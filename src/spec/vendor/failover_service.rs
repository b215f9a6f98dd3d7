//! FailoverService (v0.7 to v0.12 of Service Mesh Hub and Gloo Mesh). Checked beyond what its own validation did: twice
//! the same backend, meshes that are not there. May not know: Services, policies.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::smh::{RefSpec, ServiceSpec, mesh};
use crate::model::fleet::Fleet;
use crate::model::mesh::Protocol;
use crate::model::name::ObjectName;
use crate::model::problem::Problem;
use crate::model::smh::{FailoverService, Reference};
use crate::spec::reading::Reading;
use crate::spec::shape::Spelling;
use crate::spec::text::{Located, meant};

/// The suffix that hosts must have, as Service Mesh Hub asks.
const SUFFIX: &str = ".global";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Doc).to_value());

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Doc {
    /// The host, and what stands behind it.
    #[schemars(required)]
    spec: Option<Spec>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// Host name, ending in .global.
    #[schemars(required)]
    hostname: Option<String>,
    /// Its port.
    #[schemars(required)]
    port: Option<PortSpec>,
    /// The meshes that see the host.
    #[schemars(required)]
    meshes: Option<Vec<RefSpec>>,
    /// The Services, the preferred first.
    #[schemars(required)]
    backing_services: Option<Vec<BackingSpec>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortSpec {
    /// Number.
    #[schemars(required, range(min = 1, max = 65535))]
    number: Option<u32>,
    /// http, https, grpc, http2, mongo, tcp or tls.
    #[schemars(required)]
    protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BackingSpec {
    /// A Kubernetes Service.
    #[schemars(required)]
    kube_service: Option<ServiceSpec>,
}

/// Reads a FailoverService.
pub fn read(
    document: &Located,
    value: Value,
    reference: Reference,
    fleet: Option<&Fleet>,
) -> (Option<FailoverService>, Vec<Problem>) {
    let (mut r, doc) = Reading::begin::<Doc>(document, &SCHEMA, value, Spelling::Proto);
    let Some(spec) = doc.and_then(|d| d.spec) else { return (None, r.problems) };
    let host = r.word("/spec/hostname", spec.hostname, host);
    let port = spec.port.as_ref().and_then(|p| p.number).and_then(|n| u16::try_from(n).ok());
    let protocol = spec.port.and_then(|p| p.protocol).and_then(|text| protocol(&mut r, &text));
    let clients = meshes(&mut r, spec.meshes, fleet);
    let mut backends = Vec::new();
    let mut seen = BTreeSet::new();
    if spec.backing_services.as_ref().is_some_and(Vec::is_empty) {
        r.error("FCT0202", "/spec/backingServices", "no Service stands behind the host", None);
    }
    for (i, backing) in spec.backing_services.into_iter().flatten().enumerate() {
        let at = format!("/spec/backingServices/{i}/kubeService");
        let Some(service) = backing.kube_service.and_then(|s| s.read(&mut r, &at, fleet)) else { continue };
        if !seen.insert(service.clone()) {
            r.error("FCT0208", &at, format!("{service} is behind the host twice"), None);
            continue;
        }
        backends.push(service);
    }
    let wrong = r.problems.iter().any(|p| p.severity == crate::model::problem::Severity::Error);
    let whole = move || {
        let (host, port, protocol) = (host?, port?, protocol?);
        Some(FailoverService { reference, host, port, protocol, clients: clients?, backends })
    };
    (if wrong { None } else { whole() }, r.problems)
}

/// The clusters of some meshes.
pub fn meshes(
    r: &mut Reading<'_>,
    specs: Option<Vec<RefSpec>>,
    fleet: Option<&Fleet>,
) -> Option<Vec<crate::model::name::ClusterName>> {
    let specs = specs?;
    if specs.is_empty() {
        r.error("FCT0202", "/spec/meshes", "`meshes` is empty", Some("name them: istiod-NAMESPACE-CLUSTER".into()));
    }
    let mut clusters = Vec::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let at = format!("/spec/meshes/{i}");
        let Some(cluster) = mesh(r, &at, spec, fleet) else { continue };
        if clusters.contains(&cluster) {
            r.error("FCT0208", &at, format!("the mesh of `{cluster}` is there twice"), None);
            continue;
        }
        clusters.push(cluster);
    }
    Some(clusters)
}

fn host(text: &str) -> Result<String, String> {
    ObjectName::new(text)?;
    match text.strip_suffix(SUFFIX) {
        Some(rest) if !rest.is_empty() => Ok(text.into()),
        _ => Err(format!("`{text}` does not end in `{SUFFIX}`; write for example shop.default.global")),
    }
}

fn protocol(r: &mut Reading<'_>, text: &str) -> Option<Protocol> {
    let found = Protocol::ALL.into_iter().find(|p| p.as_str().eq_ignore_ascii_case(text));
    if found.is_none() {
        let known: Vec<_> = Protocol::ALL.iter().map(|p| p.port_name()).collect();
        let hint = meant(text, known.iter().map(String::as_str));
        r.error("FCT0107", "/spec/port/protocol", format!("`{text}` is no protocol Istio knows"), Some(hint));
    }
    found
}
