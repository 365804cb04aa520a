//! The history of an application: an event log in the format of Spark's `EventLoggingListener`, in a directory that
//! a Spark History Server reads.
//!
//! ```text
//! driver ──Happening──▶ Teller (pure) ──lines──▶ History ┄┄▶ task with the only writer ──▶ DIR/APP_ATTEMPT.inprogress
//!                                                                                   at the end: DIR/APP_ATTEMPT
//! ```
//!
//! A job never depends on it: a directory that cannot be written, a full disk or a file system that hangs ends the
//! log, says so once with what to do, and nothing else happens. What waits to be written is bounded ([`MOST_WAITING`]),
//! every call has a deadline (J).
//!
//! Whoever has the driver writes the log: the ApplicationMaster, or in client mode the client (`elsewhere`).
//!
//! Each attempt of the ApplicationMaster has a log of its own (`App Attempt ID`), as with Spark. One that follows
//! another begins with what is done already, and ends the log that the lost attempt has left.

mod earlier;
pub(crate) mod elsewhere;
mod spark;
mod teller;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use dfs::FileSystems;
use driver::core::Driver;
use driver::event::Verdict;
use driver::history::Happening;
use driver::plan::AppPlan;
use wire::id::ExecutorId;

use crate::launch::LaunchFile;
use writer::Writing;

pub(crate) use spark::{locality, log_url};
pub use teller::Teller;
pub(crate) use teller::pool;
pub use writer::{MOST_WAITING, Status};

/// How long the end of a log may take.
pub const ENDING: Duration = Duration::from_secs(20);

/// The suffix of a log that is being written, as Spark has it.
pub const IN_PROGRESS: &str = ".inprogress";

/// As Spark's: the log's owner and the group of the directory.
const PERMISSION: u32 = 0o660;

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The application's id.
    pub application: String,
    /// The attempt of the ApplicationMaster; none for a driver in the client.
    pub attempt: Option<u32>,
    /// The driver's node.
    pub host: String,
}

/// The name of a log: Spark's `EventLogFileWriter.nameForAppAndAttempt`.
#[must_use]
pub fn file_name(application: &str, attempt: Option<u32>) -> String {
    match attempt {
        Some(attempt) => format!("{application}_{attempt}"),
        None => application.to_owned(),
    }
}

/// Where a Spark History Server shows an application.
#[must_use]
pub fn shown_at(server: &str, application: &str, attempt: Option<u32>) -> String {
    let server = server.trim_end_matches('/');
    let scheme = if server.contains("://") { "" } else { "http://" };
    let attempt = attempt.map(|attempt| format!("/{attempt}")).unwrap_or_default();
    format!("{scheme}{server}/history/{application}{attempt}")
}

/// The log of one attempt.
#[derive(Debug)]
pub struct History {
    teller: Teller,
    writing: Writing,
}

impl History {
    /// Begins a log in the directory that `launch` names; none when it names none. The driver's clock started at
    /// `zero_unix` since 1970.
    #[must_use]
    pub fn start(
        systems: Arc<FileSystems>,
        plan: &AppPlan,
        launch: &LaunchFile,
        who: &Who,
        zero_unix: Duration,
    ) -> Option<Self> {
        let directory = launch.history.dir.clone()?;
        // The clock goes on from the first attempt's, and a History Server puts attempts in the order of their starts.
        let attempts_before = who.attempt.unwrap_or(1).saturating_sub(1);
        let started = zero_unix + Duration::from_millis(attempts_before.into());
        let started = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
        let mut writing = Writing::start(systems, directory, file_name(&who.application, who.attempt));
        writing.append(spark::header(plan, launch, who, started));
        Some(Self {
            teller: Teller::new(plan, &launch.user, zero_unix),
            writing,
        })
    }

    /// Has the logs ended that earlier attempts have left, and tells what a recovered driver knows to be done.
    pub fn follow(&mut self, who: &Who, driver: Option<&Driver>) {
        self.writing
            .end_earlier(&who.application, who.attempt.unwrap_or_default());
        if let Some(driver) = driver {
            let so_far = self.teller.so_far(driver);
            so_far
                .into_iter()
                .for_each(|lines| self.writing.append_many(lines));
        }
    }

    /// From now on the driver's clock counts from another moment: it has stood still.
    pub fn count_from(&mut self, zero_unix: Duration) {
        self.teller.count_from(zero_unix);
    }

    /// `HOST:PORT` of the NodeManager's pages where an executor runs; best told before it registers.
    pub fn locate(&mut self, executor: &ExecutorId, node_http: &str) {
        self.teller.locate(executor, node_http);
    }

    /// Takes in what happened at `at` on the driver's clock.
    pub fn tell(&mut self, at: Duration, happened: Vec<Happening>) {
        if self.writing.is_over() {
            return;
        }
        let mut lines = Vec::new();
        for happening in happened {
            self.teller.tell(at, happening, &mut lines);
        }
        self.writing.append(lines);
    }

    /// Ends the log: what is open is closed, and the file gets its final name, or after [`ENDING`] not.
    pub fn end(&mut self, at: Duration, verdict: &Verdict) -> impl Future<Output = ()> + Send + use<> {
        let failure = match verdict {
            Verdict::Succeeded => None,
            Verdict::Failed(cause) => Some(cause.clone()),
            Verdict::Killed(by) => Some(format!("killed by {by}")),
        };
        let ended = self.writing.end(self.teller.end(at, failure.as_deref()));
        async move {
            if tokio::time::timeout(ENDING, ended).await.is_err() {
                tracing::warn!("the event log is not complete: its file system takes too long");
            }
        }
    }

    /// How the log is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.writing.status()
    }
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
