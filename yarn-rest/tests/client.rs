//! The client against daemons in this process.
#![expect(clippy::unwrap_used, reason = "a test's own tools may panic as the test does")]

use std::time::Duration;

use fake::{Fake, Reply, dead_address};
use hadoop::ids::{ApplicationId, ContainerId};
use hadoop::retry::Backoff;
use yarn_rest::model::Signal;
use yarn_rest::request::{AppFilter, LogRange};
use yarn_rest::{Auth, BuildError, Client, ClientBuilder, Error, SubmissionContext};

mod fake;

const REPORT: &str = r#"{"app":{"id":"application_1795218548822_0001","state":"RUNNING","progress":50.0}}"#;
const STANDBY_TEXT: &str = "There is no active RM right now. Will retry after 1 seconds\n";

fn app() -> ApplicationId {
    ApplicationId::new(1_795_218_548_822, 1)
}

fn container() -> ContainerId {
    ContainerId::new(app().attempt(1), 1)
}

fn submission() -> SubmissionContext {
    let mut context = SubmissionContext::new(app());
    context.container.commands = vec!["sleep 60".to_owned()];
    context
}

/// A client of these ResourceManagers. Its pauses are short; its deadline is for a busy machine.
fn builder(addresses: &[&str]) -> ClientBuilder {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let backoff = Backoff::doubling(Duration::from_millis(1), Duration::from_millis(2));
    let builder = Client::builder(Auth::simple("alice"))
        .backoff(backoff)
        .deadline(Duration::from_secs(60));
    addresses
        .iter()
        .fold(builder, |builder, address| builder.resource_manager(*address))
}

fn client(addresses: &[&str]) -> Client {
    builder(addresses).build().unwrap()
}

#[tokio::test]
async fn a_redirect_of_a_standby_is_followed_with_the_body_and_remembered() {
    let active = Fake::always(Reply::Answer(202, String::new())).await;
    let to = active.url();
    let standby = Fake::start(move |_, asked| Reply::Redirect(Some(format!("{to}{}", asked.target)))).await;
    let client = client(&[&standby.url(), &active.url()]);

    client.submit(&submission()).await.unwrap();
    client.submit(&submission()).await.unwrap();

    let (first, second) = (standby.asked(), active.asked());
    assert_eq!((first.len(), second.len()), (1, 2));
    assert_eq!(second[0].method, "POST");
    assert_eq!(second[0].target, "/ws/v1/cluster/apps?user.name=alice");
    assert_eq!(second[0].body, first[0].body);
    assert!(second[0].body.contains("sleep 60"));
    assert_eq!(client.active(), active.url());
}

#[tokio::test]
async fn a_redirect_may_lead_to_an_address_nobody_configured() {
    let active = Fake::always(Reply::ok(REPORT)).await;
    let to = active.url();
    let standby = Fake::start(move |_, asked| Reply::Redirect(Some(format!("{to}{}", asked.target)))).await;
    let client = client(&[&standby.url()]);

    client.application(app()).await.unwrap();
    client.application(app()).await.unwrap();

    assert_eq!((standby.asked().len(), active.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_standby_that_knows_no_active_one_leads_to_the_next_address() {
    for not_active in [Reply::Redirect(None), Reply::ok(STANDBY_TEXT)] {
        let standby = Fake::always(not_active).await;
        let active = Fake::always(Reply::ok(REPORT)).await;
        let client = client(&[&standby.url(), &active.url()]);

        let report = client.application(app()).await.unwrap();

        assert_eq!((report.id, report.progress), (app(), 50.0));
        assert_eq!(client.active(), active.url());
    }
}

#[tokio::test]
async fn during_a_failover_the_client_keeps_asking() {
    let reply = |number, _: &fake::Asked| {
        if number < 5 {
            Reply::Redirect(None)
        } else {
            Reply::ok(REPORT)
        }
    };
    let rm = Fake::start(reply).await;
    let client = builder(&[&rm.url()]).rounds(1).build().unwrap();

    client.application(app()).await.unwrap();

    assert_eq!(rm.asked().len(), 6);
}

#[tokio::test]
async fn without_an_active_one_the_error_says_so_at_the_deadline() {
    let standby = Fake::always(Reply::ok(STANDBY_TEXT)).await;
    let client = builder(&[&standby.url()])
        .deadline(Duration::from_millis(300))
        .build()
        .unwrap();

    let error = client.application(app()).await.unwrap_err();

    match &error {
        Error::NoActiveResourceManager { tried } => assert_eq!(tried.0[0].0, standby.url()),
        // On a very slow machine not even one round fits.
        Error::Deadline { .. } => {}
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_dead_first_address_is_passed_over() {
    let dead = dead_address().await;
    let active = Fake::always(Reply::ok(REPORT)).await;
    let client = client(&[&dead, &active.url()]);

    client.application(app()).await.unwrap();
    client.application(app()).await.unwrap();

    assert_eq!(client.active(), active.url());
}

#[tokio::test]
async fn dead_addresses_are_all_named() {
    let (one, two) = (dead_address().await, dead_address().await);
    let error = client(&[&one, &two]).application(app()).await.unwrap_err();

    let text = error.to_string();
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    assert!(
        text.contains(&one) && text.contains(&two) && text.contains("refused"),
        "{text}"
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_silent_server_runs_into_the_deadline() {
    let silent = Fake::always(Reply::Silence).await;
    let client = builder(&[&silent.url()])
        .deadline(Duration::from_millis(50))
        .build()
        .unwrap();

    let error = client.application(app()).await.unwrap_err();

    let wanted = format!("no answer within 50 ms: {}: no answer", silent.url());
    assert_eq!(error.to_string(), wanted);
}

#[tokio::test]
async fn a_silent_first_address_is_left_after_its_time() {
    let silent = Fake::always(Reply::Silence).await;
    let active = Fake::always(Reply::ok(REPORT)).await;
    let client = builder(&[&silent.url(), &active.url()])
        .attempt_timeout(Duration::from_secs(1))
        .build()
        .unwrap();

    client.application(app()).await.unwrap();

    assert_eq!(client.active(), active.url());
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_sent_again_and_a_signal_is_not() {
    let reply = |number, _: &fake::Asked| {
        if number == 0 {
            Reply::HangUp
        } else {
            Reply::Answer(202, String::new())
        }
    };

    let rm = Fake::start(reply).await;
    client(&[&rm.url()]).submit(&submission()).await.unwrap();
    assert_eq!(rm.asked().len(), 2);

    let rm = Fake::start(reply).await;
    let error = client(&[&rm.url()])
        .signal(container(), Signal::ForcefulShutdown)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error}");
    assert_eq!(rm.asked().len(), 1);
}

#[tokio::test]
async fn refusals_are_not_repeated_and_keep_the_words() {
    let refused = r#"{"RemoteException":{"exception":"BadRequestException","message":"Requested more memory than configured max","javaClassName":"x"}}"#;
    let rm = Fake::always(Reply::Answer(400, refused.to_owned())).await;

    let error = client(&[&rm.url()]).submit(&submission()).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "refused: `Requested more memory than configured max`"
    );
    assert_eq!(rm.asked().len(), 1);
}

#[tokio::test]
async fn a_cluster_without_rest_submission_is_recognised() {
    let rm = Fake::always(Reply::Answer(
        403,
        "App submission via REST is disabled.".to_owned(),
    ))
    .await;
    let error = client(&[&rm.url()]).new_application().await.unwrap_err();
    assert!(matches!(error, Error::SubmissionDisabled { .. }), "{error}");
}

#[tokio::test]
async fn an_attempt_that_the_release_cannot_write_is_taken_from_the_list() {
    let list = r#"{"appAttempts":{"appAttempt":[{"id":1,"appAttemptId":"appattempt_1795218548822_0001_000001","appAttemptState":"RUNNING"}]}}"#;
    let rm = Fake::start(move |_, asked| {
        if asked.target.contains("/appattempts/") {
            Reply::Answer(503, "MessageBodyWriter not found for AppAttemptInfo".to_owned())
        } else {
            Reply::ok(list)
        }
    })
    .await;
    let client = client(&[&rm.url()]);

    assert_eq!(
        client.attempt(app().attempt(1)).await.unwrap().id,
        app().attempt(1)
    );
    let error = client.attempt(app().attempt(2)).await.unwrap_err();
    assert!(
        error.to_string().contains("MessageBodyWriter not found"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_quoted() {
    let rm = Fake::always(Reply::ok("<html>a portal</html>")).await;
    let error = client(&[&rm.url()])
        .applications(&AppFilter::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("it starts with `<html>a portal</html>`"),
        "{error}"
    );
}

#[tokio::test]
async fn every_request_names_the_user_and_no_browser() {
    let rm = Fake::always(Reply::ok(r#"{"apps":{}}"#)).await;
    let client = client(&[&rm.url()]);

    assert!(
        client
            .applications(&AppFilter::of_user("bob"))
            .await
            .unwrap()
            .is_empty()
    );

    let asked = rm.asked();
    assert_eq!(asked[0].target, "/ws/v1/cluster/apps?user=bob&user.name=alice");
    assert_eq!(asked[0].headers["accept"], "application/json");
    assert!(
        asked[0].headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("yarn-rest/")
    );
}

#[tokio::test]
async fn a_log_file_arrives_without_its_wrapping() {
    let contents = "a line of the log\n".repeat(10_000);
    let header = "Container: container_1795218548822_0001_01_000001 on localhost:20030\nLogAggregationType: LOCAL\n====\nLogType:stderr\nLogLastModifiedTime:x\n";
    let stars = "*".repeat(71);
    let text = format!(
        "{header}LogLength:{}\nLogContents:\n{contents}End of LogType:stderr.\n{stars}\n\n",
        contents.len()
    );
    let nm = Fake::always(Reply::ok(text)).await;
    let node = client(&["rm:8088"]).node(&nm.address.to_string()).unwrap();

    let log = node.log(container(), "stderr", LogRange::All).await.unwrap();

    assert_eq!(log.read_to_end().await.unwrap(), contents.as_bytes());
    let asked = nm.asked();
    assert_eq!(asked[0].headers["accept"], "text/plain");
    assert_eq!(
        asked[0].target,
        "/ws/v1/node/containers/container_1795218548822_0001_01_000001/logs/stderr?user.name=alice"
    );
}

#[tokio::test]
async fn a_missing_log_file_is_not_found() {
    let nm = Fake::always(Reply::Answer(
        404,
        "java.lang.Exception: Unknown container. Container x\n".to_owned(),
    ))
    .await;
    let node = client(&["rm:8088"]).node(&nm.url()).unwrap();
    let error = node
        .log(container(), "stderr", LogRange::Last(100))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "not found: `Unknown container. Container x`");
}

#[tokio::test]
async fn a_node_that_lost_a_container_redirects_to_the_log_server() {
    let files = r#"{"containerLogsInfo":{"containerLogInfo":[{"fileName":"stdout","fileSize":"2"}],"logAggregationType":"AGGREGATED"}}"#;
    let log_server = Fake::always(Reply::ok(files)).await;
    let to = log_server.url();
    let nm =
        Fake::start(move |_, _| Reply::Redirect(Some(format!("{to}/ws/v1/history/containers/x/logs")))).await;
    let node = client(&["rm:8088"]).node(&nm.url()).unwrap();

    let places = node.log_files(container()).await.unwrap();

    assert_eq!(places[0].files[0].file_name, "stdout");
    assert_eq!(log_server.asked()[0].target, "/ws/v1/history/containers/x/logs");
}

#[test]
fn a_client_needs_an_address_that_is_one() {
    assert_eq!(builder(&[]).build().unwrap_err(), BuildError::NoAddress);
    let error = builder(&["rm1:8088", "ftp://rm2"]).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ftp://rm2` is not a web address: the scheme is ftp"
    );
}
