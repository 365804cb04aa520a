//! What becomes of an application whose ApplicationMaster ends.

use hadoop::ids::{ApplicationAttemptId, ContainerId};
use serde_json::{Value, json};

use super::case::{Case, case};
use super::lab::{Yarn, holds, wait_for};
use super::master::{Master, refused, shell};

pub(crate) const CASES: &[Case] = &[
    case!(
        a_second_attempt_follows_the_first,
        "`RMAppImpl`: a failed attempt is followed by another with the next number"
    ),
    case!(
        one_attempt_may_be_all,
        "`max-app-attempts` 1: `failed 1 times (global limit =2; local limit is =1)`"
    ),
    case!(
        attempts_are_capped_by_the_cluster,
        "`yarn.resourcemanager.am.max-attempts` 2 caps 5"
    ),
    case!(
        kept_containers_are_handed_over,
        "`keep-containers-across-application-attempts`: in the next registration, with tokens"
    ),
    case!(
        kept_containers_report_their_end_to_the_next_attempt,
        "`RMAppAttemptImpl.transferStateFromAttempt`"
    ),
    case!(
        what_ended_in_between_comes_with_the_first_heartbeat,
        "`RMAppAttemptImpl` justFinishedContainers are transferred"
    ),
    case!(
        without_keeping_all_containers_end,
        "`RMAppAttemptImpl`: containers of a failed attempt are killed"
    ),
    case!(
        the_former_master_is_refused,
        "`ApplicationMasterService`: ApplicationAttemptNotFoundException for the old attempt"
    ),
    case!(
        the_former_masters_token_opens_nothing,
        "`AMRMTokenSecretManager`: InvalidToken for the old attempt's token"
    ),
    case!(
        the_next_attempts_ids_start_over,
        "`ContainerId`: the attempt's number is part of it"
    ),
];

async fn a_second_attempt_follows_the_first(yarn: &Yarn) {
    let id = yarn.submit("exit 4", json!({"max-app-attempts": 2})).await;
    let app = yarn.app_in(id, "FAILED").await;
    holds(
        app["diagnostics"].as_str().unwrap(),
        &[&format!("Application {id} failed 2 times due to"), "exitCode: 4"],
    );
    let ids: Vec<Value> = yarn
        .attempts(id)
        .await
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(ids, [json!(1), json!(2)]);
}

async fn one_attempt_may_be_all(yarn: &Yarn) {
    let id = yarn.submit("exit 4", json!({"max-app-attempts": 1})).await;
    let app = yarn.app_in(id, "FAILED").await;
    holds(
        app["diagnostics"].as_str().unwrap(),
        &["failed 1 times (global limit =2; local limit is =1) due to"],
    );
    assert_eq!(yarn.attempts(id).await.len(), 1);
}

async fn attempts_are_capped_by_the_cluster(yarn: &Yarn) {
    let id = yarn.submit("exit 4", json!({"max-app-attempts": 5})).await;
    yarn.app_in(id, "FAILED").await;
    assert_eq!(yarn.attempts(id).await.len(), 2);
}

/// An application of two attempts, whose ApplicationMaster ends when its file is written.
async fn mortal(yarn: &Yarn, keep: bool) -> Master {
    let folder = yarn.path("");
    let folder = folder.display();
    let command = format!(
        "cp container_tokens {folder}/new.$CONTAINER_ID; mv {folder}/new.$CONTAINER_ID {folder}/$CONTAINER_ID; \
         until [ -e {folder}/end.$CONTAINER_ID ]; do sleep 0.02; done; exit 4"
    );
    let spec = json!({"commands": {"command": command}});
    let more = json!({
        "max-app-attempts": 2,
        "keep-containers-across-application-attempts": keep,
        "am-container-spec": spec,
    });
    yarn.master_with(more).await
}

/// Ends the first attempt; the second one's ApplicationMaster, not registered yet.
async fn succeeded(yarn: &Yarn, first: &Master) -> Master {
    let own = ContainerId::new(first.attempt, 1);
    std::fs::write(yarn.path(format!("end.{own}")), "").unwrap();
    yarn.master_of(second(first)).await
}

fn second(first: &Master) -> ApplicationAttemptId {
    first.app().attempt(2)
}

async fn kept_containers_are_handed_over(yarn: &Yarn) {
    let mut first = mortal(yarn, true).await;
    let (container, _) = yarn.ready(&mut first, "exec sleep 300").await;
    let mut next = succeeded(yarn, &first).await;
    let answer = next.register().await.unwrap();
    let kept: Vec<ContainerId> = answer
        .containers_from_previous_attempts
        .iter()
        .map(|one| one.id.as_ref().unwrap().try_into().unwrap())
        .collect();
    assert_eq!(kept, [container.id]);
    assert_eq!(answer.nm_tokens_from_previous_attempts.len(), 1);
}

async fn kept_containers_report_their_end_to_the_next_attempt(yarn: &Yarn) {
    let mut first = mortal(yarn, true).await;
    let gate = yarn.path(format!("gate-{}", first.attempt));
    let command = format!("until [ -e {} ]; do sleep 0.02; done; exit 6", gate.display());
    let (container, _) = yarn.ready(&mut first, &command).await;
    let mut next = succeeded(yarn, &first).await;
    next.register().await.unwrap();
    std::fs::write(gate, "").unwrap();
    assert_eq!(next.end_of(container.id).await.status, 6);
}

async fn what_ended_in_between_comes_with_the_first_heartbeat(yarn: &Yarn) {
    let mut first = mortal(yarn, true).await;
    let container = first.started(&shell("exit 8")).await;
    // The end is known to the ResourceManager before the first attempt's end.
    wait_for("the container's end", async || {
        let status = first
            .nodes()
            .container_status(&container.node, container.id)
            .await;
        status.map_or(Some(()), |status| (status.exit_status == 8).then_some(()))
    })
    .await;
    let mut next = succeeded(yarn, &first).await;
    let answer = next.register().await.unwrap();
    assert!(answer.containers_from_previous_attempts.is_empty());
    assert_eq!(next.end_of(container.id).await.status, 8);
}

async fn without_keeping_all_containers_end(yarn: &Yarn) {
    let mut first = mortal(yarn, false).await;
    let (_, pid) = yarn.ready(&mut first, "exec sleep 300").await;
    let mut next = succeeded(yarn, &first).await;
    let answer = next.register().await.unwrap();
    assert!(answer.containers_from_previous_attempts.is_empty());
    let process = format!("/proc/{pid}");
    wait_for("the process's end", async || {
        (!std::path::Path::new(&process).exists()).then_some(())
    })
    .await;
}

async fn the_former_master_is_refused(yarn: &Yarn) {
    let mut first = mortal(yarn, true).await;
    first.beat().await;
    succeeded(yarn, &first).await;
    let answer = first.allocate(Default::default()).await;
    refused(
        answer,
        "ApplicationAttemptNotFoundException",
        &first.attempt.to_string(),
    );
}

async fn the_former_masters_token_opens_nothing(yarn: &Yarn) {
    let first = mortal(yarn, true).await;
    succeeded(yarn, &first).await;
    let token = yarn.token(first.attempt).await;
    let mut stranger = Master::new(first.attempt, yarn.client(token));
    refused(
        stranger.register().await,
        "InvalidToken",
        &first.attempt.to_string(),
    );
}

async fn the_next_attempts_ids_start_over(yarn: &Yarn) {
    let first = mortal(yarn, false).await;
    let mut next = succeeded(yarn, &first).await;
    next.register().await.unwrap();
    assert_eq!(next.container().await.id, ContainerId::new(second(&first), 2));
}
