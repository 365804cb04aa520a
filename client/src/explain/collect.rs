//! Asking everybody who may know; whoever does not answer is left out.

use std::time::Duration;

use hadoop::ids::ApplicationId;
use yarn_rest::{Client, Error, Phase};

use super::{Facts, Pending};
use crate::pages;

/// The path of the ApplicationMaster's answer below the tracking URL.
const PENDING: &str = "api/v1/drawloom/pending";
/// Time for a scheduler to record a round; asking once begins the recording.
const ROUND: Duration = Duration::from_millis(1200);

/// Collects what can be known of an application.
///
/// # Errors
/// The ResourceManager does not answer or does not know it; nobody else needs to answer.
pub(crate) async fn collect(client: &Client, user: &str, id: ApplicationId) -> Result<Facts, Error> {
    let report = client.application(id).await?;
    let ended = report.is_final();
    let running = report.phase() == Phase::Running;
    let (scheduler, metrics, nodes, attempts, activities) = tokio::join!(
        client.scheduler(),
        client.cluster_metrics(),
        client.nodes(&[]),
        client.attempts(id),
        async {
            if ended {
                Vec::new()
            } else {
                activities(client, id).await
            }
        },
    );
    let (pending, summary, dossiers) = if running {
        tokio::join!(
            pages::answer::<Pending>(&report, user, PENDING),
            pages::summary(&report, user),
            pages::dossiers(&report, user),
        )
    } else {
        (Ok(None), Ok(None), Ok(None))
    };
    let attempts = attempts.unwrap_or_default();
    let latest = attempts.into_iter().max_by_key(|attempt| attempt.id.attempt);
    Ok(Facts {
        attempt_diagnostics: latest.map(|attempt| attempt.diagnostics).unwrap_or_default(),
        queue: scheduler
            .ok()
            .and_then(|scheduler| scheduler.root.find(&report.queue).cloned()),
        metrics: metrics.ok(),
        nodes: nodes.ok(),
        activities,
        pending: pending.ok().flatten(),
        summary: summary.ok().flatten(),
        dossiers: dossiers.ok().flatten().unwrap_or_default(),
        report,
    })
}

/// Only the Capacity Scheduler records any, and from the first question on.
async fn activities(client: &Client, id: ApplicationId) -> Vec<String> {
    let first = client.app_activities(id, None).await;
    match first {
        Ok(recorded) if !recorded.reasons().is_empty() => return recorded.reasons(),
        Ok(_) => tokio::time::sleep(ROUND).await,
        Err(_) => return Vec::new(),
    }
    let second = client.app_activities(id, None).await;
    second.map(|recorded| recorded.reasons()).unwrap_or_default()
}
