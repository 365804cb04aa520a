//! Where tasks go: locality levels and their waits.

use driver::event::Event;

use crate::rig::{HEARD, Rig, id, launches, plan, seconds, stage};

fn prefer(hosts: &[&[&str]]) -> Rig {
    let tasks = u32::try_from(hosts.len()).unwrap();
    let mut rig = Rig::unstarted(plan(3, 1, vec![stage("a", tasks)]));
    rig.hosts = hosts
        .iter()
        .map(|hosts| hosts.iter().map(|&host| host.to_owned()).collect())
        .collect();
    rig.send(HEARD);
    rig
}

#[test]
fn tasks_go_to_the_nodes_that_hold_their_input() {
    let mut rig = prefer(&[&["h1"], &["h2"], &[]]);
    rig.register_on("x", 1, "h2");
    rig.register_on("y", 1, "h1");
    rig.register_on("z", 1, "h3");
    let mut launched = launches(&rig.send(Event::Started));
    launched.sort();
    let expected = [("x", id(0, 1, 0)), ("y", id(0, 0, 0)), ("z", id(0, 2, 0))];
    assert_eq!(launched, expected.map(|(name, id)| (name.to_owned(), id)));
}

#[test]
fn a_task_waits_for_its_node_and_then_takes_what_there_is() {
    let mut rig = prefer(&[&["h1"], &["h1"]]);
    rig.register_on("x", 1, "h1");
    rig.register_on("y", 1, "h2");
    assert_eq!(
        launches(&rig.send(Event::Started)),
        [("x".to_owned(), id(0, 0, 0))]
    );
    assert_eq!(rig.driver.next_deadline(), Some(seconds(3)));
    assert!(launches(&rig.pass(seconds(2))).is_empty());
    assert_eq!(launches(&rig.pass(seconds(1))), [("y".to_owned(), id(0, 1, 0))]);
}

#[test]
fn a_task_does_not_wait_for_a_node_without_executors() {
    let mut rig = prefer(&[&["h9"]]);
    rig.register_on("x", 1, "h1");
    assert_eq!(launches(&rig.send(Event::Started)).len(), 1);
}

#[test]
fn the_rack_is_better_than_anywhere() {
    let mut rig = prefer(&[&["h1"]]);
    for (host, rack) in [("h1", "/r1"), ("h2", "/r1"), ("h3", "/r2")] {
        rig.send(Event::RackLearned {
            host: host.to_owned(),
            rack: rack.to_owned(),
        });
    }
    rig.register_on("x", 1, "h3");
    rig.register_on("y", 1, "h2");
    assert_eq!(
        launches(&rig.send(Event::Started)),
        [("y".to_owned(), id(0, 0, 0))]
    );
}

#[test]
fn the_wait_for_a_node_begins_when_tasks_may_begin() {
    let mut plan = plan(2, 1, vec![stage("a", 2)]);
    plan.settings.min_registered_ratio = 1.0;
    let mut rig = Rig::unstarted(plan);
    rig.hosts = vec![vec!["h1".to_owned()]; 2];
    rig.send(HEARD);
    rig.send(Event::Started);
    rig.pass(seconds(10));
    rig.register_on("x", 1, "h1");
    let launched = launches(&rig.register_on("y", 1, "h2"));
    assert_eq!(
        launched,
        [("x".to_owned(), id(0, 0, 0))],
        "y is not near and has to wait"
    );
    assert_eq!(launches(&rig.pass(seconds(3))), [("y".to_owned(), id(0, 1, 0))]);
}

#[test]
fn attempts_are_counted_by_how_near_they_are_to_their_input() {
    let mut rig = prefer(&[&["h1"], &["h1"], &["h1"], &[]]);
    for (host, rack) in [("h1", "/r1"), ("h2", "/r1"), ("h3", "/r2")] {
        rig.send(Event::RackLearned {
            host: host.to_owned(),
            rack: rack.to_owned(),
        });
    }
    rig.register_on("x", 1, "h1");
    rig.send(Event::Started);
    rig.register_on("y", 1, "h2");
    rig.register_on("z", 1, "h3");
    rig.pass(seconds(3));
    rig.succeed("y", id(0, 3, 0));
    rig.pass(seconds(3));
    let counts = rig.stage(0).placed;
    assert_eq!(
        [
            counts.process,
            counts.node,
            counts.rack,
            counts.any,
            counts.no_preference
        ],
        [0, 1, 1, 1, 1]
    );
    assert_eq!((counts.near(), counts.particular()), (1, 3));
    assert_eq!(rig.task(0, 0).level, Some(driver::view::Level::Node));
}

#[test]
fn the_launcher_is_told_where_tasks_would_like_to_run() {
    let mut rig = prefer(&[&["h1", "h2"], &["h1"]]);
    let effects = rig.send(Event::Started);
    let last = effects.iter().rev().find_map(|effect| match effect {
        driver::event::Effect::SetTarget(target) => Some(target.clone()),
        _ => None,
    });
    let hosts: Vec<_> = last.unwrap().hosts.into_iter().collect();
    assert_eq!(hosts, [("h1".to_owned(), 2), ("h2".to_owned(), 1)]);
}

#[test]
fn a_wait_that_is_over_sets_no_timer_when_no_offer_is_large_enough() {
    let mut wide = stage("wide", 3);
    wide.cores = 2;
    let mut rig = Rig::unstarted(plan(2, 3, vec![wide]));
    rig.hosts = vec![vec!["h1".to_owned()]; 3];
    rig.register_on("x", 3, "h1");
    rig.register_on("y", 3, "h2");
    rig.send(Event::Started);
    rig.pass(seconds(7));
    assert!(
        rig.driver.next_deadline().is_none_or(|at| at > rig.now),
        "it would be reached for ever"
    );
}
