//! Carries out what shall befall a cluster.

use std::sync::Arc;
use std::time::Duration;

use hadoop::ids::{ContainerId, NodeId};
use tokio::sync::watch;

use crate::daemon::Daemon;
use crate::door::{Door, DoorKeeper};
use crate::node_manager::NodeManager;
use crate::order::Order;
use crate::resource_manager::{Event, Recovery};
use crate::standing::Role;
use crate::tasks::{Tasks, over};
use crate::tokens::TokenKind;

/// The doors of one daemon.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) rpc: DoorKeeper,
    pub(crate) web: DoorKeeper,
}

impl Doors {
    pub(crate) fn new(rpc: Door) -> Self {
        Self {
            rpc: DoorKeeper::new(rpc),
            web: DoorKeeper::new(Door::Open),
        }
    }

    fn set(&self, door: Door) {
        self.rpc.set(door);
        self.web.set(door);
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) nodes: Vec<(NodeManager, Doors)>,
    pub(crate) resource_managers: Vec<Doors>,
    pub(crate) timers: Tasks,
    pub(crate) ended: watch::Receiver<bool>,
}

impl Control {
    pub(crate) fn carry_out_after(self: &Arc<Self>, delay: Duration, order: Order) {
        let (control, mut ended) = (self.clone(), self.ended.clone());
        self.timers.spawn("order", async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => control.carry_out(&order),
                () = over(&mut ended) => {}
            }
        });
    }

    /// Carries out an order; a node that there is not is left alone.
    pub(crate) fn carry_out(&self, order: &Order) {
        tracing::info!(?order, "on order");
        match order {
            Order::Preempt {
                containers,
                announced,
            } => self.preempt(containers, *announced),
            Order::KillContainer(number) => {
                self.to_container(*number, NodeManager::kill_processes);
            }
            Order::FreezeContainer(number) => {
                self.to_container(*number, |node, id| node.freeze_processes(id, true));
            }
            Order::ThawContainer(number) => {
                self.to_container(*number, |node, id| node.freeze_processes(id, false));
            }
            Order::KillMasters | Order::FreezeMasters | Order::ThawMasters => self.to_masters(order),
            Order::RollKey(kind) => {
                self.daemon.drive(Event::KeyRolled(*kind));
            }
            Order::ActivateKey => {
                self.daemon.drive(Event::KeyActivated);
            }
            Order::ExpireTokens(kind) => self.expire_tokens(*kind),
            Order::RefuseFile { name, nth, text } => {
                for (node, _) in &self.nodes {
                    node.refuse_file(name.clone(), *nth, text.clone());
                }
            }
            Order::StopResourceManager => self.stop_resource_manager(),
            Order::StartResourceManager(recovery) => self.start_resource_manager(*recovery),
            Order::RestartResourceManager(recovery) => {
                self.stop_resource_manager();
                self.start_resource_manager(*recovery);
            }
            Order::FreezeResourceManager => self.set_active(Door::Frozen),
            Order::ThawResourceManager => self.set_active(Door::Open),
            Order::FailOver => self.fail_over(),
            _ => self.to_node(order),
        }
    }

    fn to_node(&self, order: &Order) {
        let Some((node, doors)) = number_of(order).and_then(|number| self.nodes.get(number.checked_sub(1)?))
        else {
            return tracing::warn!(?order, "there is no such node");
        };
        let id = node.facts().id.clone();
        match order {
            Order::LoseNode(_) => self.lose(&id, node),
            Order::FreezeNode(_) => {
                doors.set(Door::Frozen);
                node.set_frozen(true);
                self.daemon.drive(Event::NodeSilent(id));
            }
            Order::ThawNode(_) => {
                node.set_frozen(false);
                doors.set(Door::Open);
                self.daemon.join(node);
            }
            Order::PartNode(_) => {
                node.set_apart();
                self.daemon.drive(Event::NodeSilent(id));
            }
            Order::RejoinNode(_) => {
                node.set_on();
                self.daemon.join(node);
            }
            Order::StopNode { graceful, .. } => self.stop_node(&id, node, doors, *graceful),
            Order::StartNode { recovers, .. } => {
                if !recovers {
                    node.forget_all();
                }
                node.set_on();
                doors.set(Door::Open);
                self.daemon.join(node);
            }
            Order::DecommissionNode { timeout, .. } => self.decommission(id, *timeout),
            Order::RecommissionNode(_) => {
                self.daemon.drive(Event::NodeRecommissioned(id));
            }
            Order::FillDisk(_) | Order::FreeDisk(_) => {
                let problem = node.set_disk_full(matches!(order, Order::FillDisk(_)));
                self.daemon.drive(Event::NodeHealth { node: id, problem });
            }
            Order::SkewClock { ahead_ms, .. } => node.set_clock_ahead(*ahead_ms),
            _ => tracing::error!(?order, "this is no order to a node"),
        }
    }

    /// The processes die at once; what that means for containers, the ResourceManager has said before.
    pub(crate) fn lose(&self, id: &NodeId, node: &NodeManager) {
        self.daemon.drive(Event::NodeLost(id.clone()));
        node.switch_off();
    }

    fn stop_node(&self, id: &NodeId, node: &NodeManager, doors: &Doors, graceful: bool) {
        doors.set(Door::Shut);
        node.set_off();
        if graceful {
            node.switch_off();
            self.daemon.drive(Event::NodeStopped(id.clone()));
        } else {
            self.daemon.drive(Event::NodeSilent(id.clone()));
        }
    }

    fn decommission(&self, node: NodeId, timeout: Option<Duration>) {
        let timeout_ms = timeout.map(ms);
        self.daemon.drive(Event::NodeDecommissioned { node, timeout_ms });
    }

    fn preempt(&self, numbers: &[u64], announced: Option<(crate::resource_manager::Contract, Duration)>) {
        let containers = self.daemon.held(|id| numbers.contains(&id.sequence()));
        match announced {
            Some((contract, grace)) => {
                let grace_ms = ms(grace);
                self.daemon.drive(Event::PreemptionAnnounced {
                    containers,
                    contract,
                    grace_ms,
                });
            }
            None => {
                for container in containers {
                    self.daemon.drive(Event::ContainerPreempted(container));
                }
            }
        }
    }

    fn to_container(&self, number: u64, act: impl Fn(&NodeManager, ContainerId)) {
        for id in self.daemon.held(|id| id.sequence() == number) {
            self.nodes.iter().for_each(|(node, _)| act(node, id));
        }
    }

    fn to_masters(&self, order: &Order) {
        for (node, _) in &self.nodes {
            let masters = node.masters();
            masters.into_iter().for_each(|id: ContainerId| match order {
                Order::KillMasters => node.kill_processes(id),
                Order::FreezeMasters => node.freeze_processes(id, true),
                _ => node.freeze_processes(id, false),
            });
        }
    }

    /// Existing connections end, so that the tokens are asked for.
    fn expire_tokens(&self, kind: TokenKind) {
        self.daemon.drive(Event::TokensExpired(kind));
        match kind {
            TokenKind::Master => self.resource_managers.iter().for_each(|doors| doors.rpc.cut()),
            TokenKind::Node => self.nodes.iter().for_each(|(_, doors)| doors.rpc.cut()),
            TokenKind::Container => {}
        }
    }

    fn stop_resource_manager(&self) {
        self.daemon.set_up(false);
        self.daemon.standing().stop();
        self.show_roles();
    }

    fn start_resource_manager(&self, recovery: Recovery) {
        if self.daemon.standing().start() {
            self.begin(recovery);
        }
        self.show_roles();
    }

    fn fail_over(&self) {
        self.daemon.set_up(false);
        self.resource_managers.iter().for_each(|doors| doors.rpc.cut());
        self.daemon.standing().fail_over();
        self.begin(Recovery::WorkPreserving);
        self.show_roles();
    }

    fn begin(&self, recovery: Recovery) {
        let web_address = self.daemon.standing().latest().web.clone();
        self.daemon.drive(Event::Restarted {
            recovery,
            web_address,
        });
        self.daemon.set_up(true);
        for (node, _) in self.nodes.iter().filter(|(node, _)| node.is_heard()) {
            self.daemon.join(node);
        }
    }

    /// Who is active is open, a standby shows pages only, others are shut.
    fn show_roles(&self) {
        for (index, doors) in self.resource_managers.iter().enumerate() {
            let (rpc, web) = match self.daemon.standing().role(index) {
                Role::Active => (Door::Open, Door::Open),
                Role::Standby => (Door::Shut, Door::Open),
                Role::Down => (Door::Shut, Door::Shut),
            };
            doors.rpc.set(rpc);
            doors.web.set(web);
        }
    }

    fn set_active(&self, door: Door) {
        let active = self.daemon.standing().active();
        if let Some(doors) = active.and_then(|index| self.resource_managers.get(index)) {
            doors.set(door);
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The node that an order is meant for.
fn number_of(order: &Order) -> Option<usize> {
    match order {
        Order::LoseNode(node)
        | Order::FreezeNode(node)
        | Order::ThawNode(node)
        | Order::PartNode(node)
        | Order::RejoinNode(node)
        | Order::RecommissionNode(node)
        | Order::FillDisk(node)
        | Order::FreeDisk(node)
        | Order::StopNode { node, .. }
        | Order::StartNode { node, .. }
        | Order::DecommissionNode { node, .. }
        | Order::SkewClock { node, .. } => Some(*node),
        _ => None,
    }
}
