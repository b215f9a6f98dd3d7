//! Virtual addresses of hosts that no DNS knows: 240.0.0.0/4, by hash, so that every cluster and every run agree.
//! Service Mesh Hub's way (FNV-1, 32 bits, little end first, the first octet in class E) with two repairs: the parts are
//! kept apart, and two hosts with one address are found. Istio's own range for hosts without an address (240.240.0.0/16)
//! and the broadcast address are left out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The address of a host.
pub fn of(host: &str) -> Ipv4Addr {
    let [a, b, c, d] = fnv1(host.bytes()).to_le_bytes();
    let a = a | 240;
    match (a, b) {
        (240, 240) => Ipv4Addr::new(240, 15, c, d),
        (255, 255) => Ipv4Addr::new(255, 254, c, d),
        _ => Ipv4Addr::new(a, b, c, d),
    }
}

/// FNV-1 with 32 bits (draft-eastlake-fnv, section 6).
fn fnv1(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte))
}

/// Hosts that have the address of another: each with that other.
pub fn collisions<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    let mut seen: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for host in hosts {
        let first = *seen.entry(of(host)).or_insert(host);
        if first != host {
            found.push((host, first));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Service Mesh Hub's own golden value, which shows that the hash is the same one.
    #[test]
    fn the_hash_is_that_of_service_mesh_hub() {
        let text = "failover-service".to_string() + "failover-service-namespace" + "failover-service";
        let [a, b, c, d] = fnv1(text.bytes()).to_le_bytes();
        assert_eq!(Ipv4Addr::new(a | 240, b, c, d), Ipv4Addr::new(247, 153, 147, 39));
    }

    #[test]
    fn addresses_are_in_class_e_and_out_of_istios_own_range() {
        for i in 0..20_000 {
            let [a, b, ..] = of(&format!("svc-{i}.ns.svc.kind3.global")).octets();
            assert!(a >= 240 && (a, b) != (240, 240) && (a, b) != (255, 255), "{a}.{b}");
        }
    }

    #[test]
    fn two_hosts_with_one_address_are_found() {
        let mut seen = BTreeMap::new();
        let pair = (0u32..).find_map(|i| {
            let host = format!("h{i}.x.global");
            seen.insert(of(&host), host.clone()).map(|other| (host, other))
        });
        let (host, other) = pair.expect("28 bits are few");
        assert_eq!(collisions([other.as_str(), "a.b.global", host.as_str()]), [(host.as_str(), other.as_str())]);
    }
}
