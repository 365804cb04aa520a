//! The `drawloom` program: client, and in containers of YARN ApplicationMaster and executor.

use std::process::ExitCode;

use clap::Parser;
use drawloom::cli::Cli;
use drawloom::functions::Functions;
use drawloom::roles;
use drawloom::terminal::{Terminal, tell};

fn main() -> ExitCode {
    // The roles come before anything else: they start in the time that counts.
    if let Some(ended) = roles::play(&Functions::default()) {
        return ended;
    }
    let cli = Cli::parse();
    roles::prepare_client(match cli.verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    });
    match drawloom::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let terminal = Terminal::detect(cli.color, cli.quiet);
            tell(error.painted(cli.verbose > 0, terminal).trim_end());
            ExitCode::from(error.exit.code())
        }
    }
}
