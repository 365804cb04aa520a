//! The table of links: which executor is reached over which connection.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use wire::id::{BootNonce, ExecutorId};
use wire::message::GatewayMessage;

use super::ConnectionId;

/// Messages that may wait for one executor; room is taken as it is needed. One that falls behind further is
/// disconnected. All 4,096 slots that an executor may have can change hands within one turn of the loop, which is
/// before its connection gets a turn: an answer, a decision and an order for each are not falling behind.
const QUEUE: usize = 16_384;

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    /// Boxed, because a channel has room for 32 messages however empty it is.
    outbound: mpsc::Sender<Box<GatewayMessage>>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It waits for its connection.
    Queued,
    /// The executor has no connection.
    NoLink,
    /// The executor fell behind and was disconnected.
    Disconnected,
}

/// All links, and the life that registered from each container.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<ExecutorId, Link>,
    boots: BTreeMap<ExecutorId, BootNonce>,
}

impl Links {
    /// Takes a connection in, in place of an earlier one of the same executor, and gives the end that the
    /// connection reads from.
    pub fn attach(
        &mut self,
        executor: &ExecutorId,
        boot: BootNonce,
        connection: ConnectionId,
    ) -> mpsc::Receiver<Box<GatewayMessage>> {
        let (outbound, inbox) = mpsc::channel(QUEUE);
        self.links.insert(executor.clone(), Link { connection, outbound });
        self.boots.insert(executor.clone(), boot);
        inbox
    }

    /// Takes the end of a connection; `true` when it was the executor's link.
    pub fn closed(&mut self, executor: &ExecutorId, connection: ConnectionId) -> bool {
        let current = self.is_current(executor, connection);
        if current {
            self.links.remove(executor);
        }
        current
    }

    /// Whether `connection` is the executor's link.
    #[must_use]
    pub fn is_current(&self, executor: &ExecutorId, connection: ConnectionId) -> bool {
        self.links
            .get(executor)
            .is_some_and(|link| link.connection == connection)
    }

    /// The life that registered from a container.
    #[must_use]
    pub fn boot(&self, executor: &ExecutorId) -> Option<BootNonce> {
        self.boots.get(executor).copied()
    }

    /// The number of links.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Queues a message; never waits.
    pub fn send(&mut self, executor: &ExecutorId, message: GatewayMessage) -> Sent {
        let Some(link) = self.links.get(executor) else {
            return Sent::NoLink;
        };
        if link.outbound.try_send(Box::new(message)).is_ok() {
            return Sent::Queued;
        }
        self.links.remove(executor);
        Sent::Disconnected
    }

    /// Queues a message for everybody.
    pub fn broadcast(&mut self, message: &GatewayMessage) {
        for link in self.links.values() {
            // Whoever is behind learns of it when its connection ends.
            let _behind = link.outbound.try_send(Box::new(message.clone())).is_err();
        }
    }

    /// Ends all connections: every executor dials again and registers with what it has.
    pub fn hang_up(&mut self) {
        self.links.clear();
    }

    /// Forgets a container that is gone; its connection, if any, ends after what is queued.
    pub fn forget(&mut self, executor: &ExecutorId) {
        self.links.remove(executor);
        self.boots.remove(executor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ExecutorId {
        "container_1_0001_01_000002".parse().unwrap()
    }

    fn message() -> GatewayMessage {
        GatewayMessage::Acknowledge { sequences: vec![1] }
    }

    #[tokio::test]
    async fn a_newer_connection_replaces_the_older() {
        let mut links = Links::default();
        let mut old = links.attach(&id(), BootNonce(1), ConnectionId(1));
        let mut new = links.attach(&id(), BootNonce(1), ConnectionId(2));
        assert_eq!(old.recv().await, None);
        assert!(!links.closed(&id(), ConnectionId(1)));
        assert_eq!(links.send(&id(), message()), Sent::Queued);
        assert_eq!(new.recv().await.as_deref(), Some(&message()));
        assert!(links.closed(&id(), ConnectionId(2)));
        assert_eq!(links.boot(&id()), Some(BootNonce(1)));
    }

    #[tokio::test]
    async fn an_executor_that_falls_behind_is_disconnected() {
        let mut links = Links::default();
        let _inbox = links.attach(&id(), BootNonce(1), ConnectionId(1));
        let sent: Vec<_> = (0..=QUEUE).map(|_| links.send(&id(), message())).collect();
        assert_eq!(sent[QUEUE - 1], Sent::Queued);
        assert_eq!(sent[QUEUE], Sent::Disconnected);
        assert_eq!(links.send(&id(), message()), Sent::NoLink);
    }
}
