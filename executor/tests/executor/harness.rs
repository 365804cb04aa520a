//! A real executor process in a container's directory, and a gateway in this process that it dials.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hadoop::credentials::{Credentials, Format};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wire::endpoint::{self, Endpoint};
use wire::failure::TaskFailure;
use wire::frame::{self, Decoder};
use wire::id::{BootNonce, Epoch, StageKey, TaskAttemptId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, Hello, TaskReport, Welcome};
use wire::security::{ApplicationKeys, secret, server_config};
use wire::task::{Body, Capture, Feed, InputSlice, StageSpec, TaskSpec};

/// How long anything may take before a test fails: far more than it should.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const STAGE: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

pub(crate) fn id(partition: u32) -> TaskAttemptId {
    TaskAttemptId {
        stage: STAGE,
        partition,
        attempt: 0,
    }
}

pub(crate) fn shell(script: &str) -> StageSpec {
    StageSpec {
        key: STAGE,
        name: "count".to_owned(),
        tasks: 10,
        body: Body::Shell(script.to_owned()),
        environment: Vec::new(),
        feed: Feed::Stdin,
        capture: Capture::Log,
        output: None,
        files: Vec::new(),
        timeout: None,
        memory_limit: None,
        cores: 1,
        resources: wire::amounts::Amounts::default(),
        results: None,
    }
}

pub(crate) fn task(partition: u32, inputs: Vec<InputSlice>) -> TaskSpec {
    TaskSpec {
        id: id(partition),
        item: None,
        inputs,
    }
}

/// The whole of a local file as an input.
pub(crate) fn whole(path: &Path) -> InputSlice {
    let length = fs::metadata(path).unwrap().len();
    InputSlice {
        uri: format!("file://{}", path.display()),
        offset: 0,
        length,
        cut_at_lines: false,
    }
}

pub(crate) async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Looks again and again until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process by number and start, so that a number used again is not mistaken.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The executor's container and the gateway it knows.
pub(crate) struct Container {
    directory: tempfile::TempDir,
    keys: ApplicationKeys,
    listener: TcpListener,
    guard: Option<Child>,
}

impl Container {
    /// A directory with credentials; nothing runs yet.
    pub(crate) async fn prepare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = ApplicationKeys::issue().unwrap();
        let mut credentials = Credentials::default();
        let executor = &keys.executor;
        let secrets = [
            (secret::AUTHORITY, &executor.authority),
            (secret::EXECUTOR_CERTIFICATE, &executor.certificate),
            (secret::EXECUTOR_KEY, &executor.key),
        ];
        for (name, bytes) in secrets {
            credentials.secrets.insert(name.to_owned(), bytes.clone());
        }
        fs::write(
            directory.path().join("container_tokens"),
            credentials.to_bytes(Format::Writable),
        )
        .unwrap();
        fs::create_dir(directory.path().join("logs")).unwrap();
        fs::create_dir(directory.path().join("staging")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            directory,
            keys,
            listener,
            guard: None,
        }
    }

    /// A running executor, welcomed.
    pub(crate) async fn serving() -> (Self, Peer) {
        let mut container = Self::prepare().await;
        container.start(&[]);
        let peer = container.welcome().await;
        (container, peer)
    }

    /// Starts the executor: this test executable again, at the test that plays the role.
    pub(crate) fn start(&mut self, wrapper: &[&str]) {
        let program = std::env::current_exe().unwrap();
        let role = ["executor_role", "--exact", "--nocapture", "--test-threads=1"];
        let mut all: Vec<&std::ffi::OsStr> = wrapper.iter().map(std::ffi::OsStr::new).collect();
        all.push(program.as_os_str());
        all.extend(role.iter().map(std::ffi::OsStr::new));
        let mut command = Command::new(all[0]);
        command
            .args(&all[1..])
            .current_dir(self.directory.path())
            .stdin(std::process::Stdio::null())
            .stdout(File::create(self.path("logs/stdout")).unwrap())
            .stderr(File::create(self.path("logs/stderr")).unwrap())
            .process_group(0)
            .env(
                "DRAWLOOM_GATEWAY",
                self.listener.local_addr().unwrap().to_string(),
            )
            .env("DRAWLOOM_APP_ID", "application_1_0001")
            .env("DRAWLOOM_STAGING", self.uri("staging"))
            .env("DRAWLOOM_EPOCH", "1")
            .env("DRAWLOOM_SLOTS", "2")
            .env("DRAWLOOM_MEMORY_MIB", "512")
            .env("DRAWLOOM_BUILD", "test")
            .env("CONTAINER_ID", "container_1_0001_01_000002")
            .env("NM_HOST", "localhost")
            .env("LOG_DIRS", self.path("logs"))
            .env("HADOOP_TOKEN_FILE_LOCATION", self.path("container_tokens"));
        self.guard = Some(command.spawn().unwrap());
    }

    /// The gateway of another attempt, at another address, which it leaves in the staging directory.
    pub(crate) async fn move_gateway(&mut self, epoch: u32) {
        self.listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = self.listener.local_addr().unwrap();
        let endpoint = Endpoint {
            epoch: Epoch(epoch),
            host: address.ip().to_string(),
            port: address.port(),
        };
        let directory = self.path("staging").join(endpoint::DIRECTORY);
        fs::create_dir_all(directory.join(endpoint.to_string())).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The log of an attempt of the stage `count`.
    pub(crate) fn log(&self, partition: u32, stream: &str) -> String {
        format!("logs/{}", executor::log_name(id(partition), "count", stream))
    }

    pub(crate) fn guard_pid(&self) -> i32 {
        i32::try_from(self.guard.as_ref().unwrap().id()).unwrap()
    }

    /// Accepts a connection and reads its hello.
    pub(crate) async fn accept(&self) -> Peer {
        let acceptor = TlsAcceptor::from(server_config(&self.keys.am).unwrap());
        let (stream, _) = patiently("a connection", self.listener.accept()).await.unwrap();
        let stream = patiently("a handshake", acceptor.accept(stream)).await.unwrap();
        let mut peer = Peer::new(stream);
        match peer.next().await {
            ExecutorMessage::Hello(hello) => peer.hello = Some(hello),
            other => panic!("no hello: {other:?}"),
        }
        peer
    }

    /// Accepts a connection and takes the executor in, with fast heartbeats.
    pub(crate) async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        let welcome = Welcome {
            heartbeat: Duration::from_millis(50),
            silence: Duration::from_secs(300),
            am_lost_ttl: Duration::from_secs(300),
        };
        peer.send(GatewayMessage::Welcome(welcome)).await;
        peer
    }

    /// Waits for the end of the guard.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let guard = self.guard.as_mut().unwrap();
        let status = eventually("the end of the guard", || guard.try_wait().unwrap());
        self.guard = None;
        status
    }

    /// Waits for the guard to die, and says of which signal.
    pub(crate) fn wait_for_signal(&mut self) -> Option<i32> {
        self.wait().signal()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("executor's stderr:\n{}", self.read("logs/stderr"));
        }
        if let Some(mut guard) = self.guard.take() {
            let pid = i32::try_from(guard.id()).unwrap();
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM);
            drop(guard.wait());
        }
    }
}

/// The gateway's end of a connection.
pub(crate) struct Peer {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    boot: BootNonce,
    pub(crate) epoch: Epoch,
    pub(crate) hello: Option<Hello>,
}

impl Peer {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            boot: BootNonce(0),
            epoch: Epoch(1),
            hello: None,
        }
    }

    pub(crate) fn hello(&self) -> &Hello {
        self.hello.as_ref().unwrap()
    }

    pub(crate) async fn send(&mut self, message: GatewayMessage) {
        let mut bytes = BytesMut::new();
        frame::encode(
            Envelope {
                epoch: self.epoch,
                boot: self.boot,
                message,
            },
            &mut bytes,
        )
        .unwrap();
        patiently("sending", self.stream.write_all(&bytes)).await.unwrap();
        patiently("sending", self.stream.flush()).await.unwrap();
    }

    /// The next message, none at the end of the connection.
    pub(crate) async fn try_next(&mut self) -> Option<ExecutorMessage> {
        loop {
            if let Some(envelope) = self.decoder.next_frame::<ExecutorMessage>().unwrap() {
                self.boot = envelope.boot;
                return Some(envelope.message);
            }
            let read = patiently("a frame", self.stream.read_buf(self.decoder.buffer())).await;
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    pub(crate) async fn next(&mut self) -> ExecutorMessage {
        self.try_next().await.expect("the connection ended")
    }

    /// Reads on until a message is what is wanted.
    pub(crate) async fn until<T>(&mut self, mut pick: impl FnMut(&ExecutorMessage) -> Option<T>) -> T {
        patiently("a message", async {
            loop {
                if let Some(found) = pick(&self.next().await) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) async fn launch(&mut self, stage: StageSpec, tasks: Vec<TaskSpec>) {
        self.send(GatewayMessage::Launch {
            stages: vec![stage],
            tasks,
        })
        .await;
    }

    /// Launches one task and waits for its process.
    pub(crate) async fn start(&mut self, stage: StageSpec) -> i32 {
        self.launch(stage, vec![task(0, Vec::new())]).await;
        self.started().await
    }

    pub(crate) async fn started(&mut self) -> i32 {
        self.until(|message| match message {
            ExecutorMessage::TaskStarted { pid, .. } => Some(i32::try_from(*pid).unwrap()),
            ExecutorMessage::TaskFinished(report) => panic!("not started: {report:?}"),
            _ => None,
        })
        .await
    }

    pub(crate) async fn finished(&mut self) -> TaskReport {
        self.until(|message| match message {
            ExecutorMessage::TaskFinished(report) => Some(TaskReport::clone(report)),
            _ => None,
        })
        .await
    }

    /// Waits for a request to commit and answers it.
    pub(crate) async fn decide(&mut self, granted: bool) {
        let id = self
            .until(|message| match message {
                ExecutorMessage::CommitRequest { id } => Some(*id),
                ExecutorMessage::TaskFinished(report) => panic!("ended without asking: {report:?}"),
                _ => None,
            })
            .await;
        self.send(GatewayMessage::CommitDecision { id, granted }).await;
    }

    /// Runs one task to its end, granting its commit if it asks, and gives the report.
    pub(crate) async fn run(&mut self, stage: StageSpec, inputs: Vec<InputSlice>) -> TaskReport {
        let commits = stage.capture != Capture::Log;
        self.launch(stage, vec![task(0, inputs)]).await;
        if commits {
            self.decide(true).await;
        }
        self.finished().await
    }

    /// Runs one task that must fail.
    pub(crate) async fn fail(&mut self, stage: StageSpec, inputs: Vec<InputSlice>) -> TaskFailure {
        self.launch(stage, vec![task(0, inputs)]).await;
        self.finished().await.outcome.expect_err("it should have failed")
    }
}
