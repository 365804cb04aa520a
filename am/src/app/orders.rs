//! Orders of the application's owner, left in the staging directory; see [`crate::restart`].

use std::sync::Arc;

use tokio::sync::oneshot;
use yarn_rpc::session::SessionCommand;

use super::{App, Done, Life};
use crate::restart;
use crate::staged;
use crate::web;

impl App {
    /// Looks for orders in a side task; the answer waits for it.
    pub(super) fn look_for_orders(&mut self, reply: oneshot::Sender<web::Answer>) {
        if self.looking {
            return self.tell_of_orders(Some("it is looking already: ask again".to_owned()), reply);
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
        match found {
            Err(error) => Some(format!("the staging directory cannot be read: {error}")),
            Ok(false) => Some("there is no order in the staging directory".to_owned()),
            Ok(true) if !matches!(self.life, Life::Running) => Some("the application is ending".to_owned()),
            Ok(true) if !self.plan.settings.recovery => {
                Some("am.recovery is off, so the next ApplicationMaster would begin anew".to_owned())
            }
            Ok(true) => None,
        }
    }

    fn tell_of_orders(&self, refused: Option<String>, reply: oneshot::Sender<web::Answer>) {
        let attempt = self.environment.epoch();
        let answer = web::Answer::json(&serde_json::json!(restart::Answer { attempt, refused }));
        if reply.send(answer).is_err() {
            tracing::debug!("whoever asked for orders left before the answer");
        }
    }
}
