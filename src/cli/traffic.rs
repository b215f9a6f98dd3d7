//! `failctl traffic`: who called a service of the mesh, who answered, how often.

use std::collections::BTreeSet;

use super::Ctx;
use super::documents::DocumentArgs;
use super::output::{Output, print};
use super::picture::Ground;
use crate::cluster;
use crate::drill::callers;
use crate::drill::resolve::{self, Protected};
use crate::error::{Exit, Failure};
use crate::model::duration::Millis;
use crate::report::traffic::{TrafficReport, count};

/// Arguments of `failctl traffic`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Counted from the access logs of the callers' sidecars (JSON lines with direction, cluster, code, \
source_principal, target_principal, target_version); both ends are named by the certificates they showed.

Examples:
  failctl traffic reviews
  failctl traffic reviews --since 2m -o json"
)]
pub struct Args {
    /// The failover (default: the only one of a mesh)
    pub failover: Option<String>,
    /// Only requests that ended within this time, or after this moment (RFC 3339; default: all that the logs keep)
    #[arg(long, value_name = "SINCE", value_parser = Since::parse)]
    pub since: Option<Since>,
    /// Count requests that began before this moment (RFC 3339) and those from it on apart
    #[arg(long, value_name = "TIME")]
    pub split: Option<jiff::Timestamp>,
    /// Documents: the fleet and its failovers
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// From when on.
#[derive(Clone, Copy, Debug)]
pub enum Since {
    /// So long ago.
    Ago(Millis),
    /// This moment.
    At(jiff::Timestamp),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Since::At).or_else(|_| Millis::parse(text).map(Since::Ago).map_err(|e| e.to_string()))
    }

    fn moment(self) -> String {
        match self {
            Since::Ago(time) => (jiff::Timestamp::now() - std::time::Duration::from_millis(time.0)).to_string(),
            Since::At(at) => at.to_string(),
        }
    }
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let documents = args.documents.load(ctx)?;
    let chosen = choose(resolve::protected(&documents), args.failover.as_deref())?;
    let ground = Ground::of(ctx, documents)?;
    let report = ctx.block_on(traffic(&ground, &chosen, args.since, args.split))??;
    print(ctx, args.output, &report, || report.text())?;
    Ok(if report.callers.is_empty() { Exit::Unknown } else { Exit::Ok })
}

fn choose(all: Vec<Protected>, name: Option<&str>) -> Result<Protected, Failure> {
    let (of_an_edge, mut of_a_mesh): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| p.seat.upstream().is_some());
    // Callers of several clusters may share one failover: those of the primary's come first.
    let mut names: Vec<_> = of_a_mesh.iter().map(|p| p.name.clone()).collect();
    names.dedup();
    let usage = |why: String| Failure::because(Exit::Usage, why);
    let at_the_edge = match name {
        Some(name) => of_an_edge.iter().find(|p| p.name == name),
        None => of_an_edge.first().filter(|_| names.is_empty()),
    };
    if let Some(edge) = at_the_edge {
        return Err(usage(format!("{} is a failover at the edge: no sidecar calls it", edge.name))
            .hint("who serves there: `failctl status`; this command is about failovers between services of a mesh"));
    }
    match name {
        _ if names.is_empty() => {
            Err(usage("the documents hold no failover of a mesh".into()).hint("give them with -f; see docs/failover.md"))
        }
        Some(name) => of_a_mesh.into_iter().find(|p| p.name == name).ok_or_else(|| {
            let known = names.iter().map(String::as_str);
            usage(format!("no failover of a mesh is named `{name}`")).hint(crate::spec::text::meant(name, known))
        }),
        None if names.len() == 1 => Ok(of_a_mesh.remove(0)),
        None => Err(usage("the documents hold several failovers of a mesh".into())
            .hint(format!("name one: {}", names.join(", ")))),
    }
}

async fn traffic(ground: &Ground, chosen: &Protected, since: Option<Since>, split: Option<jiff::Timestamp>) -> Result<TrafficReport, Failure> {
    let members = chosen.seat.members();
    let client = ground.clients.client(chosen.cluster.as_str()).await;
    let client = client.map_err(|e| Failure::new(Exit::Unreachable, e))?;
    let namespaces = ground.documents.fleet.clusters.get(&chosen.cluster).map(|c| c.namespaces.clone());
    let namespaces: Vec<_> = namespaces.unwrap_or_default().iter().map(ToString::to_string).collect();
    let found = callers::callers(&client, &namespaces, &members).await;
    let found = found.map_err(|e| {
        Failure::new(Exit::Unreachable, e.context(format!("the sidecars of {} cannot be asked", chosen.cluster)))
    })?;
    let since = since.map(Since::moment);
    let (mut read, mut unread, mut texts) = (Vec::new(), found.failed, Vec::new());
    for caller in &found.callers {
        let who = format!("{} {}/{}", chosen.cluster, caller.pod.namespace, caller.pod.pod);
        match cluster::logs(&client, &caller.pod, callers::SIDECAR, since.as_deref()).await {
            Ok(text) => {
                read.push(who);
                texts.push(text);
            }
            Err(why) => unread.push(format!("{why:#}")),
        }
    }
    let clusters: BTreeSet<String> = members.into_iter().chain([chosen.seat.envoy_name()]).collect();
    let rows = count(texts.iter().flat_map(|t| t.lines()), &clusters, split);
    Ok(TrafficReport::new(chosen.name.clone(), read, unread, rows))
}
