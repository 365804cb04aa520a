//! The loop of the executor's main thread: owns the session, the connection and the pool of attempts, and does
//! nothing that takes long. Heartbeats go out from here, whatever the tasks and their input and output do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use wire::failure::{FailureCause, KillReason, TaskFailure};
use wire::id::{BootNonce, Epoch, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, Heartbeat, RunningTask};

use crate::board::Board;
use crate::discovery::{Discovery, Found};
use crate::ending::Ending;
use crate::gateway::{self, dial};
use crate::pace::Pace;
use crate::process_table::{Process, own_pid};
use crate::reports::Stored;
use crate::session::{Effect, Event, Lookup, Session, TaskEnd};
use crate::task::attempt::Order;
use crate::task::pool::{Launched, Pool};

/// How long the last frames may take to be sent.
const FLUSH_LIMIT: Duration = Duration::from_millis(60);

type Line = gateway::Line<ExecutorMessage, GatewayMessage, NoConnection>;
type LineEvent = gateway::LineEvent<ExecutorMessage, GatewayMessage, NoConnection>;

/// Why there is no connection.
enum NoConnection {
    /// It could not be made.
    Failed(String),
    /// Nobody is there to be dialed any more.
    Over(String),
}

/// Counters that a heartbeat has room for, of all attempts together; each takes at most two names.
const COUNTERS_IN_A_HEARTBEAT: usize = 2000;

/// Events of attempts that are taken at a time.
const BATCH: usize = 256;

/// The loop's state.
pub(crate) struct Link<D> {
    session: Session,
    boot: BootNonce,
    config: Arc<ClientConfig>,
    discovery: D,
    line: Line,
    pool: Pool,
    board: Arc<Board>,
    inbox: mpsc::Receiver<Event>,
    /// Events that have come and are not taken yet.
    batch: Vec<Event>,
    pace: Pace,
    effects: Vec<Effect>,
    ending: Option<Ending>,
}

impl<D: Discovery> Link<D> {
    /// A loop that has not begun. `inbox` brings what attempts and signals say.
    pub(crate) fn new(
        session: Session,
        boot: BootNonce,
        config: Arc<ClientConfig>,
        discovery: D,
        pool: Pool,
        board: Arc<Board>,
        inbox: mpsc::Receiver<Event>,
    ) -> Self {
        Self {
            session,
            boot,
            config,
            discovery,
            line: Line::Down,
            pool,
            board,
            inbox,
            batch: Vec::with_capacity(BATCH),
            pace: Pace::default(),
            effects: Vec::new(),
            ending: None,
        }
    }

    /// Runs until the executor has to end, and says how.
    pub(crate) async fn run(mut self) -> Ending {
        loop {
            if let Some(ending) = self.ending {
                self.hang_up().await;
                self.pool.abandon();
                return ending;
            }
            self.gather().await;
            self.take_all();
        }
    }

    /// Waits until something happens; what attempts say comes in batches, so that a batch is answered in one write.
    async fn gather(&mut self) {
        let waits = self.pace.waits(Instant::now());
        if let Line::Up(connection) = &mut self.line {
            connection.hold(waits);
            connection.push().await;
        }
        let deadlines = [self.session.next_deadline(), self.pace.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let timer = async {
            match deadline {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // The pool holds a sender, so the inbox is never closed. Time first, then our own tasks: a gateway that talks without pause must not keep heartbeats back.
        tokio::select! {
            biased;
            () = timer => self.batch.push(Event::Tick),
            _ = self.inbox.recv_many(&mut self.batch, BATCH) => {}
            event = self.line.next() => {
                let event = self.line_event(event);
                self.batch.push(event);
            }
        }
    }

    fn take_all(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.pace
            .sift(Instant::now(), self.session.has_plenty(), &mut batch);
        for event in batch.drain(..) {
            self.take(event);
        }
        self.batch = batch;
        self.board.set_session(self.session.standing());
    }

    fn line_event(&mut self, event: LineEvent) -> Event {
        match event {
            LineEvent::Dialed(Ok(connection)) => {
                self.line = Line::Up(connection);
                Event::Connected
            }
            LineEvent::Frame(Ok(envelope)) => Event::Received(*envelope),
            LineEvent::Dialed(Err(NoConnection::Failed(reason))) | LineEvent::Frame(Err(reason)) => {
                self.line = Line::Down;
                Event::ConnectionLost(reason)
            }
            LineEvent::Dialed(Err(NoConnection::Over(reason))) => {
                self.line = Line::Down;
                Event::ApplicationOver(reason)
            }
        }
    }

    fn take(&mut self, event: Event) {
        if let Event::TaskEnded { id, next, .. } = event {
            self.pool.forget(id);
            if let Some(next) = next.filter(|next| self.pool.calls(*next)) {
                self.pace.begin(Instant::now(), next, own_pid().unsigned_abs());
            }
        }
        self.session.handle(Instant::now(), event, &mut self.effects);
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.apply(effect);
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Dial(lookup) => self.dial(lookup),
            Effect::Send(envelope) => self.send(envelope),
            Effect::SendHeartbeat {
                epoch,
                sequence,
                running,
                waiting,
            } => self.send_heartbeat(epoch, sequence, running, waiting),
            Effect::ReadReport { sequence, stored } => self.read_report(sequence, stored),
            Effect::Disconnect => self.line = Line::Down,
            Effect::Launch {
                epoch,
                stage,
                task,
                share,
                ahead,
            } => self.launch(Order {
                epoch,
                stage,
                task,
                share,
                unhurried: self.session.has_plenty(),
                ahead,
            }),
            Effect::Retract(id) => self.retract(id),
            Effect::Lend(id) => {
                if let Some(id) = self.pool.lend(id) {
                    self.tell(Event::Begun { id });
                }
            }
            Effect::Cancel { id, reason, grace } => self.cancel(id, reason, grace),
            Effect::DecideCommit { id, granted } => self.pool.decide(id, granted),
            Effect::Leave(ending) => self.ending = Some(ending),
        }
    }

    fn dial(&mut self, lookup: Lookup) {
        let (search, config) = (self.discovery.locate(lookup), Arc::clone(&self.config));
        self.line = Line::Dialing(Box::pin(async move {
            match search.await {
                Found::At { address, limit } => {
                    let dialed = dial(address, limit, config).await;
                    dialed.map_err(NoConnection::Failed)
                }
                Found::Over(reason) => Err(NoConnection::Over(reason)),
            }
        }));
    }

    fn launch(&mut self, order: Order) {
        let (id, unhurried, ahead) = (order.task.id, order.unhurried, order.ahead);
        let launched = match self.pool.launch(order) {
            Ok(launched) => launched,
            Err(cause) => return self.end_unbegun(id, cause),
        };
        if ahead && launched != Launched::Waits {
            self.tell(Event::Begun { id });
        }
        match launched {
            Launched::Waits | Launched::Begins => {}
            Launched::Runs(pid) if unhurried => self.pace.begin(Instant::now(), id, pid),
            Launched::Runs(pid) => self.tell(Event::TaskStarted { id, pid }),
        }
    }

    fn retract(&mut self, id: TaskAttemptId) {
        if self.pool.retract(id) {
            self.tell(Event::Retracted { id });
        }
    }

    fn cancel(&mut self, id: TaskAttemptId, reason: KillReason, grace: Duration) {
        if self.pool.retract(id) {
            return self.end_unbegun(id, FailureCause::Killed(reason));
        }
        self.pool.cancel(id, reason, grace);
    }

    fn end_unbegun(&mut self, id: TaskAttemptId, cause: FailureCause) {
        let end = TaskEnd::unbegun(TaskFailure::new(cause));
        let next = None;
        self.tell(Event::TaskEnded { id, end, next });
    }

    fn tell(&mut self, event: Event) {
        self.session.handle(Instant::now(), event, &mut self.effects);
    }

    fn read_report(&mut self, sequence: u64, stored: Arc<Stored>) {
        if let Err(cause) = self.pool.read_report(sequence, stored) {
            let report = Err(cause.to_string());
            self.session.handle(
                Instant::now(),
                Event::ReportRead { sequence, report },
                &mut self.effects,
            );
        }
    }

    fn send(&mut self, envelope: Envelope<ExecutorMessage>) {
        let Line::Up(connection) = &mut self.line else {
            return;
        };
        self.pace.say(Instant::now(), &envelope.message);
        if let Err(reason) = connection.send(envelope) {
            self.line = Line::Down;
            self.session
                .handle(Instant::now(), Event::ConnectionLost(reason), &mut self.effects);
        }
    }

    fn send_heartbeat(
        &mut self,
        epoch: Epoch,
        sequence: u64,
        running: Vec<TaskAttemptId>,
        waiting: Vec<TaskAttemptId>,
    ) {
        let mut room = COUNTERS_IN_A_HEARTBEAT;
        let mut task = |id, waiting: bool| {
            let vital = (!waiting).then(|| self.board.vital(id));
            let (resident, said) = vital.unwrap_or_default();
            let counters = said.counters();
            let fits = counters.len() <= room;
            room -= if fits { counters.len() } else { 0 };
            RunningTask {
                id,
                resident,
                progress: said.gauge().progress(),
                waiting,
                status: said.gauge().status(),
                counters: if fits { counters } else { Vec::new() },
            }
        };
        let begun = running.into_iter().map(|id| (id, false));
        let all = begun.chain(waiting.into_iter().map(|id| (id, true)));
        let running = all.map(|(id, waiting)| task(id, waiting)).collect();
        let this = Process::this();
        let heartbeat = Heartbeat {
            sequence,
            running,
            resident: this.as_ref().map_or(0, Process::resident),
            cpu: this.as_ref().map_or(Duration::ZERO, Process::cpu),
            peak: self.board.peak(),
        };
        self.send(Envelope {
            epoch,
            boot: self.boot,
            message: ExecutorMessage::Heartbeat(heartbeat),
        });
    }

    async fn hang_up(&mut self) {
        if let Line::Up(connection) = &mut self.line
            && !matches!(timeout(FLUSH_LIMIT, connection.finish()).await, Ok(Ok(())))
        {
            tracing::debug!("the last frames may not have arrived");
        }
    }
}
