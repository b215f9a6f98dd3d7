//! FailoverServices as chains. Ports are chosen, not poured together: a backend's only port, else the one with the
//! failover's number, else nobody can tell. (Service Mesh Hub chained every port of every backend.)

use super::outlier::Watched;
use super::{Job, origin};
use crate::compile::istio::intent::{Backend, Chain, Manner, Origin};
use crate::model::failover::{OutlierDetection, ServiceRef};
use crate::model::problem::Problem;
use crate::model::smh::{FailoverService, ServiceAt};

/// Every chain that can be made.
pub fn chains(job: &mut Job<'_>, watched: &Watched) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    for service in job.failovers() {
        let origin = origin("FailoverService", &service.reference);
        if let Some(report) = job.reports.get_mut(&origin.document) {
            report.meshes = service.clients.iter().cloned().collect();
        }
        if let Some(first) = chains.iter().find(|c| c.host == service.host) {
            let what = format!("{} has the host `{}` already", first.origin.document, service.host);
            let problem =
                Problem::error("FCT0339", what).hint("a host means one thing in a mesh: give one of them another");
            job.say(&origin, "/spec/hostname", problem);
        }
        if let Some(first) = chains.iter().find(|c| c.name == service.reference.name.as_str()) {
            let what = format!("{} has this name too, and objects of both would have one name", first.origin.document);
            let problem = Problem::error("FCT0331", what).hint("give one of them another name");
            job.say(&origin, "/metadata/name", problem);
        }
        trusted(job, service, &origin);
        let mut backends = Vec::new();
        for (i, at) in service.backends.iter().enumerate() {
            let pointer = format!("/spec/backingServices/{i}");
            let outlier = watched.of(at).cloned();
            if outlier.is_none() && !job.site.draft {
                let what = format!("no TrafficPolicy watches {at}: its loss would never be noticed");
                let hint = "give a TrafficPolicy with outlierDetection that selects it";
                job.say(&origin, &pointer, Problem::error("FCT0370", what).hint(hint));
            }
            let port = match port(job, service, at) {
                Ok(port) => port,
                Err(problem) => {
                    job.say(&origin, &pointer, problem);
                    continue;
                }
            };
            backends.push(Backend {
                cluster: at.cluster.clone(),
                service: ServiceRef { namespace: at.namespace.clone(), name: at.name.clone(), port },
                account: None,
                outlier: outlier.unwrap_or_else(unwatched),
                // As Service Mesh Hub wrote it: the same detection on both hosts.
                manner: Manner::Verbatim,
                connect_timeout: None,
                pointer,
            });
        }
        chains.push(Chain {
            origin,
            name: service.reference.name.to_string(),
            host: service.host.clone(),
            port: service.port,
            protocol: service.protocol,
            clients: service.clients.clone(),
            gateways: true,
            manner: Manner::Verbatim,
            backends,
        });
    }
    chains
}

/// Service Mesh Hub's defaults, for drafts in which nobody knows yet which Services a policy selects.
fn unwatched() -> OutlierDetection {
    use crate::model::duration::Millis;
    OutlierDetection {
        consecutive_5xx: 5,
        interval: Millis::secs(10),
        base_ejection_time: Millis::secs(30),
        max_ejection_percent: 100,
    }
}

/// Meshes that are to talk must trust one root. Where no VirtualMesh is given, the certificates are the fleet's business.
fn trusted(job: &mut Job<'_>, service: &FailoverService, origin: &Origin) {
    if job.virtual_meshes().next().is_none() {
        return;
    }
    let clusters = service.clients.iter().chain(service.backends.iter().map(|b| &b.cluster));
    let clusters: std::collections::BTreeSet<_> = clusters.collect();
    if clusters.len() < 2 {
        return;
    }
    let meshes: std::collections::BTreeSet<_> = clusters.iter().map(|c| job.mesh_of(c)).collect();
    if meshes.len() > 1 || meshes.contains(&None) {
        let named = |c: &&crate::model::name::ClusterName| match job.mesh_of(c) {
            Some(mesh) => format!("`{c}` in {mesh}"),
            None => format!("`{c}` in none"),
        };
        let told = clusters.iter().map(named).collect::<Vec<_>>().join(", ");
        let what = format!("its meshes are not in one VirtualMesh, so they have no common root: {told}");
        let problem = Problem::error("FCT0371", what).hint("put all of them into one VirtualMesh");
        job.say(origin, "/spec", problem);
    }
}

fn port(job: &Job<'_>, service: &FailoverService, at: &ServiceAt) -> Result<u16, Problem> {
    let known = job.site.facts.service(&at.cluster, at.namespace.as_str(), at.name.as_str());
    let Some(known) = known else {
        if job.site.draft || job.site.unread.contains_key(&at.cluster) {
            return Ok(service.port);
        }
        let what = format!("the Service {at} is not known: its ports, its labels and its ServiceAccount are needed");
        let hint = format!(
            "give its manifests too: -f {}=FILE; `failctl diff` and `failctl apply` ask the cluster",
            at.cluster
        );
        return Err(Problem::error("FCT0333", what).hint(hint));
    };
    let numbers: Vec<u16> = known.ports.iter().filter(|p| p.tcp).map(|p| p.number).collect();
    match numbers[..] {
        [only] => Ok(only),
        _ if numbers.contains(&service.port) => Ok(service.port),
        _ => {
            let has = numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let what = format!("the Service {at} has several ports and none is {}", service.port);
            let hint = format!("it has: {has}; give the FailoverService the number of the one that is meant");
            Err(Problem::error("FCT0335", what).hint(hint))
        }
    }
}
