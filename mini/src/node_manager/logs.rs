//! Log files: listing them, and wrapping them as `LogToolUtils` does.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use hadoop::ids::{ContainerId, NodeId};

use crate::time::{self, UnixMs};

/// `yarn.nodemanager.container.stderr.tail.bytes`.
const TAIL: u64 = 4096;

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified_ms: UnixMs,
}

/// The log files in a directory, by name.
pub(super) fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            files.push(LogFile {
                name: entry.file_name().to_string_lossy().into_owned(),
                size: metadata.len(),
                modified_ms: time::of(metadata.modified()?),
            });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// A file with header and trailer. An empty file has no header.
pub(super) fn wrapped(
    directory: &Path,
    id: ContainerId,
    node: &NodeId,
    name: &str,
    size: Option<i64>,
    running: bool,
) -> io::Result<Vec<u8>> {
    if name.contains('/') || name == ".." {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let mut file = File::open(directory.join(name))?;
    let metadata = file.metadata()?;
    let length = metadata.len();
    let mut text = Vec::new();
    if length > 0 {
        let modified = time::listing(time::of(metadata.modified()?));
        let first = format!("Container: {id} on {node}\nLogAggregationType: LOCAL\n");
        let rule = "=".repeat(first.lines().next().map_or(0, str::len));
        let rest =
            format!("LogType:{name}\nLogLastModifiedTime:{modified}\nLogLength:{length}\nLogContents:\n");
        text.extend_from_slice(format!("{first}{rule}\n{rest}").as_bytes());
        let (from, count) = range(size, length);
        file.seek(SeekFrom::Start(from))?;
        file.take(count).read_to_end(&mut text)?;
    }
    text.extend_from_slice(trailer(name, id, running).as_bytes());
    Ok(text)
}

fn range(size: Option<i64>, length: u64) -> (u64, u64) {
    match size {
        None => (0, length),
        Some(size) if size < 0 => {
            let count = size.unsigned_abs().min(length);
            (length - count, count)
        }
        Some(size) => (0, size.unsigned_abs().min(length)),
    }
}

fn trailer(name: &str, id: ContainerId, running: bool) -> String {
    let end = format!("End of LogType:{name}");
    let end = match running {
        true => {
            format!("{end}.This log file belongs to a running container ({id}) and so may not be complete.")
        }
        false => end,
    };
    format!("{end}\n{}\n\n", "*".repeat(end.len()))
}

/// The ends of the launch script's errors and of the newest file whose name speaks of errors.
pub(super) fn error_tails(directory: &Path) -> String {
    let mut text = String::new();
    let files = list(directory).unwrap_or_default();
    let errors = files
        .iter()
        .filter(|file| file.name.contains("stderr") || file.name.contains("STDERR"));
    let newest = errors
        .max_by_key(|file| file.modified_ms)
        .map(|file| file.name.clone());
    let own = [("prelaunch.err".to_owned(), "")].into_iter();
    for (name, end) in own.chain(newest.map(|name| (name, "\n"))) {
        if let Ok(tail) = tail(&directory.join(&name)) {
            text += &format!("Last {TAIL} bytes of {name} :\n{tail}{end}");
        }
    }
    text
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped_text(contents: &str, size: Option<i64>, running: bool) -> String {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("stdout"), contents).unwrap();
        let id = "container_7_0001_01_000002".parse().unwrap();
        let node = NodeId::new("127.0.0.1", 1);
        String::from_utf8(wrapped(directory.path(), id, &node, "stdout", size, running).unwrap()).unwrap()
    }

    #[test]
    fn a_part_is_taken_from_either_end_and_the_length_stays_that_of_the_whole() {
        let text = wrapped_text("abcdef", Some(-2), false);
        assert!(
            text.contains("LogLength:6\nLogContents:\nefEnd of LogType:stdout\n***"),
            "{text}"
        );
        assert!(wrapped_text("abcdef", Some(2), false).contains("LogContents:\nabEnd"));
        assert!(
            wrapped_text("abcdef", Some(99), true)
                .contains("LogContents:\nabcdefEnd of LogType:stdout.This log")
        );
    }

    #[test]
    fn an_empty_file_has_only_a_trailer() {
        assert!(wrapped_text("", None, false).starts_with("End of LogType:stdout\n"));
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let id = "container_7_0001_01_000002".parse().unwrap();
        let node = NodeId::new("127.0.0.1", 1);
        for name in ["../stdout", "..", "/etc/passwd"] {
            assert!(wrapped(Path::new("/tmp"), id, &node, name, None, false).is_err());
        }
    }
}
