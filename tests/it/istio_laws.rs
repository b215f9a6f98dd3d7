//! A mesh's two readings held together: what `routing::istio` reads from the compiled objects, as the sidecar of a caller
//! and the east-west gateways have them, is what the document asked for. Fleets of two to four clusters, at random.

use std::collections::BTreeMap;

use failctl::compile::{self, Site};
use failctl::manifest::{Hold, Manifest, World};
use failctl::model::name::ClusterName;
use failctl::routing::istio::{Kind, Mesh, Workload, workloads};
use failctl::routing::{ListenerKind, Proxy, Shape, Side, TcpDestination, Upstream, effective};
use failctl::spec::{self, Documents, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One cluster of the order: what its Service is called and asked at, and whom its pods run as.
#[derive(Clone, Debug)]
struct Member {
    own_service: bool,
    port: u16,
    target: u16,
    account: String,
}

#[derive(Clone, Debug)]
struct Intent {
    /// The order after the primary, by cluster number.
    order: Vec<usize>,
    members: Vec<Member>,
    one_domain: bool,
    idempotent: bool,
    attempts: u32,
    errors: u32,
    elsewhere: bool,
}

fn intent() -> impl Strategy<Value = Intent> {
    let member = (any::<bool>(), 8000u16..8100, 9000u16..9100, "[a-z]{3,8}");
    let member = member.prop_map(|(own_service, port, target, account)| Member { own_service, port, target, account });
    (2usize..=4, proptest::collection::vec(member, 4), any::<[bool; 3]>(), 0u32..7, 1u32..9).prop_flat_map(
        |(n, members, [one_domain, idempotent, elsewhere], attempts, errors)| {
            Just((1..n).collect::<Vec<_>>()).prop_shuffle().prop_map(move |order| {
                let mut members = members.clone();
                members[0].own_service = false;
                Intent { order, members, one_domain, idempotent, attempts, errors, elsewhere }
            })
        },
    )
}

impl Intent {
    fn clusters(&self) -> usize {
        self.order.len() + 1
    }

    fn domain(&self, i: usize) -> String {
        if self.one_domain { "mesh".into() } else { format!("c{i}") }
    }

    /// Namespace, name and port of a cluster's Service.
    fn service(&self, i: usize) -> (String, String, u16) {
        let member = &self.members[i];
        match member.own_service {
            true => ("own".into(), format!("of-c{i}"), member.port),
            false => ("shop".into(), "orders".into(), self.members[0].port),
        }
    }

    fn documents(&self) -> Documents {
        let clusters: Vec<Value> = (0..self.clusters())
            .map(|i| {
                json!({"name": format!("c{i}"), "trustDomain": self.domain(i),
                "istio": {"version": "1.28.0", "eastWestGateway": {"host": format!("192.0.2.{i}")}}})
            })
            .collect();
        let named = |i: &usize| {
            let (namespace, name, port) = self.service(*i);
            let mut cluster = json!({"name": format!("c{i}")});
            if self.members[*i].own_service {
                cluster["service"] = json!({"namespace": namespace, "name": name, "port": port});
            }
            json!({"clusters": [cluster]})
        };
        let (namespace, name, port) = self.service(0);
        let order: Vec<Value> = [0].iter().chain(&self.order).map(named).collect();
        let detection =
            json!({"outlierDetection": {"consecutive5xx": self.errors, "interval": "1s", "baseEjectionTime": "10s"}});
        let text = [
            json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "law"}, "spec": {"clusters": clusters}}),
            json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Failover", "metadata": {"name": "law"}, "spec": {
                "service": {"namespace": namespace, "name": name, "port": port}, "order": order, "target": "istioAggregate",
                "detection": detection, "retries": {"attempts": self.attempts, "idempotent": self.idempotent}}}),
        ];
        let body = text.map(|t| t.to_string()).join("\n---\n");
        let source = Source { name: "law.yaml".into(), cluster: None, body: body.clone() };
        spec::read(vec![source]).unwrap_or_else(|p| panic!("{p:#?}\n{body}"))
    }

    /// The clusters before failctl: settings, Services with their pods, a caller, gateways.
    fn before(&self) -> World {
        let mut world = World::default();
        for i in 0..self.clusters() {
            let others: Vec<String> = (0..self.clusters()).filter(|o| *o != i).map(|o| self.domain(o)).collect();
            let mesh = json!({"trustDomain": self.domain(i), "trustDomainAliases": others, "proxyHttpPort": 15002});
            let member = &self.members[i];
            let (namespace, name, port) = self.service(i);
            let mut all = vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
                    "data": {"mesh": mesh.to_string()}}),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                    "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": port, "targetPort": member.target}]}}),
                json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
                    "ports": [{"name": "http", "port": member.target}],
                    "endpoints": [{"addresses": [format!("10.{i}.0.1")], "targetRef": {"kind": "Pod", "name": "server"}}]}),
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
                    "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
                        "spec": {"serviceAccountName": member.account, "containers": [{"name": "app", "image": "x"}]}}}}),
                pod(&namespace, "server", &name, &member.account, &format!("10.{i}.0.1"), "sidecar"),
                pod("istio-system", "edge", "istio-eastwestgateway", "edge", &format!("10.{i}.0.9"), "router"),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system"},
                    "spec": {"type": "LoadBalancer", "selector": {"istio": "eastwestgateway"}, "ports": [{"name": "tls", "port": 15443, "targetPort": 15443}]},
                    "status": {"loadBalancer": {"ingress": [{"ip": format!("192.0.2.{i}")}]}}}),
            ];
            if i == 0 {
                let namespace = if self.elsewhere { "callers" } else { "shop" };
                all.push(pod(namespace, "caller", "caller", "caller", "10.0.0.5", "sidecar"));
            }
            all.into_iter().for_each(|o| drop(world.insert(&cluster(i), o).unwrap()));
        }
        world
    }

    /// The clusters as failctl leaves them.
    fn after(&self) -> World {
        let mut world = self.before();
        let compiled =
            compile::documents(&self.documents(), &Site::from_world(&world)).unwrap_or_else(|p| panic!("{p:#?}"));
        written(&mut world, &compiled.manifests);
        world
    }
}

fn cluster(i: usize) -> ClusterName {
    ClusterName::new(format!("c{i}")).unwrap()
}

fn pod(namespace: &str, name: &str, app: &str, account: &str, ip: &str, role: &str) -> Value {
    let mut labels = json!({"app": app, "security.istio.io/tlsMode": "istio"});
    if role == "router" {
        labels = json!({"app": app, "istio": "eastwestgateway"});
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"serviceAccountName": account, "containers": [
            {"name": "app", "image": "x"}, {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.28.0", "args": ["proxy", role]}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}})
}

/// What writing the manifests makes of a world.
fn written(world: &mut World, manifests: &[Manifest]) {
    for manifest in manifests {
        let objects = &mut world.clusters.entry(manifest.key.cluster.clone()).or_default().by_key;
        match (&manifest.hold, objects.get_mut(&manifest.key)) {
            (Hold::Fields, Some(there)) => json_patch::merge(there, &manifest.body),
            _ => drop(objects.insert(manifest.key.clone(), manifest.body.clone())),
        }
    }
}

fn found(world: &World, i: usize, pod: &str) -> Workload {
    workloads(world, &cluster(i)).into_iter().find(|w| w.name == pod).unwrap()
}

fn proxy(world: &World, i: usize, pod: &str) -> Proxy {
    Mesh::read(world, &cluster(i)).proxy(&found(world, i, pod))
}

/// The upstreams that requests of an application for a host meet, with how often they are tried.
fn reached(proxy: &Proxy, host: &str) -> Vec<(String, u32)> {
    let outbound = proxy.listeners.iter().find(|l| l.side == Side::Outbound).unwrap();
    let ListenerKind::Http(chains) = &outbound.kind else { panic!("no HTTP") };
    let named = chains[0].virtual_hosts.iter().find(|h| h.domains.iter().any(|d| d == host)).unwrap();
    let routes = named.routes.iter().flat_map(|r| r.upstreams().into_iter().map(move |u| (r, u)));
    routes.map(|(r, u)| (u.to_string(), r.retry.as_ref().map_or(0, |r| r.attempts))).collect()
}

fn detects(upstream: &Upstream, errors: u32) -> bool {
    let setting = |name: &str| upstream.outlier.as_ref().and_then(|o| o.settings.get(name).copied());
    let counted = match upstream.name.contains(".global") {
        false => setting("consecutive_5xx") == Some(errors),
        // A gateway stands for a whole cluster: one Pod's error must not take it out.
        true => {
            setting("enforcing_consecutive_5xx") == Some(0)
                && setting("enforcing_consecutive_gateway_failure") == Some(100)
                && setting("consecutive_gateway_failure") == Some(errors.max(3))
        }
    };
    counted && setting("max_ejection_percent") == Some(100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_caller_reaches_the_clusters_in_the_order_asked_for(intent in intent()) {
        let world = intent.after();
        let caller = proxy(&world, 0, "caller");
        let (namespace, name, port) = intent.service(0);
        let mut met = reached(&caller, &format!("{name}.{namespace}.svc.cluster.local:{port}"));
        prop_assert!(!met.is_empty());
        prop_assert!(met.iter().all(|(_, attempts)| *attempts == intent.attempts), "{met:?}");
        met.dedup_by(|a, b| a.0 == b.0);
        prop_assert_eq!(met.len(), 1, "every route leads to the failover: {:?}", &met);
        let upstream = &caller.upstreams[&met[0].0];
        let Shape::Aggregate(members) = &upstream.shape else { panic!("no aggregate") };
        prop_assert_eq!(upstream.breakers.max_retries, Some(u32::MAX));
        let seen = effective::seen_through(&caller.upstreams, upstream);
        let order = effective::order(&seen);
        let asked: Vec<Vec<(String, String, String, u16)>> = [0].iter().chain(&intent.order).map(|i| {
            let (namespace, name, port) = intent.service(*i);
            vec![(format!("c{i}"), namespace, name, port)]
        }).collect();
        let read: Vec<Vec<_>> = order.into_iter().map(|l| l.into_iter().map(|o| (o.cluster.to_string(), o.namespace, o.service, o.port)).collect()).collect();
        prop_assert_eq!(read, asked);
        prop_assert!(members.iter().all(|m| detects(&caller.upstreams[m], intent.errors)));
        let errors: Vec<_> = caller.findings.iter().map(|f| (&f.problem.code, &f.problem.what)).collect();
        prop_assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn every_backup_is_asked_by_a_name_its_gateway_passes_on_and_proves_an_identity_its_pods_have(intent in intent()) {
        let world = intent.after();
        let caller = proxy(&world, 0, "caller");
        for i in &intent.order {
            let (namespace, name, port) = intent.service(*i);
            let upstream = &caller.upstreams[&format!("outbound|{port}||{name}.{namespace}.svc.c{i}.global")];
            let endpoints: Vec<_> = upstream.endpoints().map(|(_, e)| e).collect();
            prop_assert_eq!(endpoints.len(), 1);
            prop_assert_eq!((endpoints[0].address.clone(), endpoints[0].port), (format!("192.0.2.{i}"), 15443));
            let tls = endpoints[0].tls.as_ref().unwrap();
            let server = found(&world, *i, "server");
            prop_assert_eq!(&tls.server_names, &vec![server.identity(&intent.domain(*i))]);
            let gateway = proxy(&world, *i, "edge");
            let passed: BTreeMap<&String, &TcpDestination> = gateway.listeners.iter().flat_map(|l| match &l.kind {
                ListenerKind::Tcp(chains) => chains.iter().flat_map(|c| c.sni.iter().map(move |s| (s, &c.to))).collect::<Vec<_>>(),
                ListenerKind::Http(_) => Vec::new(),
            }).collect();
            let to = passed.get(tls.sni.as_ref().unwrap());
            prop_assert!(to.is_some(), "{:?} is not among {:?}", tls.sni, passed.keys());
            prop_assert_eq!(passed.len(), 1, "and nothing else gets through");
            let Some(TcpDestination::Upstream(behind)) = to else { panic!("not to one upstream") };
            let pods: Vec<_> = gateway.upstreams[behind].endpoints().map(|(_, e)| (e.address.clone(), e.port)).collect();
            prop_assert_eq!(pods, vec![(format!("10.{i}.0.1"), intent.members[*i].target)]);
            // And its sidecar lets the caller in.
            let inbound = proxy(&world, *i, "server");
            let trusted = inbound.listeners.iter().filter(|l| l.side == Side::Inbound).flat_map(|l| match &l.kind {
                ListenerKind::Http(chains) => chains.iter().filter_map(|c| c.tls.as_ref()).flat_map(|t| t.client_trust_domains.clone()).collect::<Vec<_>>(),
                ListenerKind::Tcp(_) => Vec::new(),
            });
            prop_assert!(trusted.collect::<Vec<_>>().contains(&intent.domain(0)));
        }
    }

    #[test]
    fn the_order_holds_at_zero_replicas_and_every_object_is_needed(intent in intent(), pick in any::<prop::sample::Index>()) {
        let mut world = intent.after();
        let (namespace, name, port) = intent.service(0);
        let asked = intent.order.len() + 1;
        let levels = |world: &World| -> usize {
            let caller = proxy(world, 0, "caller");
            let met = reached(&caller, &format!("{name}.{namespace}.svc.cluster.local:{port}"));
            let seen = effective::seen_through(&caller.upstreams, &caller.upstreams[&met[0].0]);
            effective::order(&seen).iter().filter(|l| !l.is_empty()).count()
        };
        for i in &intent.order {
            world.clusters.get_mut(&cluster(*i)).unwrap().by_key.retain(|k, _| !(k.gvk.kind == "Pod" && k.name == "server"));
        }
        prop_assert_eq!(levels(&world), asked, "pods come and go");
        // One of the objects that carry it goes: a level is lost, or all of them.
        let carries = ["EnvoyFilter", "ServiceEntry", "Gateway", "VirtualService"];
        let keys: Vec<_> = world.clusters.values().flat_map(|o| o.by_key.keys()).filter(|k| carries.contains(&k.gvk.kind.as_str())).cloned().collect();
        let gone = &keys[pick.index(keys.len())];
        world.clusters.get_mut(&gone.cluster).unwrap().by_key.remove(gone);
        // The entry of the failover's own host only lets its name be known; its cluster is the EnvoyFilter's.
        let only_a_name = gone.gvk.kind == "ServiceEntry" && gone.cluster == cluster(0) && !gone.name.contains(".svc.");
        if !only_a_name {
            prop_assert!(levels(&world) < asked, "without {gone} nothing is lost");
        }
    }
}

#[test]
fn gateways_and_sidecars_are_told_apart() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let intent = proptest::strategy::ValueTree::current(&intent().new_tree(&mut runner).unwrap());
    let kinds: Vec<Kind> = workloads(&intent.after(), &cluster(1)).iter().map(|w| w.kind).collect();
    assert!(kinds.contains(&Kind::Router) && kinds.contains(&Kind::Sidecar));
}
