//! Submitting a job and waiting for it: prepare, check, stage, submit, watch.
//!
//! Until the ResourceManager has accepted the application nothing of it may stay behind: whatever fails after the
//! first staged file removes the application's directory again.

mod arrival;
mod bar;
mod context;
mod dry_run;
pub(crate) mod leftovers;
mod lifetime;
pub(crate) mod preflight;
pub(crate) mod prepare;
mod progress;
pub(crate) mod rights;
pub(crate) mod room;
pub(crate) mod stage;
mod uber;
pub(crate) mod watch;

use std::borrow::Cow;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use am::driving::Driving;
use am::history::{History, Who};
use am::launch::LaunchFile;
use dfs::FileSystems;
use dfs::staging::Staging;
use driver::event::Verdict as DriverVerdict;
use hadoop::ids::ApplicationId;
use wire::security::ApplicationKeys;
use yarn_rest::{AppReport, Client, SubmissionContext, Verdict};

use crate::cli::{Run, Submit, SubmitOptions};
use crate::cluster::{Cluster, unusable};
use crate::command;
use crate::driving::{Handle, Identification, Remote};
use crate::embedded::Embedded;
use crate::error::{CommandError, Exit};
use crate::job::JobFile;
use crate::plan::Planned;
use crate::settings::Resolved;
use crate::terminal::{Screen, Terminal};
use preflight::Checked;
use progress::{line, painted};
use watch::{Interrupts, OnInterrupt, Watch};

/// An application that is staged and not submitted.
struct Prepared {
    context: SubmissionContext,
    /// SHA-256 of the executable.
    build: String,
    launch: LaunchFile,
    keys: ApplicationKeys,
}

/// `drawloom submit`.
///
/// # Errors
/// Whatever kept the job from succeeding.
pub async fn submit(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Submit,
) -> Result<(), CommandError> {
    let options = &command.options;
    let job = prepare::read_job(&command.job, options.layer(), options.properties_file.as_deref())?;
    on_wanted_cluster(conf_dir, terminal, job, &command.options).await
}

/// `drawloom run`.
///
/// # Errors
/// Whatever kept the job from succeeding.
pub async fn run(conf_dir: Option<&Path>, terminal: Terminal, command: &Run) -> Result<(), CommandError> {
    let job = prepare::job_of_run(command);
    on_wanted_cluster(conf_dir, terminal, job, &command.options).await
}

/// Runs a job on the configured cluster, or on an embedded one that lives as long.
async fn on_wanted_cluster(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    job: JobFile,
    options: &SubmitOptions,
) -> Result<(), CommandError> {
    let Some(embedded) = Embedded::start_if_wanted(options.master, conf_dir).await? else {
        return Submission::run(conf_dir, terminal, job, options, None).await;
    };
    let ended = if options.detach {
        Err(
            CommandError::usage("an embedded cluster ends with this command, so nothing can be left to it")
                .help("leave out --detach, or keep a cluster running: drawloom mini"),
        )
    } else {
        Submission::run(
            Some(&embedded.conf_dir()),
            terminal,
            job,
            options,
            Some(embedded.staging()),
        )
        .await
    };
    embedded.end(ended).await
}

/// How long tidying up, after earlier applications or after this one, may hold back what is said of this one.
const TIDYING: Duration = Duration::from_secs(3);

/// A driver in this process, and how to deal with it.
type Driver = (Box<Remote>, Handle);

/// A job on its way to the cluster.
struct Submission<'a> {
    since: Instant,
    screen: Screen,
    options: Cow<'a, SubmitOptions>,
    settings: Resolved,
    cluster: Cluster,
    client: Client,
    file_systems: Arc<FileSystems>,
    planned: Planned,
    /// Where to stage unless the settings say.
    staging: Option<String>,
}

/// An application that YARN has accepted, and who waits for it.
struct Accepted {
    checked: Checked,
    staging: Staging,
    interrupts: Interrupts,
    driver: Option<Driver>,
}

/// A job that was submitted by a program and is waited for.
pub(crate) struct Submitted {
    submission: Submission<'static>,
    accepted: Accepted,
}

impl Submitted {
    /// Submits a job on a configured cluster, or on the embedded one whose staging directory is named.
    pub(crate) async fn new(
        conf_dir: Option<&Path>,
        job: JobFile,
        options: SubmitOptions,
        staging: Option<String>,
    ) -> Result<Self, CommandError> {
        let mut submission =
            Submission::prepare(conf_dir, Terminal::default(), job, Cow::Owned(options), staging)?;
        match Box::pin(submission.accept()).await? {
            Some(accepted) => Ok(Self { submission, accepted }),
            None => Err(CommandError::usage("a job that is waited for cannot be detached")),
        }
    }

    /// Its id, as YARN writes it.
    pub(crate) fn application(&self) -> String {
        self.accepted.checked.application.application_id.to_string()
    }

    /// The file systems that will hold its results.
    pub(crate) fn file_systems(&self) -> Arc<FileSystems> {
        Arc::clone(&self.submission.file_systems)
    }

    /// Waits for its end, and says whether it is over: somebody may have stopped waiting for it.
    pub(crate) async fn wait(self) -> (Result<(), CommandError>, bool) {
        let id = self.accepted.checked.application.application_id;
        let ended = Box::pin(self.submission.wait(self.accepted)).await;
        let over = match &ended {
            Ok(()) => true,
            Err(_) => self
                .submission
                .client
                .application(id)
                .await
                .is_ok_and(|report| report.is_final()),
        };
        (ended, over)
    }
}

impl<'a> Submission<'a> {
    async fn run(
        conf_dir: Option<&Path>,
        terminal: Terminal,
        job: JobFile,
        options: &'a SubmitOptions,
        staging: Option<String>,
    ) -> Result<(), CommandError> {
        Self::prepare(conf_dir, terminal, job, Cow::Borrowed(options), staging)?
            .go()
            .await
    }

    fn prepare(
        conf_dir: Option<&Path>,
        terminal: Terminal,
        mut job: JobFile,
        options: Cow<'a, SubmitOptions>,
        staging: Option<String>,
    ) -> Result<Self, CommandError> {
        let since = Instant::now();
        prepare::add_files(&mut job, &options)?;
        let settings = prepare::settings(options.layer(), Some(&job), options.properties_file.as_deref())?;
        let cluster = Cluster::find(conf_dir)?;
        let file_systems = cluster.file_systems()?;
        let home = file_systems.resolve(".").map_err(unusable)?;
        let planned = prepare::resolve(&job, &settings, &home)?;
        let client = cluster.rest()?;
        Ok(Submission {
            since,
            screen: Screen::new(terminal),
            options,
            settings,
            cluster,
            client,
            file_systems,
            planned,
            staging,
        })
    }

    async fn go(mut self) -> Result<(), CommandError> {
        let Some(accepted) = Box::pin(self.accept()).await? else {
            return Ok(());
        };
        Box::pin(self.wait(accepted)).await
    }

    /// Up to an application that YARN has accepted; none when nobody waits for it or it was not to be submitted.
    async fn accept(&mut self) -> Result<Option<Accepted>, CommandError> {
        let mut interrupts = Interrupts::listen()?;
        let checked = tokio::select! {
            biased;
            _ = interrupts.next() => return Err(not_submitted()),
            checked = self.check() => checked?,
        };
        if self.options.dry_run {
            dry_run::print(&self.cluster, &self.settings, &self.planned, &checked)?;
            return Ok(None);
        }
        let staging = self.staging()?;
        let accepted = self.stage_and_submit(&checked, &staging, &mut interrupts).await;
        let driver = match accepted {
            Ok(driver) => driver,
            Err(error) => return Err(self.unstage_after(error, &checked, &staging).await),
        };
        let id = checked.application.application_id;
        if self.options.detach {
            command::print(&format!("{id}\n"))?;
        }
        if self.options.detach {
            tokio::select! {
                () = self.tidy(&staging, id) => {}
                _ = interrupts.next() => {}
            }
        }
        Ok((!self.options.detach).then_some(Accepted {
            checked,
            staging,
            interrupts,
            driver,
        }))
    }

    /// What can be known before anything is staged.
    async fn check(&mut self) -> Result<Checked, CommandError> {
        if self.is_client_mode() && self.options.detach {
            return Err(CommandError::usage(
                "in client mode the driver lives in this process, so the job cannot be left alone",
            )
            .help("leave out --detach, or use --deploy-mode cluster"));
        }
        let executors = &self.planned.plan.executors;
        let cluster = preflight::cluster(&self.cluster, &self.client, executors, &self.settings);
        let paths = preflight::paths(&self.file_systems, &self.planned);
        let (checked, paths) = tokio::join!(cluster, paths);
        let checked = checked?;
        paths?;
        let largest = &checked.application.maximum_resource_capability;
        uber::decide(
            &mut self.planned.plan,
            &self.settings,
            &self.file_systems,
            largest,
        )
        .await?;
        // What runs in the ApplicationMaster's container needs no room beside it.
        checked.room.check(&self.planned.plan, &self.settings)?;
        if let Some(doubt) = checked.doubt.as_ref().filter(|doubt| doubt.is_grave()) {
            let words = doubt.words(&self.cluster.user, self.settings.text("queue"));
            self.say("note", &format!("the job is {words}"));
        }
        Ok(checked)
    }

    fn is_client_mode(&self) -> bool {
        self.settings.text("deploy-mode") == "client"
    }

    /// The driver, when it is to be in this process.
    fn driver(&self, id: ApplicationId, prepared: Prepared) -> Result<Option<Driver>, CommandError> {
        if !self.is_client_mode() {
            return Ok(None);
        }
        let application = id.to_string();
        let nodes = prepared.launch.nodes.iter();
        let mut driving = Driving::new(
            self.planned.plan.clone(),
            Arc::clone(&self.file_systems),
            &application,
        )
        .with_racks(nodes.map(|node| (node.host.as_str(), node.rack.as_str())));
        if let Some(history) = self.history(&application, &prepared.launch)? {
            driving = driving.with_history(history);
        }
        let who = Identification {
            application,
            build: prepared.build,
            identity: prepared.keys.driver,
        };
        Remote::start(driving, who).map(Some)
    }

    /// The event log, which is the business of whoever has the driver.
    fn history(&self, application: &str, launch: &LaunchFile) -> Result<Option<History>, CommandError> {
        if launch.history.dir.is_none() {
            return Ok(None);
        }
        let systems = am::journal::file_systems(&self.cluster.conf, &self.cluster.user).map_err(unusable)?;
        let who = Who {
            application: application.to_owned(),
            attempt: None,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let zero = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (plan, zero) = (&self.planned.plan, zero.unwrap_or_default());
        Ok(History::start(Arc::new(systems), plan, launch, &who, zero))
    }

    /// Removes what earlier applications have left, and cached files that have grown old.
    async fn tidy(&self, staging: &Staging, id: ApplicationId) {
        leftovers::sweep(&self.client, &self.file_systems, staging, id).await;
        leftovers::prune_cache(staging, self.settings.duration("staging.cache.max-age")).await;
    }

    fn staging(&self) -> Result<Staging, CommandError> {
        Staging::locate(
            &self.file_systems,
            self.settings.optional("staging.dir").or(self.staging.as_deref()),
        )
        .map_err(unusable)
    }

    /// Ctrl-C ends staging, but not the submission itself: of a request that was sent nobody knows what became.
    async fn stage_and_submit(
        &self,
        checked: &Checked,
        staging: &Staging,
        interrupts: &mut Interrupts,
    ) -> Result<Option<Driver>, CommandError> {
        let prepared = tokio::select! {
            biased;
            _ = interrupts.next() => return Err(not_submitted()),
            prepared = self.stage(checked, staging) => prepared?,
        };
        arrival::submit(&self.client, &prepared.context).await?;
        let id = checked.application.application_id;
        self.say("submitted", &format!("{id} ({})", self.planned.plan.name));
        self.set_lifetime(id).await?;
        self.driver(id, prepared)
    }

    async fn stage(&self, checked: &Checked, staging: &Staging) -> Result<Prepared, CommandError> {
        let id = checked.application.application_id;
        let keys = ApplicationKeys::issue()
            .map_err(|error| CommandError::refused("no keys can be made").caused_by(error))?;
        let application = id.to_string();
        let stager = stage::Stager {
            file_systems: &self.file_systems,
            staging,
            application: &application,
            conf: self.cluster.conf.to_map(),
            settings: &self.settings,
            user: &self.cluster.user,
            nodes: checked.nodes.clone(),
        };
        let staged = stager.stage(&self.planned).await?;
        self.say(
            "staged",
            &format!(
                "{:.1} MiB in {}",
                staged.bytes as f64 / f64::from(1 << 20),
                staging.base()
            ),
        );
        if let Some(note) = self.not_durable(staging) {
            self.say("note", note);
        }
        let context = context::build(&context::Parts {
            id,
            name: &self.planned.plan.name,
            settings: &self.settings,
            user: &self.cluster.user,
            build: &staged.build,
            staging: &staging.application_dir(&application).to_string(),
            container: match self.planned.plan.scheduling.uber {
                true => uber::container(&self.planned.plan, &self.settings),
                false => (
                    self.settings.mebibytes("am.memory"),
                    self.settings.count("am.cores"),
                ),
            },
            resources: &staged.am_resources,
            keys: &keys,
        });
        match context.problems().first() {
            Some(problem) => Err(CommandError::usage("YARN would not take the application")
                .because(problem)
                .help("change it in the job file or by --conf; `drawloom config JOB.yaml` shows where it was set")),
            None => Ok(Prepared {
                context,
                build: staged.build,
                launch: staged.launch,
                keys,
            }),
        }
    }

    /// What does not survive because of where the application is staged. An embedded cluster is on this machine anyway.
    fn not_durable(&self, staging: &Staging) -> Option<&'static str> {
        let on_cluster = self.staging.is_none() && staging.base().scheme() == dfs::FILE_SCHEME;
        (on_cluster && self.planned.plan.settings.recovery).then_some(
            "staged on a local file system: a lost ApplicationMaster is survived only on nodes that share it",
        )
    }

    /// A lifetime can only be set on an application that exists. One without the lifetime it was to have is killed.
    async fn set_lifetime(&self, id: ApplicationId) -> Result<(), CommandError> {
        let Some(lifetime) = self.settings.optional("lifetime") else {
            return Ok(());
        };
        let expiry = SystemTime::now() + self.settings.duration("lifetime");
        let Err(error) = lifetime::set(&self.client, id, expiry).await else {
            return Ok(());
        };
        let reason = format!("its lifetime of {lifetime} could not be set");
        let killed = watch::kill(&self.client, id, &reason).await;
        let became = match &killed {
            Ok(_) => "it was killed".to_owned(),
            Err(_) => format!("it may run on; to kill it: drawloom kill {id}"),
        };
        Err(
            CommandError::refused(format!("the lifetime of {id} could not be set"))
                .caused_by(error)
                .help(format!(
                    "{became}; submit it without lifetime, or ask the cluster's operators"
                )),
        )
    }

    async fn wait(&self, accepted: Accepted) -> Result<(), CommandError> {
        let Accepted {
            checked,
            staging,
            mut interrupts,
            driver,
        } = accepted;
        let (checked, staging, interrupts) = (&checked, &staging, &mut interrupts);
        let (remote, handle) = driver.unzip();
        let watch = Watch {
            client: &self.client,
            user: &self.cluster.user,
            id: checked.application.application_id,
            since: self.since,
            screen: &self.screen,
            poll: self
                .settings
                .duration("client.poll-interval")
                .max(Duration::from_millis(10)),
            timeout: self.options.timeout.map(Into::into),
            on_interrupt: if self.staging.is_some() {
                OnInterrupt::Kills
            } else {
                OnInterrupt::SecondKills
            },
            driver: handle.as_ref(),
        };
        let work = async {
            match remote {
                None => watch.run(interrupts).await,
                Some(mut remote) => {
                    let ended = tokio::select! {
                        ended = watch.run(interrupts) => ended,
                        why = remote.run() => Err(self.driver_failed(watch.id, &why).await),
                    };
                    remote.end(&verdict_of(&ended)).await;
                    ended
                }
            }
        };
        let ended = Box::pin(beside(work, self.tidy(staging, watch.id))).await;
        // The ApplicationMaster removes its files when it unregisters; one that could not has left them to us.
        match &ended {
            Ok(_) => self.unstage(checked, staging).await,
            Err(error) if may_have_ended(error.exit) => {
                let removed = leftovers::remove_if_ended(&self.client, &self.file_systems, staging, watch.id);
                // Whoever has pressed Ctrl-C does not wait for a ResourceManager that is silent.
                let _ = tokio::time::timeout(TIDYING, removed).await;
            }
            Err(_) => {}
        }
        self.screen.clear_bar();
        watch::conclude(&self.screen, self.since, &ended?)
    }

    /// A driver that cannot go on is a bug of ours; nothing of the application may outlive it.
    async fn driver_failed(&self, id: ApplicationId, why: &str) -> CommandError {
        let killed = watch::kill(&self.client, id, "its driver failed").await;
        let became = match killed {
            Ok(_) => format!("{id} was killed"),
            Err(_) => format!("to kill it: drawloom kill {id}"),
        };
        CommandError::new(Exit::JobFailed, format!("the driver of {id} failed"))
            .because(why)
            .help(became)
    }

    /// Removes what was staged for an application that was not accepted; says where it is left when the file system, which
    /// may be what has failed, does not answer.
    async fn unstage_after(&self, error: CommandError, checked: &Checked, staging: &Staging) -> CommandError {
        let removed = tokio::time::timeout(TIDYING, self.unstage(checked, staging)).await;
        let id = checked.application.application_id.to_string();
        match removed {
            Ok(()) => error,
            Err(_) => error.further_help(format!(
                "the file system does not answer, so what was staged may be left: drawloom fs rm -r {}",
                staging.application_dir(&id)
            )),
        }
    }

    async fn unstage(&self, checked: &Checked, staging: &Staging) {
        leftovers::remove(
            &self.file_systems,
            staging,
            &checked.application.application_id.to_string(),
        )
        .await;
    }

    fn say(&self, what: &str, details: &str) {
        let line = line(self.since.elapsed(), what, details);
        self.screen.line(&painted(self.screen.terminal().err, &line));
    }
}

/// How an application ended whose driver had no word in it.
fn verdict_of(ended: &Result<AppReport, CommandError>) -> DriverVerdict {
    let Ok(report) = ended else {
        return DriverVerdict::Failed("the client, in which the driver was, left it".to_owned());
    };
    match report.final_verdict() {
        Some(Verdict::Succeeded) => DriverVerdict::Succeeded,
        Some(Verdict::Killed { by }) => DriverVerdict::Killed(by.unwrap_or_else(|| "YARN".to_owned())),
        _ => DriverVerdict::Failed(report.diagnostics.lines().next().unwrap_or_default().to_owned()),
    }
}

/// Whether a wait that ended so may have left an application that is over and could not tidy up.
fn may_have_ended(exit: Exit) -> bool {
    // A driver that failed is a job that failed.
    matches!(exit, Exit::Interrupted | Exit::TimedOut | Exit::JobFailed)
}

/// Does what somebody waits for and, beside it, what nobody waits for: at the end that gets [`TIDYING`] more.
async fn beside<T, E>(
    work: impl Future<Output = Result<T, E>>,
    tidying: impl Future<Output = ()>,
) -> Result<T, E> {
    let (mut work, mut tidying) = (pin!(work), pin!(tidying));
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = &mut tidying => return work.await,
    };
    if ended.is_ok() && tokio::time::timeout(TIDYING, tidying).await.is_err() {
        tracing::debug!("the rest of what earlier applications left stays for the next command");
    }
    ended
}

fn not_submitted() -> CommandError {
    CommandError::new(Exit::Interrupted, "interrupted before the job was submitted").help("nothing runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_driver_leaves_nothing_behind() {
        assert!(may_have_ended(Exit::JobFailed) && may_have_ended(Exit::Interrupted));
        assert!(!may_have_ended(Exit::Refused));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_tidying_while_the_job_runs_and_not_long_after_it() {
        let (told, hears) = tokio::sync::oneshot::channel();
        let work = async { told.send(()) };
        let tidying = async {
            hears.await.unwrap();
            std::future::pending::<()>().await;
        };
        assert_eq!(beside(work, tidying).await, Ok(()));
        let interrupted = beside(async { Err::<(), _>(()) }, std::future::pending());
        assert_eq!(interrupted.await, Err(()));
    }

    #[tokio::test]
    async fn tidying_that_has_begun_may_end() {
        let mut tidied = false;
        let tidying = async {
            tokio::task::yield_now().await;
            tidied = true;
        };
        assert_eq!(beside(async { Ok::<_, ()>(7) }, tidying).await, Ok(7));
        assert!(tidied);
    }
}
