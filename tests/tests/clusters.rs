//! One small job on every kind of cluster that we promise to work with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Builder, Calculator, Hadoop, Protection, Scheduler, Site, Version};
use harness::text::{cut, word_counts, written_by_people};
use harness::user::User;
use harness::{wait, workspace};
use std::fs;

const PARTS: usize = 4;

/// Counts words with two executors of two cores; all paths are below `base`.
fn count_job(base: &str) -> String {
    let example = workspace::root().join("examples/wordcount");
    let example = example.display();
    format!(
        "version: 1
name: small-count
executors: {{ instances: 2, memory: 200MiB, cores: 2 }}
env: {{ LC_ALL: C }}
files: [{example}/count.sh, {example}/total.sh]
stages:
  - {{ name: count, inputs: {base}/books, command: [./count.sh], output: {base}/counts }}
  - {{ name: total, after: [count], inputs: {base}/counts, tasks: 1, command: [./total.sh], output: {base}/total }}
"
    )
}

/// Runs the job for a new person and requires the right counts.
fn counts_words(options: Builder, with_hdfs: bool) {
    let hadoop = options.start().unwrap();
    counts_words_on(&hadoop, &User::new(&hadoop, "ada").unwrap(), with_hdfs);
}

/// The same on a cluster that is there; gives the application's id.
fn counts_words_on(hadoop: &Hadoop, user: &User<'_>, with_hdfs: bool) -> String {
    let text = written_by_people(100_000).unwrap();
    for (number, part) in cut(&text, PARTS).into_iter().enumerate() {
        user.write(&format!("books/{number}.txt"), part).unwrap();
    }
    let base = if with_hdfs {
        "work".to_owned()
    } else {
        user.dir().join("work").display().to_string()
    };
    user.must(["fs", "mkdir", &base]).unwrap();
    user.must(["fs", "put", "books", &format!("{base}/books")])
        .unwrap();
    let staging = format!("staging.dir={}", user.dir().join("staging").display());
    let args: &[&str] = if with_hdfs { &[] } else { &["--conf", &staging] };
    let output = user.submit_and_wait(&count_job(&base), args).unwrap();
    output.must_end(0, &["verdict    succeeded"]);
    let total = String::from_utf8(user.get(&format!("{base}/total/part-00000")).unwrap()).unwrap();
    assert!(total == word_counts(&text), "the counts differ");
    let application = Application::of_output(hadoop, &output).unwrap();
    assert_eq!(application.report().unwrap()["finalStatus"], "SUCCEEDED");
    application.wait_gone().unwrap();
    let staged = if with_hdfs {
        user.staged().unwrap()
    } else {
        names_in(user, "staging/apps")
    };
    assert_eq!(staged, [""; 0]);
    application.id().to_owned()
}

/// The log files of an application that has ended, from the file system where YARN has collected them: the same bytes as
/// `yarn logs` prints.
fn reads_collected_logs(options: Builder) {
    let hadoop = options.log_aggregation(true).start().unwrap();
    let user = User::new(&hadoop, "ada").unwrap();
    let id = counts_words_on(&hadoop, &user, true);
    wait_collected(&hadoop, &id);
    let ours = user.must(["logs", &id]).unwrap();
    let master = format!("{}_01_000001", id.replace("application", "container"));
    assert!(ours.contains(&format!("==> {master} on localhost:")), "{ours}");
    let tool = "org.apache.hadoop.yarn.client.cli.LogsCLI";
    let theirs = hadoop
        .tool(tool, &["-applicationId", &id, "-appOwner", user.name()])
        .unwrap();
    let files: Vec<&str> = ours.split("==> ").skip(1).collect();
    assert!(files.len() >= 6, "three containers: {ours}");
    for file in files {
        let (heading, contents) = file.split_once(" <==\n").unwrap();
        let (place, name) = heading.split_once(": ").unwrap();
        let (container, node) = place.split_once(" on ").unwrap();
        let from = format!("Container: {container} on {}\n", node.replace(':', "_"));
        let is_it =
            |section: &&str| section.contains(&from) && section.contains(&format!("LogType:{name}\n"));
        let section = theirs.split("\nEnd of LogType:").find(is_it);
        let section = section.unwrap_or_else(|| panic!("no {heading} in {theirs}"));
        let theirs = section.split_once("LogContents:\n").unwrap().1;
        assert_eq!(contents.strip_suffix('\n').unwrap(), theirs, "{heading}");
    }
    let end = user
        .must(["logs", &id, "--executor", &master, "--tail", "10b"])
        .unwrap();
    let last = end
        .split(" <==\n")
        .nth(1)
        .and_then(|text| text.lines().next())
        .unwrap();
    assert!(last.len() < 10 && ours.contains(&format!("{last}\n")), "{end}");
    follows_logs_to_the_end(&hadoop);
    let other = User::new(&hadoop, "eve").unwrap().run(["logs", &id]).unwrap();
    other.must_end(3, &["permission denied", "/tmp/logs/ada"]);
}

/// What `logs -f` prints until the end is what `logs` prints later, although YARN takes the logs from the nodes.
fn follows_logs_to_the_end(hadoop: &Hadoop) {
    let user = User::new(hadoop, "grace").unwrap();
    let gate = user.gate().wait();
    let job = format!(
        "version: 1\nname: talk\nexecutors: {{ instances: 1, memory: 200MiB }}\n\
         stages: [{{ name: talk, tasks: 1, shell: \"echo begun >&2; {gate}; echo last words >&2\" }}]\n"
    );
    let mut client = user.submit(&job, &[]).unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    let args = ["logs", application.id(), "-f", "--task", "talk/0"];
    wait::until("the task", STEP, || user.gate().arrivals().len() == 1).unwrap();
    let mut follow = user.drawloom(args).spawn().unwrap();
    follow.wait_for_text("begun", STEP).unwrap();
    user.gate().open().unwrap();
    client.wait(STEP).unwrap().must_end(0, &[]);
    let output = follow.wait(STEP).unwrap();
    output.must_end(0, &[]);
    let said: Vec<_> = output
        .stdout
        .lines()
        .filter_map(|line| line.split_once("] "))
        .collect();
    let words: Vec<_> = said.iter().map(|(_, words)| *words).collect();
    assert_eq!(words, ["begun", "last words"], "{output}");
}

fn wait_collected(hadoop: &Hadoop, id: &str) {
    let report = format!("/ws/v1/cluster/apps/{id}");
    let collected = || {
        let report = hadoop.rm_get(&report);
        report.is_ok_and(|report| report["app"]["logAggregationStatus"] == "SUCCEEDED")
    };
    wait::until("its logs to be collected", STEP, collected).unwrap();
}

fn names_in(user: &User<'_>, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(user.dir().join(dir)).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn works_with_integrity_and_the_dominant_calculator() {
    let options = Hadoop::builder().nodes(2).protection(Protection::Integrity);
    counts_words(options.calculator(Calculator::Dominant), true);
}

#[test]
fn works_with_privacy_and_the_fair_scheduler() {
    let options = Hadoop::builder().nodes(2).protection(Protection::Privacy);
    counts_words(options.scheduler(Scheduler::Fair), true);
}

#[test]
fn works_on_the_oldest_release_with_authentication_and_collected_logs() {
    let options = Hadoop::builder().nodes(2).version(Version::V3_3_6);
    reads_collected_logs(options.protection(Protection::Authentication));
}

#[test]
fn works_on_the_oldest_release_with_privacy_and_the_fair_scheduler() {
    let options = Hadoop::builder()
        .version(Version::V3_3_6)
        .protection(Protection::Privacy);
    counts_words(options.scheduler(Scheduler::Fair), true);
}

#[test]
fn works_on_the_newest_release_with_privacy_the_dominant_calculator_and_collected_logs() {
    let options = Hadoop::builder().nodes(2).version(Version::V3_5_0);
    let options = options
        .protection(Protection::Privacy)
        .calculator(Calculator::Dominant)
        .property(
            Site::Yarn,
            "yarn.nodemanager.log-aggregation.compression-type",
            "gz",
        );
    reads_collected_logs(options);
}

#[test]
fn works_without_hdfs() {
    counts_words(Hadoop::builder().nodes(2).hdfs(false), false);
}
