//! The names of things in Gloo. Where Gloo or its guide fixes a name it is theirs; the rest is ours.

use super::Way;
use crate::manifest::{MANAGED_BY, OWNER_LABEL};
use crate::model::failover::ServiceRef;
use crate::model::fleet::Gloo;
use crate::model::name::ObjectName;
use crate::resource::Reference;

/// The owner of what all failovers of a fleet share.
pub const FLEET: &str = "fleet";

/// The secret with the identity that Gloo's proxy has in its cluster's mesh.
pub const MESH_IDENTITY: &str = "failctl-mesh-identity";

/// What a failover gateway is called under one of Gloo's targets. The two share nothing, so that both can live on one
/// pair of clusters (on different ports).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayNames {
    /// The Gateway.
    pub gateway: &'static str,
    /// Its Service.
    pub service: &'static str,
    /// The port of the Service. Federation takes every Service port named `failover` for an address of its own.
    pub port: &'static str,
    /// The secret with the gateway's certificate, on the backup side.
    pub server_secret: &'static str,
    /// The secret with the client's certificate, on the primary side.
    pub client_secret: &'static str,
}

/// The names under a target.
pub const fn gateway(way: Way) -> GatewayNames {
    match way {
        Way::Federation => GatewayNames {
            gateway: "failover-gateway",
            service: "failover",
            port: "failover",
            server_secret: "failover-downstream",
            client_secret: "failover-upstream",
        },
        Way::Upstream => GatewayNames {
            gateway: "failctl-failover",
            service: "failctl-failover",
            port: "failctl-failover",
            server_secret: "failctl-failover-server",
            client_secret: "failctl-failover-client",
        },
    }
}

/// The Upstream that Gloo's discovery makes of a Service's port.
pub fn upstream(gloo: &Gloo, service: &ServiceRef) -> Reference {
    let ServiceRef { namespace, name, port } = service;
    Reference::new(format!("{namespace}-{name}-{port}"), gloo.namespace.as_str())
}

/// The SNI by which a failover gateway forwards: the name of the Envoy cluster of an Upstream.
pub fn sni(upstream: &Reference) -> String {
    format!("{}_{}", upstream.name, upstream.namespace)
}

/// The VirtualService for hosts that nobody serves yet: glooctl's own `default` for all hosts, else one by its hosts.
pub fn virtual_service(hosts: &[String]) -> String {
    match hosts {
        [all] if all == "*" => "default".into(),
        _ => {
            let first = hosts.iter().find(|h| *h != "*").map_or("all", String::as_str);
            format!("failctl-{}", first.replace("*.", "wildcard.").replace(':', "."))
        }
    }
}

/// The name of a failover's route; `safe` is the one for methods that may be repeated.
pub fn route(failover: &ObjectName, safe: bool) -> String {
    if safe { format!("failctl/{failover}/safe") } else { format!("failctl/{failover}") }
}

/// The labels of what failctl creates.
pub fn labels(owner: &str) -> [(&str, &str); 2] {
    [MANAGED_BY, (OWNER_LABEL, owner)]
}
