//! All attempts of the executor: starts them on a runtime of their own, passes orders on, and makes sure that each
//! reports its end, even one that panics.
//!
//! The runtime is made for the first task. It is apart from the thread that keeps the connection, so that no task,
//! however it reads and writes, delays a heartbeat.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::task::Body;

use crate::functions::{TaskContext, panic_text};
use crate::process_table::own_pid;
use crate::reports::{Reports, Stored};
use crate::session::{Event, TaskEnd};
use crate::task::attempt::{Attempt, Cancellation, Context, Lines, Order, TIMEOUT_GRACE, lock};
use crate::task::function::{Call, FunctionThreads};
use crate::task::line::Line;

/// Threads for calls that block (local files); idle ones go away.
const BLOCKING_THREADS: usize = 16;

/// The sending ends of an attempt's lines.
#[derive(Debug)]
struct Handle {
    cancel: watch::Sender<Option<Cancellation>>,
    decision: watch::Sender<Option<bool>>,
}

/// What came of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Launched {
    /// It begins when another one ends: [`Event::TaskEnded`] names it.
    Waits,
    /// It says itself when it has begun, with [`Event::TaskStarted`].
    Begins,
    /// It has begun, in this process.
    Runs(u32),
}

/// The attempts.
#[derive(Debug)]
pub(crate) struct Pool {
    context: Arc<Context>,
    events: mpsc::Sender<Event>,
    runtime: Option<Runtime>,
    /// Commands.
    line: Arc<Mutex<Line<Attempt>>>,
    threads: Option<FunctionThreads>,
    attempts: BTreeMap<TaskAttemptId, Handle>,
    calls: BTreeMap<TaskAttemptId, Calling>,
}

/// A function that is called on a thread of this process.
#[derive(Debug)]
struct Calling {
    context: Arc<TaskContext>,
    /// Gives up on it when it has been told to return and does not.
    reaper: Option<AbortHandle>,
}

impl Drop for Calling {
    fn drop(&mut self) {
        if let Some(reaper) = &self.reaper {
            reaper.abort();
        }
    }
}

impl Pool {
    /// No attempts yet; `events` gets what they do.
    pub(crate) fn new(context: Arc<Context>, events: mpsc::Sender<Event>) -> Self {
        let line = Line::new(context.settings.slots);
        Self {
            context,
            events,
            runtime: None,
            line: Arc::new(Mutex::new(line)),
            threads: None,
            attempts: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Starts an attempt, or has it wait for the end of another one if it was launched ahead and all slots are in use.
    ///
    /// # Errors
    /// When the system gives no threads; there is then no attempt and no event.
    pub(crate) fn launch(&mut self, order: Order) -> Result<Launched, FailureCause> {
        let function = matches!(order.stage.body, Body::Function(_));
        if function && order.stage.memory_limit.is_none() {
            return self.call(order);
        }
        let (id, ahead) = (order.task.id, order.ahead);
        let (cancel, cancel_seen) = watch::channel(None);
        let (decision, decision_seen) = watch::channel(None);
        let lines = Lines {
            cancel: cancel_seen,
            decision: decision_seen,
            events: self.events.clone(),
        };
        let attempt = Attempt::new(Arc::clone(&self.context), order, lines);
        self.runtime()?;
        self.attempts.insert(id, Handle { cancel, decision });
        let begins = lock(&self.line).enter(id, attempt, ahead);
        Ok(match begins {
            Some(attempt) => {
                self.begin(id, attempt);
                Launched::Begins
            }
            None => Launched::Waits,
        })
    }

    fn begin(&self, id: TaskAttemptId, attempt: Attempt) {
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        if let Some(runtime) = &self.runtime {
            runtime.spawn(run_in_turn(
                context,
                Arc::clone(&self.line),
                events,
                (id, attempt),
            ));
        }
    }

    /// The place of an attempt is lent: gives the one that begins in it, if one waits.
    pub(crate) fn lend(&mut self, id: TaskAttemptId) -> Option<TaskAttemptId> {
        let (next, attempt) = lock(&self.line).leave(id)?;
        self.begin(next, attempt);
        Some(next)
    }

    /// Takes back an attempt that waits for the end of another one; whether it did.
    pub(crate) fn retract(&mut self, id: TaskAttemptId) -> bool {
        let called = || self.threads.as_ref().is_some_and(|threads| threads.retract(id));
        let retracted = lock(&self.line).remove(id) || called();
        if retracted {
            self.forget(id);
        }
        retracted
    }

    /// Whether this is a function that is called in this process.
    pub(crate) fn calls(&self, id: TaskAttemptId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Has a function called on a thread of this process.
    fn call(&mut self, order: Order) -> Result<Launched, FailureCause> {
        let Order {
            stage,
            task,
            share,
            ahead,
            ..
        } = order;
        let devices = self.context.settings.devices_of(&share);
        let context = Arc::new(TaskContext::new(&stage, &task, devices, Instant::now()));
        let (id, timeout) = (task.id, stage.timeout);
        let runtime = self.runtime()?.handle().clone();
        let (shared, events) = (Arc::clone(&self.context), self.events.clone());
        let threads = self
            .threads
            .get_or_insert_with(|| FunctionThreads::new(shared, events, runtime.clone()));
        let call = Call {
            stage,
            task,
            context: Arc::clone(&context),
        };
        let launched = if threads.call(call, ahead)? {
            Launched::Runs(own_pid().unsigned_abs())
        } else {
            Launched::Waits
        };
        let reaper = timeout.map(|limit| {
            let cause = FailureCause::Timeout(limit);
            let reap = reap(
                Arc::clone(&context),
                self.events.clone(),
                limit,
                TIMEOUT_GRACE,
                cause,
            );
            runtime.spawn(reap).abort_handle()
        });
        self.calls.insert(id, Calling { context, reaper });
        Ok(launched)
    }

    fn cancel_call(&mut self, id: TaskAttemptId, reason: KillReason, grace: Duration) {
        let (Some(call), Some(runtime)) = (self.calls.get_mut(&id), &self.runtime) else {
            return;
        };
        if call.context.stopped().is_some() {
            return;
        }
        let (context, events) = (Arc::clone(&call.context), self.events.clone());
        let cause = FailureCause::Killed(reason);
        context.stop(cause.clone());
        let reaper = runtime
            .spawn(reap(context, events, Duration::ZERO, grace, cause))
            .abort_handle();
        if let Some(earlier) = call.reaper.replace(reaper) {
            earlier.abort();
        }
    }

    fn runtime(&mut self) -> Result<&Runtime, FailureCause> {
        match &mut self.runtime {
            Some(runtime) => Ok(runtime),
            empty => {
                let fail =
                    |error| FailureCause::StartFailed(format!("no threads to run tasks with: {error}"));
                Ok(empty.insert(task_runtime(self.context.settings.slots).map_err(fail)?))
            }
        }
    }

    /// Orders an attempt to end; only the first order counts.
    pub(crate) fn cancel(&mut self, id: TaskAttemptId, reason: KillReason, grace: Duration) {
        self.cancel_call(id, reason, grace);
        if let Some(handle) = self.attempts.get(&id) {
            handle.cancel.send_if_modified(|order| {
                let first = order.is_none();
                order.get_or_insert(Cancellation { reason, grace });
                first
            });
        }
    }

    /// Passes on whether an attempt may commit.
    pub(crate) fn decide(&self, id: TaskAttemptId, granted: bool) {
        if let Some(handle) = self.attempts.get(&id) {
            handle.decision.send_replace(Some(granted));
        }
    }

    /// Reads a report from the disk, apart from the thread that keeps the connection: [`Event::ReportRead`].
    ///
    /// # Errors
    /// When the system gives no threads; there is then no event.
    pub(crate) fn read_report(&mut self, sequence: u64, stored: Arc<Stored>) -> Result<(), FailureCause> {
        let events = self.events.clone();
        self.runtime()?.spawn_blocking(move || {
            let report = stored.read().map(Box::new);
            // Nobody listens when the executor is ending.
            drop(events.blocking_send(Event::ReportRead { sequence, report }));
        });
        Ok(())
    }

    /// The attempt has reported its end.
    pub(crate) fn forget(&mut self, id: TaskAttemptId) {
        self.attempts.remove(&id);
        self.calls.remove(&id);
    }

    /// Drops everything without waiting. The processes have to be ended apart from this.
    pub(crate) fn abandon(self) {
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
    }
}

/// Runs an attempt, and those that begin in its place.
async fn run_in_turn(
    context: Arc<Context>,
    line: Arc<Mutex<Line<Attempt>>>,
    events: mpsc::Sender<Event>,
    first: (TaskAttemptId, Attempt),
) {
    let mut upcoming = Some(first);
    while let Some((id, attempt)) = upcoming {
        let run = AssertUnwindSafe(attempt.run()).catch_unwind();
        let end = Box::pin(run).await.unwrap_or_else(|panic| broken(panic.as_ref()));
        let end = keep(&context, id, end).await;
        context.board.remove(id);
        upcoming = lock(&line).leave(id);
        let next = upcoming.as_ref().map(|(next, _)| *next);
        // Nobody listens when the executor is ending.
        drop(events.send(Event::TaskEnded { id, end, next }).await);
    }
}

/// Finds room for a report, on a thread that may wait for the disk.
async fn keep(context: &Arc<Context>, id: TaskAttemptId, end: TaskEnd) -> TaskEnd {
    if Reports::is_small(&end) {
        return end;
    }
    let context = Arc::clone(context);
    let keep = tokio::task::spawn_blocking(move || context.reports.keep(id, end));
    match keep.await {
        Ok(end) => end,
        Err(error) => TaskEnd::unbegun(TaskFailure::new(FailureCause::Unclassified(format!(
            "a defect of drawloom: its report could not be kept: {error}"
        )))),
    }
}

fn task_runtime(slots: u32) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = usize::try_from(slots).unwrap_or(usize::MAX).min(cores).max(1);
    Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("tasks")
        .enable_all()
        .build()
}

/// Tells a function to return after `limit`, and that it has not once `grace` is over, too.
async fn reap(
    context: Arc<TaskContext>,
    events: mpsc::Sender<Event>,
    limit: Duration,
    grace: Duration,
    cause: FailureCause,
) {
    tokio::time::sleep(limit).await;
    context.stop(cause.clone());
    tokio::time::sleep(grace).await;
    let id = context.id();
    // Nobody listens when the executor is ending.
    drop(events.send(Event::TaskStuck { id, cause }).await);
}

fn broken(panic: &(dyn Any + Send)) -> TaskEnd {
    let text = panic_text(panic);
    let cause = FailureCause::Unclassified(format!("a defect of drawloom: the executor panicked: {text}"));
    TaskEnd::unbegun(TaskFailure::new(cause))
}
