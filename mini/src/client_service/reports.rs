//! Applications, attempts and containers as Hadoop's clients get them.

use hadoop::ids::ContainerId;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::Resource;

use crate::resource_manager::{
    Application, ApplicationState, Attempt, AttemptState, Granted, QUEUE, ResourceManager,
};
use crate::time::{self, UnixMs};

/// What the reports need besides what they are of.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    now: UnixMs,
    /// `host:port` of the ResourceManager's pages.
    web: &'a str,
    /// MiB of the whole cluster.
    total_mb: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(core: &'a ResourceManager, now: UnixMs) -> Self {
        let active = core.nodes().filter(|node| node.is_active());
        Self {
            now,
            web: &core.settings().web_address,
            total_mb: active.map(|node| node.facts.total.memory_mb).sum(),
        }
    }
}

pub(super) fn state(state: ApplicationState) -> pb::YarnApplicationStateProto {
    match state {
        ApplicationState::Accepted => pb::YarnApplicationStateProto::Accepted,
        ApplicationState::Running => pb::YarnApplicationStateProto::Running,
        ApplicationState::Finishing | ApplicationState::Finished => pb::YarnApplicationStateProto::Finished,
        ApplicationState::Failed => pb::YarnApplicationStateProto::Failed,
        ApplicationState::Killed => pb::YarnApplicationStateProto::Killed,
    }
}

fn signed(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn proxy(application: &Application, view: View<'_>) -> String {
    format!("http://{}/proxy/{}/", view.web, application.id)
}

/// `RMAppImpl.createAndGetApplicationReport`.
pub(super) fn application(application: &Application, view: View<'_>) -> pb::ApplicationReportProto {
    let submission = &application.submission;
    let master = application.current().and_then(|attempt| attempt.master.as_ref());
    let queue = submission.queue.as_deref().filter(|queue| *queue != "default");
    pb::ApplicationReportProto {
        application_id: Some(application.id.into()),
        user: Some(application.user.clone()),
        queue: Some(queue.unwrap_or(QUEUE).to_owned()),
        name: Some(submission.name.clone()),
        host: Some(master.map_or("N/A", |master| master.host.as_str()).to_owned()),
        rpc_port: Some(master.map_or(-1, |master| master.rpc_port)),
        yarn_application_state: Some(state(application.state) as i32),
        tracking_url: Some(tracking_url(application, view)),
        original_tracking_url: Some(master.map_or("N/A", |master| &master.tracking_url).to_owned()),
        diagnostics: Some(application.diagnostics.clone()),
        start_time: signed(application.started_ms),
        submit_time: signed(application.started_ms),
        launch_time: signed(application.launched_ms),
        finish_time: signed(application.finished_ms),
        final_application_status: Some(application.final_status as i32),
        app_resource_usage: Some(usage(application, view)),
        current_application_attempt_id: application.current().map(|attempt| attempt.id.into()),
        progress: Some(if application.state.is_final() {
            1.0
        } else {
            application.progress
        }),
        application_type: Some(submission.application_type.clone()),
        application_tags: submission.tags.clone(),
        log_aggregation_status: Some(pb::LogAggregationStatusProto::LogDisabled as i32),
        unmanaged_application: Some(false),
        priority: Some(pb::PriorityProto { priority: Some(0) }),
        app_timeouts: vec![timeout(application, view.now)],
        ..Default::default()
    }
}

fn tracking_url(application: &Application, view: View<'_>) -> String {
    match application.state {
        ApplicationState::Failed | ApplicationState::Killed => {
            format!("http://{}/cluster/app/{}", view.web, application.id)
        }
        ApplicationState::Accepted => "N/A".to_owned(),
        _ => proxy(application, view),
    }
}

fn timeout(application: &Application, now: UnixMs) -> pb::AppTimeoutsMapProto {
    let kind = pb::ApplicationTimeoutTypeProto::AppTimeoutLifetime as i32;
    let expires = application.lifetime_expires_ms;
    let left = |at: UnixMs| i64::try_from(at.saturating_sub(now) / 1000).unwrap_or(i64::MAX);
    pb::AppTimeoutsMapProto {
        application_timeout_type: Some(kind),
        application_timeout: Some(pb::ApplicationTimeoutProto {
            application_timeout_type: kind,
            expire_time: Some(expires.map_or_else(|| "UNLIMITED".to_owned(), time::iso)),
            remaining_time: Some(expires.map_or(-1, left)),
        }),
    }
}

fn usage(application: &Application, view: View<'_>) -> pb::ApplicationResourceUsageReportProto {
    let (memory, cores) = application.usage_seconds(view.now);
    let held = application.held();
    let share = held.memory_mb as f32 * 100.0 / view.total_mb.max(1) as f32;
    let over = application.state.is_final();
    let count = i32::try_from(application.containers.len()).unwrap_or(i32::MAX);
    pb::ApplicationResourceUsageReportProto {
        num_used_containers: Some(if over { -1 } else { count }),
        num_reserved_containers: Some(if over { -1 } else { 0 }),
        used_resources: Some((&held).into()),
        reserved_resources: Some((&Resource::default()).into()),
        needed_resources: Some((&held).into()),
        memory_seconds: signed(memory),
        vcore_seconds: signed(cores),
        queue_usage_percentage: Some(share),
        cluster_usage_percentage: Some(share),
    }
}

fn attempt_state(state: AttemptState) -> pb::YarnApplicationAttemptStateProto {
    use pb::YarnApplicationAttemptStateProto as State;
    match state {
        AttemptState::Scheduled => State::AppAttemptScheduled,
        AttemptState::Launched => State::AppAttemptLaunched,
        AttemptState::Running => State::AppAttemptRunning,
        AttemptState::Finishing => State::AppAttemptFinishing,
        AttemptState::Finished => State::AppAttemptFinished,
        AttemptState::Failed => State::AppAttemptFailed,
        AttemptState::Killed => State::AppAttemptKilled,
    }
}

/// `RMAppAttemptImpl.createApplicationAttemptReport`.
pub(super) fn attempt(
    application: &Application,
    attempt: &Attempt,
    view: View<'_>,
) -> pb::ApplicationAttemptReportProto {
    let master = attempt.master.as_ref();
    pb::ApplicationAttemptReportProto {
        application_attempt_id: Some(attempt.id.into()),
        host: Some(master.map_or("N/A", |master| master.host.as_str()).to_owned()),
        rpc_port: Some(master.map_or(-1, |master| master.rpc_port)),
        tracking_url: Some(proxy(application, view)),
        diagnostics: Some(attempt.diagnostics.clone()),
        yarn_application_attempt_state: Some(attempt_state(attempt.state) as i32),
        am_container_id: attempt.container.as_ref().map(|(id, _, _)| (*id).into()),
        original_tracking_url: Some(master.map_or("N/A", |master| &master.tracking_url).to_owned()),
        start_time: signed(attempt.started_ms),
        finish_time: signed(attempt.finished_ms),
    }
}

/// `RMContainerImpl.createContainerReport`.
pub(super) fn container(container: &Granted, user: &str) -> pb::ContainerReportProto {
    let state = match container.running {
        true => pb::ContainerStateProto::CRunning,
        false => pb::ContainerStateProto::CNew,
    };
    pb::ContainerReportProto {
        container_id: Some(container.id.into()),
        resource: Some((&container.resource).into()),
        node_id: Some((&container.node).into()),
        priority: Some(pb::PriorityProto {
            priority: i32::try_from(container.priority).ok(),
        }),
        creation_time: signed(container.granted_ms),
        finish_time: Some(0),
        diagnostics_info: Some(String::new()),
        log_url: Some(log_url(container.id, &container.node_http_address, user)),
        container_exit_status: Some(0),
        container_state: Some(state as i32),
        node_http_address: Some(format!("http://{}", container.node_http_address)),
        execution_type: Some(pb::ExecutionTypeProto::Guaranteed as i32),
    }
}

fn log_url(id: ContainerId, http: &str, user: &str) -> String {
    format!("http://{http}/node/containerlogs/{id}/{user}")
}

/// A queue, all of the cluster.
pub(super) fn queue(
    name: &str,
    path: &str,
    core: &ResourceManager,
    view: View<'_>,
    with_applications: bool,
) -> pb::QueueInfoProto {
    let used: u64 = core.nodes().map(|node| node.used.memory_mb).sum();
    let applications = core.applications().filter(|_| with_applications);
    pb::QueueInfoProto {
        queue_name: Some(name.to_owned()),
        capacity: Some(1.0),
        maximum_capacity: Some(1.0),
        current_capacity: Some(used as f32 / view.total_mb.max(1) as f32),
        state: Some(pb::QueueStateProto::QRunning as i32),
        child_queues: Vec::new(),
        applications: applications.map(|one| application(one, view)).collect(),
        queue_path: Some(path.to_owned()),
    }
}
