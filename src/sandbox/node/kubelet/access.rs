//! Who may talk to the kubelet's endpoint: processes of the same user, and of root.
//!
//! In: the two ends of a connection. Out: yes, or an error that says why not. May not know: requests.
//!
//! Addresses of 127.0.0.0/8 are open to every user of a machine, and exec runs commands as ours.

use std::net::SocketAddr;

use anyhow::{Context, bail};

use super::owner;

/// Refuses peers of other users. A peer that is not on this machine is refused too.
pub fn check(peer: SocketAddr, own: SocketAddr) -> anyhow::Result<()> {
    let owner = owner::of(peer, own)?.context("the peer is not on this machine")?;
    let ours = rustix::process::geteuid().as_raw();
    if owner != ours && owner != 0 {
        bail!("it is of user {owner}; only user {ours} may talk to this kubelet");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_of_our_own_is_let_in_and_an_unknown_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(own).unwrap();
        check(client.local_addr().unwrap(), own).unwrap();
        assert!(check("10.1.2.3:9".parse().unwrap(), own).is_err());
    }
}
