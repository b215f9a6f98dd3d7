//! What is installed on a fresh cluster of the sandbox, and how clusters are registered with Federation.
//! What comes in: clients. What goes out: objects, as an installer and a registration command leave them.
//! May not know: processes, addresses, who runs what was installed.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::controllers::accounts;
use super::controllers::members::{REGISTRATION, REGISTRATION_KEY};
use super::controllers::write::base64_of;
use super::smh;

/// The name under which the sandbox installs.
const MANAGER: &str = "failctl-sandbox";
/// Gloo's namespace, and the one of registrations.
pub const GLOO: &str = "gloo-system";
/// The namespace of FailoverSchemes in the guide; Federation reads every namespace.
pub const FEDERATION: &str = "gloo-fed";
/// Says that a cluster has been set up: what its users changed since then stays as they left it.
const MARK: &str = "failctl-sandbox";
/// How long a token may take to appear in its Secret.
const TOKEN: Duration = Duration::from_secs(10);

/// Installs objects on a cluster, once in its life. Says whether this was the time.
pub async fn install(client: &Client, objects: &[Value]) -> anyhow::Result<bool> {
    let mark = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": MARK, "namespace": "kube-public"}, "data": {"installed": "true"}});
    let known: Api<DynamicObject> = Api::namespaced_with(client.clone(), "kube-public", &resource(&mark)?);
    if known.get_opt(MARK).await.context("asking what is installed")?.is_some() {
        return Ok(false);
    }
    for object in objects {
        apply(client, object).await?;
    }
    apply(client, &mark).await?;
    Ok(true)
}

/// With whom clusters are registered.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The namespace of the registrations, and of the account on the registered cluster.
    namespace: &'static str,
    /// The name of the account's role.
    role: &'static str,
    /// What the account may do everywhere.
    rules: Value,
    /// Whether the account may reach Services through the API server.
    proxies: bool,
}

impl Registration {
    /// With Gloo Federation.
    pub fn with_federation() -> Registration {
        Registration { namespace: GLOO, role: "gloo-federation-controller", rules: rules(), proxies: true }
    }

    /// With Service Mesh Hub.
    pub fn with_hub() -> Registration {
        let rules = smh::install::rules();
        Registration { namespace: smh::NAMESPACE, role: "smh-remote-access", rules, proxies: false }
    }
}

/// Registers a cluster with another (or itself): an account there, its token in a kubeconfig here.
pub async fn register(
    how: &Registration,
    home: &Client,
    member: &Client,
    cluster: &str,
    server: &str,
    ca: &str,
) -> anyhow::Result<()> {
    let namespace = how.namespace;
    for object in account(how, cluster) {
        apply(member, &object).await?;
    }
    let token = token(member, namespace, &format!("{cluster}-secret")).await?;
    let kubeconfig = kubeconfig(cluster, server, ca, &token);
    apply(home, &json!({
        "apiVersion": "v1", "kind": "Secret", "type": REGISTRATION,
        "metadata": {"name": cluster, "namespace": namespace}, "data": {REGISTRATION_KEY: base64_of(&kubeconfig.to_string())},
    }))
    .await?;
    let body = json!({
        "apiVersion": "multicluster.solo.io/v1alpha1", "kind": "KubernetesCluster",
        "metadata": {"name": cluster, "namespace": namespace},
        "spec": {"secretName": cluster, "clusterDomain": "cluster.local"},
    });
    apply(home, &body).await?;
    let status = json!({"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": body["metadata"],
        "status": {"namespace": namespace, "policyRules": how.rules}});
    let api: Api<DynamicObject> = Api::namespaced_with(home.clone(), namespace, &resource(&body)?);
    let params = PatchParams::apply(MANAGER).force();
    api.patch_status(cluster, &params, &Patch::Apply(&status))
        .await
        .context("writing the KubernetesCluster's status")?;
    Ok(())
}

/// What Federation may do on a registered cluster. There is no rule for Secrets: it can neither make nor check
/// the certificates that failover needs.
fn rules() -> Value {
    let look = json!(["get", "list", "watch"]);
    json!([
        {"apiGroups": ["gloo.solo.io", "gateway.solo.io", "enterprise.gloo.solo.io", "graphql.gloo.solo.io",
            "ratelimit.solo.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": look},
        {"apiGroups": [""], "resources": ["pods", "nodes", "services"], "verbs": look},
    ])
}

/// The account that a management plane uses on a cluster, its roles, and the Secret its token appears in.
fn account(how: &Registration, cluster: &str) -> Vec<Value> {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let (role, namespace) = (how.role, how.namespace);
    let subject = json!([{"kind": "ServiceAccount", "name": cluster, "namespace": namespace}]);
    let to = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": cluster, "namespace": namespace}}),
    ];
    if how.proxies {
        all.extend([
            json!({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": role, "namespace": namespace},
                "rules": [{"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}]}),
            json!({"apiVersion": RBAC, "kind": "RoleBinding", "roleRef": to("Role"), "subjects": subject,
                "metadata": {"name": format!("{cluster}-{role}-role-binding"), "namespace": namespace}}),
        ]);
    }
    all.extend([
        json!({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": role}, "rules": how.rules}),
        json!({"apiVersion": RBAC, "kind": "ClusterRoleBinding", "roleRef": to("ClusterRole"), "subjects": subject,
            "metadata": {"name": format!("{cluster}-{role}-clusterrole-binding")}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": accounts::TOKEN_TYPE,
            "metadata": {"name": format!("{cluster}-secret"), "namespace": namespace,
                "annotations": {accounts::ACCOUNT: cluster}}}),
    ]);
    all
}

/// One cluster, one user, one context, all named after the cluster.
fn kubeconfig(cluster: &str, server: &str, ca: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": base64_of(ca)}}],
        "users": [{"name": cluster, "user": {"token": token}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
    })
}

/// Waits for the token that a controller puts into a Secret.
async fn token(client: &Client, namespace: &str, secret: &str) -> anyhow::Result<String> {
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client.clone(), namespace);
    let filled = async {
        loop {
            let found = secrets.get(secret).await?;
            if let Some(token) = found.data.and_then(|mut d| d.remove("token")) {
                return Ok::<_, kube::Error>(token.0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ok(token) = tokio::time::timeout(TOKEN, filled).await else {
        bail!("no token appeared in Secret {namespace}/{secret} within {} s", TOKEN.as_secs());
    };
    String::from_utf8(token?).context("the token is no text")
}

/// Applies one object, forced.
pub async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let resource = resource(object)?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").context("an object without a name")?;
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply(MANAGER).force();
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.with_context(|| format!("installing {} {name}", resource.kind)).map(drop)
}

fn resource(object: &Value) -> anyhow::Result<ApiResource> {
    let text = |field: &str| object[field].as_str().with_context(|| format!("an object without {field}"));
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

/// The bytes of base64 text, for tests that look into Secrets.
pub fn bytes_of(base64: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(base64).ok()
}
