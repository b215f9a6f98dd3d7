//! What clusters hold → a world. What comes in: clients and what is wanted. What goes out: a world in which a cluster
//! that could not be read says why. May not know: what the objects mean.

use std::collections::BTreeMap;

use futures::StreamExt;
use kube::Client;
use serde_json::{Map, Value};

use super::clients::{Clients, REQUEST, Trouble, trouble_of};
use super::kinds::{KindOf, url_of};
use crate::manifest::{Gvk, Manifest, ObjectKey, Objects, World, key_of};
use crate::model::name::ClusterName;

/// Objects one list request brings at most; more come in further requests.
const PAGE: usize = 500;
/// Up to this many objects of one kind and namespace are read by name; more by listing.
const BY_NAME: usize = 4;
/// Requests under way at one cluster.
const PARALLEL: usize = 16;

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Want {
    /// Where; every cluster of the clients when none.
    pub cluster: Option<ClusterName>,
    /// The kind.
    pub gvk: Gvk,
    /// In this namespace; in all of them when none.
    pub namespace: Option<String>,
    /// This object; all of the kind when none.
    pub name: Option<String>,
    /// Only objects with these labels, for example `app.kubernetes.io/managed-by=failctl`.
    pub labels: Option<String>,
}

impl Want {
    /// All objects of a kind on every cluster.
    pub fn all(api_version: &str, kind: &str) -> Want {
        Want { cluster: None, gvk: Gvk::new(api_version, kind), namespace: None, name: None, labels: None }
    }

    /// Only on this cluster.
    pub fn on(self, cluster: &ClusterName) -> Want {
        Want { cluster: Some(cluster.clone()), ..self }
    }

    /// Only in this namespace.
    pub fn within(self, namespace: impl Into<String>) -> Want {
        Want { namespace: Some(namespace.into()), ..self }
    }

    /// Only the object of this name.
    pub fn named(self, name: impl Into<String>) -> Want {
        Want { name: Some(name.into()), ..self }
    }

    /// Only objects with these labels.
    pub fn labelled(self, selector: impl Into<String>) -> Want {
        Want { labels: Some(selector.into()), ..self }
    }

    /// What must be read to compare with these manifests: few objects by name, many by listing their namespace.
    pub fn for_manifests(desired: &[Manifest]) -> Vec<Want> {
        let mut groups: BTreeMap<(ClusterName, Gvk, Option<String>), Vec<&str>> = BTreeMap::new();
        for ObjectKey { cluster, gvk, namespace, name } in desired.iter().map(|m| &m.key) {
            groups.entry((cluster.clone(), gvk.clone(), namespace.clone())).or_default().push(name);
        }
        let mut wants = Vec::new();
        for ((cluster, gvk, namespace), mut names) in groups {
            names.sort_unstable();
            names.dedup();
            let all = Want { cluster: Some(cluster), gvk, namespace, name: None, labels: None };
            if names.len() > BY_NAME {
                wants.push(all);
            } else {
                wants.extend(names.into_iter().map(|n| all.clone().named(n)));
            }
        }
        wants
    }
}

/// Reads what is wanted, all clusters side by side. A kind that a cluster does not know has no objects there.
pub async fn observe(clients: &Clients, wants: &[Want]) -> World {
    let clusters: Vec<_> = clients.clusters().cloned().collect();
    let reads = clusters.into_iter().filter_map(|cluster| {
        let mine = |w: &&Want| w.cluster.as_ref().is_none_or(|c| *c == cluster);
        let wants: Vec<_> = wants.iter().filter(mine).cloned().collect();
        (!wants.is_empty()).then_some(async move { (cluster.clone(), one(clients, &cluster, wants).await) })
    });
    World { clusters: futures::future::join_all(reads).await.into_iter().collect() }
}

async fn one(clients: &Clients, cluster: &ClusterName, wants: Vec<Want>) -> Objects {
    let mut objects = Objects::default();
    let client = match clients.client(cluster.as_str()).await {
        Ok(client) => client,
        Err(e) => return Objects { unreachable: Some(e.to_string()), ..objects },
    };
    let reads = wants.into_iter().map(|want| {
        let client = client.clone();
        async move {
            let read = read(&client, &want).await;
            (want, read)
        }
    });
    let mut reads = futures::stream::iter(reads).buffered(PARALLEL);
    while let Some((want, read)) = reads.next().await {
        match read {
            Ok(bodies) => objects.by_key.extend(bodies.into_iter().filter_map(|b| Some((key_of(cluster, &b)?, b)))),
            Err(e) if e.is_missing() => {}
            Err(Trouble::Unreachable(why)) => {
                objects.unreachable = Some(why);
                break;
            }
            Err(refused) => {
                let why = format!("{} may not be read: {refused}", want.gvk.kind);
                objects.unreachable.get_or_insert(why);
            }
        }
    }
    objects
}

async fn read(client: &Client, want: &Want) -> Result<Vec<Value>, Trouble> {
    let kind = KindOf::find(client, &want.gvk).await?;
    let url = url_of(&want.gvk, &kind, want.namespace.as_deref(), want.name.as_deref());
    if want.name.is_some() {
        return Ok(vec![get(client, &url).await?]);
    }
    let mut bodies = Vec::new();
    let mut query = form(&[("limit", Some(&PAGE.to_string())), ("labelSelector", want.labels.as_deref())]);
    loop {
        let mut page = match get(client, &format!("{url}?{query}")).await {
            // The list grew too old between two pages: once more, in one piece.
            Err(Trouble::Refused { code: 410, .. }) => {
                bodies.clear();
                get(client, &format!("{url}?{}", form(&[("labelSelector", want.labels.as_deref())]))).await?
            }
            other => other?,
        };
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            bodies.extend(items.into_iter().map(|i| typed(i, &want.gvk)));
        }
        let next = page["metadata"]["continue"].as_str().unwrap_or("").to_string();
        if next.is_empty() {
            return Ok(bodies);
        }
        let limit = PAGE.to_string();
        query = form(&[("limit", Some(&limit)), ("labelSelector", want.labels.as_deref()), ("continue", Some(&next))]);
    }
}

fn form(pairs: &[(&str, Option<&str>)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(pairs.iter().filter_map(|(k, v)| Some((*k, (*v)?))));
    text.finish()
}

/// One GET with a deadline.
pub(super) async fn get(client: &Client, url: &str) -> Result<Value, Trouble> {
    let request = http::Request::get(url).body(Vec::new()).map_err(|e| Trouble::Unreachable(e.to_string()))?;
    match tokio::time::timeout(REQUEST, client.request::<Value>(request)).await {
        Err(_) => Err(Trouble::Unreachable(format!("no answer within {} s", REQUEST.as_secs()))),
        Ok(answer) => answer.map_err(|e| trouble_of(&e)),
    }
}

/// Items of a list do not say what they are; objects do.
fn typed(item: Value, gvk: &Gvk) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".into(), gvk.api_version().into());
    object.insert("kind".into(), gvk.kind.clone().into());
    if let Value::Object(fields) = item {
        fields
            .into_iter()
            .filter(|(k, _)| k != "apiVersion" && k != "kind")
            .for_each(|(k, v)| drop(object.insert(k, v)));
    }
    Value::Object(object)
}
