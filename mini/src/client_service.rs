//! `ApplicationClientProtocol` (`ClientRMService`): what Hadoop's own clients and commands call.

mod reports;
mod submission;

use std::sync::Arc;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use hadoop::sasl::Qop;
use prost::Message;
use yarn_rpc::am_nm::ContainerSignal;
use yarn_rpc::connection::{ServerSettings, ServerUser};
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{NodeState, Resource};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::resource_manager::{Application, Attempt, Event, QUEUE, ResourceManager};
use crate::rpc::{Service, decoded};
use crate::time;
use reports::View;

/// The interface's name on the wire.
const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB";

/// See the [module](self).
pub(crate) struct ClientService {
    pub(crate) daemon: Arc<Daemon>,
}

type Answer = Result<Vec<u8>, Failure>;

impl Service for ClientService {
    fn protocol(&self) -> &'static str {
        PROTOCOL
    }

    /// There are no delegation tokens.
    fn password(&self, _identifier: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn offers(&self, nonce: String, protection: Vec<Qop>) -> ServerSettings {
        ServerSettings {
            simple: true,
            ..ServerSettings::token(nonce, protection)
        }
    }

    fn takes_names(&self) -> bool {
        true
    }

    fn call(&self, caller: &ServerUser, method: &str, body: &[u8]) -> Answer {
        match method {
            "getNewApplication" => Ok(self.new_application()),
            "submitApplication" => self.submit(caller, &decoded(body)?),
            "forceKillApplication" => self.kill(caller, &decoded(body)?),
            "signalToContainer" => self.signal(&decoded(body)?),
            _ => self.look(method, body),
        }
    }
}

impl ClientService {
    fn look(&self, method: &str, body: &[u8]) -> Answer {
        let core = self.daemon.core();
        let view = View::new(&core, time::now());
        match method {
            "getApplicationReport" => application_report(&core, view, &decoded(body)?),
            "getApplications" => Ok(applications(&core, view, &decoded(body)?)),
            "getApplicationAttemptReport" => attempt_report(&core, view, &decoded(body)?),
            "getApplicationAttempts" => attempts(&core, view, &decoded(body)?),
            "getContainerReport" => container_report(&core, &decoded(body)?),
            "getContainers" => containers(&core, &decoded(body)?),
            "getClusterMetrics" => Ok(metrics(&core)),
            "getClusterNodes" => Ok(nodes(&core, &decoded(body)?)),
            "getQueueInfo" => queue(&core, view, &decoded(body)?),
            "getQueueUserAcls" => Ok(queue_acls()),
            "getResourceTypeInfo" => Ok(resource_types(&core)),
            "getResourceProfiles" => Err(Failure::yarn(
                "YARNFeatureNotEnabledException",
                "Resource profile is not enabled, please enable resource profile feature before using its functions. \
                 (by setting yarn.resourcemanager.resource-profiles.enabled to true)",
            )),
            _ => Err(Failure::no_such_method(PROTOCOL, method)),
        }
    }

    fn new_application(&self) -> Vec<u8> {
        let mut core = self.daemon.core();
        let id = core.new_application_id();
        pb::GetNewApplicationResponseProto {
            application_id: Some(id.into()),
            maximum_capability: Some(core.maximum().into()),
        }
        .encode_to_vec()
    }

    fn submit(&self, caller: &ServerUser, request: &pb::SubmitApplicationRequestProto) -> Answer {
        let context = request.application_submission_context.as_ref();
        let context =
            context.ok_or_else(|| Failure::yarn("YarnException", "there is no submission context"))?;
        let maximum = self.daemon.core().maximum().clone();
        let submission = submission::read(context, &maximum)?;
        let (application, timeout) = (submission.id, submission::lifetime_ms(context));
        self.daemon.drive(Event::Submitted {
            user: name_of(caller),
            submission: Box::new(submission),
        });
        if let Some(timeout) = timeout {
            self.daemon.drive(Event::LifetimeSet {
                application,
                expires_ms: time::now().saturating_add(timeout),
            });
        }
        Ok(pb::SubmitApplicationResponseProto {}.encode_to_vec())
    }

    /// The caller asks again until it is done.
    fn kill(&self, caller: &ServerUser, request: &pb::KillApplicationRequestProto) -> Answer {
        let id = application_id(request.application_id.as_ref())?;
        let is_over = {
            let core = self.daemon.core();
            let found = core.application(id);
            let text = format!("Trying to kill an absent application {id}");
            let found = found.ok_or_else(|| Failure::yarn("ApplicationNotFoundException", text))?;
            found.state.is_final()
        };
        if !is_over {
            self.daemon.drive(Event::KillRequested {
                application: id,
                user: name_of(caller),
                diagnostics: Some(request.diagnostics().to_owned()),
            });
        }
        let is_kill_completed = Some(is_over);
        Ok(pb::KillApplicationResponseProto { is_kill_completed }.encode_to_vec())
    }

    fn signal(&self, request: &pb::SignalContainerRequestProto) -> Answer {
        let id = ContainerId::try_from(&request.container_id).map_err(unreadable)?;
        let signal = match pb::SignalContainerCommandProto::try_from(request.command) {
            Ok(pb::SignalContainerCommandProto::OutputThreadDump) => ContainerSignal::ThreadDump,
            Ok(pb::SignalContainerCommandProto::GracefulShutdown) => ContainerSignal::Graceful,
            Ok(pb::SignalContainerCommandProto::ForcefulShutdown) => ContainerSignal::Forceful,
            Err(error) => return Err(Failure::yarn("YarnException", error.to_string())),
        };
        self.daemon
            .nodes()
            .for_each(|node| node.signal_from_afar(id, signal));
        Ok(pb::SignalContainerResponseProto {}.encode_to_vec())
    }
}

fn name_of(caller: &ServerUser) -> String {
    match caller {
        ServerUser::Simple(name) => name.clone(),
        ServerUser::Token(_) => String::new(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::yarn("YarnException", error.to_string())
}

fn application_id(id: Option<&pb::ApplicationIdProto>) -> Result<ApplicationId, Failure> {
    let id =
        id.ok_or_else(|| Failure::yarn("ApplicationNotFoundException", "Invalid application id: null"))?;
    id.try_into().map_err(unreadable)
}

fn find<'a>(
    core: &'a ResourceManager,
    id: Option<&pb::ApplicationIdProto>,
) -> Result<&'a Application, Failure> {
    let id = application_id(id)?;
    core.application(id).ok_or_else(|| {
        let text = format!(
            "Application with id '{id}' doesn't exist in RM. Please check that the job submission was successful."
        );
        Failure::yarn("ApplicationNotFoundException", text)
    })
}

fn find_attempt<'a>(
    core: &'a ResourceManager,
    id: Option<&pb::ApplicationAttemptIdProto>,
) -> Result<(&'a Application, &'a Attempt), Failure> {
    let absent = || Failure::yarn("ApplicationAttemptNotFoundException", "there is no such attempt");
    let id = ApplicationAttemptId::try_from(id.ok_or_else(absent)?).map_err(unreadable)?;
    let application = find(core, Some(&id.application.into()))?;
    let attempt = application.attempts.iter().find(|attempt| attempt.id == id);
    let text = || format!("ApplicationAttempt with id '{id}' doesn't exist in RM.");
    let attempt = attempt.ok_or_else(|| Failure::yarn("ApplicationAttemptNotFoundException", text()))?;
    Ok((application, attempt))
}

fn application_report(
    core: &ResourceManager,
    view: View<'_>,
    request: &pb::GetApplicationReportRequestProto,
) -> Answer {
    let found = find(core, request.application_id.as_ref())?;
    let application_report = Some(reports::application(found, view));
    Ok(pb::GetApplicationReportResponseProto { application_report }.encode_to_vec())
}

fn applications(
    core: &ResourceManager,
    view: View<'_>,
    request: &pb::GetApplicationsRequestProto,
) -> Vec<u8> {
    let named = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    let wanted = |one: &&Application| {
        let states = &request.application_states;
        let tags = &request.application_tags;
        (states.is_empty() || states.contains(&(reports::state(one.state) as i32)))
            && named(&request.application_types, &one.submission.application_type)
            && named(&request.users, &one.user)
            && (tags.is_empty() || one.submission.tags.iter().any(|tag| tags.contains(tag)))
            && request
                .name
                .as_ref()
                .is_none_or(|name| *name == one.submission.name)
    };
    let limit = request
        .limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let found = core.applications().filter(wanted).take(limit);
    let applications = found.map(|one| reports::application(one, view)).collect();
    pb::GetApplicationsResponseProto { applications }.encode_to_vec()
}

fn attempt_report(
    core: &ResourceManager,
    view: View<'_>,
    request: &pb::GetApplicationAttemptReportRequestProto,
) -> Answer {
    let (application, attempt) = find_attempt(core, request.application_attempt_id.as_ref())?;
    let application_attempt_report = Some(reports::attempt(application, attempt, view));
    let response = pb::GetApplicationAttemptReportResponseProto {
        application_attempt_report,
    };
    Ok(response.encode_to_vec())
}

fn attempts(
    core: &ResourceManager,
    view: View<'_>,
    request: &pb::GetApplicationAttemptsRequestProto,
) -> Answer {
    let application = find(core, request.application_id.as_ref())?;
    let all = application.attempts.iter();
    let application_attempts = all.map(|one| reports::attempt(application, one, view)).collect();
    Ok(pb::GetApplicationAttemptsResponseProto { application_attempts }.encode_to_vec())
}

fn container_report(core: &ResourceManager, request: &pb::GetContainerReportRequestProto) -> Answer {
    let absent = |text: String| Failure::yarn("ContainerNotFoundException", text);
    let id = request.container_id.as_ref();
    let id = id.ok_or_else(|| absent("Invalid container id: null".to_owned()))?;
    let id = ContainerId::try_from(id).map_err(unreadable)?;
    let application = find(core, Some(&id.application().into()))?;
    let container = application.containers.get(&id);
    let container =
        container.ok_or_else(|| absent(format!("Container with id '{id}' doesn't exist in RM.")))?;
    let container_report = Some(reports::container(container, &application.user));
    Ok(pb::GetContainerReportResponseProto { container_report }.encode_to_vec())
}

fn containers(core: &ResourceManager, request: &pb::GetContainersRequestProto) -> Answer {
    let (application, attempt) = find_attempt(core, request.application_attempt_id.as_ref())?;
    let held = application.containers.values();
    let of_it = held.filter(|container| container.id.attempt == attempt.id);
    let containers = of_it
        .map(|one| reports::container(one, &application.user))
        .collect();
    Ok(pb::GetContainersResponseProto { containers }.encode_to_vec())
}

fn metrics(core: &ResourceManager) -> Vec<u8> {
    let count = |states: &[NodeState]| {
        let nodes = core.nodes().filter(|node| states.contains(&node.state));
        i32::try_from(nodes.count()).ok()
    };
    let running = [NodeState::Running, NodeState::Decommissioning];
    let metrics = pb::YarnClusterMetricsProto {
        num_node_managers: count(&running),
        num_decommissioned_nms: count(&[NodeState::Decommissioned]),
        num_active_nms: count(&[NodeState::Running]),
        num_lost_nms: count(&[NodeState::Lost]),
        num_unhealthy_nms: count(&[NodeState::Unhealthy]),
        num_rebooted_nms: count(&[NodeState::Rebooted]),
        num_decommissioning_nms: count(&[NodeState::Decommissioning]),
        num_shutdown_nms: count(&[NodeState::Shutdown]),
    };
    let cluster_metrics = Some(metrics);
    pb::GetClusterMetricsResponseProto { cluster_metrics }.encode_to_vec()
}

fn nodes(core: &ResourceManager, request: &pb::GetClusterNodesRequestProto) -> Vec<u8> {
    let reports = core.nodes().map(crate::resource_manager::Node::report);
    let wanted = |report: &pb::NodeReportProto| {
        request.node_states.is_empty()
            || report
                .node_state
                .is_some_and(|state| request.node_states.contains(&state))
    };
    let node_reports = reports.filter(wanted).collect();
    pb::GetClusterNodesResponseProto { node_reports }.encode_to_vec()
}

fn queue(core: &ResourceManager, view: View<'_>, request: &pb::GetQueueInfoRequestProto) -> Answer {
    let leaf = || reports::queue("default", QUEUE, core, view, request.include_applications());
    let info = match request.queue_name() {
        "default" | QUEUE => leaf(),
        "root" => pb::QueueInfoProto {
            child_queues: if request.include_child_queues() {
                vec![leaf()]
            } else {
                Vec::new()
            },
            ..reports::queue("root", "root", core, view, false)
        },
        // `ClientRMService` answers with nothing where it does not know a queue.
        _ => return Ok(pb::GetQueueInfoResponseProto::default().encode_to_vec()),
    };
    let queue_info = Some(info);
    Ok(pb::GetQueueInfoResponseProto { queue_info }.encode_to_vec())
}

/// Everybody may do everything: access control is off by default.
fn queue_acls() -> Vec<u8> {
    let all = [
        pb::QueueAclProto::QaclSubmitApplications as i32,
        pb::QueueAclProto::QaclAdministerQueue as i32,
    ];
    let of = |name: &str| pb::QueueUserAclInfoProto {
        queue_name: Some(name.to_owned()),
        user_acls: all.to_vec(),
    };
    let queue_user_acls = vec![of("root"), of(QUEUE)];
    pb::GetQueueUserAclsInfoResponseProto { queue_user_acls }.encode_to_vec()
}

fn resource_types(core: &ResourceManager) -> Vec<u8> {
    let resource_type_info = core.resource_types();
    pb::GetAllResourceTypeInfoResponseProto { resource_type_info }.encode_to_vec()
}

/// What an application asks for its ApplicationMaster, unless it says nothing.
fn asked(context: &pb::ApplicationSubmissionContextProto) -> Resource {
    let first = context
        .am_container_resource_request
        .first()
        .and_then(|request| request.capability.as_ref());
    let resource = first.or(context.resource.as_ref());
    resource.map_or_else(|| Resource::new(1024, 1), Resource::from)
}
