//! Credentials of accounts on a cluster: asked for, and tried. What comes in: a client, an account; or a kubeconfig
//! with a credential inside. What goes out: a token with its end; what it may do and may not. May not know: where a
//! credential is kept.
//! Asking for a token is a POST to a subresource that stores nothing (TokenRequest), and so are access reviews: they
//! are no writes to a cluster's objects and stand here, beside the one writer and not in it. A token is asked for
//! anew after a lost answer: the one that got lost ends by itself and nobody ever saw it.

use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::clients::{REQUEST, Trouble, of_text, trouble_of};
use super::observe::get;
use super::version::version;
use crate::compile::membership::{Credential, Purpose};

/// Something a client may be allowed to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Verb.
    pub verb: String,
    /// API group; empty for core.
    pub group: String,
    /// Plural.
    pub resource: String,
    /// Subresource; empty for the object.
    pub subresource: String,
    /// Namespace; empty for all of them.
    pub namespace: String,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Asked { verb, group, resource, subresource, namespace } = self;
        write!(f, "{verb} {resource}")?;
        [("/", subresource), (".", group)]
            .iter()
            .filter(|(_, p)| !p.is_empty())
            .try_for_each(|(sign, part)| write!(f, "{sign}{part}"))?;
        if namespace.is_empty() { Ok(()) } else { write!(f, " in {namespace}") }
    }
}

async fn post(client: &Client, url: &str, body: &Value) -> Result<Value, Trouble> {
    let request = http::Request::post(url).header(http::header::CONTENT_TYPE, "application/json");
    let request = request.body(body.to_string().into_bytes()).map_err(|e| Trouble::Unreachable(e.to_string()))?;
    match tokio::time::timeout(REQUEST, client.request::<Value>(request)).await {
        Err(_) => Err(Trouble::Unreachable(format!("no answer within {} s", REQUEST.as_secs()))),
        Ok(answer) => answer.map_err(|e| trouble_of(&e)),
    }
}

/// Whether a client may do something (SelfSubjectAccessReview).
///
/// # Errors
/// When the cluster does not answer, or does not let itself be asked.
pub async fn allowed(client: &Client, asked: &Asked) -> Result<bool, Trouble> {
    let Asked { verb, group, resource, subresource, namespace } = asked;
    let attributes = json!({"verb": verb, "group": group, "resource": resource, "subresource": subresource,
        "namespace": namespace});
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes}});
    let answer = post(client, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).await?;
    Ok(answer["status"]["allowed"] == true)
}

/// Which cluster answers: the UID of its kube-system namespace.
///
/// # Errors
/// When the cluster does not answer or does not let its namespaces be read.
pub async fn identity(client: &Client) -> Result<String, Trouble> {
    let namespace = get(client, "/api/v1/namespaces/kube-system").await?;
    let uid = namespace["metadata"]["uid"].as_str().filter(|u| !u.is_empty());
    uid.map(str::to_string)
        .ok_or_else(|| Trouble::Unreachable("what answers is no Kubernetes API: kube-system has no UID".into()))
}

/// A token for a ServiceAccount, good for as long as the server grants of what is asked for (TokenRequest). The server
/// may grant less: `--service-account-max-token-expiration`.
///
/// # Errors
/// When the cluster does not answer, refuses, or answers without a token.
pub async fn mint(
    client: &Client,
    namespace: &str,
    account: &str,
    seconds: u64,
    now: Timestamp,
) -> Result<Credential, Trouble> {
    let url = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds}});
    let answer = post(client, &url, &body).await?;
    let token = answer["status"]["token"].as_str().map(|t| Zeroizing::new(t.to_string()));
    let expires = answer["status"]["expirationTimestamp"].as_str().and_then(|t| t.parse().ok());
    match (token, expires) {
        (Some(token), Some(expires)) => Ok(Credential { token, issued: now, expires }),
        _ => Err(Trouble::Unreachable("the answer to the TokenRequest has no token or no end".into())),
    }
}

/// What a stored credential was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The API server's version.
    pub version: String,
    /// The UID of the cluster it leads to; none where it may not ask (Federation's account reads no namespaces).
    pub uid: Option<String>,
    /// What it is allowed and needs.
    pub allowed: Vec<String>,
    /// What it needs and is not allowed.
    pub missing: Vec<String>,
    /// What it was refused, as it should be.
    pub refused: Vec<String>,
    /// What it should be refused and is allowed.
    pub excessive: Vec<String>,
}

/// Uses a credential: the server's version, what it needs (asked, and one list really read), what it must not have
/// (asked, and one list really refused).
///
/// # Errors
/// When the kubeconfig cannot be read, nobody answers, or the credential is not accepted.
pub async fn verify(kubeconfig: &str, purpose: Purpose) -> Result<Verified, Trouble> {
    let client = of_text(kubeconfig).await.map_err(|e| Trouble::Unreachable(format!("{e:#}")))?;
    let version = version(&client).await?;
    let mut seen =
        Verified { version, uid: None, allowed: vec![], missing: vec![], refused: vec![], excessive: vec![] };
    // Answered to whoever is known; a token that is not accepted ends here with 401.
    let really = get(&client, "/api/v1/services?limit=1").await;
    match really {
        Ok(_) => seen.allowed.push("read services".into()),
        Err(Trouble::Refused { code: 403, .. }) => seen.missing.push("read services".into()),
        Err(other) => return Err(other),
    }
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?limit=1";
    match get(&client, bindings).await {
        Err(Trouble::Refused { code: 403, .. }) => seen.refused.push("read clusterrolebindings".into()),
        Ok(_) => seen.excessive.push("read clusterrolebindings".into()),
        Err(other) => return Err(other),
    }
    seen.uid = identity(&client).await.ok();
    for (list, want) in [(purpose.allowed(), true), (purpose.refused(), false)] {
        for (verb, group, resource) in list {
            let text = |t: &str| t.to_string();
            let asked = Asked { verb: text(verb), group: text(group), resource: text(resource), ..Asked::default() };
            let into = match (allowed(&client, &asked).await?, want) {
                (true, true) => &mut seen.allowed,
                (false, true) => &mut seen.missing,
                (false, false) => &mut seen.refused,
                (true, false) => &mut seen.excessive,
            };
            into.push(asked.to_string());
        }
    }
    Ok(seen)
}
