//! File systems as drawloom sees them: a narrow interface, HDFS and local files behind it, and the staging of an
//! application's files.
//!
//! | module | what it is for |
//! |---|---|
//! | [`DfsPath`] | absolute locations, parsed, normalised, joined |
//! | [`FileSystem`] | the interface: status, list, read, write with flush, rename, leases |
//! | [`FileSystems`] | from a Hadoop configuration and a location to the file system that holds it |
//! | [`HdfsFileSystem`], [`LocalFileSystem`] | the two implementations |
//! | [`glob`], [`is_pattern`] | Hadoop's file patterns |
//! | [`split`], [`LineSplitReader`] | shares of input files, cut at line ends |
//! | [`staging`] | files uploaded once per contents, and what YARN needs to localize them |
//! | [`transfer`] | copies between file systems |
//! | [`journal`] | records that outlive the process, one writer at a time |
//!
//! Every call to a remote machine has a deadline ([`Deadlines`]), every failure is a [`DfsError`] with its path, and no
//! whole file is held in memory unless asked for with a limit ([`read_all`]).
//!
//! The HDFS client logs through `log`. A writer given up or lost makes it warn of a writer dropped without being
//! closed; programs that report such errors themselves silence the target `hdfs_native`.
//!
//! ```no_run
//! # async fn example(conf: &hadoop::conf::Configuration) -> Result<(), dfs::DfsError> {
//! use dfs::FileSystems;
//!
//! let file_systems = FileSystems::builder(conf, "alice").build()?;
//! for file in file_systems.expand("in/*.txt", 10_000).await? {
//!     println!("{} {}", file.len, file.path);
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod contain;
mod error;
mod fs;
mod glob;
mod hdfs;
pub mod journal;
mod lines;
mod local;
mod path;
mod registry;
pub mod split;
pub mod staging;
pub mod transfer;

pub use error::DfsError;
pub use fs::{
    ByteStream, ContentSummary, CreateOptions, Deadlines, FileReader, FileStatus, FileSystem, FileWriter,
    Overwrite, StatusStream, list_all, read_all, write_all,
};
pub use glob::{glob, is_pattern};
pub use hdfs::HdfsFileSystem;
pub use lines::LineSplitReader;
pub use local::LocalFileSystem;
pub use path::{DEFAULT_NAMENODE_PORT, DfsPath, FILE_SCHEME, HDFS_SCHEME};
pub use registry::{FileSystems, FileSystemsBuilder};
