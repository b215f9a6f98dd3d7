//! What a cloud's controller does: gives every Service of type LoadBalancer an address, and takes it back.
//! What comes in: everything observed, and the range. What goes out: status writes.
//! May not know: clients, sockets. (clusterIPs and NodePorts are the API server's business.)

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{deleting, text};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};
use crate::sandbox::address::Range;

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Service];

/// One pass over all Services.
pub fn reconcile(seen: &Observed, range: &Range) -> Pass {
    let services: Vec<&Value> = seen.all(Kind::Service).filter(|s| !deleting(s)).collect();
    let balanced = |s: &Value| text(s, "/spec/type") == "LoadBalancer";
    // First come, first kept: an address in use stays where it is, whatever the order of names.
    let mut taken = BTreeSet::new();
    let mut writes = Vec::new();
    let mut waiting = Vec::new();
    for service in services {
        match (balanced(service), assigned(service, range)) {
            (true, Some(ip)) if taken.insert(ip) => {}
            (true, _) => waiting.push(service),
            (false, Some(_)) => writes.push(give(service, None)),
            (false, None) => {}
        }
    }
    for service in waiting {
        let asked = text(service, "/spec/loadBalancerIP").parse().ok().filter(|ip| range.contains(*ip));
        let free = asked.or_else(|| range.iter().find(|ip| !taken.contains(ip)));
        if let Some(ip) = free.filter(|ip| taken.insert(*ip)) {
            writes.push(give(service, Some(ip)));
        }
    }
    writes.into()
}

/// The address a LoadBalancer has, if it is one of ours.
fn assigned(service: &Value, range: &Range) -> Option<Ipv4Addr> {
    let ip = text(service, "/status/loadBalancer/ingress/0/ip").parse().ok()?;
    range.contains(ip).then_some(ip)
}

fn give(service: &Value, ip: Option<Ipv4Addr>) -> Write {
    let ingress = ip.map(|ip| json!([{"ip": ip.to_string(), "ipMode": "VIP"}]));
    let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    Write::Merge { of: Ref::to(Kind::Service, service), subresource: Some("status"), patch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::address::Block;

    fn range() -> Range {
        Block { second: 30 }.cluster(0).unwrap().load_balancers()
    }

    fn service(name: &str, kind: &str, more: Value) -> Value {
        let mut service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "n", "uid": name},
            "spec": {"type": kind, "ports": []}});
        json_patch::merge(&mut service, &more);
        service
    }

    fn patches(objects: Vec<Value>) -> Vec<(String, Value)> {
        let writes = reconcile(&Observed::of(objects), &range()).writes;
        let patch = |w| if let Write::Merge { of, patch, .. } = w { (of.name, patch) } else { panic!("{w:?}") };
        writes.into_iter().map(patch).collect()
    }

    #[test]
    fn a_load_balancer_gets_the_first_free_address_and_keeps_it() {
        let ingress = |ip: &str| json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
        let services = vec![
            service("a", "LoadBalancer", json!({})),
            service("b", "LoadBalancer", ingress("127.30.1.1")),
            service("c", "LoadBalancer", ingress("10.0.0.1")),
        ];
        let got: Vec<(String, Value)> = patches(services)
            .into_iter()
            .map(|(name, p)| (name, p["status"]["loadBalancer"]["ingress"][0]["ip"].clone()))
            .collect();
        assert_eq!(got, [("a".into(), json!("127.30.1.2")), ("c".into(), json!("127.30.1.3"))]);
    }

    #[test]
    fn a_service_that_is_no_load_balancer_any_more_loses_its_address() {
        let was = service("a", "ClusterIP", json!({"status": {"loadBalancer": {"ingress": [{"ip": "127.30.1.1"}]}}}));
        assert_eq!(patches(vec![was]), [("a".into(), json!({"status": {"loadBalancer": {"ingress": null}}}))]);
    }
}
