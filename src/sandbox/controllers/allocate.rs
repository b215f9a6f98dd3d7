//! Addresses and ports of Services: clusterIPs, NodePorts, and what a cloud gives a LoadBalancer.
//! What comes in: everything observed, and the ranges. What goes out: writes that fill in what is missing.
//! May not know: clients, sockets.
//!
//! A real API server allocates clusterIPs and NodePorts itself; then there is nothing to fill in here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{deleting, list, number, text};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};
use crate::sandbox::address::Range;

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Service];

/// Kubernetes' default range of NodePorts.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

/// Where addresses come from.
#[derive(Clone, Copy, Debug)]
pub struct Ranges {
    /// clusterIPs.
    pub cluster_ips: Range,
    /// Addresses of Services of type LoadBalancer.
    pub load_balancers: Range,
}

/// One pass over all Services.
pub fn reconcile(seen: &Observed, ranges: &Ranges) -> Pass {
    let services: Vec<&Value> = seen.all(Kind::Service).filter(|s| !deleting(s)).collect();
    let mut ips: BTreeSet<Ipv4Addr> = services.iter().filter_map(|s| text(s, "/spec/clusterIP").parse().ok()).collect();
    let ports = services.iter().flat_map(|s| list(s, "/spec/ports"));
    let mut node_ports: BTreeSet<i64> = ports.filter_map(|p| number(p, "/nodePort")).collect();
    let mut outside = BTreeSet::new();
    let mut writes = Vec::new();
    for service in &services {
        writes.extend(inside(service, ranges, &mut ips, &mut node_ports));
    }
    // First come, first kept: an address in use stays where it is, whatever the order of names.
    let (placed, waiting): (Vec<&Value>, Vec<&Value>) =
        services.iter().partition(|s| assigned(s, ranges).is_some_and(|ip| outside.insert(ip)));
    let settled = |s: &&&Value| text(s, "/spec/type") == "LoadBalancer";
    let freed: Vec<Write> = placed.iter().filter(|s| !settled(s)).map(|s| outer(s, None)).collect();
    for service in waiting.iter().filter(settled) {
        let asked = text(service, "/spec/loadBalancerIP").parse().ok().filter(|ip| ranges.load_balancers.contains(*ip));
        let free = asked.or_else(|| ranges.load_balancers.iter().find(|ip| !outside.contains(ip)));
        if let Some(ip) = free.filter(|ip| outside.insert(*ip)) {
            writes.push(outer(service, Some(ip)));
        }
    }
    writes.extend(freed);
    writes.into()
}

/// The address a LoadBalancer has, if it is one of ours.
pub fn assigned(service: &Value, ranges: &Ranges) -> Option<Ipv4Addr> {
    let ip = text(service, "/status/loadBalancer/ingress/0/ip").parse().ok()?;
    ranges.load_balancers.contains(ip).then_some(ip)
}

fn outer(service: &Value, ip: Option<Ipv4Addr>) -> Write {
    let ingress = ip.map(|ip| json!([{"ip": ip.to_string(), "ipMode": "VIP"}]));
    let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    Write::Merge { of: Ref::to(Kind::Service, service), subresource: Some("status"), patch }
}

/// The clusterIP and NodePorts a Service lacks.
fn inside(service: &Value, ranges: &Ranges, ips: &mut BTreeSet<Ipv4Addr>, ports: &mut BTreeSet<i64>) -> Option<Write> {
    let kind = text(service, "/spec/type");
    if kind == "ExternalName" {
        return None;
    }
    let mut spec = json!({});
    if text(service, "/spec/clusterIP").is_empty() {
        let ip = ranges.cluster_ips.iter().find(|ip| !ips.contains(ip))?;
        ips.insert(ip);
        spec["clusterIP"] = json!(ip.to_string());
        spec["clusterIPs"] = json!([ip.to_string()]);
    }
    let outside = kind == "NodePort" || kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false;
    let lacks = |p: &Value| number(p, "/nodePort").unwrap_or(0) == 0;
    if outside && list(service, "/spec/ports").iter().any(lacks) {
        let mut all = list(service, "/spec/ports").to_vec();
        for port in all.iter_mut().filter(|p| lacks(p)) {
            let free = NODE_PORTS.clone().find(|n| !ports.contains(n))?;
            ports.insert(free);
            port["nodePort"] = json!(free);
        }
        spec["ports"] = json!(all);
    }
    if spec == json!({}) {
        return None;
    }
    // The list of ports is replaced as a whole: only if nobody changed the Service meanwhile.
    let patch = json!({"metadata": {"resourceVersion": service["metadata"]["resourceVersion"]}, "spec": spec});
    Some(Write::Merge { of: Ref::to(Kind::Service, service), subresource: None, patch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::address::Block;

    fn ranges() -> Ranges {
        let cluster = Block { second: 30 }.cluster(0).unwrap();
        Ranges { cluster_ips: cluster.cluster_ips(), load_balancers: cluster.load_balancers() }
    }

    fn service(name: &str, kind: &str, more: Value) -> Value {
        let mut service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "7"},
            "spec": {"type": kind, "clusterIP": format!("127.30.8.{}", 100 + name.len()), "ports": []}});
        json_patch::merge(&mut service, &more);
        service
    }

    fn patches(objects: Vec<Value>) -> Vec<(String, Value)> {
        let writes = reconcile(&Observed::of(objects), &ranges()).writes;
        let patch = |w| if let Write::Merge { of, patch, .. } = w { (of.name, patch) } else { panic!("{w:?}") };
        writes.into_iter().map(patch).collect()
    }

    #[test]
    fn what_is_missing_is_filled_and_what_is_there_stays() {
        let ports = json!({"spec": {"clusterIP": null, "ports": [{"port": 1, "nodePort": 32000}, {"port": 2}]}});
        let taken = service("other", "NodePort", json!({"spec": {"clusterIP": "127.30.8.1", "ports": [{"nodePort": 30000}]}}));
        assert_eq!(patches(vec![service("a", "NodePort", ports), taken]), [(
            "a".to_string(),
            json!({"metadata": {"resourceVersion": "7"}, "spec": {
                "clusterIP": "127.30.8.2", "clusterIPs": ["127.30.8.2"],
                "ports": [{"port": 1, "nodePort": 32000}, {"port": 2, "nodePort": 30001}]}}),
        )]);
    }

    #[test]
    fn headless_and_external_services_get_nothing() {
        let headless = service("a", "ClusterIP", json!({"spec": {"clusterIP": "None"}}));
        let external = service("b", "ExternalName", json!({"spec": {"clusterIP": null}}));
        assert_eq!(patches(vec![headless, external]), []);
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
