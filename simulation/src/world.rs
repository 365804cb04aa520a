//! Everything at once: virtual time, nodes, network, and the cores between them.
//!
//! The state of the run and its loop are here; what the ApplicationMaster's shell does is in `shell`, what happens
//! inside executors in `process`, and what goes wrong in `faults`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use driver::core::Driver;
use driver::event::{Event as DriverEvent, Verdict};
use hadoop::ids::ContainerId;
use launcher::core::Launcher;
use launcher::{Event as LauncherEvent, Rules, StartFailure};
use wire::id::ExecutorId;
use wire::message::{ExecutorMessage, GatewayMessage};
use yarn_rpc::proto::yarn::NodeStateProto;
use yarn_rpc::records::Container;
use yarn_rpc::session::{
    GrantSeq, Identity, Pacing, SessionAnswer, SessionCall, SessionCommand, SessionEvent, SessionInput,
    SessionMachine,
};

use crate::agenda::Agenda;
use crate::audit::{Audit, Violation};
use crate::dice::Dice;
use crate::executor::{Moment, Process};
use crate::faults::{Mischief, Pending};
use crate::ghosts::Ghosts;
use crate::plans::Scenario;
use crate::yarn::{Yarn, broken};

/// Virtual time after which a run counts as hanging.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Steps after which it does.
const MOST_STEPS: u64 = 2_000_000;
/// Lines of the trace that are kept.
const TRACE: usize = 400;
/// How long ResourceManager and launcher may disagree about a registered executor: 60 s of silence until the driver
/// gives it up, and what a message takes. The contract's 60 s count from the moment somebody can know.
const AGREE: Duration = Duration::from_secs(90);
/// The same for one that has not registered, which the launcher waits for.
const AGREE_UNREGISTERED: Duration = Duration::from_secs(240);

/// Something that is going to happen outside the cores.
#[derive(Debug)]
pub(crate) enum Happening {
    NodeBeat(usize),
    CallArrives(SessionCall),
    AnswerArrives(SessionAnswer),
    SessionSays(SessionEvent),
    CommandArrives(SessionCommand),
    StartArrives {
        executor: ExecutorId,
        node: usize,
    },
    StartAnswered(LauncherEvent),
    StopArrives {
        executor: ExecutorId,
    },
    QueryArrives {
        executor: ExecutorId,
    },
    ProcessUp {
        executor: ExecutorId,
        node: usize,
    },
    Process {
        executor: ExecutorId,
        moment: Moment,
    },
    ProcessExits {
        executor: ExecutorId,
        status: i32,
    },
    ToGateway {
        executor: ExecutorId,
        connection: u64,
        message: ExecutorMessage,
    },
    Closed {
        executor: ExecutorId,
        connection: u64,
    },
    Tell(DriverEvent),
    Mischief(Mischief),
    NodeNoticed(usize, NodeStateProto),
    NodeReturns(usize),
    Healed(ExecutorId),
    Preempted(ContainerId),
    /// Somebody who was given up is heard.
    Haunt(ExecutorId),
}

impl Happening {
    /// Whether a trace is better with it: heartbeats that say nothing new are not.
    fn is_telling(&self) -> bool {
        match self {
            Self::NodeBeat(_) | Self::CallArrives(_) | Self::SessionSays(SessionEvent::RmContact { .. }) => {
                false
            }
            Self::AnswerArrives(answer) => matches!(answer, SessionAnswer::Failed(_)),
            Self::ToGateway { message, .. } => !matches!(message, ExecutorMessage::Heartbeat(_)),
            Self::Process { moment, .. } => match moment {
                Moment::Beat { .. } | Moment::GiveUp { .. } => false,
                Moment::Receive { message, .. } => !matches!(message, GatewayMessage::Acknowledge { .. }),
                _ => true,
            },
            _ => true,
        }
    }
}

/// A node of the cluster as it really is.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) down: bool,
    pub(crate) containers: BTreeSet<ContainerId>,
    /// Ends that its NodeManager has not reported.
    pub(crate) ended: Vec<(ContainerId, i32, String)>,
    /// Most tasks fail there.
    pub(crate) bad: bool,
}

/// Where the application is; see `am::app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    Leaving { until: Duration },
    Unregistering,
    Over,
}

/// The whole world of one run.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) now: Duration,
    pub(crate) agenda: Agenda<Happening>,
    pub(crate) scenario: Scenario,
    pub(crate) driver: Driver,
    pub(crate) launcher: Launcher,
    pub(crate) session: SessionMachine,
    pub(crate) yarn: Yarn,
    pub(crate) nodes: Vec<Node>,
    /// Containers whose files are being fetched.
    pub(crate) localizing: BTreeSet<ExecutorId>,
    pub(crate) processes: BTreeMap<ExecutorId, Process>,
    /// Links of the gateway: the connection of each executor.
    pub(crate) links: BTreeMap<ExecutorId, u64>,
    pub(crate) connections: u64,
    pub(crate) containers: BTreeMap<ExecutorId, Container>,
    pub(crate) granted_seq: GrantSeq,
    pub(crate) outbox: Vec<SessionCommand>,
    /// Nodes whose token arrived.
    pub(crate) tokens: BTreeSet<String>,
    /// When the last message of each stream arrives: streams keep their order.
    pub(crate) streams: BTreeMap<(Option<ExecutorId>, u8), Duration>,
    pub(crate) life: Life,
    pub(crate) audit: Audit,
    /// Results in place, by stage and partition.
    pub(crate) placed: BTreeSet<(u32, u32)>,
    /// Results that stay on executors, and all who said that they have them: in which life.
    pub(crate) kept: BTreeMap<(u32, u32), BTreeSet<(ExecutorId, u64)>>,
    pub(crate) pending: Pending,
    /// Events of the driver that may come again.
    pub(crate) past: VecDeque<DriverEvent>,
    pub(crate) ghosts: Ghosts,
    pub(crate) told_status: Option<&'static str>,
    pub(crate) steps: u64,
    pub(crate) trace: Option<VecDeque<String>>,
    pub(crate) digest: u64,
}

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> Self {
        let mut dice = Dice::new(seed);
        let scenario = Scenario::of(&mut dice);
        let hosts = scenario
            .nodes
            .iter()
            .map(|node| (node.host.clone(), node.rack.clone()));
        let rooms = scenario.nodes.iter().map(|node| node.room).collect();
        let identity = Identity {
            host: "am".to_owned(),
            rpc_port: None,
            tracking_url: None,
        };
        let mut world = Self {
            now: Duration::ZERO,
            agenda: Agenda::new(),
            driver: Driver::new(scenario.plan.clone()),
            launcher: Launcher::new(rules(&scenario)),
            session: SessionMachine::new(identity, Pacing::default()),
            yarn: Yarn::new(hosts.collect(), rooms, scenario.include_port),
            nodes: scenario.nodes.iter().map(|_| Node::default()).collect(),
            localizing: BTreeSet::new(),
            processes: BTreeMap::new(),
            links: BTreeMap::new(),
            connections: 0,
            containers: BTreeMap::new(),
            granted_seq: GrantSeq::default(),
            outbox: Vec::new(),
            tokens: BTreeSet::new(),
            streams: BTreeMap::new(),
            life: Life::Running,
            audit: Audit::default(),
            placed: BTreeSet::new(),
            kept: BTreeMap::new(),
            pending: Pending::default(),
            past: VecDeque::new(),
            ghosts: Ghosts::default(),
            told_status: None,
            steps: 0,
            trace: tracing.then(VecDeque::new),
            digest: 0xcbf2_9ce4_8422_2325,
            scenario,
            dice,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        if self.trace.is_some() {
            self.note(&format!("{:#?}", self.scenario));
        }
        for node in 0..self.nodes.len() {
            let at = self.dice.millis(0, 1000);
            self.agenda.add(at, Happening::NodeBeat(node));
        }
        self.plan_mischief();
        self.start();
    }

    /// Runs to the end, or to the first breach of an invariant.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while self.life != Life::Over {
            self.steps += 1;
            self.step();
            self.watch();
            if let Some(violation) = self.audit.violation.take() {
                return Err(violation);
            }
        }
        self.check_end();
        self.audit.violation.take().map_or(Ok(()), Err)
    }

    fn step(&mut self) {
        let timer = self.next_timer();
        let next = self.agenda.next_at();
        if timer.is_some_and(|at| next.is_none_or(|next| at <= next)) {
            self.now = self.now.max(timer.unwrap_or_default());
            self.fire_timers();
        } else if let Some((at, happening)) = self.agenda.pop() {
            self.now = self.now.max(at);
            self.happen(happening);
        } else {
            self.audit
                .complain('E', "nothing is awaited and no timer is set".to_owned());
        }
        self.flush();
    }

    fn watch(&mut self) {
        let hangs = self.now > LONGEST || self.steps > MOST_STEPS;
        if hangs {
            let text = format!("no verdict after {:?} and {} steps", self.now, self.steps);
            self.audit.complain('E', text);
        }
        let plan = &self.scenario.plan;
        self.audit.compare(&self.driver, &self.launcher, plan);
        if self.steps.is_multiple_of(16) {
            self.audit.compare_counts(&self.driver, plan);
            self.compare_containers();
        }
    }

    fn compare_containers(&mut self) {
        if !self.yarn.is_up(self.now) || self.life != Life::Running || self.driver.is_finished() {
            return self.audit.pause();
        }
        let told: BTreeSet<_> = self.yarn.told().filter_map(executor_of).collect();
        // Nobody can know of a container whose NodeManager is out of touch.
        let unknowable = self.nodes.iter().filter(|node| node.down);
        let unknowable = unknowable.flat_map(|node| &node.containers);
        let unknowable: BTreeSet<_> = unknowable.filter_map(|id| executor_of(*id)).collect();
        let patience = (AGREE, AGREE_UNREGISTERED);
        self.audit
            .compare_containers(self.now, (&told, &unknowable), &self.launcher, patience);
    }

    fn check_end(&mut self) {
        let verdict = self.audit.verdict.clone();
        let expected = match verdict {
            Some(Verdict::Succeeded) => Some("Succeeded"),
            Some(Verdict::Failed(_)) => Some("Failed"),
            Some(Verdict::Killed(_)) => Some("Killed"),
            None => None,
        };
        if self.told_status != expected || !self.yarn.is_unregistered() {
            let text = format!(
                "the verdict is {expected:?}, the ResourceManager was told {:?} and stored {:?}",
                self.told_status, self.yarn.final_status
            );
            self.audit.complain('H', text);
        }
        self.audit.check_verdict(&self.scenario.plan, &self.placed);
        if let Some((_, partition)) = self
            .scenario
            .deadly
            .filter(|_| self.scenario.blames_whom_it_should())
        {
            self.audit.check_blame(partition);
        }
        self.audit.compare_counts(&self.driver, &self.scenario.plan);
    }

    /// The state of things, for whoever has to find out why it is wrong.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{:#?}\n{:#?}\nwaiting for executors: {:?}\n{:?}",
            self.driver.snapshot(),
            self.launcher.counts(),
            self.launcher.why_pending(self.now),
            self.nodes
        )
    }

    /// A short name of how it ended.
    pub(crate) fn verdict(&self) -> &'static str {
        self.told_status.unwrap_or("none")
    }

    pub(crate) fn note(&mut self, line: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push_back(format!("{:>10.3} {line}", self.now.as_secs_f64()));
            if trace.len() > TRACE {
                trace.pop_front();
            }
        }
    }

    /// Effects are part of what must be the same in a second run.
    pub(crate) fn digest(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a message of a stream, after those before it.
    pub(crate) fn send(&mut self, stream: (Option<ExecutorId>, u8), latency: Duration, happening: Happening) {
        let last = self.streams.entry(stream).or_default();
        let at = (self.now + latency).max(*last);
        *last = at;
        self.agenda.add(at, happening);
    }

    pub(crate) fn soon(&mut self, low: u32, high: u32, happening: Happening) {
        let at = self.now + self.dice.millis(low, high);
        self.agenda.add(at, happening);
    }

    fn happen(&mut self, happening: Happening) {
        if self.trace.is_some() && happening.is_telling() {
            self.note(&format!("{happening:?}"));
        }
        match happening {
            Happening::NodeBeat(node) => self.node_beat(node),
            Happening::CallArrives(call) => self.call_arrives(&call),
            Happening::AnswerArrives(answer) => self.tell_session(SessionInput::Answer(answer)),
            Happening::SessionSays(event) => self.on_session(event),
            Happening::CommandArrives(command) => self.tell_session(SessionInput::Command(command)),
            Happening::StartArrives { executor, node } => self.start_arrives(executor, node),
            Happening::StartAnswered(event) => self.on_start_answered(event),
            Happening::StopArrives { executor } => self.stop_arrives(&executor),
            Happening::QueryArrives { executor } => self.query_arrives(executor),
            Happening::ProcessUp { executor, node } => self.process_up(executor, node),
            Happening::Process { executor, moment } => self.process_moment(&executor, moment),
            Happening::ProcessExits { executor, status } => {
                self.end_container(&executor, status, "", false);
            }
            Happening::ToGateway {
                executor,
                connection,
                message,
            } => {
                self.on_gateway(&executor, connection, message);
            }
            Happening::Closed { executor, connection } => self.on_closed(&executor, connection),
            Happening::Tell(event) => self.tell_driver(event),
            Happening::Mischief(mischief) => self.make_mischief(mischief),
            Happening::NodeNoticed(node, state) => self.node_noticed(node, state),
            Happening::NodeReturns(node) => self.nodes[node].down = false,
            Happening::Healed(executor) => self.healed(&executor),
            Happening::Preempted(id) => self.preempted(id),
            Happening::Haunt(executor) => self.haunt(&executor),
        }
    }

    // The cluster.

    fn node_beat(&mut self, node: usize) {
        if !self.nodes[node].down {
            self.obey_kills(node);
            if self.yarn.is_up(self.now) {
                let state = &mut self.nodes[node];
                let running: Vec<_> = state.containers.iter().copied().collect();
                let ended = std::mem::take(&mut state.ended);
                self.yarn
                    .node_beat(self.now, node, &running, ended, &mut self.dice);
            }
        }
        self.soon(300, 1000, Happening::NodeBeat(node));
    }

    /// Ends what the ResourceManager wants ended there.
    fn obey_kills(&mut self, node: usize) {
        let here = &self.nodes[node].containers;
        let due: Vec<_> = self
            .yarn
            .to_kill
            .iter()
            .copied()
            .filter(|id| here.contains(id))
            .collect();
        self.yarn.to_kill.retain(|id| !due.contains(id));
        for id in due {
            if let Some(executor) = executor_of(id) {
                self.end_container(&executor, 137, "", false);
            }
        }
    }

    fn node_noticed(&mut self, node: usize, state: NodeStateProto) {
        if self.nodes[node].down && self.yarn.is_up(self.now) {
            self.yarn.node_lost(node, state);
        }
    }

    fn call_arrives(&mut self, call: &SessionCall) {
        let lost = std::mem::take(&mut self.pending.lose_request);
        let answer = if lost || !self.yarn.is_up(self.now) {
            broken()
        } else {
            let answer = self.yarn.handle(self.now, call);
            if std::mem::take(&mut self.pending.lose_answer) {
                broken()
            } else {
                answer
            }
        };
        self.soon(1, 30, Happening::AnswerArrives(answer));
    }

    fn start_arrives(&mut self, executor: ExecutorId, node: usize) {
        let Some(id) = container_of(&executor) else { return };
        let failed = |failure, message: &str| LauncherEvent::StartFailed {
            executor: executor.clone(),
            failure,
            message: message.to_owned(),
        };
        if self.nodes[node].down {
            let event = failed(StartFailure::Node, "connection refused");
            return self.soon(100, 10_000, Happening::StartAnswered(event));
        }
        if !self.yarn.holds(&id) {
            let event = failed(StartFailure::Stale, "unknown container");
            return self.soon(1, 50, Happening::StartAnswered(event));
        }
        if self.pending.refuse_start() {
            let event = failed(StartFailure::Node, "refused");
            return self.soon(1, 50, Happening::StartAnswered(event));
        }
        self.nodes[node].containers.insert(id);
        let event = if self.pending.lie_about_start() {
            failed(StartFailure::Node, "no answer in time")
        } else {
            LauncherEvent::StartAccepted {
                executor: executor.clone(),
            }
        };
        self.soon(1, 300, Happening::StartAnswered(event));
        self.localizing.insert(executor.clone());
        let (low, high) = if self.pending.slow_files() {
            (60_000, 400_000)
        } else {
            (200, 4000)
        };
        self.soon(low, high, Happening::ProcessUp { executor, node });
    }

    fn process_up(&mut self, executor: ExecutorId, node: usize) {
        self.localizing.remove(&executor);
        let there = container_of(&executor).is_some_and(|id| self.nodes[node].containers.contains(&id));
        if !there || self.pending.stay_silent() {
            return;
        }
        if self.pending.exit_at_once() {
            return self.end_container(&executor, 127, "no such file", false);
        }
        let boot = self.dice.number();
        self.processes.insert(executor.clone(), Process::new(node, boot));
        self.soon(
            0,
            20,
            Happening::Process {
                executor,
                moment: Moment::Dial,
            },
        );
    }

    fn stop_arrives(&mut self, executor: &ExecutorId) {
        self.end_container(executor, 143, "Container killed by the ApplicationMaster.", false);
    }

    /// A container's processes end; silently when nobody is left to close connections.
    pub(crate) fn end_container(&mut self, executor: &ExecutorId, status: i32, text: &str, silently: bool) {
        let Some(id) = container_of(executor) else { return };
        let Some(node) = self.nodes.iter().position(|node| node.containers.contains(&id)) else {
            return;
        };
        let state = &mut self.nodes[node];
        state.containers.remove(&id);
        self.localizing.remove(executor);
        if !silently {
            state.ended.push((id, status, text.to_owned()));
        }
        if self.processes.remove(executor).is_some() && !silently {
            self.close_links(executor);
        }
    }

    /// The gateway learns that an executor's connection is closed.
    pub(crate) fn close_links(&mut self, executor: &ExecutorId) {
        if let Some(&connection) = self.links.get(executor) {
            let latency = self.dice.millis(0, 20);
            let executor = executor.clone();
            let closed = Happening::Closed {
                executor: executor.clone(),
                connection,
            };
            self.send((Some(executor), 0), latency, closed);
        }
    }
}

fn rules(scenario: &Scenario) -> Rules {
    let (executors, settings) = (&scenario.plan.executors, &scenario.plan.settings);
    Rules {
        memory_mib: executors.memory_mib,
        master_mib: 0,
        cores: executors.cores,
        name_nodes: true,
        register_timeout: settings.register_timeout,
        max_failures: settings.executor_max_failures,
        failures_validity: settings.executor_failures_validity,
        nodes_listed: true,
        room_patience: settings.room_patience,
        backoff: settings.relaunch_backoff,
    }
}

pub(crate) fn executor_of(id: ContainerId) -> Option<ExecutorId> {
    id.to_string().parse().ok()
}

pub(crate) fn container_of(executor: &ExecutorId) -> Option<ContainerId> {
    executor.as_str().parse().ok()
}
