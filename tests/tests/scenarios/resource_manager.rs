//! The ResourceManager ends, restarts, stands still and is taken over from; ApplicationMasters stand still.

use mini::resource_manager::Recovery;
use mini::tokens::TokenKind;
use mini::{Options, Order};
use std::time::Duration;

use crate::lab::Lab;

fn lab() -> Lab {
    Lab::new(|_: &mut Options| {})
}

/// The job ends well although no executor was replaced and no task ran again.
fn unharmed(lab: &Lab, job: crate::lab::Job<'_>, tasks: usize) {
    job.succeed();
    assert_eq!(lab.arrivals().len(), tasks, "no task ran again");
}

#[test]
fn a_restart_of_the_resource_manager_costs_nothing() {
    let lab = lab();
    let job = lab.gated("restart", 2, 4, 2);
    lab.order(&Order::RestartResourceManager(Recovery::WorkPreserving));
    job.wait_executors(0, 2);
    unharmed(&lab, job, 4);
}

#[test]
fn the_other_resource_manager_takes_over_and_nothing_is_lost() {
    let lab = Lab::new(|options| options.high_availability = true);
    let job = lab.gated("takeover", 2, 4, 2);
    lab.order(&Order::FailOver);
    unharmed(&lab, job, 4);
}

#[test]
fn while_the_resource_manager_is_away_tasks_run_and_only_results_wait() {
    let lab = lab();
    let job = lab.gated("away", 2, 4, 2);
    lab.order(&Order::StopResourceManager);
    lab.open_gate();
    // Both run their second task meanwhile, or wait to commit their first.
    std::thread::sleep(Duration::from_secs(3));
    lab.order(&Order::StartResourceManager(Recovery::WorkPreserving));
    unharmed(&lab, job, 4);
}

#[test]
fn a_resource_manager_that_stands_still_is_waited_for() {
    let lab = lab();
    let job = lab.gated("still", 2, 4, 2);
    lab.order(&Order::FreezeResourceManager);
    std::thread::sleep(Duration::from_secs(2));
    lab.order(&Order::ThawResourceManager);
    unharmed(&lab, job, 4);
}

#[test]
fn executors_lost_while_the_resource_manager_is_away_are_replaced_when_it_is_back() {
    let lab = lab();
    let job = lab.gated("both", 2, 4, 2);
    lab.order(&Order::StopResourceManager);
    for executor in job.executors() {
        executor.signal(harness::hadoop::Signal::KILL);
    }
    std::thread::sleep(Duration::from_secs(1));
    lab.order(&Order::StartResourceManager(Recovery::WorkPreserving));
    job.wait_summary("two replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() >= Some(2) && executors["registered"] == 2
    });
    job.succeed();
}

#[test]
fn tokens_that_roll_are_used() {
    let lab = lab();
    let job = lab.gated("roll", 2, 4, 2);
    for kind in [TokenKind::Master, TokenKind::Node, TokenKind::Container] {
        lab.order(&Order::RollKey(kind));
    }
    job.wait_summary("a heartbeat", |summary| summary["state"] == "running");
    std::thread::sleep(Duration::from_secs(1));
    lab.order(&Order::ActivateKey);
    job.executors()[0].signal(harness::hadoop::Signal::KILL);
    job.wait_executors(1, 2);
    job.succeed();
}

#[test]
fn tokens_of_nodes_that_run_out_are_replaced() {
    let lab = lab();
    let job = lab.gated("expire", 2, 4, 2);
    lab.order(&Order::ExpireTokens(TokenKind::Node));
    job.executors()[0].signal(harness::hadoop::Signal::KILL);
    job.wait_summary("the replacement", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() >= Some(1) && executors["registered"] == 2
    });
    job.succeed();
}

#[test]
fn a_master_that_stood_still_too_long_is_fenced_and_commits_nothing() {
    let lab = Lab::new(|options| options.master_expiry = Duration::from_secs(3));
    let job = lab.gated("fenced", 2, 4, 2);
    lab.order(&Order::FreezeMasters);
    job.wait_summary("the second attempt", |summary| summary["attempt"] == 2);
    lab.order(&Order::ThawMasters);
    job.succeed();
}

#[test]
fn a_master_lost_again_after_the_validity_interval_is_replaced_again() {
    let lab = lab();
    let conf = "am.max-attempts=2 am.failures.validity-interval=1s";
    let job = lab.job_with("again", 2, 2, &lab.gate(), conf);
    lab.wait_arrivals(2);
    for attempt in [2, 3] {
        // The failure before is older than the interval by now.
        std::thread::sleep(Duration::from_millis(1500));
        lab.order(&Order::KillMasters);
        job.wait_summary("the next attempt", |summary| summary["attempt"] == attempt);
    }
    unharmed(&lab, job, 2);
}
