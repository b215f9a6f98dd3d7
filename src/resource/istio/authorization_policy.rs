//! AuthorizationPolicy, security.istio.io (istio/api, `security/v1/authorization_policy.proto`): who may call Pods.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resource::Kind;

/// `spec`.
#[derive(Clone, Debug, Serialize)]
pub struct AuthorizationPolicy {
    /// `ALLOW`: with one such policy on a Pod, what none of them allows is refused.
    pub action: &'static str,
    /// What is allowed: any of these.
    pub rules: Vec<Rule>,
    /// The Pods.
    pub selector: Selector,
}

impl Kind for AuthorizationPolicy {
    const API_VERSION: &'static str = "security.istio.io/v1";
    const KIND: &'static str = "AuthorizationPolicy";
}

/// What is allowed.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Callers: any of these.
    pub from: Vec<From>,
}

/// Callers.
#[derive(Clone, Debug, Serialize)]
pub struct From {
    /// Who.
    pub source: Source,
}

/// Callers by their identity.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Their namespaces, in whatever cluster: the identity says them.
    pub namespaces: Vec<String>,
}

/// Pods by their labels.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// All of these.
    pub match_labels: BTreeMap<String, String>,
}

impl AuthorizationPolicy {
    /// Lets in whoever runs in one of these namespaces, and nobody else.
    pub fn only(namespaces: Vec<String>, match_labels: BTreeMap<String, String>) -> Self {
        let rule = Rule { from: vec![From { source: Source { namespaces } }] };
        AuthorizationPolicy { action: "ALLOW", rules: vec![rule], selector: Selector { match_labels } }
    }
}
