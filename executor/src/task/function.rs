//! Functions that run as tasks, on threads of this process: as many as there are slots, made when they are needed.
//!
//! Nothing can end a thread from outside. A function that was cancelled or has used up its time is told so, and one
//! that has not returned after the grace is [`Event::TaskStuck`]: its failure is reported and the executor ends, so
//! that the slot does not stay lost (Spark's task reaper does the same). A function whose stage limits its memory runs
//! in a process of its own instead, as a command does (see the module `attempt`), because threads share theirs.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use wire::failure::{FailureCause, TaskFailure};
use wire::id::TaskAttemptId;
use wire::task::{Body, MOST_INLINE, StageSpec, TaskMetrics, TaskResult, TaskSpec};

use crate::functions::TaskContext;
use crate::reports::Kept;
use crate::session::{Event, TaskEnd};
use crate::task::attempt::Context;
use crate::task::directory::file_safe;
use crate::task::line::Line;

/// How much stack a function has, in bytes: that of a program's first thread.
const STACK: usize = 8 << 20;

/// A function to be called.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) stage: Arc<StageSpec>,
    pub(crate) task: TaskSpec,
    pub(crate) context: Arc<TaskContext>,
}

/// Calls that nobody has begun, and how many threads there are for them.
#[derive(Debug)]
struct Queue {
    /// Those for which there is a place: any thread may take them.
    calls: VecDeque<Call>,
    /// Of the others one begins when one that holds a place returns, on its thread.
    line: Line<Call>,
    /// Threads that wait for calls, or are about to.
    idle: usize,
    threads: usize,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    events: mpsc::Sender<Event>,
    /// For results that are stored.
    runtime: tokio::runtime::Handle,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// The threads that call functions.
#[derive(Debug)]
pub(crate) struct FunctionThreads {
    shared: Arc<Shared>,
}

impl FunctionThreads {
    /// No threads yet; `runtime` is for what is to be stored.
    pub(crate) fn new(
        context: Arc<Context>,
        events: mpsc::Sender<Event>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let line = Line::new(context.settings.slots);
        Self {
            shared: Arc::new(Shared {
                context,
                events,
                runtime,
                queue: Mutex::new(Queue {
                    calls: VecDeque::new(),
                    line,
                    idle: 0,
                    threads: 0,
                }),
                arrived: Condvar::new(),
            }),
        }
    }

    /// Has a function called, on a thread of its own if none is idle; or, if it is `ahead` and all slots are in use, when
    /// another one has returned. Says whether it is called now. Whoever orders keeps to the slots with what is not ahead,
    /// so there are never more threads than those.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn call(&self, call: Call, ahead: bool) -> Result<bool, FailureCause> {
        let (id, mut queue) = (call.context.id(), self.shared.queue());
        let Some(call) = queue.line.enter(id, call, ahead) else {
            return Ok(false);
        };
        queue.calls.push_back(call);
        if queue.idle >= queue.calls.len() {
            self.shared.arrived.notify_one();
            return Ok(true);
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(format!("function-{}", queue.threads))
            .stack_size(STACK);
        match thread.spawn(move || shared.work()) {
            // It ends with the process.
            Ok(_) => {
                queue.threads += 1;
                queue.idle += 1;
            }
            Err(error) => return queue.call_later(id, &error),
        }
        Ok(true)
    }

    /// Takes back a call that waits for another one to return; whether it did.
    pub(crate) fn retract(&self, id: TaskAttemptId) -> bool {
        self.shared.queue().line.remove(id)
    }
}

impl Queue {
    /// There is no thread for the last call: it waits for another one to return.
    fn call_later(&mut self, id: TaskAttemptId, error: &io::Error) -> Result<bool, FailureCause> {
        let call = self.calls.pop_back();
        if self.threads == 0 {
            self.line.leave(id);
            let text = format!("no thread to run functions with: {error}");
            return Err(FailureCause::StartFailed(text));
        }
        tracing::warn!(%error, "functions have fewer threads than slots");
        if let Some(call) = call {
            self.line.postpone(id, call);
        }
        Ok(false)
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut upcoming = None;
        loop {
            let call = upcoming.take().unwrap_or_else(|| self.wait());
            let id = call.context.id();
            let end = self.context.reports.keep(id, self.run(&call));
            self.context.board.remove(id);
            let next = self.advance(id, &mut upcoming);
            // Nobody listens when the executor is ending.
            if self
                .events
                .blocking_send(Event::TaskEnded { id, end, next })
                .is_err()
            {
                return;
            }
        }
    }

    /// A call has returned: takes the one that begins in its place and names it, or becomes idle.
    fn advance(&self, ended: TaskAttemptId, upcoming: &mut Option<Call>) -> Option<TaskAttemptId> {
        let mut queue = self.queue();
        let Some((next, call)) = queue.line.leave(ended) else {
            queue.idle += 1;
            return None;
        };
        *upcoming = Some(call);
        Some(next)
    }

    /// Waits, as an idle thread, for a call.
    fn wait(&self) -> Call {
        let mut queue = self.queue();
        loop {
            if let Some(call) = queue.calls.pop_front() {
                queue.idle -= 1;
                return call;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, call: &Call) -> TaskEnd {
        let (began, spent) = (Instant::now(), thread_time());
        let id = call.context.id();
        self.context.board.enter(id, "calling a function");
        self.context.board.set_said(id, Arc::clone(call.context.said()));
        let argument = call.task.item.as_deref().unwrap_or("null");
        let returned = self
            .context
            .functions
            .call(name(&call.stage), argument, &call.context);
        let result = match call.context.stopped() {
            Some(stop) => Err(stop.0),
            None => returned.and_then(|bytes| {
                let placed = place(&self.context, &call.stage, id, bytes.into());
                self.runtime.block_on(placed)
            }),
        };
        let metrics = TaskMetrics {
            wall: began.elapsed(),
            cpu_user: thread_time().saturating_sub(spent),
            output_bytes: result.as_ref().map_or(0, TaskResult::length),
            ..TaskMetrics::default()
        };
        let (outcome, result) = match result {
            Ok(result) => (Ok(()), Some(result)),
            Err(cause) => (Err(TaskFailure::new(cause)), None),
        };
        TaskEnd {
            metrics,
            outcome,
            result,
            counters: call.context.counters(),
            kept: Kept::Small,
        }
    }
}

/// Puts a result into the report, or where the stage keeps those that are too large for one.
pub(crate) async fn place(
    context: &Context,
    stage: &StageSpec,
    id: TaskAttemptId,
    bytes: Bytes,
) -> Result<TaskResult, FailureCause> {
    let Some(results) = stage.results.as_deref().filter(|_| bytes.len() > MOST_INLINE) else {
        return Ok(TaskResult::Inline(bytes));
    };
    let length = bytes.len() as u64;
    let uri = format!(
        "{results}/_temporary/{}-{}.json",
        file_safe(id),
        context.settings.executor
    );
    let failed = |message: String| FailureCause::OutputFailed {
        path: uri.clone(),
        message,
    };
    let (fs, path) = context.storage.locate(&uri).map_err(failed)?;
    let options = dfs::CreateOptions::overwriting();
    dfs::write_all(fs.as_ref(), &path, bytes, &options)
        .await
        .map_err(|error| failed(error.to_string()))?;
    Ok(TaskResult::Stored { uri, length })
}

/// The name of the function that a stage calls.
pub(crate) fn name(stage: &StageSpec) -> &str {
    match &stage.body {
        Body::Function(name) => name,
        Body::Argv(_) | Body::Shell(_) => "",
    }
}

/// The processor time of this thread so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
