//! What an ApplicationMaster with many executors needs: `cargo xtask bench scale`.
//!
//! The ResourceManager, the NodeManagers and the executors are this process (`mini` and [`phantom`]); the client and the
//! ApplicationMaster are the real program (`DRAWLOOM_BIN`). Prints one row of a Markdown table.
//!
//! With a fourth argument, `journal`, it is `cargo xtask bench recovery`: the same tasks, and what the journal of the
//! ApplicationMaster costs. With `pages` it is `cargo xtask bench pages`: what pages and answers take when so many tasks are
//! done.
//!
//! One run: submit; wait until all executors have registered; let them idle and look at the ApplicationMaster's
//! processor time, its memory and its calls to the ResourceManager; run tasks that do nothing; end.

#![expect(clippy::print_stdout, reason = "the result")]

mod journal;
mod master;
mod pages;
mod phantom;

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use master::Master;
use mini::node_manager::LightContainers;
use mini::{Cluster, Options};
use phantom::{Crowd, HOLD, live};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The longest that executors may take to register, and tasks to finish.
const LONG: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Heartbeats slow down to their idle pace in this time.
const SETTLE: Duration = Duration::from_secs(8);

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Plan {
    executors: usize,
    tasks: usize,
    idle: Duration,
    look: Look,
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The idle ApplicationMaster, and then tasks.
    Idle,
    Journal,
    Pages,
}

impl Plan {
    fn read() -> Outcome<Self> {
        let mut numbers = std::env::args().skip(1).take(3).map(|text| text.parse::<usize>());
        let mut next = || numbers.next().ok_or("usage: scale EXECUTORS TASKS IDLE-SECONDS");
        Ok(Self {
            executors: next()??,
            tasks: next()??,
            idle: Duration::from_secs(u64::try_from(next()??)?),
            look: match std::env::args().nth(4).as_deref() {
                Some("journal") => Look::Journal,
                Some("pages") => Look::Pages,
                _ => Look::Idle,
            },
        })
    }
}

fn main() -> Outcome<()> {
    let plan = Plan::read()?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let crowd = Arc::new(Crowd::new());
    let options = options(&plan, crowd.clone());
    let cluster = runtime.block_on(Cluster::start(options))?;
    let row = measured(&plan, &crowd, &cluster);
    runtime.block_on(cluster.shutdown());
    println!("{}", row?);
    Ok(())
}

/// Each executor has two ends of a connection, one of them here.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// Nodes for a hundred executors each, and one more for the ApplicationMaster.
fn options(plan: &Plan, crowd: Arc<Crowd>) -> Options {
    Options {
        nodes: plan.executors.div_ceil(100) + 1,
        node_memory_mb: 100 * 64,
        node_cores: 100,
        light: Some(LightContainers::new(move |launch| live(crowd.clone(), launch))),
        ..Options::default()
    }
}

fn measured(plan: &Plan, crowd: &Crowd, cluster: &Cluster) -> Outcome<String> {
    let job = cluster.directory().join("scale.yaml");
    std::fs::write(&job, job_file(plan))?;
    let mut client = submit(&cluster.conf_dir(), &job)?;
    let seen = match plan.look {
        Look::Idle => observed(plan, crowd, cluster),
        Look::Journal => journal::observed(plan, crowd, cluster),
        Look::Pages => pages::observed(plan, crowd, cluster),
    };
    if seen.is_err() {
        client.kill()?;
    }
    let status = client.wait()?;
    let row = seen?;
    if !status.success() {
        return Err(format!("the client ended with {status}").into());
    }
    if plan.look == Look::Journal {
        return Ok(row + &journal::cost(cluster.directory(), plan.tasks)?);
    }
    Ok(row)
}

fn job_file(plan: &Plan) -> String {
    // Pages are looked at when tasks are done and while the application goes on.
    let order = match plan.look {
        Look::Pages => ["work", "hold"],
        Look::Idle | Look::Journal => ["hold", "work"],
    };
    let stages = order.map(|name| match name {
        "hold" => format!("  - {{ name: hold, tasks: 1, command: [{HOLD}]"),
        _ => format!("  - {{ name: work, tasks: {}, command: [nothing]", plan.tasks),
    });
    format!(
        "version: 1\nname: scale\nam: {{ memory: 2GiB }}\n\
         executors: {{ instances: {}, memory: 64MiB, cores: 1 }}\n\
         stages:\n{} }}\n{}, after: [{}] }}\n",
        plan.executors, stages[0], stages[1], order[0]
    )
}

fn submit(conf: &Path, job: &Path) -> Outcome<std::process::Child> {
    let binary = std::env::var_os("DRAWLOOM_BIN").ok_or("DRAWLOOM_BIN is not set")?;
    let mut command = Command::new(binary);
    command
        .args(["submit", "--master", "yarn", "--conf-dir"])
        .arg(conf)
        // Where it stages when the default file system is local.
        .env("HOME", conf)
        .arg(job);
    Ok(command.stdout(Stdio::null()).spawn()?)
}

fn observed(plan: &Plan, crowd: &Crowd, cluster: &Cluster) -> Outcome<String> {
    until("the first executor's start", || {
        crowd.begun.load(Ordering::Relaxed) > 0
    })?;
    let first = Instant::now();
    let master = Master::find(cluster.directory())?;
    until("all executors", || {
        crowd.registered.load(Ordering::Relaxed) >= plan.executors
    })?;
    let registered = first.elapsed();
    let up = master.cpu()?;
    std::thread::sleep(SETTLE);
    let (cpu, calls, from) = (master.cpu()?, cluster.faults().calls("allocate"), Instant::now());
    std::thread::sleep(plan.idle);
    let idle = from.elapsed().as_secs_f64();
    let share = (master.cpu()? - cpu).as_secs_f64() / idle * 100.0;
    let calls = (cluster.faults().calls("allocate") - calls) as f64 / idle;
    let memory = master.memory()?;
    let (before, begun) = (master.cpu()?, Instant::now());
    crowd.open();
    // It may have ended by the time that we look at the last task.
    let mut after = before;
    until("all tasks", || {
        after = master.cpu().unwrap_or(after);
        crowd.finished.load(Ordering::Relaxed) > plan.tasks
    })?;
    let (work, spent) = (begun.elapsed().as_secs_f64(), after - before);
    let tasks = plan.tasks.max(1) as f64;
    Ok(format!(
        "| {} | {:.1} | {:.1} | {share:.1} | {calls:.2} | {:.1} | {} | {work:.1} | {:.0} | {:.0} |",
        plan.executors,
        registered.as_secs_f64(),
        up.as_secs_f64(),
        memory as f64 / 1e6,
        plan.tasks,
        tasks / work,
        spent.as_secs_f64() * 1e6 / tasks,
    ))
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> Outcome<()> {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > LONG {
            return Err(format!("{what}: not within {LONG:?}").into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
