//! Hosts of the mesh: Kubernetes Services and ServiceEntries with their ports and endpoints.
//! What comes in: the objects of a cluster. What goes out: hosts. Rules: Istio's service registries.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::locality::Setting;
use super::place::Place;
use super::scene::{NETWORKING, Object, Pod, Scene, selects, texts};
use super::{network, origin};
use crate::routing::Origin;
use crate::routing::read::At;
use crate::routing::slices::{self, State};

/// What a port speaks, as far as routing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, or not said: Istio then looks at the bytes, and HTTP is what is routed here.
    Http,
    /// HTTP/2 and gRPC.
    Http2,
    /// Bytes.
    Tcp,
    /// Not proxied.
    Udp,
}

impl Protocol {
    /// From a ServiceEntry's or Gateway's `protocol`, or from `appProtocol` or the prefix of a port's name.
    pub fn parse(word: &str) -> Protocol {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "" | "http" | "http_proxy" => Protocol::Http,
            "http2" | "grpc" | "grpc-web" | "kubernetes.io/h2c" => Protocol::Http2,
            "udp" => Protocol::Udp,
            "tcp" | "tls" | "https" | "mongo" | "mysql" | "redis" | "kubernetes.io/tls" => Protocol::Tcp,
            _ => Protocol::Http,
        }
    }

    /// Of a Service's port: `appProtocol`, else the name up to its first dash, `UDP` always.
    pub fn of_port(port: &Value) -> Protocol {
        let text = |field: &str| port.get(field).and_then(Value::as_str).unwrap_or_default();
        if text("protocol") == "UDP" {
            return Protocol::Udp;
        }
        match text("appProtocol") {
            "" => Protocol::parse(text("name").split('-').next().unwrap_or_default()),
            said => Protocol::parse(said),
        }
    }

    /// Whether requests are routed one by one.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Http2)
    }
}

/// Who may see a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// Everybody.
    All,
    /// Clients in these namespaces.
    To(Vec<String>),
}

impl Export {
    /// From `exportTo`: `*`, `.`, `~` or namespaces; absent is everybody (Istio's default).
    pub fn read(words: &[String], own: &str) -> Export {
        if words.is_empty() || words.iter().any(|w| w == "*") {
            return Export::All;
        }
        let named = words.iter().filter(|w| *w != "~");
        Export::To(named.map(|w| if w == "." { own.to_string() } else { w.clone() }).collect())
    }

    /// Whether clients in a namespace see it.
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Export::All => true,
            Export::To(all) => all.iter().any(|n| n == namespace),
        }
    }
}

/// One host.
pub struct Service<'a> {
    /// The object it is from.
    pub object: Object<'a>,
    /// A Kubernetes Service, which wins over a ServiceEntry of the same host.
    pub kube: bool,
    /// The host.
    pub host: String,
    /// Virtual addresses.
    pub addresses: Vec<String>,
    /// Who sees it.
    pub export: Export,
    /// Outside the mesh: no mTLS.
    pub external: bool,
    /// Identities its endpoints have, when the object says so.
    pub identities: Vec<String>,
    /// The service accounts behind it, `NAMESPACE` and name, whichever port they answer.
    pub accounts: BTreeSet<(String, String)>,
    /// Priorities that the object itself asks for.
    pub distribution: Option<Setting>,
    /// Ports.
    pub ports: Vec<Port>,
}

/// One port of a host.
pub struct Port {
    /// Number.
    pub number: u16,
    /// Name.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Who answers.
    pub instances: Vec<Instance>,
}

/// One endpoint of a port.
#[derive(Clone, Debug)]
pub struct Instance {
    /// IP address or DNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Share.
    pub weight: Option<u32>,
    /// Labels, for subsets and priorities, with those of its topology.
    pub labels: BTreeMap<String, String>,
    /// Where it is.
    pub place: Place,
    /// Its network; empty is not known.
    pub network: String,
    /// Speaks Istio's mTLS.
    pub sidecar: bool,
    /// Its service account, `NAMESPACE` and name, if known.
    pub account: Option<(String, String)>,
    /// The pod's namespace, when it is one: for rules about mTLS.
    pub pod_namespace: Option<String>,
    /// What stands behind it.
    pub origin: Option<Origin>,
    /// How it stands.
    pub state: State,
    /// Why it cannot be used.
    pub unusable: Option<String>,
}

impl Instance {
    /// Somebody at an address of whom nothing else is known.
    pub fn at(address: &str, port: u16) -> Instance {
        Instance {
            address: address.into(),
            port,
            weight: None,
            labels: BTreeMap::new(),
            place: Place::default(),
            network: String::new(),
            sidecar: false,
            account: None,
            pod_namespace: None,
            origin: None,
            state: State::Ready,
            unusable: None,
        }
    }

    /// Whether a proxy knows it; `told`: also one that is not ready.
    pub fn known(&self, told: bool) -> bool {
        match self.state {
            State::Ready => true,
            State::Unready => told,
            State::Leaving => false,
        }
    }

    /// Whether it may stand beside the endpoints of a Kubernetes Service: with an address, or behind a gateway.
    fn joins(&self) -> bool {
        self.address.is_empty() || self.address.parse::<std::net::IpAddr>().is_ok()
    }

    fn of_pod(pod: &Pod, port: u16) -> Instance {
        Instance {
            address: pod.address.into(),
            port,
            weight: None,
            labels: pod.labels.clone(),
            place: pod.place.clone(),
            network: pod.network.clone(),
            sidecar: pod.has_sidecar(),
            account: Some((pod.namespace.into(), pod.account.into())),
            pod_namespace: Some(pod.namespace.into()),
            origin: None,
            state: State::Ready,
            unusable: None,
        }
    }
}

/// Every host of a cluster. A ServiceEntry with the host of a Service of its own namespace adds its endpoints to it.
pub fn read<'a>(scene: &Scene<'a>) -> Vec<Service<'a>> {
    let of = |from: &Scene<'a>, object: &Object<'a>| of_kube(from, *object, &scene.domain);
    let mut all: Vec<Service> = scene.all("", "Service").iter().filter_map(|o| of(scene, o)).collect();
    for remote in &scene.remotes {
        let shared = remote.all("", "Service").iter().filter(|o| !is_local(remote, o));
        shared.filter_map(|o| of(remote, o)).for_each(|found| join(&mut all, found));
    }
    for object in scene.all(NETWORKING, "ServiceEntry") {
        for entry in of_entry(scene, *object) {
            let own = |s: &&mut Service| s.host == entry.host && s.object.namespace() == object.namespace();
            match all.iter_mut().find(own) {
                Some(service) => merge(service, entry),
                None => all.push(entry),
            }
        }
    }
    all
}

/// Services that mean another thing in each cluster (Istio's defaults of `clusterLocal`).
fn is_local(scene: &Scene, object: &Object) -> bool {
    let (namespace, name) = (object.namespace(), object.key.name.as_str());
    namespace == "kube-system"
        || [("default", "kubernetes"), (&scene.config.namespace, "istiod")].contains(&(namespace, name))
}

/// A Service of another cluster joins the one of its name; without one it is known here too, but for its addresses.
fn join<'a>(all: &mut Vec<Service<'a>>, found: Service<'a>) {
    let Some(same) = all.iter_mut().find(|s| s.host == found.host) else {
        return all.push(Service { addresses: Vec::new(), ..found });
    };
    same.accounts.extend(found.accounts);
    for port in found.ports {
        if let Some(own) = same.ports.iter_mut().find(|p| p.name == port.name) {
            own.instances.extend(port.instances);
        }
    }
}

/// Endpoints of equal port *names* join (Istio's endpoint shards); names of hosts instead of addresses do not.
fn merge(service: &mut Service, entry: Service) {
    service.accounts.extend(entry.accounts);
    // Of two objects for one host the younger says the addresses it is called by.
    if entry.object.created() >= service.object.created() {
        service.addresses = entry.addresses;
    }
    for port in entry.ports {
        let same = service.ports.iter_mut().find(|p| p.name == port.name);
        let usable = port.instances.into_iter().filter(Instance::joins);
        if let Some(same) = same {
            same.instances.extend(usable);
        }
    }
    service.identities.extend(entry.identities);
}

fn of_kube<'a>(scene: &Scene<'a>, object: Object<'a>, domain: &str) -> Option<Service<'a>> {
    let (namespace, name) = (object.namespace(), object.key.name.as_str());
    let text = |path: &str| object.body.pointer(path).and_then(Value::as_str);
    let named = text("/spec/type") == Some("ExternalName");
    let port = |p: &Value| {
        let number = p.get("port")?.as_u64().and_then(|n| u16::try_from(n).ok())?;
        let port_name = p.get("name").and_then(Value::as_str).unwrap_or_default();
        let instances = match text("/spec/externalName").filter(|_| named) {
            Some(target) => vec![Instance::at(target, number)],
            None => of_slices(scene, namespace, name, number, port_name),
        };
        Some(Port { number, name: port_name.into(), protocol: Protocol::of_port(p), instances })
    };
    let ports = object.body.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let ports: Vec<Port> = ports.filter_map(port).collect();
    let words = text("/metadata/annotations/networking.istio.io~1exportTo").unwrap_or_default();
    let words: Vec<String> = words.split(',').map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect();
    Some(Service {
        object,
        kube: true,
        host: format!("{name}.{namespace}.svc.{domain}"),
        addresses: text("/spec/clusterIP")
            .filter(|a| !a.is_empty() && *a != "None")
            .map(str::to_string)
            .into_iter()
            .collect(),
        export: Export::read(&words, namespace),
        external: named,
        identities: Vec::new(),
        distribution: distribution(object, text("/spec/trafficDistribution")),
        accounts: accounts(&ports),
        ports,
    })
}

fn of_slices(scene: &Scene, namespace: &str, service: &str, port: u16, port_name: &str) -> Vec<Instance> {
    let listed = slices::all(&scene.slices, namespace, service, port_name);
    let instance = |a: slices::Address| {
        let pod = a.pod.and_then(|name| scene.pods.get(&(namespace, name)));
        let origin = Origin {
            cluster: scene.cluster.clone(),
            namespace: namespace.into(),
            service: service.into(),
            port,
            pod: a.pod.map(str::to_string),
        };
        // Without a pod nothing is known of it, so it is spoken to in plain text (Istio's rule).
        let plain = pod.map_or_else(|| unknown(scene, a.ip, a.port), |p| Instance::of_pod(p, a.port));
        Instance { address: a.ip.into(), origin: Some(origin), state: a.state, ..plain }
    };
    listed.into_iter().map(instance).collect()
}

fn accounts(ports: &[Port]) -> BTreeSet<(String, String)> {
    ports.iter().flat_map(|p| &p.instances).filter_map(|i| i.account.clone()).collect()
}

/// An address of this cluster of which nothing else is known.
fn unknown(scene: &Scene, address: &str, port: u16) -> Instance {
    let nothing = Instance::at(address, port);
    let network = scene.network_of(&nothing.labels);
    let labels = scene.labelled(&nothing.labels, &nothing.place, "", &network);
    Instance { labels, network, ..nothing }
}

/// `trafficDistribution`, or the annotation of Istio's that says the same where the field may not be used.
fn distribution(object: Object, field: Option<&str>) -> Option<Setting> {
    let annotation = object.body.pointer("/metadata/annotations/networking.istio.io~1traffic-distribution");
    Setting::of_distribution(field.or_else(|| annotation?.as_str())?)
}

fn of_entry<'a>(scene: &Scene<'a>, object: Object<'a>) -> Vec<Service<'a>> {
    let at = object.at(&scene.log);
    let spec = at.get("spec");
    let (hosts, namespace) = (spec.get("hosts").strings(), object.namespace());
    if hosts.is_empty() {
        spec.reject("FCT0550", "spec.hosts is empty, so the ServiceEntry names nothing");
    }
    let export = Export::read(&spec.get("exportTo").strings(), namespace);
    let ports = |host: &str| -> Vec<Port> {
        spec.get("ports").items().iter().filter_map(|p| entry_port(scene, &spec, p, host, namespace)).collect()
    };
    let service = |(host, ports): (String, Vec<Port>)| Service {
        accounts: accounts(&ports),
        ports,
        object,
        kube: false,
        host,
        addresses: spec
            .get("addresses")
            .strings()
            .into_iter()
            .filter(|a| a.parse::<std::net::IpAddr>().is_ok())
            .collect(),
        export: export.clone(),
        // Istio's default is MESH_EXTERNAL.
        external: spec.get("location").text() != Some("MESH_INTERNAL"),
        identities: spec.get("subjectAltNames").strings(),
        distribution: distribution(object, None),
    };
    hosts.into_iter().map(|host| (host.clone(), ports(&host))).map(service).collect()
}

fn entry_port(scene: &Scene, spec: &At, port: &At, host: &str, namespace: &str) -> Option<Port> {
    let number = port.get("number").port()?;
    let name = port.get("name").string().unwrap_or_default();
    let target = port.get("targetPort").port().unwrap_or(number);
    let resolution = spec.get("resolution").text().unwrap_or("NONE");
    let by_dns = matches!(resolution, "DNS" | "DNS_ROUND_ROBIN");
    let selector = spec.at(&["workloadSelector", "labels"]).some();
    let mut instances: Vec<Instance> = match &selector {
        Some(labels) => selected(scene, &texts(labels), namespace, target, &name),
        None => {
            let endpoints = spec.get("endpoints").items();
            endpoints.iter().filter_map(|e| endpoint(scene, e, host, (number, target, &name), by_dns)).collect()
        }
    };
    if instances.is_empty() && selector.is_none() && by_dns {
        // Istio: the host is then its own endpoint, to be looked up.
        instances.push(Instance::at(host, target));
    }
    if resolution == "NONE" && !host.starts_with('*') {
        spec.warn("FCT0550", format!("spec.resolution NONE of {host}: connections go where the client meant, which is not read; no endpoint is shown"));
        instances.clear();
    }
    Some(Port { number, name, protocol: Protocol::parse(port.get("protocol").text().unwrap_or_default()), instances })
}

/// Ready pods, and WorkloadEntries, of the namespace that carry the labels (PILOT_ENABLE_SERVICEENTRY_SELECT_PODS).
fn selected(
    scene: &Scene,
    labels: &BTreeMap<String, String>,
    namespace: &str,
    target: u16,
    port_name: &str,
) -> Vec<Instance> {
    let pods = scene.pods.values().filter(|p| p.namespace == namespace && p.ready && !p.address.is_empty());
    let pods = pods.filter(|p| selects(labels, &p.labels)).map(|p| {
        let origin = origin::of_pod(scene, p, target);
        Instance { origin, ..Instance::of_pod(p, target) }
    });
    let mut all: Vec<Instance> = pods.collect();
    for object in scene.all(NETWORKING, "WorkloadEntry") {
        let at = object.at(&scene.log);
        let (spec, own) = (at.get("spec"), texts(&at.at(&["metadata", "labels"])));
        let mut carried = own;
        carried.extend(texts(&spec.get("labels")));
        if object.namespace() == namespace && selects(labels, &carried) {
            let found = endpoint(scene, &spec, "", (target, target, port_name), false);
            // What the object itself carries counts for the selector alone.
            all.extend(found);
        }
    }
    all
}

/// An endpoint written out: in a ServiceEntry, or as a WorkloadEntry.
fn endpoint(scene: &Scene, at: &At, host: &str, ports: (u16, u16, &str), by_dns: bool) -> Option<Instance> {
    let (number, target, port_name) = ports;
    let address = at.get("address").string().unwrap_or_default();
    let port = at.get("ports").get(port_name).port().unwrap_or(target);
    let written = texts(&at.get("labels"));
    let place = entry_place(at, &written);
    // Only the field counts: the cluster's own network is that of pods.
    let network = at.get("network").string().unwrap_or_default();
    let labels = scene.labelled(&written, &place, "", &network);
    if address.is_empty() && !network::leads_into(scene, &network) {
        let what = format!("{}.address is missing, and no gateway into a network `{network}` is known", at.path());
        at.reject("FCT0554", what);
        return None;
    }
    let account = at.get("serviceAccount").string();
    let unusable = (!by_dns && !address.is_empty() && address.parse::<std::net::IpAddr>().is_err()).then(|| {
        let what =
            format!("{}.address `{address}` is a name, and only addresses count with resolution STATIC", at.path());
        at.reject("FCT0554", what.clone());
        what
    });
    let origin = origin::behind(scene, &address, port, host, number);
    warn_of_strangers(scene, at, origin.as_ref(), &address, port);
    Some(Instance {
        origin,
        port,
        weight: at.get("weight").u32(),
        place,
        network,
        // Istio: the label says it, or a service account implies it.
        sidecar: labels.get("security.istio.io/tlsMode").is_some_and(|m| m == "istio") || account.is_some(),
        account: account.map(|a| (at.object.namespace.clone().unwrap_or_default(), a)),
        pod_namespace: None,
        labels,
        state: State::Ready,
        unusable,
        address,
    })
}

/// Its locality: the field, else the label.
fn entry_place(at: &At, labels: &BTreeMap<String, String>) -> Place {
    let label = || Place::LABELS.iter().find_map(|name| labels.get(*name)).map(String::as_str);
    at.get("locality").text().filter(|l| !l.is_empty()).or_else(label).map(Place::parse).unwrap_or_default()
}

/// Says why the other side of a gateway would not answer, where the objects of its cluster tell.
fn warn_of_strangers(scene: &Scene, at: &At, origin: Option<&Origin>, address: &str, port: u16) {
    let Some(listening) = scene.outside.get(&(address.to_string(), port)) else { return };
    let Some(origin) = origin else {
        at.warn(
            "FCT0555",
            format!("{}: the gateway of {} at {address}:{port} has no Gateway and ServiceEntry that lead this host to a Service", at.path(), listening.cluster),
        );
        return;
    };
    let other = origin.cluster != *scene.cluster;
    if let Some(why) =
        other.then(|| origin::refuses(scene.world, scene.cluster, &scene.config, &origin.cluster)).flatten()
    {
        at.warn("FCT0559", why);
    }
}
