use super::*;
use crate::asks;
use crate::nodes::{NodeFacts, NodeState};
use proptest::prelude::*;
use std::collections::BTreeSet;
use wire::launcher::ExecutorTarget;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn rules() -> Rules {
    Rules {
        memory_mib: 512,
        master_mib: 0,
        cores: 1,
        name_nodes: true,
        register_timeout: MS(120_000),
        max_failures: None,
        failures_validity: MS(3_600_000),
        nodes_listed: true,
        room_patience: MS(600_000),
        backoff: (MS(200), MS(30_000)),
    }
}

pub(crate) fn id(number: u64) -> ExecutorId {
    format!("container_1_0001_01_{number:06}").parse().unwrap()
}

fn target(executors: u32) -> Event {
    Event::TargetSet(ExecutorTarget {
        executors,
        ..ExecutorTarget::default()
    })
}

pub(crate) fn node(name: &str) -> Event {
    Event::NodeUpdated(NodeFacts {
        name: NodeName::new(name),
        rack: Some("/r".into()),
        state: NodeState::Usable,
        free_mib: Some(1 << 20),
        total_mib: None,
    })
}

pub(crate) fn grant(number: u64, node: &str) -> Event {
    Event::ContainersGranted(vec![given(number, node)])
}

fn given(number: u64, node: &str) -> Grant {
    Grant {
        executor: id(number),
        node: NodeName::new(node),
        node_http: String::new(),
        allocation_request_id: EXECUTORS,
    }
}

pub(crate) fn completed(number: u64, exit_status: i32, diagnostics: &str) -> Event {
    let diagnostics = diagnostics.to_owned();
    Event::ContainerCompleted(Completion {
        executor: id(number),
        exit_status,
        diagnostics,
    })
}

pub(crate) fn accepted(number: u64) -> Event {
    Event::StartAccepted { executor: id(number) }
}

pub(crate) fn registered(number: u64) -> Event {
    Event::ExecutorRegistered { executor: id(number) }
}

/// A launcher and its latest effects.
pub(crate) struct Bench {
    pub(crate) launcher: Launcher,
    now: Duration,
}

impl Bench {
    pub(crate) fn new(executors: u32, nodes: &[&str]) -> Self {
        let mut bench = Self {
            launcher: Launcher::new(rules()),
            now: MS(0),
        };
        for name in nodes {
            bench.on(node(name));
        }
        bench.on(target(executors));
        bench
    }

    pub(crate) fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.launcher.handle(self.now, event, &mut effects);
        effects
    }

    pub(crate) fn at(&mut self, ms: u64, event: Event) -> Vec<Effect> {
        self.now = MS(ms);
        self.on(event)
    }

    /// An executor that is up.
    pub(crate) fn up(&mut self, number: u64, node: &str) {
        self.on(grant(number, node));
        self.on(accepted(number));
        self.on(registered(number));
    }
}

/// A launcher of a later attempt, with this target, that was told what runs and what had run.
fn following(executors: u32, running: &[u64], remembered: &[u64]) -> (Bench, Vec<Effect>) {
    let mut bench = Bench {
        launcher: Launcher::following(rules()),
        now: MS(0),
    };
    assert_eq!(bench.on(target(executors)), [], "nothing is known yet");
    let grants = |numbers: &[u64]| numbers.iter().map(|number| given(*number, "a")).collect();
    let effects = bench.on(Event::ContainersHandedOver {
        running: grants(running),
        remembered: grants(remembered),
    });
    (bench, effects)
}

pub(crate) fn asks(effects: &[Effect]) -> Vec<(String, u32)> {
    let ask = |effect: &Effect| match effect {
        Effect::SetAsk { name, count } => Some((name.clone(), *count)),
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

pub(crate) fn reported(effects: &[Effect]) -> Vec<ExecutorLoss> {
    let loss = |effect: &Effect| match effect {
        Effect::Report(LauncherReport::ExecutorGone { loss, .. }) => Some(*loss),
        _ => None,
    };
    effects.iter().filter_map(loss).collect()
}

fn hopeless(effects: &[Effect]) -> Option<String> {
    effects.iter().find_map(|effect| match effect {
        Effect::Report(LauncherReport::Hopeless(text)) => Some(text.clone()),
        _ => None,
    })
}

fn no_room(effects: &[Effect]) -> Option<(String, u32)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Report(LauncherReport::NoRoom { reason, room }) => Some((reason.clone(), *room)),
        _ => None,
    })
}

#[test]
fn a_target_becomes_a_shaped_ask_and_the_ask_falls_back_to_anywhere() {
    let mut bench = Bench::new(0, &["a", "b"]);
    let effects = bench.on(target(3));
    let expected = [("*", 3), ("/r", 3), ("a", 2), ("b", 1)];
    assert_eq!(
        asks(&effects),
        expected.map(|(name, count)| (name.to_owned(), count))
    );
    assert!(effects.contains(&Effect::Nudge));
    assert_eq!(bench.launcher.next_deadline(), Some(MS(1500)));
    let effects = bench.at(1500, Event::DeadlineReached);
    let zeros = [("/r", 0), ("a", 0), ("b", 0)];
    assert_eq!(
        asks(&effects),
        zeros.map(|(name, count)| (name.to_owned(), count))
    );
    assert_eq!(bench.launcher.counts().asked, 3);
}

#[test]
fn a_grant_is_started_watched_and_registered() {
    let mut bench = Bench::new(1, &["a"]);
    let effects = bench.at(10, grant(2, "a"));
    assert!(effects.contains(&Effect::StartContainer { executor: id(2) }));
    bench.at(20, accepted(2));
    assert_eq!(bench.launcher.next_deadline(), Some(MS(120_020)));
    bench.at(30, registered(2));
    assert_eq!(bench.launcher.next_deadline(), None);
    let times = bench.launcher.record(&id(2)).unwrap().times;
    assert_eq!((times.asked, times.granted), (MS(0), MS(10)));
    assert_eq!((times.started, times.registered), (Some(MS(20)), Some(MS(30))));
}

#[test]
fn a_surplus_grant_is_released_at_once_and_so_is_one_nobody_asked_for() {
    let mut bench = Bench::new(1, &[]);
    bench.on(grant(2, "a"));
    assert_eq!(
        bench.on(grant(3, "a")),
        [Effect::ReleaseContainer { executor: id(3) }]
    );
    bench.on(target(5));
    let foreign = Event::ContainersGranted(vec![Grant {
        allocation_request_id: 77,
        ..given(4, "a")
    }]);
    assert_eq!(bench.on(foreign), [Effect::ReleaseContainer { executor: id(4) }]);
    assert_eq!(bench.launcher.totals().surplus, 2);
}

#[test]
fn a_lost_executor_is_reported_and_asked_for_again_at_once() {
    let mut bench = Bench::new(1, &[]);
    bench.up(2, "a");
    let effects = bench.on(completed(2, 137, "Killed by external signal"));
    assert_eq!(reported(&effects), [ExecutorLoss::Signalled(9)]);
    assert_eq!(asks(&effects), [("*".to_owned(), 1)]);
    assert!(effects.contains(&Effect::Nudge));
    assert!(bench.on(completed(2, 137, "again")).is_empty());
}

#[test]
fn further_losses_on_a_node_are_replaced_after_a_back_off() {
    let mut bench = Bench::new(5, &[]);
    bench.up(2, "a");
    bench.up(3, "a");
    bench.on(completed(2, 1, ""));
    let effects = bench.on(completed(3, 1, ""));
    assert!(asks(&effects).is_empty(), "{effects:?}");
    assert_eq!(bench.launcher.next_deadline(), Some(MS(200)));
    assert_eq!(
        asks(&bench.at(200, Event::DeadlineReached)),
        [("*".to_owned(), 5)]
    );
}

#[test]
fn an_executor_that_never_registers_is_stopped_and_counted() {
    let mut bench = Bench::new(1, &[]);
    bench.on(grant(2, "a"));
    bench.on(accepted(2));
    let effects = bench.at(120_000, Event::DeadlineReached);
    assert_eq!(effects, [Effect::QueryContainer { executor: id(2) }]);
    let effects = bench.at(120_010, queried(2, false));
    assert_eq!(reported(&effects), [ExecutorLoss::NeverRegistered]);
    assert!(effects.contains(&Effect::StopContainer { executor: id(2) }));
    assert!(effects.contains(&Effect::ReleaseContainer { executor: id(2) }));
    assert_eq!(bench.launcher.totals().failures, 1);
    assert!(reported(&bench.on(completed(2, -105, ""))).is_empty());
    assert_eq!(bench.launcher.history().next().unwrap().exit_status, Some(-105));
}

#[test]
fn a_failed_start_counts_and_a_stale_one_does_not() {
    let failed = |number, failure| Event::StartFailed {
        executor: id(number),
        failure,
        message: "no".into(),
    };
    let mut bench = Bench::new(2, &[]);
    bench.on(grant(2, "a"));
    bench.on(grant(3, "b"));
    assert_eq!(
        reported(&bench.on(failed(2, StartFailure::Node))),
        [ExecutorLoss::StartFailed]
    );
    let effects = bench.on(failed(3, StartFailure::Stale));
    assert_eq!(reported(&effects), [ExecutorLoss::Released]);
    assert_eq!(asks(&effects), [("*".to_owned(), 2)]);
    assert!(bench.launcher.record(&id(3)).is_none());
    assert_eq!(bench.launcher.totals().failures, 1);
}

#[test]
fn a_fresh_grant_that_has_expired_counts_against_its_node_and_an_old_one_does_not() {
    let expired = |number| Event::StartFailed {
        executor: id(number),
        failure: StartFailure::Expired,
        message: "no".into(),
    };
    let mut bench = Bench::new(2, &[]);
    bench.on(grant(2, "a"));
    bench.on(grant(3, "b"));
    assert_eq!(reported(&bench.on(expired(2))), [ExecutorLoss::StartFailed]);
    bench.now += YOUNG;
    assert_eq!(reported(&bench.on(expired(3))), [ExecutorLoss::Released]);
    assert_eq!(bench.launcher.totals().failures, 1);
}

#[test]
fn after_a_resync_unstarted_grants_are_void_and_all_asks_are_sent_again() {
    let mut bench = Bench::new(3, &[]);
    bench.up(2, "a");
    bench.on(grant(3, "a"));
    let effects = bench.on(Event::Resynced {
        dropped: vec![id(3), id(2)],
    });
    assert_eq!(reported(&effects), [ExecutorLoss::Released]);
    assert_eq!(asks(&effects).last(), Some(&("*".to_owned(), 2)));
    assert!(bench.launcher.record(&id(3)).is_none());
    assert!(bench.launcher.record(&id(2)).is_some());
}

#[test]
fn used_up_budget_names_the_decisive_cause_once() {
    let mut bench = Bench::new(1, &[]);
    let mut verdicts = Vec::new();
    for number in 2..6 {
        bench.at(number * 60_000, grant(number, "a"));
        let effects = bench.on(completed(
            number,
            127,
            "Last 4096 bytes of stderr :\nno such file\n",
        ));
        verdicts.extend(hopeless(&effects));
    }
    let expected = "executors keep failing: exited with code 127 on a: no such file (3 failures, \
                    executor.max-failures is 3)";
    assert_eq!(verdicts, [expected]);
    assert_eq!(bench.launcher.counts().asked, 0);
}

#[test]
fn neutral_losses_never_use_the_budget() {
    let mut bench = Bench::new(1, &[]);
    for number in 2..50 {
        bench.at(number * 60_000, Event::DeadlineReached);
        bench.up(number, "a");
        assert_eq!(
            hopeless(&bench.on(completed(number, -102, "Container preempted by scheduler"))),
            None
        );
    }
    assert_eq!(bench.launcher.totals().failures, 0);
}

#[test]
fn a_failing_node_is_avoided_and_used_again_later() {
    let mut bench = Bench::new(6, &["a", "b"]);
    bench.up(2, "a");
    bench.up(3, "a");
    bench.on(completed(2, 1, ""));
    let effects = bench.at(5, completed(3, 1, ""));
    let avoid = Effect::UpdateBlacklist {
        additions: vec![NodeName::new("a")],
        removals: vec![],
    };
    assert!(effects.contains(&avoid), "{effects:?}");
    let effects = bench.at(600_005, Event::DeadlineReached);
    let reuse = Effect::UpdateBlacklist {
        additions: vec![],
        removals: vec![NodeName::new("a")],
    };
    assert!(effects.contains(&reuse), "{effects:?}");
}

#[test]
fn a_later_attempt_takes_off_what_an_earlier_one_had_the_resource_manager_avoid() {
    let mut launcher = Launcher::following(rules());
    let mut effects = Vec::new();
    for name in ["a", "b"] {
        launcher.handle(MS(0), node(name), &mut effects);
    }
    let target = ExecutorTarget {
        executors: 2,
        avoid: ["b".to_owned()].into(),
        ..ExecutorTarget::default()
    };
    launcher.handle(MS(0), Event::TargetSet(target), &mut effects);
    let handover = || Event::ContainersHandedOver {
        running: Vec::new(),
        remembered: Vec::new(),
    };
    effects.clear();
    launcher.handle(MS(1), handover(), &mut effects);
    let permit = Effect::UpdateBlacklist {
        additions: vec![],
        removals: vec![NodeName::new("a")],
    };
    assert!(effects.contains(&permit), "{effects:?}");
    effects.clear();
    launcher.handle(MS(2), handover(), &mut effects);
    assert!(!effects.contains(&permit), "it is known by now: {effects:?}");
}

#[test]
fn a_node_that_the_driver_avoids_is_avoided_again_when_there_is_another_one() {
    let mut bench = Bench::new(6, &["a", "b"]);
    bench.on(Event::TargetSet(ExecutorTarget {
        executors: 6,
        avoid: ["a".to_owned()].into(),
        ..ExecutorTarget::default()
    }));
    let becomes = |state| {
        Event::NodeUpdated(NodeFacts {
            name: NodeName::new("b"),
            rack: None,
            state,
            free_mib: None,
            total_mib: None,
        })
    };
    let change = |additions: &[&str], removals: &[&str]| Effect::UpdateBlacklist {
        additions: additions.iter().map(|name| NodeName::new(name)).collect(),
        removals: removals.iter().map(|name| NodeName::new(name)).collect(),
    };
    let effects = bench.on(becomes(NodeState::Unusable));
    assert!(effects.contains(&change(&[], &["a"])), "{effects:?}");
    let effects = bench.on(becomes(NodeState::Usable));
    assert!(effects.contains(&change(&["a"], &[])), "{effects:?}");
}

#[test]
fn when_the_other_nodes_are_gone_the_failing_one_is_used_again_at_once() {
    let mut bench = Bench::new(6, &["a", "b"]);
    bench.up(2, "a");
    bench.up(3, "a");
    bench.on(completed(2, 1, ""));
    bench.on(completed(3, 1, ""));
    let effects = bench.on(Event::NodeUpdated(NodeFacts {
        name: NodeName::new("b"),
        rack: None,
        state: NodeState::Unusable,
        free_mib: None,
        total_mib: None,
    }));
    let reuse = Effect::UpdateBlacklist {
        additions: vec![],
        removals: vec![NodeName::new("a")],
    };
    assert!(effects.contains(&reuse), "{effects:?}");
}

#[test]
fn a_node_that_the_driver_avoids_gets_no_containers_until_it_does_not_any_more() {
    let mut bench = Bench::new(6, &["a", "b"]);
    let avoiding = |names: &[&str]| {
        Event::TargetSet(ExecutorTarget {
            executors: 6,
            avoid: names.iter().map(|&name| name.to_owned()).collect(),
            ..ExecutorTarget::default()
        })
    };
    let blacklist = |additions: &[&str], removals: &[&str]| Effect::UpdateBlacklist {
        additions: additions.iter().map(|name| NodeName::new(name)).collect(),
        removals: removals.iter().map(|name| NodeName::new(name)).collect(),
    };
    assert!(bench.on(avoiding(&["a"])).contains(&blacklist(&["a"], &[])));
    assert!(bench.on(avoiding(&[])).contains(&blacklist(&[], &["a"])));
}

fn sized(name: &str, state: NodeState, total_mib: u64) -> Event {
    Event::NodeUpdated(NodeFacts {
        name: NodeName::new(name),
        rack: Some("/r".into()),
        state,
        free_mib: None,
        total_mib: Some(total_mib),
    })
}

fn needing(executors: u32, needed: u32) -> Event {
    Event::TargetSet(ExecutorTarget {
        executors,
        needed,
        ..ExecutorTarget::default()
    })
}

#[test]
fn what_the_nodes_left_could_never_hold_is_told_after_a_while() {
    let mut bench = Bench::new(0, &[]);
    bench.on(sized("large", NodeState::Usable, 1024));
    bench.on(sized("small", NodeState::Usable, 256));
    bench.on(needing(4, 1));
    bench.on(sized("large", NodeState::Unusable, 1024));
    assert_eq!(no_room(&bench.at(599_000, Event::DeadlineReached)), None);
    bench.on(sized("large", NodeState::Usable, 1024));
    bench.on(sized("large", NodeState::Unusable, 1024));
    assert_eq!(
        no_room(&bench.at(1_198_000, Event::DeadlineReached)),
        None,
        "it was there meanwhile"
    );
    assert_eq!(bench.launcher.next_deadline(), Some(MS(1_199_000)));
    let (text, room) = no_room(&bench.at(1_199_000, Event::DeadlineReached)).unwrap();
    assert!(
        text.contains("room for 0 of the 1 executors of 512 MiB"),
        "{text}"
    );
    assert_eq!(room, 0);
}

#[test]
fn a_gang_waits_for_as_many_executors_as_hold_it_and_not_for_ever() {
    let mut bench = Bench::new(0, &[]);
    bench.on(sized("a", NodeState::Usable, 1024));
    bench.on(needing(4, 3));
    bench.up(1, "a");
    let (text, room) = no_room(&bench.at(600_000, Event::DeadlineReached)).unwrap();
    assert!(
        text.contains("room for 2 of the 3 executors of 512 MiB"),
        "{text}"
    );
    assert_eq!(room, 2);
}

#[test]
fn nodes_of_unknown_size_may_hold_anything() {
    let mut bench = Bench::new(0, &["a"]);
    bench.on(needing(4, 4));
    assert_eq!(no_room(&bench.at(6_000_000, Event::DeadlineReached)), None);
}

#[test]
fn a_lack_of_room_ends_no_want_and_is_told_again_when_it_lasts() {
    let mut bench = Bench::new(0, &[]);
    bench.on(sized("a", NodeState::Usable, 1024));
    bench.on(needing(3, 3));
    bench.up(1, "a");
    assert!(no_room(&bench.at(600_000, Event::DeadlineReached)).is_some());
    assert_eq!(bench.launcher.gave_up(), None);
    let counts = bench.launcher.counts();
    assert_eq!((counts.target, counts.asked), (3, 2));
    bench.on(completed(1, -102, "Container preempted by scheduler"));
    assert_eq!(bench.launcher.counts().asked, 3, "what is lost is replaced");
    assert_eq!(bench.launcher.cramped_until(), Some(MS(1_200_000)));
    assert!(no_room(&bench.at(1_200_000, Event::DeadlineReached)).is_some());
    bench.on(sized("b", NodeState::Usable, 1024));
    bench.on(grant(2, "b"));
    assert_eq!(bench.launcher.counts().asked, 2, "a node that comes back helps");
    assert_eq!(
        bench.launcher.next_deadline(),
        Some(MS(1_200_000) + START_DEADLINE)
    );
    assert_eq!(no_room(&bench.at(1_800_001, Event::DeadlineReached)), None);
}

#[test]
fn where_not_all_nodes_are_told_of_others_may_hold_anything() {
    let mut bench = Bench::new(0, &[]);
    bench.launcher.rules.nodes_listed = false;
    bench.on(sized("a", NodeState::Unusable, 1024));
    bench.on(needing(4, 4));
    assert_eq!(no_room(&bench.at(6_000_000, Event::DeadlineReached)), None);
}

#[test]
fn too_large_an_executor_is_hopeless_at_registration() {
    let mut bench = Bench::new(1, &[]);
    let text = hopeless(&bench.on(Event::RmRegistered { max_memory_mib: 256 })).unwrap();
    assert!(
        text.starts_with("an executor of 512 MiB is larger than"),
        "{text}"
    );
    assert_eq!(bench.launcher.counts().asked, 0);
}

#[test]
fn a_lower_target_cancels_asks_and_releases_what_came_up_last() {
    let mut bench = Bench::new(3, &[]);
    bench.up(2, "a");
    bench.now = MS(9);
    bench.up(3, "a");
    let effects = bench.on(target(1));
    assert_eq!(asks(&effects), [("*".to_owned(), 0)]);
    assert!(
        effects.contains(&Effect::ReleaseContainer { executor: id(3) }),
        "{effects:?}"
    );
    assert_eq!(reported(&effects), [ExecutorLoss::Released]);
}

#[test]
fn an_unconfirmed_release_is_repeated_and_given_up_in_the_end() {
    let mut bench = Bench::new(1, &[]);
    bench.up(2, "a");
    bench.on(Event::StopRequested {
        executor: id(2),
        loss: ExecutorLoss::Silent,
    });
    let mut repeated = 0;
    while let Some(deadline) = bench.launcher.next_deadline() {
        bench.now = deadline;
        let effects = bench.on(Event::DeadlineReached);
        repeated += usize::from(effects.contains(&Effect::ReleaseContainer { executor: id(2) }));
    }
    assert_eq!(repeated, RELEASES as usize);
    assert!(bench.launcher.record(&id(2)).is_none());
}

#[test]
fn at_the_end_nothing_is_asked_for_started_or_counted() {
    let mut bench = Bench::new(3, &[]);
    bench.up(2, "a");
    assert_eq!(
        bench.on(Event::Ending),
        [Effect::SetAsk {
            name: "*".into(),
            count: 0
        }]
    );
    bench.on(completed(2, 1, ""));
    assert_eq!(bench.launcher.totals().failures, 0);
    assert_eq!(
        bench.on(grant(9, "a")),
        [Effect::ReleaseContainer { executor: id(9) }]
    );
}

#[test]
fn why_pending_says_what_is_awaited() {
    let mut bench = Bench::new(2, &[]);
    bench.on(Event::HeadroomChanged { memory_mib: 100 });
    let text = bench.launcher.why_pending(MS(7000)).unwrap();
    assert_eq!(
        text,
        "asked for 2 containers of 512 MiB, the oldest 7 s ago; queue and user have 100 MiB left"
    );
    bench.up(2, "a");
    bench.up(3, "a");
    assert_eq!(bench.launcher.why_pending(MS(7000)), None);
}

/// What a property test does to the launcher; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Target(u32),
    Grant { node: u8, surplus: bool },
    Answer { pick: usize, accepted: bool },
    Register(usize),
    Complete { pick: usize, status: i32 },
    Stop(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let statuses = prop_oneof![
        Just(0),
        Just(1),
        Just(137),
        Just(-100),
        Just(-102),
        Just(-1000),
        Just(-105)
    ];
    prop_oneof![
        (0_u32..8).prop_map(Step::Target),
        (0_u8..4, proptest::bool::weighted(0.1)).prop_map(|(node, surplus)| Step::Grant { node, surplus }),
        (any::<usize>(), any::<bool>()).prop_map(|(pick, accepted)| Step::Answer { pick, accepted }),
        any::<usize>().prop_map(Step::Register),
        (any::<usize>(), statuses).prop_map(|(pick, status)| Step::Complete { pick, status }),
        any::<usize>().prop_map(Step::Stop),
        (0_u64..200_000).prop_map(Step::Wait),
    ]
}

/// A scheduler that believes every ask and remembers every container.
#[derive(Default)]
struct Model {
    asked: u32,
    live: BTreeSet<ExecutorId>,
    unanswered: Vec<u64>,
    containers: Vec<u64>,
    next: u64,
    reports: BTreeMap<ExecutorId, u32>,
    released: BTreeSet<ExecutorId>,
}

impl Model {
    fn follow(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::SetAsk { name, count } if name == asks::ANY => self.asked = *count,
                Effect::ReleaseContainer { executor } => {
                    self.released.insert(executor.clone());
                }
                Effect::Report(LauncherReport::ExecutorGone { executor, .. }) => {
                    *self.reports.entry(executor.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, step: &Step) -> Option<Event> {
        let pick = |from: &[u64], at: usize| (!from.is_empty()).then(|| from[at % from.len()]);
        match *step {
            Step::Target(count) => Some(target(count)),
            Step::Grant { node, surplus } => (self.asked > 0 || surplus).then(|| {
                self.next += 1;
                self.asked = self.asked.saturating_sub(1);
                self.live.insert(id(self.next));
                self.unanswered.push(self.next);
                self.containers.push(self.next);
                grant(self.next, &format!("n{node}"))
            }),
            Step::Answer {
                pick: at,
                accepted: ok,
            } => {
                let number = pick(&self.unanswered, at)?;
                self.unanswered.retain(|other| *other != number);
                let failed = Event::StartFailed {
                    executor: id(number),
                    failure: StartFailure::Node,
                    message: String::new(),
                };
                Some(if ok { accepted(number) } else { failed })
            }
            Step::Register(at) => pick(&self.containers, at).map(registered),
            Step::Complete { pick: at, status } => {
                let number = pick(&self.containers, at)?;
                self.live.remove(&id(number));
                Some(completed(number, status, ""))
            }
            Step::Stop(at) => {
                let executor = id(pick(&self.containers, at)?);
                Some(Event::StopRequested {
                    executor,
                    loss: ExecutorLoss::Silent,
                })
            }
            Step::Wait(_) => Some(Event::DeadlineReached),
        }
    }

    fn check(&self, launcher: &Launcher, now: Duration) {
        let counts = launcher.counts();
        let held = launcher.held();
        if launcher.verdict.is_none() {
            assert!(held + counts.asked <= launcher.wanted(), "D: {counts:?}");
        }
        assert_eq!(counts.asked, self.asked, "both sides know the same ask");
        for executor in &self.live {
            let known = launcher.record(executor).is_some() || self.released.contains(executor);
            assert!(known, "leaked {executor}");
        }
        assert!(self.reports.values().all(|count| *count == 1), "reported twice");
        assert!(
            launcher.next_deadline().is_none_or(|deadline| deadline > now),
            "a deadline in the past"
        );
        let missing = launcher.wanted().saturating_sub(held + counts.asked) as usize;
        assert!(
            missing <= launcher.deferred.len(),
            "E: {missing} missing and nothing is awaited"
        );
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_leaks_or_asks_too_much(
        named in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut bench = Bench::new(0, if named { &["n0", "n1", "n2"] } else { &[] });
        let mut model = Model::default();
        for step in &steps {
            if let Step::Wait(ms) = step {
                bench.now += MS(*ms);
            }
            let Some(event) = model.event(step) else { continue };
            let effects = bench.on(event);
            model.follow(&effects);
            model.check(&bench.launcher, bench.now);
        }
    }
}

#[test]
fn what_earlier_attempts_left_is_adopted_and_only_the_rest_is_asked_for() {
    let (mut bench, effects) = following(3, &[2, 3], &[2, 3]);
    assert_eq!(asks(&effects), [("*".to_owned(), 1)]);
    bench.on(registered(2));
    bench.on(registered(3));
    let effects = bench.at(60_000, Event::DeadlineReached);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::StopContainer { .. }))
    );
    assert_eq!(bench.launcher.held(), 2);
}

#[test]
fn an_adopted_executor_that_is_not_heard_of_is_replaced_and_nobody_is_to_blame() {
    let (mut bench, _) = following(2, &[2, 3], &[]);
    bench.on(registered(2));
    assert_eq!(bench.launcher.next_deadline(), Some(ADOPTION));
    let effects = bench.at(30_000, Event::DeadlineReached);
    let executor = id(3);
    assert!(
        effects.contains(&Effect::StopContainer { executor }),
        "{effects:?}"
    );
    assert_eq!(asks(&effects), [("*".to_owned(), 1)]);
    assert_eq!(bench.launcher.totals.failures, 0);
}

#[test]
fn one_that_was_not_handed_over_is_waited_for_only_a_little() {
    let (mut bench, effects) = following(2, &[2], &[2, 3]);
    assert_eq!(asks(&effects), []);
    let effects = bench.at(5_000, Event::DeadlineReached);
    let lost = |effect: &Effect| matches!(effect, Effect::Report(LauncherReport::ExecutorGone { executor, .. }) if *executor == id(3));
    assert!(effects.iter().any(lost), "{effects:?}");
    assert!(
        bench
            .launcher
            .record(&id(2))
            .is_some_and(|record| record.phase == Phase::Adopted)
    );
}

#[test]
fn one_that_ended_between_the_attempts_is_reported_with_its_cause() {
    let (mut bench, _) = following(2, &[2], &[2, 3]);
    let effects = bench.on(completed(3, -102, "Container preempted by scheduler"));
    let loss = effects.iter().find_map(|effect| match effect {
        Effect::Report(LauncherReport::ExecutorGone { loss, .. }) => Some(*loss),
        _ => None,
    });
    assert_eq!(loss, Some(ExecutorLoss::Preempted));
}

#[test]
fn a_container_that_is_handed_over_late_or_twice_is_adopted_once() {
    let (mut bench, _) = following(2, &[2], &[]);
    let late = |bench: &mut Bench| {
        bench.on(Event::ContainersHandedOver {
            running: vec![given(2, "a"), given(3, "a")],
            remembered: Vec::new(),
        })
    };
    let effects = late(&mut bench);
    assert_eq!(
        asks(&effects),
        [("*".to_owned(), 0)],
        "it stands for one that was asked for"
    );
    bench.on(completed(3, 1, ""));
    late(&mut bench);
    assert!(bench.launcher.record(&id(3)).is_none());
}

#[test]
fn more_than_is_wanted_is_given_back_once_all_have_said_what_they_run() {
    let (mut bench, effects) = following(1, &[2, 3], &[]);
    assert_eq!(released(&effects), []);
    assert_eq!(released(&bench.at(1_000, registered(3))), []);
    assert_eq!(released(&bench.at(2_000, registered(2))), [id(2)]);
}

#[test]
fn an_executor_of_an_earlier_attempt_that_yarn_wants_back_may_end_what_it_runs() {
    let (mut bench, _) = following(2, &[2, 3], &[]);
    let effects = bench.on(Event::PreemptionNoticed {
        strict: vec![id(2)],
        negotiable: Vec::new(),
    });
    assert_eq!(released(&effects), []);
    let drained = effects.iter().any(|effect| {
        matches!(effect, Effect::Report(LauncherReport::DrainWanted { executors, .. }) if *executors == [id(2)])
    });
    assert!(drained, "{effects:?}");
}

fn released(effects: &[Effect]) -> Vec<ExecutorId> {
    let released = effects.iter().filter_map(|effect| match effect {
        Effect::ReleaseContainer { executor } => Some(executor.clone()),
        _ => None,
    });
    released.collect()
}

fn queried(number: u64, localizing: bool) -> Event {
    Event::ContainerQueried {
        executor: id(number),
        localizing,
    }
}

#[test]
fn a_container_whose_files_are_still_fetched_is_waited_for_but_not_for_ever() {
    let mut bench = Bench::new(1, &["a"]);
    bench.on(grant(2, "a"));
    bench.on(accepted(2));
    let mut now = 0;
    let effects = loop {
        now += 120_000;
        let effects = bench.at(now, Event::DeadlineReached);
        if !reported(&effects).is_empty() {
            break effects;
        }
        assert!(bench.on(queried(2, true)).is_empty());
    };
    assert_eq!(
        (reported(&effects), now),
        (vec![ExecutorLoss::NeverRegistered], 1_800_000)
    );
}

#[test]
fn a_node_that_does_not_say_how_far_a_container_is_is_not_waited_for() {
    let mut bench = Bench::new(1, &["a"]);
    bench.on(grant(2, "a"));
    bench.on(accepted(2));
    bench.at(120_000, Event::DeadlineReached);
    let effects = bench.at(130_000, Event::DeadlineReached);
    assert_eq!(reported(&effects), [ExecutorLoss::NeverRegistered]);
    assert!(bench.at(130_010, queried(2, true)).is_empty(), "too late");
}

#[test]
fn what_registers_while_its_node_is_asked_stays() {
    let mut bench = Bench::new(1, &["a"]);
    bench.on(grant(2, "a"));
    bench.on(accepted(2));
    bench.at(120_000, Event::DeadlineReached);
    bench.on(registered(2));
    assert!(bench.on(queried(2, false)).is_empty());
}

#[test]
fn no_more_is_asked_for_than_may_be_had_and_a_hundred_beyond() {
    let mut bench = Bench::new(0, &[]);
    let headroom = |executors: u64| Event::HeadroomChanged {
        memory_mib: executors * 512,
    };
    let any = |count| vec![("*".to_owned(), count)];
    bench.on(headroom(10));
    assert_eq!(asks(&bench.on(target(1000))), any(110));
    // What was asked for stays when others take the room, and follows when there is more.
    assert_eq!(asks(&bench.on(headroom(0))), []);
    assert_eq!(asks(&bench.on(headroom(20))), any(120));
    assert_eq!(asks(&bench.on(target(50))), any(50));
}
