//! The cluster as its clients see it: REST with `yarn-rest`, RPC with `yarn-rpc`, real processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod faults;
mod lab;

use std::time::Duration;

use hadoop::credentials::Token;
use hadoop::ids::{ApplicationId, ContainerId, NodeId};
use hadoop::sasl::Qop;
use mini::{Action, Fault, Options, Trigger};
use yarn_rest::request::LogRange;
use yarn_rest::{AppReport, AppState, FinalStatus, SubmissionContext, Verdict};
use yarn_rpc::am_nm::NmError;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Container;

use lab::{Lab, Master, any, class_of, shell, wait_for};

#[tokio::test]
async fn a_master_runs_containers_and_says_how_it_went() {
    let lab = Lab::start(Options::default()).await;
    let (id, mut master) = lab.played(|_| {}).await;
    let report = lab.report(id, |report| report.state == AppState::Running).await;
    assert_eq!(report.am_rpc_address.as_deref(), Some("127.0.0.1:4711"));
    assert!(report.tracking_url.unwrap().ends_with(&format!("/proxy/{id}/")));
    let containers = master.get_containers(2).await;
    let nodes = master.nodes();
    nodes
        .start_container(&containers[0], &shell("echo hello"))
        .await
        .unwrap();
    nodes
        .start_container(&containers[1], &shell("echo trouble >&2; exit 7"))
        .await
        .unwrap();
    let mut ends = Vec::new();
    while ends.len() < 2 {
        ends.extend(master.ends().await);
    }
    ends.sort_by_key(pb::ContainerStatusProto::exit_status);
    assert_eq!((ends[0].exit_status(), ends[1].exit_status()), (0, 7));
    assert_eq!(
        ends[1]
            .diagnostics()
            .matches("Last 4096 bytes of stderr :\ntrouble\n")
            .count(),
        2
    );
    master.finish(pb::FinalApplicationStatusProto::AppFailed).await;
    let report = lab.report(id, |report| report.state == AppState::Finished).await;
    assert_eq!(
        (report.final_status, report.diagnostics.as_str()),
        (FinalStatus::Failed, "all said")
    );
    let node = lab.client.node(&containers[0].node_http_address).unwrap();
    let mut log = node.log(containers[0].id, "stdout", LogRange::All).await.unwrap();
    assert_eq!(&log.next_contents().await.unwrap().unwrap()[..], b"hello\n");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn the_environment_of_a_container_is_hadoops() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    let mut context = shell("echo $CONTAINER_ID $NM_HOST:$NM_PORT $USER $LOG_DIRS $OWN $HOME $PWD");
    context.environment.insert("OWN".into(), "{{USER}}/x".into());
    context.environment.insert("HOME".into(), "/not/mine".into());
    master
        .nodes()
        .start_container(&container, &context)
        .await
        .unwrap();
    master.ends().await;
    let node = lab.client.node(&container.node_http_address).unwrap();
    let mut log = node.log(container.id, "stdout", LogRange::All).await.unwrap();
    let text = String::from_utf8(log.next_contents().await.unwrap().unwrap().to_vec()).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(
        words[..3],
        [
            container.id.to_string(),
            container.node.to_string(),
            "ada".to_owned()
        ]
    );
    assert!(
        words[3].ends_with(&format!("/logs/{}/{}", container.id.application(), container.id)),
        "{text}"
    );
    assert_eq!(words[4..6], ["ada/x", "/home/"]);
    assert!(words[6].ends_with(&format!(
        "/usercache/ada/appcache/{}/{}",
        container.id.application(),
        container.id
    )));
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_stopped_container_is_killed_by_its_master_unless_it_ends_by_itself() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let containers = master.get_containers(3).await;
    let commands = [
        "exec sleep 600",
        "trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done",
        "trap '' TERM; echo ready; while :; do sleep 0.02; done",
    ];
    let nodes = master.nodes();
    for (container, command) in containers.iter().zip(commands) {
        nodes.start_container(container, &shell(command)).await.unwrap();
    }
    for container in &containers[1..] {
        let node = lab.client.node(&container.node_http_address).unwrap();
        wait_for(async || {
            let mut log = node.log(container.id, "stdout", LogRange::All).await.ok()?;
            log.next_contents().await.ok()?
        })
        .await;
    }
    for (container, exit) in containers.iter().zip([-105, 5, -105]) {
        wait_for(async || {
            let running = nodes.container_status(&container.node, container.id).await;
            let sub_state = running.unwrap().sub_state;
            (sub_state == Some(yarn_rpc::records::ContainerSubState::Running)).then_some(())
        })
        .await;
        nodes.stop_container(&container.node, container.id).await.unwrap();
        let ends = master.ends().await;
        assert_eq!(ends[0].exit_status(), exit, "{}", ends[0].diagnostics());
    }
    let unknown = ContainerId::new(containers[0].id.attempt, 99);
    let error = nodes
        .stop_container(&containers[0].node, unknown)
        .await
        .unwrap_err();
    assert!(matches!(error, NmError::Unknown(_)), "{error}");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn wrong_tokens_are_refused_with_hadoops_classes() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let (id, _) = lab.played(|_| {}).await;
    let token = lab.master_token(id, 1).await;
    let wrong = Token {
        password: b"guessed".to_vec(),
        ..token.clone()
    };
    let error = Master::new(lab.master_client(wrong))
        .register()
        .await
        .unwrap_err();
    assert_eq!(class_of(&error), "javax.security.sasl.SaslException");
    assert!(
        error
            .exception()
            .unwrap()
            .message
            .contains("digest response format violation. Mismatched response.")
    );
    lab.client.kill(id, None).await.unwrap();
    lab.report(id, AppReport::is_final).await;
    let error = Master::new(lab.master_client(token))
        .register()
        .await
        .unwrap_err();
    assert_eq!(
        class_of(&error),
        "org.apache.hadoop.security.token.SecretManager$InvalidToken"
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn every_protection_works_end_to_end() {
    for protection in Qop::ALL {
        let options = Options {
            nodes: 1,
            protection: vec![protection],
            ..Options::default()
        };
        let lab = Lab::start(options).await;
        let (_, mut master) = lab.played(|_| {}).await;
        let container = master.get_containers(1).await.remove(0);
        master
            .nodes()
            .start_container(&container, &shell("true"))
            .await
            .unwrap();
        assert_eq!(master.ends().await[0].exit_status(), 0, "{protection:?}");
        lab.cluster.shutdown().await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_had_again_with_the_same_response_id() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    lab.cluster.faults().order(Fault {
        on: Trigger::call("allocate"),
        nth: 1,
        action: Action::LoseAnswer,
    });
    let ask = pb::AllocateRequestProto {
        ask: vec![any(1)],
        ..Default::default()
    };
    let error = master.allocate(ask.clone()).await.unwrap_err();
    assert!(error.exception().is_none(), "{error}");
    let response = master.allocate(ask).await.unwrap();
    assert_eq!(response.allocated_containers.len(), 1);
    let response = master.allocate(Default::default()).await.unwrap();
    assert_eq!(response.allocated_containers.len(), 0);
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn an_ordered_exception_has_its_class() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let failure = mini::Failure::yarn("ApplicationMasterNotRegisteredException", "as ordered");
    lab.cluster.faults().order(Fault {
        on: Trigger::call("allocate"),
        nth: 1,
        action: Action::Fail(failure),
    });
    let error = master.allocate(Default::default()).await.unwrap_err();
    let class = "org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException";
    assert_eq!(class_of(&error), class);
    master.allocate(Default::default()).await.unwrap();
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_preempted_container_is_reported_as_such() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    master
        .nodes()
        .start_container(&container, &shell("exec sleep 600"))
        .await
        .unwrap();
    lab.cluster.preempt(container.id);
    let end = master.ends().await.remove(0);
    assert_eq!(
        (end.exit_status(), end.diagnostics()),
        (-102, "Container preempted by scheduler")
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn grants_from_before_a_restart_are_void() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let (_, mut master) = lab.played(|_| {}).await;
    let container = master.get_containers(1).await.remove(0);
    lab.cluster.restart_resource_manager();
    let error = master
        .nodes()
        .start_container(&container, &shell("true"))
        .await
        .unwrap_err();
    assert!(matches!(error, NmError::PreviousResourceManager(_)), "{error}");
    // The connection is lost at some moment of the restart.
    let error = wait_for(async || {
        let error = master
            .allocate(pb::AllocateRequestProto::default())
            .await
            .unwrap_err();
        error.exception().is_some().then_some(error)
    })
    .await;
    assert!(
        class_of(&error).ends_with("ApplicationMasterNotRegisteredException"),
        "{error}"
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn thousands_of_containers_may_be_tasks() {
    let light = mini::node_manager::LightContainers::new(async |launch: mini::node_manager::LightLaunch| {
        assert_eq!(launch.environment["CONTAINER_ID"], launch.container.to_string());
        if launch.environment["LIVES"] == "\"long\"" {
            std::future::pending().await
        } else {
            3
        }
    });
    let options = Options {
        nodes: 20,
        node_memory_mb: 8192,
        light: Some(light),
        ..Options::default()
    };
    let lab = Lab::start(options).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let containers = master.get_containers(2000).await;
    let nodes = master.nodes();
    let mut context = shell("nothing");
    context.environment.insert("LIVES".into(), r#"\"long\""#.into());
    for container in &containers[1..] {
        nodes.start_container(container, &context).await.unwrap();
    }
    context.environment.insert("LIVES".into(), "short".into());
    nodes.start_container(&containers[0], &context).await.unwrap();
    assert_eq!(master.ends().await[0].exit_status(), 3);
    nodes
        .stop_container(&containers[1].node, containers[1].id)
        .await
        .unwrap();
    assert_eq!(master.ends().await[0].exit_status(), -105);
    let metrics = lab.client.cluster_metrics().await.unwrap();
    assert_eq!(metrics.containers_allocated, 1999);
    lab.cluster.shutdown().await;
}

/// What a page in a browser may send to a foreign server without asking it first.
#[tokio::test]
async fn pages_of_others_cannot_submit_through_a_browser() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let web = lab.cluster.web_address();
    let body =
        r#"{"application-id":"application_1_0001","am-container-spec":{"commands":{"command":"true"}}}"#;
    let requests = [
        (
            format!("POST /ws/v1/cluster/apps HTTP/1.1\r\nHost: {web}\r\nContent-Type: text/plain\r\n"),
            "503",
        ),
        (
            "GET /ws/v1/cluster/apps HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
            "403",
        ),
    ];
    for (head, status) in requests {
        let mut stream = tokio::net::TcpStream::connect(web).await.unwrap();
        let request = format!(
            "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split_whitespace().nth(1), Some(status), "{answer}");
    }
    assert!(
        lab.client
            .applications(&Default::default())
            .await
            .unwrap()
            .is_empty()
    );
    lab.cluster.shutdown().await;
}

/// The process of a container that would run for long, as `/proc` has it.
async fn sleeping_process(lab: &Lab, master: &mut Master) -> std::path::PathBuf {
    let container = master.get_containers(1).await.remove(0);
    let pid_file = lab.shared.path().join("pid");
    let command = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
        pid_file.display()
    );
    master
        .nodes()
        .start_container(&container, &shell(&command))
        .await
        .unwrap();
    let pid = wait_for(async || std::fs::read_to_string(&pid_file).ok()).await;
    std::path::PathBuf::from(format!("/proc/{}", pid.trim()))
}

#[tokio::test]
async fn a_killed_application_leaves_no_process() {
    let lab = Lab::start(Options::default()).await;
    let (id, mut master) = lab.played(|_| {}).await;
    let process = sleeping_process(&lab, &mut master).await;
    assert!(process.exists());
    lab.client.kill(id, Some("because")).await.unwrap();
    let report = lab.report(id, AppReport::is_final).await;
    assert_eq!(
        report.diagnostics,
        format!("Application {id} was killed by user ada with diagnostic message: because")
    );
    assert!(matches!(report.final_verdict(), Some(Verdict::Killed { by: Some(who) }) if who == "ada"));
    wait_for(async || (!process.exists()).then_some(())).await;
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_leaves_no_process_and_no_directory() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let process = sleeping_process(&lab, &mut master).await;
    let directory = lab.cluster.directory().to_owned();
    lab.cluster.shutdown().await;
    assert!(!process.exists());
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_cluster_that_is_dropped_leaves_no_process() {
    let lab = Lab::start(Options::default()).await;
    let (_, mut master) = lab.played(|_| {}).await;
    let process = sleeping_process(&lab, &mut master).await;
    let Lab { cluster, .. } = lab;
    drop(cluster);
    let status = process.join("status");
    // What is left is at most an exit status that nobody has asked for.
    wait_for(async || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_master_that_exits_gets_a_second_attempt_and_the_diagnostics_tell() {
    let lab = Lab::start(Options::default()).await;
    let id = lab.submit("echo alas >&2; exit 3", |_| {}).await;
    let report = lab.report(id, AppReport::is_final).await;
    assert_eq!(report.state, AppState::Failed);
    assert!(matches!(report.final_verdict(), Some(Verdict::Lost)));
    let failure = yarn_rest::AmFailure::parse(&report.diagnostics).unwrap();
    assert_eq!(
        (failure.attempts, failure.exit_code, failure.stderr.as_str()),
        (Some(2), Some(3), "alas")
    );
    let attempts = lab.client.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        lab.client.attempt(attempts[1].id).await.unwrap().am_container,
        attempts[1].am_container
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn kept_containers_go_to_the_next_attempt() {
    let lab = Lab::start(Options::default()).await;
    let (id, mut first) = lab
        .played(|context| context.keep_containers_across_application_attempts = true)
        .await;
    let container = first.get_containers(1).await.remove(0);
    first
        .nodes()
        .start_container(&container, &shell("exec sleep 600"))
        .await
        .unwrap();
    let master = ContainerId::new(id.attempt(1), 1);
    let place = lab.client.attempts(id).await.unwrap()[0].node_id.clone().unwrap();
    let node = lab
        .cluster
        .nodes()
        .iter()
        .find(|node| node.facts().id.to_string() == place)
        .unwrap();
    node.signal(master, yarn_rpc::am_nm::ContainerSignal::Forceful);
    let mut second = Master::new(lab.master_client(lab.master_token(id, 2).await));
    let registered = second.register().await.unwrap();
    let previous: Vec<Container> = registered
        .containers_from_previous_attempts
        .iter()
        .map(|one| one.try_into().unwrap())
        .collect();
    assert_eq!(
        previous.iter().map(|one| one.id).collect::<Vec<_>>(),
        [container.id]
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn what_rest_refuses_it_refuses_as_hadoop_does() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let unknown = ApplicationId::new(1, 1);
    let error = lab.client.application(unknown).await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    let id = lab
        .submit("true", |context| context.queue = Some("nope".into()))
        .await;
    let report = lab.report(id, AppReport::is_final).await;
    assert_eq!(
        report.diagnostics,
        format!("Application {id} submitted by user ada to unknown queue: nope")
    );
    assert!(matches!(report.final_verdict(), Some(Verdict::Refused)));
    let mut large = SubmissionContext::new(lab.client.new_application().await.unwrap().application_id);
    large.resource = yarn_rest::Resource::new(1 << 20, 1);
    large.container.commands = vec!["true".into()];
    let error = lab.client.submit(&large).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("Requested more memory than configured max 4096"),
        "{error:?}"
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn cluster_nodes_and_queues_can_be_asked() {
    let lab = Lab::start(Options::default()).await;
    let nodes = lab
        .client
        .nodes(&[yarn_rest::model::NodeState::Running])
        .await
        .unwrap();
    assert_eq!(nodes.len(), 2);
    assert_eq!(
        (nodes[0].rack.as_str(), nodes[0].available_memory_mb),
        ("/default-rack", 4096)
    );
    let scheduler = lab.client.scheduler().await.unwrap();
    let leaf = scheduler.root.find("root.default").unwrap();
    assert_eq!(
        (scheduler.kind.as_str(), leaf.state.as_deref()),
        ("capacityScheduler", Some("RUNNING"))
    );
    let metrics = lab.client.cluster_metrics().await.unwrap();
    assert_eq!((metrics.active_nodes, metrics.total_mb), (2, 8192));
    assert_eq!(lab.client.cluster_info().await.unwrap().hadoop_version, "3.4.3");
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_lifetime_ends_an_application() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let (id, _) = lab.played(|_| {}).await;
    let soon = std::time::SystemTime::now() + Duration::from_millis(1500);
    lab.client.set_lifetime(id, soon).await.unwrap();
    let report = lab.report(id, AppReport::is_final).await;
    assert!(
        matches!(report.final_verdict(), Some(Verdict::TimedOut)),
        "{}",
        report.diagnostics
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn a_lost_node_is_told_and_its_containers_are_gone() {
    let lab = Lab::start(Options::default()).await;
    let (id, mut master) = lab.played(|_| {}).await;
    let own = lab.client.attempts(id).await.unwrap()[0].node_id.clone().unwrap();
    let other: NodeId = {
        let mut ids = lab.cluster.nodes().iter().map(|node| node.facts().id.clone());
        ids.find(|id| id.to_string() != own).unwrap()
    };
    let containers = master.get_containers(4).await;
    let there = containers
        .iter()
        .filter(|container| container.node == other)
        .count();
    assert!(there > 0, "containers are spread over the nodes");
    lab.cluster.lose_node(&other);
    let response = master.allocate(Default::default()).await.unwrap();
    assert_eq!(response.updated_nodes.len(), 1);
    let lost = response.completed_container_statuses.iter();
    assert_eq!(
        lost.filter(|status| status.diagnostics().contains("*lost* node"))
            .count(),
        there
    );
    lab.cluster.shutdown().await;
}

#[tokio::test]
async fn files_are_fetched_only_with_their_exact_time() {
    let lab = Lab::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    let (_, mut master) = lab.played(|_| {}).await;
    let source = lab.shared.path().join("data");
    std::fs::write(&source, "precious\n").unwrap();
    let modified = std::fs::metadata(&source).unwrap().modified().unwrap();
    let timestamp_ms = modified
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    let resource = yarn_rpc::records::LocalResource {
        url: format!("file://{}", source.display()).parse().unwrap(),
        size: 9,
        timestamp_ms,
        kind: yarn_rpc::records::LocalResourceType::File,
        visibility: yarn_rpc::records::ResourceVisibility::Application,
    };
    let containers = master.get_containers(2).await;
    let mut context = shell("cat linked");
    context.local_resources.insert("linked".into(), resource.clone());
    master
        .nodes()
        .start_container(&containers[0], &context)
        .await
        .unwrap();
    assert_eq!(master.ends().await[0].exit_status(), 0);
    let wrong = yarn_rpc::records::LocalResource {
        timestamp_ms: timestamp_ms + 1,
        ..resource
    };
    context.local_resources.insert("linked".into(), wrong);
    master
        .nodes()
        .start_container(&containers[1], &context)
        .await
        .unwrap();
    let end = master.ends().await.remove(0);
    assert_eq!(end.exit_status(), -1000);
    assert!(
        end.diagnostics().contains("changed on src filesystem - expected"),
        "{}",
        end.diagnostics()
    );
    lab.cluster.shutdown().await;
}
