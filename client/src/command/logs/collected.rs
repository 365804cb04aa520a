//! Log files that YARN has collected on the cluster's file system, read without a JVM (`hadoop::aggregated_log`).
//!
//! A NodeManager leaves one file per application below `yarn.nodemanager.remote-app-log-dir`: in
//! `USER/bucket-SUFFIX/NUMBER/APPLICATION/` since Hadoop 3.3, in `USER/SUFFIX/APPLICATION/` before, where the suffix has the
//! format's name behind it since 3.1 (`LogAggregationUtils`, `LogAggregationFileController`). Where the NodeManager uploads
//! while the application runs (`rolled-log-include-pattern`) there are several, with a time behind the node's name, and
//! each has what its containers wrote since the last. All of them are read from begin to end, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use bytes::Bytes;
use dfs::{ByteStream, DfsError, DfsPath, FileReader, FileStatus, FileSystems};
use futures::TryStreamExt as _;
use hadoop::aggregated_log::{AggregatedLog, AggregatedLogError, CollectedFile, Step};
use hadoop::conf::Configuration;
use hadoop::ids::{ApplicationId, ContainerId};
use yarn_rest::request::LogRange;

use super::{Shown, Wanted};
use crate::command::print_or_stop;
use crate::error::CommandError;
use crate::terminal::tell;

/// Nobody has more nodes.
const MOST_FILES: usize = 100_000;
/// What a NodeManager writes until it renames it.
const UNFINISHED: &str = ".tmp";

/// Why a collected log cannot be read.
#[derive(Debug, thiserror::Error)]
enum UnreadableLog {
    #[error(transparent)]
    FileSystem(#[from] DfsError),
    #[error(transparent)]
    Format(#[from] AggregatedLogError),
}

/// Collected logs of one application.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The nodes' files, in the order of their names, which for one node is that of time.
    files: Vec<FileStatus>,
    /// What is there and cannot be read, in words for people.
    pub(super) problems: Vec<String>,
}

impl Collected {
    /// Looks for them. `user` is who ran the application.
    pub(super) async fn find(
        systems: &FileSystems,
        conf: &Configuration,
        user: &str,
        id: ApplicationId,
    ) -> Self {
        let mut collected = Self::default();
        let mut closed = BTreeSet::new();
        for directory in directories(conf, user, id) {
            let of_user = directory.split_once(&format!("/{user}/"));
            let place = of_user.map_or(directory.as_str(), |(root, _)| root);
            if closed.contains(place) {
                continue;
            }
            match list(systems, &directory).await {
                Ok(found) => found.into_iter().for_each(|file| collected.add(file)),
                Err(DfsError::NotFound { .. }) => {}
                Err(error) => {
                    // Nobody is asked twice who does not answer; other directories of one root may be open to us.
                    if !matches!(error, DfsError::PermissionDenied { .. }) {
                        closed.insert(place.to_owned());
                    }
                    collected.add_problem(error.to_string());
                }
            }
        }
        collected.files.sort_by(|a, b| a.path.name().cmp(b.path.name()));
        collected
    }

    /// Whether a node has several files, each with a part of what its containers wrote.
    fn is_rolled(&self) -> bool {
        let nodes = self.files.iter().map(|file| node_of(file.path.name()));
        nodes.collect::<BTreeSet<String>>().len() < self.files.len()
    }

    /// Prints what is wanted and has not been shown.
    ///
    /// # Errors
    /// Standard output cannot be written. What cannot be read is a problem.
    pub(super) async fn print(
        &mut self,
        systems: &FileSystems,
        wanted: &Wanted<'_>,
        shown: &mut Shown,
    ) -> Result<(), CommandError> {
        let mut print = Print::new(wanted, std::mem::take(&mut shown.containers));
        if self.is_rolled() && matches!(wanted.range, LogRange::Last(_)) {
            print.lengths = Some(self.lengths(systems).await);
        }
        self.read(systems, |node, step| print.step(step, node)).await?;
        shown.files += print.files;
        shown.containers = print.before;
        Ok(())
    }

    /// Reads everything from begin to end. `take` gets each step with its node, and none where a node's file breaks off,
    /// which is a problem.
    ///
    /// # Errors
    /// Those of `take`.
    pub(super) async fn read(
        &mut self,
        systems: &FileSystems,
        mut take: impl FnMut(&str, Option<Step>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        for file in std::mem::take(&mut self.files) {
            let node = node_of(file.path.name());
            if let Err(error) = read_node(systems, &file.path, &node, &mut take).await? {
                take(&node, None)?;
                self.problems.push(format!(
                    "what {node} has collected in {} cannot be read: {error}",
                    file.path
                ));
            }
        }
        Ok(())
    }

    /// The length of each log file, all its parts together. What cannot be read is said when it is printed.
    async fn lengths(&self, systems: &FileSystems) -> Lengths {
        let mut lengths = Lengths::new();
        for file in &self.files {
            let Ok(mut node) = NodeFile::open(systems, &file.path).await else {
                continue;
            };
            while let Ok(Some(step)) = node.next().await {
                if let Step::File(file) = step {
                    let length: &mut u64 = lengths.entry((file.container, file.name)).or_default();
                    *length = length.saturating_add(file.length);
                }
            }
        }
        lengths
    }

    /// Directories that differ in their names only have the same problem once.
    fn add_problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn add(&mut self, file: FileStatus) {
        let name = file.path.name();
        if file.is_dir {
            self.problems.push(format!(
                "{} is an archive, which only `yarn logs` reads",
                file.path
            ));
        } else if name.ends_with(UNFINISHED) {
            let node = node_of(name.trim_end_matches(UNFINISHED));
            self.problems
                .push(format!("the logs of {node} are still being collected"));
        } else {
            self.files.push(file);
        }
    }
}

/// Where collected logs of an application may be, the newest layout first.
fn directories(conf: &Configuration, user: &str, id: ApplicationId) -> Vec<String> {
    let root = |key: &str| conf.get(key).filter(|value| !value.trim().is_empty());
    let mut formats = conf.strings("yarn.log-aggregation.file-formats");
    if formats.is_empty() {
        formats.push("TFile");
    }
    let common_root = root("yarn.nodemanager.remote-app-log-dir").unwrap_or("/tmp/logs");
    let common_suffix = root("yarn.nodemanager.remote-app-log-dir-suffix").unwrap_or("logs");
    let mut directories = Vec::new();
    let mut add = |root: &str, suffix: &str| {
        let root = format!("{}/{user}", root.trim_end_matches('/'));
        for directory in [
            format!("{root}/bucket-{suffix}/{:04}/{id}", id.id % 10_000),
            format!("{root}/{suffix}/{id}"),
        ] {
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    };
    for format in formats {
        let own = |what: &str| root(&format!("yarn.log-aggregation.{format}.{what}"));
        let default = format!("{common_suffix}-{}", format.to_lowercase());
        add(
            own("remote-app-log-dir").unwrap_or(common_root),
            own("remote-app-log-dir-suffix").unwrap_or(&default),
        );
    }
    add(common_root, common_suffix);
    directories
}

async fn list(systems: &FileSystems, directory: &str) -> Result<Vec<FileStatus>, DfsError> {
    let path = systems.resolve(directory)?;
    dfs::list_all(systems.get(&path)?.as_ref(), &path, false, MOST_FILES).await
}

/// `host:port` of a file's name: `host_port`, and a time behind it when there are several.
fn node_of(name: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let split = |name: &str| {
        let (host, port) = name.rsplit_once('_')?;
        is_number(port).then(|| (host.to_owned(), port.to_owned()))
    };
    let Some((host, last)) = split(name) else {
        return name.to_owned();
    };
    match split(&host) {
        Some((host, port)) => format!("{host}:{port}"),
        None => format!("{host}:{last}"),
    }
}

/// One node's file, read from its begin to its end.
struct NodeFile {
    reader: Box<dyn FileReader>,
    log: AggregatedLog,
    bytes: Option<ByteStream>,
}

impl NodeFile {
    async fn open(systems: &FileSystems, path: &DfsPath) -> Result<Self, DfsError> {
        let reader = systems.get(path)?.open(path).await?;
        Ok(Self {
            log: AggregatedLog::new(reader.len()),
            reader,
            bytes: None,
        })
    }

    /// The next file, contents or end; none when all has been read.
    async fn next(&mut self) -> Result<Option<Step>, UnreadableLog> {
        loop {
            match self.log.step()? {
                Step::Done => return Ok(None),
                Step::Read(range) => {
                    self.bytes = Some(self.reader.read(range.start, range.end - range.start));
                }
                Step::More => match self.more().await? {
                    Some(bytes) => self.log.push(&bytes),
                    None => return Err(AggregatedLogError::Truncated { what: "the file" }.into()),
                },
                step => return Ok(Some(step)),
            }
        }
    }

    async fn more(&mut self) -> Result<Option<Bytes>, DfsError> {
        match &mut self.bytes {
            Some(bytes) => bytes.try_next().await,
            None => Ok(None),
        }
    }
}

/// Reads one node's file.
async fn read_node(
    systems: &FileSystems,
    path: &DfsPath,
    node: &str,
    take: &mut impl FnMut(&str, Option<Step>) -> Result<(), CommandError>,
) -> Result<Result<(), UnreadableLog>, CommandError> {
    let mut file = match NodeFile::open(systems, path).await {
        Ok(file) => file,
        Err(error) => return Ok(Err(error.into())),
    };
    loop {
        match file.next().await {
            Ok(Some(step)) => take(node, Some(step))?,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Lengths of log files of which several nodes' files have parts.
type Lengths = BTreeMap<(ContainerId, String), u64>;

/// Printing under way.
struct Print<'a> {
    wanted: &'a Wanted<'a>,
    /// Containers whose files have been shown from elsewhere.
    before: BTreeSet<ContainerId>,
    /// When a file's end is wanted and it may come in parts.
    lengths: Option<Lengths>,
    /// Where in its file the next part begins, when there are lengths.
    begins: Lengths,
    files: usize,
    current: Option<Part>,
}

/// The log file that is being printed.
struct Part {
    name: String,
    /// So many bytes are left out, and so many printed then.
    skipped: u64,
    left: u64,
}

impl<'a> Print<'a> {
    fn new(wanted: &'a Wanted<'a>, before: BTreeSet<ContainerId>) -> Self {
        Self {
            wanted,
            before,
            lengths: None,
            begins: Lengths::new(),
            files: 0,
            current: None,
        }
    }

    fn step(&mut self, step: Option<Step>, node: &str) -> Result<(), CommandError> {
        match step {
            Some(Step::File(file)) => self.begin(&file, node),
            Some(Step::Contents(bytes)) => self.contents(&bytes),
            Some(Step::End { missing }) => self.end(Some(missing)),
            Some(Step::Read(_) | Step::More | Step::Done) => Ok(()),
            None => self.end(None),
        }
    }

    fn begin(&mut self, file: &CollectedFile, node: &str) -> Result<(), CommandError> {
        if self.before.contains(&file.container) || !self.wanted.has(&file.container, &file.name) {
            return Ok(());
        }
        let (skipped, left) = self.window(file);
        if left == 0 && file.length > 0 {
            return Ok(());
        }
        self.wanted.print_heading(file.container, node, &file.name)?;
        self.files += 1;
        self.current = Some(Part {
            name: format!("{}/{}", file.container, file.name),
            skipped,
            left,
        });
        Ok(())
    }

    /// How many of the bytes that are here are left out, and how many are printed.
    fn window(&mut self, file: &CollectedFile) -> (u64, u64) {
        let Some(lengths) = &self.lengths else {
            return part_of(self.wanted.range, file.length, 0, file.length);
        };
        let key = (file.container, file.name.clone());
        let whole = lengths.get(&key).copied().unwrap_or(file.length);
        let begin = self.begins.entry(key).or_default();
        let window = part_of(self.wanted.range, whole, *begin, file.length);
        *begin = begin.saturating_add(file.length);
        window
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(part) = &mut self.current else {
            return Ok(());
        };
        let skipped = part.skipped.min(bytes.len() as u64);
        let bytes = &bytes[skipped as usize..];
        let printed = part.left.min(bytes.len() as u64);
        part.skipped -= skipped;
        part.left -= printed;
        print_or_stop(std::io::stdout().lock().write_all(&bytes[..printed as usize]))
    }

    /// The end of a file, or of everything when the rest cannot be read.
    fn end(&mut self, missing: Option<u64>) -> Result<(), CommandError> {
        let Some(part) = self.current.take() else {
            return Ok(());
        };
        print_or_stop(writeln!(std::io::stdout().lock()))?;
        match missing {
            Some(0) => {}
            Some(missing) => tell(format_args!(
                "the last {missing} bytes of {} were not collected",
                part.name
            )),
            None => tell(format_args!("{} breaks off", part.name)),
        }
        Ok(())
    }
}

/// Of a part of a file of `whole` bytes that begins at `begin` and has `length`: how many bytes are before those that
/// `range` wants, and how many it wants.
fn part_of(range: LogRange, whole: u64, begin: u64, length: u64) -> (u64, u64) {
    let (from, to) = match range {
        LogRange::All => (0, whole),
        LogRange::First(bytes) => (0, bytes),
        LogRange::Last(bytes) => (whole.saturating_sub(bytes), whole),
    };
    let end = begin.saturating_add(length);
    let (from, to) = (from.clamp(begin, end), to.clamp(begin, end));
    (from - begin, to - from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn collected_logs_are_looked_for_where_each_release_leaves_them() {
        let conf = |settings: &[(&str, &str)]| {
            let builder = Configuration::builder().defaults();
            let set = settings
                .iter()
                .fold(builder, |builder, (key, value)| builder.set(key, value, "test"));
            set.build(&|_| None)
        };
        let id = "application_1795218548822_12345".parse().unwrap();
        let app = "application_1795218548822_12345";
        assert_eq!(
            directories(&conf(&[]), "ada", id),
            [
                format!("/tmp/logs/ada/bucket-logs-tfile/2345/{app}"),
                format!("/tmp/logs/ada/logs-tfile/{app}"),
                format!("/tmp/logs/ada/bucket-logs/2345/{app}"),
                format!("/tmp/logs/ada/logs/{app}"),
            ]
        );
        let two = conf(&[
            ("yarn.log-aggregation.file-formats", "IFile,TFile"),
            ("yarn.log-aggregation.IFile.remote-app-log-dir", "/ifile"),
            ("yarn.log-aggregation.TFile.remote-app-log-dir-suffix", "mine"),
        ]);
        let found = directories(&two, "ada", id);
        assert_eq!(found[0], format!("/ifile/ada/bucket-logs-ifile/2345/{app}"));
        assert_eq!(found[2], format!("/tmp/logs/ada/bucket-mine/2345/{app}"));
    }

    #[test]
    fn a_file_is_named_after_its_node() {
        assert_eq!(node_of("node1.cluster_45454"), "node1.cluster:45454");
        assert_eq!(node_of("node_1_45454_1795218548822"), "node_1:45454");
        assert_eq!(node_of("what"), "what");
    }

    proptest! {
        #[test]
        fn the_parts_of_a_file_give_together_what_the_whole_gives(
            parts in prop::collection::vec(0u64..50, 1..6), wanted in 0u64..200, last: bool
        ) {
            let range = if last { LogRange::Last(wanted) } else { LogRange::First(wanted) };
            let whole: u64 = parts.iter().sum();
            let (mut begin, mut taken) = (0, Vec::new());
            for length in parts {
                let (skipped, left) = part_of(range, whole, begin, length);
                taken.extend(begin + skipped..begin + skipped + left);
                begin += length;
            }
            let (skipped, left) = part_of(range, whole, 0, whole);
            prop_assert_eq!(taken, (skipped..skipped + left).collect::<Vec<u64>>());
            prop_assert_eq!(left, wanted.min(whole));
        }
    }
}
