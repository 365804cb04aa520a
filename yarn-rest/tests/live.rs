//! The client against a real cluster. Ignored unless asked for:
//!
//! ```text
//! YARN_REST_RM=127.0.0.1:8088 cargo test -p yarn-rest --test live -- --ignored
//! ```
//!
//! The cluster should be idle, with simple authentication and the Capacity Scheduler (the Fair Scheduler has no
//! priorities, and its placement rules decide what becomes of an unknown queue). The applications run as `alice`.
#![expect(clippy::unwrap_used, reason = "a test's own tools may panic as the test does")]

use std::time::{Duration, SystemTime};

use hadoop::ids::ApplicationId;
use yarn_rest::model::{AttemptState, NodeState, Signal};
use yarn_rest::request::{AppFilter, LogRange, SchedulerActivities};
use yarn_rest::{
    AmFailure, AppReport, AppState, Auth, Client, Error, Phase, Resource, SubmissionContext, Verdict,
};

fn client() -> Client {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let addresses = std::env::var("YARN_REST_RM").expect("YARN_REST_RM names the web addresses of the RMs");
    let builder = Client::builder(Auth::simple("alice"));
    addresses
        .split(',')
        .fold(builder, |builder, rm| builder.resource_manager(rm))
        .build()
        .unwrap()
}

async fn submission(client: &Client, command: &str) -> SubmissionContext {
    let new = client.new_application().await.unwrap();
    assert!(new.maximum_resource_capability.memory > 0);
    assert_eq!(new.limits[0].name, "memory-mb");
    let mut app = SubmissionContext::new(new.application_id);
    app.name = "yarn-rest-live".to_owned();
    app.application_type = "YARN-REST".to_owned();
    app.tags = vec!["live".to_owned(), "yarn-rest".to_owned()];
    app.resource = Resource::new(64, 1);
    app.max_app_attempts = Some(1);
    app.container.commands = vec![
        format!("({command})"),
        "1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".to_owned(),
    ];
    app.container
        .environment
        .insert("GREETING".to_owned(), "hello".to_owned());
    app
}

/// Asks until the report is as wanted; the test's own timeout is the deadline.
async fn wait_for(client: &Client, app: ApplicationId, wanted: impl Fn(&AppReport) -> bool) -> AppReport {
    for _ in 0..600 {
        let report = client.application(app).await.unwrap();
        if wanted(&report) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", client.application(app).await);
}

#[tokio::test]
#[ignore = "needs a cluster: YARN_REST_RM"]
async fn the_cluster_describes_itself() {
    let client = client();
    let info = client.cluster_info().await.unwrap();
    assert!(info.resource_manager_version.starts_with('3'), "{info:?}");
    let metrics = client.cluster_metrics().await.unwrap();
    assert!(metrics.active_nodes > 0 && metrics.total_mb > 0, "{metrics:?}");
    let nodes = client.nodes(&[NodeState::Running]).await.unwrap();
    assert!(
        nodes[0].node_http_address.is_some() && nodes[0].available_memory_mb > 0,
        "{nodes:?}"
    );
    assert_eq!(client.node_report(&nodes[0].id).await.unwrap().id, nodes[0].id);
    let scheduler = client.scheduler().await.unwrap();
    assert!(
        scheduler.root.name == "root" && !scheduler.root.leaves().is_empty(),
        "{scheduler:?}"
    );
    client
        .scheduler_activities(&SchedulerActivities::default())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: YARN_REST_RM"]
async fn an_application_can_be_watched_changed_and_killed() {
    let client = client();
    let context = submission(&client, "echo $GREETING; printf 1234567890 1>&2; sleep 300").await;
    let app = context.application_id;
    client.submit(&context).await.unwrap();
    client.submit(&context).await.unwrap();
    let report = wait_for(&client, app, |report| report.phase() >= Phase::AmStarting).await;
    assert_eq!(
        (report.user.as_str(), report.application_type.as_str()),
        ("alice", "YARN-REST")
    );
    assert_eq!(report.application_tags.len(), 2);
    assert!(
        report.tracking_url.is_none() && report.final_verdict().is_none(),
        "{report:?}"
    );

    let listed = client.applications(&AppFilter::of_user("alice")).await.unwrap();
    assert!(listed.iter().any(|other| other.id == app));
    let attempt = client.attempts(app).await.unwrap().remove(0);
    assert_eq!(client.attempt(attempt.id).await.unwrap().id, attempt.id);
    let containers = client.containers(attempt.id).await.unwrap();
    assert_eq!(containers.len(), 1);
    client.container(containers[0].id).await.unwrap();

    watch_logs(&client, &attempt).await;

    assert!(client.queue(app).await.unwrap().ends_with("default"));
    client.priority(app).await.unwrap();
    client.set_priority(app, 1).await.unwrap();
    client.app_activities(app, None).await.unwrap();
    let expiry = SystemTime::now() + Duration::from_secs(3600);
    let timeout = client.set_lifetime(app, expiry).await.unwrap();
    assert!(timeout.remaining_seconds.unwrap() > 3000, "{timeout:?}");
    assert!(client.lifetime(app).await.unwrap().expiry_time.is_some());
    assert_eq!(client.timeouts(app).await.unwrap().len(), 1);
    client
        .signal(containers[0].id, Signal::OutputThreadDump)
        .await
        .unwrap();

    let progress = client.kill(app, Some("because")).await.unwrap();
    let ended_otherwise = matches!(progress.state, AppState::Finished | AppState::Failed);
    assert!(!ended_otherwise, "{progress:?}");
    let report = wait_for(&client, app, AppReport::is_final).await;
    assert_eq!(
        report.final_verdict(),
        Some(Verdict::Killed {
            by: Some("alice".to_owned())
        }),
        "{report:?}"
    );
    assert_eq!(report.running_containers.unwrap_or(0), 0);
    assert!(client.kill(app, None).await.unwrap().is_done());
    let state = client.attempts(app).await.unwrap().remove(0).state;
    assert!(matches!(state, None | Some(AttemptState::Killed)), "{state:?}");
}

async fn watch_logs(client: &Client, attempt: &yarn_rest::model::Attempt) {
    let container = attempt.am_container.unwrap();
    let node = client
        .node(attempt.node_http_address.as_deref().unwrap())
        .unwrap();
    let length_of = async |name: &str| {
        let places = node.log_files(container).await.ok()?;
        places
            .iter()
            .flat_map(|place| &place.files)
            .find(|file| file.file_name == name)
            .map(|file| file.file_size)
    };
    for _ in 0..100 {
        if length_of("stderr").await == Some(10) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let containers = node.containers().await.unwrap();
    let listed = containers.iter().any(|other| other.id == container);
    assert!(listed, "{containers:?}");
    assert_eq!(node.container(container).await.unwrap().user, "alice");
    let read = async |name: &str, range| {
        node.log(container, name, range)
            .await
            .unwrap()
            .read_to_end()
            .await
            .unwrap()
    };
    assert_eq!(read("stdout", LogRange::All).await, b"hello\n");
    assert_eq!(read("stderr", LogRange::Last(3)).await, b"890");
    assert_eq!(read("stderr", LogRange::First(3)).await, b"123");
    assert_eq!(read("stderr", LogRange::Last(100)).await, b"1234567890");
    assert_eq!(read("prelaunch.err", LogRange::All).await, b"");
    let error = node.log(container, "nope", LogRange::All).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
#[ignore = "needs a cluster: YARN_REST_RM"]
async fn a_master_that_dies_is_explained() {
    let client = client();
    let context = submission(&client, "echo one 1>&2; echo boom 1>&2; exit 7").await;
    client.submit(&context).await.unwrap();
    let report = wait_for(&client, context.application_id, AppReport::is_final).await;
    assert_eq!(report.final_verdict(), Some(Verdict::Lost));
    let failure = AmFailure::parse(&report.diagnostics).unwrap();
    assert_eq!(
        (failure.attempts, failure.exit_code),
        (Some(1), Some(7)),
        "{}",
        report.diagnostics
    );
    assert_eq!(failure.last_lines(2), ["one", "boom"], "{}", report.diagnostics);
}

#[tokio::test]
#[ignore = "needs a cluster: YARN_REST_RM"]
async fn bad_submissions_are_refused_with_the_clusters_words() {
    let client = client();
    let mut unknown_queue = submission(&client, "true").await;
    unknown_queue.queue = Some("nope".to_owned());
    client.submit(&unknown_queue).await.unwrap();
    let report = wait_for(&client, unknown_queue.application_id, AppReport::is_final).await;
    assert_eq!(report.final_verdict(), Some(Verdict::Refused), "{report:?}");
    assert!(report.diagnostics.contains("unknown queue: nope"), "{report:?}");

    let mut too_large = submission(&client, "true").await;
    too_large.resource.memory = 1 << 30;
    let error = client.submit(&too_large).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("more memory than"), "{error}");

    let error = client.application(ApplicationId::new(1, 1)).await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    let moved = client
        .set_queue(too_large.application_id, "nope")
        .await
        .unwrap_err();
    assert!(
        matches!(moved, Error::NotFound { .. } | Error::Server { .. }),
        "{moved}"
    );
}
