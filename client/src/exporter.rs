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
//! One task owns all state ([`Exporter`]); asking the ResourceManager or an application is a side task that gives its
//! answer back to it, so that pages are served whatever does not answer.
//!
//! A running application that does not answer is no sample: Prometheus then sets `up` to 0, which alerts are made of.
//! Only of an application that has ended the last sample is shown.
//!
//! Invariant J: state is kept for running applications, and for ended ones as long as `--keep` says.

pub(crate) mod fleet;
pub(crate) mod samples;
pub(crate) mod targets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use am::web::server::WebServer;
use am::web::{Answer, Query};
use bytes::Bytes;
use hadoop::ids::ApplicationId;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use yarn_rest::request::{AppFilter, AppPart};
use yarn_rest::{AppReport, AppState, Client};

use crate::pages;
use fleet::Fleet;
use samples::Samples;
use targets::Addresses;

/// What Prometheus 3 accepts without a setting of its own.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Applications asked at a time; others wait their turn for [`TURN`].
const MOST_ASKED: usize = 16;
/// How long an application may wait to be asked. With the answer's own deadline this stays within the ten seconds that
/// Prometheus takes for a scrape.
const TURN: Duration = Duration::from_secs(2);
/// How long the ResourceManager may take to say whether an application that does not answer has ended.
const END: Duration = Duration::from_secs(2);
/// Ended applications are listed from so many intervals before the last look on.
const OVERLAP: u32 = 3;

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
    work: JoinSet<Done>,
    /// The ResourceManager is being asked.
    looking: bool,
    /// A permit for each application that may be asked.
    turns: Arc<Semaphore>,
}

/// What a side task has done.
enum Done {
    Looked(Result<Vec<AppReport>, yarn_rest::Error>),
    Asked(Asked),
}

/// An application that was asked for its metrics.
struct Asked {
    app: ApplicationId,
    heard: Heard,
    reply: Option<oneshot::Sender<Answer>>,
}

/// What was heard of an application.
enum Heard {
    Metrics(Bytes),
    /// It does not answer, because it is over.
    Ended,
    /// It does not answer.
    Nothing(String),
    /// Too many others are asked.
    Busy,
}

impl Exporter {
    pub(crate) fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            fleet: Fleet::new(now()),
            samples: Samples::new(options.keep),
            work: JoinSet::new(),
            looking: false,
            turns: Arc::new(Semaphore::new(MOST_ASKED)),
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
                _ = tick.tick() => self.begin_look(),
                Some(query) = queries.recv() => self.answer(query),
                Some(done) = self.work.join_next() => self.take(done),
                Some(Err(error)) = serving.join_next() => {
                    tracing::error!(%error, "the web server has ended");
                    return;
                }
            }
        }
    }

    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Looked(reports)) => {
                self.looking = false;
                self.looked(reports);
                self.publish();
            }
            Ok(Done::Asked(asked)) => self.told(asked),
            Err(error) => {
                self.looking = false;
                tracing::error!(%error, "asking failed");
            }
        }
    }

    /// Asks the ResourceManager in a side task, unless it still owes an answer.
    fn begin_look(&mut self) {
        if !std::mem::replace(&mut self.looking, true) {
            let (client, ended_from) = (self.client.clone(), self.ended_from());
            self.work
                .spawn(async move { Done::Looked(applications(&client, ended_from).await) });
        }
    }

    /// Asks the ResourceManager once.
    pub(crate) async fn look(&mut self) {
        let reports = applications(&self.client, self.ended_from()).await;
        self.looked(reports);
    }

    /// Since when ended applications are wanted: those that may not be counted yet, and those with a sample.
    fn ended_from(&self) -> u64 {
        let Options { keep, interval, .. } = self.options;
        self.fleet.ended_from(keep.max(interval * OVERLAP))
    }

    /// Takes the list, then asks every application that is new to us.
    fn looked(&mut self, reports: Result<Vec<AppReport>, yarn_rest::Error>) {
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
        let (client, turns) = (self.client.clone(), Arc::clone(&self.turns));
        let (report, user) = (report.clone(), self.options.user.clone());
        self.work.spawn(async move {
            let heard = match timeout(TURN, turns.acquire_owned()).await {
                Ok(Ok(_turn)) => hear(&client, &report, &user).await,
                // Nobody closes the semaphore.
                Ok(Err(_)) | Err(_) => Heard::Busy,
            };
            Done::Asked(Asked {
                app: report.id,
                heard,
                reply,
            })
        });
    }

    fn told(&mut self, asked: Asked) {
        let app = asked.app;
        let answer = match asked.heard {
            Heard::Metrics(metrics) => {
                self.samples.keep(app, metrics);
                self.last_sample(app)
            }
            Heard::Ended => self.last_sample(app),
            Heard::Nothing(why) => {
                tracing::debug!(%app, why, "no metrics");
                self.fleet.unanswered();
                silent(app)
            }
            Heard::Busy => {
                self.fleet.unanswered();
                let why = format!("{MOST_ASKED} other applications are being asked and do not answer");
                plain(503, &why)
            }
        };
        if let Some(reply) = asked.reply {
            // Whoever asked may have hung up.
            let _ = reply.send(answer);
        }
    }

    /// The newest sample, whatever its age: it says itself that it is of an ended application by not changing.
    fn last_sample(&self, app: ApplicationId) -> Answer {
        match self.samples.get(app) {
            Some(sample) => text(200, OPEN_METRICS, sample),
            None => silent(app),
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
            Some(report) => self.ask(&report, Some(reply)),
            None if self.samples.has(app) => drop(reply.send(self.last_sample(app))),
            None => drop(reply.send(plain(404, &format!("no application {app} runs")))),
        }
    }
}

/// Asks a running application for its metrics.
async fn hear(client: &Client, report: &AppReport, user: &str) -> Heard {
    let why = match pages::fetch(report, user, "metrics", OPEN_METRICS).await {
        Ok(Some(metrics)) => return Heard::Metrics(metrics),
        Ok(None) => "it has no pages yet".to_owned(),
        Err(error) => error.to_string(),
    };
    // It may have ended since the last look at all applications.
    match timeout(END, client.application(report.id)).await {
        Ok(Ok(report)) if report.is_final() => Heard::Ended,
        _ => Heard::Nothing(why),
    }
}

fn silent(app: ApplicationId) -> Answer {
    plain(502, &format!("{app} does not answer through the proxy"))
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

/// Running applications of our type, and those that have ended since `ended_from`, in milliseconds since 1970.
async fn applications(client: &Client, ended_from: u64) -> Result<Vec<AppReport>, yarn_rest::Error> {
    let filter = |states: &[AppState], finished_from| AppFilter {
        states: states.to_vec(),
        application_types: vec!["DRAWLOOM".to_owned()],
        finished_from,
        without: vec![AppPart::ResourceRequests, AppPart::Timeouts],
        ..AppFilter::default()
    };
    let ended = [AppState::Finished, AppState::Failed, AppState::Killed];
    let mut reports = client.applications(&filter(&AppState::ALIVE, None)).await?;
    reports.extend(client.applications(&filter(&ended, Some(ended_from))).await?);
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
#[path = "exporter/tests.rs"]
mod tests;
