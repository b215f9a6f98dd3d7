//! One cluster, one name. What comes in: which cluster answers under which name, and what is registered. What goes
//! out: every reason against registering. May not know: how identities were found.
//! A cluster is who its kube-system namespace is: that UID is made once in a cluster's life. Federation writes to
//! the cluster a name stands for; two names for one cluster make it fail over to itself, one name for two clusters
//! makes it write to the wrong one.

use std::collections::BTreeMap;

use super::stored::Stored;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// Why a cluster must not be registered under its name.
pub fn against(
    member: &ClusterName,
    uid: &str,
    fleet: &BTreeMap<ClusterName, String>,
    registered: &[Stored],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (other, _) in fleet.iter().filter(|(name, other)| *name != member && *other == uid) {
        let what = format!("`{member}` and `{other}` are one cluster: their contexts lead to the same API server");
        let hint = "a cluster cannot fail over to itself; give one of them its own context in the fleet document";
        problems.push(Problem::error("FCT0701", what).hint(hint));
    }
    let mut seen: Vec<&str> = Vec::new();
    for other in registered {
        let place = format!("{}: Secret {}/{}", other.place.cluster, other.place.namespace, other.secret);
        if other.member == member.as_str() {
            if other.uid.as_deref().is_some_and(|u| u != uid) {
                let what = format!("`{member}` is registered already, and is another cluster ({place})");
                let hint = format!(
                    "if the old one is gone for good: `failctl cluster deregister {member} --gone`; else choose another name"
                );
                problems.push(Problem::error("FCT0702", what).hint(hint));
            }
        } else if other.uid.as_deref() == Some(uid) && !seen.contains(&other.member.as_str()) {
            seen.push(&other.member);
            let what = format!("this cluster is registered already, as `{}` ({place})", other.member);
            let hint = format!("use that name, or first: `failctl cluster deregister {}`", other.member);
            problems.push(Problem::error("FCT0701", what).hint(hint));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::key_of;

    fn name(text: &str) -> ClusterName {
        ClusterName::new(text).expect("a name")
    }

    fn registered(member: &str, uid: &str) -> Stored {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "solo.io/kubeconfig",
            "metadata": {"name": member, "namespace": "gloo-system", "annotations": {"failctl.dev/cluster-uid": uid}},
            "data": {"kubeconfig": ""}});
        let key = key_of(&name("local"), &secret).expect("a key");
        Stored::read(&key, &secret).remove(0)
    }

    #[test]
    fn a_cluster_has_one_name_and_a_name_one_cluster() {
        let fleet = |other: &str| BTreeMap::from([(name("west"), "1".to_string()), (name("east"), other.to_string())]);
        let codes = |fleet: BTreeMap<ClusterName, String>, registered: &[Stored]| {
            against(&name("west"), "1", &fleet, registered).iter().map(|p| p.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(fleet("2"), &[registered("west", "1"), registered("east", "2")]), [""; 0]);
        assert_eq!(codes(fleet("1"), &[]), ["FCT0701"]);
        assert_eq!(codes(fleet("2"), &[registered("west", "9")]), ["FCT0702"]);
        assert_eq!(codes(fleet("2"), &[registered("other", "1"), registered("other", "1")]), ["FCT0701"]);
    }
}
