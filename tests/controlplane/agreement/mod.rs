//! istiod agrees with `routing`: of failovers at random, compiled and applied by failctl, a real istiod sends each proxy what
//! `routing` reads from the same objects.
//!
//! All failovers share four real clusters. The proxies looked at are the primary's caller, a server of every cluster and the
//! east-west gateways. A difference is a mistake of `routing::istio` or of the compiler.

mod ask;
mod facts;
mod fleet;
mod garnish;
mod read;
mod sent;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use failctl::cluster::{Clients, Want, observe};
use failctl::manifest::{Objects, World};
use failctl::model::name::ClusterName;
use failctl::routing::istio::{KINDS, Kind, Mesh, Workload, workloads};
use failctl::sandbox::address::Block;
use futures::StreamExt;
use kube::Client;
use serde_json::Value;

use crate::kit::cluster::{Cluster, Plan, start_all};
use crate::kit::istiod::{Config, Istiod};
use crate::kit::namespace::inside;
use crate::kit::{net, program};
use ask::{Answer, Asked, ask};
use fleet::{CLUSTERS, Case, cluster};

/// Failovers that the ring looks at; `FAILCTL_AGREEMENT_FAILOVERS` asks for another number, `FAILCTL_AGREEMENT_SEED` for one
/// alone.
const FAILOVERS: u64 = 200;
/// How long istiod may take to have heard of everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Viewpoints that a failure shows.
const SHOWN: usize = 60;
/// Writes under way at a time on each cluster.
const WIDTH: usize = 16;

/// What `routing` reads beside [`KINDS`].
const BESIDE: [(&str, &str); 4] = [("v1", "Namespace"), ("v1", "Node"), ("v1", "ConfigMap"), ("v1", "Secret")];

fn cases() -> Vec<Case> {
    let number =
        |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap_or_else(|e| panic!("{name}: {e}")));
    match number("FAILCTL_AGREEMENT_SEED") {
        Some(seed) => vec![Case::new(seed)],
        None => {
            let count = number("FAILCTL_AGREEMENT_FAILOVERS").unwrap_or(FAILOVERS);
            assert!(count <= fleet::MOST, "there are addresses for {} failovers", fleet::MOST);
            (0..count).map(Case::new).collect()
        }
    }
}

#[test]
fn istiod_sends_every_proxy_what_routing_reads() {
    for name in ["kube-apiserver", "pilot-discovery", "istio", "xds-client"] {
        program(name).unwrap();
    }
    crate::support::kubectl();
    inside(|dir| {
        let cases = cases();
        let step = Steps(Instant::now());
        let block = Block { second: 77 };
        let plans = (0..CLUSTERS).map(|i| Plan::new(&cluster(i), block.cluster(i).unwrap(), dir));
        let clusters = start_all(plans.collect()).unwrap_or_else(|e| panic!("{e:#}"));
        let istiods = side_by_side(&clusters, |i, c| {
            crate::kit::istiod::prepare(c).unwrap_or_else(|e| panic!("{e:#}"));
            put(c, &fleet::ground(i));
            Istiod::start_with(c, i as u16, &Config::OfCluster, None, fleet::switches(i))
                .unwrap_or_else(|e| panic!("{e:#}"))
        });
        step.done("clusters with istiod");
        side_by_side(&clusters, |i, c| put(c, &cases.iter().flat_map(|case| case.objects(i)).collect::<Vec<_>>()));
        step.done("objects before failctl");
        apply(dir, &clusters, &cases);
        step.done("failctl apply");
        let world = net::runtime().block_on(look(&clusters));
        step.done("objects read back");
        agree(&cases, &world, &istiods);
        step.done("compared");
    });
}

/// The same for every cluster at once.
fn side_by_side<T: Send>(clusters: &[Cluster], work: impl Fn(usize, &Cluster) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = clusters.iter().enumerate().map(|(i, c)| scope.spawn(move || work(i, c))).collect();
        let done = started.into_iter().map(|s| match s.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}

#[expect(clippy::print_stdout, reason = "what a run of this test covered is shown with --nocapture")]
fn say(line: &str) {
    println!("{line}");
}

/// Tells how long each step took.
struct Steps(Instant);

impl Steps {
    fn done(&self, what: &str) {
        say(&format!("{:6.1} s: {what}", self.0.elapsed().as_secs_f64()));
    }
}

/// Writes objects and then their status.
fn put(cluster: &Cluster, objects: &[Value]) {
    net::runtime().block_on(async {
        let client = cluster.client().await.unwrap();
        // A namespace comes before what is in it, and a Service before its slices: of those of a Service that it does not know
        // yet, istiod takes what goes away for what is not ready.
        let place = |o: &Value| match o["kind"].as_str() {
            Some("Namespace") => 0,
            Some("EndpointSlice") => 2,
            _ => 1,
        };
        for group in 0..3 {
            let group = objects.iter().filter(|o| place(o) == group);
            let writes = futures::stream::iter(group.map(|o| put_one(&client, o)));
            writes.buffer_unordered(WIDTH).collect::<Vec<()>>().await;
        }
    });
}

async fn put_one(client: &Client, object: &Value) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let gvk = failctl::manifest::Gvk::new(text("/apiVersion").unwrap(), text("/kind").unwrap());
    let kind = failctl::cluster::KindOf::known(&gvk).unwrap();
    let url = failctl::cluster::url_of(&gvk, &kind, text("/metadata/namespace"), text("/metadata/name"));
    for place in ["", "/status"].into_iter().take(1 + usize::from(object.get("status").is_some())) {
        let query = "fieldManager=cluster&force=true";
        let request = http::Request::patch(format!("{url}{place}?{query}"));
        let request =
            request.header("content-type", "application/apply-patch+yaml").body(object.to_string().into_bytes());
        let done: Result<Value, _> = client.request(request.unwrap()).await;
        done.unwrap_or_else(|e| panic!("{url}{place}: {e}\n{object:#}"));
    }
}

/// `failctl apply` of all failovers at once, as a user would.
fn apply(dir: &Path, clusters: &[Cluster], cases: &[Case]) {
    let mut kubeconfig = clusters[0].kubeconfig(&cluster(0));
    for (i, c) in clusters.iter().enumerate().skip(1) {
        kubeconfig = kubeconfig.merge(c.kubeconfig(&cluster(i))).unwrap();
    }
    let documents: Vec<String> =
        [fleet::document()].into_iter().chain(cases.iter().map(Case::document)).map(|d| d.to_string()).collect();
    std::fs::write(dir.join("config"), serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    std::fs::write(dir.join("failctl.yaml"), documents.join("\n---\n")).unwrap();
    let mut command = Command::new(crate::support::failctl());
    command
        .args(["apply", "--yes", "--timeout", "300s"])
        .current_dir(dir)
        .env("KUBECONFIG", dir.join("config"))
        .env("HOME", dir);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

/// Everything that `routing` reads, of every cluster.
async fn look(clusters: &[Cluster]) -> World {
    let mut world = World::default();
    for (i, c) in clusters.iter().enumerate() {
        let clients = Clients::new([(name(i), cluster(i))], c.kubeconfig(&cluster(i))).unwrap();
        let wants: Vec<Want> = BESIDE.iter().chain(&KINDS).map(|(version, kind)| Want::all(version, kind)).collect();
        let found = observe(&clients, &wants).await;
        for (name, objects) in found.clusters {
            assert_eq!(objects.unreachable, None, "{name}");
            world.clusters.insert(name, objects);
        }
    }
    world
}

fn name(i: usize) -> ClusterName {
    ClusterName::new(cluster(i)).unwrap()
}

/// The parts of the world that are about one failover each, by its prefix: what is in its namespaces, and what in shared ones
/// carries its name or nobody's.
fn parts(world: &World, cases: &[Case]) -> BTreeMap<String, World> {
    let mut parts: BTreeMap<String, World> = cases.iter().map(|case| (case.prefix(), World::default())).collect();
    for (cluster, objects) in &world.clusters {
        for part in parts.values_mut() {
            part.clusters.insert(cluster.clone(), Objects::default());
        }
        for (key, body) in &objects.by_key {
            let home: Vec<&str> = key.namespace.as_deref().map(fleet::prefixes).unwrap_or_default();
            let text = if home.is_empty() { unmarked(body) } else { String::new() };
            let named = if home.is_empty() { fleet::prefixes(&text) } else { home };
            for (prefix, part) in &mut parts {
                if named.is_empty() || named.contains(&prefix.as_str()) {
                    let objects = part.clusters.get_mut(cluster).unwrap();
                    objects.by_key.insert(key.clone(), body.clone());
                }
            }
        }
    }
    parts
}

/// An object's text without its uid, which is made of letters and digits by chance.
fn unmarked(body: &Value) -> String {
    let mut body = body.clone();
    body["metadata"]["uid"].take();
    body.to_string()
}

/// One proxy of one failover.
struct Viewpoint<'c> {
    case: &'c Case,
    cluster: usize,
    workload: Workload,
    routing: facts::Facts,
}

fn viewpoints<'c>(part: &World, case: &'c Case) -> Vec<Viewpoint<'c>> {
    let mut all = Vec::new();
    for i in case.clusters() {
        let cluster = name(i);
        let mesh = Mesh::read(part, &cluster);
        // One server of a Service speaks for all.
        let wanted = |w: &Workload| w.kind == Kind::Router || w.name == "caller" || w.name.ends_with("-0");
        for workload in workloads(part, &cluster).into_iter().filter(wanted) {
            let routing = read::facts(&mesh.proxy(&workload), &case.prefix());
            all.push(Viewpoint { case, cluster: i, workload, routing });
        }
    }
    all
}

/// Asks until istiod and `routing` agree about everybody, or patience ends.
fn agree(cases: &[Case], world: &World, istiods: &[Istiod]) {
    let parts = parts(world, cases);
    let mut open: Vec<Viewpoint> = cases.iter().flat_map(|case| viewpoints(&parts[&case.prefix()], case)).collect();
    drop(parts);
    let (count, facts) = (open.len(), open.iter().map(|v| v.routing.len()).sum::<usize>());
    say(&format!("{count} viewpoints of {} failovers, {facts} facts", cases.len()));
    assert!(count > 2 * cases.len() && facts > 10 * count, "there is too little to compare");
    let begun = Instant::now();
    loop {
        let answers = answers(&open, istiods);
        let mut parted = Vec::new();
        open.retain(|v| {
            let sent = sent::facts(&answers[&key(v)], &v.case.prefix());
            let found = facts::differences(&sent, &v.routing);
            let agreed = found.is_empty();
            if !agreed {
                let Viewpoint { case, cluster, workload, .. } = v;
                let found = found.join("\n  ");
                let beside: String = case.beside().iter().map(|o| format!("  {o}\n")).collect();
                parted.push(format!(
                    "FAILCTL_AGREEMENT_SEED={}: {} on c{cluster}\n  {found}\n{beside}",
                    case.number, workload.name
                ));
            }
            !agreed
        });
        if open.is_empty() {
            return;
        }
        if begun.elapsed() > PATIENCE {
            let shown = parted.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
            panic!("{} of {count} viewpoints part:\n{shown}", open.len());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A gateway is one proxy for all failovers.
fn key(v: &Viewpoint) -> (usize, String, String) {
    (v.cluster, v.workload.namespace.clone(), v.workload.name.clone())
}

fn answers(open: &[Viewpoint], istiods: &[Istiod]) -> BTreeMap<(usize, String, String), Answer> {
    let mut words: BTreeMap<(usize, String, String), (BTreeSet<String>, &Workload)> = BTreeMap::new();
    for v in open {
        words.entry(key(v)).or_insert_with(|| (BTreeSet::new(), &v.workload)).0.insert(v.case.prefix());
    }
    let asked = words.iter().map(|((i, ..), (words, workload))| {
        let asked = Asked::new(istiods[*i].grpc(), &cluster(*i), workload, words.iter().cloned().collect());
        match workload.kind {
            Kind::Router => asked.with(&["0.0.0.0_15443"], &[]),
            Kind::Sidecar => asked.with(&[], &["http_proxy"]),
        }
    });
    let asked: Vec<Asked> = asked.collect();
    let answers = ask(&asked).unwrap_or_else(|e| panic!("{e:#}"));
    words.into_keys().zip(answers).collect()
}
