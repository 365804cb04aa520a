//! What tasks count: only the attempt that makes a result adds to its stage.

use driver::view::CounterView;
use wire::id::TaskAttemptId;
use wire::message::{RunningTask, TaskReport};
use wire::task::{Counter, TaskMetrics};

use crate::rig::{Rig, executor, exit, id, plan, seconds, stage};
use driver::event::Event;

fn report(id: TaskAttemptId, value: i64, ok: bool) -> Event {
    let counter = Counter {
        group: "rows".to_owned(),
        name: "bad".to_owned(),
        value,
    };
    Event::TaskFinished {
        executor: executor("a"),
        report: Box::new(TaskReport {
            sequence: 1,
            id,
            metrics: TaskMetrics::default(),
            outcome: if ok { Ok(()) } else { Err(exit(1)) },
            result: None,
            counters: vec![counter],
        }),
    }
}

fn bad_rows(value: i64) -> Counter {
    Counter {
        group: "rows".to_owned(),
        name: "bad".to_owned(),
        value,
    }
}

fn says(who: &str, id: TaskAttemptId, progress: f32, value: i64) -> Event {
    Event::HeartbeatReceived {
        executor: executor(who),
        running: vec![RunningTask {
            id,
            resident: 0,
            progress,
            waiting: false,
            status: String::new(),
            counters: vec![bad_rows(value)],
        }],
    }
}

fn total(rig: &Rig) -> i64 {
    rig.stage(0).counters.iter().map(|counter| counter.value).sum()
}

#[test]
fn what_running_tasks_have_counted_is_in_the_total_until_they_fail() {
    let mut rig = Rig::new(plan(1, 3, vec![stage("s", 3)]));
    rig.register("a", 3);
    rig.send(report(id(0, 0, 0), 1, true));
    rig.send(says("a", id(0, 1, 0), 0.1, 20));
    assert_eq!(total(&rig), 21);
    rig.send(says("a", id(0, 1, 0), 0.2, 30));
    assert_eq!(total(&rig), 31);
    rig.send(report(id(0, 1, 0), 35, false));
    assert_eq!(total(&rig), 1);
    rig.send(says("a", id(0, 2, 0), 0.5, 400));
    rig.send(report(id(0, 2, 0), 500, true));
    assert_eq!(total(&rig), 501);
}

#[test]
fn of_two_copies_the_one_that_is_further_counts_and_none_once_the_task_is_done() {
    let mut plan = plan(2, 2, vec![stage("s", 3)]);
    plan.scheduling.speculation.enabled = true;
    plan.scheduling.speculation.quantile = 0.5;
    let mut rig = Rig::new(plan);
    rig.register_on("a", 2, "one");
    rig.register_on("b", 2, "two");
    let slow = rig.task(0, 0).executor.unwrap();
    let (slow, other) = if slow.as_str() == "a" {
        ("a", "b")
    } else {
        ("b", "a")
    };
    rig.pass(seconds(1));
    for partition in [1, 2] {
        let place = rig.task(0, partition).executor.unwrap();
        rig.succeed(place.as_str(), id(0, partition, 0));
    }
    rig.pass(seconds(9));
    assert_eq!(rig.stage(0).running, 2, "a copy runs");
    rig.send(says(slow, id(0, 0, 0), 0.1, 10));
    rig.send(says(other, id(0, 0, 1), 0.1, 7));
    assert_eq!(total(&rig), 10, "the older of two equal ones");
    rig.send(says(other, id(0, 0, 1), 0.9, 90));
    assert_eq!(total(&rig), 90);
    rig.succeed(other, id(0, 0, 1));
    rig.send(says(slow, id(0, 0, 0), 0.2, 20));
    assert_eq!(total(&rig), 0);
}

#[test]
fn counters_of_winning_attempts_add_up() {
    let mut rig = Rig::new(plan(1, 3, vec![stage("s", 3)]));
    rig.register("a", 3);
    rig.send(report(id(0, 0, 0), 1, true));
    rig.send(report(id(0, 1, 0), 10, false));
    rig.send(report(id(0, 2, 0), 100, true));
    rig.send(report(id(0, 2, 0), 100, true));
    let total = CounterView {
        group: "rows".to_owned(),
        name: "bad".to_owned(),
        value: 101,
    };
    assert_eq!(rig.stage(0).counters, [total]);
}
