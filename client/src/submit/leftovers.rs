//! Staged files of applications that ended without removing them, and what such an application left in its outputs.
//!
//! The ApplicationMaster removes its application's files when it unregisters, and a waiting client does when it sees
//! the end. An application that was killed while nobody waited leaves them to the next command of the same user.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use am::launch::PLAN_FILE_NAME;
use am::outputs::Outputs;
use dfs::FileSystems;
use dfs::staging::{ApplicationDir, Staging};
use driver::plan::AppPlan;
use hadoop::ids::ApplicationId;
use yarn_rest::Client;

/// The longest plan that is read.
const MAX_PLAN: u64 = 64 << 20;
/// The most orders of one application that are looked at.
const MOST_ORDERS: usize = 10_000;

/// An application that is being staged has its launch file within so long, in milliseconds; a directory without one
/// that is older will never have it.
const STAGING_MS: u64 = 24 * 3600 * 1000;

/// The most applications that one command asks the ResourceManager about.
const MOST: usize = 16;

/// Removes what is staged for applications of which YARN says that they have ended. One that YARN does not know may
/// run on another cluster that shares the file system, so its files stay.
pub(super) async fn sweep(
    client: &Client,
    systems: &Arc<FileSystems>,
    staging: &Staging,
    running: ApplicationId,
) {
    let staged = staging.old_applications(unix_ms()).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "earlier applications' staged files cannot be listed");
        Vec::new()
    });
    for id in latest(staged, running) {
        remove_if_ended(client, systems, staging, id).await;
    }
}

/// The applications to ask about. The latest first: old ones that YARN does not know any more stay for ever, and must
/// not keep us from those that it knows.
fn latest(mut staged: Vec<ApplicationDir>, running: ApplicationId) -> Vec<ApplicationId> {
    staged.sort_by_key(|dir| Reverse(dir.modified_ms));
    let ids = staged.iter().filter_map(|dir| dir.application.parse().ok());
    ids.filter(|id| *id != running).take(MOST).collect()
}

/// Removes cached files that were last wanted longer ago than `age` and that no staged application names. What cannot be
/// read keeps everything: a file too many costs space, one too few costs somebody their job.
pub(super) async fn prune_cache(staging: &Staging, age: Duration) {
    if let Err(error) = pruned(staging, age).await {
        tracing::debug!(%error, "old cached files stay");
    }
}

async fn pruned(staging: &Staging, age: Duration) -> anyhow::Result<()> {
    let now_ms = unix_ms();
    let before_ms = now_ms.saturating_sub(u64::try_from(age.as_millis())?);
    let old = staging.old_cache_entries(before_ms).await?;
    if old.is_empty() {
        return Ok(());
    }
    let named = names_in_use(staging, now_ms).await?;
    for entry in old {
        let used = named.iter().any(|uri| uri.contains(entry.name()));
        if !used && staging.remove_cache_entry(&entry, before_ms).await? {
            tracing::info!(%entry, "an old cached file was removed");
        }
    }
    Ok(())
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Where the files are that staged applications name, and the orders for their ApplicationMasters, which name the builds
/// that they are to become.
async fn names_in_use(staging: &Staging, now_ms: u64) -> anyhow::Result<Vec<String>> {
    let mut named = Vec::new();
    for dir in staging.old_applications(u64::MAX).await? {
        let launch = dir.path.join(am::launch::FILE_NAME);
        let text = match dfs::read_all(staging.fs().as_ref(), &launch, MAX_PLAN).await {
            Err(error) if error.is_not_found() && dir.modified_ms.saturating_add(STAGING_MS) < now_ms => {
                continue;
            }
            text => text?,
        };
        let launch = am::launch::LaunchFile::parse(&text)?;
        named.extend(launch.resources.into_iter().map(|resource| resource.uri));
        match dfs::list_all(
            staging.fs().as_ref(),
            &dir.path.join(am::restart::ORDERS),
            false,
            MOST_ORDERS,
        )
        .await
        {
            Ok(orders) => named.extend(orders.into_iter().map(|order| order.path.name().to_owned())),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(named)
}

/// Removes what is staged for this application, if YARN says that it has ended.
pub(crate) async fn remove_if_ended(
    client: &Client,
    systems: &Arc<FileSystems>,
    staging: &Staging,
    id: ApplicationId,
) {
    if client.application(id).await.is_ok_and(|report| report.is_final()) {
        remove(systems, staging, &id.to_string()).await;
    }
}

/// Removes what is staged for this application, ended or never begun.
pub(super) async fn remove(systems: &Arc<FileSystems>, staging: &Staging, application: &str) {
    tidy_outputs(systems, staging, application).await;
    if let Err(error) = staging.remove_application(application).await {
        tracing::warn!(%error, "the staged files of {application} could not be removed");
    }
}

/// Takes unfinished results and our marks out of the outputs, as the ApplicationMaster does when it can: a job that was
/// killed can then be submitted again. Outputs of other applications are not touched.
async fn tidy_outputs(systems: &Arc<FileSystems>, staging: &Staging, application: &str) {
    let plan = staging.application_dir(application).join(PLAN_FILE_NAME);
    let Ok(text) = dfs::read_all(staging.fs().as_ref(), &plan, MAX_PLAN).await else {
        return;
    };
    let Ok(plan) = serde_json::from_slice::<AppPlan>(&text) else {
        return;
    };
    let outputs = Outputs::new(Arc::clone(systems), application);
    for output in plan.stages.iter().filter_map(|stage| stage.output.as_ref()) {
        if let Err(error) = outputs.leave(output).await {
            tracing::warn!(%error, "an unfinished output of {application} could not be tidied");
        }
    }
}

#[cfg(test)]
mod tests {
    use dfs::staging::STAGING_DIR;
    use driver::plan::OutputPlan;
    use hadoop::conf::Configuration;

    use super::*;
    use crate::job::JobFile;
    use crate::settings::{Layers, Resolved};

    #[test]
    fn directories_that_nobody_knows_do_not_hide_later_ones() {
        let home: dfs::DfsPath = "hdfs://nn:8020/user/ada".parse().unwrap();
        let dir = |number: u64| ApplicationDir {
            application: format!("application_1_{number:04}"),
            path: home.join(&number.to_string()),
            modified_ms: number,
        };
        let staged: Vec<_> = (1..=40).map(dir).collect();
        let ids = latest(staged, "application_1_0040".parse().unwrap());
        assert_eq!(ids.len(), MOST);
        assert_eq!(ids[0].to_string(), "application_1_0039");
    }

    fn staging_in(directory: &tempfile::TempDir) -> Staging {
        let conf = Configuration::defaults(&|_| None);
        let systems = FileSystems::builder(&conf, "ada").build().unwrap();
        let base = format!("file://{}", directory.path().join(STAGING_DIR).display());
        Staging::locate(&Arc::new(systems), Some(&base)).unwrap()
    }

    #[tokio::test]
    async fn a_directory_without_a_launch_file_keeps_cached_files_for_a_day_only() {
        let directory = tempfile::tempdir().unwrap();
        let staging = staging_in(&directory);
        let cached = staging.cache_bytes("old", "1".into()).await.unwrap();
        let entry = cached.path.parent().unwrap();
        staging.fs().set_modified(&entry, 1).await.unwrap();
        let broken = staging.application_dir("application_1_0001");
        staging.fs().mkdirs(&broken, 0o700).await.unwrap();
        let hour = Duration::from_secs(3600);
        prune_cache(&staging, hour).await;
        assert!(
            staging.fs().status(&cached.path).await.is_ok(),
            "it may be being staged"
        );
        let before = unix_ms() - STAGING_MS - 1000;
        staging.fs().set_modified(&broken, before).await.unwrap();
        prune_cache(&staging, hour).await;
        assert!(staging.fs().status(&cached.path).await.is_err());
    }

    #[tokio::test]
    async fn old_cached_files_go_unless_a_staged_application_names_them() {
        let directory = tempfile::tempdir().unwrap();
        let staging = staging_in(&directory);
        let used = staging.cache_bytes("used", "1".into()).await.unwrap();
        let unused = staging.cache_bytes("unused", "2".into()).await.unwrap();
        let later = staging.cache_bytes("later", "3".into()).await.unwrap();
        let build = later.path.parent().unwrap();
        let order = am::upgrade::order(wire::id::Epoch(1), build.name());
        let orders = staging.application_dir("application_1_0001").join(&order);
        staging.fs().mkdirs(&orders, 0o700).await.unwrap();
        let launch = serde_json::json!({
            "version": am::launch::VERSION, "user": "ada", "queue": "default", "submitted_unix_ms": 1,
            "resources": [{ "name": "used", "uri": used.path.to_uri(), "size": 1, "timestamp_ms": 1,
                            "kind": "file", "visibility": "private" }],
        });
        staging
            .application_file(
                "application_1_0001",
                am::launch::FILE_NAME,
                launch.to_string().into(),
            )
            .await
            .unwrap();
        prune_cache(&staging, Duration::from_secs(3600)).await;
        assert!(staging.fs().status(&unused.path).await.is_ok(), "it is not old");
        std::thread::sleep(Duration::from_millis(2));
        prune_cache(&staging, Duration::ZERO).await;
        assert!(staging.fs().status(&unused.path).await.is_err());
        assert!(staging.fs().status(&used.path).await.is_ok());
        assert!(
            staging.fs().status(&later.path).await.is_ok(),
            "an ApplicationMaster is to become it"
        );
    }

    #[tokio::test]
    async fn an_application_that_was_killed_leaves_its_outputs_free() {
        let directory = tempfile::tempdir().unwrap();
        let conf = Configuration::defaults(&|_| None);
        let builder = FileSystems::builder(&conf, "ada").local_home(directory.path());
        let systems = Arc::new(builder.local_working(directory.path()).build().unwrap());
        let staging = Staging::locate(
            &systems,
            Some(&directory.path().join(STAGING_DIR).display().to_string()),
        );
        let staging = staging.unwrap();
        let text = "version: 1\nstages: [{ name: a, tasks: 1, shell: x, output: out }]\n";
        let job = JobFile::parse(std::path::Path::new("job.yaml"), text).unwrap();
        let settings = Resolved::of(&Layers::default()).unwrap();
        let home = systems.resolve(".").unwrap();
        let planned = crate::plan::resolve(&job, &settings, &home).unwrap();
        let contents = serde_json::to_vec(&planned.plan).unwrap();
        staging
            .application_file("application_1_0001", PLAN_FILE_NAME, contents.into())
            .await
            .unwrap();
        let output: OutputPlan = planned.plan.stages[0].output.clone().unwrap();
        Outputs::new(Arc::clone(&systems), "application_1_0001")
            .prepare(&output)
            .await
            .unwrap();
        assert!(directory.path().join("out").exists());

        remove(&systems, &staging, "application_1_0001").await;

        assert!(!directory.path().join("out").exists());
        assert!(
            !directory
                .path()
                .join(STAGING_DIR)
                .join("apps/application_1_0001")
                .exists()
        );
    }
}
