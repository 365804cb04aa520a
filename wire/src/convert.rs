//! Generated types to ours and back. What a newer peer may add reads as the nearest known thing.

use std::time::Duration;

use crate::amounts::Amounts;
use crate::failure::{ExecutorLoss, FailureCause, KillReason, TaskFailure};
use crate::frame::{FrameError, sealed::Wire};
use crate::id::{ExecutorId, StageKey, TaskAttemptId};
use crate::message::{
    ExecutorMessage, GatewayMessage, Heartbeat, Hello, Refusal, RunningTask, TaskReport, Welcome,
};
use crate::proto::{
    self, executor_loss::Kind, frame::Body, refused::Reason, task_failure::Cause, task_result::Place,
};
use crate::task::{
    Body as TaskBody, Capture, Counter, Feed, InputSlice, StageSpec, TaskMetrics, TaskResult, TaskSpec,
};
use crate::version::Version;

mod launcher;

impl Wire for ExecutorMessage {
    fn into_body(self) -> Body {
        match self {
            Self::Hello(hello) => Body::Hello(hello.into()),
            Self::Heartbeat(heartbeat) => Body::Heartbeat(heartbeat.into()),
            Self::TaskStarted { id, pid } => Body::TaskStarted(proto::TaskStarted {
                id: Some(id.into()),
                pid,
            }),
            Self::TaskFinished(report) => Body::TaskFinished((*report).into()),
            Self::CommitRequest { id } => Body::CommitRequest(proto::CommitRequest { id: Some(id.into()) }),
            Self::Goodbye { reason } => Body::Goodbye(proto::Goodbye { reason }),
            Self::Returned { ids } => Body::Returned(proto::Returned { ids: all(ids) }),
        }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        Ok(match body {
            Body::Hello(hello) => Self::Hello(hello.try_into()?),
            Body::Heartbeat(heartbeat) => Self::Heartbeat(heartbeat.try_into()?),
            Body::TaskStarted(started) => Self::TaskStarted {
                id: attempt(started.id)?,
                pid: started.pid,
            },
            Body::TaskFinished(report) => Self::TaskFinished(Box::new(report.try_into()?)),
            Body::CommitRequest(request) => Self::CommitRequest {
                id: attempt(request.id)?,
            },
            Body::Goodbye(goodbye) => Self::Goodbye {
                reason: goodbye.reason,
            },
            Body::Returned(returned) => Self::Returned {
                ids: all(returned.ids),
            },
            _ => return Err(FrameError::Unknown),
        })
    }
}

impl Wire for GatewayMessage {
    fn into_body(self) -> Body {
        match self {
            Self::Welcome(welcome) => Body::Welcome(welcome.into()),
            Self::Refused { reason, message } => Body::Refused(proto::Refused {
                reason: Reason::from(reason).into(),
                message,
            }),
            Self::Launch { stages, tasks } => Body::Launch(proto::Launch {
                stages: all(stages),
                tasks: all(tasks),
            }),
            Self::Cancel { id, reason, grace } => Body::Cancel(proto::Cancel {
                id: Some(id.into()),
                reason: proto::KillReason::from(reason).into(),
                grace_ms: millis(grace),
            }),
            Self::Recall { ids } => Body::Recall(proto::Recall { ids: all(ids) }),
            Self::CommitDecision { id, granted } => Body::CommitDecision(proto::CommitDecision {
                id: Some(id.into()),
                granted,
            }),
            Self::Acknowledge { sequences } => Body::Acknowledge(proto::Acknowledge { sequences }),
            Self::Shutdown { reason, grace } => Body::Shutdown(proto::Shutdown {
                reason,
                grace_ms: millis(grace),
            }),
        }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        Ok(match body {
            Body::Welcome(welcome) => Self::Welcome(welcome.into()),
            Body::Refused(refused) => Self::Refused {
                reason: refused.reason().into(),
                message: refused.message,
            },
            Body::Launch(launch) => Self::Launch {
                stages: try_all(launch.stages)?,
                tasks: try_all(launch.tasks)?,
            },
            Body::Cancel(cancel) => Self::Cancel {
                reason: cancel.reason().into(),
                grace: Duration::from_millis(cancel.grace_ms),
                id: attempt(cancel.id)?,
            },
            Body::Recall(recall) => Self::Recall { ids: all(recall.ids) },
            Body::CommitDecision(decision) => Self::CommitDecision {
                id: attempt(decision.id)?,
                granted: decision.granted,
            },
            Body::Acknowledge(acknowledge) => Self::Acknowledge {
                sequences: acknowledge.sequences,
            },
            Body::Shutdown(shutdown) => Self::Shutdown {
                reason: shutdown.reason,
                grace: Duration::from_millis(shutdown.grace_ms),
            },
            _ => return Err(FrameError::Unknown),
        })
    }
}

fn all<A, B: From<A>>(values: Vec<A>) -> Vec<B> {
    values.into_iter().map(B::from).collect()
}

fn try_all<A, B: TryFrom<A>>(values: Vec<A>) -> Result<Vec<B>, B::Error> {
    values.into_iter().map(B::try_from).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn attempt(id: Option<proto::TaskAttemptId>) -> Result<TaskAttemptId, FrameError> {
    id.map(TaskAttemptId::from)
        .ok_or_else(|| FrameError::Malformed("a task attempt without id".to_owned()))
}

fn executor(text: &str) -> Result<ExecutorId, FrameError> {
    text.parse()
        .map_err(|error: crate::id::InvalidId| FrameError::Malformed(error.to_string()))
}

impl From<TaskAttemptId> for proto::TaskAttemptId {
    fn from(id: TaskAttemptId) -> Self {
        Self {
            job: id.stage.job,
            stage: id.stage.stage,
            stage_attempt: id.stage.stage_attempt,
            partition: id.partition,
            attempt: id.attempt,
        }
    }
}

impl From<proto::TaskAttemptId> for TaskAttemptId {
    fn from(id: proto::TaskAttemptId) -> Self {
        Self {
            stage: StageKey {
                job: id.job,
                stage: id.stage,
                stage_attempt: id.stage_attempt,
            },
            partition: id.partition,
            attempt: id.attempt,
        }
    }
}

impl From<Hello> for proto::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            protocol_major: hello.protocol.major,
            protocol_minor: hello.protocol.minor,
            build: hello.build,
            application: hello.application,
            executor: hello.executor.to_string(),
            host: hello.host,
            pid: hello.pid,
            slots: hello.slots,
            memory_bytes: hello.memory,
            started_unix_ms: hello.started_unix_ms,
            running: all(hello.running),
        }
    }
}

impl TryFrom<proto::Hello> for Hello {
    type Error = FrameError;

    fn try_from(hello: proto::Hello) -> Result<Self, FrameError> {
        Ok(Self {
            protocol: Version {
                major: hello.protocol_major,
                minor: hello.protocol_minor,
            },
            build: hello.build,
            application: hello.application,
            executor: executor(&hello.executor)?,
            host: hello.host,
            pid: hello.pid,
            slots: hello.slots,
            memory: hello.memory_bytes,
            started_unix_ms: hello.started_unix_ms,
            running: all(hello.running),
        })
    }
}

impl From<Heartbeat> for proto::Heartbeat {
    fn from(heartbeat: Heartbeat) -> Self {
        let running = |task: RunningTask| proto::RunningTask {
            id: Some(task.id.into()),
            resident_bytes: task.resident,
            progress: task.progress,
            waiting: task.waiting,
            status: task.status,
            counters: all(task.counters),
        };
        Self {
            sequence: heartbeat.sequence,
            running: heartbeat.running.into_iter().map(running).collect(),
            resident_bytes: heartbeat.resident,
            cpu_ms: millis(heartbeat.cpu),
            peak_bytes: heartbeat.peak,
        }
    }
}

impl TryFrom<proto::Heartbeat> for Heartbeat {
    type Error = FrameError;

    fn try_from(heartbeat: proto::Heartbeat) -> Result<Self, FrameError> {
        let running = |task: proto::RunningTask| {
            Ok(RunningTask {
                id: attempt(task.id)?,
                resident: task.resident_bytes,
                progress: task.progress,
                waiting: task.waiting,
                status: task.status,
                counters: all(task.counters),
            })
        };
        Ok(Self {
            sequence: heartbeat.sequence,
            running: heartbeat
                .running
                .into_iter()
                .map(running)
                .collect::<Result<_, _>>()?,
            resident: heartbeat.resident_bytes,
            cpu: Duration::from_millis(heartbeat.cpu_ms),
            peak: heartbeat.peak_bytes,
        })
    }
}

impl From<TaskReport> for proto::TaskFinished {
    fn from(report: TaskReport) -> Self {
        Self {
            sequence: report.sequence,
            id: Some(report.id.into()),
            metrics: Some(report.metrics.into()),
            failure: report.outcome.err().map(Into::into),
            result: report.result.map(Into::into),
            counters: all(report.counters),
        }
    }
}

impl TryFrom<proto::TaskFinished> for TaskReport {
    type Error = FrameError;

    fn try_from(report: proto::TaskFinished) -> Result<Self, FrameError> {
        Ok(Self {
            sequence: report.sequence,
            id: attempt(report.id)?,
            metrics: report.metrics.unwrap_or_default().into(),
            outcome: match report.failure {
                None => Ok(()),
                Some(failure) => Err(failure.into()),
            },
            result: report.result.and_then(result),
            counters: all(report.counters),
        })
    }
}

impl From<TaskResult> for proto::TaskResult {
    fn from(result: TaskResult) -> Self {
        let place = match result {
            TaskResult::Inline(bytes) => Place::Inline(bytes),
            TaskResult::Stored { uri, length } => Place::Stored(proto::StoredResult { uri, length }),
        };
        Self { place: Some(place) }
    }
}

fn result(result: proto::TaskResult) -> Option<TaskResult> {
    result.place.map(|place| match place {
        Place::Inline(bytes) => TaskResult::Inline(bytes),
        Place::Stored(proto::StoredResult { uri, length }) => TaskResult::Stored { uri, length },
    })
}

impl From<Counter> for proto::Counter {
    fn from(counter: Counter) -> Self {
        let Counter { group, name, value } = counter;
        Self { group, name, value }
    }
}

impl From<proto::Counter> for Counter {
    fn from(counter: proto::Counter) -> Self {
        let proto::Counter { group, name, value } = counter;
        Self { group, name, value }
    }
}

impl From<TaskMetrics> for proto::TaskMetrics {
    fn from(metrics: TaskMetrics) -> Self {
        Self {
            wall_ms: millis(metrics.wall),
            cpu_user_ms: millis(metrics.cpu_user),
            cpu_system_ms: millis(metrics.cpu_system),
            peak_resident_bytes: metrics.peak_resident,
            input_bytes: metrics.input_bytes,
            output_bytes: metrics.output_bytes,
            stderr_bytes: metrics.stderr_bytes,
        }
    }
}

impl From<proto::TaskMetrics> for TaskMetrics {
    fn from(metrics: proto::TaskMetrics) -> Self {
        Self {
            wall: Duration::from_millis(metrics.wall_ms),
            cpu_user: Duration::from_millis(metrics.cpu_user_ms),
            cpu_system: Duration::from_millis(metrics.cpu_system_ms),
            peak_resident: metrics.peak_resident_bytes,
            input_bytes: metrics.input_bytes,
            output_bytes: metrics.output_bytes,
            stderr_bytes: metrics.stderr_bytes,
        }
    }
}

impl From<Welcome> for proto::Welcome {
    fn from(welcome: Welcome) -> Self {
        Self {
            heartbeat_ms: millis(welcome.heartbeat),
            silence_ms: millis(welcome.silence),
            am_lost_ttl_ms: millis(welcome.am_lost_ttl),
        }
    }
}

impl From<proto::Welcome> for Welcome {
    fn from(welcome: proto::Welcome) -> Self {
        Self {
            heartbeat: Duration::from_millis(welcome.heartbeat_ms),
            silence: Duration::from_millis(welcome.silence_ms),
            am_lost_ttl: Duration::from_millis(welcome.am_lost_ttl_ms),
        }
    }
}

/// Enums with the same variants on both sides; the first generated one stands for what is not known.
macro_rules! same_variants {
    ($ours:ty, $theirs:ty, unknown $unknown:ident = $other:ident, $($a:ident = $b:ident),+ $(,)?) => {
        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value { <$ours>::$unknown => Self::$other, $(<$ours>::$a => Self::$b),+ }
            }
        }

        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                match value { <$theirs>::$other => Self::$unknown, $(<$theirs>::$b => Self::$a),+ }
            }
        }
    };
}

same_variants!(
    Refusal,
    Reason,
    unknown Unspecified = Unspecified,
    ProtocolVersion = ProtocolVersion,
    Build = Build,
    UnknownExecutor = UnknownExecutor,
    Fenced = Fenced,
    WrongApplication = WrongApplication,
    Ending = Ending,
);

impl From<KillReason> for proto::KillReason {
    fn from(reason: KillReason) -> Self {
        match reason {
            KillReason::OtherAttemptWon => Self::OtherAttemptWon,
            KillReason::StageEnded => Self::StageEnded,
            KillReason::JobEnded => Self::JobEnded,
            KillReason::ByUser => Self::ByUser,
            KillReason::ExecutorStopping => Self::ExecutorStopping,
        }
    }
}

impl From<proto::KillReason> for KillReason {
    fn from(reason: proto::KillReason) -> Self {
        match reason {
            proto::KillReason::OtherAttemptWon => Self::OtherAttemptWon,
            proto::KillReason::StageEnded => Self::StageEnded,
            proto::KillReason::JobEnded => Self::JobEnded,
            proto::KillReason::ByUser | proto::KillReason::KillUnspecified => Self::ByUser,
            proto::KillReason::ExecutorStopping => Self::ExecutorStopping,
        }
    }
}

same_variants!(
    Feed,
    proto::stage_spec::Feed,
    unknown Stdin = Stdin,
    File = File,
    None = None,
);

same_variants!(
    Capture,
    proto::stage_spec::Capture,
    unknown Stdout = Stdout,
    Directory = Directory,
    Log = Log,
);

impl From<StageSpec> for proto::StageSpec {
    fn from(spec: StageSpec) -> Self {
        let (argv, shell, function) = match spec.body {
            TaskBody::Argv(argv) => (argv, String::new(), String::new()),
            TaskBody::Shell(script) => (Vec::new(), script, String::new()),
            TaskBody::Function(name) => (Vec::new(), String::new(), name),
        };
        let variable = |(name, value)| proto::Variable { name, value };
        Self {
            job: spec.key.job,
            stage: spec.key.stage,
            stage_attempt: spec.key.stage_attempt,
            name: spec.name,
            tasks: spec.tasks,
            argv,
            shell,
            environment: spec.environment.into_iter().map(variable).collect(),
            feed: proto::stage_spec::Feed::from(spec.feed).into(),
            capture: proto::stage_spec::Capture::from(spec.capture).into(),
            output: spec.output.unwrap_or_default(),
            files: spec.files,
            timeout_ms: spec.timeout.map_or(0, |timeout| millis(timeout).max(1)),
            memory_limit_bytes: spec.memory_limit.unwrap_or(0),
            cores: spec.cores,
            function,
            results: spec.results.unwrap_or_default(),
            resources: owned(&spec.resources),
        }
    }
}

impl TryFrom<proto::StageSpec> for StageSpec {
    type Error = FrameError;

    fn try_from(spec: proto::StageSpec) -> Result<Self, FrameError> {
        let (feed, capture) = (spec.feed().into(), spec.capture().into());
        Ok(Self {
            key: StageKey {
                job: spec.job,
                stage: spec.stage,
                stage_attempt: spec.stage_attempt,
            },
            name: spec.name,
            tasks: spec.tasks,
            body: body(spec.argv, spec.shell, spec.function)?,
            environment: spec.environment.into_iter().map(|v| (v.name, v.value)).collect(),
            feed,
            capture,
            output: Some(spec.output).filter(|uri| !uri.is_empty()),
            files: spec.files,
            timeout: (spec.timeout_ms > 0).then(|| Duration::from_millis(spec.timeout_ms)),
            memory_limit: (spec.memory_limit_bytes > 0).then_some(spec.memory_limit_bytes),
            cores: spec.cores.max(1),
            results: Some(spec.results).filter(|uri| !uri.is_empty()),
            resources: spec.resources.into_iter().collect(),
        })
    }
}

fn owned<M: FromIterator<(String, u64)>>(amounts: &Amounts) -> M {
    amounts
        .iter()
        .map(|(name, amount)| (name.to_owned(), amount))
        .collect()
}

fn body(argv: Vec<String>, shell: String, function: String) -> Result<TaskBody, FrameError> {
    match (argv.is_empty(), shell.is_empty(), function.is_empty()) {
        (false, true, true) => Ok(TaskBody::Argv(argv)),
        (true, false, true) => Ok(TaskBody::Shell(shell)),
        (true, true, false) => Ok(TaskBody::Function(function)),
        _ => Err(FrameError::Malformed(
            "a stage needs a command, a script or a function, and only one of them".to_owned(),
        )),
    }
}

impl From<TaskSpec> for proto::TaskSpec {
    fn from(spec: TaskSpec) -> Self {
        Self {
            id: Some(spec.id.into()),
            item: spec.item,
            inputs: all(spec.inputs),
        }
    }
}

impl TryFrom<proto::TaskSpec> for TaskSpec {
    type Error = FrameError;

    fn try_from(spec: proto::TaskSpec) -> Result<Self, FrameError> {
        Ok(Self {
            id: attempt(spec.id)?,
            item: spec.item,
            inputs: all(spec.inputs),
        })
    }
}

impl From<InputSlice> for proto::InputSlice {
    fn from(slice: InputSlice) -> Self {
        Self {
            uri: slice.uri,
            offset: slice.offset,
            length: slice.length,
            cut_at_lines: slice.cut_at_lines,
        }
    }
}

impl From<proto::InputSlice> for InputSlice {
    fn from(slice: proto::InputSlice) -> Self {
        Self {
            uri: slice.uri,
            offset: slice.offset,
            length: slice.length,
            cut_at_lines: slice.cut_at_lines,
        }
    }
}

impl From<TaskFailure> for proto::TaskFailure {
    fn from(failure: TaskFailure) -> Self {
        Self {
            cause: Some(failure.cause.into()),
            stderr_tail: failure.stderr_tail,
        }
    }
}

impl From<proto::TaskFailure> for TaskFailure {
    fn from(failure: proto::TaskFailure) -> Self {
        let unknown = || FailureCause::Unclassified("a cause that this version does not know".to_owned());
        Self {
            cause: failure.cause.map_or_else(unknown, FailureCause::from),
            stderr_tail: failure.stderr_tail,
        }
    }
}

impl From<FailureCause> for Cause {
    fn from(cause: FailureCause) -> Self {
        match cause {
            FailureCause::ExitCode(code) => Self::ExitCode(proto::ExitCode { code }),
            FailureCause::Signal { signal, core_dumped } => {
                Self::Signal(proto::Signal { signal, core_dumped })
            }
            FailureCause::Timeout(limit) => Self::Timeout(proto::Timeout {
                limit_ms: millis(limit),
            }),
            FailureCause::MemoryLimit { limit, peak } => Self::MemoryLimit(proto::MemoryLimit {
                limit_bytes: limit,
                peak_bytes: peak,
            }),
            FailureCause::StartFailed(message) => Self::StartFailed(proto::StartFailed { message }),
            FailureCause::InputFailed { uri, message } => {
                Self::InputFailed(proto::InputFailed { uri, message })
            }
            FailureCause::OutputFailed { path, message } => {
                Self::OutputFailed(proto::OutputFailed { path, message })
            }
            FailureCause::Killed(reason) => Self::Killed(proto::Killed {
                reason: proto::KillReason::from(reason).into(),
            }),
            FailureCause::CommitDenied => Self::CommitDenied(proto::CommitDenied {}),
            FailureCause::ExecutorLost { loss, started } => Self::ExecutorLost(proto::ExecutorLost {
                loss: Some(loss.into()),
                started,
            }),
            FailureCause::ContainerMemory { limit, used, own } => {
                Self::ContainerMemory(proto::ContainerMemory {
                    limit_bytes: limit,
                    used_bytes: used,
                    own_bytes: own,
                })
            }
            FailureCause::OutOfMemory { peak } => Self::OutOfMemory(proto::OutOfMemory { peak_bytes: peak }),
            FailureCause::Panicked(message) => Self::Panicked(proto::Panicked { message }),
            FailureCause::FunctionFailed(message) => Self::FunctionFailed(proto::FunctionFailed { message }),
            FailureCause::Unclassified(message) => Self::Unclassified(proto::Unclassified { message }),
        }
    }
}

impl From<Cause> for FailureCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::ExitCode(exit) => Self::ExitCode(exit.code),
            Cause::Signal(proto::Signal { signal, core_dumped }) => Self::Signal { signal, core_dumped },
            Cause::Timeout(timeout) => Self::Timeout(Duration::from_millis(timeout.limit_ms)),
            Cause::MemoryLimit(memory) => Self::MemoryLimit {
                limit: memory.limit_bytes,
                peak: memory.peak_bytes,
            },
            Cause::StartFailed(failed) => Self::StartFailed(failed.message),
            Cause::InputFailed(proto::InputFailed { uri, message }) => Self::InputFailed { uri, message },
            Cause::OutputFailed(proto::OutputFailed { path, message }) => {
                Self::OutputFailed { path, message }
            }
            Cause::Killed(killed) => Self::Killed(killed.reason().into()),
            Cause::CommitDenied(_) => Self::CommitDenied,
            Cause::ExecutorLost(lost) => Self::ExecutorLost {
                loss: lost.loss.map_or(ExecutorLoss::Unknown, ExecutorLoss::from),
                started: lost.started,
            },
            Cause::ContainerMemory(memory) => Self::ContainerMemory {
                limit: memory.limit_bytes,
                used: memory.used_bytes,
                own: memory.own_bytes,
            },
            Cause::OutOfMemory(memory) => Self::OutOfMemory {
                peak: memory.peak_bytes,
            },
            Cause::Panicked(panicked) => Self::Panicked(panicked.message),
            Cause::FunctionFailed(failed) => Self::FunctionFailed(failed.message),
            Cause::Unclassified(unclassified) => Self::Unclassified(unclassified.message),
        }
    }
}

impl From<ExecutorLoss> for proto::ExecutorLoss {
    fn from(loss: ExecutorLoss) -> Self {
        let code = match loss {
            ExecutorLoss::Exited(code) | ExecutorLoss::Signalled(code) => code,
            _ => 0,
        };
        Self {
            kind: kind_of(loss).into(),
            code,
        }
    }
}

fn kind_of(loss: ExecutorLoss) -> Kind {
    match loss {
        ExecutorLoss::Preempted => Kind::Preempted,
        ExecutorLoss::Released => Kind::Released,
        ExecutorLoss::NodeLost => Kind::NodeLost,
        ExecutorLoss::DisksFailed => Kind::DisksFailed,
        ExecutorLoss::KilledByRm => Kind::KilledByRm,
        ExecutorLoss::KilledByUs => Kind::KilledByUs,
        ExecutorLoss::Decommissioned => Kind::Decommissioned,
        ExecutorLoss::ApplicationEnded => Kind::ApplicationEnded,
        ExecutorLoss::Exited(_) => Kind::Exited,
        ExecutorLoss::Signalled(_) => Kind::Signalled,
        ExecutorLoss::PhysicalMemory => Kind::PhysicalMemory,
        ExecutorLoss::VirtualMemory => Kind::VirtualMemory,
        ExecutorLoss::LocalizationFailed => Kind::LocalizationFailed,
        ExecutorLoss::StartFailed => Kind::StartFailed,
        ExecutorLoss::NeverRegistered => Kind::NeverRegistered,
        ExecutorLoss::Silent => Kind::Silent,
        ExecutorLoss::ExcessLogs => Kind::ExcessLogs,
        ExecutorLoss::Unknown => Kind::Unknown,
    }
}

impl From<proto::ExecutorLoss> for ExecutorLoss {
    fn from(loss: proto::ExecutorLoss) -> Self {
        match loss.kind() {
            Kind::Preempted => Self::Preempted,
            Kind::Released => Self::Released,
            Kind::NodeLost => Self::NodeLost,
            Kind::DisksFailed => Self::DisksFailed,
            Kind::KilledByRm => Self::KilledByRm,
            Kind::KilledByUs => Self::KilledByUs,
            Kind::Decommissioned => Self::Decommissioned,
            Kind::ApplicationEnded => Self::ApplicationEnded,
            Kind::Exited => Self::Exited(loss.code),
            Kind::Signalled => Self::Signalled(loss.code),
            Kind::PhysicalMemory => Self::PhysicalMemory,
            Kind::VirtualMemory => Self::VirtualMemory,
            Kind::LocalizationFailed => Self::LocalizationFailed,
            Kind::StartFailed => Self::StartFailed,
            Kind::NeverRegistered => Self::NeverRegistered,
            Kind::Silent => Self::Silent,
            Kind::ExcessLogs => Self::ExcessLogs,
            Kind::Unknown => Self::Unknown,
        }
    }
}
