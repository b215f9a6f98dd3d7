//! The flags of `failctl simulate` that stand for a scenario document. Shared by its files; no command itself.

use crate::cluster::Clients;
use crate::drill::resolve::{self, Protected};
use crate::error::{Exit, Failure};
use crate::model::duration::Millis;
use crate::model::name::{ClusterName, Namespace, ObjectName};
use crate::sim::fault::{self, Fault, Form, Process, Workload};
use crate::sim::scenario::{Answers, Expected, FaultStep, Load, Scenario, Target, Tolerances};
use crate::spec::Documents;

/// A drill in flags.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Flags {
    /// What to break
    #[arg(long, value_enum, help_heading = "Drill")]
    pub fault: Option<Kind>,
    /// The failover under test (default: the only one)
    #[arg(long, value_name = "NAME", help_heading = "Drill", add = super::complete::protected())]
    pub failover: Option<String>,
    /// Where to break it (default: the primary's cluster; for gateway-down the first backup's)
    #[arg(long, value_name = "CLUSTER", help_heading = "Drill", add = super::complete::clusters())]
    pub cluster: Option<ClusterName>,
    /// The Deployment to break (default: those behind the primary's Service)
    #[arg(long, value_name = "[NAMESPACE/]NAME", help_heading = "Drill")]
    pub deployment: Vec<String>,
    /// The process to kill or to stop (default container: the Pod's first)
    #[arg(long, value_name = "[CONTAINER/]NAME", help_heading = "Drill")]
    pub process: Option<String>,
    /// How much of the cluster dies: its workloads and API, or all of it
    #[arg(long, value_enum, default_value_t, help_heading = "Drill")]
    pub form: FormArg,
    /// Where requests go (default: the gateway of the primary's cluster)
    #[arg(long, help_heading = "Load")]
    pub url: Option<String>,
    /// The path to ask for (default: the URL's, or the prefix of the failover's route)
    #[arg(long, help_heading = "Load")]
    pub path: Option<String>,
    /// Where an answer says who gave it: a regular expression, its first group (default: the body's first line)
    #[arg(long, value_name = "REGEX", help_heading = "Load")]
    pub answered_by: Option<String>,
    /// The Host header (default: the route's, or the URL's)
    #[arg(long, help_heading = "Load")]
    pub host: Option<String>,
    /// Requests per second (default 100)
    #[arg(long, help_heading = "Load")]
    pub rate: Option<u32>,
    /// Load before the fault (default 5s)
    #[arg(long, value_parser = Millis::parse, help_heading = "Load")]
    pub warmup: Option<Millis>,
    /// How long the fault lasts (default 15s)
    #[arg(long, value_parser = Millis::parse, help_heading = "Load")]
    pub heal_after: Option<Millis>,
    /// All of it at most, from the first request to the last (default 50s)
    #[arg(long, value_parser = Millis::parse, help_heading = "Load")]
    pub duration: Option<Millis>,
    /// How long one request may take (default 10s)
    #[arg(long, value_parser = Millis::parse, help_heading = "Load")]
    pub timeout: Option<Millis>,
    /// Requests that may be lost (default 0)
    #[arg(long, value_name = "N", help_heading = "Verdict")]
    pub max_failed: Option<u64>,
    /// The fault may go unnoticed by the gateway for this long
    #[arg(long, value_parser = Millis::parse, help_heading = "Verdict")]
    pub max_detection: Option<Millis>,
    /// The backup must serve alone after this long
    #[arg(long, value_parser = Millis::parse, help_heading = "Verdict")]
    pub max_failover: Option<Millis>,
    /// The primary must serve alone this long after healing
    #[arg(long, value_parser = Millis::parse, help_heading = "Verdict")]
    pub max_failback: Option<Millis>,
    /// What the drill must show
    #[arg(long, value_enum, help_heading = "Verdict")]
    pub expected: Option<ExpectedArg>,
}

/// `--fault`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Scale the Deployment to zero
    ScaleToZero,
    /// Run `sleep` in its containers: alive, and nobody listens
    Sleep,
    /// Fail the health check of the Envoy in its Pods
    HealthCheckFail,
    /// Take a cluster's gateway down
    GatewayDown,
    /// Take a cluster down
    ClusterDown,
    /// Kill a process of its containers, by exec: the kubelet starts them again
    ProcessKill,
    /// Stop a process of its containers, by exec: nobody answers any more
    ProcessPause,
    /// Take every Pod out of the primary's Service; the Pods run on
    EndpointsLost,
}

/// `--form`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormArg {
    /// Its workloads and API die, the edge survives
    #[default]
    Workloads,
    /// Everything dies, the edge too
    All,
    /// What controls it dies, the API included; what runs goes on running
    #[value(alias = "controlPlane")]
    ControlPlane,
}

/// `--expected`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedArg {
    /// Every request is answered
    NoLoss,
    /// Every request is answered, and the primary serves when the fault ends: nobody needs to move
    Stays,
    /// Nobody is left to answer
    Outage,
}

impl Flags {
    /// Changes what a scenario document says where a flag says otherwise.
    pub fn adjust(&self, scenario: &mut Scenario) {
        let load = &mut scenario.load;
        if let Some(rate) = self.rate {
            load.rate = rate;
            scenario.targets.iter_mut().for_each(|t| t.rate = None);
        }
        load.warmup = self.warmup.unwrap_or(load.warmup);
        load.during = self.heal_after.unwrap_or(load.during);
        load.timeout = self.timeout.unwrap_or(load.timeout);
        if let Some(total) = self.duration {
            load.after = Millis(total.0.saturating_sub(load.warmup.0 + load.during.0));
        }
        let limits = &mut scenario.tolerances;
        limits.max_failed = self.max_failed.unwrap_or(limits.max_failed);
        limits.max_detection = self.max_detection.or(limits.max_detection);
        limits.max_failover = self.max_failover.or(limits.max_failover);
        limits.max_failback = self.max_failback.or(limits.max_failback);
        scenario.expected = match self.expected {
            Some(ExpectedArg::NoLoss) => Expected::NoLoss,
            Some(ExpectedArg::Stays) => Expected::Stays,
            Some(ExpectedArg::Outage) => Expected::Outage,
            None => scenario.expected,
        };
    }

    /// The scenario these flags stand for.
    pub async fn scenario(&self, documents: &Documents, clients: &Clients) -> Result<Scenario, Failure> {
        let known = resolve::protected(documents);
        let protected = self.choose(&known)?;
        if protected.is_none() && self.url.is_none() {
            return Err(Failure::because(Exit::Usage, "nothing to send requests to: the documents protect no service")
                .hint("give --failover NAME or --url URL"));
        }
        let faults = self.faults(documents, clients, protected).await?;
        let name = protected.map(|p| p.name.clone()).or_else(|| self.url.clone()).unwrap_or_default();
        let target = Target {
            name: name.clone(),
            failover: protected.map(|p| p.name.clone()),
            through: None,
            policy: None,
            url: self.url.clone(),
            path: self.path.clone(),
            host: self.host.clone(),
            rate: None,
            answers: Answers { pattern: self.answered_by.clone(), ..Answers::default() },
        };
        let mut scenario = Scenario {
            name,
            targets: vec![target],
            faults,
            load: Load::default(),
            tolerances: Tolerances::default(),
            expected: Expected::NoLoss,
            force: false,
        };
        self.adjust(&mut scenario);
        Ok(scenario)
    }

    fn choose<'a>(&self, known: &'a [Protected]) -> Result<Option<&'a Protected>, Failure> {
        let names: Vec<_> = known.iter().map(|p| p.name.as_str()).collect();
        match (&self.failover, known) {
            (Some(name), _) => match known.iter().find(|p| p.name == *name) {
                Some(found) => Ok(Some(found)),
                None => Err(Failure::because(Exit::Usage, format!("no failover is named `{name}`"))
                    .hint(crate::spec::text::meant(name, names))),
            },
            (None, [one]) => Ok(Some(one)),
            (None, []) => Ok(None),
            (None, _) if self.url.is_some() => Ok(None),
            (None, _) => Err(Failure::because(Exit::Usage, "the documents protect several services")
                .hint(format!("name one with --failover: {}", names.join(", ")))),
        }
    }

    async fn faults(
        &self,
        documents: &Documents,
        clients: &Clients,
        protected: Option<&Protected>,
    ) -> Result<Vec<FaultStep>, Failure> {
        let kind = self.fault.unwrap_or(Kind::ScaleToZero);
        let cluster = self.cluster(documents, protected, kind)?;
        let form = match self.form {
            FormArg::Workloads => Form::Workloads,
            FormArg::All => Form::All,
            FormArg::ControlPlane => Form::ControlPlane,
        };
        let faults = match kind {
            Kind::ClusterDown => vec![Fault::ClusterDown { cluster, form }],
            Kind::GatewayDown => {
                let in_mesh = protected.is_some_and(|p| p.seat.upstream().is_none());
                let istio = documents.fleet.clusters.get(&cluster).and_then(|c| c.istio.as_ref()).filter(|_| in_mesh);
                let (namespace, deployment) = match istio {
                    Some(istio) => (Some(istio.namespace.clone()), fault::east_west_gateway()),
                    None => (None, fault::default_gateway()),
                };
                vec![Fault::GatewayDown { cluster, namespace, deployment }]
            }
            Kind::EndpointsLost => vec![endpoints_lost(cluster, protected)?],
            _ => {
                let process = self.process(kind)?;
                let workloads = self.workloads(clients, protected, &cluster).await?;
                workloads.into_iter().map(|w| on_workload(kind, w, process.clone())).collect()
            }
        };
        Ok(faults.into_iter().map(|fault| FaultStep { fault, then_wait: Millis(0) }).collect())
    }

    /// The container and the process of `--process`.
    fn process(&self, kind: Kind) -> Result<(Option<String>, String), Failure> {
        let wanted = [Kind::ProcessKill, Kind::ProcessPause].contains(&kind);
        match self.process.as_deref() {
            None if wanted => Err(Failure::because(Exit::Usage, "it is not said which process to break")
                .hint("name it with --process [CONTAINER/]NAME, for example --process istio-proxy/envoy")),
            None => Ok((None, String::new())),
            Some(text) => Ok(match text.split_once('/') {
                Some((container, name)) => (Some(container.into()), name.into()),
                None => (None, text.into()),
            }),
        }
    }

    fn cluster(
        &self,
        documents: &Documents,
        protected: Option<&Protected>,
        kind: Kind,
    ) -> Result<ClusterName, Failure> {
        let primary = protected.map(|p| p.cluster.clone());
        let backup = || {
            let failover =
                documents.failovers.iter().find(|f| Some(f.name.as_str()) == protected.map(|p| p.name.as_str()))?;
            failover.order.get(1).map(|g| g[0].cluster.clone())
        };
        let default = if kind == Kind::GatewayDown { backup() } else { primary };
        if let Some(named) = self.cluster.as_ref().filter(|c| !documents.fleet.clusters.contains_key(*c)) {
            return Err(Failure::input(vec![resolve::no_cluster(documents, named)]));
        }
        self.cluster.clone().or(default).ok_or_else(|| {
            Failure::because(Exit::Usage, "it is not said where to break something")
                .hint("name it with --cluster CLUSTER")
        })
    }

    async fn workloads(
        &self,
        clients: &Clients,
        protected: Option<&Protected>,
        cluster: &ClusterName,
    ) -> Result<Vec<Workload>, Failure> {
        let named = match (&self.deployment[..], protected) {
            ([], Some(protected)) if protected.cluster == *cluster => {
                resolve::deployments(clients, protected).await.map_err(|why| {
                    Failure::because(Exit::Unknown, format!("which Deployment to break is not known: {why}"))
                        .hint("name it with --deployment NAMESPACE/NAME")
                })?
            }
            ([], _) => {
                return Err(Failure::because(Exit::Usage, "it is not said what to break on that cluster")
                    .hint("name it with --deployment NAMESPACE/NAME"));
            }
            (named, _) => named.iter().map(|d| split(d)).collect(),
        };
        let workload = |(namespace, name): (String, String)| {
            let bad = |e: String| Failure::because(Exit::Usage, format!("--deployment: {e}"));
            Ok(Workload {
                cluster: cluster.clone(),
                namespace: Namespace::new(namespace).map_err(bad)?,
                deployment: ObjectName::new(name).map_err(bad)?,
            })
        };
        named.into_iter().map(workload).collect()
    }
}

fn split(text: &str) -> (String, String) {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    (namespace.to_string(), name.to_string())
}

/// The primary's Service is what loses its endpoints.
fn endpoints_lost(cluster: ClusterName, protected: Option<&Protected>) -> Result<Fault, Failure> {
    let unknown = || {
        Failure::because(Exit::Usage, "which Service is to lose its endpoints is not said by the documents")
            .hint("write a Scenario with `inject: {endpointsLost: {cluster: …, namespace: …, service: …}}`")
    };
    let (namespace, service) = protected.and_then(|p| p.service.clone()).ok_or_else(unknown)?;
    let bad = |e: String| Failure::because(Exit::Usage, e);
    let (namespace, service) = (Namespace::new(namespace).map_err(bad)?, ObjectName::new(service).map_err(bad)?);
    Ok(Fault::EndpointsLost { cluster, namespace, service })
}

fn on_workload(kind: Kind, workload: Workload, (container, process): (Option<String>, String)) -> Fault {
    let Workload { cluster, namespace, deployment } = workload;
    match kind {
        Kind::ProcessKill => Fault::ProcessKill(Process { cluster, namespace, deployment, container, process }),
        Kind::ProcessPause => Fault::ProcessPause(Process { cluster, namespace, deployment, container, process }),
        Kind::Sleep => {
            Fault::SleepCommand { cluster, namespace, deployment, container: None, command: fault::sleep_command() }
        }
        Kind::HealthCheckFail => {
            Fault::HealthCheckFail { cluster, namespace, deployment, admin_port: fault::default_admin_port() }
        }
        _ => Fault::ScaleToZero(Workload { cluster, namespace, deployment }),
    }
}
