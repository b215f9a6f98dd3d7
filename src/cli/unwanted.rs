//! What the documents no longer want: `--prune` and `--set` of `diff` and `apply`. No command itself.

use super::Ctx;
use super::picture::{Ground, Lens, Picture, Unwanted, narrowed};
use crate::cluster::{Want, observe};
use crate::manifest::{Manifest, SET_LABEL, World};
use crate::model::name::SetName;
use crate::plan::Action;

/// How to treat objects that earlier documents wanted and these do not.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct UnwantedArgs {
    /// Also take away what an earlier apply of the same documents wrote and they no longer want: objects that failctl
    /// created are deleted, of others its fields and routes are given back
    #[arg(long, conflicts_with = "failovers")]
    pub prune: bool,
    /// The set these documents are, where several are applied to one fleet; what is pruned is of this set alone
    #[arg(long, value_name = "NAME", env = "FAILCTL_SET")]
    pub set: Option<SetName>,
}

impl UnwantedArgs {
    /// How to look at the clusters; `whole`: all of the documents are meant, so the rest is what they do not want.
    pub fn lens(&self, whole: bool) -> Lens {
        let unwanted = match (whole, self.prune) {
            (false, _) => Unwanted::Ignore,
            (true, false) => Unwanted::Count,
            (true, true) => Unwanted::Take,
        };
        Lens { set: self.set.clone(), unwanted, ..Lens::default() }
    }
}

/// Kinds in which something may be that documents wanted earlier.
const KINDS: [(&str, &str); 9] = [
    ("v1", "Service"),
    ("gloo.solo.io/v1", "Upstream"),
    ("gateway.solo.io/v1", "Gateway"),
    ("fed.solo.io/v1", "FailoverScheme"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1", "Gateway"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
];

/// Everything on the clusters that carries the mark of a set, and every list that may hold items of one.
pub async fn look(ground: &Ground, desired: &[Manifest]) -> World {
    let mut wants = Vec::new();
    let given = desired.iter().map(|m| (m.key.gvk.api_version(), m.key.gvk.kind.clone()));
    let known = KINDS.iter().map(|(version, kind)| (version.to_string(), kind.to_string()));
    for cluster in ground.clients.clusters() {
        let marked = known.clone().chain(given.clone()).map(|(v, k)| Want::all(&v, &k).on(cluster).labelled(SET_LABEL));
        let lists = Want::all("gateway.solo.io/v1", "VirtualService").on(cluster);
        wants.extend(marked.chain([lists]).flat_map(|w| narrowed(ground, w)));
    }
    wants.sort();
    wants.dedup();
    observe(&ground.clients, &wants).await
}

/// Says what is no longer wanted and stays, and where that cannot be told.
pub fn say(ctx: &Ctx, picture: &Picture, prune: bool) {
    let changes = picture.unwanted.changes().map(|c| (c.action, &c.key));
    let items = picture.unwanted.items.iter().map(|(key, _)| (Action::Release, key));
    let left: Vec<_> = changes.chain(items.filter(|_| !prune)).collect();
    if !left.is_empty() {
        let many = if left.len() == 1 { "1 object holds".to_string() } else { format!("{} objects hold", left.len()) };
        ctx.ui.say(format!("note: {many} what earlier documents wanted and these do not:"));
        left.iter().for_each(|(action, key)| ctx.ui.say(format!("  {} {key}", action.sign())));
        ctx.ui.say("  hint: `--prune` deletes (-) or gives back (/)");
    }
    for (key, why) in picture.unwanted.kept.iter().filter(|_| prune) {
        ctx.ui.say(format!("note: {key} is no longer wanted and stays: {why}"));
    }
    for (cluster, why) in picture.unsearched.iter().filter(|_| prune) {
        ctx.ui.say(format!("warning: what is no longer wanted on {cluster} stays: it cannot be told: {why}"));
    }
}
