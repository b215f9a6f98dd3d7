//! What runs on a sandbox's clusters.
//! What comes in: a word. What goes out: the parts of each cluster.
//! May not know: how parts are installed or run.

use serde::{Deserialize, Serialize};

use super::cluster::ClusterSpec;

/// What runs on the clusters of a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Stack {
    /// Gloo on every cluster, Gloo Federation on the first
    #[default]
    Gloo,
    /// Istio on every cluster
    Istio,
    /// Gloo and Istio on every cluster, Gloo Federation on the first
    Both,
    /// Service Mesh Hub on the first cluster, Istio on the others
    Hub,
}

/// What runs on one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// Gloo.
    pub gloo: bool,
    /// Istio.
    pub istio: bool,
    /// Service Mesh Hub.
    pub hub: bool,
}

impl Default for Runs {
    /// Gloo alone: what sandboxes ran before there was a choice.
    fn default() -> Self {
        Runs { gloo: true, istio: false, hub: false }
    }
}

impl Stack {
    /// What runs on cluster number `index`.
    pub fn runs(self, index: usize) -> Runs {
        let manages = self == Stack::Hub && index == 0;
        Runs {
            gloo: matches!(self, Stack::Gloo | Stack::Both),
            istio: matches!(self, Stack::Istio | Stack::Both | Stack::Hub) && !manages,
            hub: manages,
        }
    }

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Stack::Gloo => "gloo",
            Stack::Istio => "istio",
            Stack::Both => "both",
            Stack::Hub => "hub",
        }
    }

    /// The clusters of the guide or the article that is told with this stack.
    pub fn default_clusters(self) -> &'static str {
        match self {
            Stack::Hub => "kind1=kind-kind1,kind2=kind-kind2,kind3=kind-kind3",
            _ => "local=gloo-fed,remote=gloo-fed-2",
        }
    }

    /// The clusters, with what runs on them.
    pub fn on(self, clusters: Vec<ClusterSpec>) -> Vec<ClusterSpec> {
        clusters.into_iter().enumerate().map(|(i, spec)| ClusterSpec { runs: self.runs(i), ..spec }).collect()
    }

    /// The stack of clusters that were started before.
    pub fn of(clusters: &[ClusterSpec]) -> Stack {
        let runs = |i: usize| clusters.get(i).map(|c| c.runs);
        let fits = |stack: &Stack| (0..clusters.len()).all(|i| runs(i) == Some(stack.runs(i)));
        [Stack::Gloo, Stack::Istio, Stack::Both, Stack::Hub].into_iter().find(fits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cluster::parse;

    #[test]
    fn the_hub_manages_from_a_cluster_without_a_mesh() {
        let clusters = Stack::Hub.on(parse(Stack::Hub.default_clusters()).unwrap());
        let runs: Vec<_> = clusters.iter().map(|c| (c.runs.gloo, c.runs.istio, c.runs.hub)).collect();
        assert_eq!(runs, [(false, false, true), (false, true, false), (false, true, false)]);
        assert_eq!(Stack::of(&clusters), Stack::Hub);
    }

    #[test]
    fn a_stack_is_known_again_from_its_clusters() {
        for stack in [Stack::Gloo, Stack::Istio, Stack::Both, Stack::Hub] {
            assert_eq!(Stack::of(&stack.on(parse("a,b").unwrap())), stack);
        }
    }
}
