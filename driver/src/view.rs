//! The driver's state as others may see it: for the status page, the API and the metrics.
//!
//! All times are on the clock that [`Driver::handle`] is given.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, StageKey, TaskAttemptId};
use wire::task::{Counter, TaskMetrics};

use crate::attempts::Attempt;
use crate::core::{Driver, Life};
use crate::executors::{Executor, Liveness};
use crate::failures::FailureRecord;
use crate::index::{AttemptIx, StageIx};
use crate::job::JobState;
pub use crate::locality::{Level, LocalityCounts};
use crate::plan::TaskSource;
use crate::stage::{Phase, Stage};
use crate::task_set::{Task, TaskSet, TaskState};

/// How many executors that are gone a snapshot shows.
const GONE_SHOWN: usize = 200;

/// Everything but tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The application's name.
    pub name: String,
    /// When this was, on the driver's clock.
    pub at: Duration,
    /// Whether the verdict was given.
    pub finished: bool,
    /// Finished tasks, and tasks that are known.
    pub progress: (u64, u64),
    /// Executors that are wanted.
    pub wanted_executors: u32,
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// The stages, in the order of the plan.
    pub stages: Vec<StageView>,
    /// The executors that are there and the latest 200 that are gone, in the order of their registration.
    pub executors: Vec<ExecutorView>,
    /// The last failures, the latest first.
    pub failures: Vec<FailureView>,
    /// Failures that ever were.
    pub failures_total: u64,
}

impl Snapshot {
    /// How near all attempts were to what they read.
    #[must_use]
    pub fn placed(&self) -> LocalityCounts {
        let stages = self.stages.iter().map(|stage| stage.placed);
        stages.fold(LocalityCounts::default(), LocalityCounts::plus)
    }

    /// Changes every moment in it, for instance to those of another clock.
    pub fn for_each_time(&mut self, change: &mut impl FnMut(&mut Duration)) {
        change(&mut self.at);
        for stage in &mut self.stages {
            let times = [
                &mut stage.submitted,
                &mut stage.first_launch,
                &mut stage.completed,
            ];
            times.into_iter().flatten().for_each(&mut *change);
        }
        for executor in &mut self.executors {
            change(&mut executor.registered);
            change(&mut executor.last_heard);
            executor.gone.iter_mut().for_each(&mut *change);
        }
        self.failures
            .iter_mut()
            .for_each(|failure| change(&mut failure.at));
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobStatus {
    /// It comes after others that are not done.
    Waiting,
    /// It goes on.
    Running,
    /// All of its stages are done.
    Succeeded,
    /// It failed.
    Failed,
    /// It was ended.
    Killed,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its number.
    pub job: u32,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub status: JobStatus,
    /// Why it failed or who ended it.
    pub cause: Option<String>,
}

/// Where a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StageStatus {
    /// It waits for others.
    Waiting,
    /// Its tasks are being found.
    Planning,
    /// Its tasks run.
    Running,
    /// Its tasks are done and its output is being marked.
    Committing,
    /// It is done.
    Done,
    /// Its job ended before it did.
    Abandoned,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// Its key.
    pub key: StageKey,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub status: StageStatus,
    /// Its tasks, as far as they are known.
    pub tasks: u64,
    /// Tasks that wait for a slot.
    pub pending: u32,
    /// Attempts that run.
    pub running: u32,
    /// Attempts that wait in the queues of executors.
    pub queued: u32,
    /// Tasks that are done.
    pub succeeded: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// When its planning began.
    pub submitted: Option<Duration>,
    /// When its first task was launched.
    pub first_launch: Option<Duration>,
    /// When it ended.
    pub completed: Option<Duration>,
    /// What its successful attempts used together; `peak_resident` is the highest of them.
    pub totals: TaskMetrics,
    /// What those have counted together with the tasks that run, as far as these are, in the order of groups and names.
    pub counters: Vec<CounterView>,
    /// How near its attempts were to what they read, as far as this driver has launched them.
    #[serde(default)]
    pub placed: LocalityCounts,
}

/// A named number that tasks have counted up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterView {
    /// What it belongs to.
    pub group: String,
    /// Its name in the group.
    pub name: String,
    /// Its value.
    pub value: i64,
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// It waits.
    Pending,
    /// An attempt was launched.
    Launched,
    /// An attempt's process runs.
    Running,
    /// It is done.
    Succeeded,
}

impl TaskStatus {
    /// Whether an attempt of it is alive.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Launched | Self::Running)
    }
}

/// The order of tasks in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOrder {
    /// By partition.
    Partition,
    /// Those first that take or took longest; those that never ran last.
    SlowestFirst,
    /// Those first that take or took least.
    QuickestFirst,
}

/// A task: the attempt that made its result, or that runs now, or nothing but its number.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its partition.
    pub partition: u32,
    /// The attempts that were made.
    pub attempts: u32,
    /// What it is doing.
    pub status: TaskStatus,
    /// Attempts that failed and counted since it last succeeded.
    pub failures: u32,
    /// Where it runs or ran.
    pub executor: Option<ExecutorId>,
    /// The node of that executor.
    pub host: Option<String>,
    /// When that attempt was launched.
    pub launched: Option<Duration>,
    /// How long it has been running, or took.
    pub took: Option<Duration>,
    /// How near that is to what it reads; without a preference once the stage is done.
    pub level: Option<Level>,
    /// How far it says it is, 0 to 1.
    pub progress: f32,
    /// What it says it is doing.
    pub status_text: String,
    /// Memory of its processes when last heard, in bytes.
    pub resident: u64,
}

/// Whether an executor is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExecutorStatus {
    /// It is heard.
    Live,
    /// It is silent: no new tasks.
    Suspect,
    /// Its connection ended: no new tasks.
    Disconnected,
    /// It gets no new tasks because too many failed there.
    Excluded,
    /// It gets no new tasks because it is to be given back.
    Draining,
    /// It is gone.
    Gone(ExecutorLoss),
}

/// An executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorView {
    /// Its id.
    pub id: ExecutorId,
    /// Its node.
    pub host: String,
    /// Its slots.
    pub slots: u32,
    /// Slots in use.
    pub used_slots: u32,
    /// Attempts that it runs.
    pub running: u32,
    /// Attempts that succeeded there.
    pub succeeded: u32,
    /// Attempts that failed there and counted.
    pub failed: u32,
    /// Whether it is alive.
    pub status: ExecutorStatus,
    /// When it registered.
    pub registered: Duration,
    /// When it was last heard.
    pub last_heard: Duration,
    /// When it went.
    pub gone: Option<Duration>,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    /// When.
    pub at: Duration,
    /// Which.
    pub id: TaskAttemptId,
    /// The name of its stage.
    pub stage: String,
    /// Where.
    pub executor: ExecutorId,
    /// The node of that executor.
    pub host: String,
    /// Whether it counts towards the task's limit.
    pub counts: bool,
    /// Why, in words.
    pub cause: String,
    /// The last of its standard error.
    pub stderr_tail: String,
}

impl Driver {
    /// Finished tasks, and tasks that are known by now. A stage whose inputs nobody has seen yet has at least one, so
    /// that an application is not all done while it has stages before it.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let parts = self.stages.iter().map(|(index, stage)| {
            let source = &self.plan.stages[index.number() as usize].source;
            match (source, stage.is_planned()) {
                (TaskSource::Inputs { groups, .. }, false) => (0, u64::from(groups.unwrap_or(1))),
                _ => stage.progress(source),
            }
        });
        parts.fold((0, 0), |(done, known), part| (done + part.0, known + part.1))
    }

    /// How near all attempts were to what they read, as far as this driver has launched them.
    #[must_use]
    pub fn placed(&self) -> LocalityCounts {
        let stages = self.stages.iter().map(|(_, stage)| stage.placed);
        stages.fold(LocalityCounts::default(), LocalityCounts::plus)
    }

    /// The state of everything but tasks.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.plan.name.clone(),
            at: self.now,
            finished: self.life == Life::Finished,
            progress: self.progress(),
            wanted_executors: self.wanted_executors(),
            jobs: self.job_views(),
            stages: self.stage_views(),
            executors: self.executor_views(),
            failures: self
                .failures
                .iter()
                .rev()
                .map(|record| self.failure_view(record))
                .collect(),
            failures_total: self.failures.total,
        }
    }

    /// The number of tasks of a stage; 0 before it is planned.
    #[must_use]
    pub fn tasks_of(&self, stage: u32) -> usize {
        let stage = self.stages.get(StageIx::from_number(stage));
        let tasks = stage.and_then(|stage| stage.tasks.as_ref());
        tasks.map_or(0, |tasks| tasks.tasks().len())
    }

    /// Tasks of a stage, from partition `from` on, at most `limit`; empty before the stage is planned.
    #[must_use]
    pub fn tasks(&self, stage: u32, from: u32, limit: usize) -> Vec<TaskView> {
        let stage = self.stages.get(StageIx::from_number(stage));
        let Some(tasks) = stage.and_then(|stage| stage.tasks.as_ref()) else {
            return Vec::new();
        };
        let numbered = (0..).zip(tasks.tasks()).skip(from as usize).take(limit);
        numbered
            .map(|(partition, task)| self.placed_view(tasks, partition, task))
            .collect()
    }

    fn placed_view(&self, tasks: &TaskSet, partition: u32, task: &Task) -> TaskView {
        let mut view = self.task_view(partition, task);
        view.level = self.level_of(tasks, partition, task);
        view
    }

    /// A part of the tasks of a stage that are in this state, any if none is named, in this order; and how many there
    /// are of them. [`TaskStatus::Launched`] and [`TaskStatus::Running`] are one state here.
    #[must_use]
    pub fn find_tasks(
        &self,
        stage: u32,
        status: Option<TaskStatus>,
        order: TaskOrder,
        from: usize,
        limit: usize,
    ) -> (Vec<TaskView>, usize) {
        let Some(tasks) = self.task_set(stage) else {
            return (Vec::new(), 0);
        };
        let numbered = (0u32..).zip(tasks.tasks());
        let wanted = numbered.filter(|(_, task)| status.is_none_or(|status| is_in(task.state, status)));
        if order == TaskOrder::Partition {
            let shown = wanted.clone().skip(from).take(limit);
            let views = shown.map(|(partition, task)| self.placed_view(tasks, partition, task));
            return (views.collect(), wanted.count());
        }
        let mut found: Vec<(u32, u32)> = wanted
            .map(|(partition, task)| (self.millis_of(task, order), partition))
            .collect();
        let total = found.len();
        let compare = |one: &(u32, u32), other: &(u32, u32)| match order {
            TaskOrder::SlowestFirst => other.0.cmp(&one.0).then(one.1.cmp(&other.1)),
            _ => one.cmp(other),
        };
        // Only what comes before the end of this part is put in order.
        let end = from.saturating_add(limit).min(total);
        if (1..total).contains(&end) {
            found.select_nth_unstable_by(end - 1, compare);
            found.truncate(end);
        }
        found.sort_unstable_by(compare);
        let shown = found.iter().skip(from).take(limit);
        let view = |partition| Some(self.placed_view(tasks, partition, tasks.get(partition)?));
        let views = shown.filter_map(|&(_, partition)| view(partition));
        (views.collect(), total)
    }

    /// How long each task of a stage took that is done, in milliseconds, the quickest first.
    #[must_use]
    pub fn task_durations(&self, stage: u32) -> Vec<u32> {
        let tasks = self.task_set(stage).map_or(&[][..], |tasks| tasks.tasks());
        let done = tasks.iter().filter(|task| task.state == TaskState::Done);
        let mut durations: Vec<u32> = done.map(|task| task.took_ms).collect();
        durations.sort_unstable();
        durations
    }

    fn task_set(&self, stage: u32) -> Option<&TaskSet> {
        self.stages.get(StageIx::from_number(stage))?.tasks.as_ref()
    }

    /// How long a task took or has been running, for an order that depends on it.
    fn millis_of(&self, task: &Task, order: TaskOrder) -> u32 {
        match (order, task.state) {
            (TaskOrder::Partition, _) | (_, TaskState::Blocked | TaskState::Pending) => 0,
            (_, TaskState::Done) => task.took_ms,
            (_, TaskState::Running) => {
                let attempt = task.live.and_then(|index| self.attempts.get(index));
                let since = attempt.map_or(self.now, |attempt| attempt.launched_at);
                u32::try_from(self.now.saturating_sub(since).as_millis()).unwrap_or(u32::MAX)
            }
        }
    }

    /// Those that went long ago are left out: an application may lose any number of executors.
    fn executor_views(&self) -> Vec<ExecutorView> {
        let gone = self.executors.gone().saturating_sub(GONE_SHOWN);
        let mut skipped = 0;
        let shown = self.executors.iter().filter(|(_, executor)| {
            let skip = executor.is_gone() && skipped < gone;
            skipped += usize::from(skip);
            !skip
        });
        shown.map(|(_, executor)| self.executor_view(executor)).collect()
    }

    fn job_views(&self) -> Vec<JobView> {
        let numbered = (0..).zip(&self.jobs);
        let view = |(job, state): (u32, &crate::job::Job)| {
            let (mut status, cause) = job_status(&state.state);
            if state.waits_for > 0 && status == JobStatus::Running {
                status = JobStatus::Waiting;
            }
            let name = state.name.clone();
            JobView {
                job,
                name,
                status,
                cause,
            }
        };
        numbered.map(view).collect()
    }

    fn stage_views(&self) -> Vec<StageView> {
        let counted = self.counted_by_running();
        let counted = |index| counted.get(&index).map_or(&[][..], Vec::as_slice);
        let stages = self.stages.iter();
        stages
            .map(|(index, stage)| self.stage_view(index, stage, counted(index)))
            .collect()
    }

    fn stage_view(&self, index: StageIx, stage: &Stage, running: &[&[Counter]]) -> StageView {
        let plan = &self.plan.stages[index.number() as usize];
        let tasks = stage.tasks.as_ref();
        StageView {
            key: stage.key,
            name: plan.name.clone(),
            status: stage_status(stage.phase),
            tasks: stage.progress(&plan.source).1,
            pending: tasks.map_or(0, |tasks| tasks.pending()),
            running: tasks.map_or(0, |tasks| tasks.running - tasks.queued),
            queued: tasks.map_or(0, |tasks| tasks.queued),
            succeeded: tasks.map_or(0, |tasks| tasks.done()),
            failed: tasks.map_or(0, |tasks| tasks.failed),
            submitted: stage.times.submitted,
            first_launch: stage.times.first_launch,
            completed: stage.times.completed,
            totals: stage.totals,
            counters: counter_views(stage, running),
            placed: stage.placed,
        }
    }

    /// What the running tasks of each stage have counted so far.
    fn counted_by_running(&self) -> BTreeMap<StageIx, Vec<&[Counter]>> {
        let mut counted: BTreeMap<StageIx, Vec<&[Counter]>> = BTreeMap::new();
        let telling = self
            .attempts
            .iter()
            .filter(|(_, attempt)| !attempt.counters.is_empty());
        for (_, attempt) in telling.filter(|&(index, attempt)| self.speaks_for_its_task(index, attempt)) {
            counted.entry(attempt.stage).or_default().push(&attempt.counters);
        }
        counted
    }

    /// Whether what an attempt says counts for its task: of several the one that is furthest, as MapReduce has it
    /// (`TaskImpl.selectBestAttempt`), and the older of two that are equal.
    fn speaks_for_its_task(&self, index: AttemptIx, attempt: &Attempt) -> bool {
        if attempt.cancelled.is_some() || !self.is_open(attempt) {
            return false;
        }
        let tasks = self.stages[attempt.stage].tasks.as_ref();
        let first = tasks.and_then(|tasks| tasks.get(attempt.partition)?.live);
        let next = |index: &AttemptIx| self.attempts.get(*index).and_then(|attempt| attempt.sibling);
        let others = std::iter::successors(first, next).filter(|&other| other != index);
        let mut others = others.filter_map(|other| self.attempts.get(other));
        let behind = |other: &Attempt| {
            (other.progress, Reverse(other.number)) < (attempt.progress, Reverse(attempt.number))
        };
        others.all(|other| other.cancelled.is_some() || behind(other))
    }

    /// How near the attempt that [`Driver::task_view`] shows is to what it reads.
    fn level_of(&self, tasks: &TaskSet, partition: u32, task: &Task) -> Option<Level> {
        let live = || Some(self.attempts.get(task.live?)?.executor);
        let executor = task.place.or_else(live)?;
        Some(tasks.level(partition, &self.executors.offer(executor), &self.executors))
    }

    fn task_view(&self, partition: u32, task: &Task) -> TaskView {
        let mut view = TaskView {
            partition,
            attempts: task.next_attempt,
            status: TaskStatus::Pending,
            failures: u32::from(task.failures),
            executor: None,
            host: None,
            launched: None,
            took: None,
            level: None,
            progress: 0.0,
            status_text: String::new(),
            resident: 0,
        };
        match task.state {
            TaskState::Blocked | TaskState::Pending => {}
            TaskState::Running => self.show_attempt(task, &mut view),
            TaskState::Done => self.show_result(task, &mut view),
        }
        view
    }

    fn show_attempt(&self, task: &Task, view: &mut TaskView) {
        let Some(attempt) = task.live.and_then(|index| self.attempts.get(index)) else {
            return;
        };
        view.status = if attempt.started {
            TaskStatus::Running
        } else {
            TaskStatus::Launched
        };
        self.show_place(&self.executors[attempt.executor], view);
        view.launched = Some(attempt.launched_at);
        view.took = Some(self.now.saturating_sub(attempt.launched_at));
        view.progress = attempt.progress;
        view.status_text.clone_from(&attempt.status);
        view.resident = attempt.resident;
    }

    fn show_result(&self, task: &Task, view: &mut TaskView) {
        view.status = TaskStatus::Succeeded;
        view.progress = 1.0;
        view.launched = Some(Duration::from_millis(task.launched_ms.into()));
        view.took = Some(Duration::from_millis(task.took_ms.into()));
        if let Some(place) = task.place {
            self.show_place(&self.executors[place], view);
        }
    }

    fn show_place(&self, executor: &Executor, view: &mut TaskView) {
        view.executor = Some(executor.id.clone());
        view.host = Some(self.executors.hosts.name(executor.host).to_owned());
    }

    fn executor_view(&self, executor: &Executor) -> ExecutorView {
        ExecutorView {
            id: executor.id.clone(),
            host: self.executors.hosts.name(executor.host).to_owned(),
            slots: executor.slots,
            used_slots: executor.slots - executor.free,
            running: u32::try_from(executor.attempts.len()).unwrap_or(u32::MAX),
            succeeded: executor.succeeded,
            failed: executor.failed,
            status: executor_status(executor),
            registered: executor.registered_at,
            last_heard: executor.last_heard,
            gone: executor.gone_at(),
        }
    }

    fn failure_view(&self, record: &FailureRecord) -> FailureView {
        let executor = &self.executors[record.executor];
        FailureView {
            at: record.at,
            id: record.id,
            stage: self
                .stage_name(StageIx::from_number(record.id.stage.stage))
                .to_owned(),
            executor: executor.id.clone(),
            host: self.executors.hosts.name(executor.host).to_owned(),
            counts: record.counts,
            cause: record.failure.to_string(),
            stderr_tail: record.failure.stderr_tail.clone(),
        }
    }
}

/// What the results of a stage have counted, and its running tasks so far.
fn counter_views(stage: &Stage, running: &[&[Counter]]) -> Vec<CounterView> {
    let mut counters = stage.counters.clone();
    running.iter().for_each(|counted| counters.add(counted));
    let view = |((group, name), value)| CounterView { group, name, value };
    counters.0.into_iter().map(view).collect()
}

fn is_in(state: TaskState, status: TaskStatus) -> bool {
    match status {
        TaskStatus::Pending => matches!(state, TaskState::Blocked | TaskState::Pending),
        TaskStatus::Launched | TaskStatus::Running => state == TaskState::Running,
        TaskStatus::Succeeded => state == TaskState::Done,
    }
}

fn job_status(state: &JobState) -> (JobStatus, Option<String>) {
    match state {
        JobState::Running => (JobStatus::Running, None),
        JobState::Succeeded => (JobStatus::Succeeded, None),
        JobState::Failed(cause) => (JobStatus::Failed, Some(cause.clone())),
        JobState::Killed(by) => (JobStatus::Killed, Some(by.clone())),
    }
}

fn stage_status(phase: Phase) -> StageStatus {
    match phase {
        Phase::Waiting => StageStatus::Waiting,
        Phase::Planning => StageStatus::Planning,
        Phase::Running => StageStatus::Running,
        Phase::Complete | Phase::Committing => StageStatus::Committing,
        Phase::Done => StageStatus::Done,
        Phase::Abandoned => StageStatus::Abandoned,
    }
}

fn executor_status(executor: &Executor) -> ExecutorStatus {
    match executor.liveness {
        Liveness::Gone { loss, .. } => ExecutorStatus::Gone(loss),
        Liveness::Disconnected { .. } => ExecutorStatus::Disconnected,
        Liveness::Suspect => ExecutorStatus::Suspect,
        Liveness::Live if executor.draining.is_some() => ExecutorStatus::Draining,
        Liveness::Live if executor.excluded => ExecutorStatus::Excluded,
        Liveness::Live => ExecutorStatus::Live,
    }
}
