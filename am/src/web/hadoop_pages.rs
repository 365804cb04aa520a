//! What Hadoop's own daemons answer (`HttpServer2`), for the tools that read those: `/jmx`, `/conf`, `/stacks`,
//! `/logLevel`.

use serde_json::{Value, json};

use super::html::Escaped;
use super::{Answer, Request, Scene};
use crate::configuration::Entry;
use crate::log_levels::{LogLevels, ROOT};
use crate::summary::TaskCounts;

/// The domain of our beans.
const DOMAIN: &str = "drawloom:service=ApplicationMaster,name=";

/// The path of [`log_level`].
pub const LOG_LEVEL: &str = "/logLevel";
/// Levels to choose from.
const LEVELS: [&str; 6] = ["INFO", "DEBUG", "TRACE", "WARN", "ERROR", "OFF"];
/// What `hadoop daemonlog` looks for at the beginning of a line.
const MARKER: &str = "<!-- OUTPUT -->";

/// `LogLevel.Servlet`: `log` names a module, whose level is shown, and set to `level` if that is given. Whoever asks is
/// allowed to.
pub fn log_level(levels: &mut LogLevels, request: &Request) -> Answer {
    let mut lines = Vec::new();
    if let Some(name) = request.parameter("log").filter(|name| !name.is_empty()) {
        lines.push(("Submitted Log Name", name.to_owned()));
        if let Some(level) = new_level(request) {
            lines.push(("Submitted Level", level.to_owned()));
            let set = levels.set(name, level);
            lines.push(match set {
                Ok(set) => ("Set Level", set.to_string().to_uppercase()),
                Err(why) => ("Bad Level", why.to_string()),
            });
        }
        lines.push(("Effective Level", levels.of(name).to_string().to_uppercase()));
    }
    let line = |(what, value): (&str, String)| {
        let value = Escaped(value);
        format!("{MARKER}{what}: <b>{value}</b><br>\n")
    };
    let option = |level: &str| format!("<option>{level}</option>");
    let options: String = LEVELS.into_iter().map(option).collect();
    let results: String = lines.into_iter().map(line).collect();
    Answer::html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Log Level</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"style.css\"></head>\n<body><main id=\"main\">\n\
         <h1>Log Level</h1>\n<p role=\"status\">\n{results}</p>\n{}{}\
         <p>A module of the ApplicationMaster such as am::gateway, or {ROOT} for all others. What is set lasts as long \
         as this process.</p>\n</main></body></html>\n",
        form("Get Log Level", ""),
        form(
            "Set Log Level",
            &format!("<label>Level <select name=\"level\">{options}</select></label> ")
        ),
    ))
}

/// The level that a request wants set, if it wants one.
pub(super) fn new_level(request: &Request) -> Option<&str> {
    request.parameter("level").filter(|level| !level.is_empty())
}

fn form(text: &str, more: &str) -> String {
    format!(
        "<h2>{text}</h2>\n<form><label>Log <input name=\"log\" required></label> {more}\
         <button type=\"submit\">{text}</button></form>\n"
    )
}

/// `JMXJsonServlet`: `qry` chooses beans by name, `*` at its end for any rest; `get` is `BEAN::ATTRIBUTE`.
pub(super) fn jmx(scene: &Scene<'_>, request: &Request) -> Answer {
    let beans = beans(scene);
    if let Some(get) = request.parameter("get") {
        return attribute(&beans, get);
    }
    let wanted = request.parameter("qry").unwrap_or("*");
    let found = beans.into_iter().filter(|bean| matches(bean, wanted));
    Answer::json(&json!({ "beans": found.collect::<Vec<_>>() }))
}

fn matches(bean: &Value, wanted: &str) -> bool {
    let name = bean["name"].as_str().unwrap_or_default();
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start.trim_end_matches('*').trim_end_matches(':')),
        None => name == wanted,
    }
}

fn attribute(beans: &[Value], get: &str) -> Answer {
    let Some((name, attribute)) = get.split_once("::") else {
        let error = json!({ "result": "ERROR", "message": "query format is not as expected." });
        return Answer {
            status: 400,
            ..Answer::json(&error)
        };
    };
    let bean = beans.iter().find(|bean| bean["name"] == name);
    match bean.and_then(|bean| Some((bean, bean.get(attribute)?))) {
        None => Answer {
            status: 404,
            ..Answer::json(&json!({ "result": "ERROR", "message": "No such bean or attribute" }))
        },
        Some((bean, value)) => {
            let only = json!({ "name": name, "modelerType": bean["modelerType"], attribute: value });
            Answer::json(&json!({ "beans": [only] }))
        }
    }
}

fn bean(name: &str, attributes: Value) -> Value {
    let mut bean = json!({ "name": format!("{DOMAIN}{name}"), "modelerType": name });
    if let (Some(bean), Value::Object(attributes)) = (bean.as_object_mut(), attributes) {
        bean.extend(attributes);
    }
    bean
}

fn beans(scene: &Scene<'_>) -> Vec<Value> {
    let snapshot = scene.driver.snapshot();
    let counts = scene.launcher.counts();
    let tasks = TaskCounts::of(&snapshot.stages);
    vec![
        bean(
            "Application",
            json!({
                "Id": scene.environment.application(),
                "Name": scene.plan.name,
                "User": scene.environment.user,
                "Queue": scene.queue,
                "Attempt": scene.environment.epoch().0,
                "State": scene.state(),
                "UptimeMillis": u64::try_from(scene.now.as_millis()).unwrap_or(u64::MAX),
                "ResourceManagerSilentMillis": u64::try_from(scene.rm_silent.as_millis()).unwrap_or(u64::MAX),
            }),
        ),
        bean(
            "Executors",
            json!({
                "Wanted": counts.target,
                "Asked": counts.asked,
                "Starting": counts.starting + counts.started,
                "Registered": counts.registered,
                "Stopping": counts.stopping,
                "Lost": scene.notes.executors_lost(),
                "Connected": scene.links,
            }),
        ),
        bean(
            "Tasks",
            json!({
                "Total": tasks.total,
                "Finished": tasks.finished,
                "Running": tasks.running,
                "FailedAttempts": tasks.failed_attempts,
            }),
        ),
    ]
}

/// `ConfServlet`: the settings, as JSON or XML by the `Accept` header; `name` chooses one, 404 when there is none.
pub(super) fn conf(scene: &Scene<'_>, request: &Request) -> Answer {
    let wanted = request.parameter("name");
    let all = scene.configuration.iter().map(Entry::shown);
    let found: Vec<_> = all
        .filter(|entry| wanted.is_none_or(|name| entry.key == name))
        .collect();
    if let (Some(name), true) = (wanted, found.is_empty()) {
        return Answer::text(404, &format!("Property {name} not found"));
    }
    if request.accept.contains("json") {
        let one = |entry: &Entry| json!({ "key": entry.key, "value": entry.value, "isFinal": false, "resource": entry.origin });
        let properties: Vec<_> = found.iter().map(one).collect();
        return match wanted {
            Some(_) => Answer::json(&json!({ "property": properties[0] })),
            None => Answer::json(&json!({ "properties": properties })),
        };
    }
    let one = |entry: &Entry| {
        let (key, value, origin) = (Escaped(&entry.key), Escaped(&entry.value), Escaped(&entry.origin));
        format!(
            "<property><name>{key}</name><value>{value}</value><final>false</final><source>{origin}</source></property>\n"
        )
    };
    let properties: String = found.iter().map(one).collect();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n{properties}</configuration>\n"
    );
    Answer::new(200, "text/xml; charset=utf-8", xml)
}

/// In the place of a dump of threads, of which there is one: what the process waits for.
pub(super) fn stacks(scene: &Scene<'_>) -> Answer {
    let counts = scene.launcher.counts();
    let (done, known) = scene.driver.progress();
    let silent = scene.rm_silent.as_secs_f64();
    let why = scene.launcher.why_pending(scene.now);
    let lines = [
        "Process Thread Dump: one thread, which serves everything in turn".to_owned(),
        format!(
            "application: {} for {:.1} s",
            scene.state(),
            scene.now.as_secs_f64()
        ),
        format!("driver: {done} of {known} tasks done"),
        format!("ResourceManager: last heard {silent:.1} s ago"),
        format!(
            "containers: {} registered, {} starting, {} stopping, {} asked for",
            counts.registered,
            counts.starting + counts.started,
            counts.stopping,
            counts.asked
        ),
        format!("gateway: {} executors connected", scene.links),
        format!("waiting for: {}", why.unwrap_or_else(|| "nothing".to_owned())),
    ];
    Answer::text(200, &lines.join("\n"))
}
