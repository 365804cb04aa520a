//! F, as one attempt can show it: nothing that an executor says after it was given up changes anything.

use driver::core::Driver;
use driver::event::{Effect, Event};
use driver::plan::AppPlan;
use driver::view::{Snapshot, TaskView};
use wire::failure::ExecutorLoss;
use wire::id::{BootNonce, ExecutorId};

use super::Audit;

/// Who says this, if it is what an executor says.
pub(crate) fn speaker(event: &Event) -> Option<&ExecutorId> {
    match event {
        Event::ExecutorRegistered(registration) => Some(&registration.executor),
        Event::HeartbeatReceived { executor, .. }
        | Event::ExecutorDisconnected { executor }
        | Event::TaskStarted { executor, .. }
        | Event::TaskFinished { executor, .. }
        | Event::TasksReturned { executor, .. }
        | Event::CommitRequested { executor, .. }
        | Event::OutputUnreadable { executor, .. } => Some(executor),
        _ => None,
    }
}

/// What no word of somebody who was given up may change.
#[derive(Debug)]
pub(crate) struct Untouched {
    speaker: ExecutorId,
    snapshot: Snapshot,
    tasks: Vec<Vec<TaskView>>,
}

fn tasks(driver: &Driver, plan: &AppPlan) -> Vec<Vec<TaskView>> {
    let stages = (0..).zip(&plan.stages);
    stages
        .map(|(stage, _)| driver.tasks(stage, 0, usize::MAX))
        .collect()
}

impl Audit {
    /// Whether somebody who was given up says this.
    pub(crate) fn is_from_beyond(&self, event: &Event) -> bool {
        speaker(event).is_some_and(|executor| self.gone.contains(executor))
    }

    /// Notes how things stand before an event that must not change them. The one that may is a success: results are
    /// the same whoever made them, so it counts, unless what was made stayed where nobody can read it any more.
    pub(crate) fn before(&self, event: &Event, driver: &Driver, plan: &AppPlan) -> Option<Untouched> {
        let counts = match event {
            Event::TaskFinished { report, .. } => {
                let stage = &plan.stages[report.id.stage.stage as usize];
                report.outcome.is_ok() && !stage.scheduling.keeps_output
            }
            _ => false,
        };
        let speaker = speaker(event).filter(|executor| !counts && self.gone.contains(executor))?;
        Some(Untouched {
            speaker: speaker.clone(),
            snapshot: driver.snapshot(),
            tasks: tasks(driver, plan),
        })
    }

    /// Compares how things stand after such an event, and looks at what it led to.
    pub(crate) fn after(&mut self, before: &Untouched, driver: &Driver, effects: &[Effect], plan: &AppPlan) {
        let speaker = &before.speaker;
        let harmless = |effect: &&Effect| match effect {
            Effect::DecideCommit { granted, .. } => !granted,
            Effect::StopExecutor { executor, .. } | Effect::Cancel { executor, .. } => executor == speaker,
            _ => false,
        };
        if let Some(effect) = effects.iter().find(|effect| !harmless(effect)) {
            self.complain(
                'F',
                format!("what {speaker}, which is gone, says leads to {effect:?}"),
            );
        }
        let same = before.snapshot == driver.snapshot() && before.tasks == tasks(driver, plan);
        self.check(same, 'F', || {
            format!("what {speaker}, which is gone, says changes the state of the driver")
        });
    }

    /// Another life of an executor: what the one before ran and left is lost with it.
    pub(super) fn hear_life(&mut self, executor: &ExecutorId, boot: BootNonce) {
        let before = self.boots.insert(executor.clone(), boot);
        if before.is_some_and(|before| before != boot) && !self.gone.contains(executor) {
            self.forget_signs(executor);
            self.lose_attempts(executor, ExecutorLoss::Unknown);
        }
    }
}
