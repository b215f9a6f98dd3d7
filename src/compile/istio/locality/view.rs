//! What callers in one cluster have behind a Service's name: their own Pods first, then the other clusters in the
//! document's order. What comes in: a join. What goes out: levels, and the labels by which Istio tells them apart.
//! May not know: objects.
//!
//! istiod ranks an endpoint by how many keys of `failoverPriority`, from the first on, it has like the caller; a key that
//! neither has is alike (`applyFailoverPriorityPerLocality`, Go's zero value). So the keys are ours, nobody carries them
//! but the other clusters' endpoints, and an endpoint of level k carries the k-th from the end: every order of any number
//! of clusters, whatever their regions are called, and without a place of the caller.

use super::super::intent::{Join, Share};
use crate::model::name::ClusterName;

/// What callers in one cluster have behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The cluster.
    pub caller: &'a ClusterName,
    /// Its own part, if it has one.
    pub own: Option<&'a Share>,
    /// The others by level, the first behind their own the first.
    pub others: Vec<Vec<&'a Share>>,
}

impl Join {
    /// One view for each cluster of callers.
    pub fn views(&self) -> Vec<View<'_>> {
        self.callers.iter().map(|c| self.view(c)).collect()
    }

    fn view<'a>(&'a self, caller: &'a ClusterName) -> View<'a> {
        let is_own = |s: &&Share| s.backend.cluster == *caller;
        let others = self.order.iter().map(|g| g.iter().filter(|s| !is_own(s)).collect::<Vec<_>>());
        let own = self.order.iter().flatten().find(is_own);
        View { caller, own, others: others.filter(|g| !g.is_empty()).collect() }
    }
}

impl View<'_> {
    /// How many levels there are, their own among them.
    pub fn levels(&self) -> usize {
        self.others.len() + usize::from(self.own.is_some())
    }

    /// The keys in the order Istio compares them: that of the last level first.
    pub fn keys(&self) -> Vec<String> {
        (1..=self.others.len()).rev().map(key).collect()
    }
}

/// The key that endpoints of a level carry; the first behind the caller's own is 1.
pub fn key(level: usize) -> String {
    format!("failctl.dev/backup-{level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// istiod's rule, by its own words: N minus the length of the prefix that is alike.
    fn rank(keys: &[String], carried: Option<String>) -> usize {
        keys.len() - keys.iter().take_while(|k| Some(*k) != carried.as_ref()).count()
    }

    #[test]
    fn a_level_is_the_rank_that_istiod_gives_its_key() {
        for n in 1..6 {
            let keys: Vec<String> = (1..=n).rev().map(key).collect();
            assert_eq!(rank(&keys, None), 0, "their own Pods carry none");
            for level in 1..=n {
                assert_eq!(rank(&keys, Some(key(level))), level);
            }
        }
    }
}
