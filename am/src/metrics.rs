//! What `/metrics` shows, in OpenMetrics text.
//!
//! Counters and histograms are kept here and fed by the loop; everything else is read from the cores when somebody
//! asks. Names have the prefix `drawloom_`, units are seconds and bytes, and no label is unbounded.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use driver::view::{ExecutorView, Snapshot, StageStatus, StageView};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use wire::failure::ExecutorLoss;
use wire::message::TaskReport;

use crate::process;
use crate::web::Scene;
use launcher::record::Times;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    service: &'static str,
    method: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Executor {
    executor: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageState {
    stage: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageOutcome {
    stage: String,
    outcome: &'static str,
}

/// Executors of which each has figures of its own; of more there are only sums, for Prometheus's sake.
const MOST_EXECUTORS: usize = 500;

/// Buckets of durations, from 5 ms to an hour.
#[derive(Debug, Clone, Copy)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new([
            0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1200.0, 3600.0,
        ])
    }
}

type Timings<L> = Family<L, Histogram, Durations>;

/// How long ResourceManager and NodeManagers take to answer; cheap to clone, for those who ask them.
#[derive(Debug, Clone)]
pub struct Calls(Timings<Call>);

impl Default for Calls {
    fn default() -> Self {
        Self(Family::new_with_constructor(Durations))
    }
}

impl Calls {
    /// A call to a NodeManager has ended.
    pub fn node(&self, method: &'static str, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.observe("nm", method, outcome, took);
    }

    fn observe(&self, service: &'static str, method: &'static str, outcome: &'static str, took: Duration) {
        let labels = Call {
            service,
            method,
            outcome,
        };
        self.0.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// Counters and histograms of the process.
#[derive(Debug)]
pub struct Metrics {
    exits: Family<Cause, Counter>,
    rm_failures: Family<Method, Counter>,
    calls: Calls,
    granted: Counter,
    register: Gauge<f64, AtomicU64>,
    phases: Timings<Phase>,
    attempts: Family<StageOutcome, Counter>,
    durations: Timings<StageOutcome>,
    input: Family<Stage, Counter>,
    output: Family<Stage, Counter>,
    journal_bytes: Counter,
    journal_flushes: Histogram,
    turned_away: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            exits: Family::default(),
            rm_failures: Family::default(),
            calls: Calls::default(),
            granted: Counter::default(),
            register: Gauge::default(),
            phases: Family::new_with_constructor(Durations),
            attempts: Family::default(),
            durations: Family::new_with_constructor(Durations),
            input: Family::default(),
            output: Family::default(),
            journal_bytes: Counter::default(),
            journal_flushes: Histogram::new([
                0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0,
            ]),
            turned_away: Counter::default(),
        }
    }
}

impl Metrics {
    /// Metrics of a process whose gateway counts here whom it turns away.
    #[must_use]
    pub fn of_gateway(turned_away: Counter) -> Self {
        Self {
            turned_away,
            ..Self::default()
        }
    }

    /// With what is told to this handle.
    #[must_use]
    pub fn with_calls(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }

    /// With the counters that may stay at zero: what first appears with its first event is no increase to Prometheus.
    #[must_use]
    pub fn from_zero<'a>(self, stages: impl Iterator<Item = &'a str>) -> Self {
        for loss in ExecutorLoss::ONE_OF_EACH {
            drop(self.exits.get_or_create(&Cause { cause: cause(loss) }));
        }
        for stage in stages {
            for outcome in ["succeeded", "failed", "killed"] {
                let stage = stage.to_owned();
                drop(self.attempts.get_or_create(&StageOutcome { stage, outcome }));
            }
        }
        self
    }

    /// We are registered, so long after the start of the process.
    pub fn registered(&self, after: Duration) {
        self.register.set(after.as_secs_f64());
    }

    /// A call to the ResourceManager failed.
    pub fn rm_call_failed(&self, method: &'static str) {
        self.rm_failures.get_or_create(&Method { method }).inc();
    }

    /// The ResourceManager answered, so long after it was asked.
    pub fn rm_answered(&self, took: Duration) {
        self.calls.observe("rm", "any", "succeeded", took);
    }

    /// Records of the journal are safe.
    pub fn journal_flushed(&self, bytes: u64, took: Duration) {
        self.journal_bytes.inc_by(bytes);
        self.journal_flushes.observe(took.as_secs_f64());
    }

    /// Containers were granted.
    pub fn granted(&self, containers: usize) {
        self.granted.inc_by(containers as u64);
    }

    /// An executor registered, with its launch behind it.
    /// `process` is when its process began, as far as that is known.
    pub fn executor_registered(&self, times: Times, process: Option<Duration>) {
        let observe = |phase, from: Duration, to: Option<Duration>| {
            if let Some(to) = to {
                self.observe_phase(phase, from, to);
            }
        };
        observe("ask_to_grant", times.asked, Some(times.granted));
        observe("grant_to_start", times.granted, times.started);
        let started = times.started.unwrap_or(times.granted);
        observe("start_to_register", started, times.registered);
        observe("start_to_process", started, process);
        if let Some(process) = process {
            observe("process_to_register", process, times.registered);
        }
    }

    /// An executor that registered at `registered` runs its first task.
    pub fn first_task(&self, registered: Duration, now: Duration) {
        self.observe_phase("register_to_task", registered, now);
    }

    fn observe_phase(&self, phase: &'static str, from: Duration, to: Duration) {
        let seconds = to.saturating_sub(from).as_secs_f64();
        self.phases.get_or_create(&Phase { phase }).observe(seconds);
    }

    /// An executor is gone.
    pub fn executor_exited(&self, loss: ExecutorLoss) {
        self.exits.get_or_create(&Cause { cause: cause(loss) }).inc();
    }

    /// A task attempt ended.
    pub fn task_finished(&self, report: &TaskReport, stage: &str) {
        let outcome = match &report.outcome {
            Ok(()) => "succeeded",
            Err(failure) if failure.counts_for_task() => "failed",
            Err(_) => "killed",
        };
        let labels = StageOutcome {
            stage: stage.to_owned(),
            outcome,
        };
        self.attempts.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&labels)
            .observe(report.metrics.wall.as_secs_f64());
        let stage = Stage {
            stage: stage.to_owned(),
        };
        self.input
            .get_or_create(&stage)
            .inc_by(report.metrics.input_bytes);
        self.output
            .get_or_create(&stage)
            .inc_by(report.metrics.output_bytes);
    }

    /// The whole text, ended by `# EOF`.
    #[must_use]
    pub fn text(&self, scene: &Scene<'_>) -> String {
        let mut registry = Registry::default();
        let snapshot = scene.driver.snapshot();
        self.register_launches(&mut registry);
        self.register_work(&mut registry);
        describe_application(scene, &mut registry);
        describe_executors(scene, &mut registry);
        describe_tasks(&snapshot, &mut registry);
        describe_each_executor(scene, &snapshot, &mut registry);
        process::describe(&mut registry);
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n# EOF\n"),
        }
    }

    /// What becomes of containers and executors, and of the calls that this takes.
    fn register_launches(&self, registry: &mut Registry) {
        let seconds = Unit::Seconds;
        registry.register(
            "drawloom_executor_exits",
            "Executors that ended, by cause",
            self.exits.clone(),
        );
        registry.register(
            "drawloom_rm_call_failures",
            "Failed calls to the ResourceManager",
            self.rm_failures.clone(),
        );
        registry.register_with_unit(
            "drawloom_rpc_duration",
            "Calls to ResourceManager and NodeManagers",
            seconds.clone(),
            self.calls.0.clone(),
        );
        registry.register(
            "drawloom_containers_granted",
            "Containers granted",
            self.granted.clone(),
        );
        registry.register(
            "drawloom_gateway_turned_away",
            "Connections that were turned away because there are too many",
            self.turned_away.clone(),
        );
        let text = "From the start of the process to its registration";
        registry.register_with_unit(
            "drawloom_am_register",
            text,
            seconds.clone(),
            self.register.clone(),
        );
        let text = "Phases of the launch of executors";
        registry.register_with_unit("drawloom_launch_phase", text, seconds, self.phases.clone());
    }

    /// What becomes of tasks, and of the records of that.
    fn register_work(&self, registry: &mut Registry) {
        let seconds = Unit::Seconds;
        registry.register(
            "drawloom_task_attempts",
            "Task attempts that ended",
            self.attempts.clone(),
        );
        let text = "Duration of task attempts";
        registry.register_with_unit(
            "drawloom_task_duration",
            text,
            seconds.clone(),
            self.durations.clone(),
        );
        registry.register_with_unit(
            "drawloom_journal",
            "Bytes of records that were made safe",
            Unit::Bytes,
            self.journal_bytes.clone(),
        );
        let text = "Flushes of the journal";
        registry.register_with_unit(
            "drawloom_journal_flush",
            text,
            seconds,
            self.journal_flushes.clone(),
        );
        registry.register_with_unit(
            "drawloom_task_input",
            "Bytes fed to tasks",
            Unit::Bytes,
            self.input.clone(),
        );
        registry.register_with_unit(
            "drawloom_task_output",
            "Bytes of tasks' results",
            Unit::Bytes,
            self.output.clone(),
        );
    }
}

/// OpenMetrics text as the format before it (0.0.4) has it: counters and infos are described under the names of
/// their samples, an info is a gauge, and there are neither units nor an end mark.
pub(crate) fn before_open_metrics(text: &str) -> String {
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text
        .lines()
        .filter(|line| !line.starts_with("# UNIT") && *line != "# EOF")
    {
        out.push_str(&described(line, &types).unwrap_or_else(|| line.to_owned()));
        out.push('\n');
    }
    out
}

/// A line of description under the name of the samples; none when it stays as it is.
fn described(line: &str, types: &BTreeMap<&str, &str>) -> Option<String> {
    let (keyword, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    let (name, about) = rest.split_once(' ')?;
    let (suffix, kind) = match *types.get(name)? {
        "counter" => ("total", "counter"),
        "info" => ("info", "gauge"),
        _ => return None,
    };
    let about = if keyword == "TYPE" { kind } else { about };
    Some(format!("# {keyword} {name}_{suffix} {about}"))
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    registry.register(name, help, ConstGauge::new(value));
}

fn describe_application(scene: &Scene<'_>, registry: &mut Registry) {
    let info = prometheus_client::metrics::info::Info::new(vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("app_id", scene.environment.application()),
        ("app_name", scene.plan.name.clone()),
        ("yarn_user", scene.environment.user.clone()),
        ("queue", scene.queue.to_owned()),
        ("deploy_mode", scene.driver.deploy_mode().to_owned()),
        ("attempt", scene.environment.epoch().to_string()),
    ]);
    registry.register("drawloom", "The application", info);
    gauge(
        registry,
        "drawloom_am_attempt",
        "The attempt that answers",
        f64::from(scene.environment.epoch().0),
    );
    let (done, known) = scene.driver.progress();
    let ratio = if known == 0 {
        0.0
    } else {
        done as f64 / known as f64
    };
    gauge(
        registry,
        "drawloom_app_progress_ratio",
        "Finished tasks over known tasks",
        ratio,
    );
    let silent = scene.rm_silent.as_secs_f64();
    gauge(
        registry,
        "drawloom_rm_heartbeat_age_seconds",
        "Since the ResourceManager last answered",
        silent,
    );
}

fn describe_executors(scene: &Scene<'_>, registry: &mut Registry) {
    let counts = scene.launcher.counts();
    let executors: Family<State, Gauge> = Family::default();
    let states = [
        ("starting", counts.starting),
        ("started", counts.started),
        ("registered", counts.registered),
        ("stopping", counts.stopping),
    ];
    for (state, count) in states {
        executors.get_or_create(&State { state }).set(i64::from(count));
    }
    registry.register("drawloom_executors", "Executors by state", executors);
    gauge(
        registry,
        "drawloom_executors_wanted",
        "Executors that are wanted",
        f64::from(counts.target),
    );
    gauge(
        registry,
        "drawloom_containers_asked",
        "Containers asked for and not granted",
        f64::from(counts.asked),
    );
    let surplus = Counter::<u64>::default();
    surplus.inc_by(scene.launcher.totals().surplus);
    registry.register(
        "drawloom_containers_surplus",
        "Containers granted above need and given back",
        surplus,
    );
    let excluded = scene.launcher.avoided().count() as f64;
    gauge(
        registry,
        "drawloom_nodes_excluded",
        "Nodes avoided after failures",
        excluded,
    );
    gauge(
        registry,
        "drawloom_gateway_links",
        "Executors connected",
        scene.links as f64,
    );
}

fn describe_tasks(snapshot: &Snapshot, registry: &mut Registry) {
    let slots: Family<State, Gauge> = Family::default();
    let live = snapshot
        .executors
        .iter()
        .filter(|executor| executor.gone.is_none());
    let age = live
        .clone()
        .map(|executor| snapshot.at.saturating_sub(executor.last_heard))
        .max();
    let age = age.unwrap_or_default().as_secs_f64();
    let help = "Since the quietest executor was last heard";
    gauge(registry, "drawloom_executor_heartbeat_age_seconds", help, age);
    let (total, used) = live.fold((0, 0), |(total, used), executor| {
        (
            total + i64::from(executor.slots),
            used + i64::from(executor.used_slots),
        )
    });
    slots.get_or_create(&State { state: "busy" }).set(used);
    slots.get_or_create(&State { state: "free" }).set(total - used);
    registry.register("drawloom_task_slots", "Task slots by state", slots);
    let tasks: Family<StageState, Gauge> = Family::default();
    for stage in snapshot
        .stages
        .iter()
        .filter(|stage| stage.status != StageStatus::Waiting)
    {
        for (state, count) in by_state(stage) {
            tasks
                .get_or_create(&StageState {
                    stage: stage.name.clone(),
                    state,
                })
                .set(i64::from(count));
        }
    }
    registry.register("drawloom_tasks", "Tasks by state", tasks);
}

/// What each executor says of itself, which is its memory, its tasks' and its own processor time; nothing when there are
/// too many of them.
fn describe_each_executor(scene: &Scene<'_>, snapshot: &Snapshot, registry: &mut Registry) {
    let there = |executor: &&ExecutorView| executor.gone.is_none();
    let all: Vec<_> = snapshot.executors.iter().filter(there).collect();
    if all.len() > MOST_EXECUTORS {
        return;
    }
    let [busy, resident, limit]: [Family<Executor, Gauge>; 3] = Default::default();
    let cpu: Family<Executor, Counter<f64, AtomicU64>> = Family::default();
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    for executor in all {
        let labels = Executor {
            executor: executor.id.to_string(),
            host: executor.host.clone(),
        };
        busy.get_or_create(&labels).set(executor.used_slots.into());
        if let Some(vital) = scene.vitals.of(&executor.id) {
            let used = vital.resident + vital.tasks_resident;
            resident.get_or_create(&labels).set(bytes(used));
            limit.get_or_create(&labels).set(bytes(vital.memory));
            cpu.get_or_create(&labels).inc_by(vital.cpu.as_secs_f64());
        }
    }
    registry.register("drawloom_executor_busy_slots", "Slots in use", busy);
    let help = "Memory of an executor and its tasks";
    registry.register_with_unit("drawloom_executor_resident_memory", help, Unit::Bytes, resident);
    let help = "Memory of its container";
    registry.register_with_unit("drawloom_executor_memory_limit", help, Unit::Bytes, limit);
    let help = "Processor time of an executor's own process";
    registry.register_with_unit("drawloom_executor_cpu", help, Unit::Seconds, cpu);
}

fn by_state(stage: &StageView) -> [(&'static str, u32); 3] {
    [
        ("pending", stage.pending),
        ("running", stage.running),
        ("succeeded", stage.succeeded),
    ]
}

/// A cause without its numbers, so that the label is bounded.
fn cause(loss: ExecutorLoss) -> &'static str {
    match loss {
        ExecutorLoss::Preempted => "preempted",
        ExecutorLoss::Released => "released",
        ExecutorLoss::NodeLost => "node_lost",
        ExecutorLoss::DisksFailed => "disks_failed",
        ExecutorLoss::KilledByRm => "killed_by_rm",
        ExecutorLoss::KilledByUs => "killed_by_us",
        ExecutorLoss::Decommissioned => "decommissioned",
        ExecutorLoss::ApplicationEnded => "application_ended",
        ExecutorLoss::Exited(_) => "exited",
        ExecutorLoss::Signalled(_) => "signalled",
        ExecutorLoss::PhysicalMemory => "physical_memory",
        ExecutorLoss::VirtualMemory => "virtual_memory",
        ExecutorLoss::LocalizationFailed => "localization_failed",
        ExecutorLoss::StartFailed => "start_failed",
        ExecutorLoss::NeverRegistered => "never_registered",
        ExecutorLoss::Silent => "silent",
        ExecutorLoss::ExcessLogs => "excess_logs",
        ExecutorLoss::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_yet_is_counted_as_zero() {
        let metrics = Metrics::default().from_zero(["read"].into_iter());
        let causes: std::collections::BTreeSet<_> =
            ExecutorLoss::ONE_OF_EACH.into_iter().map(cause).collect();
        assert_eq!(causes.len(), ExecutorLoss::ONE_OF_EACH.len());
        let failed = StageOutcome {
            stage: "read".into(),
            outcome: "failed",
        };
        assert_eq!(metrics.attempts.get_or_create(&failed).get(), 0);
    }

    #[test]
    fn calls_are_measured_through_any_handle() {
        let calls = Calls::default();
        let metrics = Metrics::default().with_calls(calls.clone());
        calls.node("startContainers", true, Duration::from_millis(30));
        let mut registry = Registry::default();
        metrics.register_launches(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let labels = "service=\"nm\",method=\"startContainers\",outcome=\"succeeded\"";
        let line = format!("drawloom_rpc_duration_seconds_sum{{{labels}}} 0.03");
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn the_older_format_describes_what_its_samples_are_called() {
        let text = "# HELP a Of a.\n# TYPE a counter\n# UNIT a seconds\na_total 1\n# HELP b It.\n# TYPE b info\n\
                    b_info{c=\"# EOF\"} 1\n# HELP d D.\n# TYPE d gauge\nd 2\n# EOF\n";
        let expected = "# HELP a_total Of a.\n# TYPE a_total counter\na_total 1\n# HELP b_info It.\n\
                        # TYPE b_info gauge\nb_info{c=\"# EOF\"} 1\n# HELP d D.\n# TYPE d gauge\nd 2\n";
        assert_eq!(before_open_metrics(text), expected);
    }
}
