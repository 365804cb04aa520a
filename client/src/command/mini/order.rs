//! What may befall a cluster, as a person writes it.

use std::time::Duration;

use ::mini::resource_manager::{Contract, Recovery};
use ::mini::tokens::TokenKind;
use ::mini::{Options, Order};

use crate::job::fields::{Fields, Placed};
use crate::job::problem::{Problem, nearest};
use crate::settings::value;

/// Everything that can be done, calls included, for hints.
const KNOWN: [&str; 34] = [
    "lose-request",
    "lose-answer",
    "duplicate",
    "delay",
    "fail",
    "lose-node",
    "freeze-node",
    "thaw-node",
    "part-node",
    "rejoin-node",
    "stop-node",
    "start-node",
    "decommission-node",
    "recommission-node",
    "fill-disk",
    "free-disk",
    "skew-clock",
    "refuse-file",
    "stop-rm",
    "start-rm",
    "restart-rm",
    "freeze-rm",
    "thaw-rm",
    "fail-over",
    "roll-key",
    "activate-key",
    "expire-tokens",
    "preempt",
    "kill-container",
    "freeze-container",
    "thaw-container",
    "kill-masters",
    "freeze-masters",
    "thaw-masters",
];

/// How long a container that is wanted back is left, as with `max_wait_before_kill`.
const GRACE: Duration = Duration::from_secs(15);

/// What all readers take.
struct Reader<'a> {
    fields: &'a mut Fields,
    what: &'a Placed<String>,
    options: &'a Options,
    problems: &'a mut Vec<Problem>,
}

/// Reads an order by its name and its keys.
pub(super) fn read(
    fields: &mut Fields,
    what: &Placed<String>,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Option<Order> {
    Reader {
        fields,
        what,
        options,
        problems,
    }
    .order()
}

/// A key without which an action has no sense.
pub(super) fn needed<T>(
    given: Option<Placed<T>>,
    key: &str,
    what: &Placed<String>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    if given.is_none() {
        problems.push(Problem::new(
            what.place,
            format!("{:?} needs {key:?}", what.value),
        ));
    }
    given.map(|given| given.value)
}

/// The number of a node that there is.
pub(super) fn node_number(
    fields: &mut Fields,
    key: &'static str,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Option<usize> {
    let nodes = options.nodes;
    let number = fields.parsed(key, problems, |text| match text.trim().parse::<usize>() {
        Ok(number) if (1..=nodes).contains(&number) => Ok(number),
        _ => Err(format!(
            "{text:?}: there are {nodes} nodes, they are numbered from 1"
        )),
    });
    number.map(|number| number.value)
}

impl Reader<'_> {
    fn order(mut self) -> Option<Order> {
        match self.what.value.as_str() {
            "lose-node" => self.node().map(Order::LoseNode),
            "freeze-node" => self.node().map(Order::FreezeNode),
            "thaw-node" => self.node().map(Order::ThawNode),
            "part-node" => self.node().map(Order::PartNode),
            "rejoin-node" => self.node().map(Order::RejoinNode),
            "recommission-node" => self.node().map(Order::RecommissionNode),
            "fill-disk" => self.node().map(Order::FillDisk),
            "free-disk" => self.node().map(Order::FreeDisk),
            "stop-node" => {
                let graceful = self.flag("graceful", false);
                self.node().map(|node| Order::StopNode { node, graceful })
            }
            "start-node" => {
                let recovers = self.flag("recovers", true);
                self.node().map(|node| Order::StartNode { node, recovers })
            }
            "decommission-node" => {
                let timeout = self.duration("timeout");
                self.node().map(|node| Order::DecommissionNode { node, timeout })
            }
            "skew-clock" => self.skew(),
            "refuse-file" => self.refuse_file(),
            _ => self.of_masters(),
        }
    }

    fn of_masters(mut self) -> Option<Order> {
        match self.what.value.as_str() {
            "stop-rm" => Some(Order::StopResourceManager),
            "start-rm" => Some(Order::StartResourceManager(self.recovery())),
            "restart-rm" => Some(Order::RestartResourceManager(self.recovery())),
            "freeze-rm" => Some(Order::FreezeResourceManager),
            "thaw-rm" => Some(Order::ThawResourceManager),
            "fail-over" => Some(Order::FailOver),
            "roll-key" => self.kind().map(Order::RollKey),
            "activate-key" => Some(Order::ActivateKey),
            "expire-tokens" => self.kind().map(Order::ExpireTokens),
            "preempt" => self.preempt(),
            "kill-container" => self.container().map(Order::KillContainer),
            "freeze-container" => self.container().map(Order::FreezeContainer),
            "thaw-container" => self.container().map(Order::ThawContainer),
            "kill-masters" => Some(Order::KillMasters),
            "freeze-masters" => Some(Order::FreezeMasters),
            "thaw-masters" => Some(Order::ThawMasters),
            other => {
                let hint = nearest(other, KNOWN).map_or_else(
                    || format!("known are {}", KNOWN.join(", ")),
                    |word| format!("did you mean {word:?}?"),
                );
                let text = format!("nobody knows how to {other:?}: {hint}");
                self.problems.push(Problem::new(self.what.place, text));
                None
            }
        }
    }

    fn node(&mut self) -> Option<usize> {
        let before = self.problems.len();
        let number = node_number(self.fields, "node", self.options, self.problems);
        if number.is_none() && self.problems.len() == before {
            let text = format!("{:?} needs \"node\": its number, from 1", self.what.value);
            self.problems.push(Problem::new(self.what.place, text));
        }
        number
    }

    fn container(&mut self) -> Option<u64> {
        let number = self.fields.parsed("container", self.problems, value::count);
        needed(number, "container", self.what, self.problems).map(u64::from)
    }

    fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let flag = self.fields.parsed(key, self.problems, value::boolean);
        flag.map_or(default, |flag| flag.value)
    }

    fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let duration = self.fields.parsed(key, self.problems, value::duration);
        duration.map(|duration| duration.value)
    }

    fn recovery(&mut self) -> Recovery {
        match self.flag("recovers", true) {
            true => Recovery::WorkPreserving,
            false => Recovery::Nothing,
        }
    }

    fn kind(&mut self) -> Option<TokenKind> {
        let kind = self.fields.parsed("kind", self.problems, |text| match text {
            "master" => Ok(TokenKind::Master),
            "node" => Ok(TokenKind::Node),
            "container" => Ok(TokenKind::Container),
            _ => Err(format!("{text:?} should be master, node or container")),
        });
        needed(kind, "kind", self.what, self.problems)
    }

    fn skew(mut self) -> Option<Order> {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let ahead_ms = match (self.duration("ahead"), self.duration("behind")) {
            (Some(ahead), None) => ms(ahead),
            (None, Some(behind)) => -ms(behind),
            _ => {
                let text = "\"skew-clock\" needs either \"ahead\" or \"behind\"";
                self.problems.push(Problem::new(self.what.place, text));
                return None;
            }
        };
        self.node().map(|node| Order::SkewClock { node, ahead_ms })
    }

    fn refuse_file(self) -> Option<Order> {
        let name = self.fields.text("file", self.problems);
        let nth = self.fields.parsed("fetch", self.problems, value::count);
        let text = self.fields.text("message", self.problems);
        let name = needed(name, "file", self.what, self.problems)?;
        Some(Order::RefuseFile {
            nth: nth.map_or(1, |nth| nth.value),
            text: text.map_or_else(
                || format!("{name} cannot be fetched, on order"),
                |text| text.value,
            ),
            name,
        })
    }

    fn preempt(mut self) -> Option<Order> {
        let given = self.fields.texts("containers", self.problems);
        let grace = self.duration("grace").unwrap_or(GRACE);
        let contract = self.fields.parsed("announce", self.problems, |text| match text {
            "strict" => Ok(Contract::Strict),
            "negotiable" => Ok(Contract::Negotiable),
            _ => Err(format!("{text:?} should be strict or negotiable")),
        });
        let mut containers = Vec::new();
        for number in given.unwrap_or_default() {
            match value::count(&number.value) {
                Ok(count) => containers.push(count.into()),
                Err(why) => self.problems.push(Problem::new(number.place, why)),
            }
        }
        if containers.is_empty() {
            let text = "\"preempt\" needs \"containers\": the numbers at the end of their ids";
            self.problems.push(Problem::new(self.what.place, text));
            return None;
        }
        Some(Order::Preempt {
            containers,
            announced: contract.map(|contract| (contract.value, grace)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::KNOWN;
    use std::path::Path;

    fn quoted(cell: &str) -> Vec<&str> {
        cell.split('`').skip(1).step_by(2).collect()
    }

    /// The rows say what drawloom does when something befalls the cluster, and which tests show it.
    #[test]
    fn the_table_of_faults_names_orders_and_tests_that_exist() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let read = |file: &str| {
            std::fs::read_to_string(workspace.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let page = read("docs/faults.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| F")).collect();
        assert!(rows.len() >= 28, "{} rows", rows.len());
        for row in rows {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            for order in quoted(cells[3]) {
                assert!(KNOWN.contains(&order), "nobody knows how to {order}: {row}");
            }
            let (mut open, mut seen) = (Vec::new(), 0);
            for name in quoted(cells[5]) {
                if !name.ends_with(".rs") {
                    open.push(name);
                    continue;
                }
                let source = read(name);
                for test in open.drain(..) {
                    assert!(source.contains(&format!("fn {test}(")), "{name} lacks {test}");
                    seen += 1;
                }
            }
            assert!(open.is_empty() && seen > 0, "tests without their file: {row}");
        }
    }
}
