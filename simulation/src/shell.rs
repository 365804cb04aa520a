//! What the ApplicationMaster's shell does between the cores (`am::app`), without sockets.

use std::collections::VecDeque;
use std::time::Duration;

use driver::event::{Effect, Event as DriverEvent, Registration, TaskInput, Verdict};
use hadoop::ids::{ContainerId, NodeId};
use launcher::core::EXECUTORS;
use launcher::nodes::{NodeFacts, NodeName, NodeState};
use launcher::{Completion, Effect as LauncherEffect, Event as LauncherEvent, Grant, StartFailure};
use wire::failure::ExecutorLoss;
use wire::id::{BootNonce, ExecutorId, StageKey};
use wire::launcher::LauncherReport;
use wire::message::{ExecutorMessage, GatewayMessage, Hello, Refusal, TaskReport, Welcome};
use yarn_rpc::records::{
    AllocationRequestId, Container, NodeReport, NodeState as YarnNodeState, Priority, Resource,
};
use yarn_rpc::session::{
    Ask, AskKey, FinalStatus, SessionCommand, SessionEffect, SessionEvent, SessionInput,
};

use crate::audit::speaker;
use crate::executor::Moment;
use crate::world::{Happening, Life, World, container_of, executor_of};

/// Reports that may come a second time.
const PAST: usize = 32;
/// How long executors may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

enum Step {
    Driver(DriverEvent),
    Launcher(LauncherEvent),
}

impl World {
    pub(crate) fn start(&mut self) {
        if self.dice.percent(70) {
            for node in self.scenario.nodes.clone() {
                let host = node_name(&node_id(&node.host), self.scenario.include_port).to_string();
                self.tell_driver(DriverEvent::RackLearned {
                    host,
                    rack: node.rack.clone(),
                });
                let facts = NodeFacts {
                    name: node_name(&node_id(&node.host), self.scenario.include_port),
                    rack: Some(node.rack),
                    state: NodeState::Usable,
                    free_mib: Some(u64::from(node.room) * 1024),
                    total_mib: Some(u64::from(node.room) * 1024),
                };
                self.process(Step::Launcher(LauncherEvent::NodeUpdated(facts)));
            }
        }
        self.process(Step::Driver(DriverEvent::Started));
        self.flush();
    }

    pub(crate) fn next_timer(&self) -> Option<Duration> {
        let leaving = match &self.life {
            Life::Leaving { until } => Some(*until),
            Life::Running | Life::Unregistering | Life::Over => None,
        };
        let cores = [
            self.driver.next_deadline(),
            self.launcher.next_deadline(),
            self.session.next_deadline(),
            leaving,
        ];
        cores.into_iter().flatten().min()
    }

    pub(crate) fn fire_timers(&mut self) {
        if self.session.next_deadline().is_some_and(|at| at <= self.now) {
            self.tell_session(SessionInput::Timer);
        }
        self.process(Step::Launcher(LauncherEvent::DeadlineReached));
        self.process(Step::Driver(DriverEvent::DeadlineReached));
        self.forget_ended_containers();
        self.check_timers();
        if matches!(&self.life, Life::Leaving { until } if self.now >= *until || self.links.is_empty()) {
            self.unregister();
        }
    }

    /// A deadline that was reached lies in the future, or is none.
    fn check_timers(&mut self) {
        let timers = [
            ("driver", self.driver.next_deadline()),
            ("launcher", self.launcher.next_deadline()),
            ("session", self.session.next_deadline()),
        ];
        let stuck = |at: &Option<Duration>| at.is_some_and(|at| at <= self.now);
        if let Some((core, at)) = timers.into_iter().find(|(_, at)| stuck(at)) {
            let text = format!("the {core} keeps its deadline {at:?} at {:?}", self.now);
            self.audit.complain('E', text);
        }
    }

    pub(crate) fn flush(&mut self) {
        for command in std::mem::take(&mut self.outbox) {
            let latency = self.dice.millis(0, 3);
            self.send((None, 1), latency, Happening::CommandArrives(command));
        }
    }

    pub(crate) fn tell_driver(&mut self, event: DriverEvent) {
        self.process(Step::Driver(event));
    }

    fn process(&mut self, first: Step) {
        let mut steps = VecDeque::from([first]);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Driver(event) => self.drive(&event, &mut steps),
                Step::Launcher(event) => {
                    self.audit.hear_launcher(&event);
                    let mut effects = Vec::new();
                    self.launcher.handle(self.now, event, &mut effects);
                    effects
                        .into_iter()
                        .for_each(|effect| self.launch(effect, &mut steps));
                }
            }
        }
    }

    fn drive(&mut self, event: &DriverEvent, steps: &mut VecDeque<Step>) {
        if self.audit.is_from_beyond(event) {
            // What is due by now is no work of this event.
            self.drive(&DriverEvent::DeadlineReached, steps);
        }
        self.audit.hear(self.now, event, &self.scenario.plan);
        self.remember(event);
        self.ghosts.meet(event);
        let before = self.audit.before(event, &self.driver, &self.scenario.plan);
        let mut effects = Vec::new();
        self.driver.handle(self.now, event.clone(), &mut effects);
        if let Some(before) = before {
            let plan = &self.scenario.plan;
            self.audit.after(&before, &self.driver, &effects, plan);
        }
        self.audit.check_strangers(event, &effects);
        self.audit.see_gangs(&effects, &self.scenario.plan);
        for effect in effects {
            let plan = &self.scenario.plan;
            self.audit.see_release(&effect, &self.driver, plan);
            self.audit.see(self.now, &effect, plan);
            if self.trace.is_some() {
                let text = format!("{effect:?}");
                self.digest(&text);
                self.note(&format!("  driver: {text}"));
            }
            self.ghosts.give(&effect);
            self.perform(effect, steps);
        }
    }

    /// Keeps what the network may deliver twice.
    fn remember(&mut self, event: &DriverEvent) {
        match event {
            DriverEvent::TaskFinished { executor, report } => {
                if report.outcome.is_ok() && !self.audit.is_from_beyond(event) {
                    let partition = (report.id.stage.stage, report.id.partition);
                    let boot = self.ghosts.boot(executor);
                    let holders = self.kept.entry(partition).or_default();
                    holders.insert((executor.clone(), boot));
                }
            }
            DriverEvent::ExecutorRegistered(registration) => {
                // What another life said would be taken for words of this one.
                let executor = &registration.executor;
                return self.past.retain(|event| speaker(event) != Some(executor));
            }
            DriverEvent::TaskStarted { .. }
            | DriverEvent::ExecutorLost { .. }
            | DriverEvent::StagePlanned { .. }
            | DriverEvent::StageCommitted { .. } => {}
            _ => return,
        }
        self.past.push_back(event.clone());
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    fn perform(&mut self, effect: Effect, steps: &mut VecDeque<Step>) {
        match effect {
            Effect::PlanStage { stage } => self.plan_stage(stage),
            Effect::CommitStage { stage } => self.commit_stage(stage),
            // No journal is kept: there is one attempt of the ApplicationMaster.
            Effect::AbandonStage { .. } | Effect::KeepResult { .. } | Effect::Record(_) => {}
            Effect::Launch {
                executor,
                stages,
                tasks,
            } => {
                self.tell(&executor, GatewayMessage::Launch { stages, tasks });
            }
            Effect::Cancel { executor, .. } if std::mem::take(&mut self.pending.lose_cancel) => {
                self.break_connection(&executor);
            }
            Effect::Cancel { executor, id, reason } => {
                let grace = self.scenario.plan.settings.kill_grace;
                self.tell(&executor, GatewayMessage::Cancel { id, reason, grace });
            }
            Effect::Recall { executor, ids } => self.tell(&executor, GatewayMessage::Recall { ids }),
            Effect::DecideCommit {
                executor,
                id,
                granted,
            } => {
                self.tell(&executor, GatewayMessage::CommitDecision { id, granted });
            }
            Effect::SetTarget(target) => steps.push_back(Step::Launcher(LauncherEvent::TargetSet(target))),
            Effect::StopExecutor { executor, loss } => {
                steps.push_back(Step::Launcher(LauncherEvent::StopRequested { executor, loss }));
            }
            Effect::Finish(verdict) => self.conclude(&verdict),
        }
    }

    fn plan_stage(&mut self, stage: StageKey) {
        let tasks = if std::mem::take(&mut self.pending.fail_planning) {
            Err("the directory cannot be listed".to_owned())
        } else {
            Ok(self.inputs(stage))
        };
        self.soon(
            5,
            300,
            Happening::Tell(DriverEvent::StagePlanned { stage, tasks }),
        );
    }

    fn inputs(&mut self, stage: StageKey) -> Vec<TaskInput> {
        let count = self.scenario.plan.stages[stage.stage as usize]
            .source
            .known_tasks();
        let placed = self.dice.percent(50);
        let input = |_| {
            let hosts = if placed { self.some_hosts() } else { Vec::new() };
            TaskInput {
                hosts,
                ..TaskInput::default()
            }
        };
        (0..count).map(input).collect()
    }

    fn some_hosts(&mut self) -> Vec<String> {
        let count = u32::try_from(self.nodes.len()).unwrap_or(1);
        let hosts = (0..self.dice.between(0, 2)).map(|_| self.dice.below(count) as usize);
        let hosts: Vec<_> = hosts.collect();
        hosts.into_iter().map(|node| self.yarn.name_of(node)).collect()
    }

    fn commit_stage(&mut self, stage: StageKey) {
        let failed = std::mem::take(&mut self.pending.fail_commit);
        let result = if failed {
            Err("the mark cannot be written".to_owned())
        } else {
            Ok(())
        };
        self.soon(
            5,
            500,
            Happening::Tell(DriverEvent::StageCommitted { stage, result }),
        );
    }

    fn conclude(&mut self, verdict: &Verdict) {
        if self.life != Life::Running {
            return;
        }
        self.told_status = Some(match verdict {
            Verdict::Succeeded => "Succeeded",
            Verdict::Failed(_) => "Failed",
            Verdict::Killed(_) => "Killed",
        });
        let until = self.now + LEAVING;
        self.life = Life::Leaving { until };
        for executor in self.links.keys().cloned().collect::<Vec<_>>() {
            let (reason, grace) = ("the application is over".to_owned(), Duration::from_secs(1));
            self.tell(&executor, GatewayMessage::Shutdown { reason, grace });
        }
        let mut effects = Vec::new();
        self.launcher
            .handle(self.now, LauncherEvent::Ending, &mut effects);
        let mut steps = VecDeque::new();
        effects
            .into_iter()
            .for_each(|effect| self.launch(effect, &mut steps));
    }

    fn unregister(&mut self) {
        let status = match self.told_status {
            Some("Succeeded") => FinalStatus::Succeeded,
            Some("Killed") => FinalStatus::Killed,
            _ => FinalStatus::Failed,
        };
        self.life = Life::Unregistering;
        self.outbox.push(SessionCommand::Unregister {
            status,
            diagnostics: String::new(),
            tracking_url: None,
        });
    }

    // YARN.

    fn launch(&mut self, effect: LauncherEffect, steps: &mut VecDeque<Step>) {
        self.audit.see_launcher(&effect);
        if self.trace.is_some() {
            let text = format!("{effect:?}");
            self.digest(&text);
            self.note(&format!("  launcher: {text}"));
        }
        match effect {
            LauncherEffect::SetAsk { name, count } => self.ask(&name, count),
            LauncherEffect::StartContainer { executor } => self.start_container(executor, steps),
            LauncherEffect::QueryContainer { executor } => {
                self.soon(1, 10_000, Happening::QueryArrives { executor });
            }
            LauncherEffect::StopContainer { executor } => {
                if !std::mem::take(&mut self.pending.lose_stop) {
                    self.soon(1, 200, Happening::StopArrives { executor });
                }
            }
            LauncherEffect::ReleaseContainer { executor } => {
                self.outbox
                    .extend(container_of(&executor).map(SessionCommand::Release));
            }
            LauncherEffect::UpdateBlacklist { additions, removals } => {
                let names = |nodes: Vec<NodeName>| nodes.iter().map(ToString::to_string).collect();
                self.outbox.push(SessionCommand::Blacklist {
                    add: names(additions),
                    remove: names(removals),
                });
            }
            LauncherEffect::Nudge => self.outbox.push(SessionCommand::Nudge),
            LauncherEffect::Report(LauncherReport::ExecutorGone { executor, loss, .. }) => {
                self.executor_gone(executor, loss, steps);
            }
            LauncherEffect::Report(LauncherReport::DrainWanted {
                executors,
                more,
                loss,
            }) => {
                steps.push_back(Step::Driver(DriverEvent::DrainRequested {
                    executors,
                    more,
                    loss,
                }));
            }
            // What the shell reports by itself.
            LauncherEffect::Report(
                LauncherReport::ResourceManagerHeard { .. }
                | LauncherReport::ExecutorRegistered(_)
                | LauncherReport::Heard { .. }
                | LauncherReport::ExecutorDisconnected { .. },
            ) => {}
            LauncherEffect::Report(LauncherReport::Hopeless(reason)) => {
                steps.push_back(Step::Driver(DriverEvent::LauncherGaveUp { reason }));
            }
            LauncherEffect::Report(LauncherReport::NoRoom { reason, room }) => {
                steps.push_back(Step::Driver(DriverEvent::RoomLacked { reason, room }));
            }
        }
    }

    fn ask(&mut self, name: &str, count: u32) {
        let executors = &self.scenario.plan.executors;
        let ask = Ask {
            key: AskKey::named(Priority(1), AllocationRequestId(EXECUTORS), name),
            capability: Resource::new(executors.memory_mib, executors.cores),
            count,
            relax_locality: true,
            node_label: None,
        };
        let as_of = self.granted_seq;
        self.outbox.push(SessionCommand::SetAsk { ask, as_of });
    }

    fn start_container(&mut self, executor: ExecutorId, steps: &mut VecDeque<Step>) {
        let Some(container) = self.containers.get(&executor) else {
            let (failure, message) = (StartFailure::Stale, "the grant was not kept".to_owned());
            let event = LauncherEvent::StartFailed {
                executor,
                failure,
                message,
            };
            return steps.push_back(Step::Launcher(event));
        };
        let host = container.node.host.clone();
        if !self.tokens.contains(&host) {
            self.audit.complain(
                'G',
                format!("{executor} is to be started without a token for {host}"),
            );
        }
        let node = self.scenario.nodes.iter().position(|node| node.host == host);
        if let Some(node) = node {
            self.soon(1, 100, Happening::StartArrives { executor, node });
        }
    }

    pub(crate) fn on_start_answered(&mut self, event: LauncherEvent) {
        if let LauncherEvent::StartAccepted { executor } = &event
            && let Some(container) = self.containers.get(executor)
        {
            self.outbox.push(SessionCommand::Started(container.id));
        }
        self.process(Step::Launcher(event));
    }

    /// The answer of a NodeManager, or what stands for it when it does not give one.
    pub(crate) fn query_arrives(&mut self, executor: ExecutorId) {
        let localizing = self.localizing.contains(&executor);
        self.process(Step::Launcher(LauncherEvent::ContainerQueried {
            executor,
            localizing,
        }));
    }

    fn executor_gone(&mut self, executor: ExecutorId, loss: ExecutorLoss, steps: &mut VecDeque<Step>) {
        self.audit.see_loss(loss);
        self.bury(&executor);
        let (reason, grace) = (loss.to_string(), Duration::ZERO);
        self.tell(&executor, GatewayMessage::Shutdown { reason, grace });
        self.links.remove(&executor);
        steps.push_back(Step::Driver(DriverEvent::ExecutorLost { executor, loss }));
    }

    fn forget_ended_containers(&mut self) {
        let launcher = &self.launcher;
        self.containers
            .retain(|executor, _| launcher.record(executor).is_some());
    }

    // The session.

    pub(crate) fn tell_session(&mut self, input: SessionInput) {
        if let SessionInput::Command(command) = &input {
            self.audit.hear_command(command);
        }
        let mut effects = Vec::new();
        self.session.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                SessionEffect::Call(call) => {
                    self.audit.see_call(&call);
                    self.soon(1, 30, Happening::CallArrives(call));
                }
                SessionEffect::StoreNmToken(token) => {
                    self.tokens.insert(token.node.host.clone());
                }
                SessionEffect::UseToken(_) => {}
                SessionEffect::Emit(event) => {
                    self.audit.hear_session(&event);
                    let latency = self.dice.millis(0, 3);
                    self.send((None, 0), latency, Happening::SessionSays(event));
                }
            }
        }
    }

    pub(crate) fn on_session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Registered(registration) => self.take_over(registration.previous),
            SessionEvent::Resynced {
                dropped,
                recovered,
                seq,
            } => {
                self.granted_seq = seq;
                let dropped = dropped.into_iter().filter_map(executor_of).collect();
                self.process(Step::Launcher(LauncherEvent::Resynced { dropped }));
                self.take_over(recovered);
            }
            SessionEvent::Recovered(containers) => self.take_over(containers),
            SessionEvent::Completed(statuses) => {
                for status in statuses {
                    let Some(executor) = executor_of(status.id) else {
                        continue;
                    };
                    self.containers.remove(&executor);
                    self.process(Step::Launcher(LauncherEvent::ContainerCompleted(Completion {
                        executor,
                        exit_status: status.exit_status,
                        diagnostics: status.diagnostics,
                    })));
                }
            }
            SessionEvent::Allocated { containers, seq } => {
                self.granted_seq = seq;
                self.on_allocated(containers);
            }
            SessionEvent::NodesUpdated(reports) => reports.iter().for_each(|report| self.on_node(report)),
            SessionEvent::Headroom { available, .. } => {
                let memory_mib = available.memory_mb;
                self.process(Step::Launcher(LauncherEvent::HeadroomChanged { memory_mib }));
            }
            SessionEvent::RmContact { asked } => {
                let ago = self.now.saturating_sub(asked);
                self.tell_driver(DriverEvent::ResourceManagerHeard { ago });
            }
            SessionEvent::AskRefused { message, .. } => self.audit.complain('D', message),
            SessionEvent::Superseded { reason } => {
                self.audit
                    .complain('H', format!("superseded without a successor: {reason}"));
            }
            SessionEvent::Unregistered => self.life = Life::Over,
            SessionEvent::Preemption { strict, negotiable } => {
                let ids = |all: Vec<ContainerId>| all.into_iter().filter_map(executor_of).collect();
                let (strict, negotiable) = (ids(strict), ids(negotiable));
                self.process(Step::Launcher(LauncherEvent::PreemptionNoticed {
                    strict,
                    negotiable,
                }));
            }
            SessionEvent::BlacklistRefused { .. }
            | SessionEvent::ReleaseRefused { .. }
            | SessionEvent::CallFailed { .. } => {}
        }
    }

    fn take_over(&mut self, running: Vec<Container>) {
        let running = self.keep(running, false);
        self.process(Step::Launcher(LauncherEvent::ContainersHandedOver {
            running,
            remembered: Vec::new(),
        }));
        self.forget_ended_containers();
    }

    fn on_allocated(&mut self, containers: Vec<Container>) {
        let grants = self.keep(containers, true);
        self.process(Step::Launcher(LauncherEvent::ContainersGranted(grants)));
        self.forget_ended_containers();
    }

    /// Notes containers as YARN gave them, and says them as grants.
    fn keep(&mut self, containers: Vec<Container>, new: bool) -> Vec<Grant> {
        let mut grants = Vec::new();
        for container in containers {
            let Some(executor) = executor_of(container.id) else {
                continue;
            };
            grants.push(Grant {
                executor: executor.clone(),
                node: node_name(&container.node, self.scenario.include_port),
                node_http: String::new(),
                allocation_request_id: container.allocation_request_id.0,
            });
            if new || !self.containers.contains_key(&executor) {
                self.containers.insert(executor, container);
            }
        }
        grants
    }

    fn on_node(&mut self, report: &NodeReport) {
        let state = match report.state {
            YarnNodeState::Decommissioning | YarnNodeState::Decommissioned => NodeState::Leaving,
            state if state.is_usable() => NodeState::Usable,
            _ => NodeState::Unusable,
        };
        self.process(Step::Launcher(LauncherEvent::NodeUpdated(NodeFacts {
            name: node_name(&report.id, self.scenario.include_port),
            rack: report.rack.clone(),
            state,
            free_mib: None,
            total_mib: None,
        })));
    }

    // The gateway.

    /// Queues a message; executors without a link do not get it.
    fn tell(&mut self, executor: &ExecutorId, message: GatewayMessage) {
        let Some(&connection) = self.links.get(executor) else {
            return;
        };
        let latency = self.dice.millis(0, 15);
        let executor = executor.clone();
        let moment = Moment::Receive { connection, message };
        self.send(
            (Some(executor.clone()), 1),
            latency,
            Happening::Process { executor, moment },
        );
    }

    pub(crate) fn on_closed(&mut self, executor: &ExecutorId, connection: u64) {
        if self.links.get(executor) == Some(&connection) {
            self.links.remove(executor);
            self.outbox.push(SessionCommand::Nudge);
            let executor = executor.clone();
            self.tell_driver(DriverEvent::ExecutorDisconnected { executor });
            self.leave_when_empty();
        }
    }

    fn leave_when_empty(&mut self) {
        if self.links.is_empty() && matches!(self.life, Life::Leaving { .. }) {
            self.unregister();
        }
    }

    pub(crate) fn on_gateway(&mut self, executor: &ExecutorId, connection: u64, message: ExecutorMessage) {
        if let ExecutorMessage::Hello(hello) = message {
            return self.on_hello(connection, hello);
        }
        if self.links.get(executor) != Some(&connection) {
            return;
        }
        let executor = executor.clone();
        match message {
            ExecutorMessage::Heartbeat(heartbeat) => {
                self.tell(
                    &executor,
                    GatewayMessage::Acknowledge {
                        sequences: Vec::new(),
                    },
                );
                let running = heartbeat.running;
                self.tell_driver(DriverEvent::HeartbeatReceived { executor, running });
            }
            ExecutorMessage::TaskStarted { id, .. } => {
                self.tell_driver(DriverEvent::TaskStarted { executor, id });
            }
            ExecutorMessage::CommitRequest { id } => {
                self.tell_driver(DriverEvent::CommitRequested { executor, id });
            }
            ExecutorMessage::TaskFinished(report) => self.on_report(&executor, report),
            ExecutorMessage::Returned { ids } => {
                self.tell_driver(DriverEvent::TasksReturned { executor, ids });
            }
            ExecutorMessage::Goodbye { .. } | ExecutorMessage::Hello(_) => {}
        }
    }

    fn on_report(&mut self, executor: &ExecutorId, report: Box<TaskReport>) {
        let sequences = vec![report.sequence];
        self.tell_driver(DriverEvent::TaskFinished {
            executor: executor.clone(),
            report,
        });
        self.tell(executor, GatewayMessage::Acknowledge { sequences });
    }

    fn on_hello(&mut self, connection: u64, hello: Hello) {
        let executor = hello.executor.clone();
        let known = self
            .launcher
            .remembered(&executor)
            .map(|record| record.phase.is_live());
        let refusal = match known {
            None => Some(Refusal::UnknownExecutor),
            Some(false) => Some(Refusal::Fenced),
            Some(true) if self.life != Life::Running => Some(Refusal::Ending),
            Some(true) => None,
        };
        if let Some(reason) = refusal {
            let message = GatewayMessage::Refused {
                reason,
                message: String::new(),
            };
            let moment = Moment::Receive { connection, message };
            return self.soon(0, 15, Happening::Process { executor, moment });
        }
        self.links.insert(executor.clone(), connection);
        let settings = &self.scenario.plan.settings;
        let welcome = Welcome {
            heartbeat: settings.heartbeat_interval,
            silence: settings.heartbeat_suspect,
            am_lost_ttl: settings.am_lost_ttl,
        };
        self.tell(&executor, GatewayMessage::Welcome(welcome));
        self.process(Step::Launcher(LauncherEvent::ExecutorRegistered {
            executor: executor.clone(),
        }));
        let node = self
            .launcher
            .record(&executor)
            .map(|record| record.node.to_string());
        self.tell_driver(DriverEvent::ExecutorRegistered(Registration {
            executor,
            boot: BootNonce(hello.started_unix_ms),
            host: node.unwrap_or(hello.host),
            slots: hello.slots,
            running: hello.running,
        }));
    }
}

fn node_id(host: &str) -> NodeId {
    NodeId::new(host, 45454)
}

fn node_name(node: &NodeId, include_port: bool) -> NodeName {
    if include_port {
        NodeName::new(&node.to_string())
    } else {
        NodeName::new(&node.host)
    }
}
