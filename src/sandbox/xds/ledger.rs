//! When a request is answered: at once, when something changes, or with "nothing new".
//! What comes in: what a node asked for and what it was offered before. What goes out: a decision.
//! Pure but for the instants it is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::answer::Kind;

/// How long an offer the node did not take is not repeated: it refused it, and would refuse it again.
const REFUSED: Duration = Duration::from_secs(5);
/// The same for a node without any version, which may just have started: it gets a few offers first.
const UNSETTLED: Duration = Duration::from_secs(1);
/// Offers to a node without any version before they become slow.
const PATIENCE: u32 = 5;
/// How long routes and endpoints wait for the clusters.
const CLUSTERS_FIRST: Duration = Duration::from_secs(1);

/// What one subscription of one node was offered.
struct Offer {
    version: String,
    at: Instant,
    times: u32,
}

/// What the nodes were offered and have taken.
#[derive(Default)]
pub struct Ledger {
    offers: BTreeMap<Subscription, Offer>,
    /// The version of the clusters each node has.
    clusters: BTreeMap<String, String>,
}

/// One subscription of one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// Node id.
    pub node: String,
    /// What about.
    pub kind: Kind,
    /// Which resources; empty for all.
    pub names: Vec<String>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with what there is.
    Answer,
    /// Hold until something changes.
    Hold,
    /// Hold until something changes or this time has come.
    HoldUntil(Instant),
}

impl Ledger {
    /// Notes what the node says it has.
    pub fn heard(&mut self, subscription: &Subscription, version: &str) {
        if subscription.kind == Kind::Clusters {
            self.clusters.insert(subscription.node.clone(), version.to_string());
        }
        if self.offers.get(subscription).is_some_and(|o| o.version == version) {
            self.offers.remove(subscription);
        }
    }

    /// What to do with a request of a node that has `has`, when `current` is what there is (published at `since`),
    /// and `clusters` the current version of the clusters.
    pub fn decide(
        &self,
        subscription: &Subscription,
        has: &str,
        current: &str,
        clusters: &str,
        since: Instant,
        now: Instant,
    ) -> Decision {
        if has == current {
            return Decision::Hold;
        }
        if let Some(offer) = self.offers.get(subscription).filter(|o| o.version == current) {
            let again = match (has.is_empty(), offer.times) {
                (true, times) if times < PATIENCE => offer.at,
                (true, _) => offer.at + UNSETTLED,
                (false, _) => offer.at + REFUSED,
            };
            if again > now {
                return Decision::HoldUntil(again);
            }
        }
        // A first answer never waits: the node has asked for it because of what it has already taken.
        let behind = self.clusters.get(&subscription.node).is_some_and(|c| c != clusters);
        let first = since + CLUSTERS_FIRST;
        if subscription.kind.needs_clusters() && !has.is_empty() && behind && now < first {
            return Decision::HoldUntil(first);
        }
        Decision::Answer
    }

    /// Notes an offer. True when this version was offered before and not taken.
    pub fn offered(&mut self, subscription: &Subscription, version: &str, now: Instant) -> bool {
        let times = match self.offers.get(subscription) {
            Some(before) if before.version == version => before.times + 1,
            _ => 1,
        };
        self.offers.insert(subscription.clone(), Offer { version: version.into(), at: now, times });
        times > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(kind: Kind) -> Subscription {
        Subscription { node: "pod".into(), kind, names: Vec::new() }
    }

    #[test]
    fn who_has_what_there_is_waits_and_who_has_not_is_answered() {
        let (ledger, now) = (Ledger::default(), Instant::now());
        assert_eq!(ledger.decide(&about(Kind::Clusters), "a", "a", "a", now, now), Decision::Hold);
        assert_eq!(ledger.decide(&about(Kind::Clusters), "a", "b", "b", now, now), Decision::Answer);
    }

    #[test]
    fn a_refused_version_is_not_offered_in_a_loop() {
        let (mut ledger, now, clusters) = (Ledger::default(), Instant::now(), about(Kind::Clusters));
        assert!(!ledger.offered(&clusters, "bad", now));
        ledger.heard(&clusters, "good");
        assert_eq!(ledger.decide(&clusters, "good", "bad", "bad", now, now), Decision::HoldUntil(now + REFUSED));
        assert_eq!(ledger.decide(&clusters, "good", "better", "better", now, now), Decision::Answer);
        assert_eq!(ledger.decide(&clusters, "good", "bad", "bad", now, now + REFUSED), Decision::Answer);
    }

    #[test]
    fn a_node_that_starts_again_and_again_is_answered_then_slowed() {
        let (mut ledger, now, clusters) = (Ledger::default(), Instant::now(), about(Kind::Clusters));
        for _ in 0..PATIENCE {
            assert_eq!(ledger.decide(&clusters, "", "v", "v", now, now), Decision::Answer);
            ledger.offered(&clusters, "v", now);
        }
        assert_eq!(ledger.decide(&clusters, "", "v", "v", now, now), Decision::HoldUntil(now + UNSETTLED));
        ledger.heard(&clusters, "v");
        assert_eq!(ledger.decide(&clusters, "", "v", "v", now, now), Decision::Answer);
    }

    #[test]
    fn routes_and_endpoints_wait_for_the_clusters_but_not_for_ever() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.heard(&about(Kind::Clusters), "old");
        let waits = Decision::HoldUntil(now + CLUSTERS_FIRST);
        assert_eq!(ledger.decide(&about(Kind::Routes), "r1", "r2", "new", now, now), waits);
        assert_eq!(ledger.decide(&about(Kind::Endpoints), "", "e1", "new", now, now), Decision::Answer);
        assert_eq!(ledger.decide(&about(Kind::Routes), "r1", "r2", "new", now, now + CLUSTERS_FIRST), Decision::Answer);
        ledger.heard(&about(Kind::Clusters), "new");
        assert_eq!(ledger.decide(&about(Kind::Routes), "r1", "r2", "new", now, now), Decision::Answer);
    }
}
