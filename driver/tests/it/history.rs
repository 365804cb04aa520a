//! What a driver tells of itself: an auditor for random runs, and the story of one job.

use std::collections::{BTreeMap, BTreeSet};

use driver::event::{Effect, Event};
use driver::history::Happening;
use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, TaskAttemptId};

use crate::rig::{HEARD, Rig, exit, id, plan, stage};

/// The books of someone who only hears what happens. It may have begun to listen in the middle.
#[derive(Default)]
pub(crate) struct Audit {
    executors: BTreeSet<ExecutorId>,
    running: BTreeMap<TaskAttemptId, ExecutorId>,
    stages: BTreeMap<u32, u32>,
    jobs: BTreeSet<u32>,
}

impl Audit {
    pub(crate) fn check(&mut self, happened: Vec<Happening>) {
        for happening in happened {
            self.take(happening);
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::ExecutorAdded { executor, .. } => {
                assert!(self.executors.insert(executor), "an executor is added once");
            }
            Happening::ExecutorRemoved { executor, .. } => {
                self.executors.remove(&executor);
            }
            Happening::StageBegan { stage, .. } => {
                let before = self.stages.insert(stage.stage, stage.stage_attempt);
                assert_eq!(before, None, "an attempt of a stage ends before the next begins");
            }
            Happening::StageEnded { stage, .. } => {
                let begun = self.stages.remove(&stage.stage);
                assert!(begun.is_none_or(|attempt| attempt == stage.stage_attempt));
            }
            Happening::TaskLaunched { id, place, .. } => {
                let before = self.running.insert(id, place.0);
                assert_eq!(before, None, "an attempt is launched once");
            }
            Happening::TaskEnded { id, place, .. } => {
                let began = self.running.remove(&id);
                assert!(began.is_none_or(|executor| executor == place.0));
            }
            Happening::TaskReturned { id } => {
                self.running.remove(&id);
            }
            Happening::JobEnded { job, .. } => {
                assert!(self.jobs.insert(job), "a job ends once");
            }
        }
    }
}

fn words(happened: &[Happening]) -> Vec<String> {
    let word = |happening: &Happening| match happening {
        Happening::ExecutorAdded { executor, slots, .. } => format!("{executor} added with {slots}"),
        Happening::ExecutorRemoved { executor, loss } => format!("{executor} removed: {loss}"),
        Happening::StageBegan { stage, tasks } => format!("stage {} began with {tasks}", stage.stage),
        Happening::StageEnded { stage, failure } => format!("stage {} ended {failure:?}", stage.stage),
        Happening::TaskLaunched { id, place, .. } => {
            format!("{}.{} on {}", id.partition, id.attempt, place.0)
        }
        Happening::TaskEnded { id, outcome, .. } => match outcome {
            Ok(()) => format!("{}.{} done", id.partition, id.attempt),
            Err(failure) => format!("{}.{}: {failure}", id.partition, id.attempt),
        },
        Happening::TaskReturned { id } => format!("{}.{} returned", id.partition, id.attempt),
        Happening::JobEnded { job, failure } => format!("job {job} ended {failure:?}"),
    };
    happened.iter().map(word).collect()
}

#[test]
fn the_story_of_a_job_with_a_failure_and_a_lost_executor() {
    let mut rig = Rig::unstarted(plan(2, 1, vec![stage("a", 2)]));
    rig.driver.tell_history();
    let mut story = Vec::new();
    let mut then = |rig: &mut Rig, act: &dyn Fn(&mut Rig) -> Vec<Effect>| {
        act(rig);
        story.extend(words(&rig.driver.take_history()));
    };
    then(&mut rig, &|rig| rig.send(HEARD));
    then(&mut rig, &|rig| rig.send(Event::Started));
    then(&mut rig, &|rig| rig.register("x", 1));
    then(&mut rig, &|rig| rig.register("y", 1));
    then(&mut rig, &|rig| rig.fail("x", id(0, 0, 0), exit(3)));
    then(&mut rig, &|rig| rig.lose("y", ExecutorLoss::NodeLost));
    then(&mut rig, &|rig| rig.succeed("x", id(0, 1, 1)));
    then(&mut rig, &|rig| rig.succeed("x", id(0, 0, 1)));
    assert_eq!(
        story,
        [
            "stage 0 began with 2",
            "x added with 1",
            "0.0 on x",
            "y added with 1",
            "1.0 on y",
            "0.0: exit code 3",
            "y removed: its node was lost",
            "1.0: executor lost: its node was lost",
            "1.1 on x",
            "1.1 done",
            "0.1 on x",
            "0.1 done",
            "stage 0 ended None",
            "job 0 ended None",
        ]
    );
}

#[test]
fn a_failed_job_ends_its_stages_and_says_why() {
    let mut once = stage("a", 1);
    once.max_failures = Some(1);
    let mut rig = Rig::new(plan(1, 1, vec![once]));
    rig.driver.tell_history();
    rig.register("x", 1);
    rig.driver.take_history();
    rig.fail("x", id(0, 0, 0), exit(3));
    let story = words(&rig.driver.take_history());
    assert_eq!(story[0], "0.0: exit code 3");
    assert!(
        story[1].starts_with("stage 0 ended Some(\"stage a, task 0 failed once"),
        "{story:?}"
    );
    assert!(story[2].starts_with("job 0 ended Some(\"stage a"), "{story:?}");
}

#[test]
fn nothing_is_kept_of_a_story_that_nobody_hears() {
    let mut rig = Rig::new(plan(1, 1, vec![stage("a", 1)]));
    rig.register("x", 1);
    assert_eq!(rig.driver.take_history(), []);
}
