//! The open loop: every request starts when it is meant to, whether or not earlier ones have ended.
//! May not know: what the load is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::pool::Pool;
use super::request;
use super::target::Target;
use crate::sim::record::{Micros, Outcome, Record, micros};

/// What the load tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request has ended.
    Ended {
        /// Index of the target.
        target: usize,
        /// What became of it.
        record: Record,
    },
    /// A request could not be started: too many were in flight.
    Missed {
        /// Index of the target.
        target: usize,
        /// When it was meant to start.
        at: Micros,
    },
}

/// How the load runs.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When to stop starting requests.
    pub duration: Duration,
    /// How long one request may take, from its intended start.
    pub timeout: Duration,
    /// Requests in flight at most, per target.
    pub max_in_flight: u32,
    /// Requests that start at the same moment, per target; the pause before the next is as many times longer.
    pub burst: u32,
}

/// A running load. Dropping it stops it.
pub struct Running {
    /// The events, in the order requests end. Ends when every request has ended.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// The zero of every [`Micros`].
    pub zero: Instant,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Running {
    /// Microseconds since the start of the load.
    pub fn now(&self) -> Micros {
        micros(Instant::now().saturating_duration_since(self.zero))
    }

    /// Starts no further request. Those in flight end; the stream of events ends after the last.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// Starts the load on all targets at once, each at its rate in requests per second. Must be called on a tokio runtime.
pub fn start(targets: Vec<(Target, u32)>, pace: Pace) -> Running {
    let (tell, events) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let abandon = CancellationToken::new();
    // A little later than now, so that the first request is not late.
    let zero = Instant::now() + Duration::from_millis(5);
    // The fastest fits its requests between those of the others.
    let fastest = targets.iter().map(|(_, rate)| *rate).max().unwrap_or(1).max(1);
    let apart = Duration::from_secs(1) / fastest / u32::try_from(targets.len().max(1)).unwrap_or(1);
    for (index, (target, rate)) in targets.into_iter().enumerate() {
        let shift = apart * u32::try_from(index).unwrap_or(0);
        let (target, pool, tell) = (Arc::new(target), Arc::default(), tell.clone());
        let lane = Lane { index, target, rate, pool, tell, zero, pace, shift };
        tokio::spawn(lane.run(stop.clone(), abandon.clone()));
    }
    Running { events, zero, stop, _guard: abandon.drop_guard() }
}

struct Lane {
    index: usize,
    target: Arc<Target>,
    rate: u32,
    pool: Arc<Pool>,
    tell: mpsc::UnboundedSender<Event>,
    zero: Instant,
    pace: Pace,
    shift: Duration,
}

impl Lane {
    async fn run(self, stop: CancellationToken, abandon: CancellationToken) {
        let in_flight = Arc::new(AtomicU32::new(0));
        let tasks = TaskTracker::new();
        for n in 0u64.. {
            let offset = self.offset(n);
            if offset >= self.pace.duration {
                break;
            }
            let intended = self.zero + offset;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = abandon.cancelled() => break,
                () = sleep_until(intended) => {}
            }
            if in_flight.load(Ordering::Relaxed) >= self.pace.max_in_flight {
                self.say(Event::Missed { target: self.index, at: micros(offset) });
                continue;
            }
            in_flight.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(self.one(intended, micros(offset), in_flight.clone(), abandon.clone()));
        }
        tasks.close();
        tasks.wait().await;
    }

    /// When request `n` is meant to start, from the zero of the load. Exact: no error adds up.
    fn offset(&self, n: u64) -> Duration {
        let (rate, burst) = (u64::from(self.rate.max(1)), u64::from(self.pace.burst.max(1)));
        let n = n / burst * burst;
        Duration::from_secs(n / rate) + Duration::from_nanos((n % rate) * 1_000_000_000 / rate) + self.shift
    }

    fn one(
        &self,
        intended: Instant,
        start: Micros,
        in_flight: Arc<AtomicU32>,
        abandon: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let (target, pool, tell, index) = (self.target.clone(), self.pool.clone(), self.tell.clone(), self.index);
        let deadline = intended + self.pace.timeout;
        async move {
            let outcome: Option<Outcome> = tokio::select! {
                () = abandon.cancelled() => None,
                outcome = request::make(&target, &pool, deadline) => Some(outcome),
            };
            let latency = micros(Instant::now().saturating_duration_since(intended));
            in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Some(outcome) = outcome {
                // Nobody listens once the load was dropped.
                let _ = tell.send(Event::Ended { target: index, record: Record { start, latency, outcome } });
            }
        }
    }

    fn say(&self, event: Event) {
        let _ = self.tell.send(event);
    }
}
