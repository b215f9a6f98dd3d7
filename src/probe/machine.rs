//! How busy the machine is that makes the requests, second by second: where none of its processors is ever idle, a request
//! may be late or lost because of it, and not because of the service.
//! May not know: the load, drills.

use std::time::Duration;

use sysinfo::System;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use crate::sim::record::{Micros, Use};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// The processors of this machine, watched from some moment on. Dropping it ends that.
pub struct Processors {
    seen: mpsc::UnboundedReceiver<Use>,
    _watching: AbortOnDropHandle<()>,
}

impl Processors {
    /// Begins to watch; times count from `zero`. Must be called on a tokio runtime.
    pub fn watch(zero: Instant) -> Processors {
        let (tell, seen) = mpsc::unbounded_channel();
        Processors { seen, _watching: AbortOnDropHandle::new(tokio::spawn(look(zero, tell))) }
    }

    /// What was seen so far, in order; nothing where the system does not tell.
    pub fn seen(mut self) -> Vec<Use> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

async fn look(zero: Instant, tell: mpsc::UnboundedSender<Use>) {
    if !sysinfo::IS_SUPPORTED_SYSTEM {
        return;
    }
    let mut system = System::new();
    system.refresh_cpu_usage();
    let mut from = since(zero);
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    // A look that comes late, because the machine is full, stands for a longer time.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        system.refresh_cpu_usage();
        let (percent, to) = (system.global_cpu_usage(), since(zero));
        // Zero is what it says when it could not be read, too.
        if percent > 0.0 && tell.send(Use { from, to, per_mille: (percent * 10.0).round() as u32 }).is_err() {
            return;
        }
        from = to;
    }
}

fn since(zero: Instant) -> Micros {
    u64::try_from(Instant::now().saturating_duration_since(zero).as_micros()).unwrap_or(u64::MAX)
}
