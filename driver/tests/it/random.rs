//! Whole runs in random order: the invariants hold after every step and every run has a verdict.

use driver::plan::AppPlan;
use proptest::prelude::*;

use crate::rig::{after, plan, stage, with_output};
use crate::world::World;

fn any_plan() -> impl Strategy<Value = AppPlan> {
    let stages = prop::collection::vec((0u32..7, any::<bool>(), any::<u8>(), 1u32..3), 1..5);
    (1u32..4, 2u32..4, stages).prop_map(|(instances, cores, stages)| {
        let stages = (0u32..)
            .zip(stages)
            .map(|(number, (tasks, output, edges, width))| {
                let edges: Vec<_> = (0..number).filter(|bit| edges >> bit & 1 == 1).collect();
                let mut made = after(stage(&format!("s{number}"), tasks), &edges);
                made.cores = width;
                if output { with_output(made) } else { made }
            });
        let mut plan = plan(instances, cores, stages.collect());
        plan.settings.min_registered_ratio = 0.8;
        plan
    })
}

fn run(plan: AppPlan, faults: u32, tape: &[u32]) {
    let mut world = World::new(plan, faults, 3);
    for &choice in tape {
        world.step(choice);
    }
    world.settle();
    world.check_verdict();
}

proptest! {
    #[test]
    fn every_run_without_faults_succeeds(plan in any_plan(), tape in prop::collection::vec(any::<u32>(), 0..200)) {
        run(plan, 0, &tape);
    }

    #[test]
    fn every_run_has_a_verdict_and_the_invariants_hold(
        plan in any_plan(),
        faults in 0u32..12,
        tape in prop::collection::vec(any::<u32>(), 0..600),
    ) {
        run(plan, faults, &tape);
    }
}
