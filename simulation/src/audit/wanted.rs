//! Attempts that nobody wants any more are ended wherever they are heard of, and nobody is taken for dead who speaks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event};
use driver::plan::AppPlan;
use driver::view::TaskStatus;
use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, TaskAttemptId};

use super::Audit;

/// How many heartbeats in a row may name an attempt that nobody wants: the first has it ended, which takes a moment.
const HEARTBEATS: u32 = 3;

/// What executors say of themselves.
#[derive(Debug, Default)]
pub(super) struct Signs {
    cancelled: BTreeSet<TaskAttemptId>,
    /// Attempts that nobody wants, and in how many heartbeats of one connection they were named.
    unwanted: BTreeMap<ExecutorId, BTreeMap<TaskAttemptId, u32>>,
    heard: BTreeMap<ExecutorId, Duration>,
    disconnected: BTreeMap<ExecutorId, Duration>,
    /// Those that are to go when they have nothing to do.
    draining: BTreeSet<ExecutorId>,
}

impl Audit {
    pub(super) fn hear_signs(&mut self, now: Duration, event: &Event) {
        match event {
            Event::ExecutorRegistered(registration) => {
                let executor = &registration.executor;
                self.signs.unwanted.remove(executor);
                self.hear_sign(now, executor);
            }
            Event::HeartbeatReceived { executor, running } if !self.gone.contains(executor) => {
                self.hear_sign(now, executor);
                let running: Vec<_> = running.iter().map(|task| task.id).collect();
                self.count_unwanted(executor, &running);
            }
            Event::ExecutorDisconnected { executor } => {
                let since = self.signs.disconnected.entry(executor.clone());
                since.or_insert(now);
            }
            Event::DrainRequested { executors, .. } => {
                let there = |executor: &&ExecutorId| {
                    self.boots.contains_key(*executor) && !self.gone.contains(*executor)
                };
                let named = executors.iter().filter(there).cloned();
                self.signs.draining.extend(named);
            }
            _ => {}
        }
    }

    fn hear_sign(&mut self, now: Duration, executor: &ExecutorId) {
        self.signs.heard.insert(executor.clone(), now);
        self.signs.disconnected.remove(executor);
    }

    fn count_unwanted(&mut self, executor: &ExecutorId, running: &[TaskAttemptId]) {
        let before = self.signs.unwanted.remove(executor).unwrap_or_default();
        let live = self.live.get(executor);
        let is_live = |id: &TaskAttemptId| live.is_some_and(|live| live.contains_key(id));
        let unwanted = running
            .iter()
            .filter(|id| self.signs.cancelled.contains(id) || !is_live(id));
        let counts: BTreeMap<_, _> = unwanted
            .map(|id| (*id, before.get(id).map_or(1, |heartbeats| heartbeats + 1)))
            .collect();
        if let Some((id, _)) = counts.iter().find(|(_, heartbeats)| **heartbeats > HEARTBEATS) {
            self.complain('B', format!("{id} goes on on {executor} and nobody wants it"));
        }
        self.signs.unwanted.insert(executor.clone(), counts);
    }

    /// An attempt that is over, and that its executor still names, is ended at once.
    pub(crate) fn check_strangers(&mut self, event: &Event, effects: &[Effect]) {
        let (executor, named): (_, Vec<_>) = match event {
            Event::ExecutorRegistered(registration) => (&registration.executor, registration.running.clone()),
            Event::HeartbeatReceived { executor, running } => {
                (executor, running.iter().map(|task| task.id).collect())
            }
            _ => return,
        };
        if self.gone.contains(executor) || self.verdict.is_some() {
            return;
        }
        let live = self.live.get(executor);
        let is_live = |id: &TaskAttemptId| live.is_some_and(|live| live.contains_key(id));
        let is_ended = |id: &TaskAttemptId| {
            let ends = |effect: &Effect| matches!(effect, Effect::Cancel { id: ended, .. } if ended == id);
            self.signs.cancelled.contains(id) || effects.iter().any(ends)
        };
        let stranger = named.iter().find(|id| !is_live(id) && !is_ended(id));
        if let Some(id) = stranger {
            self.complain(
                'B',
                format!("{executor} has {id}, which is over, and may keep it"),
            );
        }
    }

    pub(super) fn see_signs(&mut self, now: Duration, effect: &Effect, plan: &AppPlan) {
        match effect {
            Effect::Cancel { id, .. } => {
                self.signs.cancelled.insert(*id);
            }
            Effect::StopExecutor {
                executor,
                loss: ExecutorLoss::Silent,
            } => self.check_silence(now, executor, plan),
            Effect::Launch { executor, .. } => {
                let stays = !self.signs.draining.contains(executor);
                self.check(stays, 'D', || {
                    format!("a launch on {executor}, which is to be given back")
                });
            }
            _ => {}
        }
    }

    fn check_silence(&mut self, now: Duration, executor: &ExecutorId, plan: &AppPlan) {
        let since = |at: Option<&Duration>| at.map_or(now, |at| now.saturating_sub(*at));
        let silent = since(self.signs.heard.get(executor));
        let away = self.signs.disconnected.get(executor);
        let away = away.map_or(Duration::ZERO, |since| now.saturating_sub(*since));
        let settings = &plan.settings;
        let dead = silent >= settings.heartbeat_dead || away >= settings.heartbeat_suspect;
        self.check(dead, 'C', || {
            format!("{executor} is given up as silent and was heard {silent:?} ago")
        });
    }

    /// Whoever is to be given back goes as soon as nothing runs there.
    pub(super) fn compare_draining(&mut self) {
        let idle = |executor: &&ExecutorId| self.live.get(*executor).is_none_or(BTreeMap::is_empty);
        let there = self.signs.draining.difference(&self.gone);
        let idle = there.into_iter().find(idle).cloned();
        if let Some(executor) = idle.filter(|_| self.verdict.is_none()) {
            self.complain(
                'D',
                format!("{executor} is to be given back, has nothing to do, and stays"),
            );
        }
    }

    /// Another life has nothing to do with what was said of the one before.
    pub(super) fn forget_signs(&mut self, executor: &ExecutorId) {
        self.signs.draining.remove(executor);
    }

    /// Of what is done nothing goes on but what was told to end.
    pub(super) fn compare_done(&mut self, driver: &Driver, plan: &AppPlan) {
        let live = self.live.values().flat_map(BTreeMap::keys);
        let open: Vec<_> = live
            .filter(|id| !self.uncertain.contains(id) && !self.signs.cancelled.contains(id))
            .copied()
            .collect();
        for id in open {
            let gang = plan.stages[id.stage.stage as usize].scheduling.gang;
            let task = driver.tasks(id.stage.stage, id.partition, 1).pop();
            let done = task.is_some_and(|task| task.status == TaskStatus::Succeeded);
            self.check(gang || !done, 'B', || {
                format!("{id} goes on, and its task is done")
            });
        }
    }
}
