//! VirtualService, gateway.solo.io/v1: the routes failctl adds
//! (solo-io/gloo, `projects/gateway/api/v1/virtual_service.proto`, `projects/gloo/api/v1/options/retries`).

use serde::Serialize;

use super::{Kind, ProtoDuration, Reference};

/// `spec`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// Its virtual host.
    pub virtual_host: VirtualHost,
}

impl Kind for VirtualService {
    const API_VERSION: &'static str = "gateway.solo.io/v1";
    const KIND: &'static str = "VirtualService";
}

/// Domains and their routes.
#[derive(Clone, Debug, Serialize)]
pub struct VirtualHost {
    /// Domains; `*` for all.
    pub domains: Vec<String>,
    /// Routes; the first that matches answers.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// What it matches.
    pub matchers: Vec<Matcher>,
    /// Name.
    pub name: String,
    /// Options.
    #[serde(skip_serializing_if = "RouteOptions::is_empty")]
    pub options: RouteOptions,
    /// Where it goes.
    pub route_action: RouteAction,
}

/// What a route matches.
#[derive(Clone, Debug, Serialize)]
pub struct Matcher {
    /// Methods; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<&'static str>,
    /// Path prefix.
    pub prefix: String,
}

/// Options of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RouteOptions {
    /// Retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Time a whole request may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<ProtoDuration>,
}

impl RouteOptions {
    fn is_empty(&self) -> bool {
        *self == RouteOptions::default()
    }
}

/// Retries.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Retries after the first attempt.
    pub num_retries: u32,
    /// Time one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<ProtoDuration>,
    /// Leaves priorities that were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_priorities: Option<PreviousPriorities>,
    /// Envoy's conditions, separated by commas.
    pub retry_on: String,
}

/// Envoy's previous_priorities predicate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousPriorities {
    /// After how many attempts the priorities tried are left.
    pub update_frequency: u32,
}

/// Where a route goes.
#[derive(Clone, Debug, Serialize)]
pub struct RouteAction {
    /// To one destination.
    pub single: Destination,
}

/// A destination.
#[derive(Clone, Debug, Serialize)]
pub struct Destination {
    /// An Upstream.
    pub upstream: Reference,
}
