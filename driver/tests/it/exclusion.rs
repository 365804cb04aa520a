//! Failures move work away from where they happen, and never into a dead end.

use driver::event::{Effect, Verdict};
use driver::view::{ExecutorStatus, TaskStatus};
use wire::failure::ExecutorLoss;
use wire::id::TaskAttemptId;

use crate::rig::{Rig, after, exit, id, launches, plan, seconds, stage};

/// The executor that runs each attempt of some effects.
fn places(launched: Vec<(String, TaskAttemptId)>) -> Vec<String> {
    launched.into_iter().map(|(executor, _)| executor).collect()
}

#[test]
fn a_failed_task_goes_to_another_executor() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.register("y", 1);
    assert!(launches(&rig.fail("x", id(0, 0, 0), exit(1))).is_empty());
    let launched = launches(&rig.succeed("y", id(0, 1, 0)));
    assert_eq!(launched, [("y".to_owned(), id(0, 0, 1))]);
}

#[test]
fn a_task_that_failed_twice_on_a_node_leaves_it() {
    let mut rig = Rig::new(plan(3, 1, vec![stage("a", 1)]));
    rig.register_on("x", 1, "h1");
    rig.register_on("y", 1, "h1");
    let second = launches(&rig.fail("x", id(0, 0, 0), exit(1)));
    assert_eq!(places(second), ["y"]);
    rig.register_on("v", 1, "h1");
    rig.register_on("z", 1, "h2");
    assert_eq!(places(launches(&rig.fail("y", id(0, 0, 1), exit(1)))), ["z"]);
}

#[test]
fn a_stage_leaves_an_executor_where_two_of_its_tasks_failed() {
    let mut rig = Rig::new(plan(2, 2, vec![stage("a", 8)]));
    rig.register("x", 2);
    rig.register("y", 2);
    let on_x: Vec<_> = (0..4)
        .map(|task| id(0, task, 0))
        .filter(|id| rig.task(0, id.partition).executor.unwrap().as_str() == "x")
        .collect();
    assert_eq!(places(launches(&rig.fail("x", on_x[0], exit(1)))), ["x"]);
    assert!(launches(&rig.fail("x", on_x[1], exit(1))).is_empty());
}

#[test]
fn with_one_executor_a_task_is_tried_there_again_at_once() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 9)]));
    rig.register("x", 1);
    for attempt in 0..3 {
        assert_eq!(
            launches(&rig.fail("x", id(0, 0, attempt), exit(1))),
            [("x".to_owned(), id(0, 0, attempt + 1))]
        );
    }
    rig.fail("x", id(0, 0, 3), exit(1));
    assert!(matches!(rig.verdict, Some(Verdict::Failed(_))));
}

#[test]
fn a_task_kept_from_all_executors_that_are_left_may_run_again() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.register("y", 1);
    rig.fail("x", id(0, 0, 0), exit(1));
    let launched = launches(&rig.lose("y", ExecutorLoss::Preempted));
    assert_eq!(places(launched.clone()), ["x"]);
    assert_eq!(launched[0].1, id(0, 1, 1));
    assert_eq!(
        launches(&rig.succeed("x", id(0, 1, 1))),
        [("x".to_owned(), id(0, 0, 1))]
    );
}

/// Two executors and a first stage of which two tasks failed on the first; it has succeeded since.
fn struck() -> Rig {
    let mut rig = Rig::new(plan(2, 2, vec![stage("a", 2), after(stage("b", 4), &[0])]));
    rig.register("x", 2);
    for task in 0..2 {
        rig.fail("x", id(0, task, 0), exit(1));
    }
    rig.register("y", 2);
    for task in 0..2 {
        let view = rig.task(0, task);
        let place = view.executor.unwrap().to_string();
        rig.succeed(&place, id(0, task, view.attempts - 1));
    }
    rig
}

#[test]
fn an_executor_that_spoiled_tasks_of_a_good_stage_gets_no_more_for_a_time() {
    let mut rig = struck();
    assert_eq!(
        rig.driver.snapshot().executors[0].status,
        ExecutorStatus::Excluded
    );
    let running = |rig: &Rig| rig.driver.snapshot().executors[0].running;
    assert_eq!((running(&rig), rig.stage(1).running), (0, 2));
    rig.pass(seconds(600));
    assert_eq!(rig.driver.snapshot().executors[0].status, ExecutorStatus::Live);
    assert_eq!(running(&rig), 2);
}

#[test]
fn nodes_that_the_application_avoids_are_named_to_the_launcher_for_as_long() {
    let mut rig = Rig::new(plan(3, 2, vec![stage("a", 6), after(stage("b", 1), &[0])]));
    rig.register_on("x", 2, "bad");
    rig.register_on("y", 2, "bad");
    rig.register_on("z", 2, "good");
    let mut effects = Vec::new();
    for task in (0..6).cycle().take(30) {
        let view = rig.task(0, task);
        let (Some(place), false) = (view.executor, view.status == TaskStatus::Succeeded) else {
            continue;
        };
        let attempt = id(0, task, view.attempts - 1);
        effects.extend(match place.as_str() {
            "z" => rig.succeed("z", attempt),
            bad => rig.fail(bad, attempt, exit(1)),
        });
    }
    let avoided = |effects: &[Effect]| {
        let mut targets = effects.iter().rev().filter_map(|effect| match effect {
            Effect::SetTarget(target) => Some(target.avoid.clone()),
            _ => None,
        });
        targets.next()
    };
    assert_eq!(avoided(&effects), Some(["bad".to_owned()].into()));
    assert_eq!(avoided(&rig.pass(seconds(601))), Some([].into()));
}

#[test]
fn when_all_executors_are_avoided_the_idle_ones_are_replaced() {
    let mut rig = struck();
    let effects = rig.lose("y", ExecutorLoss::Preempted);
    let stopped = effects
        .iter()
        .any(|effect| matches!(effect, driver::event::Effect::StopExecutor { .. }));
    assert!(stopped, "{effects:?}");
    assert_eq!(places(launches(&rig.register("z", 2))), ["z", "z"]);
}

#[test]
fn a_task_that_waits_for_an_executor_which_then_goes_runs_where_it_failed() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.register("y", 1);
    let gone = crate::rig::executor(if rig.task(0, 0).executor.unwrap().as_str() == "x" {
        "y"
    } else {
        "x"
    });
    rig.send(driver::event::Event::ExecutorDisconnected {
        executor: gone.clone(),
    });
    let place = rig.task(0, 0).executor.unwrap().to_string();
    assert!(launches(&rig.fail(&place, id(0, 0, 0), exit(1))).is_empty());
    assert_eq!(
        launches(&rig.lose(gone.as_str(), ExecutorLoss::Preempted)),
        [(place, id(0, 0, 1))]
    );
}
