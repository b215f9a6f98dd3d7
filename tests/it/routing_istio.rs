//! Istio's objects → proxies → Envoy configuration: golden pairs, and what each object carries.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use failctl::envoy::config::{Names, Place, Resources, resources, rest_source};
use failctl::manifest::World;
use failctl::model::name::ClusterName;
use failctl::pki::{Algorithm, Key, issue_mesh_root};
use failctl::routing::istio::{Kind, Workload, proxy, workloads};
use failctl::routing::{Action, ListenerKind, Proxy, Shape, Side, Upstream, effective};
use failctl::yaml;
use serde_json::{Value, json};

use crate::support::{golden, root};

const LOCAL: &str = "outbound|9080||reviews.default.svc.cluster.local";
const REMOTE: &str = "outbound|9080||reviews.default.svc.kind3.global";
const FAILOVER: &str = "outbound|9080||reviews-failover.default.global";
const SNI: &str = "outbound_.9080_._.reviews.default.svc.kind3.global";

pub fn name(cluster: &str) -> ClusterName {
    ClusterName::new(cluster).unwrap()
}

/// The article's two clusters.
pub fn article() -> World {
    let mut world = World::default();
    for cluster in ["kind2", "kind3"] {
        let path = root().join(format!("tests/golden/routing-istio/article/{cluster}.yaml"));
        for document in yaml::parse(&std::fs::read_to_string(path).unwrap()).unwrap() {
            world.insert(&name(cluster), document.value).expect("an object");
        }
    }
    world
}

fn workload(world: &World, cluster: &str, pod: &str) -> Workload {
    workloads(world, &name(cluster)).into_iter().find(|w| w.name.starts_with(pod)).unwrap_or_else(|| panic!("no {pod}"))
}

pub fn of(world: &World, cluster: &str, pod: &str) -> Proxy {
    proxy(world, &name(cluster), &workload(world, cluster, pod))
}

fn productpage(world: &World) -> Proxy {
    of(world, "kind2", "productpage")
}

pub fn edit(world: &mut World, cluster: &str, kind: &str, object: &str, change: impl FnOnce(&mut Value)) {
    let objects = world.clusters.get_mut(&name(cluster)).unwrap();
    let found = objects.by_key.iter_mut().find(|(k, _)| k.gvk.kind == kind && k.name == object);
    change(found.unwrap_or_else(|| panic!("no {kind} {object}")).1);
}

fn delete(world: &mut World, cluster: &str, kind: &str, object: &str) {
    let objects = world.clusters.get_mut(&name(cluster)).unwrap();
    let before = objects.by_key.len();
    objects.by_key.retain(|k, _| !(k.gvk.kind == kind && k.name == object));
    assert_eq!(objects.by_key.len(), before - 1, "no {kind} {object}");
}

fn codes(proxy: &Proxy) -> Vec<String> {
    proxy.findings.iter().map(|f| format!("{} {} {}", f.problem.code, f.object.gvk.kind, f.object.name)).collect()
}

/// Where requests of a sidecar's application for `host` go.
fn reached(proxy: &Proxy, host: &str) -> Vec<String> {
    let listener = proxy.listeners.iter().find(|l| l.side == Side::Outbound).expect("the sidecar is an HTTP proxy");
    let ListenerKind::Http(chains) = &listener.kind else { panic!("no HTTP") };
    let hosts = &chains[0].virtual_hosts;
    let found = hosts.iter().find(|h| h.domains.iter().any(|d| d == host)).unwrap_or_else(|| panic!("no {host}"));
    found.routes.iter().flat_map(|r| r.upstreams()).map(str::to_string).collect()
}

/// Clusters in the order a failover reaches them.
pub fn order(proxy: &Proxy, upstream: &str) -> Vec<Vec<String>> {
    let seen = effective::seen_through(&proxy.upstreams, &proxy.upstreams[upstream]);
    effective::order(&seen).iter().map(|l| l.iter().map(|o| format!("{}/{}", o.cluster, o.service)).collect()).collect()
}

pub fn configured(proxy: &Proxy) -> Value {
    let (source, names) = (rest_source(), Names::new());
    let bind: IpAddr = "127.9.0.7".parse().unwrap();
    let Resources { listeners, routes, clusters, endpoints } =
        resources(proxy, &Place { bind, source: &source, names: &names });
    json!({ "listeners": listeners, "routes": routes, "clusters": clusters, "endpoints": endpoints })
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn tls(upstream: &Upstream) -> Vec<&failctl::routing::ClientTls> {
    upstream.endpoints().filter_map(|(_, e)| e.tls.as_ref()).collect()
}

#[test]
fn the_articles_objects_become_these_proxies_and_this_configuration() {
    let world = article();
    for (cluster, pod) in
        [("kind2", "productpage"), ("kind2", "istio-ingressgateway"), ("kind3", "istio-eastwestgateway")]
    {
        let proxy = of(&world, cluster, pod);
        golden(&format!("tests/golden/routing-istio/article/{cluster}.{pod}.proxy.json"), &pretty(&proxy));
        golden(&format!("tests/golden/routing-istio/article/{cluster}.{pod}.envoy.json"), &pretty(&configured(&proxy)));
        assert_eq!(codes(&proxy), Vec::<String>::new(), "{pod}");
    }
}

#[test]
fn every_pod_with_a_proxy_is_a_workload_with_its_account_and_node_id() {
    let world = article();
    let all = workloads(&world, &name("kind2"));
    let kinds: Vec<(&str, Kind)> = all.iter().map(|w| (w.name.as_str(), w.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("productpage-v1-a", Kind::Sidecar),
            ("reviews-v1-a", Kind::Sidecar),
            ("reviews-v2-a", Kind::Sidecar),
            ("istio-ingressgateway-a", Kind::Router),
        ]
    );
    assert_eq!(all[0].node_id("cluster.local"), "sidecar~10.1.0.1~productpage-v1-a.default~default.svc.cluster.local");
    assert_eq!(all[0].identity("kind2"), "spiffe://kind2/ns/default/sa/bookinfo-productpage");
    assert_eq!(all[1].canonical(), ("reviews".into(), "v1".into()));
    assert_eq!((all[0].inner.as_str(), all[1].inner.as_str()), ("10.9.0.1", "127.0.0.1"));
}

#[test]
fn requests_for_reviews_go_to_the_local_pods_first_and_to_the_other_cluster_next() {
    let proxy = productpage(&article());
    for host in ["reviews:9080", "reviews.default:9080", "reviews.default.svc.cluster.local:9080", "10.0.0.2:9080"] {
        assert_eq!(reached(&proxy, host), [FAILOVER], "{host}");
    }
    assert_eq!(order(&proxy, FAILOVER), [["kind2/reviews"], ["kind3/reviews"]]);
    let rows = effective::routes(&proxy);
    let row = rows.iter().find(|r| r.domains.iter().any(|d| d == "reviews:9080")).unwrap();
    assert_eq!(row.detection.passive.as_ref().unwrap().settings["max_ejection_percent"], 100);
    assert_eq!(row.retry.as_ref().unwrap().previous_priorities, Some(2));
}

#[test]
fn without_its_envoy_filter_the_failover_host_leads_nowhere() {
    let mut world = article();
    delete(&mut world, "kind2", "EnvoyFilter", "reviews-failover");
    let proxy = productpage(&world);
    assert_eq!(proxy.upstreams[FAILOVER].shape, Shape::Endpoints);
    assert_eq!(order(&proxy, FAILOVER), [Vec::<String>::new()]);
}

#[test]
fn without_the_local_destination_rule_nothing_notices_that_the_local_pods_are_lost() {
    let mut world = article();
    delete(&mut world, "kind2", "DestinationRule", "reviews");
    let proxy = productpage(&world);
    assert!(proxy.upstreams[LOCAL].outlier.is_none() && proxy.upstreams[REMOTE].outlier.is_some());
    // mTLS stays: Istio speaks it to every sidecar by itself.
    assert_eq!(tls(&proxy.upstreams[LOCAL]).len(), 2);
}

#[test]
fn without_the_remote_destination_rule_the_certificate_is_expected_in_no_trust_domain_of_the_other_cluster() {
    let mut world = article();
    delete(&mut world, "kind2", "DestinationRule", "reviews.default.svc.kind3.global");
    let proxy = productpage(&world);
    assert!(proxy.upstreams[REMOTE].outlier.is_none());
    assert!(tls(&proxy.upstreams[REMOTE])[0].server_names.is_empty());
}

#[test]
fn without_the_remote_service_entry_the_aggregate_has_one_member_and_says_so() {
    let mut world = article();
    delete(&mut world, "kind2", "ServiceEntry", "reviews.default.svc.kind3.global");
    let proxy = productpage(&world);
    assert_eq!(order(&proxy, FAILOVER), [["kind2/reviews"]]);
    assert_eq!(codes(&proxy), ["FCT0556 EnvoyFilter reviews-failover"]);
}

#[test]
fn without_the_virtual_service_requests_stay_on_the_local_host() {
    let mut world = article();
    delete(&mut world, "kind2", "VirtualService", "reviews");
    assert_eq!(reached(&productpage(&world), "reviews:9080"), [LOCAL]);
}

#[test]
fn without_the_other_sides_gateway_or_entry_nobody_is_behind_the_address() {
    for (kind, object) in [("Gateway", "failctl-federation"), ("ServiceEntry", "reviews.default.svc.kind3.global")] {
        let mut world = article();
        delete(&mut world, "kind3", kind, object);
        let proxy = productpage(&world);
        assert_eq!(order(&proxy, FAILOVER), [vec!["kind2/reviews".to_string()], vec![]], "{kind}");
        assert_eq!(codes(&proxy), ["FCT0555 ServiceEntry reviews.default.svc.kind3.global"], "{kind}");
        let gateway = of(&world, "kind3", "istio-eastwestgateway");
        assert!(gateway.listeners.is_empty(), "{kind}");
    }
}

#[test]
fn the_east_west_gateway_passes_on_what_it_names_and_nothing_else() {
    let gateway = of(&article(), "kind3", "istio-eastwestgateway");
    let ListenerKind::Tcp(chains) = &gateway.listeners[0].kind else { panic!("no TCP") };
    assert_eq!(chains.iter().flat_map(|c| &c.sni).collect::<Vec<_>>(), [SNI]);
    assert!(chains[0].tls.is_none() && chains[0].alpn.contains(&"istio".to_string()));
    let pods: Vec<&str> = gateway.upstreams[SNI].endpoints().map(|(_, e)| e.address.as_str()).collect();
    assert_eq!(pods, ["10.65.0.2"]);
    assert!(!gateway.upstreams.contains_key("outbound_.9080_._.reviews.default.svc.cluster.local"));
}

#[test]
fn a_service_at_zero_replicas_keeps_its_place_in_the_order() {
    let mut world = article();
    delete(&mut world, "kind3", "Pod", "reviews-v3-a");
    assert_eq!(order(&productpage(&world), FAILOVER), [["kind2/reviews"], ["kind3/reviews"]]);
    let gateway = of(&world, "kind3", "istio-eastwestgateway");
    assert_eq!(gateway.upstreams[SNI].endpoints().count(), 0);
}

#[test]
fn a_trust_domain_that_the_other_side_does_not_know_is_found_and_named() {
    let mut world = article();
    edit(&mut world, "kind3", "ConfigMap", "istio", |c| c["data"]["mesh"] = json!("trustDomain: kind3\n"));
    let proxy = productpage(&world);
    assert_eq!(codes(&proxy), ["FCT0559 ServiceEntry reviews.default.svc.kind3.global"]);
    assert!(proxy.findings[0].problem.what.contains("kind2"), "{}", proxy.findings[0].problem.what);
}

#[test]
fn different_roots_in_cacerts_are_found() {
    let mut world = article();
    for (cluster, serial) in [("kind2", 1), ("kind3", 2)] {
        let key = Key::generate(Algorithm::EcdsaP256).unwrap();
        let root = issue_mesh_root(cluster, key, "2026-01-01T00:00:00Z".parse().unwrap(), 30, [serial; 16]).unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": "istio-system"},
            "data": {"root-cert.pem": STANDARD.encode(&root.certificate)}});
        world.insert(&name(cluster), secret);
    }
    assert_eq!(codes(&productpage(&world)), ["FCT0559 ServiceEntry reviews.default.svc.kind3.global"]);
}

#[test]
fn the_inbound_side_takes_plain_text_too_unless_told_otherwise() {
    let with = |mode: &str| {
        let mut world = article();
        let policy = json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "istio-system"}, "spec": {"mtls": {"mode": mode}}});
        world.insert(&name("kind2"), policy);
        let proxy = of(&world, "kind2", "reviews-v1");
        let inbound = proxy.listeners.iter().find(|l| l.side == Side::Inbound && l.bind.port == 9080).unwrap();
        let ListenerKind::Http(chains) = &inbound.kind else { panic!("no HTTP") };
        let domains = chains.iter().map(|c| c.tls.as_ref().map(|t| t.client_trust_domains.join(" ")));
        (domains.collect::<Vec<_>>(), tls(&productpage(&world).upstreams[LOCAL]).len())
    };
    let trusted = Some("kind2 kind3".to_string());
    assert_eq!(with("PERMISSIVE"), (vec![trusted.clone(), None], 2));
    assert_eq!(with("STRICT"), (vec![trusted], 2));
    // Where the rule says ISTIO_MUTUAL the client speaks mTLS whatever the other side takes: both must agree.
    assert_eq!(with("DISABLE"), (vec![None], 2));
}

#[test]
fn automatic_mtls_leaves_pods_without_sidecar_and_disabled_ones_in_plain_text() {
    let mut world = article();
    delete(&mut world, "kind2", "DestinationRule", "reviews");
    edit(&mut world, "kind2", "Pod", "reviews-v2-a", |p| {
        p["metadata"]["labels"].as_object_mut().unwrap().remove("security.istio.io/tlsMode");
    });
    let upstream = &productpage(&world).upstreams[LOCAL];
    assert_eq!((upstream.endpoints().count(), tls(upstream).len()), (2, 1));
    assert_eq!(tls(upstream)[0].sni.as_deref(), Some("outbound_.9080_._.reviews.default.svc.cluster.local"));
    assert_eq!(
        tls(upstream)[0].server_names,
        ["spiffe://kind2/ns/default/sa/bookinfo-reviews", "spiffe://kind3/ns/default/sa/bookinfo-reviews"]
    );
}

#[test]
fn what_an_envoy_filter_says_and_nobody_reads_is_a_finding() {
    let patches = [
        json!({"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_BEFORE"}}),
        json!({"applyTo": "CLUSTER", "patch": {"operation": "ADD", "value": {"name": "x", "type": "STATIC"}}}),
        json!({"applyTo": "CLUSTER", "match": {"proxy": {"proxyVersion": "^1.*"}}, "patch": {"operation": "REMOVE"}}),
        json!({"applyTo": "CLUSTER", "match": {"cluster": {"name": LOCAL}},
            "patch": {"operation": "MERGE", "value": {"outlier_detection": {"interval": "1s"}}}}),
    ];
    for patch in patches {
        let mut world = article();
        edit(&mut world, "kind2", "EnvoyFilter", "reviews-failover", |f| {
            f["spec"]["configPatches"].as_array_mut().unwrap().push(patch.clone())
        });
        let proxy = productpage(&world);
        assert_eq!(codes(&proxy), ["FCT0552 EnvoyFilter reviews-failover"], "{patch}");
        assert_eq!(order(&proxy, FAILOVER).len(), 2, "{patch}");
    }
}

#[test]
fn the_typed_struct_of_the_articles_days_is_read_like_todays_type() {
    let mut world = article();
    edit(&mut world, "kind2", "EnvoyFilter", "reviews-failover", |f| {
        f["spec"]["configPatches"][1]["patch"]["value"]["cluster_type"]["typed_config"] = json!({
            "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
            "type_url": "type.googleapis.com/envoy.config.cluster.aggregate.v2alpha.ClusterConfig",
            "value": {"clusters": [LOCAL, REMOTE]}
        });
    });
    assert_eq!(order(&productpage(&world), FAILOVER), [["kind2/reviews"], ["kind3/reviews"]]);
}

#[test]
fn adding_a_cluster_that_is_there_is_refused() {
    let mut world = article();
    edit(&mut world, "kind2", "EnvoyFilter", "reviews-failover", |f| {
        f["spec"]["configPatches"].as_array_mut().unwrap().remove(0);
    });
    let proxy = productpage(&world);
    assert_eq!(codes(&proxy), ["FCT0552 EnvoyFilter reviews-failover"]);
    assert_eq!(proxy.upstreams[FAILOVER].shape, Shape::Endpoints);
}

#[test]
fn an_entry_with_the_services_host_and_port_name_joins_it_behind_the_local_pods() {
    // The way of transparent failover: no aggregate, one cluster with priorities by place.
    let mut world = article();
    world.insert(
        &name("kind2"),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {"hosts": ["reviews.default.svc.cluster.local"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"name": "http", "number": 9080, "protocol": "HTTP"}],
            "endpoints": [{"address": "10.8.1.3", "ports": {"http": 15443}, "locality": "us-west-1/us-west-1a"}]}}),
    );
    let levels = |world: &World| -> Vec<usize> {
        let upstream = productpage(world).upstreams[LOCAL].clone();
        upstream.levels.iter().map(|l| l.localities.iter().map(|p| p.endpoints.len()).sum()).collect()
    };
    assert_eq!(levels(&world), [2, 1]);
    delete(&mut world, "kind2", "DestinationRule", "reviews");
    assert_eq!(levels(&world), [3], "without detection traffic is spread");
}

#[test]
fn an_unknown_host_is_answered_502_and_a_route_to_nowhere_is_found() {
    let mut world = article();
    edit(&mut world, "kind2", "VirtualService", "reviews", |v| {
        v["spec"]["http"][0]["route"][0]["destination"]["host"] = json!("gone");
    });
    let proxy = productpage(&world);
    assert_eq!(codes(&proxy), ["FCT0551 VirtualService reviews"]);
    assert_eq!(reached(&proxy, "*"), Vec::<String>::new());
    let ListenerKind::Http(chains) = &proxy.listeners.iter().find(|l| l.side == Side::Outbound).unwrap().kind else {
        panic!()
    };
    let last = chains[0].virtual_hosts.last().unwrap();
    assert!(matches!(last.routes[0].action, Action::Respond { status: 502, .. }));
}

#[test]
fn no_object_however_wrong_makes_reading_panic() {
    let world = article();
    let keys: Vec<_> = world.clusters[&name("kind2")].by_key.keys().cloned().collect();
    for key in keys.iter().filter(|k| k.gvk.group.contains("istio.io") || k.gvk.kind == "ConfigMap") {
        for wrong in [json!(7), json!("x"), json!([]), json!([[1]]), json!({"a": {"b": [null]}}), Value::Null] {
            let mut world = article();
            let body = world.clusters.get_mut(&name("kind2")).unwrap().by_key.get_mut(key).unwrap();
            let part = if key.gvk.kind == "ConfigMap" { "data" } else { "spec" };
            let fields: Vec<String> = body[part].as_object().unwrap().keys().cloned().collect();
            for field in fields {
                body[part][&field] = wrong.clone();
            }
            for w in workloads(&world, &name("kind2")) {
                proxy(&world, &name("kind2"), &w);
            }
        }
    }
}

#[test]
fn a_clusters_own_domain_is_what_its_proxies_are_told() {
    let mut world = article();
    edit(&mut world, "kind2", "Pod", "productpage-v1-a", |p| {
        p["spec"]["containers"][1]["args"] =
            json!(["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.corp.example"]);
    });
    let proxy = productpage(&world);
    assert!(proxy.upstreams.contains_key("outbound|9080||reviews.default.svc.corp.example"));
    assert_eq!(
        reached(&proxy, "reviews.default.svc.corp.example:9080"),
        ["outbound|9080||reviews.default.svc.corp.example"]
    );
}

#[test]
fn an_aggregate_for_gateways_counts_at_the_ingress_gateway_and_not_at_sidecars() {
    let mut world = article();
    edit(&mut world, "kind2", "EnvoyFilter", "reviews-failover", |f| {
        f["spec"]["configPatches"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|p| p["match"]["context"] = json!("GATEWAY"));
    });
    edit(&mut world, "kind2", "VirtualService", "bookinfo", |v| {
        v["spec"]["http"][0]["route"][0]["destination"] =
            json!({"host": "reviews-failover.default.global", "port": {"number": 9080}});
    });
    let gateway = of(&world, "kind2", "istio-ingressgateway");
    assert_eq!(order(&gateway, FAILOVER), [["kind2/reviews"], ["kind3/reviews"]]);
    let rows = effective::routes(&gateway);
    assert!(rows.iter().all(|r| r.port == 8080 && r.upstream == FAILOVER) && !rows.is_empty());
    assert_eq!(order(&productpage(&world), FAILOVER), [Vec::<String>::new()]);
}

#[test]
fn a_merge_changes_the_limits_of_what_it_matches_and_nothing_else() {
    let mut world = article();
    edit(&mut world, "kind2", "EnvoyFilter", "reviews-failover", |f| {
        let merge = json!({"applyTo": "CLUSTER", "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"service": "reviews.default.svc.cluster.local"}},
            "patch": {"operation": "MERGE", "value": {"connectTimeout": "2s", "circuit_breakers": {"thresholds": [{"max_retries": 7}]},
                "common_lb_config": {"healthy_panic_threshold": {"value": 30}}}}});
        f["spec"]["configPatches"].as_array_mut().unwrap().push(merge);
    });
    let proxy = productpage(&world);
    let (local, remote) = (&proxy.upstreams[LOCAL], &proxy.upstreams[REMOTE]);
    assert_eq!((local.breakers.max_retries, local.connect_timeout.0, local.panic_threshold), (Some(7), 2000, Some(30)));
    assert_eq!(
        (remote.breakers.max_retries, remote.connect_timeout.0, remote.panic_threshold),
        (Some(u32::MAX), 10_000, Some(0))
    );
    assert_eq!(codes(&proxy), Vec::<String>::new());
}

#[test]
fn a_ports_own_policy_inherits_nothing_and_a_subsets_adds_to_the_whole() {
    let mut world = article();
    edit(&mut world, "kind2", "DestinationRule", "reviews", |r| {
        r["spec"]["subsets"] = json!([{"name": "v1", "labels": {"version": "v1"},
            "trafficPolicy": {"connectionPool": {"http": {"maxRetries": 5}}}}]);
    });
    let subset = productpage(&world).upstreams["outbound|9080|v1|reviews.default.svc.cluster.local"].clone();
    assert_eq!((subset.endpoints().count(), subset.breakers.max_retries, subset.outlier.is_some()), (1, Some(5), true));
    assert_eq!(tls(&subset)[0].sni.as_deref(), Some("outbound_.9080_.v1_.reviews.default.svc.cluster.local"));
    edit(&mut world, "kind2", "DestinationRule", "reviews", |r| {
        r["spec"]["trafficPolicy"]["portLevelSettings"] =
            json!([{"port": {"number": 9080}, "tls": {"mode": "DISABLE"}}]);
    });
    let whole = productpage(&world).upstreams[LOCAL].clone();
    assert!(whole.outlier.is_none() && tls(&whole).is_empty());
}

#[test]
fn gateway_errors_count_alone_where_5xx_is_zero() {
    let mut world = article();
    edit(&mut world, "kind2", "DestinationRule", "reviews.default.svc.kind3.global", |r| {
        r["spec"]["trafficPolicy"]["outlierDetection"] = json!({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3, "interval": "1s", "baseEjectionTime": "10s"});
    });
    let proxy = productpage(&world);
    let clusters = configured(&proxy)["clusters"].clone();
    let (_, far) = clusters.as_object().unwrap().iter().find(|(name, _)| name.ends_with(".kind3.global")).unwrap();
    assert_eq!(
        far["outlier_detection"],
        json!({"interval": "1s", "base_ejection_time": "10s", "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
            "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100, "enforcing_success_rate": 0})
    );
}

#[test]
fn of_two_rules_for_one_host_the_older_speaks_and_the_callers_own_namespace_goes_first() {
    let rule = |name: &str, namespace: &str, errors: u32| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name, "namespace": namespace,
            "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"host": "reviews.default.svc.cluster.local",
            "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": errors}}}})
    };
    let errors =
        |world: &World| productpage(world).upstreams[LOCAL].outlier.as_ref().unwrap().settings["consecutive_5xx"];
    let mut world = article();
    world.insert(&name("kind2"), rule("reviews-root", "istio-system", 3));
    assert_eq!(errors(&world), 1, "the namespace of caller and host goes before the root");
    world.insert(&name("kind2"), rule("reviews-older", "default", 9));
    assert_eq!(errors(&world), 9);
    assert_eq!(codes(&productpage(&world)), ["FCT0553 DestinationRule reviews"]);
}

#[test]
fn a_pod_that_is_not_ready_is_told_of_by_the_istios_that_do_and_counts_in_its_levels_share() {
    let mut world = article();
    edit(&mut world, "kind2", "EndpointSlice", "reviews-1", |slice| {
        slice["endpoints"][0]["conditions"] = json!({"ready": false, "serving": false, "terminating": false});
    });
    let seen = |world: &World| {
        let proxy = productpage(world);
        let upstream = &proxy.upstreams[LOCAL];
        let unready: Vec<bool> = upstream.endpoints().map(|(_, e)| e.unready).collect();
        let endpoints = &configured(&proxy)["endpoints"][LOCAL]["endpoints"];
        let told = endpoints.to_string().matches(r#""health_status":"UNHEALTHY""#).count();
        (unready, told, upstream.panic_threshold)
    };
    assert_eq!(seen(&world), (vec![false], 0, Some(0)), "an Istio before 1.31 leaves it out");
    world.insert(
        &name("kind2"),
        json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "istiod", "namespace": "istio-system", "labels": {"app": "istiod"}},
        "spec": {"containers": [{"name": "discovery", "image": "istio/pilot:1.31.0"}]}}),
    );
    let (unready, told, _) = seen(&world);
    assert_eq!((unready.iter().filter(|u| **u).count(), unready.len(), told), (1, 2, 1));
    let proxy = productpage(&world);
    assert_eq!(order(&proxy, FAILOVER)[0], ["kind2/reviews"], "the other Pod still serves");
    edit(&mut world, "kind2", "DestinationRule", "reviews", |rule| {
        rule["spec"]["trafficPolicy"]["outlierDetection"]["minHealthPercent"] = json!(1);
    });
    assert_eq!(
        seen(&world),
        (vec![false], 0, Some(1)),
        "where everybody may be tried, who is not ready is not told of"
    );
}
