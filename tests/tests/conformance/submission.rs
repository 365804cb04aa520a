//! `POST /apps/new-application` and `POST /apps`.

use serde_json::{Value, json};

use super::case::{Case, case};
use super::lab::{Yarn, ask, holds, submission};

pub(crate) const CASES: &[Case] = &[
    case!(
        new_ids_rise_and_tell_the_largest_container,
        "`RMWebServices.createNewApplication`: id and maximum-resource-capability"
    ),
    case!(
        a_new_id_needs_neither_body_nor_type,
        "`createNewApplication`: no Content-Type, no body"
    ),
    case!(
        a_submission_is_accepted_without_a_body,
        "`submitApplication`: 202, empty body, Location of the application"
    ),
    case!(
        the_second_submission_of_an_id_changes_nothing,
        "`ClientRMService.submitApplication`: a duplicate id is 202 and without effect"
    ),
    case!(
        an_id_of_another_cluster_is_taken,
        "`submitApplication`: ids with a foreign timestamp are accepted"
    ),
    case!(
        an_unknown_queue_fails_the_application,
        "`CapacityScheduler`: 202, then FAILED `submitted by user … to unknown queue`"
    ),
    case!(
        a_command_may_be_a_list,
        "`ContainerLaunchContextInfo`: a list of commands is joined by blanks"
    ),
    case!(
        a_single_variable_needs_no_list,
        "`environment.entry` may be one object"
    ),
    case!(
        a_single_tag_needs_no_list,
        "`application-tags.tag` may be one text"
    ),
    case!(
        unknown_keys_are_ignored,
        "Jersey: unknown keys of a submission are ignored"
    ),
    case!(
        a_priority_is_capped_at_the_clusters,
        "`yarn.cluster.max-application-priority` 0 caps 3"
    ),
    case!(
        no_priority_reads_minus_one,
        "`ApplicationSubmissionContextInfo`: an omitted priority is -1"
    ),
    case!(
        no_type_is_empty_and_a_long_one_is_cut,
        "`ClientRMService`: types are cut to 20 characters; omitted is empty over REST"
    ),
    case!(
        the_queue_is_reported_with_its_path,
        "`AppInfo`: `default` is shown as `root.default`"
    ),
    case!(
        memory_is_rounded_up_and_cores_are_one,
        "`DefaultResourceCalculator.normalize`: 200 MiB / 2 is 256 / 1"
    ),
    case!(
        a_missing_resource_is_filled_in,
        "`ResourceInfo`: an omitted resource is accepted"
    ),
    case!(
        too_much_memory_is_a_bad_request,
        "`RMWebServices`: 400 `Requested more memory than configured max`"
    ),
    case!(
        too_many_cores_are_a_bad_request,
        "`RMWebServices`: 400 `Requested more cores than configured max`"
    ),
    case!(
        broken_json_is_a_bad_request,
        "`submitApplication`: truncated JSON is 400"
    ),
    case!(
        no_id_is_a_bad_request,
        "`submitApplication`: 400 `Could not parse application id `"
    ),
    case!(
        a_root_key_hides_the_id,
        "`submitApplication`: a body with a root key is 400"
    ),
    case!(
        tags_are_ascii,
        "`ApplicationSubmissionContextPBImpl.checkTags`: 400 on other characters"
    ),
    case!(
        tags_are_ten_at_most,
        "`ApplicationSubmissionContextPBImpl.checkTags`: 400 on the eleventh"
    ),
    case!(
        plain_text_is_unavailable,
        "`GenericExceptionHandler`: a body of another type is 503"
    ),
    case!(
        nobody_is_dr_who,
        "`hadoop.http.staticuser.user`: without user.name an application is dr.who's"
    ),
    case!(
        credentials_reach_the_container,
        "`RMWebServices.createCredentials`: secrets arrive in container_tokens"
    ),
];

async fn new_ids_rise_and_tell_the_largest_container(yarn: &Yarn) {
    let first = yarn.new_id().await;
    let answer = yarn
        .send("POST", "/apps/new-application", &Value::Null)
        .await
        .json();
    assert!(
        answer["application-id"]
            .as_str()
            .unwrap()
            .parse::<hadoop::ids::ApplicationId>()
            .unwrap()
            > first
    );
    let largest = &answer["maximum-resource-capability"];
    assert_eq!(
        (&largest["memory"], &largest["vCores"]),
        (&json!(4096), &json!(8))
    );
}

async fn a_new_id_needs_neither_body_nor_type(yarn: &Yarn) {
    let path = "/ws/v1/cluster/apps/new-application?user.name=ada";
    let answer = ask(yarn.web(), "POST", path, "Accept: application/json\r\n", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["application-id"].is_string());
}

async fn a_submission_is_accepted_without_a_body(yarn: &Yarn) {
    let id = yarn.new_id().await;
    let answer = yarn
        .send("POST", "/apps", &submission(id, "true", json!({})))
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    let location = format!("http://{}/ws/v1/cluster/apps/{id}", yarn.web());
    assert_eq!(answer.header("location"), location);
}

async fn the_second_submission_of_an_id_changes_nothing(yarn: &Yarn) {
    let id = yarn.submit("true", json!({"application-name": "first"})).await;
    let again = submission(id, "true", json!({"application-name": "second"}));
    assert_eq!(
        yarn.send_as("user.name=bob", "POST", "/apps", &again)
            .await
            .status,
        202
    );
    let app = yarn.app(id).await;
    assert_eq!((&app["name"], &app["user"]), (&json!("first"), &json!("ada")));
}

async fn an_id_of_another_cluster_is_taken(yarn: &Yarn) {
    let id = hadoop::ids::ApplicationId::new(17, 4711);
    let answer = yarn
        .send("POST", "/apps", &submission(id, "true", json!({})))
        .await;
    assert_eq!(answer.status, 202);
    yarn.app_in(id, "FAILED").await;
}

async fn an_unknown_queue_fails_the_application(yarn: &Yarn) {
    let id = yarn.submit("true", json!({"queue": "nope"})).await;
    let app = yarn.app_in(id, "FAILED").await;
    let words = format!("Application {id} submitted by user ada to unknown queue: nope");
    holds(app["diagnostics"].as_str().unwrap(), &[&words]);
    assert_eq!(app["finalStatus"], "FAILED");
}

/// Runs an ApplicationMaster that writes something to a file, which is returned.
async fn written(yarn: &Yarn, name: &str, spec: Value) -> String {
    let path = yarn.path(name);
    let id = yarn.submit("", json!({"am-container-spec": spec})).await;
    yarn.app_in(id, "FAILED").await;
    std::fs::read_to_string(path).unwrap()
}

async fn a_command_may_be_a_list(yarn: &Yarn) {
    let commands = [
        "echo a b".to_owned(),
        format!("> {}", yarn.path("joined").display()),
    ];
    let text = written(yarn, "joined", json!({"commands": {"command": commands}})).await;
    assert_eq!(text, "a b\n");
}

async fn a_single_variable_needs_no_list(yarn: &Yarn) {
    let command = format!("echo $OWN > {}", yarn.path("variable").display());
    let spec = json!({
        "commands": {"command": command},
        "environment": {"entry": {"key": "OWN", "value": "seen"}},
    });
    assert_eq!(written(yarn, "variable", spec).await, "seen\n");
}

/// A field of an application that was submitted with more fields.
async fn field(yarn: &Yarn, more: Value, name: &str) -> Value {
    let id = yarn.submit("true", more).await;
    yarn.app(id).await[name].take()
}

async fn a_single_tag_needs_no_list(yarn: &Yarn) {
    let tags = field(
        yarn,
        json!({"application-tags": {"tag": "alone"}}),
        "applicationTags",
    )
    .await;
    assert_eq!(tags, "alone");
}

async fn unknown_keys_are_ignored(yarn: &Yarn) {
    let name = field(yarn, json!({"no-such-key": {"a": [1]}}), "name").await;
    assert_eq!(name, "conformance");
}

async fn a_priority_is_capped_at_the_clusters(yarn: &Yarn) {
    assert_eq!(field(yarn, json!({"priority": 3}), "priority").await, 0);
}

async fn no_priority_reads_minus_one(yarn: &Yarn) {
    let priority = field(yarn, json!({}), "priority").await;
    assert!(priority == -1 || priority == 0, "{priority}");
}

async fn no_type_is_empty_and_a_long_one_is_cut(yarn: &Yarn) {
    assert_eq!(
        field(yarn, json!({"application-type": null}), "applicationType").await,
        ""
    );
    let long = json!({"application-type": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"});
    assert_eq!(field(yarn, long, "applicationType").await, "ABCDEFGHIJKLMNOPQRST");
}

async fn the_queue_is_reported_with_its_path(yarn: &Yarn) {
    let master = yarn.unregistered(json!({"queue": "default"})).await;
    assert_eq!(yarn.app(master.app()).await["queue"], "root.default");
}

async fn memory_is_rounded_up_and_cores_are_one(yarn: &Yarn) {
    let master = yarn
        .unregistered(json!({"resource": {"memory": 200, "vCores": 2}}))
        .await;
    let app = yarn.app(master.app()).await;
    assert_eq!(
        (&app["allocatedMB"], &app["allocatedVCores"]),
        (&json!(256), &json!(1))
    );
}

async fn a_missing_resource_is_filled_in(yarn: &Yarn) {
    let id = yarn.new_id().await;
    let mut body = submission(id, "true", json!({}));
    body.as_object_mut().unwrap().remove("resource");
    assert_eq!(yarn.send("POST", "/apps", &body).await.status, 202);
}

/// That a submission with these fields is a bad request; the message.
async fn bad(yarn: &Yarn, more: Value) -> String {
    let id = yarn.new_id().await;
    let answer = yarn.send("POST", "/apps", &submission(id, "true", more)).await;
    let (status, exception, message) = answer.error();
    assert_eq!(
        (status, exception.as_str()),
        (400, "BadRequestException"),
        "{message}"
    );
    message
}

async fn too_much_memory_is_a_bad_request(yarn: &Yarn) {
    let message = bad(yarn, json!({"resource": {"memory": 99999, "vCores": 1}})).await;
    holds(&message, &["Requested more memory than configured max"]);
}

async fn too_many_cores_are_a_bad_request(yarn: &Yarn) {
    let message = bad(yarn, json!({"resource": {"memory": 64, "vCores": 99}})).await;
    holds(&message, &["Requested more cores than configured max"]);
}

async fn broken_json_is_a_bad_request(yarn: &Yarn) {
    let headers = super::lab::JSON;
    let answer = ask(
        yarn.web(),
        "POST",
        "/ws/v1/cluster/apps?user.name=ada",
        headers,
        "{\"application-id\":",
    )
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["RemoteException"]["exception"],
        "WebApplicationException"
    );
}

async fn no_id_is_a_bad_request(yarn: &Yarn) {
    let (status, _, message) = yarn
        .send("POST", "/apps", &json!({"application-name": "x"}))
        .await
        .error();
    assert_eq!(status, 400);
    holds(&message, &["Could not parse application id "]);
}

async fn a_root_key_hides_the_id(yarn: &Yarn) {
    let id = yarn.new_id().await;
    let body = json!({"application": submission(id, "true", json!({}))});
    let (status, _, message) = yarn.send("POST", "/apps", &body).await.error();
    assert_eq!(status, 400);
    holds(&message, &["Could not parse application id "]);
}

async fn tags_are_ascii(yarn: &Yarn) {
    let message = bad(yarn, json!({"application-tags": {"tag": ["schön"]}})).await;
    holds(&message, &["A tag can only have ASCII characters!"]);
}

async fn tags_are_ten_at_most(yarn: &Yarn) {
    let tags: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let message = bad(yarn, json!({"application-tags": {"tag": tags}})).await;
    holds(
        &message,
        &["Too many applicationTags, a maximum of only 10 are allowed!"],
    );
}

async fn plain_text_is_unavailable(yarn: &Yarn) {
    let headers = "Accept: application/json\r\nContent-Type: text/plain\r\n";
    let answer = ask(
        yarn.web(),
        "POST",
        "/ws/v1/cluster/apps?user.name=ada",
        headers,
        "{}",
    )
    .await;
    assert_eq!(answer.status, 503);
}

async fn nobody_is_dr_who(yarn: &Yarn) {
    let id = yarn.new_id().await;
    let path = "/ws/v1/cluster/apps";
    let body = submission(id, "true", json!({})).to_string();
    assert_eq!(
        ask(yarn.web(), "POST", path, super::lab::JSON, &body)
            .await
            .status,
        202
    );
    assert_eq!(yarn.app(id).await["user"], "dr.who");
}

async fn credentials_reach_the_container(yarn: &Yarn) {
    let secret = json!({"secrets": {"entry": [{"key": "mine", "value": "c2VjcmV0"}]}});
    let spec = json!({"commands": {"command": yarn.idle()}, "credentials": secret});
    let master = yarn.unregistered(json!({"am-container-spec": spec})).await;
    let path = yarn.path(hadoop::ids::ContainerId::new(master.attempt, 1));
    let credentials = hadoop::credentials::Credentials::load(&path).unwrap();
    assert_eq!(credentials.secrets["mine"], b"secret");
}
