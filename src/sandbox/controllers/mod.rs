//! The controllers that a real cluster would have, as plain clients of the API.
//!
//! What comes in: a client. What goes out: writes through that client, and the load balancer's listeners.
//! May not know: whose API server it is; how Pods run; commands.
//!
//! | file | stands for |
//! |---|---|
//! | [`deployment`], [`rollout`], [`replicaset`] | kube-controller-manager: Deployments to Pods |
//! | [`endpoints`], [`collector`], [`accounts`] | kube-controller-manager: EndpointSlices, garbage collection, accounts and their tokens |
//! | [`scheduler`] | kube-scheduler |
//! | [`cloud`] | a cloud's controller: addresses for Services of type LoadBalancer |
//! | [`balancer`] | a cloud's load balancers, and kube-proxy |
//! | [`discovery`] | Gloo's `discovery` |
//! | [`federation`] | Gloo Federation's `gloo-fed` |
//!
//! Each is a function of everything observed to the writes it wants ([`runner`]); a [`cache`] watches; [`write`] sends.

pub mod accounts;
pub mod balancer;
pub mod cache;
pub mod cloud;
pub mod collector;
pub mod deployment;
pub mod discovery;
pub mod endpoints;
pub mod federation;
pub mod kind;
pub mod members;
pub mod object;
pub mod observed;
pub mod replicaset;
pub mod rollout;
pub mod runner;
pub mod scheduler;
pub mod write;

use tokio_util::sync::CancellationToken;

use self::cache::Cache;
use self::kind::Kind;
use self::runner::Controller;
use self::write::Writer;
use crate::sandbox::address::Range;

/// What a cluster's controllers must know.
#[derive(Clone, Debug)]
pub struct ControllersConfig {
    /// Addresses for Services of type LoadBalancer.
    pub load_balancers: Range,
    /// Gloo's namespace.
    pub gloo: String,
    /// The PEM of the API server's root certificate, for service account tokens.
    pub root: Option<String>,
}

/// Runs Kubernetes' own controllers until `stop`.
pub async fn run(client: kube::Client, config: ControllersConfig, stop: CancellationToken) {
    let range = config.load_balancers;
    let controllers = vec![
        pure("deployment", deployment::READS, deployment::reconcile),
        pure("replicaset", replicaset::READS, replicaset::reconcile),
        pure("scheduler", scheduler::READS, scheduler::reconcile),
        pure("endpointslice", endpoints::READS, endpoints::reconcile),
        pure("collector", collector::READS, collector::reconcile),
        pure("accounts", accounts::READS, accounts::reconcile),
        pure("cloud", cloud::READS, move |seen, _| cloud::reconcile(seen, &range)),
    ];
    drive(client, controllers, "kube-controller-manager", config.root, stop).await;
}

/// Runs a cloud's load balancers until `stop`: addresses for Services, and what listens there.
pub async fn run_load_balancers(client: kube::Client, range: Range, stop: CancellationToken) {
    let cache = Cache::watch(&client, balancer::READS, &stop);
    let cloud = pure("cloud", cloud::READS, move |seen, _| cloud::reconcile(seen, &range));
    let giving = drive(client, vec![cloud], "cloud-controller-manager", None, stop.clone());
    tokio::join!(giving, balancer::run(cache, range, stop));
}

/// Runs Gloo's discovery until `stop`.
pub async fn run_discovery(client: kube::Client, gloo: String, stop: CancellationToken) {
    let discovery = pure("discovery", discovery::READS, move |seen, now| discovery::reconcile(seen, &gloo, now));
    drive(client, vec![discovery], "gloo-discovery", None, stop).await;
}

fn pure(
    name: &'static str,
    reads: &'static [Kind],
    reconcile: impl Fn(&observed::Observed, jiff::Timestamp) -> runner::Pass + Send + Sync + 'static,
) -> Controller {
    Controller { name, reads, reconcile: Box::new(reconcile) }
}

async fn drive(
    client: kube::Client,
    controllers: Vec<Controller>,
    manager: &'static str,
    root: Option<String>,
    stop: CancellationToken,
) {
    let kinds: std::collections::BTreeSet<Kind> = controllers.iter().flat_map(|c| c.reads).copied().collect();
    let kinds: Vec<Kind> = kinds.into_iter().collect();
    let cache = Cache::watch(&client, &kinds, &stop);
    runner::run(cache, controllers, Writer { client, manager, root }, stop).await;
}
