//! `ContainerManagementProtocol`: starting, stopping, asking, signals, tokens.

use hadoop::ids::ContainerId;
use yarn_rpc::error::RpcError;
use yarn_rpc::proto::common::TokenProto;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{Container, ContainerLaunchContext, ContainerSubState};

use super::case::{Case, case};
use super::lab::{Yarn, holds, wait_for};
use super::master::{Master, exception, refused, shell};

pub(crate) const CASES: &[Case] = &[
    case!(
        a_start_is_accepted_before_it_happens,
        "`ContainerManagerImpl.startContainers`: in succeeded_requests at once"
    ),
    case!(
        a_container_starts_once,
        "`ContainerManagerImpl`: `Attempt to relaunch the same container with id …`"
    ),
    case!(
        a_container_does_not_start_after_its_end,
        "`ContainerManagerImpl`: the same words for one that has ended"
    ),
    case!(
        a_running_container_says_so,
        "`ContainerStatus`: C_RUNNING, exit -1000, sub state RUNNING"
    ),
    case!(
        an_ended_container_was_recently_stopped,
        "`ContainerManagerImpl.getContainerStatuses`: once its end is acknowledged"
    ),
    case!(
        an_unknown_container_has_no_status,
        "`ContainerManagerImpl`: `is not handled by this NodeManager`"
    ),
    case!(
        an_unknown_container_cannot_be_stopped,
        "`ContainerManagerImpl.stopContainers`: failed_requests `is not handled by this NodeManager`"
    ),
    case!(
        a_stop_may_be_repeated,
        "`ContainerManagerImpl.stopContainers`: success for one that has ended"
    ),
    case!(
        a_signal_for_nobody_succeeds,
        "`ContainerManagerImpl.signalToContainer`"
    ),
    case!(
        a_graceful_signal_is_written_down,
        "`ContainerImpl` diagnostics: `Sent signal GRACEFUL_SHUTDOWN (SIGTERM) to pid …`"
    ),
    case!(
        a_forged_container_token_is_invalid,
        "`ContainerManagerImpl`: InvalidToken fails the whole call"
    ),
    case!(
        a_token_of_another_node_is_invalid,
        "`ContainerManagerImpl`: `is not valid for current Node manager`"
    ),
    case!(
        credentials_that_are_none_fail_the_call,
        "`Credentials.readTokenStorageStream`: `Bad header found in token storage.`"
    ),
    case!(
        a_node_token_opens_only_its_node,
        "`ContainerManagerImpl`: `Given NMToken for application … is not valid for current node manager`"
    ),
    case!(
        a_masters_token_opens_no_node,
        "`BaseNMTokenSecretManager`: an AMRM token is not answered"
    ),
    case!(
        a_resource_needs_a_url,
        "`ContainerManagerImpl`: `Null resource URL for local resource …`"
    ),
    case!(
        a_resource_needs_a_type,
        "`ContainerManagerImpl`: `Null resource type for local resource …`"
    ),
    case!(
        a_resource_needs_a_visibility,
        "`ContainerManagerImpl`: `Null resource visibility for local resource …`"
    ),
    case!(
        an_unknown_service_is_refused,
        "`ContainerManagerImpl`: `The auxService:… does not exist`"
    ),
    case!(
        an_unknown_method_is_named,
        "`ProtobufRpcEngine2`: RpcNoSuchMethodException"
    ),
];

/// A start of this one container, as it is.
async fn start(
    master: &Master,
    at: &Container,
    token: TokenProto,
    context: pb::ContainerLaunchContextProto,
) -> Result<pb::StartContainersResponseProto, RpcError> {
    let one = pb::StartContainerRequestProto {
        container_launch_context: Some(context),
        container_token: Some(token),
    };
    let request = pb::StartContainersRequestProto {
        start_container_request: vec![one],
    };
    master.node_of(at).call("startContainers", &request).await
}

fn token_of(container: &Container) -> TokenProto {
    container.token.as_ref().unwrap().into()
}

fn context(command: &str) -> pb::ContainerLaunchContextProto {
    (&shell(command)).into()
}

/// The words of the one refusal in an answer.
fn refusal(answer: pb::StartContainersResponseProto) -> String {
    assert!(answer.succeeded_requests.is_empty());
    let failed = answer.failed_requests.into_iter().next().unwrap();
    failed.exception.unwrap().message.unwrap()
}

async fn a_start_is_accepted_before_it_happens(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let answer = start(&master, &container, token_of(&container), context("sleep 1"))
        .await
        .unwrap();
    let started: Vec<ContainerId> = answer
        .succeeded_requests
        .iter()
        .map(|id| id.try_into().unwrap())
        .collect();
    assert_eq!((started, answer.failed_requests.len()), (vec![container.id], 0));
}

async fn a_container_starts_once(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (container, _) = yarn.ready(&mut master, "exec sleep 300").await;
    let again = start(&master, &container, token_of(&container), context("true"))
        .await
        .unwrap();
    let words = format!("Attempt to relaunch the same container with id {}", container.id);
    holds(&refusal(again), &[&words]);
}

async fn a_container_does_not_start_after_its_end(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.started(&shell("true")).await;
    master.end_of(container.id).await;
    let again = start(&master, &container, token_of(&container), context("true"))
        .await
        .unwrap();
    holds(
        &refusal(again),
        &["Attempt to relaunch the same container with id"],
    );
}

async fn a_running_container_says_so(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (container, _) = yarn.ready(&mut master, "exec sleep 300").await;
    let status = master
        .nodes()
        .container_status(&container.node, container.id)
        .await
        .unwrap();
    assert_eq!(
        (status.exit_status, status.sub_state),
        (-1000, Some(ContainerSubState::Running))
    );
}

async fn an_ended_container_was_recently_stopped(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.started(&shell("true")).await;
    master.end_of(container.id).await;
    // The next heartbeat says that its end has been heard of, and a node must hear of that.
    let words = wait_for("the end is acknowledged", async || {
        master.beat().await;
        let status = master
            .nodes()
            .container_status(&container.node, container.id)
            .await;
        status.err().map(|error| error.to_string())
    })
    .await;
    holds(&words, &["was recently stopped on node manager."]);
}

fn nobody(container: &Container) -> ContainerId {
    ContainerId::new(container.id.attempt, 999)
}

async fn an_unknown_container_has_no_status(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let status = master
        .nodes()
        .container_status(&container.node, nobody(&container))
        .await;
    holds(
        &status.unwrap_err().to_string(),
        &["is not handled by this NodeManager"],
    );
}

async fn an_unknown_container_cannot_be_stopped(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let stopped = master
        .nodes()
        .stop_container(&container.node, nobody(&container))
        .await;
    holds(
        &stopped.unwrap_err().to_string(),
        &["is not handled by this NodeManager"],
    );
}

async fn a_stop_may_be_repeated(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.started(&shell("exec sleep 300")).await;
    for _ in 0..2 {
        master
            .nodes()
            .stop_container(&container.node, container.id)
            .await
            .unwrap();
    }
    master.end_of(container.id).await;
    master
        .nodes()
        .stop_container(&container.node, container.id)
        .await
        .unwrap();
}

async fn a_signal_for_nobody_succeeds(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let signal = yarn_rpc::am_nm::ContainerSignal::Graceful;
    master
        .nodes()
        .signal_container(&container.node, nobody(&container), signal)
        .await
        .unwrap();
}

async fn a_graceful_signal_is_written_down(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let command = "trap 'exit 3' TERM; while :; do sleep 0.02; done";
    let (container, _) = yarn.ready(&mut master, command).await;
    let signal = yarn_rpc::am_nm::ContainerSignal::Graceful;
    master
        .nodes()
        .signal_container(&container.node, container.id, signal)
        .await
        .unwrap();
    let end = master.end_of(container.id).await;
    assert_eq!(end.status, 3);
    let words = format!("as user ada for container {}, result=success", container.id);
    holds(
        &end.diagnostics,
        &["Sent signal GRACEFUL_SHUTDOWN (SIGTERM) to pid ", &words],
    );
}

async fn a_forged_container_token_is_invalid(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let forged = TokenProto {
        password: vec![1; 20],
        ..token_of(&container)
    };
    let answer = start(&master, &container, forged, context("true")).await;
    refused(
        answer,
        "InvalidToken",
        "Invalid container token used for starting container on : ",
    );
}

/// Two containers on different nodes.
async fn apart(master: &mut Master) -> (Container, Container) {
    let mut granted = master.containers(2).await;
    while granted.iter().all(|one| one.node == granted[0].node) {
        granted.extend(master.containers(2).await);
    }
    let first = granted[0].clone();
    let other = granted.into_iter().find(|one| one.node != first.node).unwrap();
    (first, other)
}

async fn a_token_of_another_node_is_invalid(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (here, there) = apart(&mut master).await;
    let answer = start(&master, &here, token_of(&there), context("true")).await;
    let words = format!(
        "Given Container {} identifier is not valid for current Node manager",
        there.id
    );
    refused(answer, "InvalidToken", &words);
}

async fn credentials_that_are_none_fail_the_call(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let context = pb::ContainerLaunchContextProto {
        tokens: Some(b"nonsense".to_vec()),
        ..context("true")
    };
    let answer = start(&master, &container, token_of(&container), context).await;
    refused(answer, "YarnException", "Bad header found in token storage.");
}

async fn a_node_token_opens_only_its_node(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (here, there) = apart(&mut master).await;
    let wrong = master.tokens.get(&there.node).unwrap();
    master.tokens.put(yarn_rpc::records::NmToken {
        node: here.node.clone(),
        token: wrong,
    });
    let answer = start(&master, &here, token_of(&here), context("true")).await;
    let (class, message) = exception(&answer.unwrap_err());
    assert_eq!(class, "InvalidToken");
    holds(
        &message,
        &[
            "Given NMToken for application",
            "is not valid for current node manager",
        ],
    );
}

async fn a_masters_token_opens_no_node(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    master.tokens.put(yarn_rpc::records::NmToken {
        node: container.node.clone(),
        token: yarn.token(master.attempt).await,
    });
    assert!(
        start(&master, &container, token_of(&container), context("true"))
            .await
            .is_err()
    );
}

/// The words with which a resource is refused.
async fn without(yarn: &Yarn, change: impl FnOnce(&mut pb::LocalResourceProto)) -> String {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let mut resource = pb::LocalResourceProto {
        resource: Some(pb::UrlProto {
            scheme: Some("file".into()),
            port: Some(-1),
            file: Some("/nowhere".into()),
            ..Default::default()
        }),
        size: Some(1),
        timestamp: Some(1),
        r#type: Some(pb::LocalResourceTypeProto::File as i32),
        visibility: Some(pb::LocalResourceVisibilityProto::Application as i32),
        ..Default::default()
    };
    change(&mut resource);
    let entry = pb::StringLocalResourceMapProto {
        key: Some("mine".into()),
        value: Some(resource),
    };
    let context = pb::ContainerLaunchContextProto {
        local_resources: vec![entry],
        ..context("true")
    };
    refusal(
        start(&master, &container, token_of(&container), context)
            .await
            .unwrap(),
    )
}

async fn a_resource_needs_a_url(yarn: &Yarn) {
    let words = without(yarn, |resource| resource.resource = None).await;
    holds(&words, &["Null resource URL for local resource mine"]);
}

async fn a_resource_needs_a_type(yarn: &Yarn) {
    let words = without(yarn, |resource| resource.r#type = None).await;
    holds(&words, &["Null resource type for local resource mine"]);
}

async fn a_resource_needs_a_visibility(yarn: &Yarn) {
    let words = without(yarn, |resource| resource.visibility = None).await;
    holds(&words, &["Null resource visibility for local resource mine"]);
}

async fn an_unknown_service_is_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let context = ContainerLaunchContext {
        commands: vec!["true".into()],
        service_data: [("nothing".to_owned(), vec![1])].into(),
        ..Default::default()
    };
    let answer = start(&master, &container, token_of(&container), (&context).into()).await;
    holds(
        &refusal(answer.unwrap()),
        &["The auxService:nothing does not exist"],
    );
}

async fn an_unknown_method_is_named(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.container().await;
    let request = pb::GetContainerStatusesRequestProto::default();
    let answer: Result<pb::GetContainerStatusesResponseProto, _> =
        master.node_of(&container).call("makeCoffee", &request).await;
    refused(
        answer,
        "RpcNoSuchMethodException",
        "Unknown method makeCoffee called on",
    );
}
