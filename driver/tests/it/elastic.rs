//! Executors that follow the backlog.

use driver::event::Effect;
use driver::policy::ElasticPlan;
use wire::failure::ExecutorLoss;

use crate::rig::{Rig, executor, id, plan, seconds, stage};

fn elastic(tasks: u32, min: u32, max: u32) -> Rig {
    let mut plan = plan(0, 1, vec![stage("a", tasks)]);
    plan.scheduling.elastic = Some(ElasticPlan {
        min,
        max,
        ..ElasticPlan::default()
    });
    Rig::new(plan)
}

fn targets(effects: &[Effect]) -> Vec<u32> {
    let targets = effects.iter().filter_map(|effect| match effect {
        Effect::SetTarget(target) => Some(target.executors),
        _ => None,
    });
    targets.collect()
}

#[test]
fn the_target_doubles_while_tasks_wait() {
    let mut rig = elastic(100, 0, 10);
    assert_eq!(rig.driver.snapshot().wanted_executors, 0);
    assert_eq!(targets(&rig.pass(seconds(6))), [1, 3, 7, 10]);
}

#[test]
fn no_more_are_wanted_than_tasks_can_use() {
    let mut rig = elastic(2, 0, 10);
    assert_eq!(targets(&rig.pass(seconds(6))), [1, 2]);
}

#[test]
fn idle_executors_go_after_a_while_but_never_below_the_minimum() {
    let mut rig = elastic(4, 1, 3);
    rig.pass(seconds(5));
    for name in ["x", "y", "z"] {
        rig.register(name, 1);
    }
    for task in 0..3 {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    assert!(rig.pass(seconds(59)).is_empty());
    let effects = rig.pass(seconds(61));
    let stopped: Vec<_> = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::StopExecutor { .. }))
        .collect();
    assert_eq!((stopped.len(), targets(&effects)), (2, vec![1]));
    let place = rig.task(0, 3).executor.unwrap();
    let kept = Effect::StopExecutor {
        executor: place,
        loss: ExecutorLoss::Released,
    };
    assert!(!effects.contains(&kept));
    assert!(rig.pass(seconds(300)).is_empty());
}

#[test]
fn the_total_is_lowered_before_an_executor_is_stopped() {
    let mut rig = elastic(1, 0, 2);
    rig.pass(seconds(3));
    rig.register("x", 1);
    rig.register("y", 1);
    let effects = rig.pass(seconds(61));
    assert!(
        matches!(
            effects.as_slice(),
            [Effect::SetTarget(_), Effect::StopExecutor { .. }]
        ),
        "{effects:?}"
    );
    assert_eq!(rig.task(0, 0).executor, Some(executor("x")));
}

#[test]
fn an_idle_executor_with_a_result_that_is_still_to_be_read_stays() {
    let mut map = stage("map", 2);
    map.scheduling.keeps_output = true;
    let mut plan = plan(0, 1, vec![map, crate::rig::after(stage("reduce", 1), &[0])]);
    plan.scheduling.elastic = Some(ElasticPlan {
        min: 0,
        max: 2,
        ..ElasticPlan::default()
    });
    let mut rig = Rig::new(plan);
    rig.pass(seconds(3));
    rig.register("x", 1);
    rig.register("y", 1);
    for task in 0..2 {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    assert_eq!(rig.stage(1).running, 1);
    let gone = |effects: &[Effect]| {
        let stop = |effect: &&Effect| matches!(effect, Effect::StopExecutor { .. });
        effects.iter().filter(stop).count()
    };
    assert_eq!(gone(&rig.pass(seconds(600))), 0);
}
