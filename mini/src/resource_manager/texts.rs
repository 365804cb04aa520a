//! Sentences that people and programs find in Hadoop's reports.

use hadoop::ids::{ApplicationAttemptId, ApplicationId};
use yarn_rpc::records::Resource;

/// `RMAppImpl` on a kill; the words of the one who asked replace the address.
pub(super) fn killed(application: ApplicationId, user: &str, why: Option<&str>) -> String {
    match why.filter(|why| !why.is_empty()) {
        Some(why) => {
            format!("Application {application} was killed by user {user} with diagnostic message: {why}")
        }
        None => format!("Application {application} was killed by user {user} at 127.0.0.1"),
    }
}

/// `RMAppLifetimeMonitor`.
pub(super) const LIFETIME_OVER: &str =
    "Application is killed by ResourceManager as it has exceeded the lifetime period.";

/// `CapacityScheduler` on a queue it does not have.
pub(super) fn unknown_queue(application: ApplicationId, user: &str, queue: &str) -> String {
    format!("Application {application} submitted by user {user} to unknown queue: {queue}")
}

/// `RMAppAttemptImpl` on an ApplicationMaster that ended.
pub(super) fn master_exited(
    attempt: ApplicationAttemptId,
    exit: i32,
    diagnostics: &str,
    web: &str,
) -> String {
    let application = attempt.application;
    format!(
        "AM Container for {attempt} exited with  exitCode: {exit}\nFailing this attempt.Diagnostics: \
         {diagnostics}For more detailed output, check the application tracking page: \
         http://{web}/cluster/app/{application} Then click on links to logs of each attempt.\n"
    )
}

/// `RMAppAttemptImpl` on an ApplicationMaster that fell silent.
pub(super) fn master_timed_out(attempt: ApplicationAttemptId) -> String {
    format!("ApplicationMaster for attempt {attempt} timed out")
}

/// `RMAppImpl` when no further attempt is made.
pub(super) fn given_up(
    application: ApplicationId,
    failures: usize,
    (local, global): (u32, u32),
    cause: &str,
) -> String {
    let limits = if local == global {
        String::new()
    } else {
        format!(" (global limit ={global}; local limit is ={local})")
    };
    format!(
        "Application {application} failed {failures} times{limits} due to {cause}. Failing the application."
    )
}

/// `SchedulerUtils` on a request for more than there can be.
pub(super) fn too_large(resource: &str, asked: &Resource, maximum: &Resource) -> String {
    let maximum = shown(maximum);
    format!(
        "Invalid resource request! Cannot allocate containers as requested resource is greater than maximum \
         allowed allocation. Requested resource type=[{resource}], Requested resource={}, maximum allowed \
         allocation={maximum}, please note that maximum allowed allocation is calculated by scheduler based on \
         maximum resource of registered NodeManagers, which might be less than configured maximum \
         allocation={maximum}",
        shown(asked)
    )
}

/// `SchedulerUtils` on a request for less than nothing.
pub(super) fn negative(resource: &str, memory_mb: i64, vcores: i32) -> String {
    format!(
        "Invalid resource request! Cannot allocate containers as requested resource is less than 0! Requested \
         resource type=[{resource}], Requested resource=<memory:{memory_mb}, vCores:{vcores}>"
    )
}

fn shown(resource: &Resource) -> String {
    let others = resource.others.iter();
    let others: String = others
        .map(|(name, amount)| format!(", {name}: {amount}"))
        .collect();
    format!(
        "<memory:{}, vCores:{}{others}>",
        resource.memory_mb, resource.vcores
    )
}

/// `SchedulerUtils`: the statuses of containers that the ResourceManager itself ended.
pub(super) const RELEASED: &str = "Container released by application";
/// Its ApplicationMaster did not start it in time.
pub(super) const EXPIRED: &str = "Container expired since it was unused";
/// Others got its room.
pub(super) const PREEMPTED: &str = "Container preempted by scheduler";
/// Its node is gone.
pub(super) const NODE_LOST: &str = "Container released on a *lost* node";
/// It was not running when its ApplicationMaster's attempt ended.
pub(super) const APPLICATION_COMPLETED: &str = "Container of a completed application";
/// `ContainerImpl` on an end that an ApplicationMaster, or somebody in its name, wanted.
pub(super) const KILLED_BY_MASTER: &str = "Container killed by the ApplicationMaster.\n";
