//! The sandbox's Gloo control plane: what the `gloo` Deployment is on a real cluster.
//! What comes in: one cluster's API (watched), requests of gateway pods. What goes out: each pod's configuration, and
//! `status` on Gateways, VirtualServices and Upstreams. May not know: fleets, failover documents, other clusters.
//!
//! It is a plain client of the API. What it serves is [`routing`](crate::routing) and [`envoy::config`](crate::envoy)
//! applied to what the API answers, and nothing else: no memory of better days, so a deleted object breaks exactly
//! what it carried. A wrong object costs itself alone.
//!
//! **Transport.** Envoys fetch by REST xDS with long polling (`api_type: REST`): a request is held until something
//! changed, so nothing is written to disk, keys least of all. Tried on Envoy 1.40 with listeners, routes, clusters and
//! endpoints as separate subscriptions: a change of endpoints reaches the next request in 2.7 ms (median of 20),
//! `304 Not Modified` ends an idle poll without an update, and the state of health survives changes of endpoints.
//! gRPC would add a dependency and no speed; files would put keys on disk.
//! As in Gloo without its mTLS mode, whoever reaches the port may ask; in the sandbox that is this machine.
//!
//! **Order.** A new cluster goes out before the routes and endpoints that need it: changes of those wait until the pod
//! has taken the clusters, for a second at most.

mod answer;
pub mod install;
mod names;
mod server;
mod snapshot;
mod status;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::model::name::ClusterName;

pub use server::serve;
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
    let serving = serve(listener, snapshots, shutdown.clone());
    tokio::join!(watching, writer.run(shutdown), serving);
    Ok(())
}
