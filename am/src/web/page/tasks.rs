//! The tasks of a stage: by state, in order or the slowest first, a page at a time.

use driver::view::{TaskOrder, TaskStatus, TaskView};

use super::super::html::{Cell, Escaped, table};
use super::super::{Request, Scene, quantiles};
use super::{ROWS, failure_table, page, turning};
use crate::history::locality;

/// States that can be asked for, and what they are called.
const STATES: [(&str, &str); 4] = [
    ("", "All"),
    ("running", "Running"),
    ("pending", "Waiting"),
    ("done", "Done"),
];

/// A part of a stage's tasks; nothing when there is no such stage.
pub(in super::super) fn tasks(scene: &Scene<'_>, request: &Request) -> Option<String> {
    let stage = request.number("stage")?;
    let name = &scene.plan.stages.get(stage as usize)?.name;
    let from = request.number("offset").unwrap_or(0);
    // Only words of ours go into links.
    let asked = request.parameter("state").unwrap_or_default();
    let known = STATES.iter().map(|(word, _)| *word);
    let state = known.into_iter().find(|word| *word == asked).unwrap_or_default();
    let slowest = request.parameter("sort") == Some("-runtime");
    let wanted = match state {
        "running" => Some(TaskStatus::Running),
        "pending" => Some(TaskStatus::Pending),
        "done" => Some(TaskStatus::Succeeded),
        _ => None,
    };
    let order = if slowest {
        TaskOrder::SlowestFirst
    } else {
        TaskOrder::Partition
    };
    let (tasks, total) = scene
        .driver
        .find_tasks(stage, wanted, order, from as usize, ROWS as usize);
    let rows: Vec<_> = tasks.iter().map(|task| row(stage, task)).collect();
    let heads = [
        "Task",
        "State",
        "Attempts",
        "Failures that count",
        "Node",
        "Locality",
        "Started, s",
        "Seconds",
        "Memory, MiB",
        "Says",
        "",
    ];
    let here = |state: &str, sort: &str| format!("tasks?stage={stage}&amp;state={state}&amp;sort={sort}");
    let sort = if slowest { "-runtime" } else { "" };
    let states: String = STATES
        .iter()
        .map(|(word, text)| link(&here(word, sort), text, *word == state))
        .collect();
    let orders = link(&here(state, ""), "In order", !slowest)
        + &link(&here(state, "-runtime"), "Slowest first", slowest);
    let caption = format!("Tasks of stage {name}");
    let body = [
        format!("<h1>{}</h1>\n", Escaped(&caption)),
        durations(scene, stage),
        format!("<nav aria-label=\"Which tasks\">{states}{orders}</nav>\n"),
        table(
            &format!("{total} tasks, from {from}"),
            &heads,
            &rows,
            "No tasks here (yet).",
        ),
        turning(&here(state, sort), from, total),
        failures(scene, name),
    ];
    Some(page(scene, &caption, request, &body.concat()))
}

/// Why attempts at tasks of a stage failed, of those that are still remembered; nothing when none are.
fn failures(scene: &Scene<'_>, stage: &str) -> String {
    let subject = format!("stage {stage}, task ");
    let mut of_stage = scene
        .notes
        .iter()
        .rev()
        .filter(|note| note.subject.starts_with(&subject))
        .peekable();
    match of_stage.peek() {
        None => String::new(),
        Some(_) => failure_table("Latest failures of this stage", of_stage),
    }
}

fn link(to: &str, text: &str, here: bool) -> String {
    let here = if here { " aria-current=\"true\"" } else { "" };
    format!("<a href=\"{to}\"{here}>{text}</a>")
}

fn durations(scene: &Scene<'_>, stage: u32) -> String {
    let sorted = scene.driver.task_durations(stage);
    let at = [0.0, 0.25, 0.5, 0.75, 1.0];
    let values = quantiles(&sorted, &at);
    if values.is_empty() {
        return String::new();
    }
    let cells = values
        .iter()
        .map(|ms| Cell::Text(format!("{:.2} s", f64::from(*ms) / 1000.0)));
    let heads = [
        "Shortest",
        "25th percentile",
        "Median",
        "75th percentile",
        "Longest",
    ];
    table(
        "How long the tasks that are done took",
        &heads,
        &[cells.collect()],
        "",
    )
}

fn row(stage: u32, task: &TaskView) -> Vec<Cell> {
    let seconds = task.took.map(|took| format!("{:.1}", took.as_secs_f64()));
    let launched = task.launched.map(|at| format!("{:.1}", at.as_secs_f64()));
    vec![
        Cell::Number(task.partition.into()),
        Cell::Text(word(task.status).to_owned()),
        Cell::Number(task.attempts.into()),
        counted(task),
        Cell::Text(task.host.clone().unwrap_or_default()),
        Cell::Text(task.level.map(locality).unwrap_or_default().to_owned()),
        Cell::Text(launched.unwrap_or_default()),
        Cell::Text(seconds.unwrap_or_default()),
        Cell::Number(task.resident >> 20),
        Cell::Text(task.status_text.clone()),
        kill(stage, task),
    ]
}

/// Failures that count towards the limit; a task that is done has none any more.
fn counted(task: &TaskView) -> Cell {
    match task.status {
        TaskStatus::Succeeded => Cell::Text(String::new()),
        _ => Cell::Number(task.failures.into()),
    }
}

fn kill(stage: u32, task: &TaskView) -> Cell {
    if !task.status.is_live() {
        return Cell::Text(String::new());
    }
    Cell::Orders(vec![(
        format!("api/v1/drawloom/stages/{stage}/tasks/{}/state", task.partition),
        "KILLED",
        format!("End task {}", task.partition),
    )])
}

fn word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "waiting",
        TaskStatus::Launched => "sent",
        TaskStatus::Running => "running",
        TaskStatus::Succeeded => "done",
    }
}
