//! The driver as a state machine: events in, effects out.
//!
//! [`Driver`] owns all state. This file turns each event into the transition named by it and then lets the parts
//! that react to any change do so, always in the same order: timers, ready stages, assignment, verdict. The
//! transitions themselves are in the module of what they are about, as further `impl Driver` blocks.
//!
//! Invariants kept here (letters of the product contract): E, because [`Driver::handle`] ends with the check of the
//! verdict whatever the event was, and J, because nothing here grows with the number of events.

use std::time::Duration;

use crate::assignment::Offers;
use crate::attempts::Attempts;
use crate::commit::Commits;
use crate::demand::Demand;
use crate::event::{Effect, Event};
use crate::exclusion::Exclusions;
use crate::executors::Executors;
use crate::failures::FailureLog;
use crate::gate::Gate;
use crate::history::Chronicle;
use crate::index::{Slab, StageIx, Table};
use crate::job::Job;
use crate::journal::Ledger;
use crate::journal::codec::whole_micros;
use crate::launch::Outbox;
use crate::liveness::Watch;
use crate::plan::AppPlan;
use crate::pools::Queue;
use crate::prefetch::Prefetch;
use crate::stage::Stage;
use crate::timers::{Timer, Timers};

/// How far the application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    New,
    Running,
    Finished,
}

/// The driver of one application.
#[derive(Debug)]
pub struct Driver {
    pub(crate) plan: AppPlan,
    pub(crate) now: Duration,
    pub(crate) life: Life,
    pub(crate) jobs: Vec<Job>,
    pub(crate) stages: Table<StageIx, Stage>,
    /// Stages that may have become ready.
    pub(crate) ready: Vec<StageIx>,
    pub(crate) queue: Queue,
    pub(crate) executors: Executors,
    pub(crate) attempts: Attempts,
    pub(crate) watch: Watch,
    pub(crate) timers: Timers,
    pub(crate) exclusions: Exclusions,
    pub(crate) demand: Demand,
    /// Stages of the plan that are gangs.
    pub(crate) gangs: usize,
    pub(crate) gate: Gate,
    pub(crate) offers: Offers,
    pub(crate) prefetch: Prefetch,
    pub(crate) outbox: Outbox,
    pub(crate) commits: Commits,
    pub(crate) failures: FailureLog,
    /// Why no more executors can be had.
    pub(crate) hopeless: Option<String>,
    /// The task that took executors with it until its job was ended for that.
    pub(crate) culprit: Option<String>,
    pub(crate) ledger: Ledger,
    pub(crate) chronicle: Chronicle,
    /// Facts are being replayed: nothing is launched.
    pub(crate) replaying: bool,
    /// It came back from a journal and was not told to go on.
    pub(crate) recovered: bool,
    /// It has gone on after the loss of another process.
    pub(crate) resumed: bool,
}

impl Driver {
    /// A driver that waits for [`Event::Started`].
    ///
    /// A plan that cannot run ([`AppPlan::problems`]) is answered by a failure once it is started.
    #[must_use]
    pub fn new(plan: AppPlan) -> Self {
        let broken = !plan.problems().is_empty();
        let usable = if broken {
            AppPlan {
                stages: Vec::new(),
                ..plan.clone()
            }
        } else {
            plan.clone()
        };
        let stages = crate::stage::of_plan(&usable);
        Self {
            now: Duration::ZERO,
            life: Life::New,
            jobs: crate::job::of_plan(&usable),
            ready: Vec::new(),
            queue: Queue::new(&usable),
            stages: Table::new(stages),
            executors: Executors::new(plan.executors.amounts()),
            attempts: Slab::new(),
            watch: Watch::default(),
            timers: Timers::default(),
            exclusions: Exclusions::default(),
            demand: Demand::default(),
            gangs: usable.stages.iter().filter(|stage| stage.scheduling.gang).count(),
            gate: Gate::new(&plan),
            offers: Offers::default(),
            prefetch: Prefetch::default(),
            outbox: Outbox::default(),
            commits: Commits::default(),
            failures: FailureLog::default(),
            hopeless: None,
            culprit: None,
            ledger: Ledger::default(),
            chronicle: Chronicle::default(),
            replaying: false,
            recovered: false,
            resumed: false,
            plan,
        }
    }

    /// Takes in what happened at `now`, and adds what is to be done.
    ///
    /// `now` counts from any fixed point and never goes back. After [`Effect::Finish`] nothing follows.
    pub fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        self.now = self.now.max(whole_micros(now));
        if self.is_finished() || self.is_asleep(&event) {
            return;
        }
        let first = effects.len();
        self.dispatch(event, effects);
        if self.life == Life::Running && !self.recovered {
            self.settle(effects);
            self.forget_long_gone();
        }
        if let Some(entry) = self.ledger.take(self.now) {
            effects.insert(first, Effect::Record(entry));
        }
    }

    /// A recovered core does nothing before it is told who is still there.
    fn is_asleep(&self, event: &Event) -> bool {
        let wakes = matches!(event, Event::Resumed { .. } | Event::RackLearned { .. });
        self.recovered && self.life == Life::Running && !wakes
    }

    /// When [`Driver::handle`] wants to be called, with [`Event::DeadlineReached`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.life != Life::Running || self.recovered {
            return None;
        }
        let deadlines = [self.watch.next(), self.gate.deadline(), self.timers.next()];
        deadlines.into_iter().flatten().min()
    }

    /// Whether the verdict was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.life == Life::Finished
    }

    fn dispatch(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Started => self.on_started(effects),
            Event::Refused { cause } => self.on_refused(&cause, effects),
            Event::Resumed {
                present,
                patience,
                lost,
            } => self.on_resumed(&present, patience, lost, effects),
            Event::ExecutorRegistered(registration) => self.on_registered(registration, effects),
            Event::HeartbeatReceived { executor, running } => self.on_heartbeat(&executor, &running, effects),
            Event::ExecutorDisconnected { executor } => self.on_disconnected(&executor),
            Event::ExecutorLost { executor, loss } => self.on_executor_lost(&executor, loss, effects),
            Event::DrainRequested {
                executors,
                more,
                loss,
            } => self.on_drain_requested(&executors, more, loss, effects),
            Event::TaskStarted { executor, id } => self.on_task_started(&executor, id),
            Event::TaskFinished { executor, report } => self.on_task_finished(&executor, &report, effects),
            Event::TasksReturned { executor, ids } => self.on_tasks_returned(&executor, &ids, effects),
            Event::CommitRequested { executor, id } => self.on_commit_requested(&executor, id, effects),
            Event::OutputUnreadable { executor, id, source } => {
                self.on_output_unreadable(&executor, id, &source, effects);
            }
            Event::StagePlanned { stage, tasks } => self.on_stage_planned(stage, tasks, effects),
            Event::StageFailed { stage, cause } => self.on_stage_failed(stage, &cause, effects),
            Event::StageCommitted { stage, result } => self.on_stage_committed(stage, result, effects),
            Event::RackLearned { host, rack } => self.executors.hosts.set_rack(&host, &rack),
            Event::ResourceManagerHeard { ago } => self.on_resource_manager_heard(ago, effects),
            Event::LauncherGaveUp { reason } => self.hopeless = Some(reason),
            Event::RoomLacked { reason, room } => self.on_room_lacked(&reason, room, effects),
            Event::KillRequested { by } => self.on_kill_requested(&by, effects),
            Event::JobKillRequested { job, by } => self.on_job_kill_requested(job, by, effects),
            Event::TaskKillRequested { stage, partition } => {
                self.on_task_kill_requested(stage, partition, effects);
            }
            Event::DeadlineReached => {}
        }
    }

    fn settle(&mut self, effects: &mut Vec<Effect>) {
        self.watch_executors(effects);
        self.run_timers(effects);
        self.finish_drains(effects);
        self.open_gate();
        self.begin_ready_stages(effects);
        self.assign(effects);
        self.check_places(effects);
        self.conclude(effects);
        if self.life == Life::Running {
            self.update_demand(effects);
        }
    }

    fn run_timers(&mut self, effects: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Locality(_) => self.offers.everyone(),
                Timer::Exclusion => self.end_exclusions(),
                Timer::Speculation => self.speculate(),
                Timer::Backlog => self.add_executors(),
                Timer::Idle => self.release_idle(effects),
            }
        }
    }
}
