//! The order between jobs and pools, as computed by hand.

use driver::event::Verdict;
use driver::plan::{AppPlan, StagePlan};
use driver::policy::{JobPlan, PoolMode, PoolPlan};
use wire::id::TaskAttemptId;

use crate::rig::{Rig, exit, launches, plan, stage};

fn pool(name: &str, mode: PoolMode, weight: u32, min_share: u32) -> PoolPlan {
    PoolPlan {
        name: name.to_owned(),
        parent: None,
        mode,
        weight,
        min_share,
    }
}

fn job(pool: &str) -> JobPlan {
    JobPlan {
        name: format!("in-{pool}"),
        pool: Some(pool.to_owned()),
        after: Vec::new(),
    }
}

/// A stage of many tasks for each job.
fn stage_of(job: u32) -> StagePlan {
    let mut made = stage(&format!("s{job}"), 100);
    made.scheduling.job = job;
    made
}

fn fair(slots: u32, pools: Vec<PoolPlan>, jobs: &[&str]) -> AppPlan {
    let count = u32::try_from(jobs.len()).unwrap();
    let mut fair = plan(1, slots, (0..count).map(stage_of).collect());
    fair.scheduling.mode = PoolMode::Fair;
    fair.scheduling.pools = pools;
    fair.scheduling.jobs = jobs.iter().map(|pool| job(pool)).collect();
    fair
}

/// The jobs of the tasks that get the slots of one executor, in order.
fn order(plan: AppPlan) -> Vec<u32> {
    let slots = plan.executors.cores;
    let mut rig = Rig::new(plan);
    launches(&rig.register("x", slots))
        .into_iter()
        .map(|(_, id)| id.stage.job)
        .collect()
}

#[test]
fn without_pools_the_lower_job_goes_first() {
    let mut fifo = plan(1, 4, vec![stage_of(1), stage_of(0)]);
    fifo.scheduling.jobs = vec![JobPlan::default(), JobPlan::default()];
    assert_eq!(order(fifo), [0, 0, 0, 0]);
}

#[test]
fn weights_decide_how_slots_are_shared() {
    let pools = vec![pool("a", PoolMode::Fifo, 1, 0), pool("b", PoolMode::Fifo, 2, 0)];
    // Shares in use before each choice: 0/1 0/2, 1/1 0/2, 1/1 1/2, 1/1 2/2 (a tie: a), 2/1 2/2, 2/1 3/2.
    assert_eq!(order(fair(6, pools, &["a", "b"])), [0, 1, 1, 0, 1, 1]);
}

#[test]
fn of_equal_pools_the_one_with_the_smaller_name_goes_first() {
    let pools = vec![pool("b", PoolMode::Fifo, 1, 0), pool("a", PoolMode::Fifo, 1, 0)];
    assert_eq!(order(fair(4, pools, &["b", "a"])), [1, 0, 1, 0]);
}

#[test]
fn a_pool_below_its_minimal_share_goes_first() {
    let pools = vec![pool("a", PoolMode::Fifo, 100, 0), pool("b", PoolMode::Fifo, 1, 3)];
    assert_eq!(order(fair(5, pools, &["a", "b"])), [1, 1, 1, 0, 0]);
}

#[test]
fn of_two_pools_below_their_minimal_shares_the_one_further_below_goes_first() {
    let pools = vec![pool("a", PoolMode::Fifo, 1, 4), pool("b", PoolMode::Fifo, 1, 2)];
    // 0/4 0/2 (a tie: a), 1/4 0/2, 1/4 1/2, 2/4 1/2 (a tie: a), 3/4 1/2, 3/4 2/2.
    assert_eq!(order(fair(6, pools, &["a", "b"])), [0, 1, 0, 0, 1, 0]);
}

#[test]
fn jobs_of_a_fair_pool_take_turns_and_those_of_a_fifo_pool_do_not() {
    let turns = vec![pool("a", PoolMode::Fair, 1, 0)];
    assert_eq!(order(fair(4, turns, &["a", "a"])), [0, 1, 0, 1]);
    let first = vec![pool("a", PoolMode::Fifo, 1, 0)];
    assert_eq!(order(fair(4, first, &["a", "a"])), [0, 0, 0, 0]);
}

#[test]
fn the_tasks_of_a_pool_count_for_the_pools_around_it() {
    let inner = |name: &str| PoolPlan {
        parent: Some("outer".to_owned()),
        ..pool(name, PoolMode::Fifo, 1, 0)
    };
    let pools = vec![
        pool("alone", PoolMode::Fifo, 1, 0),
        inner("x"),
        inner("y"),
        pool("outer", PoolMode::Fair, 1, 0),
    ];
    assert_eq!(order(fair(6, pools, &["alone", "x", "y"])), [0, 1, 0, 2, 0, 1]);
}

#[test]
fn a_slot_goes_to_whoever_has_least_after_a_task_ends() {
    let pools = vec![pool("a", PoolMode::Fifo, 1, 0), pool("b", PoolMode::Fifo, 1, 0)];
    let mut rig = Rig::new(fair(4, pools, &["a", "b"]));
    let first: Vec<TaskAttemptId> = launches(&rig.register("x", 4))
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    let of_b = first.into_iter().find(|id| id.stage.job == 1).unwrap();
    assert_eq!(launches(&rig.succeed("x", of_b))[0].1.stage.job, 1);
}

#[test]
fn the_failure_of_a_job_leaves_others_alone_and_decides_in_the_end() {
    let mut two = plan(1, 1, vec![stage("a", 1), stage("b", 1)]);
    two.scheduling.jobs = vec![JobPlan::default(), JobPlan::default()];
    two.stages[1].scheduling.job = 1;
    two.stages[0].max_failures = Some(1);
    let mut rig = Rig::new(two);
    let (_, first) = launches(&rig.register("x", 1)).remove(0);
    let (_, second) = launches(&rig.fail("x", first, exit(1))).remove(0);
    assert_eq!((second.stage.job, rig.verdict.clone()), (1, None));
    rig.succeed("x", second);
    assert!(
        matches!(rig.verdict, Some(Verdict::Failed(cause)) if cause.starts_with("stage a, task 0 failed once"))
    );
}

#[test]
fn a_job_that_is_told_to_end_leaves_others_alone() {
    let mut two = plan(1, 2, vec![stage("a", 1), stage("b", 1)]);
    two.scheduling.jobs = vec![JobPlan::default(), JobPlan::default()];
    two.stages[1].scheduling.job = 1;
    let mut rig = Rig::new(two);
    let launched = launches(&rig.register("x", 2));
    let by = "ada".to_owned();
    let effects = rig.send(driver::event::Event::JobKillRequested { job: 0, by });
    assert_eq!(
        (crate::rig::cancels(&effects), rig.verdict.clone()),
        (vec![launched[0].1], None)
    );
    rig.succeed("x", launched[1].1);
    assert_eq!(rig.verdict, Some(Verdict::Killed("ada".to_owned())));
}
