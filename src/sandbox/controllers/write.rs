//! What a controller wants written, and the one place where the controllers' writes are sent.
//! What comes in: `Write` values. What goes out: the server's answers, put into what was observed.
//! May not know: why something is written.

use anyhow::Context as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use super::cache::Cache;
use super::kind::Kind;
use super::object::{name, namespace, uid};

/// Which object.
#[derive(Clone, Debug, PartialEq)]
pub struct Ref {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its uid when it was observed: nobody else of that name is meant.
    pub uid: String,
}

impl Ref {
    /// The reference to an object that was observed.
    pub fn to(kind: Kind, object: &Value) -> Self {
        Ref { kind, namespace: namespace(object).into(), name: name(object).into(), uid: uid(object).into() }
    }
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Creates an object; its kind is read from itself.
    Create(Value),
    /// Changes parts of an object (JSON merge patch).
    Merge {
        /// Which object.
        of: Ref,
        /// `status`, or the object itself.
        subresource: Option<&'static str>,
        /// The parts.
        patch: Value,
    },
    /// Applies the fields this controller owns (server-side apply, forced).
    Apply(Value),
    /// Deletes an object.
    Delete(Ref),
    /// Deletes a dependent, if its owner is really gone: the watch may lag behind.
    Collect {
        /// What would be deleted.
        dependent: Ref,
        /// The owners it names.
        owners: Vec<Ref>,
    },
    /// Binds a Pod to a Node.
    Bind {
        /// The Pod.
        pod: Ref,
        /// The Node's name.
        node: String,
    },
    /// Fills a Secret of type `kubernetes.io/service-account-token`.
    Token {
        /// The Secret.
        secret: Ref,
        /// The ServiceAccount.
        account: String,
    },
}

/// A writer: a client, and the name under which it writes.
#[derive(Clone)]
pub struct Writer {
    /// The client.
    pub client: kube::Client,
    /// The field manager.
    pub manager: &'static str,
    /// The PEM of the server's root, for service account tokens.
    pub root: Option<String>,
}

impl Writer {
    /// Sends one write. The answer goes into the cache, so that the next decision knows of it.
    /// That an object is gone or already there is no error: what was observed will catch up.
    pub async fn send(&self, write: &Write, cache: &Cache) -> anyhow::Result<()> {
        match self.attempt(write, cache).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
            other => other.with_context(|| describe(write)),
        }
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = kind.resource();
        match kind.namespaced() {
            true => Api::namespaced_with(self.client.clone(), namespace, &resource),
            false => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn attempt(&self, write: &Write, cache: &Cache) -> kube::Result<()> {
        let params = PatchParams { field_manager: Some(self.manager.into()), ..PatchParams::default() };
        match write {
            Write::Create(body) => {
                let Some(kind) = Kind::of(body) else { return Ok(()) };
                let post = PostParams { field_manager: Some(self.manager.into()), ..PostParams::default() };
                let object = serde_json::from_value(body.clone()).map_err(kube::Error::SerdeError)?;
                cache.answer(kind, self.api(kind, namespace(body)).create(&post, &object).await?);
            }
            Write::Merge { of, subresource, patch } => {
                let api = self.api(of.kind, &of.namespace);
                // The uid makes the server refuse (409) when another object took the name meanwhile.
                let patch = with_uid(patch.clone(), &of.uid);
                let answer = match subresource {
                    Some("status") => api.patch_status(&of.name, &params, &Patch::Merge(&patch)).await?,
                    Some(other) => api.patch_subresource(other, &of.name, &params, &Patch::Merge(&patch)).await?,
                    None => api.patch(&of.name, &params, &Patch::Merge(&patch)).await?,
                };
                cache.answer(of.kind, answer);
            }
            Write::Apply(body) => {
                let Some(kind) = Kind::of(body) else { return Ok(()) };
                let params = params.force();
                let api = self.api(kind, namespace(body));
                cache.answer(kind, api.patch(name(body), &params, &Patch::Apply(body)).await?);
            }
            Write::Delete(of) => self.delete(of, cache).await?,
            Write::Collect { dependent, owners } => {
                for owner in owners {
                    let found = self.api(owner.kind, &owner.namespace).get_opt(&owner.name).await?;
                    if found.is_some_and(|o| o.metadata.uid.as_deref() == Some(&owner.uid)) {
                        return Ok(());
                    }
                }
                self.delete(dependent, cache).await?;
            }
            Write::Bind { pod, node } => self.bind(pod, node).await?,
            Write::Token { secret, account } => self.token(secret, account, cache).await?,
        }
        Ok(())
    }

    async fn delete(&self, of: &Ref, cache: &Cache) -> kube::Result<()> {
        let preconditions = Some(Preconditions { uid: Some(of.uid.clone()), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        match self.api(of.kind, &of.namespace).delete(&of.name, &params).await?.left() {
            Some(object) if object.metadata.deletion_timestamp.is_some() => cache.answer(of.kind, object),
            _ => cache.gone(of),
        }
        Ok(())
    }

    async fn bind(&self, pod: &Ref, node: &str) -> kube::Result<()> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let post = PostParams { field_manager: Some(self.manager.into()), ..PostParams::default() };
        let api = self.api(Kind::Pod, &pod.namespace);
        let _: Value = api.create_subresource("binding", &pod.name, &post, &binding).await?;
        Ok(())
    }

    async fn token(&self, secret: &Ref, account: &str, cache: &Cache) -> kube::Result<()> {
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            // The longest a server gives; a cluster's own token controller signs such Secrets without an end.
            "spec": {"expirationSeconds": 10 * 365 * 24 * 3600},
        });
        let accounts = self.api(Kind::ServiceAccount, &secret.namespace);
        let answer: Value = accounts.create_subresource("token", account, &PostParams::default(), &request).await?;
        let Some(token) = answer.pointer("/status/token").and_then(Value::as_str) else { return Ok(()) };
        let mut text = json!({"token": token, "namespace": secret.namespace});
        if let Some(root) = &self.root {
            text["ca.crt"] = json!(root);
        }
        let data: serde_json::Map<String, Value> = text
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), json!(base64_of(v.as_str().unwrap_or_default()))))
            .collect();
        let patch = with_uid(json!({"data": data}), &secret.uid);
        let secrets = self.api(Kind::Secret, &secret.namespace);
        let answer = secrets.patch(&secret.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        cache.answer(Kind::Secret, answer);
        Ok(())
    }
}

/// Base64 as Secrets carry it.
pub fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn with_uid(mut patch: Value, uid: &str) -> Value {
    if !uid.is_empty() {
        patch["metadata"]["uid"] = json!(uid);
    }
    patch
}

/// What a write was to do, in a few words; never the contents of a Secret.
fn describe(write: &Write) -> String {
    match write {
        Write::Create(body) => format!("creating {} {}/{}", body["kind"], namespace(body), name(body)),
        Write::Merge { of, subresource, .. } => format!("patching {of} {}", subresource.unwrap_or_default()),
        Write::Apply(body) => format!("applying {} {}/{}", body["kind"], namespace(body), name(body)),
        Write::Delete(of) => format!("deleting {of}"),
        Write::Collect { dependent, .. } => format!("collecting {dependent}"),
        Write::Bind { pod, node } => format!("binding {pod} to {node}"),
        Write::Token { secret, account } => format!("filling {secret} for {account}"),
    }
}
