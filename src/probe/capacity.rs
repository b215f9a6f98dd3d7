//! How much a service answers when everybody asks again as soon as an answer is there: what a constant rate must stay well
//! below, lest a drill measures the machine.
//! May not know: clusters, drills.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::pool::Pool;
use super::request;
use super::target::Target;
use crate::sim::record::Outcome;

/// Who ask at the same time.
const AT_ONCE: usize = 16;
/// Connections and caches are made first.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long answers are counted.
const COUNTED: Duration = Duration::from_secs(2);

/// Answers per second at most, on this machine and at this moment. Takes 2.5 s.
pub async fn answers_per_second(target: &Target) -> f64 {
    let begin = Instant::now() + WARM_UP;
    let end = begin + COUNTED;
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        let target = target.clone();
        asking.spawn(async move {
            let (pool, mut answers) = (Pool::default(), 0_u32);
            while Instant::now() < end {
                let outcome = request::make(&target, &pool, end).await;
                answers += u32::from(matches!(outcome, Outcome::Answered { .. }) && Instant::now() >= begin);
            }
            answers
        });
    }
    let answers: u32 = asking.join_all().await.into_iter().sum();
    f64::from(answers) / COUNTED.as_secs_f64()
}
