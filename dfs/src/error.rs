//! What can go wrong on a file system, typed so that callers decide by variant and a person reads what to do.

use std::io;
use std::time::Duration;

use crate::path::DfsPath;

/// An error of a file system, always with the location it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DfsError {
    /// The file, or a directory above it, is not there.
    #[error("{path} does not exist")]
    NotFound {
        /// The location asked for.
        path: String,
    },
    /// Something is there already, and overwriting was not asked for (or is not possible).
    #[error("{path} exists already")]
    AlreadyExists {
        /// The location that is taken.
        path: String,
    },
    /// The user may not do this.
    #[error("permission denied on {path}: {detail}")]
    PermissionDenied {
        /// The location asked for.
        path: String,
        /// The file system's own words.
        detail: String,
    },
    /// A component of the path that must be a directory is a file.
    #[error("{path} is not a directory, or lies below a file")]
    NotADirectory {
        /// The location asked for.
        path: String,
    },
    /// A file was needed and this is a directory.
    #[error("{path} is a directory")]
    IsADirectory {
        /// The location asked for.
        path: String,
    },
    /// The directory still has entries and the call was not recursive.
    #[error("directory {path} is not empty")]
    NotEmpty {
        /// The directory.
        path: String,
    },
    /// A name or space quota of a directory is used up.
    #[error("quota exceeded at {path}: {detail}")]
    QuotaExceeded {
        /// The location asked for.
        path: String,
        /// The NameNode's own words: which directory, which limit.
        detail: String,
    },
    /// No disk, or no DataNode, can take the data: full, or none is alive.
    #[error("no room for {path}: {detail}")]
    NoSpace {
        /// The location asked for.
        path: String,
        /// The file system's own words.
        detail: String,
    },
    /// The NameNode refuses changes until it has heard of enough blocks.
    #[error("the NameNode of {path} is in safe mode: {detail}")]
    SafeMode {
        /// The location asked for.
        path: String,
        /// The NameNode's own words.
        detail: String,
    },
    /// The NameNode that answered is not the active one, or asks to be called again.
    #[error("no active NameNode for {path}: {detail}")]
    Standby {
        /// The location asked for.
        path: String,
        /// The NameNode's own words.
        detail: String,
    },
    /// The connection could not be made or broke. Whether a change was carried out is not known.
    #[error("cannot reach the file system of {path}: {detail}")]
    Unreachable {
        /// The location asked for.
        path: String,
        /// The operating system's words.
        detail: String,
    },
    /// No answer within the deadline. Whether a change was carried out is not known.
    #[error("{what} of {path} had no answer within {after:?}")]
    Timeout {
        /// The location asked for.
        path: String,
        /// The operation, as a noun: `listing`, `flush`.
        what: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// Another client took over, deleted or replaced the file being written. The writer must stop.
    #[error("{path} was taken over by another client: {detail}")]
    Fenced {
        /// The file being written.
        path: String,
        /// The NameNode's own words.
        detail: String,
    },
    /// The writer failed earlier and cannot go on; what it acknowledged is safe, the rest has to be written anew.
    #[error("the writer of {path} is lost: {detail}")]
    WriterLost {
        /// The file being written.
        path: String,
        /// The error that ended the writer.
        detail: String,
    },
    /// The text is no usable location.
    #[error("\"{path}\" is not a usable path: {detail}")]
    InvalidPath {
        /// The text.
        path: String,
        /// Why.
        detail: String,
    },
    /// Anything else, as the file system put it.
    #[error("{path}: {class}: {message}")]
    Other {
        /// The location asked for.
        path: String,
        /// Java class of the NameNode's exception, or the kind of a local error.
        class: String,
        /// First line of its message.
        message: String,
    },
}

impl DfsError {
    /// An [`DfsError::InvalidPath`].
    #[must_use]
    pub fn invalid_path(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidPath {
            path: path.into(),
            detail: detail.into(),
        }
    }

    /// An error outside the known classes; `message` is cut to its first line.
    #[must_use]
    pub fn other(path: &DfsPath, class: impl Into<String>, message: &str) -> Self {
        Self::Other {
            path: path.to_string(),
            class: class.into(),
            message: first_line(message).to_owned(),
        }
    }

    /// The error of a local file operation on `path`.
    #[must_use]
    pub fn from_io(path: &DfsPath, error: &io::Error) -> Self {
        let (path, detail) = (path.to_string(), error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::AlreadyExists => Self::AlreadyExists { path },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { path, detail },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            io::ErrorKind::IsADirectory => Self::IsADirectory { path },
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty { path },
            io::ErrorKind::StorageFull => Self::NoSpace { path, detail },
            io::ErrorKind::QuotaExceeded => Self::QuotaExceeded { path, detail },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
                Self::InvalidPath { path, detail }
            }
            kind => Self::Other {
                path,
                class: format!("{kind:?}"),
                message: detail,
            },
        }
    }

    /// The location the error is about, as text.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::NotFound { path }
            | Self::AlreadyExists { path }
            | Self::PermissionDenied { path, .. }
            | Self::NotADirectory { path }
            | Self::IsADirectory { path }
            | Self::NotEmpty { path }
            | Self::QuotaExceeded { path, .. }
            | Self::NoSpace { path, .. }
            | Self::SafeMode { path, .. }
            | Self::Standby { path, .. }
            | Self::Unreachable { path, .. }
            | Self::Timeout { path, .. }
            | Self::Fenced { path, .. }
            | Self::WriterLost { path, .. }
            | Self::InvalidPath { path, .. }
            | Self::Other { path, .. } => path,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything: the cluster is restarting,
    /// failing over, or slow. A change may have been carried out nevertheless.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::SafeMode { .. } | Self::Standby { .. } | Self::Unreachable { .. } | Self::Timeout { .. }
        )
    }

    /// Whether the location is known not to exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// What a person can do about it, as a sentence fragment; none when the message says all.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound { .. } => "check the spelling, and which file system fs.defaultFS names",
            Self::AlreadyExists { .. } => "remove it, choose another name, or ask for overwriting",
            Self::PermissionDenied { .. } => {
                "ask the owner for access, or act as another user with HADOOP_USER_NAME (simple authentication)"
            }
            Self::QuotaExceeded { .. } => {
                "remove old files below that directory, or ask operations to raise its quota"
            }
            Self::NoSpace { .. } => {
                "make room there; on HDFS, `hdfs dfsadmin -report` shows which DataNodes are alive and what space they have"
            }
            Self::SafeMode { .. } => {
                "wait until the NameNode has left safe mode (`hdfs dfsadmin -safemode get`)"
            }
            Self::Standby { .. } => {
                "check with `hdfs haadmin -getAllServiceState` that one NameNode is active"
            }
            Self::Unreachable { .. } => {
                "check that the NameNode runs and that host and port of fs.defaultFS are right"
            }
            Self::Timeout { .. } => "check the health of the NameNode and DataNodes, then try again",
            _ => return None,
        })
    }
}

/// Java messages carry the whole stack behind their first line.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> DfsPath {
        "file:///x".parse().unwrap()
    }

    #[test]
    fn io_kinds_become_variants() {
        let of = |kind: io::ErrorKind| DfsError::from_io(&path(), &io::Error::from(kind));
        assert!(of(io::ErrorKind::NotFound).is_not_found());
        assert!(matches!(of(io::ErrorKind::StorageFull), DfsError::NoSpace { .. }));
        assert!(matches!(
            of(io::ErrorKind::DirectoryNotEmpty),
            DfsError::NotEmpty { .. }
        ));
        assert!(
            matches!(of(io::ErrorKind::BrokenPipe), DfsError::Other { class, .. } if class == "BrokenPipe")
        );
    }

    #[test]
    fn messages_keep_only_the_first_line() {
        let error = DfsError::other(&path(), "java.io.IOException", "broken\r\n\tat Foo.java:1");
        assert_eq!(error.to_string(), "file:///x: java.io.IOException: broken");
        assert_eq!(error.path(), "file:///x");
    }

    #[test]
    fn only_errors_that_pass_by_themselves_are_transient() {
        let after = Duration::from_secs(1);
        assert!(
            DfsError::Timeout {
                path: String::new(),
                what: "flush",
                after
            }
            .is_transient()
        );
        assert!(
            !DfsError::Fenced {
                path: String::new(),
                detail: String::new()
            }
            .is_transient()
        );
    }
}
