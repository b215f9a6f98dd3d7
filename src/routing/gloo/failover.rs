//! `Upstream.failover` → backup levels. The list counts from the level after the primary.

use super::{Scene, origin, secret};
use crate::model::fleet::Edition;
use crate::routing::read::At;
use crate::routing::{CheckOverride, Endpoint, Level, Locality};

/// Backup levels and the overprovisioning factor.
/// Open source Gloo knows the field and rejects it (its enterprise_warning plugin): then there is no backup.
pub fn read(scene: &Scene, spec: &At) -> (Vec<Level>, Option<u32>) {
    let at = spec.get("failover");
    if !at.is_some() {
        return (Vec::new(), None);
    }
    if scene.edition == Some(Edition::OpenSource) {
        at.reject_hint(
            "FCT0530",
            "Could not load configuration for the following Enterprise features: [failover]",
            "the primary of a failover needs Gloo Enterprise; with open source Gloo this Upstream has no backup",
        );
        return (Vec::new(), None);
    }
    let levels: Vec<Level> = at.get("prioritizedLocalities").items().iter().map(|l| level(scene, l)).collect();
    if levels.is_empty() {
        at.warn("FCT0531", format!("{} lists no backup", at.path()));
    }
    let factor = at.at(&["policy", "overprovisioningFactor"]);
    let overprovisioning = factor.u32().filter(|n| *n > 0);
    if factor.is_some() && overprovisioning.is_none() {
        factor.reject("FCT0501", format!("{} must be above 0", factor.path()));
    }
    (levels, overprovisioning)
}

fn level(scene: &Scene, at: &At) -> Level {
    let localities: Vec<Locality> = at.get("localityEndpoints").items().iter().map(|l| locality(scene, l)).collect();
    if localities.iter().all(|l| l.endpoints.is_empty()) {
        at.warn("FCT0531", format!("{} has no endpoint, so this level can never answer", at.path()));
    }
    Level { localities }
}

fn locality(scene: &Scene, at: &At) -> Locality {
    let place = at.get("locality");
    let endpoints: Vec<Endpoint> = at.get("lbEndpoints").items().iter().filter_map(|e| endpoint(scene, e)).collect();
    let named = endpoints.iter().any(|e| e.address.parse::<std::net::IpAddr>().is_err());
    let weight = at.get("loadBalancingWeight").u32();
    if named && weight.is_some() {
        at.reject("FCT0532", format!("{}: Gloo allows no weight on a locality with a DNS address", at.path()));
    }
    Locality {
        region: place.get("region").string(),
        zone: place.get("zone").string(),
        sub_zone: place.get("subZone").string(),
        weight: weight.filter(|w| *w > 0 && !named),
        endpoints,
    }
}

fn endpoint(scene: &Scene, at: &At) -> Option<Endpoint> {
    let (Some(address), Some(port)) = (at.get("address").string(), at.get("port").port()) else {
        at.reject("FCT0502", format!("{} needs address and port", at.path()));
        return None;
    };
    let ssl = at.get("upstreamSslConfig").some();
    let (tls, unusable) = match ssl.as_ref().map(|s| secret::client(scene, s)) {
        None => (None, None),
        Some(Ok(tls)) => (Some(tls), None),
        Some(Err(why)) => {
            let ssl = at.get("upstreamSslConfig");
            ssl.reject_hint("FCT0510", format!("{}: {why}", ssl.path()), secret::secret_hint(&ssl));
            (None, Some(why))
        }
    };
    let sni = ssl.and_then(|s| s.get("sni").string());
    let check = at
        .get("healthCheckConfig")
        .some()
        .map(|c| CheckOverride { port: c.get("portValue").port(), host: c.get("hostname").string() });
    Some(Endpoint {
        origin: sni.as_deref().and_then(|sni| origin::behind(scene, &address, port, sni)),
        weight: at.get("loadBalancingWeight").u32().filter(|w| *w > 0),
        address,
        port,
        tls,
        check,
        unready: false,
        unusable,
    })
}
