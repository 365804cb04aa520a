//! A job: stages that succeed or fail together. It may come after other jobs, and then begins when all of them have
//! succeeded, or fails without beginning when one of them has not.

use crate::plan::AppPlan;

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobState {
    Running,
    Succeeded,
    /// The decisive cause.
    Failed(String),
    /// By whom.
    Killed(String),
}

impl JobState {
    /// Why a job did not succeed, in words; empty when that is not so.
    pub(crate) fn failure(&self) -> String {
        match self {
            Self::Running | Self::Succeeded => String::new(),
            Self::Failed(cause) => cause.clone(),
            Self::Killed(by) => format!("killed by {by}"),
        }
    }
}

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) state: JobState,
    /// Stages that are not done.
    pub(crate) open_stages: u32,
    /// Jobs that it comes after and that have not succeeded yet.
    pub(crate) waits_for: u32,
    /// Jobs that come after it.
    pub(crate) followers: Vec<u32>,
}

impl Job {
    pub(crate) fn is_running(&self) -> bool {
        self.state == JobState::Running
    }
}

/// The jobs of a plan.
pub(crate) fn of_plan(plan: &AppPlan) -> Vec<Job> {
    let highest = plan.stages.iter().map(|stage| stage.scheduling.job + 1).max();
    let named = plan.scheduling.jobs.len();
    let count = named.max(highest.unwrap_or(1) as usize);
    let mut jobs: Vec<_> = (0..count).map(|number| new_job(plan, number)).collect();
    for stage in &plan.stages {
        jobs[stage.scheduling.job as usize].open_stages += 1;
    }
    for (number, job) in (0..).zip(&plan.scheduling.jobs) {
        for &before in &job.after {
            jobs[before as usize].followers.push(number);
            jobs[number as usize].waits_for += 1;
        }
    }
    jobs
}

fn new_job(plan: &AppPlan, number: usize) -> Job {
    let named = plan.scheduling.jobs.get(number).map(|job| job.name.clone());
    let name = named.filter(|name| !name.is_empty());
    Job {
        name: name.unwrap_or_else(|| plan.name.clone()),
        state: JobState::Running,
        open_stages: 0,
        waits_for: 0,
        followers: Vec::new(),
    }
}
