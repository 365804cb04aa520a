//! `drawloom history`: an application that has ended, as its event log has it.

mod story;

use std::iter::once;
use std::path::Path;

use am::history::{IN_PROGRESS, file_name};
use bytes::BytesMut;
use comfy_table::{Table, presets};
use dfs::{DfsError, DfsPath, FileSystem};
use futures::TryStreamExt;

use super::{application_id, moment, print, span};
use crate::cli::{Format, History};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::Layer;
use crate::submit::prepare;
use crate::terminal::tell;
use story::{Story, Teller};

/// The most attempts of the ApplicationMaster that are looked for.
const MOST_ATTEMPTS: u32 = 100;
/// The longest line of a log that is read.
const LONGEST: usize = 16 << 20;

/// Prints the history of an application.
///
/// # Errors
/// No directory is known, there is no log in it, or it cannot be read.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &History) -> Result<(), CommandError> {
    let id = application_id(&command.app)?.to_string();
    let directory = directory(command)?;
    let systems = Cluster::find(conf_dir)?.file_systems()?;
    let unreadable = |error: DfsError| unreadable(&directory, &error);
    let at = systems.resolve(&directory).map_err(unreadable)?;
    let fs = systems.get(&at).map_err(unreadable)?;
    let found = newest(fs.as_ref(), &at, &id).await.map_err(unreadable)?;
    let Some((path, complete)) = found else {
        return Err(no_log(&id, &directory));
    };
    let story = read(fs.as_ref(), &path).await.map_err(unreadable)?;
    if !complete {
        tell(format_args!(
            "note: this log is not complete; of a running application: drawloom status {id}"
        ));
    }
    match command.output {
        Format::Json => print(&format!("{}\n", serde_json::json!(story))),
        Format::Text => print(&text(&story)),
    }
}

fn directory(command: &History) -> Result<String, CommandError> {
    if let Some(dir) = &command.dir {
        return Ok(dir.clone());
    }
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let dir = settings.optional("history.dir").map(str::to_owned);
    dir.ok_or_else(|| {
        CommandError::usage("it is not known where event logs are")
            .help("name their directory by --dir, or set history.dir in the environment or the configuration")
    })
}

fn unreadable(directory: &str, error: &DfsError) -> CommandError {
    CommandError::refused(format!("the event logs in {directory} cannot be read")).because(error)
}

fn no_log(id: &str, directory: &str) -> CommandError {
    CommandError::refused(format!("there is no event log of {id} in {directory}"))
        .because("logs are written for jobs that were submitted with history.dir")
        .help(format!(
            "drawloom status {id} says what YARN knows, drawloom logs {id} what its containers wrote"
        ))
}

/// The log of the last attempt, and whether it is complete.
async fn newest(
    fs: &dyn FileSystem,
    directory: &DfsPath,
    id: &str,
) -> Result<Option<(DfsPath, bool)>, DfsError> {
    let mut found = None;
    // The log of a client names no attempt, and then there is no other.
    for attempt in once(None).chain((1..=MOST_ATTEMPTS).map(Some)) {
        let name = file_name(id, attempt);
        let done = directory.join(&name);
        let open = directory.join(&format!("{name}{IN_PROGRESS}"));
        if is_there(fs, &done).await? {
            found = Some((done, true));
        } else if is_there(fs, &open).await? {
            found = Some((open, false));
        } else if found.is_some() {
            break;
        }
        if attempt == Some(3) && found.is_none() {
            break;
        }
    }
    Ok(found)
}

async fn is_there(fs: &dyn FileSystem, path: &DfsPath) -> Result<bool, DfsError> {
    match fs.status(path).await {
        Ok(_) => Ok(true),
        Err(DfsError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads line by line: a log may be larger than memory.
async fn read(fs: &dyn FileSystem, path: &DfsPath) -> Result<Story, DfsError> {
    let reader = fs.open(path).await?;
    let mut chunks = reader.read(0, reader.len());
    let (mut teller, mut rest) = (Teller::default(), BytesMut::new());
    while let Some(chunk) = chunks.try_next().await? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            teller.take(&rest.split_to(end + 1));
        }
        if rest.len() > LONGEST {
            return Err(DfsError::other(path, "LineTooLong", "this is no event log"));
        }
    }
    Ok(teller.end())
}

fn text(story: &Story) -> String {
    let mut text = head(story);
    text.push_str(&stages(story));
    text.push_str(&executors(story));
    text.push_str(&failures(story));
    text
}

fn head(story: &Story) -> String {
    let mut lines = vec![
        format!("application  {} ({})", story.application, story.name),
        format!("attempt      {} of the ApplicationMaster", story.attempt),
        format!("state        {}", story.state),
        format!(
            "started      {} by {}, {} long",
            moment(story.started_ms),
            story.user,
            span(story.ended_ms.saturating_sub(story.started_ms))
        ),
    ];
    for job in &story.jobs {
        let cause = job.cause.lines().next().unwrap_or_default();
        lines.push(
            format!("job          {} {} {cause}", job.name, job.state)
                .trim_end()
                .to_owned(),
        );
    }
    lines.join("\n") + "\n"
}

fn table(title: &str, heads: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(heads.iter().copied());
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    format!("\n{title}\n{}\n", table.trim_fmt())
}

fn stages(story: &Story) -> String {
    let rows = story.stages.iter().map(|stage| {
        vec![
            stage.name.clone(),
            stage.state.clone(),
            format!("{}/{}", stage.done, stage.tasks),
            stage.failed.to_string(),
            stage.killed.to_string(),
            span(stage.ended_ms.saturating_sub(stage.started_ms)),
            format!("{} / {}", span(stage.mean_ms), span(stage.longest_ms)),
        ]
    });
    let heads = [
        "STAGE",
        "STATE",
        "DONE",
        "FAILED",
        "KILLED",
        "TOOK",
        "TASK MEAN / LONGEST",
    ];
    table("stages", &heads, rows.collect())
}

fn executors(story: &Story) -> String {
    let rows = story.executors.iter().map(|executor| {
        vec![
            executor.id.clone(),
            executor.host.clone(),
            executor.slots.to_string(),
            executor.done.to_string(),
            executor.failed.to_string(),
            executor.removed.clone(),
        ]
    });
    let heads = ["EXECUTOR", "HOST", "SLOTS", "DONE", "FAILED", "REMOVED"];
    table("executors", &heads, rows.collect())
}

fn failures(story: &Story) -> String {
    let rows = story.failures.iter().map(|failure| {
        let cause = failure.cause.lines().find(|line| !line.trim().is_empty());
        vec![
            format!("{}/{}", failure.stage, failure.task),
            failure.attempt.to_string(),
            failure.host.clone(),
            cause.unwrap_or_default().to_owned(),
        ]
    });
    table(
        "failed attempts, the latest last",
        &["TASK", "ATTEMPT", "HOST", "CAUSE"],
        rows.collect(),
    )
}
