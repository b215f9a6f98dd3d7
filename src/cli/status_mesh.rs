//! Failovers of a mesh for `failctl status`: every caller's sidecar decides for itself, so they are asked, and objects
//! are read as istiod reads them for the one that calls most. No command itself.

use std::collections::BTreeMap;

use super::certs::mesh::{Strangers, strangers};
use super::picture::{Ground, narrowed};
use super::status_gather::{missing, unasked};
use crate::cluster::{Want, address};
use crate::drill::callers::{self, Caller, Callers};
use crate::drill::resolve::{Protected, Seat};
use crate::envoy::admin::Host;
use crate::judge::crossing::{self, Shared};
use crate::judge::service::{Service, Serving, service};
use crate::judge::since::since;
use crate::judge::transparent;
use crate::manifest::World;
use crate::model::fleet::Cluster;
use crate::model::problem::{Problem, Severity};
use crate::report::status::{About, FailoverRow, Layer, failover};
use crate::routing::istio::{KINDS, Kind, Mesh, Workload, workloads};
use crate::routing::{Proxy, effective};

/// What must be read of a cluster to know what its sidecars do.
pub fn wants(ground: &Ground, cluster: &Cluster) -> Vec<Want> {
    let on = |version: &str, kind: &str| Want::all(version, kind).on(&cluster.name);
    let istio = address::istio_namespace(cluster);
    let mut wants = vec![
        on("v1", "Namespace"),
        on("v1", "ConfigMap").within(istio).named("istio"),
        on("apps/v1", "Deployment").within(istio),
    ];
    for (version, kind) in KINDS {
        wants.extend(narrowed(ground, on(version, kind)));
        wants.push(on(version, kind).within(istio));
    }
    wants
}

/// One protected service as its callers have it.
pub async fn row(ground: &Ground, world: &World, protected: &Protected, source: &'static str) -> FailoverRow {
    let name = protected.seat.envoy_name();
    let seen = look(ground, world, protected, &name).await;
    let (judged, evidence, extra) = match seen {
        Ok(seen) => seen,
        Err(why) => (missing(&why, world, protected), format!("objects only; {why}"), Vec::new()),
    };
    let primary = judged.levels.first().is_some_and(|l| l.load.is_some_and(|n| n > 0) && l.well() > 0);
    let known = !matches!(judged.serving, Serving::Unknown(_)) && !judged.levels.is_empty();
    let service = protected.service.as_ref().map(|(ns, n)| (ns.as_str(), n.as_str()));
    // Callers that share a name with other clusters have an order of their own.
    let (first, callers) = match &protected.seat {
        Seat::Name { order, .. } => {
            (order.iter().flatten().next().unwrap_or(&protected.cluster), Some(protected.cluster.to_string()))
        }
        _ => (&protected.cluster, None),
    };
    let about = About {
        name: protected.name.clone(),
        layer: Layer::Mesh,
        source,
        cluster: first.to_string(),
        callers,
        upstream: name,
        since: service.filter(|_| known).and_then(|s| since(world, first, s, primary)),
        evidence,
    };
    failover(about, &judged, &extra)
}

type Seen = (Service, String, Vec<Problem>);

async fn look(ground: &Ground, world: &World, protected: &Protected, name: &str) -> Result<Seen, String> {
    let cluster = &protected.cluster;
    if let Some(why) = world.clusters.get(cluster).and_then(|o| o.unreachable.clone()) {
        return Err(why);
    }
    let strangers = strangers(&ground.documents.fleet, cluster, world, jiff::Timestamp::now());
    let mesh = Mesh::read(world, cluster);
    let sidecars: Vec<Workload> = workloads(world, cluster).into_iter().filter(|w| w.kind == Kind::Sidecar).collect();
    let Some(any) = sidecars.first() else { return Err(format!("{cluster} has no Pod with a sidecar")) };
    let proxy = mesh.proxy(any);
    let Some(upstream) = proxy.upstreams.get(name) else {
        return Err(format!("no sidecar of {cluster} knows {name}"));
    };
    let names: Vec<String> =
        effective::members(&proxy.upstreams, upstream).into_iter().map(|m| m.name.clone()).collect();
    let asked = ask(ground, protected, &names).await;
    let (callers, asked_why) = match asked {
        Ok(found) => (found, None),
        Err(why) => (Callers::default(), Some(why)),
    };
    let asked: Vec<&Caller> = callers.callers.iter().chain(&callers.idle).collect();
    let Some(busiest) = asked.first() else {
        let why = asked_why.or(callers.failed.first().cloned());
        let why = why.unwrap_or_else(|| format!("none of {} sidecars of {cluster} knows {name}", callers.asked));
        let judged = judge(&proxy, protected, Err(why.as_str()), &strangers);
        return Ok((judged, format!("objects only; {why}"), around(world, protected, &proxy, strangers)));
    };
    let of = |caller: &Caller| {
        let known = sidecars.iter().find(|w| w.name == caller.pod.pod && w.namespace == caller.pod.namespace);
        judge(&known.map_or_else(|| proxy.clone(), |w| mesh.proxy(w)), protected, Ok(&caller.hosts), &strangers)
    };
    let judged = of(busiest);
    let disagreement = disagreement(&callers, &judged, of);
    let mut extra = around(world, protected, &proxy, strangers);
    extra.extend(disagreement);
    let evidence = match callers.callers.len() {
        0 => format!("the sidecar of {}/{}; nobody has called it yet", busiest.pod.namespace, busiest.pod.pod),
        1 => format!("the sidecar of {}/{}, the only caller", busiest.pod.namespace, busiest.pod.pod),
        n => format!("the sidecar of {}/{}, the busiest of {n} callers", busiest.pod.namespace, busiest.pod.pod),
    };
    let left = match callers.left_out {
        0 => String::new(),
        n => format!("; {n} sidecars beyond the first {} were not asked", callers::MOST),
    };
    Ok((judged, format!("{evidence} (admin /clusters through a port-forward){left}"), extra))
}

async fn ask(ground: &Ground, protected: &Protected, names: &[String]) -> Result<Callers, String> {
    let cluster = protected.cluster.as_str();
    let namespaces = ground.documents.fleet.clusters.get(cluster).map(|c| c.namespaces.clone()).unwrap_or_default();
    let namespaces: Vec<String> = namespaces.iter().map(ToString::to_string).collect();
    let asking = async {
        let client = ground.clients.client(cluster).await?;
        callers::callers(&client, &namespaces, names).await
    };
    asking.await.map_err(|e| unasked(&format!("the sidecars of {cluster}"), &e))
}

fn judge(proxy: &Proxy, protected: &Protected, hosts: Result<&[Host], &str>, strangers: &Strangers) -> Service {
    let name = protected.seat.envoy_name();
    match (proxy.upstreams.get(&name), &protected.seat) {
        (Some(upstream), Seat::Name { order, .. }) => transparent::service(upstream, order, hosts, &strangers.refused),
        (Some(upstream), _) => {
            service(upstream, &effective::members(&proxy.upstreams, upstream), hosts, &strangers.refused)
        }
        (None, _) => {
            let what = format!("nobody serves: {name} is in no proxy's configuration");
            let finding = Problem::error("FCT0630", what).hint("`failctl apply` writes it");
            Service { levels: Vec::new(), serving: Serving::Nobody, findings: vec![finding] }
        }
    }
}

/// Detection is each caller's own: some may have moved and others not.
fn disagreement(callers: &Callers, judged: &Service, of: impl Fn(&Caller) -> Service) -> Option<Problem> {
    let levels = |s: &Service| match &s.serving {
        Serving::Levels(shares) => shares.iter().map(|(l, _)| *l).collect(),
        _ => Vec::new(),
    };
    let mut others: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for caller in callers.callers.iter().skip(1) {
        *others.entry(levels(&of(caller))).or_default() += 1;
    }
    others.remove(&levels(judged));
    let elsewhere: usize = others.values().sum();
    let what = format!(
        "{elsewhere} of {} callers are served by another priority: every sidecar notices loss for itself",
        callers.callers.len()
    );
    (elsewhere > 0).then(|| Problem::warning("FCT0642", what))
}

/// What is wrong around a service: with the mesh's objects, and with what a name for all clusters needs.
fn around(world: &World, protected: &Protected, proxy: &Proxy, strangers: Strangers) -> Vec<Problem> {
    let mut all = findings(proxy, protected, strangers);
    let upstream = proxy.upstreams.get(&protected.seat.envoy_name());
    if let (Seat::Name { port, gateways, .. }, Some((namespace, name)), Some(upstream)) =
        (&protected.seat, &protected.service, upstream)
    {
        let shared = Shared { namespace, name, port: *port, caller: &protected.cluster, gateways };
        all.extend(crossing::findings(world, upstream, &shared));
    }
    all
}

/// What is wrong with the mesh's objects, and what could not be told of those it calls.
fn findings(proxy: &Proxy, protected: &Protected, strangers: Strangers) -> Vec<Problem> {
    let bad = proxy.findings.iter().filter(|f| f.problem.severity != Severity::Note);
    let mut all: Vec<Problem> = bad.map(|f| f.problem.clone()).collect();
    if protected.places.iter().any(|(cluster, _)| *cluster != protected.cluster) {
        let unknown =
            |why| Problem::warning("FCT0638", format!("whether meshes accept each other is not known: {why}"));
        all.extend(strangers.unknown.into_iter().map(unknown));
    }
    all
}
