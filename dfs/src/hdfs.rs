//! HDFS through the `hdfs-native` crate, with its traps contained.
//!
//! | trap of the crate | what holds it here |
//! |---|---|
//! | a flush hangs for ever when a DataNode dies while it waits | a deadline on every flush; the writer is lost afterwards and says so, and the crate keeps its connection until the process ends |
//! | an open file reads as empty, reading past the end panics | lengths are clamped, panics become errors; recover the lease before reading a file somebody had open |
//! | a DataNode known to be dead is not avoided for a new block | not curable from outside: a create or first write may fail or run into its deadline until the NameNode notices; try again, with another file |
//! | no deadline on NameNode calls | a deadline on every call; after one has passed the next call dials anew, the next NameNode of the name service first |
//! | closing sleeps 500 ms when the NameNode has not yet heard from the DataNode | asked again as soon as the NameNode knows the length |
//! | `HADOOP_CONF_DIR` is read again, without variables, `final` or includes | never read: our resolved configuration is passed in |
//!
//! Owner of state: [`HdfsFileSystem`] owns one client connection, replaced after a deadline. A writer keeps the
//! connection it was created with, because its lease is renewed there.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use hdfs_native::client::FileStatus as NativeStatus;
use hdfs_native::{Client, HdfsError, WriteOptions};

use crate::contain::{Failure, guarded, within};
use crate::error::DfsError;
use crate::fs::{
    ContentSummary, CreateOptions, Deadlines, FileReader, FileStatus, FileSystem, FileWriter, Overwrite,
    StatusStream, check_root,
};
use crate::path::DfsPath;

mod error;
mod reader;
mod settings;
mod writer;

use error::convert;
pub(crate) use settings::ClientSettings;

/// One HDFS file system as one user sees it.
pub struct HdfsFileSystem {
    root: DfsPath,
    home: DfsPath,
    settings: ClientSettings,
    deadlines: Deadlines,
    connection: Mutex<Connection>,
}

/// The client in use. `dialled` counts how often it was replaced, so that only the first of several calls that
/// time out together replaces it.
#[derive(Default)]
struct Connection {
    client: Option<Client>,
    dialled: usize,
}

impl fmt::Debug for HdfsFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsFileSystem")
            .field("root", &self.root)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl HdfsFileSystem {
    /// Nothing is dialled before the first call, which must be made inside a tokio runtime.
    pub(crate) fn new(root: DfsPath, settings: ClientSettings, deadlines: Deadlines) -> Self {
        let home = root.with_path(&settings.home());
        Self {
            root,
            home,
            settings,
            deadlines,
            connection: Mutex::default(),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // The state is valid at every step, so a panic elsewhere does not spoil it.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client to call, and which dialling it belongs to.
    fn client(&self) -> Result<(Client, usize), DfsError> {
        let mut connection = self.connection();
        let dialled = connection.dialled;
        if let Some(client) = &connection.client {
            return Ok((client.clone(), dialled));
        }
        let built = guarded(&self.root, || self.settings.build(&self.root, dialled))?;
        let client = built.map_err(|error| convert(&self.root, error))?;
        connection.client = Some(client.clone());
        Ok((client, dialled))
    }

    /// Gives up the connection of dialling number `dialled`: it did not answer.
    fn redial(&self, dialled: usize) {
        let mut connection = self.connection();
        if connection.dialled == dialled {
            *connection = Connection {
                client: None,
                dialled: dialled + 1,
            };
        }
    }

    /// One call to the NameNode about `path`, under the deadline for metadata.
    async fn call<T, F>(
        &self,
        what: &'static str,
        path: &DfsPath,
        call: impl FnOnce(Client, String) -> F,
    ) -> Result<T, DfsError>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        check_root(&self.root, path)?;
        let (client, dialled) = self.client()?;
        let after = self.deadlines.metadata;
        let result = within(after, call(client, path.path().to_owned())).await;
        if matches!(result, Err(Failure::Timeout)) {
            self.redial(dialled);
        }
        result.map_err(|failure| failure.into_error(what, path, after, convert))
    }

    fn to_status(&self, status: NativeStatus) -> FileStatus {
        to_status(&self.root, status)
    }
}

fn to_status(root: &DfsPath, status: NativeStatus) -> FileStatus {
    FileStatus {
        path: root.with_path(&status.path),
        len: status.length as u64,
        is_dir: status.isdir,
        modified_ms: status.modification_time,
        owner: status.owner,
        permission: u32::from(status.permission),
        block_size: status.blocksize.unwrap_or(0),
        replication: status.replication.unwrap_or(0),
    }
}

#[async_trait]
impl FileSystem for HdfsFileSystem {
    fn root(&self) -> &DfsPath {
        &self.root
    }

    fn home(&self) -> DfsPath {
        self.home.clone()
    }

    async fn status(&self, path: &DfsPath) -> Result<FileStatus, DfsError> {
        let found = self.call("looking up", path, |client, at| async move {
            client.get_file_info(&at).await
        });
        Ok(self.to_status(found.await?))
    }

    fn list(&self, path: &DfsPath, recursive: bool) -> StatusStream {
        let started = check_root(&self.root, path)
            .and_then(|()| self.client())
            .map(|(client, _)| client.list_status_iter(path.path(), recursive).into_stream());
        match started {
            Err(error) => stream::once(async { Err(error) }).boxed(),
            Ok(entries) => {
                let root = self.root.clone();
                contained(entries, "listing", path.clone(), self.deadlines.metadata)
                    .map(move |entry| entry.map(|status| to_status(&root, status)))
                    .boxed()
            }
        }
    }

    async fn open(&self, path: &DfsPath) -> Result<Box<dyn FileReader>, DfsError> {
        let opened = self
            .call(
                "opening",
                path,
                |client, at| async move { client.read(&at).await },
            )
            .await?;
        Ok(Box::new(reader::HdfsReader::new(
            path.clone(),
            opened,
            self.deadlines.read,
        )))
    }

    async fn create(&self, path: &DfsPath, options: &CreateOptions) -> Result<Box<dyn FileWriter>, DfsError> {
        let wanted = WriteOptions {
            block_size: options.block_size,
            replication: options.replication,
            permission: options.permission,
            overwrite: options.overwrite == Overwrite::Yes,
            create_parent: options.create_parents,
        };
        let (client, _) = self.client()?;
        let created = self.call("creating", path, |client, at| async move {
            client.create(&at, wanted).await
        });
        let file = created.await?;
        Ok(Box::new(writer::HdfsWriter::new(
            path.clone(),
            file,
            client,
            self.deadlines,
        )))
    }

    async fn mkdirs(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError> {
        let made = self.call("making directory", path, |client, at| async move {
            client.mkdirs(&at, permission, true).await
        });
        made.await
    }

    async fn rename(&self, from: &DfsPath, to: &DfsPath, overwrite: Overwrite) -> Result<(), DfsError> {
        check_root(&self.root, to)?;
        let target = to.path().to_owned();
        let renamed = self.call("renaming", from, |client, at| async move {
            client.rename(&at, &target, overwrite == Overwrite::Yes).await
        });
        match renamed.await {
            Err(DfsError::AlreadyExists { .. }) => Err(DfsError::AlreadyExists { path: to.to_string() }),
            Err(DfsError::NotEmpty { .. }) => Err(DfsError::NotEmpty { path: to.to_string() }),
            other => other,
        }
    }

    async fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, DfsError> {
        self.call("deleting", path, |client, at| async move {
            client.delete(&at, recursive).await
        })
        .await
    }

    async fn set_permission(&self, path: &DfsPath, permission: u32) -> Result<(), DfsError> {
        let set = self.call("setting the mode", path, |client, at| async move {
            client.set_permission(&at, permission).await
        });
        set.await
    }

    async fn set_modified(&self, path: &DfsPath, modified_ms: u64) -> Result<(), DfsError> {
        // The largest value leaves the access time as it is (-1 in the protocol).
        let set = self.call("setting the time", path, |client, at| async move {
            client.set_times(&at, modified_ms, u64::MAX).await
        });
        set.await
    }

    async fn recover_lease(&self, path: &DfsPath) -> Result<bool, DfsError> {
        self.call("lease recovery", path, |client, at| async move {
            client.recover_lease(&at).await
        })
        .await
    }

    async fn content_summary(&self, path: &DfsPath) -> Result<ContentSummary, DfsError> {
        let asked = self.call("summing up", path, |client, at| async move {
            client.get_content_summary(&at).await
        });
        let sums = asked.await?;
        // -1 for "no quota" arrives as the largest value.
        let limit = |quota: u64| (quota <= i64::MAX as u64).then_some(quota);
        Ok(ContentSummary {
            len: sums.length,
            files: sums.file_count,
            directories: sums.directory_count,
            name_quota: limit(sums.quota),
            space_quota: limit(sums.space_quota),
            space_consumed: sums.space_consumed,
        })
    }
}

/// A stream of the crate with a deadline on each item; it ends after the first error.
fn contained<T: Send + 'static>(
    items: BoxStream<'static, Result<T, HdfsError>>,
    what: &'static str,
    path: DfsPath,
    after: std::time::Duration,
) -> BoxStream<'static, Result<T, DfsError>> {
    let step = move |mut items: BoxStream<'static, Result<T, HdfsError>>| {
        let path = path.clone();
        async move {
            let next = within(after, async { items.next().await.transpose() }).await;
            let item = next.map_err(|failure| failure.into_error(what, &path, after, convert))?;
            Ok(item.map(|item| (item, items)))
        }
    };
    stream::try_unfold(items, step).boxed()
}
