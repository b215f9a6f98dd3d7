//! What clusters have that a mesh must know of: Services with their selectors and ports, and whom their Pods run as.
//! What comes in: objects, given or observed. What goes out: answers, or why there is none.
//! May not know: how objects were found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::membership::registration::REMOTE_LABEL;
use crate::manifest::World;
use crate::model::name::ClusterName;

/// Kinds that say how Pods will look, and where in them their template stands.
const WORKLOADS: [(&str, &str, &str); 5] = [
    ("apps", "Deployment", "/spec/template"),
    ("apps", "StatefulSet", "/spec/template"),
    ("apps", "DaemonSet", "/spec/template"),
    ("apps", "ReplicaSet", "/spec/template"),
    ("", "Pod", ""),
];

/// Namespace and name.
pub type Name = (String, String);

/// What is known of all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    services: BTreeMap<ClusterName, BTreeMap<Name, Service>>,
    workloads: BTreeMap<ClusterName, BTreeMap<(&'static str, Name), Workload>>,
    namespaces: BTreeMap<ClusterName, BTreeMap<String, BTreeMap<String, String>>>,
    remotes: BTreeMap<ClusterName, BTreeSet<String>>,
}

/// A Kubernetes Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Labels by which it selects Pods.
    pub selector: BTreeMap<String, String>,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name; empty for the only one.
    pub name: String,
    /// Number.
    pub number: u16,
    /// Where it leads in the Pods.
    pub target: Target,
    /// Whether it is TCP.
    pub tcp: bool,
    /// `appProtocol`, else what the name begins with: how Istio tells what is spoken.
    pub speaks: String,
}

/// Where a Service's port leads in the Pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A number.
    Number(u16),
    /// A container port's name.
    Name(String),
}

/// What makes Pods, or a Pod itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Workload {
    labels: BTreeMap<String, String>,
    account: String,
    ports: BTreeMap<String, u16>,
    /// Environment of all its containers.
    environment: BTreeMap<String, String>,
    /// How many of its Pods are ready; of what is not written yet, how many there will be. Nothing where another
    /// workload counts them.
    ready: Option<u32>,
}

impl Facts {
    /// What objects say.
    pub fn of(world: &World) -> Self {
        let mut facts = Facts::default();
        for (cluster, objects) in &world.clusters {
            for (key, body) in &objects.by_key {
                let name = || (key.namespace.clone().unwrap_or_else(|| "default".into()), key.name.clone());
                let (group, kind) = (key.gvk.group.as_str(), key.gvk.kind.as_str());
                if (group, kind) == ("", "Service") {
                    facts.services.entry(cluster.clone()).or_default().insert(name(), service(body));
                } else if (group, kind) == ("", "Namespace") {
                    let labels = texts(body.pointer("/metadata/labels"));
                    facts.namespaces.entry(cluster.clone()).or_default().insert(key.name.clone(), labels);
                } else if (group, kind) == ("", "Secret") && is_remote(body) {
                    facts.remotes.entry(cluster.clone()).or_default().extend(keys(body));
                } else if let Some((_, kind, at)) = WORKLOADS.iter().find(|(g, k, _)| (*g, *k) == (group, kind)) {
                    let made = body.pointer(at).map(|t| Workload { ready: ready(kind, body), ..workload(t) });
                    let of = facts.workloads.entry(cluster.clone()).or_default();
                    of.extend(made.map(|w| ((*kind, name()), w)));
                }
            }
        }
        facts
    }

    /// These facts, and others that go before them where both speak of one object.
    pub fn with(&self, given: Facts) -> Facts {
        let mut all = self.clone();
        for (cluster, services) in given.services {
            all.services.entry(cluster).or_default().extend(services);
        }
        for (cluster, workloads) in given.workloads {
            all.workloads.entry(cluster).or_default().extend(workloads);
        }
        for (cluster, namespaces) in given.namespaces {
            all.namespaces.entry(cluster).or_default().extend(namespaces);
        }
        for (cluster, remotes) in given.remotes {
            all.remotes.entry(cluster).or_default().extend(remotes);
        }
        all
    }

    /// A Service.
    pub fn service(&self, cluster: &ClusterName, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(cluster)?.get(&(namespace.to_string(), name.to_string()))
    }

    /// All Services of a cluster.
    pub fn services(&self, cluster: &ClusterName) -> impl Iterator<Item = (&Name, &Service)> {
        self.services.get(cluster).into_iter().flatten()
    }

    /// The ServiceAccounts that a Service's Pods run as; none when nothing known is selected.
    pub fn accounts(&self, cluster: &ClusterName, namespace: &str, service: &Service) -> BTreeSet<String> {
        self.selected(cluster, namespace, service).map(|w| w.account.clone()).collect()
    }

    /// The same without what changes by itself: how many Pods are ready.
    pub fn lasting(mut self) -> Facts {
        self.workloads.values_mut().flat_map(BTreeMap::values_mut).for_each(|w| w.ready = None);
        self
    }

    /// How many Pods behind a Service are ready; nothing when nothing known is selected.
    pub fn ready(&self, cluster: &ClusterName, namespace: &str, service: &Service) -> Option<u32> {
        self.selected(cluster, namespace, service).filter_map(|w| w.ready).reduce(u32::saturating_add)
    }

    /// Whether something known makes Pods behind a Service that carry these labels too.
    pub fn runs(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        service: &Service,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let carries = |w: &Workload| labels.iter().all(|(k, v)| w.labels.get(k) == Some(v));
        self.selected(cluster, namespace, service).any(carries)
    }

    /// Values of a variable in the environment of Pods with a label, each once; nothing when no such Pods are known.
    pub fn environment(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        label: (&str, &str),
        variable: &str,
    ) -> Option<BTreeSet<Option<String>>> {
        let all = self.workloads.get(cluster)?.iter();
        let there =
            all.filter(|((_, (n, _)), w)| n == namespace && w.labels.get(label.0).is_some_and(|v| v == label.1));
        let values: BTreeSet<_> = there.map(|(_, w)| w.environment.get(variable).cloned()).collect();
        Some(values).filter(|v| !v.is_empty())
    }

    /// The labels of a namespace, when it is known.
    pub fn namespace(&self, cluster: &ClusterName, name: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(cluster)?.get(name)
    }

    /// Whether a cluster's mesh was given the API server of another, by a remote secret.
    pub fn reads(&self, cluster: &ClusterName, other: &ClusterName) -> bool {
        self.remotes.get(cluster).is_some_and(|all| all.contains(other.as_str()))
    }

    /// The numbers a port has in the Pods: one, or several where Pods differ, or none where a name is not known.
    pub fn target(&self, cluster: &ClusterName, namespace: &str, service: &Service, port: &Port) -> BTreeSet<u16> {
        match &port.target {
            Target::Number(number) => BTreeSet::from([*number]),
            Target::Name(name) => {
                self.selected(cluster, namespace, service).filter_map(|w| w.ports.get(name)).copied().collect()
            }
        }
    }

    fn selected<'a>(
        &'a self,
        cluster: &ClusterName,
        namespace: &'a str,
        service: &'a Service,
    ) -> impl Iterator<Item = &'a Workload> {
        let all = self.workloads.get(cluster).into_iter().flatten();
        let picked = |w: &Workload| {
            !service.selector.is_empty() && service.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v))
        };
        all.filter(move |((_, (n, _)), w)| n == namespace && picked(w)).map(|(_, w)| w)
    }
}

/// A Secret that gives istiod another cluster's API server: its keys are the clusters' names.
fn is_remote(body: &Value) -> bool {
    body.pointer("/metadata/labels").and_then(|l| l.get(REMOTE_LABEL.0)).is_some_and(|v| v == REMOTE_LABEL.1)
}

fn keys(body: &Value) -> impl Iterator<Item = String> {
    let maps = ["/data", "/stringData"].into_iter().filter_map(|p| body.pointer(p)?.as_object());
    maps.flat_map(|m| m.keys().cloned()).collect::<Vec<_>>().into_iter()
}

/// Pods of a workload that are ready. A ReplicaSet's, and those that another object owns, are counted with their owner.
fn ready(kind: &str, body: &Value) -> Option<u32> {
    let number = |path: &str| body.pointer(path).and_then(Value::as_u64).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let seen = body.get("status").and_then(Value::as_object).is_some_and(|s| !s.is_empty());
    let owned = body.pointer("/metadata/ownerReferences").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
    match kind {
        "Deployment" | "StatefulSet" if seen => Some(number("/status/readyReplicas").unwrap_or(0)),
        "Deployment" | "StatefulSet" => Some(number("/spec/replicas").unwrap_or(1)),
        "DaemonSet" if seen => Some(number("/status/numberReady").unwrap_or(0)),
        "Pod" if owned => None,
        "Pod" => {
            let conditions = body.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let ready = !seen || conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            Some(u32::from(ready))
        }
        _ => None,
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string()))).collect()
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|n| u16::try_from(n).ok())
}

fn service(body: &Value) -> Service {
    let ports = body.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let port = |port: &Value| {
        let number = number(&port["port"])?;
        let target = match &port["targetPort"] {
            Value::String(name) => Target::Name(name.clone()),
            other => Target::Number(self::number(other).unwrap_or(number)),
        };
        let tcp = port["protocol"].as_str().is_none_or(|p| p == "TCP");
        let name = port["name"].as_str().unwrap_or_default().to_string();
        let prefix = name.split('-').next().unwrap_or_default().to_string();
        let speaks = port["appProtocol"].as_str().map_or(prefix, str::to_string).to_ascii_lowercase();
        Some(Port { name, number, target, tcp, speaks })
    };
    Service {
        selector: texts(body.pointer("/spec/selector")),
        labels: texts(body.pointer("/metadata/labels")),
        ports: ports.filter_map(port).collect(),
    }
}

fn workload(template: &Value) -> Workload {
    let spec = &template["spec"];
    let account = ["serviceAccountName", "serviceAccount"].iter().find_map(|f| spec[*f].as_str());
    let containers = spec["containers"].as_array().into_iter().flatten();
    let ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    let named = ports.filter_map(|p| Some((p["name"].as_str()?.to_string(), number(&p["containerPort"])?)));
    let containers = spec["containers"].as_array().into_iter().flatten();
    let variables = containers.flat_map(|c| c["env"].as_array().into_iter().flatten());
    let variables = variables.filter_map(|e| Some((e["name"].as_str()?.to_string(), e["value"].as_str()?.to_string())));
    Workload {
        labels: texts(template.pointer("/metadata/labels")),
        // Kubernetes' default where a Pod names none.
        account: account.filter(|a| !a.is_empty()).unwrap_or("default").to_string(),
        ports: named.collect(),
        environment: variables.collect(),
        ready: None,
    }
}
