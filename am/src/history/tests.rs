//! The log as a reader finds it, on a local file system.

use super::*;
use crate::launch::{Acls, HistoryTarget};
use driver::event::{Event, Registration, TaskInput};
use hadoop::conf::Configuration;
use serde_json::Value;
use wire::failure::{ExecutorLoss, FailureCause, TaskFailure};
use wire::id::{BootNonce, StageKey, TaskAttemptId};
use wire::message::TaskReport;
use wire::task::TaskMetrics;

const ZERO: Duration = Duration::from_millis(1_795_219_158_018);
const KEY: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

fn who(attempt: u32) -> Who {
    Who {
        application: "application_1795218448194_0007".to_owned(),
        attempt: Some(attempt),
        host: "am1".to_owned(),
    }
}

fn launch(dir: &str) -> LaunchFile {
    let text = br#"{"version":1,"user":"ada","queue":"etl","resources":[],"submitted_unix_ms":1}"#;
    LaunchFile {
        history: HistoryTarget {
            dir: Some(dir.to_owned()),
            server: None,
        },
        acls: Acls {
            view: Some("bob,eve ops".to_owned()),
            modify: None,
        },
        configuration: vec![crate::configuration::Entry {
            key: "task.max-failures".to_owned(),
            value: "4".to_owned(),
            origin: "default".to_owned(),
        }],
        ..LaunchFile::parse(text).unwrap()
    }
}

fn systems() -> Arc<FileSystems> {
    let conf = Configuration::builder().defaults().build(&|_| None);
    Arc::new(FileSystems::builder(&conf, "ada").build().unwrap())
}

fn executor(number: u32) -> ExecutorId {
    format!("container_1795218448194_0007_01_{number:06}")
        .parse()
        .unwrap()
}

fn event(driver: &mut Driver, at: u64, event: Event) -> (Duration, Vec<Happening>) {
    let at = Duration::from_millis(at);
    driver.handle(at, event, &mut Vec::new());
    (at, driver.take_history())
}

fn report(partition: u32, outcome: Result<(), TaskFailure>) -> Event {
    Event::TaskFinished {
        executor: executor(2),
        report: Box::new(TaskReport {
            sequence: 1,
            id: TaskAttemptId {
                stage: KEY,
                partition,
                attempt: 0,
            },
            metrics: TaskMetrics {
                wall: Duration::from_millis(150),
                input_bytes: 9,
                ..TaskMetrics::default()
            },
            outcome,
            result: None,
            counters: Vec::new(),
        }),
    }
}

/// Three tasks on two executors: one done, one failed, one running on an executor that is then lost.
fn story() -> (Driver, Vec<(Duration, Vec<Happening>)>) {
    let mut driver = Driver::new(crate::web::tests::plan());
    driver.tell_history();
    let registered = |number| {
        Event::ExecutorRegistered(Registration {
            executor: executor(number),
            boot: BootNonce(1),
            host: format!("node{number}:45454"),
            slots: if number == 2 { 2 } else { 1 },
            running: Vec::new(),
        })
    };
    let failure = TaskFailure {
        stderr_tail: "no such \"word\"\n".to_owned(),
        ..TaskFailure::new(FailureCause::ExitCode(3))
    };
    let lost = Event::ExecutorLost {
        executor: executor(3),
        loss: ExecutorLoss::NodeLost,
    };
    let planned = Event::StagePlanned {
        stage: KEY,
        tasks: Ok(vec![TaskInput::default(); 3]),
    };
    let events = [
        Event::ResourceManagerHeard { ago: Duration::ZERO },
        Event::Started,
        planned,
        registered(2),
        registered(3),
        report(0, Ok(())),
        report(1, Err(failure)),
        lost,
    ];
    let told = (1..)
        .zip(events)
        .map(|(second, what)| event(&mut driver, second * 1000, what))
        .collect();
    (driver, told)
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.lines().all(|line| line.starts_with("{\"Event\":\"")),
        "{text}"
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(lines: &[Value], event: &str) -> usize {
    let name = format!("SparkListener{event}");
    lines.iter().filter(|line| line["Event"] == name).count()
}

/// Waits until something was written, or never will be.
async fn settled(history: &History) {
    let settled = async {
        while history.status() == Status::Open(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), settled)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_is_in_progress_until_the_application_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("file://{}", dir.path().display());
    let plan = crate::web::tests::plan();
    let mut history = History::start(systems(), &plan, &launch(&path), &who(1), ZERO).unwrap();
    history.locate(&executor(2), "node2:8042");
    let (_, told) = story();
    let mut last = Duration::ZERO;
    for (at, happened) in told {
        history.tell(at, happened);
        last = at;
    }
    let open = dir.path().join("application_1795218448194_0007_1.inprogress");
    settled(&history).await;
    assert_eq!(count(&lines(&open), "TaskStart"), 5);
    history.end(last, &Verdict::Failed("too many".to_owned())).await;
    assert!(!open.exists());
    let all = lines(&dir.path().join("application_1795218448194_0007_1"));
    let counts = [
        "ApplicationStart",
        "EnvironmentUpdate",
        "ExecutorAdded",
        "ExecutorRemoved",
        "JobStart",
    ];
    assert_eq!(counts.map(|event| count(&all, event)), [1, 1, 2, 1, 1]);
    let ends = [
        "StageSubmitted",
        "StageCompleted",
        "TaskStart",
        "TaskEnd",
        "JobEnd",
        "ApplicationEnd",
    ];
    assert_eq!(ends.map(|event| count(&all, event)), [1, 1, 5, 5, 1, 1]);
    insta::assert_snapshot!(
        std::fs::read_to_string(dir.path().join("application_1795218448194_0007_1"))
            .unwrap()
            .replace(env!("CARGO_PKG_VERSION"), "VERSION")
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_ends_the_log_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("file://{}/missing", dir.path().display());
    let plan = crate::web::tests::plan();
    let mut history = History::start(systems(), &plan, &launch(&path), &who(1), ZERO).unwrap();
    for (at, happened) in story().1 {
        history.tell(at, happened);
    }
    history.end(Duration::from_secs(9), &Verdict::Succeeded).await;
    settled(&history).await;
    let Status::GivenUp(why) = history.status() else {
        panic!("{:?}", history.status());
    };
    assert!(
        why.contains("does not exist") && why.contains("mode 1777"),
        "{why}"
    );
    assert!(!dir.path().join("missing").exists());
}

#[tokio::test]
async fn what_cannot_be_written_in_time_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("file://{}", dir.path().display());
    let plan = crate::web::tests::plan();
    let mut history = History::start(systems(), &plan, &launch(&path), &who(1), ZERO).unwrap();
    // Nothing is written before this task waits.
    let many = 30_000;
    for number in 0..many {
        let added = Happening::ExecutorAdded {
            executor: executor(number),
            host: "n".to_owned(),
            slots: 1,
        };
        history.tell(Duration::ZERO, vec![added]);
    }
    history.end(Duration::from_secs(9), &Verdict::Succeeded).await;
    settled(&history).await;
    let Status::GivenUp(why) = history.status() else {
        panic!("{:?}", history.status());
    };
    assert!(why.contains("took too long"), "{why}");
    let written = std::fs::metadata(dir.path().join("application_1795218448194_0007_1.inprogress"));
    assert!(written.unwrap().len() <= MOST_WAITING as u64 + 4096);
}

#[tokio::test]
async fn an_attempt_that_follows_tells_what_is_done_and_ends_the_log_of_the_lost_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("file://{}", dir.path().display());
    let left = dir.path().join("application_1795218448194_0007_1.inprogress");
    std::fs::write(
        &left,
        "{\"Event\":\"SparkListenerLogStart\"}\n{\"Event\":\"SparkList",
    )
    .unwrap();
    let plan = crate::web::tests::plan();
    let (mut driver, _) = story();
    let mut history = History::start(systems(), &plan, &launch(&path), &who(2), ZERO).unwrap();
    history.follow(&who(2), Some(&driver));
    let (at, happened) = event(&mut driver, 20_000, Event::KillRequested { by: "ada".to_owned() });
    history.tell(at, happened);
    history.end(at, &Verdict::Killed("ada".to_owned())).await;
    let first = lines(&dir.path().join("application_1795218448194_0007_1"));
    assert_eq!(
        (count(&first, "LogStart"), count(&first, "ApplicationEnd")),
        (1, 1)
    );
    assert!(!left.exists());
    let second = lines(&dir.path().join("application_1795218448194_0007_2"));
    assert_eq!(second[3]["App Attempt ID"], "2");
    let later = u64::try_from(ZERO.as_millis()).unwrap() + 1;
    assert_eq!(second[3]["Timestamp"], later, "a server lists the latest first");
    let counts = [
        "ExecutorAdded",
        "ExecutorRemoved",
        "StageSubmitted",
        "StageCompleted",
    ];
    assert_eq!(counts.map(|event| count(&second, event)), [2, 1, 1, 1]);
    let tasks: Vec<_> = second
        .iter()
        .filter(|line| line["Event"] == "SparkListenerTaskEnd")
        .map(|line| line["Task End Reason"]["Reason"].as_str().unwrap())
        .collect();
    assert_eq!(tasks, ["Success", "TaskKilled", "TaskKilled"]);
    let numbers: BTreeSet<_> = second
        .iter()
        .filter_map(|line| line["Task Info"]["Task ID"].as_u64())
        .collect();
    assert_eq!(numbers.len(), 3);
}

/// A pipe holds up whoever opens it to read, as HDFS does that does not hand a file over.
#[tokio::test]
async fn a_log_of_a_lost_attempt_that_cannot_be_had_for_long_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("file://{}", dir.path().display());
    let left = dir.path().join("application_1795218448194_0007_1.inprogress");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &left, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let plan = crate::web::tests::plan();
    let mut history = History::start(systems(), &plan, &launch(&path), &who(2), ZERO).unwrap();
    history.follow(&who(2), None);
    for (at, happened) in story().1 {
        history.tell(at, happened);
    }
    let written = tokio::time::timeout(Duration::from_secs(120), settled(&history)).await;
    // Opened before anything is asserted: a thread that waits for it would keep the test from ending.
    let opened = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&left)
        .unwrap();
    assert!(written.is_ok(), "{:?}", history.status());
    drop(opened);
    history.end(Duration::from_secs(9), &Verdict::Succeeded).await;
    let first = lines(&dir.path().join("application_1795218448194_0007_1"));
    assert_eq!(count(&first, "ApplicationEnd"), 1);
    assert_eq!(history.status(), Status::Complete);
}

/// What the ApplicationMaster makes of a client's log: it waits for one that is being ended, ends that of a client that
/// is gone, and does not wait where there is none.
#[tokio::test]
async fn the_log_of_a_client_is_complete_or_will_never_be() {
    let dir = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", dir.path().display());
    let name = "application_1795218448194_0007";
    let settled = |gone| {
        let (systems, directory) = (systems(), directory.clone());
        async move { elsewhere::settled(&systems, &directory, name, gone).await }
    };
    assert!(!settled(false).await, "there is none");
    let who = Who {
        attempt: None,
        ..who(1)
    };
    let plan = crate::web::tests::plan();
    let mut history = History::start(systems(), &plan, &launch(&directory), &who, ZERO).unwrap();
    self::settled(&history).await;
    history.count_from(ZERO + Duration::from_secs(60));
    for (at, happened) in story().1 {
        history.tell(at, happened);
    }
    let (complete, ()) = tokio::join!(
        settled(false),
        history.end(Duration::from_secs(9), &Verdict::Succeeded)
    );
    assert!(complete);
    let all = lines(&dir.path().join(name));
    let started = all
        .iter()
        .find(|line| line["Event"] == "SparkListenerApplicationStart");
    assert!(started.unwrap().get("App Attempt ID").is_none());
    let end = u64::try_from((ZERO + Duration::from_secs(69)).as_millis()).unwrap();
    assert_eq!(all.last().unwrap()["Timestamp"], end, "its clock had stood still");

    let left = dir.path().join(format!("{name}.inprogress"));
    let leave = || std::fs::write(&left, "{\"Event\":\"SparkListenerLogStart\"}\n").unwrap();
    leave();
    assert!(settled(true).await, "whatever is left");
    assert_eq!(
        lines(&dir.path().join(name)),
        all,
        "its client has ended it after all"
    );
    assert!(!left.exists(), "and it is not shown as running beside it");

    std::fs::remove_file(dir.path().join(name)).unwrap();
    leave();
    assert!(settled(true).await, "its client is gone");
    assert_eq!(count(&lines(&dir.path().join(name)), "ApplicationEnd"), 1);

    std::fs::remove_file(dir.path().join(name)).unwrap();
    leave();
    tokio::time::pause();
    assert!(settled(false).await, "its client has not managed to");
    assert_eq!(count(&lines(&dir.path().join(name)), "ApplicationEnd"), 1);
}

use std::collections::BTreeSet;

#[test]
fn names_and_addresses_are_spark_s() {
    assert_eq!(file_name("application_1_0002", Some(3)), "application_1_0002_3");
    let at = |server| shown_at(server, "application_1_0002", Some(3));
    assert_eq!(at("shs:18080"), "http://shs:18080/history/application_1_0002/3");
    assert_eq!(at("https://shs/"), "https://shs/history/application_1_0002/3");
}
