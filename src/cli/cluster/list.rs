//! `failctl cluster list`.

use std::collections::BTreeSet;

use futures::StreamExt;
use jiff::Timestamp;

use super::journal;
use super::roll::{Roll, RollArgs};
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::cluster::{Trouble, verify};
use crate::compile::membership::Stored;
use crate::error::{Exit, Failure};
use crate::report::membership::{MemberReport, MemberRow, Standing};

/// Arguments of `failctl cluster list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Every stored credential is used, unless --stored: what it says about itself is not enough to call it good.

Exit codes: 0 all work, 1 one is missing, expired, refused, or leads to another cluster, 8 one could not be tried.

Examples:
  failctl cluster list
  failctl cluster list -o json | jq '.registrations[] | select(.daysLeft < 14) | .member'")]
pub struct Args {
    /// Only what is stored; use no credential
    #[arg(long)]
    pub stored: bool,
    /// Which clusters
    #[command(flatten)]
    pub roll: RollArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.block_on(async {
        let roll = Roll::call(ctx, &args.roll, |_| Vec::new()).await?;
        let report = report(&roll, None, !args.stored).await?;
        print(ctx, args.output, &report, || report.text())?;
        Ok(exit(&report))
    })?
}

/// The answer as an exit code; unknown is never good.
pub fn exit(report: &MemberReport) -> Exit {
    match report.worst() {
        Some(s) if s >= Standing::Missing => Exit::No,
        Some(Standing::Unknown) => Exit::Unknown,
        _ if !report.unreachable.is_empty() => Exit::Unknown,
        _ => Exit::Ok,
    }
}

/// How registrations stand: of one member, or of all.
pub async fn report(roll: &Roll, only: Option<&str>, try_them: bool) -> Result<MemberReport, Failure> {
    let now = Timestamp::now();
    let all: Vec<Stored> = roll.registrations().into_iter().filter(|s| only.is_none_or(|o| s.member == o)).collect();
    let rows = futures::stream::iter(all.iter().map(|s| row(roll, s, now, try_them))).buffered(16);
    let mut rows: Vec<MemberRow> = rows.collect().await;
    let registered: BTreeSet<&str> = all.iter().map(|s| s.member.as_str()).collect();
    let mut report = MemberReport::new(now, Vec::new());
    for member in roll.fleet.clusters.values().filter(|c| only.is_none_or(|o| c.name.as_str() == o)) {
        let unread = roll.unread(member);
        if !registered.contains(member.name.as_str()) {
            // Where nobody could be asked, nobody said that it is none; the report names who could not.
            if unread.is_empty() {
                report.not_registered.push(member.name.to_string());
            }
            continue;
        }
        for place in roll.places(member) {
            let there = all.iter().any(|s| s.place == place && s.member == member.name.as_str());
            if !there && !unread.contains_key(&place.cluster) {
                rows.push(MemberRow {
                    member: member.name.to_string(),
                    purpose: place.purpose,
                    kept_on: place.cluster.to_string(),
                    secret: format!("{}/{}", place.namespace, place.secret(&member.name)),
                    ours: false,
                    server: None,
                    account: None,
                    expires: None,
                    days_left: None,
                    standing: Standing::Missing,
                    why: Some(format!("`failctl cluster register {}` completes it", member.name)),
                    allowed: vec![],
                    refused: vec![],
                    excessive: vec![],
                });
            }
        }
    }
    rows.sort_by(|a, b| (&a.member, a.purpose, &a.kept_on).cmp(&(&b.member, b.purpose, &b.kept_on)));
    report.registrations = rows;
    let away = roll.world.clusters.iter().filter_map(|(c, o)| Some((c.to_string(), o.unreachable.clone()?)));
    report.unreachable = away.collect();
    for path in journal::all()? {
        let record = journal::read(&path)?;
        if only.is_none_or(|o| record.member == o) && !report.unfinished.contains(&record.member) {
            report.unfinished.push(record.member);
        }
    }
    Ok(report)
}

async fn row(roll: &Roll, stored: &Stored, now: Timestamp, try_it: bool) -> MemberRow {
    let mut row = MemberRow {
        member: stored.member.clone(),
        purpose: stored.place.purpose,
        kept_on: stored.place.cluster.to_string(),
        secret: format!("{}/{}", stored.place.namespace, stored.secret),
        ours: stored.ours,
        server: Some(stored.endpoint.server.clone()).filter(|s| !s.is_empty()),
        account: stored.account.clone(),
        expires: stored.expires,
        days_left: stored.expires.map(|e| (e.as_second() - now.as_second()).div_euclid(86_400)),
        standing: Standing::Untried,
        why: None,
        allowed: vec![],
        refused: vec![],
        excessive: vec![],
    };
    let live = roll.uids.get(stored.member.as_str()).and_then(|u| u.as_ref().ok());
    if let (Some(stored), Some(live)) = (&stored.uid, live)
        && stored != live
    {
        row.standing = Standing::OtherCluster;
        row.why = Some("it was made for a cluster that was here before".into());
        return row;
    }
    if stored.expires.is_some_and(|e| e <= now) {
        row.standing = Standing::Expired;
        row.why = Some(format!("`failctl cluster renew {}`", stored.member));
        return row;
    }
    if try_it {
        tried(&mut row, stored, now).await;
    }
    row
}

async fn tried(row: &mut MemberRow, stored: &Stored, now: Timestamp) {
    match verify(&stored.kubeconfig, stored.place.purpose).await {
        Ok(seen) => {
            let soon = stored.credential().is_some_and(|c| c.life_left(now) < 33);
            row.standing = match (seen.missing.is_empty(), soon) {
                (false, _) => Standing::Refused,
                (true, true) => Standing::EndsSoon,
                (true, false) => Standing::Works,
            };
            if !seen.missing.is_empty() {
                row.why = Some(format!("it may not: {}", seen.missing.join(", ")));
            } else if soon {
                row.why = Some(format!("`failctl cluster renew {}`", stored.member));
            }
            (row.allowed, row.refused, row.excessive) = (seen.allowed, seen.refused, seen.excessive);
        }
        Err(Trouble::Unreachable(why)) => {
            row.standing = Standing::Unknown;
            row.why = Some(why);
        }
        Err(Trouble::Refused { code, message }) => {
            row.standing = Standing::Refused;
            row.why = Some(format!("{message} ({code})"));
        }
    }
}
