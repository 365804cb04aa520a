//! Native clients for YARN's RPC protocols: no JVM, no JNI, no protobuf compiler.
//!
//! | module | protocol | for |
//! |---|---|---|
//! | [`client_rm`] | ApplicationClientProtocol | submitting, watching and killing applications |
//! | [`session`] | ApplicationMasterProtocol | being an ApplicationMaster: registration, heartbeats, asks, restarts of the ResourceManager, the end |
//! | [`am_rm`] | the same, call by call | other ways to be one |
//! | [`am_nm`] | ContainerManagementProtocol | starting, stopping and asking about containers |
//! | [`client`], [`connection`] | Hadoop RPC version 9 | any other Hadoop service |
//!
//! Every part is a pure machine with a thin shell of tokio around it. [`connection`] and
//! [`session::SessionMachine`] see bytes and answers, never a socket or a clock, and can be driven by tests and
//! simulations, or by another runtime. The shells ([`client::RpcClient`], [`session::AmSession`],
//! [`am_nm::NodeManagers`]) own sockets and deadlines: **every connect and every call has one**.
//!
//! Authentication is by token (SASL DIGEST-MD5 with the protections authentication, integrity and privacy, which is
//! what ApplicationMasters and NodeManagers use on every cluster) or by name (clients of clusters without Kerberos).
//! Kerberos itself is not supported.
//!
//! Checked byte for byte against exchanges recorded from live daemons, and against live clusters of Hadoop 3.3.6,
//! 3.4.3 and 3.5.0, with restarts of and failovers between ResourceManagers.
//!
//! # An ApplicationMaster in a page
//!
//! ```no_run
//! use hadoop::credentials::Token;
//! use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
//! use yarn_rpc::client::RpcConfig;
//! use yarn_rpc::records::{AllocationRequestId, ContainerLaunchContext, Priority, Resource};
//! use yarn_rpc::session::{
//!     AmSession, Ask, AskKey, FinalStatus, GrantSeq, Pacing, SessionCommand, SessionConfig, SessionEvent,
//! };
//!
//! # async fn example(token: Token) -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = NmTokenStore::new();
//! let nodes = NodeManagers::new(tokens.clone(), NmConfig::default());
//! let (session, mut events) = AmSession::start(SessionConfig {
//!     resource_managers: vec!["rm1:8030".into(), "rm2:8030".into()],
//!     token, // of kind YARN_AM_RM_TOKEN, from the file that HADOOP_TOKEN_FILE_LOCATION names
//!     host: "worker7".into(),
//!     rpc_port: None,
//!     tracking_url: Some("http://worker7:4040/".into()),
//!     pacing: Pacing::default(),
//!     rpc: RpcConfig::default(),
//!     nm_tokens: tokens,
//! });
//! let ask = Ask {
//!     key: AskKey::any(Priority(1), AllocationRequestId(1)),
//!     capability: Resource::new(512, 1),
//!     count: 1,
//!     relax_locality: true,
//!     node_label: None,
//! };
//! session.send(SessionCommand::SetAsk { ask, as_of: GrantSeq::default() }).await?;
//! while let Some(event) = events.recv().await {
//!     match event {
//!         SessionEvent::Allocated { containers, .. } => {
//!             for container in containers {
//!                 let commands = vec!["/bin/sleep 10 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".into()];
//!                 let context = ContainerLaunchContext { commands, ..Default::default() };
//!                 nodes.start_container(&container, &context).await?;
//!                 session.send(SessionCommand::Started(container.id)).await?;
//!             }
//!         }
//!         SessionEvent::Completed(_) => {
//!             let (status, diagnostics) = (FinalStatus::Succeeded, "slept well".to_owned());
//!             session.send(SessionCommand::Unregister { status, diagnostics, tracking_url: None }).await?;
//!         }
//!         // Another attempt has taken over: stop everything, say nothing.
//!         SessionEvent::Superseded { reason } => return Err(reason.into()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/unmanaged_am.rs` is a whole application in one process that can be tried on any cluster.

pub mod am_nm;
pub mod am_rm;
pub mod client;
pub mod client_rm;
pub mod connection;
pub mod error;
pub mod proto;
pub mod records;
pub mod session;
