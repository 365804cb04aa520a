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

/// Waits for [`ENDING`] until the client has given the log its final name, and ends that of a client that is gone, or has
/// not managed to, in its place; says whether it is complete.
///
/// A client that only said goodbye is not gone: two that end one log would lose the lines that only the client has.
pub(crate) async fn settled(systems: &FileSystems, directory: &str, application: &str, gone: bool) -> bool {
    let name = file_name(application, None);
    if !gone
        && timeout(ENDING, ended_by_client(systems, directory, &name))
            .await
            .is_err()
    {
        tracing::warn!(name, "the client has not ended its event log in time");
    }
    // Nothing is to be done for one that has its end.
    let in_its_place = async {
        earlier::end_in(systems, directory, &name).await?;
        is_there(systems, directory, &name).await
    };
    match timeout(ENDING, in_its_place).await {
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

async fn ended_by_client(systems: &FileSystems, directory: &str, name: &str) {
    let open = format!("{name}{IN_PROGRESS}");
    // While nobody knows, the client may well be at work.
    while !matches!(is_there(systems, directory, &open).await, Ok(false)) {
        tokio::time::sleep(PAUSE).await;
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
