//! The failover gateway of a backup cluster: terminates mutual TLS and forwards by SNI to the Upstream it names.

use std::collections::BTreeMap;

use super::super::Made;
use super::{Place, Way, manifest, names};
use crate::manifest::{Hold, Wave};
use crate::model::fleet::{Edition, Fleet, Platform};
use crate::model::identity;
use crate::resource::gateway::{Destination, Gateway, SslConfig, TcpGateway, TcpHost};
use crate::resource::service::{Port, Service, ServiceType};
use crate::resource::{Meta, Object, Reference};

/// Writes the Gateway and its Service.
pub fn write(fleet: &Fleet, way: Way, place: Place<'_>, made: &mut Made) {
    let named = names::gateway(way);
    let namespace = place.gloo.namespace.as_str();
    let meta = |name: &str| Meta::new(name, namespace).labels(names::labels(names::FLEET)).labels([("app", "gloo")]);
    let gateway = Gateway {
        bind_address: "::".into(),
        bind_port: place.gloo.failover_port,
        tcp_gateway: TcpGateway {
            tcp_hosts: vec![TcpHost {
                name: "failover".into(),
                ssl_config: SslConfig {
                    secret_ref: Reference::new(named.server_secret, namespace),
                    verify_subject_alt_name: clients(fleet),
                },
                destination: Destination::default(),
            }],
        },
    };
    let gateway = Object::new(meta(named.gateway), gateway).body();
    made.manifests.push(manifest(place, gateway, Hold::Own, Wave::Gateways));
    let service = Object::new(
        meta(named.service).labels([("gateway-proxy-id", "gateway-proxy"), ("gloo", "gateway-proxy")]),
        service(place, named.port),
    );
    made.manifests.push(manifest(place, service.body(), Hold::Own, Wave::Gateways));
}

/// Who may connect: every cluster of the fleet that can be a primary. A property of the fleet, so that applying one
/// failover never locks out another.
fn clients(fleet: &Fleet) -> Vec<String> {
    let enterprise =
        fleet.clusters.values().filter(|c| c.gloo.as_ref().is_some_and(|g| g.edition == Edition::Enterprise));
    let mut names: Vec<_> = enterprise.map(|c| identity::client(&fleet.name, &c.name)).collect();
    names.sort();
    names
}

fn service(place: Place<'_>, port: &str) -> Service {
    let number = place.gloo.failover_port;
    let (service_type, node_port) = match place.cluster.platform {
        Platform::LoadBalancer => (ServiceType::LoadBalancer, None),
        Platform::NodePort => (ServiceType::NodePort, Some(place.gloo.failover_node_port)),
    };
    let selector = [("gateway-proxy", "live"), ("gateway-proxy-id", "gateway-proxy")];
    Service {
        ports: vec![Port {
            app_protocol: None,
            name: port.into(),
            node_port,
            port: number,
            protocol: "TCP",
            target_port: number,
        }],
        selector: BTreeMap::from(selector.map(|(k, v)| (k.to_string(), v.to_string()))),
        service_type,
    }
}
