//! `drawloom fs`: small things on the cluster's file system, without a Hadoop client.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use dfs::transfer::{self, Side, TransferError};
use dfs::{DfsError, DfsPath, FileStatus, FileSystem, FileSystems, LocalFileSystem, Overwrite};
use futures::TryStreamExt;

use super::{moment, print_or_stop};
use crate::cli::FsCommand;
use crate::cluster::{Cluster, local_file_systems, unusable};
use crate::error::CommandError;
use crate::terminal::tell;

/// The most files that one pattern may name.
const MAX_MATCHES: usize = 1_000_000;

/// Does it.
///
/// # Errors
/// The first path that cannot be used.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &FsCommand) -> Result<(), CommandError> {
    let files = match Cluster::find_any(conf_dir)? {
        Some(cluster) => cluster.file_systems()?,
        None => {
            tell("no Hadoop configuration is found: these are files of this machine");
            local_file_systems()?
        }
    };
    match command {
        FsCommand::Ls { recursive, paths } => ls(&files, paths, *recursive).await,
        FsCommand::Cat { paths } => cat(&files, paths).await,
        FsCommand::Put { force, paths } => put(&files, paths, overwrite(*force)).await,
        FsCommand::Get { force, paths } => get(&files, paths, overwrite(*force)).await,
        FsCommand::Mkdir { paths } => mkdir(&files, paths).await,
        FsCommand::Rm { recursive, paths } => rm(&files, paths, *recursive).await,
    }
}

fn overwrite(force: bool) -> Overwrite {
    if force { Overwrite::Yes } else { Overwrite::No }
}

/// What a path or pattern names; at least one thing.
async fn expand(files: &FileSystems, text: &str) -> Result<Vec<FileStatus>, CommandError> {
    let found = files.expand(text, MAX_MATCHES).await.map_err(unusable)?;
    if found.is_empty() {
        return Err(CommandError::refused(format!("{text} matches nothing")));
    }
    Ok(found)
}

async fn ls(files: &FileSystems, paths: &[String], recursive: bool) -> Result<(), CommandError> {
    let home = [".".to_owned()];
    let paths = if paths.is_empty() { &home } else { paths };
    let mut out = std::io::stdout().lock();
    for text in paths {
        for found in expand(files, text).await? {
            let fs = files.get(&found.path).map_err(unusable)?;
            let mut entries = fs.list(&found.path, recursive);
            while let Some(entry) = entries.try_next().await.map_err(unusable)? {
                print_or_stop(writeln!(out, "{}", ls_line(&entry)))?;
            }
        }
    }
    Ok(())
}

fn ls_line(entry: &FileStatus) -> String {
    let kind = if entry.is_dir { 'd' } else { '-' };
    format!(
        "{kind}{} {:<10} {:>14} {} {}",
        permission_text(entry.permission),
        entry.owner,
        entry.len,
        moment(entry.modified_ms),
        entry.path
    )
}

fn permission_text(bits: u32) -> String {
    let letters = ['r', 'w', 'x'];
    (0..9)
        .map(|at| {
            if bits & (0o400 >> at) != 0 {
                letters[at % 3]
            } else {
                '-'
            }
        })
        .collect()
}

async fn cat(files: &FileSystems, paths: &[String]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    for text in paths {
        for found in expand(files, text).await? {
            let fs = files.get(&found.path).map_err(unusable)?;
            let reader = fs.open(&found.path).await.map_err(unusable)?;
            let mut chunks = reader.read(0, reader.len());
            while let Some(chunk) = chunks.try_next().await.map_err(unusable)? {
                print_or_stop(out.write_all(&chunk))?;
            }
        }
    }
    print_or_stop(out.flush())
}

async fn put(files: &FileSystems, paths: &[String], overwrite: Overwrite) -> Result<(), CommandError> {
    let Some((target, sources)) = paths.split_last() else {
        return Ok(());
    };
    let target = files.resolve(target).map_err(unusable)?;
    let target_fs = files.get(&target).map_err(unusable)?;
    let into_directory = sources.len() > 1;
    check_directory(&target_fs, &target, into_directory).await?;
    let local: Arc<dyn FileSystem> = Arc::new(LocalFileSystem::new(Path::new("/")).map_err(unusable)?);
    for source in sources {
        let source = transfer::local_path(Path::new(source)).map_err(unusable)?;
        copy((&local, &source), (&target_fs, &target), overwrite).await?;
    }
    Ok(())
}

async fn get(files: &FileSystems, paths: &[String], overwrite: Overwrite) -> Result<(), CommandError> {
    let Some((target, sources)) = paths.split_last() else {
        return Ok(());
    };
    let target = transfer::local_path(Path::new(target)).map_err(unusable)?;
    let local: Arc<dyn FileSystem> = Arc::new(LocalFileSystem::new(Path::new("/")).map_err(unusable)?);
    let mut found = Vec::new();
    for text in sources {
        found.extend(expand(files, text).await?);
    }
    check_directory(&local, &target, found.len() > 1).await?;
    for source in found {
        let fs = files.get(&source.path).map_err(unusable)?;
        copy((&fs, &source.path), (&local, &target), overwrite).await?;
    }
    Ok(())
}

/// Several things can only be copied into a directory.
async fn check_directory(
    fs: &Arc<dyn FileSystem>,
    target: &DfsPath,
    wanted: bool,
) -> Result<(), CommandError> {
    if !wanted || fs.status(target).await.is_ok_and(|status| status.is_dir) {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "{target} is no directory, and several things are to be copied into it"
    ))
    .help("make it first: drawloom fs mkdir DIR"))
}

type At<'a> = (&'a Arc<dyn FileSystem>, &'a DfsPath);

async fn copy(from: At<'_>, to: At<'_>, overwrite: Overwrite) -> Result<(), CommandError> {
    let side = |(fs, path): At<'_>| (Arc::clone(fs), path.clone());
    let ((from_fs, from), (to_fs, to)) = (side(from), side(to));
    let source = Side {
        fs: from_fs.as_ref(),
        path: &from,
    };
    let target = Side {
        fs: to_fs.as_ref(),
        path: &to,
    };
    let copied = transfer::copy(source, target, overwrite, &mut |_| {})
        .await
        .map_err(|error| match error {
            TransferError::Source(error) => unusable(error),
            TransferError::Target(error @ DfsError::AlreadyExists { .. }) => {
                unusable(error).help("give -f to replace it")
            }
            TransferError::Target(error) => unusable(error),
        })?;
    tell(format_args!(
        "{from} -> {to}: {} files, {} bytes",
        copied.files, copied.bytes
    ));
    Ok(())
}

async fn mkdir(files: &FileSystems, paths: &[String]) -> Result<(), CommandError> {
    for text in paths {
        let path = files.resolve(text).map_err(unusable)?;
        files
            .get(&path)
            .map_err(unusable)?
            .mkdirs(&path, 0o755)
            .await
            .map_err(unusable)?;
    }
    Ok(())
}

async fn rm(files: &FileSystems, paths: &[String], recursive: bool) -> Result<(), CommandError> {
    for text in paths {
        for found in expand(files, text).await? {
            if found.path.parent().is_none() {
                return Err(CommandError::usage("the root of a file system is not deleted"));
            }
            let fs = files.get(&found.path).map_err(unusable)?;
            let deleted = fs.delete(&found.path, recursive).await;
            deleted.map_err(|error| match error {
                error @ DfsError::NotEmpty { .. } => unusable(error).help("give -r to delete all below it"),
                error => unusable(error),
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_ls_prints_them() {
        assert_eq!(permission_text(0o754), "rwxr-xr--");
        assert_eq!(permission_text(0o1777), "rwxrwxrwx");
    }
}
