//! All applications of our type on a cluster, from one look at the ResourceManager to the next, and what is counted
//! over them.

use std::collections::BTreeMap;
use std::time::Duration;

use hadoop::ids::ApplicationId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use yarn_rest::{AppReport, AppState, FinalStatus};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueState {
    queue: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueStatus {
    queue: String,
    final_status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueUser {
    queue: String,
    yarn_user: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Buckets of waiting, from a tenth of a second to an hour.
#[derive(Debug, Clone, Copy)]
struct Waits;

impl MetricConstructor<Histogram> for Waits {
    fn new_metric(&self) -> Histogram {
        Histogram::new([
            0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
        ])
    }
}

/// What is known of an application from look to look.
#[derive(Debug)]
struct Seen {
    report: AppReport,
    launched: bool,
    ended: bool,
}

/// All applications of our type.
#[derive(Debug)]
pub(crate) struct Fleet {
    since: u64,
    last_success: Option<u64>,
    apps: BTreeMap<ApplicationId, Seen>,
    finished: Family<QueueStatus, Counter>,
    waits: Family<Queue, Histogram, Waits>,
    memory: Family<QueueUser, Counter>,
    cores: Family<QueueUser, Counter>,
    looks: Family<Outcome, Counter>,
    unanswered: Counter,
}

impl Fleet {
    /// Nothing known; `now` in milliseconds since 1970.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            since: now,
            last_success: None,
            apps: BTreeMap::new(),
            finished: Family::default(),
            waits: Family::new_with_constructor(Waits),
            memory: Family::default(),
            cores: Family::default(),
            looks: Family::default(),
            unanswered: Counter::default(),
        }
    }

    /// Since when ended applications have to be listed so that none is missed: from `window` before the last answer
    /// of the ResourceManager, but nothing from before counting began.
    pub(crate) fn ended_from(&self, window: Duration) -> u64 {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let last = self.last_success.unwrap_or(self.since);
        last.saturating_sub(window).max(self.since)
    }

    /// The ResourceManager was asked; none when it did not answer.
    pub(crate) fn looked(&mut self, now: u64, reports: Option<Vec<AppReport>>) {
        let outcome = if reports.is_some() { "succeeded" } else { "failed" };
        self.looks.get_or_create(&Outcome { outcome }).inc();
        let Some(reports) = reports else { return };
        self.last_success = Some(now);
        let listed: std::collections::BTreeSet<_> = reports.iter().map(|report| report.id).collect();
        self.apps.retain(|app, _| listed.contains(app));
        for report in reports {
            self.saw(report);
        }
    }

    fn saw(&mut self, report: AppReport) {
        self.begin_ends(&report.queue);
        let before = self.apps.remove(&report.id);
        self.count_usage(before.as_ref(), &report);
        let mut seen = Seen {
            launched: before.as_ref().is_some_and(|seen| seen.launched),
            ended: before.as_ref().is_some_and(|seen| seen.ended),
            report,
        };
        if !seen.launched && seen.report.launch_time >= seen.report.started_time.max(1) {
            seen.launched = true;
            // One launched before we began was counted by nobody, and is not counted late.
            if seen.report.launch_time >= self.since {
                self.count_wait(&seen.report);
            }
        }
        if !seen.ended && seen.report.state.is_final() {
            seen.ended = true;
            self.count_end(&seen.report);
        }
        self.apps.insert(seen.report.id, seen);
    }

    /// A counter that begins with its first event hides that event from `increase()`.
    fn begin_ends(&self, queue: &str) {
        for status in [FinalStatus::Succeeded, FinalStatus::Failed, FinalStatus::Killed] {
            let labels = QueueStatus {
                queue: queue.to_owned(),
                final_status: status.to_string(),
            };
            drop(self.finished.get_or_create(&labels));
        }
        let queue = queue.to_owned();
        drop(self.waits.get_or_create(&Queue { queue }));
    }

    fn count_wait(&self, report: &AppReport) {
        let waited = Duration::from_millis(report.launch_time - report.started_time);
        let queue = report.queue.clone();
        self.waits
            .get_or_create(&Queue { queue })
            .observe(waited.as_secs_f64());
    }

    fn count_end(&self, report: &AppReport) {
        let labels = QueueStatus {
            queue: report.queue.clone(),
            final_status: report.final_status.to_string(),
        };
        self.finished.get_or_create(&labels).inc();
    }

    /// What it used since the last look; of one that was there before us, only what we saw.
    fn count_usage(&self, before: Option<&Seen>, report: &AppReport) {
        let first = (report.started_time >= self.since).then_some((0, 0));
        let base = before
            .map(|seen| (seen.report.memory_seconds, seen.report.vcore_seconds))
            .or(first);
        let Some((memory, cores)) = base else { return };
        let labels = QueueUser {
            queue: report.queue.clone(),
            yarn_user: report.user.clone(),
        };
        let memory = report.memory_seconds.saturating_sub(memory) << 20;
        self.memory.get_or_create(&labels).inc_by(memory);
        let cores = report.vcore_seconds.saturating_sub(cores);
        self.cores.get_or_create(&labels).inc_by(cores);
    }

    /// An application did not give its metrics.
    pub(crate) fn unanswered(&self) {
        self.unanswered.inc();
    }

    /// Applications whose ApplicationMaster is registered.
    pub(crate) fn running(&self) -> impl Iterator<Item = &AppReport> {
        self.reports().filter(|report| report.state == AppState::Running)
    }

    /// An application's last report.
    pub(crate) fn report(&self, app: ApplicationId) -> Option<&AppReport> {
        self.apps.get(&app).map(|seen| &seen.report)
    }

    /// All applications, unless the last answer of the ResourceManager is older than this.
    pub(crate) fn known(&self, now: u64, most: Duration) -> Option<impl Iterator<Item = &AppReport>> {
        let age = now.saturating_sub(self.last_success?);
        (Duration::from_millis(age) <= most).then(|| self.reports())
    }

    fn reports(&self) -> impl Iterator<Item = &AppReport> {
        self.apps.values().map(|seen| &seen.report)
    }

    /// OpenMetrics text.
    pub(crate) fn metrics(&self, now: u64) -> String {
        let mut registry = Registry::default();
        self.register_counted(&mut registry);
        self.register_current(now, &mut registry);
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n# EOF\n"),
        }
    }

    fn register_counted(&self, registry: &mut Registry) {
        let help = "Applications that have ended, since the exporter started";
        registry.register("drawloom_apps_finished", help, self.finished.clone());
        let help = "From submission to the launch of the ApplicationMaster's container";
        registry.register_with_unit(
            "drawloom_app_launch_wait",
            help,
            Unit::Seconds,
            self.waits.clone(),
        );
        let help = "Memory that applications held, in byte-seconds, as the ResourceManager bills it";
        registry.register("drawloom_apps_memory_byte_seconds", help, self.memory.clone());
        let help = "Virtual cores that applications held, in core-seconds";
        registry.register("drawloom_apps_vcore_seconds", help, self.cores.clone());
        let help = "Questions to the ResourceManager";
        registry.register("drawloom_exporter_looks", help, self.looks.clone());
        let help = "Questions to applications without an answer";
        registry.register("drawloom_exporter_unanswered", help, self.unanswered.clone());
    }

    fn register_current(&self, now: u64, registry: &mut Registry) {
        let apps: Family<QueueState, Gauge> = Family::default();
        let containers: Family<QueueUser, Gauge> = Family::default();
        for report in self.reports().filter(|report| !report.state.is_final()) {
            let (queue, yarn_user) = (report.queue.clone(), report.user.clone());
            let running = i64::from(report.running_containers.unwrap_or(0));
            containers
                .get_or_create(&QueueUser { queue, yarn_user })
                .inc_by(running);
            let (queue, state) = (report.queue.clone(), report.state.to_string());
            apps.get_or_create(&QueueState { queue, state }).inc();
        }
        registry.register("drawloom_apps", "Applications that have not ended", apps);
        registry.register("drawloom_apps_containers", "Containers they hold", containers);
        if let Some(last) = self.last_success {
            let age = Duration::from_millis(now.saturating_sub(last)).as_secs_f64();
            let help = "Since the ResourceManager last answered";
            let name = "drawloom_exporter_rm_answer_age";
            registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(age));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report as the ResourceManager gives it.
    pub(crate) fn report(number: u32, state: &str, final_status: &str) -> AppReport {
        let id = format!("application_1700000000000_{number:04}");
        serde_json::from_value(serde_json::json!({
            "id": id, "state": state, "finalStatus": final_status, "queue": "root.etl", "user": "ada",
            "name": "job", "applicationType": "DRAWLOOM", "startedTime": 2000, "launchTime": 2500,
            "finishedTime": 9000, "memorySeconds": 512, "vcoreSeconds": 3, "runningContainers": 4,
            "trackingUrl": format!("http://rm:8088/proxy/{id}/"),
        }))
        .unwrap()
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no {start} in {text}"))
    }

    #[test]
    fn an_end_is_counted_once_and_usage_only_grows() {
        let mut fleet = Fleet::new(1000);
        fleet.looked(1000, Some(vec![report(1, "RUNNING", "UNDEFINED")]));
        let text = fleet.metrics(1500);
        assert!(line(&text, "drawloom_apps{").ends_with(" 1"), "{text}");
        assert!(line(&text, "drawloom_apps_containers{").ends_with(" 4"), "{text}");
        for status in ["SUCCEEDED", "FAILED", "KILLED"] {
            let start =
                format!("drawloom_apps_finished_total{{queue=\"root.etl\",final_status=\"{status}\"}}");
            assert!(line(&text, &start).ends_with(" 0"), "{text}");
        }
        for now in [2000, 3000] {
            fleet.looked(now, Some(vec![report(1, "FINISHED", "SUCCEEDED")]));
        }
        let text = fleet.metrics(3500);
        let expected = "drawloom_apps_finished_total{queue=\"root.etl\",final_status=\"SUCCEEDED\"} 1";
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(line(&text, "drawloom_apps_vcore_seconds_total").ends_with(" 3"));
        let bytes = 512_u64 << 20;
        assert!(line(&text, "drawloom_apps_memory_byte_seconds_total").ends_with(&format!(" {bytes}")));
        assert!(line(&text, "drawloom_app_launch_wait_seconds_sum").ends_with(" 0.5"));
        assert!(line(&text, "drawloom_app_launch_wait_seconds_count").ends_with(" 1"));
    }

    const DOCUMENTED: &str = include_str!("../../../docs/operations.md");

    #[test]
    fn every_metric_is_in_the_operators_table() {
        let mut fleet = Fleet::new(1000);
        fleet.looked(1000, Some(vec![report(1, "FINISHED", "SUCCEEDED")]));
        let text = fleet.metrics(2000);
        let types = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        for (name, kind) in types {
            let total = if kind == "counter" { "_total" } else { "" };
            assert!(
                DOCUMENTED.contains(&format!("`{name}{total}`")),
                "docs/operations.md lacks {name}{total}"
            );
        }
    }

    #[test]
    fn what_was_there_before_is_not_counted_late() {
        let mut fleet = Fleet::new(5000);
        fleet.looked(5000, Some(vec![report(1, "RUNNING", "UNDEFINED")]));
        let text = fleet.metrics(5000);
        assert!(line(&text, "drawloom_app_launch_wait_seconds_count{").ends_with(" 0"));
        assert!(!text.contains("drawloom_apps_vcore_seconds_total{"), "{text}");
    }

    #[test]
    fn a_silent_resource_manager_is_not_an_empty_cluster() {
        let mut fleet = Fleet::new(1000);
        let patience = Duration::from_secs(45);
        assert!(fleet.known(1000, patience).is_none());
        fleet.looked(1000, Some(vec![report(1, "RUNNING", "UNDEFINED")]));
        fleet.looked(20_000, None);
        assert_eq!(fleet.known(20_000, patience).unwrap().count(), 1);
        assert!(fleet.known(50_000, patience).is_none());
    }

    #[test]
    fn what_ended_long_ago_is_not_listed_again_and_a_silent_resource_manager_hides_no_end() {
        let mut fleet = Fleet::new(1000);
        let window = Duration::from_secs(300);
        assert_eq!(fleet.ended_from(window), 1000);
        fleet.looked(200_000, Some(Vec::new()));
        assert_eq!(fleet.ended_from(window), 1000);
        fleet.looked(900_000, Some(Vec::new()));
        fleet.looked(2_000_000, None);
        assert_eq!(fleet.ended_from(window), 600_000);
    }

    #[test]
    fn what_the_resource_manager_forgets_is_forgotten() {
        let mut fleet = Fleet::new(1000);
        fleet.looked(1000, Some(vec![report(1, "RUNNING", "UNDEFINED")]));
        fleet.looked(2000, Some(vec![report(2, "ACCEPTED", "UNDEFINED")]));
        assert!(fleet.report(report(1, "RUNNING", "UNDEFINED").id).is_none());
        assert_eq!(fleet.running().count(), 0);
    }
}
