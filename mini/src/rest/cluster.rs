//! The ResourceManager's REST API (`RMWebServices`).

use std::sync::Arc;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use http::Method;
use serde_json::{Value, json};
use yarn_rpc::am_nm::ContainerSignal;
use yarn_rpc::records::NodeState;

use super::error::{Outcome, RestError, answered};
use super::{application, pages, proxy, standby, submission};
use crate::daemon::Daemon;
use crate::http_server::{Answer, Answering, Request, Site};
use crate::resource_manager::{Application, ApplicationState, Event, Node, ResourceManager};
use crate::time;

/// The release whose shapes are spoken.
const RELEASE: &str = "3.4.3";
const STATES: [&str; 8] = [
    "NEW",
    "NEW_SAVING",
    "SUBMITTED",
    "ACCEPTED",
    "RUNNING",
    "FINISHED",
    "FAILED",
    "KILLED",
];

/// Everything on the ResourceManager's web port.
pub(crate) struct ClusterSite {
    pub(crate) daemon: Arc<Daemon>,
    /// Which of the ResourceManagers this is, from 0.
    pub(crate) index: usize,
}

impl Site for ClusterSite {
    fn answer(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let segments = request.segments();
            let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
            if self.daemon.standing().active() != Some(self.index) {
                return standby::answer(&self.daemon, &request, &parts);
            }
            match parts.as_slice() {
                ["proxy", ..] => proxy::answer(&self.daemon, &request, &parts).await,
                ["ws", "v1", "cluster", rest @ ..] => answered(self.rest(&request, rest)),
                ["isActive"] => Answer::text(200, "I am Active!"),
                [] => Answer::redirect(302, "/cluster".to_owned()),
                ["cluster"] | ["cluster", "apps"] => pages::applications(&self.daemon.core(), time::now()),
                ["cluster", "app", id] => answered(self.page(id)),
                ["cluster", "failure", id] => pages::failure(id),
                _ => RestError::not_found("null for uri: ".to_owned() + &request.path).answer(),
            }
        })
    }
}

impl ClusterSite {
    fn rest(&self, request: &Request, parts: &[&str]) -> Outcome {
        match (request.method.clone(), parts) {
            (Method::GET | Method::HEAD, _) => self.read(request, parts),
            (Method::POST, ["apps", "new-application"]) => Ok(self.new_application()),
            (Method::POST, ["apps"]) => self.submit(request),
            (Method::PUT, ["apps", id, "state"]) => self.kill(request, id),
            (Method::PUT, ["apps", id, "timeout"]) => self.set_timeout(request, id),
            (Method::PUT, ["apps", id, "priority"]) => {
                self.with(id, |_, _| json_answer(&json!({"priority": 0})))
            }
            (Method::PUT, ["apps", id, "queue"]) => self.set_queue(request, id),
            (Method::POST, ["containers", id, "signal", signal]) => self.signal(id, signal),
            _ => Err(RestError::not_found(format!("null for uri: {}", request.path))),
        }
    }

    fn read(&self, request: &Request, parts: &[&str]) -> Outcome {
        let core = self.daemon.core();
        match parts {
            [] | ["info"] => Ok(json_answer(&info(&core, "ACTIVE"))),
            ["metrics"] => Ok(json_answer(&metrics(&core))),
            ["nodes"] => Ok(json_answer(&nodes(&core, request))),
            ["nodes", id] => node_by_id(&core, id),
            ["scheduler"] => Ok(json_answer(&scheduler(&core))),
            ["scheduler", "activities"] => Ok(json_answer(
                &json!({"activities": {"diagnostic": "waiting for next allocation"}}),
            )),
            ["scheduler", "app-activities", id] => activities(&core, id),
            ["apps"] => applications(&core, request),
            ["apps", id, rest @ ..] => {
                let found = find(&core, id)?;
                of_application(&core, found, rest)
            }
            _ => Err(RestError::not_found(format!("null for uri: {}", request.path))),
        }
    }

    fn with(&self, id: &str, make: impl FnOnce(&ResourceManager, &Application) -> Answer) -> Outcome {
        let core = self.daemon.core();
        let found = find(&core, id)?;
        Ok(make(&core, found))
    }

    fn page(&self, id: &str) -> Outcome {
        self.with(id, |core, found| pages::application(core, found, time::now()))
    }

    fn new_application(&self) -> Answer {
        let mut core = self.daemon.core();
        let id = core.new_application_id();
        let maximum = core.maximum();
        let limit = |name: &str, units: &str, value: u64| {
            json!({"attributes": {}, "maximumAllocation": i64::MAX, "minimumAllocation": 0, "name": name,
                   "resourceType": "COUNTABLE", "units": units, "value": value})
        };
        let mut limits = vec![
            limit("memory-mb", "Mi", maximum.memory_mb),
            limit("vcores", "", maximum.vcores.into()),
        ];
        let others = maximum.others.iter();
        limits.extend(others.map(|(name, &value)| limit(name, "", u64::try_from(value).unwrap_or(0))));
        json_answer(&json!({
            "application-id": id.to_string(),
            "maximum-resource-capability": {
                "memory": maximum.memory_mb,
                "vCores": maximum.vcores,
                "resourceInformations": {"resourceInformation": limits},
            },
        }))
    }

    /// Only JSON is taken. Hadoop refuses plain text too; here that also keeps out pages in a browser, which may send
    /// nothing else to a foreign server unasked.
    fn submit(&self, request: &Request) -> Outcome {
        let kind = request
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(RestError::internal("HTTP 415 Unsupported Media Type"));
        }
        let (submission, web) = {
            let core = self.daemon.core();
            (
                submission::read(&request.body, core.maximum())?,
                core.settings().web_address.clone(),
            )
        };
        let location = format!("http://{web}/ws/v1/cluster/apps/{}", submission.id);
        self.daemon.drive(Event::Submitted {
            user: request.user(),
            submission: Box::new(submission),
        });
        Ok(Answer::json(202, "").with(http::header::LOCATION, location))
    }

    /// The first request is accepted, the next one finds the application dead.
    fn kill(&self, request: &Request, id: &str) -> Outcome {
        let wanted: Value = body(request)?;
        let state = wanted.get("state").and_then(Value::as_str);
        if state != Some("KILLED") {
            let message = "Only 'KILLED' is allowed as a target state.";
            return Err(RestError::bad_request(message));
        }
        let application = parse::<ApplicationId>(id)?;
        let before = self.state_of(id)?;
        if before.is_final() || before == ApplicationState::Finishing {
            return Ok(json_answer(&json!({"state": application::state(before)})));
        }
        self.daemon.drive(Event::KillRequested {
            application,
            user: request.user(),
            diagnostics: wanted
                .get("diagnostics")
                .and_then(Value::as_str)
                .map(str::to_owned),
        });
        let location = format!("/ws/v1/cluster/apps/{id}/state");
        Ok(Answer::json(202, r#"{"state":"KILLING"}"#).with(http::header::LOCATION, location))
    }

    fn state_of(&self, id: &str) -> Result<ApplicationState, RestError> {
        find(&self.daemon.core(), id).map(|application| application.state)
    }

    fn set_timeout(&self, request: &Request, id: &str) -> Outcome {
        let wanted: Value = body(request)?;
        let timeout = wanted.get("timeout");
        let expiry = timeout
            .and_then(|timeout| timeout.get("expiryTime"))
            .and_then(Value::as_str);
        let Some(expires_ms) = expiry.and_then(time::parse_iso) else {
            return Err(RestError::bad_request("Timeout type or ExpiryTime is null."));
        };
        if expires_ms <= time::now() {
            let text = "Expiry time is not greater than current time";
            return Err(RestError::internal(text));
        }
        let application = parse::<ApplicationId>(id)?;
        if self.state_of(id)?.is_final() {
            return Err(RestError::bad_request(
                "Application is in a final state and its timeout can't be updated",
            ));
        }
        self.daemon.drive(Event::LifetimeSet {
            application,
            expires_ms,
        });
        self.with(id, |_, found| {
            json_answer(&json!({"timeout": application::timeout(found, time::now())}))
        })
    }

    fn set_queue(&self, request: &Request, id: &str) -> Outcome {
        let wanted: Value = body(request)?;
        match wanted.get("queue").and_then(Value::as_str) {
            Some("default" | "root.default") => {
                self.with(id, |_, _| json_answer(&json!({"queue": "root.default"})))
            }
            _ => Err(RestError::internal("null")),
        }
    }

    fn signal(&self, id: &str, signal: &str) -> Outcome {
        let container = parse::<ContainerId>(id)?;
        let signal = match signal {
            "OUTPUT_THREAD_DUMP" => ContainerSignal::ThreadDump,
            "GRACEFUL_SHUTDOWN" => ContainerSignal::Graceful,
            "FORCEFUL_SHUTDOWN" => ContainerSignal::Forceful,
            _ => return Err(RestError::bad_request(format!("Invalid command: {signal}"))),
        };
        self.daemon
            .nodes()
            .for_each(|node| node.signal_from_afar(container, signal));
        Ok(Answer::text(200, ""))
    }
}

fn json_answer(value: &Value) -> Answer {
    Answer::json(200, value.to_string())
}

fn body(request: &Request) -> Result<Value, RestError> {
    serde_json::from_slice(&request.body).map_err(|error| RestError::bad_request(error.to_string()))
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, RestError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| RestError::bad_request(error.to_string()))
}

fn find<'a>(core: &'a ResourceManager, id: &str) -> Result<&'a Application, RestError> {
    let parsed = parse::<ApplicationId>(id)?;
    core.application(parsed)
        .ok_or_else(|| RestError::not_found(format!("app with id: {id} not found")))
}

fn view(core: &ResourceManager) -> application::View<'_> {
    application::View {
        now: time::now(),
        web: &core.settings().web_address,
        cluster: core.settings().started_ms,
        total_mb: alive(core).map(|node| node.facts.total.memory_mb).sum(),
    }
}

fn alive(core: &ResourceManager) -> impl Iterator<Item = &Node> {
    core.nodes().filter(|node| node.is_active())
}

/// With the state that the one who is asked has.
pub(super) fn info(core: &ResourceManager, state: &str) -> Value {
    let started = core.settings().started_ms;
    let build = format!("{RELEASE} (the embedded cluster of drawloom)");
    json!({"clusterInfo": {
        "id": started,
        "startedOn": started,
        "state": "STARTED",
        "haState": state,
        "rmStateStoreName": "org.apache.hadoop.yarn.server.resourcemanager.recovery.NullRMStateStore",
        "resourceManagerVersion": RELEASE,
        "resourceManagerBuildVersion": build,
        "hadoopVersion": RELEASE,
        "hadoopBuildVersion": build,
        "haZooKeeperConnectionState": "Could not find leader elector. Verify both HA and automatic failover are enabled.",
    }})
}

fn metrics(core: &ResourceManager) -> Value {
    let count = |wanted: fn(&Application) -> bool| core.applications().filter(|one| wanted(one)).count();
    let in_state = |state: NodeState| core.nodes().filter(|node| node.state == state).count();
    let total: u64 = alive(core).map(|node| node.facts.total.memory_mb).sum();
    let cores: u32 = alive(core).map(|node| node.facts.total.vcores).sum();
    let used: u64 = alive(core).map(|node| node.used.memory_mb).sum();
    let used_cores: u32 = alive(core).map(|node| node.used.vcores).sum();
    let asks = || {
        core.applications()
            .filter_map(Application::current)
            .map(|attempt| &attempt.asks)
    };
    let pending: u32 = asks().map(crate::resource_manager::AskTable::outstanding).sum();
    let pending_mb: u64 = asks()
        .map(crate::resource_manager::AskTable::outstanding_memory_mb)
        .sum();
    json!({"clusterMetrics": {
        "appsSubmitted": count(|_| true),
        "appsCompleted": count(|one| one.state == ApplicationState::Finished),
        "appsPending": count(|one| one.state == ApplicationState::Accepted),
        "appsRunning": count(|one| matches!(one.state, ApplicationState::Running | ApplicationState::Finishing)),
        "appsFailed": count(|one| one.state == ApplicationState::Failed),
        "appsKilled": count(|one| one.state == ApplicationState::Killed),
        "reservedMB": 0,
        "availableMB": total - used,
        "allocatedMB": used,
        "pendingMB": pending_mb,
        "totalMB": total,
        "reservedVirtualCores": 0,
        "availableVirtualCores": cores.saturating_sub(used_cores),
        "allocatedVirtualCores": used_cores,
        "pendingVirtualCores": pending,
        "totalVirtualCores": cores,
        "containersAllocated": alive(core).map(|node| node.containers).sum::<u32>(),
        "containersReserved": 0,
        "containersPending": pending,
        "totalNodes": core.nodes().count(),
        "activeNodes": alive(core).count(),
        "lostNodes": in_state(NodeState::Lost),
        "unhealthyNodes": in_state(NodeState::Unhealthy),
        "decommissioningNodes": in_state(NodeState::Decommissioning),
        "decommissionedNodes": in_state(NodeState::Decommissioned),
        "rebootedNodes": in_state(NodeState::Rebooted),
        "shutdownNodes": in_state(NodeState::Shutdown),
    }})
}

fn node_json(node: &Node) -> Value {
    let (facts, used) = (&node.facts, &node.used);
    json!({
        "id": facts.id.to_string(),
        "rack": facts.rack,
        "state": node.state_name(),
        "nodeHostName": facts.id.host,
        "nodeHTTPAddress": facts.http_address,
        "lastHealthUpdate": time::now(),
        "version": RELEASE,
        "healthReport": node.health,
        "numContainers": node.containers,
        "usedMemoryMB": used.memory_mb,
        "availMemoryMB": node.free_memory_mb(),
        "usedVirtualCores": used.vcores,
        "availableVirtualCores": facts.total.vcores.saturating_sub(used.vcores),
        "totalResource": {"memory": facts.total.memory_mb, "vCores": facts.total.vcores},
        "usedResource": {"memory": used.memory_mb, "vCores": used.vcores},
    })
}

/// All nodes, lost ones too, unless states are named.
fn nodes(core: &ResourceManager, request: &Request) -> Value {
    let states = request
        .parameter("states")
        .unwrap_or_default()
        .to_ascii_uppercase();
    let wanted =
        |node: &&Node| states.is_empty() || states.split(',').any(|wanted| wanted == node.state_name());
    let nodes: Vec<Value> = core.nodes().filter(wanted).map(node_json).collect();
    match nodes.is_empty() {
        true => json!({"nodes": {}}),
        false => json!({"nodes": {"node": nodes}}),
    }
}

fn node_by_id(core: &ResourceManager, id: &str) -> Outcome {
    let node = core.nodes().find(|node| node.name() == id);
    let node = node.ok_or_else(|| RestError::not_found(format!("nodeId, {id}, is not found")))?;
    Ok(json_answer(&json!({"node": node_json(node)})))
}

fn scheduler(core: &ResourceManager) -> Value {
    let total: u64 = alive(core).map(|node| node.facts.total.memory_mb).sum();
    let used: u64 = alive(core).map(|node| node.used.memory_mb).sum();
    let share = used as f64 * 100.0 / total.max(1) as f64;
    let open = |state| core.applications().filter(|one| one.state == state).count();
    let (running, pending) = (open(ApplicationState::Running), open(ApplicationState::Accepted));
    let capacities = |name: &str, path: &str| {
        json!({"capacity": 100.0, "usedCapacity": share, "maxCapacity": 100.0, "absoluteCapacity": 100.0,
               "absoluteMaxCapacity": 100.0, "absoluteUsedCapacity": share, "queueName": name, "queuePath": path,
               "numApplications": running + pending, "state": "RUNNING"})
    };
    let mut leaf = capacities("default", "root.default");
    leaf["type"] = "capacitySchedulerLeafQueueInfo".into();
    leaf["resourcesUsed"] =
        json!({"memory": used, "vCores": alive(core).map(|node| node.used.vcores).sum::<u32>()});
    leaf["numActiveApplications"] = running.into();
    leaf["numPendingApplications"] = pending.into();
    leaf["AMResourceLimit"] = json!({"memory": total, "vCores": 1});
    leaf["usedAMResource"] = json!({"memory": 0, "vCores": 0});
    let mut root = capacities("root", "root");
    root["type"] = "capacityScheduler".into();
    root["queues"] = json!({"queue": [leaf]});
    json!({"scheduler": {"schedulerInfo": root}})
}

fn activities(core: &ResourceManager, id: &str) -> Outcome {
    let application = find(core, id)?.id.to_string();
    Ok(json_answer(&json!({"appActivities": {
        "applicationId": application,
        "diagnostic": "waiting for display",
        "timestamp": time::now(),
        "dateTime": time::listing(time::now()),
    }})))
}

/// Filters that name one value or several, and the most that are wanted.
fn applications(core: &ResourceManager, request: &Request) -> Outcome {
    let list = |name: &str| -> Vec<String> {
        let value = request.parameter(name).unwrap_or_default();
        value
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let states: Vec<String> = list("states")
        .iter()
        .map(|state| state.to_ascii_uppercase())
        .collect();
    if let Some(unknown) = states.iter().find(|state| !STATES.contains(&state.as_str())) {
        let text = format!(
            "Invalid application-state {unknown} specified. It should be one of {}",
            STATES.join(",")
        );
        return Err(RestError::bad_request(text));
    }
    let (types, tags, users, names) = (
        list("applicationTypes"),
        list("applicationTags"),
        list("user"),
        list("name"),
    );
    let limit = request
        .parameter("limit")
        .and_then(|text| text.parse().ok())
        .unwrap_or(usize::MAX);
    let named = |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|one| one == value);
    let matches = |one: &&Application| {
        named(&states, application::state(one.state))
            && named(&types, &one.submission.application_type)
            && named(&users, &one.user)
            && named(&names, &one.submission.name)
            && (tags.is_empty() || one.submission.tags.iter().any(|tag| tags.contains(tag)))
    };
    let found = core.applications().filter(matches).take(limit);
    Ok(Answer::json(200, application::several(found, &view(core))))
}

fn of_application(core: &ResourceManager, found: &Application, parts: &[&str]) -> Outcome {
    let now = time::now();
    let attempt = |id: &str| {
        let id = parse::<ApplicationAttemptId>(id)?;
        let attempt = found.attempts.iter().find(|attempt| attempt.id == id);
        attempt.ok_or_else(|| RestError::not_found(format!("app attempt with id: {id} not found")))
    };
    Ok(match parts {
        [] => Answer::json(200, application::one(found, &view(core))),
        ["state"] => json_answer(&json!({"state": application::state(found.state)})),
        ["queue"] => json_answer(&json!({"queue": crate::resource_manager::QUEUE})),
        ["priority"] => json_answer(&json!({"priority": found.submission.priority.min(0)})),
        ["timeouts"] => json_answer(&json!({"timeouts": {"timeout": [application::timeout(found, now)]}})),
        ["timeouts", "LIFETIME"] => json_answer(&json!({"timeout": application::timeout(found, now)})),
        ["appattempts"] => json_answer(&application::attempts(found)),
        ["appattempts", id] => json_answer(&application::attempt(found, attempt(id)?, &view(core))),
        ["appattempts", id, "containers"] => json_answer(&application::containers(found, attempt(id)?, now)),
        ["appattempts", _, "containers", id] => {
            let container = found.containers.get(&parse::<ContainerId>(id)?);
            let container = container
                .ok_or_else(|| RestError::not_found(format!("container with id: {id} not found")))?;
            json_answer(&application::container(container, &found.user, now))
        }
        _ => return Err(RestError::not_found("null for uri")),
    })
}
