//! Checks that look across the fields of a job file.

use std::collections::BTreeMap;

use super::fields::{Fields, Placed};
use super::problem::{Place, Problem, nearest};
use super::{JobFile, StageFile};
use crate::settings::catalogue::KEYS;
use crate::settings::unknown_key;

/// The version of a file must be there and be 1.
pub(crate) fn version(fields: &mut Fields, problems: &mut Vec<Problem>) {
    let place = fields.place;
    match fields.text("version", problems) {
        Some(version) if version.value == "1" => {}
        Some(Placed { value, place }) => {
            let text = format!("version {value:?} of the file is not known: this build reads version 1");
            problems.push(Problem::new(place, text));
        }
        None => problems.push(Problem::new(
            place,
            "the file needs its version: write `version: 1`",
        )),
    }
}

/// All checks but those of settings.
pub(super) fn job(job: &JobFile, problems: &mut Vec<Problem>) {
    let stages = job.stages.iter().map(|stage| &stage.name);
    names("stage", stages, problems);
    names("job", job.jobs.iter().map(|job| &job.name), problems);
    for stage in &job.stages {
        body(stage, problems);
        source(stage, problems);
        output(stage, problems);
    }
    outputs(&job.stages, problems);
    if edges(job, problems) {
        cycle(&job.stages, problems);
    }
    job_order(job, problems);
    for env in std::iter::once(&job.env).chain(job.stages.iter().map(|stage| &stage.env)) {
        variables(env, problems);
    }
}

/// The file's own settings are checked with it, so that all that is wrong with it is told together.
pub(super) fn settings(job: &JobFile, problems: &mut Vec<Problem>) {
    let own = job.settings.iter().map(|(name, value)| (*name, value));
    let conf = job.conf.iter().map(|(name, value)| (name.as_str(), value));
    for (name, Placed { value, place }) in own.chain(conf) {
        let key = KEYS.iter().find(|key| key.name == name);
        match key.map(|key| key.check(value)) {
            Some(Ok(())) => {}
            Some(Err(why)) => problems.push(Problem::new(*place, format!("{name}: {why}"))),
            None => problems.push(Problem::new(*place, format!("conf: {}", unknown_key(name)))),
        }
    }
}

fn names<'a>(what: &str, names: impl Iterator<Item = &'a Placed<String>>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for Placed { value: name, place } in names {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.is_empty() && (!name.chars().all(legal) || name.len() > 64) {
            let text = format!("{name:?} is no name for a {what}: up to 64 letters, digits, '-', '_' or '.'");
            problems.push(Problem::new(*place, text));
        }
        if let Some(first) = seen.insert(name.clone(), place.line)
            && !name.is_empty()
        {
            let text = format!("a second {what} {name:?}, the first is at line {first}");
            problems.push(Problem::new(*place, text));
        }
    }
}

fn body(stage: &StageFile, problems: &mut Vec<Problem>) {
    let mut problem = |place, text: &str| problems.push(Problem::new(place, text));
    match (&stage.command, &stage.shell) {
        (Some(_), Some(shell)) => problem(shell.place, "a stage has either command or shell, not both"),
        (None, None) => problem(
            stage.place,
            "a stage needs a command (a list of words) or a shell script",
        ),
        (Some(words), None) => match words.first() {
            None => problem(
                stage.place,
                "command is empty: give the program and its arguments",
            ),
            Some(program) if program.value.is_empty() => problem(program.place, "the program has no name"),
            Some(_) => {}
        },
        (None, Some(shell)) if shell.value.trim().is_empty() => problem(shell.place, "shell is empty"),
        (None, Some(_)) => {}
    }
    let words = stage.command.iter().flatten().chain(&stage.shell);
    for word in words.filter(|word| word.value.contains('\0')) {
        problem(word.place, "a command cannot hold the character NUL");
    }
}

fn source(stage: &StageFile, problems: &mut Vec<Problem>) {
    let mut problem = |place, text: &str| problems.push(Problem::new(place, text));
    let has_inputs = !stage.inputs.is_empty();
    if let Some(items) = &stage.items {
        if has_inputs || stage.tasks.is_some() {
            problem(
                stage.place,
                "items makes one task an item: leave out tasks and inputs",
            );
        }
        if items.is_empty() {
            problem(stage.place, "items is empty: give at least one");
        }
    } else if !has_inputs && stage.tasks.is_none() {
        problem(stage.place, "a stage needs inputs, items or a number of tasks");
    }
    if let (Some(split), false) = (&stage.split, has_inputs) {
        problem(split.place, "split cuts inputs, and the stage has none");
    }
    if let (Some(split), Some(_)) = (&stage.split, &stage.tasks) {
        problem(
            split.place,
            "split and tasks both say how inputs are dealt: keep one",
        );
    }
    if let (Some(feed), false) = (&stage.feed, has_inputs) {
        problem(feed.place, "feed says how inputs arrive, and the stage has none");
    }
}

fn output(stage: &StageFile, problems: &mut Vec<Problem>) {
    if stage.output.is_some() {
        return;
    }
    let orphans = [
        stage.overwrite.as_ref().map(|field| ("overwrite", field.place)),
        stage
            .capture_directory
            .as_ref()
            .map(|field| ("capture", field.place)),
    ];
    for (key, place) in orphans.into_iter().flatten() {
        problems.push(Problem::new(
            place,
            format!("{key} is about the output, and the stage has none"),
        ));
    }
}

fn outputs(stages: &[StageFile], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for stage in stages {
        let Some(output) = &stage.output else { continue };
        let key = output.value.trim_end_matches('/');
        if key.is_empty() {
            problems.push(Problem::new(
                output.place,
                "the output needs a directory of its own",
            ));
        } else if let Some(other) = seen.insert(key, &stage.name.value) {
            let text = format!("stages {other:?} and {:?} have the same output", stage.name.value);
            problems.push(Problem::new(output.place, text));
        }
    }
}

/// Whether every edge leads to a stage of the same job.
fn edges(job: &JobFile, problems: &mut Vec<Problem>) -> bool {
    let before = problems.len();
    let names: Vec<&str> = job.stages.iter().map(|stage| stage.name.value.as_str()).collect();
    for stage in &job.stages {
        for edge in stage.after.iter().chain(&stage.with) {
            let known = edge_leads(edge, &stage.name.value, "stage", &names, problems);
            let other = job.stages.iter().find(|other| other.name.value == edge.value);
            if let Some(other) = other.filter(|other| known && other.job != stage.job) {
                let of = job
                    .jobs
                    .get(other.job as usize)
                    .map_or("", |job| job.name.value.as_str());
                let text = format!(
                    "stage {:?} is in job {of:?}: edges stay within one job; let this job come after that one",
                    edge.value
                );
                problems.push(Problem::new(edge.place, text));
            }
        }
    }
    problems.len() == before
}

/// Whether an edge leads to one of these, and not to where it comes from.
fn edge_leads(
    edge: &Placed<String>,
    from: &str,
    what: &str,
    names: &[&str],
    problems: &mut Vec<Problem>,
) -> bool {
    let Placed { value, place } = edge;
    if value == from {
        problems.push(Problem::new(*place, format!("a {what} cannot wait for itself")));
    } else if !names.contains(&value.as_str()) {
        let hint = nearest(value, names.iter().copied());
        let hint = hint.map_or_else(String::new, |name| format!(": did you mean {name:?}?"));
        problems.push(Problem::new(
            *place,
            format!("there is no {what} {value:?}{hint}"),
        ));
    } else {
        return true;
    }
    false
}

fn job_order(job: &JobFile, problems: &mut Vec<Problem>) {
    let names: Vec<&str> = job.jobs.iter().map(|job| job.name.value.as_str()).collect();
    let before = problems.len();
    for entry in &job.jobs {
        for edge in &entry.after {
            edge_leads(edge, &entry.name.value, "job", &names, problems);
        }
    }
    if problems.len() == before {
        let after = job.jobs.iter().map(|job| indexes(&names, &job.after));
        circle(
            "jobs",
            &names,
            &after.collect::<Vec<_>>(),
            |at| job.jobs[at].place,
            problems,
        );
    }
}

/// Reports one cycle, if there is one.
fn cycle(stages: &[StageFile], problems: &mut Vec<Problem>) {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.value.as_str()).collect();
    let after = stages.iter().map(|stage| {
        let mut all = indexes(&names, &stage.after);
        all.extend(indexes(&names, &stage.with));
        all
    });
    let after: Vec<_> = after.collect();
    circle("stages", &names, &after, |at| stages[at].place, problems);
}

fn indexes(names: &[&str], edges: &[Placed<String>]) -> Vec<usize> {
    let index = |edge: &Placed<String>| names.iter().position(|name| *name == edge.value);
    edges.iter().filter_map(index).collect()
}

fn circle(
    what: &str,
    names: &[&str],
    after: &[Vec<usize>],
    place: impl Fn(usize) -> Place,
    problems: &mut Vec<Problem>,
) {
    let Some(on_cycle) = stuck(after) else { return };
    let mut walk = vec![on_cycle];
    let mut at = on_cycle;
    while let Some(next) = after[at]
        .iter()
        .copied()
        .find(|next| reaches(after, *next, on_cycle))
    {
        walk.push(next);
        at = next;
        if next == on_cycle {
            break;
        }
    }
    let names: Vec<&str> = walk.iter().map(|at| names[*at]).collect();
    let text = format!("{what} wait for each other: {}", names.join(" after "));
    problems.push(Problem::new(place(on_cycle), text));
}

/// The first stage that waits for itself.
fn stuck(after: &[Vec<usize>]) -> Option<usize> {
    (0..after.len()).find(|at| after[*at].iter().any(|next| reaches(after, *next, *at)))
}

fn reaches(after: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; after.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(&after[at]);
        }
    }
    false
}

fn variables(env: &BTreeMap<String, Placed<String>>, problems: &mut Vec<Problem>) {
    for (name, Placed { value, place }) in env {
        let first = name
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let text = format!("{name:?} is no name for a variable: letters, digits and '_', no digit first");
            problems.push(Problem::new(*place, text));
        }
        if name.starts_with("DRAWLOOM_") {
            let text = format!("{name} is set by drawloom: choose another name");
            problems.push(Problem::new(*place, text));
        }
        if value.contains('\0') {
            problems.push(Problem::new(
                *place,
                format!("the value of {name} cannot hold the character NUL"),
            ));
        }
    }
}
