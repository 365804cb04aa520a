//! `drawloom restart-am`: has YARN replace the ApplicationMaster of a running application, and waits until its
//! successor is at work. See [`am::restart`] for how.

use std::path::Path;
use std::time::{Duration, Instant};

use am::restart::{self, Answer};
use am::summary::Summary;
use am::upgrade;
use dfs::staging::Staging;
use hadoop::ids::ApplicationId;
use wire::id::Epoch;
use wire::version::{PROTOCOL, Version};
use yarn_rest::{AppReport, AppState, Client};

use super::application_id;
use super::orders::{leave_order, silent, take_back_order};
use crate::cli::RestartAm;
use crate::cluster::{Cluster, unusable};
use crate::error::CommandError;
use crate::pages::{answer, summary};
use crate::settings::Layer;
use crate::submit::preflight::rest_failed;
use crate::submit::{prepare, stage};
use crate::terminal::tell;

/// How long the successor may take to be at work.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Replaces the ApplicationMaster.
///
/// # Errors
/// There is none to replace, it refuses, or its successor does not come up.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &RestartAm) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let report = client.application(id).await.map_err(rest_failed)?;
    let present = present(&cluster, &report).await?;
    let before = Epoch(present.attempt);
    let build = match command.upgrade {
        true => Some(order_this_build(&cluster, id, &present).await?),
        false => None,
    };
    leave_order(&cluster, id, &restart::order(before)).await?;
    let asked: Option<Answer> = answer(&report, &cluster.user, restart::PATH)
        .await
        .map_err(|error| silent(id).caused_by(error))?;
    if let Some(why) = asked.and_then(|answer| answer.refused) {
        if let Some(order) = build {
            // Else an attempt that comes for another reason would become this build.
            take_back_order(&cluster, id, &order).await?;
        }
        return Err(
            CommandError::refused(format!("the ApplicationMaster of {id} is not replaced")).because(why),
        );
    }
    let since = Instant::now();
    let after = successor(&cluster, &client, id, before).await?;
    tell(format_args!(
        "{id} attempt {} has replaced attempt {before} after {:.1} s, as build {}: {} executors registered, \
         {} of {} tasks done",
        after.attempt,
        since.elapsed().as_secs_f64(),
        after.build.get(..12).unwrap_or("unknown"),
        after.executors.registered,
        after.tasks.finished,
        after.tasks.total
    ));
    Ok(())
}

/// Has the next attempt become the executable that runs here. The client has it in the staging cache, as for a
/// submission. Gives the order.
async fn order_this_build(
    cluster: &Cluster,
    id: ApplicationId,
    present: &Summary,
) -> Result<String, CommandError> {
    let spoken: Option<Version> = present.protocol.parse().ok();
    if !spoken.is_some_and(|spoken| PROTOCOL.understands(spoken)) {
        let text = format!(
            "its executors speak protocol {}, and this build {PROTOCOL}",
            if present.protocol.is_empty() {
                "1.0 or earlier"
            } else {
                &present.protocol
            }
        );
        return Err(CommandError::refused(format!("{id} cannot go on as this build")).because(text));
    }
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let systems = cluster.file_systems()?;
    let staging = Staging::locate(&systems, settings.optional("staging.dir")).map_err(unusable)?;
    let build = stage::own_build(&staging).await?;
    let order = upgrade::order(Epoch(present.attempt), &build);
    leave_order(cluster, id, &order).await?;
    Ok(order)
}

async fn present(cluster: &Cluster, report: &AppReport) -> Result<Summary, CommandError> {
    let id = report.id;
    if report.is_final() {
        return Err(CommandError::refused(format!("{id} has ended already"))
            .help(format!("how it ended: drawloom status {id}")));
    }
    if report.user != cluster.user {
        let text = format!("{id} belongs to {}, and you are {}", report.user, cluster.user);
        return Err(CommandError::refused("only its owner may replace an ApplicationMaster").because(text));
    }
    if report.state != AppState::Running {
        return Err(
            CommandError::refused(format!("{id} has no ApplicationMaster at work yet"))
                .help(format!("look again with: drawloom status {id}")),
        );
    }
    let summary = summary(report, &cluster.user).await;
    let summary = summary.map_err(|error| silent(id).caused_by(error))?;
    summary.ok_or_else(|| silent(id))
}

async fn successor(
    cluster: &Cluster,
    client: &Client,
    id: ApplicationId,
    before: Epoch,
) -> Result<Summary, CommandError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let report = client.application(id).await.map_err(rest_failed)?;
        if report.is_final() {
            return Err(CommandError::refused(format!("{id} ended meanwhile"))
                .help(format!("how it ended: drawloom status {id}")));
        }
        // Between the two nobody answers.
        if let Ok(Some(summary)) = summary(&report, &cluster.user).await
            && summary.attempt > before.0
        {
            return Ok(summary);
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Err(CommandError::refused(format!(
        "attempt {before} of {id} was told to go, and no other one answers yet"
    ))
    .because(format!("nothing was heard of it within {PATIENCE:?}"))
    .help(format!("look again with: drawloom status {id}")))
}
