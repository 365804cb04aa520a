//! What executors say.

use std::collections::VecDeque;
use std::time::Duration;

use driver::event::Registration;
use hadoop::ids::ContainerId;
use tokio::sync::oneshot;
use wire::id::{BootNonce, Epoch, ExecutorId, TaskAttemptId};
use wire::launcher::LauncherReport;
use wire::message::{ExecutorMessage, GatewayMessage, Hello, TaskReport, Welcome};

use yarn_rpc::session::SessionCommand;

use super::{App, Exit, Step};
use crate::gateway::admission::{Denial, Known};
use crate::gateway::{Admission, ConnectionId, GatewayEvent};
use launcher::Event as LauncherEvent;

/// Clocks that are further apart are named.
const SKEW: Duration = Duration::from_secs(5);

impl App {
    pub(super) fn on_gateway(&mut self, event: GatewayEvent) {
        match event {
            GatewayEvent::Hello {
                connection,
                epoch,
                boot,
                hello,
                reply,
            } => {
                self.on_hello(connection, epoch, boot, hello, reply);
            }
            GatewayEvent::Received {
                connection,
                executor,
                messages,
            } => {
                if self.links.is_current(&executor, connection) {
                    for message in messages {
                        self.on_message(&executor, message);
                    }
                }
            }
            GatewayEvent::DriverHello {
                connection,
                epoch,
                boot,
                certificate,
                hello,
                reply,
            } => self.on_driver_hello(connection, (epoch, boot), &certificate, &hello, reply),
            GatewayEvent::DriverSaid { connection, messages } => messages
                .into_iter()
                .for_each(|message| self.on_driver_said(connection, message)),
            GatewayEvent::DriverClosed { connection, reason } => {
                self.on_driver_closed(connection, &reason);
            }
            GatewayEvent::HigherEpoch(epoch) => self.meet_higher_epoch(epoch),
            GatewayEvent::Closed {
                connection,
                executor,
                reason,
            } => {
                self.on_closed(connection, executor, &reason);
            }
        }
    }

    /// A connection ended; one that was refused or replaced had no link, and its end means nothing.
    fn on_closed(&mut self, connection: ConnectionId, executor: ExecutorId, reason: &str) {
        if self.links.closed(&executor, connection) {
            tracing::info!(%executor, reason, "executor disconnected");
            // The ResourceManager may know why, and tells with its next answer.
            self.outbox.push(SessionCommand::Nudge);
            self.process(Step::Driver(LauncherReport::ExecutorDisconnected { executor }));
        }
    }

    pub(super) fn meet_higher_epoch(&mut self, epoch: Epoch) {
        let text = format!("attempt {epoch} of this application has replaced us");
        self.over(Exit::Superseded(text));
    }

    fn on_hello(
        &mut self,
        connection: ConnectionId,
        epoch: Epoch,
        boot: BootNonce,
        hello: Hello,
        reply: oneshot::Sender<Admission>,
    ) {
        let admission = match self.gate.check(&hello, epoch, boot, self.known(&hello.executor)) {
            Ok(()) => Admission::Admitted(self.links.attach(&hello.executor, boot, connection)),
            Err(Denial::HigherEpoch(epoch)) => return self.meet_higher_epoch(epoch),
            Err(Denial::Refuse(reason, message)) => {
                tracing::warn!(executor = %hello.executor, host = hello.host, message, "executor refused");
                Admission::Refused { reason, message }
            }
        };
        let admitted = matches!(admission, Admission::Admitted(_));
        if reply.send(admission).is_err() {
            return self.on_closed(connection, hello.executor, "left before it was taken in");
        }
        if admitted {
            self.take_in(boot, hello);
        }
    }

    fn known(&self, executor: &ExecutorId) -> Known {
        if self.is_beside(executor) {
            return Known::Live(self.links.boot(executor));
        }
        match self.launcher.remembered(executor) {
            Some(record) if record.phase.is_live() => Known::Live(self.links.boot(executor)),
            Some(_) => Known::GivenUp,
            None => Known::Unknown,
        }
    }

    fn take_in(&mut self, boot: BootNonce, hello: Hello) {
        let settings = &self.plan.settings;
        let welcome = GatewayMessage::Welcome(Welcome {
            heartbeat: settings.heartbeat_interval,
            silence: settings.heartbeat_suspect,
            am_lost_ttl: settings.am_lost_ttl,
        });
        let mut steps = VecDeque::new();
        self.tell(&hello.executor, welcome, &mut steps);
        let executor = hello.executor.clone();
        self.process(Step::Launcher(LauncherEvent::ExecutorRegistered { executor }));
        self.vitals
            .registered(&hello, self.clock.since_start(hello.started_unix_ms));
        self.observe_registration(&hello);
        let record = self.launcher.record(&hello.executor);
        let node = record.map(|record| record.node.to_string());
        if let (Some(record), Some(history)) = (record, self.driver.history_mut()) {
            history.locate(&hello.executor, &record.node_http);
        }
        let registration = Registration {
            boot,
            host: node.unwrap_or(hello.host),
            slots: hello.slots,
            running: hello.running,
            executor: hello.executor,
        };
        self.process(Step::Driver(LauncherReport::ExecutorRegistered(registration)));
    }

    fn observe_registration(&mut self, hello: &Hello) {
        let Some(record) = self.launcher.record(&hello.executor) else {
            return;
        };
        let times = record.times;
        tracing::info!(executor = %hello.executor, node = %record.node, pid = hello.pid, after = ?self.clock.now(), "executor registered");
        let process = self
            .vitals
            .of(&hello.executor)
            .and_then(|vital| vital.process_began);
        // What was launched for an earlier attempt has no times of ours.
        if is_of_attempt(&hello.executor, self.environment.epoch()) {
            self.metrics.executor_registered(times, process);
            self.name_skew(hello, times.granted, process);
        }
    }

    /// A process cannot begin before its container was granted, nor after it registered: then clocks differ.
    fn name_skew(&self, hello: &Hello, granted: Duration, process: Option<Duration>) {
        let early = process.is_none_or(|began| began + SKEW < granted);
        let late = process.is_some_and(|began| began > self.clock.now() + SKEW);
        if early || late {
            let node = self.node_of(&hello.executor);
            tracing::warn!(node, ?process, now = ?self.clock.now(), "the clock of this node differs from ours: times of its processes are not comparable");
        }
    }

    /// The first task of an executor ends its launch.
    fn observe_task(&mut self, executor: &ExecutorId, id: TaskAttemptId) {
        let now = self.clock.now();
        let registered = self
            .launcher
            .record(executor)
            .and_then(|record| record.times.registered);
        if let Some(registered) = registered.filter(|_| self.vitals.took_task(executor, id, now)) {
            self.metrics.first_task(registered, now);
        }
    }

    /// What is for the driver is passed on as it is; the rest is seen here.
    fn on_message(&mut self, executor: &ExecutorId, message: ExecutorMessage) {
        match &message {
            ExecutorMessage::Heartbeat(heartbeat) => {
                self.vitals.heard(executor, heartbeat);
                self.say_alive(executor);
            }
            // Said again to a driver that was not there, and then counted.
            ExecutorMessage::TaskFinished(report) if self.driver.is_listening() => {
                // A short task ends before anybody said that it began.
                self.observe_task(executor, report.id);
                self.on_report(executor, report);
            }
            ExecutorMessage::TaskStarted { id, .. } => self.observe_task(executor, *id),
            ExecutorMessage::Goodbye { reason } => {
                return tracing::info!(%executor, reason, "executor leaves");
            }
            ExecutorMessage::Hello(_) => {
                return tracing::warn!(%executor, "executor greeted twice on one connection");
            }
            ExecutorMessage::TaskFinished(_)
            | ExecutorMessage::CommitRequest { .. }
            | ExecutorMessage::Returned { .. } => {}
        }
        let executor = executor.clone();
        self.process(Step::Driver(LauncherReport::Heard { executor, message }));
    }

    fn on_report(&mut self, executor: &ExecutorId, report: &TaskReport) {
        self.vitals.ended_task(executor, report.id);
        self.metrics
            .task_finished(report, self.stage_name(report.id.stage.stage));
        if let Err(failure) = &report.outcome
            && failure.counts_for_task()
        {
            self.note_task_failure(executor, report, &failure.to_string());
        }
    }

    /// An acknowledgement of nothing: an executor counts on hearing from us.
    fn say_alive(&mut self, executor: &ExecutorId) {
        let mut steps = VecDeque::new();
        let sequences = Vec::new();
        self.tell(executor, GatewayMessage::Acknowledge { sequences }, &mut steps);
        self.process_all(steps);
    }

    fn note_task_failure(&mut self, executor: &ExecutorId, report: &TaskReport, cause: &str) {
        let subject = self.task_name(report.id);
        let host = self.node_of(executor);
        tracing::warn!(subject, host, %executor, cause, "task attempt failed");
        self.note("task", subject, host, cause.to_owned());
    }

    pub(super) fn stage_name(&self, stage: u32) -> &str {
        self.plan
            .stages
            .get(stage as usize)
            .map_or("unknown", |stage| stage.name.as_str())
    }
}

/// Whether an executor's container was granted to this attempt.
fn is_of_attempt(executor: &ExecutorId, epoch: Epoch) -> bool {
    let container = executor.as_str().parse::<ContainerId>();
    container.is_ok_and(|container| container.attempt.attempt == epoch.0)
}
