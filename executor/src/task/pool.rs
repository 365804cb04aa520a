//! All attempts of the executor: starts them on a runtime of their own, passes orders on, and makes sure that each
//! reports its end, even one that panics.
//!
//! The runtime is made for the first task. It is apart from the thread that keeps the connection, so that no task,
//! however it reads and writes, delays a heartbeat.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::TaskAttemptId;
use wire::task::TaskMetrics;

use crate::session::{Event, TaskEnd};
use crate::task::attempt::{Attempt, Cancellation, Context, Lines, Order};

/// Threads for calls that block (local files); idle ones go away.
const BLOCKING_THREADS: usize = 16;

/// The sending ends of an attempt's lines.
#[derive(Debug)]
struct Handle {
    cancel: watch::Sender<Option<Cancellation>>,
    decision: watch::Sender<Option<bool>>,
}

/// The attempts.
#[derive(Debug)]
pub(crate) struct Pool {
    context: Arc<Context>,
    events: mpsc::Sender<Event>,
    runtime: Option<Runtime>,
    attempts: BTreeMap<TaskAttemptId, Handle>,
}

impl Pool {
    /// No attempts yet; `events` gets what they do.
    pub(crate) fn new(context: Arc<Context>, events: mpsc::Sender<Event>) -> Self {
        Self {
            context,
            events,
            runtime: None,
            attempts: BTreeMap::new(),
        }
    }

    /// Starts an attempt.
    ///
    /// # Errors
    /// When the system gives no threads; there is then no attempt and no event.
    pub(crate) fn launch(&mut self, order: Order) -> Result<(), FailureCause> {
        let id = order.task.id;
        let (cancel, cancel_seen) = watch::channel(None);
        let (decision, decision_seen) = watch::channel(None);
        let lines = Lines {
            cancel: cancel_seen,
            decision: decision_seen,
            events: self.events.clone(),
        };
        let attempt = Attempt::new(Arc::clone(&self.context), order, lines);
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        self.runtime()?.spawn(async move {
            let run = AssertUnwindSafe(attempt.run()).catch_unwind();
            let (metrics, outcome) = Box::pin(run).await.unwrap_or_else(|panic| broken(panic.as_ref()));
            context.board.remove(id);
            // Nobody listens when the executor is ending.
            let end = TaskEnd::new(metrics, outcome);
            drop(events.send(Event::TaskEnded { id, end }).await);
        });
        self.attempts.insert(id, Handle { cancel, decision });
        Ok(())
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
    pub(crate) fn cancel(&self, id: TaskAttemptId, reason: KillReason, grace: Duration) {
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

    /// The attempt has reported its end.
    pub(crate) fn forget(&mut self, id: TaskAttemptId) {
        self.attempts.remove(&id);
    }

    /// Drops everything without waiting. The processes have to be ended apart from this.
    pub(crate) fn abandon(self) {
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
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

fn broken(panic: &(dyn Any + Send)) -> (TaskMetrics, Result<(), TaskFailure>) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let cause = FailureCause::Unclassified(format!("a defect of drawloom: the executor panicked: {text}"));
    (TaskMetrics::default(), Err(TaskFailure::new(cause)))
}
