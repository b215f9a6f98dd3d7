//! Publishes a snapshot after every change of what routing needs on one cluster, and keeps what istiod keeps: its own
//! authority, the mesh's root in every namespace, and the certificate that the API server trusts its webhook by.
//! What comes in: a client. What goes out: snapshots.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::install::INJECTOR;
use super::remotes::Remotes;
use super::snapshot::{Member, Snapshot};
use super::{authority, root};
use crate::compile::membership::registration::REMOTE_LABEL;
use crate::envoy::config::Names;
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::istio::{MESH_CONFIG, Mesh, MeshConfig, workloads};
use crate::sandbox::controllers::write::base64_of;
use crate::sandbox::xds::names;
use crate::sandbox::xds::watch::{Watch, Watched};

const NETWORKING: &str = "networking.istio.io";

/// What routing reads, and what istiod itself keeps.
const WATCHED: &[Watched] = &[
    ("", "v1", "Service", "services"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Node", "nodes"),
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    (NETWORKING, "v1", "VirtualService", "virtualservices"),
    (NETWORKING, "v1", "DestinationRule", "destinationrules"),
    (NETWORKING, "v1", "ServiceEntry", "serviceentries"),
    (NETWORKING, "v1", "WorkloadEntry", "workloadentries"),
    (NETWORKING, "v1", "Gateway", "gateways"),
    (NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters"),
    ("security.istio.io", "v1", "PeerAuthentication", "peerauthentications"),
    ("security.istio.io", "v1", "AuthorizationPolicy", "authorizationpolicies"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
];

/// How often certificates are looked at.
const RENEW: Duration = Duration::from_secs(60);
/// Between attempts to write what could not be written.
const RETRY: Duration = Duration::from_millis(500);

/// Watches and publishes until `shutdown`. `namespace` is Istio's, `ca` is what the API server must trust the webhook by.
pub async fn run(
    client: Client,
    cluster: ClusterName,
    namespace: &str,
    ca: String,
    publish: watch::Sender<Arc<Snapshot>>,
    shutdown: CancellationToken,
) {
    let mut seen = Watch::new(&client, cluster, WATCHED, trim);
    let mut remotes = Remotes::new();
    let mut certificates = Certificates::default();
    let mut addresses = Names::new();
    let (found, mut looked_up) = mpsc::unbounded_channel();
    let mut looking = false;
    let mut said = String::new();
    let mut renew = tokio::time::interval(RENEW);
    let mut look_up = tokio::time::interval(names::EVERY);
    look_up.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stale = false;
    let mut again = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = seen.changed() => if !changed { break },
            () = remotes.changed() => {}
            _ = renew.tick() => if !certificates.due(Timestamp::now()) { continue },
            _ = look_up.tick() => {
                stale = true;
                if names::used(publish.borrow().proxies()).is_empty() { continue }
            }
            Some(names) = looked_up.recv() => {
                looking = false;
                addresses = names;
            }
            () = tokio::time::sleep(RETRY), if again => {}
        }
        seen.gather().await;
        let Some(own) = seen.world() else { continue };
        remotes.follow(own, seen.cluster(), namespace);
        let world = &*remotes.joined(own);
        let mesh = Mesh::read(world, seen.cluster());
        let snapshot = snapshot(world, seen.cluster(), &mesh, &mut certificates, addresses.clone(), &mut said);
        let wanted = names::used(snapshot.proxies());
        let unknown = wanted.iter().any(|name| !addresses.contains_key(name));
        if !looking && !wanted.is_empty() && (unknown || stale) {
            // Looking up takes its time when nobody answers: nothing else waits for it.
            (looking, stale) = (true, false);
            let (known, found) = (addresses.clone(), found.clone());
            tokio::spawn(async move { drop(found.send(names::resolve(&wanted, &known).await)) });
        }
        // Heartbeats and the like change nothing: nobody need wake.
        if !snapshot.says_the_same(&publish.borrow()) {
            publish.send_replace(Arc::new(snapshot));
        }
        let kept = keep(&client, world, seen.cluster(), mesh.config(), &ca).await;
        again = kept.is_err();
        if let Err(error) = kept {
            tracing::debug!(%error, "istiod: writing");
        }
    }
}

fn snapshot(
    world: &World,
    cluster: &ClusterName,
    mesh: &Mesh,
    certificates: &mut Certificates,
    names: Names,
    said: &mut String,
) -> Snapshot {
    let config = mesh.config();
    let authority = authority::of(world, cluster, &config.namespace).unwrap_or_else(|wrong| {
        if *said != wrong {
            tracing::warn!("istiod of {cluster}: {wrong}; workloads get no certificates");
        }
        *said = wrong;
        None
    });
    let mut members = BTreeMap::new();
    if let Some(authority) = &authority {
        certificates.follow(authority);
    }
    for workload in workloads(world, cluster) {
        let Ok(address) = workload.address.parse::<IpAddr>() else { continue };
        let identity = workload.identity(&config.trust_domain);
        let secrets = authority.as_ref().map(|a| certificates.secrets(a, &identity, Timestamp::now()));
        let secrets = secrets.transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, identity, "istiod: issuing a certificate");
            None
        });
        let member = Member { proxy: mesh.proxy(&workload), address, secrets: secrets.unwrap_or_default() };
        members.insert(format!("{}.{}", workload.name, workload.namespace), member);
    }
    Snapshot::new(members, names)
}

/// Makes istiod's own authority where nobody gave one, and puts the webhook's certificate where the API server looks.
async fn keep(
    client: &Client,
    world: &World,
    cluster: &ClusterName,
    config: &MeshConfig,
    ca: &str,
) -> anyhow::Result<()> {
    if config.object.is_some() && matches!(authority::of(world, cluster, &config.namespace), Ok(None)) {
        let secret = authority::own(&config.namespace, &config.trust_domain, Timestamp::now())?;
        let api = api(client, ("", "v1", "Secret", "secrets"), Some(&config.namespace));
        match api.create(&PostParams::default(), &serde_json::from_value(secret)?).await {
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            made => drop(made?),
        }
    }
    if let Ok(Some(authority)) = authority::of(world, cluster, &config.namespace) {
        for map in root::wrong(world, cluster, &authority.roots) {
            let api = api(client, ("", "v1", "ConfigMap", "configmaps"), map["metadata"]["namespace"].as_str());
            let params = PatchParams::apply("istiod").force();
            api.patch(root::NAME, &params, &Patch::Apply(&map)).await?;
        }
    }
    let wanted = base64_of(ca);
    for (key, body) in world.all(cluster.as_str(), "admissionregistration.k8s.io", "MutatingWebhookConfiguration") {
        let webhooks = body["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong = |w: &&Value| w["clientConfig"]["caBundle"] != json!(wanted);
        if key.name != INJECTOR || !webhooks.iter().any(|w| wrong(&w)) {
            continue;
        }
        let operations: Vec<Value> = (0..webhooks.len())
            .map(|i| json!({"op": "add", "path": format!("/webhooks/{i}/clientConfig/caBundle"), "value": wanted}))
            .collect();
        let patch = serde_json::from_value(Value::Array(operations))?;
        let kind =
            ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
        let params = PatchParams { field_manager: Some("istiod".into()), ..PatchParams::default() };
        api(client, kind, None).patch(INJECTOR, &params, &Patch::Json::<()>(patch)).await?;
    }
    Ok(())
}

fn api(client: &Client, (group, version, kind, plural): Watched, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Keys and settings of others are not kept in memory.
fn trim(kind: &str, object: &mut Map<String, Value>) {
    let name = object.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or_default();
    let keep = match kind {
        "Secret" => {
            let remote = object.get("metadata").and_then(|m| m.get("labels")?.get(REMOTE_LABEL.0)?.as_str());
            let tls = object.get("type").and_then(Value::as_str) == Some("kubernetes.io/tls");
            tls || remote == Some(REMOTE_LABEL.1) || [crate::pki::CACERTS, authority::OWN].contains(&name)
        }
        "ConfigMap" => [MESH_CONFIG, root::NAME].contains(&name),
        _ => true,
    };
    if !keep {
        object.remove("data");
    }
}
