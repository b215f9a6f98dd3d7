//! The mesh's own settings: ConfigMap `istio`, key `mesh`, a YAML text. What comes in: a world. What goes out: settings,
//! Istio's defaults where it says nothing.

use serde_json::Value;

use super::locality::Setting;
use crate::manifest::{ObjectKey, World};
use crate::model::name::ClusterName;
use crate::routing::read::{At, Log};
use crate::yaml;

/// Where Istio is installed when nothing says otherwise.
pub const ROOT_NAMESPACE: &str = "istio-system";
/// Name of the ConfigMap.
pub const NAME: &str = "istio";
/// Its key.
pub const KEY: &str = "mesh";

/// What this room reads of MeshConfig.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshConfig {
    /// The ConfigMap; there may be none.
    pub object: Option<ObjectKey>,
    /// Rules here count for every namespace.
    pub root_namespace: String,
    /// Where Istio is installed.
    pub namespace: String,
    /// What identities of this cluster begin with.
    pub trust_domain: String,
    /// Other trust domains whose identities are let in.
    pub aliases: Vec<String>,
    /// The port where sidecars are an HTTP proxy for their application; none is off.
    pub http_proxy_port: Option<u16>,
    /// Locality failover for every host with outlier detection.
    pub locality: Setting,
    /// Sidecars are spoken to by mTLS unless a rule says otherwise.
    pub auto_mtls: bool,
}

impl MeshConfig {
    /// Reads it; what is wrong is noted.
    pub fn read(world: &World, cluster: &ClusterName, log: &Log) -> MeshConfig {
        let maps = || world.all(cluster.as_str(), "", "ConfigMap").filter(|(k, _)| k.name == NAME);
        let found = maps().find(|(k, _)| k.namespace.as_deref() == Some(ROOT_NAMESPACE));
        let found = found.or_else(|| maps().find(|(_, body)| body.pointer("/data/mesh").is_some()));
        let Some((object, body)) = found else { return MeshConfig::default() };
        let namespace = object.namespace.clone().unwrap_or_else(|| ROOT_NAMESPACE.into());
        let plain = MeshConfig {
            object: Some(object.clone()),
            namespace: namespace.clone(),
            root_namespace: namespace,
            ..MeshConfig::default()
        };
        let Some(text) = body.get("data").and_then(|d| d.get(KEY)).and_then(Value::as_str) else { return plain };
        let parsed = match yaml::parse(text) {
            Ok(documents) => documents.into_iter().next().map(|d| d.value).unwrap_or_default(),
            Err(why) => {
                At::root(object, body, log)
                    .reject("FCT0558", format!("data.{KEY}: {why}; istiod would not start with it"));
                return plain;
            }
        };
        let at = At::root(object, &parsed, log);
        MeshConfig {
            root_namespace: at.get("rootNamespace").string().unwrap_or(plain.root_namespace),
            trust_domain: at.get("trustDomain").string().unwrap_or(plain.trust_domain),
            aliases: at.get("trustDomainAliases").strings(),
            http_proxy_port: at.get("proxyHttpPort").u32().filter(|p| *p > 0).and_then(|p| u16::try_from(p).ok()),
            locality: Setting::of(&at).unwrap_or_default(),
            auto_mtls: at.get("enableAutoMtls").bool().unwrap_or(true),
            object: plain.object,
            namespace: plain.namespace,
        }
    }

    /// Every trust domain whose identities the inbound side lets in: its own first.
    pub fn trusted(&self) -> Vec<String> {
        let mut all = vec![self.trust_domain.clone()];
        all.extend(self.aliases.iter().filter(|a| **a != self.trust_domain).cloned());
        all
    }
}

impl Default for MeshConfig {
    /// Istio's defaults.
    fn default() -> Self {
        MeshConfig {
            object: None,
            root_namespace: ROOT_NAMESPACE.into(),
            namespace: ROOT_NAMESPACE.into(),
            trust_domain: "cluster.local".into(),
            aliases: Vec::new(),
            http_proxy_port: None,
            locality: Setting::default(),
            auto_mtls: true,
        }
    }
}
