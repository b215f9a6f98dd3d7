//! `failctl simulate restore`: put back what a drill that was killed left broken.

use kube::config::Kubeconfig;

use super::Ctx;
use crate::cluster::Clients;
use crate::drill::journal::{Journal, Record};
use crate::drill::{lock, restore, state};
use crate::error::{Exit, Failure};
use crate::report::table::table;

/// Runs the command.
pub fn run(ctx: &mut Ctx) -> Result<Exit, Failure> {
    let missing = |e| Failure::new(Exit::Missing, e);
    let dir = state::directory().map_err(missing)?;
    let journals = Journal::all(&dir).map_err(missing)?;
    if journals.is_empty() {
        ctx.ui.say("no drill left anything broken");
        return Ok(Exit::Ok);
    }
    let mut rows = Vec::new();
    let (mut done, mut left) = (0, 0);
    for path in journals {
        let mut journal = Journal::open(&path).map_err(|e| Failure::new(Exit::Input, e))?;
        let identities = identities(&journal.record);
        // A journal whose drill still runs is that drill's business.
        let _locks = lock::take(&dir, &identities).map_err(|e| Failure::new(Exit::Refused, e))?;
        let clients = clients(ctx, &journal.record).map_err(|f| {
            f.hint(format!("the journal stays in {}; name a kubeconfig with --kubeconfig FILE", path.display()))
        })?;
        let results = ctx.block_on(restore::all(&mut journal, &clients))?.map_err(missing)?;
        for result in results {
            let what = match &result.result {
                Ok(None) => "put back".to_string(),
                Ok(Some(remark)) => remark.clone(),
                Err(why) => format!("NOT PUT BACK: {why}"),
            };
            if result.result.is_ok() {
                done += 1
            } else {
                left += 1
            }
            rows.push(vec![journal.record.drill.clone(), result.cluster.to_string(), result.deed, what]);
        }
        if journal.open_deeds().next().is_some() {
            ctx.ui.say(format!("the journal is kept: {}", path.display()));
        }
    }
    ctx.ui.data(table(["DRILL", "CLUSTER", "WHAT WAS DONE", "NOW"], rows))?;
    Ok(match (done, left) {
        (_, 0) => Exit::Ok,
        (0, _) => Exit::Unreachable,
        _ => Exit::Partial,
    })
}

fn identities(record: &Record) -> Vec<(String, String)> {
    let files: Vec<_> = record.kubeconfig.iter().map(|p| p.display().to_string()).collect();
    let identity = |context: &String| format!("{}\n{context}", files.join(":"));
    record.contexts.iter().map(|(cluster, context)| (cluster.to_string(), identity(context))).collect()
}

/// Clients from what the journal says; `--kubeconfig` overrides.
fn clients(ctx: &Ctx, record: &Record) -> Result<Clients, Failure> {
    let unreadable =
        |e: anyhow::Error| Failure::new(Exit::Unreachable, e.context("reading the kubeconfig of the drill"));
    let files = match &ctx.global.kubeconfig {
        Some(file) => vec![file.clone()],
        None => record.kubeconfig.clone(),
    };
    let mut kubeconfig: Option<Kubeconfig> = None;
    for file in files {
        let read = Kubeconfig::read_from(&file).map_err(|e| unreadable(e.into()))?;
        kubeconfig = Some(match kubeconfig {
            Some(first) => first.merge(read).map_err(|e| unreadable(e.into()))?,
            None => read,
        });
    }
    let kubeconfig = match kubeconfig {
        Some(kubeconfig) => kubeconfig,
        None => Kubeconfig::read().map_err(|e| unreadable(e.into()))?,
    };
    let used = record.contexts.iter().filter(|(c, _)| record.deeds.iter().any(|d| d.cluster == **c));
    Ok(Clients::new(used.map(|(c, k)| (c.clone(), k.clone())), kubeconfig)?)
}
