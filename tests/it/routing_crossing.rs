//! What crosses clusters in Istio: networks and their gateways, clusters read by remote secrets, and whom Pods let in.

use failctl::manifest::World;
use failctl::routing::{Proxy, Side};
use serde_json::{Value, json};

use crate::routing_istio::{article, configured, edit, name, of, order};

const REVIEWS: &str = "outbound|9080||reviews.default.svc.cluster.local";
const SNI: &str = "outbound_.9080_._.reviews.default.svc.cluster.local";

fn put(world: &mut World, cluster: &str, body: Value) {
    world.insert(&name(cluster), body).expect("an object");
}

/// The article's clusters as two networks of one mesh: each Istio has a secret for the other.
fn multi_primary() -> World {
    let mut world = article();
    for (cluster, other) in [("kind2", "kind3"), ("kind3", "kind2")] {
        let labels = json!({"topology.istio.io/network": cluster});
        put(
            &mut world,
            cluster,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system", "labels": labels}}),
        );
        let labels = json!({"istio/multiCluster": "true"});
        let meta =
            json!({"name": format!("istio-remote-secret-{other}"), "namespace": "istio-system", "labels": labels});
        put(
            &mut world,
            cluster,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {other: "a3ViZWNvbmZpZw=="}}),
        );
        let spec = json!({"host": "reviews", "trafficPolicy": {"outlierDetection": {"consecutiveGatewayErrors": 1, "consecutive5xxErrors": 0},
            "loadBalancer": {"localityLbSetting": {"failoverPriority": ["topology.istio.io/cluster"]}}}});
        put(
            &mut world,
            cluster,
            json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "reviews", "namespace": "default"}, "spec": spec}),
        );
    }
    edit(&mut world, "kind3", "Service", "istio-eastwestgateway", |s| {
        s["metadata"]["labels"] = json!({"topology.istio.io/network": "kind3"});
    });
    edit(&mut world, "kind3", "Gateway", "failctl-federation", |g| {
        g["spec"]["servers"][0]["hosts"] = json!(["default/reviews.default.svc.cluster.local"]);
    });
    world
}

fn addresses(proxy: &Proxy, upstream: &str) -> Vec<String> {
    proxy.upstreams[upstream].endpoints().map(|(level, e)| format!("{level} {}:{}", e.address, e.port)).collect()
}

#[test]
fn endpoints_of_another_network_are_reached_through_its_gateway_after_the_own_ones() {
    let proxy = of(&multi_primary(), "kind2", "productpage");
    let found = addresses(&proxy, REVIEWS);
    assert_eq!(found.last().unwrap(), "1 10.8.1.3:15443", "{found:?}");
    assert!(found[..found.len() - 1].iter().all(|a| a.starts_with("0 ") && a.ends_with(":9080")), "{found:?}");
    assert_eq!(order(&proxy, REVIEWS), [["kind2/reviews"], ["kind3/reviews"]]);
}

#[test]
fn without_its_secret_another_cluster_is_not_there() {
    let mut world = multi_primary();
    edit(&mut world, "kind2", "Secret", "istio-remote-secret-kind3", |s| s["data"] = json!({"strange": ""}));
    assert_eq!(order(&of(&world, "kind2", "productpage"), REVIEWS), [["kind2/reviews"]]);
}

#[test]
fn a_gateway_that_lets_nothing_through_has_nobody_behind_it() {
    let mut world = multi_primary();
    edit(&mut world, "kind3", "Gateway", "failctl-federation", |g| {
        g["spec"]["servers"][0]["hosts"] = json!(["other.example"])
    });
    let proxy = of(&world, "kind2", "productpage");
    assert_eq!(order(&proxy, REVIEWS), [vec!["kind2/reviews".to_string()], vec![]]);
    assert!(proxy.findings.iter().any(|f| f.problem.code == "FCT0555"), "{:?}", proxy.findings);
}

#[test]
fn a_gateway_that_asks_for_its_own_network_passes_nothing_on_to_another() {
    let mut world = multi_primary();
    let here = |world: &World| addresses(&of(world, "kind3", "istio-eastwestgateway"), SNI);
    let network = json!({"name": "ISTIO_META_NETWORK", "value": "kind3"});
    edit(&mut world, "kind3", "Pod", "istio-eastwestgateway-a", |p| {
        p["spec"]["containers"][0]["env"] = json!([network])
    });
    let pods = vec!["0 10.65.0.2:9080".to_string()];
    // kind2 has no gateway that is known: its Pods count as reachable.
    assert!(here(&world).len() > 1, "{:?}", here(&world));
    edit(&mut world, "kind3", "Pod", "istio-eastwestgateway-a", |p| {
        p["spec"]["containers"][0]["env"] =
            json!([network, {"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": "kind3"}]);
    });
    assert_eq!(here(&world), pods);
}

/// The filters of reviews' inbound side that decide who is let in.
fn filters(world: &World) -> Vec<Value> {
    let proxy = of(world, "kind3", "reviews-v3");
    let inbound = proxy.listeners.iter().find(|l| l.side == Side::Inbound).expect("an inbound side");
    let chains = configured(&proxy)["listeners"][&inbound.name]["filter_chains"].clone();
    let manager = &chains[0]["filters"][0]["typed_config"]["http_filters"];
    let all = manager.as_array().unwrap().iter();
    all.filter(|f| f["name"] == "envoy.filters.http.rbac").map(|f| f["typed_config"]["rules"].clone()).collect()
}

fn policy(action: &str, rules: Value) -> Value {
    json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": action.to_lowercase(), "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "reviews"}}, "action": action, "rules": rules}})
}

#[test]
fn policies_become_filters_that_refuse_first_and_then_let_in_only_whom_they_name() {
    let mut world = article();
    assert_eq!(filters(&world), Vec::<Value>::new());
    let from = json!([{"source": {"principals": ["kind2/ns/default/sa/bookinfo-productpage"]}}]);
    put(
        &mut world,
        "kind3",
        policy("ALLOW", json!([{"from": from, "to": [{"operation": {"methods": ["GET"], "ports": ["9080"]}}]}])),
    );
    put(&mut world, "kind3", policy("DENY", json!([{"from": [{"source": {"notNamespaces": ["default"]}}]}])));
    let found = filters(&world);
    assert_eq!(found.iter().map(|f| f["action"].as_str().unwrap()).collect::<Vec<_>>(), ["DENY", "ALLOW"]);
    let grant = &found[1]["policies"]["ns[default]-policy[allow]-rule[0]"];
    let name = |t: &str| json!({"authenticated": {"principal_name": {"exact": format!("spiffe://{t}/ns/default/sa/bookinfo-productpage")}}});
    // kind2 is an alias of kind3's trust domain: both are meant.
    let either = json!({"and_ids": {"ids": [{"or_ids": {"ids": [name("kind3"), name("kind2")]}}]}});
    assert_eq!(grant["principals"], json!([either]));
    let method = json!({"header": {"name": ":method", "string_match": {"exact": "GET"}}});
    let wanted = json!({"and_rules": {"rules": [
        {"or_rules": {"rules": [{"destination_port": 9080}]}}, {"or_rules": {"rules": [method]}}]}});
    assert_eq!(grant["permissions"], json!([wanted]));
    let refused = &found[0]["policies"]["ns[default]-policy[deny]-rule[0]"]["principals"][0]["and_ids"]["ids"][0];
    let inside = json!({"authenticated": {"principal_name": {"contains": "/ns/default/"}}});
    assert_eq!(*refused, json!({"not_id": {"or_ids": {"ids": [inside]}}}));
}

#[test]
fn a_rule_with_a_part_that_is_not_read_lets_nobody_in_and_is_a_finding() {
    let mut world = article();
    put(&mut world, "kind3", policy("ALLOW", json!([{"when": [{"key": "request.headers[x]", "values": ["y"]}]}])));
    assert_eq!(filters(&world), [json!({"action": "ALLOW", "policies": {}})]);
    let proxy = of(&world, "kind3", "reviews-v3");
    assert!(proxy.findings.iter().any(|f| f.problem.code == "FCT0550" && f.object.gvk.kind == "AuthorizationPolicy"));
}
