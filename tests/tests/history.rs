//! A stock Spark History Server lists and shows drawloom's applications, running, failed and done, as their event logs
//! in HDFS have them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::application::{Application, STEP};
use harness::hadoop::{Hadoop, HistoryServer, Shared, Signal};
use harness::processes::Process;
use harness::user::User;
use harness::wait;
use serde_json::Value;

static HADOOP: Shared = Shared::new(|| Hadoop::builder().nodes(2));

/// The directory as operators make it.
fn event_logs(hadoop: &Hadoop) -> String {
    hadoop.make_hdfs_dir("/event-logs", "1777").unwrap();
    format!("{}/event-logs", hadoop.default_fs())
}

fn job(name: &str, dir: &str, server: &str, stages: &str) -> String {
    format!(
        "version: 1
name: {name}
executors: {{ instances: 2, memory: 256MiB, cores: 1 }}
conf: {{ history.dir: \"{dir}\", history.server: \"{server}\" }}
stages:
{stages}"
    )
}

/// What the server says of an application, when that is as wanted.
fn wait_for(server: &HistoryServer, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = wait::for_value(path, STEP, || {
        let answer = server.get(path).ok();
        Ok(answer.filter(&wanted))
    });
    found.unwrap_or_else(|error| panic!("{error}: {:?}\n{}", server.get(path), server.log_tail(30)))
}

fn sum(list: &Value, key: &str) -> u64 {
    let numbers = list.as_array().unwrap().iter();
    numbers.map(|one| one[key].as_u64().unwrap()).sum()
}

#[test]
fn a_stock_history_server_shows_running_failed_and_recovered_applications() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let dir = event_logs(hadoop);
    let server = hadoop.history_server(&dir).unwrap();
    let address = server.address();

    // Two stages, a task that fails once, and a gate in the second stage.
    let user = User::new(hadoop, "history").unwrap();
    let gate = user.gate().wait();
    let stages = format!(
        "  - name: count
    tasks: 6
    shell: 'if [ $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT = 3.0 ]; then echo no luck >&2; exit 3; fi'
  - name: total
    after: [count]
    tasks: 2
    shell: \"{gate}\"
"
    );
    let mut client = user
        .submit(&job("history", &dir, &address, &stages), &[])
        .unwrap();
    let application = Application::submitted_by(hadoop, &mut client).unwrap();
    let base = format!("applications/{}", application.id());
    let running = wait_for(&server, &format!("{base}/1/stages"), |stages| {
        stages
            .as_array()
            .is_some_and(|stages| stages.len() == 2 && stages[0]["status"] == "ACTIVE")
    });
    assert_eq!(
        (&running[1]["status"], &running[1]["name"]),
        (&"COMPLETE".into(), &"count".into())
    );
    let listed = server.get("applications?status=running").unwrap();
    assert_eq!(listed[0]["id"], application.id(), "{listed}");

    // The ApplicationMaster is killed; the next one goes on.
    let master = |process: &Process| process.command.ends_with("drawloom am");
    let master = application.processes().into_iter().find(master).unwrap();
    master.signal(Signal::KILL);
    let second = wait_for(&server, &base, |found| {
        found["attempts"]
            .as_array()
            .is_some_and(|attempts| attempts.len() == 2)
    });
    assert_eq!(second["attempts"][0]["attemptId"], "2", "{second}");
    user.gate().open().unwrap();
    client.wait(STEP).unwrap().must_end(0, &["verdict    succeeded"]);
    let report = application.wait_end().unwrap();
    let shown = format!("{address}/history/{}/2", application.id());
    assert!(
        report["trackingUrl"].as_str().unwrap().contains("/proxy/"),
        "{report}"
    );
    let done = wait_for(&server, &base, |found| found["attempts"][0]["completed"] == true);
    assert_eq!(done["attempts"][1]["completed"], true, "{done}");

    // The first attempt: what it saw.
    let first = server.get(&format!("{base}/1/stages")).unwrap();
    assert_eq!(
        (sum(&first, "numCompleteTasks"), sum(&first, "numFailedTasks")),
        (6, 1),
        "{first}"
    );
    // The second: all that is done, by whichever.
    let jobs = server.get(&format!("{base}/2/jobs")).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    let job = &jobs[0];
    let counts = [
        "numTasks",
        "numCompletedTasks",
        "numActiveTasks",
        "numCompletedStages",
    ];
    assert_eq!(
        counts.map(|key| job[key].as_u64().unwrap()),
        [8, 8, 0, 2],
        "{job}"
    );
    assert_eq!(job["status"], "SUCCEEDED");
    let tasks = server
        .get(&format!("{base}/2/stages/0/0/taskList?length=100"))
        .unwrap();
    assert_eq!(tasks.as_array().unwrap().len(), 6);
    assert!(
        tasks
            .as_array()
            .unwrap()
            .iter()
            .all(|task| task["status"] == "SUCCESS"),
        "{tasks}"
    );
    let executors = server.get(&format!("{base}/2/allexecutors")).unwrap();
    let ids: Vec<_> = executors
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3, "{executors}");
    let environment = server.get(&format!("{base}/2/environment")).unwrap();
    assert!(
        environment.to_string().contains("drawloom.task.max-failures"),
        "{environment}"
    );
    for page in [
        "jobs/",
        "stages/",
        "stages/stage/?id=0&attempt=0",
        "executors/",
        "environment/",
    ] {
        server
            .page(&format!("/history/{}/2/{page}", application.id()))
            .unwrap();
    }
    // YARN's link leads there.
    let link = application.page("").unwrap();
    assert_eq!(link.header("Location"), Some(shown.as_str()), "{}", link.head);
}

#[test]
fn a_job_that_fails_is_shown_with_its_cause() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let dir = event_logs(hadoop);
    let server = hadoop.history_server(&dir).unwrap();
    let user = User::new(hadoop, "fails-in-history").unwrap();
    let stages = "  - name: work
    tasks: 3
    retries: 1
    shell: 'if [ $DRAWLOOM_TASK = 1 ]; then echo eels >&2; exit 7; fi'
";
    let output = user
        .submit_and_wait(&job("fails", &dir, &server.address(), stages), &[])
        .unwrap();
    output.must_end(1, &["exit code 7"]);
    let application = Application::of_output(hadoop, &output).unwrap();
    let base = format!("applications/{}/1", application.id());
    let jobs = wait_for(&server, &format!("{base}/jobs"), |jobs| {
        jobs[0]["status"] == "FAILED"
    });
    assert_eq!(jobs[0]["numFailedTasks"], 2, "{jobs}");
    let stage = &server.get(&format!("{base}/stages")).unwrap()[0];
    let reason = stage["failureReason"].as_str().unwrap();
    assert!(
        stage["status"] == "FAILED" && reason.contains("exit code 7"),
        "{stage}"
    );
    let tasks = server
        .get(&format!("{base}/stages/0/0/taskList?length=100&status=failed"))
        .unwrap();
    assert!(tasks.to_string().contains("eels"), "{tasks}");
}

#[test]
fn without_its_directory_a_job_runs_as_ever_and_the_log_says_once_what_to_do() {
    let hadoop = HADOOP.get();
    let _tails = hadoop.tails_on_panic();
    let user = User::new(hadoop, "no-history").unwrap();
    let stages = "  - name: work\n    tasks: 2\n    command: [\"true\"]\n";
    let dir = format!("{}/nowhere", hadoop.default_fs());
    let output = user
        .submit_and_wait(&job("no-history", &dir, "http://127.0.0.1:1", stages), &[])
        .unwrap();
    output.must_end(0, &["verdict    succeeded"]);
    let application = Application::of_output(hadoop, &output).unwrap();
    let link = application.page("").unwrap();
    assert!(
        link.header("Location")
            .is_none_or(|to| !to.contains("127.0.0.1:1/")),
        "{}",
        link.head
    );
}
