//! What every reader needs: the objects of one cluster, found quickly. What comes in: a world. What goes out: lookups.

use std::collections::BTreeMap;

use serde_json::Value;

use super::mesh_config::MeshConfig;
use super::network::{self, Gateways};
use super::place::{self, Place};
use super::remote;
use super::topology::{self, Topology};
use super::unready::Unready;
use super::workload::{PROXY_CONTAINER, labels};
use crate::manifest::{ObjectKey, World};
use crate::model::name::ClusterName;
use crate::routing::outside::{self, Outside};
use crate::routing::read::{At, Log};
use crate::routing::slices::{self, Slices};

/// Group of Istio's traffic objects.
pub const NETWORKING: &str = "networking.istio.io";
/// Group of Istio's security objects.
pub const SECURITY: &str = "security.istio.io";
/// The domain of a cluster's Services; Istio's and Kubernetes' default.
const DOMAIN: &str = "cluster.local";
/// The label of a pod that is spoken to by mTLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// What is read besides pods and EndpointSlices.
const READ: [(&str, &str); 9] = [
    ("", "Service"),
    (NETWORKING, "ServiceEntry"),
    (NETWORKING, "WorkloadEntry"),
    (NETWORKING, "DestinationRule"),
    (NETWORKING, "VirtualService"),
    (NETWORKING, "Gateway"),
    (NETWORKING, "EnvoyFilter"),
    (SECURITY, "PeerAuthentication"),
    (SECURITY, "AuthorizationPolicy"),
];

/// What is worth reading of a cluster's applications and of its mesh's own namespace, as API versions and kinds. Namespaces,
/// nodes, remote secrets and the mesh's settings are read beside them.
pub const KINDS: [(&str, &str); 11] = [
    ("v1", "Pod"),
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("networking.istio.io/v1", "Gateway"),
    ("networking.istio.io/v1", "WorkloadEntry"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
];

/// One object.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    /// Its key.
    pub key: &'a ObjectKey,
    /// The whole of it.
    pub body: &'a Value,
}

impl<'a> Object<'a> {
    /// A reader of it that notes into `log`.
    pub fn at<'b>(&self, log: &'b Log) -> At<'b>
    where
        'a: 'b,
    {
        At::root(self.key, self.body, log)
    }

    /// Its namespace; empty when it has none.
    pub fn namespace(&self) -> &'a str {
        self.key.namespace.as_deref().unwrap_or("")
    }

    /// When it was created; rendered objects are not yet.
    pub fn created(&self) -> (bool, &'a str) {
        let created = self.body.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
        (created.is_none(), created.unwrap_or(""))
    }

    /// Creation time as Kubernetes writes it sorts as text; rendered objects have none and come last.
    pub fn age(&self) -> (bool, &'a str, &'a ObjectKey) {
        let (rendered, created) = self.created();
        (rendered, created, self.key)
    }
}

/// A pod, as far as endpoints need it.
pub struct Pod<'a> {
    /// Name.
    pub name: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Address; empty when it has none yet.
    pub address: &'a str,
    /// Service account.
    pub account: &'a str,
    /// Labels, with those of its [`topology`].
    pub labels: BTreeMap<String, String>,
    /// Where it is.
    pub place: Place,
    /// Its network; empty is not known.
    pub network: String,
    /// Kubernetes calls it ready, and it is not being deleted.
    pub ready: bool,
}

impl Pod<'_> {
    /// Whether its proxy speaks Istio's mTLS.
    pub fn has_sidecar(&self) -> bool {
        self.labels.get(TLS_MODE).is_some_and(|m| m == "istio")
    }
}

/// The objects of one cluster.
pub struct Scene<'a> {
    /// All clusters; the others tell what stands behind their gateways.
    pub world: &'a World,
    /// This one.
    pub cluster: &'a ClusterName,
    /// The mesh's own settings.
    pub config: MeshConfig,
    /// The domain of this cluster's Services.
    pub domain: String,
    /// The network of whatever names none, from the label on Istio's namespace or the mesh's list; empty is not
    /// known.
    network: String,
    /// Gateways into networks.
    pub gateways: Gateways,
    /// Which endpoints that are not ready its istiod tells proxies of.
    pub unready: Unready,
    /// The domains of all clusters.
    pub domains: BTreeMap<&'a ClusterName, String>,
    /// EndpointSlices by Service.
    pub slices: Slices<'a>,
    /// Who listens at the outside addresses of all clusters.
    pub outside: Outside<'a>,
    /// Objects of every kind that is read, the oldest first.
    kinds: BTreeMap<(&'static str, &'static str), Vec<Object<'a>>>,
    /// Pods by namespace and name.
    pub pods: BTreeMap<(&'a str, &'a str), Pod<'a>>,
    /// The clusters that this one reads as well.
    pub remotes: Vec<Scene<'a>>,
    /// What is wrong with the objects that every proxy reads.
    pub log: Log,
}

impl<'a> Scene<'a> {
    /// Everything of one cluster, and of those it reads as well.
    pub fn new(world: &'a World, cluster: &'a ClusterName) -> Self {
        let mut scene = Scene::alone(world, cluster);
        for remote in remote::clusters(world, cluster, &scene.config.namespace) {
            scene.gateways.add_services(world, remote);
            scene.remotes.push(Scene::alone(world, remote));
        }
        scene
    }

    fn alone(world: &'a World, cluster: &'a ClusterName) -> Self {
        let log = Log::default();
        let config = MeshConfig::read(world, cluster, &log);
        let nodes: BTreeMap<&str, &Value> =
            world.all(cluster.as_str(), "", "Node").map(|(k, n)| (k.name.as_str(), n)).collect();
        let system = world.get(cluster.as_str(), "", "Namespace", "", &config.namespace);
        let mesh = config.object.as_ref().and_then(|key| world.clusters.get(cluster)?.by_key.get(key));
        let network = system.and_then(|n| place::label(n, topology::NETWORK)).map(str::to_string);
        let network = network.or_else(|| network::of_registry(mesh, cluster)).unwrap_or_default();
        let gateways = Gateways::read(world, cluster, mesh);
        let unready = Unready::read(world, cluster, &config.namespace);
        let mut kinds: BTreeMap<_, Vec<Object>> = READ.iter().map(|kind| (*kind, Vec::new())).collect();
        for (key, body) in world.clusters.get(cluster).map(|o| &o.by_key).into_iter().flatten() {
            let kind = READ.iter().find(|(group, kind)| *group == key.gvk.group && *kind == key.gvk.kind);
            if let Some(objects) = kind.and_then(|kind| kinds.get_mut(kind)) {
                objects.push(Object { key, body });
            }
        }
        kinds.values_mut().for_each(|all| all.sort_by_key(Object::age));
        let (slices, outside) = (slices::slices(world, cluster), outside::outside(world));
        let domains: BTreeMap<_, _> = world.clusters.keys().map(|c| (c, domain(world, c))).collect();
        let domain = domains.get(cluster).cloned().unwrap_or_else(|| DOMAIN.into());
        let pods = BTreeMap::new();
        let remotes = Vec::new();
        let mut scene = Scene {
            world,
            cluster,
            config,
            domain,
            network,
            gateways,
            unready,
            domains,
            slices,
            outside,
            kinds,
            pods,
            remotes,
            log,
        };
        let pods = world.all(cluster.as_str(), "", "Pod").map(|(key, body)| scene.pod(key, body, &nodes));
        scene.pods = pods.map(|p| ((p.namespace, p.name), p)).collect();
        scene
    }

    /// The network of something with these labels.
    pub fn network_of(&self, labels: &BTreeMap<String, String>) -> String {
        let own = labels.get(topology::NETWORK).map(String::as_str).filter(|n| !n.is_empty());
        own.unwrap_or(&self.network).into()
    }

    /// Labels of something of this cluster, with those of its topology.
    pub fn labelled(
        &self,
        labels: &BTreeMap<String, String>,
        place: &Place,
        node: &str,
        network: &str,
    ) -> BTreeMap<String, String> {
        Topology { cluster: self.cluster.as_str(), place, node, network }.added_to(labels)
    }

    fn pod(&self, key: &'a ObjectKey, body: &'a Value, nodes: &BTreeMap<&str, &Value>) -> Pod<'a> {
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let conditions = body.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        let (account, node, written) = (text("/spec/serviceAccountName"), text("/spec/nodeName"), labels(body));
        let (place, network) = (Place::of_pod(body, nodes.get(node).copied()), self.network_of(&written));
        Pod {
            name: &key.name,
            namespace: key.namespace.as_deref().unwrap_or(""),
            address: text("/status/podIP"),
            account: if account.is_empty() { "default" } else { account },
            labels: self.labelled(&written, &place, node, &network),
            place,
            network,
            ready: ready && text("/metadata/deletionTimestamp").is_empty(),
        }
    }

    /// All objects of a kind, the oldest first.
    pub fn all(&self, group: &'static str, kind: &'static str) -> &[Object<'a>] {
        self.kinds.get(&(group, kind)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The domain of a cluster's Services: its proxies are told it (`--domain $(POD_NAMESPACE).svc.DOMAIN`).
fn domain(world: &World, cluster: &ClusterName) -> String {
    let said = |pod: &Value| {
        let containers = pod.pointer("/spec/containers")?.as_array()?;
        let proxy = containers.iter().find(|c| c["name"] == PROXY_CONTAINER)?;
        let mut words =
            proxy.get("args")?.as_array()?.iter().filter_map(Value::as_str).skip_while(|w| *w != "--domain");
        words.nth(1)?.split_once(".svc.").map(|(_, domain)| domain.to_string()).filter(|d| !d.is_empty())
    };
    world.all(cluster.as_str(), "", "Pod").find_map(|(_, pod)| said(pod)).unwrap_or_else(|| DOMAIN.into())
}

/// Whether labels carry all that a selector asks for.
pub fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// A map of texts in an object.
pub fn texts(at: &At) -> BTreeMap<String, String> {
    at.fields().into_iter().filter_map(|f| Some((f.to_string(), at.get(f).text()?.to_string()))).collect()
}
