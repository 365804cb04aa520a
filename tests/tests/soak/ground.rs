//! What a soak happens on: the embedded cluster, or a real Hadoop; and the faults that each knows.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use harness::hadoop::{Hadoop, Role, Signal, Site};
use harness::process::Drawloom;
use harness::processes::{self, Process};
use harness::wait;
use mini::resource_manager::{Contract, Recovery};
use mini::tokens::TokenKind;
use mini::{Action, Cluster, Fault, Options, Order, Trigger};
use tokio::runtime::Runtime;

use crate::chance::Chance;

/// Nodes of the cluster. The first keeps out of trouble, so that there always is one.
const NODES: u64 = 3;
/// How long the ResourceManager may go on holding containers after the last job.
const CONVERGE: Duration = Duration::from_secs(120);

/// A cluster under faults.
pub(crate) trait Ground: Sync {
    /// Where streams may write.
    fn home(&self) -> PathBuf;
    /// The binary, with `home` as its working directory.
    fn drawloom(&self, home: &Path) -> Drawloom;
    /// Something goes wrong; said in words, the first of which names its kind; `mend` and `nothing` are none.
    fn befall(&self, chance: &mut Chance) -> String;
    /// Everything that stands still or is away comes back.
    fn mend(&self);
    /// What the daemons hold once no job runs: nothing.
    fn assert_empty(&self);
    /// What may help to understand a failure.
    fn logs(&self) -> String;
}

/// Processes of drawloom's containers on a cluster, of one role.
fn of_role(directory: &Path, role: &str) -> Vec<Process> {
    let all = processes::of_cluster(directory).into_iter();
    all.filter(|process| process.command.ends_with(role)).collect()
}

/// Kills, or freezes for a while, an executor, its guard or an ApplicationMaster.
fn harm_a_process(directory: &Path, chance: &mut Chance, frozen: &Mutex<Vec<Process>>) -> String {
    let (what, role) = [
        ("executor", "drawloom executor"),
        ("guard", "drawloom-guard executor"),
        ("executor", "drawloom executor"),
        ("master", "drawloom am"),
    ][usize::try_from(chance.below(4)).unwrap()];
    let Some(victim) = chance.one_of(&of_role(directory, role)) else {
        return format!("nothing: there is no {what}");
    };
    let pid = victim.pid;
    if what != "guard" && chance.below(3) == 0 {
        victim.signal(Signal::STOP);
        frozen.lock().unwrap().push(victim);
        return format!("freeze-{what} {pid}");
    }
    victim.signal(Signal::KILL);
    format!("kill-{what} {pid}")
}

/// Lets what was frozen go on.
fn thaw(frozen: &Mutex<Vec<Process>>) -> usize {
    let thawed = std::mem::take(&mut *frozen.lock().unwrap());
    thawed.iter().for_each(|process| process.signal(Signal::CONT));
    thawed.len()
}

/// The embedded cluster.
pub(crate) struct Embedded {
    runtime: Runtime,
    cluster: Option<Cluster>,
    home: tempfile::TempDir,
    frozen: Mutex<Vec<Process>>,
    /// Orders that undo what was done.
    undo: Mutex<Vec<Order>>,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options {
            nodes: usize::try_from(NODES).unwrap(),
            high_availability: true,
            max_attempts: 50,
            master_expiry: Duration::from_secs(10),
            node_expiry: Duration::from_secs(5),
            container_expiry: Duration::from_secs(20),
            ..Options::default()
        };
        let cluster = runtime.block_on(Cluster::start(options)).unwrap();
        Self {
            runtime,
            cluster: Some(cluster),
            home: tempfile::tempdir().unwrap(),
            frozen: Mutex::default(),
            undo: Mutex::default(),
        }
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    fn order(&self, order: &Order) {
        let _entered = self.runtime.enter();
        self.cluster().order(order);
    }

    /// Something that is undone before the next fault of this kind.
    fn passing(&self, order: &Order, undo: Order) -> String {
        self.order(order);
        self.undo.lock().unwrap().push(undo);
        words(order)
    }

    fn at_once(&self, order: &Order) -> String {
        self.order(order);
        words(order)
    }

    fn undo_all(&self) -> usize {
        let undo = std::mem::take(&mut *self.undo.lock().unwrap());
        undo.iter().for_each(|order| self.order(order));
        undo.len()
    }

    fn lose_calls(&self, chance: &mut Chance) -> String {
        let methods = [
            "allocate",
            "startContainers",
            "registerApplicationMaster",
            "finishApplicationMaster",
        ];
        let method = chance.one_of(&methods).unwrap();
        let actions = [
            Action::LoseAnswer,
            Action::LoseRequest,
            Action::Duplicate,
            Action::Delay(Duration::from_millis(chance.below(1500))),
        ];
        let action = chance.one_of(&actions).unwrap();
        let text = format!("call-{method} {action:?}");
        self.cluster().faults().order(Fault {
            on: Trigger::call(method),
            nth: u32::try_from(chance.below(4)).unwrap() + 1,
            action,
        });
        text
    }

    fn harm_a_node(&self, chance: &mut Chance) -> String {
        let node = usize::try_from(chance.below(NODES - 1)).unwrap() + 2;
        let recovers = chance.below(2) == 0;
        let start = Order::StartNode { node, recovers };
        match chance.below(5) {
            0 => self.passing(&Order::FreezeNode(node), Order::ThawNode(node)),
            1 => self.passing(
                &Order::StopNode { node, graceful: true },
                Order::StartNode {
                    node,
                    recovers: false,
                },
            ),
            2 => self.passing(
                &Order::StopNode {
                    node,
                    graceful: false,
                },
                start,
            ),
            3 => self.passing(&Order::FillDisk(node), Order::FreeDisk(node)),
            _ => self.passing(
                &Order::LoseNode(node),
                Order::StartNode {
                    node,
                    recovers: false,
                },
            ),
        }
    }

    fn harm_the_resource_manager(&self, chance: &mut Chance) -> String {
        match chance.below(4) {
            0 => self.passing(
                &Order::StopResourceManager,
                Order::StartResourceManager(Recovery::WorkPreserving),
            ),
            1 => self.passing(&Order::FreezeResourceManager, Order::ThawResourceManager),
            2 => self.at_once(&Order::FailOver),
            _ => self.at_once(&Order::RestartResourceManager(Recovery::WorkPreserving)),
        }
    }

    fn take_away(&self, chance: &mut Chance) -> String {
        let announced = [
            None,
            Some((Contract::Strict, Duration::from_secs(2))),
            Some((Contract::Negotiable, Duration::from_secs(2))),
        ];
        self.at_once(&Order::Preempt {
            containers: vec![chance.below(4) + 2],
            announced: chance.one_of(&announced).unwrap(),
        })
    }

    fn roll(&self, chance: &mut Chance) -> String {
        match chance.below(3) {
            0 => self.at_once(&Order::RollKey(TokenKind::Node)),
            1 => self.at_once(&Order::ExpireTokens(TokenKind::Node)),
            _ => self.passing(&Order::RollKey(TokenKind::Master), Order::ActivateKey),
        }
    }
}

/// An order in words: its name, then what it is about.
fn words(order: &Order) -> String {
    let text = format!("{order:?}").replace(['{', '(', '}', ')'], " ");
    let (name, about) = text.split_once(' ').unwrap_or((&text, ""));
    format!("order-{name} {}", about.trim())
}

impl Ground for Embedded {
    fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    fn drawloom(&self, home: &Path) -> Drawloom {
        Drawloom::without_cluster(&self.home.path().join("said"))
            .env("HADOOP_CONF_DIR", self.cluster().conf_dir())
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", home)
            .current_dir(home)
    }

    fn befall(&self, chance: &mut Chance) -> String {
        // What was passing has passed, so that never too much is away at once.
        let undone = thaw(&self.frozen) + self.undo_all();
        if undone > 0 && chance.below(2) == 0 {
            return format!("mend {undone}");
        }
        match chance.below(12) {
            0..5 => harm_a_process(self.cluster().directory(), chance, &self.frozen),
            5..7 => self.lose_calls(chance),
            7..9 => self.harm_a_node(chance),
            9 => self.harm_the_resource_manager(chance),
            10 => self.take_away(chance),
            _ => self.roll(chance),
        }
    }

    fn mend(&self) {
        thaw(&self.frozen);
        self.undo_all();
    }

    fn assert_empty(&self) {
        let held = || {
            let nodes = self.cluster().nodes().iter();
            let running = nodes.flat_map(|node| node.containers());
            running
                .filter(|view| view.stage != mini::node_manager::Stage::Done)
                .count()
        };
        wait::until("containers to end", CONVERGE, || held() == 0).unwrap();
    }

    fn logs(&self) -> String {
        masters_logs(&self.cluster().directory().join("nodes"))
    }
}

/// The ends of the logs of all ApplicationMasters below a directory, the latest last.
fn masters_logs(directory: &Path) -> String {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("stderr") && directory.to_string_lossy().ends_with("_000001") {
                found.push((entry.metadata().and_then(|data| data.modified()).ok(), path));
            }
        }
    }
    found.sort();
    let latest = found.iter().rev().take(4).rev();
    let text = latest.map(|(_, path)| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(60)..].join("\n");
        format!("== {}\n{last}\n", path.display())
    });
    text.collect()
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.shutdown());
        }
    }
}

/// A real Hadoop: two NodeManagers with recovery, a ResourceManager with recovery.
pub(crate) struct Real {
    hadoop: Hadoop,
    frozen: Mutex<Vec<Process>>,
    undo: Mutex<Vec<Mend>>,
}

/// What brings a daemon back.
#[derive(Clone, Copy)]
enum Mend {
    Thaw(Role),
    StartNode(usize),
    StartResourceManager,
}

impl Real {
    pub(crate) fn new() -> Self {
        let hadoop = Hadoop::builder()
            .nodes(2)
            .hdfs(false)
            .rm_recovery(true)
            .node_recovery(true)
            .node_expiry(Duration::from_secs(10))
            .am_expiry(Duration::from_secs(20))
            .property(Site::Yarn, "yarn.resourcemanager.am.max-attempts", 50)
            .start()
            .unwrap();
        Self {
            hadoop,
            frozen: Mutex::default(),
            undo: Mutex::default(),
        }
    }

    fn harm_a_daemon(&self, chance: &mut Chance) -> String {
        let node = usize::try_from(chance.below(2)).unwrap();
        let (text, mend) = match chance.below(4) {
            0 => {
                self.hadoop.kill_node(node, Signal::KILL).unwrap();
                (format!("kill-NodeManager {node}"), Mend::StartNode(node))
            }
            1 => {
                self.hadoop.freeze(Role::NodeManager(node)).unwrap();
                (
                    format!("freeze-NodeManager {node}"),
                    Mend::Thaw(Role::NodeManager(node)),
                )
            }
            2 => {
                self.hadoop.kill_rm().unwrap();
                ("kill-ResourceManager".to_owned(), Mend::StartResourceManager)
            }
            _ => {
                self.hadoop.freeze(Role::ResourceManager(0)).unwrap();
                (
                    "freeze-ResourceManager".to_owned(),
                    Mend::Thaw(Role::ResourceManager(0)),
                )
            }
        };
        self.undo.lock().unwrap().push(mend);
        text
    }

    fn undo_all(&self) -> usize {
        let undo = std::mem::take(&mut *self.undo.lock().unwrap());
        for mend in &undo {
            match *mend {
                Mend::Thaw(role) => self.hadoop.thaw(role),
                Mend::StartNode(node) => self.hadoop.restart_node(node),
                Mend::StartResourceManager => self.hadoop.restart_rm(),
            }
            .unwrap();
        }
        undo.len()
    }
}

impl Ground for Real {
    fn home(&self) -> PathBuf {
        self.hadoop.dir().join("soak")
    }

    fn drawloom(&self, home: &Path) -> Drawloom {
        Drawloom::new(&self.hadoop)
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", home)
            .current_dir(home)
    }

    fn befall(&self, chance: &mut Chance) -> String {
        let undone = thaw(&self.frozen) + self.undo_all();
        if undone > 0 && chance.below(2) == 0 {
            return format!("mend {undone}");
        }
        match chance.below(6) {
            0 => self.harm_a_daemon(chance),
            _ => harm_a_process(self.hadoop.dir(), chance, &self.frozen),
        }
    }

    fn mend(&self) {
        thaw(&self.frozen);
        self.undo_all();
    }

    fn assert_empty(&self) {
        let held = || {
            let metrics = self.hadoop.rm_get("/ws/v1/cluster/metrics").unwrap_or_default();
            metrics["clusterMetrics"]["containersAllocated"].as_u64()
        };
        wait::until("the ResourceManager to hold nothing", CONVERGE, || {
            held() == Some(0)
        })
        .unwrap();
        let left = of_role(self.hadoop.dir(), "drawloom executor");
        assert!(left.is_empty(), "{left:?}");
    }

    fn logs(&self) -> String {
        masters_logs(self.hadoop.dir())
    }
}
