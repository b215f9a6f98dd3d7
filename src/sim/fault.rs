//! The faults a drill can inject, as values.
//! May not know: how they are done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::{ClusterName, Namespace, ObjectName};

/// A Deployment on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// The cluster, as the fleet names it.
    #[schemars(with = "String")]
    pub cluster: ClusterName,
    /// Namespace of the Deployment.
    #[serde(default = "default_namespace")]
    #[schemars(with = "String")]
    pub namespace: Namespace,
    /// The Deployment.
    #[schemars(with = "String")]
    pub deployment: ObjectName,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "deployment {}/{} on {}", self.namespace, self.deployment, self.cluster)
    }
}

/// A process of a container, in every Pod of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// The cluster, as the fleet names it.
    #[schemars(with = "String")]
    pub cluster: ClusterName,
    /// Namespace of the Deployment.
    #[serde(default = "default_namespace")]
    #[schemars(with = "String")]
    pub namespace: Namespace,
    /// The Deployment.
    #[schemars(with = "String")]
    pub deployment: ObjectName,
    /// The container; default: the Pod's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The process's name, as `pgrep -x` finds it.
    pub process: String,
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Process { cluster, namespace, deployment, container, process } = self;
        let container = container.as_ref().map(|c| format!("container {c} of ")).unwrap_or_default();
        write!(f, "`{process}` in {container}every Pod of deployment {namespace}/{deployment} on {cluster}")
    }
}

/// `default`, as kubectl has it.
pub fn default_namespace() -> Namespace {
    Namespace::new("default").expect("`default` is a valid namespace")
}

/// The command that keeps a container alive with nobody listening.
pub fn sleep_command() -> Vec<String> {
    vec!["sleep".into(), "20h".into()]
}

/// How much of a cluster dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// Its workloads and API die, the edge survives.
    #[default]
    Workloads,
    /// Everything dies, the edge too.
    All,
    /// What controls the cluster dies, the API included; what runs goes on running.
    ControlPlane,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// The Deployment is scaled to zero replicas.
    ScaleToZero(Workload),
    /// The container runs `sleep` in place of its program: the Pod is alive and nobody listens.
    SleepCommand {
        /// The cluster, as the fleet names it.
        #[schemars(with = "String")]
        cluster: ClusterName,
        /// Namespace of the Deployment.
        #[serde(default = "default_namespace")]
        #[schemars(with = "String")]
        namespace: Namespace,
        /// The Deployment.
        #[schemars(with = "String")]
        deployment: ObjectName,
        /// The container; default: every container of the Pod.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
        /// The command; default `sleep 20h`.
        #[serde(default = "sleep_command")]
        command: Vec<String>,
    },
    /// `POST /healthcheck/fail` to the Envoy of every Pod: its health check fails, and so does every request to it.
    HealthCheckFail {
        /// The cluster, as the fleet names it.
        #[schemars(with = "String")]
        cluster: ClusterName,
        /// Namespace of the Deployment.
        #[serde(default = "default_namespace")]
        #[schemars(with = "String")]
        namespace: Namespace,
        /// The Deployment.
        #[schemars(with = "String")]
        deployment: ObjectName,
        /// The admin port of the Pod's Envoy.
        #[serde(default = "default_admin_port")]
        admin_port: u16,
    },
    /// The gateway proxy of the cluster is scaled to zero.
    GatewayDown {
        /// The cluster.
        #[schemars(with = "String")]
        cluster: ClusterName,
        /// Namespace of the proxy; default: where Gloo is installed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        namespace: Option<Namespace>,
        /// The proxy's Deployment.
        #[serde(default = "default_gateway")]
        #[schemars(with = "String")]
        deployment: ObjectName,
    },
    /// A process is killed (`pkill -KILL`, by exec). Its container is started again by the kubelet: there is nothing to heal.
    ProcessKill(Process),
    /// A process is stopped (`pkill -STOP`, by exec): connections are accepted, and nobody answers.
    ProcessPause(Process),
    /// The Service selects no Pod any more: its EndpointSlices empty as when every Pod is unready, and the Pods run on.
    EndpointsLost {
        /// The cluster, as the fleet names it.
        #[schemars(with = "String")]
        cluster: ClusterName,
        /// Namespace of the Service.
        #[serde(default = "default_namespace")]
        #[schemars(with = "String")]
        namespace: Namespace,
        /// The Service.
        #[schemars(with = "String")]
        service: ObjectName,
    },
    /// Several faults at the same moment, for services side by side.
    Together(Vec<Fault>),
    /// The cluster dies.
    ClusterDown {
        /// The cluster.
        #[schemars(with = "String")]
        cluster: ClusterName,
        /// How much of it.
        #[serde(default)]
        form: Form,
    },
}

/// The admin port of the guide's Envoys.
pub fn default_admin_port() -> u16 {
    19000
}

/// Gloo's gateway proxy.
pub fn default_gateway() -> ObjectName {
    ObjectName::new("gateway-proxy").expect("`gateway-proxy` is a valid name")
}

/// Istio's gateway for other clusters.
pub fn east_west_gateway() -> ObjectName {
    ObjectName::new("istio-eastwestgateway").expect("`istio-eastwestgateway` is a valid name")
}

impl Fault {
    /// The words of the command line, in its order.
    pub const KINDS: [&'static str; 8] = [
        "scale-to-zero",
        "sleep",
        "health-check-fail",
        "gateway-down",
        "cluster-down",
        "process-kill",
        "process-pause",
        "endpoints-lost",
    ];

    /// The word of the command line and of reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Together(all) => all.first().map_or("together", Fault::kind),
            Fault::ScaleToZero(_) => "scale-to-zero",
            Fault::SleepCommand { .. } => "sleep",
            Fault::HealthCheckFail { .. } => "health-check-fail",
            Fault::GatewayDown { .. } => "gateway-down",
            Fault::ClusterDown { form: Form::ControlPlane, .. } => "control-plane-down",
            Fault::ClusterDown { .. } => "cluster-down",
            Fault::ProcessKill(_) => "process-kill",
            Fault::ProcessPause(_) => "process-pause",
            Fault::EndpointsLost { .. } => "endpoints-lost",
        }
    }

    /// Whether it takes the edge of a cluster down, and with it everybody who enters there.
    pub fn takes_entry(&self, entry: &ClusterName) -> bool {
        match self {
            Fault::Together(all) => all.iter().any(|f| f.takes_entry(entry)),
            Fault::ClusterDown { cluster, form: Form::All } | Fault::GatewayDown { cluster, .. } => cluster == entry,
            _ => false,
        }
    }

    /// The clusters it breaks something on.
    pub fn clusters(&self) -> Vec<&ClusterName> {
        match self {
            Fault::Together(all) => all.iter().flat_map(Fault::clusters).collect(),
            Fault::ScaleToZero(w) => vec![&w.cluster],
            Fault::ProcessKill(p) | Fault::ProcessPause(p) => vec![&p.cluster],
            Fault::SleepCommand { cluster, .. }
            | Fault::HealthCheckFail { cluster, .. }
            | Fault::GatewayDown { cluster, .. }
            | Fault::EndpointsLost { cluster, .. }
            | Fault::ClusterDown { cluster, .. } => vec![cluster],
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Together(all) => {
                let each: Vec<_> = all.iter().map(ToString::to_string).collect();
                f.write_str(&each.join(", and "))
            }
            Fault::ScaleToZero(w) => write!(f, "scale {w} to zero"),
            Fault::SleepCommand { cluster, namespace, deployment, container, command } => {
                let which = container.as_ref().map_or("every container".to_string(), |c| format!("container {c}"));
                write!(f, "run `{}` in {which} of deployment {namespace}/{deployment} on {cluster}", command.join(" "))
            }
            Fault::HealthCheckFail { cluster, namespace, deployment, .. } => {
                write!(f, "fail the health check of every Pod of deployment {namespace}/{deployment} on {cluster}")
            }
            Fault::GatewayDown { cluster, deployment, .. } => {
                write!(f, "take the gateway {deployment} of {cluster} down")
            }
            Fault::ProcessKill(p) => write!(f, "kill {p}"),
            Fault::ProcessPause(p) => write!(f, "stop {p}"),
            Fault::EndpointsLost { cluster, namespace, service } => {
                write!(f, "take every Pod out of Service {namespace}/{service} on {cluster}")
            }
            Fault::ClusterDown { cluster, form: Form::ControlPlane } => {
                write!(f, "take what controls {cluster} down, its API included; the workloads survive")
            }
            Fault::ClusterDown { cluster, form: Form::Workloads } => {
                write!(f, "take the workloads and the API of {cluster} down; the edge survives")
            }
            Fault::ClusterDown { cluster, form: Form::All } => write!(f, "take all of {cluster} down, the edge too"),
        }
    }
}
