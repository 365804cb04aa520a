//! Stages whose tasks start together or not at all, and of which a failure of one restarts all.
//!
//! A gang that comes first in the order and finds too few free slots holds back what comes after it, as long as the
//! executors that there are could hold it: otherwise smaller tasks would take every slot that becomes free, for ever.

use wire::failure::KillReason;

use crate::assignment::Round;
use crate::core::Driver;
use crate::event::Effect;
use crate::index::{AttemptIx, StageIx};
use crate::stage::Stage;

impl Driver {
    /// Whether a gang waits for slots.
    pub(crate) fn gangs_wait(&self) -> bool {
        self.gangs > 0 && self.queue.first(|stage| self.stages[stage].gang).is_some()
    }

    /// Launches a whole gang; false if what comes after it must wait.
    pub(crate) fn place_gang(&mut self, stage: StageIx, round: &mut Round) -> bool {
        let Stage {
            cores, needs, tasks, ..
        } = &self.stages[stage];
        let tasks = tasks.as_ref();
        let (wanted, idle) = tasks.map_or((0, true), |tasks| (tasks.pending(), tasks.running == 0));
        let places = round.offers.iter().map(|&executor| {
            let slots = u64::from(self.executors.free.of(executor) / cores);
            slots.min(self.executors[executor].spare.places(needs))
        });
        let free: u64 = places.sum();
        if idle && free >= u64::from(wanted) {
            for _ in 0..wanted {
                self.place_one(stage, round);
            }
            return true;
        }
        self.stages[stage].sweep.exhaust();
        !self.could_hold(stage, wanted)
    }

    /// Whether the executors that there are have room for so many tasks of a stage when they do nothing else.
    pub(crate) fn could_hold(&self, stage: StageIx, tasks: u32) -> bool {
        let Stage { cores, needs, .. } = &self.stages[stage];
        let present = self.executors.iter_present();
        let places = present.map(|(index, _)| self.executors.places(index, *cores, needs));
        places.sum::<u64>() >= u64::from(tasks)
    }

    /// Starts a gang again from its beginning, as another attempt of its stage.
    pub(crate) fn restart_gang(&mut self, stage: StageIx, effects: &mut Vec<Effect>) {
        let running = self.attempts.iter().filter(|(_, attempt)| attempt.stage == stage);
        let running: Vec<AttemptIx> = running.map(|(index, _)| index).collect();
        for index in running {
            self.cancel(index, KillReason::StageEnded, effects);
        }
        let why = "a task of the gang failed: all start again";
        self.tell_stage_ended(stage, Some(why.to_owned()));
        self.begin_stage_attempt(stage);
        if let Some(tasks) = &mut self.stages[stage].tasks {
            tasks.restart();
        }
        self.tell_stage_began(stage);
        self.offer_stage(stage);
    }
}
