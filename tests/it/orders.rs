//! The law that holds compiler and reader together: what routing reads out of the objects is the order asked for.
//! Discovery and Federation are played as a real cluster would have them: Upstreams of Services, gateway addresses,
//! the failover block of a scheme.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use failctl::compile::{Compiled, Side, Site, gloo as compiler};
use failctl::envoy::retry;
use failctl::manifest::{Hold, World};
use failctl::model::duration::Millis;
use failctl::model::failover::{
    Detection, Failback, Failover, HealthCheck, Member, MeshIntent, OutlierDetection, Retry, RouteIntent, ServiceRef,
    Target, TargetChoice,
};
use failctl::model::fleet::{Cluster, Edition, Fleet, GatewayAddress, Gloo, Platform, Version};
use failctl::model::identity;
use failctl::model::name::{ClusterName, Namespace, ObjectName};
use failctl::model::problem::Severity;
use failctl::routing::{ListenerKind, Proxy, TcpDestination, effective, gloo};
use failctl::sandbox::controllers::federation::{Instance, failover_block};
use proptest::prelude::*;
use serde_json::{Value, json};

const METHODS_THAT_CHANGE_NOTHING: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

fn cluster_name(i: usize) -> ClusterName {
    ClusterName::new(format!("c{i}")).unwrap()
}

fn address(i: usize) -> String {
    format!("127.9.{i}.1")
}

fn service(i: usize) -> ServiceRef {
    let namespace = Namespace::new(if i.is_multiple_of(2) { "default" } else { "shop" }).unwrap();
    ServiceRef { namespace, name: ObjectName::new(format!("svc-{i}")).unwrap(), port: 10_000 + i as u16 }
}

fn fleet(clusters: usize, backups_are_open_source: bool) -> Fleet {
    let cluster = |i: usize| Cluster {
        name: cluster_name(i),
        context: format!("context-{i}"),
        region: Some(format!("region-{}", i / 2)),
        zone: Some(format!("zone-{}", i % 2)),
        network: None,
        gloo: Some(Gloo {
            edition: if i > 0 && backups_are_open_source { Edition::OpenSource } else { Edition::Enterprise },
            version: Version::parse("1.18.3").unwrap(),
            namespace: Namespace::new("gloo-system").unwrap(),
            federation: (i == 0).then(|| Namespace::new("gloo-fed").unwrap()),
            failover_port: 15443,
            failover_node_port: 32000,
        }),
        istio: None,
        gateway: Some(GatewayAddress { host: address(i), port: 15443 }),
        trust_domain: None,
        namespaces: Vec::new(),
        platform: Platform::LoadBalancer,
        switch: None,
    };
    let clusters = (0..clusters).map(|i| (cluster_name(i), cluster(i))).collect();
    Fleet { name: "lawful".into(), clusters }
}

/// What a real cluster has before failctl: Gloo, Services with endpoints, discovered Upstreams.
fn before(fleet: &Fleet) -> World {
    let mut world = World::default();
    for (i, cluster) in fleet.clusters.values().enumerate() {
        let service = service(i);
        let (name, namespace, port) = (service.name.as_str(), service.namespace.as_str(), service.port);
        let image = match cluster.gloo.as_ref().unwrap().edition {
            Edition::Enterprise => "gloo-ee",
            Edition::OpenSource => "gloo",
        };
        let objects = [
            json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "gloo", "namespace": "gloo-system", "labels": { "app": "gloo", "gloo": "gloo" } },
                "spec": { "template": { "spec": { "containers": [{ "image": format!("quay.io/solo-io/{image}:1.18.3") }] } } } }),
            json!({ "apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
                "metadata": { "name": "gateway-proxy", "namespace": "gloo-system" },
                "spec": { "bindAddress": "::", "bindPort": 8080, "httpGateway": {} } }),
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": namespace },
                "spec": { "ports": [{ "name": "web", "port": port, "targetPort": 80 }] } }),
            json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": { "name": format!("{name}-1"), "namespace": namespace, "labels": { "kubernetes.io/service-name": name } },
                "ports": [{ "name": "web", "port": 80 }], "endpoints": [{ "addresses": [format!("127.9.{}.9", 100 + i)] }] }),
            json!({ "apiVersion": "gloo.solo.io/v1", "kind": "Upstream",
                "metadata": { "name": format!("{namespace}-{name}-{port}"), "namespace": "gloo-system" },
                "spec": { "kube": { "serviceName": name, "serviceNamespace": namespace, "servicePort": port } } }),
        ];
        for object in objects {
            world.insert(&cluster.name, object).unwrap();
        }
    }
    world
}

/// Writes what was compiled, as an API server would hold it, and adds what discovery and Federation add.
fn after(mut world: World, fleet: &Fleet, compiled: &Compiled) -> World {
    for manifest in &compiled.manifests {
        let cluster = &manifest.key.cluster;
        let held = world.clusters.get_mut(cluster).unwrap().by_key.entry(manifest.key.clone()).or_insert(json!({}));
        match &manifest.hold {
            Hold::Own | Hold::Items { .. } => *held = manifest.body.clone(),
            Hold::Fields | Hold::Text { .. } => json_patch::merge(held, &manifest.body),
        }
        let is_gateway = manifest.key.gvk.kind == "Service";
        if is_gateway {
            held["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": address(index(fleet, cluster)) }] } });
        }
    }
    for need in &compiled.secrets {
        let pem = |what: &str| STANDARD.encode(format!("-----BEGIN CERTIFICATE----- {what}"));
        let of = match need.side {
            Side::Server => "server",
            Side::Client | Side::Mesh => "client",
        };
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": need.name, "namespace": need.namespace },
            "data": { "tls.crt": pem(of), "tls.key": pem("no key"), "ca.crt": pem("root") } });
        world.insert(&need.cluster, secret).unwrap();
    }
    federate(&mut world, fleet);
    world
}

fn index(fleet: &Fleet, cluster: &ClusterName) -> usize {
    fleet.clusters.get_index_of(cluster).unwrap()
}

/// What Federation does: schemes become failover blocks of the primary's Upstream.
fn federate(world: &mut World, fleet: &Fleet) {
    let schemes: Vec<Value> = fleet.clusters.keys().flat_map(|c| schemes(world, c)).collect();
    let instances: BTreeMap<String, Instance> =
        fleet.clusters.values().map(|c| (c.name.to_string(), instance(world, c))).collect();
    for scheme in schemes {
        let block = failover_block(&scheme, &instances, "gloo-system").unwrap_or_else(|r| panic!("{r:?}"));
        let primary = &scheme["spec"]["primary"];
        let objects = world.clusters.get_mut(primary["clusterName"].as_str().unwrap()).unwrap();
        let name = primary["name"].as_str().unwrap();
        let upstream = objects.by_key.iter_mut().find(|(k, _)| k.gvk.kind == "Upstream" && k.name == name).unwrap().1;
        upstream["spec"]["failover"] = block;
    }
}

fn schemes(world: &World, cluster: &ClusterName) -> Vec<Value> {
    world.all(cluster.as_str(), "fed.solo.io", "FailoverScheme").map(|(_, s)| s.clone()).collect()
}

/// What Federation sees of a cluster: the ports of the Services with an address.
fn instance(world: &World, cluster: &Cluster) -> Instance {
    let services = world.all(cluster.name.as_str(), "", "Service");
    let ingress: Vec<Value> = services
        .filter_map(|(key, service)| {
            let address = service.pointer("/status/loadBalancer/ingress/0/ip")?;
            Some(json!({ "address": address, "ports": service["spec"]["ports"], "serviceName": key.name }))
        })
        .map(|mut endpoint| {
            let ports = endpoint["ports"].as_array().unwrap().clone();
            endpoint["ports"] = ports.iter().map(|p| json!({ "name": p["name"], "port": p["port"] })).collect();
            endpoint
        })
        .collect();
    Instance::read(&json!({ "spec": {
        "cluster": cluster.name, "region": cluster.region, "isEnterprise": true,
        "proxies": [{ "name": "gateway-proxy", "namespace": "gloo-system", "zones": [cluster.zone], "ingressEndpoints": ingress }]
    } }))
}

fn proxy(world: &World, cluster: &ClusterName) -> Proxy {
    let mut all = gloo::proxies(world, cluster);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Cluster, namespace, service and port of every member, level by level.
type Order = Vec<BTreeSet<(String, String, String, u16)>>;

fn asked(failover: &Failover) -> Order {
    let member = |m: &Member| {
        let ServiceRef { namespace, name, port } = &m.service;
        (m.cluster.to_string(), namespace.to_string(), name.to_string(), *port)
    };
    failover.order.iter().map(|group| group.iter().map(member).collect()).collect()
}

fn read(proxy: &Proxy, upstream: &str) -> Order {
    let origin = |o: failctl::routing::Origin| (o.cluster.to_string(), o.namespace, o.service, o.port);
    let levels = effective::order(&proxy.upstreams[upstream]);
    levels.into_iter().map(|level| level.into_iter().map(origin).collect()).collect()
}

fn envoys_name(service: &ServiceRef) -> String {
    gloo::cluster_name(&format!("{}-{}-{}", service.namespace, service.name, service.port), "gloo-system")
}

/// Splits the clusters after the first into groups: `cuts[i]` starts a new group before cluster `i + 2`.
fn order(clusters: usize, cuts: &[bool], weights: Option<u32>) -> Vec<Vec<Member>> {
    let member =
        |i: usize, weight| Member { cluster: cluster_name(i), service: service(i), weight, service_account: None };
    let mut groups = vec![vec![member(0, None)], vec![member(1, weights)]];
    for i in 2..clusters {
        if cuts[i - 2] {
            groups.push(Vec::new());
        }
        let last = groups.last_mut().unwrap();
        last.push(member(i, weights.map(|w| w + i as u32)));
    }
    groups
}

fn detection(which: u8) -> Detection {
    let check = HealthCheck {
        path: "/health".into(),
        interval: Millis(1000),
        timeout: Millis(1000),
        unhealthy_threshold: 1,
        healthy_threshold: 1,
        no_traffic_interval: Millis(1000),
    };
    let outlier = OutlierDetection {
        consecutive_5xx: 3,
        interval: Millis(1000),
        base_ejection_time: Millis(5000),
        max_ejection_percent: 100,
    };
    match which {
        0 => Detection::Active(check),
        1 => Detection::Passive(outlier),
        _ => Detection::Both(check, outlier),
    }
}

prop_compose! {
    fn cases()(
        clusters in 2usize..6,
        cuts in prop::collection::vec(any::<bool>(), 4),
        weights in prop::option::of(1u32..9),
        which in 0u8..3,
        attempts in 0u32..4,
        idempotent in any::<bool>(),
        stable in prop::option::of(1000u64..5000),
        upstream in any::<bool>(),
        open_source in any::<bool>(),
    ) -> (Fleet, Failover) {
        let failover = Failover {
            name: ObjectName::new("orders").unwrap(),
            order: order(clusters, &cuts, weights),
            detection: detection(which),
            retry: Retry { attempts, per_try_timeout: Millis(500), idempotent },
            failback: Failback { stable_for: stable.map(Millis) },
            route: Some(RouteIntent { hosts: vec!["*".into()], prefix: "/".into(), timeout: Some(Millis(5000)) }),
            target: TargetChoice::Is(if upstream { Target::GlooUpstream } else { Target::GlooFederation }),
            mesh: MeshIntent::default(),
        };
        (fleet(clusters, open_source), failover)
    }
}

/// The objects a case ends in; nothing when its target cannot express it and says so.
fn objects(fleet: &Fleet, failover: &Failover) -> Option<World> {
    let compiled = compiler::compile(fleet, failover, &Site::offline());
    match compiled {
        Ok(compiled) => Some(after(before(fleet), fleet, &compiled)),
        Err(problems) => {
            assert!(problems.iter().any(|p| p.severity == Severity::Error && p.hint.is_some()), "{problems:?}");
            None
        }
    }
}

#[test]
fn most_orders_compile_so_that_the_laws_hold_of_something() {
    for target in [Target::GlooFederation, Target::GlooUpstream] {
        let failover = Failover {
            name: ObjectName::new("orders").unwrap(),
            order: order(4, &[true, false], None),
            detection: detection(0),
            retry: Retry { attempts: 2, per_try_timeout: Millis(500), idempotent: false },
            failback: Failback::default(),
            route: Some(RouteIntent { hosts: vec!["*".into()], prefix: "/".into(), timeout: None }),
            target: TargetChoice::Is(target),
            mesh: MeshIntent::default(),
        };
        assert!(objects(&fleet(4, true), &failover).is_some(), "{target:?}");
    }
}

proptest! {
    #[test]
    fn routing_reads_the_order_that_was_asked_for((fleet, failover) in cases()) {
        let Some(world) = objects(&fleet, &failover) else { return Ok(()) };
        let proxy = proxy(&world, &failover.primary().cluster);
        let upstream = envoys_name(&failover.primary().service);
        prop_assert_eq!(read(&proxy, &upstream), asked(&failover));
        let errors: Vec<_> = proxy.findings.iter().filter(|f| f.problem.severity == Severity::Error).collect();
        prop_assert!(errors.is_empty(), "{:?}", errors);
        let detection = effective::detection(&proxy.upstreams[&upstream]);
        prop_assert_eq!(!detection.active.is_empty(), failover.detection.active().is_some());
        prop_assert_eq!(detection.passive.is_some(), failover.detection.passive().is_some());
    }

    #[test]
    fn every_backup_is_reached_by_a_name_its_gateway_forwards_and_a_client_it_lets_in((fleet, failover) in cases()) {
        let Some(world) = objects(&fleet, &failover) else { return Ok(()) };
        let near = proxy(&world, &failover.primary().cluster);
        let upstream = &near.upstreams[&envoys_name(&failover.primary().service)];
        let client = identity::client(&fleet.name, &failover.primary().cluster);
        for (_, endpoint) in upstream.endpoints().filter(|(level, _)| *level > 0) {
            let tls = endpoint.tls.as_ref().expect("TLS to a backup");
            prop_assert!(tls.identity.is_some() && tls.server_root.is_some());
            let far = proxy(&world, &endpoint.origin.as_ref().unwrap().cluster);
            prop_assert!(far.upstreams.contains_key(tls.sni.as_ref().unwrap()), "{:?}", tls.sni);
            let listener = far.listeners.iter().find(|l| l.bind.port == endpoint.port).expect("a failover listener");
            let ListenerKind::Tcp(chains) = &listener.kind else { panic!("a TCP listener") };
            let server = chains[0].tls.as_ref().unwrap();
            prop_assert_eq!(&chains[0].to, &TcpDestination::BySni);
            prop_assert!(server.client_root.is_some() && server.client_names.contains(&client));
        }
    }

    #[test]
    fn retries_reach_the_backup_and_repeat_no_work_unasked((fleet, failover) in cases()) {
        let Some(world) = objects(&fleet, &failover) else { return Ok(()) };
        let routes = effective::routes(&proxy(&world, &failover.primary().cluster));
        prop_assert!(!routes.is_empty());
        for route in &routes {
            prop_assert_eq!(&route.upstream, &envoys_name(&failover.primary().service));
            prop_assert_eq!(route.retry.is_some(), failover.retry.attempts > 0);
            let Some(policy) = &route.retry else { continue };
            prop_assert_eq!(retry::first_attempt_elsewhere(policy), Some(2), "the second attempt goes to the backup");
            let safe = route.matchers.iter().all(|m| {
                !m.methods.is_empty() && m.methods.iter().all(|m| METHODS_THAT_CHANGE_NOTHING.contains(&m.as_str()))
            });
            prop_assert_eq!(retry::may_repeat_work(policy), safe || failover.retry.idempotent);
        }
        // Every request is matched by some route, whatever its method.
        prop_assert!(routes.iter().any(|r| r.matchers.iter().any(|m| m.methods.is_empty())));
    }

    #[test]
    fn without_the_primarys_failover_block_the_reading_differs((fleet, failover) in cases()) {
        let Some(mut world) = objects(&fleet, &failover) else { return Ok(()) };
        let objects = world.clusters.get_mut(&failover.primary().cluster).unwrap();
        for (_, upstream) in objects.by_key.iter_mut().filter(|(k, _)| k.gvk.kind == "Upstream") {
            upstream["spec"].as_object_mut().unwrap().remove("failover");
        }
        let proxy = proxy(&world, &failover.primary().cluster);
        prop_assert_ne!(read(&proxy, &envoys_name(&failover.primary().service)), asked(&failover));
    }
}
