//! What this process does in the application's staging directory.

use std::time::Duration;

use bytes::Bytes;
use dfs::{CreateOptions, DfsError, DfsPath, FileSystems, read_all, write_all};
use tokio::time::Instant;
use wire::endpoint::{DIRECTORY as ENDPOINTS, Endpoint};

/// Says that the application succeeded, should this attempt die before the ResourceManager knows.
const SUCCEEDED: &str = "succeeded";

/// A plan names every item of every stage; beyond this it is damaged.
const LARGEST_FILE: u64 = 512 << 20;

/// Reads a file of the application that the client has staged.
///
/// # Errors
/// When it is missing, too large or the file system does not answer.
pub async fn read(systems: &FileSystems, staging: &str, name: &str) -> Result<Bytes, DfsError> {
    let path = systems.resolve(staging)?.join(name);
    read_all(systems.get(&path)?.as_ref(), &path, LARGEST_FILE).await
}

/// Between two tries of [`patiently`].
const PAUSE: Duration = Duration::from_secs(1);

/// Does something on the staging file system until that succeeds, fails with what does not pass by itself, or `limit`
/// is over: an attempt that ends because a NameNode is restarted is one less.
///
/// # Errors
/// The last error.
pub async fn patiently<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    passes: impl Fn(&E) -> bool,
    work: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let end = Instant::now() + limit;
    loop {
        match work().await {
            Err(error) if passes(&error) && Instant::now() + PAUSE < end => {
                tracing::warn!(%error, "{what} cannot be read; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// How often leaving word of an endpoint is tried, and the wait in between.
const ENDPOINT_TRIES: (u32, Duration) = (5, Duration::from_secs(2));

/// Leaves word where executors that have lost their ApplicationMaster find this one. A failure is only logged: they
/// ask the ResourceManager, too, though later.
pub async fn leave_endpoint(systems: &FileSystems, staging: &str, endpoint: &Endpoint) {
    let make = async || {
        let path = systems.resolve(staging)?.join(ENDPOINTS);
        let path = path.join(&endpoint.to_string());
        systems.get(&path)?.mkdirs(&path, 0o700).await
    };
    let (tries, wait) = ENDPOINT_TRIES;
    for _ in 0..tries {
        match make().await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "no word of our address could be left"),
        }
        tokio::time::sleep(wait).await;
    }
}

/// Whether something is at a path relative to the staging directory.
///
/// # Errors
/// When the file system does not say.
pub async fn exists(systems: &FileSystems, staging: &str, name: &str) -> Result<bool, DfsError> {
    let path = systems.resolve(staging)?.join(name);
    match systems.get(&path)?.status(&path).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Leaves word that the application succeeded. A failure is only logged: it costs a repetition if we die right now.
pub async fn mark_succeeded(systems: &FileSystems, staging: &str) {
    let mark = async {
        let path = marker(systems, staging)?;
        write_all(
            systems.get(&path)?.as_ref(),
            &path,
            Bytes::new(),
            &CreateOptions::overwriting(),
        )
        .await
    };
    if let Err(error) = mark.await {
        tracing::warn!(%error, "no word of the success could be left");
    }
}

/// Whether an earlier attempt left word that the application succeeded.
///
/// # Errors
/// When the file system does not say.
pub async fn has_succeeded(systems: &FileSystems, staging: &str) -> Result<bool, DfsError> {
    exists(systems, staging, SUCCEEDED).await
}

/// Removes the staging directory. A failure is only logged.
pub async fn remove(systems: &FileSystems, staging: &str) {
    let remove = async {
        let path = systems.resolve(staging)?;
        systems.get(&path)?.delete(&path, true).await
    };
    if let Err(error) = remove.await {
        tracing::warn!(%error, staging, "the staging directory was left behind");
    }
}

fn marker(systems: &FileSystems, staging: &str) -> Result<DfsPath, DfsError> {
    Ok(systems.resolve(staging)?.join(SUCCEEDED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hadoop::conf::Configuration;
    use std::collections::BTreeMap;

    #[tokio::test(start_paused = true)]
    async fn what_passes_by_itself_is_tried_again_for_a_while() {
        let tried = std::cell::Cell::new(0);
        let work = async |until: u32| {
            tried.set(tried.get() + 1);
            if tried.get() < until { Err("away") } else { Ok(()) }
        };
        let limit = Duration::from_secs(10);
        let back = patiently("it", limit, |_| true, async || work(4).await).await;
        assert_eq!((back, tried.take()), (Ok(()), 4));
        let never = patiently("it", limit, |_| true, async || work(u32::MAX).await).await;
        assert_eq!((never, tried.take()), (Err("away"), 10));
        let lasting = patiently("it", limit, |_| false, async || work(2).await).await;
        assert_eq!((lasting, tried.take()), (Err("away"), 1));
    }

    #[tokio::test]
    async fn word_of_a_success_is_found_and_everything_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let staging = format!("file://{}/app", dir.path().display());
        std::fs::create_dir(dir.path().join("app")).unwrap();
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        let systems = FileSystems::builder(&Configuration::from_map(conf), "ada")
            .build()
            .unwrap();
        assert!(!has_succeeded(&systems, &staging).await.unwrap());
        std::fs::write(dir.path().join("app/plan.json"), "{}").unwrap();
        assert_eq!(read(&systems, &staging, "plan.json").await.unwrap(), "{}");
        mark_succeeded(&systems, &staging).await;
        assert!(has_succeeded(&systems, &staging).await.unwrap());
        remove(&systems, &staging).await;
        assert!(!dir.path().join("app").exists());
    }
}
