//! The API servers that tests shared with the other rings run against. Here: real ones.
//!
//! `tests/it/ground.rs` offers the same with the sandbox's behind it; the shared tests cannot tell.

use kube::Client;
use kube::config::Kubeconfig;

use crate::kit::pool::Lease;

/// One API server, empty but for what every server has.
pub struct ApiServer(Lease);

impl ApiServer {
    /// Starts one.
    pub async fn start() -> ApiServer {
        ApiServer::start_many(1).await.remove(0)
    }

    /// Starts several; a test that needs two asks for both at once.
    pub async fn start_many(count: usize) -> Vec<ApiServer> {
        Lease::take(count).into_iter().map(ApiServer).collect()
    }

    /// A kubeconfig of one context with the administrator's token.
    pub fn kubeconfig(&self, context: &str) -> Kubeconfig {
        self.0.kubeconfig(context)
    }

    /// A kubeconfig of one context with somebody's token.
    pub fn kubeconfig_with(&self, context: &str, token: &str) -> Kubeconfig {
        self.0.kubeconfig_with(context, token)
    }

    /// A client, as administrator.
    pub async fn client(&self) -> Client {
        self.0.client().await.unwrap()
    }

    /// A client with somebody's token.
    pub async fn client_with(&self, token: &str) -> Client {
        self.0.client_with(token).await.unwrap()
    }

    /// The CA its certificate is verified with, PEM.
    pub fn ca(&self) -> &str {
        self.0.ca()
    }
}
