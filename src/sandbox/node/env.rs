//! A container's environment: values, the downward API, config maps and secrets, and `$(VAR)` in arguments.
//!
//! In: a container of a pod, and a way to read config maps and secrets. Out: an environment, or the sentence why not.
//! May not know: how containers run.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret};
use kube::{Api, Client};

use super::addresses::PodAddress;
use super::sidecar;

/// Where environment values that stand in other objects come from.
#[derive(Clone)]
pub struct Sources {
    /// The API that holds config maps and secrets.
    pub client: Client,
    /// The node's name.
    pub node: String,
    /// The node's address.
    pub host: IpAddr,
    /// The cluster's name.
    pub cluster: String,
}

/// A container's environment. The error is the message of `CreateContainerConfigError`.
pub async fn of_container(
    pod: &Pod,
    container: &Container,
    address: &PodAddress,
    sources: &Sources,
) -> Result<BTreeMap<String, String>, String> {
    let ip = address.ip;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut env = BTreeMap::from([
        ("HOSTNAME".to_owned(), pod.metadata.name.clone().unwrap_or_default()),
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
    ]);
    let behind = address.http_proxy().filter(|_| !sidecar::is_proxy(container.image.as_deref().unwrap_or_default()));
    env.extend(behind.into_iter().flat_map(sidecar::proxy_variables));
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let values = match (&from.config_map_ref, &from.secret_ref) {
            (Some(r), _) => config_map(sources, namespace, &r.name, r.optional).await?,
            (_, Some(r)) => secret(sources, namespace, &r.name, r.optional).await?,
            _ => None,
        };
        env.extend(values.unwrap_or_default().into_iter().map(|(k, v)| (format!("{prefix}{k}"), v)));
    }
    for var in container.env.iter().flatten() {
        let value = match &var.value_from {
            Some(source) => from_source(pod, source, ip, sources).await?,
            None => Some(expand(var.value.as_deref().unwrap_or_default(), &env)),
        };
        if let Some(value) = value {
            env.insert(var.name.clone(), value);
        }
    }
    Ok(env)
}

async fn from_source(
    pod: &Pod,
    source: &EnvVarSource,
    ip: IpAddr,
    sources: &Sources,
) -> Result<Option<String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &source.field_ref {
        return field_of(pod, &field.field_path, ip, sources).map(Some);
    }
    let (values, kind, name, key, optional) = if let Some(r) = &source.config_map_key_ref {
        (config_map(sources, namespace, &r.name, r.optional).await?, "configmap", &r.name, &r.key, r.optional)
    } else if let Some(r) = &source.secret_key_ref {
        (secret(sources, namespace, &r.name, r.optional).await?, "secret", &r.name, &r.key, r.optional)
    } else {
        return Err("resourceFieldRef: the sandbox does not limit resources, so there is nothing to read".into());
    };
    match values.and_then(|mut v| v.remove(key)) {
        Some(value) => Ok(Some(value)),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("couldn't find key {key} in {kind} {namespace}/{name}")),
    }
}

/// A field of the downward API.
fn field_of(pod: &Pod, path: &str, ip: IpAddr, sources: &Sources) -> Result<String, String> {
    let meta = &pod.metadata;
    let keyed = |map: &Option<BTreeMap<String, String>>, path: &str, start: &str| -> Option<String> {
        let key = path.strip_prefix(start)?.strip_suffix("']")?;
        Some(map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default())
    };
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "spec.nodeName" => sources.node.clone(),
        "spec.serviceAccountName" => {
            let account = pod.spec.as_ref().and_then(|s| s.service_account_name.clone());
            account.unwrap_or_else(|| "default".into())
        }
        "status.podIP" | "status.podIPs" => ip.to_string(),
        "status.hostIP" | "status.hostIPs" => sources.host.to_string(),
        _ => {
            let label = keyed(&meta.labels, path, "metadata.labels['");
            let value = label.or_else(|| keyed(&meta.annotations, path, "metadata.annotations['"));
            value.ok_or_else(|| format!("fieldRef {path} is not supported"))?
        }
    })
}

async fn config_map(
    sources: &Sources,
    namespace: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let found = Api::<ConfigMap>::namespaced(sources.client.clone(), namespace).get_opt(name).await;
    match found.map_err(|e| format!("reading configmap {namespace}/{name}: {e}"))? {
        Some(map) => Ok(Some(map.data.unwrap_or_default())),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("configmap \"{name}\" not found")),
    }
}

async fn secret(
    sources: &Sources,
    namespace: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let found = Api::<Secret>::namespaced(sources.client.clone(), namespace).get_opt(name).await;
    match found.map_err(|e| format!("reading secret {namespace}/{name}: {e}"))? {
        Some(secret) => {
            let text = |(k, v): (String, k8s_openapi::ByteString)| (k, String::from_utf8_lossy(&v.0).into_owned());
            Ok(Some(secret.data.unwrap_or_default().into_iter().map(text).collect()))
        }
        None if optional == Some(true) => Ok(None),
        None => Err(format!("secret \"{name}\" not found")),
    }
}

/// Replaces `$(NAME)` by the value of NAME; an unknown name stays as written, and `$$` stands for one dollar.
pub fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|a| a.split_once(')')) {
            match env.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[at..=at + 2 + name.len()]),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_names_are_expanded_and_unknown_ones_stay() {
        let env = BTreeMap::from([("POD_NAME".to_owned(), "echo-1".to_owned())]);
        let cases = [
            ("id: $(POD_NAME)~x", "id: echo-1~x"),
            ("$(NOPE) $(POD_NAME)", "$(NOPE) echo-1"),
            ("$$(POD_NAME)", "$(POD_NAME)"),
            ("5$ and $x and $(open", "5$ and $x and $(open"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env), expected);
        }
    }

    fn sources() -> Sources {
        let never = tower::service_fn(|_| async {
            Err::<http::Response<kube::client::Body>, std::io::Error>(std::io::Error::other("no API here"))
        });
        let client = Client::new(never, "default");
        Sources { client, node: "node-1".into(), host: IpAddr::from([127, 1, 0, 2]), cluster: "c".into() }
    }

    #[tokio::test]
    async fn the_downward_api_and_earlier_variables_are_read() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
            "spec": {"containers": [{"name": "c", "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "ON", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "ID", "value": "$(POD_NAME).$(APP)"}
            ]}]}
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let env = of_container(&pod, container, &PodAddress::plain([127, 1, 2, 9].into()), &sources()).await.unwrap();
        let expected = [
            ("POD_NAME", "p"),
            ("POD_IP", "127.1.2.9"),
            ("APP", "x"),
            ("ON", "node-1"),
            ("ID", "p.x"),
            ("HOSTNAME", "p"),
        ];
        for (name, value) in expected {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_said() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "settings"}}]}]}
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let said =
            of_container(&pod, container, &PodAddress::plain([127, 1, 2, 9].into()), &sources()).await.unwrap_err();
        assert!(said.contains("configmap n/settings") && said.contains("no API here"), "{said}");
    }
}
