//! How jobs and the application end, and in which words.

use wire::failure::{KillReason, TaskFailure};

use crate::attempts::Attempt;
use crate::core::{Driver, Life};
use crate::event::{Effect, Verdict};
use crate::history::Happening;
use crate::index::StageIx;
use crate::job::{Job, JobState};
use crate::journal::fact::ApplicationFact;
use crate::stage::Phase;
use crate::timers::Timer;

/// Lines of a task's standard error that the decisive cause quotes.
const QUOTED_LINES: usize = 10;

impl Driver {
    pub(crate) fn on_kill_requested(&mut self, by: &str, effects: &mut Vec<Effect>) {
        self.note_fact(|_| ApplicationFact::Killed {
            job: None,
            by: by.to_owned(),
        });
        self.life = Life::Running;
        for job in 0..self.jobs.len() {
            if self.jobs[job].is_running() {
                self.end_job(job, JobState::Killed(by.to_owned()), effects);
            }
        }
    }

    pub(crate) fn on_job_kill_requested(&mut self, job: u32, by: String, effects: &mut Vec<Effect>) {
        if self.jobs.get(job as usize).is_some_and(Job::is_running) {
            self.note_fact(|_| ApplicationFact::Killed {
                job: Some(job),
                by: by.clone(),
            });
            self.end_job(job as usize, JobState::Killed(by), effects);
        }
    }

    /// Ends a job for a cause.
    pub(crate) fn fail_job(&mut self, job: u32, cause: String, effects: &mut Vec<Effect>) {
        let job = job as usize;
        if self.jobs[job].is_running() {
            self.end_job(job, JobState::Failed(cause), effects);
        }
    }

    /// Ends a job before its time: what runs is cancelled, what is half made is abandoned.
    fn end_job(&mut self, job: usize, state: JobState, effects: &mut Vec<Effect>) {
        let cause = state.failure();
        self.jobs[job].state = state;
        self.cancel_job(job, effects);
        for index in self.stages.indexes() {
            if self.stages[index].key.job as usize == job {
                self.abandon_stage(index, &cause, effects);
            }
        }
        self.tell(|_| Happening::JobEnded {
            job: u32::try_from(job).unwrap_or(u32::MAX),
            failure: Some(cause),
        });
        for follower in self.jobs[job].followers.clone() {
            self.give_up_follower(job, follower as usize, effects);
        }
    }

    /// A job that comes after one that has not succeeded never begins.
    fn give_up_follower(&mut self, before: usize, job: usize, effects: &mut Vec<Effect>) {
        let (name, other) = (&self.jobs[job].name, &self.jobs[before]);
        let text = |what: &str| {
            format!(
                "job {name} did not begin: it comes after job {}, {what}",
                other.name
            )
        };
        let state = match &other.state {
            JobState::Failed(cause) => JobState::Failed(text(&format!("which failed: {cause}"))),
            JobState::Killed(by) => JobState::Killed(by.clone()),
            JobState::Running | JobState::Succeeded => return,
        };
        if self.jobs[job].is_running() {
            self.end_job(job, state, effects);
        }
    }

    fn cancel_job(&mut self, job: usize, effects: &mut Vec<Effect>) {
        let of_job = |attempt: &Attempt| self.stages[attempt.stage].key.job as usize == job;
        let running = self.attempts.iter().filter(|(_, attempt)| of_job(attempt));
        let running: Vec<_> = running.map(|(index, _)| index).collect();
        for index in running {
            self.cancel(index, KillReason::JobEnded, effects);
        }
    }

    fn abandon_stage(&mut self, index: StageIx, cause: &str, effects: &mut Vec<Effect>) {
        let stage = &mut self.stages[index];
        if stage.phase == Phase::Done {
            return;
        }
        self.tell_stage_ended(index, Some(cause.to_owned()));
        let stage = &mut self.stages[index];
        let has_output = self.plan.stages[index.number() as usize].output.is_some();
        if has_output && stage.is_begun() {
            effects.push(Effect::AbandonStage { stage: stage.key });
        }
        self.queue.set_pending(index, false);
        self.timers.clear(Timer::Locality(index));
        stage.phase = Phase::Abandoned;
        stage.times.completed = stage.times.submitted.and(Some(self.now));
        if let Some(tasks) = &mut stage.tasks {
            tasks.shed();
        }
    }

    /// The sentence that says why a job failed.
    pub(crate) fn decisive_cause(&self, attempt: &Attempt, failures: u32, failure: &TaskFailure) -> String {
        let stage = self.stage_name(attempt.stage);
        let executor = &self.executors[attempt.executor];
        let host = self.executors.hosts.name(executor.host);
        let times = if failures == 1 {
            "once".to_owned()
        } else {
            format!("{failures} times")
        };
        let (task, number, id) = (attempt.partition, attempt.number, &executor.id);
        let cause = format!(
            "stage {stage}, task {task} failed {times}; last attempt {task}.{number} on {host} ({id}): {failure}"
        );
        cause + &quotation(&failure.stderr_tail)
    }

    /// Gives the verdict once every job has its own.
    pub(crate) fn conclude(&mut self, effects: &mut Vec<Effect>) {
        self.fail_hopeless_jobs(effects);
        if self.jobs.iter().any(Job::is_running) {
            return;
        }
        self.note_fact(|_| ApplicationFact::Concluded);
        self.life = Life::Finished;
        effects.push(Effect::Finish(self.verdict()));
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let states = || self.jobs.iter().map(|job| &job.state);
        let killed = states().find_map(|state| match state {
            JobState::Killed(by) => Some(Verdict::Killed(by.clone())),
            JobState::Running | JobState::Succeeded | JobState::Failed(_) => None,
        });
        let failed = || {
            states().find_map(|state| match state {
                JobState::Failed(cause) => Some(Verdict::Failed(cause.clone())),
                JobState::Running | JobState::Succeeded | JobState::Killed(_) => None,
            })
        };
        killed.or_else(failed).unwrap_or(Verdict::Succeeded)
    }

    /// Tasks that are open while those who could run them are not there and never will be: their jobs fail.
    fn fail_hopeless_jobs(&mut self, effects: &mut Vec<Effect>) {
        let Some(reason) = self.hopeless.clone() else {
            return;
        };
        let suspicion = self
            .suspicion()
            .map_or_else(String::new, |suspect| format!("{suspect}; "));
        // The cause first: YARN shows little more than the beginning.
        self.fail_jobs_without_room(&format!("{reason}; {suspicion}"), 0, effects);
    }

    /// Ends what waits for more executors than there is room for. Others go on, and what comes later may find more.
    pub(crate) fn on_room_lacked(&mut self, reason: &str, room: u32, effects: &mut Vec<Effect>) {
        self.fail_jobs_without_room(&format!("{reason}; "), room, effects);
    }

    fn fail_jobs_without_room(&mut self, reason: &str, room: u32, effects: &mut Vec<Effect>) {
        for index in self.stages.indexes() {
            if let Some(lack) = self.lack_of_room(index, room) {
                let (job, cause) = (self.stages[index].key.job, format!("{reason}{lack}"));
                self.note_fact(|_| ApplicationFact::JobFailed {
                    job,
                    cause: cause.clone(),
                });
                self.fail_job(job, cause, effects);
            }
        }
    }

    /// Why neither the executors that are there nor so many in all can run a stage.
    fn lack_of_room(&self, index: StageIx, room: u32) -> Option<String> {
        let stage = &self.stages[index];
        let tasks = stage.tasks.as_ref().filter(|_| stage.is_running())?;
        if self.executors.present() == 0 && room == 0 {
            return Some("no executor is left".to_owned());
        }
        let (wanted, name) = (tasks.total(), self.stage_name(index));
        let fits = self.executors_of_gang(index).is_none_or(|needed| needed <= room);
        let waits = !fits && !self.could_hold(index, wanted);
        waits.then(|| {
            format!("the {wanted} tasks of stage {name} start together, and the executors left have no room for all")
        })
    }
}

/// The last lines of a standard error, each on its own line below the sentence.
fn quotation(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    last.iter().flat_map(|line| ["\n", *line]).collect()
}
