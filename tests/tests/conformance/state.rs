//! Changing applications over REST: kill, queue, priority, lifetime, signals.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::case::{Case, case};
use super::lab::{Yarn, holds, wait_for};
use super::master::{Master, refused};

pub(crate) const CASES: &[Case] = &[
    case!(
        a_kill_is_accepted_and_then_done,
        "`RMWebServices.updateAppState`: 202 with Location, later 200 KILLED"
    ),
    case!(
        a_kill_of_a_finished_application_is_done,
        "`updateAppState`: 200 with the state it ended in"
    ),
    case!(
        the_killers_words_are_kept,
        "`RMAppImpl`: `was killed by user … with diagnostic message: …`"
    ),
    case!(
        anybody_may_kill_without_acls,
        "`yarn.acl.enable` false: another user's kill succeeds and is named"
    ),
    case!(
        a_kill_without_a_user_is_dr_whos,
        "`updateAppState`: without user.name it is dr.who"
    ),
    case!(
        only_killed_can_be_wished_for,
        "`updateAppState`: another state is 400"
    ),
    case!(
        a_kill_ends_all_containers,
        "`RMNodeImpl`, `ApplicationImpl`: processes of a killed application end"
    ),
    case!(
        a_killed_masters_calls_are_refused,
        "`ApplicationMasterService`: attempt not found, application not in cache"
    ),
    case!(
        a_priority_is_capped_when_it_is_set,
        "`RMWebServices.updateApplicationPriority`: 5 becomes 0"
    ),
    case!(
        a_move_to_an_unknown_queue_is_unavailable,
        "`RMWebServices.updateAppQueue`: 503"
    ),
    case!(
        a_lifetime_can_be_set,
        "`RMWebServices.updateApplicationTimeout`: the answer tells the time left"
    ),
    case!(
        a_lifetime_that_is_over_kills,
        "`RMAppLifetimeMonitor`: KILLED `exceeded the lifetime period`"
    ),
    case!(
        a_lifetime_needs_its_root,
        "`updateApplicationTimeout`: without `timeout` it is 400"
    ),
    case!(
        a_lifetime_in_the_past_is_refused,
        "`RMServerUtils.validateISO8601AndConvertToLocalTimeEpoch`: 503"
    ),
    case!(
        a_signal_over_rest_reaches_the_process,
        "`RMWebServices.signalToContainer`: FORCEFUL_SHUTDOWN ends it with 137"
    ),
    case!(
        a_thread_dump_leaves_a_container_alone,
        "HotSpot blocks SIGQUIT in its children: OUTPUT_THREAD_DUMP does not end them"
    ),
];

fn state(master: &Master) -> String {
    format!("/apps/{}/state", master.app())
}

async fn a_kill_is_accepted_and_then_done(yarn: &Yarn) {
    let master = yarn.master().await;
    let answer = yarn
        .send("PUT", &state(&master), &json!({"state": "KILLED"}))
        .await;
    assert_eq!(answer.status, 202);
    holds(answer.header("location"), &[&state(&master)]);
    yarn.kill(master.app()).await;
    let again = yarn
        .send("PUT", &state(&master), &json!({"state": "KILLED"}))
        .await;
    assert_eq!((again.status, again.json()), (200, json!({"state": "KILLED"})));
}

async fn a_kill_of_a_finished_application_is_done(yarn: &Yarn) {
    let id = yarn.submit("true", json!({})).await;
    yarn.app_in(id, "FAILED").await;
    let answer = yarn
        .send("PUT", &format!("/apps/{id}/state"), &json!({"state": "KILLED"}))
        .await;
    assert_eq!((answer.status, answer.json()), (200, json!({"state": "FAILED"})));
}

/// Kills an application with this query and body; its diagnostics.
async fn killed(yarn: &Yarn, query: &str, body: Value) -> (Master, String) {
    let master = yarn.master().await;
    yarn.send_as(query, "PUT", &state(&master), &body).await;
    let app = yarn.app_in(master.app(), "KILLED").await;
    assert_eq!(app["finalStatus"], "KILLED");
    let text = app["diagnostics"].as_str().unwrap().to_owned();
    (master, text)
}

async fn the_killers_words_are_kept(yarn: &Yarn) {
    let (master, text) = killed(
        yarn,
        "user.name=ada",
        json!({"state": "KILLED", "diagnostics": "because"}),
    )
    .await;
    let words = format!(
        "Application {} was killed by user ada with diagnostic message: because",
        master.app()
    );
    holds(&text, &[&words]);
}

async fn anybody_may_kill_without_acls(yarn: &Yarn) {
    let (master, text) = killed(yarn, "user.name=bob", json!({"state": "KILLED"})).await;
    holds(
        &text,
        &[&format!("Application {} was killed by user bob", master.app())],
    );
}

async fn a_kill_without_a_user_is_dr_whos(yarn: &Yarn) {
    let (_, text) = killed(yarn, "", json!({"state": "KILLED"})).await;
    holds(&text, &["was killed by user dr.who"]);
}

async fn only_killed_can_be_wished_for(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let (status, _, message) = yarn
        .send("PUT", &state(&master), &json!({"state": "RUNNING"}))
        .await
        .error();
    assert_eq!(status, 400);
    holds(&message, &["Only 'KILLED' is allowed as a target state."]);
}

async fn a_kill_ends_all_containers(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (_, pid) = yarn.ready(&mut master, "exec sleep 300").await;
    let process = format!("/proc/{pid}");
    yarn.kill(master.app()).await;
    wait_for("the process's end", async || {
        (!std::path::Path::new(&process).exists()).then_some(())
    })
    .await;
}

async fn a_killed_masters_calls_are_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    master.beat().await;
    yarn.kill(master.app()).await;
    let attempt = master.attempt.to_string();
    refused(
        master.allocate(Default::default()).await,
        "ApplicationAttemptNotFoundException",
        &attempt,
    );
    refused(
        master.register().await,
        "InvalidApplicationMasterRequestException",
        "doesn't exist in cache",
    );
}

async fn a_priority_is_capped_when_it_is_set(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/priority", master.app());
    let answer = yarn.send("PUT", &path, &json!({"priority": 5})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"priority": 0})));
}

async fn a_move_to_an_unknown_queue_is_unavailable(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/queue", master.app());
    assert_eq!(
        yarn.send("PUT", &path, &json!({"queue": "nope"})).await.status,
        503
    );
}

/// A lifetime that ends so many milliseconds from now, in the form that YARN reads.
fn lifetime(from_now: i64) -> Value {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let at = jiff::Timestamp::from_millisecond(i64::try_from(now).unwrap() + from_now).unwrap();
    let text = at.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string();
    json!({"type": "LIFETIME", "expiryTime": text})
}

async fn a_lifetime_can_be_set(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/timeout", master.app());
    let answer = yarn
        .send("PUT", &path, &json!({"timeout": lifetime(600_000)}))
        .await;
    let left = answer.json()["timeout"]["remainingTimeInSeconds"]
        .as_i64()
        .unwrap();
    assert!((590..=600).contains(&left), "{}", answer.text);
}

async fn a_lifetime_that_is_over_kills(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/timeout", master.app());
    let answer = yarn.send("PUT", &path, &json!({"timeout": lifetime(1500)})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let app = yarn.app_in(master.app(), "KILLED").await;
    holds(
        app["diagnostics"].as_str().unwrap(),
        &["Application is killed by ResourceManager as it has exceeded the lifetime period."],
    );
}

async fn a_lifetime_needs_its_root(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/timeout", master.app());
    assert_eq!(yarn.send("PUT", &path, &lifetime(600_000)).await.status, 400);
}

async fn a_lifetime_in_the_past_is_refused(yarn: &Yarn) {
    let master = yarn.master().await;
    let path = format!("/apps/{}/timeout", master.app());
    let answer = yarn
        .send("PUT", &path, &json!({"timeout": lifetime(-600_000)}))
        .await;
    assert_eq!(answer.status, 503, "{}", answer.text);
}

async fn a_signal_over_rest_reaches_the_process(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let (container, _) = yarn.ready(&mut master, "exec sleep 300").await;
    let path = format!("/containers/{}/signal/FORCEFUL_SHUTDOWN", container.id);
    assert_eq!(yarn.send("POST", &path, &Value::Null).await.status, 200);
    assert_eq!(master.end_of(container.id).await.status, 137);
}

async fn a_thread_dump_leaves_a_container_alone(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let gate = yarn.path(format!("gate-{}", master.attempt));
    let command = format!("until [ -e {} ]; do sleep 0.02; done; exit 9", gate.display());
    let (container, _) = yarn.ready(&mut master, &command).await;
    let path = format!("/containers/{}/signal/OUTPUT_THREAD_DUMP", container.id);
    assert_eq!(yarn.send("POST", &path, &Value::Null).await.status, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::fs::write(&gate, "").unwrap();
    assert_eq!(master.end_of(container.id).await.status, 9);
}
