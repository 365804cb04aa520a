//! The pages a person reads. They work without scripts; `?refresh=5` reloads the status page, and the same page
//! offers to stop that.

use driver::view::{ExecutorStatus, ExecutorView, Snapshot, StageView, TaskStatus, TaskView};

use super::html::{Cell, Escaped, table};
use super::{Request, Scene, date};
use crate::summary::stage_word;

/// The style sheet, served as a file because the content security policy allows no inline styles.
pub(super) const STYLE: &str = include_str!("style.css");

/// Rows of the task table.
const ROWS: u32 = 100;
/// Rows of the executor table on the status page.
const EXECUTORS: usize = 50;

fn page(title: &str, head: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"stylesheet\" href=\"style.css\">{head}</head>\n<body>\n{body}</body></html>\n"
    )
}

/// The front page: state, progress, what is awaited, what failed, stages, executors.
pub(super) fn status(scene: &Scene<'_>, request: &Request) -> String {
    let snapshot = scene.driver.snapshot();
    let refresh = request
        .number("refresh")
        .filter(|seconds| (1..=3600).contains(seconds));
    let head = refresh
        .map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"))
        .unwrap_or_default();
    let shown = snapshot
        .executors
        .iter()
        .rev()
        .filter(|executor| executor.gone.is_none())
        .take(EXECUTORS);
    let shown: Vec<_> = shown.collect();
    let body = [
        headline(scene),
        progress(&snapshot),
        awaited(scene),
        links(refresh.is_some()),
        failures(scene),
        stages(&snapshot),
        executor_table("Executors", scene, &shown),
    ];
    page(
        &format!("{} - {}", scene.plan.name, scene.state()),
        &head,
        &body.concat(),
    )
}

fn headline(scene: &Scene<'_>) -> String {
    let state = scene.state();
    let (name, id, user) = (
        Escaped(&scene.plan.name),
        scene.environment.application(),
        Escaped(&scene.environment.user),
    );
    let (attempt, queue) = (scene.environment.epoch(), Escaped(scene.queue));
    let elapsed = scene.now.as_secs();
    format!(
        "<h1>{name}: <span class=\"{state}\">{state}</span></h1>\n\
         <p>{id}, attempt {attempt}, user {user}, queue {queue}, {elapsed} s since its start</p>\n"
    )
}

fn progress(snapshot: &Snapshot) -> String {
    let (done, known) = snapshot.progress;
    let running: u32 = snapshot.stages.iter().map(|stage| stage.running).sum();
    format!(
        "<p><label>{done} of {known} tasks done, {running} running\n\
         <progress value=\"{done}\" max=\"{}\"></progress></label></p>\n",
        known.max(1)
    )
}

fn awaited(scene: &Scene<'_>) -> String {
    let counts = scene.launcher.counts();
    let mut text = format!("{} of {} executors registered.", counts.registered, counts.target);
    if let Some(why) = scene.launcher.why_pending(scene.now) {
        text.push_str(&format!(" Waiting: {why}."));
    }
    format!("<p>{}</p>\n", Escaped(text))
}

fn links(refreshing: bool) -> String {
    let toggle = if refreshing {
        "<a href=\".\">Stop refreshing</a>"
    } else {
        "<a href=\"?refresh=5\">Refresh every 5 s</a>"
    };
    format!(
        "<nav>{toggle}<a href=\"executors\">All executors</a>\
         <a href=\"api/v1/drawloom/launch-timeline\">Launch timeline</a>\
         <a href=\"api/v1/drawloom/summary\">Summary</a><a href=\"metrics\">Metrics</a></nav>\n"
    )
}

fn failures(scene: &Scene<'_>) -> String {
    let rows = scene.notes.iter().rev().take(20).map(|note| {
        let texts = [&note.subject, &note.host, &note.cause].map(|text| Cell::Text(text.clone()));
        let when = Cell::Text(date::spark(note.unix_ms));
        [when].into_iter().chain(texts).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    table(
        "Latest failures",
        &["When", "What", "Where", "Why"],
        &rows,
        "Nothing has failed.",
    )
}

fn stages(snapshot: &Snapshot) -> String {
    let rows: Vec<_> = snapshot.stages.iter().map(stage_row).collect();
    let heads = [
        "Stage",
        "State",
        "Tasks",
        "Done",
        "Running",
        "Waiting",
        "Failed attempts",
    ];
    table("Stages", &heads, &rows, "There are no stages.")
}

fn stage_row(stage: &StageView) -> Vec<Cell> {
    let link = format!("tasks?stage={}", stage.key.stage);
    let counts = [stage.succeeded, stage.running, stage.pending, stage.failed];
    let mut row = vec![
        Cell::Link(link, stage.name.clone()),
        Cell::Text(stage_word(stage.status).to_owned()),
        Cell::Number(stage.tasks),
    ];
    row.extend(counts.map(|count| Cell::Number(count.into())));
    row
}

/// All executors that ever registered.
pub(super) fn executors(scene: &Scene<'_>) -> String {
    let snapshot = scene.driver.snapshot();
    let all: Vec<_> = snapshot.executors.iter().rev().collect();
    let body = format!(
        "<p><a href=\".\">Back</a></p>\n{}",
        executor_table("All executors", scene, &all)
    );
    page("Executors", "", &body)
}

fn executor_table(caption: &str, scene: &Scene<'_>, executors: &[&ExecutorView]) -> String {
    let rows: Vec<_> = executors
        .iter()
        .map(|executor| executor_row(scene, executor))
        .collect();
    let heads = [
        "Executor",
        "Node",
        "State",
        "Slots in use",
        "Done",
        "Failed",
        "Memory, MiB",
        "Log",
    ];
    table(caption, &heads, &rows, "No executor is registered.")
}

fn executor_row(scene: &Scene<'_>, executor: &ExecutorView) -> Vec<Cell> {
    let memory = scene
        .vitals
        .of(&executor.id)
        .map_or(0, |vital| (vital.resident + vital.tasks_resident) >> 20);
    let log = scene
        .launcher
        .remembered(&executor.id)
        .and_then(|record| scene.log_url(record, "stderr"));
    vec![
        Cell::Text(executor.id.to_string()),
        Cell::Text(executor.host.clone()),
        Cell::Text(executor_words(executor.status)),
        Cell::Text(format!("{} of {}", executor.used_slots, executor.slots)),
        Cell::Number(executor.succeeded.into()),
        Cell::Number(executor.failed.into()),
        Cell::Number(memory),
        log.map_or(Cell::Text(String::new()), |url| {
            Cell::Link(url, "stderr".to_owned())
        }),
    ]
}

/// Whether an executor is alive, in words.
pub(super) fn executor_words(status: ExecutorStatus) -> String {
    match status {
        ExecutorStatus::Live => "alive".to_owned(),
        ExecutorStatus::Suspect => "silent".to_owned(),
        ExecutorStatus::Disconnected => "disconnected".to_owned(),
        ExecutorStatus::Excluded => "excluded after failures".to_owned(),
        ExecutorStatus::Draining => "finishing, to be given back".to_owned(),
        ExecutorStatus::Gone(loss) => format!("gone: {loss}"),
    }
}

/// A part of a stage's tasks; nothing when there is no such stage.
pub(super) fn tasks(scene: &Scene<'_>, request: &Request) -> Option<String> {
    let stage = request.number("stage")?;
    let plan = scene.plan.stages.get(stage as usize)?;
    let from = request.number("offset").unwrap_or(0);
    let tasks = scene.driver.tasks(stage, from, ROWS as usize);
    let rows: Vec<_> = tasks.iter().map(task_row).collect();
    let heads = [
        "Task",
        "State",
        "Attempts",
        "Failures",
        "Where",
        "Seconds",
        "Memory, MiB",
    ];
    let caption = format!("Tasks of stage {}, from {from}", plan.name);
    let mut body = format!(
        "<p><a href=\".\">Back</a></p>\n{}",
        table(&caption, &heads, &rows, "No tasks here (yet).")
    );
    body.push_str(&turning(stage, from, tasks.len()));
    Some(page(&caption, "", &body))
}

fn turning(stage: u32, from: u32, shown: usize) -> String {
    let link =
        |offset: u32, text: &str| format!("<a href=\"tasks?stage={stage}&amp;offset={offset}\">{text}</a>");
    let earlier = if from > 0 {
        link(from.saturating_sub(ROWS), "Earlier")
    } else {
        String::new()
    };
    let later = if shown == ROWS as usize {
        link(from.saturating_add(ROWS), "Later")
    } else {
        String::new()
    };
    format!("<nav>{earlier}{later}</nav>\n")
}

fn task_row(task: &TaskView) -> Vec<Cell> {
    let state = match task.status {
        TaskStatus::Pending => "waiting",
        TaskStatus::Launched => "sent",
        TaskStatus::Running => "running",
        TaskStatus::Succeeded => "done",
    };
    let seconds = task.took.map(|took| format!("{:.1}", took.as_secs_f64()));
    vec![
        Cell::Number(task.partition.into()),
        Cell::Text(state.to_owned()),
        Cell::Number(task.attempts.into()),
        Cell::Number(task.failures.into()),
        Cell::Text(task.host.clone().unwrap_or_default()),
        Cell::Text(seconds.unwrap_or_default()),
        Cell::Number(task.resident >> 20),
    ]
}
