//! Behaviours of the session one by one, then whole conversations in random order.

use proptest::prelude::*;
use wire::amounts::Amounts;
use wire::failure::{FailureCause, KillReason};
use wire::id::ExecutorId;
use wire::task::{Body, Capture, Feed, TaskMetrics, TaskResult, TaskSpec};
use wire::version::PROTOCOL;

use super::leaving::{STOP_GRACE, STOP_LIMIT};
use super::*;
use crate::reports::Reports;

mod ahead;

const BOOT: BootNonce = BootNonce(7);
const WELCOME: Welcome = Welcome {
    heartbeat: Duration::from_secs(3),
    silence: Duration::from_secs(15),
    am_lost_ttl: Duration::from_secs(900),
};
const STAGE: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        build: "b".to_owned(),
        application: "application_1_0001".to_owned(),
        executor: "container_1_0001_01_000002".parse::<ExecutorId>().unwrap(),
        host: "node".to_owned(),
        pid: 1,
        slots: 2,
        memory: 1,
        started_unix_ms: 0,
        running: Vec::new(),
    }
}

fn stage() -> StageSpec {
    StageSpec {
        key: STAGE,
        name: "count".to_owned(),
        tasks: 10,
        body: Body::Shell("true".to_owned()),
        environment: Vec::new(),
        feed: Feed::None,
        capture: Capture::Log,
        output: None,
        files: Vec::new(),
        timeout: None,
        memory_limit: None,
        cores: 1,
        resources: Amounts::default(),
        results: None,
    }
}

fn id(partition: u32) -> TaskAttemptId {
    TaskAttemptId {
        stage: STAGE,
        partition,
        attempt: 0,
    }
}

fn task(partition: u32) -> TaskSpec {
    TaskSpec {
        id: id(partition),
        item: None,
        inputs: Vec::new(),
    }
}

fn launch(partition: u32) -> GatewayMessage {
    GatewayMessage::Launch {
        stages: vec![stage()],
        tasks: vec![task(partition)],
    }
}

struct Talk {
    session: Session,
    start: Instant,
    now: Instant,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(hello(), Shares::default(), BOOT, Epoch(1), now),
            start: now,
            now,
        }
    }

    fn serving() -> Self {
        let mut talk = Self::new();
        talk.tick();
        talk.event(Event::Connected);
        talk.hear(GatewayMessage::Welcome(WELCOME));
        talk
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.handle(self.now, event, &mut effects);
        effects
    }

    /// Goes on to the next deadline.
    fn tick(&mut self) -> Vec<Effect> {
        self.now = self.session.next_deadline().unwrap().max(self.now);
        self.event(Event::Tick)
    }

    fn hear(&mut self, message: GatewayMessage) -> Vec<Effect> {
        self.hear_from(1, message)
    }

    fn hear_from(&mut self, epoch: u32, message: GatewayMessage) -> Vec<Effect> {
        self.event(Event::Received(Envelope {
            epoch: Epoch(epoch),
            boot: BOOT,
            message,
        }))
    }

    fn end(&mut self, partition: u32) -> Vec<Effect> {
        self.event(Event::TaskEnded {
            id: id(partition),
            end: TaskEnd::new(TaskMetrics::default(), Ok(())),
            next: None,
        })
    }

    /// Loses the connection and is welcomed on a new one.
    fn reconnect(&mut self) -> Vec<Effect> {
        self.event(Event::ConnectionLost("test".to_owned()));
        self.tick();
        let mut effects = self.event(Event::Connected);
        effects.extend(self.hear(GatewayMessage::Welcome(WELCOME)));
        effects
    }

    fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }
}

fn sent(effects: &[Effect]) -> Vec<&ExecutorMessage> {
    effects.iter().filter_map(frame).collect()
}

fn frame(effect: &Effect) -> Option<&ExecutorMessage> {
    match effect {
        Effect::Send(envelope) => Some(&envelope.message),
        _ => None,
    }
}

fn finished(effects: &[Effect]) -> Vec<u64> {
    let sequence = |message: &ExecutorMessage| match message {
        ExecutorMessage::TaskFinished(report) => Some(report.sequence),
        _ => None,
    };
    sent(effects).into_iter().filter_map(sequence).collect()
}

fn launches(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Launch { .. }))
        .count()
}

#[test]
fn it_dials_at_once_and_says_hello() {
    let mut talk = Talk::new();
    assert_eq!(talk.tick(), [Effect::Dial(Lookup::Known)]);
    assert_eq!(talk.elapsed(), Duration::ZERO);
    assert!(matches!(
        sent(&talk.event(Event::Connected))[..],
        [ExecutorMessage::Hello(_)]
    ));
}

#[test]
fn it_gives_up_when_it_is_never_welcomed() {
    let mut talk = Talk::new();
    let effects = loop {
        let effects = talk.tick();
        match effects.as_slice() {
            [Effect::Dial(_)] => drop(talk.event(Event::ConnectionLost("refused".to_owned()))),
            _ => break effects,
        }
    };
    assert_eq!(talk.elapsed(), REGISTER_LIMIT);
    assert_eq!(effects.last(), Some(&Effect::Leave(Ending::UNREACHABLE)));
    assert_eq!(talk.session.next_deadline(), None);
}

#[test]
fn a_gateway_that_never_answers_a_hello_is_dialed_again() {
    let mut talk = Talk::new();
    talk.tick();
    talk.event(Event::Connected);
    assert_eq!(talk.tick(), [Effect::Disconnect]);
    assert_eq!(talk.elapsed(), GREETING_LIMIT);
    assert_eq!(talk.tick(), [Effect::Dial(Lookup::Continue)]);
}

#[test]
fn each_loss_of_a_connection_that_held_begins_a_search() {
    let mut talk = Talk::serving();
    for _ in 0..2 {
        talk.event(Event::ConnectionLost("reset".to_owned()));
        assert_eq!(talk.tick(), [Effect::Dial(Lookup::Begin)]);
        talk.event(Event::ConnectionLost("refused".to_owned()));
        assert_eq!(talk.tick(), [Effect::Dial(Lookup::Continue)]);
        talk.event(Event::Connected);
        talk.hear(GatewayMessage::Welcome(WELCOME));
    }
}

#[test]
fn heartbeats_go_out_at_the_interval_that_was_asked_for() {
    let mut talk = Talk::serving();
    talk.hear(launch(3));
    let effects = talk.tick();
    assert_eq!(
        effects,
        [Effect::SendHeartbeat {
            epoch: Epoch(1),
            sequence: 1,
            running: vec![id(3)],
            waiting: Vec::new(),
        }]
    );
    assert_eq!(talk.elapsed(), WELCOME.heartbeat);
    talk.tick();
    assert_eq!(talk.elapsed(), WELCOME.heartbeat * 2);
}

#[test]
fn a_gateway_cannot_ask_for_a_busy_loop() {
    let mut talk = Talk::new();
    talk.tick();
    talk.event(Event::Connected);
    talk.hear(GatewayMessage::Welcome(Welcome {
        heartbeat: Duration::ZERO,
        silence: Duration::ZERO,
        ..WELCOME
    }));
    talk.tick();
    assert_eq!(talk.elapsed(), SHORTEST_HEARTBEAT);
}

#[test]
fn silence_ends_the_connection_but_no_task() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    let effects = loop {
        let effects = talk.tick();
        if !matches!(effects[..], [Effect::SendHeartbeat { .. }]) {
            break effects;
        }
    };
    assert_eq!(effects, [Effect::Disconnect]);
    assert_eq!(talk.elapsed(), WELCOME.silence);
    assert_eq!(held(&talk), [id(0)]);
}

#[test]
fn an_orphan_finishes_its_tasks_keeps_the_reports_and_leaves_after_its_time() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    talk.event(Event::ConnectionLost("reset".to_owned()));
    assert_eq!(talk.end(0), []);
    let effects = loop {
        let effects = talk.tick();
        match effects.as_slice() {
            [Effect::Dial(_)] => drop(talk.event(Event::ConnectionLost("refused".to_owned()))),
            _ => break effects,
        }
    };
    assert_eq!(talk.elapsed(), WELCOME.am_lost_ttl);
    assert_eq!(effects.last(), Some(&Effect::Leave(Ending::UNREACHABLE)));
}

#[test]
fn an_orphan_leaves_when_the_application_is_over() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    talk.event(Event::ConnectionLost("reset".to_owned()));
    assert_eq!(talk.tick(), [Effect::Dial(Lookup::Begin)]);
    let effects = talk.event(Event::ApplicationOver("it succeeded".to_owned()));
    assert!(matches!(effects[..], [Effect::Cancel { .. }]), "{effects:?}");
    assert_eq!(talk.end(0), [Effect::Leave(Ending::DONE)]);
}

#[test]
fn a_report_is_sent_again_until_it_is_acknowledged() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    assert_eq!(finished(&talk.end(0)), [1]);
    let effects = talk.reconnect();
    assert_eq!(finished(&effects), [1]);
    let held = sent(&effects).into_iter().find_map(|message| match message {
        ExecutorMessage::Hello(hello) => Some(hello.running.clone()),
        _ => None,
    });
    assert_eq!(
        held,
        Some(vec![id(0)]),
        "nobody else may run what we are about to report"
    );
    talk.hear(GatewayMessage::Acknowledge { sequences: vec![1] });
    assert_eq!(finished(&talk.reconnect()), [0; 0]);
}

#[test]
fn what_a_lost_connection_swallowed_is_said_again() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    talk.hear(launch(1));
    talk.event(Event::TaskStarted { id: id(0), pid: 10 });
    talk.event(Event::ConnectionLost("reset".to_owned()));
    talk.event(Event::CommitWanted { id: id(0) });
    talk.event(Event::TaskStarted { id: id(1), pid: 11 });
    talk.tick();
    talk.event(Event::Connected);
    let effects = talk.hear(GatewayMessage::Welcome(WELCOME));
    let expected = [
        &ExecutorMessage::TaskStarted { id: id(0), pid: 10 },
        &ExecutorMessage::TaskStarted { id: id(1), pid: 11 },
        &ExecutorMessage::CommitRequest { id: id(0) },
    ];
    assert_eq!(sent(&effects), expected);
}

#[test]
fn an_attempt_that_is_held_is_not_launched_again() {
    let mut talk = Talk::serving();
    assert_eq!(launches(&talk.hear(launch(0))), 1);
    assert_eq!(launches(&talk.hear(launch(0))), 0);
    talk.end(0);
    assert_eq!(launches(&talk.hear(launch(0))), 0);
}

#[test]
fn a_task_of_an_unknown_stage_fails_and_is_reported() {
    let mut talk = Talk::serving();
    let effects = talk.hear(GatewayMessage::Launch {
        stages: Vec::new(),
        tasks: vec![task(0)],
    });
    let [ExecutorMessage::TaskFinished(report)] = sent(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert!(matches!(
        report.outcome.as_ref().unwrap_err().cause,
        FailureCause::StartFailed(_)
    ));
}

#[test]
fn a_commit_is_decided_once_and_only_for_those_who_asked() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    let granted = || GatewayMessage::CommitDecision {
        id: id(0),
        granted: true,
    };
    assert_eq!(talk.hear(granted()), []);
    talk.event(Event::CommitWanted { id: id(0) });
    assert_eq!(
        talk.hear(granted()),
        [Effect::DecideCommit {
            id: id(0),
            granted: true
        }]
    );
    assert_eq!(talk.hear(granted()), []);
}

#[test]
fn a_lower_epoch_changes_nothing_and_a_higher_one_is_obeyed() {
    let mut talk = Talk::serving();
    assert_eq!(launches(&talk.hear_from(2, launch(0))), 1);
    assert_eq!(talk.hear_from(1, launch(1)), []);
    assert_eq!(
        talk.hear_from(
            1,
            GatewayMessage::Shutdown {
                reason: String::new(),
                grace: Duration::ZERO
            }
        ),
        []
    );
    assert_eq!(held(&talk), [id(0)]);
}

#[test]
fn an_old_application_master_that_welcomes_us_is_left() {
    let mut talk = Talk::serving();
    talk.hear_from(2, launch(0));
    talk.event(Event::ConnectionLost("reset".to_owned()));
    talk.tick();
    talk.event(Event::Connected);
    assert_eq!(
        talk.hear_from(1, GatewayMessage::Welcome(WELCOME)),
        [Effect::Disconnect]
    );
}

#[test]
fn a_message_for_another_life_of_this_executor_changes_nothing() {
    let mut talk = Talk::serving();
    let effects = talk.event(Event::Received(Envelope {
        epoch: Epoch(1),
        boot: BootNonce(8),
        message: launch(0),
    }));
    assert_eq!(effects, []);
}

#[test]
fn each_refusal_ends_the_executor() {
    let endings = [
        (Refusal::Ending, Ending::DONE),
        (Refusal::Fenced, Ending::DONE),
        (Refusal::Build, Ending::REFUSED),
        (Refusal::ProtocolVersion, Ending::REFUSED),
        (Refusal::UnknownExecutor, Ending::REFUSED),
        (Refusal::WrongApplication, Ending::REFUSED),
        (Refusal::Unspecified, Ending::REFUSED),
    ];
    for (reason, ending) in endings {
        let mut talk = Talk::new();
        talk.tick();
        talk.event(Event::Connected);
        let effects = talk.hear(GatewayMessage::Refused {
            reason,
            message: String::new(),
        });
        assert_eq!(effects, [Effect::Leave(ending)], "{reason:?}");
    }
}

#[test]
fn a_shutdown_ends_the_tasks_and_reports_them_before_leaving() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    let grace = Duration::from_secs(9);
    let effects = talk.hear(GatewayMessage::Shutdown {
        reason: String::new(),
        grace,
    });
    assert_eq!(
        effects,
        [Effect::Cancel {
            id: id(0),
            reason: KillReason::ExecutorStopping,
            grace
        }]
    );
    let effects = talk.end(0);
    assert_eq!(finished(&effects), [1]);
    assert_eq!(effects.last(), Some(&Effect::Leave(Ending::DONE)));
}

#[test]
fn a_signal_ends_everything_within_the_time_that_yarn_gives() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    let effects = talk.event(Event::Stopped { signal: 15 });
    assert!(matches!(sent(&effects)[..], [ExecutorMessage::Goodbye { .. }]));
    assert!(matches!(
        effects[1],
        Effect::Cancel {
            grace: STOP_GRACE,
            ..
        }
    ));
    assert_eq!(talk.tick(), [Effect::Leave(Ending::Signal(15))]);
    assert_eq!(talk.elapsed(), STOP_LIMIT);
}

#[test]
fn nothing_is_launched_while_leaving() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    talk.hear(GatewayMessage::Shutdown {
        reason: String::new(),
        grace: Duration::from_secs(9),
    });
    assert_eq!(talk.hear(launch(1)), []);
}

fn held(talk: &Talk) -> Vec<TaskAttemptId> {
    talk.session.held.iter().copied().collect()
}

fn launch_many(partitions: std::ops::Range<u32>) -> GatewayMessage {
    GatewayMessage::Launch {
        stages: vec![stage()],
        tasks: partitions.map(task).collect(),
    }
}

fn launched(effects: &[Effect]) -> Vec<u32> {
    let launches = effects.iter().filter_map(|effect| match effect {
        Effect::Launch { task, .. } => Some(task.id.partition),
        _ => None,
    });
    launches.collect()
}

#[test]
fn what_is_sent_ahead_begins_in_order_as_slots_become_free() {
    let mut talk = Talk::serving();
    assert_eq!(launched(&talk.hear(launch_many(0..5))), [0, 1]);
    assert_eq!(launched(&talk.end(1)), [2]);
    assert_eq!(launched(&talk.end(0)), [3]);
    let waits = talk.tick();
    let Effect::SendHeartbeat { running, waiting, .. } = &waits[0] else {
        panic!("{waits:?}");
    };
    assert_eq!((&running[..], &waiting[..]), (&[id(2), id(3)][..], &[id(4)][..]));
}

#[test]
fn a_commit_that_nobody_can_allow_keeps_no_slot() {
    let mut talk = Talk::serving();
    assert_eq!(launched(&talk.hear(launch_many(0..5))), [0, 1]);
    assert_eq!(launched(&talk.event(Event::CommitWanted { id: id(0) })), [0; 0]);
    let lost = Event::ConnectionLost("reset".to_owned());
    assert_eq!(launched(&talk.event(lost)), [2]);
    assert_eq!(launched(&talk.event(Event::CommitWanted { id: id(1) })), [3]);
    talk.reconnect();
    let granted = true;
    talk.hear(GatewayMessage::CommitDecision { id: id(0), granted });
    assert_eq!(launched(&talk.end(0)), [0; 0], "its slot is in use");
    assert_eq!(launched(&talk.end(2)), [4]);
    talk.end(1);
    assert_eq!(launched(&talk.hear(launch_many(5..6))), [0; 0]);
    assert_eq!(launched(&talk.end(3)), [5]);
}

#[test]
fn a_commit_keeps_no_slot_until_the_next_application_master_gives_leave() {
    let mut talk = Talk::serving();
    talk.hear(launch_many(0..6));
    talk.reconnect();
    assert_eq!(
        launched(&talk.event(Event::CommitWanted { id: id(0) })),
        [2],
        "it is busy yet"
    );
    let granted = true;
    talk.hear(GatewayMessage::CommitDecision { id: id(0), granted });
    let keeps = talk.event(Event::CommitWanted { id: id(1) });
    assert_eq!(launched(&keeps), [0; 0], "leave comes at once, as a rule");
}

#[test]
fn a_task_of_several_slots_waits_for_all_of_them() {
    let mut talk = Talk::serving();
    talk.hear(launch(0));
    let wide = StageSpec { cores: 2, ..stage() };
    let (stages, tasks) = (vec![wide], vec![task(1), task(2)]);
    assert!(launched(&talk.hear(GatewayMessage::Launch { stages, tasks })).is_empty());
    assert_eq!(launched(&talk.end(0)), [1]);
    assert_eq!(launched(&talk.end(1)), [2]);
}

#[test]
fn a_task_waits_for_what_its_stage_needs_besides_slots() {
    let resources: Amounts = "yarn.io/gpu=1".parse().unwrap();
    let mut talk = Talk::serving();
    talk.session.shares = Shares::new(0, &resources, BTreeMap::new());
    let choosy = StageSpec { resources, ..stage() };
    let (stages, tasks) = (vec![choosy], vec![task(0), task(1)]);
    assert_eq!(
        launched(&talk.hear(GatewayMessage::Launch { stages, tasks })),
        [0]
    );
    assert_eq!(launched(&talk.end(0)), [1]);
}

#[test]
fn only_what_has_not_begun_is_given_back_and_may_be_ordered_again() {
    let mut talk = Talk::serving();
    talk.hear(launch_many(0..5));
    let ids = (0..4).map(id).collect();
    let effects = talk.hear(GatewayMessage::Recall { ids });
    assert_eq!(
        sent(&effects),
        [&ExecutorMessage::Returned {
            ids: vec![id(2), id(3)]
        }]
    );
    assert!(launched(&talk.hear(launch(3))).is_empty());
    assert_eq!(launched(&talk.end(0)), [4]);
    assert_eq!(launched(&talk.end(1)), [3]);
}

#[test]
fn what_waits_can_be_cancelled_and_is_given_back_by_an_executor_that_leaves() {
    let mut talk = Talk::serving();
    talk.hear(launch_many(0..4));
    let effects = talk.hear(GatewayMessage::Cancel {
        id: id(2),
        reason: KillReason::StageEnded,
        grace: Duration::ZERO,
    });
    assert_eq!(finished(&effects), [1]);
    let effects = talk.hear(GatewayMessage::Shutdown {
        reason: String::new(),
        grace: Duration::from_secs(9),
    });
    assert_eq!(sent(&effects), [&ExecutorMessage::Returned { ids: vec![id(3)] }]);
}

/// Attempts that end with results larger than the room in memory, in a directory of their own.
struct Large {
    _directory: tempfile::TempDir,
    reports: Reports,
}

impl Large {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            reports: Reports::new(directory.path()),
            _directory: directory,
        }
    }

    fn end(&self, talk: &mut Talk, partition: u32) -> Vec<Effect> {
        let mut end = TaskEnd::new(TaskMetrics::default(), Ok(()));
        end.result = Some(TaskResult::Inline(vec![b'7'; 1 << 20].into()));
        let (id, end) = (id(partition), self.reports.keep(id(partition), end));
        let next = None;
        talk.event(Event::TaskEnded { id, end, next })
    }
}

fn to_read(effects: &[Effect]) -> Vec<u64> {
    let reads = effects.iter().filter_map(|effect| match effect {
        Effect::ReadReport { sequence, .. } => Some(*sequence),
        _ => None,
    });
    reads.collect()
}

/// Reads a report as the shell does.
fn read(talk: &mut Talk, effects: &[Effect], wanted: u64) -> Vec<Effect> {
    let stored = effects.iter().find_map(|effect| match effect {
        Effect::ReadReport { sequence, stored } if *sequence == wanted => Some(stored),
        _ => None,
    });
    let report = stored.unwrap().read().map(Box::new);
    talk.event(Event::ReportRead {
        sequence: wanted,
        report,
    })
}

#[test]
fn reports_on_the_disk_are_read_a_few_at_a_time_and_again_on_the_next_connection() {
    let (mut talk, large) = (Talk::serving(), Large::new());
    talk.hear(launch_many(0..9));
    talk.event(Event::ConnectionLost("reset".to_owned()));
    for partition in 0..9 {
        assert_eq!(finished(&large.end(&mut talk, partition)), [0; 0]);
    }
    talk.tick();
    talk.event(Event::Connected);
    let effects = talk.hear(GatewayMessage::Welcome(WELCOME));
    assert_eq!(finished(&effects), [1, 2, 3, 4], "as much as may be in memory");
    assert_eq!(to_read(&effects), [5, 6]);
    let beat = talk.tick();
    let [Effect::SendHeartbeat { waiting, .. }] = &beat[..] else {
        panic!("{beat:?}");
    };
    assert_eq!(
        *waiting,
        [id(4), id(5), id(6), id(7), id(8)],
        "they are not forgotten because their reports wait"
    );
    let sends = read(&mut talk, &effects, 5);
    assert_eq!((finished(&sends), to_read(&sends)), (vec![5], vec![]));
    assert!(matches!(
        sent(&sends)[0],
        ExecutorMessage::TaskFinished(report) if report.id == id(4) && report.result.is_some()
    ));
    let sequences = vec![5];
    let next = talk.hear(GatewayMessage::Acknowledge { sequences });
    assert_eq!(to_read(&next), [7], "one is safe, so the next has its turn");
    let again = talk.reconnect();
    assert_eq!(
        (finished(&again), to_read(&again)),
        (vec![1, 2, 3, 4], vec![6, 7])
    );
    assert_eq!(finished(&read(&mut talk, &next, 7)), [7]);
    assert_eq!(
        finished(&read(&mut talk, &next, 7)),
        [0; 0],
        "what is read late is not sent twice"
    );
    assert_eq!(held(&talk).len(), 8);
}

#[test]
fn a_result_whose_file_is_gone_is_a_failure() {
    let (mut talk, large) = (Talk::serving(), Large::new());
    talk.hear(launch_many(0..5));
    let effects = (0..5)
        .map(|partition| large.end(&mut talk, partition))
        .last()
        .unwrap();
    assert_eq!(to_read(&effects), [5]);
    let report = Err("it cannot be read".to_owned());
    let sends = talk.event(Event::ReportRead { sequence: 5, report });
    let [ExecutorMessage::TaskFinished(report)] = sent(&sends)[..] else {
        panic!("{sends:?}");
    };
    let failure = report.outcome.as_ref().unwrap_err();
    assert!(failure.counts_for_task() && failure.to_string().contains("it cannot be read"));
    assert_eq!(
        finished(&talk.reconnect()),
        [1, 2, 3, 4, 5],
        "that it failed stays"
    );
}

#[test]
fn an_executor_that_leaves_tells_what_it_has_on_the_disk_as_long_as_there_is_time() {
    let (mut talk, large) = (Talk::serving(), Large::new());
    talk.hear(launch_many(0..5));
    let effects = (0..5)
        .map(|partition| large.end(&mut talk, partition))
        .last()
        .unwrap();
    let leaving = talk.hear(GatewayMessage::Shutdown {
        reason: String::new(),
        grace: Duration::from_secs(9),
    });
    assert_eq!(leaving, []);
    let last = read(&mut talk, &effects, 5);
    assert_eq!(finished(&last), [5]);
    assert_eq!(last.last(), Some(&Effect::Leave(Ending::DONE)));
}

/// One step of a random conversation.
#[derive(Debug, Clone)]
enum Step {
    Connect,
    Lose,
    Tick,
    Hear(u32, u8, u32),
    Started(u32),
    WantCommit(u32),
    End(u32),
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Connect),
        2 => Just(Step::Lose),
        4 => Just(Step::Tick),
        12 => (1_u32..4, 0_u8..7, 0_u32..4).prop_map(|(epoch, kind, task)| Step::Hear(epoch, kind, task)),
        3 => (0_u32..4).prop_map(Step::Started),
        3 => (0_u32..4).prop_map(Step::WantCommit),
        4 => (0_u32..4).prop_map(Step::End),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 0..120)
}

fn message(kind: u8, partition: u32) -> GatewayMessage {
    match kind {
        0 | 1 => GatewayMessage::Welcome(WELCOME),
        2 => launch(partition),
        3 => launch_many(0..partition + 1),
        4 => GatewayMessage::CommitDecision {
            id: id(partition),
            granted: true,
        },
        5 => GatewayMessage::Recall {
            ids: vec![id(partition), id(3)],
        },
        _ => GatewayMessage::Acknowledge {
            sequences: vec![u64::from(partition) + 1],
        },
    }
}

fn play(talk: &mut Talk, step: &Step) -> Vec<Effect> {
    match *step {
        Step::Connect => talk.event(Event::Connected),
        Step::Lose => talk.event(Event::ConnectionLost("test".to_owned())),
        Step::Tick if talk.session.next_deadline().is_none() => Vec::new(),
        Step::Tick => talk.tick(),
        Step::Hear(epoch, kind, partition) => talk.hear_from(epoch, message(kind, partition)),
        Step::Started(partition) => talk.event(Event::TaskStarted {
            id: id(partition),
            pid: 1,
        }),
        Step::WantCommit(partition) => talk.event(Event::CommitWanted { id: id(partition) }),
        Step::End(partition) => talk.end(partition),
        Step::Stop => talk.event(Event::Stopped { signal: 15 }),
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_hold(steps in steps()) {
        let mut talk = Talk::new();
        let mut left = false;
        let mut highest = Epoch(1);
        for step in steps {
            let begun_before: Vec<_> = talk.session.running.keys().copied().collect();
            let before = talk.session.unacknowledged.len();
            let effects = play(&mut talk, &step);
            let begins = |effect: &Effect| matches!(effect, Effect::Launch { .. } | Effect::Dial(_));
            let begun = effects.iter().any(begins);
            prop_assert!(!left || !begun);
            for effect in &effects {
                match effect {
                    Effect::Launch { task, .. } => prop_assert!(!begun_before.contains(&task.id)),
                    Effect::Leave(_) => {
                        prop_assert!(!left);
                        left = true;
                    }
                    Effect::Send(envelope) => prop_assert!(envelope.epoch >= highest),
                    _ => {}
                }
            }
            if let Step::Hear(epoch, ..) = step {
                if Epoch(epoch) < highest {
                    prop_assert!(effects.iter().all(|effect| *effect == Effect::Disconnect));
                }
            } else {
                prop_assert!(talk.session.unacknowledged.len() >= before, "a report was forgotten");
            }
            highest = highest.max(talk.session.epoch);
            let slots: u32 = talk.session.running.values().map(|one| one.cores).sum();
            prop_assert!(i64::from(slots) + talk.session.free == 2, "slots are lost or used twice");
            prop_assert_eq!(talk.session.next_deadline().is_none(), left);
        }
    }

    #[test]
    fn the_same_events_have_the_same_effects(steps in steps()) {
        let (mut one, mut other) = (Talk::new(), Talk::new());
        for step in steps {
            prop_assert_eq!(play(&mut one, &step), play(&mut other, &step));
        }
    }
}
