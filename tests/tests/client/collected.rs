//! Logs that YARN has collected, of an application that the ResourceManager has forgotten. The files were written by
//! Hadoop (`hadoop/testdata`); that those of each release are read is in the suite `clusters`.

use harness::process::Output;
use harness::workspace;
use std::fs;
use std::path::PathBuf;

use crate::lab::{Lab, STEP};

const APP: &str = "application_1795218548822_0007";

/// A cluster whose collected logs are in the person's directory.
struct Place {
    lab: Lab,
    conf: PathBuf,
}

impl Place {
    fn new() -> Self {
        let lab = Lab::new(|options| options.nodes = 1);
        let conf = lab.home().join("conf");
        fs::create_dir(&conf).unwrap();
        for name in ["core-site.xml", "yarn-site.xml"] {
            let text = fs::read_to_string(lab.cluster().conf_dir().join(name)).unwrap();
            let root = lab.home().join("collected").display().to_string();
            let property = format!(
                "<property><name>yarn.nodemanager.remote-app-log-dir</name><value>{root}</value></property></configuration>"
            );
            fs::write(conf.join(name), text.replace("</configuration>", &property)).unwrap();
        }
        Self { lab, conf }
    }

    /// A node's file, below the person's directory of collected logs.
    fn leave(&self, layout: &str, name: &str, contents: &[u8]) {
        let directory = self.lab.home().join("collected/ada").join(layout).join(APP);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), contents).unwrap();
    }

    fn logs(&self, args: &[&str]) -> Output {
        let args = [&["--conf-dir", self.conf.to_str().unwrap(), "logs", APP], args].concat();
        let command = self.lab.drawloom(&args).env("HADOOP_USER_NAME", "ada");
        command.run(STEP).unwrap()
    }
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(
        workspace::root()
            .join("hadoop/testdata/aggregated-log")
            .join(name),
    )
    .unwrap()
}

/// Without the middle of the lines that are numbered.
fn shortened(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        let number = line
            .strip_prefix("line ")
            .map(|number| number.parse().unwrap_or(0));
        number.is_none_or(|number: u32| !(2..=97).contains(&number))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn logs_of_a_forgotten_application_are_read_where_they_were_collected() {
    let place = Place::new();
    place
        .logs(&[])
        .must_end(3, &["error: ", "not found", "drawloom list --all"]);
    place.leave("bucket-logs-tfile/0007", "node1_45454", &sample("none"));
    let all = place.logs(&[]);
    all.must_end(0, &[]);
    insta::assert_snapshot!("collected_logs", shortened(&all.stdout));
    let ends = place.logs(&["--task", "count/3", "--tail", "16b", "-f"]);
    ends.must_end(0, &[]);
    let heading =
        "==> container_1795218548822_0007_01_000002 on node1:45454: task-0.0.0-3.1-count.stdout <==";
    assert_eq!(ends.stdout, format!("{heading}\nline 98\nline 99\n\n"));
    let one = "container_1795218548822_0007_01_000001";
    let one = place.logs(&["--executor", one]).stdout;
    assert!(one.contains("000001 says") && !one.contains("000002"), "{one}");
}

#[test]
fn parts_that_were_collected_one_after_the_other_are_one_file() {
    let place = Place::new();
    for time in ["1795218550000", "1795218560000"] {
        place.leave("logs", &format!("node1_45454_{time}"), &sample("none"));
    }
    let ends = place.logs(&["--task", "count/3", "--tail", "1600b"]).stdout;
    let lines: Vec<&str> = ends.lines().filter(|line| line.starts_with("line")).collect();
    assert_eq!(
        lines.len(),
        202,
        "the second part, and the end of the first: {ends}"
    );
}

#[test]
fn what_cannot_be_read_is_said_beside_what_can() {
    let place = Place::new();
    let gz = sample("gz");
    place.leave("bucket-logs-tfile/0007", "broken_45454", &gz[..gz.len() / 2]);
    place.leave("bucket-logs-tfile/0007", "late_45454.tmp", b"");
    let nothing = place.logs(&[]);
    nothing.must_end(
        3,
        &[
            "error: no logs of",
            "broken:45454",
            "it is no TFile",
            "late:45454 are still",
        ],
    );
    place.leave("bucket-logs-tfile/0007", "whole_45454", &gz);
    let some = place.logs(&["--task", "count/3"]);
    some.must_end(0, &["broken:45454", "it is no TFile"]);
    assert_eq!(some.stdout.matches("line 42\n").count(), 3000);
}
