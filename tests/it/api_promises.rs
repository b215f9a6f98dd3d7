//! What Kubernetes promises its clients, under kube's client: of the sandbox's API server here, of a real one in the
//! control-plane ring.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ground::ApiServer;

pub fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub fn untyped(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

/// Waits for what controllers and caches do in their own time; the sandbox does it at once.
async fn until(what: &str, test: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !test().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Api(status)) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

pub fn config_map(name: &str, value: &str) -> ConfigMap {
    typed(json!({"metadata": {"name": name}, "data": {"key": value}}))
}

pub fn deployment(name: &str) -> Deployment {
    typed(json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
}

#[tokio::test]
async fn an_object_is_created_read_changed_and_deleted() {
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let made = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    assert_eq!(made.metadata.namespace.as_deref(), Some("default"));
    let again = refused(maps.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!(again, (409, "AlreadyExists".into(), "configmaps \"a\" already exists".into()));

    let merge = Patch::Merge(json!({"data": {"key": null, "other": "2"}}));
    let patched = maps.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(patched.data, Some(BTreeMap::from([("other".into(), "2".into())])));
    let same = maps.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(same.metadata.resource_version, patched.metadata.resource_version, "nothing changed");

    let stale = refused(maps.replace("a", &PostParams::default(), &made).await);
    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
    assert!(stale.2.contains("the object has been modified"), "{}", stale.2);

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(maps.get_opt("a").await.unwrap(), None);
    let gone = refused(maps.delete("a", &DeleteParams::default()).await);
    assert_eq!(gone, (404, "NotFound".into(), "configmaps \"a\" not found".into()));
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    assert!(maps.create(&dry, &config_map("a", "1")).await.unwrap().metadata.uid.is_some());
    assert_eq!(maps.get_opt("a").await.unwrap(), None);
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    maps.delete("a", &DeleteParams::default().dry_run()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_some());
}

#[tokio::test]
async fn names_are_generated_and_checked() {
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let generated = typed(json!({"metadata": {"generateName": "x-"}}));
    let name = maps.create(&PostParams::default(), &generated).await.unwrap().metadata.name.unwrap();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    let bad = refused(maps.create(&PostParams::default(), &config_map("Bad_Name", "")).await);
    assert_eq!((bad.0, bad.1.as_str()), (422, "Invalid"));
    assert!(bad.2.contains("metadata.name"), "{}", bad.2);
}

#[tokio::test]
async fn the_status_and_the_wish_are_written_apart() {
    let server = ApiServer::start().await;
    let api: Api<Deployment> = Api::default_namespaced(server.client().await);
    let mut new = deployment("web");
    new.status = typed(json!({"replicas": 7}));
    let made = api.create(&PostParams::default(), &new).await.unwrap();
    assert_eq!((made.metadata.generation, made.status.and_then(|s| s.replicas)), (Some(1), None));

    let both = Patch::Merge(json!({"spec": {"replicas": 3}, "status": {"replicas": 2}}));
    let main = api.patch("web", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((main.metadata.generation, untyped(&main)["status"]["replicas"].as_i64()), (Some(2), None));
    let other = Patch::Merge(json!({"spec": {"replicas": 9}, "status": {"replicas": 2}}));
    let status = api.patch_status("web", &PatchParams::default(), &other).await.unwrap();
    let told = untyped(&status);
    assert_eq!((&told["spec"]["replicas"], &told["status"]["replicas"]), (&json!(3), &json!(2)));
    assert_eq!(status.metadata.generation, Some(2), "a status is no new wish");
    let labels = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    let labelled = api.patch("web", &PatchParams::default(), &labels).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(2), "a label is no new wish");
}

#[tokio::test]
async fn scale_changes_replicas_and_nothing_else() {
    let server = ApiServer::start().await;
    let api: Api<Deployment> = Api::default_namespaced(server.client().await);
    api.create(&PostParams::default(), &deployment("web")).await.unwrap();
    let wish = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let scale = api.patch_scale("web", &PatchParams::default(), &wish).await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, None, "none is left out");
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=web"));
    assert_eq!(api.get("web").await.unwrap().spec.unwrap().replicas, Some(0));
    assert_eq!(api.get_scale("web").await.unwrap().spec.unwrap().replicas, None);
    let negative = Patch::Merge(json!({"spec": {"replicas": -1}}));
    assert_eq!(refused(api.patch_scale("web", &PatchParams::default(), &negative).await).0, 422);
}

#[tokio::test]
async fn lists_are_selected_and_read_in_pages_of_one_revision() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for n in 0..5 {
        let labels = json!({"parity": if n % 2 == 0 { "even" } else { "odd" }});
        let map = typed(json!({"metadata": {"name": format!("m{n}"), "labels": labels}}));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let names = |list: kube::api::ObjectList<ConfigMap>| -> Vec<String> {
        list.items.into_iter().filter_map(|m| m.metadata.name).collect()
    };
    assert_eq!(names(maps.list(&ListParams::default().labels("parity=odd")).await.unwrap()), ["m1", "m3"]);
    assert_eq!(names(maps.list(&ListParams::default().fields("metadata.name=m2")).await.unwrap()), ["m2"]);
    let everywhere: Api<ConfigMap> = Api::all(client);
    assert_eq!(everywhere.list(&ListParams::default().labels("parity")).await.unwrap().items.len(), 5);

    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    let (token, revision) = (first.metadata.continue_.clone().unwrap(), first.metadata.resource_version.clone());
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    maps.delete("m2", &DeleteParams::default()).await.unwrap();
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(second.metadata.resource_version, revision, "pages of one list show one moment");
    assert_eq!(names(second), ["m2", "m3"]);
    assert_eq!(refused(maps.list(&ListParams::default().continue_token("no token")).await).0, 400);
}

pub async fn next<T: DeserializeOwned + Clone + std::fmt::Debug>(
    events: &mut (impl futures::Stream<Item = Result<WatchEvent<T>, Error>> + Unpin),
) -> WatchEvent<T> {
    let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    event.expect("an event in time").expect("a stream that goes on").unwrap()
}

pub fn told(event: &WatchEvent<ConfigMap>) -> String {
    let name = |m: &ConfigMap| m.metadata.name.clone().unwrap_or_default();
    match event {
        WatchEvent::Added(m) => format!("+{}", name(m)),
        WatchEvent::Modified(m) => format!("~{}", name(m)),
        WatchEvent::Deleted(m) => format!("-{}", name(m)),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_tells_what_happens_to_what_it_selects() {
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    maps.create(&PostParams::default(), &config_map("before", "1")).await.unwrap();
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let label = |value: Value| Patch::Merge(json!({"metadata": {"labels": {"watched": value}}}));
    maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let params = WatchParams::default().labels("watched=yes");
    let mut events = maps.watch(&params, &from).await.unwrap().boxed();
    maps.patch("a", &PatchParams::default(), &label(json!("yes"))).await.unwrap();
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"key": "2"}}))).await.unwrap();
    maps.patch("a", &PatchParams::default(), &label(Value::Null)).await.unwrap();
    maps.patch("a", &PatchParams::default(), &label(json!("yes"))).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(told(&next(&mut events).await));
    }
    assert_eq!(seen, ["+a", "~a", "-a", "+a", "-a"]);
}

#[tokio::test]
async fn an_object_with_finalizers_waits_for_them() {
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let held = typed(json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}}));
    maps.create(&PostParams::default(), &held).await.unwrap();
    let deleted = maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(deleted.left().unwrap().metadata.deletion_timestamp.is_some());
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}));
    let added = refused(maps.patch("a", &PatchParams::default(), &more).await);
    assert_eq!(added.0, 422, "no new finalizers on a dying object: {}", added.2);
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert_eq!(maps.get_opt("a").await.unwrap(), None);

    maps.create(&PostParams::default(), &config_map("b", "")).await.unwrap();
    maps.delete("b", &DeleteParams::foreground()).await.unwrap();
    let waiting = maps.get("b").await.unwrap();
    assert_eq!(waiting.metadata.finalizers, Some(vec!["foregroundDeletion".into()]), "for the garbage collector");
}

#[tokio::test]
async fn a_deletion_can_insist_on_one_very_object() {
    use kube::api::Preconditions;
    let server = ApiServer::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client().await);
    let made = maps.create(&PostParams::default(), &config_map("a", "")).await.unwrap();
    let only = |uid: &str| {
        DeleteParams::default().preconditions(Preconditions { uid: Some(uid.into()), resource_version: None })
    };
    assert_eq!(refused(maps.delete("a", &only("another")).await).0, 409);
    maps.delete("a", &only(&made.metadata.uid.unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_pod_on_a_node_waits_for_its_node_and_others_go_at_once() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let pod =
        |name: &str| typed(json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}));
    for name in ["a", "b"] {
        let made: Pod = pods.create(&PostParams::default(), &pod(name)).await.unwrap();
        assert_eq!(untyped(&made)["status"]["phase"], "Pending");
        assert_eq!(untyped(&made)["spec"]["serviceAccountName"], "default");
    }
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}});
    pods.create_subresource::<_, Value>("binding", "a", &PostParams::default(), &binding).await.unwrap();
    let bound = pods.list(&ListParams::default().fields("spec.nodeName=n")).await.unwrap();
    assert_eq!(bound.items.len(), 1);
    for name in ["a", "b"] {
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(pods.get_opt("b").await.unwrap(), None);
    let waiting = untyped(&pods.get("a").await.unwrap());
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 30);
    pods.delete("a", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(pods.get_opt("a").await.unwrap(), None);
    let orphan = typed(
        json!({"metadata": {"name": "c"}, "spec": {"serviceAccountName": "nobody", "containers": [{"name": "c", "image": "i"}]}}),
    );
    assert_eq!(refused(pods.create(&PostParams::default(), &orphan).await).0, 403);
}

#[tokio::test]
async fn a_namespace_must_be_there_and_takes_its_content_with_it() {
    let server = ApiServer::start().await;
    let client = server.client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "a");
    let missing = refused(maps.create(&PostParams::default(), &config_map("x", "")).await);
    assert_eq!(missing, (404, "NotFound".into(), "namespaces \"a\" not found".into()));

    namespaces.create(&PostParams::default(), &typed(json!({"metadata": {"name": "a"}}))).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "a");
    until("it has an account", async || accounts.get_opt("default").await.unwrap().is_some()).await;
    maps.create(&PostParams::default(), &config_map("x", "")).await.unwrap();
    let held = typed(json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}));
    maps.create(&PostParams::default(), &held).await.unwrap();
    namespaces.delete("a", &DeleteParams::default()).await.unwrap();
    until("its content is gone", async || maps.get_opt("x").await.unwrap().is_none()).await;
    let dying = namespaces.get("a").await.unwrap();
    assert_eq!(dying.status.unwrap().phase.as_deref(), Some("Terminating"));
    let late = refused(maps.create(&PostParams::default(), &config_map("y", "")).await);
    assert!(late.0 == 403 && late.2.contains("because it is being terminated"), "{late:?}");
    maps.patch("held", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": []}}))).await.unwrap();
    until("it is gone", async || namespaces.get_opt("a").await.unwrap().is_none()).await;
    assert_eq!(refused(namespaces.delete("default", &DeleteParams::default()).await).0, 403);
}

#[tokio::test]
async fn services_get_addresses_and_node_ports_of_their_own() {
    let server = ApiServer::start().await;
    let services: Api<Service> = Api::default_namespaced(server.client().await);
    let service = |name: &str, kind: &str| {
        typed(
            json!({"metadata": {"name": name}, "spec": {"type": kind, "selector": {"app": name}, "ports": [{"port": 80}]}}),
        )
    };
    let mut seen = std::collections::BTreeSet::new();
    for (name, kind) in [("a", "ClusterIP"), ("b", "NodePort"), ("c", "LoadBalancer")] {
        let made = untyped(&services.create(&PostParams::default(), &service(name, kind)).await.unwrap());
        let address = made["spec"]["clusterIP"].as_str().unwrap().to_string();
        assert!(address.starts_with("10.96."), "{address}");
        assert!(seen.insert(address));
        assert_eq!(made["spec"]["ports"][0]["nodePort"].is_i64(), kind != "ClusterIP", "{made}");
    }
    let taken = typed(json!({"metadata": {"name": "d"}, "spec": {"clusterIP": seen.first(), "ports": [{"port": 80}]}}));
    assert_eq!(refused(services.create(&PostParams::default(), &taken).await).0, 422);
    let port = Patch::Merge(json!({"spec": {"ports": [{"port": 81}]}}));
    let kept = untyped(&services.patch("a", &PatchParams::default(), &port).await.unwrap());
    assert!(seen.contains(kept["spec"]["clusterIP"].as_str().unwrap()));
}

const WIDGETS: &str = "widgets.example.com";

fn widgets() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": WIDGETS}, "spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["color"], "properties": {
                    "color": {"type": "string", "enum": ["blue", "green"]}, "size": {"type": "integer", "default": 1}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

#[tokio::test]
async fn a_definition_adds_a_kind_and_takes_it_away_with_its_objects() {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    use kube::runtime::wait::{await_condition, conditions::is_crd_established};
    let server = ApiServer::start().await;
    let client = server.client().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &typed(widgets())).await.unwrap();
    let established = await_condition(definitions.clone(), WIDGETS, is_crd_established());
    tokio::time::timeout(Duration::from_secs(5), established).await.unwrap().unwrap();

    let gvk = kube::core::GroupVersionKind::gvk("example.com", "v1", "Widget");
    let (resource, capabilities) = kube::discovery::pinned_kind(&client, &gvk).await.unwrap();
    assert_eq!(resource.plural, "widgets");
    assert!(capabilities.subresources.iter().any(|(r, _)| r.plural == "scale"));
    let api: Api<kube::core::DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let widget = |spec: Value| {
        typed(json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}))
    };
    let wrong = refused(api.create(&PostParams::default(), &widget(json!({"color": "red"}))).await);
    assert_eq!((wrong.0, wrong.1.as_str()), (422, "Invalid"));
    let made = api.create(&PostParams::default(), &widget(json!({"color": "blue", "shape": "round"}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"color": "blue", "size": 1}), "defaulted and pruned");
    let strict = Patch::Merge(json!({"spec": {"shape": "round"}}));
    let strictly =
        PatchParams { field_validation: Some(kube::api::ValidationDirective::Strict), ..PatchParams::default() };
    let unknown = refused(api.patch("w", &strictly, &strict).await);
    assert!(unknown.0 == 422 && unknown.2.contains("unknown field \"spec.shape\""), "{unknown:?}");
    let scaled = api.patch_scale("w", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 4}}))).await;
    assert_eq!(scaled.unwrap().spec.unwrap().replicas, Some(4));
    assert_eq!(api.get("w").await.unwrap().data["spec"]["size"], 4);

    definitions.delete(WIDGETS, &DeleteParams::default()).await.unwrap();
    until("the definition is gone", async || definitions.get_opt(WIDGETS).await.unwrap().is_none()).await;
    until("its kind is gone", async || api.list(&ListParams::default()).await.is_err()).await;
    assert_eq!(refused(api.list(&ListParams::default()).await).0, 404);
    definitions.create(&PostParams::default(), &typed(widgets())).await.unwrap();
    until("its kind is there again", async || api.list(&ListParams::default()).await.is_ok()).await;
    assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty(), "the objects went with it");
}

#[tokio::test]
async fn events_of_both_groups_are_one_kind() {
    use k8s_openapi::api::{core::v1::Event as Core, events::v1::Event as New};
    let server = ApiServer::start().await;
    let client = server.client().await;
    let (core, new): (Api<Core>, Api<New>) = (Api::default_namespaced(client.clone()), Api::default_namespaced(client));
    let event = typed(
        json!({"metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000000Z", "note": "told", "reason": "R",
        "action": "A", "type": "Normal", "reportingController": "c", "reportingInstance": "i",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}}),
    );
    new.create(&PostParams::default(), &event).await.unwrap();
    let seen = core.list(&ListParams::default().fields("involvedObject.name=p")).await.unwrap().items.remove(0);
    assert_eq!(seen.message.as_deref(), Some("told"));
    assert_eq!(new.get("e").await.unwrap().note.as_deref(), Some("told"));
}

#[tokio::test]
async fn strangers_get_nothing_and_users_what_they_were_granted() {
    let server = ApiServer::start().await;
    let admin = server.client().await;
    let stranger: Api<Pod> = Api::default_namespaced(server.client_with("wrong").await);
    assert_eq!(refused(stranger.list(&ListParams::default()).await).0, 401);
    let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
    accounts.create(&PostParams::default(), &typed(json!({"metadata": {"name": "reader"}}))).await.unwrap();
    let reader = server.client_with(&token(&accounts, "reader").await).await;
    let pods: Api<Pod> = Api::default_namespaced(reader.clone());
    let no = refused(pods.list(&ListParams::default()).await);
    let sentence = "pods is forbidden: User \"system:serviceaccount:default:reader\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert_eq!(no, (403, "Forbidden".into(), sentence.into()));

    let rbac = "rbac.authorization.k8s.io/v1";
    let binding = json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "view"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]});
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> = Api::default_namespaced(admin.clone());
    bindings.create(&PostParams::default(), &typed(binding)).await.unwrap();
    until("the grant is known", async || pods.list(&ListParams::default()).await.is_ok()).await;
    let secrets: Api<Secret> = Api::default_namespaced(reader.clone());
    assert_eq!(refused(secrets.list(&ListParams::default()).await).0, 403, "view shows no secrets");
    let elsewhere: Api<Pod> = Api::namespaced(reader.clone(), "kube-system");
    assert_eq!(refused(elsewhere.list(&ListParams::default()).await).0, 403);
    assert!(can(&reader, "list", "pods").await && !can(&reader, "delete", "pods").await);
}

async fn can(client: &Client, verb: &str, resource: &str) -> bool {
    use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview as Review;
    let attributes = json!({"verb": verb, "resource": resource, "namespace": "default"});
    let review: Review = typed(json!({"spec": {"resourceAttributes": attributes}}));
    let answer = Api::<Review>::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    answer.status.unwrap().allowed
}

pub async fn token(accounts: &Api<ServiceAccount>, name: &str) -> String {
    let request = typed(json!({"spec": {"audiences": [], "expirationSeconds": 600}}));
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token
}

#[tokio::test]
async fn a_service_accounts_token_dies_with_its_account() {
    let server = ApiServer::start().await;
    let admin = server.client().await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
    let account: ServiceAccount = typed(json!({"metadata": {"name": "robot"}}));
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let first = token(&accounts, "robot").await;
    assert_eq!(first.split('.').count(), 3, "a JSON Web Token");
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client_with(&first).await);
    let known = refused(maps.list(&ListParams::default()).await);
    assert!(known.0 == 403 && known.2.contains("system:serviceaccount:default:robot"), "{known:?}");

    let secret = json!({"metadata": {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token"});
    let secrets: Api<Secret> = Api::default_namespaced(admin.clone());
    secrets.create(&PostParams::default(), &typed(secret)).await.unwrap();
    let has_token = async || secrets.get("robot-token").await.unwrap().data.is_some_and(|d| d.contains_key("token"));
    until("the secret is filled", has_token).await;
    let filled = secrets.get("robot-token").await.unwrap().data.unwrap();
    assert_eq!(filled["namespace"].0, b"default");
    assert_eq!(filled["ca.crt"].0, server.ca().as_bytes());
    let second = String::from_utf8(filled["token"].0.clone()).unwrap();
    let by_secret: Api<ConfigMap> = Api::default_namespaced(server.client_with(&second).await);
    assert_eq!(refused(by_secret.list(&ListParams::default()).await).0, 403);

    accounts.delete("robot", &DeleteParams::default()).await.unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let unknown = async |api: &Api<ConfigMap>| refused(api.list(&ListParams::default()).await).0 == 401;
    until("the token is dead: this is another account of the same name", async || unknown(&maps).await).await;
    until("so is the one in the secret", async || unknown(&by_secret).await).await;
    until("the secret went with its account", async || secrets.get_opt("robot-token").await.unwrap().is_none()).await;
}
