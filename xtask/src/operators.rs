//! `cargo xtask operators`: what operators look at, in the programs that they look at it with. CI has neither, so these
//! tests of suite `operators` are ignored there.

use anyhow::Context;
use harness::browser::Browser;
use harness::workspace;

use crate::steps;

/// What to look at.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Operators {
    /// The status pages in a Chromium, with pictures of them
    Pages {
        /// The embedded cluster, or a real Hadoop on this machine
        #[arg(long, value_enum, default_value_t = Ground::Mini)]
        on: Ground,
    },
    /// A Prometheus that scrapes through the exporter and answers what dashboards and alerts ask
    Prometheus,
}

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ground {
    Mini,
    Hadoop,
}

impl Operators {
    /// Runs the tests.
    ///
    /// # Errors
    /// A program is missing, which says how to get it, or whatever is wrong with what it shows.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Pages { on } => {
                eprintln!("in {}", Browser::find()?.display());
                test(match on {
                    Ground::Mini => "browser::pages_of_the_embedded_cluster",
                    Ground::Hadoop => "browser::pages_of_a_real_hadoop",
                })?;
                eprintln!("pictures: {}", workspace::target().join("pages").display());
                Ok(())
            }
            Self::Prometheus => {
                let found = workspace::on_path("prometheus");
                found.context("prometheus is not on PATH: `apt-get install prometheus`")?;
                test("prometheus::")
            }
        }
    }
}

fn test(filter: &str) -> anyhow::Result<()> {
    steps::binary_under_test()?;
    steps::run(
        "suite operators",
        steps::suite("operators").args(["--ignored", filter]),
    )
}
