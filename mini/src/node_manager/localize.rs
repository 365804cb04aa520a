//! Fetching a container's files into the node's caches (`ContainerLocalizer`, `FSDownload`).
//!
//! A file is known by where it comes from, its time and kind; each is fetched once per cache. Files are copied by `cp`
//! and unpacked by `tar` or `unzip`: an executable that this process had open for writing could be refused by the
//! kernel ("text file busy") while another thread of ours is between fork and exec.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hadoop::ids::ApplicationId;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tokio::process::Command;
use tokio::sync::OnceCell;
use yarn_rpc::records::{LocalResource, LocalResourceType, ResourceVisibility};

use super::user_cache;
use crate::fetch;
use crate::time;

/// The longest that one file may take.
const FETCH: Duration = Duration::from_secs(300);

/// The cache a file goes into, and the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    cache: PathBuf,
    url: String,
    timestamp_ms: u64,
    archive: bool,
}

type Entry = Arc<OnceCell<Result<PathBuf, String>>>;

/// The caches of one node.
#[derive(Debug)]
pub(super) struct Localizer {
    local: PathBuf,
    entries: Mutex<BTreeMap<Key, Entry>>,
    next: AtomicU64,
    refusals: Mutex<Vec<Refusal>>,
}

/// A file that is not to be had.
#[derive(Debug)]
struct Refusal {
    name: String,
    /// Which of its fetches from now on.
    nth: u32,
    text: String,
}

impl Localizer {
    pub(super) fn new(local: PathBuf) -> Self {
        Self {
            local,
            entries: Mutex::default(),
            next: AtomicU64::new(10),
            refusals: Mutex::default(),
        }
    }

    /// Refuses a file by its name in the working directory.
    pub(super) fn refuse(&self, name: String, nth: u32, text: String) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.push(Refusal { name, nth, text });
    }

    fn refused(&self, name: &str) -> Option<String> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        for refusal in refusals.iter_mut().filter(|one| one.name == name) {
            refusal.nth = refusal.nth.saturating_sub(1);
        }
        let due = refusals.iter().position(|one| one.name == name && one.nth == 0)?;
        Some(refusals.remove(due).text)
    }

    /// Fetches all files of a container; gives names and places.
    pub(super) async fn fetch_all(
        &self,
        owner: (&str, ApplicationId),
        resources: &BTreeMap<String, LocalResource>,
    ) -> Result<BTreeMap<String, PathBuf>, String> {
        let mut files = BTreeMap::new();
        for (name, resource) in resources {
            if let Some(text) = self.refused(name) {
                return Err(text);
            }
            files.insert(name.clone(), self.fetch(owner, resource).await?);
        }
        Ok(files)
    }

    async fn fetch(&self, owner: (&str, ApplicationId), resource: &LocalResource) -> Result<PathBuf, String> {
        let key = Key {
            cache: self.cache(owner, resource.visibility),
            url: resource.url.to_string(),
            timestamp_ms: resource.timestamp_ms,
            archive: resource.kind == LocalResourceType::Archive,
        };
        let entry = self.entry(&key);
        let fetched = entry.get_or_init(|| self.download(&key, resource)).await.clone();
        if fetched.is_err() {
            self.entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&key);
        }
        fetched
    }

    fn entry(&self, key: &Key) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.entry(key.clone()).or_default().clone()
    }

    fn cache(&self, (user, application): (&str, ApplicationId), visibility: ResourceVisibility) -> PathBuf {
        let of_user = user_cache(&self.local, user);
        match visibility {
            ResourceVisibility::Public => self.local.join("filecache"),
            ResourceVisibility::Private => of_user.join("filecache"),
            ResourceVisibility::Application => of_user
                .join("appcache")
                .join(application.to_string())
                .join("filecache"),
        }
    }

    async fn download(&self, key: &Key, resource: &LocalResource) -> Result<PathBuf, String> {
        let source = PathBuf::from(&resource.url.path);
        let remote = match resource.url.scheme.as_str() {
            "file" => {
                check_source(&source, &key.url, resource).await?;
                false
            }
            "http" => {
                check_remote(&key.url, resource)?;
                true
            }
            other => return Err(format!("No FileSystem for scheme \"{other}\"")),
        };
        let directory = key
            .cache
            .join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let name = Path::new(&resource.url.path)
            .file_name()
            .ok_or_else(|| format!("File {} does not exist", key.url))?;
        let target = directory.join(name);
        let failed = |error: std::io::Error| format!("{} cannot be fetched: {error}", key.url);
        tokio::fs::create_dir_all(&directory).await.map_err(failed)?;
        let source = match remote {
            true => fetched(&key.url, &directory.join(".fetched")).await?,
            false => source.clone(),
        };
        match resource.kind {
            LocalResourceType::File => copy(&source, &target, resource.visibility).await?,
            LocalResourceType::Archive => unpack(&source, name, &target).await?,
        }
        Ok(target)
    }

    /// Removes what only this application could use.
    pub(super) async fn remove_application(&self, application: ApplicationId, users: &[String]) {
        for user in users {
            let directory = user_cache(&self.local, user)
                .join("appcache")
                .join(application.to_string());
            let below = |key: &Key| key.cache.starts_with(&directory);
            self.entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|key, _| !below(key));
            if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
                tracing::debug!(%error, %application, "the application's files cannot be removed");
            }
        }
    }
}

async fn check_source(source: &Path, url: &str, resource: &LocalResource) -> Result<(), String> {
    let metadata = tokio::fs::metadata(source).await;
    let metadata = metadata.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("File {url} does not exist"),
        _ => format!("{url} cannot be read: {error}"),
    })?;
    let modified = metadata
        .modified()
        .map(time::of)
        .map_err(|error| error.to_string())?;
    if modified != resource.timestamp_ms {
        return Err(changed(url, resource.timestamp_ms, modified));
    }
    if resource.visibility == ResourceVisibility::Public && !is_public(source).await {
        return Err(not_public(url));
    }
    Ok(())
}

/// `HttpFileSystem` knows neither times nor modes: it says 1970, and that nothing is for all.
fn check_remote(url: &str, resource: &LocalResource) -> Result<(), String> {
    if resource.visibility == ResourceVisibility::Public {
        return Err(not_public(url));
    }
    if resource.timestamp_ms != 0 {
        return Err(changed(url, resource.timestamp_ms, 0));
    }
    Ok(())
}

async fn fetched(url: &str, target: &Path) -> Result<PathBuf, String> {
    let outcome = tokio::time::timeout(FETCH, fetch::into_file(url, target)).await;
    match outcome {
        Ok(Ok(())) => Ok(target.to_owned()),
        Ok(Err(error)) => Err(format!("{url} cannot be fetched: {error}")),
        Err(_) => Err(format!("{url} cannot be fetched within {} s", FETCH.as_secs())),
    }
}

fn changed(url: &str, expected: u64, found: u64) -> String {
    format!(
        "Resource {url} changed on src filesystem - expected: \"{}\", was: \"{}\", current time: \"{}\"",
        time::iso(expected),
        time::iso(found),
        time::iso(time::now())
    )
}

fn not_public(url: &str) -> String {
    format!("Resource {url} is not publicly accessible and as such cannot be part of the public cache.")
}

/// Readable for all, and all directories above it open for all.
async fn is_public(source: &Path) -> bool {
    let allows = async |path: &Path, bits: u32| {
        let mode = tokio::fs::metadata(path)
            .await
            .map(|metadata| metadata.permissions().mode());
        mode.is_ok_and(|mode| mode & bits == bits)
    };
    for directory in source.ancestors().skip(1) {
        if !allows(directory, 0o001).await {
            return false;
        }
    }
    allows(source, 0o004).await
}

async fn copy(source: &Path, target: &Path, visibility: ResourceVisibility) -> Result<(), String> {
    let mut command = Command::new("cp");
    run(command.arg("--").arg(source).arg(target), "cp").await?;
    let mode = match visibility {
        ResourceVisibility::Public => 0o555,
        ResourceVisibility::Private | ResourceVisibility::Application => 0o500,
    };
    let set = tokio::fs::set_permissions(target, Permissions::from_mode(mode)).await;
    set.map_err(|error| format!("the mode of {} cannot be set: {error}", target.display()))
}

/// By its name: `.jar`, `.zip`, `.tar`, `.tar.gz`, `.tgz`; anything else stays a file in the directory.
async fn unpack(archive: &Path, name: &OsStr, target: &Path) -> Result<(), String> {
    let made = tokio::fs::create_dir_all(target).await;
    made.map_err(|error| format!("{} cannot be made: {error}", target.display()))?;
    let lower = name.to_string_lossy().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if ends(&[".jar", ".zip"]) {
        let mut command = Command::new("unzip");
        run(command.arg("-q").arg(archive).arg("-d").arg(target), "unzip").await
    } else if ends(&[".tar", ".tar.gz", ".tgz"]) {
        let mut command = Command::new("tar");
        run(command.arg("-xf").arg(archive).arg("-C").arg(target), "tar").await
    } else {
        let mut command = Command::new("cp");
        run(command.arg("--").arg(archive).arg(target.join(name)), "cp").await
    }
}

async fn run(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &Path, visibility: ResourceVisibility) -> LocalResource {
        let modified = std::fs::metadata(path).unwrap().modified().unwrap();
        LocalResource {
            url: format!("file://{}", path.display()).parse().unwrap(),
            size: 0,
            timestamp_ms: time::of(modified),
            kind: LocalResourceType::File,
            visibility,
        }
    }

    fn application() -> ApplicationId {
        ApplicationId::new(7, 1)
    }

    #[tokio::test]
    async fn a_private_file_is_fetched_once_for_all_of_the_users_applications() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("tool");
        std::fs::write(&source, "#!/bin/sh\n").unwrap();
        let localizer = Localizer::new(directory.path().join("local"));
        let resource = resource(&source, ResourceVisibility::Private);
        let first = localizer.fetch(("ada", application()), &resource).await.unwrap();
        let again = localizer
            .fetch(("ada", ApplicationId::new(7, 2)), &resource)
            .await
            .unwrap();
        let others = localizer.fetch(("bob", application()), &resource).await.unwrap();
        assert_eq!(first, again);
        assert_ne!(first, others);
        assert_eq!(
            std::fs::metadata(&first).unwrap().permissions().mode() & 0o777,
            0o500
        );
    }

    #[tokio::test]
    async fn another_time_than_the_one_asked_for_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("f");
        std::fs::write(&source, "x").unwrap();
        let localizer = Localizer::new(directory.path().join("local"));
        let mut wrong = resource(&source, ResourceVisibility::Application);
        wrong.timestamp_ms += 1;
        let error = localizer.fetch(("ada", application()), &wrong).await.unwrap_err();
        assert!(error.contains("changed on src filesystem - expected"), "{error}");
        wrong.timestamp_ms -= 1;
        localizer.fetch(("ada", application()), &wrong).await.unwrap();
    }

    #[tokio::test]
    async fn archives_become_directories() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("inside"), "x").unwrap();
        let archive = directory.path().join("a.tar.gz");
        let packed = std::process::Command::new("tar")
            .args([
                "-czf".as_ref(),
                archive.as_os_str(),
                "-C".as_ref(),
                directory.path().as_os_str(),
                "inside".as_ref(),
            ])
            .status();
        assert!(packed.unwrap().success());
        let localizer = Localizer::new(directory.path().join("local"));
        let kind = LocalResourceType::Archive;
        let resource = LocalResource {
            kind,
            ..resource(&archive, ResourceVisibility::Application)
        };
        let target = localizer.fetch(("ada", application()), &resource).await.unwrap();
        assert_eq!(std::fs::read_to_string(target.join("inside")).unwrap(), "x");
    }

    #[tokio::test]
    async fn a_web_server_gives_files_for_time_zero_and_not_to_everybody() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let asked = stream.read(&mut bytes).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n#!/bin/sh\n";
            stream.write_all(answer).await.unwrap();
            asked
        });
        let directory = tempfile::tempdir().unwrap();
        let localizer = Localizer::new(directory.path().join("local"));
        let mut resource = LocalResource {
            url: format!("http://{address}/tool").parse().unwrap(),
            size: 0,
            timestamp_ms: 12345,
            kind: LocalResourceType::File,
            visibility: ResourceVisibility::Private,
        };
        let error = localizer
            .fetch(("ada", application()), &resource)
            .await
            .unwrap_err();
        assert!(error.contains("changed on src filesystem"), "{error}");
        resource.timestamp_ms = 0;
        let fetched = localizer.fetch(("ada", application()), &resource).await.unwrap();
        assert_eq!(std::fs::read_to_string(&fetched).unwrap(), "#!/bin/sh\n");
        assert_eq!(
            std::fs::metadata(&fetched).unwrap().permissions().mode() & 0o777,
            0o500
        );
        assert!(server.await.unwrap() > 0);
        resource.visibility = ResourceVisibility::Public;
        let error = localizer
            .fetch(("ada", application()), &resource)
            .await
            .unwrap_err();
        assert!(error.contains("is not publicly accessible"), "{error}");
    }

    #[tokio::test]
    async fn other_file_systems_are_not_there() {
        let localizer = Localizer::new(PathBuf::from("/nonexistent"));
        let url = "hdfs://nn/x".parse().unwrap();
        let (kind, visibility) = (LocalResourceType::File, ResourceVisibility::Application);
        let resource = LocalResource {
            url,
            size: 0,
            timestamp_ms: 0,
            kind,
            visibility,
        };
        let error = localizer
            .fetch(("ada", application()), &resource)
            .await
            .unwrap_err();
        assert_eq!(error, "No FileSystem for scheme \"hdfs\"");
    }
}
