//! From what happens to lines of the log. Pure: it owns what is open, and nothing that is over (J).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use driver::core::Driver;
use driver::history::Happening;
use driver::plan::{AppPlan, TaskSource};
use driver::policy::StageScheduling;
use driver::view::{
    ExecutorStatus, ExecutorView, JobStatus, Level, Snapshot, StageStatus, StageView, TaskStatus, TaskView,
};
use serde_json::json;
use wire::id::{ExecutorId, StageKey, TaskAttemptId};
use wire::task::TaskMetrics;

use super::spark::{End, StageInfo, TaskInfo, executor_added, line};

/// Tasks of an earlier attempt that become lines at a time.
const PIECE: usize = 500;

/// Lines that are made when they are wanted.
pub(super) type Lines = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What a stage is, apart from its state.
#[derive(Debug)]
struct StageFacts {
    name: String,
    job: u32,
    parents: Vec<u32>,
    /// Tasks, as far as the plan says.
    planned: u64,
    pool: String,
}

/// An attempt that runs.
#[derive(Debug)]
struct Open {
    number: u64,
    place: (ExecutorId, String),
    level: Level,
    copy: bool,
    launched: u64,
}

impl Open {
    fn info(&self, id: TaskAttemptId) -> TaskInfo<'_> {
        TaskInfo {
            number: self.number,
            id,
            executor: self.place.0.as_str(),
            host: &self.place.1,
            level: self.level,
            copy: self.copy,
            launched: self.launched,
        }
    }
}

/// A stage attempt that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Begun {
    attempt: u32,
    tasks: u64,
    at: u64,
}

/// Makes lines of what happens.
#[derive(Debug)]
pub struct Teller {
    stages: Vec<StageFacts>,
    jobs: Vec<String>,
    user: String,
    zero_unix: Duration,
    next: u64,
    /// Executors that have not registered, and where YARN shows their logs.
    nodes: BTreeMap<ExecutorId, String>,
    open: BTreeMap<TaskAttemptId, Open>,
    begun: BTreeMap<u32, Begun>,
    jobs_begun: BTreeSet<u32>,
    jobs_open: BTreeSet<u32>,
}

impl Teller {
    /// A teller of the plan's stages and jobs; `user` owns the containers, and the driver's clock started at
    /// `zero_unix` since 1970.
    #[must_use]
    pub fn new(plan: &AppPlan, user: &str, zero_unix: Duration) -> Self {
        let stages = plan.stages.iter().map(|stage| StageFacts {
            name: stage.name.clone(),
            job: stage.scheduling.job,
            parents: stage.edges().copied().collect(),
            planned: planned(&stage.source),
            pool: pool(plan, &stage.scheduling).to_owned(),
        });
        let jobs = plan.scheduling.jobs.iter().map(|job| job.name.clone());
        Self {
            stages: stages.collect(),
            jobs: jobs.collect(),
            user: user.to_owned(),
            zero_unix,
            next: 0,
            nodes: BTreeMap::new(),
            open: BTreeMap::new(),
            begun: BTreeMap::new(),
            jobs_begun: BTreeSet::new(),
            jobs_open: BTreeSet::new(),
        }
    }

    fn unix(&self, at: Duration) -> u64 {
        u64::try_from((self.zero_unix + at).as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds the lines of something that happened at `at` on the driver's clock.
    pub fn tell(&mut self, at: Duration, happening: Happening, lines: &mut Vec<u8>) {
        let now = self.unix(at);
        match happening {
            Happening::ExecutorAdded {
                executor,
                host,
                slots,
            } => lines.extend(self.executor(&executor, &host, slots, now)),
            Happening::ExecutorRemoved { executor, loss } => {
                self.nodes.remove(&executor);
                lines.extend(executor_removed(&executor, &loss.to_string(), now));
            }
            Happening::StageBegan { stage, tasks } => {
                self.begin_stage(stage, tasks.into(), now, lines);
            }
            Happening::StageEnded { stage, failure } => {
                self.end_stage(stage.stage, failure.as_deref(), now, lines);
            }
            Happening::TaskLaunched {
                id,
                place,
                level,
                copy,
            } => self.launch(id, place, level, copy, now, lines),
            Happening::TaskEnded {
                id,
                place,
                launched,
                level,
                outcome,
                metrics,
            } => {
                if !self.open.contains_key(&id) {
                    let launched = self.unix(launched);
                    self.launch(id, place, level, false, launched, lines);
                }
                let end = match &outcome {
                    Ok(()) => End::Success,
                    Err(failure) => End::Failure(failure),
                };
                self.end_task(id, &end, &metrics, now, lines);
            }
            Happening::TaskReturned { id } => {
                let end = End::Kill("given back before it began");
                self.end_task(id, &end, &TaskMetrics::default(), now, lines);
            }
            Happening::JobEnded { job, failure } => {
                self.begin_job(job, now, lines);
                self.end_job(job, failure.as_deref(), now, lines);
            }
        }
    }

    /// The driver's clock counts from another moment from now on.
    pub fn count_from(&mut self, zero_unix: Duration) {
        self.zero_unix = zero_unix;
    }

    /// `HOST:PORT` of the NodeManager's pages where an executor runs; best told before it registers.
    pub fn locate(&mut self, executor: &ExecutorId, node_http: &str) {
        self.nodes.insert(executor.clone(), node_http.to_owned());
    }

    fn executor(&mut self, id: &ExecutorId, host: &str, slots: u32, now: u64) -> Vec<u8> {
        let node = self.nodes.remove(id);
        executor_added(id, host, slots, now, node.as_deref(), &self.user)
    }

    fn launch(
        &mut self,
        id: TaskAttemptId,
        place: (ExecutorId, String),
        level: Level,
        copy: bool,
        launched: u64,
        lines: &mut Vec<u8>,
    ) {
        let open = Open {
            number: self.next,
            place,
            level,
            copy,
            launched,
        };
        self.next += 1;
        lines.extend(open.info(id).start());
        self.open.insert(id, open);
    }

    fn end_task(
        &mut self,
        id: TaskAttemptId,
        end: &End<'_>,
        metrics: &TaskMetrics,
        now: u64,
        lines: &mut Vec<u8>,
    ) {
        if let Some(open) = self.open.remove(&id) {
            lines.extend(open.info(id).end(now, end, metrics));
        }
    }

    fn begin_job(&mut self, job: u32, now: u64, lines: &mut Vec<u8>) {
        if !self.jobs_begun.insert(job) {
            return;
        }
        self.jobs_open.insert(job);
        let of_job = |number: &u32| self.stages[*number as usize].job == job;
        let stages: Vec<u32> = (0..).take(self.stages.len()).filter(of_job).collect();
        let infos = stages.iter().map(|&stage| {
            let facts = &self.stages[stage as usize];
            let tasks = self.begun.get(&stage).map_or(facts.planned, |begun| begun.tasks);
            self.info(stage, 0, tasks).json()
        });
        let name = self.jobs.get(job as usize);
        lines.extend(line(
            "JobStart",
            &json!({
                "Job ID": job,
                "Submission Time": now,
                "Stage Infos": infos.collect::<Vec<_>>(),
                "Stage IDs": stages,
                "Properties": name.map_or_else(|| json!({}), |name| json!({ "spark.job.description": name })),
            }),
        ));
    }

    fn info(&self, stage: u32, attempt: u32, tasks: u64) -> StageInfo<'_> {
        let facts = &self.stages[stage as usize];
        StageInfo {
            stage,
            attempt,
            name: &facts.name,
            tasks,
            parents: &facts.parents,
            submitted: None,
            completed: None,
            failure: None,
        }
    }

    fn begin_stage(&mut self, stage: StageKey, tasks: u64, at: u64, lines: &mut Vec<u8>) {
        let begun = Begun {
            attempt: stage.stage_attempt,
            tasks,
            at,
        };
        self.begun.insert(stage.stage, begun);
        self.begin_job(stage.job, at, lines);
        let info = StageInfo {
            submitted: Some(at),
            ..self.info(stage.stage, stage.stage_attempt, tasks)
        };
        let pool = &self.stages[stage.stage as usize].pool;
        lines.extend(line(
            "StageSubmitted",
            &json!({ "Stage Info": info.json(), "Properties": { "spark.scheduler.pool": pool } }),
        ));
    }

    fn end_stage(&mut self, stage: u32, failure: Option<&str>, at: u64, lines: &mut Vec<u8>) {
        let Some(begun) = self.begun.remove(&stage) else {
            return;
        };
        let info = StageInfo {
            submitted: Some(begun.at),
            completed: Some(at),
            failure,
            ..self.info(stage, begun.attempt, begun.tasks)
        };
        lines.extend(line("StageCompleted", &json!({ "Stage Info": info.json() })));
    }

    fn end_job(&mut self, job: u32, failure: Option<&str>, now: u64, lines: &mut Vec<u8>) {
        if !self.jobs_open.remove(&job) {
            return;
        }
        let result = match failure {
            None => json!({ "Result": "JobSucceeded" }),
            Some(cause) => json!({
                "Result": "JobFailed",
                "Exception": { "Message": cause, "Stack Trace": [] },
            }),
        };
        lines.extend(line(
            "JobEnd",
            &json!({ "Job ID": job, "Completion Time": now, "Job Result": result }),
        ));
    }

    /// Closes what is open, and the application. `failure` is that of the application.
    pub fn end(&mut self, at: Duration, failure: Option<&str>) -> Vec<u8> {
        let (now, mut lines) = (self.unix(at), Vec::new());
        let why = failure.unwrap_or("the application ended");
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            self.end_task(id, &End::Kill(why), &TaskMetrics::default(), now, &mut lines);
        }
        for stage in self.begun.keys().copied().collect::<Vec<_>>() {
            self.end_stage(stage, Some(why), now, &mut lines);
        }
        for job in self.jobs_open.clone() {
            self.end_job(job, Some(why), now, &mut lines);
        }
        lines.extend(line("ApplicationEnd", &json!({ "Timestamp": now })));
        lines
    }

    /// What a recovered driver knows: its executors, and of each stage what is done and what runs.
    pub(super) fn so_far(&mut self, driver: &Driver) -> Vec<Lines> {
        let snapshot = driver.snapshot();
        let mut all: Vec<Lines> = vec![once(self.executors_so_far(&snapshot))];
        for stage in &snapshot.stages {
            self.stage_so_far(driver, stage, &mut all);
        }
        all.push(once(self.jobs_so_far(&snapshot)));
        all.push(once(self.executors_gone(&snapshot)));
        all
    }

    fn executors_so_far(&mut self, snapshot: &Snapshot) -> Vec<u8> {
        let mut lines = Vec::new();
        for view in &snapshot.executors {
            let since = self.unix(view.registered);
            lines.extend(self.executor(&view.id, &view.host, view.slots, since));
        }
        lines
    }

    fn executors_gone(&self, snapshot: &Snapshot) -> Vec<u8> {
        let gone = |view: &ExecutorView| match (view.status, view.gone) {
            (ExecutorStatus::Gone(loss), Some(at)) => {
                executor_removed(&view.id, &loss.to_string(), self.unix(at))
            }
            _ => Vec::new(),
        };
        snapshot.executors.iter().flat_map(gone).collect()
    }

    fn stage_so_far(&mut self, driver: &Driver, stage: &StageView, all: &mut Vec<Lines>) {
        let Some(submitted) = stage.submitted.map(|at| self.unix(at)) else {
            return;
        };
        let (mut first, mut last) = (Vec::new(), Vec::new());
        self.begin_stage(stage.key, stage.tasks, submitted, &mut first);
        let mut done = Done::new(stage.key, self.next, self.zero_unix);
        let mut running = Vec::new();
        for view in all_tasks(driver, stage.key.stage) {
            match view.status {
                TaskStatus::Succeeded => done.add(view),
                TaskStatus::Pending => {}
                TaskStatus::Launched | TaskStatus::Running => running.push(view),
            }
        }
        self.next += done.tasks.len() as u64;
        for view in running {
            self.still_open(stage.key, view, &mut last);
        }
        if matches!(stage.status, StageStatus::Done | StageStatus::Abandoned) {
            let at = stage.completed.map_or(submitted, |at| self.unix(at));
            let failure = (stage.status == StageStatus::Abandoned).then_some("its job ended before it");
            self.end_stage(stage.key.stage, failure, at, &mut last);
        }
        all.extend([once(first), Box::new(done) as Lines, once(last)]);
    }

    /// An attempt that the lost ApplicationMaster had launched.
    fn still_open(&mut self, stage: StageKey, view: TaskView, lines: &mut Vec<u8>) {
        let (Some(executor), Some(launched)) = (view.executor, view.launched) else {
            return;
        };
        let id = TaskAttemptId {
            stage,
            partition: view.partition,
            attempt: view.attempts.saturating_sub(1),
        };
        let place = (executor, view.host.unwrap_or_default());
        let launched = self.unix(launched);
        let level = view.level.unwrap_or(Level::NoPreference);
        self.launch(id, place, level, false, launched, lines);
    }

    fn jobs_so_far(&mut self, snapshot: &Snapshot) -> Vec<u8> {
        let mut lines = Vec::new();
        for job in &snapshot.jobs {
            if !matches!(job.status, JobStatus::Waiting | JobStatus::Running) {
                let at = self.unix(snapshot.at);
                self.end_job(job.job, job.cause.as_deref(), at, &mut lines);
            }
        }
        lines
    }
}

/// How many tasks a stage will have, as far as that is known before files are looked at.
fn planned(source: &TaskSource) -> u64 {
    match source {
        TaskSource::Inputs { groups, .. } => groups.unwrap_or_default().into(),
        source => source.known_tasks(),
    }
}

/// The pool of a stage, which is that of its job unless it names one.
pub(crate) fn pool<'a>(plan: &'a AppPlan, stage: &'a StageScheduling) -> &'a str {
    let job = plan.scheduling.jobs.get(stage.job as usize);
    let of_job = || job.and_then(|job| job.pool.as_deref());
    stage.pool.as_deref().or_else(of_job).unwrap_or("default")
}

fn once(lines: Vec<u8>) -> Lines {
    Box::new(std::iter::once(lines))
}

fn executor_removed(executor: &ExecutorId, why: &str, at: u64) -> Vec<u8> {
    let fields = json!({ "Timestamp": at, "Executor ID": executor.as_str(), "Removed Reason": why });
    line("ExecutorRemoved", &fields)
}

/// All tasks of a stage, a few at a time.
fn all_tasks(driver: &Driver, stage: u32) -> impl Iterator<Item = TaskView> + '_ {
    let starts = (0u32..).step_by(PIECE);
    let pieces = starts.map(move |from| driver.tasks(stage, from, PIECE));
    pieces.take_while(|tasks| !tasks.is_empty()).flatten()
}

/// The tasks of a stage that were done when its driver was recovered, as small as can be until their lines are wanted.
struct Done {
    stage: StageKey,
    first: u64,
    zero_unix: Duration,
    places: Vec<(ExecutorId, String)>,
    known: BTreeMap<ExecutorId, usize>,
    tasks: Vec<DoneTask>,
    told: usize,
}

struct DoneTask {
    partition: u32,
    attempt: u32,
    place: u32,
    launched_ms: u32,
    took_ms: u32,
    level: Level,
}

impl Done {
    fn new(stage: StageKey, first: u64, zero_unix: Duration) -> Self {
        Self {
            stage,
            first,
            zero_unix,
            places: Vec::new(),
            known: BTreeMap::new(),
            tasks: Vec::new(),
            told: 0,
        }
    }

    fn add(&mut self, view: TaskView) {
        let millis = |time: Option<Duration>| {
            let time = time.unwrap_or_default().as_millis();
            u32::try_from(time).unwrap_or(u32::MAX)
        };
        let place = self.place(view.executor, view.host);
        self.tasks.push(DoneTask {
            partition: view.partition,
            attempt: view.attempts.saturating_sub(1),
            place,
            launched_ms: millis(view.launched),
            took_ms: millis(view.took),
            level: view.level.unwrap_or(Level::NoPreference),
        });
    }

    fn place(&mut self, executor: Option<ExecutorId>, host: Option<String>) -> u32 {
        let Some(executor) = executor else {
            return u32::MAX;
        };
        let next = self.places.len();
        let place = *self.known.entry(executor.clone()).or_insert(next);
        if place == next {
            self.places.push((executor, host.unwrap_or_default()));
        }
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn lines_of(&self, index: usize, task: &DoneTask) -> Vec<u8> {
        let nowhere = ("driver", "");
        let place = self.places.get(task.place as usize);
        let (executor, host) = place.map_or(nowhere, |(id, host)| (id.as_str(), host.as_str()));
        let zero = u64::try_from(self.zero_unix.as_millis()).unwrap_or(u64::MAX);
        let launched = zero + u64::from(task.launched_ms);
        let info = TaskInfo {
            number: self.first + index as u64,
            id: TaskAttemptId {
                stage: self.stage,
                partition: task.partition,
                attempt: task.attempt,
            },
            executor,
            host,
            level: task.level,
            copy: false,
            launched,
        };
        let metrics = TaskMetrics {
            wall: Duration::from_millis(task.took_ms.into()),
            ..TaskMetrics::default()
        };
        let mut lines = info.start();
        lines.extend(info.end(launched + u64::from(task.took_ms), &End::Success, &metrics));
        lines
    }
}

impl Iterator for Done {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let piece = self.tasks.get(self.told..)?.iter().take(PIECE);
        let lines: Vec<u8> = (self.told..)
            .zip(piece)
            .flat_map(|(index, task)| self.lines_of(index, task))
            .collect();
        self.told = self.tasks.len().min(self.told + PIECE);
        (!lines.is_empty()).then_some(lines)
    }
}
