//! `cargo xtask bench relaunch`: from the SIGKILL of an executor to its task running elsewhere, and to its replacement.
//!
//! An application of two executors of two slots runs two tasks, one on each, so slots are free. One executor is killed.
//! The floor is what the cluster takes for the same with any container: before each kill, on the same cluster, the
//! smallest possible application (`yarn-rpc`'s example `unmanaged_am`, which talks to the ResourceManager all the time)
//! holds a shell script that kills itself, and asks for another one when it is told. From that SIGKILL to the first line
//! of the second script is the floor: the same report of the node, the same wait for the node's next heartbeat, and a
//! process that does nothing.

use super::samples::Samples;
use super::times::{self, Log};
use crate::steps;
use anyhow::{Context, ensure};
use harness::application::Application;
use harness::hadoop::{Hadoop, Signal};
use harness::process::{Drawloom, Running};
use harness::wait;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How often, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills that are counted
    #[arg(long, default_value_t = 7)]
    kills: usize,
    /// NodeManager heartbeat, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    nm_heartbeat: u64,
}

/// No step takes nearly as long.
const STEP: Duration = Duration::from_secs(90);

/// Runs the benchmark.
///
/// # Errors
/// Fails when the cluster does not come up or an application fails.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let hadoop = Hadoop::builder()
        .nodes(2)
        .hdfs(false)
        .node_heartbeat(Duration::from_millis(args.nm_heartbeat))
        .start()?;
    let dir = hadoop.dir().join("bench");
    fs::create_dir(&dir)?;
    let bench = Bench { hadoop, dir };
    bench.kill(0)?;
    let kills: Vec<Kill> = (1..=args.kills)
        .map(|number| bench.kill(number))
        .collect::<anyhow::Result<_>>()?;
    bench.hadoop.end()?;
    println!("{}", report(&kills));
    Ok(())
}

/// Seconds since the kill; of the floor, since the script's own.
struct Kill {
    floor: f64,
    known: f64,
    task: f64,
    asked: f64,
    granted: f64,
    registered: f64,
}

struct Bench {
    hadoop: Hadoop,
    dir: PathBuf,
}

impl Bench {
    fn kill(&self, number: usize) -> anyhow::Result<Kill> {
        let floor = self.floor(number)?;
        let mark = self.dir.join(format!("task-{number}"));
        let mut client = self.submit(number, &mark.display().to_string())?;
        let application = Application::submitted_by(&self.hadoop, &mut client)?;
        application.wait_summary("both tasks", |summary| summary["tasks"]["running"] == 2)?;
        // The heartbeat to the ResourceManager falls back to its slowest meanwhile.
        let busy = wait::for_value("the first marks", STEP, || Ok(self.mark(number, 0, 0).ok()))?;
        std::thread::sleep(Duration::from_secs(4));
        let of_victim = |process: &&harness::processes::Process| {
            process.variable("CONTAINER_ID").is_some_and(|id| busy.1 == id)
        };
        let executors = application.executors();
        let victim = executors
            .iter()
            .find(of_victim)
            .context("the executor of the first task is gone")?;
        let killed = times::now();
        victim.signal(Signal::KILL);
        let (task, _) = wait::for_value("the task elsewhere", STEP, || Ok(self.mark(number, 0, 1).ok()))?;
        application.wait_summary("the replacement", |summary| {
            summary["executors"]["lost"] == 1 && summary["executors"]["registered"] == 2
        })?;
        let log = self.master_log(&application)?;
        let since = |needle: &str| Ok::<_, anyhow::Error>(log.last(&[needle])? - killed);
        let kill = Kill {
            floor,
            known: since("container ended")?,
            task: task - killed,
            asked: since("asking for containers")?,
            granted: since("container granted")?,
            registered: since("executor registered")?,
        };
        eprintln!(
            "kill {number}: task {:.3} s, replacement {:.3} s, floor {floor:.3} s",
            kill.task, kill.registered
        );
        fs::write(self.dir.join(format!("go-{number}")), "")?;
        let output = client.wait(STEP)?;
        ensure!(output.code == Some(0), "{output}");
        Ok(kill)
    }

    fn submit(&self, number: usize, mark: &str) -> anyhow::Result<Running> {
        let job = self.dir.join(format!("job-{number}.yaml"));
        let go = self.dir.join(format!("go-{number}"));
        let text = format!(
            "version: 1\nname: bench-relaunch\nexecutors: {{ instances: 2, memory: 256MiB, cores: 2 }}\n\
             conf: {{ scheduler.min-registered-ratio: 1 }}\nstages:\n  - name: wait\n    tasks: 2\n    shell: |\n      \
             echo \"$(date +%s%N) $DRAWLOOM_EXECUTOR_ID\" > {mark}-$DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT\n      \
             until [ -e {} ]; do sleep 0.1; done\n",
            go.display()
        );
        fs::write(&job, text)?;
        Drawloom::new(&self.hadoop)
            .env("HOME", &self.dir)
            .args(["submit".as_ref(), job.as_os_str()])
            .spawn()
    }

    /// When an attempt of a task began, and in which container.
    fn mark(&self, number: usize, task: u32, attempt: u32) -> anyhow::Result<(f64, String)> {
        let text = fs::read_to_string(self.dir.join(format!("task-{number}-{task}.{attempt}")))?;
        let (at, executor) = text.trim().split_once(' ').context("the mark is cut")?;
        Ok((at.parse::<f64>()? / 1e9, executor.to_owned()))
    }

    fn master_log(&self, application: &Application<'_>) -> anyhow::Result<Log> {
        let id = application.container(1, 1);
        let containers = application.containers();
        let found = containers.iter().find(|container| container.container == id);
        Log::read(
            &found
                .context("the ApplicationMaster has no logs")?
                .logs
                .join("stderr"),
        )
    }

    /// From the end of a script to the first line of the one that replaces it.
    fn floor(&self, number: usize) -> anyhow::Result<f64> {
        let file = self.dir.join(format!("shell-{number}"));
        let script = format!(
            "date +%s%N >> {0}; sleep 2; date +%s%N >> {0}; kill -9 $$",
            file.display()
        );
        let mut command = steps::example("dev", "yarn-rpc", "unmanaged_am");
        command.args(["1", &script, "1"]);
        command.env("HADOOP_CONF_DIR", self.hadoop.conf_dir());
        let output = command
            .output()
            .context("cannot start the smallest application")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = fs::read_to_string(&file)?;
        let moments: Vec<f64> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
        let [_, killed, replaced, _] = moments[..] else {
            anyhow::bail!("two scripts should have written two lines each: {text}");
        };
        Ok((replaced - killed) / 1e9)
    }
}

fn report(kills: &[Kill]) -> String {
    let of = |figure: fn(&Kill) -> f64| kills.iter().map(figure).collect::<Samples>();
    let rows = [
        ("the ApplicationMaster knows from YARN", of(|kill| kill.known)),
        ("**the task runs on the other executor**", of(|kill| kill.task)),
        ("the replacement is asked for", of(|kill| kill.asked)),
        ("it is granted", of(|kill| kill.granted)),
        ("**its executor is registered**", of(|kill| kill.registered)),
        (
            "floor: the same for a shell script that does nothing",
            of(|kill| kill.floor),
        ),
        ("registered over floor", of(|kill| kill.registered / kill.floor)),
    ];
    let lines = rows.map(|(name, samples)| format!("| {name} | {samples} |\n"));
    format!(
        "| from SIGKILL of an executor, s | median (min-max) of {} |\n|---|---|\n{}",
        kills.len(),
        lines.concat()
    )
}
