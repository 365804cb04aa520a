//! Pictures of the overview, as SVG without a script. What they show is also in the tables below them.

use std::time::Duration;

use driver::view::{ExecutorView, Snapshot, StageView};

use super::super::Scene;
use super::super::html::Escaped;
use crate::summary::stage_word;

/// The most stages that are drawn.
const MOST_STAGES: usize = 60;
/// The most executors that are drawn: the latest.
const MOST_EXECUTORS: usize = 40;
/// Width of the timeline, in units of the picture.
const WIDTH: u64 = 1000;
/// What of it names the rows.
const NAMES: u64 = 250;
/// The height of a row.
const ROW: u64 = 20;
/// The most letters of a name there.
const LETTERS: usize = 34;
/// The most letters of a name in a box.
const LETTERS_OF_BOX: usize = 21;

/// Stages as boxes from left to right, each behind those that it waits for.
pub(super) fn stages(scene: &Scene<'_>, snapshot: &Snapshot) -> String {
    let count = snapshot.stages.len();
    if !(2..=MOST_STAGES).contains(&count) {
        return String::new();
    }
    let depths = depths(scene, count);
    let mut filled: Vec<usize> = vec![0; count];
    let places: Vec<(usize, usize)> = depths
        .iter()
        .map(|&depth| {
            let row = filled[depth];
            filled[depth] += 1;
            (depth * 210 + 5, row * 62 + 5)
        })
        .collect();
    let width = depths.iter().max().map_or(0, |deepest| deepest * 210 + 190);
    let height = filled.iter().max().map_or(0, |rows| rows * 62 + 5);
    let arrows: String = scene
        .plan
        .stages
        .iter()
        .zip(&places)
        .map(|(plan, &to)| {
            let from = plan.edges().filter_map(|&before| places.get(before as usize));
            from.map(|&from| arrow(from, to)).collect::<String>()
        })
        .collect();
    let boxes: String = snapshot
        .stages
        .iter()
        .zip(&places)
        .map(|(stage, &at)| stage_box(stage, at))
        .collect();
    format!(
        "<h2>Stages and what they wait for</h2>\n<div class=\"wide\" role=\"region\" aria-label=\"Graph of stages\" \
         tabindex=\"0\"><svg class=\"dag\" role=\"group\" aria-label=\"{count} stages, \
         each to the right of those that it waits for; the table of stages has the same\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">{arrows}{boxes}</svg></div>\n"
    )
}

/// How many stages each has before it, on the longest way.
fn depths(scene: &Scene<'_>, count: usize) -> Vec<usize> {
    let mut depths = vec![0; count];
    // A plan has no cycle, so as many rounds as there are stages are enough.
    for _ in 0..count {
        for (index, plan) in scene.plan.stages.iter().enumerate().take(count) {
            let before = plan.edges().map(|&before| depths[before as usize] + 1);
            depths[index] = before.max().unwrap_or(0);
        }
    }
    depths
}

fn arrow((x, y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (x, y, to_y) = (x + 170, y + 24, to_y + 24);
    format!(
        "<path class=\"edge\" d=\"M{x} {y}C{} {y} {} {to_y} {to_x} {to_y}\"/>",
        x + 20,
        to_x - 20
    )
}

fn stage_box(stage: &StageView, (x, y): (usize, usize)) -> String {
    let state = stage_word(stage.status);
    let name = shortened(&stage.name, LETTERS_OF_BOX);
    let counts = format!("{state}, {} of {}", stage.succeeded, stage.tasks);
    let (number, whole) = (stage.key.stage, Escaped(&stage.name));
    format!(
        "<a href=\"tasks?stage={number}\"><title>{whole}: {counts}</title>\
         <rect class=\"{state}\" x=\"{x}\" y=\"{y}\" width=\"170\" height=\"48\" rx=\"6\"/>\
         <text x=\"{}\" y=\"{}\">{}</text><text class=\"small\" x=\"{}\" y=\"{}\">{counts}</text></a>",
        x + 8,
        y + 20,
        Escaped(name),
        x + 8,
        y + 38
    )
}

/// When stages ran and executors were there.
pub(super) fn timeline(scene: &Scene<'_>, snapshot: &Snapshot) -> String {
    let end = scene.now.max(Duration::from_secs(1));
    let scale = |at: Duration| {
        let x = at.min(end).as_millis() * u128::from(WIDTH - NAMES) / end.as_millis().max(1);
        NAMES + u64::try_from(x).unwrap_or_default()
    };
    let begun = snapshot.stages.iter().filter(|stage| stage.submitted.is_some());
    let stages = begun.take(MOST_STAGES).map(|stage| stage_bar(stage, end));
    let executors = snapshot.executors.iter().rev().take(MOST_EXECUTORS);
    let executors = executors.map(|executor| executor_bar(executor, end));
    let bars: Vec<Bar> = stages.chain(executors).collect();
    if bars.is_empty() {
        return String::new();
    }
    let rows: String = bars
        .iter()
        .zip(0u64..)
        .map(|(bar, row)| bar.draw(row, &scale))
        .collect();
    let height = bars.len() as u64 * ROW + 24;
    let (axis, seconds) = (height - 8, end.as_secs());
    format!(
        "<h2>Timeline</h2>\n<div class=\"wide\" role=\"region\" aria-label=\"Timeline\" tabindex=\"0\">\
         <svg class=\"time\" role=\"img\" aria-label=\"Stages and executors over {seconds} seconds; the \
         tables have the same\" viewBox=\"0 0 {WIDTH} {height}\">{rows}\
         <text class=\"small\" x=\"{NAMES}\" y=\"{axis}\">0</text>\
         <text class=\"small end\" x=\"{WIDTH}\" y=\"{axis}\">{seconds} s</text></svg></div>\n"
    )
}

struct Bar {
    class: &'static str,
    from: Duration,
    to: Duration,
    name: String,
    text: String,
}

impl Bar {
    fn draw(&self, row: u64, scale: &impl Fn(Duration) -> u64) -> String {
        let (x, to, y) = (scale(self.from), scale(self.to), row * ROW + 3);
        let width = to.saturating_sub(x).max(2);
        let (class, text, base) = (self.class, Escaped(&self.text), y + 11);
        let name = Escaped(shortened(&self.name, LETTERS));
        format!(
            "<g><title>{text}</title><text class=\"small\" x=\"4\" y=\"{base}\">{name}</text>\
             <rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"14\"/></g>"
        )
    }
}

fn stage_bar(stage: &StageView, end: Duration) -> Bar {
    let (from, to) = (
        stage.submitted.unwrap_or_default(),
        stage.completed.unwrap_or(end),
    );
    let seconds = to.saturating_sub(from).as_secs_f64();
    let text = format!(
        "stage {}, {}, {seconds:.1} s",
        stage.name,
        stage_word(stage.status)
    );
    Bar {
        class: "stage",
        from,
        to,
        name: stage.name.clone(),
        text,
    }
}

fn executor_bar(executor: &ExecutorView, end: Duration) -> Bar {
    let to = executor.gone.unwrap_or(end);
    let text = format!(
        "{} on {}, {}",
        executor.id,
        executor.host,
        super::executor_words(executor.status)
    );
    let class = if executor.gone.is_some() { "gone" } else { "there" };
    Bar {
        class,
        from: executor.registered,
        to,
        name: format!("{} on {}", short(executor.id.as_str()), executor.host),
        text,
    }
}

/// A name that is longer ends with an ellipsis.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let start = name.chars().take(most - 1);
    start.chain(['…']).collect()
}

/// A container's number, which tells those of an application apart.
fn short(executor: &str) -> &str {
    executor.rsplit('_').next().unwrap_or(executor)
}
