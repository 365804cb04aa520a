//! Client mode: the driver in this process, and its connection to the ApplicationMaster.
//!
//! [`Remote`] owns the driver's shell ([`am::driving`]), the [`session`] with the gateway and the connection. It dials
//! out and listens on nothing, so a client behind a firewall works. Where the gateway is, the one who watches the
//! application learns from the ResourceManager and tells by [`Handle::found`]; that one also ends the wait, because
//! the ResourceManager's report is the application's end.
//!
//! The driver's clock stands still while nobody listens: no executor is given up for a silence that is ours. Executors
//! count as disconnected in that time, and register anew when the connection is back.

mod session;
mod showing;

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use am::driving::{Driving, Errand};
use am::relay::RelayedView;
use am::summary::Summary;
use am::supervise::Panicked;
use driver::view::Snapshot;
use executor::gateway::{self, dial};
use rustls::ClientConfig;
use tokio::sync::watch;
use wire::id::BootNonce;
use wire::launcher::{DriverHello, DriverMessage, LauncherCommand, LauncherMessage, LauncherReport, Verdict};
use wire::message::Envelope;
use wire::security::{self, Identity};
use wire::version::PROTOCOL;

use crate::error::CommandError;
use session::{Effect, Event, Session};
use showing::Showing;

/// How long a connection and its handshake may take.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// How often the state of the driver is looked at for people.
const LOOK: Duration = Duration::from_millis(500);

type Line = gateway::Line<DriverMessage, LauncherMessage>;
type LineEvent = gateway::LineEvent<DriverMessage, LauncherMessage>;

/// Everything that can happen.
enum Input {
    Line(LineEvent),
    Errand(Box<Result<Errand, Panicked>>),
    Told,
    Deadline,
    Look,
}

/// What the one who watches the application tells the driver.
#[derive(Debug, Clone, Default)]
struct Told {
    /// `HOST:PORT` of the gateway.
    address: Option<String>,
    /// By whom the job is to be ended.
    kill: Option<String>,
}

/// What people are shown of the driver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// How the job is doing.
    pub(crate) summary: Option<Summary>,
    /// Whether the ApplicationMaster listens to the driver.
    pub(crate) linked: bool,
    /// Why nobody listens at the moment, once somebody has.
    pub(crate) link_down: Option<String>,
}

/// The driver as others in this process deal with it.
#[derive(Debug)]
pub(crate) struct Handle {
    told: watch::Sender<Told>,
    shown: watch::Receiver<Shown>,
}

impl Handle {
    /// The gateway is at this address.
    pub(crate) fn found(&self, address: &str) {
        self.told.send_if_modified(|told| {
            let fresh = told.address.as_deref() != Some(address);
            if fresh {
                told.address = Some(address.to_owned());
            }
            fresh
        });
    }

    /// The job is to end.
    pub(crate) fn kill(&self, by: &str) {
        self.told.send_modify(|told| told.kill = Some(by.to_owned()));
    }

    /// How it is doing.
    pub(crate) fn shown(&self) -> Shown {
        self.shown.borrow().clone()
    }
}

/// Who drives what.
pub(crate) struct Identification {
    /// The application.
    pub(crate) application: String,
    /// SHA-256 of the executable.
    pub(crate) build: String,
    /// What the driver proves itself with.
    pub(crate) identity: Identity,
}

/// The driver's clock.
#[derive(Debug)]
struct Clock {
    counted: Duration,
    running_since: Option<Instant>,
}

impl Clock {
    fn now(&self) -> Duration {
        let running = self.running_since.map(|since| since.elapsed());
        self.counted + running.unwrap_or_default()
    }

    fn stop(&mut self) {
        self.counted = self.now();
        self.running_since = None;
    }

    fn go(&mut self) {
        self.counted = self.now();
        self.running_since = Some(Instant::now());
    }

    /// When the clock will show `at`, if it runs.
    fn instant(&self, at: Duration) -> Option<Instant> {
        let since = self.running_since?;
        since.checked_add(at.saturating_sub(self.counted))
    }
}

/// The driver with its connection.
pub(crate) struct Remote {
    driving: Driving,
    clock: Clock,
    session: Session,
    config: Arc<ClientConfig>,
    line: Line,
    started: Instant,
    told: watch::Receiver<Told>,
    shown: watch::Sender<Shown>,
    /// Said again whenever somebody new listens.
    target: Option<LauncherCommand>,
    effects: Vec<Effect>,
    look_at: Instant,
    showing: Showing,
    /// The end of the event log, once that is ordered.
    log_ends: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Remote {
    /// A driver that looks at the outputs at once, and the handle to it.
    ///
    /// # Errors
    /// Keys that cannot be used, or no random numbers.
    pub(crate) fn start(
        mut driving: Driving,
        who: Identification,
    ) -> Result<(Box<Self>, Handle), CommandError> {
        let unusable = |error| CommandError::refused("the driver cannot be started").because(error);
        let boot = getrandom::u64().map_err(|error| unusable(error.to_string()))?;
        let boot = BootNonce(boot);
        let config = security::client_config(&who.identity).map_err(|error| unusable(error.to_string()))?;
        driving.begin(None);
        let (told, hears) = watch::channel(Told::default());
        let (shows, shown) = watch::channel(Shown::default());
        let hello = DriverHello {
            protocol: PROTOCOL,
            build: who.build,
            application: who.application,
        };
        let remote = Self {
            driving,
            clock: Clock {
                counted: Duration::ZERO,
                running_since: None,
            },
            session: Session::new(hello, boot),
            config,
            line: Line::Down,
            started: Instant::now(),
            told: hears,
            shown: shows,
            target: None,
            effects: Vec::new(),
            look_at: Instant::now(),
            showing: Showing::default(),
            log_ends: None,
        };
        Ok((Box::new(remote), Handle { told, shown }))
    }

    /// Drives until the future is dropped, which the application's end is the time for.
    ///
    /// Returns why the driver cannot go on, for people.
    pub(crate) async fn run(&mut self) -> String {
        loop {
            let input = self.next_input().await;
            if let Err(why) = self.take(input) {
                return why;
            }
        }
    }

    /// Waits for the end of the event log; `verdict` is how the application ended if the driver has not said so.
    pub(crate) async fn end(&mut self, verdict: &Verdict) {
        self.end_log(verdict);
        if let Some(ends) = self.log_ends.take() {
            ends.await;
        }
    }

    /// Nothing of the application is told after its verdict.
    fn end_log(&mut self, verdict: &Verdict) {
        let now = self.clock.now();
        if let (None, Some(history)) = (&self.log_ends, self.driving.history_mut()) {
            self.log_ends = Some(Box::pin(history.end(now, verdict)));
        }
    }

    async fn next_input(&mut self) -> Input {
        let session = self.session.next_deadline().map(|at| self.started + at);
        let driver = self.driving.next_deadline().and_then(|at| self.clock.instant(at));
        let deadline = session.into_iter().chain(driver).min();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        let told = async {
            if self.told.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = timer => Input::Deadline,
            () = told => Input::Told,
            errand = self.driving.next_errand() => Input::Errand(Box::new(errand)),
            () = tokio::time::sleep_until(self.look_at.into()) => Input::Look,
            event = self.line.next() => Input::Line(event),
        }
    }

    fn take(&mut self, input: Input) -> Result<(), String> {
        let mut commands = Vec::new();
        let now = self.clock.now();
        match input {
            Input::Line(event) => self.on_line(event),
            Input::Errand(errand) => {
                let finished = self.driving.finish(now, *errand, &mut commands);
                finished.map_err(|stop| stop.to_string())?;
            }
            Input::Told => self.on_told(&mut commands),
            Input::Deadline => {
                self.driving.deadline_reached(now, &mut commands);
                self.step(Event::Tick);
            }
            Input::Look => self.look(),
        }
        self.command_all(commands);
        self.apply_all();
        Ok(())
    }

    fn step(&mut self, event: Event) {
        let now = self.started.elapsed();
        self.session.handle(now, event, &mut self.effects);
    }

    fn on_line(&mut self, event: LineEvent) {
        let event = match event {
            LineEvent::Dialed(Ok(connection)) => {
                self.line = Line::Up(connection);
                Event::Connected
            }
            LineEvent::Frame(Ok(envelope)) => Event::Received(*envelope),
            LineEvent::Dialed(Err(reason)) | LineEvent::Frame(Err(reason)) => {
                self.line = Line::Down;
                tracing::info!(reason, "no connection to the ApplicationMaster");
                Event::ConnectionLost(reason)
            }
        };
        self.step(event);
    }

    fn on_told(&mut self, commands: &mut Vec<LauncherCommand>) {
        let told = self.told.borrow_and_update().clone();
        if let Some(by) = told.kill {
            self.driving.kill(self.clock.now(), by, commands);
        }
        if let Some(address) = told.address {
            self.step(Event::AddressLearned(address));
        }
    }

    fn command_all(&mut self, commands: Vec<LauncherCommand>) {
        for command in commands {
            if matches!(command, LauncherCommand::SetTarget(_)) {
                self.target = Some(command.clone());
            }
            if let LauncherCommand::Finish(verdict) = &command {
                self.end_log(verdict);
                let snapshot = self.driving.core().snapshot();
                self.tell_progress(&snapshot);
                self.show(snapshot);
            }
            self.step(Event::Command(command));
        }
    }

    fn apply_all(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.apply(effect);
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Dial(address) => {
                self.line = Line::Dialing(Box::pin(dial(address, DIAL_LIMIT, Arc::clone(&self.config))));
            }
            Effect::Send(envelope) => self.send(envelope),
            Effect::Disconnect => self.line = Line::Down,
            Effect::Report(report) => {
                let mut commands = Vec::new();
                self.driving.report(self.clock.now(), report, &mut commands);
                self.command_all(commands);
            }
            Effect::LinkUp => {
                self.clock.go();
                self.showing.begin_again();
                let zero = Duration::from_millis(self.started_unix_ms());
                if let Some(history) = self.driving.history_mut() {
                    history.count_from(zero);
                }
                self.shown.send_modify(|shown| {
                    shown.linked = true;
                    shown.link_down = None;
                });
                self.command_all(self.target.clone().into_iter().collect());
            }
            Effect::LinkDown(reason) => self.link_down(reason),
            Effect::Refused(message) => {
                self.shown.send_modify(|shown| {
                    shown.link_down = Some(format!("refused by the ApplicationMaster: {message}"));
                });
            }
        }
    }

    /// Executors have no connection to us any more, so they are given nothing until they register anew.
    fn link_down(&mut self, reason: String) {
        self.clock.stop();
        self.shown.send_modify(|shown| {
            shown.linked = false;
            shown.link_down = Some(reason);
        });
        let executors = self.driving.core().snapshot().executors;
        let mut commands = Vec::new();
        for executor in executors.into_iter().filter(|executor| executor.gone.is_none()) {
            let report = LauncherReport::ExecutorDisconnected {
                executor: executor.id,
            };
            self.driving.report(self.clock.now(), report, &mut commands);
        }
        self.command_all(commands);
    }

    fn send(&mut self, envelope: Envelope<DriverMessage>) {
        let Line::Up(connection) = &mut self.line else {
            return;
        };
        if let Err(reason) = connection.send(envelope) {
            self.line = Line::Down;
            self.step(Event::ConnectionLost(reason));
        }
    }

    fn look(&mut self) {
        self.look_at = Instant::now() + LOOK;
        let snapshot = self.driving.core().snapshot();
        let summary = Summary::of_driver(&snapshot, self.started_unix_ms());
        self.shown.send_modify(|shown| shown.summary = Some(summary));
        if self.session.is_up() {
            self.tell_progress(&snapshot);
            if self.showing.is_due(self.started.elapsed()) {
                self.show(snapshot);
            }
        }
    }

    fn tell_progress(&mut self, snapshot: &Snapshot) {
        if let Some(command) = self.showing.progress(snapshot.progress) {
            self.step(Event::Command(command));
        }
    }

    /// Has the ApplicationMaster's pages show how it stands.
    fn show(&mut self, snapshot: Snapshot) {
        let view = RelayedView {
            started_unix_ms: self.started_unix_ms(),
            snapshot,
        };
        if let Some(command) = self.showing.state(self.started.elapsed(), &view) {
            self.step(Event::Command(command));
        }
    }

    /// The moment from which the driver's clock counts, as if it had never stood still.
    fn started_unix_ms(&self) -> u64 {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let start = now.saturating_sub(self.clock.now());
        u64::try_from(start.as_millis()).unwrap_or(u64::MAX)
    }
}
