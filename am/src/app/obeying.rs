//! Orders that come through the pages; the web server has looked whether their user may give them.

use std::collections::VecDeque;

use wire::failure::ExecutorLoss;
use wire::id::ExecutorId;
use wire::launcher::{LauncherCommand, LauncherReport};

use super::seat::Seat;
use super::{App, Life, Step};
use crate::summary::FailureNote;
use crate::web::{self, Order};

impl App {
    /// Does what a person has ordered, and answers what will come of it.
    pub(super) fn on_order(&mut self, query: web::Query) {
        let user = query
            .request
            .user
            .clone()
            .unwrap_or_else(|| "somebody".to_owned());
        let answer = match web::order(&query.request) {
            Err(answer) => answer,
            Ok(order) => self.obey_order(&order, &user),
        };
        if query.reply.send(answer).is_err() {
            tracing::debug!("whoever gave an order left before the answer");
        }
    }

    fn obey_order(&mut self, order: &Order, user: &str) -> web::Answer {
        if !matches!(self.life, Life::Running) {
            return web::Answer::text(409, "the application is ending");
        }
        let done = match order {
            Order::KillJob(job) => self.end_job_for(*job, user),
            Order::KillTask { stage, task } => self.kill_task(*stage, *task),
            Order::StopExecutor(executor) => self.stop_executor(executor),
            Order::DrainExecutor(executor) => self.drain_executor(executor),
        };
        match done {
            Ok(what) => {
                tracing::warn!(user, what, "ordered through the pages");
                self.note_order(&what, user);
                web::Answer::accepted(&what)
            }
            Err((status, why)) => web::Answer::text(status, &why),
        }
    }

    fn end_job_for(&mut self, job: u32, user: &str) -> Result<String, (u16, String)> {
        let known = self
            .driver
            .view()
            .snapshot()
            .jobs
            .iter()
            .any(|view| view.job == job);
        if !known {
            return Err((404, format!("there is no job {job}")));
        }
        let by = format!("killed by {user} through the pages");
        let mut refused = None;
        self.with_driver(|driver, now, commands| refused = driver.kill_job(now, job, by, commands).err());
        refused.map_or_else(|| Ok(format!("job {job} ends")), |why| Err((409, why)))
    }

    fn kill_task(&mut self, stage: u32, task: u32) -> Result<String, (u16, String)> {
        if !matches!(self.driver, Seat::Here(_)) {
            return Err((409, "in client mode the driver is in the client".to_owned()));
        }
        let view = self.driver.view().tasks(stage, task, 1).pop();
        let Some(view) = view.filter(|view| view.partition == task) else {
            return Err((404, format!("there is no task {task} of stage {stage}")));
        };
        if !view.status.is_live() {
            return Err((409, format!("task {task} of stage {stage} does not run")));
        }
        self.with_driver(|driver, now, commands| driver.kill_task(now, stage, task, commands));
        Ok(format!(
            "the attempts of task {task} of stage {stage} end; it runs again"
        ))
    }

    fn stop_executor(&mut self, executor: &ExecutorId) -> Result<String, (u16, String)> {
        self.must_live(executor)?;
        let mut steps = VecDeque::new();
        let stop = LauncherCommand::StopExecutor {
            executor: executor.clone(),
            loss: ExecutorLoss::KilledByUs,
        };
        self.obey(stop, &mut steps);
        self.process_all(steps);
        Ok(format!("{executor} is stopped and replaced"))
    }

    fn drain_executor(&mut self, executor: &ExecutorId) -> Result<String, (u16, String)> {
        self.must_live(executor)?;
        self.process(Step::Driver(LauncherReport::DrainWanted {
            executors: vec![executor.clone()],
            more: 0,
            loss: ExecutorLoss::KilledByUs,
        }));
        Ok(format!("{executor} finishes what it runs and is then replaced"))
    }

    fn must_live(&self, executor: &ExecutorId) -> Result<(), (u16, String)> {
        if self.is_beside(executor) {
            let why = format!(
                "{executor} is the ApplicationMaster's own container, in which this small job runs: it has no other to \
                 go on in. End the job instead, or submit it with `uber: false`"
            );
            return Err((409, why));
        }
        let live = self.launcher.live().any(|record| record.executor == *executor);
        if live {
            Ok(())
        } else {
            Err((404, format!("{executor} is none of the executors that run")))
        }
    }

    fn note_order(&mut self, what: &str, user: &str) {
        self.notes.add(FailureNote {
            unix_ms: self.clock.unix_ms(self.clock.now()),
            kind: "order".to_owned(),
            subject: what.to_owned(),
            host: String::new(),
            cause: format!("ordered by {user}"),
        });
    }
}
