//! Gateway, gateway.networking.k8s.io, of class `istio-remote`: another network's gateway, which istiod only takes note of
//! (istio/istio, `pilot/pkg/serviceregistry/kube/controller/network.go`, handleGatewayResource).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::fleet::GatewayAddress;
use crate::resource::Kind;

/// The label that says which network's gateway it is.
pub const NETWORK: &str = "topology.istio.io/network";
/// istiod's class of gateways that are elsewhere: nothing is deployed for them.
const CLASS: &str = "istio-remote";
/// The option by which istiod knows a listener that passes TLS through by SNI.
const PASSES: (&str, &str) = ("gateway.istio.io/listener-protocol", "auto-passthrough");

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteGateway {
    /// Where it is.
    pub addresses: Vec<Address>,
    /// Who takes note of it.
    pub gateway_class_name: &'static str,
    /// Its ports.
    pub listeners: Vec<Listener>,
}

impl Kind for RemoteGateway {
    const API_VERSION: &'static str = "gateway.networking.k8s.io/v1";
    const KIND: &'static str = "Gateway";
}

/// An address.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// `IPAddress` or `Hostname`; istiod looks names up.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The address.
    pub value: String,
}

/// A port.
#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    /// Name.
    pub name: &'static str,
    /// Number.
    pub port: u16,
    /// `TLS`.
    pub protocol: &'static str,
    /// TLS.
    pub tls: ListenerTls,
}

/// What is done with TLS.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerTls {
    /// `Passthrough`.
    pub mode: &'static str,
    /// Options of implementations.
    pub options: BTreeMap<&'static str, &'static str>,
}

impl RemoteGateway {
    /// The gateway at an address.
    pub fn at(address: &GatewayAddress) -> Self {
        let kind = if address.host.parse::<std::net::IpAddr>().is_ok() { "IPAddress" } else { "Hostname" };
        let tls = ListenerTls { mode: "Passthrough", options: BTreeMap::from([PASSES]) };
        RemoteGateway {
            addresses: vec![Address { kind, value: address.host.clone() }],
            gateway_class_name: CLASS,
            listeners: vec![Listener { name: "cross-network", port: address.port, protocol: "TLS", tls }],
        }
    }
}
