//! A command in a container, through its cluster's API. What comes in: a client, a container, a command. What goes out:
//! its exit code and what it said. May not know: what the command is for.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use kube::{Api, Client};
use tokio::io::AsyncReadExt as _;

/// Time a command may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to its output.
    pub said: String,
    /// What it wrote to its error output, or why it could not be started.
    pub complaint: String,
}

/// Runs a command in a container (none named: the Pod's first), as `kubectl exec` does.
pub async fn exec(
    client: &Client,
    (namespace, pod): (&str, &str),
    container: Option<&str>,
    command: &[String],
) -> anyhow::Result<Ran> {
    let what = || format!("exec `{}` in pod {namespace}/{pod}", command.join(" "));
    let done = tokio::time::timeout(PATIENCE, run(client, (namespace, pod), container, command)).await;
    done.map_err(|_| anyhow!("no end within {} s", PATIENCE.as_secs())).flatten().with_context(what)
}

async fn run(
    client: &Client,
    (namespace, pod): (&str, &str),
    container: Option<&str>,
    command: &[String],
) -> anyhow::Result<Ran> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams { container: container.map(str::to_owned), ..AttachParams::default() };
    let mut running = pods.exec(pod, command, &params).await?;
    let (mut said, mut complaint) = (String::new(), String::new());
    let (mut out, mut err) = (running.stdout(), running.stderr());
    let status = running.take_status().context("the API told no status")?;
    let listen = async {
        if let Some(out) = &mut out {
            let _ = out.read_to_string(&mut said).await;
        }
    };
    let listen_too = async {
        if let Some(err) = &mut err {
            let _ = err.read_to_string(&mut complaint).await;
        }
    };
    let ((), (), status) = tokio::join!(listen, listen_too, status);
    let status = status.context("the connection ended before the command")?;
    let code = exit_code(&status).with_context(|| status.message.clone().unwrap_or_default())?;
    Ok(Ran { code, said, complaint })
}

/// Kubernetes says success, or a cause `ExitCode`.
fn exit_code(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> Option<i32> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.as_ref().and_then(|d| d.causes.as_deref()).unwrap_or_default();
    let cause = causes.iter().find(|c| c.reason.as_deref() == Some("ExitCode"));
    cause.and_then(|c| c.message.as_deref()).and_then(|code| code.parse().ok())
}
