//! What the ApplicationMaster is shown of the driver, and how often: progress at every look at which it is another one,
//! because the ResourceManager is told of it; the whole state for the pages at intervals that grow with its length, so
//! that a large job does not fill the line with it.

use std::time::Duration;

use am::relay::RelayedView;
use wire::launcher::LauncherCommand;

/// From one showing of the state to the next, at least.
const PAUSE: Duration = Duration::from_secs(2);
/// How much of the line showing may take, in bytes a second.
const RATE: usize = 256 << 10;
/// The longest state that is shown, in bytes: well within a frame.
const LONGEST: usize = 8 << 20;

/// What was shown, and what is to be.
#[derive(Debug, Default)]
pub(super) struct Showing {
    /// When the state is shown next, since the driver's start.
    due: Duration,
    progress: Option<(u64, u64)>,
    /// The state is too long, and that was said.
    too_long: bool,
}

impl Showing {
    /// Somebody new listens, who was shown nothing.
    pub(super) fn begin_again(&mut self) {
        (self.due, self.progress) = (Duration::ZERO, None);
    }

    /// Whether it is time for the whole state.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due <= now
    }

    /// Finished and known tasks, unless they were told.
    pub(super) fn progress(&mut self, progress: (u64, u64)) -> Option<LauncherCommand> {
        let (done, known) = progress;
        let fresh = self.progress.replace(progress) != Some(progress);
        fresh.then_some(LauncherCommand::Progress { done, known })
    }

    /// The whole state.
    pub(super) fn state(&mut self, now: Duration, view: &RelayedView) -> Option<LauncherCommand> {
        let json = serde_json::to_vec(view)
            .inspect_err(|error| tracing::warn!(%error, "the driver's state cannot be shown"))
            .unwrap_or_default();
        self.due = now + pause_after(json.len());
        let too_long = json.len() > LONGEST;
        if too_long && !std::mem::replace(&mut self.too_long, too_long) {
            let (bytes, limit) = (json.len(), LONGEST);
            tracing::warn!(
                bytes,
                limit,
                "the driver's state is too long for the ApplicationMaster's pages, which stay as they are"
            );
        }
        (!json.is_empty() && !too_long).then(|| LauncherCommand::Show(json.into()))
    }
}

/// How long nothing is shown after a state of so many bytes.
fn pause_after(bytes: usize) -> Duration {
    Duration::from_millis((bytes * 1000 / RATE) as u64).max(PAUSE)
}

#[cfg(test)]
mod tests {
    use driver::core::Driver;

    use super::*;
    use crate::job::JobFile;
    use crate::settings::{Layers, Resolved};

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn view() -> RelayedView {
        let text = "version: 1\nstages: [{ name: a, tasks: 7, shell: x }]\n";
        let job = JobFile::parse(std::path::Path::new("job.yaml"), text).unwrap();
        let settings = Resolved::of(&Layers::default()).unwrap();
        let home = "file:///home/ada".parse().unwrap();
        let planned = crate::plan::resolve(&job, &settings, &home).unwrap();
        RelayedView {
            started_unix_ms: 1,
            snapshot: Driver::new(planned.plan).snapshot(),
        }
    }

    #[test]
    fn progress_is_told_once_and_to_everybody_new() {
        let mut showing = Showing::default();
        let told = Some(LauncherCommand::Progress { done: 1, known: 7 });
        assert_eq!(showing.progress((1, 7)), told);
        assert_eq!(showing.progress((1, 7)), None);
        assert!(showing.progress((2, 7)).is_some());
        showing.begin_again();
        assert!(showing.progress((2, 7)).is_some());
    }

    #[test]
    fn a_short_state_is_shown_every_two_seconds_and_a_long_one_less_often() {
        let mut showing = Showing::default();
        assert!(showing.is_due(S(0)));
        assert!(matches!(
            showing.state(S(1), &view()),
            Some(LauncherCommand::Show(_))
        ));
        assert!(!showing.is_due(S(2)) && showing.is_due(S(3)));
        assert_eq!(pause_after(3 << 20), S(12));
    }

    #[test]
    fn a_state_that_is_too_long_keeps_nobody_from_the_progress() {
        let mut long = view();
        long.snapshot.name = "x".repeat(LONGEST);
        let mut showing = Showing::default();
        assert_eq!(showing.state(S(1), &long), None);
        assert!(!showing.is_due(S(3)));
        assert!(showing.progress((3, 7)).is_some());
    }
}
