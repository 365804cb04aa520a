//! Containers that YARN takes away.

use harness::wait;
use mini::resource_manager::Contract;
use mini::{Options, Order};
use std::time::Duration;

use crate::lab::{Job, Lab, STEP};

fn lab() -> Lab {
    Lab::new(|_: &mut Options| {})
}

fn number(job: &Job<'_>, which: usize) -> u64 {
    let container = job.container_of(&job.executors()[which]);
    container.rsplit('_').next().unwrap().parse().unwrap()
}

fn preempt(containers: Vec<u64>, announced: Option<(Contract, Duration)>) -> Order {
    Order::Preempt {
        containers,
        announced,
    }
}

#[test]
fn a_preempted_executor_is_replaced_and_nobody_is_blamed() {
    let lab = lab();
    let job = lab.gated("preempted", 2, 2, 2);
    lab.order(&preempt(vec![number(&job, 0)], None));
    job.wait_executors(1, 2);
    let dossier = job.dossier(1);
    assert_eq!(
        (&dossier["verdict"], &dossier["counts"]),
        (&"policy".into(), &false.into()),
        "{dossier:#}"
    );
    job.succeed();
}

#[test]
fn an_executor_that_will_be_taken_ends_its_task_and_goes_before() {
    let lab = lab();
    let job = lab.gated("announced", 2, 4, 2);
    let victim = job.executors().remove(0);
    let announced = Some((Contract::Strict, Duration::from_secs(60)));
    lab.order(&preempt(vec![number(&job, 0)], announced));
    std::thread::sleep(Duration::from_secs(1));
    lab.open_gate();
    wait::until("it to go", STEP, || victim.has_ended()).unwrap();
    job.succeed();
    assert_eq!(lab.arrivals().len(), 4, "no task ran again");
}

#[test]
fn when_any_will_do_the_cheapest_executor_goes() {
    let lab = lab();
    let gate = lab.gate();
    // Task 0 is quick, so its executor has nothing to do when the contract comes.
    let job = lab.job(
        "negotiable",
        2,
        2,
        &format!("if [ $DRAWLOOM_TASK = 1 ]; then {gate}\nfi"),
    );
    lab.wait_arrivals(1);
    job.wait_summary("one task done", |summary| summary["tasks"]["finished"] == 1);
    let number = number(&job, 0);
    let announced = Some((Contract::Negotiable, Duration::from_secs(60)));
    lab.order(&preempt(vec![number], announced));
    job.wait_summary("one to go", |summary| summary["executors"]["lost"] == 1);
    job.succeed();
    assert_eq!(lab.arrivals().len(), 1, "the busy one stayed");
}

#[test]
fn a_killed_application_leaves_nothing() {
    let lab = lab();
    let mut job = lab.gated("yarn-kill", 2, 2, 2);
    let killed = lab.drawloom(&["kill", &job.id]).run(STEP).unwrap();
    assert_eq!(killed.code, Some(0), "{killed}");
    job.end().must_end(4, &["killed"]);
    job.assert_nothing_left();
}

#[test]
fn an_application_goes_on_without_its_client() {
    let lab = lab();
    let mut job = lab.job_with("orphan", 2, 4, &lab.gate(), "deploy-mode=cluster");
    lab.wait_arrivals(2);
    job.drop_client();
    lab.open_gate();
    wait::until("the results", STEP, || job.is_marked()).unwrap();
    job.assert_nothing_left();
    job.assert_results();
}
