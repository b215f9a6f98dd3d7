//! Upstream `gloo.solo.io/v1` → an upstream of every proxy on its cluster.

use super::{Scene, cluster_name, endpoints, failover, health, secret};
use crate::model::duration::Millis;
use crate::routing::read::At;
use crate::routing::{Balancer, Breakers, Endpoint, Level, Locality, Shape, Upstream};

/// Gloo's connect timeout where the Upstream sets none (its translator's ClusterConnectionTimeout).
pub const CONNECT_TIMEOUT: Millis = Millis::secs(5);

/// Reads one Upstream. It always yields one: what is wrong in it is noted and left out.
pub fn read(scene: &Scene, at: &At) -> Upstream {
    let namespace = at.object.namespace.as_deref().unwrap_or(super::DEFAULT_NAMESPACE);
    let spec = at.get("spec");
    let mut levels = vec![primary(scene, &spec)];
    let (backups, overprovisioning) = failover::read(scene, &spec);
    levels.extend(backups);
    let balancing = spec.get("loadBalancerConfig");
    let upstream = Upstream {
        name: cluster_name(&at.object.name, namespace),
        object: at.object.clone(),
        shape: Shape::Endpoints,
        levels,
        health_checks: health::checks(&spec.get("healthChecks")),
        outlier: health::outlier(&spec.get("outlierDetection")),
        breakers: breakers(&spec.get("circuitBreakers")),
        connect_timeout: spec
            .at(&["connectionConfig", "connectTimeout"])
            .millis_above_zero()
            .unwrap_or(CONNECT_TIMEOUT),
        panic_threshold: balancing.get("healthyPanicThreshold").percent(),
        merge_window: balancing.get("updateMergeWindow").millis(),
        overprovisioning,
        locality_weighted: balancing.get("localityWeightedLbConfig").is_some(),
        ignore_health_on_removal: spec.get("ignoreHealthOnHostRemoval").bool().unwrap_or(false),
        balancer: balancer(&balancing),
        http2: spec.get("useHttp2").bool().unwrap_or(false),
    };
    if upstream.levels.len() > 1 && upstream.health_checks.is_empty() && upstream.outlier.is_none() {
        spec.warn(
            "FCT0523",
            "spec.failover without healthChecks or outlierDetection: nothing tells the proxy that the primary is lost, so it never fails over",
        );
    }
    upstream
}

/// Priority 0: what the Upstream itself points at.
fn primary(scene: &Scene, spec: &At) -> Level {
    let mut endpoints = if let Some(kube) = spec.get("kube").some() {
        endpoints::of_kube(scene, &kube)
    } else if let Some(fixed) = spec.get("static").some() {
        fixed_hosts(&fixed)
    } else {
        let kinds: Vec<_> = spec
            .fields()
            .into_iter()
            .filter(|f| ["consul", "aws", "azure", "pipe", "awsEc2", "gcp", "ai"].contains(f))
            .collect();
        spec.warn(
            "FCT0505",
            format!("an Upstream of kind {} is not read; it has no endpoint here", kinds.first().unwrap_or(&"unknown")),
        );
        Vec::new()
    };
    if let Some(ssl) = spec.get("sslConfig").some() {
        match secret::client(scene, &ssl) {
            Ok(tls) => endpoints.iter_mut().for_each(|e| e.tls = Some(tls.clone())),
            Err(why) => {
                ssl.reject_hint("FCT0510", format!("{}: {why}", ssl.path()), secret::secret_hint(&ssl));
                endpoints.iter_mut().for_each(|e| e.unusable = Some(why.clone()));
            }
        }
    }
    Level { localities: vec![Locality { endpoints, ..Locality::default() }] }
}

fn fixed_hosts(at: &At) -> Vec<Endpoint> {
    let host = |h: &At| {
        let (Some(address), Some(port)) = (h.get("addr").string(), h.get("port").port()) else {
            h.reject("FCT0502", format!("{} needs addr and port", h.path()));
            return None;
        };
        let weight = h.get("loadBalancingWeight").u32();
        Some(Endpoint { address, port, weight, tls: None, origin: None, check: None, unready: false, unusable: None })
    };
    at.get("hosts").items().iter().filter_map(host).collect()
}

fn breakers(at: &At) -> Breakers {
    Breakers {
        max_connections: at.get("maxConnections").u32(),
        max_pending_requests: at.get("maxPendingRequests").u32(),
        max_requests: at.get("maxRequests").u32(),
        max_retries: at.get("maxRetries").u32(),
    }
}

fn balancer(at: &At) -> Balancer {
    if let Some(least) = at.get("leastRequest").some() {
        return Balancer::LeastRequest { choices: least.get("choiceCount").u32().filter(|n| *n > 0).unwrap_or(2) };
    }
    let chosen = [("random", Balancer::Random), ("ringHash", Balancer::RingHash), ("maglev", Balancer::Maglev)];
    chosen.into_iter().find(|(field, _)| at.get(field).is_some()).map_or(Balancer::RoundRobin, |(_, b)| b)
}
