//! Staged files of applications that ended without removing them.
//!
//! The ApplicationMaster removes its application's files when it unregisters, and a waiting client does when it sees
//! the end. An application that was killed while nobody waited leaves them to the next command of the same user.

use std::time::{SystemTime, UNIX_EPOCH};

use dfs::staging::Staging;
use hadoop::ids::ApplicationId;
use yarn_rest::Client;

/// The most applications that one command asks the ResourceManager about.
const MOST: usize = 16;

/// Removes what is staged for applications of which YARN says that they have ended. One that YARN does not know may
/// run on another cluster that shares the file system, so its files stay.
pub(super) async fn sweep(client: &Client, staging: &Staging, running: ApplicationId) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let staged = staging.old_applications(now_ms).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "earlier applications' staged files cannot be listed");
        Vec::new()
    });
    let ids = staged.iter().filter_map(|dir| dir.application.parse().ok());
    for id in ids.filter(|id| *id != running).take(MOST) {
        remove_if_ended(client, staging, id).await;
    }
}

/// Removes what is staged for this application, if YARN says that it has ended.
pub(crate) async fn remove_if_ended(client: &Client, staging: &Staging, id: ApplicationId) {
    if client.application(id).await.is_ok_and(|report| report.is_final()) {
        remove(staging, &id.to_string()).await;
    }
}

/// Removes what is staged for this application, ended or never begun.
pub(super) async fn remove(staging: &Staging, application: &str) {
    if let Err(error) = staging.remove_application(application).await {
        tracing::warn!(%error, "the staged files of {application} could not be removed");
    }
}
