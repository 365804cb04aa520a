//! Executors that are tasks of this process: they dial the gateway with TLS, register, send heartbeats, finish every
//! task as soon as they are given it, and leave when they are told. Nothing is executed.
//!
//! Owns nothing but its connection; what the benchmark wants to know is counted in the [`Crowd`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use hadoop::credentials::Credentials;
use mini::node_manager::LightLaunch;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::environment as variable;
use wire::frame::{self, Decoder};
use wire::id::{BootNonce, Epoch, ExecutorId, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, Heartbeat, Hello, RunningTask, TaskReport};
use wire::security::{self, Identity, secret};
use wire::task::{Body, TaskMetrics};
use wire::version::PROTOCOL;

/// The command of a task that lasts until [`Crowd::open`].
pub(crate) const HOLD: &str = "hold";
/// Exit codes, as executors have them.
const TOLD_TO_LEAVE: i32 = 0;
const NO_GATEWAY: i32 = 69;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all phantoms of an application share.
pub(crate) struct Crowd {
    pub(crate) begun: AtomicUsize,
    pub(crate) registered: AtomicUsize,
    pub(crate) finished: AtomicUsize,
    open: watch::Sender<bool>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Crowd {
    pub(crate) fn new() -> Self {
        Self {
            begun: AtomicUsize::new(0),
            registered: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            open: watch::channel(false).0,
            config: OnceCell::new(),
        }
    }

    /// Tasks that hold end now.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// The keys are the application's: they are read once.
    async fn config(&self, launch: &LightLaunch) -> Result<Arc<ClientConfig>, Failure> {
        let read = async || {
            let credentials = Credentials::from_bytes(&launch.credentials)?;
            let part = |name: &str| credentials.secrets.get(name).cloned().ok_or("a key is missing");
            let identity = Identity {
                authority: part(secret::AUTHORITY)?,
                certificate: part(secret::EXECUTOR_CERTIFICATE)?,
                key: part(secret::EXECUTOR_KEY)?,
            };
            Ok::<_, Failure>(security::client_config(&identity)?)
        };
        self.config.get_or_try_init(read).await.cloned()
    }
}

/// The life of a container; its exit code.
pub(crate) async fn live(crowd: Arc<Crowd>, launch: LightLaunch) -> i32 {
    crowd.begun.fetch_add(1, Ordering::Relaxed);
    match Phantom::dial(&crowd, &launch).await {
        Ok(phantom) => match phantom.run().await {
            Ok(()) => TOLD_TO_LEAVE,
            Err(error) => report(&error),
        },
        Err(error) => report(&error),
    }
}

fn report(error: &Failure) -> i32 {
    eprintln!("a phantom ends: {error}");
    NO_GATEWAY
}

struct Phantom<'a> {
    crowd: &'a Crowd,
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    out: BytesMut,
    epoch: Epoch,
    boot: BootNonce,
    heartbeat: Duration,
    beats: u64,
    reports: u64,
    /// Stages whose tasks hold.
    held_stages: Vec<wire::id::StageKey>,
    held: Vec<TaskAttemptId>,
}

impl<'a> Phantom<'a> {
    async fn dial(crowd: &'a Crowd, launch: &LightLaunch) -> Result<Self, Failure> {
        let variable = |name: &str| {
            launch
                .environment
                .get(name)
                .cloned()
                .ok_or_else(|| format!("{name} is not set"))
        };
        let tcp = TcpStream::connect(variable(variable::GATEWAY)?).await?;
        tcp.set_nodelay(true)?;
        let connector = TlsConnector::from(crowd.config(launch).await?);
        let mut phantom = Self {
            crowd,
            stream: connector.connect(security::server_name(), tcp).await?,
            decoder: Decoder::default(),
            out: BytesMut::new(),
            epoch: Epoch(variable(variable::EPOCH)?.parse()?),
            boot: BootNonce(launch.container.sequence()),
            heartbeat: Duration::from_secs(3),
            beats: 0,
            reports: 0,
            held_stages: Vec::new(),
            held: Vec::new(),
        };
        let started = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let hello = Hello {
            protocol: PROTOCOL,
            build: variable(variable::BUILD)?,
            application: variable(variable::APP_ID)?,
            executor: launch.container.to_string().parse::<ExecutorId>()?,
            host: launch.node.id.host.clone(),
            pid: 1,
            slots: variable(variable::SLOTS)?.parse()?,
            memory: launch.resource.memory_mb << 20,
            started_unix_ms: u64::try_from(started.as_millis())?,
            running: Vec::new(),
        };
        phantom.say(ExecutorMessage::Hello(hello))?;
        phantom.flush().await?;
        Ok(phantom)
    }

    fn say(&mut self, message: ExecutorMessage) -> Result<(), Failure> {
        let envelope = Envelope {
            epoch: self.epoch,
            boot: self.boot,
            message,
        };
        Ok(frame::encode(envelope, &mut self.out)?)
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out.split()).await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Until it is told to leave.
    async fn run(mut self) -> Result<(), Failure> {
        let mut opened = self.crowd.open.subscribe();
        let mut beat = Instant::now() + self.heartbeat;
        loop {
            let buffer = self.decoder.buffer();
            buffer.reserve(1024);
            tokio::select! {
                read = self.stream.read_buf(buffer) => {
                    if read? == 0 {
                        return Err("the gateway closed the connection".into());
                    }
                    while let Some(envelope) = self.decoder.next_frame::<GatewayMessage>()? {
                        if self.obey(envelope.message)? {
                            return Ok(());
                        }
                    }
                }
                () = sleep_until(beat) => {
                    beat += self.heartbeat;
                    self.beats += 1;
                    self.say(ExecutorMessage::Heartbeat(self.sign_of_life()))?;
                }
                Ok(()) = opened.changed() => {
                    for id in std::mem::take(&mut self.held) {
                        self.finish(id)?;
                    }
                }
            }
            self.flush().await?;
        }
    }

    /// What is not said to run is given up after a while.
    fn sign_of_life(&self) -> Heartbeat {
        let running = |id: &TaskAttemptId| RunningTask {
            id: *id,
            resident: 1 << 20,
            progress: 0.0,
            waiting: false,
            status: String::new(),
            counters: Vec::new(),
        };
        Heartbeat {
            sequence: self.beats,
            running: self.held.iter().map(running).collect(),
            ..Heartbeat::default()
        }
    }

    /// Whether it has to leave.
    fn obey(&mut self, message: GatewayMessage) -> Result<bool, Failure> {
        match message {
            GatewayMessage::Welcome(welcome) => {
                self.heartbeat = welcome.heartbeat;
                self.crowd.registered.fetch_add(1, Ordering::Relaxed);
            }
            GatewayMessage::Refused { message, .. } => return Err(message.into()),
            GatewayMessage::Launch { stages, tasks } => {
                let holds =
                    |body: &Body| matches!(body, Body::Argv(argv) if argv.iter().any(|part| part == HOLD));
                let held = stages
                    .iter()
                    .filter(|stage| holds(&stage.body))
                    .map(|stage| stage.key);
                self.held_stages.extend(held);
                for task in tasks {
                    self.begin(task.id)?;
                }
            }
            GatewayMessage::Cancel { id, .. } => self.finish(id)?,
            GatewayMessage::CommitDecision { .. } | GatewayMessage::Acknowledge { .. } => {}
            // Whatever was given has ended already.
            GatewayMessage::Recall { .. } => self.say(ExecutorMessage::Returned { ids: Vec::new() })?,
            GatewayMessage::Shutdown { .. } => return Ok(true),
        }
        Ok(false)
    }

    fn begin(&mut self, id: TaskAttemptId) -> Result<(), Failure> {
        if self.held_stages.contains(&id.stage) && !*self.crowd.open.borrow() {
            self.held.push(id);
            return self.say(ExecutorMessage::TaskStarted { id, pid: 1 });
        }
        self.finish(id)
    }

    fn finish(&mut self, id: TaskAttemptId) -> Result<(), Failure> {
        self.reports += 1;
        self.crowd.finished.fetch_add(1, Ordering::Relaxed);
        let report = TaskReport {
            sequence: self.reports,
            id,
            metrics: TaskMetrics::default(),
            outcome: Ok(()),
            result: None,
            counters: Vec::new(),
        };
        self.say(ExecutorMessage::TaskFinished(Box::new(report)))
    }
}
