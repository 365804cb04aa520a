//! The life of one attempt: directory, input, command, result, commit.
//!
//! An attempt ends exactly once, with an outcome, and leaves no process, no directory and, unless it committed, no
//! result behind. Whatever ends it early (an order, its timeout, its memory, an input that cannot be read, a result
//! that cannot be written) is the cause that is reported; how its processes then died is not.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::pending;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::{Epoch, TaskAttemptId};
use wire::task::{Body, Capture, Feed, StageSpec, TaskMetrics, TaskResult, TaskSpec};

use crate::board::Board;
use crate::children::Children;
use crate::functions::Functions;
use crate::oom::{self, Kills};
use crate::reports::{Kept, Reports};
use crate::said::Said;
use crate::session::{Event, TaskEnd};
use crate::settings::Settings;
use crate::shares::Share;
use crate::storage::Storage;
use crate::task::capture::Place;
use crate::task::command::{command, environment, explain_start, write_input_list};
use crate::task::directory::{Directories, Directory, log_name};
use crate::task::feed;
use crate::task::log::{BoundedLog, LOG_LIMIT};
use crate::task::running::Running;
use crate::task::{function, isolated};

/// How long processes get after SIGTERM when the timeout has passed.
pub(crate) const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// What all attempts of an executor share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Arc<Settings>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) children: Arc<Children>,
    pub(crate) directories: Arc<Directories>,
    pub(crate) kills: Kills,
    pub(crate) board: Arc<Board>,
    /// What tasks may call.
    pub(crate) functions: Functions,
    /// Where the bulk of reports is kept.
    pub(crate) reports: Reports,
}

/// An order to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancellation {
    pub(crate) reason: KillReason,
    pub(crate) grace: Duration,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) epoch: Epoch,
    pub(crate) stage: Arc<StageSpec>,
    pub(crate) task: TaskSpec,
    /// What it has of its executor for itself.
    pub(crate) share: Share,
    /// Nobody waits to hear that it has begun.
    pub(crate) unhurried: bool,
    /// It begins when another one ends.
    pub(crate) ahead: bool,
}

/// The attempt's ends of what is said to it and by it.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) cancel: watch::Receiver<Option<Cancellation>>,
    pub(crate) decision: watch::Receiver<Option<bool>>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// What an attempt used so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) peak: AtomicU64,
    pub(crate) input: AtomicU64,
    pub(crate) output: AtomicU64,
    cpu: Mutex<(Duration, Duration)>,
}

/// Why an attempt ends early, and how long its processes get.
#[derive(Debug)]
pub(crate) struct Interruption {
    pub(crate) cause: FailureCause,
    pub(crate) grace: Duration,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) context: Arc<Context>,
    pub(crate) order: Order,
    lines: Lines,
    started: Instant,
    pub(crate) meter: Meter,
    pub(crate) stdout: Mutex<BoundedLog>,
    pub(crate) stderr: Mutex<BoundedLog>,
    pub(crate) said: Arc<Said>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until there is a value. The sender lives as long as the attempt; without it there never will be one.
async fn received<T: Copy>(receiver: &watch::Receiver<Option<T>>) -> T {
    let mut receiver = receiver.clone();
    let value = receiver
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|value| *value);
    match value {
        Some(value) => value,
        None => pending().await,
    }
}

impl Attempt {
    pub(crate) fn new(context: Arc<Context>, order: Order, lines: Lines) -> Self {
        let log = |stream: &str| {
            let name = log_name(order.task.id, &order.stage.name, stream);
            Mutex::new(BoundedLog::new(
                context.settings.logs.join(name),
                LOG_LIMIT,
                TaskFailure::STDERR_TAIL,
            ))
        };
        let (stdout, stderr) = (log("stdout"), log("stderr"));
        Self {
            context,
            order,
            lines,
            started: Instant::now(),
            meter: Meter::default(),
            stdout,
            stderr,
            said: Arc::default(),
        }
    }

    pub(crate) fn id(&self) -> TaskAttemptId {
        self.order.task.id
    }

    pub(crate) fn enter(&self, phase: &'static str) {
        self.context.board.enter(self.id(), phase);
    }

    /// Fails only when the executor is ending, and then nobody listens.
    pub(crate) async fn tell(&self, event: Event) {
        drop(self.lines.events.send(event).await);
    }

    /// Runs the attempt to its end.
    pub(crate) async fn run(mut self) -> TaskEnd {
        self.started = Instant::now();
        self.enter("preparing");
        self.context.board.set_said(self.id(), Arc::clone(&self.said));
        let ended = self.execute().await;
        lock(&self.stdout).finish();
        lock(&self.stderr).finish();
        let failed = |cause| TaskFailure {
            cause,
            stderr_tail: lock(&self.stderr).tail(),
        };
        let (outcome, result) = match ended {
            Ok(result) => (Ok(()), result),
            Err(cause) => (Err(failed(cause)), None),
        };
        TaskEnd {
            metrics: self.metrics(),
            outcome,
            result,
            counters: self.said.counters(),
            kept: Kept::Small,
        }
    }

    fn metrics(&self) -> TaskMetrics {
        let (cpu_user, cpu_system) = *lock(&self.meter.cpu);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TaskMetrics {
            wall: self.started.elapsed(),
            cpu_user,
            cpu_system,
            peak_resident: read(&self.meter.peak),
            input_bytes: read(&self.meter.input),
            output_bytes: read(&self.meter.output),
            stderr_bytes: lock(&self.stderr).total(),
        }
    }

    async fn execute(&self) -> Result<Option<TaskResult>, FailureCause> {
        let stage = &self.order.stage;
        let created = self.context.directories.create(stage);
        let directory = created.map_err(FailureCause::StartFailed)?;
        let Some(place) = self.place()? else {
            let produced = Box::pin(self.produce(&directory, None)).await;
            return self.take_result(&directory, produced).await;
        };
        let produced = Box::pin(self.produce(&directory, Some(&place))).await;
        let done = match produced {
            Ok(()) => Box::pin(self.commit(&place)).await,
            failed => failed,
        };
        if done.is_err() {
            self.enter("cleaning up");
            place.discard().await;
        }
        done.map(|()| None)
    }

    /// What the function of a stage gave back, if it has one.
    async fn take_result(
        &self,
        directory: &Directory,
        produced: Result<(), FailureCause>,
    ) -> Result<Option<TaskResult>, FailureCause> {
        if !matches!(self.order.stage.body, Body::Function(_)) {
            return produced.map(|()| None);
        }
        let by_itself = |cause: &FailureCause| matches!(cause, FailureCause::ExitCode(_));
        if let Err(cause) = produced {
            let said = isolated::failure(&directory.temporary()).filter(|_| by_itself(&cause));
            return Err(said.unwrap_or(cause));
        }
        let bytes = isolated::result(&directory.temporary())?;
        let placed = function::place(&self.context, &self.order.stage, self.id(), bytes);
        self.unless_interrupted(placed).await.map(Some)
    }

    fn place(&self) -> Result<Option<Place>, FailureCause> {
        let Order { stage, task, .. } = &self.order;
        if stage.capture == Capture::Log {
            return Ok(None);
        }
        let output = stage.output.as_deref().unwrap_or_default();
        Place::new(
            &self.context.storage,
            output,
            &self.context.settings.executor,
            task.id,
        )
        .map(Some)
    }

    /// Resolves when the attempt has to end.
    pub(crate) async fn interrupted(&self) -> Interruption {
        tokio::select! {
            biased;
            cancellation = received(&self.lines.cancel) => {
                let Cancellation { reason, grace } = cancellation;
                Interruption { cause: FailureCause::Killed(reason), grace }
            }
            limit = self.timed_out() => {
                Interruption { cause: FailureCause::Timeout(limit), grace: TIMEOUT_GRACE }
            }
        }
    }

    async fn timed_out(&self) -> Duration {
        let Some(limit) = self.order.stage.timeout else {
            return pending().await;
        };
        sleep(limit.saturating_sub(self.started.elapsed())).await;
        limit
    }

    /// Does `work` unless the attempt has to end before.
    async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, FailureCause>>,
    ) -> Result<T, FailureCause> {
        tokio::select! {
            biased;
            interruption = self.interrupted() => Err(interruption.cause),
            done = work => done,
        }
    }

    /// Runs the command and has its result complete at the place, not committed.
    async fn produce(&self, directory: &Directory, place: Option<&Place>) -> Result<(), FailureCause> {
        let Order { stage, task, .. } = &self.order;
        let mut environment = environment(&self.context.settings, &self.order, directory);
        if task.inputs.len() > 1 {
            let list = directory.input_list();
            let fail = |error: io::Error| FailureCause::StartFailed(format!("no list of inputs: {error}"));
            write_input_list(task, &list).map_err(fail)?;
            environment.insert("DRAWLOOM_INPUTS".into(), list.into());
        }
        if stage.feed == Feed::File && !task.inputs.is_empty() {
            let copy = self.unless_interrupted(self.copy_input(directory)).await?;
            environment.insert("DRAWLOOM_INPUT_FILE".into(), copy.into());
        }
        if matches!(stage.body, Body::Function(_)) {
            isolated::prepare(&directory.temporary(), task)?;
            environment.insert(isolated::DIRECTORY_VARIABLE.into(), directory.temporary().into());
        }
        let feeds = self.feeds_stdin();
        let mut command =
            command(stage, &environment, directory, feeds).map_err(FailureCause::StartFailed)?;
        let started = self.context.children.spawn(&mut command);
        let child = started.map_err(|error| FailureCause::StartFailed(explain_start(stage, &error)))?;
        drop(command);
        let killed_before = self.context.kills.lately();
        let running = Running::new(self, &child, directory, place);
        let ended = Box::pin(running.run(child)).await;
        running.listen();
        drop(running);
        let exit = ended?;
        *lock(&self.meter.cpu) = (exit.cpu_user, exit.cpu_system);
        judge(exit.status).map_err(|cause| self.explain_kill(cause, killed_before))?;
        match place {
            Some(place) if stage.capture == Capture::Directory => {
                self.enter("storing the result");
                self.unless_interrupted(place.upload(&directory.output(), &self.meter.output))
                    .await
            }
            _ => Ok(()),
        }
    }

    /// A SIGKILL that nobody on our side had sent, while the kernel ended processes for want of memory.
    fn explain_kill(&self, cause: FailureCause, killed_before: u64) -> FailureCause {
        let killed = matches!(
            cause,
            FailureCause::Signal { signal: 9, .. } | FailureCause::ExitCode(137)
        );
        if killed && oom::kills() > killed_before {
            let peak = self.meter.peak.load(Ordering::Relaxed);
            return FailureCause::OutOfMemory { peak };
        }
        cause
    }

    pub(crate) fn feeds_stdin(&self) -> bool {
        self.order.stage.feed == Feed::Stdin && !self.order.task.inputs.is_empty()
    }

    async fn copy_input(&self, directory: &Directory) -> Result<std::path::PathBuf, FailureCause> {
        self.enter("copying input");
        let inputs = &self.order.task.inputs;
        let name = match inputs.as_slice() {
            [single] => single.uri.rsplit('/').next(),
            _ => None,
        };
        let path = directory.input(name);
        feed::to_file(&self.context.storage, inputs, &path, &self.meter.input).await?;
        Ok(path)
    }

    /// Asks for permission and puts the result in place.
    async fn commit(&self, place: &Place) -> Result<(), FailureCause> {
        self.enter("waiting to commit");
        self.tell(Event::CommitWanted { id: self.id() }).await;
        let granted = tokio::select! {
            biased;
            granted = received(&self.lines.decision) => granted,
            cancellation = received(&self.lines.cancel) => return Err(FailureCause::Killed(cancellation.reason)),
        };
        if !granted {
            return Err(FailureCause::CommitDenied);
        }
        self.enter("committing");
        place.commit().await
    }
}

/// What the end of a command means, when nobody ended it.
fn judge(status: ExitStatus) -> Result<(), FailureCause> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(FailureCause::ExitCode(code)),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Err(FailureCause::Signal {
                signal,
                core_dumped: status.core_dumped(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_zero_is_success() {
        let judged = |raw: i32| judge(ExitStatus::from_raw(raw));
        assert_eq!(judged(0), Ok(()));
        assert_eq!(judged(7 << 8), Err(FailureCause::ExitCode(7)));
        assert_eq!(
            judged(9),
            Err(FailureCause::Signal {
                signal: 9,
                core_dumped: false
            })
        );
        assert_eq!(
            judged(11 | 0x80),
            Err(FailureCause::Signal {
                signal: 11,
                core_dumped: true
            })
        );
    }
}
