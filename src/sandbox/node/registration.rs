//! The node's own objects: its Node and its lease.
//!
//! In: the node's configuration. Out: objects in the API, kept fresh. May not know: pods.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{NodeConfig, Power};

/// How often the lease is renewed; a kubelet's custom.
const RENEW: Duration = Duration::from_secs(10);
/// How long a lease is good for.
const LEASE_SECONDS: i32 = 40;
/// How often the conditions are repeated when nothing changes (each 30th renewal).
const REPEAT_STATUS: u32 = 30;
/// What is asked for and what is the most a pod may ask for: the sandbox limits nothing, but clients compute with it.
const PODS: &str = "500";

const NAMESPACE: &str = "kube-node-lease";

/// Creates the Node, or takes over the one there is, and says it is ready. Returns its uid.
pub async fn register(config: &NodeConfig) -> anyhow::Result<String> {
    let nodes = Api::<Node>::all(config.client.clone());
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": config.name, "labels": labels(config), "annotations": {
            "failctl.dev/note": "a node of failctl's sandbox: it runs a closed set of programs, not containers"}},
        "spec": {"podCIDR": config.pods.cidr(), "podCIDRs": [config.pods.cidr()], "providerID": format!("failctl://{}", config.name)},
    }))?;
    match nodes.create(&PostParams::default(), &node).await {
        Ok(_) => {}
        Err(kube::Error::Api(e)) if e.code == 409 => {
            let patch = json!({"metadata": {"labels": labels(config)}});
            nodes
                .patch(&config.name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .context("updating its labels")?;
        }
        Err(e) => return Err(e).context("creating its Node object"),
    }
    let node = write_status(config).await?;
    // The lease's namespace may be made later than the node; the heartbeat tries again.
    let uid = node.meta().uid.clone().unwrap_or_default();
    if let Err(e) = renew(config, &uid).await {
        tracing::debug!("lease of node {} not written yet: {e}", config.name);
    }
    Ok(uid)
}

/// Renews the lease, and repeats the status from time to time and after a loss of power.
pub async fn keep_alive(config: NodeConfig, uid: String, mut power: watch::Receiver<Power>) {
    let mut beats = 0;
    loop {
        let lost_power = tokio::select! {
            () = tokio::time::sleep(RENEW) => false,
            off = power.wait_for(|p| *p == Power::Off) => off.is_ok(),
        };
        if power.wait_for(|p| *p == Power::On).await.is_err() {
            return;
        }
        beats += 1;
        if (lost_power || beats % REPEAT_STATUS == 0)
            && let Err(e) = write_status(&config).await
        {
            tracing::debug!("status of node {} not written: {e:#}", config.name);
        }
        if let Err(e) = renew(&config, &uid).await {
            tracing::debug!("lease of node {} not renewed: {e}", config.name);
        }
    }
}

fn labels(config: &NodeConfig) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": std::env::consts::OS,
        "kubernetes.io/arch": arch(),
    });
    for (key, value) in &config.labels {
        labels[key] = json!(value);
    }
    labels
}

/// The architecture as Kubernetes spells it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn write_status(config: &NodeConfig) -> anyhow::Result<Node> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string();
    let amounts = json!({"cpu": cpus, "memory": memory(), "pods": PODS, "ephemeral-storage": "10Gi"});
    let version = format!("v1.33.0-failctl.{}", env!("CARGO_PKG_VERSION"));
    let status = json!({"status": {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "the sandbox's node runs"),
        ],
        "addresses": [
            {"type": "InternalIP", "address": config.address.to_string()},
            {"type": "Hostname", "address": config.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.kubelet_port}},
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": kernel(),
            "osImage": "failctl sandbox", "containerRuntimeVersion": format!("failctl://{}", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": version, "kubeProxyVersion": "", "operatingSystem": std::env::consts::OS,
            "architecture": arch(),
        },
    }});
    let nodes = Api::<Node>::all(config.client.clone());
    let patched = nodes.patch_status(&config.name, &PatchParams::default(), &Patch::Merge(status)).await;
    patched.context("writing its status")
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn memory() -> String {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        info.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or_else(|| "1Gi".into(), |kib| format!("{kib}Ki"))
}

async fn renew(config: &NodeConfig, uid: &str) -> Result<(), kube::Error> {
    let leases = Api::<Lease>::namespaced(config.client.clone(), NAMESPACE);
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let spec = json!({"holderIdentity": config.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now});
    let patch = Patch::Merge(json!({"spec": spec}));
    match leases.patch(&config.name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(e)) if e.code == 404 => {}
        other => return other.map(drop),
    }
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": config.name, "uid": uid});
    let lease = json!({"metadata": {"name": config.name, "ownerReferences": [owner]}, "spec": spec});
    let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
    leases.create(&PostParams::default(), &lease).await.map(drop)
}
