//! Results that stay on executors and are lost with them.

use driver::event::{Event, Verdict};
use driver::plan::AppPlan;
use driver::view::StageStatus;
use wire::failure::ExecutorLoss;
use wire::id::TaskAttemptId;

use crate::rig::{Rig, after, executor, id, launches, plan, seconds, stage};

/// A stage whose results stay where they are made, and one that reads them.
fn map_reduce(maps: u32, reduces: u32) -> AppPlan {
    let mut map = stage("map", maps);
    map.scheduling.keeps_output = true;
    plan(2, 2, vec![map, after(stage("reduce", reduces), &[0])])
}

/// Two executors that made two results each; the readers run.
fn mapped() -> Rig {
    let mut rig = Rig::new(map_reduce(4, 4));
    rig.register("x", 2);
    rig.register("y", 2);
    for task in 0..4 {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    rig
}

fn again(mut id: TaskAttemptId, stage_attempt: u32) -> TaskAttemptId {
    id.stage.stage_attempt = stage_attempt;
    id
}

#[test]
fn the_loss_of_an_executor_makes_exactly_its_results_again() {
    let mut rig = mapped();
    let lost: Vec<_> = (0..4)
        .filter(|&task| rig.task(0, task).executor == Some(executor("x")))
        .collect();
    rig.lose("x", ExecutorLoss::NodeLost);
    let view = rig.stage(0);
    assert_eq!(
        (view.status, view.pending, view.key.stage_attempt),
        (StageStatus::Running, 2, 1)
    );
    let mut launched = launches(&rig.register("z", 2));
    let mut expected: Vec<_> = lost
        .iter()
        .map(|&task| ("z".to_owned(), again(id(0, task, 1), 1)))
        .collect();
    expected.sort();
    launched.sort();
    assert_eq!(launched, expected);
}

#[test]
fn readers_wait_until_the_results_are_there_again() {
    let mut rig = mapped();
    rig.lose("x", ExecutorLoss::NodeLost);
    let again = launches(&rig.register("z", 2));
    assert!(again.iter().all(|(_, id)| id.stage.stage == 0), "{again:?}");
    assert!(launches(&rig.succeed("z", again[0].1)).is_empty());
    let readers = launches(&rig.succeed("z", again[1].1));
    assert_eq!(
        readers.iter().map(|(_, id)| id.stage.stage).collect::<Vec<_>>(),
        [1, 1]
    );
}

#[test]
fn results_that_nobody_reads_any_more_are_not_made_again() {
    let mut rig = mapped();
    for task in 0..4 {
        let place = rig.task(1, task).executor.unwrap();
        rig.succeed(place.as_str(), id(1, task, 0));
    }
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

fn runs(rig: &Rig, task: u32) -> bool {
    let view = rig.task(0, task);
    view.executor.is_some() && view.progress < 1.0
}

fn unreadable(rig: &mut Rig, task: u32, source: &str) {
    let view = rig.task(1, task);
    let id = TaskAttemptId {
        stage: rig.stage(1).key,
        ..id(1, task, view.attempts - 1)
    };
    rig.send(Event::OutputUnreadable {
        executor: view.executor.unwrap(),
        id,
        source: executor(source),
    });
}

#[test]
fn a_reader_that_finds_nothing_does_not_count_and_has_the_results_made_again() {
    let mut rig = mapped();
    unreadable(&mut rig, 0, "x");
    assert_eq!((rig.task(1, 0).failures, rig.stage(1).key.stage_attempt), (0, 1));
    let map = rig.stage(0);
    assert_eq!(
        (map.status, map.succeeded, map.key.stage_attempt),
        (StageStatus::Running, 2, 1)
    );
}

#[test]
fn a_stage_that_cannot_read_its_input_again_and_again_fails_the_job() {
    let mut rig = mapped();
    for _ in 0..4 {
        unreadable(&mut rig, 0, "x");
        while let Some(task) = (0..4).find(|&task| runs(&rig, task)) {
            let view = rig.task(0, task);
            let id = again(id(0, task, view.attempts - 1), rig.stage(0).key.stage_attempt);
            rig.succeed(view.executor.unwrap().as_str(), id);
        }
    }
    let cause = "stage reduce could not read its input in 4 attempts, last from x";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn a_decommissioned_node_excuses_only_those_who_were_on_their_way_when_it_went() {
    let mut rig = mapped();
    let reader = (0..4).find(|&task| rig.task(1, task).executor == Some(executor("y")));
    let reader = reader.unwrap();
    rig.lose("x", ExecutorLoss::Decommissioned);
    rig.now += seconds(1);
    rig.register("z", 2);
    while let Some(task) = (0..4).find(|&task| runs(&rig, task)) {
        let id = again(id(0, task, 1), rig.stage(0).key.stage_attempt);
        rig.succeed("z", id);
    }
    unreadable(&mut rig, reader, "x");
    for _ in 0..3 {
        unreadable(&mut rig, reader, "x");
        assert_eq!(rig.verdict, None);
    }
    unreadable(&mut rig, reader, "x");
    let cause = "stage reduce could not read its input in 4 attempts, last from x";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn what_was_made_of_lost_results_before_is_made_again_too() {
    let mut first = stage("first", 1);
    first.scheduling.keeps_output = true;
    let mut second = after(stage("second", 1), &[0]);
    second.scheduling.keeps_output = true;
    let mut rig = Rig::new(plan(1, 1, vec![first, second, after(stage("third", 1), &[1])]));
    rig.register("x", 1);
    rig.succeed("x", id(0, 0, 0));
    rig.succeed("x", id(1, 0, 0));
    rig.lose("x", ExecutorLoss::NodeLost);
    assert_eq!(
        launches(&rig.register("y", 1)),
        [("y".to_owned(), again(id(0, 0, 1), 1))]
    );
    assert_eq!(
        launches(&rig.succeed("y", again(id(0, 0, 1), 1))),
        [("y".to_owned(), again(id(1, 0, 1), 1))]
    );
    assert_eq!(
        launches(&rig.succeed("y", again(id(1, 0, 1), 1))),
        [("y".to_owned(), id(2, 0, 1))]
    );
}

#[test]
fn readers_of_an_earlier_attempt_of_their_stage_do_not_count_again() {
    let mut rig = mapped();
    let first = rig.stage(1).key;
    for task in 0..4 {
        let Some(place) = rig.task(1, task).executor else {
            continue;
        };
        let id = TaskAttemptId {
            stage: first,
            ..id(1, task, 0)
        };
        rig.send(Event::OutputUnreadable {
            executor: place,
            id,
            source: executor("x"),
        });
    }
    assert_eq!((rig.stage(1).key.stage_attempt, rig.verdict.clone()), (1, None));
}

#[test]
fn a_late_result_that_went_with_its_executor_is_not_taken() {
    let mut rig = Rig::new(map_reduce(2, 1));
    rig.register("x", 1);
    rig.register("y", 1);
    let place = rig.task(0, 0).executor.unwrap();
    rig.lose(place.as_str(), ExecutorLoss::Silent);
    rig.succeed(place.as_str(), id(0, 0, 0));
    assert_eq!(rig.stage(0).succeeded, 0);
}
