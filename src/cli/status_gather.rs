//! Looking at a whole fleet: objects, gateways, Envoys → the report of `failctl status`. No command itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;

use super::certs;
use super::picture::{self, Ground, Lens, narrowed};
use super::status_mesh;
use crate::cluster::{self, Clients, PodAddress, Trouble, Want, address, observe};
use crate::compile::gloo::{Way, names};
use crate::compile::membership::registration::REMOTE_LABEL;
use crate::compile::membership::{Purpose, Stored};
use crate::drill::callers;
use crate::drill::health::ADMIN_PORT;
use crate::drill::resolve::{self, Protected, Seat};
use crate::envoy::admin::Host;
use crate::error::Failure;
use crate::judge::service::{Strangers, service};
use crate::judge::since::since;
use crate::manifest::World;
use crate::model::fleet::{Cluster, Edition};
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Severity};
use crate::pki;
use crate::plan::Action;
use crate::report::status::{
    About, CertificateRow, ClusterRow, DriftRow, FailoverRow, FindingRow, GatewayRow, Layer, StatusReport, failover,
};
use crate::routing::effective;
use crate::routing::gloo::proxies;
use crate::routing::{ListenerKind, Proxy};

/// How many credentials are tried at a time.
const AT_ONCE: usize = 16;

/// The state of a fleet. `others`: also Upstreams with failover that no document names. Shared with `demo`.
pub async fn status(ground: &Ground, wanted: &[Protected], others: bool, drift: bool) -> Result<StatusReport, Failure> {
    let now = Timestamp::now();
    let wants = wants(ground, wanted);
    let (world, versions) = tokio::join!(observe(&ground.clients, &wants), versions(&ground.clients));
    let fleet = &ground.documents.fleet;
    let routed: BTreeMap<ClusterName, Vec<Proxy>> =
        fleet.clusters.keys().map(|c| (c.clone(), proxies(&world, c))).collect();
    let protected = with_others(ground, wanted, &routed, others);
    let at_edge = |p: &Protected| p.seat.upstream().is_some();
    let asked: BTreeSet<&ClusterName> = protected.iter().filter(|(p, _)| at_edge(p)).map(|(p, _)| &p.cluster).collect();
    let asking = asked.into_iter().map(async |c| (c.clone(), hosts(&ground.clients, fleet.clusters.get(c), c).await));
    let hosts: BTreeMap<_, _> = futures::future::join_all(asking).await.into_iter().collect();
    let mut failovers = Vec::new();
    for (p, source) in &protected {
        failovers.push(match at_edge(p) {
            true => failover_row(&world, &routed, &hosts, p, source),
            false => status_mesh::row(ground, &world, p, source).await,
        });
    }
    let clusters = fleet.clusters.values().map(|c| cluster_row(&world, &versions, c)).collect();
    let drift = if drift && !ground.documents.failovers.is_empty() { drift_rows(ground).await } else { None };
    let mut certificates = certificate_rows(&routed, now);
    certificates.extend(credential_rows(&world, now).await);
    let gateways = gateway_rows(ground, &world);
    Ok(StatusReport::new(now.to_string(), clusters, certificates, gateways, failovers, drift))
}

fn wants(ground: &Ground, wanted: &[Protected]) -> Vec<Want> {
    let mut wants = Vec::new();
    for cluster in ground.documents.fleet.clusters.values() {
        let on = |version: &str, kind: &str| Want::all(version, kind).on(&cluster.name);
        wants.push(on("v1", "Node"));
        if let Some(istio) = &cluster.istio {
            wants.extend(status_mesh::wants(ground, cluster));
            let remote = on("v1", "Secret").within(istio.namespace.as_str());
            wants.push(remote.labelled(format!("{}={}", REMOTE_LABEL.0, REMOTE_LABEL.1)));
        }
        if cluster.gloo.is_none() && cluster.istio.is_some() {
            continue;
        }
        wants.push(on("v1", "Secret").within(address::gloo_namespace(cluster)));
        wants.push(on("apps/v1", "Deployment").within(address::gloo_namespace(cluster)));
        for (version, kind) in [
            ("v1", "Service"),
            ("discovery.k8s.io/v1", "EndpointSlice"),
            ("gloo.solo.io/v1", "Upstream"),
            ("gateway.solo.io/v1", "Gateway"),
            ("gateway.solo.io/v1", "VirtualService"),
            ("fed.solo.io/v1", "GlooInstance"),
        ] {
            wants.extend(narrowed(ground, on(version, kind)));
        }
    }
    if wanted.iter().any(|p| p.seat.upstream().is_none()) {
        wants.extend(certs::mesh::wants_of_strangers(&ground.documents.fleet));
    }
    for protected in wanted {
        let namespaces = protected.places.iter().filter(|(c, _)| *c == protected.cluster).map(|(_, ns)| ns);
        for namespace in namespaces {
            wants.push(Want::all("v1", "Pod").on(&protected.cluster).within(namespace));
            wants.push(Want::all("apps/v1", "Deployment").on(&protected.cluster).within(namespace));
        }
    }
    wants.sort();
    wants.dedup();
    wants
}

async fn versions(clients: &Clients) -> BTreeMap<ClusterName, Result<String, String>> {
    let all: Vec<_> = clients.clusters().cloned().collect();
    let ask = all.into_iter().map(async |c| {
        let version = match clients.client(c.as_str()).await {
            Ok(client) => cluster::version(&client).await,
            Err(e) => Err(e),
        };
        (c, version.map_err(|e| e.to_string()))
    });
    futures::future::join_all(ask).await.into_iter().collect()
}

/// What the gateway's Envoy says of its hosts, through a port-forward to its admin port.
async fn hosts(clients: &Clients, cluster: Option<&Cluster>, name: &ClusterName) -> Result<Vec<Host>, String> {
    let ask = async {
        let client = clients.client(name.as_str()).await?;
        let namespace = cluster.map_or("gloo-system", address::gloo_namespace).to_string();
        let pod = cluster::pod_behind(&client, &namespace, resolve::PROXY_PODS).await?;
        callers::hosts(&client, &PodAddress { namespace, pod, port: ADMIN_PORT }).await
    };
    let asked = tokio::time::timeout(Duration::from_secs(10), ask).await;
    let asked = asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within 10 s")));
    asked.map_err(|e| unasked(&format!("the gateway's Envoy on {name}"), &e))
}

/// Why an Envoy said nothing.
pub fn unasked(whom: &str, why: &anyhow::Error) -> String {
    format!("{whom} could not be asked: {why:#}")
}

type Named = (Protected, &'static str);

/// Documents first, then what only the cluster knows: Upstreams with failover.
fn with_others(
    ground: &Ground,
    wanted: &[Protected],
    routed: &BTreeMap<ClusterName, Vec<Proxy>>,
    others: bool,
) -> Vec<Named> {
    let ours = |p: &Protected| ground.documents.failovers.iter().any(|f| f.name.as_str() == p.name);
    let source = |p: &Protected| match (ours(p), p.seat.upstream()) {
        (true, _) => "failover",
        (false, Some(_)) => "scheme",
        (false, None) => "service",
    };
    let mut all: Vec<Named> = wanted.iter().map(|p| (p.clone(), source(p))).collect();
    for (cluster, proxies) in routed.iter().filter(|_| others) {
        let upstreams: BTreeMap<_, _> = proxies.iter().flat_map(|p| &p.upstreams).collect();
        for upstream in upstreams.values().filter(|u| u.levels.len() > 1) {
            let namespace = upstream.object.namespace.clone().unwrap_or_default();
            let key = Seat::Gateway { namespace, upstream: upstream.object.name.clone() };
            if all.iter().any(|(p, _)| p.cluster == *cluster && p.seat == key) {
                continue;
            }
            let origin = upstream.endpoints().filter(|(l, _)| *l == 0).find_map(|(_, e)| e.origin.clone());
            let found = Protected {
                name: upstream.object.name.clone(),
                policy: "own",
                cluster: cluster.clone(),
                seat: key,
                places: Vec::new(),
                service: origin.map(|o| (o.namespace, o.service)),
                hosts: Vec::new(),
                prefix: "/".into(),
            };
            all.push((found, "upstream"));
        }
    }
    all
}

fn failover_row(
    world: &World,
    routed: &BTreeMap<ClusterName, Vec<Proxy>>,
    hosts: &BTreeMap<ClusterName, Result<Vec<Host>, String>>,
    protected: &Protected,
    source: &'static str,
) -> FailoverRow {
    let name = protected.seat.envoy_name();
    let proxies = routed.get(&protected.cluster).map_or(&[][..], Vec::as_slice);
    let found = proxies.iter().find_map(|p| Some((p, p.upstreams.get(&name)?)));
    let upstream = found.map(|(_, u)| u);
    let hosts = match hosts.get(&protected.cluster) {
        Some(Ok(hosts)) => Ok(hosts.as_slice()),
        Some(Err(why)) => Err(why.as_str()),
        None => Err("the gateway's Envoy was not asked"),
    };
    let mut extra = Vec::new();
    let judged = match found {
        Some((proxy, upstream)) => {
            service(upstream, &effective::members(&proxy.upstreams, upstream), hosts, &Strangers::new())
        }
        None => {
            let unreachable = world.clusters.get(&protected.cluster).and_then(|o| o.unreachable.clone());
            let why = unreachable.unwrap_or_else(|| match proxies.is_empty() {
                true => format!("no gateway on {} reads any configuration", protected.cluster),
                false => format!("no {name} on {}", protected.cluster),
            });
            missing(&why, world, protected)
        }
    };
    if let Some(upstream) = upstream {
        let routes = proxies.iter().flat_map(crate::routing::effective::routes);
        if !routes.into_iter().any(|r| r.upstream == name) {
            let what = format!("no route of the gateway on {} sends requests to {name}", protected.cluster);
            extra.push(Problem::warning("FCT0639", what).hint("`failctl route add` makes one"));
        }
        let about = |f: &&crate::routing::Finding| f.object == upstream.object || f.object.gvk.kind == "Gateway";
        let found = proxies.iter().take(1).flat_map(|p| &p.findings).filter(about);
        extra.extend(found.filter(|f| f.problem.severity != Severity::Note).map(|f| f.problem.clone()));
    }
    let primary = judged.levels.first().is_some_and(|l| l.load.is_some_and(|n| n > 0) && l.well() > 0);
    let known = hosts.is_ok() && upstream.is_some();
    let service = protected.service.as_ref().map(|(ns, n)| (ns.as_str(), n.as_str()));
    let since = service.filter(|_| known).and_then(|s| since(world, &protected.cluster, s, primary));
    let evidence = match hosts {
        Ok(_) => format!("the gateway's Envoy on {} (admin /clusters through a port-forward)", protected.cluster),
        Err(why) => format!("objects only; {why}"),
    };
    let cluster = protected.cluster.to_string();
    let about = About {
        name: protected.name.clone(),
        layer: Layer::Edge,
        source,
        cluster,
        callers: None,
        upstream: name,
        since,
        evidence,
    };
    failover(about, &judged, &extra)
}

/// What should decide is not there: nobody serves. One that could not be read: unknown.
pub fn missing(why: &str, world: &World, protected: &Protected) -> crate::judge::service::Service {
    use crate::judge::service::{Service, Serving};
    let unread = world.clusters.get(&protected.cluster).is_none_or(|o| o.unreachable.is_some());
    let (serving, finding) = match unread {
        true => (Serving::Unknown(why.into()), Problem::warning("FCT0638", format!("who serves is not known: {why}"))),
        false => (
            Serving::Nobody,
            Problem::error("FCT0630", format!("nobody serves: {why}")).hint("`failctl apply` writes it"),
        ),
    };
    Service { levels: Vec::new(), serving, findings: vec![finding] }
}

fn cluster_row(world: &World, versions: &BTreeMap<ClusterName, Result<String, String>>, c: &Cluster) -> ClusterRow {
    let unread = world.clusters.get(&c.name).and_then(|o| o.unreachable.clone());
    let version = versions.get(&c.name).cloned().unwrap_or_else(|| Err("not asked".into()));
    let gloo = c.gloo.as_ref().map(|g| {
        let edition = if g.edition == Edition::Enterprise { "enterprise" } else { "open source" };
        format!("{edition} {}", g.version)
    });
    ClusterRow {
        name: c.name.to_string(),
        context: c.context.clone(),
        reachable: version.is_ok(),
        version: version.clone().ok(),
        gloo,
        istio: c.istio.as_ref().map(|i| i.version.to_string()),
        reason: version.err().or(unread),
    }
}

fn gateway_rows(ground: &Ground, world: &World) -> Vec<GatewayRow> {
    let mut rows = Vec::new();
    let own = names::gateway(Way::Upstream);
    for cluster in ground.documents.fleet.clusters.values().filter(|c| c.gloo.is_some() || c.istio.is_some()) {
        let mut say = |gateway: &str, address: Result<String, Problem>| {
            rows.push(GatewayRow {
                cluster: cluster.name.to_string(),
                gateway: gateway.to_string(),
                address: address.as_ref().ok().cloned(),
                reason: address.err().map(|p| p.what),
            });
        };
        if let Some(why) = world.clusters.get(&cluster.name).and_then(|o| o.unreachable.clone()) {
            say("proxy", Err(Problem::error("FCT0638", format!("unknown: {why}"))));
            continue;
        }
        if cluster.istio.is_some() {
            say(address::INGRESS, address::ingress_url(world, cluster));
            let written = |a: crate::model::fleet::GatewayAddress| format!("{}:{}", a.host, a.port);
            say(address::EAST_WEST, address::east_west(world, cluster).map(written));
        }
        if cluster.gloo.is_none() {
            continue;
        }
        say("proxy", address::proxy_url(world, cluster, address::PROXY, "http"));
        let there = |name: &str| {
            world.get(cluster.name.as_str(), "", "Service", address::gloo_namespace(cluster), name).is_some()
        };
        let written = |a: crate::model::fleet::GatewayAddress| format!("{}:{}", a.host, a.port);
        // An address that the fleet document gives is that of whichever failover gateway there is.
        let given = cluster.gateway.clone();
        if let Ok(address) = address::failover(world, cluster)
            && (given.is_none() || !there(own.service))
        {
            say("failover", Ok(written(address)));
        }
        if there(own.service) {
            let found = || address::service(world, cluster, own.service, own.port);
            say(own.service, given.map_or_else(found, Ok).map(written));
        }
    }
    rows
}

/// Every certificate that a failover listener or a backup's client uses.
fn certificate_rows(routed: &BTreeMap<ClusterName, Vec<Proxy>>, now: Timestamp) -> Vec<CertificateRow> {
    let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
    for (cluster, proxies) in routed {
        let mut note = |secret: &crate::routing::SecretRef, chain: &str| {
            found.insert((cluster.to_string(), format!("{}/{}", secret.namespace, secret.name)), chain.to_string());
        };
        for proxy in proxies {
            for listener in &proxy.listeners {
                if let ListenerKind::Tcp(chains) = &listener.kind {
                    let served = chains.iter().filter_map(|c| c.tls.as_ref());
                    served
                        .filter_map(|t| Some((t.secret.as_ref()?, t.identity.chain()?)))
                        .for_each(|(secret, chain)| note(secret, chain));
                }
            }
            let tls = proxy.upstreams.values().flat_map(|u| u.endpoints()).filter_map(|(_, e)| e.tls.as_ref());
            for (secret, chain) in tls.filter_map(|t| Some((t.secret.as_ref()?, t.identity.as_ref()?.chain()?))) {
                note(secret, chain);
            }
        }
    }
    found.into_iter().map(|((cluster, secret), chain)| certificate_row(cluster, secret, &chain, now)).collect()
}

/// The credentials by which others look into clusters: until when they are good, and whether those of a mesh are accepted.
async fn credential_rows(world: &World, now: Timestamp) -> Vec<CertificateRow> {
    let secrets = world.clusters.values().flat_map(|o| &o.by_key).filter(|(k, _)| k.gvk.kind == "Secret");
    let stored: Vec<Stored> = secrets.flat_map(|(key, body)| Stored::read(key, body)).collect();
    let rows = futures::stream::iter(stored).map(async |s| {
        let finding = credential(&s, now).await;
        let asked = s.expires.is_some() || finding.is_some() || s.place.purpose == Purpose::Mesh;
        asked.then(|| CertificateRow {
            cluster: s.place.cluster.to_string(),
            secret: format!("{}/{}", s.place.namespace, s.secret),
            subject: format!("credential for {}: {}", s.member, s.account.as_deref().unwrap_or("account unknown")),
            not_after: s.expires.map(|e| e.to_string()),
            days_left: s.expires.map(|e| days_until(e, now)),
            finding: finding.as_ref().map(FindingRow::from),
        })
    });
    rows.buffered(AT_ONCE).filter_map(std::future::ready).collect().await
}

fn days_until(end: Timestamp, now: Timestamp) -> i64 {
    (end.as_second() - now.as_second()).div_euclid(86_400)
}

/// What is wrong with a credential. An istiod whose credential is refused goes on with what it saw last and tells nobody, so
/// that of a mesh is used.
async fn credential(stored: &Stored, now: Timestamp) -> Option<Problem> {
    let (member, keeper) = (&stored.member, &stored.place.cluster);
    let renew = |p: Problem| Some(p.hint(format!("`failctl cluster renew {member}`")));
    if stored.expires.is_some_and(|e| e <= now) {
        return renew(Problem::error("FCT0707", format!("ended: {keeper} sees nothing new of {member}")));
    }
    if stored.place.purpose == Purpose::Mesh {
        let refused = |why: String| {
            let what = format!("{member} refuses it, so {keeper} sees nothing new of it: {why}");
            renew(Problem::error("FCT0708", what))
        };
        match cluster::verify(&stored.kubeconfig, stored.place.purpose).await {
            Ok(seen) if !seen.missing.is_empty() => return refused(format!("it may not {}", seen.missing.join(", "))),
            Ok(_) => {}
            Err(Trouble::Refused { code, message }) => return refused(format!("{message} ({code})")),
            Err(Trouble::Unreachable(why)) => {
                return Some(Problem::warning("FCT0638", format!("whether {member} accepts it is not known: {why}")));
            }
        }
    }
    let days = days_until(stored.expires?, now);
    let ends_soon = stored.credential().is_some_and(|c| c.life_left(now) < 33);
    ends_soon.then(|| Problem::warning("FCT0707", format!("ends in {days} days"))).and_then(renew)
}

fn certificate_row(cluster: String, secret: String, chain: &str, now: Timestamp) -> CertificateRow {
    let facts = pki::certificates(chain).and_then(|all| pki::facts(&all[0]));
    let finding = match &facts {
        Err(e) => Some(Problem::error("FCT0641", format!("the certificate in {secret} cannot be read: {e}"))),
        Ok(f) if f.days_left(now) < 0 => Some(Problem::error("FCT0637", "expired: no handshake can succeed")),
        Ok(f) if f.days_left(now) < pki::SOON_DAYS => {
            Some(Problem::warning("FCT0637", format!("expires in {} days", f.days_left(now))))
        }
        Ok(_) => None,
    };
    let finding = finding.map(|p| p.hint("`failctl certs generate` and `failctl certs install` renew it"));
    CertificateRow {
        cluster,
        secret,
        subject: facts.as_ref().map(|f| f.subject.clone()).unwrap_or_default(),
        not_after: facts.as_ref().ok().map(|f| f.not_after.to_string()),
        days_left: facts.as_ref().ok().map(|f| f.days_left(now)),
        finding: finding.as_ref().map(FindingRow::from),
    }
}

/// What apply would change; none when that cannot be told.
async fn drift_rows(ground: &Ground) -> Option<Vec<DriftRow>> {
    let picture = picture::picture(ground, &Lens::default()).await.ok()?;
    let due = picture.plan.waves.iter().flatten().filter(|c| c.action != Action::Keep);
    let row = |c: &crate::plan::Change| DriftRow {
        cluster: c.key.cluster.to_string(),
        action: format!("{:?}", c.action).to_lowercase(),
        object: format!(
            "{} {}{}",
            c.key.gvk.kind,
            c.key.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default(),
            c.key.name
        ),
        owner: c.owner.clone(),
    };
    picture.plan.unreachable.is_empty().then(|| due.map(row).collect())
}
