//! What the driver core is told and what it wants done.

use std::time::Duration;

use wire::failure::{ExecutorLoss, KillReason};
use wire::id::{ExecutorId, StageKey, TaskAttemptId};
use wire::launcher::ExecutorTarget;
pub use wire::launcher::{Registration, Verdict};
use wire::message::{RunningTask, TaskReport};
use wire::task::{InputSlice, StageSpec, TaskSpec};

use crate::journal::Entry;

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The application begins.
    Started,
    /// The application goes on in another process, whose core is recovered from the journal
    /// ([`Driver::recover`](crate::core::Driver::recover)).
    Resumed {
        /// The executors that YARN still has, known to the journal or not. All others are gone.
        present: Vec<ExecutorId>,
        /// How long those that were known may take to register again, and new tasks wait for that.
        patience: Duration,
        /// Of the results in [`Survey::results`](crate::journal::Survey::results) those that nobody has any more, by
        /// stage and partition: these functions are called again.
        lost: Vec<(u32, u32)>,
    },
    /// An executor passed the gateway's checks.
    ExecutorRegistered(Registration),
    /// An executor gave a sign of life.
    HeartbeatReceived {
        /// Which.
        executor: ExecutorId,
        /// What it runs.
        running: Vec<RunningTask>,
    },
    /// An executor's connection ended. A hint only: the cause comes from the launcher.
    ExecutorDisconnected {
        /// Which.
        executor: ExecutorId,
    },
    /// An executor is gone, says the launcher.
    ExecutorLost {
        /// Which.
        executor: ExecutorId,
        /// Why.
        loss: ExecutorLoss,
    },
    /// Executors are going to be taken away: these, and `more` of our own choice.
    DrainRequested {
        /// Which.
        executors: Vec<ExecutorId>,
        /// How many others.
        more: u32,
        /// Why; what they are stopped for once they have nothing to do.
        loss: ExecutorLoss,
    },
    /// A task's process runs.
    TaskStarted {
        /// Where.
        executor: ExecutorId,
        /// Which.
        id: TaskAttemptId,
    },
    /// A task attempt ended.
    TaskFinished {
        /// Where.
        executor: ExecutorId,
        /// How.
        report: Box<TaskReport>,
    },
    /// Attempts were given back as [`Effect::Recall`] asked for; they had not begun.
    TasksReturned {
        /// By whom.
        executor: ExecutorId,
        /// Which.
        ids: Vec<TaskAttemptId>,
    },
    /// A task attempt asks for permission to put its result in place.
    CommitRequested {
        /// Where.
        executor: ExecutorId,
        /// Which.
        id: TaskAttemptId,
    },
    /// A task attempt could not read what another stage had left on an executor; the attempt is over.
    OutputUnreadable {
        /// Where the attempt ran.
        executor: ExecutorId,
        /// The attempt.
        id: TaskAttemptId,
        /// The executor that was to have the output.
        source: ExecutorId,
    },
    /// The answer to [`Effect::PlanStage`]: one entry a task, or why that cannot be.
    StagePlanned {
        /// Which.
        stage: StageKey,
        /// Its tasks.
        tasks: Result<Vec<TaskInput>, String>,
    },
    /// A stage cannot go on for a reason of its shell's; its job fails.
    StageFailed {
        /// Which.
        stage: StageKey,
        /// Why, for people.
        cause: String,
    },
    /// The answer to [`Effect::CommitStage`].
    StageCommitted {
        /// Which.
        stage: StageKey,
        /// Why it failed, if it did.
        result: Result<(), String>,
    },
    /// The application cannot begin, in place of [`Event::Started`]: every job fails.
    Refused {
        /// Why, for people.
        cause: String,
    },
    /// A node's rack became known; best told before stages that prefer the node are planned.
    RackLearned {
        /// The node.
        host: String,
        /// Its rack, as `/default-rack`.
        rack: String,
    },
    /// The ResourceManager answered what it was asked so long ago.
    ResourceManagerHeard {
        /// How old the news is at least of which it can be said that they were true then.
        ago: Duration,
    },
    /// Executors cannot be had any more.
    LauncherGaveUp {
        /// Why.
        reason: String,
    },
    /// For long there has been room for so many executors only. More may come, so that it ends what waits for more now, and
    /// nothing that is to come.
    RoomLacked {
        /// Why.
        reason: String,
        /// How many there is room for, those that are there or coming included.
        room: u32,
    },
    /// The application was told to end.
    KillRequested {
        /// By whom or what.
        by: String,
    },
    /// One job was told to end; others go on.
    JobKillRequested {
        /// Which.
        job: u32,
        /// By whom or what.
        by: String,
    },
    /// The attempts of one task that run were told to end; it runs again.
    TaskKillRequested {
        /// The number of its stage.
        stage: u32,
        /// Which.
        partition: u32,
    },
    /// [`Driver::next_deadline`](crate::core::Driver::next_deadline) has passed.
    DeadlineReached,
}

/// What one task of a stage works on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskInput {
    /// The item of the job file.
    pub item: Option<String>,
    /// Parts of files, in order.
    pub inputs: Vec<InputSlice>,
    /// Nodes that hold its input, the best first; empty when it may run anywhere.
    pub hosts: Vec<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Keep this in the journal, before the effects that follow are carried out if it says so. Comes first among the
    /// effects of its event, and only after [`Driver::keep_journal`](crate::core::Driver::keep_journal).
    Record(Entry),
    /// Find a stage's tasks and make its output directory ready; answered by [`Event::StagePlanned`].
    PlanStage {
        /// Which.
        stage: StageKey,
    },
    /// Send tasks to an executor, more of them than it has slots when they are short; `stages` are those it has not
    /// been told of.
    Launch {
        /// Where.
        executor: ExecutorId,
        /// Shared parts.
        stages: Vec<StageSpec>,
        /// The tasks.
        tasks: Vec<TaskSpec>,
    },
    /// Have an executor give back those of these attempts that it has not begun.
    Recall {
        /// Who.
        executor: ExecutorId,
        /// Which.
        ids: Vec<TaskAttemptId>,
    },
    /// Keep what the function gave back whose report is being handled: it is the result of the partition.
    KeepResult {
        /// Which stage.
        stage: StageKey,
        /// Which partition.
        partition: u32,
    },
    /// End a task attempt.
    Cancel {
        /// Where.
        executor: ExecutorId,
        /// Which.
        id: TaskAttemptId,
        /// Why.
        reason: KillReason,
    },
    /// Answer a request to commit.
    DecideCommit {
        /// Where.
        executor: ExecutorId,
        /// Which.
        id: TaskAttemptId,
        /// Whether it may.
        granted: bool,
    },
    /// Hold this many executors.
    SetTarget(ExecutorTarget),
    /// End an executor and let the launcher replace it.
    StopExecutor {
        /// Which.
        executor: ExecutorId,
        /// What it is blamed for.
        loss: ExecutorLoss,
    },
    /// Every partition is in place: mark the stage's output as complete; answered by [`Event::StageCommitted`].
    CommitStage {
        /// Which.
        stage: StageKey,
    },
    /// Remove what unfinished attempts of a stage left in its output directory.
    AbandonStage {
        /// Which.
        stage: StageKey,
    },
    /// The application has its verdict; nothing follows.
    Finish(Verdict),
}
