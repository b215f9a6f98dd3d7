//! Signals to processes of containers, by exec, and whether they were felt.
//! What comes in: clients, Pods, a process's name. What goes out: nothing, or the sentence that says what is in the way.
//! May not know: faults, journals.

use std::time::Duration;

use anyhow::{bail, ensure};

use super::act;
use crate::cluster::{self, Clients, Ran};
use crate::model::name::ClusterName;

/// How long a killed process may still be seen.
const DYING: Duration = Duration::from_millis(300);

/// Whom a signal is for.
pub struct To<'a> {
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// The Pods' namespace.
    pub namespace: &'a str,
    /// The container; none: the first.
    pub container: Option<&'a str>,
    /// The process's name.
    pub process: &'a str,
}

/// Sends a signal in every Pod at once. Who is to go on (`CONT`) and is gone meanwhile needs no signal.
pub async fn send(clients: &Clients, to: &To<'_>, pods: &[String], signal: &str) -> anyhow::Result<()> {
    let client = clients.client(to.cluster.as_str()).await?;
    let each = pods.iter().map(async |pod| {
        if signal == "CONT" && act::gone(clients, to.cluster, to.namespace, pod).await? {
            return Ok(());
        }
        one(&client, to, pod, signal).await
    });
    futures::future::try_join_all(each).await.map(drop)
}

async fn one(client: &kube::Client, to: &To<'_>, pod: &str, signal: &str) -> anyhow::Result<()> {
    let run = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        cluster::exec(client, (to.namespace, pod), to.container, &words).await
    };
    let look = ["pgrep", "-x", to.process];
    let before = match signal {
        "KILL" => Some(run(&look).await?),
        _ => None,
    };
    let flag = format!("-{signal}");
    let sent = run(&["pkill", &flag, "-x", to.process]).await?;
    match sent.code {
        0 => {}
        // Started again meanwhile under another name, or gone: nothing is stopped any more.
        1 if signal == "CONT" => return Ok(()),
        1 => bail!("no process of pod {}/{pod} is named `{}`", to.namespace, to.process),
        _ => bail!("pod {}/{pod}: {}", to.namespace, complaint(&sent)),
    }
    let Some(before) = before else { return Ok(()) };
    tokio::time::sleep(DYING).await;
    // A container that cannot be asked is one that is being started again.
    let after = run(&look).await.ok().filter(|a| a.code == 0);
    ensure!(
        after.is_none_or(|after| after.said != before.said),
        "`{}` of pod {}/{pod} was not killed: the first process of a container takes no KILL from within; \
         `shareProcessNamespace: true` in the Pod changes that",
        to.process,
        to.namespace
    );
    Ok(())
}

fn complaint(ran: &Ran) -> String {
    let said = ran.complaint.trim().lines().last().unwrap_or_default();
    let what = format!("`pkill` ended with {}", ran.code);
    if said.is_empty() { format!("{what}; does the image have it?") } else { format!("{what}: {said}") }
}
