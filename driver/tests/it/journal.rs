//! The journal: every prefix of it gives the state that the core had there, and whole runs survive the loss of the
//! process at any moment.

use std::time::Duration;

use driver::core::Driver;
use driver::event::{Effect, Event, Verdict};
use driver::journal::{RecoverError, Urgency};
use driver::plan::{AppPlan, BodyPlan};
use proptest::prelude::*;
use wire::failure::ExecutorLoss;

use crate::random::any_plan;
use crate::rig::{HEARD, Rig, cancels, executor, exit, id, launches, plan, seconds, stage, with_output};
use crate::world::{Journal, World};

fn recover(
    plan: &AppPlan,
    from: Option<&[u8]>,
    journal: &Journal,
    entries: std::ops::Range<usize>,
) -> Driver {
    let entries = journal.entries[entries].iter().map(|entry| &entry.bytes);
    Driver::recover(plan.clone(), from, entries).unwrap()
}

proptest! {
    #[test]
    fn replay_of_every_prefix_gives_the_state_of_the_live_core(
        plan in any_plan(),
        faults in 0u32..12,
        tape in prop::collection::vec(any::<u32>(), 0..400),
    ) {
        let mut world = World::new(plan.clone(), faults, 3);
        tape.iter().for_each(|&choice| world.step(choice));
        world.settle();
        let journal = &world.journal;
        for (number, state) in journal.states.iter().enumerate() {
            let whole = recover(&plan, None, journal, 0..number + 1);
            prop_assert!(whole.checkpoint() == *state, "entry {number}");
            let base = number * 7 % (number + 1);
            let tail = recover(&plan, Some(&journal.states[base]), journal, base + 1..number + 1);
            prop_assert!(tail.checkpoint() == *state, "entry {number} from the checkpoint at {base}");
        }
    }

    #[test]
    fn every_run_survives_the_loss_of_its_process_at_any_moment(
        plan in any_plan(),
        faults in 0u32..6,
        tape in prop::collection::vec(any::<u32>(), 0..400),
        crashes in prop::collection::vec((0usize..400, 0usize..12), 1..4),
    ) {
        let mut world = World::new(plan, faults, 3);
        for (number, &choice) in tape.iter().enumerate() {
            world.step(choice);
            for &(_, lost) in crashes.iter().filter(|(at, _)| *at == number) {
                world.crash(lost);
            }
        }
        world.crash(0);
        world.settle();
        world.check_verdict();
    }
}

/// A rig whose journal is kept, and what was recorded so far.
struct Recorded {
    rig: Rig,
    plan: AppPlan,
    entries: Vec<Vec<u8>>,
}

impl Recorded {
    fn new(plan: AppPlan) -> Self {
        let mut rig = Rig::unstarted(plan.clone());
        rig.driver.keep_journal();
        let mut recorded = Self {
            rig,
            plan,
            entries: Vec::new(),
        };
        recorded.act(|rig| rig.send(HEARD));
        recorded.act(|rig| rig.send(Event::Started));
        recorded
    }

    fn act(&mut self, action: impl FnOnce(&mut Rig) -> Vec<Effect>) -> Vec<Effect> {
        let effects = action(&mut self.rig);
        let entries = effects.iter().filter_map(|effect| match effect {
            Effect::Record(entry) => Some(entry.bytes.clone()),
            _ => None,
        });
        self.entries.extend(entries);
        effects
    }

    /// The rig of the next process, told to go on with these executors.
    fn lost(self, present: &[&str]) -> (Rig, Vec<Effect>) {
        self.lost_with(present, Vec::new())
    }

    /// The same, where nobody has these results of functions any more.
    fn lost_with(self, present: &[&str], lost: Vec<(u32, u32)>) -> (Rig, Vec<Effect>) {
        let mut rig = Rig::unstarted(self.plan.clone());
        rig.driver = Driver::recover(self.plan, None, &self.entries).unwrap();
        rig.now = self.rig.now;
        assert_eq!(rig.send(HEARD), [], "it was not told to go on");
        let mut effects = rig.send(Event::Resumed {
            present: present.iter().map(|name| executor(name)).collect(),
            patience: seconds(10),
            lost,
        });
        effects.extend(rig.send(HEARD));
        (rig, effects)
    }
}

#[test]
fn an_application_that_was_refused_stays_so() {
    let plan = plan(1, 2, vec![stage("a", 3), stage("b", 2)]);
    let mut driver = Driver::new(plan.clone());
    driver.keep_journal();
    let (mut effects, cause) = (Vec::new(), "the output is in use".to_owned());
    driver.handle(seconds(1), Event::Refused { cause: cause.clone() }, &mut effects);
    let (entries, others): (Vec<_>, Vec<_>) = effects
        .into_iter()
        .partition(|effect| matches!(effect, Effect::Record(_)));
    assert_eq!(
        others.last(),
        Some(&Effect::Finish(Verdict::Failed(cause.clone())))
    );
    let entries = entries.iter().filter_map(|effect| match effect {
        Effect::Record(entry) => Some(&entry.bytes),
        _ => None,
    });
    let recovered = Driver::recover(plan, None, entries).unwrap();
    assert!(recovered.checkpoint() == driver.checkpoint());
    let survey = recovered.survey();
    assert!(survey.started);
    assert_eq!(survey.verdict, Some(Verdict::Failed(cause)));
}

#[test]
fn functions_whose_results_are_lost_are_called_again_and_no_others() {
    let mut plan = plan(1, 2, vec![stage("a", 3), stage("b", 2)]);
    for stage in &mut plan.stages {
        stage.body = BodyPlan::Function("square".to_owned());
    }
    let mut recorded = Recorded::new(plan);
    recorded.act(|rig| rig.register("x1", 2));
    recorded.act(|rig| rig.succeed("x1", id(0, 0, 0)));
    recorded.act(|rig| rig.succeed("x1", id(0, 1, 0)));
    let (rig, _) = recorded.lost_with(&["x1"], vec![(0, 1), (0, 2), (1, 0)]);
    assert_eq!(rig.stage(0).succeeded, 1, "(0, 2) and (1, 0) were not done");
    assert_eq!(rig.driver.survey().results, [(0, 0)]);
}

#[test]
fn without_its_executors_only_unfinished_tasks_run_again() {
    let mut recorded = Recorded::new(plan(1, 2, vec![stage("a", 4)]));
    recorded.act(|rig| rig.register("x1", 2));
    recorded.act(|rig| rig.succeed("x1", id(0, 0, 0)));
    let (mut rig, _) = recorded.lost(&[]);
    assert_eq!(rig.stage(0).succeeded, 1);
    let launched = launches(&rig.register("x2", 4));
    let attempts: Vec<_> = launched
        .iter()
        .map(|(_, id)| (id.partition, id.attempt))
        .collect();
    assert_eq!(attempts, [(1, 1), (2, 1), (3, 0)]);
}

#[test]
fn nothing_is_launched_until_an_executor_says_what_it_runs() {
    let mut recorded = Recorded::new(plan(2, 1, vec![stage("a", 3)]));
    recorded.act(|rig| rig.register("x1", 1));
    recorded.act(|rig| rig.register("x2", 1));
    let (mut rig, _) = recorded.lost(&["x1", "x2"]);
    assert_eq!(launches(&rig.silence(seconds(1))), []);
    assert_eq!(launches(&rig.register("x1", 1)), [], "x2 is still awaited");
    let effects = rig.silence(seconds(9));
    let launched = launches(&effects);
    assert_eq!(
        launched.len(),
        1,
        "x2 had its time, x1 does not run what it was given: {effects:?}"
    );
}

#[test]
fn of_several_attempts_of_a_task_that_come_back_each_is_known_until_its_end() {
    let mut recorded = Recorded::new(plan(1, 3, vec![stage("a", 1)]));
    recorded.act(|rig| rig.register("x1", 3));
    let (mut rig, _) = recorded.lost(&["x1"]);
    let [first, second, third] = [0, 1, 2].map(|attempt| id(0, 0, attempt));
    rig.register_with("x1", 3, "host-of-x1", &[first, second, third]);
    rig.fail("x1", first, exit(1));
    let effects = rig.succeed("x1", third);
    assert_eq!(cancels(&effects), [second], "{effects:?}");
}

#[test]
fn an_attempt_of_a_stage_is_safe_before_any_of_its_tasks_is_launched() {
    let mut gang = stage("g", 2);
    gang.scheduling.gang = true;
    let mut recorded = Recorded::new(plan(1, 2, vec![gang]));
    recorded.act(|rig| rig.register("x1", 2));
    let effects = recorded.act(|rig| rig.fail("x1", id(0, 0, 0), exit(1)));
    let Some(Effect::Record(entry)) = effects.first() else {
        panic!("the record comes first: {effects:?}");
    };
    assert_eq!(entry.urgency, Urgency::AtOnce, "the gang's next attempt begins");
}

#[test]
fn a_failure_counts_across_processes() {
    let mut recorded = Recorded::new(plan(1, 1, vec![stage("a", 1)]));
    recorded.act(|rig| rig.register("x1", 1));
    for attempt in 0..3 {
        recorded.act(|rig| rig.fail("x1", id(0, 0, attempt), exit(1)));
    }
    let (mut rig, _) = recorded.lost(&[]);
    rig.register("x2", 1);
    assert_eq!(rig.verdict, None);
    let next = rig.task(0, 0).attempts - 1;
    rig.fail("x2", id(0, 0, next), exit(1));
    let verdict = format!("{:?}", rig.verdict);
    assert!(verdict.contains("task 0 failed 4 times"), "{verdict}");
}

#[test]
fn a_commit_that_was_begun_is_done_again() {
    let mut recorded = Recorded::new(plan(1, 1, vec![with_output(stage("a", 1))]));
    recorded.rig.obliging = false;
    let planned = Event::StagePlanned {
        stage: id(0, 0, 0).stage,
        tasks: Ok(vec![driver::event::TaskInput::default()]),
    };
    recorded.act(|rig| rig.send(planned));
    recorded.act(|rig| rig.register("x1", 1));
    let effects = recorded.act(|rig| rig.succeed("x1", id(0, 0, 0)));
    let Some(Effect::Record(entry)) = effects.first() else {
        panic!("the record comes first: {effects:?}");
    };
    assert_eq!(
        entry.urgency,
        Urgency::AtOnce,
        "nothing is committed before that is known"
    );
    let (rig, effects) = recorded.lost(&[]);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::CommitStage { .. })),
        "{effects:?}"
    );
    assert_eq!(rig.verdict, Some(driver::event::Verdict::Succeeded));
}

#[test]
fn records_of_another_plan_or_a_later_build_are_refused() {
    let mut recorded = Recorded::new(plan(1, 1, vec![stage("a", 2), stage("b", 2)]));
    recorded.act(|rig| rig.register("x1", 1));
    let smaller = plan(1, 1, vec![stage("a", 2)]);
    let refused = Driver::recover(smaller, None, &recorded.entries).unwrap_err();
    assert!(matches!(refused, RecoverError::Damaged { .. }), "{refused}");
    let checkpoint = recorded.rig.driver.checkpoint();
    let larger = plan(1, 1, vec![stage("a", 2); 3]);
    let refused = Driver::recover(larger, Some(&checkpoint), &recorded.entries[..0]).unwrap_err();
    assert!(
        refused.to_string().contains("it has 2 stages, the plan 3"),
        "{refused}"
    );
    recorded.entries[0][0] = 9;
    let refused = Driver::recover(recorded.plan, None, &recorded.entries).unwrap_err();
    assert!(refused.to_string().contains("format 9"), "{refused}");
}

/// Executors come, run a task and die, ten thousand times: what is remembered of them is bounded, and the journal gives
/// the same state from any point.
#[test]
fn executors_that_went_long_ago_are_forgotten_in_a_replay_too() {
    let mut recorded = Recorded::new(plan(1, 1, vec![stage("a", 40)]));
    let (mut sizes, mut states) = (Vec::new(), Vec::new());
    for number in 0..10_000 {
        let name = format!("x{number}");
        recorded.rig.now += seconds(1);
        let launched = launches(&recorded.act(|rig| rig.register(&name, 1)));
        if number % 500 == 1 {
            recorded.act(|rig| rig.succeed(&name, launched[0].1));
        }
        recorded.act(|rig| rig.lose(&name, ExecutorLoss::Preempted));
        recorded.act(|rig| rig.lose(&format!("never-{number}"), ExecutorLoss::Preempted));
        if number % 1_000 == 999 {
            let state = recorded.rig.driver.checkpoint();
            sizes.push(state.len());
            states.push((recorded.entries.len(), state));
        }
    }
    let snapshot = recorded.rig.driver.snapshot();
    assert_eq!(snapshot.executors.len(), 200);
    assert_eq!(
        snapshot.executors.last().unwrap().id.as_str(),
        executor("x9999").as_str()
    );
    assert!(sizes[9] < sizes[2] + 2_000, "{sizes:?}");
    for (end, state) in &states {
        let whole = Driver::recover(recorded.plan.clone(), None, &recorded.entries[..*end]).unwrap();
        assert!(whole.checkpoint() == *state, "after {end} entries");
    }
    let (base, last) = (&states[4], &states[9]);
    let tail = &recorded.entries[base.0..last.0];
    let back = Driver::recover(recorded.plan.clone(), Some(&base.1), tail).unwrap();
    assert!(back.checkpoint() == last.1);
    let mut damaged = last.1.clone();
    damaged.truncate(last.1.len() / 2);
    assert!(Driver::recover(recorded.plan, Some(&damaged), &recorded.entries[..0]).is_err());
}

/// The sizes that matter; how long it takes is measured by `cargo xtask bench recovery`.
#[test]
fn finished_tasks_take_little_room() {
    let tasks = 20_000;
    let mut recorded = Recorded::new(plan(1, 100, vec![stage("a", tasks)]));
    recorded.act(|rig| rig.register("x1", 100));
    for task in 0..tasks {
        recorded.rig.now += Duration::from_micros(500);
        recorded.act(|rig| rig.succeed("x1", id(0, task, 0)));
    }
    let bytes: usize = recorded.entries.iter().map(Vec::len).sum();
    assert!(
        bytes / (tasks as usize) < 60,
        "{} bytes a task",
        bytes / tasks as usize
    );
    let checkpoint = recorded.rig.driver.checkpoint();
    assert!(
        checkpoint.len() / (tasks as usize) < 8,
        "{} bytes",
        checkpoint.len()
    );
    let back = Driver::recover(recorded.plan, Some(&checkpoint), &recorded.entries[..0]).unwrap();
    assert_eq!(back.progress().0, u64::from(tasks));
}
