//! Clients of the daemons that have logs: NodeManagers and the log server.

use std::sync::Arc;

use bytes::Bytes;
use hadoop::ids::{ApplicationId, ContainerId};
use http::Request;
use tokio::time::timeout;

use super::address::Endpoints;
use super::transport::{Reply, Transport};
use super::{BuildError, list, object};
use crate::auth::Auth;
use crate::container_log::{LogPart, LogUnwrapper};
use crate::error::{Error, Tried};
use crate::model::{LogFiles, NodeContainer};
use crate::request::{self, LogRange};

/// A daemon that is alone.
#[derive(Debug, Clone)]
struct Daemon {
    transport: Arc<Transport>,
    endpoints: Arc<Endpoints>,
}

impl Daemon {
    fn new(transport: Arc<Transport>, address: &str) -> Result<Self, BuildError> {
        Ok(Self {
            transport,
            endpoints: Arc::new(Endpoints::single(address.parse()?)),
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Bytes, Error> {
        self.transport.send(&self.endpoints, &request).await
    }

    /// The list of files comes as one object per place, in a list or alone.
    async fn log_files(&self, request: Request<Bytes>) -> Result<Vec<LogFiles>, Error> {
        list(&self.send(request).await?, &["containerLogsInfo"])
    }

    async fn log(&self, request: Request<Bytes>, range: LogRange) -> Result<LogReader, Error> {
        let reply = self.transport.open(&self.endpoints, &request).await?;
        Ok(LogReader {
            transport: Arc::clone(&self.transport),
            reply,
            log: LogUnwrapper::new(range),
        })
    }
}

/// A client of one NodeManager, from [`Client::node`](crate::Client::node). A NodeManager serves the logs of
/// containers whose application still runs; for the others it redirects to the log server or answers 404.
#[derive(Debug, Clone)]
pub struct NodeClient {
    daemon: Daemon,
    requests: request::NodeManager,
}

impl NodeClient {
    pub(super) fn new(transport: Arc<Transport>, auth: Auth, address: &str) -> Result<Self, BuildError> {
        Ok(Self {
            daemon: Daemon::new(transport, address)?,
            requests: request::NodeManager::new(auth),
        })
    }

    /// The containers on the node.
    pub async fn containers(&self) -> Result<Vec<NodeContainer>, Error> {
        let body = self.daemon.send(self.requests.containers()?).await?;
        list(&body, &["containers", "container"])
    }

    /// One container.
    pub async fn container(&self, container: ContainerId) -> Result<NodeContainer, Error> {
        object(
            &self.daemon.send(self.requests.container(container)?).await?,
            "container",
        )
    }

    /// The log files of a container, one entry per place where it has some.
    pub async fn log_files(&self, container: ContainerId) -> Result<Vec<LogFiles>, Error> {
        self.daemon
            .log_files(self.requests.container_logs(container)?)
            .await
    }

    /// A log file, to be read as it arrives.
    pub async fn log(&self, container: ContainerId, file: &str, range: LogRange) -> Result<LogReader, Error> {
        self.daemon
            .log(self.requests.container_log(container, file, range)?, range)
            .await
    }
}

/// A client of the log server, from [`Client::log_server`](crate::Client::log_server).
#[derive(Debug, Clone)]
pub struct LogServerClient {
    daemon: Daemon,
    requests: request::LogServer,
}

impl LogServerClient {
    pub(super) fn new(transport: Arc<Transport>, auth: Auth, address: &str) -> Result<Self, BuildError> {
        Ok(Self {
            daemon: Daemon::new(transport, address)?,
            requests: match address.contains("/applicationhistory") {
                true => request::LogServer::new(auth).of_application_history(),
                false => request::LogServer::new(auth),
            },
        })
    }

    /// The log files of every container of an application.
    pub async fn application_log_files(&self, app: ApplicationId) -> Result<Vec<LogFiles>, Error> {
        self.daemon.log_files(self.requests.application_logs(app)?).await
    }

    /// The log files of a container, one entry per place where it has some.
    pub async fn log_files(&self, container: ContainerId) -> Result<Vec<LogFiles>, Error> {
        self.daemon
            .log_files(self.requests.container_logs(container)?)
            .await
    }

    /// A log file, to be read as it arrives.
    pub async fn log(&self, container: ContainerId, file: &str, range: LogRange) -> Result<LogReader, Error> {
        self.daemon
            .log(self.requests.container_log(container, file, range)?, range)
            .await
    }
}

/// A log file that arrives. It holds one piece at a time; each piece has the time of one attempt to come.
#[derive(Debug)]
pub struct LogReader {
    transport: Arc<Transport>,
    reply: Reply,
    log: LogUnwrapper,
}

impl LogReader {
    /// The next piece, header and end included; none when all has come.
    pub async fn next_part(&mut self) -> Result<Option<LogPart>, Error> {
        loop {
            if let Some(part) = self.log.next_part()? {
                return Ok(Some(part));
            }
            match self.receive().await? {
                Some(bytes) => self.log.push(&bytes),
                None => {
                    self.log.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// The next bytes of the file; none when all have come.
    pub async fn next_contents(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(part) = self.next_part().await? {
            if let LogPart::Contents(bytes) = part {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// All of the file that is still to come.
    pub async fn read_to_end(mut self) -> Result<Vec<u8>, Error> {
        let mut contents = Vec::new();
        while let Some(bytes) = self.next_contents().await? {
            contents.extend_from_slice(&bytes);
        }
        Ok(contents)
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        let after = self.transport.attempt_timeout();
        let received = timeout(after, self.reply.next()).await;
        received.unwrap_or_else(|_| {
            Err(Error::Deadline {
                after,
                tried: Tried::default(),
            })
        })
    }
}
