//! What functions gave back, kept until their stage is done and then written into its output directory.
//!
//! Results arrive with reports, in any order. Small ones go to the end of a file of this process that has no name, so
//! that memory grows with the number of tasks and not with what they give back (invariant J); large ones lie in the
//! output directory already and are only named. The sum of a stage is bounded, as `spark.driver.maxResultSize` bounds
//! it. Where there is a journal they are in it, too ([`crate::journal`]), so that another attempt has them.
//! A stage that is done has one file, [`FILE`]: line *n* is the result of partition *n*, either `{"value":…}` or
//! `{"stored":"part-00017.json","bytes":…}` beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem, FileSystems, Overwrite};
use driver::plan::OutputPlan;
use wire::task::TaskResult;

use crate::journal::KeptResult;

/// The file of a stage's results, in its output directory.
pub const FILE: &str = "results.jsonl";

/// How much is written at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// Where a result is.
#[derive(Debug, Clone)]
enum Kept {
    Nothing,
    /// In our file.
    Here {
        at: u64,
        length: u32,
    },
    Stored {
        uri: String,
        length: u64,
    },
}

/// The results of one stage.
#[derive(Debug, Clone, Default)]
struct OfStage {
    by_partition: Vec<Kept>,
    bytes: u64,
    /// Why they cannot be kept.
    broken: Option<String>,
}

/// The results of an application.
#[derive(Debug)]
pub struct Results {
    limit: u64,
    file: Option<Arc<File>>,
    end: u64,
    stages: BTreeMap<u32, OfStage>,
}

impl Results {
    /// None yet; those of one stage may have `limit` bytes together.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            file: None,
            end: 0,
            stages: BTreeMap::new(),
        }
    }

    /// Keeps the result of a partition, in place of an earlier one.
    ///
    /// # Errors
    /// A text for people when there is no room for it; the stage cannot succeed any more.
    pub fn put(&mut self, stage: u32, partition: u32, result: TaskResult) -> Result<(), String> {
        let length = result.length();
        let kept = self.keep(result);
        let limit = self.limit;
        let of_stage = self.stages.entry(stage).or_default();
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                let text = format!("results cannot be kept on this node's disk: {error}");
                return Err(of_stage.broken.get_or_insert(text).clone());
            }
        };
        let partition = partition as usize;
        if of_stage.by_partition.len() <= partition {
            of_stage.by_partition.resize(partition + 1, Kept::Nothing);
        }
        of_stage.by_partition[partition] = kept;
        of_stage.bytes = of_stage.bytes.saturating_add(length);
        if of_stage.bytes > limit {
            let text = format!(
                "the results of its functions have more than {limit} bytes together, which results.max-size forbids; \
                 write them to files and give back their names, or raise it"
            );
            return Err(of_stage.broken.get_or_insert(text).clone());
        }
        Ok(())
    }

    fn keep(&mut self, result: TaskResult) -> io::Result<Kept> {
        let bytes = match result {
            TaskResult::Stored { uri, length } => return Ok(Kept::Stored { uri, length }),
            TaskResult::Inline(bytes) => bytes,
        };
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(Arc::new(nameless_file()?)),
        };
        file.write_all_at(&bytes, self.end)?;
        let kept = Kept::Here {
            at: self.end,
            length: u32::try_from(bytes.len()).map_err(io::Error::other)?,
        };
        self.end += bytes.len() as u64;
        Ok(kept)
    }

    /// Takes in a result from the journal; one that there is no room for fails its stage as it did before.
    pub(crate) fn recover(&mut self, kept: KeptResult) {
        if let Err(why) = self.put(kept.stage, kept.partition, kept.result) {
            tracing::warn!(
                stage = kept.stage,
                why,
                "a result of an earlier attempt is left out"
            );
        }
    }

    /// Drops all but these, by stage and partition; gives those of them that are missing.
    pub(crate) fn retain(&mut self, wanted: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let wanted: BTreeSet<_> = wanted.iter().copied().collect();
        for (&stage, of_stage) in &mut self.stages {
            for (partition, kept) in (0..).zip(&mut of_stage.by_partition) {
                if !wanted.contains(&(stage, partition)) {
                    *kept = Kept::Nothing;
                }
            }
        }
        let has = |&(stage, partition): &(u32, u32)| {
            let kept = self.stages.get(&stage);
            let kept = kept.and_then(|of_stage| of_stage.by_partition.get(partition as usize));
            !matches!(kept, None | Some(Kept::Nothing))
        };
        wanted.into_iter().filter(|task| !has(task)).collect()
    }

    /// All that are kept now, however they change afterwards; none when there are none.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let of_stage = |(&stage, of_stage): (&u32, &OfStage)| {
            let all = (0..).zip(of_stage.by_partition.clone());
            all.filter(|(_, kept)| !matches!(kept, Kept::Nothing))
                .map(move |(partition, kept)| (stage, partition, kept))
                .collect::<Vec<_>>()
        };
        let results: Vec<_> = self.stages.iter().flat_map(of_stage).collect();
        (!results.is_empty()).then(|| Snapshot {
            file: self.file.clone(),
            results,
        })
    }

    /// That of one task, if there is one.
    pub(crate) fn snapshot_of(&self, stage: u32, partition: u32) -> Option<Snapshot> {
        let of_stage = self.stages.get(&stage)?;
        let kept = of_stage.by_partition.get(partition as usize)?.clone();
        (!matches!(kept, Kept::Nothing)).then(|| Snapshot {
            file: self.file.clone(),
            results: vec![(stage, partition, kept)],
        })
    }

    /// The results of a stage of so many tasks, to be written. They stay until [`Results::forget`], because another
    /// attempt may have to write them again.
    ///
    /// # Errors
    /// A text for people: results are missing or too many.
    pub fn gather(&self, stage: u32, tasks: usize) -> Result<Gathered, String> {
        let of_stage = self.stages.get(&stage);
        if let Some(broken) = of_stage.and_then(|of_stage| of_stage.broken.clone()) {
            return Err(broken);
        }
        let by_partition = of_stage.map(|of_stage| of_stage.by_partition.clone());
        let mut by_partition = by_partition.unwrap_or_default();
        by_partition.resize(tasks, Kept::Nothing);
        let missing = by_partition.iter().filter(|kept| matches!(kept, Kept::Nothing));
        match missing.count() {
            0 => Ok(Gathered {
                file: self.file.clone(),
                by_partition,
            }),
            missing => Err(format!(
                "the results of {missing} tasks were lost with an earlier ApplicationMaster"
            )),
        }
    }

    /// Drops the results of a stage, which are in place.
    pub fn forget(&mut self, stage: u32) {
        self.stages.remove(&stage);
    }
}

/// The results of a moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    file: Option<Arc<File>>,
    results: Vec<(u32, u32, Kept)>,
}

impl Snapshot {
    /// About how many bytes they take where they are written.
    pub(crate) fn bytes(&self) -> u64 {
        let length = |kept: &Kept| match kept {
            Kept::Here { length, .. } => u64::from(*length),
            Kept::Stored { uri, .. } => uri.len() as u64,
            Kept::Nothing => 0,
        };
        self.results.iter().map(|(_, _, kept)| length(kept)).sum()
    }

    /// Each of them, read from our disk.
    pub(crate) fn iter(&self) -> impl Iterator<Item = io::Result<KeptResult>> {
        self.results.iter().filter_map(|(stage, partition, kept)| {
            let result = match (kept, &self.file) {
                (Kept::Here { at, length }, Some(file)) => {
                    read_at(file, *at, *length).map(TaskResult::Inline)
                }
                (Kept::Stored { uri, length }, _) => Ok(TaskResult::Stored {
                    uri: uri.clone(),
                    length: *length,
                }),
                (Kept::Here { .. } | Kept::Nothing, _) => return None,
            };
            Some(result.map(|result| KeptResult {
                stage: *stage,
                partition: *partition,
                result,
            }))
        })
    }
}

fn read_at(file: &File, at: u64, length: u32) -> io::Result<Bytes> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

/// A file that goes away with the process, in the working directory, which YARN gives room, or else where temporary
/// files go.
fn nameless_file() -> io::Result<File> {
    let make = |directory: std::path::PathBuf| {
        let path = directory.join(format!(".drawloom-results-{}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    };
    std::env::current_dir()
        .and_then(make)
        .or_else(|_: io::Error| make(std::env::temp_dir()))
}

/// The results of a stage that is done.
#[derive(Debug)]
pub struct Gathered {
    file: Option<Arc<File>>,
    by_partition: Vec<Kept>,
}

impl Gathered {
    /// Writes them into the stage's output directory, which the caller knows to be ours.
    ///
    /// # Errors
    /// A text for people.
    pub async fn write(self, systems: &FileSystems, output: &OutputPlan) -> Result<(), String> {
        let written = async {
            let directory = systems.resolve(&output.uri)?;
            let fs = systems.get(&directory)?;
            let path = directory.join(FILE);
            let options = CreateOptions {
                // A directory that is gone is not ours to make.
                create_parents: false,
                ..CreateOptions::overwriting()
            };
            let mut writer = fs.create(&path, &options).await?;
            let mut chunk = Vec::with_capacity(CHUNK);
            for (partition, kept) in self.by_partition.iter().enumerate() {
                if let Kept::Stored { uri, .. } = kept {
                    let from = systems.resolve(uri)?;
                    let to = directory.join(&stored_name(partition));
                    put_in_place(fs.as_ref(), &from, &to).await?;
                }
                self.line(partition, kept, &mut chunk)
                    .map_err(|error| DfsError::from_io(&path, &error))?;
                if chunk.len() >= CHUNK {
                    writer.write(Bytes::from(std::mem::take(&mut chunk))).await?;
                }
            }
            writer.write(Bytes::from(chunk)).await?;
            writer.close().await.map(drop)
        };
        written
            .await
            .map_err(|error: DfsError| format!("its results cannot be written to {}: {error}", output.uri))
    }

    fn line(&self, partition: usize, kept: &Kept, out: &mut Vec<u8>) -> io::Result<()> {
        match (kept, &self.file) {
            (Kept::Here { at, length }, Some(file)) => {
                out.extend_from_slice(b"{\"value\":");
                let start = out.len();
                out.resize(start + *length as usize, 0);
                file.read_exact_at(&mut out[start..], *at)?;
                out.extend_from_slice(b"}\n");
            }
            (Kept::Stored { length, .. }, _) => {
                let name = stored_name(partition);
                out.extend_from_slice(format!("{{\"stored\":\"{name}\",\"bytes\":{length}}}\n").as_bytes());
            }
            (Kept::Here { .. } | Kept::Nothing, _) => out.extend_from_slice(b"{\"value\":null}\n"),
        }
        Ok(())
    }
}

/// Renames a file; one that an earlier attempt has renamed is in its place.
async fn put_in_place(fs: &dyn FileSystem, from: &DfsPath, to: &DfsPath) -> Result<(), DfsError> {
    match fs.rename(from, to, Overwrite::Yes).await {
        Err(error) if error.is_not_found() => fs.status(to).await.map(drop).map_err(|_| error),
        renamed => renamed,
    }
}

/// The file of a result that is too large to travel.
fn stored_name(partition: usize) -> String {
    format!("part-{partition:05}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadoop::conf::Configuration;

    fn inline(text: &str) -> TaskResult {
        TaskResult::Inline(Bytes::from(text.to_owned()))
    }

    #[tokio::test]
    async fn results_are_written_in_the_order_of_their_partitions() {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!("file://{}/out", dir.path().display());
        std::fs::create_dir_all(dir.path().join("out/_temporary")).unwrap();
        std::fs::write(dir.path().join("out/_temporary/big.json"), "[1]").unwrap();
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        let systems = FileSystems::builder(&Configuration::from_map(conf), "ada")
            .build()
            .unwrap();
        let mut results = Results::new(100);
        results.put(3, 2, inline("\"two\"")).unwrap();
        results.put(3, 0, inline("0")).unwrap();
        results.put(3, 0, inline("7")).unwrap();
        let big = TaskResult::Stored {
            uri: format!("{uri}/_temporary/big.json"),
            length: 3,
        };
        results.put(3, 1, big).unwrap();
        let output = OutputPlan {
            uri,
            overwrite: false,
            directory: false,
        };
        results
            .gather(3, 3)
            .unwrap()
            .write(&systems, &output)
            .await
            .unwrap();
        let text = std::fs::read_to_string(dir.path().join("out").join(FILE)).unwrap();
        assert_eq!(
            text,
            "{\"value\":7}\n{\"stored\":\"part-00001.json\",\"bytes\":3}\n{\"value\":\"two\"}\n"
        );
        assert_eq!(
            std::fs::read_to_string(dir.path().join("out/part-00001.json")).unwrap(),
            "[1]"
        );
    }

    #[test]
    fn a_stage_with_too_many_bytes_or_too_few_results_cannot_succeed() {
        let mut results = Results::new(4);
        results.put(0, 0, inline("123")).unwrap();
        let error = results.put(0, 1, inline("45")).unwrap_err();
        assert!(
            error.contains("more than 4 bytes") && error.contains("results.max-size"),
            "{error}"
        );
        assert_eq!(results.gather(0, 2).unwrap_err(), error);
        results.put(1, 0, inline("1")).unwrap();
        assert!(
            results
                .gather(1, 3)
                .unwrap_err()
                .contains("results of 2 tasks were lost")
        );
    }
}
