//! Fields that were written under an older schema, brought to the one of today. Pure. The rules are those of Kubernetes'
//! structured-merge-diff 4.

use super::path::Element;
use super::set::Set;
use crate::sandbox::api::schema::{Fit, Merge, TypeId, Types};

/// A set written under an older schema, where what is atomic today was granular: its fields become the whole.
pub(super) fn reconciled(types: &Types, id: TypeId, set: &Set) -> Set {
    let (mut remove, mut add) = (Set::default(), Set::default());
    reconcile(types, Some(id), Some(set), false, &mut Vec::new(), &mut remove, &mut add);
    if remove.is_empty() && add.is_empty() {
        return set.clone();
    }
    set.recursive_difference(&remove).union(&add)
}

fn reconcile(
    types: &Types,
    id: Option<TypeId>,
    set: Option<&Set>,
    whole: bool,
    path: &mut Vec<Element>,
    remove: &mut Set,
    add: &mut Set,
) {
    let Some(id) = id else { return };
    let mut collapse = |path: &[Element]| {
        remove.insert(path);
        add.insert(path);
    };
    let next = match types.atom(id).fitting(None) {
        Fit::Scalar(_) => return,
        Fit::List(list) if !whole && list.merge == Merge::Atomic => return collapse(path),
        Fit::Map(map) if map.fields.is_empty() && map.element == Some(Types::DEDUCED) => return,
        Fit::Map(map) if !whole && map.atomic => {
            if set.is_some_and(|s| !s.is_empty()) {
                collapse(path);
            }
            return;
        }
        fit => fit,
    };
    let Some(set) = set else { return };
    let levels: std::collections::BTreeSet<&Element> = set.members.iter().chain(set.children.keys()).collect();
    for element in levels {
        let ty = match (&next, element) {
            (Fit::List(list), _) => Some(list.element),
            (Fit::Map(map), Element::Field(name)) => map.type_of(name),
            (Fit::Map(map), _) => map.element,
            (Fit::Scalar(_), _) => None,
        };
        let below = set.children.get(element);
        path.push(element.clone());
        reconcile(types, ty, below, set.members.contains(element) && below.is_none(), path, remove, add);
        path.pop();
    }
}
