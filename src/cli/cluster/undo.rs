//! `failctl cluster undo`, and what every failed registration does by itself.

use std::path::PathBuf;

use super::journal::{self, Journal, Record};
use crate::cli::Ctx;
use crate::cluster::{self, Clients, Want, WriteOptions, observe};
use crate::compile::membership::account::MEMBER_LABEL;
use crate::error::{Exit, Failure};
use crate::manifest::Wave;
use crate::plan::{self, Action, Change, Plan, Write};

/// Arguments of `failctl cluster undo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "A registration notes what it creates before it creates it. When it is killed, this takes exactly that away again, from
any directory and without documents; registering once more would complete it instead. What was there before stays.

Examples:
  failctl cluster undo
  failctl cluster undo west --yes")]
pub struct Args {
    /// Only this member (default: every interrupted registration)
    #[arg(value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Do not ask; required when nobody sits at the terminal
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let mut found: Vec<(PathBuf, Record)> = Vec::new();
    for path in journal::all()? {
        let record = journal::read(&path)?;
        if args.cluster.as_ref().is_none_or(|c| *c == record.member) {
            found.push((path, record));
        }
    }
    if found.is_empty() {
        ctx.ui.say("no registration was interrupted: nothing to undo");
        return Ok(Exit::Ok);
    }
    for (_, record) in &found {
        let objects: Vec<_> = record.created.iter().rev().map(|e| format!("  - {}", e.key())).collect();
        let started = &record.started;
        ctx.ui.say(format!("{} (begun {started}); taken away where it is there:\n{}", record.member, objects.join("\n")));
    }
    if !args.yes {
        if !ctx.ui.interactive {
            let why = "take these objects away: nobody is here to ask";
            return Err(Failure::because(Exit::Usage, why).hint("add --yes to go on"));
        }
        if !ctx.ui.confirm("take them away?")? {
            return Err(Failure::because(Exit::Interrupted, "not confirmed; nothing was written"));
        }
    }
    ctx.block_on(async {
        let mut exit = Exit::Ok;
        for (path, _) in &found {
            let journal = Journal::open(path).map_err(|e| Failure::new(Exit::Refused, e))?;
            let clients = clients(ctx, &journal.record)?;
            let left = take_back(ctx, &clients, &journal.record).await?;
            if left.is_empty() {
                ctx.ui.say(format!("{}: nothing of the registration is left", journal.record.member));
                journal.close()?;
            } else {
                ctx.ui.say(format!("{}: still there: {}", journal.record.member, left.join(", ")));
                exit = Exit::Partial;
            }
        }
        Ok(exit)
    })?
}

/// Clients from what the journal says; `--kubeconfig` overrides.
fn clients(ctx: &Ctx, record: &Record) -> Result<Clients, Failure> {
    let used = record.contexts.iter().filter(|(c, _)| record.created.iter().any(|e| e.key().cluster == **c));
    let contexts: Vec<_> = used.map(|(c, k)| (c.clone(), k.clone())).collect();
    let files = match &ctx.global.kubeconfig {
        Some(file) => vec![file.clone()],
        None => record.kubeconfig.clone(),
    };
    let kubeconfig = cluster::merged(&files)
        .map_err(|e| Failure::new(Exit::Unreachable, e.context("reading the kubeconfig of the registration")))?;
    Ok(Clients::new(contexts, kubeconfig)?)
}

/// Takes away what a registration created, the last first; what somebody else has made his own stays. Returns what
/// is still there, or may be.
pub async fn take_back(ctx: &Ctx, clients: &Clients, record: &Record) -> Result<Vec<String>, Failure> {
    let keys: Vec<_> = record.created.iter().map(journal::Entry::key).collect();
    let want = |k: &crate::manifest::ObjectKey| Want {
        cluster: Some(k.cluster.clone()),
        gvk: k.gvk.clone(),
        namespace: k.namespace.clone(),
        name: Some(k.name.clone()),
        labels: None,
    };
    let world = observe(clients, &keys.iter().map(want).collect::<Vec<_>>()).await;
    let mut plan = Plan::default();
    let mut left = Vec::new();
    for key in keys.into_iter().rev() {
        if world.clusters.get(&key.cluster).is_none_or(|o| o.unreachable.is_some()) {
            left.push(key.to_string());
            continue;
        }
        let Some(there) = plan::find(&world, &key) else { continue };
        let mine = plan::is_ours(there) && there["metadata"]["labels"][MEMBER_LABEL] == record.member.as_str();
        if mine {
            plan.waves.push(vec![deletion(&key, there)]);
        }
    }
    let stop = cluster::stop_on_ctrl_c();
    let report =
        crate::cli::road::write_once(ctx, clients, &plan, &WriteOptions::default(), &stop).await;
    left.extend(report.failed().map(|w| w.change.key.to_string()));
    left.extend(report.held.iter().map(|h| h.key.to_string()));
    Ok(left)
}

/// Deletes an object if it still is the one that was seen. Clusters do not wait for one another.
pub fn deletion(key: &crate::manifest::ObjectKey, there: &serde_json::Value) -> Change {
    Change {
        key: key.clone(),
        action: Action::Delete,
        write: Write::Delete { uid: there["metadata"]["uid"].as_str().map(str::to_string) },
        before: Some(there.clone()),
        after: None,
        wave: Wave::Foundations,
        owner: key.cluster.to_string(),
    }
}
