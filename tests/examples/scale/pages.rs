//! What pages and answers take of an ApplicationMaster that has many tasks behind it, asked for through the proxy.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use harness::http;
use mini::Cluster;

use super::master::Master;
use super::phantom::Crowd;
use super::{Outcome, Plan, until};

/// Of a stage's tasks, by the number of the stage.
const STAGE: u32 = 0;
/// For one answer; far more than it may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How often each is asked for.
const ROUNDS: usize = 15;

/// What is asked for, below the application's address; `APP` is its id.
fn targets(tasks: usize) -> Vec<String> {
    let api = "api/v1/applications/APP";
    let of_stage = format!("{api}/stages/{STAGE}/0");
    let middle = tasks / 2;
    vec![
        String::new(),
        format!("tasks?stage={STAGE}"),
        format!("tasks?stage={STAGE}&offset={middle}"),
        format!("tasks?stage={STAGE}&state=done&sort=-runtime"),
        format!("{of_stage}/taskList?offset={middle}&length=100"),
        format!("{of_stage}/taskList?length=100&sortBy=-runtime"),
        format!("{of_stage}/taskSummary"),
        format!("{api}/stages"),
        "api/v1/drawloom/summary".to_owned(),
        "metrics".to_owned(),
    ]
}

/// A row for each page, and a line about the memory.
pub(crate) fn observed(plan: &Plan, crowd: &Crowd, cluster: &Cluster) -> Outcome<String> {
    until("all executors", || {
        crowd.registered.load(Ordering::Relaxed) >= plan.executors
    })?;
    let master = Master::find(cluster.directory())?;
    let (proxy, id) = (cluster.web_address().parse()?, application(cluster)?);
    until("all tasks", || {
        crowd.finished.load(Ordering::Relaxed) >= plan.tasks
    })?;
    let mut rows = String::new();
    for target in targets(plan.tasks) {
        let path = format!("/proxy/{id}/{}", target.replace("APP", &id));
        let (mut took, mut bytes) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let (time, size) = ask(proxy, &path)?;
            took.push(time);
            bytes = size;
        }
        took.sort_unstable();
        let ms = |at: usize| took[at].as_secs_f64() * 1000.0;
        let (median, longest) = (ms(ROUNDS / 2), ms(ROUNDS - 1));
        rows.push_str(&format!(
            "| `{target}` | {bytes} | {median:.1} | {longest:.1} |\n"
        ));
    }
    let memory = master.memory()? as f64 / 1e6;
    rows.push_str(&format!(
        "\n{} tasks done, resident memory {memory:.1} MB",
        plan.tasks
    ));
    crowd.open();
    Ok(rows)
}

fn ask(proxy: SocketAddr, path: &str) -> Outcome<(Duration, usize)> {
    let begun = Instant::now();
    let answer = http::request(proxy, "GET", path, "", ANSWER)?;
    match answer.status {
        200 => Ok((begun.elapsed(), answer.body.len())),
        status => Err(format!("{path}: {status}, {}", answer.text()).into()),
    }
}

fn application(cluster: &Cluster) -> Outcome<String> {
    let apps = http::get_json(cluster.web_address().parse()?, "/ws/v1/cluster/apps", ANSWER)?;
    let id = apps["apps"]["app"][0]["id"].as_str();
    Ok(id.ok_or("no application")?.to_owned())
}
