//! The state machine of the launcher; the module above says what it is for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::LauncherReport;

use super::asks::AskTable;
use super::budget::{self, Budget};
use super::classify::{self, Context};
use super::containers::Containers;
use super::nodes::{NodeName, Nodes, Strike};
use super::record::{Phase, Record};
use super::{Completion, Effect, Event, Grant, Rules, StartFailure};

/// The allocation request id of executors' asks. Never 0 and never absent, so that grants can be told apart.
pub const EXECUTORS: i64 = 1;

/// The shell answers a start long before this; a guard against a lost answer.
const START_DEADLINE: Duration = Duration::from_secs(180);
/// A node to which a younger grant has expired has a wrong clock, and will say so of the next one, too. YARN's grants
/// last ten minutes (`yarn.resourcemanager.rm.container-allocation.expiry-interval-ms`).
const YOUNG: Duration = Duration::from_secs(30);
/// How long the executor of a container that was handed over may take to find us.
pub const ADOPTION: Duration = Duration::from_secs(30);
/// The same for one that was not: its end is reported with the ResourceManager's next answer, or its executor finds us
/// before a ResourceManager that was itself replaced finds its node.
const MISSING: Duration = Duration::from_secs(5);
/// After this long without confirmation a release is repeated, and given up after [`RELEASES`] repetitions.
pub(super) const RELEASE_AGAIN: Duration = Duration::from_secs(20);
pub(super) const RELEASES: u32 = 15;
/// The most that is kept of YARN's words on a container's end, in bytes.
const DIAGNOSTICS: usize = 3000;
/// Ended containers that are remembered for pages.
const HISTORY: usize = 200;

/// Containers counted over the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Granted by the ResourceManager.
    pub granted: u64,
    /// Granted above the target and given back at once.
    pub surplus: u64,
    /// Lost for a reason that counts.
    pub failures: u64,
}

/// The launcher core.
#[derive(Debug)]
pub struct Launcher {
    pub(super) rules: Rules,
    pub(super) target: u32,
    /// The fewest executors that something which waits could begin with.
    pub(super) needed: u32,
    /// Since when no more than fewer could be had.
    pub(super) cramped_since: Option<Duration>,
    /// How many tasks would like to run on each host.
    pub(super) wishes: BTreeMap<String, u32>,
    pub(super) records: Containers,
    pub(super) history: VecDeque<Record>,
    pub(super) asks: AskTable,
    pub(super) asked_at: VecDeque<Duration>,
    pub(super) deferred: Vec<Duration>,
    pub(super) reshape_at: Option<Duration>,
    pub(super) nodes: Nodes,
    /// Nodes on which the driver wants no new executors, by name.
    pub(super) unwanted: BTreeSet<String>,
    pub(super) budget: Budget,
    pub(super) verdict: Option<String>,
    pub(super) ending: bool,
    /// What earlier attempts left is not known yet.
    pub(super) awaits_handover: bool,
    pub(super) max_memory_mib: Option<u64>,
    pub(super) headroom_mib: Option<u64>,
    pub(super) totals: Totals,
}

impl Launcher {
    /// A launcher that wants nothing yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            target: 0,
            needed: 0,
            cramped_since: None,
            wishes: BTreeMap::new(),
            records: Containers::default(),
            history: VecDeque::new(),
            asks: AskTable::default(),
            asked_at: VecDeque::new(),
            deferred: Vec::new(),
            reshape_at: None,
            nodes: Nodes::new(rules.memory_mib, rules.backoff),
            unwanted: BTreeSet::new(),
            budget: Budget::new(rules.failures_validity),
            verdict: None,
            ending: false,
            awaits_handover: false,
            max_memory_mib: None,
            headroom_mib: None,
            totals: Totals::default(),
            rules,
        }
    }

    /// A launcher that follows one of an earlier attempt: it neither asks nor gives anything up before
    /// [`Event::ContainersHandedOver`].
    #[must_use]
    pub fn following(rules: Rules) -> Self {
        Self {
            awaits_handover: true,
            ..Self::new(rules)
        }
    }

    /// Takes an event at time `now` and says what is to be done.
    pub fn handle(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::TargetSet(target) => {
                self.target = target.executors;
                self.needed = target.needed;
                self.wishes = target.hosts;
                self.unwanted = target.avoid;
                self.avoid_unwanted(effects);
            }
            Event::StopRequested { executor, loss } => self.stop_requested(now, &executor, loss, effects),
            Event::RmRegistered { max_memory_mib } => self.rm_registered(max_memory_mib, effects),
            Event::ContainersHandedOver { running, remembered } => {
                if std::mem::take(&mut self.awaits_handover) {
                    // What an earlier attempt avoided is kept by the ResourceManager (`AppSchedulingInfo`).
                    permit(self.nodes.open(), effects);
                }
                self.adopt(now, running, ADOPTION, effects);
                self.adopt(now, remembered, MISSING, effects);
            }
            Event::ContainersGranted(grants) => {
                grants
                    .into_iter()
                    .for_each(|grant| self.granted(now, grant, effects));
            }
            Event::ContainerCompleted(completion) => self.completed(now, &completion, effects),
            Event::PreemptionNoticed { strict, negotiable } => {
                self.preemption_noticed(now, &strict, &negotiable, effects);
            }
            Event::NodeUpdated(facts) => self.node_updated(now, facts, effects),
            Event::AskRefused { message } => self.ask_refused(&message, effects),
            Event::HeadroomChanged { memory_mib } => self.headroom_mib = Some(memory_mib),
            Event::StartAccepted { executor } => self.start_accepted(now, &executor),
            Event::StartFailed {
                executor,
                failure,
                message,
            } => {
                self.start_failed(now, &executor, failure, &message, effects);
            }
            Event::ContainerQueried { executor, localizing } => {
                self.queried(now, &executor, localizing, effects);
            }
            Event::ExecutorRegistered { executor } => self.executor_registered(now, &executor),
            Event::Ending => self.ending = true,
            Event::Resynced { dropped } => self.resynced(now, &dropped, effects),
            Event::DeadlineReached => {}
        }
        self.expire(now, effects);
        self.look_for_room(now, effects);
        self.balance(now, effects);
    }

    /// The time at which [`Event::DeadlineReached`] is due, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.records.next_deadline(),
            self.reshape_at,
            self.cramped_until(),
            self.nodes.next_deadline(),
        ];
        let deadlines = deadlines.into_iter().flatten();
        deadlines.chain(self.deferred.iter().copied()).min()
    }

    /// The record of a container that has not ended.
    #[must_use]
    pub fn record(&self, executor: &ExecutorId) -> Option<&Record> {
        self.records.get(executor)
    }

    // Events.

    fn rm_registered(&mut self, max_memory_mib: u64, effects: &mut Vec<Effect>) {
        self.max_memory_mib = Some(max_memory_mib);
        let wanted = self.rules.memory_mib;
        if max_memory_mib > 0 && wanted > max_memory_mib {
            let text = format!(
                "an executor of {wanted} MiB is larger than the largest container of this cluster, \
                 {max_memory_mib} MiB: lower executors.memory"
            );
            self.give_up(text, effects);
        }
    }

    fn ask_refused(&mut self, message: &str, effects: &mut Vec<Effect>) {
        self.give_up(
            format!("the ResourceManager refused the request for executors: {message}"),
            effects,
        );
    }

    fn granted(&mut self, now: Duration, grant: Grant, effects: &mut Vec<Effect>) {
        if self.records.contains(&grant.executor) {
            return;
        }
        self.totals.granted += 1;
        let asked_for = grant.allocation_request_id == EXECUTORS;
        let asked_for = asked_for && self.asks.take_grant(&grant.node, self.nodes.rack(&grant.node));
        let asked = asked_for
            .then(|| self.asked_at.pop_front())
            .flatten()
            .unwrap_or(now);
        if !asked_for || self.ending || self.held() >= self.wanted() {
            self.totals.surplus += 1;
            effects.push(Effect::ReleaseContainer {
                executor: grant.executor,
            });
            return;
        }
        self.nodes.placed(&grant.node);
        effects.push(Effect::StartContainer {
            executor: grant.executor.clone(),
        });
        let record = Record::granted(now, grant, asked, now + START_DEADLINE);
        self.records.insert(record);
    }

    fn adopt(&mut self, now: Duration, grants: Vec<Grant>, patience: Duration, effects: &mut Vec<Effect>) {
        for grant in grants {
            let known = self.remembered(&grant.executor).map(|record| record.phase);
            match known {
                Some(Phase::Gone(_)) => {}
                Some(_) => continue,
                None if self.ending || self.verdict.is_some() => {}
                None => {
                    self.nodes.placed(&grant.node);
                    let record = Record::adopted(now, grant, now + patience);
                    self.records.insert(record);
                    continue;
                }
            }
            let executor = grant.executor;
            effects.push(Effect::ReleaseContainer { executor });
        }
    }

    fn start_accepted(&mut self, now: Duration, executor: &ExecutorId) {
        let deadline = now + self.rules.register_timeout;
        if self.is_in(executor, Phase::StartSent) {
            self.records
                .change(executor, |record| record.started(now, deadline));
        }
    }

    fn start_failed(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        failure: StartFailure,
        message: &str,
        effects: &mut Vec<Effect>,
    ) {
        let Some(record) = self.records.get(executor) else {
            return;
        };
        if record.phase != Phase::StartSent {
            return;
        }
        let nodes_fault = match failure {
            StartFailure::Node => true,
            StartFailure::Expired => now < record.times.granted + YOUNG,
            StartFailure::Stale => false,
        };
        let loss = if nodes_fault {
            ExecutorLoss::StartFailed
        } else {
            ExecutorLoss::Released
        };
        let age = now.saturating_sub(record.times.granted);
        let detail = if nodes_fault && failure == StartFailure::Expired {
            format!("the node's clock is ahead, a grant of {age:.1?} ago has expired to it: {message}")
        } else {
            message.to_owned()
        };
        self.stop(now, executor, loss, &detail, effects);
        if !nodes_fault {
            // The ResourceManager has forgotten it and will never report its end.
            self.forget(now, executor, loss, "");
        }
    }

    fn executor_registered(&mut self, now: Duration, executor: &ExecutorId) {
        if self.is_live(executor) {
            self.records.change(executor, |record| record.registered(now));
        }
    }

    fn stop_requested(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        loss: ExecutorLoss,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_live(executor) {
            self.stop(now, executor, loss, "", effects);
        }
    }

    fn completed(&mut self, now: Duration, completion: &Completion, effects: &mut Vec<Effect>) {
        let noted = self.records.change(&completion.executor, |record| {
            record.exit_status = Some(completion.exit_status);
            record.diagnostics = last_of(&completion.diagnostics, DIAGNOSTICS).to_owned();
            (record.phase, record.node.clone())
        });
        let Some((phase, node)) = noted else {
            return;
        };
        let detail = classify::gist(&completion.diagnostics);
        if let Phase::Stopping(loss) = phase {
            self.forget(now, &completion.executor, loss, &detail);
            return;
        }
        let context = Context {
            registered: matches!(phase, Phase::Registered | Phase::Adopted),
            node_decommissioned: self.nodes.is_leaving(&node),
        };
        let loss = classify::classify(completion, context);
        self.nodes.vacated(&node);
        self.book(now, &completion.executor, loss, &detail, effects);
        self.forget(now, &completion.executor, loss, &detail);
    }

    /// What was granted and not started is void at the restarted ResourceManager, which will never report its end.
    /// The session asked for it again by itself, so the whole table is set anew.
    fn resynced(&mut self, now: Duration, dropped: &[ExecutorId], effects: &mut Vec<Effect>) {
        for executor in dropped {
            if self.is_in(executor, Phase::StartSent) {
                self.stop(
                    now,
                    executor,
                    ExecutorLoss::Released,
                    "the ResourceManager restarted",
                    effects,
                );
                self.forget(now, executor, ExecutorLoss::Released, "");
            }
        }
        let all = self.asks.iter().map(|(name, count)| Effect::SetAsk {
            name: name.to_owned(),
            count,
        });
        effects.extend(all);
    }

    // One way out for every container.

    /// Ends a live container, books the loss and waits for YARN's word.
    pub(super) fn stop(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        loss: ExecutorLoss,
        detail: &str,
        effects: &mut Vec<Effect>,
    ) {
        let deadline = now + RELEASE_AGAIN;
        let stopped = self.records.change(executor, |record| {
            let phase = record.phase;
            record.stopping(now, loss, detail, deadline);
            (phase, record.node.clone())
        });
        let Some((phase, node)) = stopped else {
            return;
        };
        if phase != Phase::StartSent {
            effects.push(Effect::StopContainer {
                executor: executor.clone(),
            });
        }
        effects.push(Effect::ReleaseContainer {
            executor: executor.clone(),
        });
        self.nodes.vacated(&node);
        self.book(now, executor, loss, detail, effects);
    }

    /// Tells the driver, and counts the loss where it counts.
    fn book(
        &mut self,
        now: Duration,
        executor: &ExecutorId,
        loss: ExecutorLoss,
        detail: &str,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Report(LauncherReport::ExecutorGone {
            executor: executor.clone(),
            loss,
            detail: detail.to_owned(),
        }));
        let node = self.records.get(executor).map(|record| record.node.clone());
        let Some(node) = node.filter(|_| !self.ending && is_nodes_doing(loss)) else {
            return;
        };
        self.strike(now, &node, strike_of(loss), effects);
        if loss.counts_for_budget() {
            self.count(now, &node, loss, detail, effects);
        }
    }

    /// Keeps new containers off the nodes that the driver avoids.
    pub(super) fn avoid_unwanted(&mut self, effects: &mut Vec<Effect>) {
        let (additions, removals) = self.nodes.avoid(&self.unwanted);
        if !additions.is_empty() || !removals.is_empty() {
            effects.push(Effect::UpdateBlacklist { additions, removals });
        }
    }

    fn strike(&mut self, now: Duration, node: &NodeName, strike: Strike, effects: &mut Vec<Effect>) {
        let consequence = self.nodes.lost(now, node, strike);
        if consequence.delay > Duration::ZERO {
            self.deferred.push(now + consequence.delay);
        }
        if consequence.excluded {
            effects.push(Effect::UpdateBlacklist {
                additions: vec![node.clone()],
                removals: vec![],
            });
        }
    }

    fn count(
        &mut self,
        now: Duration,
        node: &NodeName,
        loss: ExecutorLoss,
        detail: &str,
        effects: &mut Vec<Effect>,
    ) {
        self.totals.failures += 1;
        let (used, limit) = (self.budget.book(now), self.failure_limit());
        if used >= limit {
            let detail = if detail.is_empty() {
                String::new()
            } else {
                format!(": {detail}")
            };
            let text = format!(
                "executors keep failing: {loss} on {node}{detail} ({used} failures, executor.max-failures is {limit})"
            );
            self.give_up(text, effects);
        }
    }

    fn give_up(&mut self, text: String, effects: &mut Vec<Effect>) {
        if self.verdict.is_none() && !self.ending {
            self.verdict = Some(text.clone());
            effects.push(Effect::Report(LauncherReport::Hopeless(text)));
        }
    }

    /// Moves a container out of the table.
    pub(super) fn forget(&mut self, now: Duration, executor: &ExecutorId, loss: ExecutorLoss, detail: &str) {
        if let Some(mut record) = self.records.remove(executor) {
            record.gone(now, loss, detail.to_owned());
            self.history.push_back(record);
        }
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// How many executors are wanted, all considered.
    pub(super) fn wanted(&self) -> u32 {
        if self.ending || self.verdict.is_some() {
            0
        } else {
            self.target
        }
    }

    /// Containers that run or will.
    pub(super) fn held(&self) -> u32 {
        self.records.live()
    }

    pub(super) fn failure_limit(&self) -> u32 {
        budget::limit(self.rules.max_failures, self.target)
    }

    fn is_in(&self, executor: &ExecutorId, phase: Phase) -> bool {
        self.records
            .get(executor)
            .is_some_and(|record| record.phase == phase)
    }

    /// Whether a container is held.
    pub(super) fn is_live(&self, executor: &ExecutorId) -> bool {
        let record = self.records.get(executor);
        record.is_some_and(|record| record.phase.is_live())
    }
}

/// Containers may be granted on these nodes again.
pub(super) fn permit(removals: Vec<NodeName>, effects: &mut Vec<Effect>) {
    if !removals.is_empty() {
        effects.push(Effect::UpdateBlacklist {
            additions: Vec::new(),
            removals,
        });
    }
}

fn strike_of(loss: ExecutorLoss) -> Strike {
    match loss {
        ExecutorLoss::Silent => Strike::Out,
        loss if loss.counts_for_budget() => Strike::One,
        _ => Strike::None,
    }
}

/// The last bytes of a text, cut between characters.
fn last_of(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

/// Whether a loss says something about its node, so that a replacement may wait: not when we or the scheduler
/// wanted it, and not when the node is gone, because then it is elsewhere.
fn is_nodes_doing(loss: ExecutorLoss) -> bool {
    !matches!(
        loss,
        ExecutorLoss::Released
            | ExecutorLoss::KilledByUs
            | ExecutorLoss::Preempted
            | ExecutorLoss::Decommissioned
            | ExecutorLoss::NodeLost
            | ExecutorLoss::ApplicationEnded
    )
}

#[cfg(test)]
#[path = "core_tests.rs"]
pub(crate) mod tests;
