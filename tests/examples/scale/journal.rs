//! What the journal of an ApplicationMaster costs: tasks a second, bytes and flushes, and how large it gets.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mini::Cluster;

use super::master::Master;
use super::phantom::Crowd;
use super::{LONG, LOOK, Outcome, Plan, until};

/// What the ApplicationMaster says of it at its end.
const LAST_WORDS: &str = "the journal of this attempt ends";

/// Runs the tasks; gives the first cells of the row.
pub(crate) fn observed(plan: &Plan, crowd: &Crowd, cluster: &Cluster) -> Outcome<String> {
    until("all executors", || {
        crowd.registered.load(Ordering::Relaxed) >= plan.executors
    })?;
    let master = Master::find(cluster.directory())?;
    let staged = cluster.conf_dir().join(".drawloom/apps");
    let (before, begun, mut largest) = (master.cpu()?, Instant::now(), 0);
    crowd.open();
    while crowd.finished.load(Ordering::Relaxed) <= plan.tasks {
        if begun.elapsed() > LONG {
            return Err(format!("all tasks: not within {LONG:?}").into());
        }
        largest = size_of_journals(&staged, false).max(largest);
        std::thread::sleep(LOOK);
    }
    let (work, spent) = (begun.elapsed().as_secs_f64(), master.cpu()? - before);
    let tasks = plan.tasks.max(1) as f64;
    Ok(format!(
        "| {} | {work:.1} | {:.0} | {:.1} | {:.1} |",
        plan.tasks,
        tasks / work,
        spent.as_secs_f64() * 1e6 / tasks,
        largest as f64 / 1e6,
    ))
}

/// Bytes of all files below a directory that are below one of the name `journal`.
fn size_of_journals(below: &Path, within: bool) -> u64 {
    let entries = std::fs::read_dir(below).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| {
        let within = within || entry.file_name() == "journal";
        match entry.metadata() {
            Ok(about) if about.is_dir() => size_of_journals(&entry.path(), within),
            Ok(about) if within => about.len(),
            // It was removed meanwhile.
            Ok(_) | Err(_) => 0,
        }
    };
    entries.map(size).sum()
}

/// The other cells, from the log of the ApplicationMaster that has ended.
pub(crate) fn cost(cluster: &Path, tasks: usize) -> Outcome<String> {
    until("the end of the ApplicationMaster", || {
        Master::find(cluster).is_err()
    })?;
    let Some(line) = last_words(cluster) else {
        return Ok(" none | none |".to_owned());
    };
    let field = |name: &str| -> Outcome<f64> {
        let mut words = line.split_whitespace();
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        Ok(value.ok_or("the log lacks a field")?.parse()?)
    };
    let tasks = tasks.max(1) as f64;
    Ok(format!(
        " {:.0} | {:.0} |",
        field("bytes")? / tasks,
        tasks / field("flushes")?.max(1.0)
    ))
}

fn last_words(below: &Path) -> Option<String> {
    for entry in std::fs::read_dir(below).ok()?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            last_words(&path)
        } else if path.ends_with("stderr") {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            log.lines()
                .find(|line| line.contains(LAST_WORDS))
                .map(str::to_owned)
        } else {
            None
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
