//! Jobs of Rust functions on the embedded cluster: this program is the client, and what the cluster runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use drawloom::cli::Master;
use drawloom::error::{CommandError, Exit};
use drawloom::functions::{self, Functions, JobBuilder, Session, Stage, TaskContext};

fn registered() -> Functions {
    Functions::builder()
        .function("square", |n: u64, _: &TaskContext| Ok::<_, String>(n * n))
        .function("where", |(): (), task: &TaskContext| {
            Ok::<_, String>((task.partition(), task.stage().to_owned(), std::process::id()))
        })
        .function("panic-once", |(): (), task: &TaskContext| {
            assert!(task.attempt() > 0, "the first time");
            Ok::<_, String>(task.attempt())
        })
        .function("fill", |length: usize, _: &TaskContext| {
            Ok::<_, String>("x".repeat(length))
        })
        .function("mark", |(path, n): (PathBuf, u64), _: &TaskContext| {
            let mut marks = File::options().create(true).append(true).open(path)?;
            // In one piece: others write, too.
            marks.write_all(format!("{n}\n").as_bytes())?;
            Ok::<_, std::io::Error>(n)
        })
        .function("hoard", |mib: usize, _: &TaskContext| {
            let hoard = vec![1_u8; mib << 20];
            std::thread::sleep(Duration::from_secs(60));
            Ok::<_, String>(hoard.len())
        })
        .build()
        .unwrap()
}

fn job(session: &Session, name: &str) -> JobBuilder {
    session
        .job(name)
        .master(Master::Mini)
        .executors(2)
        .executor_cores(2)
        .executor_memory("256MiB")
}

async fn fails(job: JobBuilder) -> CommandError {
    let failed = match job.submit().await {
        Ok(handle) => handle.wait().await.map(drop),
        Err(error) => Err(error),
    };
    failed.unwrap_err()
}

async fn results_come_back_in_order(session: &Session, mode: &str) -> Result<(), Box<dyn Error>> {
    let job = job(session, "squares")
        .conf("deploy-mode", mode)
        .stage(Stage::new("squares", "square", 0..500_u64))
        .stage(Stage::new("wheres", "where", [(), ()]).after(&["squares"]))
        .stage(Stage::new("again", "panic-once", [()]))
        .stage(Stage::new("large", "fill", [3 << 20, 1]))
        .stage(Stage::new("apart", "where", [(), ()]).memory_mib(200));
    let done = job.submit().await?.wait().await?;
    let squares: Vec<u64> = (0..500).map(|n| n * n).collect();
    assert_eq!(done.results::<u64>("squares")?, squares);
    let wheres = done.results::<(u32, String, u32)>("wheres")?;
    assert_eq!((wheres[0].0, wheres[1].0, wheres[1].1.as_str()), (0, 1, "wheres"));
    assert_eq!(done.results::<u32>("again")?, [1]);
    let large = done.results::<String>("large")?;
    assert_eq!((large[0].len(), large[1].as_str()), (3 << 20, "x"));
    let apart = done.results::<(u32, String, u32)>("apart")?;
    assert_eq!((apart[0].0, apart[1].1.as_str()), (0, "apart"));
    assert_ne!(apart[0].2, apart[1].2, "each in a process of its own");
    assert!(done.results::<u64>("large").is_err(), "of another type");
    assert!(done.results::<u64>("nothing").is_err());
    Ok(())
}

async fn what_cannot_work_is_refused_or_fails(session: &Session) {
    let unknown = fails(job(session, "unknown").stage(Stage::new("s", "cube", [1]))).await;
    assert_eq!(unknown.exit, Exit::Usage);
    assert!(
        unknown.to_string().contains("registered are: fill, hoard"),
        "{unknown}"
    );

    let much = job(session, "much").conf("results.max-size", "1MiB");
    let much = fails(much.stage(Stage::new("s", "fill", vec![600 << 10; 8]))).await;
    assert_eq!(much.exit, Exit::JobFailed);
    assert!(much.to_string().contains("results.max-size forbids"), "{much}");

    let hoard = job(session, "hoard").stage(Stage::new("s", "hoard", [120]).memory_mib(60).retries(0));
    let hoard = fails(hoard).await;
    assert!(hoard.to_string().contains("its limit is 60 MiB"), "{hoard}");
}

/// Runs while the ApplicationMaster is killed after one of its records, which a result or its task's end may be.
async fn nothing_is_called_twice(session: &Session) -> Result<(), Box<dyn Error>> {
    // In the directory that this test was given.
    let path = std::env::temp_dir().join("marks");
    let calls = (0..6).map(|n| (path.clone(), n));
    let job = job(session, "marks").stage(Stage::new("marks", "mark", calls));
    let done = job.submit().await?.wait().await?;
    assert_eq!(done.results::<u64>("marks")?, [0, 1, 2, 3, 4, 5]);
    let marks = std::fs::read_to_string(&path)?;
    let mut marks: Vec<_> = marks.lines().collect();
    marks.sort_unstable();
    assert_eq!(marks, ["0", "1", "2", "3", "4", "5"]);
    Ok(())
}

/// The same with results that together are more than an executor keeps in memory and a flush of the journal holds.
async fn large_results_outlive_the_application_master(session: &Session) -> Result<(), Box<dyn Error>> {
    let job = job(session, "hefty").stage(Stage::new("hefty", "fill", vec![1_000_000; 24]));
    let done = job.submit().await?.wait().await?;
    let results = done.results::<String>("hefty")?;
    assert_eq!(results.len(), 24);
    assert!(results.iter().all(|result| result.len() == 1_000_000));
    Ok(())
}

/// Says that this process is the client, and not the test that starts it.
const CLIENT: &str = "--client";
/// The same, of a job whose ApplicationMaster is lost.
const SURVIVOR: &str = "--survivor";
/// The same, with large results.
const HEFTY: &str = "--hefty";
/// After how many records of its journal the ApplicationMaster is killed; the last ones are those of the results.
const CRASHES: std::ops::RangeInclusive<u32> = 5..=16;

/// Starts this program again as the client, where what failed jobs leave is removed with the directory.
fn run_client() -> ExitCode {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !"functions".contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    let passed = succeeds(CLIENT, None)
        && CRASHES.step_by(2).all(|record| succeeds(SURVIVOR, Some(record)))
        && succeeds(HEFTY, Some(20));
    ExitCode::from(u8::from(!passed))
}

fn succeeds(role: &str, crash_after: Option<u32>) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.arg(role).env("TMPDIR", directory.path());
    if let Some(record) = crash_after {
        client.env("DRAWLOOM_CRASH_AFTER_RECORD", format!("1:{record}"));
    }
    client.status().unwrap().success()
}

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let ours = [CLIENT, SURVIVOR, HEFTY, "am", "executor", "function"];
    let Some(role) = role.filter(|role| ours.contains(&role.as_str())) else {
        return run_client();
    };
    functions::main(Ok(registered()), async |session| {
        match role.as_str() {
            SURVIVOR => return nothing_is_called_twice(&session).await,
            HEFTY => return large_results_outlive_the_application_master(&session).await,
            _ => {}
        }
        // With the driver in the ApplicationMaster, and in this process.
        for mode in ["cluster", "client"] {
            results_come_back_in_order(&session, mode).await?;
        }
        what_cannot_work_is_refused_or_fails(&session).await;
        Ok(())
    })
}
