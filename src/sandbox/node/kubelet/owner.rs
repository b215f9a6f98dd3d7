//! Who owns the other end of a connection on this machine. In: its two ends. Out: a user's number.
//!
//! The kernel is asked for that one socket (sock_diag(7)). Its table in /proc has every socket of the machine, which under
//! load are tens of thousands, and is for kernels that do not answer.

use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

/// The user who owns the socket whose local end is `local` and whose other end is `remote`; none: there is no such socket.
pub fn of(local: SocketAddr, remote: SocketAddr) -> anyhow::Result<Option<u32>> {
    asked(local, remote).or_else(|_| listed(local, remote))
}

/// By the kernel's answer about one socket.
fn asked(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let request = SockDiagMessage::InetRequest(InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            // Any.
            cookie: [0xff; 8],
        },
    });
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut sent = vec![0; message.buffer_len()];
    message.serialize(&mut sent);
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.send(&sent, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => Ok(Some(found.header.uid)),
        NetlinkPayload::Error(e) if e.to_io().kind() == io::ErrorKind::NotFound => Ok(None),
        NetlinkPayload::Error(e) => Err(e.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// By the kernel's list of all sockets.
fn listed(local: SocketAddr, remote: SocketAddr) -> anyhow::Result<Option<u32>> {
    let table = if local.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let connections = std::fs::read_to_string(table).with_context(|| format!("reading {table}"))?;
    Ok(owner_of(&connections, local, remote))
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
    fn the_kernel_says_of_one_socket_what_its_table_says() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let own = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(own).unwrap().local_addr().unwrap();
            let us = rustix::process::geteuid().as_raw();
            let nobody = SocketAddr::new(own.ip(), 9);
            // Where the kernel does not answer, there is only the table.
            if let Ok(owner) = asked(client, own) {
                assert_eq!((owner, asked(nobody, own).unwrap()), (Some(us), None), "{address}");
            }
            assert_eq!((listed(client, own).unwrap(), listed(nobody, own).unwrap()), (Some(us), None), "{address}");
        }
    }
}
