//! The file of `drawloom mini --faults`: what the cluster is like, and what goes wrong when. docs/faults.md shows it.

use std::path::Path;
use std::time::Duration;

use ::mini::{Action, Fault, Options, Plan, Trigger};

use super::order;
use crate::job::InvalidJob;
use crate::job::document::{self, Node, Value};
use crate::job::fields::{Fields, Placed};
use crate::job::problem::{Place, Problem, nearest};
use crate::settings::value;

/// What may be counted of Hadoop RPC.
const METHODS: [&str; 15] = [
    "registerApplicationMaster",
    "allocate",
    "finishApplicationMaster",
    "startContainers",
    "stopContainers",
    "getContainerStatuses",
    "signalToContainer",
    "updateContainer",
    "getNewApplication",
    "submitApplication",
    "forceKillApplication",
    "getApplicationReport",
    "getApplications",
    "getClusterNodes",
    "getClusterMetrics",
];

/// Reads a file of faults for a cluster; the cluster's part of it goes into `options`.
///
/// # Errors
/// All problems at once, each with its line and column.
pub(super) fn parse(path: &Path, text: &str, options: &mut Options) -> Result<Plan, InvalidJob> {
    let invalid = |mut problems: Vec<Problem>| {
        problems.sort();
        InvalidJob {
            path: path.to_owned(),
            problems,
        }
    };
    let root = document::parse(text).map_err(|problem| invalid(vec![problem]))?;
    let mut problems = Vec::new();
    let plan = read(root, options, &mut problems);
    match problems.is_empty() {
        true => Ok(plan),
        false => Err(invalid(problems)),
    }
}

fn read(root: Node, options: &mut Options, problems: &mut Vec<Problem>) -> Plan {
    let mut fields = Fields::of(root, "the file", problems);
    crate::job::check::version(&mut fields, problems);
    if let Some(node) = fields.node("cluster") {
        read_cluster(node, options, problems);
    }
    let mut plan = Plan::default();
    if let Some(node) = fields.node("faults") {
        match node.value {
            Value::List(nodes) => {
                for node in nodes {
                    read_fault(node, options, &mut plan, problems);
                }
            }
            Value::Scalar { .. } | Value::Map(_) => problems.push(Problem::new(
                node.place,
                "faults should be a list: begin each fault with a dash",
            )),
        }
    }
    fields.finish(problems);
    plan
}

fn read_cluster(node: Node, options: &mut Options, problems: &mut Vec<Problem>) {
    let mut fields = Fields::of(node, "cluster", problems);
    let standby = fields.parsed("standby", problems, value::boolean);
    options.high_availability = standby.is_some_and(|standby| standby.value);
    for (key, setting) in [
        ("master-expiry", &mut options.master_expiry),
        ("node-expiry", &mut options.node_expiry),
        ("container-expiry", &mut options.container_expiry),
        ("recovery-wait", &mut options.recovery_wait),
    ] {
        if let Some(given) = fields.parsed(key, problems, value::duration) {
            *setting = given.value;
        }
    }
    let check = fields.parsed("memory-check", problems, value::interval);
    options.memory_check = check.map(|check| check.value).or(options.memory_check);
    if let Some(interval) = fields.parsed("node-heartbeat", problems, value::interval) {
        options.pacing = ::mini::Pacing::NodeHeartbeats(interval.value);
    }
    fields.finish(problems);
}

/// When a fault happens.
enum When {
    /// As soon as the cluster is there.
    Start,
    /// With something that is counted.
    Trigger(Trigger),
}

fn read_fault(node: Node, options: &Options, plan: &mut Plan, problems: &mut Vec<Problem>) {
    let mut fields = Fields::of(node, "a fault", problems);
    let place = fields.place;
    let at = order::node_number(&mut fields, "at", options, problems);
    let when = read_when(&mut fields, at, place, problems);
    let nth = fields
        .parsed("nth", problems, value::count)
        .map_or(1, |nth| nth.value);
    let times = fields
        .parsed("times", problems, value::count)
        .map_or(1, |times| times.value);
    let after = fields.parsed("after", problems, value::duration);
    let what = fields.text("do", problems);
    let action = match what {
        Some(what) => read_action(&mut fields, &what, options, problems),
        None => {
            problems.push(Problem::new(place, "a fault needs \"do\": what goes wrong"));
            None
        }
    };
    fields.finish(problems);
    let (Some(when), Some(action)) = (when, action) else {
        return;
    };
    match (when, delayed(action, after, problems)) {
        (When::Trigger(on), action) => {
            let count = |nth| Fault {
                on: on.clone(),
                nth,
                action: action.clone(),
            };
            plan.faults.extend((nth..nth.saturating_add(times)).map(count));
        }
        (When::Start, Action::Order(order)) => plan.at_start.push((Duration::ZERO, order)),
        (When::Start, Action::OrderAfter(delay, order)) => plan.at_start.push((delay, order)),
        (When::Start, _) => problems.push(Problem::new(
            place,
            "there is no call at the start that could be answered otherwise: say which one with \"on\"",
        )),
    }
}

fn read_when(
    fields: &mut Fields,
    at: Option<usize>,
    place: Place,
    problems: &mut Vec<Problem>,
) -> Option<When> {
    let Some(on) = fields.text("on", problems) else {
        problems.push(Problem::new(
            place,
            "a fault needs \"on\": start, container, an RPC method, or a web request",
        ));
        return None;
    };
    match trigger(&on.value, at) {
        Ok(when) => Some(when),
        Err(why) => {
            problems.push(Problem::new(on.place, why));
            None
        }
    }
}

fn trigger(on: &str, node: Option<usize>) -> Result<When, String> {
    if let Some((method, path)) = on.split_once(' ') {
        let method = method.to_ascii_uppercase();
        if !matches!(method.as_str(), "GET" | "POST" | "PUT") || !path.starts_with('/') {
            return Err(format!(
                "{on:?} is no web request: write it like PUT /ws/v1/cluster/apps/*/state"
            ));
        }
        let path = path.to_owned();
        return Ok(When::Trigger(Trigger::Request { method, path, node }));
    }
    match on {
        "start" => Ok(When::Start),
        "container" => Ok(When::Trigger(Trigger::ContainerStart)),
        method if METHODS.contains(&method) => {
            let method = method.to_owned();
            Ok(When::Trigger(Trigger::Call { method, node }))
        }
        other => {
            let known = METHODS.iter().copied().chain(["start", "container"]);
            let hint = nearest(other, known).map_or_else(
                || format!("RPC methods are {}", METHODS.join(", ")),
                |word| format!("did you mean {word:?}?"),
            );
            Err(format!("nothing called {other:?} is counted: {hint}"))
        }
    }
}

fn read_action(
    fields: &mut Fields,
    what: &Placed<String>,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Option<Action> {
    match what.value.as_str() {
        "lose-request" => Some(Action::LoseRequest),
        "lose-answer" => Some(Action::LoseAnswer),
        "duplicate" => Some(Action::Duplicate),
        "delay" => {
            let time = fields.parsed("for", problems, value::interval);
            order::needed(time, "for", what, problems).map(Action::Delay)
        }
        "fail" => {
            let class = fields.text("class", problems);
            let message = fields.text("message", problems);
            let class = class.map_or_else(|| "java.io.IOException".to_owned(), |class| class.value);
            let message = message.map_or_else(|| "on order".to_owned(), |message| message.value);
            Some(Action::Fail(::mini::Failure::new(&class, message)))
        }
        _ => order::read(fields, what, options, problems).map(Action::Order),
    }
}

fn delayed(action: Action, after: Option<Placed<Duration>>, problems: &mut Vec<Problem>) -> Action {
    match (action, after) {
        (Action::Order(order), Some(after)) => Action::OrderAfter(after.value, order),
        (action, Some(after)) => {
            let text =
                "what happens to a call happens with the call: leave \"after\" out, or use \"do: delay\"";
            problems.push(Problem::new(after.place, text));
            action
        }
        (action, None) => action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::mini::Order;

    fn parsed(text: &str) -> Result<(Plan, Options), InvalidJob> {
        let mut options = Options::default();
        let plan = parse(Path::new("faults.yaml"), text, &mut options)?;
        Ok((plan, options))
    }

    #[test]
    fn the_file_of_the_documentation_is_read() {
        let text = include_str!("../../../../docs/faults.yaml");
        let (plan, options) = parsed(text).unwrap();
        assert!(options.high_availability);
        assert!(plan.faults.len() > 10 && !plan.at_start.is_empty());
    }

    #[test]
    fn a_fault_may_happen_several_times_in_a_row() {
        let text = "version: 1\nfaults:\n- { on: allocate, nth: 3, times: 2, do: lose-answer }\n";
        let (plan, _) = parsed(text).unwrap();
        let counts: Vec<u32> = plan.faults.iter().map(|fault| fault.nth).collect();
        assert_eq!(counts, [3, 4]);
    }

    #[test]
    fn orders_may_wait() {
        let text = "version: 1\nfaults:\n- { on: start, after: 2s, do: freeze-node, node: 2 }\n";
        let (plan, _) = parsed(text).unwrap();
        assert_eq!(plan.at_start, [(Duration::from_secs(2), Order::FreezeNode(2))]);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let text = "version: 1\ncluster: { standbye: true }\nfaults:\n- { on: alocate, do: lose-answer }\n\
                    - { on: allocate, do: freeze-node, node: 9 }\n- { on: allocate, do: lose-node, noed: 1 }\n\
                    - { on: start, do: duplicate }\n- { on: allocate, do: delay }\n- { do: fail-over }\n";
        let said = parsed(text).unwrap_err().to_string();
        for wanted in [
            "faults.yaml:2:12: unknown key \"standbye\" in cluster: did you mean \"standby\"?",
            "4:9: nothing called \"alocate\" is counted: did you mean \"allocate\"?",
            "there are 2 nodes, they are numbered from 1",
            "unknown key \"noed\" in a fault: did you mean \"node\"?",
            "there is no call at the start",
            "\"delay\" needs \"for\"",
            "a fault needs \"on\"",
        ] {
            assert!(said.contains(wanted), "{wanted}\n{said}");
        }
    }
}
