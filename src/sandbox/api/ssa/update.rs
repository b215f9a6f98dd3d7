//! How a write changes an object and the sets of its managers. Pure.

use serde_json::Value;

use super::managers::{Manager, Managers, Owned};
use super::path::same;
use super::reconcile;
use super::set::Set;
use super::typed::{self, Comparison};
use crate::sandbox::api::schema::Shape;

/// One endpoint's view of managers.
pub(super) struct Updater<'a> {
    /// The type of the objects.
    pub(super) shape: &'a Shape,
    /// The version of the request.
    pub(super) version: &'a str,
    /// The fields that the endpoint ignores.
    pub(super) ignored: Set,
}

/// Why an apply stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// Others own what would change.
    Conflicts(Vec<(Manager, Set)>),
    /// The two objects cannot be merged.
    Merge(String),
}

impl Updater<'_> {
    /// After a plain write: takes the changed fields from all managers, and answers what changed.
    pub(super) fn update(&self, before: &Value, after: &Value, managed: &mut Managers) -> Set {
        self.reconcile(managed);
        let all = typed::difference(self.shape.types(), self.shape.root(), before, after);
        let seen = self.filtered(&all);
        for (manager, owned) in managed.iter_mut() {
            let compare = self.comparison(manager, owned, &all, &seen);
            owned.set = owned.set.difference(&compare.modified).difference(&compare.added).difference(&compare.removed);
        }
        managed.retain(|_, owned| !owned.set.is_empty());
        seen.modified.union(&seen.added)
    }

    /// Applies `config`: the object if anything in it changed, and the managers.
    pub(super) fn apply(
        &self,
        live: &Value,
        config: &Value,
        mut managed: Managers,
        who: &Manager,
        force: bool,
    ) -> Result<(Option<Value>, Managers), Stop> {
        let (types, root) = (self.shape.types(), self.shape.root());
        self.reconcile(&mut managed);
        let merged = typed::merge(types, root, live, config).map_err(Stop::Merge)?;
        let last = managed.get(who).cloned();
        let wanted = typed::fields(types, root, config).recursive_difference(&self.ignored);
        let time = last.as_ref().and_then(|l| l.time.clone());
        managed.insert(who.clone(), Owned { set: wanted, version: self.version.to_owned(), time });
        let object = match last.filter(|l| !l.set.is_empty()) {
            Some(last) => self.without_abandoned(merged, &managed, &last.set),
            None => merged,
        };
        self.settle(live, &object, &mut managed, who, force)?;
        Ok(((!same(live, &object)).then_some(object), managed))
    }

    /// Takes what changed from the other managers, or stops because it is theirs.
    fn settle(
        &self,
        live: &Value,
        object: &Value,
        managed: &mut Managers,
        who: &Manager,
        force: bool,
    ) -> Result<(), Stop> {
        let all = typed::difference(self.shape.types(), self.shape.root(), live, object);
        let seen = self.filtered(&all);
        let changed = |c: &Comparison| c.modified.union(&c.added);
        let mut conflicts = Vec::new();
        for (manager, owned) in managed.iter().filter(|(manager, _)| *manager != who) {
            let theirs = owned.set.intersection(&changed(self.comparison(manager, owned, &all, &seen)));
            if !theirs.is_empty() {
                conflicts.push((manager.clone(), theirs));
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(Stop::Conflicts(conflicts));
        }
        for (manager, owned) in managed.iter_mut().filter(|(manager, _)| *manager != who) {
            let compare = self.comparison(manager, owned, &all, &seen);
            owned.set = owned.set.difference(&changed(compare)).difference(&compare.removed);
        }
        managed.retain(|_, owned| !owned.set.is_empty());
        Ok(())
    }

    /// Takes out what the manager applied last time and no longer wants, unless somebody else owns it.
    fn without_abandoned(&self, merged: Value, managed: &Managers, last: &Set) -> Value {
        let (types, root) = (self.shape.types(), self.shape.root());
        let named = |set: &Set| set.with_named_fields(types, Some(root));
        let last = named(last);
        let pruned = typed::without(types, root, &merged, &last);
        let owned = managed.values().fold(Set::default(), |all, owned| all.union(&owned.set));
        let all_fields = named(&typed::fields(types, root, &merged));
        let left = named(&typed::fields(types, root, &pruned));
        // Back comes what anybody owns …
        let gone = all_fields.difference(&left.union(&named(&owned)));
        let pruned = typed::without(types, root, &merged, &gone);
        // … and what was never this manager's.
        let left = named(&typed::fields(types, root, &pruned));
        let gone = all_fields.difference(&left).intersection(&last);
        if gone.is_empty() { merged } else { typed::without(types, root, &merged, &gone) }
    }

    /// A manager of another version saw none of the endpoint's habits.
    fn comparison<'c>(&self, _: &Manager, owned: &Owned, all: &'c Comparison, seen: &'c Comparison) -> &'c Comparison {
        if owned.version == self.version { seen } else { all }
    }

    fn filtered(&self, all: &Comparison) -> Comparison {
        Comparison {
            removed: all.removed.recursive_difference(&self.ignored),
            modified: all.modified.recursive_difference(&self.ignored),
            added: all.added.recursive_difference(&self.ignored),
        }
    }

    fn reconcile(&self, managed: &mut Managers) {
        for owned in managed.values_mut() {
            owned.set = reconcile::reconciled(self.shape.types(), self.shape.root(), &owned.set);
        }
    }
}
