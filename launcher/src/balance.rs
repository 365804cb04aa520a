//! Towards the target, and what happens when time passes.
//!
//! Both run after every event, so that the state never rests above the target, with something missing that is not
//! awaited (E), or past a deadline.

use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::LauncherReport;

use super::Effect;
use super::asks::{self, Wishes};
use super::core::{Launcher, RELEASE_AGAIN, RELEASES};
use super::record::{Phase, Record};

/// How long shares of nodes may stay unserved before everything is asked for anywhere.
const RESHAPE_AFTER: Duration = Duration::from_millis(1500);

/// How many containers are asked for beyond what queue and user may have now. Enough that a queue which is owed more
/// sees the want and takes it back from others, and few enough that one application does not flood a scheduler.
const AHEAD: u32 = 100;

/// How long a node may take to say how far a container is.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// The longest that a container's files may take to be fetched.
const LOCALIZING_MAX: Duration = Duration::from_secs(30 * 60);

impl Launcher {
    pub(super) fn expire(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.deferred.retain(|due| *due > now);
        if self.reshape_at.is_some_and(|at| at <= now) {
            self.reshape_at = None;
            self.ask(asks::plain(self.asks.outstanding()), effects);
        }
        let removals = self.nodes.expire(now);
        if !removals.is_empty() {
            effects.push(Effect::UpdateBlacklist {
                additions: vec![],
                removals,
            });
        }
        for (executor, phase) in self.records.due(now) {
            self.overdue(now, &executor, phase, effects);
        }
    }

    fn overdue(&mut self, now: Duration, executor: &ExecutorId, phase: Phase, effects: &mut Vec<Effect>) {
        match phase {
            Phase::StartSent => {
                self.stop(
                    now,
                    executor,
                    ExecutorLoss::StartFailed,
                    "the start was not answered",
                    effects,
                );
            }
            Phase::Started => self.unregistered_too_long(now, executor, effects),
            Phase::Adopted => {
                let text = "its executor did not find the new ApplicationMaster";
                self.stop(now, executor, ExecutorLoss::KilledByUs, text, effects);
            }
            Phase::Stopping(loss) => self.release_again(now, executor, loss, effects),
            Phase::Registered | Phase::Gone(_) => {}
        }
    }

    /// The time to register is over. Fetching files may take longer than that, which the node knows.
    fn unregistered_too_long(&mut self, now: Duration, executor: &ExecutorId, effects: &mut Vec<Effect>) {
        let Some(record) = self.records.get(executor) else {
            return;
        };
        let began = record.times.started.unwrap_or(record.times.granted);
        if record.questioned || now >= began + LOCALIZING_MAX {
            return self.never_registered(now, executor, effects);
        }
        self.records.change(executor, |record| {
            record.questioned = true;
            record.deadline = Some(now + ANSWER_DEADLINE);
        });
        effects.push(Effect::QueryContainer {
            executor: executor.clone(),
        });
    }

    fn never_registered(&mut self, now: Duration, executor: &ExecutorId, effects: &mut Vec<Effect>) {
        let timeout = self.rules.register_timeout;
        let text = format!("not registered {timeout:?} after its start");
        self.stop(now, executor, ExecutorLoss::NeverRegistered, &text, effects);
    }

    /// The node says how far a container is that should have registered.
    pub(super) fn queried(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        localizing: bool,
        effects: &mut Vec<Effect>,
    ) {
        let asked = |record: &Record| record.phase == Phase::Started && record.questioned;
        if !self.records.get(executor).is_some_and(asked) {
            return;
        }
        if !localizing {
            return self.never_registered(now, executor, effects);
        }
        let deadline = now + self.rules.register_timeout;
        self.records.change(executor, |record| {
            record.questioned = false;
            record.deadline = Some(deadline);
        });
    }

    fn release_again(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) {
        let releases = self.records.change(executor, |record| {
            record.releases += 1;
            record.deadline = Some(now + RELEASE_AGAIN);
            record.releases
        });
        if releases.is_none_or(|releases| releases >= RELEASES) {
            self.forget(now, executor, loss, "YARN never confirmed its end");
        }
        effects.push(Effect::StopContainer {
            executor: executor.clone(),
        });
        effects.push(Effect::ReleaseContainer {
            executor: executor.clone(),
        });
    }

    /// Says so when something has waited for long for more executors than the nodes of the cluster could hold. That is no
    /// verdict: other jobs go on with what there is room for, and nodes may come.
    pub(super) fn look_for_room(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let needed = self.needed.min(self.wanted());
        let room = if self.rules.nodes_listed {
            self.nodes.room(self.rules.master_mib)
        } else {
            u32::MAX
        };
        if self.awaits_handover || self.held() >= needed || room >= needed {
            self.cramped_since = None;
            return;
        }
        self.cramped_since.get_or_insert(now);
        if self.cramped_until().is_some_and(|until| until <= now) {
            // It is said again when it lasts as long again.
            self.cramped_since = (self.rules.room_patience > Duration::ZERO).then_some(now);
            let (memory, waited) = (self.rules.memory_mib, self.rules.room_patience);
            let reason = format!(
                "the nodes of the cluster have room for {room} of the {needed} executors of {memory} MiB that are needed to begin, \
                 and have had no more for {waited:?}: lower executors.memory, or see to the nodes (`yarn node -list -all`)"
            );
            effects.push(Effect::Report(LauncherReport::NoRoom { reason, room }));
        }
    }

    pub(super) fn cramped_until(&self) -> Option<Duration> {
        Some(self.cramped_since? + self.rules.room_patience)
    }

    /// Brings what is held and asked for to the target.
    pub(super) fn balance(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.awaits_handover {
            return;
        }
        self.shed(now, effects);
        let deferred = u32::try_from(self.deferred.len()).unwrap_or(u32::MAX);
        let missing = self.wanted().saturating_sub(self.held()).saturating_sub(deferred);
        let outstanding = self.asks.outstanding();
        let within = missing.min(self.most_asked());
        if within > outstanding {
            self.asked_at.extend((outstanding..within).map(|_| now));
            self.ask_shaped(now, within, effects);
            effects.push(Effect::Nudge);
        } else if missing < outstanding {
            self.asked_at.truncate(missing as usize);
            self.ask_shaped(now, missing, effects);
        } else if missing == 0 && self.asks.is_shaped() {
            self.ask_shaped(now, 0, effects);
        }
        self.reshape_at = self.reshape_at.filter(|_| self.asks.is_shaped());
    }

    /// The most that may be asked for at a time. What was asked for stays when less may be had, so that the ask does
    /// not follow every heartbeat.
    fn most_asked(&self) -> u32 {
        let executors = |mib: u64| u32::try_from(mib / self.rules.memory_mib.max(1)).unwrap_or(u32::MAX);
        let room = self.headroom_mib.map(executors);
        room.map_or(u32::MAX, |room| room.saturating_add(AHEAD))
    }

    /// Gives up what is above the target: what registered last, or has not yet, goes first. Not so at the end, when
    /// the gateway asks executors to leave, and not when no others can be had, because those that are up may do. Nor
    /// as long as some are awaited from an earlier attempt: which of those are busy only they can say.
    fn shed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let surplus = self.held().saturating_sub(self.wanted()) as usize;
        let awaited = self.records.values().any(|record| record.phase == Phase::Adopted);
        if surplus == 0 || awaited || self.ending || self.verdict.is_some() {
            return;
        }
        let live = self.records.values().filter(|record| record.phase.is_live());
        let mut live: Vec<_> = live
            .map(|record| (record.times.registered, record.executor.clone()))
            .collect();
        live.sort_by_key(|(registered, _)| std::cmp::Reverse(registered.unwrap_or(Duration::MAX)));
        for (_, executor) in live.into_iter().take(surplus) {
            self.stop(
                now,
                &executor,
                ExecutorLoss::Released,
                "above the wanted number",
                effects,
            );
        }
    }

    fn ask_shaped(&mut self, now: Duration, wanted: u32, effects: &mut Vec<Effect>) {
        let candidates = if self.rules.name_nodes {
            self.nodes.candidates()
        } else {
            Vec::new()
        };
        let wishes = Wishes {
            hosts: &self.wishes,
            slots: self.rules.cores,
        };
        self.ask(asks::shaped(wanted, &candidates, &wishes), effects);
        self.reshape_at = self.asks.is_shaped().then_some(now + RESHAPE_AFTER);
    }

    fn ask(&mut self, counts: asks::Counts, effects: &mut Vec<Effect>) {
        let changes = self.asks.replace(counts);
        effects.extend(
            changes
                .into_iter()
                .map(|(name, count)| Effect::SetAsk { name, count }),
        );
    }
}
