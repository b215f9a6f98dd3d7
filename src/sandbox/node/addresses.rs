//! Addresses for pods: a range, which of them are taken, and the inner address behind a sidecar.
//!
//! In: a range. Out: one free address at a time, the longest unused first. May not know: pods.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use super::agent::Ports;
use super::sidecar::{HTTP_PROXY_PORT, INNER_IP};
use crate::sandbox::address::Range;

/// The addresses a node gives to its pods, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRange {
    first: u32,
    last: u32,
}

impl PodRange {
    /// The range from `first` to `last`, both included. None if it is empty.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        (first <= last).then(|| PodRange { first: first.into(), last: last.into() })
    }

    /// The same, for who gives out addresses of other kinds.
    pub fn range(&self) -> Range {
        Range { first: self.first.into(), last: self.last.into() }
    }

    /// Whether it holds that address.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&u32::from(address))
    }

    /// The address that stands in this range where `address` stands in `other`. None if there is none.
    pub fn beside(&self, address: Ipv4Addr, other: &PodRange) -> Option<Ipv4Addr> {
        let offset = u32::from(address).checked_sub(other.first)?;
        let beside = self.first.checked_add(offset).filter(|a| *a <= self.last)?;
        other.contains(address).then(|| beside.into())
    }

    /// The smallest CIDR that holds the whole range, as a Node object shows it.
    pub fn cidr(&self) -> String {
        let bits = (self.first ^ self.last).leading_zeros();
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        format!("{}/{bits}", Ipv4Addr::from(self.first & mask))
    }
}

impl fmt::Display for PodRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", Ipv4Addr::from(self.first), Ipv4Addr::from(self.last))
    }
}

impl FromStr for PodRange {
    type Err = String;

    /// `10.244.0.1-10.244.255.254`, or `10.244.0.0/16`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address range; write 10.244.0.0/16 or 10.244.0.1-10.244.0.254");
        let address = |t: &str| t.trim().parse::<Ipv4Addr>().map_err(|_| wrong());
        let range = match (text.split_once('/'), text.split_once('-')) {
            (Some((base, bits)), None) => {
                let bits: u32 = bits.parse().ok().filter(|b| (8..=30).contains(b)).ok_or_else(wrong)?;
                let mask = u32::MAX << (32 - bits);
                let first = u32::from(address(base)?) & mask;
                PodRange::new(first.into(), (first | !mask).into())
            }
            (None, Some((first, last))) => PodRange::new(address(first)?, address(last)?),
            _ => None,
        };
        range.ok_or_else(wrong)
    }
}

/// Where a pod can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodAddress {
    /// The pod's address, as the cluster knows it. A sidecar listens there.
    pub ip: IpAddr,
    /// Where the programs behind a sidecar listen; None without a sidecar.
    pub inner: Option<IpAddr>,
    /// Ports that stand for some of its localhost; None unless Istio's own agent runs in it.
    pub ports: Option<Ports>,
}

impl PodAddress {
    /// An address and nothing else.
    pub fn plain(ip: IpAddr) -> Self {
        PodAddress { ip, inner: None, ports: None }
    }

    /// What a container binds: the sidecar the pod's address, everything behind it the inner one.
    pub fn bound_by(&self, sidecar: bool) -> IpAddr {
        self.inner.filter(|_| !sidecar).unwrap_or(self.ip)
    }

    /// Where a port of the pod's `localhost` may be, in the order in which to try: programs first, then their sidecar.
    pub fn local(&self, port: u16) -> Vec<SocketAddr> {
        match self.ports.and_then(|p| p.of(port)) {
            Some(own) => vec![own],
            None => self.inner.into_iter().chain([self.ip]).map(|ip| SocketAddr::new(ip, port)).collect(),
        }
    }

    /// Whether a sidecar can stand in front of programs: something keeps their ports apart.
    pub fn suits_sidecar(&self) -> bool {
        self.inner.is_some() || self.ports.is_some()
    }

    /// What others must know of it beside the pod's address, as annotations.
    pub fn annotations(&self) -> BTreeMap<&'static str, String> {
        self.inner.map(|ip| (INNER_IP, ip.to_string())).into_iter().collect()
    }

    /// The proxy for programs behind a sidecar. What Istio's own agent runs has none: real ones know no such port.
    pub fn http_proxy(&self) -> Option<SocketAddr> {
        self.inner.map(|ip| SocketAddr::new(ip, HTTP_PROXY_PORT))
    }
}

/// A range and what is taken of it.
#[derive(Debug)]
pub struct Addresses {
    range: PodRange,
    next: u32,
    taken: BTreeSet<u32>,
}

impl Addresses {
    /// Nothing taken yet.
    pub fn new(range: PodRange) -> Self {
        Addresses { range, next: range.first, taken: BTreeSet::new() }
    }

    /// Takes `wanted` if it is free and ours, else the next free address. None when all are taken.
    ///
    /// Addresses ending in 0 and 255 are left out: networks use them for themselves.
    pub fn take(&mut self, wanted: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        if let Some(wanted) = wanted
            && self.range.contains(wanted)
            && self.taken.insert(wanted.into())
        {
            return Some(wanted);
        }
        let size = self.range.last - self.range.first;
        for _ in 0..=size {
            let candidate = self.next;
            self.next = if candidate == self.range.last { self.range.first } else { candidate + 1 };
            if !matches!(candidate & 0xff, 0 | 255) && self.taken.insert(candidate) {
                return Some(candidate.into());
            }
        }
        None
    }

    /// Gives an address back.
    pub fn free(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_given_back_is_not_used_again_at_once() {
        let mut addresses = Addresses::new("127.77.2.0/29".parse().unwrap());
        let one = addresses.take(None).unwrap();
        assert_eq!(one, Ipv4Addr::new(127, 77, 2, 1));
        addresses.free(one);
        assert_eq!(addresses.take(None), Some(Ipv4Addr::new(127, 77, 2, 2)));
    }

    #[test]
    fn every_address_is_given_once_and_then_none() {
        let mut addresses = Addresses::new("127.77.2.0-127.77.3.2".parse().unwrap());
        let given: BTreeSet<_> = std::iter::from_fn(|| addresses.take(None)).collect();
        assert_eq!(given.len(), 254 + 2);
        assert_eq!(addresses.take(Some(Ipv4Addr::new(127, 77, 2, 9))), None);
    }

    #[test]
    fn a_wanted_address_is_given_when_it_is_free_and_ours() {
        let mut addresses = Addresses::new("10.244.0.0/16".parse().unwrap());
        let wanted = Ipv4Addr::new(10, 244, 9, 9);
        assert_eq!(addresses.take(Some(wanted)), Some(wanted));
        assert_ne!(addresses.take(Some(wanted)), Some(wanted));
        assert_eq!(addresses.take(Some(Ipv4Addr::new(10, 245, 0, 1))), Some(Ipv4Addr::new(10, 244, 0, 2)));
    }

    #[test]
    fn the_inner_address_stands_where_the_pods_own_stands_in_its_range() {
        let pods: PodRange = "127.42.18.1-127.42.23.254".parse().unwrap();
        let inner: PodRange = "127.42.25.1-127.42.30.254".parse().unwrap();
        assert_eq!(inner.beside(Ipv4Addr::new(127, 42, 20, 7), &pods), Some(Ipv4Addr::new(127, 42, 27, 7)));
        assert_eq!(inner.beside(Ipv4Addr::new(127, 42, 17, 7), &pods), None);
        let small: PodRange = "127.42.25.1-127.42.25.9".parse().unwrap();
        assert_eq!(small.beside(Ipv4Addr::new(127, 42, 20, 7), &pods), None);
    }

    #[test]
    fn localhost_of_an_injected_pod_is_its_programs_first_and_its_sidecar_then() {
        let (ip, inner) = (IpAddr::from([127, 42, 18, 1]), IpAddr::from([127, 42, 25, 1]));
        let at = |ip| SocketAddr::new(ip, 80);
        let plain = PodAddress::plain(ip);
        assert_eq!((plain.bound_by(false), plain.local(80)), (ip, vec![at(ip)]));
        let injected = PodAddress { inner: Some(inner), ..plain };
        assert_eq!((injected.bound_by(false), injected.bound_by(true)), (inner, ip));
        assert_eq!(injected.local(80), vec![at(inner), at(ip)]);
        assert_eq!((plain.http_proxy(), injected.http_proxy()), (None, Some(SocketAddr::new(inner, 15002))));
    }

    #[test]
    fn ranges_are_read_and_shown_as_cidr() {
        let range: PodRange = "127.77.2.0-127.77.7.255".parse().unwrap();
        assert_eq!(range.cidr(), "127.77.0.0/21");
        assert_eq!("10.244.0.0/16".parse::<PodRange>().unwrap().cidr(), "10.244.0.0/16");
        assert!("10.244.0.0".parse::<PodRange>().is_err());
        assert!("10.244.0.9-10.244.0.1".parse::<PodRange>().is_err());
    }
}
