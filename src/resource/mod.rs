//! The Kubernetes resources failctl writes and reads, as typed structs: only fields that failctl writes, and nothing
//! is written that was not said. What comes in: typed parts. What goes out: JSON bodies.
//! May not know: who asks for them, clusters, waves.

pub mod failover_scheme;
pub mod gateway;
pub mod istio;
pub mod secret;
pub mod service;
pub mod upstream;
pub mod virtual_service;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::model::duration::Millis;

/// Group, version and kind of a type of resource.
pub trait Kind {
    /// `apiVersion`.
    const API_VERSION: &'static str;
    /// `kind`.
    const KIND: &'static str;
}

/// A resource with a spec.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object<S> {
    /// `apiVersion`.
    pub api_version: &'static str,
    /// `kind`.
    pub kind: &'static str,
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    pub spec: S,
}

impl<S: Kind + Serialize> Object<S> {
    /// A resource of this kind.
    pub fn new(metadata: Meta, spec: S) -> Self {
        Object { api_version: S::API_VERSION, kind: S::KIND, metadata, spec }
    }

    /// As JSON.
    pub fn body(&self) -> Value {
        body(self)
    }
}

/// A resource as JSON.
pub fn body(resource: &impl Serialize) -> Value {
    serde_json::to_value(resource).expect("resources have text keys and finite numbers")
}

/// What failctl writes into metadata.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Meta {
    /// Name and namespace.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Meta { name: name.into(), namespace: namespace.into(), labels: BTreeMap::new() }
    }

    /// With labels beside those that are there.
    pub fn labels<'a>(mut self, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.labels.extend(more.into_iter().map(|(k, v)| (k.to_string(), v.to_string())));
        self
    }
}

/// Name and namespace of an object in the same cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
}

impl Reference {
    /// Name and namespace.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Reference { name: name.into(), namespace: namespace.into() }
    }
}

/// An object that is there and says nothing: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

/// A length of time as the JSON form of protocol buffers has it: seconds, `0.5s`. Go's parser takes it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtoDuration(pub Millis);

impl From<Millis> for ProtoDuration {
    fn from(time: Millis) -> Self {
        ProtoDuration(time)
    }
}

impl Serialize for ProtoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Millis(ms) = self.0;
        match ms % 1000 {
            0 => serializer.collect_str(&format_args!("{}s", ms / 1000)),
            part => {
                let digits = format!("{part:03}");
                serializer.collect_str(&format_args!("{}.{}s", ms / 1000, digits.trim_end_matches('0')))
            }
        }
    }
}
