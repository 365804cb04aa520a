//! `drawloom doctor`: whether a job could be submitted here and now, and what to do where it could not.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dfs::staging::Staging;
use dfs::{CreateOptions, FileSystems, write_all};
use driver::plan::ExecutorPlan;
use serde::Serialize;
use yarn_rest::Client;
use yarn_rest::model::NodeState;

use super::print;
use crate::cli::{Doctor, Format};
use crate::cluster::{Cluster, unusable};
use crate::error::CommandError;
use crate::settings::{Layer, Resolved};
use crate::submit::rights::Doubt;
use crate::submit::{preflight, prepare};
use crate::terminal::{Paint, Terminal};

/// Clocks that are further apart than this make credentials and logs confusing, in milliseconds.
const SKEW: u64 = 30_000;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the answer. Additive only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    detail: String,
    help: String,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Level::Ok, detail, "")
    }

    fn new(name: &'static str, level: Level, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            name,
            level,
            detail: detail.into(),
            help: help.into(),
        }
    }

    fn failed(name: &'static str, error: &CommandError) -> Self {
        let rendered = error.render(false);
        let part = |label: &str| {
            let lines = rendered.lines().filter_map(|line| line.strip_prefix(label));
            lines.collect::<Vec<_>>().join(" ")
        };
        let detail = [part("error: "), part("cause: ")];
        let detail: Vec<_> = detail.iter().filter(|part| !part.is_empty()).cloned().collect();
        Self::new(name, Level::Fail, detail.join(": "), part("help: "))
    }
}

/// Runs all checks that can be run.
///
/// # Errors
/// Something would keep a job from being submitted.
pub(crate) async fn run(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Doctor,
) -> Result<(), CommandError> {
    let checks = examine(conf_dir, command).await;
    match command.output {
        Format::Json => print(&format!("{}\n", serde_json::json!(checks)))?,
        Format::Text => print(&text(&checks, terminal.out))?,
    }
    let failed = checks.iter().filter(|check| check.level == Level::Fail).count();
    if failed == 0 {
        return Ok(());
    }
    let help = match failed {
        1 => "do what its line says, and look again",
        _ => "mend the first one first: others may follow from it",
    };
    Err(CommandError::refused(format!("{failed} of {} checks failed", checks.len())).help(help))
}

async fn examine(conf_dir: Option<&Path>, command: &Doctor) -> Vec<Check> {
    let mut checks = vec![Check::ok(
        "drawloom",
        concat!("version ", env!("CARGO_PKG_VERSION")),
    )];
    let settings = match settings(command) {
        Ok(settings) => settings,
        Err(error) => {
            checks.push(Check::failed("settings", &error));
            return checks;
        }
    };
    checks.push(Check::ok(
        "settings",
        "valid; `drawloom config` shows where each comes from",
    ));
    let cluster = match Cluster::find(conf_dir) {
        Ok(cluster) => cluster,
        Err(error) => {
            checks.push(Check::failed("configuration", &error));
            return checks;
        }
    };
    let found = format!("{}, acting as {}", cluster.location.dir.display(), cluster.user);
    checks.push(Check::ok("configuration", found));
    match cluster.rest() {
        Ok(client) => checks.extend(resource_manager(&cluster, &client, &settings).await),
        Err(error) => checks.push(Check::failed("ResourceManager", &error)),
    }
    match cluster.file_systems() {
        Ok(systems) => checks.extend(file_system(&systems, &settings).await),
        Err(error) => checks.push(Check::failed("file system", &error)),
    }
    checks
}

fn settings(command: &Doctor) -> Result<Resolved, CommandError> {
    let mut flags = Layer::flags([]);
    flags.set_flag("--queue", "queue", command.queue.clone());
    prepare::settings(flags, None, None)
}

async fn resource_manager(cluster: &Cluster, client: &Client, settings: &Resolved) -> Vec<Check> {
    let info = match client.cluster_info().await {
        Ok(info) => info,
        Err(error) => return vec![Check::failed("ResourceManager", &preflight::rest_failed(error))],
    };
    let state = info
        .ha_state
        .map_or_else(String::new, |state| format!(", {state}"));
    let detail = format!(
        "{} answers: Hadoop {}{state}",
        client.active(),
        info.hadoop_version
    );
    let first = version(&info.hadoop_version, detail);
    vec![
        first,
        nodes(client).await,
        rehearsal(cluster, client, settings).await,
    ]
}

/// What answers is as said in `detail`, and of this version of Hadoop.
fn version(hadoop: &str, detail: String) -> Check {
    let supported = ["3.3.", "3.4.", "3.5."];
    if supported.iter().any(|line| hadoop.starts_with(line)) {
        return Check::ok("ResourceManager", detail);
    }
    let help = "drawloom is tested with Hadoop 3.3, 3.4 and 3.5";
    Check::new("ResourceManager", Level::Warn, detail, help)
}

async fn nodes(client: &Client) -> Check {
    match client.nodes(&[]).await {
        Err(error) => Check::failed("nodes", &preflight::rest_failed(error)),
        Ok(nodes) => {
            let running = nodes.iter().filter(|node| node.state == NodeState::Running);
            let (count, free) = running.fold((0, 0), |(count, free), node| {
                (count + 1, free + node.available_memory_mb)
            });
            let detail = format!("{count} of {} take containers, {free} MiB are free", nodes.len());
            match (count, free) {
                (0, _) => Check::new(
                    "nodes",
                    Level::Fail,
                    detail,
                    "start a NodeManager, or mend an unhealthy one",
                ),
                (_, 0) => Check::new("nodes", Level::Warn, detail, "a job would wait until others end"),
                _ => Check::ok("nodes", detail),
            }
        }
    }
}

/// Everything that a submission asks before it stages anything.
async fn rehearsal(cluster: &Cluster, client: &Client, settings: &Resolved) -> Check {
    let executors = ExecutorPlan {
        resources: settings.amounts("executors.resources"),
        instances: settings.count("executors.instances"),
        memory_mib: settings.mebibytes("executors.memory"),
        cores: settings.count("executors.cores"),
        shares_memory: true,
    };
    match preflight::cluster(cluster, client, &executors, settings).await {
        Ok(checked) => admission(checked.doubt.as_ref(), &cluster.user, settings.text("queue")),
        Err(error) => Check::failed("submission", &error),
    }
}

/// Whether YARN would take an application, of which `doubt` is left.
fn admission(doubt: Option<&Doubt>, user: &str, queue: &str) -> Check {
    let Some(doubt) = doubt else {
        return Check::ok("submission", format!("would be accepted in the queue {queue}"));
    };
    let detail = format!("would be {}", doubt.words(user, queue));
    let help = "only YARN knows that; the queue's lists do not name the user";
    Check::new("submission", Level::Warn, detail, help)
}

async fn file_system(systems: &std::sync::Arc<FileSystems>, settings: &Resolved) -> Vec<Check> {
    let home = match systems.resolve(".") {
        Ok(home) => home,
        Err(error) => return vec![Check::failed("file system", &unusable(error))],
    };
    let staging = Staging::locate(systems, settings.optional("staging.dir"));
    let staging = match staging {
        Ok(staging) => staging,
        Err(error) => return vec![Check::failed("staging", &unusable(error))],
    };
    vec![home_check(systems, &home).await, written(&staging).await]
}

/// Asks the file system for the home directory, which need not exist as long as the staging directory can be made.
async fn home_check(systems: &FileSystems, home: &dfs::DfsPath) -> Check {
    let asked = async { systems.get(home)?.status(home).await };
    match asked.await {
        Ok(_) => Check::ok("file system", format!("home is {home}")),
        Err(error) if error.is_not_found() => {
            Check::ok("file system", format!("home is {home}, which does not exist"))
        }
        Err(error) => Check::failed("file system", &unusable(error)),
    }
}

/// Writes a file where applications are staged, compares its time with ours, and removes it.
async fn written(staging: &Staging) -> Check {
    let probe = staging.base().join(&format!("doctor-{}", std::process::id()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let trial = async {
        staging.fs().mkdirs(staging.base(), 0o700).await?;
        let options = CreateOptions::default();
        write_all(
            staging.fs().as_ref(),
            &probe,
            b"drawloom".as_slice().into(),
            &options,
        )
        .await?;
        let written = staging.fs().status(&probe).await?;
        staging.fs().delete(&probe, false).await?;
        Ok::<_, dfs::DfsError>(written.modified_ms.abs_diff(now))
    };
    match trial.await {
        Err(error) => {
            let elsewhere = "set staging.dir to a directory that you may write and the nodes can read";
            let help = match &error {
                dfs::DfsError::PermissionDenied { .. } => elsewhere,
                other => other.help().unwrap_or(elsewhere),
            };
            Check::new(
                "staging",
                Level::Fail,
                format!("{} cannot be written: {error}", staging.base()),
                help,
            )
        }
        Ok(skew) => clocks(&staging.base().to_string(), skew),
    }
}

/// Of a place that can be written, whose clock and ours are so many milliseconds apart.
fn clocks(place: &str, skew: u64) -> Check {
    if skew <= SKEW {
        return Check::ok("staging", format!("{place} can be written, clocks agree"));
    }
    let apart = skew / 1000;
    let detail = format!("{place} can be written; its clock and ours are {apart} s apart");
    let help = "set the clocks of this host and of the cluster (NTP)";
    Check::new("staging", Level::Warn, detail, help)
}

fn text(checks: &[Check], paint: Paint) -> String {
    let mut text = String::new();
    for check in checks {
        let level = match check.level {
            Level::Ok => paint.good("ok  "),
            Level::Warn => paint.warning("warn"),
            Level::Fail => paint.bad("fail"),
        };
        text.push_str(&format!("{level} {:<16} {}\n", check.name, check.detail));
        if !check.help.is_empty() {
            text.push_str(&format!(
                "     {:<16} {} {}\n",
                "",
                paint.help("help:"),
                check.help
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::json_schema::{assert_documented, assert_still_printed, section};

    #[tokio::test]
    async fn the_file_system_itself_is_asked_for_the_home_directory() {
        let directory = tempfile::tempdir().unwrap();
        let conf = hadoop::conf::Configuration::defaults(&|_| None);
        let systems = FileSystems::builder(&conf, "ada").build().unwrap();
        let home = |name: &str| {
            let path = directory.path().join(name);
            systems.resolve(&format!("file://{}", path.display())).unwrap()
        };
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert_eq!(home_check(&systems, &home("")).await.level, Level::Ok);
        let missing = home_check(&systems, &home("missing")).await;
        assert!(missing.level == Level::Ok && missing.detail.ends_with("does not exist"));
        let below_a_file = home_check(&systems, &home("file/below")).await;
        assert_eq!(below_a_file.level, Level::Fail);
    }

    #[test]
    fn the_json_only_grows_and_is_documented() {
        let printed = serde_json::json!([Check::ok("settings", "valid")]);
        let document = include_str!("../../../docs/command-json.md");
        assert_documented(section(document, "`drawloom doctor -o json`"), &printed);
        assert_still_printed(&printed, &[include_str!("samples/doctor-1.json")]);
        let names = section(document, "`drawloom doctor -o json`");
        for name in [
            "drawloom",
            "settings",
            "configuration",
            "ResourceManager",
            "nodes",
            "submission",
            "file system",
            "staging",
        ] {
            assert!(names.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_queue_that_yarn_may_yet_choose_is_a_warning_and_no_failure() {
        let doubt = Doubt::Placement(vec!["bob".to_owned()]);
        let check = admission(Some(&doubt), "ada", "default");
        assert_eq!(check.level, Level::Warn);
        assert!(
            check
                .detail
                .starts_with("would be refused unless YARN's placement rules")
        );
        assert_eq!(admission(None, "ada", "default").level, Level::Ok);
    }

    #[test]
    fn clocks_that_are_far_apart_and_unknown_versions_are_worth_a_word() {
        let words = |check: Check| (check.level, check.detail, check.help.is_empty());
        let apart = |skew| words(clocks("hdfs://nn/x", skew));
        let agree = "hdfs://nn/x can be written, clocks agree";
        assert_eq!(apart(30_000), (Level::Ok, agree.to_owned(), true));
        let far = "hdfs://nn/x can be written; its clock and ours are 31 s apart";
        assert_eq!(apart(31_000), (Level::Warn, far.to_owned(), false));
        let of = |hadoop: &str| version(hadoop, String::new()).level;
        assert_eq!(
            ["2.10.2", "3.2.4", "3.3.6", "3.5.0"].map(of),
            [Level::Warn, Level::Warn, Level::Ok, Level::Ok]
        );
    }

    #[test]
    fn each_check_is_a_line_and_says_what_to_do() {
        let refused = CommandError::refused("the ResourceManager cannot be reached")
            .because("connection refused")
            .help("is it running?");
        let checks = [
            Check::ok("configuration", "/etc/hadoop/conf, acting as ada"),
            Check::new(
                "nodes",
                Level::Warn,
                "2 of 2 take containers, 0 MiB are free",
                "wait",
            ),
            Check::failed("ResourceManager", &refused),
        ];
        insta::assert_snapshot!(text(&checks, Paint::PLAIN));
    }
}
