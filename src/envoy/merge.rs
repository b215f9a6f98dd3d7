//! The merge window: changes of health wait before the workers see them (`update_merge_window`, default 1 s).

use crate::model::duration::Millis;

/// Envoy's default window.
pub const DEFAULT_WINDOW: Millis = Millis(1000);

/// When each change of health of one (cluster, priority) reaches the workers. `changes` are in order of time;
/// `applied` is when the last change reached them. A change after more than `window` of quiet is applied at once;
/// any other waits, with all that follow it, until `window` after the first of them.
pub fn visible(changes: &[Millis], applied: Option<Millis>, window: Millis) -> Vec<Millis> {
    let (mut last, mut fires): (Option<u64>, Option<u64>) = (applied.map(|m| m.0), None);
    let mut seen = Vec::with_capacity(changes.len());
    for change in changes.iter().map(|m| m.0) {
        if let Some(at) = fires.filter(|at| *at <= change) {
            (last, fires) = (Some(at), None);
        }
        let quiet = last.is_none_or(|last| change - last.min(change) > window.0);
        let at = match fires {
            _ if window.0 == 0 => change,
            Some(at) => at,
            None if quiet => change,
            None => change + window.0,
        };
        match at == change {
            true => last = Some(change),
            false => fires = Some(at),
        }
        seen.push(Millis(at));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(all: &[u64]) -> Vec<Millis> {
        all.iter().copied().map(Millis).collect()
    }

    #[test]
    fn the_first_change_is_seen_at_once_and_the_next_ones_together_a_second_later() {
        assert_eq!(visible(&ms(&[0, 4, 9, 12]), None, DEFAULT_WINDOW), ms(&[0, 1004, 1004, 1004]));
    }

    #[test]
    fn quiet_for_longer_than_the_window_makes_the_next_change_immediate() {
        assert_eq!(visible(&ms(&[0, 1001, 1002]), None, DEFAULT_WINDOW), ms(&[0, 1001, 2002]));
        assert_eq!(visible(&ms(&[12_002]), Some(Millis(12_000)), DEFAULT_WINDOW), ms(&[13_002]));
    }

    #[test]
    fn no_window_means_no_wait() {
        assert_eq!(visible(&ms(&[0, 4, 9]), None, Millis(0)), ms(&[0, 4, 9]));
    }
}
