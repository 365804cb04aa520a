//! The part of an ApplicationMaster, played message by message.

use std::path::Path;

use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::connection::Protocol;
use yarn_rpc::error::RpcError;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{Container, ContainerLaunchContext, NmToken};

use super::lab::{PAUSE, wait_for};

/// An attempt's ApplicationMaster.
pub(crate) struct Master {
    pub(crate) attempt: ApplicationAttemptId,
    pub(crate) rpc: RpcClient,
    pub(crate) response_id: i32,
    pub(crate) tokens: NmTokenStore,
}

/// How a container ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) container: ContainerId,
    pub(crate) status: i32,
    pub(crate) diagnostics: String,
}

impl Master {
    pub(crate) fn new(attempt: ApplicationAttemptId, rpc: RpcClient) -> Self {
        Self {
            attempt,
            rpc,
            response_id: 0,
            tokens: NmTokenStore::new(),
        }
    }

    pub(crate) fn app(&self) -> ApplicationId {
        self.attempt.application
    }

    pub(crate) async fn register(&mut self) -> Result<pb::RegisterApplicationMasterResponseProto, RpcError> {
        self.register_at("").await
    }

    pub(crate) async fn register_at(
        &mut self,
        url: &str,
    ) -> Result<pb::RegisterApplicationMasterResponseProto, RpcError> {
        let request = pb::RegisterApplicationMasterRequestProto {
            host: Some("there.example".into()),
            rpc_port: Some(4711),
            tracking_url: Some(url.to_owned()),
        };
        self.response_id = 0;
        self.rpc.call("registerApplicationMaster", &request).await
    }

    /// A heartbeat with the number that is due.
    pub(crate) async fn allocate(
        &mut self,
        request: pb::AllocateRequestProto,
    ) -> Result<pb::AllocateResponseProto, RpcError> {
        let response = self.allocate_as(Some(self.response_id), request).await?;
        self.response_id = response.response_id();
        for token in &response.nm_tokens {
            self.tokens.put(NmToken::try_from(token).unwrap());
        }
        Ok(response)
    }

    /// A heartbeat with some other number, or none.
    pub(crate) async fn allocate_as(
        &self,
        response_id: Option<i32>,
        request: pb::AllocateRequestProto,
    ) -> Result<pb::AllocateResponseProto, RpcError> {
        let request = pb::AllocateRequestProto {
            response_id,
            progress: request.progress.or(Some(0.1)),
            ..request
        };
        self.rpc.call("allocate", &request).await
    }

    /// A heartbeat that asks for nothing and must succeed.
    pub(crate) async fn beat(&mut self) -> pb::AllocateResponseProto {
        self.allocate(Default::default()).await.unwrap()
    }

    /// A heartbeat with these asks.
    pub(crate) async fn ask(
        &mut self,
        ask: Vec<pb::ResourceRequestProto>,
    ) -> Result<pb::AllocateResponseProto, RpcError> {
        self.allocate(pb::AllocateRequestProto {
            ask,
            ..Default::default()
        })
        .await
    }

    /// Heartbeats until `count` containers have come for these asks.
    pub(crate) async fn granted(
        &mut self,
        asks: Vec<pb::ResourceRequestProto>,
        count: usize,
    ) -> Vec<Container> {
        let mut granted = records(&self.ask(asks).await.unwrap());
        wait_for("the grants", async || {
            if granted.len() < count {
                granted.extend(records(&self.beat().await));
            }
            (granted.len() >= count).then_some(())
        })
        .await;
        granted
    }

    /// So many containers of 64 MiB, wherever.
    pub(crate) async fn containers(&mut self, count: i32) -> Vec<Container> {
        self.granted(vec![any(count)], usize::try_from(count).unwrap())
            .await
    }

    /// One container.
    pub(crate) async fn container(&mut self) -> Container {
        self.containers(1).await.remove(0)
    }

    /// One container that has been started.
    pub(crate) async fn started(&mut self, context: &ContainerLaunchContext) -> Container {
        let container = self.container().await;
        self.nodes().start_container(&container, context).await.unwrap();
        container
    }

    /// Runs one container to its end.
    pub(crate) async fn run(&mut self, context: &ContainerLaunchContext) -> End {
        let container = self.started(context).await;
        self.end_of(container.id).await
    }

    /// Heartbeats until a container has ended.
    pub(crate) async fn end_of(&mut self, id: ContainerId) -> End {
        wait_for("the container's end", async || {
            ends(&self.beat().await)
                .into_iter()
                .find(|end| end.container == id)
        })
        .await
    }

    /// Heartbeats until a file is there.
    pub(crate) async fn file(&mut self, path: &Path) -> String {
        wait_for("the file", async || {
            self.beat().await;
            std::fs::read_to_string(path).ok()
        })
        .await
    }

    /// So many heartbeats, a node's heartbeat apart at least; everything that came.
    pub(crate) async fn some_beats(&mut self) -> Vec<pb::AllocateResponseProto> {
        let mut seen = Vec::new();
        for _ in 0..25 {
            seen.push(self.beat().await);
            tokio::time::sleep(PAUSE).await;
        }
        seen
    }

    pub(crate) fn nodes(&self) -> NodeManagers {
        NodeManagers::new(self.tokens.clone(), NmConfig::default())
    }

    /// Calls to a container's NodeManager, as they are.
    pub(crate) fn node_of(&self, container: &Container) -> RpcClient {
        let token = self.tokens.get(&container.node).unwrap();
        RpcClient::new(
            vec![container.node.to_string()],
            Protocol::CONTAINER_MANAGEMENT,
            ClientIdentity::Token(token),
            RpcConfig::default(),
        )
    }

    /// One finish call.
    pub(crate) async fn finish_once(
        &self,
        status: pb::FinalApplicationStatusProto,
        tracking_url: &str,
    ) -> Result<bool, RpcError> {
        let request = pb::FinishApplicationMasterRequestProto {
            diagnostics: Some("all said".into()),
            tracking_url: Some(tracking_url.to_owned()),
            final_application_status: Some(status as i32),
        };
        let answer: pb::FinishApplicationMasterResponseProto =
            self.rpc.call("finishApplicationMaster", &request).await?;
        Ok(answer.is_unregistered())
    }

    /// Finish calls until the end is stored.
    pub(crate) async fn finish(&self, status: pb::FinalApplicationStatusProto) {
        wait_for("the end", async || {
            self.finish_once(status, "").await.unwrap().then_some(())
        })
        .await;
    }
}

/// An ask for containers of 64 MiB.
pub(crate) fn named(name: &str, count: i32, relax: bool) -> pb::ResourceRequestProto {
    pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto { priority: Some(1) }),
        resource_name: Some(name.to_owned()),
        capability: Some(size(64, 1)),
        num_containers: Some(count),
        relax_locality: Some(relax),
        execution_type_request: Some(pb::ExecutionTypeRequestProto {
            execution_type: Some(pb::ExecutionTypeProto::Guaranteed as i32),
            enforce_execution_type: Some(false),
        }),
        allocation_request_id: Some(0),
        ..Default::default()
    }
}

/// An ask for containers anywhere.
pub(crate) fn any(count: i32) -> pb::ResourceRequestProto {
    named("*", count, true)
}

/// An ask for one container of another size.
pub(crate) fn sized(memory: i64, cores: i32) -> pb::ResourceRequestProto {
    pb::ResourceRequestProto {
        capability: Some(size(memory, cores)),
        ..any(1)
    }
}

fn size(memory: i64, cores: i32) -> pb::ResourceProto {
    pb::ResourceProto {
        memory: Some(memory),
        virtual_cores: Some(cores),
        ..Default::default()
    }
}

/// The containers of an answer.
pub(crate) fn records(response: &pb::AllocateResponseProto) -> Vec<Container> {
    let granted = response.allocated_containers.iter();
    granted.map(|one| one.try_into().unwrap()).collect()
}

/// The ends in an answer.
pub(crate) fn ends(response: &pb::AllocateResponseProto) -> Vec<End> {
    let statuses = response.completed_container_statuses.iter();
    let end = |status: &pb::ContainerStatusProto| End {
        container: status.container_id.as_ref().unwrap().try_into().unwrap(),
        status: status.exit_status(),
        diagnostics: status.diagnostics().to_owned(),
    };
    statuses.map(end).collect()
}

/// A launch context for a shell command with logs.
pub(crate) fn shell(command: &str) -> ContainerLaunchContext {
    ContainerLaunchContext {
        commands: vec![format!("{{ {command}; }} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr")],
        ..Default::default()
    }
}

/// Simple name of the class, and message, of a remote exception.
pub(crate) fn exception(error: &RpcError) -> (String, String) {
    let exception = error.exception();
    let exception = exception.unwrap_or_else(|| panic!("no exception of the other side: {error}"));
    let simple = exception.class.rsplit(['.', '$']).next().unwrap_or_default();
    (simple.to_owned(), exception.message.clone())
}

/// That a call failed with this class and these words.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, RpcError>, class: &str, words: &str) {
    let (found, message) = exception(&result.unwrap_err());
    assert_eq!(found, class, "{message}");
    assert!(message.contains(words), "no {words:?} in {message:?}");
}
