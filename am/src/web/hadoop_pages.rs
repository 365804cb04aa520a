//! What Hadoop's own daemons answer (`HttpServer2`), for the tools that read those: `/jmx`, `/conf`, `/stacks`.

use serde_json::{Value, json};

use super::html::Escaped;
use super::{Answer, Request, Scene};
use crate::configuration::Entry;
use crate::summary::TaskCounts;

/// The domain of our beans.
const DOMAIN: &str = "drawloom:service=ApplicationMaster,name=";

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
