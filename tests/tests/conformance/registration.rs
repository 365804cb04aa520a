//! `registerApplicationMaster` and `finishApplicationMaster`.

use serde_json::json;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::proto::yarn::FinalApplicationStatusProto as Final;

use super::case::{Case, case};
use super::lab::{MASTER_EXPIRY, Yarn, holds};
use super::master::refused;

pub(crate) const CASES: &[Case] = &[
    case!(
        registration_tells_queue_and_largest_container,
        "`DefaultAMSProcessor.registerApplicationMaster`: queue with path, maximum, MEMORY as the scheduler's resource"
    ),
    case!(
        a_second_registration_is_refused,
        "`ApplicationMasterService`: InvalidApplicationMasterRequestException `already registered`"
    ),
    case!(
        a_registration_after_the_end_is_refused,
        "`ApplicationMasterService`: after finish it is still `already registered`"
    ),
    case!(
        nothing_may_be_asked_before_registration,
        "`ApplicationMasterService.allocate`: ApplicationMasterNotRegisteredException"
    ),
    case!(
        nothing_may_be_finished_before_registration,
        "`ApplicationMasterService.finishApplicationMaster`: ApplicationMasterNotRegisteredException"
    ),
    case!(
        the_end_takes_two_calls,
        "`RMAppImpl` FINAL_SAVING: the first finish is not unregistered, the second is"
    ),
    case!(
        who_has_finished_shows_finished_at_once,
        "`RMAppImpl`: FINISHED while the process still runs; its attempt is FINISHING"
    ),
    case!(
        heartbeats_after_the_end_are_empty,
        "`ApplicationMasterService.allocate`: a finished attempt gets empty answers"
    ),
    case!(
        the_verdict_is_the_masters,
        "`AppInfo.finalStatus`: SUCCEEDED, FAILED, KILLED as given"
    ),
    case!(
        the_first_verdict_counts,
        "`RMAppAttemptImpl`: a later finish call does not change it"
    ),
    case!(
        a_silent_master_is_given_up,
        "`AMLivelinessMonitor`: `ApplicationMaster for attempt … timed out`"
    ),
    case!(
        host_and_port_are_optional,
        "`RegisterApplicationMasterRequest`: registered without them, too"
    ),
];

async fn registration_tells_queue_and_largest_container(yarn: &Yarn) {
    let mut master = yarn.unregistered(json!({})).await;
    let answer = master.register().await.unwrap();
    assert_eq!(answer.queue(), "root.default");
    let maximum = answer.maximum_capability.unwrap();
    assert_eq!((maximum.memory(), maximum.virtual_cores()), (4096, 8));
    assert_eq!(
        answer.scheduler_resource_types,
        [pb::SchedulerResourceTypes::Memory as i32]
    );
    let names: Vec<&str> = answer
        .resource_types
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["memory-mb", "vcores"]);
    assert!(answer.containers_from_previous_attempts.is_empty());
}

async fn a_second_registration_is_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    let words = format!("Application Master is already registered : {}", master.app());
    refused(
        master.register().await,
        "InvalidApplicationMasterRequestException",
        &words,
    );
}

async fn a_registration_after_the_end_is_refused(yarn: &Yarn) {
    let mut master = yarn.master().await;
    master.finish(Final::AppSucceeded).await;
    let class = "InvalidApplicationMasterRequestException";
    refused(master.register().await, class, "already registered");
}

async fn nothing_may_be_asked_before_registration(yarn: &Yarn) {
    let mut master = yarn.unregistered(json!({})).await;
    let words = format!(
        "AM is not registered for known application attempt: {}",
        master.attempt
    );
    let answer = master.allocate(Default::default()).await;
    refused(answer, "ApplicationMasterNotRegisteredException", &words);
}

async fn nothing_may_be_finished_before_registration(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let words = format!(
        "Application Master is trying to unregister before registering for: {}",
        master.app()
    );
    let answer = master.finish_once(Final::AppSucceeded, "").await;
    refused(answer, "ApplicationMasterNotRegisteredException", &words);
}

async fn the_end_takes_two_calls(yarn: &Yarn) {
    let master = yarn.master().await;
    assert!(!master.finish_once(Final::AppSucceeded, "").await.unwrap());
    master.finish(Final::AppSucceeded).await;
}

async fn who_has_finished_shows_finished_at_once(yarn: &Yarn) {
    let master = yarn.master().await;
    master.finish(Final::AppSucceeded).await;
    assert_eq!(yarn.app(master.app()).await["state"], "FINISHED");
    assert_eq!(
        yarn.attempts(master.app()).await[0]["appAttemptState"],
        "FINISHING"
    );
}

async fn heartbeats_after_the_end_are_empty(yarn: &Yarn) {
    let mut master = yarn.master().await;
    master.beat().await;
    master.finish(Final::AppSucceeded).await;
    let before = master.response_id;
    let answer = master.ask(vec![super::master::any(3)]).await.unwrap();
    assert!(answer.allocated_containers.is_empty() && answer.completed_container_statuses.is_empty());
    assert!(answer.response_id() <= before + 1);
}

async fn the_verdict_is_the_masters(yarn: &Yarn) {
    let verdicts = [
        (Final::AppSucceeded, "SUCCEEDED"),
        (Final::AppFailed, "FAILED"),
        (Final::AppKilled, "KILLED"),
    ];
    for (status, name) in verdicts {
        let master = yarn.master().await;
        master.finish(status).await;
        assert_eq!(yarn.app_in(master.app(), "FINISHED").await["finalStatus"], name);
    }
}

async fn the_first_verdict_counts(yarn: &Yarn) {
    let master = yarn.master().await;
    master.finish(Final::AppSucceeded).await;
    master.finish_once(Final::AppFailed, "").await.unwrap();
    assert_eq!(
        yarn.app_in(master.app(), "FINISHED").await["finalStatus"],
        "SUCCEEDED"
    );
}

async fn a_silent_master_is_given_up(yarn: &Yarn) {
    let master = yarn.master().await;
    tokio::time::sleep(MASTER_EXPIRY).await;
    let app = yarn.app_in(master.app(), "FAILED").await;
    let words = format!("ApplicationMaster for attempt {} timed out", master.attempt);
    holds(
        app["diagnostics"].as_str().unwrap(),
        &[&words, "Failing the application."],
    );
}

async fn host_and_port_are_optional(yarn: &Yarn) {
    let master = yarn.unregistered(json!({})).await;
    let request = pb::RegisterApplicationMasterRequestProto::default();
    let answer: Result<pb::RegisterApplicationMasterResponseProto, _> =
        master.rpc.call("registerApplicationMaster", &request).await;
    answer.unwrap();
    yarn.app_in(master.app(), "RUNNING").await;
    assert_eq!(yarn.attempts(master.app()).await[0]["appAttemptState"], "RUNNING");
}
