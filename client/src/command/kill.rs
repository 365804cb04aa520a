//! `drawloom kill`: ends an application and waits until it is dead, or ends one of its jobs.

use std::path::Path;

use dfs::staging::Staging;
use hadoop::ids::ApplicationId;
use yarn_rest::Client;

use super::{application_id, kill_job};
use crate::cli::Kill;
use crate::cluster::{Cluster, unusable};
use crate::error::CommandError;
use crate::settings::Layer;
use crate::submit::preflight::rest_failed;
use crate::submit::watch::{self, verdict};
use crate::submit::{leftovers, prepare};
use crate::terminal::tell;

/// Kills.
///
/// # Errors
/// The application is unknown, or YARN refuses.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &Kill) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let before = client.application(id).await.map_err(rest_failed)?;
    if before.is_final() {
        tell(format_args!("{id} had ended already: {}", verdict(&before).1));
        return Ok(());
    }
    if command.job.is_some() || command.stage.is_some() {
        return kill_job::run(&cluster, &before, command).await;
    }
    let report = watch::kill(&client, id, &command.reason).await?;
    tell(format_args!("{id} {}", verdict(&report).1));
    if report.user == cluster.user {
        // The application is dead, which is what was asked for.
        if let Err(error) = unstage(&cluster, &client, id).await {
            tracing::warn!(%error, "what was staged for {id} could not be removed");
        }
    }
    Ok(())
}

/// A killed ApplicationMaster has no time to remove what was staged for it.
async fn unstage(cluster: &Cluster, client: &Client, id: ApplicationId) -> Result<(), CommandError> {
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let file_systems = cluster.file_systems()?;
    let staging = Staging::locate(&file_systems, settings.optional("staging.dir")).map_err(unusable)?;
    leftovers::remove_if_ended(client, &file_systems, &staging, id).await;
    Ok(())
}
