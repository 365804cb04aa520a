//! One-to-one edges, gangs and second copies.

use std::time::Duration;

use driver::event::{Effect, Event, Verdict};
use driver::plan::AppPlan;
use driver::policy::JobPlan;
use driver::view::StageStatus;
use wire::failure::ExecutorLoss;
use wire::id::TaskAttemptId;

use crate::rig::{HEARD, Rig, cancels, exit, id, launches, plan, seconds, stage};

fn pair(tasks: u32, others: u32) -> AppPlan {
    let mut second = stage("b", others);
    second.scheduling.with = vec![0];
    plan(2, 2, vec![stage("a", tasks), second])
}

#[test]
fn a_task_with_a_predecessor_starts_when_that_one_is_done_and_where_it_ran() {
    let mut rig = Rig::new(pair(4, 4));
    rig.register("x", 2);
    rig.register("y", 2);
    let place = rig.task(0, 2).executor.unwrap().to_string();
    let launched = launches(&rig.succeed(&place, id(0, 2, 0)));
    assert_eq!(launched, [(place, id(1, 2, 0))]);
    assert_eq!(rig.stage(1).pending, 0);
}

#[test]
fn stages_that_go_together_need_the_same_number_of_tasks() {
    let rig = Rig::new(pair(4, 3));
    let cause = "stage b has 3 tasks and goes with stage a, which has 4: both need the same number";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

fn gang(tasks: u32) -> AppPlan {
    let mut gang = stage("g", tasks);
    gang.scheduling.gang = true;
    plan(2, 2, vec![gang, stage("other", 8)])
}

#[test]
fn a_gang_starts_whole_and_holds_back_what_comes_after_it() {
    let mut rig = Rig::new(gang(3));
    assert_eq!(
        launches(&rig.register("x", 2)).len(),
        2,
        "the gang does not fit yet: others go"
    );
    let launched = launches(&rig.register("y", 2));
    assert!(launched.is_empty(), "{launched:?}");
    let launched = launches(&rig.succeed("x", id(1, 0, 0)));
    let gang: Vec<_> = launched.iter().map(|(_, id)| id.stage.stage).collect();
    assert_eq!(gang, [0, 0, 0]);
}

fn again(mut id: TaskAttemptId, stage_attempt: u32) -> TaskAttemptId {
    id.stage.stage_attempt = stage_attempt;
    id
}

#[test]
fn a_failure_in_a_gang_restarts_all_of_it() {
    let mut rig = Rig::new(gang(3));
    rig.register("x", 2);
    rig.succeed("x", id(1, 0, 0));
    rig.register("y", 2);
    rig.succeed("x", id(1, 1, 0));
    let all: Vec<_> = (0..3)
        .map(|task| (rig.task(0, task).executor.unwrap().to_string(), id(0, task, 0)))
        .collect();
    rig.succeed(&all[2].0, all[2].1);
    let effects = rig.fail(&all[0].0, all[0].1, exit(1));
    assert_eq!(cancels(&effects), [id(0, 1, 0)]);
    assert_eq!((rig.stage(0).succeeded, rig.stage(0).key.stage_attempt), (0, 1));
    let killed = wire::failure::FailureCause::Killed(wire::failure::KillReason::StageEnded);
    rig.fail(&all[1].0, all[1].1, wire::failure::TaskFailure::new(killed));
    let mut attempts = Vec::new();
    for task in 0..8 {
        let view = rig.task(1, task);
        if let Some(place) = view.executor.filter(|_| view.progress < 1.0) {
            attempts.extend(launches(
                &rig.succeed(place.as_str(), id(1, task, view.attempts - 1)),
            ));
        }
    }
    let mut restarted: Vec<_> = attempts
        .into_iter()
        .filter(|(_, id)| id.stage.stage == 0)
        .map(|(_, id)| id)
        .collect();
    restarted.sort();
    let expected = [
        again(id(0, 0, 1), 1),
        again(id(0, 1, 1), 1),
        again(id(0, 2, 1), 1),
    ];
    assert_eq!(restarted, expected);
}

#[test]
fn a_gang_larger_than_all_executors_is_refused() {
    let rig = Rig::new(gang(5));
    assert!(matches!(rig.verdict, Some(Verdict::Failed(cause)) if cause.contains("is a gang of 5 tasks")));
}

fn speculating(tasks: u32) -> Rig {
    let mut fast = plan(2, 2, vec![stage("a", tasks)]);
    fast.scheduling.speculation.enabled = true;
    fast.scheduling.speculation.quantile = 0.5;
    let mut rig = Rig::new(fast);
    rig.register("x", 2);
    rig.register("y", 2);
    rig
}

/// All but the last task took a second.
fn slow() -> (Rig, String) {
    let mut rig = speculating(4);
    rig.pass(seconds(1));
    for task in 0..3 {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    let place = rig.task(0, 3).executor.unwrap().to_string();
    (rig, place)
}

#[test]
fn a_task_much_slower_than_the_median_gets_a_copy_on_another_node() {
    let (mut rig, place) = slow();
    assert!(launches(&rig.pass(seconds(2))).is_empty());
    let launched = launches(&rig.pass(seconds(1)));
    let other = if place == "x" { "y" } else { "x" };
    assert_eq!(launched, [(other.to_owned(), id(0, 3, 1))]);
    assert!(launches(&rig.pass(seconds(9))).is_empty(), "one copy is enough");
}

#[test]
fn a_task_that_has_hardly_run_is_never_slow_however_quick_the_others_were() {
    let mut rig = speculating(4);
    rig.pass(Duration::from_millis(1));
    for task in 0..3 {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    assert!(launches(&rig.pass(Duration::from_millis(98))).is_empty());
    assert_eq!(launches(&rig.pass(Duration::from_millis(200))).len(), 1);
}

/// Eight tasks on x and y, of which all but these took ten seconds, and these report progress then: what is begun in the
/// half second that follows.
fn reporting(open: &[(u32, f32)]) -> (Rig, Vec<TaskAttemptId>) {
    let mut plan = plan(2, 4, vec![stage("a", 8)]);
    plan.scheduling.speculation.enabled = true;
    plan.scheduling.speculation.quantile = 1.0;
    let mut rig = Rig::new(plan);
    rig.register("x", 4);
    rig.register("y", 4);
    rig.pass(seconds(10));
    rig.progress = open.iter().copied().collect();
    for task in (0..8).filter(|task| open.iter().all(|(other, _)| other != task)) {
        let place = rig.task(0, task).executor.unwrap();
        rig.succeed(place.as_str(), id(0, task, 0));
    }
    // Both are heard before anybody looks for slow tasks again.
    rig.beat("x");
    rig.beat("y");
    let launched = begun(&mut rig, 5);
    (rig, launched)
}

/// What is begun in so many tenths of a second.
fn begun(rig: &mut Rig, tenths: u32) -> Vec<TaskAttemptId> {
    let tenth = std::time::Duration::from_millis(100);
    let all = (0..tenths).flat_map(|_| launches(&rig.pass(tenth)));
    all.map(|(_, id)| id).collect()
}

#[test]
fn a_task_whose_progress_promises_a_later_end_than_a_copy_gets_one() {
    // A quarter in ten seconds: thirty to go, and a copy takes ten.
    let (_, launched) = reporting(&[(5, 0.25)]);
    assert_eq!(launched, [id(0, 5, 1)]);
}

#[test]
fn a_task_that_will_be_done_before_a_copy_gets_none_however_long_it_takes() {
    let (mut rig, launched) = reporting(&[(5, 0.6)]);
    assert!(launched.is_empty(), "{launched:?}");
    rig.progress.insert(5, 0.9);
    assert!(begun(&mut rig, 200).is_empty());
}

#[test]
fn the_task_whose_copy_gains_most_is_first_and_the_next_waits_a_second() {
    let (mut rig, launched) = reporting(&[(2, 0.2), (5, 0.1)]);
    assert_eq!(launched, [id(0, 5, 1)]);
    assert!(begun(&mut rig, 3).is_empty());
    assert_eq!(begun(&mut rig, 10), [id(0, 2, 1)]);
}

#[test]
fn progress_is_trusted_once_a_task_is_done() {
    let all: Vec<_> = (0..8).map(|task| (task, 0.01)).collect();
    let (_, launched) = reporting(&all);
    assert!(launched.is_empty(), "{launched:?}");
}

#[test]
fn a_stage_of_one_task_and_a_gang_get_no_copies() {
    let mut rig = speculating(1);
    assert!(launches(&rig.pass(seconds(100))).is_empty());
    assert_eq!(rig.stage(0).running, 1);
    let mut plan = gang(3);
    plan.stages.truncate(1);
    plan.scheduling.speculation.enabled = true;
    let mut rig = Rig::new(plan);
    rig.register("x", 2);
    let gang = launches(&rig.register("y", 2));
    rig.pass(seconds(1));
    for (place, id) in &gang[..2] {
        rig.succeed(place, *id);
    }
    assert!(launches(&rig.pass(seconds(100))).is_empty());
}

#[test]
fn the_first_of_two_copies_wins_and_the_other_is_cancelled() {
    let (mut rig, place) = slow();
    let (other, copy) = launches(&rig.pass(seconds(3))).remove(0);
    let effects = rig.succeed(&other, copy);
    assert_eq!(cancels(&effects), [id(0, 3, 0)]);
    assert_eq!(rig.verdict, Some(Verdict::Succeeded));
    assert_ne!(place, other);
}

#[test]
fn a_task_whose_copy_runs_is_not_run_a_third_time_when_it_fails() {
    let (mut rig, place) = slow();
    let (other, copy) = launches(&rig.pass(seconds(3))).remove(0);
    assert!(launches(&rig.fail(&place, id(0, 3, 0), exit(1))).is_empty());
    assert_eq!(launches(&rig.lose(&other, ExecutorLoss::Preempted)).len(), 1);
    assert_ne!(copy, id(0, 3, 0));
}

#[test]
fn nothing_is_speculated_before_enough_tasks_are_done() {
    let mut rig = speculating(4);
    rig.pass(seconds(1));
    rig.succeed(rig.task(0, 0).executor.unwrap().to_string().as_str(), id(0, 0, 0));
    assert!(launches(&rig.pass(seconds(60))).is_empty());
    assert!(rig.send(HEARD).is_empty());
}

#[test]
fn a_gang_that_the_executors_left_cannot_hold_fails_with_the_reason() {
    let mut rig = Rig::new(gang(3));
    rig.register("x", 2);
    rig.send(Event::LauncherGaveUp {
        reason: "executors keep failing".to_owned(),
    });
    let cause = "executors keep failing; the 3 tasks of stage g start together, \
                 and the executors left have no room for all";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

fn lack_of_room(room: u32) -> Event {
    let reason = "the nodes are small".to_owned();
    Event::RoomLacked { reason, room }
}

#[test]
fn a_lack_of_room_ends_the_gang_that_it_is_too_small_for_and_nothing_else() {
    let job = |name: &str| JobPlan {
        name: name.to_owned(),
        pool: None,
        after: Vec::new(),
    };
    let mut together = stage("g", 3);
    together.scheduling.gang = true;
    together.scheduling.job = 1;
    let mut both = plan(4, 1, vec![stage("a", 1), together]);
    both.scheduling.jobs = vec![job("plain"), job("gang")];
    let mut rig = Rig::new(both);
    rig.register("x", 1);
    rig.send(lack_of_room(3));
    assert_eq!(
        rig.stage(1).status,
        StageStatus::Running,
        "there is room for all of it"
    );
    rig.send(lack_of_room(2));
    assert_eq!(rig.stage(1).status, StageStatus::Abandoned);
    rig.lose("x", ExecutorLoss::Preempted);
    assert_eq!(rig.verdict, None, "the other job waits for the next executor");
    let [(_, last)] = launches(&rig.register("y", 1))[..] else {
        panic!("the task that was lost starts again")
    };
    rig.succeed("y", last);
    let cause = "the nodes are small; the 3 tasks of stage g start together, \
                 and the executors left have no room for all";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn a_lack_of_room_for_any_executor_ends_what_has_none_and_none_coming() {
    let mut rig = Rig::new(plan(2, 1, vec![stage("a", 2)]));
    rig.send(lack_of_room(1));
    assert_eq!(rig.verdict, None, "it is coming");
    rig.register("x", 1);
    rig.send(lack_of_room(0));
    assert_eq!(rig.verdict, None, "it is there");
    rig.lose("x", ExecutorLoss::Preempted);
    assert_eq!(rig.verdict, None, "it was said before");
    rig.send(lack_of_room(0));
    let cause = "the nodes are small; no executor is left";
    assert_eq!(rig.verdict, Some(Verdict::Failed(cause.to_owned())));
}

#[test]
fn no_copy_begins_while_what_it_would_read_is_lost() {
    let mut first = stage("a", 4);
    first.scheduling.keeps_output = true;
    let mut second = stage("b", 4);
    second.scheduling.with = vec![0];
    second.cores = 2;
    let mut plan = plan(3, 8, vec![first, second]);
    plan.scheduling.speculation.enabled = true;
    plan.scheduling.speculation.quantile = 0.5;
    plan.scheduling.locality.process = Duration::ZERO;
    plan.scheduling.locality.node = Duration::ZERO;
    plan.scheduling.locality.rack = Duration::ZERO;
    let mut rig = Rig::new(plan);
    // It has room for the tasks of the first stage only.
    rig.register("x", 1);
    for task in 0..4 {
        rig.succeed("x", id(0, task, 0));
    }
    assert_eq!(launches(&rig.register("y", 8)).len(), 4);
    rig.pass(seconds(1));
    for task in 0..3 {
        rig.succeed("y", id(1, task, 0));
    }
    let mut launched = launches(&rig.lose("x", ExecutorLoss::NodeLost));
    launched.extend(launches(&rig.register("z", 8)));
    let again: Vec<_> = launched.iter().map(|(_, id)| id.stage.stage).collect();
    assert!(again.iter().all(|&stage| stage == 0), "{launched:?}");
    assert!(launches(&rig.pass(seconds(20))).is_empty());
    assert_eq!(launched.len(), 4);
    let (place, made) = launched.into_iter().find(|(_, id)| id.partition == 3).unwrap();
    let mut copies = launches(&rig.succeed(&place, made));
    copies.extend(launches(&rig.pass(seconds(1))));
    assert_eq!(copies, [("z".to_owned(), id(1, 3, 1))]);
}

#[test]
fn the_launcher_is_told_how_many_executors_a_gang_needs_as_long_as_it_waits() {
    let needed = |effects: &[Effect]| {
        let mut targets = effects.iter().filter_map(|effect| match effect {
            Effect::SetTarget(target) => Some(target.needed),
            _ => None,
        });
        targets.next_back()
    };
    let mut rig = Rig::unstarted(gang(3));
    let mut effects = rig.send(HEARD);
    effects.extend(rig.send(Event::Started));
    assert_eq!(needed(&effects), Some(2));
    rig.register("x", 2);
    rig.succeed("x", id(1, 0, 0));
    rig.register("y", 2);
    assert_eq!(needed(&rig.succeed("x", id(1, 1, 0))), Some(1));
}
