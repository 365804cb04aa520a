//! Orders of the application's owner, left in the staging directory; see [`crate::restart`] and [`crate::job_kill`].

use std::sync::Arc;

use tokio::sync::oneshot;
use yarn_rpc::session::SessionCommand;

use super::{App, Done, Life};
use crate::staged;
use crate::web;
use crate::{job_kill, restart};

/// Anybody may have the staging directory looked at, so it is done once at a time.
const LOOKING: &str = "it is looking already: ask again";

impl App {
    /// Looks for orders in a side task; the answer waits for it.
    pub(super) fn look_for_orders(&mut self, reply: oneshot::Sender<web::Answer>) {
        if self.looking {
            return self.tell_of_orders(Some(LOOKING.to_owned()), reply);
        }
        self.looking = true;
        let (systems, staging) = (Arc::clone(&self.systems), self.environment.staging.clone());
        let order = restart::order(self.environment.epoch());
        self.work.spawn("looking for orders", async move {
            let found = staged::exists(&systems, &staging, &order).await;
            let found = found.map_err(|error| error.to_string());
            Done::LookedForOrders { found, reply }
        });
    }

    pub(super) fn on_orders(&mut self, found: Result<bool, String>, reply: oneshot::Sender<web::Answer>) {
        self.looking = false;
        let refused = self.refusal(found);
        if refused.is_none() {
            tracing::warn!(
                "this attempt is replaced on order: its container goes back to the ResourceManager"
            );
            self.outbox
                .push(SessionCommand::Release(self.environment.container));
            // What the ResourceManager says next ends this process without unregistering.
            self.outbox.push(SessionCommand::Nudge);
        }
        self.tell_of_orders(refused, reply);
    }

    fn refusal(&self, found: Result<bool, String>) -> Option<String> {
        self.unless_ordered(found).or_else(|| {
            let why = if !self.plan.settings.recovery {
                "am.recovery is off, so the next ApplicationMaster would begin anew"
            } else if self.max_attempts <= 1 {
                "YARN starts no other one: am.max-attempts, or yarn.resourcemanager.am.max-attempts of the cluster, is 1"
            } else {
                return None;
            };
            Some(why.to_owned())
        })
    }

    /// Looks for the order to end a job; the answer waits for it.
    pub(super) fn look_for_job_kill(&mut self, job: Option<u32>, reply: oneshot::Sender<web::Answer>) {
        let Some(job) = job else {
            let answer = web::Answer::text(400, "name the job by its number: ?job=0");
            return answered(reply, answer);
        };
        if self.looking {
            return tell_of_job_kill(job, Some(LOOKING.to_owned()), reply);
        }
        self.looking = true;
        let (systems, staging) = (Arc::clone(&self.systems), self.environment.staging.clone());
        self.work.spawn("looking for the order to end a job", async move {
            let found = staged::exists(&systems, &staging, &job_kill::order(job)).await;
            let found = found.map_err(|error| error.to_string());
            Done::LookedForJobKill { job, found, reply }
        });
    }

    pub(super) fn on_job_kill(
        &mut self,
        job: u32,
        found: Result<bool, String>,
        reply: oneshot::Sender<web::Answer>,
    ) {
        self.looking = false;
        let refused = self.unless_ordered(found).or_else(|| self.kill_job(job));
        tell_of_job_kill(job, refused, reply);
    }

    /// Ends a job, or says why not.
    fn kill_job(&mut self, job: u32) -> Option<String> {
        let mut refused = None;
        let by = format!("killed by {} with `drawloom kill --job`", self.environment.user);
        self.with_driver(|driver, now, commands| refused = driver.kill_job(now, job, by, commands).err());
        if refused.is_none() {
            tracing::warn!(job, "a job is ended on order");
        }
        refused
    }

    /// Why an order is not followed whatever it says.
    fn unless_ordered(&self, found: Result<bool, String>) -> Option<String> {
        match found {
            Err(error) => Some(format!("the staging directory cannot be read: {error}")),
            Ok(false) => Some("there is no order in the staging directory".to_owned()),
            Ok(true) if !matches!(self.life, Life::Running) => Some("the application is ending".to_owned()),
            Ok(true) => None,
        }
    }

    fn tell_of_orders(&self, refused: Option<String>, reply: oneshot::Sender<web::Answer>) {
        let attempt = self.environment.epoch();
        let answer = web::Answer::json(&serde_json::json!(restart::Answer { attempt, refused }));
        answered(reply, answer);
    }
}

fn tell_of_job_kill(job: u32, refused: Option<String>, reply: oneshot::Sender<web::Answer>) {
    let answer = serde_json::json!(job_kill::Answer { job, refused });
    answered(reply, web::Answer::json(&answer));
}

fn answered(reply: oneshot::Sender<web::Answer>, answer: web::Answer) {
    if reply.send(answer).is_err() {
        tracing::debug!("whoever asked for orders left before the answer");
    }
}
