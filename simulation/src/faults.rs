//! What goes wrong: the scenarios of the reliability list, drawn at random from a budget.

use std::collections::BTreeSet;
use std::time::Duration;

use driver::event::Event as DriverEvent;
use hadoop::ids::ContainerId;
use wire::id::ExecutorId;
use yarn_rpc::proto::yarn::NodeStateProto;

use crate::executor::{Moment, Process};
use crate::world::{Happening, World, container_of};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// An executor ends of a signal, of its memory, or because YARN says so.
    KillExecutor {
        status: i32,
    },
    /// An executor stands still.
    Freeze,
    /// Nothing gets through to an executor or from it.
    Cut,
    /// The process of an executor begins anew in its container.
    Reboot,
    /// A connection breaks.
    BreakConnection,
    /// A node loses its power.
    PowerOff,
    /// A NodeManager is out of touch; its containers run on.
    NodeSilent,
    /// A node is taken out of service.
    Decommission,
    /// YARN wants a container for somebody else.
    Preempt,
    RestartRm,
    RmOutage,
    LoseRequest,
    LoseAnswer,
    RollToken,
    Surplus,
    RefuseStarts,
    LieAboutStart,
    NeverRegister,
    SlowFiles,
    ExitAtOnce,
    LoseStop,
    /// A connection breaks as an attempt is to be ended.
    LoseCancel,
    FailTasks,
    BadNode,
    Repeat,
    StallAm,
    FailPlanning,
    FailCommit,
    KillJob,
    Kill,
}

/// The common ones, each as often as it stands here, then the rare.
const COMMON: &[Mischief] = &[
    Mischief::KillExecutor { status: 137 },
    Mischief::KillExecutor { status: 137 },
    Mischief::KillExecutor { status: -104 },
    Mischief::KillExecutor { status: -106 },
    Mischief::Freeze,
    Mischief::Freeze,
    Mischief::Cut,
    Mischief::Cut,
    Mischief::Reboot,
    Mischief::BreakConnection,
    Mischief::BreakConnection,
    Mischief::PowerOff,
    Mischief::NodeSilent,
    Mischief::Decommission,
    Mischief::Preempt,
    Mischief::Preempt,
    Mischief::RestartRm,
    Mischief::RestartRm,
    Mischief::RmOutage,
    Mischief::LoseRequest,
    Mischief::LoseAnswer,
    Mischief::LoseAnswer,
    Mischief::RollToken,
    Mischief::Surplus,
    Mischief::RefuseStarts,
    Mischief::LieAboutStart,
    Mischief::NeverRegister,
    Mischief::SlowFiles,
    Mischief::ExitAtOnce,
    Mischief::LoseStop,
    Mischief::LoseCancel,
    Mischief::FailTasks,
    Mischief::FailTasks,
    Mischief::BadNode,
    Mischief::Repeat,
    Mischief::Repeat,
    Mischief::StallAm,
];
const RARE: &[Mischief] = &[
    Mischief::FailPlanning,
    Mischief::FailCommit,
    Mischief::KillJob,
    Mischief::Kill,
];

/// What will go wrong at the next occasion.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) lose_request: bool,
    pub(crate) lose_answer: bool,
    pub(crate) lose_stop: bool,
    pub(crate) lose_cancel: bool,
    pub(crate) fail_planning: bool,
    pub(crate) fail_commit: bool,
    /// Connections that broke and whose executors have not noticed.
    pub(crate) broken: BTreeSet<u64>,
    refuse_starts: u32,
    lie_about_starts: u32,
    silent_starts: u32,
    slow_files: u32,
    short_lives: u32,
    failing_tasks: u32,
    failing_there: u32,
}

/// Takes one of a number that is left.
fn take(left: &mut u32) -> bool {
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

impl Pending {
    pub(crate) fn refuse_start(&mut self) -> bool {
        take(&mut self.refuse_starts)
    }

    pub(crate) fn lie_about_start(&mut self) -> bool {
        take(&mut self.lie_about_starts)
    }

    pub(crate) fn stay_silent(&mut self) -> bool {
        take(&mut self.silent_starts)
    }

    pub(crate) fn slow_files(&mut self) -> bool {
        take(&mut self.slow_files)
    }

    pub(crate) fn exit_at_once(&mut self) -> bool {
        take(&mut self.short_lives)
    }

    pub(crate) fn fail_task(&mut self) -> bool {
        take(&mut self.failing_tasks)
    }

    pub(crate) fn fail_there(&mut self) -> bool {
        take(&mut self.failing_there)
    }
}

impl World {
    /// Decides when what goes wrong.
    pub(crate) fn plan_mischief(&mut self) {
        let window = if self.dice.percent(50) { 20 } else { 240 };
        for _ in 0..self.scenario.faults {
            let kinds = if self.dice.percent(2) { RARE } else { COMMON };
            let Some(&mischief) = self.dice.pick(kinds) else {
                continue;
            };
            let at = self.dice.seconds(0, window);
            self.agenda.add(at, Happening::Mischief(mischief));
        }
        for _ in 0..self.scenario.taken {
            let at = self.dice.seconds(5, 1200);
            self.agenda.add(at, Happening::Mischief(Mischief::Preempt));
        }
    }

    pub(crate) fn make_mischief(&mut self, mischief: Mischief) {
        match mischief {
            Mischief::KillExecutor { status } => self.kill_executor(status),
            Mischief::Freeze => self.freeze(),
            Mischief::Cut => self.cut(),
            Mischief::Reboot => self.reboot(),
            Mischief::BreakConnection => {
                if let Some(executor) = self.some_process() {
                    self.break_connection(&executor);
                }
            }
            Mischief::PowerOff | Mischief::NodeSilent | Mischief::Decommission => self.lose_node(mischief),
            Mischief::Preempt => self.preempt(),
            Mischief::RestartRm => {
                let down = self.dice.seconds(0, 60);
                self.yarn.restart(self.now, down);
                self.pending.lose_answer = false;
            }
            Mischief::RmOutage => self.yarn.down_until = self.now + self.dice.seconds(1, 200),
            Mischief::LoseRequest => self.pending.lose_request = true,
            Mischief::LoseAnswer => self.pending.lose_answer = true,
            Mischief::RollToken => self.yarn.roll_token(),
            Mischief::Surplus => {
                let node = self.some_node();
                self.yarn.grant_surplus(node);
            }
            Mischief::RefuseStarts => self.pending.refuse_starts += self.dice.between(1, 3),
            Mischief::LieAboutStart => self.pending.lie_about_starts += 1,
            Mischief::NeverRegister => self.pending.silent_starts += 1,
            Mischief::SlowFiles => self.pending.slow_files += 1,
            Mischief::ExitAtOnce => self.pending.short_lives += self.dice.between(1, 3),
            Mischief::LoseStop => self.pending.lose_stop = true,
            Mischief::LoseCancel => self.pending.lose_cancel = true,
            Mischief::FailTasks => self.pending.failing_tasks += self.dice.between(1, 4),
            Mischief::BadNode => {
                let node = self.some_node();
                self.nodes[node].bad = true;
                self.pending.failing_there += self.dice.between(3, 12);
            }
            Mischief::Repeat => self.repeat(),
            Mischief::StallAm => self.now += self.dice.millis(100, 30_000),
            Mischief::FailPlanning => self.pending.fail_planning = true,
            Mischief::FailCommit => self.pending.fail_commit = true,
            Mischief::KillJob => self.kill_job(),
            Mischief::Kill => self.tell_driver(DriverEvent::KillRequested {
                by: "the dice".to_owned(),
            }),
        }
    }

    fn some_process(&mut self) -> Option<ExecutorId> {
        let all: Vec<_> = self.processes.keys().cloned().collect();
        self.dice.pick(&all).cloned()
    }

    fn some_node(&mut self) -> usize {
        let count = u32::try_from(self.nodes.len()).unwrap_or(1);
        self.dice.below(count) as usize
    }

    fn kill_executor(&mut self, status: i32) {
        let Some(executor) = self.some_process() else {
            return;
        };
        if status < -105 {
            if let Some(id) = container_of(&executor) {
                self.yarn.kill(id, status, "killed by the ResourceManager");
            }
        } else {
            self.end_container(&executor, status, "", false);
        }
    }

    fn freeze(&mut self) {
        let time = self.dice.seconds(1, 200);
        let until = self.now + time;
        if let Some(executor) = self.some_process()
            && let Some(process) = self.processes.get_mut(&executor)
        {
            process.frozen_until = until;
        }
    }

    fn cut(&mut self) {
        let time = self.dice.seconds(1, 200);
        let until = self.now + time;
        if let Some(executor) = self.some_process()
            && let Some(process) = self.processes.get_mut(&executor)
        {
            process.cut_until = until;
            self.agenda.add(until, Happening::Healed(executor));
        }
    }

    /// The gateway of one process would not let the new life in before the old is given up; one that has followed
    /// another does not know the old.
    fn reboot(&mut self) {
        let boot = self.dice.number();
        if let Some(executor) = self.some_process()
            && let Some(process) = self.processes.get_mut(&executor)
        {
            *process = Process::new(process.node, boot);
            self.close_links(&executor);
            let moment = Moment::Dial;
            self.soon(10, 3000, Happening::Process { executor, moment });
        }
    }

    fn lose_node(&mut self, how: Mischief) {
        let node = self.some_node();
        if self.nodes[node].down {
            return;
        }
        let (back, noticed) = (self.dice.seconds(20, 900), self.dice.seconds(5, 600));
        let state = if how == Mischief::Decommission {
            self.yarn.node_leaves(node);
            NodeStateProto::NsDecommissioned
        } else {
            NodeStateProto::NsLost
        };
        self.nodes[node].down = true;
        if how == Mischief::PowerOff {
            self.power_off(node);
        }
        let now: Duration = self.now;
        self.agenda
            .add(now + noticed, Happening::NodeNoticed(node, state));
        self.agenda.add(now + back, Happening::NodeReturns(node));
    }

    /// Nobody is left there to close connections or to report ends.
    fn power_off(&mut self, node: usize) {
        for id in self.nodes[node].containers.clone() {
            if let Some(executor) = crate::world::executor_of(id) {
                self.end_container(&executor, 0, "", true);
            }
        }
        self.nodes[node].ended.clear();
    }

    fn preempt(&mut self) {
        let running = self.yarn.running();
        let Some(&id) = self.dice.pick(&running) else {
            return;
        };
        if self.dice.percent(50) {
            self.yarn.preempt_soon(id);
            self.soon(1000, 30_000, Happening::Preempted(id));
        } else {
            self.preempted(id);
        }
    }

    pub(crate) fn preempted(&mut self, id: ContainerId) {
        self.yarn.kill(id, -102, "Container preempted by scheduler");
    }

    fn repeat(&mut self) {
        let past: Vec<_> = self.past.iter().cloned().collect();
        if let Some(event) = self.dice.pick(&past).cloned() {
            self.tell_driver(event);
        }
    }

    fn kill_job(&mut self) {
        let jobs = u32::try_from(self.scenario.plan.scheduling.jobs.len())
            .unwrap_or(1)
            .max(1);
        let job = self.dice.below(jobs);
        self.tell_driver(DriverEvent::JobKillRequested {
            job,
            by: "the dice".to_owned(),
        });
    }
}
