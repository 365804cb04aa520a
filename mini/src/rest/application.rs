//! Applications, attempts and containers as JSON (`AppInfo`, `AppAttemptInfo`, `ContainerInfo`).

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::resource_manager::{
    Application, ApplicationState, Attempt, AttemptState, FinalStatus, Granted, QUEUE,
};
use crate::time::{self, UnixMs};

/// What the shapes need besides the application itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) now: UnixMs,
    /// `host:port` of the ResourceManager's pages.
    pub(super) web: &'a str,
    /// The cluster's start.
    pub(super) cluster: u64,
    /// MiB of the whole cluster.
    pub(super) total_mb: u64,
}

/// Used memory and cores over time; both entries have the same key, as the daemons write it.
#[derive(Debug)]
struct Seconds(u64, u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("entry", &json!({"key": "memory-mb", "value": self.0.to_string()}))?;
        map.serialize_entry("entry", &json!({"key": "vcores", "value": self.1.to_string()}))?;
        map.end()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AppJson {
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
    resource_seconds_map: Seconds,
}

/// `{"app":…}`.
pub(super) fn one(application: &Application, view: &View<'_>) -> String {
    #[derive(Serialize)]
    struct Root {
        app: AppJson,
    }
    text(&Root {
        app: app(application, view),
    })
}

/// `{"apps":{"app":[…]}}`, or `{"apps":{}}` if there are none.
pub(super) fn several<'a>(applications: impl Iterator<Item = &'a Application>, view: &View<'_>) -> String {
    #[derive(Serialize)]
    struct Root {
        apps: Apps,
    }
    #[derive(Serialize)]
    struct Apps {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        app: Vec<AppJson>,
    }
    let app = applications.map(|application| app(application, view)).collect();
    text(&Root { apps: Apps { app } })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers with texts as keys are always JSON")
}

fn app(application: &Application, view: &View<'_>) -> AppJson {
    let (memory, cores) = application.usage_seconds(view.now);
    let mut fields = serde_json::Map::new();
    let parts = [
        identity(application, view),
        progress(application, view),
        usage(application, view, (memory, cores)),
        master(application),
    ];
    for part in parts {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    AppJson {
        fields,
        resource_seconds_map: Seconds(memory, cores),
    }
}

fn identity(application: &Application, view: &View<'_>) -> Value {
    let submission = &application.submission;
    json!({
        "id": application.id.to_string(),
        "user": application.user,
        "name": submission.name,
        "queue": submission.queue.as_ref().filter(|queue| queue.as_str() != "default").map_or(QUEUE, String::as_str),
        "clusterId": view.cluster,
        "applicationType": submission.application_type,
        "applicationTags": submission.tags.join(","),
        "priority": submission.priority.min(0),
        "unmanagedApplication": false,
        "amNodeLabelExpression": "",
        "logAggregationStatus": "DISABLED",
        "timeouts": {"timeout": [timeout(application, view.now)]},
    })
}

fn progress(application: &Application, view: &View<'_>) -> Value {
    let end = if application.finished_ms == 0 {
        view.now
    } else {
        application.finished_ms
    };
    let progress = if application.state.is_final() {
        1.0
    } else {
        application.progress
    };
    let (interface, url) = tracking(application, view);
    let mut value = json!({
        "state": state(application.state),
        "finalStatus": final_status(application.final_status),
        "progress": progress * 100.0,
        "trackingUI": interface,
        "diagnostics": application.diagnostics,
        "startedTime": application.started_ms,
        "launchTime": application.launched_ms,
        "finishedTime": application.finished_ms,
        "elapsedTime": end.saturating_sub(application.started_ms),
    });
    if let Some(url) = url {
        value["trackingUrl"] = url.into();
    }
    value
}

/// Before its ApplicationMaster registers, an application has no tracking URL at all.
fn tracking(application: &Application, view: &View<'_>) -> (&'static str, Option<String>) {
    let page = || Some(format!("http://{}/cluster/app/{}", view.web, application.id));
    let proxy = || Some(format!("http://{}/proxy/{}/", view.web, application.id));
    match application.state {
        ApplicationState::Accepted => ("UNASSIGNED", None),
        ApplicationState::Running => ("ApplicationMaster", proxy()),
        ApplicationState::Finishing | ApplicationState::Finished => ("History", proxy()),
        ApplicationState::Failed | ApplicationState::Killed => ("History", page()),
    }
}

/// States as they are shown: who unregistered has finished.
pub(super) fn state(state: ApplicationState) -> &'static str {
    match state {
        ApplicationState::Accepted => "ACCEPTED",
        ApplicationState::Running => "RUNNING",
        ApplicationState::Finishing | ApplicationState::Finished => "FINISHED",
        ApplicationState::Failed => "FAILED",
        ApplicationState::Killed => "KILLED",
    }
}

pub(super) fn final_status(status: FinalStatus) -> &'static str {
    status.as_str_name().trim_start_matches("APP_")
}

fn usage(application: &Application, view: &View<'_>, (memory, cores): (u64, u64)) -> Value {
    let mut value = json!({
        "memorySeconds": memory,
        "vcoreSeconds": cores,
        "preemptedResourceMB": 0,
        "preemptedResourceVCores": 0,
        "numNonAMContainerPreempted": 0,
        "numAMContainerPreempted": 0,
        "preemptedMemorySeconds": 0,
        "preemptedVcoreSeconds": 0,
        "preemptedResourceSecondsMap": {},
        "reservedMB": if application.state.is_final() { -1 } else { 0 },
        "reservedVCores": if application.state.is_final() { -1 } else { 0 },
    });
    if application.state.is_final() {
        for name in ["allocatedMB", "allocatedVCores", "runningContainers"] {
            value[name] = (-1).into();
        }
        return value;
    }
    let held = application.held();
    let share = held.memory_mb as f64 * 100.0 / view.total_mb.max(1) as f64;
    value["allocatedMB"] = held.memory_mb.into();
    value["allocatedVCores"] = held.vcores.into();
    value["runningContainers"] = application.containers.len().into();
    value["queueUsagePercentage"] = share.into();
    value["clusterUsagePercentage"] = share.into();
    if let Some(asks) = application.current().map(pending).filter(|asks| !asks.is_empty()) {
        value["resourceRequests"] = asks.into();
    }
    value
}

/// What is asked for; an attempt that waits for its own container asks for that.
fn pending(attempt: &Attempt) -> Vec<Value> {
    let entries = attempt.asks.entries().map(|ask| {
        json!({
            "priority": ask.priority,
            "resourceName": ask.resource_name,
            "numContainers": ask.count,
            "relaxLocality": ask.relax_locality,
            "allocationRequestId": ask.allocation_request_id,
            "capability": {"memory": ask.resource.memory_mb, "vCores": ask.resource.vcores},
            "nodeLabelExpression": "",
        })
    });
    entries.collect()
}

fn master(application: &Application) -> Value {
    let mut value = json!({"masterNodeId": ""});
    let Some(attempt) = application.current() else {
        return value;
    };
    if let Some((container, node, http)) = &attempt.container {
        value["amContainerLogs"] = format!(
            "http://{http}/node/containerlogs/{container}/{}",
            application.user
        )
        .into();
        value["amHostHttpAddress"] = http.as_str().into();
        value["masterNodeId"] = node.to_string().into();
    }
    if let Some(master) = &attempt.master {
        value["amRPCAddress"] = format!("{}:{}", master.host, master.rpc_port).into();
    }
    value
}

/// The lifetime of an application.
pub(super) fn timeout(application: &Application, now: UnixMs) -> Value {
    match application.lifetime_expires_ms {
        None => json!({"type": "LIFETIME", "expiryTime": "UNLIMITED", "remainingTimeInSeconds": -1}),
        Some(at) => json!({
            "type": "LIFETIME",
            "expiryTime": time::iso(at),
            "remainingTimeInSeconds": at.saturating_sub(now) / 1000,
        }),
    }
}

fn attempt_state(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Scheduled => "SCHEDULED",
        AttemptState::Launched => "LAUNCHED",
        AttemptState::Running => "RUNNING",
        AttemptState::Finishing => "FINISHING",
        AttemptState::Finished => "FINISHED",
        AttemptState::Failed => "FAILED",
        AttemptState::Killed => "KILLED",
    }
}

/// `{"appAttempts":{"appAttempt":[…]}}`.
pub(super) fn attempts(application: &Application) -> Value {
    let attempts = application.attempts.iter().map(|attempt| {
        let (container, node, http) = place(attempt);
        json!({
            "id": attempt.id.attempt,
            "appAttemptId": attempt.id.to_string(),
            "appAttemptState": attempt_state(attempt.state),
            "startTime": attempt.started_ms,
            "finishedTime": attempt.finished_ms,
            "containerId": container,
            "nodeId": node,
            "nodeHttpAddress": http,
            "logsLink": format!("http://{http}/node/containerlogs/{container}/{}", application.user),
            "exportPorts": "null",
            "blacklistedNodes": attempt.blacklist.iter().cloned().collect::<Vec<_>>().join(","),
            "nodesBlacklistedBySystem": "",
        })
    });
    json!({"appAttempts": {"appAttempt": attempts.collect::<Vec<_>>()}})
}

fn place(attempt: &Attempt) -> (String, String, String) {
    let place = attempt.container.as_ref();
    let texts = place.map(|(container, node, http)| (container.to_string(), node.to_string(), http.clone()));
    texts.unwrap_or_default()
}

/// One attempt: no root, and every value a text.
pub(super) fn attempt(application: &Application, attempt: &Attempt, view: &View<'_>) -> Value {
    let master = attempt.master.as_ref();
    let original = master
        .map(|master| master.tracking_url.as_str())
        .filter(|url| !url.is_empty());
    json!({
        "appAttemptId": attempt.id.to_string(),
        "host": master.map_or("N/A", |master| master.host.as_str()),
        "rpcPort": master.map_or(-1, |master| master.rpc_port).to_string(),
        "trackingUrl": format!("http://{}/proxy/{}/", view.web, application.id),
        "originalTrackingUrl": original.unwrap_or("N/A"),
        "diagnosticsInfo": attempt.diagnostics,
        "appAttemptState": attempt_state(attempt.state),
        "amContainerId": place(attempt).0,
        "startedTime": attempt.started_ms.to_string(),
        "finishedTime": attempt.finished_ms.to_string(),
    })
}

/// `{"container":…}`: an object for one, a list for several.
pub(super) fn containers(application: &Application, attempt: &Attempt, now: UnixMs) -> Value {
    let held = application
        .containers
        .values()
        .filter(|container| container.id.attempt == attempt.id);
    let mut containers: Vec<Value> = held.map(|one| container(one, &application.user, now)).collect();
    match containers.len() {
        0 => json!({}),
        1 => json!({"container": containers.remove(0)}),
        _ => json!({"container": containers}),
    }
}

/// One container, every value a text.
pub(super) fn container(container: &Granted, user: &str, now: UnixMs) -> Value {
    let http = &container.node_http_address;
    json!({
        "containerId": container.id.to_string(),
        "containerState": if container.running { "RUNNING" } else { "NEW" },
        "containerExitStatus": "0",
        "diagnosticsInfo": "",
        "allocatedMB": container.resource.memory_mb.to_string(),
        "allocatedVCores": container.resource.vcores.to_string(),
        "assignedNodeId": container.node.to_string(),
        "nodeId": container.node.to_string(),
        "nodeHttpAddress": format!("http://{http}"),
        "logUrl": format!("http://{http}/node/containerlogs/{}/{user}", container.id),
        "priority": container.priority.to_string(),
        "startedTime": container.granted_ms.to_string(),
        "finishedTime": "0",
        "elapsedTime": now.saturating_sub(container.granted_ms).to_string(),
    })
}
