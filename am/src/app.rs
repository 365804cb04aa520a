//! The ApplicationMaster's loop: one task that owns the driver core, the launcher core, the links to executors and
//! the conversation with the ResourceManager.
//!
//! Everything that happens arrives as one [`Input`]: from the session with the ResourceManager, the gateway, the web
//! server, finished side tasks (file systems, NodeManagers) and signals. The loop hands it to the cores, carries out
//! their effects, and hands the events that follow from them on until there are none. It never waits for an
//! executor, a NodeManager or a file system: those calls are side tasks of the group [`App::work`], each with its
//! own deadlines, that come back as inputs.
//!
//! The life of an application, after which the process ends:
//!
//! ```text
//! Running ─▶ Leaving ─▶ Cleaning ─▶ Unregistering ─▶ over, with a verdict
//!    │  executors told to leave   │  outputs tidied      │ until the ResourceManager has stored the status
//!    └─ superseded, silent ResourceManager, SIGTERM, our own crash: over at once, without unregistering
//! ```
//!
//! Invariants: E, every phase but `Running` has a deadline; F, an attempt that meets a higher epoch ends without
//! unregistering; H, one verdict decides final status, diagnostics and exit code.

mod beside;
mod effects;
mod ending;
mod following;
mod gateway;
mod losses;
mod obeying;
mod orders;
mod remote;
mod seat;

mod session;
pub(crate) mod startup;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dfs::FileSystems;
use driver::event::Verdict;
use driver::plan::AppPlan;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use wire::id::ExecutorId;
use wire::launcher::{LauncherCommand, LauncherReport};
use yarn_rpc::records::Container;
use yarn_rpc::session::{GrantSeq, SessionCommand, SessionEvent, SessionHandle};

use crate::beside::Beside;
use crate::clock::Clock;
use crate::configuration::Entry;
use crate::containers::Starter;
use crate::dossier::shelf::Shelf;
use crate::driving::{Errand, Stop};
use crate::environment::Environment;
use crate::gateway::GatewayEvent;
use crate::gateway::admission::Gate;
use crate::gateway::links::Links;
use crate::history::elsewhere::Log;
use crate::history::{History, Status};
use crate::journal::JournalEvent;
use crate::last_words::LastWords;
use crate::log_levels::LogLevels;
use crate::metrics::Metrics;
use crate::notes::Notes;
use crate::outputs::Outputs;
use crate::roster::Roster;
use crate::supervise::{Panicked, TaskGroup};
use crate::vitals::Vitals;
use crate::web::{self, Scene};
use crate::{job_kill, restart};
use launcher::Event as LauncherEvent;
use launcher::core::Launcher;
use seat::Seat;

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The application has a verdict, and the ResourceManager knows it.
    Verdict(Verdict),
    /// Another attempt has taken over, or the ResourceManager is out of reach: nothing was unregistered.
    Superseded(String),
    /// A bug of ours.
    Crashed(String),
    /// SIGTERM: YARN is ending the container.
    Terminated,
}

/// What side tasks come back with.
#[derive(Debug)]
pub(crate) enum Done {
    /// For the launcher core.
    Launcher(LauncherEvent),
    /// The outputs are tidy.
    Cleaned {
        /// Whether the event log is complete that the client writes.
        client_log: bool,
    },
    /// The end of a lost executor's standard error, as far as it could be read.
    LastWords {
        /// Whose.
        executor: ExecutorId,
        /// The text; may be empty.
        stderr: String,
    },
    /// Whether an order to be replaced was found, and who asked.
    LookedForOrders {
        found: Result<bool, String>,
        reply: oneshot::Sender<web::Answer>,
    },
    /// Whether an order to end a job was found, and who asked.
    LookedForJobKill {
        job: u32,
        found: Result<bool, String>,
        reply: oneshot::Sender<web::Answer>,
    },
    /// The executor in our own container ended, in these words.
    BesideEnded(String),
    /// Nothing to be told.
    Nothing,
    /// A server that should never end did.
    ServerEnded(&'static str),
}

/// Everything that can happen.
enum Input {
    Session(Option<SessionEvent>),
    Gateway(GatewayEvent),
    Web(web::Query),
    Done(Result<Done, Panicked>),
    Errand(Result<Errand, Panicked>),
    /// The driver in the client takes messages again.
    Room,
    Deadline,
    Terminate,
}

/// Something on its way to one of the cores.
enum Step {
    Driver(LauncherReport),
    Launcher(LauncherEvent),
}

/// Where the application is.
#[derive(Debug)]
enum Life {
    Running,
    /// Executors were told to leave.
    Leaving {
        verdict: Verdict,
        until: Duration,
    },
    /// Outputs are tidied.
    Cleaning {
        verdict: Verdict,
        until: Duration,
    },
    /// The ResourceManager was told.
    Unregistering {
        verdict: Verdict,
        until: Duration,
    },
    Over(Exit),
}

/// How the loop begins.
#[derive(Debug)]
enum Start {
    /// With the first task.
    Afresh,
    /// Where the last attempt was, which the driver knows.
    Resumed,
    /// Not at all, for this reason.
    Refused(String),
}

/// What is known of the ResourceManager.
#[derive(Debug)]
struct RmContact {
    /// When it last answered; the start of the process before that.
    last: Duration,
    /// How long it may be silent before we end ourselves.
    silence_max: Duration,
    /// The queue we are in, as it said.
    queue: String,
    /// The progress it was last told.
    progress: f32,
}

/// The running application.
pub(crate) struct App {
    clock: Clock,
    environment: Environment,
    plan: AppPlan,
    driver: Seat,
    /// How it begins, until it has.
    start: Start,
    launcher: Launcher,
    gate: Gate,
    links: Links,
    life: Life,
    rm: RmContact,
    session: SessionHandle,
    session_events: mpsc::Receiver<SessionEvent>,
    /// Commands for the session, sent at the end of each round.
    outbox: Vec<SessionCommand>,
    granted_seq: GrantSeq,
    /// What YARN gave us, as it gave it: needed to start and to stop.
    containers: BTreeMap<ExecutorId, Container>,
    /// All containers so far, for whoever wants their logs later.
    roster: Roster,
    include_port: bool,
    node_label: Option<String>,
    /// The settings, with their origins.
    configuration: Vec<Entry>,
    /// The History Server that shows the event log.
    history_server: Option<String>,
    /// The event log, if the client is to write one.
    client_log: Option<Log>,
    starter: Starter,
    /// The executor of our own container, until it is started; of small jobs only.
    beside: Option<Beside>,
    systems: Arc<FileSystems>,
    outputs: Outputs,
    gateway_events: mpsc::Receiver<GatewayEvent>,
    queries: mpsc::Receiver<web::Query>,
    terminate: Signal,
    log_levels: LogLevels,
    work: TaskGroup<Done>,
    /// How many attempts the application and the cluster allow.
    max_attempts: u32,
    /// Orders of one kind or the other are being looked for.
    looking: bool,
    notes: Notes,
    shelf: Shelf,
    last_words: LastWords,
    vitals: Vitals,
    metrics: Metrics,
}

impl App {
    /// Runs to the end. `early` is what the ResourceManager has said already.
    pub(crate) async fn run(mut self, early: Vec<SessionEvent>) -> Exit {
        self.begin();
        early.into_iter().for_each(|event| self.on_session(event));
        loop {
            self.flush().await;
            if let Life::Over(exit) = &self.life {
                let exit = exit.clone();
                return self.end(exit).await;
            }
            let input = self.next_input().await;
            self.take(input);
            self.advance();
        }
    }

    async fn next_input(&mut self) -> Input {
        let deadline = self.next_deadline().map(|at| self.clock.instant(at));
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Input::Terminate,
            event = self.session_events.recv() => Input::Session(event),
            Some(event) = self.gateway_events.recv(), if self.driver.has_room() => Input::Gateway(event),
            Some(query) = self.queries.recv() => Input::Web(query),
            Some(done) = self.work.next() => Input::Done(done),
            driver = next_of(&mut self.driver) => driver,
            () = timer => Input::Deadline,
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let phase = match &self.life {
            Life::Leaving { until, .. }
            | Life::Cleaning { until, .. }
            | Life::Unregistering { until, .. } => *until,
            Life::Running | Life::Over(_) => self.rm.last + self.rm.silence_max,
        };
        let cores = [self.driver.next_deadline(), self.launcher.next_deadline()];
        cores.into_iter().flatten().chain([phase]).min()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Session(Some(event)) => self.on_session(event),
            Input::Session(None) => self.on_session_ended(),
            Input::Gateway(event) => self.on_gateway(event),
            Input::Web(query) => self.on_query(query),
            Input::Done(Ok(done)) => self.on_done(done),
            Input::Done(Err(panicked)) => self.over(Exit::Crashed(panicked.to_string())),
            Input::Errand(errand) => self.on_errand(errand),
            Input::Room => {}
            Input::Deadline => self.on_deadline(),
            Input::Terminate => self.over(Exit::Terminated),
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Launcher(event) => self.on_start_answered(event),
            Done::Cleaned { client_log } => self.on_cleaned(client_log),
            Done::LastWords { executor, stderr } => self.on_last_words(&executor, &stderr),
            Done::LookedForOrders { found, reply } => self.on_orders(found, reply),
            Done::LookedForJobKill { job, found, reply } => self.on_job_kill(job, found, reply),
            Done::BesideEnded(how) => self.on_beside_ended(&how),
            Done::Nothing => {}
            Done::ServerEnded(name) => self.over(Exit::Crashed(format!("{name} ended"))),
        }
    }

    fn on_deadline(&mut self) {
        let silent = self.clock.now().saturating_sub(self.rm.last);
        if matches!(self.life, Life::Running) && silent >= self.rm.silence_max {
            let text = format!(
                "the ResourceManager has been silent for {silent:.0?}: another attempt may be running"
            );
            return self.over(Exit::Superseded(text));
        }
        self.process(Step::Launcher(LauncherEvent::DeadlineReached));
        self.with_driver(Seat::deadline_reached);
        self.expect_driver();
    }

    fn on_errand(&mut self, errand: Result<Errand, Panicked>) {
        if let Ok(Errand::Journal(JournalEvent::Kept(kept))) = &errand {
            self.metrics.journal_flushed(kept.bytes, kept.took);
        }
        let mut finished = Ok(());
        self.with_driver(|driver, now, commands| finished = driver.finish(now, errand, commands));
        match finished {
            Ok(()) => {}
            Err(Stop::Failed(why)) => self.over(Exit::Crashed(why)),
            Err(Stop::Fenced(why)) => self.over(Exit::Superseded(why)),
        }
    }

    /// Lets the driver do something, and carries out what follows from it.
    fn with_driver(&mut self, act: impl FnOnce(&mut Seat, Duration, &mut Vec<LauncherCommand>)) {
        let mut commands = Vec::new();
        act(&mut self.driver, self.clock.now(), &mut commands);
        let mut steps = VecDeque::new();
        commands
            .into_iter()
            .for_each(|command| self.obey(command, &mut steps));
        self.process_all(steps);
    }

    /// Hands an event to its core, and on what follows from it.
    fn process(&mut self, first: Step) {
        self.process_all(VecDeque::from([first]));
    }

    fn process_all(&mut self, mut steps: VecDeque<Step>) {
        while let Some(step) = steps.pop_front() {
            let now = self.clock.now();
            match step {
                Step::Driver(report) => {
                    let mut commands = Vec::new();
                    self.driver.report(now, report, &mut commands);
                    commands
                        .into_iter()
                        .for_each(|command| self.obey(command, &mut steps));
                }
                Step::Launcher(event) => {
                    let mut effects = Vec::new();
                    self.launcher.handle(now, event, &mut effects);
                    effects
                        .into_iter()
                        .for_each(|effect| self.launch(effect, &mut steps));
                }
            }
        }
    }

    fn on_query(&mut self, query: web::Query) {
        if query.request.order.is_some() {
            return self.on_order(query);
        }
        if query.request.path.trim_start_matches('/') == restart::PATH {
            return self.look_for_orders(query.reply);
        }
        if query.request.path.trim_start_matches('/') == job_kill::PATH {
            let job = query.request.parameter("job").and_then(|job| job.parse().ok());
            return self.look_for_job_kill(job, query.reply);
        }
        let answer = match query.request.path.as_str() {
            web::LOG_LEVEL => web::log_level(&mut self.log_levels, &query.request),
            _ => web::answer(&self.scene(), &query.request),
        };
        if query.reply.send(answer).is_err() {
            tracing::debug!("a web client left before its answer");
        }
    }

    fn scene(&self) -> Scene<'_> {
        let (verdict, counts) = (self.verdict(), self.links.len());
        Scene {
            clock: &self.clock,
            now: self.clock.now(),
            environment: &self.environment,
            plan: &self.plan,
            queue: &self.rm.queue,
            verdict,
            driver: self.driver.view(),
            launcher: &self.launcher,
            notes: &self.notes,
            shelf: &self.shelf,
            vitals: &self.vitals,
            metrics: &self.metrics,
            configuration: &self.configuration,
            history: self.history_status(),
            links: counts,
            rm_silent: self.clock.now().saturating_sub(self.rm.last),
        }
    }

    fn history_status(&self) -> Option<Status> {
        let elsewhere = || self.client_log.as_ref().map(|_| Status::Elsewhere);
        self.driver.history().map(History::status).or_else(elsewhere)
    }

    fn verdict(&self) -> Option<&Verdict> {
        match &self.life {
            Life::Leaving { verdict, .. }
            | Life::Cleaning { verdict, .. }
            | Life::Unregistering { verdict, .. } => Some(verdict),
            Life::Running | Life::Over(_) => None,
        }
    }

    /// Sends what the round has gathered. The session takes commands even while its events wait for us.
    async fn flush(&mut self) {
        for command in std::mem::take(&mut self.outbox) {
            if self.session.send(command).await.is_err() {
                // Its last event, which is on its way, says why it ended.
                return;
            }
        }
    }
}

/// The next that comes of the driver itself.
async fn next_of(driver: &mut Seat) -> Input {
    if driver.has_room() {
        Input::Errand(driver.next_errand().await)
    } else {
        driver.room().await;
        Input::Room
    }
}
