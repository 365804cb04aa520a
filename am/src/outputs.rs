//! Output directories: checked before anything runs, made ready, marked as complete, cleaned.
//!
//! While an application works on a directory a marker file `_drawloom-<application>` lies in it, so that a later
//! attempt of the same application knows its predecessor's partial results from somebody else's data. It goes away
//! when the application ends. `_SUCCESS` appears when a stage is done, and `_temporary` is where attempts write.
//!
//! A: a partition's final name depends on the partition only, so a repeated commit gives the same directory; and
//! nothing is put into, or removed from, a directory without our marker, because somebody else may be at work there.

use std::sync::Arc;

use bytes::Bytes;
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem, FileSystems, write_all};
use driver::plan::{OutputPlan, StagePlan, TaskSource};
use futures::TryStreamExt as _;

/// Where attempts write before they commit.
pub const TEMPORARY: &str = "_temporary";
/// Marks a complete directory.
pub const SUCCESS: &str = "_SUCCESS";
/// Permission of directories.
const MODE: u32 = 0o755;

/// The output directories of one application.
#[derive(Debug, Clone)]
pub struct Outputs {
    systems: Arc<FileSystems>,
    marker: String,
}

/// What lies at an output's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Empty,
    /// A directory that this application has begun to fill.
    Ours,
    Foreign,
}

impl Outputs {
    /// The directories of `application`.
    #[must_use]
    pub fn new(systems: Arc<FileSystems>, application: &str) -> Self {
        Self {
            systems,
            marker: format!("_drawloom-{application}"),
        }
    }

    /// Checks that a stage may write where it wants to, before anything runs. What an earlier attempt of this
    /// application left is removed.
    ///
    /// # Errors
    /// A text for people.
    pub async fn check(&self, stage: &StagePlan) -> Result<(), String> {
        let Some(output) = &stage.output else {
            return Ok(());
        };
        let place = self.place(output)?;
        if let Some(input) = input_below(stage, &place.path) {
            return Err(format!(
                "stage {}: its output {} would replace its input {input}",
                stage.name, output.uri
            ));
        }
        match place
            .found(&self.marker)
            .await
            .map_err(|error| told(output, &error))?
        {
            Found::Nothing | Found::Empty => Ok(()),
            Found::Ours => place.remove().await.map_err(|error| told(output, &error)),
            Found::Foreign if output.overwrite => Ok(()),
            Found::Foreign => Err(occupied(output)),
        }
    }

    /// Makes a stage's directory ready for its tasks. Somebody may have filled it since it was checked: results of
    /// another application would then pass for ours, because a commit replaces nothing.
    ///
    /// # Errors
    /// A text for people.
    pub async fn prepare(&self, output: &OutputPlan) -> Result<(), String> {
        let place = self.place(output)?;
        let found = place.found(&self.marker).await;
        let foreign = found.map_err(|error| told(output, &error))? == Found::Foreign;
        if foreign && !output.overwrite {
            return Err(occupied(output));
        }
        let result = async {
            if foreign {
                place.remove().await?;
            }
            place.fs.mkdirs(&place.path, MODE).await?;
            place.write(&self.marker).await?;
            place.fs.mkdirs(&place.path.join(TEMPORARY), MODE).await
        };
        result.await.map_err(|error| told(output, &error))
    }

    /// Marks a stage's directory as complete. May be repeated.
    ///
    /// Nothing is done in a directory that is not marked as ours: the application may be over for long, and this an
    /// attempt of it that wakes up late. The mark is created and never replaced, and nothing above it is made.
    ///
    /// # Errors
    /// A text for people.
    pub async fn commit(&self, output: &OutputPlan) -> Result<(), String> {
        self.must_be_ours(output).await?;
        let place = self.place(output)?;
        let result = async {
            place.fs.delete(&place.path.join(TEMPORARY), true).await?;
            place.create(SUCCESS).await
        };
        result.await.map_err(|error| told(output, &error))
    }

    /// Requires that a stage's directory is marked as ours, before anything is put into it.
    ///
    /// # Errors
    /// A text for people.
    pub async fn must_be_ours(&self, output: &OutputPlan) -> Result<(), String> {
        match self.place(output)?.found(&self.marker).await {
            Ok(Found::Ours) => Ok(()),
            Ok(_) => Err(format!(
                "the output {} is not ours any more: it was removed or replaced while this application ran",
                output.uri
            )),
            Err(error) => Err(told(output, &error)),
        }
    }

    /// Removes what unfinished attempts left.
    ///
    /// # Errors
    /// A text for people.
    pub async fn abandon(&self, output: &OutputPlan) -> Result<(), String> {
        let place = self.place(output)?;
        let result = async {
            if place.found(&self.marker).await? == Found::Ours {
                place.fs.delete(&place.path.join(TEMPORARY), true).await?;
            }
            Ok(())
        };
        result.await.map_err(|error| told(output, &error))
    }

    /// At the end of the application, when nobody writes any more: removes what unfinished attempts left, takes the
    /// marker away, and the directory if nothing else is in it.
    ///
    /// # Errors
    /// A text for people.
    pub async fn leave(&self, output: &OutputPlan) -> Result<(), String> {
        let place = self.place(output)?;
        let result = async {
            if place.found(&self.marker).await? != Found::Ours {
                return Ok(());
            }
            place.fs.delete(&place.path.join(TEMPORARY), true).await?;
            place.fs.delete(&place.path.join(&self.marker), false).await?;
            if place.found(&self.marker).await? == Found::Empty {
                place.fs.delete(&place.path, false).await?;
            }
            Ok(())
        };
        result.await.map_err(|error| told(output, &error))
    }

    fn place(&self, output: &OutputPlan) -> Result<Place, String> {
        let path = self
            .systems
            .resolve(&output.uri)
            .map_err(|error| told(output, &error))?;
        let fs = self.systems.get(&path).map_err(|error| told(output, &error))?;
        Ok(Place { fs, path })
    }
}

fn told(output: &OutputPlan, error: &DfsError) -> String {
    format!("the output {} cannot be used: {error}", output.uri)
}

fn occupied(output: &OutputPlan) -> String {
    format!(
        "the output {} exists and is not empty: remove it, choose another, or set overwrite: true",
        output.uri
    )
}

/// An input of the stage that is the output directory or lies in it.
fn input_below<'a>(stage: &'a StagePlan, output: &DfsPath) -> Option<&'a String> {
    let TaskSource::Inputs { paths, .. } = &stage.source else {
        return None;
    };
    let below = |path: &&String| {
        path.parse::<DfsPath>()
            .is_ok_and(|path| path.relative_to(output).is_some())
    };
    paths.iter().find(below)
}

/// A directory and its file system.
struct Place {
    fs: Arc<dyn FileSystem>,
    path: DfsPath,
}

impl Place {
    async fn found(&self, marker: &str) -> Result<Found, DfsError> {
        match self.fs.status(&self.path).await {
            Err(error) if error.is_not_found() => return Ok(Found::Nothing),
            Err(error) => return Err(error),
            Ok(status) if !status.is_dir => return Ok(Found::Foreign),
            Ok(_) => {}
        }
        let marked = self.fs.status(&self.path.join(marker)).await;
        match marked {
            Ok(_) => Ok(Found::Ours),
            Err(error) if error.is_not_found() => self.empty_or_foreign().await,
            Err(error) => Err(error),
        }
    }

    async fn empty_or_foreign(&self) -> Result<Found, DfsError> {
        let first = self.fs.list(&self.path, false).try_next().await?;
        Ok(if first.is_none() {
            Found::Empty
        } else {
            Found::Foreign
        })
    }

    async fn remove(&self) -> Result<(), DfsError> {
        self.fs.delete(&self.path, true).await.map(|_| ())
    }

    /// Creates an empty file, unless it is there.
    async fn create(&self, name: &str) -> Result<(), DfsError> {
        let options = CreateOptions {
            create_parents: false,
            ..CreateOptions::default()
        };
        match write_all(self.fs.as_ref(), &self.path.join(name), Bytes::new(), &options).await {
            Err(DfsError::AlreadyExists { .. }) => Ok(()),
            written => written.map(|_| ()),
        }
    }

    async fn write(&self, name: &str) -> Result<(), DfsError> {
        let options = CreateOptions::overwriting();
        write_all(self.fs.as_ref(), &self.path.join(name), Bytes::new(), &options)
            .await
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver::plan::{BodyPlan, FeedPlan};
    use hadoop::conf::Configuration;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    fn outputs(application: &str) -> Outputs {
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        let systems = FileSystems::builder(&Configuration::from_map(conf), "ada")
            .build()
            .unwrap();
        Outputs::new(Arc::new(systems), application)
    }

    fn stage(directory: &Path, overwrite: bool) -> StagePlan {
        let uri = format!("file://{}/out", directory.display());
        StagePlan {
            name: "count".into(),
            after: vec![],
            source: TaskSource::Tasks(1),
            body: BodyPlan::Shell("true".into()),
            env: BTreeMap::new(),
            feed: FeedPlan::None,
            output: Some(OutputPlan {
                uri,
                overwrite,
                directory: false,
            }),
            cores: 1,
            memory_mib: None,
            resources: BTreeMap::new(),
            timeout: None,
            max_failures: None,
            scheduling: driver::policy::StageScheduling::default(),
        }
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory.join("out")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_directory_is_made_ready_marked_and_left() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, stage) = (outputs("application_1_0001"), stage(dir.path(), false));
        let output = stage.output.as_ref().unwrap();
        outputs.check(&stage).await.unwrap();
        outputs.prepare(output).await.unwrap();
        assert!(names(dir.path()).contains("_drawloom-application_1_0001"));
        std::fs::write(dir.path().join("out/part-00000"), "x").unwrap();
        outputs.commit(output).await.unwrap();
        outputs.commit(output).await.unwrap();
        outputs.leave(output).await.unwrap();
        assert_eq!(
            names(dir.path()),
            ["_SUCCESS", "part-00000"].map(str::to_owned).into()
        );
    }

    #[tokio::test]
    async fn a_late_commit_touches_nothing_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, others) = (outputs("application_1_0001"), outputs("application_1_0002"));
        let stage = stage(dir.path(), true);
        let output = stage.output.as_ref().unwrap();
        ours.prepare(output).await.unwrap();
        ours.commit(output).await.unwrap();
        ours.leave(output).await.unwrap();
        others.prepare(output).await.unwrap();
        let before = names(dir.path());
        let refused = ours.commit(output).await.unwrap_err();
        assert!(refused.contains("is not ours any more"), "{refused}");
        assert_eq!(names(dir.path()), before);
        std::fs::remove_dir_all(dir.path().join("out")).unwrap();
        ours.commit(output).await.unwrap_err();
        assert!(
            !dir.path().join("out").exists(),
            "a directory that was removed is not made again"
        );
    }

    #[tokio::test]
    async fn somebody_elses_data_is_refused_unless_it_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("out")).unwrap();
        let outputs = outputs("application_1_0001");
        outputs.check(&stage(dir.path(), false)).await.unwrap();
        std::fs::write(dir.path().join("out/part-00000"), "x").unwrap();
        let refused = outputs.check(&stage(dir.path(), false)).await.unwrap_err();
        assert!(refused.contains("exists and is not empty"), "{refused}");
        let replacing = stage(dir.path(), true);
        outputs.check(&replacing).await.unwrap();
        assert_eq!(names(dir.path()).len(), 1, "a check removes nothing of others");
        outputs.prepare(replacing.output.as_ref().unwrap()).await.unwrap();
        assert!(!names(dir.path()).contains("part-00000"));
    }

    #[tokio::test]
    async fn a_later_attempt_removes_what_the_earlier_left() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, stage) = (outputs("application_1_0001"), stage(dir.path(), false));
        outputs.prepare(stage.output.as_ref().unwrap()).await.unwrap();
        std::fs::write(dir.path().join("out/part-00000"), "x").unwrap();
        outputs.check(&stage).await.unwrap();
        assert!(!dir.path().join("out").exists());
        let other = super::tests::outputs("application_1_0002");
        outputs.prepare(stage.output.as_ref().unwrap()).await.unwrap();
        assert!(
            other.check(&stage).await.is_err(),
            "another application's work is not ours"
        );
    }

    #[tokio::test]
    async fn a_failed_application_leaves_no_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, stage) = (outputs("application_1_0001"), stage(dir.path(), false));
        let output = stage.output.as_ref().unwrap();
        outputs.prepare(output).await.unwrap();
        std::fs::create_dir(dir.path().join("out/_temporary/attempt-1")).unwrap();
        outputs.leave(output).await.unwrap();
        assert!(!dir.path().join("out").exists());
    }

    #[tokio::test]
    async fn another_applications_work_is_neither_touched_nor_joined() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (outputs("application_1_0001"), outputs("application_1_0002"));
        let stage = stage(dir.path(), false);
        let output = stage.output.as_ref().unwrap();
        second.check(&stage).await.unwrap();
        first.prepare(output).await.unwrap();
        let refused = second.prepare(output).await.unwrap_err();
        assert!(refused.contains("exists and is not empty"), "{refused}");
        let before = names(dir.path());
        second.abandon(output).await.unwrap();
        second.leave(output).await.unwrap();
        assert_eq!(names(dir.path()), before);
        assert!(before.contains(TEMPORARY), "{before:?}");
    }

    #[tokio::test]
    async fn an_output_over_its_own_input_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = stage(dir.path(), true);
        let input = format!("file://{}/out/part-*", dir.path().display());
        stage.source = TaskSource::Inputs {
            paths: vec![input],
            groups: None,
            split: None,
        };
        assert!(
            outputs("application_1_0001")
                .check(&stage)
                .await
                .unwrap_err()
                .contains("would replace its input")
        );
    }
}
