//! EDGE. A Kubernetes API server for one cluster of the sandbox: HTTPS, bearer tokens, RBAC, watches, and state that
//! survives a restart. Real clients (kubectl, kube) are what it is made for and measured by.
//! What comes in: an address, perhaps a directory. What goes out: a running [`Server`] and a kubeconfig for it.
//! May not know: nodes, controllers, Envoys: they are its clients.

pub mod auth;
mod bootstrap;
mod convert;
pub mod defaults;
mod definition;
mod discovery;
mod http;
mod identity;
mod journal;
mod kinds;
mod listen;
mod negotiate;
pub mod openapi;
mod pages;
mod pieces;
mod pods;
pub mod printing;
pub mod protobuf;
mod proxy;
mod rbac;
mod read;
mod reviews;
mod route;
mod scale;
pub mod schema;
mod selector;
mod serve;
mod services;
pub mod ssa;
mod state;
mod status;
mod store;
pub mod strategic;
mod tokens;
mod unverified;
mod watch;
mod webhooks;
mod write;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use auth::User;

/// How an API server is started.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Name of the cluster, as its kubeconfig calls it.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where its state is kept; none keeps it in memory alone.
    pub dir: Option<PathBuf>,
    /// First address for Services (250 from here on). None: the address at `bind` with the third octet plus 8, as the
    /// sandbox divides its range; 10.96.0.1 for a server outside of 127.0.0.0/8.
    pub service_addresses: Option<Ipv4Addr>,
    /// Users by bearer token, besides the administrator whose token the server makes itself.
    pub users: BTreeMap<String, User>,
    /// How many events per kind a watch can go back.
    pub history: usize,
}

impl ApiConfig {
    /// A server with nothing special about it.
    pub fn new(name: &str, bind: SocketAddr) -> ApiConfig {
        ApiConfig {
            name: name.into(),
            bind,
            dir: None,
            service_addresses: None,
            users: BTreeMap::new(),
            history: 10_000,
        }
    }

    /// The same, with its state kept in a directory (made if absent, for its owner alone).
    pub fn kept_in(mut self, dir: impl Into<PathBuf>) -> ApiConfig {
        self.dir = Some(dir.into());
        self
    }

    fn first_service(&self) -> Ipv4Addr {
        let derived = match self.bind.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c.saturating_add(8), 1)
            }
            _ => Ipv4Addr::new(10, 96, 0, 1),
        };
        self.service_addresses.unwrap_or(derived)
    }

    fn open(&self) -> anyhow::Result<state::Api> {
        if let Some(dir) = &self.dir {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let identity = identity::Identity::open(self.dir.as_deref(), &self.name, self.bind.ip())?;
        let store = store::Store::open(self.dir.as_deref(), self.history)?;
        let state = state::State::new(store);
        Ok(state::Api::new(&self.name, identity, self.users.clone(), self.first_service(), state))
    }
}

/// A running API server.
pub struct Server {
    config: ApiConfig,
    address: SocketAddr,
    api: Arc<state::Api>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// An API server that died. Its state is as it was: on disk, or (without a directory) in memory.
pub struct Dead {
    config: ApiConfig,
    api: Option<Arc<state::Api>>,
}

impl Server {
    /// Starts a server; it answers when this returns.
    ///
    /// # Errors
    /// When the address is taken, or its directory cannot be used.
    pub async fn start(config: ApiConfig) -> anyhow::Result<Server> {
        let api = Arc::new(config.open()?);
        Server::over(config, api).await
    }

    async fn over(mut config: ApiConfig, api: Arc<state::Api>) -> anyhow::Result<Server> {
        let listener = TcpListener::bind(config.bind).await;
        let listener =
            listener.with_context(|| format!("the API of {} cannot listen on {}", config.name, config.bind))?;
        let address = listener.local_addr()?;
        config.bind = address;
        let made = bootstrap::complete(&api, address, jiff::Timestamp::now());
        made.map_err(|status| anyhow::anyhow!("{}", status.message()))?;
        let stop = CancellationToken::new();
        let tls = TlsAcceptor::from(api.identity.tls()?);
        let task = tokio::spawn(listen::listen(api.clone(), listener, tls, stop.clone()));
        Ok(Server { config, address, api, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA its certificate is verified with, PEM.
    pub fn ca(&self) -> &str {
        self.api.identity.ca()
    }

    /// A kubeconfig of one context with the administrator's token.
    pub fn kubeconfig(&self, context: &str) -> Kubeconfig {
        self.kubeconfig_with(context, self.api.identity.token())
    }

    /// A kubeconfig of one context with somebody's token.
    pub fn kubeconfig_with(&self, context: &str, token: &str) -> Kubeconfig {
        let name = &self.config.name;
        let value = json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": context,
            "clusters": [{"name": name, "cluster":
                {"server": self.url(), "certificate-authority-data": self.api.identity.ca_base64()}}],
            "users": [{"name": format!("{name}-admin"), "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": name, "user": format!("{name}-admin")}}],
        });
        serde_json::from_value(value).expect("a kubeconfig made of plain strings")
    }

    /// A client over TCP, as administrator.
    ///
    /// # Errors
    /// When its TLS cannot be set up.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_with(self.api.identity.token()).await
    }

    /// A client over TCP with somebody's token.
    ///
    /// # Errors
    /// When its TLS cannot be set up.
    pub async fn client_with(&self, token: &str) -> anyhow::Result<kube::Client> {
        let kubeconfig = self.kubeconfig_with("x", token);
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// A client without a network in between, as administrator: the same handler, for quick tests.
    /// Streams through nodes (exec, attach, port-forward) need a connection and are refused.
    pub fn local_client(&self) -> kube::Client {
        local_client(self.api.clone())
    }

    /// Forgets the history of events, as etcd's compaction does: watches from older revisions get 410.
    pub fn compact(&self) {
        self.api.lock().store.compact();
    }

    /// Stops politely: watches end, answers are finished (for a second), everything is on disk.
    ///
    /// # Errors
    /// When the last lines cannot be forced to disk.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.api.closing.cancel();
        self.stop.cancel();
        let mut task = self.task;
        if tokio::time::timeout(Duration::from_secs(3), &mut task).await.is_err() {
            task.abort();
        }
        self.api.lock().store.close(true)
    }

    /// Dies as a killed process does: every connection breaks, nothing is finished, the address is free.
    pub async fn kill(self) -> Dead {
        self.task.abort();
        // The task's end, not its result: it was aborted.
        let _ = self.task.await;
        self.api.closing.cancel();
        if self.config.dir.is_none() {
            return Dead { config: self.config, api: Some(self.api) };
        }
        if let Err(error) = self.api.lock().store.close(false) {
            tracing::warn!("{error:#}");
        }
        Dead { config: self.config, api: None }
    }
}

impl Dead {
    /// Starts again on the same address, with the same certificate, tokens and state.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start(self) -> anyhow::Result<Server> {
        match self.api {
            None => Server::start(self.config).await,
            Some(api) => Server::over(self.config, Arc::new(api.revived())).await,
        }
    }
}

/// An API without an address, for tests of what needs only a client: nothing is kept, nothing listens.
///
/// # Errors
/// When keys cannot be made.
pub fn in_process() -> anyhow::Result<kube::Client> {
    let bind = SocketAddr::from(([10, 0, 0, 1], 6443));
    let api = Arc::new(ApiConfig::new("in-process", bind).open()?);
    let made = bootstrap::complete(&api, bind, jiff::Timestamp::now());
    made.map_err(|status| anyhow::anyhow!("{}", status.message()))?;
    Ok(local_client(api))
}

fn local_client(api: Arc<state::Api>) -> kube::Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| serve::local(api.clone(), request));
    kube::Client::new(service, "default")
}
