//! Nodes that fall silent, ail, are taken out, and come back.

use super::*;
use yarn_rpc::records::NodeState;

const LOST: &str = "Container released on a *lost* node";

/// One container that runs on the first node; masters are on the second.
fn running() -> (World, ContainerId) {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(submission());
    world.register(1).unwrap();
    world.join(2, Vec::new());
    let asks = vec![ask("127.0.0.1:2", 100, 1), ask("/r", 100, 1), ask("*", 100, 1)];
    let granted = ids(&world.allocate(1, 0, asks).unwrap());
    world.does(Event::ContainerStarted {
        container: granted[0],
        node: node_id(2),
    });
    (world, granted[0])
}

fn state(world: &World, n: u16) -> NodeState {
    let mut nodes = world.rm.nodes();
    nodes.find(|node| node.facts.id == node_id(n)).unwrap().state
}

#[test]
fn a_silent_node_is_lost_when_its_time_is_over_and_not_before() {
    let (mut world, _) = running();
    world.does(Event::NodeSilent(node_id(2)));
    assert_eq!(state(&world, 2), NodeState::Running);
    world.now += 9_000;
    world.allocate(1, 1, Vec::new()).unwrap();
    world.now += 9_000;
    world.allocate(1, 2, Vec::new()).unwrap();
    world.now += 2_000;
    world.does(Event::DeadlineReached);
    assert_eq!(state(&world, 2), NodeState::Lost);
    assert_eq!(
        ended(&world.allocate(1, 3, Vec::new()).unwrap()),
        [(-100, LOST.to_owned())]
    );
}

#[test]
fn a_node_that_is_heard_again_in_time_has_lost_nothing() {
    let (mut world, container) = running();
    world.does(Event::NodeSilent(node_id(2)));
    let reports = world.reports(2);
    world.join(2, reports);
    assert_eq!(
        (state(&world, 2), world.rm.next_deadline()),
        (NodeState::Running, Some(world.now + 10_000))
    );
    assert!(world.app().containers.contains_key(&container));
}

/// A node and the ApplicationMaster on it fall silent together; the next attempt must not wait on that node.
#[test]
fn a_silent_node_is_given_no_next_attempt_before_it_is_heard() {
    let mut world = World::new(Pacing::Immediate, 1);
    world.submit(submission());
    world.register(1).unwrap();
    world.does(Event::NodeSilent(node_id(1)));
    world.now += 10_000;
    world.does(Event::DeadlineReached);
    let places = |world: &World| -> Vec<Option<NodeId>> {
        let attempts = world.app().attempts.iter();
        attempts
            .map(|attempt| attempt.container.as_ref().map(|(_, node, _)| node.clone()))
            .collect()
    };
    assert_eq!(places(&world), [Some(node_id(1)), None]);
    world.join(2, Vec::new());
    assert_eq!(places(&world), [Some(node_id(1)), Some(node_id(2))]);
}

#[test]
fn a_lost_node_that_comes_back_must_end_what_was_given_up() {
    let (mut world, container) = running();
    let reports = world.reports(2);
    world.does(Event::NodeLost(node_id(2)));
    world.join(2, reports);
    let killed = Effect::KillContainer {
        node: node_id(2),
        container,
    };
    assert!(world.effects.contains(&killed));
    assert_eq!(state(&world, 2), NodeState::Running);
    let response = world.allocate(1, 1, vec![ask("*", 1000, 1)]).unwrap();
    assert_eq!((ids(&response).len(), response.updated_nodes.len()), (1, 2));
}

#[test]
fn a_node_that_registers_without_what_it_ran_has_lost_it() {
    let (mut world, _) = running();
    world.join(2, Vec::new());
    assert_eq!(
        ended(&world.allocate(1, 1, Vec::new()).unwrap()),
        [(-100, LOST.to_owned())]
    );
}

#[test]
fn what_ended_while_the_node_was_away_is_told_when_it_is_back() {
    let (mut world, _) = running();
    let mut reports = world.reports(2);
    reports[0].end = Some((154, "nobody saw".to_owned()));
    world.join(2, reports);
    assert_eq!(
        ended(&world.allocate(1, 1, Vec::new()).unwrap()),
        [(154, "nobody saw".to_owned())]
    );
}

#[test]
fn an_unhealthy_node_loses_its_containers_and_gets_none_until_it_is_well() {
    let (mut world, _) = running();
    let health = |problem: Option<&str>| Event::NodeHealth {
        node: node_id(2),
        problem: problem.map(str::to_owned),
    };
    world.does(health(Some("no room")));
    let response = world.allocate(1, 1, vec![ask("*", 1000, 1)]).unwrap();
    assert_eq!((ids(&response).len(), ended(&response).len()), (0, 1));
    let report = response.updated_nodes.last().unwrap();
    assert_eq!(report.node_state, Some(pb::NodeStateProto::NsUnhealthy as i32));
    assert_eq!(report.health_report(), "no room");
    world.does(health(None));
    assert_eq!(ids(&world.allocate(1, 2, Vec::new()).unwrap()).len(), 1);
}

#[test]
fn a_node_that_is_taken_out_gets_nothing_new_and_leaves_with_its_last_container() {
    let (mut world, container) = running();
    world.does(Event::NodeDecommissioned {
        node: node_id(2),
        timeout_ms: Some(5_000),
    });
    let response = world.allocate(1, 1, vec![ask("*", 1000, 1)]).unwrap();
    assert_eq!(ids(&response).len(), 0);
    assert_eq!(
        response.updated_nodes.last().unwrap().node_state,
        Some(pb::NodeStateProto::NsDecommissioning as i32)
    );
    world.ends(container, 0);
    assert_eq!(state(&world, 2), NodeState::Decommissioned);
}

#[test]
fn a_node_that_is_taken_out_takes_its_containers_along_when_the_time_is_over() {
    let (mut world, _) = running();
    world.does(Event::NodeDecommissioned {
        node: node_id(2),
        timeout_ms: Some(5_000),
    });
    world.now += 5_000;
    world.does(Event::DeadlineReached);
    assert_eq!(state(&world, 2), NodeState::Decommissioned);
    assert_eq!(
        ended(&world.allocate(1, 1, Vec::new()).unwrap()),
        [(-100, LOST.to_owned())]
    );
}

#[test]
fn a_node_that_stays_after_all_is_given_containers_again() {
    let (mut world, _) = running();
    world.does(Event::NodeDecommissioned {
        node: node_id(2),
        timeout_ms: Some(5_000),
    });
    world.does(Event::NodeRecommissioned(node_id(2)));
    assert_eq!(
        ids(&world.allocate(1, 1, vec![ask("*", 800, 1)]).unwrap()).len(),
        1
    );
}
