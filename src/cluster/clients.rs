//! One client per cluster of the fleet, made when it is first needed, from contexts named explicitly: the
//! kubeconfig's current-context is neither read nor changed. What comes in: cluster names with their contexts.
//! What goes out: clients, or why there is none. May not know: what is asked of a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use indexmap::IndexMap;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::OnceCell;

use crate::compile::membership::Endpoint;
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// How long a connection may take to open (kube's default of 30 s is too long for a table of clusters).
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take, from sending it to its whole answer.
pub const REQUEST: Duration = Duration::from_secs(30);

/// Why a cluster did not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No answer: no connection, no route, timeout, TLS refused.
    #[error("{0}")]
    Unreachable(String),
    /// It answered and refused: the HTTP status and the sentence of the server.
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The server's sentence.
        message: String,
    },
}

impl Trouble {
    /// Whether the thing asked for is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Trouble::Refused { code: 404, .. })
    }
}

struct Entry {
    context: String,
    client: OnceCell<Client>,
}

/// Clients of the fleet's clusters.
#[derive(Clone)]
pub struct Clients {
    kubeconfig: Arc<Kubeconfig>,
    entries: Arc<IndexMap<ClusterName, Entry>>,
}

impl Clients {
    /// Clients for every cluster of a fleet. A context that the kubeconfig does not have is a problem.
    /// `file`: `--kubeconfig`; else `$KUBECONFIG` (several files are merged), then `~/.kube/config`.
    pub fn of(fleet: &Fleet, file: Option<&Path>) -> Result<Clients, Vec<Problem>> {
        let contexts = fleet.clusters.values().map(|c| (c.name.clone(), c.context.clone()));
        Clients::new(contexts, read(file)?)
    }

    /// Clients for named contexts of one kubeconfig.
    pub fn new(
        contexts: impl IntoIterator<Item = (ClusterName, String)>,
        kubeconfig: Kubeconfig,
    ) -> Result<Clients, Vec<Problem>> {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
        let contexts: Vec<_> = contexts.into_iter().collect();
        let problems: Vec<_> = contexts
            .iter()
            .filter(|(_, context)| !known.contains(&context.as_str()))
            .map(|(cluster, context)| unknown_context(cluster, context, &known))
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let entry = |(cluster, context)| (cluster, Entry { context, client: OnceCell::new() });
        let entries = Arc::new(contexts.into_iter().map(entry).collect());
        Ok(Clients { kubeconfig: Arc::new(kubeconfig), entries })
    }

    /// The clusters, in the fleet's order.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        self.entries.keys()
    }

    /// The kubeconfig context of a cluster.
    pub fn context(&self, cluster: &str) -> Option<&str> {
        self.entries.get(cluster).map(|e| e.context.as_str())
    }

    /// How a cluster's API server is reached, as the kubeconfig says: the address, its CA inline, what else belongs to
    /// the way there. The user's own credential is no part of it.
    ///
    /// # Errors
    /// When the context names no server, or the CA's file cannot be read.
    pub fn endpoint(&self, cluster: &str) -> anyhow::Result<Endpoint> {
        let context = self.context(cluster).with_context(|| format!("`{cluster}` is not a cluster of the fleet"))?;
        let named = self.kubeconfig.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
        let name = &named.with_context(|| format!("the context `{context}` is empty"))?.cluster;
        let found = self.kubeconfig.clusters.iter().find(|c| c.name == *name).and_then(|c| c.cluster.as_ref());
        let found = found.with_context(|| format!("the kubeconfig has no cluster `{name}`"))?;
        let server = found.server.clone().with_context(|| format!("the cluster `{name}` has no server"))?;
        let ca = match (&found.certificate_authority_data, &found.certificate_authority) {
            (Some(data), _) => Some(base64::engine::general_purpose::STANDARD.decode(data)?),
            (None, Some(file)) => Some(std::fs::read(file).with_context(|| format!("reading {file}"))?),
            (None, None) => None,
        };
        Ok(Endpoint {
            server,
            ca: ca.map(String::from_utf8).transpose().context("the CA is not PEM")?,
            tls_server_name: found.tls_server_name.clone(),
            proxy_url: found.proxy_url.clone(),
            insecure: found.insecure_skip_tls_verify.unwrap_or(false),
        })
    }

    /// The client of a cluster. Making it reads files and may run a credential plugin; it does not connect.
    pub async fn client(&self, cluster: &str) -> Result<Client, Trouble> {
        let unknown = || Trouble::Unreachable(format!("`{cluster}` is not a cluster of the fleet"));
        let entry = self.entries.get(cluster).ok_or_else(unknown)?;
        let made = entry.client.get_or_try_init(|| make(&self.kubeconfig, &entry.context)).await;
        made.cloned().map_err(|e| Trouble::Unreachable(format!("context `{}`: {e:#}", entry.context)))
    }
}

/// One kubeconfig of several files, the first one winning; of the default places when there are none.
///
/// # Errors
/// When a file cannot be read.
pub fn merged(files: &[PathBuf]) -> anyhow::Result<Kubeconfig> {
    let mut all: Option<Kubeconfig> = None;
    for file in files {
        let read = Kubeconfig::read_from(file)?;
        all = Some(match all {
            Some(first) => first.merge(read)?,
            None => read,
        });
    }
    all.map_or_else(|| Ok(Kubeconfig::read()?), Ok)
}

/// A client from a kubeconfig's text, as whoever reads a registration makes one.
///
/// # Errors
/// When it is no kubeconfig, or its parts do not fit together.
pub async fn of_text(kubeconfig: &str) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("the kubeconfig cannot be read")?;
    let context = kubeconfig.current_context.clone().context("the kubeconfig has no current-context")?;
    make(&kubeconfig, &context).await
}

async fn make(kubeconfig: &Kubeconfig, context: &str) -> anyhow::Result<Client> {
    let options = KubeConfigOptions { context: Some(context.to_string()), ..Default::default() };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await?;
    config.connect_timeout = Some(CONNECT);
    // No read timeout on the connection: port-forwards and watches are long and silent. Requests have their own
    // deadline, and retries are decided where the request is known to be repeatable.
    config.read_timeout = None;
    config.write_timeout = None;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

fn read(file: Option<&Path>) -> Result<Kubeconfig, Vec<Problem>> {
    let made = match file {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::from_env().and_then(|found| found.map_or_else(Kubeconfig::read, Ok)),
    };
    made.map_err(|e| {
        let from = file.map(Path::to_path_buf).or_else(from_environment);
        let which = from.map_or("the kubeconfig".to_string(), |p| format!("the kubeconfig {}", p.display()));
        let problem = Problem::error("FCC0101", format!("{which} cannot be read: {e}"));
        vec![problem.hint("name one with --kubeconfig FILE or $KUBECONFIG")]
    })
}

fn from_environment() -> Option<PathBuf> {
    std::env::var_os("KUBECONFIG").map(PathBuf::from)
}

fn unknown_context(cluster: &ClusterName, context: &str, known: &[&str]) -> Problem {
    let near = known.iter().max_by(|a, b| {
        let likeness = |k: &str| strsim::jaro_winkler(k, context);
        likeness(a).total_cmp(&likeness(b))
    });
    let near = near.filter(|k| strsim::jaro_winkler(k, context) > 0.8);
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "the kubeconfig has no contexts; name another with --kubeconfig FILE".into(),
        None => format!("it has: {}", known.join(", ")),
    };
    Problem::error("FCC0102", format!("cluster {cluster}: the kubeconfig has no context `{context}`")).hint(hint)
}

/// What a client's error means: refused by the server, or no answer.
pub fn trouble_of(error: &kube::Error) -> Trouble {
    match error {
        kube::Error::Api(status) => Trouble::Refused { code: status.code, message: status.message.clone() },
        other => Trouble::Unreachable(chain(other)),
    }
}

/// An error with its causes, without repeating what the outer text already contains.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        next = cause.source();
    }
    text.trim_start_matches("ServiceError: ").to_string()
}
