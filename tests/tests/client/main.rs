//! What the person at the command line sees and can rely on, on the embedded cluster: client mode from a network that
//! the cluster cannot dial into, and what each command shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod collected;
mod explain;
mod full;
mod interrupts;
#[expect(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/lab.rs"]
mod lab;
mod orders;
mod screens;

use harness::{http, wait};
use lab::Job;
use serde_json::Value;

/// Waits for a report of the ResourceManager that pleases.
fn wait_report(job: &Job<'_>, pleases: impl Fn(&Value) -> bool) -> Value {
    let address = job.lab.cluster().web_address().parse().unwrap();
    let path = format!("/ws/v1/cluster/apps/{}", job.id);
    let mut last = Value::Null;
    let found = wait::for_value("a report", lab::STEP, || {
        last = http::get_json(address, &path, lab::STEP).unwrap_or_default()["app"].take();
        Ok(pleases(&last).then(|| last.clone()))
    });
    found.unwrap_or_else(|error| panic!("{error:#}; the last report: {last:#}"))
}
