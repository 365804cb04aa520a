//! The calls to a ResourceManager.

use std::time::SystemTime;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};

use super::Client;
use crate::error::Error;
use crate::model::{
    Activities, AppReport, AppState, Attempt, ClusterInfo, ClusterMetrics, Container, NewApplication, Node,
    NodeState, PriorityAnswer, QueueAnswer, Scheduler, Signal, StateAnswer, Timeout, TimeoutKind,
};
use crate::request::{AppFilter, SchedulerActivities};
use crate::submission::SubmissionContext;

/// What became of a kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillProgress {
    /// The state now; `KILLING` or even `ACCEPTED` while it is under way.
    pub state: AppState,
}

impl KillProgress {
    /// Is the application over? If not, ask for its state, or kill it again.
    pub fn is_done(&self) -> bool {
        self.state.is_final()
    }
}

impl Client {
    /// Asks for an application id and the size of the largest container.
    pub async fn new_application(&self) -> Result<NewApplication, Error> {
        let body = self.send(self.requests.new_application()?).await?;
        NewApplication::read(&body).map_err(|source| Error::malformed("new-application", source, &body))
    }

    /// Submits an application. Success means that the ResourceManager has it, not that it will run: an
    /// unknown queue shows only in the report ([`Verdict::Refused`](crate::Verdict::Refused)).
    ///
    /// The ResourceManager answers an id it knows with success, so a submission whose answer was lost is
    /// sent again.
    pub async fn submit(&self, context: &SubmissionContext) -> Result<(), Error> {
        self.send(self.requests.submit(context)?).await.map(drop)
    }

    /// The report of an application.
    pub async fn application(&self, app: ApplicationId) -> Result<AppReport, Error> {
        self.object(self.requests.application(app), "app").await
    }

    /// The applications that pass `filter`.
    pub async fn applications(&self, filter: &AppFilter) -> Result<Vec<AppReport>, Error> {
        self.list(self.requests.applications(filter), &["apps", "app"])
            .await
    }

    /// The attempts of an application, the first one first.
    pub async fn attempts(&self, app: ApplicationId) -> Result<Vec<Attempt>, Error> {
        let mut attempts: Vec<Attempt> = self
            .list(self.requests.attempts(app), &["appAttempts", "appAttempt"])
            .await?;
        attempts.sort_by_key(|attempt| attempt.id);
        Ok(attempts)
    }

    /// One attempt, with its diagnostics and URLs where the release can say them. 3.5.0 cannot (it fails
    /// with 503); there the attempt is taken from the list, without them.
    pub async fn attempt(&self, attempt: ApplicationAttemptId) -> Result<Attempt, Error> {
        let error = match self.object(self.requests.attempt(attempt), "appAttempt").await {
            Err(error @ Error::Server { .. }) => error,
            result => return result,
        };
        let attempts = self.attempts(attempt.application).await?;
        attempts
            .into_iter()
            .find(|known| known.id == attempt)
            .ok_or(error)
    }

    /// The containers an attempt holds now.
    pub async fn containers(&self, attempt: ApplicationAttemptId) -> Result<Vec<Container>, Error> {
        self.list(self.requests.containers(attempt), &["container"]).await
    }

    /// One container of an attempt.
    pub async fn container(&self, container: ContainerId) -> Result<Container, Error> {
        self.object(self.requests.container(container.attempt, container), "container")
            .await
    }

    /// The state alone, which may be one of the internal ones.
    pub async fn state(&self, app: ApplicationId) -> Result<AppState, Error> {
        let answer: StateAnswer = self.object(self.requests.state(app), "appstate").await?;
        Ok(answer.state)
    }

    /// Asks for the end of an application; `diagnostics` says why in its report. An application that has
    /// ended already is left as it is, and that is a success.
    pub async fn kill(&self, app: ApplicationId, diagnostics: Option<&str>) -> Result<KillProgress, Error> {
        let answer: StateAnswer = self
            .object(self.requests.kill(app, diagnostics), "appstate")
            .await?;
        Ok(KillProgress { state: answer.state })
    }

    /// The queue of an application.
    pub async fn queue(&self, app: ApplicationId) -> Result<String, Error> {
        let answer: QueueAnswer = self.object(self.requests.queue(app), "appqueue").await?;
        Ok(answer.queue)
    }

    /// Moves an application to another queue, and says where it is now. An unknown queue is an
    /// [`Error::Server`] without a message.
    pub async fn set_queue(&self, app: ApplicationId, queue: &str) -> Result<String, Error> {
        let answer: QueueAnswer = self
            .object(self.requests.set_queue(app, queue), "appqueue")
            .await?;
        Ok(answer.queue)
    }

    /// The priority of an application.
    pub async fn priority(&self, app: ApplicationId) -> Result<i32, Error> {
        let answer: PriorityAnswer = self.object(self.requests.priority(app), "apppriority").await?;
        Ok(answer.priority)
    }

    /// Changes the priority, and says what it became: the cluster caps it.
    pub async fn set_priority(&self, app: ApplicationId, priority: i32) -> Result<i32, Error> {
        let request = self.requests.set_priority(app, priority);
        let answer: PriorityAnswer = self.object(request, "apppriority").await?;
        Ok(answer.priority)
    }

    /// The timeouts of an application.
    pub async fn timeouts(&self, app: ApplicationId) -> Result<Vec<Timeout>, Error> {
        self.list(self.requests.timeouts(app), &["timeouts", "timeout"])
            .await
    }

    /// The lifetime of an application.
    pub async fn lifetime(&self, app: ApplicationId) -> Result<Timeout, Error> {
        self.object(self.requests.timeout(app, &TimeoutKind::Lifetime), "timeout")
            .await
    }

    /// Sets when the ResourceManager ends the application.
    pub async fn set_lifetime(&self, app: ApplicationId, expiry: SystemTime) -> Result<Timeout, Error> {
        self.object(self.requests.set_lifetime(app, expiry), "timeout")
            .await
    }

    /// The nodes in one of `states`; with none given all of them, lost ones included.
    pub async fn nodes(&self, states: &[NodeState]) -> Result<Vec<Node>, Error> {
        self.list(self.requests.nodes(states), &["nodes", "node"]).await
    }

    /// One node, by id (`host:port`).
    pub async fn node_report(&self, id: &str) -> Result<Node, Error> {
        self.object(self.requests.node(id), "node").await
    }

    /// The scheduler and its queues.
    pub async fn scheduler(&self) -> Result<Scheduler, Error> {
        self.object(self.requests.scheduler(), "scheduler").await
    }

    /// The last recorded scheduling round; the first call starts the recording.
    pub async fn scheduler_activities(&self, wanted: &SchedulerActivities) -> Result<Activities, Error> {
        self.object(self.requests.scheduler_activities(wanted), "activities")
            .await
    }

    /// What the scheduler did for an application in the last `seconds`; the first call starts the
    /// recording.
    pub async fn app_activities(
        &self,
        app: ApplicationId,
        seconds: Option<u32>,
    ) -> Result<Activities, Error> {
        self.object(self.requests.app_activities(app, seconds), "appActivities")
            .await
    }

    /// Name, release and state of the ResourceManager that answers first, be it active or not.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, Error> {
        self.object(self.requests.cluster_info(), "clusterInfo").await
    }

    /// Counts over the whole cluster.
    pub async fn cluster_metrics(&self) -> Result<ClusterMetrics, Error> {
        self.object(self.requests.cluster_metrics(), "clusterMetrics")
            .await
    }

    /// Sends a signal to a container. Success says that the node was told, not that the process got it.
    /// Not repeated if the answer is lost.
    pub async fn signal(&self, container: ContainerId, signal: Signal) -> Result<(), Error> {
        self.send(self.requests.signal(container, signal)?)
            .await
            .map(drop)
    }
}
