//! Federation's loop: registrations become clients and watches; every change leads to a decision; writes are sent.
//! What comes in: a client of the management cluster. What goes out: writes on it and on the registered clusters.
//! May not know: how decisions are made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::decide::{Memory, Order, Settings, Target, decide};
use super::instance;
use crate::sandbox::controllers::cache::Cache;
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::members::{self, Follow, Member};
use crate::sandbox::controllers::observed::Observed;
use crate::sandbox::controllers::write::Writer;

/// What is read of the management cluster.
const HOME: &[Kind] = &[Kind::FailoverScheme, Kind::GlooInstance, Kind::Secret];
/// The name under which Federation writes.
const MANAGER: &str = "gloo-fed";
/// First pause after a failed write; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Runs Federation until `stop`.
pub async fn run(client: kube::Client, settings: Settings, stop: CancellationToken) {
    let home = Cache::watch(&client, HOME, &stop);
    let writer = Writer { client, manager: MANAGER, root: None };
    stop.clone().run_until_cancelled(work(&home, &writer, &settings, &stop)).await;
}

async fn work(home: &Arc<Cache>, writer: &Writer, settings: &Settings, stop: &CancellationToken) {
    home.complete(HOME).await;
    let news = Arc::new(Notify::new());
    members::forward(home, &news, stop);
    let follow = Follow { namespace: &settings.namespace, reads: instance::READS, manager: MANAGER };
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    let mut memory = Memory::default();
    let mut pause = FIRST_PAUSE;
    let mut before = Vec::new();
    loop {
        follow.register(home, &mut members, &news, stop).await;
        let orders = one_decision(home, &members, &mut memory, settings);
        // Orders that are given again although they were answered change nothing: they may wait.
        let stuck = !orders.is_empty() && orders == before;
        let failed = send(&orders, home, writer, &members, &mut memory).await || stuck;
        if stuck {
            tokio::time::sleep(pause).await;
        }
        if orders.is_empty() || failed {
            let retry = async { if failed { tokio::time::sleep(pause).await } else { std::future::pending().await } };
            tokio::select! { () = news.notified() => {}, () = retry => {} }
        }
        pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        before = orders;
    }
}

/// Decides while what was seen is held still.
fn one_decision(
    home: &Cache,
    members: &BTreeMap<String, Member>,
    memory: &mut Memory,
    settings: &Settings,
) -> Vec<Order> {
    let home = home.seen();
    let guards: Vec<_> = members.iter().map(|(name, m)| (name.clone(), m.cache.seen())).collect();
    let known = |seen: &Observed| seen.knows_all(instance::READS);
    let seen = guards.iter().map(|(name, guard)| (name.clone(), Some(&**guard).filter(|s| known(s)))).collect();
    decide(&home, &seen, memory, settings, Timestamp::now())
}

/// Sends orders one after the other: a block before the status that tells of it. Says whether one failed.
async fn send(
    orders: &[Order],
    home: &Cache,
    writer: &Writer,
    members: &BTreeMap<String, Member>,
    memory: &mut Memory,
) -> bool {
    let mut failed = false;
    for order in orders {
        let sent = match &order.target {
            Target::Home => writer.send(&order.write, home).await,
            Target::Member(cluster) => match members.get(cluster) {
                Some(member) => member.writer.send(&order.write, &member.cache).await,
                None => continue,
            },
        };
        if let Err(error) = sent {
            tracing::info!(manager = MANAGER, "{error:#}");
            failed = true;
            if let (Some(scheme), Target::Member(_)) = (&order.scheme, &order.target) {
                memory.errors.insert(scheme.clone(), format!("{error:#}"));
            }
        } else if let (Some(scheme), Target::Member(_)) = (&order.scheme, &order.target) {
            memory.errors.remove(scheme);
        }
    }
    failed
}
