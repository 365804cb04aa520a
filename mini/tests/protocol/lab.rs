//! A cluster, a client, and the part of an ApplicationMaster.

use std::time::Duration;

use hadoop::credentials::{Credentials, Token};
use hadoop::ids::{ApplicationId, ContainerId};
use mini::{Cluster, Options};
use yarn_rest::{AppReport, Auth, Client, SubmissionContext};
use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::connection::Protocol;
use yarn_rpc::error::RpcError;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::records::{Container, ContainerLaunchContext, NmToken};

const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster, a client, and a place where masters leave their credentials.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    /// Where masters put things for the test to see.
    pub(crate) shared: tempfile::TempDir,
}

impl Lab {
    pub(crate) async fn start(options: Options) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Cluster::start(options).await.unwrap();
        let mut builder = Client::builder(Auth::simple("ada"));
        for address in cluster.web_addresses() {
            builder = builder.resource_manager(format!("http://{address}"));
        }
        let client = builder.build().unwrap();
        Self {
            cluster,
            client,
            shared: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) async fn submit(
        &self,
        command: &str,
        change: impl FnOnce(&mut SubmissionContext),
    ) -> ApplicationId {
        let id = self.client.new_application().await.unwrap().application_id;
        let mut context = SubmissionContext::new(id);
        context.name = "test".into();
        context.resource = yarn_rest::Resource::new(100, 1);
        context.container.commands = vec![format!("{{ {command}; }} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr")];
        change(&mut context);
        self.client.submit(&context).await.unwrap();
        id
    }

    /// A master that leaves its credentials and waits for its end.
    pub(crate) fn idle(&self) -> String {
        let path = self.shared.path().display();
        format!("cp container_tokens {path}/new && mv {path}/new {path}/$CONTAINER_ID && exec sleep 600")
    }

    pub(crate) async fn report(&self, id: ApplicationId, wanted: impl Fn(&AppReport) -> bool) -> AppReport {
        wait_for(async || {
            let report = self.client.application(id).await.unwrap();
            wanted(&report).then_some(report)
        })
        .await
    }

    /// The token that the master of an attempt was given.
    pub(crate) async fn master_token(&self, id: ApplicationId, attempt: u32) -> Token {
        let attempt = id.attempt(attempt);
        let path = self.shared.path().join(ContainerId::new(attempt, 1).to_string());
        let credentials = wait_for(async || Credentials::load(&path).ok()).await;
        credentials.am_rm_token(attempt).unwrap().clone()
    }

    pub(crate) fn master_client(&self, token: Token) -> RpcClient {
        RpcClient::new(
            self.cluster.scheduler_addresses().map(str::to_owned).collect(),
            Protocol::APPLICATION_MASTER,
            ClientIdentity::Token(token),
            RpcConfig::default(),
        )
    }

    /// An application whose master is played by the test.
    pub(crate) async fn played(
        &self,
        change: impl FnOnce(&mut SubmissionContext),
    ) -> (ApplicationId, Master) {
        let id = self.submit(&self.idle(), change).await;
        let token = self.master_token(id, 1).await;
        let mut master = Master::new(self.master_client(token));
        master.register().await.unwrap();
        (id, master)
    }
}

/// Looks until something is there; the deadline only keeps a broken test from hanging.
pub(crate) async fn wait_for<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search)
        .await
        .expect("it does not happen")
}

/// The part of an ApplicationMaster.
pub(crate) struct Master {
    pub(crate) rpc: RpcClient,
    pub(crate) response_id: i32,
    pub(crate) tokens: NmTokenStore,
}

impl Master {
    pub(crate) fn new(rpc: RpcClient) -> Self {
        Self {
            rpc,
            response_id: 0,
            tokens: NmTokenStore::new(),
        }
    }

    pub(crate) async fn register(&mut self) -> Result<pb::RegisterApplicationMasterResponseProto, RpcError> {
        let request = pb::RegisterApplicationMasterRequestProto {
            host: Some("127.0.0.1".into()),
            rpc_port: Some(4711),
            tracking_url: Some(String::new()),
        };
        self.rpc.call("registerApplicationMaster", &request).await
    }

    pub(crate) async fn allocate(
        &mut self,
        request: pb::AllocateRequestProto,
    ) -> Result<pb::AllocateResponseProto, RpcError> {
        let request = pb::AllocateRequestProto {
            response_id: Some(self.response_id),
            ..request
        };
        let response: pb::AllocateResponseProto = self.rpc.call("allocate", &request).await?;
        self.response_id = response.response_id();
        for token in &response.nm_tokens {
            let token = NmToken::try_from(token).unwrap();
            self.tokens.put(token);
        }
        Ok(response)
    }

    pub(crate) async fn get_containers(&mut self, count: i32) -> Vec<Container> {
        let mut asked = pb::AllocateRequestProto {
            ask: vec![any(count)],
            ..Default::default()
        };
        let mut containers: Vec<Container> = Vec::new();
        while containers.len() < usize::try_from(count).unwrap() {
            let response = self.allocate(std::mem::take(&mut asked)).await.unwrap();
            containers.extend(
                response
                    .allocated_containers
                    .iter()
                    .map(|one| one.try_into().unwrap()),
            );
        }
        containers
    }

    pub(crate) async fn ends(&mut self) -> Vec<pb::ContainerStatusProto> {
        wait_for(async || {
            let answer = self.allocate(Default::default()).await.unwrap();
            let ends = answer.completed_container_statuses;
            (!ends.is_empty()).then_some(ends)
        })
        .await
    }

    pub(crate) fn nodes(&self) -> NodeManagers {
        NodeManagers::new(self.tokens.clone(), NmConfig::default())
    }

    pub(crate) async fn finish(&mut self, status: pb::FinalApplicationStatusProto) {
        let request = pb::FinishApplicationMasterRequestProto {
            diagnostics: Some("all said".into()),
            tracking_url: None,
            final_application_status: Some(status as i32),
        };
        wait_for(async || {
            let answer: Result<pb::FinishApplicationMasterResponseProto, _> =
                self.rpc.call("finishApplicationMaster", &request).await;
            answer.unwrap().is_unregistered().then_some(())
        })
        .await;
    }
}

pub(crate) fn any(count: i32) -> pb::ResourceRequestProto {
    pb::ResourceRequestProto {
        priority: Some(pb::PriorityProto { priority: Some(1) }),
        resource_name: Some("*".into()),
        capability: Some(pb::ResourceProto {
            memory: Some(64),
            virtual_cores: Some(1),
            ..Default::default()
        }),
        num_containers: Some(count),
        ..Default::default()
    }
}

pub(crate) fn shell(command: &str) -> ContainerLaunchContext {
    ContainerLaunchContext {
        commands: vec![format!("{{ {command}; }} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr")],
        ..Default::default()
    }
}

pub(crate) fn class_of(error: &RpcError) -> String {
    error
        .exception()
        .map(|exception| exception.class.clone())
        .unwrap_or_else(|| error.to_string())
}
