//! The first thing a new user does: the example's word count over real text in HDFS, on three executors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, Shared};
use harness::in_both_modes;
use harness::mode::Mode;
use harness::text::{cut, word_counts, written_by_people};
use harness::user::{COMMAND, User};
use harness::{wait, workspace};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

static HADOOP: Shared = Shared::new(|| Hadoop::builder().nodes(2));

const TEXT: usize = 24 << 20;
const FILES: usize = 5;

/// What is asked of an application while it runs.
const PAGES: [&str; 3] = ["", "api/v1/drawloom/summary", "metrics"];

/// What was seen of an application while it ran.
#[derive(Debug, Default)]
struct Seen {
    progress: Vec<f64>,
    pages: BTreeMap<&'static str, String>,
}

impl Seen {
    /// Looks once; true when the application has ended.
    fn look(&mut self, application: &Application<'_>) -> bool {
        let report = application.report().unwrap();
        assert_eq!(report["applicationType"], "DRAWLOOM", "{report}");
        if report["state"] == "RUNNING" {
            self.progress.push(report["progress"].as_f64().unwrap());
            for path in PAGES {
                self.fetch(application, path);
            }
        }
        ["FINISHED", "FAILED", "KILLED"]
            .iter()
            .any(|state| report["state"] == *state)
    }

    /// Whether it was seen at work, with all its pages.
    fn enough(&self) -> bool {
        let at_work = |progress: &f64| (1.0..99.0).contains(progress);
        self.progress.iter().any(at_work) && self.pages.len() == PAGES.len()
    }

    fn fetch(&mut self, application: &Application<'_>, path: &'static str) {
        if self.pages.contains_key(path) {
            return;
        }
        if let Ok(response) = application.page(path)
            && response.status == 200
        {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            self.pages.insert(path, body);
        }
    }
}

/// The example as it is shipped, but that its last stage waits at the gate: it is not over before it was looked at.
fn example(user: &User<'_>) -> PathBuf {
    let shipped = |name: &str| {
        let path = workspace::root().join("examples/wordcount").join(name);
        fs::read_to_string(path).unwrap()
    };
    let total = shipped("total.sh").replacen('\n', &format!("\n{}\n", user.gate().wait()), 1);
    user.write("example/total.sh", total).unwrap();
    user.write("example/count.sh", shipped("count.sh")).unwrap();
    user.write("example/job.yaml", shipped("job.yaml")).unwrap()
}

in_both_modes!(words_of_twenty_megabytes_in_hdfs_are_counted_and_every_promise_of_a_run_is_kept);

fn words_of_twenty_megabytes_in_hdfs_are_counted_and_every_promise_of_a_run_is_kept(mode: Mode) {
    let hadoop = HADOOP.get();
    let user = User::in_mode(hadoop, "ada", mode).unwrap();
    let text = written_by_people(TEXT).unwrap();
    for (number, part) in cut(&text, FILES).into_iter().enumerate() {
        user.write(&format!("books/{number}.txt"), part).unwrap();
    }
    user.must(["fs", "mkdir", "wordcount"]).unwrap();
    user.must(["fs", "put", "books", "wordcount/books"]).unwrap();

    let job = example(&user);
    let job = job.to_str().unwrap();
    let settings = ["rm.heartbeat.idle=300ms", "client.poll-interval=200ms"];
    let args = ["submit", job, "--conf", settings[0], "--conf", settings[1]];
    let mut client = user.drawloom(args).spawn().unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    let mut seen = Seen::default();
    let looked = || seen.look(&application) || seen.enough();
    wait::until("its pages and progress", COMMAND, looked).unwrap();
    // The last of them may come when others have done most of the work.
    client.wait_for_text("executors  3/3", COMMAND).unwrap();
    user.gate().open().unwrap();
    wait::until("the application's end", COMMAND, || seen.look(&application)).unwrap();
    let output = client.wait(STEP).unwrap();

    let phases = [
        "staged",
        "submitted",
        "accepted",
        "AM up",
        "executors  3/3",
        "tasks",
        "verdict    succeeded",
    ];
    output.must_end(0, &phases);
    let report = application.report().unwrap();
    assert_eq!(
        (&report["state"], &report["finalStatus"]),
        (&"FINISHED".into(), &"SUCCEEDED".into()),
        "{report}"
    );

    assert!(seen.progress.is_sorted(), "{:?}", seen.progress);
    assert!(seen.enough(), "{seen:?}");
    assert!(
        seen.pages[""].contains("<html") && seen.pages[""].contains("word-count"),
        "{}",
        seen.pages[""]
    );
    assert!(seen.pages["api/v1/drawloom/summary"].contains(application.id()));
    assert!(
        seen.pages["metrics"].contains("drawloom_"),
        "{}",
        seen.pages["metrics"]
    );

    let containers = application.containers();
    assert_eq!(
        containers.len(),
        1 + 3,
        "the ApplicationMaster and three executors: {containers:?}"
    );
    for container in &containers {
        let log = fs::read_to_string(container.logs.join("stderr")).unwrap();
        assert!(!log.is_empty(), "{container:?}");
    }
    application.wait_gone().unwrap();
    assert_eq!(user.staged().unwrap(), [""; 0], "nothing stays staged");
    let listed = hadoop.hdfs_list(&user.home("wordcount/total")).unwrap().unwrap();
    assert_eq!(listed, ["_SUCCESS", "part-00000"]);
    let counted = String::from_utf8(user.get("wordcount/total/part-00000").unwrap()).unwrap();
    assert!(
        counted == word_counts(&text),
        "the counts differ; the first are\n{}",
        &counted[..200]
    );
}
