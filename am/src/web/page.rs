//! The pages a person reads. They work without scripts; `?refresh=5` reloads a page, and the same page offers to stop
//! that. With a script they follow by themselves, can be held, and have buttons for orders.

mod charts;
mod cluster;
mod executors;
mod tasks;

use driver::event::Verdict;
use driver::view::{ExecutorStatus, Snapshot, StageView};

use super::html::{Cell, Escaped, table};
use super::{Request, Scene, date};
use crate::summary::{CounterTotal, FailureNote, StageSummary, job_counters, stage_word};

pub(super) use cluster::{allocation, configuration};
pub(super) use executors::executors;
pub(super) use tasks::tasks;

/// The style sheet, served as a file because the content security policy allows no inline styles.
pub(super) const STYLE: &str = include_str!("style.css");

/// Rows of a long table.
const ROWS: u32 = 100;
/// Rows of the executor table on the status page.
const EXECUTORS: usize = 50;

/// The script, for the same reason a file.
pub(super) const SCRIPT: &str = include_str!("script.js");

/// Every page and what it is called.
const PAGES: [(&str, &str); 5] = [
    (".", "Overview"),
    ("executors", "Executors"),
    ("allocation", "Allocation"),
    ("configuration", "Configuration"),
    ("metrics", "Metrics"),
];

/// A page around its main part.
fn page(scene: &Scene<'_>, title: &str, request: &Request, main: &str) -> String {
    let seconds = request.number("refresh");
    let refresh = seconds.filter(|seconds| (1..=3600).contains(seconds));
    let head = refresh.map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"));
    let here = request.path.trim_start_matches('/');
    let links: String = PAGES.iter().map(|(to, text)| page_link(to, text, here)).collect();
    let toggle = match refresh {
        Some(_) => "<a class=\"plain\" href=\"?\">Stop refreshing</a>",
        None => "<a class=\"plain\" href=\"?refresh=5\">Refresh every 5 s</a>",
    };
    let (state, name, word) = (scene.state(), Escaped(&scene.plan.name), Escaped(title));
    let (id, user, queue) = (
        scene.environment.application(),
        Escaped(&scene.environment.user),
        Escaped(scene.queue),
    );
    let (attempt, elapsed) = (scene.environment.epoch(), scene.now.as_secs());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{word} - {name} - {state}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"style.css\"><script src=\"script.js\" defer></script>{}</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">To the content</a>\n\
         <header><p class=\"app\"><strong>{name}</strong> <span class=\"state {state}\">{state}</span></p>\n\
         <p>{id}, attempt {attempt}, user {user}, queue {queue}, {elapsed} s since its start</p>\n\
         <nav aria-label=\"Pages\">{links}{toggle}<button type=\"button\" id=\"hold\" hidden aria-pressed=\"false\">Pause</button></nav>\n\
         <p id=\"said\" role=\"status\"></p></header>\n<main id=\"main\">\n{main}</main></body></html>\n",
        head.unwrap_or_default()
    )
}

fn page_link(to: &str, text: &str, here: &str) -> String {
    let current = to.trim_start_matches('.') == here;
    let current = if current { " aria-current=\"page\"" } else { "" };
    format!("<a href=\"{to}\"{current}>{text}</a>")
}

/// Links to the parts of a list before and after this one. `to` is the list with its parameters, ready for HTML.
fn turning(to: &str, from: u32, total: usize) -> String {
    let link = |offset: u32, text: &str| format!("<a href=\"{to}&amp;offset={offset}\">{text}</a>");
    let earlier = (from > 0).then(|| link(from.saturating_sub(ROWS), "Earlier"));
    let later = (from as usize + (ROWS as usize) < total).then(|| link(from.saturating_add(ROWS), "Later"));
    let links = [earlier, later].into_iter().flatten().collect::<String>();
    if links.is_empty() {
        return links;
    }
    format!("<nav aria-label=\"Parts of the list\">{links}</nav>\n")
}

/// The front page: state, progress, what is awaited, what failed, stages, executors.
pub(super) fn status(scene: &Scene<'_>, request: &Request) -> String {
    let snapshot = scene.driver.snapshot();
    let present = snapshot
        .executors
        .iter()
        .rev()
        .filter(|executor| executor.gone.is_none());
    let shown: Vec<_> = present.take(EXECUTORS).collect();
    let body = [
        format!("<h1>{}</h1>\n", Escaped(verdict(scene))),
        progress(&snapshot),
        awaited(scene),
        failures(scene),
        charts::stages(scene, &snapshot),
        stages(scene, &snapshot),
        counters(&snapshot),
        charts::timeline(scene, &snapshot),
        executors::executor_table("Executors", scene, &shown),
    ];
    page(scene, "Overview", request, &body.concat())
}

/// How it ended, or that it runs.
fn verdict(scene: &Scene<'_>) -> String {
    match scene.verdict {
        None => "Running".to_owned(),
        Some(Verdict::Succeeded) => "Succeeded".to_owned(),
        Some(Verdict::Failed(cause)) => format!("Failed: {}", cause.lines().next().unwrap_or_default()),
        Some(Verdict::Killed(by)) => format!("Killed by {by}"),
    }
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

fn failures(scene: &Scene<'_>) -> String {
    failure_table("Latest failures", scene.notes.iter().rev())
}

/// The first failures of these that a page has room for.
fn failure_table<'a>(caption: &str, notes: impl Iterator<Item = &'a FailureNote>) -> String {
    let rows = notes.take(20).map(|note| {
        let texts = [&note.subject, &note.host, &note.cause].map(|text| Cell::Text(text.clone()));
        let when = Cell::Text(date::plain(note.unix_ms));
        [when].into_iter().chain(texts).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    table(
        caption,
        &["When, GMT", "What", "Where", "Why"],
        &rows,
        "Nothing has failed.",
    )
}

fn stages(scene: &Scene<'_>, snapshot: &Snapshot) -> String {
    let rows: Vec<_> = snapshot
        .stages
        .iter()
        .map(|stage| stage_row(scene, stage))
        .collect();
    let heads = [
        "Stage",
        "State",
        "Tasks",
        "Done",
        "Running",
        "Waiting",
        "Failed attempts",
        "Took, s",
        "Read, MiB",
        "Written, MiB",
    ];
    table("Stages", &heads, &rows, "There are no stages.")
}

fn stage_row(scene: &Scene<'_>, stage: &StageView) -> Vec<Cell> {
    let link = format!("tasks?stage={}", stage.key.stage);
    let counts = [stage.succeeded, stage.running, stage.pending, stage.failed];
    let mut row = vec![
        Cell::Link(link, stage.name.clone()),
        Cell::Text(stage_word(stage.status).to_owned()),
        Cell::Number(stage.tasks),
    ];
    row.extend(counts.map(|count| Cell::Number(count.into())));
    let end = stage.completed.unwrap_or(scene.now);
    let took = stage
        .submitted
        .map(|from| format!("{:.1}", end.saturating_sub(from).as_secs_f64()));
    row.push(Cell::Text(took.unwrap_or_default()));
    row.extend([stage.totals.input_bytes, stage.totals.output_bytes].map(|bytes| Cell::Number(bytes >> 20)));
    row
}

/// What tasks have counted, of each stage and of each job together; nothing when they have not.
fn counters(snapshot: &Snapshot) -> String {
    let row = |of: String, counter: &CounterTotal| {
        let name = format!("{}.{}", counter.group, counter.name);
        vec![
            Cell::Text(name),
            Cell::Text(of),
            Cell::Text(counter.value.to_string()),
        ]
    };
    let stages = snapshot.stages.iter().flat_map(|stage| {
        let counters = StageSummary::of(stage).counters;
        let of = format!("stage {}", stage.name);
        counters.into_iter().map(move |counter| row(of.clone(), &counter))
    });
    let jobs = snapshot.jobs.iter().flat_map(|job| {
        let of = format!("all of {}", job.name);
        let counters = job_counters(job.job, &snapshot.stages).into_iter();
        counters.map(move |counter| row(of.clone(), &counter))
    });
    let rows: Vec<_> = stages.chain(jobs).collect();
    if rows.is_empty() {
        return String::new();
    }
    table(
        "Counters of finished tasks",
        &["Counter", "Of", "Value"],
        &rows,
        "",
    )
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
