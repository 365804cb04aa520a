//! Logs that YARN has collected, of an application that the ResourceManager has forgotten. The files were written by
//! Hadoop (`hadoop/testdata`); that those of each release are read is in the suite `clusters`.

use harness::process::Output;
use harness::workspace;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

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

    fn set(&self, name: &str, value: &str) {
        let file = self.conf.join("yarn-site.xml");
        let text = fs::read_to_string(&file).unwrap();
        let property =
            format!("<property><name>{name}</name><value>{value}</value></property></configuration>");
        fs::write(file, text.replace("</configuration>", &property)).unwrap();
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

const CONTAINER: &str = "container_1795218548822_0007_01_000003";

/// What a JobHistoryServer of Hadoop 3.4.3 answers (recorded, and shortened to one file).
fn answer_of_history_server(target: &str) -> Option<String> {
    let listed = format!(
        r#"{{"containerLogsInfo":[{{"containerLogInfo":[{{"fileName":"prelaunch.err","fileSize":"0","lastModifiedTime":"Sat Nov 21 16:38:59 +0000 2026"}},{{"fileName":"task-0.0.0-1.0-talk.stderr","fileSize":"16","lastModifiedTime":"Sat Nov 21 16:38:59 +0000 2026"}}],"logAggregationType":"AGGREGATED","containerId":"{CONTAINER}","nodeId":"localhost_16238"}}]}}"#
    );
    let log = format!(
        "Container: {CONTAINER} on localhost_16238\nLogAggregationType: AGGREGATED\n{}\n\
         LogType:task-0.0.0-1.0-talk.stderr\nLogLastModifiedTime:Sat Nov 21 16:38:59 +0000 2026\nLogLength:16\n\
         LogContents:\nlast words of 1\n\nEnd of LogType:task-0.0.0-1.0-talk.stderr\n{}\n\n",
        "=".repeat(72),
        "*".repeat(75)
    );
    let path = target.split('?').next()?;
    match path.strip_prefix("/ws/v1/history/")? {
        "aggregatedlogs" => Some(listed),
        path if path == format!("containerlogs/{CONTAINER}/task-0.0.0-1.0-talk.stderr") => Some(log),
        _ => None,
    }
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let answer = answer_of_history_server(first.split(' ').nth(1).unwrap_or_default());
    let (status, body) = answer.map_or((404, String::new()), |body| (200, body));
    let kind = if body.starts_with('{') {
        "application/json"
    } else {
        "text/plain"
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn what_cannot_be_read_where_it_was_collected_comes_from_the_log_server() {
    let place = Place::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away early has what it wanted.
            let _ = serve(&stream);
        }
    });
    place.set("yarn.log.server.web-service.url", &format!("http://{closed}/ws"));
    let nowhere = place.logs(&[]);
    nowhere.must_end(3, &["the log server http://127.0.0.1:", "does not answer"]);
    place.set(
        "yarn.log.server.url",
        &format!("http://{address}/jobhistory/logs"),
    );
    let heading = format!("==> {CONTAINER} on localhost:16238: task-0.0.0-1.0-talk.stderr <==");
    let shown = place.logs(&["--task", "talk/1"]);
    shown.must_end(0, &[]);
    assert_eq!(shown.stdout, format!("{heading}\nlast words of 1\n\n"));
    // A default file system that nobody can use is no reason to look nowhere else.
    let core = place.conf.join("core-site.xml");
    let property =
        "<property><name>fs.defaultFS</name><value>gopher://nowhere</value></property></configuration>";
    let text = fs::read_to_string(&core).unwrap();
    fs::write(&core, text.replace("</configuration>", property)).unwrap();
    let shown = place.logs(&[]);
    shown.must_end(0, &["the default file system cannot be used"]);
    assert!(shown.stdout.contains("last words of 1"), "{shown}");
}
