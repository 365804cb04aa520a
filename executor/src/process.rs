//! The executor proper: its threads, and its end.
//!
//! | thread | what it does |
//! |---|---|
//! | main | the [`crate::link`] loop: connection, session, heartbeats |
//! | `children` | waits for child processes |
//! | `signals` | passes SIGTERM on, prints the dump that SIGQUIT asks for |
//! | `lifeline` | reads the guard's pipe; at its end kills everything |
//! | `tasks` | a runtime for the input and output of tasks, made for the first one |
//!
//! However it ends, no process that it started is alive afterwards; what it cannot see to itself, its guard does.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use wire::id::BootNonce;
use wire::message::Hello;
use wire::version::PROTOCOL;

use crate::board::Board;
use crate::children::Children;
use crate::discovery::Finder;
use crate::ending::Ending;
use crate::functions::Functions;
use crate::guard::restore_for_tasks;
use crate::link::Link;
use crate::oom::Kills;
use crate::process_table::own_pid;
use crate::reports::Reports;
use crate::session::{Event, Session};
use crate::settings::Settings;
use crate::storage::Storage;
use crate::task::attempt::Context;
use crate::task::directory::Directories;
use crate::task::pool::Pool;
use crate::tell;

/// Events that may wait for the main loop; attempts wait when there are more.
const INBOX: usize = 1024;

/// After SIGTERM the guard is killed within 250 ms; whatever is stuck, everything must be over before.
const TERMINATION_LIMIT: Duration = Duration::from_millis(220);

/// How long descendants may take to die of SIGKILL at the end.
const EXTINCTION_LIMIT: Duration = Duration::from_secs(5);

/// Runs the executor until it has to end.
///
/// # Errors
/// When it cannot begin: wrong environment, unusable keys, no threads.
pub(crate) fn run(functions: Functions) -> anyhow::Result<Ending> {
    become_reaper()?;
    begin_logging();
    let settings = Arc::new(read_settings()?);
    let config = wire::security::client_config(&settings.identity()?)?;
    let children = Arc::new(Children::default());
    let board = Arc::new(Board::default());
    let (events, inbox) = mpsc::channel(INBOX);
    watch_signals(Arc::clone(&children), Arc::clone(&board), events.clone())?;
    watch_lifeline(Arc::clone(&children))?;
    watch_children(Arc::clone(&children))?;

    let boot = BootNonce(getrandom::u64().context("the system gives no random numbers")?);
    let session = Session::new(
        hello(&settings)?,
        settings.shares(),
        boot,
        settings.epoch,
        Instant::now(),
    );
    let discovery = Finder::new(Arc::clone(&settings), boot.0);
    let context = Context {
        storage: Arc::new(Storage::new(Arc::clone(&settings))),
        reports: Reports::new(&settings.directory),
        directories: Directories::new(&settings.directory, settings.slots),
        settings,
        children: Arc::clone(&children),
        kills: Kills::default(),
        board: Arc::clone(&board),
        functions,
    };
    let pool = Pool::new(Arc::new(context), events);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .context("cannot set up the connection's thread")?;
    let ending = runtime.block_on(Link::new(session, boot, config, discovery, pool, board, inbox).run());
    runtime.shutdown_background();
    children.extinguish(EXTINCTION_LIMIT);
    Ok(ending)
}

/// A session of its own, so that signals for YARN's process group reach the guard only; and the parent of whatever
/// its descendants leave behind.
fn become_reaper() -> anyhow::Result<()> {
    rustix::process::setsid().context("cannot begin a session")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("cannot become a subreaper")
}

/// To standard error, which the launcher sends into the container's log directory. What the HDFS client complains
/// about reaches us as errors, so its own lines are left out.
fn begin_logging() {
    let wanted = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("hdfs_native", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // On a full disk it would say so where it cannot be said either, and panic.
        .log_internal_errors(false);
    // A program that has set up its own logging keeps it.
    drop(tracing_subscriber::registry().with(lines).with(wanted).try_init());
}

fn read_settings() -> anyhow::Result<Settings> {
    let mut environment: BTreeMap<_, _> = std::env::vars_os().collect();
    restore_for_tasks(&mut environment);
    let directory = std::env::current_dir().context("the working directory is gone")?;
    Ok(Settings::read(environment, &directory)?)
}

fn hello(settings: &Settings) -> anyhow::Result<Hello> {
    let build = settings.build.clone().map_or_else(own_build, Ok)?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Hello {
        protocol: PROTOCOL,
        build,
        application: settings.application.clone(),
        executor: settings.executor.clone(),
        host: settings.host.clone(),
        pid: own_pid().unsigned_abs(),
        slots: settings.slots,
        memory: settings.memory,
        started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        running: Vec::new(),
    })
}

/// The SHA-256 of the running executable, in hexadecimal.
fn own_build() -> anyhow::Result<String> {
    let mut file = std::fs::File::open("/proc/self/exe").context("cannot read the own executable")?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match file.read(&mut chunk).context("cannot read the own executable")? {
            0 => break,
            read => digest.update(&chunk[..read]),
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(256 << 10);
    // Such a thread ends with the process.
    builder
        .spawn(work)
        .map(drop)
        .with_context(|| format!("cannot start the thread {name}"))
}

fn watch_signals(
    children: Arc<Children>,
    board: Arc<Board>,
    events: mpsc::Sender<Event>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT]).context("cannot handle signals")?;
    spawn_thread("signals", move || {
        for signal in signals.forever() {
            match signal {
                SIGQUIT => tell(board.dump().trim_end()),
                _ => terminate(signal, &children, &events),
            }
        }
    })
}

/// Lets the session say goodbye, and ends the process in time even when the session is stuck.
fn terminate(signal: i32, children: &Arc<Children>, events: &mpsc::Sender<Event>) {
    drop(events.try_send(Event::Stopped { signal }));
    let children = Arc::clone(children);
    let backstop = spawn_thread("backstop", move || {
        thread::sleep(TERMINATION_LIMIT);
        children.extinguish(EXTINCTION_LIMIT);
        Ending::Signal(signal).apply();
    });
    if backstop.is_err() {
        Ending::Signal(signal).apply();
    }
}

fn watch_children(children: Arc<Children>) -> anyhow::Result<()> {
    spawn_thread("children", move || children.watch())
}

/// The guard holds the other end of our standard input. Nothing is ever written there.
fn watch_lifeline(children: Arc<Children>) -> anyhow::Result<()> {
    spawn_thread("lifeline", move || {
        let mut nothing = Vec::new();
        let end = std::io::stdin().lock().read_to_end(&mut nothing);
        crate::tell(format_args!(
            "the guard process is gone ({end:?}): ending all tasks"
        ));
        children.extinguish(EXTINCTION_LIMIT);
        Ending::Signal(signal_hook::consts::SIGKILL).apply();
    })
}
