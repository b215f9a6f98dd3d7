//! How Envoy splits load between priorities: integers, truncating division, panic.
//! What comes in: hosts by health for each priority. What goes out: percent for each priority, and who is in panic.
//! Rules: Envoy's load_balancer_impl.cc; 94 cases measured on 1.40 agree.

/// Hosts of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// All.
    pub total: u32,
    /// Usable without reservation.
    pub healthy: u32,
    /// Usable when nothing better is left.
    pub degraded: u32,
    /// Left out of every share: pending their first check, or failed by header.
    pub excluded: u32,
}

impl Hosts {
    /// `healthy` of `total`, none degraded.
    pub const fn of(healthy: u32, total: u32) -> Self {
        Hosts { total, healthy, degraded: 0, excluded: 0 }
    }

    fn counted(self) -> u64 {
        u64::from(self.total.saturating_sub(self.excluded))
    }

    /// Percent of `part`, times `factor` percent, at most 100.
    fn share(self, part: u32, factor: u32) -> u32 {
        let whole = u64::from(factor) * u64::from(part);
        whole.checked_div(self.counted()).map_or(0, |s| s.min(100) as u32)
    }

    /// Usable share without overprovisioning below the threshold (percent).
    fn below(self, threshold: u32) -> bool {
        let usable = u64::from(self.healthy) + u64::from(self.degraded);
        100 * usable < u64::from(threshold) * self.counted() || self.counted() == 0 && threshold > 0
    }
}

/// The two numbers that shape the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `overprovisioning_factor`, percent.
    pub overprovisioning: u32,
    /// `healthy_panic_threshold`, percent; 0 is off.
    pub panic_threshold: u32,
}

impl Default for Settings {
    /// Envoy's defaults.
    fn default() -> Self {
        Settings { overprovisioning: 140, panic_threshold: 50 }
    }
}

/// How requests are split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Percent that goes to each priority's healthy hosts.
    pub healthy: Vec<u32>,
    /// Percent that goes to each priority's degraded hosts.
    pub degraded: Vec<u32>,
    /// Priorities that ignore health.
    pub panic: Vec<bool>,
    /// Every priority is in panic: load goes by host count.
    pub total_panic: bool,
}

impl Load {
    /// Percent for one priority.
    pub fn of(&self, priority: usize) -> u32 {
        self.healthy.get(priority).copied().unwrap_or(0) + self.degraded.get(priority).copied().unwrap_or(0)
    }

    /// Percent for each priority.
    pub fn split(&self) -> Vec<u32> {
        (0..self.healthy.len()).map(|p| self.of(p)).collect()
    }

    /// The priority a draw picks. `draw` is any random number.
    pub fn pick(&self, draw: u64) -> Option<usize> {
        let mut left = (draw % 100 + 1) as u32;
        for load in [&self.healthy, &self.degraded] {
            for (priority, share) in load.iter().enumerate() {
                if left <= *share {
                    return Some(priority);
                }
                left -= share;
            }
        }
        None
    }

    /// Per mille of all requests that hit unusable hosts: a priority in panic spreads over all its hosts, and a
    /// priority without any usable host loses what it gets.
    pub fn lost_per_mille(&self, hosts: &[Hosts]) -> u32 {
        let lost = |(p, h): (usize, &Hosts)| {
            let usable = h.healthy + h.degraded;
            let (all, load) = (u64::from(h.total), u64::from(self.of(p)));
            match (self.panic.get(p).copied().unwrap_or(false), usable) {
                (true, _) if all > 0 => load * 10 * (all - u64::from(usable.min(h.total))) / all,
                (_, 0) => load * 10,
                _ => 0,
            }
        };
        hosts.iter().enumerate().map(lost).sum::<u64>() as u32
    }
}

/// Splits 100 percent by availability; rounding goes to the first available priority.
/// Nothing when nothing is available.
pub fn split(health: &[u32], degraded: &[u32]) -> Option<(Vec<u32>, Vec<u32>)> {
    let total = health.iter().chain(degraded).sum::<u32>().min(100);
    if total == 0 {
        return None;
    }
    let mut left = 100;
    let mut take = |available: &u32| {
        let load = left.min(available * 100 / total);
        left -= load;
        load
    };
    let mut healthy_load: Vec<u32> = health.iter().map(&mut take).collect();
    let mut degraded_load: Vec<u32> = degraded.iter().map(&mut take).collect();
    match health.iter().position(|h| *h > 0) {
        Some(first) => healthy_load[first] += left,
        None => {
            if let Some(first) = degraded.iter().position(|d| *d > 0) {
                degraded_load[first] += left;
            }
        }
    }
    Some((healthy_load, degraded_load))
}

/// Availability of each priority in percent: healthy and degraded.
pub fn availability(hosts: &[Hosts], overprovisioning: u32) -> (Vec<u32>, Vec<u32>) {
    let healthy = hosts.iter().map(|h| h.share(h.healthy, overprovisioning)).collect();
    let degraded = hosts.iter().map(|h| h.share(h.degraded, overprovisioning)).collect();
    (healthy, degraded)
}

/// The load of each priority of one cluster.
pub fn load(hosts: &[Hosts], settings: Settings) -> Load {
    let (health, degraded) = availability(hosts, settings.overprovisioning);
    let total = health.iter().chain(&degraded).sum::<u32>().min(100);
    let panic: Vec<bool> = hosts.iter().map(|h| total < 100 && h.below(settings.panic_threshold)).collect();
    let total_panic = !panic.is_empty() && panic.iter().all(|p| *p);
    let none = vec![0; hosts.len()];
    if total_panic {
        return Load { healthy: by_count(hosts), degraded: none, panic, total_panic };
    }
    let (healthy, degraded) = split(&health, &degraded).unwrap_or_else(|| {
        // Panic is off and nobody is left: everything goes to the first priority, which has no host, and fails.
        let mut first = none.clone();
        if let Some(p) = first.first_mut() {
            *p = 100;
        }
        (first, none.clone())
    });
    Load { healthy, degraded, panic, total_panic }
}

/// Total panic: by host count, health ignored; rounding to the first priority that has hosts.
fn by_count(hosts: &[Hosts]) -> Vec<u32> {
    let all: u64 = hosts.iter().map(|h| u64::from(h.total)).sum();
    let mut load: Vec<u32> =
        hosts.iter().map(|h| (100 * u64::from(h.total)).checked_div(all).unwrap_or(0) as u32).collect();
    let left = 100 - load.iter().sum::<u32>();
    if let Some(first) = hosts.iter().position(|h| h.total > 0) {
        load[first] += left;
    }
    load
}

/// An aggregate cluster: its members' priorities in a row, split by the aggregate's own settings; then each member
/// decides about panic once more, knowing only its own hosts.
pub fn aggregate(members: &[Vec<Hosts>], own: Settings, member: Settings) -> Load {
    let row: Vec<Hosts> = members.iter().flatten().copied().filter(|h| h.total > 0).collect();
    let mut all = load(&row, own);
    let inner = members.iter().flat_map(|hosts| {
        let seen = load(hosts, member).panic;
        hosts.iter().zip(seen).filter(|(h, _)| h.total > 0).map(|(_, p)| p).collect::<Vec<_>>()
    });
    all.panic = inner.collect();
    all
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
