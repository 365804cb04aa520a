//! The session against a small ResourceManager that keeps counts as the real one does, loses answers, restarts, and
//! grants behind the session's back; the owner reads its events late.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// Counts of one key, response ids with the cached answer, containers.
#[derive(Default)]
struct Rm {
    registered: bool,
    last: pb::AllocateResponseProto,
    pending: u32,
    /// Granted, not fetched.
    ready: Vec<u64>,
    live: BTreeSet<u64>,
    ended: Vec<u64>,
    next: u64,
}

impl Rm {
    /// A node comes by and takes up to `n` requests.
    fn grant(&mut self, n: u32) {
        for _ in 0..n.min(self.pending) {
            self.pending -= 1;
            self.next += 1;
            self.ready.push(self.next);
            self.live.insert(self.next);
        }
    }

    /// Forgets everything but what runs.
    fn restart(&mut self, started: &BTreeSet<u64>) {
        let live = self.live.intersection(started).copied().collect();
        *self = Self {
            live,
            next: self.next,
            ..Self::default()
        };
    }

    fn handle(&mut self, call: &SessionCall) -> SessionAnswer {
        match call {
            SessionCall::Register(_) => {
                self.registered = true;
                self.last = pb::AllocateResponseProto {
                    response_id: Some(0),
                    ..Default::default()
                };
                let running = self.live.iter().map(|n| granted(*n, "n")).collect();
                reg(pb::RegisterApplicationMasterResponseProto {
                    containers_from_previous_attempts: running,
                    ..Default::default()
                })
            }
            _ if !self.registered => thrown("ApplicationMasterNotRegisteredException", ""),
            SessionCall::Allocate(request) => self.allocate(request),
            SessionCall::Finish(_) => finished(true),
        }
    }

    fn allocate(&mut self, request: &pb::AllocateRequestProto) -> SessionAnswer {
        let last = self.last.response_id();
        if request.response_id() == last - 1 {
            return alloc(self.last.clone());
        }
        assert_eq!(
            request.response_id(),
            last,
            "a response id the ResourceManager would refuse"
        );
        for ask in &request.ask {
            assert!(ask.num_containers() >= 0, "a negative count");
            self.pending = ask.num_containers() as u32;
        }
        for id in &request.release {
            let n = ContainerId::try_from(id).unwrap().sequence();
            if self.live.remove(&n) {
                self.ready.retain(|ready| *ready != n);
                self.ended.push(n);
            }
        }
        self.last = pb::AllocateResponseProto {
            response_id: Some(last + 1),
            allocated_containers: self.ready.drain(..).map(|n| granted(n, "n")).collect(),
            completed_container_statuses: self.ended.drain(..).map(|n| completed(n, -100)).collect(),
            ..Default::default()
        };
        alloc(self.last.clone())
    }
}

/// Wants so many containers, starts what it gets, gives back what is too much.
#[derive(Default)]
struct Owner {
    target: u32,
    holds: BTreeSet<u64>,
    seen: GrantSeq,
    mail: VecDeque<SessionEvent>,
}

impl Owner {
    /// Containers that are not in `valid` are rejected by their node, as granted before a restart.
    fn read(&mut self, messages: usize, valid: &BTreeSet<u64>) -> (Vec<SessionCommand>, BTreeSet<u64>) {
        let (mut commands, mut started) = (Vec::new(), BTreeSet::new());
        for _ in 0..messages {
            let Some(event) = self.mail.pop_front() else { break };
            match event {
                SessionEvent::Allocated { containers, seq } => {
                    self.seen = seq;
                    for container in containers {
                        let n = container.id.sequence();
                        if self.holds.len() < self.target as usize && valid.contains(&n) {
                            self.holds.insert(n);
                            started.insert(n);
                            commands.push(SessionCommand::Started(container.id));
                        } else {
                            commands.push(SessionCommand::Release(container.id));
                        }
                    }
                }
                SessionEvent::Completed(statuses) => {
                    statuses.iter().for_each(|status| {
                        self.holds.remove(&status.id.sequence());
                    });
                }
                SessionEvent::Resynced {
                    dropped,
                    recovered,
                    seq,
                } => {
                    self.seen = seq;
                    dropped.iter().for_each(|id| {
                        self.holds.remove(&id.sequence());
                    });
                    // Whatever runs and is not ours to keep goes back.
                    for container in recovered
                        .iter()
                        .filter(|c| !self.holds.contains(&c.id.sequence()))
                    {
                        commands.push(SessionCommand::Release(container.id));
                    }
                }
                _ => {}
            }
        }
        (commands, started)
    }

    fn wish(&self) -> SessionCommand {
        let missing = self.target.saturating_sub(self.holds.len() as u32);
        set("*", missing, self.seen)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Grant(u32),
    Read(usize),
    /// A heartbeat whose answer arrives.
    Beat,
    /// A heartbeat whose answer is lost.
    LoseAnswer,
    /// A heartbeat that does not arrive.
    LoseRequest,
    Restart,
    /// The owner changes its mind.
    Target(u32),
}

fn steps(with_changes: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1..4_u32).prop_map(Step::Grant),
        5 => (1..4_usize).prop_map(Step::Read),
        6 => Just(Step::Beat),
        2 => Just(Step::LoseAnswer),
        2 => Just(Step::LoseRequest),
        1 => Just(Step::Restart),
        if with_changes { 3 } else { 0 } => (0..8_u32).prop_map(Step::Target),
    ];
    proptest::collection::vec(step, 0..80)
}

struct World {
    rm: Rm,
    session: Session,
    owner: Owner,
    started: BTreeSet<u64>,
}

impl World {
    fn new(target: u32) -> Self {
        let mut session = Session::new();
        let owner = Owner {
            target,
            ..Owner::default()
        };
        session.command(owner.wish());
        Self {
            rm: Rm::default(),
            session,
            owner,
            started: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Grant(n) => self.rm.grant(*n),
            Step::Read(n) => self.read(*n),
            Step::Target(target) => {
                self.owner.target = *target;
                self.session.command(self.owner.wish());
            }
            Step::Restart => {
                let started = self.started.clone();
                self.rm.restart(&started);
            }
            Step::Beat => self.call(true, true),
            Step::LoseAnswer => self.call(true, false),
            Step::LoseRequest => self.call(false, false),
        }
    }

    fn call(&mut self, arrives: bool, returns: bool) {
        let call = self.session.next_call();
        let answer = if arrives { self.rm.handle(&call) } else { broken() };
        self.session.answer(if returns { answer } else { broken() });
        let events = self.session.take_events();
        self.owner.mail.extend(events);
    }

    fn read(&mut self, messages: usize) {
        let (commands, started) = self.owner.read(messages, &self.rm.live);
        self.started.extend(started);
        commands
            .into_iter()
            .for_each(|command| self.session.command(command));
        // The surplus of a lower target goes back.
        while self.owner.holds.len() > self.owner.target as usize {
            let Some(n) = self.owner.holds.pop_last() else {
                break;
            };
            self.session.command(SessionCommand::Release(cid(n)));
        }
        self.session.command(self.owner.wish());
    }

    /// No more faults: everybody catches up.
    fn settle(&mut self) {
        for _ in 0..12 {
            self.rm.grant(u32::MAX);
            self.call(true, true);
            self.read(usize::MAX);
        }
    }
}

proptest! {
    #[test]
    fn a_steady_wish_is_never_exceeded_and_at_last_met(steps in steps(false), target in 0..8_u32) {
        let mut world = World::new(target);
        for step in &steps {
            world.step(step);
            prop_assert!(world.rm.live.len() as u32 + world.rm.pending <= target.max(world.rm.live.len() as u32));
            prop_assert!(world.rm.live.len() as u32 <= target, "{} > {target}", world.rm.live.len());
        }
        world.settle();
        prop_assert_eq!(world.rm.live.len() as u32, target);
        prop_assert_eq!(&world.owner.holds, &world.rm.live);
    }

    #[test]
    fn whatever_happens_wish_and_possession_agree_in_the_end(steps in steps(true), target in 0..8_u32) {
        let mut world = World::new(target);
        steps.iter().for_each(|step| world.step(step));
        world.settle();
        prop_assert_eq!(world.rm.live.len() as u32, world.owner.target);
        prop_assert_eq!(&world.owner.holds, &world.rm.live);
        prop_assert_eq!(world.rm.pending, 0);
    }
}
