//! From a location to the file system that holds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hadoop::conf::Configuration;

use crate::error::DfsError;
use crate::fs::{Deadlines, FileStatus, FileSystem};
use crate::glob::{glob, is_pattern};
use crate::hdfs::{ClientSettings, HdfsFileSystem};
use crate::local::{LocalFileSystem, is_local};
use crate::path::{DfsPath, FILE_SCHEME, HDFS_SCHEME};

/// All file systems a configuration knows, as one user. Clients are made when first asked for and then shared.
///
/// ```
/// use dfs::FileSystems;
/// use hadoop::conf::Configuration;
///
/// let conf = Configuration::builder().defaults().set("fs.defaultFS", "hdfs://nn", "example").build(&|_| None);
/// let file_systems = FileSystems::builder(&conf, "alice").build()?;
/// assert_eq!(file_systems.resolve("in/*.txt")?.to_string(), "hdfs://nn/user/alice/in/*.txt");
/// # Ok::<(), dfs::DfsError>(())
/// ```
#[derive(Debug)]
pub struct FileSystems {
    properties: BTreeMap<String, String>,
    user: String,
    deadlines: Deadlines,
    default_root: DfsPath,
    working: DfsPath,
    local_home: PathBuf,
    open: Mutex<BTreeMap<DfsPath, Arc<dyn FileSystem>>>,
}

/// Collects what [`FileSystems`] needs.
#[derive(Debug, Clone)]
pub struct FileSystemsBuilder {
    properties: BTreeMap<String, String>,
    user: String,
    deadlines: Deadlines,
    local_home: Option<PathBuf>,
    local_working: Option<PathBuf>,
}

impl FileSystemsBuilder {
    /// Replaces the default deadlines.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Overrides one Hadoop property.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.properties.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The home directory of the local file system; by default `/tmp`.
    #[must_use]
    pub fn local_home(mut self, home: &Path) -> Self {
        self.local_home = Some(home.to_owned());
        self
    }

    /// What relative paths are relative to when `fs.defaultFS` is local; by default the local home.
    #[must_use]
    pub fn local_working(mut self, directory: &Path) -> Self {
        self.local_working = Some(directory.to_owned());
        self
    }

    /// Checks `fs.defaultFS` and finishes. Nothing is dialled.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when `fs.defaultFS` is not a location of a supported scheme, or a local directory
    /// is relative.
    pub fn build(self) -> Result<FileSystems, DfsError> {
        let default_root = parse_default(
            self.properties
                .get("fs.defaultFS")
                .map_or("file:///", String::as_str),
        )?;
        let local_home = self.local_home.unwrap_or_else(|| PathBuf::from("/tmp"));
        let local_working = self.local_working.unwrap_or_else(|| local_home.clone());
        let settings = ClientSettings::new(&self.properties, &self.user, &self.deadlines);
        let working = match is_local(&default_root) {
            true => DfsPath::local(&local_working)?,
            false => default_root.with_path(&settings.home()),
        };
        Ok(FileSystems {
            properties: self.properties,
            user: self.user,
            deadlines: self.deadlines,
            default_root,
            working,
            local_home,
            open: Mutex::default(),
        })
    }
}

/// Reads `fs.defaultFS`. Old configurations leave out the scheme of HDFS (`host:port`).
fn parse_default(text: &str) -> Result<DfsPath, DfsError> {
    let text = text.trim();
    let complete = if text.contains("://") || text.starts_with("file:") {
        text.to_owned()
    } else {
        format!("{HDFS_SCHEME}://{text}")
    };
    let root = complete.parse::<DfsPath>()?.root();
    let usable = match root.scheme() {
        FILE_SCHEME => true,
        HDFS_SCHEME | "viewfs" => !root.authority().is_empty(),
        _ => false,
    };
    if usable {
        return Ok(root);
    }
    Err(DfsError::invalid_path(
        text,
        "set fs.defaultFS to hdfs://host:port, a name service, or file:///",
    ))
}

impl FileSystems {
    /// Starts from a resolved Hadoop configuration. `user` is who acts on clusters with simple authentication.
    #[must_use]
    pub fn builder(conf: &Configuration, user: &str) -> FileSystemsBuilder {
        FileSystemsBuilder {
            properties: conf
                .entries()
                .map(|(key, entry)| (key.to_owned(), entry.value.clone()))
                .collect(),
            user: user.to_owned(),
            deadlines: Deadlines::default(),
            local_home: None,
            local_working: None,
        }
    }

    /// Who acts.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The root of the default file system.
    #[must_use]
    pub fn default_root(&self) -> &DfsPath {
        &self.default_root
    }

    /// A location as a person writes it: complete, absolute on the default file system, or relative to the user's
    /// home there.
    ///
    /// # Errors
    /// As [`DfsPath::resolve`].
    pub fn resolve(&self, text: &str) -> Result<DfsPath, DfsError> {
        DfsPath::resolve(text, &self.working)
    }

    /// The default file system.
    ///
    /// # Errors
    /// As [`FileSystems::get`].
    pub fn default_fs(&self) -> Result<Arc<dyn FileSystem>, DfsError> {
        self.get(&self.default_root)
    }

    /// The file system that holds `path`.
    ///
    /// # Errors
    /// [`DfsError::InvalidPath`] when its scheme is not supported or it names no host.
    pub fn get(&self, path: &DfsPath) -> Result<Arc<dyn FileSystem>, DfsError> {
        let root = path.root();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&root) {
            return Ok(Arc::clone(known));
        }
        let made = self.make(&root)?;
        open.insert(root, Arc::clone(&made));
        Ok(made)
    }

    /// The NameNodes that know about `path`, as `host:port`; none when it is not on HDFS.
    #[must_use]
    pub fn namenodes(&self, path: &DfsPath) -> Vec<String> {
        if path.scheme() != HDFS_SCHEME || path.authority().is_empty() {
            return Vec::new();
        }
        ClientSettings::new(&self.properties, &self.user, &self.deadlines).addresses(path.authority())
    }

    fn make(&self, root: &DfsPath) -> Result<Arc<dyn FileSystem>, DfsError> {
        match root.scheme() {
            FILE_SCHEME => Ok(Arc::new(LocalFileSystem::new(&self.local_home)?)),
            HDFS_SCHEME | "viewfs" if !root.authority().is_empty() => {
                let settings = ClientSettings::new(&self.properties, &self.user, &self.deadlines);
                Ok(Arc::new(HdfsFileSystem::new(
                    root.clone(),
                    settings,
                    self.deadlines,
                )))
            }
            HDFS_SCHEME | "viewfs" => Err(DfsError::invalid_path(root.to_string(), "it names no host")),
            scheme => {
                let why =
                    format!("file systems of scheme \"{scheme}\" are not supported; use hdfs: or file:");
                Err(DfsError::invalid_path(root.to_string(), why))
            }
        }
    }

    /// Expands a location or pattern: a plain path must exist, a pattern may match nothing. Sorted by path.
    ///
    /// # Errors
    /// [`DfsError::NotFound`] for a plain path, else as [`glob`].
    pub async fn expand(&self, text: &str, limit: usize) -> Result<Vec<FileStatus>, DfsError> {
        let path = self.resolve(text)?;
        let fs = self.get(&path)?;
        if is_pattern(path.path()) {
            return glob(fs.as_ref(), &path, limit).await;
        }
        Ok(vec![fs.status(&path).await?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systems(default_fs: &str) -> Result<FileSystems, DfsError> {
        let conf = Configuration::builder()
            .set("fs.defaultFS", default_fs, "test")
            .build(&|_| None);
        FileSystems::builder(&conf, "alice")
            .local_working(Path::new("/work/here"))
            .build()
    }

    #[test]
    fn relative_paths_belong_to_the_home_of_the_default_file_system() {
        let hdfs = systems("hdfs://nn:9000/ignored").unwrap();
        assert_eq!(
            hdfs.resolve("x").unwrap().to_string(),
            "hdfs://nn:9000/user/alice/x"
        );
        let local = systems("file:///").unwrap();
        assert_eq!(local.resolve("x").unwrap().to_string(), "file:///work/here/x");
        assert_eq!(
            systems("nn:9000").unwrap().default_root().to_string(),
            "hdfs://nn:9000/"
        );
    }

    #[test]
    fn unusable_default_file_systems_are_refused() {
        for text in ["hdfs:///", "s3a://bucket", "://"] {
            let error = systems(text).unwrap_err();
            assert!(
                error.to_string().contains("fs.defaultFS") || text == "://",
                "{error}"
            );
        }
    }

    #[test]
    fn clients_are_shared_by_root() {
        let systems = systems("hdfs://nn:9000").unwrap();
        let one = systems.get(&systems.resolve("/a").unwrap()).unwrap();
        let two = systems.get(&systems.resolve("/b").unwrap()).unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        assert!(systems.get(&"s3a://bucket/x".parse().unwrap()).is_err());
        assert!(systems.get(&"hdfs:///x".parse().unwrap()).is_err());
        assert_eq!(
            systems
                .get(&"file:///x".parse().unwrap())
                .unwrap()
                .root()
                .to_string(),
            "file:///"
        );
    }
}
