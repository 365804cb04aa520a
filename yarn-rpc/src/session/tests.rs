//! The session against hand-written answers. The model ResourceManager is in [`model`].

mod model;

use super::*;
use crate::error::{RemoteException, RpcError};
use crate::proto::{common::TokenProto, yarn as pb};
use crate::records::{AllocationRequestId, Priority, Resource};
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId, NodeId};
use std::time::Duration;

const YARN: &str = "org.apache.hadoop.yarn.exceptions.";

fn attempt() -> ApplicationAttemptId {
    ApplicationId::new(1_717_955_085_543, 1).attempt(1)
}

fn cid(n: u64) -> ContainerId {
    ContainerId::new(attempt(), n)
}

fn identity() -> Identity {
    Identity {
        host: "h".into(),
        rpc_port: None,
        tracking_url: Some("http://h:1".into()),
    }
}

fn ask_named(name: &str, count: u32) -> Ask {
    Ask {
        key: AskKey::named(Priority(1), AllocationRequestId(7), name),
        capability: Resource::new(512, 2),
        count,
        relax_locality: true,
        node_label: None,
    }
}

fn set(name: &str, count: u32, as_of: GrantSeq) -> SessionCommand {
    SessionCommand::SetAsk {
        ask: ask_named(name, count),
        as_of,
    }
}

fn granted(n: u64, node: &str) -> pb::ContainerProto {
    pb::ContainerProto {
        id: Some(cid(n).into()),
        node_id: Some((&NodeId::new(node, 1)).into()),
        priority: Some(pb::PriorityProto { priority: Some(1) }),
        allocation_request_id: Some(7),
        ..Default::default()
    }
}

fn completed(n: u64, exit: i32) -> pb::ContainerStatusProto {
    pb::ContainerStatusProto {
        container_id: Some(cid(n).into()),
        state: Some(pb::ContainerStateProto::CComplete as i32),
        exit_status: Some(exit),
        ..Default::default()
    }
}

fn token(text: &str) -> TokenProto {
    TokenProto {
        identifier: text.as_bytes().to_vec(),
        password: b"p".to_vec(),
        kind: "k".into(),
        service: String::new(),
    }
}

fn thrown(class: &str, message: &str) -> SessionAnswer {
    SessionAnswer::Failed(RpcError::Remote(RemoteException::new(
        &format!("{YARN}{class}"),
        message,
    )))
}

fn reg(response: pb::RegisterApplicationMasterResponseProto) -> SessionAnswer {
    SessionAnswer::Registered(Box::new(response))
}

fn alloc(response: pb::AllocateResponseProto) -> SessionAnswer {
    SessionAnswer::Allocated(Box::new(response))
}

fn broken() -> SessionAnswer {
    SessionAnswer::Failed(RpcError::Closed {
        address: "rm:8030".into(),
    })
}

/// A machine, its clock, and what it did.
struct Session {
    machine: SessionMachine,
    now: Duration,
    events: Vec<SessionEvent>,
    others: Vec<SessionEffect>,
    call: Option<SessionCall>,
    /// When it was asked what was answered last.
    heard: Option<Duration>,
}

impl Session {
    fn new() -> Self {
        let machine = SessionMachine::new(identity(), Pacing::default());
        Self {
            machine,
            now: Duration::from_secs(100),
            events: Vec::new(),
            others: Vec::new(),
            call: None,
            heard: None,
        }
    }

    /// Registered, first (empty) heartbeat not made.
    fn registered() -> Self {
        let mut session = Self::new();
        assert!(matches!(session.next_call(), SessionCall::Register(_)));
        session.answer(reg(pb::RegisterApplicationMasterResponseProto::default()));
        session.events.clear();
        session
    }

    fn input(&mut self, input: SessionInput) {
        let mut effects = Vec::new();
        self.machine.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                SessionEffect::Call(call) => {
                    assert!(self.call.is_none(), "two calls at once");
                    self.call = Some(call);
                }
                SessionEffect::Emit(SessionEvent::RmContact { asked }) => self.heard = Some(asked),
                SessionEffect::Emit(event) => {
                    self.others.push(SessionEffect::Emit(event.clone()));
                    self.events.push(event);
                }
                other => self.others.push(other),
            }
        }
    }

    fn command(&mut self, command: SessionCommand) {
        self.input(SessionInput::Command(command));
    }

    fn answer(&mut self, answer: SessionAnswer) {
        assert!(self.call.take().is_some(), "answer without a call");
        self.input(SessionInput::Answer(answer));
    }

    /// Lets time pass until the next call.
    fn next_call(&mut self) -> SessionCall {
        let due = self.machine.next_deadline().expect("a deadline");
        self.now = self.now.max(due);
        self.input(SessionInput::Timer);
        self.call.clone().expect("a call")
    }

    fn next_heartbeat(&mut self) -> pb::AllocateRequestProto {
        match self.next_call() {
            SessionCall::Allocate(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    /// A heartbeat with this answer; the response id is filled in.
    fn beat(&mut self, mut response: pb::AllocateResponseProto) -> pb::AllocateRequestProto {
        let request = self.next_heartbeat();
        response.response_id = Some(request.response_id() + 1);
        self.answer(alloc(response));
        request
    }

    fn quiet_beat(&mut self) -> pb::AllocateRequestProto {
        self.beat(pb::AllocateResponseProto::default())
    }

    fn take_events(&mut self) -> Vec<SessionEvent> {
        std::mem::take(&mut self.events)
    }

    fn unregister(&mut self) {
        self.command(SessionCommand::Unregister {
            status: FinalStatus::Succeeded,
            diagnostics: "done".into(),
            tracking_url: None,
        });
    }
}

fn with_containers(containers: Vec<pb::ContainerProto>) -> pb::AllocateResponseProto {
    pb::AllocateResponseProto {
        allocated_containers: containers,
        ..Default::default()
    }
}

fn counts(request: &pb::AllocateRequestProto) -> Vec<(&str, i32)> {
    request
        .ask
        .iter()
        .map(|ask| (ask.resource_name(), ask.num_containers()))
        .collect()
}

fn finished(is_unregistered: bool) -> SessionAnswer {
    let is_unregistered = Some(is_unregistered);
    SessionAnswer::Finished(pb::FinishApplicationMasterResponseProto { is_unregistered })
}

#[test]
fn registers_first_and_tells_what_the_cluster_allows() {
    let mut session = Session::new();
    let SessionCall::Register(request) = session.next_call() else {
        panic!()
    };
    assert_eq!(
        (request.host(), request.rpc_port(), request.tracking_url()),
        ("h", -1, "http://h:1")
    );
    session.answer(reg(pb::RegisterApplicationMasterResponseProto {
        maximum_capability: Some((&Resource::new(8192, 4)).into()),
        queue: Some("root.default".into()),
        containers_from_previous_attempts: vec![granted(9, "n1")],
        nm_tokens_from_previous_attempts: vec![pb::NmTokenProto {
            node_id: Some((&NodeId::new("n1", 1)).into()),
            token: Some(token("nm")),
        }],
        scheduler_resource_types: vec![0, 1],
        ..Default::default()
    }));
    assert!(
        matches!(session.others[0], SessionEffect::StoreNmToken(_)),
        "token before containers"
    );
    let [SessionEvent::Registered(registration)] = session.events.as_slice() else {
        panic!()
    };
    assert_eq!(registration.maximum, Some(Resource::new(8192, 4)));
    assert_eq!(registration.previous[0].id, cid(9));
    assert!(registration.schedules_cores);
}

#[test]
fn an_answer_is_as_old_as_its_question() {
    let mut session = Session::registered();
    session.next_heartbeat();
    let asked = session.now;
    session.now += Duration::from_secs(60);
    session.answer(alloc(pb::AllocateResponseProto {
        response_id: Some(1),
        ..Default::default()
    }));
    assert_eq!(session.heard, Some(asked));
}

#[test]
fn asks_given_before_registration_go_into_the_first_heartbeat_at_once() {
    let mut session = Session::new();
    session.command(set("*", 3, GrantSeq::default()));
    session.next_call();
    session.answer(reg(pb::RegisterApplicationMasterResponseProto::default()));
    let before = session.now;
    assert_eq!(counts(&session.quiet_beat()), [("*", 3)]);
    assert_eq!(session.now, before);
}

#[test]
fn every_ask_carries_priority_and_execution_type() {
    let mut session = Session::registered();
    session.command(set("*", 1, GrantSeq::default()));
    let ask = session.quiet_beat().ask.remove(0);
    assert_eq!(ask.priority.unwrap().priority, Some(1));
    assert_eq!(
        ask.execution_type_request.unwrap().execution_type,
        Some(pb::ExecutionTypeProto::Guaranteed as i32)
    );
    assert_eq!(
        (ask.allocation_request_id, ask.relax_locality),
        (Some(7), Some(true))
    );
}

#[test]
fn one_heartbeat_carries_all_commands_and_the_next_one_nothing() {
    let mut session = Session::registered();
    for (name, count) in [("n1", 1), ("/r", 2), ("*", 2)] {
        session.command(set(name, count, GrantSeq::default()));
    }
    session.command(SessionCommand::Blacklist {
        add: vec!["bad".into()],
        remove: Vec::new(),
    });
    session.command(SessionCommand::Progress(0.5));
    session.command(SessionCommand::Progress(f32::NAN));
    session.command(SessionCommand::TrackingUrl("http://h:2".into()));
    session.command(SessionCommand::Release(cid(4)));
    let first = session.quiet_beat();
    assert_eq!(counts(&first), [("*", 2), ("/r", 2), ("n1", 1)]);
    assert_eq!(first.blacklist_request.unwrap().blacklist_additions, ["bad"]);
    assert_eq!(
        (first.progress, first.tracking_url.as_deref()),
        (Some(0.5), Some("http://h:2"))
    );
    assert_eq!(first.release, [cid(4).into()]);
    let second = session.quiet_beat();
    assert_eq!((second.response_id, second.progress), (Some(1), Some(0.5)));
    assert!(second.ask.is_empty() && second.release.is_empty());
    assert!(second.blacklist_request.is_none() && second.tracking_url.is_none());
}

#[test]
fn grants_lower_node_rack_and_any_before_anything_else_is_sent() {
    let mut session = Session::registered();
    for (name, count) in [("n1", 2), ("/r", 3), ("*", 4)] {
        session.command(set(name, count, GrantSeq::default()));
    }
    session.quiet_beat();
    session.beat(with_containers(vec![granted(2, "n1"), granted(3, "elsewhere")]));
    let Some(SessionEvent::Allocated { containers, seq }) = session.take_events().pop() else {
        panic!()
    };
    assert_eq!(containers.len(), 2);
    // The owner has seen the grants: unchanged wishes are not sent again.
    for (name, count) in [("n1", 1), ("/r", 1), ("*", 2)] {
        session.command(set(name, count, seq));
    }
    assert!(counts(&session.quiet_beat()).is_empty());
}

#[test]
fn a_count_from_before_the_grants_does_not_ask_for_them_again() {
    let mut session = Session::registered();
    session.command(set("*", 10, GrantSeq::default()));
    session.quiet_beat();
    session.beat(with_containers(vec![
        granted(2, "n"),
        granted(3, "n"),
        granted(4, "n"),
    ]));
    // The owner wants two more and has not read its mail.
    session.command(set("*", 12, GrantSeq::default()));
    assert_eq!(counts(&session.quiet_beat()), [("*", 9)]);
    // Now it has.
    session.command(set("*", 9, GrantSeq(1)));
    assert!(counts(&session.quiet_beat()).is_empty());
    session.command(set("*", 0, GrantSeq(1)));
    assert_eq!(counts(&session.quiet_beat()), [("*", 0)]);
}

#[test]
fn a_lost_answer_makes_the_same_request_again_and_later_wishes_wait() {
    let mut session = Session::registered();
    session.command(set("*", 2, GrantSeq::default()));
    let first = session.next_heartbeat();
    session.command(set("*", 5, GrantSeq::default()));
    session.answer(broken());
    assert!(matches!(
        &session.take_events()[..],
        [SessionEvent::CallFailed {
            method: "allocate",
            ..
        }]
    ));
    assert_eq!(session.beat(with_containers(vec![granted(2, "n")])), first);
    assert_eq!(counts(&session.quiet_beat()), [("*", 4)]);
}

#[test]
fn failed_calls_are_repeated_with_growing_pauses() {
    let mut session = Session::registered();
    let mut pauses = Vec::new();
    session.next_heartbeat();
    for _ in 0..4 {
        session.answer(broken());
        pauses.push((session.machine.next_deadline().unwrap() - session.now).as_millis());
        session.next_heartbeat();
    }
    assert_eq!(pauses, [100, 200, 400, 800]);
}

#[test]
fn heartbeats_slow_down_and_a_nudge_brings_them_back() {
    let mut session = Session::registered();
    let gap = |session: &mut Session| {
        let before = session.now;
        session.quiet_beat();
        (session.now - before).as_millis()
    };
    for _ in 0..12 {
        gap(&mut session);
    }
    assert_eq!(gap(&mut session), 3000);
    session.command(SessionCommand::Nudge);
    assert_eq!(gap(&mut session), 200);
    session.now += Duration::from_secs(1);
    session.command(SessionCommand::Nudge);
    assert_eq!(gap(&mut session), 0);
}

#[test]
fn tokens_come_before_the_containers_of_the_same_answer() {
    let mut session = Session::registered();
    session.beat(pb::AllocateResponseProto {
        am_rm_token: Some(token("rolled")),
        nm_tokens: vec![pb::NmTokenProto {
            node_id: Some((&NodeId::new("n", 1)).into()),
            token: Some(token("nm")),
        }],
        ..with_containers(vec![granted(2, "n")])
    });
    let kinds: Vec<_> = session.others.iter().rev().take(3).rev().collect();
    let [
        SessionEffect::UseToken(rolled),
        SessionEffect::StoreNmToken(_),
        SessionEffect::Emit(_),
    ] = kinds[..]
    else {
        panic!("{kinds:?}")
    };
    assert_eq!(rolled.identifier, b"rolled");
}

#[test]
fn an_end_is_told_once() {
    let mut session = Session::registered();
    let ends = || pb::AllocateResponseProto {
        completed_container_statuses: vec![completed(2, 0), completed(3, -100)],
        ..Default::default()
    };
    session.beat(ends());
    session.beat(ends());
    let [SessionEvent::Completed(statuses)] = &session.take_events()[..] else {
        panic!()
    };
    assert_eq!(
        statuses.iter().map(|s| s.exit_status).collect::<Vec<_>>(),
        [0, -100]
    );
}

#[test]
fn a_forgotten_session_registers_and_sends_everything_outstanding_again() {
    let mut session = Session::registered();
    for (name, count) in [("n1", 2), ("/r", 4), ("*", 4)] {
        session.command(set(name, count, GrantSeq::default()));
    }
    session.command(SessionCommand::Blacklist {
        add: vec!["b1".into(), "b2".into()],
        remove: Vec::new(),
    });
    session.beat(with_containers(vec![
        granted(2, "n1"),
        granted(3, "n1"),
        granted(4, "n2"),
        granted(5, "n2"),
    ]));
    session.command(SessionCommand::Started(cid(2)));
    session.command(SessionCommand::Release(cid(2)));
    session.command(SessionCommand::Release(cid(4)));
    session.command(SessionCommand::Blacklist {
        add: Vec::new(),
        remove: vec!["b2".into()],
    });
    session.quiet_beat();
    session.take_events();

    session.next_heartbeat();
    session.answer(thrown(
        "ApplicationMasterNotRegisteredException",
        "AM should re-register.",
    ));
    assert!(matches!(session.next_call(), SessionCall::Register(_)));
    session.answer(reg(pb::RegisterApplicationMasterResponseProto {
        containers_from_previous_attempts: vec![granted(2, "n1"), granted(5, "n2")],
        ..Default::default()
    }));
    let events = session.take_events();
    let [
        SessionEvent::Resynced {
            dropped,
            recovered,
            seq,
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    // 3 was never started; 4 was given back; 5 runs, as the ResourceManager says itself.
    assert_eq!(dropped, &[cid(3), cid(4)]);
    assert_eq!(recovered.len(), 2);
    assert_eq!(*seq, GrantSeq(2));

    let request = session.quiet_beat();
    assert_eq!(request.response_id, Some(0));
    // All four had been granted; only 3 is asked for again, with the names it came by.
    assert_eq!(counts(&request), [("*", 1), ("/r", 1), ("n1", 1)]);
    assert_eq!(request.release, [cid(2).into()]);
    assert_eq!(request.blacklist_request.unwrap().blacklist_additions, ["b1"]);
}

#[test]
fn an_attempt_that_is_over_stops_without_a_word() {
    let not_found = || {
        thrown(
            "ApplicationAttemptNotFoundException",
            "appattempt_1 doesn't exist",
        )
    };
    let token = || {
        let class = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
        let exception = RemoteException::new(class, "not found in AMRMTokenSecretManager.");
        SessionAnswer::Failed(RpcError::Refused {
            address: "rm".into(),
            exception,
        })
    };
    let shut_down = || {
        let command = Some(pb::AmCommandProto::AmShutdown as i32);
        alloc(pb::AllocateResponseProto {
            a_m_command: command,
            ..Default::default()
        })
    };
    for answer in [not_found(), token(), shut_down()] {
        let mut session = Session::registered();
        session.next_heartbeat();
        session.answer(answer);
        assert!(matches!(
            &session.take_events()[..],
            [SessionEvent::Superseded { .. }]
        ));
        assert!(session.machine.is_over());
        assert_eq!(session.machine.next_deadline(), None);
    }
}

#[test]
fn a_bad_ask_is_found_reported_and_removed_while_the_others_pass() {
    let mut session = Session::registered();
    for name in ["a", "b", "c"] {
        session.command(set(name, 1, GrantSeq::default()));
    }
    session.command(SessionCommand::Release(cid(8)));
    assert_eq!(session.next_heartbeat().ask.len(), 3);
    let bad = || {
        thrown(
            "InvalidResourceRequestException",
            "Cannot allocate containers as requested resource is greater",
        )
    };
    session.answer(bad());
    assert_eq!(counts(&session.quiet_beat()), [("a", 1)]);
    let request = session.next_heartbeat();
    assert_eq!((counts(&request), request.response_id), (vec![("b", 1)], Some(1)));
    session.answer(bad());
    let [SessionEvent::AskRefused { key, message }] = &session.take_events()[..] else {
        panic!()
    };
    assert_eq!(key.resource_name, "b");
    assert!(message.starts_with("Cannot allocate"));
    assert_eq!(counts(&session.quiet_beat()), [("c", 1)]);
    assert!(counts(&session.quiet_beat()).is_empty());
}

#[test]
fn refused_releases_and_blacklists_are_dropped_and_the_rest_is_sent() {
    let mut session = Session::registered();
    session.command(set("*", 1, GrantSeq::default()));
    session.command(SessionCommand::Release(cid(8)));
    session.command(SessionCommand::Blacklist {
        add: vec!["*".into()],
        remove: Vec::new(),
    });
    session.next_heartbeat();
    session.answer(thrown(
        "InvalidResourceBlacklistRequestException",
        "Cannot add * to the blacklist!",
    ));
    session.next_heartbeat();
    session.answer(thrown("InvalidContainerReleaseException", "not yours"));
    let events = session.take_events();
    assert!(matches!(&events[0], SessionEvent::BlacklistRefused { names, .. } if names == &["*"]));
    assert!(matches!(&events[1], SessionEvent::ReleaseRefused { containers, .. } if containers == &[cid(8)]));
    let request = session.quiet_beat();
    assert_eq!(counts(&request), [("*", 1)]);
    assert!(request.release.is_empty() && request.blacklist_request.is_none());
}

#[test]
fn an_unexpected_response_id_is_corrected_by_the_resource_managers_word() {
    let mut session = Session::registered();
    session.command(set("*", 1, GrantSeq::default()));
    session.next_heartbeat();
    let text = "Invalid responseId in AllocateRequest from application attempt: x, expect responseId to be 3 but get 0";
    session.answer(thrown("InvalidApplicationMasterRequestException", text));
    let request = session.quiet_beat();
    assert_eq!((request.response_id, counts(&request)), (Some(3), vec![("*", 1)]));
}

#[test]
fn a_registration_whose_answer_was_lost_counts() {
    let mut session = Session::new();
    session.next_call();
    session.answer(broken());
    session.next_call();
    let text = "Application Master is already registered : application_1_0001";
    session.answer(thrown("InvalidApplicationMasterRequestException", text));
    let last = session.take_events().pop();
    assert_eq!(last, Some(SessionEvent::Registered(Registration::default())));
    session.quiet_beat();
}

#[test]
fn the_end_is_repeated_until_it_is_stored() {
    let mut session = Session::registered();
    session.unregister();
    let SessionCall::Finish(request) = session.next_call() else {
        panic!()
    };
    assert_eq!(
        request.final_application_status,
        Some(pb::FinalApplicationStatusProto::AppSucceeded as i32)
    );
    assert_eq!(request.diagnostics(), "done");
    session.answer(finished(false));
    let before = session.now;
    session.next_call();
    assert_eq!((session.now - before).as_millis(), 100);
    session.answer(finished(true));
    assert_eq!(session.take_events(), [SessionEvent::Unregistered]);
    assert!(session.machine.is_over());
}

#[test]
fn the_end_waits_for_the_heartbeat_under_way_and_loses_nothing_of_it() {
    let mut session = Session::registered();
    session.next_heartbeat();
    session.unregister();
    assert_eq!(session.machine.next_deadline(), None);
    let response = pb::AllocateResponseProto {
        response_id: Some(1),
        completed_container_statuses: vec![completed(2, 0)],
        ..Default::default()
    };
    session.answer(alloc(response));
    assert!(matches!(&session.take_events()[..], [SessionEvent::Completed(_)]));
    assert!(matches!(session.next_call(), SessionCall::Finish(_)));
}

#[test]
fn a_heartbeat_that_fails_does_not_hold_up_the_end() {
    let mut session = Session::registered();
    session.next_heartbeat();
    session.unregister();
    session.answer(broken());
    assert!(matches!(session.next_call(), SessionCall::Finish(_)));
}

#[test]
fn a_forgotten_session_registers_once_more_to_end() {
    let mut session = Session::registered();
    session.unregister();
    session.next_call();
    session.answer(thrown("ApplicationMasterNotRegisteredException", ""));
    assert!(matches!(session.next_call(), SessionCall::Register(_)));
    session.answer(reg(pb::RegisterApplicationMasterResponseProto::default()));
    assert!(matches!(session.next_call(), SessionCall::Finish(_)));
}

#[test]
fn an_end_before_registration_registers_first() {
    let mut session = Session::new();
    session.unregister();
    assert!(matches!(session.next_call(), SessionCall::Register(_)));
    session.answer(reg(pb::RegisterApplicationMasterResponseProto::default()));
    assert!(matches!(session.next_call(), SessionCall::Finish(_)));
}

#[test]
fn an_application_that_is_gone_is_ended_only_if_we_ended_it() {
    let gone = || {
        thrown(
            "InvalidApplicationMasterRequestException",
            "Application doesn't exist in cache appattempt_1",
        )
    };
    let mut session = Session::registered();
    session.unregister();
    session.next_call();
    session.answer(broken());
    session.next_call();
    session.answer(gone());
    assert_eq!(session.take_events().pop(), Some(SessionEvent::Unregistered));

    let mut session = Session::registered();
    session.unregister();
    session.next_call();
    session.answer(gone());
    assert!(matches!(
        session.take_events().pop(),
        Some(SessionEvent::Superseded { .. })
    ));
}

#[test]
fn an_unusable_container_is_reported_and_the_others_are_kept() {
    let mut session = Session::registered();
    session.beat(with_containers(vec![
        pb::ContainerProto::default(),
        granted(2, "n"),
    ]));
    let events = session.take_events();
    assert!(
        matches!(&events[0], SessionEvent::CallFailed { .. }),
        "{events:?}"
    );
    assert!(matches!(&events[1], SessionEvent::Allocated { containers, .. } if containers.len() == 1));
}

#[test]
fn preemption_names_both_kinds() {
    let mut session = Session::registered();
    let entry = |n| pb::PreemptionContainerProto {
        id: Some(cid(n).into()),
    };
    session.beat(pb::AllocateResponseProto {
        preempt: Some(pb::PreemptionMessageProto {
            strict_contract: Some(pb::StrictPreemptionContractProto {
                container: vec![entry(2)],
            }),
            contract: Some(pb::PreemptionContractProto {
                resource: Vec::new(),
                container: vec![entry(3)],
            }),
        }),
        ..Default::default()
    });
    let expected = SessionEvent::Preemption {
        strict: vec![cid(2)],
        negotiable: vec![cid(3)],
    };
    assert_eq!(session.take_events(), [expected]);
}

#[test]
fn intervals_can_be_changed_and_progress_is_told_within_its_own() {
    let mut session = Session::registered();
    let gap = |session: &mut Session| {
        let before = session.now;
        let request = session.quiet_beat();
        ((session.now - before).as_millis(), request.progress())
    };
    let (pending, idle) = (Duration::from_millis(50), Duration::from_secs(10));
    session.command(SessionCommand::SetIntervals { pending, idle });
    for _ in 0..12 {
        gap(&mut session);
    }
    assert_eq!(gap(&mut session), (10_000, 0.0));
    session.command(SessionCommand::Progress(0.5));
    assert_eq!(gap(&mut session), (1000, 0.5));
    assert_eq!(gap(&mut session), (10_000, 0.5));
}
