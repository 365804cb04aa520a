use super::*;
use wire::launcher::ExecutorTarget;
use wire::version::PROTOCOL;

const S: fn(u64) -> Duration = Duration::from_secs;
const BOOT: BootNonce = BootNonce(7);

struct Bench {
    session: Session,
    effects: Vec<Effect>,
}

impl Bench {
    fn new() -> Self {
        let hello = DriverHello {
            protocol: PROTOCOL,
            build: "abc".into(),
            application: "application_1_0001".into(),
        };
        Self {
            session: Session::new(hello, BOOT),
            effects: Vec::new(),
        }
    }

    fn serving() -> Self {
        let mut bench = Self::new();
        bench.at(0, Event::AddressLearned("n1:1".into()));
        bench.at(0, Event::Connected);
        bench.hear(0, 1, welcome());
        bench
    }

    fn at(&mut self, seconds: u64, event: Event) -> Vec<Effect> {
        self.session.handle(S(seconds), event, &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    fn hear(&mut self, seconds: u64, epoch: u32, message: LauncherMessage) -> Vec<Effect> {
        let envelope = Envelope {
            epoch: Epoch(epoch),
            boot: BOOT,
            message,
        };
        self.at(seconds, Event::Received(envelope))
    }
}

fn welcome() -> LauncherMessage {
    LauncherMessage::Welcome(DriverWelcome {
        heartbeat: S(3),
        silence: S(15),
        reconnect: S(60),
    })
}

fn sends(effects: &[Effect]) -> Vec<&DriverMessage> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(envelope) => Some(&envelope.message),
            _ => None,
        })
        .collect()
}

#[test]
fn it_dials_greets_and_serves() {
    let mut bench = Bench::new();
    assert_eq!(bench.session.next_deadline(), None);
    let dial = bench.at(0, Event::AddressLearned("n1:1".into()));
    assert_eq!(dial, [Effect::Dial("n1:1".into())]);
    let hello = bench.at(1, Event::Connected);
    assert!(matches!(sends(&hello)[..], [DriverMessage::Hello(_)]));
    assert_eq!(bench.hear(1, 1, welcome()), [Effect::LinkUp]);
    assert_eq!(bench.session.next_deadline(), Some(S(4)));
    assert_eq!(sends(&bench.at(4, Event::Tick)), [&DriverMessage::Heartbeat]);
}

#[test]
fn silence_ends_the_connection_and_it_is_dialled_again() {
    let mut bench = Bench::serving();
    let lost = bench.at(15, Event::Tick);
    assert_eq!(lost[0], Effect::Disconnect);
    assert!(matches!(lost[1], Effect::LinkDown(_)));
    assert_eq!(bench.at(16, Event::Tick), [Effect::Dial("n1:1".into())]);
    bench.at(16, Event::ConnectionLost("refused".into()));
    assert!(bench.session.next_deadline().unwrap() <= S(17) + DIALS.delay(1));
}

#[test]
fn a_new_address_is_dialled_without_waiting() {
    let mut bench = Bench::serving();
    bench.at(1, Event::ConnectionLost("reset".into()));
    assert!(bench.at(1, Event::AddressLearned("n1:1".into())).is_empty());
    let dial = bench.at(1, Event::AddressLearned("n2:2".into()));
    assert_eq!(dial, [Effect::Dial("n2:2".into())]);
}

#[test]
fn a_verdict_is_said_on_every_connection_until_it_is_acknowledged() {
    let mut bench = Bench::serving();
    let finish = || DriverMessage::Command(LauncherCommand::Finish(Verdict::Succeeded));
    let said = bench.at(1, Event::Command(LauncherCommand::Finish(Verdict::Succeeded)));
    assert_eq!(sends(&said), [&finish()]);
    bench.at(2, Event::ConnectionLost("reset".into()));
    bench.at(3, Event::Tick);
    bench.at(3, Event::Connected);
    let again = bench.hear(3, 2, welcome());
    assert_eq!(sends(&again), [&finish()]);
    assert_eq!(bench.hear(4, 2, LauncherMessage::Concluded), [Effect::Disconnect]);
    bench.at(5, Event::ConnectionLost("closed".into()));
    assert_eq!(bench.session.next_deadline(), None);
    // The attempt that knew it was lost before the ResourceManager heard of it.
    bench.at(6, Event::AddressLearned("n2:2".into()));
    bench.at(6, Event::Connected);
    assert_eq!(sends(&bench.hear(6, 3, welcome())), [&finish()]);
}

#[test]
fn other_commands_are_not_kept() {
    let mut bench = Bench::serving();
    bench.at(1, Event::ConnectionLost("reset".into()));
    let target = LauncherCommand::SetTarget(ExecutorTarget::default());
    assert!(bench.at(1, Event::Command(target)).is_empty());
}

#[test]
fn what_a_replaced_application_master_says_changes_nothing() {
    let mut bench = Bench::serving();
    bench.hear(1, 2, LauncherMessage::Heartbeat);
    let report = LauncherMessage::Report(LauncherReport::ResourceManagerHeard { ago: Duration::ZERO });
    assert!(bench.hear(2, 1, report.clone()).is_empty());
    assert_eq!(bench.hear(2, 2, report).len(), 1);
}

#[test]
fn a_refusal_is_told_unless_the_application_ends_anyway() {
    for (reason, told) in [(Refusal::Fenced, true), (Refusal::Ending, false)] {
        let mut bench = Bench::new();
        bench.at(0, Event::AddressLearned("n1:1".into()));
        bench.at(0, Event::Connected);
        let message = "no".to_owned();
        let effects = bench.hear(0, 1, LauncherMessage::Refused { reason, message });
        assert_eq!(effects.contains(&Effect::Refused("no".into())), told);
        assert_eq!(bench.session.next_deadline(), None);
    }
}
