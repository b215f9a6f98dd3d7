//! Server-side defaulting of built-in kinds: an object as a client sent it in, as a client sees it out. Pure.
//!
//! Defaults are those of Kubernetes 1.33. [`complete`] is what a server does when it decodes a body, before it records
//! who owns what; [`settle`] is what it adds on creation afterwards, owned by nobody.

mod pods;
mod validate;

use serde_json::{Map as Object, Value, json};
pub use validate::{externally_accessible, validate};

use super::schema::Shape;

/// Drops what the kind does not have, fills in what a client may leave out, and folds `stringData` into `data`.
/// Kinds that are not built in are left as they are. Doing it twice changes nothing.
pub fn complete(group: &str, version: &str, kind: &str, object: &mut Value) {
    let Some(shape) = Shape::builtin(group, version, kind) else { return };
    // An empty list of owners is a request to forget them, not an empty field.
    let owners = object.pointer_mut("/metadata/managedFields").map(Value::take);
    shape.prune(object);
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        if meta.get("creationTimestamp").is_some_and(Value::is_null) {
            meta.shift_remove("creationTimestamp");
        }
        if let Some(owners) = owners.filter(Value::is_array) {
            meta.insert("managedFields".into(), owners);
        }
    }
    match (group, kind) {
        ("", "Namespace") => namespace(fields),
        ("", "Secret") => secret(fields),
        ("", "Service") => service(child(fields, "spec")),
        ("", "Pod") => {
            pods::pod(child(fields, "spec"));
            within(fields, "status", |status| {
                pods::addresses(status, "podIP", "podIPs", |ip| json!({ "ip": ip }));
            });
        }
        ("", "Node") => {
            node(child(fields, "status"));
            within(fields, "spec", |spec| pods::addresses(spec, "podCIDR", "podCIDRs", Clone::clone));
        }
        ("", "Endpoints") => {
            each(fields, "subsets", |subset| each(subset, "ports", |port| set(port, "protocol", json!("TCP"))));
        }
        ("apps", _) => {
            workload(kind, child(fields, "spec"));
            if kind == "DaemonSet" {
                let annotations = child(child(fields, "metadata"), "annotations");
                set(annotations, "deprecated.daemonset.template.generation", json!("0"));
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(fields),
        ("discovery.k8s.io", "EndpointSlice") => each(fields, "ports", |port| {
            set(port, "name", json!(""));
            set(port, "protocol", json!("TCP"));
        }),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(child(fields, "spec")),
        ("admissionregistration.k8s.io", _) => each(fields, "webhooks", webhook),
        ("authentication.k8s.io", "TokenRequest") => set(child(fields, "spec"), "expirationSeconds", json!(3600)),
        _ => {}
    }
}

/// What a server adds to a new object after it has recorded the owners of its fields.
pub fn settle(group: &str, kind: &str, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    match (group, kind) {
        ("", "Namespace") => {
            set(child(fields, "spec"), "finalizers", json!(["kubernetes"]));
        }
        ("", "Pod") => {
            let class = pods::quality(&fields["spec"]);
            fields.insert("status".into(), json!({"phase": "Pending", "qosClass": class}));
        }
        ("", "Service") => {
            let spec = child(fields, "spec");
            if spec.get("type").is_none_or(|t| t != "ExternalName") {
                set(spec, "ipFamilies", json!(["IPv4"]));
                set(spec, "ipFamilyPolicy", json!("SingleStack"));
            }
        }
        _ => {}
    }
}

type Fields = Object<String, Value>;

/// Sets a field that is absent or null.
fn set(fields: &mut Fields, name: &str, value: Value) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), value);
    }
}

/// The object in a field, made if absent.
fn child<'a>(fields: &'a mut Fields, name: &str) -> &'a mut Fields {
    let value = fields.entry(name.to_owned()).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("just made an object")
}

/// Runs over the objects of a list field.
fn each(fields: &mut Fields, name: &str, mut run: impl FnMut(&mut Fields)) {
    for item in fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            run(item);
        }
    }
}

/// Runs on the object in a field, if there is one.
fn within(fields: &mut Fields, name: &str, run: impl FnOnce(&mut Fields)) {
    if let Some(inner) = fields.get_mut(name).and_then(Value::as_object_mut) {
        run(inner);
    }
}

fn namespace(fields: &mut Fields) {
    let meta = child(fields, "metadata");
    if let Some(name) = meta.get("name").and_then(Value::as_str).map(str::to_owned) {
        child(meta, "labels").insert("kubernetes.io/metadata.name".into(), json!(name));
    }
    let status = child(fields, "status");
    set(status, "phase", json!("Active"));
}

fn secret(fields: &mut Fields) {
    if let Some(Value::Object(plain)) = fields.shift_remove("stringData") {
        let data = child(fields, "data");
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, json!(super::protobuf::base64(text.as_bytes())));
        }
    }
    set(fields, "type", json!("Opaque"));
}

fn service(spec: &mut Fields) {
    set(spec, "sessionAffinity", json!("None"));
    if spec["sessionAffinity"] == "ClientIP" {
        set(child(child(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", json!(10800));
    } else if spec["sessionAffinity"] == "None" {
        spec.shift_remove("sessionAffinityConfig");
    }
    set(spec, "type", json!("ClusterIP"));
    each(spec, "ports", |port| {
        set(port, "protocol", json!("TCP"));
        let unset = port.get("targetPort").is_none_or(|t| t == 0 || t == "");
        if let Some(number) = port.get("port").cloned().filter(|_| unset) {
            port.insert("targetPort".into(), number);
        }
    });
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if ["ClusterIP", "NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    if kind == "NodePort" || kind == "LoadBalancer" || (kind == "ClusterIP" && external) {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

fn webhook(webhook: &mut Fields) {
    set(webhook, "failurePolicy", json!("Fail"));
    set(webhook, "matchPolicy", json!("Equivalent"));
    set(webhook, "namespaceSelector", json!({}));
    set(webhook, "objectSelector", json!({}));
    set(webhook, "reinvocationPolicy", json!("Never"));
    set(webhook, "timeoutSeconds", json!(10));
    each(webhook, "rules", |rule| set(rule, "scope", json!("*")));
    within(webhook, "clientConfig", |client| within(client, "service", |service| set(service, "port", json!(443))));
}

fn node(status: &mut Fields) {
    if let Some(capacity) = status.get("capacity").cloned() {
        set(status, "allocatable", capacity);
    }
}

fn workload(kind: &str, spec: &mut Fields) {
    match kind {
        "Deployment" => {
            set(spec, "replicas", json!(1));
            set(spec, "revisionHistoryLimit", json!(10));
            set(spec, "progressDeadlineSeconds", json!(600));
            let strategy = child(spec, "strategy");
            set(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                let rolling = child(strategy, "rollingUpdate");
                set(rolling, "maxUnavailable", json!("25%"));
                set(rolling, "maxSurge", json!("25%"));
            }
            zeroes(strategy, &["maxUnavailable", "maxSurge"]);
        }
        "ReplicaSet" => set(spec, "replicas", json!(1)),
        "StatefulSet" => {
            set(spec, "replicas", json!(1));
            set(spec, "revisionHistoryLimit", json!(10));
            set(spec, "podManagementPolicy", json!("OrderedReady"));
            let update = child(spec, "updateStrategy");
            if update.get("type").is_none() {
                update.insert("type".into(), json!("RollingUpdate"));
                child(update, "rollingUpdate");
            }
            zeroes(update, &["partition"]);
            let claims = child(spec, "persistentVolumeClaimRetentionPolicy");
            set(claims, "whenDeleted", json!("Retain"));
            set(claims, "whenScaled", json!("Retain"));
            each(spec, "volumeClaimTemplates", pods::claim);
        }
        "DaemonSet" => {
            set(spec, "revisionHistoryLimit", json!(10));
            let update = child(spec, "updateStrategy");
            set(update, "type", json!("RollingUpdate"));
            if update["type"] == "RollingUpdate" {
                let rolling = child(update, "rollingUpdate");
                set(rolling, "maxUnavailable", json!(1));
                set(rolling, "maxSurge", json!(0));
            }
            zeroes(update, &["maxUnavailable", "maxSurge"]);
        }
        _ => return,
    }
    within(spec, "template", |template| pods::spec(child(template, "spec")));
}

/// Whatever the strategy, a `rollingUpdate` that is there has all its numbers.
fn zeroes(strategy: &mut Fields, names: &[&str]) {
    within(strategy, "rollingUpdate", |rolling| names.iter().for_each(|name| set(rolling, name, json!(0))));
}

fn binding(fields: &mut Fields) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    within(fields, "roleRef", |role| {
        if role.get("apiGroup").is_none_or(|g| g == "") {
            role.insert("apiGroup".into(), json!(GROUP));
        }
    });
    each(fields, "subjects", |subject| {
        if subject.get("kind").is_some_and(|k| k == "User" || k == "Group") {
            set(subject, "apiGroup", json!(GROUP));
        }
    });
}

fn definition(spec: &mut Fields) {
    within(spec, "names", |names| {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(names, "singular", json!(kind.to_lowercase()));
        set(names, "listKind", json!(format!("{kind}List")));
    });
    let conversion = child(spec, "conversion");
    set(conversion, "strategy", json!("None"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(group: &str, kind: &str, object: Value) -> Value {
        let mut once = object;
        complete(group, "v1", kind, &mut once);
        let mut twice = once.clone();
        complete(group, "v1", kind, &mut twice);
        assert_eq!(once, twice, "defaulting twice changes nothing");
        once
    }

    #[test]
    fn a_service_gets_what_kubectl_shows() {
        let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}});
        let done = completed("", "Service", service);
        assert_eq!(done["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
        assert_eq!(done["spec"]["type"], "ClusterIP");
        assert_eq!(done["spec"]["internalTrafficPolicy"], "Cluster");
        assert_eq!(done["status"], json!({"loadBalancer": {}}));
    }

    #[test]
    fn string_data_becomes_data() {
        let done = completed("", "Secret", json!({"stringData": {"a": "hello"}, "data": {"b": "eA=="}}));
        assert_eq!(done["data"], json!({"b": "eA==", "a": "aGVsbG8="}));
        assert_eq!(done["type"], "Opaque");
        assert!(done.get("stringData").is_none());
    }

    #[test]
    fn a_deployment_gets_its_strategy_and_its_pods_their_policies() {
        let done = completed(
            "apps",
            "Deployment",
            json!({"spec": {"template": {"spec": {"containers":
            [{"name": "c", "image": "envoyproxy/envoy:v1.14.2", "ports": [{"containerPort": 1}],
              "livenessProbe": {"httpGet": {"port": 1}}}]}}, "unknown": 1, "paused": false}}),
        );
        assert_eq!(done["spec"]["replicas"], 1);
        assert_eq!(done["spec"]["strategy"]["rollingUpdate"], json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
        assert!(done["spec"].get("unknown").is_none() && done["spec"].get("paused").is_none());
        let pod = &done["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Always");
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(pod["containers"][0]["ports"], json!([{"containerPort": 1, "protocol": "TCP"}]));
        assert_eq!(pod["containers"][0]["livenessProbe"]["httpGet"], json!({"port": 1, "path": "/", "scheme": "HTTP"}));
    }
}
