//! The sandbox's Istio control plane: what the `istiod` Deployment is on a real cluster.
//! What comes in: one cluster's API (watched), requests of sidecars and gateways, pods to be admitted. What goes out: each
//! proxy's configuration and certificate, and the proxy container in new pods. May not know: fleets, failover
//! documents, other clusters but those whose kubeconfigs lie in its own.
//!
//! It is a plain client of the API. What it serves is [`routing::istio`](crate::routing::istio) and
//! [`envoy::config`](crate::envoy) applied to what the API answers, and nothing else: a deleted object breaks exactly
//! what it carried. How it reaches Envoys is [`xds`](super::xds); unlike istiod it does not ask a proxy who it is, so
//! whoever reaches the port gets any workload's certificate: in the sandbox that is this machine.
//!
//! Certificates come from Secret `cacerts`, or from an authority of its own when there is none, kept in Secret
//! `istio-ca-secret` as istiod does. Both are followed while it runs.

mod authority;
mod certificates;
mod inject;
pub mod install;
mod remotes;
mod root;
mod snapshot;
mod watch;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::xds;
use crate::model::name::ClusterName;

pub use inject::{Injection, patch};
pub use install::{Install, objects};
pub use snapshot::Snapshot;

/// The port real istiod serves plain xDS on.
pub const XDS_PORT: u16 = 15010;
/// The port of its webhook for pods.
pub const WEBHOOK_PORT: u16 = 15017;

/// What a control plane needs.
pub struct IstioConfig {
    /// A client of its cluster.
    pub client: kube::Client,
    /// The name of that cluster.
    pub cluster: ClusterName,
    /// The namespace Istio is installed in.
    pub namespace: String,
    /// The network of its cluster's pods.
    pub network: String,
    /// The version it stands for: of the proxies it puts into pods.
    pub version: String,
    /// Where Envoys reach it.
    pub xds: SocketAddr,
    /// Where the API server reaches its webhook.
    pub webhook: SocketAddr,
}

/// Runs until `shutdown`. Errors when a port is taken or no certificate can be made.
pub async fn run(config: IstioConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let cluster = &config.cluster;
    let listen = async |at: SocketAddr, what: &str| {
        let listener = TcpListener::bind(at).await;
        listener.with_context(|| format!("the Istio control plane of {cluster} cannot listen on {at} for {what}"))
    };
    let (envoys, pods) = (listen(config.xds, "proxies").await?, listen(config.webhook, "pods").await?);
    let identity = webhook::Identity::make(config.webhook.ip()).context("a certificate for the webhook")?;
    let injection = Injection {
        version: config.version.clone(),
        discovery: config.xds,
        cluster: config.cluster.to_string(),
        namespace: config.namespace.clone(),
        network: config.network.clone(),
    };
    let (publish, snapshots) = tokio::sync::watch::channel(Arc::new(Snapshot::default()));
    let ca = identity.ca().to_string();
    let watching = watch::run(config.client, config.cluster.clone(), &config.namespace, ca, publish, shutdown.clone());
    let serving = xds::serve(envoys, snapshots, shutdown.clone());
    let admitting = webhook::serve(pods, identity, injection, shutdown);
    tokio::join!(watching, serving, admitting);
    Ok(())
}
