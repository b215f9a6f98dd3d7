//! The two readings held together: what `routing` reads from the objects is what the document asked for. Documents are
//! made at random; the objects are read by code that knows nothing of documents.

use failctl::compile::{self, Site};
use failctl::manifest::{Hold, Manifest, World};
use failctl::model::name::ClusterName;
use failctl::routing::{self, effective, gloo};
use failctl::spec::{self, Documents, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::Value;

use super::support::root;

/// One random intent: groups of (cluster, own service name), weights, what may be repeated.
#[derive(Clone, Debug)]
struct Intent {
    groups: Vec<Vec<(usize, bool)>>,
    weights: Option<u32>,
    attempts: u32,
    idempotent: bool,
    detection: usize,
    interval_ms: u64,
    stable: Option<u64>,
    version: &'static str,
}

const CLUSTERS: usize = 7;
const DETECTIONS: [&str; 3] = ["active", "passive", "both"];

fn intent() -> impl Strategy<Value = Intent> {
    let order = Just((1..CLUSTERS).collect::<Vec<_>>()).prop_shuffle();
    let cuts = proptest::collection::vec(1usize..4, 1..5);
    let own = proptest::collection::vec(any::<bool>(), CLUSTERS);
    let rest = (
        proptest::option::of(1u32..9),
        0u32..4,
        any::<bool>(),
        0usize..3,
        prop_oneof![Just(250u64), Just(1000), Just(3000)],
        proptest::option::of(1u64..20),
        prop_oneof![Just("1.16.3"), Just("1.17.0"), Just("1.20.1")],
    );
    (order, cuts, own, rest).prop_map(
        |(order, cuts, own, (weights, attempts, idempotent, detection, interval_ms, stable, version))| {
            let mut left = order.into_iter().map(|c| (c, own[c]));
            let groups =
                cuts.iter().map(|n| left.by_ref().take(*n).collect::<Vec<_>>()).filter(|g| !g.is_empty()).collect();
            Intent { groups, weights, attempts, idempotent, detection, interval_ms, stable, version }
        },
    )
}

impl Intent {
    fn documents(&self) -> Documents {
        let mut text =
            String::from("apiVersion: failctl.dev/v1alpha1\nkind: Fleet\nmetadata: {name: law}\nspec:\n  clusters:\n");
        for i in 0..CLUSTERS {
            let name = if i == 0 { "local".to_string() } else { format!("c{i}") };
            let edition = if i == 0 { "enterprise" } else { "open-source" };
            text += &format!(
                "  - {{name: {name}, region: r{}, gateway: {{host: 192.0.2.{i}}}, gloo: {{edition: {edition}, version: {}}}}}\n",
                i % 2,
                self.version
            );
        }
        text += "---\napiVersion: failctl.dev/v1alpha1\nkind: Failover\nmetadata: {name: law}\nspec:\n  service: {namespace: default, name: service-blue, port: 10000}\n  order:\n  - clusters: [{name: local}]\n";
        for (g, group) in self.groups.iter().enumerate() {
            text += "  - clusters:\n";
            for (c, own) in group {
                text += &format!("    - name: c{c}\n");
                if *own {
                    text += &format!("      service: {{namespace: own, name: of-{c}, port: 8{c}}}\n");
                }
                if let Some(weight) = self.weights {
                    text += &format!("      weight: {}\n", weight + g as u32 + *c as u32);
                }
            }
        }
        let active = format!("activeHealthCheck: {{path: /law, interval: {}ms}}", self.interval_ms);
        let passive = "outlierDetection: {consecutive5xx: 7}";
        text += &match DETECTIONS[self.detection] {
            "active" => format!("  detection: {{{active}}}\n"),
            "passive" => format!("  detection: {{{passive}}}\n"),
            _ => format!("  detection: {{{active}, {passive}}}\n"),
        };
        if let (Some(stable), true) = (self.stable, self.detection != 1) {
            text += &format!("  failback: {{stableFor: {stable}s}}\n");
        }
        text += &format!(
            "  retries: {{attempts: {}, perTryTimeout: 700ms, idempotent: {}}}\n",
            self.attempts, self.idempotent
        );
        text += "  route: {prefix: /law, timeout: 5s}\n  target: glooUpstream\n";
        let source = Source { name: "law.yaml".into(), cluster: None, body: text.clone() };
        spec::read(vec![source]).unwrap_or_else(|p| panic!("{p:#?}\n{text}"))
    }
}

fn name(cluster: &str) -> ClusterName {
    ClusterName::new(cluster).unwrap()
}

/// The primary's cluster before failctl: proxy, discovered Upstream, Service, endpoints, and the client's secret.
fn before() -> World {
    let text = std::fs::read_to_string(root().join("tests/golden/routing/guide/local.yaml")).unwrap();
    let mut world = World::default();
    for document in failctl::yaml::parse(&text).unwrap() {
        let mut body = document.value;
        match body["kind"].as_str().unwrap() {
            "VirtualService" | "FailoverScheme" => continue,
            "Upstream" => {
                let kube = body["spec"]["kube"].clone();
                body["spec"] = serde_json::json!({ "kube": kube });
            }
            "Secret" => body["metadata"]["name"] = "failctl-failover-client".into(),
            _ => {}
        }
        world.insert(&name("local"), body).unwrap();
    }
    world
}

/// What writing the manifests makes of a world: fields are added, whole objects replaced.
fn written(world: &mut World, manifests: &[Manifest]) {
    for manifest in manifests {
        let objects = &mut world.clusters.entry(manifest.key.cluster.clone()).or_default().by_key;
        match (&manifest.hold, objects.get_mut(&manifest.key)) {
            (Hold::Fields, Some(there)) => json_patch::merge(there, &manifest.body),
            (Hold::Fields, None) => panic!("{} is not there", manifest.key),
            _ => drop(objects.insert(manifest.key.clone(), manifest.body.clone())),
        }
    }
}

fn compiled(intent: &Intent) -> (World, routing::Proxy) {
    let compiled = compile::documents(&intent.documents(), &Site::offline()).unwrap_or_else(|p| panic!("{p:#?}"));
    let mut world = before();
    written(&mut world, &compiled.manifests);
    let mut proxies = gloo::proxies(&world, &name("local"));
    assert_eq!(proxies.len(), 1);
    (world, proxies.remove(0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_read_from_the_objects_is_the_order_asked_for(intent in intent()) {
        let (_, proxy) = compiled(&intent);
        let upstream = &proxy.upstreams["default-service-blue-10000_gloo-system"];
        prop_assert_eq!(upstream.levels.len(), intent.groups.len() + 1);
        for (level, group) in upstream.levels[1..].iter().zip(&intent.groups) {
            let mut read: Vec<_> = level.localities.iter().flat_map(|l| l.endpoints.iter().map(move |e| (e, l.weight))).collect();
            read.sort_by_key(|(e, _)| e.address.clone());
            let mut asked = group.clone();
            asked.sort_unstable();
            prop_assert_eq!(read.len(), asked.len());
            let index = intent.groups.iter().position(|g| g == group).unwrap();
            for ((endpoint, weight), (c, own)) in read.into_iter().zip(asked) {
                let sni = if own { format!("own-of-{c}-8{c}_gloo-system") } else { "default-service-blue-10000_gloo-system".into() };
                let tls = endpoint.tls.as_ref().unwrap();
                prop_assert_eq!(&endpoint.address, &format!("192.0.2.{c}"));
                prop_assert_eq!(endpoint.port, 15443);
                prop_assert_eq!(tls.sni.as_ref(), Some(&sni));
                prop_assert_eq!(&tls.server_names, &vec![format!("c{c}.gateway.law.failctl.internal")]);
                prop_assert!(tls.server_root.is_some() && endpoint.unusable.is_none());
                prop_assert_eq!(weight, intent.weights.map(|w| w + index as u32 + c as u32));
            }
            let mut places: Vec<_> = level.localities.iter().map(|l| (&l.region, &l.zone, &l.sub_zone)).collect();
            places.sort();
            places.dedup();
            prop_assert_eq!(places.len(), group.len(), "localities of one priority have names of their own");
        }
        prop_assert_eq!(upstream.locality_weighted, intent.weights.is_some());
    }

    #[test]
    fn detection_and_limits_read_from_the_objects_are_those_asked_for(intent in intent()) {
        let (_, proxy) = compiled(&intent);
        let upstream = &proxy.upstreams["default-service-blue-10000_gloo-system"];
        prop_assert_eq!(upstream.health_checks.len(), usize::from(intent.detection != 1));
        prop_assert_eq!(upstream.outlier.is_some(), intent.detection != 0);
        if let Some(check) = upstream.health_checks.first() {
            let passes = intent.stable.map_or(2, |s| (s * 1000).div_ceil(intent.interval_ms));
            prop_assert_eq!(u64::from(check.healthy_threshold), passes);
            prop_assert!(u64::from(check.healthy_threshold) * intent.interval_ms >= intent.stable.unwrap_or(0) * 1000);
            prop_assert_eq!(check.no_traffic_interval, Some(check.interval));
        }
        prop_assert_eq!(upstream.ignore_health_on_removal, intent.detection != 1);
        prop_assert!(intent.attempts == 0 || upstream.connect_timeout.0 <= 700);
        prop_assert_eq!(upstream.breakers.max_retries == Some(u32::MAX), intent.attempts > 0);
    }

    #[test]
    fn what_may_repeat_a_request_is_for_safe_methods_or_on_the_users_word(intent in intent()) {
        let (_, proxy) = compiled(&intent);
        let routes: Vec<_> = effective::routes(&proxy).into_iter().filter(|r| !r.tls).collect();
        prop_assert!(!routes.is_empty());
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE"] {
            let route = routes.iter().find(|r| r.matchers.iter().any(|m| m.methods.is_empty() || m.methods.iter().any(|x| x == method)));
            let route = route.unwrap();
            let safe = ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method);
            let repeats = route.retry.as_ref().is_some_and(|r| {
                r.on.iter().any(|c| !["connect-failure", "refused-stream", "reset-before-request"].contains(&c.as_str()))
            });
            prop_assert_eq!(repeats, intent.attempts > 0 && (safe || intent.idempotent), "{}", method);
            prop_assert_eq!(route.retry.as_ref().map_or(0, |r| r.attempts), intent.attempts);
            let leaves = route.retry.as_ref().and_then(|r| r.previous_priorities);
            prop_assert_eq!(leaves, (intent.attempts > 0 && intent.version != "1.16.3").then_some(1));
        }
    }
}

#[test]
fn compiling_twice_gives_the_same_and_every_created_object_is_labelled() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..20 {
        let intent = intent().new_tree(&mut runner).unwrap().current();
        let documents = intent.documents();
        let (once, twice) =
            (compile::documents(&documents, &Site::offline()), compile::documents(&documents, &Site::offline()));
        assert_eq!(once, twice);
        for manifest in once.unwrap().manifests.iter().filter(|m| m.hold != Hold::Fields) {
            let label = |name: &str| manifest.body["metadata"]["labels"].get(name).and_then(Value::as_str);
            assert_eq!(label("app.kubernetes.io/managed-by"), Some("failctl"), "{}", manifest.key);
            assert!(label("failctl.dev/owner").is_some(), "{}", manifest.key);
        }
    }
}
