//! Endpoints that are not ready: whether a cluster's istiod leaves them out or tells proxies of them as unhealthy. What comes
//! in: istiod's Pods. What goes out: a rule. Rules: Istio's pilot/pkg/features (PILOT_SEND_UNHEALTHY_ENDPOINTS,
//! PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS), supportsUnhealthyEndpoints of pilot/pkg/xds/endpoints.
//!
//! It matters where a part of a priority is not ready: Envoy counts those it is told of, and under 72 percent of ready ones
//! a part of the requests goes to the next priority.

use serde_json::Value;

use super::destination_rule::Policy;
use super::place::label;
use super::service::Service;
use crate::manifest::World;
use crate::model::name::ClusterName;

/// The first Istio that tells of them unless it is asked not to (its change note 60690).
const SINCE: (u64, u64) = (1, 31);
/// istiod's container.
const CONTAINER: &str = "discovery";

/// Which endpoints that are not ready an istiod tells proxies of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unready {
    /// Those of Services with `trafficDistribution`.
    #[default]
    Few,
    /// All, but where a `minHealthPercent` would make Envoy send requests to them.
    Most,
    /// All.
    All,
}

impl Unready {
    /// By the version and the environment of istiod's Pods, the first by name; without one it is an Istio before 1.31.
    pub fn read(world: &World, cluster: &ClusterName, namespace: &str) -> Unready {
        let istiods = world
            .all(cluster.as_str(), "", "Pod")
            .filter(|(key, pod)| key.namespace.as_deref() == Some(namespace) && label(pod, "app") == Some("istiod"));
        let mut discovery = istiods.filter_map(|(_, pod)| {
            let containers = pod.pointer("/spec/containers")?.as_array()?;
            containers.iter().find(|c| c["name"] == CONTAINER)
        });
        discovery.next().map(Unready::of).unwrap_or_default()
    }

    fn of(discovery: &Value) -> Unready {
        let env = discovery.get("env").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let said = |name: &str| env.iter().find(|e| e["name"] == name)?.get("value")?.as_str()?.parse::<bool>().ok();
        let image = discovery.get("image").and_then(Value::as_str).unwrap_or_default();
        let by_itself = || version(image).is_some_and(|v| v >= SINCE);
        if said("PILOT_SEND_UNHEALTHY_ENDPOINTS") == Some(true) {
            Unready::All
        } else if said("PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS").unwrap_or_else(by_itself) {
            Unready::Most
        } else {
            Unready::Few
        }
    }

    /// Whether proxies are told of a host's, under a policy.
    pub fn told(self, service: &Service, policy: &Policy) -> bool {
        let guarded = || policy.outlier.as_ref().and_then(|o| o.get("minHealthPercent").percent()).unwrap_or(0) > 0;
        match self {
            Unready::All => true,
            _ if service.distribution.is_some() => true,
            Unready::Most => !guarded(),
            Unready::Few => false,
        }
    }

    /// The panic threshold of a host, percent, where its policy has this one, or none. Whoever is told must never take those
    /// in who are not ready, so it is off then (Istio's applyLoadBalancer and applyOutlierDetection).
    pub fn panic_below(self, service: &Service, policy: Option<u32>) -> Option<u32> {
        match self {
            Unready::All => Some(0),
            _ if service.distribution.is_some() => Some(0),
            Unready::Most => policy.or(Some(0)),
            Unready::Few => policy,
        }
    }
}

/// Major and minor version by an image's tag: `istio/pilot:1.31.0-distroless`.
fn version(image: &str) -> Option<(u64, u64)> {
    let (_, tag) = image.rsplit('/').next()?.split_once(':')?;
    let tag = tag.split('@').next()?;
    let number = |text: &str| text.parse().ok();
    let (major, rest) = tag.split_once('.')?;
    let minor = rest.split(['.', '-']).next()?;
    Some((number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_version_decides_unless_the_environment_does() {
        let of = |image: &str, env: &[(&str, &str)]| {
            let env: Vec<Value> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            Unready::of(&json!({"name": "discovery", "image": image, "env": env}))
        };
        let (old, new) = ("istio/pilot:1.30.4", "mirror.example:5000/istio/pilot:1.31.0-distroless@sha256:0a");
        assert_eq!((of(old, &[]), of(new, &[])), (Unready::Few, Unready::Most));
        assert_eq!(of("istio/pilot:1.31-alpha.5ca8b2", &[]), Unready::Most);
        assert_eq!(of("istio/pilot@sha256:0a", &[]), Unready::Few);
        let auto = "PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS";
        assert_eq!((of(old, &[(auto, "true")]), of(new, &[(auto, "false")])), (Unready::Most, Unready::Few));
        assert_eq!(of(old, &[("PILOT_SEND_UNHEALTHY_ENDPOINTS", "true"), (auto, "false")]), Unready::All);
    }
}
