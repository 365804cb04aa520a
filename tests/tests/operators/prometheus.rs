//! A real Prometheus that finds the application through the exporter: what our dashboards and alerts ask is answered.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::process::Running;
use harness::{http, wait, workspace};
use serde_json::Value;

use super::lab::Lab;

const STEP: Duration = Duration::from_secs(120);
/// Should the test die, it does not live on for long; in seconds.
const LIFE: &str = "300";

/// A Prometheus with our configuration, in which only addresses and times are others.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(home: &Path, exporter: &str) -> Self {
        let shipped = workspace::root().join("docker/prometheus");
        let rules = format!("rule_files: [{}/rules/*.yml]", shipped.display());
        let config = fs::read_to_string(shipped.join("prometheus.yml")).unwrap();
        let config = config
            .replace("exporter:9755", exporter)
            .replace("15s", "1s")
            .replace("rule_files: [rules/*.yml]", &rules);
        fs::write(home.join("prometheus.yml"), config).unwrap();
        // Free again at once, and taken by nobody else before it has started.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(home.join("prometheus.log")).unwrap();
        let child = Command::new("timeout")
            .args([LIFE, "prometheus"])
            .arg(format!("--config.file={}", home.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", home.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, address }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let answer = http::get_json(self.address, &format!("/api/v1/{path}"), STEP).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// What an expression gives at this moment.
    fn ask(&self, expression: &str) -> Vec<Value> {
        let answer = self.get(&format!("query?query={}", encoded(expression)));
        let answer = answer.unwrap_or_else(|| panic!("no answer to {expression}"));
        answer["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Its keeper hands the signal on.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn exporter(lab: &Lab) -> (Running, String) {
    let mut running = lab
        .drawloom(&[
            "exporter",
            "--listen",
            "127.0.0.1:0",
            "--interval",
            "1s",
            "--cluster",
            "lab",
        ])
        .spawn()
        .unwrap();
    let line = running.wait_for_text("serving http://", STEP).unwrap();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let address = address.to_owned();
    (running, address)
}

/// What the panels of a dashboard ask for.
fn asked(dashboard: &str) -> Vec<String> {
    let path = workspace::root().join(format!("docker/grafana/dashboards/{dashboard}.json"));
    let board: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs a Prometheus: cargo xtask operators prometheus"]
fn a_prometheus_finds_the_application_and_answers_dashboards_and_alerts() {
    let lab = Lab::embedded();
    let home = tempfile::tempdir().unwrap();
    let (exporter, address) = exporter(&lab);
    let prometheus = Prometheus::start(home.path(), &address);
    let up = format!("up{{job=\"drawloom\",app_id=\"{}\"}} == 1", lab.application());
    wait::until("a scrape", STEP, || {
        prometheus.get("targets").is_some() && !prometheus.ask(&up).is_empty()
    })
    .unwrap();
    lab.lose_an_executor();
    let lost = "sum(increase(drawloom_executor_exits_total{cause=\"signalled\"}[1m])) > 0";
    wait::until("the loss", STEP, || !prometheus.ask(lost).is_empty()).unwrap();
    for expression in ["application", "cluster"].iter().flat_map(|name| asked(name)) {
        let question = expression
            .replace("$app", lab.application())
            .replace("$cluster", "lab")
            .replace("$queue", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "5m");
        let answer = prometheus.ask(&question);
        eprintln!("{} series: {question}", answer.len());
        assert!(!answer.is_empty(), "nothing to show: {question}");
    }
    let rules = prometheus.get("rules").unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 9, "{rules:?}");
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    exporter.signal(harness::hadoop::Signal::TERM).unwrap();
    lab.end().must_end(0, &["verdict    succeeded"]);
}
