//! What happens inside executor processes, and between them and the gateway.

use std::time::Duration;

use driver::event::Event as DriverEvent;
use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::{ExecutorId, TaskAttemptId};
use wire::message::{ExecutorMessage, GatewayMessage, Heartbeat, Hello, Refusal, RunningTask, TaskReport};
use wire::task::{StageSpec, TaskMetrics, TaskSpec};
use wire::version::PROTOCOL;

use crate::executor::{Link, Moment, Work};
use crate::plans::fits_together;
use crate::world::{Happening, World};

impl World {
    pub(crate) fn process_moment(&mut self, executor: &ExecutorId, moment: Moment) {
        let Some(process) = self.processes.get(executor) else {
            return;
        };
        if self.now < process.frozen_until {
            // It goes on with what it missed, in order.
            let at = process.frozen_until;
            let executor = executor.clone();
            return self.agenda.add(at, Happening::Process { executor, moment });
        }
        match moment {
            Moment::Dial => self.dial(executor),
            Moment::Receive { connection, message } => self.receive(executor, connection, message),
            Moment::Lost { connection } => self.connection_lost(executor, connection),
            Moment::Beat { connection } => self.beat(executor, connection),
            Moment::Step { id, from } => self.work_on(executor, id, from),
            Moment::Kill { id, reason } => self.kill_task(executor, id, reason),
            Moment::GiveUp { dials } => {
                if process.dials == dials && process.connection().is_none() {
                    self.leave(executor, 69);
                }
            }
        }
    }

    fn moment(&mut self, executor: &ExecutorId, low: u32, high: u32, moment: Moment) {
        let executor = executor.clone();
        self.soon(low, high, Happening::Process { executor, moment });
    }

    fn dial(&mut self, executor: &ExecutorId) {
        self.connections += 1;
        let connection = self.connections;
        let slots = self.scenario.plan.executors.cores;
        let now = self.now;
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        if process.link != Link::Dialing {
            return;
        }
        process.dials += 1;
        let dials = process.dials;
        if now < process.cut_until {
            let wait = Moment::Dial;
            return self.moment(executor, 500, 5000, wait);
        }
        process.link = Link::Greeting { connection };
        let hello = Hello {
            protocol: PROTOCOL,
            build: String::new(),
            application: String::new(),
            executor: executor.clone(),
            host: String::new(),
            pid: 1,
            slots,
            memory: 0,
            // The envelope's nonce travels here.
            started_unix_ms: process.boot,
            running: process.held(),
        };
        self.say(executor, connection, ExecutorMessage::Hello(hello));
        self.moment(executor, 120_000, 120_000, Moment::GiveUp { dials });
        self.moment(executor, 10_000, 10_000, Moment::Lost { connection });
    }

    /// Sends a message on a connection, unless nothing gets through.
    fn say(&mut self, executor: &ExecutorId, connection: u64, message: ExecutorMessage) {
        let Some(process) = self.processes.get(executor) else {
            return;
        };
        if self.now < process.cut_until {
            return;
        }
        let latency = self.dice.millis(0, 15);
        let executor = executor.clone();
        let happening = Happening::ToGateway {
            executor: executor.clone(),
            connection,
            message,
        };
        self.send((Some(executor), 0), latency, happening);
    }

    fn say_if_heard(&mut self, executor: &ExecutorId, message: ExecutorMessage) {
        let connection = self
            .processes
            .get(executor)
            .and_then(|process| process.connection());
        if let Some(connection) = connection {
            self.say(executor, connection, message);
        }
    }

    /// A connection ended: one that was greeted on and not answered, or one in use.
    fn connection_lost(&mut self, executor: &ExecutorId, lost: u64) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        let timed_out = process.link == Link::Greeting { connection: lost };
        let broken = self.pending.broken.remove(&lost) && process.link == Link::Serving { connection: lost };
        if timed_out || broken {
            process.link = Link::Dialing;
            self.moment(executor, 50, 3000, Moment::Dial);
        }
    }

    fn receive(&mut self, executor: &ExecutorId, connection: u64, message: GatewayMessage) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        let current = match process.link {
            Link::Greeting { connection: own } | Link::Serving { connection: own } => own == connection,
            Link::Dialing | Link::Leaving => false,
        };
        if now < process.cut_until || !current {
            return;
        }
        process.heard = now;
        match message {
            GatewayMessage::Welcome(_) => self.welcomed(executor, connection),
            GatewayMessage::Refused { reason, .. } => {
                let fair = matches!(reason, Refusal::Ending | Refusal::Fenced);
                self.leave(executor, if fair { 0 } else { 70 });
            }
            GatewayMessage::Launch { stages, tasks } => self.order(executor, &stages, &tasks),
            GatewayMessage::Cancel { id, reason, .. } => {
                self.moment(executor, 1, 400, Moment::Kill { id, reason });
            }
            GatewayMessage::CommitDecision { id, granted } => self.decided(executor, id, granted),
            GatewayMessage::Acknowledge { sequences } => {
                for sequence in sequences {
                    process.reports.remove(&sequence);
                }
            }
            GatewayMessage::Recall { ids } => self.give_back(executor, &ids),
            GatewayMessage::Shutdown { .. } => self.leave(executor, 0),
        }
    }

    fn welcomed(&mut self, executor: &ExecutorId, connection: u64) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        process.link = Link::Serving { connection };
        process.described.clear();
        let running = process.work.iter().filter(|(_, work)| **work != Work::Starting);
        let started = running.map(|(id, _)| ExecutorMessage::TaskStarted { id: *id, pid: 1 });
        let reports = process
            .reports
            .values()
            .cloned()
            .map(|report| ExecutorMessage::TaskFinished(Box::new(report)));
        let waiting = process.work.iter().filter(|(_, work)| **work == Work::Waiting);
        let commits = waiting.map(|(id, _)| ExecutorMessage::CommitRequest { id: *id });
        let again: Vec<_> = started.chain(reports).chain(commits).collect();
        for message in again {
            self.say(executor, connection, message);
        }
        self.moment(executor, 3000, 3000, Moment::Beat { connection });
    }

    fn beat(&mut self, executor: &ExecutorId, connection: u64) {
        let silence = self.scenario.plan.settings.heartbeat_suspect;
        let now = self.now;
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        if process.link != (Link::Serving { connection }) {
            return;
        }
        if now >= process.heard + silence {
            process.link = Link::Dialing;
            self.close(executor, connection);
            return self.moment(executor, 50, 3000, Moment::Dial);
        }
        let begun = process.work.keys().map(|id| (*id, false));
        let held = begun.chain(process.waiting.iter().map(|id| (*id, true)));
        let running = held.map(|(id, waiting)| RunningTask {
            id,
            resident: 1,
            progress: 0.0,
            waiting,
            status: String::new(),
            counters: Vec::new(),
        });
        let heartbeat = Heartbeat {
            running: running.collect(),
            ..Heartbeat::default()
        };
        self.say(executor, connection, ExecutorMessage::Heartbeat(heartbeat));
        self.moment(executor, 3000, 3000, Moment::Beat { connection });
    }

    fn close(&mut self, executor: &ExecutorId, connection: u64) {
        let latency = self.dice.millis(0, 20);
        let executor = executor.clone();
        let closed = Happening::Closed {
            executor: executor.clone(),
            connection,
        };
        self.send((Some(executor), 0), latency, closed);
    }

    /// The network works again: what was open before is broken on both sides.
    pub(crate) fn healed(&mut self, executor: &ExecutorId) {
        self.break_connection(executor);
    }

    pub(crate) fn break_connection(&mut self, executor: &ExecutorId) {
        if let Some(&connection) = self.links.get(executor) {
            self.close(executor, connection);
        }
        let own = self
            .processes
            .get(executor)
            .and_then(|process| process.connection());
        if let Some(connection) = own {
            self.pending.broken.insert(connection);
            self.moment(executor, 0, 20, Moment::Lost { connection });
        }
    }

    fn leave(&mut self, executor: &ExecutorId, status: i32) {
        let waiting = self
            .processes
            .get(executor)
            .map(|process| process.waiting.clone());
        self.give_back(executor, &Vec::from(waiting.unwrap_or_default()));
        if let Some(process) = self.processes.get_mut(executor) {
            process.link = Link::Leaving;
            let executor = executor.clone();
            self.soon(10, 1000, Happening::ProcessExits { executor, status });
        }
    }

    // Tasks.

    fn order(&mut self, executor: &ExecutorId, stages: &[StageSpec], tasks: &[TaskSpec]) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        process.described.extend(stages.iter().map(|stage| stage.key));
        for task in tasks {
            if process.is_held(task.id) {
                continue;
            }
            if !process.described.contains(&task.id.stage) {
                let text = format!(
                    "{} is ordered on {executor}, which was not told of its stage",
                    task.id
                );
                return self.audit.complain('C', text);
            }
            process.waiting.push_back(task.id);
        }
        self.begin_waiting(executor);
    }

    /// Begins what waits, in order, as far as there are slots and what else it needs.
    fn begin_waiting(&mut self, executor: &ExecutorId) {
        let plan = &self.scenario.plan;
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        let mut begun = Vec::new();
        while let Some(&id) = process.waiting.front() {
            if !fits_together(plan, process.work.keys().chain([&id])) {
                break;
            }
            process.waiting.pop_front();
            process.work.insert(id, Work::Starting);
            begun.push(id);
        }
        for id in begun {
            let from = Work::Starting;
            self.moment(executor, 1, 60, Moment::Step { id, from });
        }
    }

    fn give_back(&mut self, executor: &ExecutorId, ids: &[TaskAttemptId]) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        let waiting = std::mem::take(&mut process.waiting);
        let (back, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|id| ids.contains(id));
        process.waiting = rest.into();
        let ids = back;
        self.say_if_heard(executor, ExecutorMessage::Returned { ids });
    }

    fn work_on(&mut self, executor: &ExecutorId, id: TaskAttemptId, from: Work) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        if process.work.get(&id) != Some(&from) {
            return;
        }
        match from {
            Work::Starting if self.scenario.deadly == Some((id.stage.stage, id.partition)) => {
                self.end_container(&executor.clone(), 137, "", false);
            }
            Work::Starting => {
                process.work.insert(id, Work::Running);
                self.say_if_heard(executor, ExecutorMessage::TaskStarted { id, pid: 1 });
                let time = self.run_time(executor);
                let at = self.now + time;
                let moment = Moment::Step {
                    id,
                    from: Work::Running,
                };
                let executor = executor.clone();
                self.agenda.add(at, Happening::Process { executor, moment });
            }
            Work::Running => self.come_to_end(executor, id),
            Work::Waiting => {}
            Work::Placing => {
                self.placed.insert((id.stage.stage, id.partition));
                self.report(executor, id, Ok(()));
            }
        }
    }

    fn run_time(&mut self, executor: &ExecutorId) -> Duration {
        let longest = self.scenario.longest_task;
        let node = self.processes.get(executor).map_or(0, |process| process.node);
        let slow = self.scenario.nodes[node].slow;
        let straggles = if self.dice.percent(2) { 10 } else { 1 };
        self.dice.millis(5, longest) * slow * straggles
    }

    fn come_to_end(&mut self, executor: &ExecutorId, id: TaskAttemptId) {
        let (stage, partition) = (id.stage.stage, id.partition);
        if self.fails(executor, (stage, partition)) {
            let failure = TaskFailure::new(FailureCause::ExitCode(1));
            return self.report(executor, id, Err(failure));
        }
        if let Some(source) = self.unreadable_source(id) {
            if let Some(process) = self.processes.get_mut(executor) {
                process.work.remove(&id);
            }
            self.begin_waiting(executor);
            let executor = executor.clone();
            let event = DriverEvent::OutputUnreadable { executor, id, source };
            return self.soon(1, 20, Happening::Tell(event));
        }
        if self.scenario.plan.stages[stage as usize].output.is_none() {
            return self.report(executor, id, Ok(()));
        }
        if let Some(process) = self.processes.get_mut(executor) {
            process.work.insert(id, Work::Waiting);
            self.say_if_heard(executor, ExecutorMessage::CommitRequest { id });
        }
    }

    fn fails(&mut self, executor: &ExecutorId, task: (u32, u32)) -> bool {
        let node = self.processes.get(executor).map_or(0, |process| process.node);
        let poisoned = self.scenario.poisoned == Some(task);
        let bad = self.nodes[node].bad && self.pending.fail_there() && self.dice.percent(60);
        poisoned || bad || self.pending.fail_task()
    }

    /// One that held what the task reads, when all who did are gone.
    fn unreadable_source(&self, id: TaskAttemptId) -> Option<ExecutorId> {
        let plan = &self.scenario.plan.stages;
        let stage = &plan[id.stage.stage as usize];
        let kept = |before: &&u32| plan[**before as usize].scheduling.keeps_output;
        let one_to_one = stage
            .scheduling
            .with
            .iter()
            .filter(kept)
            .map(|&before| (before, id.partition));
        let all = stage.after.iter().filter(kept).flat_map(|&before| {
            let tasks = u32::try_from(plan[before as usize].source.known_tasks()).unwrap_or(0);
            (0..tasks).map(move |partition| (before, partition))
        });
        let mut holders = one_to_one.chain(all).filter_map(|part| self.kept.get(&part));
        let lives = |executor: &ExecutorId, boot: u64| {
            let process = self.processes.get(executor);
            process.is_some_and(|process| process.boot == boot)
        };
        let lost = holders.find(|holders| !holders.iter().any(|(holder, boot)| lives(holder, *boot)));
        lost.and_then(|holders| Some(holders.last()?.0.clone()))
    }

    fn decided(&mut self, executor: &ExecutorId, id: TaskAttemptId, granted: bool) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        if process.work.get(&id) != Some(&Work::Waiting) {
            return;
        }
        if granted {
            process.work.insert(id, Work::Placing);
            self.moment(
                executor,
                1,
                800,
                Moment::Step {
                    id,
                    from: Work::Placing,
                },
            );
        } else {
            let denied = TaskFailure::new(FailureCause::CommitDenied);
            self.report(executor, id, Err(denied));
        }
    }

    fn kill_task(&mut self, executor: &ExecutorId, id: TaskAttemptId, reason: KillReason) {
        let waits = |process: &mut crate::executor::Process| {
            let place = process.waiting.iter().position(|&other| other == id)?;
            process.waiting.remove(place)
        };
        if self.processes.get_mut(executor).and_then(waits).is_some() {
            let killed = TaskFailure::new(FailureCause::Killed(reason));
            return self.report(executor, id, Err(killed));
        }
        let work = self
            .processes
            .get(executor)
            .and_then(|process| process.work.get(&id));
        let too_late = work == Some(&Work::Placing) && self.dice.percent(50);
        if work.is_some() && !too_late {
            let killed = TaskFailure::new(FailureCause::Killed(reason));
            self.report(executor, id, Err(killed));
        }
    }

    fn report(&mut self, executor: &ExecutorId, id: TaskAttemptId, outcome: Result<(), TaskFailure>) {
        let Some(process) = self.processes.get_mut(executor) else {
            return;
        };
        process.work.remove(&id);
        process.sequence += 1;
        let report = TaskReport {
            sequence: process.sequence,
            id,
            metrics: TaskMetrics {
                wall: self.now,
                ..TaskMetrics::default()
            },
            outcome,
            result: None,
            counters: Vec::new(),
        };
        process.reports.insert(report.sequence, report.clone());
        self.say_if_heard(executor, ExecutorMessage::TaskFinished(Box::new(report)));
        self.begin_waiting(executor);
    }
}
