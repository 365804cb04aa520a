//! Lists of tasks for people: by state, in order, a part at a time.

use driver::event::Event;
use driver::view::{TaskOrder, TaskStatus};

use crate::rig::{Rig, cancels, executor, id, launches, plan, seconds, stage};

/// Six tasks: the first done after 1 s, the second after 3 s, two running, two waiting.
fn rig() -> Rig {
    let mut rig = Rig::new(plan(1, 2, vec![stage("a", 6)]));
    rig.register("x", 2);
    rig.pass(seconds(1));
    rig.succeed("x", id(0, 0, 0));
    rig.pass(seconds(2));
    rig.succeed("x", id(0, 1, 0));
    rig.pass(seconds(1));
    rig
}

#[test]
fn tasks_are_found_by_state_and_ordered_by_time() {
    let rig = rig();
    let find = |status, order, from, limit| {
        let (tasks, total) = rig.driver.find_tasks(0, status, order, from, limit);
        (tasks.iter().map(|task| task.partition).collect::<Vec<_>>(), total)
    };
    assert_eq!(find(None, TaskOrder::Partition, 4, 9), (vec![4, 5], 6));
    assert_eq!(
        find(Some(TaskStatus::Succeeded), TaskOrder::SlowestFirst, 0, 9),
        (vec![1, 0], 2)
    );
    assert_eq!(
        find(Some(TaskStatus::Running), TaskOrder::SlowestFirst, 0, 1),
        (vec![2], 2)
    );
    assert_eq!(
        find(Some(TaskStatus::Pending), TaskOrder::QuickestFirst, 1, 9),
        (vec![5], 2)
    );
    for order in [TaskOrder::SlowestFirst, TaskOrder::QuickestFirst] {
        let (whole, _) = find(None, order, 0, 9);
        let parts = (0..6).map(|from| find(None, order, from, 1));
        assert!(parts.eq(whole.iter().map(|task| (vec![*task], 6))), "{order:?}");
        assert_eq!(find(None, order, 6, 1), (vec![], 6));
    }
    assert_eq!(rig.driver.task_durations(0), [1000, 3000]);
    assert_eq!(
        rig.driver.find_tasks(7, None, TaskOrder::Partition, 0, 9),
        (vec![], 0)
    );
}

#[test]
fn a_task_that_a_person_ends_runs_again_and_nothing_counts() {
    let mut rig = rig();
    let kill = Event::TaskKillRequested {
        stage: 0,
        partition: 2,
    };
    assert_eq!(cancels(&rig.send(kill)), [id(0, 2, 0)]);
    let killed = wire::failure::KillReason::ByUser;
    let killed = wire::failure::TaskFailure::new(wire::failure::FailureCause::Killed(killed));
    let again = launches(&rig.fail("x", id(0, 2, 0), killed));
    assert_eq!(again, [("x".to_owned(), id(0, 2, 1))]);
    assert_eq!((rig.task(0, 2).failures, rig.stage(0).failed), (0, 0));
    let nobody = Event::TaskKillRequested {
        stage: 0,
        partition: 5,
    };
    assert_eq!(rig.send(nobody), []);
}

#[test]
fn an_order_to_end_a_task_that_was_lost_with_the_connection_is_given_again() {
    let mut rig = rig();
    rig.send(Event::TaskKillRequested {
        stage: 0,
        partition: 2,
    });
    let executor = executor("x");
    rig.send(Event::ExecutorDisconnected { executor });
    let effects = rig.register_with("x", 2, "host-of-x", &[id(0, 2, 0)]);
    assert_eq!(cancels(&effects), [id(0, 2, 0)]);
}
