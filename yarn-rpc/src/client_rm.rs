//! ApplicationClientProtocol: new application, submit, report, kill.
//!
//! What the REST interface cannot do is possible here: timeouts, placement of the ApplicationMaster, and the AMRM
//! token of an unmanaged application.
//!
//! ```no_run
//! use yarn_rpc::client::{ClientIdentity, RpcConfig};
//! use yarn_rpc::client_rm::ApplicationClient;
//!
//! # async fn example() -> Result<(), yarn_rpc::error::RpcError> {
//! let identity = ClientIdentity::User("alice".into());
//! let rm = ApplicationClient::new(vec!["rm:8032".into()], identity, RpcConfig::default());
//! let new = rm.new_application().await?;
//! println!("{} may have containers of {}", new.id, new.maximum);
//! # Ok(())
//! # }
//! ```

use crate::client::{ClientIdentity, RpcClient, RpcConfig};
use crate::connection::Protocol;
use crate::error::RpcError;
use crate::proto::yarn as pb;
use crate::records::{ContainerLaunchContext, RecordError, Resource};
use crate::session::FinalStatus;
use hadoop::credentials::Token;
use hadoop::ids::{ApplicationAttemptId, ApplicationId};
use std::time::Duration;

/// Calls to the client service of the active ResourceManager.
#[derive(Debug, Clone)]
pub struct ApplicationClient {
    rpc: RpcClient,
}

/// An id to submit under, and what one container may have at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApplication {
    /// Not reserved: submit promptly.
    pub id: ApplicationId,
    /// The scheduler's maximum; the queue's may be smaller.
    pub maximum: Resource,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// From [`ApplicationClient::new_application`].
    pub id: ApplicationId,
    /// Shown to people.
    pub name: String,
    /// Shown to people and used as a filter; at most 20 characters are kept.
    pub kind: String,
    /// Queue; an unknown one makes the application fail after it was accepted.
    pub queue: String,
    /// Among the applications of a queue; **higher** is served first. `None` for the queue's default.
    pub priority: Option<u32>,
    /// At most ten, each at most 100 printable ASCII characters.
    pub tags: Vec<String>,
    /// How to start the ApplicationMaster.
    pub master: ContainerLaunchContext,
    /// Size of its container.
    pub master_resource: Resource,
    /// The ApplicationMaster is started by somebody else, who fetches its token from the report.
    pub unmanaged: bool,
    /// Attempts; capped by the cluster. `None` for the cluster's default.
    pub max_attempts: Option<u32>,
    /// Failures longer ago than this do not count. `None`: all count.
    pub failures_validity: Option<Duration>,
    /// Containers survive the death of the ApplicationMaster while attempts are left.
    pub keep_containers: bool,
    /// Label of the nodes to run on.
    pub node_label: Option<String>,
    /// The application is killed after so long.
    pub lifetime: Option<Duration>,
}

impl Submission {
    /// The least that can be submitted; everything else is at its default and may be set afterwards.
    pub fn new(
        id: ApplicationId,
        name: &str,
        master: ContainerLaunchContext,
        master_resource: Resource,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            kind: "YARN".to_owned(),
            queue: "default".to_owned(),
            priority: None,
            tags: Vec::new(),
            master,
            master_resource,
            unmanaged: false,
            max_attempts: None,
            failures_validity: None,
            keep_containers: false,
            node_label: None,
            lifetime: None,
        }
    }
}

/// Where an application stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApplicationState {
    /// Just taken.
    New,
    /// Being stored.
    NewSaving,
    /// Known to the scheduler.
    Submitted,
    /// Waiting for its ApplicationMaster.
    Accepted,
    /// Registered.
    Running,
    /// Ended by unregistering; its final status tells how.
    Finished,
    /// Ended without.
    Failed,
    /// Ended by somebody.
    Killed,
}

impl ApplicationState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

impl From<pb::YarnApplicationStateProto> for ApplicationState {
    fn from(state: pb::YarnApplicationStateProto) -> Self {
        match state {
            pb::YarnApplicationStateProto::New => Self::New,
            pb::YarnApplicationStateProto::NewSaving => Self::NewSaving,
            pb::YarnApplicationStateProto::Submitted => Self::Submitted,
            pb::YarnApplicationStateProto::Accepted => Self::Accepted,
            pb::YarnApplicationStateProto::Running => Self::Running,
            pb::YarnApplicationStateProto::Finished => Self::Finished,
            pb::YarnApplicationStateProto::Failed => Self::Failed,
            pb::YarnApplicationStateProto::Killed => Self::Killed,
        }
    }
}

/// What the ResourceManager knows of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationReport {
    /// Which.
    pub id: ApplicationId,
    /// Where it stands.
    pub state: ApplicationState,
    /// How it ended; `None` before.
    pub final_status: Option<FinalStatus>,
    /// Name, user and queue as shown.
    pub name: String,
    /// Submitter.
    pub user: String,
    /// Queue.
    pub queue: String,
    /// Current attempt.
    pub attempt: Option<ApplicationAttemptId>,
    /// In 0.0..=1.0.
    pub progress: f32,
    /// Why it waits, or how it ended.
    pub diagnostics: String,
    /// The proxy's URL, once there is one.
    pub tracking_url: Option<String>,
    /// What the ApplicationMaster registered.
    pub original_tracking_url: Option<String>,
    /// The token to register with, for the owner of an unmanaged application whose attempt is launched.
    pub am_rm_token: Option<Token>,
}

impl ApplicationClient {
    /// For the client addresses (`host:port`) of all ResourceManagers.
    pub fn new(addresses: Vec<String>, identity: ClientIdentity, config: RpcConfig) -> Self {
        Self {
            rpc: RpcClient::new(addresses, Protocol::APPLICATION_CLIENT, identity, config),
        }
    }

    /// Gets an id.
    pub async fn new_application(&self) -> Result<NewApplication, RpcError> {
        const METHOD: &str = "getNewApplication";
        let request = pb::GetNewApplicationRequestProto {};
        let answer: pb::GetNewApplicationResponseProto = self.rpc.call(METHOD, &request).await?;
        let id = answer
            .application_id
            .as_ref()
            .ok_or(RecordError::Missing("application_id"));
        let id = id
            .and_then(ApplicationId::try_from)
            .map_err(|error| unusable(METHOD, &error))?;
        let maximum = answer
            .maximum_capability
            .as_ref()
            .map(Resource::from)
            .unwrap_or_default();
        Ok(NewApplication { id, maximum })
    }

    /// Submits. A second submission under the same id has no effect and is no error.
    pub async fn submit(&self, submission: &Submission) -> Result<(), RpcError> {
        let context = Some(submission.into());
        let request = pb::SubmitApplicationRequestProto {
            application_submission_context: context,
        };
        let _: pb::SubmitApplicationResponseProto = self.rpc.call("submitApplication", &request).await?;
        Ok(())
    }

    /// Asks how an application does.
    ///
    /// # Errors
    /// [`crate::error::RemoteKind::ApplicationNotFound`] also for those that ended too long ago.
    pub async fn report(&self, id: ApplicationId) -> Result<ApplicationReport, RpcError> {
        const METHOD: &str = "getApplicationReport";
        let request = pb::GetApplicationReportRequestProto {
            application_id: Some(id.into()),
        };
        let answer: pb::GetApplicationReportResponseProto = self.rpc.call(METHOD, &request).await?;
        let report = answer
            .application_report
            .as_ref()
            .ok_or(RecordError::Missing("application_report"));
        report
            .and_then(ApplicationReport::try_from)
            .map_err(|error| unusable(METHOD, &error))
    }

    /// Kills an application. `false` means "not yet": ask again.
    pub async fn kill(&self, id: ApplicationId, diagnostics: Option<&str>) -> Result<bool, RpcError> {
        let diagnostics = diagnostics.map(str::to_owned);
        let request = pb::KillApplicationRequestProto {
            application_id: Some(id.into()),
            diagnostics,
        };
        let answer: pb::KillApplicationResponseProto =
            self.rpc.call("forceKillApplication", &request).await?;
        Ok(answer.is_kill_completed())
    }
}

fn unusable(method: &'static str, error: &RecordError) -> RpcError {
    RpcError::BadAnswer {
        method,
        reason: error.to_string(),
    }
}

impl From<&Submission> for pb::ApplicationSubmissionContextProto {
    fn from(submission: &Submission) -> Self {
        let signed = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let lifetime = |lifetime: Duration| pb::ApplicationTimeoutMapProto {
            application_timeout_type: Some(pb::ApplicationTimeoutTypeProto::AppTimeoutLifetime as i32),
            timeout: Some(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        };
        let validity = |validity: Duration| i64::try_from(validity.as_millis()).unwrap_or(i64::MAX);
        Self {
            application_id: Some(submission.id.into()),
            application_name: Some(submission.name.clone()),
            queue: Some(submission.queue.clone()),
            priority: submission.priority.map(|n| pb::PriorityProto {
                priority: Some(signed(n)),
            }),
            am_container_spec: Some((&submission.master).into()),
            unmanaged_am: Some(submission.unmanaged),
            max_app_attempts: submission.max_attempts.map(signed),
            resource: Some((&submission.master_resource).into()),
            application_type: Some(submission.kind.clone()),
            keep_containers_across_application_attempts: Some(submission.keep_containers),
            application_tags: submission.tags.clone(),
            attempt_failures_validity_interval: submission.failures_validity.map(validity),
            node_label_expression: submission.node_label.clone(),
            application_timeouts: submission.lifetime.map(lifetime).into_iter().collect(),
            ..Default::default()
        }
    }
}

impl TryFrom<&pb::ApplicationReportProto> for ApplicationReport {
    type Error = RecordError;

    fn try_from(report: &pb::ApplicationReportProto) -> Result<Self, RecordError> {
        let state = report
            .yarn_application_state
            .and_then(|state| state.try_into().ok());
        let state: pb::YarnApplicationStateProto =
            state.ok_or(RecordError::Missing("yarn_application_state"))?;
        // Before the first attempt there is one with number -1.
        let attempt = report
            .current_application_attempt_id
            .as_ref()
            .filter(|attempt| attempt.attempt_id() >= 0);
        let attempt = attempt.map(ApplicationAttemptId::try_from);
        // "N/A" is how the ResourceManager says that there is none.
        let url = |url: &Option<String>| url.clone().filter(|url| !url.is_empty() && url != "N/A");
        Ok(Self {
            id: report
                .application_id
                .as_ref()
                .ok_or(RecordError::Missing("applicationId"))?
                .try_into()?,
            state: state.into(),
            final_status: final_status(report.final_application_status()),
            name: report.name().to_owned(),
            user: report.user().to_owned(),
            queue: report.queue().to_owned(),
            attempt: attempt.transpose()?,
            progress: report.progress(),
            diagnostics: report.diagnostics().to_owned(),
            tracking_url: url(&report.tracking_url),
            original_tracking_url: url(&report.original_tracking_url),
            am_rm_token: report.am_rm_token.as_ref().map(Into::into),
        })
    }
}

fn final_status(status: pb::FinalApplicationStatusProto) -> Option<FinalStatus> {
    match status {
        pb::FinalApplicationStatusProto::AppSucceeded => Some(FinalStatus::Succeeded),
        pb::FinalApplicationStatusProto::AppFailed => Some(FinalStatus::Failed),
        pb::FinalApplicationStatusProto::AppKilled => Some(FinalStatus::Killed),
        pb::FinalApplicationStatusProto::AppUndefined | pb::FinalApplicationStatusProto::AppEnded => None,
    }
}
