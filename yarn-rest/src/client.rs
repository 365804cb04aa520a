//! The client: requests, sent to ResourceManagers in turn until one answers.
//!
//! A [`Client`] is a cheap handle; clones share connections and the knowledge of which ResourceManager is
//! active. What to do after each try is decided by a pure state machine (`failover`); what an answer means
//! by pure functions (`answer`). This module and its `transport` only do the input and output.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hadoop::retry::Backoff;
use http::Request;
use serde::de::DeserializeOwned;

use crate::auth::Auth;
use crate::error::Error;
use crate::lenient;
use crate::request::{self, Built};

mod address;
mod answer;
mod build_error;
mod failover;
mod log_clients;
mod resource_manager;
mod transport;

pub use build_error::BuildError;
pub use log_clients::{LogReader, LogServerClient, NodeClient};
pub use resource_manager::KillProgress;

use address::{Address, Endpoints};
use transport::{Limits, Transport};

/// Builds a [`Client`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    addresses: Vec<String>,
    auth: Auth,
    limits: Limits,
    https: Option<reqwest::Client>,
}

impl ClientBuilder {
    /// Adds the web address of a ResourceManager: `host:port`, or a URL if it is `https`. With several, put
    /// the one that is probably active first.
    pub fn resource_manager(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// How long a call may take, with all tries and pauses (30 s). Every call has this deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How long one address may take to answer before the next is tried (10 s).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.limits.attempt = timeout;
        self
    }

    /// How often all addresses are tried before they count as unreachable (3 times). While one of them says
    /// that it is a standby, a failover may be under way, and only the deadline ends the search.
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.limits.rounds = rounds.max(1);
        self
    }

    /// The pauses between rounds.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.limits.backoff = backoff;
        self
    }

    /// The HTTP client for `https` addresses, for a cluster with its own certificate authority. It must not
    /// follow redirects ([`reqwest::redirect::Policy::none`]). Without one, the system's certificates are
    /// loaded when the first `https` address is used, and never if none is.
    pub fn https_client(mut self, client: reqwest::Client) -> Self {
        self.https = Some(client);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// There is no address, one is not an address, or the program has not installed a TLS provider:
    /// reqwest asks for one even where only `http` is spoken. A program does that once, at its start:
    /// `rustls::crypto::aws_lc_rs::default_provider().install_default()`.
    pub fn build(self) -> Result<Client, BuildError> {
        let addresses: Result<Vec<Address>, BuildError> =
            self.addresses.iter().map(|text| text.parse()).collect();
        let endpoints = Endpoints::new(addresses?).ok_or(BuildError::NoAddress)?;
        let transport = Transport::new(self.limits, self.https)?;
        let requests = request::ResourceManager::new(self.auth.clone());
        Ok(Client {
            transport: Arc::new(transport),
            endpoints: Arc::new(endpoints),
            auth: self.auth,
            requests,
        })
    }
}

/// A client of the ResourceManagers of one cluster.
///
/// Every method is one call with the deadline of [`ClientBuilder::deadline`], sent to the ResourceManagers
/// in turn, the last active one first. Redirects of a standby are followed, with the body. Calls are
/// repeated only when that cannot do harm; submitting is repeated, because the ResourceManager knows a
/// second submission by its id.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
    endpoints: Arc<Endpoints>,
    auth: Auth,
    requests: request::ResourceManager,
}

impl Client {
    /// Starts building a client that calls as `auth`.
    pub fn builder(auth: Auth) -> ClientBuilder {
        ClientBuilder {
            addresses: Vec::new(),
            auth,
            limits: Limits::default(),
            https: None,
        }
    }

    /// A client of the NodeManager whose web address is `address`, as reports have it: `host:port` or a
    /// URL. It shares the connections of this client.
    pub fn node(&self, address: &str) -> Result<NodeClient, BuildError> {
        NodeClient::new(Arc::clone(&self.transport), self.auth.clone(), address)
    }

    /// A client of the log server at `address` (`mapreduce.jobhistory.webapp.address`, or the URL of
    /// `yarn.log.server.url`, whose path tells an ApplicationHistoryServer from a JobHistoryServer).
    pub fn log_server(&self, address: &str) -> Result<LogServerClient, BuildError> {
        LogServerClient::new(Arc::clone(&self.transport), self.auth.clone(), address)
    }

    /// The URL of the ResourceManager that answered last (at first, of the first one given).
    pub fn active(&self) -> String {
        self.endpoints.active()
    }

    /// Sends a request of [`request::ResourceManager`] and gives the body of its answer.
    ///
    /// For calls this client has no method for; its path must begin with `/`.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Bytes, Error> {
        self.transport.send(&self.endpoints, &request).await
    }

    async fn object<T: DeserializeOwned>(&self, request: Built, root: &'static str) -> Result<T, Error> {
        object(&self.send(request?).await?, root)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        request: Built,
        path: &[&'static str],
    ) -> Result<Vec<T>, Error> {
        list(&self.send(request?).await?, path)
    }
}

/// Reads a body that is one object, with or without its root key.
fn object<T: DeserializeOwned>(body: &[u8], root: &'static str) -> Result<T, Error> {
    lenient::body_object(body, root).map_err(|source| Error::malformed(root, source, body))
}

/// Reads a body that is a list below a path of keys.
fn list<T: DeserializeOwned>(body: &[u8], path: &[&'static str]) -> Result<Vec<T>, Error> {
    let expected = path.first().copied().unwrap_or("a list");
    lenient::body_list(body, path).map_err(|source| Error::malformed(expected, source, body))
}
