//! Executors that YARN is going to take away.

use driver::event::{Effect, Event};
use driver::view::ExecutorStatus;
use wire::failure::ExecutorLoss;

use crate::rig::{Rig, executor, id, launches, plan, seconds, stage};

fn drain(rig: &mut Rig, named: &[&str], more: u32) -> Vec<Effect> {
    rig.send(Event::DrainRequested {
        executors: named.iter().map(|name| executor(name)).collect(),
        more,
        loss: ExecutorLoss::Preempted,
    })
}

fn stops(effects: &[Effect]) -> Vec<String> {
    let stop = |effect: &Effect| match effect {
        Effect::StopExecutor { executor, loss } => {
            assert_eq!(*loss, ExecutorLoss::Preempted);
            Some(executor.to_string())
        }
        _ => None,
    };
    effects.iter().filter_map(stop).collect()
}

#[test]
fn a_draining_executor_ends_its_task_gets_no_other_and_goes() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 4)]));
    rig.register("x", 1);
    rig.register("y", 1);
    assert!(stops(&drain(&mut rig, &["x"], 0)).is_empty());
    assert_eq!(
        rig.driver.snapshot().executors[0].status,
        ExecutorStatus::Draining
    );
    let effects = rig.succeed("x", id(0, 0, 0));
    assert_eq!(stops(&effects), ["x"]);
    assert!(launches(&effects).is_empty(), "{effects:?}");
    assert_eq!((rig.stage(0).succeeded, rig.stage(0).running), (1, 1));
}

#[test]
fn an_idle_executor_goes_at_once() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.register("y", 1);
    assert_eq!(stops(&drain(&mut rig, &["y"], 0)), ["y"]);
}

#[test]
fn when_the_choice_is_ours_the_executor_that_loses_least_goes() {
    let mut rig = Rig::new(plan(3, 1, vec![stage("a", 9)]));
    rig.register("x", 1);
    rig.now += seconds(5);
    rig.register("y", 1);
    rig.now += seconds(5);
    rig.register("z", 1);
    rig.succeed("x", id(0, 0, 0));
    // Now x runs its second task for as long as z its first, y for longer; z registered later.
    drain(&mut rig, &[], 1);
    let status = |rig: &Rig, number: usize| rig.driver.snapshot().executors[number].status;
    assert_eq!(status(&rig, 2), ExecutorStatus::Draining);
    // The notice is repeated: nobody else has to go.
    drain(&mut rig, &[], 1);
    assert_eq!(
        [status(&rig, 0), status(&rig, 1)],
        [ExecutorStatus::Live, ExecutorStatus::Live]
    );
    drain(&mut rig, &[], 2);
    assert_eq!(status(&rig, 0), ExecutorStatus::Draining);
}

#[test]
fn a_task_that_is_taken_away_with_its_executor_counts_against_nobody() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.started("x", id(0, 0, 0));
    drain(&mut rig, &["x"], 0);
    rig.lose("x", ExecutorLoss::Preempted);
    assert_eq!((rig.stage(0).pending, rig.task(0, 0).failures), (1, 0));
}
