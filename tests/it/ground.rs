//! The API servers that tests shared with the control-plane ring run against. Here: the sandbox's own.
//!
//! `tests/controlplane/ground.rs` offers the same with a real kube-apiserver behind it; the shared tests cannot tell.

use failctl::sandbox::api::{ApiConfig, Server};
use kube::Client;
use kube::config::Kubeconfig;

/// One API server, empty but for what every server has.
pub struct ApiServer(Server);

impl ApiServer {
    /// Starts one.
    pub async fn start() -> ApiServer {
        ApiServer::start_many(1).await.remove(0)
    }

    /// Starts several; a test that needs two asks for both at once.
    pub async fn start_many(count: usize) -> Vec<ApiServer> {
        let mut servers = Vec::new();
        for number in 0..count {
            let mut config = ApiConfig::new(&format!("cluster-{number}"), ([127, 0, 0, 1], 0).into());
            config.service_addresses = Some([10, 96, 0, 1].into());
            servers.push(ApiServer(Server::start(config).await.unwrap()));
        }
        servers
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
        self.0.local_client()
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
