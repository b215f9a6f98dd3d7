//! Defaults of pods and pod templates. Pure.

use serde_json::{Value, json};

use super::{Fields, child, each, set, within};

/// A pod's own spec: what a template gets, and what only pods get.
pub(super) fn pod(spec: &mut Fields) {
    self::spec(spec);
    set(spec, "enableServiceLinks", json!(true));
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    for list in ["containers", "initContainers"] {
        each(spec, list, |container| {
            within(container, "resources", |resources| {
                let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
                if !limits.is_empty() {
                    let requests = child(resources, "requests");
                    limits.into_iter().for_each(|(name, limit)| set(requests, &name, limit));
                }
            });
            if host_network {
                each(container, "ports", host_port);
            }
        });
    }
}

/// On the host's network every port of a container is one of the host.
fn host_port(port: &mut Fields) {
    if let Some(number) = port.get("containerPort").cloned().filter(|number| number != 0) {
        set(port, "hostPort", number);
    }
}

/// The spec of a pod or of a pod template.
pub(super) fn spec(spec: &mut Fields) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "securityContext", json!({}));
    // The deprecated name mirrors the current one.
    match (spec.get("serviceAccountName").cloned(), spec.get("serviceAccount").cloned()) {
        (Some(name), _) => drop(spec.insert("serviceAccount".into(), name)),
        (None, Some(name)) => drop(spec.insert("serviceAccountName".into(), name)),
        (None, None) => {}
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

fn container(container: &mut Fields) {
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let last = if image.is_empty() { ":none" } else { image };
    let last = last.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once('@').map_or_else(|| last.split_once(':').map_or("latest", |(_, tag)| tag), |_| "digest");
    let policy = if tag == "latest" { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(policy));
    each(container, "ports", |port| set(port, "protocol", json!("TCP")));
    each(container, "env", |env| {
        within(env, "valueFrom", |from| {
            within(from, "fieldRef", |field| {
                if field.get("apiVersion").is_none_or(|v| v == "") {
                    field.insert("apiVersion".into(), json!("v1"));
                }
            });
        });
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, probe, |probe| {
            set(probe, "timeoutSeconds", json!(1));
            set(probe, "periodSeconds", json!(10));
            set(probe, "successThreshold", json!(1));
            set(probe, "failureThreshold", json!(3));
            within(probe, "httpGet", http);
            within(probe, "grpc", |grpc| set(grpc, "service", json!("")));
        });
    }
    within(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            within(lifecycle, hook, |hook| within(hook, "httpGet", http));
        }
    });
}

fn http(get: &mut Fields) {
    if get.get("path").is_none_or(|p| p == "") {
        get.insert("path".into(), json!("/"));
    }
    set(get, "scheme", json!("HTTP"));
}

fn volume(volume: &mut Fields) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        within(volume, source, |source| set(source, "defaultMode", json!(420)));
    }
    for (source, name, value) in [
        ("rbd", "pool", json!("rbd")),
        ("rbd", "user", json!("admin")),
        ("rbd", "keyring", json!("/etc/ceph/keyring")),
        ("iscsi", "iscsiInterface", json!("default")),
        ("azureDisk", "cachingMode", json!("ReadWrite")),
        ("azureDisk", "fsType", json!("ext4")),
        ("azureDisk", "readOnly", json!(false)),
        ("azureDisk", "kind", json!("Shared")),
        ("scaleIO", "storageMode", json!("ThinProvisioned")),
        ("scaleIO", "fsType", json!("xfs")),
    ] {
        within(volume, source, |source| set(source, name, value));
    }
    within(volume, "ephemeral", |ephemeral| {
        within(ephemeral, "volumeClaimTemplate", |claim| {
            within(claim, "spec", |spec| set(spec, "volumeMode", json!("Filesystem")));
        });
    });
    within(volume, "hostPath", |path| set(path, "type", json!("")));
    within(volume, "projected", |projected| {
        each(projected, "sources", |source| {
            within(source, "serviceAccountToken", |token| set(token, "expirationSeconds", json!(3600)));
            within(source, "downwardAPI", fields_of_version_1);
        });
    });
    within(volume, "downwardAPI", fields_of_version_1);
}

fn fields_of_version_1(source: &mut Fields) {
    each(source, "items", |item| within(item, "fieldRef", |field| set(field, "apiVersion", json!("v1"))));
}

/// A claim of a StatefulSet.
pub(super) fn claim(claim: &mut Fields) {
    claim.insert("apiVersion".into(), json!("v1"));
    claim.insert("kind".into(), json!("PersistentVolumeClaim"));
    set(child(claim, "spec"), "volumeMode", json!("Filesystem"));
    set(child(claim, "status"), "phase", json!("Pending"));
}

/// One address and a list of them say the same: the one wins.
pub(super) fn addresses(fields: &mut Fields, one: &str, many: &str, wrap: impl Fn(&Value) -> Value) {
    let first = fields.get(many).and_then(|m| m.get(0)).cloned();
    match fields.get(one).cloned() {
        Some(address) if first.as_ref() != Some(&wrap(&address)) => {
            fields.insert(many.into(), json!([wrap(&address)]));
        }
        None => {
            if let Some(first) = first {
                let address = first.get("ip").cloned().unwrap_or(first);
                fields.insert(one.into(), address);
            }
        }
        Some(_) => {}
    }
}

/// The quality-of-service class that a pod's requests and limits give it.
pub(super) fn quality(spec: &Value) -> &'static str {
    let containers: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.get(list).and_then(Value::as_array).into_iter().flatten())
        .collect();
    let amount = |c: &Value, side: &str, what: &str| c.pointer(&format!("/resources/{side}/{what}")).cloned();
    let names = ["cpu", "memory"];
    let guaranteed = !containers.is_empty()
        && containers.iter().all(|c| {
            names.iter().all(|n| {
                let limit = amount(c, "limits", n);
                limit.is_some() && amount(c, "requests", n).is_none_or(|r| Some(r) == limit)
            })
        });
    let any = containers
        .iter()
        .any(|c| names.iter().any(|n| amount(c, "limits", n).is_some() || amount(c, "requests", n).is_some()));
    match (guaranteed, any) {
        (true, _) => "Guaranteed",
        (false, true) => "Burstable",
        (false, false) => "BestEffort",
    }
}
