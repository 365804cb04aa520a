//! Requests to a ResourceManager.

use std::time::SystemTime;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use http::Method;
use serde::Serialize;

use super::{AppFilter, Built, NO_BODY, Replay, Target, get, write};
use crate::auth::Auth;
use crate::model::{NodeState, Signal, TimeoutKind};
use crate::submission::SubmissionContext;
use crate::time;

/// Builds the requests to the REST API of a ResourceManager (default port 8088).
#[derive(Debug, Clone)]
pub struct ResourceManager {
    auth: Auth,
}

/// What [`ResourceManager::scheduler_activities`] shall record. Only the Capacity Scheduler does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchedulerActivities {
    /// Record what happens on this node (`host:port`) only.
    pub node: Option<String>,
    /// Fold equal entries into one with a count.
    pub group_by_diagnostic: bool,
}

const ROOT: &str = "/ws/v1/cluster";

#[derive(Serialize)]
struct StateBody<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<&'a str>,
}

#[derive(Serialize)]
struct QueueBody<'a> {
    queue: &'a str,
}

#[derive(Serialize)]
struct PriorityBody {
    priority: i32,
}

/// The one write whose body has a root key.
#[derive(Serialize)]
struct TimeoutBody {
    timeout: Timeout,
}

#[derive(Serialize)]
struct Timeout {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "expiryTime")]
    expiry_time: String,
}

impl ResourceManager {
    /// Requests made for `auth`.
    pub fn new(auth: Auth) -> Self {
        Self { auth }
    }

    /// A new application id and the largest container the cluster gives. Asking again costs one
    /// unused id.
    pub fn new_application(&self) -> Built {
        let target = root("/apps/new-application");
        write(Method::POST, &self.auth, target, Replay::Safe, NO_BODY)
    }

    /// Submits an application. Answers 202 without a body; also for an id that is already known, even
    /// of another user's application, and for an unknown queue (the application then is FAILED).
    pub fn submit(&self, context: &SubmissionContext) -> Built {
        write(
            Method::POST,
            &self.auth,
            root("/apps"),
            Replay::Safe,
            Some(context),
        )
    }

    /// The report of an application.
    pub fn application(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app))
    }

    /// The applications that pass `filter`.
    pub fn applications(&self, filter: &AppFilter) -> Built {
        get(&self.auth, filter.apply(root("/apps")))
    }

    /// The attempts of an application.
    pub fn attempts(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app).literal("/appattempts"))
    }

    /// One attempt. 3.5.0 answers 503 (it has no JSON writer for this object); the list has it.
    pub fn attempt(&self, attempt: ApplicationAttemptId) -> Built {
        get(&self.auth, of_attempt(attempt))
    }

    /// The containers an attempt holds.
    pub fn containers(&self, attempt: ApplicationAttemptId) -> Built {
        get(&self.auth, of_attempt(attempt).literal("/containers"))
    }

    /// One container of an attempt.
    pub fn container(&self, attempt: ApplicationAttemptId, container: ContainerId) -> Built {
        get(
            &self.auth,
            of_attempt(attempt).literal("/containers").segment(container),
        )
    }

    /// The state alone.
    pub fn state(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app).literal("/state"))
    }

    /// Kills an application. `diagnostics` becomes part of its diagnostics: "was killed by user alice
    /// with diagnostic message: …". Answers 202 while the kill is under way, 200 when it is done or
    /// when the application has ended already.
    pub fn kill(&self, app: ApplicationId, diagnostics: Option<&str>) -> Built {
        let body = StateBody {
            state: "KILLED",
            diagnostics,
        };
        let target = of_app(app).literal("/state");
        write(Method::PUT, &self.auth, target, Replay::Safe, Some(&body))
    }

    /// The queue of an application.
    pub fn queue(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app).literal("/queue"))
    }

    /// Moves an application to another queue. An unknown queue is a 503 without a message.
    pub fn set_queue(&self, app: ApplicationId, queue: &str) -> Built {
        let target = of_app(app).literal("/queue");
        write(
            Method::PUT,
            &self.auth,
            target,
            Replay::Safe,
            Some(&QueueBody { queue }),
        )
    }

    /// The priority of an application.
    pub fn priority(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app).literal("/priority"))
    }

    /// Changes the priority. The answer says what it became: the cluster caps it
    /// (`yarn.cluster.max-application-priority`, 0 by default).
    pub fn set_priority(&self, app: ApplicationId, priority: i32) -> Built {
        let target = of_app(app).literal("/priority");
        write(
            Method::PUT,
            &self.auth,
            target,
            Replay::Safe,
            Some(&PriorityBody { priority }),
        )
    }

    /// The timeouts of an application.
    pub fn timeouts(&self, app: ApplicationId) -> Built {
        get(&self.auth, of_app(app).literal("/timeouts"))
    }

    /// One timeout of an application.
    pub fn timeout(&self, app: ApplicationId, kind: &TimeoutKind) -> Built {
        get(&self.auth, of_app(app).literal("/timeouts").segment(kind))
    }

    /// Sets when the ResourceManager shall end the application. This is the only way to give a
    /// lifetime over REST: a submission's `application-timeouts` is ignored without a word.
    pub fn set_lifetime(&self, app: ApplicationId, expiry: SystemTime) -> Built {
        let timeout = Timeout {
            kind: "LIFETIME",
            expiry_time: time::print(expiry),
        };
        let target = of_app(app).literal("/timeout");
        write(
            Method::PUT,
            &self.auth,
            target,
            Replay::Safe,
            Some(&TimeoutBody { timeout }),
        )
    }

    /// The nodes in one of `states`; with none given, all of them, lost ones included.
    pub fn nodes(&self, states: &[NodeState]) -> Built {
        get(&self.auth, root("/nodes").query_list("states", states))
    }

    /// One node, by id (`host:port`).
    pub fn node(&self, id: &str) -> Built {
        get(&self.auth, root("/nodes").segment(id))
    }

    /// The scheduler and its queues.
    pub fn scheduler(&self) -> Built {
        get(&self.auth, root("/scheduler"))
    }

    /// The last recorded scheduling round; the first call starts the recording.
    pub fn scheduler_activities(&self, wanted: &SchedulerActivities) -> Built {
        let target = root("/scheduler/activities").query_some("nodeId", wanted.node.as_ref());
        get(&self.auth, grouped(target, wanted.group_by_diagnostic))
    }

    /// What the scheduler did for one application in the last `seconds` (3 if not given); the first
    /// call starts the recording.
    pub fn app_activities(&self, app: ApplicationId, seconds: Option<u32>) -> Built {
        let target = root("/scheduler/app-activities").segment(app);
        get(&self.auth, grouped(target.query_some("maxTime", seconds), true))
    }

    /// Name, release and state of the ResourceManager. A standby answers this one itself.
    pub fn cluster_info(&self) -> Built {
        get(&self.auth, root("/info"))
    }

    /// Counts of applications, containers, memory, cores and nodes.
    pub fn cluster_metrics(&self) -> Built {
        get(&self.auth, root("/metrics"))
    }

    /// Sends a signal to a container. It is not sent again when the answer is lost.
    pub fn signal(&self, container: ContainerId, signal: Signal) -> Built {
        let target = root("/containers")
            .segment(container)
            .literal("/signal")
            .segment(signal);
        write(Method::POST, &self.auth, target, Replay::Unsafe, NO_BODY)
    }
}

fn root(part: &'static str) -> Target {
    Target::new(ROOT).literal(part)
}

fn of_app(app: ApplicationId) -> Target {
    root("/apps").segment(app)
}

/// The attempt's segment must be the full `appattempt_…`: a bare number is a 400.
fn of_attempt(attempt: ApplicationAttemptId) -> Target {
    of_app(attempt.application)
        .literal("/appattempts")
        .segment(attempt)
}

fn grouped(target: Target, wanted: bool) -> Target {
    target.query_some("groupBy", wanted.then_some("diagnostic"))
}
