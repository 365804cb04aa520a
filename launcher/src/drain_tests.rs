use super::super::core::tests::{Bench, accepted, asks, completed, grant, id, node, registered, reported};
use super::super::{Event, StartFailure};
use super::*;
use crate::nodes::{NodeName, NodeState};

fn drains(effects: &[Effect]) -> Vec<(Vec<ExecutorId>, u32, ExecutorLoss)> {
    let drain = |effect: &Effect| match effect {
        Effect::Report(LauncherReport::DrainWanted {
            executors,
            more,
            loss,
        }) => Some((executors.clone(), *more, *loss)),
        _ => None,
    };
    effects.iter().filter_map(drain).collect()
}

fn notice(strict: &[u64], negotiable: &[u64]) -> Event {
    let ids = |numbers: &[u64]| numbers.iter().map(|&number| id(number)).collect();
    Event::PreemptionNoticed {
        strict: ids(strict),
        negotiable: ids(negotiable),
    }
}

fn leaving(name: &str) -> Event {
    Event::NodeUpdated(NodeFacts {
        name: NodeName::new(name),
        rack: None,
        state: NodeState::Leaving,
        free_mib: None,
        total_mib: None,
    })
}

#[test]
fn executors_that_yarn_wants_back_are_drained_by_the_driver() {
    let mut bench = Bench::new(3, &["a"]);
    (2..5).for_each(|number| bench.up(number, "a"));
    let effects = bench.on(notice(&[2], &[3, 99]));
    assert_eq!(drains(&effects), [(vec![id(2)], 1, ExecutorLoss::Preempted)]);
    assert!(reported(&effects).is_empty(), "{effects:?}");
}

#[test]
fn containers_without_an_executor_are_given_up_before_those_with_one() {
    let mut bench = Bench::new(3, &["a"]);
    bench.up(2, "a");
    bench.on(grant(3, "a"));
    bench.on(accepted(3));
    bench.on(grant(4, "a"));
    let effects = bench.at(10, notice(&[3], &[2]));
    // 3 is named, and 4 is the cheapest.
    assert_eq!(reported(&effects), [ExecutorLoss::Preempted; 2]);
    assert!(drains(&effects).is_empty(), "{effects:?}");
    assert_eq!(bench.launcher.totals().failures, 0);
}

#[test]
fn what_yarn_wants_back_is_asked_for_again_without_delay() {
    let mut bench = Bench::new(2, &["a", "b"]);
    bench.on(grant(2, "a"));
    bench.on(grant(3, "a"));
    let effects = bench.at(10, notice(&[2, 3], &[]));
    assert!(asks(&effects).contains(&("*".to_owned(), 2)), "{effects:?}");
}

#[test]
fn a_node_that_leaves_has_its_executors_drained_once_and_gets_no_more() {
    let mut bench = Bench::new(3, &["a", "b"]);
    bench.up(2, "a");
    bench.up(3, "b");
    bench.on(grant(4, "a"));
    let effects = bench.at(10, leaving("a"));
    assert_eq!(drains(&effects), [(vec![id(2)], 0, ExecutorLoss::Decommissioned)]);
    assert_eq!(reported(&effects), [ExecutorLoss::Decommissioned]);
    let named: Vec<_> = asks(&effects).into_iter().map(|(name, _)| name).collect();
    assert!(!named.contains(&"a".to_owned()), "{named:?}");
    assert!(drains(&bench.at(20, leaving("a"))).is_empty());
}

#[test]
fn the_executors_of_a_node_that_is_lost_are_replaced_at_once() {
    let mut bench = Bench::new(3, &["a", "b"]);
    (2..5).for_each(|number| bench.up(number, "a"));
    let lost = "Container released on a *lost* node";
    for number in 2..5 {
        bench.on(completed(number, -100, lost));
    }
    assert_eq!(bench.launcher.counts().asked, 3);
    assert_eq!(bench.launcher.totals().failures, 0);
}

#[test]
fn a_notice_about_what_is_gone_changes_nothing() {
    let mut bench = Bench::new(1, &["a"]);
    bench.up(2, "a");
    let failed = Event::StartFailed {
        executor: id(7),
        failure: StartFailure::Node,
        message: String::new(),
    };
    bench.on(failed);
    bench.on(registered(7));
    bench.on(node("a"));
    let effects = bench.at(10, notice(&[7], &[8]));
    assert!(effects.is_empty(), "{effects:?}");
}
