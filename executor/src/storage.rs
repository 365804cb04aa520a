//! The file systems that inputs come from and results go to, opened when the first task needs one.

use std::sync::{Arc, OnceLock};

use dfs::{DfsError, DfsPath, FileSystem, FileSystems};

use crate::settings::Settings;

/// File systems by location. Nothing is read or dialled before the first use.
#[derive(Debug)]
pub(crate) struct Storage {
    settings: Arc<Settings>,
    opened: OnceLock<Result<FileSystems, String>>,
}

impl Storage {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            opened: OnceLock::new(),
        }
    }

    /// The file system that holds `uri`, and the location in it.
    ///
    /// # Errors
    /// A text for people: no such file system, or a Hadoop configuration that cannot be used.
    pub(crate) fn locate(&self, uri: &str) -> Result<(Arc<dyn FileSystem>, DfsPath), String> {
        let systems = self
            .opened
            .get_or_init(|| self.open())
            .as_ref()
            .map_err(Clone::clone)?;
        let find = || -> Result<_, DfsError> {
            let path = systems.resolve(uri)?;
            Ok((systems.get(&path)?, path))
        };
        find().map_err(|error| error.to_string())
    }

    fn open(&self) -> Result<FileSystems, String> {
        let conf = self.settings.hadoop_configuration()?;
        FileSystems::builder(&conf, self.settings.user())
            .build()
            .map_err(|error| error.to_string())
    }
}
