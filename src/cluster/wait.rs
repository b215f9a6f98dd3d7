//! Waiting for a cluster to come to a state, with a deadline. What comes in: a question asked again and again. What
//! goes out: its answer, or the last reason why there was none. May not know: what is waited for.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// The state was reached.
    Reached(T),
    /// The deadline passed; the last reason.
    TooLate(String),
    /// The user stopped it.
    Stopped,
}

/// Asks until the answer is `Ok`, at most for `deadline`, with pauses from 50 ms growing to 500 ms.
pub async fn until<T, F: Future<Output = Result<T, String>>>(
    deadline: Duration,
    stop: &CancellationToken,
    mut ask: impl FnMut() -> F,
) -> Waited<T> {
    let end = tokio::time::Instant::now() + deadline;
    let mut pause = Duration::from_millis(50);
    loop {
        let why = match ask().await {
            Ok(answer) => return Waited::Reached(answer),
            Err(why) => why,
        };
        let wake = (tokio::time::Instant::now() + pause).min(end);
        if wake >= end && tokio::time::Instant::now() >= end {
            return Waited::TooLate(why);
        }
        tokio::select! {
            () = tokio::time::sleep_until(wake) => {}
            () = stop.cancelled() => return Waited::Stopped,
        }
        pause = (pause * 3 / 2).min(Duration::from_millis(500));
    }
}
