//! The whole durable state as bytes, and back.
//!
//! Two cores have the same durable state when their checkpoints are equal: the tests of replay compare them. A task
//! costs a bit when it is done and what differs from its neighbours: places, numbers of attempts and failures are
//! written as runs, times as differences.

use std::time::Duration;

use wire::id::{BootNonce, ExecutorId};

use super::codec::{Damaged, Reader, Writer};
use super::fact::AttemptName;
use super::failure;
use super::inputs::{read_inputs, write_inputs, write_plain};
use super::replay::{RecoverError, check_version, parsed};
use crate::attempts::{Attempt, CommitState};
use crate::core::{Driver, Life};
use crate::event::Registration;
use crate::exclusion::{AppRecord, StageRecord};
use crate::executors::{Executor, Executors, Liveness};
use crate::failures::FailureRecord;
use crate::index::{ExecutorIx, Ix, StageIx};
use crate::job::JobState;
use crate::locality::{Level, Locality};
use crate::stage::{Phase, Stage, StageTimes};
use crate::task_set::{Task, TaskSet, TaskState};

/// The latest format; the second knows of executors that are forgotten, and is used only if there are some.
const LATEST: u8 = 2;

/// Forgotten executors take no bytes here and some in memory: damage must not ask for all there is.
const MOST_EXECUTORS: usize = 1 << 24;

impl Driver {
    /// The durable state, for [`Driver::recover`]; entries made before it are of no more use.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut into = Writer::default();
        let version = if self.executors.has_forgotten() { LATEST } else { 1 };
        into.number(version).time(self.now).number(life_number(self.life));
        into.count(self.jobs.len());
        self.jobs.iter().for_each(|job| write_job(&job.state, &mut into));
        self.write_executors(&mut into);
        let stillborn: Vec<_> = self.executors.stillborn().collect();
        into.count(stillborn.len());
        stillborn.iter().for_each(|id| _ = into.text(id.as_str()));
        into.count(self.stages.indexes().count());
        for (_, stage) in self.stages.iter() {
            let mut body = Writer::default();
            self.write_stage(stage, &mut body);
            into.blob(&body.bytes);
        }
        write_exclusions(&self.exclusions.record(self.now), &mut into);
        self.write_failures(&mut into);
        into.bytes
    }

    /// In the order of their numbers; for some in a row that are forgotten an empty name and how many they are.
    fn write_executors(&self, into: &mut Writer) {
        into.count(self.executors.count());
        let slots: Vec<_> = self.executors.slots().map(|(_, executor)| executor).collect();
        for row in slots.chunk_by(|one, next| one.is_none() && next.is_none()) {
            match row[0] {
                Some(executor) => self.write_executor(executor, into),
                None => _ = into.text("").count(row.len()),
            }
        }
    }

    fn write_executor(&self, executor: &Executor, into: &mut Writer) {
        into.text(executor.id.as_str())
            .number(executor.boot.0)
            .text(self.executors.hosts.name(executor.host))
            .number(executor.slots)
            .time(executor.registered_at)
            .number(executor.succeeded)
            .number(executor.failed);
        match executor.liveness {
            Liveness::Gone { at, loss } => {
                into.number(1u8).time(at);
                failure::write_loss(loss, into);
            }
            Liveness::Live | Liveness::Suspect | Liveness::Disconnected { .. } => _ = into.number(0u8),
        }
        into.count(executor.held().count());
        for attempt in executor.held().filter_map(|index| self.attempts.get(index)) {
            name_of(attempt).write(into);
            into.time(attempt.launched_at)
                .number(attempt.cancelled.map_or(0, failure::reason_number))
                .number(u8::from(attempt.queued));
        }
    }

    fn write_stage(&self, stage: &Stage, into: &mut Writer) {
        into.number(phase_number(stage.phase))
            .number(stage.key.stage_attempt)
            .number(stage.failed_attempts)
            .maybe_time(stage.times.submitted)
            .maybe_time(stage.times.first_launch)
            .maybe_time(stage.times.completed);
        failure::write_metrics(&stage.totals, into);
        into.number(u8::from(stage.tasks.is_some()));
        if let Some(tasks) = &stage.tasks {
            if tasks.is_plain() {
                write_plain(tasks.total(), into);
            } else {
                write_inputs(&tasks.planned(&self.executors.hosts), into);
            }
            write_tasks(tasks, into);
        }
    }

    fn write_failures(&self, into: &mut Writer) {
        let records: Vec<_> = self.failures.iter().collect();
        into.number(self.failures.total).count(records.len());
        for record in records {
            let id = record.id;
            let name = AttemptName {
                stage: id.stage.stage,
                stage_attempt: id.stage.stage_attempt,
                partition: id.partition,
                number: id.attempt,
            };
            name.write(into.time(record.at));
            into.count(record.executor.get()).number(u8::from(record.counts));
            failure::write_failure(&record.failure, into);
        }
    }

    /// Takes over the state of a checkpoint; this core must be new.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), RecoverError> {
        let mut from = Reader::new(bytes);
        let name = || "the checkpoint".to_owned();
        check_version(&mut from, LATEST, &name)?;
        self.restore_parts(&mut from)
            .map_err(|damage| RecoverError::Damaged {
                what: name(),
                problem: damage.0,
            })
    }

    fn restore_parts(&mut self, from: &mut Reader<'_>) -> Result<(), Damaged> {
        self.now = from.time()?;
        self.life = read_life(from)?;
        expect_count(from.count()?, self.jobs.len(), "jobs")?;
        for job in &mut self.jobs {
            job.state = read_job(from)?;
        }
        let mut running = Vec::new();
        let executors: usize = from.narrow()?;
        if executors > MOST_EXECUTORS {
            return Err(Damaged::new("more executors than any application has"));
        }
        while self.executors.count() < executors {
            self.restore_executors(&mut running, executors, from)?;
        }
        for _ in 0..from.count()? {
            self.executors.note_stillborn(&parsed(from.text()?)?);
        }
        expect_count(from.count()?, self.stages.indexes().count(), "stages")?;
        for index in self.stages.indexes() {
            let mut body = Reader::new(from.blob()?);
            self.restore_stage(index, &mut body)?;
        }
        self.count_open_stages();
        for (executor, attempt) in running {
            self.restore_attempt(executor, attempt)?;
        }
        let exclusions = self.read_exclusions(from)?;
        let host_of = |executor: ExecutorIx| self.executors[executor].host;
        self.exclusions
            .restore(&self.plan.scheduling.exclusion, exclusions, host_of);
        if !self.exclusions.is_empty() {
            self.end_exclusions();
        }
        self.restore_failures(from)
    }

    /// One, or some in a row that are forgotten, of so many in all.
    fn restore_executors(
        &mut self,
        running: &mut Vec<(ExecutorIx, SavedAttempt)>,
        all: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), Damaged> {
        let name = from.text()?;
        if name.is_empty() {
            let forgotten: usize = from.narrow()?;
            if forgotten == 0 || forgotten > all - self.executors.count() {
                return Err(Damaged::new("more executors than there were"));
            }
            (0..forgotten).for_each(|_| self.executors.admit_forgotten());
            return Ok(());
        }
        let executor = parsed(name)?;
        self.restore_executor(executor, running, from)
    }

    fn restore_executor(
        &mut self,
        executor: ExecutorId,
        running: &mut Vec<(ExecutorIx, SavedAttempt)>,
        from: &mut Reader<'_>,
    ) -> Result<(), Damaged> {
        let registration = Registration {
            executor,
            boot: BootNonce(from.number()?),
            host: from.owned()?,
            slots: from.narrow()?,
            running: Vec::new(),
        };
        let registered_at = from.time()?;
        let index = self.executors.admit(&registration, registered_at);
        let executor = &mut self.executors[index];
        executor.succeeded = from.narrow()?;
        executor.failed = from.narrow()?;
        if from.number()? == 1 {
            let at = from.time()?;
            let loss = failure::read_loss(from)?;
            self.executors.bury(index, at, loss);
        }
        for _ in 0..from.count()? {
            running.push((index, SavedAttempt::read(from)?));
        }
        Ok(())
    }

    fn restore_stage(&mut self, index: StageIx, from: &mut Reader<'_>) -> Result<(), Damaged> {
        let phase = read_phase(from)?;
        let stage = &mut self.stages[index];
        stage.phase = phase;
        stage.key.stage_attempt = from.narrow()?;
        stage.failed_attempts = from.narrow()?;
        stage.times = StageTimes {
            submitted: from.maybe_time()?,
            first_launch: from.maybe_time()?,
            completed: from.maybe_time()?,
        };
        stage.totals = failure::read_metrics(from)?;
        if from.number()? == 1 {
            let inputs = read_inputs(from)?;
            let tasks = self.read_tasks(index, &inputs, from)?;
            self.stages[index].tasks = Some(tasks);
        }
        Ok(())
    }

    fn read_tasks(
        &mut self,
        index: StageIx,
        inputs: &[crate::event::TaskInput],
        from: &mut Reader<'_>,
    ) -> Result<TaskSet, Damaged> {
        let follows = !self.stages[index].with.is_empty();
        let mut set = TaskSet::new(inputs, follows);
        read_states(&mut set, &self.executors, from)?;
        let plan = &self.plan.scheduling.exclusion;
        let record = read_stage_record(&self.executors, from)?;
        let host_of = |executor: ExecutorIx| self.executors[executor].host;
        set.exclusion.restore(plan, record, host_of);
        if self.plan.scheduling.speculation.enabled && self.stages[index].is_running() {
            set.keep_durations();
        }
        if !self.stages[index].gang {
            let hosts = &mut self.executors.hosts;
            if let Some(locality) = Locality::new(inputs, hosts, follows, self.now) {
                set.place_by(locality, &self.executors);
            }
        }
        Ok(set)
    }

    /// What stages and jobs know of each other follows from what each of them is.
    fn count_open_stages(&mut self) {
        let open = |stage: &Stage| stage.phase != Phase::Done;
        for (number, job) in self.jobs.iter_mut().enumerate() {
            let of_job = self
                .stages
                .iter()
                .filter(|(_, stage)| stage.key.job as usize == number);
            job.open_stages =
                u32::try_from(of_job.filter(|(_, stage)| open(stage)).count()).unwrap_or(u32::MAX);
        }
        for (number, plan) in self.plan.scheduling.jobs.iter().enumerate() {
            let done = |before: &&u32| self.jobs[**before as usize].state == JobState::Succeeded;
            let waits_for = plan.after.iter().filter(|before| !done(before)).count();
            self.jobs[number].waits_for = u32::try_from(waits_for).unwrap_or(u32::MAX);
        }
        for index in self.stages.indexes() {
            let before = &self.plan.stages[index.number() as usize].after;
            let waiting = before
                .iter()
                .filter(|&&before| open(&self.stages[StageIx::from_number(before)]));
            self.stages[index].waits_for = u32::try_from(waiting.count()).unwrap_or(u32::MAX);
        }
    }

    fn restore_attempt(&mut self, executor: ExecutorIx, saved: SavedAttempt) -> Result<(), Damaged> {
        let index = StageIx::from_number(saved.name.stage);
        let stage = self
            .stages
            .get(index)
            .ok_or_else(|| Damaged::new("an attempt of no stage"))?;
        let task = stage
            .tasks
            .as_ref()
            .and_then(|tasks| tasks.get(saved.name.partition));
        let task = task.ok_or_else(|| Damaged::new("an attempt of no task"))?;
        let place = &self.executors[executor];
        if place.is_gone() || (!saved.queued && !self.has_room(executor, index)) {
            return Err(Damaged::new("an attempt without a place"));
        }
        let attempt = Attempt {
            level: Level::NoPreference,
            stage: index,
            stage_attempt: saved.name.stage_attempt,
            partition: saved.name.partition,
            number: saved.name.number,
            executor,
            cores: stage.cores,
            launched_at: saved.launched_at,
            seen_at: saved.launched_at,
            started: false,
            queued: saved.queued,
            recalled: false,
            suspected: false,
            commit: CommitState::NotAsked,
            cancelled: saved.cancelled,
            progress: 0.0,
            status: String::new(),
            resident: 0,
            counters: Vec::new(),
            sibling: task.live,
        };
        self.insert_attempt(attempt);
        Ok(())
    }

    fn read_exclusions(&self, from: &mut Reader<'_>) -> Result<AppRecord, Damaged> {
        let mut record = AppRecord::default();
        for _ in 0..from.count()? {
            let executor = self.known_executor(from.narrow()?)?;
            let mut ends = Vec::new();
            for _ in 0..from.count()? {
                ends.push(from.time()?);
            }
            record.failures.push((executor, ends));
        }
        for _ in 0..from.count()? {
            let executor = self.known_executor(from.narrow()?)?;
            record.executors.push((executor, from.time()?));
        }
        Ok(record)
    }

    fn restore_failures(&mut self, from: &mut Reader<'_>) -> Result<(), Damaged> {
        let total = from.number()?;
        for _ in 0..from.count()? {
            let at = from.time()?;
            let id = self.full_id(AttemptName::read(from)?)?;
            let executor = self.known_executor(from.narrow()?)?;
            let counts = from.number()? == 1;
            let failure = failure::read_failure(from)?;
            self.failures.record(FailureRecord {
                at,
                id,
                executor,
                counts,
                failure,
            });
        }
        self.failures.total = total;
        Ok(())
    }
}

/// A live attempt of a checkpoint.
#[derive(Clone, Copy)]
struct SavedAttempt {
    name: AttemptName,
    launched_at: Duration,
    cancelled: Option<wire::failure::KillReason>,
    queued: bool,
}

impl SavedAttempt {
    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            name: AttemptName::read(from)?,
            launched_at: from.time()?,
            cancelled: failure::read_maybe_reason(from)?,
            queued: from.number()? == 1,
        })
    }
}

pub(crate) fn name_of(attempt: &Attempt) -> AttemptName {
    AttemptName {
        stage: attempt.stage.number(),
        stage_attempt: attempt.stage_attempt,
        partition: attempt.partition,
        number: attempt.number,
    }
}

fn write_tasks(set: &TaskSet, into: &mut Writer) {
    let tasks = set.tasks();
    let done = |task: &&Task| task.state == TaskState::Done;
    into.number(set.failed);
    into.bits(tasks.iter().map(|task| done(&task)));
    into.runs(tasks.iter().map(|task| state_number(task.state)));
    into.runs(tasks.iter().map(|task| task.next_attempt.into()));
    into.runs(tasks.iter().map(|task| task.failures.into()));
    into.runs(
        tasks
            .iter()
            .map(|task| task.place.map_or(0, |place| place.get() as u64 + 1)),
    );
    let mut before = 0;
    for task in tasks.iter().filter(done) {
        into.signed(i64::from(task.launched_ms) - before)
            .number(task.took_ms);
        before = i64::from(task.launched_ms);
    }
    write_stage_record(&set.exclusion.record(), into);
}

fn read_states(set: &mut TaskSet, executors: &Executors, from: &mut Reader<'_>) -> Result<(), Damaged> {
    let count = set.total() as usize;
    set.failed = from.narrow()?;
    let done = from.bits(count)?;
    let states = from.runs(count)?;
    let (attempts, failures, places) = (from.runs(count)?, from.runs(count)?, from.runs(count)?);
    let mut tasks = Vec::with_capacity(count);
    let mut before = 0;
    for number in 0..count {
        let mut task = Task::NEW;
        task.state = if done[number] {
            TaskState::Done
        } else {
            read_state(states[number])?
        };
        task.next_attempt = narrow(attempts[number])?;
        task.failures = narrow(failures[number])?;
        task.place = read_place(places[number], executors)?;
        if done[number] {
            before += from.signed()?;
            task.launched_ms = u32::try_from(before).map_err(|_| Damaged::new("a time out of range"))?;
            task.took_ms = from.narrow()?;
        }
        tasks.push(task);
    }
    set.restore(tasks);
    Ok(())
}

fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, Damaged> {
    T::try_from(number).map_err(|_| Damaged::new("a number that is too large"))
}

fn read_place(number: u64, executors: &Executors) -> Result<Option<ExecutorIx>, Damaged> {
    let Some(index) = number.checked_sub(1) else {
        return Ok(None);
    };
    let index = ExecutorIx::new(narrow::<u32>(index)? as usize);
    if executors.knows(index) {
        return Ok(Some(index));
    }
    Err(Damaged::new("a place that is no executor"))
}

fn write_stage_record(record: &StageRecord, into: &mut Writer) {
    into.count(record.strikes.len());
    for (partition, strikes) in &record.strikes {
        into.number(*partition).count(strikes.len());
        for (executor, failures) in strikes {
            into.count(executor.get()).number(*failures);
        }
    }
    into.count(record.failed_on.len());
    for (executor, partitions) in &record.failed_on {
        into.count(executor.get()).count(partitions.len());
        partitions
            .iter()
            .for_each(|partition| _ = into.number(*partition));
    }
}

fn read_stage_record(executors: &Executors, from: &mut Reader<'_>) -> Result<StageRecord, Damaged> {
    let mut record = StageRecord::default();
    let executor = |from: &mut Reader<'_>| {
        let place = read_place(from.number()? + 1, executors)?;
        place.ok_or_else(|| Damaged::new("a strike against no executor"))
    };
    for _ in 0..from.count()? {
        let partition = from.narrow()?;
        let mut strikes = Vec::new();
        for _ in 0..from.count()? {
            strikes.push((executor(from)?, from.narrow()?));
        }
        record.strikes.push((partition, strikes));
    }
    for _ in 0..from.count()? {
        let executor = executor(from)?;
        let mut partitions = Vec::new();
        for _ in 0..from.count()? {
            partitions.push(from.narrow()?);
        }
        record.failed_on.push((executor, partitions));
    }
    Ok(record)
}

fn write_exclusions(record: &AppRecord, into: &mut Writer) {
    into.count(record.failures.len());
    for (executor, ends) in &record.failures {
        into.count(executor.get()).count(ends.len());
        ends.iter().for_each(|end| _ = into.time(*end));
    }
    into.count(record.executors.len());
    for (executor, until) in &record.executors {
        into.count(executor.get()).time(*until);
    }
}

fn write_job(state: &JobState, into: &mut Writer) {
    let (number, text) = match state {
        JobState::Running => (0u8, ""),
        JobState::Succeeded => (1, ""),
        JobState::Failed(cause) => (2, cause.as_str()),
        JobState::Killed(by) => (3, by.as_str()),
    };
    into.number(number).text(text);
}

fn read_job(from: &mut Reader<'_>) -> Result<JobState, Damaged> {
    let number = from.number()?;
    let text = from.owned()?;
    Ok(match number {
        0 => JobState::Running,
        1 => JobState::Succeeded,
        2 => JobState::Failed(text),
        3 => JobState::Killed(text),
        _ => return Err(Damaged::new("a job in an unknown state")),
    })
}

fn life_number(life: Life) -> u8 {
    match life {
        Life::New => 0,
        Life::Running => 1,
        Life::Finished => 2,
    }
}

fn read_life(from: &mut Reader<'_>) -> Result<Life, Damaged> {
    Ok(match from.number()? {
        0 => Life::New,
        1 => Life::Running,
        2 => Life::Finished,
        _ => return Err(Damaged::new("an application in an unknown state")),
    })
}

fn phase_number(phase: Phase) -> u8 {
    match phase {
        Phase::Waiting => 0,
        Phase::Planning => 1,
        Phase::Running => 2,
        Phase::Complete => 3,
        Phase::Committing => 4,
        Phase::Done => 5,
        Phase::Abandoned => 6,
    }
}

fn read_phase(from: &mut Reader<'_>) -> Result<Phase, Damaged> {
    Ok(match from.number()? {
        0 => Phase::Waiting,
        1 => Phase::Planning,
        2 => Phase::Running,
        3 => Phase::Complete,
        4 => Phase::Committing,
        5 => Phase::Done,
        6 => Phase::Abandoned,
        _ => return Err(Damaged::new("a stage in an unknown state")),
    })
}

fn state_number(state: TaskState) -> u64 {
    match state {
        TaskState::Blocked => 0,
        TaskState::Pending => 1,
        TaskState::Running => 2,
        // Said by a bit of its own.
        TaskState::Done => 1,
    }
}

fn read_state(number: u64) -> Result<TaskState, Damaged> {
    Ok(match number {
        0 => TaskState::Blocked,
        1 => TaskState::Pending,
        2 => TaskState::Running,
        _ => return Err(Damaged::new("a task in an unknown state")),
    })
}

fn expect_count(found: usize, expected: usize, what: &str) -> Result<(), Damaged> {
    if found == expected {
        return Ok(());
    }
    Err(Damaged::new(format!(
        "it has {found} {what}, the plan {expected}"
    )))
}
