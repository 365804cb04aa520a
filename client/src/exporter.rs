//! Makes every running application of a cluster visible to Prometheus with one scrape configuration.
//!
//! ApplicationMasters come and go, on ports that nobody knows before. The exporter is the one fixed point: it asks the
//! ResourceManager at an interval which applications run, lists them for Prometheus's HTTP service discovery, and
//! relays their metrics through the ResourceManager's proxy, which always knows the current attempt.
//!
//! - [`fleet`]: what is known of all applications, and the metrics made of it. Pure.
//! - [`samples`]: the last metrics of each application, so that one that lived for seconds is not lost.
//! - [`targets`]: the list for service discovery.
//!
//! One task owns all state ([`Exporter`]); asking an application is a side task that gives its answer back to it.
//!
//! Invariant J: state is kept for running applications, and for ended ones as long as `--keep` says.

pub(crate) mod fleet;
pub(crate) mod samples;
pub(crate) mod targets;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use am::web::server::WebServer;
use am::web::{Answer, Query};
use bytes::Bytes;
use hadoop::ids::ApplicationId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use yarn_rest::request::{AppFilter, AppPart};
use yarn_rest::{AppReport, AppState, Client};

use crate::pages;
use fleet::Fleet;
use samples::Samples;
use targets::Addresses;

/// What Prometheus 3 accepts without a setting of its own.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Applications asked at a time; others wait their turn.
const MOST_ASKED: usize = 16;

/// What the command line decides.
pub(crate) struct Options {
    pub(crate) interval: Duration,
    pub(crate) keep: Duration,
    pub(crate) file_sd: Option<PathBuf>,
    pub(crate) addresses: Addresses,
    pub(crate) user: String,
}

/// The daemon's state.
pub(crate) struct Exporter {
    client: Client,
    options: Options,
    fleet: Fleet,
    samples: Samples,
    asked: JoinSet<Asked>,
}

/// An application that was asked for its metrics.
struct Asked {
    app: ApplicationId,
    metrics: anyhow::Result<Option<Bytes>>,
    reply: Option<oneshot::Sender<Answer>>,
}

impl Exporter {
    pub(crate) fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            fleet: Fleet::new(now()),
            samples: Samples::new(options.keep),
            asked: JoinSet::new(),
            options,
        }
    }

    /// Answers until `stop` is done.
    pub(crate) async fn serve(mut self, server: WebServer, stop: impl Future<Output = ()>) {
        let (sender, mut queries) = mpsc::channel(64);
        let mut serving = JoinSet::new();
        serving.spawn(server.serve(am::web::proxy::Visitors::Anyone, sender));
        let mut tick = tokio::time::interval(self.options.interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = tick.tick() => {
                    self.look().await;
                    self.publish();
                }
                Some(query) = queries.recv() => self.answer(query),
                Some(asked) = self.asked.join_next() => self.told(asked),
                Some(Err(error)) = serving.join_next() => {
                    tracing::error!(%error, "the web server has ended");
                    return;
                }
            }
        }
    }

    /// Asks the ResourceManager once, then every application that is new to us.
    pub(crate) async fn look(&mut self) {
        let reports = applications(&self.client, self.fleet.since()).await;
        if let Err(error) = &reports {
            tracing::warn!(%error, "the ResourceManager does not list its applications");
        }
        self.fleet.looked(now(), reports.ok());
        self.samples.forget(now(), &self.fleet);
        let unseen: Vec<AppReport> = self
            .fleet
            .running()
            .filter(|report| !self.samples.has(report.id))
            .cloned()
            .collect();
        for report in unseen.iter().take(MOST_ASKED) {
            self.ask(report, None);
        }
    }

    fn publish(&self) {
        if let (Some(file), Some(targets)) = (&self.options.file_sd, self.targets())
            && let Err(error) = targets::write(file, &targets)
        {
            tracing::warn!(%error, file = %file.display(), "the list of targets cannot be written");
        }
    }

    /// The targets as JSON; none while the ResourceManager has never answered, or not for some time.
    pub(crate) fn targets(&self) -> Option<String> {
        let known = self.fleet.known(now(), self.options.interval * 3)?;
        let kept = known.filter(|report| report.state == AppState::Running || self.samples.has(report.id));
        Some(targets::json(kept, &self.options.addresses))
    }

    fn ask(&mut self, report: &AppReport, reply: Option<oneshot::Sender<Answer>>) {
        let (report, user) = (report.clone(), self.options.user.clone());
        self.asked.spawn(async move {
            Asked {
                app: report.id,
                metrics: pages::fetch(&report, &user, "metrics", OPEN_METRICS).await,
                reply,
            }
        });
    }

    fn told(&mut self, asked: Result<Asked, tokio::task::JoinError>) {
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => return tracing::error!(%error, "asking an application failed"),
        };
        match asked.metrics {
            Ok(Some(metrics)) => self.samples.keep(asked.app, metrics),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(app = %asked.app, %error, "no metrics");
                self.fleet.unanswered();
            }
        }
        if let Some(reply) = asked.reply {
            // Whoever asked may have hung up.
            let _ = reply.send(self.sample(asked.app));
        }
    }

    /// The newest sample, whatever its age: it says itself that it is of an ended application by not changing.
    fn sample(&self, app: ApplicationId) -> Answer {
        match self.samples.get(app) {
            Some(sample) => text(200, OPEN_METRICS, sample),
            None => plain(502, &format!("{app} does not answer through the proxy")),
        }
    }

    fn answer(&mut self, query: Query) {
        let path = query.request.path.as_str();
        let answer = match path {
            "/" => plain(200, INDEX),
            "/healthz" => plain(200, "ok"),
            "/metrics" => text(200, OPEN_METRICS, self.fleet.metrics(now())),
            "/sd" => match self.targets() {
                Some(json) => text(200, "application/json", json),
                None => plain(503, "the ResourceManager does not answer"),
            },
            _ => match relayed(path) {
                Some(app) => return self.relay(app, query.reply),
                None => plain(404, "there is no such page; look at /"),
            },
        };
        let _ = query.reply.send(answer);
    }

    fn relay(&mut self, app: ApplicationId, reply: oneshot::Sender<Answer>) {
        let running = self.fleet.running().find(|report| report.id == app).cloned();
        match running {
            Some(report) if self.asked.len() < MOST_ASKED => self.ask(&report, Some(reply)),
            Some(_) => drop(reply.send(self.sample(app))),
            None if self.samples.has(app) => drop(reply.send(self.sample(app))),
            None => drop(reply.send(plain(404, &format!("no application {app} runs")))),
        }
    }
}

const INDEX: &str = "drawloom exporter\n\n\
    /sd                  running applications, for http_sd_configs of Prometheus\n\
    /metrics             applications of the cluster by queue and state\n\
    /app/<id>/metrics    the metrics of one application\n\
    /healthz             whether this answers";

/// The application of `/app/<id>/metrics`.
fn relayed(path: &str) -> Option<ApplicationId> {
    path.strip_prefix("/app/")?.strip_suffix("/metrics")?.parse().ok()
}

/// Running applications of our type, and those that have ended since we started.
async fn applications(client: &Client, since: u64) -> Result<Vec<AppReport>, yarn_rest::Error> {
    let filter = |states: &[AppState], finished_from| AppFilter {
        states: states.to_vec(),
        application_types: vec!["DRAWLOOM".to_owned()],
        finished_from,
        without: vec![AppPart::ResourceRequests, AppPart::Timeouts],
        ..AppFilter::default()
    };
    let alive = [
        AppState::New,
        AppState::NewSaving,
        AppState::Submitted,
        AppState::Accepted,
        AppState::Running,
    ];
    let ended = [AppState::Finished, AppState::Failed, AppState::Killed];
    let mut reports = client.applications(&filter(&alive, None)).await?;
    reports.extend(client.applications(&filter(&ended, Some(since))).await?);
    Ok(reports)
}

fn text(status: u16, content_type: &'static str, body: String) -> Answer {
    Answer {
        status,
        content_type,
        body,
    }
}

fn plain(status: u16, body: &str) -> Answer {
    text(status, "text/plain; charset=utf-8", format!("{body}\n"))
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_is_relayed() {
        assert!(relayed("/app/application_1700000000000_0001/metrics").is_some());
        for path in [
            "/app/x/metrics",
            "/app/application_1700000000000_0001",
            "/app//metrics",
        ] {
            assert_eq!(relayed(path), None, "{path}");
        }
    }
}
