//! `drawloom logs -f`: what all running containers write, as they write it, each line with where it comes from.
//!
//! NodeManagers are asked again and again how long each file is, and for the end of those that have grown. Which
//! containers there are is asked as often, so executors that start later are followed too. The end is that of the
//! application. Memory grows with the files that were seen, each of which keeps a position and an unfinished line.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::container_log::LogPart;
use yarn_rest::request::LogRange;
use yarn_rest::{Client, NodeClient};

use super::{LAUNCH_FILES, containers, of_task, wants};
use crate::cli::Logs;
use crate::command::print_or_stop;
use crate::error::CommandError;
use crate::submit::preflight::rest_failed;

/// Between two looks at all files.
const LOOK: Duration = Duration::from_secs(1);
/// Of a file that was there before, so much is shown, in bytes.
const BEGIN: u64 = 4096;
/// Asked beyond what is missing, because the file grows while it is asked for.
const SLACK: u64 = 64 << 10;

/// A followed file.
#[derive(Debug, Default)]
struct Followed {
    /// Where the next bytes begin.
    position: u64,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

type Files = BTreeMap<(ContainerId, String), Followed>;

/// Follows until the application has ended and everything was printed.
pub(super) async fn follow(
    client: &Client,
    id: ApplicationId,
    command: &Logs,
    begin: Option<u64>,
) -> Result<(), CommandError> {
    let mut files = Files::new();
    let mut first = true;
    loop {
        let ended = client.application(id).await.map_err(rest_failed)?.is_final();
        let begin = if first { Some(begin.unwrap_or(BEGIN)) } else { None };
        for (container, node) in containers(client, id).await? {
            if wants(command, &container)
                && let Ok(node) = client.node(&node)
            {
                look(&node, container, command, begin, &mut files).await?;
            }
        }
        if ended {
            return Ok(());
        }
        first = false;
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints what one container has written since the last look. A node that does not answer is asked again later.
async fn look(
    node: &NodeClient,
    container: ContainerId,
    command: &Logs,
    begin: Option<u64>,
    files: &mut Files,
) -> Result<(), CommandError> {
    let places = node.log_files(container).await.unwrap_or_default();
    for file in places.into_iter().flat_map(|place| place.files) {
        let name = file.file_name;
        if LAUNCH_FILES.contains(&name.as_str()) || !of_task(&name, command) {
            continue;
        }
        let length = file.file_size;
        let followed = files
            .entry((container, name.clone()))
            .or_insert_with(|| Followed {
                position: begin.map_or(0, |begin| length.saturating_sub(begin)),
                rest: Vec::new(),
            });
        if length > followed.position {
            let range = LogRange::Last(length - followed.position + SLACK);
            let fresh = fetch(node, container, &name, range, followed.position).await;
            followed.position += fresh.len() as u64;
            followed.rest.extend_from_slice(&fresh);
            print_lines(&prefix(container, &name), &mut followed.rest)?;
        }
    }
    Ok(())
}

/// The bytes of a file from a position on, as far as they come.
async fn fetch(
    node: &NodeClient,
    container: ContainerId,
    name: &str,
    range: LogRange,
    position: u64,
) -> Vec<u8> {
    let mut fresh = Vec::new();
    let Ok(mut log) = node.log(container, name, range).await else {
        return fresh;
    };
    let mut at = 0;
    while let Ok(Some(part)) = log.next_part().await {
        match part {
            LogPart::Header(header) => at = header.offset(range),
            LogPart::Contents(bytes) => {
                let known = usize::try_from(position.saturating_sub(at)).unwrap_or(usize::MAX);
                fresh.extend_from_slice(bytes.get(known..).unwrap_or_default());
                at += bytes.len() as u64;
            }
            LogPart::End { .. } => {}
        }
    }
    fresh
}

/// Prints the whole lines of what has come and keeps the rest.
fn print_lines(prefix: &str, rest: &mut Vec<u8>) -> Result<(), CommandError> {
    let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(());
    };
    let whole: Vec<u8> = rest.drain(..=end).collect();
    let mut out = std::io::stdout().lock();
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        let printed = out
            .write_all(prefix.as_bytes())
            .and_then(|()| out.write_all(line));
        print_or_stop(printed)?;
    }
    print_or_stop(out.flush())
}

/// Where a line comes from: the container's number and, for a task, `STAGE/TASK.ATTEMPT`.
fn prefix(container: ContainerId, file: &str) -> String {
    let id = container.to_string();
    let number = id.rsplit('_').next().unwrap_or(&id).trim_start_matches('0');
    match super::attempt_of(file) {
        Some((stage, attempt)) => format!("[{number} {stage}/{attempt}] "),
        None => format!("[{number} {file}] "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_it_comes_from() {
        let container = "container_1_0001_01_000012".parse().unwrap();
        assert_eq!(
            prefix(container, "task-0.1.0-17.2-count.stderr"),
            "[12 count/17.2] "
        );
        assert_eq!(prefix(container, "stderr"), "[12 stderr] ");
    }
}
