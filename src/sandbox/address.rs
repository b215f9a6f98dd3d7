//! The addresses of a sandbox: one /16 of 127.0.0.0/8, and who gets which part of it.
//! What comes in: the wish for a block. What goes out: addresses.
//! May not know: clusters, processes.
//!
//! A sandbox takes 127.S.0.0/16. Cluster number i begins at third octet b = 16·i:
//!
//! | address | what |
//! |---|---|
//! | 127.S.b.1:6443 | API server |
//! | 127.S.b.2 | node; its kubelet on 10250, NodePorts |
//! | 127.S.b.3:9977 | Gloo's control plane |
//! | 127.S.b.4:15010, :15017 | Istio's control plane: xDS, webhooks |
//! | 127.S.(b+1).n | addresses of Services of type LoadBalancer |
//! | 127.S.(b+2 … b+7).n | Pods |
//! | 127.S.(b+8).n | clusterIPs |
//! | 127.S.(b+9 … b+14).n | what is behind the sidecar of a Pod: its own address, seven further in the third octet |

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// The blocks a sandbox may take: below are addresses that other programs like to use.
const BLOCKS: std::ops::RangeInclusive<u8> = 30..=250;
/// Whoever holds this port of a block has the block. In no cluster's part that is handed out.
const HOLD_PORT: u16 = 49999;
/// Third octets per cluster.
const STRIDE: u8 = 16;
/// Clusters that fit into a block.
pub const MOST_CLUSTERS: usize = 16;
/// The API server's port.
pub const API_PORT: u16 = 6443;
/// The port of Gloo's control plane, as on a real Gloo.
pub const CONTROL_PORT: u16 = 9977;

/// The port of Istio's control plane for proxies, as on a real istiod without TLS.
pub const ISTIOD_PORT: u16 = 15010;
/// The port of Istio's control plane for webhooks.
pub const INJECT_PORT: u16 = 15017;

/// A claimed block; released when dropped, also by the death of the process.
#[derive(Debug)]
pub struct Claim {
    /// The block.
    pub block: Block,
    _holder: TcpListener,
}

impl Claim {
    /// Takes `wanted`, or the first free block after one that `seed` chooses. Nothing when all are taken.
    pub fn take(wanted: Option<Block>, seed: u64) -> Option<Claim> {
        if let Some(block) = wanted {
            return block.hold();
        }
        let count = u64::from(BLOCKS.end() - BLOCKS.start()) + 1;
        let at = |i: u64| Block { second: BLOCKS.start() + u8::try_from((seed + i) % count).unwrap_or(0) };
        (0..count).find_map(|i| at(i).hold())
    }
}

/// 127.S.0.0/16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// S.
    pub second: u8,
}

impl Block {
    fn hold(self) -> Option<Claim> {
        let address = SocketAddr::from((Ipv4Addr::new(127, self.second, 255, 254), HOLD_PORT));
        TcpListener::bind(address).ok().map(|holder| Claim { block: self, _holder: holder })
    }

    /// The addresses of cluster number `index`, counted from 0; nothing beyond [`MOST_CLUSTERS`].
    pub fn cluster(self, index: usize) -> Option<Addresses> {
        let index = u8::try_from(index).ok().filter(|i| usize::from(*i) < MOST_CLUSTERS)?;
        Some(Addresses { second: self.second, base: index * STRIDE })
    }
}

/// The addresses of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    second: u8,
    base: u8,
}

impl Addresses {
    fn at(self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, self.base + third, fourth)
    }

    fn span(self, first: u8, last: u8) -> Range {
        Range { first: self.at(first, 1), last: self.at(last, 254) }
    }

    /// The API server.
    pub fn api(self) -> SocketAddr {
        SocketAddr::from((self.at(0, 1), API_PORT))
    }

    /// The node.
    pub fn node(self) -> IpAddr {
        self.at(0, 2).into()
    }

    /// Gloo's control plane.
    pub fn control(self) -> SocketAddr {
        SocketAddr::from((self.at(0, 3), CONTROL_PORT))
    }

    /// Istio's control plane, for proxies.
    pub fn istiod(self) -> SocketAddr {
        SocketAddr::from((self.at(0, 4), ISTIOD_PORT))
    }

    /// Istio's control plane, for webhooks.
    pub fn inject(self) -> SocketAddr {
        SocketAddr::from((self.at(0, 4), INJECT_PORT))
    }

    /// Addresses of Services of type LoadBalancer.
    pub fn load_balancers(self) -> Range {
        self.span(1, 1)
    }

    /// Pods.
    pub fn pods(self) -> Range {
        self.span(2, 7)
    }

    /// What is behind the sidecars of [`Addresses::pods`], each at the same place of the range.
    pub fn inner(self) -> Range {
        self.span(9, 14)
    }

    /// clusterIPs.
    pub fn cluster_ips(self) -> Range {
        self.span(8, 8)
    }

    /// Everything of this cluster.
    pub fn all(self) -> Range {
        self.span(0, 15)
    }
}

/// Addresses from first to last, both included; those ending in 0 or 255 are never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First.
    pub first: Ipv4Addr,
    /// Last.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether an address is one of the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// The addresses that may be handed out, in order.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let (first, last) = (u32::from(self.first), u32::from(self.last));
        (first..=last).map(Ipv4Addr::from).filter(|a| !matches!(a.octets()[3], 0 | 255))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_room_for_sixteen_clusters_whose_addresses_do_not_meet() {
        let block = Block { second: 30 };
        let all: Vec<Range> = (0..MOST_CLUSTERS).map(|i| block.cluster(i).unwrap().all()).collect();
        assert!(all.windows(2).all(|w| w[0].last < w[1].first));
        assert_eq!(all[15].last, Ipv4Addr::new(127, 30, 255, 254));
        assert_eq!(block.cluster(MOST_CLUSTERS), None);
    }

    #[test]
    fn the_parts_of_a_cluster_are_where_the_table_says() {
        let cluster = Block { second: 42 }.cluster(1).unwrap();
        assert_eq!(cluster.api().to_string(), "127.42.16.1:6443");
        assert_eq!(cluster.node().to_string(), "127.42.16.2");
        assert_eq!(cluster.load_balancers().iter().next(), Some(Ipv4Addr::new(127, 42, 17, 1)));
        assert_eq!(cluster.pods().first, Ipv4Addr::new(127, 42, 18, 1));
        assert_eq!(cluster.cluster_ips().iter().count(), 254);
    }

    #[test]
    fn a_block_that_is_held_is_not_given_twice() {
        let first = Claim::take(None, 7).expect("a free block");
        assert!(Claim::take(Some(first.block), 0).is_none());
        let second = Claim::take(None, u64::from(first.block.second - BLOCKS.start())).expect("another free block");
        assert_ne!(first.block, second.block);
        let block = first.block;
        drop(first);
        assert!(Claim::take(Some(block), 0).is_some());
    }
}
