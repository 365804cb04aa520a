//! The tokio shells over real sockets, against fakes in this process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;

use fake::{Fake, Reply, dead_address, token};
use hadoop::ids::{ApplicationId, ContainerId, NodeId};
use hadoop::sasl::Qop;
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use yarn_rpc::am_nm::{ContainerSignal, NmConfig, NmError, NmTokenStore, NodeManagers};
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::client_rm::{ApplicationClient, ApplicationState, Submission};
use yarn_rpc::connection::{Protocol, ServerSettings};
use yarn_rpc::error::{RemoteKind, RpcError};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{
    AllocationRequestId, Container, ContainerLaunchContext, ContainerState, ExecutionType, NmToken, Priority,
    Resource,
};
use yarn_rpc::session::{
    AmSession, Ask, AskKey, FinalStatus, GrantSeq, Pacing, SessionCommand, SessionConfig, SessionEvent,
};

type Echo = pb::StringStringMapProto;

fn echo(text: &str) -> Echo {
    Echo {
        key: Some(text.to_owned()),
        value: None,
    }
}

fn tokens_only() -> ServerSettings {
    ServerSettings::token("nonce", Qop::ALL.to_vec())
}

fn config() -> RpcConfig {
    RpcConfig {
        call_deadline: Duration::from_secs(20),
        ..RpcConfig::default()
    }
}

fn client(addresses: Vec<String>, config: RpcConfig) -> RpcClient {
    let identity = ClientIdentity::Token(token(b"me"));
    RpcClient::new(addresses, Protocol::APPLICATION_MASTER, identity, config)
}

async fn echoing() -> Fake {
    Fake::start(tokens_only(), |_, body| Reply::Answer(body.to_vec())).await
}

#[tokio::test]
async fn calls_work_with_every_protection() {
    let fake = echoing().await;
    for qop in Qop::ALL {
        let client = client(
            vec![fake.address.clone()],
            RpcConfig {
                protection: vec![qop],
                ..config()
            },
        );
        let answer: Echo = client.call("echo", &echo("hi")).await.unwrap();
        assert_eq!(answer, echo("hi"));
    }
}

#[tokio::test]
async fn calls_of_many_tasks_share_a_connection_and_may_be_answered_in_any_order() {
    let mut calls = 0;
    let fake = Fake::start(tokens_only(), move |_, body| {
        calls += 1;
        if calls % 3 == 0 {
            Reply::Answer(body.to_vec())
        } else {
            Reply::Hold(body.to_vec())
        }
    })
    .await;
    let client = client(vec![fake.address.clone()], config());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..30 {
        let client = client.clone();
        tasks.spawn(async move {
            let sent = echo(&n.to_string());
            let answer: Echo = client.call("echo", &sent).await.unwrap();
            assert_eq!(answer, sent);
        });
    }
    while let Some(end) = tasks.join_next().await {
        end.unwrap();
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn addresses_are_tried_in_turn_and_the_one_that_answers_is_kept() {
    let dead = dead_address().await;
    let fake = echoing().await;
    let client = client(vec![dead.clone(), fake.address.clone()], config());
    for _ in 0..3 {
        let _: Echo = client.call("echo", &echo("x")).await.unwrap();
    }
    assert_eq!(fake.connections(), 1);
    let lonely = RpcClient::connect(
        vec![dead.clone()],
        Protocol::APPLICATION_MASTER,
        ClientIdentity::Token(token(b"me")),
        config(),
    );
    let error = lonely.await.unwrap_err();
    assert!(error.is_retriable());
    assert!(error.chain().contains(&dead), "{}", error.chain());
}

#[tokio::test]
async fn a_standby_makes_the_next_call_go_elsewhere() {
    let standby = Fake::start(tokens_only(), |_, _| {
        Reply::Throw(
            "org.apache.hadoop.ipc.StandbyException",
            "Operation is not supported in state standby",
        )
    })
    .await;
    let active = echoing().await;
    let client = client(vec![standby.address.clone(), active.address.clone()], config());
    let error = client.call::<_, Echo>("echo", &echo("x")).await.unwrap_err();
    assert_eq!(error.remote_kind(), Some(RemoteKind::Standby));
    let _: Echo = client.call("echo", &echo("x")).await.unwrap();
    assert_eq!(active.connections(), 1);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline_and_the_connection_with_it() {
    let mute = Fake::start(tokens_only(), |_, _| Reply::Silence).await;
    let fake = echoing().await;
    let client = client(vec![mute.address.clone(), fake.address.clone()], config());
    let end = client
        .call_within::<_, Echo>("echo", &echo("x"), Duration::from_millis(50))
        .await;
    assert!(matches!(end, Err(RpcError::Deadline { what: "echo", .. })));
    let _: Echo = client.call("echo", &echo("x")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_ends_at_the_connect_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = RpcConfig {
        connect_deadline: Duration::from_millis(50),
        ..config()
    };
    let error = client(vec![address], config)
        .call::<_, Echo>("echo", &echo("x"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RpcError::Deadline {
                what: "authentication",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_lost_connection_fails_its_call_and_the_next_call_makes_a_new_one() {
    let mut calls = 0;
    let fake = Fake::start(tokens_only(), move |_, body| {
        calls += 1;
        if calls == 1 {
            Reply::Close
        } else {
            Reply::Answer(body.to_vec())
        }
    })
    .await;
    let client = client(vec![fake.address.clone()], config());
    let error = client.call::<_, Echo>("echo", &echo("x")).await.unwrap_err();
    assert!(matches!(error, RpcError::Closed { .. }), "{error}");
    let _: Echo = client.call("echo", &echo("x")).await.unwrap();
    assert_eq!(fake.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_made_anew_when_needed() {
    let fake = echoing().await;
    let client = client(
        vec![fake.address.clone()],
        RpcConfig {
            idle_close: Some(Duration::from_millis(1)),
            ..config()
        },
    );
    let _: Echo = client.call("echo", &echo("x")).await.unwrap();
    while fake.connections() < 2 {
        let _: Echo = client.call("echo", &echo("x")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_the_servers_reason() {
    let fake = echoing().await;
    let mut wrong = token(b"me");
    wrong.password = b"guess".to_vec();
    let client = client(vec![fake.address.clone()], config());
    client.set_identity(ClientIdentity::Token(wrong));
    let error = client.call::<_, Echo>("echo", &echo("x")).await.unwrap_err();
    assert!(matches!(error, RpcError::Refused { .. }));
    assert_eq!(
        (error.remote_kind(), error.is_retriable()),
        (Some(RemoteKind::Sasl), false)
    );
}

#[tokio::test]
async fn a_refusal_is_not_hidden_by_an_address_that_nobody_listens_on() {
    let fake = echoing().await;
    let mut wrong = token(b"me");
    wrong.password = b"guess".to_vec();
    let client = client(vec![fake.address.clone(), dead_address().await], config());
    client.set_identity(ClientIdentity::Token(wrong));
    let error = client.call::<_, Echo>("echo", &echo("x")).await.unwrap_err();
    assert_eq!(error.remote_kind(), Some(RemoteKind::Sasl), "{error}");
}

#[tokio::test]
async fn a_web_server_on_the_port_is_recognised() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let error = client(vec![address], config())
        .call::<_, Echo>("echo", &echo("x"))
        .await
        .unwrap_err();
    web.await.unwrap();
    assert!(error.chain().contains("web server"), "{}", error.chain());
}

// --- NodeManagers

fn cid(n: u64) -> ContainerId {
    ContainerId::new(ApplicationId::new(1, 1).attempt(1), n)
}

fn node(fake: &Fake) -> NodeId {
    let address = fake.socket_address();
    NodeId::new(address.ip().to_string(), address.port())
}

fn container(node: NodeId) -> Container {
    Container {
        id: cid(2),
        node,
        node_http_address: String::new(),
        resource: Resource::new(128, 1),
        priority: Priority(1),
        allocation_request_id: AllocationRequestId(1),
        execution_type: ExecutionType::Guaranteed,
        version: 0,
        token: Some(token(b"container")),
    }
}

fn nodes_for(fake: &Fake) -> NodeManagers {
    let tokens = NmTokenStore::new();
    tokens.put(NmToken {
        node: node(fake),
        token: token(b"nm"),
    });
    let config = NmConfig {
        retry_pause: Duration::from_millis(1),
        ..NmConfig::default()
    };
    NodeManagers::new(tokens, config)
}

fn start_failed(class: &str, message: &str) -> Reply {
    let exception = pb::SerializedExceptionProto {
        message: Some(message.to_owned()),
        class_name: Some(class.to_owned()),
        ..Default::default()
    };
    let failed = pb::ContainerExceptionMapProto {
        container_id: Some(cid(2).into()),
        exception: Some(exception),
    };
    let answer = pb::StartContainersResponseProto {
        failed_requests: vec![failed],
        ..Default::default()
    };
    Reply::Answer(answer.encode_to_vec())
}

const YARN: &str = "org.apache.hadoop.yarn.exceptions.YarnException";

#[tokio::test]
async fn a_container_is_started_with_its_context_and_token() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let fake = Fake::start(tokens_only(), move |method, body| {
        seen.send((
            method.to_owned(),
            pb::StartContainersRequestProto::decode(body).unwrap(),
        ))
        .unwrap();
        Reply::Answer(Vec::new())
    })
    .await;
    let context = ContainerLaunchContext {
        commands: vec!["sleep 1".into()],
        ..Default::default()
    };
    nodes_for(&fake)
        .start_container(&container(node(&fake)), &context)
        .await
        .unwrap();
    let (method, request) = requests.recv().await.unwrap();
    assert_eq!(method, "startContainers");
    let start = &request.start_container_request[0];
    assert_eq!(
        start.container_launch_context.as_ref().unwrap().command,
        ["sleep 1"]
    );
    assert_eq!(start.container_token.as_ref().unwrap().identifier, b"container");
}

#[tokio::test]
async fn a_container_that_was_started_by_a_lost_try_counts_as_started() {
    let mut calls = 0;
    let fake = Fake::start(tokens_only(), move |_, _| {
        calls += 1;
        match calls {
            1 => Reply::Close,
            2 => start_failed(
                "org.apache.hadoop.yarn.exceptions.NMNotYetReadyException",
                "Rejecting",
            ),
            _ => start_failed(
                YARN,
                "Attempt to relaunch the same container with id container_1.",
            ),
        }
    })
    .await;
    nodes_for(&fake)
        .start_container(&container(node(&fake)), &ContainerLaunchContext::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_container_is_told_by_its_cause_and_not_tried_again() {
    let calls = Arc::new(Mutex::new(0));
    let count = calls.clone();
    let fake = Fake::start(tokens_only(), move |_, _| {
        *count.lock().unwrap() += 1;
        start_failed(
            YARN,
            "Unauthorized request to start container.\nThis token is expired. current time is 2",
        )
    })
    .await;
    let nodes = nodes_for(&fake);
    let error = nodes
        .start_container(&container(node(&fake)), &ContainerLaunchContext::default())
        .await
        .unwrap_err();
    assert!(error.is_void(), "{error}");
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[tokio::test]
async fn stop_status_and_signal_reach_the_node() {
    let fake = Fake::start(tokens_only(), |method, _| {
        let status = pb::ContainerStatusProto {
            container_id: Some(cid(2).into()),
            state: Some(pb::ContainerStateProto::CRunning as i32),
            ..Default::default()
        };
        match method {
            "getContainerStatuses" => {
                let answer = pb::GetContainerStatusesResponseProto {
                    status: vec![status],
                    ..Default::default()
                };
                Reply::Answer(answer.encode_to_vec())
            }
            "stopContainers" | "signalToContainer" => Reply::Answer(Vec::new()),
            _ => Reply::Throw(YARN, "which method?"),
        }
    })
    .await;
    let (nodes, node) = (nodes_for(&fake), node(&fake));
    nodes.stop_container(&node, cid(2)).await.unwrap();
    nodes
        .signal_container(&node, cid(2), ContainerSignal::Graceful)
        .await
        .unwrap();
    let status = nodes.container_status(&node, cid(2)).await.unwrap();
    assert_eq!(
        (status.state, status.exit_status),
        (ContainerState::Running, -1000)
    );
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_node_without_a_token_or_without_a_listener_is_an_error_that_says_so() {
    let nodes = NodeManagers::new(
        NmTokenStore::new(),
        NmConfig {
            tries: 1,
            ..NmConfig::default()
        },
    );
    let unknown = NodeId::new("n", 1);
    assert!(matches!(
        nodes.stop_container(&unknown, cid(2)).await,
        Err(NmError::NoToken(_))
    ));
    let dead: NodeId = dead_address().await.parse().unwrap();
    let tokens = NmTokenStore::new();
    tokens.put(NmToken {
        node: dead.clone(),
        token: token(b"nm"),
    });
    let nodes = NodeManagers::new(
        tokens,
        NmConfig {
            tries: 2,
            retry_pause: Duration::ZERO,
            ..NmConfig::default()
        },
    );
    let error = nodes.stop_container(&dead, cid(2)).await.unwrap_err();
    let NmError::Rpc { source, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(*source, RpcError::Connect { .. }), "{source}");
}

// --- ApplicationClientProtocol

#[tokio::test]
async fn an_application_is_submitted_reported_and_killed() {
    let fake = Fake::start(ServerSettings::simple("n"), |method, body| {
        let id = Some(ApplicationId::new(5, 6).into());
        Reply::Answer(match method {
            "getNewApplication" => pb::GetNewApplicationResponseProto {
                application_id: id,
                maximum_capability: Some((&Resource::new(4096, 8)).into()),
            }
            .encode_to_vec(),
            "submitApplication" => {
                let request = pb::SubmitApplicationRequestProto::decode(body).unwrap();
                let context = request.application_submission_context.unwrap();
                assert_eq!(
                    (context.application_name(), context.application_type()),
                    ("test", "DRAWLOOM")
                );
                assert_eq!(context.application_timeouts[0].timeout, Some(60));
                Vec::new()
            }
            "getApplicationReport" => pb::GetApplicationReportResponseProto {
                application_report: Some(pb::ApplicationReportProto {
                    application_id: id,
                    yarn_application_state: Some(pb::YarnApplicationStateProto::Accepted as i32),
                    tracking_url: Some("N/A".into()),
                    current_application_attempt_id: Some(pb::ApplicationAttemptIdProto {
                        application_id: id,
                        attempt_id: Some(-1),
                    }),
                    ..Default::default()
                }),
            }
            .encode_to_vec(),
            "forceKillApplication" => pb::KillApplicationResponseProto {
                is_kill_completed: Some(true),
            }
            .encode_to_vec(),
            _ => return Reply::Throw(YARN, "which method?"),
        })
    })
    .await;
    let identity = ClientIdentity::User("alice".into());
    let rm = ApplicationClient::new(vec![fake.address.clone()], identity, config());
    let new = rm.new_application().await.unwrap();
    assert_eq!(
        (new.id, new.maximum),
        (ApplicationId::new(5, 6), Resource::new(4096, 8))
    );
    let mut submission = Submission::new(
        new.id,
        "test",
        ContainerLaunchContext::default(),
        Resource::new(128, 1),
    );
    submission.kind = "DRAWLOOM".into();
    submission.lifetime = Some(Duration::from_secs(60));
    rm.submit(&submission).await.unwrap();
    let report = rm.report(new.id).await.unwrap();
    assert_eq!(
        (report.state, report.tracking_url, report.final_status),
        (ApplicationState::Accepted, None, None)
    );
    assert!(rm.kill(new.id, Some("enough")).await.unwrap());
}

// --- the session

/// A ResourceManager that grants one container for the first ask it hears, and forgets the attempt once on demand.
struct ScriptedRm {
    registered: bool,
    last_id: i32,
    forget: bool,
    asks: Vec<Vec<pb::ResourceRequestProto>>,
    methods: VecDeque<String>,
}

impl ScriptedRm {
    fn handle(&mut self, method: &str, body: &[u8]) -> Reply {
        self.methods.push_back(method.to_owned());
        let unknown = "org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException";
        match method {
            "registerApplicationMaster" => {
                self.registered = true;
                self.last_id = 0;
                Reply::Answer(pb::RegisterApplicationMasterResponseProto::default().encode_to_vec())
            }
            _ if !self.registered => Reply::Throw(unknown, "AM should re-register."),
            "allocate" => self.allocate(&pb::AllocateRequestProto::decode(body).unwrap()),
            _ => Reply::Answer(
                pb::FinishApplicationMasterResponseProto {
                    is_unregistered: Some(true),
                }
                .encode_to_vec(),
            ),
        }
    }

    fn allocate(&mut self, request: &pb::AllocateRequestProto) -> Reply {
        if std::mem::take(&mut self.forget) {
            self.registered = false;
            return Reply::Close;
        }
        assert_eq!(request.response_id(), self.last_id);
        self.last_id += 1;
        let mut answer = pb::AllocateResponseProto {
            response_id: Some(self.last_id),
            ..Default::default()
        };
        if !request.ask.is_empty() {
            self.asks.push(request.ask.clone());
            let node = NodeId::new("n", 7);
            let number = self.asks.len() as u64 + 1;
            answer.nm_tokens.push(pb::NmTokenProto {
                node_id: Some((&node).into()),
                token: Some((&token(b"nm")).into()),
            });
            answer.allocated_containers.push(
                (&Container {
                    id: cid(number),
                    ..container(node)
                })
                    .into(),
            );
        }
        Reply::Answer(answer.encode_to_vec())
    }
}

async fn scripted() -> (Fake, Arc<Mutex<ScriptedRm>>) {
    let rm = ScriptedRm {
        registered: false,
        last_id: 0,
        forget: false,
        asks: Vec::new(),
        methods: VecDeque::new(),
    };
    let rm = Arc::new(Mutex::new(rm));
    let handler = rm.clone();
    let fake = Fake::start(tokens_only(), move |method, body| {
        handler.lock().unwrap().handle(method, body)
    })
    .await;
    (fake, rm)
}

fn session_config(addresses: Vec<String>, nm_tokens: NmTokenStore) -> SessionConfig {
    SessionConfig {
        resource_managers: addresses,
        token: token(b"amrm"),
        host: "h".into(),
        rpc_port: Some(1),
        tracking_url: None,
        pacing: Pacing {
            pending: Duration::from_millis(5),
            idle: Duration::from_millis(20),
            ..Pacing::default()
        },
        rpc: config(),
        nm_tokens,
    }
}

fn one(count: u32, as_of: GrantSeq) -> SessionCommand {
    let ask = Ask {
        key: AskKey::any(Priority(1), AllocationRequestId(1)),
        capability: Resource::new(128, 1),
        count,
        relax_locality: true,
        node_label: None,
    };
    SessionCommand::SetAsk { ask, as_of }
}

/// The next event that matters for the story.
async fn next(events: &mut mpsc::Receiver<SessionEvent>) -> Option<SessionEvent> {
    loop {
        match events.recv().await? {
            SessionEvent::RmContact { .. } | SessionEvent::CallFailed { .. } => {}
            event => return Some(event),
        }
    }
}

#[tokio::test]
async fn a_session_registers_gets_its_container_survives_a_restart_and_unregisters() {
    let (fake, rm) = scripted().await;
    let dead = dead_address().await;
    let nm_tokens = NmTokenStore::new();
    let (session, mut events) = AmSession::start(session_config(
        vec![dead, fake.address.clone()],
        nm_tokens.clone(),
    ));
    session.send(one(1, GrantSeq::default())).await.unwrap();
    assert!(matches!(
        next(&mut events).await,
        Some(SessionEvent::Registered(_))
    ));
    let Some(SessionEvent::Allocated { containers, seq }) = next(&mut events).await else {
        panic!()
    };
    assert!(
        nm_tokens.get(&containers[0].node).is_some(),
        "the node's token comes before its container"
    );

    // Never started, so void after the restart and asked for again without our doing.
    rm.lock().unwrap().forget = true;
    let Some(SessionEvent::Resynced {
        dropped, seq: later, ..
    }) = next(&mut events).await
    else {
        panic!()
    };
    assert_eq!(dropped, [containers[0].id]);
    assert!(later > seq);
    let Some(SessionEvent::Allocated { containers, .. }) = next(&mut events).await else {
        panic!()
    };
    session
        .send(SessionCommand::Started(containers[0].id))
        .await
        .unwrap();

    let diagnostics = "done".to_owned();
    let end = SessionCommand::Unregister {
        status: FinalStatus::Succeeded,
        diagnostics,
        tracking_url: None,
    };
    session.send(end).await.unwrap();
    assert_eq!(next(&mut events).await, Some(SessionEvent::Unregistered));
    assert_eq!(events.recv().await, None, "the channel ends with the session");
    assert!(session.send(SessionCommand::Nudge).await.is_err());
    let methods = &rm.lock().unwrap().methods;
    assert_eq!(
        methods
            .iter()
            .filter(|m| *m == "registerApplicationMaster")
            .count(),
        2
    );
    assert_eq!(
        methods.back().map(String::as_str),
        Some("finishApplicationMaster")
    );
}

#[tokio::test]
async fn a_session_whose_attempt_is_over_says_so_and_ends() {
    let fake = Fake::start(tokens_only(), |method, _| match method {
        "registerApplicationMaster" => Reply::Answer(Vec::new()),
        _ => Reply::Fatal(
            "org.apache.hadoop.security.token.SecretManager$InvalidToken",
            "not found",
        ),
    })
    .await;
    let (_session, mut events) =
        AmSession::start(session_config(vec![fake.address.clone()], NmTokenStore::new()));
    assert!(matches!(
        next(&mut events).await,
        Some(SessionEvent::Registered(_))
    ));
    assert!(matches!(
        next(&mut events).await,
        Some(SessionEvent::Superseded { .. })
    ));
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn a_session_without_handles_ends_without_unregistering() {
    let (fake, rm) = scripted().await;
    let (session, mut events) =
        AmSession::start(session_config(vec![fake.address.clone()], NmTokenStore::new()));
    assert!(matches!(
        next(&mut events).await,
        Some(SessionEvent::Registered(_))
    ));
    drop(session);
    while events.recv().await.is_some() {}
    assert!(
        rm.lock()
            .unwrap()
            .methods
            .iter()
            .all(|method| method != "finishApplicationMaster")
    );
}

#[tokio::test]
async fn a_slow_reader_stops_neither_heartbeats_nor_commands() {
    let (fake, rm) = scripted().await;
    let (session, mut events) =
        AmSession::start(session_config(vec![fake.address.clone()], NmTokenStore::new()));
    // Far more events than the channel holds, none of them read.
    while rm.lock().unwrap().methods.len() < 600 {
        session.send(SessionCommand::Nudge).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let end = SessionCommand::Unregister {
        status: FinalStatus::Failed,
        diagnostics: String::new(),
        tracking_url: None,
    };
    session.send(end).await.unwrap();
    let mut last = None;
    while let Some(event) = events.recv().await {
        last = Some(event);
    }
    assert_eq!(last, Some(SessionEvent::Unregistered));
}
