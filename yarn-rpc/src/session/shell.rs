//! The session as a task: owns the machine and the connection to the ResourceManager.

use super::{
    Identity, Pacing, SessionAnswer, SessionCall, SessionCommand, SessionEffect, SessionEvent, SessionInput,
    SessionMachine,
};
use crate::am_nm::NmTokenStore;
use crate::am_rm::ApplicationMasterClient;
use crate::client::RpcConfig;
use hadoop::credentials::Token;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Commands and events that may wait in their channels.
const CHANNEL: usize = 256;
/// Events that may wait for a slow reader before no more answers are looked at.
const BACKLOG: usize = 4096;

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `host:port` of the scheduler service of every ResourceManager, tried in turn.
    pub resource_managers: Vec<String>,
    /// The AMRM token (see [`hadoop::credentials`]).
    pub token: Token,
    /// Host shown in reports, where this process can be reached.
    pub host: String,
    /// Port shown in reports; `None` for none.
    pub rpc_port: Option<u16>,
    /// Where the ResourceManager's proxy finds our pages; `None` for none.
    pub tracking_url: Option<String>,
    /// When to speak.
    pub pacing: Pacing,
    /// Deadlines and protections of the connection.
    pub rpc: RpcConfig,
    /// Where tokens for NodeManagers are put; give the same store to [`crate::am_nm::NodeManagers`].
    pub nm_tokens: NmTokenStore,
}

/// The session has ended, so that commands reach nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session with the ResourceManager has ended")]
pub struct SessionClosed;

/// Sends commands to a session. Cheap to clone. The session ends, without unregistering, when all are dropped.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    commands: mpsc::Sender<SessionCommand>,
    start: Instant,
}

impl SessionHandle {
    /// When `at` on the session's clock was or will be.
    #[must_use]
    pub fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// Queues a command; waits while the queue is full.
    pub async fn send(&self, command: SessionCommand) -> Result<(), SessionClosed> {
        self.commands.send(command).await.map_err(|_| SessionClosed)
    }
}

/// The running session.
#[derive(Debug)]
pub struct AmSession;

impl AmSession {
    /// Starts the task: connects, registers and heartbeats until it is told to unregister or superseded.
    ///
    /// The channel of events is bounded. While it is full, commands are still taken and heartbeats are made; only a
    /// reader that is thousands of events behind holds the session up. The channel ends after
    /// [`SessionEvent::Unregistered`] or [`SessionEvent::Superseded`]; an end without either is a defect, which is
    /// logged.
    pub fn start(config: SessionConfig) -> (SessionHandle, mpsc::Receiver<SessionEvent>) {
        let (commands, command_queue) = mpsc::channel(CHANNEL);
        let (events, event_queue) = mpsc::channel(CHANNEL);
        let start = Instant::now();
        let session = tokio::spawn(Shell::new(config, start, command_queue, events).run());
        tokio::spawn(async move {
            if let Err(error) = session.await {
                tracing::error!(%error, "the session with the ResourceManager has failed");
            }
        });
        (SessionHandle { commands, start }, event_queue)
    }
}

type CallUnderWay = Pin<Box<dyn Future<Output = SessionAnswer> + Send>>;

struct Shell {
    machine: SessionMachine,
    rm: ApplicationMasterClient,
    nm_tokens: NmTokenStore,
    start: Instant,
    commands: mpsc::Receiver<SessionCommand>,
    events: mpsc::Sender<SessionEvent>,
    backlog: VecDeque<SessionEvent>,
    call: Option<CallUnderWay>,
}

/// What woke the task.
enum Woken {
    Command(Option<SessionCommand>),
    Answer(SessionAnswer),
    Timer,
    /// An event went out, or its reader is gone.
    Sent(bool),
}

impl Shell {
    fn new(
        config: SessionConfig,
        start: Instant,
        commands: mpsc::Receiver<SessionCommand>,
        events: mpsc::Sender<SessionEvent>,
    ) -> Self {
        let identity = Identity {
            host: config.host,
            rpc_port: config.rpc_port,
            tracking_url: config.tracking_url,
        };
        Self {
            machine: SessionMachine::new(identity, config.pacing),
            rm: ApplicationMasterClient::new(config.resource_managers, config.token, config.rpc),
            nm_tokens: config.nm_tokens,
            start,
            commands,
            events,
            backlog: VecDeque::new(),
            call: None,
        }
    }

    async fn run(mut self) {
        while !self.machine.is_over() {
            match self.wait().await {
                Woken::Command(Some(command)) => self.command(command),
                Woken::Answer(answer) => {
                    self.call = None;
                    self.handle(SessionInput::Answer(answer));
                }
                Woken::Timer => self.handle(SessionInput::Timer),
                Woken::Sent(true) => {}
                // Nobody is left to steer, or to listen.
                Woken::Command(None) | Woken::Sent(false) => return,
            }
        }
        for event in self.backlog {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Commands come before the timer, so that a heartbeat carries all of them.
    async fn wait(&mut self) -> Woken {
        let deadline = self.machine.next_deadline().map(|due| self.start + due);
        let may_answer = self.call.is_some() && self.backlog.len() < BACKLOG;
        tokio::select! {
            biased;
            command = self.commands.recv() => Woken::Command(command),
            permit = self.events.reserve(), if !self.backlog.is_empty() => {
                let sent = permit.ok().zip(self.backlog.pop_front());
                Woken::Sent(sent.map(|(permit, event)| permit.send(event)).is_some())
            }
            answer = answer_of(&mut self.call), if may_answer => Woken::Answer(answer),
            () = tokio::time::sleep_until(deadline.unwrap_or(self.start)), if deadline.is_some() => Woken::Timer,
        }
    }

    /// Takes everything that waits, too.
    fn command(&mut self, command: SessionCommand) {
        self.handle(SessionInput::Command(command));
        while let Ok(command) = self.commands.try_recv() {
            self.handle(SessionInput::Command(command));
        }
    }

    fn handle(&mut self, input: SessionInput) {
        let mut effects = Vec::new();
        self.machine.handle(self.now(), input, &mut effects);
        for effect in effects {
            match effect {
                SessionEffect::Call(call) => self.call = Some(Box::pin(make(self.rm.clone(), call))),
                SessionEffect::StoreNmToken(token) => self.nm_tokens.put(token),
                SessionEffect::UseToken(token) => self.rm.set_token(token),
                SessionEffect::Emit(event) => self.backlog.push_back(event),
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The answer of the call under way; never, if there is none.
async fn answer_of(call: &mut Option<CallUnderWay>) -> SessionAnswer {
    match call {
        Some(call) => call.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn make(rm: ApplicationMasterClient, call: SessionCall) -> SessionAnswer {
    let answer = match call {
        SessionCall::Register(request) => rm
            .register(&request)
            .await
            .map(|answer| SessionAnswer::Registered(Box::new(answer))),
        SessionCall::Allocate(request) => rm
            .allocate(&request)
            .await
            .map(|answer| SessionAnswer::Allocated(Box::new(answer))),
        SessionCall::Finish(request) => rm.finish(&request).await.map(SessionAnswer::Finished),
    };
    answer.unwrap_or_else(SessionAnswer::Failed)
}
