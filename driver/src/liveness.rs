//! Which executors are alive, and the one way in which they cease to be.
//!
//! Silence makes an executor suspect, then dead. The end of its connection makes it suspect at once and dead after
//! the time that silence alone would take to make it suspect, unless it connects again; who ended it and whether
//! that counts is said by the launcher, usually before that. [`Driver::remove_executor`] is the only function that
//! takes an executor away.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use wire::failure::{ExecutorLoss, FailureCause, KillReason, TaskFailure};
use wire::id::{ExecutorId, TaskAttemptId};
use wire::message::RunningTask;

use crate::core::Driver;
use crate::event::{Effect, Registration};
use crate::executors::{Executor, Liveness};
use crate::history::Happening;
use crate::index::ExecutorIx;
use crate::journal::fact::ExecutorFact;
use crate::plan::Settings;
use crate::stage::Phase;
use wire::task::TaskMetrics;

/// When the silence of each executor is looked at next.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    queue: BTreeSet<(Duration, ExecutorIx)>,
}

impl Watch {
    pub(crate) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|&(at, _)| at)
    }

    fn pop_due(&mut self, now: Duration) -> Option<ExecutorIx> {
        let &(at, index) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(index)
    }
}

/// When an executor is given up if nothing is heard from it.
fn dead_at(executor: &Executor, settings: &Settings) -> Duration {
    let silent = executor.last_heard + settings.heartbeat_dead;
    match executor.liveness {
        Liveness::Disconnected { since } => silent.min(since + settings.heartbeat_suspect),
        Liveness::Live | Liveness::Suspect | Liveness::Gone { .. } => silent,
    }
}

impl Driver {
    pub(crate) fn on_registered(&mut self, registration: Registration, effects: &mut Vec<Effect>) {
        if self.executors.is_fenced(&registration.executor) {
            effects.push(Effect::StopExecutor {
                executor: registration.executor,
                loss: ExecutorLoss::KilledByUs,
            });
            return;
        }
        let Some(index) = self.executors.find(&registration.executor) else {
            self.admit(registration, effects);
            return;
        };
        if self.executors[index].boot == registration.boot {
            self.readmit(index, &registration, effects);
        } else {
            self.remove_executor(index, ExecutorLoss::Unknown, effects);
            self.admit(registration, effects);
        }
    }

    fn admit(&mut self, registration: Registration, effects: &mut Vec<Effect>) {
        self.note_fact(|_| ExecutorFact::Admitted {
            executor: registration.executor.to_string(),
            boot: registration.boot,
            host: registration.host.clone(),
            slots: registration.slots,
        });
        let index = self.take_in(&registration);
        if self.resumed {
            self.gate.arrive(&registration.executor);
            self.adopt_all(index, &registration.running);
        }
        let executor = registration.executor;
        for id in registration.running {
            if self.live_attempt(&executor, id).is_none() {
                cancel_stranger(&executor, id, effects);
            }
        }
    }

    /// A new executor is there.
    pub(crate) fn take_in(&mut self, registration: &Registration) -> ExecutorIx {
        let index = self.executors.admit(registration, self.now);
        self.tell(|_| Happening::ExecutorAdded {
            executor: registration.executor.clone(),
            host: registration.host.clone(),
            slots: registration.slots,
        });
        self.apply_exclusion(index);
        self.watch_from(index);
        self.offers.one(index);
        self.revalidate_localities();
        index
    }

    /// An executor has connected again.
    fn readmit(&mut self, index: ExecutorIx, registration: &Registration, effects: &mut Vec<Effect>) {
        self.executors[index].told.clear();
        self.forget_recalls(index);
        self.revive(index);
        if self.gate.arrive(&registration.executor) {
            self.offers.everyone();
            self.reconcile(index, &registration.running, effects);
        }
        self.cancel_again(index, effects);
        let running = registration.running.iter();
        self.compare_running(index, running.map(|&id| (id, None)), effects);
    }

    pub(crate) fn on_heartbeat(
        &mut self,
        executor: &ExecutorId,
        running: &[RunningTask],
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.executors.find_present(executor) else {
            return;
        };
        self.revive(index);
        let details = running.iter().map(|task| (task.id, Some(task)));
        self.compare_running(index, details, effects);
    }

    /// An executor was heard: it is no longer under suspicion.
    fn revive(&mut self, index: ExecutorIx) {
        let executor = &mut self.executors[index];
        executor.last_heard = self.now;
        if executor.liveness != Liveness::Live {
            self.executors.set_liveness(index, Liveness::Live);
            self.watch_from(index);
            self.offers.one(index);
        }
    }

    /// Compares what an executor runs with what it should run.
    fn compare_running<'a>(
        &mut self,
        index: ExecutorIx,
        running: impl Iterator<Item = (TaskAttemptId, Option<&'a RunningTask>)>,
        effects: &mut Vec<Effect>,
    ) {
        let executor = self.executors[index].id.clone();
        for (id, details) in running {
            let Some(attempt) = self
                .live_attempt(&executor, id)
                .and_then(|live| self.attempts.get_mut(live))
            else {
                cancel_stranger(&executor, id, effects);
                continue;
            };
            attempt.seen_at = self.now;
            if let Some(details) = details.filter(|details| !details.waiting) {
                attempt.started = true;
                attempt.progress = details.progress;
                attempt.status.clone_from(&details.status);
                attempt.resident = details.resident;
                if !details.counters.is_empty() {
                    attempt.counters.clone_from(&details.counters);
                }
            }
        }
        self.give_up_missing(index, effects);
    }

    /// Attempts that their executor has not had for long were lost on the way to it or back.
    fn give_up_missing(&mut self, index: ExecutorIx, effects: &mut Vec<Effect>) {
        let patience = self.plan.settings.heartbeat_suspect;
        let (now, attempts) = (self.now, &self.attempts);
        let missing = |&index: &_| {
            attempts
                .get(index)
                .is_some_and(|attempt| attempt.seen_at + patience <= now)
        };
        let missing: Vec<_> = self.executors[index].held().filter(missing).collect();
        for attempt in missing {
            self.note_vanished(attempt);
            self.vanish(attempt, effects);
        }
    }

    pub(crate) fn on_disconnected(&mut self, executor: &ExecutorId) {
        let Some(index) = self.executors.find_present(executor) else {
            return;
        };
        if !matches!(self.executors[index].liveness, Liveness::Disconnected { .. }) {
            let since = self.now;
            self.executors
                .set_liveness(index, Liveness::Disconnected { since });
            self.watch_from(index);
        }
    }

    pub(crate) fn on_executor_lost(
        &mut self,
        executor: &ExecutorId,
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(index) = self.executors.find_present(executor) {
            self.remove_executor(index, loss, effects);
        }
        self.gate.arrive(executor);
        if self.executors.find(executor).is_none() {
            self.note_fact(|_| ExecutorFact::Stillborn {
                executor: executor.to_string(),
            });
        }
        self.executors.note_stillborn(executor);
    }

    /// Takes an executor away and ends its attempts. Every way in which an executor goes leads here.
    pub(crate) fn remove_executor(
        &mut self,
        index: ExecutorIx,
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) {
        self.note_fact(|driver| driver.removal(index, loss));
        self.gate.arrive(&self.executors[index].id);
        self.unwatch(index);
        self.tell(|driver| Happening::ExecutorRemoved {
            executor: driver.executors[index].id.clone(),
            loss,
        });
        self.executors.bury(index, self.now, loss);
        let mut hopeless = Vec::new();
        let doubtful = self.is_doubtful(index);
        while let Some(&attempt) = self.executors[index].last_held() {
            let started = self.attempts.get(attempt).is_some_and(|attempt| attempt.started);
            hopeless.extend(self.suspect(attempt, loss, doubtful));
            let failure = TaskFailure::new(FailureCause::ExecutorLost { loss, started });
            self.tell_end(attempt, Err(&failure), TaskMetrics::default());
            self.end_attempt(attempt, &failure, effects);
        }
        self.executors[index].attempts = Vec::new();
        self.executors[index].queue = VecDeque::new();
        self.end_suspected(hopeless, effects);
        self.exclusions.forget(index);
        self.recover_outputs();
        self.offers.everyone();
        self.revalidate_localities();
    }

    fn removal(&self, index: ExecutorIx, loss: ExecutorLoss) -> ExecutorFact {
        let attempts = self.executors[index].held();
        ExecutorFact::Removed {
            executor: index.number(),
            loss,
            started: attempts
                .map(|attempt| self.attempts.get(attempt).is_some_and(|attempt| attempt.started))
                .collect(),
        }
    }

    /// Tells the stages that place by preference that executors have come or gone.
    fn revalidate_localities(&mut self) {
        for index in self.stages.indexes() {
            let stage = &mut self.stages[index];
            if let Some(tasks) = stage.tasks.as_mut().filter(|_| stage.phase == Phase::Running) {
                tasks.revalidate(&self.executors);
            }
        }
    }

    /// Looks at every executor whose time has come.
    pub(crate) fn watch_executors(&mut self, effects: &mut Vec<Effect>) {
        while let Some(index) = self.watch.pop_due(self.now) {
            self.judge_silence(index, effects);
        }
    }

    fn judge_silence(&mut self, index: ExecutorIx, effects: &mut Vec<Effect>) {
        let settings = &self.plan.settings;
        let executor = &self.executors[index];
        if self.now >= dead_at(executor, settings) {
            effects.push(Effect::StopExecutor {
                executor: executor.id.clone(),
                loss: ExecutorLoss::Silent,
            });
            self.remove_executor(index, ExecutorLoss::Silent, effects);
            return;
        }
        let silent = self.now >= executor.last_heard + settings.heartbeat_suspect;
        if silent && executor.liveness == Liveness::Live {
            self.executors.set_liveness(index, Liveness::Suspect);
        }
        self.watch_from(index);
    }

    /// Sets the time at which an executor is looked at next.
    pub(crate) fn watch_from(&mut self, index: ExecutorIx) {
        self.unwatch(index);
        let settings = &self.plan.settings;
        let executor = &mut self.executors[index];
        let dead = dead_at(executor, settings);
        executor.watched_at = match executor.liveness {
            Liveness::Live => dead.min(executor.last_heard + settings.heartbeat_suspect),
            Liveness::Suspect | Liveness::Disconnected { .. } | Liveness::Gone { .. } => dead,
        };
        self.watch.queue.insert((executor.watched_at, index));
    }

    fn unwatch(&mut self, index: ExecutorIx) {
        let at = self.executors[index].watched_at;
        self.watch.queue.remove(&(at, index));
    }
}

/// Ends an attempt that an executor runs and that is not wanted.
fn cancel_stranger(executor: &ExecutorId, id: TaskAttemptId, effects: &mut Vec<Effect>) {
    effects.push(Effect::Cancel {
        executor: executor.clone(),
        id,
        reason: KillReason::StageEnded,
    });
}
