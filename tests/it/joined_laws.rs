//! Transparent failover's two readings held together: what `routing::istio` reads from the compiled objects, for the callers
//! of every cluster, is what the document asked for. Fleets of two to four clusters, at random.

use failctl::compile::{self, Site};
use failctl::manifest::{Hold, World};
use failctl::model::problem::Severity;
use failctl::routing::istio::{Mesh, Workload, workloads};
use failctl::routing::{ListenerKind, Proxy, Shape, effective};
use proptest::prelude::*;

use super::support::joined::{Joined, SERVICE, account, cluster, joined};

/// The clusters as failctl leaves them.
fn after(intent: &Joined) -> World {
    let mut world = intent.before();
    let compiled = compile::documents(&intent.documents(), &Site::from_world(&world));
    let compiled = compiled.unwrap_or_else(|p| panic!("{p:#?}\n{intent:?}"));
    for manifest in compiled.manifests {
        let objects = &mut world.clusters.entry(manifest.key.cluster.clone()).or_default().by_key;
        match (&manifest.hold, objects.get_mut(&manifest.key)) {
            (Hold::Fields, Some(there)) => json_patch::merge(there, &manifest.body),
            _ => drop(objects.insert(manifest.key, manifest.body)),
        }
    }
    world
}

fn found(world: &World, i: usize, pod: &str) -> Workload {
    workloads(world, &cluster(i)).into_iter().find(|w| w.name == pod).unwrap()
}

fn proxy(world: &World, i: usize, pod: &str) -> Proxy {
    Mesh::read(world, &cluster(i)).proxy(&found(world, i, pod))
}

fn host() -> String {
    format!("{}.{}.svc.cluster.local", SERVICE.1, SERVICE.0)
}

/// The clusters behind the Service, level by level.
fn order(caller: &Proxy) -> Vec<Vec<String>> {
    let upstream = &caller.upstreams[&format!("outbound|{}||{}", SERVICE.2, host())];
    assert!(matches!(upstream.shape, Shape::Endpoints));
    let levels = effective::order(upstream);
    levels
        .into_iter()
        .map(|l| {
            let mut names: Vec<String> = l.into_iter().map(|o| o.cluster.to_string()).collect();
            names.sort();
            names.dedup();
            names
        })
        .collect()
}

fn names(groups: Vec<Vec<usize>>) -> Vec<Vec<String>> {
    groups.into_iter().map(|g| g.into_iter().map(|i| format!("c{i}")).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn callers_everywhere_meet_their_own_pods_and_then_the_others_in_the_order_asked_for(intent in joined()) {
        let world = after(&intent);
        for i in intent.calling() {
            let caller = proxy(&world, i, "caller");
            prop_assert_eq!(order(&caller), names(intent.asked(i)), "callers of c{}", i);
            let wrong: Vec<_> = caller.findings.iter().map(|f| (&f.problem.code, &f.problem.what)).collect();
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn all_servers_are_known_by_identity_and_every_route_is_tried_again(intent in joined()) {
        let world = after(&intent);
        for i in intent.calling() {
            let caller = proxy(&world, i, "caller");
            let upstream = &caller.upstreams[&format!("outbound|{}||{}", SERVICE.2, host())];
            for group in intent.asked(i) {
                for j in group {
                    let identity = format!("spiffe://{}/ns/{}/sa/{}", intent.domain(j), SERVICE.0, account(j));
                    prop_assert!(upstream.endpoints().all(|(_, e)| e.tls.as_ref().is_some_and(|t| t.server_names.contains(&identity))));
                }
            }
            let setting = |name: &str| upstream.outlier.as_ref().and_then(|o| o.settings.get(name).copied());
            prop_assert_eq!(setting("consecutive_5xx"), Some(0));
            prop_assert_eq!(setting("consecutive_gateway_failure"), Some(3));
            prop_assert_eq!(setting("max_ejection_percent"), Some(100));
            let routes: Vec<_> = effective::routes(&caller).into_iter().filter(|r| r.upstream == upstream.name).collect();
            prop_assert!(!routes.is_empty());
            prop_assert!(routes.iter().all(|r| r.retry.as_ref().map_or(0, |r| r.attempts) == intent.attempts));
        }
    }

    #[test]
    fn a_gateway_passes_the_one_host_on_to_its_own_pods_and_to_no_other_gateway(intent in joined()) {
        let world = after(&intent);
        let called = |j: &usize| intent.calling().iter().any(|i| i != j);
        for j in intent.order.iter().flatten().copied().filter(called) {
            let edge = proxy(&world, j, "edge");
            let passed: Vec<&String> = edge.listeners.iter().flat_map(|l| match &l.kind {
                ListenerKind::Tcp(chains) => chains.iter().flat_map(|c| &c.sni).collect::<Vec<_>>(),
                ListenerKind::Http(_) => Vec::new(),
            }).collect();
            let sni = format!("outbound_.{}_._.{}", SERVICE.2, host());
            prop_assert_eq!(passed, vec![&sni]);
            let behind: Vec<_> = edge.upstreams[&sni].endpoints().map(|(_, e)| e.address.clone()).collect();
            prop_assert_eq!(behind.len(), intent.replicas[j], "{:?}", behind);
            prop_assert!(behind.iter().all(|a| a.starts_with(&format!("10.{j}.1."))), "{behind:?}");
        }
    }

    #[test]
    fn clusters_of_one_group_share_by_weight_and_without_weights_by_their_ready_pods(intent in joined()) {
        let world = after(&intent);
        for i in intent.calling() {
            let caller = proxy(&world, i, "caller");
            let upstream = &caller.upstreams[&format!("outbound|{}||{}", SERVICE.2, host())];
            for (level, group) in intent.asked(i).into_iter().enumerate().filter(|(_, g)| g.len() > 1) {
                let weight = |j: &usize| intent.weights.as_ref().map_or(intent.replicas[*j] as u32, |w| w[*j]);
                let mut asked: Vec<(String, Option<u32>)> =
                    group.iter().map(|j| (format!("192.0.2.{j}"), Some(weight(j)))).collect();
                asked.sort();
                let mut read: Vec<_> = upstream.endpoints().filter(|(l, _)| *l == level).map(|(_, e)| (e.address.clone(), e.weight)).collect();
                read.sort();
                prop_assert_eq!(read, asked);
            }
        }
    }

    #[test]
    fn behind_gateways_with_names_the_order_is_the_one_asked_for_or_refused(intent in joined()) {
        let intent = Joined { names: true, ..intent };
        let mut world = intent.before();
        match compile::documents(&intent.documents(), &Site::from_world(&world)) {
            Ok(compiled) => {
                for manifest in compiled.manifests {
                    let objects = &mut world.clusters.entry(manifest.key.cluster.clone()).or_default().by_key;
                    objects.insert(manifest.key, manifest.body);
                }
                for i in intent.calling() {
                    prop_assert_eq!(order(&proxy(&world, i, "caller")), names(intent.asked(i)), "callers of c{}", i);
                }
            }
            Err(problems) => {
                let errors: Vec<_> = problems.iter().filter(|p| p.severity == Severity::Error).map(|p| p.code).collect();
                prop_assert!(errors.iter().all(|c| *c == "FCT0387"), "{problems:#?}");
                // Home and one level behind it can always be told.
                prop_assert!(intent.order.len() > 2 || intent.order.iter().any(|g| g.len() > 1), "{problems:#?}");
            }
        }
    }

    #[test]
    fn nobody_elses_cluster_gets_an_object(intent in joined()) {
        let compiled = compile::documents(&intent.documents(), &Site::from_world(&intent.before())).unwrap();
        let parts = |i: usize| intent.answers(i) || intent.calling().contains(&i);
        for manifest in &compiled.manifests {
            prop_assert!((0..intent.clusters).filter(|i| parts(*i)).any(|i| cluster(i) == manifest.key.cluster), "{}", manifest.key);
        }
        for i in intent.calling() {
            let of = |kind: &str| compiled.manifests.iter().filter(|m| m.key.cluster == cluster(i) && m.key.gvk.kind == kind).count();
            prop_assert_eq!((of("ServiceEntry"), of("DestinationRule"), of("VirtualService")), (1, 1, 1));
            prop_assert_eq!(of("Service"), usize::from(!intent.answers(i)), "a stub exactly where the Service is not");
        }
    }
}
