//! Client mode: the ApplicationMaster's end of the conversation with a driver in the client.
//!
//! The driver dials the gateway, so the client needs no address that the cluster could reach. What the launcher and
//! executors report is passed on to it unchanged, what it commands is carried out as if it were here. Nothing is kept
//! for a driver that is away: executors go on with what they have and keep their reports; when the driver is back it
//! is told which executors are gone, all others are made to register anew, and say everything again that nobody has
//! acknowledged. So no message of either side needs to survive a broken connection.
//!
//! Bounds: at most `QUEUE` messages wait for the driver's connection. Below `SLACK` free places the loop takes
//! nothing more from the gateway ([`Relay::has_room`]), which holds executors back by their own connections.
//!
//! Invariants: one life of the driver; E, an absent driver has a deadline ([`Relay::next_deadline`]); J.

use std::time::Duration;

use bytes::Bytes;
use driver::core::Driver;
use driver::plan::AppPlan;
use driver::view::Snapshot;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, error::TrySendError};
use wire::id::BootNonce;
use wire::launcher::{DriverWelcome, LauncherMessage, LauncherReport};

use crate::gateway::ConnectionId;

/// Messages that may wait for the driver's connection.
const QUEUE: usize = 16_384;
/// Places in the queue that are kept for what one more batch of an executor, or an answer of the ResourceManager, makes
/// us report.
const SLACK: usize = 8192;
/// The least that the driver is given to come the first time, from our start.
const FIRST_CONTACT: Duration = Duration::from_secs(60);

/// The driver's state as it is relayed for pages.
#[derive(Debug, Serialize, Deserialize)]
pub struct RelayedView {
    /// The moment from which the times in the snapshot count, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The state.
    pub snapshot: Snapshot,
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    outbound: mpsc::Sender<Box<LauncherMessage>>,
}

/// The driver that is elsewhere.
#[derive(Debug)]
pub struct Relay {
    /// The certificate that only the driver can prove to be its own.
    certificate: Vec<u8>,
    welcome: DriverWelcome,
    link: Option<Link>,
    life: Option<BootNonce>,
    took_leave: bool,
    /// Since when there has been no connection.
    away_since: Duration,
    /// The latest that the driver has shown; before that, the job as it stands at the beginning.
    snapshot: Snapshot,
}

impl Relay {
    /// A relay whose driver has not come yet.
    #[must_use]
    pub fn new(plan: &AppPlan, certificate: Vec<u8>) -> Self {
        let settings = &plan.settings;
        Self {
            certificate,
            welcome: DriverWelcome {
                heartbeat: settings.heartbeat_interval,
                silence: settings.heartbeat_suspect,
                reconnect: settings.client_reconnect,
            },
            link: None,
            life: None,
            took_leave: false,
            away_since: Duration::ZERO,
            snapshot: Driver::new(plan.clone()).snapshot(),
        }
    }

    /// Whether a certificate is the driver's.
    #[must_use]
    pub fn knows(&self, certificate: &[u8]) -> bool {
        !self.certificate.is_empty() && self.certificate == certificate
    }

    /// The life of the driver that registered, if any has.
    #[must_use]
    pub fn life(&self) -> Option<BootNonce> {
        self.life
    }

    /// What the driver has shown last.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes the driver in, in place of an earlier connection, and gives the end that its connection reads from.
    pub fn attach(
        &mut self,
        connection: ConnectionId,
        boot: BootNonce,
    ) -> mpsc::Receiver<Box<LauncherMessage>> {
        let (outbound, inbox) = mpsc::channel(QUEUE);
        self.link = Some(Link { connection, outbound });
        self.life = Some(boot);
        self.send(Duration::ZERO, LauncherMessage::Welcome(self.welcome));
        inbox
    }

    /// Whether this connection is the driver's.
    #[must_use]
    pub fn is_current(&self, connection: ConnectionId) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.connection == connection)
    }

    /// Whether the driver is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// The driver has said how the application ends, and will go when it has heard that we know.
    pub fn take_leave(&mut self) {
        self.took_leave = true;
    }

    /// Whether the driver is away without having said goodbye.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        !self.is_connected() && !self.took_leave
    }

    /// Takes the end of a connection; `true` when it was the driver's.
    pub fn closed(&mut self, now: Duration, connection: ConnectionId) -> bool {
        let current = self.is_current(connection);
        if current {
            self.hang_up(now);
        }
        current
    }

    fn hang_up(&mut self, now: Duration) {
        self.link = None;
        self.away_since = now;
    }

    /// Passes a report on; it is lost while the driver is away. Never waits: a driver that takes nothing although
    /// everybody else is held back for it loses its connection.
    pub fn report(&mut self, now: Duration, report: LauncherReport) {
        self.send(now, LauncherMessage::Report(report));
    }

    /// Queues a message for the driver.
    pub fn send(&mut self, now: Duration, message: LauncherMessage) {
        let Some(link) = &self.link else { return };
        // The end of a connection that has ended is told by whoever reads it.
        if let Err(TrySendError::Full(_)) = link.outbound.try_send(Box::new(message)) {
            tracing::warn!("the driver does not take its messages: disconnected");
            self.hang_up(now);
        }
    }

    /// Whether the driver keeps up, so that more may be taken from executors. One whose connection has ended, of which
    /// the news may still be among what is to be taken, holds nobody back.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.link
            .as_ref()
            .is_none_or(|link| link.outbound.is_closed() || link.outbound.capacity() >= SLACK)
    }

    /// Waits until [`Relay::has_room`]; may be dropped while it waits.
    pub async fn room(&self) {
        if let Some(link) = &self.link {
            // An error says that the connection is ending, which its end tells.
            drop(link.outbound.reserve_many(SLACK).await);
        }
    }

    /// Takes what the driver shows; `start_unix_ms` is when our own clock started.
    pub fn show(&mut self, json: &Bytes, start_unix_ms: u64) {
        match serde_json::from_slice::<RelayedView>(json) {
            Ok(view) => {
                let ahead = Duration::from_millis(start_unix_ms.saturating_sub(view.started_unix_ms));
                let behind = Duration::from_millis(view.started_unix_ms.saturating_sub(start_unix_ms));
                self.snapshot = view.snapshot;
                self.snapshot
                    .for_each_time(&mut |at| *at = (*at + behind).saturating_sub(ahead));
            }
            Err(error) => tracing::debug!(%error, "the driver shows something that cannot be read"),
        }
    }

    /// Takes how many of the known tasks are done.
    pub fn progress(&mut self, done: u64, known: u64) {
        self.snapshot.progress = (done, known);
    }

    /// When the driver is given up if it does not come (back).
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let patience = match self.life {
            Some(_) => self.welcome.reconnect,
            None => self.welcome.reconnect.max(FIRST_CONTACT),
        };
        self.link.is_none().then(|| self.away_since + patience)
    }

    /// Why the application must end without its driver, once that is so.
    #[must_use]
    pub fn given_up(&self, now: Duration) -> Option<String> {
        self.next_deadline().filter(|&at| now >= at)?;
        let away = now.saturating_sub(self.away_since);
        Some(match self.life {
            Some(_) => format!(
                "the client, in which the driver runs, has been gone for {away:.0?} (client.reconnect): \
                 it was ended or cannot reach this node"
            ),
            None => format!(
                "the client, in which the driver runs, did not connect within {away:.0?}: \
                 it was ended or cannot reach this node"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::plan;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const BOOT: BootNonce = BootNonce(7);
    const HEARD: LauncherReport = LauncherReport::ResourceManagerHeard { ago: Duration::ZERO };

    fn relay() -> Relay {
        Relay::new(&plan(), vec![1])
    }

    #[test]
    fn a_driver_that_is_gone_is_given_up_after_the_limit_and_not_before() {
        let mut relay = relay();
        assert_eq!(relay.given_up(S(59)), None);
        assert!(relay.given_up(S(60)).unwrap().contains("did not connect"));
        let _inbox = relay.attach(ConnectionId(1), BOOT);
        assert_eq!((relay.next_deadline(), relay.given_up(S(1000))), (None, None));
        assert!(relay.closed(S(100), ConnectionId(1)));
        assert_eq!(relay.next_deadline(), Some(S(160)));
        assert!(relay.given_up(S(160)).unwrap().contains("client.reconnect"));
        let _inbox = relay.attach(ConnectionId(2), BOOT);
        assert_eq!(relay.given_up(S(161)), None);
    }

    #[test]
    fn a_driver_that_said_goodbye_has_deserted_nobody() {
        let mut relay = relay();
        let _inbox = relay.attach(ConnectionId(1), BOOT);
        relay.closed(S(1), ConnectionId(1));
        assert!(relay.is_deserted());
        let _inbox = relay.attach(ConnectionId(2), BOOT);
        assert!(!relay.is_deserted());
        relay.take_leave();
        relay.closed(S(2), ConnectionId(2));
        assert!(!relay.is_deserted(), "it is still about its own end");
    }

    #[test]
    fn the_end_of_a_replaced_connection_means_nothing() {
        let mut relay = relay();
        let _old = relay.attach(ConnectionId(1), BOOT);
        let _new = relay.attach(ConnectionId(2), BOOT);
        assert!(!relay.closed(S(5), ConnectionId(1)));
        assert!(relay.is_connected());
    }

    #[tokio::test]
    async fn executors_are_held_back_before_anything_is_lost() {
        let mut relay = relay();
        let mut inbox = relay.attach(ConnectionId(1), BOOT);
        let mut sent = 0;
        while relay.has_room() {
            relay.report(S(1), HEARD);
            sent += 1;
        }
        assert!(sent <= QUEUE - SLACK + 1 && relay.is_connected());
        assert!(matches!(
            inbox.recv().await.as_deref(),
            Some(LauncherMessage::Welcome(_))
        ));
        for _ in 0..sent {
            inbox.recv().await.unwrap();
        }
        relay.room().await;
        assert!(relay.has_room());
    }

    #[test]
    fn a_connection_that_has_ended_holds_nobody_back() {
        let mut relay = relay();
        let inbox = relay.attach(ConnectionId(1), BOOT);
        while relay.has_room() {
            relay.report(S(1), HEARD);
        }
        drop(inbox);
        assert!(relay.has_room());
        relay.report(S(1), HEARD);
        assert!(relay.closed(S(2), ConnectionId(1)), "its end is still to be told");
    }

    #[test]
    fn a_driver_that_takes_nothing_is_disconnected_and_nothing_grows() {
        let mut relay = relay();
        let _inbox = relay.attach(ConnectionId(1), BOOT);
        for _ in 0..=QUEUE {
            relay.report(S(9), HEARD);
        }
        assert!(!relay.is_connected());
        assert_eq!(relay.next_deadline(), Some(S(9) + S(60)));
    }

    #[test]
    fn what_the_driver_shows_is_moved_to_our_clock() {
        let mut driver = Driver::new(plan());
        driver.handle(S(3), driver::event::Event::Started, &mut Vec::new());
        let shown = RelayedView {
            started_unix_ms: 10_000,
            snapshot: driver.snapshot(),
        };
        let json = Bytes::from(serde_json::to_vec(&shown).unwrap());
        let mut relay = relay();
        relay.show(&json, 11_000);
        assert_eq!(relay.snapshot().at, S(2));
        relay.show(&json, 9_000);
        assert_eq!(relay.snapshot().at, S(4));
        relay.show(&Bytes::from_static(b"{}"), 0);
        assert_eq!(relay.snapshot().at, S(4));
    }

    #[test]
    fn progress_is_taken_without_a_whole_state() {
        let mut relay = relay();
        relay.progress(3, 40);
        assert_eq!(relay.snapshot().progress, (3, 40));
    }
}
