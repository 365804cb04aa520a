//! What executors are sent ahead of their free slots, and what they have to give back.

use std::time::Duration;

use driver::event::{Effect, Event};
use driver::plan::AppPlan;
use driver::policy::{ExclusionPlan, PoolMode, PrefetchPlan};
use driver::view::TaskStatus;
use wire::failure::ExecutorLoss;
use wire::id::TaskAttemptId;

use crate::rig::{Rig, executor, exit, id, launches, plan, seconds, stage};

/// A plan whose executors are sent up to a second of work ahead.
fn ahead(mut plan: AppPlan) -> AppPlan {
    plan.scheduling.prefetch = PrefetchPlan {
        horizon: seconds(1),
        ..PrefetchPlan::NONE
    };
    plan
}

/// Has one task of 100 ms succeed.
fn run_one(rig: &mut Rig, name: &str, id: TaskAttemptId) -> Vec<Effect> {
    rig.now += Duration::from_millis(100);
    rig.succeed(name, id)
}

fn recalls(effects: &[Effect]) -> Vec<(String, Vec<TaskAttemptId>)> {
    let recalls = effects.iter().filter_map(|effect| match effect {
        Effect::Recall { executor, ids } => Some((executor.to_string(), ids.clone())),
        _ => None,
    });
    recalls.collect()
}

fn give_back(rig: &mut Rig, name: &str, ids: &[TaskAttemptId]) -> Vec<Effect> {
    rig.send(Event::TasksReturned {
        executor: executor(name),
        ids: ids.to_vec(),
    })
}

#[test]
fn short_tasks_are_sent_ahead_once_it_is_known_that_they_are() {
    let mut rig = Rig::new(ahead(plan(1, 2, vec![stage("s", 100)])));
    assert_eq!(launches(&rig.register("a", 2)).len(), 2);
    let sent = launches(&run_one(&mut rig, "a", id(0, 0, 0)));
    // One for the free slot, and two slots times ten tasks of 100 ms in a second.
    assert_eq!(sent.len(), 1 + 20);
    let view = rig.stage(0);
    assert_eq!((view.running, view.queued, view.pending), (2, 20, 77));
}

#[test]
fn a_queue_is_filled_again_when_half_of_it_is_used_up() {
    let mut rig = Rig::new(ahead(plan(1, 1, vec![stage("s", 100)])));
    rig.register("a", 1);
    assert_eq!(launches(&run_one(&mut rig, "a", id(0, 0, 0))).len(), 1 + 10);
    let sent: Vec<_> = (1..=5)
        .map(|partition| launches(&run_one(&mut rig, "a", id(0, partition, 0))).len())
        .collect();
    assert_eq!(sent, [0, 0, 0, 0, 5]);
}

#[test]
fn long_tasks_are_not_sent_ahead() {
    let mut rig = Rig::new(ahead(plan(1, 2, vec![stage("s", 100)])));
    rig.register("a", 2);
    rig.now += seconds(3);
    assert_eq!(launches(&rig.succeed("a", id(0, 0, 0))).len(), 1);
}

#[test]
fn longer_ones_are_as_a_reserve_for_the_time_without_an_application_master() {
    let mut plan = plan(1, 2, vec![stage("s", 100)]);
    plan.scheduling.prefetch = PrefetchPlan {
        reserve: seconds(5),
        ..PrefetchPlan::NONE
    };
    let sent = |plan| {
        let mut rig = Rig::new(plan);
        rig.register("a", 2);
        rig.now += seconds(1);
        launches(&rig.succeed("a", id(0, 0, 0))).len()
    };
    // One for the free slot, and two slots times five tasks of a second.
    assert_eq!(sent(plan.clone()), 1 + 10);
    plan.scheduling.mode = PoolMode::Fair;
    assert_eq!(sent(plan), 1, "pools share fairly what runs");
}

/// Ten tasks of a second, two executors of one slot and a reserve: every executor has its share of what is left, so
/// that nobody waits for a task if there is nobody to hand it out.
#[test]
fn the_rest_of_a_stage_is_held_evenly_where_there_is_a_reserve() {
    let mut plan = plan(2, 1, vec![stage("s", 10)]);
    plan.scheduling.prefetch = PrefetchPlan {
        reserve: seconds(5),
        ..PrefetchPlan::default()
    };
    let mut rig = Rig::new(plan);
    rig.register("a", 1);
    rig.register("b", 1);
    rig.now += seconds(1);
    let sent = launches(&rig.succeed("a", id(0, 0, 0)));
    assert_eq!(sent.len(), 1 + 4, "one for the free slot, and half of seven");
    let sent = launches(&rig.succeed("b", id(0, 1, 0)));
    assert_eq!(sent.len(), 1 + 2, "all the others");
    assert_eq!(rig.stage(0).pending, 0);
    // One that has nothing left is given what another one has not begun.
    for partition in [7, 8] {
        rig.succeed("b", id(0, partition, 0));
    }
    let asked = recalls(&rig.succeed("b", id(0, 9, 0)));
    assert_eq!(asked, [("a".to_owned(), vec![id(0, 6, 0)])]);
}

#[test]
fn a_stage_that_comes_up_before_what_is_queued_has_it_given_back() {
    let first = stage("first", 1);
    let mut second = stage("second", 50);
    second.after = vec![0];
    let mut rig = Rig::new(ahead(plan(1, 2, vec![first, second, stage("third", 50)])));
    rig.register("a", 2);
    let sent = launches(&run_one(&mut rig, "a", id(2, 0, 0)));
    assert!(sent.len() > 2, "of the third stage, while the first one runs");
    // One for the free slot, and one that takes the slot of the first stage's task.
    let queued: Vec<_> = sent[2..].iter().rev().map(|(_, id)| *id).collect();
    let effects = rig.succeed("a", id(0, 0, 0));
    assert_eq!(recalls(&effects), [("a".to_owned(), queued.clone())]);
    let sent = launches(&give_back(&mut rig, "a", &queued));
    assert_eq!(sent, [], "every slot is in use");
    let next = launches(&run_one(&mut rig, "a", id(2, 1, 0)));
    assert_eq!(next[0].1, id(1, 0, 0));
}

#[test]
fn the_rest_of_a_stage_is_kept_for_whoever_is_free_first() {
    let mut rig = Rig::new(ahead(plan(2, 1, vec![stage("s", 11)])));
    rig.register("a", 1);
    rig.register("b", 1);
    // Nine are pending, eight after the free slot was used: two for each of two executors.
    assert_eq!(launches(&run_one(&mut rig, "a", id(0, 0, 0))).len(), 1 + 2);
}

#[test]
fn an_idle_executor_has_others_give_back_what_they_have_not_begun() {
    let mut rig = Rig::new(ahead(plan(2, 1, vec![stage("s", 9)])));
    rig.register("a", 1);
    let sent = launches(&run_one(&mut rig, "a", id(0, 0, 0)));
    assert_eq!(sent.len(), 1 + 3);
    let effects = rig.register("b", 1);
    assert_eq!(launches(&effects).len(), 1, "a pending task goes first");
    for partition in [5, 6, 7] {
        rig.succeed("b", id(0, partition, 0));
    }
    let asked = recalls(&rig.succeed("b", id(0, 8, 0)));
    assert_eq!(
        asked,
        [("a".to_owned(), vec![id(0, 4, 0)])],
        "the last of the queue"
    );
    assert_eq!(
        launches(&give_back(&mut rig, "a", &asked[0].1)),
        [("b".to_owned(), id(0, 4, 1))]
    );
    assert_eq!(rig.stage(0).failed, 0, "nothing has failed");
}

#[test]
fn what_had_begun_before_it_was_asked_back_goes_on() {
    let mut rig = Rig::new(ahead(plan(2, 1, vec![stage("s", 4)])));
    rig.register("a", 1);
    assert_eq!(launches(&run_one(&mut rig, "a", id(0, 0, 0))).len(), 1 + 1);
    rig.register("b", 1);
    let asked = recalls(&rig.succeed("b", id(0, 3, 0)));
    assert_eq!(asked, [("a".to_owned(), vec![id(0, 2, 0)])]);
    rig.succeed("a", id(0, 1, 0));
    rig.started("a", id(0, 2, 0));
    assert!(launches(&give_back(&mut rig, "a", &[])).is_empty());
    rig.succeed("a", id(0, 2, 0));
    assert!(rig.verdict.is_some());
}

#[test]
fn a_request_that_may_be_lost_with_a_connection_is_made_again() {
    let mut rig = Rig::new(ahead(plan(2, 1, vec![stage("s", 4)])));
    rig.register("a", 1);
    run_one(&mut rig, "a", id(0, 0, 0));
    rig.register("b", 1);
    assert_eq!(recalls(&rig.succeed("b", id(0, 3, 0))).len(), 1);
    rig.send(Event::ExecutorDisconnected {
        executor: executor("a"),
    });
    assert_eq!(recalls(&rig.register("a", 1)).len(), 1);
}

#[test]
fn what_an_executor_had_not_begun_is_no_failure_when_it_is_lost() {
    let mut plan = ahead(plan(1, 1, vec![stage("s", 10)]));
    plan.settings.task_max_failures = 1;
    let mut rig = Rig::new(plan);
    rig.register("a", 1);
    rig.started("a", id(0, 0, 0));
    let sent = launches(&run_one(&mut rig, "a", id(0, 0, 0)));
    assert_eq!(sent.len(), 1 + 4);
    rig.lose("a", ExecutorLoss::Signalled(9));
    assert_eq!(rig.verdict, None);
    assert_eq!((rig.stage(0).pending, rig.stage(0).queued), (9, 0));
    assert_eq!(rig.task(0, 2).failures, 0);
}

#[test]
fn an_executor_that_fails_a_task_gives_back_the_rest() {
    let mut plan = ahead(plan(1, 1, vec![stage("s", 10)]));
    plan.scheduling.exclusion = ExclusionPlan {
        enabled: false,
        ..ExclusionPlan::default()
    };
    let mut rig = Rig::new(plan);
    rig.register("a", 1);
    let sent = launches(&run_one(&mut rig, "a", id(0, 0, 0)));
    assert_eq!(sent.len(), 1 + 4);
    let asked = recalls(&rig.fail("a", id(0, 1, 0), exit(1)));
    // The next of the queue has the slot by then.
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].1.len(), 3);
}

#[test]
fn a_gang_keeps_all_queues_empty() {
    let mut gang = stage("g", 2);
    gang.scheduling.gang = true;
    let mut rig = Rig::new(ahead(plan(1, 2, vec![stage("s", 100), gang])));
    rig.register("a", 2);
    assert_eq!(launches(&run_one(&mut rig, "a", id(0, 0, 0))).len(), 1);
}

#[test]
fn a_task_that_prefers_a_node_waits_only_in_a_queue_there() {
    let node = |partition: u32| {
        if partition.is_multiple_of(2) {
            "there"
        } else {
            "elsewhere"
        }
    };
    let mut rig = Rig::unstarted(ahead(plan(2, 1, vec![stage("s", 40)])));
    rig.hosts = (0..40)
        .map(|partition| vec![node(partition).to_owned()])
        .collect();
    rig.register_on("a", 1, "there");
    rig.register_on("b", 1, "elsewhere");
    rig.send(Event::Started);
    let sent = launches(&run_one(&mut rig, "a", id(0, 0, 0)));
    assert_eq!(sent.len(), 1 + 9, "a quarter of what is pending");
    let fits = |(name, id): &(String, TaskAttemptId)| name == "a" && id.partition.is_multiple_of(2);
    assert!(sent.iter().all(fits), "{sent:?}");
    assert_eq!(rig.task(0, sent[5].1.partition).status, TaskStatus::Launched);
}

#[test]
fn a_task_that_is_given_back_goes_on_waiting_for_its_node() {
    let mut plan = plan(2, 1, vec![stage("s", 5)]);
    plan.scheduling.prefetch.reserve = seconds(60);
    let mut rig = Rig::unstarted(plan);
    rig.hosts = ["there", "there", "there", "elsewhere", "elsewhere"]
        .map(|host| vec![host.to_owned()])
        .to_vec();
    rig.register_on("a", 1, "there");
    rig.register_on("b", 1, "elsewhere");
    rig.send(Event::Started);
    rig.now += seconds(9);
    rig.succeed("a", id(0, 0, 0));
    let view = rig.stage(0);
    assert_eq!((view.running, view.queued, view.pending), (2, 1, 1));
    let last = launches(&rig.succeed("b", id(0, 3, 0)));
    assert_eq!(last, [("b".to_owned(), id(0, 4, 0))], "everything is handed out");
    let recalled = recalls(&rig.succeed("b", id(0, 4, 0)));
    assert_eq!(recalled, [("a".to_owned(), vec![id(0, 2, 0)])]);
    assert!(launches(&give_back(&mut rig, "a", &[id(0, 2, 0)])).is_empty());
    assert!(launches(&rig.pass(seconds(2))).is_empty(), "`b` is elsewhere");
    assert_eq!(launches(&rig.pass(seconds(1))), [("b".to_owned(), id(0, 2, 1))]);
}

#[test]
fn an_executor_that_drains_gives_back_what_it_has_not_begun() {
    let mut rig = Rig::new(ahead(plan(1, 1, vec![stage("s", 10)])));
    rig.register("a", 1);
    run_one(&mut rig, "a", id(0, 0, 0));
    let asked = recalls(&rig.send(Event::DrainRequested {
        executors: vec![executor("a")],
        more: 0,
        loss: ExecutorLoss::Decommissioned,
    }));
    assert_eq!(asked[0].1.len(), 4);
    assert!(launches(&give_back(&mut rig, "a", &asked[0].1)).is_empty());
    assert_eq!(rig.stage(0).pending, 8);
}
