//! Free loopback ports for every listener of a cluster.
//!
//! They are taken below the range the kernel hands out for outgoing connections, so that a port found free now is still
//! free when the JVM binds it, and when a killed daemon is started again on it.

use anyhow::bail;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// One listener, always on a loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) host: Ipv4Addr,
    pub(super) number: u16,
}

impl Port {
    pub(super) fn addr(self) -> SocketAddr {
        SocketAddr::from((self.host, self.number))
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.addr().fmt(f)
    }
}

/// Hands out ports of one cluster, each only once.
#[derive(Debug)]
pub(super) struct Ports {
    next: u16,
    left: u16,
}

impl Ports {
    /// Starts at a random place, so that clusters started at the same moment do not meet.
    pub(super) fn new() -> Self {
        let random = RandomState::new().build_hasher().finish();
        Self {
            next: u16::try_from(random % u64::from(COUNT)).unwrap_or_default(),
            left: COUNT,
        }
    }

    pub(super) fn take(&mut self) -> anyhow::Result<Port> {
        self.take_on(Ipv4Addr::LOCALHOST)
    }

    pub(super) fn take_on(&mut self, host: Ipv4Addr) -> anyhow::Result<Port> {
        while self.left > 0 {
            let port = Port {
                host,
                number: FIRST + self.next,
            };
            self.next = (self.next + 1) % COUNT;
            self.left -= 1;
            if TcpListener::bind(port.addr()).is_ok() {
                return Ok(port);
            }
        }
        bail!("no free port on {host} between {FIRST} and {}", FIRST + COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ports, TcpListener};
    use std::collections::BTreeSet;

    #[test]
    fn ports_are_distinct_and_one_in_use_is_passed_over() {
        let mut ports = Ports::new();
        let taken: BTreeSet<u16> = (0..50).map(|_| ports.take().unwrap().number).collect();
        assert_eq!(taken.len(), 50);
        let mut again = Ports {
            next: ports.next,
            left: 100,
        };
        let busy = Ports {
            next: ports.next,
            left: 100,
        }
        .take()
        .unwrap();
        let _listener = TcpListener::bind(busy.addr()).unwrap();
        assert_ne!(again.take().unwrap(), busy);
    }
}
