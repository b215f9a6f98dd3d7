//! Two real clusters with Istio and without containers: control planes of the kit, the sandbox's node, and Istio's own agent
//! with a plain Envoy in every proxy's container. failctl makes the certificates.

pub mod objects;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use failctl::sandbox::address::Block;
use serde_json::{Value, json};

use self::objects::{NAMESPACE, PORT, Site};
use crate::kit::cluster::{CONTROLLERS, Cluster, Plan, start_all};
use crate::kit::istiod::{Config, Istiod, NAME, prepare};
use crate::kit::process::{Process, Program};
use crate::kit::{self, program};
use crate::support;

/// The clusters, the one whose caller is loaded first.
pub const CLUSTERS: [&str; 2] = ["east", "west"];
/// Where their callers listen: the clusters share one network.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "127.0.0.2"];
/// Patience for what takes seconds on a quiet machine.
const SOON: Duration = Duration::from_secs(180);

/// One of the clusters.
pub struct Side {
    /// Its name.
    pub name: &'static str,
    /// Its control plane.
    pub cluster: Cluster,
    /// Its istiod; none while it is down.
    pub istiod: Option<Istiod>,
    number: u16,
    cacerts: PathBuf,
    _scheduler: Process,
    _node: Process,
}

/// Where the sidecar of the first cluster's caller takes requests of its programs.
pub fn caller() -> String {
    format!("http://{}:{PORT}/", LOOPBACK[0])
}

/// Both.
pub struct Lab {
    /// The clusters.
    pub sides: Vec<Arc<Mutex<Side>>>,
    /// Where failctl runs and finds its documents.
    pub dir: PathBuf,
}

/// What a test needs before it enters its own network; the Envoy is returned.
pub fn provisions() -> PathBuf {
    kit::provisions(&["pilot-discovery", "pilot-agent", "istio"])
}

impl Lab {
    /// Starts all of it; every Pod is ready when this returns. `services` are those in front of the servers.
    pub fn start(dir: &Path, envoy: &Path, services: &[&str]) -> anyhow::Result<Lab> {
        let plan = |(i, name): (usize, &&str)| {
            let at = Block { second: 77 }.cluster(i).expect("a block has room for two clusters");
            Plan::new(name, at, dir).with_controllers(&CONTROLLERS)
        };
        let clusters = start_all(CLUSTERS.iter().enumerate().map(plan).collect())?;
        for (name, cluster) in CLUSTERS.iter().zip(&clusters) {
            let text = serde_json::to_string(&cluster.kubeconfig(name))?;
            std::fs::write(dir.join(format!("{name}.kubeconfig")), text)?;
            prepare(cluster)?;
        }
        let mut lab = Lab { sides: Vec::new(), dir: dir.to_owned() };
        lab.certificates()?;
        for (number, cluster) in clusters.into_iter().enumerate() {
            let side = Side::start(u16::try_from(number)?, cluster, dir, envoy)?;
            lab.sides.push(Arc::new(Mutex::new(side)));
        }
        for side in &lab.sides {
            lock(side).populate(services)?;
        }
        for side in &lab.sides {
            lock(side).ready()?;
        }
        Ok(lab)
    }

    /// failctl makes a root for the fleet and authorities for the meshes, and installs them.
    fn certificates(&self) -> anyhow::Result<()> {
        std::fs::write(self.dir.join("fleet.yaml"), self.fleet(&CLUSTERS))?;
        self.ok(&["certs", "generate", "-f", "fleet.yaml"])?;
        self.ok(&["certs", "install", "-f", "fleet.yaml", "--yes"]).map(drop)
    }

    /// The fleet document. Its switches are answered by [`Lab::switchboard`].
    fn fleet(&self, names: &[&str]) -> String {
        let switch = |name: &str, to: &str| {
            let file = self.dir.join(format!("{name}.{to}")).display().to_string();
            json!(["sh", "-c", format!("touch {file}; while [ -e {file} ]; do sleep 0.05; done")])
        };
        let cluster = |name: &&str| {
            json!({"name": name, "context": name, "trustDomain": "cluster.local",
                "network": format!("{name}-net"), "istio": {"version": "1.31.0"},
                "switch": {"workloadsOff": ["false"], "allOff": ["false"],
                    "controlPlaneOff": switch(name, "off"), "on": switch(name, "on")}})
        };
        let clusters: Vec<Value> = names.iter().map(cluster).collect();
        json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "lab"},
            "spec": {"clusters": clusters}})
        .to_string()
    }

    /// Turns control planes off and on, as the commands of the fleet document ask; until the process ends.
    pub fn switchboard(&self) {
        for side in &self.sides {
            let (side, dir) = (side.clone(), self.dir.clone());
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(Duration::from_millis(20));
                    let mut side = lock(&side);
                    for to in ["off", "on"] {
                        let file = dir.join(format!("{}.{to}", side.name));
                        if file.exists() {
                            let done = if to == "off" { side.control_off() } else { side.control_on() };
                            done.unwrap_or_else(|e| panic!("switching {} {to}: {e:#}", side.name));
                            // The command waits for this.
                            let _ = std::fs::remove_file(file);
                        }
                    }
                }
            });
        }
    }

    /// Gives a cluster an authority of another fleet's root, as failctl makes it, and has istiod and the proxies take it.
    pub fn estrange(&self, number: usize) -> anyhow::Result<()> {
        let foreign = self.dir.join("foreign");
        std::fs::create_dir_all(&foreign)?;
        std::fs::write(foreign.join("fleet.yaml"), self.fleet(&CLUSTERS[number..=number]))?;
        self.ok(&["certs", "generate", "-f", "foreign/fleet.yaml"])?;
        let mut side = lock(&self.sides[number]);
        let before = side.cluster.kubectl(&["get", "secret", "-n", "istio-system", "cacerts", "-o", "yaml"])?;
        side.cluster.kubectl(&["delete", "secret", "-n", "istio-system", "cacerts"])?;
        self.ok(&["certs", "install", "-f", "foreign/fleet.yaml", "--yes"])?;
        let after = side.cluster.kubectl(&["get", "secret", "-n", "istio-system", "cacerts", "-o", "yaml"])?;
        ensure!(before != after, "the Secret is as it was");
        side.cacerts = mounted(&side.cluster)?;
        side.istiod = None;
        side.istiod = Some(Istiod::start(&side.cluster, side.number, &Config::OfCluster, Some(&side.cacerts))?);
        side.cluster.kubectl(&["delete", "pods", "--all", "-n", NAMESPACE])?;
        side.cluster.kubectl(&["delete", "pods", "--all", "-n", "istio-system"])?;
        side.ready()
    }

    /// failctl, in the lab's folder.
    pub fn failctl(&self, args: &[&str]) -> anyhow::Result<Output> {
        let kubeconfigs = CLUSTERS.map(|name| self.dir.join(format!("{name}.kubeconfig")).display().to_string());
        let mut command = Command::new(support::failctl());
        command.args(args).current_dir(&self.dir).stdin(Stdio::null());
        command.env("KUBECONFIG", kubeconfigs.join(":")).env("HOME", &self.dir);
        command.env("XDG_STATE_HOME", self.dir.join("state"));
        command.output().context("running failctl")
    }

    /// The same; it must succeed.
    pub fn ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let out = self.failctl(args)?;
        let (said, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        ensure!(out.status.success(), "failctl {}: {}\n{said}{error}", args.join(" "), out.status);
        Ok(said.into_owned())
    }
}

/// A side, also when another thread panicked while it had it.
pub fn lock(side: &Mutex<Side>) -> std::sync::MutexGuard<'_, Side> {
    side.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Side {
    fn start(number: u16, cluster: Cluster, dir: &Path, envoy: &Path) -> anyhow::Result<Side> {
        let name = CLUSTERS[usize::from(number)];
        let site = site(number);
        let mesh = site.mesh();
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": mesh}});
        cluster.kubectl_apply("mesh.json", &config.to_string())?;
        let cacerts = mounted(&cluster)?;
        let istiod = Istiod::start(&cluster, number, &Config::OfCluster, Some(&cacerts))?;
        let kubeconfig = cluster.kubeconfig_path().display().to_string();
        let scheduler = cluster.start_scheduler()?;
        let template = program("istio")?.join("tools/packaging/common/envoy_bootstrap.json");
        let args = [
            ["sandbox", "node"].map(String::from).to_vec(),
            flag("kubeconfig", &kubeconfig),
            flag("node-name", &format!("{name}-node")),
            flag("address", &format!("10.244.255.{}", number + 1)),
            flag("pods", &format!("10.244.{}.0/24", number + 1)),
            flag("load-balancers", &format!("10.244.{}.0/24", 200 + number)),
            flag("label", &format!("topology.kubernetes.io/region={name}")),
            flag("label", &format!("topology.kubernetes.io/zone={name}-a")),
            flag("istio-agent", &program("pilot-agent")?.display().to_string()),
            flag("istio-bootstrap", &template.display().to_string()),
            flag("envoy", &envoy.display().to_string()),
        ]
        .concat();
        let mut node = Program::new("node", support::failctl(), &dir.join(name), &args);
        node.env.push(("TMPDIR".into(), dir.display().to_string()));
        let node = node.start()?;
        Ok(Side { name, cluster, istiod: Some(istiod), number, cacerts, _scheduler: scheduler, _node: node })
    }

    fn populate(&self, services: &[&str]) -> anyhow::Result<()> {
        let site = site(self.number);
        let mut all = site.gateway();
        all.extend(site.servers(services));
        all.extend(site.caller());
        let text: Vec<String> = all.iter().map(Value::to_string).collect();
        self.cluster.kubectl_apply("objects.yaml", &text.join("\n---\n"))
    }

    /// Waits until every Deployment is rolled out and the gateway has its address.
    fn ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let wanted =
            ["get", "deploy", "-A", "-o", "jsonpath={range .items[*]}{.metadata.name}={.status.readyReplicas} {end}"];
        loop {
            let said = self.cluster.kubectl(&wanted)?;
            if !said.is_empty() && said.split_whitespace().all(|d| d.ends_with("=1")) {
                return Ok(());
            }
            if begun.elapsed() > SOON {
                let pods = self.cluster.kubectl(&["describe", "pods", "-A"])?;
                bail!(
                    "{}: not ready: {said}\n{pods}\n{}",
                    self.name,
                    self.istiod.as_ref().map_or(String::new(), Istiod::tail)
                );
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Kills the API server, the controllers and istiod.
    pub fn control_off(&mut self) -> anyhow::Result<()> {
        self.istiod = None;
        self.cluster.kill_control();
        Ok(())
    }

    /// Starts them again, if they are down.
    pub fn control_on(&mut self) -> anyhow::Result<()> {
        if self.istiod.is_none() {
            self.cluster.revive_control()?;
            let istiod = Istiod::start(&self.cluster, self.number, &Config::OfCluster, Some(&self.cacerts))?;
            self.istiod = Some(istiod);
        }
        Ok(())
    }
}

fn flag(name: &str, value: &str) -> Vec<String> {
    vec![format!("--{name}"), value.to_owned()]
}

fn site(number: u16) -> Site<'static> {
    const DISCOVERY: [&str; 2] = ["istiod.istio-system.svc:20002", "istiod.istio-system.svc:20102"];
    debug_assert!(DISCOVERY[0].starts_with(NAME));
    let at = usize::from(number);
    Site { name: CLUSTERS[at], discovery: DISCOVERY[at], gateway_port: 15543 + 100 * number, loopback: LOOPBACK[at] }
}

/// The Secret `cacerts` as a folder: what a kubelet mounts for istiod.
fn mounted(cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let said = cluster.kubectl(&["get", "secret", "-n", "istio-system", "cacerts", "-o", "json"])?;
    let secret: Value = serde_json::from_str(&said)?;
    let dir = cluster.plan.dir.join("cacerts");
    std::fs::create_dir_all(&dir)?;
    for (name, value) in secret["data"].as_object().context("Secret cacerts has no data")? {
        std::fs::write(dir.join(name), BASE64_STANDARD.decode(value.as_str().unwrap_or_default())?)?;
    }
    Ok(dir)
}
