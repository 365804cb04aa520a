//! Submitting, and finding out what became of a submission whose answer was lost.

use std::time::Duration;

use tokio::time::Instant;
use yarn_rest::{Client, SubmissionContext};

use super::preflight::rest_failed;
use crate::error::CommandError;

/// How long it may take until the ResourceManager knows an application that was sent to it, or can be asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long YARN must say that it does not know the application before we believe that nothing arrived.
const CERTAIN: Duration = Duration::from_secs(5);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(300);

/// Submits. An answer that does not come does not mean that nothing was submitted: the ResourceManager is asked.
///
/// # Errors
/// It was refused, or did not arrive, or nobody can tell.
pub(super) async fn submit(client: &Client, context: &SubmissionContext) -> Result<(), CommandError> {
    match client.submit(context).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_transient() => arrived(client, context, error).await,
        Err(error) => Err(rest_failed(error)),
    }
}

async fn arrived(
    client: &Client,
    context: &SubmissionContext,
    lost: yarn_rest::Error,
) -> Result<(), CommandError> {
    let id = context.application_id;
    let begun = Instant::now();
    let mut unknown_since = None;
    while begun.elapsed() < PATIENCE {
        match client.application(id).await {
            Ok(_) => {
                tracing::info!("the answer to the submission was lost, but it has arrived");
                return Ok(());
            }
            Err(error) if error.is_unknown() => {
                let since = *unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= CERTAIN {
                    return Err(rest_failed(lost));
                }
            }
            Err(_) => unknown_since = None,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(rest_failed(lost).help(format!(
        "whether {id} was accepted is not known; its files are removed, so it cannot run. Look with: drawloom status {id}"
    )))
}
