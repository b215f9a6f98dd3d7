//! The sandbox's Gloo control plane: what the `gloo` Deployment is on a real cluster.
//! What comes in: one cluster's API (watched), requests of gateway pods. What goes out: each pod's configuration, and
//! `status` on Gateways, VirtualServices and Upstreams. May not know: fleets, failover documents, other clusters.
//!
//! It is a plain client of the API. What it serves is [`routing`](crate::routing) and [`envoy::config`](crate::envoy)
//! applied to what the API answers, and nothing else: no memory of better days, so a deleted object breaks exactly
//! what it carried. A wrong object costs itself alone.
//
//! How it reaches Envoys is [`xds`](super::xds). As in Gloo without its mTLS mode, whoever reaches the port may ask.

pub mod install;
mod snapshot;
mod status;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::xds;
use crate::model::name::ClusterName;

pub use snapshot::{Snapshot, role};

/// The port real Gloo serves xDS on.
pub const XDS_PORT: u16 = 9977;

/// What a control plane needs.
pub struct ControlConfig {
    /// A client of its cluster.
    pub client: kube::Client,
    /// The name of that cluster, for messages.
    pub cluster: ClusterName,
    /// The namespace Gloo is installed in.
    pub namespace: String,
    /// Where Envoys reach it.
    pub bind: SocketAddr,
}

/// Runs until `shutdown`. Errors when the port is taken.
pub async fn run(config: ControlConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.bind)
        .await
        .with_context(|| format!("the Gloo control plane of {} cannot listen on {}", config.cluster, config.bind))?;
    let (publish, snapshots) = tokio::sync::watch::channel(Arc::new(Snapshot::default()));
    let (reporter, writer) = status::Reporter::new(config.client.clone(), config.namespace.clone());
    let watching = watch::run(config.client, config.cluster, publish, reporter, shutdown.clone());
    let serving = xds::serve(listener, snapshots, shutdown.clone());
    tokio::join!(watching, writer.run(shutdown), serving);
    Ok(())
}
