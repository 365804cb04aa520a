//! `drawloom kill`: ends an application and waits until it is dead.

use std::path::Path;

use super::application_id;
use crate::cli::Kill;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::submit::preflight::rest_failed;
use crate::submit::watch::{self, verdict};

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
        eprintln!("{id} had ended already: {}", verdict(&before).1);
        return Ok(());
    }
    let report = watch::kill(&client, id, &command.reason).await?;
    eprintln!("{id} {}", verdict(&report).1);
    Ok(())
}
