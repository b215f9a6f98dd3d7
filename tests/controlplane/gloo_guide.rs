//! The guide to service failover with Gloo Federation, typed at real API servers: real controllers and schedulers, the
//! sandbox's nodes, and the sandbox's Gloo (control plane, discovery, Federation) as a client of theirs.

use std::path::Path;

use failctl::model::fleet::Edition;
use failctl::model::name::ClusterName;
use failctl::sandbox::address::Block;
use failctl::sandbox::controllers::federation::{self, decide::Settings};
use failctl::sandbox::gloo_control::{self, ControlConfig, install::Install};
use failctl::sandbox::parts::GLOO_VERSION;
use failctl::sandbox::setup::{self, GLOO, Registration};
use failctl::sandbox::{controllers, crds};
use kube::Client;
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::guide;
use crate::kit::cluster::{CONTROLLERS, Cluster, Plan, start_all};
use crate::kit::namespace::inside;
use crate::kit::process::{Process, Program};
use crate::kit::{self, net};
use crate::support;
use crate::typist::Typist;

/// Names and contexts, as the guide has them; the first manages Federation.
const CLUSTERS: [(&str, &str); 2] = [("local", "gloo-fed"), ("remote", "gloo-fed-2")];

/// A cluster whose Pods run.
struct Site {
    cluster: Cluster,
    client: Client,
    _scheduler: Process,
    _node: Process,
}

impl Site {
    async fn start(number: usize, cluster: Cluster, envoy: &Path) -> anyhow::Result<Site> {
        let dir = &cluster.plan.dir;
        let kubeconfig = format!("--kubeconfig={}", cluster.kubeconfig_path().display());
        let scheduler = cluster.start_scheduler()?;
        let flags = [
            "sandbox".into(),
            "node".into(),
            kubeconfig,
            format!("--node-name=n{number}"),
            format!("--address=10.244.255.{}", number + 1),
            format!("--pods=10.244.{}.0/24", number + 1),
            format!("--load-balancers=10.244.{}.0/24", 200 + number),
            format!("--envoy={}", envoy.display()),
        ];
        let node = Program::new("node", support::failctl(), dir, &flags).start()?;
        let client = cluster.client().await?;
        Ok(Site { cluster, client, _scheduler: scheduler, _node: node })
    }

    /// Puts Gloo on the cluster, as its installation leaves it, and lets its parts work for as long as this process lives.
    async fn gloo(&self, name: &str, manages: bool) -> anyhow::Result<()> {
        let when = |wanted: bool, make: fn() -> Vec<_>| if wanted { make() } else { Vec::new() };
        let definitions = crds::gloo().into_iter().chain(when(manages, crds::federation));
        let definitions: Vec<Value> = definitions.map(serde_json::to_value).collect::<Result<_, _>>()?;
        let names: Vec<String> =
            definitions.iter().map(|d| format!("crd/{}", d["metadata"]["name"].as_str().unwrap())).collect();
        let text: Vec<String> = definitions.iter().map(Value::to_string).collect();
        self.cluster.kubectl_apply("definitions.json", &text.join("\n---\n"))?;
        let mut wait = vec!["wait", "--for=condition=Established", "--timeout=60s"];
        wait.extend(names.iter().map(String::as_str));
        self.cluster.kubectl(&wait)?;
        let xds = self.cluster.plan.at.control();
        let mut objects = gloo_control::install::objects(&Install {
            namespace: GLOO.into(),
            edition: Edition::Enterprise,
            version: GLOO_VERSION.into(),
            xds,
            http: 80,
            https: 443,
        });
        if manages {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": setup::FEDERATION}});
            objects.push(namespace);
        }
        setup::install(&self.client, &objects).await?;
        let control = ControlConfig {
            client: self.client.clone(),
            cluster: ClusterName::new(name).map_err(anyhow::Error::msg)?,
            namespace: GLOO.into(),
            bind: xds,
        };
        let stop = CancellationToken::new();
        tokio::spawn(controllers::run_discovery(self.client.clone(), GLOO.into(), stop.clone()));
        tokio::spawn(gloo_control::run(control, stop.clone()));
        if manages {
            let settings = Settings { namespace: GLOO.into(), gloo: GLOO.into() };
            tokio::spawn(federation::run::run(self.client.clone(), settings, stop));
        }
        Ok(())
    }
}

/// Both clusters with Gloo, registered with Federation, and somebody who types.
async fn ready(dir: &Path, envoy: &Path, clusters: Vec<Cluster>) -> anyhow::Result<(Vec<Site>, Typist)> {
    let mut kubeconfig = Kubeconfig::default();
    let mut sites = Vec::new();
    for (number, (cluster, (name, context))) in clusters.into_iter().zip(CLUSTERS).enumerate() {
        kubeconfig = kubeconfig.merge(cluster.kubeconfig(context))?;
        let site = Site::start(number, cluster, envoy).await?;
        site.gloo(name, number == 0).await?;
        sites.push(site);
    }
    for (site, (name, _)) in sites.iter().zip(CLUSTERS) {
        let server = format!("https://{}", site.cluster.plan.at.api());
        let how = Registration::with_federation();
        setup::register(&how, &sites[0].client, &site.client, name, &server, site.cluster.ca()).await?;
        site.cluster.kubectl(&["rollout", "status", "-n", GLOO, "deploy/gateway-proxy", "--timeout=60s"])?;
    }
    let typist = Typist {
        folder: tempfile::tempdir_in(dir)?,
        kubeconfig: dir.join("contexts"),
        fleet: dir.join("failctl.yaml"),
        state: dir.join("state"),
    };
    std::fs::write(&typist.kubeconfig, serde_json::to_string(&kubeconfig)?)?;
    let clusters = CLUSTERS.map(|(name, context)| json!({"name": name, "context": context}));
    let fleet = json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "guide"},
        "spec": {"clusters": clusters}});
    std::fs::write(&typist.fleet, fleet.to_string())?;
    Ok((sites, typist))
}

/// A test at such clusters, in a network of its own.
fn with_guide(dir: &Path, envoy: &Path, test: impl AsyncFnOnce(&Typist)) {
    let plan = |(i, (name, _)): (usize, (&str, &str))| {
        Plan::new(name, Block { second: 77 }.cluster(i).unwrap(), dir).with_controllers(&CONTROLLERS)
    };
    let clusters = start_all(CLUSTERS.into_iter().enumerate().map(plan).collect()).unwrap_or_else(|e| panic!("{e:#}"));
    net::runtime().block_on(async {
        let (_sites, typist) = ready(dir, envoy, clusters).await.unwrap_or_else(|e| panic!("{e:#}"));
        test(&typist).await;
    });
}

#[test]
fn the_guide_typed_at_real_api_servers_shows_blue_then_green_then_blue_and_cleans_up() {
    let envoy = kit::provisions(&[]);
    inside(|dir| with_guide(dir, &envoy, guide::in_order));
}

#[test]
fn every_object_edited_with_kubectl_changes_the_traffic_on_real_api_servers_too() {
    let envoy = kit::provisions(&[]);
    inside(|dir| with_guide(dir, &envoy, guide::edited));
}
