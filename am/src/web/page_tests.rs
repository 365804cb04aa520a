//! What holds of every page, whatever it shows.

use std::time::Instant;

use driver::event::{Event, TaskInput};
use driver::plan::TaskSource;
use wire::id::StageKey;

use super::tests::{APP, Stand, plan, registered};
use super::{Request, log_level};
use crate::log_levels::LogLevels;

const PAGES: [&str; 6] = [
    "/",
    "/tasks?stage=0",
    "/tasks?stage=0&state=running&sort=-runtime",
    "/executors",
    "/allocation",
    "/configuration",
];

/// Values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let parts = html.split(start.as_str()).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// Elements that open and do not close, or the reverse.
fn unbalanced(html: &str) -> Vec<String> {
    const VOID: [&str; 8] = ["meta", "link", "path", "rect", "br", "input", "!--", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap_or_default();
        let name = name.trim_end_matches('/').to_owned();
        if tag.starts_with('/') {
            if open.pop().as_deref() != Some(&name) {
                wrong.push(format!("</{name}>"));
            }
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    wrong.extend(open);
    wrong
}

#[test]
fn every_page_is_whole_and_can_be_used_without_eyes_or_mouse() {
    for stand in [Stand::new(), Stand::busy()] {
        for page in PAGES {
            let html = stand.get(page).body;
            assert_eq!(unbalanced(&html), [""; 0], "{page}");
            assert_eq!(html.matches("<h1").count(), 1, "{page}");
            assert!(
                html.contains("<html lang=\"en\">") && html.contains("<main id=\"main\">"),
                "{page}"
            );
            assert!(
                html.contains("href=\"#main\"") && html.contains("role=\"status\""),
                "{page}"
            );
            let tables = html.matches("<table>").count();
            assert_eq!(tables, html.matches("<caption").count(), "{page}");
            assert_eq!(html.matches("<th>").count(), 0, "{page}: a head without scope");
            let named = ["role=\"img\" aria-label=", "role=\"group\" aria-label="];
            let named: usize = named.iter().map(|words| html.matches(words).count()).sum();
            assert_eq!(html.matches("<svg").count(), named, "{page}");
            assert_eq!(
                html.matches("<button").count(),
                html.matches("<button type=\"button\"").count(),
                "{page}"
            );
            assert!(html.len() < 150_000, "{page}: {} bytes", html.len());
        }
    }
}

/// All applications share the proxy's origin, and the proxy puts a path before ours.
#[test]
fn links_are_relative_and_nothing_is_fetched_from_elsewhere() {
    let stand = Stand::busy();
    for page in PAGES {
        let html = stand.get(page).body;
        for link in [
            attributes(&html, "href"),
            attributes(&html, "src"),
            attributes(&html, "data-to"),
        ]
        .concat()
        {
            let log = link.starts_with("http://nm1:8042/node/containerlogs/") || link == "data:,";
            assert!(
                log || !link.starts_with('/') && !link.contains("//"),
                "{page}: {link}"
            );
        }
        for word in ["style=\"", "onclick", "javascript:"] {
            assert!(!html.contains(word), "{page}: {word}");
        }
    }
}

#[test]
fn what_a_link_to_a_page_asks_for_cannot_put_anything_into_the_page() {
    let stand = Stand::busy();
    for parameter in ["stage", "state", "sort", "offset", "x"] {
        let hostile = "\"><blink>";
        let others = if parameter == "stage" { "" } else { "stage=0&" };
        let html = stand.get(&format!("/tasks?{others}{parameter}={hostile}")).body;
        assert!(!html.contains("<blink>"), "{parameter}: {html}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let stand = Stand::busy();
    for page in PAGES {
        let html = stand.get(page).body;
        let own = attributes(&html, "href").into_iter();
        for link in own.filter(|link| !link.contains(':') && !link.starts_with(['#', '?'])) {
            let target = format!("/{}", link.trim_start_matches('.').replace("&amp;", "&"));
            assert_eq!(stand.get(&target).status, 200, "{page}: {link}");
        }
    }
}

#[test]
fn secrets_are_on_no_page() {
    let stand = Stand::busy();
    let environment = format!("{APP}/environment");
    for page in [
        "/configuration",
        "/api/v1/drawloom/configuration",
        "/conf",
        &environment,
    ] {
        let body = stand.get(page).body;
        assert!(
            body.contains("store.password") && !body.contains("hunter2"),
            "{body}"
        );
    }
}

#[test]
fn the_page_of_a_stage_says_why_its_attempts_failed() {
    let title = "Latest failures of this stage";
    assert!(!Stand::new().get("/tasks?stage=0").body.contains(title));
    let page = Stand::busy().get("/tasks?stage=0").body;
    let (_, failures) = page.split_once(title).unwrap();
    assert!(
        failures.contains("<td>stage count, task 1, attempt 0</td>"),
        "{failures}"
    );
    assert!(
        !failures.contains("SIGKILL"),
        "of an executor, not of the stage: {failures}"
    );
}

#[test]
fn what_hadoop_s_daemons_answer() {
    let stand = Stand::busy();
    let beans = stand.get("/jmx").body;
    assert!(
        beans.contains("drawloom:service=ApplicationMaster,name=Executors"),
        "{beans}"
    );
    let one = stand
        .get("/jmx?qry=drawloom:service=ApplicationMaster,name=Tasks")
        .body;
    assert!(
        one.contains("\"Finished\": 1") && !one.contains("Registered"),
        "{one}"
    );
    let get = stand.get("/jmx?get=drawloom:service=ApplicationMaster,name=Tasks::Finished");
    assert!(
        get.status == 200 && get.body.contains("\"Finished\": 1"),
        "{}",
        get.body
    );
    let nonsense = stand.get("/jmx?get=nonsense");
    assert!(
        nonsense.status == 200 && nonsense.body.contains("ERROR"),
        "{}",
        nonsense.body
    );
    let unknown = stand.get("/jmx?get=a:b=c::d");
    assert_eq!(
        (unknown.status, unknown.body.as_str()),
        (200, "{\n  \"beans\": []\n}\n")
    );
    assert_eq!(
        stand
            .get("/jmx?get=drawloom:service=ApplicationMaster,name=Tasks::None")
            .status,
        404
    );
    let xml = stand.get("/conf?name=queue").body;
    assert!(xml.contains("<name>queue</name><value>etl</value>"), "{xml}");
    assert_eq!(stand.get("/conf?name=nothing").status, 404);
    assert!(stand.get("/stacks").body.contains("tasks done"));
}

#[test]
fn levels_of_logs_are_shown_and_set_as_hadoop_daemonlog_reads_them() {
    let mut levels = LogLevels::new("info".parse().unwrap(), drop);
    let mut ask = |query: &[(&str, &str)]| {
        let query = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let request = Request {
            query: query.collect(),
            ..Request::default()
        };
        let answer = log_level(&mut levels, &request);
        assert_eq!(
            (answer.status, unbalanced(&answer.body)),
            (200, vec![]),
            "{}",
            answer.body
        );
        let told = answer
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("<!-- OUTPUT -->"));
        told.map(|line| line.replace("<b>", "").replace("</b><br>", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(&[]), [""; 0]);
    assert_eq!(
        ask(&[("log", "am")]),
        ["Submitted Class Name: am", "Effective Level: INFO"]
    );
    let set = ask(&[("log", "am"), ("level", "debug")]);
    assert_eq!(set.last().unwrap(), "Effective Level: DEBUG");
    assert_eq!(
        ask(&[("log", "am::web")]).last().unwrap(),
        "Effective Level: DEBUG"
    );
    let bad = ask(&[("log", "<b>"), ("level", "<i>")]).concat();
    assert!(bad.contains("Bad Level") && !bad.contains("<i>"), "{bad}");
}

/// A stage of so many tasks, of which one executor runs some.
fn large(tasks: u32) -> Stand {
    let mut plan = plan();
    plan.stages[0].source = TaskSource::Tasks(tasks);
    let mut stand = Stand::of(plan);
    stand.drive(100, Event::Started);
    let stage = StageKey {
        job: 0,
        stage: 0,
        stage_attempt: 0,
    };
    let planned = Event::StagePlanned {
        stage,
        tasks: Ok(vec![TaskInput::default(); tasks as usize]),
    };
    stand.drive(110, planned);
    stand.drive(900, registered(2));
    stand
}

/// Unoptimised, so the bound is far above what an operator sees: see docs/operations.md.
#[test]
fn pages_of_a_hundred_thousand_tasks_are_small_and_paged() {
    let stand = large(100_000);
    for target in [
        "/tasks?stage=0",
        "/tasks?stage=0&offset=99900",
        "/tasks?stage=0&sort=-runtime",
        "/",
    ] {
        let since = Instant::now();
        let answer = stand.get(target);
        eprintln!("{target}: {} bytes in {:.1?}", answer.body.len(), since.elapsed());
        assert!(answer.status == 200 && answer.body.len() < 150_000, "{target}");
    }
    let last = stand.get("/tasks?stage=0&offset=99900").body;
    assert!(last.contains(">99999<") && !last.contains("Later"), "{last}");
    let list = stand.get(&format!("{APP}/stages/0/0/taskList?length=100&sortBy=-runtime"));
    assert!(list.body.len() < 150_000);
}

#[test]
fn quantiles_are_those_of_spark() {
    let sorted: Vec<u32> = (1..=100).collect();
    assert_eq!(
        super::quantiles(&sorted, &[0.0, 0.25, 0.5, 0.95, 1.0]),
        [1, 26, 51, 96, 100]
    );
    assert_eq!(super::quantiles(&[], &[0.5]), [0; 0]);
    let stand = Stand::busy();
    let summary = stand.get(&format!("{APP}/stages/0/0/taskSummary?quantiles=0.5"));
    assert!(
        summary.body.contains("\"duration\": [\n    1100.0\n  ]"),
        "{}",
        summary.body
    );
    assert_eq!(
        stand
            .get(&format!("{APP}/stages/0/0/taskSummary?quantiles=7"))
            .status,
        404
    );
    let failed = stand
        .get(&format!("{APP}/stages/0/0/taskList?status=failed"))
        .body;
    assert!(
        failed.contains("boom") && failed.contains("\"status\": \"FAILED\""),
        "{failed}"
    );
}
