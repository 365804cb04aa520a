//! `drawloom logs -f`: what all running containers write, as they write it, each line with where it comes from.
//!
//! NodeManagers are asked again and again how long each file is, and for the end of those that have grown. Which
//! containers there are is asked as often, so executors that start later are followed too; several are asked at a
//! time. The end is that of the application: what a node has given away by then is read from where YARN collects it
//! ([`rest`]). Memory grows with the files that were seen, each of which keeps a position and an unfinished line.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use executor::LATER_PARTS;
use futures::StreamExt as _;
use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::container_log::LogPart;
use yarn_rest::request::LogRange;
use yarn_rest::{Client, NodeClient};

use super::{LAUNCH_FILES, containers, of_task, rest, wants};
use crate::cli::Logs;
use crate::cluster::Cluster;
use crate::command::print_or_stop;
use crate::error::CommandError;
use crate::submit::preflight::rest_failed;
use crate::submit::watch::may_pass;
use crate::terminal::tell;

/// Between two looks at all files.
const LOOK: Duration = Duration::from_secs(1);
/// Of a file that was there before, so much is shown, in bytes.
const BEGIN: u64 = 4096;
/// Asked beyond what is missing, because the file grows while it is asked for.
const SLACK: u64 = 64 << 10;
/// How often a file that grows faster than it is asked for is asked again for a longer end.
const TRIES: u32 = 4;
/// Containers asked at a time.
const AT_ONCE: usize = 16;
/// A line that is longer is printed in pieces, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// A followed file.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Where the next bytes begin.
    position: u64,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Followed {
    /// Takes bytes of the file that begin at `start`, and says how many before them are lost.
    pub(super) fn take(&mut self, start: u64, bytes: &[u8]) -> u64 {
        let known = usize::try_from(self.position.saturating_sub(start)).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        let lost = start.saturating_sub(self.position);
        self.position = self.position.max(start) + fresh.len() as u64;
        self.rest.extend_from_slice(fresh);
        lost
    }

    /// The file is shorter than what was read of it: it was begun anew, as by a program that rotates its logs.
    fn begin_anew(&mut self) {
        self.position = 0;
        if !self.rest.is_empty() {
            self.rest.push(b'\n');
        }
    }

    /// The whole lines that have come; with `ended` all that is there, with an end.
    pub(super) fn lines(&mut self, ended: bool) -> Vec<u8> {
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        let mut lines: Vec<u8> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();
        if ended && !self.rest.is_empty() || self.rest.len() > LONGEST_LINE {
            lines.append(&mut self.rest);
            lines.push(b'\n');
        }
        lines
    }
}

/// A container that is followed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Where its node serves its logs.
    node: String,
    /// By name.
    pub(super) files: BTreeMap<String, Followed>,
    /// The last look had everything that the node said there is.
    pub(super) whole: bool,
}

/// Everything that was ever seen.
pub(super) type AllSeen = BTreeMap<ContainerId, Seen>;

/// What the ResourceManager says, who may be away for a while: it is asked again, as by whoever waits for the end.
struct Answers {
    last: Instant,
    silent: bool,
}

impl Answers {
    fn new() -> Self {
        Self {
            last: Instant::now(),
            silent: false,
        }
    }

    /// The answer, or none when it is to be asked for again.
    fn take<T>(&mut self, answer: Result<T, yarn_rest::Error>) -> Result<Option<T>, CommandError> {
        match answer {
            Ok(answer) => {
                self.last = Instant::now();
                self.silent = false;
                Ok(Some(answer))
            }
            Err(error) if may_pass(&error, self.last.elapsed()) => {
                if !std::mem::replace(&mut self.silent, true) {
                    tell(format_args!("asking the ResourceManager again: {error}"));
                }
                Ok(None)
            }
            Err(error) => Err(rest_failed(error)),
        }
    }
}

/// Follows until the application has ended and everything was printed.
pub(super) async fn follow(
    cluster: &Cluster,
    client: &Client,
    id: ApplicationId,
    command: &Logs,
    begin: Option<u64>,
) -> Result<(), CommandError> {
    let mut seen = AllSeen::new();
    let mut first = true;
    let mut answers = Answers::new();
    loop {
        let asked = async { Ok((client.application(id).await?, containers(client, id).await?)) };
        let Some((report, listed)) = answers.take(asked.await)? else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let begin = if first { Some(begin.unwrap_or(BEGIN)) } else { None };
        for (container, node) in listed.iter().filter(|(container, _)| wants(command, container)) {
            seen.entry(*container).or_default().node.clone_from(node);
        }
        // Whoever is not listed any more has ended, and is looked at once more at the end.
        let due = |container: &ContainerId| report.is_final() || listed.contains_key(container);
        let (now, mut later): (AllSeen, AllSeen) =
            seen.into_iter().partition(|(container, _)| due(container));
        let looks: Vec<_> = now
            .into_iter()
            .map(|(container, seen)| look(client, container, command, begin, seen))
            .collect();
        let mut looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some((container, mut seen)) = looks.next().await {
            print_all(container, &mut seen, false)?;
            later.insert(container, seen);
        }
        seen = later;
        if report.is_final() {
            rest::print(cluster, client, &report, command, &mut seen).await?;
            let print = |(container, mut seen)| print_all(container, &mut seen, true);
            return seen.into_iter().try_for_each(print);
        }
        first = false;
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes in what one container has written since the last look. A node that does not answer is asked again later.
async fn look(
    client: &Client,
    container: ContainerId,
    command: &Logs,
    begin: Option<u64>,
    mut seen: Seen,
) -> (ContainerId, Seen) {
    seen.whole = false;
    let Ok(node) = client.node(&seen.node) else {
        return (container, seen);
    };
    let places = node.log_files(container).await.unwrap_or_default();
    // A file that is collected while it runs may be listed twice.
    let mut listed = BTreeMap::<String, u64>::new();
    for file in places.into_iter().flat_map(|place| place.files) {
        let length = listed.entry(file.file_name).or_default();
        *length = file.file_size.max(*length);
    }
    seen.whole = !listed.is_empty() && seen.files.keys().all(|name| listed.contains_key(name));
    for (name, length) in listed {
        if !is_followed(&name) || !of_task(&name, command) {
            continue;
        }
        let followed = seen.files.entry(name.clone()).or_insert_with(|| Followed {
            position: begin.map_or(0, |begin| length.saturating_sub(begin)),
            rest: Vec::new(),
        });
        if length < followed.position {
            followed.begin_anew();
        }
        if length > followed.position {
            let wanted = length - followed.position + SLACK;
            let (start, bytes) = fetch(&node, container, &name, wanted, followed.position).await;
            let lost = followed.take(start, &bytes);
            if lost > 0 {
                tell(format_args!(
                    "{}{lost} bytes came too fast and are left out",
                    prefix(container, &name)
                ));
            }
        }
        seen.whole &= followed.position >= length;
    }
    (container, seen)
}

/// What an executor puts elsewhere until the task is over comes with the log that it is added to then.
pub(super) fn is_followed(name: &str) -> bool {
    !LAUNCH_FILES.contains(&name) && !LATER_PARTS.iter().any(|end| name.ends_with(end))
}

/// The end of a file, as far as it comes, and where it begins: at or before `position`, unless the file grows faster
/// than it can be asked for.
async fn fetch(
    node: &NodeClient,
    container: ContainerId,
    name: &str,
    mut wanted: u64,
    position: u64,
) -> (u64, Vec<u8>) {
    let mut fetched = (position, Vec::new());
    for _ in 0..TRIES {
        let Some(end) = fetch_end(node, container, name, wanted).await else {
            break;
        };
        let missing = end.0.saturating_sub(position);
        fetched = end;
        if missing == 0 {
            break;
        }
        wanted = wanted.saturating_add(missing).saturating_mul(2);
    }
    fetched
}

/// The last bytes of a file and where they begin; none when there are none.
async fn fetch_end(
    node: &NodeClient,
    container: ContainerId,
    name: &str,
    wanted: u64,
) -> Option<(u64, Vec<u8>)> {
    let range = LogRange::Last(wanted);
    let mut log = node.log(container, name, range).await.ok()?;
    let (mut start, mut bytes) = (None, Vec::new());
    while let Ok(Some(part)) = log.next_part().await {
        match part {
            LogPart::Header(header) => start = Some(header.offset(range)),
            LogPart::Contents(piece) => bytes.extend_from_slice(&piece),
            LogPart::End { .. } => {}
        }
    }
    start.map(|start| (start, bytes))
}

fn print_all(container: ContainerId, seen: &mut Seen, ended: bool) -> Result<(), CommandError> {
    for (name, followed) in &mut seen.files {
        print_lines(container, name, &followed.lines(ended))?;
    }
    print_or_stop(std::io::stdout().lock().flush())
}

/// Prints whole lines, each with where it comes from.
pub(super) fn print_lines(container: ContainerId, name: &str, lines: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    let prefix = prefix(container, name);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let printed = out
            .write_all(prefix.as_bytes())
            .and_then(|()| out.write_all(line));
        print_or_stop(printed)?;
    }
    Ok(())
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_last_line_without_end_is_printed_at_the_end() {
        let mut followed = Followed::default();
        followed.take(0, b"one\ntw");
        assert_eq!(followed.lines(false), b"one\n");
        followed.take(6, b"o");
        assert_eq!(followed.lines(false), b"");
        assert_eq!(followed.lines(true), b"two\n");
        assert_eq!(followed.lines(true), b"");
    }

    #[test]
    fn what_came_too_fast_is_counted_and_nothing_is_repeated_after_it() {
        let mut followed = Followed::default();
        assert_eq!(followed.take(0, b"0123"), 0);
        assert_eq!(followed.take(7, b"789"), 3);
        assert_eq!(followed.take(8, b"89ab"), 0);
        assert_eq!(followed.lines(true), b"0123789ab\n");
    }

    proptest! {
        #[test]
        fn whatever_ends_are_fetched_every_byte_is_taken_once(
            text in "[a-z\n]{0,200}", ends in prop::collection::vec((0..200usize, 0..50usize), 0..20)
        ) {
            let (mut followed, mut printed) = (Followed::default(), Vec::new());
            let mut grown = 0;
            for (more, back) in ends {
                grown = text.len().min(grown.max(more));
                let start = (followed.position as usize).saturating_sub(back).min(grown);
                prop_assert_eq!(followed.take(start as u64, &text.as_bytes()[start..grown]), 0);
                printed.extend(followed.lines(false));
            }
            printed.extend(&followed.rest);
            prop_assert_eq!(printed, &text.as_bytes()[..grown]);
        }
    }

    #[test]
    fn a_file_that_was_begun_anew_is_read_from_its_begin() {
        let mut followed = Followed::default();
        followed.take(0, b"one\ntw");
        followed.begin_anew();
        followed.take(0, b"three\n");
        assert_eq!(followed.lines(false), b"one\ntw\nthree\n");
        assert_eq!(followed.position, 6);
    }

    #[test]
    fn parts_of_a_log_that_are_added_to_it_later_are_not_followed_by_themselves() {
        let log = "task-0.0.0-0.0-work.stderr";
        assert!(is_followed(log) && is_followed("stderr") && !is_followed("launch_container.sh"));
        for end in LATER_PARTS {
            assert!(!is_followed(&format!("{log}{end}")));
        }
    }

    #[test]
    fn a_resource_manager_that_is_away_is_asked_again_and_one_that_refuses_is_not() {
        let mut answers = Answers::new();
        let gone = || yarn_rest::Error::Interrupted("reset".to_owned());
        assert!(answers.take::<()>(Err(gone())).unwrap().is_none());
        assert_eq!(answers.take(Ok(7)).unwrap(), Some(7));
        let words = Default::default();
        assert!(
            answers
                .take::<()>(Err(yarn_rest::Error::Forbidden { words }))
                .is_err()
        );
    }

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
