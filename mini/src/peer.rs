//! Whose connections are taken: containers run as the user of this process, so only he may submit.
//!
//! On Linux the kernel tells which user owns the other end of a connection on this machine. Elsewhere, and where it
//! does not tell, every process of the machine may connect. A web page that somebody visits must not reach us through
//! his browser either: see [`is_own_name`] against names that are pointed at this machine, and the check of
//! content types at submission.

use std::net::{SocketAddr, SocketAddrV4};

/// The kernel's list of sockets.
const SOCKETS: &str = "/proc/net/tcp";
/// The same of sockets that can do both, as Java's are; in front of addresses of the older kind is [`MAPPED`].
const SOCKETS_6: &str = "/proc/net/tcp6";
const MAPPED: &str = "0000000000000000FFFF0000";

/// Whether the other end of a connection is a process of our own user, or of root.
pub(crate) async fn is_ours(peer: SocketAddr, own: SocketAddr) -> bool {
    let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (peer, own) else {
        return false;
    };
    let mut known = false;
    for (list, prefix) in [(SOCKETS, ""), (SOCKETS_6, MAPPED)] {
        let Ok(table) = tokio::fs::read_to_string(list).await else {
            continue;
        };
        known = true;
        if let Some(owner) = owner(&table, prefix, peer, own) {
            return owner == 0 || owner == our_user();
        }
    }
    !known
}

fn our_user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The user id in the row of the socket from `local` to `remote`.
fn owner(table: &str, prefix: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u32> {
    let printed = |address| format!("{prefix}{}", printed(address));
    let (local, remote) = (printed(local), printed(remote));
    let row = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next() == Some(local.as_str()) && fields.next() == Some(remote.as_str());
        is_it.then_some(fields)
    });
    row?.nth(4)?.parse().ok()
}

/// An address as the kernel prints it: the four bytes as one number of this machine, and the port.
fn printed(address: SocketAddrV4) -> String {
    let number = u32::from_ne_bytes(address.ip().octets());
    format!("{number:08X}:{:04X}", address.port())
}

/// Whether a `Host` header names this machine by one of its own names; another name would come from a page that was
/// loaded from elsewhere.
pub(crate) fn is_own_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_connection_of_this_process_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).await.unwrap();
        assert!(is_ours(client.local_addr().unwrap(), own).await);
    }

    #[test]
    fn the_owner_is_read_from_the_row_of_both_ends() {
        let local: SocketAddrV4 = "127.0.0.1:4711".parse().unwrap();
        let remote: SocketAddrV4 = "127.0.0.1:80".parse().unwrap();
        let (l, r) = (printed(local), printed(remote));
        let table = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: {r} {l} 01 00000000:00000000 00:00000000 00000000     7        0 1 1\n   \
             1: {l} {r} 01 00000000:00000000 00:00000000 00000000  1001        0 1 1\n"
        );
        assert_eq!(owner(&table, "", local, remote), Some(1001));
        assert_eq!(owner(&table, "", remote, remote), None);
    }

    #[tokio::test]
    async fn a_connection_of_a_socket_that_can_do_both_is_ours_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let socket = tokio::net::TcpSocket::new_v6().unwrap();
        let mapped = format!("[::ffff:127.0.0.1]:{}", own.port());
        let client = socket.connect(mapped.parse().unwrap()).await.unwrap();
        let port = client.local_addr().unwrap().port();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.port(), port);
        assert!(is_ours(peer, own).await);
    }

    #[test]
    fn other_names_of_this_machine_are_not_its_own() {
        assert!(is_own_name("127.0.0.1:8088") && is_own_name("localhost"));
        assert!(!is_own_name("evil.example:8088") && !is_own_name("127.0.0.1.evil.example"));
    }
}
