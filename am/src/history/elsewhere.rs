//! Client mode: the log that the client writes, as the ApplicationMaster sees it, which must know whether it is complete
//! before it tells YARN where the application can be looked at.

use std::time::Duration;

use dfs::{DfsError, FileSystems};
use tokio::time::timeout;

use super::{ENDING, IN_PROGRESS, earlier, file_name};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the log is, and how it is doing.
#[derive(Debug)]
pub(crate) struct Log {
    /// The directory of event logs.
    pub directory: String,
    /// Whether it has its final name.
    pub complete: bool,
}

/// Waits until the log has its final name, or never will, at most for [`ENDING`]; says whether it has. That of a client
/// that is gone is ended in its place.
pub(crate) async fn settled(systems: &FileSystems, directory: &str, application: &str, gone: bool) -> bool {
    let name = file_name(application, None);
    let work = async {
        if gone {
            earlier::end_in(systems, directory, &name).await?;
        }
        while is_there(systems, directory, &format!("{name}{IN_PROGRESS}")).await? {
            tokio::time::sleep(PAUSE).await;
        }
        is_there(systems, directory, &name).await
    };
    match timeout(ENDING, work).await {
        Ok(Ok(complete)) => complete,
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "the client's event log may stay as it is, incomplete");
            false
        }
        Err(_) => {
            tracing::warn!(name, "the client's event log is not complete yet");
            false
        }
    }
}

async fn is_there(systems: &FileSystems, directory: &str, name: &str) -> Result<bool, DfsError> {
    let directory = systems.resolve(directory)?;
    match systems.get(&directory)?.status(&directory.join(name)).await {
        Ok(_) => Ok(true),
        Err(DfsError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
