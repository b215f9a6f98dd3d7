//! `failctl gateway`: the failover gateways alone, printed and written; where a proxy is reached.

use crate::support::fleet::{Ground, fleet};
use crate::support::offline::{FLEET, failover, one_failover, out, run, said};
use serde_json::{Value, json};

fn proxy(kind: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gateway-proxy", "namespace": "gloo-system"},
        "spec": {"type": kind, "ports": [
            {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 31080},
            {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP", "nodePort": 31443},
            {"name": "mqtt", "port": 1883, "targetPort": 1883, "protocol": "TCP", "nodePort": 31883}]}})
}

fn address(ground: &Ground, ingress: Value) {
    let status = json!({"status": {"loadBalancer": {"ingress": [ingress]}}});
    ground.patch_as("local", "cloud", "Service", "gateway-proxy/status", status);
}

#[test]
fn a_load_balancers_name_or_address_with_the_services_port() {
    let ground = Ground::new();
    ground.put("local", proxy("LoadBalancer"));
    address(&ground, json!({"ip": "203.0.113.5"}));
    ground.golden("gateway_url", &["gateway", "url", "local"]);
    ground.golden("gateway_url_port", &["gateway", "url", "local", "--port", "mqtt"]);
    address(&ground, json!({"hostname": "lb.example.com"}));
    assert_eq!(ground.ok(&["gateway", "url", "local", "--port", "https"]).out, "https://lb.example.com:443\n");
    address(&ground, json!({"ip": "2001:db8::1"}));
    assert_eq!(ground.ok(&["gateway", "url", "local"]).out, "http://[2001:db8::1]:80\n");
}

#[test]
fn a_pending_address_is_unknown_and_not_guessed() {
    let ground = Ground::new();
    ground.put("local", proxy("LoadBalancer"));
    let ran = ground.golden("gateway_url_pending", &["gateway", "url", "local"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(8), ""));
    let ran = ground.golden("gateway_url_port_unknown", &["gateway", "url", "local", "--port", "htp"]);
    assert_eq!(ran.code, Some(8));
}

#[test]
fn on_a_platform_without_load_balancers_it_is_a_nodes_address_and_port() {
    let ground = Ground::new();
    ground.write("failctl.yaml", &fleet().replace("name: local,", "name: local, platform: NodePort,"));
    ground.put("local", proxy("LoadBalancer"));
    let node = |name: &str, ready: &str, ip: &str| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": ip}],
            "conditions": [{"type": "Ready", "status": ready}]}})
    };
    let ran = ground.golden("gateway_url_no_node", &["gateway", "url", "local"]);
    assert_eq!(ran.code, Some(8));
    ground.put("local", node("a", "False", "10.0.0.1"));
    ground.put("local", node("b", "True", "10.0.0.2"));
    for (name, ready, ip) in [("a", "False", "10.0.0.1"), ("b", "True", "10.0.0.2")] {
        let status = json!({"status": node(name, ready, ip)["status"]});
        ground.ask(
            "local",
            "PATCH",
            &format!("/api/v1/nodes/{name}/status"),
            "application/merge-patch+json",
            Some(status),
        );
    }
    assert_eq!(ground.ok(&["gateway", "url", "local"]).out, "http://10.0.0.2:31080\n");
}

#[test]
fn what_is_not_there_is_said() {
    let ground = Ground::new();
    assert_eq!(ground.golden("gateway_url_none", &["gateway", "url", "local"]).code, Some(8));
    assert_eq!(ground.golden("gateway_url_cluster", &["gateway", "url", "lokal"]).code, Some(2));
    ground.stop("local");
    assert_eq!(ground.golden("gateway_url_unreachable", &["gateway", "url", "local"]).code, Some(4));
}

#[test]
fn render_prints_the_failover_gateways_and_their_services() {
    said("gateway-render", out(run(one_failover().path(), &["gateway", "render"])));
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{FLEET}{}", failover("red", "  target: glooUpstream\n"));
    std::fs::write(dir.path().join("failctl.yaml"), text).unwrap();
    said("gateway-render-upstream", out(run(dir.path(), &["gateway", "render"])));
}

#[test]
fn apply_writes_the_gateways_and_nothing_else_and_waits_until_they_are_accepted() {
    let ground = Ground::new();
    ground.golden("gateway_apply", &["gateway", "apply", "--yes"]);
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    let ran = ground.golden("gateway_apply_wait", &["gateway", "apply", "--yes", "--wait", "--timeout", "300ms"]);
    assert_eq!(ran.code, Some(8));
    let accepted = json!({"status": {"statuses": {"gloo-system": {"state": 1}}}});
    ground.patch_as("remote", "gloo", "Gateway", "failover-gateway", accepted);
    ground.ok(&["gateway", "apply", "--yes", "--wait", "--timeout", "30s"]);
}
