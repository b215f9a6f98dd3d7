//! One port (and subset) of a host as a client's upstream. What comes in: the host, the policy for it, the client.
//! What goes out: an upstream. Rules: Istio's pilot/pkg/networking/core/cluster*.go.

use std::collections::BTreeMap;

use super::client::Client;
use super::destination_rule::Policy;
use super::locality::{self, Placed, Setting};
use super::peer_authentication::{self, Mode};
use super::scene::selects;
use super::service::{Instance, Port, Protocol, Service};
use super::{host, network, outlier};
use crate::manifest::ObjectKey;
use crate::model::duration::Millis;
use crate::model::mesh;
use crate::routing::read::At;
use crate::routing::slices::State;
use crate::routing::{Balancer, Breakers, ClientTls, Endpoint, Identity, Level, Root, Shape, TlsVersions, Upstream};

/// Istio's limits: none.
pub const NO_LIMIT: Breakers = Breakers {
    max_connections: Some(u32::MAX),
    max_pending_requests: Some(u32::MAX),
    max_requests: Some(u32::MAX),
    max_retries: Some(u32::MAX),
};
/// Istio's time to connect.
pub const CONNECT_TIMEOUT: Millis = Millis::secs(10);
/// Istio's balancing.
const LEAST_REQUEST: Balancer = Balancer::LeastRequest { choices: 2 };

/// Which part of a port's endpoints.
pub struct Subset<'s> {
    /// Its name; empty is all of them.
    pub name: &'s str,
    /// What its endpoints carry.
    pub labels: &'s BTreeMap<String, String>,
}

/// The upstream of a port of a host, as Istio names it.
pub fn upstream(
    client: &Client,
    service: &Service,
    port: &Port,
    subset: &Subset,
    policy: &Policy,
    object: &ObjectKey,
) -> Upstream {
    let told = client.scene.unready.told(service, policy);
    let fits = |i: &&Instance| selects(subset.labels, &i.labels) && i.known(told);
    let chosen: Vec<&Instance> = port.instances.iter().filter(fits).collect();
    let security = Security::of(client, service, port, subset.name, policy);
    let reached = network::reached(client, service, port, chosen, &|i| security.is_mesh(client, i));
    let placed = reached.into_iter().map(|i| Placed {
        endpoint: security.endpoint(client, service, port, &i),
        place: i.place,
        labels: i.labels,
    });
    let http2 = port.protocol == Protocol::Http2
        || policy.pool.as_ref().is_some_and(|p| p.at(&["http", "h2UpgradePolicy"]).text() == Some("UPGRADE"));
    let named = plain(host::cluster(port.number, subset.name, &service.host), object.clone());
    Upstream { http2, ..governed(client, service, policy, placed.collect(), named) }
}

/// The upstream an east-west gateway passes TLS connections on to: only endpoints that speak Istio's mTLS themselves.
pub fn passthrough(
    client: &Client,
    service: &Service,
    port: &Port,
    subset: &Subset,
    policy: &Policy,
    object: &ObjectKey,
) -> Upstream {
    let security = Security::of(client, service, port, subset.name, policy);
    let told = client.scene.unready.told(service, policy);
    let fits = |i: &&Instance| security.is_mesh(client, i) && selects(subset.labels, &i.labels) && i.known(told);
    let fitting = port.instances.iter().filter(fits).collect();
    let reached = network::reached(client, service, port, fitting, &|_| true);
    let placed = reached.into_iter().map(|i| Placed { endpoint: bare(&i), place: i.place, labels: i.labels });
    let named = plain(host::sni(port.number, subset.name, &service.host), object.clone());
    governed(client, service, policy, placed.collect(), named)
}

/// An upstream with these endpoints as a policy governs them: priorities, detection, limits, balancing.
fn governed(client: &Client, service: &Service, policy: &Policy, placed: Vec<Placed>, plain: Upstream) -> Upstream {
    let detection = policy.outlier.as_ref().map(outlier::read);
    let setting = setting(client, service, policy);
    let near = locality::Client { place: &client.place, labels: &client.labels };
    Upstream {
        levels: locality::levels(placed, &near, &setting, detection.is_some()),
        locality_weighted: setting.weighs(detection.is_some()),
        breakers: policy.pool.as_ref().map_or(NO_LIMIT, breakers),
        connect_timeout: connect_timeout(policy),
        panic_threshold: client.scene.unready.panic_below(service, detection.as_ref().map(|(_, panic)| *panic)),
        outlier: detection.map(|(outlier, _)| outlier),
        balancer: policy.balancer.as_ref().map_or(LEAST_REQUEST, balancer),
        ..plain
    }
}

fn connect_timeout(policy: &Policy) -> Millis {
    let said = policy.pool.as_ref().and_then(|p| p.at(&["tcp", "connectTimeout"]).millis_above_zero());
    said.unwrap_or(CONNECT_TIMEOUT)
}

/// An upstream with Istio's defaults and no endpoint.
pub fn plain(name: String, object: ObjectKey) -> Upstream {
    Upstream {
        name,
        object,
        shape: Shape::Endpoints,
        levels: vec![Level::default()],
        health_checks: Vec::new(),
        outlier: None,
        breakers: NO_LIMIT,
        connect_timeout: CONNECT_TIMEOUT,
        panic_threshold: None,
        merge_window: None,
        overprovisioning: None,
        locality_weighted: false,
        ignore_health_on_removal: false,
        balancer: LEAST_REQUEST,
        http2: false,
    }
}

fn bare(instance: &Instance) -> Endpoint {
    Endpoint {
        address: instance.address.clone(),
        port: instance.port,
        weight: instance.weight,
        tls: None,
        origin: instance.origin.clone(),
        check: None,
        unready: instance.state != State::Ready,
        unusable: instance.unusable.clone(),
    }
}

/// A DestinationRule's own locality setting replaces what the Service asks for, and that the mesh's, each as a whole.
fn setting(client: &Client, service: &Service, policy: &Policy) -> Setting {
    let own = policy.balancer.as_ref().and_then(Setting::of).or_else(|| service.distribution.clone());
    own.unwrap_or_else(|| client.scene.config.locality.clone())
}

fn breakers(pool: &At) -> Breakers {
    let number = |path: &[&str]| pool.at(path).u32().filter(|n| *n > 0);
    Breakers {
        max_connections: number(&["tcp", "maxConnections"]).or(NO_LIMIT.max_connections),
        max_pending_requests: number(&["http", "http1MaxPendingRequests"]).or(NO_LIMIT.max_pending_requests),
        max_requests: number(&["http", "http2MaxRequests"]).or(NO_LIMIT.max_requests),
        max_retries: number(&["http", "maxRetries"]).or(NO_LIMIT.max_retries),
    }
}

fn balancer(at: &At) -> Balancer {
    if let Some(hash) = at.get("consistentHash").some() {
        at.warn("FCT0550", format!("{}: what is hashed is not read; hosts are picked at random here", hash.path()));
        return if hash.get("maglev").is_some() { Balancer::Maglev } else { Balancer::RingHash };
    }
    match at.get("simple").text() {
        Some("ROUND_ROBIN") => Balancer::RoundRobin,
        Some("RANDOM") => Balancer::Random,
        Some("PASSTHROUGH") => {
            at.warn("FCT0550", format!("{}.simple PASSTHROUGH is read as the default", at.path()));
            LEAST_REQUEST
        }
        _ => LEAST_REQUEST,
    }
}

/// How the endpoints of one upstream are secured.
enum Security {
    /// Plain text.
    None,
    /// Istio's mTLS where the endpoint speaks it.
    Auto(ClientTls),
    /// To everybody.
    Always(ClientTls),
    /// It cannot work: why.
    Broken(String),
}

impl Security {
    fn of(client: &Client, service: &Service, port: &Port, subset: &str, policy: &Policy) -> Security {
        let mutual = |at: Option<&At>| mutual(client, service, port, subset, at);
        let Some(at) = &policy.tls else {
            let auto = client.scene.config.auto_mtls && !service.external;
            return if auto { Security::Auto(mutual(None)) } else { Security::None };
        };
        match at.get("mode").text().unwrap_or("DISABLE") {
            "DISABLE" => Security::None,
            "ISTIO_MUTUAL" => Security::Always(mutual(Some(at))),
            "SIMPLE" => simple(at),
            mode => {
                let what = format!(
                    "{}.mode {mode}: certificates in files of the proxy cannot be read from outside",
                    at.path()
                );
                at.reject("FCT0550", what.clone());
                Security::Broken(what)
            }
        }
    }

    /// Whether an endpoint is known to speak Istio's mTLS, and is spoken to by it: only then a gateway between networks
    /// or clusters leads to it.
    fn is_mesh(&self, client: &Client, instance: &Instance) -> bool {
        match self {
            Security::None | Security::Broken(_) => false,
            Security::Auto(_) => instance.sidecar && takes_mtls(client, instance),
            Security::Always(tls) => instance.sidecar && tls.identity == Some(Identity::Workload),
        }
    }

    fn endpoint(&self, client: &Client, service: &Service, port: &Port, instance: &Instance) -> Endpoint {
        let mut endpoint = bare(instance);
        match self {
            Security::None => {}
            Security::Auto(tls) => {
                endpoint.tls = self.is_mesh(client, instance).then(|| tls.clone());
            }
            Security::Always(tls) => endpoint.tls = Some(tls.clone()),
            Security::Broken(why) => endpoint.unusable = Some(why.clone()),
        }
        // A name that Istio's DNS would answer and nobody else: a host of the mesh that is its own endpoint.
        if endpoint.address == service.host
            && !service.external
            && endpoint.address.parse::<std::net::IpAddr>().is_err()
        {
            endpoint.unusable =
                Some(format!("nothing stands behind {}:{} but its own name", service.host, port.number));
        }
        endpoint
    }
}

/// A pod whose PeerAuthentication is DISABLE is spoken to in plain text.
fn takes_mtls(client: &Client, instance: &Instance) -> bool {
    let Some(namespace) = &instance.pod_namespace else { return true };
    peer_authentication::mode(client.scene, namespace, &instance.labels, instance.port) != Mode::Disable
}

/// Istio's mTLS: the workload's own certificate, the mesh's root, and the names the other side must carry.
fn mutual(client: &Client, service: &Service, port: &Port, subset: &str, at: Option<&At>) -> ClientTls {
    let said = at.map(|a| a.get("subjectAltNames").strings()).unwrap_or_default();
    let sni = at.and_then(|a| a.get("sni").string());
    ClientTls {
        sni: Some(sni.unwrap_or_else(|| host::sni(port.number, subset, &service.host))),
        secret: None,
        identity: Some(Identity::Workload),
        server_root: Some(Root::Mesh),
        server_names: if said.is_empty() { expected(client, service) } else { said },
        // Istio's in-mesh protocols; east-west gateways tell its TLS by them.
        alpn: if port.protocol == Protocol::Http2 { vec!["istio".into(), "h2".into()] } else { vec!["istio".into()] },
        versions: TlsVersions::default(),
    }
}

/// The identities of a host's endpoints: what its object says, else their service accounts, in every trust domain the
/// mesh knows (Istio's ServiceAccounts and ExpandWithTrustDomains).
fn expected(client: &Client, service: &Service) -> Vec<String> {
    if !service.identities.is_empty() {
        return service.identities.clone();
    }
    let domains = client.scene.config.trusted();
    service
        .accounts
        .iter()
        .flat_map(|(ns, sa)| domains.iter().map(|td| mesh::spiffe(td, ns, sa)).collect::<Vec<_>>())
        .collect()
}

fn simple(at: &At) -> Security {
    if at.get("credentialName").is_some() || at.get("caCertificates").is_some() {
        at.warn("FCT0550", format!("{}: the authority is not read; every server is accepted here", at.path()));
    }
    Security::Always(ClientTls { sni: at.get("sni").string(), ..ClientTls::default() })
}
