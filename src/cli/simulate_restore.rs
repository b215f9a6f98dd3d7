//! `failctl simulate restore`: put back what a drill that was killed left broken.

use std::path::Path;

use super::Ctx;
use crate::cluster::Clients;
use crate::drill::journal::{Journal, Record};
use crate::drill::restore::PutBack;
use crate::drill::{lock, restore, state};
use crate::error::{Exit, Failure};
use crate::report::table::table;

/// Runs the command. A journal that cannot be put back does not keep the others from it.
pub fn run(ctx: &mut Ctx) -> Result<Exit, Failure> {
    let missing = |e| Failure::new(Exit::Missing, e);
    let dir = state::directory().map_err(missing)?;
    let journals = Journal::all(&dir).map_err(missing)?;
    let mut rows = Vec::new();
    let (mut done, mut left, mut failed) = (0, 0, None);
    for path in journals {
        let (drill, results) = match one(ctx, &dir, &path) {
            Ok(Some(told)) => told,
            Ok(None) => continue,
            Err(failure) => {
                ctx.ui.failure(&failure);
                failed.get_or_insert(failure.exit);
                continue;
            }
        };
        let kept = results.iter().filter(|r| r.result.is_err()).count();
        (done, left) = (done + results.len() - kept, left + kept);
        rows.extend(results.into_iter().map(|r| row(&drill, r)));
        if kept > 0 {
            ctx.ui.say(format!("the journal is kept: {}", path.display()));
            ctx.ui.say("  hint: run the same command again when the cluster can be reached");
        }
    }
    if !rows.is_empty() {
        ctx.ui.data(table(["DRILL", "CLUSTER", "WHAT WAS DONE", "NOW"], rows))?;
    } else if failed.is_none() {
        ctx.ui.say("no drill left anything broken");
    }
    Ok(match (done, left, failed) {
        (_, 0, None) => Exit::Ok,
        (0, 0, Some(exit)) => exit,
        (0, _, None) => Exit::Unreachable,
        _ => Exit::Partial,
    })
}

/// One journal: the drill's name and what became of its deeds. Nothing when its drill ended meanwhile.
fn one(ctx: &Ctx, dir: &Path, path: &Path) -> Result<Option<(String, Vec<PutBack>)>, Failure> {
    let open = || match path.exists() {
        true => Journal::open(path).map(Some).map_err(|e| {
            let hint = "what it says can be read there; remove it when everything in it is put back";
            Failure::new(Exit::Input, e).hint(hint)
        }),
        false => Ok(None),
    };
    let Some(journal) = open()? else { return Ok(None) };
    let _locks = lock::take(dir, &identities(&journal.record)).map_err(|e| still_runs(e, &journal.record))?;
    // Read again: until now its drill could still write it.
    let Some(mut journal) = open()? else { return Ok(None) };
    let clients = clients(ctx, &journal.record).map_err(|f| {
        f.hint(format!("the journal stays in {}; name a kubeconfig with --kubeconfig FILE", path.display()))
    })?;
    let results = ctx.block_on(restore::all(&mut journal, &clients))?;
    let results = results.map_err(|e| Failure::new(Exit::Missing, e))?;
    Ok(Some((journal.record.drill, results)))
}

fn still_runs(e: anyhow::Error, record: &Record) -> Failure {
    match e.downcast_ref::<lock::Busy>() {
        Some(busy) => {
            let why = format!("the drill `{}` still runs on {} (process {})", record.drill, busy.cluster, busy.holder);
            Failure::because(Exit::Refused, why).hint("it puts everything back when it ends, and on Ctrl-C")
        }
        None => Failure::new(Exit::Missing, e),
    }
}

fn row(drill: &str, result: PutBack) -> Vec<String> {
    let now = match result.result {
        Ok(None) => "put back".to_string(),
        Ok(Some(remark)) => remark,
        Err(why) => format!("NOT PUT BACK: {why}"),
    };
    vec![drill.to_string(), result.cluster.to_string(), result.deed, now]
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
    let kubeconfig = crate::cluster::merged(&files).map_err(unreadable)?;
    let used = record.contexts.iter().filter(|(c, _)| record.deeds.iter().any(|d| d.cluster == **c));
    Ok(Clients::new(used.map(|(c, k)| (c.clone(), k.clone())), kubeconfig)?)
}
