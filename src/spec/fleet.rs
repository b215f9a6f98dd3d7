//! Fleet documents. What comes in: one document. What goes out: a fleet, or everything that is wrong with it.
//! May not know: failovers, targets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::Value;

use super::raw::{ClusterSpec, EditionSpec, FleetDoc, GatewaySpec, GlooSpec, IstioSpec, PlatformSpec, SwitchSpec};
use super::reading::Reading;
use super::shape::Spelling;
use super::text::Located;
use crate::model::fleet::{Cluster, Edition, Fleet, GatewayAddress, Gloo, Istio, Platform, Switch, Version};
use crate::model::mesh;
use crate::model::name::{ClusterName, Namespace, ObjectName};
use crate::model::problem::Problem;

/// The JSON Schema of fleet documents.
pub static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(FleetDoc).to_value());

/// Where Gloo is installed unless the document says otherwise (its Helm chart's default).
const GLOO_NAMESPACE: &str = "gloo-system";
/// Where Federation's resources live before Gloo 1.8.
const OLD_FEDERATION_NAMESPACE: &str = "gloo-fed";

/// Where Istio is installed unless the document says otherwise (istioctl's and the charts' default).
const ISTIO_NAMESPACE: &str = "istio-system";

/// Reads a fleet document. The fleet holds what could be read even when there are problems.
pub fn read(document: &Located, value: Value) -> (Fleet, Vec<Problem>) {
    let (mut r, doc) = Reading::begin::<FleetDoc>(document, &SCHEMA, value, Spelling::Exact);
    let mut fleet = Fleet { name: "fleet".into(), clusters: IndexMap::new() };
    let Some(doc) = doc else { return (fleet, r.problems) };
    if let Some(name) = doc.metadata.and_then(|m| m.name) {
        // A fleet's name becomes a part of the names in certificates.
        let name = r.word("/metadata/name", Some(name), |t| ClusterName::new(t));
        fleet.name = name.map_or(fleet.name, |n| n.to_string());
    }
    let written = doc.spec.and_then(|s| s.clusters);
    if written.as_ref().is_some_and(Vec::is_empty) {
        r.error("FCT0202", "/spec/clusters", "a fleet needs at least one cluster", None);
    }
    let mut contexts: BTreeMap<String, ClusterName> = BTreeMap::new();
    for (i, spec) in written.into_iter().flatten().enumerate() {
        let at = format!("/spec/clusters/{i}");
        let Some(cluster) = cluster(&mut r, &at, spec) else { continue };
        if let Some(other) = contexts.insert(cluster.context.clone(), cluster.name.clone())
            && other != cluster.name
        {
            let what = format!("`{}` and `{other}` have the same context `{}`", cluster.name, cluster.context);
            let hint = "two names for one cluster would fail over to itself; give each its own context";
            r.error("FCT0204", &format!("{at}/context"), what, Some(hint.into()));
        }
        if fleet.clusters.contains_key(&cluster.name) {
            r.error("FCT0203", &format!("{at}/name"), format!("the cluster `{}` is there twice", cluster.name), None);
            continue;
        }
        fleet.clusters.insert(cluster.name.clone(), cluster);
    }
    (fleet, r.problems)
}

fn cluster(r: &mut Reading<'_>, at: &str, spec: ClusterSpec) -> Option<Cluster> {
    let name = r.word(&format!("{at}/name"), spec.name, |t| ClusterName::new(t));
    let platform = match spec.platform {
        Some(PlatformSpec::NodePort) => Platform::NodePort,
        Some(PlatformSpec::LoadBalancer) | None => Platform::LoadBalancer,
    };
    let gloo = spec.gloo.and_then(|g| gloo(r, &format!("{at}/gloo"), g));
    let istio = spec.istio.and_then(|i| istio(r, &format!("{at}/istio"), i));
    let port = gloo.as_ref().map(|g| match platform {
        Platform::NodePort => g.failover_node_port,
        Platform::LoadBalancer => g.failover_port,
    });
    let gateway = spec.gateway.and_then(|g| gateway(r, &format!("{at}/gateway"), g, port));
    let mut namespaces = Vec::new();
    for (i, text) in spec.namespaces.into_iter().flatten().enumerate() {
        namespaces.extend(r.word(&format!("{at}/namespaces/{i}"), Some(text), |t| Namespace::new(t)));
    }
    let switch = spec.switch.and_then(|s| switch(r, &format!("{at}/switch"), s));
    let mut said = |field: &str, text: Option<String>| {
        let text = text.filter(|t| !t.trim().is_empty() || refuse_empty(r, &format!("{at}/{field}"), field));
        text.map(|t| t.trim().to_string())
    };
    let context = said("context", spec.context);
    let (region, zone) = (said("region", spec.region), said("zone", spec.zone));
    let (network, trust_domain) = (said("network", spec.network), said("trustDomain", spec.trust_domain));
    let name = name?;
    Some(Cluster {
        context: context.unwrap_or_else(|| name.to_string()),
        name,
        region,
        zone,
        network,
        gloo,
        istio,
        gateway,
        trust_domain,
        namespaces,
        platform,
        switch,
    })
}

fn refuse_empty(r: &mut Reading<'_>, pointer: &str, field: &str) -> bool {
    r.error("FCT0108", pointer, format!("`{field}` must not be empty"), None);
    false
}

fn gloo(r: &mut Reading<'_>, at: &str, spec: GlooSpec) -> Option<Gloo> {
    let version = r.word(&format!("{at}/version"), spec.version, Version::parse);
    let namespace = spec.namespace.or_else(|| Some(GLOO_NAMESPACE.into()));
    let namespace = r.word(&format!("{at}/namespace"), namespace, |t| Namespace::new(t));
    let federation = spec.federation.map(|f| {
        let old = version.as_ref().is_some_and(|v| !v.at_least(1, 8, 0));
        let default = if old { OLD_FEDERATION_NAMESPACE } else { GLOO_NAMESPACE };
        let text = f.namespace.or_else(|| Some(default.into()));
        r.word(&format!("{at}/federation/namespace"), text, |t| Namespace::new(t))
    });
    let node_port = spec.failover_node_port.unwrap_or(32000);
    if !(30000..=32767).contains(&node_port) {
        let hint = "Kubernetes gives NodePorts from 30000 to 32767 unless its API server is told otherwise";
        let at = format!("{at}/failoverNodePort");
        r.warning("FCT0205", &at, format!("`failoverNodePort` is {node_port}"), Some(hint.into()));
    }
    Some(Gloo {
        edition: match spec.edition? {
            EditionSpec::Enterprise => Edition::Enterprise,
            EditionSpec::OpenSource => Edition::OpenSource,
        },
        version: version?,
        namespace: namespace?,
        federation: match federation {
            None => None,
            Some(namespace) => Some(namespace?),
        },
        failover_port: spec.failover_port.unwrap_or(15443),
        failover_node_port: node_port,
    })
}

fn istio(r: &mut Reading<'_>, at: &str, spec: IstioSpec) -> Option<Istio> {
    let version = r.word(&format!("{at}/version"), spec.version, Version::parse);
    let namespace = spec.namespace.or_else(|| Some(ISTIO_NAMESPACE.into()));
    let namespace = r.word(&format!("{at}/namespace"), namespace, |t| Namespace::new(t));
    let domain = spec.cluster_domain.or_else(|| Some(mesh::CLUSTER_DOMAIN.into()));
    let cluster_domain = r.word(&format!("{at}/clusterDomain"), domain, |t| ObjectName::new(t));
    let east_west = spec.east_west_gateway.map(|g| {
        let host = r.word(&format!("{at}/eastWestGateway/host"), g.host, host)?;
        Some(GatewayAddress { host, port: g.port.unwrap_or(mesh::PASSTHROUGH_PORT) })
    });
    Some(Istio {
        version: version?,
        namespace: namespace?,
        east_west: match east_west {
            None => None,
            Some(address) => Some(address?),
        },
        cluster_domain: cluster_domain?.to_string(),
    })
}

fn gateway(r: &mut Reading<'_>, at: &str, spec: GatewaySpec, default: Option<u16>) -> Option<GatewayAddress> {
    let host = r.word(&format!("{at}/host"), spec.host, host)?;
    let port = spec.port.or(default);
    if port.is_none() {
        let hint = "a default port is known only where the cluster has `gloo`";
        r.error("FCT0104", at, "`port` is missing", Some(hint.into()));
    }
    Some(GatewayAddress { host, port: port? })
}

/// An IP address or a DNS name.
fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.into());
    }
    let label = |l: &str| {
        let inner = l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        !l.is_empty() && l.len() <= 63 && inner && !l.starts_with('-') && !l.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let numbers = name.split('.').all(|l| l.chars().all(|c| c.is_ascii_digit()));
    if name.len() <= 253 && name.split('.').all(label) && !numbers {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{text}` is neither an IP address nor a DNS name; the port has its own field"))
}

fn switch(r: &mut Reading<'_>, at: &str, spec: SwitchSpec) -> Option<Switch> {
    let mut argv = |field: &str, words: Option<Vec<String>>| {
        let words = words?;
        let pointer = format!("{at}/{field}");
        // A first word that was no text has been reported as that.
        let reported = words.is_empty() && r.document.place.nearest(&pointer).item(0).is_some();
        if !reported && words.first().is_none_or(|w| w.trim().is_empty()) {
            r.error("FCT0206", &pointer, format!("`{field}` names no program"), None);
        }
        Some(words)
    };
    let workloads_off = argv("workloadsOff", spec.workloads_off);
    let all_off = argv("allOff", spec.all_off);
    let control_plane_off = argv("controlPlaneOff", spec.control_plane_off);
    let on = argv("on", spec.on);
    Some(Switch { workloads_off: workloads_off?, all_off: all_off?, control_plane_off, on: on? })
}
