//! Pages and API answers over a small application, without sockets.

use super::*;
use crate::dossier::Dossier;
use crate::summary::FailureNote;
use driver::event::{Event as DriverEvent, Registration, TaskInput};
use driver::plan::{BodyPlan, ExecutorPlan, FeedPlan, Settings, StagePlan, TaskSource};
use launcher::nodes::NodeName;
use launcher::{Completion, Event as LauncherEvent, Grant, Rules};
use std::collections::BTreeMap;
use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{BootNonce, ExecutorId, StageKey, TaskAttemptId};
use wire::launcher::ExecutorTarget;
use wire::message::{Heartbeat, Hello, TaskReport};
use wire::task::TaskMetrics;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn id(number: u32) -> ExecutorId {
    format!("container_1717955085543_0001_01_{number:06}")
        .parse()
        .unwrap()
}

pub(crate) fn plan() -> AppPlan {
    let stage = |name: &str, tasks, after| StagePlan {
        name: name.into(),
        after,
        source: TaskSource::Tasks(tasks),
        body: BodyPlan::Shell("true".into()),
        env: BTreeMap::new(),
        feed: FeedPlan::None,
        output: None,
        cores: 1,
        memory_mib: None,
        resources: BTreeMap::new(),
        timeout: None,
        max_failures: None,
        scheduling: driver::policy::StageScheduling::default(),
    };
    AppPlan {
        version: driver::plan::VERSION,
        name: "word <count>".into(),
        executors: ExecutorPlan {
            instances: 2,
            memory_mib: 512,
            cores: 1,
            resources: BTreeMap::new(),
            shares_memory: true,
        },
        env: BTreeMap::new(),
        files: vec![],
        stages: vec![stage("count", 3, vec![]), stage("total", 1, vec![0])],
        settings: Settings {
            min_registered_ratio: 0.0,
            ..Settings::default()
        },
        scheduling: driver::policy::Scheduling::default(),
    }
}

/// An application with one executor up, one lost, one task done, one failed and one running.
pub(crate) struct Stand {
    clock: Clock,
    environment: Environment,
    plan: AppPlan,
    driver: Driver,
    launcher: Launcher,
    notes: Notes,
    shelf: Shelf,
    vitals: Vitals,
    metrics: Metrics,
    configuration: Vec<Entry>,
}

fn settings() -> Vec<Entry> {
    let entry = |key: &str, value: &str, origin: &str| Entry {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    vec![
        entry("queue", "etl", "--queue"),
        entry("store.password", "hunter2", "job.yaml:3:1"),
    ]
}

impl Stand {
    pub(crate) fn new() -> Self {
        Self::of(plan())
    }

    /// A stand of another plan, of which nothing has happened.
    pub(crate) fn of(plan: AppPlan) -> Self {
        let rules = Rules {
            memory_mib: 512,
            master_mib: 256,
            cores: 1,
            name_nodes: true,
            register_timeout: MS(120_000),
            max_failures: None,
            failures_validity: MS(3_600_000),
            nodes_listed: true,
            room_patience: MS(600_000),
            backoff: (MS(200), MS(30_000)),
        };
        Self {
            clock: Clock::started_at(MS(1_795_219_158_018)),
            environment: Environment {
                container: "container_1717955085543_0001_01_000001".parse().unwrap(),
                token_file: "/w/t".into(),
                proxy_base: "/proxy/application_1717955085543_0001".into(),
                host: "node7".into(),
                user: "ada".into(),
                build: "ab12".into(),
                running_build: "ab12".into(),
                staging: "file:///s".into(),
                log_dirs: None,
            },
            driver: Driver::new(plan.clone()),
            launcher: Launcher::new(rules),
            plan,
            notes: Notes::default(),
            shelf: Shelf::default(),
            vitals: Vitals::default(),
            metrics: Metrics::default(),
            configuration: settings(),
        }
    }

    pub(crate) fn drive(&mut self, at: u64, event: DriverEvent) {
        self.driver.handle(MS(at), event, &mut Vec::new());
    }

    fn launch(&mut self, at: u64, event: LauncherEvent) {
        self.launcher.handle(MS(at), event, &mut Vec::new());
    }

    pub(crate) fn busy() -> Self {
        let mut stand = Self::new();
        stand.launch(
            100,
            LauncherEvent::TargetSet(ExecutorTarget {
                executors: 2,
                ..ExecutorTarget::default()
            }),
        );
        stand.launch(600, LauncherEvent::ContainersGranted(vec![grant(2), grant(3)]));
        for number in [2, 3] {
            stand.launch(700, LauncherEvent::StartAccepted { executor: id(number) });
            stand.launch(900, LauncherEvent::ExecutorRegistered { executor: id(number) });
        }
        stand.drive(100, DriverEvent::Started);
        let stage = StageKey {
            job: 0,
            stage: 0,
            stage_attempt: 0,
        };
        stand.drive(
            110,
            DriverEvent::StagePlanned {
                stage,
                tasks: Ok(vec![TaskInput::default(); 3]),
            },
        );
        for number in [2, 3] {
            stand.drive(900, registered(number));
        }
        stand.drive(2000, finished(2, 0, Ok(())));
        let failure = TaskFailure {
            cause: FailureCause::ExitCode(7),
            stderr_tail: "<b>boom</b>\n".into(),
        };
        stand.drive(2500, finished(3, 1, Err(failure.clone())));
        stand.note(
            2500,
            "task",
            "stage count, task 1, attempt 0",
            &failure.to_string(),
        );
        let completion = Completion {
            executor: id(3),
            exit_status: 137,
            diagnostics: "Killed by external signal".into(),
        };
        stand.launch(3000, LauncherEvent::ContainerCompleted(completion));
        stand.drive(
            3000,
            DriverEvent::ExecutorLost {
                executor: id(3),
                loss: ExecutorLoss::Signalled(9),
            },
        );
        stand.lose(3);
        stand.note(
            3000,
            "executor",
            id(3).as_str(),
            "ended by SIGKILL: Killed by external signal",
        );
        stand
    }

    fn lose(&mut self, number: u32) {
        let dossier = Dossier {
            executor: id(number).to_string(),
            node: "nm1".into(),
            cause: "ended by SIGKILL: Killed by external signal".into(),
            counts: true,
            exit_status: Some(137),
            ..Dossier::default()
        };
        self.shelf.add(id(number), ExecutorLoss::Signalled(9), dossier);
    }

    fn note(&mut self, at: u64, kind: &str, subject: &str, cause: &str) {
        self.notes.add(FailureNote {
            unix_ms: self.clock.unix_ms(MS(at)),
            kind: kind.into(),
            subject: subject.into(),
            host: "nm1".into(),
            cause: cause.into(),
        });
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.answer(&Request {
            path: path.to_owned(),
            query,
            ..Request::default()
        })
    }

    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let scene = Scene {
            clock: &self.clock,
            now: MS(4000),
            environment: &self.environment,
            plan: &self.plan,
            queue: "root.default",
            verdict: None,
            driver: DriverView::Core(&self.driver),
            launcher: &self.launcher,
            notes: &self.notes,
            shelf: &self.shelf,
            vitals: &self.vitals,
            metrics: &self.metrics,
            configuration: &self.configuration,
            history: None,
            links: 1,
            rm_silent: MS(200),
        };
        answer(&scene, request)
    }
}

fn grant(number: u32) -> Grant {
    Grant {
        executor: id(number),
        node: NodeName::new("nm1"),
        node_http: "nm1:8042".into(),
        allocation_request_id: launcher::core::EXECUTORS,
    }
}

pub(crate) fn registered(number: u32) -> DriverEvent {
    DriverEvent::ExecutorRegistered(Registration {
        executor: id(number),
        boot: BootNonce(u64::from(number)),
        host: "nm1".into(),
        slots: 1,
        running: vec![],
    })
}

fn finished(number: u32, partition: u32, outcome: Result<(), TaskFailure>) -> DriverEvent {
    let stage = StageKey {
        job: 0,
        stage: 0,
        stage_attempt: 0,
    };
    let id_of_task = TaskAttemptId {
        stage,
        partition,
        attempt: 0,
    };
    let metrics = TaskMetrics {
        wall: MS(1000),
        input_bytes: 10,
        ..TaskMetrics::default()
    };
    let report = Box::new(TaskReport {
        sequence: 1,
        id: id_of_task,
        metrics,
        outcome,
        result: None,
        counters: Vec::new(),
    });
    DriverEvent::TaskFinished {
        executor: id(number),
        report,
    }
}

pub(crate) const APP: &str = "/api/v1/applications/application_1717955085543_0001";

#[test]
fn the_status_page_says_what_goes_on_and_escapes_everything() {
    let answer = Stand::busy().get("/");
    assert_eq!(
        (answer.status, answer.content_type),
        (200, "text/html; charset=utf-8")
    );
    insta::assert_snapshot!("status_page", answer.body);
    assert!(!answer.body.contains("word <count>"), "the name is escaped");
}

#[test]
fn a_fresh_application_has_a_page_too() {
    insta::assert_snapshot!("fresh_status_page", Stand::new().get("/?refresh=5").body);
}

#[test]
fn answers_have_the_shape_of_sparks() {
    let stand = Stand::busy();
    let names = [
        "",
        "/jobs",
        "/stages",
        "/stages/0/0/taskList",
        "/executors",
        "/allexecutors",
    ];
    for name in names {
        let answer = stand.get(&format!("{APP}{name}"));
        assert_eq!(
            (answer.status, answer.content_type),
            (200, "application/json; charset=utf-8"),
            "{name}"
        );
        insta::assert_snapshot!(format!("spark{}", name.replace('/', "_")), answer.body);
    }
    assert_eq!(
        stand.get(&format!("{APP}/1/jobs")),
        stand.get(&format!("{APP}/jobs"))
    );
    assert!(stand.get("/api/v1/applications").body.starts_with("[\n"));
}

#[test]
fn fields_of_sparks_answers_are_known_to_spark() {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/spark_fields.json");
    let known: BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&std::fs::read(samples).unwrap()).unwrap();
    let stand = Stand::busy();
    for (name, fields) in known {
        let value: serde_json::Value =
            serde_json::from_str(&stand.get(&format!("{APP}/{name}")).body).unwrap();
        let ours = value[0].as_object().unwrap().keys();
        let strange: Vec<_> = ours.filter(|field| !fields.contains(field)).collect();
        assert!(strange.is_empty(), "{name}: {strange:?}");
    }
}

#[test]
fn our_own_answers() {
    let stand = Stand::busy();
    for name in [
        "summary",
        "launch-timeline",
        "failures",
        "dossiers",
        "pending",
        "executors",
    ] {
        insta::assert_snapshot!(
            format!("own_{name}"),
            stand.get(&format!("/api/v1/drawloom/{name}")).body
        );
    }
    let text = stand.get(&format!("/{}", crate::summary::PATH)).body;
    let summary: crate::summary::Summary = serde_json::from_str(&text).unwrap();
    assert_eq!((summary.tasks.finished, summary.executors.lost), (1, 1));
}

#[test]
fn what_is_not_there_is_not_found() {
    let stand = Stand::busy();
    let paths = [
        "/favicon.ico",
        "/api/v1/applications/application_1_0001",
        "/api/v1/drawloom/x",
        &format!("{APP}/stages/9"),
        &format!("{APP}/stages/0/7"),
        &format!("{APP}/stages/x/0/taskList"),
        "/tasks?stage=9",
        "/tasks",
    ];
    for path in paths {
        let answer = stand.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.is_empty());
    }
}

#[test]
fn task_lists_come_in_parts() {
    let stand = Stand::busy();
    let list = |query: &str| -> Vec<serde_json::Value> {
        serde_json::from_str(&stand.get(&format!("{APP}/stages/0/0/taskList?{query}")).body).unwrap()
    };
    assert_eq!(list("offset=0&length=1").len(), 1);
    assert!(list("offset=7").is_empty());
    assert!(list("length=0").is_empty());
    let part = stand.get("/tasks?stage=0&offset=1").body;
    assert!(part.contains("<h2>3 tasks, from 1</h2>"), "{part}");
    assert!(
        stand
            .get("/tasks?stage=0&offset=1")
            .body
            .contains("Tasks of stage count</h1>")
    );
}

/// Every metric is in the operators' table.
#[test]
fn metrics_are_documented() {
    let documented = include_str!("../../../docs/operations.md");
    let stand = Stand::busy();
    let text = stand.get("/metrics").body;
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in names.filter_map(|line| line.split(' ').next()) {
        assert!(
            documented.contains(&format!("`{name}`")),
            "docs/operations.md lacks {name}"
        );
    }
}

#[test]
fn figures_of_single_executors_follow_their_heartbeats() {
    let mut stand = Stand::busy();
    let hello = Hello {
        protocol: wire::version::PROTOCOL,
        build: String::new(),
        application: String::new(),
        executor: id(2),
        host: "nm1".into(),
        pid: 7,
        slots: 1,
        memory: 512 << 20,
        started_unix_ms: 0,
        running: Vec::new(),
    };
    stand.vitals.registered(&hello, None);
    let labels = format!("{{executor=\"{}\",host=\"nm1\"}}", id(2));
    for (resident, seconds) in [(20_u64 << 20, 1), (30 << 20, 2)] {
        let heartbeat = Heartbeat {
            resident,
            cpu: Duration::from_secs(seconds),
            ..Heartbeat::default()
        };
        stand.vitals.heard(&id(2), &heartbeat);
        let text = stand.get("/metrics").body;
        for line in [
            format!("drawloom_executor_resident_memory_bytes{labels} {resident}"),
            format!("drawloom_executor_memory_limit_bytes{labels} {}", 512 << 20),
            format!("drawloom_executor_cpu_seconds_total{labels} {seconds}.0"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains(id(3).as_str()), "it is gone: {text}");
    }
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let stand = Stand::busy();
    stand.metrics.executor_exited(ExecutorLoss::Signalled(9));
    let open = "application/openmetrics-text; version=1.0.0".to_owned();
    let open = stand.answer(&Request {
        path: "/metrics".into(),
        accept: open,
        ..Request::default()
    });
    assert_eq!(
        open.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(open.body.ends_with("# EOF\n"));
    let names = open.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    insta::assert_snapshot!("metric_names", names.collect::<Vec<_>>().join("\n"));
    assert!(
        open.body
            .contains("drawloom_executor_exits_total{cause=\"signalled\"} 1"),
        "{}",
        open.body
    );
    let plain = stand.get("/metrics");
    assert_eq!(plain.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!plain.body.contains("# EOF"));
}
