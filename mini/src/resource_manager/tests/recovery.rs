//! A ResourceManager that begins again, and what attempts hand on.

use super::*;

fn running_on_two_nodes() -> (World, Vec<ContainerId>) {
    let mut world = World::running(Pacing::Immediate, 2, keeping());
    let asks = vec![
        ask("127.0.0.1:1", 100, 1),
        ask("127.0.0.1:2", 100, 1),
        ask("/r", 100, 2),
        ask("*", 100, 2),
    ];
    let granted = ids(&world.allocate(1, 0, asks).unwrap());
    granted.iter().for_each(|id| {
        let node = world.app().containers[id].node.clone();
        world.does(Event::ContainerStarted { container: *id, node });
    });
    (world, granted)
}

fn on(world: &World, id: ContainerId) -> u16 {
    world.app().containers[&id].node.port
}

fn found(response: &pb::AllocateResponseProto) -> Vec<ContainerId> {
    let found = response.containers_from_previous_attempts.iter();
    let found = found.filter_map(|container| container.id.as_ref());
    found.map(|id| id.try_into().unwrap()).collect()
}

#[test]
fn containers_of_earlier_attempts_come_later_when_their_node_does() {
    let (mut world, granted) = running_on_two_nodes();
    let late = on(&world, granted[1]);
    let master = world.master();
    world.ends(master, 137);
    world.register(2).unwrap();
    let reports = world.restart();
    let (early, rest): (Vec<_>, Vec<_>) = reports.into_iter().partition(|(node, _)| *node != late);
    early
        .into_iter()
        .for_each(|(node, reports)| world.join(node, reports));
    let registered = world.register(2).unwrap();
    assert_eq!(registered.containers_from_previous_attempts.len(), 1);
    assert_eq!(found(&world.allocate(2, 0, Vec::new()).unwrap()), [granted[0]]);
    rest.into_iter()
        .for_each(|(node, reports)| world.join(node, reports));
    let response = world.allocate(2, 1, Vec::new()).unwrap();
    assert_eq!(found(&response), [granted[1]]);
    assert_eq!((response.nm_tokens.len(), response.updated_nodes.len()), (1, 1));
}

#[test]
fn containers_of_the_same_attempt_are_known_again_without_a_word() {
    let (mut world, granted) = running_on_two_nodes();
    world.restart_with_nodes();
    world.register(1).unwrap();
    assert_eq!(found(&world.allocate(1, 0, Vec::new()).unwrap()), []);
    world.ends(granted[0], 0);
    assert_eq!(
        ended(&world.allocate(1, 1, Vec::new()).unwrap()),
        [(0, "it ended\n".to_owned())]
    );
}

#[test]
fn an_end_is_told_again_after_a_restart_until_the_next_heartbeat_has_acknowledged_it() {
    let (mut world, granted) = running_on_two_nodes();
    let (node, other) = (on(&world, granted[0]), on(&world, granted[1]));
    world.ends(granted[0], 5);
    assert_eq!(ended(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 1);
    assert!(
        !world
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::ForgetContainer { .. }))
    );
    let mut reports = world.restart();
    let mut report = reports[&other].last().unwrap().clone();
    report.grant.container = granted[0];
    report.end = Some((5, "it ended\n".to_owned()));
    reports.get_mut(&node).unwrap().push(report);
    reports
        .into_iter()
        .for_each(|(node, reports)| world.join(node, reports));
    world.register(1).unwrap();
    assert_eq!(ended(&world.allocate(1, 0, Vec::new()).unwrap()).len(), 1);
    assert_eq!(ended(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 0);
    let forgotten = Effect::ForgetContainer {
        node: node_id(node),
        container: granted[0],
    };
    assert!(world.effects.contains(&forgotten));
}

#[test]
fn what_the_last_answer_said_of_ends_is_said_to_the_next_attempt_too() {
    let (mut world, granted) = running_on_two_nodes();
    world.ends(granted[0], 5);
    assert_eq!(ended(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 1);
    let master = world.master();
    world.ends(master, 137);
    world.register(2).unwrap();
    assert_eq!(
        ended(&world.allocate(2, 0, Vec::new()).unwrap()),
        [(5, "it ended\n".to_owned())]
    );
}

#[test]
fn the_next_attempt_hears_of_what_was_granted_and_not_started() {
    let mut world = World::running(Pacing::Immediate, 1, keeping());
    world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap();
    let master = world.master();
    world.ends(master, 137);
    let registered = world.register(2).unwrap();
    assert_eq!(registered.containers_from_previous_attempts, []);
    assert_eq!(
        ended(&world.allocate(2, 0, Vec::new()).unwrap()),
        [(-100, "Container of a completed application".to_owned())]
    );
}

#[test]
fn after_a_silent_attempt_the_next_hears_of_its_masters_own_container() {
    let (mut world, _) = running_on_two_nodes();
    world.now += 10_000;
    world.does(Event::DeadlineReached);
    world.register(2).unwrap();
    assert_eq!(
        ended(&world.allocate(2, 0, Vec::new()).unwrap()),
        [(-105, "Container killed by the ApplicationMaster.\n".to_owned())]
    );
}

#[test]
fn ids_of_containers_count_the_restarts() {
    let (mut world, _) = running_on_two_nodes();
    world.restart_with_nodes();
    world.register(1).unwrap();
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap());
    assert_eq!(granted[0].to_string(), "container_e01_7_0001_01_000001");
}

#[test]
fn a_release_waits_for_the_node_that_has_the_container() {
    let (mut world, granted) = running_on_two_nodes();
    let reports = world.restart();
    world.register(1).unwrap();
    let release = pb::AllocateRequestProto {
        response_id: Some(0),
        release: vec![granted[0].into()],
        ..Default::default()
    };
    world.allocate_all(1, release).unwrap();
    reports
        .into_iter()
        .for_each(|(node, reports)| world.join(node, reports));
    let response = world.allocate(1, 1, Vec::new()).unwrap();
    assert_eq!(
        ended(&response),
        [(-100, "Container released by application".to_owned())]
    );
    assert!(!world.app().containers.contains_key(&granted[0]));
}

#[test]
fn without_recovery_nothing_is_known_and_what_runs_is_killed() {
    let (mut world, granted) = running_on_two_nodes();
    let (node, reports) = (on(&world, granted[0]), world.reports(on(&world, granted[0])));
    world.does(Event::Restarted {
        recovery: Recovery::Nothing,
        web_address: "127.0.0.1:2".into(),
    });
    world.join(node, reports);
    assert_eq!(world.rm.applications().count(), 0);
    assert!(!world.rm.knows_attempt(attempt(1)));
    let killed = Effect::KillContainer {
        node: node_id(node),
        container: granted[0],
    };
    assert!(world.effects.contains(&killed));
}

#[test]
fn nothing_is_granted_while_nodes_may_still_come_back() {
    let (mut world, _) = running_on_two_nodes();
    world.rm.settings.recovery_wait_ms = 1000;
    world.restart_with_nodes();
    world.register(1).unwrap();
    assert_eq!(ids(&world.allocate(1, 0, vec![ask("*", 100, 1)]).unwrap()), []);
    world.now += 1000;
    assert_eq!(world.rm.next_deadline(), Some(world.now));
    world.does(Event::DeadlineReached);
    assert_eq!(ids(&world.allocate(1, 1, Vec::new()).unwrap()).len(), 1);
}
