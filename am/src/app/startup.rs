//! From a fresh process to a running application.
//!
//! The order makes registration early: the sockets that the ResourceManager is told of are bound first, then the
//! session is started, and everything else is read while it connects. What goes wrong before that ends the process
//! and YARN tries again; what goes wrong after it is the job's own doing and ends the application as failed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use dfs::{DfsError, FileSystems};
use driver::core::Driver;
use driver::event::Verdict;
use driver::plan::AppPlan;
use hadoop::conf::Configuration;
use hadoop::credentials::Credentials;
use prometheus_client::metrics::counter::Counter;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use wire::id::Epoch;
use wire::launcher::ExecutorTarget;
use wire::security::secret;
use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
use yarn_rpc::client::RpcConfig;
use yarn_rpc::session::{AmSession, Pacing, SessionCommand, SessionConfig, SessionEvent, SessionHandle};

use super::following::{self, Beginning, follows};
use super::seat::Seat;
use super::session::node_name;
use super::{App, Done, Exit, Life, RmContact, Start, Step};
use crate::beside::Beside;
use crate::clock::Clock;
use crate::containers::{self, Starter};
use crate::dossier::shelf::Shelf;
use crate::driving::Driving;
use crate::environment::{self, Environment};
use crate::gateway::admission::Gate;
use crate::gateway::listener::Gateway;
use crate::gateway::{GatewayEvent, Limits};
use crate::history::elsewhere::Log;
use crate::history::{History, Who};
use crate::journal::{self, Base, PlanOf, Scribe};
use crate::last_words::LastWords;
use crate::launch::{self, LaunchFile, NodeAtSubmission};
use crate::log_levels::LogLevels;
use crate::metrics::Metrics;
use crate::notes::Notes;
use crate::outputs::Outputs;
use crate::relay::Relay;
use crate::results::Results;
use crate::roster::Roster;
use crate::supervise::TaskGroup;
use crate::verdict;
use crate::vitals::Vitals;
use crate::web::Query;
use crate::web::permissions::Permissions;
use crate::web::proxy::{Proxy, Visitors};
use crate::web::server::WebServer;
use crate::{gateway::links::Links, staged};
use launcher::core::Launcher;
use launcher::nodes::{NodeFacts, NodeState};
use launcher::{Event as LauncherEvent, Rules};

/// Events of executors that may wait for the loop.
const GATEWAY_QUEUE: usize = 1024;
/// Requests to pages that may wait for the loop.
const WEB_QUEUE: usize = 64;
/// The longest that a failure before the start may take to be told to the ResourceManager.
const EARLY_END: Duration = Duration::from_secs(120);
/// How long the staging file system may be away before this attempt ends.
const FETCHING: Duration = Duration::from_secs(75);
/// Share of the ResourceManager's patience after which we end ourselves, unless `am.rm-silence-max` says otherwise.
const SILENCE_SHARE: f64 = 0.8;

/// What the session needs, and what is known before anything is read of the job.
struct Ground {
    clock: Clock,
    environment: Environment,
    credentials: Credentials,
    conf: Configuration,
    gateway: Gateway,
    web: WebServer,
    nm_tokens: NmTokenStore,
    terminate: Signal,
    log_levels: LogLevels,
}

/// Runs the ApplicationMaster to its end.
///
/// # Errors
/// What prevents the registration.
pub(crate) async fn run(
    environment: Environment,
    directory: &Path,
    log_levels: LogLevels,
) -> anyhow::Result<Exit> {
    let ground = Ground::prepare(environment, directory, log_levels).await?;
    let (session, mut events) = ground.open_session()?;
    // The session registers while the files come.
    let files = ground.fetch_job().await?;
    match ground.read_job(&files) {
        Ok(mut job) => {
            // Leases of the last attempt are recovered while the ResourceManager registers this one.
            let beginning = job.beginning();
            let (early, beginning) = tokio::join!(job.early_events(&mut events), beginning);
            Ok(match (early, beginning) {
                (Ok(early), Ok(beginning)) => job.into_app(session, events, beginning).run(early).await,
                (Err(exit), _) | (_, Err(exit)) => {
                    super::ending::tell(&exit);
                    exit
                }
            })
        }
        Err(error) => Ok(end_early(&session, events, &error).await),
    }
}

impl Ground {
    async fn prepare(
        environment: Environment,
        directory: &Path,
        log_levels: LogLevels,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            clock: Clock::start(),
            terminate: signal(SignalKind::terminate())?,
            credentials: Credentials::load(&environment.token_file)?,
            conf: environment::configuration(directory)?,
            gateway: Gateway::bind().await.context("no port for the gateway")?,
            web: WebServer::bind().await.context("no port for the pages")?,
            nm_tokens: NmTokenStore::new(),
            environment,
            log_levels,
        })
    }

    fn open_session(&self) -> anyhow::Result<(SessionHandle, mpsc::Receiver<SessionEvent>)> {
        let attempt = self.environment.container.attempt;
        let token = self.credentials.am_rm_token(attempt);
        let schedulers = self.conf.resource_managers()?.scheduler;
        let host = &self.environment.host;
        let web_port = self.web.address()?.port();
        Ok(AmSession::start(SessionConfig {
            resource_managers: schedulers.iter().map(ToString::to_string).collect(),
            token: token
                .context("the credentials hold no token for the ResourceManager")?
                .clone(),
            host: host.clone(),
            rpc_port: Some(self.gateway.address()?.port()),
            tracking_url: Some(format!("http://{host}:{web_port}/")),
            pacing: Pacing::default(),
            rpc: RpcConfig::default(),
            nm_tokens: self.nm_tokens.clone(),
        }))
    }

    /// Fetches the job's files. They are of this application alone, and localizing them would cost YARN more time
    /// than everything else that we do before the registration. Failing here ends the attempt, not the application.
    async fn fetch_job(&self) -> anyhow::Result<JobFiles> {
        let systems = Arc::new(FileSystems::builder(&self.conf, &self.environment.user).build()?);
        let staging = &self.environment.staging;
        let fetch = async || {
            tokio::try_join!(
                staged::read(&systems, staging, launch::PLAN_FILE_NAME),
                staged::read(&systems, staging, launch::FILE_NAME),
            )
        };
        let fetched = staged::patiently("the job", FETCHING, DfsError::is_transient, fetch).await;
        let (plan, launch) =
            fetched.context("the job's files cannot be fetched from the staging directory")?;
        Ok(JobFiles {
            systems,
            plan,
            launch,
        })
    }

    /// Reads the job and starts the servers.
    fn read_job(self, files: &JobFiles) -> anyhow::Result<Job> {
        let plan: AppPlan = serde_json::from_slice(&files.plan)
            .with_context(|| format!("{} is no plan of this build", launch::PLAN_FILE_NAME))?;
        let launch = LaunchFile::parse(&files.launch)?;
        let systems = Arc::clone(&files.systems);
        let port = self.gateway.address()?.port();
        let address = format!("{}:{port}", self.environment.host);
        let beside = self.beside(&plan, &launch, &address)?;
        let context = containers::launch_context(
            &self.environment,
            &launch,
            &plan.executors,
            &plan.settings,
            &address,
            &self.credentials,
        )?;
        let silence_max = match plan.settings.rm_silence_max {
            Some(limit) => limit,
            None => self.conf.am_expiry()?.mul_f64(SILENCE_SHARE),
        };
        let max_attempts = plan.settings.am_max_attempts.min(attempts_allowed(&self.conf));
        let driver_certificate = self.credentials.secrets.get(secret::DRIVER_CERTIFICATE).cloned();
        let driven_here = driver_certificate.is_none();
        let journal = self.systems_of_its_own(driven_here && plan.settings.recovery)?;
        let history = self.systems_of_its_own(driven_here && launch.history.dir.is_some())?;
        let include_port = self.conf.bool("yarn.scheduler.include-port-in-node-name", false);
        let mut servers = Servers::start(
            self.gateway,
            self.web,
            &self.credentials,
            &self.conf,
            &self.environment,
            &plan,
            &launch,
        )?;
        if follows(&self.environment, &plan) {
            let endpoint = following::endpoint(&self.environment, port);
            let (systems, staging) = (Arc::clone(&systems), self.environment.staging.clone());
            servers.work.spawn("leaving word where we are", async move {
                staged::leave_endpoint(&systems, &staging, &endpoint).await;
                Done::Nothing
            });
        }
        let nodes = NodeManagers::new(self.nm_tokens, NmConfig::default());
        Ok(Job {
            starter: Starter::new(nodes, context),
            beside,
            clock: self.clock,
            environment: self.environment,
            terminate: self.terminate,
            log_levels: self.log_levels,
            plan,
            launch,
            systems,
            silence_max,
            max_attempts,
            include_port,
            servers,
            driver_certificate,
            journal,
            plan_digest: dfs::staging::digest(&files.plan),
            history,
        })
    }

    /// The only executor of a small job, in our own container.
    fn beside(&self, plan: &AppPlan, launch: &LaunchFile, address: &str) -> anyhow::Result<Option<Beside>> {
        if !plan.scheduling.uber {
            return Ok(None);
        }
        let variables = containers::variables(
            &self.environment,
            launch,
            &plan.executors,
            &plan.settings,
            address,
        );
        let log_dirs = self.environment.log_dirs.as_deref();
        Ok(Some(Beside::prepare(
            Path::new("."),
            log_dirs,
            variables,
            &self.credentials,
        )?))
    }

    /// Clients for something that is written beside the job, if it is wanted.
    fn systems_of_its_own(&self, wanted: bool) -> anyhow::Result<Option<Arc<FileSystems>>> {
        if !wanted {
            return Ok(None);
        }
        let systems = journal::file_systems(&self.conf, &self.environment.user)?;
        Ok(Some(Arc::new(systems)))
    }
}

/// The job as it was staged.
struct JobFiles {
    systems: Arc<FileSystems>,
    plan: Bytes,
    launch: Bytes,
}

/// The tasks that serve executors and people, and where their events arrive.
struct Servers {
    work: TaskGroup<Done>,
    gateway_events: mpsc::Receiver<GatewayEvent>,
    /// Of the gateway, which counts there.
    turned_away: Counter,
    queries: mpsc::Receiver<Query>,
}

impl Servers {
    fn start(
        gateway: Gateway,
        web: WebServer,
        credentials: &Credentials,
        conf: &Configuration,
        environment: &Environment,
        plan: &AppPlan,
        launch: &LaunchFile,
    ) -> anyhow::Result<Self> {
        let mut work = TaskGroup::new();
        let (events, gateway_events) = mpsc::channel(GATEWAY_QUEUE);
        let limits = Limits {
            silence: plan.settings.heartbeat_dead,
            driver_silence: plan.settings.heartbeat_suspect,
            ..Limits::default()
        };
        let identity = environment::identity(credentials)?;
        let turned_away = gateway.turned_away();
        let gateway = gateway.serve(&identity, environment.epoch(), limits, events)?;
        work.spawn("gateway", async move {
            gateway.await;
            Done::ServerEnded("the gateway")
        });
        let (sender, queries) = mpsc::channel(WEB_QUEUE);
        let proxy = Proxy::new(conf, &environment.proxy_base)?.with_open_metrics(launch.open_metrics);
        let permissions = Permissions::new(conf, &environment.user, &launch.acls);
        let visitors = Visitors::ThroughProxy(Box::new((proxy, permissions)));
        let web = web.serve(visitors, sender);
        work.spawn("web", async move {
            web.await;
            Done::ServerEnded("the web server")
        });
        Ok(Self {
            work,
            gateway_events,
            turned_away,
            queries,
        })
    }
}

/// Everything but the session.
struct Job {
    clock: Clock,
    environment: Environment,
    plan: AppPlan,
    launch: LaunchFile,
    systems: Arc<FileSystems>,
    starter: Starter,
    beside: Option<Beside>,
    silence_max: Duration,
    max_attempts: u32,
    include_port: bool,
    terminate: Signal,
    log_levels: LogLevels,
    servers: Servers,
    /// In client mode, what the driver proves itself with.
    driver_certificate: Option<Vec<u8>>,
    /// Where the journal is kept, if it is.
    journal: Option<Arc<FileSystems>>,
    /// The SHA-256 of the plan as it was staged.
    plan_digest: [u8; 32],
    /// Where the event log is written, if it is.
    history: Option<Arc<FileSystems>>,
}

impl Job {
    /// What the ResourceManager says until an attempt that follows another one is registered; nothing otherwise.
    async fn early_events(
        &mut self,
        events: &mut mpsc::Receiver<SessionEvent>,
    ) -> Result<Vec<SessionEvent>, Exit> {
        if !follows(&self.environment, &self.plan) {
            return Ok(Vec::new());
        }
        following::registered(events, &mut self.terminate, self.silence_max).await
    }

    /// How this attempt begins. It waits for file systems only.
    fn beginning(&self) -> impl Future<Output = Result<Beginning, Exit>> + use<> {
        let journal = self
            .journal
            .clone()
            .filter(|_| follows(&self.environment, &self.plan));
        let (environment, plan) = (self.environment.clone(), self.plan.clone());
        let plan = PlanOf {
            plan,
            digest: self.plan_digest,
        };
        async move {
            match journal {
                Some(systems) => following::beginning(systems, environment, plan).await,
                None => Ok(Beginning::Afresh),
            }
        }
    }

    fn seat(&self, application: &str, past: Option<(Driver, Results)>) -> Seat {
        if let Some(certificate) = &self.driver_certificate {
            return Seat::Client(Box::new(Relay::new(&self.plan, certificate.clone())));
        }
        let checkpoint = past.as_ref().map(|(core, _)| core.checkpoint().into());
        let mut driving = Driving::new(self.plan.clone(), Arc::clone(&self.systems), application);
        let history = self.history(application, past.as_ref().map(|(core, _)| core));
        if let Some((core, results)) = past {
            driving = driving.following(core, results);
        }
        if let Some(history) = history {
            driving = driving.with_history(history);
        }
        let nodes = &self.launch.nodes;
        driving = driving.with_racks(nodes.iter().map(|node| (node.host.as_str(), node.rack.as_str())));
        if let Some(systems) = &self.journal {
            let zero_unix = self.clock.zero_unix();
            let base = Base {
                zero_unix,
                plan: Some(self.plan_digest),
                checkpoint,
                results: None,
            };
            let results = driving.results();
            let attempt = self.environment.epoch().0;
            let staging = &self.environment.staging;
            let patience = self.plan.settings.journal_patience;
            let scribe = Scribe::start(Arc::clone(systems), staging, attempt, base, results, patience);
            driving = driving.with_journal(scribe);
        }
        Seat::Here(Box::new(driving))
    }

    fn history(&self, application: &str, core: Option<&Driver>) -> Option<History> {
        let attempt = self.environment.epoch().0;
        let who = Who {
            application: application.to_owned(),
            attempt: Some(attempt),
            host: self.environment.host.clone(),
        };
        let (systems, zero) = (Arc::clone(self.history.as_ref()?), self.clock.zero_unix());
        let mut history = History::start(systems, &self.plan, &self.launch, &who, zero)?;
        if attempt > 1 {
            history.follow(&who, core);
        }
        Some(history)
    }

    /// Takes over the time and the state of the last attempt, if there was one.
    fn go_on(&mut self, beginning: Beginning) -> (Start, Option<(Driver, Results)>) {
        match beginning {
            Beginning::Afresh => (Start::Afresh, None),
            Beginning::Refused(why) => {
                // A journal of this attempt would hide the one that cannot be used from the next.
                self.journal = None;
                (Start::Refused(why), None)
            }
            Beginning::Where(past) => {
                let survey = past.core.survey();
                tracing::info!(
                    attempt = past.attempt,
                    records = past.records,
                    bytes = past.bytes,
                    done = survey.progress.0,
                    known = survey.progress.1,
                    executors = survey.executors.len(),
                    committing = survey.committing.len(),
                    "going on where the last attempt was"
                );
                self.clock = self.clock.continuing(past.zero_unix, survey.at);
                (Start::Resumed, Some((past.core, past.results)))
            }
        }
    }

    fn into_app(
        mut self,
        session: SessionHandle,
        session_events: mpsc::Receiver<SessionEvent>,
        beginning: Beginning,
    ) -> App {
        let (start, past) = self.go_on(beginning);
        let application = self.environment.application();
        let (pending, idle) = self.plan.settings.rm_heartbeat;
        let rules = rules(&self.plan, &self.launch, self.environment.epoch());
        let launcher = if follows(&self.environment, &self.plan) {
            Launcher::following(rules)
        } else {
            Launcher::new(rules)
        };
        let calls = self.starter.calls();
        let directory = self.launch.history.dir.clone();
        let client_log = directory
            .filter(|_| self.driver_certificate.is_some())
            .map(|directory| Log {
                directory,
                complete: false,
            });
        let mut app = App {
            driver: self.seat(&application, past),
            start,
            launcher,
            gate: Gate {
                application: application.clone(),
                build: self.environment.build.clone(),
                epoch: self.environment.epoch(),
                ending: false,
            },
            links: Links::default(),
            life: Life::Running,
            rm: RmContact {
                last: self.clock.now(),
                silence_max: self.silence_max,
                queue: self.launch.queue.clone(),
                progress: 0.0,
            },
            session,
            session_events,
            outbox: vec![SessionCommand::SetIntervals { pending, idle }],
            granted_seq: yarn_rpc::session::GrantSeq::default(),
            containers: BTreeMap::new(),
            roster: Roster::open(self.environment.log_dirs.as_deref()),
            include_port: self.include_port,
            node_label: self.launch.node_label.clone(),
            configuration: self.launch.configuration.clone(),
            history_server: self.launch.history.server.clone(),
            client_log,
            starter: self.starter,
            beside: self.beside,
            outputs: Outputs::new(self.systems.clone(), &application),
            systems: self.systems,
            gateway_events: self.servers.gateway_events,
            queries: self.servers.queries,
            terminate: self.terminate,
            log_levels: self.log_levels,
            work: self.servers.work,
            max_attempts: self.max_attempts,
            looking: false,
            notes: Notes::default(),
            shelf: Shelf::default(),
            last_words: LastWords::new(&self.environment.user),
            vitals: Vitals::default(),
            metrics: Metrics::of_gateway(self.servers.turned_away)
                .with_calls(calls)
                .from_zero(self.plan.stages.iter().map(|stage| stage.name.as_str())),
            clock: self.clock,
            environment: self.environment,
            plan: self.plan,
        };
        app.learn_nodes(&self.launch.nodes);
        app
    }
}

impl App {
    fn learn_nodes(&mut self, nodes: &[NodeAtSubmission]) {
        for node in nodes {
            let id = hadoop::ids::NodeId::new(node.host.clone(), node.port);
            self.process(Step::Launcher(LauncherEvent::NodeUpdated(NodeFacts {
                name: node_name(&id, self.include_port),
                rack: Some(node.rack.clone()),
                state: NodeState::Usable,
                free_mib: Some(node.available_memory_mib),
                total_mib: node.memory_mib,
            })));
        }
    }

    /// Asks for executors at once, because that takes longest, and looks at the outputs in the meantime.
    pub(super) fn begin(&mut self) {
        if self.plan.scheduling.uber {
            self.start_beside();
        } else if self.plan.scheduling.elastic.is_none() {
            let executors = self.plan.executors.instances;
            let target = ExecutorTarget {
                executors,
                ..ExecutorTarget::default()
            };
            self.process(Step::Launcher(LauncherEvent::TargetSet(target)));
        }
        match std::mem::replace(&mut self.start, Start::Afresh) {
            Start::Refused(why) => self.conclude(Verdict::Failed(why)),
            // The registration, which is among what was said early, says who is there.
            Start::Resumed => {}
            Start::Afresh => {
                let earlier = (self.environment.epoch().0 > 1).then(|| self.environment.staging.clone());
                if let Seat::Here(driving) = &mut self.driver {
                    driving.begin(earlier);
                }
            }
        }
    }
}

fn rules(plan: &AppPlan, launch: &LaunchFile, epoch: Epoch) -> Rules {
    let settings = &plan.settings;
    Rules {
        memory_mib: plan.executors.memory_mib,
        master_mib: launch.am_memory_mib,
        cores: plan.executors.cores,
        // Nothing is known of what else nodes have.
        name_nodes: launch.node_label.is_none() && plan.executors.resources.is_empty(),
        register_timeout: settings.register_timeout,
        max_failures: settings.executor_max_failures,
        failures_validity: settings.executor_failures_validity,
        // The ResourceManager tells each change of a node once, to whichever attempt there is (`RMAppImpl.pullRMNodeUpdates`).
        nodes_listed: epoch == Epoch(1),
        room_patience: settings.room_patience,
        backoff: settings.relaunch_backoff,
    }
}

/// The job cannot even be read: the ResourceManager is told so, that it does not try again.
async fn end_early(
    session: &SessionHandle,
    mut events: mpsc::Receiver<SessionEvent>,
    error: &anyhow::Error,
) -> Exit {
    let cause = format!("{error:#}");
    tracing::error!(cause, "the job cannot be started");
    let verdict = Verdict::Failed(cause);
    let told = tokio::time::timeout(EARLY_END, tell_end(session, &mut events, &verdict)).await;
    if told == Ok(true) {
        Exit::Verdict(verdict)
    } else {
        Exit::Crashed(verdict::diagnostics(&verdict, ""))
    }
}

/// Unregisters once registered; `false` when the session ended before.
async fn tell_end(
    session: &SessionHandle,
    events: &mut mpsc::Receiver<SessionEvent>,
    verdict: &Verdict,
) -> bool {
    while let Some(event) = events.recv().await {
        match event {
            SessionEvent::Registered(_) => {
                let unregister = SessionCommand::Unregister {
                    status: verdict::final_status(verdict),
                    diagnostics: verdict::diagnostics(verdict, "nothing was started"),
                    tracking_url: None,
                };
                if session.send(unregister).await.is_err() {
                    return false;
                }
            }
            SessionEvent::Unregistered => return true,
            _ => {}
        }
    }
    false
}

/// How many attempts the cluster allows any application (`RMAppManager`, `RMAppImpl`).
fn attempts_allowed(conf: &Configuration) -> u32 {
    let global = conf.get("yarn.resourcemanager.am.global.max-attempts");
    let allowed = global.or_else(|| conf.get("yarn.resourcemanager.am.max-attempts"));
    allowed.and_then(|text| text.trim().parse().ok()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_attempt_knows_all_nodes() {
        let text = br#"{"version":1,"user":"ada","queue":"etl","resources":[],"submitted_unix_ms":1}"#;
        let (plan, launch) = (crate::web::tests::plan(), LaunchFile::parse(text).unwrap());
        let listed = |attempt| rules(&plan, &launch, Epoch(attempt)).nodes_listed;
        assert_eq!([1, 2, 3].map(listed), [true, false, false]);
    }
}
