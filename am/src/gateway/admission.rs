//! Who gets in: a pure decision.
//!
//! The checks come in this order, so that the most telling refusal wins: protocol version, application, build,
//! epoch, known executor, life.

use wire::id::{BootNonce, Epoch};
use wire::launcher::DriverHello;
use wire::message::{Hello, Refusal};
use wire::version::{PROTOCOL, Version};

/// What an executor must agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Our application.
    pub application: String,
    /// Our build.
    pub build: String,
    /// Our attempt.
    pub epoch: Epoch,
    /// The application has its verdict.
    pub ending: bool,
}

/// What the launcher knows of the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Its container was started and has not ended; the life that registered from it, if any.
    Live(Option<BootNonce>),
    /// Its container was ours and was given up.
    GivenUp,
    /// No container of ours.
    Unknown,
}

/// Why somebody does not get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// It is refused with these words.
    Refuse(Refusal, String),
    /// It has seen a later attempt of the application than this one: it is us who must go.
    HigherEpoch(Epoch),
}

impl Gate {
    /// Decides about a first frame.
    ///
    /// # Errors
    /// The reason to refuse.
    pub fn check(&self, hello: &Hello, epoch: Epoch, boot: BootNonce, known: Known) -> Result<(), Denial> {
        self.check_kind(hello.protocol, &hello.application, &hello.build, epoch)?;
        self.check_life(hello, boot, known)
    }

    /// Decides about the first frame of a driver in the client. `life` is the one that registered before, if any.
    ///
    /// # Errors
    /// The reason to refuse.
    pub fn check_driver(
        &self,
        hello: &DriverHello,
        epoch: Epoch,
        boot: BootNonce,
        life: Option<BootNonce>,
    ) -> Result<(), Denial> {
        self.check_kind(hello.protocol, &hello.application, &hello.build, epoch)?;
        match life {
            _ if self.ending => refuse(Refusal::Ending, "the application is ending".to_owned()),
            Some(other) if other != boot => refuse(
                Refusal::Fenced,
                "another driver of this application is registered".to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// What holds for whoever dials.
    fn check_kind(
        &self,
        protocol: Version,
        application: &str,
        build: &str,
        epoch: Epoch,
    ) -> Result<(), Denial> {
        if !PROTOCOL.understands(protocol) {
            let text = format!("this ApplicationMaster speaks protocol {PROTOCOL}, not {protocol}");
            return refuse(Refusal::ProtocolVersion, text);
        }
        if application != self.application {
            let text = format!("this is {}, not {application}", self.application);
            return refuse(Refusal::WrongApplication, text);
        }
        if build != self.build {
            let text = format!("this is build {}, not {}", short(&self.build), short(build));
            return refuse(Refusal::Build, text);
        }
        if epoch > self.epoch {
            return Err(Denial::HigherEpoch(epoch));
        }
        Ok(())
    }

    fn check_life(&self, hello: &Hello, boot: BootNonce, known: Known) -> Result<(), Denial> {
        match known {
            Known::Unknown => refuse(
                Refusal::UnknownExecutor,
                format!("{} is no container of ours", hello.executor),
            ),
            Known::GivenUp => refuse(Refusal::Fenced, format!("{} was given up", hello.executor)),
            Known::Live(Some(other)) if other != boot => refuse(
                Refusal::Fenced,
                format!("life {other} of {} is registered", hello.executor),
            ),
            Known::Live(_) if self.ending => refuse(Refusal::Ending, "the application is ending".to_owned()),
            Known::Live(_) => Ok(()),
        }
    }
}

fn refuse(reason: Refusal, text: String) -> Result<(), Denial> {
    Err(Denial::Refuse(reason, text))
}

/// The first twelve characters, which tell builds apart well enough.
fn short(build: &str) -> String {
    build.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let application = "application_1_0001".to_owned();
        Gate {
            application,
            build: "abc".into(),
            epoch: Epoch(2),
            ending: false,
        }
    }

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL,
            build: "abc".into(),
            application: "application_1_0001".into(),
            executor: "container_1_0001_02_000002".parse().unwrap(),
            host: "nm1".into(),
            pid: 1,
            slots: 2,
            memory: 1 << 29,
            started_unix_ms: 0,
            running: vec![],
        }
    }

    const BOOT: BootNonce = BootNonce(7);
    const LIVE: Known = Known::Live(None);

    fn reason(gate: &Gate, hello: &Hello, known: Known) -> Refusal {
        match gate.check(hello, Epoch(2), BOOT, known) {
            Err(Denial::Refuse(reason, _)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_executor_of_ours_gets_in_and_may_come_back() {
        assert_eq!(gate().check(&hello(), Epoch(1), BOOT, LIVE), Ok(()));
        assert_eq!(
            gate().check(&hello(), Epoch(2), BOOT, Known::Live(Some(BOOT))),
            Ok(())
        );
    }

    #[test]
    fn each_mismatch_has_its_refusal_and_the_first_one_wins() {
        let (gate, mut hello) = (gate(), hello());
        assert_eq!(reason(&gate, &hello, Known::Unknown), Refusal::UnknownExecutor);
        assert_eq!(reason(&gate, &hello, Known::GivenUp), Refusal::Fenced);
        assert_eq!(
            reason(&gate, &hello, Known::Live(Some(BootNonce(8)))),
            Refusal::Fenced
        );
        hello.build = "other".into();
        assert_eq!(reason(&gate, &hello, Known::Unknown), Refusal::Build);
        hello.application = "application_1_0002".into();
        assert_eq!(reason(&gate, &hello, Known::Unknown), Refusal::WrongApplication);
        hello.protocol = Version { major: 99, minor: 0 };
        assert_eq!(reason(&gate, &hello, Known::Unknown), Refusal::ProtocolVersion);
    }

    #[test]
    fn an_ending_application_takes_nobody_in() {
        let gate = Gate {
            ending: true,
            ..gate()
        };
        assert_eq!(reason(&gate, &hello(), LIVE), Refusal::Ending);
    }

    #[test]
    fn one_driver_gets_in_and_may_come_back_until_the_end() {
        let hello = DriverHello {
            protocol: PROTOCOL,
            build: "abc".into(),
            application: "application_1_0001".into(),
        };
        let check = |gate: &Gate, life| gate.check_driver(&hello, Epoch(2), BOOT, life);
        let gate = gate();
        assert_eq!(check(&gate, None), Ok(()));
        assert_eq!(check(&gate, Some(BOOT)), Ok(()));
        let refused = |denial| match denial {
            Err(Denial::Refuse(reason, _)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(check(&gate, Some(BootNonce(8)))), Refusal::Fenced);
        let gate = Gate { ending: true, ..gate };
        assert_eq!(refused(check(&gate, Some(BOOT))), Refusal::Ending);
    }

    #[test]
    fn a_later_attempt_is_recognised() {
        let denial = gate().check(&hello(), Epoch(3), BOOT, LIVE);
        assert_eq!(denial, Err(Denial::HigherEpoch(Epoch(3))));
    }
}
