//! From a stage's source to its tasks: which files there are, how they are cut and dealt.

use dfs::split::{self, InputFile};
use dfs::{DfsError, DfsPath, FileStatus, FileSystems, is_pattern};
use driver::event::TaskInput;
use driver::plan::TaskSource;
use futures::TryStreamExt as _;
use wire::task::{InputSlice, MOST_DESCRIBED, described_bytes};

/// The most files a stage may read; beyond that memory would not be bounded.
const MOST_FILES: usize = 1_000_000;
/// The most tasks a stage may have, for the same reason.
const MOST_TASKS: u64 = 10_000_000;

/// The tasks of a stage. The files of a directory are taken with those of its subdirectories, hidden ones left out.
///
/// # Errors
/// A text for people: a missing input, a pattern without a match, a task with more inputs than it can be told of, or a
/// file system that does not answer.
pub async fn plan_tasks(systems: &FileSystems, source: &TaskSource) -> Result<Vec<TaskInput>, String> {
    let tasks = all_tasks(systems, source).await?;
    match tasks.iter().position(is_too_long) {
        None => Ok(tasks),
        Some(index) => Err(format!(
            "task {index} would read {} files, and their names alone are more than {} MiB: use more tasks",
            tasks[index].inputs.len(),
            MOST_DESCRIBED >> 20
        )),
    }
}

fn is_too_long(task: &TaskInput) -> bool {
    described_bytes(task.item.as_deref(), &task.inputs) > MOST_DESCRIBED
}

async fn all_tasks(systems: &FileSystems, source: &TaskSource) -> Result<Vec<TaskInput>, String> {
    match source {
        TaskSource::Tasks(count) => {
            few_enough((*count).into())?;
            Ok(vec![TaskInput::default(); *count as usize])
        }
        TaskSource::Items(items) => Ok(items.iter().map(|text| item(text)).collect()),
        TaskSource::Inputs { paths, groups, split } => {
            let files = files(systems, paths).await?;
            let split = split.unwrap_or(u64::MAX);
            few_enough(groups.map_or_else(|| splits(&files, split), u64::from))?;
            Ok(match groups {
                Some(groups) => grouped(files, *groups),
                None => files.iter().flat_map(|file| cut(file, split)).collect(),
            })
        }
    }
}

/// Looked at before anything is made of them.
fn few_enough(tasks: u64) -> Result<(), String> {
    if tasks <= MOST_TASKS {
        return Ok(());
    }
    Err(format!(
        "it would have {tasks} tasks, and {MOST_TASKS} is the most: lower tasks, or raise split"
    ))
}

/// About how many splits there will be, never fewer.
fn splits(files: &[InputFile], size: u64) -> u64 {
    let of = |file: &InputFile| match split::is_splittable(file.path.name()) {
        true => file.len / size.max(1) + 1,
        false => 1,
    };
    files.iter().map(of).fold(0, u64::saturating_add)
}

fn item(item: &str) -> TaskInput {
    TaskInput {
        item: Some(item.to_owned()),
        ..TaskInput::default()
    }
}

/// One task a group, each file whole.
fn grouped(files: Vec<InputFile>, groups: u32) -> Vec<TaskInput> {
    let whole = |file: InputFile| InputSlice {
        uri: file.path.to_string(),
        offset: 0,
        length: file.len,
        cut_at_lines: false,
    };
    let groups = split::into_groups(files, groups as usize).into_iter();
    groups
        .map(|group| TaskInput {
            inputs: group.into_iter().map(whole).collect(),
            ..TaskInput::default()
        })
        .collect()
}

/// One task a split.
fn cut(file: &InputFile, size: u64) -> Vec<TaskInput> {
    let parts = split::by_size(std::slice::from_ref(file), size);
    let cut_at_lines = parts.len() > 1;
    let task = |part: split::Split| {
        let (offset, length) = (part.offset, part.len);
        let slice = InputSlice {
            uri: part.path.to_string(),
            offset,
            length,
            cut_at_lines,
        };
        TaskInput {
            inputs: vec![slice],
            ..TaskInput::default()
        }
    };
    parts.into_iter().map(task).collect()
}

async fn files(systems: &FileSystems, paths: &[String]) -> Result<Vec<InputFile>, String> {
    let mut files = Vec::new();
    for path in paths {
        let found = systems
            .expand(path, MOST_FILES)
            .await
            .map_err(|error| missing(path, &error))?;
        let pattern = is_pattern(path);
        let found: Vec<_> = found
            .into_iter()
            .filter(|status| !pattern || !is_hidden(status))
            .collect();
        if found.is_empty() {
            return Err(format!("the input {path} matches no file"));
        }
        for status in found {
            add(systems, status, &mut files)
                .await
                .map_err(|error| missing(path, &error))?;
        }
    }
    Ok(files)
}

fn missing(path: &str, error: &DfsError) -> String {
    if error.is_not_found() {
        return format!("the input {path} does not exist");
    }
    format!("the input {path} cannot be listed: {error}")
}

fn is_hidden(status: &FileStatus) -> bool {
    split::is_hidden(status.path.name())
}

async fn add(systems: &FileSystems, status: FileStatus, files: &mut Vec<InputFile>) -> Result<(), DfsError> {
    if !status.is_dir {
        files.push(InputFile {
            path: status.path,
            len: status.len,
        });
        return Ok(());
    }
    let base = status.path;
    let mut entries = systems.get(&base)?.list(&base, true);
    while let Some(entry) = entries.try_next().await? {
        if !entry.is_dir && !hidden_below(&entry.path, &base) {
            files.push(InputFile {
                path: entry.path,
                len: entry.len,
            });
        }
        if files.len() > MOST_FILES {
            return Err(DfsError::other(
                &base,
                "TooManyFiles",
                &format!("more than {MOST_FILES} input files"),
            ));
        }
    }
    Ok(())
}

/// Whether the file or any directory between it and `base` is hidden.
fn hidden_below(path: &DfsPath, base: &DfsPath) -> bool {
    let below = path.relative_to(base).unwrap_or_else(|| path.name());
    below
        .split('/')
        .any(|name| !name.is_empty() && split::is_hidden(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadoop::conf::Configuration;
    use std::collections::BTreeMap;
    use std::path::Path;

    fn systems() -> FileSystems {
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        FileSystems::builder(&Configuration::from_map(conf), "ada")
            .build()
            .unwrap()
    }

    fn write(directory: &Path, name: &str, len: usize) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; len]).unwrap();
    }

    async fn plan(
        paths: &[String],
        groups: Option<u32>,
        split: Option<u64>,
    ) -> Result<Vec<Vec<String>>, String> {
        let source = TaskSource::Inputs {
            paths: paths.to_vec(),
            groups,
            split,
        };
        let tasks = plan_tasks(&systems(), &source).await?;
        let shown = |slice: &InputSlice| {
            let name = slice.uri.rsplit('/').next().unwrap();
            let cut = if slice.cut_at_lines { " cut" } else { "" };
            format!("{name}:{}+{}{cut}", slice.offset, slice.length)
        };
        Ok(tasks
            .iter()
            .map(|task| task.inputs.iter().map(shown).collect())
            .collect())
    }

    fn uri(directory: &Path, below: &str) -> String {
        format!("file://{}/{below}", directory.display())
    }

    #[tokio::test]
    async fn files_of_directories_are_taken_and_hidden_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "in/b.txt",
            "in/a.txt",
            "in/_SUCCESS",
            "in/.crc",
            "in/sub/c.txt",
            "in/_temporary/0/d",
        ] {
            write(dir.path(), name, 3);
        }
        write(dir.path(), "in/empty", 0);
        let mut tasks = plan(&[uri(dir.path(), "in")], None, None).await.unwrap().concat();
        tasks.sort();
        assert_eq!(tasks, ["a.txt:0+3", "b.txt:0+3", "c.txt:0+3", "empty:0+0"]);
        let tasks = plan(&[uri(dir.path(), "in/*")], Some(1), None).await.unwrap();
        assert_eq!(tasks[0].len(), 4);
    }

    #[tokio::test]
    async fn files_are_cut_or_dealt_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "in/a", 250);
        write(dir.path(), "in/b.gz", 250);
        let input = [uri(dir.path(), "in")];
        let expected = [
            ["a:0+100 cut"],
            ["a:100+100 cut"],
            ["a:200+50 cut"],
            ["b.gz:0+250"],
        ];
        assert_eq!(plan(&input, None, Some(100)).await.unwrap(), expected);
        let dealt = plan(&input, Some(3), None).await.unwrap();
        assert_eq!(dealt, [vec!["a:0+250"], vec!["b.gz:0+250"], vec![]]);
    }

    #[tokio::test]
    async fn a_missing_input_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = uri(dir.path(), "none");
        assert_eq!(
            plan(std::slice::from_ref(&missing), None, None)
                .await
                .unwrap_err(),
            format!("the input {missing} does not exist")
        );
        let pattern = uri(dir.path(), "*.txt");
        assert_eq!(
            plan(std::slice::from_ref(&pattern), None, None)
                .await
                .unwrap_err(),
            format!("the input {pattern} matches no file")
        );
    }

    #[tokio::test]
    async fn more_tasks_than_memory_is_for_are_refused_before_they_are_made() {
        let refused = plan_tasks(&systems(), &TaskSource::Tasks(u32::MAX))
            .await
            .unwrap_err();
        assert!(refused.contains("4294967295 tasks"), "{refused}");
        let dir = tempfile::tempdir().unwrap();
        let large = std::fs::File::create(dir.path().join("large.txt")).unwrap();
        large.set_len(1 << 40).unwrap();
        let input = [uri(dir.path(), "large.txt")];
        assert!(plan(&input, None, Some(1)).await.is_err());
        assert!(plan(&input, Some(u32::MAX), None).await.is_err());
        assert_eq!(plan(&input, None, Some(1 << 39)).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_task_that_no_frame_could_describe_is_refused() {
        let items = vec!["short".to_owned(), "x".repeat(MOST_DESCRIBED)];
        let refused = plan_tasks(&systems(), &TaskSource::Items(items))
            .await
            .unwrap_err();
        assert!(refused.starts_with("task 1 would read 0 files"), "{refused}");
    }

    #[tokio::test]
    async fn tasks_and_items_need_no_files() {
        let plan = |source| async move { plan_tasks(&systems(), &source).await.unwrap() };
        assert_eq!(plan(TaskSource::Tasks(3)).await, vec![TaskInput::default(); 3]);
        let items = plan(TaskSource::Items(vec!["a".into(), "b".into()])).await;
        assert_eq!(items[1].item.as_deref(), Some("b"));
    }
}
