//! Files for other programs (Compose, Prometheus, Grafana) agree with each other and with what drawloom has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The expressions of a dashboard, with something in the place of its variables.
fn expressions(name: &str) -> Vec<String> {
    let text = read(&format!("docker/grafana/dashboards/{name}.json"));
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let asked = targets.map(|target| target["expr"].as_str().unwrap());
    asked
        .map(|text| text.replace("$__rate_interval", "1m").replace("$__range", "1h"))
        .collect()
}

/// With Prometheus's own tool, where there is one (`apt-get install prometheus`): the configuration, the alerts with
/// series that make them fire, and what the dashboards ask, as rules.
#[test]
fn prometheus_takes_the_configuration_the_alerts_and_the_queries() {
    if Command::new("promtool").arg("--version").output().is_err() {
        eprintln!("SKIPPED: promtool is not on PATH");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let asked = ["application", "cluster"].into_iter().flat_map(expressions);
    let rules: String = (0..)
        .zip(asked)
        .map(|(number, expression)| format!("      - {{ record: \"r{number}\", expr: {expression:?} }}\n"))
        .collect();
    let queries = dir.path().join("queries.yml");
    fs::write(&queries, format!("groups:\n  - name: q\n    rules:\n{rules}")).unwrap();
    let queries = queries.to_str().unwrap();
    for args in [
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts-test.yml"],
        ["check", "rules", queries],
    ] {
        let promtool = Command::new("promtool")
            .args(args)
            .current_dir(root().join("docker/prometheus"))
            .output();
        let output = promtool.unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

/// Whatever has to be the same in two files, and the files that say it.
#[test]
fn compose_and_the_files_that_it_mounts_agree() {
    let compose = read("docker-compose.yml");
    let service = |name: &str| {
        let rest = compose.split(&format!("\n  {name}:")).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("no service {name}"));
        let next = rest.find("\n\n").unwrap_or(rest.len());
        rest[..next].to_owned()
    };
    let all = [
        "namenode",
        "datanode",
        "init",
        "resourcemanager",
        "nm1",
        "nm2",
        "client",
        "exporter",
        "prometheus",
        "grafana",
        "spark-history",
        "first-job",
    ];
    assert!(all.map(service).iter().all(|service| !service.is_empty()));
    let settings = read("docker/drawloom.properties");
    assert!(settings.contains("history.dir = hdfs:///spark-history\n"));
    assert!(settings.contains("history.server = http://spark-history:18080\n"));
    assert!(read("docker/init-hdfs.sh").contains("chmod 1777 /tmp /user /spark-history"));
    assert!(read("docker/hadoop.env").contains("fs.defaultFS=hdfs://namenode:8020\n"));
    assert!(service("spark-history").contains("logDirectory=hdfs://namenode:8020/spark-history\n"));
    for name in ["client", "first-job"] {
        let mount = "./docker/drawloom.properties:/etc/drawloom/drawloom.properties:ro";
        assert!(service(name).contains(mount), "{name}");
    }
    assert!(service("exporter").contains("\"exporter:9755\""));
    assert!(read("docker/prometheus/prometheus.yml").contains("http://exporter:9755/sd\n"));
    let source = read("docker/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("url: http://prometheus:9090\n"));
    let boards = read("docker/grafana/provisioning/dashboards/drawloom.yml");
    assert!(boards.contains("path: /var/lib/grafana/dashboards\n"));
    assert!(service("grafana").contains("./docker/grafana/dashboards:/var/lib/grafana/dashboards:ro"));
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
