//! Calls whose requests or answers are lost, late, doubled or refused.

use mini::{Action, Failure, Options};
use std::time::Duration;

use crate::lab::Lab;

fn lab() -> Lab {
    Lab::new(|_: &mut Options| {})
}

#[test]
fn lost_answers_to_heartbeats_lose_and_double_nothing() {
    let lab = lab();
    for nth in [1, 2, 4, 6] {
        lab.fault("allocate", nth, Action::LoseAnswer);
    }
    lab.fault("allocate", 3, Action::LoseRequest);
    let job = lab.gated("lossy", 3, 6, 3);
    job.wait_executors(0, 3);
    job.succeed();
}

#[test]
fn heartbeats_that_are_answered_twice_count_once() {
    let lab = lab();
    for nth in 1..=6 {
        lab.fault("allocate", nth, Action::Duplicate);
    }
    let job = lab.gated("doubled", 3, 6, 3);
    job.wait_executors(0, 3);
    job.succeed();
}

#[test]
fn late_answers_are_waited_for() {
    let lab = lab();
    lab.fault("allocate", 2, Action::Delay(Duration::from_secs(2)));
    lab.fault(
        "registerApplicationMaster",
        1,
        Action::Delay(Duration::from_secs(1)),
    );
    lab.gated("late", 2, 4, 2).succeed();
}

#[test]
fn a_lost_answer_to_the_registration_is_no_second_registration() {
    let lab = lab();
    lab.fault("registerApplicationMaster", 1, Action::LoseAnswer);
    lab.gated("registered-twice", 2, 4, 2).succeed();
}

#[test]
fn a_lost_answer_to_the_end_leaves_one_verdict() {
    let lab = lab();
    lab.fault("finishApplicationMaster", 1, Action::LoseAnswer);
    lab.gated("finished-twice", 2, 4, 2).succeed();
}

#[test]
fn a_start_whose_answer_is_lost_is_one_start() {
    let lab = lab();
    lab.fault("startContainers", 1, Action::LoseAnswer);
    lab.fault("startContainers", 2, Action::LoseRequest);
    let job = lab.gated("start-lost", 2, 4, 2);
    job.wait_executors(0, 2);
    job.succeed();
}

#[test]
fn a_container_that_its_node_refuses_is_given_back_and_asked_for_elsewhere() {
    let lab = lab();
    let refusal = Failure::yarn("YarnException", "this node takes nothing today");
    lab.fault("startContainers", 1, Action::Fail(refusal));
    let job = lab.gated("refused", 2, 4, 2);
    job.wait_executors(1, 2);
    let dossier = job.dossier(1);
    assert_eq!(dossier["verdict"], "infrastructure", "{dossier:#}");
    let cause = dossier["cause"].as_str().unwrap();
    assert!(cause.contains("nothing today"), "{dossier:#}");
    job.succeed();
}
