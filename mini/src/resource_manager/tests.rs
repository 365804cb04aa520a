//! The core alone, event by event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};
use proptest::prelude::*;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{ContainerLaunchContext, Resource};

use super::{
    Application, ApplicationState, AttemptState, Calculator, ContainerReport, Effect, Effects, Event,
    FinalStatus, MasterAnswer, MasterCall, NodeFacts, Recovery, ResourceManager, Settings, Submission,
    schedule::container_grant,
};
use crate::failure::Failure;
use crate::options::Pacing;
use crate::tokens::Keys;

mod nodes;
mod orders;
mod recovery;

const START: u64 = 7;

/// A ResourceManager with a clock.
struct World {
    rm: ResourceManager,
    now: u64,
    /// The key of the token that ApplicationMasters show.
    key: i32,
    effects: Effects,
}

fn node_id(n: u16) -> NodeId {
    NodeId::new("127.0.0.1", n)
}

fn application() -> ApplicationId {
    ApplicationId::new(START, 1)
}

fn attempt(n: u32) -> ApplicationAttemptId {
    application().attempt(n)
}

fn submission() -> Submission {
    Submission {
        id: application(),
        name: "n".into(),
        application_type: "T".into(),
        queue: None,
        priority: -1,
        tags: Vec::new(),
        max_attempts: 2,
        keep_containers: false,
        failures_validity_ms: -1,
        resource: Resource::new(100, 1),
        context: Arc::new(ContainerLaunchContext::default()),
    }
}

/// One whose containers outlive attempts.
fn keeping() -> Submission {
    Submission {
        keep_containers: true,
        ..submission()
    }
}

fn ask(name: &str, memory: i64, count: i32) -> pb::ResourceRequestProto {
    pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto { priority: Some(1) }),
        resource_name: Some(name.to_owned()),
        capability: Some(pb::ResourceProto {
            memory: Some(memory),
            virtual_cores: Some(1),
            ..Default::default()
        }),
        num_containers: Some(count),
        ..Default::default()
    }
}

impl World {
    fn new(pacing: Pacing, nodes: u16) -> Self {
        let settings = Settings {
            started_ms: START,
            pacing,
            minimum_memory_mb: 64,
            calculator: Calculator::Memory,
            maximum: Resource::new(1024, 4),
            max_attempts: 2,
            master_expiry_ms: 10_000,
            container_expiry_ms: 5_000,
            node_expiry_ms: 20_000,
            recovery_wait_ms: 0,
            web_address: "127.0.0.1:1".into(),
        };
        let mut world = Self {
            rm: ResourceManager::new(settings, Arc::new(Keys::new([3; 32]))),
            now: 1000,
            key: 1,
            effects: Vec::new(),
        };
        for n in 1..=nodes {
            world.join(n, Vec::new());
        }
        world
    }

    fn join(&mut self, n: u16, containers: Vec<ContainerReport>) {
        let facts = NodeFacts {
            id: node_id(n),
            http_address: format!("127.0.0.1:{}", n + 100),
            rack: "/r".into(),
            total: Resource::new(1024, 4),
        };
        self.does(Event::NodeJoined { facts, containers });
    }

    /// What a node says that runs all that it was given and that was started there.
    fn reports(&self, n: u16) -> Vec<ContainerReport> {
        let containers = self
            .rm
            .applications()
            .flat_map(|application| application.containers.values());
        let there = containers.filter(|one| one.node == node_id(n) && (one.running || one.is_master));
        let started_ms = self.rm.settings().started_ms;
        there
            .map(|one| ContainerReport {
                grant: container_grant(one, "ada", self.now, started_ms),
                end: None,
            })
            .collect()
    }

    /// The ResourceManager begins again, without nodes; gives what they will say.
    fn restart(&mut self) -> BTreeMap<u16, Vec<ContainerReport>> {
        let nodes: Vec<u16> = self.rm.nodes().map(|node| node.facts.id.port).collect();
        let reports = nodes.into_iter().map(|n| (n, self.reports(n))).collect();
        self.now += 1;
        self.does(Event::Restarted {
            recovery: Recovery::WorkPreserving,
            web_address: "127.0.0.1:2".into(),
        });
        reports
    }

    /// The same, and all nodes come back at once.
    fn restart_with_nodes(&mut self) {
        for (node, reports) in self.restart() {
            self.join(node, reports);
        }
    }

    /// With an application that has registered.
    fn running(pacing: Pacing, nodes: u16, submission: Submission) -> Self {
        let mut world = Self::new(pacing, nodes);
        world.submit(submission);
        world.beat(1);
        world.register(1).unwrap();
        world
    }

    fn does(&mut self, event: Event) {
        self.effects.clear();
        self.rm.handle(self.now, event, &mut self.effects);
        self.check();
    }

    fn submit(&mut self, submission: Submission) {
        self.does(Event::Submitted {
            user: "ada".into(),
            submission: Box::new(submission),
        });
    }

    fn beat(&mut self, node: u16) {
        self.does(Event::NodeHeartbeat(node_id(node)));
    }

    fn call(&mut self, n: u32, call: MasterCall) -> Result<MasterAnswer, Failure> {
        self.does(Event::MasterCalled {
            key: self.key,
            attempt: attempt(n),
            call: Box::new(call),
        });
        let answer = self.effects.iter().find_map(|effect| match effect {
            Effect::Answer(answer) => Some(answer.as_ref().clone()),
            _ => None,
        });
        answer.unwrap()
    }

    fn register(&mut self, n: u32) -> Result<pb::RegisterApplicationMasterResponseProto, Failure> {
        match self.call(n, MasterCall::Register(Default::default()))? {
            MasterAnswer::Registered(response) => Ok(*response),
            other => panic!("{other:?}"),
        }
    }

    fn allocate(
        &mut self,
        n: u32,
        response_id: i32,
        ask: Vec<pb::ResourceRequestProto>,
    ) -> Result<pb::AllocateResponseProto, Failure> {
        self.allocate_all(
            n,
            pb::AllocateRequestProto {
                response_id: Some(response_id),
                ask,
                ..Default::default()
            },
        )
    }

    fn allocate_all(
        &mut self,
        n: u32,
        request: pb::AllocateRequestProto,
    ) -> Result<pb::AllocateResponseProto, Failure> {
        match self.call(n, MasterCall::Allocate(request))? {
            MasterAnswer::Allocated(response) => Ok(*response),
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, n: u32, status: FinalStatus) -> Result<bool, Failure> {
        let request = pb::FinishApplicationMasterRequestProto {
            diagnostics: Some("said so".into()),
            final_application_status: Some(status as i32),
            ..Default::default()
        };
        match self.call(n, MasterCall::Finish(request))? {
            MasterAnswer::Finished(response) => Ok(response.is_unregistered()),
            other => panic!("{other:?}"),
        }
    }

    fn ends(&mut self, container: ContainerId, exit_status: i32) {
        let diagnostics = "it ended\n".to_owned();
        self.does(Event::ContainerEnded {
            container,
            exit_status,
            diagnostics,
        });
    }

    fn app(&self) -> &Application {
        self.rm.application(application()).unwrap()
    }

    fn master(&self) -> ContainerId {
        self.app().current().unwrap().container.as_ref().unwrap().0
    }

    /// The invariants of the module.
    fn check(&self) {
        let containers = || {
            self.rm
                .applications()
                .flat_map(|application| application.containers.values())
        };
        for node in self.rm.nodes() {
            let there = containers().filter(|container| container.node == node.facts.id);
            let held: u64 = there.map(|container| container.resource.memory_mb).sum();
            assert_eq!(held, node.used.memory_mb, "{}", node.name());
            assert!(held <= node.facts.total.memory_mb);
            assert!(node.is_active() || held == 0);
        }
        for application in self
            .rm
            .applications()
            .filter(|application| application.state.is_final())
        {
            assert!(application.containers.is_empty());
            assert!(
                application
                    .attempts
                    .iter()
                    .all(|attempt| attempt.state.is_final())
            );
        }
    }
}

fn ids(response: &pb::AllocateResponseProto) -> Vec<ContainerId> {
    let ids = response
        .allocated_containers
        .iter()
        .filter_map(|container| container.id.as_ref());
    ids.map(|id| id.try_into().unwrap()).collect()
}

fn ended(response: &pb::AllocateResponseProto) -> Vec<(i32, String)> {
    let statuses = response.completed_container_statuses.iter();
    statuses
        .map(|status| (status.exit_status(), status.diagnostics().to_owned()))
        .collect()
}

fn started(container: ContainerId) -> Event {
    Event::ContainerStarted {
        container,
        node: node_id(1),
    }
}

fn class(failure: &Failure) -> &str {
    failure.class.rsplit('.').next().unwrap()
}

#[test]
fn an_application_goes_from_submission_to_its_masters_verdict() {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(submission());
    assert!(
        matches!(world.effects.as_slice(), [Effect::StartMaster { .. }]),
        "{:?}",
        world.effects
    );
    assert_eq!(world.app().state, ApplicationState::Accepted);
    let registered = world.register(1).unwrap();
    assert_eq!(registered.queue(), "root.default");
    assert_eq!(world.app().state, ApplicationState::Running);
    assert_eq!(world.finish(1, FinalStatus::AppSucceeded), Ok(false));
    assert_eq!(world.finish(1, FinalStatus::AppSucceeded), Ok(true));
    let master = world.master();
    world.ends(master, 0);
    assert!(world.effects.contains(&Effect::EndApplication(application())));
    assert_eq!(world.app().state, ApplicationState::Finished);
    assert_eq!(
        (world.app().final_status, world.app().diagnostics.as_str()),
        (FinalStatus::AppSucceeded, "said so")
    );
}

#[test]
fn the_same_submission_again_changes_nothing() {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(submission());
    world.submit(Submission {
        name: "another".into(),
        ..submission()
    });
    assert_eq!(
        (world.app().submission.name.as_str(), world.effects.len()),
        ("n", 0)
    );
}

#[test]
fn an_unknown_queue_fails_the_application_after_the_submission() {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(Submission {
        queue: Some("nope".into()),
        ..submission()
    });
    assert_eq!(world.app().state, ApplicationState::Failed);
    let expected = "Application application_7_0001 submitted by user ada to unknown queue: nope";
    assert_eq!(world.app().diagnostics, expected);
}

#[test]
fn asks_are_absolute_so_repeating_one_asks_again() {
    let mut world = World::running(Pacing::Immediate, 2, submission());
    let first = world.allocate(1, 0, vec![ask("*", 100, 3)]).unwrap();
    let second = world.allocate(1, 1, vec![ask("*", 100, 3)]).unwrap();
    assert_eq!((ids(&first).len(), ids(&second).len()), (3, 3));
    assert_eq!(
        first.allocated_containers[0].resource.as_ref().unwrap().memory(),
        128
    );
    assert_eq!(
        first.allocated_containers[0]
            .resource
            .as_ref()
            .unwrap()
            .virtual_cores(),
        1
    );
}

#[test]
fn nodes_tokens_come_once_for_each_node() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let first = world.allocate(1, 0, vec![ask("*", 100, 2)]).unwrap();
    let second = world.allocate(1, 1, vec![ask("*", 100, 1)]).unwrap();
    assert_eq!((first.nm_tokens.len(), second.nm_tokens.len()), (1, 0));
}

#[test]
fn a_repeated_heartbeat_gets_the_same_answer_and_has_no_effect() {
    let mut world = World::running(Pacing::Immediate, 2, submission());
    let first = world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    let again = world.allocate(1, 0, vec![ask("*", 100, 5)]).unwrap();
    assert_eq!(first, again);
    assert_eq!(ids(&world.allocate(1, 1, Vec::new()).unwrap()), []);
}

#[test]
fn a_wrong_response_id_is_refused_in_hadoops_words() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let failure = world.allocate(1, 4, Vec::new()).unwrap_err();
    assert_eq!(class(&failure), "InvalidApplicationMasterRequestException");
    let expected = "Invalid responseId in AllocateRequest from application attempt: appattempt_7_0001_000001 expect \
                    responseId to be 0 but get 4";
    assert_eq!(failure.message, expected);
}

#[test]
fn one_bad_ask_refuses_the_whole_call() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let failure = world
        .allocate(1, 0, vec![ask("*", 100, 1), ask("*", 9999, 1)])
        .unwrap_err();
    assert_eq!(class(&failure), "InvalidResourceRequestException");
    assert!(
        failure
            .message
            .contains("greater than maximum allowed allocation"),
        "{}",
        failure.message
    );
    assert!(world.allocate(1, 0, vec![ask("*", -1, 1)]).is_err());
    assert_eq!(ids(&world.allocate(1, 0, Vec::new()).unwrap()), []);
}

#[test]
fn a_released_container_comes_back_as_aborted() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let granted = world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    let release: Vec<_> = granted
        .allocated_containers
        .iter()
        .filter_map(|one| one.id)
        .collect();
    let request = pb::AllocateRequestProto {
        response_id: Some(1),
        release,
        ..Default::default()
    };
    let response = world.allocate_all(1, request).unwrap();
    assert_eq!(
        ended(&response),
        [(-100, "Container released by application".to_owned())]
    );
    assert_eq!(world.app().containers.len(), 1);
}

#[test]
fn a_container_that_is_started_after_its_release_is_killed() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap());
    world.does(Event::ContainerPreempted(granted[0]));
    world.does(started(granted[0]));
    assert_eq!(
        world.effects,
        [Effect::KillContainer {
            node: node_id(1),
            container: granted[0]
        }]
    );
}

#[test]
fn foreign_containers_cannot_be_released() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let foreign = ContainerId::new(ApplicationId::new(START, 9).attempt(1), 2);
    let request = pb::AllocateRequestProto {
        response_id: Some(0),
        release: vec![foreign.into()],
        ..Default::default()
    };
    let failure = world.allocate_all(1, request).unwrap_err();
    assert_eq!(class(&failure), "InvalidContainerReleaseException");
}

#[test]
fn a_grant_that_is_not_started_in_time_goes_back() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 2)]).unwrap());
    world.does(started(granted[0]));
    assert_eq!(world.rm.next_deadline(), Some(world.now + 5_000));
    world.now += 5_000;
    world.does(Event::DeadlineReached);
    let response = world.allocate(1, 1, Vec::new()).unwrap();
    assert_eq!(
        ended(&response),
        [(-100, "Container expired since it was unused".to_owned())]
    );
    assert!(world.app().containers.contains_key(&granted[0]));
}

#[test]
fn a_master_that_ends_without_unregistering_gets_another_attempt_and_then_none() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    let master = world.master();
    world.ends(master, 0);
    assert_eq!(world.app().attempts.len(), 2);
    assert_eq!(world.app().attempts[0].state, AttemptState::Failed);
    let failure = world.allocate(1, 1, Vec::new()).unwrap_err();
    assert_eq!(class(&failure), "ApplicationAttemptNotFoundException");
    assert!(!world.rm.knows_attempt(attempt(1)) && world.rm.knows_attempt(attempt(2)));
    assert!(
        world
            .register(2)
            .unwrap()
            .containers_from_previous_attempts
            .is_empty()
    );
    let master = world.master();
    world.ends(master, 3);
    assert_eq!(world.app().state, ApplicationState::Failed);
    let text = &world.app().diagnostics;
    assert!(
        text.starts_with(
            "Application application_7_0001 failed 2 times due to AM Container for \
        appattempt_7_0001_000002 exited with  exitCode: 3\nFailing this attempt.Diagnostics: it ended\n"
        ),
        "{text}"
    );
    assert!(text.ends_with(". Failing the application."), "{text}");
}

#[test]
fn kept_containers_are_handed_to_the_next_attempt_with_what_ended_meanwhile() {
    let mut world = World::running(
        Pacing::Immediate,
        1,
        Submission {
            keep_containers: true,
            ..submission()
        },
    );
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 2)]).unwrap());
    granted.iter().for_each(|id| world.does(started(*id)));
    let master = world.master();
    world.ends(master, 137);
    world.ends(granted[0], 5);
    let registered = world.register(2).unwrap();
    assert_eq!(registered.containers_from_previous_attempts.len(), 1);
    assert_eq!(registered.nm_tokens_from_previous_attempts.len(), 1);
    assert_eq!(
        ended(&world.allocate(2, 0, Vec::new()).unwrap()),
        [(5, "it ended\n".to_owned())]
    );
}

#[test]
fn a_master_that_gives_its_own_container_back_is_replaced_and_not_to_blame() {
    let mut world = World::running(
        Pacing::Immediate,
        1,
        Submission {
            keep_containers: true,
            ..submission()
        },
    );
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap());
    world.does(started(granted[0]));
    let release = pb::AllocateRequestProto {
        response_id: Some(1),
        release: vec![world.master().into()],
        ..Default::default()
    };
    world.allocate_all(1, release).unwrap();
    assert!(world.allocate(1, 2, Vec::new()).is_err(), "it is over");
    assert_eq!(
        world.register(2).unwrap().containers_from_previous_attempts.len(),
        1
    );
    let second = world.master();
    world.ends(second, 3);
    assert_eq!(world.app().attempts.len(), 3, "the first end did not count");
}

#[test]
fn with_one_attempt_allowed_every_end_is_the_last() {
    let mut world = World::running(
        Pacing::Immediate,
        1,
        Submission {
            max_attempts: 1,
            ..submission()
        },
    );
    let master = world.master();
    world.ends(master, -100);
    assert_eq!(world.app().state, ApplicationState::Failed);
}

#[test]
fn ends_that_are_not_the_masters_fault_do_not_count() {
    let mut world = World::running(Pacing::Immediate, 2, submission());
    for n in 1..=3 {
        assert_eq!(world.app().attempts.len(), n);
        let master = world.master();
        world.ends(master, -106);
    }
    assert_eq!(world.app().state, ApplicationState::Accepted);
}

#[test]
fn a_silent_master_is_given_up() {
    let mut world = World::running(
        Pacing::Immediate,
        1,
        Submission {
            max_attempts: 1,
            ..submission()
        },
    );
    world.now += 9_999;
    world.does(Event::DeadlineReached);
    assert_eq!(world.app().state, ApplicationState::Running);
    world.now += 1;
    world.does(Event::DeadlineReached);
    let expected = "Application application_7_0001 failed 1 times (global limit =2; local limit is =1) due to \
                    ApplicationMaster for attempt appattempt_7_0001_000001 timed out. Failing the application.";
    assert_eq!(world.app().diagnostics, expected);
}

#[test]
fn a_kill_ends_everything_and_names_who_did_it() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    world.allocate(1, 0, vec![ask("*", 100, 2)]).unwrap();
    let kill = Event::KillRequested {
        application: application(),
        user: "bob".into(),
        diagnostics: None,
    };
    world.does(kill);
    assert!(world.effects.contains(&Effect::EndApplication(application())));
    assert_eq!(world.app().state, ApplicationState::Killed);
    assert!(world.app().diagnostics.contains("was killed by user bob"));
    assert!(!world.rm.knows_attempt(attempt(1)));
}

#[test]
fn the_end_of_a_lifetime_is_a_kill() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let expires_ms = world.now + 50;
    world.does(Event::LifetimeSet {
        application: application(),
        expires_ms,
    });
    assert_eq!(world.rm.next_deadline(), Some(expires_ms));
    world.now = expires_ms;
    world.does(Event::DeadlineReached);
    assert_eq!(world.app().state, ApplicationState::Killed);
    assert!(world.app().diagnostics.contains("exceeded the lifetime period"));
}

#[test]
fn a_lost_node_takes_its_containers_along_and_masters_hear_of_it() {
    let mut world = World::running(Pacing::NodeHeartbeats(Duration::from_secs(1)), 2, submission());
    world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    world.beat(2);
    let granted = ids(&world.allocate(1, 1, Vec::new()).unwrap());
    assert_eq!(granted.len(), 1);
    world.does(Event::NodeLost(node_id(2)));
    let response = world.allocate(1, 2, Vec::new()).unwrap();
    assert_eq!(
        ended(&response),
        [(-100, "Container released on a *lost* node".to_owned())]
    );
    assert_eq!(response.updated_nodes[0].node_state(), pb::NodeStateProto::NsLost);
    assert_eq!(response.num_cluster_nodes(), 1);
}

#[test]
fn with_heartbeats_one_container_from_elsewhere_comes_with_each_turn() {
    let mut world = World::running(Pacing::NodeHeartbeats(Duration::from_secs(1)), 2, submission());
    assert_eq!(ids(&world.allocate(1, 0, vec![ask("*", 100, 3)]).unwrap()), []);
    world.beat(1);
    assert_eq!(ids(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 1);
    world.beat(1);
    world.beat(2);
    assert_eq!(ids(&world.allocate(1, 2, Vec::new()).unwrap()).len(), 2);
}

#[test]
fn with_heartbeats_named_nodes_get_all_their_containers_at_once() {
    let mut world = World::running(Pacing::NodeHeartbeats(Duration::from_secs(1)), 2, submission());
    let asks = vec![ask("127.0.0.1:2", 100, 3), ask("/r", 100, 3), ask("*", 100, 3)];
    world.allocate(1, 0, asks).unwrap();
    world.beat(2);
    assert_eq!(ids(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 3);
}

#[test]
fn after_a_restart_masters_register_and_ask_again_and_keep_what_runs() {
    let mut world = World::running(Pacing::Immediate, 1, keeping());
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 2)]).unwrap());
    world.does(started(granted[0]));
    world.restart_with_nodes();
    let failure = world.allocate(1, 1, Vec::new()).unwrap_err();
    assert_eq!(class(&failure), "ApplicationMasterNotRegisteredException");
    assert!(world.finish(1, FinalStatus::AppSucceeded).is_err());
    let registered = world.register(1).unwrap();
    let known = registered
        .containers_from_previous_attempts
        .iter()
        .filter_map(|one| one.id.as_ref());
    assert_eq!(
        known
            .map(|id| ContainerId::try_from(id).unwrap())
            .collect::<Vec<_>>(),
        [granted[0]]
    );
    let response = world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    assert_eq!(
        (
            ids(&response).len(),
            ended(&response).len(),
            response.updated_nodes.len()
        ),
        (1, 0, 1)
    );
}

#[test]
fn nothing_comes_from_a_node_on_the_blacklist() {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let blacklist = |add: &[&str]| pb::ResourceBlacklistRequestProto {
        blacklist_additions: add.iter().map(|name| (*name).to_owned()).collect(),
        blacklist_removals: Vec::new(),
    };
    let request = pb::AllocateRequestProto {
        response_id: Some(0),
        ask: vec![ask("*", 100, 1)],
        blacklist_request: Some(blacklist(&["127.0.0.1:1"])),
        ..Default::default()
    };
    assert_eq!(ids(&world.allocate_all(1, request).unwrap()), []);
    let request = pb::AllocateRequestProto {
        response_id: Some(1),
        blacklist_request: Some(blacklist(&["*"])),
        ..Default::default()
    };
    let failure = world.allocate_all(1, request).unwrap_err();
    assert_eq!(class(&failure), "InvalidResourceBlacklistRequestException");
}

#[test]
fn who_is_not_registered_is_told_so_and_who_is_twice_too() {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(submission());
    let failure = world.allocate(1, 0, Vec::new()).unwrap_err();
    assert_eq!(class(&failure), "ApplicationMasterNotRegisteredException");
    let failure = world.finish(1, FinalStatus::AppSucceeded).unwrap_err();
    assert_eq!(class(&failure), "ApplicationMasterNotRegisteredException");
    world.register(1).unwrap();
    let failure = world.register(1).unwrap_err();
    assert_eq!(
        failure.message,
        "Application Master is already registered : application_7_0001"
    );
}

/// What may happen in any order; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Submit(bool),
    Register,
    Ask { memory: i64, count: i32, node: u16 },
    ReleaseOne(usize),
    Started(usize),
    Ended(usize, i32),
    Finish,
    Kill,
    Wait(u64),
    Beat(u16),
    Lose(u16),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => any::<bool>().prop_map(Step::Submit),
        4 => Just(Step::Register),
        6 => (1i64..1200, 0i32..5, 0u16..4).prop_map(|(memory, count, node)| Step::Ask { memory, count, node }),
        2 => any::<usize>().prop_map(Step::ReleaseOne),
        3 => any::<usize>().prop_map(Step::Started),
        3 => (any::<usize>(), prop_oneof![Just(0), Just(1), Just(-100)]).prop_map(|(n, exit)| Step::Ended(n, exit)),
        1 => Just(Step::Finish),
        1 => Just(Step::Kill),
        2 => (0u64..12_000).prop_map(Step::Wait),
        6 => (1u16..4).prop_map(Step::Beat),
        1 => (1u16..4).prop_map(Step::Lose),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

fn take_step(world: &mut World, response_id: &mut i32, step: &Step) {
    let current = world
        .rm
        .application(application())
        .and_then(Application::current)
        .map_or(1, |one| one.id.attempt);
    let held: Vec<ContainerId> = world
        .rm
        .applications()
        .flat_map(|one| one.containers.keys().copied())
        .collect();
    let chosen = |n: usize| (!held.is_empty()).then(|| held[n % held.len()]);
    let mut request = pb::AllocateRequestProto {
        response_id: Some(*response_id),
        ..Default::default()
    };
    match step {
        Step::Submit(keep_containers) => world.submit(Submission {
            keep_containers: *keep_containers,
            ..submission()
        }),
        Step::Register => {
            if world.register(current).is_ok() {
                *response_id = 0;
            }
        }
        Step::Ask { memory, count, node } => {
            let name = if *node == 0 {
                "/r".to_owned()
            } else {
                node_id(*node).to_string()
            };
            request.ask = [name.as_str(), "/r", "*"]
                .map(|name| ask(name, *memory, *count))
                .to_vec();
        }
        Step::ReleaseOne(n) => request.release = chosen(*n).into_iter().map(Into::into).collect(),
        Step::Started(n) => chosen(*n).into_iter().for_each(|id| world.does(started(id))),
        Step::Ended(n, exit) => chosen(*n).into_iter().for_each(|id| world.ends(id, *exit)),
        Step::Finish => drop(world.finish(current, FinalStatus::AppSucceeded)),
        Step::Kill => {
            world.does(Event::KillRequested {
                application: application(),
                user: "u".into(),
                diagnostics: None,
            });
        }
        Step::Wait(ms) => {
            world.now += ms;
            world.does(Event::DeadlineReached);
            assert!(world.rm.next_deadline().is_none_or(|at| at > world.now));
        }
        Step::Restart => world.restart_with_nodes(),
        Step::Beat(node) => world.beat(*node),
        Step::Lose(node) => world.does(Event::NodeLost(node_id(*node))),
    }
    if matches!(step, Step::Ask { .. } | Step::ReleaseOne(_))
        && let Ok(response) = world.allocate_all(current, request)
    {
        assert_eq!(response.response_id(), *response_id + 1);
        *response_id += 1;
    }
}

proptest! {
    #[test]
    fn the_books_balance_whatever_happens(immediate: bool, steps in steps()) {
        let pacing = match immediate {
            true => Pacing::Immediate,
            false => Pacing::NodeHeartbeats(Duration::from_secs(1)),
        };
        let mut world = World::new(pacing, 3);
        let mut response_id = 0;
        for step in &steps {
            // World::does checks after every event.
            take_step(&mut world, &mut response_id, step);
        }
    }
}
