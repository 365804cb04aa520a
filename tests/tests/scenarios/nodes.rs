//! Nodes that end, stand still, leave, fill up and come back.

use harness::hadoop::Signal;
use harness::wait;
use mini::{Options, Order};
use std::time::Duration;

use crate::lab::{Lab, STEP};

fn lab() -> Lab {
    Lab::new(|_: &mut Options| {})
}

#[test]
fn the_executors_of_a_lost_node_are_replaced_elsewhere_and_nobody_is_blamed() {
    let lab = lab();
    let job = lab.gated("lost-node", 3, 3, 3);
    let (node, _) = job.node_apart();
    lab.order(&Order::LoseNode(node));
    let summary = job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    let dossier = job.dossier(1);
    assert_eq!(
        (&dossier["counts"], &dossier["verdict"]),
        (&false.into(), &"node".into()),
        "{summary:#}"
    );
    job.succeed();
}

#[test]
fn a_host_that_stands_still_is_given_up_long_before_the_resource_manager_does() {
    let lab = lab();
    let job = lab.gated("powered-off", 3, 3, 3);
    let (node, _) = job.node_apart();
    lab.order(&Order::FreezeNode(node));
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    lab.order(&Order::ThawNode(node));
    job.succeed();
}

#[test]
fn a_node_manager_that_restarts_with_recovery_costs_nothing() {
    let lab = lab();
    let job = lab.gated("recovering", 3, 3, 3);
    let (node, _) = job.node_apart();
    let graceful = false;
    lab.order(&Order::StopNode { node, graceful });
    lab.order(&Order::StartNode { node, recovers: true });
    job.wait_executors(0, 3);
    assert_eq!(
        job.answer("dossiers"),
        serde_json::json!([]),
        "no executor was lost"
    );
    let output = job.succeed();
    assert_eq!(output.failures(), [""; 0], "{output}");
    assert_eq!(lab.arrivals().len(), 3, "no task ran again");
}

#[test]
fn a_node_manager_that_forgets_its_containers_has_them_replaced() {
    let lab = lab();
    let job = lab.gated("forgetful", 3, 3, 3);
    let (node, executor) = job.node_apart();
    let graceful = false;
    lab.order(&Order::StopNode { node, graceful });
    lab.order(&Order::StartNode {
        node,
        recovers: false,
    });
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    // YARN knows nothing of its process any more, so it must leave on our word.
    wait::until("the old executor's end", STEP, || executor.has_ended()).unwrap();
    job.succeed();
}

#[test]
fn a_node_manager_that_ends_in_good_order_is_no_failure() {
    let lab = lab();
    let job = lab.gated("stopped", 3, 3, 3);
    let (node, _) = job.node_apart();
    lab.order(&Order::StopNode { node, graceful: true });
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    let dossier = job.dossier(1);
    assert_eq!(dossier["counts"], false, "{dossier:#}");
    job.succeed();
}

#[test]
fn a_node_that_leaves_is_drained_and_its_tasks_end_there() {
    let lab = lab();
    let job = lab.gated("leaving", 3, 6, 3);
    let (node, executor) = job.node_apart();
    let timeout = Some(Duration::from_secs(60));
    lab.order(&Order::DecommissionNode { node, timeout });
    lab.open_gate();
    wait::until("its executor to go", STEP, || executor.has_ended()).unwrap();
    let output = job.succeed();
    assert!(!output.stderr.contains("failure    stage"), "{output}");
    assert_eq!(lab.arrivals().len(), 6, "no task ran again");
}

#[test]
fn a_node_that_is_taken_away_at_once_is_no_failure() {
    let lab = lab();
    let job = lab.gated("dismissed", 3, 3, 3);
    let (node, _) = job.node_apart();
    lab.order(&Order::DecommissionNode { node, timeout: None });
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    assert_eq!(job.dossier(1)["counts"], false);
    job.succeed();
}

#[test]
fn an_unhealthy_node_gets_no_more_executors_until_it_is_well() {
    let lab = lab();
    let job = lab.gated("unhealthy", 3, 3, 3);
    let (node, _) = job.node_apart();
    lab.order(&Order::FillDisk(node));
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    for executor in job.executors() {
        assert_ne!(lab.node_of(&job.container_of(&executor)), node);
    }
    assert_eq!(job.dossier(1)["counts"], false);
    lab.order(&Order::FreeDisk(node));
    job.succeed();
}

#[test]
fn executors_that_only_the_resource_manager_has_lost_leave_and_are_replaced() {
    let lab = Lab::new(|options| options.node_expiry = Duration::from_secs(1));
    let job = lab.gated("parted", 3, 3, 3);
    let (node, executor) = job.node_apart();
    lab.order(&Order::PartNode(node));
    job.wait_summary("the replacements", |summary| {
        let executors = &summary["executors"];
        executors["lost"].as_u64() > Some(0) && executors["registered"] == 3
    });
    wait::until("the old executor's end", STEP, || executor.has_ended()).unwrap();
    assert_eq!(job.dossier(1)["counts"], false);
    lab.order(&Order::RejoinNode(node));
    job.succeed();
}

#[test]
fn a_node_whose_clock_is_wrong_starts_nothing_and_nothing_else_is_harmed() {
    let lab = lab();
    let job = lab.gated("skewed", 3, 3, 3);
    let (node, executor) = job.node_apart();
    let ahead_ms = 3_600_000;
    lab.order(&Order::SkewClock { node, ahead_ms });
    executor.signal(Signal::KILL);
    // The replacement is first tried where there is most room.
    job.wait_answer("dossiers", "the refused start", |list| {
        let mut losses = list.as_array().into_iter().flatten();
        losses.any(|loss| {
            loss["cause"]
                .as_str()
                .is_some_and(|cause| cause.contains("clock is ahead"))
        })
    });
    job.wait_summary("the replacement", |summary| {
        summary["executors"]["registered"] == 3
    });
    job.succeed();
}

#[test]
fn what_the_nodes_left_have_no_room_for_ends_its_job_with_the_reason() {
    let lab = Lab::new(|options: &mut Options| options.nodes = 2);
    // One of them fits on a node.
    let text = format!(
        "version: 1\nexecutors: {{ instances: 2, memory: 3GiB, cores: 1 }}\nstages:\n  - name: work\n    tasks: 2\n    \
         barrier: true\n    shell: |\n      {}\n",
        lab.gate().replace('\n', "\n      ")
    );
    let job = lab.submitted(
        "no-room",
        &text,
        2,
        "executors.room-patience=2s executor.heartbeat.interval=200ms",
    );
    lab.wait_arrivals(2);
    let (node, _) = job.node_apart();
    lab.order(&Order::LoseNode(node));
    job.fail(&[
        "room for 1 of the 2 executors of 3072 MiB",
        "the 2 tasks of stage work start together",
    ]);
}
