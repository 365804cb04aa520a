//! Tasks that end their executors before anybody knows that they have begun.

use driver::event::{Event, Verdict};
use driver::policy::{JobPlan, PrefetchPlan};
use wire::failure::ExecutorLoss;

use crate::rig::{Rig, id, launches, plan, seconds, stage};

const KILLED: ExecutorLoss = ExecutorLoss::Signalled(9);

fn partitions(launched: &[(String, wire::id::TaskAttemptId)]) -> Vec<u32> {
    launched.iter().map(|(_, id)| id.partition).collect()
}

#[test]
fn a_task_that_is_never_known_to_have_begun_does_not_take_executors_for_ever() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    for name in ["v", "w", "x", "y"] {
        rig.register(name, 1);
        rig.lose(name, KILLED);
        assert_eq!((rig.task(0, 0).failures, &rig.verdict), (0, &None));
    }
    rig.register("z", 1);
    rig.lose("z", KILLED);
    let cause = "stage a, task 0 was about to begin or running on 5 executors when they were lost; last attempt 0.4 on \
                 host-of-z (z): executor lost: ended by SIGKILL";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn a_loss_that_tasks_are_not_blamed_for_brings_nobody_under_suspicion() {
    let mut once = stage("a", 1);
    once.max_failures = Some(1);
    let mut rig = Rig::new(plan(1, 1, vec![once]));
    let losses = [
        ExecutorLoss::Preempted,
        KILLED,
        ExecutorLoss::NodeLost,
        ExecutorLoss::Silent,
    ];
    for (name, loss) in ["w", "x", "y", "z"].into_iter().zip(losses) {
        rig.register(name, 1);
        rig.lose(name, loss);
    }
    assert_eq!(rig.verdict, None);
}

#[test]
fn an_executor_gets_one_task_under_suspicion_at_a_time() {
    let mut rig = Rig::new(plan(2, 2, vec![stage("a", 4)]));
    rig.register("x", 2);
    rig.lose("x", KILLED);
    assert_eq!(partitions(&launches(&rig.register("y", 2))), [0, 2]);
    assert_eq!(partitions(&launches(&rig.register("z", 2))), [1, 3]);
    // The one that is not to blame has got away from the other.
    rig.succeed("z", id(0, 1, 1));
    rig.lose("y", KILLED);
    // Task 3 and one of the two that were on both lost executors.
    assert_eq!((rig.stage(0).pending, rig.stage(0).running), (1, 2));
}

#[test]
fn tasks_that_had_begun_run_side_by_side_again_after_one_loss_and_apart_after_another() {
    let mut rig = Rig::new(plan(1, 16, vec![stage("a", 16)]));
    for (attempt, name, beside) in [(0, "x", 16), (1, "y", 16), (2, "z", 1)] {
        let launched = launches(&rig.register(name, 16));
        assert_eq!(launched.len(), beside, "attempt {attempt}");
        for (_, id) in launched {
            rig.started(name, id);
        }
        rig.lose(name, KILLED);
    }
}

#[test]
fn one_task_that_may_not_have_begun_brings_its_neighbours_under_suspicion() {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 2)]));
    rig.register("x", 2);
    rig.started("x", id(0, 1, 0));
    rig.lose("x", KILLED);
    assert_eq!(launches(&rig.register("y", 2)).len(), 1);
}

#[test]
fn a_task_under_suspicion_waits_for_the_one_before_it_and_no_longer() {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 2)]));
    rig.register("x", 2);
    rig.lose("x", KILLED);
    assert_eq!(partitions(&launches(&rig.register("y", 2))), [0]);
    assert_eq!(partitions(&launches(&rig.succeed("y", id(0, 0, 1)))), [1]);
    rig.succeed("y", id(0, 1, 1));
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

#[test]
fn a_gang_is_not_kept_apart() {
    let mut gang = stage("a", 2);
    gang.scheduling.gang = true;
    let mut rig = Rig::new(plan(1, 2, vec![gang]));
    rig.register("x", 2);
    rig.lose("x", KILLED);
    assert_eq!(launches(&rig.register("y", 2)).len(), 2);
}

#[test]
fn nothing_is_sent_ahead_while_a_task_waits_that_was_on_a_lost_executor() {
    let mut plan = plan(1, 1, vec![stage("a", 100)]);
    plan.scheduling.prefetch = PrefetchPlan::default();
    let mut rig = Rig::new(plan);
    rig.register("x", 1);
    rig.now += seconds(1) / 100;
    let ahead = launches(&rig.succeed("x", id(0, 0, 0))).len();
    assert!(ahead > 3, "{ahead}");
    rig.lose("x", KILLED);
    assert_eq!(launches(&rig.register("y", 1)).len(), 1);
    let mut launched = Vec::new();
    for partition in 1..ahead as u32 {
        launched.push(launches(&rig.succeed("y", id(0, partition, 1))).len());
    }
    // While the last of them runs, others are sent ahead again.
    assert_eq!(launched[..ahead - 2], vec![1; ahead - 2]);
    assert!(launched[ahead - 2] > 1, "{launched:?}");
}

#[test]
fn when_executors_are_used_up_the_task_is_named_that_was_on_most_of_them() {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 3)]));
    for name in ["x", "y"] {
        rig.register(name, 2);
        rig.lose(name, KILLED);
    }
    let reason = "executors keep failing".to_owned();
    rig.send(Event::LauncherGaveUp { reason });
    let cause =
        "executors keep failing; stage a, task 0 had a slot on 2 of the lost executors; no executor is left";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn other_jobs_that_are_left_without_executors_name_the_task_too() {
    let mut first = stage("a", 1);
    first.cores = 2;
    let mut second = stage("b", 1);
    second.scheduling.job = 1;
    second.max_failures = Some(1);
    let mut plan = plan(1, 2, vec![first, second]);
    plan.scheduling.jobs = vec![JobPlan::default(), JobPlan::default()];
    let mut rig = Rig::new(plan);
    for name in ["x", "y"] {
        // It has no room for the first job.
        rig.register(name, 1);
        rig.lose(name, KILLED);
    }
    let reason = "executors keep failing".to_owned();
    rig.send(Event::LauncherGaveUp { reason });
    let Some(Verdict::Failed(cause)) = &rig.verdict else {
        panic!("{:?}", rig.verdict);
    };
    assert!(
        cause.starts_with("executors keep failing; stage b, task 0 was about to begin"),
        "{cause}"
    );
}
