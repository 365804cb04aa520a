//! The messages between gateway and a driver in the client. What an executor said or is told passes as the frame
//! that it would be on the executor's own connection.

use std::time::Duration;

use crate::failure::ExecutorLoss;
use crate::frame::{FrameError, sealed::Wire};
use crate::id::BootNonce;
use crate::launcher::{
    DriverHello, DriverMessage, DriverWelcome, ExecutorTarget, LauncherCommand, LauncherMessage,
    LauncherReport, Registration, Verdict,
};
use crate::message::{DialerMessage, ExecutorMessage};
use crate::proto::{
    self, frame::Body, launcher_command::Command, launcher_report::Report, refused::Reason, verdict::Kind,
};
use crate::version::Version;

use super::{all, executor, millis};

impl Wire for DialerMessage {
    fn into_body(self) -> Body {
        match self {
            Self::Executor(message) => message.into_body(),
            Self::Driver(message) => message.into_body(),
        }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        match body {
            body @ (Body::DriverHello(_) | Body::DriverHeartbeat(_) | Body::Command(_)) => {
                DriverMessage::from_body(body).map(Self::Driver)
            }
            body => ExecutorMessage::from_body(body).map(Self::Executor),
        }
    }
}

impl Wire for DriverMessage {
    fn into_body(self) -> Body {
        match self {
            Self::Hello(hello) => Body::DriverHello(proto::DriverHello {
                protocol_major: hello.protocol.major,
                protocol_minor: hello.protocol.minor,
                build: hello.build,
                application: hello.application,
            }),
            Self::Heartbeat => Body::DriverHeartbeat(proto::DriverHeartbeat {}),
            Self::Command(command) => Body::Command(Box::new(command.into())),
        }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        Ok(match body {
            Body::DriverHello(hello) => Self::Hello(DriverHello {
                protocol: Version {
                    major: hello.protocol_major,
                    minor: hello.protocol_minor,
                },
                build: hello.build,
                application: hello.application,
            }),
            Body::DriverHeartbeat(_) => Self::Heartbeat,
            Body::Command(command) => Self::Command((*command).try_into()?),
            _ => return Err(FrameError::Unknown),
        })
    }
}

impl Wire for LauncherMessage {
    fn into_body(self) -> Body {
        match self {
            Self::Welcome(welcome) => Body::DriverWelcome(proto::DriverWelcome {
                heartbeat_ms: millis(welcome.heartbeat),
                silence_ms: millis(welcome.silence),
                reconnect_ms: millis(welcome.reconnect),
            }),
            Self::Refused { reason, message } => Body::DriverRefused(proto::DriverRefused {
                reason: Reason::from(reason).into(),
                message,
            }),
            Self::Heartbeat => Body::LauncherHeartbeat(proto::LauncherHeartbeat {}),
            Self::Report(report) => Body::Report(Box::new(report.into())),
            Self::Concluded => Body::Concluded(proto::Concluded {}),
        }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        Ok(match body {
            Body::DriverWelcome(welcome) => Self::Welcome(DriverWelcome {
                heartbeat: Duration::from_millis(welcome.heartbeat_ms),
                silence: Duration::from_millis(welcome.silence_ms),
                reconnect: Duration::from_millis(welcome.reconnect_ms),
            }),
            Body::DriverRefused(refused) => Self::Refused {
                reason: refused.reason().into(),
                message: refused.message,
            },
            Body::LauncherHeartbeat(_) => Self::Heartbeat,
            Body::Report(report) => Self::Report((*report).try_into()?),
            Body::Concluded(_) => Self::Concluded,
            _ => return Err(FrameError::Unknown),
        })
    }
}

impl From<LauncherCommand> for proto::LauncherCommand {
    fn from(command: LauncherCommand) -> Self {
        let command = match command {
            LauncherCommand::SetTarget(target) => Command::SetTarget(proto::ExecutorTarget {
                executors: target.executors,
                hosts: target.hosts.into_iter().collect(),
                avoid: target.avoid.into_iter().collect(),
                needed: target.needed,
            }),
            LauncherCommand::StopExecutor { executor, loss } => Command::StopExecutor(proto::StopExecutor {
                executor: executor.to_string(),
                loss: Some(loss.into()),
            }),
            LauncherCommand::Tell { executor, message } => {
                Command::Tell(Box::new(passed(executor.to_string(), message)))
            }
            LauncherCommand::Show(json) => Command::Show(json),
            LauncherCommand::Progress { done, known } => Command::Progress(proto::Progress { done, known }),
            LauncherCommand::Finish(verdict) => Command::Finish(verdict.into()),
        };
        Self {
            command: Some(command),
        }
    }
}

impl TryFrom<proto::LauncherCommand> for LauncherCommand {
    type Error = FrameError;

    fn try_from(command: proto::LauncherCommand) -> Result<Self, FrameError> {
        Ok(match command.command.ok_or(FrameError::Unknown)? {
            Command::SetTarget(target) => Self::SetTarget(ExecutorTarget {
                executors: target.executors,
                hosts: target.hosts.into_iter().collect(),
                avoid: target.avoid.into_iter().collect(),
                needed: target.needed,
            }),
            Command::StopExecutor(stop) => Self::StopExecutor {
                executor: executor(&stop.executor)?,
                loss: loss_of(stop.loss),
            },
            Command::Tell(told) => Self::Tell {
                executor: executor(&told.executor)?,
                message: unpassed(*told)?,
            },
            Command::Show(json) => Self::Show(json),
            Command::Progress(proto::Progress { done, known }) => Self::Progress { done, known },
            Command::Finish(verdict) => Self::Finish(verdict.into()),
        })
    }
}

impl From<LauncherReport> for proto::LauncherReport {
    fn from(report: LauncherReport) -> Self {
        let report = match report {
            LauncherReport::ExecutorRegistered(registration) => Report::Registered(registration.into()),
            LauncherReport::Heard { executor, message } => {
                Report::Heard(Box::new(passed(executor.to_string(), message)))
            }
            LauncherReport::ExecutorDisconnected { executor } => Report::Disconnected(executor.to_string()),
            LauncherReport::ExecutorGone {
                executor,
                loss,
                detail,
            } => Report::Gone(proto::ExecutorGone {
                executor: executor.to_string(),
                loss: Some(loss.into()),
                detail,
            }),
            LauncherReport::DrainWanted {
                executors,
                more,
                loss,
            } => Report::DrainWanted(proto::DrainWanted {
                executors: executors.iter().map(ToString::to_string).collect(),
                more,
                loss: Some(loss.into()),
            }),
            LauncherReport::ResourceManagerHeard { ago } => {
                Report::ResourceManagerHeard(proto::ResourceManagerHeard { ago_ms: millis(ago) })
            }
            LauncherReport::Hopeless(reason) => Report::Hopeless(reason),
            LauncherReport::NoRoom { reason, room } => Report::NoRoom(proto::NoRoom { reason, room }),
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<proto::LauncherReport> for LauncherReport {
    type Error = FrameError;

    fn try_from(report: proto::LauncherReport) -> Result<Self, FrameError> {
        Ok(match report.report.ok_or(FrameError::Unknown)? {
            Report::Registered(registered) => Self::ExecutorRegistered(registered.try_into()?),
            Report::Heard(heard) => Self::Heard {
                executor: executor(&heard.executor)?,
                message: unpassed(*heard)?,
            },
            Report::Disconnected(id) => Self::ExecutorDisconnected {
                executor: executor(&id)?,
            },
            Report::Gone(gone) => Self::ExecutorGone {
                executor: executor(&gone.executor)?,
                loss: loss_of(gone.loss),
                detail: gone.detail,
            },
            Report::DrainWanted(drain) => Self::DrainWanted {
                executors: drain
                    .executors
                    .iter()
                    .map(|id| executor(id))
                    .collect::<Result<_, _>>()?,
                more: drain.more,
                loss: loss_of(drain.loss),
            },
            Report::ResourceManagerHeard(heard) => Self::ResourceManagerHeard {
                ago: Duration::from_millis(heard.ago_ms),
            },
            Report::Hopeless(reason) => Self::Hopeless(reason),
            Report::NoRoom(proto::NoRoom { reason, room }) => Self::NoRoom { reason, room },
        })
    }
}

impl From<Registration> for proto::ExecutorRegistered {
    fn from(registration: Registration) -> Self {
        Self {
            executor: registration.executor.to_string(),
            boot: registration.boot.0,
            host: registration.host,
            slots: registration.slots,
            running: all(registration.running),
        }
    }
}

impl TryFrom<proto::ExecutorRegistered> for Registration {
    type Error = FrameError;

    fn try_from(registered: proto::ExecutorRegistered) -> Result<Self, FrameError> {
        Ok(Self {
            executor: executor(&registered.executor)?,
            boot: BootNonce(registered.boot),
            host: registered.host,
            slots: registered.slots,
            running: all(registered.running),
        })
    }
}

impl From<Verdict> for proto::Verdict {
    fn from(verdict: Verdict) -> Self {
        let (kind, cause) = match verdict {
            Verdict::Succeeded => (Kind::Succeeded, String::new()),
            Verdict::Failed(cause) => (Kind::Failed, cause),
            Verdict::Killed(by) => (Kind::Killed, by),
        };
        Self {
            kind: kind.into(),
            cause,
        }
    }
}

impl From<proto::Verdict> for Verdict {
    fn from(verdict: proto::Verdict) -> Self {
        match verdict.kind() {
            Kind::Succeeded => Self::Succeeded,
            Kind::Failed => Self::Failed(verdict.cause),
            Kind::Killed => Self::Killed(verdict.cause),
        }
    }
}

fn loss_of(loss: Option<proto::ExecutorLoss>) -> ExecutorLoss {
    loss.map_or(ExecutorLoss::Unknown, ExecutorLoss::from)
}

fn passed(executor: String, message: impl Wire) -> proto::Passed {
    let frame = proto::Frame {
        epoch: 0,
        boot: 0,
        body: Some(message.into_body()),
    };
    proto::Passed {
        executor,
        frame: Some(Box::new(frame)),
    }
}

fn unpassed<M: Wire>(passed: proto::Passed) -> Result<M, FrameError> {
    let body = passed.frame.and_then(|frame| frame.body);
    M::from_body(body.ok_or(FrameError::Unknown)?)
}
