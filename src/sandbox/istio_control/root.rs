//! The root of the mesh where Pods look for it: ConfigMap `istio-ca-root-cert` in every namespace, as istiod keeps it.
//! What comes in: a world, the roots. What goes out: the ConfigMaps that are missing or wrong.

use serde_json::{Value, json};

use crate::manifest::World;
use crate::model::name::ClusterName;

/// Name of the ConfigMap.
pub const NAME: &str = "istio-ca-root-cert";
/// Its key.
const KEY: &str = "root-cert.pem";
/// Namespaces of Kubernetes itself, which istiod leaves alone.
const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The ConfigMaps to be written.
pub fn wrong(world: &World, cluster: &ClusterName, roots: &str) -> Vec<Value> {
    let namespaces = world.all(cluster.as_str(), "", "Namespace").filter(|(k, namespace)| {
        // Nothing can be made where everything is being deleted.
        !SYSTEM.contains(&k.name.as_str()) && namespace.pointer("/metadata/deletionTimestamp").is_none()
    });
    let wrong = namespaces.filter(|(k, _)| {
        let there = world.get(cluster.as_str(), "", "ConfigMap", &k.name, NAME);
        there.is_none_or(|map| map["data"][KEY] != json!(roots))
    });
    let map = |namespace: &str| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { KEY: roots },
            "metadata": { "name": NAME, "namespace": namespace, "labels": { "istio.io/config": "true" } } })
    };
    wrong.map(|(k, _)| map(&k.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_of_users_gets_the_roots_and_keeps_them() {
        let cluster = ClusterName::new("kind2").unwrap();
        let mut world = World::default();
        for name in ["default", "shop", "kube-system"] {
            world.insert(&cluster, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let first = wrong(&world, &cluster, "root");
        let names: Vec<&str> = first.iter().filter_map(|m| m["metadata"]["namespace"].as_str()).collect();
        assert_eq!(names, ["default", "shop"]);
        first.into_iter().for_each(|map| drop(world.insert(&cluster, map)));
        assert!(wrong(&world, &cluster, "root").is_empty());
        assert_eq!(wrong(&world, &cluster, "another").len(), 2);
    }
}
