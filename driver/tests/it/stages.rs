//! The order of stages and tasks.

use driver::event::{Effect, Event, Verdict};
use driver::plan::{AppPlan, TaskSource};
use driver::policy::JobPlan;
use driver::view::{JobStatus, StageStatus};
use wire::id::TaskAttemptId;
use wire::launcher::ExecutorTarget;

use crate::rig::{HEARD, Rig, after, exit, id, key, launches, plan, seconds, stage, with_output};

#[test]
fn a_job_of_one_stage_runs_to_success() {
    let mut rig = Rig::new(plan(1, 2, vec![with_output(stage("a", 3))]));
    let effects = rig.register("x", 2);
    assert_eq!(
        launches(&effects),
        [("x".to_owned(), id(0, 0, 0)), ("x".to_owned(), id(0, 1, 0))]
    );
    assert_eq!(
        launches(&rig.succeed("x", id(0, 0, 0))),
        [("x".to_owned(), id(0, 2, 0))]
    );
    assert_eq!(rig.driver.progress(), (1, 3));
    rig.succeed("x", id(0, 1, 0));
    let effects = rig.succeed("x", id(0, 2, 0));
    assert!(effects.contains(&Effect::CommitStage { stage: key(0) }));
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
    assert_eq!(rig.driver.next_deadline(), None);
}

#[test]
fn the_start_asks_for_all_executors_and_plans_what_waits_for_nothing() {
    let mut rig = Rig::unstarted(plan(5, 1, vec![stage("a", 1), after(stage("b", 1), &[0])]));
    rig.obliging = false;
    let target = ExecutorTarget {
        executors: 5,
        needed: 1,
        ..ExecutorTarget::default()
    };
    let expected = [Effect::SetTarget(target), Effect::PlanStage { stage: key(0) }];
    assert_eq!(rig.send(Event::Started), expected);
}

#[test]
fn an_edge_is_a_barrier() {
    let stages = vec![stage("a", 2), stage("b", 1), after(stage("c", 1), &[0, 1])];
    let mut rig = Rig::new(plan(1, 4, stages));
    assert_eq!(launches(&rig.register("x", 4)).len(), 3);
    rig.succeed("x", id(0, 0, 0));
    rig.succeed("x", id(1, 0, 0));
    assert_eq!(rig.stage(2).status, StageStatus::Waiting);
    assert_eq!(
        launches(&rig.succeed("x", id(0, 1, 0))),
        [("x".to_owned(), id(2, 0, 0))]
    );
}

#[test]
fn a_stage_without_tasks_is_done_at_once_and_its_output_is_still_marked() {
    let mut rig = Rig::unstarted(plan(1, 1, vec![with_output(stage("a", 0))]));
    rig.send(HEARD);
    let effects = rig.send(Event::Started);
    assert!(effects.contains(&Effect::CommitStage { stage: key(0) }));
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

#[test]
fn tasks_are_spread_over_executors() {
    let mut rig = Rig::unstarted(plan(2, 2, vec![stage("a", 2)]));
    rig.register("x", 2);
    rig.register("y", 2);
    let launched = launches(&rig.send(Event::Started));
    let executors: Vec<_> = launched.iter().map(|(executor, _)| executor.as_str()).collect();
    assert_eq!(executors, ["x", "y"]);
}

#[test]
fn an_executor_gets_its_tasks_of_a_round_in_one_message_and_each_stage_once() {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 4)]));
    let effects = rig.register("x", 2);
    let [Effect::Launch { stages, tasks, .. }] = effects.as_slice() else {
        panic!("not one launch: {effects:?}");
    };
    assert_eq!((stages.len(), tasks.len()), (1, 2));
    let effects = rig.succeed("x", id(0, 0, 0));
    let [Effect::Launch { stages, tasks, .. }] = effects.as_slice() else {
        panic!("not one launch: {effects:?}");
    };
    assert_eq!((stages.len(), tasks.len()), (0, 1));
}

#[test]
fn a_task_of_several_cores_takes_as_many_slots() {
    let mut wide = stage("a", 3);
    wide.cores = 2;
    let mut rig = Rig::new(plan(1, 5, vec![wide]));
    assert_eq!(launches(&rig.register("x", 5)).len(), 2);
    assert_eq!(rig.driver.snapshot().executors[0].used_slots, 4);
}

#[test]
fn the_gate_holds_tasks_back_until_most_executors_are_there() {
    let mut gated = plan(4, 1, vec![stage("a", 4)]);
    gated.settings.min_registered_ratio = 0.75;
    let mut rig = Rig::new(gated);
    assert!(launches(&rig.register("w", 1)).is_empty());
    assert!(launches(&rig.register("x", 1)).is_empty());
    assert_eq!(launches(&rig.register("y", 1)).len(), 3);
}

#[test]
fn the_gate_opens_after_a_while_with_any_number() {
    let mut gated = plan(4, 1, vec![stage("a", 4)]);
    gated.settings.min_registered_ratio = 1.0;
    let mut rig = Rig::new(gated);
    rig.register("w", 1);
    assert!(launches(&rig.pass(seconds(29))).is_empty());
    assert_eq!(launches(&rig.pass(seconds(1))).len(), 1);
}

#[test]
fn a_stage_that_cannot_be_planned_fails_the_job_with_the_reason() {
    let mut rig = Rig::unstarted(plan(1, 1, vec![stage("a", 1)]));
    rig.obliging = false;
    rig.send(Event::Started);
    rig.send(Event::StagePlanned {
        stage: key(0),
        tasks: Err("hdfs:///in does not exist".to_owned()),
    });
    let cause = "stage a could not be planned: hdfs:///in does not exist";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn an_answer_that_comes_twice_changes_nothing() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 2)]));
    rig.send(Event::StagePlanned {
        stage: key(0),
        tasks: Ok(Vec::new()),
    });
    rig.send(Event::Started);
    assert_eq!(
        (rig.stage(0).tasks, rig.stage(0).status),
        (2, StageStatus::Running)
    );
}

#[test]
fn a_kill_cancels_what_runs_abandons_what_is_half_made_and_ends() {
    let mut rig = Rig::new(plan(1, 1, vec![with_output(stage("a", 2))]));
    rig.register("x", 1);
    let effects = rig.send(Event::KillRequested { by: "ada".to_owned() });
    let [
        Effect::Cancel { id: cancelled, .. },
        Effect::AbandonStage { stage },
        Effect::Finish(verdict),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*cancelled, *stage), (id(0, 0, 0), key(0)));
    assert_eq!(*verdict, Verdict::Killed("ada".to_owned()));
    assert!(rig.succeed("x", id(0, 0, 0)).is_empty());
}

#[test]
fn a_plan_that_cannot_run_is_refused_with_the_reason() {
    let mut wide = stage("a", 1);
    wide.cores = 3;
    let mut rig = Rig::new(plan(1, 2, vec![wide]));
    rig.send(Event::Started);
    let Some(Verdict::Failed(cause)) = rig.verdict else {
        panic!("{:?}", rig.verdict);
    };
    assert!(
        cause.starts_with("each task of stage a takes 3 cores, an executor has 2"),
        "{cause}"
    );
}

#[test]
fn known_tasks_count_before_their_stage_is_planned() {
    let mut items = after(stage("b", 0), &[0]);
    items.source = TaskSource::Items(vec!["p".to_owned(), "q".to_owned()]);
    let rig = Rig::new(plan(1, 1, vec![stage("a", 3), items]));
    assert_eq!(rig.driver.progress(), (0, 5));
}

#[test]
fn an_application_is_not_all_done_before_a_stage_whose_inputs_nobody_has_seen() {
    for (groups, known) in [(None, 2), (Some(4), 5)] {
        let mut reads = after(stage("b", 0), &[0]);
        reads.source = TaskSource::Inputs {
            paths: vec!["file:///a".to_owned()],
            groups,
            split: None,
        };
        let rig = Rig::new(plan(1, 1, vec![stage("a", 1), reads]));
        assert_eq!(rig.driver.progress(), (0, known));
    }
}

#[test]
fn stages_that_wait_for_each_other_are_refused_by_name() {
    let stages = vec![
        after(stage("a", 1), &[2]),
        stage("b", 1),
        after(stage("c", 1), &[0, 1]),
    ];
    let problems = plan(1, 1, stages).problems();
    let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"), @"these stages wait for each other: a, c");
}

#[test]
fn heartbeats_rarer_than_the_patience_with_them_are_refused() {
    let mut plan = plan(1, 1, vec![stage("a", 1)]);
    assert_eq!(plan.heartbeat_problem(), None);
    plan.settings.heartbeat_interval = plan.settings.heartbeat_suspect;
    assert_eq!(
        plan.heartbeat_problem()
            .map(|problem| problem.to_string())
            .as_deref(),
        Some(
            "executor.heartbeat.interval is 15s, .suspect 15s and .dead 60s: the first must be below the second, and \
             that not above the third"
        )
    );
    plan.settings.heartbeat_interval = seconds(3);
    plan.settings.heartbeat_suspect = seconds(61);
    assert!(plan.heartbeat_problem().is_some());
    assert_eq!(plan.problems(), [], "what an earlier build has accepted runs on");
}

#[test]
fn a_pool_of_which_nothing_is_said_is_fifo_with_a_weight_of_one_and_no_min_share() {
    let pool = driver::policy::PoolPlan::default();
    assert_eq!(
        (pool.mode, pool.weight, pool.min_share),
        (driver::policy::PoolMode::Fifo, 1, 0)
    );
}

#[test]
fn a_plan_survives_its_json_and_an_older_one_gets_the_defaults() {
    let mut plan = plan(2, 3, vec![with_output(stage("a", 1))]);
    plan.scheduling = driver::policy::Scheduling::default();
    let mut json = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        serde_json::from_value::<driver::plan::AppPlan>(json.clone()).unwrap(),
        plan
    );
    json.as_object_mut().unwrap().remove("scheduling");
    json["stages"][0].as_object_mut().unwrap().remove("scheduling");
    assert_eq!(
        serde_json::from_value::<driver::plan::AppPlan>(json).unwrap(),
        plan
    );
}

fn jobs_in_a_row() -> AppPlan {
    let mut plan = plan(1, 1, vec![stage("a", 1), stage("b", 1), stage("c", 1)]);
    let job = |number: u32| JobPlan {
        name: format!("job-{number}"),
        after: number.checked_sub(1).into_iter().collect(),
        ..JobPlan::default()
    };
    plan.scheduling.jobs = (0..3).map(job).collect();
    for (number, stage) in (0..).zip(&mut plan.stages) {
        stage.scheduling.job = number;
    }
    plan
}

fn of_job(job: u32, mut id: TaskAttemptId) -> TaskAttemptId {
    id.stage.job = job;
    id
}

fn job_states(rig: &Rig) -> Vec<JobStatus> {
    rig.driver.snapshot().jobs.iter().map(|job| job.status).collect()
}

#[test]
fn a_job_begins_when_those_before_it_have_succeeded() {
    use JobStatus::{Running, Succeeded, Waiting};
    let mut rig = Rig::new(jobs_in_a_row());
    rig.register("x", 1);
    assert_eq!(job_states(&rig), [Running, Waiting, Waiting]);
    let launched = launches(&rig.succeed("x", of_job(0, id(0, 0, 0))));
    assert_eq!(launched, [("x".to_owned(), of_job(1, id(1, 0, 0)))]);
    assert_eq!(job_states(&rig), [Succeeded, Running, Waiting]);
}

#[test]
fn jobs_after_a_failed_one_never_begin_and_say_why() {
    let mut rig = Rig::new(jobs_in_a_row());
    rig.register("x", 1);
    rig.send(Event::JobKillRequested {
        job: 1,
        by: "ada".to_owned(),
    });
    assert_eq!(
        job_states(&rig),
        [JobStatus::Running, JobStatus::Killed, JobStatus::Killed]
    );
    for attempt in 0..4 {
        rig.fail("x", of_job(0, id(0, 0, attempt)), exit(1));
    }
    assert!(
        matches!(rig.verdict, Some(Verdict::Killed(_))),
        "{:?}",
        rig.verdict
    );
}

#[test]
fn a_failed_job_fails_those_after_it_with_its_cause() {
    let mut rig = Rig::new(jobs_in_a_row());
    rig.register("x", 1);
    for attempt in 0..4 {
        rig.fail("x", of_job(0, id(0, 0, attempt)), exit(1));
    }
    let last = rig.driver.snapshot().jobs.pop().unwrap().cause.unwrap();
    assert!(
        last.starts_with("job job-2 did not begin: it comes after job job-1, which failed"),
        "{last}"
    );
    assert!(last.contains("exit code 1"), "{last}");
}

#[test]
fn jobs_that_wait_for_each_other_are_refused() {
    let mut plan = jobs_in_a_row();
    plan.scheduling.jobs[0].after = vec![2, 7];
    let problems: Vec<_> = plan.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "job job-0 comes after job number 7, the plan has 3",
            "these jobs wait for each other: job-0, job-1, job-2"
        ]
    );
}
