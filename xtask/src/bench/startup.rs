//! `cargo xtask bench startup`: from the start of `drawloom submit` to the first line of the first task.
//!
//! A and B alternate on one cluster: A is an application that is one shell script in place of an ApplicationMaster, B
//! is ours. The floor is what the cluster takes whatever one submits: A from the ResourceManager's acceptance to the
//! script's first line; the time that the ResourceManager took in B from the first ask to the first container; and
//! A's time from allocated container to running process, once more for the executor.

use super::samples::Samples;
use super::times::{self, Log};
use anyhow::{Context, ensure};
use harness::hadoop::{ContainerOnDisk, Hadoop};
use harness::process::Drawloom;
use harness::wait;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How often, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pairs of runs that are counted; one more warms the cluster up
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// NodeManager heartbeat, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    nm_heartbeat: u64,
    /// NodeManagers
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Setting of our submissions, e.g. rm.heartbeat.pending=50ms (may be repeated)
    #[arg(long, value_name = "K=V")]
    conf: Vec<String>,
}

/// Multiples of it, without their whole part, spread evenly however many there are.
const GOLDEN: f64 = 0.618_033_988_75;

/// No run takes nearly as long.
const RUN: Duration = Duration::from_secs(90);

/// Runs the benchmark.
///
/// # Errors
/// Fails when the cluster does not come up or an application fails.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let hadoop = Hadoop::builder()
        .nodes(args.nodes)
        .node_heartbeat(Duration::from_millis(args.nm_heartbeat))
        .start()?;
    let bench = Bench::new(hadoop, args)?;
    let (_, cold) = bench.pair(0)?;
    let pairs: Vec<(Floor, Ours)> = (1..=args.pairs)
        .map(|number| bench.pair(number))
        .collect::<anyhow::Result<_>>()?;
    bench.hadoop.end()?;
    println!("{}", report(&cold, &pairs));
    Ok(())
}

/// A: what the cluster takes for one process.
struct Floor {
    accepted: f64,
    allocated: f64,
    running: f64,
}

impl Floor {
    fn to_process(&self) -> f64 {
        self.running - self.accepted
    }

    fn launch(&self) -> f64 {
        self.running - self.allocated
    }
}

/// B: the moments of one of our applications, in their order. Those of an executor are of the one whose task was first.
#[derive(Clone, Copy)]
struct Ours {
    client_started: f64,
    accepted: f64,
    am_allocated: f64,
    am_process: f64,
    registered: f64,
    asked: f64,
    allocated: f64,
    granted: f64,
    container_started: f64,
    executor_process: f64,
    executor_registered: f64,
    all_registered: f64,
    task: f64,
    client_cpu: f64,
}

impl Ours {
    fn total(&self) -> f64 {
        self.task - self.client_started
    }

    /// What YARN made this run wait for containers: the part of the floor that differs from run to run, because it
    /// depends on when a NodeManager reports next.
    fn waits(&self) -> f64 {
        (self.am_allocated - self.accepted) + self.wait_for_grant()
    }

    /// What the ResourceManager took to have a container for us.
    fn wait_for_grant(&self) -> f64 {
        self.allocated - self.asked
    }
}

struct Bench {
    hadoop: Hadoop,
    dir: PathBuf,
    rm_log: PathBuf,
    submit: Vec<String>,
    heartbeat: Duration,
}

impl Bench {
    fn new(hadoop: Hadoop, args: &Args) -> anyhow::Result<Self> {
        let dir = hadoop.dir().join("bench");
        fs::create_dir(&dir)?;
        let daemons = hadoop.summary().daemons;
        let rm = daemons.into_iter().find(|daemon| daemon.name == "rm0");
        let rm_log = rm.context("the cluster has no ResourceManager")?.log;
        let settings = args
            .conf
            .iter()
            .flat_map(|pair| ["--conf".to_owned(), pair.clone()]);
        let submit = ["submit".to_owned()].into_iter().chain(settings).collect();
        Ok(Self {
            hadoop,
            dir,
            rm_log,
            submit,
            heartbeat: Duration::from_millis(args.nm_heartbeat),
        })
    }

    /// Both wait as long as each other after the cluster was last seen idle, which is at a node's report, and another
    /// time in each pair: what one waits for a container depends on when the nodes report next.
    fn pair(&self, number: usize) -> anyhow::Result<(Floor, Ours)> {
        let pause = self.heartbeat.mul_f64((number as f64 * GOLDEN).fract());
        thread::sleep(pause);
        let floor = self.floor(number).context("the shell script")?;
        thread::sleep(pause);
        let ours = self.ours(number).context("our application")?;
        eprintln!(
            "pair {number}: shell {:.3} s, ours {:.3} s",
            floor.to_process(),
            ours.total()
        );
        Ok((floor, ours))
    }

    fn floor(&self, number: usize) -> anyhow::Result<Floor> {
        let file = self.dir.join(format!("shell-{number}"));
        let command = format!("date +%s%N > {0}.new\nmv {0}.new {0}", file.display());
        let application = self.hadoop.submit_shell("bench", &command, 1)?;
        let text = wait::for_value("the script", RUN, || Ok(fs::read_to_string(&file).ok()))?;
        let report = self.ended(&application)?;
        let log = Log::read(&self.rm_log)?;
        Ok(Floor {
            accepted: report,
            allocated: log.first(&[&am_container(&application), "to ALLOCATED"])?,
            running: seconds(&text)?,
        })
    }

    /// Waits until the cluster is idle again; gives the time at which the application was accepted.
    fn ended(&self, application: &str) -> anyhow::Result<f64> {
        let path = format!("/ws/v1/cluster/apps/{application}");
        wait::for_value("the application's end", RUN, || {
            let app = self.hadoop.rm_get(&path)?["app"].take();
            let over = app["finishedTime"].as_u64().is_some_and(|at| at > 0);
            let accepted = app["startedTime"].as_f64().context("no startedTime")?;
            let empty = self.hadoop.rm_get("/ws/v1/cluster/metrics")?["clusterMetrics"]["containersAllocated"]
                .as_u64() == Some(0);
            Ok((over && empty).then_some(accepted / 1000.0))
        })
    }

    fn ours(&self, number: usize) -> anyhow::Result<Ours> {
        let job = self.job(number)?;
        let cpu = times::children_cpu()?;
        let client_started = times::now();
        let said = Drawloom::new(&self.hadoop)
            .args(&self.submit)
            .args([&job])
            .run(RUN)?;
        let client_cpu = times::children_cpu()? - cpu;
        ensure!(said.code == Some(0), "{said}");
        let application = word_with(&said.stderr, "application_").context("no id was said")?;
        let accepted = self.ended(&application)?;
        let (task, executor) = self.first_task(number)?;
        let moments = Moments::read(self, &application, &executor)?;
        let (of_app, of_executor) = (am_container(&application), executor.as_str());
        Ok(Ours {
            client_started,
            accepted,
            am_allocated: moments.rm.first(&[&of_app, "to ALLOCATED"])?,
            am_process: moments.am_process,
            registered: moments.am.first(&["registered with the ResourceManager"])?,
            asked: moments.am.first(&["asking for containers"])?,
            allocated: moments.rm.first(&[of_executor, "to ALLOCATED"])?,
            granted: moments.am.first(&["container granted", of_executor])?,
            container_started: moments.am.first(&["container started", of_executor])?,
            executor_process: moments.executor_process,
            executor_registered: moments.am.first(&["executor registered", of_executor])?,
            all_registered: moments.am.last(&["executor registered"])?,
            task,
            client_cpu,
        })
    }

    /// The first executor gets the first task at once; without that setting it would wait for the others.
    fn job(&self, number: usize) -> anyhow::Result<PathBuf> {
        let job = self.dir.join(format!("job-{number}.yaml"));
        let mark = self.dir.join(format!("task-{number}"));
        let text = format!(
            "version: 1\nname: bench-startup\nam: {{ memory: 128MiB }}\n\
             executors: {{ instances: 3, memory: 128MiB, cores: 1 }}\n\
             conf: {{ scheduler.min-registered-ratio: 0 }}\n\
             stages:\n  - name: first\n    tasks: 3\n    \
             shell: echo \"$(date +%s%N) $DRAWLOOM_EXECUTOR_ID\" > {}-$DRAWLOOM_TASK; sleep 1\n",
            mark.display()
        );
        fs::write(&job, text)?;
        Ok(job)
    }

    /// When the first task of a run began, and on which executor.
    fn first_task(&self, number: usize) -> anyhow::Result<(f64, String)> {
        let prefix = format!("task-{number}-");
        let mut began = Vec::new();
        for entry in fs::read_dir(&self.dir)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let text = fs::read_to_string(entry.path())?;
                let (at, executor) = text.trim().split_once(' ').context("a task's mark is cut")?;
                began.push((seconds(at)?, executor.to_owned()));
            }
        }
        let first = began.into_iter().min_by(|one, other| one.0.total_cmp(&other.0));
        first.context("no task left its mark")
    }
}

/// Logs and files of one run of ours.
struct Moments {
    rm: Log,
    am: Log,
    am_process: f64,
    executor_process: f64,
}

impl Moments {
    fn read(bench: &Bench, application: &str, executor: &str) -> anyhow::Result<Self> {
        let containers = bench.hadoop.containers_on_disk();
        let log = |id: &str| stderr_of(&containers, id);
        let am = log(&am_container(application))?;
        Ok(Self {
            rm: Log::read(&bench.rm_log)?,
            am: Log::read(&am)?,
            am_process: times::birth(&am)?,
            executor_process: times::birth(&log(executor)?)?,
        })
    }
}

fn stderr_of(containers: &[ContainerOnDisk], id: &str) -> anyhow::Result<PathBuf> {
    let found = containers.iter().find(|container| container.container == id);
    Ok(found
        .with_context(|| format!("{id} has no logs"))?
        .logs
        .join("stderr"))
}

/// The first container of the first attempt, of a ResourceManager that never restarted.
fn am_container(application: &str) -> String {
    format!("{}_01_000001", application.replace("application_", "container_"))
}

/// The nanoseconds that `date +%s%N` prints.
fn seconds(nanoseconds: &str) -> anyhow::Result<f64> {
    let number: f64 = nanoseconds.trim().parse().context("date printed no number")?;
    Ok(number / 1e9)
}

fn word_with(text: &str, prefix: &str) -> Option<String> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find(|word| word.starts_with(prefix)).map(str::to_owned)
}

/// One row of the table: a name, and what it is of a run of ours.
type Phase = (&'static str, fn(&Ours) -> f64);

const PHASES: [Phase; 11] = [
    ("client: start to accepted by the RM", |o| {
        o.accepted - o.client_started
    }),
    ("RM: accepted to AM container allocated", |o| {
        o.am_allocated - o.accepted
    }),
    ("YARN: allocated to AM process", |o| o.am_process - o.am_allocated),
    ("**AM: process to registered** (aim 0.100)", |o| {
        o.registered - o.am_process
    }),
    ("AM: registered to containers asked for", |o| {
        o.asked - o.registered
    }),
    ("RM: asked to first container allocated", Ours::wait_for_grant),
    ("allocated to granted (next allocate call)", |o| {
        o.granted - o.allocated
    }),
    ("NM: granted to start acknowledged", |o| {
        o.container_started - o.granted
    }),
    ("NM: granted to executor process", |o| {
        o.executor_process - o.granted
    }),
    ("**executor: process to registered** (aim 0.050)", |o| {
        o.executor_registered - o.executor_process
    }),
    ("registered to first line of the first task", |o| {
        o.task - o.executor_registered
    }),
];

/// Each run against what it had to wait and the two launches that nobody can do without.
fn ratios(pairs: &[(Floor, Ours)], launch: f64) -> Samples {
    let ratio = |(_, ours): &(Floor, Ours)| ours.total() / (ours.waits() + 2.0 * launch);
    pairs.iter().map(ratio).collect()
}

fn report(cold: &Ours, pairs: &[(Floor, Ours)]) -> String {
    let of_floor =
        |value: fn(&Floor) -> f64| pairs.iter().map(|(floor, _)| value(floor)).collect::<Samples>();
    let of_ours = |value: fn(&Ours) -> f64| pairs.iter().map(|(_, ours)| value(ours)).collect::<Samples>();
    let (process, launch) = (of_floor(Floor::to_process), of_floor(Floor::launch));
    let (grant, total) = (of_ours(Ours::wait_for_grant), of_ours(Ours::total));
    let floor = process.median() + grant.median() + launch.median();
    let mut lines = vec![
        "| figure | median (min-max), s |\n|---|---|".to_owned(),
        format!("| floor 1: accepted to shell script running | {process:.3} |"),
        format!("| floor 2: first ask to first container allocated | {grant:.3} |"),
        format!("| floor 3: container allocated to shell script running | {launch:.3} |"),
        format!("| floor, sum of medians | {floor:.3} |"),
        format!("| **submit to first task running** | **{total:.3}** |"),
        format!(
            "| **ratio run by run: to the same run's waits and twice floor 3 (aim 1.15)** | **{:.2}** |",
            ratios(pairs, launch.median())
        ),
        format!(
            "| **ratio of medians (aim 1.15)** | **{:.2}** |",
            total.median() / floor
        ),
        format!(
            "| submit to all three executors registered | {:.3} |",
            of_ours(|o| o.all_registered - o.client_started)
        ),
        format!(
            "| the first run on this cluster, binary uploaded | {:.3} |",
            cold.total()
        ),
        format!(
            "| client CPU, whole wait included (aim 0.1) | {:.2} |",
            of_ours(|o| o.client_cpu)
        ),
    ];
    let phases = PHASES.map(|(name, value)| format!("| {name} | {:.3} |", of_ours(value)));
    lines.extend(phases);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_among_words() {
        let text = "  0.1 s  submitted  application_17_0001 (bench)\n";
        assert_eq!(
            word_with(text, "application_").as_deref(),
            Some("application_17_0001")
        );
        assert_eq!(am_container("application_17_0001"), "container_17_0001_01_000001");
    }

    #[test]
    fn the_ratio_is_of_the_median_and_the_floor() {
        let floor = Floor {
            accepted: 10.0,
            allocated: 10.4,
            running: 10.5,
        };
        let ours = Ours {
            client_started: 20.0,
            accepted: 20.05,
            am_allocated: 20.4,
            am_process: 20.5,
            registered: 20.55,
            asked: 20.55,
            allocated: 20.85,
            granted: 20.9,
            container_started: 20.92,
            executor_process: 21.0,
            executor_registered: 21.04,
            all_registered: 21.24,
            task: 21.08,
            client_cpu: 0.05,
        };
        let table = report(&ours, &[(floor, ours)]);
        assert!(table.contains("| floor, sum of medians | 0.900 |"), "{table}");
        assert!(table.contains("**1.20**"), "{table}");
        assert!(table.contains("**1.27 (1.27-1.27)**"), "{table}");
    }
}
