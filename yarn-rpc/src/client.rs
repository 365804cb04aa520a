//! Calls over a socket.

use hadoop::sasl::Qop;
use std::time::Duration;

/// Deadlines and protection of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// To connect to one address and authenticate.
    pub connect_deadline: Duration,
    /// For one call, from sending it to its answer.
    pub call_deadline: Duration,
    /// Acceptable protections, best first (`hadoop.rpc.protection`).
    pub protection: Vec<Qop>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(10),
            call_deadline: Duration::from_secs(30),
            protection: Qop::ALL.to_vec(),
        }
    }
}
