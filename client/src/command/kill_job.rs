//! `drawloom kill APP --job J` and `--stage S`: ends one job of a running application; its other jobs go on.

use am::job_kill::{self, Answer};
use am::summary::{JobSummary, Summary};
use yarn_rest::AppReport;

use super::orders::{leave_order, silent};
use crate::cli::Kill;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::pages::{answer, summary};
use crate::terminal::tell;

/// Ends the job that the command names, or that the named stage belongs to.
///
/// # Errors
/// There is no such job, or the ApplicationMaster does not end it.
pub(super) async fn run(cluster: &Cluster, report: &AppReport, command: &Kill) -> Result<(), CommandError> {
    let id = report.id;
    if report.user != cluster.user {
        let text = format!("{id} belongs to {}, and you are {}", report.user, cluster.user);
        return Err(CommandError::refused("only its owner may end single jobs").because(text));
    }
    let summary = summary(report, &cluster.user).await;
    let summary = summary.map_err(|error| silent(id).caused_by(error))?;
    let summary = summary.ok_or_else(|| silent(id))?;
    let job = find(&summary, command)?;
    if !job.is_open() {
        tell(format_args!(
            "job {} of {id} had ended already: {}",
            job.name, job.state
        ));
        return Ok(());
    }
    leave_order(cluster, id, &job_kill::order(job.job)).await?;
    let page = format!("{}?job={}", job_kill::PATH, job.job);
    let asked: Option<Answer> = answer(report, &cluster.user, &page)
        .await
        .map_err(|error| silent(id).caused_by(error))?;
    match asked.ok_or_else(|| silent(id))?.refused {
        None => tell(format_args!("job {} of {id} killed", job.name)),
        Some(why) => {
            let text = format!("job {} of {id} is not ended", job.name);
            return Err(CommandError::refused(text).because(why));
        }
    }
    Ok(())
}

/// By name or by number.
fn find<'a>(summary: &'a Summary, command: &Kill) -> Result<&'a JobSummary, CommandError> {
    let named = |name: &String, number: u32, wanted: &str| name == wanted || number.to_string() == wanted;
    let stages = || (0..).zip(&summary.stages);
    let job = match (&command.job, &command.stage) {
        (Some(wanted), _) => summary.jobs.iter().find(|job| named(&job.name, job.job, wanted)),
        (None, Some(wanted)) => stages()
            .find(|(number, stage)| named(&stage.name, *number, wanted))
            .and_then(|(_, stage)| summary.jobs.iter().find(|job| job.job == stage.job)),
        (None, None) => None,
    };
    job.ok_or_else(|| {
        let jobs: Vec<_> = summary
            .jobs
            .iter()
            .map(|job| format!("{} ({})", job.job, job.name))
            .collect();
        let stages: Vec<_> = stages()
            .map(|(number, stage)| format!("{number} ({})", stage.name))
            .collect();
        let (what, wanted) = match (&command.job, &command.stage) {
            (Some(job), _) => ("job", job.as_str()),
            (None, stage) => ("stage", stage.as_deref().unwrap_or_default()),
        };
        CommandError::refused(format!("{} has no {what} {wanted}", summary.application)).help(format!(
            "its jobs: {}; its stages: {}",
            jobs.join(", "),
            stages.join(", ")
        ))
    })
}
