//! The core sees no clock, no runtime and no YARN, and the same events lead to the same effects, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use driver::core::Driver;
use proptest::prelude::*;

use crate::random::any_plan;
use crate::world::World;

/// The names in a section of a manifest, without those that are optional.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let section = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let needed = lines.filter(|line| !line.trim().is_empty() && !line.contains("optional = true"));
    needed
        .map(|line| line.split(['.', ' ', '=']).next().unwrap())
        .collect()
}

#[test]
fn the_driver_depends_on_the_wire_types_only_and_these_on_no_runtime() {
    let driver = dependencies(include_str!("../../Cargo.toml"));
    assert_eq!(driver, ["serde", "thiserror", "wire"].into());
    let wire = dependencies(include_str!("../../../wire/Cargo.toml"));
    assert_eq!(wire, ["bytes", "prost", "serde", "thiserror"].into());
}

/// What a pure core has no use for: clocks, threads, the outside world, and maps whose order changes from run to run.
const FOREIGN: [&str; 12] = [
    "HashMap",
    "HashSet",
    "RandomState",
    "Instant",
    "SystemTime",
    "std::thread",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "tokio",
    "async fn",
];

#[test]
fn no_source_of_the_driver_names_a_clock_a_thread_or_an_unordered_map() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let foreign = FOREIGN.iter().find(|word| line.contains(*word));
                assert_eq!(foreign, None, "{}: {line}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 40, "{read} files");
}

proptest! {
    #[test]
    fn the_same_events_lead_to_the_same_effects_byte_for_byte(
        plan in any_plan(),
        faults in 0u32..12,
        tape in prop::collection::vec(any::<u32>(), 0..300),
    ) {
        let mut world = World::new(plan.clone(), faults, 3);
        tape.iter().for_each(|&choice| world.step(choice));
        let mut other = Driver::new(plan);
        other.keep_journal();
        other.tell_history();
        for (at, event, said) in &world.script {
            let mut effects = Vec::new();
            other.handle(*at, event.clone(), &mut effects);
            other.take_history();
            prop_assert_eq!(&format!("{:?}", effects), said);
        }
        prop_assert!(world.is_the_same_as(&other));
    }
}
