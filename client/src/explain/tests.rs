use super::*;
use crate::command::explain::shown;
use serde_json::json;

fn facts(report: serde_json::Value) -> Facts {
    let mut all = json!({
        "id": "application_1_0001", "name": "wc", "user": "ada", "queue": "root.default",
        "state": "ACCEPTED", "elapsedTime": 31_000,
    });
    let serde_json::Value::Object(fields) = report else {
        panic!("a report is an object")
    };
    all.as_object_mut().unwrap().extend(fields);
    Facts {
        report: serde_json::from_value(all).unwrap(),
        attempt_diagnostics: String::new(),
        queue: None,
        metrics: Some(serde_json::from_value(json!({ "activeNodes": 2, "totalNodes": 2 })).unwrap()),
        nodes: Some(nodes(json!([
            { "id": "n1:1", "state": "RUNNING", "usedMemoryMB": 3584, "availMemoryMB": 512 },
            { "id": "n2:1", "state": "RUNNING", "usedMemoryMB": 4096, "availMemoryMB": 0, "nodeLabels": ["gpu"] },
        ]))),
        activities: Vec::new(),
        pending: None,
        summary: None,
        dossiers: Vec::new(),
    }
}

fn nodes(list: serde_json::Value) -> Vec<Node> {
    serde_json::from_value(list).unwrap()
}

fn ask(memory: u64, label: &str) -> serde_json::Value {
    json!({ "resourceRequests": [
        { "numContainers": 2, "capability": { "memory": memory, "vCores": 1 }, "resourceName": "*",
          "nodeLabelExpression": label },
    ] })
}

fn queue(fields: serde_json::Value) -> Option<Queue> {
    Some(serde_json::from_value(fields).unwrap())
}

fn running(wanted: u32, registered: u32) -> Facts {
    let mut facts = facts(json!({ "state": "RUNNING", "allocatedMB": 1280 }));
    facts.summary = Some(
        serde_json::from_value(json!({ "executors": { "wanted": wanted, "registered": registered } }))
            .unwrap(),
    );
    facts
}

fn dossier(cause: &str, counts: bool, advice: &str) -> Dossier {
    Dossier {
        executor: "container_1_0001_01_000002".into(),
        node: "n1".into(),
        cause: cause.into(),
        counts,
        advice: advice.into(),
        ..Dossier::default()
    }
}

const AM_SHARE: &str = "[Sat Nov 21 06:00:00 +0000 2026] Application is added to the scheduler and is not yet activated. \
    Queue's AM resource limit exceeded.  Details : AM Partition = <DEFAULT_PARTITION>; AM Resource Request = \
    <memory:256, vCores:1>; Queue Resource Limit for AM = <memory:512, vCores:1>; User AM Resource Limit of the queue \
    = <memory:512, vCores:1>; Queue AM Resource Usage = <memory:512, vCores:2>; ";

fn no_active_nodes() -> Facts {
    let mut facts = facts(json!({}));
    facts.metrics = Some(
        serde_json::from_value(
            json!({ "activeNodes": 0, "totalNodes": 2, "unhealthyNodes": 1, "lostNodes": 1 }),
        )
        .unwrap(),
    );
    facts.nodes = Some(nodes(json!([
        { "id": "n1:1", "state": "UNHEALTHY", "healthReport": "1/1 local-dirs usable space is below threshold" },
    ])));
    facts
}

fn cluster_full() -> Facts {
    let mut facts = facts(json!({}));
    let counts = json!({ "activeNodes": 1, "totalMB": 4096, "allocatedMB": 4096, "appsRunning": 2 });
    facts.metrics = Some(serde_json::from_value(counts).unwrap());
    facts.nodes = Some(nodes(
        json!([{ "id": "n1:1", "state": "RUNNING", "usedMemoryMB": 4096, "availMemoryMB": 0 }]),
    ));
    facts
}

fn user_limit() -> Facts {
    let mut facts = running(4, 2);
    facts.activities = vec!["User's resource limit is exceeded".to_owned()];
    facts
}

fn queue_full() -> Facts {
    let mut facts = running(4, 2);
    facts.queue = queue(json!({
        "queueName": "default", "state": "RUNNING", "maxCapacity": 50.0, "absoluteUsedCapacity": 49.9,
        "numApplications": 3, "resourcesUsed": { "memory": 4096, "vCores": 4 },
    }));
    facts
}

fn crash_loop() -> Facts {
    let mut facts = running(2, 0);
    facts.dossiers = vec![
        dossier("exited with code 3", true, ""),
        dossier("exited with code 3", true, ""),
    ];
    facts
}

fn memory_kill() -> Facts {
    let mut facts = running(2, 1);
    let advice = "asked 512 MiB, peak 731 MiB: set executors.memory to 900MiB";
    facts.dossiers = vec![dossier(
        "used more physical memory than its container has",
        true,
        advice,
    )];
    facts
}

fn preempted() -> Facts {
    let mut facts = running(2, 1);
    facts.dossiers = vec![dossier(
        "preempted",
        false,
        "another queue took its room back: wait",
    )];
    facts
}

fn ended(state: &str, status: &str, diagnostics: &str) -> Facts {
    facts(
        json!({ "state": state, "finalStatus": status, "diagnostics": diagnostics, "amHostHttpAddress": "n1:8042" }),
    )
}

const LOCALIZATION: &str = "Application application_1_0001 failed 2 times due to AM Container for appattempt_1_0001_000002 \
    exited with  exitCode: -1000\nFailing this attempt.Diagnostics: [2026-11-20 23:49:09.216]File does not exist: \
    hdfs://nn/user/ada/.drawloom/cache/x/drawloom\n. Failing the application.";

/// Every cause, with the code of the reason that is to come first.
fn all() -> Vec<(&'static str, Facts)> {
    let mut stopped = facts(json!({}));
    stopped.queue = queue(json!({ "queueName": "default", "state": "STOPPED" }));
    let mut avoided = running(2, 1);
    avoided.pending = Some(Pending {
        why: Some(
            "asked for 1 container of 512 MiB, the oldest 9 s ago; 1 node avoided after failures".into(),
        ),
        excluded_nodes: vec!["n1".into()],
    });
    let refused = facts(json!({ "state": "FAILED", "diagnostics":
        "Application application_1_0001 submitted by user ada to unknown queue: nope" }));
    vec![
        ("no-active-nodes", no_active_nodes()),
        ("label-without-nodes", facts(ask(256, "ssd"))),
        ("queue-stopped", stopped),
        ("larger-than-any-node", facts(ask(8192, ""))),
        ("am-share", facts(json!({ "diagnostics": AM_SHARE }))),
        ("user-limit", user_limit()),
        ("queue-full", queue_full()),
        ("no-room", facts(ask(1024, ""))),
        ("cluster-full", cluster_full()),
        ("executors-lost", crash_loop()),
        ("nodes-avoided", avoided),
        ("in-queue", facts(json!({}))),
        ("am-starting", facts(json!({ "amHostHttpAddress": "n1:8042" }))),
        ("localization-failed", ended("FAILED", "FAILED", LOCALIZATION)),
        ("queue-refused", refused),
        (
            "bad-command",
            ended(
                "FINISHED",
                "FAILED",
                "failed: stage count, task 0 failed 4 times: ./count.sh: No such file or directory; is it named in `files`?",
            ),
        ),
        (
            "killed",
            ended(
                "KILLED",
                "KILLED",
                "Application application_1_0001 was killed by user bob with diagnostic message: enough",
            ),
        ),
        (
            "lifetime-over",
            ended(
                "KILLED",
                "KILLED",
                "Application is killed by ResourceManager as it has exceeded the lifetime period.",
            ),
        ),
        (
            "client-gone",
            ended(
                "FINISHED",
                "FAILED",
                "failed: the client, in which the driver runs, has been gone for 60s (client.reconnect): it was ended",
            ),
        ),
    ]
}

#[test]
fn every_cause_is_found_first_and_reads_well() {
    for (code, facts) in all() {
        let found = reasons(&facts);
        assert_eq!(found.first().map(|reason| reason.code), Some(code), "{found:#?}");
        insta::assert_snapshot!(code, shown(&facts));
    }
}

#[test]
fn lost_executors_come_with_their_own_advice() {
    insta::assert_snapshot!("memory-kill", shown(&memory_kill()));
    insta::assert_snapshot!("preempted", shown(&preempted()));
}

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    assert_eq!(reasons(&running(2, 2)), []);
    let succeeded = ended("FINISHED", "SUCCEEDED", "succeeded: 4 of 4 tasks done in 1.0 s");
    assert_eq!(reasons(&succeeded), []);
}
