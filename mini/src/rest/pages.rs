//! The few pages a person may open in a browser.

use crate::http_server::Answer;
use crate::resource_manager::{Application, ResourceManager};
use crate::time::{self, UnixMs};

use super::application;

fn page(title: &str, body: &str) -> Answer {
    Answer::html(
        200,
        format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title><style>body{{font-family:\
             sans-serif;margin:2em}}td,th{{padding:.2em 1em .2em 0;text-align:left;vertical-align:top}}</style>\
             </head><body><h1>{title}</h1>\n{body}\n</body></html>\n"
        ),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// What a browser sees that an ApplicationMaster sent away although it came from the proxy.
pub(super) fn failure(id: &str) -> Answer {
    page(
        &format!("Pages of {}", escaped(id)),
        "<p>The ApplicationMaster does not take this ResourceManager for its proxy: it sends requests back that come \
         from here. Its list of proxy addresses is wrong.</p>",
    )
}

/// All applications.
pub(super) fn applications(core: &ResourceManager, now: UnixMs) -> Answer {
    let mut rows =
        String::from("<table><tr><th>Application<th>Name<th>User<th>State<th>Started<th>Seconds</tr>\n");
    for one in core.applications() {
        let end = if one.finished_ms == 0 {
            now
        } else {
            one.finished_ms
        };
        rows += &format!(
            "<tr><td><a href=\"/cluster/app/{0}\">{0}</a><td>{1}<td>{2}<td>{3}<td>{4}<td>{5}</tr>\n",
            one.id,
            escaped(&one.submission.name),
            escaped(&one.user),
            application::state(one.state),
            time::stamp(one.started_ms),
            end.saturating_sub(one.started_ms) / 1000
        );
    }
    rows += "</table>";
    page("Applications of the embedded cluster", &rows)
}

/// One application.
pub(super) fn application(core: &ResourceManager, one: &Application, now: UnixMs) -> Answer {
    let mut rows = String::from("<table>\n");
    let mut row = |name: &str, value: &str| rows += &format!("<tr><th>{name}<td>{value}</tr>\n");
    row("Name", &escaped(&one.submission.name));
    row("User", &escaped(&one.user));
    row("State", application::state(one.state));
    row("Final status", application::final_status(one.final_status));
    row("Started", &time::stamp(one.started_ms));
    row(
        "Pages",
        &format!(
            "<a href=\"http://{0}/proxy/{1}/\">{1}</a>",
            core.settings().web_address,
            one.id
        ),
    );
    row(
        "Diagnostics",
        &format!("<pre>{}</pre>", escaped(&one.diagnostics)),
    );
    for attempt in &one.attempts {
        let Some((container, node, http)) = &attempt.container else {
            continue;
        };
        let logs = format!("http://{http}/node/containerlogs/{container}/{}", one.user);
        let text = format!(
            "{} on {node}, <a href=\"{}\">logs</a>",
            attempt.id,
            escaped(&logs)
        );
        row("Attempt", &text);
    }
    for container in one.containers.values() {
        let age = now.saturating_sub(container.granted_ms) / 1000;
        row(
            "Container",
            &format!("{} on {}, {age} s", container.id, container.node),
        );
    }
    rows += "</table>";
    page(&one.id.to_string(), &rows)
}
