//! `GET` of applications, attempts and containers.

use serde_json::{Value, json};

use super::case::{Case, case};
use super::lab::{Yarn, holds};
use super::master::{named, shell};
use yarn_rpc::proto::yarn::FinalApplicationStatusProto as Final;

pub(crate) const CASES: &[Case] = &[
    case!(
        before_it_registers_an_application_has_no_address,
        "`AppInfo`: no trackingUrl, no amRPCAddress, trackingUI UNASSIGNED"
    ),
    case!(
        a_registered_application_shows_where_it_is,
        "`AppInfo`: RUNNING, the proxy's URL, host:port as registered"
    ),
    case!(
        used_seconds_repeat_their_key,
        "`ResourceInfo` maps in Jersey 1: `entry` twice in one object, values are texts"
    ),
    case!(
        the_lifetime_is_a_list_of_one,
        "`AppTimeoutsInfo`: a list with LIFETIME UNLIMITED, -1 s left"
    ),
    case!(
        a_running_application_counts_its_containers,
        "`AppInfo`: allocatedMB, runningContainers while it runs, -1 after"
    ),
    case!(
        pending_asks_are_shown_only_while_pending,
        "`AppInfo.resourceRequests`"
    ),
    case!(
        a_finished_application_says_how,
        "`AppInfo`: FINISHED with the master's status and words, progress 100"
    ),
    case!(
        a_failed_application_quotes_its_master,
        "`RMAppAttemptImpl`: exit code, tail of stderr, `Failing the application.`"
    ),
    case!(
        an_exit_without_a_word_is_a_failure,
        "`RMAppAttemptImpl`: exit 0 without unregistering is FAILED, exitCode 0"
    ),
    case!(
        attempts_are_a_list_with_numbers,
        "`AppAttemptsInfo`: ids, container, node, state"
    ),
    case!(
        one_attempt_has_no_root_and_only_texts,
        "`AppAttemptInfo` of `WebServices`: no root key, numbers as texts"
    ),
    case!(
        an_attempt_needs_its_full_id,
        "`WebServices.parseApplicationAttemptId`: a bare number is 400"
    ),
    case!(
        an_unknown_attempt_is_not_found,
        "`WebServices.getAppAttempt`: 404"
    ),
    case!(
        one_container_is_an_object_several_are_a_list,
        "`ContainersInfo` in Jersey 1"
    ),
    case!(
        one_container_has_no_root_and_only_texts,
        "`ContainerInfo` of `WebServices`"
    ),
    case!(
        the_state_alone_can_be_asked,
        "`RMWebServices.getAppState`: `{\"state\":…}`"
    ),
    case!(
        the_queue_alone_can_be_asked,
        "`RMWebServices.getAppQueue`: `{\"queue\":…}`"
    ),
    case!(
        the_priority_alone_can_be_asked,
        "`RMWebServices.getAppPriority`: `{\"priority\":-1}` where none was given"
    ),
    case!(
        the_lifetime_alone_can_be_asked,
        "`RMWebServices.getAppTimeout`: `{\"timeout\":{…}}`"
    ),
];

async fn before_it_registers_an_application_has_no_address(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let app = yarn.app(master.app()).await;
    assert_eq!(
        (&app["state"], &app["trackingUI"]),
        (&json!("ACCEPTED"), &json!("UNASSIGNED"))
    );
    assert_eq!(
        (&app["trackingUrl"], &app["amRPCAddress"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&app["finalStatus"], &app["progress"]),
        (&json!("UNDEFINED"), &json!(0.0))
    );
    holds(
        app["amContainerLogs"].as_str().unwrap(),
        &["/node/containerlogs/container_", "_000001/ada"],
    );
}

async fn a_registered_application_shows_where_it_is(yarn: &Yarn) {
    let master = yarn.master().await;
    let app = yarn.app(master.app()).await;
    assert_eq!(
        (&app["state"], &app["trackingUI"]),
        (&json!("RUNNING"), &json!("ApplicationMaster"))
    );
    assert_eq!(app["amRPCAddress"], "there.example:4711");
    holds(
        app["trackingUrl"].as_str().unwrap(),
        &[&format!("/proxy/{}/", master.app())],
    );
    assert_eq!(
        app["masterNodeId"],
        yarn.attempts(master.app()).await[0]["nodeId"]
    );
}

async fn used_seconds_repeat_their_key(yarn: &Yarn) {
    let master = yarn.master().await;
    let text = yarn.get(&format!("/apps/{}", master.app())).await.text;
    let (_, map) = text.split_once("\"resourceSecondsMap\":").unwrap();
    assert!(
        map.starts_with("{\"entry\":{\"key\":\"memory-mb\",\"value\":\""),
        "{map}"
    );
    holds(map, &["},\"entry\":{\"key\":\"vcores\",\"value\":\""]);
    holds(&text, &["\"preemptedResourceSecondsMap\":{}"]);
}

async fn the_lifetime_is_a_list_of_one(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let unlimited = json!([{"type": "LIFETIME", "expiryTime": "UNLIMITED", "remainingTimeInSeconds": -1}]);
    assert_eq!(yarn.app(master.app()).await["timeouts"]["timeout"], unlimited);
}

async fn a_running_application_counts_its_containers(yarn: &Yarn) {
    let mut master = yarn.master().await;
    master.containers(2).await;
    let held = |app: &Value| {
        ["allocatedMB", "allocatedVCores", "runningContainers"].map(|name| app[name].as_i64().unwrap())
    };
    assert_eq!(held(&yarn.app(master.app()).await), [192, 3, 3]);
    yarn.kill(master.app()).await;
    let none = yarn.app_with(master.app(), "runningContainers", &json!(-1)).await;
    assert_eq!(held(&none), [-1, -1, -1]);
}

async fn pending_asks_are_shown_only_while_pending(yarn: &Yarn) {
    let mut master = yarn.master().await;
    assert_eq!(yarn.app(master.app()).await["resourceRequests"], Value::Null);
    let nowhere = [("nowhere:1", true), ("/default-rack", false), ("*", false)];
    let asks = nowhere.map(|(name, relax)| named(name, 3, relax));
    master.ask(asks.to_vec()).await.unwrap();
    let asks = yarn.app(master.app()).await["resourceRequests"].take();
    let ask = asks
        .as_array()
        .unwrap()
        .iter()
        .find(|ask| ask["resourceName"] == "nowhere:1")
        .unwrap();
    assert_eq!(
        (&ask["numContainers"], &ask["relaxLocality"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(ask["capability"]["memory"], 64);
}

async fn a_finished_application_says_how(yarn: &Yarn) {
    let master = yarn.master().await;
    master.finish(Final::AppFailed).await;
    let app = yarn.app_in(master.app(), "FINISHED").await;
    assert_eq!(
        (&app["finalStatus"], &app["diagnostics"]),
        (&json!("FAILED"), &json!("all said"))
    );
    assert_eq!(
        (&app["progress"], &app["trackingUI"]),
        (&json!(100.0), &json!("History"))
    );
}

async fn a_failed_application_quotes_its_master(yarn: &Yarn) {
    let command = "{ echo alas >&2; exit 3; } 2><LOG_DIR>/stderr";
    let id = yarn.submit(command, json!({})).await;
    let app = yarn.app_in(id, "FAILED").await;
    let attempt = id.attempt(1);
    holds(
        app["diagnostics"].as_str().unwrap(),
        &[
            &format!(
                "Application {id} failed 1 times (global limit =2; local limit is =1) due to AM Container for {attempt} exited with  exitCode: 3"
            ),
            "Failing this attempt.Diagnostics: ",
            "Container exited with a non-zero exit code 3. Error file: prelaunch.err.",
            "Last 4096 bytes of stderr :\nalas\n",
            "For more detailed output, check the application tracking page: http://",
            " Then click on links to logs of each attempt.\n. Failing the application.",
        ],
    );
    assert_eq!(
        (&app["finalStatus"], &app["trackingUI"]),
        (&json!("FAILED"), &json!("History"))
    );
    holds(
        app["trackingUrl"].as_str().unwrap(),
        &[&format!("/cluster/app/{id}")],
    );
}

async fn an_exit_without_a_word_is_a_failure(yarn: &Yarn) {
    let id = yarn.submit("true", json!({})).await;
    let app = yarn.app_in(id, "FAILED").await;
    holds(app["diagnostics"].as_str().unwrap(), &["exitCode: 0"]);
}

async fn attempts_are_a_list_with_numbers(yarn: &Yarn) {
    let master = yarn.master().await;
    let attempts = yarn.attempts(master.app()).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (&attempts[0]["id"], &attempts[0]["appAttemptState"]),
        (&json!(1), &json!("RUNNING"))
    );
    assert_eq!(attempts[0]["appAttemptId"], master.attempt.to_string());
    assert!(attempts[0]["startTime"].is_u64());
    assert!(
        attempts[0]["containerId"]
            .as_str()
            .unwrap()
            .ends_with("_01_000001")
    );
}

async fn one_attempt_has_no_root_and_only_texts(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/appattempts/{}", master.app(), master.attempt);
    let attempt = yarn.get(&path).await.json();
    assert_eq!(
        (&attempt["rpcPort"], &attempt["host"]),
        (&json!("4711"), &json!("there.example"))
    );
    assert!(attempt["startedTime"].is_string(), "{attempt}");
    assert_eq!(attempt["appAttemptState"], "RUNNING");
    assert_eq!(attempt["originalTrackingUrl"], "N/A");
}

async fn an_attempt_needs_its_full_id(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let answer = yarn.get(&format!("/apps/{}/appattempts/1", master.app())).await;
    assert_eq!(answer.status, 400);
}

async fn an_unknown_attempt_is_not_found(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let unknown = master.app().attempt(9);
    let answer = yarn
        .get(&format!("/apps/{}/appattempts/{unknown}", master.app()))
        .await;
    assert_eq!(answer.status, 404);
}

async fn one_container_is_an_object_several_are_a_list(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let path = format!("/apps/{}/appattempts/{}/containers", master.app(), master.attempt);
    assert!(yarn.get(&path).await.json()["container"].is_object());
    master.container().await;
    assert_eq!(
        yarn.get(&path).await.json()["container"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

async fn one_container_has_no_root_and_only_texts(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let container = master.started(&shell("exec sleep 300")).await;
    let path = format!(
        "/apps/{}/appattempts/{}/containers/{}",
        master.app(),
        master.attempt,
        container.id
    );
    let found = yarn.get(&path).await.json();
    assert_eq!(
        (&found["containerId"], &found["allocatedMB"]),
        (&json!(container.id.to_string()), &json!("64"))
    );
    assert_eq!(
        (&found["nodeId"], &found["priority"]),
        (&json!(container.node.to_string()), &json!("1"))
    );
}

async fn the_state_alone_can_be_asked(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = yarn.get(&format!("/apps/{}/state", master.app())).await.json();
    assert_eq!(answer, json!({"state": "RUNNING"}));
}

async fn the_queue_alone_can_be_asked(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = yarn.get(&format!("/apps/{}/queue", master.app())).await.json();
    assert_eq!(answer, json!({"queue": "root.default"}));
}

async fn the_priority_alone_can_be_asked(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = yarn.get(&format!("/apps/{}/priority", master.app())).await.json();
    assert_eq!(answer, json!({"priority": -1}));
}

async fn the_lifetime_alone_can_be_asked(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = yarn
        .get(&format!("/apps/{}/timeouts/LIFETIME", master.app()))
        .await
        .json();
    assert_eq!(
        (&answer["timeout"]["type"], &answer["timeout"]["expiryTime"]),
        (&json!("LIFETIME"), &json!("UNLIMITED"))
    );
}
