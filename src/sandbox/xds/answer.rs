//! Answers to one Envoy, ready to be sent: by what they are about, each with its version.
//! What comes in: resources. What goes out: DiscoveryResponses.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::envoy::config::Resources;

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// LDS.
    Listeners,
    /// RDS.
    Routes,
    /// CDS.
    Clusters,
    /// EDS.
    Endpoints,
    /// SDS.
    Secrets,
}

impl Kind {
    /// By the last part of the request's path.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.strip_prefix("/v3/discovery:")? {
            "listeners" => Some(Kind::Listeners),
            "routes" => Some(Kind::Routes),
            "clusters" => Some(Kind::Clusters),
            "endpoints" => Some(Kind::Endpoints),
            "secrets" => Some(Kind::Secrets),
            _ => None,
        }
    }

    fn type_url(self) -> &'static str {
        match self {
            Kind::Listeners => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Kind::Routes => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Kind::Clusters => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Kind::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Kind::Secrets => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        }
    }

    /// Whether it names clusters, so that it must not arrive before them.
    pub fn needs_clusters(self) -> bool {
        matches!(self, Kind::Listeners | Kind::Routes | Kind::Endpoints)
    }
}

/// A DiscoveryResponse and the version in it: a digest of what it carries.
#[derive(Clone)]
pub struct Answer {
    /// Version.
    pub version: String,
    /// The body.
    pub body: Bytes,
}

/// The configuration of one Envoy.
#[derive(Default)]
pub struct Made {
    /// CDS and LDS: everything in one answer.
    whole: BTreeMap<Kind, Answer>,
    /// RDS, EDS and SDS: one answer for each name.
    named: BTreeMap<(Kind, String), Answer>,
}

impl Made {
    /// From resources, and secrets by name.
    pub fn new(resources: Resources, secrets: BTreeMap<String, Value>) -> Self {
        let Resources { listeners, routes, clusters, endpoints } = resources;
        let whole = |kind: Kind, all: BTreeMap<String, Value>| (kind, answer(kind, all.into_values().collect()));
        let named = |kind: Kind, all: BTreeMap<String, Value>| {
            all.into_iter().map(move |(name, one)| ((kind, name), answer(kind, vec![one])))
        };
        Made {
            whole: [whole(Kind::Listeners, listeners), whole(Kind::Clusters, clusters)].into(),
            named: named(Kind::Routes, routes)
                .chain(named(Kind::Endpoints, endpoints))
                .chain(named(Kind::Secrets, secrets))
                .collect(),
        }
    }

    /// The answer to a subscription.
    pub fn answer(&self, kind: Kind, names: &[String]) -> Option<&Answer> {
        match kind {
            Kind::Listeners | Kind::Clusters => self.whole.get(&kind),
            Kind::Routes | Kind::Endpoints | Kind::Secrets => self.named.get(&(kind, names.first()?.clone())),
        }
    }
}

fn answer(kind: Kind, resources: Vec<Value>) -> Answer {
    let resources = Value::Array(resources);
    let digest = Sha256::digest(resources.to_string());
    let version = hex::encode(&digest[..8]);
    let body = json!({ "version_info": version, "type_url": kind.type_url(), "resources": resources });
    Answer { version, body: Bytes::from(body.to_string()) }
}
