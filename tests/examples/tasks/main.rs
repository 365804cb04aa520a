//! Tasks a second over the whole path, `cargo xtask bench tasks`: driver, gateway with TLS, two executor processes of
//! two slots, on the embedded cluster.
//!
//! Functions that do nothing (`client/examples/tasks_per_second.rs`, named by `FUNCTIONS_BIN`) measure what a task
//! costs where none is started. Commands that do nothing (`true`, by `DRAWLOOM_BIN`) stand beside what the same call of
//! the system reaches in a bare loop with as many threads, before and after in the same run. Prints Markdown.

#![expect(clippy::print_stdout, reason = "the result")]

mod bare;
mod watched;

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::http;
use mini::{Cluster, Options};
use serde_json::Value;
use watched::{Used, Watch};

/// Executors and slots of each.
const EXECUTORS: u32 = 2;
const SLOTS: u32 = 2;
/// How long a run may take.
const LONG: Duration = Duration::from_secs(900);
/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often the cluster and the ApplicationMaster are asked how far it is. For each connection the cluster reads the
/// table of all connections of the machine, which is milliseconds that the bare loop does not share.
const ASK: Duration = Duration::from_millis(250);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let mut next = || numbers.next().ok_or("usage: tasks FUNCTION-TASKS COMMAND-TASKS");
    let (functions, commands) = (next()??, next()??);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let cluster = runtime.block_on(Cluster::start(Options::default()))?;
    let done = measured(&cluster, functions, commands);
    runtime.block_on(cluster.shutdown());
    done
}

fn measured(cluster: &Cluster, functions: u32, commands: u32) -> Outcome<()> {
    println!(
        "| what | tasks | s | tasks/s | AM CPU a task, µs | executors' CPU a task, µs | AM memory, MB | of it a task, bytes |\n\
         |---|---|---|---|---|---|---|---|"
    );
    if functions > 0 {
        let row = functions_row(cluster, functions)?;
        println!("{row}");
    }
    if commands > 0 {
        let before = bare::spawned_per_second(EXECUTORS * SLOTS)?;
        let (row, rate) = commands_row(cluster, commands)?;
        let after = bare::spawned_per_second(EXECUTORS * SLOTS)?;
        let bare = f64::midpoint(before, after);
        println!("{row}\n");
        println!(
            "The same call in a bare loop of {} threads: {before:.0} a second before, {after:.0} after; commands reach {:.2} of \
             their mean.",
            EXECUTORS * SLOTS,
            rate / bare
        );
    }
    Ok(())
}

/// A program started on the cluster.
fn start(cluster: &Cluster, binary: &str, arguments: &[&str]) -> Outcome<Child> {
    let program = std::env::var_os(binary).ok_or_else(|| format!("{binary} is not set"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("HADOOP_CONF_DIR", cluster.conf_dir())
        // Where it stages when the default file system is local.
        .env("HOME", cluster.conf_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok(command.spawn()?)
}

fn row(what: &str, tasks: u32, seconds: f64, rate: f64, used: &Used) -> String {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(tasks);
    let grown = used.master_peak.saturating_sub(used.master_first);
    format!(
        "| {what} | {tasks} | {seconds:.2} | {rate:.0} | {:.1} | {:.1} | {:.1} | {:.0} |",
        each(used.master),
        each(used.executors),
        used.master_peak as f64 / 1e6,
        grown as f64 / f64::from(tasks)
    )
}

/// The time is that between the first call and the last, as the calls saw it.
fn functions_row(cluster: &Cluster, tasks: u32) -> Outcome<String> {
    let mut program = start(cluster, "FUNCTIONS_BIN", &[&tasks.to_string()])?;
    let used = watched_to_end(cluster.directory(), &mut program)?;
    let output = program.wait_with_output()?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| said[name].as_f64().ok_or("the program has said nothing");
    let (seconds, rate) = (number("seconds")?, number("tasks_per_second")?);
    Ok(row("functions", tasks, seconds, rate, &used))
}

fn watched_to_end(cluster: &Path, program: &mut Child) -> Outcome<Used> {
    let (begun, mut watch) = (Instant::now(), Watch::new(cluster));
    while program.try_wait()?.is_none() {
        if begun.elapsed() > LONG {
            program.kill()?;
            return Err("the tasks take too long".into());
        }
        watch.look();
        std::thread::sleep(LOOK);
    }
    Ok(watch.used())
}

/// The rate is that of the tasks from the first answer with some done to the last before the end.
fn commands_row(cluster: &Cluster, tasks: u32) -> Outcome<(String, f64)> {
    let job = cluster.directory().join("commands.yaml");
    let text = format!(
        "version: 1\nname: commands\nexecutors: {{ instances: {EXECUTORS}, memory: 256MiB, cores: {SLOTS} }}\n\
         conf: {{ scheduler.min-registered-ratio: 1 }}\nstages: [{{ name: nothing, tasks: {tasks}, command: ['true'] }}]\n"
    );
    std::fs::write(&job, text)?;
    let job = job.to_string_lossy();
    let client = start(cluster, "DRAWLOOM_BIN", &["submit", "--detach", &job])?.wait_with_output()?;
    let id = String::from_utf8(client.stdout)?.trim().to_owned();
    let (begun, mut watch) = (Instant::now(), Watch::new(cluster.directory()));
    let (mut done, mut asked) = (Vec::new(), begun);
    loop {
        if begun.elapsed() > LONG {
            return Err("the tasks take too long".into());
        }
        watch.look();
        if asked.elapsed() >= ASK {
            asked = Instant::now();
            if has_ended(cluster, &id)? {
                break;
            }
            done.extend(finished(cluster, &id).map(|count| (Instant::now(), count)));
        }
        std::thread::sleep(LOOK);
    }
    let some = done.iter().find(|(_, count)| *count > 0);
    let last = done.iter().rfind(|(_, count)| *count < u64::from(tasks));
    let ((from, first), (to, last)) = some.zip(last).ok_or("the tasks were over too soon: give more")?;
    let seconds = to.duration_since(*from).as_secs_f64();
    let rate = last.saturating_sub(*first) as f64 / seconds;
    Ok((row("commands", tasks, seconds, rate, &watch.used()), rate))
}

/// What the cluster answers to a request.
fn answer(cluster: &Cluster, path: &str) -> Outcome<Value> {
    let address = cluster.web_address().parse()?;
    Ok(http::get_json(address, path, Duration::from_secs(2))?)
}

fn has_ended(cluster: &Cluster, id: &str) -> Outcome<bool> {
    let report = answer(cluster, &format!("/ws/v1/cluster/apps/{id}"))?;
    match report["app"]["finalStatus"].as_str() {
        Some("UNDEFINED") => Ok(false),
        Some("SUCCEEDED") => Ok(true),
        other => Err(format!("the commands ended with {other:?}").into()),
    }
}

/// How many tasks are done, while the ApplicationMaster answers.
fn finished(cluster: &Cluster, id: &str) -> Option<u64> {
    let summary = answer(cluster, &format!("/proxy/{id}/api/v1/drawloom/summary")).ok()?;
    summary["tasks"]["finished"].as_u64()
}
