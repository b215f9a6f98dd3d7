//! `failctl cluster register`.

use std::time::Duration;

use super::enroll::enroll;
use super::needs::Wish;
use super::roll::{Roll, RollArgs};
use crate::cli::Ctx;
use crate::cli::road::{WriteArgs, duration};
use crate::compile::membership::Purpose;
use crate::error::{Exit, Failure};

/// Arguments of `failctl cluster register`.
#[derive(clap::Args, Debug)]
#[command(after_help = "It makes an account on the cluster with what Federation and Istio need and no more, asks for a credential with an end,
writes the registrations (Gloo Federation's Secret and KubernetesCluster on the management cluster, Istio's remote
secret on every other cluster of the mesh), and uses what it stored. Doing it again completes what was interrupted and
changes nothing else; what fails is taken back. Neither the kubeconfig's current-context nor the fleet document is
changed.

Exit codes: 0 registered and tried, 3 the cluster must not be registered under this name, 4 it cannot be reached, 5 a
cluster refused (the message says which permissions are missing), 6 a cluster that should know it was away.

Examples:
  failctl cluster register west
  failctl cluster register west --server https://west.example.com:6443 --lifetime 720h --yes")]
pub struct Args {
    /// A cluster of the fleet
    #[arg(value_name = "CLUSTER", add = crate::cli::complete::clusters())]
    pub cluster: String,
    /// Where the others reach its API server (default: the address in your kubeconfig)
    #[arg(long, value_name = "URL", value_parser = server)]
    pub server: Option<String>,
    /// The name its certificate is verified for, where that is not the address
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Only for Federation, or only for the mesh (default: all that apply)
    #[arg(long, value_name = "WHO", value_parser = purpose)]
    pub only: Option<Purpose>,
    /// How long a credential is good; the cluster may grant less
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = lifetime)]
    pub lifetime: Duration,
    /// Which clusters
    #[command(flatten)]
    pub roll: RollArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// A duration of at least ten minutes: Kubernetes grants nothing shorter.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_secs(600) {
        return Err("Kubernetes issues no token for less than 10m".into());
    }
    if time > Duration::from_secs(1 << 32) {
        return Err("Kubernetes issues no token for more than 2^32 seconds".into());
    }
    Ok(time)
}

/// `federation` or `mesh`.
pub fn purpose(text: &str) -> Result<Purpose, String> {
    let found = Purpose::ALL.into_iter().find(|p| p.as_str() == text);
    found.ok_or_else(|| format!("`{text}` is neither federation nor mesh"))
}

/// An address as a kubeconfig has it: scheme, host, perhaps a port and a path.
fn server(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|e| format!("`{text}` is no URL: {e}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https" | "http"), Some(host)) if !host.is_empty() && uri.query().is_none() => {
            Ok(text.trim_end_matches('/').to_string())
        }
        _ => Err(format!("`{text}` is no URL of an API server; write for example https://west.example.com:6443")),
    }
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let wish = Wish {
        only: args.only,
        lifetime: args.lifetime,
        server: args.server,
        tls_server_name: args.tls_server_name,
        fresh: false,
    };
    ctx.block_on(async {
        let roll = Roll::call(ctx, &args.roll, |_| Vec::new()).await?;
        let member = roll.member(&args.cluster)?;
        enroll(ctx, &roll, member, &wish, &args.writing).await
    })?
}
