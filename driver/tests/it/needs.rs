//! Tasks that need more of their executor than slots.

use std::collections::BTreeMap;

use driver::event::Effect;
use driver::plan::{AppPlan, StagePlan};
use driver::policy::PrefetchPlan;

use crate::rig::{Rig, id, launches, plan, seconds, stage};

/// Executors of 4 slots, 512 MiB and 2 GPUs each.
fn with_gpus(instances: u32, stages: Vec<StagePlan>) -> AppPlan {
    let mut plan = plan(instances, 4, stages);
    plan.executors.resources = gpus(2);
    plan
}

fn gpus(amount: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("yarn.io/gpu".to_owned(), amount)])
}

fn on_gpus(name: &str, tasks: u32, amount: u64) -> StagePlan {
    StagePlan {
        resources: gpus(amount),
        ..stage(name, tasks)
    }
}

fn partitions(effects: &[Effect]) -> Vec<u32> {
    let launched = launches(effects).into_iter();
    launched.map(|(_, id)| id.partition).collect()
}

#[test]
fn no_more_tasks_run_beside_each_other_than_their_executor_has_memory_and_resources_for() {
    let hungry = StagePlan {
        memory_mib: Some(200),
        ..stage("hungry", 9)
    };
    for (stage, places) in [(on_gpus("one", 9, 1), 2), (on_gpus("both", 9, 2), 1), (hungry, 2)] {
        let mut rig = Rig::new(with_gpus(1, vec![stage]));
        let first = partitions(&rig.register("a", 4));
        assert_eq!(first.len(), places);
        assert_eq!(partitions(&rig.succeed("a", id(0, first[0], 0))).len(), 1);
    }
}

#[test]
fn memory_is_no_more_than_a_limit_in_plans_of_builds_for_which_it_was() {
    let hungry = StagePlan {
        memory_mib: Some(200),
        ..stage("hungry", 9)
    };
    let mut old = serde_json::to_value(with_gpus(1, vec![hungry])).unwrap();
    old["executors"]
        .as_object_mut()
        .unwrap()
        .remove("shares_memory")
        .unwrap();
    let mut rig = Rig::new(serde_json::from_value(old).unwrap());
    assert_eq!(partitions(&rig.register("a", 4)).len(), 4);
}

#[test]
fn slots_that_a_scarce_resource_leaves_are_given_to_others() {
    let mut rig = Rig::new(with_gpus(1, vec![on_gpus("train", 9, 1), stage("count", 9)]));
    let launched = launches(&rig.register("a", 4));
    let stages: Vec<_> = launched.iter().map(|(_, id)| id.stage.stage).collect();
    assert_eq!(stages, [0, 0, 1, 1]);
    // What becomes free goes on as before.
    assert_eq!(launches(&rig.succeed("a", id(1, 0, 0)))[0].1.stage.stage, 1);
    assert_eq!(launches(&rig.succeed("a", id(0, 0, 0)))[0].1.stage.stage, 0);
}

#[test]
fn tasks_that_wait_for_something_else_than_slots_are_not_sent_ahead() {
    for (amount, ahead) in [(0, true), (1, false)] {
        let mut plan = with_gpus(1, vec![on_gpus("s", 200, amount)]);
        plan.scheduling.prefetch = PrefetchPlan {
            horizon: seconds(9),
            ..PrefetchPlan::NONE
        };
        let mut rig = Rig::new(plan);
        rig.register("a", 4);
        rig.now += seconds(1);
        let launched = launches(&rig.succeed("a", id(0, 0, 0)));
        assert_eq!(launched.len() > 1, ahead);
    }
}

#[test]
fn a_gang_starts_when_there_is_enough_of_everything_for_all_of_it() {
    let mut gang = on_gpus("gang", 4, 1);
    gang.scheduling.gang = true;
    let mut rig = Rig::new(with_gpus(2, vec![gang]));
    assert!(partitions(&rig.register("a", 4)).is_empty());
    assert_eq!(partitions(&rig.register("b", 4)).len(), 4);
}

#[test]
fn as_many_executors_are_wanted_as_tasks_need_of_what_is_scarce() {
    let mut plan = with_gpus(0, vec![on_gpus("train", 12, 1)]);
    plan.scheduling.elastic = Some(driver::policy::ElasticPlan {
        min: 0,
        max: 100,
        ..driver::policy::ElasticPlan::default()
    });
    let mut rig = Rig::new(plan);
    let mut most = 0;
    for _ in 0..9 {
        for effect in rig.pass(seconds(1)) {
            if let Effect::SetTarget(target) = effect {
                most = most.max(target.executors);
            }
        }
    }
    assert_eq!(most, 6);
}

#[test]
fn what_no_executor_has_is_refused() {
    let mut gang = on_gpus("gang", 5, 1);
    gang.scheduling.gang = true;
    let plan = with_gpus(2, vec![on_gpus("large", 1, 3), gang]);
    let problems: Vec<_> = plan.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "each task of stage large takes 3 of yarn.io/gpu, an executor has 2: lower it in the stage's `resources` \
             or raise it in those of `executors`",
            "stage gang is a gang of 5 tasks, all executors together have room for 4: a gang starts whole or not at all",
        ]
    );
}
