//! Faults on clusters: what one comes to, doing it, putting it back. Every write goes through the one writer.
//! What comes in: a fault or a deed, clients, the journal. What goes out: deeds done; sentences for what is left alone.
//! May not know: the load, the director.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::deed::{self, Deed, Next};
use super::signals;
use crate::cluster::{self, Clients, PodAddress, Want, WriteOptions};
use crate::manifest::{Gvk, ObjectKey, Wave};
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::plan::{Action, Change, Write};
use crate::sim::fault::{Fault, Form, Process};

/// Time one exchange with a Pod's admin port may take.
const ADMIN: Duration = Duration::from_secs(5);

/// What faults need to know of the fleet.
#[derive(Clone)]
pub struct Ground {
    /// The clusters.
    pub clients: Clients,
    /// The fleet document.
    pub fleet: Fleet,
    /// The namespaces of the services under test, per cluster.
    pub namespaces: BTreeMap<ClusterName, BTreeSet<String>>,
}

/// A cluster did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{cluster} cannot be reached: {why}")]
pub struct Unreachable {
    cluster: ClusterName,
    why: String,
}

/// A fault that is not possible on these clusters as they are: what it would break is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(String);

/// What a fault comes to now. Nothing is changed. An error is [`Unreachable`] or [`Impossible`].
pub async fn prepare(ground: &Ground, fault: &Fault) -> anyhow::Result<Vec<(ClusterName, Deed)>> {
    let mut deeds = Vec::new();
    for one in parts(fault) {
        let prepared = prepare_one(ground, one).await;
        deeds
            .extend(prepared.map_err(|e| if e.is::<Unreachable>() { e } else { Impossible(format!("{e:#}")).into() })?);
    }
    Ok(deeds)
}

/// The faults of which one is made.
fn parts(fault: &Fault) -> Vec<&Fault> {
    match fault {
        Fault::Together(all) => all.iter().flat_map(parts).collect(),
        one => vec![one],
    }
}

async fn prepare_one(ground: &Ground, fault: &Fault) -> anyhow::Result<Vec<(ClusterName, Deed)>> {
    let Some(cluster) = fault.clusters().first().copied() else { return Ok(Vec::new()) };
    let deeds = match fault {
        Fault::Together(_) => Vec::new(),
        Fault::ScaleToZero(w) => {
            let object = deployment(ground, cluster, w.namespace.as_str(), w.deployment.as_str()).await?;
            if deed::replicas(&object) == 0 {
                bail!("{w} has no replicas already: there is nothing to break");
            }
            vec![deed::scale("Deployment", &object)]
        }
        Fault::SleepCommand { namespace, deployment: name, container, command, .. } => {
            let object = deployment(ground, cluster, namespace.as_str(), name.as_str()).await?;
            let deed = deed::command(&object, container.as_deref(), command);
            vec![deed.map_err(|why| anyhow!("deployment {namespace}/{name} on {cluster}: {why}"))?]
        }
        Fault::HealthCheckFail { namespace, deployment: name, admin_port, .. } => {
            let object = deployment(ground, cluster, namespace.as_str(), name.as_str()).await?;
            vec![health_check(ground, cluster, &object, *admin_port).await?]
        }
        Fault::GatewayDown { namespace, deployment: name, .. } => {
            let namespace = namespace.as_ref().map_or_else(|| gloo(ground, cluster), |n| n.to_string());
            let object = deployment(ground, cluster, &namespace, name.as_str()).await?;
            vec![deed::scale("Deployment", &object)]
        }
        Fault::ClusterDown { form, .. } => cluster_down(ground, cluster, *form).await?,
        Fault::ProcessKill(process) => vec![signal(ground, process, false).await?],
        Fault::ProcessPause(process) => vec![signal(ground, process, true).await?],
        Fault::EndpointsLost { namespace, service, .. } => {
            let (namespace, name) = (namespace.to_string(), service.to_string());
            let found = object(&ground.clients, cluster, "Service", &namespace, &name).await?;
            let found = found.ok_or_else(|| anyhow!("there is no Service {namespace}/{name} on {cluster}"))?;
            if found["spec"]["selector"].as_object().is_none_or(serde_json::Map::is_empty) {
                bail!("Service {namespace}/{name} on {cluster} selects no Pods: there is nothing to break");
            }
            vec![Deed::Deselect { namespace, name }]
        }
    };
    Ok(deeds.into_iter().map(|d| (cluster.clone(), d)).collect())
}

/// Remarks on a fault that a user must know before it is injected.
pub fn remarks(ground: &Ground, fault: &Fault) -> Vec<String> {
    parts(fault).into_iter().filter_map(|f| remark(ground, f)).collect()
}

fn remark(ground: &Ground, fault: &Fault) -> Option<String> {
    let Fault::ClusterDown { cluster, form } = fault else { return None };
    if ground.fleet.clusters.get(cluster).is_some_and(|c| c.switch.is_some()) {
        return None;
    }
    let what = match form {
        // Without a switch it is refused.
        Form::ControlPlane => return None,
        Form::Workloads => "the workloads of the services' namespaces are scaled to zero",
        Form::All => "the workloads of the services' namespaces and the gateway are scaled to zero",
    };
    Some(format!("{cluster} has no `switch` in the fleet document: {what}, and its API is left up"))
}

fn gloo(ground: &Ground, cluster: &ClusterName) -> String {
    ground.fleet.clusters.get(cluster).map_or("gloo-system", cluster::address::gloo_namespace).to_string()
}

async fn deployment(ground: &Ground, cluster: &ClusterName, namespace: &str, name: &str) -> anyhow::Result<Value> {
    object(&ground.clients, cluster, "Deployment", namespace, name)
        .await?
        .ok_or_else(|| anyhow!("there is no deployment {namespace}/{name} on {cluster}"))
}

pub(super) async fn object(
    clients: &Clients,
    cluster: &ClusterName,
    kind: &str,
    namespace: &str,
    name: &str,
) -> anyhow::Result<Option<Value>> {
    let gvk = gvk(kind);
    let want = Want::all(&gvk.api_version(), kind).on(cluster).within(namespace).named(name);
    let world = cluster::observe(clients, &[want]).await;
    let seen = world.clusters.get(cluster).and_then(|o| o.unreachable.clone());
    if let Some(why) = seen {
        return Err(Unreachable { cluster: cluster.clone(), why }.into());
    }
    Ok(world.get(cluster.as_str(), &gvk.group, kind, namespace, name).cloned())
}

/// What drills write: workloads and Services.
fn gvk(kind: &str) -> Gvk {
    Gvk::new(if kind == "Service" { "v1" } else { "apps/v1" }, kind)
}

async fn signal(ground: &Ground, process: &Process, pause: bool) -> anyhow::Result<Deed> {
    let Process { cluster, namespace, deployment: name, container, process } = process;
    let object = deployment(ground, cluster, namespace.as_str(), name.as_str()).await?;
    let pods = pods(&ground.clients, cluster, namespace.as_str(), &object).await?;
    if pods.is_empty() {
        bail!("deployment {namespace}/{name} on {cluster} has no running pod");
    }
    let (namespace, name) = (namespace.to_string(), name.to_string());
    Ok(Deed::Signal { namespace, name, pods, container: container.clone(), process: process.clone(), pause })
}

async fn health_check(ground: &Ground, cluster: &ClusterName, object: &Value, port: u16) -> anyhow::Result<Deed> {
    let text = |p: &str| object.pointer(p).and_then(Value::as_str).unwrap_or_default().to_string();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let pods = pods(&ground.clients, cluster, &namespace, object).await?;
    if pods.is_empty() {
        bail!("deployment {namespace}/{name} on {cluster} has no running pod whose health check could fail");
    }
    Ok(Deed::HealthCheck { namespace, name, pods, port })
}

/// Running Pods of a Deployment.
async fn pods(
    clients: &Clients,
    cluster: &ClusterName,
    namespace: &str,
    deployment: &Value,
) -> anyhow::Result<Vec<String>> {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<_> =
        labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    let want = Want::all("v1", "Pod").on(cluster).within(namespace).labelled(selector.join(","));
    let world = cluster::observe(clients, &[want]).await;
    if let Some(why) = world.clusters.get(cluster).and_then(|o| o.unreachable.clone()) {
        return Err(Unreachable { cluster: cluster.clone(), why }.into());
    }
    let running = |p: &Value| {
        p["status"]["phase"] == "Running" && p.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null)
    };
    let all = world.all(cluster.as_str(), "", "Pod");
    Ok(all.filter(|(_, p)| running(p)).map(|(k, _)| k.name.clone()).collect())
}

async fn cluster_down(ground: &Ground, cluster: &ClusterName, form: Form) -> anyhow::Result<Vec<Deed>> {
    if let Some(switch) = ground.fleet.clusters.get(cluster).and_then(|c| c.switch.clone()) {
        let off = match form {
            Form::ControlPlane => switch.control_plane_off.ok_or_else(|| no_control_switch(cluster))?,
            Form::Workloads => switch.workloads_off,
            Form::All => switch.all_off,
        };
        return Ok(vec![Deed::Switch { off, on: switch.on }]);
    }
    if form == Form::ControlPlane {
        return Err(no_control_switch(cluster));
    }
    let namespaces = ground.namespaces.get(cluster).cloned().unwrap_or_default();
    if namespaces.is_empty() {
        bail!("no service under test runs on {cluster}, and it has no `switch`: there is nothing to take down");
    }
    let mut deeds = Vec::new();
    for namespace in &namespaces {
        for kind in ["Deployment", "StatefulSet"] {
            let want = Want::all("apps/v1", kind).on(cluster).within(namespace);
            let world = cluster::observe(&ground.clients, &[want]).await;
            if let Some(why) = world.clusters.get(cluster).and_then(|o| o.unreachable.clone()) {
                return Err(Unreachable { cluster: cluster.clone(), why }.into());
            }
            let running = world.all(cluster.as_str(), "apps", kind).filter(|(_, o)| deed::replicas(o) > 0);
            deeds.extend(running.map(|(_, o)| deed::scale(kind, o)));
        }
    }
    if form == Form::All {
        let object = deployment(ground, cluster, &gloo(ground, cluster), "gateway-proxy").await?;
        deeds.push(deed::scale("Deployment", &object));
    }
    if deeds.is_empty() {
        bail!("nothing runs in the services' namespaces on {cluster}: there is nothing to take down");
    }
    Ok(deeds)
}

fn no_control_switch(cluster: &ClusterName) -> anyhow::Error {
    anyhow!("the control plane of {cluster} is no workload of it: write `switch.controlPlaneOff` in the fleet document")
}

/// Does (`undo` false) or puts back one deed. Doing or undoing twice is as good as once.
/// The answer is what had to be left alone, if something had to.
pub async fn carry_out(
    clients: &Clients,
    cluster: &ClusterName,
    deed: &Deed,
    undo: bool,
) -> anyhow::Result<Option<String>> {
    match deed {
        Deed::Scale { kind, namespace, name, .. } => write(clients, cluster, kind, namespace, name, deed, undo).await,
        Deed::Command { namespace, name, .. } => {
            write(clients, cluster, "Deployment", namespace, name, deed, undo).await
        }
        Deed::Deselect { namespace, name } => write(clients, cluster, "Service", namespace, name, deed, undo).await,
        // The kubelet has started it again.
        Deed::Signal { pause: false, .. } if undo => Ok(None),
        Deed::Signal { namespace, pods, container, process, pause, .. } => {
            let signal = match (pause, undo) {
                (false, _) => "KILL",
                (true, false) => "STOP",
                (true, true) => "CONT",
            };
            let to = signals::To { cluster, namespace, container: container.as_deref(), process };
            signals::send(clients, &to, pods, signal).await.map(|()| None)
        }
        Deed::HealthCheck { namespace, pods, port, .. } => {
            post(clients, cluster, namespace, pods, *port, undo).await.map(|()| None)
        }
        Deed::Switch { off, on } => run(if undo { on } else { off }).await.map(|()| None),
    }
}

async fn write(
    clients: &Clients,
    cluster: &ClusterName,
    kind: &str,
    namespace: &str,
    name: &str,
    deed: &Deed,
    undo: bool,
) -> anyhow::Result<Option<String>> {
    // Another look for a patch that carries the version it was computed from.
    let mut pauses = cluster::moved_on_pauses();
    loop {
        let Some(now) = object(clients, cluster, kind, namespace, name).await? else {
            if undo {
                return Ok(Some(format!(
                    "{kind} {namespace}/{name} on {cluster} is gone; there is nothing to put back"
                )));
            }
            bail!("{kind} {namespace}/{name} on {cluster} is gone");
        };
        let (patch, subresource) = match deed::next(deed, &now, undo) {
            Next::Nothing => return Ok(None),
            Next::Leave(why) => {
                return Ok(Some(format!("{kind} {namespace}/{name} on {cluster} is left alone: {why}")));
            }
            Next::Merge { patch, subresource } => (patch, subresource),
        };
        let change = Change {
            key: ObjectKey {
                cluster: cluster.clone(),
                gvk: gvk(kind),
                namespace: Some(namespace.to_string()),
                name: name.to_string(),
            },
            action: Action::Update,
            write: Write::Merge { patch, subresource },
            before: Some(now),
            after: None,
            wave: Wave::Foundations,
            owner: "drill".into(),
        };
        let client = clients.client(cluster.as_str()).await?;
        let outcome = cluster::write(&client, &change, &WriteOptions::default()).await;
        match outcome.result {
            cluster::WriteResult::MovedOn(_) => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => bail!("{} keeps changing; it could not be written", change.key),
            },
            _ => match outcome.why() {
                None => return Ok(None),
                Some(why) => bail!("{}: {why}", change.key),
            },
        }
    }
}

async fn post(
    clients: &Clients,
    cluster: &ClusterName,
    namespace: &str,
    pods: &[String],
    port: u16,
    undo: bool,
) -> anyhow::Result<()> {
    let client = clients.client(cluster.as_str()).await?;
    let path = if undo { "/healthcheck/ok" } else { "/healthcheck/fail" };
    let posts = pods.iter().map(|pod| {
        let (client, address) = (client.clone(), PodAddress { namespace: namespace.into(), pod: pod.clone(), port });
        async move {
            if undo && gone(clients, cluster, namespace, pod).await? {
                // Whatever replaced it began with a passing health check.
                return Ok(());
            }
            let exchange = async {
                let stream = cluster::open(&client, &address).await?;
                cluster::http(stream, http::Method::POST, path, ADMIN).await
            };
            let (status, _) =
                exchange.await.with_context(|| format!("POST {path} to pod {namespace}/{pod} on {cluster}"))?;
            anyhow::ensure!(status == 200, "POST {path} to pod {namespace}/{pod} on {cluster}: status {status}");
            Ok(())
        }
    });
    futures::future::try_join_all(posts).await.map(drop)
}

pub(super) async fn gone(clients: &Clients, cluster: &ClusterName, namespace: &str, pod: &str) -> anyhow::Result<bool> {
    let want = Want::all("v1", "Pod").on(cluster).within(namespace).named(pod);
    let world = cluster::observe(clients, &[want]).await;
    if let Some(why) = world.clusters.get(cluster).and_then(|o| o.unreachable.clone()) {
        return Err(Unreachable { cluster: cluster.clone(), why }.into());
    }
    let phase = world.get(cluster.as_str(), "", "Pod", namespace, pod).map(|p| p["status"]["phase"].clone());
    Ok(phase.is_none_or(|p| p != "Running"))
}

/// Runs one of the user's commands as it is, without a shell.
async fn run(argv: &[String]) -> anyhow::Result<()> {
    let Some((program, arguments)) = argv.split_first() else {
        bail!("the fleet document's `switch` has an empty command");
    };
    let line = argv.join(" ");
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), child).await;
    let output = output.map_err(|_| anyhow!("`{line}` did not end within 120 s"))?;
    let output = output.with_context(|| format!("running `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, said.trim().lines().last().unwrap_or_default());
    }
    Ok(())
}
