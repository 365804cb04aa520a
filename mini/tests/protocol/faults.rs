//! What befalls a cluster on order, seen through the protocols.

use std::path::Path;
use std::time::Duration;

use hadoop::ids::{ContainerId, NodeId};
use mini::node_manager::Stage;
use mini::resource_manager::{Contract, Recovery};
use mini::tokens::TokenKind;
use mini::{Action, Failure, Fault, Options, Order, Trigger};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{Container, ContainerLaunchContext};

use super::lab::{Lab, Master, class_of, shell, wait_for};

fn two_masters() -> Options {
    Options {
        high_availability: true,
        nodes: 1,
        ..Options::default()
    }
}

fn one_node() -> Options {
    Options {
        nodes: 1,
        ..Options::default()
    }
}

/// A container of the only node, with a process.
async fn running(lab: &Lab, master: &mut Master, command: &str) -> Container {
    let container = master.get_containers(1).await.remove(0);
    master
        .nodes()
        .start_container(&container, &shell(command))
        .await
        .unwrap();
    has_process(lab, container.id).await;
    container
}

async fn has_process(lab: &Lab, id: ContainerId) {
    wait_for(async || {
        let mut views = lab.cluster.nodes().iter().filter_map(|node| node.container(id));
        views.any(|view| view.stage == Stage::Running).then_some(())
    })
    .await;
}

/// Registers again, as after a restart, with whoever serves now.
async fn registers_again(master: &mut Master) -> pb::RegisterApplicationMasterResponseProto {
    let registered = wait_for(async || master.register().await.ok()).await;
    master.response_id = 0;
    registered
}

fn only(master_of: &[pb::ContainerStatusProto]) -> (i32, &str) {
    assert_eq!(master_of.len(), 1);
    (master_of[0].exit_status(), master_of[0].diagnostics())
}

fn writes(path: &Path) -> String {
    format!("echo there > {}; exec sleep 600", path.display())
}

#[tokio::test]
async fn the_standby_takes_over_with_what_runs() {
    let lab = Lab::start(two_masters()).await;
    let (id, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    let before = lab.cluster.web_address().to_owned();
    lab.cluster.order(&Order::FailOver);
    assert_ne!(lab.cluster.web_address(), before);
    registers_again(&mut master).await;
    let report = lab
        .report(id, |report| report.state == yarn_rest::AppState::Running)
        .await;
    assert_eq!(report.running_containers, Some(2));
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    assert_eq!(only(&master.ends().await).0, -105);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_standby_says_over_the_web_who_is_active_and_whether_anybody_is() {
    let lab = Lab::start(two_masters()).await;
    let standby = lab.cluster.web_addresses().nth(1).unwrap().to_owned();
    let get = async |path: &str| {
        let text = raw(
            &standby,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
        .await;
        text.to_lowercase()
    };
    let there = get("/ws/v1/cluster/apps?states=RUNNING").await;
    assert!(there.starts_with("http/1.1 307"), "{there}");
    let location = format!(
        "location: http://{}/ws/v1/cluster/apps?states=running",
        lab.cluster.web_address()
    );
    assert!(there.contains(&location), "{there}");
    assert!(
        there.contains("this is standby rm. the redirect url is: "),
        "{there}"
    );
    let own = get("/ws/v1/cluster/info").await;
    assert!(own.contains(r#""hastate":"standby""#), "{own}");
    assert!(get("/isActive").await.starts_with("http/1.1 405"));
    lab.cluster.order(&Order::StopResourceManager);
    let nobody = wait_for(async || {
        let answer = get("/ws/v1/cluster/apps").await;
        (!answer.contains("location:")).then_some(answer)
    })
    .await;
    assert!(
        nobody.starts_with("http/1.1 307") && nobody.contains("refresh: 1;url="),
        "{nobody}"
    );
    lab.cluster.shutdown().await;
}

async fn raw(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn nobody_answers_while_the_resource_manager_is_down_and_what_ended_is_told_after() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster.order(&Order::StopResourceManager);
    wait_for(async || {
        let connected = tokio::net::TcpStream::connect(lab.cluster.scheduler_address()).await;
        let refused = std::io::ErrorKind::ConnectionRefused;
        (connected.err()?.kind() == refused).then_some(())
    })
    .await;
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    wait_for(async || {
        let view = lab.cluster.nodes()[0].container(container.id)?;
        (view.stage == Stage::Done).then_some(())
    })
    .await;
    lab.cluster
        .order(&Order::StartResourceManager(Recovery::WorkPreserving));
    registers_again(&mut master).await;
    assert_eq!(only(&master.ends().await).0, -105);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn without_recovery_a_restart_ends_applications_and_their_processes() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster
        .order(&Order::RestartResourceManager(Recovery::Nothing));
    wait_for(async || {
        let error = master.allocate(Default::default()).await.unwrap_err();
        class_of(&error).ends_with("InvalidToken").then_some(())
    })
    .await;
    wait_for(async || {
        let view = lab.cluster.nodes()[0].container(container.id)?;
        (view.stage == Stage::Done).then_some(())
    })
    .await;
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn containers_outlive_a_node_manager_that_recovers_and_their_ends_are_found() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let go = lab.shared.path().join("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.02; done; exit 5", go.display());
    let leaving = running(&lab, &mut master, &waits).await;
    let killed = running(&lab, &mut master, "exec sleep 600").await;
    let staying = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster.order(&Order::StopNode {
        node: 1,
        graceful: false,
    });
    wait_for(async || {
        let connected = tokio::net::TcpStream::connect(staying.node.to_string()).await;
        connected.err()
    })
    .await;
    std::fs::write(&go, "").unwrap();
    lab.cluster.order(&Order::KillContainer(killed.id.sequence()));
    wait_for(async || {
        let node = &lab.cluster.nodes()[0];
        let done = |id| node.container(id).is_some_and(|view| view.stage == Stage::Done);
        (done(leaving.id) && done(killed.id)).then_some(())
    })
    .await;
    lab.cluster.order(&Order::StartNode {
        node: 1,
        recovers: true,
    });
    let mut ends = master.ends().await;
    while ends.len() < 2 {
        ends.extend(master.ends().await);
    }
    let mut statuses: Vec<i32> = ends.iter().map(|end| end.exit_status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [5, 154]);
    let status = wait_for(async || {
        let nodes = master.nodes();
        nodes.container_status(&staying.node, staying.id).await.ok()
    })
    .await;
    assert_eq!(status.state, yarn_rpc::records::ContainerState::Running);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_manager_that_does_not_recover_has_lost_its_containers() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let containers = master.get_containers(2).await;
    let own = lab.cluster.nodes().iter().position(|node| {
        let views = node.containers();
        views.iter().any(|view| view.id.sequence() == 1)
    });
    let number = if own == Some(0) { 2 } else { 1 };
    let there = lab.cluster.nodes()[number - 1].facts().id.clone();
    let container = containers.into_iter().find(|one| one.node == there).unwrap();
    let mark = lab.shared.path().join("mark");
    let started = master
        .nodes()
        .start_container(&container, &shell(&writes(&mark)))
        .await;
    started.unwrap();
    wait_for(async || mark.exists().then_some(())).await;
    lab.cluster.order(&Order::StopNode {
        node: number,
        graceful: false,
    });
    lab.cluster.order(&Order::StartNode {
        node: number,
        recovers: false,
    });
    let ends = master.ends().await;
    assert_eq!(only(&ends), (-100, "Container released on a *lost* node"));
    assert!(lab.cluster.nodes()[number - 1].containers().is_empty());
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_stands_still_is_lost_and_must_end_what_it_had_when_it_goes_on() {
    let options = Options {
        nodes: 2,
        node_expiry: Duration::from_millis(300),
        ..Options::default()
    };
    let lab = Lab::start(options).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let own = lab
        .cluster
        .nodes()
        .iter()
        .position(|node| !node.containers().is_empty())
        .unwrap();
    let number = 2 - own;
    let there = lab.cluster.nodes()[number - 1].facts().id.clone();
    let containers = master.get_containers(2).await;
    let container = containers.into_iter().find(|one| one.node == there).unwrap();
    master
        .nodes()
        .start_container(&container, &shell("exec sleep 600"))
        .await
        .unwrap();
    has_process(&lab, container.id).await;
    lab.cluster.order(&Order::FreezeNode(number));
    let nodes = master.nodes();
    let silent = tokio::time::timeout(
        Duration::from_millis(100),
        nodes.container_status(&container.node, container.id),
    );
    assert!(silent.await.is_err());
    assert_eq!(
        only(&master.ends().await),
        (-100, "Container released on a *lost* node")
    );
    lab.cluster.order(&Order::ThawNode(number));
    wait_for(async || {
        let view = lab.cluster.nodes()[number - 1].container(container.id)?;
        (view.stage == Stage::Done).then_some(())
    })
    .await;
    let states = lab.client.nodes(&[]).await.unwrap();
    assert_eq!(states.len(), 2);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn what_ends_while_node_and_resource_manager_are_apart_is_told_when_they_are_not() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster.order(&Order::PartNode(1));
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
    wait_for(async || {
        let view = lab.cluster.nodes()[0].container(container.id)?;
        (view.stage == Stage::Done).then_some(())
    })
    .await;
    assert_eq!(
        master
            .allocate(Default::default())
            .await
            .unwrap()
            .completed_container_statuses,
        []
    );
    lab.cluster.order(&Order::RejoinNode(1));
    assert_eq!(only(&master.ends().await).0, -105);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_masters_token_rolls_within_allocate() {
    let lab = Lab::start(one_node()).await;
    let (id, mut master) = lab.played(|_| {}).await;
    let old = lab.master_token(id, 1).await;
    lab.cluster.order(&Order::RollKey(TokenKind::Master));
    let response = master.allocate(Default::default()).await.unwrap();
    let fresh: hadoop::credentials::Token = response.am_rm_token.as_ref().unwrap().into();
    lab.cluster.order(&Order::ActivateKey);
    let mut with_fresh = Master::new(lab.master_client(fresh));
    with_fresh.response_id = master.response_id;
    assert_eq!(
        with_fresh.allocate(Default::default()).await.unwrap().am_rm_token,
        None
    );
    let mut with_old = Master::new(lab.master_client(old));
    let refused = with_old.allocate(Default::default()).await.unwrap_err();
    assert!(class_of(&refused).ends_with("InvalidToken"), "{refused}");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn an_expired_node_token_is_refused_until_the_next_container_brings_another() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster.order(&Order::ExpireTokens(TokenKind::Node));
    let refused = master
        .nodes()
        .container_status(&container.node, container.id)
        .await;
    assert!(refused.unwrap_err().to_string().contains("InvalidToken"));
    master.get_containers(1).await;
    master
        .nodes()
        .container_status(&container.node, container.id)
        .await
        .unwrap();
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn containers_that_are_wanted_back_are_announced_and_then_taken() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = running(&lab, &mut master, "exec sleep 600").await;
    lab.cluster.order(&Order::Preempt {
        containers: vec![container.id.sequence()],
        announced: Some((Contract::Strict, Duration::from_millis(200))),
    });
    let response = master.allocate(Default::default()).await.unwrap();
    assert_eq!(
        response.preempt.unwrap().strict_contract.unwrap().container.len(),
        1
    );
    assert_eq!(
        only(&master.ends().await),
        (-102, "Container preempted by scheduler")
    );
    lab.cluster.shutdown().await;
}

/// Of two nodes the one that does not run the ApplicationMaster: its number and its id.
fn node_without_master(lab: &Lab) -> (usize, NodeId) {
    let nodes = lab.cluster.nodes();
    let own = nodes
        .iter()
        .position(|node| !node.containers().is_empty())
        .unwrap();
    let number = 2 - own;
    (number, nodes[number - 1].facts().id.clone())
}

#[tokio::test]
async fn a_full_disk_makes_a_node_unhealthy() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let (number, there) = node_without_master(&lab);
    let containers = master.get_containers(2).await;
    assert!(containers.iter().any(|one| one.node == there));
    lab.cluster.order(&Order::FillDisk(number));
    let response = master.allocate(Default::default()).await.unwrap();
    let report = &response.updated_nodes[0];
    assert_eq!(report.node_state, Some(pb::NodeStateProto::NsUnhealthy as i32));
    assert!(
        report
            .health_report()
            .contains("used space above threshold of 90.0%")
    );
    assert_eq!(only(&response.completed_container_statuses).0, -100);
    lab.cluster.order(&Order::FreeDisk(number));
    let response = master.allocate(Default::default()).await.unwrap();
    assert_eq!(
        response.updated_nodes[0].node_state,
        Some(pb::NodeStateProto::NsRunning as i32)
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn to_a_node_whose_clock_is_ahead_grants_are_expired() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    lab.cluster.order(&Order::SkewClock {
        node: 1,
        ahead_ms: 3_600_000,
    });
    let refused = master.nodes().start_container(&container, &shell("true")).await;
    assert!(refused.unwrap_err().to_string().contains("This token is expired"));
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_had_ends_its_container() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    lab.cluster.order(&Order::RefuseFile {
        name: "words".into(),
        nth: 1,
        text: "the file system is gone".into(),
    });
    let mut context: ContainerLaunchContext = shell("true");
    let resource = yarn_rpc::records::LocalResource {
        url: "file:///etc/hostname".parse().unwrap(),
        size: 0,
        timestamp_ms: 0,
        kind: yarn_rpc::records::LocalResourceType::File,
        visibility: yarn_rpc::records::ResourceVisibility::Application,
    };
    context.local_resources.insert("words".into(), resource);
    master
        .nodes()
        .start_container(&container, &context)
        .await
        .unwrap();
    let ends = master.ends().await;
    let (status, text) = only(&ends);
    assert_eq!(status, -1000);
    assert!(text.contains("the file system is gone"), "{text}");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_container_that_uses_too_much_memory_is_killed_with_its_processes_listed() {
    let options = Options {
        memory_check: Some(Duration::from_millis(50)),
        ..one_node()
    };
    let lab = Lab::start(options).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    let greedy = shell("x=\\$(head -c 90000000 /dev/zero | tr '\\\\0' a); sleep 600");
    master.nodes().start_container(&container, &greedy).await.unwrap();
    let ends = master.ends().await;
    let (status, text) = only(&ends);
    assert_eq!(status, -104, "{text}");
    assert!(
        text.contains("B beyond the 'PHYSICAL' memory limit. Current usage: "),
        "{text}"
    );
    assert!(text.contains("of 64 MB physical memory used"), "{text}");
    assert!(text.contains("Dump of the process-tree for container_"), "{text}");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_is_taken_out_when_its_last_container_has_ended() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let (number, there) = node_without_master(&lab);
    let containers = master.get_containers(2).await;
    let container = containers.into_iter().find(|one| one.node == there).unwrap();
    lab.cluster.order(&Order::DecommissionNode {
        node: number,
        timeout: Some(Duration::from_secs(60)),
    });
    let release = pb::AllocateRequestProto {
        release: vec![container.id.into()],
        ..Default::default()
    };
    let response = master.allocate(release).await.unwrap();
    let states: Vec<_> = response.updated_nodes.iter().map(|one| one.node_state).collect();
    let expected = [
        pb::NodeStateProto::NsDecommissioning,
        pb::NodeStateProto::NsDecommissioned,
    ];
    let early: Vec<_> = expected.map(|state| Some(state as i32)).into();
    let late = master.allocate(Default::default()).await.unwrap();
    let all: Vec<_> = states
        .into_iter()
        .chain(late.updated_nodes.iter().map(|one| one.node_state))
        .collect();
    assert_eq!(all, early);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn an_order_may_wait_for_a_call_or_for_a_container() {
    let lab = Lab::start(one_node()).await;
    lab.cluster.faults().order(Fault {
        on: Trigger::ContainerStart,
        nth: 1,
        action: Action::Order(Order::KillContainer(2)),
    });
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    assert_eq!(container.id.sequence(), 2);
    master
        .nodes()
        .start_container(&container, &shell("exec sleep 600"))
        .await
        .unwrap();
    assert_eq!(only(&master.ends().await).0, 137);
    lab.cluster.faults().order(Fault {
        on: Trigger::call("allocate"),
        nth: 1,
        action: Action::Order(Order::KillMasters),
    });
    master.allocate(Default::default()).await.unwrap();
    let ended = wait_for(async || master.allocate(Default::default()).await.err()).await;
    assert!(
        class_of(&ended).ends_with("ApplicationAttemptNotFoundException"),
        "{ended}"
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_web_request_fails_as_ordered_and_the_next_one_does_not() {
    let lab = Lab::start(one_node()).await;
    let (id, _) = lab.played(|_| {}).await;
    lab.cluster.faults().order(Fault {
        on: Trigger::Request {
            method: "GET".into(),
            path: "/ws/v1/cluster/apps/*".into(),
            node: None,
        },
        nth: 1,
        action: Action::Fail(Failure::yarn("YarnException", "not now")),
    });
    let refused = lab.client.application(id).await.unwrap_err();
    assert!(refused.to_string().contains("not now"), "{refused}");
    lab.client.application(id).await.unwrap();
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_taken_once() {
    let lab = Lab::start(one_node()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    lab.cluster.faults().order(Fault {
        on: Trigger::call("allocate"),
        nth: 1,
        action: Action::Duplicate,
    });
    assert_eq!(master.get_containers(1).await.len(), 1);
    assert_eq!(
        master
            .allocate(Default::default())
            .await
            .unwrap()
            .allocated_containers,
        []
    );
    lab.cluster.shutdown().await;
}
