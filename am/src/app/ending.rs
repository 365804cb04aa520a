//! The end: executors leave, outputs are tidied, the ResourceManager is told, the staging directory goes.

use std::time::Duration;

use driver::event::Verdict;
use wire::message::GatewayMessage;
use yarn_rpc::session::SessionCommand;

use super::{App, Done, Exit, Life, Step};
use crate::history::{self, Status, elsewhere};
use crate::journal::JournalCost;
use crate::staged;
use crate::verdict;
use launcher::Event as LauncherEvent;

/// The longest that executors may take to leave beyond what their tasks are given.
const LEAVE_MARGIN: Duration = Duration::from_secs(1);
/// The most that tasks are given at the end.
const LEAVE_GRACE: Duration = Duration::from_secs(3);
/// The longest that tidying outputs may take.
const CLEANING: Duration = Duration::from_secs(60);
/// The longest that the ResourceManager may take to store the final status.
const UNREGISTERING: Duration = Duration::from_secs(120);
/// The longest that removing the staging directory may take.
const UNSTAGING: Duration = Duration::from_secs(15);
/// What YARN leaves between SIGTERM and SIGKILL is 250 ms; this much goes to telling executors.
const TERMINATING: Duration = Duration::from_millis(100);

/// The least change of progress that the ResourceManager is told of.
const PROGRESS_STEP: f32 = 0.001;

/// Says why an attempt ends without a verdict. The end of this log is what YARN puts into the application's diagnostics.
pub(super) fn tell(exit: &Exit) {
    match exit {
        Exit::Superseded(reason) => tracing::error!(reason, "this attempt ends without unregistering"),
        Exit::Crashed(reason) => tracing::error!(reason, "the ApplicationMaster has failed"),
        Exit::Terminated => tracing::warn!("SIGTERM: YARN ends this container"),
        Exit::Verdict(_) => {}
    }
}

impl App {
    /// Takes the verdict and begins to end.
    pub(super) fn conclude(&mut self, verdict: Verdict) {
        if !matches!(self.life, Life::Running) {
            return;
        }
        tracing::info!(
            verdict = verdict::word(&verdict),
            "the application has its verdict"
        );
        let grace = self.plan.settings.kill_grace.min(LEAVE_GRACE);
        self.gate.ending = true;
        self.tell_all_to_leave("the application has ended", grace);
        self.life = Life::Leaving {
            verdict,
            until: self.clock.now() + grace + LEAVE_MARGIN,
        };
        self.process(Step::Launcher(LauncherEvent::Ending));
    }

    fn tell_all_to_leave(&mut self, reason: &str, grace: Duration) {
        let reason = reason.to_owned();
        self.links.broadcast(&GatewayMessage::Shutdown { reason, grace });
    }

    /// Ends without unregistering.
    pub(super) fn over(&mut self, exit: Exit) {
        if !matches!(self.life, Life::Over(_)) {
            self.life = Life::Over(exit);
        }
    }

    /// Goes on to the next phase when the present one is done or has lasted too long.
    pub(super) fn advance(&mut self) {
        let now = self.clock.now();
        match &self.life {
            Life::Leaving { verdict, until } if self.links.is_empty() || now >= *until => {
                let verdict = verdict.clone();
                self.clean(verdict);
            }
            Life::Cleaning { verdict, until } if now >= *until => {
                tracing::warn!("tidying outputs takes too long: left as they are");
                let verdict = verdict.clone();
                self.unregister(verdict);
            }
            Life::Unregistering { until, .. } if now >= *until => {
                self.over(Exit::Superseded(
                    "the ResourceManager does not take the final status".to_owned(),
                ));
            }
            _ => self.report_progress(),
        }
    }

    fn clean(&mut self, verdict: Verdict) {
        let outputs: Vec<_> = self
            .plan
            .stages
            .iter()
            .filter_map(|stage| stage.output.clone())
            .collect();
        let (tidier, done) = (self.outputs.clone(), verdict == Verdict::Succeeded);
        let (systems, staging) = (self.systems.clone(), self.environment.staging.clone());
        let now = self.clock.now();
        let history = self
            .driver
            .history_mut()
            .map(|history| history.end(now, &verdict));
        let client_log = self.client_log.as_ref().map(|log| log.directory.clone());
        let gone = self.driver.relay().is_some_and(|relay| relay.is_deserted());
        let application = self.environment.application();
        self.life = Life::Cleaning {
            verdict,
            until: self.clock.now() + CLEANING,
        };
        self.work.spawn("tidying outputs", async move {
            // What another attempt would go by comes before what people read.
            if done {
                staged::mark_succeeded(&systems, &staging).await;
            }
            if let Some(history) = history {
                history.await;
            }
            for output in &outputs {
                if let Err(error) = tidier.leave(output).await {
                    tracing::warn!(error, "traces of this application were left behind");
                }
            }
            let client_log = match client_log {
                Some(directory) => elsewhere::settled(&systems, &directory, &application, gone).await,
                None => false,
            };
            Done::Cleaned { client_log }
        });
    }

    pub(super) fn on_cleaned(&mut self, client_log: bool) {
        if let Some(log) = &mut self.client_log {
            log.complete = client_log;
        }
        if let Life::Cleaning { verdict, .. } = &self.life {
            let verdict = verdict.clone();
            self.unregister(verdict);
        }
    }

    fn unregister(&mut self, verdict: Verdict) {
        let mut summary = self.summary_line();
        if let Verdict::Failed(cause) = &verdict {
            summary.push_str(&self.loss_lines(cause));
        }
        let diagnostics = verdict::diagnostics(&verdict, &summary);
        self.outbox.push(SessionCommand::Progress(self.progress()));
        self.outbox.push(SessionCommand::Unregister {
            status: verdict::final_status(&verdict),
            diagnostics,
            tracking_url: self.history_url(),
        });
        self.life = Life::Unregistering {
            verdict,
            until: self.clock.now() + UNREGISTERING,
        };
    }

    /// Where the application can be looked at from now on.
    fn history_url(&self) -> Option<String> {
        let server = self.history_server.as_deref()?;
        let (complete, attempt) = match (self.driver.history(), &self.client_log) {
            (Some(own), _) => (own.status() == Status::Complete, Some(self.environment.epoch().0)),
            (None, Some(log)) => (log.complete, None),
            (None, None) => return None,
        };
        complete.then(|| history::shown_at(server, &self.environment.application(), attempt))
    }

    fn summary_line(&self) -> String {
        let (done, known) = self.driver.progress();
        let lost = match self.notes.executors_lost() {
            0 => String::new(),
            1 => ", 1 executor lost".to_owned(),
            lost => format!(", {lost} executors lost"),
        };
        let placed = self.driver.view().placed();
        let near = match placed.particular() {
            0 => String::new(),
            all => format!(", {} of {all} attempts near their input", placed.near()),
        };
        format!(
            "{done} of {known} tasks done in {:.1} s{near}{lost}",
            self.clock.now().as_secs_f64()
        )
    }

    pub(super) fn on_unregistered(&mut self) {
        if let Life::Unregistering { verdict, .. } = &self.life {
            let verdict = verdict.clone();
            self.over(Exit::Verdict(verdict));
        }
    }

    /// Finished tasks over known tasks.
    fn progress(&self) -> f32 {
        let (done, known) = self.driver.progress();
        if known == 0 {
            0.0
        } else {
            (done as f64 / known as f64) as f32
        }
    }

    fn report_progress(&mut self) {
        let progress = self.progress();
        let noticeable = (progress - self.rm.progress).abs() >= PROGRESS_STEP;
        if noticeable || progress >= 1.0 && self.rm.progress < 1.0 {
            self.rm.progress = progress;
            self.outbox.push(SessionCommand::Progress(progress));
        }
    }

    /// What is left to do when the loop has ended.
    pub(super) async fn end(mut self, exit: Exit) -> Exit {
        if let Some(JournalCost {
            records,
            bytes,
            flushes,
        }) = self.driver.journal_cost()
        {
            tracing::info!(records, bytes, flushes, "the journal of this attempt ends");
        }
        match &exit {
            Exit::Verdict(_) => {
                let remove = staged::remove(&self.systems, &self.environment.staging);
                if tokio::time::timeout(UNSTAGING, remove).await.is_err() {
                    tracing::warn!(
                        staging = self.environment.staging,
                        "the staging directory was left behind"
                    );
                }
            }
            // Executors wait for the next attempt; where there is none, YARN ends them.
            Exit::Terminated => self.terminate().await,
            Exit::Superseded(_) | Exit::Crashed(_) => tell(&exit),
        }
        exit
    }

    /// Executors wait for the next attempt; where there is none, YARN ends them. The event log is that of this attempt.
    async fn terminate(&mut self) {
        tracing::warn!("SIGTERM: YARN ends this container");
        let ended = Verdict::Killed("YARN".to_owned());
        let now = self.clock.now();
        let history = self.driver.history_mut().map(|history| history.end(now, &ended));
        if !self.plan.settings.recovery {
            self.terminate_executors().await;
        }
        if let Some(history) = history
            && tokio::time::timeout(TERMINATING, history).await.is_err()
        {
            tracing::warn!("the event log stays incomplete");
        }
    }

    /// YARN ends all containers of a killed application itself; this only makes it quicker.
    async fn terminate_executors(&mut self) {
        self.tell_all_to_leave("the ApplicationMaster was ended by YARN", Duration::ZERO);
        let gone = async {
            while !self.links.is_empty() {
                match self.gateway_events.recv().await {
                    Some(crate::gateway::GatewayEvent::Closed {
                        connection, executor, ..
                    }) => {
                        self.links.closed(&executor, connection);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(TERMINATING, gone).await.is_err() {
            tracing::warn!("executors were still connected");
        }
    }
}
