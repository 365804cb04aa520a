//! What executors are told to run, collected into one effect an executor and round.

use std::collections::BTreeMap;

use wire::amounts::Amounts;
use wire::id::{StageKey, TaskAttemptId};
use wire::task::{Body, Capture, Feed, StageSpec, TaskSpec};

use crate::core::Driver;
use crate::event::Effect;
use crate::index::{ExecutorIx, StageIx};
use crate::plan::{AppPlan, BodyPlan, FeedPlan, StagePlan};

/// Launches of the present round.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    packets: Vec<Packet>,
    /// Where the packet of an executor is, once there are several.
    places: BTreeMap<ExecutorIx, usize>,
}

#[derive(Debug)]
struct Packet {
    executor: ExecutorIx,
    stages: Vec<StageSpec>,
    tasks: Vec<TaskSpec>,
}

impl Outbox {
    fn packet(&mut self, executor: ExecutorIx) -> &mut Packet {
        let last = self
            .packets
            .last()
            .is_some_and(|packet| packet.executor == executor);
        let place = if last {
            self.packets.len() - 1
        } else {
            self.place_of(executor)
        };
        &mut self.packets[place]
    }

    fn place_of(&mut self, executor: ExecutorIx) -> usize {
        let next = self.packets.len();
        let place = *self.places.entry(executor).or_insert(next);
        if place == next {
            self.packets.push(Packet {
                executor,
                stages: Vec::new(),
                tasks: Vec::new(),
            });
        }
        place
    }
}

impl Driver {
    /// Has an attempt sent to an executor at the end of the round.
    pub(crate) fn enqueue_launch(&mut self, index: ExecutorIx, id: TaskAttemptId) {
        if self.replaying {
            return;
        }
        let stage = StageIx::from_number(id.stage.stage);
        let told = &mut self.executors[index].told;
        let unknown = told.insert(id.stage);
        let Some(tasks) = &self.stages[stage].tasks else {
            return;
        };
        let packet = self.outbox.packet(index);
        packet.tasks.push(TaskSpec {
            id,
            item: tasks.inputs().item(id.partition),
            inputs: tasks.inputs().slices(id.partition),
        });
        if unknown {
            let spec = stage_spec(&self.plan, id.stage, tasks.total());
            packet.stages.push(spec);
        }
    }

    /// Forgets who knows a stage that is over.
    pub(crate) fn tell_no_more(&mut self, stage: StageIx) {
        let key = self.stages[stage].key;
        let present: Vec<_> = self.executors.iter_present().map(|(index, _)| index).collect();
        for index in present {
            self.executors[index].told.remove(&key);
        }
    }

    pub(crate) fn send_launches(&mut self, effects: &mut Vec<Effect>) {
        self.outbox.places.clear();
        for packet in self.outbox.packets.drain(..) {
            effects.push(Effect::Launch {
                executor: self.executors[packet.executor].id.clone(),
                stages: packet.stages,
                tasks: packet.tasks,
            });
        }
    }
}

fn stage_spec(plan: &AppPlan, key: StageKey, tasks: u32) -> StageSpec {
    let stage = &plan.stages[key.stage as usize];
    let output = stage.output.as_ref().map(|output| output.uri.clone());
    StageSpec {
        key,
        name: stage.name.clone(),
        tasks,
        body: body(&stage.body),
        environment: environment(plan, stage),
        feed: feed(stage.feed),
        capture: capture(stage),
        output: output.clone().filter(|_| !stage.body.is_function()),
        files: plan.files.clone(),
        timeout: stage.timeout,
        memory_limit: stage.memory_mib.map(|mib| mib << 20),
        cores: stage.cores.max(1),
        resources: resources(plan, stage),
        results: output.filter(|_| stage.body.is_function()),
    }
}

/// What a task has of each resource that tasks of any stage share out.
fn resources(plan: &AppPlan, stage: &StagePlan) -> Amounts {
    let names = plan.stages.iter().flat_map(|other| other.resources.keys());
    names
        .map(|name| (name.clone(), stage.resources.get(name).copied().unwrap_or(0)))
        .collect()
}

fn body(plan: &BodyPlan) -> Body {
    match plan {
        BodyPlan::Command(argv) => Body::Argv(argv.clone()),
        BodyPlan::Shell(script) => Body::Shell(script.clone()),
        BodyPlan::Function(name) => Body::Function(name.clone()),
    }
}

/// The variables of the application, overlaid by those of the stage.
fn environment(plan: &AppPlan, stage: &StagePlan) -> Vec<(String, String)> {
    let common = plan.env.iter().filter(|(name, _)| !stage.env.contains_key(*name));
    let all = common.chain(&stage.env);
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn feed(plan: FeedPlan) -> Feed {
    match plan {
        FeedPlan::Stdin => Feed::Stdin,
        FeedPlan::File => Feed::File,
        FeedPlan::None => Feed::None,
    }
}

fn capture(stage: &StagePlan) -> Capture {
    match &stage.output {
        // What a function gives back travels with the report.
        _ if stage.body.is_function() => Capture::Log,
        None => Capture::Log,
        Some(output) if output.directory => Capture::Directory,
        Some(_) => Capture::Stdout,
    }
}
