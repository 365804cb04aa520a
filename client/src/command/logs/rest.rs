//! The end of `drawloom logs -f`: what containers have written after the last look at their nodes.
//!
//! A NodeManager that collects logs takes them from its disk within seconds of the application's end, so a look may come
//! too late. What was missed is read from where they are collected, as soon as all of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hadoop::aggregated_log::{CollectedFile, Step};
use hadoop::ids::ContainerId;
use tokio::time::Instant;
use yarn_rest::{AppReport, Client};

use super::collected::Collected;
use super::follow::{AllSeen, is_followed, print_lines};
use super::{of_task, wants};
use crate::cli::Logs;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::terminal::tell;

/// How long YARN may take to collect the logs. Nodes say that they have done so with a heartbeat.
const COLLECTING: Duration = Duration::from_secs(30);
/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_secs(1);

/// Prints what was missed of the containers that were `seen` and of any other, if YARN collects it; says what stays missing.
///
/// # Errors
/// Standard output cannot be written.
pub(super) async fn print(
    cluster: &Cluster,
    client: &Client,
    report: &AppReport,
    command: &Logs,
    seen: &mut AllSeen,
) -> Result<(), CommandError> {
    if !seen.is_empty() && seen.values().all(|seen| seen.whole) {
        return Ok(());
    }
    wait_collected(client, report).await;
    let mut rest = Rest {
        command,
        seen,
        begins: BTreeMap::new(),
        found: BTreeSet::new(),
        current: None,
    };
    if let Ok(systems) = cluster.file_systems() {
        let mut collected = Collected::find(&systems, &cluster.conf, &report.user, report.id).await;
        collected.read(&systems, |_, step| rest.step(step)).await?;
        collected.problems.iter().for_each(tell);
    }
    let missing = rest.missing();
    if missing > 0 {
        tell(format_args!(
            "of {missing} containers the last lines may be missing; `drawloom logs {}` looks everywhere",
            report.id
        ));
    }
    Ok(())
}

/// Waits while YARN says that it is at it.
async fn wait_collected(client: &Client, report: &AppReport) {
    let is_busy = |status: &str| matches!(status, "NOT_START" | "RUNNING" | "RUNNING_WITH_FAILURE");
    let until = Instant::now() + COLLECTING;
    let mut status = report.log_aggregation_status.clone();
    while is_busy(&status) && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        match client.application(report.id).await {
            Ok(report) => status = report.log_aggregation_status,
            Err(_) => return,
        }
    }
}

/// Reading under way.
struct Rest<'a> {
    command: &'a Logs,
    seen: &'a mut AllSeen,
    /// Where the next part of a file begins, when a node has left several.
    begins: BTreeMap<(ContainerId, String), u64>,
    /// Whose files were there.
    found: BTreeSet<ContainerId>,
    current: Option<(ContainerId, String)>,
}

impl Rest<'_> {
    fn step(&mut self, step: Option<Step>) -> Result<(), CommandError> {
        match step {
            Some(Step::File(file)) => self.begin(file),
            Some(Step::Contents(bytes)) => return self.contents(&bytes),
            _ => self.current = None,
        }
        Ok(())
    }

    fn begin(&mut self, file: CollectedFile) {
        let (container, name) = (file.container, file.name);
        let is_whole = self.seen.get(&container).is_some_and(|seen| seen.whole);
        self.found.insert(container);
        let is_wanted = is_followed(&name) && wants(self.command, &container) && of_task(&name, self.command);
        self.current = (is_wanted && !is_whole).then_some((container, name));
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some((container, name)) = &self.current else {
            return Ok(());
        };
        let begin = self.begins.entry((*container, name.clone())).or_default();
        let files = &mut self.seen.entry(*container).or_default().files;
        let followed = files.entry(name.clone()).or_default();
        followed.take(*begin, bytes);
        *begin = begin.saturating_add(bytes.len() as u64);
        print_lines(*container, name, &followed.lines(false))
    }

    /// How many containers could be looked at nowhere.
    fn missing(&self) -> usize {
        let missing = |(container, seen): &(&ContainerId, &super::follow::Seen)| {
            !seen.whole && !self.found.contains(*container)
        };
        self.seen.iter().filter(missing).count()
    }
}
