//! FailoverScheme (fed.solo.io/v1), strictly: its CRD has no schema, so the API server takes any typo. What comes in:
//! one object. What goes out: what is wrong with it. May not know: what becomes of it.
//! Fields: solo-apis, `fed/v1/failover.proto`; both JSON spellings of protocol buffers are accepted.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, Namespace, ObjectName};
use crate::model::problem::Problem;
use crate::spec::reading::Reading;
use crate::spec::shape::Spelling;
use crate::spec::text::{Located, meant};

/// Group and kind.
pub const NAME: (&str, &str) = ("fed.solo.io", "FailoverScheme");

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Scheme).to_value());

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Scheme {
    /// What fails over, and where to.
    #[schemars(required)]
    spec: Option<Spec>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// The Upstream that serves while all is well.
    #[schemars(required)]
    primary: Option<Primary>,
    /// Where traffic goes when the primary is lost, in this order.
    #[schemars(required)]
    failover_groups: Option<Vec<Group>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Primary {
    /// The cluster, as it is registered.
    #[schemars(required)]
    cluster_name: Option<String>,
    /// Name of the Upstream.
    #[schemars(required)]
    name: Option<String>,
    /// Namespace of the Upstream.
    #[schemars(required)]
    namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Group {
    /// Targets that share this priority.
    #[schemars(required)]
    priority_group: Option<Vec<Target>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    /// The cluster, as it is registered.
    #[schemars(required)]
    cluster: Option<String>,
    /// The Upstreams there.
    #[schemars(required)]
    upstreams: Option<Vec<Reference>>,
    /// Share of the group's traffic, at least 1.
    #[schemars(range(min = 1))]
    #[expect(dead_code, reason = "its shape is checked; it goes on as it stands")]
    locality_weight: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reference {
    /// Name.
    #[schemars(required)]
    name: Option<String>,
    /// Namespace.
    #[schemars(required)]
    namespace: Option<String>,
}

/// What is wrong with a scheme.
pub fn check(document: &Located, value: &Value, fleet: Option<&Fleet>) -> Vec<Problem> {
    let mut value = value.clone();
    let mut traps = Vec::new();
    untrap(&mut value, document, &mut traps);
    let (mut r, scheme) = Reading::begin::<Scheme>(document, &SCHEMA, value, Spelling::Proto);
    r.problems.extend(traps);
    let Some(spec) = scheme.and_then(|s| s.spec) else { return r.problems };
    if let Some(p) = spec.primary {
        cluster(&mut r, "/spec/primary/clusterName", p.cluster_name, fleet);
        reference(&mut r, "/spec/primary", p.name, p.namespace);
    }
    if spec.failover_groups.as_ref().is_some_and(Vec::is_empty) {
        r.error("FCT0202", "/spec/failoverGroups", "there is nothing to fail over to", None);
    }
    for (g, group) in spec.failover_groups.into_iter().flatten().enumerate() {
        let at = format!("/spec/failoverGroups/{g}/priorityGroup");
        if group.priority_group.as_ref().is_some_and(Vec::is_empty) {
            r.error("FCT0202", &at, "this group has no target", None);
        }
        for (t, target) in group.priority_group.into_iter().flatten().enumerate() {
            let at = format!("{at}/{t}");
            cluster(&mut r, &format!("{at}/cluster"), target.cluster, fleet);
            if target.upstreams.as_ref().is_some_and(Vec::is_empty) {
                r.error("FCT0202", &format!("{at}/upstreams"), "this target names no Upstream", None);
            }
            for (u, up) in target.upstreams.into_iter().flatten().enumerate() {
                reference(&mut r, &format!("{at}/upstreams/{u}"), up.name, up.namespace);
            }
        }
    }
    r.problems
}

fn cluster(r: &mut Reading<'_>, at: &str, text: Option<String>, fleet: Option<&Fleet>) {
    let name = r.word(at, text, |t| ClusterName::new(t));
    if let (Some(name), Some(fleet)) = (name, fleet)
        && !fleet.clusters.contains_key(&name)
    {
        let hint = meant(name.as_str(), fleet.clusters.keys().map(ClusterName::as_str));
        r.error("FCT0210", at, format!("`{name}` is no cluster of the fleet"), Some(hint));
    }
}

fn reference(r: &mut Reading<'_>, at: &str, name: Option<String>, namespace: Option<String>) {
    r.word(&format!("{at}/name"), name, |t| ObjectName::new(t));
    r.word(&format!("{at}/namespace"), namespace, |t| Namespace::new(t));
}

/// The famous trap: the primary says `clusterName`, a target says `cluster`. The wrong one gets its own message, and
/// is put right in this copy so that it is not reported a second time.
fn untrap(value: &mut Value, document: &Located, problems: &mut Vec<Problem>) {
    let mut swap = |object: Option<&mut Value>, wrong: &[&str], right: &str, pointer: &str, what: &str| {
        let Some(map) = object.and_then(Value::as_object_mut) else { return };
        let Some(wrong) = wrong.iter().find(|w| map.contains_key(**w)) else { return };
        if map.contains_key(right) {
            return;
        }
        let problem = Problem::error("FCT0116", what).hint(format!("write `{right}` here"));
        problems.push(document.locate(problem, &format!("{pointer}/{wrong}"), super::End::Key));
        if let Some(name) = map.remove(*wrong) {
            map.insert(right.into(), name);
        }
    };
    let primary = "in `primary` the cluster is called `clusterName`; `cluster` is what a target says. Federation would ignore it and fail";
    swap(value.pointer_mut("/spec/primary"), &["cluster"], "clusterName", "/spec/primary", primary);
    let target = "in a target the cluster is called `cluster`; `clusterName` is what `primary` says. Federation would ignore it and fail";
    let groups_field =
        if value.pointer("/spec/failoverGroups").is_some() { "failoverGroups" } else { "failover_groups" };
    let groups = value.pointer_mut(&format!("/spec/{groups_field}")).and_then(Value::as_array_mut);
    for (g, group) in groups.into_iter().flatten().enumerate() {
        for field in ["priorityGroup", "priority_group"] {
            let targets = group.get_mut(field).and_then(Value::as_array_mut);
            for (t, item) in targets.into_iter().flatten().enumerate() {
                let pointer = format!("/spec/{groups_field}/{g}/{field}/{t}");
                swap(Some(item), &["clusterName", "cluster_name"], "cluster", &pointer, target);
            }
        }
    }
}
