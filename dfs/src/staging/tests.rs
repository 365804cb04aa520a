//! Staging on local files.

use super::*;
use crate::local::LocalFileSystem;

struct Fixture {
    directory: tempfile::TempDir,
    staging: Staging,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(LocalFileSystem::new(directory.path()).unwrap());
    let base = fs.home().join(STAGING_DIR);
    Fixture {
        staging: Staging::new(fs, base),
        directory,
    }
}

impl Fixture {
    fn source(&self, name: &str, contents: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    async fn cache(&self, name: &str, contents: &str) -> LocalResource {
        let path = self.source(name, contents);
        self.staging
            .cache_file(&path, &ResourceSpec::file(name))
            .await
            .unwrap()
    }

    async fn status(&self, path: &DfsPath) -> FileStatus {
        self.staging.fs().status(path).await.unwrap()
    }
}

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn the_same_contents_are_uploaded_once() {
    let fixture = fixture();
    let first = fixture.cache("run.sh", "echo hi").await;
    let second = fixture.cache("run.sh", "echo hi").await;
    assert_eq!(first, second);
    let third = fixture.cache("run.sh", "echo ho").await;
    assert_ne!(first.path, third.path);
    assert_eq!(
        (first.size, first.visibility, first.kind),
        (7, Visibility::Private, ResourceKind::File)
    );
    assert_eq!(first.timestamp, fixture.status(&first.path).await.modified_ms);
}

#[tokio::test]
async fn contents_in_memory_are_cached_as_files_are() {
    let fixture = fixture();
    let contents = Bytes::from_static(b"echo hi");
    let first = fixture
        .staging
        .cache_bytes("run.sh", contents.clone())
        .await
        .unwrap();
    let again = fixture.staging.cache_bytes("run.sh", contents).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first, fixture.cache("run.sh", "echo hi").await);
}

#[tokio::test]
async fn cached_files_are_for_the_user_only_and_executable() {
    let fixture = fixture();
    let staged = fixture.cache("empty", "").await;
    assert!(
        staged
            .path
            .to_string()
            .ends_with(&format!("cache/{EMPTY_SHA256}/empty"))
    );
    assert_eq!(fixture.status(&staged.path).await.permission, 0o700);
    for up in [1, 2, 3] {
        let mut directory = staged.path.clone();
        for _ in 0..up {
            directory = directory.parent().unwrap();
        }
        assert_eq!(fixture.status(&directory).await.permission, 0o700, "{directory}");
    }
    let left: Vec<_> = crate::fs::list_all(
        fixture.staging.fs().as_ref(),
        &staged.path.parent().unwrap(),
        true,
        9,
    )
    .await
    .unwrap();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[tokio::test]
async fn a_damaged_cached_file_is_replaced() {
    let fixture = fixture();
    let staged = fixture.cache("a", "whole").await;
    let native = staged.path.to_local().unwrap();
    std::fs::remove_file(&native).unwrap();
    std::fs::write(&native, "part").unwrap();
    let again = fixture.cache("a", "whole").await;
    assert_eq!((again.size, again.path), (5, staged.path));
}

#[tokio::test]
async fn many_submitters_at_once_agree_on_one_file() {
    let fixture = fixture();
    let path = fixture.source("tool", "binary");
    let spec = ResourceSpec::file("tool");
    let uploads = (0..8).map(|_| fixture.staging.cache_file(&path, &spec));
    let staged = futures::future::try_join_all(uploads).await.unwrap();
    assert!(
        staged
            .iter()
            .all(|one| one.path == staged[0].path && one.size == 6)
    );
    let final_status = fixture.status(&staged[0].path).await;
    assert!(staged.iter().all(|one| one.timestamp == final_status.modified_ms));
}

#[tokio::test]
async fn application_files_go_with_the_application() {
    let fixture = fixture();
    let app = "application_1_0001";
    let file = fixture
        .staging
        .application_file(app, "job.json", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    assert_eq!((file.visibility.as_str(), file.size), ("APPLICATION", 2));
    assert_eq!(fixture.status(&file.path).await.permission, 0o600);
    assert_eq!(
        fixture.status(&file.path.parent().unwrap()).await.permission,
        0o700
    );
    let replaced = fixture
        .staging
        .application_file(app, "job.json", Bytes::from_static(b"{ }"))
        .await
        .unwrap();
    assert_eq!(replaced.size, 3);
    assert!(fixture.staging.remove_application(app).await.unwrap());
    assert!(!fixture.staging.remove_application(app).await.unwrap());
}

#[tokio::test]
async fn old_directories_are_found() {
    let fixture = fixture();
    assert!(
        fixture
            .staging
            .old_applications(u64::MAX)
            .await
            .unwrap()
            .is_empty()
    );
    fixture
        .staging
        .application_file("application_1_0002", "x", Bytes::new())
        .await
        .unwrap();
    fixture.cache("c", "c").await;
    let directory = fixture.staging.application_dir("application_1_0002");
    fixture
        .staging
        .fs()
        .set_modified(&directory, 1_000)
        .await
        .unwrap();
    let old = fixture.staging.old_applications(1_001).await.unwrap();
    assert_eq!(old.len(), 1);
    assert_eq!(
        (old[0].application.as_str(), old[0].modified_ms),
        ("application_1_0002", 1_000)
    );
    assert!(fixture.staging.old_applications(1_000).await.unwrap().is_empty());
    assert_eq!(
        fixture.staging.old_cache_entries(u64::MAX).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_use_is_noted_without_changing_the_file_that_nodes_know_by_its_time() {
    let fixture = fixture();
    let staging = &fixture.staging;
    let first = fixture.cache("run.sh", "echo hi").await;
    let entry = first.path.parent().unwrap();
    staging.fs().set_modified(&entry, 1_000).await.unwrap();
    assert_eq!(
        staging.old_cache_entries(2_000).await.unwrap(),
        std::slice::from_ref(&entry)
    );
    assert_eq!(fixture.cache("run.sh", "echo hi").await, first);
    assert!(staging.old_cache_entries(2_000).await.unwrap().is_empty());
    staging.fs().set_modified(&entry, 1_000).await.unwrap();
    staging.cache_bytes("run.sh", "echo hi".into()).await.unwrap();
    assert!(staging.old_cache_entries(2_000).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wanted_again_while_it_is_to_be_removed_stays() {
    let fixture = fixture();
    let staging = &fixture.staging;
    let file = fixture.cache("run.sh", "echo hi").await;
    let entry = file.path.parent().unwrap();
    staging.fs().set_modified(&entry, 1_000).await.unwrap();
    let old = staging.old_cache_entries(2_000).await.unwrap();
    // Another submission comes to rely on it after it was found to be old.
    assert_eq!(fixture.cache("run.sh", "echo hi").await, file);
    assert!(!staging.remove_cache_entry(&old[0], 2_000).await.unwrap());
    assert_eq!(fixture.status(&file.path).await.modified_ms, file.timestamp);
    staging.fs().set_modified(&entry, 1_000).await.unwrap();
    assert!(staging.remove_cache_entry(&entry, 2_000).await.unwrap());
    assert!(!staging.remove_cache_entry(&entry, 2_000).await.unwrap());
    assert!(staging.old_cache_entries(u64::MAX).await.unwrap().is_empty());
    // Whoever relied on it finds the very file that another submission has uploaded since.
    assert_eq!(fixture.cache("run.sh", "echo hi").await, file);
    assert_eq!(file.timestamp, CACHED_TIME_MS);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let fixture = fixture();
    let missing = fixture.directory.path().join("nothing");
    let error = fixture
        .staging
        .cache_file(&missing, &ResourceSpec::file("nothing"))
        .await
        .unwrap_err();
    assert!(matches!(error, StagingError::Source { .. }) && error.help().is_some());
    let error = fixture
        .staging
        .application_file("../x", "f", Bytes::new())
        .await
        .unwrap_err();
    assert!(matches!(error, StagingError::Name { .. }));
    let source = DfsError::PermissionDenied {
        path: String::new(),
        detail: String::new(),
    };
    let help = fixture.staging.refused("f", source).help().unwrap();
    assert!(help.contains("home directory"), "{help}");
}

#[tokio::test]
async fn a_file_in_the_way_of_the_staging_directory_is_an_error() {
    let fixture = fixture();
    std::fs::write(fixture.directory.path().join(STAGING_DIR), "in the way").unwrap();
    let path = fixture.source("a", "a");
    let error = fixture
        .staging
        .cache_file(&path, &ResourceSpec::file("a"))
        .await
        .unwrap_err();
    assert!(
        matches!(error.cause(), Some(DfsError::NotADirectory { .. })),
        "{error:?}"
    );
}
