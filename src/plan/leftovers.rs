//! What documents wanted when they were applied last, and no longer do. What comes in: the set the documents are, what
//! they want now, a world with what carries the label of a set. What goes out: changes that take the rest away, and
//! what stays although nobody wants it. May not know: clients.
//!
//! Only what says that it belongs to this very set is touched: an object failctl created is deleted, of others its
//! fields and items are given back. What failovers share (their gateways) stays while another set is there that may
//! use it; workloads of the user's own documents, and what would take other things with it (a Namespace, a definition),
//! stay in any case.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::between::{is_ours, owner_of, same_object};
use super::items::{self, ITEMS_ANNOTATION};
use super::removal::{Scope, found_away, wave_of};
use super::{Change, Plan};
use crate::manifest::{DocumentSet, Manifest, ObjectKey, Wave, World, set_of};
use crate::model::name::ClusterName;

/// Kinds whose deletion takes other things with it.
const NEVER: [&str; 4] = ["Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim"];

/// Groups of what services run on. Where the user's own documents wrote it, leaving a document out of one command is no
/// reason to take a service down.
const WORKLOADS: [&str; 3] = ["", "apps", "batch"];

/// What is no longer wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leftovers {
    /// Changes that take it away: routes first, gateways last, and the primary before its backups.
    pub waves: Vec<Vec<Change>>,
    /// Owners of items in lists that are still wanted: their items go with the change that `between` makes when it is
    /// told to prune.
    pub items: Vec<(ObjectKey, BTreeSet<String>)>,
    /// What stays, and why.
    pub kept: Vec<(ObjectKey, String)>,
}

impl Leftovers {
    /// All changes in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.waves.iter().flatten()
    }

    /// Adds them to a plan, after everything else.
    pub fn append_to(self, plan: &mut Plan) {
        if !self.waves.is_empty() {
            plan.leftovers = Some(plan.waves.len());
            plan.waves.extend(self.waves);
        }
    }
}

/// What of `set` is there and not in `desired`. `first`: clusters that are taken down first within a wave.
pub fn leftovers(
    set: &DocumentSet,
    desired: &[Manifest],
    observed: &World,
    first: &BTreeSet<ClusterName>,
) -> Leftovers {
    let mut found = Leftovers::default();
    let mut waves: BTreeMap<(Reverse<Wave>, bool), Vec<Change>> = BTreeMap::new();
    let shared_stays = shared_may_be_used(set, observed);
    let read = observed.clusters.values().filter(|o| o.unreachable.is_none());
    for (key, there) in read.flat_map(|o| &o.by_key) {
        let wanted: Vec<&Manifest> = desired.iter().filter(|m| same_object(&m.key, key)).collect();
        if !wanted.is_empty() {
            let still: BTreeSet<String> = wanted.iter().map(|m| owner_of(&m.body)).collect();
            let left = &items::owners_in(there, &set.label()) - &still;
            found.items.extend((!left.is_empty()).then(|| (key.clone(), left)));
            continue;
        }
        let owners = match there.pointer("/metadata/annotations").and_then(|a| a.get(ITEMS_ANNOTATION)) {
            Some(_) => items::owners_in(there, &set.label()),
            None if belongs(set, there) => BTreeSet::from([owner_of(there)]),
            None => continue,
        };
        if owners.is_empty() {
            continue;
        }
        if !is_ours(there) && WORKLOADS.contains(&key.gvk.group.as_str()) {
            found.kept.push((key.clone(), "it is of your own documents, and a service may run on it".into()));
            continue;
        }
        if NEVER.contains(&key.gvk.kind.as_str()) {
            found.kept.push((key.clone(), "failctl never deletes what holds other things".into()));
            continue;
        }
        if is_shared(there) && shared_stays {
            found.kept.push((key.clone(), "failovers of another set of documents may use it".into()));
            continue;
        }
        let scope = Scope { owners: Some(owners), ..Scope::default() };
        if let Some(change) = found_away(&scope, key, there, true) {
            waves.entry((Reverse(wave_of(key)), !first.contains(&key.cluster))).or_default().push(change);
        }
    }
    found.waves = waves.into_values().collect();
    found
}

/// What all failovers of a fleet use: their gateways.
fn is_shared(object: &Value) -> bool {
    is_ours(object) && owner_of(object) == "fleet"
}

fn belongs(set: &DocumentSet, object: &Value) -> bool {
    let label = if is_shared(object) { set.shared_label() } else { set.label() };
    set_of(object) == Some(&label)
}

/// Whether another set is there, or could be where nothing can be read.
fn shared_may_be_used(set: &DocumentSet, observed: &World) -> bool {
    let mine = set.label();
    let other = |object: &Value| {
        let marked = set_of(object).is_some_and(|l| l != mine) && !is_shared(object);
        marked || items::sets(object).values().any(|l| *l != mine)
    };
    observed.clusters.values().any(|o| o.unreachable.is_some() || o.by_key.values().any(other))
}
