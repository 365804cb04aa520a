//! What is wrong with a job, a cluster or a task is said in words that tell what to do, with the right exit code, and
//! nothing stays staged.
//!
//! A wrong protocol version cannot be had from one binary; the gateway's own tests are about that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::cluster::{Kind, OfRun};
use harness::hadoop::Hadoop;
use harness::in_both_modes;
use harness::mode::Mode;
use harness::process::{Drawloom, Output};
use harness::user::User;
use harness::wait;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

static CLUSTER: OfRun = OfRun::new(|| Hadoop::builder().nodes(1));

fn job(stage: &str) -> String {
    format!(
        "version: 1
name: bad-input
executors: {{ instances: 1, memory: 256MiB, cores: 2 }}
stages:
  - name: work
{stage}
"
    )
}

const FINE: &str = "    tasks: 1\n    shell: 'true'";

/// Submits and requires a refusal with these words that leaves no application and nothing staged.
fn refused(user: &User<'_>, job: &str, args: &[&str], code: i32, words: &[&str]) -> Output {
    let output = user.submit_and_wait(job, args).unwrap();
    output.must_end(code, words);
    output.must_end(code, &["error: ", "help: "]);
    assert!(!output.stderr.contains("submitted"), "{output}");
    assert_eq!(user.staged().unwrap(), [""; 0]);
    output
}

#[test]
fn an_unreachable_resource_manager_is_named_with_where_its_address_comes_from() {
    let cluster = CLUSTER.get();
    let user = User::new(cluster, "unreachable").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = format!(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name><value>{closed}</value></property></configuration>"
    );
    user.write("conf/yarn-site.xml", site).unwrap();
    fs::copy(
        cluster.conf_dir().join("core-site.xml"),
        user.dir().join("conf/core-site.xml"),
    )
    .unwrap();
    let words = [
        closed.to_string(),
        "yarn-site.xml".to_owned(),
        "--conf-dir".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refused(&user, &job(FINE), &["--conf-dir", "conf"], 3, &words);
    user.run(["list", "--conf-dir", "conf"])
        .unwrap()
        .must_end(3, &words);
}

in_both_modes!(
    an_unknown_queue_is_refused_with_those_there_are,
    memory_and_cores_above_the_largest_container_are_refused_with_what_there_is,
    all_problems_of_a_job_file_are_told_at_once_with_their_places,
    what_could_never_run_is_refused_before_it_is_submitted,
    a_missing_input_is_named_with_how_to_put_it_there,
    an_output_that_exists_is_refused_and_kept_unless_it_may_be_replaced,
    a_failing_task_that_floods_its_standard_error_is_quoted_by_its_last_lines,
    binary_results_arrive_byte_by_byte,
    an_input_of_no_bytes_gives_a_result_of_no_bytes,
    an_input_directory_without_files_is_a_stage_without_tasks,
    executors_that_cannot_start_use_up_their_budget_and_the_cause_is_named,
);

fn an_unknown_queue_is_refused_with_those_there_are(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "queue", mode).unwrap();
    refused(
        &user,
        &job(FINE),
        &["--queue", "nope"],
        3,
        &["\"nope\"", "root.default", "--queue"],
    );
}

fn memory_and_cores_above_the_largest_container_are_refused_with_what_there_is(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "memory", mode).unwrap();
    refused(
        &user,
        &job(FINE),
        &["--executor-memory", "64g"],
        3,
        &["executors.memory", "64GiB", "4GiB"],
    );
    refused(
        &user,
        &job(FINE),
        &["--driver-memory", "65g"],
        3,
        &["am.memory", "65GiB", "4GiB"],
    );
    refused(
        &user,
        &job(FINE),
        &["--executor-cores", "99"],
        3,
        &["executors.cores", "99 cores"],
    );
}

fn all_problems_of_a_job_file_are_told_at_once_with_their_places(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "invalid", mode).unwrap();
    let invalid = "version: 1
quue: default
executors: { instances: none }
stages:
  - name: a
    after: [c]
    tasks: 2
    command: [x]
    shell: y
";
    let places = [
        "job.yaml:2:1",
        "queue",
        "job.yaml:3:25",
        "job.yaml:6:13",
        "\"c\"",
        "job.yaml:9:12",
        "docs/job-file.md",
    ];
    refused(&user, invalid, &[], 2, &places);
    refused(&user, "version: 1\nstages: [", &[], 2, &["job.yaml:"]);
    let missing = user.run(["submit", "no-such.yaml"]).unwrap();
    missing.must_end(2, &["no-such.yaml", "cannot be read"]);
    refused(
        &user,
        &job(FINE),
        &["--conf", "task.max-failures=many"],
        2,
        &["task.max-failures", "many", "--conf"],
    );
}

fn what_could_never_run_is_refused_before_it_is_submitted(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "never", mode).unwrap();
    let impossible = "version: 1
nmae: never
executors: { instances: 1, memory: 256MiB, cores: 2 }
pools: [{ name: prod, min-share: 3 }]
stages:
  - { name: a, tasks: 1, shell: 'true', cores: 3, pool: pord }
  - { name: b, tasks: 1, shell: 'true', after: c }
  - { name: c, tasks: 1, shell: 'true', after: b }
";
    let words = [
        "job.yaml:2:1: unknown key \"nmae\"",
        "job.yaml:4:34: pool prod has a min-share of 3, all executors together have 2 slots",
        "job.yaml:6:48: each task of stage a takes 3 cores, an executor has 2",
        "job.yaml:6:57: stage a uses pool pord",
        "did you mean \"prod\"?",
        "job.yaml:7:5: stages wait for each other: b after c after b",
    ];
    refused(&user, impossible, &[], 2, &words);
    // That it is more than all nodes have, only the cluster can tell.
    let most = |more: &str, stage: &str| {
        format!(
            "version: 1\nexecutors: {{ instances: 999, memory: 1GiB }}\n{more}stages:\n  \
             - {{ name: a, tasks: 500, shell: 'true'{stage} }}\n"
        )
    };
    let gang = most("", ", barrier: true");
    refused(
        &user,
        &gang,
        &[],
        3,
        &[
            "the gang of 500 tasks of stage a takes 500 executors",
            "have room for",
        ],
    );
    let share = most("pools: [{ name: prod, min-share: 400 }]\n", ", pool: prod");
    refused(
        &user,
        &share,
        &[],
        3,
        &[
            "the min-share of 400 of pool prod takes 400 executors",
            "have room for",
        ],
    );
}

fn a_missing_input_is_named_with_how_to_put_it_there(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "no-input", mode).unwrap();
    let stage = |input: &str| job(&format!("    inputs: {input}\n    shell: cat"));
    // The default file system of the embedded cluster is this machine's.
    let where_to_put = match Kind::of_run() {
        Kind::Hadoop => "drawloom fs put",
        Kind::Mini => "it is looked for on this machine",
    };
    refused(
        &user,
        &stage("nowhere/text"),
        &[],
        3,
        &["nowhere/text", "\"work\"", where_to_put],
    );
    refused(
        &user,
        &stage("nowhere/*.txt"),
        &[],
        3,
        &["nowhere/*.txt", "matches nothing"],
    );
}

fn an_output_that_exists_is_refused_and_kept_unless_it_may_be_replaced(mode: Mode) {
    let cluster = CLUSTER.get();
    let user = User::in_mode(cluster, "output", mode).unwrap();
    user.put("precious", "results/part-00000").unwrap();
    let stage = "    tasks: 1\n    shell: echo new\n    output: results";
    refused(
        &user,
        &job(stage),
        &[],
        3,
        &["results", "exists", "drawloom fs rm -r", "overwrite: true"],
    );
    assert_eq!(user.get("results/part-00000").unwrap(), b"precious");
    let stage = format!("{stage}\n    overwrite: true");
    user.submit_and_wait(&job(&stage), &[]).unwrap().must_end(0, &[]);
    assert_eq!(user.get("results/part-00000").unwrap(), b"new\n");
}

#[test]
fn a_missing_file_of_the_job_is_named() {
    let cluster = CLUSTER.get();
    let user = User::new(cluster, "no-file").unwrap();
    let with_file = |file: &str| format!("{}files: [{file}]\n", job(FINE));
    refused(
        &user,
        &with_file("tool.sh"),
        &[],
        3,
        &["tool.sh", "beside the job file"],
    );
    refused(&user, &job(FINE), &["--files", "other.sh"], 3, &["other.sh"]);
    let scheme = cluster.as_hadoop().map_or("file", |_| "hdfs");
    refused(
        &user,
        &with_file(&format!("{scheme}:///no/such/tool.sh")),
        &[],
        3,
        &["/no/such/tool.sh"],
    );
    fs::create_dir(user.dir().join("folder")).unwrap();
    refused(
        &user,
        &with_file("folder"),
        &[],
        3,
        &["folder", "is a directory", "archive"],
    );
}

/// Submissions over REST that are switched off, and permissions that hold for whoever runs the tests: HDFS has them,
/// while on local files root may do everything.
mod on_hadoop {
    use super::{CLUSTER, FINE, Hadoop, User, job, refused};
    use harness::hadoop::Site;

    #[test]
    fn a_cluster_that_takes_no_submissions_over_rest_is_refused_with_the_property_to_set() {
        let property = "yarn.webapp.enable-rest-app-submissions";
        let hadoop = Hadoop::builder()
            .property(Site::Yarn, property, false)
            .start()
            .unwrap();
        let user = User::new(&hadoop, "no-rest").unwrap();
        refused(&user, &job(FINE), &[], 3, &["switched off", property]);
    }

    #[test]
    fn a_staging_directory_that_may_not_be_written_is_refused_with_what_to_do() {
        let hadoop = CLUSTER.hadoop();
        let user = User::new(hadoop, "no-home").unwrap();
        hadoop.make_hdfs_dir("/user/no-home", "755").unwrap();
        hadoop.set_hdfs_owner("/user/no-home", "somebody").unwrap();
        refused(
            &user,
            &job(FINE),
            &[],
            3,
            &["/user/no-home/.drawloom", "writable", "administrator"],
        );
        user.submit_and_wait(&job(FINE), &["--conf", "staging.dir=/tmp/no-home-staging"])
            .unwrap()
            .must_end(0, &[]);
        let left = hadoop
            .hdfs_list("/tmp/no-home-staging/apps")
            .unwrap()
            .unwrap_or_default();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let cluster = CLUSTER.get();
    let user = User::new(cluster, "conf").unwrap();
    let broken = "<configuration>\n<property><name>a</name\n</configuration>";
    let file = user.write("broken/core-site.xml", broken).unwrap();
    fs::create_dir(user.dir().join("empty")).unwrap();
    let run = |dir: &str| {
        let drawloom = Drawloom::without_cluster(user.dir()).env("HADOOP_CONF_DIR", user.dir().join(dir));
        drawloom.args(["list"]).run(STEP).unwrap()
    };
    let words = ["nowhere", "HADOOP_CONF_DIR", "No such file", "--conf-dir"];
    run("nowhere").must_end(3, &words);
    run("empty").must_end(3, &["empty", "HADOOP_CONF_DIR", "core-site.xml"]);
    run("broken").must_end(3, &[&format!("{}:", file.display()), "malformed XML"]);
    let bare = |args: &[&str]| {
        let drawloom = Drawloom::without_cluster(user.dir()).current_dir(user.dir());
        drawloom.args(args).run(STEP).unwrap()
    };
    if !Path::new("/etc/hadoop/conf").exists() {
        bare(&["list"]).must_end(3, &["HADOOP_CONF_DIR", "--conf-dir"]);
        // As of the embedded cluster, on which jobs run then.
        bare(&["fs", "rm", "-r", "empty"]).must_end(0, &["files of this machine"]);
        assert!(!user.dir().join("empty").exists());
    }
}

/// The files that the executors of an application wrote for its tasks, with their sizes.
fn task_logs(application: &Application<'_>) -> Vec<(PathBuf, u64)> {
    let folders = application
        .containers()
        .into_iter()
        .map(|container| container.logs);
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    let of_tasks = files.filter(|file| file.file_name().to_string_lossy().starts_with("task-"));
    of_tasks
        .map(|file| (file.path(), file.metadata().unwrap().len()))
        .collect()
}

#[test]
fn a_task_that_floods_its_standard_error_succeeds_and_its_log_stays_small() {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::new(cluster, "flood").unwrap();
    let stage = "    tasks: 1
    shell: |
      echo the beginning >&2
      yes 'nothing but noise, line by line' | head -c 1000000000 >&2
      echo the end >&2
      echo done
    output: flooded";
    let output = user.submit_and_wait(&job(stage), &[]).unwrap();
    output.must_end(0, &["verdict    succeeded"]);
    assert_eq!(user.get("flooded/part-00000").unwrap(), b"done\n");
    let application = Application::of_output(cluster, &output).unwrap();
    let [(log, size)] = task_logs(&application).try_into().unwrap();
    assert!(size < 70 << 20, "{size} bytes");
    let text = fs::read(log).unwrap();
    assert!(text.starts_with(b"the beginning\n") && text.ends_with(b"the end\n"));
}

fn a_failing_task_that_floods_its_standard_error_is_quoted_by_its_last_lines(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "flood-fails", mode).unwrap();
    let stage = "    tasks: 1
    retries: 0
    shell: |
      yes noise | head -c 20000000 >&2
      printf '\\377\\376\\000 bytes that are no text\\n' >&2
      echo the end >&2
      exit 3";
    let output = user.submit_and_wait(&job(stage), &[]).unwrap();
    output.must_end(1, &["exit code 3", "bytes that are no text", "the end"]);
    let report = Application::of_output(cluster, &output)
        .unwrap()
        .report()
        .unwrap();
    let diagnostics = report["diagnostics"].as_str().unwrap();
    assert!(diagnostics.chars().count() <= 2000, "{diagnostics}");
    assert!(diagnostics.contains("the end"), "{diagnostics}");
}

fn binary_results_arrive_byte_by_byte(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "binary", mode).unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    user.put(&bytes, "in/bytes").unwrap();
    let stage = "    inputs: in\n    command: [cat]\n    output: out";
    user.submit_and_wait(&job(stage), &[]).unwrap().must_end(0, &[]);
    assert!(user.get("out/part-00000").unwrap() == bytes);
}

fn an_input_of_no_bytes_gives_a_result_of_no_bytes(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "zero", mode).unwrap();
    user.put("", "in/nothing").unwrap();
    let stage = "    inputs: in\n    split: 1MiB\n    shell: cat; wc -c >&2\n    output: out";
    user.submit_and_wait(&job(stage), &[])
        .unwrap()
        .must_end(0, &["verdict    succeeded"]);
    let listed = user.list("out").unwrap().unwrap();
    assert_eq!(listed, ["_SUCCESS", "part-00000"]);
    assert_eq!(user.get("out/part-00000").unwrap(), b"");
}

fn an_input_directory_without_files_is_a_stage_without_tasks(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "no-files", mode).unwrap();
    user.must(["fs", "mkdir", "in"]).unwrap();
    let stage = "    inputs: in\n    command: [cat]\n    output: out";
    user.submit_and_wait(&job(stage), &[])
        .unwrap()
        .must_end(0, &["verdict    succeeded"]);
    assert_eq!(user.list("out").unwrap().unwrap(), ["_SUCCESS"]);
}

#[test]
fn ten_thousand_input_files_are_read_each_once() {
    const FILES: usize = 10_000;
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::new(cluster, "many").unwrap();
    for number in 0..FILES {
        user.write(&format!("numbers/{number:05}"), format!("{number}\n"))
            .unwrap();
    }
    user.must(["fs", "mkdir", "in"]).unwrap();
    user.must(["fs", "put", "numbers", "in/numbers"]).unwrap();
    let stage = "    inputs: in/numbers\n    tasks: 4\n    command: [cat]\n    output: out";
    let output = user.submit_and_wait(&job(stage), &[]).unwrap();
    output.must_end(0, &["succeeded: 4 of 4 tasks"]);
    let parts = (0..4).map(|part| user.get(&format!("out/part-{part:05}")).unwrap());
    let lines = String::from_utf8(parts.collect::<Vec<_>>().concat()).unwrap();
    assert_eq!(lines.lines().count(), FILES);
    let numbers: BTreeSet<usize> = lines.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.into_iter().eq(0..FILES));
}

/// The binary as the NodeManagers have localized it for this person.
fn localized_binaries(user: &User<'_>) -> Vec<PathBuf> {
    let dirs = user.cluster().local_dirs().into_iter();
    let caches = dirs.map(|dir| dir.join("usercache").join(user.name()).join("filecache"));
    let copies = caches.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    copies
        .map(|copy| copy.path().join("drawloom"))
        .filter(|file| file.is_file())
        .collect()
}

fn executors_that_cannot_start_use_up_their_budget_and_the_cause_is_named(mode: Mode) {
    let cluster = CLUSTER.get();
    let _tails = cluster.tails_on_panic();
    let user = User::in_mode(cluster, "no-start", mode).unwrap();
    let gate = user.gate().wait();
    let stage = format!("    tasks: 1\n    shell: \"{gate}\"");
    let mut client = user
        .submit(&job(&stage), &["--conf", "executor.max-failures=2"])
        .unwrap();
    let application = Application::submitted_by(cluster, &mut client).unwrap();
    wait::until("the task", STEP, || user.gate().arrivals().len() == 1).unwrap();
    let binaries = localized_binaries(&user);
    assert_eq!(binaries.len(), 1, "{binaries:?}");
    // The running processes keep the old file.
    fs::remove_file(&binaries[0]).unwrap();
    fs::write(&binaries[0], "no program at all").unwrap();
    application.executors()[0].signal(harness::hadoop::Signal::KILL);
    let output = client.wait(STEP).unwrap();
    output.must_end(
        1,
        &[
            "verdict    failed",
            "executor",
            "exited with code 126",
            "ermission denied",
        ],
    );
    let report = application.report().unwrap();
    assert_eq!(report["finalStatus"], "FAILED", "{report}");
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0]);
}
