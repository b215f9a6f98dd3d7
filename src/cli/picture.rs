//! Documents × clusters → a plan: what diff, apply and their narrower doors share. No command itself.
//! What is not known yet (the address of a gateway that is not there, an Upstream nobody has discovered) is blocked in
//! the plan and does not stop the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use super::documents::DocumentArgs;
use super::unwanted;
use crate::cluster::{Clients, Want, address, observe};
use crate::compile::istio::UNKNOWN_WORKLOAD;
use crate::compile::membership::registration::REMOTE_LABEL;
use crate::compile::{self, Compiled, Site, target};
use crate::error::{Exit, Failure};
use crate::manifest::{DocumentSet, Hold, Manifest, OWNER_LABEL, ObjectKey, Wave, World};
use crate::model::failover::{Discovery, Failover, Target};
use crate::model::fleet::GatewayAddress;
use crate::model::name::{ClusterName, SetName};
use crate::model::problem::Problem;
use crate::plan::{self, Leftovers, Plan};
use crate::spec::Documents;

/// Stands for an address that is not known yet, with a number for each; what contains one is not written.
/// (RFC 3849: for documentation, so nobody's.)
const UNKNOWN: &str = "2001:db8:fa11:c71::";

/// What the user gave, and the way to the clusters.
pub struct Ground {
    /// The documents.
    pub documents: Documents,
    /// The clusters.
    pub clients: Clients,
}

impl Ground {
    /// Reads documents and the kubeconfig; connects to nothing.
    pub fn new(ctx: &Ctx, args: &DocumentArgs, only: &[String]) -> Result<Ground, Failure> {
        let mut documents = args.load(ctx)?;
        documents.only(only).map_err(|p| Failure::input(vec![p]))?;
        Ground::of(ctx, documents)
    }

    /// The way to the clusters of these documents.
    pub fn of(ctx: &Ctx, documents: Documents) -> Result<Ground, Failure> {
        let clients = Clients::of(&documents.fleet, ctx.global.kubeconfig.as_deref())?;
        Ok(Ground { documents, clients })
    }

    /// The clusters from which failovers start: written last, taken down first.
    pub fn primaries(&self) -> BTreeSet<ClusterName> {
        let ours = self.documents.failovers.iter().map(|f| f.primary().cluster.clone());
        ours.chain(self.documents.smh.iter().flat_map(|d| d.callers().iter().cloned())).collect()
    }

    /// The clusters of the fleet that a list of names means; none named means all.
    pub fn cluster(&self, name: &str) -> Result<&crate::model::fleet::Cluster, Failure> {
        self.documents.fleet.clusters.get(name).ok_or_else(|| {
            let known = self.documents.fleet.clusters.keys().map(ClusterName::as_str);
            let hint = crate::spec::text::meant(name, known);
            Failure::because(Exit::Usage, format!("`{name}` is no cluster of the fleet")).hint(hint)
        })
    }
}

/// A part of what documents compile to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    #[default]
    All,
    /// What is written in one wave.
    Wave(Wave),
    /// What a mesh reads: Istio's resources and its mesh configuration.
    Mesh,
}

impl Part {
    /// Whether an object is in this part.
    pub fn has(self, manifest: &Manifest) -> bool {
        match self {
            Part::All => true,
            Part::Wave(wave) => manifest.wave == wave,
            Part::Mesh => manifest.key.gvk.group.ends_with("istio.io") || matches!(manifest.hold, Hold::Text { .. }),
        }
    }
}

/// What a command sees, and how far it may go.
#[derive(Clone, Debug, Default)]
pub struct Lens {
    /// Only this part.
    pub part: Part,
    /// Take over what somebody else holds.
    pub force: bool,
    /// The set the documents are, where they are not the only one of their fleet.
    pub set: Option<SetName>,
    /// What to do about objects that the documents no longer want.
    pub unwanted: Unwanted,
}

impl From<Part> for Lens {
    fn from(part: Part) -> Self {
        Lens { part, ..Lens::default() }
    }
}

/// What to do about objects that earlier documents of the same set wanted and these do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unwanted {
    /// Do not even look: the command is about a part of the documents.
    #[default]
    Ignore,
    /// Look, and leave them.
    Count,
    /// Plan to take them away.
    Take,
}

/// What should be, what is, and the way from one to the other.
pub struct Picture {
    /// What should be.
    pub compiled: Compiled,
    /// What is.
    pub world: World,
    /// The way.
    pub plan: Plan,
    /// What is worth knowing before anything is written.
    pub warnings: Vec<Problem>,
    /// Objects that are no longer wanted and not in the plan.
    pub unwanted: Leftovers,
    /// Clusters on which it cannot be told what is no longer wanted, and why.
    pub unsearched: BTreeMap<ClusterName, String>,
}

/// Looks at the clusters and plans.
pub async fn picture(ground: &Ground, lens: &Lens) -> Result<Picture, Failure> {
    let documents = &ground.documents;
    let draft = compile::documents(documents, &site(ground, &World::default(), true))?;
    let addresses = compile::documents(documents, &Site::offline()).is_err();
    let wanted_once = async {
        match lens.unwanted {
            Unwanted::Ignore => World::default(),
            Unwanted::Count | Unwanted::Take => unwanted::look(ground, &draft.manifests).await,
        }
    };
    let asked = wants(ground, &draft, addresses);
    let (mut world, wanted_once) = tokio::join!(observe(&ground.clients, &asked), wanted_once);
    let mut unknown = BTreeMap::new();
    let mut site = site(ground, &world, false);
    let pending = site.gateways.values_mut().filter(|_| addresses).chain(site.east_west.values_mut());
    for (number, gateway) in pending.enumerate() {
        if let Err(problem) = gateway {
            let stand_in = placeholder(number);
            unknown.insert(stand_in.host.clone(), problem.what.clone());
            *gateway = Ok(stand_in);
        }
    }
    let unread = site.unread.iter().next().map(|(cluster, why)| format!("{cluster} cannot be reached: {why}"));
    unknown.extend(unread.map(|why| (UNKNOWN_WORKLOAD.to_string(), why)));
    let mut compiled = compile::documents(documents, &site)?;
    compiled.manifests.retain(|m| lens.part.has(m));
    seen_by_now(ground, &compiled, &asked, &mut world).await;
    let waits = |m: &Manifest| {
        let body = if unknown.is_empty() { String::new() } else { m.body.to_string() };
        let named = |word: &str| match word {
            UNKNOWN_WORKLOAD => body.contains(word),
            host => body.contains(&format!("\"{host}\"")),
        };
        let why: Vec<_> = unknown.iter().filter(|(host, _)| named(host)).map(|(_, why)| why.clone()).collect();
        (!why.is_empty()).then(|| (m.key.clone(), why.join("; ")))
    };
    let set = DocumentSet::new(&documents.fleet.name, lens.set.clone());
    let options = plan::Options {
        set: Some(set.clone()),
        prune: lens.unwanted == Unwanted::Take,
        force: lens.force,
        last: ground.primaries(),
        owners: owners(documents, &site),
        unknown: compiled.manifests.iter().filter_map(waits).collect(),
    };
    let mut plan = plan::between(&compiled.manifests, &world, &options)
        .map_err(|problems| Failure { exit: Exit::Refused, ..Failure::input(problems) })?;
    let mut unwanted = plan::leftovers(&set, &compiled.manifests, &wanted_once, &options.last);
    let unsearched = wanted_once.clusters.into_iter().filter_map(|(c, o)| Some((c, o.unreachable?))).collect();
    if lens.unwanted == Unwanted::Take {
        let kept = std::mem::take(&mut unwanted.kept);
        std::mem::replace(&mut unwanted, Leftovers { kept, ..Leftovers::default() }).append_to(&mut plan);
    }
    let warnings = if lens.part == Part::All { missing_secrets(&compiled, &world) } else { Vec::new() };
    Ok(Picture { compiled, world, plan, warnings, unwanted, unsearched })
}

/// What could be known only from the clusters themselves (Services that a policy selects by label) is looked at too.
async fn seen_by_now(ground: &Ground, compiled: &Compiled, asked: &[Want], world: &mut World) {
    let mut more = Want::for_manifests(&compiled.manifests);
    let whole = |w: &Want| Want { name: None, ..w.clone() };
    more.retain(|w| !asked.contains(w) && !asked.contains(&whole(w)));
    if more.is_empty() {
        return;
    }
    for (cluster, objects) in observe(&ground.clients, &more).await.clusters {
        let known = world.clusters.entry(cluster).or_default();
        known.by_key.extend(objects.by_key);
        known.unreachable = known.unreachable.take().or(objects.unreachable);
    }
}

fn placeholder(number: usize) -> GatewayAddress {
    GatewayAddress { host: format!("{UNKNOWN}{:x}", number + 1), port: 15443 }
}

/// What a cluster's objects say about addresses and hosts; `draft`: as if every address were known.
pub fn site(ground: &Ground, world: &World, draft: bool) -> Site {
    let named = compile::gloo::names::gateway(compile::gloo::Way::Upstream);
    let gateway = |cluster: &crate::model::fleet::Cluster| {
        let unreachable = world.clusters.get(cluster.name.as_str()).and_then(|o| o.unreachable.as_ref());
        match unreachable {
            _ if draft => Ok(placeholder(0)),
            Some(why) => Err(Problem::error("FCC0208", format!("{} cannot be reached: {why}", cluster.name))),
            None => address::service(world, cluster, named.service, named.port),
        }
    };
    let clusters = || ground.documents.fleet.clusters.values();
    let mut site = Site::from_world(world);
    site.draft = draft;
    site.gateways = clusters().filter(|c| c.gloo.is_some()).map(|c| (c.name.clone(), gateway(c))).collect();
    if !draft {
        let east_west = |c: &crate::model::fleet::Cluster| match site.unread.get(&c.name) {
            Some(why) => Err(Problem::error("FCC0208", format!("{} cannot be reached: {why}", c.name))),
            None => address::east_west(world, c),
        };
        let with_istio = clusters().filter(|c| c.istio.is_some());
        site.east_west = with_istio.map(|c| (c.name.clone(), east_west(c))).collect();
    }
    site
}

fn wants(ground: &Ground, draft: &Compiled, addresses: bool) -> Vec<Want> {
    let mut wants = Want::for_manifests(&draft.manifests);
    for secret in &draft.secrets {
        wants.push(Want::all("v1", "Secret").within(&secret.namespace).named(&secret.name).on(&secret.cluster));
    }
    let routed = draft.manifests.iter().filter(|m| matches!(m.hold, Hold::Items { .. }));
    let mut wide: BTreeSet<Want> =
        routed.map(|m| Want::all("gateway.solo.io/v1", "VirtualService").on(&m.key.cluster)).collect();
    for cluster in
        ground.documents.fleet.clusters.values().filter(|c| addresses && c.gloo.is_some() && c.gateway.is_none())
    {
        wide.extend(address::wants(&cluster.name, address::gloo_namespace(cluster)));
    }
    wide.extend(mesh_wants(ground, draft));
    for want in wide {
        wants.extend(narrowed(ground, want));
    }
    wants.sort();
    wants.dedup();
    wants
}

/// What a mesh must know of its clusters: Services, what makes their Pods, gateways, mesh configurations.
fn mesh_wants(ground: &Ground, draft: &Compiled) -> BTreeSet<Want> {
    const WORKLOADS: [(&str, &str); 5] = [
        ("v1", "Service"),
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
    ];
    let mut wants = BTreeSet::new();
    let documents = &ground.documents;
    if documents.smh.iter().any(|d| d.selects_by_label()) {
        let meshes = documents.fleet.clusters.values().filter(|c| c.istio.is_some());
        wants.extend(meshes.map(|c| Want::all("v1", "Service").on(&c.name)));
    }
    for (cluster, namespace) in &draft.services {
        wants.extend(WORKLOADS.iter().map(|(v, k)| Want::all(v, k).within(namespace).on(cluster)));
    }
    // Transparent failover looks at networks, and at who may read whose API server.
    let asks = |f: &dyn Fn(&Failover) -> bool| documents.failovers.iter().any(f);
    let joins = asks(&|f| target::of_mesh(f) == Target::IstioLocality);
    let by_secrets = asks(&|f| f.mesh.discovery == Discovery::RemoteSecrets);
    let remote = format!("{}={}", REMOTE_LABEL.0, REMOTE_LABEL.1);
    let clusters: BTreeSet<_> = draft.services.iter().map(|(c, _)| c).collect();
    for cluster in clusters.into_iter().filter_map(|c| ground.documents.fleet.clusters.get(c)) {
        wants.extend(address::east_west_wants(cluster));
        let istio = cluster.istio.as_ref().map(|i| i.namespace.as_str());
        wants.extend(istio.map(|n| Want::all("v1", "ConfigMap").within(n).named("istio").on(&cluster.name)));
        if let Some(namespace) = istio.filter(|_| joins) {
            wants.insert(Want::all("v1", "Namespace").named(namespace).on(&cluster.name));
            let remote = Want::all("v1", "Secret").within(namespace).labelled(remote.clone()).on(&cluster.name);
            wants.extend(Some(remote).filter(|_| by_secrets));
        }
    }
    wants
}

/// A fleet may say which namespaces of a cluster failctl may look at.
pub fn narrowed(ground: &Ground, want: Want) -> Vec<Want> {
    let cluster = want.cluster.as_ref().and_then(|c| ground.documents.fleet.clusters.get(c));
    let Some(cluster) = cluster.filter(|c| want.namespace.is_none() && !c.namespaces.is_empty()) else {
        return vec![want];
    };
    if matches!(want.gvk.kind.as_str(), "Node" | "Namespace") {
        return vec![want];
    }
    let mut names: BTreeSet<&str> = cluster.namespaces.iter().map(|n| n.as_str()).collect();
    names.insert(address::gloo_namespace(cluster));
    names.into_iter().map(|n| want.clone().within(n)).collect()
}

/// To which failover the objects belong that carry no label of ours.
pub fn owners(documents: &Documents, site: &Site) -> BTreeMap<ObjectKey, String> {
    let mut owners = BTreeMap::new();
    for failover in &documents.failovers {
        let Ok(compiled) = compile::failover(&documents.fleet, failover, &site.with(&documents.given)) else {
            continue;
        };
        let unlabelled = compiled
            .manifests
            .into_iter()
            // A part of a text may serve several failovers: it is the fleet's.
            .filter(|m| !matches!(m.hold, Hold::Text { .. }))
            .filter(|m| m.body.pointer("/metadata/labels").and_then(|l| l.get(OWNER_LABEL)).is_none());
        owners.extend(unlabelled.map(|m| (m.key, failover.name.to_string())));
    }
    owners
}

fn missing_secrets(compiled: &Compiled, world: &World) -> Vec<Problem> {
    let readable = |c: &ClusterName| world.clusters.get(c).is_some_and(|o| o.unreachable.is_none());
    let there = |need: &compile::SecretNeed| {
        world.get(need.cluster.as_str(), "", "Secret", &need.namespace, &need.name).is_some()
    };
    let missing = compiled.secrets.iter().filter(|n| readable(&n.cluster) && !there(n));
    let problem = |need: &compile::SecretNeed| {
        let what = format!(
            "{}: there is no Secret {}/{}: without it the gateways cannot shake hands and the backup stays red",
            need.cluster, need.namespace, need.name
        );
        Problem::warning("FCP0105", what).hint("`failctl certs generate`, then `failctl certs install`")
    };
    missing.map(problem).collect()
}
