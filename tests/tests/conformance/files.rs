//! Localization: files that YARN fetches before a container starts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use yarn_rpc::records::{ContainerLaunchContext, LocalResource, LocalResourceType, ResourceVisibility};

use super::case::{Case, case};
use super::lab::{Yarn, holds};
use super::master::{End, shell};

pub(crate) const CASES: &[Case] = &[
    case!(
        a_file_is_linked_under_its_name,
        "`ContainerLaunch`: a link in the working directory to the fetched copy"
    ),
    case!(
        a_name_may_lead_into_a_folder,
        "`ContainerLaunch.ShellScriptBuilder.symlink`: folders of the name are made"
    ),
    case!(
        a_fetched_file_is_its_owners_to_run,
        "`FSDownload`: FILE of APPLICATION is mode 0500"
    ),
    case!(
        a_private_file_is_kept_in_the_users_cache,
        "`LocalResourcesTrackerImpl`: PRIVATE below usercache/USER/filecache"
    ),
    case!(
        an_application_file_is_kept_with_the_application,
        "`LocalResourcesTrackerImpl`: APPLICATION below appcache/APP/filecache"
    ),
    case!(
        a_public_file_is_kept_for_all,
        "`LocalResourcesTrackerImpl`: PUBLIC below filecache, mode 0555"
    ),
    case!(
        a_public_file_must_be_readable_by_all,
        "`FSDownload.verifyAndCopy`: `is not publicly accessible`"
    ),
    case!(
        an_archive_is_unpacked,
        "`FSDownload.unpack`: .tar.gz, the link is a directory"
    ),
    case!(
        a_file_with_another_time_is_refused,
        "`FSDownload.verifyAndCopy`: `changed on src filesystem - expected …, was …`, -1000"
    ),
    case!(
        a_file_that_is_not_there_ends_the_container,
        "`ResourceLocalizationService`: -1000, the file is named"
    ),
    case!(the_size_does_not_matter, "`FSDownload`: sizes are not compared"),
    case!(
        a_second_use_shares_the_copy,
        "`LocalResourcesTrackerImpl`: same path, time, type: the same copy"
    ),
    case!(
        another_time_is_another_copy,
        "`LocalResourceRequest`: the time is part of the identity"
    ),
];

/// A source file of this case, and a request for it with its true time.
fn source(yarn: &Yarn, name: &str, contents: &[u8]) -> (PathBuf, LocalResource) {
    let path = yarn.path(name);
    std::fs::write(&path, contents).unwrap();
    let resource = resource(&path);
    (path, resource)
}

fn resource(path: &Path) -> LocalResource {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    let age = modified.duration_since(UNIX_EPOCH).unwrap();
    LocalResource {
        url: format!("file://{}", path.display()).parse().unwrap(),
        size: 5,
        timestamp_ms: u64::try_from(age.as_millis()).unwrap(),
        kind: LocalResourceType::File,
        visibility: ResourceVisibility::Application,
    }
}

fn with(name: &str, resource: LocalResource) -> impl FnOnce(&mut ContainerLaunchContext) {
    let name = name.to_owned();
    move |context| {
        context.local_resources.insert(name, resource);
    }
}

async fn a_file_is_linked_under_its_name(yarn: &Yarn) {
    let (_, resource) = source(yarn, "linked-source", b"data\n");
    assert_eq!(
        yarn.output(with("mine", resource), "[ -L mine ] && cat mine")
            .await,
        "data\n"
    );
}

async fn a_name_may_lead_into_a_folder(yarn: &Yarn) {
    let (_, resource) = source(yarn, "folder-source", b"data\n");
    assert_eq!(
        yarn.output(with("a/b/mine", resource), "cat a/b/mine").await,
        "data\n"
    );
}

async fn a_fetched_file_is_its_owners_to_run(yarn: &Yarn) {
    let (_, resource) = source(yarn, "program-source", b"#!/bin/sh\necho ran\n");
    let text = yarn
        .output(with("mine", resource), "stat -L -c %a mine; ./mine")
        .await;
    assert_eq!(text, "500\nran\n");
}

/// Where a file of this visibility is kept.
async fn place(yarn: &Yarn, name: &str, visibility: ResourceVisibility) -> String {
    let (path, resource) = source(yarn, name, b"data\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let resource = LocalResource {
        visibility,
        ..resource
    };
    yarn.output(with("mine", resource), "readlink mine").await
}

async fn a_private_file_is_kept_in_the_users_cache(yarn: &Yarn) {
    let place = place(yarn, "private-source", ResourceVisibility::Private).await;
    holds(&place, &["/usercache/ada/filecache/", "/private-source\n"]);
}

async fn an_application_file_is_kept_with_the_application(yarn: &Yarn) {
    let place = place(yarn, "application-source", ResourceVisibility::Application).await;
    holds(
        &place,
        &[
            "/usercache/ada/appcache/application_",
            "/filecache/",
            "/application-source\n",
        ],
    );
}

/// A folder that everybody can enter, up to the root.
fn public_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn a_public_file_is_kept_for_all(yarn: &Yarn) {
    let folder = public_folder();
    let path = folder.path().join("public-source");
    std::fs::write(&path, "data\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let resource = LocalResource {
        visibility: ResourceVisibility::Public,
        ..resource(&path)
    };
    let text = yarn
        .output(with("mine", resource), "readlink mine; stat -L -c %a mine")
        .await;
    holds(&text, &["/filecache/", "/public-source\n555\n"]);
    assert!(!text.contains("usercache"), "{text}");
}

/// How a container ends whose file cannot be had.
async fn failed(yarn: &Yarn, resource: LocalResource) -> End {
    let mut context = shell("true");
    context.local_resources.insert("mine".into(), resource);
    let end = yarn.master().await.run(&context).await;
    assert_eq!(end.status, -1000, "{}", end.diagnostics);
    end
}

async fn a_public_file_must_be_readable_by_all(yarn: &Yarn) {
    let (path, resource) = source(yarn, "hidden-source", b"data\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let resource = LocalResource {
        visibility: ResourceVisibility::Public,
        ..resource
    };
    holds(
        &failed(yarn, resource).await.diagnostics,
        &["is not publicly accessible"],
    );
}

async fn an_archive_is_unpacked(yarn: &Yarn) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inside"), "data\n").unwrap();
    let path = yarn.path("packed.tar.gz");
    let packed = std::process::Command::new("tar")
        .args([
            "czf",
            &path.display().to_string(),
            "-C",
            &folder.path().display().to_string(),
            "inside",
        ])
        .status();
    assert!(packed.unwrap().success());
    let resource = LocalResource {
        kind: LocalResourceType::Archive,
        ..resource(&path)
    };
    assert_eq!(
        yarn.output(with("mine", resource), "cat mine/inside").await,
        "data\n"
    );
}

async fn a_file_with_another_time_is_refused(yarn: &Yarn) {
    let (_, resource) = source(yarn, "changed-source", b"data\n");
    let timestamp_ms = resource.timestamp_ms + 1;
    let end = failed(
        yarn,
        LocalResource {
            timestamp_ms,
            ..resource
        },
    )
    .await;
    holds(
        &end.diagnostics,
        &[
            "changed-source changed on src filesystem - expected: ",
            ", was: ",
            ", current time: ",
        ],
    );
}

async fn a_file_that_is_not_there_ends_the_container(yarn: &Yarn) {
    let (path, resource) = source(yarn, "missing-source", b"data\n");
    std::fs::remove_file(path).unwrap();
    holds(
        &failed(yarn, resource).await.diagnostics,
        &["missing-source does not exist"],
    );
}

async fn the_size_does_not_matter(yarn: &Yarn) {
    let (_, resource) = source(yarn, "size-source", b"data\n");
    let resource = LocalResource { size: 99, ..resource };
    assert_eq!(yarn.output(with("mine", resource), "cat mine").await, "data\n");
}

/// Where a file is kept when a strict node's container fetches it once, and once more after `between`.
async fn twice(yarn: &Yarn, name: &str, between: impl FnOnce(&Path)) -> (String, String) {
    let (path, first) = source(yarn, name, b"data\n");
    let mut master = yarn.master().await;
    let first = kept(yarn, &mut master, first).await;
    between(&path);
    let second = kept(yarn, &mut master, resource(&path)).await;
    (first, second)
}

/// Where the node of the first container keeps a file.
async fn kept(yarn: &Yarn, master: &mut super::master::Master, resource: LocalResource) -> String {
    let nodes = yarn.get("/nodes").await.json();
    let node = nodes["nodes"]["node"][0]["id"].as_str().unwrap().to_owned();
    let named = |name: &str, relax| super::master::named(name, 1, relax);
    let asks = vec![
        named(&node, true),
        named("/default-rack", false),
        named("*", false),
    ];
    let container = master.granted(asks, 1).await.remove(0);
    let place = yarn.path(format!("place-{}", container.id));
    let mut context = shell(&format!("readlink mine > {}", place.display()));
    context.local_resources.insert("mine".into(), resource);
    master
        .nodes()
        .start_container(&container, &context)
        .await
        .unwrap();
    assert_eq!(master.end_of(container.id).await.status, 0);
    std::fs::read_to_string(place).unwrap()
}

async fn a_second_use_shares_the_copy(yarn: &Yarn) {
    let (first, second) = twice(yarn, "shared-source", |_| ()).await;
    assert_eq!(first, second);
}

async fn another_time_is_another_copy(yarn: &Yarn) {
    let touched = |path: &Path| {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000))
            .unwrap();
    };
    let (first, second) = twice(yarn, "renewed-source", touched).await;
    assert_ne!(first, second);
}
