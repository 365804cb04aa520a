//! Waiting for an application: asking YARN and the ApplicationMaster, telling the person, and ending with the verdict.

use std::time::{Duration, Instant};

use am::summary::Summary;
use hadoop::ids::ApplicationId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use yarn_rest::{AppReport, Client, Phase, Verdict};

use super::bar::{self, Pace};
use super::progress::{Progress, line, painted};
use crate::driving::Handle;
use crate::error::{CommandError, Exit};
use crate::explain;
use crate::pages;
use crate::terminal::Screen;

/// The first interval between questions; it doubles up to the configured one.
const FIRST_POLL: Duration = Duration::from_millis(100);
/// How long questions may fail before we stop waiting.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long YARN may say that it does not know an application that it had accepted. A ResourceManager that starts
/// again answers before it has read its store.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long a driver in this process may take to end the job.
const ENDING: Duration = Duration::from_secs(60);
/// How long an application may wait before the person is told why, and is looked at again.
const PUZZLED: Duration = Duration::from_secs(10);
/// How long a second Ctrl-C is waited for.
const SECOND_THOUGHT: Duration = Duration::from_secs(2);

/// An application that somebody waits for.
pub(crate) struct Watch<'a> {
    /// The ResourceManagers.
    pub client: &'a Client,
    /// Who asks.
    pub user: &'a str,
    /// The application.
    pub id: ApplicationId,
    /// When it began, as the person sees it.
    pub since: Instant,
    /// Where the person is told.
    pub screen: &'a Screen,
    /// `client.poll-interval`.
    pub poll: Duration,
    /// `--timeout`, from the beginning.
    pub timeout: Option<Duration>,
    /// What Ctrl-C does.
    pub on_interrupt: OnInterrupt,
    /// Its driver, when that is in this process.
    pub driver: Option<&'a Handle>,
}

/// What Ctrl-C does to an application whose driver is not in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// It goes on; a second Ctrl-C kills it.
    SecondKills,
    /// It goes on: we only look at it.
    Detaches,
    /// It is killed: it cannot go on without this process.
    Kills,
}

/// What is known between two questions.
struct Known {
    progress: Progress,
    pace: Pace,
    answered: Instant,
    /// Since when nothing has come that is waited for, and the code of the reason that was told.
    waiting: Option<(Instant, Option<&'static str>)>,
}

impl Watch<'_> {
    /// Waits for the end and gives the last report. Nothing that is asked keeps Ctrl-C or the timeout waiting.
    ///
    /// # Errors
    /// Interrupted, timed out, or YARN cannot be asked any more.
    pub(crate) async fn run(&self, interrupts: &mut Interrupts) -> Result<AppReport, CommandError> {
        let mut known = Known {
            progress: Progress::new(self.screen.terminal().live),
            pace: Pace::default(),
            answered: Instant::now(),
            waiting: None,
        };
        tokio::select! {
            biased;
            interrupt = interrupts.next() => self.interrupted(interrupt, interrupts, &mut known).await,
            ended = self.ended(&mut known) => ended,
            () = self.timeout_over() => self.timed_out().await,
        }
    }

    async fn ended(&self, known: &mut Known) -> Result<AppReport, CommandError> {
        let mut poll = FIRST_POLL.min(self.poll);
        loop {
            if let Some(report) = self.look(known).await? {
                return Ok(report);
            }
            tokio::time::sleep(poll).await;
            poll = (poll * 2).min(self.poll);
        }
    }

    /// Asks once, and gives the report if it is the last one.
    async fn look(&self, known: &mut Known) -> Result<Option<AppReport>, CommandError> {
        match self.ask(known).await {
            Ok(report) => {
                known.answered = Instant::now();
                self.say(known.progress.report(self.since.elapsed(), &report));
                if report.is_final() {
                    // A link that came back since the last look.
                    self.driver
                        .map(|driver| self.look_at(driver, &mut known.progress));
                    return Ok(Some(report));
                }
                if let (Some(driver), Some(address)) = (self.driver, &report.am_rpc_address) {
                    driver.found(address);
                }
                let at_work = self.ask_how_it_goes(&report, known).await;
                self.tell_why_it_waits(at_work, known).await;
            }
            Err(error) if may_pass(&error, known.answered.elapsed()) => {
                self.say(known.progress.silence(self.since.elapsed(), &error));
            }
            Err(error) => {
                let lost = super::preflight::rest_failed(error);
                return Err(lost.help(format!(
                    "{0} may go on; look again with: drawloom status {0}",
                    self.id
                )));
            }
        }
        Ok(None)
    }

    /// The ResourceManager's answer. How the driver in this process does is told meanwhile: over a link that is cut no
    /// answer comes for long.
    async fn ask(&self, known: &mut Known) -> Result<AppReport, yarn_rest::Error> {
        let mut answer = std::pin::pin!(self.client.application(self.id));
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(self.poll), if self.driver.is_some() => {
                    let summary = self.driver.and_then(|driver| self.look_at(driver, &mut known.progress));
                    summary.iter().for_each(|summary| self.tell_numbers(summary, known));
                }
            }
        }
    }

    /// Tells of the link of the driver in this process; how it does while somebody listens to it.
    fn look_at(&self, driver: &Handle, progress: &mut Progress) -> Option<Summary> {
        let shown = driver.shown();
        self.say(progress.link(self.since.elapsed(), shown.link_down.as_deref()));
        shown.summary.filter(|_| shown.linked)
    }

    /// As lines, and on a terminal in the bar.
    fn tell_numbers(&self, summary: &Summary, known: &mut Known) {
        let elapsed = self.since.elapsed();
        self.say(known.progress.summary(elapsed, summary));
        known.pace.look(elapsed, summary.tasks.finished);
        let rate = known.pace.rate();
        self.screen.bar(|width| bar::bar(width, summary, rate));
    }

    /// Never, without a timeout or with one beyond all clocks.
    async fn timeout_over(&self) {
        match self.timeout.and_then(|timeout| self.since.checked_add(timeout)) {
            Some(over) => tokio::time::sleep_until(over.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Tells how it goes, as far as that is known; `true` when executors are at work.
    async fn ask_how_it_goes(&self, report: &AppReport, known: &mut Known) -> bool {
        let summary = match self.driver {
            Some(driver) => self.look_at(driver, &mut known.progress),
            None if report.phase() == Phase::Running => {
                pages::summary(report, self.user).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "the ApplicationMaster's summary cannot be had");
                    None
                })
            }
            None => None,
        };
        let Some(summary) = summary else {
            return report.phase() > Phase::Running;
        };
        self.tell_numbers(&summary, known);
        summary.executors.registered > 0 || summary.executors.wanted == 0
    }

    /// After a while without anybody at work the first reason is told, and again when it is another one.
    async fn tell_why_it_waits(&self, at_work: bool, known: &mut Known) {
        if at_work {
            known.waiting = None;
            return;
        }
        let (since, told) = *known.waiting.get_or_insert((Instant::now(), None));
        if since.elapsed() < PUZZLED {
            return;
        }
        known.waiting = Some((Instant::now(), told));
        let Ok(facts) = Box::pin(explain::collect(self.client, self.user, self.id)).await else {
            return;
        };
        if let Some(reason) = explain::reasons(&facts).into_iter().next()
            && told != Some(reason.code)
        {
            known.waiting = Some((Instant::now(), Some(reason.code)));
            self.say([line(self.since.elapsed(), "waiting", &reason.why)]);
            let help = Some(reason.help).filter(|help| !help.is_empty());
            self.say(help.map(|help| line(self.since.elapsed(), "help", &help)));
        }
    }

    fn say(&self, lines: impl IntoIterator<Item = String>) {
        let paint = self.screen.terminal().err;
        lines
            .into_iter()
            .for_each(|line| self.screen.line(&painted(paint, &line)));
    }

    async fn interrupted(
        &self,
        interrupt: Interrupt,
        interrupts: &mut Interrupts,
        known: &mut Known,
    ) -> Result<AppReport, CommandError> {
        if let Some(driver) = self.driver
            && let Some(ended) = self.end_driver(driver, interrupts, known).await
        {
            return Err(self.interrupted_and_ended(&ended?));
        }
        if self.driver.is_none() && !self.wants_it_dead(interrupt, interrupts).await {
            let what = format!("interrupted; {} goes on", self.id);
            return Err(CommandError::new(Exit::Interrupted, what).help(self.what_to_do()));
        }
        match kill(self.client, self.id, "killed by Ctrl-C of its submitter").await {
            Ok(report) => Err(self.interrupted_and_ended(&report)),
            Err(error) => Err(self.alive(Exit::Interrupted, "interrupted", &error)),
        }
    }

    fn interrupted_and_ended(&self, report: &AppReport) -> CommandError {
        let what = format!("interrupted, and {} {}", self.id, was(report));
        CommandError::new(Exit::Interrupted, what).help(self.logs())
    }

    /// Has the driver in this process end the job, and waits for that; nothing when it cannot or takes too long, or
    /// when a second Ctrl-C does not wait.
    async fn end_driver(
        &self,
        driver: &Handle,
        interrupts: &mut Interrupts,
        known: &mut Known,
    ) -> Option<Result<AppReport, CommandError>> {
        if !driver.shown().linked {
            return None;
        }
        self.screen
            .urgent("\nending the job. Press Ctrl-C again to have YARN kill it");
        driver.kill("Ctrl-C of its submitter");
        tokio::select! {
            ended = self.ended(known) => Some(ended),
            _ = interrupts.next() => None,
            () = tokio::time::sleep(ENDING) => None,
        }
    }

    /// A second Ctrl-C may kill; whoever ends this process otherwise only ends the wait.
    async fn wants_it_dead(&self, interrupt: Interrupt, interrupts: &mut Interrupts) -> bool {
        match self.on_interrupt {
            OnInterrupt::Kills => true,
            OnInterrupt::Detaches => false,
            OnInterrupt::SecondKills => {
                interrupt == Interrupt::CtrlC && self.second_interrupt(interrupts).await
            }
        }
    }

    async fn second_interrupt(&self, interrupts: &mut Interrupts) -> bool {
        self.screen.urgent(&format!(
            "\nno longer waiting; {} goes on. Press Ctrl-C again to kill it",
            self.id
        ));
        let second = tokio::time::timeout(SECOND_THOUGHT, interrupts.next());
        second.await == Ok(Interrupt::CtrlC)
    }

    /// What ended by itself while it was to be killed has ended as it says.
    async fn timed_out(&self) -> Result<AppReport, CommandError> {
        let reason = "killed at the end of its submitter's --timeout";
        match kill(self.client, self.id, reason).await {
            Ok(report) if matches!(report.final_verdict(), Some(Verdict::Killed { .. })) => {
                let what = format!("{} took longer than --timeout and was killed", self.id);
                Err(CommandError::new(Exit::TimedOut, what).help(self.logs()))
            }
            Ok(report) => Ok(report),
            Err(error) => Err(self.alive(Exit::TimedOut, "--timeout is over", &error)),
        }
    }

    /// The application was to be killed, and was not.
    fn alive(&self, exit: Exit, why: &str, error: &CommandError) -> CommandError {
        CommandError::new(exit, format!("{why}, and {} could not be killed", self.id))
            .because(error.reason())
            .help(self.what_to_do())
    }

    fn logs(&self) -> String {
        format!("logs of all containers: drawloom logs {}", self.id)
    }

    fn what_to_do(&self) -> String {
        format!(
            "to kill it: drawloom kill {0}; to look at it: drawloom status {0}",
            self.id
        )
    }
}

/// How an application ended that was to be killed.
fn was(report: &AppReport) -> String {
    match verdict(report) {
        (Exit::Killed, _) => "was killed".to_owned(),
        (_, word) => format!("had ended already: {word}"),
    }
}

/// Somebody wants this process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// SIGINT.
    CtrlC,
    /// SIGTERM or SIGHUP: the session or the system ends.
    Ended,
}

/// SIGINT, SIGTERM and SIGHUP, from the moment this is made on; before, they end the process.
pub(crate) struct Interrupts {
    ctrl_c: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    /// Takes over.
    ///
    /// # Errors
    /// The system does not let us.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let no_signals = |error| CommandError::refused("signals cannot be handled").caused_by(error);
        let listen = |kind| signal(kind).map_err(no_signals);
        Ok(Self {
            ctrl_c: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next one, also one since the last call.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.ctrl_c.recv() => Interrupt::CtrlC,
            Some(()) = self.terminate.recv() => Interrupt::Ended,
            Some(()) = self.hang_up.recv() => Interrupt::Ended,
            else => std::future::pending().await,
        }
    }
}

/// Whether an error is worth asking again after this time without an answer.
pub(crate) fn may_pass(error: &yarn_rest::Error, silence: Duration) -> bool {
    (error.is_transient() && silence < PATIENCE) || (error.is_unknown() && silence < RECOVERY)
}

/// Kills an application and waits until YARN says that it is dead.
///
/// # Errors
/// YARN refuses, or does not manage within a minute.
pub(crate) async fn kill(
    client: &Client,
    id: ApplicationId,
    reason: &str,
) -> Result<AppReport, CommandError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let progress = client
            .kill(id, Some(reason))
            .await
            .map_err(super::preflight::rest_failed)?;
        if progress.is_done() {
            return client
                .application(id)
                .await
                .map_err(super::preflight::rest_failed);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(CommandError::refused(format!("{id} is not dead after a minute"))
        .help(format!("look again with: drawloom status {id}")))
}

/// The exit code of a verdict, and how to say it.
pub(crate) fn verdict(report: &AppReport) -> (Exit, &'static str) {
    match report.final_verdict() {
        Some(Verdict::Succeeded) => (Exit::Succeeded, "succeeded"),
        Some(Verdict::Killed { .. }) => (Exit::Killed, "killed"),
        Some(Verdict::TimedOut) => (Exit::TimedOut, "timed out"),
        Some(Verdict::Lost) => (Exit::Lost, "lost"),
        Some(Verdict::Refused) => (Exit::Refused, "refused"),
        Some(_) => (Exit::JobFailed, "failed"),
        None => (Exit::Refused, "still running"),
    }
}

/// Says how it ended; an error unless it succeeded.
///
/// # Errors
/// The application did not succeed.
pub(crate) fn conclude(screen: &Screen, since: Instant, report: &AppReport) -> Result<(), CommandError> {
    let (exit, word) = verdict(report);
    let tell = |details| {
        let line = line(since.elapsed(), "verdict", details);
        screen.line(&painted(screen.terminal().err, &line));
    };
    if exit == Exit::Succeeded {
        tell(success(report));
        return Ok(());
    }
    tell(word);
    let id = report.id;
    let help = match exit {
        Exit::JobFailed | Exit::Lost => {
            format!(
                "logs of what failed: drawloom logs {id} --failed; what would help: drawloom explain {id}"
            )
        }
        _ => format!("logs of all containers: drawloom logs {id}"),
    };
    Err(CommandError::new(exit, format!("{id} {word}"))
        .because(diagnosis(report))
        .help(help))
}

/// What the ApplicationMaster has said last: a short job ends between two looks at its numbers.
fn success(report: &AppReport) -> &str {
    let said = report.diagnostics.lines().next().unwrap_or_default();
    if said.starts_with("succeeded") {
        said
    } else {
        "succeeded"
    }
}

/// The telling part of the diagnostics.
pub(crate) fn diagnosis(report: &AppReport) -> String {
    if let Some(failure) = yarn_rest::AmFailure::parse(&report.diagnostics) {
        let mut text = format!("the ApplicationMaster failed: {}", failure.reason);
        for line in failure.last_lines(5) {
            text.push_str(&format!("\n  {line}"));
        }
        return text;
    }
    match report.diagnostics.trim() {
        "" => "YARN gives no reason".to_owned(),
        words => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_the_contracts_exit_codes() {
        let code = |fields: &str| {
            let report = format!(r#"{{"id":"application_1_0001",{fields}}}"#);
            verdict(&serde_json::from_str(&report).unwrap()).0.code()
        };
        assert_eq!(code(r#""state":"FINISHED","finalStatus":"SUCCEEDED""#), 0);
        assert_eq!(code(r#""state":"FINISHED","finalStatus":"FAILED""#), 1);
        assert_eq!(code(r#""state":"FAILED","diagnostics":"unknown queue: nope""#), 3);
        assert_eq!(code(r#""state":"KILLED""#), 4);
        assert_eq!(code(r#""state":"FAILED","amHostHttpAddress":"n:1""#), 5);
        assert_eq!(
            code(r#""state":"KILLED","diagnostics":"exceeded the lifetime period""#),
            6
        );
    }
}
