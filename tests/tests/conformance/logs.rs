//! A NodeManager's REST: containers and their logs.

use std::net::SocketAddr;

use serde_json::{Value, json};
use yarn_rpc::records::Container;

use super::case::{Case, case};
use super::lab::{Answer, JSON, Yarn, ask, holds};
use super::master::Master;

pub(crate) const CASES: &[Case] = &[
    case!(
        a_node_tells_what_it_is,
        "`NMWebServices.getNodeInfo`: id, healthy, version"
    ),
    case!(
        a_running_container_is_listed,
        "`NMWebServices.getNodeContainers`: state RUNNING, exitCode -1000, its log files"
    ),
    case!(
        a_container_can_be_asked_for,
        "`NMWebServices.getNodeContainer`: `{\"container\":…}`"
    ),
    case!(
        an_unknown_container_is_not_found,
        "`NMWebServices.getNodeContainer`: 404 `container with id, …, not found`"
    ),
    case!(
        a_malformed_container_is_a_bad_request,
        "`NMWebServices.getNodeContainer`: 400 `invalid container id, …`"
    ),
    case!(
        log_files_are_listed_with_sizes,
        "`ContainerLogsInfo`: one object, sizes are texts, LOCAL"
    ),
    case!(
        a_log_is_wrapped,
        "`LogToolUtils`: header of seven lines, contents, trailer"
    ),
    case!(
        a_running_log_says_so,
        "`LogToolUtils`: `This log file belongs to a running container (…)`"
    ),
    case!(
        the_end_of_a_log_can_be_asked,
        "`NMWebServices`: `size=-N` is the last N bytes, LogLength the whole"
    ),
    case!(
        the_beginning_of_a_log_can_be_asked,
        "`NMWebServices`: `size=N` is the first N bytes"
    ),
    case!(
        the_older_path_serves_logs_too,
        "`NMWebServices`: `/containerlogs/{id}/{file}`"
    ),
    case!(a_missing_log_is_not_found, "`NMWebServices`: 404 in plain text"),
    case!(
        debugging_files_are_kept,
        "`yarn.nodemanager.log-container-debug-info.enabled`: launch_container.sh, directory.info"
    ),
    case!(a_node_has_no_page_for_writing, "`NMWebServices`: POST is 503"),
];

/// A container that has printed `hello` and waits, and its node's web port.
async fn talking(yarn: &Yarn) -> (Master, Container, SocketAddr) {
    let mut master = yarn.master().await;
    let text = yarn.path(format!("talked-{}", master.attempt));
    let command = format!("echo hello; : > {}; exec sleep 300", text.display());
    let (container, _) = yarn.ready(&mut master, &command).await;
    master.file(&text).await;
    let nodes = yarn.get(&format!("/nodes/{}", container.node)).await.json();
    let address = nodes["node"]["nodeHTTPAddress"].as_str().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    (master, container, SocketAddr::from(([127, 0, 0, 1], port)))
}

async fn node(web: SocketAddr, path: &str) -> Answer {
    ask(web, "GET", &format!("/ws/v1/node{path}"), JSON, "").await
}

async fn text(web: SocketAddr, path: &str) -> Answer {
    ask(web, "GET", &format!("/ws/v1/node{path}"), "Accept: */*\r\n", "").await
}

async fn a_node_tells_what_it_is(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let info = node(web, "/info").await.json()["nodeInfo"].take();
    assert_eq!(
        (&info["id"], &info["nodeHealthy"]),
        (&json!(container.node.to_string()), &json!(true))
    );
    assert_eq!(
        (&info["hadoopVersion"], &info["totalPmemAllocatedContainersMB"]),
        (&json!("3.4.3"), &json!(4096))
    );
}

fn looks_running(container: &Value) {
    assert_eq!(
        (&container["state"], &container["exitCode"]),
        (&json!("RUNNING"), &json!(-1000))
    );
    assert_eq!(
        (&container["user"], &container["totalMemoryNeededMB"]),
        (&json!("ada"), &json!(64))
    );
    let mut files: Vec<&str> = container["containerLogFiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "directory.info",
            "launch_container.sh",
            "prelaunch.err",
            "prelaunch.out",
            "stderr",
            "stdout"
        ]
    );
}

async fn a_running_container_is_listed(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let listed = node(web, "/containers").await.json();
    let listed = listed["containers"]["container"].as_array().unwrap();
    looks_running(
        listed
            .iter()
            .find(|one| one["id"] == container.id.to_string())
            .unwrap(),
    );
}

async fn a_container_can_be_asked_for(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    looks_running(&node(web, &format!("/containers/{}", container.id)).await.json()["container"]);
}

async fn an_unknown_container_is_not_found(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let unknown = hadoop::ids::ContainerId::new(container.id.attempt, 999);
    let (status, exception, message) = node(web, &format!("/containers/{unknown}")).await.error();
    assert_eq!((status, exception.as_str()), (404, "NotFoundException"));
    holds(&message, &[&format!("container with id, {unknown}, not found")]);
}

async fn a_malformed_container_is_a_bad_request(yarn: &Yarn) {
    let (_, _, web) = talking(yarn).await;
    let (status, exception, message) = node(web, "/containers/nonsense").await.error();
    assert_eq!((status, exception.as_str()), (400, "BadRequestException"));
    holds(&message, &["invalid container id, nonsense"]);
}

async fn log_files_are_listed_with_sizes(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let info = node(web, &format!("/containers/{}/logs", container.id))
        .await
        .json();
    let info = &info["containerLogsInfo"];
    assert_eq!(
        (&info["logAggregationType"], &info["containerId"]),
        (&json!("LOCAL"), &json!(container.id.to_string()))
    );
    let files = info["containerLogInfo"].as_array().unwrap();
    let stdout = files.iter().find(|file| file["fileName"] == "stdout").unwrap();
    assert_eq!(stdout["fileSize"], "6");
    assert!(
        stdout["lastModifiedTime"].as_str().unwrap().contains("+0000 20"),
        "{stdout}"
    );
}

async fn a_log_is_wrapped(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containers/{}/logs/stdout", container.id)).await;
    assert_eq!(log.status, 200);
    let first = format!("Container: {} on {}", container.id, container.node);
    let lines: Vec<&str> = log.text.lines().collect();
    assert_eq!(
        (lines[0], lines[1]),
        (first.as_str(), "LogAggregationType: LOCAL")
    );
    assert!(
        lines[2].len() == first.len() && lines[2].bytes().all(|byte| byte == b'='),
        "{}",
        log.text
    );
    assert_eq!(
        (lines[3], lines[5], lines[6], lines[7]),
        ("LogType:stdout", "LogLength:6", "LogContents:", "hello")
    );
    assert!(lines[4].starts_with("LogLastModifiedTime:"), "{}", log.text);
    assert!(
        lines.iter().any(|line| line.starts_with("End of LogType:stdout")),
        "{}",
        log.text
    );
}

async fn a_running_log_says_so(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containers/{}/logs/stdout", container.id)).await;
    let words = format!(
        "\nEnd of LogType:stdout.This log file belongs to a running container ({}) and so may not be complete.\n***",
        container.id
    );
    holds(&log.text, &[&words]);
}

async fn the_end_of_a_log_can_be_asked(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containers/{}/logs/stdout?size=-3", container.id)).await;
    holds(&log.text, &["LogLength:6\nLogContents:\nlo\n"]);
}

async fn the_beginning_of_a_log_can_be_asked(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containers/{}/logs/stdout?size=2", container.id)).await;
    holds(&log.text, &["LogLength:6\nLogContents:\nheEnd of LogType:stdout"]);
}

async fn the_older_path_serves_logs_too(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containerlogs/{}/stdout", container.id)).await;
    holds(&log.text, &["LogContents:\nhello\n"]);
}

async fn a_missing_log_is_not_found(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let log = text(web, &format!("/containers/{}/logs/nothing", container.id)).await;
    assert_eq!(log.status, 404);
    assert!(!log.text.starts_with('{'), "{}", log.text);
}

async fn debugging_files_are_kept(yarn: &Yarn) {
    let (_, container, web) = talking(yarn).await;
    let script = text(
        web,
        &format!("/containers/{}/logs/launch_container.sh", container.id),
    )
    .await;
    holds(
        &script.text,
        &[
            "#!/bin/bash\n\nset -o pipefail -e\nexport PRELAUNCH_OUT=\"",
            "export CONTAINER_ID=\"",
            "exec /bin/bash -c \"",
        ],
    );
    let info = text(web, &format!("/containers/{}/logs/directory.info", container.id)).await;
    holds(
        &info.text,
        &["ls -l:\n", "find -L . -maxdepth 5 -ls:\n", "container_tokens"],
    );
}

async fn a_node_has_no_page_for_writing(yarn: &Yarn) {
    let (_, _, web) = talking(yarn).await;
    assert_eq!(ask(web, "POST", "/ws/v1/node/info", JSON, "{}").await.status, 503);
}
