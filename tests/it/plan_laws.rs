//! Laws of the plan, held against an API server: after apply nothing is left to do, the diff said what the server did,
//! and after delete the world is as it was.

use std::collections::{BTreeMap, BTreeSet};

use failctl::cluster::{WriteOptions, write};
use failctl::manifest::{DocumentSet, FIELD_MANAGER, Hold, MANAGED_BY, Manifest, OWNER_LABEL, Wave, World, key_of};
use failctl::model::name::{ClusterName, SetName};
use failctl::plan::{self, Action, Options, Plan, Scope, between, leftovers, removal};
use failctl::sandbox::{api, crds};
use kube::Client;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn cluster() -> ClusterName {
    ClusterName::new("one").unwrap()
}

/// A tree of fields with up to four names per level; leaves are numbers, texts, empty maps or lists.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..3u8).prop_map(|n| json!(n)),
        "[xy]".prop_map(|t| json!(t)),
        Just(json!({})),
        proptest::collection::vec((0..3u8).prop_map(|n| json!({"n": n})), 0..3).prop_map(Value::Array),
    ];
    let names = proptest::sample::select(&NAMES[..]).prop_map(str::to_string);
    leaf.prop_recursive(3, 16, 4, move |inner| {
        proptest::collection::btree_map(names.clone(), inner, 1..4).prop_map(|m| Value::Object(Map::from_iter(m)))
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let names = proptest::sample::select(&NAMES[..]).prop_map(str::to_string);
    proptest::collection::btree_map(names, tree(), 1..4).prop_map(|m| Value::Object(Map::from_iter(m)))
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let group = if kind == "Upstream" { "gloo.solo.io/v1" } else { "gateway.solo.io/v1" };
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

fn owned(mut body: Value, owner: &str) -> Value {
    body["metadata"]["labels"] = json!({MANAGED_BY.0: MANAGED_BY.1, OWNER_LABEL: owner});
    body
}

fn manifest(body: Value, hold: Hold, wave: Wave) -> Manifest {
    Manifest { key: key_of(&cluster(), &body).unwrap(), body, hold, wave }
}

fn routes(names: &[(String, u8, bool)]) -> Value {
    let prefix = |n: u8| ["/", "/a", "/a/b"][n as usize % 3];
    let route = |(name, at, plain): &(String, u8, bool)| {
        let mut matcher = json!({"prefix": prefix(*at)});
        if !plain {
            matcher["methods"] = json!(["GET"]);
        }
        json!({"name": name, "matchers": [matcher]})
    };
    json!({"virtualHost": {"domains": ["*"], "routes": names.iter().map(route).collect::<Vec<_>>()}})
}

fn route_list(who: &'static str) -> impl Strategy<Value = Vec<(String, u8, bool)>> {
    let one = (0..4u8, 0..3u8, any::<bool>()).prop_map(move |(n, p, plain)| (format!("{who}{n}"), p, plain));
    proptest::collection::vec(one, 1..4).prop_map(|mut list| {
        let mut seen = BTreeSet::new();
        list.retain(|(n, ..)| seen.insert(n.clone()));
        list
    })
}

/// Name, prefix and whether it asks for more, of a random route.
type Named = (String, u8, bool);

/// What is there before failctl comes, and what it wants.
#[derive(Debug, Clone)]
struct Case {
    /// Spec of an Upstream and who else wrote to it: an applier and an updater.
    upstream: Value,
    applied: Value,
    /// What failctl adds to it.
    fields: Value,
    /// What failctl creates.
    own: Value,
    /// Foreign routes of a VirtualService, if there is one.
    foreign: Option<Vec<(String, u8, bool)>>,
    /// Routes of two failovers.
    ours: (Vec<Named>, Vec<Named>),
}

fn case() -> impl Strategy<Value = Case> {
    let lists = (proptest::option::of(route_list("foreign")), route_list("first"), route_list("second"));
    (spec(), spec(), spec(), spec(), lists).prop_map(|(upstream, applied, fields, own, (foreign, first, second))| {
        Case { upstream, applied, fields, own, foreign, ours: (first, second) }
    })
}

struct Server {
    client: Client,
}

impl Server {
    async fn new() -> Server {
        let client = api::in_process().unwrap();
        let server = Server { client };
        for crd in crds::gloo() {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            server.ask("POST", path, "application/json", Some(&serde_json::to_value(crd).unwrap())).await.unwrap();
        }
        server
    }

    async fn ask(&self, method: &str, path: &str, content: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", content).body(body);
        self.client.request::<Value>(request.unwrap()).await
    }

    fn path(kind: &str) -> &'static str {
        match kind {
            "Upstream" => "/apis/gloo.solo.io/v1/namespaces/default/upstreams",
            "Gateway" => "/apis/gateway.solo.io/v1/namespaces/default/gateways",
            _ => "/apis/gateway.solo.io/v1/namespaces/default/virtualservices",
        }
    }

    async fn create(&self, body: &Value) {
        let path = format!("{}?fieldManager=somebody", Server::path(body["kind"].as_str().unwrap()));
        self.ask("POST", &path, "application/json", Some(body)).await.unwrap();
    }

    async fn world(&self) -> World {
        let mut world = World::default();
        world.clusters.entry(cluster()).or_default();
        for kind in ["Upstream", "Gateway", "VirtualService"] {
            let list = self.ask("GET", Server::path(kind), "", None).await.unwrap();
            for mut item in list["items"].as_array().unwrap().iter().cloned() {
                let version = list["apiVersion"].clone();
                item["apiVersion"] = version;
                item["kind"] = kind.into();
                world.insert(&cluster(), item).unwrap();
            }
        }
        world
    }

    /// Writes a plan; the objects as the server returned them. An error names what was refused.
    async fn write(&self, plan: &Plan) -> Result<Vec<(plan::Change, Value)>, String> {
        let mut after = Vec::new();
        for change in plan.changes().filter(|c| c.action != Action::Keep) {
            let outcome = write(&self.client, change, &WriteOptions::default()).await;
            match outcome.why() {
                Some(why) => return Err(why),
                None => after.push((change.clone(), outcome.object.unwrap_or(Value::Null))),
            }
        }
        Ok(after)
    }
}

/// Without nulls and empty maps: where the last field of a map is given up, servers leave a null.
fn full(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let inner = map.iter().map(|(k, v)| (k.clone(), full(v)));
            inner.filter(|(_, v)| !v.is_null() && *v != json!({})).collect()
        }
        other => other.clone(),
    }
}

/// An object without the server's own book-keeping.
fn plain(object: &Value) -> Value {
    let mut object = full(object);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.shift_remove(field);
        }
    }
    object
}

fn plain_world(world: &World) -> BTreeMap<String, Value> {
    world.clusters.values().flat_map(|o| &o.by_key).map(|(k, v)| (k.to_string(), plain(v))).collect()
}

fn desired(case: &Case) -> Vec<Manifest> {
    let path: Vec<String> = ["spec", "virtualHost", "routes"].map(String::from).into();
    let items = || Hold::Items { path: path.clone(), key: "name".into() };
    let virtual_service = |list, owner| owned(object("VirtualService", "edge", &routes(list)), owner);
    vec![
        manifest(owned(object("Gateway", "made", &case.own), "fleet"), Hold::Own, Wave::Gateways),
        manifest(object("Upstream", "found", &case.fields), Hold::Fields, Wave::Upstreams),
        manifest(virtual_service(&case.ours.0, "first"), items(), Wave::Routes),
        manifest(virtual_service(&case.ours.1, "second"), items(), Wave::Routes),
    ]
}

async fn check(case: Case) -> Result<(), TestCaseError> {
    let server = Server::new().await;
    server.create(&object("Upstream", "found", &case.upstream)).await;
    let other = format!("{}/found?fieldManager=other&force=true", Server::path("Upstream"));
    let applied = object("Upstream", "found", &case.applied);
    server.ask("PATCH", &other, "application/apply-patch+yaml", Some(&applied)).await.unwrap();
    if let Some(foreign) = &case.foreign {
        server.create(&object("VirtualService", "edge", &routes(foreign))).await;
    }
    let before = server.world().await;
    let desired = desired(&case);
    let options = Options::default();
    let plan = between(&desired, &before, &options).map_err(|p| TestCaseError::fail(format!("{p:?}")))?;
    let written = match server.write(&plan).await {
        Ok(written) => written,
        // Two managers who want different values are a conflict, and that is right.
        Err(why) if why.starts_with("conflict") => return Err(TestCaseError::reject(why)),
        Err(why) => return Err(TestCaseError::fail(why)),
    };
    for (change, object) in &written {
        let said = change.after.as_ref().map(plain).unwrap_or_default();
        prop_assert_eq!(said, plain(object), "the diff said something else for {}", change.key);
    }
    let after = server.world().await;
    let again = between(&desired, &after, &options).map_err(|p| TestCaseError::fail(format!("{p:?}")))?;
    prop_assert!(again.is_quiet(), "after apply something is left: {:#?}", again);
    // Changing somebody else's field is no drift; changing ours is.
    let away = removal(&Scope::default(), &desired, &after);
    server.write(&away).await.map_err(TestCaseError::fail)?;
    prop_assert_eq!(plain_world(&server.world().await), plain_world(&before), "delete gives back");
    let nothing = removal(&Scope::default(), &desired, &server.world().await);
    prop_assert!(nothing.is_quiet(), "after delete something is left: {:#?}", nothing);
    Ok(())
}

/// failctl's fields, when their configuration changes from one to another.
async fn change(upstream: Value, first: Value, second: Value) -> Result<(), TestCaseError> {
    let server = Server::new().await;
    server.create(&object("Upstream", "found", &upstream)).await;
    for spec in [&first, &second] {
        let desired = [manifest(object("Upstream", "found", spec), Hold::Fields, Wave::Upstreams)];
        let plan = between(&desired, &server.world().await, &Options::default()).unwrap();
        let written = match server.write(&plan).await {
            Ok(written) => written,
            Err(why) if why.starts_with("conflict") => return Err(TestCaseError::reject(why)),
            Err(why) => return Err(TestCaseError::fail(why)),
        };
        for (change, object) in written {
            prop_assert_eq!(change.after.as_ref().map(plain).unwrap_or_default(), plain(&object));
        }
        // A map that lost its last field is null for now; where an empty one is wanted, a second round makes it so.
        let again = between(&desired, &server.world().await, &Options::default()).unwrap();
        server.write(&again).await.map_err(TestCaseError::fail)?;
        let again = between(&desired, &server.world().await, &Options::default()).unwrap();
        prop_assert!(again.is_quiet(), "{:#?}", again);
    }
    Ok(())
}

/// A set of documents by name, of the fleet `shop`.
fn set(name: &str) -> DocumentSet {
    DocumentSet::new("shop", Some(SetName::new(name).unwrap()))
}

/// Applies documents as a set, with or without taking away what it no longer wants.
async fn apply_set(
    server: &Server,
    desired: &[Manifest],
    of: &DocumentSet,
    prune: bool,
) -> Result<Plan, TestCaseError> {
    let options = Options { set: Some(of.clone()), prune, ..Options::default() };
    let world = server.world().await;
    let mut plan = between(desired, &world, &options).map_err(|p| TestCaseError::fail(format!("{p:?}")))?;
    if prune {
        leftovers(of, desired, &world, &BTreeSet::new()).append_to(&mut plan);
    }
    match server.write(&plan).await {
        Err(why) if why.starts_with("conflict") => Err(TestCaseError::reject(why)),
        Err(why) => Err(TestCaseError::fail(why)),
        Ok(_) => Ok(plan),
    }
}

/// A server with what was there before failctl came.
async fn ground(case: &Case) -> Server {
    let server = Server::new().await;
    server.create(&object("Upstream", "found", &case.upstream)).await;
    if let Some(foreign) = &case.foreign {
        server.create(&object("VirtualService", "edge", &routes(foreign))).await;
    }
    server
}

/// Objects as they are; where two routes are alike, which comes first depends on which came first, so routes by name.
fn by_name(world: &World) -> BTreeMap<String, Value> {
    let mut world = plain_world(world);
    for object in world.values_mut() {
        // Who made a list that several share is history.
        if object["kind"] == "VirtualService"
            && let Some(Value::Object(labels)) = object.pointer_mut("/metadata/labels")
        {
            labels.shift_remove(OWNER_LABEL);
        }
        if let Some(Value::Array(routes)) = object.pointer_mut("/spec/virtualHost/routes") {
            routes.sort_by_key(|r| r["name"].as_str().map(str::to_string));
        }
    }
    world
}

/// Documents that want less than before: pruning leaves the world as if nothing else had ever been applied.
async fn prune(case: Case, kept: [bool; 4]) -> Result<(), TestCaseError> {
    let all = desired(&case);
    let fewer: Vec<_> = all.iter().zip(kept).filter(|(_, keep)| *keep).map(|(m, _)| m.clone()).collect();
    let straight = ground(&case).await;
    apply_set(&straight, &fewer, &set("a"), false).await?;
    let server = ground(&case).await;
    apply_set(&server, &all, &set("a"), false).await?;
    apply_set(&server, &fewer, &set("a"), true).await?;
    prop_assert_eq!(by_name(&server.world().await), by_name(&straight.world().await));
    let again = apply_set(&server, &fewer, &set("a"), true).await?;
    prop_assert!(again.is_quiet(), "pruning twice is pruning once: {:#?}", again);
    Ok(())
}

/// Another set on the same clusters, in the same VirtualService: pruning this one to nothing leaves the other alone.
async fn prune_beside(case: Case, theirs: Vec<Named>) -> Result<(), TestCaseError> {
    let server = ground(&case).await;
    let path: Vec<String> = ["spec", "virtualHost", "routes"].map(String::from).into();
    let items = Hold::Items { path: path.clone(), key: "name".into() };
    let other = [
        manifest(owned(object("Gateway", "other", &case.own), "third"), Hold::Own, Wave::Gateways),
        manifest(owned(object("VirtualService", "edge", &routes(&theirs)), "third"), items, Wave::Routes),
    ];
    apply_set(&server, &desired(&case), &set("a"), false).await?;
    apply_set(&server, &other, &set("b"), false).await?;
    server.create(&object("Gateway", "nobodys", &case.own)).await;
    let before = plain_world(&server.world().await);
    let plan = apply_set(&server, &[], &set("a"), true).await?;
    let after = plain_world(&server.world().await);
    for key in ["one: Gateway default/other", "one: Gateway default/nobodys", "one: Gateway default/made"] {
        // The last is what all failovers share: it stays while another set is there.
        prop_assert_eq!(after.get(key), before.get(key), "{}", key);
    }
    let routes = plan::list(&after["one: VirtualService default/edge"], &path).iter().map(|r| r["name"].clone());
    let mut routes: Vec<_> = routes.map(|n| n.as_str().unwrap().to_string()).collect();
    let mut expected: Vec<_> = theirs.iter().chain(case.foreign.iter().flatten()).map(|(n, ..)| n.clone()).collect();
    routes.sort();
    expected.sort();
    prop_assert_eq!(routes, expected, "{:#?}", plan);
    let options = Options { set: Some(set("b")), ..Options::default() };
    let theirs = between(&other, &server.world().await, &options).unwrap();
    prop_assert!(theirs.is_quiet(), "{:#?}", theirs);
    Ok(())
}

fn run(future: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 8192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_apply_nothing_is_left_to_do_and_delete_gives_the_world_back(case in case()) {
        run(check(case))?;
    }

    #[test]
    fn pruning_leaves_the_world_as_if_the_unwanted_had_never_been_applied(case in case(), kept: [bool; 4]) {
        run(prune(case, kept))?;
    }

    #[test]
    fn pruning_one_set_never_touches_another_or_what_is_nobodys(case in case(), theirs in route_list("third")) {
        run(prune_beside(case, theirs))?;
    }

    #[test]
    fn a_configuration_that_changes_takes_its_old_fields_with_it(upstream in spec(), first in spec(), second in spec()) {
        run(change(upstream, first, second))?;
    }
}

#[test]
fn a_manager_of_another_name_is_never_ours() {
    let entry = |manager: &str, operation: &str| json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {}}});
    let object = json!({"metadata": {"managedFields": [entry("failctl", "Update"), entry("failctl-2", "Apply")]}});
    assert!(plan::owned_by(&object, FIELD_MANAGER).is_none());
    let object = json!({"metadata": {"managedFields": [entry("failctl", "Apply")]}});
    assert!(plan::owned_by(&object, FIELD_MANAGER).is_some());
}
