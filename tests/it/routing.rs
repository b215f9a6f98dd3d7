//! Objects → proxies → Envoy configuration: golden pairs, and what each wrong object costs.

use std::net::IpAddr;

use failctl::envoy::config::{Names, Place, Resources, resources, rest_source};
use failctl::manifest::World;
use failctl::model::name::ClusterName;
use failctl::model::problem::Severity;
use failctl::routing::{Proxy, TcpDestination, effective, gloo};
use failctl::yaml;
use serde_json::{Value, json};

use crate::support::{golden, root};

fn name(cluster: &str) -> ClusterName {
    ClusterName::new(cluster).unwrap()
}

/// The world of a directory: one file for each cluster.
pub fn world(case: &str) -> World {
    let mut world = World::default();
    for cluster in ["local", "remote"] {
        let path = root().join(format!("tests/golden/routing/{case}/{cluster}.yaml"));
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        for document in yaml::parse(&text).unwrap() {
            world.insert(&name(cluster), document.value).expect("an object");
        }
    }
    world
}

fn proxy(world: &World, cluster: &str) -> Proxy {
    let mut all = gloo::proxies(world, &name(cluster));
    assert_eq!(all.len(), 1, "one proxy");
    all.remove(0)
}

fn configured(proxy: &Proxy) -> Resources {
    let (source, names) = (rest_source(), Names::new());
    let bind: IpAddr = "127.9.0.7".parse().unwrap();
    resources(proxy, &Place { bind, source: &source, names: &names })
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// Changes one object of a world.
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

/// Codes of the findings about an object.
fn codes(proxy: &Proxy, kind: &str, object: &str) -> Vec<(&'static str, Severity)> {
    let about = proxy.findings.iter().filter(|f| f.object.gvk.kind == kind && f.object.name == object);
    about.map(|f| (f.problem.code, f.problem.severity)).collect()
}

fn blue(proxy: &Proxy) -> &failctl::routing::Upstream {
    &proxy.upstreams["default-service-blue-10000_gloo-system"]
}

#[test]
fn the_guides_objects_become_these_proxies_and_this_configuration() {
    let world = world("guide");
    for cluster in ["local", "remote"] {
        let proxy = proxy(&world, cluster);
        golden(&format!("tests/golden/routing/guide/{cluster}.proxy.json"), &pretty(&proxy));
        let Resources { listeners, routes, clusters, endpoints } = configured(&proxy);
        let all = json!({ "listeners": listeners, "routes": routes, "clusters": clusters, "endpoints": endpoints });
        golden(&format!("tests/golden/routing/guide/{cluster}.envoy.json"), &pretty(&all));
    }
}

#[test]
fn the_effective_view_tells_route_by_route_who_serves_in_which_order() {
    let proxy = proxy(&world("guide"), "local");
    golden("tests/golden/routing/guide/local.effective.json", &pretty(&effective::routes(&proxy)));
    let order = effective::order(blue(&proxy));
    let names: Vec<Vec<String>> =
        order.iter().map(|l| l.iter().map(|o| format!("{}/{}", o.cluster, o.service)).collect()).collect();
    assert_eq!(names, [["local/service-blue"], ["remote/service-green"]]);
}

#[test]
fn private_keys_show_in_no_debug_text_and_no_serialised_proxy() {
    for cluster in ["local", "remote"] {
        let proxy = proxy(&world("guide"), cluster);
        let shown = format!("{proxy:?} {}", pretty(&proxy));
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}

#[test]
fn without_the_failover_block_there_is_no_backup() {
    let mut world = world("guide");
    edit(&mut world, "local", "Upstream", "default-service-blue-10000", |u| {
        u["spec"].as_object_mut().unwrap().remove("failover");
    });
    assert_eq!(blue(&proxy(&world, "local")).levels.len(), 1);
}

#[test]
fn open_source_gloo_refuses_failover_and_keeps_the_primary() {
    let mut world = world("guide");
    edit(&mut world, "local", "Deployment", "gloo", |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = json!("quay.io/solo-io/gloo:1.18.3");
    });
    let proxy = proxy(&world, "local");
    assert_eq!(codes(&proxy, "Upstream", "default-service-blue-10000"), [("FCT0530", Severity::Error)]);
    assert_eq!(blue(&proxy).endpoints().count(), 1);
}

#[test]
fn a_missing_client_secret_costs_the_backup_alone() {
    let mut world = world("guide");
    delete(&mut world, "local", "Secret", "failover-upstream");
    let proxy = proxy(&world, "local");
    assert_eq!(codes(&proxy, "Upstream", "default-service-blue-10000"), [("FCT0510", Severity::Error)]);
    let unusable: Vec<bool> = blue(&proxy).endpoints().map(|(_, e)| e.unusable.is_some()).collect();
    assert_eq!(unusable, [false, true]);
    let assignment = &configured(&proxy).endpoints["default-service-blue-10000_gloo-system"];
    let hosts = |level: usize| assignment["endpoints"][level]["lb_endpoints"].as_array().unwrap().len();
    assert_eq!((hosts(0), hosts(1)), (1, 0));
    assert_eq!(effective::order(blue(&proxy))[1], []);
}

#[test]
fn an_opaque_secret_is_not_tls_and_the_failover_listener_does_not_open() {
    let mut world = world("guide");
    edit(&mut world, "remote", "Secret", "failover-downstream", |s| s["type"] = json!("Opaque"));
    let proxy = proxy(&world, "remote");
    assert_eq!(proxy.listeners, []);
    assert_eq!(codes(&proxy, "Gateway", "failover-gateway"), [("FCT0510", Severity::Error)]);
    let what = &proxy.findings[0].problem.what;
    assert!(what.contains("is of type Opaque, not kubernetes.io/tls"), "{what}");
}

#[test]
fn a_secret_without_a_root_lets_everyone_in_and_that_is_said() {
    let mut world = world("guide");
    edit(&mut world, "remote", "Secret", "failover-downstream", |s| {
        s["stringData"].as_object_mut().unwrap().remove("ca.crt");
    });
    let pinned = proxy(&world, "remote");
    assert_eq!(codes(&pinned, "Gateway", "failover-gateway"), [("FCT0510", Severity::Error)], "names need a root");
    edit(&mut world, "remote", "Gateway", "failover-gateway", |g| {
        g["spec"]["tcpGateway"]["tcpHosts"][0]["sslConfig"].as_object_mut().unwrap().remove("verifySubjectAltName");
    });
    let open = proxy(&world, "remote");
    assert_eq!(codes(&open, "Gateway", "failover-gateway"), [("FCT0544", Severity::Warning)]);
    assert_eq!(open.listeners.len(), 1);
}

#[test]
fn of_two_gateways_on_one_port_the_older_keeps_it() {
    let mut world = world("guide");
    let second = json!({
        "apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
        "metadata": { "name": "a-second", "namespace": "gloo-system", "creationTimestamp": "2024-01-01T00:00:00Z" },
        "spec": { "bindAddress": "0.0.0.0", "bindPort": 8080, "httpGateway": {} }
    });
    world.insert(&name("local"), second).unwrap();
    let proxy = proxy(&world, "local");
    assert_eq!(proxy.listeners.iter().map(|l| l.object.name.as_str()).collect::<Vec<_>>(), ["gateway-proxy"]);
    assert_eq!(codes(&proxy, "Gateway", "a-second"), [("FCT0540", Severity::Error)]);
}

#[test]
fn a_route_to_an_unknown_upstream_is_kept_and_warned_about() {
    let mut world = world("guide");
    delete(&mut world, "local", "Upstream", "default-service-blue-10000");
    let proxy = proxy(&world, "local");
    assert!(codes(&proxy, "VirtualService", "default").contains(&("FCT0547", Severity::Warning)));
    assert_eq!(effective::routes(&proxy)[0].priorities, []);
    assert_eq!(configured(&proxy).routes.len(), 1);
}

#[test]
fn a_wrong_field_costs_itself_alone_and_all_are_told_at_once() {
    let mut world = world("guide");
    edit(&mut world, "local", "Upstream", "default-service-blue-10000", |u| {
        u["spec"]["healthChecks"][0]["interval"] = json!("soon");
        u["spec"]["circuitBreakers"]["maxRetries"] = json!(-1);
        u["spec"]["loadBalancerConfig"]["healthyPanicThreshold"] = json!(200);
    });
    let proxy = proxy(&world, "local");
    assert_eq!(codes(&proxy, "Upstream", "default-service-blue-10000").len(), 3);
    let blue = blue(&proxy);
    assert_eq!((blue.health_checks.len(), blue.breakers.max_retries, blue.panic_threshold), (0, None, None));
    assert_eq!((blue.levels.len(), blue.outlier.is_some()), (2, true));
}

#[test]
fn failover_without_detection_is_warned_about() {
    let mut world = world("guide");
    edit(&mut world, "local", "Upstream", "default-service-blue-10000", |u| {
        let spec = u["spec"].as_object_mut().unwrap();
        spec.remove("healthChecks");
        spec.remove("outlierDetection");
    });
    let found = codes(&proxy(&world, "local"), "Upstream", "default-service-blue-10000");
    assert_eq!(found, [("FCT0523", Severity::Warning)]);
}

#[test]
fn numbers_in_quotes_and_defaults_are_read_as_gloo_reads_them() {
    let mut world = world("guide");
    edit(&mut world, "local", "Upstream", "default-service-blue-10000", |u| {
        let spec = u["spec"].as_object_mut().unwrap();
        spec["healthChecks"][0]["unhealthyThreshold"] = json!("3");
        spec.remove("connectionConfig");
        spec.remove("loadBalancerConfig");
    });
    edit(&mut world, "local", "VirtualService", "default", |v| {
        v["spec"]["virtualHost"]["routes"][1]["options"]["retries"] =
            json!({ "retryOn": "5xx", "previousPriorities": {} });
    });
    let proxy = proxy(&world, "local");
    let blue = blue(&proxy);
    assert_eq!((blue.health_checks[0].unhealthy_threshold, blue.connect_timeout.0), (3, 5000));
    assert_eq!((blue.panic_threshold, blue.merge_window), (None, None), "Envoy's own defaults apply");
    let retry = effective::routes(&proxy)[1].retry.clone().unwrap();
    assert_eq!((retry.attempts, retry.previous_priorities), (1, Some(2)));
}

#[test]
fn a_primary_scaled_to_zero_keeps_the_backup_at_its_priority() {
    let mut world = world("guide");
    edit(&mut world, "local", "EndpointSlice", "service-blue-1", |e| e["endpoints"] = json!([]));
    let assignment = &configured(&proxy(&world, "local")).endpoints["default-service-blue-10000_gloo-system"];
    assert_eq!(assignment["endpoints"][0], json!({ "priority": 0, "lb_endpoints": [] }));
    assert_eq!(assignment["endpoints"][1]["priority"], 1);
}

#[test]
fn the_failover_gateway_forwards_by_sni_to_what_the_client_proved_it_may_reach() {
    let proxy = proxy(&world("guide"), "remote");
    let failctl::routing::ListenerKind::Tcp(chains) = &proxy.listeners[0].kind else { panic!("a TCP listener") };
    let tls = chains[0].tls.as_ref().unwrap();
    assert_eq!(
        (&chains[0].to, tls.client_names.as_slice()),
        (&TcpDestination::BySni, &["local.failctl.internal".to_string()][..])
    );
    assert!(tls.client_root.is_some());
}

#[test]
fn two_virtual_services_with_one_domain_are_served_by_the_older_and_told_of_the_other() {
    let mut world = world("guide");
    let rival = json!({
        "apiVersion": "gateway.solo.io/v1", "kind": "VirtualService",
        "metadata": { "name": "rival", "namespace": "gloo-system", "creationTimestamp": "2019-01-01T00:00:00Z" },
        "spec": { "virtualHost": { "domains": ["*"], "routes": [
            { "matchers": [{ "exact": "/hello" }], "directResponseAction": { "status": 200, "body": "hello" } }
        ] } }
    });
    world.insert(&name("local"), rival).unwrap();
    let proxy = proxy(&world, "local");
    assert_eq!(codes(&proxy, "VirtualService", "default"), [("FCT0546", Severity::Error)]);
    assert_eq!(configured(&proxy).routes.values().next().unwrap()["virtual_hosts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_world_without_gateways_has_no_proxy() {
    assert_eq!(gloo::proxies(&World::default(), &name("local")), []);
}
