//! Going on as another build: an attempt that follows another one finds out whether the application's owner wants it
//! to be a later executable, fetches that and becomes it.
//!
//! YARN starts every attempt with what was submitted. So the owner's client (`drawloom restart-am --upgrade`) puts its
//! own executable into the staging cache and leaves an order, an empty directory [`order`] in the staging directory.
//! The process that YARN starts next replaces itself (`execve`): container, credentials and working directory stay.
//! Executors are not concerned, those that are started later neither: both builds speak one protocol, which the
//! client has made sure of.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use dfs::staging::{cached_beside, fetch_cached};
use dfs::{DfsError, FileSystems};
use futures::TryStreamExt as _;
use wire::id::Epoch;

use crate::environment::{self, Environment};
use crate::launch::{BINARY_NAME, env};
use crate::restart::ORDERS;
use crate::staged;

const PREFIX: &str = "upgrade-";
/// How long the staging file system may be away.
const PATIENCE: Duration = Duration::from_secs(75);

/// Where the order is left that the attempts after `before` run the executable of this SHA-256 (hexadecimal), relative
/// to the staging directory.
#[must_use]
pub fn order(before: Epoch, build: &str) -> String {
    format!("{ORDERS}/{PREFIX}{before}-{build}")
}

/// The build that an attempt is to be: that of the latest order before it, of two for the same attempt the one left
/// later. Orders are names, and when they were left in milliseconds.
fn wanted<'a>(orders: impl IntoIterator<Item = (&'a str, u64)>, attempt: Epoch) -> Option<&'a str> {
    let parsed = orders.into_iter().filter_map(|(name, left)| {
        let (before, build) = name.strip_prefix(PREFIX)?.split_once('-')?;
        let before: u32 = before.parse().ok()?;
        let is_digest = build.len() == 64 && build.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_digest && before < attempt.0).then_some(((before, left), build))
    });
    parsed.max_by_key(|&(when, _)| when).map(|(_, build)| build)
}

/// Another build that this process is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its SHA-256.
    pub digest: String,
    /// The executable, in the working directory.
    pub path: PathBuf,
}

/// Looks for an order and fetches the build. None when this process is to stay what it is.
///
/// # Errors
/// The staging directory cannot be read, or the executable is not there: an earlier build might not understand what a
/// later one has left.
pub async fn look(environment: &Environment, directory: &Path) -> anyhow::Result<Option<Build>> {
    if environment.epoch().0 <= 1 {
        return Ok(None);
    }
    let conf = environment::configuration(directory)?;
    let systems = FileSystems::builder(&conf, &environment.user).build()?;
    let look = async || fetch(&systems, environment, directory).await;
    let found = staged::patiently("the orders of the owner", PATIENCE, DfsError::is_transient, look).await;
    found.context("the build that this attempt is to be cannot be had from the staging directory")
}

async fn fetch(
    systems: &FileSystems,
    environment: &Environment,
    directory: &Path,
) -> Result<Option<Build>, DfsError> {
    let staging = systems.resolve(&environment.staging)?;
    let fs = systems.get(&staging)?;
    let left = match fs
        .list(&staging.join(ORDERS), false)
        .try_collect::<Vec<_>>()
        .await
    {
        Ok(left) => left,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let orders = left.iter().map(|order| (order.path.name(), order.modified_ms));
    let wanted = wanted(orders, environment.epoch());
    let Some(digest) = wanted.filter(|&digest| digest != environment.running_build) else {
        return Ok(None);
    };
    let cached = cached_beside(&staging, digest, BINARY_NAME);
    let cached = cached.ok_or_else(|| DfsError::NotFound {
        path: staging.to_string(),
    })?;
    let path = directory.join(format!("{BINARY_NAME}-{digest}"));
    fetch_cached(fs.as_ref(), &cached, digest, &path).await?;
    Ok(Some(Build {
        digest: digest.to_owned(),
        path,
    }))
}

impl Build {
    /// Replaces this process. It comes back only when that fails, with the reason.
    #[must_use]
    pub fn take_over(&self) -> std::io::Error {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| OsString::from(BINARY_NAME));
        tracing::info!(build = self.digest, "going on as the build that was ordered");
        Command::new(&self.path)
            .arg0(name)
            .args(arguments)
            .env(env::RUNNING_BUILD, &self.digest)
            .exec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_order_before_an_attempt_counts() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let names = [
            format!("upgrade-1-{a}"),
            format!("upgrade-10-{b}"),
            format!("upgrade-2-{a}"),
            format!("upgrade-2-{b}"),
            "restart-11".to_owned(),
            "upgrade-11-../../somewhere".to_owned(),
            "upgrade-x".to_owned(),
        ];
        // Left in the other order than they are listed in.
        let orders = || {
            names
                .iter()
                .map(String::as_str)
                .zip((0..).map(|number| 100 - number))
        };
        let wanted = |attempt| wanted(orders(), Epoch(attempt));
        assert_eq!(wanted(1), None);
        assert_eq!(wanted(2), Some(a.as_str()));
        assert_eq!(wanted(10), Some(a.as_str()));
        assert_eq!(wanted(99), Some(b.as_str()));
        assert!(order(Epoch(1), &a).ends_with(&names[0]));
    }
}
