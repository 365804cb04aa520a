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
        lines.push(("Submitted Class Name", name.to_owned()));
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

/// `JMXJsonServlet`: `qry` chooses beans by a pattern of names, `get` is `BEAN::ATTRIBUTE`. Like there, a name that no bean
/// has is an answer without beans, and a `get` that is none says so with status 200.
pub(super) fn jmx(scene: &Scene<'_>, request: &Request) -> Answer {
    let beans = beans(scene);
    if let Some(get) = request.parameter("get") {
        return attribute(&beans, get);
    }
    let wanted = request.parameter("qry").unwrap_or("*");
    let found = beans.into_iter().filter(|bean| matches(bean, wanted));
    Answer::json(&json!({ "beans": found.collect::<Vec<_>>() }))
}

/// As `javax.management.ObjectName` does: `DOMAIN:KEY=VALUE,…` in any order, `*` for any text in the domain and in values,
/// and alone among the properties for any others.
fn matches(bean: &Value, pattern: &str) -> bool {
    let name = bean["name"].as_str().unwrap_or_default();
    let (Some((domain, properties)), Some((wanted_domain, wanted))) =
        (name.split_once(':'), pattern.split_once(':'))
    else {
        return pattern == "*";
    };
    let has: Vec<(&str, &str)> = properties
        .split(',')
        .filter_map(|part| part.split_once('='))
        .collect();
    let wants: Vec<&str> = wanted.split(',').filter(|part| *part != "*").collect();
    let is_there = |wanted: &&str| {
        let wanted = wanted.split_once('=');
        wanted.is_some_and(|(key, value)| has.iter().any(|has| has.0 == key && fits(has.1, value)))
    };
    let others_may_be = wanted.split(',').any(|part| part == "*");
    fits(domain, wanted_domain) && wants.iter().all(is_there) && (others_may_be || wants.len() == has.len())
}

/// Whether a text is that of a pattern in which `*` is any text.
fn fits(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut text) = text.strip_suffix(end) else {
        return false;
    };
    middle.split('*').all(|part| {
        let found = text.find(part);
        text = found.map_or("", |at| &text[at + part.len()..]);
        found.is_some()
    })
}

fn attribute(beans: &[Value], get: &str) -> Answer {
    let Some((name, attribute)) = get.split_once("::") else {
        return Answer::json(&json!({ "result": "ERROR", "message": "query format is not as expected." }));
    };
    let Some(bean) = beans.iter().find(|bean| bean["name"] == name) else {
        return Answer::json(&json!({ "beans": [] }));
    };
    match bean.get(attribute) {
        None => {
            let why = format!("No attribute with name {attribute} was found.");
            Answer {
                status: 404,
                ..Answer::json(&json!({ "result": "ERROR", "message": why }))
            }
        }
        Some(value) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beans_are_chosen_as_object_names_are() {
        let bean = json!({ "name": format!("{DOMAIN}Tasks") });
        for (pattern, fits) in [
            ("*", true),
            ("*:*", true),
            ("drawloom:*", true),
            ("Hadoop:*", false),
            ("draw*:service=Application*,name=*ask*", true),
            ("drawloom:name=Tasks,service=ApplicationMaster", true),
            ("*:name=Tasks,*", true),
            ("*:service=ApplicationMaster", false),
            ("*:name=Task,*", false),
            ("*:name=T*T*s,*", false),
            ("*:name=Tasks*s,*", false),
            ("drawloom", false),
            ("", false),
        ] {
            assert_eq!(matches(&bean, pattern), fits, "{pattern}");
        }
    }
}
