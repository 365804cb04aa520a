//! Why an application that has not ended waits.

use am::dossier::Dossier;
use yarn_rest::Phase;
use yarn_rest::model::{Node, NodeState, PendingAsk};

use super::{Facts, Reason};
use crate::settings::value::show_mebibytes;

/// Silence of an ApplicationMaster after its start that is worth a word, in milliseconds.
const SLOW_START: u64 = 20_000;

/// All reasons, the most telling first.
pub(super) fn reasons(facts: &Facts) -> Vec<Reason> {
    let rules: &[fn(&Facts) -> Option<Reason>] = &[
        no_active_nodes,
        label_without_nodes,
        stopped_queue,
        larger_than_any_node,
        am_share,
        queue_full,
        user_limit,
        master_starts_slowly,
        master_failed_before,
        crash_loop,
        no_room_on_nodes,
        cluster_full,
        excluded_nodes,
        launcher_says,
        scheduler_says,
        in_queue,
    ];
    let mut found: Vec<Reason> = rules.iter().filter_map(|rule| rule(facts)).collect();
    // What others say of the same wait adds nothing to a reason that was understood.
    if found.len() > 1 {
        found.retain(|reason| reason.code != "in-queue");
    }
    found
}

/// Everything that YARN says of it.
fn said(facts: &Facts) -> String {
    format!("{}\n{}", facts.report.diagnostics, facts.attempt_diagnostics)
}

/// Whether something is missing that YARN would have to give.
fn is_waiting(facts: &Facts) -> bool {
    let missing = || {
        facts
            .summary
            .as_ref()
            .is_some_and(|summary| summary.executors.registered < summary.executors.wanted)
    };
    facts.report.phase() < Phase::Running || missing()
}

fn no_active_nodes(facts: &Facts) -> Option<Reason> {
    let metrics = facts
        .metrics
        .as_ref()
        .filter(|metrics| metrics.active_nodes == 0)?;
    let ill = facts
        .nodes
        .iter()
        .flatten()
        .find(|node| !node.health_report.trim().is_empty());
    let report = ill.map_or_else(String::new, |node| {
        format!("; {} says: {}", node.id, node.health_report.trim())
    });
    let why = format!(
        "no node takes containers: {} known, of which {} lost, {} unhealthy, {} decommissioned{report}",
        metrics.total_nodes, metrics.lost_nodes, metrics.unhealthy_nodes, metrics.decommissioned_nodes
    );
    let help = "start a NodeManager or mend an unhealthy one; the application goes on by itself then";
    Some(Reason::new("no-active-nodes", why, help))
}

fn running(facts: &Facts) -> impl Iterator<Item = &Node> {
    let nodes = facts.nodes.iter().flatten();
    nodes.filter(|node| node.state == NodeState::Running)
}

/// The node label that something waits for.
fn wanted_label(facts: &Facts) -> Option<&str> {
    let asks = facts.report.resource_requests.iter();
    let asked = asks.filter_map(|ask| ask.node_label_expression.as_deref());
    let of_master = facts.report.am_node_label_expression.as_deref();
    asked
        .chain(of_master)
        .map(str::trim)
        .find(|label| !label.is_empty() && *label != "<DEFAULT_PARTITION>" && *label != "<Not set>")
}

fn label_without_nodes(facts: &Facts) -> Option<Reason> {
    let label = wanted_label(facts)?;
    let has = |node: &Node, label: &str| node.node_labels.iter().any(|own| own == label);
    if facts.nodes.is_none() || running(facts).any(|node| has(node, label)) {
        return None;
    }
    let mut labels: Vec<&str> = running(facts)
        .flat_map(|node| node.node_labels.iter().map(String::as_str))
        .filter(|label| !label.is_empty())
        .collect();
    labels.sort_unstable();
    labels.dedup();
    let others = match labels[..] {
        [] => "no running node has a label: submit without node-label".to_owned(),
        _ => format!("choose another with --conf node-label=…: {}", labels.join(", ")),
    };
    let why = format!("no running node has the label {label:?} that the application asks for");
    Some(Reason::new("label-without-nodes", why, others))
}

fn stopped_queue(facts: &Facts) -> Option<Reason> {
    let queue = facts.queue.as_ref()?;
    let state = queue.state.as_deref().filter(|state| *state != "RUNNING")?;
    let why = format!("the queue {} is {state}", facts.report.queue);
    let help = "move it to another queue: yarn application -movetoqueue, or kill it and submit with --queue";
    is_waiting(facts).then(|| Reason::new("queue-stopped", why, help))
}

/// The largest ask that waits.
fn largest_ask(facts: &Facts) -> Option<&PendingAsk> {
    let asks = facts.report.resource_requests.iter();
    asks.filter(|ask| ask.num_containers > 0)
        .max_by_key(|ask| (ask.capability.memory, ask.num_containers))
}

fn larger_than_any_node(facts: &Facts) -> Option<Reason> {
    let ask = largest_ask(facts)?.capability.memory;
    let largest = running(facts)
        .map(|node| node.used_memory_mb + node.available_memory_mb)
        .max()?;
    (ask > largest).then(|| {
        let why = format!(
            "it asks for containers of {}, and the largest node has {} in all",
            show_mebibytes(ask),
            show_mebibytes(largest)
        );
        let help = format!("lower {} to at most {}", sized_by(facts), show_mebibytes(largest));
        Reason::new("larger-than-any-node", why, help)
    })
}

/// The setting that the asks of the moment come from.
fn sized_by(facts: &Facts) -> &'static str {
    if facts.report.phase() < Phase::Running {
        "am.memory"
    } else {
        "executors.memory"
    }
}

/// The Capacity Scheduler's words (`LeafQueue.activateApplications`).
fn am_share(facts: &Facts) -> Option<Reason> {
    let said = said(facts);
    let of_user = said.contains("User's AM resource limit exceeded");
    if facts.report.phase() >= Phase::Running || !(of_user || said.contains("AM resource limit exceeded")) {
        return None;
    }
    let whose = if of_user { "of one user" } else { "of the queue" };
    let numbers = share_numbers(facts, &said);
    let active = facts.queue.as_ref().map_or(0, |queue| queue.active_applications);
    let others = match active {
        0 => String::new(),
        count => format!("; applications that run there: {count}"),
    };
    let why = format!(
        "ApplicationMasters may hold only a share {whose} {}, and that is used up{numbers}{others}",
        facts.report.queue
    );
    let help = "wait until one of them ends, lower am.memory, choose another --queue, or have the operators raise \
                maximum-am-resource-percent";
    Some(Reason::new("am-share", why, help))
}

/// From the text where it has the numbers, else from the queue.
fn share_numbers(facts: &Facts, said: &str) -> String {
    let number = |label: &str| memory_after(said, label);
    let asked = number("AM Resource Request = ");
    let limit = number("Queue Resource Limit for AM = ");
    let used = number("Queue AM Resource Usage = ");
    if let (Some(asked), Some(limit), Some(used)) = (asked, limit, used) {
        return format!(
            ": {} of {} are in use, {} are asked",
            show_mebibytes(used),
            show_mebibytes(limit),
            show_mebibytes(asked)
        );
    }
    let queue = facts.queue.as_ref().filter(|queue| queue.am_limit.memory > 0);
    queue.map_or_else(String::new, |queue| {
        format!(
            ": {} of {} are in use",
            show_mebibytes(queue.am_used.memory),
            show_mebibytes(queue.am_limit.memory)
        )
    })
}

/// The memory of `<memory:256, vCores:1>` behind a label.
fn memory_after(text: &str, label: &str) -> Option<u64> {
    let (_, rest) = text.split_once(label)?;
    let digits = rest.strip_prefix("<memory:")?;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}

fn activity<'a>(facts: &'a Facts, words: &[&str]) -> Option<&'a String> {
    facts.activities.iter().find(|activity| {
        let activity = activity.to_ascii_lowercase();
        words.iter().any(|words| activity.contains(words))
    })
}

/// By the queue's own numbers where it has them (the Capacity Scheduler's `UserInfo`), else by the scheduler's words.
fn user_limit(facts: &Facts) -> Option<Reason> {
    let words = activity(facts, &["user's resource limit", "user limit", "beyond user"]);
    let ask = largest_ask(facts).map_or(0, |ask| ask.capability.memory);
    let users = facts.queue.iter().flat_map(|queue| &queue.users);
    let mine = users
        .filter(|user| user.username == facts.report.user && user.limit.memory > 0)
        .find(|user| user.used.memory + ask > user.limit.memory);
    if queue_room(facts).is_some_and(|room| room < ask) || (words.is_none() && (mine.is_none() || ask == 0)) {
        return None;
    }
    let why = match (mine, words) {
        (Some(user), _) => format!(
            "{} holds {} in the queue {} and may hold {} there; containers of {} are asked for",
            user.username,
            show_mebibytes(user.used.memory),
            facts.report.queue,
            show_mebibytes(user.limit.memory),
            show_mebibytes(ask)
        ),
        (None, words) => {
            let held = facts.report.allocated_mb.map_or_else(String::new, |held| {
                format!("; this application holds {}", show_mebibytes(held))
            });
            format!(
                "{} may hold no more in {}{held} (the scheduler: {})",
                facts.report.user,
                facts.report.queue,
                words.map_or("", String::as_str)
            )
        }
    };
    let help = "wait until other applications of yours end, ask for fewer or smaller executors, or choose another --queue";
    is_waiting(facts).then(|| Reason::new("user-limit", why, help))
}

/// Memory that the queue may still take, in MiB, if it may not take all of the cluster.
fn queue_room(facts: &Facts) -> Option<u64> {
    let (queue, total) = (facts.queue.as_ref()?, facts.metrics.as_ref()?.total_mb);
    let limited = queue.absolute_max_capacity > 0.0 && total > 0;
    let most = (total as f64 * queue.absolute_max_capacity / 100.0) as u64;
    limited.then(|| most.saturating_sub(queue.used.memory))
}

/// A number of things.
fn counted(count: u32, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

fn queue_full(facts: &Facts) -> Option<Reason> {
    let queue = facts.queue.as_ref()?;
    let ask = largest_ask(facts).map(|ask| ask.capability.memory);
    let by_numbers = queue_room(facts).zip(ask).map(|(room, ask)| room < ask);
    if by_numbers == Some(false) || (by_numbers == Some(true) && queue.absolute_max_capacity >= 100.0) {
        return None;
    }
    let recorded = activity(
        facts,
        &[
            "max-capacity",
            "maximum capacity",
            "queue's resource limit",
            "queue hits",
        ],
    );
    let at_limit = queue.max_capacity > 0.0
        && queue.max_capacity < 100.0
        && queue.absolute_used_capacity + 0.5 >= queue.max_capacity;
    if !is_waiting(facts) || !(by_numbers == Some(true) || at_limit || recorded.is_some()) {
        return None;
    }
    let most = match queue.absolute_max_capacity {
        0.0 => queue.max_capacity,
        most => most,
    };
    let why = format!(
        "the queue {} is full: it uses {:.0} % of the cluster and may use {:.0} %, {} by {}",
        facts.report.queue,
        queue.absolute_used_capacity,
        most,
        show_mebibytes(queue.used.memory),
        counted(queue.num_applications, "application")
    );
    let help = "wait until others end, ask for fewer or smaller executors, or choose another --queue";
    Some(Reason::new("queue-full", why, help))
}

fn master_starts_slowly(facts: &Facts) -> Option<Reason> {
    let report = &facts.report;
    let slow = report.phase() == Phase::AmStarting && report.elapsed_time >= SLOW_START;
    slow.then(|| {
        let node = report.am_host_http_address.as_deref().unwrap_or("a node");
        let why = format!(
            "the ApplicationMaster's container is on {node} and has not registered after {} s: the node fetches its files, \
             or it cannot reach the ResourceManager",
            report.elapsed_time / 1000
        );
        Reason::new("am-starting", why, format!("its log: drawloom logs {}", report.id))
    })
}

fn master_failed_before(facts: &Facts) -> Option<Reason> {
    let failure = yarn_rest::AmFailure::parse(&facts.report.diagnostics)?;
    let why = format!(
        "an earlier attempt of the ApplicationMaster failed: {}",
        failure.reason
    );
    let help = format!("its log: drawloom logs {}", facts.report.id);
    Some(Reason::new("am-failed-before", why, help))
}

/// What a loss is to programs (`ContainerExitStatus` of YARN).
fn loss_code(loss: &Dossier) -> &'static str {
    match loss.exit_status {
        Some(-102) => "executors-preempted",
        Some(-104 | -103) => "executors-memory",
        _ => "executors-lost",
    }
}

/// Executors come and go: the latest loss that counts says why.
fn crash_loop(facts: &Facts) -> Option<Reason> {
    let counted: Vec<_> = facts.dossiers.iter().filter(|dossier| dossier.counts).collect();
    let latest = counted.last().copied().or(facts.dossiers.last())?;
    let wanted = facts
        .summary
        .as_ref()
        .map_or(0, |summary| summary.executors.wanted);
    let why = format!(
        "executors lost so far: {} (wanted: {wanted}), the latest on {}: {}",
        facts.dossiers.len(),
        latest.node,
        latest.cause
    );
    let help = if latest.advice.is_empty() {
        format!(
            "its log: drawloom logs {} --executor {}",
            facts.report.id, latest.executor
        )
    } else {
        latest.advice.clone()
    };
    Some(Reason::new(loss_code(latest), why, help))
}

fn no_room_on_nodes(facts: &Facts) -> Option<Reason> {
    let ask = largest_ask(facts)?;
    let free = running(facts).map(|node| node.available_memory_mb).max()?;
    let total = running(facts)
        .map(|node| node.used_memory_mb + node.available_memory_mb)
        .max()?;
    let memory = ask.capability.memory;
    let (count, verb) = match ask.num_containers {
        1 => ("1 container".to_owned(), "is"),
        count => (format!("{count} containers"), "are"),
    };
    (memory > free && memory <= total).then(|| {
        let why = format!(
            "{} of {} {} asked for, and no node has more than {} free",
            count,
            show_mebibytes(memory),
            verb,
            show_mebibytes(free)
        );
        let help = match free {
            0 => "wait until others end".to_owned(),
            free => format!(
                "wait until others end, or lower {} to at most {}",
                sized_by(facts),
                show_mebibytes(free)
            ),
        };
        Reason::new("no-room", why, help)
    })
}

/// Before the ApplicationMaster asks for anything: nobody could get anything.
fn cluster_full(facts: &Facts) -> Option<Reason> {
    let metrics = facts.metrics.as_ref()?;
    let full = metrics.active_nodes > 0 && running(facts).all(|node| node.available_memory_mb == 0);
    (full && facts.nodes.is_some() && facts.report.phase() <= Phase::Accepted).then(|| {
        let why = format!(
            "the cluster is full: {} of {} are held by {} running applications",
            show_mebibytes(metrics.allocated_mb),
            show_mebibytes(metrics.total_mb),
            metrics.apps_running
        );
        Reason::new("cluster-full", why, "wait until others end")
    })
}

fn excluded_nodes(facts: &Facts) -> Option<Reason> {
    let excluded = &facts.pending.as_ref()?.excluded_nodes;
    (!excluded.is_empty()).then(|| {
        let why = format!("nodes that are avoided after failures: {}", excluded.join(", "));
        Reason::new(
            "nodes-avoided",
            why,
            "they are used again after a while; see the losses in drawloom status",
        )
    })
}

fn launcher_says(facts: &Facts) -> Option<Reason> {
    let why = facts.pending.as_ref()?.why.clone()?;
    Some(Reason::new("executors-missing", why, ""))
}

fn scheduler_says(facts: &Facts) -> Option<Reason> {
    if facts.activities.is_empty() || !is_waiting(facts) {
        return None;
    }
    let why = format!("the scheduler records: {}", facts.activities.join("; "));
    Some(Reason::new("scheduler", why, ""))
}

fn in_queue(facts: &Facts) -> Option<Reason> {
    let report = &facts.report;
    let words = report.diagnostics.trim();
    (report.phase() <= Phase::Accepted).then(|| {
        let quoted = if words.is_empty() {
            String::new()
        } else {
            format!(" (YARN: {words})")
        };
        let why = format!(
            "it has waited for {} s in the queue {} for the container of its ApplicationMaster{quoted}",
            report.elapsed_time / 1000,
            report.queue
        );
        Reason::new("in-queue", why, "look again in a moment")
    })
}
