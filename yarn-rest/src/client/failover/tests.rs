use std::time::Duration;

use http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof, proptest};
use reqwest::Url;

use super::{Failover, Outcome, Step};
use crate::error::Error;
use crate::request::Replay;

const TARGET: &str = "/ws/v1/cluster/info?user.name=alice";

fn failover(replay: Replay) -> Failover {
    let order = ["rm1:1", "rm2:1"].map(|text| text.parse().unwrap()).to_vec();
    Failover::new(order, TARGET.parse().unwrap(), replay, 2)
}

/// A step as text.
fn show(step: Step) -> String {
    match step {
        Step::Send(url) => format!("send {url}"),
        Step::Pause => "pause".to_owned(),
        Step::Deliver => "deliver".to_owned(),
        Step::GiveUp(error) => format!("give up: {error}"),
    }
}

fn unreached() -> Outcome {
    Outcome::Unreached("Connection refused".to_owned())
}

fn standby() -> Outcome {
    Outcome::NotActive("standby".to_owned())
}

fn busy() -> Error {
    let body = br#"{"RemoteException":{"exception":"StandbyException","message":"not yet"}}"#;
    Error::from_answer(StatusCode::SERVICE_UNAVAILABLE, body)
}

/// The steps that follow on outcomes, resuming after each pause.
fn run(mut machine: Failover, outcomes: Vec<Outcome>) -> Vec<String> {
    let mut steps = vec![show(machine.resume())];
    for outcome in outcomes {
        let step = machine.after(outcome);
        let pause = matches!(step, Step::Pause);
        steps.push(show(step));
        if pause {
            steps.push(show(machine.resume()));
        }
    }
    steps
}

#[test]
fn refused_addresses_are_tried_in_turn_and_in_rounds() {
    let steps = run(
        failover(Replay::Unsafe),
        vec![unreached(), unreached(), unreached(), unreached()],
    );
    insta::assert_snapshot!(steps.join("\n"), @r"
    send http://rm1:1/ws/v1/cluster/info?user.name=alice
    send http://rm2:1/ws/v1/cluster/info?user.name=alice
    pause
    send http://rm1:1/ws/v1/cluster/info?user.name=alice
    send http://rm2:1/ws/v1/cluster/info?user.name=alice
    give up: no ResourceManager answered: http://rm1:1: Connection refused; http://rm2:1: Connection refused
    ");
}

#[test]
fn a_redirect_is_followed_and_its_answer_delivered() {
    let target = Url::parse("http://rm9:1/ws/v1/cluster/info?user.name=alice").unwrap();
    let mut machine = failover(Replay::Safe);
    machine.resume();
    assert_eq!(
        show(machine.after(Outcome::Redirected(target.clone()))),
        format!("send {target}")
    );
    assert_eq!(show(machine.after(Outcome::Done)), "deliver");
    assert_eq!(machine.current().unwrap().as_str(), "http://rm9:1");
}

#[test]
fn a_redirect_to_a_dead_address_leads_back_to_the_others() {
    let dead = Outcome::Redirected(Url::parse("http://rm9:1/").unwrap());
    let steps = run(failover(Replay::Unsafe), vec![dead, unreached()]);
    assert_eq!(
        steps.last().unwrap(),
        "send http://rm2:1/ws/v1/cluster/info?user.name=alice"
    );
}

#[test]
fn standbys_that_redirect_to_each_other_come_to_an_end() {
    let mut machine = failover(Replay::Safe);
    machine.resume();
    let to = |n: usize| Outcome::Redirected(Url::parse(&format!("http://rm{}:1/", n % 2 + 1)).unwrap());
    let steps: Vec<String> = (1..=6).map(|n| show(machine.after(to(n)))).collect();
    assert!(steps[4].starts_with("send"), "{steps:?}");
    assert_eq!(
        steps[5],
        "give up: an unusable redirect from http://rm2:1: it is one of too many"
    );
}

#[test]
fn while_a_standby_answers_only_the_deadline_ends_the_search() {
    let mut machine = failover(Replay::Safe);
    machine.resume();
    for _ in 0..100 {
        assert!(matches!(machine.after(unreached()), Step::Send(_)));
        assert!(matches!(machine.after(standby()), Step::Pause));
        machine.resume();
    }
    let error = machine.into_deadline(Duration::from_secs(1));
    assert!(matches!(error, Error::NoActiveResourceManager { .. }), "{error}");
}

#[test]
fn a_call_nobody_answered_in_time_names_who_was_asked() {
    let mut machine = failover(Replay::Safe);
    machine.resume();
    machine.after(unreached());
    let error = machine.into_deadline(Duration::from_secs(5));
    assert_eq!(
        error.to_string(),
        "no answer within 5 s: http://rm1:1: Connection refused; http://rm2:1: no answer"
    );
}

#[test]
fn a_broken_exchange_is_repeated_only_if_that_does_no_harm() {
    let broken = || Outcome::Broken("connection reset".to_owned());
    let safe = run(failover(Replay::Safe), vec![broken()]);
    assert_eq!(safe[1], "send http://rm2:1/ws/v1/cluster/info?user.name=alice");
    let unsafe_ = run(failover(Replay::Unsafe), vec![broken()]);
    assert_eq!(
        unsafe_[1],
        "give up: the connection broke while the answer was read: connection reset"
    );
}

#[test]
fn a_server_that_stays_busy_is_quoted_in_the_end() {
    let outcomes = (0..4).map(|_| Outcome::Busy(busy())).collect();
    let steps = run(failover(Replay::Safe), outcomes);
    assert_eq!(
        steps.last().unwrap(),
        "give up: the server failed with status 503: `not yet`"
    );
}

#[test]
fn a_refusal_is_final() {
    let refused = Error::from_answer(StatusCode::BAD_REQUEST, b"no");
    let steps = run(failover(Replay::Safe), vec![Outcome::Failed(refused)]);
    assert_eq!(steps[1], "give up: refused: `no`");
}

fn outcomes() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0_u8), Just(1), Just(2), Just(3), Just(4)]
}

fn outcome(kind: u8) -> Outcome {
    match kind {
        0 => unreached(),
        1 => standby(),
        2 => Outcome::Broken("reset".to_owned()),
        3 => Outcome::Busy(busy()),
        _ => Outcome::Redirected(Url::parse("http://rm2:1/x").unwrap()),
    }
}

proptest! {
    /// Whatever happens, a request that must not be repeated goes nowhere after somebody may have acted on it.
    #[test]
    fn an_unsafe_request_is_never_sent_after_a_doubtful_outcome(kinds in vec(outcomes(), 1..40)) {
        let mut machine = failover(Replay::Unsafe);
        machine.resume();
        for kind in kinds {
            let step = machine.after(outcome(kind));
            if kind == 2 || kind == 3 {
                prop_assert!(matches!(step, Step::GiveUp(_)));
            }
            match step {
                Step::GiveUp(_) | Step::Deliver => break,
                Step::Pause => drop(machine.resume()),
                Step::Send(_) => {}
            }
        }
    }

    /// With no standby in sight every search ends.
    #[test]
    fn a_search_without_answers_ends(kinds in vec(prop_oneof![Just(0_u8), Just(2), Just(3)], 4..5)) {
        let mut machine = failover(Replay::Safe);
        machine.resume();
        let mut ended = false;
        for kind in kinds {
            match machine.after(outcome(kind)) {
                Step::GiveUp(_) => ended = true,
                Step::Pause => drop(machine.resume()),
                Step::Send(_) | Step::Deliver => {}
            }
        }
        prop_assert!(ended);
    }
}
