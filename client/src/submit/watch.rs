//! Waiting for an application: asking YARN and the ApplicationMaster, telling the person, and ending with the verdict.

use std::time::{Duration, Instant};

use am::summary::Summary;
use hadoop::ids::ApplicationId;
use tokio::signal::unix::{SignalKind, signal};
use yarn_rest::{AppReport, Auth, Client, Phase, Verdict};

use super::progress::{Progress, line};
use crate::error::{CommandError, Exit};

/// The first interval between questions; it doubles up to the configured one.
const FIRST_POLL: Duration = Duration::from_millis(100);
/// How long questions may fail before we stop waiting.
const PATIENCE: Duration = Duration::from_secs(600);
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
    /// `client.poll-interval`.
    pub poll: Duration,
    /// `--timeout`, from the beginning.
    pub timeout: Option<Duration>,
}

/// What interrupted a wait.
enum Interruption {
    Tick,
    CtrlC,
    Timeout,
}

impl Watch<'_> {
    /// Waits for the end and gives the last report.
    ///
    /// # Errors
    /// Interrupted, timed out, or YARN cannot be asked any more.
    pub(crate) async fn run(&self) -> Result<AppReport, CommandError> {
        let mut progress = Progress::default();
        let mut interrupts = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut poll = FIRST_POLL;
        let mut last_answer = Instant::now();
        loop {
            match self.client.application(self.id).await {
                Ok(report) => {
                    last_answer = Instant::now();
                    self.say(progress.report(self.since.elapsed(), &report));
                    if report.is_final() {
                        return Ok(report);
                    }
                    self.ask_the_master(&report, &mut progress).await;
                }
                Err(error) if error.is_transient() && last_answer.elapsed() < PATIENCE => {
                    tracing::warn!(%error, "the ResourceManager does not answer, asking again");
                }
                Err(error) => return Err(super::preflight::rest_failed(error)),
            }
            match self.pause(poll, &mut interrupts).await {
                Interruption::Tick => poll = (poll * 2).min(self.poll),
                Interruption::CtrlC => return Err(self.interrupted(&mut interrupts).await),
                Interruption::Timeout => return Err(self.timed_out().await),
            }
        }
    }

    async fn pause(&self, poll: Duration, interrupts: &mut tokio::signal::unix::Signal) -> Interruption {
        let left = self
            .timeout
            .map(|timeout| timeout.saturating_sub(self.since.elapsed()));
        let step = left.map_or(poll, |left| left.min(poll));
        tokio::select! {
            _ = interrupts.recv() => Interruption::CtrlC,
            () = tokio::time::sleep(step) => {
                if left.is_some_and(|left| left <= step) { Interruption::Timeout } else { Interruption::Tick }
            }
        }
    }

    async fn ask_the_master(&self, report: &AppReport, progress: &mut Progress) {
        if report.phase() != Phase::Running {
            return;
        }
        match summary(report, self.user).await {
            Ok(Some(summary)) => self.say(progress.summary(self.since.elapsed(), &summary)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the ApplicationMaster's summary cannot be had"),
        }
    }

    fn say(&self, lines: Vec<String>) {
        for line in lines {
            eprintln!("{line}");
        }
    }

    async fn interrupted(&self, interrupts: &mut tokio::signal::unix::Signal) -> CommandError {
        eprintln!(
            "\nno longer waiting; {} goes on. Press Ctrl-C again to kill it",
            self.id
        );
        let second = tokio::time::timeout(SECOND_THOUGHT, interrupts.recv()).await;
        if second.is_ok_and(|signal| signal.is_some()) {
            self.kill("killed by Ctrl-C of its submitter").await;
            return CommandError::new(
                Exit::Interrupted,
                format!("interrupted, and {} was killed", self.id),
            );
        }
        CommandError::new(Exit::Interrupted, format!("interrupted; {} goes on", self.id)).help(format!(
            "to kill it: drawloom kill {0}; to look at it: drawloom status {0}",
            self.id
        ))
    }

    async fn timed_out(&self) -> CommandError {
        self.kill("killed at the end of its submitter's --timeout").await;
        CommandError::new(
            Exit::TimedOut,
            format!("{} took longer than --timeout and was killed", self.id),
        )
    }

    async fn kill(&self, reason: &str) {
        if let Err(error) = kill(self.client, self.id, reason).await {
            eprint!("{}", error.render(false));
        }
    }
}

fn no_signals(error: std::io::Error) -> CommandError {
    CommandError::refused("signals cannot be handled").caused_by(error)
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

/// What the ApplicationMaster says of itself, through the proxy that the report names.
///
/// # Errors
/// The proxy or the ApplicationMaster does not answer.
pub(crate) async fn summary(report: &AppReport, user: &str) -> anyhow::Result<Option<Summary>> {
    let Some(url) = report.tracking_url.as_deref() else {
        return Ok(None);
    };
    let Some((origin, path)) = split_url(url) else {
        return Ok(None);
    };
    let proxy = Client::builder(Auth::simple(user))
        .resource_manager(origin)
        .deadline(Duration::from_secs(5))
        .rounds(1)
        .build()?;
    let request = http::Request::get(format!("{path}{}?user.name={user}", am::summary::PATH));
    let body = proxy.send(request.body(bytes::Bytes::new())?).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Origin and directory of a URL.
fn split_url(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if path.is_empty() || path.ends_with('/') {
        ""
    } else {
        "/"
    };
    Some((format!("{scheme}://{host}"), format!("/{path}{slash}")))
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
pub(crate) fn conclude(since: Instant, report: &AppReport) -> Result<(), CommandError> {
    let (exit, word) = verdict(report);
    eprintln!("{}", line(since.elapsed(), "verdict", word));
    if exit == Exit::Succeeded {
        return Ok(());
    }
    let id = report.id;
    Err(CommandError::new(exit, format!("{id} {word}"))
        .because(diagnosis(report))
        .help(format!("logs of all containers: drawloom logs {id}")))
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
    fn a_tracking_url_is_taken_apart() {
        let split = |url| split_url(url).unwrap();
        assert_eq!(
            split("http://rm:8088/proxy/app/"),
            ("http://rm:8088".into(), "/proxy/app/".into())
        );
        assert_eq!(split("https://h"), ("https://h".into(), "/".into()));
        assert_eq!(split("http://h/a"), ("http://h".into(), "/a/".into()));
    }

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
