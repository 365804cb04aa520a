//! Orders for a running ApplicationMaster, left in the application's staging directory.

use dfs::DfsPath;
use dfs::staging::Staging;
use hadoop::ids::ApplicationId;

use crate::cluster::{Cluster, unusable};
use crate::error::CommandError;
use crate::settings::Layer;
use crate::submit::prepare;

/// Leaves an order. Access to the staging directory is what allows it.
pub(super) async fn leave_order(
    cluster: &Cluster,
    id: ApplicationId,
    order: &str,
) -> Result<(), CommandError> {
    let (staging, directory) = staged(cluster, id)?;
    let made = async {
        // Without this a directory would be made for an application that is staged elsewhere.
        staging.fs().status(&directory).await?;
        staging.fs().mkdirs(&directory.join(order), 0o700).await
    };
    made.await.map_err(|error| {
        CommandError::refused("no order can be left for the ApplicationMaster")
            .caused_by(error)
            .help("with the setting staging.dir, set it as it was at submission: drawloom config")
    })
}

/// Takes an order back that is not to be carried out any more.
///
/// # Errors
/// The staging directory does not let it go.
pub(super) async fn take_back_order(
    cluster: &Cluster,
    id: ApplicationId,
    order: &str,
) -> Result<(), CommandError> {
    let (staging, directory) = staged(cluster, id)?;
    let order = directory.join(order);
    let gone = staging.fs().delete(&order, true).await;
    gone.map(|_| ()).map_err(|error| {
        CommandError::refused("an order for the ApplicationMaster cannot be taken back")
            .caused_by(error)
            .help(format!("remove {order}, or the next attempt goes by it"))
    })
}

fn staged(cluster: &Cluster, id: ApplicationId) -> Result<(Staging, DfsPath), CommandError> {
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let systems = cluster.file_systems()?;
    let staging = Staging::locate(&systems, settings.optional("staging.dir")).map_err(unusable)?;
    let directory = staging.application_dir(&id.to_string());
    Ok((staging, directory))
}

/// The error for an ApplicationMaster that does not answer.
pub(super) fn silent(id: ApplicationId) -> CommandError {
    CommandError::refused(format!("the ApplicationMaster of {id} does not answer")).help(format!(
        "look at it with: drawloom status {id}; its logs: drawloom logs {id}"
    ))
}
