//! The input and output of the client: one HTTP exchange after the other, within a deadline.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use hadoop::retry::Backoff;
use http::Request;
use reqwest::{Response, Url};
use tokio::time::{sleep, timeout};

use super::BuildError;
use super::address::Endpoints;
use super::answer::{Head, classify};
use super::failover::{Failover, Outcome, Step};
use crate::error::Error;
use crate::request::Replay;

/// How long and how often to try.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) attempt: Duration,
    pub(crate) rounds: u32,
    pub(crate) backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            attempt: Duration::from_secs(10),
            rounds: 3,
            backoff: Backoff::RESOURCE_MANAGER,
        }
    }
}

/// Sends requests. Holds the connections.
#[derive(Debug)]
pub(crate) struct Transport {
    limits: Limits,
    http: reqwest::Client,
    https: OnceLock<reqwest::Client>,
}

/// What an exchange gave: the whole answer, or one whose body is still to be read.
#[derive(Debug)]
pub(crate) enum Reply {
    Whole(Bytes),
    Streaming(Response),
}

impl Reply {
    /// The next bytes of the body; none at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Whole(body) => Ok(Some(std::mem::take(body)).filter(|body| !body.is_empty())),
            Self::Streaming(response) => response.chunk().await.map_err(|error| interrupted(&error)),
        }
    }

    /// All of the body.
    async fn whole(self) -> Result<Bytes, Error> {
        match self {
            Self::Whole(body) => Ok(body),
            Self::Streaming(response) => response.bytes().await.map_err(|error| interrupted(&error)),
        }
    }
}

/// What to do with the body of an answer that is a success.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Whole,
    Streaming,
}

impl Transport {
    pub(crate) fn new(limits: Limits, https: Option<reqwest::Client>) -> Result<Self, BuildError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(BuildError::NoTlsProvider);
        }
        // No certificate is ever checked on http, and reading the system's takes longer than all the rest.
        let http = http_client()
            .tls_certs_only([])
            .build()
            .map_err(|error| BuildError::Http(root_cause(&error)))?;
        let https = https.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self { limits, http, https })
    }

    /// The time one exchange has.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.limits.attempt
    }

    /// Sends a request until somebody answers it, and gives the body of the answer.
    pub(crate) async fn send(&self, endpoints: &Endpoints, request: &Request<Bytes>) -> Result<Bytes, Error> {
        self.exchange(endpoints, request, Reading::Whole)
            .await?
            .whole()
            .await
    }

    /// The same, with the body still to be read.
    pub(crate) async fn open(&self, endpoints: &Endpoints, request: &Request<Bytes>) -> Result<Reply, Error> {
        self.exchange(endpoints, request, Reading::Streaming).await
    }

    async fn exchange(
        &self,
        endpoints: &Endpoints,
        request: &Request<Bytes>,
        reading: Reading,
    ) -> Result<Reply, Error> {
        let replay = request.extensions().get().copied().unwrap_or(Replay::Unsafe);
        let order = endpoints.in_order();
        let mut failover = Failover::new(order, request.uri().clone(), replay, self.limits.rounds);
        let tries = self.try_until_done(&mut failover, request, reading);
        let result = timeout(self.limits.deadline, tries).await;
        match result {
            Ok(Ok(reply)) => {
                failover.current().inspect(|address| endpoints.learn(address));
                Ok(reply)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failover.into_deadline(self.limits.deadline)),
        }
    }

    async fn try_until_done(
        &self,
        failover: &mut Failover,
        request: &Request<Bytes>,
        reading: Reading,
    ) -> Result<Reply, Error> {
        let mut delays = self.limits.backoff.delays();
        let mut last = None;
        let mut step = failover.resume();
        loop {
            step = match step {
                Step::Send(url) => {
                    let (outcome, reply) = self.try_once(request, &url, reading).await;
                    tracing::debug!(method = %request.method(), %url, ?outcome, "asked");
                    last = reply;
                    failover.after(outcome)
                }
                Step::Pause => {
                    sleep(delays.next_delay()).await;
                    failover.resume()
                }
                Step::Deliver => {
                    return last.ok_or_else(|| Error::Interrupted("the answer is gone".to_owned()));
                }
                Step::GiveUp(error) => return Err(error),
            };
        }
    }

    async fn try_once(
        &self,
        request: &Request<Bytes>,
        url: &Url,
        reading: Reading,
    ) -> (Outcome, Option<Reply>) {
        let limit = self.limits.attempt;
        match timeout(limit, self.converse(request, url, reading)).await {
            Err(_) => (Outcome::Broken(format!("no answer within {limit:?}")), None),
            Ok(Err(error)) if error.is_connect() => (Outcome::Unreached(root_cause(&error)), None),
            Ok(Err(error)) => (Outcome::Broken(root_cause(&error)), None),
            Ok(Ok((outcome, reply))) => (outcome, Some(reply)),
        }
    }

    /// One request and its answer.
    async fn converse(
        &self,
        request: &Request<Bytes>,
        url: &Url,
        reading: Reading,
    ) -> Result<(Outcome, Reply), reqwest::Error> {
        let mut outgoing = reqwest::Request::new(request.method().clone(), url.clone());
        request.headers().clone_into(outgoing.headers_mut());
        *outgoing.body_mut() = Some(request.body().clone().into());
        let response = self.http_for(url)?.execute(outgoing).await?;
        if reading == Reading::Streaming && response.status().is_success() {
            return Ok((Outcome::Done, Reply::Streaming(response)));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let head = Head {
            method: request.method(),
            url,
            status,
            headers: &headers,
        };
        Ok((classify(&head, &body), Reply::Whole(body)))
    }

    fn http_for(&self, url: &Url) -> Result<&reqwest::Client, reqwest::Error> {
        if url.scheme() != "https" {
            return Ok(&self.http);
        }
        if let Some(https) = self.https.get() {
            return Ok(https);
        }
        let https = http_client().build()?;
        Ok(self.https.get_or_init(|| https))
    }
}

fn interrupted(error: &reqwest::Error) -> Error {
    Error::Interrupted(root_cause(error))
}

/// Redirects are followed by the failover machine, which must see them; a proxy of the environment is not
/// for daemons of the cluster.
fn http_client() -> reqwest::ClientBuilder {
    let agent = concat!("yarn-rest/", env!("CARGO_PKG_VERSION"));
    let builder = reqwest::Client::builder()
        .user_agent(agent)
        .http1_only()
        .no_proxy();
    builder.redirect(reqwest::redirect::Policy::none())
}

/// The innermost cause, which names the trouble ("Connection refused"); the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
