//! What a server refuses of built-in kinds: the mistakes a user is likely to make. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sandbox::api::schema::FieldError;

/// The errors of an object after its defaults were filled in; `old` is the stored object of an update.
///
/// Not everything that Kubernetes checks: required fields, ranges, references between fields, and immutable fields.
pub fn validate(group: &str, version: &str, kind: &str, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors(Vec::new());
    errors.labels(object);
    match (group, version, kind) {
        ("", "v1", "Service") => service(object, old, &mut errors),
        ("", "v1", "Secret") => secret(object, old, &mut errors),
        ("", "v1", "ConfigMap") => immutable_data(object, old, &mut errors, &["data", "binaryData"]),
        ("", "v1", "Pod") => {
            pod_spec(object.get("spec"), "spec", &mut errors);
            pod_update(object, old, &mut errors);
        }
        ("apps", "v1", _) => workload(kind, object, old, &mut errors),
        ("rbac.authorization.k8s.io", "v1", "RoleBinding" | "ClusterRoleBinding") => binding(object, old, &mut errors),
        ("apiextensions.k8s.io", "v1", "CustomResourceDefinition") => definition(object, old, &mut errors),
        ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration") => webhooks(object, &mut errors),
        ("discovery.k8s.io", "v1", "EndpointSlice") => {
            let kind = object.get("addressType").and_then(Value::as_str).unwrap_or_default();
            if kind.is_empty() {
                errors.required("addressType", "");
            } else if !["IPv4", "IPv6", "FQDN"].contains(&kind) {
                errors.unsupported("addressType", kind, &["FQDN", "IPv4", "IPv6"]);
            }
            errors.immutable(object, old, "/addressType", "addressType");
        }
        _ => {}
    }
    errors.0
}

struct Errors(Vec<FieldError>);

impl Errors {
    fn push(&mut self, field: &str, reason: &'static str, message: String) {
        self.0.push(FieldError { field: field.to_owned(), reason, message });
    }

    fn required(&mut self, field: &str, why: &str) {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.push(field, "FieldValueRequired", message);
    }

    fn invalid(&mut self, field: &str, value: &Value, why: &str) {
        self.push(field, "FieldValueInvalid", format!("Invalid value: {value}: {why}"));
    }

    fn unsupported(&mut self, field: &str, value: &str, allowed: &[&str]) {
        let allowed: Vec<String> = allowed.iter().map(|a| format!("{a:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", allowed.join(", "));
        self.push(field, "FieldValueNotSupported", message);
    }

    fn immutable(&mut self, object: &Value, old: Option<&Value>, pointer: &str, field: &str) {
        let Some(old) = old else { return };
        if old.pointer(pointer) != object.pointer(pointer) {
            let value = object.pointer(pointer).cloned().unwrap_or_default();
            self.invalid(field, &value, "field is immutable");
        }
    }

    /// Label values: at most 63 of `[A-Za-z0-9-_.]`, alphanumeric at both ends.
    fn labels(&mut self, object: &Value) {
        for (key, value) in object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
            let fits = text.len() <= 63
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                && ends(text.chars().next())
                && ends(text.chars().last());
            if !fits || key.is_empty() {
                let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                           '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                           regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
                self.invalid("metadata.labels", value, why);
            }
        }
    }
}

fn list<'a>(value: Option<&'a Value>, name: &str) -> &'a [Value] {
    value.and_then(|v| v.get(name)).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn port(value: Option<&Value>, field: &str, errors: &mut Errors) {
    let number = value.and_then(Value::as_i64).unwrap_or_default();
    if !(1..=65535).contains(&number) {
        errors.invalid(field, &Value::from(number), "must be between 1 and 65535, inclusive");
    }
}

fn service(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = object.get("spec");
    let kind = spec.map(|s| text(s, "type")).unwrap_or_default();
    if !["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains(&kind) {
        errors.unsupported("spec.type", kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    }
    let headless = spec.is_some_and(|s| text(s, "clusterIP") == "None");
    let ports = list(spec, "ports");
    if ports.is_empty() && kind != "ExternalName" && !headless {
        errors.required("spec.ports", "");
    }
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (i, each) in ports.iter().enumerate() {
        port(each.get("port"), &format!("spec.ports[{i}].port"), errors);
        let name = text(each, "name");
        if name.is_empty() && ports.len() > 1 {
            errors.required(&format!("spec.ports[{i}].name"), "");
        } else if !name.is_empty() && !names.insert(name) {
            errors.push(&format!("spec.ports[{i}].name"), "FieldValueDuplicate", format!("Duplicate value: {name:?}"));
        }
        if !numbers.insert((each.get("port").and_then(Value::as_i64), text(each, "protocol"))) {
            errors.push(&format!("spec.ports[{i}]"), "FieldValueDuplicate", format!("Duplicate value: {each}"));
        }
        if each.get("targetPort").is_some_and(Value::is_number) {
            port(each.get("targetPort"), &format!("spec.ports[{i}].targetPort"), errors);
        }
    }
    external_traffic(spec, errors);
    let still = |o: &Value| o.pointer("/spec/type").is_some_and(|t| t != "ExternalName");
    if old.is_some_and(still) && still(object) && old.is_some_and(|o| o.pointer("/spec/clusterIP").is_some()) {
        errors.immutable(object, old, "/spec/clusterIP", "spec.clusterIP");
    }
}

/// What may be said about traffic from outside only when there can be some.
fn external_traffic(spec: Option<&Value>, errors: &mut Errors) {
    let Some(spec) = spec else { return };
    let policy = text(spec, "externalTrafficPolicy");
    if !externally_accessible(spec) {
        if !policy.is_empty() {
            let why = "may only be set for externally-accessible services";
            errors.invalid("spec.externalTrafficPolicy", &Value::from(policy), why);
        }
    } else if !["Cluster", "Local"].contains(&policy) {
        errors.unsupported("spec.externalTrafficPolicy", policy, &["Cluster", "Local"]);
    }
    let checked = text(spec, "type") == "LoadBalancer" && policy == "Local";
    if let Some(port) = spec.get("healthCheckNodePort").filter(|p| !checked && **p != 0) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid("spec.healthCheckNodePort", port, why);
    }
}

/// Whether traffic from outside of the cluster can reach a Service.
pub fn externally_accessible(spec: &Value) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(Some(spec), "externalIPs").is_empty(),
        _ => false,
    }
}

fn secret(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if text(object, "type") == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if object.get("data").and_then(|d| d.get(key)).is_none() {
                errors.required(&format!("data[{key}]"), "");
            }
        }
    }
    errors.immutable(object, old, "/type", "type");
    immutable_data(object, old, errors, &["data"]);
}

fn immutable_data(object: &Value, old: Option<&Value>, errors: &mut Errors, fields: &[&str]) {
    let Some(old) = old.filter(|o| o.get("immutable").and_then(Value::as_bool).unwrap_or(false)) else { return };
    let forbidden = "Forbidden: field is immutable when `immutable` is set";
    for field in fields.iter().chain(&["immutable"]) {
        if old.get(*field) != object.get(*field) {
            errors.push(field, "FieldValueForbidden", forbidden.into());
        }
    }
}

/// A volume comes from exactly one kind of source.
fn volumes(spec: Option<&Value>, path: &str, errors: &mut Errors) {
    for (i, volume) in list(spec, "volumes").iter().enumerate() {
        let mut sources = volume.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| *key != "name");
        if sources.next().is_none() {
            errors.required(&format!("{path}.volumes[{i}]"), "must specify a volume type");
        }
        for more in sources {
            let message = "Forbidden: may not specify more than 1 volume type";
            errors.push(&format!("{path}.volumes[{i}].{more}"), "FieldValueForbidden", message.into());
        }
    }
}

fn pod_spec(spec: Option<&Value>, path: &str, errors: &mut Errors) {
    volumes(spec, path, errors);
    let containers = list(spec, "containers");
    if containers.is_empty() {
        errors.required(&format!("{path}.containers"), "");
    }
    let mut names = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        let at = format!("{path}.containers[{i}]");
        let name = text(container, "name");
        if name.is_empty() {
            errors.required(&format!("{at}.name"), "");
        } else if !names.insert(name) {
            errors.push(&format!("{at}.name"), "FieldValueDuplicate", format!("Duplicate value: {name:?}"));
        }
        if text(container, "image").is_empty() {
            errors.required(&format!("{at}.image"), "");
        }
        for (j, each) in list(Some(container), "ports").iter().enumerate() {
            port(each.get("containerPort"), &format!("{at}.ports[{j}].containerPort"), errors);
        }
        for (j, mount) in list(Some(container), "volumeMounts").iter().enumerate() {
            let volume = text(mount, "name");
            if !list(spec, "volumes").iter().any(|v| text(v, "name") == volume) {
                let field = format!("{at}.volumeMounts[{j}].name");
                errors.push(&field, "FieldValueNotFound", format!("Not found: {volume:?}"));
            }
        }
    }
}

/// Of a pod that exists only images, deadlines and tolerations may change.
fn pod_update(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let Some(old) = old else { return };
    let fixed = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        if let Some(fields) = spec.as_object_mut() {
            for free in ["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName"] {
                fields.shift_remove(free);
            }
            for list in ["containers", "initContainers"] {
                for container in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    if let Some(container) = container.as_object_mut() {
                        container.shift_remove("image");
                    }
                }
            }
        }
        spec
    };
    let bound = |pod: &Value| pod.pointer("/spec/nodeName").cloned();
    let rebound = bound(old).is_some() && bound(old) != bound(object);
    if fixed(old) != fixed(object) || rebound {
        let message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                       `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                       to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
                       was previously negative)";
        errors.push("spec", "FieldValueForbidden", message.into());
    }
}

fn workload(kind: &str, object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if !["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"].contains(&kind) {
        return;
    }
    if object.pointer("/spec/replicas").and_then(Value::as_i64).is_some_and(|n| n < 0) {
        let value = object.pointer("/spec/replicas").cloned().unwrap_or_default();
        errors.invalid("spec.replicas", &value, "must be greater than or equal to 0");
    }
    let selector = object.pointer("/spec/selector");
    let wanted = selector.and_then(|s| s.get("matchLabels")).and_then(Value::as_object);
    let expressions = list(selector, "matchExpressions");
    if selector.is_none_or(Value::is_null) {
        errors.required("spec.selector", "");
    } else if wanted.is_none_or(serde_json::Map::is_empty) && expressions.is_empty() {
        let value = selector.cloned().unwrap_or_default();
        errors.invalid("spec.selector", &value, "empty selector is invalid for deployment");
    }
    let labels = object.pointer("/spec/template/metadata/labels");
    let missing = wanted.into_iter().flatten().any(|(key, value)| labels.and_then(|l| l.get(key)) != Some(value));
    if missing {
        let value = labels.cloned().unwrap_or_default();
        errors.invalid("spec.template.metadata.labels", &value, "`selector` does not match template `labels`");
    }
    let recreates = object.pointer("/spec/strategy/type").is_some_and(|t| t == "Recreate");
    if kind == "Deployment" && recreates && object.pointer("/spec/strategy/rollingUpdate").is_some() {
        let message = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
        errors.push("spec.strategy.rollingUpdate", "FieldValueForbidden", message.into());
    }
    pod_spec(object.pointer("/spec/template/spec"), "spec.template.spec", errors);
    errors.immutable(object, old, "/spec/selector", "spec.selector");
}

fn binding(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let role = object.get("roleRef").cloned().unwrap_or_default();
    if text(&role, "name").is_empty() {
        errors.required("roleRef.name", "");
    }
    if !["Role", "ClusterRole"].contains(&text(&role, "kind")) {
        errors.unsupported("roleRef.kind", text(&role, "kind"), &["Role", "ClusterRole"]);
    }
    if old.is_some_and(|o| o.get("roleRef") != object.get("roleRef")) {
        errors.invalid("roleRef", &role, "cannot change roleRef");
    }
}

fn webhooks(object: &Value, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (i, webhook) in list(Some(object), "webhooks").iter().enumerate() {
        let at = |field: &str| format!("webhooks[{i}].{field}");
        let name = text(webhook, "name");
        if name.split('.').filter(|part| !part.is_empty()).count() < 3 {
            errors.invalid(
                &at("name"),
                &name.into(),
                "should be a domain with at least three segments separated by dots",
            );
        }
        if !names.insert(name.to_owned()) {
            errors.push(&at("name"), "FieldValueDuplicate", format!("Duplicate value: {name:?}"));
        }
        let client = webhook.get("clientConfig").cloned().unwrap_or_default();
        match (client.get("url").and_then(Value::as_str), client.get("service").is_some_and(Value::is_object)) {
            (Some(url), false) if url.starts_with("https://") => {}
            (Some(url), false) => {
                errors.invalid(&at("clientConfig.url"), &url.into(), "'https' is the only allowed URL scheme")
            }
            (None, true) => {}
            _ => errors.required(&at("clientConfig"), "exactly one of url or service is required"),
        }
        for (field, allowed) in [
            ("failurePolicy", &["Fail", "Ignore"][..]),
            ("matchPolicy", &["Equivalent", "Exact"]),
            ("reinvocationPolicy", &["IfNeeded", "Never"]),
            ("sideEffects", &["None", "NoneOnDryRun"]),
        ] {
            let said = text(webhook, field);
            if said.is_empty() {
                errors.required(&at(field), "");
            } else if !allowed.contains(&said) {
                errors.unsupported(&at(field), said, allowed);
            }
        }
        let seconds = webhook.get("timeoutSeconds").cloned().unwrap_or_default();
        if !seconds.as_i64().is_some_and(|s| (1..=30).contains(&s)) {
            errors.invalid(&at("timeoutSeconds"), &seconds, "the timeout value must be between 1 and 30 seconds");
        }
        let versions = list(Some(webhook), "admissionReviewVersions");
        if !versions.iter().any(|v| v == "v1") {
            errors.invalid(&at("admissionReviewVersions"), &versions.into(), "must include v1");
        }
    }
}

fn definition(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let names = spec.get("names").cloned().unwrap_or_default();
    let want = format!("{}.{}", text(&names, "plural"), text(&spec, "group"));
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    if name != want.as_str() {
        errors.invalid("metadata.name", &name, "must be spec.names.plural+\".\"+spec.group");
    }
    for (value, field) in [
        (text(&spec, "group"), "spec.group"),
        (text(&spec, "scope"), "spec.scope"),
        (text(&names, "plural"), "spec.names.plural"),
        (text(&names, "kind"), "spec.names.kind"),
    ] {
        if value.is_empty() {
            errors.required(field, "");
        }
    }
    let versions = list(Some(&spec), "versions");
    let stored = versions.iter().filter(|v| v.get("storage").and_then(Value::as_bool).unwrap_or(false)).count();
    if stored != 1 {
        let value = Value::from(versions.len());
        errors.invalid("spec.versions", &value, "must have exactly one version marked as storage version");
    }
    for (i, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            errors.required(&format!("spec.versions[{i}].schema.openAPIV3Schema"), "schemas are required");
        }
    }
    errors.immutable(object, old, "/spec/group", "spec.group");
    errors.immutable(object, old, "/spec/scope", "spec.scope");
    errors.immutable(object, old, "/spec/names/kind", "spec.names.kind");
}
