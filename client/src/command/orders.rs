//! Orders for a running ApplicationMaster, left in the application's staging directory.

use dfs::DfsPath;
use dfs::staging::Staging;
use hadoop::ids::ApplicationId;

use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::Layer;
use crate::submit::preflight::unusable;
use crate::submit::prepare;

/// Leaves an order. Access to the staging directory is what allows it.
pub(super) async fn leave_order(
    cluster: &Cluster,
    id: ApplicationId,
    order: &str,
) -> Result<(), CommandError> {
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let systems = cluster.file_systems()?;
    let staging = Staging::locate(&systems, settings.optional("staging.dir")).map_err(unusable)?;
    let directory: DfsPath = staging.application_dir(&id.to_string());
    let order = directory.join(order);
    let made = async {
        // Without this a directory would be made for an application that is staged elsewhere.
        staging.fs().status(&directory).await?;
        staging.fs().mkdirs(&order, 0o700).await
    };
    made.await.map_err(|error| {
        CommandError::refused("no order can be left for the ApplicationMaster")
            .caused_by(error)
            .help("with the setting staging.dir, set it as it was at submission: drawloom config")
    })
}

/// The error for an ApplicationMaster that does not answer.
pub(super) fn silent(id: ApplicationId) -> CommandError {
    CommandError::refused(format!("the ApplicationMaster of {id} does not answer")).help(format!(
        "look at it with: drawloom status {id}; its logs: drawloom logs {id}"
    ))
}
