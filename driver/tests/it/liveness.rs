//! Executors that fall silent, lose their connection or come back.

use driver::event::{Effect, Event, Registration};
use driver::view::ExecutorStatus;
use wire::failure::ExecutorLoss;
use wire::id::{BootNonce, TaskAttemptId};
use wire::message::RunningTask;

use crate::rig::{Rig, cancels, executor, id, launches, plan, seconds, stage};

fn reconnect(rig: &mut Rig, name: &str, boot: u64, running: Vec<TaskAttemptId>) -> Vec<Effect> {
    rig.send(Event::ExecutorRegistered(Registration {
        executor: executor(name),
        boot: BootNonce(boot),
        host: format!("host-of-{name}"),
        slots: 1,
        running,
    }))
}

fn status(rig: &Rig, number: usize) -> ExecutorStatus {
    rig.driver.snapshot().executors[number].status
}

fn disconnect(rig: &mut Rig, name: &str) -> Vec<Effect> {
    let executor = executor(name);
    rig.send(Event::ExecutorDisconnected { executor })
}

#[test]
fn a_silent_executor_gets_no_tasks_until_it_is_heard() {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 3)]));
    rig.register("x", 2);
    assert_eq!(rig.driver.next_deadline(), Some(seconds(15)));
    rig.silence(seconds(15));
    assert_eq!(status(&rig, 0), ExecutorStatus::Suspect);
    assert!(launches(&rig.succeed("x", id(0, 0, 0))).is_empty());
    assert_eq!(launches(&rig.beat("x")).len(), 1);
    assert_eq!(status(&rig, 0), ExecutorStatus::Live);
}

#[test]
fn an_executor_silent_for_long_is_fenced_and_its_tasks_run_again() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.silence(seconds(15));
    assert_eq!(rig.driver.next_deadline(), Some(seconds(60)));
    let effects = rig.silence(seconds(45));
    let fence = Effect::StopExecutor {
        executor: executor("x"),
        loss: ExecutorLoss::Silent,
    };
    assert_eq!(effects, [fence]);
    assert_eq!((rig.stage(0).pending, rig.task(0, 0).failures), (1, 0));
}

#[test]
fn a_fenced_executor_is_not_taken_in_again() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.silence(seconds(60));
    let effects = rig.register("x", 1);
    assert!(
        matches!(effects.as_slice(), [Effect::StopExecutor { .. }]),
        "{effects:?}"
    );
}

#[test]
fn the_end_of_a_connection_is_a_hint_and_the_launcher_names_the_cause() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    rig.started("x", id(0, 0, 0));
    disconnect(&mut rig, "x");
    assert_eq!(
        (rig.stage(0).running, status(&rig, 0)),
        (1, ExecutorStatus::Disconnected)
    );
    rig.lose("x", ExecutorLoss::Preempted);
    assert_eq!((rig.stage(0).pending, rig.task(0, 0).failures), (2, 0));
}

#[test]
fn a_lost_connection_that_nobody_explains_is_a_loss_after_a_while() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    disconnect(&mut rig, "x");
    assert!(rig.silence(seconds(14)).is_empty());
    let effects = rig.silence(seconds(1));
    assert!(
        matches!(effects.as_slice(), [Effect::StopExecutor { .. }]),
        "{effects:?}"
    );
    assert_eq!(rig.stage(0).pending, 1);
}

#[test]
fn an_executor_that_connects_again_keeps_its_tasks() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    disconnect(&mut rig, "x");
    rig.now += seconds(5);
    assert!(reconnect(&mut rig, "x", 1, vec![id(0, 0, 0)]).is_empty());
    assert_eq!((rig.stage(0).running, status(&rig, 0)), (1, ExecutorStatus::Live));
}

#[test]
fn an_executor_that_connects_again_is_told_its_stages_again() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 2)]));
    rig.register("x", 1);
    disconnect(&mut rig, "x");
    reconnect(&mut rig, "x", 1, vec![id(0, 0, 0)]);
    let effects = rig.succeed("x", id(0, 0, 0));
    assert!(
        matches!(&effects[0], Effect::Launch { stages, .. } if stages.len() == 1),
        "{effects:?}"
    );
}

#[test]
fn another_life_of_an_executor_means_that_the_first_is_over() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    let effects = reconnect(&mut rig, "x", 2, Vec::new());
    assert_eq!(launches(&effects), [("x".to_owned(), id(0, 0, 1))]);
}

#[test]
fn a_launch_that_never_arrived_is_made_again() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    let beat = |rig: &mut Rig| {
        rig.now += seconds(3);
        rig.send(Event::HeartbeatReceived {
            executor: executor("x"),
            running: Vec::new(),
        })
    };
    for _ in 0..4 {
        assert!(beat(&mut rig).is_empty());
    }
    let effects = beat(&mut rig);
    assert_eq!(cancels(&effects), [id(0, 0, 0)]);
    assert_eq!(launches(&effects), [("x".to_owned(), id(0, 0, 1))]);
    assert_eq!(rig.task(0, 0).failures, 0);
}

#[test]
fn an_attempt_that_nobody_wants_is_cancelled() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    let stranger = RunningTask {
        waiting: false,
        status: String::new(),
        counters: Vec::new(),
        id: id(0, 0, 5),
        resident: 0,
        progress: 0.0,
    };
    let effects = rig.send(Event::HeartbeatReceived {
        executor: executor("x"),
        running: vec![stranger],
    });
    assert_eq!(cancels(&effects), [id(0, 0, 5)]);
}

#[test]
fn a_loss_reported_twice_counts_once() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    rig.started("x", id(0, 0, 0));
    rig.lose("x", ExecutorLoss::Exited(1));
    rig.lose("x", ExecutorLoss::Exited(1));
    disconnect(&mut rig, "x");
    assert_eq!(rig.task(0, 0).failures, 1);
    assert_eq!(status(&rig, 0), ExecutorStatus::Gone(ExecutorLoss::Exited(1)));
}

#[test]
fn executors_that_went_long_ago_are_not_shown_any_more() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 1)]));
    rig.register("stays", 1);
    for number in 0..250 {
        let name = format!("x{number}");
        rig.register(&name, 1);
        rig.lose(&name, ExecutorLoss::Preempted);
    }
    let shown = rig.driver.snapshot().executors;
    assert_eq!(shown.len(), 201);
    assert_eq!((shown[0].id.as_str(), shown[1].id.as_str()), ("stays", "x50"));
}
