//! What operators see. Here: the status pages as a person meets them: through the ResourceManager's proxy, while a job runs and after an executor
//! has died.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod lab;
mod prometheus;

use lab::Lab;
use serde_json::Value;

/// Every page, with one of each kind of part.
const PAGES: [(&str, &str); 7] = [
    ("overview", ""),
    ("tasks", "tasks?stage=3"),
    ("failed", "tasks?stage=0&sort=-runtime"),
    ("executors", "executors"),
    ("allocation", "allocation"),
    ("configuration", "configuration"),
    ("log-level", "logLevel?log=am"),
];
/// What a page and all that it needs may weigh.
const WEIGHT: u64 = 150_000;

/// The cells of a table with this caption.
fn rows(html: &str, caption: &str) -> Vec<Vec<String>> {
    let start = format!("<caption class=\"hidden\">{caption}</caption>");
    let (_, rest) = html
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {caption} in {html}"));
    let body = rest
        .split("<tbody>")
        .nth(1)
        .unwrap()
        .split("</tbody>")
        .next()
        .unwrap();
    let rows = body.split("<tr>").skip(1);
    rows.map(|row| row.split("<td").skip(1).map(text).collect())
        .collect()
}

/// What is to be read in a piece of HTML that begins within a tag.
fn text(html: &str) -> String {
    let pieces = html
        .split('>')
        .skip(1)
        .filter_map(|piece| piece.split('<').next());
    pieces.collect::<String>().trim().to_owned()
}

/// The overview says of stages and executors what the API says.
fn numbers_agree(html: &str, lab: &Lab) {
    let mut stages = lab.spark("stages").as_array().unwrap().clone();
    stages.reverse();
    let shown = rows(html, "Stages");
    assert_eq!(shown.len(), stages.len(), "{html}");
    for (row, stage) in shown.iter().zip(&stages) {
        let keys = [
            "name",
            "numTasks",
            "numCompleteTasks",
            "numActiveTasks",
            "numFailedTasks",
        ];
        let said = keys.map(|key| {
            stage[key]
                .as_str()
                .map_or_else(|| stage[key].to_string(), str::to_owned)
        });
        let read = [0, 2, 3, 4, 6].map(|cell: usize| row[cell].clone());
        assert_eq!(read, said, "{stage}");
    }
    let executors = lab.spark("executors");
    let mut said: Vec<&str> = executors
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let shown = rows(html, "Executors");
    let mut read: Vec<&str> = shown.iter().map(|row| row[0].as_str()).collect();
    said.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, said);
}

/// Links and files of a page, as they stand in it.
fn needs(html: &str) -> Vec<String> {
    let of = |name: &str| {
        let parts: Vec<&str> = html.split(name).skip(1).collect();
        parts
            .into_iter()
            .filter_map(|part| part.split('"').next())
            .map(|link| link.replace("&amp;", "&"))
    };
    let all = of(" href=\"").chain(of(" src=\"")).collect::<Vec<_>>();
    all.into_iter()
        .filter(|link| !link.contains(':') && !link.starts_with(['#', '?']))
        .collect()
}

#[test]
fn every_page_comes_through_the_proxy_with_all_that_it_needs() {
    let lab = Lab::embedded();
    lab.lose_an_executor();
    let files = ["style.css", "script.js"].map(|file| lab.get(file));
    let shared: usize = files.iter().map(|file| file.body.len()).sum();
    assert!(files.iter().all(|file| file.status == 200));
    for (name, page) in PAGES {
        let answer = lab.get(page);
        assert_eq!(answer.status, 200, "{name}");
        assert!(
            answer.body.len() + shared < WEIGHT as usize,
            "{name}: {}",
            answer.body.len()
        );
        for header in [
            "Content-Security-Policy",
            "X-Content-Type-Options",
            "Referrer-Policy",
        ] {
            assert!(answer.header(header).is_some(), "{name}: no {header}");
        }
        for link in needs(&answer.text()) {
            let target = link.trim_start_matches('.');
            assert_eq!(lab.get(target).status, 200, "{name}: {link}");
        }
    }
    let overview = lab.get("").text();
    numbers_agree(&overview, &lab);
    assert!(rows(&overview, "Latest failures").len() > 3, "{overview}");
    let lost = lab.api("drawloom/dossiers");
    let lost = lost[0]["executor"].as_str().unwrap();
    let executors = lab.get("executors").text();
    assert!(executors.contains(&format!("<summary>{lost} on ")), "{executors}");
    let paged: Vec<Value> = (0..2)
        .map(|part| lab.spark(&format!("stages/3/0/taskList?offset={}&length=100", 100 * part)))
        .collect();
    let running: usize = paged.iter().map(|part| part.as_array().unwrap().len()).sum();
    assert_eq!(running as u64, lab.executors(), "tasks that were launched");
    lab.end().must_end(0, &["verdict    succeeded"]);
}
