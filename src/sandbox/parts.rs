//! What is installed on a cluster, and what runs for it beside its node and its API server.
//! What comes in: what a cluster runs, its addresses. What goes out: definitions, objects, running control planes.
//! May not know: power, other clusters beyond their names.

use std::net::SocketAddr;

use anyhow::Context as _;
use futures::future::BoxFuture;
use kube::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::address::Addresses;
use super::cluster::ClusterSpec;
use super::controllers::federation::{self, decide::Settings};
use super::controllers::{self, ControllersConfig};
use super::door::ISTIO;
use super::gloo_control::install::Install as GlooInstall;
use super::gloo_control::{self, ControlConfig};
use super::istio_control::install::Install as IstioInstall;
use super::istio_control::{self, IstioConfig};
use super::{crds, setup, smh};
use crate::model::fleet::Edition;

/// The version of Gloo that the sandbox stands for: the first whose routes can retry on another priority is older.
pub const GLOO_VERSION: &str = "1.18.3";
/// The version of Istio that the sandbox stands for.
pub const ISTIO_VERSION: &str = "1.27.3";

/// A cluster among the others of its sandbox.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whether it is the first: where Gloo runs, it manages Federation.
    pub first: bool,
    /// Trust domains that its mesh lets in from the start: those of the other clusters, where a hub makes trust common.
    pub trusts: Vec<String>,
}

impl Place {
    /// The place of cluster number `index`.
    pub fn of(index: usize, all: &[ClusterSpec]) -> Place {
        let hub = all.iter().any(|c| c.runs.hub);
        let others = all.iter().enumerate().filter(|(i, c)| hub && *i != index && c.runs.istio);
        Place { first: index == 0, trusts: others.map(|(_, c)| trust_domain(c)).collect() }
    }
}

/// The trust domain of a cluster's mesh: its own name, as in the article.
pub fn trust_domain(spec: &ClusterSpec) -> String {
    spec.name.to_string()
}

/// Whether Federation runs on a cluster.
pub fn federates(spec: &ClusterSpec, place: &Place) -> bool {
    spec.runs.gloo && place.first
}

/// The definitions that a cluster's parts bring.
pub fn definitions(spec: &ClusterSpec, place: &Place) -> anyhow::Result<Vec<Value>> {
    let when = |wanted: bool, make: fn() -> Vec<_>| if wanted { make() } else { Vec::new() };
    let gloo = when(spec.runs.gloo, crds::gloo).into_iter().chain(when(federates(spec, place), crds::federation));
    let mesh = when(spec.runs.istio, crds::istio).into_iter().chain(when(spec.runs.hub, crds::hub));
    gloo.chain(mesh).map(|d| serde_json::to_value(d).context("a definition is no JSON")).collect()
}

/// The objects that a cluster's parts bring, in an order in which they can be created.
pub fn objects(spec: &ClusterSpec, place: &Place, addresses: Addresses) -> Vec<Value> {
    let (http, https) = (low_port_or(addresses, 80, 8080), low_port_or(addresses, 443, 8443));
    let mut all = Vec::new();
    if spec.runs.gloo {
        all.extend(gloo_control::install::objects(&GlooInstall {
            namespace: setup::GLOO.into(),
            edition: Edition::Enterprise,
            version: GLOO_VERSION.into(),
            xds: addresses.control(),
            http,
            https,
        }));
    }
    if federates(spec, place) {
        all.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": setup::FEDERATION}}));
    }
    if spec.runs.istio {
        all.extend(istio_control::objects(&IstioInstall {
            namespace: ISTIO.into(),
            version: ISTIO_VERSION.into(),
            cluster: spec.name.to_string(),
            trust_domain: trust_domain(spec),
            aliases: place.trusts.clone(),
            network: spec.name.to_string(),
            xds: addresses.istiod(),
            webhook: addresses.inject(),
            http,
            https,
        }));
    }
    if spec.runs.hub {
        all.extend(smh::install::objects());
    }
    all
}

/// `low` where this user may listen on it, else `high`.
fn low_port_or(addresses: Addresses, low: u16, high: u16) -> u16 {
    let last = SocketAddr::from((addresses.load_balancers().last, low));
    if std::net::TcpListener::bind(last).is_ok() { low } else { high }
}

/// A part at work; it ends when told.
pub type Work = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// What dies with the cluster's own machines: Kubernetes' controllers, discovery, Federation, the hub, control planes.
pub fn work(spec: &ClusterSpec, place: &Place, addresses: Addresses, ca: &str, client: &Client) -> Vec<Work> {
    let client = || client.clone();
    let config = ControllersConfig {
        load_balancers: addresses.load_balancers(),
        gloo: setup::GLOO.into(),
        root: Some(ca.to_owned()),
    };
    let own = client();
    let mut all: Vec<Work> = vec![Box::new(move |stop| Box::pin(controllers::run(own, config, stop)))];
    if spec.runs.gloo {
        let discovering = client();
        all.push(Box::new(move |stop| Box::pin(controllers::run_discovery(discovering, setup::GLOO.into(), stop))));
        let control = ControlConfig {
            client: client(),
            cluster: spec.name.clone(),
            namespace: setup::GLOO.into(),
            bind: addresses.control(),
        };
        all.push(Box::new(move |stop| Box::pin(async move { report(gloo_control::run(control, stop).await) })));
    }
    if federates(spec, place) {
        let settings = Settings { namespace: setup::GLOO.into(), gloo: setup::GLOO.into() };
        let managing = client();
        all.push(Box::new(move |stop| Box::pin(federation::run::run(managing, settings, stop))));
    }
    if spec.runs.istio {
        let control = IstioConfig {
            client: client(),
            cluster: spec.name.clone(),
            namespace: ISTIO.into(),
            network: spec.name.to_string(),
            version: ISTIO_VERSION.into(),
            xds: addresses.istiod(),
            webhook: addresses.inject(),
        };
        all.push(Box::new(move |stop| Box::pin(async move { report(istio_control::run(control, stop).await) })));
    }
    if spec.runs.hub {
        let managing = client();
        all.push(Box::new(move |stop| Box::pin(smh::run::run(managing, stop))));
    }
    all
}

fn report(ended: anyhow::Result<()>) {
    if let Err(error) = ended {
        tracing::error!("{error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cluster::parse;
    use crate::sandbox::stack::Stack;

    #[test]
    fn meshes_under_a_hub_let_each_other_in_and_others_begin_alone() {
        let hub = Stack::Hub.on(parse("kind1,kind2,kind3").unwrap());
        assert_eq!(Place::of(1, &hub).trusts, ["kind3"]);
        let alone = Stack::Istio.on(parse("a,b").unwrap());
        assert!(Place::of(0, &alone).trusts.is_empty());
    }

    #[test]
    fn federation_runs_on_the_first_cluster_with_gloo_alone() {
        let federating = |stack: Stack| {
            let all = stack.on(parse("a,b").unwrap());
            (0..2).map(|i| federates(&all[i], &Place::of(i, &all))).collect::<Vec<_>>()
        };
        assert_eq!(federating(Stack::Both), [true, false]);
        assert_eq!(federating(Stack::Istio), [false, false]);
    }
}
