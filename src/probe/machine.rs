//! How busy the machine is that makes the requests, second by second: where none of its processors is ever idle, a request
//! may be late or lost because of it, and not because of the service.
//! May not know: the load, drills.

use std::time::Duration;

use sysinfo::System;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::sim::processors::Use;
use crate::sim::record::micros;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// The processors of this machine, watched from some moment on. Dropping it ends that.
pub struct Processors {
    watching: tokio::task::JoinHandle<Vec<Use>>,
    stop: DropGuard,
}

impl Processors {
    /// Begins to watch; times count from `zero`. Must be called on a tokio runtime.
    pub fn watch(zero: Instant) -> Processors {
        let stop = CancellationToken::new();
        Processors { watching: tokio::spawn(look(zero, stop.clone())), stop: stop.drop_guard() }
    }

    /// Ends that. What was seen, in order, to this moment; nothing where the system does not tell.
    pub async fn seen(self) -> Vec<Use> {
        drop(self.stop);
        self.watching.await.unwrap_or_default()
    }
}

async fn look(zero: Instant, stop: CancellationToken) -> Vec<Use> {
    let mut seen = Vec::new();
    if !sysinfo::IS_SUPPORTED_SYSTEM {
        return seen;
    }
    let mut system = System::new();
    system.refresh_cpu_usage();
    let since = || micros(Instant::now().saturating_duration_since(zero));
    let mut from = since();
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    // A look that comes late, because the machine is full, stands for a longer time.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        stop.run_until_cancelled(ticks.tick()).await;
        system.refresh_cpu_usage();
        let (percent, to) = (system.global_cpu_usage(), since());
        // Zero is what it says when it could not be read, too.
        if percent > 0.0 {
            seen.push(Use { from, to, per_mille: (percent * 10.0).round() as u32 });
        }
        from = to;
    }
    seen
}
