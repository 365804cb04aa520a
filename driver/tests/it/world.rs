//! A small model of everything around the driver: executors that die, fall silent, reconnect and repeat themselves,
//! messages in any order, a launcher that replaces what is gone. It is driven by a tape of numbers, so that a failing
//! run shrinks; after the tape the world is fair, and the run must end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event, Registration, TaskInput, Verdict};
use driver::journal::{Entry, Urgency};
use driver::plan::AppPlan;
use driver::view::{StageStatus, TaskStatus};
use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::message::{RunningTask, TaskReport};
use wire::task::TaskMetrics;

use crate::history::Audit;
use crate::rig::HEARD;

/// What a modelled executor does with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Launched,
    Running,
    Asking,
}

#[derive(Debug)]
struct Model {
    boot: u64,
    registered: bool,
    /// It runs but nobody hears it.
    cut_off: bool,
    attempts: BTreeMap<TaskAttemptId, Stage>,
    /// Those that have not begun, in the order in which they will.
    queue: Vec<TaskAttemptId>,
    /// Reports made while there was no driver to hear them.
    held: Vec<Event>,
}

/// The world and what it knows to be true.
pub(crate) struct World {
    plan: AppPlan,
    driver: Driver,
    now: Duration,
    executors: BTreeMap<ExecutorId, Model>,
    hosts: u32,
    born: u32,
    target: u32,
    in_flight: Vec<Event>,
    /// Events that were delivered and may come again.
    past: Vec<Event>,
    faults: u32,
    crashes: u32,
    ledger: Ledger,
    chronicle: Audit,
    pub(crate) journal: Journal,
    /// Every event of the driver, when it came and what it led to, as text.
    pub(crate) script: Vec<(Duration, Event, String)>,
}

/// What the driver has recorded, and its durable state after each record.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    pub(crate) states: Vec<Vec<u8>>,
    /// The event behind each entry.
    events: Vec<Event>,
}

/// The books of an auditor who sees every event and effect.
#[derive(Default)]
struct Ledger {
    /// Slots in use by executor: attempts launched there and not over.
    live: BTreeMap<ExecutorId, BTreeSet<TaskAttemptId>>,
    granted: BTreeMap<(StageKey, u32), TaskAttemptId>,
    succeeded: BTreeSet<(u32, u32)>,
    counted: BTreeMap<(u32, u32), u32>,
    stopped: BTreeSet<ExecutorId>,
    started: BTreeSet<TaskAttemptId>,
    /// By stage: how often an attempt could not read its input.
    unread: BTreeMap<u32, u32>,
    committed: BTreeSet<u32>,
    verdict: Option<Verdict>,
}

impl World {
    pub(crate) fn new(plan: AppPlan, faults: u32, hosts: u32) -> Self {
        let mut driver = Driver::new(plan.clone());
        driver.keep_journal();
        driver.tell_history();
        let mut world = Self {
            plan,
            driver,
            now: Duration::ZERO,
            executors: BTreeMap::new(),
            hosts,
            born: 0,
            target: 0,
            in_flight: Vec::new(),
            past: Vec::new(),
            faults,
            crashes: 0,
            ledger: Ledger::default(),
            chronicle: Audit::default(),
            journal: Journal::default(),
            script: Vec::new(),
        };
        world.deliver(Event::Started);
        world
    }

    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.ledger.verdict.as_ref()
    }

    /// Whether another driver has come to the same state.
    pub(crate) fn is_the_same_as(&self, other: &Driver) -> bool {
        let same = |text: fn(&Driver) -> String| text(&self.driver) == text(other);
        self.driver.checkpoint() == other.checkpoint()
            && self.driver.next_deadline() == other.next_deadline()
            && same(|driver| format!("{:?}", driver.snapshot()))
    }

    /// One step of the tape.
    pub(crate) fn step(&mut self, choice: u32) {
        let (kind, which) = (choice % 32, (choice / 32) as usize);
        match kind {
            0..=11 => self.deliver_any(which),
            12..=20 => self.work(which, choice % 97 < 9),
            21 => self.repeat(which),
            22..=24 => self.launch_executor(),
            25 => self.fault(which),
            26 => self.beat(),
            27 => self.deliver(HEARD),
            28 => self.reconnect(which),
            _ => self.sleep(Duration::from_millis(u64::from(choice % 4096) * 3)),
        }
    }

    /// A fair world until the verdict.
    pub(crate) fn settle(&mut self) {
        self.faults = 0;
        for _ in 0..2_000 {
            if self.verdict().is_some() {
                return;
            }
            self.fair_round();
        }
        panic!("no verdict: {:#?}", self.driver.snapshot());
    }

    fn fair_round(&mut self) {
        for model in self.executors.values_mut() {
            model.cut_off = false;
        }
        let away = self.executors.iter().filter(|(_, model)| !model.registered);
        for id in away.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.connect(&id);
        }
        while !self.in_flight.is_empty() {
            self.deliver_any(0);
        }
        self.launch_executor();
        self.deliver(HEARD);
        self.beat();
        let attempts: usize = self.executors.values().map(|model| model.attempts.len()).sum();
        for which in 0..attempts {
            self.work(which, false);
        }
        self.sleep(Duration::from_secs(1));
    }

    /// The driver's process dies, its last records that nobody had to wait for with it, and another one goes on.
    pub(crate) fn crash(&mut self, lost: usize) {
        if self.verdict().is_some() {
            return;
        }
        self.crashes += 1;
        let resent = self.journal.lose(lost);
        self.driver = self.journal.recover(&self.plan);
        let survey = self.driver.survey();
        self.driver.keep_journal();
        self.driver.tell_history();
        self.chronicle = Audit::default();
        self.ledger.crash(&self.driver, &survey.committing);
        self.silence_executors(resent);
        let running = self
            .executors
            .iter()
            .map(|(id, model)| (id.clone(), model.attempts.keys().copied().collect()));
        self.ledger.live = running.collect();
        if survey.verdict.is_some() {
            self.ledger.verdict = survey.verdict;
            return;
        }
        self.deliver(if survey.started {
            Event::Resumed {
                present: self.executors.keys().cloned().collect(),
                patience: Duration::from_secs(100_000),
                lost: Vec::new(),
            }
        } else {
            Event::Started
        });
        for id in self.executors.keys().cloned().collect::<Vec<_>>() {
            if !self.executors[&id].cut_off && lost.is_multiple_of(2) {
                self.connect(&id);
            }
        }
    }

    /// Nobody is connected; who has reports keeps them, and what side tasks were about to say is lost.
    fn silence_executors(&mut self, resent: Vec<Event>) {
        let in_flight = std::mem::take(&mut self.in_flight);
        self.past.clear();
        for model in self.executors.values_mut() {
            model.registered = false;
            for stage in model
                .attempts
                .values_mut()
                .filter(|stage| **stage == Stage::Asking)
            {
                *stage = Stage::Running;
            }
        }
        for event in resent.into_iter().chain(in_flight) {
            match &event {
                Event::TaskFinished { executor, .. } | Event::OutputUnreadable { executor, .. } => {
                    if let Some(model) = self.executors.get_mut(executor) {
                        model.held.push(event);
                    }
                }
                Event::ExecutorLost { .. } => self.in_flight.push(event),
                _ => {}
            }
        }
    }

    fn deliver_any(&mut self, which: usize) {
        if !self.in_flight.is_empty() {
            let event = self.in_flight.remove(which % self.in_flight.len());
            self.deliver(event);
        }
    }

    fn repeat(&mut self, which: usize) {
        if !self.past.is_empty() {
            let event = self.past[which % self.past.len()].clone();
            self.deliver(event);
        }
    }

    fn sleep(&mut self, time: Duration) {
        self.now += time;
        if self.driver.next_deadline().is_some_and(|at| at <= self.now) {
            self.deliver(Event::DeadlineReached);
        }
    }

    fn launch_executor(&mut self) {
        if (self.executors.len() as u32) < self.target {
            self.born += 1;
            let id: ExecutorId = format!("x{}", self.born).parse().unwrap();
            let model = Model {
                boot: u64::from(self.born),
                registered: false,
                cut_off: false,
                attempts: BTreeMap::new(),
                queue: Vec::new(),
                held: Vec::new(),
            };
            self.executors.insert(id.clone(), model);
            self.connect(&id);
        }
    }

    fn connect(&mut self, id: &ExecutorId) {
        let number: u32 = id.as_str()[1..].parse().unwrap();
        let model = self.executors.get_mut(id).unwrap();
        let held = model.held.iter().filter_map(|event| match event {
            Event::TaskFinished { report, .. } => Some(report.id),
            Event::OutputUnreadable { id, .. } => Some(*id),
            _ => None,
        });
        let registration = Event::ExecutorRegistered(Registration {
            executor: id.clone(),
            boot: BootNonce(model.boot),
            host: format!("h{}", number % self.hosts),
            slots: self.plan.executors.cores,
            running: model.attempts.keys().copied().chain(held).collect(),
        });
        let back = !std::mem::replace(&mut model.registered, true) && self.crashes > 0;
        let held = std::mem::take(&mut model.held);
        if back {
            self.deliver(registration);
        } else {
            self.in_flight.push(registration);
        }
        self.in_flight.extend(held);
    }

    fn nth(&self, which: usize) -> Option<ExecutorId> {
        let count = self.executors.len();
        self.executors.keys().nth(which.checked_rem(count)?).cloned()
    }

    fn reconnect(&mut self, which: usize) {
        let known = |id: &ExecutorId| self.executors[id].registered || self.crashes > 0;
        let Some(id) = self.nth(which).filter(known) else {
            return;
        };
        if self.executors[&id].registered {
            self.in_flight
                .push(Event::ExecutorDisconnected { executor: id.clone() });
        }
        self.executors.get_mut(&id).unwrap().cut_off = false;
        self.connect(&id);
    }

    fn fault(&mut self, which: usize) {
        let Some(id) = self.nth(which).filter(|_| self.faults > 0) else {
            return;
        };
        self.faults -= 1;
        if which.is_multiple_of(3) {
            self.executors.get_mut(&id).unwrap().cut_off = true;
            return;
        }
        let losses = [
            ExecutorLoss::Signalled(9),
            ExecutorLoss::Preempted,
            ExecutorLoss::NodeLost,
        ];
        self.end_executor(&id, losses[which % losses.len()]);
    }

    fn end_executor(&mut self, id: &ExecutorId, loss: ExecutorLoss) {
        if self.executors.remove(id).is_some() {
            let executor = id.clone();
            self.in_flight.push(Event::ExecutorDisconnected { executor });
            let executor = id.clone();
            self.in_flight.push(Event::ExecutorLost { executor, loss });
        }
    }

    fn beat(&mut self) {
        let heard: Vec<_> = self
            .executors
            .iter()
            .filter(|(_, model)| model.registered && !model.cut_off)
            .collect();
        let beats: Vec<_> = heard
            .into_iter()
            .map(|(id, model)| heartbeat(id, model))
            .collect();
        for beat in beats {
            self.deliver(beat);
        }
    }

    /// Some attempt makes a step.
    fn work(&mut self, which: usize, fails: bool) {
        let all = self
            .executors
            .iter()
            .filter(|(_, model)| !model.cut_off && model.registered);
        let all: Vec<_> = all
            .flat_map(|(id, model)| {
                model
                    .attempts
                    .iter()
                    .map(move |(attempt, stage)| (id.clone(), *attempt, *stage))
            })
            .collect();
        let Some((executor, id, stage)) = all.get(which.checked_rem(all.len()).unwrap_or(0)).cloned() else {
            return;
        };
        let unreadable = self.faults > 0 && which.is_multiple_of(11) && self.reads_kept(id);
        let waits = !self.may_begin(&executor, id);
        let model = self.executors.get_mut(&executor).unwrap();
        match stage {
            Stage::Launched if waits => {}
            Stage::Launched => {
                model.queue.retain(|other| *other != id);
                model.attempts.insert(id, Stage::Running);
                self.in_flight.push(Event::TaskStarted { executor, id });
            }
            Stage::Running if fails && self.faults > 0 => {
                self.faults -= 1;
                self.report(&executor, id, Err(TaskFailure::new(FailureCause::ExitCode(1))));
            }
            Stage::Running if unreadable => {
                self.faults -= 1;
                model.attempts.remove(&id);
                let source = self.nth(which / 11).unwrap_or(executor.clone());
                self.in_flight
                    .push(Event::OutputUnreadable { executor, id, source });
            }
            Stage::Running if self.plan.stages[id.stage.stage as usize].output.is_some() => {
                model.attempts.insert(id, Stage::Asking);
                self.in_flight.push(Event::CommitRequested { executor, id });
            }
            Stage::Running => self.report(&executor, id, Ok(())),
            Stage::Asking => {}
        }
    }

    /// Whether an attempt is the next of its executor's queue and has room.
    fn may_begin(&self, executor: &ExecutorId, id: TaskAttemptId) -> bool {
        let model = &self.executors[executor];
        let begun = model
            .attempts
            .iter()
            .filter(|(_, stage)| **stage != Stage::Launched);
        let begun = begun.map(|(id, _)| id);
        model.queue.first() == Some(&id) && fits_together(&self.plan, begun.chain([&id]))
    }

    /// Whether an attempt reads what stays on executors.
    fn reads_kept(&self, id: TaskAttemptId) -> bool {
        let stage = &self.plan.stages[id.stage.stage as usize];
        let mut edges = stage.after.iter().chain(&stage.scheduling.with);
        edges.any(|&before| self.plan.stages[before as usize].scheduling.keeps_output)
    }

    fn report(&mut self, executor: &ExecutorId, id: TaskAttemptId, outcome: Result<(), TaskFailure>) {
        let Some(model) = self.executors.get_mut(executor) else {
            return;
        };
        if model.attempts.remove(&id).is_none() {
            return;
        }
        model.queue.retain(|other| *other != id);
        let report = Box::new(TaskReport {
            sequence: 0,
            id,
            metrics: TaskMetrics {
                wall: self.now,
                ..TaskMetrics::default()
            },
            outcome,
            result: None,
            counters: Vec::new(),
        });
        let event = Event::TaskFinished {
            executor: executor.clone(),
            report,
        };
        if model.registered {
            self.in_flight.push(event);
        } else {
            model.held.push(event);
        }
    }

    fn deliver(&mut self, event: Event) {
        if self.past.len() < 64 {
            self.past.push(event.clone());
        }
        self.ledger.hear(&event, self.now);
        let mut effects = Vec::new();
        let finished = self.driver.is_finished();
        let cause = event.clone();
        self.driver.handle(self.now, event, &mut effects);
        self.script
            .push((self.now, cause.clone(), format!("{effects:?}")));
        self.chronicle.check(self.driver.take_history());
        assert!(
            !finished || effects.is_empty(),
            "effects after the verdict: {effects:?}"
        );
        if let Some(Effect::Record(entry)) = effects.first() {
            self.journal.entries.push(entry.clone());
            self.journal.states.push(self.driver.checkpoint());
            self.journal.events.push(cause);
        }
        for effect in effects {
            self.ledger.see(&effect, &self.plan);
            self.carry_out(effect);
        }
        self.audit();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::PlanStage { stage } => self.plan_stage(stage),
            Effect::Launch { executor, tasks, .. } => {
                if let Some(model) = self.executors.get_mut(&executor) {
                    model.queue.extend(tasks.iter().map(|task| task.id));
                    model
                        .attempts
                        .extend(tasks.into_iter().map(|task| (task.id, Stage::Launched)));
                }
            }
            Effect::Cancel { executor, id, reason } => {
                let killed = TaskFailure::new(FailureCause::Killed(reason));
                self.report(&executor, id, Err(killed));
            }
            Effect::DecideCommit {
                executor,
                id,
                granted,
            } => {
                let denied = || TaskFailure::new(FailureCause::CommitDenied);
                self.report(&executor, id, if granted { Ok(()) } else { Err(denied()) });
            }
            Effect::Recall { executor, ids } => self.give_back(executor, &ids),
            Effect::SetTarget(target) => self.target = target.executors,
            Effect::StopExecutor { executor, .. } => self.end_executor(&executor, ExecutorLoss::KilledByUs),
            Effect::CommitStage { stage } => self.in_flight.push(Event::StageCommitted {
                stage,
                result: Ok(()),
            }),
            Effect::AbandonStage { .. }
            | Effect::KeepResult { .. }
            | Effect::Finish(_)
            | Effect::Record(_) => {}
        }
    }

    fn give_back(&mut self, executor: ExecutorId, ids: &[TaskAttemptId]) {
        let Some(model) = self.executors.get_mut(&executor) else {
            return;
        };
        let (back, rest) = model.queue.iter().partition(|id| ids.contains(id));
        model.queue = rest;
        let back: Vec<TaskAttemptId> = back;
        model.attempts.retain(|id, _| !back.contains(id));
        self.in_flight.push(Event::TasksReturned { executor, ids: back });
    }

    fn plan_stage(&mut self, stage: StageKey) {
        let count = self.plan.stages[stage.stage as usize].source.known_tasks();
        let input = |partition: u64| TaskInput {
            hosts: if partition.is_multiple_of(2) {
                vec![format!("h{}", partition % 3)]
            } else {
                Vec::new()
            },
            ..TaskInput::default()
        };
        let tasks = Ok((0..count).map(input).collect());
        self.in_flight.push(Event::StagePlanned { stage, tasks });
    }

    /// What must hold after every step.
    fn audit(&self) {
        let snapshot = self.driver.snapshot();
        let (finished, known) = snapshot.progress;
        assert!(finished <= known);
        for executor in &snapshot.executors {
            assert!(executor.used_slots <= executor.slots, "{executor:?}");
        }
        for stage in &snapshot.stages {
            let tasks = u32::try_from(stage.tasks).unwrap();
            assert!(stage.pending + stage.succeeded <= tasks, "{stage:?}");
        }
        assert!(snapshot.failures.len() <= 128);
        if self.ledger.verdict.is_none() {
            let committing = snapshot
                .stages
                .iter()
                .any(|stage| stage.status == StageStatus::Committing);
            let awaited = !self.in_flight.is_empty() || self.target > 0 || committing;
            assert!(
                awaited || self.driver.next_deadline().is_some(),
                "nothing is awaited: {snapshot:#?}"
            );
        }
    }

    /// The most failures that a gang had as a whole.
    fn worst_gang(&self) -> u32 {
        let gangs = (0..)
            .zip(&self.plan.stages)
            .filter(|(_, stage)| stage.scheduling.gang);
        let failures = |number: u32| {
            self.ledger
                .counted
                .range((number, 0)..(number + 1, 0))
                .map(|(_, count)| *count)
        };
        gangs.map(|(number, _)| failures(number).sum()).max().unwrap_or(0)
    }

    /// What must hold at the end.
    pub(crate) fn check_verdict(&self) {
        let most = self.ledger.counted.values().copied().max().unwrap_or(0);
        match self.verdict() {
            Some(Verdict::Succeeded) => {
                for (number, stage) in (0..).zip(&self.plan.stages) {
                    for partition in 0..u32::try_from(stage.source.known_tasks()).unwrap() {
                        let done = self.ledger.succeeded.contains(&(number, partition));
                        assert!(done, "success without partition {number}/{partition}");
                    }
                    assert!(stage.output.is_none() || self.ledger.committed.contains(&number));
                }
            }
            Some(Verdict::Failed(cause)) => {
                let limit = self.plan.settings.task_max_failures;
                let unread = self.ledger.unread.values().copied().max().unwrap_or(0);
                assert!(
                    most >= limit
                        || self.crashes > 0
                        || self.worst_gang() >= limit
                        || unread >= self.plan.settings.stage_max_attempts,
                    "{cause}, most failures {most}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Journal {
    /// Loses up to so many entries from the end, none that had to be safe; gives the events behind them.
    fn lose(&mut self, most: usize) -> Vec<Event> {
        let loose = self
            .entries
            .iter()
            .rev()
            .take_while(|entry| entry.urgency == Urgency::Batched);
        let kept = self.entries.len() - loose.count().min(most);
        self.entries.truncate(kept);
        self.states.truncate(kept);
        self.events.split_off(kept)
    }

    fn recover(&self, plan: &AppPlan) -> Driver {
        let entries = self.entries.iter().map(|entry| &entry.bytes);
        let driver = Driver::recover(plan.clone(), None, entries).unwrap();
        if let Some(state) = self.states.last() {
            assert!(driver.checkpoint() == *state, "{:#?}", driver.snapshot());
        }
        driver
    }
}

fn heartbeat(id: &ExecutorId, model: &Model) -> Event {
    let running = model.attempts.iter().map(|(&id, &stage)| RunningTask {
        id,
        resident: 1,
        progress: 0.5,
        waiting: stage == Stage::Launched,
        status: String::new(),
        counters: Vec::new(),
    });
    Event::HeartbeatReceived {
        executor: id.clone(),
        running: running.collect(),
    }
}

impl Ledger {
    /// What the driver no longer knows has not happened.
    fn crash(&mut self, driver: &Driver, committing: &[StageKey]) {
        self.granted.clear();
        self.succeeded.clear();
        for stage in driver.snapshot().stages {
            let tasks = driver.tasks(stage.key.stage, 0, usize::MAX);
            let done = tasks.iter().filter(|task| task.status == TaskStatus::Succeeded);
            self.succeeded
                .extend(done.map(|task| (stage.key.stage, task.partition)));
        }
        for stage in committing {
            self.committed.remove(&stage.stage);
        }
    }

    fn hear(&mut self, event: &Event, _now: Duration) {
        match event {
            Event::TaskFinished { executor, report } => self.hear_report(executor, report),
            Event::ExecutorLost { executor, loss } => self.forget(executor, *loss),
            Event::OutputUnreadable { executor, id, .. } => {
                self.live.get_mut(executor).map(|live| live.remove(id));
                *self.unread.entry(id.stage.stage).or_default() += 1;
            }
            Event::TasksReturned { executor, ids } => {
                let live = self.live.entry(executor.clone()).or_default();
                live.retain(|id| !ids.contains(id));
            }
            Event::TaskStarted { id, .. } => {
                self.started.insert(*id);
            }
            Event::HeartbeatReceived { running, .. } => {
                self.started.extend(running.iter().map(|task| task.id));
            }
            _ => {}
        }
    }

    fn hear_report(&mut self, executor: &ExecutorId, report: &TaskReport) {
        let id = report.id;
        let was_live = self.live.get_mut(executor).is_some_and(|live| live.remove(&id));
        let partition = (id.stage.stage, id.partition);
        self.granted.retain(|_, holder| *holder != id);
        match &report.outcome {
            Ok(()) => {
                self.succeeded.insert(partition);
            }
            Err(failure) if was_live && failure.counts_for_task() => {
                *self.counted.entry(partition).or_default() += 1;
            }
            Err(_) => {}
        }
    }

    fn forget(&mut self, executor: &ExecutorId, loss: ExecutorLoss) {
        self.stopped.insert(executor.clone());
        for id in self.live.remove(executor).unwrap_or_default() {
            self.granted.retain(|_, holder| *holder != id);
            if loss.counts_for_tasks() {
                *self.counted.entry((id.stage.stage, id.partition)).or_default() += 1;
            }
        }
    }

    fn see(&mut self, effect: &Effect, plan: &AppPlan) {
        match effect {
            Effect::Launch { executor, tasks, .. } => {
                assert!(
                    !self.stopped.contains(executor),
                    "a launch on {executor}, which is gone"
                );
                for task in tasks {
                    self.see_launch(executor, task.id, plan);
                }
            }
            Effect::Cancel { executor, id, reason } if *reason == wire::failure::KillReason::StageEnded => {
                self.live.get_mut(executor).map(|live| live.remove(id));
                self.granted.retain(|_, holder| holder != id);
            }
            Effect::DecideCommit {
                id, granted: true, ..
            } => {
                let holder = *self.granted.entry((id.stage, id.partition)).or_insert(*id);
                assert_eq!(holder, *id, "two attempts may commit");
            }
            Effect::StopExecutor { executor, loss } => self.forget(executor, *loss),
            Effect::CommitStage { stage } => {
                assert!(self.committed.insert(stage.stage), "{stage} is marked twice");
            }
            Effect::Finish(verdict) => {
                assert!(self.verdict.is_none());
                self.verdict = Some(verdict.clone());
            }
            _ => {}
        }
    }

    fn see_launch(&mut self, executor: &ExecutorId, id: TaskAttemptId, plan: &AppPlan) {
        let stage = &plan.stages[id.stage.stage as usize];
        let done = self.succeeded.contains(&(id.stage.stage, id.partition));
        assert!(
            !done || stage.scheduling.gang || stage.scheduling.keeps_output,
            "{id} is done and launched again"
        );
        for &before in &stage.scheduling.with {
            assert!(
                self.succeeded.contains(&(before, id.partition)),
                "{id} runs before its predecessor"
            );
        }
        let live = self.live.entry(executor.clone()).or_default();
        assert!(live.insert(id), "{id} is launched twice");
        let ahead = plan.scheduling.prefetch.is_wanted();
        assert!(
            ahead || fits_together(plan, live.iter()),
            "{executor} has no room for {id}"
        );
        let same =
            |other: &&TaskAttemptId| other.stage.stage == id.stage.stage && other.partition == id.partition;
        let copies = self.live.values().flatten().filter(same).count();
        let several = plan.scheduling.speculation.enabled || stage.scheduling.keeps_output;
        let most = if several { 2 } else { 1 };
        assert!(copies <= most, "{copies} live attempts of {id}");
    }
}

/// Whether one executor has room for all these attempts at once.
fn fits_together<'a>(plan: &AppPlan, attempts: impl Iterator<Item = &'a TaskAttemptId>) -> bool {
    let (mut slots, mut spare) = (plan.executors.cores, plan.executors.amounts());
    let mut attempts = attempts;
    attempts.all(|id| {
        let stage = &plan.stages[id.stage.stage as usize];
        let room = stage.cores <= slots && spare.holds(&stage.needs());
        slots = slots.saturating_sub(stage.cores);
        spare.take(&stage.needs());
        room
    })
}
