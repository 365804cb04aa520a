//! Files as a job names them (`env.tar.gz#env`) and as YARN localizes them.

use std::fmt;
use std::str::FromStr;

use crate::error::DfsError;
use crate::fs::FileStatus;
use crate::path::DfsPath;

/// How a NodeManager puts a localized file into the work directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// As it is.
    File,
    /// Unpacked; the link is then a directory.
    Archive,
}

impl ResourceKind {
    /// YARN's name of the type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "FILE",
            Self::Archive => "ARCHIVE",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who shares the localized copy on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// All applications of the same user; kept in the node's cache.
    Private,
    /// One application; removed at its end.
    Application,
}

impl Visibility {
    /// YARN's name of the visibility.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::Application => "APPLICATION",
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything a container launch context says about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResource {
    /// Name of the link in the work directory.
    pub link: String,
    /// Where NodeManagers fetch it; [`DfsPath::to_uri`] is the form for REST.
    pub path: DfsPath,
    /// Bytes.
    pub size: u64,
    /// Modification time, milliseconds since 1970 UTC, which YARN compares exactly.
    pub timestamp: u64,
    /// As a file or unpacked.
    pub kind: ResourceKind,
    /// Who shares the copy.
    pub visibility: Visibility,
}

impl LocalResource {
    pub(super) fn of(status: &FileStatus, spec: &ResourceSpec, visibility: Visibility) -> Self {
        Self {
            link: spec.link().to_owned(),
            path: status.path.clone(),
            size: status.len,
            timestamp: status.modified_ms,
            kind: spec.kind,
            visibility,
        }
    }
}

/// A file to localize as a person writes it: `path`, or `path#name-in-the-work-directory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSpec {
    /// The part before `#`: a local path or a location.
    pub source: String,
    /// The part behind `#`.
    pub alias: Option<String>,
    /// As a file or unpacked.
    pub kind: ResourceKind,
}

impl ResourceSpec {
    /// A plain file whose link has its own name.
    #[must_use]
    pub fn file(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            alias: None,
            kind: ResourceKind::File,
        }
    }

    /// These sources as an archive.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when the file's name is not that of an archive YARN unpacks.
    pub fn into_archive(mut self) -> Result<Self, DfsError> {
        if !is_archive(self.file_name()) {
            let why = "an archive must end in .zip, .jar, .tar, .tar.gz or .tgz";
            return Err(DfsError::invalid_path(self.source, why));
        }
        self.kind = ResourceKind::Archive;
        Ok(self)
    }

    /// The file's own name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.source
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }

    /// Its name in the work directory.
    #[must_use]
    pub fn link(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| self.file_name())
    }
}

impl FromStr for ResourceSpec {
    type Err = DfsError;

    fn from_str(text: &str) -> Result<Self, DfsError> {
        let (source, alias) = match text.rsplit_once('#') {
            None => (text, None),
            Some((source, alias)) => (source, Some(alias.to_owned())),
        };
        let spec = Self {
            source: source.to_owned(),
            alias,
            kind: ResourceKind::File,
        };
        let link = spec.link();
        if spec.file_name().is_empty() || matches!(link, "" | "." | "..") || link.contains('/') {
            return Err(DfsError::invalid_path(
                text,
                "write path or path#name, the name without '/'",
            ));
        }
        Ok(spec)
    }
}

impl fmt::Display for ResourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.alias {
            None => f.write_str(&self.source),
            Some(alias) => write!(f, "{}#{alias}", self.source),
        }
    }
}

/// Whether a NodeManager unpacks a file of this name (`FSDownload` and `RunJar`/`FileUtil` of Hadoop go by it).
fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".zip", ".jar", ".tar", ".tar.gz", ".tgz"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_link_is_the_alias_or_the_files_name() {
        let spec: ResourceSpec = "dir/count.sh".parse().unwrap();
        assert_eq!((spec.link(), spec.kind), ("count.sh", ResourceKind::File));
        let spec: ResourceSpec = "hdfs:///a/env.tar.gz#env".parse().unwrap();
        assert_eq!((spec.link(), spec.file_name()), ("env", "env.tar.gz"));
        assert_eq!(spec.into_archive().unwrap().kind.to_string(), "ARCHIVE");
    }

    #[test]
    fn names_that_would_leave_the_work_directory_are_refused() {
        for text in ["", "#a", "a#", "a#b/c", "a#..", "/", "x/..#."] {
            assert!(text.parse::<ResourceSpec>().is_err(), "{text:?}");
        }
        assert!(ResourceSpec::file("a.rar").into_archive().is_err());
    }

    proptest! {
        #[test]
        fn print_then_parse_gives_the_same(source in "[a-z/]{0,8}[a-z]", alias in prop::option::of("[a-z.]{1,5}[a-z]")) {
            let spec = ResourceSpec { source, alias, kind: ResourceKind::File };
            prop_assert_eq!(spec.to_string().parse::<ResourceSpec>().unwrap(), spec);
        }
    }
}
