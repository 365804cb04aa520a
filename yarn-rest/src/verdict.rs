//! How far an application is, and how it ended.

use crate::diagnostics::AmFailure;
use crate::model::{AppReport, AppState, FinalStatus};

/// How far an application is, for a person who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The ResourceManager writes it down.
    Submitted,
    /// In its queue; no container for the ApplicationMaster yet.
    Accepted,
    /// The ApplicationMaster's container is assigned or starts; it has not registered.
    AmStarting,
    /// The ApplicationMaster has registered.
    Running,
    /// The end is being written down.
    Ending,
    /// Over.
    Ended,
}

/// How an application ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Its ApplicationMaster said that it succeeded.
    Succeeded,
    /// Its ApplicationMaster said that it failed.
    Failed,
    /// The ResourceManager refused it after the submission had been answered with success, for example
    /// because of an unknown queue.
    Refused,
    /// The ResourceManager gave it up: the attempts are used up.
    Lost,
    /// Killed on request.
    Killed {
        /// The user who did it, as the diagnostics name it.
        by: Option<String>,
    },
    /// Killed by the ResourceManager at the end of its lifetime.
    TimedOut,
    /// Its ApplicationMaster unregistered and did not say how it went.
    Unknown,
}

/// What `RMAppLifetimeMonitor` writes into the diagnostics.
const LIFETIME_OVER: &str = "exceeded the lifetime period";

impl AppReport {
    /// Is it over, so that nothing in this report will change any more?
    pub fn is_final(&self) -> bool {
        self.state.is_final()
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        match self.state {
            AppState::New | AppState::NewSaving | AppState::Submitted => Phase::Submitted,
            AppState::Accepted if self.am_host_http_address.is_some() => Phase::AmStarting,
            AppState::Accepted => Phase::Accepted,
            AppState::Finished | AppState::Failed | AppState::Killed => Phase::Ended,
            AppState::FinalSaving | AppState::Finishing | AppState::Killing => Phase::Ending,
            AppState::Running | AppState::Other(_) => Phase::Running,
        }
    }

    /// How it ended; none before the end.
    pub fn final_verdict(&self) -> Option<Verdict> {
        Some(match self.state {
            AppState::Finished => self.said_by_master(),
            AppState::Killed => self.killed(),
            AppState::Failed if self.was_refused() => Verdict::Refused,
            AppState::Failed => Verdict::Lost,
            _ => return None,
        })
    }

    fn said_by_master(&self) -> Verdict {
        match self.final_status {
            FinalStatus::Succeeded => Verdict::Succeeded,
            FinalStatus::Failed | FinalStatus::Ended => Verdict::Failed,
            FinalStatus::Killed => Verdict::Killed { by: None },
            FinalStatus::Undefined | FinalStatus::Other(_) => Verdict::Unknown,
        }
    }

    fn killed(&self) -> Verdict {
        if self.diagnostics.contains(LIFETIME_OVER) {
            return Verdict::TimedOut;
        }
        let by = self
            .diagnostics
            .split_once("was killed by user ")
            .map(|(_, rest)| rest);
        let name = by.and_then(|rest| rest.split_whitespace().next());
        Verdict::Killed {
            by: name.map(|name| name.trim_end_matches(['.', ',']).to_owned()),
        }
    }

    /// A refused application never got as far as an attempt with a container.
    fn was_refused(&self) -> bool {
        let had_master = self.am_host_http_address.is_some() || self.am_container_logs.is_some();
        !had_master && AmFailure::parse(&self.diagnostics).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Verdict};
    use crate::model::AppReport;

    fn report(fields: &str) -> AppReport {
        serde_json::from_str(&format!(r#"{{"id":"application_1_0001",{fields}}}"#)).unwrap()
    }

    fn verdict(fields: &str) -> Option<Verdict> {
        report(fields).final_verdict()
    }

    #[test]
    fn phases_rise_from_submission_to_the_end() {
        let phase = |fields: &str| report(fields).phase();
        let phases = [
            phase(r#""state":"NEW_SAVING""#),
            phase(r#""state":"ACCEPTED""#),
            phase(r#""state":"ACCEPTED","amHostHttpAddress":"n1:8042""#),
            phase(r#""state":"RUNNING""#),
            phase(r#""state":"KILLING""#),
            phase(r#""state":"KILLED""#),
        ];
        let wanted = [
            Phase::Submitted,
            Phase::Accepted,
            Phase::AmStarting,
            Phase::Running,
            Phase::Ending,
            Phase::Ended,
        ];
        assert_eq!(phases, wanted);
        assert!(phases.is_sorted());
    }

    #[test]
    fn there_is_no_verdict_before_the_end() {
        assert_eq!(verdict(r#""state":"RUNNING","finalStatus":"UNDEFINED""#), None);
        assert_eq!(verdict(r#""state":"ACCEPTED""#), None);
    }

    #[test]
    fn a_finished_application_is_what_its_master_said() {
        let said =
            |status: &str| verdict(&format!(r#""state":"FINISHED","finalStatus":"{status}""#)).unwrap();
        assert_eq!(said("SUCCEEDED"), Verdict::Succeeded);
        assert_eq!(said("FAILED"), Verdict::Failed);
        assert_eq!(said("KILLED"), Verdict::Killed { by: None });
        assert_eq!(said("UNDEFINED"), Verdict::Unknown);
    }

    #[test]
    fn an_unknown_queue_is_a_refusal_and_a_dead_master_a_loss() {
        let refused = r#""state":"FAILED","diagnostics":"Application application_1_0001 submitted by user alice to unknown queue: nope""#;
        let lost = r#""state":"FAILED","diagnostics":"Application application_1_0001 failed 2 times due to AM Container for appattempt_1_0001_000002 exited with  exitCode: 1\n""#;
        assert_eq!(verdict(refused), Some(Verdict::Refused));
        assert_eq!(verdict(lost), Some(Verdict::Lost));
    }

    #[test]
    fn who_killed_it_is_read_from_the_diagnostics() {
        let killed = |text: &str| verdict(&format!(r#""state":"KILLED","diagnostics":"{text}""#)).unwrap();
        let by = |name: &str| Verdict::Killed {
            by: Some(name.to_owned()),
        };
        assert_eq!(
            killed("Application application_1_0001 was killed by user dr.who at 127.0.0.1"),
            by("dr.who")
        );
        assert_eq!(
            killed(
                "Application application_1_0001 was killed by user alice with diagnostic message: because"
            ),
            by("alice")
        );
        assert_eq!(killed(""), Verdict::Killed { by: None });
        assert_eq!(
            killed("Application is killed by ResourceManager as it has exceeded the lifetime period."),
            Verdict::TimedOut
        );
    }
}
