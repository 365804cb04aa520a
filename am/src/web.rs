//! The pages, the API and the metrics, behind the ResourceManager's proxy.
//!
//! Answering is a pure function ([`answer`]) from a [`Scene`], which borrows the loop's state, and a [`Request`]: the
//! server ([`server`]) only turns HTTP into requests, hands them to the loop and answers back. So pages need no lock
//! and tests need no socket.
//!
//! What the proxy forces: it passes GET, HEAD and PUT only, forwards few headers, copies one value of each answer
//! header, fails on answers without a body (so there is no 204 or 304), and all applications share its origin (so
//! there is a content security policy and every text is escaped). Links are relative and pages are flat.

mod date;
mod hadoop_pages;
mod html;
mod orders;
mod own;
mod page;
pub mod permissions;
pub mod proxy;
pub mod server;
mod spark;

use std::time::Duration;

use bytes::Bytes;
use driver::core::Driver;
use driver::event::Verdict;
use driver::plan::AppPlan;
use driver::view::{LocalityCounts, Snapshot, TaskOrder, TaskStatus, TaskView};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::configuration::Entry;
use crate::dossier::shelf::Shelf;
use crate::environment::Environment;
use crate::history::{Status, log_url};
use crate::metrics::{self, Metrics};
use crate::notes::Notes;
use crate::verdict;
use crate::vitals::Vitals;
pub use hadoop_pages::{LOG_LEVEL, log_level};
use launcher::core::Launcher;
use launcher::record::Record;
pub use orders::Order;

/// A request, reduced to what matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The path, decoded, with its leading slash.
    pub path: String,
    /// The parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The `Accept` header.
    pub accept: String,
    /// Who asks, as the proxy says.
    pub user: Option<String>,
    /// The body of an order, which its user may give.
    pub order: Option<Bytes>,
}

impl Request {
    /// The first value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that is a number; anything else counts as absent.
    fn number(&self, name: &str) -> Option<u32> {
        self.parameter(name)?.parse().ok()
    }
}

/// An answer; its body is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            content_type,
            body,
        }
    }

    fn html(body: String) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::new(200, "application/json; charset=utf-8", format!("{value:#}\n"))
    }

    /// A short text.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{body}\n"))
    }

    /// An order that is carried out; the text says what will come of it.
    pub(crate) fn accepted(what: &str) -> Self {
        Self {
            status: 202,
            ..Self::json(&serde_json::json!({ "accepted": what }))
        }
    }

    fn not_found() -> Self {
        Self::text(404, "there is no such page")
    }
}

/// A request on its way to the loop.
#[derive(Debug)]
pub struct Query {
    /// What is asked.
    pub request: Request,
    /// Takes the answer.
    pub reply: oneshot::Sender<Answer>,
}

/// What is known of the driver: everything when it is here, what it has shown last when it is in the client.
#[derive(Debug, Clone, Copy)]
pub enum DriverView<'a> {
    /// The core.
    Core(&'a Driver),
    /// Its state as relayed; single tasks are not.
    Relayed(&'a Snapshot),
}

impl DriverView<'_> {
    /// Everything but tasks.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        match self {
            Self::Core(driver) => driver.snapshot(),
            Self::Relayed(snapshot) => (*snapshot).clone(),
        }
    }

    /// Finished tasks, and tasks that are known.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        match self {
            Self::Core(driver) => driver.progress(),
            Self::Relayed(snapshot) => snapshot.progress,
        }
    }

    /// How near all attempts were to what they read.
    #[must_use]
    pub fn placed(&self) -> LocalityCounts {
        match self {
            Self::Core(driver) => driver.placed(),
            Self::Relayed(snapshot) => snapshot.placed(),
        }
    }

    /// Tasks of a stage, from partition `from` on, at most `limit`.
    #[must_use]
    pub fn tasks(&self, stage: u32, from: u32, limit: usize) -> Vec<TaskView> {
        match self {
            Self::Core(driver) => driver.tasks(stage, from, limit),
            Self::Relayed(_) => Vec::new(),
        }
    }

    /// As [`Driver::find_tasks`]; nothing of a driver elsewhere.
    #[must_use]
    pub fn find_tasks(
        &self,
        stage: u32,
        status: Option<TaskStatus>,
        order: TaskOrder,
        from: usize,
        limit: usize,
    ) -> (Vec<TaskView>, usize) {
        match self {
            Self::Core(driver) => driver.find_tasks(stage, status, order, from, limit),
            Self::Relayed(_) => (Vec::new(), 0),
        }
    }

    /// As [`Driver::task_durations`]; nothing of a driver elsewhere.
    #[must_use]
    pub fn task_durations(&self, stage: u32) -> Vec<u32> {
        match self {
            Self::Core(driver) => driver.task_durations(stage),
            Self::Relayed(_) => Vec::new(),
        }
    }

    /// `cluster` or `client`.
    #[must_use]
    pub fn deploy_mode(&self) -> &'static str {
        match self {
            Self::Core(_) => "cluster",
            Self::Relayed(_) => "client",
        }
    }
}

/// The state that pages show, borrowed for one answer.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The clock of the cores.
    pub clock: &'a Clock,
    /// The time on it.
    pub now: Duration,
    /// How the process was started.
    pub environment: &'a Environment,
    /// The job.
    pub plan: &'a AppPlan,
    /// The queue.
    pub queue: &'a str,
    /// The verdict, once there is one.
    pub verdict: Option<&'a Verdict>,
    /// The driver.
    pub driver: DriverView<'a>,
    /// The launcher core.
    pub launcher: &'a Launcher,
    /// The latest failures.
    pub notes: &'a Notes,
    /// What is known of lost executors.
    pub shelf: &'a Shelf,
    /// What executors say of themselves.
    pub vitals: &'a Vitals,
    /// Counters and histograms.
    pub metrics: &'a Metrics,
    /// The settings, with their origins.
    pub configuration: &'a [Entry],
    /// How the event log is doing, if there is one.
    pub history: Option<Status>,
    /// Connected executors.
    pub links: usize,
    /// Since the ResourceManager last answered.
    pub rm_silent: Duration,
}

impl Scene<'_> {
    /// The state in one word: `running`, or the verdict's.
    fn state(&self) -> &'static str {
        self.verdict.map_or("running", verdict::word)
    }

    fn unix_ms(&self, at: Duration) -> u64 {
        self.clock.unix_ms(at)
    }

    /// Where YARN shows a file of an executor's log directory.
    fn log_url(&self, record: &Record, file: &str) -> Option<String> {
        let http = Some(&record.node_http).filter(|http| !http.is_empty())?;
        let (container, user) = (&record.executor, &self.environment.user);
        Some(log_url(http, container, user, file))
    }
}

/// Reads the order in a request.
///
/// # Errors
/// The answer that says what is wrong.
pub(crate) fn order(request: &Request) -> Result<Order, Answer> {
    Order::read(request)
}

/// Values of sorted numbers at these parts of the way, as Spark's `Distribution` takes them; none of no numbers.
fn quantiles(sorted: &[u32], at: &[f64]) -> Vec<u32> {
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    let place = |part: &f64| ((part * sorted.len() as f64) as usize).min(last);
    at.iter().map(|part| sorted[place(part)]).collect()
}

/// Answers a request.
#[must_use]
pub fn answer(scene: &Scene<'_>, request: &Request) -> Answer {
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        [] => Answer::html(page::status(scene, request)),
        ["tasks"] => page::tasks(scene, request).map_or_else(Answer::not_found, Answer::html),
        ["executors"] => Answer::html(page::executors(scene, request)),
        ["allocation"] => Answer::html(page::allocation(scene, request)),
        ["configuration"] => Answer::html(page::configuration(scene, request)),
        ["script.js"] => Answer::new(200, "text/javascript; charset=utf-8", page::SCRIPT.to_owned()),
        ["style.css"] => Answer::new(200, "text/css; charset=utf-8", page::STYLE.to_owned()),
        ["healthz"] => Answer::text(200, "ok"),
        ["metrics"] => metrics(scene, request),
        ["jmx"] => hadoop_pages::jmx(scene, request),
        ["conf"] => hadoop_pages::conf(scene, request),
        ["stacks"] => hadoop_pages::stacks(scene),
        ["api", "v1", "drawloom", name] => {
            own::answer(scene, name).map_or_else(Answer::not_found, |v| Answer::json(&v))
        }
        ["api", "v1", ref rest @ ..] => {
            spark::answer(scene, rest, request).map_or_else(Answer::not_found, |v| Answer::json(&v))
        }
        _ => Answer::not_found(),
    }
}

/// OpenMetrics for those who ask for it, the older text format for the rest.
fn metrics(scene: &Scene<'_>, request: &Request) -> Answer {
    let text = scene.metrics.text(scene);
    if request.accept.contains("application/openmetrics-text") {
        return Answer::new(
            200,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text,
        );
    }
    Answer::new(
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        metrics::before_open_metrics(&text),
    )
}

#[cfg(test)]
#[path = "web/openapi_tests.rs"]
mod openapi_tests;
#[cfg(test)]
#[path = "web/page_tests.rs"]
mod page_tests;
#[cfg(test)]
#[path = "web/tests.rs"]
pub(crate) mod tests;
