//! Where in the job file it is written what makes a plan impossible to run.

use driver::check::{PlanProblem, PoolUser};

use crate::job::problem::{Place, Problem, nearest};
use crate::job::{JobFile, PoolFile, StageFile};

/// Where a problem is told that has no place of its own: what it is about was not said in the file.
pub(super) const TOP: Place = Place { line: 1, column: 1 };

/// A problem of a plan as one of the file that it was made of.
pub(super) fn placed(job: &JobFile, problem: &PlanProblem) -> Problem {
    let place = place(job, problem).unwrap_or(TOP);
    Problem::new(place, format!("{problem}{}", hint(job, problem)))
}

fn hint(job: &JobFile, problem: &PlanProblem) -> String {
    let PlanProblem::UnknownPool { pool, .. } = problem else {
        return String::new();
    };
    let known = job.pools.iter().map(|pool| pool.name.value.as_str());
    nearest(pool, known).map_or_else(String::new, |name| format!(": did you mean {name:?}?"))
}

/// The field that a problem is about, or what that field is of.
fn place(job: &JobFile, problem: &PlanProblem) -> Option<Place> {
    let of_stage = || stage(job, problem.stage()?);
    let of_pool = || pool(job, problem.pool()?);
    let field = match problem {
        PlanProblem::UnknownPool { user, .. } => return place_of_use(job, user),
        PlanProblem::TooManyCores { .. } => of_stage()?.cores.as_ref().map(|cores| cores.place),
        PlanProblem::TooMuchMemory { .. } => of_stage()?.memory_mib.as_ref().map(|memory| memory.place),
        PlanProblem::TooMuchOfResource { resource, .. } => {
            of_stage()?.resources.get(resource).map(|amount| amount.place)
        }
        PlanProblem::GangTooLarge { .. } => of_stage()?.barrier.as_ref().map(|barrier| barrier.place),
        PlanProblem::UnequalEdge { before, .. } => {
            let mut edges = of_stage()?.with.iter();
            edges.find(|edge| edge.value == *before).map(|edge| edge.place)
        }
        PlanProblem::MinShareTooLarge { .. } => of_pool()?.min_share.as_ref().map(|share| share.place),
        PlanProblem::PoolCycle { .. } => of_pool()?.parent.as_ref().map(|parent| parent.place),
        PlanProblem::ElasticBounds { .. } => setting(job, "executors.min"),
        PlanProblem::NoExecutors => {
            setting(job, "executors.max").or_else(|| setting(job, "executors.instances"))
        }
        PlanProblem::HeartbeatOrder { .. } => {
            let keys = ["interval", "suspect", "dead"].map(|key| format!("executor.heartbeat.{key}"));
            keys.iter().find_map(|key| Some(job.conf.get(key)?.place))
        }
        _ => None,
    };
    let whole = || {
        let stage = of_stage().map(|stage| stage.place);
        stage.or_else(|| Some(of_pool()?.place))
    };
    field.or_else(whole)
}

/// Where something says that it is in a pool.
fn place_of_use(job: &JobFile, user: &PoolUser) -> Option<Place> {
    let named = match user {
        PoolUser::Stage(name) => &stage(job, name)?.pool,
        PoolUser::Job(name) => {
            let mut jobs = job.jobs.iter();
            &jobs.find(|job| job.name.value == *name)?.pool
        }
        PoolUser::Pool(name) => &pool(job, name)?.parent,
    };
    named.as_ref().map(|named| named.place)
}

fn stage<'a>(job: &'a JobFile, name: &str) -> Option<&'a StageFile> {
    job.stages.iter().find(|stage| stage.name.value == name)
}

/// The last pool of a name: of two, the one that is too many.
fn pool<'a>(job: &'a JobFile, name: &str) -> Option<&'a PoolFile> {
    job.pools.iter().rfind(|pool| pool.name.value == name)
}

fn setting(job: &JobFile, key: &str) -> Option<Place> {
    let own = job.settings.get(key);
    own.or_else(|| job.conf.get(key)).map(|value| value.place)
}
