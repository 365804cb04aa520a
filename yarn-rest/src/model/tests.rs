//! The shapes of 3.3.6, 3.4.3 and 3.5.0, written by hand from what live daemons sent.

use std::time::{Duration, SystemTime};

use super::{
    Activities, AggregationType, AppReport, AppState, Attempt, AttemptState, ClusterInfo, ClusterMetrics,
    Container, ContainerState, FinalStatus, HaState, LogFiles, NewApplication, Node, NodeContainer,
    NodeState, Scheduler, StateAnswer, Timeout, TimeoutKind,
};
use crate::lenient::{body_list, body_object};

fn object<T: for<'de> serde::Deserialize<'de>>(json: &str, root: &str) -> T {
    body_object(json.as_bytes(), root).unwrap()
}

fn list<T: for<'de> serde::Deserialize<'de>>(json: &str, path: &[&str]) -> Vec<T> {
    body_list(json.as_bytes(), path).unwrap()
}

const APPS: [&str; 2] = ["apps", "app"];

const RUNNING_3_3: &str = include_str!("tests/app-running-3.3.6.json");
const RUNNING_3_4: &str = include_str!("tests/app-running-3.4.3.json");
const RUNNING_3_5: &str = include_str!("tests/app-running-3.5.0.json");
const ACCEPTED: &str = include_str!("tests/app-accepted-3.4.3.json");
const FAILED: &str = include_str!("tests/app-failed-3.4.3.json");

#[test]
fn a_running_application_reads_the_same_in_every_release() {
    let mut reports = [RUNNING_3_3, RUNNING_3_4, RUNNING_3_5].map(|json| object::<AppReport>(json, "app"));
    assert_eq!(
        reports.each_ref().map(|report| report.queue.as_str()),
        ["default", "root.default", "root.default"]
    );
    reports[0].queue = "root.default".to_owned();
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[1], reports[2]);
    insta::assert_debug_snapshot!(reports[1]);
}

#[test]
fn before_its_master_registers_an_application_has_no_tracking_url() {
    let report: AppReport = object(ACCEPTED, "app");
    assert_eq!(
        (report.state, report.final_status),
        (AppState::Accepted, FinalStatus::Undefined)
    );
    assert_eq!(
        (report.tracking_url, report.am_rpc_address, report.master_node_id),
        (None, None, None)
    );
    assert_eq!(report.resource_requests.len(), 1);
    assert_eq!(report.resource_requests[0].num_containers, 1);
    assert_eq!(report.priority, -1);
}

#[test]
fn after_the_end_nothing_is_held() {
    let report: AppReport = object(FAILED, "app");
    assert_eq!(
        (
            report.allocated_mb,
            report.allocated_vcores,
            report.running_containers
        ),
        (None, None, None)
    );
    assert_eq!(
        report.tracking_url.as_deref(),
        Some("http://localhost:20014/cluster/app/application_1795218548822_0002")
    );
    assert!(report.is_final());
}

#[test]
fn lists_of_applications_may_be_empty_in_every_way() {
    for empty in [
        r#"{"apps":{}}"#,
        r#"{"apps":null}"#,
        r#"{"apps":{"app":[]}}"#,
        r#"{"apps":""}"#,
    ] {
        assert!(list::<AppReport>(empty, &APPS).is_empty(), "{empty}");
    }
    let app = RUNNING_3_4
        .trim()
        .strip_prefix(r#"{"app":"#)
        .unwrap()
        .strip_suffix('}')
        .unwrap();
    assert_eq!(
        list::<AppReport>(&format!(r#"{{"apps":{{"app":[{app},{app}]}}}}"#), &APPS).len(),
        2
    );
    assert_eq!(
        list::<AppReport>(&format!(r#"{{"apps":{{"app":{app}}}}}"#), &APPS).len(),
        1
    );
}

#[test]
fn a_new_application_has_its_limits_in_every_release() {
    let of_3_4 = r#"{"application-id":"application_1795218548822_0003","maximum-resource-capability":{"memory":4096,"vCores":8,"resourceInformations":{"resourceInformation":[{"attributes":{},"maximumAllocation":9223372036854775807,"minimumAllocation":0,"name":"memory-mb","resourceType":"COUNTABLE","units":"Mi","value":4096},{"attributes":{},"maximumAllocation":9223372036854775807,"minimumAllocation":0,"name":"vcores","resourceType":"COUNTABLE","units":"","value":8}]}}}"#;
    let of_3_5 = of_3_4.replace(r#""attributes":{},"#, "");
    let [old, new] = [of_3_4, &of_3_5].map(|json| NewApplication::read(json.as_bytes()).unwrap());
    assert_eq!(old, new);
    assert_eq!(old.application_id.to_string(), "application_1795218548822_0003");
    assert_eq!(
        (
            old.maximum_resource_capability.memory,
            old.maximum_resource_capability.vcores
        ),
        (4096, 8)
    );
    assert_eq!(old.limits.len(), 2);
    assert_eq!(
        (
            old.limits[0].name.as_str(),
            old.limits[0].units.as_str(),
            old.limits[1].value
        ),
        ("memory-mb", "Mi", 8)
    );
}

#[test]
fn attempts_in_the_list_and_alone_are_the_same_thing() {
    let in_list = r#"{"appAttempts":{"appAttempt":[{"id":1,"startTime":1795218548900,"finishedTime":0,"containerId":"container_1795218548822_0001_01_000001","nodeHttpAddress":"localhost:20032","nodeId":"localhost:20030","logsLink":"http://localhost:20032/node/containerlogs/container_1795218548822_0001_01_000001/alice","blacklistedNodes":"","nodesBlacklistedBySystem":"","appAttemptId":"appattempt_1795218548822_0001_000001","appAttemptState":"RUNNING","exportPorts":"null"}]}}"#;
    let alone = r#"{"appAttemptId":"appattempt_1795218548822_0001_000001","host":"localhost","rpcPort":"-1","trackingUrl":"http://localhost:20014/proxy/application_1795218548822_0001/","originalTrackingUrl":"N/A","diagnosticsInfo":"","appAttemptState":"RUNNING","amContainerId":"container_1795218548822_0001_01_000001","startedTime":"1795218548900","finishedTime":"0"}"#;
    let listed: Vec<Attempt> = list(in_list, &["appAttempts", "appAttempt"]);
    let single: Attempt = object(alone, "appAttempt");
    assert_eq!(listed[0].id, single.id);
    assert_eq!(listed[0].am_container, single.am_container);
    assert_eq!(listed[0].started_time, 1_795_218_548_900);
    assert_eq!(listed[0].started_time, single.started_time);
    assert_eq!(single.state, Some(AttemptState::Running));
    assert_eq!((single.rpc_port, single.original_tracking_url), (None, None));
    let without_state = in_list.replace(r#""appAttemptState":"RUNNING","#, "");
    assert_eq!(
        list::<Attempt>(&without_state, &["appAttempts", "appAttempt"])[0].state,
        None
    );
}

#[test]
fn containers_come_as_an_object_for_one_and_as_texts() {
    let one = r#"{"containerId":"container_1795218548822_0001_01_000002","allocatedMB":"256","allocatedVCores":"1","assignedNodeId":"localhost:20030","priority":"1","startedTime":"1795218549000","finishedTime":"0","elapsedTime":"100","logUrl":"http://localhost:20032/x","containerExitStatus":"0","containerState":"RUNNING","nodeHttpAddress":"http://localhost:20032","nodeId":"localhost:20030"}"#;
    let as_numbers = r#"{"containerId":"container_1795218548822_0001_01_000002","allocatedMB":256,"allocatedVCores":1,"assignedNodeId":"localhost:20030","priority":1,"startedTime":1795218549000,"finishedTime":0,"elapsedTime":100,"logUrl":"http://localhost:20032/x","containerExitStatus":0,"containerState":"RUNNING","nodeHttpAddress":"http://localhost:20032","nodeId":"localhost:20030"}"#;
    let path = ["container"];
    let lone: Vec<Container> = list(&format!(r#"{{"container":{one}}}"#), &path);
    let several: Vec<Container> = list(&format!(r#"{{"container":[{one},{one}]}}"#), &path);
    let new: Vec<Container> = list(&format!(r#"{{"container":[{as_numbers}]}}"#), &path);
    assert_eq!((&lone, several.len()), (&new, 2));
    assert_eq!(lone[0].state, Some(ContainerState::Running));
    assert_eq!(object::<Container>(one, "container"), lone[0]);
    assert!(list::<Container>("{}", &path).is_empty());
}

#[test]
fn a_timeout_is_a_time_or_unlimited() {
    let unlimited = r#"{"timeouts":{"timeout":[{"type":"LIFETIME","expiryTime":"UNLIMITED","remainingTimeInSeconds":-1}]}}"#;
    let limited = r#"{"timeout":{"type":"LIFETIME","expiryTime":"2030-01-01T00:00:00.000+0000","remainingTimeInSeconds":98237402}}"#;
    let timeouts: Vec<Timeout> = list(unlimited, &["timeouts", "timeout"]);
    assert_eq!(
        timeouts,
        [Timeout {
            kind: TimeoutKind::Lifetime,
            expiry_time: None,
            remaining_seconds: None
        }]
    );
    let timeout: Timeout = object(limited, "timeout");
    assert_eq!(
        timeout.expiry_time,
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000))
    );
    assert_eq!(timeout.remaining_seconds, Some(98_237_402));
}

#[test]
fn states_may_be_internal_ones() {
    assert_eq!(
        object::<StateAnswer>(r#"{"state":"KILLING"}"#, "appstate").state,
        AppState::Killing
    );
    assert_eq!(
        object::<StateAnswer>(r#"{"state":"BRAND_NEW"}"#, "appstate")
            .state
            .to_string(),
        "BRAND_NEW"
    );
}

#[test]
fn lost_nodes_have_no_web_address() {
    let json = r#"{"nodes":{"node":[{"rack":"/default-rack","state":"RUNNING","id":"localhost:20030","nodeHostName":"localhost","nodeHTTPAddress":"localhost:20032","lastHealthUpdate":1795218548822,"version":"3.4.3","healthReport":"","numContainers":2,"usedMemoryMB":384,"availMemoryMB":3712,"usedVirtualCores":2,"availableVirtualCores":6,"nodeLabels":["gpu"],"resourceUtilization":{},"totalResource":{"memory":4096,"vCores":8}},{"rack":"/default-rack","state":"LOST","id":"localhost:20040","nodeHostName":"localhost","nodeHTTPAddress":"","healthReport":"Healthy"}]}}"#;
    let nodes: Vec<Node> = list(json, &["nodes", "node"]);
    assert_eq!(nodes[0].state, NodeState::Running);
    assert_eq!(
        (nodes[0].available_memory_mb, nodes[0].node_labels.as_slice()),
        (3712, ["gpu".to_owned()].as_slice())
    );
    assert_eq!(
        (nodes[1].state.clone(), nodes[1].node_http_address.clone()),
        (NodeState::Lost, None)
    );
    assert!(list::<Node>(r#"{"nodes":{}}"#, &["nodes", "node"]).is_empty());
}

#[test]
fn cluster_info_and_metrics() {
    let info = r#"{"clusterInfo":{"id":1795218548822,"startedOn":1795218548822,"state":"STARTED","haState":"ACTIVE","rmStateStoreName":"org.apache.hadoop.yarn.server.resourcemanager.recovery.NullRMStateStore","resourceManagerVersion":"3.4.3","hadoopVersion":"3.4.3","haZooKeeperConnectionState":"Could not find leader elector."}}"#;
    let info: ClusterInfo = object(info, "clusterInfo");
    assert_eq!(
        (info.ha_state, info.resource_manager_version.as_str()),
        (Some(HaState::Active), "3.4.3")
    );
    let metrics = r#"{"clusterMetrics":{"appsSubmitted":3,"appsPending":1,"pendingMB":-128,"availableMB":4096,"totalMB":"4096","totalNodes":1,"activeNodes":1}}"#;
    let metrics: ClusterMetrics = object(metrics, "clusterMetrics");
    assert_eq!(
        (metrics.apps_submitted, metrics.total_mb, metrics.active_nodes),
        (3, 4096, 1)
    );
    assert_eq!(metrics.pending_mb, 0);
}

#[test]
fn the_capacity_schedulers_info_is_the_root_queue() {
    let json = r#"{"scheduler":{"schedulerInfo":{"type":"capacityScheduler","capacity":100.0,"usedCapacity":25.0,"maxCapacity":100.0,"queueName":"root","queuePath":"root","queues":{"queue":[{"type":"capacitySchedulerLeafQueueInfo","capacity":60.0,"usedCapacity":50.0,"absoluteCapacity":60.0,"queueName":"default","queuePath":"root.default","state":"RUNNING","numApplications":2,"numActiveApplications":1,"numPendingApplications":1,"resourcesUsed":{"memory":512,"vCores":2,"resourceInformations":{}},"AMResourceLimit":{"memory":256,"vCores":1},"usedAMResource":{"memory":256,"vCores":1},"users":{}},{"queueName":"prod","capacity":"40.0","queues":null}]}}}}"#;
    let scheduler: Scheduler = object(json, "scheduler");
    assert_eq!(scheduler.kind, "capacityScheduler");
    let queue = scheduler.root.find("root.default").unwrap();
    assert_eq!(
        (
            queue.active_applications,
            queue.pending_applications,
            queue.am_limit.memory
        ),
        (1, 1, 256)
    );
    assert_eq!(scheduler.root.find("default"), Some(queue));
    assert!(scheduler.root.find("root.prod").is_some());
    assert!(scheduler.root.find("nope").is_none());
    let leaves: Vec<&str> = scheduler
        .root
        .leaves()
        .iter()
        .map(|queue| queue.name.as_str())
        .collect();
    assert_eq!(leaves, ["default", "prod"]);
}

#[test]
fn the_fair_schedulers_info_holds_the_root_queue() {
    let json = r#"{"scheduler":{"schedulerInfo":{"type":"fairScheduler","rootQueue":{"queueName":"root","usedResources":{"memory":512,"vCores":2},"childQueues":{"queue":[{"type":"fairSchedulerLeafQueueInfo","queueName":"root.default","numPendingApps":1,"numActiveApps":2,"amMaxResources":{"memory":2048,"vCores":4},"usedResources":{"memory":512,"vCores":2}}]}}}}}"#;
    let scheduler: Scheduler = object(json, "scheduler");
    assert_eq!(scheduler.kind, "fairScheduler");
    let queue = scheduler.root.find("root.default").unwrap();
    assert_eq!(
        (
            queue.active_applications,
            queue.pending_applications,
            queue.used.memory
        ),
        (2, 1, 512)
    );
}

#[test]
fn activities_say_whether_they_wait_and_why_nothing_was_allocated() {
    let waiting: Activities = object(
        r#"{"activities":{"diagnostic":"waiting for next allocation"}}"#,
        "activities",
    );
    assert!(waiting.is_waiting() && waiting.reasons().is_empty());
    let json = r#"{"appActivities":{"applicationId":"application_1_0001","timestamp":1,"allocations":[{"allocationState":"SKIPPED","diagnostic":"Queue's AM resource limit exceeded","requestAllocation":[{"children":[{"diagnostic":"Node does not have sufficient resource for request"},{"diagnostic":"Node does not have sufficient resource for request"}]}]}]}}"#;
    let activities: Activities = object(json, "appActivities");
    assert_eq!(
        activities.reasons(),
        [
            "Node does not have sufficient resource for request",
            "Queue's AM resource limit exceeded"
        ]
    );
}

#[test]
fn a_nodes_containers_name_their_log_files() {
    let json = r#"{"containers":{"container":[{"id":"container_1795218548822_0001_01_000001","state":"RUNNING","exitCode":-1000,"diagnostics":"","user":"alice","totalMemoryNeededMB":256,"totalVCoresNeeded":1,"executionType":"GUARANTEED","containerLogsLink":"http://localhost:20032/node/containerlogs/container_1795218548822_0001_01_000001/alice","nodeId":"localhost:20030","containerLogFiles":["launch_container.sh","prelaunch.err","stderr","directory.info","prelaunch.out","stdout"]}]}}"#;
    let containers: Vec<NodeContainer> = list(json, &["containers", "container"]);
    assert_eq!(
        (containers[0].exit_code, containers[0].container_log_files.len()),
        (Some(-1000), 6)
    );
    assert!(list::<NodeContainer>(r#"{"containers":{}}"#, &["containers", "container"]).is_empty());
}

#[test]
fn log_files_come_once_per_place() {
    let local = r#"{"containerLogInfo":[{"fileName":"stderr","fileSize":"3900","lastModifiedTime":"Fri Nov 20 23:49:09 +0000 2026"}],"logAggregationType":"LOCAL","containerId":"container_1795218548822_0001_01_000001","nodeId":"localhost:20030"}"#;
    let lone: Vec<LogFiles> = list(
        &format!(r#"{{"containerLogsInfo":{local}}}"#),
        &["containerLogsInfo"],
    );
    let several: Vec<LogFiles> = list(
        &format!(
            r#"{{"containerLogsInfo":[{local},{}]}}"#,
            local.replace("LOCAL", "AGGREGATED")
        ),
        &["containerLogsInfo"],
    );
    assert_eq!(lone[0], several[0]);
    assert_eq!(several[1].place, Some(AggregationType::Aggregated));
    assert_eq!(
        (lone[0].files[0].file_name.as_str(), lone[0].files[0].file_size),
        ("stderr", 3900)
    );
}
