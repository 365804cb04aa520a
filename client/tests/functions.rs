//! Jobs of Rust functions on the embedded cluster: this program is the client, and what the cluster runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
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

/// Says that this process is the client, and not the test that starts it.
const CLIENT: &str = "--client";

/// Starts this program again as the client, where what failed jobs leave is removed with the directory.
fn run_client() -> ExitCode {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !"functions".contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut client = Command::new(std::env::current_exe().unwrap());
    let status = client
        .arg(CLIENT)
        .env("TMPDIR", directory.path())
        .status()
        .unwrap();
    ExitCode::from(u8::from(!status.success()))
}

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let ours = [CLIENT, "am", "executor", "function"];
    if !role.is_some_and(|role| ours.contains(&role.as_str())) {
        return run_client();
    }
    functions::main(Ok(registered()), async |session| {
        // With the driver in the ApplicationMaster, and in this process.
        for mode in ["cluster", "client"] {
            results_come_back_in_order(&session, mode).await?;
        }
        what_cannot_work_is_refused_or_fails(&session).await;
        Ok(())
    })
}
