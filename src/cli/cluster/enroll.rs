//! Registering and renewing: look → decide → show → ask → account → credential → try it → registrations → try what is
//! stored. Shared by `register` and `renew`; no command itself.
//! Whatever fails, what this run created is taken away again, in reverse. A credential that is replaced stays good
//! until its own end, so old and new overlap.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::journal::Journal;
use super::needs::{Need, Wish, desired, keep_what_is_good, needs, permitted, row, without_foreign_namespaces};
use super::roll::{Roll, trouble};
use super::undo;
use crate::cli::Ctx;
use crate::cli::output::print;
use crate::cli::road::{self, Dry, WriteArgs};
use crate::cluster::{
    self, DryRun, Report, Trouble, Verified, WriteOptions, WriteResult, mint, observe, verify,
};
use crate::compile::membership::{self, Account, Credential, Place, Purpose, Stored, registration};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, ObjectKey, World};
use crate::model::fleet::Cluster;
use crate::plan::{self, Action, Change, Plan, Write};
use crate::report::applied::{ApplyReport, Row};
use crate::report::membership::{CredentialRow, RegistrationReport};

/// Registers or renews one member.
pub async fn enroll(ctx: &Ctx, roll: &Roll, member: &Cluster, wish: &Wish, writing: &WriteArgs) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let uid = known(roll, member)?;
    let mut needs = needs(roll, member, wish)?;
    permitted(roll, &needs).await?;
    for need in &mut needs {
        keep_what_is_good(roll, need, wish, now).await;
    }
    let desired = desired(member, &needs, &uid, None, now);
    let world = observe(&roll.clients, &cluster::Want::for_manifests(&desired)).await;
    let desired = without_foreign_namespaces(desired, &world);
    let options = plan::Options { force: writing.force, ..plan::Options::default() };
    let between = |desired: &[Manifest], world: &World| {
        plan::between(desired, world, &options).map_err(|p| Failure { exit: Exit::Refused, ..Failure::input(p) })
    };
    let plan = between(&desired, &world)?;
    if writing.dry_run == Some(Dry::Client) {
        print(ctx, writing.output, &crate::report::plan::report(&plan), || crate::report::plan::text(&plan))?;
        return Ok(if plan.unreachable.is_empty() { Exit::Ok } else { Exit::Unreachable });
    }
    let writes = plan.changes().filter(|c| c.action != Action::Keep).count();
    let mints = needs.iter().filter(|n| n.kept.is_none()).count();
    if writes > 0 || mints > 0 {
        ctx.ui.say(crate::report::plan::text(&plan).trim_end());
        if writing.dry_run.is_none() {
            road::agree(ctx, writing, "write", &plan, writes)?;
        }
    }
    if writing.dry_run == Some(Dry::Server) {
        return dry(ctx, roll, writing, &plan).await;
    }
    let mut run = Run { ctx, roll, writing, rows: IndexMap::new(), away: false, lifetime: wish.lifetime };
    let contexts = roll.fleet.clusters.values().map(|c| (c.name.clone(), c.context.clone())).collect();
    let files = crate::cli::simulate::kubeconfig_files(ctx);
    let mut journal = Journal::begin(&member.name, &uid, now.to_string(), files, contexts)
        .map_err(|e| Failure::new(Exit::Refused, e))?;
    let created = plan.changes().filter(|c| c.action == Action::Create).map(|c| &c.key);
    journal.about_to_create(created)?;
    let done = run.carry_out(member, &mut needs, &uid, now, &between).await;
    let failure = match done {
        Ok(()) => {
            journal.close()?;
            return run.told(&needs);
        }
        Err(failure) => failure,
    };
    if journal.record.created.is_empty() {
        return Err(failure);
    }
    ctx.ui.say("it failed: what was created is taken away again");
    let left = undo::take_back(ctx, &roll.clients, &journal.record).await;
    match left {
        Ok(left) if left.is_empty() => {
            journal.close()?;
            Err(failure.hint("nothing of it is left; what was there before is as it was"))
        }
        Ok(left) => Err(failure.hint(format!("still there: {}; `failctl cluster undo` takes it away", left.join(", ")))),
        Err(_) => Err(failure.hint("and taking it back failed; `failctl cluster undo` goes on")),
    }
}

/// Who the member is, when it may be registered.
fn known(roll: &Roll, member: &Cluster) -> Result<String, Failure> {
    let asked = roll.uids.get(&member.name);
    let uid = match asked {
        Some(Ok(uid)) => uid.clone(),
        Some(Err(e)) => return Err(trouble(member.name.as_str(), "reading its identity", e)),
        None => return Err(Failure::because(Exit::Internal, "a cluster of the fleet was not asked")),
    };
    let fleet: BTreeMap<_, _> =
        roll.uids.iter().filter_map(|(c, u)| Some((c.clone(), u.as_ref().ok()?.clone()))).collect();
    let problems = membership::identity::against(&member.name, &uid, &fleet, &roll.registrations());
    if problems.is_empty() { Ok(uid) } else { Err(Failure::input(problems)) }
}

async fn dry(ctx: &Ctx, roll: &Roll, writing: &WriteArgs, plan: &Plan) -> Result<Exit, Failure> {
    let options = WriteOptions { dry_run: DryRun::Server, force: writing.force, ..WriteOptions::default() };
    let stop = cluster::stop_on_ctrl_c();
    let report = road::write_once(ctx, &roll.clients, plan, &options, &stop).await;
    let mut rows = IndexMap::new();
    road::gather(&mut rows, plan, &report);
    let view = ApplyReport::new("server", report.interrupted, rows.into_values().collect());
    print(ctx, writing.output, &view, || view.text())?;
    Ok(road::exit(&view, &report))
}

struct Run<'a> {
    ctx: &'a Ctx,
    roll: &'a Roll,
    writing: &'a WriteArgs,
    rows: IndexMap<ObjectKey, Row>,
    /// Whether a place could not be reached and waits.
    away: bool,
    /// How long a new credential shall be good.
    lifetime: Duration,
}

impl Run<'_> {
    async fn carry_out(
        &mut self,
        member: &Cluster,
        needs: &mut [Need],
        uid: &str,
        now: Timestamp,
        between: &impl Fn(&[Manifest], &World) -> Result<Plan, Failure>,
    ) -> Result<(), Failure> {
        let roll = self.roll;
        let accounts: Vec<Manifest> =
            needs.iter().flat_map(|n| std::iter::once(n.account.namespace_manifest()).chain(n.account.manifests())).collect();
        self.write(accounts, between).await?;
        let client = roll.clients.client(member.name.as_str()).await;
        let client = client.map_err(|e| trouble(member.name.as_str(), "asking for a credential", &e))?;
        let mut minted = BTreeMap::new();
        for need in needs.iter_mut().filter(|n| n.kept.is_none()) {
            let Account { namespace, purpose, .. } = &need.account;
            let credential = mint(&client, namespace, &need.account.name(), self.lifetime.as_secs(), now).await;
            let credential = credential.map_err(|e| trouble(member.name.as_str(), "asking for a credential", &e))?;
            need.verified = Some(self.tried(need, &credential).await?);
            minted.insert(*purpose, credential);
        }
        let all = desired(member, needs, uid, Some(&minted), now);
        self.write(all, between).await?;
        for need in needs.iter_mut() {
            let purpose = need.account.purpose;
            need.kept = need.kept.take().or_else(|| minted.get(&purpose).cloned());
            if purpose == Purpose::Federation {
                self.say_status(need).await?;
            }
            self.read_back(need).await?;
        }
        Ok(())
    }

    /// Tries a new credential before anything relies on it: under the address others will use, else under the user's.
    async fn tried(&self, need: &Need, credential: &Credential) -> Result<Verified, Failure> {
        let member = &need.account.cluster;
        let text = registration::kubeconfig(member, &need.endpoint, &credential.token);
        let mut seen = verify(&text, need.account.purpose).await;
        let own = self.roll.clients.endpoint(member.as_str()).unwrap_or_default();
        if let (Err(Trouble::Unreachable(why)), true) = (&seen, own.server != need.endpoint.server) {
            self.ctx.ui.say(format!(
                "{member}: {} cannot be reached from here ({why}); the credential is tried at {}",
                need.endpoint.server, own.server
            ));
            seen = verify(&registration::kubeconfig(member, &own, &credential.token), need.account.purpose).await;
        }
        let seen = seen.map_err(|e| trouble(member.as_str(), "trying the new credential", &e))?;
        if seen.missing.is_empty() {
            return Ok(seen);
        }
        let why = format!("{member}: the new credential may not: {}", seen.missing.join(", "));
        Err(Failure::because(Exit::Refused, why).hint("something on the cluster changed its roles meanwhile?"))
    }

    /// Writes manifests as they differ from what is there now.
    async fn write(
        &mut self,
        desired: Vec<Manifest>,
        between: &impl Fn(&[Manifest], &World) -> Result<Plan, Failure>,
    ) -> Result<(), Failure> {
        let world = observe(&self.roll.clients, &cluster::Want::for_manifests(&desired)).await;
        let plan = between(&without_foreign_namespaces(desired, &world), &world)?;
        self.send(&plan).await
    }

    async fn send(&mut self, plan: &Plan) -> Result<(), Failure> {
        let options = WriteOptions { force: self.writing.force, ..WriteOptions::default() };
        let stop = cluster::stop_on_ctrl_c();
        let report = road::write_once(self.ctx, &self.roll.clients, plan, &options, &stop).await;
        road::gather(&mut self.rows, plan, &report);
        self.away |= report.held.iter().any(|h| h.unreachable);
        if report.interrupted {
            return Err(Failure::because(Exit::Interrupted, "interrupted"));
        }
        match report.failed().next() {
            Some(_) => Err(failed(&report)),
            None => Ok(()),
        }
    }

    /// The status that Federation's own registration writes: where the account is and what it may do.
    async fn say_status(&mut self, need: &Need) -> Result<(), Failure> {
        let Some(place) = need.places.iter().find(|p| p.purpose == Purpose::Federation) else { return Ok(()) };
        let manifest = registration::kubernetes_cluster(place, &need.account.cluster, "");
        let world = observe(&self.roll.clients, &cluster::Want::for_manifests(std::slice::from_ref(&manifest))).await;
        let Some(there) = plan::find(&world, &manifest.key) else { return Ok(()) };
        let status = registration::status(&need.account);
        let same = status.as_object().into_iter().flatten().all(|(k, v)| there["status"].get(k) == Some(v));
        if same {
            return Ok(());
        }
        let change = Change {
            key: manifest.key,
            action: Action::Update,
            write: Write::Merge { patch: json!({ "status": status }), subresource: Some("status".into()) },
            before: Some(there.clone()),
            after: None,
            wave: manifest.wave,
            owner: crate::manifest::MEMBERSHIP_OWNER.into(),
        };
        let rows = self.rows.clone();
        let sent = self.send(&Plan { waves: vec![vec![change]], ..Plan::default() }).await;
        // The object's own row tells enough.
        self.rows = rows;
        sent
    }

    /// Reads every registration back and uses what is in it.
    async fn read_back(&mut self, need: &mut Need) -> Result<(), Failure> {
        let member = need.account.cluster.clone();
        let secret = |p: &Place| {
            cluster::Want::all("v1", "Secret").within(&p.namespace).named(p.secret(&member)).on(&p.cluster)
        };
        let wants: Vec<_> = need.places.iter().map(secret).collect();
        let world = observe(&self.roll.clients, &wants).await;
        let mut last: Option<Zeroizing<String>> = None;
        for (cluster, objects) in &world.clusters {
            if objects.unreachable.is_some() {
                continue;
            }
            let stored = objects.by_key.iter().flat_map(|(k, v)| Stored::read(k, v)).find(|s| s.member == member.as_str());
            let Some(stored) = stored else {
                let why = format!("{cluster}: the registration of {member} is gone again: somebody removed it meanwhile");
                return Err(Failure::because(Exit::Refused, why));
            };
            if last.as_ref() == Some(&stored.kubeconfig) {
                continue;
            }
            let mine = need.kept.as_ref().is_some_and(|c| stored.token.as_ref() == Some(&c.token));
            if !mine {
                let why = format!("{cluster}: the registration of {member} carries another credential than was written");
                return Err(Failure::because(Exit::Refused, why).hint("is somebody else registering it?"));
            }
            if need.endpoint == self.roll.clients.endpoint(member.as_str()).unwrap_or_default() {
                let seen = verify(&stored.kubeconfig, need.account.purpose).await;
                need.verified = Some(seen.map_err(|e| trouble(member.as_str(), "using the stored credential", &e))?);
            }
            last = Some(stored.kubeconfig);
        }
        Ok(())
    }

    fn told(self, needs: &[Need]) -> Result<Exit, Failure> {
        let objects = ApplyReport::new("none", false, self.rows.into_values().collect());
        let credentials: Vec<CredentialRow> = needs.iter().map(row).collect();
        for row in &credentials {
            if !row.excessive.is_empty() {
                self.ctx.ui.say(format!("{}: the account may more than it needs: {}", row.account, row.excessive.join(", ")));
            }
        }
        let exit = if self.away { Exit::Partial } else { Exit::Ok };
        if self.away {
            self.ctx.ui.say("some clusters could not be reached; the same command completes it when they are back");
        }
        let report = RegistrationReport::new(objects, credentials);
        print(self.ctx, self.writing.output, &report, || report.text())?;
        Ok(exit)
    }
}

/// Why a stage failed: unreachable before refused.
fn failed(report: &Report) -> Failure {
    let failed: Vec<_> = report.failed().collect();
    let away = failed.iter().any(|w| matches!(w.outcome.result, WriteResult::Unreachable(_)));
    let told: Vec<String> =
        failed.iter().map(|w| format!("{}: {}", w.change.key, w.outcome.why().unwrap_or_default())).collect();
    Failure::because(if away { Exit::Unreachable } else { Exit::Refused }, told.join("\n"))
}
