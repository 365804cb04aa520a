//! Files for other programs (Compose, Prometheus, Grafana) agree with each other and with what drawloom has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The metrics that an expression names, histograms by their family.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("drawloom_") || word.starts_with("process_"));
    ours.map(|name| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        family.unwrap_or(name)
    })
}

/// The table of docs/operations.md is tested against the code by the ApplicationMaster and by the exporter.
#[test]
fn dashboards_and_alerts_ask_only_for_metrics_that_exist() {
    let documented = read("docs/operations.md");
    let files = [
        "docker/grafana/dashboards/application.json",
        "docker/grafana/dashboards/cluster.json",
        "docker/prometheus/rules/drawloom.yml",
    ];
    let text: String = files.iter().map(|path| read(path)).collect();
    let asked: Vec<&str> = text
        .lines()
        .filter(|line| {
            ["expr", "increase(", "rate("]
                .iter()
                .any(|word| line.contains(word))
        })
        .flat_map(metrics)
        .collect();
    assert!(asked.len() > 40, "only {asked:?}");
    for name in asked {
        assert!(documented.contains(&format!("`{name}`")), "{name} does not exist");
    }
}

#[test]
fn dashboards_name_no_data_source_of_their_own_and_explain_every_panel() {
    for name in ["application", "cluster"] {
        let text = read(&format!("docker/grafana/dashboards/{name}.json"));
        let board: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(board["templating"]["list"][0]["type"], "datasource");
        let panels = board["panels"].as_array().unwrap().iter();
        for panel in panels.filter(|panel| panel["type"] != "row") {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            assert!(panel["description"].as_str().unwrap().len() > 10, "{panel}");
        }
    }
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = read("docker-compose.yml");
    let words = compose.split(['"', ' ', '\n']);
    let mounted = words.filter_map(|word| word.strip_prefix("./")?.split(':').next());
    let mounted: Vec<&str> = mounted.collect();
    assert!(mounted.contains(&"docker/prometheus"), "{mounted:?}");
    for path in mounted {
        assert!(
            root().join(path).exists(),
            "docker-compose.yml mounts {path}, which is not there"
        );
    }
}
