//! Columns and cells of the built-in kinds. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cells, age, pods};

/// Name, type, priority.
type Columns = &'static [(&'static str, &'static str, i64)];

const POD: Columns = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];
const SERVICE: Columns = &[
    ("Name", "string", 0),
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    ("Age", "string", 0),
    ("Selector", "string", 1),
];
const DEPLOYMENT: Columns = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Up-to-date", "string", 0),
    ("Available", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const REPLICA_SET: Columns = &[
    ("Name", "string", 0),
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const STATEFUL_SET: Columns = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
];
const DAEMON_SET: Columns = &[
    ("Name", "string", 0),
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Up-to-date", "integer", 0),
    ("Available", "integer", 0),
    ("Node Selector", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const NODE: Columns = &[
    ("Name", "string", 0),
    ("Status", "string", 0),
    ("Roles", "string", 0),
    ("Age", "string", 0),
    ("Version", "string", 0),
    ("Internal-IP", "string", 1),
    ("External-IP", "string", 1),
    ("OS-Image", "string", 1),
    ("Kernel-Version", "string", 1),
    ("Container-Runtime", "string", 1),
];
const EVENT: Columns = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "string", 1),
    ("Name", "string", 1),
];
const NAMESPACE: Columns = &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)];
const SECRET: Columns = &[("Name", "string", 0), ("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)];
const CONFIG_MAP: Columns = &[("Name", "string", 0), ("Data", "string", 0), ("Age", "string", 0)];
const SERVICE_ACCOUNT: Columns = &[("Name", "string", 0), ("Secrets", "string", 0), ("Age", "string", 0)];
const ENDPOINTS: Columns = &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)];
const ENDPOINT_SLICE: Columns = &[
    ("Name", "string", 0),
    ("AddressType", "string", 0),
    ("Ports", "string", 0),
    ("Endpoints", "string", 0),
    ("Age", "string", 0),
];
const LEASE: Columns = &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)];
const BINDING: Columns = &[
    ("Name", "string", 0),
    ("Role", "string", 0),
    ("Age", "string", 0),
    ("Users", "string", 1),
    ("Groups", "string", 1),
    ("ServiceAccounts", "string", 1),
];
const WEBHOOKS: Columns = &[("Name", "string", 0), ("Webhooks", "integer", 0), ("Age", "string", 0)];
const PLAIN: Columns = &[("Name", "string", 0), ("Created At", "date", 0)];

/// The columns of a kind and what fills them.
pub(super) fn printer(group: &str, kind: &str) -> (Columns, Cells) {
    match (group, kind) {
        ("", "Pod") => (POD, pods::cells),
        ("", "Service") => (SERVICE, service),
        ("apps", "Deployment") => (DEPLOYMENT, deployment),
        ("apps", "ReplicaSet") => (REPLICA_SET, replica_set),
        ("apps", "StatefulSet") => (STATEFUL_SET, stateful_set),
        ("apps", "DaemonSet") => (DAEMON_SET, daemon_set),
        ("", "Node") => (NODE, node),
        ("" | "events.k8s.io", "Event") => (EVENT, event),
        ("", "Namespace") => (NAMESPACE, |o, now| row(o, now, vec![field(o, "/status/phase")])),
        ("", "Secret") => (SECRET, |o, now| row(o, now, vec![field(o, "/type"), count(o, &["/data"])])),
        ("", "ConfigMap") => (CONFIG_MAP, |o, now| row(o, now, vec![count(o, &["/data", "/binaryData"])])),
        ("", "ServiceAccount") => (SERVICE_ACCOUNT, |o, now| row(o, now, vec![count(o, &["/secrets"])])),
        ("", "Endpoints") => (ENDPOINTS, |o, now| row(o, now, vec![json!(endpoints(o))])),
        ("discovery.k8s.io", "EndpointSlice") => (ENDPOINT_SLICE, slice),
        ("admissionregistration.k8s.io", _) => (WEBHOOKS, |o, now| row(o, now, vec![count(o, &["/webhooks"])])),
        ("coordination.k8s.io", "Lease") => (LEASE, |o, now| row(o, now, vec![field(o, "/spec/holderIdentity")])),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => (BINDING, binding),
        _ => (PLAIN, |o, _| vec![json!(text(o, "/metadata/name")), field(o, "/metadata/creationTimestamp")]),
    }
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The text of a field, or what stands for none.
pub(super) fn or(object: &Value, pointer: &str, none: &str) -> Value {
    let text = text(object, pointer);
    json!(if text.is_empty() { none } else { text })
}

pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn field(object: &Value, pointer: &str) -> Value {
    json!(text(object, pointer))
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// How many entries some fields have together.
fn count(object: &Value, pointers: &[&str]) -> Value {
    let sizes = pointers.iter().filter_map(|p| object.pointer(p)).map(|value| match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    });
    json!(sizes.sum::<usize>())
}

/// Name, some cells, age.
fn row(object: &Value, now: Timestamp, cells: Vec<Value>) -> Vec<Value> {
    let mut all = vec![json!(text(object, "/metadata/name"))];
    all.extend(cells);
    all.push(json!(age::of(object, "/metadata/creationTimestamp", now)));
    all
}

/// `a=1,b=2`, or `<none>`.
fn labels(labels: Option<&Value>) -> String {
    let mut pairs: Vec<String> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

/// A label selector as one line.
fn selector(selector: Option<&Value>) -> String {
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector.and_then(|s| s.get("matchLabels")).and_then(Value::as_object).into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    for each in selector.map(|s| items(s, "/matchExpressions")).unwrap_or_default() {
        let key = text(each, "/key");
        let mut values: Vec<&str> = items(each, "/values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let shown = match text(each, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), shown));
    }
    parts.sort();
    match parts.is_empty() {
        true => "<none>".into(),
        false => parts.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>().join(","),
    }
}

/// The names and the images of a template's containers.
fn containers(object: &Value) -> [Value; 2] {
    let all = items(object, "/spec/template/spec/containers");
    ["/name", "/image"].map(|what| json!(all.iter().map(|c| text(c, what)).collect::<Vec<_>>().join(",")))
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let kind = text(&spec, "/type");
    let mut external: Vec<&str> = Vec::new();
    if kind == "LoadBalancer" {
        for ingress in items(object, "/status/loadBalancer/ingress") {
            let ip = text(ingress, "/ip");
            external.push(if ip.is_empty() { text(ingress, "/hostname") } else { ip });
        }
    }
    external.extend(items(&spec, "/externalIPs").iter().filter_map(Value::as_str));
    let external = match kind {
        "ExternalName" => text(&spec, "/externalName").to_owned(),
        "LoadBalancer" if external.is_empty() => "<pending>".into(),
        _ if external.is_empty() => "<none>".into(),
        _ => external.join(","),
    };
    let ports: Vec<String> = items(&spec, "/ports")
        .iter()
        .map(|port| match (number(port, "/port"), number(port, "/nodePort"), text(port, "/protocol")) {
            (port, 0, protocol) => format!("{port}/{protocol}"),
            (port, node, protocol) => format!("{port}:{node}/{protocol}"),
        })
        .collect();
    let ports = if ports.is_empty() { "<none>".into() } else { ports.join(",") };
    let internal = items(&spec, "/clusterIPs").first().and_then(Value::as_str).unwrap_or("<none>");
    let mut cells = row(object, now, vec![json!(kind), json!(internal), json!(external), json!(ports)]);
    cells.push(json!(labels(spec.get("selector"))));
    cells
}

/// `ready/wanted`.
fn ready(object: &Value) -> Value {
    json!(format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas")))
}

fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let updated = json!(number(object, "/status/updatedReplicas"));
    let available = json!(number(object, "/status/availableReplicas"));
    let mut cells = row(object, now, vec![ready(object), updated, available]);
    cells.extend(containers(object));
    cells.push(json!(selector(object.pointer("/spec/selector"))));
    cells
}

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let numbers = ["/spec/replicas", "/status/replicas", "/status/readyReplicas"];
    let mut cells = row(object, now, numbers.iter().map(|p| json!(number(object, p))).collect());
    cells.extend(containers(object));
    cells.push(json!(selector(object.pointer("/spec/selector"))));
    cells
}

fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = row(object, now, vec![ready(object)]);
    cells.extend(containers(object));
    cells
}

fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let numbers = [
        "/status/desiredNumberScheduled",
        "/status/currentNumberScheduled",
        "/status/numberReady",
        "/status/updatedNumberScheduled",
        "/status/numberAvailable",
    ];
    let mut middle: Vec<Value> = numbers.iter().map(|p| json!(number(object, p))).collect();
    middle.push(json!(labels(object.pointer("/spec/template/spec/nodeSelector"))));
    let mut cells = row(object, now, middle);
    cells.extend(containers(object));
    cells.push(json!(selector(object.pointer("/spec/selector"))));
    cells
}

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = items(object, "/status/conditions");
    let mut status = match conditions.iter().find(|c| text(c, "/type") == "Ready") {
        Some(condition) if text(condition, "/status") == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false) {
        status += ",SchedulingDisabled";
    }
    let mut roles: Vec<&str> = Vec::new();
    for (key, value) in object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
        let role = match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => role,
            None if key == "kubernetes.io/role" => value.as_str().unwrap_or_default(),
            None => "",
        };
        roles.extend(Some(role).filter(|r| !r.is_empty()));
    }
    roles.sort_unstable();
    let roles = if roles.is_empty() { "<none>".into() } else { roles.join(",") };
    let address = |kind: &str| {
        let found = items(object, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
        json!(found.map_or("<none>", |a| text(a, "/address")))
    };
    let mut cells = row(object, now, vec![json!(status), json!(roles)]);
    cells.push(field(object, "/status/nodeInfo/kubeletVersion"));
    cells.extend([address("InternalIP"), address("ExternalIP")]);
    for what in ["osImage", "kernelVersion", "containerRuntimeVersion"] {
        cells.push(or(object, &format!("/status/nodeInfo/{what}"), "<unknown>"));
    }
    cells
}

/// Events of both groups: `regarding` and `note` are the newer words.
fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let first_of =
        |pointers: &[&'static str]| pointers.iter().copied().find(|p| !text(object, p).is_empty()).unwrap_or("/none");
    let time = |pointers: &[&'static str]| age::of(object, first_of(pointers), now);
    let first = time(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]);
    let last = match time(&["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp"]) {
        unknown if unknown == "<unknown>" => first.clone(),
        known => known,
    };
    let about = object.get("involvedObject").or_else(|| object.get("regarding")).cloned().unwrap_or_default();
    let kind = text(&about, "/kind").to_lowercase();
    let target = match text(&about, "/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = text(
        object,
        first_of(&["/source/component", "/deprecatedSource/component", "/reportingComponent", "/reportingController"]),
    );
    let host = text(object, first_of(&["/source/host", "/deprecatedSource/host", "/reportingInstance"]));
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    let count = ["/series/count", "/count", "/deprecatedCount"].iter().map(|p| number(object, p)).find(|n| *n != 0);
    vec![
        json!(last),
        field(object, "/type"),
        field(object, "/reason"),
        json!(target),
        json!(text(&about, "/fieldPath")),
        json!(source),
        json!(text(object, first_of(&["/message", "/note"])).trim()),
        json!(first),
        json!(count.unwrap_or(1)),
        field(object, "/metadata/name"),
    ]
}

/// At most three, and how many more there are.
fn few(all: &[String]) -> String {
    match all {
        [] => "<none>".into(),
        few if few.len() <= 3 => few.join(","),
        many => format!("{} + {} more...", many[..3].join(","), many.len() - 3),
    }
}

/// `<unset>` for none, as slices have it.
fn some(all: &[String]) -> String {
    if all.is_empty() { "<unset>".into() } else { few(all) }
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(object, "/subsets") {
        let addresses = || items(subset, "/addresses").iter().map(|a| text(a, "/ip"));
        let ports = items(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            let number = number(port, "/port");
            all.extend(addresses().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{number}"),
                false => format!("{ip}:{number}"),
            }));
        }
    }
    few(&all)
}

fn slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = items(object, "/ports")
        .iter()
        .map(|port| match (port.get("port").and_then(Value::as_i64), text(port, "/name")) {
            (Some(number), _) => number.to_string(),
            (None, "") => "*".into(),
            (None, name) => name.to_owned(),
        })
        .collect();
    let addresses: Vec<String> = items(object, "/endpoints")
        .iter()
        .flat_map(|e| items(e, "/addresses").iter().filter_map(|a| a.as_str().map(str::to_owned)))
        .collect();
    row(object, now, vec![field(object, "/addressType"), json!(some(&ports)), json!(some(&addresses))])
}

fn binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
    let mut cells = row(object, now, vec![json!(role)]);
    for kind in ["User", "Group", "ServiceAccount"] {
        let of_kind = items(object, "/subjects").iter().filter(|s| text(s, "/kind") == kind);
        let names: Vec<String> = of_kind
            .map(|s| match text(s, "/namespace") {
                "" => text(s, "/name").to_owned(),
                namespace => format!("{namespace}/{}", text(s, "/name")),
            })
            .collect();
        cells.push(json!(names.join(", ")));
    }
    cells
}
