//! Who may talk to the kubelet's endpoint: processes of the same user, and of root.
//!
//! In: the two ends of a connection. Out: yes, or an error that says why not. May not know: requests.
//!
//! Addresses of 127.0.0.0/8 are open to every user of a machine, and exec runs commands as ours. The kernel knows who
//! owns the other end of a local connection.

use std::net::SocketAddr;

use anyhow::{Context, bail};

/// Refuses peers of other users. A peer that is not on this machine is refused too.
pub fn check(peer: SocketAddr, own: SocketAddr) -> anyhow::Result<()> {
    let table = if peer.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let connections = std::fs::read_to_string(table).with_context(|| format!("reading {table}"))?;
    let owner = owner_of(&connections, peer, own).context("the peer is not on this machine")?;
    let ours = rustix::process::geteuid().as_raw();
    if owner != ours && owner != 0 {
        bail!("it is of user {owner}; only user {ours} may talk to this kubelet");
    }
    Ok(())
}

/// The user who owns the socket whose local end is `local` and whose other end is `remote`.
fn owner_of(connections: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let (local, remote) = (kernel_form(local), kernel_form(remote));
    connections.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let matches = fields.next()? == local && fields.next()? == remote;
        // After the two addresses: state, queues, timer, retransmits, user.
        matches.then(|| fields.nth(4)?.parse().ok())?
    })
}

/// `127.0.0.1:8080` as the kernel prints it: `0100007F:1F90`.
fn kernel_form(address: SocketAddr) -> String {
    let octets = match address {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let word = |w: &[u8]| format!("{:08X}", u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    let words: String = octets.chunks_exact(4).map(word).collect();
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_owner_is_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0200007F:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
             1: 0100007F:1F90 0200007F:280A 01 00000000:00000000 00:00000000 00000000  1000        0 2 1\n";
        let (peer, own) = ("127.0.0.1:8080".parse().unwrap(), "127.0.0.2:10250".parse().unwrap());
        assert_eq!(owner_of(table, peer, own), Some(1000));
        assert_eq!(owner_of(table, own, peer), None);
        assert_eq!(kernel_form("[::1]:80".parse().unwrap()), "00000000000000000000000001000000:0050");
    }

    #[test]
    fn a_connection_of_our_own_is_let_in_and_an_unknown_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(own).unwrap();
        check(client.local_addr().unwrap(), own).unwrap();
        assert!(check("10.1.2.3:9".parse().unwrap(), own).is_err());
    }
}
