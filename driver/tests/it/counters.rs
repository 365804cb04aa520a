//! What tasks count: only the attempt that makes a result adds to its stage.

use driver::view::CounterView;
use wire::id::TaskAttemptId;
use wire::message::TaskReport;
use wire::task::{Counter, TaskMetrics};

use crate::rig::{Rig, executor, exit, id, plan, stage};
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
