//! What counts, what is tried again, and the words at the end.

use driver::event::{Effect, Event, Verdict};
use proptest::prelude::*;
use wire::failure::{ExecutorLoss, FailureCause, KillReason, TaskFailure};

use crate::rig::{Rig, cancels, exit, id, launches, plan, stage, with_output};

#[test]
fn a_failed_task_is_the_next_to_run() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 3)]));
    rig.register("x", 1);
    assert_eq!(
        launches(&rig.fail("x", id(0, 0, 0), exit(1))),
        [("x".to_owned(), id(0, 0, 1))]
    );
    assert_eq!((rig.task(0, 0).failures, rig.stage(0).failed), (1, 1));
}

#[test]
fn a_task_that_fails_too_often_fails_the_job_with_the_decisive_cause() {
    let mut rig = Rig::new(plan(1, 1, vec![with_output(stage("count", 2))]));
    rig.register_on("container_1_1_1_2", 1, "node-7");
    for attempt in 0..3 {
        rig.fail("container_1_1_1_2", id(0, 0, attempt), exit(3));
    }
    let mut last = exit(3);
    last.stderr_tail = "reading\nno such word: foo\n".to_owned();
    let effects = rig.fail("container_1_1_1_2", id(0, 0, 3), last);
    let cause = "stage count, task 0 failed 4 times; last attempt 0.3 on node-7 (container_1_1_1_2): exit code 3\n\
                 reading\nno such word: foo";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
    assert!(matches!(effects[0], Effect::AbandonStage { .. }), "{effects:?}");
}

#[test]
fn a_failing_job_cancels_what_runs() {
    let mut once = stage("a", 2);
    once.max_failures = Some(1);
    let mut rig = Rig::new(plan(1, 2, vec![once]));
    rig.register("x", 2);
    let effects = rig.fail("x", id(0, 1, 0), exit(1));
    assert_eq!(cancels(&effects), [id(0, 0, 0)]);
    assert!(matches!(rig.verdict, Some(Verdict::Failed(_))));
}

#[test]
fn the_loss_of_an_executor_runs_its_tasks_again() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.register("y", 1);
    rig.started("x", id(0, 0, 0));
    assert!(launches(&rig.lose("x", ExecutorLoss::Signalled(9))).is_empty());
    assert_eq!(rig.task(0, 0).failures, 1);
    assert_eq!(launches(&rig.register("z", 1)), [("z".to_owned(), id(0, 0, 1))]);
}

#[test]
fn a_task_that_had_not_started_is_not_blamed_for_its_executor() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.lose("x", ExecutorLoss::Signalled(9));
    assert_eq!(rig.task(0, 0).failures, 0);
}

#[test]
fn the_failures_of_a_task_are_forgotten_when_it_succeeds() {
    let mut kept = stage("a", 1);
    kept.scheduling.keeps_output = true;
    let mut rig = Rig::new(plan(1, 1, vec![kept, crate::rig::after(stage("b", 1), &[0])]));
    rig.register("x", 1);
    for attempt in 0..3 {
        rig.fail("x", id(0, 0, attempt), exit(1));
    }
    assert_eq!(rig.task(0, 0).failures, 3);
    rig.succeed("x", id(0, 0, 3));
    rig.lose("x", ExecutorLoss::NodeLost);
    rig.register("y", 1);
    assert_eq!(
        (rig.task(0, 0).failures, rig.stage(0).running),
        (0, 1),
        "its result is made again, and it may fail as often as before"
    );
}

#[test]
fn a_denied_commit_does_not_count() {
    let mut rig = Rig::new(plan(1, 1, vec![with_output(stage("a", 1))]));
    rig.register("x", 1);
    let denied = TaskFailure::new(FailureCause::CommitDenied);
    assert_eq!(launches(&rig.fail("x", id(0, 0, 0), denied)).len(), 1);
    assert_eq!(rig.task(0, 0).failures, 0);
}

#[test]
fn a_late_success_completes_a_partition_that_is_still_open() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.lose("x", ExecutorLoss::Silent);
    assert_eq!(launches(&rig.register("y", 1)), [("y".to_owned(), id(0, 0, 1))]);
    let effects = rig.succeed("x", id(0, 0, 0));
    assert_eq!(cancels(&effects), [id(0, 0, 1)]);
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

#[test]
fn a_late_success_of_a_task_that_waits_to_run_again_takes_it_off_the_queue() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.lose("x", ExecutorLoss::Silent);
    rig.succeed("x", id(0, 0, 0));
    assert_eq!(launches(&rig.register("y", 1)), [("y".to_owned(), id(0, 1, 0))]);
}

#[test]
fn reports_of_attempts_that_never_were_are_dropped() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.succeed("x", id(0, 0, 7));
    rig.succeed("x", id(0, 9, 0));
    rig.succeed("x", id(4, 0, 0));
    rig.fail("x", id(0, 0, 7), exit(1));
    rig.fail("y", id(0, 0, 0), exit(1));
    assert_eq!((rig.driver.progress(), rig.task(0, 0).failures), ((0, 1), 0));
}

#[test]
fn a_repeated_failure_counts_once() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    for _ in 0..8 {
        rig.fail("x", id(0, 0, 0), exit(1));
    }
    assert_eq!(rig.task(0, 0).failures, 1);
}

#[test]
fn nothing_runs_and_nothing_ever_will_means_failure() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.send(Event::LauncherGaveUp {
        reason: "too many executor failures".to_owned(),
    });
    assert_eq!(rig.verdict, None);
    rig.lose("x", ExecutorLoss::Exited(1));
    let cause = "too many executor failures; no executor is left";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn without_hope_for_executors_the_ones_there_finish_the_job() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.send(Event::LauncherGaveUp {
        reason: "none left".to_owned(),
    });
    rig.succeed("x", id(0, 0, 0));
    rig.succeed("x", id(0, 1, 0));
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

fn any_loss() -> impl Strategy<Value = ExecutorLoss> {
    use ExecutorLoss as L;
    prop_oneof![
        prop::sample::select(vec![
            L::Preempted,
            L::Released,
            L::NodeLost,
            L::DisksFailed,
            L::KilledByRm,
            L::KilledByUs,
            L::Decommissioned,
            L::PhysicalMemory,
            L::VirtualMemory,
            L::Silent,
            L::Unknown,
            L::Exited(0),
            L::Exited(1),
        ]),
        (1..64).prop_map(L::Signalled),
    ]
}

proptest! {
    /// Invariant C.
    #[test]
    fn the_count_of_a_task_rises_exactly_with_causes_that_count(losses in prop::collection::vec((any_loss(), any::<bool>()), 1..12)) {
        let mut patient = stage("a", 1);
        patient.max_failures = Some(1000);
        let mut lenient = plan(1, 1, vec![patient]);
        lenient.scheduling.exclusion.enabled = false;
        let mut rig = Rig::new(lenient);
        let mut expected = 0;
        for (attempt, (loss, started)) in (0..).zip(losses) {
            let name = format!("x{attempt}");
            rig.register(&name, 1);
            if started {
                rig.started(&name, id(0, 0, attempt));
            }
            rig.lose(&name, loss);
            let failure = TaskFailure::new(FailureCause::ExecutorLost { loss, started });
            expected += u32::from(failure.counts_for_task());
            prop_assert_eq!(rig.task(0, 0).failures, expected);
        }
    }
}

#[test]
fn a_task_ended_by_its_leaving_executor_runs_again_without_a_count() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    let killed = TaskFailure::new(FailureCause::Killed(KillReason::ExecutorStopping));
    assert_eq!(launches(&rig.fail("x", id(0, 0, 0), killed)).len(), 1);
    assert_eq!(rig.task(0, 0).failures, 0);
}
