//! What a driver in the client says.

use tokio::sync::oneshot;
use wire::id::{BootNonce, Epoch};
use wire::launcher::{DriverHello, DriverMessage, LauncherCommand, LauncherMessage, LauncherReport, Verdict};
use wire::message::Refusal;

use std::collections::VecDeque;

use super::seat::Seat;
use super::{App, Life};
use crate::gateway::admission::Denial;
use crate::gateway::{ConnectionId, DriverAdmission};

impl App {
    pub(super) fn on_driver_hello(
        &mut self,
        connection: ConnectionId,
        (epoch, boot): (Epoch, BootNonce),
        certificate: &[u8],
        hello: &DriverHello,
        reply: oneshot::Sender<DriverAdmission>,
    ) {
        let admission = match self.admit_driver(connection, (epoch, boot), certificate, hello) {
            Ok(admission) => admission,
            Err(Denial::HigherEpoch(epoch)) => return self.meet_higher_epoch(epoch),
            Err(Denial::Refuse(reason, message)) => {
                tracing::warn!(message, "driver refused");
                DriverAdmission::Refused { reason, message }
            }
        };
        let admitted = matches!(admission, DriverAdmission::Admitted(_));
        if reply.send(admission).is_err() {
            return self.on_driver_closed(connection, "left before it was taken in");
        }
        if admitted {
            tracing::info!("the driver in the client is connected");
            self.bring_up_to_date();
        }
    }

    fn admit_driver(
        &mut self,
        connection: ConnectionId,
        (epoch, boot): (Epoch, BootNonce),
        certificate: &[u8],
        hello: &DriverHello,
    ) -> Result<DriverAdmission, Denial> {
        let Seat::Client(relay) = &mut self.driver else {
            let text = "the driver of this application is in its ApplicationMaster".to_owned();
            return Err(Denial::Refuse(Refusal::Unspecified, text));
        };
        if !relay.knows(certificate) {
            let text = "this is not the certificate of the application's driver".to_owned();
            return Err(Denial::Refuse(Refusal::Unspecified, text));
        }
        self.gate.check_driver(hello, epoch, boot, relay.life())?;
        Ok(DriverAdmission::Admitted(relay.attach(connection, boot)))
    }

    /// Tells a driver that has come (back) what it may have missed: ended containers, and by their new registration
    /// all executors that live.
    fn bring_up_to_date(&mut self) {
        let ended = self.launcher.history().chain(self.launcher.records());
        let gone = ended.filter_map(|record| {
            let loss = record.phase.loss()?;
            Some(LauncherReport::ExecutorGone {
                executor: record.executor.clone(),
                loss,
                detail: record.detail.clone(),
            })
        });
        let hopeless = self.launcher.gave_up().map(str::to_owned);
        let missed: Vec<_> = gone.chain(hopeless.map(LauncherReport::Hopeless)).collect();
        let now = self.clock.now();
        if let Some(relay) = self.driver.relay() {
            missed.into_iter().for_each(|report| relay.report(now, report));
        }
        self.links.hang_up();
    }

    pub(super) fn on_driver_said(&mut self, connection: ConnectionId, message: DriverMessage) {
        let (now, start) = (self.clock.now(), self.clock.unix_ms(std::time::Duration::ZERO));
        let Some(relay) = self.driver.relay().filter(|relay| relay.is_current(connection)) else {
            return;
        };
        match message {
            DriverMessage::Heartbeat => relay.send(now, LauncherMessage::Heartbeat),
            DriverMessage::Command(LauncherCommand::Show(json)) => relay.show(&json, start),
            DriverMessage::Command(LauncherCommand::Progress { done, known }) => relay.progress(done, known),
            DriverMessage::Command(LauncherCommand::Finish(verdict)) => self.on_driver_finished(verdict),
            DriverMessage::Command(command) => {
                let mut steps = VecDeque::new();
                self.obey(command, &mut steps);
                self.process_all(steps);
            }
            DriverMessage::Hello(_) => tracing::warn!("the driver greeted twice on one connection"),
        }
    }

    /// The driver may leave; it says so again when our answer was lost.
    fn on_driver_finished(&mut self, verdict: Verdict) {
        self.conclude(verdict);
        let now = self.clock.now();
        if let Some(relay) = self.driver.relay() {
            relay.take_leave();
            relay.send(now, LauncherMessage::Concluded);
        }
    }

    pub(super) fn on_driver_closed(&mut self, connection: ConnectionId, reason: &str) {
        let now = self.clock.now();
        if self
            .driver
            .relay()
            .is_some_and(|relay| relay.closed(now, connection))
        {
            tracing::info!(reason, "the driver in the client is disconnected");
        }
    }

    /// Ends an application whose driver does not come back.
    pub(super) fn expect_driver(&mut self) {
        let now = self.clock.now();
        let given_up = self.driver.relay().and_then(|relay| relay.given_up(now));
        if let Some(why) = given_up.filter(|_| matches!(self.life, Life::Running)) {
            self.conclude(Verdict::Failed(why));
        }
    }
}
