//! A simulation of the whole application without a cluster: driver core, launcher core and the session with the
//! ResourceManager, wired as the ApplicationMaster wires them, against models of YARN, of the network and of
//! executors.
//!
//! A seed decides everything: the job, the cluster, every latency, and what goes wrong when. Time is virtual: an hour
//! takes milliseconds. After every step an auditor compares the state of the cores with books of its own and names
//! the invariant (A to J of the product contract) that does not hold. A seed that fails fails for ever, until the
//! defect is mended: `cargo xtask simulate --seed N` replays it with a trace.
//!
//! What it does not cover: the shells (sockets, file systems), which the suites test with real processes, and F
//! between application attempts, because there is one attempt. Of F it checks that whoever was given up gets
//! neither work nor permission, and that nothing it still says changes anything.
//!
//! ```
//! let outcome = simulation::run(1).expect("seed 1 keeps the invariants");
//! assert!(outcome.steps > 100);
//! ```

mod agenda;
mod audit;
pub mod dice;
mod executor;
mod faults;
mod ghosts;
mod plans;
mod process;
mod shell;
mod world;
mod yarn;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use audit::Violation;
use world::World;

/// How a run ended that kept all invariants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Succeeded`, `Failed` or `Killed`.
    pub verdict: &'static str,
    /// Things that happened.
    pub steps: u64,
    /// How long it took in virtual time.
    pub time: Duration,
    /// A number that stands for all effects of the cores, if the run was traced.
    pub digest: u64,
}

/// A run that broke an invariant.
#[derive(Debug)]
pub struct Failure {
    /// What replays it.
    pub seed: u64,
    /// When, in virtual time.
    pub at: Duration,
    /// What was broken.
    pub violation: Violation,
    /// The last things that happened and how things stand, if the run was traced.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let seconds = self.at.as_secs_f64();
        write!(f, "seed {}, after {seconds:.3} s: {}", self.seed, self.violation)
    }
}

impl std::error::Error for Failure {}

/// Runs a seed.
///
/// # Errors
/// The first breach of an invariant; a panic of a core is one too.
pub fn run(seed: u64) -> Result<Outcome, Box<Failure>> {
    play(seed, false)
}

/// Runs a seed and keeps what happened last; the run itself is the same.
///
/// # Errors
/// As [`run`].
pub fn trace(seed: u64) -> Result<Outcome, Box<Failure>> {
    play(seed, true)
}

fn play(seed: u64, tracing: bool) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, tracing);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation {
            letter: 'E',
            text: format!("a core panicked: {}", text.unwrap_or("no text")),
        })
    });
    match result {
        Ok(()) => Ok(Outcome {
            verdict: world.verdict(),
            steps: world.steps,
            time: world.now,
            digest: world.digest,
        }),
        Err(violation) => {
            let mut trace: Vec<_> = world.trace.take().into_iter().flatten().collect();
            if tracing {
                trace.push(world.describe());
            }
            let at = world.now;
            Err(Box::new(Failure {
                seed,
                at,
                violation,
                trace,
            }))
        }
    }
}
