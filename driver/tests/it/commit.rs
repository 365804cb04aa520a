//! Who may put results in place, and when.

use driver::event::{Effect, Event, Verdict};
use driver::view::StageStatus;
use wire::failure::ExecutorLoss;

use crate::rig::{HEARD, Rig, decisions, exit, id, key, plan, seconds, stage, with_output};

fn running() -> Rig {
    let mut rig = Rig::new(plan(2, 1, vec![with_output(stage("a", 1))]));
    rig.register("x", 1);
    rig
}

#[test]
fn the_running_attempt_gets_permission_and_a_repeated_request_the_same_answer() {
    let mut rig = running();
    for _ in 0..2 {
        assert_eq!(
            decisions(&rig.ask_commit("x", id(0, 0, 0))),
            [(id(0, 0, 0), true)]
        );
    }
}

#[test]
fn an_attempt_that_is_not_alive_gets_no_permission() {
    let mut rig = running();
    assert_eq!(
        decisions(&rig.ask_commit("x", id(0, 0, 1))),
        [(id(0, 0, 1), false)]
    );
    rig.fail("x", id(0, 0, 0), exit(1));
    assert_eq!(
        decisions(&rig.ask_commit("x", id(0, 0, 0))),
        [(id(0, 0, 0), false)]
    );
}

#[test]
fn permission_is_free_again_when_its_holder_is_lost() {
    let mut rig = running();
    rig.ask_commit("x", id(0, 0, 0));
    rig.lose("x", ExecutorLoss::Exited(1));
    rig.register("y", 1);
    assert_eq!(
        decisions(&rig.ask_commit("y", id(0, 0, 1))),
        [(id(0, 0, 1), true)]
    );
}

#[test]
fn permission_that_got_lost_is_given_again_once_the_resource_manager_is_heard() {
    let mut rig = running();
    rig.ask_commit("x", id(0, 0, 0));
    rig.pass(seconds(11));
    assert!(rig.ask_commit("x", id(0, 0, 0)).is_empty());
    let heard = rig.send(HEARD);
    assert_eq!(decisions(&heard), [(id(0, 0, 0), true)]);
}

#[test]
fn a_request_waits_while_the_resource_manager_is_silent() {
    let mut rig = running();
    rig.pass(seconds(11));
    assert!(rig.ask_commit("x", id(0, 0, 0)).is_empty());
    assert!(rig.ask_commit("x", id(0, 0, 0)).is_empty());
    assert_eq!(decisions(&rig.send(HEARD)), [(id(0, 0, 0), true)]);
}

#[test]
fn an_answer_that_waited_while_we_stood_still_gives_no_right() {
    let mut rig = running();
    rig.pass(seconds(60));
    assert!(rig.ask_commit("x", id(0, 0, 0)).is_empty());
    let stale = Event::ResourceManagerHeard { ago: seconds(11) };
    assert!(rig.send(stale).is_empty(), "it was asked before we stood still");
    let news = Event::ResourceManagerHeard { ago: seconds(9) };
    assert_eq!(decisions(&rig.send(news)), [(id(0, 0, 0), true)]);
    rig.pass(seconds(2));
    assert!(
        rig.ask_commit("x", id(0, 0, 0)).is_empty(),
        "its ten seconds are over"
    );
}

#[test]
fn a_stage_is_not_marked_while_the_resource_manager_is_silent() {
    let mut rig = running();
    rig.ask_commit("x", id(0, 0, 0));
    rig.pass(seconds(11));
    rig.succeed("x", id(0, 0, 0));
    assert_eq!(rig.stage(0).status, StageStatus::Committing);
    assert_eq!(rig.verdict, None);
    let effects = rig.send(HEARD);
    assert!(effects.contains(&Effect::CommitStage { stage: key(0) }));
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
}

#[test]
fn a_stage_whose_output_cannot_be_marked_fails_the_job() {
    let mut rig = running();
    rig.obliging = false;
    rig.succeed("x", id(0, 0, 0));
    rig.send(Event::StageCommitted {
        stage: key(0),
        result: Err("quota exceeded".to_owned()),
    });
    let cause = "the output of stage a could not be committed: quota exceeded";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}
