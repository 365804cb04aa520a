//! Whether what is to run at the same time fits on the nodes of the cluster, were there nobody else.
//!
//! Pure. A node that is away now may come back, and what the ResourceManager shows nothing of may hold anything: only what
//! could never run is refused.

use driver::plan::{AppPlan, StagePlan};
use driver::policy::PoolPlan;
use yarn_rest::model::{Node, NodeState};

use crate::error::CommandError;
use crate::settings::Resolved;
use crate::settings::value::show_mebibytes;

/// The nodes that run or may come back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Room {
    /// What each gives to containers, in MiB; empty when that is not known of all of them.
    nodes_mib: Vec<u64>,
    /// How many of them are away.
    away: usize,
}

/// Memory that a node gives to containers, in MiB; none when the ResourceManager does not say, as of nodes that are gone.
pub(super) fn memory_mib(node: &Node) -> Option<u64> {
    Some(node.used_memory_mb + node.available_memory_mb).filter(|total| *total > 0)
}

impl Room {
    /// Of all nodes that the ResourceManager knows.
    pub(crate) fn of(nodes: &[Node]) -> Self {
        let ours = || {
            nodes
                .iter()
                .filter(|node| node.state != NodeState::Decommissioned)
        };
        Room {
            nodes_mib: ours().map(memory_mib).collect::<Option<_>>().unwrap_or_default(),
            away: ours().filter(|node| node.state != NodeState::Running).count(),
        }
    }

    /// Executors of that size that fit on all nodes together.
    fn executors(&self, memory_mib: u64) -> u64 {
        self.nodes_mib.iter().map(|total| total / memory_mib).sum()
    }

    /// Executors of that size that are lost to an ApplicationMaster of `master_mib`, on the node where it takes the least.
    fn lost(&self, memory_mib: u64, master_mib: u64) -> u64 {
        let totals = self.nodes_mib.iter();
        let lost = totals.map(|total| total / memory_mib - total.saturating_sub(master_mib) / memory_mib);
        lost.min().unwrap_or(0)
    }

    /// What needs several executors at the same time must fit. Of nodes with a label it is not known which they are, and
    /// the only executor of a job in the ApplicationMaster's container is asked of no node.
    ///
    /// # Errors
    /// A gang or a min-share that does not fit.
    pub(super) fn check(&self, plan: &AppPlan, settings: &Resolved) -> Result<(), CommandError> {
        if self.nodes_mib.is_empty() || plan.scheduling.uber || settings.optional("node-label").is_some() {
            return Ok(());
        }
        let memory = plan.executors.memory_mib.max(1);
        let whole = self.executors(memory);
        let beside = whole.saturating_sub(self.lost(memory, settings.mebibytes("am.memory")));
        let gangs =
            gangs(plan).map(|(what, executors)| (what, executors, beside, " beside the ApplicationMaster"));
        // A min-share is a preference: it is too much only above the whole cluster.
        let shares = min_shares(plan).map(|(what, executors)| (what, executors, whole, ""));
        let Some((what, executors, room, but)) = gangs
            .chain(shares)
            .find(|(_, executors, room, _)| executors > room)
        else {
            return Ok(());
        };
        let cause = format!(
            "{what} takes {executors} executors of {}; the nodes that run or may come back, {} of them and {} away now, have room for {room}{but}, were they empty",
            show_mebibytes(memory),
            self.nodes_mib.len(),
            self.away
        );
        Err(
            CommandError::refused("the nodes of this cluster are too small or too few")
                .because(cause)
                .help("lower it, or executors.memory; `yarn node -list` shows the nodes"),
        )
    }
}

/// The gangs of a plan, and how many executors each takes.
fn gangs(plan: &AppPlan) -> impl Iterator<Item = (String, u64)> {
    let gangs = plan.stages.iter().filter(|stage| stage.scheduling.gang);
    gangs.map(|stage| {
        let (tasks, places) = (stage.source.known_tasks(), plan.executors.places(stage).max(1));
        let what = format!("the gang of {tasks} tasks of stage {}", stage.name);
        (what, tasks.div_ceil(places.into()))
    })
}

/// The min-shares of the pools that the plan's stages use, and how many executors each takes.
fn min_shares(plan: &AppPlan) -> impl Iterator<Item = (String, u64)> {
    let pools = plan.scheduling.pools.iter();
    pools.filter(|pool| is_used(plan, pool)).map(|pool| {
        let what = format!("the min-share of {} of pool {}", pool.min_share, pool.name);
        (what, pool.min_share.div_ceil(plan.executors.cores.max(1)).into())
    })
}

/// Whether a stage is in the pool or in one below it. Files of pools are shared: most jobs use few of theirs.
fn is_used(plan: &AppPlan, pool: &PoolPlan) -> bool {
    plan.stages.iter().any(|stage| {
        let mut at = pool_of(plan, stage);
        // No way up is longer than there are pools, unless it is a circle.
        for _ in &plan.scheduling.pools {
            if at == Some(pool.name.as_str()) {
                return true;
            }
            let mut pools = plan.scheduling.pools.iter();
            at = at.and_then(|name| pools.find(|pool| pool.name == name)?.parent.as_deref());
        }
        false
    })
}

/// The pool of a stage: its own, else that of its job.
fn pool_of<'a>(plan: &'a AppPlan, stage: &'a StagePlan) -> Option<&'a str> {
    let job = || {
        plan.scheduling
            .jobs
            .get(stage.scheduling.job as usize)?
            .pool
            .as_deref()
    };
    stage.scheduling.pool.as_deref().or_else(job)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::job::JobFile;
    use crate::settings::{Layer, Layers};

    /// Nodes by state and memory, as the ResourceManager lists them.
    fn nodes(all: &[(&str, u64)]) -> Room {
        let node = |(state, mib): &(&str, u64)| {
            let node =
                serde_json::json!({ "id": "n:1", "state": state, "usedMemoryMB": 0, "availMemoryMB": mib });
            serde_json::from_value(node).unwrap()
        };
        Room::of(&all.iter().map(node).collect::<Vec<Node>>())
    }

    /// Executors of 1 GiB with a core, beside an ApplicationMaster of 1 GiB.
    fn checked(room: &Room, job: &str, edit: impl Fn(&mut AppPlan)) -> Result<(), String> {
        let text = format!(
            "version: 1\nconf: {{ am.memory: 1GiB }}\nexecutors: {{ instances: 99, memory: 1GiB, cores: 1 }}\n{job}"
        );
        let job = JobFile::parse(Path::new("/job.yaml"), &text).unwrap();
        let settings = Resolved::of(&Layers(vec![Layer::job(&job)])).unwrap();
        let home = "hdfs://nn:8020/user/ada".parse().unwrap();
        let mut plan = crate::plan::resolve(&job, &settings, &home).unwrap().plan;
        edit(&mut plan);
        room.check(&plan, &settings).map_err(|error| format!("{error:?}"))
    }

    fn gang(tasks: u32) -> String {
        format!("stages: [{{ name: a, tasks: {tasks}, shell: x, barrier: true }}]\n")
    }

    fn share(min_share: u32, pool: &str) -> String {
        format!(
            "pools: [{{ name: prod, min-share: {min_share} }}, {{ name: low, parent: prod }}, {{ name: other }}]\n\
             stages: [{{ name: a, tasks: 1, shell: x, pool: {pool} }}]\n"
        )
    }

    fn fits(room: &Room, job: &str) -> Result<(), String> {
        checked(room, job, |_| {})
    }

    const FOUR: u64 = 4096;

    #[test]
    fn nodes_that_are_away_may_come_back_with_anything() {
        for state in ["LOST", "UNHEALTHY", "REBOOTED", "SHUTDOWN", "NEW"] {
            let room = nodes(&[("RUNNING", FOUR), (state, 0)]);
            assert_eq!(fits(&room, &share(8, "prod")), Ok(()), "{state}");
            assert_eq!(fits(&room, &gang(8)), Ok(()), "{state}");
        }
        let gone = nodes(&[("RUNNING", FOUR), ("DECOMMISSIONED", 0)]);
        assert!(fits(&gone, &share(8, "prod")).is_err() && fits(&gone, &gang(8)).is_err());
        assert_eq!(fits(&nodes(&[]), &gang(8)), Ok(()), "nothing is known");
        assert_eq!(fits(&nodes(&[("RUNNING", 0)]), &gang(8)), Ok(()));
    }

    #[test]
    fn a_gang_needs_room_beside_the_application_master_and_the_refusal_counts_nodes_that_are_away() {
        let room = nodes(&[("RUNNING", FOUR), ("DECOMMISSIONING", FOUR)]);
        assert_eq!(fits(&room, &gang(7)), Ok(()));
        let why = fits(&room, &gang(8)).unwrap_err();
        assert!(
            why.contains("2 of them and 1 away now, have room for 7 beside the ApplicationMaster"),
            "{why}"
        );
    }

    #[test]
    fn a_min_share_is_too_much_only_above_the_whole_cluster_and_in_a_pool_that_is_used() {
        let room = nodes(&[("RUNNING", FOUR), ("RUNNING", FOUR)]);
        assert_eq!(fits(&room, &share(8, "prod")), Ok(()));
        let why = fits(&room, &share(9, "prod")).unwrap_err();
        assert!(
            why.contains("the min-share of 9 of pool prod takes 9 executors"),
            "{why}"
        );
        assert!(why.contains("have room for 8, were they empty"), "{why}");
        assert!(
            fits(&room, &share(9, "low")).is_err(),
            "what is below a pool uses it"
        );
        assert_eq!(fits(&room, &share(9, "other")), Ok(()));
    }

    #[test]
    fn what_runs_in_the_application_masters_container_needs_no_room() {
        let small = nodes(&[("RUNNING", 1024)]);
        assert!(fits(&small, &gang(1)).is_err());
        let uber = |plan: &mut AppPlan| plan.scheduling.uber = true;
        assert_eq!(checked(&small, &gang(1), uber), Ok(()));
    }
}
