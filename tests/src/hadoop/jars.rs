//! Hadoop's jars, and those of Spark's History Server: resolved by Maven once per release into
//! `target/hadoop/<version>/lib`.
//!
//! A file lock makes parallel test processes wait for one resolution; a stamp holding the pom tells when it is done.

use super::java::Java;
use super::version::Version;
use super::xml::Properties;
use crate::{wait, workspace};
use anyhow::{Context, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const RESOLUTION: Duration = Duration::from_secs(900);
const FORMAT: Duration = Duration::from_secs(180);
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// What the four daemons and the command line tools need; `hadoop-common` and the timeline service are `provided`
/// for the ResourceManager, which loads classes of both.
const ARTIFACTS: [&str; 7] = [
    "hadoop-common",
    "hadoop-hdfs",
    "hadoop-hdfs-client",
    "hadoop-yarn-client",
    "hadoop-yarn-server-nodemanager",
    "hadoop-yarn-server-resourcemanager",
    "hadoop-yarn-server-timelineservice",
];

/// One release on this disk: its jars and an empty, formatted NameNode directory to copy.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) lib: PathBuf,
    pub(super) formatted_name_dir: PathBuf,
}

/// Resolves the release's jars and formats the NameNode template, unless an earlier call did.
pub(super) fn release(version: Version, java: &Java) -> anyhow::Result<Release> {
    let dir = workspace::hadoop().join(version.as_str());
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", dir.display()))?;
    let release = Release {
        lib: dir.join("lib"),
        formatted_name_dir: dir.join("name"),
    };
    resolve_once(&dir, &pom(version)).with_context(|| format!("Hadoop {version}"))?;
    if !release.formatted_name_dir.is_dir() {
        format_name_dir(&dir, &release, java)?;
    }
    Ok(release)
}

/// The folder of the jars of Spark's core, with the History Server; resolved unless an earlier call did.
pub(super) fn spark(version: &str) -> anyhow::Result<PathBuf> {
    let dir = workspace::hadoop().join(format!("spark-{version}"));
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", dir.display()))?;
    let dependency = dependency("org.apache.spark", "spark-core_2.13", version);
    resolve_once(&dir, &project(&dependency)).with_context(|| format!("Spark {version}"))?;
    Ok(dir.join("lib"))
}

/// Whether the jars of Spark are there or Maven can be asked for them.
pub(super) fn can_resolve_spark(version: &str) -> anyhow::Result<()> {
    let dependency = dependency("org.apache.spark", "spark-core_2.13", version);
    let dir = workspace::hadoop().join(format!("spark-{version}"));
    if is_resolved(&dir, &project(&dependency)) {
        Ok(())
    } else {
        maven().map(drop)
    }
}

/// Whether the jars are there or Maven can be asked for them.
pub(super) fn can_resolve(version: Version) -> anyhow::Result<()> {
    if is_resolved(&workspace::hadoop().join(version.as_str()), &pom(version)) {
        Ok(())
    } else {
        maven().map(drop)
    }
}

fn is_resolved(dir: &Path, pom: &str) -> bool {
    fs::read_to_string(dir.join("stamp")).is_ok_and(|stamp| stamp == pom)
}

fn maven() -> anyhow::Result<PathBuf> {
    workspace::on_path("mvn").context("mvn is not on PATH: install Maven, it fetches the jars")
}

/// Has Maven copy what a pom names to `lib` in the folder, unless that was done.
fn resolve_once(dir: &Path, pom: &str) -> anyhow::Result<()> {
    if is_resolved(dir, pom) {
        return Ok(());
    }
    let (maven, lib) = (maven()?, dir.join("lib"));
    fs::write(dir.join("pom.xml"), pom)?;
    let partial = fresh_dir(&dir.join("lib.partial"))?;
    let mut command = Command::new(maven);
    command
        .args(["-B", "-q", PLUGIN, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", partial.display()))
        .current_dir(dir);
    let mut fetch = || run_logged(&mut command, &dir.join("mvn.log"), RESOLUTION);
    // Networks fail now and then; what was fetched is not fetched again.
    fetch().or_else(|_| fetch()).context("Maven cannot resolve it")?;
    ensure!(
        fs::read_dir(&partial)?.next().is_some(),
        "Maven copied no jar to {}",
        partial.display()
    );
    remove_dir(&lib)?;
    fs::rename(&partial, &lib)?;
    fs::write(dir.join("stamp"), pom)?;
    Ok(())
}

/// Formats once what every cluster copies: `NameNode -format` costs seconds, a copy of five small files nothing.
fn format_name_dir(dir: &Path, release: &Release, java: &Java) -> anyhow::Result<()> {
    let partial = fresh_dir(&dir.join("name.partial"))?;
    let conf = fresh_dir(&dir.join("name.conf"))?;
    let core = [("fs.defaultFS", "hdfs://127.0.0.1:1".to_owned())];
    Properties::from(core).write(&conf.join("core-site.xml"))?;
    let hdfs = [("dfs.namenode.name.dir", format!("file://{}", partial.display()))];
    Properties::from(hdfs).write(&conf.join("hdfs-site.xml"))?;
    let mut command = java.command(&conf, &release.lib);
    command.args([
        "org.apache.hadoop.hdfs.server.namenode.NameNode",
        "-format",
        "-nonInteractive",
        "-force",
    ]);
    run_logged(&mut command, &dir.join("format.log"), FORMAT)
        .context("cannot format a NameNode directory")?;
    ensure!(
        partial.join("current").is_dir(),
        "formatting a NameNode directory wrote nothing"
    );
    fs::rename(&partial, &release.formatted_name_dir)?;
    Ok(())
}

/// Runs to the end within `limit`; its words go to `log`, whose end is quoted when it fails.
pub(super) fn run_logged(command: &mut Command, log: &Path, limit: Duration) -> anyhow::Result<()> {
    let file = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stderr(file.try_clone()?)
        .stdout(file);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let ended = wait::for_value("the command to end", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let status = ended?;
    ensure!(
        status.success(),
        "{status}; its last words:\n{}",
        super::tail(log, 20)
    );
    Ok(())
}

fn fresh_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    remove_dir(dir)?;
    fs::create_dir_all(dir)?;
    Ok(dir.to_path_buf())
}

fn remove_dir(dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn pom(version: Version) -> String {
    let artifacts = ARTIFACTS.map(|artifact| dependency("org.apache.hadoop", artifact, version.as_str()));
    project(&artifacts.concat())
}

fn dependency(group: &str, artifact: &str, version: &str) -> String {
    format!(
        "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
    )
}

fn project(dependencies: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>drawloom</groupId><artifactId>hadoop-fixture</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}
