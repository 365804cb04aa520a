//! The commands around a job, against a real cluster: what they print, and that programs can rely on it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Shared};
use harness::http;
use harness::process::Running;
use harness::user::User;
use harness::wait;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;

static HADOOP: Shared = Shared::new(|| Hadoop::builder().nodes(2));

fn gated(user: &User<'_>) -> String {
    let gate = user.gate().wait();
    format!(
        "version: 1
name: look at me
executors: {{ instances: 1, memory: 256MiB, cores: 2 }}
stages:
  - name: first-stage
    tasks: 2
    shell: |
      echo words of task $DRAWLOOM_TASK >&2
      {gate}
"
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The application of this id in the answer of `drawloom list -o json`.
fn listed(user: &User<'_>, id: &str, args: &[&str]) -> Option<Value> {
    let text = user.must([&["list", "-o", "json"], args].concat()).unwrap();
    json(&text)
        .as_array()
        .unwrap()
        .iter()
        .find(|app| app["id"] == id)
        .cloned()
}

#[test]
fn a_job_can_be_listed_looked_at_and_its_logs_read_while_it_runs_and_afterwards() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let user = User::new(hadoop, "looker").unwrap();
    let mut client = user.submit(&gated(&user), &[]).unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    let id = application.id().to_owned();
    wait::until("both tasks", STEP, || user.gate().arrivals().len() == 2).unwrap();

    let row = listed(&user, &id, &[]).unwrap();
    assert_eq!(
        (&row["name"], &row["user"]),
        (&"look at me".into(), &"looker".into()),
        "{row}"
    );
    assert_eq!(
        (&row["state"], &row["applicationType"]),
        (&"RUNNING".into(), &"DRAWLOOM".into()),
        "{row}"
    );
    let table = user.must(["list"]).unwrap();
    assert!(
        table.contains("APPLICATION") && table.contains(&id) && table.contains("look at me"),
        "{table}"
    );
    status_while_running(&user, &application);
    let mut exporter = user
        .drawloom(["exporter", "--listen", "127.0.0.1:0", "--interval", "1s"])
        .spawn()
        .unwrap();
    let scraped = Scraped::by(&mut exporter);
    scraped.lists_and_relays(&id);
    let container = application.container(1, 2);
    for words in [
        "words of task 0",
        "words of task 1",
        "registered with the ResourceManager",
        &container,
    ] {
        // What a task says comes into its log by way of its executor.
        let said = || user.must(["logs", &id]).unwrap().contains(words);
        wait::until(words, STEP, said).unwrap();
    }

    user.gate().open().unwrap();
    client.wait(STEP).unwrap().must_end(0, &[]);
    scraped.keeps_the_last_sample(&id);
    exporter.signal(Signal::TERM).unwrap();
    exporter.wait(STEP).unwrap().must_end(0, &[]);
    assert!(
        listed(&user, &id, &[]).is_none(),
        "ended applications are shown on demand"
    );
    assert_eq!(
        listed(&user, &id, &["--all"]).unwrap()["finalStatus"],
        "SUCCEEDED"
    );
    status_of_the_ended(&user, &id);
    logs_of_the_ended(&user, &application);
}

/// A running `drawloom exporter`, asked as Prometheus does.
struct Scraped(SocketAddr);

impl Scraped {
    fn by(exporter: &mut Running) -> Self {
        let line = exporter.wait_for_text("serving http://", STEP).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        Self(rest.split_once("/sd").unwrap().0.parse().unwrap())
    }

    fn get(&self, path: &str) -> (u16, String) {
        let response = http::request(self.0, "GET", path, "", STEP).unwrap();
        (response.status, String::from_utf8(response.body).unwrap())
    }

    fn lists_and_relays(&self, id: &str) {
        let labels = wait::for_value("the application among the targets", STEP, || {
            let (status, text) = self.get("/sd");
            let targets = json(if status == 200 { &text } else { "[]" });
            let mine = targets.as_array().unwrap().iter();
            Ok(mine
                .map(|target| target["labels"].clone())
                .find(|labels| labels["app_id"] == id))
        });
        let labels = labels.unwrap();
        assert_eq!(
            (&labels["instance"], &labels["yarn_user"]),
            (&id.into(), &"looker".into()),
            "{labels}"
        );
        let (status, text) = self.get(labels["__metrics_path__"].as_str().unwrap());
        assert_eq!(status, 200, "{text}");
        let sample = "drawloom_tasks{stage=\"first-stage\",state=\"running\"} 2";
        assert!(text.contains(sample) && text.ends_with("# EOF\n"), "{text}");
        assert_eq!(self.get("/app/application_1_0001/metrics").0, 404);
    }

    fn keeps_the_last_sample(&self, id: &str) {
        wait::until("the end to be counted", STEP, || {
            let counted = |line: &str| {
                line.starts_with("drawloom_apps_finished_total{")
                    && line.contains("\"SUCCEEDED\"")
                    && !line.ends_with(" 0")
            };
            self.get("/metrics").1.lines().any(counted)
        })
        .unwrap();
        let (status, text) = self.get(&format!("/app/{id}/metrics"));
        assert!(status == 200 && text.contains("drawloom_info"), "{status} {text}");
    }
}

fn status_while_running(user: &User<'_>, application: &Application<'_>) {
    let running = |summary: &Value| summary["tasks"]["running"] == 2;
    application
        .wait_summary("both tasks to be known as running", running)
        .unwrap();
    let text = user.must(["status", application.id()]).unwrap();
    for words in [
        application.id(),
        "RUNNING",
        "1 of 1 registered",
        "first-stage",
        "0/2 tasks, 2 running",
    ] {
        assert!(text.contains(words), "no {words:?} in: {text}");
    }
    let status = json(&user.must(["status", application.id(), "-o", "json"]).unwrap());
    assert_eq!(
        (&status["state"], &status["verdict"]),
        (&"RUNNING".into(), &"still running".into()),
        "{status}"
    );
    assert_eq!(status["summary"]["stages"][0]["tasks"]["running"], 2, "{status}");
    assert!(
        status["trackingUrl"]
            .as_str()
            .unwrap()
            .contains("/proxy/application_"),
        "{status}"
    );
}

fn status_of_the_ended(user: &User<'_>, id: &str) {
    let text = user.must(["status", id]).unwrap();
    assert!(text.contains("succeeded (FINISHED)"), "{text}");
    let status = json(&user.must(["status", id, "-o", "json"]).unwrap());
    assert_eq!(
        (&status["state"], &status["finalStatus"]),
        (&"FINISHED".into(), &"SUCCEEDED".into()),
        "{status}"
    );
    assert!(
        status["diagnostics"]
            .as_str()
            .unwrap()
            .starts_with("succeeded: 2 of 2 tasks"),
        "{status}"
    );
}

fn logs_of_the_ended(user: &User<'_>, application: &Application<'_>) {
    let id = application.id();
    let all = user.must(["logs", id]).unwrap();
    assert!(
        all.contains("words of task 0") && all.contains("words of task 1"),
        "{all}"
    );
    let task = user.must(["logs", id, "--task", "first-stage/1"]).unwrap();
    assert!(
        task.contains("words of task 1") && !task.contains("words of task 0"),
        "{task}"
    );
    let master = user
        .must(["logs", id, "--executor", &application.container(1, 1)])
        .unwrap();
    assert!(
        master.contains("registered with the ResourceManager") && !master.contains("words of task"),
        "{master}"
    );
    let tail = user
        .must(["logs", id, "--task", "first-stage/0", "--tail", "7b"])
        .unwrap();
    assert!(tail.contains("task 0") && !tail.contains("words"), "{tail}");
    user.run(["logs", id, "--task", "nothing/0"])
        .unwrap()
        .must_end(3, &["no logs"]);
}

#[test]
fn what_is_no_application_is_told_apart_from_an_unknown_one() {
    let user = User::new(HADOOP.get(), "stranger").unwrap();
    for command in ["status", "logs", "kill"] {
        user.run([command, "app7"])
            .unwrap()
            .must_end(2, &["app7", "application_"]);
        let unknown = user.run([command, "application_1_0001"]).unwrap();
        unknown.must_end(3, &["application_1_0001", "drawloom list --all"]);
    }
}

#[test]
fn files_are_put_listed_printed_fetched_and_removed() {
    let user = User::new(HADOOP.get(), "files").unwrap();
    user.write("tree/one.txt", "one\n").unwrap();
    user.write("tree/below/two.txt", "two\n").unwrap();
    user.must(["fs", "mkdir", "dir/inner"]).unwrap();
    user.must(["fs", "put", "tree", "dir/tree"]).unwrap();
    user.must(["fs", "put", "tree/one.txt", "tree/below/two.txt", "dir/inner"])
        .unwrap();

    let flat = user.must(["fs", "ls", "dir"]).unwrap();
    assert_eq!(flat.lines().count(), 2, "{flat}");
    assert!(
        flat.contains("/user/files/dir/tree") && flat.contains("drwx"),
        "{flat}"
    );
    let deep = user.must(["fs", "ls", "-R", "dir"]).unwrap();
    assert!(
        deep.contains("dir/tree/below/two.txt") && deep.contains("dir/inner/one.txt"),
        "{deep}"
    );
    assert_eq!(user.must(["fs", "cat", "dir/inner/*.txt"]).unwrap(), "one\ntwo\n");
    user.must(["fs", "get", "dir/tree", "back"]).unwrap();
    assert_eq!(
        fs::read_to_string(user.dir().join("back/below/two.txt")).unwrap(),
        "two\n"
    );

    user.run(["fs", "put", "tree/one.txt", "dir/inner/two.txt"])
        .unwrap()
        .must_end(3, &["two.txt", "-f"]);
    user.must(["fs", "put", "-f", "tree/one.txt", "dir/inner/two.txt"])
        .unwrap();
    assert_eq!(user.must(["fs", "cat", "dir/inner/two.txt"]).unwrap(), "one\n");

    user.run(["fs", "rm", "dir/tree"]).unwrap().must_end(3, &["-r"]);
    user.must(["fs", "rm", "-r", "dir/tree"]).unwrap();
    user.must(["fs", "rm", "dir/inner/*.txt"]).unwrap();
    assert_eq!(user.must(["fs", "ls", "-R", "dir"]).unwrap().lines().count(), 1);
    user.run(["fs", "cat", "dir/inner/one.txt"])
        .unwrap()
        .must_end(3, &["dir/inner/one.txt"]);
    user.run(["fs", "ls", "nowhere*"])
        .unwrap()
        .must_end(3, &["nowhere*", "matches nothing"]);
    user.run(["fs", "put", "missing.txt", "x"])
        .unwrap()
        .must_end(3, &["missing.txt"]);
}

#[test]
fn a_dry_run_shows_what_would_be_asked_for_and_submits_nothing() {
    let hadoop = HADOOP.get();
    let user = User::new(hadoop, "dry").unwrap();
    user.write("job.yaml", gated(&user)).unwrap();
    user.write("set.properties", "task.max-failures = 9\n").unwrap();
    let args = [
        "submit",
        "job.yaml",
        "--dry-run",
        "--executor-memory",
        "300m",
        "--properties-file",
        "set.properties",
    ];
    let text = user.must(args).unwrap();
    for words in [
        "look at me",
        "--executor-memory",
        "set.properties",
        "first-stage",
        "2 tasks",
        "granted as 320MiB",
        "4GiB",
    ] {
        assert!(text.contains(words), "no {words:?} in: {text}");
    }
    assert_eq!(user.staged().unwrap(), [""; 0]);
    let all = json(&user.must(["list", "--all", "-o", "json"]).unwrap());
    assert!(
        !all.as_array().unwrap().iter().any(|app| app["user"] == "dry"),
        "{all}"
    );
}

#[test]
fn settings_are_shown_with_their_origin_the_strongest_first() {
    let user = User::new(HADOOP.get(), "settings").unwrap();
    user.write("job.yaml", gated(&user)).unwrap();
    user.write(
        "drawloom/drawloom.properties",
        "queue = from-home\ntask.max-failures = 7\n",
    )
    .unwrap();
    user.write("set.properties", "queue = from-file\n").unwrap();
    let shown = |args: &[&str]| {
        let command = user
            .drawloom([&["config"], args].concat())
            .env("DRAWLOOM_EXECUTORS_CORES", "3");
        let output = command.run(STEP).unwrap();
        output.must_end(0, &[]);
        output.stdout
    };
    let weak = shown(&[]);
    assert!(
        weak.contains("queue = from-home") && weak.contains("task.max-failures = 7"),
        "{weak}"
    );
    assert!(
        weak.contains("executors.cores = 3") && weak.contains("DRAWLOOM_EXECUTORS_CORES"),
        "{weak}"
    );
    let file = shown(&["--properties-file", "set.properties", "job.yaml"]);
    assert!(
        file.contains("queue = from-file") && file.contains("executors.cores = 2"),
        "{file}"
    );
    let flag = shown(&["--properties-file", "set.properties", "--conf", "queue=from-flag"]);
    assert!(flag.contains("queue = from-flag"), "{flag}");
    let hadoop = shown(&["--hadoop"]);
    assert!(
        hadoop.contains("fs.defaultFS = hdfs://127.0.0.1") && hadoop.contains("core-site.xml"),
        "{hadoop}"
    );
}

#[test]
fn one_command_runs_as_a_job_without_a_file() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let user = User::new(hadoop, "runner").unwrap();
    user.put("b\na\n", "in/one").unwrap();
    user.put("d\nc\n", "in/two").unwrap();
    let small = ["--executor-memory", "256m", "--num-executors", "1"];
    let args = ["run", "--input", "in", "--output", "sorted", "--", "sort", "-r"];
    let run = [&args[..5], &small, &args[5..]].concat();
    user.run(run).unwrap().must_end(0, &["verdict    succeeded"]);
    assert_eq!(user.must(["fs", "cat", "sorted/part-*"]).unwrap(), "b\na\nd\nc\n");

    let tool = user
        .write(
            "tool.sh",
            "#!/bin/bash\necho task $DRAWLOOM_TASK of $DRAWLOOM_TASKS with $1\n",
        )
        .unwrap();
    let files = tool.to_str().unwrap();
    let args = [
        "run",
        "-n",
        "3",
        "--files",
        files,
        "--name",
        "tooled",
        "--output",
        "out",
        "--",
        "./tool.sh",
        "x",
    ];
    let run = [&args[..9], &small, &args[9..]].concat();
    let output = user.run(run).unwrap();
    output.must_end(0, &["(tooled)", "succeeded: 3 of 3 tasks"]);
    let lines = user.must(["fs", "cat", "out/part-*"]).unwrap();
    assert_eq!(
        lines,
        "task 0 of 3 with x\ntask 1 of 3 with x\ntask 2 of 3 with x\n"
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let user = User::new(HADOOP.get(), "typist").unwrap();
    user.run(["submit"]).unwrap().must_end(2, &["JOB"]);
    user.run(["submit", "--no-such-flag", "x"])
        .unwrap()
        .must_end(2, &["--no-such-flag"]);
    user.run(["frobnicate"]).unwrap().must_end(2, &["frobnicate"]);
    user.run(["--version"]).unwrap().must_end(0, &[]);
}
