//! Keys that roll, containers that are wanted back, containers that are resized.

use super::super::Contract;
use super::*;
use crate::tokens::TokenKind;

fn running(containers: i32) -> (World, Vec<ContainerId>) {
    let mut world = World::running(Pacing::Immediate, 1, submission());
    let granted = ids(&world.allocate(1, 0, vec![ask("*", 100, containers)]).unwrap());
    granted.iter().for_each(|id| world.does(started(*id)));
    (world, granted)
}

#[test]
fn a_rolled_key_comes_with_every_answer_until_it_is_used_or_activated() {
    let (mut world, _) = running(1);
    world.does(Event::KeyRolled(TokenKind::Master));
    for id in 1..=2 {
        assert!(world.allocate(1, id, Vec::new()).unwrap().am_rm_token.is_some());
    }
    world.key = 2;
    assert_eq!(world.allocate(1, 3, Vec::new()).unwrap().am_rm_token, None);
    world.key = 1;
    for id in 4..=5 {
        world.now += 7_500;
        world.does(Event::DeadlineReached);
        let token = world.allocate(1, id, Vec::new()).unwrap().am_rm_token;
        assert_eq!(token.is_some(), id == 4);
    }
}

#[test]
fn after_a_roll_of_node_keys_a_node_token_comes_with_the_next_container() {
    let (mut world, _) = running(1);
    world.does(Event::KeyRolled(TokenKind::Node));
    assert_eq!(world.allocate(1, 1, Vec::new()).unwrap().nm_tokens, []);
    let response = world.allocate(1, 2, vec![ask("*", 100, 1)]).unwrap();
    assert_eq!(response.nm_tokens.len(), 1);
}

fn announced(world: &mut World, containers: &[ContainerId], contract: Contract) {
    world.does(Event::PreemptionAnnounced {
        containers: containers.to_vec(),
        contract,
        grace_ms: 3_000,
    });
}

#[test]
fn containers_that_are_wanted_back_are_named_and_taken_when_the_time_is_over() {
    let (mut world, granted) = running(2);
    announced(&mut world, &granted[..1], Contract::Strict);
    for id in 1..=2 {
        let message = world.allocate(1, id, Vec::new()).unwrap().preempt.unwrap();
        let named = &message.strict_contract.unwrap().container;
        assert_eq!(
            named.iter().map(|one| one.id).collect::<Vec<_>>(),
            [Some(granted[0].into())]
        );
    }
    world.now += 3_000;
    world.does(Event::DeadlineReached);
    let response = world.allocate(1, 3, Vec::new()).unwrap();
    assert_eq!(
        ended(&response),
        [(-102, "Container preempted by scheduler".to_owned())]
    );
    assert_eq!(response.preempt, None);
}

#[test]
fn other_containers_may_be_given_for_those_that_are_wanted() {
    let (mut world, granted) = running(2);
    announced(&mut world, &granted[..1], Contract::Negotiable);
    let message = world.allocate(1, 1, Vec::new()).unwrap().preempt.unwrap();
    assert_eq!(message.contract.unwrap().resource.len(), 1);
    world.ends(granted[1], 0);
    world.now += 3_000;
    world.does(Event::DeadlineReached);
    assert!(world.app().containers.contains_key(&granted[0]));
    assert_eq!(world.allocate(1, 2, Vec::new()).unwrap().preempt, None);
}

fn resize(container: ContainerId, version: i32, memory: u64) -> pb::UpdateContainerRequestProto {
    pb::UpdateContainerRequestProto {
        container_version: version,
        container_id: container.into(),
        update_type: pb::ContainerUpdateTypeProto::IncreaseResource as i32,
        capability: Some((&Resource::new(memory, 1)).into()),
        execution_type: None,
    }
}

fn ask_for(
    world: &mut World,
    response_id: i32,
    update: pb::UpdateContainerRequestProto,
) -> pb::AllocateResponseProto {
    let request = pb::AllocateRequestProto {
        response_id: Some(response_id),
        update_requests: vec![update],
        ..Default::default()
    };
    world.allocate_all(1, request).unwrap()
}

#[test]
fn an_increase_that_its_node_confirms_stays() {
    let (mut world, granted) = running(1);
    let response = ask_for(&mut world, 1, resize(granted[0], 0, 300));
    let updated = &response.updated_containers[0].container;
    assert_eq!(
        (updated.version(), updated.resource.as_ref().unwrap().memory()),
        (1, 320)
    );
    world.does(Event::IncreaseConfirmed {
        container: granted[0],
        version: 1,
    });
    world.now += 5_000;
    world.does(Event::DeadlineReached);
    assert_eq!(world.app().containers[&granted[0]].resource.memory_mb, 320);
}

#[test]
fn an_increase_that_nobody_shows_to_the_node_goes_back() {
    let (mut world, granted) = running(1);
    ask_for(&mut world, 1, resize(granted[0], 0, 300));
    world.now += 5_000;
    world.does(Event::DeadlineReached);
    assert_eq!(world.app().containers[&granted[0]].resource.memory_mb, 128);
}

#[test]
fn an_update_of_another_version_is_refused_with_the_right_one() {
    let (mut world, granted) = running(1);
    let response = ask_for(&mut world, 1, resize(granted[0], 3, 300));
    let error = &response.update_errors[0];
    assert_eq!(error.reason(), "INCORRECT_CONTAINER_VERSION_ERROR");
    assert_eq!(error.current_container_version(), 0);
}
