//! Addresses and node ports of Services, given out as a real API server does.
//! What comes in: a Service that is about to be stored, and the others. What goes out: the same with its addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::defaults;
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
    if spec["type"] == "ExternalName" {
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
        let ports = ports.into_iter().flatten().map(|p| p["nodePort"].clone());
        ports.chain([s["spec"]["healthCheckNodePort"].clone()]).collect()
    });
    let taken: BTreeSet<i64> = ports.iter().filter_map(Value::as_i64).collect();
    if let Some(live) = live {
        drop_what_the_old_type_had(live, service);
        keep_what_was_given(live, service);
    }
    node_ports(service, &taken)?;
    service["spec"]["clusterIP"] = address.clone().into();
    service["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

fn free_address((first, count): (Ipv4Addr, u8), taken: &[Value]) -> Option<String> {
    let mut addresses = (0..u32::from(count)).map(|n| Ipv4Addr::from(u32::from(first) + n).to_string());
    addresses.find(|address| !taken.iter().any(|t| t == address))
}

fn needs_node_ports(spec: &Value) -> bool {
    spec["type"] == "NodePort"
        || spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != json!(false)
}

fn needs_health_check_port(spec: &Value) -> bool {
    spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

fn ports(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["ports"].as_array().into_iter().flatten()
}

/// Node ports that are set.
fn given(spec: &Value) -> BTreeSet<i64> {
    ports(spec).filter_map(|p| p["nodePort"].as_i64()).filter(|p| *p != 0).collect()
}

/// A Service that changes to a type for which some fields mean nothing loses those that the server may have set itself
/// and that the writer left as they were.
fn drop_what_the_old_type_had(live: &Value, service: &mut Value) {
    let (old, new) = (&live["spec"], service["spec"].clone());
    let same = |field: &str| old.get(field) == new.get(field);
    let mut gone = Vec::new();
    if defaults::externally_accessible(old) && !defaults::externally_accessible(&new) {
        gone.push("externalTrafficPolicy");
    }
    if old["type"] == "LoadBalancer" && new["type"] != "LoadBalancer" {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if needs_health_check_port(old) && !needs_health_check_port(&new) {
        gone.push("healthCheckNodePort");
    }
    let Some(spec) = service["spec"].as_object_mut() else { return };
    gone.into_iter().filter(|field| same(field)).for_each(|field| drop(spec.shift_remove(field)));
    if needs_node_ports(old) && !needs_node_ports(&new) && given(old).is_superset(&given(&new)) {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
        ports.filter_map(Value::as_object_mut).for_each(|port| drop(port.shift_remove("nodePort")));
    }
}

/// Node ports stay with the names of their ports, unless another port has taken them.
fn keep_what_was_given(live: &Value, service: &mut Value) {
    let (old, new) = (&live["spec"], service["spec"].clone());
    if needs_health_check_port(old) && needs_health_check_port(&new) && new.get("healthCheckNodePort").is_none() {
        service["spec"]["healthCheckNodePort"] = old["healthCheckNodePort"].clone();
    }
    if !needs_node_ports(old) || !needs_node_ports(&new) {
        return;
    }
    let name = |port: &Value| port["name"].as_str().unwrap_or_default().to_string();
    let named: BTreeMap<String, i64> = ports(old).filter_map(|p| Some((name(p), p["nodePort"].as_i64()?))).collect();
    let mut used: BTreeSet<i64> = given(old).intersection(&given(&new)).copied().collect();
    for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let had = named.get(&name(port)).filter(|p| !used.contains(p));
        if let Some(had) = had.copied().filter(|_| port["nodePort"].as_i64().is_none_or(|p| p == 0)) {
            port["nodePort"] = had.into();
            used.insert(had);
        }
    }
}

/// Gives out what is missing. TCP and UDP may share a number.
fn node_ports(service: &mut Value, taken: &BTreeSet<i64>) -> Result<(), Status> {
    let spec = service["spec"].clone();
    let mut used: BTreeSet<i64> = taken.union(&given(&spec)).copied().collect();
    let mut free = || {
        let port = NODE_PORTS.into_iter().find(|p| !used.contains(p));
        let port = port.ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?;
        used.insert(port);
        Ok::<i64, Status>(port)
    };
    if needs_health_check_port(&spec) && spec["healthCheckNodePort"].as_i64().is_none_or(|p| p == 0) {
        service["spec"]["healthCheckNodePort"] = free()?.into();
    }
    if !needs_node_ports(&spec) {
        return Ok(());
    }
    for (i, port) in service["spec"]["ports"].as_array_mut().into_iter().flatten().enumerate() {
        match port["nodePort"].as_i64().filter(|p| *p != 0) {
            Some(given) if taken.contains(&given) => {
                let why =
                    format!("spec.ports[{i}].nodePort: Invalid value: {given}: provided port is already allocated");
                return Err(Status::new(422, "Invalid", why));
            }
            Some(_) => {}
            None => port["nodePort"] = free()?.into(),
        }
    }
    Ok(())
}
