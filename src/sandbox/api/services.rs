//! Addresses and node ports of Services, given out as a real API server does.
//! What comes in: a Service that is about to be stored, and the others. What goes out: the same with its addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::state::State;
use super::status::Status;

/// Kubernetes' default range of node ports.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

/// Gives a Service the addresses and node ports its type needs, keeps those it has, and takes back the others.
///
/// # Errors
/// 422-like refusals when a range is used up or a wanted address is taken.
pub fn assign(state: &State, range: (Ipv4Addr, u8), live: Option<&Value>, service: &mut Value) -> Result<(), Status> {
    let spec = &service["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP").to_string();
    if kind == "ExternalName" {
        let fields = service["spec"].as_object_mut();
        fields.map(|f| ["clusterIP", "clusterIPs"].map(|k| f.shift_remove(k)));
        return Ok(());
    }
    let others = |pick: &dyn Fn(&Value) -> Vec<Value>| -> Vec<Value> {
        let own = (&service["metadata"]["namespace"], &service["metadata"]["name"]);
        let others = state.store.list("services", None);
        let others = others.filter(|s| (&s["metadata"]["namespace"], &s["metadata"]["name"]) != own);
        others.flat_map(|s| pick(s)).collect()
    };
    let had = live.and_then(|l| l["spec"]["clusterIP"].as_str()).filter(|a| !a.is_empty());
    let wanted = spec["clusterIP"].as_str().filter(|a| !a.is_empty()).or(had).map(str::to_string);
    let taken = others(&|s| vec![s["spec"]["clusterIP"].clone()]);
    let address = match wanted {
        Some(address) => {
            if address != "None" && taken.contains(&json!(address)) {
                let message = format!("failed to allocate IP {address}: provided IP is already allocated");
                return Err(Status::new(422, "Invalid", message));
            }
            address
        }
        None => free_address(range, &taken)
            .ok_or_else(|| Status::internal("failed to allocate a serviceIP: range is full"))?,
    };
    let ports = others(&|s| {
        let ports = s["spec"]["ports"].as_array();
        ports.into_iter().flatten().map(|p| p["nodePort"].clone()).collect()
    });
    let used = ports.iter().filter_map(Value::as_i64).collect();
    node_ports(service, live, &kind, used)?;
    service["spec"]["clusterIP"] = address.clone().into();
    service["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

fn free_address((first, count): (Ipv4Addr, u8), taken: &[Value]) -> Option<String> {
    let mut addresses = (0..u32::from(count)).map(|n| Ipv4Addr::from(u32::from(first) + n).to_string());
    addresses.find(|address| !taken.iter().any(|t| t == address))
}

fn node_ports(service: &mut Value, live: Option<&Value>, kind: &str, mut used: BTreeSet<i64>) -> Result<(), Status> {
    let needed = kind == "NodePort"
        || kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != json!(false);
    let before = live.and_then(|l| l["spec"]["ports"].as_array()).cloned().unwrap_or_default();
    let Some(ports) = service["spec"]["ports"].as_array_mut() else { return Ok(()) };
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        let given = port.get("nodePort").and_then(Value::as_i64).filter(|p| *p != 0);
        if !needed {
            // A port that only this type had is given back; one that the writer insists on is refused by validation.
            if before.iter().any(|b| b["nodePort"].as_i64().is_some() && b["nodePort"].as_i64() == given) {
                port.shift_remove("nodePort");
            }
            continue;
        }
        let same =
            |b: &&Value| b["port"] == port["port"] && b["protocol"] == *port.get("protocol").unwrap_or(&json!("TCP"));
        let kept = before.iter().find(same).and_then(|b| b["nodePort"].as_i64());
        let chosen = match given.or(kept) {
            Some(port) if used.contains(&port) => {
                let message =
                    format!("spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated");
                return Err(Status::new(422, "Invalid", message));
            }
            Some(port) => port,
            None => NODE_PORTS
                .into_iter()
                .find(|p| !used.contains(p))
                .ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?,
        };
        used.insert(chosen);
        port.insert("nodePort".into(), chosen.into());
    }
    Ok(())
}
