//! The driver's shell: the driver core, and what is read and written on file systems on its behalf.
//!
//! It runs where the driver is: within the ApplicationMaster's loop in cluster mode, in the client in client mode. In
//! both it takes [`LauncherReport`]s and gives [`LauncherCommand`]s, and that is all it knows of the world of
//! executors and containers. File systems are asked in side tasks ("errands"), which the owner awaits with
//! [`Driving::next_errand`] and hands back to [`Driving::finish`]; nothing here waits.
//!
//! In cluster mode it keeps a [journal](crate::journal): what the core wants done waits here until the records that
//! it follows from are safe, and so do acknowledgements of executors' reports.
//!
//! Invariants: A, outputs are checked before the first task and made ready before a stage's first task; an executor's
//! report is acknowledged only after the core has it, and after the journal has it where there is one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dfs::FileSystems;
use driver::core::Driver;
use driver::event::{Effect, Event, Verdict};
use driver::journal::{Survey, Urgency};
use driver::plan::{AppPlan, OutputPlan, StagePlan};
use wire::id::{ExecutorId, StageKey};
use wire::launcher::{LauncherCommand, LauncherReport};
use wire::message::{ExecutorMessage, GatewayMessage};
use wire::task::TaskResult;

use crate::blocks;
use crate::gateway::orders::orders;
use crate::history::History;
use crate::inputs;
use crate::journal::{JournalCost, JournalEvent, Scribe};
use crate::outputs::Outputs;
use crate::results::{Gathered, Results, Snapshot};
use crate::staged;
use crate::supervise::{Panicked, TaskGroup};

/// What an errand came back with.
#[derive(Debug)]
pub enum Errand {
    /// Something for the core.
    Happened(Event),
    /// The application has its verdict without the core.
    Over(Verdict),
    /// Whether an earlier attempt succeeded cannot be read: running again might undo its work.
    PastUnknown(String),
    /// The journal has something to say.
    Journal(JournalEvent),
    /// Nothing to be told.
    Nothing,
}

/// Why this process must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Something failed; another attempt may have more luck.
    #[error("{0}")]
    Failed(String),
    /// Another attempt has taken over.
    #[error("{0}")]
    Fenced(String),
}

/// Something that waits for the journal.
#[derive(Debug)]
enum Waiting {
    Effect(Effect),
    Acknowledgement(ExecutorId, u64),
}

/// The driver with its errands.
#[derive(Debug)]
pub struct Driving {
    core: Box<Driver>,
    plan: AppPlan,
    systems: Arc<FileSystems>,
    outputs: Outputs,
    results: Results,
    /// What the function gave back whose report the core is handling.
    in_hand: Option<TaskResult>,
    /// Of an earlier process, what functions had given back and is lost.
    lost: Vec<(u32, u32)>,
    errands: TaskGroup<Errand>,
    journal: Option<Box<Scribe>>,
    /// What is done once a record is safe, in order, each with that record's number.
    waiting: VecDeque<(u64, Waiting)>,
    /// The last record that must be safe before anything else is done.
    barrier: u64,
    /// The record that the last waiting effect waits for.
    last_held: u64,
    history: Option<Box<History>>,
}

impl Driving {
    /// A driver of `application` that waits for [`Driving::begin`].
    #[must_use]
    pub fn new(plan: AppPlan, systems: Arc<FileSystems>, application: &str) -> Self {
        Self {
            core: Box::new(Driver::new(plan.clone())),
            outputs: Outputs::new(Arc::clone(&systems), application),
            results: Results::new(plan.settings.results_max),
            in_hand: None,
            lost: Vec::new(),
            plan,
            systems,
            errands: TaskGroup::new(),
            journal: None,
            waiting: VecDeque::new(),
            barrier: 0,
            last_held: 0,
            history: None,
        }
    }

    /// Has it go on from a recovered core, with what functions had given back.
    #[must_use]
    pub fn following(mut self, core: Driver, mut results: Results) -> Self {
        self.lost = results.retain(&core.survey().results);
        self.core = Box::new(core);
        self.results = results;
        self
    }

    /// Tells it in which racks nodes stand, given as host and rack.
    #[must_use]
    pub fn with_racks<'a>(mut self, nodes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (host, rack) in nodes {
            self.learn_rack(Duration::ZERO, host, rack, &mut Vec::new());
        }
        self
    }

    /// Tells it in which rack a node stands.
    pub fn learn_rack(&mut self, now: Duration, host: &str, rack: &str, commands: &mut Vec<LauncherCommand>) {
        let (host, rack) = (host.to_owned(), rack.to_owned());
        self.handle(now, Event::RackLearned { host, rack }, commands);
    }

    /// What functions have given back, for the base of a journal; none when nothing is kept.
    #[must_use]
    pub fn results(&self) -> Option<Snapshot> {
        self.results.snapshot()
    }

    /// Has it keep a journal.
    #[must_use]
    pub fn with_journal(mut self, journal: Scribe) -> Self {
        self.core.keep_journal();
        self.journal = Some(Box::new(journal));
        self
    }

    /// What its journal has cost so far; none when it keeps none.
    #[must_use]
    pub fn journal_cost(&self) -> Option<JournalCost> {
        self.journal.as_ref().map(|journal| journal.cost())
    }

    /// Has it write an event log.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.core.tell_history();
        self.history = Some(Box::new(history));
        self
    }

    /// The event log, if there is one.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// The event log, if there is one.
    pub fn history_mut(&mut self) -> Option<&mut History> {
        self.history.as_deref_mut()
    }

    /// What the core knows of the time before this process.
    #[must_use]
    pub fn survey(&self) -> Survey {
        self.core.survey()
    }

    /// Goes on with a recovered core; `present` are the executors that YARN has kept. Does nothing to a driver that
    /// was not recovered.
    pub fn resume(
        &mut self,
        now: Duration,
        present: Vec<ExecutorId>,
        patience: Duration,
        commands: &mut Vec<LauncherCommand>,
    ) {
        if let Some(verdict) = self.core.survey().verdict {
            return commands.push(LauncherCommand::Finish(verdict));
        }
        let lost = std::mem::take(&mut self.lost);
        let event = Event::Resumed {
            present,
            patience,
            lost,
        };
        self.handle(now, event, commands);
    }

    /// The core, to be looked at.
    #[must_use]
    pub fn core(&self) -> &Driver {
        &self.core
    }

    /// Looks at the outputs and then begins. Where another driver of the same application may have succeeded before,
    /// `earlier` names the staging directory in which it would have left word.
    pub fn begin(&mut self, earlier: Option<String>) {
        let (outputs, stages) = (self.outputs.clone(), self.plan.stages.clone());
        let systems = Arc::clone(&self.systems);
        self.errands.spawn("checking outputs", async move {
            let before = match earlier {
                None => Ok(false),
                Some(staging) => staged::has_succeeded(&systems, &staging).await,
            };
            match before {
                Ok(true) => Errand::Over(Verdict::Succeeded),
                Ok(false) => match check_all(&outputs, &stages).await {
                    Ok(()) => Errand::Happened(Event::Started),
                    Err(cause) => Errand::Happened(Event::Refused { cause }),
                },
                Err(error) => Errand::PastUnknown(error.to_string()),
            }
        });
    }

    /// When [`Driving::deadline_reached`] is due, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.core.next_deadline()
    }

    /// Time has passed.
    pub fn deadline_reached(&mut self, now: Duration, commands: &mut Vec<LauncherCommand>) {
        self.handle(now, Event::DeadlineReached, commands);
    }

    /// Takes what the launcher's side reports.
    pub fn report(&mut self, now: Duration, report: LauncherReport, commands: &mut Vec<LauncherCommand>) {
        let event = match report {
            LauncherReport::ExecutorRegistered(registration) => Event::ExecutorRegistered(registration),
            LauncherReport::Heard { executor, message } => {
                return self.heard(now, executor, message, commands);
            }
            LauncherReport::ExecutorDisconnected { executor } => Event::ExecutorDisconnected { executor },
            LauncherReport::ExecutorGone { executor, loss, .. } => Event::ExecutorLost { executor, loss },
            LauncherReport::DrainWanted {
                executors,
                more,
                loss,
            } => Event::DrainRequested {
                executors,
                more,
                loss,
            },
            LauncherReport::ResourceManagerHeard { ago } => Event::ResourceManagerHeard { ago },
            LauncherReport::Hopeless(reason) => Event::LauncherGaveUp { reason },
            LauncherReport::NoRoom { reason, room } => Event::RoomLacked { reason, room },
        };
        self.handle(now, event, commands);
    }

    fn heard(
        &mut self,
        now: Duration,
        executor: ExecutorId,
        message: ExecutorMessage,
        commands: &mut Vec<LauncherCommand>,
    ) {
        let event = match message {
            ExecutorMessage::Heartbeat(heartbeat) => Event::HeartbeatReceived {
                executor,
                running: heartbeat.running,
            },
            ExecutorMessage::TaskStarted { id, .. } => Event::TaskStarted { executor, id },
            ExecutorMessage::Returned { ids } => Event::TasksReturned { executor, ids },
            ExecutorMessage::CommitRequest { id } => Event::CommitRequested { executor, id },
            ExecutorMessage::TaskFinished(mut report) => {
                let sequence = report.sequence;
                self.in_hand = report.result.take();
                let event = Event::TaskFinished {
                    executor: executor.clone(),
                    report,
                };
                self.handle(now, event, commands);
                return self.acknowledge(executor, sequence, commands);
            }
            ExecutorMessage::Hello(_) | ExecutorMessage::Goodbye { .. } => return,
        };
        self.handle(now, event, commands);
    }

    /// Ends the application on somebody's word.
    pub fn kill(&mut self, now: Duration, by: String, commands: &mut Vec<LauncherCommand>) {
        self.handle(now, Event::KillRequested { by }, commands);
    }

    /// Ends one job on somebody's word; others go on.
    pub fn kill_job(&mut self, now: Duration, job: u32, by: String, commands: &mut Vec<LauncherCommand>) {
        self.handle(now, Event::JobKillRequested { job, by }, commands);
    }

    /// Ends the attempts of one task, which runs again.
    pub fn kill_task(
        &mut self,
        now: Duration,
        stage: u32,
        partition: u32,
        commands: &mut Vec<LauncherCommand>,
    ) {
        self.handle(now, Event::TaskKillRequested { stage, partition }, commands);
    }

    /// Waits for the next errand to end; for ever while there is none. May be dropped while it waits.
    pub async fn next_errand(&mut self) -> Result<Errand, Panicked> {
        let journal = async {
            match &mut self.journal {
                Some(journal) => journal.next().await.map(Errand::Journal),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.errands.next() => ended,
            event = journal => event,
            else => std::future::pending().await,
        }
    }

    /// Takes an errand that has ended.
    ///
    /// # Errors
    /// Why this process must not go on, for people.
    pub fn finish(
        &mut self,
        now: Duration,
        errand: Result<Errand, Panicked>,
        commands: &mut Vec<LauncherCommand>,
    ) -> Result<(), Stop> {
        match errand.map_err(|panicked| Stop::Failed(panicked.to_string()))? {
            Errand::Happened(event) => self.happened(now, event, commands),
            Errand::Over(verdict) => commands.push(LauncherCommand::Finish(verdict)),
            Errand::PastUnknown(why) => {
                return Err(Stop::Failed(format!(
                    "whether an earlier attempt succeeded cannot be read: {why}"
                )));
            }
            Errand::Journal(JournalEvent::Kept(_)) => self.release(commands),
            Errand::Journal(JournalEvent::Fenced(why)) => return Err(Stop::Fenced(why)),
            Errand::Journal(JournalEvent::Failed(why)) => return Err(Stop::Failed(why)),
            Errand::Nothing => {}
        }
        Ok(())
    }

    fn happened(&mut self, now: Duration, event: Event, commands: &mut Vec<LauncherCommand>) {
        let committed = match &event {
            Event::StageCommitted { stage, .. } => Some(stage.stage),
            _ => None,
        };
        self.handle(now, event, commands);
        if let Some(stage) = committed {
            self.results.forget(stage);
        }
    }

    fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<LauncherCommand>) {
        let mut effects = Vec::new();
        self.core.handle(now, event, &mut effects);
        if let Some(history) = &mut self.history {
            history.tell(now, self.core.take_history());
        }
        // Before the entry that says that its task is done: who has that has the result.
        for effect in &effects {
            if let Effect::KeepResult { stage, partition } = *effect {
                self.keep_result(stage, partition);
            }
        }
        for effect in effects {
            match effect {
                Effect::Record(entry) => self.record(&entry),
                effect => self.perform_safely(effect, commands),
            }
        }
    }

    fn record(&mut self, entry: &driver::journal::Entry) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let number = journal.append(entry);
        if entry.urgency == Urgency::AtOnce {
            self.barrier = number;
        }
        if journal.wants_base() {
            journal.rebase(self.core.checkpoint(), self.results.snapshot());
        }
    }

    /// Carries out an effect, or has it wait for what it follows from. Effects never overtake each other.
    fn perform_safely(&mut self, effect: Effect, commands: &mut Vec<LauncherCommand>) {
        let wait = self.journal.as_ref().and_then(|journal| {
            let number = if journal.is_stalled() {
                journal.appended()
            } else {
                self.barrier
            };
            let number = number.max(self.last_held);
            (number > journal.kept()).then_some(number)
        });
        match wait {
            Some(number) => {
                self.last_held = number;
                self.waiting.push_back((number, Waiting::Effect(effect)));
            }
            None => self.perform(effect, commands),
        }
    }

    /// Tells an executor that its report is safe, as soon as it is.
    fn acknowledge(&mut self, executor: ExecutorId, sequence: u64, commands: &mut Vec<LauncherCommand>) {
        let last = self
            .journal
            .as_ref()
            .map(|journal| (journal.appended(), journal.kept()));
        match last {
            Some((appended, kept)) if appended > kept => {
                let waiting = Waiting::Acknowledgement(executor, sequence);
                self.waiting.push_back((appended, waiting));
            }
            _ => commands.push(acknowledgement(executor, vec![sequence])),
        }
    }

    /// Does what has waited for records that are safe now.
    fn release(&mut self, commands: &mut Vec<LauncherCommand>) {
        let kept = self.journal.as_ref().map_or(u64::MAX, |journal| journal.kept());
        let mut safe: BTreeMap<ExecutorId, Vec<u64>> = BTreeMap::new();
        for (number, waiting) in std::mem::take(&mut self.waiting) {
            match waiting {
                waiting if number > kept => self.waiting.push_back((number, waiting)),
                Waiting::Effect(effect) => self.perform(effect, commands),
                Waiting::Acknowledgement(executor, sequence) => {
                    safe.entry(executor).or_default().push(sequence);
                }
            }
        }
        let safe = safe.into_iter();
        commands.extend(safe.map(|(executor, sequences)| acknowledgement(executor, sequences)));
    }

    fn perform(&mut self, effect: Effect, commands: &mut Vec<LauncherCommand>) {
        let tell = |executor, message| LauncherCommand::Tell { executor, message };
        match effect {
            // Taken out before.
            Effect::Record(_) | Effect::KeepResult { .. } => {}
            Effect::PlanStage { stage } => self.plan_stage(stage),
            Effect::CommitStage { stage } => self.commit_stage(stage),
            Effect::AbandonStage { stage } => self.abandon_stage(stage),
            Effect::Launch {
                executor,
                stages,
                tasks,
            } => {
                let messages = orders(stages, tasks).into_iter();
                commands.extend(messages.map(|message| tell(executor.clone(), message)));
            }
            Effect::Recall { executor, ids } => {
                commands.push(tell(executor, GatewayMessage::Recall { ids }));
            }
            Effect::Cancel { executor, id, reason } => {
                let grace = self.plan.settings.kill_grace;
                commands.push(tell(executor, GatewayMessage::Cancel { id, reason, grace }));
            }
            Effect::DecideCommit {
                executor,
                id,
                granted,
            } => commands.push(tell(executor, GatewayMessage::CommitDecision { id, granted })),
            Effect::SetTarget(target) => commands.push(LauncherCommand::SetTarget(target)),
            Effect::StopExecutor { executor, loss } => {
                commands.push(LauncherCommand::StopExecutor { executor, loss });
            }
            Effect::Finish(verdict) => commands.push(LauncherCommand::Finish(verdict)),
        }
    }

    fn output(&self, stage: StageKey) -> Option<OutputPlan> {
        self.plan.stages.get(stage.stage as usize)?.output.clone()
    }

    fn plan_stage(&mut self, stage: StageKey) {
        let Some(plan) = self.plan.stages.get(stage.stage as usize) else {
            return;
        };
        let (source, output) = (plan.source.clone(), plan.output.clone());
        let (systems, outputs) = (Arc::clone(&self.systems), self.outputs.clone());
        self.errands.spawn("planning a stage", async move {
            let planned = async {
                let mut tasks = inputs::plan_tasks(&systems, &source).await?;
                blocks::locate(&systems, &mut tasks).await;
                if let Some(output) = &output {
                    outputs.prepare(output).await?;
                }
                Ok(tasks)
            };
            Errand::Happened(Event::StagePlanned {
                stage,
                tasks: planned.await,
            })
        });
    }

    /// Keeps what a function gave back. Results that cannot be kept end the job at once, and not when the rest of the
    /// stage is done.
    fn keep_result(&mut self, stage: StageKey, partition: u32) {
        let Some(result) = self.in_hand.take() else {
            return;
        };
        let put = self.results.put(stage.stage, partition, result);
        if let Some(journal) = &mut self.journal
            && let Some(kept) = self.results.snapshot_of(stage.stage, partition)
        {
            journal.append_result(kept);
        }
        if let Err(cause) = put {
            let failed = Event::StageFailed { stage, cause };
            self.errands
                .spawn("failing a stage", async move { Errand::Happened(failed) });
        }
    }

    /// The results of a stage of functions; none of other stages.
    fn gather(&self, stage: StageKey) -> Result<Option<Gathered>, String> {
        let plan = self.plan.stages.get(stage.stage as usize);
        if !plan.is_some_and(|plan| plan.body.is_function()) {
            return Ok(None);
        }
        let tasks = self.core.tasks_of(stage.stage);
        self.results.gather(stage.stage, tasks).map(Some)
    }

    fn commit_stage(&mut self, stage: StageKey) {
        let (output, outputs) = (self.output(stage), self.outputs.clone());
        let (gathered, systems) = (self.gather(stage), Arc::clone(&self.systems));
        self.errands.spawn("committing a stage", async move {
            let commit = async {
                let Some(output) = &output else {
                    return Ok(());
                };
                if let Some(gathered) = gathered? {
                    outputs.must_be_ours(output).await?;
                    gathered.write(&systems, output).await?;
                }
                outputs.commit(output).await
            };
            let result = commit.await;
            Errand::Happened(Event::StageCommitted { stage, result })
        });
    }

    fn abandon_stage(&mut self, stage: StageKey) {
        let Some(output) = self.output(stage) else {
            return;
        };
        let outputs = self.outputs.clone();
        self.errands.spawn("abandoning a stage", async move {
            if let Err(error) = outputs.abandon(&output).await {
                tracing::warn!(error, "unfinished results were left behind");
            }
            Errand::Nothing
        });
    }
}

fn acknowledgement(executor: ExecutorId, sequences: Vec<u64>) -> LauncherCommand {
    let message = GatewayMessage::Acknowledge { sequences };
    LauncherCommand::Tell { executor, message }
}

async fn check_all(outputs: &Outputs, stages: &[StagePlan]) -> Result<(), String> {
    for stage in stages {
        outputs.check(stage).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
