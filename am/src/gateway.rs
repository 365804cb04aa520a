//! The gateway: where executors dial in, and in client mode the driver.
//!
//! A TLS listener on any port; both sides prove themselves with certificates of the application's own authority.
//! Each connection is one task ([`connection`]) that turns bytes into frames and back; it owns nothing else. What it
//! receives goes through one bounded channel into the ApplicationMaster's loop, which owns the table of links
//! ([`links`]) and decides who gets in ([`admission`]).
//!
//! Invariants:
//! - An executor has at most one link, and so has the driver in the client; a new connection of the same life replaces
//!   the old one.
//! - Nobody is waited for: an executor that does not take its messages is disconnected, and may dial again.
//! - Every step of a connection has a deadline: handshake, first frame, silence, each write.
//! - F: a frame of another life or a higher epoch never reaches the cores.

pub mod admission;
pub mod connection;
pub mod links;
pub mod listener;
pub mod orders;

use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use wire::id::{BootNonce, Epoch, ExecutorId};
use wire::launcher::{DriverHello, DriverMessage, LauncherMessage};
use wire::message::{ExecutorMessage, GatewayMessage, Hello, Refusal};

/// One connection within the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// Connections served at a time; more than any application has executors.
const MOST_CONNECTIONS: usize = 16_384;

/// How long each step may take, and how many may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The TLS handshake, and after it the first frame.
    pub handshake: Duration,
    /// Nothing received for so long ends the connection.
    pub silence: Duration,
    /// The same for a driver in the client.
    pub driver_silence: Duration,
    /// One write.
    pub write: Duration,
    /// Connections at a time; more are turned away, and counted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let handshake = Duration::from_secs(10);
        Self {
            handshake,
            silence: Duration::from_secs(60),
            driver_silence: Duration::from_secs(15),
            write: Duration::from_secs(30),
            connections: MOST_CONNECTIONS,
        }
    }
}

/// What connections tell the loop.
#[derive(Debug)]
pub enum GatewayEvent {
    /// Somebody with a certificate of ours wants in.
    Hello {
        /// The connection.
        connection: ConnectionId,
        /// The highest epoch it has seen.
        epoch: Epoch,
        /// Its life.
        boot: BootNonce,
        /// Who it is.
        hello: Hello,
        /// Takes the decision.
        reply: oneshot::Sender<Admission>,
    },
    /// An executor said something; what came in one piece is told in one.
    Received {
        /// Which connection, so that late frames of a replaced one are known.
        connection: ConnectionId,
        /// Which.
        executor: ExecutorId,
        /// What, in order; at least one.
        messages: Vec<ExecutorMessage>,
    },
    /// Somebody with a certificate of ours wants to be the driver.
    DriverHello {
        /// The connection.
        connection: ConnectionId,
        /// The highest epoch it has seen.
        epoch: Epoch,
        /// Its life.
        boot: BootNonce,
        /// The certificate that it has proved to be its own, DER.
        certificate: Vec<u8>,
        /// Who it is.
        hello: DriverHello,
        /// Takes the decision.
        reply: oneshot::Sender<DriverAdmission>,
    },
    /// The driver in the client said something.
    DriverSaid {
        /// Which connection.
        connection: ConnectionId,
        /// What, in order.
        messages: Vec<DriverMessage>,
    },
    /// The connection of an admitted driver ended.
    DriverClosed {
        /// Which connection.
        connection: ConnectionId,
        /// Why, for people.
        reason: String,
    },
    /// A frame carried a higher epoch: another attempt of the application runs.
    HigherEpoch(Epoch),
    /// The connection of an admitted executor ended.
    Closed {
        /// Which connection.
        connection: ConnectionId,
        /// Which executor.
        executor: ExecutorId,
        /// Why, for people.
        reason: String,
    },
}

/// The decision about a [`GatewayEvent::Hello`].
#[derive(Debug)]
pub enum Admission {
    /// It is in; these are the messages for it. The connection ends when the sender is dropped.
    Admitted(mpsc::Receiver<Box<GatewayMessage>>),
    /// It is not.
    Refused {
        /// The kind of refusal.
        reason: Refusal,
        /// For people.
        message: String,
    },
}

/// The decision about a [`GatewayEvent::DriverHello`].
#[derive(Debug)]
pub enum DriverAdmission {
    /// It is in; these are the messages for it. The connection ends when the sender is dropped.
    Admitted(mpsc::Receiver<Box<LauncherMessage>>),
    /// It is not.
    Refused {
        /// The kind of refusal.
        reason: Refusal,
        /// For people.
        message: String,
    },
}
