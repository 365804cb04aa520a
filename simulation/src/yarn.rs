//! A model of the ResourceManager: one application's asks, its containers, and what is told once.
//!
//! It keeps counts as the CapacityScheduler does, answers a repeated heartbeat from memory, forgets all but what
//! runs when it restarts, and learns what runs from NodeManagers afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hadoop::ids::{ApplicationId, ContainerId, NodeId};
use yarn_rpc::error::{RemoteException, RpcError};
use yarn_rpc::proto::common::TokenProto;
use yarn_rpc::proto::yarn as pb;
use yarn_rpc::session::{SessionAnswer, SessionCall};

use crate::dice::Dice;

/// `yarn.resourcemanager.rm.container-allocation.expiry-interval-ms`.
const EXPIRY: Duration = Duration::from_secs(600);
/// The port of all modelled NodeManagers.
const PORT: u16 = 45454;

/// Where a container is, as the ResourceManager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Granted, not told.
    Allocated,
    /// Told; its NodeManager has not reported it.
    Acquired {
        since: Duration,
    },
    Running,
}

#[derive(Debug)]
struct Held {
    node: usize,
    stage: Stage,
}

/// The ResourceManager.
#[derive(Debug)]
pub(crate) struct Yarn {
    hosts: Vec<(String, String)>,
    rooms: Vec<u32>,
    /// Nodes that it takes for usable, and those it has heard of since its start.
    usable: BTreeSet<usize>,
    known: BTreeSet<usize>,
    registered: bool,
    last: pb::AllocateResponseProto,
    asks: BTreeMap<String, (i64, i64)>,
    blacklist: BTreeSet<String>,
    held: BTreeMap<ContainerId, Held>,
    /// Ends to be told, and those that were told since its start.
    ended: Vec<pb::ContainerStatusProto>,
    recovered: BTreeSet<ContainerId>,
    updates: Vec<(usize, pb::NodeStateProto)>,
    preempting: Vec<ContainerId>,
    tokens_told: BTreeSet<usize>,
    roll_token: bool,
    /// Given back; the scheduler hears of it after the answer is made.
    releasing: Vec<ContainerId>,
    /// Containers that NodeManagers are to end.
    pub(crate) to_kill: Vec<ContainerId>,
    number: u64,
    /// The final status, once it is stored; and how many calls that still takes.
    pub(crate) final_status: Option<i32>,
    finishing: u32,
    /// Until when it answers nobody.
    pub(crate) down_until: Duration,
    pub(crate) include_port: bool,
}

impl Yarn {
    pub(crate) fn new(hosts: Vec<(String, String)>, rooms: Vec<u32>, include_port: bool) -> Self {
        let all = || (0..rooms.len()).collect();
        Self {
            usable: all(),
            known: all(),
            hosts,
            rooms,
            registered: false,
            last: pb::AllocateResponseProto::default(),
            asks: BTreeMap::new(),
            blacklist: BTreeSet::new(),
            held: BTreeMap::new(),
            ended: Vec::new(),
            recovered: BTreeSet::new(),
            updates: Vec::new(),
            preempting: Vec::new(),
            tokens_told: BTreeSet::new(),
            roll_token: false,
            releasing: Vec::new(),
            to_kill: Vec::new(),
            number: 1,
            final_status: None,
            finishing: 2,
            down_until: Duration::ZERO,
            include_port,
        }
    }

    pub(crate) fn is_up(&self, now: Duration) -> bool {
        now >= self.down_until
    }

    /// The name by which asks call a node.
    pub(crate) fn name_of(&self, node: usize) -> String {
        let host = &self.hosts[node].0;
        if self.include_port {
            format!("{host}:{PORT}")
        } else {
            host.clone()
        }
    }

    /// Whether it has the container among those that have not ended.
    pub(crate) fn holds(&self, id: &ContainerId) -> bool {
        self.held.contains_key(id)
    }

    /// Containers that were told of and have not ended.
    pub(crate) fn told(&self) -> impl Iterator<Item = ContainerId> {
        let told = self
            .held
            .iter()
            .filter(|(_, held)| held.stage != Stage::Allocated);
        told.map(|(id, _)| *id)
    }

    pub(crate) fn running(&self) -> Vec<ContainerId> {
        self.told().collect()
    }

    pub(crate) fn is_unregistered(&self) -> bool {
        self.final_status.is_some()
    }

    // What nodes say.

    /// A NodeManager's heartbeat: what runs there, what ended; then the scheduler may use the room.
    pub(crate) fn node_beat(
        &mut self,
        now: Duration,
        node: usize,
        running: &[ContainerId],
        ended: Vec<(ContainerId, i32, String)>,
        dice: &mut Dice,
    ) {
        self.node_registers(node);
        for (id, status, diagnostics) in ended {
            self.complete(id, status, &diagnostics);
        }
        for id in running {
            self.sees_running(node, *id);
        }
        self.expire(now);
        self.schedule(node, dice);
    }

    fn node_registers(&mut self, node: usize) {
        self.known.insert(node);
        if self.usable.insert(node) {
            self.updates.push((node, pb::NodeStateProto::NsRunning));
        }
    }

    fn sees_running(&mut self, node: usize, id: ContainerId) {
        match self.held.get_mut(&id) {
            Some(held) => held.stage = Stage::Running,
            // It was running before a restart of ours.
            None if !self.to_kill.contains(&id) => {
                let stage = Stage::Running;
                self.held.insert(id, Held { node, stage });
                self.recovered.insert(id);
            }
            None => {}
        }
    }

    /// A container has ended, or is taken for it.
    pub(crate) fn complete(&mut self, id: ContainerId, status: i32, diagnostics: &str) {
        if self.held.remove(&id).is_none() {
            return;
        }
        self.recovered.remove(&id);
        self.ended.push(pb::ContainerStatusProto {
            container_id: Some(id.into()),
            state: Some(pb::ContainerStateProto::CComplete as i32),
            exit_status: Some(status),
            diagnostics: Some(diagnostics.to_owned()),
            ..Default::default()
        });
    }

    /// Ends a container by its own decision.
    pub(crate) fn kill(&mut self, id: ContainerId, status: i32, diagnostics: &str) {
        self.complete(id, status, diagnostics);
        self.to_kill.push(id);
    }

    pub(crate) fn preempt_soon(&mut self, id: ContainerId) {
        self.preempting.push(id);
    }

    pub(crate) fn roll_token(&mut self) {
        self.roll_token = true;
    }

    /// A node is taken for lost, or out of service.
    pub(crate) fn node_lost(&mut self, node: usize, state: pb::NodeStateProto) {
        if !self.usable.remove(&node) {
            return;
        }
        self.updates.push((node, state));
        self.lose_containers(node);
    }

    fn lose_containers(&mut self, node: usize) {
        let on_node = self.held.iter().filter(|(_, held)| held.node == node);
        for id in on_node.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.kill(id, -100, "Container released on a *lost* node");
        }
    }

    /// A node is being taken out of service: it keeps what it runs and gets nothing more.
    pub(crate) fn node_leaves(&mut self, node: usize) {
        self.updates.push((node, pb::NodeStateProto::NsDecommissioning));
    }

    /// Everything but what runs is forgotten; NodeManagers come back one after the other.
    pub(crate) fn restart(&mut self, now: Duration, down: Duration) {
        let number = self.number;
        let fresh = Self::new(
            std::mem::take(&mut self.hosts),
            std::mem::take(&mut self.rooms),
            self.include_port,
        );
        *self = Self {
            number,
            usable: BTreeSet::new(),
            known: BTreeSet::new(),
            final_status: self.final_status,
            down_until: now + down,
            ..fresh
        };
    }

    fn expire(&mut self, now: Duration) {
        let expired = |held: &Held| matches!(held.stage, Stage::Acquired { since } if now >= since + EXPIRY);
        let due = self.held.iter().filter(|(_, held)| expired(held));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.kill(id, -100, "Container expired since it was unused");
        }
    }

    // The scheduler.

    fn used(&self, node: usize) -> u32 {
        let count = self.held.values().filter(|held| held.node == node).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn schedule(&mut self, node: usize, dice: &mut Dice) {
        let most = dice.between(1, 4);
        for _ in 0..most {
            if self.used(node) >= self.rooms[node] || !self.may_grant(node, dice) {
                return;
            }
            let id = self.asks.get("*").map_or(0, |(_, id)| *id);
            self.take_counts(node);
            self.grant(node, id);
        }
    }

    fn count(&self, name: &str) -> i64 {
        self.asks.get(name).map_or(0, |(count, _)| *count)
    }

    /// On a node that was asked for at once; elsewhere only now and then, as delay scheduling does.
    fn may_grant(&self, node: usize, dice: &mut Dice) -> bool {
        let name = self.name_of(node);
        let open = self.count("*") > 0 && !self.blacklist.contains(&name) && self.usable.contains(&node);
        let asked = self.count(&name) > 0 && self.count(&self.hosts[node].1) > 0;
        open && (asked || dice.percent(40))
    }

    fn take_counts(&mut self, node: usize) {
        let (name, rack) = (self.name_of(node), self.hosts[node].1.clone());
        let on_rack = self.count(&rack) > 0;
        let on_node = on_rack && self.count(&name) > 0;
        let names = [
            on_node.then_some(name),
            on_rack.then_some(rack),
            Some("*".to_owned()),
        ];
        for name in names.into_iter().flatten() {
            if let Some((count, _)) = self.asks.get_mut(&name) {
                *count -= 1;
            }
        }
    }

    fn grant(&mut self, node: usize, allocation: i64) {
        self.number += 1;
        let stage = Stage::Allocated;
        self.held.insert(self.id(self.number), Held { node, stage });
        self.asks.entry("*".to_owned()).or_insert((0, allocation));
    }

    /// One container more than anybody asked for.
    pub(crate) fn grant_surplus(&mut self, node: usize) {
        if self.registered && self.usable.contains(&node) && self.used(node) < self.rooms[node] {
            self.grant(node, 1);
        }
    }

    fn id(&self, number: u64) -> ContainerId {
        ContainerId::new(ApplicationId::new(1, 1).attempt(1), number)
    }

    // What the ApplicationMaster says.

    pub(crate) fn handle(&mut self, now: Duration, call: &SessionCall) -> SessionAnswer {
        match call {
            SessionCall::Register(_) => self.register(),
            _ if !self.registered => thrown("ApplicationMasterNotRegisteredException", "not registered"),
            SessionCall::Allocate(request) => self.allocate(now, request),
            SessionCall::Finish(request) => self.finish(request),
        }
    }

    fn register(&mut self) -> SessionAnswer {
        if self.registered {
            let text = "Application Master is already registered : application_1_0001";
            return thrown("InvalidApplicationMasterRequestException", text);
        }
        self.registered = true;
        self.last = pb::AllocateResponseProto {
            response_id: Some(0),
            ..Default::default()
        };
        let found = std::mem::take(&mut self.recovered);
        SessionAnswer::Registered(Box::new(pb::RegisterApplicationMasterResponseProto {
            containers_from_previous_attempts: found.iter().map(|id| self.container(*id)).collect(),
            maximum_capability: Some(pb::ResourceProto {
                memory: Some(1 << 20),
                virtual_cores: Some(64),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    fn finish(&mut self, request: &pb::FinishApplicationMasterRequestProto) -> SessionAnswer {
        self.finishing = self.finishing.saturating_sub(1);
        if self.finishing == 0 {
            self.final_status = request.final_application_status;
        }
        SessionAnswer::Finished(pb::FinishApplicationMasterResponseProto {
            is_unregistered: Some(self.finishing == 0),
        })
    }

    fn allocate(&mut self, now: Duration, request: &pb::AllocateRequestProto) -> SessionAnswer {
        let last = self.last.response_id();
        if request.response_id() + 1 == last {
            return SessionAnswer::Allocated(Box::new(self.last.clone()));
        }
        if request.response_id() != last {
            let text = format!(
                "Invalid responseId in AllocateRequest, expect responseId to be {last} but get {}",
                request.response_id()
            );
            return thrown("InvalidApplicationMasterRequestException", &text);
        }
        self.release();
        self.take_in(request);
        let response = self.respond(now, last + 1);
        self.last = response.clone();
        SessionAnswer::Allocated(Box::new(response))
    }

    fn take_in(&mut self, request: &pb::AllocateRequestProto) {
        for ask in &request.ask {
            let counts = (i64::from(ask.num_containers()), ask.allocation_request_id());
            self.asks.insert(ask.resource_name().to_owned(), counts);
        }
        if let Some(change) = &request.blacklist_request {
            self.blacklist.extend(change.blacklist_additions.iter().cloned());
            for name in &change.blacklist_removals {
                self.blacklist.remove(name);
            }
        }
        for id in &request.release {
            self.releasing.extend(ContainerId::try_from(id));
        }
    }

    fn release(&mut self) {
        for id in std::mem::take(&mut self.releasing) {
            self.kill(id, -100, "Container released by application");
        }
    }

    fn respond(&mut self, now: Duration, response_id: i32) -> pb::AllocateResponseProto {
        let fresh = self
            .held
            .iter_mut()
            .filter(|(_, held)| held.stage == Stage::Allocated);
        let fresh: Vec<_> = fresh
            .map(|(id, held)| {
                held.stage = Stage::Acquired { since: now };
                (*id, held.node)
            })
            .collect();
        let new_nodes: Vec<_> = fresh.iter().map(|(_, node)| *node).collect();
        let tokens = new_nodes
            .into_iter()
            .filter(|node| self.tokens_told.insert(*node));
        let tokens: Vec<_> = tokens.collect();
        let found = std::mem::take(&mut self.recovered);
        let preempted = std::mem::take(&mut self.preempting);
        let updates = std::mem::take(&mut self.updates);
        pb::AllocateResponseProto {
            response_id: Some(response_id),
            allocated_containers: fresh.iter().map(|(id, _)| self.container(*id)).collect(),
            completed_container_statuses: std::mem::take(&mut self.ended),
            limit: Some(pb::ResourceProto::default()),
            num_cluster_nodes: i32::try_from(self.usable.len()).ok(),
            updated_nodes: updates
                .into_iter()
                .map(|(node, state)| self.report(node, state))
                .collect(),
            nm_tokens: tokens.into_iter().map(|node| self.nm_token(node)).collect(),
            containers_from_previous_attempts: found.iter().map(|id| self.container(*id)).collect(),
            am_rm_token: std::mem::take(&mut self.roll_token).then(|| token("rolled")),
            preempt: (!preempted.is_empty()).then(|| preemption(&preempted)),
            ..Default::default()
        }
    }

    fn node_id(&self, node: usize) -> NodeId {
        NodeId::new(&self.hosts[node].0, PORT)
    }

    fn container(&self, id: ContainerId) -> pb::ContainerProto {
        let node = self.held.get(&id).map_or(0, |held| held.node);
        pb::ContainerProto {
            id: Some(id.into()),
            node_id: Some((&self.node_id(node)).into()),
            node_http_address: Some(String::new()),
            priority: Some(pb::PriorityProto { priority: Some(1) }),
            allocation_request_id: Some(1),
            ..Default::default()
        }
    }

    fn report(&self, node: usize, state: pb::NodeStateProto) -> pb::NodeReportProto {
        pb::NodeReportProto {
            node_id: Some((&self.node_id(node)).into()),
            rack_name: Some(self.hosts[node].1.clone()),
            node_state: Some(state as i32),
            ..Default::default()
        }
    }

    fn nm_token(&self, node: usize) -> pb::NmTokenProto {
        pb::NmTokenProto {
            node_id: Some((&self.node_id(node)).into()),
            token: Some(token("node")),
        }
    }
}

fn token(text: &str) -> TokenProto {
    TokenProto {
        identifier: text.as_bytes().to_vec(),
        password: Vec::new(),
        kind: "k".to_owned(),
        service: String::new(),
    }
}

/// Of two containers one is wanted in any case, the other may be replaced by its like.
fn preemption(ids: &[ContainerId]) -> pb::PreemptionMessageProto {
    let named = |ids: &[ContainerId]| -> Vec<_> {
        let all = ids.iter().map(|id| pb::PreemptionContainerProto {
            id: Some((*id).into()),
        });
        all.collect()
    };
    let (strict, negotiable) = ids.split_at(ids.len() / 2);
    pb::PreemptionMessageProto {
        strict_contract: Some(pb::StrictPreemptionContractProto {
            container: named(strict),
        }),
        contract: Some(pb::PreemptionContractProto {
            container: named(negotiable),
            ..Default::default()
        }),
    }
}

fn thrown(class: &str, message: &str) -> SessionAnswer {
    let class = format!("org.apache.hadoop.yarn.exceptions.{class}");
    SessionAnswer::Failed(RpcError::Remote(RemoteException::new(&class, message)))
}

/// What a caller sees when the connection ends under it.
pub(crate) fn broken() -> SessionAnswer {
    SessionAnswer::Failed(RpcError::Closed {
        address: "rm:8030".to_owned(),
    })
}
