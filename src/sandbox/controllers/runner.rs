//! Runs controllers over what was seen of a cluster: level-triggered, one pass after the other.
//! What comes in: pure controllers and a cache. What goes out: their writes.
//! May not know: what a controller is for.
//!
//! A controller is a function of everything observed; it is asked again whenever one of its kinds changed.
//! All writes of a pass are answered and in the cache before the next pass, so a controller sees its own writes.
//! A failed write is tried again later, with growing pauses, whether or not something else happens.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::kind::Kind;
use super::observed::Observed;
use super::write::{Write, Writer};

/// Writes of one pass under way at once.
const PARALLEL: usize = 8;
/// First pause after a failed write; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts of a write that keeps failing.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest rest between two passes, however long a pass takes.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// What a controller wants, having seen everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// The writes.
    pub writes: Vec<Write>,
    /// When to be asked again even if nothing changes.
    pub wake: Option<Timestamp>,
}

impl Pass {
    /// Adds another pass to this one.
    pub fn join(&mut self, other: Pass) {
        self.writes.extend(other.writes);
        self.wake = self.wake.into_iter().chain(other.wake).min();
    }
}

impl From<Vec<Write>> for Pass {
    fn from(writes: Vec<Write>) -> Self {
        Pass { writes, wake: None }
    }
}

/// A controller's decision. Time is an argument.
pub type Reconcile = Box<dyn Fn(&Observed, Timestamp) -> Pass + Send + Sync>;

/// One controller.
pub struct Controller {
    /// Its name, for the log.
    pub name: &'static str,
    /// The kinds it reads: it runs when they have been listed, and again when one changes.
    pub reads: &'static [Kind],
    /// Its decision.
    pub reconcile: Reconcile,
}

/// Runs the controllers until `stop`.
pub async fn run(cache: Arc<Cache>, controllers: Vec<Controller>, writer: Writer, stop: CancellationToken) {
    stop.run_until_cancelled(work(&cache, &controllers, &writer)).await;
}

async fn work(cache: &Cache, controllers: &[Controller], writer: &Writer) {
    let mut changes = cache.changes();
    let mut pause = FIRST_PAUSE;
    let mut all = true;
    let mut before = Vec::new();
    loop {
        changes.mark_unchanged();
        let dirty = cache.take_dirty();
        let started = std::time::Instant::now();
        let mut pass = Pass::default();
        for c in controllers {
            if !all && !c.reads.iter().any(|k| dirty.contains(k)) {
                continue;
            }
            let seen = cache.seen();
            if seen.knows_all(c.reads) {
                pass.join((c.reconcile)(&seen, Timestamp::now()));
            }
        }
        // A storm of events costs at most a third of a core: many events then share one pass.
        let rest = (started.elapsed() * 2).min(LONGEST_REST);
        // A write that is wanted again although it was answered changes nothing: once more now and then is enough.
        let stuck = !pass.writes.is_empty() && pass.writes == before;
        let failed = send(&pass.writes, cache, writer).await || stuck;
        all = failed || pass.wake.is_some();
        pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        tokio::time::sleep(if stuck { pause } else { rest }).await;
        before = pass.writes;
        let asleep = sleep(failed.then_some(pause), pass.wake);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = asleep => all = true,
        }
    }
}

/// Sends the writes of a pass; says whether one failed.
async fn send(writes: &[Write], cache: &Cache, writer: &Writer) -> bool {
    let sends: Vec<_> = writes.iter().map(|w| writer.send(w, cache)).collect();
    let mut sent = futures::stream::iter(sends).buffer_unordered(PARALLEL);
    let mut failed = false;
    while let Some(result) = sent.next().await {
        if let Err(error) = result {
            tracing::info!(manager = writer.manager, "{error:#}");
            failed = true;
        }
    }
    failed
}

async fn sleep(pause: Option<Duration>, wake: Option<Timestamp>) {
    let wake = wake.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
    match pause.into_iter().chain(wake).min() {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
