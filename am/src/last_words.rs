//! The end of a lost executor's standard error, from its NodeManager.
//!
//! NodeManagers serve the logs of a container while its application runs (`NMWebServices`), so they must be read at
//! the moment of the loss: afterwards they are collected into files that need their own reader, or are gone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hadoop::ids::ContainerId;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use yarn_rest::request::LogRange;
use yarn_rest::{Auth, Client};

use crate::dossier::STDERR_TAIL;

/// The longest that reading one log may take, its turn included.
const DEADLINE: Duration = Duration::from_secs(10);
/// Logs that are read at a time.
const PARALLEL: usize = 8;
/// The file that the launcher sends standard error to.
const FILE: &str = "stderr";

/// Reads logs. Cheap to clone; nothing is set up before the first log.
#[derive(Debug, Clone)]
pub(crate) struct LastWords {
    user: String,
    client: Arc<OnceLock<Option<Client>>>,
    turns: Arc<Semaphore>,
}

impl LastWords {
    /// A reader that calls as `user`, which is who NodeManagers of simple clusters show logs to.
    #[must_use]
    pub(crate) fn new(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            client: Arc::default(),
            turns: Arc::new(Semaphore::new(PARALLEL)),
        }
    }

    /// The last of the container's standard error, at most [`STDERR_TAIL`] bytes; empty when it cannot be had in
    /// time, which is not worth more than a line in our own log.
    pub(crate) async fn of(self, container: ContainerId, node_http: String) -> String {
        match timeout(DEADLINE, self.read(container, &node_http)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => {
                tracing::debug!(%container, node_http, error = format!("{error:#}"), "no last words");
                String::new()
            }
            Err(_) => {
                tracing::debug!(%container, node_http, "no last words in time");
                String::new()
            }
        }
    }

    async fn read(&self, container: ContainerId, node_http: &str) -> anyhow::Result<String> {
        let _turn = self.turns.acquire().await?;
        let client = self.client.get_or_init(|| self.connect(node_http)).clone();
        let client = client.ok_or_else(|| anyhow::anyhow!("no client for logs"))?;
        let range = LogRange::Last(STDERR_TAIL as u64);
        let log = client.node(node_http)?.log(container, FILE, range).await?;
        let bytes = log.read_to_end().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The client wants an address to begin with; those of other nodes share its connections.
    fn connect(&self, node_http: &str) -> Option<Client> {
        let auth = Auth::simple(self.user.as_str());
        let built = Client::builder(auth)
            .resource_manager(node_http)
            .rounds(1)
            .deadline(DEADLINE)
            .build();
        built
            .inspect_err(|error| tracing::warn!(%error, "logs of lost executors cannot be read"))
            .ok()
    }
}
