//! A FailoverScheme and the instances it names → the `failover` block of the primary Upstream.
//! What comes in: the scheme, instances by cluster. What goes out: the block, or the state and message of a refusal.
//! May not know: clients, what is stored.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::instance::Instance;
use crate::sandbox::controllers::object::text;

/// The name of the Service port through which other clusters come in.
pub const PORT_NAME: &str = "failover";
/// The Secret with the client certificate, on the primary's cluster.
pub const CLIENT_SECRET: &str = "failover-upstream";

/// What became of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Seen, not looked at.
    Pending,
    /// Being written.
    Processing,
    /// Wrong in itself; not tried again until it changes.
    Invalid,
    /// Could not be done; tried again.
    Failed,
    /// Written.
    Accepted,
}

impl State {
    /// As in a status.
    pub fn text(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Processing => "PROCESSING",
            State::Invalid => "INVALID",
            State::Failed => "FAILED",
            State::Accepted => "ACCEPTED",
        }
    }
}

/// Why a scheme cannot be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// `Invalid` or `Failed`.
    pub state: State,
    /// The message of the status.
    pub message: String,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal { state: State::Invalid, message: message.into() }
}

/// A refusal that is tried again.
pub fn failed(message: impl Into<String>) -> Refusal {
    Refusal { state: State::Failed, message: message.into() }
}

/// A cluster that is not registered, in the words of the original.
pub fn no_client(cluster: &str) -> Refusal {
    failed(format!("failed to get client for cluster {cluster}: Failed to get manager for cluster {cluster}"))
}

/// The Upstream whose failover a scheme describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Primary {
    /// The name under which its cluster is registered.
    pub cluster: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A field under its JSON name or, as protobuf's JSON reading allows, its original one.
fn field<'a>(value: &'a Value, json: &str, original: &str) -> &'a Value {
    value.get(json).or_else(|| value.get(original)).unwrap_or(&Value::Null)
}

/// The primary of a scheme.
pub fn primary(scheme: &Value) -> Result<Primary, Refusal> {
    let primary = &scheme["spec"]["primary"];
    let cluster = field(primary, "clusterName", "cluster_name").as_str().unwrap_or_default();
    for (what, value) in
        [("clusterName", cluster), ("name", text(primary, "/name")), ("namespace", text(primary, "/namespace"))]
    {
        if value.is_empty() {
            return Err(invalid(format!("primary: {what} must be set")));
        }
    }
    Ok(Primary {
        cluster: cluster.into(),
        namespace: text(primary, "/namespace").into(),
        name: text(primary, "/name").into(),
    })
}

/// The failover block that carries out a scheme: group i becomes priority i of the list, and each member of a group
/// one locality, with one endpoint per Upstream and external address.
///
/// `instances` are those of registered clusters, by the names they are registered under; `gloo` is the namespace of
/// the client certificate's Secret.
pub fn failover_block(scheme: &Value, instances: &BTreeMap<String, Instance>, gloo: &str) -> Result<Value, Refusal> {
    primary(scheme)?;
    let groups = field(&scheme["spec"], "failoverGroups", "failover_groups").as_array().filter(|g| !g.is_empty());
    let groups = groups.ok_or_else(|| invalid("failoverGroups: at least one group is needed"))?;
    let mut priorities = Vec::new();
    for (i, group) in groups.iter().enumerate() {
        let members = field(group, "priorityGroup", "priority_group").as_array().filter(|g| !g.is_empty());
        let at = format!("failoverGroups[{i}].priorityGroup");
        let members = members.ok_or_else(|| invalid(format!("{at}: at least one cluster is needed")))?;
        let localities: Result<Vec<Value>, Refusal> =
            members.iter().enumerate().map(|(j, m)| locality(m, instances, gloo, &format!("{at}[{j}]"))).collect();
        priorities.push(json!({"localityEndpoints": localities?}));
    }
    Ok(json!({"prioritizedLocalities": priorities}))
}

fn locality(member: &Value, instances: &BTreeMap<String, Instance>, gloo: &str, at: &str) -> Result<Value, Refusal> {
    let cluster = Some(text(member, "/cluster")).filter(|c| !c.is_empty());
    let cluster = cluster.ok_or_else(|| invalid(format!("{at}: cluster must be set")))?;
    let upstreams = member["upstreams"].as_array().filter(|u| !u.is_empty());
    let upstreams = upstreams.ok_or_else(|| invalid(format!("{at}: at least one upstream is needed")))?;
    let instance = instances.get(cluster).ok_or_else(|| no_client(cluster))?;
    let addresses = instance.addresses(PORT_NAME);
    if addresses.is_empty() {
        return Err(failed(format!(
            "no external address with a port named {PORT_NAME} for Gloo instance of cluster {cluster}"
        )));
    }
    let mut endpoints = Vec::new();
    for upstream in upstreams {
        let (name, namespace) = (text(upstream, "/name"), text(upstream, "/namespace"));
        if name.is_empty() || namespace.is_empty() {
            return Err(invalid(format!("{at}: an upstream needs name and namespace")));
        }
        endpoints.extend(addresses.iter().map(|(address, port)| {
            json!({"address": address, "port": port, "upstreamSslConfig": {
                "sni": format!("{name}_{namespace}"),
                "secretRef": {"name": CLIENT_SECRET, "namespace": gloo}}})
        }));
    }
    let mut locality = json!({"lbEndpoints": endpoints});
    let place = place(instance);
    if place != json!({}) {
        locality["locality"] = place;
    }
    // Gloo forbids weights on a locality that has a DNS name among its addresses.
    let by_ip = addresses.iter().all(|(address, _)| address.parse::<IpAddr>().is_ok());
    let weight = field(member, "localityWeight", "locality_weight").as_u64();
    if let Some(weight) = weight.filter(|w| by_ip && *w > 0) {
        locality["loadBalancingWeight"] = json!(weight);
    }
    Ok(locality)
}

fn place(instance: &Instance) -> Value {
    let mut place = json!({});
    for (key, value) in [("region", instance.region.as_str()), ("zone", instance.zone())] {
        if !value.is_empty() {
            place[key] = json!(value);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::super::instance::{Ingress, Proxy};
    use super::*;

    fn instance(cluster: &str, addresses: &[&str]) -> (String, Instance) {
        let ingress = |a: &&str| Ingress {
            address: (*a).into(),
            service: "failover".into(),
            ports: vec![("failover".into(), 15443)],
        };
        let proxy = Proxy {
            zones: vec![format!("{cluster}-zone")],
            ingress: addresses.iter().map(ingress).collect(),
            ..Proxy::default()
        };
        let region = format!("{cluster}-region");
        let instance = Instance { cluster: cluster.into(), region, proxies: vec![proxy], ..Instance::default() };
        (cluster.into(), instance)
    }

    fn scheme(groups: Value) -> Value {
        json!({"spec": {"failoverGroups": groups,
            "primary": {"clusterName": "local", "name": "default-service-blue-10000", "namespace": "gloo-system"}}})
    }

    fn green(cluster: &str) -> Value {
        json!({"cluster": cluster, "upstreams": [{"name": "default-service-green-10000", "namespace": "gloo-system"}]})
    }

    fn run(groups: Value, instances: Vec<(String, Instance)>) -> Result<Value, Refusal> {
        failover_block(&scheme(groups), &instances.into_iter().collect(), "gloo-system")
    }

    #[test]
    fn the_guides_scheme_becomes_one_priority_with_the_remote_gateway() {
        let block = run(json!([{"priorityGroup": [green("remote")]}]), vec![instance("remote", &["127.30.17.2"])]);
        assert_eq!(
            block.unwrap(),
            json!({"prioritizedLocalities": [{"localityEndpoints": [{
            "lbEndpoints": [{"address": "127.30.17.2", "port": 15443, "upstreamSslConfig": {
                "sni": "default-service-green-10000_gloo-system",
                "secretRef": {"name": "failover-upstream", "namespace": "gloo-system"}}}],
            "locality": {"region": "remote-region", "zone": "remote-zone"}}]}]})
        );
    }

    #[test]
    fn groups_are_priorities_members_are_localities_and_weights_are_carried() {
        let mut weighted = green("b");
        weighted["localityWeight"] = json!(3);
        let groups = json!([{"priorityGroup": [green("a"), weighted]}, {"priorityGroup": [green("c")]}]);
        let instances =
            vec![instance("a", &["10.0.0.1"]), instance("b", &["10.0.0.2", "10.0.0.3"]), instance("c", &["10.0.0.4"])];
        let block = run(groups, instances).unwrap();
        let localities = |i: usize| block["prioritizedLocalities"][i]["localityEndpoints"].as_array().unwrap();
        assert_eq!((localities(0).len(), localities(1).len()), (2, 1));
        assert_eq!(localities(0)[1]["loadBalancingWeight"], 3);
        assert_eq!(localities(0)[1]["lbEndpoints"].as_array().unwrap().len(), 2);
        assert_eq!(localities(0)[0].get("loadBalancingWeight"), None);
    }

    #[test]
    fn a_locality_reached_by_name_carries_no_weight() {
        let mut weighted = green("a");
        weighted["localityWeight"] = json!(3);
        let block = run(json!([{"priorityGroup": [weighted]}]), vec![instance("a", &["lb.example.com"])]).unwrap();
        let locality = &block["prioritizedLocalities"][0]["localityEndpoints"][0];
        assert_eq!(locality.get("loadBalancingWeight"), None);
    }

    #[test]
    fn an_unregistered_cluster_fails_in_the_originals_words() {
        let refusal = run(json!([{"priorityGroup": [green("nowhere")]}]), vec![]).unwrap_err();
        assert_eq!(refusal.state, State::Failed);
        assert_eq!(
            refusal.message,
            "failed to get client for cluster nowhere: Failed to get manager for cluster nowhere"
        );
    }

    #[test]
    fn what_is_wrong_in_itself_is_invalid_and_says_where() {
        let message = |groups: Value| {
            let refusal = run(groups, vec![instance("a", &["10.0.0.1"])]).unwrap_err();
            assert_eq!(refusal.state, State::Invalid, "{refusal:?}");
            refusal.message
        };
        assert_eq!(message(json!([])), "failoverGroups: at least one group is needed");
        assert_eq!(
            message(json!([{"priorityGroup": []}])),
            "failoverGroups[0].priorityGroup: at least one cluster is needed"
        );
        let trap = json!([{"priorityGroup": [{"clusterName": "a", "upstreams": [{"name": "u", "namespace": "g"}]}]}]);
        assert_eq!(message(trap), "failoverGroups[0].priorityGroup[0]: cluster must be set");
        let without = json!([{"priorityGroup": [{"cluster": "a"}]}]);
        assert_eq!(message(without), "failoverGroups[0].priorityGroup[0]: at least one upstream is needed");
        let trap = json!({"spec": {"primary": {"cluster": "local", "name": "u", "namespace": "g"}}});
        assert_eq!(primary(&trap).unwrap_err().message, "primary: clusterName must be set");
    }

    #[test]
    fn a_gateway_without_an_address_fails_and_is_tried_again() {
        let refusal = run(json!([{"priorityGroup": [green("a")]}]), vec![instance("a", &[])]).unwrap_err();
        assert_eq!(refusal.state, State::Failed);
        assert!(refusal.message.contains("cluster a"), "{}", refusal.message);
    }

    #[test]
    fn the_protobuf_names_are_read_too() {
        let scheme = json!({"spec": {
            "failover_groups": [{"priority_group": [{"cluster": "a", "locality_weight": 2,
                "upstreams": [{"name": "u", "namespace": "g"}]}]}],
            "primary": {"cluster_name": "local", "name": "u", "namespace": "g"}}});
        let block = failover_block(&scheme, &[instance("a", &["10.0.0.1"])].into(), "gloo-system").unwrap();
        assert_eq!(block["prioritizedLocalities"][0]["localityEndpoints"][0]["loadBalancingWeight"], 2);
    }
}
