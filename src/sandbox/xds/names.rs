//! Addresses of DNS names among endpoints: the control plane looks them up, as Gloo does every 10 s by default.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::envoy::config::Names;
use crate::routing::Proxy;

/// Between two look-ups (Gloo's `failoverUpstreamDnsPollingInterval`).
pub const EVERY: Duration = Duration::from_secs(10);

/// The names the endpoints of these proxies use.
pub fn used<'a>(proxies: impl Iterator<Item = &'a Proxy>) -> BTreeSet<String> {
    let upstreams = proxies.flat_map(|p| p.upstreams.values());
    let usable = |u: &'a crate::routing::Upstream| u.endpoints().filter(|(_, e)| e.unusable.is_none());
    let addresses = upstreams.flat_map(|u| usable(u).map(|(_, e)| e.address.clone()).collect::<Vec<_>>());
    addresses.filter(|a| a.parse::<IpAddr>().is_err()).collect()
}

/// Looks them up. A name that cannot be looked up now keeps the addresses it had.
pub async fn resolve(names: &BTreeSet<String>, before: &Names) -> Names {
    let mut found = Names::new();
    for name in names {
        let mut addresses: Vec<IpAddr> = match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(all) => all.map(|a| a.ip()).collect(),
            Err(error) => {
                tracing::warn!(name, %error, "looking up the address of an endpoint");
                before.get(name).cloned().unwrap_or_default()
            }
        };
        addresses.sort();
        addresses.dedup();
        found.insert(name.clone(), addresses);
    }
    found
}
