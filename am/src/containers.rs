//! How an executor's container is started: its launch context, and the calls to NodeManagers.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use driver::plan::{ExecutorPlan, Settings};
use hadoop::credentials::{Credentials, Format};
use hadoop::ids::{ContainerId, NodeId};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wire::amounts::Amounts;
use wire::id::ExecutorId;
use yarn_rpc::am_nm::{NmError, NodeManagers};
use yarn_rpc::records::{
    AclAccess, Container, ContainerLaunchContext, ContainerSubState, LocalResource, LocalResourceType,
    ResourceVisibility,
};

use crate::environment::{self, Environment};
use crate::launch::{self, Acls, LaunchFile, Localized, LocalizedKind, Visibility};
use crate::metrics::Calls;
use launcher::{Event, StartFailure};

/// What the container runs. The launch script gives the line to `bash -c`, so `exec` leaves only our process.
const COMMAND: &str = "exec -a drawloom-guard ./drawloom executor 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr";

/// The launch context of every executor.
///
/// # Errors
/// A resource without a usable URL.
pub fn launch_context(
    environment: &Environment,
    launch: &LaunchFile,
    plan: &ExecutorPlan,
    settings: &Settings,
    gateway: &str,
    credentials: &Credentials,
) -> anyhow::Result<ContainerLaunchContext> {
    let resources = launch.resources.iter().map(local_resource);
    Ok(ContainerLaunchContext {
        local_resources: resources.collect::<anyhow::Result<_>>()?,
        environment: variables(environment, launch, plan, settings, gateway)
            .into_iter()
            .map(|(name, value)| (name, escaped(&value)))
            .collect(),
        commands: vec![COMMAND.to_owned()],
        tokens: Some(environment::executor_credentials(credentials).to_bytes(Format::Writable)),
        acls: access(&launch.acls),
        ..ContainerLaunchContext::default()
    })
}

fn local_resource(resource: &Localized) -> anyhow::Result<(String, LocalResource)> {
    let url = resource
        .uri
        .parse()
        .with_context(|| format!("the resource {}", resource.name))?;
    let kind = match resource.kind {
        LocalizedKind::File => LocalResourceType::File,
        LocalizedKind::Archive => LocalResourceType::Archive,
    };
    let visibility = match resource.visibility {
        Visibility::Public => ResourceVisibility::Public,
        Visibility::Private => ResourceVisibility::Private,
        Visibility::Application => ResourceVisibility::Application,
    };
    let (size, timestamp_ms) = (resource.size, resource.timestamp_ms);
    let local = LocalResource {
        url,
        size,
        timestamp_ms,
        kind,
        visibility,
    };
    Ok((resource.name.clone(), local))
}

/// What an executor is told by its environment.
pub(crate) fn variables(
    environment: &Environment,
    launch: &LaunchFile,
    plan: &ExecutorPlan,
    settings: &Settings,
    gateway: &str,
) -> BTreeMap<String, String> {
    let own = [
        (launch::env::GATEWAY, gateway.to_owned()),
        (launch::env::STAGING, environment.staging.clone()),
        (launch::env::APP_ID, environment.application()),
        (launch::env::EPOCH, environment.epoch().to_string()),
        (launch::env::BUILD, environment.build.clone()),
        (launch::env::SLOTS, plan.cores.to_string()),
        (launch::env::MEMORY_MIB, plan.memory_mib.to_string()),
        (launch::env::MEMORY_ENFORCED, settings.memory_enforced.to_string()),
        ("HADOOP_USER_NAME", launch.user.clone()),
    ];
    let others = plan
        .resources
        .iter()
        .map(|(name, &amount)| (name.clone(), amount));
    let others: Amounts = others.collect();
    let others = (!others.is_empty()).then(|| (launch::env::RESOURCES, others.to_string()));
    let all = own.into_iter().chain(others);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// NodeManagers write `export NAME="value"` without escaping, so what is live between quotes is escaped here.
fn escaped(value: &str) -> String {
    let live = |c: char| matches!(c, '"' | '\\' | '`' | '$');
    value
        .chars()
        .flat_map(|c| live(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

fn access(acls: &Acls) -> BTreeMap<AclAccess, String> {
    let entries = [(AclAccess::View, &acls.view), (AclAccess::Modify, &acls.modify)];
    entries
        .into_iter()
        .filter_map(|(access, acl)| Some((access, acl.clone()?)))
        .collect()
}

/// Starts that may be under way at a time.
const STARTS: usize = 100;

/// Starts and stops executors' containers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Starter {
    nodes: NodeManagers,
    context: Arc<ContainerLaunchContext>,
    /// Starts that are under way at a time: each is a connection of its own to a NodeManager.
    turns: Arc<Semaphore>,
    calls: Calls,
}

impl Starter {
    /// Containers started in this way through these NodeManagers.
    #[must_use]
    pub fn new(nodes: NodeManagers, context: ContainerLaunchContext) -> Self {
        Self {
            nodes,
            context: Arc::new(context),
            turns: Arc::new(Semaphore::new(STARTS)),
            calls: Calls::default(),
        }
    }

    /// Where the times of calls are told.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Tells how long a call takes.
    async fn timed<T, E>(
        calls: &Calls,
        method: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let asked = Instant::now();
        let answer = call.await;
        calls.node(method, answer.is_ok(), asked.elapsed());
        answer
    }

    /// Starts a container and says what came of it; the deadline is the NodeManagers'.
    pub async fn start(self, executor: ExecutorId, container: Container) -> Event {
        // Never closed; without a turn the start is late, not lost.
        let _turn = self.turns.acquire().await.ok();
        let call = self.nodes.start_container(&container, &self.context);
        match Self::timed(&self.calls, "startContainers", call).await {
            Ok(()) => Event::StartAccepted { executor },
            Err(error) => start_failed(executor, &error),
        }
    }

    /// Whether a container that was started waits for its files or for its turn: its process has not begun.
    pub async fn is_localizing(self, node: NodeId, container: ContainerId) -> bool {
        let call = self.nodes.container_status(&node, container);
        match Self::timed(&self.calls, "getContainerStatuses", call).await {
            Ok(status) => status.sub_state == Some(ContainerSubState::Scheduled),
            Err(error) => {
                tracing::warn!(%container, %node, error = chain(&error), "the NodeManager does not say how far a container is");
                false
            }
        }
    }

    /// Ends a container; a failure is only logged, because the ResourceManager ends it, too.
    pub async fn stop(self, node: NodeId, container: ContainerId) {
        let call = self.nodes.stop_container(&node, container);
        if let Err(error) = Self::timed(&self.calls, "stopContainers", call).await {
            tracing::debug!(%container, %node, error = chain(&error), "the NodeManager did not stop a container");
        }
    }
}

fn start_failed(executor: ExecutorId, error: &NmError) -> Event {
    let failure = match error {
        NmError::GrantExpired(_) => StartFailure::Expired,
        error if error.is_void() => StartFailure::Stale,
        _ => StartFailure::Node,
    };
    Event::StartFailed {
        executor,
        failure,
        message: chain(error),
    }
}

/// An error with everything that caused it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_quotes_of_the_launch_script() {
        assert_eq!(escaped(r#"a "b" $C `d` \e"#), r#"a \"b\" \$C \`d\` \\e"#);
        assert_eq!(escaped("plain: ü, 1=2"), "plain: ü, 1=2");
    }

    #[test]
    fn executors_get_what_they_need_to_find_us() {
        let environment = Environment {
            container: "container_1717955085543_0001_02_000001".parse().unwrap(),
            token_file: "/w/t".into(),
            proxy_base: String::new(),
            host: "node7".into(),
            user: "ada".into(),
            build: "ab12".into(),
            running_build: "cd34".into(),
            staging: "file:///s".into(),
            log_dirs: None,
        };
        let launch = r#"{"version": 1, "user": "ada", "queue": "q", "submitted_unix_ms": 1, "resources": [
            {"name": "drawloom", "uri": "file:///bin/drawloom", "size": 9, "timestamp_ms": 7, "kind": "file",
             "visibility": "private"}], "acls": {"view": "bob"}}"#;
        let launch = LaunchFile::parse(launch.as_bytes()).unwrap();
        let plan = ExecutorPlan {
            instances: 1,
            memory_mib: 512,
            cores: 2,
            resources: BTreeMap::new(),
            shares_memory: true,
        };
        let context = launch_context(
            &environment,
            &launch,
            &plan,
            &Settings::default(),
            "node7:4711",
            &Credentials::default(),
        )
        .unwrap();
        let expected = [
            ("DRAWLOOM_APP_ID", "application_1717955085543_0001"),
            ("DRAWLOOM_BUILD", "ab12"),
            ("DRAWLOOM_EPOCH", "2"),
            ("DRAWLOOM_GATEWAY", "node7:4711"),
            ("DRAWLOOM_MEMORY_ENFORCED", "true"),
            ("DRAWLOOM_MEMORY_MIB", "512"),
            ("DRAWLOOM_SLOTS", "2"),
            ("DRAWLOOM_STAGING", "file:///s"),
            ("HADOOP_USER_NAME", "ada"),
        ];
        let variables = context
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(variables.collect::<Vec<_>>(), expected);
        assert_eq!(context.local_resources["drawloom"].timestamp_ms, 7);
        assert_eq!(
            context.acls,
            BTreeMap::from([(AclAccess::View, "bob".to_owned())])
        );
    }
}
