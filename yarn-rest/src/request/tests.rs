use std::time::{Duration, SystemTime};

use hadoop::ids::{ApplicationId, ContainerId};

use super::{
    AppFilter, AppPart, Built, LogRange, LogServer, NodeManager, Replay, ResourceManager, SchedulerActivities,
};
use crate::auth::Auth;
use crate::model::{AppState, FinalStatus, NodeState, Signal, TimeoutKind};
use crate::submission::SubmissionContext;

fn app() -> ApplicationId {
    ApplicationId::new(1_717_955_085_543, 1)
}

fn container() -> ContainerId {
    ContainerId::with_epoch(app().attempt(2), 17, 5)
}

fn rm() -> ResourceManager {
    ResourceManager::new(Auth::simple("al ice"))
}

/// A request as it goes over the wire, but for the host.
fn show(request: Built) -> String {
    let (head, body) = request.unwrap().into_parts();
    let headers: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("\n{name}: {}", value.to_str().unwrap()))
        .collect();
    let body = if body.is_empty() {
        String::new()
    } else {
        format!("\n\n{}", String::from_utf8_lossy(&body))
    };
    let replay = head.extensions.get::<Replay>().unwrap();
    format!(
        "{} {} ({replay:?}){}{body}\n",
        head.method,
        head.uri,
        headers.concat()
    )
}

fn show_all(requests: impl IntoIterator<Item = Built>) -> String {
    requests.into_iter().map(show).collect::<Vec<_>>().join("\n")
}

#[test]
fn requests_that_read_applications() {
    insta::assert_snapshot!(show_all([
        rm().application(app()),
        rm().applications(&AppFilter::default()),
        rm().attempts(app()),
        rm().attempt(app().attempt(2)),
        rm().containers(app().attempt(2)),
        rm().container(app().attempt(2), container()),
        rm().state(app()),
        rm().queue(app()),
        rm().priority(app()),
        rm().timeouts(app()),
        rm().timeout(app(), &TimeoutKind::Lifetime),
    ]));
}

#[test]
fn requests_that_change_applications() {
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let mut context = SubmissionContext::new(app());
    context.container.commands = vec!["sleep 60".to_owned()];
    insta::assert_snapshot!(show_all([
        rm().new_application(),
        rm().submit(&context),
        rm().kill(app(), None),
        rm().kill(app(), Some("it is \"late\"")),
        rm().set_queue(app(), "root.prod"),
        rm().set_priority(app(), -1),
        rm().set_lifetime(app(), expiry),
        rm().signal(container(), Signal::GracefulShutdown),
    ]));
}

#[test]
fn requests_about_the_cluster() {
    let activities = SchedulerActivities {
        node: Some("n1:45454".to_owned()),
        group_by_diagnostic: true,
    };
    insta::assert_snapshot!(show_all([
        rm().nodes(&[]),
        rm().nodes(&[NodeState::Running, NodeState::Unhealthy]),
        rm().node("n1:45454"),
        rm().scheduler(),
        rm().scheduler_activities(&SchedulerActivities::default()),
        rm().scheduler_activities(&activities),
        rm().app_activities(app(), Some(10)),
        rm().cluster_info(),
        rm().cluster_metrics(),
    ]));
}

#[test]
fn requests_to_nodes_and_the_log_server() {
    let node = NodeManager::new(Auth::simple("alice"));
    let log_server = LogServer::new(Auth::simple("alice"));
    insta::assert_snapshot!(show_all([
        node.containers(),
        node.container(container()),
        node.container_logs(container()),
        node.container_log(container(), "stderr", LogRange::All),
        node.container_log(container(), "../a b", LogRange::Last(4096)),
        node.container_log(container(), "stdout", LogRange::First(10)),
        log_server.application_logs(app()),
        log_server.container_logs(container()),
        log_server.container_log(container(), "stderr", LogRange::Last(4096)),
    ]));
}

#[test]
fn a_filter_becomes_query_parameters() {
    let filter = AppFilter {
        states: vec![AppState::Accepted, AppState::Running],
        final_status: Some(FinalStatus::Undefined),
        user: Some("alice".to_owned()),
        queue: Some("root.a&b".to_owned()),
        name: Some("word count".to_owned()),
        application_types: vec!["DRAWLOOM".to_owned(), "SPARK".to_owned()],
        application_tags: vec!["etl".to_owned()],
        limit: Some(20),
        started_from: Some(1),
        started_to: Some(2),
        finished_from: Some(3),
        finished_to: Some(4),
        without: vec![AppPart::ResourceRequests, AppPart::Timeouts],
    };
    let uri = rm().applications(&filter).unwrap().uri().to_string();
    insta::assert_snapshot!(uri.replace('&', "\n&"), @r"
    /ws/v1/cluster/apps?states=ACCEPTED,RUNNING
    &finalStatus=UNDEFINED
    &user=alice
    &queue=root.a%26b
    &name=word%20count
    &applicationTypes=DRAWLOOM,SPARK
    &applicationTags=etl
    &limit=20
    &startedTimeBegin=1
    &startedTimeEnd=2
    &finishedTimeBegin=3
    &finishedTimeEnd=4
    &deSelects=resourceRequests,timeouts
    &user.name=al%20ice
    ");
}

#[test]
fn a_target_that_is_far_too_long_is_an_error() {
    assert!(rm().node(&"x".repeat(70_000)).is_err());
}
