//! Trust domains. Each cluster has its own, and Istio's inbound side accepts callers of its own alone, so the clusters
//! that are failed over to must list the callers' domains in `trustDomainAliases` (istio/api, `mesh/v1alpha1`). That is a
//! line in a text of somebody else's ConfigMap: it is added, and nothing else of the text is touched.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::intent::Intent;
use super::{Job, Objects};
use crate::compile::gloo::names::FLEET;
use crate::compile::site::{ALIASES_ANNOTATION, MeshConfig};
use crate::manifest::{Hold, Manifest, Wave, key_of};
use crate::model::fleet::{Cluster, Istio};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::yaml;

/// The field.
const FIELD: &str = "trustDomainAliases";
/// Istio's ConfigMap and the key in it.
const NAME: &str = "istio";

/// Writes the aliases that are needed, or says where nobody can tell whether they are there.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let mut needed: BTreeMap<&ClusterName, BTreeSet<String>> = BTreeMap::new();
    let calls = intent.calls();
    for (from, to) in &calls {
        let (Some((near, _)), Some((far, _))) = (job.cluster(from), job.cluster(to)) else { continue };
        let (caller, called) = (job.site.trust_domain(near), job.site.trust_domain(far));
        needed.entry(to).or_default().extend((caller != called).then_some(caller));
    }
    let all: BTreeSet<_> = calls.into_iter().flat_map(|(from, to)| [from, to]).collect();
    for (cluster, _) in all.into_iter().filter_map(|c| job.cluster(c)) {
        problems.extend(otherwise(job, cluster));
    }
    for (cluster, domains) in needed {
        let Some((cluster, istio)) = job.cluster(cluster).filter(|_| !domains.is_empty()) else { continue };
        match job.site.meshes.get(&cluster.name) {
            Some(mesh) => {
                if let Some(manifest) = manifest(cluster, istio, mesh, &domains) {
                    objects.insert(manifest, FLEET);
                }
            }
            None if job.site.draft || job.site.unread.contains_key(&cluster.name) => {
                objects.insert(config(cluster, istio, "", "", None), FLEET);
            }
            None => problems.push(unseen(cluster, istio, &domains)),
        }
    }
}

/// The fleet's word on a trust domain, against the installed one.
fn otherwise(job: &Job<'_>, cluster: &Cluster) -> Option<Problem> {
    let said = cluster.trust_domain.as_ref()?;
    let mesh = job.site.meshes.get(&cluster.name)?;
    let installed = mesh.trust_domain().unwrap_or_else(|| crate::model::mesh::TRUST_DOMAIN.into());
    if installed == *said {
        return None;
    }
    let what = format!(
        "the fleet gives `{}` the trust domain {said}, and its Istio is installed with {installed}: callers would refuse its \
         workloads",
        cluster.name
    );
    let index = job.fleet.clusters.get_index_of(&cluster.name)?;
    let hint = format!("write trustDomain: {installed}, or install Istio with meshConfig.trustDomain={said}");
    Some(Problem::error("FCT0350", what).hint(hint).about_fleet(format!("/spec/clusters/{index}/trustDomain")))
}

fn unseen(cluster: &Cluster, istio: &Istio, domains: &BTreeSet<String>) -> Problem {
    let list = domains.iter().cloned().collect::<Vec<_>>().join(", ");
    let what = format!(
        "on `{}` the mesh configuration (ConfigMap {}/{NAME}, key mesh) must have {FIELD}: [{list}], or its sidecars refuse \
         the callers",
        cluster.name, istio.namespace
    );
    let hint = "`failctl apply` adds it; by hand: meshConfig.trustDomainAliases of istioctl or Helm";
    Problem::note("FCT0351", what).hint(hint)
}

/// The ConfigMap with the aliases; nothing when they were there without failctl.
fn manifest(cluster: &Cluster, istio: &Istio, mesh: &MeshConfig, domains: &BTreeSet<String>) -> Option<Manifest> {
    let there = mesh.aliases();
    let missing: Vec<_> = domains.iter().filter(|d| !there.contains(d)).cloned().collect();
    let ours: BTreeSet<String> = mesh.added.iter().filter(|a| there.contains(a)).chain(&missing).cloned().collect();
    if ours.is_empty() {
        return None;
    }
    let wanted: Vec<_> = there.iter().chain(&missing).cloned().collect();
    let without: Vec<_> = there.iter().filter(|a| !ours.contains(*a)).cloned().collect();
    let record = ours.into_iter().collect::<Vec<_>>().join(",");
    Some(config(cluster, istio, &edited(mesh, &wanted), &edited(mesh, &without), Some(&record)))
}

fn config(cluster: &Cluster, istio: &Istio, text: &str, without: &str, record: Option<&str>) -> Manifest {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": istio.namespace.as_str(),
            "annotations": { ALIASES_ANNOTATION: record.unwrap_or_default() },
        },
        "data": { "mesh": text },
    });
    let key = key_of(&cluster.name, &body).expect("it has apiVersion, kind and name");
    let hold = Hold::Text {
        path: ["data", "mesh"].map(str::to_string).to_vec(),
        annotation: ALIASES_ANNOTATION.into(),
        without: without.into(),
    };
    Manifest { key, body, hold, wave: Wave::Gateways }
}

/// The text with this list of aliases. Other lines stay as they are, comments too, where the text is written in lines;
/// a text in JSON's form is written anew.
fn edited(mesh: &MeshConfig, aliases: &[String]) -> String {
    let mut value = mesh.value().unwrap_or_default();
    if value.is_null() {
        value = json!({});
    }
    match value.as_object_mut() {
        Some(map) if aliases.is_empty() => drop(map.shift_remove(FIELD)),
        Some(map) => drop(map.insert(FIELD.into(), aliases.into())),
        None => return mesh.text.clone(),
    }
    let text = spliced(&mesh.text, aliases);
    let reads = MeshConfig { text, added: Vec::new() };
    let same = reads.value().is_some_and(|v| v == value || (v.is_null() && value == json!({})));
    if same { reads.text } else { yaml::emit(&value) }
}

fn spliced(text: &str, aliases: &[String]) -> String {
    let block = if aliases.is_empty() { String::new() } else { yaml::emit(&json!({ FIELD: aliases })) };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(start) = lines.iter().position(|l| l.starts_with(&format!("{FIELD}:"))) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{gap}{block}");
    };
    let inside = |l: &&&str| l.starts_with([' ', '-', '\t']) && !l.starts_with("---");
    let length = 1 + lines[start + 1..].iter().take_while(inside).count();
    format!("{}{block}{}", lines[..start].concat(), lines[start + length..].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn mesh(text: &str) -> MeshConfig {
        MeshConfig { text: text.into(), added: Vec::new() }
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| w.to_string()).collect()
    }

    #[test]
    fn only_the_aliases_change_and_every_other_line_stays() {
        let before = "# ours\ntrustDomain: kind3\ndefaultConfig:\n  discoveryAddress: istiod:15012 # here\n";
        let after = edited(&mesh(before), &list(&["kind2"]));
        assert_eq!(after, format!("{before}trustDomainAliases:\n- kind2\n"));
        let more = edited(&mesh(&after), &list(&["kind2", "kind1"]));
        assert_eq!(more, format!("{before}trustDomainAliases:\n- kind2\n- kind1\n"));
        assert_eq!(edited(&mesh(&more), &[]), before);
    }

    #[test]
    fn a_list_in_the_middle_is_replaced_where_it_stands() {
        let before = "trustDomainAliases:\n  - old\ntrustDomain: kind3\n";
        assert_eq!(
            edited(&mesh(before), &list(&["old", "kind2"])),
            "trustDomainAliases:\n- old\n- kind2\ntrustDomain: kind3\n"
        );
        let flow = "trustDomainAliases: [old]\ntrustDomain: kind3";
        assert_eq!(edited(&mesh(flow), &list(&["a"])), "trustDomainAliases:\n- a\ntrustDomain: kind3");
    }

    #[test]
    fn other_forms_keep_their_meaning() {
        let read = |text: &str| mesh(text).value().unwrap();
        let json = edited(&mesh("{\"trustDomain\": \"kind3\"}"), &list(&["kind2"]));
        assert_eq!(read(&json), json!({ "trustDomain": "kind3", FIELD: ["kind2"] }));
        assert_eq!(read(&edited(&mesh(""), &list(&["kind2"]))), json!({ FIELD: ["kind2"] }));
        assert_eq!(edited(&mesh("- not a mapping\n"), &list(&["kind2"])), "- not a mapping\n");
        let unended = edited(&mesh("trustDomain: kind3"), &list(&["kind2"]));
        assert_eq!(read(&unended), json!({ "trustDomain": "kind3", FIELD: ["kind2"] }));
    }

    #[test]
    fn the_value_is_read_from_the_text() {
        let config = mesh("trustDomain: kind3\ntrustDomainAliases: [a, b]\n");
        assert_eq!(config.trust_domain().as_deref(), Some("kind3"));
        assert_eq!(config.aliases(), ["a", "b"]);
        assert_eq!(mesh("").value(), Some(Value::Null));
    }
}
