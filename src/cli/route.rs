//! `failctl route`: routes at a cluster's edge, one by one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Ctx;
use super::documents::DocumentArgs;
use super::picture::{Ground, narrowed};
use super::road::{self, WriteArgs};
use crate::cluster::{Want, observe};
use crate::compile::Site;
use crate::compile::gloo::names;
use crate::error::{Exit, Failure};
use crate::manifest::{Gvk, Hold, Manifest, ObjectKey, Wave, World};
use crate::model::fleet::Cluster;
use crate::model::problem::Problem;
use crate::plan::{self, Plan, ROUTE_OWNER};
use crate::resource::virtual_service::{
    Destination, Matcher, Route, RouteAction, RouteOptions, VirtualHost, VirtualService,
};
use crate::resource::{Meta, Object, Reference};

/// Arguments of `failctl route`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Route requests with a path prefix to an Upstream
    #[command(after_help = "Doing it twice changes nothing. The route goes before a route that would catch its requests.

Example, the guide's `glooctl add route --path-prefix / --dest-name default-service-blue-10000`:
  failctl route add --cluster local --path-prefix / --dest-name default-service-blue-10000")]
    Add(Add),
    /// Remove a route that `route add` made
    #[command(after_help = "Example:
  failctl route remove --cluster local --path-prefix / --dest-name default-service-blue-10000")]
    Remove(Remove),
}

/// Which route.
#[derive(clap::Args, Debug, Clone)]
pub struct Which {
    /// The cluster at whose edge the route is
    #[arg(long, value_name = "CLUSTER", add = super::complete::clusters())]
    pub cluster: String,
    /// Hosts it is for; repeatable
    #[arg(long = "host", value_name = "HOST", default_value = "*")]
    pub hosts: Vec<String>,
    /// The route's name (default: made of the Upstream and the prefix)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Documents, for the fleet
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// Arguments of `failctl route add`.
#[derive(clap::Args, Debug)]
pub struct Add {
    /// Path prefix
    #[arg(long, value_name = "PREFIX")]
    pub path_prefix: String,
    /// Upstream
    #[arg(long, value_name = "UPSTREAM")]
    pub dest_name: String,
    /// Namespace of the Upstream (default: Gloo's namespace on that cluster)
    #[arg(long, value_name = "NAMESPACE")]
    pub dest_namespace: Option<String>,
    /// Which route
    #[command(flatten)]
    pub which: Which,
}

/// Arguments of `failctl route remove`.
#[derive(clap::Args, Debug)]
pub struct Remove {
    /// Path prefix
    #[arg(long, value_name = "PREFIX", required_unless_present = "name")]
    pub path_prefix: Option<String>,
    /// Upstream
    #[arg(long, value_name = "UPSTREAM", required_unless_present = "name")]
    pub dest_name: Option<String>,
    /// Namespace of the Upstream (default: Gloo's namespace on that cluster)
    #[arg(long, value_name = "NAMESPACE")]
    pub dest_namespace: Option<String>,
    /// Which route
    #[command(flatten)]
    pub which: Which,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Add(add) => add_route(add, ctx),
        Action::Remove(remove) => remove_route(remove, ctx),
    }
}

fn upstream(cluster: &Cluster, name: &str, namespace: Option<&str>) -> Reference {
    let own = crate::cluster::address::gloo_namespace(cluster);
    Reference::new(name, namespace.unwrap_or(own))
}

/// The name of a route nobody named.
fn route_name(upstream: &Reference, prefix: &str) -> String {
    format!("failctl/route/{}.{}{prefix}", upstream.namespace, upstream.name)
}

fn add_route(args: Add, ctx: &Ctx) -> Result<Exit, Failure> {
    if !args.path_prefix.starts_with('/') {
        return Err(Failure::because(Exit::Usage, "--path-prefix begins with `/`"));
    }
    let ground = Ground::new(ctx, &args.which.documents, &[])?;
    let cluster = ground.cluster(&args.which.cluster)?;
    let upstream = upstream(cluster, &args.dest_name, args.dest_namespace.as_deref());
    let route = Route {
        matchers: vec![Matcher { methods: Vec::new(), prefix: args.path_prefix.clone() }],
        name: args.which.name.clone().unwrap_or_else(|| route_name(&upstream, &args.path_prefix)),
        options: RouteOptions { retries: None, timeout: None },
        route_action: RouteAction { single: Destination { upstream: upstream.clone() } },
    };
    ctx.block_on(async {
        let planner = || async { with_route(&ground, cluster, &args.which, &route, &upstream).await };
        road::go(ctx, &ground.clients, &args.which.writing, "write", planner).await
    })?
}

async fn look(ground: &Ground, cluster: &Cluster, upstream: Option<&Reference>) -> World {
    let mut wants = narrowed(ground, Want::all("gateway.solo.io/v1", "VirtualService").on(&cluster.name));
    if let Some(Reference { name, namespace, .. }) = upstream {
        wants.push(Want::all("gloo.solo.io/v1", "Upstream").within(namespace).named(name).on(&cluster.name));
    }
    observe(&ground.clients, &wants).await
}

/// The VirtualServices that serve these hosts, or the one to make.
fn places(cluster: &Cluster, world: &World, hosts: &[String]) -> Vec<Reference> {
    let hosts: Vec<String> = hosts.iter().map(|h| h.to_ascii_lowercase()).collect();
    let there = Site::from_world(world).serving(&cluster.name, &hosts);
    let own = crate::cluster::address::gloo_namespace(cluster);
    if there.is_empty() { vec![Reference::new(names::virtual_service(&hosts), own)] } else { there }
}

fn key_of(cluster: &Cluster, place: &Reference) -> ObjectKey {
    ObjectKey {
        cluster: cluster.name.clone(),
        gvk: Gvk::new("gateway.solo.io/v1", "VirtualService"),
        namespace: Some(place.namespace.clone()),
        name: place.name.clone(),
    }
}

async fn with_route(
    ground: &Ground,
    cluster: &Cluster,
    which: &Which,
    route: &Route,
    upstream: &Reference,
) -> Result<Plan, Failure> {
    let world = look(ground, cluster, Some(upstream)).await;
    let mut desired = Vec::new();
    for place in places(cluster, &world, &which.hosts) {
        let key = key_of(cluster, &place);
        let path: Vec<String> = ["spec", "virtualHost", "routes"].map(String::from).into();
        let meta = Meta::new(place.name, place.namespace).labels(names::labels(ROUTE_OWNER));
        let host = VirtualHost { domains: which.hosts.clone(), routes: vec![route.clone()] };
        let mut body = Object::new(meta, VirtualService { virtual_host: host }).body();
        // The routes added before stay: the desired list of this owner is all of its routes.
        if let Some(there) = plan::find(&world, &key) {
            let names = plan::record(there).remove(ROUTE_OWNER).unwrap_or_default();
            let own = |r: &&Value| r["name"].as_str().is_some_and(|n| n != route.name && names.contains(n));
            let before: Vec<_> = plan::list(there, &path).iter().filter(own).cloned().collect();
            let routes = body.pointer_mut("/spec/virtualHost/routes").and_then(Value::as_array_mut);
            routes.into_iter().for_each(|r| r.extend(before.clone()));
        }
        desired.push(Manifest { key, body, hold: Hold::Items { path, key: "name".into() }, wave: Wave::Routes });
    }
    let options = plan::Options { force: which.writing.force, ..plan::Options::default() };
    let planned = plan::between(&desired, &world, &options);
    let planned = planned.map_err(|p| Failure { exit: Exit::Refused, ..Failure::input(p) })?;
    let there = world.get(cluster.name.as_str(), "gloo.solo.io", "Upstream", &upstream.namespace, &upstream.name);
    if there.is_none() && planned.unreachable.is_empty() {
        let what = format!("{}: there is no Upstream {}/{}", cluster.name, upstream.namespace, upstream.name);
        let hint = "Gloo names discovered Upstreams <namespace>-<service>-<port>; `kubectl get upstreams -A` lists them";
        return Err(Failure { exit: Exit::Refused, ..Failure::input(vec![Problem::error("FCP0106", what).hint(hint)]) });
    }
    Ok(planned)
}

fn remove_route(args: Remove, ctx: &Ctx) -> Result<Exit, Failure> {
    let ground = Ground::new(ctx, &args.which.documents, &[])?;
    let cluster = ground.cluster(&args.which.cluster)?;
    let name = args.which.name.clone().unwrap_or_else(|| {
        let dest = upstream(cluster, args.dest_name.as_deref().unwrap_or_default(), args.dest_namespace.as_deref());
        route_name(&dest, args.path_prefix.as_deref().unwrap_or_default())
    });
    ctx.block_on(async {
        let planner = || async { without_route(&ground, cluster, &name).await };
        road::go(ctx, &ground.clients, &args.which.writing, "remove the route from", planner).await
    })?
}

async fn without_route(ground: &Ground, cluster: &Cluster, name: &str) -> Result<Plan, Failure> {
    let world = look(ground, cluster, None).await;
    if let Some(why) = world.clusters.get(&cluster.name).and_then(|o| o.unreachable.clone()) {
        return Err(Failure::because(Exit::Unreachable, format!("{} cannot be reached: {why}", cluster.name)));
    }
    let gone = BTreeSet::from([name.to_string()]);
    let ours = |object: &Value| plan::record(object).get(ROUTE_OWNER).is_some_and(|n| n.contains(name));
    let services = world.all(cluster.name.as_str(), "gateway.solo.io", "VirtualService");
    let changes = services.filter(|(_, o)| ours(o)).filter_map(|(k, o)| plan::without_routes(k, ROUTE_OWNER, o, &gone));
    Ok(Plan { waves: vec![changes.collect()], ..Plan::default() })
}
